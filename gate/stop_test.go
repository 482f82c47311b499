package gate_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"sluice/gate"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/testroot"
)

const envLock = "SLUICE_TEST_LOCK"

// TestLockHolder is no test: it is the process that holds the lock in TestStoppedWhileLocked.
func TestLockHolder(t *testing.T) {
	name := os.Getenv(envLock)
	if name == "" {
		return
	}
	if _, err := fsx.Lock(name, "install by tester"); err != nil {
		t.Fatal(err)
	}
	fmt.Println("locked")
	time.Sleep(time.Minute) // whoever started this kills it
}

// The bot's view: live is stopped at once although another process holds the lock, stays so when that one is killed, and
// only a new start opens the gate.
func TestStoppedWhileLocked(t *testing.T) {
	s := testroot.Live(t)
	if _, err := check(t, s, slot.Live); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockHolder$", "-test.v")
	cmd.Env = append(os.Environ(), envLock+"="+s.Path(slot.LockFile))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "locked" {
	}
	if err := s.In.Disable(t.Context(), "anna", "strange quotes"); err != nil {
		t.Fatal(err)
	}
	shut := func() {
		t.Helper()
		_, err := check(t, s, slot.Live)
		wantCode(t, err, fault.NotLive)
		if !errors.Is(err, gate.ErrGateClosed) {
			t.Error(err)
		}
		if _, err := check(t, s, slot.Paper); err != nil {
			t.Errorf("paper: %v", err)
		}
	}
	shut()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	shut()
	if err := s.In.LogAppend(t.Context(), slot.Demo, "jan", "any writing step", nil); err != nil {
		t.Fatal(err)
	}
	shut()
	s.Enable()
	if _, err := check(t, s, slot.Live); err != nil {
		t.Fatal(err)
	}
}

// Anything at the marker's name closes the gate, also without key and log, and before what is wrong with them.
func TestStoppedByAnything(t *testing.T) {
	for name, put := range map[string]func(p string) error{
		"nothing": func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"garbage": func(p string) error { return os.WriteFile(p, []byte("{"), 0o644) },
		"link":    func(p string) error { return os.Symlink("/nowhere", p) },
		"folder":  func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			s := testroot.Live(t)
			if err := put(s.Path(slot.StopFile)); err != nil {
				t.Skipf("not on this system: %v", err)
			}
			_, err := check(t, s, slot.Live)
			wantCode(t, err, fault.NotLive)
			if err := os.RemoveAll(s.Path("machine")); err != nil {
				t.Fatal(err)
			}
			_, err = check(t, s, slot.Live)
			wantCode(t, err, fault.NotLive)
		})
	}
}
