package ui

import (
	"context"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/installer"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// urgent asks for the reason of an emergency: the site signed the bundle, the supplier did not. Nothing goes on without one.
type urgent struct {
	w      *Window
	back   func()
	next   func(reason string)
	reason string
	entry  *widgets.Entry
}

func (s *urgent) page() page {
	w := s.w
	s.entry = widgets.NewEntry()
	s.entry.SetText(s.reason)
	s.entry.OnChanged = func(t string) { s.reason = t; s.refoot() }
	s.entry.OnSubmitted = func(string) { w.shell.press() }
	p := page{step: stepAuthenticate, title: w.t("urgent.title"), lead: w.t("urgent.lead"), content: widgets.Column(style.Gap,
		widgets.NewEdgeCard(widgets.Wrong, widgets.Column(8, widgets.NewBadge(widgets.Wrong, w.lang.Text("emergency.short")),
			text(style.BodyStrong, w.lang.Text("emergency.stops")), text(style.Body, w.t("urgent.marked")))),
		widgets.NewCard(field(w.t("urgent.reason"), s.entry, w.t("urgent.reason.note")))), focus: s.entry}
	s.buttons(&p)
	return p
}

func (s *urgent) buttons(p *page) {
	ready := strings.TrimSpace(s.reason) != ""
	p.back, p.cancel = s.back, s.w.home
	p.primary = &action{label: s.w.t("urgent.do"), do: func() { s.next(strings.TrimSpace(s.reason)) }, off: !ready}
	if !ready {
		p.hint = s.w.t("urgent.hint")
	}
	p.missing = func() fyne.Focusable {
		if ready {
			return nil
		}
		return s.entry
	}
}

func (s *urgent) refoot() {
	if s.w.showing(s) {
		p := page{}
		s.buttons(&p)
		s.w.refoot(p)
	}
}

// review is what an emergency owes: another person says whether its version may trade.
type review struct {
	w       *Window
	of      installer.EmergencyView
	person  string
	comment string
	key     keyFields
	people  *widgets.Segments
	entry   *widgets.Entry
	task    *task
	problem *problem
}

func newReview(w *Window, of installer.EmergencyView) *review {
	s := &review{w: w, of: of}
	s.key = keyFields{w: w, changed: s.refoot}
	if len(of.People) == 1 {
		s.choose(of.People[0])
	}
	return s
}

func (s *review) choose(person string) {
	s.person = person
	s.key.file = s.w.demoKey(person)
	s.key.forget()
}

func (s *review) leave() { s.key.forget() }

func (s *review) page() page {
	w := s.w
	var objs []fyne.CanvasObject
	if s.problem != nil {
		objs = append(objs, s.problem.panel())
	}
	var names []string
	chosen := -1
	for i, id := range s.of.People {
		names = append(names, w.names([]string{id}))
		if id == s.person {
			chosen = i
		}
	}
	s.people = widgets.NewSegments(names, chosen, func(i int) { s.choose(s.of.People[i]); w.redraw() })
	s.entry = widgets.NewEntry()
	s.entry.SetText(s.comment)
	s.entry.OnChanged = func(t string) { s.comment = t; s.refoot() }
	s.entry.OnSubmitted = func(string) { w.shell.press() }
	form := []fyne.CanvasObject{widgets.Column(8, text(style.BodyStrong, w.t("signoff.who")), s.people), field(w.t("review.comment"), s.entry, w.t("review.comment.note"))}
	if s.person != "" {
		form = append(form, s.key.draw())
	}
	objs = append(objs, widgets.NewCard(widgets.Column(16, form...)))
	p := page{title: w.t("review.title", "version", printable.Line(s.of.Version, 80)), lead: w.t("review.lead"), content: widgets.Column(style.Gap, objs...)}
	s.buttons(&p)
	return p
}

func (s *review) ready() (ok bool, hint string) {
	w := s.w
	switch {
	case s.task.running():
		return false, w.t("review.signing")
	case s.person == "":
		return false, w.t("signoff.hint.person")
	case strings.TrimSpace(s.comment) == "":
		return false, w.t("review.hint.comment")
	case !s.key.ready():
		return false, w.t("signoff.hint.key")
	}
	return true, ""
}

func (s *review) buttons(p *page) {
	ok, hint := s.ready()
	p.hint, p.back = hint, s.w.closeAside
	p.extra = []action{{label: s.w.t("review.refuse"), do: func() { s.sign(true) }, danger: true, off: !ok}}
	p.primary = &action{label: s.w.t("review.accept"), do: func() { s.sign(false) }, off: !ok}
	p.missing = func() fyne.Focusable {
		switch {
		case s.task.running():
			return nil
		case s.person == "":
			return s.people
		case strings.TrimSpace(s.comment) == "":
			return s.entry
		}
		return s.key.missing()
	}
}

func (s *review) refoot() {
	if s.w.showing(s) {
		p := page{}
		s.buttons(&p)
		s.w.refoot(p)
	}
}

func (s *review) sign(refuse bool) {
	if ok, _ := s.ready(); !ok {
		return
	}
	w, in, read := s.w, s.w.in, s.key.read()
	o := installer.ReviewOptions{Version: s.of.Version, Operator: s.person, Comment: strings.TrimSpace(s.comment), Refuse: refuse}
	s.key.forget()
	s.problem = nil
	s.task = w.run(func(ctx context.Context) (err error) {
		if o.Key, err = read(); err != nil {
			return err
		}
		_, err = in.Review(ctx, o)
		return err
	}, nil, func(err error) {
		w.refreshStatus()
		switch {
		case err != nil:
			s.problem = newProblem(w, err, w.redraw)
			if w.showing(s) {
				w.redraw()
			}
		case w.showing(s):
			who := w.names([]string{s.person})
			w.home()
			words := "emergency.accepted"
			if refuse {
				words = "emergency.refused"
			}
			w.inform(w.t("review.done"), w.lang.Text(words, "version", printable.Line(s.of.Version, 80), "person", who))
		}
	})
	w.redraw()
}
