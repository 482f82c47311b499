//go:build !windows

package inference

import "time"

// stopwatch starts measuring; what it returns says how long it has been.
func stopwatch() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
