//go:build unix

package inference

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ResultFile is where a child writes its results: file descriptor 3.
func ResultFile() *os.File { return os.NewFile(3, "result") }

type child struct {
	cmd     *exec.Cmd
	results *os.File
}

// startChild starts cmd in a process group of its own with a pipe for results as descriptor 3.
func startChild(cmd *exec.Cmd) (*child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout = io.Discard
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	return &child{cmd: cmd, results: r}, nil
}

// kill ends the whole group. The group's number is not given away while its leader is unwaited or a member lives.
func (c *child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

func (c *child) release() { c.results.Close() }

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

// peakMiB is the most memory this process had resident, 0 when unknown. Linux keeps in getrusage(2) what the parent had
// resident when it forked, so a large window would count as a large model; /proc tells of this program alone.
func peakMiB() int64 {
	if raw, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(raw)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
				return kib >> 10
			}
		}
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return u.Maxrss >> 20 // bytes there
	}
	return u.Maxrss >> 10
}
