package ui

import (
	"context"
	"math"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/bundle"
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

// attempt is a variant that failed its test.
type attempt struct {
	variant string
	err     error
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
	var t *installer.Tested
	in := s.w.in
	s.task = s.w.runAwake(func(ctx context.Context) (err error) {
		t, err = in.Smoke(ctx, s.cand)
		return err
	}, s.event, nil, func(err error) { s.ended(t, err) })
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
	)
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
		t, err = in.Smoke(ctx, c)
		return err
	}, s.event, nil, func(err error) {
		if fit != nil {
			s.w.shut(fit.Source())
		}
		s.ended(t, err)
	})
}

// ended takes the outcome of one test.
func (s *smoke) ended(t *installer.Tested, err error) {
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
		s.failed = append(s.failed, attempt{s.variant, err})
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
		p.primary = &action{label: w.t("smoke.next"), do: func() { s.next(s.tested) }}
	case s.problem != nil:
		p.title, p.lead = s.problem.title(), w.t("smoke.failed.lead")
		objs := []fyne.CanvasObject{s.problem.panel()}
		if len(s.failed) > 0 {
			objs = append(objs, widgets.NewCard(s.attempts()))
		}
		p.content = widgets.Column(style.Gap, objs...)
		if s.fit != nil && len(s.failed) > 0 { // the next variant could not be copied
			p.extra = append(p.extra, action{label: w.t("install.again"), do: func() {
				s.problem = nil
				s.try(s.fit.Variant())
				w.redraw()
			}})
		}
		p.extra = append(p.extra, action{label: w.t("problem.save"), do: func() { w.saveCopy("sluice-"+s.problem.incident+".txt", []byte(s.problem.report())) }})
		p.primary = &action{label: w.t("button.close"), do: w.home}
	default:
		p.title, p.lead = w.t("smoke.title"), w.t("smoke.lead")
		s.view.line, s.view.bar = text(style.Body, ""), widgets.NewBar()
		s.update()
		objs := []fyne.CanvasObject{widgets.NewCard(widgets.Column(12, s.view.line, s.view.bar))}
		if len(s.failed) > 0 {
			objs = append(objs, widgets.NewCard(s.attempts()))
		}
		p.content = widgets.Column(style.Gap, objs...)
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
			text(style.BodyStrong, printable.Line(a.variant, 64)), widgets.NewBadge(widgets.Wrong, w.t("smoke.bad")),
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
	w, rec, m := s.w, s.tested.Record(), s.tested.Manifest()
	proof := rec.Proof
	facts := widgets.NewKeyValues(
		widgets.KV(w.t("smoke.engine"), strings.TrimSpace(w.engine(rec.Engine.Kind)+" "+printable.Line(rec.Engine.Version, 40))),
		widgets.KV(w.t("smoke.provider"), printable.Line(rec.Engine.Provider, 60)),
		widgets.KV(w.t("smoke.cases.name"), w.n("smoke.cases", len(proof.Cases), "done", len(proof.Cases))),
		widgets.KV(w.t("smoke.median"), w.t("smoke.of", "have", w.ms(proof.MedianMS), "limit", w.ms(proof.LimitMS))),
		widgets.KV(w.t("smoke.p95"), w.ms(proof.P95MS)),
		widgets.KV(w.t("smoke.memory"), w.t("smoke.of", "have", w.mib(proof.PeakMiB), "limit", w.mib(proof.LimitMiB))),
	)
	var points []widgets.LatencyPoint
	for _, c := range proof.Cases {
		points = append(points, widgets.LatencyPoint{Name: c.Name, MS: c.LatencyMS})
	}
	chart := widgets.Column(6, text(style.Head, w.t("smoke.chart")), widgets.NewLatencyChart(w.t("smoke.limit"), w.ms, proof.LimitMS, points...))
	objs := []fyne.CanvasObject{widgets.NewCard(widgets.Row(28, []float32{1, 1}, facts, chart))}
	if len(s.failed) > 0 {
		objs = append(objs, widgets.NewCard(s.attempts()))
	}
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("smoke.case"), Share: 1},
		widgets.TableColumn{Title: w.t("smoke.worst"), Trailing: true}, widgets.TableColumn{Title: w.t("smoke.allowed"), Trailing: true},
		widgets.TableColumn{Title: w.t("smoke.latency"), Trailing: true}, widgets.TableColumn{Title: w.t("smoke.result")})
	var rows []widgets.TableRow
	for _, c := range s.cases() {
		state, word := widgets.Good, w.t("smoke.good")
		if !c.Passed {
			state, word = widgets.Wrong, w.t("smoke.bad")
		}
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			widgets.NewSpans(widgets.Span{Text: printable.Line(c.Name, 64), Face: style.Body}, widgets.Span{Text: "  " + printable.Line(lastPart(c.Model), 64), Face: style.SmallDim}),
			widgets.Number(w.tiny(c.WorstAbs)),
			widgets.Number(w.allowed(m, s.variant, c)), widgets.Number(w.ms(c.LatencyMS)), widgets.NewBadge(state, word)}})
	}
	t.SetRows(rows)
	return widgets.Column(style.Gap, append(objs, widgets.NewCard(t))...)
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

// allowed is the tolerance of a golden case as the contract states it.
func (w *Window) allowed(m *bundle.Manifest, variant string, c inference.CaseResult) string {
	golden := m.InferenceContract.Golden
	for _, companion := range m.InferenceContract.Companions {
		if companion.Artifact == c.Model {
			golden = companion.Golden
		}
	}
	i := slices.IndexFunc(golden, func(g bundle.GoldenCase) bool { return g.Name == c.Name })
	if i < 0 {
		return "–"
	}
	t := golden[i].Tolerance
	if own, ok := golden[i].Variants[variant]; ok {
		t = own
	}
	out := w.tiny(t.Abs)
	if t.Rel > 0 {
		out += " + " + w.percent(t.Rel)
	}
	return out
}

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
