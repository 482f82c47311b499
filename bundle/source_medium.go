package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"sluice/internal/fault"
)

const (
	defaultStall = 30 * time.Second
	maxPiece     = 1 << 20 // bytes read at once: how finely a slow medium is watched and a read cancelled
	statWait     = 2 * time.Second
)

// file is an open file of the medium.
type file interface {
	io.ReaderAt
	io.Closer
}

// files opens regular files. Tests put slow, dying and two-faced media in its place.
type files interface {
	// open opens a regular file for reading and gives its size. fresh: read from the medium, not from memory.
	open(path string, fresh bool) (file, int64, error)
	exists(path string) error
}

type osFiles struct{}

func (osFiles) open(path string, fresh bool) (file, int64, error) {
	// Opening a fifo would wait for a writer, so the kind is looked at before.
	if err := regular(os.Stat(path)); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err := regular(info, err); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if fresh {
		dropCache(f)
	}
	return f, info.Size(), nil
}

func (osFiles) exists(path string) error {
	_, err := os.Stat(path)
	return err
}

func regular(info fs.FileInfo, err error) error {
	if err == nil && !info.Mode().IsRegular() {
		err = fault.New(fault.SourceMissing, "%q is not a regular file", info.Name()).With("path", info.Name())
	}
	return err
}

// medium is the plain bytes of a bundle, in one file or in volumes. Its reads can be cancelled and are watched: a call into
// the system that does not come back is left behind, and its buffer with it.
type medium struct {
	files files
	stall time.Duration
	dirs  []string // where volumes may be
	ask   func(context.Context, VolumeWanted) (string, error)

	mu    sync.Mutex
	parts []*part
}

// part is one file. f is nil while it is not open.
type part struct {
	name  string
	path  string // where it was found
	start int64  // its first byte's offset in the bundle
	size  int64
	f     file
}

func (d *medium) size() int64 {
	last := d.parts[len(d.parts)-1]
	return last.start + last.size
}

// watch runs what may hang in the system, and leaves it behind when ctx ends or the medium stays silent. discard gets a
// result that comes too late.
func watch[T any](ctx context.Context, limit time.Duration, what string, do func() (T, error), discard func(T)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	done := make(chan result)
	left := make(chan struct{})
	go func() {
		v, err := do()
		select {
		case done <- result{v, err}:
		case <-left:
			if err == nil {
				discard(v)
			}
		}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		close(left)
		return zero, ctx.Err()
	case <-timer.C:
		close(left)
		return zero, fault.New(fault.IO, "%s: the medium has not answered for %s; it may be dying or badly connected", what, limit).With("stalled", true)
	}
}

type opened struct {
	f    file
	size int64
}

func (d *medium) openWatched(ctx context.Context, path string, fresh bool) (opened, error) {
	return watch(ctx, d.stall, fmt.Sprintf("opening %q", filepath.Base(path)), func() (opened, error) {
		f, n, err := d.files.open(path, fresh)
		return opened{f, n}, err
	}, func(o opened) { _ = o.f.Close() })
}

// openSingle opens the one file of a bundle that is not split.
func (d *medium) openSingle(ctx context.Context, path string) error {
	o, err := d.openWatched(ctx, path, false)
	if err != nil {
		return openFault(err, path)
	}
	d.parts = []*part{{name: filepath.Base(path), path: path, size: o.size, f: o.f}}
	return nil
}

func openFault(err error, path string) error {
	var coded *fault.Error
	switch {
	case errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.SourceMissing, "there is no file %q", path).With("path", path).With("file", path)
	}
	return fault.New(fault.IO, "opening %q: %w", path, err).With("file", path)
}

// readAt fills p from the bundle's bytes at off.
func (d *medium) readAt(ctx context.Context, p []byte, off int64) error {
	return d.pieces(p, off, func(pt *part, p []byte, at int64) error {
		f, err := d.file(ctx, pt)
		if err != nil {
			return err
		}
		return d.readPart(ctx, f, pt, p, at)
	})
}

// pieces cuts a range into what lies in one part each.
func (d *medium) pieces(p []byte, off int64, do func(pt *part, p []byte, at int64) error) error {
	for _, pt := range d.parts {
		if len(p) == 0 {
			return nil
		}
		if off >= pt.start+pt.size {
			continue
		}
		n := min(int64(len(p)), pt.start+pt.size-off)
		if err := do(pt, p[:n], off-pt.start); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	if len(p) > 0 {
		return fault.New(fault.Internal, "reading beyond the bundle's end")
	}
	return nil
}

// readPart reads from one file, in pieces that are watched one by one.
func (d *medium) readPart(ctx context.Context, f file, pt *part, p []byte, at int64) error {
	for len(p) > 0 {
		piece := p[:min(len(p), maxPiece)]
		_, err := watch(ctx, d.stall, fmt.Sprintf("reading %q at byte %d", pt.name, at), func() (int, error) {
			n, err := f.ReadAt(piece, at)
			if n == len(piece) {
				err = nil
			}
			return n, err
		}, func(int) {})
		if err != nil {
			return d.readFault(err, pt, at, len(piece))
		}
		p, at = p[len(piece):], at+int64(len(piece))
	}
	return nil
}

// readFault codes what the system said about a read: is the medium gone, dying, or the file cut?
func (d *medium) readFault(err error, pt *part, at int64, n int) error {
	var coded *fault.Error
	if errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	_, there := watch(context.Background(), statWait, "looking for the file", func() (int, error) {
		return 0, d.files.exists(pt.path)
	}, func(int) {})
	with := func(f *fault.Error) error {
		return f.With("file", pt.name).With("file_offset", at).With("length", n)
	}
	switch {
	case there != nil || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO) || errors.Is(err, fs.ErrNotExist):
		return with(fault.New(fault.MediumRemoved, "reading %q: the medium is gone: %w", pt.name, err))
	case errors.Is(err, io.EOF):
		return with(fault.New(fault.IO, "%q ends before byte %d, but had %d bytes when it was opened", pt.name, at+int64(n), pt.size))
	case errors.Is(err, fs.ErrClosed):
		return with(fault.New(fault.IO, "reading %q: the bundle was closed", pt.name))
	}
	return with(fault.New(fault.MediumDamaged, "the medium cannot read %q at bytes %d to %d: %w", pt.name, at, at+int64(n), err))
}

// fresh reads a range again from the medium itself, for diagnosis only.
func (d *medium) fresh(ctx context.Context, p []byte, off int64) error {
	return d.pieces(p, off, func(pt *part, p []byte, at int64) error {
		o, err := d.openWatched(ctx, pt.path, true)
		if err != nil {
			return openFault(err, pt.path)
		}
		defer o.f.Close()
		if o.size != pt.size {
			return fault.New(fault.IO, "%q now has %d bytes, want %d", pt.name, o.size, pt.size)
		}
		return d.readPart(ctx, o.f, pt, p, at)
	})
}

func (d *medium) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, pt := range d.parts {
		if pt.f != nil {
			err = errors.Join(err, pt.f.Close())
			pt.f = nil
		}
	}
	return err
}

// reader reads a range from start to end, for stream mode.
type mediumReader struct {
	ctx      context.Context
	d        *medium
	off, end int64
}

// Read implements io.Reader.
func (r *mediumReader) Read(p []byte) (int, error) {
	if r.off >= r.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.end-r.off)]
	if err := r.d.readAt(r.ctx, p, r.off); err != nil {
		return 0, err
	}
	r.off += int64(len(p))
	return len(p), nil
}
