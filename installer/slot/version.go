package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sluice/bundle"
	"sluice/internal/fault"
)

// InstalledSchema is the format of installed.json.
const InstalledSchema = "sluice-installed/1"

// Installed is installed.json: which part of the bundle lies in a version folder. It holds no time, so that two
// installations of one variant are equal.
type Installed struct {
	Schema         string        `json:"schema"`
	Version        string        `json:"version"`
	Variant        string        `json:"variant"`
	ManifestSHA384 bundle.Digest `json:"manifest_sha384"`
	Files          []string      `json:"files"` // artifact paths, in manifest order
}

// NewInstalled describes a variant of an authentic manifest.
func NewInstalled(m *bundle.Manifest, digest bundle.Digest, variant string) (*Installed, error) {
	files, err := m.VariantPaths(variant)
	if err != nil {
		return nil, err
	}
	return &Installed{Schema: InstalledSchema, Version: m.Version, Variant: variant, ManifestSHA384: digest, Files: files}, nil
}

// Encode writes installed.json.
func (i *Installed) Encode() ([]byte, error) { return encode(i) }

// ParseInstalled reads installed.json strictly. E-INSTALLED-CHANGED for anything this program would not have written.
func ParseInstalled(raw []byte) (*Installed, error) {
	i := &Installed{}
	err := bundle.StrictUnmarshal(raw, i, MaxManifest)
	switch {
	case err != nil:
	case i.Schema != InstalledSchema:
		err = fmt.Errorf("schema %q, want %q", i.Schema, InstalledSchema)
	case i.Variant == "" || i.ManifestSHA384.IsZero():
		err = errors.New("no variant or no manifest digest")
	default:
		err = bundle.ValidVersion(i.Version)
	}
	if err == nil {
		err = bundle.CheckPaths(i.Files)
	}
	if err != nil {
		return nil, fault.New(fault.InstalledChanged, "reading %q: %w", InstalledFile, err).With("path", InstalledFile)
	}
	return i, nil
}

// Equal compares two descriptions.
func (i *Installed) Equal(o *Installed) bool {
	return i.Schema == o.Schema && i.Version == o.Version && i.Variant == o.Variant &&
		i.ManifestSHA384 == o.ManifestSHA384 && slices.Equal(i.Files, o.Files)
}

// Installed reads the description in a version folder.
func (d *Dir) Installed(folder string) (*Installed, error) {
	raw, err := d.Read(folder+"/"+InstalledFile, MaxManifest)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || odd(err) {
			err = fault.New(fault.InstalledChanged, "folder %q holds no %q: %w", folder, InstalledFile, err).With("path", folder)
		}
		return nil, err
	}
	return ParseInstalled(raw)
}

// Version is a version folder as its installed.json describes it; Problem says why it cannot be read.
type Version struct {
	Folder    string
	Installed *Installed // nil with a problem
	Problem   error
}

// Versions lists the version folders, newest version first. It verifies nothing.
func (d *Dir) Versions() ([]Version, error) {
	names, err := d.List(BundlesDir)
	if err != nil {
		return nil, err
	}
	var out []Version
	for _, e := range names {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), "v") {
			continue // latest is a link
		}
		v := Version{Folder: BundlesDir + "/" + e.Name()}
		i, err := d.Installed(v.Folder)
		if err == nil && !ValidFolder(v.Folder, i.Version, i.Variant) {
			err = fault.New(fault.InstalledChanged, "folder %q holds version %q, variant %q", v.Folder, i.Version, i.Variant)
		}
		v.Installed, v.Problem = i, err
		if err != nil {
			v.Installed = nil
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b Version) int {
		switch {
		case a.Installed == nil || b.Installed == nil:
			return strings.Compare(a.Folder, b.Folder)
		default:
			return bundle.CompareVersions(b.Installed.Version, a.Installed.Version)
		}
	})
	return out, nil
}

// List reads a folder's names in order; none when the folder is not there.
func (d *Dir) List(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.IO, "listing %q: %w", name, err).With("path", name)
	}
	return entries, nil
}

// FolderFor finds where a variant of a version lies or will lie: its own folder when installed, else the version's
// plain folder when that is free, else the variant's. there says that something lies in it already.
func (d *Dir) FolderFor(version, variant string) (folder string, there bool) {
	plain, own := Folder(version), VariantFolder(version, variant)
	if d.Exists(own) {
		return own, true
	}
	if !d.Exists(plain) {
		return plain, false
	}
	if i, err := d.Installed(plain); err != nil || i.Variant == variant {
		return plain, true // unreadable: whoever verifies it says so
	}
	return own, false
}
