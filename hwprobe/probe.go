package hwprobe

import "context"

// Options are settings of Probe; the zero value probes the machine itself.
type Options struct {
	Root string // folder that stands for "/": a snapshot of another Linux machine. Nothing outside it is asked
}

// Probe looks at the machine. It never fails: what it cannot find out is in Notes with a reason.
func Probe(ctx context.Context, o Options) *Machine { return &Machine{} }
