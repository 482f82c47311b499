package verify

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

func seeded(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%-32s", name))[:32])
}

func public(t testing.TB, name string) bundle.PublicKey {
	t.Helper()
	k, err := bundle.NewPublicKey(seeded(name).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publics(t testing.TB, names ...string) []bundle.PublicKey {
	var out []bundle.PublicKey
	for _, n := range names {
		out = append(out, public(t, n))
	}
	return out
}

func privates(names ...string) []ed25519.PrivateKey {
	var out []ed25519.PrivateKey
	for _, n := range names {
		out = append(out, seeded(n))
	}
	return out
}

var (
	expiry  = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	created = "2026-11-01T12:00:00Z"
)

// oemOptions: role root is r1, r2 (one needed), role targets t1, t2 with the given threshold.
func oemOptions(t testing.TB, threshold int) RootOptions {
	return RootOptions{Of: Oem, RootKeys: publics(t, "r1", "r2"), RootThreshold: 1, TargetsKeys: publics(t, "t1", "t2"), TargetsThreshold: threshold,
		Expires: expiry, Signers: privates("r1")}
}

func newRoot(t testing.TB, o RootOptions) []byte {
	t.Helper()
	raw, err := NewRoot(o)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// oemStore is a folder with a root placed in it.
func oemStore(t testing.TB, threshold int) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	raw := newRoot(t, oemOptions(t, threshold))
	if err := s.Place(Oem, raw, Fingerprint(raw)); err != nil {
		t.Fatal(err)
	}
	return s
}

// files are the artifacts of the test bundle; model.onnx has four chunks of 64 KiB.
func files() map[string][]byte {
	return map[string][]byte{
		"artifacts/model.onnx":       bytes.Repeat([]byte("weights!"), 30_000),
		"artifacts/int8/model.onnx":  []byte("small weights"),
		"artifacts/golden/in.pb":     []byte("in"),
		"artifacts/golden/out.pb":    []byte("out"),
		"artifacts/empty.txt":        {},
		"artifacts/reports/drift.md": []byte("# drift"),
	}
}

var order = []string{"artifacts/model.onnx", "artifacts/int8/model.onnx", "artifacts/golden/in.pb", "artifacts/golden/out.pb", "artifacts/empty.txt", "artifacts/reports/drift.md"}

// manifestOf is a valid manifest over files; change may alter it.
func manifestOf(t testing.TB, change func(*bundle.Manifest)) []byte {
	t.Helper()
	roles := map[string]bundle.Role{"artifacts/golden/in.pb": bundle.RoleGolden, "artifacts/golden/out.pb": bundle.RoleGolden,
		"artifacts/empty.txt": bundle.RoleMetadata, "artifacts/reports/drift.md": bundle.RoleReport}
	spec := func(name string) []bundle.TensorSpec {
		return []bundle.TensorSpec{{Name: name, DType: "float32", Shape: []bundle.Dim{{Size: 1}}}}
	}
	m := &bundle.Manifest{Schema: bundle.SchemaV1, ModelFamily: "regime", Version: "1.4.2", HashAlg: bundle.HashSHA384, Created: created,
		Variants: []bundle.Variant{
			{ID: "fp32", Engine: bundle.EngineAny, ExecutionProvider: "cpu", Artifacts: []string{"artifacts/model.onnx", "artifacts/empty.txt"}},
			{ID: "int8", Engine: bundle.EngineAny, ExecutionProvider: "cpu", Artifacts: []string{"artifacts/int8/model.onnx"}}},
		InferenceContract: bundle.InferenceContract{Inputs: spec("x"), Outputs: spec("y"), MaxLatencyMS: 5, MaxMemoryMiB: 64,
			Golden: []bundle.GoldenCase{{Name: "one", Inputs: map[string]string{"x": "artifacts/golden/in.pb"}, Outputs: map[string]string{"y": "artifacts/golden/out.pb"},
				Tolerance: bundle.Tolerance{Abs: 1e-6}}}},
		Quality: []bundle.QualityFigure{{ID: "drift", Value: 0.1, Threshold: 0.2, Direction: "max", Passed: true, Report: "artifacts/reports/drift.md"}},
	}
	for _, p := range order {
		data := files()[p]
		a := bundle.Artifact{Path: p, Size: int64(len(data)), SHA384: sha512.Sum384(data), ChunkSize: bundle.MinChunkSize, Chunks: []bundle.Digest{},
			Role: roles[p], MediaType: "application/octet-stream"}
		if a.Role == "" {
			a.Role = bundle.RoleWeights
		}
		for d := data; len(d) > 0; {
			n := min(len(d), bundle.MinChunkSize)
			a.Chunks = append(a.Chunks, sha512.Sum384(d[:n]))
			d = d[n:]
		}
		m.Artifacts = append(m.Artifacts, a)
	}
	if change != nil {
		change(m)
	}
	raw, err := bundle.CanonicalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// statement speaks of manifest.json; edit may make it speak of something else.
func statement(t testing.TB, manifest []byte, edit func(*bundle.Statement), signers ...string) []byte {
	t.Helper()
	family, version := "regime", "1.4.2"
	if m, err := bundle.ParseManifest(manifest); err == nil {
		family, version = m.ModelFamily, m.Version
	}
	p, err := bundle.CanonicalJSON(bundle.ManifestPredicate{ModelFamily: family, Version: version})
	if err != nil {
		t.Fatal(err)
	}
	st := bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(ManifestName, manifest)}, PredicateType: bundle.TypeManifest, Predicate: p}
	if edit != nil {
		edit(&st)
	}
	env, err := bundle.SignStatement(st, privates(signers...)...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// openBundle writes a bundle around manifest and sig and opens it.
func openBundle(t testing.TB, manifest, sig []byte) *bundle.Source {
	t.Helper()
	return openPath(t, writeBundle(t, manifest, sig))
}

func writeBundle(t testing.TB, manifest, sig []byte) string {
	t.Helper()
	m, err := bundle.ParseManifest(manifest)
	if err != nil { // a hostile manifest around good artifacts
		m, err = bundle.ParseManifest(manifestOf(t, nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "regime-v1.4.2.tar.zst")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	open := func(p string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files()[p])), nil }
	if err := bundle.WriteBundle(context.Background(), f, manifest, sig, m, open, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func openPath(t testing.TB, path string) *bundle.Source {
	t.Helper()
	src, err := bundle.Open(context.Background(), path, bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// installed writes an installed folder of the variant.
func installed(t testing.TB, a *Authentic, variant string) string {
	t.Helper()
	dir := t.TempDir()
	paths, err := a.Manifest().VariantPaths(variant)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{ManifestName: a.ManifestBytes(), signatureName: a.SignatureBytes(), installedName: []byte("{}")}
	for _, p := range paths {
		all[p] = files()[p]
	}
	for p, data := range all {
		full := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func authentic(t testing.TB) *Authentic {
	t.Helper()
	m := manifestOf(t, nil)
	a, err := InstalledWithKey(m, statement(t, m, nil, "t1"), public(t, "t1"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantCode(t testing.TB, err error, code fault.Code, text string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v (%s), want %s with %q", err, fault.CodeOf(err), code, text)
	}
}
