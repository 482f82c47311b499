package installer_test

import (
	"context"
	"crypto/sha512"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/progress"
	"sluice/internal/testroot"
	"sluice/verify"
)

func TestMain(m *testing.M) { testroot.Main(m) }

func wantCode(t *testing.T, err error, want fault.Code) {
	t.Helper()
	if got := fault.CodeOf(err); got != want {
		t.Fatalf("code %q, want %q: %v", got, want, err)
	}
}

// snapshot is every file below a root with its content, but for the log, the staging folder and the lock.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		rel = filepath.ToSlash(rel)
		if strings.HasPrefix(rel, "audit/") || strings.HasPrefix(rel, ".staging") || strings.HasPrefix(rel, ".lock") ||
			strings.HasSuffix(rel, ".repeats") || strings.HasSuffix(rel, ".next") {
			return nil
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			out[rel] = "-> " + to
			return err
		case d.Type().IsRegular():
			raw, err := os.ReadFile(p)
			sum := sha512.Sum384(raw)
			out[rel] = string(sum[:])
			return err
		default:
			out[rel] = "folder"
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(t *testing.T, before, after map[string]string) {
	t.Helper()
	for p, v := range before {
		if after[p] != v {
			t.Errorf("%q changed or is gone", p)
		}
	}
	for p := range after {
		if _, ok := before[p]; !ok {
			t.Errorf("%q is new", p)
		}
	}
}

// Every step refuses a nil token, a zero token, and one that was made for another root.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	other := testroot.New(t)
	ctx := t.Context()
	path := s.Bundle(testroot.BundleOptions{})
	src, err := s.In.Open(ctx, path, bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	auth, err := s.In.Authenticate(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	fitted, err := s.In.Fit(ctx, auth, installer.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	staged, err := s.In.Stage(ctx, fitted)
	if err != nil {
		t.Fatal(err)
	}
	candidate, err := s.In.Activate(ctx, staged)
	if err != nil {
		t.Fatal(err)
	}
	tested, err := s.In.Smoke(ctx, candidate)
	if err != nil {
		t.Fatal(err)
	}
	given, err := verify.WithKey(ctx, src, testroot.Public(s.Vendor))
	if err != nil {
		t.Fatal(err)
	}
	r := s.SignOff(slot.Paper, "anna")
	if !r.Complete || r.Approved == nil {
		t.Fatalf("paper is not complete: %+v", r)
	}
	sign := installer.SignOffOptions{Stage: slot.Paper, Operator: "anna", Key: s.Keys["anna"]}
	for name, step := range map[string]func() error{
		"authenticate nil":  func() error { _, err := s.In.Authenticate(ctx, nil); return err },
		"authenticate zero": func() error { _, err := s.In.Authenticate(ctx, &bundle.Source{}); return err },
		"fit nil":           func() error { _, err := s.In.Fit(ctx, nil, installer.FitOptions{}); return err },
		"fit zero":          func() error { _, err := s.In.Fit(ctx, &verify.Authentic{}, installer.FitOptions{}); return err },
		"fit given key":     func() error { _, err := s.In.Fit(ctx, given, installer.FitOptions{}); return err },
		"stage nil":         func() error { _, err := s.In.Stage(ctx, nil); return err },
		"stage zero":        func() error { _, err := s.In.Stage(ctx, &installer.Fitted{}); return err },
		"stage other":       func() error { _, err := other.In.Stage(ctx, fitted); return err },
		"activate nil":      func() error { _, err := s.In.Activate(ctx, nil); return err },
		"activate zero":     func() error { _, err := s.In.Activate(ctx, &installer.Staged{}); return err },
		"activate other":    func() error { _, err := other.In.Activate(ctx, staged); return err },
		"smoke nil":         func() error { _, err := s.In.Smoke(ctx, nil); return err },
		"smoke zero":        func() error { _, err := s.In.Smoke(ctx, &installer.Candidate{}); return err },
		"smoke other":       func() error { _, err := other.In.Smoke(ctx, candidate); return err },
		"measure nil":       func() error { _, err := s.In.Measure(ctx, nil); return err },
		"measure zero":      func() error { _, err := s.In.Measure(ctx, &installer.Fitted{}); return err },
		"measure other":     func() error { _, err := other.In.Measure(ctx, fitted); return err },
		"opinion nil":       func() error { _, err := s.In.SecondOpinion(ctx, nil); return err },
		"opinion zero":      func() error { _, err := s.In.SecondOpinion(ctx, &installer.Tested{}); return err },
		"opinion other":     func() error { _, err := other.In.SecondOpinion(ctx, tested); return err },
		"sign-off nil":      func() error { _, err := s.In.SignOff(ctx, nil, sign); return err },
		"sign-off zero":     func() error { _, err := s.In.SignOff(ctx, &installer.Tested{}, sign); return err },
		"sign-off other":    func() error { _, err := other.In.SignOff(ctx, tested, sign); return err },
		"checklist nil":     func() error { _, err := s.In.Checklist(ctx, nil, slot.Paper); return err },
		"checklist zero":    func() error { _, err := s.In.Checklist(ctx, &installer.Tested{}, slot.Paper); return err },
		"live nil":          func() error { _, err := s.In.GoLive(ctx, nil); return err },
		"live zero":         func() error { _, err := s.In.GoLive(ctx, &installer.Approved{}); return err },
		"live other":        func() error { _, err := other.In.GoLive(ctx, r.Approved); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			if err := step(); err == nil {
				t.Fatal("not refused")
			}
		})
	}
	t.Run("the ladder: an approval of paper does not go live", func(t *testing.T) {
		_, err := s.In.GoLive(ctx, r.Approved)
		wantCode(t, err, fault.StageOrder)
	})
	t.Run("a used token", func(t *testing.T) {
		_, err := s.In.Activate(ctx, staged)
		wantCode(t, err, fault.VersionUnknown)
	})
}

// What lies installed and whole is verified and reused; what is damaged is replaced by a verified copy.
func TestInstallAgain(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	path := s.Bundle(testroot.BundleOptions{})
	first := s.Install(path)
	folder := s.Path(first.Record().Folder)
	model := filepath.Join(folder, "artifacts", "first.onnx")
	before, err := os.Stat(model)
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode().Perm()&0o222 != 0 {
		t.Errorf("installed file has mode %v, want read-only", before.Mode())
	}
	s.Install(path)
	after, err := os.Stat(model)
	if err != nil || !os.SameFile(before, after) {
		t.Fatalf("a whole version was copied again: %v", err)
	}
	raw, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.Chmod(model, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(model, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.In.VerifyInstalled(t.Context(), folder); err == nil {
		t.Fatal("a damaged folder was verified")
	}
	s.Install(path)
	if _, err := s.In.VerifyInstalled(t.Context(), folder); err != nil {
		t.Fatalf("not repaired: %v", err)
	}
}

// An interrupted copy is continued; what lies there is believed only where it is exactly the signed bytes.
func TestResume(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	path := s.Bundle(testroot.BundleOptions{Bulk: 40 << 20})
	ctx, cancel := context.WithCancel(t.Context())
	s.Config.Progress = func(e progress.Event) {
		if e.Step == progress.Stage && e.Done > 0 {
			cancel()
		}
	}
	s.Restart()
	_, _, err := s.In.Install(ctx, path, installer.InstallOptions{})
	s.Config.Progress = nil
	s.Restart()
	if err == nil {
		t.Skip("the copy was done before it could be cancelled")
	}
	wantCode(t, err, fault.Cancelled)
	partials, err := filepath.Glob(s.Path(".staging/*.partial"))
	if err != nil || len(partials) != 1 {
		t.Fatalf("leftovers %q: %v", partials, err)
	}
	bulk := filepath.Join(partials[0], "artifacts", "bulk.bin")
	f, err := os.OpenFile(bulk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("not what was signed"), 3); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.WriteFile(filepath.Join(partials[0], "planted"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(bulk)
	if err != nil {
		t.Fatal(err)
	}
	tested := s.Install(path)
	after, err := os.Stat(filepath.Join(s.Path(tested.Record().Folder), "artifacts", "bulk.bin"))
	if err != nil || !os.SameFile(before, after) {
		t.Fatalf("the copy began anew: %v", err)
	}
	if _, err := s.In.VerifyInstalled(t.Context(), s.Path(tested.Record().Folder)); err != nil {
		t.Fatal(err)
	}
}

// A variant that fails its smoke test is taken back, and the next one takes its place.
func TestNextVariant(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	tested, attempts, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{Wrong: []string{"first"}}), installer.InstallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := tested.Record()
	if r.Variant != "second" || r.Folder != slot.Folder("1.0.0") {
		t.Errorf("variant %q in %q", r.Variant, r.Folder)
	}
	for _, list := range [][]installer.Attempt{attempts, r.Attempts} {
		if len(list) != 2 || list[0].Passed || list[0].Code != fault.SmokeFailed || !list[1].Passed {
			t.Errorf("attempts %+v", list)
		}
	}
	versions, err := s.In.Versions()
	if err != nil || len(versions) != 1 {
		t.Errorf("versions %+v: %v", versions, err)
	}
	// Every golden case of the failed variant is kept: in the answer, in the record, and in the log.
	for name, a := range map[string]installer.Attempt{"answer": attempts[0], "record": r.Attempts[0]} {
		if a.Report == nil || len(a.Report.Cases) == 0 || a.Report.Cases[0].Passed || a.Report.Cases[0].Worst == nil || a.Report.Cases[0].Wrong == 0 {
			t.Errorf("%s: %+v", name, a.Report)
		}
	}
	if r.Attempts[1].Report != nil || attempts[1].Report == nil || len(r.Proof.Cases) == 0 || !r.Proof.Cases[0].Passed || r.Proof.Runs == 0 {
		t.Errorf("the proof of the one that passed: %+v", r)
	}
	log, err := os.ReadFile(s.Path("audit/decision_logs/demo.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), `"event":"smoke_rows"`); n != 1 || !strings.Contains(string(log), `"row_00001":{"abs":`) || !strings.Contains(string(log), `"expected":{"dtype":"float32"`) {
		t.Errorf("%d entries with rows", n)
	}
}

// When no variant passes, what was there before stays as it was.
func TestFailedSmokeKeepsOld(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	before := snapshot(t, s.Root())
	_, attempts, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{Version: "1.1.0", Wrong: []string{"first", "second"}}), installer.InstallOptions{})
	wantCode(t, err, fault.SmokeFailed)
	if len(attempts) != 2 {
		t.Errorf("attempts %+v", attempts)
	}
	after := snapshot(t, s.Root())
	delete(before, "machine/state.json") // remembers that 1.1.0 was seen
	delete(after, "machine/state.json")
	same(t, before, after)
	_, _, err = s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{Version: "1.1.0", Salt: "other"}), installer.InstallOptions{})
	wantCode(t, err, fault.VersionReused)
}

// After a refused bundle nothing outside the log and the staging folder has changed; the refusal stands in the log.
func TestRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	good := s.Bundle(testroot.BundleOptions{Version: "1.2.0"})
	flip := func(at float64) string {
		raw, err := os.ReadFile(good)
		if err != nil {
			t.Fatal(err)
		}
		raw[int(float64(len(raw))*at)] ^= 0x10
		p := filepath.Join(t.TempDir(), filepath.Base(good))
		if err := os.WriteFile(p, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		path string
		exit int
		opts installer.InstallOptions
	}{
		"a byte of the manifest":  {flip(0.02), 3, installer.InstallOptions{}},
		"a byte of an artifact":   {flip(0.5), 3, installer.InstallOptions{}},
		"a byte of the end":       {flip(0.999), 3, installer.InstallOptions{}},
		"unknown signer":          {s.Bundle(testroot.BundleOptions{Version: "1.3.0", Keys: testKeys("stranger")}), 3, installer.InstallOptions{}},
		"older than the floor":    {s.Bundle(testroot.BundleOptions{Version: "1.0.9"}), 3, installer.InstallOptions{}},
		"a version seen":          {s.Bundle(testroot.BundleOptions{Version: "1.1.0", Salt: "x"}), 3, installer.InstallOptions{}},
		"no variant fits":         {s.Bundle(testroot.BundleOptions{Version: "1.4.0", Unfit: []string{"first", "second"}}), 5, installer.InstallOptions{}},
		"the variant is unknown":  {good, 5, installer.InstallOptions{Variant: "third"}},
		"the variant does not go": {s.Bundle(testroot.BundleOptions{Version: "1.5.0", Unfit: []string{"first"}}), 5, installer.InstallOptions{Variant: "first"}},
		"no such file":            {filepath.Join(t.TempDir(), "none.tar.zst"), 8, installer.InstallOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			before := snapshot(t, s.Root())
			_, _, err := s.In.Install(t.Context(), c.path, c.opts)
			if err == nil || fault.CodeOf(err).Exit() != c.exit {
				t.Fatalf("exit %d, want %d: %v", fault.CodeOf(err).Exit(), c.exit, err)
			}
			same(t, before, snapshot(t, s.Root()))
			id := installer.IncidentOf(err)
			raw, rerr := os.ReadFile(s.Path("audit/decision_logs/demo.jsonl"))
			if rerr != nil || len(id) != 7 || !strings.Contains(string(raw), `"incident":"`+id+`"`) || !strings.Contains(string(raw), string(fault.CodeOf(err))) {
				t.Errorf("incident %q is not in the log: %v", id, rerr)
			}
		})
	}
}

func TestNoTrust(t *testing.T) {
	t.Parallel()
	s := testroot.Empty(t)
	_, _, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{}), installer.InstallOptions{})
	wantCode(t, err, fault.TrustNone)
	if installer.IncidentOf(err) == "" {
		t.Error("no incident")
	}
}

// A root that cannot be written refuses before the bundle is opened, and the refusal comes back all the same.
func TestUnwritableRoot(t *testing.T) {
	t.Parallel()
	s := testroot.Empty(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.Config.Root = filepath.Join(file, "below")
	s.Restart()
	_, _, err := s.In.Install(t.Context(), "nowhere.tar.zst", installer.InstallOptions{})
	if code := fault.CodeOf(err); code != fault.RootReadonly && code != fault.IO {
		t.Fatalf("code %q: %v", code, err)
	}
	if installer.IncidentOf(err) == "" {
		t.Error("no incident")
	}
}

// Two installers: one works, the other is told who does.
func TestLocked(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	lock, err := fsx.Lock(s.Path(slot.LockFile), "install by somebody")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{}), installer.InstallOptions{})
	wantCode(t, err, fault.Locked)
	if d := fault.DetailOf(err); d["holder"] != "install by somebody" {
		t.Errorf("detail %v", d)
	}
	st, err := s.In.Status()
	if err != nil || st.Busy == "" {
		t.Errorf("status %+v: %v", st, err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	s.Install(s.Bundle(testroot.BundleOptions{}))
}

// An intent without outcome is concluded by the next start, by what the file really is.
func TestSettle(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	if err := s.In.Announce("ai_models/demo.json", strings.Repeat("a", 96)); err != nil {
		t.Fatal(err)
	}
	if p, err := s.In.Pending(); err != nil || len(p) != 1 {
		t.Fatalf("pending %v: %v", p, err)
	}
	s.Restart()
	s.Install(s.Bundle(testroot.BundleOptions{}))
	if p, err := s.In.Pending(); err != nil || len(p) != 0 {
		t.Fatalf("pending %v: %v", p, err)
	}
	raw, err := os.ReadFile(s.Path("audit/decision_logs/demo.jsonl"))
	if err != nil || !strings.Contains(string(raw), `"status":"abandoned"`) {
		t.Errorf("the intent was not concluded: %v", err)
	}
}
