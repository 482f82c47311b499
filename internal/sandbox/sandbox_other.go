//go:build !windows && (!linux || (!amd64 && !arm64))

package sandbox

import "runtime"

// Files confines nothing here.
func Files() {}

// Calls says that nothing is in force here but the limits of resources.
func Calls() State {
	s := State{Landlock: None}
	s.miss("neither Landlock nor seccomp on " + runtime.GOOS + "/" + runtime.GOARCH + ": only limits of resources")
	return s
}
