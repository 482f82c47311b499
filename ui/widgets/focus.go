package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Ground is what a window or an overlay holds. It is told when something on it gets the keyboard, so that it can be
// brought into view.
type Ground struct {
	widget.BaseWidget
	content fyne.CanvasObject
	reveal  func(o fyne.CanvasObject)
}

// NewGround wraps the whole content.
func NewGround(content fyne.CanvasObject, reveal func(o fyne.CanvasObject)) *Ground {
	g := &Ground{content: content, reveal: reveal}
	g.ExtendBaseWidget(g)
	return g
}

// MinSize is the content's.
func (g *Ground) MinSize() fyne.Size { return g.content.MinSize() }

// CreateRenderer is Fyne's.
func (g *Ground) CreateRenderer() fyne.WidgetRenderer {
	return &simpleRenderer{objs: []fyne.CanvasObject{g.content}, min: g.MinSize,
		layout: func(s fyne.Size) { g.content.Resize(s) }, refresh: func() { canvas.Refresh(g.content) }}
}

// reveal tells the ground below o that it has the keyboard.
func reveal(o fyne.CanvasObject) {
	c := fyne.CurrentApp().Driver().CanvasForObject(o)
	if c == nil {
		return
	}
	below := c.Content()
	if top := c.Overlays().Top(); top != nil {
		below = top
	}
	if g, ok := below.(*Ground); ok && g.reveal != nil {
		g.reveal(o)
	}
}
