package bundle

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache asks the kernel to forget a file's clean pages, so that what is read next comes from the medium. A wish: it
// need not be granted.
func dropCache(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
