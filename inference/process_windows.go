package inference

import (
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ResultFile is where a child writes its results: stdout, since other handles are not inherited. Whatever else writes to
// stdout is sent to stderr.
func ResultFile() *os.File {
	out := os.Stdout
	os.Stdout = os.Stderr
	_ = windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(os.Stderr.Fd()))
	return out
}

type child struct {
	cmd     *exec.Cmd
	results *os.File
	job     windows.Handle
}

// startChild starts cmd in a job object of its own: closing it ends all its processes. The child waits for its task on
// stdin, so it is in the job before it does anything.
func startChild(cmd *exec.Cmd) (*child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		r.Close()
		w.Close()
		return nil, err
	}
	c := &child{cmd: cmd, results: r, job: job}
	cmd.Stdout = w
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	err = cmd.Start()
	w.Close()
	if err != nil {
		c.release()
		return nil, err
	}
	if err := c.enter(); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c.release()
		return nil, err
	}
	return c, nil
}

func (c *child) enter() error {
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(c.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(c.cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(c.job, h)
}

func (c *child) kill() { _ = windows.TerminateJobObject(c.job, 137) }

func (c *child) release() {
	c.results.Close()
	_ = windows.CloseHandle(c.job)
}

func killedBySystem(*os.ProcessState) bool { return false }

// applyLimits puts the child into a second, nested job object with limits of memory and processor time. The handle stays
// open for the life of the process. 0 leaves memory or time alone.
func applyLimits(dataMiB, cpuSeconds int64) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	if dataMiB > 0 {
		info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY
		info.ProcessMemoryLimit = uintptr(dataMiB) << 20
	}
	if cpuSeconds > 0 {
		info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_PROCESS_TIME
		info.BasicLimitInformation.PerProcessUserTimeLimit = cpuSeconds * 10_000_000 // of 100 ns
	}
	info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
	info.BasicLimitInformation.ActiveProcessLimit = 1
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return err
	}
	return windows.AssignProcessToJobObject(job, windows.CurrentProcess())
}

// residentKiB is how much memory this process had committed at most, 0 when unknown; what it has now is taken to be the same.
func residentKiB() (now, most int64) {
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	if windows.QueryInformationJobObject(0, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil) != nil {
		return 0, 0
	}
	most = int64(info.PeakProcessMemoryUsed >> 10)
	return most, most
}
