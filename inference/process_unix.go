//go:build unix

package inference

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func killedBySystem(s *os.ProcessState) bool {
	if s == nil {
		return false
	}
	ws, ok := s.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && (ws.Signal() == syscall.SIGKILL || ws.Signal() == syscall.SIGXCPU)
}

// applyLimits sets the child's own limits before an engine is loaded: private memory, processor time, no core files, and
// no files written. 0 leaves memory or time alone.
func applyLimits(dataMiB, cpuSeconds int64) error {
	set := func(which int, n int64) error {
		v := uint64(n)
		var now unix.Rlimit
		if err := unix.Getrlimit(which, &now); err != nil {
			return err
		}
		if now.Max < v {
			v = now.Max
		}
		return unix.Setrlimit(which, &unix.Rlimit{Cur: v, Max: v})
	}
	if err := set(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if err := set(unix.RLIMIT_FSIZE, 0); err != nil {
		return err
	}
	if cpuSeconds > 0 {
		if err := set(unix.RLIMIT_CPU, cpuSeconds); err != nil {
			return err
		}
	}
	if dataMiB > 0 && runtime.GOOS != "darwin" { // macOS knows the name but not the thing: the peak is judged afterwards
		return set(unix.RLIMIT_DATA, dataMiB<<20)
	}
	return nil
}

// residentKiB is how much memory this process has resident now and had at most. Where the system does not tell both, they are the same;
// 0 is unknown.
func residentKiB() (now, most int64) {
	if status, err := os.ReadFile("/proc/self/status"); err == nil { // Linux; rusage there counts the parent's peak in
		if now, most = statusKiB(string(status), "VmRSS:"), statusKiB(string(status), "VmHWM:"); now > 0 && most > 0 {
			return now, most
		}
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	most = u.Maxrss
	if runtime.GOOS == "darwin" {
		most >>= 10 // bytes there
	}
	return most, most
}

// statusKiB finds a number of KiB in /proc/self/status.
func statusKiB(status, name string) int64 {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
