//go:build unix

package verify

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sluice/internal/fault"
)

// Threat 10 on a stick: a link or a pipe under the name of a list is refused before it is opened, wherever it leads.
func TestThreat10ListsThatAreNoFiles(t *testing.T) {
	s, one := quorumOfTwo(t)
	two := medium(t, map[string][]byte{"2.root.json": next(t, one, RootChange{}, "r1", "r2"), "revocations.json": list(t, Oem, 1, []string{"t9"}, nil, "r1", "r2")})
	for _, name := range []string{"2.root.json", "oem.2.root.json", "revocations.json", "oem.revocations.json"} {
		code := fault.TrustInvalid
		if filepath.Base(name)[:3] == "rev" || name == "oem.revocations.json" {
			code = fault.RevocationsInvalid
		}
		for what, make := range map[string]func(path string) error{
			"link to a good one": func(p string) error { return os.Symlink(filepath.Join(two, filepath.Base(name)), p) },
			"link to a device":   func(p string) error { return os.Symlink("/dev/zero", p) },
			"link to nothing":    func(p string) error { return os.Symlink("nothing", p) },
			"link to itself":     func(p string) error { return os.Symlink(name, p) },
			"pipe":               func(p string) error { return syscall.Mkfifo(p, 0o644) },
		} {
			dir := t.TempDir()
			if err := make(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			steps, err := take(t, s, dir)
			if len(steps) != 0 {
				t.Errorf("%s, %s: taken", name, what)
			}
			wantCode(t, err, code, "no regular file")
		}
	}
}

// A pipe or a file that is named as a folder of the medium is refused at once: nobody may ever write into that pipe.
func TestLookInNoFolder(t *testing.T) {
	s, _ := quorumOfTwo(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{pipe, "hostile_unix_test.go"} {
		_, err := s.Look([]string{dir})
		wantCode(t, err, fault.SourceMissing, "not a folder")
		_, err = OpenStore(dir)
		wantCode(t, err, fault.SourceMissing, "not a folder")
	}
}
