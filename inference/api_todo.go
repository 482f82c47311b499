package inference

import (
	"context"
	"errors"
	"io"
	"os"

	"sluice/bundle"
	"sluice/internal/progress"
)

var errUnfinished = errors.New("unfinished")

// OpenSession loads a model.
func OpenSession(ctx context.Context, spec EngineSpec, model ModelFile) (Session, error) {
	return nil, errUnfinished
}

// Allowed says which engine libraries may be loaded beside the pinned official builds.
type Allowed struct {
	Manifest *bundle.Manifest // its artifacts with role runtime; may be nil
	Given    bundle.Digest    // --engine-lib-sha384; may be zero
}

// AllowedLibrary hashes the file and refuses it (fault.EngineLibrary) unless its digest may be loaded.
func AllowedLibrary(ctx context.Context, path string, a Allowed) (bundle.Digest, error) {
	return bundle.Digest{}, errUnfinished
}

// CopyLibrary copies an allowed library to enginesDir/<sha384>/.
func CopyLibrary(ctx context.Context, src, enginesDir string, a Allowed) (string, bundle.Digest, error) {
	return "", bundle.Digest{}, errUnfinished
}

// FindLibrary finds an allowed library among those copied to enginesDir earlier; an empty path when there is none.
func FindLibrary(ctx context.Context, enginesDir string, a Allowed) (string, bundle.Digest, error) {
	return "", bundle.Digest{}, errUnfinished
}

// Choose says which engine runs a variant: lib is the path of an allowed library or empty.
func Choose(v *bundle.Variant, lib string, d bundle.Digest) (EngineSpec, error) {
	return EngineSpec{}, errUnfinished
}

// EngineOptions say where to look for engines.
type EngineOptions struct {
	Exe           string // program that answers the hidden verb; ORT is tried in a child of it
	LibraryPath   string // copied and allowed before; empty: only the reference evaluator
	LibrarySHA384 bundle.Digest
}

// Engines gives the engines that really load here, and the others with the reason.
func Engines(ctx context.Context, o EngineOptions) []EngineInfo { return nil }

// Verb is the hidden argument that makes the program a child: it calls ChildMain and exits with its result.
const Verb = "__infer"

// ResultFile is where a child writes its result.
func ResultFile() *os.File { return os.NewFile(3, "result") }

// ChildMain is the child's main function.
func ChildMain(stdin io.Reader, result *os.File) int { return 1 }

// Smoke proves a variant's golden cases in a child process of exe.
func Smoke(ctx context.Context, exe string, job Job, p progress.Func) (*Report, error) {
	return nil, errUnfinished
}

// CheckContract compares names, types and shapes of the contract with the model's own.
func CheckContract(ctx context.Context, m *bundle.Manifest, variant, dir string) error {
	return errUnfinished
}
