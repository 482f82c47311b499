package gate

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"sluice/installer/slot"
	"sluice/internal/fault"
)

// lease keeps a bot's word: it renews the file, and tells when the bot must stop.
type lease struct {
	dir   *slot.Dir
	now   func() time.Time
	also  func() error  // refuses for a reason of its own; nil: none
	stop  chan struct{} // closed by end
	ended chan struct{} // closed when nothing is renewed any more

	halted chan struct{} // closed when the models may not be used any more
	mu     sync.Mutex
	reason error
	file   slot.Lease
}

// hold begins a lease and renews it until end.
func hold(root string, l *slot.Lease, now func() time.Time, also func() error) (*lease, error) {
	dir, err := slot.Open(root)
	if err != nil {
		return nil, err
	}
	if err := dir.WriteLease(l); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	k := &lease{dir: dir, now: now, also: also, stop: make(chan struct{}), ended: make(chan struct{}), halted: make(chan struct{}), file: *l}
	go k.renew()
	return k, nil
}

func (k *lease) renew() {
	defer close(k.ended)
	tick := time.NewTicker(time.Duration(k.file.Every) * time.Second)
	defer tick.Stop()
	// The order to stop is looked for every second, however rarely the lease is renewed.
	look := time.NewTicker(min(time.Second, time.Duration(k.file.Every)*time.Second))
	defer look.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-look.C:
			k.look()
		case <-tick.C:
			k.file.Renewed = k.now().UTC().Format(time.RFC3339)
			_ = k.dir.WriteLease(&k.file) // one that is not renewed is seen as silent
		}
	}
}

// look closes halted when the stage does not run these models any more.
func (k *lease) look() {
	err := k.dir.InForce(k.file.Stage, k.file.ManifestSHA384)
	if err == nil && k.also != nil {
		err = k.also()
	}
	if err == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reason == nil {
		k.reason = err
		close(k.halted)
	}
}

// end stops renewing; with confirm the lease says that the bot has stopped.
func (k *lease) end(confirm bool) error {
	close(k.stop)
	<-k.ended
	var err error
	if confirm {
		k.file.Stopped = k.now().UTC().Format(time.RFC3339)
		k.file.Renewed = k.file.Stopped
		err = k.dir.WriteLease(&k.file)
	}
	return errors.Join(err, k.dir.Close())
}

// Halted is closed when the stage does not run these models any more: live was switched off or rolled back, or another
// version took its place. The bot then stops trading and calls Close, which confirms it. Without a lease it is nil, and
// never ready.
func (m *Models) Halted() <-chan struct{} {
	if m.lease == nil {
		return nil
	}
	return m.lease.halted
}

// HaltReason says why Halted is closed; nil before.
func (m *Models) HaltReason() error {
	if m.lease == nil {
		return nil
	}
	m.lease.mu.Lock()
	defer m.lease.mu.Unlock()
	if m.lease.reason == nil {
		return nil
	}
	return closed(m.lease.reason, "", false)
}

// Renew is for bots that keep their lease without this package's Open: it renews the lease and says whether the bot may go
// on. ErrGateClosed: it must stop and then Release. It reads the stage's record and nothing more, and costs next to nothing.
// Errors: E-LEASE, E-NOT-LIVE.
func Renew(root, name string, o Options) error {
	return withLease(root, name, func(d *slot.Dir, l *slot.Lease) error {
		if l.Stopped != "" {
			return fault.New(fault.Lease, "the lease of %q has ended: ask the gate again", name).With("name", name)
		}
		l.Renewed = o.clock().UTC().Format(time.RFC3339)
		if err := d.WriteLease(l); err != nil {
			return err
		}
		return d.InForce(l.Stage, l.ManifestSHA384)
	})
}

// Release confirms that a bot has stopped. Error: E-LEASE.
func Release(root, name string, o Options) error {
	return withLease(root, name, func(d *slot.Dir, l *slot.Lease) error {
		l.Stopped = o.clock().UTC().Format(time.RFC3339)
		l.Renewed = l.Stopped
		return d.WriteLease(l)
	})
}

func (o Options) clock() time.Time {
	if o.Clock == nil {
		return time.Now()
	}
	return o.Clock()
}

func withLease(root, name string, do func(d *slot.Dir, l *slot.Lease) error) error {
	d, err := slot.Open(root)
	if err != nil {
		return closed(err, "", false)
	}
	defer d.Close()
	l, err := d.Lease(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.New(fault.Lease, "there is no lease %q: ask the gate with it first", name).With("name", name)
	}
	if err == nil {
		err = do(d, l)
	}
	if err != nil {
		return closed(err, "", false)
	}
	return nil
}
