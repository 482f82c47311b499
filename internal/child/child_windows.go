package child

import (
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

type handle windows.Handle

func (h handle) close() { _ = windows.CloseHandle(windows.Handle(h)) }

// ResultFile is where a child writes its results: stdout, since other handles are not inherited. Whatever else writes to
// stdout is sent to stderr.
func ResultFile() *os.File {
	out := os.Stdout
	os.Stdout = os.Stderr
	_ = windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(os.Stderr.Fd()))
	return out
}

// Start starts cmd in a job object of its own: closing it ends all its processes. The child waits for its task on
// stdin, so it is in the job before it does anything.
func Start(cmd *exec.Cmd) (*Process, error) {
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
	p := &Process{Cmd: cmd, Results: r, job: handle(job)}
	cmd.Stdout = w
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	err = cmd.Start()
	w.Close()
	if err != nil {
		p.Release()
		return nil, err
	}
	if err := p.enter(); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.Release()
		return nil, err
	}
	return p, nil
}

func (p *Process) enter() error {
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(windows.Handle(p.job), windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(windows.Handle(p.job), h)
}

// Kill ends the whole job.
func (p *Process) Kill() { _ = windows.TerminateJobObject(windows.Handle(p.job), 137) }
