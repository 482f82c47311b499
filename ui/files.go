package ui

import (
	"context"
	"os"
	"path/filepath"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"

	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/printable"
)

// saveCopy asks where to put a file and writes it there; it begins at a stick that is plugged in. What goes wrong is said
// on top of the page.
func (w *Window) saveCopy(name string, content []byte) {
	if w.win.Canvas().Overlays().Top() != nil {
		return // dialogs never stack
	}
	w.stick(func(mount string) {
		if w.win.Canvas().Overlays().Top() != nil {
			return
		}
		d := dialog.NewFileSave(func(out fyne.URIWriteCloser, err error) {
			if err != nil || out == nil {
				w.tell(err)
				return
			}
			path := filepath.FromSlash(out.URI().Path())
			_ = out.Close() // it is written so that a stick may be pulled
			w.save(path, content)
		}, w.win)
		d.SetFileName(name)
		d.SetTitleText(w.t("pick.save.title"))
		d.SetConfirmText(w.t("pick.save.confirm"))
		if l := folder(mount); l != nil {
			d.SetLocation(l)
		}
		w.open(d)
	})
}

// save writes a file as a whole, on the disk before it is called saved.
func (w *Window) save(path string, content []byte) {
	w.run(func(context.Context) error {
		dir, err := os.OpenRoot(filepath.Dir(path))
		if err != nil {
			return fault.New(fault.IO, "opening %q: %w", filepath.Dir(path), err).With("path", filepath.Dir(path))
		}
		defer dir.Close()
		return fsx.WriteFile(dir, filepath.Base(path), content, 0o644)
	}, nil, func(err error) {
		if err != nil {
			w.tell(err)
			return
		}
		w.inform(w.t("save.done"), w.t("save.done.where", "path", printable.Line(path, 300)))
	})
}

// stick finds a removable drive to begin at, the first of several; then is told where it is mounted, "" for none.
func (w *Window) stick(then func(mount string)) {
	mount := ""
	w.soon(w.patience, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*lookForDrives)
		defer cancel()
		for _, d := range removable(w.c.Drives(ctx)) {
			mount = d.Mount
			break
		}
	}, func(bool) { then(mount) })
}

// folder is a place where a dialog begins; nil for one that is not there.
func folder(dir string) fyne.ListableURI {
	if fi, err := os.Stat(dir); dir == "" || err != nil || !fi.IsDir() {
		return nil
	}
	l, err := storage.ListerForURI(storage.NewFileURI(dir))
	if err != nil {
		return nil
	}
	return l
}

// dialogSize leaves a margin around a file dialog.
func (w *Window) dialogSize() fyne.Size {
	s := w.win.Canvas().Size()
	return fyne.NewSize(max(s.Width-120, 400), max(s.Height-120, 300))
}

// tell shows an error over the page; nil is nothing to tell.
func (w *Window) tell(err error) {
	if err != nil {
		w.aside(newRefusal(w, 0, err, w.closeAside))
	}
}
