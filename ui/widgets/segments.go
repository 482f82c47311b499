package widgets

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// Segments is a choice of a few words side by side, below each other where there is no room. The chosen one has a check
// mark, bold text and a coloured ground. Arrow keys choose; a click does too.
type Segments struct {
	widget.BaseWidget
	OnChosen func(i int)

	words   []string
	chosen  int // -1: none
	off     bool
	focused bool
	width   float32
}

// NewSegments offers words; chosen is -1 for none.
func NewSegments(words []string, chosen int, onChosen func(i int)) *Segments {
	s := &Segments{words: words, chosen: chosen, OnChosen: onChosen}
	s.ExtendBaseWidget(s)
	return s
}

// Chosen is the index of the chosen word, -1 for none.
func (s *Segments) Chosen() int { return s.chosen }

// Choose is what a click on a word does.
func (s *Segments) Choose(i int) {
	if s.off || i < 0 || i >= len(s.words) || i == s.chosen {
		return
	}
	s.chosen = i
	s.Refresh()
	if s.OnChosen != nil {
		s.OnChosen(i)
	}
}

// Disabled is Fyne's.
func (s *Segments) Disabled() bool { return s.off }

// Disable is Fyne's.
func (s *Segments) Disable() { s.off = true; s.Refresh() }

// Enable is Fyne's.
func (s *Segments) Enable() { s.off = false; s.Refresh() }

// Tapped chooses the word under the pointer.
func (s *Segments) Tapped(e *fyne.PointEvent) {
	for i, b := range s.boxes(s.Size().Width) {
		if e.Position.X >= b.x && e.Position.X < b.x+b.w && e.Position.Y >= b.y && e.Position.Y < b.y+b.h {
			s.Choose(i)
		}
	}
	if c := fyne.CurrentApp().Driver().CanvasForObject(s); c != nil && !s.off {
		c.Focus(s)
	}
}

// Cursor is a hand.
func (s *Segments) Cursor() desktop.Cursor {
	if s.off {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

// FocusGained is Fyne's.
func (s *Segments) FocusGained() { s.focused = true; s.Refresh(); reveal(s) }

// FocusLost is Fyne's.
func (s *Segments) FocusLost() { s.focused = false; s.Refresh() }

// TypedRune is Fyne's.
func (s *Segments) TypedRune(rune) {}

// TypedKey moves the choice; Space takes the first when there is none.
func (s *Segments) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyLeft, fyne.KeyUp:
		s.Choose(max(s.chosen-1, 0))
	case fyne.KeyRight, fyne.KeyDown:
		s.Choose(min(s.chosen+1, len(s.words)-1))
	case fyne.KeySpace:
		s.Choose(max(s.chosen, 0))
	default:
		passKey(s, e)
	}
}

type segmentBox struct{ x, y, w, h float32 }

const (
	segmentPadX = 12
	segmentPadY = 4
	segmentGap  = 6
	segmentIcon = 14
)

// boxes are where the words stand at a width. Each keeps room for its check mark, so that nothing moves.
func (s *Segments) boxes(width float32) []segmentBox {
	h := style.Body.LineHeight() + 2*segmentPadY
	var x, y float32
	var out []segmentBox
	for _, word := range s.words {
		w := style.BodyStrong.Measure(word).Width + 2*segmentPadX + segmentIcon + 6
		if x > 0 && x+w > width+0.5 {
			x, y = 0, y+h+segmentGap
		}
		out = append(out, segmentBox{x, y, min(w, max(width, 1)), h})
		x += w + segmentGap
	}
	return out
}

// Natural is the size with all words in one line.
func (s *Segments) Natural() fyne.Size {
	b := s.boxes(1e6)
	last := b[len(b)-1]
	return fyne.NewSize(last.x+last.w, last.h)
}

// HeightFor is the height at a width.
func (s *Segments) HeightFor(width float32) float32 {
	s.width = width
	b := s.boxes(width)
	last := b[len(b)-1]
	return last.y + last.h
}

// MinSize is narrow: the words may stand below each other.
func (s *Segments) MinSize() fyne.Size {
	if s.width == 0 {
		s.width = startWidth
	}
	var w float32
	for _, b := range s.boxes(1e6) {
		w = max(w, b.w)
	}
	return fyne.NewSize(w, s.HeightFor(s.width))
}

// CreateRenderer is Fyne's.
func (s *Segments) CreateRenderer() fyne.WidgetRenderer { return &segmentsRenderer{s: s} }

type segmentsRenderer struct {
	s    *Segments
	objs []fyne.CanvasObject
}

func (r *segmentsRenderer) Layout(size fyne.Size) {
	s := r.s
	r.objs = nil
	add := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(w, h))
		r.objs = append(r.objs, o)
	}
	boxes := s.boxes(size.Width)
	if s.focused && len(boxes) > 0 {
		ring := &canvas.Rectangle{CornerRadius: 9, StrokeWidth: 2, FillColor: style.Transparent, StrokeColor: style.Get(style.Accent)}
		var w float32
		for _, b := range boxes {
			w = max(w, b.x+b.w)
		}
		last := boxes[len(boxes)-1]
		add(ring, -4, -4, w+8, last.y+last.h+8)
	}
	for i, b := range boxes {
		back := &canvas.Rectangle{CornerRadius: 6, StrokeWidth: 1, FillColor: style.Get(style.Surface), StrokeColor: style.Get(style.Line)}
		span := Span{Text: s.words[i], Face: style.Body}
		left := b.x + (b.w-style.Body.Measure(s.words[i]).Width)/2
		switch {
		case i == s.chosen:
			back.FillColor, back.StrokeColor, back.StrokeWidth = style.Get(style.AccentSoft), style.Get(style.Accent), 1.5
			span.Face, span.Color = style.BodyStrong, style.Accent
			left = b.x + segmentPadX + segmentIcon + 6
		case s.off:
			span.Color = style.Dim
		}
		add(back, b.x, b.y, b.w, b.h)
		if i == s.chosen {
			add(NewIcon(Check, style.Accent, segmentIcon), b.x+segmentPadX, b.y+(b.h-segmentIcon)/2, segmentIcon, segmentIcon)
		}
		t := NewSpans(span)
		t.line = true
		lh := span.Face.LineHeight()
		add(t, left, b.y+(b.h-lh)/2, b.x+b.w-left, lh)
	}
}

func (r *segmentsRenderer) MinSize() fyne.Size           { return r.s.MinSize() }
func (r *segmentsRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *segmentsRenderer) Destroy()                     {}
func (r *segmentsRenderer) Refresh() {
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

// Find is the index of a word, -1 for none.
func (s *Segments) Find(word string) int { return slices.Index(s.words, word) }
