// Package testort finds the libraries of ONNX Runtime that tests run against. It loads none.
package testort

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// Environment variables that name a library, and the releases that scripts/fetch-ort.sh puts where they are looked for
// otherwise: Oldest is the first release that the binding promises to serve.
const (
	Variable    = "SLUICE_ORT_LIB"
	OldVariable = "SLUICE_ORT_LIB_OLD"
	Newest      = "1.30.0"
	Oldest      = "1.18.0"
)

// Library is the absolute path of the library to test with: that of SLUICE_ORT_LIB, else the newest release in .cache/ort.
// It skips the test where there is none.
func Library(t testing.TB) string {
	t.Helper()
	path := named(t, Variable, Newest)
	if path == "" {
		t.Skipf("no ONNX Runtime: %s is not set and .cache/ort has no %s (scripts/fetch-ort.sh)", Variable, Newest)
	}
	return path
}

// AlsoWithTheOldest runs the tests of this package that match run a second time, in a process of their own, with the oldest
// release: a process can load one library only. It skips where that release is not at hand.
func AlsoWithTheOldest(t *testing.T, run string) {
	t.Helper()
	old := named(t, OldVariable, Oldest)
	if old == "" {
		t.Skipf("no ONNX Runtime %s: %s is not set and .cache/ort lacks it (scripts/fetch-ort.sh %s)", Oldest, OldVariable, Oldest)
	}
	if os.Getenv(Variable) == old {
		t.Skip("this is the run with the oldest release")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.v", "-test.run="+run)
	cmd.Env = append(os.Environ(), Variable+"="+old)
	out, err := cmd.CombinedOutput()
	passed := strings.Count(string(out), "\n--- PASS:")
	t.Logf("%d tests passed with %s", passed, filepath.Base(filepath.Dir(filepath.Dir(old))))
	if err != nil || passed == 0 {
		t.Errorf("with ONNX Runtime %s: %v\n%s", Oldest, err, tail(out))
	}
}

// Saturates tells whether ONNX Runtime's kernels for 8-bit integers give other sums on this processor than the standard
// asks for: without VNNI an x86 adds products of an unsigned and a signed byte in pairs of 16 bits, which saturate.
func Saturates() bool {
	return runtime.GOARCH == "amd64" && !cpuid.CPU.Has(cpuid.AVX512VNNI) && !cpuid.CPU.Has(cpuid.AVXVNNI)
}

func tail(b []byte) []byte { return b[max(0, len(b)-8<<10):] }

func named(t testing.TB, variable, release string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		found, err := filepath.Glob(filepath.Join(root(t), ".cache", "ort", release, runtime.GOOS+"-"+runtime.GOARCH, "*onnxruntime*"))
		if err != nil || len(found) == 0 {
			return ""
		}
		path = slices.Max(found)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// root is the folder of go.mod.
func root(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the tests")
		}
		dir = up
	}
}
