// Package assets holds what is embedded in the program: icon, words in both languages, the built-in checklist, the
// demo model's files and the digests of known engine builds. It decides nothing and imports nothing of ours.
package assets

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
)

//go:generate go run icon_draw.go
//go:generate go run ../internal/demomodel/generate -out demo

//go:embed demo
var demo embed.FS

//go:embed checklist.json engines.json icon.png icon.svg
var single embed.FS

// Demo is the folder of the demo model: bundle.yaml and every file that it names. docs/demo-model.md describes it.
func Demo() fs.FS { return sub(demo, "demo") }

// demoVersion is the line of the demo's bundle.yaml that DemoSpec changes.
const demoVersion = "\nversion: 1.0.0\n"

// DemoSpec is the demo's bundle.yaml with another version, so that an update and a rollback can be shown with the same
// model files. The version is written as given; the builder of the bundle checks it.
func DemoSpec(version string) ([]byte, error) {
	raw := file(demo, "demo/bundle.yaml")
	if n := bytes.Count(raw, []byte(demoVersion)); n != 1 {
		return nil, fmt.Errorf("setting the demo's version: found %d version lines, want one", n)
	}
	return bytes.Replace(raw, []byte(demoVersion), fmt.Appendf(nil, "\nversion: %q\n", version), 1), nil
}

// Engines is engines.json: the digests of the official engine builds that may be loaded without being named.
func Engines() []byte { return file(single, "engines.json") }

// Checklist is the built-in checklist: a JSON array of compliance.Item.
func Checklist() []byte { return file(single, "checklist.json") }

// Icon is the program's icon, PNG, 512 by 512 pixels.
func Icon() []byte { return file(single, "icon.png") }

// IconSVG is the same icon as a drawing.
func IconSVG() []byte { return file(single, "icon.svg") }

// Texts is the folder of the program's words: errors and messages, one file a language.
func Texts() fs.FS { return sub(texts, "texts") }

// sub and file read what the compiler put there; a mistake in a name is found by the first test.
func sub(f embed.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		panic(err)
	}
	return s
}

func file(f embed.FS, name string) []byte {
	b, err := f.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return b
}
