package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// ChunkState is where one chunk is on its way.
type ChunkState uint8

// The states, with a shape besides the colour: an open chunk is a pale square, one in work is half filled, a verified
// one is full.
const (
	ChunkOpen ChunkState = iota
	ChunkWork
	ChunkVerified
)

// maxSquares is how many squares are drawn at most: with more chunks, one square stands for several.
const maxSquares = 192

// ChunkPicture shows the chunks of what is being copied. Its owner changes chunks with Set and then calls Refresh;
// only squares that changed are drawn again.
type ChunkPicture struct {
	widget.BaseWidget
	chunks []ChunkState
	width  float32
}

// NewChunkPicture shows n open chunks.
func NewChunkPicture(n int) *ChunkPicture {
	c := &ChunkPicture{chunks: make([]ChunkState, n)}
	c.ExtendBaseWidget(c)
	return c
}

// Set changes a chunk; an index that is none is ignored.
func (c *ChunkPicture) Set(i int, s ChunkState) {
	if i >= 0 && i < len(c.chunks) {
		c.chunks[i] = s
	}
}

// Get is a chunk's state.
func (c *ChunkPicture) Get(i int) ChunkState { return c.chunks[i] }

// Count says how many chunks are in each state.
func (c *ChunkPicture) Count() (verified, work, open int) {
	for _, s := range c.chunks {
		switch s {
		case ChunkVerified:
			verified++
		case ChunkWork:
			work++
		default:
			open++
		}
	}
	return verified, work, open
}

// Squares is how many squares are drawn.
func (c *ChunkPicture) Squares() int {
	per := c.per()
	return (len(c.chunks) + per - 1) / per
}

// per is how many chunks a square stands for.
func (c *ChunkPicture) per() int { return max((len(c.chunks)+maxSquares-1)/maxSquares, 1) }

// fill is how much of a square is full, and whether it is in work.
func (c *ChunkPicture) fill(square int) (share float32, work bool) {
	per := c.per()
	all := c.chunks[square*per : min((square+1)*per, len(c.chunks))]
	var done int
	for _, s := range all {
		if s == ChunkVerified {
			done++
		}
		work = work || s == ChunkWork
	}
	return float32(done) / float32(len(all)), work || done > 0 && done < len(all)
}

const (
	squareGap    = 3
	squareLeast  = 16
	squareHeight = 18
	squareWidest = 72
)

// grid is the number of squares in a line and their width. Lines are of nearly the same length.
func (c *ChunkPicture) grid(width float32) (across int, w float32) {
	n := max(c.Squares(), 1)
	most := max(int((width+squareGap)/(squareLeast+squareGap)), 1)
	lines := (n + most - 1) / most
	across = (n + lines - 1) / lines
	return across, min((width-squareGap*float32(across-1))/float32(across), squareWidest)
}

// HeightFor is that of the lines of squares.
func (c *ChunkPicture) HeightFor(width float32) float32 {
	c.width = width
	across, _ := c.grid(width)
	lines := (c.Squares() + across - 1) / across
	return max(float32(lines)*(squareHeight+squareGap)-squareGap, squareHeight)
}

// MinSize is narrow.
func (c *ChunkPicture) MinSize() fyne.Size {
	if c.width == 0 {
		c.width = startWidth
	}
	return fyne.NewSize(200, c.HeightFor(c.width))
}

// CreateRenderer is Fyne's.
func (c *ChunkPicture) CreateRenderer() fyne.WidgetRenderer {
	r := &chunkRenderer{c: c}
	for range c.Squares() {
		r.back = append(r.back, &canvas.Rectangle{CornerRadius: 3})
		r.front = append(r.front, &canvas.Rectangle{CornerRadius: 3})
		r.shown = append(r.shown, -1)
	}
	for i := range r.back {
		r.objs = append(r.objs, r.back[i], r.front[i])
	}
	return r
}

type chunkRenderer struct {
	c           *ChunkPicture
	back, front []*canvas.Rectangle
	shown       []float32 // what each square shows: its share, and 2 more while it is in work
	objs        []fyne.CanvasObject
}

func (r *chunkRenderer) Layout(size fyne.Size) {
	r.c.width = size.Width
	across, w := r.c.grid(size.Width)
	for i := range r.back {
		r.back[i].Move(fyne.NewPos(float32(i%across)*(w+squareGap), float32(i/across)*(squareHeight+squareGap)))
		r.back[i].Resize(fyne.NewSize(w, squareHeight))
		r.shown[i] = -1
	}
	r.draw()
}

// draw changes the squares that say something new.
func (r *chunkRenderer) draw() {
	for i := range r.back {
		share, work := r.c.fill(i)
		now := share
		if work {
			now += 2
		}
		if now == r.shown[i] {
			continue
		}
		r.shown[i] = now
		at, size := r.back[i].Position(), r.back[i].Size()
		back, front := r.back[i], r.front[i]
		back.FillColor, back.StrokeWidth, back.StrokeColor = style.Get(style.Track), 0, style.Transparent
		front.FillColor = style.Get(style.Ok)
		h := size.Height
		switch {
		case work:
			back.StrokeWidth, back.StrokeColor = 1.5, style.Get(style.Accent)
			front.FillColor = style.Get(style.Accent)
			h = max(size.Height*share, size.Height/2)
		case share == 0:
			h = 0
		}
		front.Move(at.AddXY(0, size.Height-h))
		front.Resize(fyne.NewSize(size.Width, h))
		back.Refresh()
		front.Refresh()
	}
}

func (r *chunkRenderer) MinSize() fyne.Size           { return r.c.MinSize() }
func (r *chunkRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *chunkRenderer) Destroy()                     {}

// Refresh draws what changed. A change of theme lays everything out again and so draws all.
func (r *chunkRenderer) Refresh() {
	if len(r.shown) > 0 && r.back[0].FillColor != style.Get(style.Track) {
		for i := range r.shown {
			r.shown[i] = -1
		}
	}
	r.draw()
}

// Bar is a thin progress bar.
type Bar struct {
	widget.BaseWidget
	share float32
}

// NewBar is an empty bar.
func NewBar() *Bar {
	b := &Bar{}
	b.ExtendBaseWidget(b)
	return b
}

// SetShare fills the bar to a share of 0 to 1.
func (b *Bar) SetShare(share float32) {
	if share = min(max(share, 0), 1); share != b.share {
		b.share = share
		b.Refresh()
	}
}

// MinSize is as low as a bar.
func (b *Bar) MinSize() fyne.Size { return fyne.NewSize(80, 8) }

// CreateRenderer is Fyne's.
func (b *Bar) CreateRenderer() fyne.WidgetRenderer {
	back, front := &canvas.Rectangle{CornerRadius: 4}, &canvas.Rectangle{CornerRadius: 4}
	draw := func() {
		back.FillColor, front.FillColor = style.Get(style.Track), style.Get(style.Accent)
		s := b.Size()
		back.Resize(s)
		w := s.Width * b.share
		if b.share > 0 {
			w = max(w, s.Height)
		}
		front.Resize(fyne.NewSize(w, s.Height))
	}
	draw()
	return &simpleRenderer{objs: []fyne.CanvasObject{back, front}, min: b.MinSize,
		layout: func(fyne.Size) { draw() }, refresh: func() { draw(); back.Refresh(); front.Refresh() }}
}
