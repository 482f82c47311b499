package ui

import (
	"context"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sluice/assets"
	"sluice/hwprobe"
	"sluice/installer"
	"sluice/internal/progress"
	"sluice/internal/testroot"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

func TestMain(m *testing.M) { testroot.Main(m) }

// bench is a window under test. Results of tasks wait until the test calls settle, so that nothing runs beside it.
type bench struct {
	*Window
	t      *testing.T
	mu     sync.Mutex
	queue  []func()
	drives []hwprobe.Drive // what is plugged in
	held   []string        // why the computer was kept awake
	awake  int             // how often it is now
}

// newBench opens a window of Fyne's test driver on a root.
func newBench(t *testing.T, root string, lang assets.Lang) *bench {
	t.Helper()
	return openBench(t, installer.Config{Root: root}, lang)
}

// siteBench opens a window on a site's root, with its clock and program.
func siteBench(t *testing.T, s *testroot.Site, lang assets.Lang) *bench {
	t.Helper()
	return openBench(t, s.Config, lang)
}

func openBench(t *testing.T, c installer.Config, lang assets.Lang) *bench {
	t.Helper()
	b := &bench{t: t}
	now := time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC)
	b.Window = New(Config{
		App: test.NewTempApp(t), Root: c.Root, Lang: lang, Version: "test", DemoDir: t.TempDir(),
		Now: func() time.Time { return now },
		NewInstaller: func(root, operator string, p progress.Func) (*installer.Installer, error) {
			c := c
			c.Root, c.Operator, c.Progress, c.Version, c.Lang = root, operator, p, "test", string(lang)
			return installer.New(c)
		},
		Awake: func(why string) (func(), bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.held, b.awake = append(b.held, why), b.awake+1
			return func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.awake--
			}, true
		},
		Drives: func(context.Context) []hwprobe.Drive {
			b.mu.Lock()
			defer b.mu.Unlock()
			return append([]hwprobe.Drive(nil), b.drives...)
		},
	})
	b.still, b.patience = true, time.Minute
	b.tasks.post = func(f func()) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.queue = append(b.queue, f)
	}
	b.refreshStatus() // with patience: a busy machine may not have read the root within the usual moment
	b.win.Resize(fyne.NewSize(1100, 720))
	t.Cleanup(func() {
		for w := range b.working {
			w.stop()
		}
		if l, ok := b.current.(leaver); ok {
			l.leave()
		}
		b.leaveUnder()
		b.tasks.pending.Wait()
	})
	return b
}

// plug says which folders are removable drives now.
func (b *bench) plug(dirs ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drives = nil
	for _, d := range dirs {
		b.drives = append(b.drives, hwprobe.Drive{Device: "/dev/sd-" + filepath.Base(d), Mount: d, Label: "PENDRIVE", Removable: true})
	}
}

// settle runs what tasks posted until cond holds, for at most a minute.
func (b *bench) settle(what string, cond func() bool) {
	b.t.Helper()
	end := time.Now().Add(time.Minute)
	for !cond() {
		b.mu.Lock()
		var f func()
		if len(b.queue) > 0 {
			f, b.queue = b.queue[0], b.queue[1:]
		}
		b.mu.Unlock()
		switch {
		case f != nil:
			f()
		case time.Now().After(end):
			b.t.Fatalf("waiting for %s: the page is %q:\n%s", what, b.shell.page.title, b.words())
		default:
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// reach waits for a page by the key of its title.
func (b *bench) reach(key string, pairs ...any) {
	b.t.Helper()
	want := b.Window.t(key, pairs...)
	b.settle(want, func() bool { return b.shell.page.title == want })
}

// shot saves a picture when SLUICE_SHOTS names a folder.
func (b *bench) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("SLUICE_SHOTS")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, b.win.Canvas().Capture()); err != nil {
		b.t.Fatal(err)
	}
}

// size sets window, scale of text and colours.
func (b *bench) size(width, height, scale float32, v style.Variant) {
	b.shell.clear()
	b.win.Resize(fyne.NewSize(width, height))
	b.setLook(look{v, scale})
}

// walk visits everything that is shown, parents first, with its place in the window.
func walk(o fyne.CanvasObject, at fyne.Position, visit func(o fyne.CanvasObject, at fyne.Position)) {
	if o == nil || !o.Visible() {
		return
	}
	visit(o, at)
	switch o := o.(type) {
	case *fyne.Container:
		for _, c := range o.Objects {
			walk(c, at.Add(c.Position()), visit)
		}
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			walk(c, at.Add(c.Position()), visit)
		}
	}
}

// tops are the content and what lies over it.
func (b *bench) tops() []fyne.CanvasObject {
	if top := b.win.Canvas().Overlays().Top(); top != nil {
		return []fyne.CanvasObject{top}
	}
	return []fyne.CanvasObject{b.win.Content()}
}

// words are all texts that are shown, one a line.
func (b *bench) words() string {
	var out []string
	for _, top := range b.tops() {
		walk(top, fyne.Position{}, func(o fyne.CanvasObject, _ fyne.Position) {
			switch o := o.(type) {
			case *widgets.Text:
				out = append(out, o.String())
			case *widgets.Stepper:
				out = append(out, strings.Join(o.Words, " "))
			}
		})
	}
	return strings.Join(out, "\n")
}

// sees fails unless all texts are shown.
func (b *bench) sees(texts ...string) {
	b.t.Helper()
	all := strings.ReplaceAll(b.words(), "\u00a0", " ")
	for _, s := range texts {
		if !strings.Contains(all, s) {
			b.t.Errorf("the page %q does not show %q:\n%s", b.shell.page.title, s, all)
		}
	}
}

// button finds a button by a part of its label.
func (b *bench) button(label string) *widgets.Button {
	b.t.Helper()
	var found *widgets.Button
	for _, top := range b.tops() {
		walk(top, fyne.Position{}, func(o fyne.CanvasObject, _ fyne.Position) {
			if w, ok := o.(*widgets.Button); ok && found == nil && strings.Contains(w.Label(), label) {
				found = w
			}
		})
	}
	if found == nil {
		b.t.Fatalf("the page %q has no button %q:\n%s", b.shell.page.title, label, b.words())
	}
	return found
}

// tap presses a button.
func (b *bench) tap(label string) {
	b.t.Helper()
	w := b.button(label)
	if w.Disabled() {
		b.t.Fatalf("the button %q cannot be pressed", label)
	}
	test.Tap(w)
}

// key types a key wherever the keyboard is.
func (b *bench) key(names ...fyne.KeyName) {
	c := b.win.Canvas()
	for _, n := range names {
		if f := c.Focused(); f != nil {
			f.TypedKey(&fyne.KeyEvent{Name: n})
		} else if c.OnTypedKey() != nil {
			c.OnTypedKey()(&fyne.KeyEvent{Name: n})
		}
	}
}

// tabTo presses Tab until a button with the label has the keyboard.
func (b *bench) tabTo(label string) {
	b.t.Helper()
	c := b.win.Canvas()
	for range 60 {
		if w, ok := c.Focused().(*widgets.Button); ok && strings.Contains(w.Label(), label) {
			return
		}
		c.FocusNext()
	}
	b.t.Fatalf("Tab never reaches %q", label)
}

// fits checks that no text is cut: each lies inside the window's width and, outside of what scrolls, its height; inside
// its parents; and no two texts overlap.
func (b *bench) fits() {
	b.t.Helper()
	size := b.win.Canvas().Size()
	for _, top := range b.tops() {
		b.fitsIn(top, fyne.Position{}, fyne.Position{}, size)
	}
	b.apart()
}

// fitsIn walks with the room that an object has; scrolling content has any height.
func (b *bench) fitsIn(o fyne.CanvasObject, at, from fyne.Position, to fyne.Size) {
	b.t.Helper()
	if o == nil || !o.Visible() {
		return
	}
	const slack = 1.5
	limit := fyne.NewPos(from.X+to.Width, from.Y+to.Height)
	switch o := o.(type) {
	case *widgets.Text:
		if o.String() == "" {
			break
		}
		end := at.AddXY(o.Size().Width, o.Size().Height)
		need := o.HeightFor(o.Size().Width)
		switch {
		case at.X < from.X-slack || end.X > limit.X+slack || at.Y < from.Y-slack || end.Y > limit.Y+slack:
			b.t.Errorf("%q: %q at %v to %v lies outside of %v to %v", b.shell.page.title, o.String(), at, end, from, limit)
		case o.Size().Height+slack < need:
			b.t.Errorf("%q: %q has height %.0f and needs %.0f", b.shell.page.title, o.String(), o.Size().Height, need)
		}
		if o.Cut() {
			b.t.Errorf("%q: %q is cut", b.shell.page.title, o.String())
		}
		return
	case *widgets.Scroll:
		inner := o.Inner.Content
		b.fitsIn(inner, at, fyne.NewPos(at.X, at.Y), fyne.NewSize(o.Size().Width, max(o.Size().Height, inner.MinSize().Height)))
		return
	case *fyne.Container:
		for _, c := range o.Objects {
			b.fitsIn(c, at.Add(c.Position()), from, to)
		}
		return
	case fyne.Widget:
		if o.Size().Width > 0 {
			w := fyne.NewPos(max(from.X, at.X), max(from.Y, at.Y))
			h := fyne.NewSize(min(limit.X, at.X+o.Size().Width)-w.X, min(limit.Y, at.Y+o.Size().Height)-w.Y)
			for _, c := range test.WidgetRenderer(o).Objects() {
				b.fitsIn(c, at.Add(c.Position()), w, h)
			}
		}
	}
}

// apart checks that no two texts lie on each other.
func (b *bench) apart() {
	b.t.Helper()
	type box struct {
		at   fyne.Position
		size fyne.Size
		s    string
	}
	var boxes []box
	for _, top := range b.tops() {
		walk(top, fyne.Position{}, func(o fyne.CanvasObject, at fyne.Position) {
			if t, ok := o.(*widgets.Text); ok && t.String() != "" && t.Size().Width > 0 {
				boxes = append(boxes, box{at, t.Size(), t.String()})
			}
		})
	}
	footer := b.win.Canvas().Size().Height
	for i, x := range boxes {
		for _, y := range boxes[:i] {
			if x.at.Y > footer || y.at.Y > footer {
				continue
			}
			w := min(x.at.X+x.size.Width, y.at.X+y.size.Width) - max(x.at.X, y.at.X)
			h := min(x.at.Y+x.size.Height, y.at.Y+y.size.Height) - max(x.at.Y, y.at.Y)
			if w > 2 && h > 2 && !b.scrolled(x.at, y.at) {
				b.t.Errorf("%q: %q and %q lie on each other", b.shell.page.title, x.s, y.s)
			}
		}
	}
}

// scrolled says whether one of two places is below the page's visible part, where it scrolls under the footer.
func (b *bench) scrolled(p, q fyne.Position) bool {
	if b.shell.scroll == nil || b.win.Canvas().Overlays().Top() != nil {
		return false
	}
	bottom := b.shell.scroll.Size().Height
	return (p.Y > bottom) != (q.Y > bottom) || p.Y+40 > bottom || q.Y+40 > bottom
}

// everywhere draws the current screen in both languages, at both sizes that must work, with all text sizes and colours,
// and checks that it fits. name is for pictures.
func (b *bench) everywhere(name string) {
	b.t.Helper()
	was := b.lang
	for _, l := range []assets.Lang{assets.Polish, assets.English} {
		b.setLang(l)
		for _, c := range []struct {
			name          string
			width, height float32
			scale         float32
			variant       style.Variant
		}{
			{"", 1100, 720, 1, style.Light}, {"-dark", 1100, 720, 1, style.Dark}, {"-contrast", 1024, 700, 1.25, style.Contrast}, {"-150", 1024, 700, 1.5, style.Light},
		} {
			if c.name == "-dark" && os.Getenv("SLUICE_SHOTS") == "" {
				continue // differs from the light one in colours only
			}
			b.size(c.width, c.height, c.scale, c.variant)
			b.fits()
			if strings.Contains(b.words(), "[ui.") {
				b.t.Errorf("%s: a text is missing in %s:\n%s", name, l, b.words())
			}
			b.shot(name + "-" + string(l) + c.name)
		}
	}
	b.size(1100, 720, 1, style.Light)
	b.setLang(was)
}
