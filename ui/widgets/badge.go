// Package widgets draws the window's own parts: text that wraps, cards, buttons, badges, the stepper, and the pictures of
// chunks, latencies and stages. They show what they are given, and hold no rule and no words of their own.
package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// State is what a badge, a step or an edge says; each has a shape and a colour besides its word.
type State int

// The states.
const (
	Neutral State = iota // no shape, grey
	Info                 // no shape, accent
	Good                 // check mark
	Warning              // triangle
	Wrong                // cross
)

// Colors are the state's text and soft background.
func (s State) Colors() (fore, back fyne.ThemeColorName) {
	switch s {
	case Info:
		return style.Accent, style.AccentSoft
	case Good:
		return style.Ok, style.OkSoft
	case Warning:
		return style.Warn, style.WarnSoft
	case Wrong:
		return style.Bad, style.BadSoft
	}
	return style.Dim, style.NeutralSoft
}

// Glyph is the state's shape, empty for none.
func (s State) Glyph() Glyph {
	switch s {
	case Good:
		return Check
	case Warning:
		return Triangle
	case Wrong:
		return Cross
	}
	return ""
}

// Badge is a word with its state.
type Badge struct {
	widget.BaseWidget
	State State
	Word  string
}

// NewBadge makes a badge.
func NewBadge(s State, word string) *Badge {
	b := &Badge{State: s, Word: word}
	b.ExtendBaseWidget(b)
	return b
}

// Set changes state and word.
func (b *Badge) Set(s State, word string) {
	b.State, b.Word = s, word
	b.Refresh()
}

const badgePad = 8

func (b *Badge) face() Span {
	fore, _ := b.State.Colors()
	return Span{Text: b.Word, Face: style.Head, Color: fore}
}

func (b *Badge) iconSize() float32 { return style.Head.Px() + 1 }

func (b *Badge) inset() float32 {
	if b.State.Glyph() == "" {
		return badgePad
	}
	return badgePad + b.iconSize() + 5
}

// Natural is the size of the badge with its word on one line.
func (b *Badge) Natural() fyne.Size {
	m := style.Head.Measure(b.Word)
	return fyne.NewSize(m.Width+b.inset()+badgePad, m.Height+4)
}

// MinSize is Natural.
func (b *Badge) MinSize() fyne.Size { return b.Natural() }

// HeightFor is the height where the word has to wrap.
func (b *Badge) HeightFor(width float32) float32 {
	var h float32
	for _, l := range wrap([]Span{b.face()}, max(width-b.inset()-badgePad, 1)) {
		h += l.height
	}
	return max(h-style.Head.LineHeight()+style.Head.Measure(b.Word).Height+4, b.Natural().Height)
}

// CreateRenderer is Fyne's.
func (b *Badge) CreateRenderer() fyne.WidgetRenderer {
	r := &badgeRenderer{b: b, back: &canvas.Rectangle{CornerRadius: style.Corner}, text: NewSpans(b.face())}
	r.Refresh()
	return r
}

type badgeRenderer struct {
	b    *Badge
	back *canvas.Rectangle
	text *Text
	icon *Icon
}

// Layout lets the badge be as wide as its word, however much room there is.
func (r *badgeRenderer) Layout(size fyne.Size) {
	nat := r.b.Natural()
	w := min(nat.Width, size.Width)
	h := max(r.b.HeightFor(w), nat.Height)
	r.back.Resize(fyne.NewSize(w, h))
	x := float32(badgePad)
	if r.icon != nil {
		s := r.b.iconSize()
		r.icon.Move(fyne.NewPos(x, (nat.Height-s)/2))
		r.icon.Resize(fyne.NewSquareSize(s))
		x = r.b.inset()
	}
	tw := w - x - badgePad + 1
	th := r.text.HeightFor(tw)
	r.text.Move(fyne.NewPos(x, (h-th)/2))
	r.text.Resize(fyne.NewSize(tw, th))
}

func (r *badgeRenderer) MinSize() fyne.Size { return r.b.MinSize() }
func (r *badgeRenderer) Objects() []fyne.CanvasObject {
	if r.icon == nil {
		return []fyne.CanvasObject{r.back, r.text}
	}
	return []fyne.CanvasObject{r.back, r.icon, r.text}
}
func (r *badgeRenderer) Destroy() {}
func (r *badgeRenderer) Refresh() {
	fore, back := r.b.State.Colors()
	r.back.FillColor = style.Get(back)
	r.icon = nil
	if g := r.b.State.Glyph(); g != "" {
		r.icon = NewIcon(g, fore, r.b.iconSize())
	}
	r.text.SetSpans(r.b.face())
	r.back.Refresh()
	r.Layout(r.b.Size())
}
