package testbundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/internal/fault"
)

// check is verification in its order: container, index, signature, manifest, every byte.
func check(w Written) error {
	ctx := context.Background()
	src, err := bundle.Open(ctx, w.Path, bundle.OpenOptions{})
	if err != nil {
		return err
	}
	defer src.Close()
	keys := []bundle.PublicKey{w.Public}
	if raw := src.VolumeIndex(); raw != nil {
		env, err := bundle.ParseEnvelope(raw)
		if err != nil {
			return err
		}
		s, _, err := env.Verify(bundle.TypeVolumes, keys, 1)
		if err != nil {
			return err
		}
		p, err := bundle.VolumesOf(s)
		if err != nil {
			return err
		}
		if err := src.CheckIndex(p); err != nil {
			return err
		}
	}
	env, err := bundle.ParseEnvelope(src.SignatureBytes())
	if err != nil {
		return err
	}
	s, _, err := env.Verify(bundle.TypeManifest, keys, 1)
	if err != nil {
		return err
	}
	if err := s.CheckSubject("manifest.json", src.ManifestBytes()); err != nil {
		return err
	}
	m, err := bundle.ParseManifest(src.ManifestBytes())
	if err != nil {
		return err
	}
	return src.Extract(ctx, m, bundle.ExtractOptions{})
}

func TestGoodBundles(t *testing.T) {
	for _, kind := range []bundle.Kind{bundle.KindIndexed, bundle.KindStream, bundle.KindVolumes} {
		path, pub, key := Small(t, Options{Kind: kind})
		if err := check(Written{Path: path, Public: pub, Key: key}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestHostileBundles(t *testing.T) {
	seen := map[string]bool{}
	for _, h := range Hostiles() {
		if seen[h.Name] {
			t.Errorf("two bundles %q", h.Name)
		}
		seen[h.Name] = true
		t.Run(h.Name, func(t *testing.T) {
			w, err := Write(t.TempDir(), h.Name)
			if err != nil {
				t.Fatal(err)
			}
			if err := check(w); fault.CodeOf(err) != h.Code {
				t.Errorf("threat %d: got %s: %v; want %s", h.Threat, fault.CodeOf(err), err, h.Code)
			} else {
				t.Log(err)
			}
		})
	}
}

func TestWriteUnknown(t *testing.T) {
	if _, err := Write(t.TempDir(), "nothing"); err == nil {
		t.Error("an unknown name was written")
	}
}

// TestGNUToolsMakeABundle packs the good bundle's files with GNU tar and zstd alone.
func TestGNUToolsMakeABundle(t *testing.T) {
	for _, name := range []string{"tar", "zstd"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	dir := t.TempDir()
	w, err := Good(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "gnu.tar.zst")
	for _, args := range [][]string{{"tar", "--zstd", "-xf", w.Path}, {"tar", "--zstd", "-cf", out, "manifest.json", "manifest.sig", "artifacts"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, msg)
		}
	}
	w.Path = out
	if err := check(w); err != nil {
		t.Error(err)
	}
}

// safeArchives lie beside the checkout; the tars are other people's and not copied here.
const safeArchives = "../../../shared/corpora/safearchive"

// TestSafeArchives wraps each hostile entry of google/safearchive's tars into a signed bundle; each must be refused for what it is.
func TestSafeArchives(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(safeArchives, "*.tar"))
	if err != nil || len(paths) == 0 {
		t.Skipf("no archives in %s", safeArchives)
	}
	want := map[string]string{
		"case-insensitive.tar":          "symbolic link",
		"specialfiles.tar":              "fifo",
		"specialmodes.tar":              "set-uid",
		"traverse-slash-at-the-end.tar": "empty part",
		"traverse-via-links.tar":        "symbolic link",
		"traverse.tar":                  "absolute",
		"winshort.tar":                  "short name",
		"xattr.tar":                     "xattr",
	}
	for _, path := range paths {
		name := filepath.Base(path)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		words, ok := want[name]
		if !ok {
			t.Errorf("%s: no reason known", name)
		}
		w := wrap(t, raw)
		err = check(w)
		if c := fault.CodeOf(err); c != fault.Entry && c != fault.Path || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want %q", name, err, words)
		}
		// As they are they are refused too.
		p, err := newPlan(Options{})
		if err != nil {
			t.Fatal(err)
		}
		whole := p.archive()
		w = p.written(t.TempDir())
		if err := os.WriteFile(w.Path, oneFrame(append(whole[:len(whole)-1024], raw...)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := check(w); fault.CodeOf(err).Exit() != 3 {
			t.Errorf("%s as it is: %v", name, err)
		}
	}
}

// wrap makes a bundle of an archive without its harmless entries: those would be refused for not being listed.
func wrap(t *testing.T, raw []byte) Written {
	t.Helper()
	p, err := newPlan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	body := p.archive()
	body = body[:len(body)-1024]
	r := bytes.NewReader(raw)
	tr := tar.NewReader(r)
	for start := int64(0); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, tr); err != nil {
			t.Fatal(err)
		}
		end := r.Size() - int64(r.Len())
		end += -end & 511
		harmless := h.Typeflag == tar.TypeReg && h.Mode&0o7000 == 0 && len(h.PAXRecords) == 0 && bundle.ValidPath(h.Name) == nil
		if !harmless {
			body = append(body, raw[start:end]...)
		}
		start = end
	}
	w := p.written(t.TempDir())
	if err := os.WriteFile(w.Path, oneFrame(append(body, make([]byte, 1024)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}
