package hwprobe

import "strings"

// mount is one line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	device  string // "8:17"
	root    string // what of the file system is mounted
	point   string
	options string
	kind    string // "vfat", "fuse.sshfs", …
	source  string // "/dev/sdb1"
	super   string // options of the file system itself
}

// parseMountInfo never fails; lines of another shape are left out.
func parseMountInfo(text string) []mount {
	var out []mount
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 6 || len(g) < 2 {
			continue
		}
		m := mount{device: f[2], root: unescape(f[3]), point: unescape(f[4]), options: f[5], kind: strings.ToLower(g[0]), source: unescape(g[1])}
		if len(g) > 2 {
			m.super = g[2]
		}
		out = append(out, m)
	}
	return out
}

// unescape undoes the kernel's octal escapes for space, tab, newline and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) && s[i+1] < '4' {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
