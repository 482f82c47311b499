package ui

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/compliance"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// rules are what the policy says beside its people.
func (w *Window) rules(p *compliance.Policy) fyne.CanvasObject {
	yes := func(on bool, is, not string) string {
		if on {
			return w.t(is)
		}
		return w.t(not)
	}
	var kv []widgets.KeyValue
	for _, stage := range []compliance.Stage{compliance.Paper, compliance.Live} {
		kv = append(kv, widgets.KV(w.lang.Text("policy.signs", "stage", string(stage)), w.roles(p.Stages[stage].Roles)))
	}
	kv = append(kv, widgets.KV(w.t("policy.models"), yes(p.RequireModels, "policy.models.yes", "policy.models.no")))
	closing, emergency, age := w.lang.Text("policy.keeps"), w.lang.Text("policy.emergency-paper"), w.t("policy.age.none")
	if p.CloseOnExpiry {
		closing = w.lang.Text("policy.closes")
	}
	if p.EmergencyLiveHours > 0 {
		emergency = w.lang.Text("policy.emergency-hours", "n", p.EmergencyLiveHours)
	}
	if p.MaxAgeDays > 0 {
		age = w.lang.Count("knowledge.days", p.MaxAgeDays)
	}
	kv = append(kv, widgets.KV(w.lang.Text("policy.close-on-expiry"), closing), widgets.KV(w.lang.Text("policy.max-age"), age), widgets.KV(w.lang.Text("policy.emergency"), emergency))
	objs := []fyne.CanvasObject{text(style.Heading, w.t("policy.title", "n", p.Number)), widgets.NewKeyValues(kv...)}
	return widgets.NewCard(widgets.Column(10, objs...))
}

// questions are the site's own.
func (w *Window) questions(items []compliance.Item) fyne.CanvasObject {
	objs := []fyne.CanvasObject{text(style.Heading, w.t("policy.questions"))}
	if len(items) == 0 {
		return widgets.NewCard(widgets.Column(4, append(objs, text(style.BodyDim, w.t("policy.questions.none")))...))
	}
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("signoff.step"), Share: 6}, widgets.TableColumn{Title: w.t("signoff.responsible"), Share: 2}, widgets.TableColumn{Title: w.t("start.stage")})
	var rows []widgets.TableRow
	for _, it := range items {
		who := w.roles([]string{it.Role})
		switch {
		case it.Automatic:
			who = w.t("signoff.program")
		case it.Role == compliance.RoleEvery:
			who = w.t("signoff.every")
		}
		words := it.In(w.lang)
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			widgets.Column(0, text(style.Body, printable.Line(words.Step, 500)), text(style.SmallDim, printable.Line(words.Acceptance, 500))), widgets.Cell(who), widgets.Cell(string(it.Stage))}})
	}
	t.SetRows(rows)
	return widgets.NewCard(widgets.Column(8, append(objs, t)...))
}

// rulesForm changes what the policy says beside its people.
type rulesForm struct {
	w       *Window
	was     *compliance.Policy
	changed func()

	roles      map[compliance.Stage]*widgets.Entry
	age, hours *widgets.Entry
	questions  *widgets.Entry // a file; empty: they stay
	models     int            // 0: required
	closing    int            // 0: live goes on
	signing    signing
	task       *task
}

func newRulesForm(w *Window, was *compliance.Policy, changed func()) *rulesForm {
	s := &rulesForm{w: w, was: was, changed: changed, age: widgets.NewEntry(), hours: widgets.NewEntry(), questions: widgets.NewEntry(),
		roles: map[compliance.Stage]*widgets.Entry{compliance.Paper: widgets.NewEntry(), compliance.Live: widgets.NewEntry()}}
	for stage, e := range s.roles {
		e.SetText(strings.Join(was.Stages[stage].Roles, ", "))
	}
	s.age.SetText(strconv.Itoa(was.MaxAgeDays))
	s.hours.SetText(strconv.Itoa(was.EmergencyLiveHours))
	if !was.RequireModels {
		s.models = 1
	}
	if was.CloseOnExpiry {
		s.closing = 1
	}
	for _, e := range []*widgets.Entry{s.age, s.hours, s.questions, s.roles[compliance.Paper], s.roles[compliance.Live]} {
		e.OnChanged = func(string) { s.enable() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	s.signing = newSigning(w, s.enable)
	return s
}

func number(e *widgets.Entry) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(e.Text))
	return n, err == nil && n >= 0
}

func (s *rulesForm) missing() fyne.Focusable {
	for _, e := range []*widgets.Entry{s.age, s.hours} {
		if _, ok := number(e); !ok {
			return e
		}
	}
	if strings.TrimSpace(s.signing.key.Text) == "" {
		return s.signing.key
	}
	return nil
}

func (s *rulesForm) ready() bool { return s.missing() == nil && !s.task.running() }

func (s *rulesForm) enable() {
	if s.w.showing(s) {
		s.w.shell.setPrimary(s.ready())
	}
}

// edit makes the next policy; whether it may be so, the core says.
func (s *rulesForm) edit(file string) func(p *compliance.Policy) error {
	age, _ := number(s.age)
	hours, _ := number(s.hours)
	models, closing := s.models == 0, s.closing == 1
	stages := map[compliance.Stage]compliance.StagePolicy{}
	for stage, e := range s.roles {
		var roles []string
		for r := range strings.SplitSeq(e.Text, ",") {
			if r = strings.TrimSpace(r); r != "" {
				roles = append(roles, r)
			}
		}
		stages[stage] = compliance.StagePolicy{Roles: roles}
	}
	return func(p *compliance.Policy) error {
		if file != "" {
			raw, err := readFile(file, compliance.MaxItemsSize)
			if err != nil {
				return err
			}
			if p.Checklist, err = compliance.ParseItems(raw); err != nil {
				return fmt.Errorf("reading %q: %w", file, err)
			}
		}
		p.Stages = maps.Clone(stages)
		p.MaxAgeDays, p.EmergencyLiveHours, p.RequireModels, p.CloseOnExpiry = age, hours, models, closing
		return nil
	}
}

func (s *rulesForm) do() {
	if !s.ready() {
		return
	}
	s.task = s.signing.change(s.w, s.edit(typedPath(s.questions.Text)), func(err error) {
		if err != nil {
			s.w.tell(err)
			return
		}
		s.w.refreshStatus()
		s.w.closeAside()
		s.changed()
	})
	s.enable()
}

func (s *rulesForm) page() page {
	w := s.w
	choice := func(label string, words []string, at *int) fyne.CanvasObject {
		return widgets.Column(4, text(style.SmallStrong, label), widgets.NewSegments(words, *at, func(i int) { *at = i }))
	}
	return page{title: w.t("policy.change.title"), lead: w.t("policy.change.lead"), back: w.closeAside, focus: s.roles[compliance.Paper], missing: s.missing,
		content: widgets.Column(style.Gap, widgets.NewCard(widgets.Column(14,
			widgets.Row(16, []float32{1, 1},
				field(w.lang.Text("policy.signs", "stage", string(compliance.Paper)), s.roles[compliance.Paper], w.t("policy.roles.note")),
				field(w.lang.Text("policy.signs", "stage", string(compliance.Live)), s.roles[compliance.Live], w.t("policy.roles.note"))),
			choice(w.t("policy.models"), []string{w.t("policy.models.yes"), w.t("policy.models.no")}, &s.models),
			choice(w.lang.Text("policy.close-on-expiry"), []string{w.lang.Text("policy.keeps"), w.lang.Text("policy.closes")}, &s.closing),
			widgets.Row(16, []float32{1, 1}, field(w.t("policy.age"), s.age, w.t("policy.age.note")), field(w.t("policy.hours"), s.hours, w.t("policy.hours.note", "n", compliance.MaxEmergencyHours))),
			w.fileField(w.t("policy.questions.file"), w.t("policy.questions.note"), s.questions, nil))), s.signing.card(w)),
		primary: &action{label: w.t("policy.change.do"), do: s.do, off: !s.ready()}}
}
