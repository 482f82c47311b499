package ui

import (
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"sluice/assets"
)

// Each file dialog opens, with our words, at both sizes; a second one never stacks on it; Escape closes it.
func TestFileDialogs(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.show(newStart(b.Window))
	for name, open := range map[string]func(){
		"file":   func() { b.chooseFile([]string{".pub"}, func(string) { t.Error("nothing was chosen") }) },
		"folder": func() { b.chooseFolder(func(string) { t.Error("nothing was chosen") }) },
		"save":   func() { b.saveCopy("copy.txt", []byte("x")) },
	} {
		for _, size := range []fyne.Size{{Width: 1100, Height: 720}, {Width: 1024, Height: 700}} {
			b.win.Resize(size)
			open()
			top := b.win.Canvas().Overlays().Top()
			if top == nil {
				t.Fatalf("%s: no dialog", name)
			}
			b.shot("dialog-" + name)
			open()
			if len(b.win.Canvas().Overlays().List()) != 1 {
				t.Errorf("%s: dialogs stack", name)
			}
			canvas := b.win.Canvas().Size()
			words := map[string]bool{}
			walk(top, fyne.Position{}, func(o fyne.CanvasObject, at fyne.Position) {
				if x, ok := o.(*widget.Button); ok {
					words[x.Text] = true
					if end := at.Add(x.Size()); x.Text != "" && (at.X < 0 || end.X > canvas.Width || end.Y > canvas.Height) {
						t.Errorf("%s: the button %q at %v lies outside of the window", name, x.Text, at)
					}
				}
			})
			if !words["Anuluj"] {
				t.Errorf("%s: the dialog has no %q: %v", name, "Anuluj", words)
			}
			b.win.Canvas().Unfocus()
			b.key(fyne.KeyEscape)
			if b.win.Canvas().Overlays().Top() != nil {
				t.Fatalf("%s: Escape does not close the dialog", name)
			}
		}
	}
}

// A press on "Choose" beside a path opens the dialog.
func TestFileField(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.Show()
	test.Tap(b.button("Wybierz"))
	if b.win.Canvas().Overlays().Top() == nil {
		t.Error("no dialog")
	}
}

func TestTypedPath(t *testing.T) {
	for in, want := range map[string]string{" /a/b ": "/a/b", `"/a b/c"`: "/a b/c", "'x'": "x", "file:///a": "/a", `"`: `"`, "": ""} {
		if got := typedPath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
