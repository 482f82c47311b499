package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// question is asked before something that cannot be taken back by a press.
type question struct {
	title, text string
	yes, no     string
	do          func()
	danger      bool
}

// ask puts a question on top of the page. Escape is no. Questions never stack: one on top is answered first.
func (w *Window) ask(q question) {
	yes := widgets.PrimaryButton(q.yes, nil)
	if q.danger {
		yes = widgets.DangerButton(q.yes, nil)
	}
	no := widgets.SecondaryButton(q.no, nil)
	content := widgets.Column(12, text(style.Heading, q.title), text(style.Body, q.text), widgets.Inset(0, 8, 0, 0, widgets.Wrapping(12, no, yes)))
	shut := w.overlay(content, no)
	if shut == nil {
		return
	}
	no.OnTapped = shut
	yes.OnTapped = func() {
		shut()
		q.do()
	}
}

// inform says that something was done, with one button that closes it.
func (w *Window) inform(title, words string) {
	ok := widgets.PrimaryButton(w.t("button.close"), nil)
	content := widgets.Column(12, widgets.Wrapping(8, widgets.NewIcon(widgets.Check, style.Ok, 20), text(style.Heading, title)), text(style.Body, words), widgets.Inset(0, 8, 0, 0, widgets.Wrapping(0, ok)))
	ok.OnTapped = w.overlay(content, ok)
}

// overlay puts a card over the dimmed page and gives it the keyboard. It returns what closes it, or nil when something
// is on top already. Escape closes it too.
func (w *Window) overlay(content fyne.CanvasObject, focus fyne.Focusable) (shut func()) {
	c := w.win.Canvas()
	if c.Overlays().Top() != nil {
		return nil
	}
	shade := canvas.NewRectangle(shadow)
	scroll := widgets.NewScroll(widgets.Inset(4, 4, 4, 4, widgets.NewCard(content)))
	wrapped := widgets.NewGround(fyne.NewContainerWithLayout(&middle{}, shade, scroll), scroll.Reveal, nil)
	c.Overlays().Add(wrapped)
	wrapped.Resize(c.Size())
	if focus != nil {
		c.Focus(focus)
	}
	return func() { c.Overlays().Remove(wrapped) }
}

// middle puts a card of readable width in the middle of the window.
type middle struct{}

func (*middle) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(300, 200) }

func (*middle) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	width := min(size.Width-48, 560)
	scroll := o[1].(*widgets.Scroll)
	h := min(scroll.Needs(width), size.Height-48)
	scroll.Move(fyne.NewPos((size.Width-width)/2, max((size.Height-h)/2-20, 24)))
	scroll.Resize(fyne.NewSize(width, h))
}
