package hwprobe

import (
	"context"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/jaypipes/ghw"
	"github.com/klauspost/cpuid/v2"
)

// cpu joins ghw, /proc/cpuinfo and cpuid; the limits of a container come last.
func (p *prober) cpu(ctx context.Context, blocks []processor) CPU {
	var c CPU
	var why []string
	c.Online = p.online(blocks)
	if s, ok := p.read("sys/devices/system/cpu/present"); ok && p.linux {
		c.Present = countRanges(s)
	}
	every, any := featureSets(blocks)
	if len(blocks) > 0 {
		c.Vendor, c.Model = blocks[0].vendor(), blocks[0].model()
	}
	allowed := p.affinity()

	info, err := p.ghwCPU(ctx)
	if err == nil {
		c.Packages = len(info.Processors)
		c.Cores, c.Threads = countCores(info, allowed)
		for _, proc := range info.Processors {
			c.Vendor, c.Model = prefer(c.Vendor, proc.Vendor), prefer(c.Model, proc.Model)
			if len(blocks) == 0 { // not Linux: ghw is the only one to ask besides cpuid
				every = lowered(proc.Capabilities)
			}
		}
	} else if p.live && !errIsNone(err) {
		p.note("cpu", "%v", err)
	}
	if c.Cores == 0 {
		c.Packages, c.Cores = topology(blocks)
		if c.Cores > 0 && len(allowed) > 0 {
			c.Cores = min(c.Cores, len(allowed))
		}
	}
	var seen []string
	if p.live {
		seen = cpuidFeatures()
		c.Vendor, c.Model = prefer(c.Vendor, cpuid.CPU.VendorString), prefer(c.Model, cpuid.CPU.BrandName)
		c.Threads = runtime.NumCPU() // counts the affinity of this process
		if c.Online == 0 {
			c.Online = c.Threads
		}
		if c.Cores == 0 && runtime.GOOS != "linux" {
			c.Packages, c.Cores = p.systemCores()
		}
		if c.Cores == 0 {
			c.Cores = min(cpuid.CPU.PhysicalCores, c.Threads)
		}
	}
	if c.Threads == 0 {
		c.Threads = c.Online
	}
	c.Present = max(c.Present, c.Online)
	if c.Cores == 0 && c.Threads > 0 {
		c.Cores = c.Threads
		why = append(why, "the system does not say which threads share a core; each is counted as one")
	}
	c.Features = mergeFeatures(every, any, seen)
	c.Known = len(c.Features) > 0
	if !c.Known {
		why = append(why, "neither the system nor the processor lists its features")
	}
	if len(every) != len(any) && len(blocks) > 0 {
		why = append(why, "unlike cores: only features that every core has are listed")
	}
	if c.Threads == 0 {
		why = append(why, "the system does not say how many threads there are")
	}
	if q := p.cpuQuota(); q > 0 {
		c.Quota = math.Round(q*100) / 100
		whole := max(1, int(q))
		c.Cores, c.Threads = min(c.Cores, whole), min(c.Threads, max(1, int(math.Ceil(q))))
	}
	c.Reason = strings.Join(why, "; ")
	return c
}

func (p *prober) ghwCPU(ctx context.Context) (*ghw.CPUInfo, error) {
	if !p.askGHW() {
		return nil, errNone
	}
	return ask(ctx, p.timeout, func() (*ghw.CPUInfo, error) { return ghw.CPU(p.ghwOptions()...) })
}

// countCores counts ghw's cores and threads, those only that this process may run on when that is known. Cores are 0
// when ghw found no topology: it then gives every thread the core id -1.
func countCores(info *ghw.CPUInfo, allowed map[int]bool) (cores, threads int) {
	unknown := false
	for _, proc := range info.Processors {
		for _, core := range proc.Cores {
			if core == nil { // macOS
				continue
			}
			n := 0
			for _, id := range core.LogicalProcessors {
				if len(allowed) == 0 || allowed[id] {
					n++
				}
			}
			unknown = unknown || core.ID < 0
			threads += n
			if n > 0 {
				cores++
			}
		}
	}
	if len(info.Processors) > 0 && cores == 0 && threads == 0 { // Windows: numbers only
		return int(info.TotalCores), int(info.TotalHardwareThreads)
	}
	if unknown {
		cores = 0
	}
	return cores, threads
}

// online counts hardware threads that are switched on: by sysfs, else by cpuinfo.
func (p *prober) online(blocks []processor) int {
	if !p.linux {
		return 0
	}
	if s, ok := p.read("sys/devices/system/cpu/online"); ok {
		if n := countRanges(s); n > 0 {
			return n
		}
	}
	return len(blocks)
}

// countRanges counts the numbers of a list like "0-3,8,10-11" (cpuset(7)); 0 when it is none.
func countRanges(s string) int {
	n := 0
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, span := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.ParseUint(lo, 10, 20)
		if err != nil {
			return 0
		}
		b := a
		if span {
			if b, err = strconv.ParseUint(hi, 10, 20); err != nil || b < a {
				return 0
			}
		}
		n += int(b-a) + 1
	}
	return n
}

func prefer(have, other string) string {
	if have != "" || other == "unknown" {
		return have
	}
	return strings.TrimSpace(other)
}

func lowered(in []string) []string {
	out := make([]string, 0, len(in))
	for _, s := range in {
		if s = strings.ToLower(strings.TrimSpace(s)); s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}
