package main

import (
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/internal/fault"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == inference.Verb {
		os.Exit(inference.ChildMain(os.Stdin, inference.ResultFile()))
	}
	if len(os.Args) == 2 && os.Args[1] == hwprobe.Verb {
		os.Exit(hwprobe.ChildMain(os.Stdin, hwprobe.ResultFile()))
	}
	os.Exit(m.Run())
}

// cached finds what scripts/fetch-ort.sh and scripts/fetch-silero.sh put into .cache.
func cached(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("..", "..", ".cache", filepath.FromSlash(pattern)))
	if err != nil || len(found) == 0 {
		t.Skipf("nothing in .cache/%s: run scripts/fetch-ort.sh and scripts/fetch-silero.sh", pattern)
	}
	slices.Sort(found)
	path, err := filepath.Abs(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSileroPassesItsOwnSmokeTest(t *testing.T) {
	lib := cached(t, "ort/*/"+runtime.GOOS+"-"+runtime.GOARCH+"/*onnxruntime*")
	dir := filepath.Join(t.TempDir(), "silero")
	if err := run(t.Context(), lib, cached(t, "silero/silero_vad_v5.onnx"), dir); err != nil {
		t.Fatal(err)
	}
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
	built, err := bundle.Build(t.Context(), spec, bundle.BuildOptions{SpecDir: dir, Keys: []ed25519.PrivateKey{key}, Out: t.TempDir(),
		Now: time.Now(), CheckContract: inference.CheckContracts})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, a := range built.Manifest.Artifacts {
		copyFile(t, filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(a.Path, "artifacts/"))), filepath.Join(root, filepath.FromSlash(a.Path)))
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := inference.AllowedLibrary(t.Context(), lib, inference.Allowed{})
	if err != nil {
		t.Fatal(err)
	}
	full, err := inference.Choose(built.Manifest.Variant("cpu-full"), lib, digest)
	if err != nil {
		t.Fatal(err)
	}
	r, err := inference.Smoke(t.Context(), exe, inference.Job{Dir: root, Manifest: built.Manifest, Variant: "cpu-full", Engine: full}, nil)
	if err != nil || !r.Passed {
		t.Fatalf("%+v %v", r, err)
	}
	t.Logf("ONNX Runtime %s: median %.3f ms, 95 %% below %.3f ms, %d MiB", r.EngineVersion, r.MedianMS, r.P95MS, r.PeakMiB)

	// The reference evaluator may refuse it as too much for it, but must not compute anything else.
	small, err := inference.Choose(built.Manifest.Variant("cpu-any"), "", bundle.Digest{})
	if err != nil {
		t.Fatal(err)
	}
	r, err = inference.Smoke(t.Context(), exe, inference.Job{Dir: root, Manifest: built.Manifest, Variant: "cpu-any", Engine: small}, nil)
	if err != nil || !r.Passed && r.Code != fault.EngineNeeded {
		t.Fatalf("%+v %v", r, err)
	}
	t.Logf("reference evaluator: passed %v, median %.3f ms, worst difference %g %s", r.Passed, r.MedianMS, worst(r), r.Reason)
}

func worst(r *inference.Report) (w float64) {
	for _, c := range r.Cases {
		w = max(w, c.WorstAbs)
	}
	return w
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
