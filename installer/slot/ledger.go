package slot

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// What a path becomes by a step, beside a digest in hexadecimal.
const Absent = "absent"

// How a step ended for the path it announced.
const (
	ResultNew = "new" // the path is what the intent announced
	ResultOld = "old" // the path is what it was before
)

// Names of what intents and outcomes carry in an entry's detail.
const (
	DetailOp      = "op"      // pairs an outcome with its intent
	DetailPath    = "path"    // below the root
	DetailBecomes = "becomes" // digest or Absent
	DetailResult  = "result"  // of an outcome: ResultNew or ResultOld
)

// Events whose marks others look for.
const (
	EventSignOff  = "signoff"
	EventVoid     = "signoff_void"    // a signature that does not count any more, for something changed
	EventRequest  = "signoff_request" // a sign-off that a person elsewhere is asked for
	EventActivate = "activate"
	EventRecord   = "record"
)

// Mark is an entry of a log that announces or concludes a change of one path.
type Mark struct {
	Log       string
	Line      int
	Event     string
	Op        string
	Path      string
	Becomes   string            // of an intent
	Result    string            // of an outcome
	Actor     string            // who did it
	Info      map[string]string // the entry's details that are text
	Artefacts map[string]string
}

// NewMark reads an entry's detail; ok is false for entries that are no mark.
func NewMark(log string, line int, event, actor string, artefacts map[string]string, detail map[string]any) (m Mark, ok bool) {
	info := map[string]string{}
	for k, v := range detail {
		if s, is := v.(string); is {
			info[k] = s
		}
	}
	m = Mark{Log: log, Line: line, Event: event, Actor: actor, Op: info[DetailOp], Path: info[DetailPath], Becomes: info[DetailBecomes],
		Result: info[DetailResult], Info: info, Artefacts: artefacts}
	return m, m.Op != "" && (m.Path != "" && m.Becomes != "" || m.Result != "")
}

// Ledger is what verified logs say about the files below a root: what each was last made, and which changes were
// announced but not concluded. The zero value is empty.
type Ledger struct {
	open  []Mark
	done  []Mark
	paths map[string]string
}

// Add takes the next mark of a log. Marks of one path stand in one log, so logs may be added one after the other.
func (l *Ledger) Add(m Mark) {
	if m.Becomes != "" {
		l.open = append(l.open, m)
		return
	}
	i := slices.IndexFunc(l.open, func(o Mark) bool { return o.Op == m.Op && o.Log == m.Log })
	if i < 0 {
		return
	}
	intent := l.open[i]
	l.open = slices.Delete(l.open, i, i+1)
	if m.Result != ResultNew {
		return
	}
	if l.paths == nil {
		l.paths = map[string]string{}
	}
	l.paths[intent.Path] = intent.Becomes
	l.done = append(l.done, intent)
}

// Pending are announced changes without an outcome.
func (l *Ledger) Pending() []Mark { return slices.Clone(l.open) }

// Done are concluded changes of one kind, in the order of their log.
func (l *Ledger) Done(event string) []Mark {
	var out []Mark
	for _, m := range l.done {
		if m.Event == event {
			out = append(out, m)
		}
	}
	return out
}

// DoneAt is the last concluded change of one kind at a path.
func (l *Ledger) DoneAt(event, path string) (Mark, bool) {
	for _, m := range slices.Backward(l.done) {
		if m.Event == event && m.Path == path {
			return m, true
		}
	}
	return Mark{}, false
}

// Below lists the paths that begin with a prefix and that the logs last made something, sorted.
func (l *Ledger) Below(prefix string) []string {
	var out []string
	for p, becomes := range l.paths {
		if strings.HasPrefix(p, prefix) && becomes != Absent {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// Empty says whether no log ever announced a change.
func (l *Ledger) Empty() bool { return len(l.open) == 0 && len(l.done) == 0 }

// Check refuses (E-RECORD-EDITED) a path that is not what the logs last made it. have is Dir.Have of it.
func (l *Ledger) Check(path, have string) error {
	want, known := l.paths[path]
	if !known {
		want = Absent
	}
	if have == want {
		return nil
	}
	for _, m := range l.open { // a writer is at work or was killed: old and new are both right
		if m.Path == path && m.Becomes == have {
			return nil
		}
	}
	what := "was changed"
	switch {
	case have == Absent:
		what = "is gone"
	case want == Absent:
		what = "was put there"
	}
	return fault.New(fault.RecordEdited, "%q %s by something other than this program", path, what).
		With("path", path).With("want", want).With("have", have)
}

// strange is what a path is that holds neither a file nor a version folder: nothing that this program makes.
const strange = "strange"

// Have says what a path is now: the digest of a file, that of its manifest for a version folder, Absent, or for
// anything else, a link for example, a word that no log holds.
func (d *Dir) Have(path string) (string, error) {
	fi, err := d.root.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, nil
	}
	if err != nil {
		return "", fault.New(fault.IO, "looking at %q: %w", path, err).With("path", path)
	}
	if fi.IsDir() {
		path += "/" + ManifestFile
	}
	f, err := fsx.Open(d.root, path)
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, nil
	}
	if odd(err) {
		return strange, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := SumReader(f)
	if err != nil {
		return "", fsx.Classify(err, "reading", path)
	}
	return sum.String(), nil
}

// SumReader is the SHA-384 of everything that r gives.
func SumReader(r io.Reader) (bundle.Digest, error) {
	h := sha512.New384()
	if _, err := io.Copy(h, r); err != nil {
		return bundle.Digest{}, err
	}
	return bundle.Digest(h.Sum(nil)), nil
}

// Pulse changes whenever a log grows, a stage's record is replaced or live is stopped: a reader without the lock that found something
// wrong looks again when it changed meanwhile.
func (d *Dir) Pulse() string {
	out := ""
	names := []string{StopFile, StopTaken}
	for _, s := range Stages() {
		names = append(names, AuditDir+"/"+s.Log()+".jsonl", s.RecordFile())
	}
	for _, name := range names {
		if fi, err := d.root.Lstat(name); err == nil {
			out += fmt.Sprintf("%d %d,", fi.Size(), fi.ModTime().UnixNano())
		} else {
			out += "-,"
		}
	}
	return out
}
