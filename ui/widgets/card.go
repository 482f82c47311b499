package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// Card is a surface with a border around its content. A card with an edge has a bar in the colour of a state at its
// left; what the bar means stands in words inside.
type Card struct {
	widget.BaseWidget
	content fyne.CanvasObject
	edge    State
	hasEdge bool
	padX    float32
	padY    float32
}

// NewCard wraps content.
func NewCard(content fyne.CanvasObject) *Card {
	c := &Card{content: content, padX: style.CardX, padY: style.CardY}
	c.ExtendBaseWidget(c)
	return c
}

// NewEdgeCard is a card with a bar in a state's colour.
func NewEdgeCard(s State, content fyne.CanvasObject) *Card {
	c := NewCard(content)
	c.edge, c.hasEdge = s, true
	return c
}

// NewSmallCard is a card with less padding, for the rail.
func NewSmallCard(content fyne.CanvasObject) *Card {
	c := NewCard(content)
	c.padX, c.padY = 12, 12
	return c
}

const edgeWidth = 6

func (c *Card) left() float32 {
	if c.hasEdge {
		return c.padX + edgeWidth
	}
	return c.padX
}

// HeightFor is that of the content and the padding.
func (c *Card) HeightFor(width float32) float32 {
	return HeightFor(c.content, max(width-c.left()-c.padX, 1)) + 2*c.padY
}

// MinSize is that of the content and the padding.
func (c *Card) MinSize() fyne.Size {
	return c.content.MinSize().AddWidthHeight(c.left()+c.padX, 2*c.padY)
}

// CreateRenderer is Fyne's.
func (c *Card) CreateRenderer() fyne.WidgetRenderer {
	back := &canvas.Rectangle{CornerRadius: style.Radius, StrokeWidth: 1}
	edge := &canvas.Rectangle{TopLeftCornerRadius: style.Radius, BottomLeftCornerRadius: style.Radius}
	objs := []fyne.CanvasObject{back, c.content}
	if c.hasEdge {
		objs = []fyne.CanvasObject{back, edge, c.content}
	}
	colors := func() {
		back.FillColor, back.StrokeColor = style.Get(style.Surface), style.Get(style.Line)
		fore, _ := c.edge.Colors()
		edge.FillColor = style.Get(fore)
	}
	colors()
	return &simpleRenderer{objs: objs, min: c.MinSize,
		layout: func(s fyne.Size) {
			back.Resize(s)
			edge.Resize(fyne.NewSize(edgeWidth, s.Height))
			c.content.Move(fyne.NewPos(c.left(), c.padY))
			c.content.Resize(fyne.NewSize(max(s.Width-c.left()-c.padX, 1), s.Height-2*c.padY))
		},
		refresh: func() {
			colors()
			back.Refresh()
			edge.Refresh()
			c.content.Refresh()
		}}
}
