// Package child starts a process of our own that can be ended with all that it started, and that writes its results to a
// pipe of their own. It sets no limits and judges nothing.
package child

import (
	"os"
	"os/exec"
)

// Process is a started child. Release is called once, after Cmd.Wait.
type Process struct {
	Cmd     *exec.Cmd
	Results *os.File // read end: what the child writes to its ResultFile
	job     handle
}

// Release closes the results and, on Windows, ends what is left of the child.
func (p *Process) Release() {
	p.Results.Close()
	p.job.close()
}
