package bundle

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// WriteBundle writes an indexed bundle. The bytes are a function of manifestRaw, sigRaw, the artifacts and the version of this
// program, whatever the number of cores. open is called once for each artifact, in manifest order; what it gives must match the manifest's size and digests
// (E-DIGEST). One Final event of step build is sent when it returns.
func WriteBundle(ctx context.Context, w io.Writer, manifestRaw, sigRaw []byte, m *Manifest, open func(path string) (io.ReadCloser, error), p progress.Func) error {
	mtime, err := checkMtime(m.Created)
	if err != nil {
		return err
	}
	head, err := checkedHead(manifestRaw, sigRaw, mtime)
	if err != nil {
		return err
	}
	frames, err := layout(m, mtime, len(head))
	if err != nil {
		return err
	}
	var total int64
	for i := range m.Artifacts {
		total += m.Artifacts[i].Size
	}
	b := &writer{m: m, mtime: mtime, head: head, frames: frames, open: open, out: w,
		tracker: &tracker{report: p, event: progress.Event{Step: progress.Build, Total: total}}}
	defer b.tracker.end()
	if err := b.run(ctx); err != nil {
		return err
	}
	_, err = w.Write(appendTail(nil, b.written))
	return err
}

func checkedHead(manifestRaw, sigRaw []byte, mtime int64) ([]byte, error) {
	for _, e := range []struct {
		name     string
		n, limit int
	}{{manifestName, len(manifestRaw), MaxManifestSize}, {signatureName, len(sigRaw), MaxSignatureSize}} {
		if e.n == 0 || e.n > e.limit {
			return nil, fault.New(fault.Limit, "%s has %d bytes, want 1 to %d", e.name, e.n, e.limit).With("path", e.name)
		}
	}
	return headBytes(manifestRaw, sigRaw, mtime), nil
}

// writer is one run of WriteBundle: one goroutine reads, several compress, one writes in order.
type writer struct {
	m       *Manifest
	mtime   int64
	head    []byte
	frames  []frame
	open    func(path string) (io.ReadCloser, error)
	out     io.Writer
	tracker *tracker
	written []seekFrame

	source io.ReadCloser // of the artifact in hand
}

// pressed is a compressed frame, or why there is none.
type pressed struct {
	f    frame
	raw  []byte
	size int64
	err  error
}

func (b *writer) run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	workers := runtime.GOMAXPROCS(0)
	encoders := make(chan *zstd.Encoder, workers)
	for range workers {
		enc, err := newFrameEncoder()
		if err != nil {
			return fault.New(fault.Internal, "making a zstd encoder: %w", err)
		}
		encoders <- enc
	}
	queue := make(chan chan pressed, workers)
	var producer sync.WaitGroup
	producer.Go(func() {
		defer close(queue)
		if err := b.produce(ctx, queue, encoders); err != nil {
			cancel(err)
		}
	})
	err := b.consume(ctx, queue)
	if err != nil {
		cancel(err)
		for range queue { // lets the producer end
		}
	}
	producer.Wait()
	if parent.Err() != nil {
		return parent.Err()
	}
	return context.Cause(ctx)
}

// produce reads the artifacts and has their frames compressed. The queue keeps the order.
func (b *writer) produce(ctx context.Context, queue chan<- chan pressed, encoders chan *zstd.Encoder) error {
	defer func() {
		if b.source != nil {
			_ = b.source.Close()
		}
	}()
	for _, f := range b.frames {
		plain, err := b.plain(f)
		if err != nil {
			return err
		}
		var enc *zstd.Encoder
		select {
		case enc = <-encoders:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		slot := make(chan pressed, 1)
		go func() {
			r := pressed{f: f, size: int64(len(plain))}
			if r.err = b.checkChunk(f, plain); r.err == nil {
				r.raw = enc.EncodeAll(plain, nil)
			}
			encoders <- enc
			slot <- r
		}()
		select {
		case queue <- slot:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// consume writes the frames in order.
func (b *writer) consume(ctx context.Context, queue <-chan chan pressed) error {
	for slot := range queue {
		var r pressed
		select {
		case r = <-slot:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if r.err != nil {
			return r.err
		}
		if err := checkZstdFrame(r.raw, r.size); err != nil {
			return fault.New(fault.Internal, "compressing: the frame made %w", err)
		}
		if _, err := b.out.Write(r.raw); err != nil {
			return err
		}
		b.written = append(b.written, seekFrame{size: uint32(len(r.raw)), decoded: uint32(r.size), crc: checksum(r.raw)})
		if r.f.artifact >= 0 {
			b.tracker.add(b.m.Artifacts[r.f.artifact].Path, int64(r.f.data))
		}
	}
	return nil
}

// plain gives a frame's decoded bytes.
func (b *writer) plain(f frame) ([]byte, error) {
	switch f.artifact {
	case headFrame:
		return b.head, nil
	case endFrame:
		return make([]byte, tarEnd), nil
	}
	a := &b.m.Artifacts[f.artifact]
	if f.chunk == 0 {
		src, err := b.open(a.Path)
		if err != nil {
			return nil, err
		}
		b.source = src
	}
	out := make([]byte, f.size())
	if f.header > 0 {
		copy(out, tarHeader(a.Path, a.Size, b.mtime))
	}
	if _, err := io.ReadFull(b.source, out[f.header:f.header+f.data]); err != nil {
		return nil, b.changed(a, err)
	}
	if f.chunk < len(a.Chunks)-1 {
		return out, nil
	}
	var more [1]byte
	switch n, err := io.ReadFull(b.source, more[:]); {
	case n > 0:
		return nil, b.changed(a, nil)
	case !errors.Is(err, io.EOF):
		return nil, b.changed(a, err)
	}
	err := b.source.Close()
	b.source = nil
	if err != nil {
		return nil, fault.New(fault.IO, "closing %q: %w", a.Path, err)
	}
	return out, nil
}

// changed is the error of an artifact that is not what the manifest says any more.
func (b *writer) changed(a *Artifact, err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Digest, "%q changed since it was digested: it has not the %d bytes that the manifest says", a.Path, a.Size).With("path", a.Path)
	case fault.CodeOf(err) != fault.Internal:
		return err
	}
	return fault.New(fault.IO, "reading %q: %w", a.Path, err).With("path", a.Path)
}

func (b *writer) checkChunk(f frame, plain []byte) error {
	if f.artifact < 0 || f.data == 0 {
		return nil
	}
	a := &b.m.Artifacts[f.artifact]
	if got := Digest(sha512.Sum384(plain[f.header : f.header+f.data])); got != a.Chunks[f.chunk] {
		at := damage{path: a.Path, offset: int64(f.chunk) * a.ChunkSize, length: int64(f.data)}
		return at.with(fault.New(fault.Digest, "%q changed since it was digested: %w", a.Path, at.digest(got, a.Chunks[f.chunk])))
	}
	return nil
}

// ReplaceHead copies the indexed bundle src to the new file dst with another manifest.sig; manifest.json must stay the same.
// dst is on the disk (fsync) when it returns without error, and removed when it fails. Errors: E-USAGE for a bundle without seek table or in volumes, E-EXISTS, E-DIGEST,
// E-IO, and those of Open.
func ReplaceHead(ctx context.Context, src, dst string, manifestRaw, sigRaw []byte) error {
	s, err := Open(ctx, src, OpenOptions{})
	if err != nil {
		return err
	}
	defer s.Close()
	if s.kind != KindIndexed {
		return fault.New(fault.Usage, "%q is no bundle in one file with a seek table, and only those can be changed", filepath.Base(src)).With("kind", string(s.kind))
	}
	if !bytes.Equal(manifestRaw, s.manifest) {
		return fault.New(fault.Usage, "another manifest would need another bundle: only %s can be replaced", signatureName)
	}
	head, err := checkedHead(manifestRaw, sigRaw, s.mtime)
	if err != nil {
		return err
	}
	enc, err := newFrameEncoder()
	if err != nil {
		return fault.New(fault.Internal, "making a zstd encoder: %w", err)
	}
	return createFile(dst, func(f *os.File) error {
		return s.copyWithHead(ctx, f, enc.EncodeAll(head, nil), len(head))
	})
}

// copyWithHead writes a new frame 1, all other frames as they are, and a new tail.
func (s *Source) copyWithHead(ctx context.Context, w io.Writer, head []byte, decoded int) error {
	written := []seekFrame{{size: uint32(len(head)), decoded: uint32(decoded), crc: checksum(head)}}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for i, f := range s.table.frames[1:] {
		raw := make([]byte, f.size)
		if err := s.medium.readAt(ctx, raw, f.off); err != nil {
			return err
		}
		crc := checksum(raw)
		if s.table.checked && crc != f.crc {
			return fault.New(fault.Digest, "frame %d of %q, bytes %d to %d, is damaged", i+2, filepath.Base(s.path), f.off, f.off+int64(f.size)).
				With("file_offset", f.off).With("file_length", f.size)
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
		written = append(written, seekFrame{size: f.size, decoded: f.decoded, crc: crc})
	}
	_, err := w.Write(appendTail(nil, written))
	return err
}

// createFile makes a new file, syncs it, and removes it again when anything fails.
func createFile(path string, write func(f *os.File) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fault.New(fault.Exists, "%q is there already", path).With("file", path)
	} else if err != nil {
		return fault.New(fault.IO, "making %q: %w", path, err).With("file", path)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		return nil
	}
	_ = os.Remove(path)
	return err
}
