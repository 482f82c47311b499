package widgets

import (
	"math"
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// LatencyPoint is one golden case in a LatencyChart.
type LatencyPoint struct {
	Name string
	MS   float64
}

// LatencyChart shows how long each golden case took against the limit: a stem with a dot for each, in the order given,
// and the limit as a line across. The scale is logarithmic, from the fastest case's power of ten to beyond the limit,
// for models are often a thousand times faster than they need to be. A case over the limit is a cross.
type LatencyChart struct {
	widget.BaseWidget
	LimitWord string                  // written on the limit's line, with its figure
	Number    func(ms float64) string // writes a tick or the limit, with its unit
	points    []LatencyPoint
	limit     float64
}

// NewLatencyChart shows points against a limit in milliseconds; 0 is none.
func NewLatencyChart(limitWord string, number func(ms float64) string, limit float64, points ...LatencyPoint) *LatencyChart {
	if number == nil {
		number = func(ms float64) string { return strconv.FormatFloat(ms, 'g', -1, 64) + " ms" }
	}
	c := &LatencyChart{LimitWord: limitWord, Number: number, limit: limit, points: points}
	c.ExtendBaseWidget(c)
	return c
}

// Over lists the cases above the limit.
func (c *LatencyChart) Over() []string {
	var out []string
	for _, p := range c.points {
		if c.limit > 0 && p.MS > c.limit {
			out = append(out, p.Name)
		}
	}
	return out
}

// fastest keeps the logarithm away from zero, in milliseconds.
const fastest = 1e-4

// span is the scale's ends as powers of ten.
func (c *LatencyChart) span() (lo, hi float64) {
	least, most := math.Inf(1), 0.0
	for _, p := range c.points {
		least, most = min(least, max(p.MS, fastest)), max(most, p.MS)
	}
	if c.limit > 0 {
		most, least = max(most, c.limit), min(least, c.limit)
	}
	if len(c.points) == 0 && c.limit <= 0 {
		return -1, 1
	}
	lo, hi = math.Floor(math.Log10(max(least, fastest))), math.Ceil(math.Log10(max(most, fastest)))
	if math.Log10(max(least, fastest))-lo < 0.15 { // a dot on the ground would have no stem
		lo--
	}
	if hi-lo < 2 {
		hi = lo + 2
	}
	return lo, hi
}

// Ticks are the figures on the scale, in milliseconds.
func (c *LatencyChart) Ticks() []float64 {
	lo, hi := c.span()
	step := math.Max(1, math.Ceil((hi-lo)/4))
	var out []float64
	for e := lo; e <= hi+0.01; e += step {
		out = append(out, math.Pow(10, e))
	}
	return out
}

const chartHeight = 128

// MinSize grows with the text of the scale.
func (c *LatencyChart) MinSize() fyne.Size {
	return fyne.NewSize(240, max(chartHeight, float32(len(c.Ticks())+1)*style.Small.LineHeight()))
}

// CreateRenderer is Fyne's.
func (c *LatencyChart) CreateRenderer() fyne.WidgetRenderer { return &latencyRenderer{c: c} }

type latencyRenderer struct {
	c    *LatencyChart
	objs []fyne.CanvasObject
}

func (r *latencyRenderer) add(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
	r.objs = append(r.objs, o)
}

func (r *latencyRenderer) Layout(size fyne.Size) {
	c := r.c
	r.objs = nil
	line := style.Small.LineHeight()
	lo, hi := c.span()
	top, bottom := line*0.75, size.Height-line/2
	at := func(ms float64) float32 {
		share := (math.Log10(max(ms, fastest)) - lo) / (hi - lo)
		return bottom - float32(share)*(bottom-top)
	}
	left := r.scale(at, size.Width, line)
	n := float32(max(len(c.points), 1))
	room := size.Width - left - 8
	pitch := min(room/n, 64)
	stem := min(max(pitch/4, 2), 6)
	for i, p := range c.points {
		x := left + 8 + pitch*(float32(i)+0.5)
		r.point(p, x, at(p.MS), bottom, stem)
	}
}

// scale draws the ticks, and the limit as a dashed line of its own colour that no dot may cross. A tick too near to the
// limit gives way to it. It gives where the points may begin.
func (r *latencyRenderer) scale(at func(ms float64) float32, width, line float32) (left float32) {
	c := r.c
	type mark struct {
		span Span
		y    float32
	}
	var marks []mark
	if c.limit > 0 {
		marks = append(marks, mark{Span{Text: c.LimitWord + " " + c.Number(c.limit), Face: style.SmallStrong, Color: style.Warn}, at(c.limit)})
	}
	for _, t := range c.Ticks() {
		if y := at(t); c.limit <= 0 || math.Abs(float64(y-at(c.limit))) > float64(line)*0.8 {
			marks = append(marks, mark{Span{Text: c.Number(t), Face: style.SmallDim}, y})
		}
	}
	for _, m := range marks {
		left = max(left, m.span.Face.Measure(m.span.Text).Width)
	}
	left += 12
	for _, m := range marks {
		text := NewSpans(m.span)
		text.Align = fyne.TextAlignTrailing
		r.add(text, 0, m.y-line/2, left-10, line)
		if m.span.Face == style.SmallDim {
			r.add(canvas.NewRectangle(style.Get(style.Line)), left, m.y-0.5, width-left, 1)
			continue
		}
		for x := left; x < width-1; x += 10 {
			r.add(canvas.NewRectangle(style.Get(style.Warn)), x, m.y-1, min(6, width-x), 2)
		}
	}
	return left
}

func (r *latencyRenderer) point(p LatencyPoint, x, y, ground, stem float32) {
	d := min(max(stem*2.2, 6), 11)
	if r.c.limit > 0 && p.MS > r.c.limit {
		r.add(canvas.NewRectangle(style.Get(style.Bad)), x-stem/2, y, stem, max(ground-y, 0))
		r.add(canvas.NewRectangle(style.Get(style.Surface)), x-8, y-8, 16, 16)
		r.add(NewIcon(Cross, style.Bad, 16), x-8, y-8, 16, 16)
		return
	}
	r.add(canvas.NewRectangle(style.Get(style.AccentSoft)), x-stem/2, y, stem, max(ground-y, 0))
	r.add(canvas.NewCircle(style.Get(style.Accent)), x-d/2, y-d/2, d, d)
}

func (r *latencyRenderer) MinSize() fyne.Size           { return r.c.MinSize() }
func (r *latencyRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *latencyRenderer) Destroy()                     {}
func (r *latencyRenderer) Refresh() {
	r.Layout(r.c.Size())
	canvas.Refresh(r.c)
}
