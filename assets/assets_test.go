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

// What stands in engines.json and checklist.json is tested where it is used.
func TestTheOtherFilesAreThere(t *testing.T) {
	for name, b := range map[string][]byte{"engines.json": Engines(), "checklist.json": Checklist()} {
		if !json.Valid(b) {
			t.Errorf("%s is not JSON", name)
		}
	}
	if _, err := fs.Stat(Texts(), "errors.pl.json"); err != nil {
		t.Error(err)
	}
}
