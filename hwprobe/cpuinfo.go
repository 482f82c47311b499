package hwprobe

import (
	"slices"
	"strings"
)

// processor is what /proc/cpuinfo says of one hardware thread.
type processor map[string]string

// cpuinfo reads /proc/cpuinfo: one entry a hardware thread, with what stands before the first (s390x) or after the
// last (old ARM) added to each. Empty when there is no such file.
func (p *prober) cpuinfo() []processor {
	if !p.linux {
		return nil
	}
	text, _ := p.read("proc/cpuinfo")
	return parseCPUInfo(text)
}

// parseCPUInfo never fails; lines that are no "key : value" are left out.
func parseCPUInfo(text string) []processor {
	var out []processor
	common := processor{}
	var current processor
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			current = nil
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case key == "processor", key == "cpu number": // the latter on s390x
			current = processor{key: value}
			out = append(out, current)
		case current == nil:
			common[key] = value
		default:
			current[key] = value
		}
	}
	for _, b := range out {
		for k, v := range common {
			if _, ok := b[k]; !ok {
				b[k] = v
			}
		}
	}
	return out
}

func (b processor) first(keys ...string) string {
	for _, k := range keys {
		if v := b[k]; v != "" {
			return v
		}
	}
	return ""
}

func (b processor) features() []string {
	return strings.Fields(strings.ToLower(b.first("flags", "Features", "features", "isa")))
}

// implementers are the vendors of ARM cores by MIDR_EL1.Implementer, as in util-linux.
var implementers = map[string]string{
	"0x41": "ARM", "0x42": "Broadcom", "0x43": "Cavium", "0x46": "Fujitsu", "0x48": "HiSilicon", "0x4e": "NVIDIA", "0x50": "APM",
	"0x51": "Qualcomm", "0x53": "Samsung", "0x56": "Marvell", "0x61": "Apple", "0x69": "Intel", "0x6d": "Microsoft", "0x70": "Phytium",
	"0xc0": "Ampere",
}

func (b processor) vendor() string {
	if v := b.first("vendor_id"); v != "" {
		return v
	}
	return implementers[b["CPU implementer"]]
}

func (b processor) model() string {
	if m := b.first("model name", "Processor", "cpu model", "Model Name", "uarch", "machine"); m != "" {
		return m
	}
	if part := b["CPU part"]; part != "" { // ARM: the number in MIDR_EL1
		return "part " + part
	}
	return ""
}

// featureSets gives what every thread offers and what any thread offers. They differ on machines with unlike cores,
// and a program that may run on any core can rely on the former only.
func featureSets(blocks []processor) (every, any []string) {
	for i, b := range blocks {
		f := b.features()
		if i == 0 {
			every = f
		} else {
			every = slices.DeleteFunc(slices.Clone(every), func(s string) bool { return !slices.Contains(f, s) })
		}
		any = append(any, f...)
	}
	slices.Sort(every)
	slices.Sort(any)
	return slices.Compact(every), slices.Compact(any)
}

// topology counts packages and cores by what cpuinfo says; 0 when it says nothing of cores.
func topology(blocks []processor) (packages, cores int) {
	type core struct{ pkg, id string }
	pkgs, seen := map[string]bool{}, map[core]bool{}
	for _, b := range blocks {
		pkg, pok := b["physical id"]
		id, cok := b["core id"]
		if !pok || !cok {
			return 0, 0
		}
		pkgs[pkg], seen[core{pkg, id}] = true, true
	}
	return len(pkgs), len(seen)
}

// archOf guesses the GOARCH name of a snapshot.
func archOf(blocks []processor) string {
	if len(blocks) == 0 {
		return "unknown"
	}
	b := blocks[0]
	switch {
	case slices.Contains(strings.Fields(b["flags"]), "lm"):
		return "amd64"
	case b["flags"] != "":
		return "386"
	case b["CPU implementer"] != "" && b["CPU architecture"] == "8":
		return "arm64"
	case b["CPU implementer"] != "":
		return "arm"
	case strings.HasPrefix(b["vendor_id"], "IBM/S390"):
		return "s390x"
	case strings.HasPrefix(b["isa"], "rv64"):
		return "riscv64"
	case strings.HasPrefix(b["cpu"], "POWER"):
		return "ppc64le"
	}
	return "unknown"
}
