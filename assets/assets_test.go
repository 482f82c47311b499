package assets

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io/fs"
	"strings"
	"testing"
)

func TestDemoSpecNamesEveryFileOfTheDemo(t *testing.T) {
	spec, err := fs.ReadFile(Demo(), "bundle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	err = fs.WalkDir(Demo(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		size += i.Size()
		if path != "bundle.yaml" && path != "README.md" && !bytes.Contains(spec, []byte("artifacts/"+path)) {
			t.Errorf("bundle.yaml does not name %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 400<<10 {
		t.Errorf("the demo has %d bytes, want at most 400 KiB", size)
	}
}

func TestDemoSpecTakesAnotherVersion(t *testing.T) {
	first, err := fs.ReadFile(Demo(), "bundle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	second, err := DemoSpec("1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(string(first), "\nversion: 1.0.0\n", "\nversion: \"1.1.0\"\n", 1); string(second) != want {
		t.Error("more than the version has changed")
	}
}

func TestChecklistSpeaksBothLanguages(t *testing.T) {
	var items []struct {
		ID, Stage, Role, Evidence string
		Text                      map[string]string
	}
	d := json.NewDecoder(bytes.NewReader(Checklist()))
	d.DisallowUnknownFields()
	if err := d.Decode(&items); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, i := range items {
		if seen[i.ID] || i.ID == "" {
			t.Errorf("id %q is empty or stands twice", i.ID)
		}
		seen[i.ID] = true
		if i.Stage != "paper" && i.Stage != "live" || i.Role == "" || i.Text["en"] == "" || i.Text["pl"] == "" {
			t.Errorf("item %q is incomplete: %+v", i.ID, i)
		}
	}
}

func TestIcon(t *testing.T) {
	c, err := png.DecodeConfig(bytes.NewReader(Icon()))
	if err != nil {
		t.Fatal(err)
	}
	if c.Width != 512 || c.Height != 512 {
		t.Errorf("the icon has %d by %d pixels", c.Width, c.Height)
	}
	if !bytes.Contains(IconSVG(), []byte("#0F5FA6")) {
		t.Error("the drawing lacks the accent colour")
	}
}

func TestEnginesAndTextsAreThere(t *testing.T) {
	if !json.Valid(Engines()) {
		t.Error("engines.json is not JSON")
	}
	if _, err := fs.Stat(Texts(), "errors.pl.json"); err != nil {
		t.Error(err)
	}
}
