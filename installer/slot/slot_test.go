package slot

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/fault"
)

func goodRecord() *Record {
	return &Record{Schema: RecordSchema, Stage: Live, Enabled: true, ModelFamily: "f", Version: "1.4.2", Variant: "v", Folder: Folder("1.4.2"),
		ManifestSHA384: Sum([]byte("m")), TrustRoot: 1, Engine: Engine{Kind: "reference", Provider: "cpu", Threads: 1},
		Proof: Proof{Cases: []Case{{Model: "a", Name: "b", WorstAbs: 1e-7}}, MedianMS: 0.25}, Machine: Machine{KeyID: "k", System: Sum(nil)},
		SignOffs: []SignOff{{Stage: Live, Path: "reports/odbior-live-1.4.2-x.dsse.json", SHA384: Sum([]byte("s")), Person: "anna"}},
		Policy:   &PolicyRef{Number: 1, SHA384: Sum([]byte("p"))},
		Logs:     map[string]Head{"demo": {Entries: 3, SHA384: Sum([]byte("h"))}}, At: "2026-11-24T12:00:00Z"}
}

func TestRecordRoundTrip(t *testing.T) {
	r := goodRecord()
	back := *goodRecord()
	r.Previous = &back
	raw, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRecord(Live, raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(raw, again) {
		t.Fatalf("%s\n%s\n%v", raw, again, err)
	}
	if !got.Same(r) || got.Previous == nil {
		t.Errorf("%+v", got)
	}
}

func TestRecordRefused(t *testing.T) {
	raw, err := goodRecord().Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, bad := range map[string]string{
		"empty":            "",
		"no object":        "[]",
		"trailing bytes":   text + "{}",
		"unknown member":   strings.Replace(text, `"at":`, `"later": 1, "at":`, 1),
		"letter case":      strings.Replace(text, `"at":`, `"At":`, 1),
		"duplicate":        strings.Replace(text, `"variant": "v"`, `"variant": "v", "variant": "w"`, 1),
		"schema":           strings.Replace(text, RecordSchema, "sluice-record/2", 1),
		"no policy":        strings.Replace(text, `"number": 1`, `"number": 0`, 1),
		"another folder":   strings.Replace(text, "bundles/v1_4_2", "bundles/v1_4_3", 1),
		"folder outside":   strings.Replace(text, "ai_models/bundles/v1_4_2", "../v1_4_2", 1),
		"sign-off outside": strings.Replace(text, "reports/odbior", "reports/../odbior", 1),
		"hidden sign-off":  strings.Replace(text, "reports/odbior", "reports/.odbior", 1),
		"version":          strings.Replace(text, `"version": "1.4.2"`, `"version": "1.4"`, 1),
		"time":             strings.Replace(text, "2026-11-24T12:00:00Z", "yesterday", 1),
		"trust root":       strings.Replace(text, `"trust_root": 1`, `"trust_root": 0`, 1),
		"no cases":         strings.Replace(text, text[strings.Index(text, `"cases": [`):strings.Index(text, `"limit_mib"`)], `"cases": [], `, 1),
		"another stage":    strings.Replace(text, `"stage": "live",`+"\n  \"trust", `"stage": "paper",`+"\n  \"trust", 1),
		"library outside":  strings.Replace(text, `"kind": "reference"`, `"kind": "reference", "library": "../lib.so"`, 1),
	} {
		if bad == text {
			t.Errorf("%s: nothing was changed", name)
			continue
		}
		r, err := ParseRecord(Live, []byte(bad))
		if fault.CodeOf(err) != fault.RecordEdited || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	back := goodRecord()
	back.Previous = goodRecord()
	back.Previous.Previous = goodRecord()
	if _, err := back.Encode(); err == nil {
		t.Error("a way back with a way back of its own was written")
	}
	paper := goodRecord()
	paper.Stage, paper.Enabled = Paper, false
	if _, err := paper.Encode(); err == nil {
		t.Error("paper was switched off")
	}
}

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	for _, n := range []string{BundlesDir, MachineDir} {
		if err := os.MkdirAll(d.Abs(n), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); fault.CodeOf(err) != fault.BundleMissing {
		t.Errorf("%v", err)
	}
}

func TestState(t *testing.T) {
	d := open(t)
	s, err := d.State()
	if err != nil || s.Floor != "" {
		t.Fatalf("%+v: %v", s, err)
	}
	if !s.Remember("f", "1.2.0", Sum(nil), true) || s.Remember("f", "1.2.0", Sum(nil), true) {
		t.Error("remembering says the wrong thing")
	}
	s.Remember("f", "1.10.0", Sum([]byte("x")), true)
	s.Remember("f", "1.9.0", Sum([]byte("y")), true) // a rollback does not lower the floor
	if s.Floor != "1.10.0" {
		t.Errorf("floor %q", s.Floor)
	}
	if err := d.WriteState(s); err != nil {
		t.Fatal(err)
	}
	again, err := d.State()
	if err != nil || again.Floor != "1.10.0" || len(again.Seen) != 3 || again.ModelFamily != "f" {
		t.Errorf("%+v: %v", again, err)
	}
	if err := os.WriteFile(d.Abs(stateFile), []byte(`{"schema":"sluice-state/1","floor":"one"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.State(); fault.CodeOf(err) != fault.RecordEdited {
		t.Errorf("%v", err)
	}
}

func TestMachineKey(t *testing.T) {
	d := open(t)
	key, err := d.EnsureMachineKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.EnsureMachineKey(rand.Reader)
	if err != nil || !key.Equal(again) {
		t.Fatalf("another key: %v", err)
	}
	if fi, err := os.Stat(d.Abs(keyFile)); err != nil || fi.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %v: %v", fi.Mode(), err)
	}
	me, err := d.Machine(t.Context())
	if err != nil || me.KeyID == "" || me.System.IsZero() {
		t.Fatalf("%+v: %v", me, err)
	}
	if err := d.CheckMachine(t.Context(), me); err != nil {
		t.Error(err)
	}
	other := me
	other.System = Sum([]byte("elsewhere"))
	if err := d.CheckMachine(t.Context(), other); fault.CodeOf(err) != fault.MachineOther {
		t.Errorf("%v", err)
	}
	if err := os.Remove(d.Abs(pubFile)); err != nil {
		t.Fatal(err)
	}
	if err := d.CheckMachine(t.Context(), me); fault.CodeOf(err) != fault.MachineOther {
		t.Errorf("%v", err)
	}
}

func TestLatest(t *testing.T) {
	d := open(t)
	for _, n := range []string{"v1_0_0", "v1_1_0"} {
		if err := os.Mkdir(d.Abs(BundlesDir+"/"+n), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := d.PointLatest(BundlesDir + "/" + n); err != nil {
			t.Fatal(err)
		}
		if d.Latest() != BundlesDir+"/"+n {
			t.Errorf("latest is %q", d.Latest())
		}
	}
	if err := d.PointLatest(""); err != nil || d.Latest() != "" {
		t.Errorf("%q: %v", d.Latest(), err)
	}
	if err := os.Mkdir(d.Abs(latestLink), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.PointLatest(BundlesDir + "/v1_0_0"); fault.CodeOf(err) != fault.Path {
		t.Errorf("a folder in the way: %v", err)
	}
}

func TestFolderFor(t *testing.T) {
	d := open(t)
	put := func(folder, variant string) {
		i := &Installed{Schema: InstalledSchema, Version: "1.4.2", Variant: variant, ManifestSHA384: Sum(nil), Files: []string{"artifacts/a"}}
		raw, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(d.Abs(folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.Abs(folder+"/"+InstalledFile), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := func(variant, folder string, there bool) {
		t.Helper()
		if f, is := d.FolderFor("1.4.2", variant); f != folder || is != there {
			t.Errorf("%q lies in %q (%v), want %q (%v)", variant, f, is, folder, there)
		}
	}
	want("a", BundlesDir+"/v1_4_2", false)
	put(BundlesDir+"/v1_4_2", "a")
	want("a", BundlesDir+"/v1_4_2", true)
	want("b", BundlesDir+"/v1_4_2@b", false)
	put(BundlesDir+"/v1_4_2@b", "b")
	want("b", BundlesDir+"/v1_4_2@b", true)
	v, err := d.Versions()
	if err != nil || len(v) != 2 || v[0].Problem != nil || v[1].Problem != nil {
		t.Errorf("%+v: %v", v, err)
	}
	put(BundlesDir+"/v1_4_2@c", "b")
	if v, err = d.Versions(); err != nil || !slices.ContainsFunc(v, func(x Version) bool { return x.Problem != nil }) {
		t.Errorf("a folder that holds another variant has no problem: %+v: %v", v, err)
	}
}

func TestLedger(t *testing.T) {
	mark := func(op, path, becomes, result string) Mark {
		m, ok := NewMark("demo", 1, EventRecord, "a", nil, map[string]any{DetailOp: op, DetailPath: path, DetailBecomes: becomes, DetailResult: result, "n": 3})
		if !ok {
			t.Fatalf("no mark: %q %q", op, path)
		}
		return m
	}
	l := &Ledger{}
	if !l.Empty() || l.Check("p", Absent) != nil || l.Check("p", "aa") == nil {
		t.Error("an empty ledger knows something")
	}
	l.Add(mark("1", "p", "aa", ""))
	if l.Check("p", Absent) != nil || l.Check("p", "aa") != nil || l.Check("p", "bb") == nil {
		t.Error("while a change is announced, old and new are right, nothing else")
	}
	l.Add(mark("1", "", "", ResultNew))
	if l.Check("p", "aa") != nil || l.Check("p", Absent) == nil || len(l.Pending()) != 0 || len(l.Done(EventRecord)) != 1 {
		t.Error("after the change only the new is right")
	}
	l.Add(mark("2", "p", "bb", ""))
	l.Add(mark("2", "", "", ResultOld))
	if l.Check("p", "aa") != nil || l.Check("p", "bb") == nil {
		t.Error("an abandoned change counts")
	}
	l.Add(mark("9", "", "", ResultNew)) // an outcome without intent
	if _, ok := NewMark("demo", 1, "note", "a", nil, map[string]any{"text": "x"}); ok {
		t.Error("a note is a mark")
	}
}

func FuzzRecord(f *testing.F) {
	raw, err := goodRecord().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseRecord(Live, raw)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v and %v", r, err)
		}
		if err == nil {
			again, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseRecord(Live, again); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzInstalled(f *testing.F) {
	i := &Installed{Schema: InstalledSchema, Version: "1.4.2", Variant: "a", ManifestSHA384: Sum(nil), Files: []string{"artifacts/a"}}
	raw, err := i.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := ParseInstalled(raw)
		if (i == nil) == (err == nil) {
			t.Fatalf("%v and %v", i, err)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"schema":"sluice-state/1","floor":"1.0.0","seen":{"1.0.0":"` + Sum(nil).String() + `"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := parseState(raw)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v and %v", s, err)
		}
	})
}

func FuzzLease(f *testing.F) {
	raw, err := (&Lease{Schema: LeaseSchema, Name: "bot-1", Stage: Live, Version: "1.0.0", Started: "2026-11-24T12:00:00Z", Renewed: "2026-11-24T12:00:05Z", Every: 5}).encoded()
	if err != nil {
		f.Fatal(err)
	}
	if l, err := ParseLease(raw); err != nil || l.Name != "bot-1" {
		f.Fatalf("%+v, %v", l, err)
	}
	f.Add(raw)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ParseLease(raw)
		if (l == nil) == (err == nil) {
			t.Fatalf("%v with %v", l, err)
		}
		if l != nil {
			_ = l.Silent(time.Now())
		}
	})
}

func (l *Lease) encoded() ([]byte, error) { return encode(l) }
