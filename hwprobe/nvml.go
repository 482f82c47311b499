package hwprobe

import (
	"context"
	"fmt"
)

// nvidia fills in memory, name and driver version of NVIDIA devices from the library that came with the driver. It is
// asked in a child process, only on this machine, only where sysfs shows an NVIDIA device, and only by a path
// that nobody but root can write to; its digest is recorded, not vouched for.
func (p *prober) nvidia(ctx context.Context, m *Machine, gpus []GPU) {
	wanted := false
	for _, g := range gpus {
		wanted = wanted || g.Vendor == "nvidia" && g.VendorID != "" && g.MemoryMiB == nil
	}
	if !p.live || !wanted {
		return
	}
	path, err := findNVML(nvmlPaths)
	if err != nil {
		p.note("gpu", "NVML, which knows the memory of NVIDIA devices, was not asked: %v", err)
		return
	}
	digest, err := digestOf(path)
	if err != nil {
		p.note("gpu", "NVML was not asked: %v", err)
		return
	}
	m.Libraries = append(m.Libraries, Library{Path: path, SHA384: digest})
	report, err := askDriver(ctx, p.exe, driverTimeout, driverQuestion{NVML: path})
	if err != nil {
		p.note("gpu", "NVML (%s), which knows the memory of NVIDIA devices: %v", path, err)
		return
	}
	joinNVML(gpus, report)
}

func joinNVML(gpus []GPU, r driverReport) {
	for i := range gpus {
		g := &gpus[i]
		for _, c := range r.Cards {
			if g.Vendor != "nvidia" || c.Address != g.Address {
				continue
			}
			if n := c.Memory / mib; n > 0 {
				g.MemoryMiB = &n
			}
			g.Product = prefer(c.Name, g.Product)
			if r.Driver != "" {
				g.Driver = "nvidia " + r.Driver
			}
			g.explain()
		}
	}
}

// nvmlErrors are the answers that a person can do something about (nvml.h, nvmlReturn_t).
var nvmlErrors = map[uint32]string{
	2: "invalid argument", 3: "not supported by this device", 4: "no permission", 9: "the NVIDIA driver is not loaded", 10: "timeout",
	11: "a kernel interrupt problem", 15: "the device has fallen off its bus", 16: "the device needs a reset", 17: "the operating system blocks the device",
	18: "driver and library are of different versions; a reboot after the driver's update helps", 999: "unknown error",
}

type nvmlError struct {
	call string
	code uint32
}

func (e nvmlError) Error() string {
	if s, ok := nvmlErrors[e.code]; ok {
		return fmt.Sprintf("%s: %s", e.call, s)
	}
	return fmt.Sprintf("%s: error %d", e.call, e.code)
}
