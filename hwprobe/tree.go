package hwprobe

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxSystemFile limits what is read from one file of /proc or /sys: cpuinfo of 1,024 threads is about 1.5 MB.
const maxSystemFile = 8 << 20

// tree reads the files of the system, or of a snapshot of one.
type tree struct{ root string }

func (t tree) path(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// read gives a file's text without surrounding white space, and whether there was any to read.
func (t tree) read(name string) (string, bool) {
	f, err := os.Open(t.path(name))
	if err != nil {
		return "", false
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSystemFile))
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(raw)), true
}

func (t tree) readInt(name string) (int64, bool) {
	s, ok := t.read(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func (t tree) exists(name string) bool {
	_, err := os.Stat(t.path(name))
	return err == nil
}

// list gives the names in a folder, sorted; none when it cannot be read.
func (t tree) list(name string) []string {
	entries, err := os.ReadDir(t.path(name))
	if err != nil {
		return nil
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Name()
	}
	return out
}

// link gives the last part of what a symbolic link points at, "" when there is none.
func (t tree) link(name string) string {
	dest, err := os.Readlink(t.path(name))
	if err != nil {
		return ""
	}
	return filepath.Base(dest)
}
