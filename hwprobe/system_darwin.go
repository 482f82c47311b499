package hwprobe

import (
	"context"

	"golang.org/x/sys/unix"
)

func (p *prober) affinity() map[int]bool { return nil } // macOS has none

func systemMemory() (total, available int64) {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0, 0
	}
	return int64(n), 0
}

func (p *prober) systemCores() (packages, cores int) {
	n, err := unix.SysctlUint32("hw.physicalcpu")
	if err != nil {
		return 0, 0
	}
	k, _ := unix.SysctlUint32("hw.packages")
	return int(k), int(n)
}

func (p *prober) systemGPUs(_ context.Context, m *Machine) []GPU {
	if m.Arch != "arm64" {
		p.note("gpu", "graphics devices are not looked for on Macs with Intel processors")
		return nil
	}
	return []GPU{{Vendor: "apple", VendorID: "106b", Product: m.CPU.Model, Reason: "part of the processor: it shares the machine's memory"}}
}
