package ui

import (
	"fmt"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// appearance is what "Aa" opens: language, size of text, colours.
func (w *Window) appearance() {
	var shut func()
	var first fyne.Focusable
	pick := func(chosen bool, label string, do func()) fyne.CanvasObject {
		b := widgets.SecondaryButton(label, func() {
			shut()
			do()
			w.appearance()
		})
		if chosen {
			b = widgets.PrimaryButton(label, func() { shut() })
			if first == nil {
				first = b
			}
		}
		return b
	}
	var langs, sizes, themes []fyne.CanvasObject
	for _, l := range []assets.Lang{assets.Polish, assets.English} {
		langs = append(langs, pick(w.lang == l, l.Text("ui.lang.name"), func() { w.setLang(l) }))
	}
	for _, s := range scales {
		sizes = append(sizes, pick(w.look.scale == s, fmt.Sprintf("%.0f\u00a0%%", s*100), func() { w.setLook(look{w.look.variant, s}) }))
	}
	for _, v := range append([]style.Variant{""}, style.Variants()...) {
		name := string(v)
		if v == "" {
			name = "system"
		}
		themes = append(themes, pick(w.look.variant == v, w.t("look."+name), func() { w.setLook(look{v, w.look.scale}) }))
	}
	group := func(key string, objs []fyne.CanvasObject) fyne.CanvasObject {
		return widgets.Column(6, text(style.Head, w.t(key)), widgets.Wrapping(8, objs...))
	}
	still := w.still
	motion := []fyne.CanvasObject{
		pick(!still, w.t("look.motion.full"), func() { w.setStill(false) }), pick(still, w.t("look.motion.still"), func() { w.setStill(true) }),
	}
	done := widgets.SecondaryButton(w.t("button.close"), func() { shut() })
	content := widgets.Column(16, text(style.Heading, w.t("look.title")), group("look.lang", langs), group("look.size", sizes),
		group("look.theme", themes), group("look.motion", motion), done)
	if first == nil {
		first = done
	}
	if s := w.overlay(content, first); s != nil {
		shut = s
	}
}

// setStill turns motion off or on.
func (w *Window) setStill(still bool) {
	w.still = still
	w.c.App.Preferences().SetBool("still", still)
	w.redraw()
}
