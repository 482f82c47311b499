package installer_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// holder starts a process that does an act and stays at a point of it, with the lock; kill ends it as a power cut does.
func holder(t *testing.T, s *testroot.Site, act, bundle, at string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), envDir+"="+s.Dir, envAct+"="+act, envBundle+"="+bundle, envPoint+"=0", envHold+"="+at)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	kill = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said += lines.Text() + "\n"; strings.HasPrefix(lines.Text(), "holds at ") {
			return kill
		}
	}
	t.Fatalf("the process ended at no %q: %s", at, said)
	return nil
}

func stopOf(t *testing.T, s *testroot.Site) (*installer.Stop, installer.StageStatus) {
	t.Helper()
	st, err := s.In.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st.Stop, st.Stages[slot.Live]
}

// Live stops while another process installs, within about a second; the next writing step takes it into record and log,
// and only a new start switches it on again.
func TestStopWhileInstalling(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	kill := holder(t, s, "install", s.Bundle(testroot.BundleOptions{Version: "1.1.0"}), "changed activate")
	began := time.Now()
	if err := s.In.Disable(t.Context(), "anna", "strange quotes"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	stop, live := stopOf(t, s)
	if stop == nil || stop.Operator != "anna" || stop.Reason != "strange quotes" || live.Enabled || live.Version != "1.0.0" {
		t.Errorf("stop %+v, live %+v", stop, live)
	}
	kill()
	if err := s.In.LogAppend(t.Context(), slot.Demo, "jan", "any writing step", nil); err != nil {
		t.Fatal(err)
	}
	if stop, live = stopOf(t, s); stop != nil || live.Enabled {
		t.Errorf("stop %+v, live %+v", stop, live)
	}
	raw, err := os.ReadFile(s.Path("audit/decision_logs/live_execution.jsonl"))
	if err != nil || !strings.Contains(string(raw), `"event":"live_stop"`) || !strings.Contains(string(raw), "strange quotes") {
		t.Errorf("the log does not tell: %v", err)
	}
	if r := s.Enable(); !r.Enabled || !isOn(t, s) {
		t.Errorf("record %+v", r)
	}
}

// A stop that comes while another process switches live on, wins.
func TestStopWhileEnabling(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	if err := s.In.Disable(t.Context(), "anna", "lunch"); err != nil {
		t.Fatal(err)
	}
	holder(t, s, "enable", "", "intent record")
	if err := s.In.Disable(t.Context(), "jan", "no"); err != nil {
		t.Fatal(err)
	}
	if isOn(t, s) {
		t.Error("live is on")
	}
	// The same within one process: the marker appears between the proof and the record.
	s = testroot.Live(t)
	s.In.SetCrash(func(at string) {
		if at == "intent record" {
			_ = os.WriteFile(s.Path(slot.StopFile), nil, 0o644)
		}
	})
	a, err := s.In.Reapprove(t.Context(), slot.Live)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.In.GoLive(t.Context(), a)
	wantCode(t, err, fault.NotLive)
	if isOn(t, s) {
		t.Error("live is on")
	}
}

// Whatever lies at the marker's name stops, and can be settled.
func TestStopByAnything(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(p string) error{
		"nothing":      func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"garbage":      func(p string) error { return os.WriteFile(p, []byte(`{"schema":"sluice-stop/1","x":`), 0o644) },
		"much garbage": func(p string) error { return os.WriteFile(p, make([]byte, 8<<20), 0o644) },
		"link":         func(p string) error { return os.Symlink("live.json", p) },
		"dangling":     func(p string) error { return os.Symlink("/nowhere", p) },
		"folder":       func(p string) error { return os.MkdirAll(filepath.Join(p, "x"), 0o755) },
		"fifo":         func(p string) error { return exec.Command("mkfifo", p).Run() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testroot.Live(t)
			if err := put(s.Path(slot.StopFile)); err != nil {
				t.Skipf("not on this system: %v", err)
			}
			if stop, live := stopOf(t, s); stop == nil || live.Enabled {
				t.Errorf("stop %+v, live %+v", stop, live)
			}
			if err := s.In.LogAppend(t.Context(), slot.Demo, "jan", "any writing step", nil); err != nil {
				t.Fatal(err)
			}
			if stop, live := stopOf(t, s); stop != nil || live.Enabled || live.Version != "1.0.0" {
				t.Errorf("stop %+v, live %+v", stop, live)
			}
			s.Enable()
			if !isOn(t, s) {
				t.Error("live is off")
			}
		})
	}
}

// Where the disk takes no new file, the record itself becomes the marker, and the next writer puts it back.
func TestStopByMovingTheRecord(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	if err := os.Rename(s.Path("ai_models/live.json"), s.Path(slot.StopFile)); err != nil {
		t.Fatal(err)
	}
	if err := s.In.LogAppend(t.Context(), slot.Demo, "jan", "any writing step", nil); err != nil {
		t.Fatal(err)
	}
	if stop, live := stopOf(t, s); stop != nil || live.Enabled || live.Version != "1.0.0" {
		t.Errorf("stop %+v, live %+v", stop, live)
	}
	s.Enable()
}

// A refused writer never makes a new machine key beside what the old one signed.
func TestNoSecondMachineKey(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	for _, name := range []string{"machine/machine.key", "machine/machine.pub"} {
		if err := os.Remove(s.Path(name)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.In.LogAppend(t.Context(), slot.Demo, "jan", "note", nil), fault.MachineOther)
		if _, err := os.Stat(s.Path("machine/machine.key")); !os.IsNotExist(err) {
			t.Errorf("without %q there is a new key: %v", name, err)
		}
	}
}
