package hwprobe

import (
	"context"
	"errors"
	"runtime"
	"strings"

	"sluice/internal/printable"
)

var errNone = errors.New("nobody to ask")

func errIsNone(err error) bool { return errors.Is(err, errNone) }

// askGHW: on macOS ghw would start "sysctl" by its search path and knows neither memory nor graphics; the system is
// asked directly there. A snapshot can be read by ghw on Linux only.
func (p *prober) askGHW() bool {
	return runtime.GOOS == "linux" || runtime.GOOS == "windows" && p.live
}

// devices lists graphics and compute devices.
func (p *prober) devices(ctx context.Context, m *Machine) ([]GPU, []Accelerator) {
	gpus, accelerators := []GPU{}, []Accelerator{}
	if !p.linux {
		return append(gpus, p.systemGPUs(ctx, m)...), accelerators
	}
	if !p.exists("sys/bus/pci/devices") && !p.exists("sys/class/drm") {
		p.note("gpu", "neither /sys/bus/pci/devices nor /sys/class/drm is there (a container or a machine without PCI): no graphics device is known")
	}
	nameless := false
	for _, d := range p.pciDevices(ctx) {
		nameless = nameless || d.product == "" && (d.graphics() || d.accelerates())
		switch {
		case d.graphics():
			g := GPU{Vendor: vendorName(d.vendor), VendorID: d.vendor, DeviceID: d.device, Product: d.product, Address: d.address, Driver: d.driver}
			p.describe(&g)
			gpus = append(gpus, g)
		case d.accelerates():
			accelerators = append(accelerators, Accelerator{Vendor: vendorName(d.vendor), VendorID: d.vendor, DeviceID: d.device,
				Product: d.product, Address: d.address, Driver: d.driver})
		}
	}
	p.nvidia(ctx, m, gpus)
	if nameless {
		p.note("names", "no list of PCI names (pci.ids) knows all devices: vendor and device ids stand alone; nothing depends on names")
	}
	return append(gpus, p.boardGPUs()...), accelerators
}

// describe adds memory and driver version from the places where drivers put them.
func (p *prober) describe(g *GPU) {
	dir := "sys/bus/pci/devices/" + g.Address
	var bytes int64
	switch {
	case g.Vendor == "amd":
		bytes, _ = p.readInt(dir + "/mem_info_vram_total")
	case g.Vendor == "nvidia":
		if s, ok := p.read("proc/driver/nvidia/version"); ok {
			if v := nvidiaVersion(s); v != "" {
				g.Driver = prefer(g.Driver, "nvidia")
				g.Driver += " " + v
			}
		}
		if s, ok := p.read("proc/driver/nvidia/gpus/" + g.Address + "/information"); ok {
			g.Product = prefer(g.Product, nvidiaModel(s))
		}
	case g.Vendor == "intel": // the xe driver counts each tile's memory
		for _, name := range p.list(dir) {
			if strings.HasPrefix(name, "tile") {
				n, _ := p.readInt(dir + "/" + name + "/physical_vram_size_bytes")
				bytes += n
			}
		}
	}
	if bytes > 0 {
		n := bytes / mib
		g.MemoryMiB = &n
	}
	if g.Driver != "" && !strings.Contains(g.Driver, " ") { // drivers of the kernel's own have its version and say none
		if v, ok := p.read("sys/module/" + strings.ReplaceAll(g.Driver, "-", "_") + "/version"); ok && v != "" {
			g.Driver += " " + printable.Line(v, 60)
		}
	}
	g.explain()
}

// explain says what is unknown of a PCI device.
func (g *GPU) explain() {
	var why []string
	if g.MemoryMiB == nil {
		why = append(why, reasonMemory)
	}
	if g.Driver == "" {
		why = append(why, "no driver is bound to it")
	}
	g.Reason = strings.Join(why, "; ")
}

// nvidiaVersion finds the version in /proc/driver/nvidia/version:
// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar …".
func nvidiaVersion(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	for _, f := range strings.Fields(line) {
		if strings.Count(f, ".") >= 1 && strings.Trim(f, "0123456789.") == "" && f[0] != '.' {
			return f
		}
	}
	return ""
}

// nvidiaModel finds "Model: NVIDIA H200".
func nvidiaModel(text string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "Model:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// boardDrivers are graphics drivers of single-board computers, whose devices are not on PCI.
var boardDrivers = map[string]string{
	"tegra-host1x": "nvidia", "tegra": "nvidia", "gk20a": "nvidia", "nvgpu": "nvidia", "panfrost": "arm", "panthor": "arm", "lima": "arm",
	"mali": "arm", "v3d": "broadcom", "vc4-drm": "broadcom", "msm": "qualcomm", "msm-mdp": "qualcomm", "etnaviv": "vivante",
	"powervr": "imagination", "asahi": "apple",
}

// boardGPUs are the cards of /sys/class/drm that are not on PCI.
func (p *prober) boardGPUs() []GPU {
	var out []GPU
	for _, card := range p.list("sys/class/drm") {
		if !strings.HasPrefix(card, "card") || strings.Contains(card, "-") {
			continue
		}
		device := "sys/class/drm/" + card + "/device"
		driver := p.link(device + "/driver")
		if p.link(device+"/subsystem") != "platform" || driver == "" {
			continue
		}
		vendor := boardDrivers[driver]
		if vendor == "" {
			vendor = unknown
		}
		out = append(out, GPU{Vendor: vendor, Address: p.link(device), Driver: driver,
			Reason: "not on PCI: it has no vendor and device id, and shares the machine's memory"})
	}
	return out
}
