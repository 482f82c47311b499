// Package ui is the window: for an operator with a USB stick, and for the people who sign. It shows what the installer
// finds and asks what a person must decide. It holds no rule: every check, order and refusal is the installer's.
//
// The package never imports Fyne's app package, so that its tests need neither a display nor a C compiler.
package ui

import (
	"context"
	"time"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/hwprobe"
	"sluice/installer"
	"sluice/internal/awake"
	"sluice/internal/progress"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// Config is what a Window works with. App, Root and NewInstaller are required.
type Config struct {
	App          fyne.App
	Root         string // the installation's folder
	NewInstaller func(root, operator string, p progress.Func) (*installer.Installer, error)
	Lang         assets.Lang                               // empty: English
	Now          func() time.Time                          // nil: time.Now
	Version      string                                    // of this program
	DemoDir      string                                    // where the try on the demo model makes its folder; empty: the system's temporary folder
	Drives       func(ctx context.Context) []hwprobe.Drive // nil: those of this machine
	Painted      func()                                    // told once that the first frame is on the screen
	Awake        func(why string) (func(), bool)           // keeps the computer from sleeping; nil: awake.Hold
}

// Window is the program's one window. All its methods are for the main goroutine.
type Window struct {
	c        Config
	win      fyne.Window
	in       *installer.Installer
	lang     assets.Lang
	look     look
	still    bool          // reduced motion
	root     string        // of in
	demo     bool          // in works on the demo's folder
	demoDir  string        // that folder; empty: none
	patience time.Duration // how long reading the state may hold up the window
	reading  int           // counts readings of the state
	status   *installer.Status
	persons  map[string]string // names of people by id, of the policy
	trouble  error             // why there is no installer or status

	tasks   tasks
	working map[*task]bool
	idle    []func() // to do when nothing is at work any more
	current screen
	under   []screen // below pages that were opened beside the journey
	shell   *shell
	onTop   func()            // what Escape does to what lies over the page; nil: takes it away
	keys    bool              // the keyboard is in use: shortcuts are shown
	short   map[string]func() // what shortcuts do, by their names
	siteKey string            // where the key lies that signed the policy last
}

// New makes the window without showing it.
func New(c Config) *Window {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Lang == "" {
		c.Lang = assets.English
	}
	if c.Drives == nil {
		c.Drives = func(ctx context.Context) []hwprobe.Drive {
			drives, _ := hwprobe.Drives(ctx)
			return drives
		}
	}
	if c.Awake == nil {
		c.Awake = awake.Hold
	}
	w := &Window{c: c, lang: c.Lang, working: map[*task]bool{}, look: look{scale: 1}}
	w.tasks.post = onMain
	w.patience = 200 * time.Millisecond
	w.restoreLook()
	_ = teach(w.lang)
	c.App.Settings().SetTheme(w.look)
	w.win = c.App.NewWindow("Sluice")
	w.win.SetPadded(false)
	w.win.Resize(fyne.NewSize(1100, 720))
	w.win.SetIcon(fyne.NewStaticResource("sluice.png", assets.Icon()))
	w.win.SetMaster()
	w.win.SetCloseIntercept(w.close)
	w.shell = newShell(w)
	ground := widgets.NewGround(w.shell.root, w.shell.reveal, w.shell.pressed)
	ground.OnShortcut = w.shortcut
	w.win.SetContent(ground)
	w.bindKeys()
	w.use(c.Root, false)
	return w
}

// Show opens the window on the screen that the state of the root asks for.
func (w *Window) Show() {
	w.home()
	w.win.Show()
	if w.c.Painted != nil {
		w.afterPaint(w.c.Painted)
	}
}

// Fyne is the window itself, for what package main and tests need.
func (w *Window) Fyne() fyne.Window { return w.win }

// use makes the installer for a root.
func (w *Window) use(root string, demo bool) {
	w.root, w.demo = root, demo
	w.in, w.trouble = w.c.NewInstaller(root, "", w.progress)
	w.refreshStatus()
}

// refreshStatus reads again what stands in the rail and on the start screen. Where that takes long, because the log is,
// the window goes on with what it knew, and shows the new state when it is there.
func (w *Window) refreshStatus() {
	in := w.in
	if in == nil {
		return
	}
	w.reading++
	mine := w.reading
	var s *installer.Status
	var err error
	persons := map[string]string{}
	w.soon(w.patience, func() {
		s, err = in.Status()
		if p, _ := in.Policy(); p != nil { // what is wrong with it, the status says
			for _, x := range p.People {
				persons[x.ID] = x.Name
			}
		}
	}, func(late bool) {
		if mine != w.reading {
			return // a later reading counts
		}
		if w.trouble = err; err == nil {
			w.status, w.persons = s, persons
		}
		if late {
			w.arrived()
		}
	})
}

// arrived shows a state that was read in the background.
func (w *Window) arrived() {
	switch s := w.current.(type) {
	case *opening:
		w.land()
		return
	case *start:
		s.read()
	}
	w.redraw()
}

// home shows the first screen: the start, or the first start while no vendor is known.
func (w *Window) home() {
	w.refreshStatus()
	w.leaveUnder()
	if w.status == nil && w.trouble == nil {
		w.show(&opening{w})
		return
	}
	w.land()
}

// opening is shown while the state of the root is read for the first time.
type opening struct{ w *Window }

func (s *opening) page() page {
	w := s.w
	return page{title: w.t("start.title"), lead: w.t("start.lead"), content: widgets.NewCard(w.waiting(w.t("busy")))}
}

// land shows what the state of the root asks for.
func (w *Window) land() {
	if w.status != nil && !w.status.Trust && !w.demo {
		w.show(w.firstScreen())
		return
	}
	w.show(newStart(w))
}

// show puts a screen in place of the current one.
func (w *Window) show(s screen) {
	if l, ok := w.current.(leaver); ok && s != w.current {
		l.leave()
	}
	w.current = s
	w.redraw()
	w.shell.scrollTop()
	if sh, ok := s.(shower); ok {
		sh.shown()
	}
}

// aside opens a page beside the journey, such as the log; closeAside returns to where the user was.
func (w *Window) aside(s screen) {
	w.under = append(w.under, w.current)
	w.current = nil // it is not left: it waits
	w.show(s)
}

// leaveUnder gives up the pages that wait below pages beside the journey.
func (w *Window) leaveUnder() {
	for _, s := range w.under {
		if l, ok := s.(leaver); ok {
			l.leave()
		}
	}
	w.under = nil
}

// closeAside returns from a page beside the journey.
func (w *Window) closeAside() {
	if len(w.under) == 0 {
		w.home()
		return
	}
	if l, ok := w.current.(leaver); ok {
		l.leave()
	}
	back := w.under[len(w.under)-1]
	w.under = w.under[:len(w.under)-1]
	w.current = back
	w.redraw()
}

// redraw shows the current screen again from its state.
func (w *Window) redraw() {
	if w.current != nil {
		w.shell.draw(w.current, w.current.page())
	}
}

// showing says whether a screen is the one on top: results of its tasks are only drawn then.
func (w *Window) showing(s screen) bool { return w.current == s }

// t is a text of the catalogue, n one with plural forms.
func (w *Window) t(key string, pairs ...any) string { return w.lang.Text("ui."+key, pairs...) }

func (w *Window) n(key string, count int, pairs ...any) string {
	return w.lang.Count("ui."+key, count, pairs...)
}

// setLang changes the language of everything, at once.
func (w *Window) setLang(l assets.Lang) {
	w.lang = l
	_ = teach(l) // without it Fyne's few words stay in the system's language
	w.c.App.Preferences().SetString("lang", string(l))
	w.redraw()
}

// setLook changes colours and the size of text.
func (w *Window) setLook(l look) {
	w.look = l
	p := w.c.App.Preferences()
	p.SetString("theme", string(l.variant))
	p.SetFloat("scale", float64(l.scale))
	w.shell.clear() // drawn once, in the new look, not twice
	w.c.App.Settings().SetTheme(l)
	w.redraw()
}

// restoreLook takes up what the user chose last time. Nothing that matters is kept there.
func (w *Window) restoreLook() {
	p := w.c.App.Preferences()
	switch v := style.Variant(p.String("theme")); v {
	case style.Light, style.Dark, style.Contrast:
		w.look.variant = v
	}
	if s := p.Float("scale"); s >= 1 && s <= 1.5 {
		w.look.scale = float32(s)
	}
	switch l := assets.Lang(p.String("lang")); l {
	case assets.English, assets.Polish:
		w.lang = l
	}
	w.still = p.Bool("still")
}

// scales are the text sizes.
var scales = []float32{1, 1.25, 1.5}

func (w *Window) zoom(by int) {
	at := 0
	for i, s := range scales {
		if w.look.scale >= s {
			at = i
		}
	}
	l := w.look
	l.scale = scales[min(max(at+by, 0), len(scales)-1)]
	w.setLook(l)
}

func (w *Window) otherLang() {
	if w.lang == assets.Polish {
		w.setLang(assets.English)
	} else {
		w.setLang(assets.Polish)
	}
}

// close asks while something runs.
func (w *Window) close() {
	if len(w.working) == 0 {
		w.end()
		return
	}
	w.ask(question{title: w.t("close.title"), text: w.t("close.text"), yes: w.t("close.yes"), no: w.t("close.no"), do: w.end})
}

// end cancels what runs, and closes. What was half done is resumable.
func (w *Window) end() {
	for t := range w.working {
		t.stop()
	}
	if l, ok := w.current.(leaver); ok {
		l.leave()
	}
	w.leaveUnder()
	w.dropDemo()
	w.win.SetCloseIntercept(nil)
	w.win.Close()
}

// text makes wrapping words, for short.
func text(f style.Face, s string) *widgets.Text { return widgets.NewText(f, s) }
