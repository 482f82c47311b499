package ui

import (
	"context"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
)

// journey is one way from a bundle to live. It holds what must be closed at its end and how the screens follow each
// other; each screen gets the token that the one before received from the installer.
type journey struct {
	w    *Window
	only bool // verify only, install nothing
	path string
	also []string
	src  *installer.Source

	reason string // of an emergency; empty: the supplier's signature is what counts
}

// install starts with the choice of a bundle.
func (w *Window) install() { (&journey{w: w}).source() }

// verifyOnly does so too, and ends with the verdict.
func (w *Window) verifyOnly() { (&journey{w: w, only: true}).source() }

// finish goes on where signatures are missing.
func (w *Window) finish(x installer.Waiting) {
	w.show(newSignOffOf(w, x.Version, x.Stage, func(*installer.Approved) { w.live() }))
}

func (j *journey) source() {
	j.close()
	s := newSource(j.w, nil)
	s.next = func(path string, also []string) { j.authenticate(s, path, also) }
	if j.only {
		s.words = "source.verify"
	}
	j.w.show(s)
	if dir := j.w.demoStick(); dir != "" {
		s.look(dir)
	}
}

// again shows the list of bundles that the user came from.
func (j *journey) again(s *source) {
	j.close()
	j.w.show(s)
}

func (j *journey) authenticate(from *source, path string, also []string) {
	j.judge(from, path, also, "")
}

// judge opens a bundle and asks who signed it. With a reason it is an emergency: the site's own signature counts.
func (j *journey) judge(from *source, path string, also []string, reason string) {
	j.path, j.also, j.reason = path, also, reason
	a := newAuthenticate(j.w, path, also, func() { j.again(from) }, nil)
	a.only, a.reason = j.only, reason
	if !j.only {
		a.urgent = func() {
			j.w.show(&urgent{w: j.w, back: func() { j.again(from) }, next: func(reason string) { j.judge(from, path, also, reason) }})
		}
	}
	a.next = func(auth *installer.Authentic) {
		j.src = auth.Source()
		if j.only {
			j.w.show(newVerified(j.w, auth, func() { j.again(from) }))
			return
		}
		j.hardware(auth, func() { j.close(); j.judge(from, path, also, reason) })
	}
	j.w.show(a)
}

func (j *journey) hardware(auth *installer.Authentic, back func()) {
	h := newHardware(j.w, auth, back, nil)
	h.emergency = j.reason
	h.cancel = j.end
	h.next = func(fit *installer.Fitted) { j.install(fit) }
	j.w.show(h)
}

// install copies and activates; back leads to the list of bundles.
func (j *journey) install(fit *installer.Fitted) {
	s := newInstall(j.w, fit, j.reopen, j.source, j.smoke)
	s.free = j.close
	j.w.show(s)
}

// reopen opens the chosen bundle once more, in the background: after an interruption, or for another variant. It believes
// the signature only as it reads it now.
func (j *journey) reopen(ctx context.Context, variant string) (*installer.Fitted, error) {
	in := j.w.in
	src, err := in.Open(ctx, j.path, bundle.OpenOptions{Also: j.also, Ask: j.w.askVolume()})
	if err != nil {
		return nil, err
	}
	judge := in.Authenticate
	if j.reason != "" {
		judge = in.AuthenticateEmergency
	}
	auth, err := judge(ctx, src)
	if err != nil {
		_ = src.Close()
		return nil, err
	}
	fit, err := in.Fit(ctx, auth, installer.FitOptions{Variant: variant, Reason: j.reason})
	if err != nil {
		_ = src.Close()
		return nil, err
	}
	j.w.tasks.post(func() {
		j.close()
		j.src = src
	})
	return fit, nil
}

// smoke proves the copied variant; where it fails the next one is tried.
func (j *journey) smoke(fit *installer.Fitted, c *installer.Candidate) {
	j.w.show(newSmoke(j.w, fit, c, j.reopen, func(t *installer.Tested) { j.signOff(t, slot.Paper) }))
}

// signOff asks the people of a stage. After live comes the switch.
func (j *journey) signOff(t *installer.Tested, stage slot.Stage) {
	j.w.show(newSignOff(j.w, t, stage, func(*installer.Approved) { j.w.live() }))
}

// end gives up and goes home.
func (j *journey) end() {
	j.close()
	j.w.home()
}

// close gives the medium back.
func (j *journey) close() {
	j.w.shut(j.src)
	j.src = nil
}

// live opens what the stages run, and the way off and back.
func (w *Window) live() { w.show(newLive(w)) }

// rollBack opens the form of the way back at once.
func (w *Window) rollBack() { w.show(&live{w: w, toBack: true}) }
