package hwprobe

import (
	"context"
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"unsafe"

	"github.com/jaypipes/ghw"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func (p *prober) affinity() map[int]bool { return nil } // runtime.NumCPU counts it

var globalMemoryStatusEx = windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")

// memoryStatusEx is MEMORYSTATUSEX of sysinfoapi.h.
type memoryStatusEx struct {
	length, load                                                           uint32
	totalPhys, availPhys, totalPage, availPage, totalVirtual, availVirtual uint64
	availExtended                                                          uint64
}

func systemMemory() (total, available int64) {
	var s memoryStatusEx
	s.length = uint32(unsafe.Sizeof(s))
	if ok, _, _ := globalMemoryStatusEx.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0, 0
	}
	return int64(s.totalPhys), int64(s.availPhys)
}

func (p *prober) systemCores() (packages, cores int) { return 0, 0 }

// displayClass is where drivers of display adapters register, the setup class "Display".
const displayClass = `SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}`

// systemGPUs takes what is there from ghw (WMI), and memory and driver from DXGI; the registry, where adapters stay listed that
// have been taken out, fills gaps. Without WMI and DXGI the registry alone must do, and the reason says so.
func (p *prober) systemGPUs(ctx context.Context, _ *Machine) []GPU {
	registered := displayAdapters()
	seen, err := askDriver(ctx, p.exe, driverTimeout, driverQuestion{DXGI: true})
	if err != nil {
		p.note("gpu", "DXGI, which knows the memory of graphics devices: %v", err)
	}
	info, err := ask(ctx, p.timeout, func() (*ghw.GPUInfo, error) { return ghw.GPU(p.ghwOptions()...) })
	if err != nil {
		p.note("gpu", "WMI does not answer: %v", err)
	}
	var out []GPU
	if info != nil {
		out = wmiGPUs(info)
	}
	if out = joinDXGI(out, seen); len(out) == 0 && err != nil {
		for i := range registered {
			registered[i].Reason = strings.TrimPrefix(registered[i].Reason+"; from the registry alone: the device may be gone", "; ")
		}
		return registered
	}
	for i := range out {
		g := &out[i]
		for _, r := range registered {
			if g.VendorID != "" && r.VendorID == g.VendorID && r.DeviceID == g.DeviceID && g.MemoryMiB == nil && r.MemoryMiB != nil {
				g.MemoryMiB, g.Reason = r.MemoryMiB, ""
			}
		}
	}
	return out
}

func wmiGPUs(info *ghw.GPUInfo) []GPU {
	var out []GPU
	for _, c := range info.GraphicsCards {
		if c.DeviceInfo == nil {
			continue
		}
		g := GPU{Vendor: unknown, Driver: c.DeviceInfo.Driver, Address: c.Address, Reason: reasonMemory}
		if c.DeviceInfo.Product != nil {
			g.Product = c.DeviceInfo.Product.ID // ghw puts the name there
		}
		if g.VendorID, g.DeviceID = pnpIDs(c.DeviceInfo.Address); g.VendorID != "" {
			g.Vendor = vendorName(g.VendorID)
		}
		out = append(out, g)
	}
	return out
}

func displayAdapters() []GPU {
	class, err := registry.OpenKey(registry.LOCAL_MACHINE, displayClass, registry.READ)
	if err != nil {
		return nil
	}
	defer class.Close()
	names, err := class.ReadSubKeyNames(256)
	if err != nil && len(names) == 0 {
		return nil
	}
	var out []GPU
	for _, name := range names {
		k, err := registry.OpenKey(class, name, registry.READ)
		if err != nil {
			continue
		}
		id, _, _ := k.GetStringValue("MatchingDeviceId")
		g := GPU{Vendor: unknown, Address: name, Reason: reasonMemory}
		g.VendorID, g.DeviceID = pnpIDs(id)
		g.Product, _, _ = k.GetStringValue("DriverDesc")
		g.Driver, _, _ = k.GetStringValue("DriverVersion")
		bytes, _, err := k.GetIntegerValue("HardwareInformation.qwMemorySize")
		if errors.Is(err, registry.ErrUnexpectedType) {
			raw, _, _ := k.GetBinaryValue("HardwareInformation.qwMemorySize")
			if len(raw) == 8 {
				bytes = binary.LittleEndian.Uint64(raw)
			}
		}
		k.Close()
		if bytes > 0 && bytes < 1<<50 {
			n := int64(bytes / mib)
			g.MemoryMiB, g.Reason = &n, ""
		}
		if g.VendorID == "" {
			continue // a remote or software display
		}
		g.Vendor = vendorName(g.VendorID)
		out = append(out, g)
	}
	return out
}

var pnp = regexp.MustCompile(`(?i)VEN_([0-9a-f]{4})&DEV_([0-9a-f]{4})`)

// pnpIDs finds vendor and device in `PCI\VEN_10DE&DEV_1C82&SUBSYS_…`.
func pnpIDs(id string) (vendor, device string) {
	m := pnp.FindStringSubmatch(id)
	if m == nil {
		return "", ""
	}
	return hexID(m[1]), hexID(m[2])
}
