package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// maxSegments is how many older files a log may have.
const maxSegments = 999_999

// maxSegmentRead is how much of an older file is read at once, bytes: RotateSize with room for other settings.
const maxSegmentRead = 1 << 30

// segment is the name of a log's older file.
func (g Log) segment(n int) string { return fmt.Sprintf("%s.%06d.jsonl", string(g), n) }

// segments are the names of a log's older files, oldest first. One that is missing in between is a broken log.
func segments(dir *os.Root, log Log) ([]string, error) {
	entries, err := fs.ReadDir(dir.FS(), ".") // sorted by name
	if err != nil {
		return nil, fsx.Classify(err, "listing the logs of", string(log))
	}
	var out []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), string(log)+".")
		if !ok || e.Name() == log.file() || !strings.HasSuffix(rest, ".jsonl") {
			continue
		}
		if want := log.segment(len(out) + 1); e.Name() != want {
			n := 0
			for _, before := range out {
				raw, err := fsx.ReadFile(dir, before, maxSegmentRead)
				if err != nil {
					return nil, err
				}
				n += bytes.Count(raw, []byte{'\n'})
			}
			return nil, broken(log, n+1, "it stood in the older file %q, which is missing, while %q is there", want, e.Name())
		}
		out = append(out, e.Name())
	}
	return out, nil
}

// whole is a log as one stream, from its oldest file to the newest.
type whole struct {
	io.Reader
	files []*os.File
}

// Close closes the files.
func (w *whole) Close() {
	for _, f := range w.files {
		_ = f.Close()
	}
}

// openWhole opens all files of a log at their present sizes. An absent log is empty. The newest file is opened first: when
// it becomes an older one meanwhile, it is found under that name too and read once.
func openWhole(dir *os.Root, log Log) (*whole, int64, error) {
	w := &whole{}
	newest, err := openFile(dir, log, log.file())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	var last os.FileInfo
	if err == nil {
		w.files = append(w.files, newest)
		if last, err = newest.Stat(); err != nil {
			w.Close()
			return nil, 0, fsx.Classify(err, "looking at", log.file())
		}
	}
	names, err := segments(dir, log)
	if err != nil {
		w.Close()
		return nil, 0, err
	}
	var parts []io.Reader
	var total int64
	for _, name := range names {
		f, err := openFile(dir, log, name)
		if err != nil {
			w.Close()
			return nil, 0, err
		}
		w.files = append(w.files, f)
		fi, err := f.Stat()
		if err != nil {
			w.Close()
			return nil, 0, fsx.Classify(err, "looking at", name)
		}
		if last != nil && os.SameFile(last, fi) {
			break
		}
		parts, total = append(parts, io.NewSectionReader(f, 0, fi.Size())), total+fi.Size()
	}
	if last != nil {
		parts, total = append(parts, io.NewSectionReader(newest, 0, last.Size())), total+last.Size()
	}
	w.Reader = io.MultiReader(parts...)
	return w, total, nil
}

// size is how many bytes a log has now, in all its files.
func (l *Logs) size(log Log) (int64, error) {
	dir, err := os.OpenRoot(l.o.Dir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	w, n, err := openWhole(dir, log)
	if err != nil {
		return 0, err
	}
	w.Close()
	return n, nil
}

// Files are the paths of a log's files, oldest first, without one that is not there.
func (l *Logs) Files(log Log) ([]string, error) {
	if err := log.valid(); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(l.o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fsx.Classify(err, "opening", l.o.Dir)
	}
	defer dir.Close()
	names, err := segments(dir, log)
	if err != nil {
		return nil, err
	}
	if _, err := dir.Lstat(log.file()); err == nil {
		names = append(names, log.file())
	}
	return names, nil
}

func (o *Options) rotateSize() int64 {
	if o.RotateSize > 0 {
		return o.RotateSize
	}
	return RotateSize
}

// Rotate lets a log go on in a new file, whose first entry says so (EventRotated); an empty log is left as it is. The
// old file keeps its bytes under another name and stays part of the chain. Append does it by itself when a file has
// grown to Options.RotateSize. The caller holds the lock of the root.
func (l *Logs) Rotate(log Log, actor, stage string) error {
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
	if err := w.rotate(); err != nil {
		return err
	}
	return w.begin(actor, stage, l.o.Clock())
}

// rotate renames the newest file. The chain holds at every moment: the log then ends in its older file.
func (w *writer) rotate() error {
	if w.tail.size == 0 {
		return nil
	}
	older, err := segments(w.dir, w.log)
	if err != nil {
		return err
	}
	if len(older) >= maxSegments {
		return fault.New(fault.Limit, "log %q has %d older files, the limit", string(w.log), len(older))
	}
	if err := fsx.Rename(w.dir, w.log.file(), w.log.segment(len(older)+1)); err != nil {
		return err
	}
	w.tail, err = readTail(w.dir, w.log, w.o.Public)
	return err
}

// begin writes the first entry of a new file: it names the file before.
func (w *writer) begin(actor, stage string, now time.Time) error {
	if w.tail.size > 0 || !w.tail.older {
		return nil
	}
	older, err := segments(w.dir, w.log)
	if err != nil {
		return err
	}
	n, err := countLines(w.dir, w.log)
	if err != nil {
		return err
	}
	_, err = w.append(Entry{Stage: stage, Status: StatusDone, Event: EventRotated, Actor: actor,
		Detail: map[string]any{"file": older[len(older)-1], "entries": n}}, now)
	return err
}
