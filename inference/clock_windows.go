package inference

import (
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel    = windows.NewLazySystemDLL("kernel32.dll")
	counter   = kernel.NewProc("QueryPerformanceCounter")
	frequency = kernel.NewProc("QueryPerformanceFrequency")
)

// stopwatch starts measuring; what it returns says how long it has been. Windows moves Go's clock on every half to
// fifteen milliseconds, and small models answer in hundredths of one: its performance counter is fine enough. Neither
// call can be refused on any Windows that Go runs on.
func stopwatch() func() time.Duration {
	ticks := func(p *windows.LazyProc) (n int64) {
		_, _, _ = p.Call(uintptr(unsafe.Pointer(&n)))
		return n
	}
	second, start := ticks(frequency), ticks(counter)
	return func() time.Duration {
		return time.Duration(float64(ticks(counter)-start) / float64(second) * float64(time.Second))
	}
}
