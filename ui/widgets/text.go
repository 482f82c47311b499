package widgets

import (
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// Span is a piece of text in one face. Color replaces the face's when set.
type Span struct {
	Text  string
	Face  style.Face
	Color fyne.ThemeColorName
}

func (s Span) color() fyne.ThemeColorName {
	if s.Color != "" {
		return s.Color
	}
	return s.Face.Color()
}

// Text shows words that wrap at the width they get; a word longer than a line is broken, so that nothing is clipped.
type Text struct {
	widget.BaseWidget
	Align fyne.TextAlign // leading or trailing

	spans []Span
	line  bool    // never wrapped: one line, cut with an ellipsis when there is no room
	width float32 // that lines were made for
	lines []textLine
}

type textLine struct {
	pieces []Span
	width  float32
	height float32
}

// NewText is wrapping text in one face.
func NewText(face style.Face, text string) *Text { return NewSpans(Span{Text: text, Face: face}) }

// NewSpans is wrapping text of several faces.
func NewSpans(spans ...Span) *Text {
	t := &Text{spans: spans}
	t.ExtendBaseWidget(t)
	return t
}

// NewLine is one line of text, at least as wide as its words.
func NewLine(face style.Face, text string) *Text {
	t := &Text{spans: []Span{{Text: text, Face: face}}, line: true}
	t.ExtendBaseWidget(t)
	return t
}

// SetText replaces the words, in the face of the first span.
func (t *Text) SetText(text string) {
	first := t.spans[0]
	first.Text = text
	t.SetSpans(first)
}

// SetSpans replaces everything.
func (t *Text) SetSpans(spans ...Span) {
	t.spans, t.lines = spans, nil
	t.Refresh()
}

// String is the whole text.
func (t *Text) String() string {
	var b strings.Builder
	for _, s := range t.spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Natural is the size on one line per paragraph.
func (t *Text) Natural() fyne.Size {
	var s fyne.Size
	for _, l := range wrap(t.spans, 1e6) {
		s = fyne.NewSize(max(s.Width, l.width), s.Height+l.height)
	}
	return s
}

// HeightFor is the height of the wrapped text at a width.
func (t *Text) HeightFor(width float32) float32 {
	t.flow(width)
	var h float32
	for _, l := range t.lines {
		h += l.height
	}
	return h
}

func (t *Text) flow(width float32) {
	if t.lines != nil && t.width == width {
		return
	}
	t.width = width
	if t.line {
		t.lines = wrap(t.spans, 1e6)
		if len(t.lines) > 1 {
			t.lines = t.lines[:1]
		}
		t.lines[0].cut(width)
		return
	}
	t.lines = wrap(t.spans, width)
}

// MinSize of a line is that of its words; wrapping text asks for its longest word, up to a third of a page.
func (t *Text) MinSize() fyne.Size {
	if t.line {
		return t.Natural()
	}
	if t.width == 0 {
		t.flow(startWidth)
	}
	var w float32
	for _, s := range t.spans {
		for word := range strings.FieldsSeq(s.Text) {
			w = max(w, s.Face.Measure(word).Width)
		}
	}
	return fyne.NewSize(min(w, 200), t.HeightFor(t.width))
}

// Refresh reads sizes and colours again.
func (t *Text) Refresh() {
	t.lines = nil
	t.BaseWidget.Refresh()
}

// CreateRenderer is Fyne's.
func (t *Text) CreateRenderer() fyne.WidgetRenderer { return &textRenderer{text: t} }

type textRenderer struct {
	text *Text
	objs []fyne.CanvasObject
}

func (r *textRenderer) Layout(size fyne.Size) {
	r.text.flow(size.Width)
	r.objs = nil
	var y float32
	for _, l := range r.text.lines {
		var x float32
		if r.text.Align == fyne.TextAlignTrailing {
			x = max(size.Width-l.width, 0)
		} else if r.text.Align == fyne.TextAlignCenter {
			x = max((size.Width-l.width)/2, 0)
		}
		base := l.baseline()
		for _, p := range l.pieces {
			c := canvas.NewText(p.Text, style.Get(p.color()))
			c.TextSize, c.TextStyle = p.Face.Px(), p.Face.TextStyle()
			m := c.MinSize()
			c.Move(fyne.NewPos(x, y+base-ascent(p.Face)))
			c.Resize(m)
			x += m.Width
			r.objs = append(r.objs, c)
		}
		y += l.height
	}
}

func (r *textRenderer) MinSize() fyne.Size           { return r.text.MinSize() }
func (r *textRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *textRenderer) Destroy()                     {}
func (r *textRenderer) Refresh() {
	r.Layout(r.text.Size())
	canvas.Refresh(r.text)
}

func ascent(f style.Face) float32 {
	_, base := fyne.CurrentApp().Driver().RenderedTextSize("Mg", f.Px(), f.TextStyle(), nil)
	return base
}

// baseline is where the line's text stands: the leading is split above and below.
func (l textLine) baseline() float32 {
	var base, text float32
	for _, p := range l.pieces {
		base, text = max(base, ascent(p.Face)), max(text, p.Face.Measure("Mg").Height)
	}
	return base + max(l.height-text, 0)/2
}

// cut shortens a line to a width, with an ellipsis in the middle: both ends of a name tell it apart.
func (l *textLine) cut(width float32) {
	if l.width <= width+0.5 || len(l.pieces) != 1 {
		return
	}
	p := &l.pieces[0]
	runes := []rune(p.Text)
	lo, hi := 0, len(runes)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if p.Face.Measure(middle(runes, mid)).Width <= width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	p.Text = middle(runes, lo)
	l.width = p.Face.Measure(p.Text).Width
}

func middle(runes []rune, keep int) string {
	if keep >= len(runes) {
		return string(runes)
	}
	head := (keep + 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(keep-head):])
}

// wrap breaks spans into lines at spaces and newlines.
func wrap(spans []Span, width float32) []textLine {
	var lines []textLine
	var cur textLine
	face := style.Body
	end := func() {
		cur.trim()
		if cur.height == 0 {
			cur.height = face.LineHeight()
		}
		lines = append(lines, cur)
		cur = textLine{}
	}
	add := func(s Span, text string, w float32) {
		if n := len(cur.pieces); n > 0 && cur.pieces[n-1].Face == s.Face && cur.pieces[n-1].Color == s.Color {
			cur.pieces[n-1].Text += text
		} else {
			cur.pieces = append(cur.pieces, Span{Text: text, Face: s.Face, Color: s.Color})
		}
		cur.width += w
		cur.height = max(cur.height, s.Face.LineHeight())
	}
	for _, s := range spans {
		face = s.Face
		for _, word := range split(s.Text) {
			if word == "\n" {
				end()
				continue
			}
			space := strings.TrimSpace(word) == ""
			w := s.Face.Measure(word).Width
			if space {
				if len(cur.pieces) > 0 {
					add(s, word, w)
				}
				continue
			}
			if cur.width+w > width+0.5 && len(cur.pieces) > 0 {
				end()
			}
			for w > width+0.5 {
				n := fitting(s.Face, word, width)
				if n == len(word) {
					break
				}
				add(s, word[:n], s.Face.Measure(word[:n]).Width)
				end()
				word = word[n:]
				w = s.Face.Measure(word).Width
			}
			add(s, word, w)
		}
	}
	end()
	return lines
}

func (l *textLine) trim() {
	for n := len(l.pieces) - 1; n >= 0; n-- {
		l.pieces[n].Text = strings.TrimRight(l.pieces[n].Text, " \t")
		if l.pieces[n].Text != "" {
			break
		}
		l.pieces = l.pieces[:n]
	}
	l.width = 0
	for _, p := range l.pieces {
		l.width += p.Face.Measure(p.Text).Width
	}
}

// split gives words, runs of spaces, and newlines. No-break spaces stay inside their word.
func split(text string) []string {
	var out []string
	start, kind := 0, 0
	for i, r := range text {
		k := 1
		switch {
		case r == '\n':
			k = 3
		case r != '\u00a0' && r != '\u202f' && unicode.IsSpace(r):
			k = 2
		}
		if i > start && (k != kind || k == 3) {
			out = append(out, text[start:i])
			start = i
		}
		kind = k
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// fitting is how many bytes of a word fit into a width, at least one rune.
func fitting(f style.Face, word string, width float32) int {
	n := 0
	for i, r := range word {
		next := i + len(string(r))
		if n > 0 && f.Measure(word[:next]).Width > width {
			return n
		}
		n = next
	}
	return n
}

// Cut says whether words of a line are left out, for want of room.
func (t *Text) Cut() bool {
	if !t.line || len(t.lines) == 0 {
		return false
	}
	return t.lines[0].text() != t.String()
}

func (l textLine) text() string {
	var b strings.Builder
	for _, p := range l.pieces {
		b.WriteString(p.Text)
	}
	return b.String()
}
