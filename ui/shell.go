package ui

import (
	"image"
	"image/color"
	"sync"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"

	"sluice/assets"
	"sluice/installer/slot"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// shell draws what is around a screen: the rail with the steps and the state of this machine, title and lead, the
// footer with its buttons.
type shell struct {
	w       *Window
	root    *fyne.Container // what the window holds
	page    page            // what is shown
	title   string          // of the window
	scroll  *widgets.Scroll
	primary *widgets.Button
	keyed   []keyed        // buttons of rail and footer
	of      screen         // whose page is shown
	quiet   bool           // focus moves without anybody looking
	kept    *held          // where the keyboard was when the page was cleared
	paint   *canvas.Raster // tells of the first frame
	painted sync.Once
}

func newShell(w *Window) *shell {
	s := &shell{w: w}
	s.paint = canvas.NewRaster(func(int, int) image.Image { return image.NewNRGBA(image.Rect(0, 0, 1, 1)) })
	s.root = container.NewStack()
	return s
}

// steps are the words of the journey.
func (w *Window) steps() []string {
	return []string{w.t("step.source"), w.t("step.authenticate"), w.t("step.hardware"), w.t("step.install"), w.t("step.smoke"), w.t("step.signoff"), w.t("step.live")}
}

// The steps of the journey, as page.step counts them.
const (
	stepSource = iota + 1
	stepAuthenticate
	stepHardware
	stepInstall
	stepSmoke
	stepSignOff
	stepLive
)

// draw builds everything from a page, keeps the scroll position, and gives the keyboard to where the page wants it.
func (s *shell) draw(of screen, p page) {
	offset := float32(0)
	var keyboard *held
	if s.scroll != nil && s.of == of {
		offset, keyboard = s.scroll.Inner.Offset.Y, s.hold()
		if s.kept != nil {
			keyboard = s.kept
		}
	}
	s.of, s.page, s.keyed, s.kept = of, p, nil, nil
	s.name()
	back := canvas.NewRectangle(style.Get(style.Background))
	s.scroll = widgets.NewScroll(widgets.Inset(style.Margin, 32, style.Margin, 24, s.body()))
	s.root.Objects = []fyne.CanvasObject{fyne.NewContainerWithLayout(&frame{scale: s.w.look.scale}, back, s.scroll, s.rail(), s.footer(), s.paint)}
	s.root.Refresh()
	if offset > 0 {
		s.scroll.Inner.ScrollToOffset(fyne.NewPos(0, offset))
	}
	s.focus(keyboard)
}

// name puts the page into the window's title, for task bars and screen readers; dots say that something is at work.
func (s *shell) name() {
	title := "Sluice · " + s.page.title
	if len(s.w.working) > 0 {
		title += " …"
	}
	if title != s.title {
		s.title = title
		s.w.win.SetTitle(title)
	}
}

// clear takes the page away until it is drawn again.
func (s *shell) clear() {
	if len(s.root.Objects) == 0 {
		return
	}
	s.kept = s.hold()
	s.root.Objects = nil
	s.root.Refresh()
}

// focus gives the keyboard back to what had it, or to what the page wants.
func (s *shell) focus(keyboard *held) {
	c := s.w.win.Canvas()
	if c.Overlays().Top() != nil {
		return
	}
	if keyboard != nil {
		if f := keyboard.find(s.order()); f != nil {
			c.Focus(f)
			return
		}
	}
	switch {
	case s.page.focus != nil:
		c.Focus(s.page.focus)
	case s.primary != nil && !s.primary.Disabled():
		c.Focus(s.primary)
	default:
		c.Unfocus()
	}
}

// body is title, lead and content.
func (s *shell) body() fyne.CanvasObject {
	var objs []fyne.CanvasObject
	if s.w.demo {
		objs = append(objs, widgets.Inset(0, 0, 0, 8, widgets.NewBadge(widgets.Warning, s.w.t("demo.badge"))))
	}
	objs = append(objs, s.w.emergencies()...)
	objs = append(objs, text(style.Title, s.page.title))
	if s.page.lead != "" {
		objs = append(objs, widgets.Inset(0, 2, 60, 0, text(style.BodyDim, s.page.lead)))
	}
	if s.page.content != nil {
		objs = append(objs, widgets.Inset(0, 24, 0, 0, s.page.content))
	}
	return widgets.Column(0, objs...)
}

// rail is the column at the left.
func (s *shell) rail() fyne.CanvasObject {
	w := s.w
	sign := widgets.Inset(24, 22, 8, 16, widgets.Wrapping(10, widgets.NewIcon(widgets.Gates, style.Accent, 26), widgets.NewLine(style.Heading, "Sluice")))
	done := s.page.done
	if done == 0 && s.page.step > 0 {
		done = s.page.step - 1
	}
	stepper := widgets.NewStepper(w.steps(), s.page.step, done)
	other := map[assets.Lang]string{assets.Polish: "EN", assets.English: "PL"}[w.lang]
	links := widgets.Wrapping(14,
		s.small(other, "Ctrl+E", w.otherLang), s.small("Aa", "Ctrl+P", w.appearance), s.small(w.t("rail.log"), "Ctrl+L", w.log), s.small(w.t("rail.help"), "F1", w.help))
	foot := widgets.Column(12, widgets.Inset(8, 0, 0, 0, links), s.machine())
	back := canvas.NewRectangle(style.Get(style.Surface))
	line := canvas.NewRectangle(style.Get(style.Line))
	return fyne.NewContainerWithLayout(&railLayout{}, back, line, sign, stepper, foot)
}

func (s *shell) small(label, keys string, do func()) fyne.CanvasObject {
	return s.key(widgets.SmallLink(label, do), keys)
}

// machine is the card "on this machine": what is live now, and in which mode.
func (s *shell) machine() fyne.CanvasObject {
	w := s.w
	rows := []fyne.CanvasObject{text(style.SmallStrong, w.t("rail.machine"))}
	row := func(key string, value fyne.CanvasObject) {
		rows = append(rows, widgets.Pair(8, text(style.SmallDim, key), value))
	}
	st := w.status
	stage, running := w.mode()
	switch {
	case st == nil:
		rows = append(rows, widgets.NewBadge(widgets.Wrong, w.t("rail.unknown")))
	case !running:
		rows = append(rows, text(style.SmallDim, w.t("rail.nothing")))
	default:
		version := text(style.SmallDim, shorten(st.Stages[stage].Version, 16))
		version.Align = fyne.TextAlignTrailing
		row(shorten(st.ModelFamily, 22), version)
		state := widgets.Info
		if stage == slot.Live {
			state = widgets.Good
		}
		row(w.t("rail.mode"), widgets.NewBadge(state, string(stage)))
		if st.Stages[stage].Revoked {
			rows = append(rows, widgets.NewBadge(widgets.Wrong, w.t("start.state.revoked")))
		}
		if st.Stages[stage].Emergency != nil {
			rows = append(rows, widgets.NewBadge(widgets.Wrong, w.lang.Text("emergency.short")))
		}
	}
	if st != nil && st.LastCheck != nil {
		at := text(style.SmallDim, w.when(st.LastCheck.At))
		at.Align = fyne.TextAlignTrailing
		row(w.t("rail.checked"), at)
	}
	return widgets.NewSmallCard(widgets.Column(4, rows...))
}

// mode is the highest stage whose models are switched on.
func (w *Window) mode() (slot.Stage, bool) {
	if w.status == nil {
		return "", false
	}
	for _, stage := range []slot.Stage{slot.Live, slot.Paper, slot.Demo} {
		if st, ok := w.status.Stages[stage]; ok && st.Enabled {
			return stage, true
		}
	}
	return "", false
}

// footer holds the buttons.
func (s *shell) footer() fyne.CanvasObject {
	w, p := s.w, s.page
	var left []fyne.CanvasObject
	add := func(label, keys string, do func(), danger, off bool) {
		b := widgets.SecondaryButton(label, do)
		if danger {
			b = widgets.DangerButton(label, do)
		}
		b.SetEnabled(!off)
		left = append(left, s.key(b, keys))
	}
	word := func(name string) string {
		if own, ok := p.words[name]; ok {
			return own
		}
		return w.t("button." + name)
	}
	if p.back != nil {
		add(word("back"), "Alt+←", p.back, false, false)
	}
	if p.cancel != nil {
		add(word("cancel"), "Esc", p.cancel, false, false)
	}
	for _, a := range p.extra {
		add(a.label, "", a.do, a.danger, a.off)
	}
	hint := p.hint
	if hint != "" && w.keys && p.missing != nil && p.missing() != nil {
		hint += " (Ctrl+J)"
	}
	back := canvas.NewRectangle(style.Get(style.Surface))
	line := canvas.NewRectangle(style.Get(style.Line))
	s.primary = nil
	var right fyne.CanvasObject = canvas.NewRectangle(color.Transparent)
	if p.primary != nil {
		s.primary = widgets.PrimaryButton(p.primary.label, p.primary.do)
		s.primary.SetEnabled(!p.primary.off)
		right = s.key(s.primary, "Ctrl+Enter")
	}
	return fyne.NewContainerWithLayout(&footLayout{}, back, line, widgets.Wrapping(12, left...), right, text(style.SmallDim, hint))
}

// press is what Enter does where no button has the keyboard.
func (s *shell) press() {
	if s.primary != nil && s.w.win.Canvas().Overlays().Top() == nil {
		s.primary.Tapped(nil)
	}
}

func (s *shell) scrollTop() {
	if s.scroll != nil {
		s.scroll.Inner.ScrollToTop()
	}
}

// scrollBy moves by a part of what is visible.
func (s *shell) scrollBy(part float32) {
	in := s.scroll.Inner
	most := max(in.Content.MinSize().Height-in.Size().Height, 0)
	in.ScrollToOffset(fyne.NewPos(0, min(max(in.Offset.Y+part*in.Size().Height, 0), most)))
}

// relayout places everything again, after something in rail or footer changed its size.
func (s *shell) relayout() {
	if len(s.root.Objects) > 0 {
		s.root.Objects[0].Refresh()
	}
}

// reflow measures the page again, after a screen changed words that are already shown.
func (w *Window) reflow() { w.shell.scroll.Reflow() }

// frame places background, page, rail and footer.
type frame struct{ scale float32 }

func (f *frame) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(640, 420) }

func (f *frame) Layout(o []fyne.CanvasObject, size fyne.Size) {
	left := style.Rail + 48*max(f.scale-1, 0)
	back, scroll, rail, foot, paint := o[0], o[1], o[2], o[3], o[4]
	back.Resize(size)
	rail.Resize(fyne.NewSize(left, size.Height))
	width := max(size.Width-left, 1)
	h := widgets.HeightFor(foot, width)
	scroll.Move(fyne.NewPos(left, 0))
	scroll.Resize(fyne.NewSize(width, max(size.Height-h, 1)))
	foot.Move(fyne.NewPos(left, size.Height-h))
	foot.Resize(fyne.NewSize(width, h))
	paint.Resize(fyne.NewSize(1, 1))
}

// railLayout places background, border, sign, stepper and foot. The stepper gives way where room is short.
type railLayout struct{}

func (*railLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(style.Rail, 400) }

func (*railLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	back, line, sign, stepper, foot := o[0], o[1], o[2], o[3], o[4]
	back.Resize(size)
	line.Move(fyne.NewPos(size.Width-1, 0))
	line.Resize(fyne.NewSize(1, size.Height))
	top := sign.MinSize().Height
	sign.Resize(fyne.NewSize(size.Width-1, top))
	width := size.Width - 33
	fh := widgets.HeightFor(foot, width)
	bottom := max(size.Height-fh-24, top)
	stepper.Move(fyne.NewPos(16, top))
	stepper.Resize(fyne.NewSize(width, max(bottom-top-8, 0)))
	foot.Move(fyne.NewPos(16, bottom))
	foot.Resize(fyne.NewSize(width, fh))
}

// footLayout places background, border, the buttons at the left, the primary one at the right, and the hint between them
// where it needs no more than two lines there, else below.
type footLayout struct{}

func (l *footLayout) sizes(o []fyne.CanvasObject, width float32) (left float32, right fyne.Size, height float32) {
	right = fyne.NewSize(0, 40)
	room := width - 2*style.Margin
	if b, ok := o[3].(*widgets.Button); ok {
		right = b.Natural()
		if right.Width > room*0.6 {
			right = fyne.NewSize(room*0.6, b.HeightFor(room*0.6))
		}
	}
	left = max(room-right.Width-12, 1)
	height = widgets.HeightFor(o[2], left)
	if _, beside := l.hint(o, left); !beside {
		height += widgets.HeightFor(o[4], left) + hintGap
	}
	return left, right, max(height, right.Height) + 28
}

const hintGap = 8

// hint is where the hint begins beside the buttons, and whether it fits there.
func (l *footLayout) hint(o []fyne.CanvasObject, left float32) (x float32, beside bool) {
	if o[4].(*widgets.Text).String() == "" {
		return 0, true
	}
	x, beside = widgets.OneLine(o[2].(*fyne.Container), left)
	if x > 0 {
		x += 20
	}
	room := left - x
	return x, beside && room >= 100 && widgets.HeightFor(o[4], room) <= 2*style.SmallDim.LineHeight()+1
}

func (l *footLayout) HeightFor(o []fyne.CanvasObject, width float32) float32 {
	_, _, h := l.sizes(o, width)
	return h
}

func (l *footLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(300, 68) }

func (l *footLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	left, right, _ := l.sizes(o, size.Width)
	o[0].Resize(size)
	o[1].Resize(fyne.NewSize(size.Width, 1))
	h := widgets.HeightFor(o[2], left)
	x, beside := l.hint(o, left)
	if beside {
		o[2].Move(fyne.NewPos(style.Margin, (size.Height-h)/2))
		hh := widgets.HeightFor(o[4], left-x)
		o[4].Move(fyne.NewPos(style.Margin+x, (size.Height-hh)/2))
		o[4].Resize(fyne.NewSize(left-x, hh))
	} else {
		hh := widgets.HeightFor(o[4], left)
		top := (size.Height - h - hh - hintGap) / 2
		o[2].Move(fyne.NewPos(style.Margin, top))
		o[4].Move(fyne.NewPos(style.Margin, top+h+hintGap))
		o[4].Resize(fyne.NewSize(left, hh))
	}
	o[2].Resize(fyne.NewSize(left, h))
	o[3].Move(fyne.NewPos(size.Width-style.Margin-right.Width, (size.Height-right.Height)/2))
	o[3].Resize(right)
}

var _ widgets.FlowLayout = (*footLayout)(nil)

// setPrimary lets the primary button be pressed, or not, without drawing the page again.
func (s *shell) setPrimary(on bool) {
	if s.primary != nil {
		s.primary.SetEnabled(on)
	}
}
