package audit

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

const (
	repeatWindow   = time.Hour
	maxRepeats     = 16      // kinds of refusals counted side by side; the oldest makes room
	maxRepeatsFile = 4 << 20 // bytes
)

// repeats is <log>.repeats: refusals of the last hour. It is a convenience and carries no evidence: it is not signed, and
// one that cannot be read counts as empty.
type repeats struct {
	Refusals []repeat `json:"refusals"`
}

type repeat struct {
	Key   bundle.Digest `json:"key"`
	First Entry         `json:"first"`
	Count int           `json:"count"` // further ones
	Last  string        `json:"last"`
}

func (g Log) repeats() string { return string(g) + ".repeats" }

// refusalKey is equal for refusals that are equal in everything but time, incident and count.
func refusalKey(e Entry) (bundle.Digest, error) {
	e = tidy(e)
	e.Timestamp, e.Incident, e.Count, e.Prev, e.Sig, e.Log = "", "", 0, bundle.Digest{}, nil, ""
	raw, err := bundle.CanonicalJSON(e)
	if err != nil {
		return bundle.Digest{}, fault.New(fault.Internal, "comparing refusals: %w", err)
	}
	return digestOf(raw), nil
}

func (w *writer) loadRepeats() *repeats {
	var r repeats
	raw, err := fsx.ReadFile(w.next, w.log.repeats(), maxRepeatsFile)
	if err != nil || bundle.StrictUnmarshal(raw, &r, maxRepeatsFile) != nil || len(r.Refusals) > maxRepeats {
		return &repeats{}
	}
	var kept []repeat
	for _, one := range r.Refusals {
		if w.genuine(one) {
			kept = append(kept, one)
		}
	}
	r.Refusals = kept
	return &r
}

// genuine says whether the refusal that is being counted was really written by this machine's key for this log.
func (w *writer) genuine(r repeat) bool {
	raw, err := bundle.CanonicalJSON(withoutSig(r.First))
	if err != nil || r.Count < 0 || r.First.Log != w.log {
		return false
	}
	_, err = time.Parse(timeFormat, r.First.Timestamp)
	return err == nil && ed25519.Verify(w.o.Public, append([]byte(signedPrefix), raw...), r.First.Sig)
}

func (r *repeats) find(key bundle.Digest) *repeat {
	for i := range r.Refusals {
		if r.Refusals[i].Key == key {
			return &r.Refusals[i]
		}
	}
	return nil
}

// flush writes the counts whose hour is over, or all of them, and forgets those refusals. A clock set back ends the
// hour too.
func (w *writer) flush(r *repeats, now time.Time, all bool) error {
	for i := 0; i < len(r.Refusals); {
		one := r.Refusals[i]
		first, err := time.Parse(timeFormat, one.First.Timestamp)
		age := now.Sub(first)
		if err == nil && !all && age > -time.Second && age < repeatWindow {
			i++
			continue
		}
		if err := w.sumUp(one, now); err != nil {
			return err
		}
		r.Refusals = append(r.Refusals[:i], r.Refusals[i+1:]...)
		if err := w.saveRepeats(r); err != nil {
			return err
		}
	}
	return nil
}

// sumUp appends the entry with the count. If the power went between it and saveRepeats, it is the log's last entry
// and not written twice.
func (w *writer) sumUp(one repeat, now time.Time) error {
	if one.Count == 0 {
		return nil
	}
	e := Entry{Stage: one.First.Stage, Status: StatusRefused, Event: EventRepeated, Actor: one.First.Actor,
		Artefacts: one.First.Artefacts, Incident: one.First.Incident, Code: one.First.Code, Count: one.Count,
		Detail: map[string]any{"event": one.First.Event, "first": one.First.Timestamp, "last": one.Last}}
	if done := w.tail.entry; done.Event == EventRepeated && done.Incident == e.Incident && done.Count == e.Count && done.Detail["last"] == one.Last {
		return nil
	}
	_, err := w.append(e, now)
	return err
}

// remember starts counting repetitions of a refusal that was just written.
func (w *writer) remember(r *repeats, key bundle.Digest, e Entry, now time.Time) error {
	if len(r.Refusals) == maxRepeats {
		if err := w.sumUp(r.Refusals[0], now); err != nil {
			return err
		}
		r.Refusals = r.Refusals[1:]
	}
	r.Refusals = append(r.Refusals, repeat{Key: key, First: e})
	return w.saveRepeats(r)
}

func (w *writer) saveRepeats(r *repeats) error {
	if len(r.Refusals) == 0 {
		if err := w.next.Remove(w.log.repeats()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fsx.Classify(err, "removing", w.log.repeats())
		}
		return nil
	}
	raw, err := bundle.CanonicalJSON(r)
	if err != nil {
		return fault.New(fault.Internal, "writing %q: %w", w.log.repeats(), err)
	}
	return fsx.WriteFile(w.next, w.log.repeats(), raw, 0o600)
}
