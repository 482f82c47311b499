package bundle

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"sluice/internal/fault"
)

// maxVolumes is what three digits can name.
const maxVolumes = 999

// VolumesPredicate is the predicate of a volume index (<name>.tar.zst.volumes.sig).
type VolumesPredicate struct {
	Volumes        []VolumeInfo `json:"volumes"`
	ManifestSHA384 Digest       `json:"manifest_sha384"`
	SeekTable      []byte       `json:"seek_table"` // the bundle's tail, check frame and seek table, byte for byte
}

// VolumeInfo is one volume. Their order is the order of the bundle's bytes.
type VolumeInfo struct {
	Name   string    `json:"name"`
	Size   int64     `json:"size"`
	SHA384 Digest    `json:"sha384"`
	SHA256 Digest256 `json:"sha256"`
}

// VolumesOf reads the predicate of a volume index out of a statement of type TypeVolumes; its subjects must be the
// volumes. Errors: E-VOLUME-INDEX, E-LIMIT, E-SIGNATURE-TYPE.
func VolumesOf(s *Statement) (*VolumesPredicate, error) {
	if s == nil || s.PredicateType != TypeVolumes {
		return nil, fault.New(fault.SignatureType, "this is no statement of type %q", TypeVolumes)
	}
	var p VolumesPredicate
	if err := StrictUnmarshal(s.Predicate, &p, MaxEnvelopeSize); err != nil {
		return nil, fault.New(fault.VolumeIndex, "reading volume index: %w", err)
	}
	if n := len(p.Volumes); n > maxVolumes {
		return nil, fault.New(fault.Limit, "the volume index lists %d volumes, want at most %d", n, maxVolumes)
	} else if n == 0 || n != len(s.Subjects) {
		return nil, fault.New(fault.VolumeIndex, "the volume index lists %d volumes and %d subjects, want the same, at least 1", n, len(s.Subjects))
	}
	base := strings.TrimSuffix(p.Volumes[0].Name, ".001")
	if !strings.HasSuffix(base, bundleSuffix) || ValidPath(base) != nil || strings.ContainsRune(base, '/') {
		return nil, fault.New(fault.VolumeIndex, "the volume index names %q as its first volume, want a name ending in %q", clip(p.Volumes[0].Name), bundleSuffix+".001")
	}
	var total int64
	for i, v := range p.Volumes {
		if v.Name != volumeName(base, i) || s.Subjects[i] != (Subject{Name: v.Name, SHA384: v.SHA384, SHA256: v.SHA256}) {
			return nil, fault.New(fault.VolumeIndex, "the volume index has %q (subject %q) in place %d, want %q", clip(v.Name), clip(s.Subjects[i].Name), i+1, volumeName(base, i))
		}
		if v.Size < 1 || v.Size > MaxSize-total {
			return nil, fault.New(fault.VolumeIndex, "the volume index gives %q %d bytes", v.Name, v.Size)
		}
		total += v.Size
	}
	if _, err := parseTail(p.SeekTable, total); err != nil {
		return nil, fault.New(fault.VolumeIndex, "reading the volume index's seek table: %w", err)
	}
	return &p, nil
}

// volumeName is the file name of volume i, counted from 0.
func volumeName(base string, i int) string { return fmt.Sprintf("%s.%03d", base, i+1) }

// CheckIndex compares a verified volume index with what Open believed, and its manifest digest with the manifest. Extract
// refuses volumes before it was called. Errors: E-VOLUME-INDEX, E-VOLUME-STALE.
func (s *Source) CheckIndex(p *VolumesPredicate) error {
	switch {
	case s.volumes == nil:
		return fault.New(fault.VolumeIndex, "%q is not split into volumes", filepath.Base(s.path))
	case p == nil || !slices.Equal(p.Volumes, s.volumes.Volumes) || p.ManifestSHA384 != s.volumes.ManifestSHA384 ||
		!slices.Equal(p.SeekTable, s.volumes.SeekTable):
		return fault.New(fault.VolumeIndex, "the verified volume index is not the one that was opened")
	}
	if got := Digest(sha512.Sum384(s.manifest)); got != p.ManifestSHA384 {
		return fault.New(fault.VolumeStale, "volume %q holds a manifest with the SHA-384 %s, its index wants %s: it belongs to another release", p.Volumes[0].Name, got, p.ManifestSHA384).
			With("volume", p.Volumes[0].Name).With("got", got.String()).With("want", p.ManifestSHA384.String())
	}
	s.indexChecked = true
	return nil
}

// openVolumes reads the volume index of the bundle base and lays out its volumes. None of them is opened yet.
func (s *Source) openVolumes(ctx context.Context, base string) error {
	d := s.medium
	if _, err := watch(ctx, d.stall, "looking for the bundle", func() (int, error) { return 0, d.files.exists(s.path) }, func(int) {}); err != nil {
		return openFault(err, s.path)
	}
	s.kind = KindVolumes
	for _, dir := range d.dirs {
		raw, err := d.readIndex(ctx, filepath.Join(dir, base+volumeIndexSuffix))
		switch {
		case err != nil:
			return err
		case raw == nil:
		case s.index == nil:
			s.index = raw
		case !slices.Equal(s.index, raw):
			return fault.New(fault.VolumeStale, "%q in folder %q differs from the one in %q: the folders hold volumes of two releases", base+volumeIndexSuffix, dir, d.dirs[0]).
				With("dir", dir)
		}
	}
	if s.index == nil {
		return fault.New(fault.VolumeIndex, "%q is not beside the volumes, nor in the folders given", base+volumeIndexSuffix)
	}
	env, err := ParseEnvelope(s.index)
	if err != nil {
		return err
	}
	statement, err := env.Unverified()
	if err != nil {
		return err
	}
	if s.volumes, err = VolumesOf(statement); err != nil {
		return err
	}
	if got := s.volumes.Volumes[0].Name; got != base+".001" {
		return fault.New(fault.VolumeIndex, "the volume index beside %q speaks of %q", base, clip(got))
	}
	var start int64
	for _, v := range s.volumes.Volumes {
		d.parts = append(d.parts, &part{name: v.Name, start: start, size: v.Size})
		start += v.Size
	}
	s.table, err = parseTail(s.volumes.SeekTable, start)
	return err
}

// readIndex reads a volume index; nil when there is none.
func (d *medium) readIndex(ctx context.Context, path string) ([]byte, error) {
	o, err := d.openWatched(ctx, path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, openFault(err, path)
	}
	defer o.f.Close()
	if o.size > MaxEnvelopeSize {
		return nil, fault.New(fault.Limit, "%q has %d bytes, want at most %d", filepath.Base(path), o.size, MaxEnvelopeSize)
	}
	raw := make([]byte, o.size)
	if err := d.readPart(ctx, o.f, &part{name: filepath.Base(path), path: path, size: o.size}, raw, 0); err != nil {
		return nil, err
	}
	return raw, nil
}

// file gives a part's open file, which it looks for in all folders.
func (d *medium) file(ctx context.Context, pt *part) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if pt.f != nil {
		return pt.f, nil
	}
	if len(d.dirs) == 0 {
		return nil, fault.New(fault.IO, "reading %q: the bundle was closed", pt.name)
	}
	var other error
	for _, dir := range d.dirs {
		path := filepath.Join(dir, pt.name)
		o, err := d.openWatched(ctx, path, false)
		switch {
		case err == nil && o.size == pt.size:
			pt.f, pt.path = o.f, path
			return pt.f, nil
		case err == nil:
			_ = o.f.Close()
			other = fault.New(fault.VolumeStale, "volume %q in folder %q has %d bytes, its index wants %d: it belongs to another release or is cut off", pt.name, dir, o.size, pt.size).
				With("volume", pt.name).With("dir", dir).With("got", o.size).With("want", pt.size)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.Is(err, fs.ErrNotExist):
			other = openFault(err, path)
		}
	}
	if other != nil {
		return nil, other
	}
	return nil, d.missing([]string{pt.name})
}

func (d *medium) missing(names []string) error {
	return fault.New(fault.VolumeMissing, "%d of %d volumes are in none of the folders %q: %q", len(names), len(d.parts), d.dirs, names).
		With("missing", names).With("volumes", names).With("dirs", d.dirs)
}

// require says which of the volumes that hold the given frames are not there, all in one error.
func (d *medium) require(ctx context.Context, frames []seekFrame) error {
	var names []string
	next := 0
	for _, pt := range d.parts {
		for next < len(frames) && frames[next].off+int64(frames[next].size) <= pt.start {
			next++
		}
		if next == len(frames) || frames[next].off >= pt.start+pt.size {
			continue
		}
		_, err := d.file(ctx, pt)
		if fault.CodeOf(err) == fault.VolumeMissing {
			names = append(names, pt.name)
		} else if err != nil {
			return err
		}
	}
	if names != nil {
		return d.missing(names)
	}
	return nil
}

// here says whether all files that hold a range can be opened without asking.
func (d *medium) here(ctx context.Context, off, n int64) bool {
	for _, pt := range d.parts {
		if off < pt.start+pt.size && off+n > pt.start {
			if _, err := d.file(ctx, pt); err != nil {
				return false
			}
		}
	}
	return true
}

// readAsking is readAt that asks for volumes which are not there. idle is called before: all other reads must have ended
// when it returns, for the medium will be taken out.
func (d *medium) readAsking(ctx context.Context, p []byte, off int64, idle func()) error {
	return d.pieces(p, off, func(pt *part, p []byte, at int64) error {
		for {
			f, err := d.file(ctx, pt)
			if err == nil {
				return d.readPart(ctx, f, pt, p, at)
			}
			if code := fault.CodeOf(err); d.ask == nil || code != fault.VolumeMissing && code != fault.VolumeStale {
				return err
			}
			idle()
			if err := d.askFor(ctx, pt, err); err != nil {
				return err
			}
		}
	})
}

// askFor closes everything and has a person bring the medium with a volume.
func (d *medium) askFor(ctx context.Context, pt *part, reason error) error {
	if err := d.close(); err != nil {
		return fault.New(fault.IO, "closing the volumes before the medium is changed: %w", err)
	}
	dir, err := d.ask(ctx, VolumeWanted{Name: pt.name, Number: slices.Index(d.parts, pt) + 1, Total: len(d.parts), Reason: reason})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault.New(fault.VolumeMissing, "volume %q was asked for and not given: %w", pt.name, err).With("missing", []string{pt.name}).With("volumes", []string{pt.name})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.dirs, dir) {
		d.dirs = append(d.dirs, dir)
	}
	return nil
}

// volumesOf says which volumes hold a range, and its bytes within the first of them.
func (d *medium) volumesOf(off, n int64) (names []string, from, to int64) {
	for _, pt := range d.parts {
		if off < pt.start+pt.size && off+n > pt.start {
			if names == nil {
				from, to = off-pt.start, min(off+n-pt.start, pt.size)
			}
			names = append(names, pt.name)
		}
	}
	return names, from, to
}

// volumeFault turns a damaged frame into news about a volume: damaged, or not the volume that its name says.
func (s *Source) volumeFault(ctx context.Context, i int, cause error) error {
	f := s.table.frames[i]
	var first error
	for k, pt := range s.medium.parts {
		from, to := max(f.off-pt.start, 0), min(f.off+int64(f.size)-pt.start, pt.size)
		if from >= to {
			continue
		}
		damaged := fault.New(fault.VolumeDamaged, "volume %q is damaged at bytes %d to %d: %w", pt.name, from, to-1, cause).
			With("volume", pt.name).With("offset", from).With("end", to-1).With("file", pt.name).With("file_offset", from).With("file_length", to-from)
		if first == nil {
			first = damaged
		}
		if whole := to-from == int64(f.size); whole && s.volumeHolds(ctx, pt) {
			return damaged
		}
		// What frames cannot tell, the volume's own digest does.
		got, err := s.medium.digest(ctx, pt)
		switch other := s.volumes.byDigest(got); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return damaged
		case other == k:
		case other >= 0:
			return fault.New(fault.VolumeStale, "volume %q holds the bytes of %q: they were swapped: %w", pt.name, s.volumes.Volumes[other].Name, cause).
				With("volume", pt.name).With("holds", s.volumes.Volumes[other].Name)
		case s.table.checked && !s.volumeHolds(ctx, pt):
			return fault.New(fault.VolumeStale, "volume %q holds none of the bytes that its index lists: it belongs to another release: %w", pt.name, cause).
				With("volume", pt.name)
		default:
			return damaged
		}
	}
	return first
}

// byDigest finds a volume, -1 if there is none.
func (p *VolumesPredicate) byDigest(d Digest) int {
	return slices.IndexFunc(p.Volumes, func(v VolumeInfo) bool { return v.SHA384 == d })
}

// digest reads a whole volume, for diagnosis only.
func (d *medium) digest(ctx context.Context, pt *part) (Digest, error) {
	h := sha512.New384()
	_, err := io.CopyBuffer(struct{ io.Writer }{h}, &mediumReader{ctx: ctx, d: d, off: pt.start, end: pt.start + pt.size}, make([]byte, maxPiece))
	return Digest(h.Sum(nil)), err
}

// probes is how many frames of a volume are tried before it counts as another volume.
const probes = 8

// volumeHolds says whether any frame that lies wholly in a volume is the one that the index lists. A volume too small to hold
// a whole frame gets the benefit of the doubt.
func (s *Source) volumeHolds(ctx context.Context, pt *part) bool {
	tried := 0
	for _, f := range s.table.frames {
		at := f.off - pt.start
		if at < 0 || at+int64(f.size) > pt.size {
			continue
		}
		raw := make([]byte, f.size)
		if s.medium.readAt(ctx, raw, f.off) == nil && checksum(raw) == f.crc {
			return true
		}
		if tried++; tried == probes {
			break
		}
	}
	return tried < 2
}
