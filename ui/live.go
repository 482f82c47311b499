package ui

import (
	"context"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/audit"
	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// live is the top of the ladder: what runs, switching on and off, the way back, and the report.
type live struct {
	w    *Window
	task *task

	loaded   bool
	records  map[slot.Stage]*slot.Record
	policy   *compliance.Policy
	logs     []installer.LogState
	logErr   error
	stop     *installer.Stop // live was switched off, and its record says so only later
	reports  []report        // the sign-off records that there are
	approved string          // the version that everybody signed for and that is not on; empty: none
	problem  *problem
	halted   bool            // off or rolled back just now: running bots have to confirm
	bots     []installer.Bot // those with a lease
	watching func()          // ends looking after them
	doing    string          // key of what runs now

	back   *rollback // the form of a rollback, nil when not open
	toBack bool      // opened for it
}

// rollback is what a person enters for it.
type rollback struct {
	person, reason string
	key            keyFields
	people         *widgets.Segments
	why            *widgets.Entry
}

func newLive(w *Window) *live { return &live{w: w} }

func (s *live) shown() {
	if !s.loaded && !s.task.running() {
		s.load()
	}
}

func (s *live) leave() {
	if s.back != nil {
		s.back.key.forget()
	}
	if s.watching != nil {
		s.watching()
		s.watching = nil
	}
}

// load reads the records, the log and the report.
func (s *live) load() {
	in := s.w.in
	n := &live{}
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if n.records, err = in.Records(); err != nil {
			return err
		}
		if n.policy, err = in.Policy(); err != nil {
			return err
		}
		n.logs, n.logErr = in.LogVerify(ctx)
		status, err := in.Status()
		if err != nil {
			return err
		}
		n.stopped(status.Stop)
		n.bots = status.Bots
		if r := n.records[slot.Live]; r == nil || !r.Enabled || slices.Equal(status.Next, []string{"live", "enable"}) {
			if a, err := in.Reapprove(ctx, slot.Live); err == nil {
				n.approved = a.Version()
			}
		}
		n.reports = reportsOf(status, n.approved)
		return nil
	}, nil, func(err error) {
		s.w.refreshStatus()
		if err != nil {
			s.problem = newProblem(s.w, err, s.w.redraw)
		} else {
			s.records, s.policy, s.logs, s.logErr, s.stop, s.reports, s.approved, s.bots = n.records, n.policy, n.logs, n.logErr, n.stop, n.reports, n.approved, n.bots
		}
		s.loaded, s.doing = true, ""
		if s.toBack && s.previous() != "" {
			s.startRollback()
		}
		s.toBack = false
		if s.w.showing(s) {
			s.w.redraw()
			s.lookAfter()
		}
	})
}

// stopped takes in that live was switched off while its record could not be written: it is off all the same.
func (s *live) stopped(stop *installer.Stop) {
	s.stop = stop
	if r := s.records[slot.Live]; r != nil && stop != nil {
		off := *r
		off.Enabled, off.Reason = false, stop.Reason
		s.records[slot.Live] = &off
	}
}

// perform runs one change, and shows the new state or the refusal.
func (s *live) perform(doing string, work func(ctx context.Context) error, then func()) {
	if s.doing != "" {
		return
	}
	s.doing, s.problem = doing, nil
	s.task = s.w.run(work, nil, func(err error) {
		s.doing = ""
		if err != nil {
			s.problem = newProblem(s.w, err, s.w.redraw)
			s.w.refreshStatus()
			if s.w.showing(s) {
				s.w.redraw()
				s.w.shell.scrollTop()
			}
			return
		}
		then()
		s.load()
	})
	s.w.redraw()
}

// enable asks first: it is deliberate.
func (s *live) enable() {
	w, in := s.w, s.w.in
	version := s.approved
	w.ask(question{title: w.t("live.enable.title", "version", version), text: w.t("live.enable.text"), yes: w.t("live.enable.yes"), no: w.t("live.enable.no"),
		do: func() {
			s.perform("live.enabling", func(ctx context.Context) error {
				a, err := in.Reapprove(ctx, slot.Live)
				if err != nil {
					return err
				}
				_, err = in.GoLive(ctx, a)
				return err
			}, func() { s.halted = false })
		}})
}

// disable is one press and needs no key.
func (s *live) disable() {
	in := s.w.in
	s.perform("live.disabling", func(ctx context.Context) error { return in.Disable(ctx, "", "") }, func() { s.halted = true })
}

func (s *live) startRollback() {
	s.back = &rollback{}
	s.back.key = keyFields{w: s.w, changed: s.refoot}
	if people := s.people(); len(people) == 1 {
		s.back.person = people[0].ID
	}
	s.problem = nil
	s.w.redraw()
	s.w.shell.scrollTop()
}

func (s *live) rollBack() {
	if ok, _ := s.backReady(); !ok {
		return
	}
	in, b, read := s.w.in, s.back, s.back.key.read()
	b.key.forget()
	s.perform("live.rolling", func(ctx context.Context) error {
		key, err := read()
		if err != nil {
			return err
		}
		_, err = in.Rollback(ctx, installer.RollbackOptions{Operator: b.person, Key: key, Reason: strings.TrimSpace(b.reason)})
		return err
	}, func() { s.back, s.halted = nil, true })
}

// people are those who may sign a rollback.
func (s *live) people() []compliance.Person {
	if s.policy == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.policy.People), func(p compliance.Person) bool { return !s.policy.Active(&p) })
}

func (s *live) backReady() (ok bool, hint string) {
	w := s.w
	switch {
	case s.doing != "":
		return false, w.t(s.doing)
	case s.back.person == "":
		return false, w.t("signoff.hint.person")
	case strings.TrimSpace(s.back.reason) == "":
		return false, w.t("signoff.hint.reason")
	case !s.back.key.ready():
		return false, w.t("signoff.hint.key")
	}
	return true, w.t("live.rollback.hint")
}

func (s *live) refoot() {
	if s.back != nil && s.w.showing(s) {
		p := page{}
		s.backButtons(&p)
		s.w.refoot(p)
	}
}

// missing is what is to be filled in next for a rollback.
func (s *live) missing() fyne.Focusable {
	switch b := s.back; {
	case b == nil || s.doing != "":
		return nil
	case b.person == "" && b.people != nil:
		return b.people
	case strings.TrimSpace(b.reason) == "" && b.why != nil:
		return b.why
	default:
		return b.key.missing()
	}
}

func (s *live) backButtons(p *page) {
	ok, hint := s.backReady()
	p.hint, p.missing = hint, s.missing
	p.back = func() { s.back.key.forget(); s.back, s.problem = nil, nil; s.w.redraw() }
	p.primary = &action{label: s.w.t("live.rollback.do", "version", s.previous()), do: s.rollBack, off: !ok}
}

// previous is the version that a rollback returns to.
func (s *live) previous() string {
	if r := s.records[slot.Live]; r != nil && r.Previous != nil {
		return r.Previous.Version
	}
	return ""
}

func (s *live) page() page {
	w := s.w
	p := page{step: stepLive, title: w.t("step.live")}
	if !s.loaded {
		p.title, p.content = w.t("live.loading"), widgets.NewCard(w.waiting(w.t("live.loading.text")))
		p.cancel = w.home
		return p
	}
	if s.back != nil {
		return s.rollbackPage()
	}
	r := s.records[slot.Live]
	var objs []fyne.CanvasObject
	if s.problem != nil {
		objs = append(objs, s.problem.panel())
	}
	if c := s.botsCard(); c != nil {
		objs = append(objs, c)
	}
	if s.stop != nil {
		objs = append(objs, w.stopCard(s.stop))
	}
	on := r != nil && r.Enabled
	p.primary = &action{label: w.t("button.done"), do: w.home, off: s.doing != ""}
	switch {
	case s.approved != "" && r != nil && !on && r.Version == s.approved:
		p.title, p.lead = w.t("live.off"), w.t("live.off.lead")+" "+w.t("live.off.again")
	case s.approved != "":
		p.title, p.lead = w.t("live.ready", "version", s.approved), w.t("live.ready.lead")
		if on {
			p.lead = w.t("live.ready.lead.update", "version", r.Version)
		}
	case on:
		p.title, p.done = w.t("live.on", "version", r.Version), stepLive
		p.lead = w.t("live.on.lead")
		if s.previous() != "" {
			p.lead += " " + w.t("live.on.back", "version", s.previous())
		}
	case r != nil:
		p.title, p.lead = w.t("live.off"), w.t("live.off.lead")
	default:
		p.title, p.lead = w.t("live.none"), w.t("live.none.lead")
	}
	if s.approved != "" {
		p.primary = &action{label: w.t("live.enable", "version", s.approved), do: s.enable, off: s.doing != ""}
		p.cancel, p.words = w.home, map[string]string{"cancel": w.t("live.later")}
	}
	if s.previous() != "" {
		p.extra = append(p.extra, action{label: w.t("live.rollback", "version", s.previous()), do: s.startRollback, off: s.doing != ""})
	}
	if on {
		p.extra = append(p.extra, action{label: w.t("live.disable"), do: s.disable, danger: true, off: s.doing != ""})
	}
	if s.doing != "" {
		p.hint = w.t(s.doing)
	}
	rungs := w.rungs(s.records)
	if s.approved != "" && (r == nil || r.Version != s.approved) {
		rungs[2] = w.nextLive(r, s.approved)
	}
	objs = append(objs, widgets.NewCard(widgets.NewLadder(rungs...)), widgets.NewCard(s.facts()))
	p.content = widgets.Column(style.Gap, objs...)
	return p
}

// stopCard says who switched live off, and that the record follows.
func (w *Window) stopCard(stop *installer.Stop) fyne.CanvasObject {
	who := w.t("live.stop.unknown")
	if stop.At != "" {
		who = w.t("live.stop.when", "when", w.stamp(stop.At))
		if stop.Operator != "" {
			who = w.t("live.stop.who", "when", w.stamp(stop.At), "who", printable.Line(stop.Operator, 80))
		}
	}
	return widgets.NewEdgeCard(widgets.Warning, widgets.Column(4, text(style.BodyStrong, who), text(style.BodyDim, w.lang.Text("live.logfollows"))))
}

// facts are version, digest, log and report.
func (s *live) facts() fyne.CanvasObject {
	w := s.w
	r := s.records[slot.Live]
	if r == nil || s.approved != "" && r.Version != s.approved {
		for _, stage := range []slot.Stage{slot.Demo, slot.Paper} {
			if x := s.records[stage]; x != nil {
				r = x
			}
		}
	}
	var kv []widgets.KeyValue
	if r != nil {
		kv = append(kv, widgets.KV(w.t("live.version"), printable.Line(r.ModelFamily, 64)+" "+r.Version+", "+w.t("live.variant", "variant", printable.Line(r.Variant, 64))),
			widgets.KeyValue{Key: w.t("live.manifest"), Value: widgets.NewDigest("SHA-384", r.ManifestSHA384.String())},
			widgets.KV(w.t("smoke.engine"), strings.TrimSpace(w.engine(r.Engine.Kind)+" "+printable.Line(r.Engine.Version, 40))+", "+printable.Line(r.Engine.Provider, 40)))
	}
	kv = append(kv, widgets.KeyValue{Key: w.t("live.log"), Value: s.logState()})
	if len(s.reports) > 0 {
		kv = append(kv, widgets.KeyValue{Key: w.t("live.document"), Value: widgets.Wrapping(16, w.reportLinks(s.reports)...)})
	}
	if reason := s.reason(); reason != "" {
		kv = append(kv, widgets.KV(w.t("live.reason"), reason))
	}
	return widgets.NewKeyValues(kv...)
}

func (s *live) reason() string {
	if r := s.records[slot.Live]; r != nil {
		return printable.Line(r.Reason, 300)
	}
	return ""
}

func (s *live) logState() fyne.CanvasObject {
	w := s.w
	if s.logErr != nil {
		return widgets.NewBadge(widgets.Wrong, newProblem(w, s.logErr, nil).headline())
	}
	for _, l := range s.logs {
		if l.Log == string(audit.Live) && l.Entries > 0 {
			return text(style.Body, w.n("live.log.sound", l.Entries))
		}
	}
	return text(style.BodyDim, w.t("live.log.empty"))
}

func (s *live) rollbackPage() page {
	w, b := s.w, s.back
	p := page{step: stepLive, title: w.t("live.rollback.title", "version", s.previous()), lead: w.t("live.rollback.lead")}
	var names []string
	people := s.people()
	chosen := -1
	for i, x := range people {
		names = append(names, printable.Line(x.Name, 60)+" ("+w.roles(x.Roles)+")")
		if x.ID == b.person {
			chosen = i
		}
	}
	var objs []fyne.CanvasObject
	if s.problem != nil {
		objs = append(objs, s.problem.panel())
	}
	reason := widgets.NewEntry()
	reason.SetText(b.reason)
	reason.OnChanged = func(t string) { b.reason = t; s.refoot() }
	reason.OnSubmitted = func(string) { w.shell.press() }
	b.why = reason
	var form []fyne.CanvasObject
	if b.people = nil; len(names) == 0 {
		form = append(form, text(style.Body, w.t("signoff.nobody")))
	} else {
		b.people = widgets.NewSegments(names, chosen, func(i int) {
			b.person = people[i].ID
			b.key.file = w.demoKey(b.person)
			b.key.forget()
			w.redraw()
		})
		form = append(form, widgets.Column(8, text(style.BodyStrong, w.t("signoff.who")), b.people))
	}
	form = append(form, field(w.t("signoff.reason"), reason, w.t("live.rollback.reason")))
	if b.person != "" {
		form = append(form, b.key.draw())
	}
	objs = append(objs, widgets.NewCard(widgets.Column(16, form...)))
	p.content = widgets.Column(style.Gap, objs...)
	s.backButtons(&p)
	return p
}

// rungs are the three stages as the records tell them.
func (w *Window) rungs(records map[slot.Stage]*slot.Record) []widgets.Rung {
	out := make([]widgets.Rung, 0, 3)
	for _, stage := range slot.Stages() {
		rung := widgets.Rung{Name: map[slot.Stage]string{slot.Demo: "Demo", slot.Paper: "Paper", slot.Live: "Live"}[stage]}
		r := records[stage]
		switch {
		case r == nil:
			rung.Lines = []string{w.t("ladder.open")}
		case stage == slot.Live && !r.Enabled:
			rung.State = widgets.RungOff
			rung.Lines = []string{r.Version + ", " + w.stamp(r.At), w.t("ladder.off")}
		default:
			rung.State = widgets.RungReached
			rung.Lines = []string{r.Version + ", " + w.stamp(r.At)}
			if who := w.signers(r, stage); who != "" {
				rung.Lines = append(rung.Lines, who)
			}
		}
		out = append(out, rung)
	}
	for i := range out { // the first that is not reached is next
		if out[i].State == widgets.RungOpen {
			out[i].State = widgets.RungWaiting
			break
		}
	}
	return out
}

// nextLive is the highest rung while another version waits for it than the one that may stand there.
func (w *Window) nextLive(live *slot.Record, version string) widgets.Rung {
	out := widgets.Rung{State: widgets.RungWaiting, Name: "Live", Lines: []string{w.t("ladder.waits", "version", version)}}
	if live != nil && live.Enabled {
		out.Lines = append(out.Lines, w.t("ladder.works", "version", live.Version))
	}
	return out
}

// signers are the roles that signed for a stage, or what proved the demo stage.
func (w *Window) signers(r *slot.Record, stage slot.Stage) string {
	if stage == slot.Demo {
		return w.t("ladder.demo")
	}
	var roles []string
	for _, o := range r.SignOffs {
		if o.Stage == stage && o.Role != "" && !slices.Contains(roles, o.Role) {
			roles = append(roles, o.Role)
		}
	}
	return w.roles(roles)
}
