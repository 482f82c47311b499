package widgets

import (
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// Stepper lists the steps of the journey: those done with a check mark, the current one on a coloured ground with bold
// text, the rest with their number.
type Stepper struct {
	widget.BaseWidget
	Words   []string
	Current int // 1 is the first; 0 for none
	Done    int // steps up to this one are done
}

// NewStepper makes one with the steps' words.
func NewStepper(words []string, current, done int) *Stepper {
	s := &Stepper{Words: words, Current: current, Done: done}
	s.ExtendBaseWidget(s)
	return s
}

// Set changes where the journey is.
func (s *Stepper) Set(current, done int) {
	s.Current, s.Done = current, done
	s.Refresh()
}

// stepHeight is the height of a step: generous where there is room, never less than its words.
func (s *Stepper) stepHeight() float32 {
	n := float32(max(len(s.Words), 1))
	return min(max(s.Size().Height/n, s.least()), max(style.Body.LineHeight()+20, 24+16))
}

func (s *Stepper) least() float32 { return max(style.Body.LineHeight(), stepCircle()) + 2 }

// MinSize shows every word whole.
func (s *Stepper) MinSize() fyne.Size {
	var w float32
	for _, word := range s.Words {
		w = max(w, style.BodyStrong.Measure(word).Width)
	}
	return fyne.NewSize(8+stepCircle()+12+w+4, s.least()*float32(len(s.Words)))
}

func stepCircle() float32 { return max(24, style.SmallStrong.Measure("0").Height+5) }

// CreateRenderer is Fyne's.
func (s *Stepper) CreateRenderer() fyne.WidgetRenderer {
	r := &stepperRenderer{s: s}
	r.build()
	return r
}

type stepperRenderer struct {
	s    *Stepper
	objs []fyne.CanvasObject
}

func (r *stepperRenderer) build() {
	r.objs = nil
	h, d := r.s.stepHeight(), stepCircle()
	width := max(r.s.Size().Width, r.s.MinSize().Width)
	add := func(o fyne.CanvasObject, x, y, w, ht float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(w, ht))
		r.objs = append(r.objs, o)
	}
	for i, word := range r.s.Words {
		n, y := i+1, h*float32(i)
		current, done := n == r.s.Current, n <= r.s.Done && n != r.s.Current
		face, color := style.Body, style.Dim
		circle := &canvas.Rectangle{CornerRadius: d / 2, StrokeWidth: 1, FillColor: style.Get(style.Surface), StrokeColor: style.Get(style.Line)}
		number := style.Dim
		switch {
		case current:
			add(&canvas.Rectangle{CornerRadius: 6, FillColor: style.Get(style.AccentSoft)}, 0, y, width, h)
			circle.FillColor, circle.StrokeColor = style.Get(style.Accent), style.Get(style.Accent)
			face, color, number = style.BodyStrong, style.Text, style.OnAccent
		case done:
			circle.FillColor, circle.StrokeColor = style.Get(style.OkSoft), style.Get(style.Ok)
			color = style.Text
		}
		add(circle, 8, y+(h-d)/2, d, d)
		if done {
			add(NewIcon(Check, style.Ok, 14), 8+(d-14)/2, y+(h-14)/2, 14, 14)
		} else {
			t := NewSpans(Span{Text: strconv.Itoa(n), Face: style.SmallStrong, Color: number})
			t.Align = fyne.TextAlignCenter
			th := t.HeightFor(d)
			add(t, 8, y+(h-th)/2, d, th)
		}
		t := NewSpans(Span{Text: word, Face: face, Color: color})
		t.line = true
		lh := face.LineHeight()
		add(t, 8+d+12, y+(h-lh)/2, max(width-(8+d+12)-4, 1), lh)
	}
}

func (r *stepperRenderer) Layout(fyne.Size)             { r.build() }
func (r *stepperRenderer) MinSize() fyne.Size           { return r.s.MinSize() }
func (r *stepperRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *stepperRenderer) Destroy()                     {}
func (r *stepperRenderer) Refresh() {
	r.build()
	canvas.Refresh(r.s)
}
