package installer_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sluice/installer"
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
