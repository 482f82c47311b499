package verify

import (
	"context"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/progress"
)

// Names beside artifacts/ in an installed folder.
const (
	signatureName = "manifest.sig"
	installedName = "installed.json"
)

// readSize is how much of a file one worker holds in memory, bytes.
const readSize = 256 << 10

// progressEvery is the shortest time between two progress reports.
const progressEvery = 100 * time.Millisecond

// Folder checks an installed version: dir holds exactly manifest.json and manifest.sig (the bytes of a),
// installed.json (whose content is not judged here), the variant's artifacts and their parent folders; all are
// regular files, no links; each chunk of each artifact has its signed digest. Chunks are read on all cores with readSize
// of memory each. Error: E-INSTALLED-CHANGED with the details path and reason (missing, extra, kind, size, content,
// manifest), and offset and length of a wrong chunk.
//
// The whole-file digests are not computed again: chunk digests, sizes and their order are signed with them.
func Folder(ctx context.Context, dir string, a *Authentic, variant string, p progress.Func) error {
	if !a.Valid() {
		return fault.New(fault.Internal, "the manifest was not authenticated")
	}
	paths, err := a.manifest.VariantPaths(variant)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return changed(".", "missing", "folder %q is not there", dir)
	}
	if err != nil {
		return fsx.Classify(err, "opening", dir)
	}
	defer root.Close()
	if err := checkNames(ctx, root, paths); err != nil {
		return err
	}
	for name, want := range map[string][]byte{ManifestName: a.raw, signatureName: a.sig} {
		if err := checkBytes(root, name, want); err != nil {
			return err
		}
	}
	arts := make([]*bundle.Artifact, 0, len(paths))
	for i, next := 0, 0; i < len(a.manifest.Artifacts) && next < len(paths); i++ { // paths are in manifest order
		if art := &a.manifest.Artifacts[i]; art.Path == paths[next] {
			arts = append(arts, art)
			next++
		}
	}
	return checkArtifacts(ctx, root, arts, p)
}

func changed(name, reason, format string, args ...any) *fault.Error {
	return fault.New(fault.InstalledChanged, format, args...).With("path", name).With("reason", reason)
}

// checkNames walks over everything that is there, then looks for what is not.
func checkNames(ctx context.Context, root *os.Root, paths []string) error {
	files := map[string]bool{ManifestName: true, signatureName: true, installedName: true}
	folders := map[string]bool{".": true}
	for _, p := range paths {
		files[p] = true
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			folders[d] = true
		}
	}
	seen := map[string]bool{}
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if cerr := ctx.Err(); cerr != nil {
			return fault.New(fault.Cancelled, "checking files: %w", cerr)
		}
		if err != nil {
			return fsx.Classify(err, "listing", name)
		}
		switch {
		case d.IsDir() && folders[name]:
			return nil
		case d.IsDir():
			return changed(name, "extra", "folder %q is not part of the version", name)
		case !files[name]:
			return changed(name, "extra", "%q is not part of the version", name)
		case !d.Type().IsRegular():
			return changed(name, "kind", "%q is not a regular file", name)
		}
		seen[name] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range append([]string{ManifestName, signatureName, installedName}, paths...) {
		if !seen[name] {
			return changed(name, "missing", "%q is missing", name)
		}
	}
	return nil
}

func checkBytes(root *os.Root, name string, want []byte) error {
	have, err := fsx.ReadFile(root, name, int64(len(want))+1)
	if err != nil && fault.CodeOf(err) != fault.Limit {
		return openError(name, err)
	}
	if err != nil || !slices.Equal(have, want) {
		return changed(name, "manifest", "%q is not the one that was signed", name)
	}
	return nil
}

// openError: what was there a moment ago and is not a plain file now was changed.
func openError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return changed(name, "missing", "%q is missing: %w", name, err)
	case fault.CodeOf(err) == fault.Path:
		return changed(name, "kind", "%w", err)
	}
	return err
}

// openArtifact is a file in work; the last of its chunks closes it.
type openArtifact struct {
	f    *os.File
	art  *bundle.Artifact
	left atomic.Int64
}

func (o *openArtifact) done() {
	if o.left.Add(-1) == 0 {
		o.f.Close()
	}
}

type chunkJob struct {
	of    *openArtifact
	index int
}

func checkArtifacts(ctx context.Context, root *os.Root, arts []*bundle.Artifact, p progress.Func) error {
	var total int64
	for _, art := range arts {
		total += art.Size
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	meter := newMeter(p, total)
	defer meter.end()
	jobs := make(chan chunkJob)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			buf := make([]byte, readSize)
			for j := range jobs {
				if err := checkChunk(ctx, j, buf, meter); err != nil {
					cancel(err)
				}
				j.of.done()
			}
		}()
	}
	err := feed(ctx, root, arts, jobs)
	close(jobs)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the first thing that went wrong
	}
	if errors.Is(err, context.Canceled) && fault.CodeOf(err) != fault.InstalledChanged {
		return fault.New(fault.Cancelled, "checking files: %w", err)
	}
	return err
}

func feed(ctx context.Context, root *os.Root, arts []*bundle.Artifact, jobs chan<- chunkJob) error {
	for _, art := range arts {
		name := art.Path
		f, err := fsx.Open(root, name)
		if err != nil {
			return openError(name, err)
		}
		o := &openArtifact{f: f, art: art}
		o.left.Store(int64(len(art.Chunks)) + 1) // one for the feeder itself
		if fi, err := f.Stat(); err != nil || fi.Size() != art.Size {
			o.f.Close()
			if err != nil {
				return fsx.Classify(err, "looking at", name)
			}
			return changed(name, "size", "%q has %d bytes, the manifest says %d", name, fi.Size(), art.Size)
		}
		sent := 0
		for ; sent < len(art.Chunks); sent++ {
			select {
			case jobs <- chunkJob{o, sent}:
				continue
			case <-ctx.Done():
			}
			break
		}
		if sent < len(art.Chunks) {
			o.left.Add(int64(sent - len(art.Chunks)))
			o.done()
			return ctx.Err()
		}
		o.done()
	}
	return nil
}

func checkChunk(ctx context.Context, j chunkJob, buf []byte, meter *meter) error {
	art := j.of.art
	offset := int64(j.index) * art.ChunkSize
	length := min(art.ChunkSize, art.Size-offset)
	h := sha512.New384()
	for at := offset; at < offset+length; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := j.of.f.ReadAt(buf[:min(int64(len(buf)), offset+length-at)], at)
		h.Write(buf[:n])
		at += int64(n)
		meter.add(int64(n), art.Path)
		if err == io.EOF && at < offset+length {
			return changed(art.Path, "size", "%q became shorter while it was read", art.Path)
		}
		if err != nil && err != io.EOF {
			return fsx.Classify(err, "reading", art.Path)
		}
	}
	if got := bundle.Digest(h.Sum(nil)); got != art.Chunks[j.index] {
		return changed(art.Path, "content", "%q differs from its signed digest in bytes %d to %d", art.Path, offset, offset+length-1).
			With("offset", offset).With("length", length).With("end", offset+length-1).
			With("got", got.String()).With("want", art.Chunks[j.index].String())
	}
	return nil
}

// meter turns the workers' bytes into progress events.
type meter struct {
	mu    sync.Mutex
	f     progress.Func
	total int64
	done  int64
	last  time.Time
}

func newMeter(f progress.Func, total int64) *meter { return &meter{f: f, total: total} }

func (m *meter) add(n int64, artifact string) {
	if m.f == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if now := time.Now(); now.Sub(m.last) >= progressEvery {
		m.last = now
		m.f(progress.Event{Step: progress.Verify, Artifact: artifact, Done: m.done, Total: m.total})
	}
}

// end sends the last event, whatever the outcome.
func (m *meter) end() {
	if m.f == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.f(progress.Event{Step: progress.Verify, Done: m.done, Total: m.total, Final: true})
}
