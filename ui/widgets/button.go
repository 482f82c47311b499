package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

type buttonKind int

const (
	primary buttonKind = iota
	secondary
	danger
	link
)

// Button is a press with a word. Space and Enter press it; keys it does not know go to the window.
type Button struct {
	widget.BaseWidget
	OnTapped func()

	kind             buttonKind
	label, shortcut  string
	off              bool
	focused, hovered bool
}

func newButton(kind buttonKind, label string, tapped func()) *Button {
	b := &Button{kind: kind, label: label, OnTapped: tapped}
	b.ExtendBaseWidget(b)
	return b
}

// PrimaryButton is the one way forward on a page.
func PrimaryButton(label string, tapped func()) *Button { return newButton(primary, label, tapped) }

// SecondaryButton is any other press.
func SecondaryButton(label string, tapped func()) *Button { return newButton(secondary, label, tapped) }

// DangerButton takes something away.
func DangerButton(label string, tapped func()) *Button { return newButton(danger, label, tapped) }

// LinkButton is a press inside text.
func LinkButton(label string, tapped func()) *Button { return newButton(link, label, tapped) }

// SmallLink is a link of the rail.
func SmallLink(label string, tapped func()) *Button {
	b := newButton(link, label, tapped)
	b.kind = smallLink
	return b
}

const smallLink buttonKind = link + 1

// Label is the button's word.
func (b *Button) Label() string { return b.label }

// SetLabel changes the word.
func (b *Button) SetLabel(label string) {
	b.label = label
	b.Refresh()
}

// SetShortcut names the keys that press the button too; they are shown in it. Empty hides them.
func (b *Button) SetShortcut(keys string) {
	b.shortcut = keys
	b.Refresh()
}

// Disabled says whether it cannot be pressed.
func (b *Button) Disabled() bool { return b.off }

// Disable makes it unpressable.
func (b *Button) Disable() { b.SetEnabled(false) }

// Enable makes it pressable.
func (b *Button) Enable() { b.SetEnabled(true) }

// SetEnabled is Enable or Disable.
func (b *Button) SetEnabled(on bool) {
	if b.off == !on {
		return
	}
	b.off = !on
	if b.off && b.focused {
		if c := fyne.CurrentApp().Driver().CanvasForObject(b); c != nil {
			c.Unfocus()
		}
	}
	b.Refresh()
}

// Tapped is Fyne's.
func (b *Button) Tapped(*fyne.PointEvent) {
	if !b.off && b.OnTapped != nil {
		b.OnTapped()
	}
}

// FocusGained is Fyne's.
func (b *Button) FocusGained() { b.focused = true; b.Refresh(); reveal(b) }

// FocusLost is Fyne's.
func (b *Button) FocusLost() { b.focused = false; b.Refresh() }

// TypedRune is Fyne's.
func (b *Button) TypedRune(rune) {}

// TypedKey presses on Space and Enter.
func (b *Button) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	default:
		passKey(b, e)
	}
}

// passKey gives a key that a focused widget does not use to the window.
func passKey(o fyne.CanvasObject, e *fyne.KeyEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(o); c != nil && c.OnTypedKey() != nil {
		c.OnTypedKey()(e)
	}
}

// MouseIn is Fyne's.
func (b *Button) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.Refresh() }

// MouseMoved is Fyne's.
func (b *Button) MouseMoved(*desktop.MouseEvent) {}

// MouseOut is Fyne's.
func (b *Button) MouseOut() { b.hovered = false; b.Refresh() }

// Cursor is a hand over what can be pressed.
func (b *Button) Cursor() desktop.Cursor {
	if b.off {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

func (b *Button) face() style.Face {
	if b.kind == smallLink {
		return style.SmallStrong
	}
	return style.BodyStrong
}

func (b *Button) pad() (x, y float32) {
	if b.kind >= link {
		return 0, 0
	}
	return 18, 9
}

func (b *Button) spans() []Span {
	color := style.Text
	switch {
	case b.off:
		color = style.Dim
	case b.kind == primary:
		color = style.OnAccent
	case b.kind == danger:
		color = style.Bad
	case b.kind >= link:
		color = style.Accent
	}
	out := []Span{{Text: b.label, Face: b.face(), Color: color}}
	if b.shortcut != "" {
		keys := color
		if b.kind != primary && !b.off {
			keys = style.Dim
		}
		out = append(out, Span{Text: "  " + b.shortcut, Face: style.Small, Color: keys})
	}
	return out
}

// Natural is the size with the label on one line.
func (b *Button) Natural() fyne.Size {
	x, y := b.pad()
	w := float32(0)
	for _, s := range b.spans() {
		w += s.Face.Measure(s.Text).Width
	}
	return fyne.NewSize(w+2*x+1, b.face().LineHeight()+2*y)
}

// HeightFor is the height where the label has to wrap.
func (b *Button) HeightFor(width float32) float32 {
	x, y := b.pad()
	var h float32
	for _, l := range wrap(b.spans(), max(width-2*x, 1)) {
		h += l.height
	}
	return h + 2*y
}

// MinSize is Natural.
func (b *Button) MinSize() fyne.Size { return b.Natural() }

// CreateRenderer is Fyne's.
func (b *Button) CreateRenderer() fyne.WidgetRenderer {
	back := &canvas.Rectangle{CornerRadius: 6, StrokeWidth: 1}
	ring := &canvas.Rectangle{CornerRadius: 9, StrokeWidth: 2}
	text := NewSpans(b.spans()...)
	text.Align = fyne.TextAlignCenter
	colors := func() {
		none := style.Transparent
		back.FillColor, back.StrokeColor = none, none
		switch {
		case b.kind >= link:
		case b.kind == primary && !b.off:
			back.FillColor = style.Get(style.Accent)
			if b.hovered {
				back.FillColor = style.Get(style.AccentHover)
			}
		default:
			back.FillColor, back.StrokeColor = style.Get(style.Surface), style.Get(style.Line)
			if b.hovered && !b.off {
				back.FillColor = style.Get(style.Hover)
			}
		}
		ring.FillColor, ring.StrokeColor = none, none
		if b.focused {
			ring.StrokeColor = style.Get(style.Accent)
		}
		text.SetSpans(b.spans()...)
	}
	colors()
	place := func(s fyne.Size) {
		x, _ := b.pad()
		back.Resize(s)
		ring.Move(fyne.NewPos(-3, -3))
		ring.Resize(s.AddWidthHeight(6, 6))
		w := max(s.Width-2*x, 1)
		h := text.HeightFor(w)
		text.Move(fyne.NewPos(x, (s.Height-h)/2))
		text.Resize(fyne.NewSize(w, h))
	}
	return &simpleRenderer{objs: []fyne.CanvasObject{ring, back, text}, min: b.MinSize, layout: place,
		refresh: func() {
			colors()
			back.Refresh()
			ring.Refresh()
			place(b.Size())
		}}
}
