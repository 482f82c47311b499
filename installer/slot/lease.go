package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// LeasesDir holds the leases of running bots, one file each. Bots write there; nothing rests on what they say but who is
// shown as running.
const LeasesDir = "leases"

// LeaseSchema is the format of a lease.
const LeaseSchema = "sluice-lease/1"

// Limits of leases.
const (
	maxLease  = 16 << 10 // bytes
	maxLeases = 1000     // that are looked at
	// LeaseEvery is how often a lease is renewed when the bot asks for nothing else, and MaxLeaseEvery the longest.
	LeaseEvery    = 5 * time.Second
	MaxLeaseEvery = time.Hour
	// leasePatience is after how many missed renewals a bot is silent.
	leasePatience = 3
)

// Lease is a bot's own word that it runs on a stage's models, renewed while it does, and that it has stopped.
type Lease struct {
	Schema         string        `json:"schema"`
	Name           string        `json:"name"` // [a-z0-9][a-z0-9._-]{0,63}, the file's name without .json
	Stage          Stage         `json:"stage"`
	Version        string        `json:"version"`
	ManifestSHA384 bundle.Digest `json:"manifest_sha384"`
	PID            int           `json:"pid"`
	Host           string        `json:"host,omitempty"`
	Started        string        `json:"started"`           // RFC 3339, UTC, by the local clock
	Renewed        string        `json:"renewed"`           // the same
	Every          int           `json:"every_s"`           // seconds between renewals
	Stopped        string        `json:"stopped,omitempty"` // when it confirmed that it trades no more
}

var leaseName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// LeasePath is where a bot's lease lies. Error: E-LEASE for a name that is none.
func LeasePath(name string) (string, error) {
	p := LeasesDir + "/" + name + ".json"
	if !leaseName.MatchString(name) || bundle.ValidPath(p) != nil {
		return "", fault.New(fault.Lease, "lease name %q, want 1 to 64 of a-z 0-9 . _ -", name).With("name", name)
	}
	return p, nil
}

// ParseLease reads a lease strictly.
func ParseLease(raw []byte) (*Lease, error) {
	l := &Lease{}
	if err := bundle.StrictUnmarshal(raw, l, maxLease); err != nil {
		return nil, fmt.Errorf("reading lease: %w", err)
	}
	if l.Schema != LeaseSchema {
		return nil, fmt.Errorf("schema %q, want %q", l.Schema, LeaseSchema)
	}
	if _, err := LeasePath(l.Name); err != nil {
		return nil, err
	}
	if _, err := ParseStage(string(l.Stage)); err != nil {
		return nil, err
	}
	if l.Every < 1 || l.Every > int(MaxLeaseEvery/time.Second) {
		return nil, fmt.Errorf("renewed every %d s, want 1 to %d", l.Every, int(MaxLeaseEvery/time.Second))
	}
	for _, at := range []string{l.Started, l.Renewed, l.Stopped} {
		if _, err := time.Parse(time.RFC3339, at); err != nil && (at != "" || l.Stopped != "") {
			return nil, fmt.Errorf("time %q: %w", at, err)
		}
	}
	return l, nil
}

// Silent says whether a lease that is not stopped was not renewed in time. A renewal in the future, as after a clock set
// back, is none.
func (l *Lease) Silent(now time.Time) bool {
	at, err := time.Parse(time.RFC3339, l.Renewed)
	if err != nil || l.Stopped != "" {
		return l.Stopped == ""
	}
	patience := leasePatience * time.Duration(l.Every) * time.Second
	age := now.Sub(at)
	return age > patience || age < -patience
}

// Lease reads one; the error wraps fs.ErrNotExist when there is none.
func (d *Dir) Lease(name string) (*Lease, error) {
	p, err := LeasePath(name)
	if err != nil {
		return nil, err
	}
	raw, err := d.Read(p, maxLease)
	if err != nil {
		return nil, err
	}
	l, err := ParseLease(raw)
	if err == nil && l.Name != name {
		err = fmt.Errorf("it is the lease of %q", l.Name)
	}
	if err != nil {
		return nil, fault.New(fault.Lease, "lease %q: %w", p, err).With("name", name)
	}
	return l, nil
}

// Leases are those of all bots, by name. One that cannot be read is a bot of whom nothing is known but its name.
func (d *Dir) Leases() ([]Lease, error) {
	entries, err := d.List(LeasesDir)
	if err != nil {
		return nil, err
	}
	var out []Lease
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !leaseName.MatchString(name) || len(out) == maxLeases {
			continue
		}
		l, err := d.Lease(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			l = &Lease{Name: name}
		}
		out = append(out, *l)
	}
	return out, nil
}

// WriteLease replaces a bot's lease. It needs no lock. Error: E-LEASE.
func (d *Dir) WriteLease(l *Lease) error {
	p, err := LeasePath(l.Name)
	if err != nil {
		return err
	}
	raw, err := encode(l)
	if err != nil {
		return err
	}
	if _, err := ParseLease(raw); err != nil {
		return fault.New(fault.Lease, "lease %q: %w", p, err).With("name", l.Name)
	}
	if err := fsx.WriteFile(d.root, p, raw, 0o644); err != nil {
		return fault.New(fault.Lease, "writing lease %q: %w", d.Abs(p), err).With("name", l.Name).With("path", d.Abs(p))
	}
	return nil
}

// RemoveLease forgets a bot. Error: E-LEASE, also when there is none.
func (d *Dir) RemoveLease(name string) error {
	p, err := LeasePath(name)
	if err != nil {
		return err
	}
	if err := d.root.Remove(p); err != nil {
		return fault.New(fault.Lease, "removing lease %q: %w", p, err).With("name", name)
	}
	return fsx.SyncDir(d.root, LeasesDir)
}

// InForce refuses (E-NOT-LIVE) when a stage does not run a manifest's models now: switched off, rolled back, or another
// version. It looks at the record and the stop marker only: a bot that was let in asks it often.
func (d *Dir) InForce(stage Stage, manifest bundle.Digest) error {
	if stage == Live {
		if err := d.CheckStop(); err != nil {
			return err
		}
	}
	r, _, err := d.Record(stage)
	if err != nil {
		return err
	}
	switch {
	case r == nil:
		return fault.New(fault.NotLive, "stage %q runs nothing any more", stage).With("stage", string(stage))
	case !r.Enabled:
		return fault.New(fault.NotLive, "stage %q is switched off: %q", stage, r.Reason).With("stage", string(stage)).With("version", r.Version)
	case r.ManifestSHA384 != manifest:
		return fault.New(fault.NotLive, "stage %q runs version %q now", stage, r.Version).With("stage", string(stage)).With("version", r.Version)
	}
	return nil
}

// NewLease begins a lease of this process.
func NewLease(name string, r *Record, every time.Duration, now time.Time) *Lease {
	host, _ := os.Hostname() // without one, the process id is all there is
	at := now.UTC().Format(time.RFC3339)
	return &Lease{Schema: LeaseSchema, Name: name, Stage: r.Stage, Version: r.Version, ManifestSHA384: r.ManifestSHA384, PID: os.Getpid(),
		Host: host, Started: at, Renewed: at, Every: max(1, int(every/time.Second))}
}
