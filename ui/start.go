package ui

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/compliance"
	"sluice/gate"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// start is what is installed, what each stage runs, what waits for whom, and what to do next.
type start struct {
	w        *Window
	problems []*problem   // what Status found, in its order
	task     *task        // the gate is asked
	answer   *gate.Answer // what it said
	refused  *problem     // or why not
}

func newStart(w *Window) *start {
	s := &start{w: w}
	s.read()
	return s
}

// read takes what the window knows of the root.
func (s *start) read() {
	w := s.w
	s.problems = nil
	if w.trouble != nil {
		s.problems = append(s.problems, newProblem(w, w.trouble, w.redraw))
	}
	if w.status == nil {
		return
	}
	for _, p := range w.status.Problems {
		s.problems = append(s.problems, newProblem(w, fault.New(p.Code, "%s", p.Message), w.redraw))
	}
}

func (s *start) leave() { s.task.stop() }

// check asks the gate, as the bot does, and shows its answer.
func (s *start) check() {
	if s.task.running() {
		return
	}
	stage, _ := s.w.mode()
	if stage == slot.Demo {
		stage = slot.Live
	}
	root, built := s.w.root, s.w.in.Built()
	var answer *gate.Answer
	s.answer, s.refused = nil, nil
	s.task = s.w.run(func(ctx context.Context) (err error) {
		answer, err = gate.Check(ctx, root, gate.Options{Stage: stage, Actor: "window", Built: built})
		return err
	}, nil, func(err error) {
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.refused = newProblem(s.w, err, s.w.redraw)
		} else {
			s.answer = answer
		}
		s.w.refreshStatus()
		s.read()
		s.w.redraw()
	})
	s.w.redraw()
}

func (s *start) page() page {
	w := s.w
	p := page{title: w.t("start.title"), lead: w.t("start.lead"), primary: &action{label: w.t("start.install"), do: w.install}}
	var objs []fyne.CanvasObject
	for _, x := range s.problems {
		objs = append(objs, x.panel())
	}
	if w.status == nil {
		p.content = widgets.Column(style.Gap, objs...)
		p.primary = &action{label: w.t("start.again"), do: func() { w.refreshStatus(); s.read(); w.redraw() }}
		return p
	}
	if w.status.Busy != "" {
		objs = append(objs, widgets.NewEdgeCard(widgets.Warning, text(style.Body, w.t("start.busy", "holder", printable.Line(w.status.Busy, 200)))))
	}
	if w.status.Stop != nil {
		objs = append(objs, w.stopCard(w.status.Stop))
	}
	if bots := w.status.Unconfirmed(); len(bots) > 0 {
		objs = append(objs, widgets.NewEdgeCard(widgets.Warning, widgets.Column(4, text(style.BodyStrong, w.t("start.bots", "names", shortList(bots))),
			widgets.Wrapping(0, widgets.LinkButton(w.t("start.live"), w.live)))))
	}
	if c := w.programWarning(); c != nil {
		objs = append(objs, c)
	}
	s.waits(&p, &objs)
	if len(w.status.Versions) == 0 && len(w.status.Stages) == 0 {
		objs = append(objs, s.empty())
	} else {
		objs = append(objs, widgets.NewCard(s.stages()), s.gate())
		if s.refused != nil {
			objs = append(objs, s.refused.panel())
		}
		if len(w.status.Versions) > 0 {
			objs = append(objs, widgets.NewCard(s.versions()))
		}
	}
	if !w.demo {
		objs = append(objs, w.papers())
	}
	var links []fyne.CanvasObject
	if w.status.Policy {
		links = append(links, widgets.LinkButton(w.t("start.people"), w.people))
	}
	if w.status.Trust {
		links = append(links, widgets.LinkButton(w.t("start.trust"), w.trustedKeys))
	}
	if len(links) > 0 {
		objs = append(objs, widgets.Wrapping(16, links...))
	}
	p.content = widgets.Column(style.Gap, objs...)
	p.extra = append(p.extra, action{label: w.t("start.verify"), do: w.verifyOnly})
	if w.demo {
		p.extra = append(p.extra, action{label: w.t("demo.end"), do: w.endDemo})
	}
	return p
}

// papers lead to files from other computers: they can be judged on any machine.
func (w *Window) papers() fyne.CanvasObject {
	return widgets.Wrapping(16, text(style.BodyDim, w.t("papers")), widgets.LinkButton(w.t("papers.request"), w.openRequest), widgets.LinkButton(w.t("papers.pack"), w.openPack))
}

// waits adds what is unfinished; the first of it becomes the page's one way forward.
func (s *start) waits(p *page, objs *[]fyne.CanvasObject) {
	w := s.w
	forward := func(label string, do func()) {
		p.extra = append(p.extra, *p.primary)
		p.primary = &action{label: label, do: do}
	}
	for i, x := range w.status.Waiting {
		version, stage := printable.Line(x.Version, 80), string(x.Stage)
		words := []fyne.CanvasObject{
			widgets.Wrapping(10, text(style.Heading, w.t("start.waiting", "version", version, "stage", stage)), widgets.NewBadge(widgets.Warning, w.t("start.waiting.badge"))),
			text(style.BodyDim, w.t("start.waiting.roles", "roles", w.roles(x.Roles))),
		}
		if len(x.People) > 0 {
			words = append(words, text(style.BodyDim, w.t("start.waiting.people", "people", w.names(x.People))))
		} else {
			words = append(words, text(style.BodyDim, w.t("start.waiting.nobody")))
		}
		if x.NeedsIndependent {
			words = append(words, text(style.BodyDim, w.lang.Text("signoff.needs.independent")))
		}
		words = append(words, w.voided(x.Void)...)
		*objs = append(*objs, widgets.NewEdgeCard(widgets.Warning, widgets.Column(4, words...)))
		if i == 0 {
			forward(w.t("start.finish", "stage", stage), func() { w.finish(x) })
		}
	}
	if version := w.approved(); version != "" {
		*objs = append(*objs, widgets.NewEdgeCard(widgets.Info, widgets.Column(4,
			text(style.Heading, w.t("start.ready", "version", printable.Line(version, 80))), text(style.BodyDim, w.t("start.ready.help")))))
		forward(w.t("start.live"), w.live)
	}
}

// approved is the version that everybody signed for and that is not on; empty for none.
func (w *Window) approved() string {
	if len(w.status.Waiting) > 0 || !slices.Equal(w.status.Next, []string{"live", "enable"}) {
		return ""
	}
	return cmp.Or(w.status.Stages[slot.Paper].Version, w.status.Stages[slot.Live].Version)
}

// names are those of people, by the policy; ids where it does not know them.
func (w *Window) names(ids []string) string {
	var out []string
	for _, id := range ids {
		out = append(out, printable.Line(cmp.Or(w.persons[id], id), 120))
	}
	return strings.Join(out, ", ")
}

// roles are names of roles in the window's language; a site's own stay as they are.
func (w *Window) roles(roles []string) string {
	var out []string
	for _, r := range roles {
		switch r {
		case compliance.RoleOperator, compliance.RoleCompliance:
			r = w.lang.Text("role." + r)
		}
		out = append(out, printable.Line(r, 80))
	}
	return strings.Join(out, ", ")
}

// empty invites to begin, or to try the demo model.
func (s *start) empty() fyne.CanvasObject {
	w := s.w
	objs := []fyne.CanvasObject{text(style.Heading, w.t("start.empty.title")), text(style.BodyDim, w.t("start.empty"))}
	if !w.demo {
		objs = append(objs, widgets.Inset(0, 8, 0, 0, widgets.Wrapping(8, text(style.BodyDim, w.t("start.demo.question")), widgets.LinkButton(w.t("start.demo"), w.startDemo))))
	}
	return widgets.NewCard(widgets.Column(4, objs...))
}

// stages is the table of what each stage runs.
func (s *start) stages() fyne.CanvasObject {
	w := s.w
	t := widgets.NewTable(
		widgets.TableColumn{Title: w.t("start.stage"), Share: 1}, widgets.TableColumn{Title: w.t("start.version"), Share: 1.1},
		widgets.TableColumn{Title: w.t("start.variant"), Share: 1.2}, widgets.TableColumn{Title: w.t("start.state"), Share: 1.3},
		widgets.TableColumn{Title: w.t("start.since"), Share: 1.4})
	var rows []widgets.TableRow
	for _, stage := range slot.Stages() {
		st, ok := w.status.Stages[stage]
		cells := []fyne.CanvasObject{text(style.BodyStrong, string(stage))}
		if !ok {
			cells = append(cells, text(style.BodyDim, "–"), text(style.BodyDim, "–"), widgets.NewBadge(widgets.Neutral, w.t("start.state.none")), text(style.BodyDim, "–"))
		} else {
			badge := widgets.NewBadge(widgets.Good, w.t("start.state.on"))
			switch {
			case st.Revoked:
				badge = widgets.NewBadge(widgets.Wrong, w.t("start.state.revoked"))
			case !st.Enabled:
				badge = widgets.NewBadge(widgets.Warning, w.t("start.state.off"))
			}
			cells = append(cells, widgets.Cell(printable.Line(st.Version, 80)), widgets.Cell(printable.Line(st.Variant, 80)), badge, widgets.Cell(w.stamp(st.At)))
		}
		rows = append(rows, widgets.TableRow{Cells: cells})
	}
	t.SetRows(rows)
	return t
}

// gate is the last answer of the gate, and the way to ask again.
func (s *start) gate() fyne.CanvasObject {
	w := s.w
	var words fyne.CanvasObject
	last := w.status.LastCheck
	switch {
	case s.task.running():
		words = w.waiting(w.t("start.checking"))
	case s.answer != nil && s.answer.Fallback == gate.FallbackAllowed:
		words = widgets.Wrapping(10, widgets.NewBadge(widgets.Warning, w.t("start.check.fallback")), text(style.Body, w.t("start.check.fallback.help")))
	case s.answer != nil:
		words = widgets.Wrapping(10, widgets.NewBadge(widgets.Good, w.t("start.check.open")),
			text(style.Body, w.t("start.check.answer", "version", printable.Line(s.answer.Version, 80), "stage", string(s.answer.Stage))))
	case s.refused != nil:
		words = widgets.Wrapping(10, widgets.NewBadge(widgets.Wrong, w.t("start.check.closed")), text(style.Body, string(s.refused.code)))
	case last == nil:
		words = text(style.BodyDim, w.t("start.check.never"))
	case last.OK:
		words = widgets.Wrapping(10, widgets.NewBadge(widgets.Good, w.t("start.check.open")), text(style.Body, w.t("start.check.last", "when", w.when(last.At), "stage", string(last.Stage))))
	default:
		words = widgets.Wrapping(10, widgets.NewBadge(widgets.Wrong, w.t("start.check.closed")),
			text(style.Body, w.t("start.check.last", "when", w.when(last.At), "stage", string(last.Stage))+" · "+string(last.Code)))
	}
	again := widgets.SecondaryButton(w.t("start.check"), s.check)
	again.SetEnabled(!s.task.running())
	return widgets.NewCard(widgets.Ends(16, widgets.Column(4, text(style.SmallStrong, w.t("start.gate")), words), again))
}

// versions is the table of installed versions.
func (s *start) versions() fyne.CanvasObject {
	w := s.w
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("start.version"), Share: 1}, widgets.TableColumn{Title: w.t("start.variant"), Share: 1},
		widgets.TableColumn{Title: w.t("start.used"), Share: 2})
	var rows []widgets.TableRow
	for _, v := range w.status.Versions {
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			widgets.Cell(printable.Line(orDash(v.Version), 80)), widgets.Cell(printable.Line(orDash(v.Variant), 80)), s.used(v)}})
	}
	t.SetRows(rows)
	if _, ok := w.status.Stages[slot.Paper]; !ok {
		return t
	}
	ways := []fyne.CanvasObject{widgets.LinkButton(w.t("start.live"), w.live)}
	if back := w.status.Stages[slot.Live].Previous; back != "" {
		ways = append(ways, widgets.LinkButton(w.t("live.rollback", "version", printable.Line(back, 80)), w.rollBack))
	}
	ways = append(ways, text(style.BodyDim, w.t("start.reports")))
	return widgets.Column(8, t, widgets.Wrapping(16, append(ways, w.reportLinks(reportsOf(w.status, w.approved()))...)...))
}

// used says what a version is there for.
func (s *start) used(v installer.VersionInfo) fyne.CanvasObject {
	w := s.w
	var out []fyne.CanvasObject
	for _, stage := range v.Stages {
		state := widgets.Info
		if stage == slot.Live {
			state = widgets.Good
		}
		out = append(out, widgets.NewBadge(state, string(stage)))
	}
	if v.WayBack {
		out = append(out, widgets.NewBadge(widgets.Neutral, w.t("start.wayback")))
	}
	if v.Problem != "" {
		out = append(out, widgets.NewBadge(widgets.Wrong, w.t("start.damaged")))
	}
	if len(out) == 0 {
		return text(style.BodyDim, w.t("start.unused"))
	}
	return widgets.Wrapping(6, out...)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
