package hwprobe

import (
	"context"
	"strconv"
	"strings"

	"github.com/jaypipes/ghw"
)

const mib = 1 << 20

// memory joins ghw, /proc/meminfo, the system's own call and the limits of a container.
func (p *prober) memory(ctx context.Context) Memory {
	var total, available, installed int64 // bytes
	if p.linux {
		text, _ := p.read("proc/meminfo")
		total, available = meminfo(text, "MemTotal"), meminfo(text, "MemAvailable")
	}
	if p.askGHW() {
		info, err := ask(ctx, p.timeout, func() (*ghw.MemoryInfo, error) { return ghw.Memory(p.ghwOptions()...) })
		switch {
		case err == nil:
			installed = info.TotalPhysicalBytes
			if total <= 0 {
				total = info.TotalUsableBytes
			}
		case p.live && total == 0:
			p.note("memory", "%v", err)
		}
	}
	if p.live && (total <= 0 || available <= 0) {
		t, a := systemMemory()
		if total <= 0 {
			total = t
		}
		if available <= 0 {
			available = a
		}
	}
	total, available = max(total, 0), max(available, 0)
	m := Memory{Total: total / mib, Available: available / mib, Installed: max(installed, total) / mib}
	if limit, used := p.memoryLimit(); limit > 0 {
		m.Limit = limit / mib
		if m.Total == 0 || m.Limit < m.Total {
			m.Total = m.Limit
		}
		if free := max(limit-used, 0) / mib; m.Available == 0 || free < m.Available {
			m.Available = free
		}
	}
	switch {
	case m.Total == 0:
		m.Reason = "the system does not say how much memory there is"
	case m.Available == 0:
		m.Reason = "the system does not say how much memory is available now"
	}
	return m
}

// meminfo reads one field of /proc/meminfo in bytes; 0 when it is missing or odd.
func meminfo(text, field string) int64 {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, field+":")
		if !ok {
			continue
		}
		f := strings.Fields(rest)
		if len(f) == 0 {
			return 0
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil || n < 0 || n > 1<<50 {
			return 0
		}
		return n * 1024
	}
	return 0
}
