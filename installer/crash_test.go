package installer_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/testroot"
	"sluice/verify"
)

// What the victim of TestKilled is told.
const (
	envDir    = "SLUICE_TEST_VICTIM_DIR"
	envBundle = "SLUICE_TEST_VICTIM_BUNDLE"
	envAct    = "SLUICE_TEST_VICTIM_ACT"
	envPoint  = "SLUICE_TEST_VICTIM_POINT"
	envHold   = "SLUICE_TEST_VICTIM_HOLD"
)

// acts are what the victim does when it is killed; each can be done again.
var acts = map[string]func(s *testroot.Site, bundle string) error{
	"install": func(s *testroot.Site, bundle string) error {
		_, _, err := s.In.Install(s.T.Context(), bundle, installer.InstallOptions{})
		return err
	},
	"enable": func(s *testroot.Site, _ string) error {
		a, err := s.In.Reapprove(s.T.Context(), slot.Live)
		if err != nil {
			return err
		}
		_, err = s.In.GoLive(s.T.Context(), a)
		return err
	},
	"rollback": func(s *testroot.Site, _ string) error {
		_, err := s.In.Rollback(s.T.Context(), installer.RollbackOptions{Operator: "anna", Key: s.Keys["anna"], Reason: "test"})
		return err
	},
	"disable": func(s *testroot.Site, _ string) error { return s.In.Disable(s.T.Context(), "anna", "test") },
	"trust": func(s *testroot.Site, medium string) error {
		_, err := s.In.TakeTrust(s.T.Context(), []string{medium}, "anna")
		return err
	},
	"sign": func(s *testroot.Site, _ string) error {
		_, err := s.Decide(slot.Paper, "anna")
		return err
	},
}

// TestVictim is no test: it is the process that TestKilled kills.
func TestVictim(t *testing.T) {
	dir := os.Getenv(envDir)
	if dir == "" {
		return // not a test of its own: the process that TestKilled starts and kills
	}
	point, err := strconv.Atoi(os.Getenv(envPoint))
	if err != nil {
		t.Fatal(err)
	}
	s := testroot.At(t, dir)
	if os.Getenv(envHold) != "" {
		s.In.SetCrash(func(at string) {
			if at == os.Getenv(envHold) {
				fmt.Println("holds at", at)
				time.Sleep(time.Minute) // whoever started this kills it
			}
		})
		if err := acts[os.Getenv(envAct)](s, os.Getenv(envBundle)); err != nil {
			t.Fatal(err)
		}
		return
	}
	n := 0
	s.In.SetCrash(func(at string) {
		if n++; n == point {
			fmt.Println("killed at", at)
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill() // no deferred function runs, as in a power cut
			select {}
		}
	})
	if err := acts[os.Getenv(envAct)](s, os.Getenv(envBundle)); err != nil {
		t.Fatal(err)
	}
	fmt.Println("lived")
}

// A process killed between any two changes of the disk leaves the old state or the new one, the next start settles it,
// and doing the same again succeeds.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, act := range []string{"install", "sign", "enable", "rollback", "disable", "trust"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			before, bundle := prepared(t, act)
			was := liveVersion(t, before)
			for point := 1; ; point++ {
				if point > 60 {
					t.Fatal("it never ends")
				}
				if testing.Short() && point > 3 {
					return
				}
				s := before.Copy()
				out := victim(t, s.Dir, act, bundle, point)
				live, problems := state(t, s)
				if act == "disable" && isOn(t, s) { // the marker comes first
					problems += "live is on; "
				}
				if live == "" && was != "" {
					problems += "nothing is live any more"
				}
				if problems != "" {
					t.Fatalf("point %d (%s): %s", point, out, problems)
				}
				if err := acts[act](s, bundle); err != nil && !strings.Contains(err.Error(), "already") {
					t.Fatalf("point %d (%s), live was %q: again: %v", point, out, live, err)
				}
				if k := s.In.Knowledge(); act == "trust" && (k.Source != slot.EvidenceRevocations || k.Untrusted != "") {
					t.Fatalf("point %d (%s): %+v", point, out, k)
				}
				if act == "sign" {
					if _, err := s.In.Reapprove(t.Context(), slot.Paper); err != nil {
						t.Fatalf("point %d (%s): %v", point, out, err)
					}
				}
				if p, err := s.In.Pending(); err != nil || len(p) != 0 {
					t.Fatalf("point %d (%s): pending %v: %v", point, out, p, err)
				}
				if strings.Contains(out, "lived") {
					return
				}
			}
		})
	}
}

// prepared is a root in the state before an act.
func prepared(t *testing.T, act string) (*testroot.Site, string) {
	if act == "sign" {
		s := testroot.New(t)
		s.Install(s.Bundle(testroot.BundleOptions{}))
		return s, ""
	}
	s := testroot.Live(t)
	if act == "trust" {
		key := testroot.Public(testroot.Key("vendor2"))
		return s, s.Medium(map[string][]byte{
			"2.root.json":      s.NextRoot(verify.Oem, verify.RootChange{AddTargets: []bundle.PublicKey{key}, RemoveTargets: []bundle.PublicKey{testroot.Public(s.Vendor)}}, s.Vendor),
			"site.2.root.json": s.NextRoot(verify.Site, verify.RootChange{}, s.Owner),
			"revocations.json": s.Revoke(verify.Oem, 1, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), s.Vendor, []bundle.PublicKey{testroot.Public(testroot.Key("leaked"))}, nil),
		})
	}
	bundle := s.Bundle(testroot.BundleOptions{Version: "1.1.0"})
	switch act {
	case "install", "disable":
		return s, bundle
	case "rollback":
		s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
		return s, ""
	}
	s.Install(bundle)
	s.SignOff(slot.Paper, "anna")
	s.SignOff(slot.Live, "anna", "jan")
	return s, bundle
}

func victim(t *testing.T, dir, act, bundle string, point int) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), envDir+"="+dir, envAct+"="+act, envBundle+"="+bundle, envPoint+"="+strconv.Itoa(point))
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err == nil && !strings.Contains(text, "lived") || err != nil && !strings.Contains(text, "killed at") {
		t.Fatalf("point %d: the victim said %q: %v", point, text, err)
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// state says what is live, and what is wrong with what the victim left.
func state(t *testing.T, s *testroot.Site) (live, problems string) {
	t.Helper()
	s.Restart()
	st, err := s.In.Status()
	if err != nil {
		return "", err.Error()
	}
	for _, p := range st.Problems {
		problems += p.Message + "; "
	}
	for _, v := range st.Versions {
		if v.Problem != "" {
			problems += v.Problem + "; "
		}
		if _, err := s.In.VerifyInstalled(t.Context(), v.Folder); err != nil {
			problems += err.Error() + "; "
		}
	}
	return st.Stages[slot.Live].Version, problems
}

func liveVersion(t *testing.T, s *testroot.Site) string {
	t.Helper()
	st, err := s.In.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st.Stages[slot.Live].Version
}
