package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// KeyValue is a name and what it stands for; Value may be any object, a Text above all.
type KeyValue struct {
	Key   string
	Value fyne.CanvasObject
}

// KV is a name and a plain value.
func KV(key, value string) KeyValue { return KeyValue{key, NewText(style.Body, value)} }

// KeyValues shows names and values in two aligned columns. The names take as much room as the longest needs, up to
// two fifths of the width; longer ones wrap.
type KeyValues struct {
	widget.BaseWidget
	keys   []*Text
	values []fyne.CanvasObject
	dense  bool
	width  float32
}

// NewKeyValues lists pairs one below the other.
func NewKeyValues(pairs ...KeyValue) *KeyValues {
	k := &KeyValues{}
	k.ExtendBaseWidget(k)
	k.Set(pairs...)
	return k
}

// NewSmallKeyValues is the same in small text, for details.
func NewSmallKeyValues(pairs ...KeyValue) *KeyValues {
	k := &KeyValues{dense: true}
	k.ExtendBaseWidget(k)
	k.Set(pairs...)
	return k
}

// Set replaces the pairs.
func (k *KeyValues) Set(pairs ...KeyValue) {
	face := style.BodyDim
	if k.dense {
		face = style.SmallDim
	}
	k.keys, k.values = nil, nil
	for _, p := range pairs {
		k.keys = append(k.keys, NewText(face, p.Key))
		k.values = append(k.values, p.Value)
	}
	k.Refresh()
}

func (k *KeyValues) gap() float32 {
	if k.dense {
		return 3
	}
	return 6
}

// keyGap is between names and values.
const keyGap = 16

func (k *KeyValues) keyWidth(width float32) float32 {
	var w float32
	for _, t := range k.keys {
		w = max(w, t.Natural().Width)
	}
	return min(w+1, width*2/5)
}

func (k *KeyValues) each(width float32, do func(i int, y, keyW, h float32)) float32 {
	kw := k.keyWidth(width)
	var y float32
	for i := range k.keys {
		h := max(k.keys[i].HeightFor(kw), HeightFor(k.values[i], width-kw-keyGap))
		if do != nil {
			do(i, y, kw, h)
		}
		y += h + k.gap()
	}
	return max(y-k.gap(), 0)
}

// HeightFor is the height at a width.
func (k *KeyValues) HeightFor(width float32) float32 {
	k.width = width
	return k.each(width, nil)
}

// MinSize is narrow: everything wraps.
func (k *KeyValues) MinSize() fyne.Size {
	if k.width == 0 {
		k.width = startWidth
	}
	var w float32
	for _, v := range k.values {
		w = max(w, v.MinSize().Width)
	}
	return fyne.NewSize(w*5/3+keyGap, k.HeightFor(k.width))
}

// CreateRenderer is Fyne's.
func (k *KeyValues) CreateRenderer() fyne.WidgetRenderer { return &keyValuesRenderer{k} }

type keyValuesRenderer struct{ k *KeyValues }

func (r *keyValuesRenderer) Layout(size fyne.Size) {
	r.k.width = size.Width
	r.k.each(size.Width, func(i int, y, kw, h float32) {
		key, value := r.k.keys[i], r.k.values[i]
		key.Move(fyne.NewPos(0, y))
		key.Resize(fyne.NewSize(kw, h))
		vh := HeightFor(value, size.Width-kw-keyGap)
		// A value lower than its line, such as a badge or a digest, stands in the middle of the first line.
		dy := max((min(h, key.spans[0].Face.LineHeight())-vh)/2, 0)
		value.Move(fyne.NewPos(kw+keyGap, y+dy))
		value.Resize(fyne.NewSize(size.Width-kw-keyGap, vh))
	})
}

func (r *keyValuesRenderer) MinSize() fyne.Size { return r.k.MinSize() }
func (r *keyValuesRenderer) Destroy()           {}
func (r *keyValuesRenderer) Objects() []fyne.CanvasObject {
	var out []fyne.CanvasObject
	for i := range r.k.keys {
		out = append(out, r.k.keys[i], r.k.values[i])
	}
	return out
}

func (r *keyValuesRenderer) Refresh() {
	for _, o := range r.Objects() {
		o.Refresh()
	}
	r.Layout(r.k.Size())
}
