package gatetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/assets"
	"sluice/bundle"
	"sluice/inference"
)

// told records how a guard ended: testing.TB cannot be implemented, so it is embedded.
type told struct {
	testing.TB
	failed, skipped string
}

func (g *told) Helper() {}
func (g *told) Fatalf(format string, args ...any) {
	g.failed = format
	runtime.Goexit()
}
func (g *told) Skipf(format string, args ...any) {
	g.skipped = format
	runtime.Goexit()
}

func run(t *testing.T, o Options, required string) *told {
	g := &told{TB: t}
	o.Env = func(string) string { return required }
	done := make(chan struct{})
	go func() {
		defer close(done)
		RequireModels(g, o)
	}()
	<-done
	return g
}

func TestRequireModels(t *testing.T) {
	repo := t.TempDir()
	src, latest := filepath.Join(repo, "models"), filepath.Join(repo, "latest")
	if err := os.CopyFS(src, assets.Demo()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(src, "bundle.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		t.Fatal(err)
	}
	pub, key, err := bundle.GenerateKey(rand.Reader, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	private, err := bundle.ParsePrivateKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(repo, "oem_model_signing.pub")
	if err := os.WriteFile(keyFile, pub, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(latest, 0o755); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: latest, PublicKey: keyFile}

	for value, fails := range map[string]bool{"": false, "0": false, "off": false, "1": true, "true": true} {
		if g := run(t, o, value); (g.failed != "") != fails || (g.skipped != "") == fails {
			t.Errorf("no models, required %q: failed %q, skipped %q", value, g.failed, g.skipped)
		}
	}
	if g := run(t, Options{Dir: filepath.Join(repo, "nowhere"), PublicKey: keyFile}, "1"); !strings.HasPrefix(g.failed, "MissingOEMBundle") {
		t.Errorf("no folder: %+v", g)
	}

	built, err := bundle.Build(t.Context(), spec, bundle.BuildOptions{SpecDir: src, Keys: []ed25519.PrivateKey{private}, Out: latest,
		Now: time.Now(), Builder: "guard", CheckContract: inference.CheckContracts})
	if err != nil {
		t.Fatal(err)
	}
	if g := run(t, o, "1"); g.failed != "" || g.skipped != "" {
		t.Fatalf("sound models: failed %q, skipped %q", g.failed, g.skipped)
	}

	whole, err := os.ReadFile(built.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{"manifest": 40, "model": len(whole) / 2, "table": len(whole) - 5} {
		bad := append([]byte(nil), whole...)
		bad[at] ^= 1
		if err := os.WriteFile(built.Files[0], bad, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, required := range []string{"", "1"} {
			if g := run(t, o, required); !strings.HasPrefix(g.failed, "InvalidOEMBundle") {
				t.Errorf("changed %s, required %q: %+v", name, required, g)
			}
		}
	}
	if err := os.WriteFile(built.Files[0], whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(latest, "second.tar.zst"), whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if g := run(t, o, "1"); !strings.HasPrefix(g.failed, "InvalidOEMBundle") {
		t.Errorf("two bundles: %+v", g)
	}
	if err := os.Remove(filepath.Join(latest, "second.tar.zst")); err != nil {
		t.Fatal(err)
	}
	other, _, err := bundle.GenerateKey(rand.Reader, "other", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, other, 0o644); err != nil {
		t.Fatal(err)
	}
	if g := run(t, o, ""); !strings.HasPrefix(g.failed, "InvalidOEMBundle") {
		t.Errorf("another key: %+v", g)
	}
}
