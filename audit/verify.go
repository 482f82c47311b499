package audit

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// Verify checks each line of a log, from the first: that it is an entry, that the machine's key signed it, and that it
// follows the one before. With o.Heads the log must have gone through these states too. An absent log is an empty one.
// A tail that is the beginning of the entry in <log>.next is no fault (State.Torn): the next writer completes it.
//
// Error: E-LOG-BROKEN with the details log, entry (number of the first bad one, from 1) and reason. It needs read
// access only, and no lock.
func (l *Logs) Verify(log Log, o VerifyOptions) (*State, error) {
	if err := log.valid(); err != nil {
		return nil, err
	}
	var state *State
	err := l.whole(log, func(f io.Reader, pending []byte) (err error) {
		state, err = verify(f, log, l.o.Public, pending, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return state, nil
}

// whole lets check read a log. A writer may be at work meanwhile, so one that seems broken at its end is looked at again.
func (l *Logs) whole(log Log, check func(f io.Reader, pending []byte) error) error {
	for attempt := 0; ; attempt++ {
		size, err := l.attempt(log, check)
		if fault.CodeOf(err) != fault.LogBroken || attempt == 3 {
			return err
		}
		time.Sleep(20 * time.Millisecond)
		if now, serr := l.size(log); serr != nil || now == size && attempt > 0 {
			return err // nobody is writing: it is broken
		}
	}
}

func (l *Logs) attempt(log Log, check func(io.Reader, []byte) error) (size int64, err error) {
	dir, err := os.OpenRoot(l.o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, check(bytes.NewReader(nil), nil)
	}
	if err != nil {
		return 0, fsx.Classify(err, "opening", l.o.Dir)
	}
	defer dir.Close()
	var pending []byte
	// Read before the log: a writer that finishes in between leaves a longer log, not a torn one.
	if next, err := os.OpenRoot(l.o.NextDir); err == nil {
		pending, _ = fsx.ReadFile(next, log.next(), MaxLine) // without it, a torn log counts as broken
		next.Close()
	}
	r, size, err := openWhole(dir, log)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return size, check(r, pending)
}

// VerifyFile checks a copy of a log, which must end with a whole line.
func VerifyFile(path string, log Log, public ed25519.PublicKey, o VerifyOptions) (*State, error) {
	if err := log.valid(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.SourceMissing, "opening %q: %w", path, err).With("path", path)
	}
	if err != nil {
		return nil, fsx.Classify(err, "opening", filepath.Base(path))
	}
	defer f.Close()
	return verify(f, log, public, nil, o)
}

func verify(f io.Reader, log Log, public ed25519.PublicKey, pending []byte, o VerifyOptions) (*State, error) {
	state := &State{}
	var last []byte
	var batch [][]byte
	judge := func() error {
		lines := batch
		batch = nil
		results := decodeAll(lines, log, public)
		for i, line := range lines {
			if err := state.follow(log, line, results[i], o.Heads); err != nil {
				return err
			}
			last = line
		}
		return nil
	}
	torn, err := eachLine(f, log, func(n int, line []byte) error {
		if batch = append(batch, bytes.Clone(line)); len(batch) < batchLines {
			return nil
		}
		return judge()
	})
	if jerr := judge(); jerr != nil { // lines before a broken one come first
		err = jerr
	}
	if err != nil {
		return nil, err
	}
	if len(torn) > 0 {
		t := tail{torn: torn}
		t.last = last
		if rest, err := completion(log, pending, t, public); err != nil || len(rest) == 0 {
			return nil, broken(log, state.Entries+1, "its last line is cut off and is not the beginning of the entry that was being written")
		}
		state.Torn = true
	}
	for _, h := range o.Heads {
		if h.Entries > state.Entries {
			return nil, broken(log, state.Entries+1, "the log ends after entry %d, a record says it had %d: it was cut short", state.Entries, h.Entries).
				With("want", h.Entries)
		}
	}
	return state, nil
}

// batchLines is how many lines are decoded side by side; at most MaxLine bytes each.
const batchLines = 64

type decoded struct {
	entry Entry
	err   error
}

// decodeAll decodes on all cores: signatures are most of the work.
func decodeAll(lines [][]byte, log Log, public ed25519.PublicKey) []decoded {
	out := make([]decoded, len(lines))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(lines)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := int(next.Add(1)) - 1; i < len(lines); i = int(next.Add(1)) - 1 {
				out[i].entry, out[i].err = decode(lines[i], log, public)
			}
		}()
	}
	workers.Wait()
	return out
}

// follow takes the next line into the state.
func (s *State) follow(log Log, line []byte, d decoded, heads []Head) error {
	n := s.Entries + 1
	switch {
	case d.err != nil:
		return broken(log, n, "%v", d.err)
	case d.entry.Prev != s.SHA384 && n == 1:
		return broken(log, n, "it is not the first entry that was written: entries before it were removed")
	case d.entry.Prev != s.SHA384:
		return broken(log, n, "it does not follow entry %d: an entry was removed, moved or replaced", n-1)
	}
	s.Entries, s.SHA384 = n, digestOf(line)
	return checkHeads(log, heads, s.Head)
}

func checkHeads(log Log, heads []Head, at Head) error {
	for _, h := range heads {
		if h.Entries == at.Entries && h.SHA384 != at.SHA384 {
			return broken(log, at.Entries, "it is not the entry that a record knows: the log was replaced").With("want", h.SHA384.String())
		}
	}
	return nil
}

// eachLine calls f for each whole line, without its line feed, and returns what stands after the last one. The slices are
// valid until f returns.
func eachLine(r io.Reader, log Log, f func(n int, line []byte) error) (torn []byte, err error) {
	br := bufio.NewReaderSize(r, MaxLine)
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		switch {
		case err == nil:
			if err := f(n, line[:len(line)-1]); err != nil {
				return nil, err
			}
		case err == io.EOF:
			return bytes.Clone(line), nil
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, broken(log, n, "its line has more than %d bytes", MaxLine)
		default:
			return nil, fsx.Classify(err, "reading", log.file())
		}
	}
}

// Head is the state of a log without checking it: for records that pin it. An absent log has no entries. A torn tail
// does not count.
func (l *Logs) Head(log Log) (Head, error) {
	if err := log.valid(); err != nil {
		return Head{}, err
	}
	var h Head
	_, err := l.attempt(log, func(f io.Reader, _ []byte) error {
		h = Head{}
		_, err := eachLine(f, log, func(n int, line []byte) error {
			h = Head{Entries: n, SHA384: digestOf(line)}
			return nil
		})
		return err
	})
	if err != nil {
		return Head{}, err
	}
	return h, nil
}

// Read gives the entries that fit a filter, in the order of the log. It does not verify: call Verify for that. A
// line that is no entry is given with its Problem, whatever the filter.
func (l *Logs) Read(log Log, f Filter) ([]Line, error) {
	if err := log.valid(); err != nil {
		return nil, err
	}
	out := []Line{}
	_, err := l.attempt(log, func(r io.Reader, _ []byte) error {
		_, err := eachLine(r, log, func(n int, line []byte) error {
			e, err := parse(line)
			if err != nil {
				out = append(out, Line{Number: n, Problem: err.Error()})
			} else if f.fits(e) {
				out = append(out, Line{Number: n, Entry: e})
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if f.Last > 0 && len(out) > f.Last {
		out = out[len(out)-f.Last:]
	}
	return out, nil
}

func (f Filter) fits(e Entry) bool {
	for _, p := range [][2]string{{f.Stage, e.Stage}, {f.Status, e.Status}, {f.Event, e.Event}, {f.Code, e.Code}, {f.Actor, e.Actor}} {
		if p[0] != "" && p[0] != p[1] {
			return false
		}
	}
	if f.Incident != "" && NormalizeIncident(f.Incident) != e.Incident {
		return false
	}
	at, err := time.Parse(timeFormat, e.Timestamp)
	return err == nil && (f.Since.IsZero() || !at.Before(f.Since)) && (f.Until.IsZero() || at.Before(f.Until))
}

// Find gives the last entry that names a digest among its artefacts, nil when there is none. It does not verify.
func (l *Logs) Find(log Log, digest bundle.Digest) (*Line, error) {
	lines, err := l.Read(log, Filter{})
	if err != nil {
		return nil, err
	}
	want := digest.String()
	for i := len(lines) - 1; i >= 0; i-- {
		for _, have := range lines[i].Entry.Artefacts {
			if have == want {
				return &lines[i], nil
			}
		}
	}
	return nil, nil
}
