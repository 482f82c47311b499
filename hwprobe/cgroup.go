package hwprobe

import (
	"path"
	"strconv"
	"strings"
)

// cgroup is one hierarchy that limits this process: where it is mounted, and the folder of this process in it.
type cgroup struct {
	mount string // below the root, without leading slash
	dir   string // below mount
	v2    bool
}

// cgroups finds the hierarchy of one controller (cgroups(7)): version 2 and, where mounted, version 1.
func (p *prober) cgroups(controller string) []cgroup {
	if !p.linux {
		return nil
	}
	membership, ok := p.read("proc/self/cgroup")
	if !ok {
		return nil
	}
	table, _ := p.read("proc/self/mountinfo")
	mounts := parseMountInfo(table)
	var out []cgroup
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		controllers, dir := parts[1], parts[2]
		v2 := parts[0] == "0" && controllers == ""
		if !v2 && !listed(controllers, controller) {
			continue
		}
		for _, m := range mounts {
			if (v2 && m.kind == "cgroup2") || (!v2 && m.kind == "cgroup" && listed(m.super, controller)) {
				out = append(out, cgroup{mount: strings.TrimPrefix(m.point, "/"), dir: below(m.root, dir), v2: v2})
				break
			}
		}
	}
	return out
}

// below cuts the mount's own root off a path: in a container without its own namespace both begin with the
// container's folder. What is not below it is seen at the mount point itself.
func below(root, dir string) string {
	root = strings.TrimSuffix(root, "/")
	rest, ok := strings.CutPrefix(dir, root)
	if !ok || (rest != "" && rest[0] != '/') || strings.Contains(rest, "..") {
		return "/"
	}
	return path.Clean("/" + rest)
}

func listed(list, item string) bool {
	for s := range strings.SplitSeq(list, ",") {
		if s == item {
			return true
		}
	}
	return false
}

// walk visits the folder of this process and all above it: every one of them limits.
func (c cgroup) walk(visit func(dir string)) {
	for d := c.dir; ; d = path.Dir(d) {
		visit(path.Join(c.mount, d))
		if d == "/" || d == "." {
			return
		}
	}
}

// cpuQuota is how many CPUs the process's groups grant; 0 when none limits it.
func (p *prober) cpuQuota() float64 {
	least := 0.0
	take := func(quota, period string) {
		q, err1 := strconv.ParseInt(quota, 10, 64)
		per, err2 := strconv.ParseInt(period, 10, 64)
		if err1 != nil || err2 != nil || q <= 0 || per <= 0 {
			return
		}
		if n := float64(q) / float64(per); least == 0 || n < least {
			least = n
		}
	}
	for _, c := range p.cgroups("cpu") {
		c.walk(func(dir string) {
			if c.v2 {
				s, _ := p.read(dir + "/cpu.max")
				if f := strings.Fields(s); len(f) == 2 {
					take(f[0], f[1])
				}
				return
			}
			q, _ := p.read(dir + "/cpu.cfs_quota_us")
			per, _ := p.read(dir + "/cpu.cfs_period_us")
			take(q, per)
		})
	}
	return least
}

// memoryLimit is how many bytes the process's groups grant, and how many of the tightest one are in use; 0 when none
// limits it. Version 1 writes a number near 2^63 for no limit.
func (p *prober) memoryLimit() (limit, used int64) {
	for _, c := range p.cgroups("memory") {
		limitFile, usedFile := "/memory.limit_in_bytes", "/memory.usage_in_bytes"
		if c.v2 {
			limitFile, usedFile = "/memory.max", "/memory.current"
		}
		c.walk(func(dir string) {
			n, ok := p.readInt(dir + limitFile)
			if !ok || n <= 0 || n >= 1<<60 || (limit > 0 && n >= limit) {
				return
			}
			limit = n
			used, _ = p.readInt(dir + usedFile)
		})
	}
	return limit, used
}
