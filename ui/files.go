package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
)

// saveCopy asks where to put a file and writes it there. What goes wrong is said on top of the page.
func (w *Window) saveCopy(name string, content []byte) {
	if w.win.Canvas().Overlays().Top() != nil {
		return // dialogs never stack
	}
	d := dialog.NewFileSave(func(out fyne.URIWriteCloser, err error) {
		if err != nil || out == nil {
			w.tell(err)
			return
		}
		_, err = out.Write(content)
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		w.tell(err)
	}, w.win)
	d.SetFileName(name)
	d.SetTitleText(w.t("pick.save.title"))
	d.SetConfirmText(w.t("pick.save.confirm"))
	w.open(d)
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
