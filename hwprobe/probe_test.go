package hwprobe

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary its own child.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Verb {
		os.Exit(ChildMain(os.Stdin, ResultFile()))
	}
	os.Exit(m.Run())
}

// machine makes a root for Probe. Values that begin with "-> " are symbolic links.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if dest, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(dest, path)
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func probe(t *testing.T, root string) *Machine {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("snapshots of Linux machines are read on Linux")
	}
	return Probe(t.Context(), Options{Root: root, Timeout: time.Minute})
}

func gpuText(m *Machine) string {
	var out []string
	for _, g := range m.GPUs {
		out = append(out, strings.TrimSpace(g.Vendor+":"+g.DeviceID+" "+g.Driver))
	}
	return strings.Join(out, ", ")
}

func noteOn(m *Machine, what string) bool {
	return slices.ContainsFunc(m.Notes, func(n Note) bool { return n.What == what && n.Reason != "" })
}

const hybridCPUInfo = `processor	: 0
vendor_id	: GenuineIntel
model name	: Hybrid
flags		: fpu lm pni avx2 avx512f
physical id	: 0
core id		: 0

processor	: 1
vendor_id	: GenuineIntel
model name	: Hybrid
flags		: fpu lm pni avx2 avx512f
physical id	: 0
core id		: 0

processor	: 2
vendor_id	: GenuineIntel
model name	: Hybrid
flags		: fpu lm pni avx2
physical id	: 0
core id		: 4
`

func TestEmptyMachine(t *testing.T) {
	m := probe(t, machine(t, nil))
	if m.CPU.Cores != 0 || m.CPU.Threads != 0 || m.CPU.Known || m.CPU.Reason == "" {
		t.Errorf("cpu %+v, want unknown with a reason", m.CPU)
	}
	if m.MemoryMiB.Total != 0 || m.MemoryMiB.Reason == "" {
		t.Errorf("memory %+v, want unknown with a reason", m.MemoryMiB)
	}
	if !noteOn(m, "gpu") || !noteOn(m, "drives") {
		t.Errorf("notes %+v, want gpu and drives", m.Notes)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "null") {
		t.Errorf("a list is null: %s", raw)
	}
}

// Without /sys cores come from /proc/cpuinfo; without either topology each thread counts as a core, and that is said.
func TestMachineWithoutSys(t *testing.T) {
	m := probe(t, machine(t, map[string]string{"proc/cpuinfo": hybridCPUInfo, "proc/meminfo": "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n"}))
	if m.Arch != "amd64" || m.CPU.Packages != 1 || m.CPU.Cores != 2 || m.CPU.Threads != 3 {
		t.Errorf("%s %+v, want amd64, 1 package, 2 cores, 3 threads", m.Arch, m.CPU)
	}
	if m.MemoryMiB.Total != 2000 || m.MemoryMiB.Available != 1000 {
		t.Errorf("memory %+v", m.MemoryMiB)
	}
	m = probe(t, machine(t, map[string]string{"proc/cpuinfo": "processor : 0\nFeatures : fp asimd\n\nprocessor : 1\nFeatures : fp asimd\nCPU architecture: 8\n\nHardware : X\n"}))
	if m.CPU.Cores != 2 || m.CPU.Threads != 2 || !strings.Contains(m.CPU.Reason, "share a core") {
		t.Errorf("cpu %+v, want 2 cores with the reason", m.CPU)
	}
}

func TestMachineWithoutProc(t *testing.T) {
	m := probe(t, machine(t, map[string]string{"sys/devices/system/cpu/online": "0-1,4", "sys/devices/system/cpu/cpu0/topology/core_id": "0"}))
	if m.CPU.Threads != 3 || m.CPU.Known || !strings.Contains(m.CPU.Reason, "features") {
		t.Errorf("cpu %+v, want 3 threads, features unknown", m.CPU)
	}
}

func TestHybridCoresOfferWhatAllOffer(t *testing.T) {
	files := map[string]string{"proc/cpuinfo": hybridCPUInfo, "sys/devices/system/cpu/online": "0-2"}
	for i, core := range []string{"0", "0", "4"} {
		dir := "sys/devices/system/cpu/cpu" + string(rune('0'+i))
		files[dir+"/topology/core_id"], files[dir+"/topology/physical_package_id"] = core, "0"
	}
	m := probe(t, machine(t, files))
	if m.CPU.Cores != 2 || m.CPU.Threads != 3 {
		t.Errorf("cpu %+v, want 2 cores, 3 threads", m.CPU)
	}
	if slices.Contains(m.CPU.Features, "avx512f") || !slices.Contains(m.CPU.Features, "avx2") || !slices.Contains(m.CPU.Features, "sse3") {
		t.Errorf("features %v, want avx2 and sse3 (pni) without avx512f", m.CPU.Features)
	}
	if !strings.Contains(m.CPU.Reason, "unlike cores") {
		t.Errorf("reason %q", m.CPU.Reason)
	}
}

func TestMergeFeatures(t *testing.T) {
	got := mergeFeatures([]string{"avx2"}, []string{"avx2", "avx512f"}, []string{"avx2", "avx512f", "avx_vnni"})
	if strings.Join(got, " ") != "avx2 avx_vnni" {
		t.Errorf("got %v: what some cores only have must not come back through cpuid", got)
	}
}

func TestContainerLimits(t *testing.T) {
	base := func(more map[string]string) map[string]string {
		out := map[string]string{"proc/cpuinfo": hybridCPUInfo, "proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 4000000 kB\n", "sys/devices/system/cpu/online": "0-2"}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	for name, c := range map[string]struct {
		files                   map[string]string
		quota                   float64
		cores, threads          int
		limit, total, available int64
	}{
		"none": {base(nil), 0, 2, 3, 0, 4096, 3906},
		"version 2, the parent is tighter": {base(map[string]string{
			"proc/self/cgroup":             "0::/a/b\n",
			"proc/self/mountinfo":          "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/a/b/cpu.max":    "max 100000\n",
			"sys/fs/cgroup/a/cpu.max":      "150000 100000\n",
			"sys/fs/cgroup/a/b/memory.max": "2147483648\n", "sys/fs/cgroup/a/b/memory.current": "536870912\n",
			"sys/fs/cgroup/a/memory.max": "max\n",
		}), 1.5, 1, 2, 2048, 2048, 1536},
		"version 1 in a container without its own namespace": {base(map[string]string{
			"proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n",
			"proc/self/mountinfo": "40 39 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n" +
				"41 39 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824", "sys/fs/cgroup/memory/memory.usage_in_bytes": "2073741824",
		}), 2, 2, 2, 1024, 1024, 0},
		"no limit in version 1's words": {base(map[string]string{
			"proc/self/cgroup": "5:memory:/\n4:cpu:/\n",
			"proc/self/mountinfo": "40 39 0:30 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n" +
				"41 39 0:31 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
		}), 0, 2, 3, 0, 4096, 3906},
		"less than one CPU, more memory than there is": {base(map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"proc/self/mountinfo":      "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/cpu.max":    "50000 100000",
			"sys/fs/cgroup/memory.max": "109951162777600",
		}), 0.5, 1, 1, 104857600, 4096, 3906},
	} {
		t.Run(name, func(t *testing.T) {
			m := probe(t, machine(t, c.files))
			if m.CPU.Quota != c.quota || m.CPU.Cores != c.cores || m.CPU.Threads != c.threads || m.CPU.Online != 3 {
				t.Errorf("cpu %+v, want quota %g, %d cores, %d threads of 3", m.CPU, c.quota, c.cores, c.threads)
			}
			if m.MemoryMiB.Limit != c.limit || m.MemoryMiB.Total != c.total || m.MemoryMiB.Available != c.available || m.MemoryMiB.Installed != 4096 {
				t.Errorf("memory %+v, want limit %d, total %d, available %d, installed 4096", m.MemoryMiB, c.limit, c.total, c.available)
			}
		})
	}
}

func TestGPUMemoryAndDrivers(t *testing.T) {
	pci := "sys/bus/pci/devices/"
	m := probe(t, machine(t, map[string]string{
		pci + "0000:03:00.0/vendor": "0x1002", pci + "0000:03:00.0/device": "0x744C", pci + "0000:03:00.0/class": "0x030000",
		pci + "0000:03:00.0/driver": "-> ../../../bus/pci/drivers/amdgpu", pci + "0000:03:00.0/mem_info_vram_total": "25753026560\n",
		"sys/module/amdgpu/version": "6.8.5\n",
		pci + "0000:04:00.0/vendor": "0x10de", pci + "0000:04:00.0/device": "0x2335", pci + "0000:04:00.0/class": "0x030200",
		pci + "0000:04:00.0/driver":                        "-> ../../../bus/pci/drivers/nvidia",
		"proc/driver/nvidia/version":                       "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0\n",
		"proc/driver/nvidia/gpus/0000:04:00.0/information": "Model: \t\t NVIDIA H200\nIRQ:   \t\t 1\n",
		pci + "0000:05:00.0/vendor":                        "0x8086", pci + "0000:05:00.0/device": "0xe20b", pci + "0000:05:00.0/class": "0x030000",
		pci + "0000:05:00.0/tile0/physical_vram_size_bytes": "8589934592", pci + "0000:05:00.0/tile1/physical_vram_size_bytes": "4294967296",
		pci + "0000:06:00.0/vendor": "0x1002", pci + "0000:06:00.0/device": "0x74a1", pci + "0000:06:00.0/class": "0x120000", // MI300X
		pci + "0000:07:00.0/vendor": "0x1da3", pci + "0000:07:00.0/device": "0x1020", pci + "0000:07:00.0/class": "0x120000", // Gaudi
		pci + "0000:08:00.0/vendor": "0x8086", pci + "0000:08:00.0/device": "0x1533", pci + "0000:08:00.0/class": "0x020000", // network
		pci + "10000:e1:00.0/vendor": "0xabcd", pci + "10000:e1:00.0/device": "0x0001", pci + "10000:e1:00.0/class": "0x030000", // domain of five digits
		pci + "0000:09:00.0/modalias": "garbage", pci + "0000:0a:00.0/vendor": "", pci + "odd name/class": "0x030000",
		"sys/class/drm/card1/device":                  "-> ../../../devices/platform/57000000.gpu",
		"sys/devices/platform/57000000.gpu/driver":    "-> ../../../bus/platform/drivers/gk20a",
		"sys/devices/platform/57000000.gpu/subsystem": "-> ../../../bus/platform",
		"sys/class/drm/card1-HDMI-A-1/status":         "connected",
	}))
	want := "amd:744c amdgpu 6.8.5, nvidia:2335 nvidia 550.54.15, intel:e20b, amd:74a1, unknown:0001, nvidia: gk20a"
	if got := gpuText(m); got != want {
		t.Fatalf("GPUs\n%s, want\n%s\n%+v", got, want, m.Notes)
	}
	if p := m.GPUs[0].MemoryMiB; p == nil || *p != 24560 || m.GPUs[0].Reason != "" {
		t.Errorf("amdgpu %+v, want 24560 MiB", m.GPUs[0])
	}
	if g := m.GPUs[1]; g.Product != "NVIDIA H200" || g.MemoryMiB != nil || g.Reason == "" {
		t.Errorf("nvidia %+v, want the product, memory unknown with a reason", g)
	}
	if p := m.GPUs[2].MemoryMiB; p == nil || *p != 12288 {
		t.Errorf("xe %+v, want 12288 MiB of two tiles", m.GPUs[2])
	}
	if m.GPUs[4].VendorID != "abcd" || !strings.Contains(m.GPUs[3].Reason, "no driver") {
		t.Errorf("others %+v", m.GPUs[3:])
	}
	if len(m.Accelerators) != 1 || m.Accelerators[0].Vendor != "habana" {
		t.Errorf("accelerators %+v", m.Accelerators)
	}
	if !noteOn(m, "names") {
		t.Errorf("notes %+v, want one on names", m.Notes)
	}
}

func TestPCINamesOfTheMachine(t *testing.T) {
	pci := "sys/bus/pci/devices/0000:04:00.0/"
	m := probe(t, machine(t, map[string]string{
		"usr/share/misc/pci.ids":                          "10de  NVIDIA Corporation\n\t1c82  GP107 [GeForce GTX 1050 Ti]\nC 03  Display controller\n\t00  VGA compatible controller\n",
		pci + "modalias":                                  "pci:v000010DEd00001C82sv00001043sd00008613bc03sc00i00\n",
		"sys/class/drm/card0":                             "-> ../../devices/pci0000:00/0000:04:00.0/drm/card0",
		"sys/devices/pci0000:00/0000:04:00.0/drm/card0/x": "",
	}))
	if len(m.GPUs) != 1 || m.GPUs[0].Product != "GP107 [GeForce GTX 1050 Ti]" || m.GPUs[0].Vendor != "nvidia" || noteOn(m, "names") {
		t.Errorf("GPUs %+v, notes %+v", m.GPUs, m.Notes)
	}
}

func TestVirtual(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"":           {"sys/class/dmi/id/sys_vendor": "Dell Inc.", "sys/class/dmi/id/product_name": "PowerEdge"},
		"vmware":     {"sys/class/dmi/id/sys_vendor": "VMware, Inc."},
		"hyper-v":    {"sys/class/dmi/id/sys_vendor": "Microsoft Corporation", "sys/class/dmi/id/product_name": "Virtual Machine"},
		"xen+lxc":    {"sys/hypervisor/type": "xen", "run/systemd/container": "lxc\n"},
		"kvm+docker": {"sys/class/dmi/id/product_name": "KVM", ".dockerenv": ""},
		"podman":     {"run/.containerenv": ""},
		"wsl":        {"proc/sys/kernel/osrelease": "5.15.90.1-microsoft-standard-WSL2"},
		"kubepods":   {"proc/self/cgroup": "0::/kubepods/burstable/pod1\n"},
		"virtualbox": {"sys/class/dmi/id/sys_vendor": "innotek GmbH", "sys/class/dmi/id/product_name": "VirtualBox"},
	} {
		if got := probe(t, machine(t, files)).Virtual; got != want {
			t.Errorf("virtual %q, want %q", got, want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := Probe(t.Context(), Options{Timeout: time.Minute})
	if m.OS != runtime.GOOS || m.Arch != runtime.GOARCH {
		t.Errorf("%s/%s", m.OS, m.Arch)
	}
	if m.CPU.Threads < 1 || m.CPU.Cores < 1 || m.CPU.Cores > m.CPU.Online {
		t.Errorf("cpu %+v", m.CPU)
	}
	if runtime.GOARCH == "amd64" && (!m.CPU.Known || !slices.Contains(m.CPU.Features, "sse2")) {
		t.Errorf("features %v, want sse2 on any amd64 machine", m.CPU.Features)
	}
	if m.MemoryMiB.Total < 64 || m.MemoryMiB.Available > m.MemoryMiB.Installed {
		t.Errorf("memory %+v", m.MemoryMiB)
	}
	t.Logf("%d cores, %d MiB, in %q, %d drives, notes %v", m.CPU.Cores, m.MemoryMiB.Total, m.Virtual, len(m.Drives), m.Notes)
}

// cpuid and the kernel must call features by the same names: nearly all that cpuid sees is in /proc/cpuinfo here.
func TestFeatureNamesMatchTheKernels(t *testing.T) {
	if runtime.GOOS != "linux" || (runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64") {
		t.Skip("compares with /proc/cpuinfo")
	}
	p := &prober{tree: tree{root: "/"}, live: true, linux: true}
	_, any := featureSets(p.cpuinfo())
	if len(any) == 0 {
		t.Skip("/proc/cpuinfo lists no features here")
	}
	var strange []string
	for _, f := range cpuidFeatures() {
		if !slices.Contains(any, f) {
			strange = append(strange, f)
		}
	}
	if len(strange) > 3 { // a kernel may be older than its processor
		t.Errorf("cpuid names that the kernel does not use: %v", strange)
	}
}

// Nothing may reach stdout or stderr, and the environment must not lead a probe elsewhere.
func TestProbeIsSilentAndDeafToTheEnvironment(t *testing.T) {
	if root := os.Getenv("HWPROBE_TEST_ROOT"); root != "" {
		m := Probe(context.Background(), Options{Root: root})
		if len(m.GPUs) != 0 || m.CPU.Threads != 0 || m.MemoryMiB.Total != 0 {
			os.Exit(3)
		}
		Probe(context.Background(), Options{})
		os.Exit(0)
	}
	if runtime.GOOS != "linux" {
		t.Skip("snapshots of Linux machines are read on Linux")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestProbeIsSilentAndDeafToTheEnvironment$")
	cmd.Env = append(os.Environ(), "HWPROBE_TEST_ROOT="+machine(t, map[string]string{"sys/bus/pci/devices/nonsense/vendor": "x", "sys/devices/system/cpu/cpuX/online": "?"}),
		"GHW_CHROOT=/", "PCIDB_ENABLE_NETWORK_FETCH=1", "PCIDB_PATH=/nowhere", "GHW_LOG_LEVEL=debug")
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v, output %q; want none", err, out)
	}
}

func TestAskSurvivesPanicsAndHangs(t *testing.T) {
	_, err := ask(t.Context(), time.Second, func() (int, error) { var s []int; return s[3], nil })
	if err == nil || !strings.Contains(err.Error(), "went wrong") {
		t.Errorf("a panic gave %v", err)
	}
	stop := make(chan struct{})
	defer close(stop)
	_, err = ask(t.Context(), 10*time.Millisecond, func() (int, error) { <-stop; return 1, nil })
	if !errors.Is(err, errTimeout) {
		t.Errorf("a hang gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = ask(ctx, time.Minute, func() (int, error) { <-stop; return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled question gave %v", err)
	}
}

func TestCountRanges(t *testing.T) {
	for s, want := range map[string]int{"0": 1, "0-3": 4, "0-3,8,10-11": 7, "": 0, "x": 0, "3-1": 0, "0-99999999999": 0, "0-3\n": 4} {
		if got := countRanges(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range [][3]string{
		{"/", "/", "/"}, {"/", "/a/b", "/a/b"}, {"/docker/x", "/docker/x", "/"}, {"/docker/x", "/docker/x/y", "/y"},
		{"/docker/x", "/docker/xy", "/"}, {"/docker/x", "/other", "/"}, {"/", "/../../a", "/"},
	} {
		if got := below(c[0], c[1]); got != c[2] {
			t.Errorf("below(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func FuzzSystemFiles(f *testing.F) {
	f.Add(hybridCPUInfo)
	f.Add("31 23 0:28 / /sys/fs/cgroup\\040x rw - cgroup2 cgroup2 rw\n")
	f.Add("MemTotal: 99999999999999999999 kB\n0-3,\\x20\\x")
	f.Fuzz(func(t *testing.T, s string) {
		blocks := parseCPUInfo(s)
		every, any := featureSets(blocks)
		if len(every) > len(any) {
			t.Errorf("%d features on every core, %d on any", len(every), len(any))
		}
		if p, c := topology(blocks); c > len(blocks) || p > c {
			t.Errorf("%d packages, %d cores of %d threads", p, c, len(blocks))
		}
		archOf(blocks)
		for _, m := range parseMountInfo(s) {
			if strings.Contains(below(m.root, m.point), "..") {
				t.Errorf("%q climbs", m.point)
			}
		}
		if countRanges(s) < 0 || meminfo(s, "MemTotal") < 0 {
			t.Error("negative")
		}
		unhex(s)
		nvidiaVersion(s)
		nvidiaModel(s)
		hexID(s)
	})
}
