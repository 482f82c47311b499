package installer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

// A disk that cannot hold the variant is refused before the first byte is copied, with the space needed and the space
// there; other bundles' leftovers make room first.
func TestSmallDisk(t *testing.T) {
	s := testroot.Empty(t)
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=96m"); err != nil {
		t.Skipf("no small disk here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
	s.Config.Root = filepath.Join(disk, "root")
	s.Restart()
	s.Trust(verify.Oem, s.Vendor)
	_, _, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{Bulk: 80 << 20}), installer.InstallOptions{})
	wantCode(t, err, fault.Space)
	d := fault.DetailOf(err)
	needed, _ := d["need"].(int64)
	available, ok := d["free"].(int64)
	if needed < 80<<20 || available > 96<<20 || !ok {
		t.Errorf("detail %v: %v", d, err)
	}
	if entries, err := os.ReadDir(s.Path(".staging")); err != nil || len(entries) != 0 {
		t.Errorf("staged %v: %v", entries, err)
	}
	left := s.Path(".staging/0123.partial")
	if err := os.WriteFile(left, make([]byte, 60<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0", Bulk: 8 << 20}))
	if _, err := os.Stat(left); err == nil {
		t.Error("the leftover is still there though its space was needed")
	}
}

// Live stops on a disk that takes no byte more, and on one that takes no file more either.
func TestStopOnFullDisk(t *testing.T) {
	for name, inodes := range map[string]bool{"no byte": false, "no file": true} {
		t.Run(name, func(t *testing.T) {
			s := testroot.Live(t)
			disk := filepath.Join(t.TempDir(), "disk")
			if err := os.Mkdir(disk, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=96m,nr_inodes=1000"); err != nil {
				t.Skipf("no small disk here: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
			root := filepath.Join(disk, "root")
			if err := os.CopyFS(root, os.DirFS(s.Root())); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(root, "machine/machine.key"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.Config.Root = root
			s.Restart()
			fill, err := os.Create(filepath.Join(disk, "fill"))
			if err != nil {
				t.Fatal(err)
			}
			for block := make([]byte, 4096); err == nil; {
				_, err = fill.Write(block)
			}
			if cerr := fill.Close(); cerr != nil {
				t.Fatal(cerr)
			}
			for n := 0; inodes; n++ {
				if err := os.WriteFile(filepath.Join(disk, fmt.Sprint(n)), nil, 0o644); err != nil {
					break
				}
			}
			if err := s.In.Disable(t.Context(), "anna", "disk is full"); err != nil {
				t.Fatal(err)
			}
			if isOn(t, s) {
				t.Error("live is on")
			}
			entries, err := os.ReadDir(disk)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Name() != "root" {
					_ = os.Remove(filepath.Join(disk, e.Name()))
				}
			}
			if err := s.In.LogAppend(t.Context(), slot.Demo, "jan", "there is room again", nil); err != nil {
				t.Fatal(err)
			}
			if stop, live := stopOf(t, s); stop != nil || live.Enabled || live.Version != "1.0.0" {
				t.Errorf("stop %+v, live %+v", stop, live)
			}
			s.Enable()
		})
	}
}
