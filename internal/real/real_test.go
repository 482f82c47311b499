package main

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/inference"
	"sluice/internal/fault"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == inference.Verb {
		os.Exit(inference.ChildMain(os.Stdin, inference.ResultFile()))
	}
	os.Exit(m.Run())
}

// built builds a source into a bundle, contract checked, and gives its manifest and a folder with its artifacts.
func built(t *testing.T, dir string) (*bundle.Manifest, string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "bundle.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Build(t.Context(), spec, bundle.BuildOptions{SpecDir: dir, Keys: []ed25519.PrivateKey{key}, Out: t.TempDir(),
		Now: time.Now(), CheckContract: inference.CheckContracts})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, a := range b.Manifest.Artifacts {
		raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(a.Path, "artifacts/"))))
		if err == nil {
			err = write(root, a.Path, raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Manifest, root
}

// TestBothEnginesAgree: what the evaluator can run of the models in the cache it computes as ONNX Runtime does, within the contract's
// tolerance. It fetches nothing: `make real` fills the cache.
func TestBothEnginesAgree(t *testing.T) {
	lib := os.Getenv("SLUICE_ORT_LIB")
	if found, _ := filepath.Glob(filepath.Join("..", "..", ".cache", "ort", "*", runtime.GOOS+"-"+runtime.GOARCH, "*onnxruntime*")); lib == "" && len(found) > 0 {
		slices.Sort(found)
		lib = found[len(found)-1]
	}
	if lib == "" {
		t.Skip("no ONNX Runtime: SLUICE_ORT_LIB is not set and .cache/ort is empty (scripts/fetch-ort.sh)")
	}
	lib, err := filepath.Abs(lib)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := engineSpec(t.Context(), lib)
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]inference.Session{}
	tried := 0
	for i := range models {
		m := &models[i]
		file := filepath.Join("..", "..", ".cache", "real", m.name+".onnx")
		if raw, err := os.ReadFile(file); err != nil || sum(raw) != m.source.sha384 {
			continue
		}
		tried++
		dir := t.TempDir()
		n, err := record(t.Context(), m, spec, file, dir, others)
		if err != nil || n < 2 {
			t.Fatalf("%s: %d cases: %v", m.name, n, err)
		}
		manifest, root := built(t, dir)
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		job := inference.Job{Dir: root, Manifest: manifest, Variant: "cpu-full", Engine: spec}
		s, err := inference.Ask(t.Context(), exe, job, inference.EngineSpec{Kind: inference.KindReference}, nil)
		if err != nil || s.Given && !s.Agrees || !s.Given && s.Code != fault.EngineNeeded {
			t.Errorf("%s: %+v %v", m.name, s, err)
		}
		t.Logf("%s: agrees %v %s", m.name, s.Agrees, s.Reason)
	}
	if tried == 0 {
		t.Skip("nothing in .cache/real: run make real")
	}
}

// TestOnlyThePinnedBytesAreKept: a package that answers with other bytes, or not at all, leaves nothing in the cache.
func TestOnlyThePinnedBytesAreKept(t *testing.T) {
	cache := t.TempDir()
	if err := os.WriteFile(filepath.Join(cache, "thing.onnx"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, "pkg-1.0.0.tgz"), []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &model{name: "thing", source: source{"npm", "pkg", "1.0.0", "model.onnx", strings.Repeat("0", 96)}}
	if file, err := fetch(context.Background(), cache, m); err == nil || file != "" {
		t.Errorf("%q %v", file, err)
	}
}
