package installer_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

func testKeys(names ...string) []ed25519.PrivateKey {
	var out []ed25519.PrivateKey
	for _, n := range names {
		out = append(out, testroot.Key(n))
	}
	return out
}

// The way from a bundle to live, and a second version after it.
func TestJourney(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	first := s.GoLive(testroot.BundleOptions{})
	if first.Version != "1.0.0" || !first.Enabled || first.Previous != nil || len(first.SignOffs) != 3 {
		t.Fatalf("live record %+v", first)
	}
	second := s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	if second.Version != "1.1.0" || second.Previous == nil || second.Previous.Version != "1.0.0" {
		t.Fatalf("live record %+v", second)
	}
	st, err := s.In.Status()
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Problems) != 0 || st.Floor != "1.1.0" || st.ModelFamily != testroot.Family || !st.Stages[slot.Live].Enabled ||
		st.Stages[slot.Live].Previous != "1.0.0" || !slices.Equal(st.Next, []string{"check", "--stage", "live"}) {
		t.Errorf("status %+v", st)
	}
	if target, err := os.Readlink(s.Path("ai_models/bundles/latest")); err != nil || target != "v1_1_0" {
		t.Errorf("latest is %q: %v", target, err)
	}
	logs, err := s.In.LogVerify(t.Context())
	if err != nil || len(logs) != 3 {
		t.Errorf("logs %+v: %v", logs, err)
	}
	r, err := s.In.Report(t.Context(), installer.ReportOptions{Stage: slot.Live})
	if err != nil || !strings.Contains(r.Text, "1.1.0") {
		t.Fatalf("report %+v: %v", r, err)
	}
	for _, path := range []string{r.Path, r.Pages, r.Evidence} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// Status names the next command on each rung.
func TestStatusNext(t *testing.T) {
	t.Parallel()
	s := testroot.Empty(t)
	next := func(want string) {
		t.Helper()
		st, err := s.In.Status()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(st.Next, " "); !strings.HasPrefix(got, want) {
			t.Errorf("next %q, want %q; problems %v", got, want, st.Problems)
		}
	}
	next("trust init --of oem")
	s.Trust(verify.Oem, s.Vendor)
	next("install")
	s.Install(s.Bundle(testroot.BundleOptions{}))
	next("trust init --of site")
	s.Trust(verify.Site, s.Owner)
	next("policy init")
	s.SetPolicy(false)
	next("signoff --stage paper --operator anna")
	s.SignOff(slot.Paper, "anna")
	next("signoff --stage live --operator anna")
	s.SignOff(slot.Live, "ewa")
	next("signoff --stage live --operator jan")
	s.SignOff(slot.Live, "jan")
	next("live enable")
	s.Enable()
	next("check --stage live")
	if err := s.In.Disable(t.Context(), "anna", "test"); err != nil {
		t.Fatal(err)
	}
	next("live enable")
}

// No step of the ladder can be skipped, and without a policy nobody signs.
func TestLadder(t *testing.T) {
	t.Parallel()
	s := testroot.Empty(t)
	s.Trust(verify.Oem, s.Vendor)
	_, err := s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.BundleMissing)
	s.Install(s.Bundle(testroot.BundleOptions{}))
	_, err = s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.PolicyNone)
	_, err = s.Decide(slot.Paper, "anna")
	wantCode(t, err, fault.PolicyNone)
	s.Trust(verify.Site, s.Owner)
	s.SetPolicy(true)
	_, err = s.Decide(slot.Live, "anna")
	wantCode(t, err, fault.StageOrder)
	_, err = s.In.Reapprove(t.Context(), slot.Paper)
	wantCode(t, err, fault.NotSignedOff)
	s.SignOff(slot.Paper, "anna")
	if _, err = s.In.Reapprove(t.Context(), slot.Paper); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.NotSignedOff)
	r := s.SignOff(slot.Live, "anna")
	if r.Complete || !slices.Equal(r.MissingRoles, []string{compliance.RoleCompliance}) {
		t.Errorf("result %+v", r)
	}
	_, err = s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.NotSignedOff)
	// A new version takes the demo rung: the old sign-offs are not its own.
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
	_, err = s.Decide(slot.Live, "jan")
	wantCode(t, err, fault.StageOrder)
}

func TestSignOffRefusals(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	s.Install(s.Bundle(testroot.BundleOptions{}))
	tested, err := s.In.Reopen(t.Context(), "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.In.Checklist(t.Context(), tested, slot.Paper)
	if err != nil {
		t.Fatal(err)
	}
	answers := testroot.Answers(list, compliance.RoleOperator)
	good := installer.SignOffOptions{Stage: slot.Paper, Operator: "anna", Role: compliance.RoleOperator, Key: s.Keys["anna"], Answers: answers}
	change := func(f func(o *installer.SignOffOptions)) installer.SignOffOptions { o := good; f(&o); return o }
	for name, c := range map[string]struct {
		o    installer.SignOffOptions
		want fault.Code
	}{
		"another's key": {change(func(o *installer.SignOffOptions) { o.Key = s.Keys["jan"] }), fault.KeyUnfit},
		"no key":        {change(func(o *installer.SignOffOptions) { o.Key = nil }), fault.KeyUnfit},
		"a stranger":    {change(func(o *installer.SignOffOptions) { o.Operator = "zoe" }), fault.PolicyRefuses},
		"no answers":    {change(func(o *installer.SignOffOptions) { o.Answers = nil }), fault.Answers},
		"no reason":     {change(func(o *installer.SignOffOptions) { o.Refuse = true }), fault.Usage},
		"stage demo":    {change(func(o *installer.SignOffOptions) { o.Stage = slot.Demo }), fault.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			before := snapshot(t, s.Root())
			_, err := s.In.SignOff(t.Context(), tested, c.o)
			wantCode(t, err, c.want)
			same(t, before, snapshot(t, s.Root()))
		})
	}
	if _, err := s.In.SignOff(t.Context(), tested, good); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.SignOff(t.Context(), tested, good)
	wantCode(t, err, fault.PolicyRefuses)
	// A refusal is signed and kept, and nothing goes on after it.
	r, err := s.In.SignOff(t.Context(), tested, installer.SignOffOptions{Stage: slot.Live, Operator: "Jan Kowalski", Role: compliance.RoleCompliance,
		Key: s.Keys["jan"], Refuse: true, Reason: "drift is too high"})
	if err != nil || !r.Refused || r.Complete {
		t.Fatalf("%+v: %v", r, err)
	}
	_, err = s.Decide(slot.Live, "anna")
	wantCode(t, err, fault.SignoffRefused)
	_, err = s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.SignoffRefused)
}

// What lies in the way of a sign-off after the fact: files that were edited or removed.
func TestReapproveFromDisk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		glob string
		edit func(p string) error
		want fault.Code
	}{
		"a sign-off is gone":    {"reports/odbior-live-*.dsse.json", os.Remove, fault.SignoffInvalid},
		"a sign-off is edited":  {"reports/odbior-paper-*.dsse.json", appendByte, fault.SignoffInvalid},
		"the record is edited":  {"ai_models/paper.json", swapVariant, fault.RecordEdited},
		"the record is spaced":  {"ai_models/paper.json", appendByte, fault.RecordEdited},
		"the policy is gone":    {"ai_models/policy.json", os.Remove, fault.RecordEdited},
		"a model is edited":     {"ai_models/bundles/v1_0_0/artifacts/first.onnx", appendByte, fault.InstalledChanged},
		"a file is planted":     {"ai_models/bundles/v1_0_0/artifacts", func(p string) error { return os.WriteFile(filepath.Join(p, "x"), nil, 0o644) }, fault.InstalledChanged},
		"the log is shortened":  {"audit/decision_logs/live_execution.jsonl", dropLastSignature, ""},
		"the log was edited":    {"audit/decision_logs/demo.jsonl", editLog, fault.LogBroken},
		"the signature is gone": {"ai_models/bundles/v1_0_0/manifest.sig", os.Remove, fault.SignatureMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testroot.Prepared(t, "signed", func(s *testroot.Site) {
				s.Install(s.Bundle(testroot.BundleOptions{}))
				s.SignOff(slot.Paper, "anna")
				s.SignOff(slot.Live, "anna", "jan")
			})
			files, err := filepath.Glob(s.Path(c.glob))
			if err != nil || len(files) == 0 {
				t.Fatalf("no %q: %v", c.glob, err)
			}
			_ = os.Chmod(files[0], 0o755)
			if err := c.edit(files[0]); err != nil {
				t.Fatal(err)
			}
			_, err = s.In.Reapprove(t.Context(), slot.Live)
			if c.want == "" {
				if err == nil {
					t.Fatal("not refused")
				}
				return
			}
			wantCode(t, err, c.want)
		})
	}
}

func appendByte(p string) error {
	raw, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	return os.WriteFile(p, append(raw, '\n'), 0o644)
}

func swapVariant(p string) error {
	raw, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	return os.WriteFile(p, []byte(strings.Replace(string(raw), `"variant": "first"`, `"variant": "second"`, 1)), 0o644)
}

// dropLastSignature cuts a log before the outcome of its last signature.
func dropLastSignature(p string) error {
	raw, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(raw), "\n")
	for len(lines) > 0 && !strings.Contains(lines[len(lines)-1], `"event":"signoff"`) {
		lines = lines[:len(lines)-1]
	}
	return os.WriteFile(p, []byte(strings.Join(lines[:len(lines)-1], "")), 0o644)
}

func editLog(p string) error {
	raw, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	return os.WriteFile(p, []byte(strings.Replace(string(raw), "tester", "nobody", 1)), 0o644)
}

func TestDisableAndRollback(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	ctx := t.Context()
	wantCode(t, s.In.Disable(ctx, "anna", "nothing there"), fault.NotLive)
	back := installer.RollbackOptions{Operator: "anna", Key: s.Keys["anna"], Reason: "wrong answers in the morning"}
	_, err := s.In.Rollback(ctx, back)
	wantCode(t, err, fault.RollbackNone)
	s.GoLive(testroot.BundleOptions{})
	_, err = s.In.Rollback(ctx, back)
	wantCode(t, err, fault.RollbackNone)
	s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	wantCode(t, s.In.Remove(ctx, "1.0.0"), fault.VersionInUse)
	wantCode(t, s.In.Remove(ctx, "1.1.0"), fault.VersionInUse)
	bad := back
	bad.Key = s.Keys["jan"]
	_, err = s.In.Rollback(ctx, bad)
	wantCode(t, err, fault.KeyUnfit)
	bad = back
	bad.Operator = "zoe"
	_, err = s.In.Rollback(ctx, bad)
	wantCode(t, err, fault.PolicyRefuses)

	r, err := s.In.Rollback(ctx, back)
	if err != nil || r.Version != "1.0.0" || !r.Enabled || r.Rollback == nil {
		t.Fatalf("record %+v: %v", r, err)
	}
	if st, err := s.In.Status(); err != nil || st.Floor != "1.1.0" || len(st.Problems) != 0 {
		t.Errorf("the floor is %q: %v", st.Floor, err)
	}
	// Enabling does not return to what was rolled back from; off and on again gives the same version.
	a, err := s.In.Reapprove(ctx, slot.Live)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.In.GoLive(ctx, a)
	wantCode(t, err, fault.PolicyRefuses)
	if err := s.In.Disable(ctx, "anna", "lunch"); err != nil {
		t.Fatal(err)
	}
	if err := s.In.Disable(ctx, "anna", "again"); err != nil {
		t.Fatal(err)
	}
	if r := s.Enable(); r.Version != "1.0.0" || !r.Enabled || r.Rollback == nil {
		t.Errorf("record %+v", r)
	}
	if r, err = s.In.Rollback(ctx, back); err != nil || r.Version != "1.1.0" {
		t.Errorf("back again: %+v: %v", r, err)
	}
	// The older one is below the floor now.
	_, _, err = s.In.Install(ctx, s.Bundle(testroot.BundleOptions{Version: "1.0.5"}), installer.InstallOptions{})
	wantCode(t, err, fault.VersionOlder)
}

// The way back is closed when its sign-offs do not stand any more.
func TestRollbackNeedsSignOffs(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	files, err := filepath.Glob(s.Path("reports/odbior-live-1.0.0-*.dsse.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.Rollback(t.Context(), installer.RollbackOptions{Operator: "anna", Key: s.Keys["anna"], Reason: "r"})
	wantCode(t, err, fault.SignoffInvalid)
}

func TestRemoveAndUninstall(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	ctx := t.Context()
	wantCode(t, s.In.Remove(ctx, "1.0.0"), fault.VersionUnknown)
	s.Install(s.Bundle(testroot.BundleOptions{}))
	s.SignOff(slot.Paper, "anna")
	if err := s.In.Remove(ctx, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	if v, err := s.In.Versions(); err != nil || len(v) != 0 {
		t.Errorf("versions %v: %v", v, err)
	}
	_, err := s.In.Reopen(ctx, "")
	wantCode(t, err, fault.BundleMissing)
	s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	if err := s.In.Uninstall(ctx, false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ai_models/bundles": false, "ai_models/live.json": false, "bin": false, "audit": true, "reports": true} {
		if _, err := os.Stat(s.Path(name)); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.2.0"})) // the same root can be used again
	if err := s.In.Uninstall(ctx, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Root()); err == nil {
		t.Error("the root is still there")
	}
}

// A person who retires signs nothing new; what was signed before still counts.
func TestRetired(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	next := *s.Policy
	next.Number, next.People = 2, slices.Clone(next.People)
	next.People[0].Retired = 2
	s.PutPolicy(&next)
	if _, err := s.In.Reapprove(t.Context(), slot.Live); err != nil {
		t.Fatalf("earlier sign-offs: %v", err)
	}
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
	_, err := s.Decide(slot.Paper, "anna")
	wantCode(t, err, fault.PolicyRefuses)
	old, err := compliance.SignPolicy(s.Policy, s.Owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.In.PolicySet(t.Context(), old); err == nil {
		t.Error("an older policy was taken")
	}
}

// Switching off needs no key and no whole log: closing must never fail for what else is wrong.
func TestDisableInTrouble(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(s *testroot.Site) error{
		"the log is broken": func(s *testroot.Site) error { return editLog(s.Path("audit/decision_logs/demo.jsonl")) },
		"the live log is broken": func(s *testroot.Site) error {
			return appendText(s.Path("audit/decision_logs/live_execution.jsonl"), "x")
		},
		"the machine's key is gone":    func(s *testroot.Site) error { return os.Remove(s.Path("machine/machine.key")) },
		"the machine's key is garbage": func(s *testroot.Site) error { return os.WriteFile(s.Path("machine/machine.key"), []byte("x"), 0o600) },
		"the machine's keys are gone":  func(s *testroot.Site) error { return os.RemoveAll(s.Path("machine")) },
		"half a line": func(s *testroot.Site) error {
			return appendText(s.Path("audit/decision_logs/live_execution.jsonl"), "{")
		},
		"the record is garbage":         func(s *testroot.Site) error { return os.WriteFile(s.Path("ai_models/live.json"), []byte("{"), 0o644) },
		"a folder is the marker":        func(s *testroot.Site) error { return os.MkdirAll(s.Path("ai_models/live.off/x"), 0o755) },
		"the logs are gone":             func(s *testroot.Site) error { return os.RemoveAll(s.Path("audit")) },
		"the vendor's trust is gone":    func(s *testroot.Site) error { return os.RemoveAll(s.Path("ai_models/keys")) },
		"the models are gone":           func(s *testroot.Site) error { return os.RemoveAll(s.Path("ai_models/bundles")) },
		"the machine's memory is wrong": func(s *testroot.Site) error { return os.WriteFile(s.Path("machine/state.json"), []byte("{"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testroot.Live(t)
			if err := trouble(s); err != nil {
				t.Fatal(err)
			}
			if err := s.In.Disable(t.Context(), "anna", "trouble"); err != nil {
				t.Fatal(err)
			}
			if isOn(t, s) {
				t.Error("live is on")
			}
		})
	}
}

// isOn says whether nothing stops the live record from being in force.
func isOn(t *testing.T, s *testroot.Site) bool {
	t.Helper()
	raw, err := os.ReadFile(s.Path("ai_models/live.json"))
	_, merr := os.Lstat(s.Path(slot.StopFile))
	_, terr := os.Lstat(s.Path(slot.StopTaken))
	return err == nil && strings.Contains(string(raw), `"enabled": true`) && os.IsNotExist(merr) && os.IsNotExist(terr)
}

func appendText(p, text string) error {
	raw, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	return os.WriteFile(p, append(raw, text...), 0o644)
}

// The evidence of live is what was verified: the logs, and the version to return to. A first version has none of the latter,
// a damaged one is evidence that did not pass.
func TestEvidenceOfLive(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	evidence := func() compliance.Evidence {
		t.Helper()
		tested, err := s.In.Reopen(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.In.Checklist(t.Context(), tested, slot.Live)
		if err != nil {
			t.Fatal(err)
		}
		return list.Evidence
	}
	s.Install(s.Bundle(testroot.BundleOptions{}))
	if e := evidence(); e[compliance.EvidenceLog].Passed || e[compliance.EvidenceRollback].Passed {
		t.Errorf("before paper: %+v", e)
	}
	s.SignOff(slot.Paper, "anna")
	e := evidence()
	if f := e[compliance.EvidenceLog]; !f.Passed || f.Values["paper_entries"] == "" || f.Values["paper_sha384"] == "" {
		t.Errorf("log: %+v", f)
	}
	if f, there := e[compliance.EvidenceRollback]; there {
		t.Errorf("way back of a first version: %+v", f)
	}
	s.SignOff(slot.Live, "anna", "jan")
	s.Enable()
	r, err := s.In.Report(t.Context(), installer.ReportOptions{Stage: slot.Live})
	if err != nil || strings.Contains(r.Text, "NOT passed") || !strings.Contains(r.Text, "paper_entries=") || !strings.Contains(r.Text, "no evidence") {
		t.Errorf("report %v:\n%+v", err, r)
	}
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
	if f := evidence()[compliance.EvidenceRollback]; !f.Passed || f.Values["version"] != "1.0.0" {
		t.Errorf("way back: %+v", f)
	}
	if err := os.WriteFile(s.Path("ai_models/bundles/v1_0_0/artifacts/bulk.bin"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if f := evidence()[compliance.EvidenceRollback]; f.Passed || f.Values["problem"] != string(fault.InstalledChanged) {
		t.Errorf("damaged way back: %+v", f)
	}
}

// Any change after a signature voids it: visibly before anybody acts, refused when it is to count, and set aside by a file
// beside it when people sign anew.
func TestChangeAfterASignatureVoidsIt(t *testing.T) {
	t.Parallel()
	s := testroot.Prepared(t, "half signed", func(s *testroot.Site) {
		s.Install(s.Bundle(testroot.BundleOptions{}))
		s.SignOff(slot.Paper, "anna")
		s.SignOff(slot.Live, "anna", "jan")
	})
	if _, err := s.In.Reapprove(t.Context(), slot.Live); err != nil {
		t.Fatal(err)
	}
	next := *s.Policy
	next.Number = 2
	next.Checklist = []compliance.Item{{ID: "limits", Stage: compliance.Live, Role: compliance.RoleOperator, Text: map[compliance.Lang]compliance.ItemText{
		compliance.English: {Step: "The desk's limits are known"}, compliance.Polish: {Step: "Limity są znane"}}}}
	s.PutPolicy(&next)
	_, err := s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.SignoffVoid)
	if d := fault.DetailOf(err); d["person"] != "anna" || !slices.Equal(d["changed"].([]string), []string{"item:site/limits:added"}) {
		t.Errorf("detail %v", d)
	}
	st, err := s.In.Status()
	if err != nil || len(st.Waiting) != 1 || len(st.Waiting[0].Void) != 2 || st.Waiting[0].Void[0].Person != "anna" || st.Next[0] != "signoff" {
		t.Fatalf("status %+v, %v", st, err)
	}
	tested, err := s.In.Reopen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.In.Approvals(tested, slot.Live)
	void, err2 := s.In.VoidSignatures(tested, slot.Live)
	if err != nil || err2 != nil || a.Complete || len(a.Signed) != 0 || len(void) != 2 {
		t.Errorf("approvals %+v, void %+v, %v, %v", a, void, err, err2)
	}
	// Jan signs anew: both old signatures are set aside, and Anna is asked again.
	r := s.SignOff(slot.Live, "jan")
	if r.Complete || len(r.Voided) != 2 || !slices.Equal(r.MissingRoles, []string{compliance.RoleOperator}) {
		t.Errorf("result %+v", r)
	}
	raw, err := os.ReadFile(strings.TrimSuffix(r.Voided[0].Path, slot.EnvelopeSuffix) + slot.VoidSuffix)
	if err != nil || !strings.Contains(string(raw), "item:site/limits:added") {
		t.Errorf("%s, %v", raw, err)
	}
	if r := s.SignOff(slot.Live, "anna"); !r.Complete || len(r.Voided) != 0 {
		t.Errorf("result %+v", r)
	}
	live := s.Enable()
	if live.Policy == nil || live.Policy.Number != 2 || len(live.SignOffs) != 3 {
		t.Errorf("live record %+v", live)
	}
	// What is live stays live when the site asks something new of the next version, also after it was off for a while.
	later := next
	later.Number = 3
	later.Checklist = append(slices.Clone(next.Checklist), compliance.Item{ID: "more", Stage: compliance.Paper, Role: compliance.RoleOperator,
		Text: map[compliance.Lang]compliance.ItemText{compliance.English: {Step: "More"}}})
	s.PutPolicy(&later)
	if err := s.In.Disable(t.Context(), "anna", "test"); err != nil {
		t.Fatal(err)
	}
	s.Enable()
	if _, err := s.In.LogVerify(t.Context()); err != nil {
		t.Error(err)
	}
}

// A smoke test that was repeated is other evidence than the one that was signed for.
func TestSmokeRepeatedAfterASignature(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	p := *s.Policy
	p.Number = 2
	p.Stages = map[compliance.Stage]compliance.StagePolicy{compliance.Paper: {Roles: []string{compliance.RoleOperator, compliance.RoleOperator}}, compliance.Live: p.Stages[compliance.Live]}
	s.PutPolicy(&p)
	s.Install(s.Bundle(testroot.BundleOptions{}))
	s.SignOff(slot.Paper, "anna")
	if _, err := s.In.SmokeAgain(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	tested, err := s.In.Reopen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	void, err := s.In.VoidSignatures(tested, slot.Paper)
	if err != nil {
		t.Fatal(err)
	}
	if len(void) == 0 {
		t.Skip("the second run measured exactly the same")
	}
	if r := s.SignOff(slot.Paper, "ewa"); r.Complete || len(r.Voided) != 1 {
		t.Errorf("result %+v", r)
	}
	// Once the stage is reached, its record keeps the proof that was signed for.
	s.SignOff(slot.Paper, "anna")
	if _, err := s.In.SmokeAgain(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	s.SignOff(slot.Live, "anna", "jan")
	s.Enable()
}

// Every policy is kept: what a retired person signed is judged by the one they signed under.
func TestPoliciesAreKept(t *testing.T) {
	t.Parallel()
	s := testroot.Live(t)
	next := *s.Policy
	next.Number, next.People = 2, slices.Clone(next.People)
	next.People[1].Retired = 2 // jan
	s.PutPolicy(&next)
	if _, err := s.In.Reapprove(t.Context(), slot.Live); err != nil {
		t.Fatalf("earlier sign-offs: %v", err)
	}
	kept := s.Path(slot.PolicyPath(1))
	raw, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(kept, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, append(raw, ' '), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.RecordEdited)
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.Reapprove(t.Context(), slot.Live)
	wantCode(t, err, fault.RecordEdited)
	if err := os.WriteFile(kept, raw, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := s.In.Reapprove(t.Context(), slot.Live); err != nil {
		t.Fatal(err)
	}
}

// Threat 26: the one who installed does not approve alone where two people are asked for.
func TestThreat26InstallerApprovesAlone(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	if _, _, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{}), installer.InstallOptions{Operator: "anna"}); err != nil {
		t.Fatal(err)
	}
	s.SignOff(slot.Paper, "anna")
	s.SignOff(slot.Live, "anna")
	ctx := t.Context()
	tested, err := s.In.Reopen(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.In.Checklist(ctx, tested, slot.Live)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.In.SignOff(ctx, tested, installer.SignOffOptions{Stage: slot.Live, Operator: "jan", Key: s.Keys["jan"], Meaning: compliance.Reviewed,
		Answers: testroot.Answers(list, compliance.RoleCompliance)})
	if err != nil || r.Complete || !r.NeedsIndependent || len(r.MissingRoles) != 0 {
		t.Fatalf("result %+v, %v", r, err)
	}
	_, err = s.In.Reapprove(ctx, slot.Live)
	wantCode(t, err, fault.NotSignedOff)
	if r := s.SignOff(slot.Live, "ewa"); !r.Complete {
		t.Errorf("result %+v", r)
	}
	s.Enable()
}
