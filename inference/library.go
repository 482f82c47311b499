package inference

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"sluice/assets"
	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// Limits of engine libraries and of the list of known ones, in bytes.
const (
	maxLibrary = 4 << 30
	maxKnown   = 1 << 20
)

// KnownEngine is one official engine build that may be loaded without being named.
type KnownEngine struct {
	Name    string        `json:"name"`
	Version string        `json:"version"`
	OS      string        `json:"os"`   // GOOS
	Arch    string        `json:"arch"` // GOARCH
	File    string        `json:"file"`
	SHA384  bundle.Digest `json:"sha384"`
	Source  string        `json:"source"` // package and path within
}

// KnownEngines is the embedded list (assets/engines.json), newest first.
func KnownEngines() ([]KnownEngine, error) {
	var list struct {
		Engines []KnownEngine `json:"engines"`
	}
	if err := bundle.StrictUnmarshal(assets.Engines(), &list, maxKnown); err != nil {
		return nil, fmt.Errorf("reading the list of known engines: %w", err)
	}
	return list.Engines, nil
}

// Allowed says which engine libraries may be loaded beside the known official builds. The zero value adds none.
type Allowed struct {
	Manifest *bundle.Manifest // an authentic one, for its artifacts with role runtime; may be nil
	Given    bundle.Digest    // --engine-lib-sha384; may be zero
}

// Check refuses (fault.EngineLibrary) a digest that is neither given, nor a runtime artifact of the manifest, nor a known
// official build for this system and processor.
func (a Allowed) Check(d bundle.Digest) error {
	if !d.IsZero() && d == a.Given {
		return nil
	}
	if a.Manifest != nil {
		for _, f := range a.Manifest.Artifacts {
			if f.Role == bundle.RoleRuntime && f.SHA384 == d {
				return nil
			}
		}
	}
	known, err := KnownEngines()
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.SHA384 != d {
			continue
		}
		if k.OS == runtime.GOOS && k.Arch == runtime.GOARCH {
			return nil
		}
		return fault.New(fault.EngineLibrary, "engine library is %s %s for %s/%s, want %s/%s", k.Name, k.Version, k.OS, k.Arch, runtime.GOOS, runtime.GOARCH).
			With("sha384", d.String())
	}
	return fault.New(fault.EngineLibrary, "engine library with SHA-384 %q is neither in the bundle, nor a known official build, nor given with its digest", d).
		With("sha384", d.String())
}

// rank orders allowed digests: given, the manifest's, known ones from the newest on.
func (a Allowed) rank(d bundle.Digest) int {
	if d == a.Given {
		return 0
	}
	if a.Manifest != nil && slices.ContainsFunc(a.Manifest.Artifacts, func(f bundle.Artifact) bool {
		return f.Role == bundle.RoleRuntime && f.SHA384 == d
	}) {
		return 1
	}
	known, _ := KnownEngines() // Check has read the same embedded bytes
	return 2 + slices.IndexFunc(known, func(k KnownEngine) bool { return k.SHA384 == d })
}

// AllowedLibrary hashes the file and refuses it (fault.EngineLibrary) unless its digest may be loaded. Other errors:
// fault.SourceMissing, fault.IO.
func AllowedLibrary(ctx context.Context, file string, a Allowed) (bundle.Digest, error) {
	d, err := hashFile(ctx, file)
	if err != nil {
		return bundle.Digest{}, err
	}
	if err := a.Check(d); err != nil {
		return bundle.Digest{}, withPath(err, file)
	}
	return d, nil
}

// CopyLibrary copies an allowed library to enginesDir/<sha384>/<its name> and gives the absolute path of the copy and its
// digest. The bytes are hashed while they are copied; nothing appears there under a digest that it does not have. Provider
// libraries (onnxruntime_providers_*) beside it come along when their digests are allowed too. A copy that is there and
// still has its digest is left as it is.
func CopyLibrary(ctx context.Context, src, enginesDir string, a Allowed) (string, bundle.Digest, error) {
	d, err := AllowedLibrary(ctx, src, a)
	if err != nil {
		return "", bundle.Digest{}, err
	}
	dir, err := filepath.Abs(enginesDir)
	if err != nil {
		return "", bundle.Digest{}, fault.New(fault.IO, "finding the engines folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", bundle.Digest{}, fsx.Classify(err, "making folder", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", bundle.Digest{}, fsx.Classify(err, "opening folder", dir)
	}
	defer root.Close()
	if err := fsx.MkdirAll(root, d.String(), 0o755); err != nil {
		return "", bundle.Digest{}, err
	}
	name := path.Join(d.String(), libraryName(src))
	if err := copyVerified(ctx, root, src, name, d); err != nil {
		return "", bundle.Digest{}, err
	}
	if err := copyProviders(ctx, root, filepath.Dir(src), d.String(), a); err != nil {
		return "", bundle.Digest{}, err
	}
	return filepath.Join(dir, filepath.FromSlash(name)), d, nil
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// libraryName keeps a plain file name, since provider libraries look for their neighbour by name.
func libraryName(src string) string {
	if n := filepath.Base(src); plainName.MatchString(n) && bundle.ValidPath(n) == nil {
		return n
	}
	switch runtime.GOOS {
	case "windows":
		return "onnxruntime.dll"
	case "darwin":
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so.1"
}

func copyVerified(ctx context.Context, root *os.Root, src, name string, want bundle.Digest) error {
	if f, err := fsx.Open(root, name); err == nil {
		have, err := hashReader(ctx, f)
		f.Close()
		if err == nil && have == want {
			return nil
		}
	}
	f, err := openRegular(src)
	if err != nil {
		return err
	}
	defer f.Close()
	r := &verifyingReader{ctx: ctx, r: f, h: sha512.New384(), want: want, path: src}
	if _, err := fsx.WriteFrom(root, name, r, maxLibrary, 0o644); err != nil {
		return fmt.Errorf("copying the engine library: %w", err)
	}
	return nil
}

// verifyingReader gives an error instead of the end of file when the bytes were not the expected ones.
type verifyingReader struct {
	ctx  context.Context
	r    io.Reader
	h    hash.Hash
	want bundle.Digest
	path string
}

func (v *verifyingReader) Read(p []byte) (int, error) {
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := v.r.Read(p)
	v.h.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if d := bundle.Digest(v.h.Sum(nil)); d != v.want {
			return n, fault.New(fault.EngineLibrary, "engine library %q changed while it was copied", v.path).With("path", v.path)
		}
	}
	return n, err
}

func isProvider(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(name, "lib"), "onnxruntime_providers_")
}

func copyProviders(ctx context.Context, root *os.Root, from, to string, a Allowed) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fsx.Classify(err, "reading folder", from)
	}
	for _, e := range entries {
		if !isProvider(e.Name()) || !plainName.MatchString(e.Name()) {
			continue
		}
		src := filepath.Join(from, e.Name())
		d, err := AllowedLibrary(ctx, src, a)
		if fault.CodeOf(err) == fault.EngineLibrary {
			continue // not one of ours: it stays behind, and the provider will be missing
		}
		if err != nil {
			return err
		}
		if err := copyVerified(ctx, root, src, path.Join(to, e.Name()), d); err != nil {
			return err
		}
	}
	return nil
}

// FindLibrary finds an allowed library among those that CopyLibrary put into enginesDir: the given one first, then the
// manifest's, then known ones from the newest on. Each is hashed again. The path is empty when there is none.
func FindLibrary(ctx context.Context, enginesDir string, a Allowed) (string, bundle.Digest, error) {
	entries, err := os.ReadDir(enginesDir)
	if errors.Is(err, os.ErrNotExist) {
		return "", bundle.Digest{}, nil
	}
	if err != nil {
		return "", bundle.Digest{}, fsx.Classify(err, "reading folder", enginesDir)
	}
	var digests []bundle.Digest
	for _, e := range entries {
		d, err := bundle.ParseDigest(e.Name())
		if err == nil && e.IsDir() && a.Check(d) == nil {
			digests = append(digests, d)
		}
	}
	slices.SortStableFunc(digests, func(x, y bundle.Digest) int { return a.rank(x) - a.rank(y) })
	for _, d := range digests {
		dir, err := filepath.Abs(filepath.Join(enginesDir, d.String()))
		if err != nil {
			return "", bundle.Digest{}, fault.New(fault.IO, "finding the engines folder: %w", err)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			return "", bundle.Digest{}, fsx.Classify(err, "reading folder", dir)
		}
		for _, f := range files {
			if !f.Type().IsRegular() || isProvider(f.Name()) {
				continue
			}
			p := filepath.Join(dir, f.Name())
			if have, err := hashFile(ctx, p); err == nil && have == d {
				return p, d, nil
			} else if ctx.Err() != nil {
				return "", bundle.Digest{}, ctx.Err()
			}
		}
	}
	return "", bundle.Digest{}, nil
}

func openRegular(file string) (*os.File, error) {
	fi, err := os.Stat(file) // before opening: opening a fifo would wait
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.SourceMissing, "file %q does not exist", file).With("path", file)
	}
	if err != nil {
		return nil, fsx.Classify(err, "looking at", file)
	}
	if !fi.Mode().IsRegular() {
		return nil, fault.New(fault.EngineLibrary, "%q is not a regular file", file).With("path", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fsx.Classify(err, "opening", file)
	}
	return f, nil
}

func hashFile(ctx context.Context, file string) (bundle.Digest, error) {
	f, err := openRegular(file)
	if err != nil {
		return bundle.Digest{}, err
	}
	defer f.Close()
	d, err := hashReader(ctx, f)
	if err != nil {
		return bundle.Digest{}, fsx.Classify(err, "reading", file)
	}
	return d, nil
}

func hashReader(ctx context.Context, r io.Reader) (bundle.Digest, error) {
	h := sha512.New384()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return bundle.Digest{}, err
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return bundle.Digest(h.Sum(nil)), nil
		}
		if err != nil {
			return bundle.Digest{}, err
		}
	}
}

func withPath(err error, file string) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.With("path", file)
	}
	return err
}
