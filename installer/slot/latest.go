package slot

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"sluice/internal/fault"
	"sluice/internal/fsx"
)

const latestLink = BundlesDir + "/" + LatestName

// Latest is the folder that the link names, empty when there is no link. No code of ours follows it.
func (d *Dir) Latest() string {
	target, err := d.root.Readlink(latestLink)
	if err != nil {
		return ""
	}
	return BundlesDir + "/" + path.Base(target)
}

// PointLatest makes the link name a version folder; an empty one removes it. A file or folder of that name that is no
// link is left alone (E-PATH). The caller holds the lock.
func (d *Dir) PointLatest(folder string) error {
	fi, err := d.root.Lstat(latestLink)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if folder == "" {
			return nil
		}
	case err != nil:
		return fsx.Classify(err, "looking at", latestLink)
	case fi.Mode()&(fs.ModeSymlink|fs.ModeIrregular) == 0:
		return fault.New(fault.Path, "%q is not a link", latestLink).With("path", latestLink)
	}
	if folder == "" {
		return fsx.Classify(d.root.Remove(latestLink), "removing", latestLink)
	}
	if d.Latest() == folder {
		return nil
	}
	if err := d.placeLink(path.Base(folder)); err != nil {
		return err
	}
	return fsx.SyncDir(d.root, BundlesDir)
}

// swapLink replaces the link by rename: readers see the old target or the new one.
func (d *Dir) swapLink(target string) error {
	temp := BundlesDir + "/.latest.tmp"
	if err := d.root.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fsx.Classify(err, "removing", temp)
	}
	if err := d.root.Symlink(target, temp); err != nil {
		return fsx.Classify(err, "linking", temp)
	}
	return fsx.Classify(d.root.Rename(temp, latestLink), "renaming to", latestLink)
}
