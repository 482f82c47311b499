package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"sluice/ui/widgets"
)

// bindKeys makes the keyboard work wherever the focus is. Keys that a focused widget does not use come here too.
func (w *Window) bindKeys() {
	c := w.win.Canvas()
	c.SetOnTypedKey(func(e *fyne.KeyEvent) {
		if e.Name == fyne.KeyEscape {
			w.escape()
			return
		}
		if c.Overlays().Top() != nil {
			return
		}
		switch e.Name {
		case fyne.KeyReturn, fyne.KeyEnter:
			w.shell.press()
		case fyne.KeyF1:
			w.help()
		case fyne.KeyPageDown:
			w.shell.scrollBy(0.9)
		case fyne.KeyPageUp:
			w.shell.scrollBy(-0.9)
		case fyne.KeyDown:
			w.shell.scrollBy(0.1)
		case fyne.KeyUp:
			w.shell.scrollBy(-0.1)
		}
	})
	if d, ok := c.(desktop.Canvas); ok {
		d.SetOnKeyDown(w.shell.pressed) // while nothing has the keyboard
	}
	w.short = map[string]func(){}
	bind := func(key fyne.KeyName, mod fyne.KeyModifier, f func()) {
		s := &desktop.CustomShortcut{KeyName: key, Modifier: mod}
		w.short[s.ShortcutName()] = f
		c.AddShortcut(s, w.shortcut)
	}
	bind(fyne.KeyReturn, fyne.KeyModifierControl, func() { w.shell.press() })
	bind(fyne.KeyLeft, fyne.KeyModifierAlt, func() {
		if back := w.shell.page.back; back != nil {
			back()
		}
	})
	bind(fyne.KeyJ, fyne.KeyModifierControl, w.shell.jump)
	bind(fyne.KeyL, fyne.KeyModifierControl, w.log)
	bind(fyne.KeyP, fyne.KeyModifierControl, w.appearance)
	bind(fyne.KeyE, fyne.KeyModifierControl, w.otherLang)
	bind(fyne.KeyEqual, fyne.KeyModifierControl, func() { w.zoom(1) })
	bind(fyne.KeyPlus, fyne.KeyModifierControl, func() { w.zoom(1) })
	bind(fyne.KeyMinus, fyne.KeyModifierControl, func() { w.zoom(-1) })
}

// shortcut does what a shortcut is for, unless something lies on top, which is answered first.
func (w *Window) shortcut(s fyne.Shortcut) {
	if f := w.short[s.ShortcutName()]; f != nil && w.win.Canvas().Overlays().Top() == nil {
		f()
	}
}

// jump gives the keyboard to what is missing, else to the primary button.
func (s *shell) jump() {
	to := fyne.Focusable(nil)
	if s.page.missing != nil {
		to = s.page.missing()
	}
	if to == nil && s.primary != nil && !s.primary.Disabled() {
		to = s.primary
	}
	if to != nil {
		s.showKeys()
		s.w.win.Canvas().Focus(to)
	}
}

// escape closes what is on top, or cancels.
func (w *Window) escape() {
	if top := w.win.Canvas().Overlays().Top(); top != nil {
		if w.onTop != nil {
			w.onTop()
			return
		}
		w.win.Canvas().Overlays().Remove(top)
		return
	}
	switch p := w.shell.page; {
	case p.cancel != nil:
		p.cancel()
	case p.back != nil:
		p.back()
	case p.escape != nil:
		p.escape()
	}
}

// keyed is a button of the shell with the keys that press it too.
type keyed struct {
	button *widgets.Button
	keys   string
}

// pressed notices that the keyboard is in use.
func (s *shell) pressed(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyTab, desktop.KeyAltLeft, desktop.KeyAltRight, desktop.KeyControlLeft, desktop.KeyControlRight:
		s.showKeys()
	}
}

// showKeys writes the shortcuts into the buttons, from the moment on when the keyboard is in use.
func (s *shell) showKeys() {
	if s.w.keys {
		return
	}
	s.w.keys = true
	for _, k := range s.keyed {
		k.button.SetShortcut(k.keys)
	}
	s.relayout()
}

// key notes a shortcut of a button.
func (s *shell) key(b *widgets.Button, keys string) *widgets.Button {
	s.keyed = append(s.keyed, keyed{b, keys})
	if s.w.keys {
		b.SetShortcut(keys)
	}
	return b
}

// reveal scrolls what got the keyboard into view, unless it is part of the rail or the footer.
func (s *shell) reveal(o fyne.CanvasObject) {
	if !s.quiet && !slices.ContainsFunc(s.keyed, func(k keyed) bool { return o == fyne.CanvasObject(k.button) }) {
		s.scroll.Reveal(o)
	}
}

// held is what has the keyboard, so that it can be found again after the page was drawn anew.
type held struct {
	object fyne.Focusable
	index  int // in the order of Tab
}

// order lists what Tab goes through. The keyboard is nowhere afterwards.
func (s *shell) order() []fyne.Focusable {
	s.quiet = true
	defer func() { s.quiet = false }()
	var out []fyne.Focusable
	c := s.w.win.Canvas()
	c.Unfocus()
	for range 400 {
		c.FocusNext()
		f := c.Focused()
		if f == nil || len(out) > 0 && f == out[0] {
			break
		}
		out = append(out, f)
	}
	c.Unfocus()
	return out
}

// hold remembers where the keyboard is; nil for nowhere.
func (s *shell) hold() *held {
	c := s.w.win.Canvas()
	f := c.Focused()
	if f == nil || c.Overlays().Top() != nil {
		return nil
	}
	if _, row := f.(*widgets.ChoiceRow); row && s.page.focus != nil {
		return nil // the page gives the keyboard to the chosen row itself
	}
	return &held{f, slices.Index(s.order(), f)}
}

// find gives the same thing among those of the new page: the very object, else the nearest button of the same name, else what is in
// the same place and of the same kind; nil when there is none.
func (h *held) find(now []fyne.Focusable) fyne.Focusable {
	if slices.Contains(now, h.object) {
		return h.object
	}
	if was, ok := h.object.(*widgets.Button); ok {
		var best fyne.Focusable
		far := len(now) + 400
		for i, f := range now {
			if b, ok := f.(*widgets.Button); ok && b.Label() == was.Label() && max(i-h.index, h.index-i) < far {
				best, far = f, max(i-h.index, h.index-i)
			}
		}
		if best != nil {
			return best
		}
	}
	if h.index >= 0 && h.index < len(now) && kind(now[h.index]) == kind(h.object) {
		return now[h.index]
	}
	return nil
}

func kind(f fyne.Focusable) string {
	switch f.(type) {
	case *widgets.Button:
		return "button"
	case *widgets.ChoiceRow:
		return "row"
	case *widgets.Segments:
		return "segments"
	}
	return "other"
}
