package ui

import "fyne.io/fyne/v2"

// refoot draws the footer again, after what can be pressed changed while the rest of the page stays as it is: the
// keyboard stays where it was.
func (w *Window) refoot(p page) {
	s := w.shell
	if len(s.root.Objects) == 0 {
		return
	}
	box, ok := s.root.Objects[0].(*fyne.Container)
	if !ok || len(box.Objects) < 4 {
		return
	}
	s.page.back, s.page.cancel, s.page.extra, s.page.hint, s.page.primary, s.page.missing = p.back, p.cancel, p.extra, p.hint, p.primary, p.missing
	box.Objects[3] = s.footer()
	box.Refresh()
	if f, ok := w.win.Canvas().Focused().(fyne.CanvasObject); ok { // the footer may take more room now
		s.reveal(f)
	}
}
