package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// ChoiceRow is one card of several of which one is chosen. The chosen one has a thick border.
type ChoiceRow struct {
	widget.BaseWidget
	content          fyne.CanvasObject
	list             *ChoiceList
	index            int
	off              bool
	focused, hovered bool
}

// ChoiceList holds rows. Arrow keys and clicks choose, Enter or a double click confirms.
type ChoiceList struct {
	Rows      []*ChoiceRow
	Chosen    int // -1: none
	OnChosen  func(i int)
	OnConfirm func()
}

// Add appends a row; one that is off cannot be chosen.
func (l *ChoiceList) Add(content fyne.CanvasObject, off bool) *ChoiceRow {
	r := &ChoiceRow{content: content, list: l, index: len(l.Rows), off: off}
	r.ExtendBaseWidget(r)
	l.Rows = append(l.Rows, r)
	return r
}

// Objects are the rows, for a Column.
func (l *ChoiceList) Objects() []fyne.CanvasObject {
	out := make([]fyne.CanvasObject, len(l.Rows))
	for i, r := range l.Rows {
		out[i] = r
	}
	return out
}

// Choose selects a row and tells OnChosen when that is new.
func (l *ChoiceList) Choose(i int) {
	if i < 0 || i >= len(l.Rows) || l.Rows[i].off || l.Chosen == i {
		return
	}
	l.Chosen = i
	for _, r := range l.Rows {
		r.Refresh()
	}
	if l.OnChosen != nil {
		l.OnChosen(i)
	}
}

// move chooses the next row that can be chosen, and gives it the keyboard.
func (l *ChoiceList) move(from, by int) {
	for i := from + by; i >= 0 && i < len(l.Rows); i += by {
		if l.Rows[i].off {
			continue
		}
		l.Choose(i)
		if c := fyne.CurrentApp().Driver().CanvasForObject(l.Rows[i]); c != nil {
			c.Focus(l.Rows[i])
		}
		return
	}
}

// Chosen says whether this row is it.
func (r *ChoiceRow) Chosen() bool { return r.list.Chosen == r.index }

// Disabled says that the row cannot be chosen.
func (r *ChoiceRow) Disabled() bool { return r.off }

// Disable is Fyne's.
func (r *ChoiceRow) Disable() { r.off = true; r.Refresh() }

// Enable is Fyne's.
func (r *ChoiceRow) Enable() { r.off = false; r.Refresh() }

// Tapped is Fyne's.
func (r *ChoiceRow) Tapped(*fyne.PointEvent) { r.list.Choose(r.index) }

// DoubleTapped chooses and confirms.
func (r *ChoiceRow) DoubleTapped(*fyne.PointEvent) {
	if r.off {
		return
	}
	r.list.Choose(r.index)
	r.confirm()
}

func (r *ChoiceRow) confirm() {
	if r.list.OnConfirm != nil {
		r.list.OnConfirm()
	}
}

// FocusGained is Fyne's.
func (r *ChoiceRow) FocusGained() { r.focused = true; r.Refresh(); reveal(r) }

// FocusLost is Fyne's.
func (r *ChoiceRow) FocusLost() { r.focused = false; r.Refresh() }

// TypedRune is Fyne's.
func (r *ChoiceRow) TypedRune(rune) {}

// TypedKey moves, chooses and confirms.
func (r *ChoiceRow) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyUp:
		r.list.move(r.index, -1)
	case fyne.KeyDown:
		r.list.move(r.index, 1)
	case fyne.KeySpace:
		r.list.Choose(r.index)
	case fyne.KeyReturn, fyne.KeyEnter:
		if !r.off {
			r.list.Choose(r.index)
			r.confirm()
		}
	default:
		passKey(r, e)
	}
}

// MouseIn is Fyne's.
func (r *ChoiceRow) MouseIn(*desktop.MouseEvent) { r.hovered = true; r.Refresh() }

// MouseMoved is Fyne's.
func (r *ChoiceRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut is Fyne's.
func (r *ChoiceRow) MouseOut() { r.hovered = false; r.Refresh() }

// HeightFor is that of the content and the padding.
func (r *ChoiceRow) HeightFor(width float32) float32 {
	return HeightFor(r.content, max(width-2*style.CardX, 1)) + 2*style.CardY
}

// MinSize is that of the content and the padding.
func (r *ChoiceRow) MinSize() fyne.Size {
	return r.content.MinSize().AddWidthHeight(2*style.CardX, 2*style.CardY)
}

// CreateRenderer is Fyne's.
func (r *ChoiceRow) CreateRenderer() fyne.WidgetRenderer {
	back := &canvas.Rectangle{CornerRadius: style.Radius}
	ring := &canvas.Rectangle{CornerRadius: style.Radius + 3, StrokeWidth: 2}
	colors := func() {
		back.FillColor, back.StrokeColor, back.StrokeWidth = style.Get(style.Surface), style.Get(style.Line), 1
		if r.hovered && !r.off {
			back.FillColor = style.Get(style.Hover)
		}
		if r.Chosen() {
			back.StrokeColor, back.StrokeWidth = style.Get(style.Accent), 2
		}
		ring.FillColor, ring.StrokeColor = style.Transparent, style.Transparent
		if r.focused {
			ring.StrokeColor = style.Get(style.Accent)
		}
	}
	colors()
	return &simpleRenderer{objs: []fyne.CanvasObject{ring, back, r.content}, min: r.MinSize,
		layout: func(s fyne.Size) {
			back.Resize(s)
			ring.Move(fyne.NewPos(-4, -4))
			ring.Resize(s.AddWidthHeight(8, 8))
			r.content.Move(fyne.NewPos(style.CardX, style.CardY))
			r.content.Resize(fyne.NewSize(max(s.Width-2*style.CardX, 1), s.Height-2*style.CardY))
		},
		refresh: func() {
			colors()
			back.Refresh()
			ring.Refresh()
			r.content.Refresh()
		}}
}
