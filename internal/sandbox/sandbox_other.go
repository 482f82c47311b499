//go:build !linux || (!amd64 && !arm64)

package sandbox

import "runtime"

// Files confines nothing here.
func Files() {}

// Calls says what is in force here: a job object on Windows, elsewhere nothing but the limits of resources.
func Calls() State {
	s := State{Landlock: None, Job: runtime.GOOS == "windows"}
	if !s.Job {
		s.miss("neither Landlock nor seccomp on " + runtime.GOOS + "/" + runtime.GOARCH + ": only limits of resources")
	}
	return s
}
