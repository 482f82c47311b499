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
	OnShortcut func(fyne.Shortcut) // told of shortcuts that what has the keyboard has no use for; nil for nobody

	content fyne.CanvasObject
	reveal  func(o fyne.CanvasObject)
	pressed func(e *fyne.KeyEvent)
}

// NewGround wraps the whole content. pressed is told of each key that goes down while something on the ground has the
// keyboard, before that uses it; nil for nobody.
func NewGround(content fyne.CanvasObject, reveal func(o fyne.CanvasObject), pressed func(e *fyne.KeyEvent)) *Ground {
	g := &Ground{content: content, reveal: reveal, pressed: pressed}
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

// groundOf is the ground that o lies on; nil for none.
func groundOf(o fyne.CanvasObject) *Ground {
	c := fyne.CurrentApp().Driver().CanvasForObject(o)
	if c == nil {
		return nil
	}
	under := c.Content()
	if top := c.Overlays().Top(); top != nil {
		under = top
	}
	g, _ := under.(*Ground)
	return g
}

// reveal tells the ground below o that it has the keyboard.
func reveal(o fyne.CanvasObject) {
	if g := groundOf(o); g != nil && g.reveal != nil {
		g.reveal(o)
	}
}

// pressed tells the ground below o of a key.
func pressed(o fyne.CanvasObject, e *fyne.KeyEvent) {
	if g := groundOf(o); g != nil && g.pressed != nil {
		g.pressed(e)
	}
}

// KeyDown is Fyne's.
func (b *Button) KeyDown(e *fyne.KeyEvent) { pressed(b, e) }

// KeyUp is Fyne's.
func (b *Button) KeyUp(*fyne.KeyEvent) {}

// KeyDown is Fyne's.
func (b *BadgeButton) KeyDown(e *fyne.KeyEvent) { pressed(b, e) }

// KeyUp is Fyne's.
func (b *BadgeButton) KeyUp(*fyne.KeyEvent) {}

// KeyDown is Fyne's.
func (r *ChoiceRow) KeyDown(e *fyne.KeyEvent) { pressed(r, e) }

// KeyUp is Fyne's.
func (r *ChoiceRow) KeyUp(*fyne.KeyEvent) {}

// KeyDown is Fyne's.
func (s *Segments) KeyDown(e *fyne.KeyEvent) { pressed(s, e) }

// KeyUp is Fyne's.
func (s *Segments) KeyUp(*fyne.KeyEvent) {}

// KeyDown is Fyne's.
func (e *Entry) KeyDown(k *fyne.KeyEvent) {
	pressed(e, k)
	e.Entry.KeyDown(k)
}
