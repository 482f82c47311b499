package hwprobe

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jaypipes/ghw/pkg/snapshot"
)

func snapshots(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/jaypipes/ghw")
	out, err := cmd.Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "testdata", "snapshots")
	if _, serr := os.Stat(dir); err != nil || serr != nil {
		t.Skipf("the module's snapshots are not here: %v, %v", err, serr)
	}
	return dir
}

// table is a machine as a person reads it; features stand aside, for there are hundreds.
func table(m *Machine) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, strings.TrimSpace(format)+"\n", args...) }
	c, mem := m.CPU, m.MemoryMiB
	line("system       %s/%s %s", m.OS, m.Arch, orDash(m.Virtual))
	line("cpu          %s | %s", orDash(c.Vendor), orDash(c.Model))
	line("threads      %d packages, %d cores, %d threads, %d online of %d, quota %g, features %t", c.Packages, c.Cores, c.Threads, c.Online, c.Present, c.Quota, c.Known)
	if c.Reason != "" {
		line("cpu reason   %s", c.Reason)
	}
	line("memory       %d total, %d available, %d installed, limit %d", mem.Total, mem.Available, mem.Installed, mem.Limit)
	if mem.Reason != "" {
		line("mem reason   %s", mem.Reason)
	}
	for _, g := range m.GPUs {
		size := "?"
		if g.MemoryMiB != nil {
			size = fmt.Sprint(*g.MemoryMiB)
		}
		line("gpu          %s %s:%s %s, %s MiB, driver %s", g.Vendor, g.VendorID, g.DeviceID, g.Address, size, orDash(g.Driver))
		if g.Reason != "" {
			line("gpu reason   %s", g.Reason)
		}
	}
	for _, a := range m.Accelerators {
		line("accelerator  %s %s:%s %s, driver %s", a.Vendor, a.VendorID, a.DeviceID, a.Address, orDash(a.Driver))
	}
	for _, d := range m.Drives {
		line("drive        %s, %d MiB, removable %t, usb %t", d.Device, d.SizeBytes/mib, d.Removable, d.USB)
	}
	var notes []string
	for _, n := range m.Notes {
		notes = append(notes, n.What)
	}
	line("notes        %s", orDash(strings.Join(notes, " ")))
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// golden compares a machine's table with what was written down by hand from the machine's files.
func golden(t *testing.T, m *Machine, want string) {
	t.Helper()
	if got := strings.TrimSpace(table(m)); got != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

// Eight machines that somebody owned: a laptop with unlike cores, a desktop, a server, machines with accelerators, with CPUs
// switched off, an ARM server, a mainframe. None has a pci.ids file in its snapshot, nor a GPU that tells its memory. The
// tables were written down from the snapshots' files (MemTotal, memory blocks, topology/core_id, modalias, sectors).
var owned = []struct{ file, has, hasNot, want string }{
	{"linux-amd64-415ee03b8c4d1c4f07ae2e9d8b3d3d6d", "avx_vnni", "avx512f", `
system       linux/amd64 -
cpu          GenuineIntel | 12th Gen Intel(R) Core(TM) i7-1270P
threads      1 packages, 12 cores, 16 threads, 16 online of 16, quota 0, features true
memory       31779 total, 22560 available, 32640 installed, limit 0
gpu          intel 8086:46a6 0000:00:02.0, ? MiB, driver i915
gpu reason   the driver does not say how much memory the device has
drive        /dev/nvme0n1, 976762 MiB, removable false, usb false
notes        names drives`},
	{"linux-amd64-61797caf7c0b6bca1725ad7975ed4773", "avx2", "avx512_vnni", `
system       linux/amd64 -
cpu          AuthenticAMD | AMD Ryzen 5 1600 Six-Core Processor
threads      1 packages, 6 cores, 12 threads, 12 online of 12, quota 0, features true
memory       32009 total, 29613 available, 32768 installed, limit 0
gpu          amd 1002:6758 0000:0a:00.0, ? MiB, driver -
gpu reason   the driver does not say how much memory the device has; no driver is bound to it
drive        /dev/sda, 244198 MiB, removable false, usb false
drive        /dev/sdb, 953869 MiB, removable false, usb false
drive        /dev/sdc, 476940 MiB, removable false, usb false
notes        names drives`},
	{"linux-amd64-8581cf3a529e5d8b97ea876eade2f60d", "sse4_2", "avx", `
system       linux/amd64 -
cpu          GenuineIntel | Intel(R) Xeon(R) CPU           L5640  @ 2.27GHz
threads      2 packages, 12 cores, 24 threads, 24 online of 24, quota 0, features true
memory       64376 total, 62348 available, 67584 installed, limit 0
gpu          matrox 102b:0532 0000:07:03.0, ? MiB, driver mgag200
gpu reason   the driver does not say how much memory the device has
drive        /dev/sr0, 1023 MiB, removable true, usb false
drive        /dev/sda, 476416 MiB, removable false, usb false
notes        names drives`},
	{"linux-amd64-accel", "avx512_vnni", "amx_int8", `
system       linux/amd64 unknown hypervisor
cpu          GenuineIntel | Intel(R) Xeon(R) Gold 5218R CPU @ 2.10GHz
threads      2 packages, 2 cores, 2 threads, 2 online of 2, quota 0, features true
memory       1960 total, 1403 available, 2048 installed, limit 0
gpu          virtio 1af4:1050 0000:00:01.0, ? MiB, driver virtio-pci
gpu reason   the driver does not say how much memory the device has
accelerator  qemu 1b36:0005 0000:00:04.0, driver fake_pci_driver
drive        /dev/sr0, 0 MiB, removable true, usb false
drive        /dev/vda, 20480 MiB, removable false, usb false
notes        names drives`},
	{"linux-amd64-accel-nvidia", "avx2", "avx512f", `
system       linux/amd64 unknown hypervisor
cpu          GenuineIntel | Intel(R) Xeon(R) CPU E5-2695 v4 @ 2.10GHz
threads      1 packages, 8 cores, 8 threads, 8 online of 8, quota 0, features true
memory       29884 total, 29285 available, 30592 installed, limit 0
gpu          virtio 1af4:1050 0000:04:00.0, ? MiB, driver virtio-pci
gpu reason   the driver does not say how much memory the device has
gpu          nvidia 10de:15f8 0000:06:00.0, ? MiB, driver nvidia
gpu reason   the driver does not say how much memory the device has
drive        /dev/sda, 47683 MiB, removable false, usb false
notes        names drives`},
	{"linux-amd64-offlineCPUs", "avx512f", "avx512_vnni", `
system       linux/amd64 unknown hypervisor
cpu          GenuineIntel | Intel Xeon Processor (Skylake, IBRS)
threads      2 packages, 2 cores, 2 threads, 2 online of 4, quota 0, features true
memory       7697 total, 7109 available, 7697 installed, limit 0
notes        gpu drives`},
	{"linux-arm64-c288e0776090cd558ef793b2a4e61939", "asimddp", "i8mm", `
system       linux/arm64 -
cpu          ARM | part 0xd0c
threads      1 packages, 1 cores, 1 threads, 1 online of 1, quota 0, features true
memory       1844 total, 1483 available, 2048 installed, limit 0
drive        /dev/nvme0n1, 8192 MiB, removable false, usb false
notes        drives`},
	{"linux-s390x-snapshot", "vxe2", "avx2", `
system       linux/s390x -
cpu          IBM/S390 | 3931
threads      1 packages, 4 cores, 8 threads, 8 online of 8, quota 0, features true
memory       110187 total, 33056 available, 112640 installed, limit 0
` + mainframeDisks("abcdefghijklmnop", "sbsbbbssbbssbbss") + `
notes        gpu drives`},
}

// mainframeDisks are the lines of sda to sdp: "s" for a disk of 100 GiB, "b" for one of 1 TiB.
func mainframeDisks(names, sizes string) string {
	var out []string
	for i, n := range names {
		mib := map[byte]int{'s': 102400, 'b': 1048576}[sizes[i]]
		out = append(out, fmt.Sprintf("drive        /dev/sd%c, %d MiB, removable false, usb false", n, mib))
	}
	return strings.Join(out, "\n")
}

func TestSnapshots(t *testing.T) {
	dir := snapshots(t)
	for _, c := range owned {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := snapshot.UnpackInto(filepath.Join(dir, c.file+".tar.gz"), root); err != nil {
				t.Fatal(err)
			}
			m := probe(t, root)
			golden(t, m, c.want)
			if !slices.Contains(m.CPU.Features, c.has) || slices.Contains(m.CPU.Features, c.hasNot) {
				t.Errorf("features %v, want %q and not %q", m.CPU.Features, c.has, c.hasNot)
			}
		})
	}
}

// cpu makes the topology files of one hardware thread.
func thread(files map[string]string, n int, pkg, core string) {
	dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/", n)
	files[dir+"physical_package_id"], files[dir+"core_id"] = pkg, core
}

// odd are machines that nobody sold, one for each thing that is missing or strange.
func odd() map[string]struct {
	files map[string]string
	want  string
} {
	type one = struct {
		files map[string]string
		want  string
	}
	pci := "sys/bus/pci/devices/"
	out := map[string]one{}

	out["no fields in /proc/cpuinfo, no PCI names"] = one{map[string]string{
		"proc/cpuinfo": "processor\t: 0\n\nprocessor\t: 1\n", "proc/meminfo": "MemTotal: 1048576 kB\n",
		pci + "0000:01:00.0/vendor": "0x10de", pci + "0000:01:00.0/device": "0x1c82", pci + "0000:01:00.0/class": "0x030000",
	}, `
system       linux/unknown -
cpu          - | -
threads      0 packages, 2 cores, 2 threads, 2 online of 2, quota 0, features false
cpu reason   the system does not say which threads share a core; each is counted as one; neither the system nor the processor lists its features
memory       1024 total, 0 available, 1024 installed, limit 0
mem reason   the system does not say how much memory is available now
gpu          nvidia 10de:1c82 0000:01:00.0, ? MiB, driver -
gpu reason   the driver does not say how much memory the device has; no driver is bound to it
notes        names drives`}

	bigLittle := map[string]string{"sys/devices/system/cpu/online": "0-7", "sys/devices/system/cpu/present": "0-7", "proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n"}
	var info strings.Builder
	for i := range 8 {
		part, features := "0xd05", "fp asimd evtstrm aes crc32 atomics asimddp" // Cortex-A55
		if i >= 4 {
			part, features = "0xd0b", features+" dcpop" // Cortex-A76
		}
		fmt.Fprintf(&info, "processor\t: %d\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: %s\n\n", i, features, part)
		thread(bigLittle, i, "0", fmt.Sprint(i))
	}
	bigLittle["proc/cpuinfo"] = info.String()
	out["an ARM board with big and little cores"] = one{bigLittle, `
system       linux/arm64 -
cpu          ARM | part 0xd05
threads      1 packages, 8 cores, 8 threads, 8 online of 8, quota 0, features true
cpu reason   unlike cores: only features that every core has are listed
memory       8192 total, 4096 available, 8192 installed, limit 0
notes        gpu drives`}

	off := map[string]string{"sys/devices/system/cpu/online": "0,2-3", "sys/devices/system/cpu/present": "0-7", "proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n"}
	info.Reset()
	for _, i := range []int{0, 2, 3} {
		fmt.Fprintf(&info, "processor\t: %d\nvendor_id\t: AuthenticAMD\nmodel name\t: EPYC\nflags\t: fpu lm avx2\nphysical id\t: 0\ncore id\t: %d\n\n", i, i/2)
		thread(off, i, "0", fmt.Sprint(i/2))
	}
	off["proc/cpuinfo"] = info.String()
	for i := range 8 { // the folders of CPUs that are off stay, without topology
		off[fmt.Sprintf("sys/devices/system/cpu/cpu%d/online", i)] = map[bool]string{true: "1", false: "0"}[i == 0 || i == 2 || i == 3]
	}
	out["CPUs switched off one by one"] = one{off, `
system       linux/amd64 -
cpu          AuthenticAMD | EPYC
threads      1 packages, 2 cores, 3 threads, 3 online of 8, quota 0, features true
memory       4096 total, 2048 available, 4096 installed, limit 0
notes        gpu drives`}

	quota := map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/cpu.max": "250000 100000\n", "sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "268435456\n", ".dockerenv": ""}
	for k, v := range off {
		quota[k] = v
	}
	out["a container with a quota, cgroup version 2"] = one{quota, `
system       linux/amd64 docker
cpu          AuthenticAMD | EPYC
threads      1 packages, 2 cores, 3 threads, 3 online of 8, quota 2.5, features true
memory       1024 total, 768 available, 4096 installed, limit 1024
notes        gpu`}

	old := map[string]string{"proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n",
		"proc/self/mountinfo": "40 39 0:30 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n41 39 0:31 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
		"sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
		"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "2147483648", "sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes": "1073741824"}
	for k, v := range off {
		old[k] = v
	}
	out["a container with a quota, cgroup version 1"] = one{old, `
system       linux/amd64 docker
cpu          AuthenticAMD | EPYC
threads      1 packages, 1 cores, 1 threads, 3 online of 8, quota 1, features true
memory       2048 total, 1024 available, 4096 installed, limit 2048
notes        gpu`}

	out["a mainframe in a logical partition"] = one{map[string]string{
		"proc/cpuinfo":                   "vendor_id       : IBM/S390\n# processors    : 2\nfeatures\t: esan3 zarch vx vxe\n\nprocessor 0: version = FF,  identification = 01,  machine = 8561\nprocessor 1: version = FF,  identification = 01,  machine = 8561\n\ncpu number      : 0\nphysical id     : 1\ncore id         : 0\nmachine         : 8561\n\ncpu number      : 1\nphysical id     : 1\ncore id         : 1\nmachine         : 8561\n",
		"proc/meminfo":                   "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n",
		"sys/devices/system/cpu/online":  "0-1",
		"sys/devices/system/cpu/present": "0-5",
	}, `
system       linux/s390x -
cpu          IBM/S390 | 8561
threads      1 packages, 2 cores, 2 threads, 2 online of 6, quota 0, features true
memory       16384 total, 8192 available, 16384 installed, limit 0
notes        gpu drives`}

	out["RISC-V"] = one{map[string]string{
		"proc/cpuinfo": "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n\nprocessor\t: 1\nhart\t\t: 1\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc\n",
		"proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n",
	}, `
system       linux/riscv64 -
cpu          - | sifive,u74-mc
threads      0 packages, 2 cores, 2 threads, 2 online of 2, quota 0, features true
cpu reason   the system does not say which threads share a core; each is counted as one
memory       4096 total, 2048 available, 4096 installed, limit 0
notes        gpu drives`}

	out["POWER"] = one{map[string]string{
		"proc/cpuinfo": "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nrevision\t: 2.3\n\nprocessor\t: 4\ncpu\t\t: POWER9, altivec supported\nrevision\t: 2.3\n\ntimebase\t: 512000000\nmachine\t\t: PowerNV 8335-GTH\n",
		"proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n",
	}, `
system       linux/ppc64le -
cpu          - | PowerNV 8335-GTH
threads      0 packages, 2 cores, 2 threads, 2 online of 2, quota 0, features false
cpu reason   the system does not say which threads share a core; each is counted as one; neither the system nor the processor lists its features
memory       4096 total, 2048 available, 4096 installed, limit 0
notes        gpu drives`}
	return out
}

func TestOddMachines(t *testing.T) {
	for name, c := range odd() {
		t.Run(name, func(t *testing.T) { golden(t, probe(t, machine(t, c.files)), c.want) })
	}
}
