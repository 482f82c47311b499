// Package installer knows the order: from an opened bundle over a proven candidate and people's sign-offs to the live
// record, and back. Each step takes the token that the step before made; nobody else can make one, so no check can be
// skipped. Every step that changes the disk writes its intent to the log before and the outcome after.
//
// It does not decide what a valid signature, a fitting machine or a complete approval is: packages verify, hwprobe,
// inference and compliance do. It does not print, and it does not answer bots: package gate does.
package installer

import (
	"context"
	"crypto/rand"
	"io"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/progress"
	"sluice/internal/uptime"
)

// Config is what an Installer works with. Root is required.
type Config struct {
	Root            string           // the installation's folder; made by the first writing step
	Clock           func() time.Time // nil: time.Now
	Rand            io.Reader        // nil: crypto/rand
	Program         string           // this static program, copied to <root>/bin/; empty: the copy there
	EngineLib       string           // an inference library given by the user; empty: what the bundle or the root has
	EngineLibSHA384 string           // its digest; needed unless it is one of the pinned official builds
	Built           time.Time        // when this program was built: evidence of time
	Version         string           // of this program
	Operator        string           // who acts, for the log
	Lang            string           // "en" or "pl": the language in which checklists are shown
	Progress        progress.Func

	Uptime func() (boot string, up time.Duration) // nil: the system's; see uptime.Now
}

// Installer works on one root. One step runs at a time; a second one is refused with E-LOCKED.
type Installer struct {
	c       Config
	engine  bundle.Digest // EngineLibSHA384, parsed
	working sync.Mutex    // held by the step at work
	crash   func(at string)
	sums    sums
}

// New checks the configuration. It opens and makes nothing.
func New(c Config) (*Installer, error) {
	if c.Root == "" {
		return nil, fault.New(fault.Usage, "no root folder, want one")
	}
	abs, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, fault.New(fault.Usage, "finding root %q: %w", c.Root, err)
	}
	if !utf8.ValidString(abs) { // records and requests to the inference process name files below it, in JSON
		return nil, fault.New(fault.Usage, "root %q is not valid UTF-8", abs)
	}
	c.Root = abs
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Uptime == nil {
		c.Uptime = uptime.Now
	}
	if c.Lang == "" {
		c.Lang = "en"
	}
	in := &Installer{c: c}
	if c.EngineLibSHA384 != "" {
		if c.EngineLib == "" {
			return nil, fault.New(fault.Usage, "a library digest without a library")
		}
		if in.engine, err = bundle.ParseDigest(c.EngineLibSHA384); err != nil {
			return nil, fault.New(fault.Usage, "library digest: %w", err)
		}
	}
	return in, nil
}

// Root is the installation's folder.
func (in *Installer) Root() string { return in.c.Root }

// Built is when this program was built, as Config says: evidence of time.
func (in *Installer) Built() time.Time { return in.c.Built }

// point is where tests let the process die.
func (in *Installer) point(at string) {
	if in.crash != nil {
		in.crash(at)
	}
}

func (in *Installer) now() string { return in.c.Clock().UTC().Format(time.RFC3339) }

// stamp is the time as part of a file name: <date>-<time>.
func (in *Installer) stamp() string { return in.c.Clock().UTC().Format("20060102-150405") }

func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Cancelled, "cancelled: %w", err)
	}
	return nil
}
