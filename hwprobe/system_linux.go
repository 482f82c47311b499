package hwprobe

import (
	"context"

	"golang.org/x/sys/unix"
)

// affinity is the set of hardware threads that this process may run on; empty when unknown or not limited.
func (p *prober) affinity() map[int]bool {
	if !p.live {
		return nil
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	out := map[int]bool{}
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			out[i] = true
		}
	}
	return out
}

// systemMemory is for machines without /proc.
func systemMemory() (total, available int64) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, 0
	}
	unit := uint64(max(info.Unit, 1))
	return int64(uint64(info.Totalram) * unit), int64((uint64(info.Freeram) + uint64(info.Bufferram)) * unit)
}

func (p *prober) systemCores() (packages, cores int) { return 0, 0 }

func (p *prober) systemGPUs(context.Context, *Machine) []GPU { return nil }
