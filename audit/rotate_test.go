package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

// rotated is a log in three files with 4, 5 and 3 entries, the first of each later one being the one that begins it.
func rotated(t testing.TB) *fixture {
	t.Helper()
	f := newLogs(t)
	for i, n := range []int{4, 4, 2} {
		f.add(t, n)
		if i < 2 {
			if err := f.Rotate(Demo, "anna", "demo"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

func (f *fixture) segment(n int) string {
	return filepath.Join(filepath.Dir(f.Path(Demo)), Demo.segment(n))
}

// A log in several files is one: readers, heads and verification go through all of them.
func TestRotationKeepsTheChain(t *testing.T) {
	f := newLogs(t)
	f.add(t, 4)
	before, err := f.Verify(Demo, VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(Demo, "anna", "demo"); err != nil {
		t.Fatal(err)
	}
	f.add(t, 4)
	if err := f.Rotate(Demo, "anna", "demo"); err != nil {
		t.Fatal(err)
	}
	f.add(t, 2)
	s, err := f.Verify(Demo, VerifyOptions{Heads: []Head{before.Head}})
	if err != nil || s.Entries != 12 {
		t.Fatalf("Verify = %+v, %v", s, err)
	}
	h, err := f.Head(Demo)
	if err != nil || h != s.Head {
		t.Errorf("Head = %+v, %v, want %+v", h, err, s.Head)
	}
	lines, err := f.Read(Demo, Filter{Event: EventRotated})
	if err != nil || len(lines) != 2 || lines[0].Number != 5 || lines[1].Number != 10 || lines[1].Entry.Detail["file"] != "demo.000002.jsonl" {
		t.Errorf("Read = %+v, %v", lines, err)
	}
	files, err := f.Files(Demo)
	if err != nil || fmt.Sprint(files) != "[demo.000001.jsonl demo.000002.jsonl demo.jsonl]" {
		t.Errorf("Files = %v, %v", files, err)
	}
	if err := f.Rotate(Paper, "anna", "paper"); err != nil {
		t.Error(err)
	}
	if files, err := f.Files(Paper); err != nil || len(files) != 0 {
		t.Errorf("an empty log was rotated: %v, %v", files, err)
	}
}

// Threat 21 across files: edited, removed, put in another order, truncated, replaced, each named by its entry.
func TestThreat21RotatedLog(t *testing.T) {
	for name, c := range map[string]struct {
		harm   func(f *fixture) error
		entry  int
		reason string
	}{
		"older file edited": {func(f *fixture) error {
			raw, err := os.ReadFile(f.segment(1))
			if err != nil {
				return err
			}
			return os.WriteFile(f.segment(1), bytes.Replace(raw, []byte("event-1"), []byte("event-9"), 1), 0o644)
		}, 2, "signature"},
		"oldest file removed": {func(f *fixture) error { return os.Remove(f.segment(1)) }, 1, "is missing"},
		"file in between removed": {func(f *fixture) error {
			if err := os.Remove(f.segment(2)); err != nil {
				return err
			}
			return nil
		}, 5, "removed, moved or replaced"},
		"files swapped": {func(f *fixture) error {
			return errors.Join(os.Rename(f.segment(1), f.segment(9)), os.Rename(f.segment(2), f.segment(1)), os.Rename(f.segment(9), f.segment(2)))
		}, 1, "removed"},
		"older file cut short": {func(f *fixture) error {
			raw, err := os.ReadFile(f.segment(2))
			if err != nil {
				return err
			}
			return os.WriteFile(f.segment(2), raw[:bytes.LastIndexByte(raw[:len(raw)-1], '\n')+1], 0o644)
		}, 9, "does not follow"},
		"older file torn": {func(f *fixture) error {
			raw, err := os.ReadFile(f.segment(1))
			if err != nil {
				return err
			}
			return os.WriteFile(f.segment(1), raw[:len(raw)-1], 0o644)
		}, 4, "no log entry"},
		"a link in its place": {func(f *fixture) error {
			return errors.Join(os.Rename(f.segment(1), filepath.Join(f.dir, "aside")), os.Symlink(filepath.Join(f.dir, "aside"), f.segment(1)))
		}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := rotated(t)
			if err := c.harm(f); err != nil {
				t.Skipf("not on this system: %v", err)
			}
			f.wantBroken(t, c.entry, c.reason, VerifyOptions{})
		})
	}
	// The newest file removed is a log that ends earlier: a head kept elsewhere tells.
	f := rotated(t)
	head, err := f.Head(Demo)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Path(Demo)); err != nil {
		t.Fatal(err)
	}
	f.wantBroken(t, 10, "cut short", VerifyOptions{Heads: []Head{head}})
}

// A power cut between the rename and the first entry of the new file leaves a whole log; the next entry begins the file.
func TestRotationInterrupted(t *testing.T) {
	f := newLogs(t)
	f.add(t, 3)
	if err := os.Rename(f.Path(Demo), f.segment(1)); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 3 {
		t.Fatalf("Verify = %+v, %v", s, err)
	}
	f.add(t, 1)
	s, err := f.Verify(Demo, VerifyOptions{})
	if err != nil || s.Entries != 5 {
		t.Fatalf("Verify = %+v, %v", s, err)
	}
	lines, err := f.Read(Demo, Filter{})
	if err != nil || lines[3].Entry.Event != EventRotated || lines[3].Entry.Prev != digestOf(bytes.TrimSuffix(lastLine(t, f.segment(1)), []byte("\n"))) {
		t.Errorf("%+v, %v", lines, err)
	}
	// And in the middle of writing that first entry.
	next := f.lines(t)[0]
	if err := errors.Join(os.WriteFile(f.Path(Demo), next[:20], 0o644), os.WriteFile(filepath.Join(f.dir, "machine", "demo.next"), next, 0o600)); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || !s.Torn || s.Entries != 3 {
		t.Errorf("Verify = %+v, %v", s, err)
	}
	f.add(t, 1)
	if s, err := f.Verify(Demo, VerifyOptions{}); err != nil || s.Entries != 5 {
		t.Errorf("Verify = %+v, %v", s, err)
	}
}

func lastLine(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw[bytes.LastIndexByte(raw[:len(raw)-1], '\n')+1:]
}

// A file that has grown makes room by itself, while readers look on.
func TestRotationBySize(t *testing.T) {
	f := newLogs(t)
	f.o.RotateSize = 4 << 10
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			last := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, err := f.Verify(Demo, VerifyOptions{})
				if err != nil || s.Entries < last {
					t.Errorf("a reader saw %+v after %d entries: %v", s, last, err)
					return
				}
				last = s.Entries
			}
		}()
	}
	for range 20 {
		f.add(t, 5)
	}
	close(stop)
	readers.Wait()
	files, err := f.Files(Demo)
	if err != nil || len(files) < 5 {
		t.Fatalf("files %v, %v", files, err)
	}
	s, err := f.Verify(Demo, VerifyOptions{})
	if err != nil || s.Entries != 100+len(files)-1 {
		t.Errorf("Verify = %+v, %v with %d files", s, err, len(files))
	}
	for _, name := range files {
		if fi, err := os.Stat(filepath.Join(filepath.Dir(f.Path(Demo)), name)); err != nil || fi.Size() > 6<<10 {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
	}
}

func export(t testing.TB, f *fixture, o ExportOptions) []byte {
	t.Helper()
	o.At = f.now
	var b bytes.Buffer
	if _, err := f.Export(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExport(t *testing.T) {
	f := rotated(t)
	if _, err := f.Append(Paper, Entry{Stage: "paper", Status: StatusDone, Event: "x"}); err != nil {
		t.Fatal(err)
	}
	pub := publicOf(t)
	all := export(t, f, ExportOptions{})
	x, lines, err := ReadExport(bytes.NewReader(all), &pub)
	if err != nil || len(lines) != 13 || len(x.Logs) != 3 || x.Logs[0].Lines != 12 || x.Logs[1].Lines != 1 || x.Logs[2].Lines != 0 {
		t.Fatalf("%+v, %d lines, %v", x, len(lines), err)
	}
	if h, err := f.Head(Demo); err != nil || x.Heads()[Demo] != h || len(x.Heads()) != 2 {
		t.Errorf("heads %+v", x.Heads())
	}
	// The lines are those of the log, byte for byte.
	raw, err := os.ReadFile(f.segment(1))
	if err != nil || !bytes.Contains(all, raw) {
		t.Errorf("the export does not hold the first file: %v", err)
	}
	// A part of it, by time.
	every, err := f.Read(Demo, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) time.Time {
		v, err := time.Parse(timeFormat, every[i].Entry.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	part := export(t, f, ExportOptions{Logs: []Log{Demo}, From: at(3), To: at(7)})
	x, lines, err = ReadExport(bytes.NewReader(part), &pub)
	if err != nil || len(lines) != 4 || x.Logs[0].First != 4 || lines[0].Number != 4 || x.Logs[0].Before != every[3].Entry.Prev {
		t.Fatalf("%+v, %+v, %v", x, lines, err)
	}
	none := export(t, f, ExportOptions{From: at(11).Add(time.Hour)})
	if x, lines, err := ReadExport(bytes.NewReader(none), nil); err != nil || len(lines) != 0 || x.Heads()[Demo].Entries != 12 {
		t.Errorf("%+v, %+v, %v", x, lines, err)
	}
}

func publicOf(t testing.TB) bundle.PublicKey {
	t.Helper()
	k, err := bundle.NewPublicKey(Open(Options{Key: seeded("machine")}).o.Public)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestExportRefused(t *testing.T) {
	f := rotated(t)
	good := export(t, f, ExportOptions{})
	lines := strings.SplitAfter(string(good), "\n")
	lines = lines[:len(lines)-1]
	drop := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	for name, bad := range map[string]string{
		"empty": "", "no seal": drop(len(lines) - 1), "line dropped": drop(5), "first dropped": drop(0), "cut off": string(good[:len(good)-9]),
		"line twice": strings.Join(append(append([]string{}, lines[:3]...), lines[2:]...), ""), "more after it": string(good) + lines[1],
		"edited":       strings.Replace(string(good), "event-2", "event-7", 1),
		"heads edited": strings.Replace(string(good), `"entries":12`, `"entries":13`, 1),
		"long line":    strings.Repeat("x", 2*MaxLine),
	} {
		x, got, err := ReadExport(strings.NewReader(bad), nil)
		if fault.CodeOf(err) != fault.LogExport {
			t.Errorf("%s: %+v, %d lines, %v", name, x, len(got), err)
		}
	}
	for i := 0; i < len(good); i += 37 {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if _, _, err := ReadExport(bytes.NewReader(bad), nil); err == nil {
			t.Errorf("byte %d of %d changed and nobody noticed", i, len(good))
		}
	}
	other, err := bundle.NewPublicKey(Open(Options{Key: seeded("other")}).o.Public)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadExport(bytes.NewReader(good), &other); fault.CodeOf(err) != fault.LogExport {
		t.Errorf("another machine's key: %v", err)
	}
}

func FuzzExport(f *testing.F) {
	g := rotated(f)
	f.Add(export(f, g, ExportOptions{}))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, _, err := ReadExport(bytes.NewReader(raw), nil)
		if err == nil && x == nil {
			t.Fatal("nothing without an error")
		}
	})
}
