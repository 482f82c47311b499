package installer

import (
	"context"
	"os"
	"path"
	"path/filepath"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/progress"
)

// RoleOf says in which role a person (id or name in the site's policy) signs a stage; role is the one wished for, or
// empty for the only one that fits. Errors: E-POLICY-NONE, E-POLICY-REFUSES (retired, too).
func (in *Installer) RoleOf(who string, stage slot.Stage, role string) (string, error) {
	policy, err := in.Policy()
	if err != nil {
		return "", err
	}
	person, err := findPerson(policy, who)
	if err != nil {
		return "", err
	}
	if !policy.Active(person) {
		return "", fault.New(fault.PolicyRefuses, "%q has retired and may not sign any more", person.ID).With("person", person.ID)
	}
	return policy.RoleFor(person, compliance.Stage(stage), role)
}

// scratchLibrary is the given library, or one that an installation copied earlier.
func (in *Installer) scratchLibrary(ctx context.Context, scratch string, m *bundle.Manifest) (library, error) {
	allowed := inference.Allowed{Manifest: m, Given: in.engine}
	if in.c.EngineLib == "" {
		p, d, err := inference.FindLibrary(ctx, in.abs(slot.EnginesDir), allowed)
		return library{path: p, digest: d}, err
	}
	p, d, err := inference.CopyLibrary(ctx, in.c.EngineLib, filepath.Join(scratch, "engines"), allowed)
	return library{path: p, digest: d}, err
}

// Validation is what Validate found out about a finished bundle.
type Validation struct {
	Variants []VariantResult `json:"variants"`
	Complete bool            `json:"complete"` // every variant was executed
}

// VariantResult is one variant on this machine. Contract holds even where the golden cases could not be run.
type VariantResult struct {
	Variant string            `json:"variant"`
	Result  string            `json:"result"`         // "passed", "failed" or "not_run"
	Code    fault.Code        `json:"code,omitempty"` // of the reason, where it is a refusal
	Reason  string            `json:"reason,omitempty"`
	Report  *inference.Report `json:"smoke,omitempty"`
}

// Results of a variant.
const (
	ResultPassed = "passed"
	ResultFailed = "failed"
	ResultNotRun = "not_run"
)

// Validate does to an authentic bundle what CI wants of a finished one: every byte, every contract against its model,
// and the golden cases of each variant that this machine can execute. It works in a scratch folder and changes no
// installation. The error is the first failure; the Validation is complete either way once the bytes held.
func (in *Installer) Validate(ctx context.Context, a *Authentic) (*Validation, error) {
	if !a.Valid() || a.Source() == nil {
		return nil, noToken("validate", "authenticate")
	}
	scratch, err := os.MkdirTemp("", "sluice-validate-")
	if err != nil {
		return nil, fsx.Classify(err, "making a scratch folder", os.TempDir())
	}
	defer os.RemoveAll(scratch)
	m := a.Manifest()
	if err := in.unpack(ctx, a, scratch); err != nil {
		return nil, err
	}
	for _, v := range m.Variants {
		if err := inference.CheckContract(ctx, m, v.ID, scratch); err != nil {
			return nil, err
		}
	}
	lib, err := in.scratchLibrary(ctx, scratch, m)
	if err != nil {
		return nil, err
	}
	machine := hwprobe.Probe(ctx, hwprobe.Options{Exe: in.program()})
	engines := inference.Engines(ctx, inference.EngineOptions{Exe: in.program(), Engine: lib.spec()})
	out := &Validation{Complete: true}
	var first error
	for _, verdict := range judge(machine, engines, m) {
		r, err := in.tryVariant(ctx, m, verdict, lib, scratch, filepath.Join(scratch, "engines"))
		if cerr := alive(ctx); cerr != nil {
			return nil, cerr
		}
		if err != nil && first == nil {
			first = err
		}
		out.Complete = out.Complete && r.Result != ResultNotRun
		out.Variants = append(out.Variants, r)
	}
	return out, first
}

func (in *Installer) unpack(ctx context.Context, a *Authentic, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fsx.Classify(err, "opening", dir)
	}
	defer root.Close()
	need := int64(spaceSlack)
	for _, art := range a.Manifest().Artifacts {
		need += art.Size
	}
	if free, err := fsx.FreeBytes(dir); err == nil && int64(free) < need {
		return fault.New(fault.Space, "unpacking needs %d bytes in %q, %d are free", need, dir, free).
			With("need", need).With("free", int64(free)).With("path", dir)
	}
	return a.Source().Extract(ctx, a.Manifest(), bundle.ExtractOptions{
		Strict: true, Progress: in.c.Progress, Step: progress.Verify,
		Store: func(art *bundle.Artifact) (bundle.ChunkStore, error) {
			if err := fsx.MkdirAll(root, path.Dir(art.Path), 0o755); err != nil {
				return nil, err
			}
			return openChunks(root, art.Path, art)
		},
	})
}

// tryVariant runs the golden cases of one variant where that is possible here.
// dir holds artifacts/; an engine library that the variant brings is copied into the folder engines first.
func (in *Installer) tryVariant(ctx context.Context, m *bundle.Manifest, verdict hwprobe.Verdict, lib library, dir, engines string) (VariantResult, error) {
	r := VariantResult{Variant: verdict.Variant, Result: ResultNotRun}
	if !verdict.Eligible {
		r.Reason = reasons(verdict)
		return r, nil
	}
	v := m.Variant(verdict.Variant)
	if art := runtimeArtifact(m, v); art != nil {
		p, d, err := inference.CopyLibrary(ctx, filepath.Join(dir, filepath.FromSlash(art.Path)), engines, inference.Allowed{Manifest: m})
		if err != nil {
			r.Code, r.Reason = fault.CodeOf(err), err.Error()
			return r, nil
		}
		lib = library{path: p, digest: d}
	}
	spec, err := inference.Choose(v, lib.path, lib.digest)
	if err != nil {
		r.Code, r.Reason = fault.CodeOf(err), err.Error()
		return r, nil
	}
	report, err := inference.Smoke(ctx, in.program(), inference.Job{Dir: dir, Manifest: m, Variant: v.ID, Engine: spec}, variantProgress(in.c.Progress, v.ID))
	r.Report = report
	if err == nil && report.Passed {
		r.Result = ResultPassed
		return r, nil
	}
	if err == nil {
		err = failed(v.ID, report)
	}
	r.Code, r.Reason = fault.CodeOf(err), err.Error()
	_, fellBack := fault.DetailOf(err)["used"] // the engine ran, but elsewhere than it was told to
	if code := fault.CodeOf(err); (code == fault.EngineNeeded || code == fault.EngineLoad) && !fellBack {
		return r, nil // this machine lacks what would be needed: not run, never passed
	}
	r.Result = ResultFailed
	return r, err
}
