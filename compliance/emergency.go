package compliance

import (
	"fmt"
	"time"

	"sluice/internal/fault"
)

// MaxEmergencyHours is the most that a policy may allow a version installed by emergency to be live without a review.
const MaxEmergencyHours = 168

// MaxEmergencyReason limits the reason of an emergency, characters.
const MaxEmergencyReason = 500

// clockSlack is how far a clock may be set back by those who keep it right.
const clockSlack = 2 * time.Minute

// Emergency marks a version that the site signed itself, without the vendor. It stands on every record, decision, report
// and answer about that version.
type Emergency struct {
	Reason string  `json:"reason"`
	By     string  `json:"by"`             // who installed it
	At     string  `json:"at"`             // RFC 3339, UTC; the local clock's word
	Window *Window `json:"live,omitempty"` // of a live record that no review has settled yet
}

// Window is the time that a version installed by emergency may be live before its review. Nothing else here is measured by
// the local clock: it may only ever make the window shorter.
type Window struct {
	Hours     int    `json:"hours"`
	At        string `json:"at"`                   // RFC 3339, UTC: when live was enabled
	Boot      string `json:"boot,omitempty"`       // the system's start that UpSeconds belongs to; empty: unknown
	UpSeconds int64  `json:"up_seconds,omitempty"` // since that start; 0: unknown
}

// Moment is what a machine can say about the present.
type Moment struct {
	Wall time.Time     // the local clock
	Boot string        // names this start of the system; empty: unknown
	Up   time.Duration // since the start, sleep included; 0: unknown
}

// Check refuses an emergency that this program would not have written.
func (e *Emergency) Check() error {
	if err := checkLine(e.Reason, MaxEmergencyReason); err != nil {
		return fmt.Errorf("reason of the emergency: %w", err)
	}
	if err := checkLine(e.By, maxName); err != nil {
		return fmt.Errorf("who installed by emergency: %w", err)
	}
	if _, err := time.Parse(time.RFC3339, e.At); err != nil {
		return fmt.Errorf("time of the emergency: %w", err)
	}
	if w := e.Window; w != nil {
		if _, err := time.Parse(time.RFC3339, w.At); err != nil {
			return fmt.Errorf("time of going live by emergency: %w", err)
		}
		if w.Hours < 1 || w.Hours > MaxEmergencyHours || w.UpSeconds < 0 {
			return fmt.Errorf("%d hours of live by emergency, want 1 to %d", w.Hours, MaxEmergencyHours)
		}
	}
	return nil
}

// Same says whether both are the same emergency, or none; the window is left aside.
func (e *Emergency) Same(o *Emergency) bool {
	if e == nil || o == nil {
		return e == o
	}
	return e.Reason == o.Reason && e.By == o.By && e.At == o.At
}

// Plain is the emergency without a window; nil for none.
func (e *Emergency) Plain() *Emergency {
	if e == nil {
		return nil
	}
	return &Emergency{Reason: e.Reason, By: e.By, At: e.At}
}

// NewWindow begins the hours that the policy allows. evidence is the newest date that something signed shows: a clock before it is
// wrong, and with a wrong clock no time begins (E-EMERGENCY-CLOCK). Error: E-EMERGENCY-PAPER when the policy allows none.
func (p *Policy) NewWindow(now Moment, evidence time.Time) (*Window, error) {
	if p == nil || p.EmergencyLiveHours < 1 {
		return nil, emergencyPaper()
	}
	if now.Wall.Before(evidence.Add(-clockSlack)) {
		return nil, clockBehind(now.Wall, evidence)
	}
	return &Window{Hours: p.EmergencyLiveHours, At: now.Wall.UTC().Format(time.RFC3339), Boot: now.Boot, UpSeconds: int64(now.Up / time.Second)}, nil
}

func emergencyPaper() *fault.Error {
	return fault.New(fault.EmergencyPaper, "a version installed by emergency stops at paper: the policy allows no hours of live").
		With("stage", string(Live))
}

func clockBehind(now, want time.Time) *fault.Error {
	return fault.New(fault.EmergencyClock, "the clock says %s, it was %s already", now.UTC().Format(time.RFC3339), want.UTC().Format(time.RFC3339)).
		With("now", now.UTC().Format(time.RFC3339)).With("seen", want.UTC().Format(time.RFC3339))
}

// Left is how much of the window is left, more than nothing. seen are times after its beginning that the log or something
// signed shows.
//
// What has passed is the largest of what the local clock says, what the system's running time says (a clock that is set does
// not change it; after a restart at least the time since then has passed), and what seen shows. A clock that is before
// the beginning, or before seen, was set back and proves nothing: E-EMERGENCY-CLOCK. The policy of today may shorten the
// window, not lengthen it. Error otherwise: E-EMERGENCY-OVER, E-EMERGENCY-PAPER when the policy allows no hours any more.
func (w *Window) Left(p *Policy, now Moment, seen time.Time) (time.Duration, error) {
	if p == nil || p.EmergencyLiveHours < 1 {
		return 0, emergencyPaper()
	}
	begin, err := time.Parse(time.RFC3339, w.At)
	if err != nil {
		return 0, fault.New(fault.RecordEdited, "time of going live by emergency: %w", err)
	}
	latest := begin
	if seen.After(latest) {
		latest = seen
	}
	if now.Wall.Before(latest.Add(-clockSlack)) {
		return 0, clockBehind(now.Wall, latest)
	}
	passed := max(now.Wall.Sub(begin), latest.Sub(begin))
	up := now.Up - time.Duration(w.UpSeconds)*time.Second
	if up < 0 || w.UpSeconds == 0 || now.Boot != w.Boot { // the system was started since: all its running time has passed since, too
		up = now.Up
		if w.UpSeconds == 0 { // nothing is known about the running time at the beginning
			up = 0
		}
	}
	passed = max(passed, up)
	whole := time.Duration(min(w.Hours, p.EmergencyLiveHours)) * time.Hour
	if passed >= whole {
		return 0, fault.New(fault.EmergencyOver, "the %d hours of live by emergency are over", int(whole/time.Hour)).
			With("hours", int(whole/time.Hour)).With("since", w.At)
	}
	return whole - passed, nil
}
