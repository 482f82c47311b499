package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"sluice/audit"
	"sluice/installer"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// logPage is the decision log as a table, with the state of its chain on top.
type logPage struct {
	w *Window

	loaded  bool
	states  []installer.LogState
	broken  error // E-LOG-BROKEN names the log and its first bad entry
	lines   map[audit.Log][]audit.Line
	intents map[string]audit.Entry // by operation, of those that have an outcome: they are shown with it
	readErr error

	log      audit.Log // which one is shown; "": all
	refusals bool      // only refusals
	find     *widgets.Entry
	shownN   int             // how many entries, the newest first
	open     map[string]bool // by entry
	task     *task
	list     *fyne.Container // holds the table
}

// entriesAtOnce is how many entries are drawn before "show more".
const entriesAtOnce = 60

// log opens the decision log.
func (w *Window) log() {
	if _, ok := w.current.(*logPage); ok {
		return
	}
	s := &logPage{w: w, find: widgets.NewEntry(), shownN: entriesAtOnce, open: map[string]bool{}}
	s.find.OnChanged = func(string) { s.shownN = entriesAtOnce; s.refill() }
	w.aside(s)
}

func (s *logPage) shown() { s.load() }

func (s *logPage) load() {
	in, root := s.w.in, s.w.root
	if in == nil || s.task.running() {
		return
	}
	var states []installer.LogState
	var broken, readErr error
	lines := map[audit.Log][]audit.Line{}
	s.task = s.w.run(func(ctx context.Context) error {
		states, broken = in.LogVerify(ctx)
		reader := openLogs(root, s.w.c.Now)
		for _, l := range audit.All() {
			if lines[l], readErr = reader.Read(l, audit.Filter{}); readErr != nil {
				break
			}
		}
		return nil
	}, nil, func(error) {
		s.loaded, s.states, s.broken, s.lines, s.readErr = true, states, broken, lines, readErr
		s.intents = settled(lines)
		if s.w.showing(s) {
			s.w.redraw()
		}
	})
}

// settled are the intents that an outcome followed.
func settled(lines map[audit.Log][]audit.Line) map[string]audit.Entry {
	out, open := map[string]audit.Entry{}, map[string]audit.Entry{}
	for _, log := range lines {
		for _, l := range log {
			op := info(l.Entry, "op")
			if op == "" {
				continue
			}
			if l.Entry.Status == audit.StatusIntent {
				open[op] = l.Entry
			} else if intent, ok := open[op]; ok {
				out[op] = intent
			}
		}
	}
	return out
}

func (s *logPage) page() page {
	w := s.w
	s.find.SetPlaceHolder(w.t("log.find"))
	p := page{title: w.t("log.title"), lead: w.t("log.lead"), back: w.closeAside, focus: s.find}
	if !s.loaded {
		p.hint = w.t("busy")
		return p
	}
	p.primary = &action{label: w.t("log.export"), do: func() { w.aside(newLogExport(w)) }, off: s.count() == 0}
	p.extra = []action{{label: w.t("log.again"), do: s.load}, {label: w.t("log.note"), do: func() { w.aside(newNote(w, s.load)) }, off: s.count() == 0}}
	cards := []fyne.CanvasObject{s.chain()}
	s.list = nil
	switch {
	case s.readErr != nil:
		cards = append(cards, newProblem(w, s.readErr, w.redraw).panel())
	case s.count() == 0:
		cards = append(cards, widgets.NewCard(widgets.Column(6, text(style.Heading, w.t("log.empty")), text(style.BodyDim, w.t("log.empty.help")))))
	default:
		s.list = widgets.Column(0, s.table(s.entries()))
		cards = append(cards, s.filter(), s.list)
	}
	p.content = widgets.Column(style.Gap, cards...)
	return p
}

func (s *logPage) count() int {
	n := 0
	for _, l := range s.lines {
		n += len(l)
	}
	return n
}

// chain says of each log whether it is whole.
func (s *logPage) chain() fyne.CanvasObject {
	w := s.w
	if s.broken != nil {
		return newProblem(w, s.broken, w.redraw).panel()
	}
	var rows []widgets.KeyValue
	for _, l := range audit.All() {
		state := fyne.CanvasObject(widgets.NewBadge(widgets.Neutral, w.t("log.none")))
		if i := slices.IndexFunc(s.states, func(x installer.LogState) bool { return x.Log == string(l) }); i >= 0 && s.states[i].Entries > 0 {
			state = widgets.Wrapping(12, widgets.NewBadge(widgets.Good, w.t("log.whole")), text(style.Body, w.n("log.entries", s.states[i].Entries)),
				text(style.Mono, "SHA-384 "+short(s.states[i].Head.String())))
		}
		rows = append(rows, widgets.KeyValue{Key: w.t("log." + string(l)), Value: state})
	}
	return widgets.NewCard(widgets.NewKeyValues(rows...))
}

// short is a digest by its ends, as everywhere in the window.
func short(digest string) string {
	if len(digest) < 24 {
		return digest
	}
	return digest[:4] + " " + digest[4:8] + " … " + digest[len(digest)-8:len(digest)-4] + " " + digest[len(digest)-4:]
}

// filter chooses one log or the refusals of all, and looks for words.
func (s *logPage) filter() fyne.CanvasObject {
	w := s.w
	words, chosen := []string{w.t("log.all")}, 0
	for i, l := range audit.All() {
		words = append(words, w.t("log.short."+string(l)))
		if s.log == l {
			chosen = i + 1
		}
	}
	words = append(words, w.t("log.refusals"))
	if s.refusals {
		chosen = len(words) - 1
	}
	pick := widgets.NewSegments(words, chosen, func(i int) {
		s.log, s.refusals, s.shownN = "", i == len(words)-1, entriesAtOnce
		if i > 0 && !s.refusals {
			s.log = audit.All()[i-1]
		}
		s.refill()
	})
	return widgets.Column(10, pick, s.find)
}

// refill shows the entries that fit now; the rest of the page stays, and the keyboard where it is.
func (s *logPage) refill() {
	if s.list == nil || !s.w.showing(s) {
		return
	}
	s.list.Objects = []fyne.CanvasObject{s.table(s.entries())}
	s.w.reflow()
}

// entry is a line of one of the logs.
type entry struct {
	log  audit.Log
	line audit.Line
}

func (e entry) id() string { return fmt.Sprintf("%s %d", e.log, e.line.Number) }

// entries are those that fit the filter, the newest first.
func (s *logPage) entries() []entry {
	var out []entry
	for _, l := range audit.All() {
		if s.log != "" && s.log != l {
			continue
		}
		for _, line := range s.lines[l] {
			if e := (entry{l, line}); s.fits(e) {
				out = append(out, e)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b entry) int {
		if c := strings.Compare(b.line.Entry.Timestamp, a.line.Entry.Timestamp); c != 0 {
			return c
		}
		return b.line.Number - a.line.Number
	})
	return out
}

func (s *logPage) fits(e entry) bool {
	x := e.line.Entry
	if _, ok := s.intents[info(x, "op")]; ok && x.Status == audit.StatusIntent {
		return false
	}
	if s.refusals && x.Code == "" && e.line.Problem == "" {
		return false
	}
	want := strings.ToLower(strings.TrimSpace(s.find.Text))
	if want == "" {
		return true
	}
	hay := strings.ToLower(strings.Join([]string{x.Event, x.Status, x.Actor, x.Code, x.Incident, x.Stage, x.Timestamp, s.w.event(x.Event), s.w.outcome(x.Status)}, "\n"))
	if plain := audit.NormalizeIncident(want); x.Incident != "" && plain == x.Incident {
		return true
	}
	if strings.Contains(hay, want) {
		return true
	}
	for _, v := range x.Detail {
		if strings.Contains(strings.ToLower(fmt.Sprint(v)), want) {
			return true
		}
	}
	return false
}

// event and outcome are the words for what the log calls by names; a name without words stays as it is.
func (w *Window) event(name string) string { return w.named("event.", name) }

func (w *Window) outcome(status string) string { return w.named("outcome.", status) }

func (w *Window) named(kind, name string) string {
	if key := "ui.log." + kind + name; w.lang.Has(key) {
		return w.lang.Text(key)
	}
	return printable.Line(name, 60)
}

func (s *logPage) table(all []entry) fyne.CanvasObject {
	w := s.w
	if len(all) == 0 {
		return widgets.NewCard(text(style.BodyDim, w.t("log.nothing")))
	}
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("log.when")}, widgets.TableColumn{Title: w.t("log.event"), Share: 5},
		widgets.TableColumn{Title: w.t("log.who"), Share: 3}, widgets.TableColumn{Title: w.t("log.outcome"), Share: 4})
	var rows []widgets.TableRow
	for _, e := range all[:min(len(all), s.shownN)] {
		rows = append(rows, s.row(e))
	}
	t.SetRows(rows)
	objs := []fyne.CanvasObject{t}
	if len(all) > s.shownN {
		objs = append(objs, widgets.Wrapping(0, widgets.LinkButton(w.n("log.more", len(all)-s.shownN), func() { s.shownN *= 4; s.refill() })))
	}
	return widgets.NewCard(widgets.Column(12, objs...))
}

func (s *logPage) row(e entry) widgets.TableRow {
	w, x := s.w, e.line.Entry
	if e.line.Problem != "" {
		return widgets.TableRow{Cells: []fyne.CanvasObject{text(style.Body, fmt.Sprint(e.line.Number)), text(style.Body, w.t("log."+string(e.log))), nil,
			widgets.Column(4, widgets.NewBadge(widgets.Wrong, w.t("log.unreadable")), text(style.SmallDim, printable.Line(e.line.Problem, 200)))}}
	}
	when := x.Timestamp
	if t, err := time.Parse(time.RFC3339, x.Timestamp); err == nil {
		when = w.when(t)
	}
	what := w.event(x.Event)
	if x.Count > 0 {
		what = w.n("log.repeated", x.Count)
	}
	id, below := e.id(), widgets.Column(0)
	below.Hide()
	unfold := func() {
		below.Objects = []fyne.CanvasObject{s.details(e)}
		below.Show()
	}
	if s.open[id] {
		unfold()
	}
	open := widgets.LinkButton(what, func() {
		if s.open[id] = !s.open[id]; s.open[id] {
			unfold()
		} else {
			below.Hide()
		}
		w.reflow()
	})
	return widgets.TableRow{Below: below, Cells: []fyne.CanvasObject{
		text(style.Body, when),
		widgets.Column(0, widgets.Wrapping(0, open), text(style.SmallDim, w.t("log.entry", "log", w.t("log.short."+string(e.log)), "n", e.line.Number))),
		text(style.Body, printable.Line(x.Actor, 100)), s.result(x),
	}}
}

// result is the outcome by word and shape.
func (s *logPage) result(x audit.Entry) fyne.CanvasObject {
	word := s.w.outcome(x.Status)
	switch {
	case x.Code != "":
		return widgets.Column(4, widgets.NewBadge(widgets.Wrong, word), text(style.Mono, strings.TrimSpace(x.Code+" "+x.Incident)))
	case x.Status == audit.StatusIntent || x.Status == "started":
		return widgets.NewBadge(widgets.Neutral, word)
	case x.Status == audit.StatusRefused:
		return widgets.NewBadge(widgets.Wrong, word)
	}
	return widgets.NewBadge(widgets.Good, word)
}

// details are everything that the entry says.
func (s *logPage) details(e entry) fyne.CanvasObject {
	x := e.line.Entry
	lines := []string{x.Timestamp + "  " + x.Event + " / " + x.Status}
	add := func(head string, values map[string]string) {
		for _, k := range slices.Sorted(keysOf(values)) {
			lines = append(lines, head+k+": "+printable.Line(values[k], 300))
		}
	}
	add("", x.Artefacts)
	add("", x.RuntimeFlags)
	detail := map[string]string{}
	for _, d := range []map[string]any{s.intents[info(x, "op")].Detail, x.Detail} {
		for k, v := range d {
			detail[k] = fmt.Sprint(v)
		}
	}
	add("", detail)
	lines = append(lines, "prev: "+x.Prev.String())
	return widgets.Inset(0, 0, 0, 4, text(style.Mono, strings.Join(lines, "\n")))
}

func keysOf[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
