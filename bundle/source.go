package bundle

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// Kind says how a bundle lies on its medium.
type Kind string

// The kinds of docs/format.md, section Container.
const (
	KindIndexed Kind = "indexed" // one file with a seek table
	KindStream  Kind = "stream"  // one file, one zstd frame, made by tar and zstd alone
	KindVolumes Kind = "volumes" // an indexed bundle split into volumes
)

// OpenOptions says where else to look and how long to wait.
type OpenOptions struct {
	Also []string // further folders that may hold volumes
	// Ask is called when a volume is needed that is in none of the folders: it asks a person for the medium and gives the
	// folder to look in, or an error to give up. All volumes are closed while it runs, so that the medium can be
	// changed. nil: a missing volume is an error.
	Ask func(ctx context.Context, want VolumeWanted) (dir string, err error)
	// Stall is how long the medium may take for one piece of at most 1 MiB; 0: 30 seconds.
	Stall time.Duration
}

// VolumeWanted is what Ask asks for.
type VolumeWanted struct {
	Name   string // of the volume's file
	Number int    // from 1
	Total  int
	Reason error // why the folders known so far do not do
}

// Source is an opened bundle. Only its container and the limits were checked: nothing in it is authentic yet. Its
// methods may be called by one goroutine at a time.
type Source struct {
	kind      Kind
	path      string
	medium    *medium
	table     *seekTable // nil in stream mode
	manifest  []byte
	signature []byte
	mtime     int64 // of frame 1's entries; not in stream mode

	volumes      *VolumesPredicate // unverified; nil for one file
	index        []byte            // envelope of the volume index
	indexChecked bool

	closed sync.Once

	folders []string
}

// volumeIndexSuffix is what follows a bundle's name in the name of its volume index.
const volumeIndexSuffix = ".volumes.sig"

// bundleSuffix ends the name of every bundle.
const bundleSuffix = ".tar.zst"

// Open opens a bundle: a .tar.zst, a volume (.tar.zst.001) or a volume index (.tar.zst.volumes.sig). It reads the container's
// tail and its head, manifest.json and manifest.sig. Errors: E-SOURCE-MISSING, E-FORMAT, E-LIMIT, E-ENTRY, E-SIGNATURE-MISSING, E-VOLUME-*, E-DIGEST (the
// head is damaged), E-MEDIUM-*, E-IO.
func Open(ctx context.Context, path string, o OpenOptions) (*Source, error) {
	return open(ctx, path, o, osFiles{})
}

func open(ctx context.Context, path string, o OpenOptions, files files) (*Source, error) {
	d := &medium{files: files, stall: o.Stall, ask: o.Ask}
	if d.stall <= 0 {
		d.stall = defaultStall
	}
	s := &Source{path: path, medium: d, folders: append([]string{filepath.Dir(path)}, o.Also...)}
	err := s.open(ctx, o.Also)
	if err != nil {
		_ = d.close()
		return nil, err
	}
	return s, nil
}

func (s *Source) open(ctx context.Context, also []string) error {
	base, isVolume := volumeBase(s.path)
	if isVolume {
		s.medium.dirs = append([]string{filepath.Dir(s.path)}, also...)
		if err := s.openVolumes(ctx, filepath.Base(base)); err != nil {
			return err
		}
	} else if err := s.openFile(ctx); err != nil {
		return err
	}
	if s.table != nil {
		return s.readHead(ctx)
	}
	return s.readStreamHead(ctx)
}

// volumeBase strips what makes a name that of a volume or a volume index.
func volumeBase(path string) (string, bool) {
	if base, ok := strings.CutSuffix(path, volumeIndexSuffix); ok {
		return base, true
	}
	ext := filepath.Ext(path)
	if base := strings.TrimSuffix(path, ext); len(ext) == 4 && strings.Trim(ext[1:], "0123456789") == "" && strings.HasSuffix(base, bundleSuffix) {
		return base, true
	}
	return path, false
}

// openFile opens one file and looks for a seek table at its end.
func (s *Source) openFile(ctx context.Context) error {
	d := s.medium
	if err := d.openSingle(ctx, s.path); err != nil {
		return err
	}
	size := d.size()
	if size < seekFooter {
		return fault.New(fault.Format, "%q has %d bytes, which no bundle has", filepath.Base(s.path), size)
	}
	footer := make([]byte, seekFooter)
	if err := d.readAt(ctx, footer, size-seekFooter); err != nil {
		return err
	}
	n, indexed, err := seekFooterOf(footer)
	if err != nil {
		return err
	}
	if !indexed {
		s.kind = KindStream
		return nil
	}
	s.kind = KindIndexed
	if seekTableSize(n) > size {
		return fault.New(fault.Format, "the seek table counts %d frames, more than %d bytes can hold", n, size)
	}
	table := make([]byte, seekTableSize(n))
	if err := d.readAt(ctx, table, size-int64(len(table))); err != nil {
		return err
	}
	check, err := checkFrameSize(table)
	if err != nil {
		return err
	}
	if check+int64(len(table)) > size {
		return fault.New(fault.Format, "the seek table counts %d frames, more than %d bytes can hold", n, size)
	}
	tail := make([]byte, check+int64(len(table)))
	if err := d.readAt(ctx, tail, size-int64(len(tail))); err != nil {
		return err
	}
	s.table, err = parseTail(tail, size)
	return err
}

// readHead reads frame 1 of an indexed bundle.
func (s *Source) readHead(ctx context.Context) error {
	f := s.table.frames[0]
	raw := make([]byte, f.size)
	if err := s.medium.readAsking(ctx, raw, f.off, func() {}); err != nil {
		return err
	}
	dec, err := newFrameDecoder(1)
	if err != nil {
		return fault.New(fault.Internal, "making a zstd decoder: %w", err)
	}
	defer dec.Close()
	head, err := s.table.decode(dec, 0, raw, make([]byte, 0, int64(f.decoded)+decoderSlack))
	if err != nil {
		return s.frameFault(ctx, 0, raw, damage{path: manifestName, length: int64(f.decoded)}, err)
	}
	return s.parseHead(head)
}

// parseHead takes frame 1 apart. What it finds must be what it would write itself.
func (s *Source) parseHead(head []byte) error {
	t := &tarReader{r: bytes.NewReader(head)}
	var err error
	if s.manifest, s.signature, err = readHeadEntries(t); err != nil {
		return err
	}
	mtime, ok := tarOctal(head[tarMtime : tarMtime+12])
	if !ok || !bytes.Equal(head, headBytes(s.manifest, s.signature, mtime)) {
		return fault.New(fault.Format, "frame 1 is not %s and %s in the form that this format prescribes", manifestName, signatureName)
	}
	s.mtime = mtime
	return nil
}

// readHeadEntries reads the two entries that every bundle begins with.
func readHeadEntries(t *tarReader) (manifest, signature []byte, err error) {
	for _, want := range []struct {
		name  string
		limit int64
		data  *[]byte
	}{{manifestName, MaxManifestSize, &manifest}, {signatureName, MaxSignatureSize, &signature}} {
		e, err := t.next()
		if err != nil {
			return nil, nil, headEnd(err, want.name)
		}
		switch {
		case !e.dir && e.name == want.name:
		case ValidPath(e.name) != nil:
			return nil, nil, fault.New(fault.Path, "the archive's entry %q stands where %q should be", clip(e.name), want.name).With("path", clip(e.name))
		default:
			return nil, nil, fault.New(headCode(want.name), "the archive's entry %q stands where %q should be", clip(e.name), want.name).With("path", clip(e.name))
		}
		switch {
		case e.size > want.limit:
			return nil, nil, fault.New(fault.Limit, "%s has %d bytes, want at most %d", want.name, e.size, want.limit).With("path", want.name)
		case e.size == 0 && want.name == signatureName:
			return nil, nil, fault.New(fault.SignatureMissing, "%s is empty", want.name).With("path", want.name)
		} // an empty manifest.json is a matter of its signature
		data := make([]byte, e.size)
		if err := t.data(data); err != nil {
			return nil, nil, err
		}
		if err := t.skipPadding(); err != nil {
			return nil, nil, err
		}
		*want.data = data
	}
	return manifest, signature, nil
}

// headCode is the code of an archive in which one of the first two entries is not where it belongs: without manifest.sig the
// bundle is not signed.
func headCode(missing string) fault.Code {
	if missing == signatureName {
		return fault.SignatureMissing
	}
	return fault.Entry
}

// decode checks frame i's bytes and decodes them into dst.
func (t *seekTable) decode(dec *zstd.Decoder, i int, raw, dst []byte) ([]byte, error) {
	f := t.frames[i]
	if t.checked {
		if got := checksum(raw); got != f.crc {
			return nil, fault.New(fault.Digest, "frame %d has the CRC-32C %08x, the check frame says %08x", i+1, got, f.crc)
		}
	}
	if err := checkZstdFrame(raw, int64(f.decoded)); err != nil {
		return nil, frameError(err)
	}
	out, err := dec.DecodeAll(raw, dst)
	if err != nil {
		return nil, fault.New(fault.Format, "decoding frame %d: %w", i+1, err)
	}
	if len(out) != int(f.decoded) {
		return nil, fault.New(fault.Format, "frame %d holds %d bytes, want %d", i+1, len(out), f.decoded)
	}
	return out, nil
}

// Kind says how the bundle lies on its medium.
func (s *Source) Kind() Kind { return s.kind }

// Path is the path that was opened.
func (s *Source) Path() string { return s.path }

// Folders are where the bundle lies and the further folders that were given for it: what comes with a bundle lies beside it.
func (s *Source) Folders() []string { return slices.Clone(s.folders) }

// Size is the bundle's size in bytes as it lies on the medium, all volumes together, without the volume index.
func (s *Source) Size() int64 { return s.medium.size() }

// ManifestBytes are the unverified bytes of manifest.json. Do not change them.
func (s *Source) ManifestBytes() []byte { return s.manifest }

// SignatureBytes are the unverified bytes of manifest.sig. Do not change them.
func (s *Source) SignatureBytes() []byte { return s.signature }

// VolumeIndex is the unverified envelope of .volumes.sig, nil when the bundle is one file.
func (s *Source) VolumeIndex() []byte { return s.index }

// Close closes the files. It may be called more than once.
func (s *Source) Close() error {
	var err error
	s.closed.Do(func() { err = s.medium.close() })
	return err
}
