package ui

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// signOff is the acceptance of a stage: what the program found, what people confirm, and their signatures. It serves
// paper and live. The installer decides what counts.
type signOff struct {
	w       *Window
	tested  *installer.Tested // nil: remade from disk
	version string            // which, when remade
	stage   slot.Stage
	next    func(*installer.Approved) // after live is complete

	task     *task
	list     *compliance.Checklist
	signed   *compliance.Approval
	policy   *compliance.Policy
	problem  *problem // instead of the list
	failed   *problem // the last signature was not taken; the list stays
	person   string   // id of who signs now
	answers  map[string]compliance.Answer
	open     map[string]bool
	key      keyFields
	refusing bool
	reason   string
	signing  bool
	result   *installer.SignOffResult
	by       string // who signed last
	records  map[slot.Stage]*slot.Record
	void     []installer.VoidedSignature // do not count any more
	meaning  int                         // of the signature, as in meanings

	asked   *installer.OpenedRequest // somebody else's: decided here, without an installation; nil: the stage of this machine
	file    string                   // name of its file
	answer  []byte                   // what goes back, once it is signed
	refused bool                     // by the answer
	saved   bool

	picture *widgets.Checklist
	lines   []string          // ids of the items by line
	people  *widgets.Segments // the choice of the person; nil: nobody can sign
	why     *widgets.Entry    // the reason of a refusal
}

func newSignOff(w *Window, t *installer.Tested, stage slot.Stage, next func(*installer.Approved)) *signOff {
	s := &signOff{w: w, tested: t, stage: stage, next: next, answers: map[string]compliance.Answer{},
		open: map[string]bool{compliance.IntegrityItem: true}}
	s.key = keyFields{w: w, changed: s.refoot}
	return s
}

// newSignOffOf continues a sign-off on another day: the token is remade from disk. An empty version is the one tested
// last.
func newSignOffOf(w *Window, version string, stage slot.Stage, next func(*installer.Approved)) *signOff {
	s := newSignOff(w, nil, stage, next)
	s.version = version
	return s
}

func (s *signOff) shown() {
	if s.list == nil && s.problem == nil && !s.task.running() {
		s.load()
	}
}

func (s *signOff) leave() {
	s.task.stop()
	s.key.forget()
}

// load reads the checklist and who has signed.
func (s *signOff) load() {
	in, t := s.w.in, s.tested
	var (
		list    *compliance.Checklist
		signed  *compliance.Approval
		policy  *compliance.Policy
		records map[slot.Stage]*slot.Record
		void    []installer.VoidedSignature
	)
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if t == nil {
			if t, err = in.Reopen(ctx, s.version); err != nil {
				return err
			}
		}
		if policy, err = in.Policy(); err != nil {
			return err
		}
		if signed, err = in.Approvals(t, s.stage); err != nil {
			return err
		}
		if void, err = in.VoidSignatures(t, s.stage); err != nil {
			return err
		}
		if records, err = in.Records(); err != nil {
			return err
		}
		list, err = in.Checklist(ctx, t, s.stage)
		return err
	}, nil, func(err error) {
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.problem = newProblem(s.w, err, s.w.redraw)
			s.w.redraw()
			return
		}
		s.tested, s.list, s.signed, s.policy, s.records, s.void = t, list, signed, policy, records, void
		s.choose()
		s.w.redraw()
	})
}

// reload reads everything again, for the same person or the next one.
func (s *signOff) reload() {
	s.list, s.problem = nil, nil
	s.load()
	s.w.redraw()
}

// choose takes the only one who can sign.
func (s *signOff) choose() {
	if people := s.candidates(); len(people) == 1 {
		s.person = people[0].ID
		s.key.file = s.w.demoKey(s.person)
	}
}

// meanings of a signature, the usual one first.
var meanings = []compliance.Meaning{compliance.Approved, compliance.Reviewed, compliance.Prepared}

// candidates are the people who may still sign here: those who fill a missing role, or anybody where only the meaning of
// a signature is missing.
func (s *signOff) candidates() []compliance.Person {
	missing := s.signed.MissingRoles
	var out []compliance.Person
	for _, p := range s.policy.People {
		done := slices.ContainsFunc(s.signed.Signed, func(x compliance.Signed) bool { return x.Person == p.ID })
		fills := len(missing) == 0 || slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(missing, r) })
		if s.asked != nil && s.asked.Request().Person != "" && s.asked.Request().Person != p.ID {
			continue
		}
		if s.policy.Active(&p) && !done && fills && s.roleOf(p) != "" {
			out = append(out, p)
		}
	}
	return out
}

// roleOf is the role in which a person signs this stage: one that is still missing first, else any that is asked for.
func (s *signOff) roleOf(p compliance.Person) string {
	for _, want := range [][]string{s.signed.MissingRoles, s.policy.Stages[compliance.Stage(s.stage)].Roles} {
		for _, r := range want {
			if slices.Contains(p.Roles, r) {
				return r
			}
		}
	}
	return ""
}

// role is that of the person who signs now, empty before one is chosen.
func (s *signOff) role() string {
	if p := s.policy.Person(s.person); p != nil {
		return s.roleOf(*p)
	}
	return ""
}

// mine says whether the person who signs now is asked this.
func (s *signOff) mine(it compliance.Item) bool {
	role := s.role()
	return role != "" && !it.Automatic && (it.Role == role || it.Role == compliance.RoleEvery)
}

// open questions of the person who signs now; blocked names the first answer with which nobody can approve.
func (s *signOff) left() (open int, blocked bool) {
	for _, it := range s.list.For(s.role()) {
		a := s.answers[it.ID]
		switch {
		case a.Answer == "", a.Answer != compliance.Yes && strings.TrimSpace(a.Comment) == "":
			open++
		case a.Answer == compliance.No && !it.Optional, it.ID == compliance.IntegrityItem && a.Answer != compliance.Yes:
			blocked = true
		}
	}
	return open, blocked
}

// ready says whether the signature can be asked for, and if not, why.
func (s *signOff) ready() (ok bool, hint string) {
	w := s.w
	switch {
	case s.signing:
		return false, w.t("signoff.signing")
	case s.person == "":
		return false, w.t("signoff.hint.person")
	case s.refusing && strings.TrimSpace(s.reason) == "":
		return false, w.t("signoff.hint.reason")
	case !s.refusing && len(s.list.Failed()) > 0:
		return false, w.t("signoff.hint.failed")
	}
	if !s.refusing {
		if open, blocked := s.left(); open > 0 {
			return false, w.n("signoff.hint.open", open)
		} else if blocked {
			return false, w.t("signoff.hint.blocked")
		}
	}
	if !s.key.ready() {
		return false, w.t("signoff.hint.key")
	}
	return true, w.t("signoff.hint.ready", "name", s.name(s.person))
}

func (s *signOff) name(id string) string {
	if p := s.policy.Person(id); p != nil {
		return printable.Line(p.Name, 80)
	}
	return id
}

// sign asks the installer to take the decision.
func (s *signOff) sign() {
	if ok, _ := s.ready(); !ok {
		return
	}
	answers := s.list.NewAnswers(s.role())
	for i := range answers.Answers {
		if a, ok := s.answers[answers.Answers[i].ID]; ok {
			if a.Answer == compliance.Yes {
				a.Comment = ""
			}
			answers.Answers[i] = a
		}
	}
	o := installer.SignOffOptions{Stage: s.stage, Operator: s.person, Role: s.role(), Answers: answers, Meaning: meanings[s.meaning], Lang: string(s.w.lang)}
	if s.refusing {
		o.Refuse, o.Reason, o.Answers = true, strings.TrimSpace(s.reason), nil
	}
	in, t, read, q, now := s.w.in, s.tested, s.key.read(), s.asked, s.w.c.Now
	s.signing, s.failed = true, nil
	s.key.forget()
	var done *installer.SignOffResult
	var answer []byte
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if o.Key, err = read(); err != nil {
			return err
		}
		if q != nil {
			answer, err = q.Sign(installer.RequestSignOptions{Key: o.Key, Person: o.Operator, Role: o.Role, Meaning: o.Meaning, Answers: o.Answers,
				Refuse: o.Refuse, Reason: o.Reason, Lang: o.Lang, Now: now()})
			return err
		}
		done, err = in.SignOff(ctx, t, o)
		return err
	}, nil, func(err error) {
		s.signing = false
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.failed = newProblem(s.w, err, s.w.redraw)
			s.w.redraw()
			s.w.shell.scrollTop()
			return
		}
		if q != nil {
			s.by, s.answer, s.refused = s.name(o.Operator), answer, o.Refuse
			s.w.redraw()
			s.w.shell.scrollTop()
			return
		}
		s.taken(done, s.name(o.Operator))
	})
	s.w.redraw()
}

// taken shows what the signature led to.
func (s *signOff) taken(done *installer.SignOffResult, by string) {
	s.by, s.result = by, done
	s.w.refreshStatus()
	if done.Complete && s.stage == slot.Live && s.next != nil {
		s.next(done.Approved)
		return
	}
	if !done.Complete && !done.Refused { // the next person may sign right here
		s.person, s.key.file = "", ""
		s.answers, s.meaning = map[string]compliance.Answer{}, 0
		s.list = nil
		s.load()
	}
	s.w.redraw()
	s.w.shell.scrollTop()
}

func (s *signOff) page() page {
	w := s.w
	p := page{step: stepSignOff, title: w.t("signoff.title." + string(s.stage)), lead: w.t("signoff.lead"), cancel: w.home,
		words: map[string]string{"cancel": w.t("signoff.later")}}
	if s.asked != nil {
		p.step, p.title, p.cancel, p.words = 0, w.t("request.decide.title", "stage", string(s.stage), "version", printable.Line(s.list.Version, 64)), w.closeAside, nil
	}
	switch {
	case s.answer != nil:
		return s.endElsewhere()
	case s.problem != nil:
		p.title, p.lead, p.content = s.problem.title(), w.t("problem.lead"), s.problem.panel()
		p.cancel = nil
		if s.problem.code == fault.PolicyNone {
			p.extra = append(p.extra, action{label: w.t("signoff.people"), do: w.people})
		}
		p.extra = append(p.extra, action{label: w.t("problem.save"), do: func() { w.saveCopy("sluice-"+s.problem.incident+".txt", []byte(s.problem.report())) }})
		p.primary = &action{label: w.t("button.close"), do: w.home}
	case s.list == nil:
		p.content = widgets.NewCard(w.waiting(w.t("signoff.loading")))
		p.primary = &action{label: w.t("signoff.sign"), off: true}
	case s.result != nil && (s.result.Complete || s.result.Refused):
		return s.end()
	case s.refusing:
		return s.refusal(p)
	default:
		s.fill(&p)
	}
	return p
}

// fill is the page with the checklist.
func (s *signOff) fill(p *page) {
	w := s.w
	var objs []fyne.CanvasObject
	if s.failed != nil {
		objs = append(objs, s.failed.panel())
	}
	if s.asked != nil {
		objs = append(objs, s.about())
	}
	if s.result != nil {
		words := []fyne.CanvasObject{text(style.BodyStrong, w.t("signoff.taken", "name", s.by))}
		if len(s.signed.MissingRoles) > 0 {
			words = append(words, text(style.BodyDim, w.t("signoff.missing", "roles", w.roles(s.signed.MissingRoles))))
		}
		switch {
		case s.result.NeedsApproved:
			words = append(words, text(style.BodyDim, w.lang.Text("signoff.needs.approved")))
		case s.result.NeedsIndependent:
			words = append(words, text(style.BodyDim, w.lang.Text("signoff.needs.independent")))
		}
		objs = append(objs, widgets.NewEdgeCard(widgets.Good, widgets.Column(2, words...)))
	}
	if len(s.void) > 0 {
		objs = append(objs, widgets.NewEdgeCard(widgets.Warning, widgets.Column(6, w.voided(s.void)...)))
	}
	objs = append(objs, widgets.NewCard(s.who()), widgets.NewCard(s.checklist()), s.signatures())
	if s.person != "" {
		objs = append(objs, widgets.NewCard(widgets.Column(12, s.means(), text(style.BodyStrong, w.t("signoff.key", "name", s.name(s.person))), s.key.draw())))
	}
	p.content = widgets.Column(style.Gap, objs...)
	s.buttons(p)
}

// means is the choice of what the signature means.
func (s *signOff) means() fyne.CanvasObject {
	var words []string
	for _, m := range meanings {
		words = append(words, s.w.lang.Text("meaning."+string(m)))
	}
	return widgets.Column(8, text(style.BodyStrong, s.w.t("signoff.meaning")), widgets.NewSegments(words, s.meaning, func(i int) { s.meaning = i }))
}

// voided says which signatures do not count any more, and what changed after them.
func (w *Window) voided(list []installer.VoidedSignature) []fyne.CanvasObject {
	var out []fyne.CanvasObject
	for _, v := range list {
		var changed []string
		for _, c := range v.Changed {
			changed = append(changed, compliance.ChangeText(c, w.lang))
		}
		out = append(out, text(style.Body, w.lang.Text("status.void", "person", printable.Line(v.Person, 80), "stage", string(v.Stage), "changed", printable.Line(strings.Join(changed, "; "), 600))))
	}
	return out
}

// buttons are the footer of the page with the checklist and of the refusal.
func (s *signOff) buttons(p *page) {
	w := s.w
	ok, hint := s.ready()
	p.hint = hint
	p.missing = s.missing
	if s.refusing {
		p.back = func() { s.refusing, s.failed = false, nil; w.redraw() }
		p.primary = &action{label: w.t("signoff.refuse.sign"), do: s.sign, off: !ok}
		return
	}
	p.extra = []action{{label: w.t("signoff.refuse"), do: func() {
		s.refusing, s.failed = true, nil
		w.redraw()
		w.shell.scrollTop()
	}, off: s.signing || len(s.candidates()) == 0}}
	p.primary = &action{label: w.t("signoff.sign"), do: s.sign, off: !ok}
}

// missing is what is to be filled in next: the person, an answer or comment, the reason, the key.
func (s *signOff) missing() fyne.Focusable {
	switch {
	case s.signing:
		return nil
	case s.person == "":
		if s.people == nil {
			return nil
		}
		return s.people
	case s.refusing && strings.TrimSpace(s.reason) == "":
		return s.why
	}
	if open, _ := s.left(); open > 0 && !s.refusing {
		if f := s.picture.Focus(); f != nil {
			return f
		}
	}
	return s.key.missing()
}

// refoot says again what is missing, after an answer.
func (s *signOff) refoot() {
	if !s.w.showing(s) || s.list == nil {
		return
	}
	p := page{cancel: s.w.home}
	if s.asked != nil {
		p.cancel = s.w.closeAside
	}
	s.buttons(&p)
	s.w.refoot(p)
}

// who is the choice of the person.
func (s *signOff) who() fyne.CanvasObject {
	w := s.w
	people := s.candidates()
	if s.people = nil; len(people) == 0 {
		if s.asked != nil {
			return text(style.Body, w.t("request.nobody"))
		}
		return text(style.Body, w.t("signoff.nobody"))
	}
	var names []string
	chosen := -1
	for i, p := range people {
		names = append(names, printable.Line(p.Name, 60)+" ("+w.roles([]string{s.roleOf(p)})+")")
		if p.ID == s.person {
			chosen = i
		}
	}
	s.people = widgets.NewSegments(names, chosen, func(i int) {
		if people[i].ID == s.person {
			return
		}
		s.person, s.failed = people[i].ID, nil
		s.answers, s.meaning = map[string]compliance.Answer{}, 0 // answers are one person's word
		s.key.file = w.demoKey(s.person)
		s.key.forget()
		w.redraw()
	})
	objs := []fyne.CanvasObject{text(style.BodyStrong, w.t("signoff.who")), s.people}
	if s.asked == nil && !s.refusing && !w.demo {
		objs = append(objs, s.otherwise())
	}
	return widgets.Column(8, objs...)
}

// otherwise are the ways of a person who signs on another computer.
func (s *signOff) otherwise() fyne.CanvasObject {
	w := s.w
	return widgets.Wrapping(12, text(style.BodyDim, w.t("signoff.elsewhere")), widgets.LinkButton(w.t("signoff.request"), s.request), widgets.LinkButton(w.t("signoff.attach"), s.attach))
}

// replies are the answers in the order of their words.
var replies = []compliance.Reply{compliance.Yes, compliance.No, compliance.NotApplicable}

// offered are the replies that the evidence of an item allows, with their words, and why "yes" is not among them.
func (s *signOff) offered(it compliance.Item) (out []compliance.Reply, words []string, why string) {
	for i, r := range replies {
		if s.list.Allows(it.ID, r) == nil {
			out = append(out, r)
			words = append(words, s.w.t([]string{"signoff.yes", "signoff.no", "signoff.na"}[i]))
		}
	}
	switch {
	case slices.Contains(out, compliance.Yes):
	case slices.Contains(out, compliance.NotApplicable):
		why = s.w.t("signoff.noyes.none")
	default:
		why = s.w.t("signoff.noyes.failed")
	}
	return out, words, why
}

// checklist is the table.
func (s *signOff) checklist() fyne.CanvasObject {
	w := s.w
	var items []widgets.ChecklistItem
	s.lines = nil
	for _, it := range s.list.Items {
		line, id := len(items), it.ID
		s.lines = append(s.lines, id)
		words := it.In(w.lang)
		c := widgets.ChecklistItem{Step: printable.Line(words.Step, 500), Responsible: s.responsible(it), Artifacts: s.artifacts(it, words),
			Criterion: printable.Line(words.Acceptance, 1000), Open: s.open[id], OnOpen: func(open bool) { s.open[id] = open }, Answer: -1}
		c.State, c.Status = s.acceptance(it)
		c.Evidence = s.evidence(it)
		if s.mine(it) {
			a := s.answers[id]
			may, answers, why := s.offered(it)
			c.Answers, c.Note = answers, why
			c.Answer = slices.Index(may, a.Answer)
			c.NeedsComment, c.Comment, c.Hint = c.Answer >= 0 && a.Answer != compliance.Yes, a.Comment, w.t("signoff.comment")
			c.OnAnswer = func(i int) {
				a := s.answers[id]
				s.answers[id] = compliance.Answer{ID: id, Answer: may[i], Comment: a.Comment}
				s.answered(line, it)
			}
			c.OnComment = func(text string) {
				a := s.answers[id]
				a.ID, a.Comment = id, text
				s.answers[id] = a
				s.answered(line, it)
			}
		}
		items = append(items, c)
	}
	s.picture = widgets.NewChecklist([4]string{w.t("signoff.step"), w.t("signoff.responsible"), w.t("signoff.artifacts"), w.t("signoff.acceptance")}, items)
	s.picture.OnReflow = w.reflow
	return s.picture
}

// answered shows an answer without drawing the page again: the keyboard stays where it is.
func (s *signOff) answered(line int, it compliance.Item) {
	state, word := s.acceptance(it)
	s.picture.SetStatus(line, state, word)
	s.picture.SetNeedsComment(line, s.answers[it.ID].Answer != compliance.Yes && s.answers[it.ID].Answer != "")
	s.refoot()
}

func (s *signOff) responsible(it compliance.Item) string {
	switch {
	case it.Automatic:
		return s.w.t("signoff.program")
	case it.Role == compliance.RoleEvery:
		return s.w.t("signoff.every")
	}
	return s.w.roles([]string{it.Role})
}

// acceptance is the word in the last column.
func (s *signOff) acceptance(it compliance.Item) (widgets.State, string) {
	w := s.w
	if it.Automatic {
		switch fact := s.list.Evidence[it.Evidence]; {
		case fact.Passed:
			return widgets.Good, w.t("signoff.auto")
		case it.Optional:
			return widgets.Warning, w.t("signoff.auto.bad")
		}
		return widgets.Wrong, w.t("signoff.auto.bad")
	}
	if s.mine(it) {
		a := s.answers[it.ID]
		switch {
		case a.Answer == "":
			return widgets.Warning, w.t("signoff.confirm")
		case a.Answer != compliance.Yes && strings.TrimSpace(a.Comment) == "":
			return widgets.Warning, w.t("signoff.comment.missing")
		case a.Answer == compliance.No && it.Optional:
			return widgets.Warning, w.t("signoff.no")
		case a.Answer == compliance.No:
			return widgets.Wrong, w.t("signoff.no")
		case a.Answer == compliance.NotApplicable:
			return widgets.Neutral, w.t("signoff.na")
		}
		return widgets.Good, w.t("signoff.yes")
	}
	for i := len(s.signed.Signed) - 1; i >= 0; i-- {
		x := s.signed.Signed[i]
		for _, d := range x.Decision.Items {
			if d.ID == it.ID && d.Answer != "" {
				state := widgets.Good
				if d.Answer != compliance.Yes {
					state = widgets.Neutral
				}
				return state, printable.Line(x.Name, 40) + ", " + w.stamp(x.SignedAt)
			}
		}
	}
	return widgets.Warning, w.t("signoff.waits")
}

// artifacts is the shortest that tells a line's evidence apart; else the checklist's own words.
func (s *signOff) artifacts(it compliance.Item, words compliance.ItemText) string {
	w, f := s.w, s.list.Evidence[it.Evidence]
	number := func(name string) int {
		n, _ := strconv.Atoi(f.Values[name])
		return n
	}
	switch it.Evidence {
	case compliance.EvidenceManifest:
		return "manifest " + widgets.ShortDigest(f.Values["manifest_sha384"])
	case compliance.EvidenceGolden:
		return w.n("smoke.cases", number("cases"), "done", number("cases"))
	case compliance.EvidenceRollback:
		if v := f.Values["version"]; v != "" && v != "none" {
			return w.t("signoff.wayback", "version", v)
		}
		return w.t("signoff.wayback.none")
	}
	return printable.Line(words.Artifacts, 300)
}

// mostSources is how many files of a line's evidence can be opened from it.
const mostSources = 12

// evidence is what the program found for a line, by name and value.
func (s *signOff) evidence(it compliance.Item) []widgets.KeyValue {
	w := s.w
	f, ok := s.list.Evidence[it.Evidence]
	if !ok {
		return nil
	}
	var out []widgets.KeyValue
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		v := printable.Line(f.Values[name], 200)
		value := text(style.Small, v)
		switch _, err := bundle.ParseDigest(v); {
		case err == nil:
			value = widgets.NewWholeDigest(v)
		case strings.HasPrefix(name, "signer_"):
			value = text(style.Mono, v)
		}
		out = append(out, widgets.KeyValue{Key: w.evidenceName(name), Value: value})
	}
	for i, src := range f.Sources {
		if i == mostSources {
			break
		}
		if s.asked != nil { // it lies on the computer that asks
			out = append(out, widgets.KeyValue{Key: w.t("request.there"), Value: text(style.Mono, printable.Line(src.Path, 200)+"\nSHA-384 "+widgets.ShortDigest(src.SHA384.String()))})
			continue
		}
		out = append(out, widgets.KeyValue{Key: w.t("evidence.open"), Value: widgets.Wrapping(0, widgets.LinkButton(shorten(src.Path, 60), func() { w.openEvidence(src) }))})
	}
	return out
}

// evidenceName is the name of a value for people; what only the bundle knows keeps its own.
func (w *Window) evidenceName(name string) string {
	base, n := name, ""
	if i := strings.LastIndexByte(name, '_'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			base, n = name[:i], " "+name[i+1:]
		}
	}
	if key := "evidence." + base; w.lang.Has("ui." + key) {
		return w.t(key) + n
	}
	for suffix, key := range map[string]string{"_min": "evidence.min", "_max": "evidence.max", "_entries": "evidence.entries", "_sha384": "evidence.head"} {
		if part, ok := strings.CutSuffix(name, suffix); ok {
			return w.t(key, "name", printable.Line(part, 64))
		}
	}
	return printable.Line(name, 64)
}

// signatures are a card for each signature that the stage needs.
func (s *signOff) signatures() fyne.CanvasObject {
	w := s.w
	var cards []fyne.CanvasObject
	used := map[string]bool{}
	for _, role := range s.policy.Stages[compliance.Stage(s.stage)].Roles {
		var by *compliance.Signed
		for i, x := range s.signed.Signed {
			if x.Role == role && !used[x.Person] {
				by, used[x.Person] = &s.signed.Signed[i], true
				break
			}
		}
		objs := []fyne.CanvasObject{text(style.BodyStrong, w.t("signoff.by", "role", w.roles([]string{role})))}
		if by != nil {
			objs = append(objs, text(style.BodyDim, printable.Line(by.Name, 80)+", "+w.stamp(by.SignedAt)), widgets.NewBadge(widgets.Good, w.t("signoff.signed")))
		} else {
			who := w.t("signoff.nobody.role")
			if names := s.able(role); len(names) > 0 {
				who = strings.Join(names, ", ")
			}
			objs = append(objs, text(style.BodyDim, who), widgets.NewBadge(widgets.Warning, w.t("signoff.unsigned")))
		}
		cards = append(cards, widgets.NewCard(widgets.Column(6, objs...)))
	}
	return widgets.Row(style.Gap, nil, cards...)
}

// able are the names of those who could sign in a role.
func (s *signOff) able(role string) []string {
	var out []string
	for _, p := range s.candidates() {
		if slices.Contains(p.Roles, role) {
			out = append(out, printable.Line(p.Name, 60))
		}
	}
	return out
}

// refusal is the page on which a person refuses to sign.
func (s *signOff) refusal(p page) page {
	w := s.w
	p.title, p.lead = w.t("signoff.refuse.title"), w.t("signoff.refuse.lead")
	reason := widgets.NewEntry()
	reason.SetText(s.reason)
	reason.OnChanged = func(t string) { s.reason = t; s.refoot() }
	reason.OnSubmitted = func(string) { w.shell.press() }
	s.why = reason
	var objs []fyne.CanvasObject
	if s.failed != nil {
		objs = append(objs, s.failed.panel())
	}
	objs = append(objs, widgets.NewCard(widgets.Column(16, s.who(), field(w.t("signoff.reason"), reason, w.t("signoff.reason.note")))))
	if s.person != "" {
		objs = append(objs, widgets.NewCard(widgets.Column(12, text(style.BodyStrong, w.t("signoff.key", "name", s.name(s.person))), s.key.draw())))
	}
	p.content = widgets.Column(style.Gap, objs...)
	p.cancel = nil
	s.buttons(&p)
	if s.reason == "" && s.person != "" {
		p.focus = reason
	}
	return p
}

// end is the page after the last signature of paper, after live where nobody goes on, and after a refusal.
func (s *signOff) end() page {
	w, r := s.w, s.result
	m := s.tested.Manifest()
	p := page{step: stepSignOff, done: stepSignOff, title: w.t("signoff.done."+string(s.stage), "version", m.Version), lead: w.t("signoff.done." + string(s.stage) + ".lead")}
	state := widgets.Good
	if r.Refused {
		p.title, p.lead, p.done, state = w.t("signoff.refused", "stage", string(s.stage)), w.t("signoff.refused.lead"), 0, widgets.Warning
	}
	facts := widgets.NewKeyValues(
		widgets.KV(w.t("live.version"), printable.Line(m.ModelFamily, 64)+" "+m.Version+", "+w.t("live.variant", "variant", s.tested.Record().Variant)),
		widgets.KeyValue{Key: w.t("live.manifest"), Value: widgets.NewDigest("SHA-384", s.tested.ManifestSHA384().String())},
		widgets.KV(w.t("signoff.person"), s.by),
		widgets.KeyValue{Key: w.t("live.document"), Value: text(style.Mono, r.Report)})
	objs := []fyne.CanvasObject{widgets.NewEdgeCard(state, facts)}
	if !r.Refused {
		rungs := w.rungs(s.records)
		rungs[1] = widgets.Rung{State: widgets.RungReached, Name: "Paper", Lines: []string{m.Version + ", " + w.t("time.now"), s.by}}
		rungs[2] = w.nextLive(s.records[slot.Live], m.Version)
		objs = append([]fyne.CanvasObject{widgets.NewCard(widgets.NewLadder(rungs...))}, objs...)
	}
	p.content = widgets.Column(style.Gap, objs...)
	p.extra = []action{{label: w.t("report.save.pdf"), do: func() { w.saveReport(r.PDF) }}, {label: w.t("report.save.pack"), do: func() { w.saveReport(r.Evidence) }}}
	p.primary = &action{label: w.t("button.done"), do: w.home}
	return p
}
