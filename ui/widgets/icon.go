package widgets

import (
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// Glyph names a drawing of the window's one icon family: 16 by 16, round strokes of 2.
type Glyph string

// The glyphs.
const (
	Check    Glyph = "check"
	Cross    Glyph = "cross"
	Triangle Glyph = "triangle"
	Dot      Glyph = "dot"
	Right    Glyph = "right"
	Down     Glyph = "down"
	Gates    Glyph = "gates" // the program's sign
)

var glyphs = map[Glyph]string{
	Check:    `<path d="M3.5 8.5 L6.6 11.6 L12.5 4.8" fill="none" stroke="%s" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/>`,
	Cross:    `<path d="M4.4 4.4 L11.6 11.6 M11.6 4.4 L4.4 11.6" fill="none" stroke="%s" stroke-width="2.4" stroke-linecap="round"/>`,
	Triangle: `<path d="M8 2.4 L14.2 13.4 L1.8 13.4 Z" fill="none" stroke="%s" stroke-width="1.8" stroke-linejoin="round"/>`,
	Dot:      `<circle cx="8" cy="8" r="3.4" fill="%s"/>`,
	Right:    `<path d="M5.5 3.4 L11.5 8 L5.5 12.6 Z" fill="%s"/>`,
	Down:     `<path d="M3.4 5.5 L12.6 5.5 L8 11.5 Z" fill="%s"/>`,
	Gates:    `<path d="M1 2 L1 14 M15 2 L15 14" stroke="%[2]s" stroke-width="1.8" fill="none"/><path d="M2.6 4 L8 8 L2.6 12 Z M13.4 4 L8 8 L13.4 12 Z" fill="none" stroke="%[1]s" stroke-width="1.7" stroke-linejoin="round"/>`,
}

// Icon shows a glyph in a colour of the theme.
type Icon struct {
	widget.BaseWidget
	glyph Glyph
	color fyne.ThemeColorName
	size  float32
}

// NewIcon draws a glyph, size pixels wide and high.
func NewIcon(g Glyph, color fyne.ThemeColorName, size float32) *Icon {
	i := &Icon{glyph: g, color: color, size: size}
	i.ExtendBaseWidget(i)
	return i
}

// MinSize is the glyph's.
func (i *Icon) MinSize() fyne.Size { return fyne.NewSquareSize(i.size) }

// CreateRenderer is Fyne's.
func (i *Icon) CreateRenderer() fyne.WidgetRenderer {
	img := canvas.NewImageFromResource(i.glyph.resource(style.Get(i.color)))
	img.FillMode = canvas.ImageFillContain
	return &simpleRenderer{objs: []fyne.CanvasObject{img}, min: i.MinSize, layout: func(s fyne.Size) { img.Resize(s) },
		refresh: func() {
			img.Resource = i.glyph.resource(style.Get(i.color))
			img.Refresh()
		}}
}

func (g Glyph) resource(c color.Color) fyne.Resource {
	draw, second := hex(c), hex(style.Get(style.Text))
	body := fmt.Sprintf(glyphs[g], draw)
	if g == Gates {
		body = fmt.Sprintf(glyphs[g], draw, second)
	}
	return fyne.NewStaticResource(fmt.Sprintf("sluice-%s-%s-%s.svg", g, draw[1:], second[1:]),
		[]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">`+body+`</svg>`))
}

func hex(c color.Color) string {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return fmt.Sprintf("#%02X%02X%02X", n.R, n.G, n.B)
}

// simpleRenderer serves widgets whose objects stay the same.
type simpleRenderer struct {
	objs    []fyne.CanvasObject
	min     func() fyne.Size
	layout  func(fyne.Size)
	refresh func()
}

func (r *simpleRenderer) Layout(s fyne.Size)           { r.layout(s) }
func (r *simpleRenderer) MinSize() fyne.Size           { return r.min() }
func (r *simpleRenderer) Objects() []fyne.CanvasObject { return r.objs }
func (r *simpleRenderer) Destroy()                     {}
func (r *simpleRenderer) Refresh() {
	if r.refresh != nil {
		r.refresh()
	}
}
