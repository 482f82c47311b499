package ui

import (
	"context"
	"image/color"
	"math"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// waiting is words beside three dots that move; with reduced motion they stand still.
func (w *Window) waiting(words string) fyne.CanvasObject {
	return widgets.Wrapping(12, newDots(w.still), text(style.BodyDim, words))
}

// newDots draws the three dots. The animation ends when nobody shows them any more.
func newDots(still bool) fyne.CanvasObject {
	box := fyne.NewContainerWithLayout(&dotsLayout{})
	var dots []*canvas.Circle
	for range 3 {
		c := canvas.NewCircle(style.Get(style.Accent))
		dots = append(dots, c)
		box.Add(c)
	}
	if still {
		return box
	}
	accent := color.NRGBAModel.Convert(style.Get(style.Accent)).(color.NRGBA)
	var a *fyne.Animation
	seen := false
	a = &fyne.Animation{Duration: 1200 * time.Millisecond, RepeatCount: fyne.AnimationRepeatForever, Curve: fyne.AnimationLinear, Tick: func(at float32) {
		shown := fyne.CurrentApp().Driver().CanvasForObject(box) != nil && box.Size().Width > 0
		if seen && !shown {
			a.Stop()
			return
		}
		seen = seen || shown
		for i, d := range dots {
			c := accent
			c.A = uint8(110 + 145*math.Max(0, math.Sin(2*math.Pi*(float64(at)-float64(i)*0.16))))
			d.FillColor = c
			d.Refresh()
		}
	}}
	a.Start()
	return box
}

type dotsLayout struct{}

func (*dotsLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(36, 8) }

func (*dotsLayout) Layout(o []fyne.CanvasObject, _ fyne.Size) {
	for i, d := range o {
		d.Move(fyne.NewPos(float32(i)*14, 0))
		d.Resize(fyne.NewSquareSize(8))
	}
}

// busy is a page while something runs that has no screen of its own.
type busy struct {
	w           *Window
	step        int
	title, lead string // keys of the catalogue
	work        func(ctx context.Context) error
	done        func(error)
	cancelled   func()
	task        *task
}

// newBusy runs work and calls done with its result, unless the user went elsewhere. cancelled is where Cancel leads
// after the work has ended; home when nil.
func newBusy(w *Window, step int, title, lead string, work func(ctx context.Context) error, done func(error)) *busy {
	return &busy{w: w, step: step, title: title, lead: lead, work: work, done: done, cancelled: w.home}
}

func (s *busy) shown() {
	if s.task != nil {
		return
	}
	s.task = s.w.run(s.work, nil, func(err error) {
		if s.w.showing(s) {
			s.done(err)
		}
	})
}

func (s *busy) leave() { s.task.stop() }

func (s *busy) page() page {
	w := s.w
	return page{step: s.step, title: w.t(s.title), lead: w.t(s.lead), content: widgets.NewCard(w.waiting(w.t("busy"))),
		cancel: func() {
			s.task.stop()
			s.cancelled()
		}}
}
