package bundle

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// frameDecoder makes the zstd decoder when it is first needed.
type frameDecoder struct {
	once sync.Once
	dec  *zstd.Decoder
	err  error
}

func (d *frameDecoder) get(workers int) (*zstd.Decoder, error) {
	d.once.Do(func() { d.dec, d.err = newFrameDecoder(workers) })
	return d.dec, d.err
}

func (d *frameDecoder) close() {
	if d.dec != nil {
		d.dec.Close()
	}
}

// indexed hands out the frames in the order in which they lie on the medium.
func (x *extraction) indexed() error {
	d := x.s.medium
	if d.ask == nil {
		var needed []seekFrame
		for i, f := range x.frames {
			if x.visits(f) {
				needed = append(needed, x.s.table.frames[i])
			}
		}
		if err := d.require(x.ctx, needed); err != nil {
			return err
		}
	}
	for i, f := range x.frames {
		if !x.visits(f) {
			continue
		}
		j, err := x.newJob(i, f)
		if err != nil {
			return err
		}
		at := x.s.table.frames[i]
		if d.ask != nil && !d.here(x.ctx, at.off, int64(at.size)) && !x.staged(&j) {
			j.raw = make([]byte, at.size)
			if err := d.readAsking(x.ctx, j.raw, at.off, x.inFlight.Wait); err != nil {
				return err
			}
		}
		if err := x.hand(j); err != nil {
			return err
		}
	}
	if x.strict && x.s.volumes != nil {
		return x.s.checkTail(x.ctx, x.inFlight.Wait)
	}
	return nil
}

func (x *extraction) newJob(i int, f frame) (job, error) {
	buf, err := x.buffers.get(x.ctx)
	if err != nil {
		return job{}, err
	}
	j := job{frame: i, chunk: f.chunk, buf: buf}
	if f.artifact >= 0 {
		if f.chunk == 0 {
			if _, err := x.begin(f.artifact); err != nil {
				return job{}, err
			}
		}
		j.file = x.files[f.artifact]
	}
	return j, nil
}

// staged looks whether an earlier run left the chunk, and takes it then: the medium need not be read. Strict runs read
// everything.
func (x *extraction) staged(j *job) bool {
	if j.data != nil {
		return true
	}
	if x.strict || j.file == nil || j.file.store == nil || len(j.file.a.Chunks) == 0 {
		return false
	}
	data := j.buf[:chunkLen(j.file.a, j.chunk)]
	there, err := j.file.store.ReadChunk(j.chunk, data)
	if err != nil || !there || Digest(sha512.Sum384(data)) != j.file.a.Chunks[j.chunk] {
		return false // whatever was there is written anew
	}
	j.data = data
	return true
}

// process does all the work on one frame or chunk. raw is the worker's buffer for compressed bytes.
func (x *extraction) process(j job, raw []byte) error {
	if j.frame < 0 {
		return j.file.chunk(j, false, func(got Digest) error {
			at := damage{path: j.file.a.Path, offset: int64(j.chunk) * j.file.a.ChunkSize, length: int64(len(j.data))}
			return at.digest(got, j.file.a.Chunks[j.chunk])
		})
	}
	if x.staged(&j) {
		return j.file.chunk(j, true, func(Digest) error {
			return fault.New(fault.Internal, "a staged chunk changed in memory")
		})
	}
	at := x.s.table.frames[j.frame]
	if j.raw == nil {
		j.raw = raw[:at.size]
		if err := x.s.medium.readAt(x.ctx, j.raw, at.off); err != nil {
			return err
		}
	}
	if err := x.frame(&j); err != nil {
		return x.s.frameFault(x.ctx, j.frame, j.raw, x.damageOf(j), err)
	}
	switch {
	case j.file == nil:
		x.buffers.put(j.buf)
		return nil
	case len(j.file.a.Chunks) == 0:
		x.buffers.put(j.buf)
		return j.file.complete()
	}
	return j.file.chunk(j, false, func(got Digest) error {
		d := x.damageOf(j)
		return x.s.frameFault(x.ctx, j.frame, j.raw, d, d.digest(got, j.file.a.Chunks[j.chunk]))
	})
}

// frame decodes a frame and compares all but its data with what the manifest demands.
func (x *extraction) frame(j *job) error {
	f := x.frames[j.frame]
	dec, err := x.decoder.get(x.workers)
	if err != nil {
		return fault.New(fault.Internal, "making a zstd decoder: %w", err)
	}
	out, err := x.s.table.decode(dec, j.frame, j.raw, j.buf[:0])
	if err != nil {
		return err
	}
	if f.artifact == endFrame {
		if !allZero(out) {
			return fault.New(fault.Format, "the last frame is not two zero blocks")
		}
		return nil
	}
	if f.header > 0 && !bytes.Equal(out[:f.header], tarHeader(j.file.a.Path, j.file.a.Size, x.mtime)) {
		return fault.New(fault.Entry, "the tar header of %q is not what the manifest demands", j.file.a.Path)
	}
	if !allZero(out[len(out)-int(f.padding):]) {
		return fault.New(fault.Format, "the padding after %q is not zero", j.file.a.Path)
	}
	j.data = out[f.header : len(out)-int(f.padding)]
	return nil
}

// damage says which bytes a frame was to give.
type damage struct {
	path   string // of the artifact; empty for the archive's end
	offset int64  // bytes within the artifact
	length int64
}

func (x *extraction) damageOf(j job) damage {
	if j.file == nil {
		return damage{path: "", length: tarEnd}
	}
	return damage{path: j.file.a.Path, offset: int64(j.chunk) * j.file.a.ChunkSize, length: int64(x.frames[j.frame].data)}
}

func (d damage) digest(got, want Digest) error {
	return d.with(fault.New(fault.Digest, "artifact %q: bytes %d to %d have the SHA-384 %s, the manifest wants %s", d.path, d.offset, d.offset+d.length, got, want).
		With("got", got.String()).With("want", want.String()))
}

func (d damage) with(f *fault.Error) *fault.Error {
	return f.With("path", d.path).With("offset", d.offset).With("length", d.length).With("end", d.offset+max(d.length, 1)-1)
}

// frameFault finds out why frame i, read as raw, is wrong. A fresh read of the same bytes that differs means a dying or
// counterfeit medium; the bytes of the second read are used for nothing else.
func (s *Source) frameFault(ctx context.Context, i int, raw []byte, d damage, cause error) error {
	f := s.table.frames[i]
	names, from, to := s.medium.volumesOf(f.off, int64(f.size))
	where := func(e *fault.Error) *fault.Error {
		return d.with(e).With("file", names[0]).With("file_offset", from).With("file_length", to-from)
	}
	again := make([]byte, len(raw))
	err := s.medium.fresh(ctx, again, f.off)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && !bytes.Equal(raw, again):
		return where(fault.New(fault.MediumDamaged, "%q gives other bytes when bytes %d to %d are read again: the medium is dying or counterfeit: %w", names[0], from, to, cause))
	case s.volumes != nil:
		return s.volumeFault(ctx, i, where(fault.New(fault.CodeOf(cause), "%w", cause)))
	}
	var digest *fault.Error
	if errors.As(cause, &digest) && digest.Code == fault.Digest && d.path != "" && digest.Detail["path"] == nil {
		return where(fault.New(fault.Digest, "%q: bytes %d to %d of %q are damaged: %w", d.path, d.offset, d.offset+d.length, names[0], cause))
	}
	return where(fault.New(fault.CodeOf(cause), "%q, bytes %d to %d: %w", names[0], from, to, cause))
}

// checkTail compares the tail that lies on the medium with the copy in the volume index.
func (s *Source) checkTail(ctx context.Context, idle func()) error {
	tail := make([]byte, len(s.table.tail))
	off := s.table.tailOffset()
	if err := s.medium.readAsking(ctx, tail, off, idle); err != nil {
		return err
	}
	if bytes.Equal(tail, s.table.tail) {
		return nil
	}
	names, from, to := s.medium.volumesOf(off, int64(len(tail)))
	return fault.New(fault.VolumeDamaged, "the seek table in volume %q, bytes %d to %d, is not the one in the volume index", names[0], from, to).
		With("volume", names[0]).With("offset", from).With("end", to-1).With("file_offset", from).With("file_length", to-from)
}
