package installer

import (
	"context"

	"sluice/installer/slot"
)

// SetCrash lets a test act at the points between two changes of the disk.
func (in *Installer) SetCrash(f func(at string)) { in.crash = f }

// Announce writes an intent and dies: no change, no outcome.
func (in *Installer) Announce(path, becomes string) error {
	_, err := write(context.Background(), in, demands{what: "test"}, func(w *work) (none struct{}, err error) {
		defer func() { _ = recover() }()
		in.crash = func(at string) {
			if at == "intent test" {
				panic(at)
			}
		}
		defer func() { in.crash = nil }()
		return none, w.perform(change{log: "demo", event: "test", path: path, becomes: becomes, then: "done"}, func() error { return nil })
	})
	return err
}

// Pending are the intents without outcome.
func (in *Installer) Pending() ([]slot.Mark, error) {
	v, err := in.look()
	if err != nil {
		return nil, err
	}
	defer v.close()
	return v.ledger.Pending(), nil
}
