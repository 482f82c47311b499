package ui

import (
	"context"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/internal/fault"
	"sluice/ui/widgets/style"
)

// TestEveryCodeCanBeShown: each code in both languages, with its words, its code and an incident, cut nowhere at the
// largest text in the smallest window.
func TestEveryCodeCanBeShown(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.size(1024, 700, 1.5, style.Light)
	for _, l := range []assets.Lang{assets.Polish, assets.English} {
		b.setLang(l)
		for _, code := range fault.Codes() {
			err := fault.New(code, "reading %q: something long enough to wrap, with a digest %s", "/media/PENDRIVE/a-folder/trend-ensemble-1.5.0.tar.zst", strings.Repeat("9f3c", 24)).
				With("path", "artifacts/cpu-fp32/model.onnx").With("offset", int64(41943040)).With("end", int64(50331647)).With("need", int64(910_000_000)).With("free", int64(1000)).
				With("stage", "live").With("version", "1.5.0").With("variant", "cpu-fp32").With("missing", "trend-ensemble-1.5.0.tar.zst.002")
			r := newRefusal(b.Window, stepInstall, err, nil).(*refusal)
			r.problem.open = true
			b.show(r)
			words := l.Error(string(code)).ForWindow()
			b.sees(words.Meaning, words.Remedy, string(code), r.problem.incident)
			if strings.Contains(b.words(), "{") {
				t.Errorf("%s in %s: a place is not filled in:\n%s", code, l, b.words())
			}
			b.fits()
		}
	}
}

// TestProblemHidesNothingHostile: a bundle's text cannot turn, colour or hide what is shown.
func TestProblemHidesNothingHostile(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.English)
	b.show(newRefusal(b.Window, 0, fault.New(fault.Digest, "file %s", "a\u202egpj\x1b[31m").With("path", "x\u202ey\x07\nz").With("offset", int64(1)).With("end", int64(2)), nil))
	b.current.(*refusal).problem.open = true
	b.redraw()
	for _, bad := range []string{"\u202e", "\x1b", "\x07"} {
		if strings.Contains(b.words(), bad) {
			t.Errorf("%q is shown as it came", bad)
		}
	}
	b.sees(`\u{202e}`)
}

func TestAppearanceByKeys(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.show(newStart(b.Window))
	b.appearance()
	b.sees("Wielkość tekstu", "wysoki kontrast")
	b.fits()
	b.win.Canvas().FocusNext()
	b.key(fyne.KeyRight, fyne.KeyRight)
	if b.look.scale != 1.5 {
		t.Errorf("the scale is %v, want 1.5", b.look.scale)
	}
	b.win.Resize(fyne.NewSize(1024, 700))
	b.fits()
	b.shot("appearance-150")
	b.win.Canvas().FocusPrevious()
	b.key(fyne.KeyRight)
	if b.lang != assets.English {
		t.Errorf("the language is %q", b.lang)
	}
	b.key(fyne.KeyEscape)
	if b.win.Canvas().Overlays().Top() != nil {
		t.Error("Escape does not close what is on top")
	}
	b.zoom(-1)
	if b.look.scale != 1.25 {
		t.Errorf("the scale is %v, want 1.25", b.look.scale)
	}
}

func TestCloseAsksWhileWorking(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.English)
	b.show(newStart(b.Window))
	ended := false
	block := make(chan struct{})
	b.run(func(ctx context.Context) error { <-ctx.Done(); close(block); return ctx.Err() }, nil, func(error) { ended = true })
	b.close()
	b.sees("Something is still running")
	b.everywhere("close")
	b.close() // asked already: nothing stacks
	b.tap("Keep open")
	if b.win.Canvas().Overlays().Top() != nil {
		t.Error("the question is still there")
	}
	b.close()
	b.tap("Stop and close")
	<-block
	b.settle("the end of the work", func() bool { return ended })
}
