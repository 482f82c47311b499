package hwprobe

import (
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// virtual names the hypervisor and the container around this process, joined by "+"; "" when neither shows.
func (p *prober) virtual(c CPU) string {
	var out []string
	if h := p.hypervisor(c); h != "" {
		out = append(out, h)
	}
	if h := p.container(); h != "" {
		out = append(out, h)
	}
	return strings.Join(out, "+")
}

// productNames are parts of DMI's vendor and product names, as systemd-detect-virt knows them.
var productNames = []struct{ part, name string }{
	{"kvm", "kvm"}, {"openstack", "kvm"}, {"kubevirt", "kvm"}, {"amazon ec2", "amazon"}, {"google compute engine", "google"},
	{"qemu", "qemu"}, {"vmware", "vmware"}, {"vmw", "vmware"}, {"innotek gmbh", "virtualbox"}, {"virtualbox", "virtualbox"},
	{"xen", "xen"}, {"bochs", "bochs"}, {"parallels", "parallels"}, {"bhyve", "bhyve"}, {"hyper-v", "hyper-v"},
	{"microsoft corporation virtual machine", "hyper-v"}, {"apple virtualization", "apple"},
}

func (p *prober) hypervisor(c CPU) string {
	if p.linux {
		vendor, _ := p.read("sys/class/dmi/id/sys_vendor")
		product, _ := p.read("sys/class/dmi/id/product_name")
		name := strings.ToLower(vendor + " " + product)
		for _, n := range productNames {
			if strings.Contains(name, n.part) {
				return n.name
			}
		}
		if s, ok := p.read("sys/hypervisor/type"); ok && s != "" {
			return strings.ToLower(s)
		}
	}
	if p.live {
		switch cpuid.CPU.HypervisorVendorID {
		case cpuid.KVM:
			return "kvm"
		case cpuid.MSVM:
			return "hyper-v"
		case cpuid.VMware:
			return "vmware"
		case cpuid.XenHVM:
			return "xen"
		case cpuid.Bhyve:
			return "bhyve"
		}
	}
	if slices.Contains(c.Features, "hypervisor") {
		return "unknown hypervisor"
	}
	return ""
}

func (p *prober) container() string {
	if !p.linux {
		return ""
	}
	if s, ok := p.read("run/systemd/container"); ok && s != "" {
		return strings.ToLower(s)
	}
	if p.exists(".dockerenv") {
		return "docker"
	}
	if p.exists("run/.containerenv") {
		return "podman"
	}
	if s, _ := p.read("proc/sys/kernel/osrelease"); strings.Contains(strings.ToLower(s), "microsoft") {
		return "wsl"
	}
	groups, _ := p.read("proc/self/cgroup")
	for _, name := range []string{"kubepods", "docker", "lxc", "libpod"} {
		if strings.Contains(groups, "/"+name) {
			return name
		}
	}
	return ""
}
