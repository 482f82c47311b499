package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// BuildOptions says where from, where to and by whom. Only Keys and Out are needed.
type BuildOptions struct {
	SpecDir         string               // folder that sources are relative to; empty: the working folder
	Keys            []ed25519.PrivateKey // who signs; at least one, all different
	Out             string               // folder for the bundle, made when missing; nothing in it is overwritten
	Split           int64                // bytes; more than 0: volumes of at most this size
	Now             time.Time            // time of the build, for specs without created
	SourceDateEpoch string               // value of SOURCE_DATE_EPOCH; wins over Now
	Builder         string               // program and version, for provenance.builder unless the spec says one
	Progress        progress.Func        // steps build, then verify

	// CheckProvenance, when given, decides before anything is written whether these models may be packed at all.
	CheckProvenance func(ctx context.Context, m *Manifest, open func(path string) (io.ReadCloser, error)) error

	// CheckContract, when given, compares the models with the contract before anything is written.
	CheckContract func(ctx context.Context, m *Manifest, open func(path string) (io.ReadCloser, error)) error
}

// BuildResult is what Build made.
type BuildResult struct {
	Files          []string // in Out: the bundle, or its volumes with their index last
	Manifest       *Manifest
	ManifestSHA384 Digest
	Size           int64 // bytes of Files together
}

// Build makes a signed bundle: it digests the sources, writes and signs the manifest, writes the bundle into a folder
// <name>.partial in Out, reads it back as a stranger would (signature, every digest, geometry), and only then gives it its name. Memory does not
// grow with the files. Equal inputs, time and program version give equal bytes. After an error Out is as before.
// Errors: E-SPEC, E-PATH, E-EXISTS, E-CONTRACT, E-DIGEST (a source changed meanwhile), E-SPACE, E-IO, E-USAGE.
func Build(ctx context.Context, s *Spec, o BuildOptions) (*BuildResult, error) {
	b := &builder{spec: s, o: o, sources: map[string]string{}}
	if err := b.describe(ctx); err != nil {
		return nil, err
	}
	if o.CheckProvenance != nil {
		if err := o.CheckProvenance(ctx, b.m, b.open); err != nil {
			return nil, err
		}
	}
	if o.CheckContract != nil {
		if err := o.CheckContract(ctx, b.m, b.open); err != nil {
			return nil, err
		}
	}
	if err := b.sign(); err != nil {
		return nil, err
	}
	if err := b.prepareOut(); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.partial)
	files, err := b.write(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.readBack(ctx, files[len(files)-1]); err != nil {
		return nil, fmt.Errorf("reading the new bundle back: %w", err)
	}
	return b.publish(files)
}

type builder struct {
	spec    *Spec
	o       BuildOptions
	m       *Manifest
	sources map[string]string // artifact path -> file
	raw     []byte            // manifest.json
	sig     []byte            // manifest.sig
	partial string            // folder of unfinished files
	hashed  int64             // bytes digested so far
	total   int64             // bytes of all artifacts
	last    time.Time         // when progress was last told
}

// describe fills the manifest: rules and sizes first, so that mistakes show before gigabytes are read, then digests.
func (b *builder) describe(ctx context.Context) error {
	if len(b.o.Keys) == 0 {
		return fault.New(fault.Usage, "no key to sign with, want at least one")
	}
	m := b.spec.manifest()
	created, err := b.spec.createdAt(b.o.SourceDateEpoch, b.o.Now)
	if err != nil {
		return err
	}
	m.Created = created
	if b.o.Builder != "" {
		if m.Provenance == nil {
			m.Provenance = new(Provenance)
		}
		if m.Provenance.Builder == "" {
			m.Provenance.Builder = b.o.Builder
		}
	}
	if err := m.check(false); err != nil {
		return specError(err)
	}
	for i, sa := range b.spec.artifacts() {
		file := sa.Source
		if !filepath.IsAbs(file) {
			file = filepath.Join(b.o.SpecDir, filepath.FromSlash(file))
		}
		info, err := os.Stat(file)
		if err != nil {
			return sourceError(sa.Path, file, err)
		}
		if !info.Mode().IsRegular() {
			return fault.New(fault.Spec, "artifact %q: source %q is not a regular file", clip(sa.Path), file).With("path", sa.Path)
		}
		b.sources[sa.Path] = file
		m.Artifacts[i].Size = info.Size()
		b.total += info.Size()
	}
	for i := range m.Artifacts {
		if err := b.digest(ctx, &m.Artifacts[i]); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(m, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("writing manifest: %w", err)
	}
	b.raw = append(raw, '\n')
	if b.m, err = ParseManifest(b.raw); err != nil {
		if fault.CodeOf(err) == fault.Limit {
			return fault.New(fault.Spec, "manifest.json becomes too large, want fewer artifacts or a larger chunk_size: %w", err)
		}
		return specError(err)
	}
	return nil
}

// digest reads one source: the digest of the whole and of each chunk side by side.
func (b *builder) digest(ctx context.Context, a *Artifact) error {
	f, err := os.Open(b.sources[a.Path])
	if err != nil {
		return sourceError(a.Path, b.sources[a.Path], err)
	}
	defer f.Close()
	whole := sha512.New384()
	buf := make([]byte, min(a.ChunkSize, max(a.Size, 1)))
	a.Chunks = []Digest{}
	var done int64
	for done < a.Size {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(a.ChunkSize, a.Size-done)
		if _, err := io.ReadFull(f, buf[:n]); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return changedError(a.Path)
			}
			return sourceError(a.Path, b.sources[a.Path], err)
		}
		chunk := make(chan Digest, 1)
		if n == a.Size {
			whole.Write(buf[:n])
			chunk <- Digest(whole.Sum(nil))
		} else {
			go func() { chunk <- Digest(sha512.Sum384(buf[:n])) }()
			whole.Write(buf[:n])
		}
		a.Chunks = append(a.Chunks, <-chunk)
		done += n
		b.hashed += n
		b.tell(progress.Event{Step: progress.Build, Artifact: a.Path, Done: b.hashed, Total: 2 * b.total})
	}
	a.SHA384 = Digest(whole.Sum(nil))
	return nil
}

// tell passes progress on, at most every 100 ms.
func (b *builder) tell(e progress.Event) {
	if b.o.Progress == nil || !e.Final && time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	b.o.Progress(e)
}

func (b *builder) sign() error {
	sig, err := SignStatement(manifestStatement(b.raw, b.m), b.o.Keys...)
	if err != nil {
		return err
	}
	if len(sig) > MaxSignatureSize {
		return fault.New(fault.Usage, "%d signatures make manifest.sig larger than %d bytes", len(b.o.Keys), MaxSignatureSize)
	}
	b.sig = sig
	return nil
}

// manifestStatement is what manifest.sig states, and nothing else.
func manifestStatement(raw []byte, m *Manifest) Statement {
	predicate, err := CanonicalJSON(ManifestPredicate{ModelFamily: m.ModelFamily, Version: m.Version})
	if err != nil {
		panic(err) // two strings are always JSON
	}
	return Statement{
		Subjects:      []Subject{NewSubject("manifest.json", raw)},
		PredicateType: TypeManifest,
		Predicate:     predicate,
	}
}

// prepareOut makes the folder for unfinished files. One left by a killed build of the same bundle is removed.
func (b *builder) prepareOut() error {
	if err := os.MkdirAll(b.o.Out, 0o755); err != nil {
		return ioError(err, "making the output folder")
	}
	partial := filepath.Join(b.o.Out, b.m.FileName()+".partial")
	if err := os.RemoveAll(partial); err != nil {
		return ioError(err, "removing what an earlier build left")
	}
	for _, name := range []string{b.m.FileName(), b.m.FileName() + ".001", b.m.FileName() + ".volumes.sig"} {
		if err := mustNotExist(filepath.Join(b.o.Out, name)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return ioError(err, "making a folder for unfinished files")
	}
	b.partial = partial
	return nil
}

func mustNotExist(file string) error {
	_, err := os.Lstat(file)
	switch {
	case err == nil:
		return fault.New(fault.Exists, "%q is there already, want another folder or version", file).With("path", file)
	case !errors.Is(err, fs.ErrNotExist):
		return ioError(err, "looking for an earlier bundle")
	}
	return nil
}

// write makes the bundle, or its volumes with the index last, in the folder of unfinished files.
func (b *builder) write(ctx context.Context) ([]string, error) {
	name := filepath.Join(b.partial, b.m.FileName())
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, ioError(err, "making the bundle")
	}
	defer f.Close()
	if err := WriteBundle(ctx, f, b.raw, b.sig, b.m, b.open, b.second); err != nil {
		return nil, ioError(err, "writing the bundle")
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return nil, ioError(err, "writing the bundle")
	}
	if b.o.Split <= 0 {
		return []string{name}, nil
	}
	files, err := SplitVolumes(ctx, name, b.o.Split, func(s Statement) ([]byte, error) { return SignStatement(s, b.o.Keys...) })
	if err != nil {
		return nil, ioError(err, "splitting the bundle")
	}
	if err := os.Remove(name); err != nil {
		return nil, ioError(err, "splitting the bundle")
	}
	return files, nil
}

// second shows writing as the second half of the step; digesting was the first.
func (b *builder) second(e progress.Event) {
	e.Step, e.Done, e.Total = progress.Build, min(b.total, e.Done)+b.total, 2*b.total
	if e.Final {
		e.Done = e.Total
	}
	b.tell(e)
}

// open gives one source again and compares it, when it ends, with what was digested.
func (b *builder) open(path string) (io.ReadCloser, error) {
	a := b.m.Artifact(path)
	if a == nil {
		return nil, fault.New(fault.Internal, "no artifact %q", clip(path))
	}
	f, err := os.Open(b.sources[path])
	if err != nil {
		return nil, sourceError(path, b.sources[path], err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != a.Size {
		f.Close()
		return nil, changedError(path)
	}
	return &checkedSource{f: f, a: a, sum: sha512.New384()}, nil
}

type checkedSource struct {
	f    *os.File
	a    *Artifact
	sum  hash.Hash
	done int64
}

func (c *checkedSource) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.sum.Write(p[:n])
	c.done += int64(n)
	switch {
	case c.done > c.a.Size:
		return n, changedError(c.a.Path)
	case errors.Is(err, io.EOF) && (c.done != c.a.Size || Digest(c.sum.Sum(nil)) != c.a.SHA384):
		return n, changedError(c.a.Path)
	case err != nil && !errors.Is(err, io.EOF):
		return n, sourceError(c.a.Path, c.f.Name(), err)
	}
	return n, err
}

func (c *checkedSource) Close() error { return c.f.Close() }

// readBack believes nothing that this process remembers but the keys and the manifest's bytes.
func (b *builder) readBack(ctx context.Context, file string) error {
	keys := make([]PublicKey, 0, len(b.o.Keys))
	for _, k := range b.o.Keys {
		pub, err := publicOf(k)
		if err != nil {
			return err
		}
		keys = append(keys, pub)
	}
	return verifyWritten(ctx, file, b.raw, keys, len(keys), b.o.Progress)
}

// verifyWritten opens a bundle and demands threshold signatures of keys on its head and its volume index, the given
// manifest, and every byte of every artifact.
func verifyWritten(ctx context.Context, file string, manifest []byte, keys []PublicKey, threshold int, p progress.Func) error {
	src, err := Open(ctx, file, OpenOptions{})
	if err != nil {
		return err
	}
	defer src.Close()
	if raw := src.VolumeIndex(); raw != nil {
		if err := verifyIndex(src, raw, keys, threshold); err != nil {
			return err
		}
	}
	e, err := ParseEnvelope(src.SignatureBytes())
	if err != nil {
		return err
	}
	s, _, err := e.Verify(TypeManifest, keys, threshold)
	if err != nil {
		return err
	}
	if err := s.CheckSubject("manifest.json", src.ManifestBytes()); err != nil {
		return err
	}
	if !bytes.Equal(src.ManifestBytes(), manifest) {
		return fault.New(fault.Digest, "manifest.json came back different").With("path", "manifest.json")
	}
	m, err := ParseManifest(src.ManifestBytes())
	if err != nil {
		return err
	}
	return src.Extract(ctx, m, ExtractOptions{Strict: true, Progress: p, Step: progress.Verify})
}

func verifyIndex(src *Source, raw []byte, keys []PublicKey, threshold int) error {
	e, err := ParseEnvelope(raw)
	if err != nil {
		return err
	}
	s, _, err := e.Verify(TypeVolumes, keys, threshold)
	if err != nil {
		return err
	}
	p, err := VolumesOf(s)
	if err != nil {
		return err
	}
	return src.CheckIndex(p)
}

// publish gives the finished files their names; the last one, without which volumes are nothing, comes last.
func (b *builder) publish(files []string) (*BuildResult, error) {
	res := &BuildResult{Manifest: b.m, ManifestSHA384: sha512.Sum384(b.raw)}
	for _, file := range files {
		to := filepath.Join(b.o.Out, filepath.Base(file))
		info, err := os.Stat(file)
		if err == nil {
			err = mustNotExist(to)
		}
		if err == nil {
			err = os.Rename(file, to)
		}
		if err != nil {
			for _, f := range res.Files {
				os.Remove(f)
			}
			return nil, ioError(err, "naming the finished bundle")
		}
		res.Files = append(res.Files, to)
		res.Size += info.Size()
	}
	os.RemoveAll(b.partial)
	syncFolder(b.o.Out)
	return res, nil
}

// AddBundleSignature adds key's signature to a bundle in one file. Only what stands before the artifacts is made anew; the artifacts'
// frames are copied, then the whole is read back and replaces the old file at once. The envelope must state
// this very manifest, so that nobody's key signs something else. Volumes are refused: sign before splitting.
// Errors: E-USAGE (volumes, or this key has signed already), E-SIGNATURE-*, E-DIGEST, and those of Open and Extract.
func AddBundleSignature(ctx context.Context, path string, key ed25519.PrivateKey) error {
	pub, err := publicOf(key)
	if err != nil {
		return err
	}
	raw, sig, err := readHead(ctx, path)
	if err != nil {
		return err
	}
	newSig, err := AddSignature(sig, key)
	if err != nil {
		return err
	}
	if len(newSig) > MaxSignatureSize {
		return fault.New(fault.Limit, "one more signature makes manifest.sig larger than %d bytes", MaxSignatureSize)
	}
	partial := path + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return ioError(err, "removing what an earlier attempt left")
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return ioError(err, "making a folder for unfinished files")
	}
	defer os.RemoveAll(partial)
	dst := filepath.Join(partial, filepath.Base(path))
	if err := ReplaceHead(ctx, path, dst, raw, newSig); err != nil {
		return ioError(err, "writing the signed bundle")
	}
	if err := verifyWritten(ctx, dst, raw, []PublicKey{pub}, 1, nil); err != nil {
		return fmt.Errorf("reading the signed bundle back: %w", err)
	}
	if err := os.Rename(dst, path); err != nil {
		return ioError(err, "replacing the bundle")
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// readHead gives manifest.json and manifest.sig of a bundle that may be signed once more.
func readHead(ctx context.Context, path string) (raw, sig []byte, err error) {
	src, err := Open(ctx, path, OpenOptions{})
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	if src.Kind() != KindIndexed {
		return nil, nil, fault.New(fault.Usage, "%q is a bundle of kind %q, want one file made by build: sign before splitting", path, src.Kind())
	}
	raw, sig = bytes.Clone(src.ManifestBytes()), bytes.Clone(src.SignatureBytes())
	m, err := ParseManifest(raw)
	if err != nil {
		return nil, nil, err
	}
	e, err := ParseEnvelope(sig)
	if err != nil {
		return nil, nil, err
	}
	want, err := manifestStatement(raw, m).marshal()
	if err != nil {
		return nil, nil, err
	}
	s, err := e.Unverified()
	if err != nil {
		return nil, nil, err
	}
	if err := s.CheckSubject("manifest.json", raw); err != nil {
		return nil, nil, err
	}
	// Another tool may have written the same statement with other white space; what it says must be the same.
	if got, err := s.marshal(); err != nil || !bytes.Equal(got, want) {
		return nil, nil, fault.New(fault.SignatureType, "manifest.sig states something else than this manifest")
	}
	return raw, sig, nil
}

func changedError(path string) error {
	return fault.New(fault.Digest, "the source of artifact %q changed while the bundle was built", clip(path)).With("path", path)
}

func sourceError(path, file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Spec, "artifact %q: source %q is not there", clip(path), file).With("path", path)
	}
	return fault.New(fault.IO, "artifact %q: reading source: %w", clip(path), err).With("path", path)
}

// ioError gives an error of the system a code; one that has a code, or is a cancellation, passes.
func ioError(err error, doing string) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fault.New(fault.Space, "%s: %w", doing, err)
	}
	return fault.New(fault.IO, "%s: %w", doing, err)
}

// syncFolder makes renames last through a power cut where the system can (Linux); elsewhere it does nothing.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
