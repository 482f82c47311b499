//go:build unix

package installer_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sluice/bundle"
	"sluice/installer"
	"sluice/internal/testroot"
)

// What somebody planted among the leftovers of a copy neither stops the next run, nor becomes a part of what is
// installed, nor leads a write to another place.
func TestHostileLeftovers(t *testing.T) {
	t.Parallel()
	replace := func(p string, with func(p string) error) error {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
		return with(p)
	}
	folder := func(p string) error { return os.MkdirAll(filepath.Join(p, "sub"), 0o755) }
	for name, plant := range map[string]func(partial, victim string) error{
		"a second name of a file elsewhere": func(d, victim string) error {
			return replace(filepath.Join(d, "artifacts/bulk.bin"), func(p string) error { return os.Link(victim, p) })
		},
		"a link to a file elsewhere": func(d, victim string) error {
			return replace(filepath.Join(d, "artifacts/bulk.bin"), func(p string) error { return os.Symlink(victim, p) })
		},
		"a link to a folder elsewhere": func(d, victim string) error {
			return replace(filepath.Join(d, "artifacts"), func(p string) error { return os.Symlink(filepath.Dir(victim), p) })
		},
		"a folder where a file belongs": func(d, _ string) error { return replace(filepath.Join(d, "artifacts/bulk.bin"), folder) },
		"a pipe where a file belongs": func(d, _ string) error {
			return replace(filepath.Join(d, "artifacts/bulk.bin"), func(p string) error { return syscall.Mkfifo(p, 0o644) })
		},
		"a folder too many": func(d, _ string) error { return folder(filepath.Join(d, "artifacts", "more")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := testroot.New(t)
			victim := filepath.Join(s.Dir, "elsewhere", "victim") // on the same file system, or it has no second name
			if err := os.Mkdir(filepath.Dir(victim), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(victim, []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			path := s.Bundle(testroot.BundleOptions{})
			stageOnly(t, s, path)
			partials, err := filepath.Glob(s.Path(".staging/*.partial"))
			if err != nil || len(partials) != 1 {
				t.Fatalf("leftovers %q: %v", partials, err)
			}
			if err := plant(partials[0], victim); err != nil {
				t.Fatal(err)
			}
			tested := s.Install(path)
			if _, err := s.In.VerifyInstalled(t.Context(), s.Path(tested.Record().Folder)); err != nil {
				t.Error(err)
			}
			if raw, err := os.ReadFile(victim); err != nil || string(raw) != "mine" {
				t.Errorf("the file elsewhere holds %q: %v", raw, err)
			}
			if left, err := os.ReadDir(filepath.Dir(victim)); err != nil || len(left) != 1 {
				t.Errorf("written elsewhere: %v, %v", left, err)
			}
		})
	}
}

// stageOnly copies a bundle below the root and goes no further.
func stageOnly(t *testing.T, s *testroot.Site, path string) {
	t.Helper()
	src, err := s.In.Open(t.Context(), path, bundle.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	auth, err := s.In.Authenticate(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	fitted, err := s.In.Fit(t.Context(), auth, installer.FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.In.Stage(t.Context(), fitted); err != nil {
		t.Fatal(err)
	}
}
