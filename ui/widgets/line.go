package widgets

import (
	"runtime"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Wrapping puts objects one after the other at their natural size and starts a new line where there is no room. In a
// line they are centred on each other.
func Wrapping(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return fyne.NewContainerWithLayout(&wrapping{gap: gap, width: startWidth}, objects...)
}

type wrapping struct{ gap, width float32 }

// OneLine is the width of what Wrapping holds, when it stands in one line of at most some width.
func OneLine(box *fyne.Container, most float32) (width float32, fits bool) {
	l := box.Layout.(*wrapping)
	for _, o := range box.Objects {
		if o.Visible() {
			if width > 0 {
				width += l.gap
			}
			width += loose(o, most).Width
		}
	}
	return width, width <= most+0.5
}

// loose is an object's size where it may be as wide as it likes, up to a limit.
func loose(o fyne.CanvasObject, limit float32) fyne.Size {
	s := o.MinSize()
	if n, ok := o.(interface{ Natural() fyne.Size }); ok {
		s = n.Natural()
	} else if c, ok := o.(*fyne.Container); ok {
		if p, ok := c.Layout.(*inset); ok {
			s = loose(c.Objects[0], 1e6).AddWidthHeight(p.left+p.right, p.top+p.bottom)
		}
	}
	if s.Width > limit {
		s = fyne.NewSize(limit, HeightFor(o, limit))
	}
	return s
}

func (l *wrapping) place(objects []fyne.CanvasObject, width float32, move bool) float32 {
	l.width = width
	var x, y, high float32
	var line []fyne.CanvasObject
	var sizes []fyne.Size
	end := func() {
		var at float32
		for i, o := range line {
			if move {
				o.Move(fyne.NewPos(at, y+(high-sizes[i].Height)/2))
				o.Resize(sizes[i])
			}
			at += sizes[i].Width + l.gap
		}
		line, sizes = nil, nil
	}
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		s := loose(o, width)
		if len(line) > 0 && x+s.Width > width+0.5 {
			end()
			y += high + min(l.gap, 8)
			x, high = 0, 0
		}
		line, sizes = append(line, o), append(sizes, s)
		x += s.Width + l.gap
		high = max(high, s.Height)
	}
	end()
	return y + high
}

func (l *wrapping) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	return l.place(objects, width, false)
}

func (l *wrapping) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.place(objects, size.Width, true)
}

func (l *wrapping) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var w float32
	for _, o := range objects {
		if o.Visible() {
			w = max(w, o.MinSize().Width)
		}
	}
	return fyne.NewSize(w, l.HeightFor(objects, l.width))
}

// Ends puts the first object at the left, with what room there is, and the second at the right at its natural size.
func Ends(gap float32, left, right fyne.CanvasObject) *fyne.Container {
	return fyne.NewContainerWithLayout(&ends{gap: gap, width: startWidth}, left, right)
}

type ends struct {
	gap, width float32
	whole      bool // the second may take more than half
}

func (e *ends) split(objects []fyne.CanvasObject, width float32) (left float32, right fyne.Size) {
	most := width / 2
	if e.whole {
		most = width
	}
	right = loose(objects[1], most)
	return max(width-right.Width-e.gap, 1), right
}

func (e *ends) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	e.width = width
	left, right := e.split(objects, width)
	return max(HeightFor(objects[0], left), right.Height)
}

func (e *ends) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	h := e.HeightFor(objects, size.Width)
	left, right := e.split(objects, size.Width)
	lh := HeightFor(objects[0], left)
	objects[0].Move(fyne.NewPos(0, (h-lh)/2))
	objects[0].Resize(fyne.NewSize(left, lh))
	objects[1].Move(fyne.NewPos(size.Width-right.Width, (h-right.Height)/2))
	objects[1].Resize(right)
}

func (e *ends) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := objects[0].MinSize().Width + e.gap + objects[1].MinSize().Width
	return fyne.NewSize(w, e.HeightFor(objects, e.width))
}

// Inset puts room around an object.
func Inset(left, top, right, bottom float32, o fyne.CanvasObject) *fyne.Container {
	return fyne.NewContainerWithLayout(&inset{left, top, right, bottom}, o)
}

type inset struct{ left, top, right, bottom float32 }

func (p *inset) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	return HeightFor(objects[0], max(width-p.left-p.right, 1)) + p.top + p.bottom
}

func (p *inset) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Move(fyne.NewPos(p.left, p.top))
	objects[0].Resize(fyne.NewSize(max(size.Width-p.left-p.right, 1), max(size.Height-p.top-p.bottom, 0)))
}

func (p *inset) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().AddWidthHeight(p.left+p.right, p.top+p.bottom)
}

// Scroll shows content over its whole width and lets it scroll where it is higher than the room.
type Scroll struct {
	widget.BaseWidget
	Inner *container.Scroll
	page  *scrolled
}

// NewScroll wraps content.
func NewScroll(content fyne.CanvasObject) *Scroll {
	l := &scrolled{width: startWidth}
	s := &Scroll{page: l}
	s.Inner = container.NewVScroll(fyne.NewContainerWithLayout(l, content))
	s.ExtendBaseWidget(s)
	return s
}

// Reflow measures the content again, after something in it changed its height.
func (s *Scroll) Reflow() {
	s.page.width = s.Size().Width
	s.Inner.Content.Refresh()
	s.Inner.Refresh()
}

// Reveal scrolls until an object in the content can be seen.
func (s *Scroll) Reveal(o fyne.CanvasObject) {
	d := fyne.CurrentApp().Driver()
	at := d.AbsolutePositionForObject(o).Y - d.AbsolutePositionForObject(s.Inner.Content).Y
	top, room := s.Inner.Offset.Y, s.Inner.Size().Height
	switch {
	case at-8 < top:
		s.Inner.ScrollToOffset(fyne.NewPos(0, max(at-8, 0)))
	case at+o.Size().Height+8 > top+room:
		s.Inner.ScrollToOffset(fyne.NewPos(0, at+o.Size().Height+8-room))
	}
}

// CreateRenderer is Fyne's.
func (s *Scroll) CreateRenderer() fyne.WidgetRenderer {
	return &simpleRenderer{objs: []fyne.CanvasObject{s.Inner}, min: func() fyne.Size { return fyne.NewSize(32, 32) },
		layout: func(size fyne.Size) {
			s.page.width = size.Width
			s.Inner.Resize(size)
			s.Inner.Content.Resize(fyne.NewSize(size.Width, max(size.Height, s.Inner.Content.MinSize().Height)))
			s.Inner.Refresh()
		},
		refresh: func() { s.Inner.Refresh() }}
}

// scrolled gives its one object its height, at the top, for the width of the scroll.
type scrolled struct{ width float32 }

func (l *scrolled) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(1, HeightFor(objects[0], l.width))
}

func (l *scrolled) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	objects[0].Move(fyne.NewPos(0, 0))
	objects[0].Resize(fyne.NewSize(size.Width, HeightFor(objects[0], size.Width)))
}

// Entry is a text field that gives keys it has no use for, such as Escape, to the window.
type Entry struct{ widget.Entry }

// NewEntry is a line to type into.
func NewEntry() *Entry {
	e := &Entry{}
	e.ExtendBaseWidget(e)
	return e
}

// NewPasswordEntry hides what is typed.
func NewPasswordEntry() *Entry {
	e := NewEntry()
	e.Password = true
	return e
}

// TypedKey is Fyne's.
func (e *Entry) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyEscape {
		passKey(e, k)
		return
	}
	e.Entry.TypedKey(k)
}

// TypedShortcut is Fyne's. What an entry has no use for goes to the window, which an entry would keep from it.
func (e *Entry) TypedShortcut(s fyne.Shortcut) {
	if own, ok := s.(*desktop.CustomShortcut); ok {
		switch own.KeyName {
		case fyne.KeyLeft, fyne.KeyRight:
			if own.Modifier == fyne.KeyModifierAlt && runtime.GOOS != "darwin" {
				break // back
			}
			e.Entry.TypedShortcut(s)
			return
		case fyne.KeyBackspace, fyne.KeyDelete:
			e.Entry.TypedShortcut(s)
			return
		}
		if g := groundOf(e); g != nil && g.OnShortcut != nil {
			g.OnShortcut(s)
		}
		return
	}
	e.Entry.TypedShortcut(s)
}

// Needs is the height of the whole content at a width.
func (s *Scroll) Needs(width float32) float32 {
	return HeightFor(s.Inner.Content.(*fyne.Container).Objects[0], width)
}

// FocusGained is Fyne's.
func (e *Entry) FocusGained() {
	e.Entry.FocusGained()
	reveal(e)
}

// Pair puts two objects at both ends of a line or, where they do not fit side by side, the second below the first.
func Pair(gap float32, left, right fyne.CanvasObject) *fyne.Container {
	return fyne.NewContainerWithLayout(&pair{ends{gap: gap, width: startWidth, whole: true}}, left, right)
}

type pair struct{ ends }

func (p *pair) fits(o []fyne.CanvasObject, width float32) bool {
	return loose(o[0], 1e6).Width+p.gap+loose(o[1], 1e6).Width <= width
}

func (p *pair) HeightFor(o []fyne.CanvasObject, width float32) float32 {
	p.width = width
	if p.fits(o, width) {
		return p.ends.HeightFor(o, width)
	}
	return HeightFor(o[0], width) + loose(o[1], width).Height
}

func (p *pair) Layout(o []fyne.CanvasObject, size fyne.Size) {
	if p.fits(o, size.Width) {
		p.ends.Layout(o, size)
		return
	}
	h := HeightFor(o[0], size.Width)
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(fyne.NewSize(size.Width, h))
	right := loose(o[1], size.Width)
	o[1].Move(fyne.NewPos(size.Width-right.Width, h))
	o[1].Resize(right)
}

func (p *pair) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(max(o[0].MinSize().Width, o[1].MinSize().Width), p.HeightFor(o, p.width))
}
