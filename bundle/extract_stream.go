package bundle

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// streamReader decodes a bundle of one frame from its beginning. It remembers checksums of what it read, for diagnosis.
type streamReader struct {
	medium  *medium
	raw     *pieceReader
	dec     *zstd.Decoder
	decoded atomic.Int64 // bytes given by Read
}

// newStreamReader begins to decode. close must be called.
func (s *Source) newStreamReader(ctx context.Context) (*streamReader, error) {
	r := &streamReader{medium: s.medium, raw: &pieceReader{r: &mediumReader{ctx: ctx, d: s.medium, end: s.medium.size()}}}
	scanner, err := newFrameScanner(bufio.NewReaderSize(r.raw, maxPiece), r.decoded.Load)
	if err != nil {
		return nil, err
	}
	r.dec, err = zstd.NewReader(scanner, zstd.WithDecoderConcurrency(min(4, runtime.GOMAXPROCS(0))), zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fault.New(fault.Format, "decoding the zstd frame: %w", err)
	}
	return r, nil
}

func (r *streamReader) close() { r.dec.Close() }

// Read implements io.Reader. Its errors are coded.
func (r *streamReader) Read(p []byte) (int, error) {
	n, err := r.dec.Read(p)
	r.decoded.Add(int64(n))
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	var coded *fault.Error
	switch {
	case errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
	case errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		err = fault.New(fault.Limit, "decoding the zstd frame: %w", err)
	default:
		err = fault.New(fault.Format, "decoding the zstd frame: %w", err)
	}
	return n, err
}

// readStreamHead reads the two entries at the beginning of a bundle without seek table.
func (s *Source) readStreamHead(ctx context.Context) error {
	r, err := s.newStreamReader(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	s.manifest, s.signature, err = readHeadEntries(&tarReader{r: r})
	return err
}

func headEnd(err error, name string) error {
	if errors.Is(err, io.EOF) {
		return fault.New(headCode(name), "the archive ends where %q should be", name).With("path", name)
	}
	return err
}

// stream reads the one frame from its beginning and hands out chunks. Without Strict it stops after the last wanted one.
func (x *extraction) stream() error {
	r, err := x.s.newStreamReader(x.ctx)
	if err != nil {
		return err
	}
	defer r.close()
	err = x.entries(&tarReader{r: r})
	x.inFlight.Wait()
	if err = x.first(err); err != nil {
		return r.diagnose(x.parent, err)
	}
	return nil
}

// entries walks through the archive and demands exactly what the manifest lists.
func (x *extraction) entries(t *tarReader) error {
	manifest, signature, err := readHeadEntries(t)
	if err != nil {
		return err
	}
	if !bytes.Equal(manifest, x.s.manifest) || !bytes.Equal(signature, x.s.signature) {
		return fault.New(fault.MediumDamaged, "%s or %s is another one than when the bundle was opened", manifestName, signatureName)
	}
	list := newListing(x.m)
	left := 0
	for _, w := range x.wanted {
		if w {
			left++
		}
	}
	for x.strict || left > 0 {
		e, err := t.next()
		if errors.Is(err, io.EOF) {
			return list.missing()
		} else if err != nil {
			return err
		}
		i, err := list.take(e)
		if err != nil {
			return err
		}
		if i < 0 {
			continue // a directory
		}
		if err := x.entry(t, i); err != nil {
			return err
		}
		if x.wanted[i] {
			left--
		}
	}
	return nil
}

// entry reads one artifact's data.
func (x *extraction) entry(t *tarReader, i int) error {
	a := &x.m.Artifacts[i]
	if !x.visited[i] {
		n, err := io.CopyN(io.Discard, t.r, a.Size)
		t.off += n
		if errors.Is(err, io.EOF) {
			err = fault.New(fault.Format, "the archive ends within %q", a.Path)
		}
		if err != nil {
			return err
		}
		return t.skipPadding()
	}
	f, err := x.begin(i)
	if err != nil {
		return err
	}
	for c := range a.Chunks {
		buf, err := x.buffers.get(x.ctx)
		if err != nil {
			return err
		}
		j := job{frame: -1, file: f, chunk: c, buf: buf, data: buf[:chunkLen(a, c)]}
		if err := t.data(j.data); err != nil {
			return err
		}
		if err := x.hand(j); err != nil {
			return err
		}
	}
	if len(a.Chunks) == 0 {
		if err := f.complete(); err != nil {
			return err
		}
	}
	return t.skipPadding()
}

// listing checks an archive's entries against the manifest: each artifact once, and nothing else but parent folders.
type listing struct {
	m       *Manifest
	index   map[string]int
	seen    []bool
	folders map[string]bool // parents of listed paths; true once seen
}

func newListing(m *Manifest) *listing {
	l := &listing{m: m, index: make(map[string]int, len(m.Artifacts)), seen: make([]bool, len(m.Artifacts)), folders: map[string]bool{}}
	for i := range m.Artifacts {
		p := m.Artifacts[i].Path
		l.index[p] = i
		for k := strings.LastIndexByte(p, '/'); k > 0; k = strings.LastIndexByte(p, '/') {
			p = p[:k]
			l.folders[p] = false
		}
	}
	return l
}

// take gives the number of the artifact that an entry is, -1 for a folder.
func (l *listing) take(e tarEntry) (int, error) {
	if err := ValidPath(e.name); err != nil {
		return 0, err
	}
	refuse := func(format string, args ...any) (int, error) {
		return 0, fault.New(fault.Entry, "entry %q "+format, append([]any{clip(e.name)}, args...)...).With("path", clip(e.name))
	}
	if e.dir {
		seen, ok := l.folders[e.name]
		switch {
		case !ok:
			return refuse("is a directory that no listed artifact is in")
		case seen:
			return refuse("is there twice")
		}
		l.folders[e.name] = true
		return -1, nil
	}
	i, ok := l.index[e.name]
	switch {
	case !ok:
		return refuse("is not in the manifest")
	case l.seen[i]:
		return refuse("is there twice")
	case e.size != l.m.Artifacts[i].Size:
		return refuse("has %d bytes, the manifest says %d", e.size, l.m.Artifacts[i].Size)
	}
	l.seen[i] = true
	return i, nil
}

// missing names what the manifest lists and the archive lacks.
func (l *listing) missing() error {
	var names []string
	count := 0
	for i, seen := range l.seen {
		if !seen {
			if count++; len(names) < 10 {
				names = append(names, l.m.Artifacts[i].Path)
			}
		}
	}
	if count == 0 {
		return nil
	}
	return fault.New(fault.Entry, "%d artifacts of the manifest are not in the archive: %q", count, names).With("path", names[0]).With("paths", names)
}

// pieceReader remembers a checksum of each piece that it reads.
type pieceReader struct {
	r    *mediumReader
	sums []pieceSum
}

type pieceSum struct {
	off int64
	n   int
	crc uint32
}

// Read implements io.Reader.
func (r *pieceReader) Read(p []byte) (int, error) {
	off := r.r.off
	n, err := r.r.Read(p)
	if n > 0 {
		r.sums = append(r.sums, pieceSum{off, n, checksum(p[:n])})
	}
	return n, err
}

// diagnosePieces is how many pieces before a failure are read again: more than a window and the chunks in work.
const diagnosePieces = 64

// diagnose reads the last pieces again after a failure. If they differ now, the medium is to blame.
func (r *streamReader) diagnose(ctx context.Context, cause error) error {
	code := fault.CodeOf(cause)
	if code != fault.Digest && code != fault.Format && code != fault.Entry && code != fault.Path && code != fault.Limit {
		return cause
	}
	r.close() // ends the decoder's own reading, so that sums stand still
	for _, s := range r.raw.sums[max(0, len(r.raw.sums)-diagnosePieces):] {
		p := make([]byte, s.n)
		if err := r.medium.fresh(ctx, p, s.off); err != nil {
			return cause
		}
		if checksum(p) != s.crc {
			return fault.New(fault.MediumDamaged, "%q gives other bytes when bytes %d to %d are read again: the medium is dying or counterfeit: %w",
				r.medium.parts[0].name, s.off, s.off+int64(s.n), cause).With("file_offset", s.off).With("file_length", s.n)
		}
	}
	return withFile(cause, fmt.Sprintf("%q", r.medium.parts[0].name))
}

// withFile puts a bundle's name before an error and keeps its code.
func withFile(err error, name string) error {
	return fault.New(fault.CodeOf(err), "%s: %w", name, err)
}
