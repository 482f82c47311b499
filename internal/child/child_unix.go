//go:build unix

package child

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

type handle struct{}

func (handle) close() {}

// ResultFile is where a child writes its results: file descriptor 3.
func ResultFile() *os.File { return os.NewFile(3, "result") }

// Start starts cmd in a process group of its own with a pipe for results as descriptor 3.
func Start(cmd *exec.Cmd) (*Process, error) {
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
	return &Process{Cmd: cmd, Results: r}, nil
}

// Kill ends the whole group. The group's number is not given away while its leader is unwaited or a member lives.
func (p *Process) Kill() { _ = syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGKILL) }
