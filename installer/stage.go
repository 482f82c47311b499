package installer

import (
	"context"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"sluice/audit"
	"sluice/bundle"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/progress"
)

// Suffixes of names in the staging folder.
const (
	partialSuffix = ".partial" // a variant being copied; a later run continues it
	removedSuffix = ".removed" // a version folder on its way out
)

// Stage copies the chosen variant below the root while it reads the source once; each byte is verified before it is
// written. What an earlier run left of the same manifest and variant is verified and kept. A version that is
// installed already is verified and reused, once the source's bytes are found to be the same. Errors: E-SPACE with "need" and "free", and those of Extract.
func (in *Installer) Stage(ctx context.Context, f *Fitted) (*Staged, error) {
	if !f.valid() || !f.token.of(in) {
		return nil, noToken("stage", "fit")
	}
	return write(ctx, in, demands{what: "stage"}, func(w *work) (*Staged, error) { return w.stage(ctx, f) })
}

func (w *work) stage(ctx context.Context, f *Fitted) (*Staged, error) {
	if !f.valid() || !f.token.of(w.in) {
		return nil, noToken("stage", "fit")
	}
	w.about(f.auth)
	m, variant := f.auth.Manifest(), f.Variant()
	folder, there := w.dir.FolderFor(m.Version, variant)
	s := &Staged{token: token{w.in}, fit: f, folder: folder}
	paths, err := m.VariantPaths(variant)
	if err != nil {
		return nil, err
	}
	if there {
		switch err := w.dir.VerifyFolder(ctx, f.auth, folder, variant, variantProgress(w.in.c.Progress, variant)); {
		case err == nil:
			s.reused = true
			// Nothing of the source is used, yet a damaged one is never said to be installed.
			err := f.auth.Source().Extract(ctx, m, bundle.ExtractOptions{
				Paths: paths, Progress: variantProgress(w.in.c.Progress, variant), Step: progress.Stage,
			})
			if err != nil {
				return nil, err
			}
			return s, w.note(audit.Demo, "stage", "reused", w.artefacts(f.auth), nil, map[string]any{"folder": folder, slot.InfoVariant: variant})
		case fault.CodeOf(err) == fault.InstalledChanged || fault.CodeOf(err) == fault.Digest:
			s.repairs = true
		default:
			return nil, err
		}
	}
	s.partial = slot.StagingDir + "/" + stagingID(f.auth.ManifestSHA384(), variant) + partialSuffix
	if err := w.room(s.partial, m, paths); err != nil {
		return nil, err
	}
	// The manifest is written last: a staging folder that holds it is complete.
	err = w.perform(change{log: audit.Demo, event: "stage", path: s.partial, becomes: f.auth.ManifestSHA384().String(), then: "staged",
		artefacts: w.artefacts(f.auth), info: map[string]string{slot.InfoVariant: variant, slot.InfoVersion: m.Version}},
		func() error { return w.copyVariant(ctx, s, paths) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (w *work) artefacts(a *Authentic) map[string]string {
	return map[string]string{"manifest.json": a.ManifestSHA384().String()}
}

// stagingID names leftovers so that no other bundle's and no other variant's are ever joined.
func stagingID(manifest bundle.Digest, variant string) string {
	sum := sha512.Sum384([]byte("sluice-staging-v1\x00" + manifest.String() + "\x00" + variant))
	return bundle.Digest(sum).String()[:40]
}

// room checks the free space before the first byte is written. Other bundles' leftovers are dropped only when their
// space is needed.
func (w *work) room(partial string, m *bundle.Manifest, paths []string) error {
	need := int64(spaceSlack) + int64(slot.MaxSig)
	for _, p := range paths {
		a := m.Artifact(p)
		left := a.Size
		if fi, err := w.dir.Root().Lstat(partial + "/" + p); err == nil && fi.Mode().IsRegular() {
			left -= min(a.Size, allocated(fi))
		}
		need += left
	}
	if fi, err := os.Stat(w.in.c.Program); err == nil && !w.dir.Exists(slot.BinDir+"/"+programName) {
		need += fi.Size()
	}
	err := fsx.CheckSpace(w.in.c.Root, need)
	if fault.CodeOf(err) != fault.Space {
		return err
	}
	entries, lerr := w.dir.List(slot.StagingDir)
	if lerr != nil {
		return err
	}
	for _, e := range entries {
		if name := slot.StagingDir + "/" + e.Name(); name != partial {
			if rerr := fsx.RemoveAll(w.dir.Root(), name); rerr != nil {
				return rerr
			}
		}
	}
	return fsx.CheckSpace(w.in.c.Root, need)
}

// copyVariant fills the staging folder and makes it durable.
func (w *work) copyVariant(ctx context.Context, s *Staged, paths []string) error {
	a, root := s.fit.auth, w.dir.Root()
	if err := w.prune(s.partial, paths); err != nil {
		return err
	}
	if err := w.extract(ctx, a, s.partial, paths, variantProgress(w.in.c.Progress, s.fit.Variant())); err != nil {
		return err
	}
	w.in.point("extracted")
	installed, err := slot.NewInstalled(a.Manifest(), a.ManifestSHA384(), s.fit.Variant())
	if err != nil {
		return err
	}
	raw, err := installed.Encode()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{slot.InstalledFile, raw}, {slot.SigFile, a.SignatureBytes()}, {slot.ManifestFile, a.ManifestBytes()}} {
		if err := fsx.WriteFile(root, s.partial+"/"+f.name, f.data, 0o644); err != nil {
			return err
		}
	}
	for _, d := range foldersOf(s.partial, paths) {
		if err := fsx.SyncDir(root, d); err != nil {
			return err
		}
	}
	return nil
}

// foldersOf are a folder and those below it in which paths lie, parents first.
func foldersOf(folder string, paths []string) []string {
	seen := map[string]bool{folder: true}
	for _, p := range paths {
		for d := path.Dir(folder + "/" + p); d != folder; d = path.Dir(d) {
			seen[d] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func makeFolders(root *os.Root, folder string, paths []string) error {
	for _, d := range foldersOf(folder, paths) {
		if err := fsx.MkdirAll(root, d, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func variantProgress(p progress.Func, variant string) progress.Func {
	if p == nil {
		return nil
	}
	return func(e progress.Event) { e.Variant = variant; p(e) }
}

// prune removes from leftovers whatever is not a regular file that the variant lists, or a folder for one. A file that
// has a second name elsewhere is none of ours: writing here would change it there.
func (w *work) prune(partial string, paths []string) error {
	want := map[string]bool{}
	for _, p := range paths {
		want[p] = true
	}
	if fi, err := w.dir.Root().Lstat(partial); err == nil && !fi.IsDir() {
		return fsx.RemoveAll(w.dir.Root(), partial)
	}
	folders := map[string]bool{}
	for _, d := range foldersOf(partial, paths) {
		folders[d] = true
	}
	var drop []string
	err := fs.WalkDir(w.dir.Root().FS(), partial, func(p string, e fs.DirEntry, err error) error {
		switch rel := strings.TrimPrefix(p, partial+"/"); {
		case errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil:
			return err
		case e.IsDir() && folders[p]:
			return nil
		case e.Type().IsRegular() && want[rel]:
			if fi, err := e.Info(); err != nil || linked(fi) {
				drop = append(drop, p)
			}
			return nil
		}
		drop = append(drop, p)
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fsx.Classify(err, "walking", partial)
	}
	for _, p := range drop {
		if err := fsx.RemoveAll(w.dir.Root(), p); err != nil {
			return err
		}
	}
	return nil
}

// chunks is one artifact below the staging folder.
type chunks struct {
	f    *os.File
	a    *bundle.Artifact
	left int64 // bytes that an earlier run may have left
}

func openChunks(root *os.Root, name string, a *bundle.Artifact) (*chunks, error) {
	if err := fsx.CheckNoLinks(root, name); err != nil {
		return nil, err
	}
	if fi, err := root.Lstat(name); err == nil && fi.Mode().Perm()&0o200 == 0 {
		if err := root.Chmod(name, 0o644); err != nil { // a version taken back after its smoke test is read-only
			return nil, fsx.Classify(err, "opening", name)
		}
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fsx.Classify(err, "opening", name)
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() > a.Size {
		err = f.Truncate(a.Size)
	}
	if err != nil {
		f.Close()
		return nil, fsx.Classify(err, "opening", name)
	}
	return &chunks{f: f, a: a, left: min(fi.Size(), a.Size)}, nil
}

// ReadChunk gives what an earlier run left only when it is exactly the signed bytes.
func (c *chunks) ReadChunk(i int, p []byte) (bool, error) {
	at := int64(i) * c.a.ChunkSize
	if at+int64(len(p)) > c.left || i >= len(c.a.Chunks) {
		return false, nil
	}
	if _, err := c.f.ReadAt(p, at); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, fsx.Classify(err, "reading", c.a.Path)
	}
	return bundle.Digest(sha512.Sum384(p)) == c.a.Chunks[i], nil
}

// WriteChunk writes verified bytes at their place.
func (c *chunks) WriteChunk(i int, p []byte) error {
	_, err := c.f.WriteAt(p, int64(i)*c.a.ChunkSize)
	return fsx.Classify(err, "writing", c.a.Path)
}

// Close makes the complete file durable.
func (c *chunks) Close() error {
	err := c.f.Sync()
	if cerr := c.f.Close(); err == nil {
		err = cerr
	}
	return fsx.Classify(err, "syncing", c.a.Path)
}

// Abort keeps what was written for the next run.
func (c *chunks) Abort() { _ = c.f.Close() }
