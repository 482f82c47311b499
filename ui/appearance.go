package ui

import (
	"fmt"
	"slices"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// appearance is what "Aa" opens: language, size of text, colours, motion. Each choice shows at once.
func (w *Window) appearance() { w.appearanceAt(0) }

// appearanceAt gives the keyboard to one of the choices.
func (w *Window) appearanceAt(at int) {
	var shut func()
	var rows []fyne.CanvasObject
	var choices []*widgets.Segments
	group := func(key string, words []string, chosen int, do func(i int)) {
		n := len(choices)
		s := widgets.NewSegments(words, chosen, func(i int) {
			shut() // everything is drawn anew, this too
			do(i)
			w.appearanceAt(n)
		})
		choices = append(choices, s)
		rows = append(rows, widgets.Column(6, text(style.Head, w.t(key)), s))
	}
	langs := []assets.Lang{assets.Polish, assets.English}
	group("look.lang", []string{assets.Polish.Text("ui.lang.name"), assets.English.Text("ui.lang.name")}, slices.Index(langs, w.lang), func(i int) { w.setLang(langs[i]) })
	var sizes []string
	for _, s := range scales {
		sizes = append(sizes, fmt.Sprintf("%.0f\u00a0%%", s*100))
	}
	group("look.size", sizes, slices.Index(scales, w.look.scale), func(i int) { w.setLook(look{w.look.variant, scales[i]}) })
	variants := append([]style.Variant{""}, style.Variants()...)
	group("look.theme", []string{w.t("look.system"), w.t("look.light"), w.t("look.dark"), w.t("look.contrast")}, slices.Index(variants, w.look.variant),
		func(i int) { w.setLook(look{variants[i], w.look.scale}) })
	motion := 0
	if w.still {
		motion = 1
	}
	group("look.motion", []string{w.t("look.motion.full"), w.t("look.motion.still")}, motion, func(i int) { w.setStill(i == 1) })
	done := widgets.SecondaryButton(w.t("button.close"), func() { shut() })
	content := widgets.Column(16, text(style.Heading, w.t("look.title")), widgets.Column(16, rows...), widgets.Wrapping(8, done))
	if s := w.overlay(content, choices[at]); s != nil {
		shut = s
	}
}

// setStill turns motion off or on.
func (w *Window) setStill(still bool) {
	w.still = still
	w.c.App.Preferences().SetBool("still", still)
	w.redraw()
}
