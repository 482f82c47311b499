package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

func seeded(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%-32s", name))[:32])
}

type fixture struct {
	*Logs
	dir string
	now time.Time
}

func newLogs(t testing.TB) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{dir: dir, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	if err := os.Mkdir(filepath.Join(dir, "machine"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.Logs = Open(Options{Dir: filepath.Join(dir, "audit", "decision_logs"), NextDir: filepath.Join(dir, "machine"), Key: seeded("machine"),
		Clock: func() time.Time { f.now = f.now.Add(time.Second); return f.now }, Rand: rand.NewChaCha8([32]byte{1})})
	return f
}

func (f *fixture) add(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		e := Entry{Stage: "demo", Status: StatusDone, Event: fmt.Sprintf("event-%d", i), Actor: "anna",
			Artefacts: map[string]string{"manifest": strings.Repeat("ab", 48)}, Detail: map[string]any{"n": i, "ratio": 0.5}}
		if _, err := f.Append(Demo, e); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fixture) lines(t testing.TB) [][]byte {
	t.Helper()
	raw, err := os.ReadFile(f.Path(Demo))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.SplitAfter(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
}

func (f *fixture) rewrite(t testing.TB, lines [][]byte) {
	t.Helper()
	raw := bytes.Join(lines, nil)
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		raw = append(raw, '\n')
	}
	if err := os.WriteFile(f.Path(Demo), raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) wantBroken(t testing.TB, entry int, reason string, o VerifyOptions) {
	t.Helper()
	s, err := f.Verify(Demo, o)
	if !errors.Is(err, fault.New(fault.LogBroken, "")) || s != nil {
		t.Fatalf("Verify = %v, %v, want E-LOG-BROKEN", s, err)
	}
	d := fault.DetailOf(err)
	if d["entry"] != entry || !strings.Contains(fmt.Sprint(d["reason"]), reason) {
		t.Fatalf("entry %v, reason %q, want entry %d, reason with %q", d["entry"], d["reason"], entry, reason)
	}
}

func TestChain(t *testing.T) {
	f := newLogs(t)
	if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 0 || !s.SHA384.IsZero() {
		t.Fatalf("an absent log: %v, %v", s, err)
	}
	f.add(t, 5)
	s, err := f.Verify(Demo, VerifyOptions{})
	if err != nil || s.Entries != 5 || s.Torn {
		t.Fatalf("Verify = %+v, %v", s, err)
	}
	h, err := f.Head(Demo)
	if err != nil || h != s.Head {
		t.Fatalf("Head = %v, %v, want %v", h, err, s.Head)
	}
	lines := f.lines(t)
	if !bytes.Contains(lines[0], []byte(`"prev":"`+strings.Repeat("0", 96)+`"`)) {
		t.Errorf("first entry has a predecessor: %s", lines[0])
	}
	want := digestOf(bytes.TrimSuffix(lines[3], []byte("\n"))).String()
	if !bytes.Contains(lines[4], []byte(`"prev":"`+want+`"`)) {
		t.Errorf("entry 5 does not name the SHA-384 of line 4: %s", lines[4])
	}
	if _, err := VerifyFile(f.Path(Demo), Demo, seeded("machine").Public().(ed25519.PublicKey), VerifyOptions{Heads: []Head{h}}); err != nil {
		t.Errorf("copy: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(f.dir, "machine")); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// The signature is the one of the documentation: other people's tools can check a line.
func TestSignedBytes(t *testing.T) {
	f := newLogs(t)
	f.add(t, 1)
	line := bytes.TrimSpace(f.lines(t)[0])
	var m map[string]any
	if err := bundle.StrictUnmarshal(line, &m, MaxLine); err != nil {
		t.Fatal(err)
	}
	var sig struct {
		Sig []byte `json:"sig"`
	}
	raw, _ := bundle.CanonicalJSON(map[string]any{"sig": m["sig"]})
	if err := bundle.StrictUnmarshal(raw, &sig, MaxLine); err != nil {
		t.Fatal(err)
	}
	delete(m, "sig")
	unsigned, err := bundle.CanonicalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(f.o.Public, append([]byte("sluice-log-v1\x00"), unsigned...), sig.Sig) {
		t.Error("signature is not over the prefix and the line without sig in RFC 8785 form")
	}
}

// Threat 21: one test for each way of changing a log.
func TestThreat21EntryEdited(t *testing.T) {
	for i := range 5 {
		f := newLogs(t)
		f.add(t, 5)
		lines := f.lines(t)
		lines[i] = bytes.Replace(lines[i], []byte(`"actor":"anna"`), []byte(`"actor":"otto"`), 1)
		f.rewrite(t, lines)
		f.wantBroken(t, i+1, "edited", VerifyOptions{})
	}
}

func TestThreat21EntryRemoved(t *testing.T) {
	for i := range 4 { // the last one is TestThreat21LogTruncated
		f := newLogs(t)
		f.add(t, 5)
		lines := f.lines(t)
		f.rewrite(t, append(lines[:i:i], lines[i+1:]...))
		reason := "does not follow"
		if i == 0 {
			reason = "before it were removed"
		}
		f.wantBroken(t, i+1, reason, VerifyOptions{})
	}
}

func TestThreat21EntriesReordered(t *testing.T) {
	f := newLogs(t)
	f.add(t, 5)
	lines := f.lines(t)
	lines[1], lines[2] = lines[2], lines[1]
	f.rewrite(t, lines)
	f.wantBroken(t, 2, "does not follow entry 1", VerifyOptions{})
}

func TestThreat21EntryRepeated(t *testing.T) {
	f := newLogs(t)
	f.add(t, 3)
	lines := f.lines(t)
	f.rewrite(t, [][]byte{lines[0], lines[1], lines[1], append(lines[2], '\n')})
	f.wantBroken(t, 3, "does not follow", VerifyOptions{})
}

func TestThreat21LogTruncated(t *testing.T) {
	f := newLogs(t)
	f.add(t, 5)
	head, err := f.Head(Demo)
	if err != nil {
		t.Fatal(err)
	}
	f.rewrite(t, f.lines(t)[:3])
	if _, err := f.Verify(Demo, VerifyOptions{}); err != nil {
		t.Fatalf("without a head nothing can be seen: %v", err)
	}
	f.wantBroken(t, 4, "cut short", VerifyOptions{Heads: []Head{head}})
	if err := os.Remove(f.Path(Demo)); err != nil {
		t.Fatal(err)
	}
	f.wantBroken(t, 1, "cut short", VerifyOptions{Heads: []Head{head}})
}

func TestThreat21LogReplacedByOlderCopy(t *testing.T) {
	f := newLogs(t)
	f.add(t, 3)
	older, err := os.ReadFile(f.Path(Demo))
	if err != nil {
		t.Fatal(err)
	}
	f.add(t, 3)
	head, err := f.Head(Demo)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Path(Demo), older, 0o644); err != nil {
		t.Fatal(err)
	}
	f.add(t, 4) // and continued, so that it is long enough
	f.wantBroken(t, 6, "replaced", VerifyOptions{Heads: []Head{head}})
}

func TestThreat21LogOfAnotherMachine(t *testing.T) {
	f := newLogs(t)
	f.add(t, 2)
	f.o.Public = seeded("other").Public().(ed25519.PublicKey)
	f.wantBroken(t, 1, "not the machine's", VerifyOptions{})
}

func TestThreat21OneLogForAnother(t *testing.T) {
	f := newLogs(t)
	f.add(t, 2)
	raw, _ := os.ReadFile(f.Path(Demo))
	if err := os.WriteFile(f.Path(Paper), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(Paper, VerifyOptions{}); !errors.Is(err, fault.New(fault.LogBroken, "")) || !strings.Contains(err.Error(), `belongs to log "demo"`) {
		t.Errorf("paper.jsonl holding demo's entries: %v", err)
	}
}

func TestThreat21SpacesAndFieldsAdded(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"space":     func(l []byte) []byte { return bytes.Replace(l, []byte(`,"event"`), []byte(`, "event"`), 1) },
		"member":    func(l []byte) []byte { return bytes.Replace(l, []byte(`"actor"`), []byte(`"a":1,"actor"`), 1) },
		"duplicate": func(l []byte) []byte { return bytes.Replace(l, []byte(`"actor"`), []byte(`"actor":"x","actor"`), 1) },
		"case":      func(l []byte) []byte { return bytes.Replace(l, []byte(`"actor"`), []byte(`"Actor"`), 1) },
		"carriage":  func(l []byte) []byte { return append(bytes.TrimSuffix(l, []byte("\n")), '\r', '\n') },
		"empty":     func(l []byte) []byte { return append([]byte("\n"), l...) },
		"no sig": func(l []byte) []byte {
			i := bytes.Index(l, []byte(`"sig":`))
			j := bytes.Index(l[i:], []byte(","))
			return append(l[:i:i], l[i+j+1:]...)
		},
		"long": func(l []byte) []byte { return append(bytes.Repeat([]byte("x"), MaxLine+1), '\n') },
	} {
		f := newLogs(t)
		f.add(t, 3)
		lines := f.lines(t)
		lines[1] = change(lines[1])
		f.rewrite(t, lines)
		if _, err := f.Verify(Demo, VerifyOptions{}); !errors.Is(err, fault.New(fault.LogBroken, "")) || fault.DetailOf(err)["entry"] != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Lines are checked side by side; the first bad one is named all the same.
func TestThreat21FirstBadEntryOfALongLog(t *testing.T) {
	f := newLogs(t)
	f.add(t, 2*batchLines+9)
	good := f.lines(t)
	good[len(good)-1] = append(good[len(good)-1], '\n')
	for _, i := range []int{0, batchLines - 1, batchLines, 2*batchLines - 1, 2*batchLines + 8} {
		lines := append([][]byte{}, good...)
		lines[i] = bytes.Replace(lines[i], []byte(`"actor":"anna"`), []byte(`"actor":"otto"`), 1)
		lines[len(lines)-1] = bytes.Replace(lines[len(lines)-1], []byte(`"anna"`), []byte(`"otto"`), 1)
		f.rewrite(t, lines)
		f.wantBroken(t, i+1, "edited", VerifyOptions{})
		f.rewrite(t, append(lines[:len(lines):len(lines)], append(bytes.Repeat([]byte("x"), MaxLine+1), '\n')))
		f.wantBroken(t, i+1, "edited", VerifyOptions{})
	}
	f.rewrite(t, append(good[:3:3], append(bytes.Repeat([]byte("x"), MaxLine+1), '\n')))
	f.wantBroken(t, 4, "bytes", VerifyOptions{})
}

// No byte of a log can change unnoticed.
func TestThreat21AnyByteFlipped(t *testing.T) {
	f := newLogs(t)
	f.add(t, 2)
	raw, _ := os.ReadFile(f.Path(Demo))
	for i := range raw {
		for _, mask := range []byte{1, 0x20, 0x80} {
			flipped := bytes.Clone(raw)
			flipped[i] ^= mask
			if _, err := verify(bytes.NewReader(flipped), Demo, f.o.Public, nil, VerifyOptions{}); err == nil {
				t.Fatalf("byte %d flipped by %#x passes", i, mask)
			}
		}
	}
}

// A power cut at each byte of the entry in work.
func TestTornTailIsCompleted(t *testing.T) {
	f := newLogs(t)
	f.add(t, 3)
	whole, _ := os.ReadFile(f.Path(Demo))
	lines := f.lines(t)
	entry := append(bytes.Clone(lines[2]), '\n')
	before := len(whole) - len(entry)
	next := filepath.Join(f.dir, "machine", "demo.next")
	for cut := 0; cut <= len(entry); cut += 7 {
		if err := errors.Join(os.WriteFile(f.Path(Demo), whole[:before+cut], 0o644), os.WriteFile(next, entry, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := f.Verify(Demo, VerifyOptions{})
		if err != nil || cut > 0 && cut < len(entry) && !s.Torn {
			t.Fatalf("cut %d: a reader sees %+v, %v", cut, s, err)
		}
		if err := f.Settle(Demo); err != nil {
			t.Fatalf("cut %d: %v", cut, err)
		}
		if got, _ := os.ReadFile(f.Path(Demo)); !bytes.Equal(got, whole) {
			t.Fatalf("cut %d: not completed", cut)
		}
		if _, err := os.Stat(next); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("cut %d: .next stays", cut)
		}
	}
	// The cut hits .next itself: the entry was never made.
	for cut := 0; cut < len(entry); cut += 7 {
		if err := errors.Join(os.WriteFile(f.Path(Demo), whole[:before], 0o644), os.WriteFile(next, entry[:cut], 0o600)); err != nil {
			t.Fatal(err)
		}
		if err := f.Settle(Demo); err != nil {
			t.Fatalf("cut %d of .next: %v", cut, err)
		}
		if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 2 {
			t.Fatalf("cut %d of .next: %v, %v", cut, s, err)
		}
	}
}

func TestOtherTailIsBroken(t *testing.T) {
	f := newLogs(t)
	f.add(t, 3)
	whole, _ := os.ReadFile(f.Path(Demo))
	entry := append(bytes.Clone(f.lines(t)[2]), '\n')
	before := whole[:len(whole)-len(entry)]
	next := filepath.Join(f.dir, "machine", "demo.next")
	other := newLogs(t)
	other.o.Key, other.o.Public = seeded("other"), seeded("other").Public().(ed25519.PublicKey)
	other.add(t, 1)
	foreign := append(bytes.Clone(other.lines(t)[0]), '\n')
	for name, c := range map[string]struct{ log, next []byte }{
		"no next":             {append(bytes.Clone(before), entry[:50]...), nil},
		"not its beginning":   {append(bytes.Clone(before), "garbage"...), entry},
		"zeros":               {append(bytes.Clone(before), 0, 0, 0), entry},
		"torn both":           {append(bytes.Clone(before), entry[:50]...), entry[:60]},
		"foreign next":        {before, foreign},
		"next of another end": {bytes.Join(f.lines(t)[:1], nil), entry},
	} {
		os.Remove(next)
		if err := os.WriteFile(f.Path(Demo), c.log, 0o644); err != nil {
			t.Fatal(err)
		}
		if c.next != nil {
			if err := os.WriteFile(next, c.next, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Settle(Demo); !errors.Is(err, fault.New(fault.LogBroken, "")) {
			t.Errorf("%s: Settle: %v", name, err)
		}
		_, err := f.Append(Demo, Entry{})
		if !errors.Is(err, fault.New(fault.LogBroken, "")) {
			t.Errorf("%s: Append: %v", name, err)
		}
		if d := fault.DetailOf(err); d["log"] != "demo" || d["entry"] != bytes.Count(c.log, []byte("\n"))+1 && d["entry"] != bytes.Count(c.log, []byte("\n")) {
			t.Errorf("%s: detail %v, want log and entry", name, d)
		}
		if got, _ := os.ReadFile(f.Path(Demo)); !bytes.Equal(got, c.log) {
			t.Errorf("%s: the broken log was changed", name)
		}
	}
}

func TestSecondWriterIsNoticed(t *testing.T) {
	f := newLogs(t)
	f.add(t, 1)
	w, err := f.writer(Demo)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	f.add(t, 1) // somebody without the lock, between our settle and our append
	if _, err := w.append(Entry{Stage: "demo"}, f.now); !errors.Is(err, fault.New(fault.Locked, "")) {
		t.Errorf("append after another writer: %v", err)
	}
	if err := f.Settle(Demo); !errors.Is(err, fault.New(fault.LogBroken, "")) && err != nil {
		t.Errorf("Settle: %v", err)
	}
	g := newLogs(t)
	g.add(t, 1)
	w, err = g.writer(Demo)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "machine", "demo.next"), []byte("in work"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.append(Entry{Stage: "demo"}, g.now); !errors.Is(err, fault.New(fault.Locked, "")) {
		t.Errorf("append beside another writer's .next: %v", err)
	}
}

func TestConcurrentAppends(t *testing.T) {
	f := newLogs(t)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 5 {
				if _, err := f.Append(Demo, Entry{Stage: "demo", Status: StatusDone, Event: fmt.Sprint(g, i)}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 20 {
		t.Errorf("Verify = %+v, %v", s, err)
	}
}

func refusal(code string) Entry {
	return Entry{Stage: "demo", Status: StatusRefused, Event: "install", Actor: "anna", Code: code, Detail: map[string]any{"path": "artifacts/m.onnx"}}
}

func TestEqualRefusalsWithinAnHourAreOneEntryWithACount(t *testing.T) {
	f := newLogs(t)
	first, err := f.Append(Demo, refusal("E-DIGEST"))
	if err != nil || !ValidIncident(first.Incident) || first.Count != 0 {
		t.Fatalf("first: %+v, %v", first, err)
	}
	for i := 1; i <= 4; i++ {
		again, err := f.Append(Demo, refusal("E-DIGEST"))
		if err != nil || again.Incident != first.Incident || again.Count != i {
			t.Fatalf("repetition %d: %+v, %v", i, again, err)
		}
		if _, err := f.Append(Demo, refusal("E-LIMIT")); err != nil { // another refusal in between
			t.Fatal(err)
		}
	}
	if lines := f.lines(t); len(lines) != 2 {
		t.Fatalf("%d entries, want one for each kind", len(lines))
	}
	f.now = f.now.Add(time.Hour)
	f.add(t, 1)
	lines, err := f.Read(Demo, Filter{})
	if err != nil || len(lines) != 5 {
		t.Fatalf("%d entries, %v", len(lines), err)
	}
	for i, want := range []struct {
		n    int
		code string
	}{{4, "E-DIGEST"}, {3, "E-LIMIT"}} {
		e := lines[2+i].Entry
		if e.Event != EventRepeated || e.Count != want.n || e.Code != want.code || e.Detail["event"] != "install" {
			t.Errorf("sum %d: %+v", i, e)
		}
	}
	if lines[2].Entry.Incident != first.Incident {
		t.Errorf("sum names incident %q, want %q", lines[2].Entry.Incident, first.Incident)
	}
	if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 5 {
		t.Errorf("Verify = %+v, %v", s, err)
	}
	second, err := f.Append(Demo, refusal("E-DIGEST"))
	if err != nil || second.Incident == first.Incident || second.Count != 0 {
		t.Errorf("after the hour: %+v, %v", second, err)
	}
}

func TestRepeatsSurviveLossAndForgery(t *testing.T) {
	f := newLogs(t)
	for range 3 {
		if _, err := f.Append(Demo, refusal("E-DIGEST")); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(f.dir, "machine", "demo.repeats")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"garbage": []byte("{"), "forged": bytes.Replace(raw, []byte(`"anna"`), []byte(`"otto"`), 1), "negative": bytes.Replace(raw, []byte(`"count":2`), []byte(`"count":-2`), 1)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Flush(Demo); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(f.lines(t)); got != 1 {
			t.Errorf("%s: %d entries", name, got)
		}
	}
	// Power cut after the sum was written and before it was forgotten.
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Flush(Demo); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(f.lines(t)); got != 2 {
		t.Errorf("%d entries, want the refusal and one sum", got)
	}
	// The clock set back by a year ends the hour.
	f.now = f.now.AddDate(-1, 0, 0)
	if e, err := f.Append(Demo, refusal("E-DIGEST")); err != nil || e.Count != 0 {
		t.Errorf("clock set back: %+v, %v", e, err)
	}
}

// Threat 15 in the log: kept as it is, shown escaped.
func TestHostileTextIsKeptAndShownEscaped(t *testing.T) {
	f := newLogs(t)
	name := "gal\u202efdp.exe\x1b[31m\nnext"
	e := refusal("E-PATH")
	e.Actor, e.Detail = name, map[string]any{"path": name, "long": strings.Repeat("ż", 10_000), "bad": "\xff", "odd": func() {}, "big": int64(1<<60 + 1)}
	if _, err := f.Append(Demo, e); err != nil {
		t.Fatal(err)
	}
	lines, err := f.Read(Demo, Filter{})
	if err != nil || len(lines) != 1 || lines[0].Entry.Actor != name || lines[0].Entry.Detail["path"] != name {
		t.Fatalf("Read = %+v, %v", lines, err)
	}
	if lines[0].Entry.Detail["big"] != "1152921504606846977" {
		t.Errorf("big number: %v", lines[0].Entry.Detail["big"])
	}
	text := lines[0].Text()
	if strings.ContainsAny(text, "\u202e\x1b\n") || !strings.Contains(text, `\u{202e}`) || len(text) > 2000 {
		t.Errorf("shown as %q", text)
	}
	if _, err := f.Verify(Demo, VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func TestFiltersAndFind(t *testing.T) {
	f := newLogs(t)
	f.add(t, 3)
	r, err := f.Append(Demo, refusal("E-DIGEST"))
	if err != nil {
		t.Fatal(err)
	}
	d := bundle.Digest{7}
	if _, err := f.Append(Demo, Entry{Stage: "paper", Status: StatusDone, Event: "signoff", Actor: "otto", Artefacts: map[string]string{"envelope": d.String()}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    Filter
		want int
	}{
		"all": {Filter{}, 5}, "stage": {Filter{Stage: "paper"}, 1}, "status": {Filter{Status: StatusRefused}, 1}, "event": {Filter{Event: "event-1"}, 1},
		"actor": {Filter{Actor: "anna"}, 4}, "code": {Filter{Code: "E-DIGEST"}, 1}, "last": {Filter{Last: 2}, 2},
		"incident": {Filter{Incident: strings.ToLower(r.Incident[:3] + "-" + r.Incident[3:])}, 1},
		"since":    {Filter{Since: f.now}, 1}, "until": {Filter{Until: f.now}, 4}, "none": {Filter{Event: "x"}, 0},
	} {
		if got, err := f.Read(Demo, c.f); err != nil || len(got) != c.want {
			t.Errorf("%s: %d entries, %v, want %d", name, len(got), err, c.want)
		}
	}
	if l, err := f.Find(Demo, d); err != nil || l == nil || l.Number != 5 {
		t.Errorf("Find = %+v, %v", l, err)
	}
	if l, err := f.Find(Demo, bundle.Digest{8}); err != nil || l != nil {
		t.Errorf("Find of nothing = %+v, %v", l, err)
	}
	lines := f.lines(t)
	lines[1] = []byte("nonsense\n")
	f.rewrite(t, lines)
	if got, err := f.Read(Demo, Filter{}); err != nil || len(got) != 5 || got[1].Problem == "" || !strings.Contains(got[1].Text(), "!") {
		t.Errorf("a broken line must be shown as one: %+v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	f := newLogs(t)
	if _, err := f.Append("../x", Entry{}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("log name: %v", err)
	}
	reader := Open(Options{Dir: f.o.Dir, NextDir: f.o.NextDir, Public: f.o.Public})
	if _, err := reader.Append(Demo, Entry{}); fault.CodeOf(err) != fault.Internal {
		t.Errorf("append without a key: %v", err)
	}
	f.add(t, 1)
	if s, err := reader.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 1 {
		t.Errorf("reading needs the public key only: %v, %v", s, err)
	}
	if _, err := Open(Options{Dir: f.o.Dir, NextDir: f.o.NextDir}).Verify(Demo, VerifyOptions{}); fault.CodeOf(err) != fault.LogBroken {
		t.Errorf("verify without a key: %v", err)
	}
	target := filepath.Join(f.dir, "elsewhere")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, f.Path(Live)); err != nil {
		t.Skip("no symbolic links here")
	}
	if _, err := f.Append(Live, Entry{}); fault.CodeOf(err) != fault.LogBroken {
		t.Errorf("log behind a link: %v", err)
	}
}

func TestIncident(t *testing.T) {
	r := rand.NewChaCha8([32]byte{2})
	for range 200 {
		id, err := NewIncident(r)
		if err != nil || !ValidIncident(id) {
			t.Fatalf("NewIncident = %q, %v", id, err)
		}
		for i := range len(id) {
			for _, c := range crockford {
				wrong := id[:i] + string(c) + id[i+1:]
				if wrong != id && ValidIncident(wrong) {
					t.Fatalf("%q passes for %q", wrong, id)
				}
			}
			if i > 0 && id[i] != id[i-1] {
				swapped := id[:i-1] + id[i:i+1] + id[i-1:i] + id[i+1:]
				if ValidIncident(swapped) {
					t.Fatalf("%q passes for %q", swapped, id)
				}
			}
		}
		if got := NormalizeIncident(strings.ToLower(id[:3]) + "-" + strings.NewReplacer("0", "o", "1", "l").Replace(id[3:])); got != id {
			t.Fatalf("NormalizeIncident = %q, want %q", got, id)
		}
	}
	for _, bad := range []string{"", "7K4Q2M", "7K4Q2MX0", "ILOU000", "7k4q2mx"} {
		if ValidIncident(bad) {
			t.Errorf("%q passes", bad)
		}
	}
	if _, err := NewIncident(bytes.NewReader(nil)); err == nil {
		t.Error("no random bytes, no error")
	}
}

func FuzzLog(f *testing.F) {
	l := newLogs(f)
	l.add(f, 2)
	raw, err := os.ReadFile(l.Path(Demo))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, []byte(nil))
	f.Add(raw[:len(raw)-20], raw)
	f.Add([]byte("{}\n"), []byte("{}\n"))
	f.Fuzz(func(t *testing.T, log, next []byte) {
		s, err := verify(bytes.NewReader(log), Demo, l.o.Public, next, VerifyOptions{})
		if (s == nil) == (err == nil) {
			t.Fatalf("state %v with error %v", s, err)
		}
		if err == nil && !bytes.HasPrefix(raw, log) {
			t.Fatalf("a log that the machine never wrote passes: %q", log)
		}
		_, _ = parse(log)
		_, _ = completion(Demo, next, tail{torn: log}, l.o.Public)
	})
}
