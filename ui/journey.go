package ui

import (
	"context"

	"sluice/installer"
)

// journey is one way from a bundle to live. It holds what must be closed at its end and how the screens follow each
// other; each screen gets the token that the one before received from the installer.
type journey struct {
	w   *Window
	src *installer.Source
}

// install starts with the choice of a bundle.
func (w *Window) install() { (&journey{w: w}).source() }

func (j *journey) source() {
	j.close()
	var s *source
	s = newSource(j.w, func(path string, also []string) { j.authenticate(s, path, also) })
	j.w.show(s)
}

// again shows the list of bundles that the user came from.
func (j *journey) again(s *source) {
	j.close()
	j.w.show(s)
}

func (j *journey) authenticate(from *source, path string, also []string) {
	var a *authenticate
	a = newAuthenticate(j.w, path, also, func() { j.again(from) }, func(auth *installer.Authentic) {
		j.src = auth.Source()
		j.hardware(auth, func() { j.close(); j.authenticate(from, path, also) })
	})
	j.w.show(a)
}

func (j *journey) hardware(auth *installer.Authentic, back func()) {
	j.w.show(newHardware(j.w, auth, back, func(*installer.Fitted) {}))
}

// close gives the medium back.
func (j *journey) close() {
	shut(j.src)
	j.src = nil
}

var _ = context.Background
