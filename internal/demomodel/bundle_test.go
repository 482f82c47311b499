package demomodel

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"sluice/assets"
	"sluice/bundle"
)

// TestDemoBecomesABundle builds and signs the shipped files as the demo does, in two versions.
func TestDemoBecomesABundle(t *testing.T) {
	_, key, err := ed25519.GenerateKey(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		raw, err := assets.DemoSpec(version)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := bundle.ParseSpec(raw)
		if err != nil {
			t.Fatal(err)
		}
		res, err := bundle.Build(t.Context(), spec, bundle.BuildOptions{
			SpecDir: filepath.Join("..", "..", "assets", "demo"), Keys: []ed25519.PrivateKey{key}, Out: t.TempDir(),
			Now: time.Unix(1790000000, 0), Builder: "test",
		})
		if err != nil {
			t.Fatal(err)
		}
		m := res.Manifest
		if m.ModelFamily != "market-regime" || m.Version != version {
			t.Errorf("built %s %s, want market-regime %s", m.ModelFamily, m.Version, version)
		}
		if n := len(m.InferenceContract.Golden); n != 12 {
			t.Errorf("%d golden cases, want 12", n)
		}
		for id, model := range map[string]string{"cuda-fp32": fp32Model, "cpu-int8": int8Model, "cpu-fp32": fp32Model} {
			if got, err := m.ModelPath(id); err != nil || got != "artifacts/"+model {
				t.Errorf("variant %s runs %q (%v), want %q", id, got, err, model)
			}
		}
		t.Logf("%s: %d bytes in %d files", version, res.Size, len(m.Artifacts))
	}
}
