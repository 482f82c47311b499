//go:build !windows

package launch

import (
	"io"
	"os"
)

// Stderr is where messages go; show ends the program's output. Where every program has a standard error it is that.
func Stderr() (w io.Writer, show func()) { return os.Stderr, func() {} }
