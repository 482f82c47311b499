package inference_test

import (
	"context"
	"crypto/sha512"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/inference"
	"sluice/internal/fault"
)

func sha(b []byte) bundle.Digest { return sha512.Sum384(b) }

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func relink(t testing.TB, target, link string) {
	t.Helper()
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
}

func TestKnownEnginesAreComplete(t *testing.T) {
	list, err := inference.KnownEngines()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, k := range list {
		if k.SHA384.IsZero() || k.Name != inference.KindONNXRuntime || !strings.Contains(k.Source, k.Version) || !strings.HasSuffix(k.Source, k.File) {
			t.Errorf("%+v", k)
		}
		if key := k.Version + k.OS + k.Arch; have[key] || have[k.SHA384.String()] {
			t.Errorf("twice: %+v", k)
		} else {
			have[key], have[k.SHA384.String()] = true, true
		}
	}
	for _, p := range []string{"linuxamd64", "linuxarm64", "windowsamd64", "windowsarm64", "darwinarm64"} {
		if !have["1.30.0"+p] {
			t.Errorf("no build for %s", p)
		}
	}
}

func TestOnlyAllowedLibraries(t *testing.T) {
	lib := filepath.Join(t.TempDir(), "libonnxruntime.so.1")
	content := []byte("any bytes")
	write(t, lib, content)
	runtimeOf := func(role bundle.Role, d bundle.Digest) *bundle.Manifest {
		return &bundle.Manifest{Artifacts: []bundle.Artifact{{Path: "artifacts/lib", Role: role, SHA384: d}}}
	}
	for name, c := range map[string]struct {
		a    inference.Allowed
		want fault.Code
	}{
		"nothing":            {inference.Allowed{}, fault.EngineLibrary},
		"given":              {inference.Allowed{Given: sha(content)}, ""},
		"another given":      {inference.Allowed{Given: sha(nil)}, fault.EngineLibrary},
		"in the manifest":    {inference.Allowed{Manifest: runtimeOf(bundle.RoleRuntime, sha(content))}, ""},
		"as weights":         {inference.Allowed{Manifest: runtimeOf(bundle.RoleWeights, sha(content))}, fault.EngineLibrary},
		"another's manifest": {inference.Allowed{Manifest: runtimeOf(bundle.RoleRuntime, sha(nil))}, fault.EngineLibrary},
	} {
		d, err := inference.AllowedLibrary(context.Background(), lib, c.a)
		if fault.CodeOf(err) != c.want || err == nil && d != sha(content) {
			t.Errorf("%s: %v", name, err)
		}
		engines := filepath.Join(t.TempDir(), "engines")
		path, _, err := inference.CopyLibrary(context.Background(), lib, engines, c.a)
		if fault.CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if _, serr := os.Stat(engines); err != nil && serr == nil {
			t.Errorf("%s: a refused library left something behind", name)
		}
		if err == nil && path != filepath.Join(engines, sha(content).String(), "libonnxruntime.so.1") {
			t.Errorf("%s: %s", name, path)
		}
	}
	if _, err := inference.AllowedLibrary(context.Background(), filepath.Join(t.TempDir(), "none"), inference.Allowed{}); fault.CodeOf(err) != fault.SourceMissing {
		t.Errorf("missing: %v", err)
	}
	if _, err := inference.AllowedLibrary(context.Background(), t.TempDir(), inference.Allowed{}); fault.CodeOf(err) != fault.EngineLibrary {
		t.Errorf("folder: %v", err)
	}
	if err := (inference.Allowed{}).Check(bundle.Digest{}); fault.CodeOf(err) != fault.EngineLibrary {
		t.Errorf("the zero digest: %v", err)
	}
}

func TestBuildsForOtherSystemsAreRefused(t *testing.T) {
	list, err := inference.KnownEngines()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		err := inference.Allowed{}.Check(k.SHA384)
		if here := k.OS == runtime.GOOS && k.Arch == runtime.GOARCH; here != (err == nil) {
			t.Errorf("%s/%s: %v", k.OS, k.Arch, err)
		}
	}
}

func TestCopiesAreVerifiedAndRepaired(t *testing.T) {
	src, engines := t.TempDir(), filepath.Join(t.TempDir(), "engines")
	lib, other := []byte("the library"), []byte("a provider")
	write(t, filepath.Join(src, "libonnxruntime.so.1"), lib)
	write(t, filepath.Join(src, "libonnxruntime_providers_cuda.so"), other)
	write(t, filepath.Join(src, "libonnxruntime_providers_evil.so"), []byte("evil"))
	write(t, filepath.Join(src, "libother.so"), other)
	a := inference.Allowed{Given: sha(lib), Manifest: &bundle.Manifest{Artifacts: []bundle.Artifact{{Path: "artifacts/p", Role: bundle.RoleRuntime, SHA384: sha(other)}}}}
	path, d, err := inference.CopyLibrary(context.Background(), filepath.Join(src, "libonnxruntime.so.1"), engines, a)
	if err != nil || d != sha(lib) {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 || entries[1].Name() != "libonnxruntime_providers_cuda.so" {
		t.Errorf("%v %v", entries, err)
	}
	write(t, path, []byte("changed"))
	if p, _, err := inference.FindLibrary(context.Background(), engines, a); err != nil || p != "" {
		t.Errorf("a changed copy was found: %q %v", p, err)
	}
	if _, _, err := inference.CopyLibrary(context.Background(), filepath.Join(src, "libonnxruntime.so.1"), engines, a); err != nil {
		t.Fatal(err)
	}
	p, d, err := inference.FindLibrary(context.Background(), engines, a)
	if err != nil || p != path || d != sha(lib) {
		t.Errorf("%q %v", p, err)
	}
	if p, _, err := inference.FindLibrary(context.Background(), engines, inference.Allowed{}); err != nil || p != "" {
		t.Errorf("found although nothing allows it: %q %v", p, err)
	}
	if p, _, err := inference.FindLibrary(context.Background(), filepath.Join(engines, "none"), a); err != nil || p != "" {
		t.Errorf("%q %v", p, err)
	}
}

// A library whose bytes are not those that were allowed is not loaded, even when it was a moment ago.
func TestLibraryIsHashedRightBeforeLoading(t *testing.T) {
	lib := filepath.Join(t.TempDir(), "libonnxruntime.so.1")
	write(t, lib, []byte("planted"))
	f := good(t)
	r := f.smoke(inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: lib, LibrarySHA384: sha([]byte("genuine"))})
	if r.Passed || r.Code != fault.EngineLibrary {
		t.Errorf("%+v", r)
	}
	r = f.smoke(inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: lib, LibrarySHA384: sha([]byte("planted"))})
	if r.Passed || r.Code != fault.EngineLoad {
		t.Errorf("%+v", r)
	}
	r = f.smoke(inference.EngineSpec{Kind: inference.KindONNXRuntime})
	if r.Passed || r.Code != fault.EngineNeeded {
		t.Errorf("%+v", r)
	}
}

func TestChoose(t *testing.T) {
	d := sha(nil)
	for _, c := range []struct {
		engine, provider, lib string
		kind                  string // "" is refused
	}{
		{"onnx", "cpu", "", "reference"}, {"onnx", "cpu", "/lib", "onnxruntime"}, {"onnx", "", "", "reference"},
		{"onnx", "cuda", "", ""}, {"onnx", "cuda", "/lib", "onnxruntime"},
		{"onnxruntime", "cpu", "", ""}, {"onnxruntime", "cpu", "/lib", "onnxruntime"},
		{"reference", "cpu", "/lib", "reference"}, {"reference", "cuda", "/lib", ""},
		{"onnx", "tensorrt", "/lib", ""}, {"torch", "cpu", "/lib", ""},
	} {
		s, err := inference.Choose(&bundle.Variant{ID: "v", Engine: c.engine, ExecutionProvider: c.provider}, c.lib, d)
		if c.kind == "" && fault.CodeOf(err) != fault.EngineNeeded || c.kind != "" && (err != nil || s.Kind != c.kind) {
			t.Errorf("%+v: %+v %v", c, s, err)
		}
		if s.Kind == "reference" && s.LibraryPath != "" {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}
