// Command generate trains the demo model and writes its files: models, golden cases, reports and bundle.yaml.
//
//	go run ./internal/demomodel/generate -out assets/demo
//	go run ./internal/demomodel/generate -data prices.bin   the data set whose SHA-384 stands in bundle.yaml
//
// The output folder is emptied first; it must be empty, absent, or hold what this command wrote before.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"sluice/internal/demomodel"
)

func main() {
	out := flag.String("out", "", "folder for the demo model's files")
	data := flag.String("data", "", "file for the raw data set")
	flag.Parse()
	if err := run(*out, *data); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(out, data string) error {
	if out == "" && data == "" {
		return fmt.Errorf("nothing to do: want -out or -data")
	}
	if data != "" {
		if err := os.WriteFile(data, demomodel.NewData(demomodel.Seed).Bytes(), 0o644); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	files, err := demomodel.NewDemo(demomodel.Seed).Files()
	if err != nil {
		return err
	}
	if err := clean(out); err != nil {
		return err
	}
	for name, b := range files {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// clean empties the demo's folder; a folder that is something else it refuses.
func clean(out string) error {
	entries, err := os.ReadDir(out)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	spec, err := os.ReadFile(filepath.Join(out, "bundle.yaml"))
	if err != nil || !bytes.HasPrefix(spec, []byte(demomodel.SpecHead)) {
		return fmt.Errorf("folder %q is neither empty nor the demo model's", out)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(out, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
