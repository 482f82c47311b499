package verify

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/progress"
)

func TestFolder(t *testing.T) {
	a := authentic(t)
	for _, variant := range []string{"fp32", "int8"} {
		var events []progress.Event
		dir := installed(t, a, variant)
		if err := Folder(context.Background(), dir, a, variant, func(e progress.Event) { events = append(events, e) }); err != nil {
			t.Fatal(err)
		}
		last := events[len(events)-1]
		if !last.Final || last.Done != last.Total || last.Total == 0 {
			t.Errorf("%s: last event %+v", variant, last)
		}
		for _, e := range events[:len(events)-1] {
			if e.Final {
				t.Errorf("%s: final twice", variant)
			}
		}
	}
	wantCode(t, Folder(context.Background(), installed(t, a, "fp32"), a, "cuda", nil), fault.VariantUnknown, "cuda")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantCode(t, Folder(ctx, installed(t, a, "fp32"), a, "fp32", nil), fault.Cancelled, "")
	wantCode(t, Folder(context.Background(), filepath.Join(t.TempDir(), "absent"), a, "fp32", nil), fault.InstalledChanged, "not there")
}

// Threat 22, the folder of an installed version: whatever is edited by hand is found and named.
func TestThreat22InstalledFolderEdited(t *testing.T) {
	a := authentic(t)
	model := "artifacts/model.onnx"
	write := func(dir, name string, data []byte) error {
		return os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o644)
	}
	for name, c := range map[string]struct {
		change func(dir string) error
		path   string
		reason string
	}{
		"byte": {func(d string) error {
			data := bytes.Clone(files()[model])
			data[bundle.MinChunkSize+7] ^= 1
			return write(d, model, data)
		}, model, "content"},
		"shorter":        {func(d string) error { return write(d, model, files()[model][1:]) }, model, "size"},
		"longer":         {func(d string) error { return write(d, model, append(files()[model], 0)) }, model, "size"},
		"empty grown":    {func(d string) error { return write(d, "artifacts/empty.txt", []byte("x")) }, "artifacts/empty.txt", "size"},
		"missing":        {func(d string) error { return os.Remove(filepath.Join(d, model)) }, model, "missing"},
		"golden missing": {func(d string) error { return os.Remove(filepath.Join(d, "artifacts/golden/in.pb")) }, "artifacts/golden/in.pb", "missing"},
		"report edited":  {func(d string) error { return write(d, "artifacts/reports/drift.md", []byte("# DRIFT")) }, "artifacts/reports/drift.md", "content"},
		"extra file":     {func(d string) error { return write(d, "artifacts/plugin.so", nil) }, "artifacts/plugin.so", "extra"},
		"extra at top":   {func(d string) error { return write(d, "onnxruntime.dll", nil) }, "onnxruntime.dll", "extra"},
		"extra folder":   {func(d string) error { return os.Mkdir(filepath.Join(d, "empty"), 0o755) }, "empty", "extra"},
		"other variant": {func(d string) error {
			return errors.Join(os.Mkdir(filepath.Join(d, "artifacts/int8"), 0o755), write(d, "artifacts/int8/model.onnx", files()["artifacts/int8/model.onnx"]))
		}, "artifacts/int8", "extra"},
		"manifest":     {func(d string) error { return write(d, "manifest.json", append(a.ManifestBytes(), ' ')) }, "manifest.json", "manifest"},
		"signature":    {func(d string) error { return write(d, "manifest.sig", []byte("{}")) }, "manifest.sig", "manifest"},
		"no installed": {func(d string) error { return os.Remove(filepath.Join(d, "installed.json")) }, "installed.json", "missing"},
		"folder as file": {func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, model)), os.Mkdir(filepath.Join(d, model), 0o755))
		}, model, "extra"},
	} {
		dir := installed(t, a, "fp32")
		if err := c.change(dir); err != nil {
			t.Fatal(err)
		}
		err := Folder(context.Background(), dir, a, "fp32", nil)
		t.Run(name, func(t *testing.T) {
			wantCode(t, err, fault.InstalledChanged, "")
			if d := fault.DetailOf(err); d["path"] != c.path || d["reason"] != c.reason {
				t.Errorf("detail %v, want %s %s", d, c.path, c.reason)
			}
			if c.reason == "content" && name == "byte" {
				if d := fault.DetailOf(err); d["offset"] != int64(bundle.MinChunkSize) || d["length"] != int64(bundle.MinChunkSize) {
					t.Errorf("byte range %v + %v", d["offset"], d["length"])
				}
			}
		})
	}
}

// Threat 10 and 22: a link to the right bytes is not the file.
func TestThreat22LinkInsteadOfFile(t *testing.T) {
	a := authentic(t)
	for _, name := range []string{"artifacts/model.onnx", "manifest.json", "installed.json", "artifacts/golden"} {
		dir := installed(t, a, "fp32")
		path := filepath.Join(dir, name)
		away := filepath.Join(t.TempDir(), "moved")
		if err := os.Rename(path, away); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(away, path); err != nil {
			t.Skip("no symbolic links here")
		}
		if err := Folder(context.Background(), dir, a, "fp32", nil); fault.CodeOf(err) != fault.InstalledChanged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No byte of an installed version can change unnoticed, installed.json apart, which is not judged here.
func TestThreat22AnyByteFlipped(t *testing.T) {
	a := authentic(t)
	dir := installed(t, a, "int8")
	paths, err := a.Manifest().VariantPaths("int8")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{ManifestName, signatureName}, paths...) {
		full := filepath.Join(dir, filepath.FromSlash(name))
		good, err := os.ReadFile(full)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(good); i += 1 + len(good)/50 {
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			if err := os.WriteFile(full, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := Folder(context.Background(), dir, a, "int8", nil); fault.CodeOf(err) != fault.InstalledChanged {
				t.Fatalf("%s, byte %d: %v", name, i, err)
			}
		}
		if err := os.WriteFile(full, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
