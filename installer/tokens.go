package installer

import (
	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// Source is an opened bundle: container and limits only.
type Source = bundle.Source

// Authentic is a manifest whose signature, trust and place in history hold.
type Authentic = verify.Authentic

// token is what every token of this package carries: who made it. A token of another root is worth nothing.
type token struct{ in *Installer }

func (t token) of(in *Installer) bool { return in != nil && t.in == in }

// Fitted is an authentic bundle with the variants that fit this machine, in order, and the one chosen.
type Fitted struct {
	token    token
	auth     *verify.Authentic
	machine  *hwprobe.Machine
	engines  []inference.EngineInfo
	verdicts []hwprobe.Verdict
	order    []string // eligible variants still to try; the first is the choice
	library  library
	reason   string // of an emergency
}

// library is an engine library below the root.
type library struct {
	path   string // absolute, empty for none
	digest bundle.Digest
}

// spec is the engine to try; the zero value without a library.
func (l library) spec() inference.EngineSpec {
	if l.path == "" {
		return inference.EngineSpec{}
	}
	return inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: l.path, LibrarySHA384: l.digest}
}

// Manifest is the authentic manifest; do not change it.
func (f *Fitted) Manifest() *bundle.Manifest { return f.auth.Manifest() }

// Source is what it is read from; whoever opened it closes it.
func (f *Fitted) Source() *Source { return f.auth.Source() }

// Machine is what the probe found.
func (f *Fitted) Machine() *hwprobe.Machine { return f.machine }

// Engines are the engines that were tried.
func (f *Fitted) Engines() []inference.EngineInfo { return f.engines }

// Verdicts judge every variant, the eligible ones first.
func (f *Fitted) Verdicts() []hwprobe.Verdict { return f.verdicts }

// Variant is the chosen variant.
func (f *Fitted) Variant() string { return f.order[0] }

// Next gives the fit with the next eligible variant, after this one's smoke test failed; nil when there is none.
func (f *Fitted) Next() *Fitted {
	if !f.valid() || len(f.order) < 2 {
		return nil
	}
	n := *f
	n.order = f.order[1:]
	return &n
}

func (f *Fitted) valid() bool {
	return f != nil && f.token.in != nil && f.auth.Valid() && len(f.order) > 0
}

// Staged is a variant whose every byte was verified while it was copied, or that lies installed and verified already.
type Staged struct {
	token   token
	fit     *Fitted
	partial string // below the root; empty when reused
	folder  string // where it will lie or, when reused, lies
	reused  bool
	repairs bool // what lies in folder is damaged and makes room
}

// Reused says that the same version and variant was installed already and verified again instead of copied.
func (s *Staged) Reused() bool { return s.reused }

func (s *Staged) valid() bool {
	return s != nil && s.token.in != nil && s.fit.valid() && s.folder != ""
}

// Candidate is an immutable version folder that no record names yet.
type Candidate struct {
	token  token
	fit    *Fitted
	folder string // below the root
	fresh  bool   // made by this installation: a failed smoke test takes it back
}

// Folder is the version folder as an absolute path.
func (c *Candidate) Folder() string { return c.token.in.abs(c.folder) }

// Variant is the installed variant.
func (c *Candidate) Variant() string { return c.fit.Variant() }

func (c *Candidate) valid() bool {
	return c != nil && c.token.in != nil && c.fit.valid() && c.folder != ""
}

// Tested is a version that passed its golden cases on this machine; the demo record names it.
type Tested struct {
	token  token
	auth   *verify.Authentic
	record *slot.Record
	digest bundle.Digest // of the demo record
	report *inference.Report
}

// Manifest is the authentic manifest; do not change it.
func (t *Tested) Manifest() *bundle.Manifest { return t.auth.Manifest() }

// ManifestSHA384 is the digest that names the bundle.
func (t *Tested) ManifestSHA384() bundle.Digest { return t.auth.ManifestSHA384() }

// Record is a copy of the demo record.
func (t *Tested) Record() slot.Record { return *t.record }

// Report is the smoke test's report; nil when the token was remade from disk.
func (t *Tested) Report() *inference.Report { return t.report }

func (t *Tested) valid() bool {
	return t != nil && t.token.in != nil && t.auth.Valid() && t.record != nil && !t.digest.IsZero()
}

// Approved is a tested version whose sign-offs for one stage are complete.
type Approved struct {
	token    token
	tested   *Tested
	stage    slot.Stage
	signOffs []slot.SignOff // of this stage and the ones below
	stopSeen bool           // a stop waited to be settled when it was made
}

// Stage is the stage that was approved.
func (a *Approved) Stage() slot.Stage { return a.stage }

// Version is the approved version.
func (a *Approved) Version() string { return a.tested.record.Version }

func (a *Approved) valid() bool {
	return a != nil && a.token.in != nil && a.tested.valid() && (a.stage == slot.Paper || a.stage == slot.Live) && len(a.signOffs) > 0
}

// noToken refuses a token that the step before did not make, or that belongs to another root.
func noToken(step, want string) error {
	return fault.New(fault.Internal, "%s needs the token that %s made for this root", step, want)
}
