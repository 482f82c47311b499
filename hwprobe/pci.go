package hwprobe

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jaypipes/ghw"
	"github.com/jaypipes/pcidb"
)

// vendors are the PCI vendors that a probe names itself, so that a machine without a pci.ids file is no riddle.
var vendors = map[string]string{
	"10de": "nvidia", "1002": "amd", "1022": "amd", "8086": "intel", "13b5": "arm", "1d0f": "amazon", "1ae0": "google",
	"1da3": "habana", "1e52": "tenstorrent", "1e60": "hailo", "17cb": "qualcomm", "14e4": "broadcom", "19e5": "huawei",
	"1ed5": "mthreads", "10ee": "xilinx", "1172": "altera", "106b": "apple", "1010": "imagination", "102b": "matrox",
	"1a03": "aspeed", "1013": "cirrus", "1234": "bochs", "1af4": "virtio", "1b36": "qemu", "15ad": "vmware", "80ee": "virtualbox",
	"1414": "microsoft", "5853": "xen",
}

const unknown = "unknown"

func vendorName(id string) string {
	if v, ok := vendors[id]; ok {
		return v
	}
	return unknown
}

// pciDevice is what sysfs says of one device.
type pciDevice struct {
	address, vendor, device, class string // class: six hex digits
	product, driver                string
}

// pciFiles are where distributions keep the names of PCI devices. No cache in a home folder is read and nothing is
// fetched, whatever the environment says.
var pciFiles = []string{"usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids", "usr/share/pci.ids", "usr/share/hwdata/pci.ids.gz", "usr/share/misc/pci.ids.gz"}

// pciNames is the machine's own list of names or, without one, the vendors above: an empty database would make ghw
// look further.
func (p *prober) pciNames() *pcidb.DB {
	if p.linux {
		for _, name := range pciFiles {
			if !p.exists(name) {
				continue
			}
			db, err := ask(context.Background(), p.timeout, func() (*pcidb.DB, error) { return pcidb.New(pcidb.WithPath(p.path(name))) })
			if err == nil && len(db.Vendors) > 0 {
				return db
			}
		}
	}
	db := &pcidb.DB{Classes: map[string]*pcidb.Class{}, Vendors: map[string]*pcidb.Vendor{}, Products: map[string]*pcidb.Product{}}
	for id, name := range vendors {
		db.Vendors[id] = &pcidb.Vendor{ID: id, Name: name}
	}
	return db
}

// pciDevices joins what ghw found and what sysfs lists: ghw gives up on all devices when it cannot read one, and knows
// no graphics device that has no display.
func (p *prober) pciDevices(ctx context.Context) []pciDevice {
	found := map[string]pciDevice{}
	for _, address := range p.list("sys/bus/pci/devices") {
		if d, ok := p.pciDevice(address); ok {
			found[address] = d
		}
	}
	if p.askGHW() {
		infos, err := ask(ctx, p.timeout, func() ([]*ghw.PCIDevice, error) { return ghwDevices(p.ghwOptions()) })
		if err != nil {
			p.note("gpu", "%v", err)
		}
		for _, g := range infos {
			d := found[g.Address]
			d.address = g.Address
			if d.class == "" && g.Class != nil && g.Subclass != nil {
				d.class = g.Class.ID + g.Subclass.ID + "00"
			}
			if g.Vendor != nil && d.vendor == "" {
				d.vendor = hexID(g.Vendor.ID)
			}
			if g.Product != nil {
				if d.device == "" {
					d.device = hexID(g.Product.ID)
				}
				if g.Product.Name != unknown {
					d.product = g.Product.Name
				}
			}
			if d.driver == "" {
				d.driver = g.Driver
			}
			found[g.Address] = d
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b pciDevice) int { return strings.Compare(a.address, b.address) })
}

// ghwDevices are the devices of ghw's graphics cards and accelerators.
func ghwDevices(options []any) ([]*ghw.PCIDevice, error) {
	var out []*ghw.PCIDevice
	cards, err := ghw.GPU(options...)
	if err != nil {
		return nil, err
	}
	for _, c := range cards.GraphicsCards {
		if c.DeviceInfo != nil {
			out = append(out, c.DeviceInfo)
		}
	}
	boards, err := ghw.Accelerator(options...)
	if err != nil {
		return nil, err
	}
	for _, a := range boards.Devices {
		if a.PCIDevice != nil {
			out = append(out, a.PCIDevice)
		}
	}
	return out, nil
}

// pciDevice reads one device by its own files, else by its modalias:
// "pci:v000010DEd000015F8sv000010DEsd0000118Fbc03sc02i00".
func (p *prober) pciDevice(address string) (pciDevice, bool) {
	dir := "sys/bus/pci/devices/" + address
	d := pciDevice{address: address, driver: p.link(dir + "/driver")}
	read := func(name string) string {
		s, _ := p.read(dir + "/" + name)
		return strings.ToLower(strings.TrimPrefix(s, "0x"))
	}
	d.vendor, d.device, d.class = hexID(read("vendor")), hexID(read("device")), read("class")
	if m := read("modalias"); len(m) >= 53 && strings.HasPrefix(m, "pci:v") {
		d.vendor, d.device = prefer(d.vendor, hexID(m[9:13])), prefer(d.device, hexID(m[18:22]))
		d.class = prefer(d.class, m[44:46]+m[48:50]+m[51:53])
	}
	return d, d.vendor != "" && len(d.class) == 6
}

// hexID gives four lower-case hex digits, or "".
func hexID(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) != 4 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// graphics: PCI class 03, or 12 (processing accelerator) by a maker of GPUs: AMD's MI300 is one.
func (d pciDevice) graphics() bool {
	return strings.HasPrefix(d.class, "03") || d.accelerates() && (d.vendor == "10de" || d.vendor == "1002")
}

func (d pciDevice) accelerates() bool { return strings.HasPrefix(d.class, "1200") }
