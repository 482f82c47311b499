package installer

import (
	"context"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

var errTodo = fault.New(fault.Internal, "not written yet")

func (in *Installer) abs(name string) string { return in.c.Root + "/" + name }

// Open opens a bundle after checking that the root can be written.
func (in *Installer) Open(ctx context.Context, path string, o bundle.OpenOptions) (*Source, error) {
	return nil, errTodo
}

func (in *Installer) Authenticate(ctx context.Context, src *Source) (*Authentic, error) {
	return nil, errTodo
}
func (in *Installer) Fit(ctx context.Context, a *Authentic, o FitOptions) (*Fitted, error) {
	return nil, errTodo
}
func (in *Installer) Stage(ctx context.Context, f *Fitted) (*Staged, error) { return nil, errTodo }
func (in *Installer) Activate(ctx context.Context, s *Staged) (*Candidate, error) {
	return nil, errTodo
}
func (in *Installer) Smoke(ctx context.Context, c *Candidate) (*Tested, error) { return nil, errTodo }
func (in *Installer) SignOff(ctx context.Context, t *Tested, o SignOffOptions) (*SignOffResult, error) {
	return nil, errTodo
}
func (in *Installer) GoLive(ctx context.Context, a *Approved) (*slot.Record, error) {
	return nil, errTodo
}

// Reopen remakes the token of an installed, tested version; an empty version is the one of the demo record.
func (in *Installer) Reopen(ctx context.Context, version string) (*Tested, error) {
	return nil, errTodo
}

// Reapprove remakes the token of a stage whose sign-offs are complete.
func (in *Installer) Reapprove(ctx context.Context, stage slot.Stage) (*Approved, error) {
	return nil, errTodo
}

// Install does everything from Open to Smoke under one lock.
func (in *Installer) Install(ctx context.Context, path string, o InstallOptions) (*Tested, []Attempt, error) {
	return nil, nil, errTodo
}

// SmokeAgain repeats the golden cases of an installed version (empty: the demo record's) and makes it the demo version.
func (in *Installer) SmokeAgain(ctx context.Context, version, variant string) (*Tested, error) {
	return nil, errTodo
}
func (in *Installer) Checklist(ctx context.Context, t *Tested, stage slot.Stage) (*compliance.Checklist, error) {
	return nil, errTodo
}
func (in *Installer) TrustInit(ctx context.Context, of verify.Root, rootFile []byte, fingerprint, by string) error {
	return errTodo
}
func (in *Installer) PolicySet(ctx context.Context, envelope []byte) error { return errTodo }

// Policy is the site's policy, verified; nil without an error when there is none.
func (in *Installer) Policy() (*compliance.Policy, error)                        { return nil, errTodo }
func (in *Installer) Disable(ctx context.Context, operator, reason string) error { return errTodo }
func (in *Installer) Rollback(ctx context.Context, o RollbackOptions) (*slot.Record, error) {
	return nil, errTodo
}
func (in *Installer) Remove(ctx context.Context, version string) error  { return errTodo }
func (in *Installer) Versions() ([]VersionInfo, error)                  { return nil, errTodo }
func (in *Installer) Status() (*Status, error)                          { return nil, errTodo }
func (in *Installer) LogVerify(ctx context.Context) ([]LogState, error) { return nil, errTodo }
func (in *Installer) LogAppend(ctx context.Context, log slot.Stage, actor, text string) error {
	return errTodo
}
func (in *Installer) Uninstall(ctx context.Context, purge bool) error { return errTodo }

// VerifyInstalled checks a version folder below this root: signature, and exactly its variant's files.
func (in *Installer) VerifyInstalled(ctx context.Context, dir string) (*Authentic, error) {
	return nil, errTodo
}
