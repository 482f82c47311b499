package slot

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// placeLink makes a symbolic link where the account may, else a junction. A junction cannot be replaced atomically: for
// a moment there is no link, which is why nothing of ours depends on it.
func (d *Dir) placeLink(target string) error {
	if err := d.swapLink(target); err == nil {
		return nil
	}
	if err := d.root.Remove(latestLink); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fsx.Classify(err, "removing", latestLink)
	}
	shell := filepath.Join(os.Getenv("SystemRoot"), "System32", "cmd.exe")
	cmd := exec.Command(shell, "/d", "/c", "mklink", "/J", d.Abs(latestLink), d.Abs(BundlesDir+"/"+target))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault.New(fault.IO, "making junction %q: %w: %s", latestLink, err, out).With("path", latestLink)
	}
	return nil
}
