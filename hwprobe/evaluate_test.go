package hwprobe

import (
	"strings"
	"testing"

	"sluice/bundle"
)

func mib64(n int64) *int64 { return &n }

// server is a machine on which everything below is known.
func server() *Machine {
	return &Machine{
		OS: "linux", Arch: "amd64",
		CPU:       CPU{Model: "AMD EPYC", Cores: 8, Threads: 16, Online: 16, Known: true, Features: []string{"avx2", "avx512_vnni", "sse3"}},
		MemoryMiB: Memory{Total: 15900, Available: 9000, Installed: 16384},
		GPUs: []GPU{
			{Vendor: "matrox", VendorID: "102b", DeviceID: "0532"},
			{Vendor: "nvidia", VendorID: "10de", DeviceID: "1c82", Product: "GTX 1050 Ti", MemoryMiB: mib64(4096)},
			{Vendor: "nvidia", VendorID: "10de", DeviceID: "2335", Product: "H200", Reason: "the driver does not say"},
		},
	}
}

var engines = []Engine{
	{Name: "reference", Version: "1", Providers: []string{"cpu"}, Usable: true},
	{Name: "onnxruntime", Version: "1.30.0", Providers: []string{"cpu", "cuda"}, Usable: false, Reason: "needs glibc 2.28"},
}

func text(rs []Reason) string {
	var out []string
	for _, r := range rs {
		s := r.Field + ": want " + r.Want + ", have " + r.Have
		if r.Unknown != "" {
			s += " [" + r.Unknown + "]"
		}
		out = append(out, s)
	}
	return strings.Join(out, " | ")
}

func TestEachRequirement(t *testing.T) {
	ort := []Engine{{Name: "onnxruntime", Version: "1.30.0", Providers: []string{"cpu", "cuda"}, Usable: true}}
	bare := &Machine{OS: "linux", Arch: "amd64", Notes: []Note{{What: "gpu", Reason: "no PCI"}}}
	limited := server()
	limited.CPU.Quota, limited.CPU.Cores = 1.5, 1
	limited.MemoryMiB.Limit, limited.MemoryMiB.Total = 2048, 2048
	for name, c := range map[string]struct {
		m       *Machine
		engines []Engine
		v       bundle.Variant
		want    string
	}{
		"asks for nothing":           {server(), engines, bundle.Variant{}, ""},
		"all met":                    {server(), engines, bundle.Variant{Requires: bundle.Requires{OS: []string{"windows", "linux"}, Arch: []string{"amd64"}, CPUFeatures: []string{"avx2", "avx_vnni|avx512_vnni"}, MinCores: 8, MinMemoryMiB: 15900, GPU: &bundle.GPURequires{Vendor: "nvidia", MinMemoryMiB: 4096}}}, ""},
		"os and arch":                {server(), engines, bundle.Variant{Requires: bundle.Requires{OS: []string{"windows", "darwin"}, Arch: []string{"arm64"}}}, "requires.os: want windows, darwin, have linux | requires.arch: want arm64, have amd64"},
		"cpu features, one each":     {server(), engines, bundle.Variant{Requires: bundle.Requires{CPUFeatures: []string{"avx2", "amx_int8", "asimddp|i8mm"}}}, "requires.cpu_features: want amx_int8, have not offered by AMD EPYC | requires.cpu_features: want asimddp|i8mm, have not offered by AMD EPYC"},
		"cpu features unknown":       {bare, engines, bundle.Variant{Requires: bundle.Requires{CPUFeatures: []string{"avx2"}}}, "requires.cpu_features: want avx2, have unknown: the processor's features could not be read, so none is taken for granted [cpu_features]"},
		"cores":                      {server(), engines, bundle.Variant{Requires: bundle.Requires{MinCores: 9}}, "requires.min_cores: want 9, have 8"},
		"cores by quota":             {limited, engines, bundle.Variant{Requires: bundle.Requires{MinCores: 2}}, "requires.min_cores: want 2, have 1 (a quota of 1.5 CPUs limits this process; the machine has 16 threads)"},
		"cores unknown":              {bare, engines, bundle.Variant{Requires: bundle.Requires{MinCores: 1}}, "requires.min_cores: want 1, have unknown: the number of cores could not be read, so no minimum is met [cores]"},
		"memory":                     {server(), engines, bundle.Variant{Requires: bundle.Requires{MinMemoryMiB: 16384}}, "requires.min_memory_mib: want 16384, have 15900"},
		"memory by limit":            {limited, engines, bundle.Variant{Requires: bundle.Requires{MinMemoryMiB: 4096}}, "requires.min_memory_mib: want 4096, have 2048 (limit of the container; the machine has 16384)"},
		"memory unknown":             {bare, engines, bundle.Variant{Requires: bundle.Requires{MinMemoryMiB: 1}}, "requires.min_memory_mib: want 1, have unknown: the size of memory could not be read, so no minimum is met [memory]"},
		"gpu vendor":                 {server(), engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "amd", MinMemoryMiB: 1}}}, "requires.gpu.vendor: want amd, have matrox, nvidia GTX 1050 Ti, nvidia H200"},
		"gpu vendor by id":           {server(), engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "102b"}}}, ""},
		"gpu none known":             {bare, engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "nvidia"}}}, "requires.gpu.vendor: want nvidia, have none known: no PCI [gpu]"},
		"gpu none":                   {&Machine{}, engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "nvidia"}}}, "requires.gpu.vendor: want nvidia, have none"},
		"gpu device":                 {server(), engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "nvidia", DeviceIDs: []string{"20b0", "2330"}}}}, "requires.gpu.device_ids: want 20b0, 2330, have 1c82, 2335"},
		"gpu memory":                 {server(), engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "nvidia", MinMemoryMiB: 8192}}}, "requires.gpu.min_memory_mib: want 8192, have 4096, unknown, so no minimum is met: the driver does not say [gpu_memory]"},
		"one gpu must have it all":   {server(), engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "nvidia", DeviceIDs: []string{"2335"}, MinMemoryMiB: 4096}}}, "requires.gpu.min_memory_mib: want 4096, have unknown, so no minimum is met: the driver does not say [gpu_memory]"},
		"unknown vendor and no id":   {&Machine{GPUs: []GPU{{Vendor: "unknown"}}}, engines, bundle.Variant{Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: ""}}}, "requires.gpu.vendor: want , have unknown [gpu]"},
		"engine does not load":       {server(), engines, bundle.Variant{Engine: "onnxruntime"}, "engine: want onnxruntime, have onnxruntime 1.30.0 does not load here: needs glibc 2.28"},
		"engine not there":           {server(), engines[:1], bundle.Variant{Engine: "onnxruntime"}, "engine: want onnxruntime, have reference 1"},
		"engine none":                {server(), nil, bundle.Variant{Engine: "onnx"}, "engine: want any engine for ONNX, have none"},
		"provider of any engine":     {server(), engines, bundle.Variant{Engine: "onnx", ExecutionProvider: "cuda"}, "execution_provider: want cuda, have cpu (reference 1)"},
		"provider there":             {server(), ort, bundle.Variant{Engine: "onnx", ExecutionProvider: "cuda"}, ""},
		"provider of another engine": {server(), append(ort[:1:1], engines[0]), bundle.Variant{Engine: "reference", ExecutionProvider: "cuda"}, "execution_provider: want cuda, have cpu (reference 1)"},
		"brings its engine along":    {server(), engines, bundle.Variant{Engine: "onnxruntime", ExecutionProvider: "cuda", Artifacts: []string{"artifacts/ort.so"}}, ""},
		"reference is never brought": {server(), nil, bundle.Variant{Engine: "reference", Artifacts: []string{"artifacts/ort.so"}}, "engine: want reference, have none"},
		"someone else's runtime":     {server(), engines, bundle.Variant{Engine: "onnxruntime", ExecutionProvider: "cuda", Artifacts: []string{"artifacts/w.onnx"}}, "engine: want onnxruntime, have onnxruntime 1.30.0 does not load here: needs glibc 2.28"},
		"no machine":                 {nil, engines, bundle.Variant{Requires: bundle.Requires{OS: []string{"linux"}}}, "requires.os: want linux, have unknown [os]"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.v.Engine == "" {
				c.v.Engine = bundle.EngineAny
			}
			if c.v.ExecutionProvider == "" {
				c.v.ExecutionProvider = "cpu"
			}
			man := &bundle.Manifest{Variants: []bundle.Variant{c.v}, Artifacts: []bundle.Artifact{
				{Path: "artifacts/ort.so", Role: bundle.RoleRuntime}, {Path: "artifacts/w.onnx", Role: bundle.RoleWeights}}}
			got := Evaluate(c.m, c.engines, man)
			if len(got) != 1 || text(got[0].Reasons) != c.want || got[0].Eligible != (c.want == "") {
				t.Errorf("got  %s\nwant %s", text(got[0].Reasons), c.want)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	v := func(id string, priority int, os string) bundle.Variant {
		return bundle.Variant{ID: id, Priority: priority, Engine: "onnx", ExecutionProvider: "cpu", Requires: bundle.Requires{OS: []string{os}}}
	}
	man := &bundle.Manifest{Variants: []bundle.Variant{v("no1", 99, "plan9"), v("low", 1, "linux"), v("high", 5, "linux"), v("no2", 100, "plan9"), v("high2", 5, "linux"), v("negative", -3, "linux")}}
	var ids []string
	for _, d := range Evaluate(server(), engines, man) {
		ids = append(ids, d.Variant)
		if d.Reasons == nil {
			t.Errorf("%s: reasons are nil, which is null in JSON", d.Variant)
		}
	}
	if got := strings.Join(ids, " "); got != "high high2 low negative no1 no2" {
		t.Errorf("order %q", got)
	}
	if got := Evaluate(server(), engines, nil); got == nil || len(got) != 0 {
		t.Errorf("no manifest gave %v", got)
	}
}
