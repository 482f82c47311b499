package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice/gate"
	"sluice/inference/tensor"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

func TestMain(m *testing.M) { testroot.Main(m) }

func env(value string) func(string) string {
	return func(name string) string {
		if name == gate.EnvRequire {
			return value
		}
		return ""
	}
}

func check(t *testing.T, s *testroot.Site, stage slot.Stage) (*gate.Answer, error) {
	t.Helper()
	return gate.Check(t.Context(), s.Root(), gate.Options{Stage: stage, Env: env("")})
}

func wantCode(t *testing.T, err error, want fault.Code) {
	t.Helper()
	if got := fault.CodeOf(err); got != want {
		t.Fatalf("code %q, want %q: %v", got, want, err)
	}
}

func TestOpenAndInfer(t *testing.T) {
	s := testroot.Live(t)
	var log strings.Builder
	m, err := gate.Open(t.Context(), s.Root(), gate.Options{Env: env("1"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if a := m.Answer(); !a.OK || a.Version != "1.0.0" || a.Stage != slot.Live || a.Fallback != gate.FallbackDisabled || len(a.Artifacts) != 5 {
		t.Errorf("answer %+v", a)
	}
	if !strings.Contains(log.String(), "fallback is disabled") {
		t.Errorf("log %q", log.String())
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			out, err := m.Infer(t.Context(), map[string]tensor.Value{"x": {Tensor: testroot.Floats(1, 2)}})
			if err != nil {
				t.Error(err)
				return
			}
			if got := out["y"].Tensor.Raw; string(got) != string(testroot.Floats(4, 5).Raw) {
				t.Errorf("y is %v", got)
			}
		})
	}
	wg.Wait()
	if _, err := m.InferCompanion(t.Context(), "none", nil); err == nil {
		t.Error("an unknown companion ran")
	}
	if _, err := m.Infer(t.Context(), map[string]tensor.Value{}); !errors.Is(err, gate.ErrEngine) && fault.CodeOf(err) == "" {
		t.Errorf("a missing input gave %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Infer(t.Context(), map[string]tensor.Value{"x": {Tensor: testroot.Floats(1, 2)}}); err == nil {
		t.Error("a closed model ran")
	}
}

// The gate answers without write access and changes nothing by a yes.
func TestReadsOnly(t *testing.T) {
	s := testroot.Live(t)
	if _, err := check(t, s, slot.Live); err != nil { // the first yes is a change of state and is logged
		t.Fatal(err)
	}
	before := tree(t, s.Root())
	a, err := check(t, s, slot.Live)
	if err != nil || a.Logged {
		t.Fatalf("%+v: %v", a, err)
	}
	after := tree(t, s.Root())
	for p, v := range before {
		if after[p] != v {
			t.Errorf("%q changed", p)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, were %d", len(after), len(before))
	}
}

func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			out[p] = fi.ModTime().String() + fi.Mode().String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// BOT_CORE_REQUIRE_OEM_MODELS can only tighten; fallback exists only where this root never had models.
func TestOEMRequired(t *testing.T) {
	values := map[string]bool{"": false, "0": false, "false": false, "FALSE": false, "no": false, "No": false, "off": false, "OFF": false, " 0 ": false,
		"1": true, "true": true, "TRUE": true, "yes": true, "on": true, "2": true, "wahr": true, "00": true, "-": true}
	never := t.TempDir()
	for value, required := range values {
		if gate.Required(value) != required {
			t.Errorf("%q: required %v, want %v", value, gate.Required(value), required)
		}
		for _, root := range []string{never, filepath.Join(never, "not there")} {
			a, err := gate.Check(t.Context(), root, gate.Options{Env: env(value)})
			if required {
				wantCode(t, err, fault.BundleMissing)
				if !errors.Is(err, gate.ErrMissingBundle) || a.Fallback != gate.FallbackDisabled || a.OK {
					t.Errorf("%q: %+v", value, a)
				}
				continue
			}
			if err != nil || !a.OK || a.Fallback != gate.FallbackAllowed {
				t.Errorf("%q: %+v: %v", value, a, err)
			}
			if _, err := gate.Open(t.Context(), root, gate.Options{Env: env(value)}); !errors.Is(err, gate.ErrMissingBundle) || fault.DetailOf(err)["fallback"] != gate.FallbackAllowed {
				t.Errorf("%q: open gave %v", value, err)
			}
		}
	}
	if entries, err := os.ReadDir(never); err != nil || len(entries) != 0 {
		t.Errorf("the gate left %v: %v", entries, err)
	}
	if _, err := gate.Check(t.Context(), never, gate.Options{Env: env(""), Require: true}); !errors.Is(err, gate.ErrMissingBundle) {
		t.Errorf("Require: %v", err)
	}
}

// A machine that ever had models, a policy or a log has no fallback, whatever the environment says.
func TestOEMNoFallbackAfterwards(t *testing.T) {
	t.Run("a log", func(t *testing.T) {
		s := testroot.Empty(t)
		s.Trust(verify.Oem, s.Vendor)
		_, err := check(t, s, slot.Live)
		wantCode(t, err, fault.BundleMissing)
	})
	t.Run("a policy alone", func(t *testing.T) {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "ai_models"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "ai_models", "policy.json"), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := gate.Check(t.Context(), root, gate.Options{Env: env("0")})
		wantCode(t, err, fault.BundleMissing)
	})
	t.Run("uninstalled", func(t *testing.T) {
		s := testroot.Live(t)
		if err := s.In.Uninstall(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		a, err := check(t, s, slot.Live)
		wantCode(t, err, fault.BundleMissing)
		if !a.Logged {
			t.Error("the refusal is not in the log")
		}
	})
	t.Run("models removed by hand", func(t *testing.T) {
		s := testroot.Live(t)
		if err := os.RemoveAll(s.Path("ai_models")); err != nil {
			t.Fatal(err)
		}
		_, err := check(t, s, slot.Live)
		wantCode(t, err, fault.BundleMissing)
	})
	t.Run("everything but the machine removed", func(t *testing.T) {
		s := testroot.Live(t)
		for _, n := range []string{"ai_models/bundles", "audit"} {
			if err := os.RemoveAll(s.Path(n)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := check(t, s, slot.Live)
		wantCode(t, err, fault.BundleMissing)
	})
}

// The rungs: what each stage answers on the way up.
func TestLadder(t *testing.T) {
	s := testroot.New(t)
	_, err := check(t, s, slot.Demo)
	wantCode(t, err, fault.BundleMissing)
	s.Install(s.Bundle(testroot.BundleOptions{}))
	if _, err := check(t, s, slot.Demo); err != nil {
		t.Fatal(err)
	}
	_, err = check(t, s, slot.Paper)
	wantCode(t, err, fault.NotSignedOff)
	_, err = check(t, s, slot.Live)
	wantCode(t, err, fault.NotSignedOff)
	if !errors.Is(err, gate.ErrGateClosed) || errors.Is(err, gate.ErrMissingBundle) {
		t.Errorf("kinds of %v", err)
	}
	s.SignOff(slot.Paper, "anna")
	if _, err := check(t, s, slot.Paper); err != nil {
		t.Fatal(err)
	}
	s.SignOff(slot.Live, "anna")
	_, err = check(t, s, slot.Live)
	wantCode(t, err, fault.NotSignedOff)
	s.SignOff(slot.Live, "jan")
	_, err = check(t, s, slot.Live)
	wantCode(t, err, fault.NotLive)
	s.Enable()
	if a, err := check(t, s, slot.Live); err != nil || !a.Logged {
		t.Fatalf("%+v: %v", a, err)
	}
	if err := s.In.Disable(t.Context(), "anna", "test"); err != nil {
		t.Fatal(err)
	}
	_, err = check(t, s, slot.Live)
	wantCode(t, err, fault.NotLive)
}

// While 1.0.0 is live and 1.1.0 waits for sign-off, live answers for 1.0.0.
func TestCandidateWaits(t *testing.T) {
	s := testroot.Live(t)
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
	for stage, want := range map[slot.Stage]string{slot.Live: "1.0.0", slot.Paper: "1.0.0", slot.Demo: "1.1.0"} {
		if a, err := check(t, s, stage); err != nil || a.Version != want {
			t.Errorf("%s: %+v: %v", stage, a, err)
		}
	}
}

type edit func(t *testing.T, s *testroot.Site)

func replace(name, from, to string) edit {
	return func(t *testing.T, s *testroot.Site) {
		t.Helper()
		p := s.Path(name)
		if found, err := filepath.Glob(p); err == nil && len(found) > 0 {
			p = found[0]
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(raw), from, to, 1)
		if text == string(raw) {
			t.Fatalf("%q holds no %q", name, from)
		}
		_ = os.Chmod(p, 0o644)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(name string) edit {
	return func(t *testing.T, s *testroot.Site) {
		t.Helper()
		found, err := filepath.Glob(s.Path(name))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %q: %v", name, err)
		}
		if err := os.RemoveAll(found[0]); err != nil {
			t.Fatal(err)
		}
	}
}

func put(name, text string) edit {
	return func(t *testing.T, s *testroot.Site) {
		t.Helper()
		if err := os.WriteFile(s.Path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func shorten(name string, lines int) edit {
	return func(t *testing.T, s *testroot.Site) {
		t.Helper()
		raw, err := os.ReadFile(s.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		all := strings.SplitAfter(strings.TrimSuffix(string(raw), "\n"), "\n")
		if err := os.WriteFile(s.Path(name), []byte(strings.Join(all[:len(all)-lines], "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func both(edits ...edit) edit {
	return func(t *testing.T, s *testroot.Site) {
		t.Helper()
		for _, e := range edits {
			e(t, s)
		}
	}
}

// other puts something that is no file of ours in a file's place; the content is kept behind a link.
func other(name, what string) edit {
	return func(t *testing.T, s *testroot.Site) {
		t.Helper()
		p := s.Path(name)
		err := os.Rename(p, p+".aside")
		switch {
		case err != nil:
		case what == "link":
			err = os.Symlink(filepath.Base(p)+".aside", p)
		case what == "folder":
			err = os.Mkdir(p, 0o755)
		case what == "pipe":
			err = exec.Command("mkfifo", p).Run()
		default:
			err = os.WriteFile(p, make([]byte, 8<<20), 0o644)
		}
		if err != nil {
			t.Skipf("not on this system: %v", err)
		}
		if !strings.HasPrefix(name, v1) { // a link's target lies beside it, but not among the files of a version
			return
		}
		if what != "link" {
			_ = os.Remove(p + ".aside")
		}
	}
}

func vendorKey(names ...string) edit {
	var text []byte
	for _, n := range names {
		text = append(text, testroot.Public(testroot.Key(n)).PEM()...)
	}
	return put("ai_models/keys/oem_model_signing.pub", string(text))
}

const (
	v1      = "ai_models/bundles/v1_0_0/"
	liveLog = "audit/decision_logs/live_execution.jsonl"
)

// Whatever is edited by hand closes the gate, with the reason; where several things are wrong, the order is 4, 3, 7, 6.
func TestEdited(t *testing.T) {
	none := fault.Code("")
	for name, c := range map[string]struct {
		edit edit
		want fault.Code
		exit int
		is   error
	}{
		"live record: another variant":         {replace("ai_models/live.json", `"variant": "first"`, `"variant": "second"`), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"live record: a time":                  {replace("ai_models/live.json", `"at": "2026`, `"at": "2027`), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: unknown member":          {replace("ai_models/live.json", `"at":`, `"At": "x", "at":`), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: no JSON":                 {put("ai_models/live.json", "{"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: a link":                  {other("ai_models/live.json", "link"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: a folder":                {other("ai_models/live.json", "folder"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: a pipe":                  {other("ai_models/live.json", "pipe"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: endless":                 {other("ai_models/live.json", "endless"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"policy: a link":                       {other("ai_models/policy.json", "link"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"policy: a folder":                     {other("ai_models/policy.json", "folder"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"policy: a pipe":                       {other("ai_models/policy.json", "pipe"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"policy: garbage":                      {put("ai_models/policy.json", "{"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"log: a link":                          {other(liveLog, "link"), fault.LogBroken, 7, gate.ErrGateClosed},
		"log: a folder":                        {other(liveLog, "folder"), fault.LogBroken, 7, gate.ErrGateClosed},
		"log: a pipe":                          {other(liveLog, "pipe"), fault.LogBroken, 7, gate.ErrGateClosed},
		"logs: a file":                         {other("audit/decision_logs", "endless"), fault.LogBroken, 7, gate.ErrGateClosed},
		"machine's key: empty":                 {put("machine/machine.pub", ""), fault.MachineOther, 7, gate.ErrGateClosed},
		"machine's key: a link":                {other("machine/machine.pub", "link"), fault.MachineOther, 7, gate.ErrGateClosed},
		"manifest: a link":                     {other(v1+"manifest.json", "link"), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"description: a pipe":                  {other(v1+"installed.json", "pipe"), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"vendor's key: another":                {vendorKey("stranger"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"vendor's key: one more":               {vendorKey("vendor", "stranger"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"vendor's key: garbage":                {put("ai_models/keys/oem_model_signing.pub", "x"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"vendor's key: removed":                {remove("ai_models/keys/oem_model_signing.pub"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"vendor's key: a link":                 {other("ai_models/keys/oem_model_signing.pub", "link"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record removed":                  {remove("ai_models/live.json"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: engine":                  {replace("ai_models/live.json", `"kind": "reference"`, `"kind": "onnxruntime"`), fault.RecordEdited, 7, gate.ErrGateClosed},
		"live record: proof":                   {replace("ai_models/live.json", `"limit_ms": 1000`, `"limit_ms": 1001`), fault.RecordEdited, 7, gate.ErrGateClosed},
		"answers of a sign-off":                {replace("reports/odbior-live-*.dsse.json", "eyJ", "eyK"), fault.SignoffInvalid, 7, gate.ErrGateClosed},
		"a sign-off removed":                   {remove("reports/odbior-paper-*.dsse.json"), fault.SignoffInvalid, 7, gate.ErrGateClosed},
		"the readable report":                  {replace("reports/odbior-live-*-*.txt", "1.0.0", "9.9.9"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"the report for programs":              {remove("reports/odbior-paper-*[0-9].json"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"a model":                              {replace(v1+"artifacts/first.onnx", "Add", "Sub"), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"the manifest":                         {replace(v1+"manifest.json", "bulk.bin", "bulk.bim"), none, 3, gate.ErrInvalidBundle},
		"the signature":                        {replace(v1+"manifest.sig", `"sig":"`, `"sig":"A`), none, 3, gate.ErrInvalidBundle},
		"the signature removed":                {remove(v1 + "manifest.sig"), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"what is installed":                    {replace(v1+"installed.json", "first", "other"), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"a file too many":                      {put(v1+"artifacts/x", ""), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"a file too few":                       {remove(v1 + "artifacts/bulk.bin"), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"the folder removed":                   {remove("ai_models/bundles/v1_0_0"), fault.BundleMissing, 4, gate.ErrMissingBundle},
		"the policy":                           {replace("ai_models/policy.json", "eyJ", "eyK"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"the policy removed":                   {remove("ai_models/policy.json"), fault.RecordEdited, 7, gate.ErrGateClosed},
		"a log entry":                          {replace("audit/decision_logs/demo.jsonl", `"actor":"tester"`, `"actor":"nobody"`), fault.LogBroken, 7, gate.ErrGateClosed},
		"the end of a log":                     {shorten(liveLog, 1), none, 0, nil}, // the outcome only: the intent stands, as after a power cut
		"the end of a log with the intent":     {shorten(liveLog, 2), none, 7, gate.ErrGateClosed},
		"most of a log":                        {shorten(liveLog, 6), fault.LogBroken, 7, gate.ErrGateClosed},
		"a log removed":                        {remove(liveLog), fault.LogBroken, 7, gate.ErrGateClosed},
		"all logs removed":                     {remove("audit"), fault.LogBroken, 7, gate.ErrGateClosed},
		"a torn log":                           {func(t *testing.T, s *testroot.Site) { appendTo(t, s.Path(liveLog), `{"timestamp"`) }, fault.LogBroken, 7, gate.ErrGateClosed},
		"the trust root removed":               {remove("ai_models/keys/oem/1.root.json"), fault.TrustNone, 3, gate.ErrInvalidSignature},
		"another machine's key":                {otherMachine, fault.LogBroken, 7, gate.ErrGateClosed},
		"the machine's public key removed":     {remove("machine/machine.pub"), fault.LogBroken, 7, gate.ErrGateClosed},
		"4 before 3: folder and trust root":    {both(remove("ai_models/bundles"), remove("ai_models/keys")), fault.BundleMissing, 4, gate.ErrMissingBundle},
		"3 before 7: model and record of logs": {both(replace(v1+"artifacts/first.onnx", "Add", "Sub"), remove("audit")), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
		"3 before 7: model and sign-off":       {both(remove(v1+"artifacts/first.onnx"), remove("reports")), fault.InstalledChanged, 3, gate.ErrInvalidBundle},
	} {
		t.Run(name, func(t *testing.T) {
			s := testroot.Live(t)
			c.edit(t, s)
			a, err := check(t, s, slot.Live)
			if c.exit == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("the gate is open")
			}
			if c.want != none {
				wantCode(t, err, c.want)
			}
			if got := fault.CodeOf(err).Exit(); got != c.exit {
				t.Fatalf("exit %d, want %d: %v", got, c.exit, err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("it is not %v: %v", c.is, err)
			}
			if a.OK || a.Fallback != gate.FallbackDisabled {
				t.Errorf("answer %+v", a)
			}
			var closed *gate.Closed
			if !errors.As(err, &closed) || len(closed.Incident()) != 7 {
				t.Errorf("no incident: %v", err)
			}
			if m, err := gate.Open(t.Context(), s.Root(), gate.Options{Env: env("")}); err == nil {
				m.Close()
				t.Error("Open opened")
			}
		})
	}
}

func appendTo(t *testing.T, p, text string) {
	t.Helper()
	f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// otherMachine gives the root the key of another machine, as a copied disk with a new key would have.
func otherMachine(t *testing.T, s *testroot.Site) {
	t.Helper()
	o := testroot.New(t)
	for _, n := range []string{"machine.key", "machine.pub"} {
		raw, err := os.ReadFile(o.Path("machine/" + n))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.Path("machine/"+n), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A refusal stands in the log once, with its incident; a yes after it is logged too, further ones are not.
func TestLogged(t *testing.T) {
	s := testroot.Live(t)
	if err := s.In.Disable(t.Context(), "anna", "test"); err != nil {
		t.Fatal(err)
	}
	a, err := check(t, s, slot.Live)
	wantCode(t, err, fault.NotLive)
	var closed *gate.Closed
	if !a.Logged || !errors.As(err, &closed) || !closed.Logged() {
		t.Fatalf("not logged: %+v", a)
	}
	raw, rerr := os.ReadFile(s.Path(liveLog))
	if rerr != nil || !strings.Contains(string(raw), `"incident":"`+closed.Incident()+`"`) {
		t.Fatalf("incident %q is not in the log: %v", closed.Incident(), rerr)
	}
	s.Enable()
	for _, want := range []bool{true, false} {
		if a, err := check(t, s, slot.Live); err != nil || a.Logged != want {
			t.Errorf("logged %v, want %v: %v", a.Logged, want, err)
		}
	}
	if _, err := s.In.LogVerify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnswerJSON(t *testing.T) {
	s := testroot.Live(t)
	a, err := check(t, s, slot.Live)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"ok", "stage", "model_family", "version", "variant", "bundle_path", "manifest_sha384", "artifacts", "engine", "fallback", "logged"} {
		if _, ok := m[k]; !ok {
			t.Errorf("no %q in %s", k, raw)
		}
	}
}

// A bot that starts again and again while another version is installed and goes live sees the old one or the new one.
func TestBotDuringInstall(t *testing.T) {
	s := testroot.Live(t)
	ctx, stop := context.WithCancel(context.Background())
	seen := map[string]int{}
	done := make(chan error)
	go func() {
		for ctx.Err() == nil {
			a, err := gate.Check(context.Background(), s.Root(), gate.Options{Env: env("1")})
			if err != nil {
				done <- err
				return
			}
			seen[a.Version]++
		}
		done <- nil
	}()
	s.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 || seen["1.0.0"]+seen["1.1.0"] == 0 {
		t.Errorf("seen %v", seen)
	}
}

// Fallback is for machines that never had anything: any trace of an installation ends it, whatever else was removed.
func TestNoFallbackWithTraces(t *testing.T) {
	for _, keep := range []string{"ai_models/keys/oem", "ai_models/keys/site", "ai_models/keys/oem_model_signing.pub", "machine/machine.key", "machine/machine.pub", "reports",
		"ai_models/bundles", "audit"} {
		t.Run(keep, func(t *testing.T) {
			s := testroot.Live(t)
			aside := filepath.Join(t.TempDir(), "kept")
			if err := os.Rename(s.Path(keep), aside); err != nil {
				if err := os.CopyFS(aside, os.DirFS(s.Path(keep))); err != nil { // another file system
					raw, err := os.ReadFile(s.Path(keep))
					if err != nil || os.WriteFile(aside, raw, 0o600) != nil {
						t.Fatal(err)
					}
				}
			}
			if err := os.RemoveAll(s.Root()); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(s.Path(keep)), 0o755); err != nil {
				t.Fatal(err)
			}
			a, err := check(t, s, slot.Live)
			if err != nil || a.Fallback != gate.FallbackAllowed {
				t.Fatalf("empty: %+v: %v", a, err)
			}
			if fi, err := os.Stat(aside); err == nil && fi.IsDir() {
				err = os.CopyFS(s.Path(keep), os.DirFS(aside))
				if err != nil {
					t.Fatal(err)
				}
			} else if raw, err := os.ReadFile(aside); err != nil || os.WriteFile(s.Path(keep), raw, 0o600) != nil {
				t.Fatal(err)
			}
			a, err = check(t, s, slot.Live)
			if err == nil || a.Fallback != gate.FallbackDisabled {
				t.Errorf("%+v: %v", a, err)
			}
		})
	}
}
