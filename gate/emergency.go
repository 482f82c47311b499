package gate

import (
	"time"

	"sluice/audit"
	"sluice/compliance"
	"sluice/installer/slot"
)

// remindEvery is how often the gate writes into the log that an emergency is live: the log then shows how late it was, and a
// clock that is set back behind that is noticed.
const remindEvery = 10 * time.Minute

// emergency refuses a live version that came by emergency when its time is over and no review has accepted it.
func (j *judge) emergency(r *slot.Record) error {
	if r.Emergency == nil {
		return nil
	}
	left, err := j.dir.CheckEmergency(j.ledger, j.policy, r, j.auth.ManifestBytes(), j.moment(), j.seen(r))
	if err != nil {
		return err
	}
	if left > 0 {
		j.answer.Emergency.SecondsLeft = max(1, int64(left/time.Second))
	}
	return nil
}

func (j *judge) moment() compliance.Moment {
	m := compliance.Moment{Wall: j.o.Clock()}
	m.Boot, m.Up = j.o.Uptime()
	return m
}

// seen is the latest time that the logs show after the record was made, and the newest date of anything signed that was
// installed since. What was written before the record does not count: a clock that once was years ahead poisons nothing.
func (j *judge) seen(r *slot.Record) time.Time {
	var latest time.Time
	for _, log := range audit.All() {
		before := r.Logs[string(log)].Entries
		for _, l := range j.lines[log] {
			if l.Number <= before {
				continue
			}
			times := []string{l.Entry.Timestamp}
			if m, ok := slot.NewMark(string(log), l.Number, l.Entry.Event, l.Entry.Actor, nil, l.Entry.Detail); ok && m.Event == slot.EventActivate {
				times = append(times, m.Info[slot.InfoCreated])
			}
			for _, s := range times {
				if t, err := time.Parse(time.RFC3339, s); err == nil && t.After(latest) {
					latest = t
				}
			}
		}
	}
	return latest
}

// window is asked before each inference: models stay loaded for days, their time does not.
func (j *judge) window(w *compliance.Window) func() error {
	policy, moment, opened := j.policy, j.moment, j.o.Clock()
	return func() error {
		_, err := w.Left(policy, moment(), opened)
		return err
	}
}

// remindTime says whether an emergency's last entry is old enough for another.
func (j *judge) remindTime(last string) bool {
	if j.answer.Emergency == nil {
		return false
	}
	t, err := time.Parse(time.RFC3339, last)
	since := j.o.Clock().Sub(t)
	return err != nil || since >= remindEvery || since < 0
}
