package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"sluice/installer"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// lookForBots is how often their leases are read while somebody waits for a bot to stop.
const lookForBots = 3 * time.Second

// lookAfter reads the leases again and again while there are any.
func (s *live) lookAfter() {
	if s.watching != nil || len(s.bots) == 0 {
		return
	}
	in := s.w.in
	s.watching = s.w.watch(lookForBots, func(context.Context) func() {
		st, err := in.Status()
		if err != nil {
			return nil // the page's own reading says what is wrong
		}
		return func() {
			if s.w.showing(s) && s.doing == "" && !slices.Equal(st.Bots, s.bots) {
				s.bots = st.Bots
				s.w.redraw()
			}
		}
	})
}

// botsCard says which bots confirmed that they stopped, and who has to be stopped by hand; nil where there is nothing to
// say.
func (s *live) botsCard() fyne.CanvasObject {
	w := s.w
	var late []string
	for _, b := range s.bots {
		if b.MustStop && !b.Confirmed {
			late = append(late, b.Name)
		}
	}
	state := widgets.Neutral
	var objs []fyne.CanvasObject
	switch {
	case s.halted && !slices.ContainsFunc(s.bots, func(b installer.Bot) bool { return b.Confirmed }):
		state = widgets.Warning
		objs = append(objs, widgets.NewBadge(state, w.t("live.bots.badge")), text(style.BodyStrong, w.t("live.bots")), text(style.BodyDim, w.t("live.bots.why")))
	case len(late) > 0:
		state = widgets.Warning
		objs = append(objs, widgets.NewBadge(state, w.t("live.bots.badge")), text(style.BodyStrong, w.t("live.bots.late", "names", shortList(late))), text(style.BodyDim, w.t("live.bots.why")))
	case s.halted:
		state = widgets.Good
		objs = append(objs, widgets.NewBadge(state, w.t("live.bots.all")), text(style.BodyDim, w.t("live.bots.all.why")))
	case len(s.bots) > 0:
		objs = append(objs, text(style.Heading, w.t("live.bots.title")))
	default:
		return nil
	}
	for _, b := range s.bots {
		objs = append(objs, s.botLine(b))
	}
	if state == widgets.Neutral {
		return widgets.NewCard(widgets.Column(8, objs...))
	}
	return widgets.NewEdgeCard(state, widgets.Column(8, objs...))
}

// botLine is one bot: how it stands by word and shape, and the way to say for it that it stopped.
func (s *live) botLine(b installer.Bot) fyne.CanvasObject {
	w := s.w
	renewed, stopped := w.stamp(b.Renewed), w.stamp(b.Stopped)
	state, word, facts := widgets.Good, w.t("bots.running"), w.t("bots.facts", "version", printable.Line(b.Version, 64), "pid", fmt.Sprint(b.PID), "renewed", renewed)
	switch {
	case b.Stage == "":
		state, word, facts = widgets.Wrong, w.t("bots.unknown"), w.t("bots.unknown.why")
	case b.Confirmed:
		word, facts = w.t("bots.confirmed"), w.t("bots.confirmed.at", "stopped", stopped)
	case b.MustStop:
		state, word = widgets.Warning, w.t("bots.unconfirmed")
	case b.State == installer.BotSilent:
		state, word = widgets.Warning, w.t("bots.silent")
	}
	line := widgets.Wrapping(10, widgets.NewBadge(state, word), text(style.BodyStrong, printable.Line(b.Name, 80)))
	words := widgets.Column(2, line, text(style.SmallDim, facts))
	if b.Confirmed || state == widgets.Good {
		return words
	}
	return widgets.Ends(16, words, widgets.LinkButton(w.t("bots.clear"), func() { w.aside(newClearBot(w, b.Name, s.load)) }))
}

// shortList names a few of many.
func shortList(names []string) string {
	const most = 5
	out := []string{}
	for i, n := range names {
		if i == most {
			out = append(out, "…")
			break
		}
		out = append(out, printable.Line(n, 80))
	}
	return strings.Join(out, ", ")
}

// clearBot takes a person's word that a bot has stopped which cannot confirm it any more.
type clearBot struct {
	w       *Window
	name    string
	cleared func()
	who     *widgets.Entry
	why     *widgets.Entry
	task    *task
}

func newClearBot(w *Window, name string, cleared func()) *clearBot {
	s := &clearBot{w: w, name: name, cleared: cleared, who: widgets.NewEntry(), why: widgets.NewEntry()}
	for _, e := range []*widgets.Entry{s.who, s.why} {
		e.OnChanged = func(string) { s.enable() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

func (s *clearBot) missing() fyne.Focusable {
	for _, e := range []*widgets.Entry{s.who, s.why} {
		if strings.TrimSpace(e.Text) == "" {
			return e
		}
	}
	return nil
}

func (s *clearBot) ready() bool { return s.missing() == nil && !s.task.running() }

func (s *clearBot) enable() {
	if s.w.showing(s) {
		s.w.shell.setPrimary(s.ready())
	}
}

func (s *clearBot) do() {
	if !s.ready() {
		return
	}
	w, in, who, why := s.w, s.w.in, strings.TrimSpace(s.who.Text), strings.TrimSpace(s.why.Text)
	s.task = w.run(func(ctx context.Context) error { return in.LeaseClear(ctx, s.name, who, why) }, nil, func(err error) {
		switch {
		case !w.showing(s):
		case err != nil:
			w.tell(err)
		default:
			w.refreshStatus()
			w.closeAside()
			s.cleared()
		}
	})
	s.enable()
}

func (s *clearBot) page() page {
	w := s.w
	return page{title: w.t("bots.clear.title", "name", printable.Line(s.name, 80)), lead: w.t("bots.clear.lead"), back: w.closeAside, focus: s.who, missing: s.missing,
		content: widgets.NewCard(widgets.Column(14, field(w.t("bots.clear.who"), s.who, w.t("first.who.note")), field(w.t("signoff.reason"), s.why, w.t("bots.clear.why")))),
		primary: &action{label: w.t("bots.clear.do"), do: s.do, off: !s.ready()}}
}
