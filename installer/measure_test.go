package installer_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// fit takes a bundle to where variants can be measured.
func fit(t *testing.T, s *testroot.Site, path string) *installer.Fitted {
	t.Helper()
	src, err := s.In.Open(t.Context(), path, bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	auth, err := s.In.Authenticate(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.In.Fit(t.Context(), auth, installer.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scratch lists what measurements left below the root.
func scratch(t *testing.T, s *testroot.Site) []string {
	t.Helper()
	found, err := filepath.Glob(s.Path(slot.StagingDir + "/*.measure"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Every variant is measured, in the signed order; nothing but the log and the engine's program is new afterwards.
func TestMeasure(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	f := fit(t, s, s.Bundle(testroot.BundleOptions{Variants: []string{"first", "second", "third", "huge"}, Wrong: []string{"first"}, Unfit: []string{"huge"}}))
	before := snapshot(t, s.Root())
	m, err := s.In.Measure(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, v := range m.Variants {
		got += v.Variant + " " + v.Result + ", "
		if (v.Result == installer.ResultPassed) != (v.Report != nil && v.Report.Passed) || v.Result != installer.ResultPassed && v.Reason == "" {
			t.Errorf("%+v", v)
		}
	}
	if got != "first failed, second passed, third passed, huge not_run, " || m.Chosen != "second" || m.Variants[0].Code != fault.SmokeFailed {
		t.Errorf("%s chosen %q", got, m.Chosen)
	}
	same(t, before, snapshot(t, s.Root()))
	if left := scratch(t, s); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	if v, err := s.In.Versions(); err != nil || len(v) != 0 {
		t.Errorf("installed %+v: %v", v, err)
	}
}

// Unverified bytes are never executed: with one byte of the bundle changed no child is started, whichever variant the byte belongs to.
func TestMeasureExecutesNothingUnverified(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("uses a shell script as the program")
	}
	s := testroot.New(t)
	good := s.Bundle(testroot.BundleOptions{})
	mark := filepath.Join(s.Dir, "executed")
	program := filepath.Join(s.Dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n[ \"$1\" = __infer ] && echo x >>"+mark+"\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Config.Program = program
	s.Restart()
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 4000; at < len(raw)-2000; at += len(raw) / 40 {
		bad := append([]byte(nil), raw...)
		bad[at] ^= 4
		path := filepath.Join(s.Dir, "bad.tar.zst")
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.In.Install(t.Context(), path, installer.InstallOptions{Measured: func(*installer.Measurement) { t.Error("measured") }})
		if err == nil || fault.CodeOf(err).Exit() != 3 {
			t.Errorf("byte %d changed: %v", at, err)
		}
		refused++
	}
	if _, err := os.Stat(mark); err == nil || refused < 20 {
		t.Fatalf("something was executed, or only %d bundles were tried", refused)
	}
	if left := scratch(t, s); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	if _, err := s.In.Measure(t.Context(), fit(t, s, good)); err == nil { // the stand-in is no engine; but now it was started
		t.Error("a program that does nothing measured something")
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the genuine bundle was not executed either: %v", err)
	}
}

// A power cut in the middle of a measurement leaves a scratch folder; the next writing step removes it.
func TestMeasurePowerCut(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	f := fit(t, s, s.Bundle(testroot.BundleOptions{}))
	cut := errors.New("power cut")
	s.In.SetCrash(func(at string) {
		if at == "measuring" {
			panic(cut)
		}
	})
	func() {
		defer func() {
			if p := recover(); p != cut {
				t.Errorf("panic %v", p)
			}
		}()
		_, _ = s.In.Measure(t.Context(), f)
	}()
	if len(scratch(t, s)) != 1 {
		t.Fatal("no scratch folder was left: the cut came at another moment")
	}
	s.Restart()
	s.Install(s.Bundle(testroot.BundleOptions{}))
	if left := scratch(t, s); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	if p, err := s.In.Pending(); err != nil || len(p) != 0 {
		t.Errorf("pending %+v: %v", p, err)
	}
}

// The installed variants are measured where they lie; a changed byte is found before anything runs.
func TestMeasureInstalled(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	path := s.Bundle(testroot.BundleOptions{})
	s.Install(path)
	if _, _, err := s.In.Install(t.Context(), path, installer.InstallOptions{Variant: "second"}); err != nil {
		t.Fatal(err)
	}
	m, err := s.In.MeasureInstalled(t.Context(), "1.0.0")
	if err != nil || len(m.Variants) != 2 || m.Chosen != "first" || m.Variants[1].Result != installer.ResultPassed {
		t.Fatalf("%+v: %v", m, err)
	}
	file := s.Path(slot.Folder("1.0.0") + "/artifacts/first.onnx")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ToUpper(string(raw))), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.MeasureInstalled(t.Context(), "1.0.0")
	wantCode(t, err, fault.InstalledChanged)
}
