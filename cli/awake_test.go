package cli

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestInstallKeepsTheComputerAwake: while install works the computer is kept awake, afterwards no longer; other verbs do not.
func TestInstallKeepsTheComputerAwake(t *testing.T) {
	for args, want := range map[string]int{"install": 1, "verify": 0} {
		took, gave := 0, 0
		env := Env{Args: []string{args, filepath.Join(t.TempDir(), "none.tar.zst"), "--root", t.TempDir(), "--lang", "en"}, Stdin: os.Stdin, Stdout: io.Discard, Stderr: io.Discard,
			Getenv: func(string) string { return "" }, Now: time.Now, Rand: rand.Reader, Awake: func(why string) (func(), bool) {
				if took++; why != "A bundle of models is being installed" {
					t.Errorf("the system is told %q", why)
				}
				return func() { gave++ }, true
			}}
		if Run(t.Context(), env) == 0 {
			t.Errorf("%s of nothing succeeds", args)
		}
		if took != want || gave != want {
			t.Errorf("%s: %d times held, %d times released, want %d", args, took, gave, want)
		}
	}
}
