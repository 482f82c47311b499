package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// Logs are the three logs of one root. Its methods may be called concurrently; other processes are kept out by the
// caller's lock.
type Logs struct {
	o  Options
	mu sync.Mutex
}

// Open remembers where the logs are; nothing is read or made.
func Open(o Options) *Logs {
	if o.Public == nil && o.Key != nil {
		o.Public = o.Key.Public().(ed25519.PublicKey)
	}
	return &Logs{o: o}
}

// Path is the file of a log.
func (l *Logs) Path(log Log) string { return filepath.Join(l.o.Dir, log.file()) }

func (g Log) file() string { return string(g) + ".jsonl" }
func (g Log) next() string { return string(g) + ".next" }

func (g Log) valid() error {
	for _, known := range All() {
		if g == known {
			return nil
		}
	}
	return fault.New(fault.Usage, "log %q, want one of %q", string(g), All())
}

func broken(log Log, entry int, format string, args ...any) *fault.Error {
	reason := fmt.Sprintf(format, args...)
	if entry == 0 { // the end of the log, its entries were not counted
		return fault.New(fault.LogBroken, "log %q: %s", string(log), reason).With("log", string(log)).With("reason", reason)
	}
	return fault.New(fault.LogBroken, "log %q, entry %d: %s", string(log), entry, reason).
		With("log", string(log)).With("entry", entry).With("reason", reason)
}

// Append writes one entry and returns it as it stands in the log. What a power cut left is settled first (Settle).
// The line is written to <log>.next and synced, appended and synced, and <log>.next removed, so that at any moment the
// log either ends with a whole entry or the rest of it is known.
//
// A log is only ever appended to, so equal refusals are counted like this: the first is an entry. Refusals equal to it in
// everything but time, incident and count are not written for an hour (of the local clock) but counted in
// <log>.repeats beside <log>.next; Append returns the first one, whose incident is then theirs too, with Count set to how
// many there were since. The first Append of anything after that hour, or Flush, writes one entry with event
// "repeated" and the count of the refusals that followed. If <log>.repeats is lost, the count is; the refusal itself is not.
//
// Errors: E-LOG-BROKEN when the log's end does not hold, E-LOCKED when another writer is at work, E-SPACE, E-ROOT-READONLY, E-IO.
func (l *Logs) Append(log Log, e Entry) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, err := l.writer(log)
	if err != nil {
		return Entry{}, err
	}
	defer w.close()
	if err := w.settle(); err != nil {
		return Entry{}, w.numbered(err)
	}
	now := l.o.Clock()
	if w.tail.size >= w.o.rotateSize() { // where a reader holds the file open and it cannot be renamed, the log goes on in it
		_ = w.rotate()
	}
	if err := w.begin(e.Actor, e.Stage, now); err != nil {
		return Entry{}, err
	}
	rep := w.loadRepeats()
	if err := w.flush(rep, now, false); err != nil {
		return Entry{}, err
	}
	if e.Status != StatusRefused {
		return w.append(e, now)
	}
	key, err := refusalKey(e)
	if err != nil {
		return Entry{}, err
	}
	if r := rep.find(key); r != nil {
		r.Count++
		r.Last = now.UTC().Format(timeFormat)
		if err := w.saveRepeats(rep); err != nil {
			return Entry{}, err
		}
		first := r.First
		first.Count = r.Count
		return first, nil
	}
	if e.Incident == "" {
		if e.Incident, err = NewIncident(l.o.Rand); err != nil {
			return Entry{}, err
		}
	}
	written, err := w.append(e, now)
	if err != nil {
		return Entry{}, err
	}
	return written, w.remember(rep, key, written, now)
}

// Settle completes an entry that a power cut interrupted, or forgets one that was never begun. Append does it too; a
// start of the program does it so that readers find a whole log. The caller holds the lock of the root.
func (l *Logs) Settle(log Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, err := l.writer(log)
	if err != nil {
		return err
	}
	defer w.close()
	return w.numbered(w.settle())
}

// Flush writes the counts of repeated refusals now, whatever their hour.
func (l *Logs) Flush(log Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, err := l.writer(log)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.settle(); err != nil {
		return w.numbered(err)
	}
	return w.flush(w.loadRepeats(), l.o.Clock(), true)
}

// writer is one log opened for one change.
type writer struct {
	log       Log
	o         *Options
	dir, next *os.Root
	tail      tail
}

// tail is the end of a log: its last whole line and what stands after it.
type tail struct {
	size  int64  // of the newest file
	last  []byte // last whole line without its line feed, nil in an empty log
	older bool   // last stands in an older file
	torn  []byte // unterminated bytes at the end
	entry Entry  // last, parsed and verified
}

func (l *Logs) writer(log Log) (*writer, error) {
	if err := log.valid(); err != nil {
		return nil, err
	}
	if len(l.o.Key) != ed25519.PrivateKeySize || l.o.Clock == nil || l.o.Rand == nil {
		return nil, fault.New(fault.Internal, "log %q was opened for reading only", string(log))
	}
	if err := os.MkdirAll(l.o.Dir, 0o755); err != nil {
		return nil, fsx.Classify(err, "making", l.o.Dir)
	}
	dir, err := os.OpenRoot(l.o.Dir)
	if err != nil {
		return nil, fsx.Classify(err, "opening", l.o.Dir)
	}
	next, err := os.OpenRoot(l.o.NextDir)
	if err != nil {
		dir.Close()
		return nil, fsx.Classify(err, "opening", l.o.NextDir)
	}
	return &writer{log: log, o: &l.o, dir: dir, next: next}, nil
}

func (w *writer) close() {
	w.dir.Close()
	w.next.Close()
}

// settle brings the log to a whole last line; afterwards <log>.next is gone and w.tail is right.
func (w *writer) settle() error {
	var err error
	if w.tail, err = readTail(w.dir, w.log, w.o.Public); err != nil {
		return err
	}
	pending, err := fsx.ReadFile(w.next, w.log.next(), MaxLine)
	if errors.Is(err, fs.ErrNotExist) {
		if len(w.tail.torn) > 0 {
			return tornError(w.log)
		}
		return nil
	}
	if err != nil {
		return err
	}
	rest, err := completion(w.log, pending, w.tail, w.o.Public)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		if err := w.extend(rest); err != nil {
			return err
		}
	}
	if err := w.removeNext(); err != nil {
		return err
	}
	w.tail, err = readTail(w.dir, w.log, w.o.Public)
	return err
}

// openFile opens a file of a log for reading. A link, folder or pipe in its place is a broken log.
func openFile(dir *os.Root, log Log, name string) (*os.File, error) {
	f, err := fsx.Open(dir, name)
	if fault.CodeOf(err) == fault.Path {
		return nil, broken(log, 1, "%v", err)
	}
	return f, err
}

// numbered adds to a fault of the log's end which entry it is: the one after the last whole line.
func (w *writer) numbered(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.LogBroken || fault.DetailOf(err)["entry"] != nil {
		return err
	}
	n, cerr := countLines(w.dir, w.log)
	if cerr != nil {
		return err
	}
	return e.With("entry", n+1)
}

// countLines counts a log's whole lines, those of older files too.
func countLines(dir *os.Root, log Log) (n int, err error) {
	r, _, err := openWhole(dir, log)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	buf := make([]byte, MaxLine)
	for {
		m, err := r.Read(buf)
		n += bytes.Count(buf[:m], []byte{'\n'})
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, fsx.Classify(err, "reading", log.file())
		}
	}
}

func tornError(log Log) error {
	return broken(log, 0, "its last line is cut off and is not the beginning of the entry that was being written")
}

// completion says which bytes of pending (the content of <log>.next) are still to be appended.
func completion(log Log, pending []byte, t tail, public ed25519.PublicKey) ([]byte, error) {
	line, whole := bytes.CutSuffix(pending, []byte("\n"))
	if !whole || bytes.IndexByte(line, '\n') >= 0 { // cut off while it was written: the log was not touched yet
		if len(t.torn) > 0 {
			return nil, tornError(log)
		}
		return nil, nil
	}
	if len(t.torn) == 0 && t.last != nil && bytes.Equal(line, t.last) {
		return nil, nil // appended already
	}
	if !bytes.HasPrefix(pending, t.torn) {
		return nil, tornError(log)
	}
	e, err := decode(line, log, public)
	if err != nil {
		return nil, broken(log, 0, "the entry that was being written does not hold: %v", err)
	}
	if e.Prev != t.digest() {
		return nil, broken(log, 0, "the entry that was being written does not follow the last one of the log")
	}
	return pending[len(t.torn):], nil
}

// digest is what the next entry's prev must be.
func (t tail) digest() bundle.Digest {
	if t.last == nil {
		return bundle.Digest{}
	}
	return digestOf(t.last)
}

// append writes one entry after the settled tail.
func (w *writer) append(e Entry, now time.Time) (Entry, error) {
	e.Timestamp = now.UTC().Format(timeFormat)
	e.Log = w.log
	e.Prev = w.tail.digest()
	line, e, err := encode(e, w.o.Key)
	if err != nil {
		return Entry{}, err
	}
	if err := w.writeNext(line); err != nil {
		return Entry{}, err
	}
	if err := w.extend(line); err != nil {
		return Entry{}, err
	}
	if err := w.removeNext(); err != nil {
		return Entry{}, err
	}
	size := w.tail.size + int64(len(line))
	if w.tail, err = readTail(w.dir, w.log, w.o.Public); err != nil {
		return Entry{}, err
	}
	if w.tail.size != size || !bytes.Equal(w.tail.last, line[:len(line)-1]) {
		return Entry{}, otherWriter(w.log)
	}
	return e, nil
}

func otherWriter(log Log) error {
	return fault.New(fault.Locked, "another program is writing log %q at the same time", string(log)).With("log", string(log))
}

// writeNext makes <log>.next. One that is there belongs to another writer, for settle has just removed ours.
func (w *writer) writeNext(line []byte) error {
	f, err := w.next.OpenFile(w.log.next(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return otherWriter(w.log)
	}
	if err != nil {
		return fsx.Classify(err, "making", w.log.next())
	}
	if err := writeAndSync(f, line); err != nil {
		_ = w.next.Remove(w.log.next()) // best effort; half a line is settled away as well
		return fsx.Classify(err, "writing", w.log.next())
	}
	return fsx.SyncDir(w.next, ".")
}

func (w *writer) removeNext() error {
	if err := w.next.Remove(w.log.next()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fsx.Classify(err, "removing", w.log.next())
	}
	return fsx.SyncDir(w.next, ".")
}

// extend appends bytes to the log, which must still have the size it was read with.
func (w *writer) extend(data []byte) error {
	if err := fsx.CheckNoLinks(w.dir, w.log.file()); err != nil {
		return err
	}
	f, err := w.dir.OpenFile(w.log.file(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fsx.Classify(err, "opening", w.log.file())
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() != w.tail.size {
		err = otherWriter(w.log)
	}
	if err != nil {
		f.Close()
		return fsx.Classify(err, "looking at", w.log.file())
	}
	if err := writeAndSync(f, data); err != nil {
		return fsx.Classify(err, "appending to", w.log.file())
	}
	if w.tail.size == 0 {
		return fsx.SyncDir(w.dir, ".")
	}
	return nil
}

func writeAndSync(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// readTail reads and checks the end of a log: its last whole line must be an entry of this log and machine. It may stand in an
// older file, when the newest has none yet.
func readTail(dir *os.Root, log Log, public ed25519.PublicKey) (tail, error) {
	t, err := fileTail(dir, log, log.file())
	if err != nil {
		return tail{}, err
	}
	if t.last == nil {
		older, err := segments(dir, log)
		if err != nil {
			return tail{}, err
		}
		if len(older) > 0 {
			o, err := fileTail(dir, log, older[len(older)-1])
			if err != nil {
				return tail{}, err
			}
			if o.last == nil || len(o.torn) > 0 {
				return tail{}, broken(log, 0, "its older file %q does not end with an entry", older[len(older)-1])
			}
			t.last, t.older = o.last, true
		}
	}
	if t.last == nil {
		return t, nil
	}
	if t.entry, err = decode(t.last, log, public); err != nil {
		n, cerr := countLines(dir, log)
		if cerr != nil {
			return tail{}, cerr
		}
		return tail{}, broken(log, n, "%v", err)
	}
	return t, nil
}

// fileTail reads the end of one file of a log; an absent one is empty.
func fileTail(dir *os.Root, log Log, name string) (tail, error) {
	f, err := openFile(dir, log, name)
	if errors.Is(err, fs.ErrNotExist) {
		return tail{}, nil
	}
	if err != nil {
		return tail{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return tail{}, fsx.Classify(err, "looking at", name)
	}
	t := tail{size: fi.Size()}
	from := max(0, t.size-2*MaxLine) // a torn line and the whole one before it
	end := make([]byte, t.size-from)
	if _, err := f.ReadAt(end, from); err != nil && err != io.EOF {
		return tail{}, fsx.Classify(err, "reading", name)
	}
	cut := bytes.LastIndexByte(end, '\n') + 1
	t.torn = end[cut:]
	if len(t.torn) >= MaxLine {
		return tail{}, broken(log, 0, "its last line has more than %d bytes", MaxLine)
	}
	if cut == 0 {
		return t, nil // nothing but a torn first line, or nothing
	}
	t.last = end[:cut-1]
	if i := bytes.LastIndexByte(t.last, '\n'); i >= 0 {
		t.last = t.last[i+1:]
	} else if from > 0 {
		return tail{}, broken(log, 0, "its last line has more than %d bytes", MaxLine)
	}
	return t, nil
}
