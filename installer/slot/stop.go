package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// Names of the stop marker. While something lies at one of them, whatever it is, live is off. It is written without the
// lock and without the machine's key, because stopping must not wait for an installer and not fail for a log; the next
// writer takes it into the live record and the log. A writer moves it to StopTaken before it does, so that a further
// stop that comes meanwhile is another file and is not lost.
const (
	StopFile  = ModelsDir + "/live.off"
	StopTaken = ModelsDir + "/live.off.taken"
)

// StopSchema is the format of the stop marker.
const StopSchema = "sluice-stop/1"

// maxStop limits what is read from a marker, bytes.
const maxStop = 64 << 10

// Stop says who switched live off, when by the local clock, and why. It is nobody's signed word.
type Stop struct {
	Schema   string `json:"schema"`
	At       string `json:"at"` // RFC 3339, UTC
	Operator string `json:"operator"`
	Reason   string `json:"reason,omitempty"`
}

// Stopped says whether live was stopped by a marker. What cannot be looked at counts as one.
func (d *Dir) Stopped() bool {
	for _, name := range []string{StopFile, StopTaken} {
		if _, err := d.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// CheckStop refuses (E-NOT-LIVE) a live stage that was stopped.
func (d *Dir) CheckStop() error {
	if !d.Stopped() {
		return nil
	}
	e := fault.New(fault.NotLive, "live was stopped by %q: %q", d.Stop().Operator, d.Stop().Reason)
	return e.With("stage", string(Live)).With("path", d.Abs(StopFile))
}

// Stop is what the marker says; one that cannot be read is a stop all the same, by nobody known.
func (d *Dir) Stop() *Stop {
	for _, name := range []string{StopFile, StopTaken} {
		if raw, err := d.Read(name, maxStop); err == nil {
			return ParseStop(raw)
		}
	}
	return &Stop{Schema: StopSchema}
}

// ParseStop reads a marker. Garbage gives a stop without a name: it stops as well.
func ParseStop(raw []byte) *Stop {
	s := &Stop{}
	err := bundle.StrictUnmarshal(raw, s, maxStop)
	if err == nil && s.Schema != StopSchema {
		err = fmt.Errorf("schema %q, want %q", s.Schema, StopSchema)
	}
	if err == nil {
		_, err = time.Parse(time.RFC3339, s.At)
	}
	if err != nil {
		return &Stop{Schema: StopSchema}
	}
	return s
}

// WriteStop stops live. It needs no lock. On a disk too full for who and why, an empty marker stops as well, and where
// even that finds no room, the live record itself is moved there: the next writer puts it back, switched off.
func (d *Dir) WriteStop(s *Stop) error {
	raw, err := encode(s)
	if err != nil {
		return err
	}
	err = fsx.WriteFile(d.root, StopFile, raw, 0o644)
	if err == nil {
		return nil
	}
	if _, lerr := d.root.Lstat(StopFile); lerr == nil {
		return nil // something else lies there and stops as well
	}
	if f, cerr := d.root.OpenFile(StopFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); cerr == nil {
		_ = f.Close()
		return fsx.SyncDir(d.root, ModelsDir)
	}
	if rerr := d.root.Rename(Live.RecordFile(), StopFile); rerr == nil {
		return fsx.SyncDir(d.root, ModelsDir)
	}
	return err
}

// TakeStop moves the marker aside for the writer who settles it, and reads it; nil when there is none. One that an earlier
// writer took and did not settle comes first. The caller holds the lock and calls StopSettled when the live record says off.
func (d *Dir) TakeStop() (raw []byte, err error) {
	if _, err := d.root.Lstat(StopTaken); errors.Is(err, fs.ErrNotExist) {
		if _, err := d.root.Lstat(StopFile); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err := fsx.Rename(d.root, StopFile, StopTaken); err != nil {
			return nil, err
		}
	}
	if raw, err = d.Read(StopTaken, MaxRecord); err != nil || raw == nil {
		return []byte{}, nil // not a file, too long: a stop all the same
	}
	return raw, nil
}

// StopSettled removes the marker that TakeStop took.
func (d *Dir) StopSettled() error { return fsx.RemoveAll(d.root, StopTaken) }
