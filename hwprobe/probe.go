package hwprobe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/jaypipes/ghw"
)

// Options are settings of Probe; the zero value probes the machine itself.
type Options struct {
	Root    string        // folder that stands for "/": a snapshot of another Linux machine. Nothing outside it is asked
	Timeout time.Duration // for each question to the system; 5 s when zero
	Exe     string        // program that answers Verb: drivers' own libraries are asked in a child of it; empty: they are not asked
}

// prober is one run of Probe.
type prober struct {
	tree
	live    bool // this machine, not a snapshot
	linux   bool // /proc and /sys have Linux's shape
	timeout time.Duration
	exe     string
	notes   []Note
}

// Probe looks at the machine. It never fails: what it cannot find out is in Notes, or in the Reason beside the value.
// It sends nothing anywhere, writes nothing, and starts no program but itself (Options.Exe): a child asks the library of
// an NVIDIA device's driver, named in Libraries, and DXGI on Windows.
func Probe(ctx context.Context, o Options) *Machine {
	p := &prober{tree: tree{root: o.Root}, live: o.Root == "", timeout: o.Timeout, exe: o.Exe}
	p.linux = runtime.GOOS == "linux" || !p.live
	if p.live {
		p.root = "/"
	}
	if p.timeout <= 0 {
		p.timeout = 5 * time.Second
	}
	m := &Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, GPUs: []GPU{}, Accelerators: []Accelerator{}, Drives: []Drive{}, Libraries: []Library{}}
	blocks := p.cpuinfo()
	if !p.live {
		m.OS, m.Arch = "linux", archOf(blocks)
	}
	m.CPU = p.cpu(ctx, blocks)
	m.MemoryMiB = p.memory(ctx)
	m.Virtual = p.virtual(m.CPU)
	m.GPUs, m.Accelerators = p.devices(ctx, m)
	m.Drives = p.drives(ctx)
	m.Notes = append([]Note{}, p.notes...)
	return m
}

func (p *prober) note(what, format string, args ...any) {
	p.notes = append(p.notes, Note{What: what, Reason: fmt.Sprintf(format, args...)})
}

// ghwOptions keep ghw silent, away from other programs, and inside the root whatever the environment says.
func (p *prober) ghwOptions() []any {
	return []any{
		ghw.WithChroot(p.root),
		ghw.WithDisableTools(),
		ghw.WithDisableTopology(),
		ghw.WithPCIDB(p.pciNames()),
		// ghw falls back to reading the system's logs for the size of memory; they are none of our business.
		ghw.WithPathOverrides(map[string]string{"/var": "/proc/none"}),
		ghw.WithLogger(slog.New(slog.DiscardHandler)),
	}
}

// errTimeout is given when the system does not answer; the question is left behind in its goroutine.
var errTimeout = errors.New("the system did not answer in time")

// ask runs one question to the system. A panic (ghw indexes into what it reads without looking) and a hang become
// errors, so that no odd machine can stop a probe.
func ask[T any](ctx context.Context, timeout time.Duration, question func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if r := recover(); r != nil {
				a = answer{err: fmt.Errorf("reading it went wrong: %v", r)}
			}
			done <- a
		}()
		a.value, a.err = question()
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var zero T
	select {
	case a := <-done:
		if a.err != nil {
			return zero, a.err
		}
		return a.value, nil
	case <-timer.C:
		return zero, errTimeout
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}
