package ui

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"fyne.io/fyne/v2"
	"golang.org/x/text/unicode/norm"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// people is the register: who may sign what, since when and by whose hand.
type people struct {
	w    *Window
	next func() // for the first people; nil beside the journey

	loaded  bool
	err     error
	policy  *compliance.Policy // nil: none yet
	noSite  bool               // no list of the site yet: nothing could be signed
	changes map[int]policyChange
	task    *task
}

// policyChange is when and by whom a policy was placed, as the log tells.
type policyChange struct {
	at time.Time
	by string
}

// newPeople shows the register. next, when given, is where a new computer goes on once everybody is there.
func newPeople(w *Window, next func()) *people { return &people{w: w, next: next} }

// people opens the register beside the journey.
func (w *Window) people() {
	if _, ok := w.current.(*people); !ok {
		w.aside(newPeople(w, nil))
	}
}

func (s *people) shown() { s.load() }

func (s *people) load() {
	in, root := s.w.in, s.w.root
	if in == nil {
		return
	}
	var policy *compliance.Policy
	noSite, changes := false, map[int]policyChange{}
	s.task = s.w.run(func(context.Context) error {
		store, err := verify.OpenStore(keysFolder(root))
		if err != nil {
			return err
		}
		noSite = !store.Has(verify.Site)
		if policy, err = in.Policy(); err != nil {
			return err
		}
		lines, err := openLogs(root, s.w.c.Now).Read(audit.Demo, audit.Filter{Event: "policy_set"})
		if err == nil { // the register stands without it; the log's own page says what is wrong there
			changes = policyChanges(lines)
		}
		return nil
	}, nil, func(err error) {
		s.loaded, s.err, s.policy, s.noSite, s.changes = true, err, policy, noSite, changes
		if s.w.showing(s) {
			s.w.redraw()
		}
	})
}

// policyChanges finds the outcomes of policies in the log; the number stands in the intent before.
func policyChanges(lines []audit.Line) map[int]policyChange {
	out, intents := map[int]policyChange{}, map[string]string{}
	for _, l := range lines {
		e := l.Entry
		if e.Status == audit.StatusIntent {
			intents[info(e, "op")] = info(e, slot.InfoPolicy)
			continue
		}
		n, err := strconv.Atoi(intents[info(e, "op")])
		at, terr := time.Parse(time.RFC3339, e.Timestamp)
		if e.Status == audit.StatusDone && err == nil && terr == nil {
			out[n] = policyChange{at, e.Actor}
		}
	}
	return out
}

// openLogs opens an installation's logs for reading.
func openLogs(root string, now func() time.Time) *audit.Logs {
	return audit.Open(audit.Options{Dir: filepath.Join(root, filepath.FromSlash(slot.AuditDir)), NextDir: filepath.Join(root, slot.MachineDir), Clock: now})
}

// info is a fact of an entry as text.
func info(e audit.Entry, key string) string {
	s, _ := e.Detail[key].(string)
	return s
}

func (s *people) page() page {
	w := s.w
	p := page{title: w.t("people.title"), lead: w.t("people.lead")}
	if s.next != nil {
		p.title, p.lead = w.t("people.first.title"), w.t("people.first.lead")
		p.extra = []action{{label: w.t("first.later"), do: s.next}}
	} else {
		p.back = w.closeAside
	}
	add := action{label: w.t("people.add"), do: func() { w.aside(newAddPerson(w, s.offered(), s.missing(), s.load)) }}
	switch {
	case !s.loaded:
		p.hint = w.t("busy")
		return p
	case s.err != nil:
		p.content = newProblem(w, s.err, w.redraw).panel()
		return p
	case s.noSite:
		p.content = widgets.NewCard(widgets.Column(8, text(style.Heading, w.t("people.nosite")), text(style.BodyDim, w.t("people.nosite.help"))))
		p.primary = &action{label: w.t("people.nosite.do"), do: func() { w.show(newTrust(w, verify.Site, w.afterSite)) }}
		return p
	}
	missing := s.missing()
	p.primary = &add
	if s.next != nil && len(missing) == 0 {
		p.primary = &action{label: w.t("people.done"), do: s.next}
		p.extra = []action{add}
	}
	var cards []fyne.CanvasObject
	if len(missing) > 0 {
		cards = append(cards, widgets.NewEdgeCard(widgets.Warning, widgets.Column(4,
			text(style.BodyStrong, w.t("people.missing", "roles", w.roles(missing))), text(style.BodyDim, w.t("people.missing.help")))))
	}
	if s.policy != nil && len(s.policy.People) > 0 {
		cards = append(cards, widgets.NewCard(s.table()), text(style.SmallDim, w.t("people.lost")))
	}
	if s.policy != nil && s.next == nil {
		cards = append(cards, w.rules(s.policy), w.questions(s.policy.Checklist))
		p.extra = append(p.extra, action{label: w.t("policy.change"), do: func() { w.aside(newRulesForm(w, s.policy, s.load)) }})
	}
	p.content = widgets.Column(style.Gap, cards...)
	return p
}

// missing are the roles that the stages ask for and nobody has yet.
func (s *people) missing() []string {
	stages := compliance.DefaultStages()
	if s.policy != nil {
		stages = s.policy.Stages
	}
	var out []string
	for _, stage := range []compliance.Stage{compliance.Paper, compliance.Live} {
		for _, role := range stages[stage].Roles {
			has := s.policy != nil && slices.ContainsFunc(s.policy.People, func(p compliance.Person) bool {
				return s.policy.Active(&p) && slices.Contains(p.Roles, role)
			})
			if !has && !slices.Contains(out, role) {
				out = append(out, role)
			}
		}
	}
	return out
}

func (s *people) table() fyne.CanvasObject {
	w := s.w
	columns := []widgets.TableColumn{{Title: w.t("people.person"), Share: 4}, {Title: w.t("people.role"), Share: 3}, {Title: w.t("people.key")},
		{Title: w.t("people.since"), Share: 4}, {Title: w.t("people.state")}}
	wide := w.look.scale < 1.2 // else the key gets a line of its own
	if !wide {
		columns = slices.Delete(columns, 2, 3)
	}
	t := widgets.NewTable(columns...)
	var rows []widgets.TableRow
	for _, p := range s.policy.People {
		active := s.policy.Active(&p)
		state := widgets.Column(4, widgets.NewBadge(widgets.Good, w.t("people.active")))
		if !active {
			state = widgets.Column(4, widgets.NewBadge(widgets.Neutral, w.t("people.retired")))
		}
		if active {
			state.Add(widgets.Wrapping(0, widgets.LinkButton(w.t("people.retire"), func() { w.aside(newRetire(w, p, s.load)) })))
		}
		row := widgets.TableRow{Cells: []fyne.CanvasObject{
			widgets.Column(0, text(style.BodyStrong, printable.Line(p.Name, 200)), text(style.SmallDim, p.ID)),
			widgets.Cell(w.roles(p.Roles)), text(style.Mono, twoLines(fingerprint(p.PublicKey))), s.since(p), state,
		}}
		if !wide {
			row.Cells = slices.Delete(row.Cells, 2, 3)
			row.Below = text(style.Mono, fingerprint(p.PublicKey))
		}
		rows = append(rows, row)
	}
	t.SetRows(rows)
	return t
}

// since says when a person came, went, and by whose hand.
func (s *people) since(p compliance.Person) fyne.CanvasObject {
	w := s.w
	say := func(key string, n int) fyne.CanvasObject {
		c, ok := s.changes[n]
		if !ok {
			return text(style.Body, w.t(key+".policy", "n", n))
		}
		by := ""
		if c.by != "" {
			by = w.t("people.by", "name", printable.Line(c.by, 100))
		}
		return widgets.Column(0, text(style.Body, w.t(key, "at", w.day(c.at.Local()))), text(style.SmallDim, by))
	}
	if p.Retired != 0 {
		return widgets.Column(2, say("people.from", p.Since), say("people.until", p.Retired))
	}
	return say("people.from", p.Since)
}

func fingerprint(pem string) string {
	k, err := bundle.ParsePublicKey([]byte(pem))
	if err != nil {
		return "?"
	}
	return k.Fingerprint()
}

// twoLines breaks a fingerprint in its middle, so that columns of a table stay narrow.
func twoLines(fingerprint string) string {
	g := strings.Fields(fingerprint)
	half := (len(g) + 1) / 2
	return strings.Join(g[:half], " ") + "\n" + strings.Join(g[half:], " ")
}

// signing are the entries for the key that signs the policy.
type signing struct{ key, pass *widgets.Entry }

func newSigning(w *Window, changed func()) signing {
	s := signing{widgets.NewEntry(), widgets.NewPasswordEntry()}
	s.key.SetText(w.siteKey)
	for _, e := range []*widgets.Entry{s.key, s.pass} {
		e.OnChanged = func(string) { changed() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

func (s signing) card(w *Window) fyne.CanvasObject {
	return widgets.NewCard(widgets.Column(12, text(style.Heading, w.t("people.sign")),
		widgets.Row(16, []float32{3, 2}, w.fileField(w.t("people.sitekey"), w.t("people.sitekey.note"), s.key, []string{".key"}),
			field(w.t("people.passphrase"), s.pass, w.t("people.passphrase.note")))))
}

// change signs a new policy with the site's key.
func (s signing) change(w *Window, edit func(p *compliance.Policy) error, done func(error)) *task {
	at, pass, in := typedPath(s.key.Text), s.pass.Text, w.in
	return w.run(func(ctx context.Context) error {
		key, err := readKey(at, pass)
		if err != nil {
			return err
		}
		return setPolicy(ctx, in, key, edit)
	}, nil, func(err error) {
		if err == nil {
			w.siteKey = at
		}
		done(err)
	})
}

// addPerson enters somebody.
type addPerson struct {
	w     *Window
	added func()

	name, id, pub *widgets.Entry
	ownID         bool     // the id was typed, not made from the name
	offered       []string // roles
	role          *widgets.ChoiceList
	chosen        int
	signing       signing
	task          *task
}

// offered are the roles that can be given: those that the stages ask for.
func (s *people) offered() []string {
	out := []string{compliance.RoleOperator, compliance.RoleCompliance}
	if s.policy != nil {
		for _, stage := range []compliance.Stage{compliance.Paper, compliance.Live} {
			for _, r := range s.policy.Stages[stage].Roles {
				if !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

func newAddPerson(w *Window, offered, missing []string, added func()) *addPerson {
	s := &addPerson{w: w, added: added, offered: offered, name: widgets.NewEntry(), id: widgets.NewEntry(), pub: widgets.NewEntry()}
	if len(missing) > 0 {
		s.chosen = max(slices.Index(offered, missing[0]), 0)
	}
	s.signing = newSigning(w, s.enable)
	s.name.OnChanged = func(name string) {
		if !s.ownID {
			s.id.OnChanged = nil
			s.id.SetText(idOf(name))
			s.id.OnChanged = s.typedID
		}
		s.enable()
	}
	s.id.OnChanged = s.typedID
	s.pub.OnChanged = func(string) { s.enable() }
	for _, e := range []*widgets.Entry{s.name, s.id, s.pub} {
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

func (s *addPerson) typedID(string) {
	s.ownID = s.id.Text != ""
	s.enable()
}

// idOf makes an id from a name: the first name in plain letters, as in the command line's examples.
func idOf(name string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(strings.ToLower(name)), " ")
	first = strings.ReplaceAll(first, "ł", "l")
	var b strings.Builder
	for _, r := range norm.NFD.String(first) {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' && b.Len() > 0) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (s *addPerson) ready() bool {
	for _, e := range []*widgets.Entry{s.name, s.id, s.pub, s.signing.key} {
		if strings.TrimSpace(e.Text) == "" {
			return false
		}
	}
	return !s.task.running()
}

func (s *addPerson) enable() {
	if b := s.w.shell.primary; b != nil && s.w.showing(s) {
		b.SetEnabled(s.ready())
	}
}

func (s *addPerson) add() {
	if !s.ready() {
		return
	}
	person := compliance.Person{ID: strings.TrimSpace(s.id.Text), Name: strings.TrimSpace(s.name.Text), Roles: []string{s.offered[s.chosen]}}
	pub := typedPath(s.pub.Text)
	s.task = s.signing.change(s.w, func(p *compliance.Policy) error {
		key, err := readPublicKey(pub)
		if err != nil {
			return err
		}
		person.PublicKey, person.Since = string(key.PEM()), p.Number
		p.People = append(slices.Clone(p.People), person)
		return nil
	}, func(err error) {
		if err != nil {
			s.w.tell(err)
			return
		}
		s.w.refreshStatus()
		s.w.closeAside()
		s.added()
	})
	s.enable()
}

func (s *addPerson) page() page {
	w := s.w
	s.role = &widgets.ChoiceList{Chosen: s.chosen, OnChosen: func(i int) { s.chosen = i }}
	for _, r := range s.offered {
		words := w.t("people.role.site")
		if r == compliance.RoleOperator || r == compliance.RoleCompliance {
			words = w.t("people.role." + r)
		}
		s.role.Add(widgets.Column(0, text(style.BodyStrong, w.roles([]string{r})), text(style.SmallDim, words)), false)
	}
	key := widgets.Column(4, w.fileField(w.t("people.pub"), w.t("people.pub.note"), s.pub, []string{".pub"}),
		widgets.Wrapping(6, text(style.SmallDim, w.t("people.pub.none")), widgets.LinkButton(w.t("people.pub.make"), func() {
			id := strings.TrimSpace(s.id.Text)
			if id == "" {
				w.win.Canvas().Focus(s.name)
				return
			}
			w.aside(newNewKey(w, id, func(pub string) { s.pub.SetText(pub) }))
		})))
	return page{
		title: w.t("people.add.title"), lead: w.t("people.add.lead"), back: w.closeAside, focus: s.name,
		content: widgets.Column(style.Gap,
			widgets.NewCard(widgets.Column(14,
				widgets.Row(16, []float32{3, 2}, field(w.t("people.name"), s.name, ""), field(w.t("people.id"), s.id, w.t("people.id.note"))),
				widgets.Column(4, text(style.SmallStrong, w.t("people.role")), widgets.Row(12, nil, s.role.Objects()...)),
				key)),
			s.signing.card(w)),
		primary: &action{label: w.t("people.add.do"), do: s.add, off: !s.ready()},
	}
}

// retire takes the right to sign from somebody. What they have signed stays provable.
type retire struct {
	w       *Window
	person  compliance.Person
	retired func()
	signing signing
	task    *task
}

func newRetire(w *Window, p compliance.Person, retired func()) *retire {
	s := &retire{w: w, person: p, retired: retired}
	s.signing = newSigning(w, s.enable)
	return s
}

func (s *retire) ready() bool {
	return strings.TrimSpace(s.signing.key.Text) != "" && !s.task.running()
}

func (s *retire) enable() {
	if b := s.w.shell.primary; b != nil && s.w.showing(s) {
		b.SetEnabled(s.ready())
	}
}

func (s *retire) do() {
	if !s.ready() {
		return
	}
	s.task = s.signing.change(s.w, func(p *compliance.Policy) error {
		p.People = slices.Clone(p.People)
		if is := p.Person(s.person.ID); is != nil {
			is.Retired = p.Number
		}
		return nil
	}, func(err error) {
		if err != nil {
			s.w.tell(err)
			return
		}
		s.w.refreshStatus()
		s.w.closeAside()
		s.retired()
	})
	s.enable()
}

func (s *retire) page() page {
	w, p := s.w, s.person
	return page{
		title: w.t("people.retire.title", "name", printable.Line(p.Name, 120)), lead: w.t("people.retire.lead"), back: w.closeAside, focus: s.signing.pass,
		content: widgets.Column(style.Gap,
			widgets.NewCard(widgets.NewKeyValues(widgets.KV(w.t("people.person"), printable.Line(p.Name, 200)+" ("+p.ID+")"),
				widgets.KV(w.t("people.role"), w.roles(p.Roles)), widgets.KeyValue{Key: w.t("people.key"), Value: text(style.Mono, fingerprint(p.PublicKey))})),
			s.signing.card(w), text(style.BodyDim, w.t("people.lost"))),
		primary: &action{label: w.t("people.retire.do"), do: s.do, off: !s.ready()},
	}
}
