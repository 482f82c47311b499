package hwprobe

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// Flags of DXGI_ADAPTER_DESC1 (dxgi.h).
const (
	dxgiRemote   = 1
	dxgiSoftware = 2
)

// dxgiDescSize is how much of DXGI_ADAPTER_DESC1 is read: 128 UTF-16 units, four numbers, three sizes of a pointer each, a LUID and flags.
func dxgiDescSize(pointer int) int { return 256 + 16 + 3*pointer + 8 + 4 }

// parseDXGI reads one DXGI_ADAPTER_DESC1 as it lies in memory (dxgi.h); pointer is 4 or 8 bytes. ok is false for adapters that are
// no device: software renderers and remote sessions.
func parseDXGI(raw []byte, pointer int) (c driverCard, ok bool) {
	if pointer != 4 && pointer != 8 || len(raw) < dxgiDescSize(pointer) {
		return driverCard{}, false
	}
	var name []uint16
	for i := 0; i < 256; i += 2 {
		u := binary.LittleEndian.Uint16(raw[i:])
		if u == 0 {
			break
		}
		name = append(name, u)
	}
	vendor, device := binary.LittleEndian.Uint32(raw[256:]), binary.LittleEndian.Uint32(raw[260:])
	memory := uint64(binary.LittleEndian.Uint32(raw[272:]))
	if pointer == 8 {
		memory = binary.LittleEndian.Uint64(raw[272:])
	}
	flags := binary.LittleEndian.Uint32(raw[272+3*pointer+8:])
	if flags&(dxgiRemote|dxgiSoftware) != 0 || vendor == 0x1414 && device == 0x8c { // Microsoft's Basic Render Driver
		return driverCard{}, false
	}
	if memory >= 1<<60 {
		memory = 0
	}
	return driverCard{VendorID: hexID(fmt.Sprintf("%04x", vendor)), DeviceID: hexID(fmt.Sprintf("%04x", device)),
		Name: string(utf16.Decode(name)), Memory: int64(memory)}, true
}

// dxgiVersion writes a driver's version as Windows does: four numbers of 16 bits; "" for none.
func dxgiVersion(v uint64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", v>>48, v>>32&0xffff, v>>16&0xffff, v&0xffff)
}

// joinDXGI adds to each device what DXGI says of one with its ids, and the devices that nobody else saw.
func joinDXGI(gpus []GPU, r driverReport) []GPU {
	for _, c := range r.Cards {
		seen := false
		for i := range gpus {
			g := &gpus[i]
			if g.VendorID != c.VendorID || g.DeviceID != c.DeviceID || c.VendorID == "" {
				continue
			}
			seen = true
			g.fill(c)
		}
		if !seen {
			g := GPU{Vendor: vendorName(c.VendorID), VendorID: c.VendorID, DeviceID: c.DeviceID, Reason: reasonMemory}
			g.fill(c)
			gpus = append(gpus, g)
		}
	}
	return gpus
}

const reasonMemory = "the driver does not say how much memory the device has"

func (g *GPU) fill(c driverCard) {
	if n := c.Memory / mib; n > 0 {
		g.MemoryMiB, g.Reason = &n, ""
	}
	g.Product, g.Driver = prefer(g.Product, c.Name), prefer(g.Driver, c.Driver)
}
