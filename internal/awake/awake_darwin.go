package awake

import (
	"os"
	"os/exec"
	"strconv"
)

// hold starts caffeinate, which is part of macOS: it ends with this process at the latest.
func hold(string) (drop func(), err error) {
	c := exec.Command("/usr/bin/caffeinate", "-i", "-w", strconv.Itoa(os.Getpid()))
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}, nil
}
