package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// RungState is where a rung of the ladder stands; each has its own shape.
type RungState int

// The states.
const (
	RungOpen    RungState = iota // empty circle: not reached
	RungWaiting                  // dot: the next one
	RungReached                  // check mark
	RungOff                      // dash: reached, but switched off
)

// Rung is one stage.
type Rung struct {
	State RungState
	Name  string
	Lines []string // when, who
}

// Ladder shows the stages from left to right with a line between them, full where the next rung is reached.
type Ladder struct {
	widget.BaseWidget
	rungs []Rung
	names []*Text
	texts []*Text
	width float32
}

// NewLadder shows rungs.
func NewLadder(rungs ...Rung) *Ladder {
	l := &Ladder{}
	l.ExtendBaseWidget(l)
	l.Set(rungs...)
	return l
}

// Set replaces the rungs.
func (l *Ladder) Set(rungs ...Rung) {
	l.rungs, l.names, l.texts = rungs, nil, nil
	for _, r := range rungs {
		l.names = append(l.names, NewText(style.Heading, r.Name))
		spans := make([]Span, 0, len(r.Lines))
		for i, line := range r.Lines {
			if i < len(r.Lines)-1 {
				line += "\n"
			}
			spans = append(spans, Span{Text: line, Face: style.BodyDim})
		}
		if len(spans) == 0 {
			spans = []Span{{Face: style.BodyDim}}
		}
		l.texts = append(l.texts, NewSpans(spans...))
	}
	l.Refresh()
}

// Rungs are those shown.
func (l *Ladder) Rungs() []Rung { return l.rungs }

const (
	rungCircle = 30
	rungGap    = 16
)

func (l *Ladder) column(width float32) float32 {
	n := float32(max(len(l.rungs), 1))
	return (width - rungGap*(n-1)) / n
}

// HeightFor is that of the circles and the highest column of text.
func (l *Ladder) HeightFor(width float32) float32 {
	l.width = width
	w := l.column(width)
	var h float32
	for i := range l.rungs {
		h = max(h, l.names[i].HeightFor(w)+l.texts[i].HeightFor(w))
	}
	return rungCircle + 8 + h
}

// MinSize is narrow.
func (l *Ladder) MinSize() fyne.Size {
	if l.width == 0 {
		l.width = startWidth
	}
	return fyne.NewSize(320, l.HeightFor(l.width))
}

// CreateRenderer is Fyne's.
func (l *Ladder) CreateRenderer() fyne.WidgetRenderer { return &ladderRenderer{l: l} }

type ladderRenderer struct {
	l    *Ladder
	objs []fyne.CanvasObject
}

func (r *ladderRenderer) Layout(size fyne.Size) {
	l := r.l
	l.width = size.Width
	w := l.column(size.Width)
	r.objs = nil
	add := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(w, h))
		r.objs = append(r.objs, o)
	}
	for i, rung := range l.rungs {
		x := float32(i) * (w + rungGap)
		if i+1 < len(l.rungs) {
			r.join(add, x+rungCircle+rungGap/2, x+w+rungGap/2, l.rungs[i+1].State)
		}
		r.circle(add, x, rung.State)
		nh := l.names[i].HeightFor(w)
		add(l.names[i], x, rungCircle+8, w, nh)
		add(l.texts[i], x, rungCircle+8+nh, w, l.texts[i].HeightFor(w))
	}
}

// join draws the line to the next rung: full when that is reached, dashed when not.
func (r *ladderRenderer) join(add func(o fyne.CanvasObject, x, y, w, h float32), from, to float32, next RungState) {
	y := float32(rungCircle)/2 - 1
	if next == RungReached {
		add(canvas.NewRectangle(style.Get(style.Ok)), from, y, max(to-from, 0), 2)
		return
	}
	for x := from; x < to-1; x += 9 {
		add(canvas.NewRectangle(style.Get(style.Line)), x, y, min(5, to-x), 2)
	}
}

func (r *ladderRenderer) circle(add func(o fyne.CanvasObject, x, y, w, h float32), x float32, s RungState) {
	c := &canvas.Rectangle{CornerRadius: rungCircle / 2, StrokeWidth: 2, FillColor: style.Get(style.Surface), StrokeColor: style.Get(style.Line)}
	add(c, x, 0, rungCircle, rungCircle)
	const icon = 14
	at := x + (rungCircle-icon)/2
	switch s {
	case RungReached:
		c.FillColor, c.StrokeColor = style.Get(style.OkSoft), style.Get(style.Ok)
		add(NewIcon(Check, style.Ok, icon), at, (rungCircle-icon)/2, icon, icon)
	case RungWaiting:
		c.FillColor, c.StrokeColor = style.Get(style.AccentSoft), style.Get(style.Accent)
		add(NewIcon(Dot, style.Accent, icon), at, (rungCircle-icon)/2, icon, icon)
	case RungOff:
		c.FillColor, c.StrokeColor = style.Get(style.WarnSoft), style.Get(style.Warn)
		add(canvas.NewRectangle(style.Get(style.Warn)), at+1, rungCircle/2-1.25, icon-2, 2.5)
	}
}

func (r *ladderRenderer) MinSize() fyne.Size           { return r.l.MinSize() }
func (r *ladderRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *ladderRenderer) Destroy()                     {}
func (r *ladderRenderer) Refresh() {
	for i := range r.l.texts {
		r.l.names[i].Refresh()
		r.l.texts[i].Refresh()
	}
	r.Layout(r.l.Size())
	canvas.Refresh(r.l)
}
