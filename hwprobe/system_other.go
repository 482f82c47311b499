//go:build !linux && !darwin && !windows

package hwprobe

import "context"

func (p *prober) affinity() map[int]bool { return nil }

func systemMemory() (total, available int64) { return 0, 0 }

func (p *prober) systemCores() (packages, cores int) { return 0, 0 }

func (p *prober) systemGPUs(context.Context, *Machine) []GPU {
	p.note("gpu", "graphics devices are not looked for on this system")
	return nil
}

func mountedDrives(context.Context) ([]Drive, []Note) {
	return nil, []Note{{What: "drives", Reason: "drives are not looked for on this system"}}
}
