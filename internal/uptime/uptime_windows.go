package uptime

import (
	"time"

	"golang.org/x/sys/windows"
)

// now reads GetTickCount64; Windows does not name its starts.
func now() (string, time.Duration) { return "", windows.DurationSinceBoot() }
