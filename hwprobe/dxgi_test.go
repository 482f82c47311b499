package hwprobe

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

// desc is a DXGI_ADAPTER_DESC1 as Windows lays it out on a 64-bit system.
func desc(name string, vendor, device uint32, memory uint64, flags uint32) []byte {
	raw := make([]byte, 312)
	for i, u := range utf16.Encode([]rune(name)) {
		binary.LittleEndian.PutUint16(raw[2*i:], u)
	}
	binary.LittleEndian.PutUint32(raw[256:], vendor)
	binary.LittleEndian.PutUint32(raw[260:], device)
	binary.LittleEndian.PutUint64(raw[272:], memory)
	binary.LittleEndian.PutUint64(raw[288:], 16<<30) // shared system memory, which is not its own
	binary.LittleEndian.PutUint32(raw[304:], flags)
	return raw
}

func TestDXGIAdapters(t *testing.T) {
	c, ok := parseDXGI(desc("NVIDIA GeForce RTX 4090", 0x10de, 0x2684, 25_386_352_640, 0), 8)
	if !ok || c.VendorID != "10de" || c.DeviceID != "2684" || c.Name != "NVIDIA GeForce RTX 4090" || c.Memory != 25_386_352_640 {
		t.Errorf("%+v %t", c, ok)
	}
	for what, raw := range map[string][]byte{
		"software":         desc("Microsoft Basic Render Driver", 0x1414, 0x8c, 0, dxgiSoftware),
		"an older Windows": desc("Microsoft Basic Render Driver", 0x1414, 0x8c, 0, 0),
		"remote":           desc("Remote", 0x10de, 1, 1, dxgiRemote),
		"cut":              desc("x", 1, 1, 1, 0)[:307],
	} {
		if c, ok := parseDXGI(raw, 8); ok {
			t.Errorf("%s became %+v", what, c)
		}
	}
	if c, ok := parseDXGI(desc(strings.Repeat("N", 128), 0x8086, 0x46a6, 1<<63, 0), 8); !ok || len(c.Name) != 128 || c.Memory != 0 {
		t.Errorf("a name without an end, memory beyond reason: %+v %t", c, ok)
	}
	small := make([]byte, dxgiDescSize(4))
	binary.LittleEndian.PutUint32(small[256:], 0x1002)
	binary.LittleEndian.PutUint32(small[272:], 512<<20)
	if c, ok := parseDXGI(small, 4); !ok || c.VendorID != "1002" || c.Memory != 512<<20 {
		t.Errorf("32 bits: %+v %t", c, ok)
	}
	if v := dxgiVersion(31<<48 | 15<<16 | 5222); v != "31.0.15.5222" || dxgiVersion(0) != "" {
		t.Errorf("version %q", v)
	}
}

// WMI knows which devices there are, DXGI their memory and driver; what only DXGI sees is listed too.
func TestDXGIFillsInWhatWMIDoesNotSay(t *testing.T) {
	got := joinDXGI([]GPU{
		{Vendor: "nvidia", VendorID: "10de", DeviceID: "2684", Product: "RTX 4090", Driver: "32.0", Reason: reasonMemory},
		{Vendor: "unknown", Product: "Remote display"},
	}, driverReport{Cards: []driverCard{
		{VendorID: "10de", DeviceID: "2684", Name: "other name", Memory: 25_386_352_640, Driver: "31.0.15.5222"},
		{VendorID: "8086", DeviceID: "46a6", Name: "Iris Xe", Driver: "30.0.101.1"},
	}})
	if len(got) != 3 || got[0].MemoryMiB == nil || *got[0].MemoryMiB != 24210 || got[0].Reason != "" || got[0].Product != "RTX 4090" || got[0].Driver != "32.0" {
		t.Errorf("%+v", got)
	}
	if got[1].MemoryMiB != nil || got[1].Product != "Remote display" {
		t.Errorf("a device without ids: %+v", got[1])
	}
	if g := got[2]; g.Vendor != "intel" || g.Driver != "30.0.101.1" || g.MemoryMiB != nil || g.Reason != reasonMemory {
		t.Errorf("a device that WMI does not know: %+v", g)
	}
}

func FuzzDriverAnswers(f *testing.F) {
	f.Add([]byte(`{"driver":"550.54.15","cards":[{"address":"0000:40:1a.0","memory":150754820096,"name":"N"}]}`))
	f.Add([]byte(`{"cards":[{"memory":-1,"vendor_id":"zzzz"}],"error":""}`))
	f.Add(desc("NVIDIA", 0x10de, 0x2684, 1<<34, 0))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := parseDriver(raw); err == nil {
			for _, c := range r.Cards {
				if c.Memory < 0 || len([]rune(c.Name)) > 201*8 || strings.ContainsAny(c.Name+c.Driver+c.Address, "\n\x1b") {
					t.Errorf("%+v", c)
				}
			}
			joinNVML([]GPU{{Vendor: "nvidia", Address: "0000:40:1a.0"}}, r)
			joinDXGI(nil, r)
		}
		for _, p := range []int{0, 4, 8} {
			if c, ok := parseDXGI(raw, p); ok && (c.Memory < 0 || len(c.VendorID) > 4) {
				t.Errorf("%+v", c)
			}
		}
	})
}
