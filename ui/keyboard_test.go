package ui

import (
	"context"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"sluice/assets"
	"sluice/internal/fault"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// TestKeyboardStaysWhereItWas: a page that is drawn anew does not take the keyboard away.
func TestKeyboardStaysWhereItWas(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.show(newRefusal(b.Window, 0, fault.New(fault.Digest, "a digest"), nil))
	b.tabTo("Szczegóły techniczne")
	b.key(fyne.KeySpace) // the label is another one now
	if f, ok := b.win.Canvas().Focused().(*widgets.Button); !ok || f.Label() != b.Window.t("problem.details.shut") {
		t.Errorf("the keyboard is at %+v", b.win.Canvas().Focused())
	}
	b.tabTo("EN")
	b.otherLang()
	if f, ok := b.win.Canvas().Focused().(*widgets.Button); !ok || f.Label() != "PL" {
		t.Errorf("after a change of language the keyboard is at %+v", b.win.Canvas().Focused())
	}
}

// TestTabShowsWhatItReaches: whatever gets the keyboard is scrolled into view.
func TestTabShowsWhatItReaches(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.size(1024, 700, 1.5, style.Light)
	r := newRefusal(b.Window, 0, fault.New(fault.Digest, "a digest"), nil).(*refusal)
	r.problem.open = true
	b.show(r)
	b.tabTo("Ukryj szczegóły")
	f := b.win.Canvas().Focused().(fyne.CanvasObject)
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(f)
	if bottom := b.shell.scroll.Size().Height; at.Y < 0 || at.Y+f.Size().Height > bottom {
		t.Errorf("what has the keyboard lies at %v, the page shows 0 to %v", at.Y, bottom)
	}
}

// TestEntryLeavesShortcuts: a text field does not keep the window's shortcuts to itself.
func TestEntryLeavesShortcuts(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.show(newSite(b.Window, nil, nil))
	e, ok := b.win.Canvas().Focused().(*widgets.Entry)
	if !ok {
		t.Fatalf("the keyboard is at %T", b.win.Canvas().Focused())
	}
	e.TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyE, Modifier: fyne.KeyModifierControl})
	if b.lang != assets.English {
		t.Error("Ctrl+E in a text field does not change the language")
	}
}

// TestTitleTellsOfWork: the window's title names the page, and has dots while something is at work.
func TestTitleTellsOfWork(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.show(newStart(b.Window))
	task := b.run(func(ctx context.Context) error { <-ctx.Done(); return nil }, nil, func(error) {})
	if got := b.win.Title(); !strings.HasPrefix(got, "Sluice · ") || !strings.HasSuffix(got, " …") {
		t.Errorf("at work the title is %q", got)
	}
	task.stop()
	b.settle("the end", func() bool { return len(b.working) == 0 })
	if got := b.win.Title(); got != "Sluice · "+b.shell.page.title {
		t.Errorf("after the work the title is %q", got)
	}
}

func TestShortcutsAreShown(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.show(newStart(b.Window))
	b.win.Canvas().Focused().(desktop.Keyable).KeyDown(&fyne.KeyEvent{Name: fyne.KeyTab})
	for _, c := range []float32{1, 1.5} {
		b.size(1024, 700, c, style.Light)
		b.sees("Ctrl+Enter", "Ctrl+L", "F1")
		b.fits()
		if c == 1 {
			b.shot("shortcuts")
		}
	}
}
