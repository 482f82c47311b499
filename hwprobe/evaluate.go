package hwprobe

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/bundle"
)

// Values of Reason.Unknown.
const (
	UnknownOS        = "os"
	UnknownArch      = "arch"
	UnknownFeatures  = "cpu_features"
	UnknownCores     = "cores"
	UnknownMemory    = "memory"
	UnknownGPU       = "gpu"
	UnknownGPUDevice = "gpu_device"
	UnknownGPUMemory = "gpu_memory"
)

// Unknowns are all values of Reason.Unknown but "".
var Unknowns = []string{UnknownOS, UnknownArch, UnknownFeatures, UnknownCores, UnknownMemory, UnknownGPU, UnknownGPUDevice, UnknownGPUMemory}

// Evaluate judges every variant: the eligible ones first, by falling priority and then in manifest order; then the
// others in manifest order, each with one reason for every requirement that is not met. What is unknown meets no
// requirement. Fields of a variant that ask for nothing are not looked at.
func Evaluate(m *Machine, engines []Engine, man *bundle.Manifest) []Verdict {
	if man == nil {
		return []Verdict{}
	}
	if m == nil {
		m = &Machine{}
	}
	out := make([]Verdict, 0, len(man.Variants))
	for _, v := range man.Variants {
		r := append([]Reason{}, unmet(m, v.Requires)...)
		r = append(r, engineUnmet(engines, v, man)...)
		out = append(out, Verdict{Variant: v.ID, Eligible: len(r) == 0, Reasons: r, Priority: v.Priority})
	}
	slices.SortStableFunc(out, func(a, b Verdict) int {
		switch {
		case a.Eligible != b.Eligible:
			if a.Eligible {
				return -1
			}
			return 1
		case a.Eligible:
			return cmp.Compare(b.Priority, a.Priority)
		}
		return 0
	})
	return out
}

func unmet(m *Machine, r bundle.Requires) []Reason {
	var out []Reason
	miss := func(field, want, have, unknown string, isUnknown bool) {
		r := Reason{Field: "requires." + field, Want: want, Have: have}
		if isUnknown {
			r.Unknown = unknown
		}
		out = append(out, r)
	}
	if len(r.OS) > 0 && !slices.Contains(r.OS, m.OS) {
		miss("os", strings.Join(r.OS, ", "), orUnknown(m.OS), UnknownOS, m.OS == "" || m.OS == unknown)
	}
	if len(r.Arch) > 0 && !slices.Contains(r.Arch, m.Arch) {
		miss("arch", strings.Join(r.Arch, ", "), orUnknown(m.Arch), UnknownArch, m.Arch == "" || m.Arch == unknown)
	}
	for _, want := range r.CPUFeatures {
		if !m.CPU.offers(want) {
			miss("cpu_features", want, m.CPU.lacks(), UnknownFeatures, !m.CPU.Known)
		}
	}
	if r.MinCores > 0 && m.CPU.Cores < r.MinCores {
		miss("min_cores", strconv.Itoa(r.MinCores), m.CPU.coresText(), UnknownCores, m.CPU.Cores == 0)
	}
	if r.MinMemoryMiB > 0 && m.MemoryMiB.Total < r.MinMemoryMiB {
		miss("min_memory_mib", strconv.FormatInt(r.MinMemoryMiB, 10), m.MemoryMiB.text(), UnknownMemory, m.MemoryMiB.Total == 0)
	}
	if r.GPU != nil {
		if r := gpuUnmet(m, *r.GPU); r.Field != "" {
			out = append(out, r)
		}
	}
	return out
}

// offers says whether the processor has a feature; "a|b" means either.
func (c CPU) offers(want string) bool {
	for f := range strings.SplitSeq(want, "|") {
		if slices.Contains(c.Features, strings.ToLower(strings.TrimSpace(f))) {
			return true
		}
	}
	return false
}

func (c CPU) lacks() string {
	if !c.Known {
		return "unknown: the processor's features could not be read, so none is taken for granted"
	}
	if c.Model == "" {
		return "not offered by this processor"
	}
	return "not offered by " + c.Model
}

func (c CPU) coresText() string {
	switch {
	case c.Cores == 0:
		return "unknown: the number of cores could not be read, so no minimum is met"
	case c.Quota > 0:
		return fmt.Sprintf("%d (a quota of %g CPUs limits this process; the machine has %d threads)", c.Cores, c.Quota, c.Online)
	}
	return strconv.Itoa(c.Cores)
}

func (m Memory) text() string {
	switch {
	case m.Total == 0:
		return "unknown: the size of memory could not be read, so no minimum is met"
	case m.Limit > 0 && m.Limit == m.Total:
		return fmt.Sprintf("%d (limit of the container; the machine has %d)", m.Total, m.Installed)
	}
	return strconv.FormatInt(m.Total, 10)
}

// gpuUnmet wants one device that has it all, and names the first thing that none of those left has; no field: all is met.
func gpuUnmet(m *Machine, r bundle.GPURequires) Reason {
	vendor := strings.ToLower(r.Vendor)
	left := slices.DeleteFunc(slices.Clone(m.GPUs), func(g GPU) bool {
		return g.Vendor != vendor && (g.VendorID == "" || g.VendorID != vendor)
	})
	if len(left) == 0 {
		have, known := gpusText(m)
		out := Reason{Field: "requires.gpu.vendor", Want: r.Vendor, Have: have}
		if !known {
			out.Unknown = UnknownGPU
		}
		return out
	}
	if len(r.DeviceIDs) > 0 {
		var ids []string
		left = slices.DeleteFunc(left, func(g GPU) bool {
			if g.DeviceID != "" && slices.Contains(r.DeviceIDs, g.DeviceID) {
				return false
			}
			ids = append(ids, orUnknown(g.DeviceID))
			return true
		})
		if len(left) == 0 {
			out := Reason{Field: "requires.gpu.device_ids", Want: strings.Join(r.DeviceIDs, ", "), Have: strings.Join(ids, ", ")}
			if slices.Contains(ids, unknown) {
				out.Unknown = UnknownGPUDevice
			}
			return out
		}
	}
	if r.MinMemoryMiB <= 0 {
		return Reason{}
	}
	out := Reason{Field: "requires.gpu.min_memory_mib", Want: strconv.FormatInt(r.MinMemoryMiB, 10)}
	var sizes []string
	for _, g := range left {
		switch {
		case g.MemoryMiB == nil && g.Reason != "":
			out.Unknown = UnknownGPUMemory
			sizes = append(sizes, "unknown, so no minimum is met: "+g.Reason)
		case g.MemoryMiB == nil:
			out.Unknown = UnknownGPUMemory
			sizes = append(sizes, "unknown, so no minimum is met")
		case *g.MemoryMiB >= r.MinMemoryMiB:
			return Reason{}
		default:
			sizes = append(sizes, strconv.FormatInt(*g.MemoryMiB, 10))
		}
	}
	out.Have = strings.Join(sizes, ", ")
	return out
}

// gpusText lists the devices there are, or why none is known; known is false when there may be others.
func gpusText(m *Machine) (text string, known bool) {
	var out []string
	known = true
	for _, g := range m.GPUs {
		name := g.Vendor
		switch {
		case g.Vendor == unknown && g.VendorID != "":
			name = "vendor " + g.VendorID
		case g.Vendor == unknown:
			known = false
		}
		if g.Product != "" {
			name += " " + g.Product
		}
		out = append(out, name)
	}
	if len(out) > 0 {
		return strings.Join(out, ", "), known
	}
	for _, n := range m.Notes {
		if n.What == "gpu" {
			return "none known: " + n.Reason, false
		}
	}
	return "none", true
}

// engineUnmet wants an engine that loads here and offers the execution provider. A variant that brings its engine
// library along (an artifact with role runtime) is taken at its word until its smoke test.
func engineUnmet(engines []Engine, v bundle.Variant, man *bundle.Manifest) []Reason {
	named := slices.DeleteFunc(slices.Clone(engines), func(e Engine) bool {
		return v.Engine != bundle.EngineAny && e.Name != v.Engine
	})
	usable := slices.DeleteFunc(slices.Clone(named), func(e Engine) bool { return !e.Usable })
	for _, e := range usable {
		if slices.Contains(e.Providers, v.ExecutionProvider) {
			return nil
		}
	}
	if v.Engine != bundle.EngineReference && bringsRuntime(v, man) {
		return nil
	}
	if len(usable) == 0 {
		return []Reason{{Field: "engine", Want: engineWanted(v.Engine), Have: enginesText(named, engines)}}
	}
	var have []string
	for _, e := range usable {
		have = append(have, fmt.Sprintf("%s (%s)", orNone(strings.Join(e.Providers, ", ")), e.text()))
	}
	return []Reason{{Field: "execution_provider", Want: v.ExecutionProvider, Have: strings.Join(have, "; ")}}
}

func bringsRuntime(v bundle.Variant, man *bundle.Manifest) bool {
	for _, a := range man.Artifacts {
		if a.Role == bundle.RoleRuntime && slices.Contains(v.Artifacts, a.Path) {
			return true
		}
	}
	return false
}

func engineWanted(name string) string {
	if name == bundle.EngineAny {
		return "any engine for ONNX"
	}
	return name
}

// enginesText says why those of the wanted name do not serve or, without any, which others there are.
func enginesText(named, all []Engine) string {
	var out []string
	for _, e := range named {
		why := e.Reason
		if why == "" {
			why = "it gives no reason"
		}
		out = append(out, fmt.Sprintf("%s does not load here: %s", e.text(), why))
	}
	if len(out) == 0 {
		for _, e := range all {
			if e.Usable {
				out = append(out, e.text())
			}
		}
	}
	return orNone(strings.Join(out, "; "))
}

func (e Engine) text() string { return strings.TrimSpace(e.Name + " " + e.Version) }

func orUnknown(s string) string {
	if s == "" {
		return unknown
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
