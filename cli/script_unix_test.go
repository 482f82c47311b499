//go:build unix

package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdUnprivileged: "unprivileged N ARGS" runs the program as an account that owns nothing here (as root; else as the
// account of the tests) and wants that exit status. Output goes to stdout.txt and stderr.txt.
func cmdUnprivileged(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) >= 2, "unprivileged N ARGS")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	bin, err := program()
	ts.Check(err)
	cmd := exec.Command(bin, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"SLUICE_ROOT=" + ts.Getenv("SLUICE_ROOT"), "HOME=/no-home"}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		for _, dir := range []string{ts.MkAbs("."), bin} { // that account must be able to reach the files
			for d := filepath.Dir(dir); len(d) > len(os.TempDir()); d = filepath.Dir(d) {
				ts.Check(os.Chmod(d, 0o755))
			}
		}
		ts.Check(os.Chmod(ts.MkAbs("."), 0o755))
	}
	out, err := os.Create(ts.MkAbs("stdout.txt"))
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(ts.MkAbs("stderr.txt"))
	ts.Check(err)
	defer errs.Close()
	cmd.Stdout, cmd.Stderr = out, errs
	err = cmd.Run()
	n := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		n, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if n != want {
		ts.Fatalf("exit status %d, want %d: %s", n, want, ts.ReadFile("stderr.txt"))
	}
}
