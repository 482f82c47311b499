package ui

import (
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
