package gate

import (
	"context"
	"crypto/sha512"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	"sluice/bundle"
	"sluice/inference"
	"sluice/inference/tensor"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// maxModel is the longest model file that is read into memory, bytes: what a protobuf message may have.
const maxModel = 2<<30 - 1

// Models are verified and loaded. Infer may be called concurrently; calls of one model wait for each other.
type Models struct {
	answer *Answer
	main   string            // artifact path of the variant's own model
	byID   map[string]string // companion id -> artifact path
	loaded map[string]*model
	lease  *lease       // nil: none was asked for
	window func() error // of an emergency: refuses when its time of live is over; nil: no limit
}

// model is one loaded model. Its bytes were compared with the signed digest in the buffer that the engine got.
type model struct {
	mu       sync.Mutex
	session  inference.Session
	external []witness
}

// witness is a file that the engine reads by itself, as it was when it was verified.
type witness struct {
	path string
	was  os.FileInfo
}

// Answer says what was opened.
func (m *Models) Answer() Answer { return *m.answer }

// Infer runs the variant's own model. Errors: ErrEngine; ErrGateClosed when the time of live by emergency ended meanwhile; a closed Models gives E-INTERNAL.
func (m *Models) Infer(ctx context.Context, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	return m.run(ctx, m.main, in)
}

// InferCompanion runs a companion model by its id.
func (m *Models) InferCompanion(ctx context.Context, id string, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	p, ok := m.byID[id]
	if !ok {
		return nil, fault.New(fault.Usage, "variant %q has no companion %q", m.answer.Variant, id)
	}
	return m.run(ctx, p, in)
}

func (m *Models) run(ctx context.Context, artifact string, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	l := m.loaded[artifact]
	if l == nil {
		return nil, fault.New(fault.Internal, "the models are not open")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil, fault.New(fault.Internal, "the models were closed")
	}
	if m.window != nil {
		if err := m.window(); err != nil {
			return nil, closed(err, "", false)
		}
	}
	out, err := l.session.Run(ctx, in)
	if err != nil {
		return nil, closed(err, "", false)
	}
	return out, nil
}

// Close unloads the models; it waits for calls at work. With a lease it confirms that the bot has stopped: call it when
// that is so.
func (m *Models) Close() error {
	var errs []error
	for _, l := range m.loaded {
		l.mu.Lock()
		if l.session != nil {
			errs = append(errs, l.session.Close())
			l.session = nil
		}
		l.mu.Unlock()
	}
	if m.lease != nil {
		errs = append(errs, m.lease.end(true))
		m.lease = nil
	}
	return errors.Join(errs...)
}

// load reads each model of the variant once, compares that buffer with its digest and hands the same buffer to the engine.
func load(ctx context.Context, j *judge, r *slot.Record) (*Models, error) {
	dir, man := j.dir, j.auth.Manifest()
	main, err := man.ModelPath(r.Variant)
	if err != nil {
		return nil, err
	}
	m := &Models{main: main, byID: map[string]string{}, loaded: map[string]*model{}}
	listed := map[string]bool{}
	for _, p := range man.Variant(r.Variant).Artifacts {
		listed[p] = true
	}
	for _, c := range man.InferenceContract.Companions {
		if listed[c.Artifact] {
			m.byID[c.ID] = c.Artifact
		}
	}
	paths := []string{main}
	for _, p := range m.byID {
		paths = append(paths, p)
	}
	spec := inference.EngineSpec{Kind: r.Engine.Kind, LibrarySHA384: r.Engine.LibrarySHA384, Provider: r.Engine.Provider,
		Threads: r.Engine.Threads, MaxMemoryMiB: man.InferenceContract.MaxMemoryMiB}
	if r.Engine.Library != "" {
		spec.LibraryPath = dir.Abs(r.Engine.Library)
	}
	for _, p := range paths {
		if m.loaded[p] != nil {
			continue
		}
		l, err := loadModel(ctx, j, r, spec, p)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.loaded[p] = l
	}
	return m, nil
}

func loadModel(ctx context.Context, j *judge, r *slot.Record, spec inference.EngineSpec, artifact string) (*model, error) {
	dir, man := j.dir, j.auth.Manifest()
	raw, err := readVerified(dir, man, r.Folder, artifact)
	if err != nil {
		return nil, err
	}
	file := inference.ModelFile{Bytes: raw, Path: dir.Abs(r.Folder + "/" + artifact), External: map[string]string{}}
	l := &model{}
	paths, err := man.VariantPaths(r.Variant)
	if err != nil {
		return nil, err
	}
	for _, p := range paths { // a model may refer to files beside it; which of them it reads, the engine tells
		rel, ok := strings.CutPrefix(p, path.Dir(artifact)+"/")
		if !ok || p == artifact {
			continue
		}
		was := j.before[r.Folder+"/"+p]
		if was == nil {
			return nil, fault.New(fault.InstalledChanged, "file %q appeared while it was looked at", p).With("path", dir.Abs(r.Folder+"/"+p))
		}
		file.External[rel] = dir.Abs(r.Folder + "/" + p)
		l.external = append(l.external, witness{path: r.Folder + "/" + p, was: was})
	}
	if l.session, err = inference.OpenSession(ctx, spec, file); err != nil {
		return nil, engineFault(artifact, err)
	}
	if err := l.unchanged(dir); err != nil {
		return nil, errors.Join(err, l.session.Close())
	}
	return l, nil
}

// engineFault keeps an engine's refusals among the engine's codes, so that the answer's order holds.
func engineFault(artifact string, err error) error {
	switch code := fault.CodeOf(err); {
	case code.Exit() == fault.EngineLoad.Exit(), code == fault.Cancelled:
		return err
	default:
		return fault.New(fault.EngineLoad, "loading model %q: %w", artifact, err).With("path", artifact).With("cause", string(code))
	}
}

// unchanged compares files that the engine opened by itself with what they were before this call verified them chunk
// by chunk.
func (l *model) unchanged(dir *slot.Dir) error {
	for _, w := range l.external {
		now, err := dir.Root().Lstat(w.path)
		if err != nil {
			return fsx.Classify(err, "looking at", w.path)
		}
		if !os.SameFile(w.was, now) || now.Size() != w.was.Size() || !now.ModTime().Equal(w.was.ModTime()) {
			return fault.New(fault.InstalledChanged, "file %q changed while the engine read it", w.path).With("path", dir.Abs(w.path))
		}
	}
	return nil
}

// readVerified reads an artifact once; the bytes returned are those that were compared with the signed digest.
func readVerified(dir *slot.Dir, man *bundle.Manifest, folder, artifact string) ([]byte, error) {
	art := man.Artifact(artifact)
	if art == nil {
		return nil, fault.New(fault.ManifestInvalid, "the manifest lists no %q", artifact)
	}
	if art.Size > maxModel {
		return nil, fault.New(fault.ModelLimit, "model %q has %d bytes, want at most %d", artifact, art.Size, int64(maxModel)).With("path", artifact)
	}
	f, err := fsx.Open(dir.Root(), folder+"/"+artifact)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, art.Size)
	if _, err := io.ReadFull(f, raw); err != nil {
		return nil, fault.New(fault.InstalledChanged, "reading model %q: %w", artifact, err).With("path", dir.Abs(folder+"/"+artifact))
	}
	if bundle.Digest(sha512.Sum384(raw)) != art.SHA384 {
		return nil, fault.New(fault.InstalledChanged, "model %q is not the one that was signed", artifact).With("path", dir.Abs(folder+"/"+artifact))
	}
	return raw, nil
}
