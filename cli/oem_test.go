package cli

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/assets"
	"sluice/bundle"
	"sluice/gate"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/verify"
)

// The guard tests of a release: BOT_CORE_REQUIRE_OEM_MODELS=1 go test -run OEM ./...
//
// They ask of what this release ships, and of its gate, what a bot relies on. With the variable set nothing here is
// skipped: models that are missing fail the release.

// oemModels are the files without which the packaged demo is not the demo.
var oemModels = []string{
	"bundle.yaml", "models/market-regime-fp32.onnx", "models/market-regime-int8.onnx", "models/volatility-trees.onnx",
	"metadata/features.json", "metadata/model-card.md", "reports/accuracy.json", "reports/drift.json", "reports/sanity-trading.json",
}

// oemPackaged writes the packaged models into a folder and fails (skips where models are not required) without them.
func oemPackaged(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.CopyFS(dir, assets.Demo()), oemMissing(dir)); err != nil {
		if gate.Required(os.Getenv(gate.EnvRequire)) {
			t.Fatalf("%s is set and the packaged models are missing: %v", gate.EnvRequire, err)
		}
		t.Skipf("the packaged models are missing (%v); with %s=1 this fails", err, gate.EnvRequire)
	}
	return dir
}

// oemMissing names what a folder lacks.
func oemMissing(dir string) error {
	var missing error
	for _, name := range oemModels {
		fi, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil && fi.Size() == 0 {
			err = errors.New(name + " is empty")
		}
		missing = errors.Join(missing, err)
	}
	return missing
}

// TestOEMModelsPresent: the models that this release packages are there, and a missing or empty one would be noticed.
func TestOEMModelsPresent(t *testing.T) {
	dir := oemPackaged(t)
	model := filepath.Join(dir, "models", "volatility-trees.onnx")
	if err := os.WriteFile(model, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if oemMissing(dir) == nil {
		t.Error("an empty model was not noticed")
	}
	oemRemove(t, model)
	if oemMissing(dir) == nil {
		t.Error("a missing model was not noticed")
	}
}

// TestOEMManifestAndSignatureValid: the packaged models become a bundle whose manifest holds and whose signature is
// judged as every bundle's: valid by the signer's key, refused by any other, over exactly these bytes.
func TestOEMManifestAndSignatureValid(t *testing.T) {
	src, ctx := oemPackaged(t), t.Context()
	raw, err := os.ReadFile(filepath.Join(src, "bundle.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		t.Fatal(err)
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	built, err := bundle.Build(ctx, spec, bundle.BuildOptions{SpecDir: src, Keys: []ed25519.PrivateKey{key}, Out: out,
		Now: time.Now(), Builder: "guard", CheckContract: inference.CheckContracts})
	if err != nil {
		t.Fatalf("the packaged models make no sound bundle: %v", err)
	}
	s, err := bundle.Open(ctx, built.Files[0], bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := bundle.ParseManifest(s.ManifestBytes())
	if err != nil {
		t.Fatalf("manifest: %v", err)
	}
	if err := s.Extract(ctx, m, bundle.ExtractOptions{Strict: true}); err != nil {
		t.Fatalf("digests: %v", err)
	}
	manifest, sig := filepath.Join(out, "manifest.json"), filepath.Join(out, "manifest.sig")
	if err := errors.Join(os.WriteFile(manifest, s.ManifestBytes(), 0o644), os.WriteFile(sig, s.SignatureBytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := verify.BundleSignature(manifest, sig, pub); err != nil {
		t.Fatalf("signature: %v", err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.BundleSignature(manifest, sig, other); err == nil {
		t.Error("another key's signature was taken")
	}
	tampered := append([]byte(nil), s.ManifestBytes()...)
	tampered[len(tampered)/2] ^= 1
	if err := os.WriteFile(manifest, tampered, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := verify.BundleSignature(manifest, sig, pub); err == nil {
		t.Error("a changed manifest was taken")
	}
}

// TestOEMGateFailsFast: with models required, the gate refuses at once when they are missing, unsigned or changed, with
// the error that a bot tells apart; and it opens for the genuine ones.
func TestOEMGateFailsFast(t *testing.T) {
	oemPackaged(t)
	site, err := siteUpTo("live")
	if err != nil {
		t.Fatal(err)
	}
	const folder = "ai_models/bundles/v1_0_0/"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, root string)
		want   error
	}{
		{"genuine", func(*testing.T, string) {}, nil},
		{"no root", func(t *testing.T, root string) { oemRemove(t, root) }, gate.ErrMissingBundle},
		{"missing", func(t *testing.T, root string) {
			for _, name := range []string{"ai_models/bundles", "ai_models/live.json", "ai_models/paper.json", "ai_models/demo.json"} {
				oemRemove(t, filepath.Join(root, name))
			}
		}, gate.ErrMissingBundle},
		{"unsigned", func(t *testing.T, root string) { oemRemove(t, filepath.Join(root, folder, "manifest.sig")) }, gate.ErrInvalidBundle},
		{"signature changed", func(t *testing.T, root string) { oemFlip(t, filepath.Join(root, folder, "manifest.sig")) }, gate.ErrInvalidBundle},
		{"manifest changed", func(t *testing.T, root string) { oemFlip(t, filepath.Join(root, folder, "manifest.json")) }, gate.ErrInvalidBundle},
		{"model changed", func(t *testing.T, root string) {
			oemFlip(t, filepath.Join(root, folder, "artifacts/models/volatility-trees.onnx"))
		}, gate.ErrInvalidBundle},
		{"model missing", func(t *testing.T, root string) {
			oemRemove(t, filepath.Join(root, folder, "artifacts/models/volatility-trees.onnx"))
		}, gate.ErrInvalidBundle},
		{"no trust root", func(t *testing.T, root string) { oemRemove(t, filepath.Join(root, "ai_models/keys/oem")) }, gate.ErrInvalidSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			if err := copyTree(root, filepath.Join(site, "root")); err != nil {
				t.Fatal(err)
			}
			c.damage(t, root)
			env := func(name string) string {
				if name == gate.EnvRequire {
					return "1"
				}
				return ""
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			models, err := gate.Open(ctx, root, gate.Options{Stage: slot.Live, Env: env})
			if models != nil {
				defer models.Close()
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("the gate took %s to answer", took)
			}
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if models != nil {
				t.Error("models came with a refusal")
			}
		})
	}
}

func oemRemove(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func oemFlip(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, raw, 0o600)); err != nil {
		t.Fatal(err)
	}
}
