// Package slot holds what lies below an installation's root: the names of its folders, the strict records of the stages
// demo, paper and live, the installed versions, the machine's identity and what the installation remembers between
// runs. It decides nothing about the order of the steps; package installer does, and package gate reads.
package slot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// Names below the root, separated by slashes on every system.
const (
	ModelsDir  = "ai_models"
	KeysDir    = "ai_models/keys"
	BundlesDir = "ai_models/bundles"
	PolicyFile = "ai_models/policy.json"
	// PoliciesDir keeps every policy that was ever taken, as N.json: sign-offs name the one they were made under.
	PoliciesDir = "ai_models/policies"
	// VendorKeyFile is the vendor's signing key for those who check bundles by themselves.
	VendorKeyFile = "ai_models/keys/oem_model_signing.pub"
	LatestName    = "latest"
	AuditDir      = "audit/decision_logs"
	ReportsDir    = "reports"
	BinDir        = "bin"
	EnginesDir    = "engines"
	MachineDir    = "machine"
	StagingDir    = ".staging"
	LockFile      = ".lock"
	ManifestFile  = "manifest.json"
	SigFile       = "manifest.sig"
	// InstalledFile lies in each version folder and says which variant it holds.
	InstalledFile = "installed.json"

	keyFile   = MachineDir + "/machine.key"
	pubFile   = MachineDir + "/machine.pub"
	stateFile = MachineDir + "/state.json"
)

// Limits of what is read from these files.
const (
	MaxRecord   = 32 << 20
	MaxPolicy   = 1 << 20
	MaxManifest = 8 << 20
	MaxSig      = 64 << 10
	MaxReport   = 4 << 20
	maxKey      = 16 << 10
)

// Stage is a rung of the ladder.
type Stage string

// The ladder. No rung can be skipped.
const (
	Demo  Stage = "demo"
	Paper Stage = "paper"
	Live  Stage = "live"
)

// Stages is the ladder from the lowest rung.
func Stages() []Stage { return []Stage{Demo, Paper, Live} }

// ParseStage reads the name of a stage.
func ParseStage(s string) (Stage, error) {
	if st := Stage(s); slices.Contains(Stages(), st) {
		return st, nil
	}
	return "", fault.New(fault.Usage, "stage %q, want demo, paper or live", s).With("stage", s)
}

// RecordFile is the name of the stage's record.
func (s Stage) RecordFile() string { return ModelsDir + "/" + string(s) + ".json" }

// Log is the name of the stage's decision log, without its suffix.
func (s Stage) Log() string {
	if s == Live {
		return "live_execution"
	}
	return string(s)
}

// Dir is an open root. All reads below it go through os.Root and follow no link.
type Dir struct {
	root *os.Root
	path string
}

// Open opens an existing root. E-BUNDLE-MISSING when there is none.
func Open(p string) (*Dir, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return nil, fault.New(fault.IO, "finding %q: %w", p, err)
	}
	r, err := os.OpenRoot(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.BundleMissing, "there is no installation in %q: %w", abs, err).With("root", abs)
	}
	if err != nil {
		return nil, fault.New(fault.IO, "opening root %q: %w", abs, err).With("root", abs)
	}
	return &Dir{root: r, path: abs}, nil
}

// Close gives the folder back.
func (d *Dir) Close() error { return d.root.Close() }

// Path is the root as an absolute path of this system.
func (d *Dir) Path() string { return d.path }

// Root gives access below the root.
func (d *Dir) Root() *os.Root { return d.root }

// Abs is the absolute path of a name below the root.
func (d *Dir) Abs(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// Exists says whether name is there; a link counts.
func (d *Dir) Exists(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}

// Read reads a regular file of at most limit bytes; the error wraps fs.ErrNotExist when there is none.
func (d *Dir) Read(name string, limit int64) ([]byte, error) {
	return fsx.ReadFile(d.root, name, limit)
}

// odd says of an error of reading that something else lies there than a file of this program: a link, a folder, a pipe, or
// far too many bytes. It is not the bundle's fault then, but somebody's on this machine.
func odd(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Path || code == fault.Limit
}

// edited is E-RECORD-EDITED for what is odd at a local record's place; other errors stay.
func edited(name string, err error) error {
	if !odd(err) {
		return err
	}
	return fault.New(fault.RecordEdited, "record %q: %w", name, err).With("path", name)
}

// Folder is the name of the version's folder for its first installed variant.
func Folder(version string) string { return BundlesDir + "/" + bundle.DiskVersion(version) }

// VariantFolder is the name of the folder for a further variant of the version.
func VariantFolder(version, variant string) string { return Folder(version) + "@" + variant }

// ValidFolder says whether a record may name this folder for that version and variant.
func ValidFolder(folder, version, variant string) bool {
	return folder == Folder(version) || folder == VariantFolder(version, variant)
}

// Sum is the SHA-384 of some bytes.
func Sum(data []byte) bundle.Digest { return bundle.Digest(sum384(data)) }

// ReportName makes the name of a file under reports/: kind, version and time (UTC), all safe for every system.
func ReportName(kind, version, stamp, suffix string) string {
	return path.Join(ReportsDir, strings.Join([]string{kind, version, stamp}, "-")+suffix)
}
