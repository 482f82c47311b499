package installer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/mod/semver"

	"sluice/bundle"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// eventProgram is the event of replacing the installed copy of the program; its marks carry these.
const (
	eventProgram       = "program"
	infoProgramVersion = "program_version"
	infoProgramBuilt   = "program_built"
)

// ProgramInfo is one copy of this program.
type ProgramInfo struct {
	Path    string        `json:"path"`
	Version string        `json:"version"`         // empty: unknown
	Built   string        `json:"built,omitempty"` // RFC 3339, UTC: date of its source
	SHA384  bundle.Digest `json:"sha384"`
}

// How the running program stands to the installed copy.
const (
	ProgramSame  = "same"  // byte for byte
	ProgramOlder = "older" // the running one is older
	ProgramNewer = "newer" // the running one is newer
	ProgramOther = "other" // another one, and which is newer is not known
	ProgramNone  = "none"  // none is installed
)

// Programs are the running program and the copy below the root.
type Programs struct {
	Running   ProgramInfo  `json:"running"`
	Installed *ProgramInfo `json:"installed,omitempty"`
	Relation  string       `json:"relation"`
}

// Programs reads both programs whole. What an installed copy says of itself is not asked: the log says which version was put there.
// Error: E-RECORD-EDITED beside the answer when the copy is not the one that the log put there; E-IO.
func (in *Installer) Programs(ctx context.Context) (*Programs, error) {
	out, err := in.running(ctx)
	if err != nil {
		return nil, err
	}
	v, err := in.look()
	if fault.CodeOf(err) == fault.BundleMissing {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer v.close()
	return out, in.installedProgram(ctx, v.dir, v.ledger, out)
}

// running describes the program that runs.
func (in *Installer) running(ctx context.Context) (*Programs, error) {
	out := &Programs{Running: ProgramInfo{Path: in.c.Program, Version: in.c.Version}, Relation: ProgramNone}
	if !in.c.Built.IsZero() {
		out.Running.Built = in.c.Built.UTC().Format(time.RFC3339)
	}
	if in.c.Program == "" {
		return out, nil
	}
	var err error
	out.Running.SHA384, err = in.sums.of(ctx, in.c.Program)
	return out, err
}

// installedProgram adds the copy below the root.
func (in *Installer) installedProgram(ctx context.Context, dir *slot.Dir, l *slot.Ledger, out *Programs) error {
	name := slot.BinDir + "/" + programName
	have := slot.Absent
	fi, err := dir.Root().Lstat(name)
	if err == nil && fi.Mode().IsRegular() {
		digest, err := in.sums.of(ctx, dir.Abs(name))
		if err != nil {
			return err
		}
		have = digest.String()
		out.Installed = &ProgramInfo{Path: dir.Abs(name), SHA384: digest}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fsx.Classify(err, "looking at", name)
	}
	want := have
	for _, m := range l.Done(eventProgram) {
		want = m.Becomes
		if out.Installed != nil && m.Becomes == have {
			out.Installed.Version, out.Installed.Built = m.Info[infoProgramVersion], m.Info[infoProgramBuilt]
		}
	}
	if out.Installed != nil {
		out.Relation = out.Running.compare(out.Installed)
	}
	if want != have {
		return fault.New(fault.RecordEdited, "the program %q is not the one that was put there", name).With("path", dir.Abs(name)).
			With("want", want).With("have", have)
	}
	return nil
}

// compare says how p stands to the installed copy: by the date of the source, else by the version.
func (p *ProgramInfo) compare(installed *ProgramInfo) string {
	if p.SHA384 == installed.SHA384 {
		return ProgramSame
	}
	order := 0
	a, aerr := time.Parse(time.RFC3339, p.Built)
	b, berr := time.Parse(time.RFC3339, installed.Built)
	if aerr == nil && berr == nil {
		order = a.Compare(b)
	} else if x, y := semverOf(p.Version), semverOf(installed.Version); semver.IsValid(x) && semver.IsValid(y) {
		order = semver.Compare(x, y)
	}
	switch {
	case order < 0:
		return ProgramOlder
	case order > 0:
		return ProgramNewer
	}
	return ProgramOther
}

func semverOf(version string) string {
	if version != "" && version[0] != 'v' {
		return "v" + version
	}
	return version
}

// ProgramCheck is what is known about a program file.
type ProgramCheck struct {
	Path      string        `json:"path"`
	SHA384    bundle.Digest `json:"sha384"`
	Installed bool          `json:"same_as_installed"`
	Signed    bool          `json:"signed"`              // the vendor's statement names exactly these bytes
	Version   string        `json:"version,omitempty"`   // as the statement or the log says
	Built     string        `json:"built,omitempty"`     // likewise
	Relation  string        `json:"relation"`            // to the installed copy
	Self      bool          `json:"self"`                // it is the running program: nothing can vouch for itself
	Signers   []string      `json:"signers,omitempty"`   // fingerprints
	Statement string        `json:"statement,omitempty"` // path of the statement
}

// VerifyProgram says whether a program file, one on a stick for example, is one to run: the installed copy byte for byte, or named by
// a statement that role targets of the vendor's root signed. statement may be nil. Errors: E-PROGRAM-CHANGED for a statement that holds and
// does not name these bytes, E-PROGRAM-UNKNOWN when nothing vouches for them; E-SIGNATURE-*, E-TRUST-*, E-IO. The answer stands beside both.
func (in *Installer) VerifyProgram(ctx context.Context, path string, statement []byte) (*ProgramCheck, error) {
	sum, err := in.sums.of(ctx, path)
	if err != nil {
		return nil, err
	}
	out := &ProgramCheck{Path: path, SHA384: sum, Relation: ProgramNone, Self: sameFile(path, in.c.Program)}
	have, err := in.Programs(ctx)
	if err != nil {
		return nil, err
	}
	var known ProgramInfo
	if have.Installed != nil {
		if out.Installed = have.Installed.SHA384 == sum; out.Installed {
			known = *have.Installed
		}
	}
	if statement != nil {
		store, err := in.roots()
		if err != nil {
			return out, err
		}
		s, err := store.Programs(statement)
		if err != nil {
			return out, err
		}
		if !s.Names(sum) {
			return out, fault.New(fault.ProgramChanged, "the vendor's statement about version %q does not name program %q with SHA-384 %s", s.Version, path, sum).
				With("path", path).With("version", s.Version)
		}
		out.Signed, known.Version, known.Built = true, s.Version, s.Built
		for _, k := range s.Signers {
			out.Signers = append(out.Signers, k.Fingerprint)
		}
	}
	out.Version, out.Built = known.Version, known.Built
	if have.Installed != nil {
		p := ProgramInfo{SHA384: sum, Version: known.Version, Built: known.Built}
		out.Relation = p.compare(have.Installed)
	}
	if !out.Signed && !out.Installed {
		return out, fault.New(fault.ProgramUnknown, "nothing vouches for program %q: it is not the installed one, and no statement of the vendor is there", path).
			With("path", path)
	}
	return out, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
