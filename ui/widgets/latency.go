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
	var left float32
	for _, t := range c.Ticks() {
		left = max(left, style.Small.Measure(c.Number(t)).Width)
	}
	left += 12
	lo, hi := c.span()
	top, bottom := line*0.75, size.Height-line/2
	at := func(ms float64) float32 {
		share := (math.Log10(max(ms, fastest)) - lo) / (hi - lo)
		return bottom - float32(share)*(bottom-top)
	}
	for _, t := range c.Ticks() {
		y := at(t)
		text := NewSpans(Span{Text: c.Number(t), Face: style.SmallDim})
		text.Align = fyne.TextAlignTrailing
		r.add(text, 0, y-line/2, left-10, line)
		r.add(canvas.NewRectangle(style.Get(style.Line)), left, y-0.5, size.Width-left, 1)
	}
	n := float32(max(len(c.points), 1))
	room := size.Width - left - 8
	pitch := min(room/n, 64)
	stem := min(max(pitch/4, 2), 6)
	for i, p := range c.points {
		x := left + 8 + pitch*(float32(i)+0.5)
		r.point(p, x, at(p.MS), bottom, stem)
	}
	if c.limit > 0 {
		r.limit(at(c.limit), left, size.Width, line)
	}
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

// limit draws the line that no dot may cross, with its figure at the right above it.
func (r *latencyRenderer) limit(y, left, right, line float32) {
	for x := left; x < right-1; x += 10 {
		r.add(canvas.NewRectangle(style.Get(style.Warn)), x, y-1, min(6, right-x), 2)
	}
	label := NewSpans(Span{Text: r.c.LimitWord + " " + r.c.Number(r.c.limit), Face: style.SmallStrong, Color: style.Warn})
	w := label.Natural().Width + 2
	r.add(canvas.NewRectangle(style.Get(style.Surface)), right-w-14, y-line/2, w+8, line)
	r.add(label, right-w-10, y-line/2, w, line)
}

func (r *latencyRenderer) MinSize() fyne.Size           { return r.c.MinSize() }
func (r *latencyRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *latencyRenderer) Destroy()                     {}
func (r *latencyRenderer) Refresh() {
	r.Layout(r.c.Size())
	canvas.Refresh(r.c)
}
