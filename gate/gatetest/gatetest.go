// Package gatetest guards a bot's own repository: its test fails when the packaged models are missing, although they are
// mandatory, or are not what the OEM signed. It reads files and changes nothing; it needs no installation and no network.
package gatetest

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/gate"
	"sluice/inference"
	"sluice/internal/fault"
	"sluice/verify"
)

// Options say where a repository keeps its models. The zero value is the layout of docs/oem-repository, seen from the
// folder above the test's own.
type Options struct {
	Dir       string                   // holds one bundle or its volumes; empty: ../ai_models/bundles/latest
	PublicKey string                   // PEM; empty: ../ai_models/keys/oem_model_signing.pub
	Env       func(name string) string // nil: os.Getenv
}

// RequireModels fails the test unless Dir holds exactly one bundle that the key signed, with every byte as signed and
// every contract as its models are. Without any bundle it fails when BOT_CORE_REQUIRE_OEM_MODELS makes models mandatory,
// and skips with the reason otherwise; an invalid bundle fails either way.
func RequireModels(t testing.TB, o Options) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join("..", "ai_models", "bundles", "latest")
	}
	if o.PublicKey == "" {
		o.PublicKey = filepath.Join("..", "ai_models", "keys", "oem_model_signing.pub")
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	file, err := one(o.Dir)
	if err != nil {
		t.Fatalf("InvalidOEMBundle: %v", err)
	}
	if file == "" {
		if gate.Required(o.Env(gate.EnvRequire)) {
			t.Fatalf("MissingOEMBundle: no bundle in %s, and %s makes models mandatory", o.Dir, gate.EnvRequire)
		}
		t.Skipf("no bundle in %s; with %s=1 this fails", o.Dir, gate.EnvRequire)
	}
	if err := check(t.Context(), file, o.PublicKey, t.TempDir()); err != nil {
		t.Fatalf("InvalidOEMBundle: %s: %s: %v", file, fault.CodeOf(err), err)
	}
}

// one is the bundle in dir, or the index of its volumes; empty when there is none. Two would leave open which is meant.
func one(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tar.zst") || strings.HasSuffix(e.Name(), ".tar.zst.volumes.sig") {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fault.New(fault.Usage, "%d bundles in %q, want one", len(found), dir)
}

func check(ctx context.Context, file, publicKey, scratch string) error {
	pem, err := os.ReadFile(publicKey)
	if err != nil {
		return fault.New(fault.KeyRead, "reading the public key: %w", err)
	}
	key, err := bundle.ParsePublicKey(pem)
	if err != nil {
		return err
	}
	src, err := bundle.Open(ctx, file, bundle.OpenOptions{})
	if err != nil {
		return err
	}
	defer src.Close()
	a, err := verify.WithKey(ctx, src, key)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(scratch)
	if err != nil {
		return err
	}
	defer root.Close()
	store := func(art *bundle.Artifact) (bundle.ChunkStore, error) {
		name := filepath.FromSlash(art.Path)
		if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return nil, err
		}
		f, err := root.Create(name)
		if err != nil {
			return nil, err
		}
		return &scratchFile{File: f, chunk: art.ChunkSize}, nil
	}
	if err := src.Extract(ctx, a.Manifest(), bundle.ExtractOptions{Strict: true, Store: store}); err != nil {
		return err
	}
	return inference.CheckContracts(ctx, a.Manifest(), func(p string) (io.ReadCloser, error) {
		f, err := root.Open(filepath.FromSlash(p))
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: p, Err: err}
		}
		return f, nil
	})
}

// scratchFile takes verified chunks into a file that lives as long as the test.
type scratchFile struct {
	*os.File
	chunk int64
}

func (*scratchFile) ReadChunk(int, []byte) (bool, error) { return false, nil }

func (f *scratchFile) WriteChunk(i int, p []byte) error {
	_, err := f.WriteAt(p, int64(i)*f.chunk)
	return err
}
