//go:build unix

package installer

import (
	"io/fs"
	"syscall"
)

// allocated is how much of a file lies on the disk: chunks that were not written yet take no space.
func allocated(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int64(st.Blocks) * 512
	}
	return 0
}

// linked says whether a file has more than one name.
func linked(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1
}
