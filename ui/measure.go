package ui

import (
	"context"
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

// measure copies all variants that fit into a scratch folder, each byte verified, runs their golden cases and shows them
// side by side. It chooses nothing: the order is signed, and the person goes back to the choice.
type measure struct {
	w    *Window
	from *hardware // its fit is measured, and its words say why a variant does not fit
	task *task

	found    *installer.Measurement
	problem  *problem
	stopping bool
	at       progress.Event
	line     *widgets.Text
	bar      *widgets.Bar
}

func (s *measure) shown() {
	if s.task == nil {
		s.start()
	}
}

func (s *measure) leave() { s.task.stop() }

func (s *measure) start() {
	in, fit := s.w.in, s.from.fit
	var found *installer.Measurement
	s.problem, s.at = nil, progress.Event{}
	s.task = s.w.runAwake(func(ctx context.Context) (err error) {
		found, err = in.Measure(ctx, fit)
		return err
	}, s.event, nil, func(err error) {
		stopped := s.stopping
		s.stopping = false
		switch {
		case !s.w.showing(s):
		case err == nil:
			s.found = found
			s.w.redraw()
		case stopped && fault.CodeOf(err) == fault.Cancelled:
			s.w.show(s.from)
		default:
			s.problem = newProblem(s.w, err, s.w.redraw)
			s.w.redraw()
		}
	})
}

func (s *measure) event(e progress.Event) {
	if e.Step != progress.Stage && e.Step != progress.Smoke {
		return
	}
	s.at = e
	if s.w.showing(s) {
		s.update()
	}
}

// update writes how far it is.
func (s *measure) update() {
	if s.line == nil {
		return
	}
	w, e := s.w, s.at
	words := w.t("measure.copying")
	switch {
	case e.Step == progress.Smoke && e.Variant != "":
		words = w.t("smoke.running", "variant", printable.Line(e.Variant, 64)) + " · " + w.n("smoke.cases", int(e.Total), "done", e.Done)
	case e.Step == progress.Stage && e.Total > 0:
		words += " · " + w.t("install.bytes", "done", w.bytes(e.Done), "all", w.bytes(e.Total))
	}
	s.line.SetText(words)
	share := float32(0)
	if e.Total > 0 {
		share = float32(e.Done) / float32(e.Total)
	}
	s.bar.SetShare(share)
}

func (s *measure) page() page {
	w := s.w
	s.line = nil
	back := func() { w.show(s.from) }
	p := page{step: stepHardware, title: w.t("measure.title"), lead: w.t("measure.lead"), cancel: s.from.cancel}
	switch {
	case s.problem != nil:
		p.title, p.lead, p.content = s.problem.title(), w.t("problem.lead"), s.problem.panel()
		p.extra = []action{{label: w.t("install.again"), do: func() { s.start(); w.redraw() }},
			{label: w.t("problem.save"), do: func() { w.saveCopy("sluice-"+s.problem.incident+".txt", []byte(s.problem.report())) }}}
		p.primary = &action{label: w.t("measure.back"), do: back}
	case s.found != nil:
		p.title, p.lead, p.content = w.t("measure.done"), w.t("measure.done.lead"), s.results()
		p.hint = w.t("measure.gone")
		p.primary = &action{label: w.t("measure.back"), do: back}
	default:
		s.line, s.bar = text(style.Body, ""), widgets.NewBar()
		s.update()
		p.content = widgets.NewCard(widgets.Column(12, s.line, s.bar))
		p.cancel, p.words = s.cancel, map[string]string{"cancel": w.t("install.stop")}
		p.hint = w.t("smoke.old")
		if s.stopping {
			p.cancel, p.hint = nil, w.t("install.stopping")
		}
		p.primary = &action{label: w.t("measure.back"), off: true}
	}
	return p
}

func (s *measure) cancel() {
	s.stopping = true
	s.task.stop()
	s.w.redraw()
}

// results are the table, what the order makes of it, the latencies, and the golden cases of variants that failed.
func (s *measure) results() fyne.CanvasObject {
	w, f := s.w, s.found
	say := w.lang.Text
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("smoke.variant"), Share: 1}, widgets.TableColumn{Title: w.t("smoke.worst"), Trailing: true},
		widgets.TableColumn{Title: say("proof.median"), Trailing: true}, widgets.TableColumn{Title: say("proof.mib"), Trailing: true}, widgets.TableColumn{Title: w.t("smoke.result")})
	var (
		rows   []widgets.TableRow
		points []widgets.LatencyPoint
		limit  float64
		failed []fyne.CanvasObject
	)
	for i := range f.Variants {
		v := &f.Variants[i]
		rows = append(rows, s.row(v))
		if r := v.Report; r != nil && r.MedianMS > 0 {
			points = append(points, widgets.LatencyPoint{Name: v.Variant, MS: r.MedianMS})
			limit = r.LimitMS
		}
		if r := v.Report; r != nil && v.Result == installer.ResultFailed && len(r.Cases) > 0 {
			failed = append(failed, widgets.NewCard(widgets.Column(8, text(style.BodyStrong, w.t("smoke.cases.of", "variant", printable.Line(v.Variant, 64))), w.caseTable(r.Cases))))
		}
	}
	t.SetRows(rows)
	verdict := widgets.Wrapping(10, widgets.NewBadge(widgets.Warning, w.t("smoke.bad")), text(style.BodyStrong, say("proof.none")))
	if f.Chosen != "" {
		verdict = widgets.Wrapping(10, widgets.NewBadge(widgets.Good, w.t("smoke.good")), text(style.BodyStrong, say("proof.chosen", "variant", printable.Line(f.Chosen, 64))))
	}
	objs := []fyne.CanvasObject{widgets.NewCard(widgets.Column(12, verdict, t))}
	if len(points) > 0 {
		objs = append(objs, widgets.NewCard(widgets.Column(6, text(style.Head, w.t("measure.chart")), widgets.NewLatencyChart(w.t("smoke.limit"), w.ms, limit, points...))))
	}
	return widgets.Column(style.Gap, append(objs, failed...)...)
}

// row is one variant: what it was measured on, or why it was not, or why it failed.
func (s *measure) row(v *installer.VariantResult) widgets.TableRow {
	w := s.w
	badge := widgets.NewBadge(widgets.Good, w.t("smoke.good"))
	var why []string
	switch v.Result {
	case installer.ResultNotRun:
		badge = widgets.NewBadge(widgets.Neutral, w.lang.Text("validate.notrun"))
		if why = s.from.reasons(v.Variant); v.Code != "" {
			why = []string{w.refusalWords(v)}
		}
	case installer.ResultFailed:
		badge = widgets.NewBadge(widgets.Wrong, w.t("smoke.bad"))
		why = []string{w.refusalWords(v)}
	}
	worst, median, memory := "–", "–", "–"
	if r := v.Report; r != nil {
		below := w.measuredOn(r)
		if c := r.WorstCase(); c != nil {
			worst = w.difference(c)
		}
		if r.MedianMS > 0 {
			median = w.ms(r.MedianMS)
			below += " · " + w.t("smoke.p95") + " " + w.ms(r.P95MS)
		}
		if r.PeakMiB > 0 {
			memory = w.mib(r.PeakMiB)
		}
		why = append(why, below)
	}
	return widgets.TableRow{Cells: []fyne.CanvasObject{text(style.BodyStrong, printable.Line(v.Variant, 64)),
		widgets.Number(worst), widgets.Number(median), widgets.Number(memory), badge}, Below: text(style.Small, strings.Join(why, "\n"))}
}

// refusalWords say why a variant was refused.
func (w *Window) refusalWords(v *installer.VariantResult) string {
	return newProblem(w, fault.New(v.Code, "%s", v.Reason), nil).headline() + " (" + string(v.Code) + ")"
}

// measuredOn is engine, version and provider of a run, and what the engine itself says of where it computed.
func (w *Window) measuredOn(r *inference.Report) string {
	out := strings.TrimSpace(w.engine(r.Engine) + " " + printable.Line(r.EngineVersion, 40))
	return out + " · " + w.provider(r.Provider, r.Evidence)
}
