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

// opinion asks another engine than the one that proved a version what it computes from the same golden inputs. No record
// changes; the log says what came of it.
type opinion struct {
	w      *Window
	tested *installer.Tested
	task   *task

	said    *inference.SecondOpinion
	problem *problem
	line    *widgets.Text
}

func (s *opinion) shown() {
	if s.task != nil {
		return
	}
	in := s.w.in
	var said *inference.SecondOpinion
	s.task = s.w.runAwake(func(ctx context.Context) (err error) {
		said, err = in.SecondOpinion(ctx, s.tested)
		return err
	}, s.event, nil, func(err error) {
		s.said = said
		if err != nil {
			s.problem = newProblem(s.w, err, s.w.redraw)
		}
		if s.w.showing(s) {
			s.w.redraw()
		}
	})
}

func (s *opinion) leave() { s.task.stop() }

func (s *opinion) event(e progress.Event) {
	if e.Step == progress.Smoke && s.line != nil && s.w.showing(s) {
		s.line.SetText(s.w.n("smoke.cases", int(e.Total), "done", e.Done))
	}
}

func (s *opinion) page() page {
	w := s.w
	s.line = nil
	p := page{title: w.t("opinion.title"), lead: w.t("opinion.lead"), back: w.closeAside, primary: &action{label: w.t("button.close"), do: w.closeAside}}
	if s.task == nil || s.task.running() {
		s.line = text(style.BodyDim, "")
		p.content = widgets.NewCard(widgets.Column(8, w.waiting(w.t("opinion.busy")), s.line))
		p.primary.off = true
		return p
	}
	var objs []fyne.CanvasObject
	if s.problem != nil {
		objs = append(objs, s.problem.panel())
	}
	if s.said != nil {
		objs = append(objs, s.verdict(s.said))
		if s.said.Given {
			objs = append(objs, widgets.NewCard(widgets.Column(8, text(style.SmallDim, w.t("opinion.columns", "first", w.opinionOf(s.said.First), "other", w.opinionOf(s.said.Second))),
				w.caseTableOf(s.said.Cases, w.lang.Text("proof.second.same"), w.t("opinion.other")))))
		}
	}
	p.content = widgets.Column(style.Gap, objs...)
	return p
}

// verdict is what the other engine says, in one sentence.
func (s *opinion) verdict(o *inference.SecondOpinion) fyne.CanvasObject {
	w := s.w
	say := w.lang.Text
	first, other := w.opinionOf(o.First), w.opinionOf(o.Second)
	var (
		state widgets.State
		badge string
		words string
	)
	switch {
	case !o.Given && o.Operator != "":
		state, badge, words = widgets.Warning, w.t("opinion.none"), say("proof.second.operator", "other", other, "operator", printable.Line(o.Operator, 80))
	case !o.Given && o.Code == fault.EngineNeeded:
		state, badge, words = widgets.Warning, w.t("opinion.none"), w.t("opinion.missing", "other", other)
	case !o.Given:
		why := newProblem(w, fault.New(o.Code, "%s", o.Reason), nil)
		state, badge, words = widgets.Warning, w.t("opinion.none"), say("proof.second.none", "other", other, "reason", why.headline()+" ("+string(why.code)+")")
	case o.Agrees:
		state, badge, words = widgets.Good, say("proof.second.same"), say("proof.second.agrees", "first", first, "other", other)
	default:
		state, badge, words = widgets.Wrong, w.t("opinion.other"), say("proof.second.disagrees", "first", first, "other", other)
	}
	return widgets.NewEdgeCard(state, widgets.Column(6, widgets.NewBadge(state, badge), text(style.BodyStrong, words), text(style.BodyDim, w.t("opinion.logged"))))
}

// opinionOf names an engine that computed.
func (w *Window) opinionOf(o inference.Opinion) string {
	return strings.TrimSpace(w.engine(o.Engine) + " " + printable.Line(o.EngineVersion, 40))
}
