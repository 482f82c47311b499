package ui

import (
	"context"
	"fmt"
	"math"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/inference"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/internal/progress"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// smoke runs the golden cases of the installed variant and shows each result. A variant that fails becomes a row, and the
// next eligible one is copied and tried; the installer takes back what failed.
type smoke struct {
	w    *Window
	fit  *installer.Fitted
	cand *installer.Candidate
	open reopen
	next func(*installer.Tested)

	task     *task
	variant  string // at work
	copied   *copying
	at, of   int64 // golden cases
	view     smokeView
	failed   []attempt
	tested   *installer.Tested
	problem  *problem // none is left to try
	stopping bool
}

// attempt is a variant that failed its test, or could not be copied for it.
type attempt struct {
	installer.Attempt
	err error
}

type smokeView struct {
	line *widgets.Text
	bar  *widgets.Bar
}

func newSmoke(w *Window, fit *installer.Fitted, c *installer.Candidate, open reopen, next func(*installer.Tested)) *smoke {
	return &smoke{w: w, fit: fit, cand: c, open: open, next: next, variant: fit.Variant()}
}

func (s *smoke) shown() {
	if s.task == nil {
		s.start()
	}
}

func (s *smoke) leave() { s.task.stop() }

// start tests the candidate; when it fails, try is called for the next one.
func (s *smoke) start() {
	var (
		t *installer.Tested
		a installer.Attempt
	)
	in := s.w.in
	s.task = s.w.runAwake(func(ctx context.Context) (err error) {
		t, a, err = in.SmokeAfter(ctx, s.cand, nil)
		return err
	}, s.event, nil, func(err error) { s.ended(t, a, err) })
}

// try copies the next eligible variant and tests it.
func (s *smoke) try(variant string) {
	in := s.w.in
	copied := newCopying(s.fit.Manifest(), variant)
	copied.begin(s.w.c.Now())
	s.variant, s.copied, s.at, s.of = variant, &copied, 0, 0
	var (
		t   *installer.Tested
		fit *installer.Fitted
		a   installer.Attempt
	)
	var before []installer.Attempt
	for _, f := range s.failed {
		before = append(before, f.Attempt)
	}
	s.task = s.w.runAwake(func(ctx context.Context) (err error) {
		if fit, err = s.open(ctx, variant); err != nil {
			return err
		}
		staged, err := in.Stage(ctx, fit)
		if err != nil {
			return err
		}
		c, err := in.Activate(ctx, staged)
		if err != nil {
			return err
		}
		t, a, err = in.SmokeAfter(ctx, c, before)
		return err
	}, s.event, nil, func(err error) {
		if fit != nil {
			s.w.shut(fit.Source())
		}
		s.ended(t, a, err)
	})
}

// ended takes the outcome of one test.
func (s *smoke) ended(t *installer.Tested, a installer.Attempt, err error) {
	s.stopping = false
	if !s.w.showing(s) {
		return
	}
	s.copied = nil
	switch {
	case err == nil:
		s.tested = t
		s.variant = t.Record().Variant
		s.w.refreshStatus()
	case s.fit != nil && fault.CodeOf(err).Exit() == fault.SmokeFailed.Exit(): // about this variant: the next may do better
		a.Variant = s.variant
		s.failed = append(s.failed, attempt{a, err})
		if s.fit = s.fit.Next(); s.fit != nil {
			s.try(s.fit.Variant())
			break
		}
		s.problem = newProblem(s.w, err, s.w.redraw)
		s.w.refreshStatus()
	default:
		s.problem = newProblem(s.w, err, s.w.redraw)
		s.w.refreshStatus()
	}
	s.w.redraw()
}

func (s *smoke) event(e progress.Event) {
	switch {
	case e.Step == progress.Stage && s.copied != nil:
		s.copied.take(e, s.w.c.Now())
	case e.Step == progress.Smoke:
		s.at, s.of = e.Done, e.Total
	default:
		return
	}
	if s.w.showing(s) {
		s.update()
	}
}

// update writes how far the test is.
func (s *smoke) update() {
	if s.view.bar == nil {
		return
	}
	w := s.w
	switch {
	case s.of > 0:
		s.view.line.SetText(w.t("smoke.running", "variant", s.variant) + " · " + w.n("smoke.cases", int(s.of), "done", s.at))
		s.view.bar.SetShare(float32(s.at) / float32(s.of))
	case s.copied != nil:
		s.view.line.SetText(w.t("smoke.copying", "variant", s.variant) + " · " + w.t("install.bytes", "done", w.bytes(s.copied.done), "all", w.bytes(s.copied.total)))
		s.view.bar.SetShare(float32(s.copied.percent()) / 100)
	default:
		s.view.line.SetText(w.t("smoke.starting", "variant", s.variant))
		s.view.bar.SetShare(0)
	}
}

func (s *smoke) page() page {
	w := s.w
	s.view = smokeView{}
	p := page{step: stepSmoke}
	switch {
	case s.tested != nil:
		p.title, p.done = w.t("smoke.passed", "variant", s.variant), stepSmoke
		p.lead = w.t("smoke.passed.lead", "version", s.tested.Manifest().Version)
		p.content = s.results()
		p.hint = w.t("smoke.hint")
		p.cancel, p.words = w.home, map[string]string{"cancel": w.t("smoke.later")}
		p.extra = []action{{label: w.t("opinion.open"), do: func() { w.aside(&opinion{w: w, tested: s.tested}) }}}
		p.primary = &action{label: w.t("smoke.next"), do: func() { s.next(s.tested) }}
	case s.problem != nil:
		p.title, p.lead = s.problem.title(), w.t("smoke.failed.lead")
		objs := append([]fyne.CanvasObject{s.problem.panel()}, s.tried()...)
		p.content = widgets.Column(style.Gap, objs...)
		if s.fit != nil && len(s.failed) > 0 { // the next variant could not be copied
			p.extra = append(p.extra, action{label: w.t("install.again"), do: func() {
				s.problem = nil
				s.try(s.fit.Variant())
				w.redraw()
			}})
		}
		p.extra = append(p.extra, action{label: w.t("problem.save"), do: func() { w.saveCopy("sluice-"+s.problem.incident+".txt", []byte(s.problem.report()+s.rows())) }})
		p.primary = &action{label: w.t("button.close"), do: w.home}
	default:
		p.title, p.lead = w.t("smoke.title"), w.t("smoke.lead")
		s.view.line, s.view.bar = text(style.Body, ""), widgets.NewBar()
		s.update()
		objs := []fyne.CanvasObject{widgets.NewCard(widgets.Column(12, s.view.line, s.view.bar))}
		p.content = widgets.Column(style.Gap, append(objs, s.tried()...)...)
		p.cancel, p.words = s.cancel, map[string]string{"cancel": w.t("install.stop")}
		p.hint = w.t("smoke.old")
		if s.stopping {
			p.cancel, p.hint = nil, w.t("install.stopping")
		}
		p.primary = &action{label: w.t("button.next"), off: true}
	}
	return p
}

func (s *smoke) cancel() {
	s.stopping = true
	s.task.stop()
	s.w.redraw()
}

// tried are the variants tried so far, and the golden cases of those that failed; nothing where none did.
func (s *smoke) tried() []fyne.CanvasObject {
	if len(s.failed) == 0 {
		return nil
	}
	out := []fyne.CanvasObject{widgets.NewCard(s.attempts())}
	for _, a := range s.failed {
		if a.Report == nil || len(a.Report.Cases) == 0 {
			continue
		}
		out = append(out, widgets.NewCard(widgets.Column(8, text(style.BodyStrong, s.w.t("smoke.cases.of", "variant", printable.Line(a.Variant, 64))), s.w.caseTable(a.Report.Cases))))
	}
	return out
}

// rows are the golden cases of variants that failed as text, for the supplier.
func (s *smoke) rows() string {
	var b strings.Builder
	for _, a := range s.failed {
		if a.Report == nil {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", s.w.t("smoke.cases.of", "variant", printable.Line(a.Variant, 64)))
		for i := range a.Report.Cases {
			c := &a.Report.Cases[i]
			word := s.w.t("smoke.bad")
			if c.Passed {
				word = s.w.t("smoke.good")
			}
			fmt.Fprintf(&b, "%s %s: %s, %s / %s, %s; %s\n", printable.Line(c.Name, 64), printable.Line(c.Model, 200), word, s.w.difference(c), s.w.allowed(c), s.w.ms(c.LatencyMS), s.w.elementWords(c))
		}
	}
	return b.String()
}

// attempts are the variants tried so far.
func (s *smoke) attempts() fyne.CanvasObject {
	w := s.w
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("smoke.variant")}, widgets.TableColumn{Title: w.t("smoke.result")}, widgets.TableColumn{Title: w.t("smoke.why"), Share: 1})
	var rows []widgets.TableRow
	for _, a := range s.failed {
		why := newProblem(w, a.err, nil)
		spans := []widgets.Span{{Text: why.headline() + " ", Face: style.Body}, {Text: string(why.code), Face: style.Mono}}
		detail := fault.DetailOf(a.err)
		if name, _ := detail["case"].(string); name != "" {
			model, _ := detail["model"].(string)
			spans = append(spans, widgets.Span{Text: "\n" + w.t("smoke.failed.case", "case", printable.Line(name, 64), "model", printable.Line(lastPart(model), 64)), Face: style.BodyDim})
		}
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			text(style.BodyStrong, printable.Line(a.Variant, 64)), widgets.NewBadge(widgets.Wrong, w.t("smoke.bad")),
			widgets.NewSpans(spans...),
		}})
	}
	if s.tested != nil {
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			text(style.BodyStrong, s.variant), widgets.NewBadge(widgets.Good, w.t("smoke.good")), text(style.BodyDim, w.t("smoke.chosen"))}})
	} else if s.problem == nil {
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			text(style.BodyStrong, s.variant), widgets.NewBadge(widgets.Info, w.t("smoke.now")), text(style.BodyDim, "")}})
	}
	t.SetRows(rows)
	return t
}

// results are engine, latencies and golden cases of the variant that passed.
func (s *smoke) results() fyne.CanvasObject {
	w, rec := s.w, s.tested.Record()
	proof := rec.Proof
	facts := widgets.NewKeyValues(
		widgets.KV(w.t("smoke.engine"), strings.TrimSpace(w.engine(rec.Engine.Kind)+" "+printable.Line(rec.Engine.Version, 40))),
		widgets.KV(w.t("smoke.provider"), w.provider(rec.Engine.Provider, proof.Evidence)),
		widgets.KV(w.t("smoke.cases.name"), w.n("smoke.cases", len(proof.Cases), "done", len(proof.Cases))),
		widgets.KV(w.t("smoke.median"), w.t("smoke.of", "have", w.ms(proof.MedianMS), "limit", w.ms(proof.LimitMS))),
		widgets.KV(w.t("smoke.p95"), w.ms(proof.P95MS)),
		widgets.KV(w.t("smoke.memory"), w.t("smoke.of", "have", w.mib(proof.PeakMiB), "limit", w.mib(proof.LimitMiB))),
	)
	var evidence []fyne.CanvasObject // what vouches for the figures
	if rec.Engine.Kind == inference.KindONNXRuntime && !rec.Engine.LibrarySHA384.IsZero() {
		evidence = append(evidence, text(style.SmallDim, w.lang.Text("evidence.library", "digest", widgets.CutDigest(rec.Engine.LibrarySHA384.String(), 3, 2))))
	}
	if c := proof.Confinement; c != nil {
		evidence = append(evidence, text(style.SmallDim, w.lang.Text("proof.confined", "how", printable.Line(c.String(), 200))))
	}
	var points []widgets.LatencyPoint
	for _, c := range proof.Cases {
		points = append(points, widgets.LatencyPoint{Name: c.Name, MS: c.LatencyMS})
	}
	chart := widgets.Column(6, text(style.Head, w.t("smoke.chart")), widgets.NewLatencyChart(w.t("smoke.limit"), w.ms, proof.LimitMS, points...))
	objs := []fyne.CanvasObject{widgets.NewCard(widgets.Column(10, append([]fyne.CanvasObject{widgets.Row(28, []float32{1, 1}, facts, chart)}, evidence...)...))}
	tried := s.tried()
	if len(tried) > 0 { // what was tried stands above the cases, those of variants that failed below
		objs, tried = append(objs, tried[0]), tried[1:]
	}
	objs = append(objs, widgets.NewCard(s.w.caseTable(s.cases())))
	return widgets.Column(style.Gap, append(objs, tried...)...)
}

// cases are those of the report, or of the record where the report is gone.
func (s *smoke) cases() []inference.CaseResult {
	if r := s.tested.Report(); r != nil {
		return r.Cases
	}
	var out []inference.CaseResult
	for _, c := range s.tested.Record().Proof.Cases {
		c.Passed = true
		out = append(out, c)
	}
	return out
}

func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// ms is a time in milliseconds with three significant digits.
func (w *Window) ms(v float64) string { return w.significant(v) + "\u00a0ms" }

// mib is a size of memory below a GiB too.
func (w *Window) mib(n int64) string {
	if n < 1024 {
		return w.number(float64(n), 0) + "\u00a0MiB"
	}
	return w.gib(n)
}

// percent is a share as per cent.
func (w *Window) percent(v float64) string { return w.significant(v*100) + "\u00a0%" }

// significant writes a number of usual size with at most three significant digits.
func (w *Window) significant(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(v)+1e-9))
	s := w.number(v, min(max(digits, 0), 6))
	if strings.ContainsAny(s, ".,") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".,")
	}
	return s
}

// superscripts of exponents.
var superscripts = strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹")

// tiny is a difference: very small numbers as powers of ten.
func (w *Window) tiny(v float64) string {
	switch {
	case v < 0 || math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	case v >= 0.001 && v < 10000:
		return w.significant(v)
	}
	e := math.Floor(math.Log10(v))
	s := strings.TrimSuffix(strings.TrimSuffix(w.number(v/math.Pow(10, e), 1), "0"), ",")
	return strings.TrimSuffix(s, ".") + "·10" + superscripts.Replace(w.number(e, 0))
}
