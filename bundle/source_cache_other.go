//go:build !linux

package bundle

import "os"

// dropCache has no portable way outside Linux: the second read may come from memory.
func dropCache(*os.File) {}
