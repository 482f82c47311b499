package slot

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/internal/fault"
)

// EventReview is the event of a signed review.
const EventReview = "review"

// What marks of an emergency carry beside the common names.
const (
	InfoEmergency   = "emergency"    // its reason
	InfoEmergencyBy = "emergency_by" // who installed it
	InfoEmergencyAt = "emergency_at"
	InfoAccepted    = "accepted" // of a review: "yes" or "no"
)

// FlagEmergency is the runtime flag of every log entry about a version that was installed by emergency.
const FlagEmergency = "emergency"

// EmergencyInfo is what a mark tells of an emergency; nothing for none.
func EmergencyInfo(info map[string]string, e *Emergency) {
	if e != nil {
		info[InfoEmergency], info[InfoEmergencyBy], info[InfoEmergencyAt] = e.Reason, e.By, e.At
	}
}

// EmergencyOf reads it back; nil for none.
func EmergencyOf(m Mark) *Emergency {
	e := &Emergency{Reason: m.Info[InfoEmergency], By: m.Info[InfoEmergencyBy], At: m.Info[InfoEmergencyAt]}
	if e.Reason == "" && e.By == "" && e.At == "" {
		return nil
	}
	return e
}

// SameEmergency says whether a mark is about the same emergency, or about none.
func SameEmergency(m Mark, e *Emergency) bool { return EmergencyOf(m).Same(e) }

// Owed is an emergency and what became of its review.
type Owed struct {
	Version   string
	Variant   string
	Manifest  string // SHA-384 in hexadecimal
	Emergency *Emergency
	Enabled   int    // how often its version was switched on
	Review    string // path of the review below the root; empty: owed
	Accepted  bool   // what the log says of the review; CheckReview proves it
	Person    string // who signed the review
}

// Emergencies lists each emergency whose version passed its smoke test here, in the order of the log.
func (l *Ledger) Emergencies() []Owed {
	var out []Owed
	find := func(m Mark) int {
		return slices.IndexFunc(out, func(o Owed) bool { return o.Manifest == m.Info[InfoManifest] && SameEmergency(m, o.Emergency) })
	}
	for _, m := range l.Done(EventRecord) {
		e := EmergencyOf(m)
		if e == nil {
			continue
		}
		i := find(m)
		if i < 0 {
			i = len(out)
			out = append(out, Owed{Version: m.Info[InfoVersion], Variant: m.Info[InfoVariant], Manifest: m.Info[InfoManifest], Emergency: e})
		}
		if m.Path == Live.RecordFile() && m.Info[InfoThen] == statusLiveReady {
			out[i].Enabled++
		}
	}
	for _, m := range l.Done(EventReview) {
		if i := find(m); i >= 0 && out[i].Review == "" { // the first one stands
			out[i].Review, out[i].Accepted, out[i].Person = m.Path, m.Info[InfoAccepted] == "yes", m.Info[InfoPerson]
		}
	}
	return out
}

// statusLiveReady is audit.StatusLiveReady, which this package does not import.
const statusLiveReady = "live_ready"

// Emergency finds the emergency of a record; nil when the log holds none.
func (l *Ledger) Emergency(r *Record) *Owed {
	if r.Emergency == nil {
		return nil
	}
	all := l.Emergencies()
	i := slices.IndexFunc(all, func(o Owed) bool { return o.Manifest == r.ManifestSHA384.String() && o.Emergency.Same(r.Emergency) })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// ReviewWant is what the review of an emergency must be about, and who may not sign it: whoever installed the version, signed
// for it or switched it on.
func (d *Dir) ReviewWant(l *Ledger, o *Owed, machine Machine, manifest []byte) compliance.ReviewWant {
	w := compliance.ReviewWant{Manifest: manifest, Version: o.Version, Machine: machine, Emergency: o.Emergency, Barred: []string{o.Emergency.By}}
	reviewed := false
	for _, m := range l.done { // reviews and live records stand in one log, so their order is known
		if m.Info[InfoManifest] != o.Manifest || !SameEmergency(m, o.Emergency) {
			continue
		}
		switch {
		case m.Event == EventReview:
			reviewed = true
		case m.Event == EventSignOff:
			w.Barred = append(w.Barred, m.Info[InfoPerson])
		case m.Event == EventRecord && m.Path == Live.RecordFile() && m.Info[InfoThen] == statusLiveReady && !reviewed:
			w.Barred = append(w.Barred, m.Actor)
		}
	}
	w.Logged = func(e bundle.Digest) (int, bool) {
		for _, m := range l.Done(EventReview) {
			if m.Becomes == e.String() {
				n, err := strconv.Atoi(m.Info[InfoPolicy])
				return n, err == nil
			}
		}
		return 0, false
	}
	return w
}

// Review proves the review of an emergency; nil while it is owed. Errors: E-SIGNOFF-INVALID for one that is gone or changed, and
// those of compliance.CheckReview.
func (d *Dir) Review(l *Ledger, policy *compliance.Policy, o *Owed, machine Machine, manifest []byte) (*compliance.Review, error) {
	if o.Review == "" {
		return nil, nil
	}
	raw, err := d.Read(o.Review, compliance.MaxReviewSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !odd(err) {
		return nil, err
	}
	if err != nil || l.Check(o.Review, Sum(raw).String()) != nil {
		return nil, fault.New(fault.SignoffInvalid, "review %q of %q is not the one that the log took in", o.Review, o.Person).
			With("path", d.Abs(o.Review)).With("person", o.Person)
	}
	return compliance.CheckReview(policy, raw, d.ReviewWant(l, o, machine, manifest))
}

// CheckEmergency refuses a live record whose version was installed by emergency unless its review accepted it or its hours are
// not over. left is what is left of them; 0: no limit, or no emergency. seen are times after the record was made, see
// compliance.Window.Left. Errors: E-EMERGENCY-PAPER, -REVIEW, -OVER, -CLOCK, -REFUSED, and those of Review.
func (d *Dir) CheckEmergency(l *Ledger, policy *compliance.Policy, r *Record, manifest []byte, now compliance.Moment, seen time.Time) (left time.Duration, err error) {
	if r.Emergency == nil || r.Stage != Live {
		return 0, nil
	}
	settled, err := d.EmergencySettled(l, policy, r, manifest)
	if err != nil || settled {
		return 0, err
	}
	if r.Emergency.Window == nil {
		return 0, ReviewIsOwed(r.Version)
	}
	return r.Emergency.Window.Left(policy, now, seen)
}

// EmergencySettled says whether a version that was installed by emergency may be live without limit because its review
// accepted it. Errors: E-EMERGENCY-PAPER when the policy lets none go live, E-EMERGENCY-REFUSED when the review said no, and those of Review.
func (d *Dir) EmergencySettled(l *Ledger, policy *compliance.Policy, r *Record, manifest []byte) (bool, error) {
	if r.Emergency == nil {
		return true, nil
	}
	if policy == nil || policy.EmergencyLiveHours < 1 {
		return false, fault.New(fault.EmergencyPaper, "version %q was installed by emergency and stops at paper: the policy allows it no hours of live", r.Version).
			With("version", r.Version).With("stage", string(Live))
	}
	o := l.Emergency(r)
	if o == nil {
		return false, fault.New(fault.RecordEdited, "the log knows nothing of the emergency that the record of %q names", r.Version).With("path", r.Stage.RecordFile())
	}
	review, err := d.Review(l, policy, o, r.Machine, manifest)
	if err != nil || review == nil {
		return false, err
	}
	if !review.Accepted {
		return false, fault.New(fault.EmergencyRefused, "%q reviewed version %q and refused it: %q", review.Person, r.Version, review.Comment).
			With("version", r.Version).With("person", review.Person)
	}
	return true, nil
}

// ReviewIsOwed is the refusal of a live start while an emergency waits for its review.
func ReviewIsOwed(version string) *fault.Error {
	return fault.New(fault.EmergencyReview, "version %q was installed by emergency; its review is owed before the next start of live", version).
		With("version", version)
}
