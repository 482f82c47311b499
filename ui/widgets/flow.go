package widgets

import (
	"fyne.io/fyne/v2"
)

// Flowing is an object whose height depends on the width it gets, because text in it wraps. Asking tells it the width
// that it will get: its MinSize answers for that width from then on.
type Flowing interface {
	HeightFor(width float32) float32
}

// FlowLayout is a layout with the same property.
type FlowLayout interface {
	HeightFor(objects []fyne.CanvasObject, width float32) float32
}

// HeightFor is the height that an object needs at a width.
func HeightFor(o fyne.CanvasObject, width float32) float32 {
	switch o := o.(type) {
	case Flowing:
		return o.HeightFor(width)
	case *fyne.Container:
		if l, ok := o.Layout.(FlowLayout); ok {
			return l.HeightFor(o.Objects, width)
		}
	}
	return o.MinSize().Height
}

// startWidth is what flowing objects take for their width until they know it.
const startWidth = 640

// Column stacks objects over the whole width, each as high as it needs to be there.
func Column(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return fyne.NewContainerWithLayout(&column{gap: gap, width: startWidth}, objects...)
}

type column struct{ gap, width float32 }

func (c *column) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	c.width = width
	var h float32
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		if h > 0 {
			h += c.gap
		}
		h += HeightFor(o, width)
	}
	return h
}

func (c *column) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	var y float32
	c.width = size.Width
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := HeightFor(o, size.Width)
		o.Move(fyne.NewPos(0, y))
		o.Resize(fyne.NewSize(size.Width, h))
		y += h + c.gap
	}
}

func (c *column) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var w float32
	for _, o := range objects {
		if o.Visible() {
			w = max(w, o.MinSize().Width)
		}
	}
	return fyne.NewSize(w, c.HeightFor(objects, c.width))
}

// Row puts objects side by side: each column gets its share of the width, and all are as high as the highest.
func Row(gap float32, shares []float32, objects ...fyne.CanvasObject) *fyne.Container {
	return fyne.NewContainerWithLayout(&row{gap: gap, shares: shares, width: startWidth}, objects...)
}

type row struct {
	gap    float32
	shares []float32
	width  float32
}

// widths of the columns at a width of the whole.
func (r *row) widths(objects []fyne.CanvasObject, width float32) []float32 {
	out := make([]float32, len(objects))
	var sum float32
	for i := range objects {
		sum += r.share(i)
	}
	room := width - r.gap*float32(max(len(objects)-1, 0))
	for i := range out {
		out[i] = room * r.share(i) / sum
	}
	return out
}

func (r *row) share(i int) float32 {
	if i < len(r.shares) {
		return r.shares[i]
	}
	return 1
}

func (r *row) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	r.width = width
	var h float32
	for i, w := range r.widths(objects, width) {
		h = max(h, HeightFor(objects[i], w))
	}
	return h
}

func (r *row) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	var x float32
	h := max(r.HeightFor(objects, size.Width), size.Height)
	for i, w := range r.widths(objects, size.Width) {
		objects[i].Move(fyne.NewPos(x, 0))
		objects[i].Resize(fyne.NewSize(w, h))
		x += w + r.gap
	}
}

func (r *row) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var w float32
	for _, o := range objects {
		w += o.MinSize().Width
	}
	return fyne.NewSize(w+r.gap*float32(max(len(objects)-1, 0)), r.HeightFor(objects, r.width))
}
