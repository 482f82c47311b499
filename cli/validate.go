package cli

import (
	"context"

	"sluice/bundle"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/verify"
)

func (b *buildFlags) runValidate(ctx context.Context, a *app) (result, error) {
	if b.spec != "" || b.out != "" || b.split != "" || len(b.keys.keys) > 0 {
		return nil, usage("build --validate takes no --spec, --out, --split or --key")
	}
	src, err := bundle.Open(ctx, b.validate, a.openOptions(b.validate, b.also))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	auth, err := b.trust.authenticate(ctx, a, src)
	if err != nil {
		return nil, err
	}
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	found, err := in.Validate(ctx, auth)
	if found == nil {
		return nil, err
	}
	m := auth.Manifest()
	r := &validateResult{
		Path: b.validate, ModelFamily: m.ModelFamily, Version: m.Version, ManifestSHA384: auth.ManifestSHA384().String(),
		Signers: auth.Signers(), Complete: found.Complete, Variants: found.Variants,
	}
	if err == nil && b.strict && !found.Complete {
		for _, v := range found.Variants {
			if v.Result == installer.ResultNotRun {
				err = fault.New(fault.NotRun, "variant %q was not run: %s", v.Variant, v.Reason).With("variant", v.Variant)
				break
			}
		}
	}
	if err != nil {
		if !a.json && !a.quiet {
			r.table(&printer{app: a, w: a.env.Stdout})
		}
		return nil, &foundError{err, r}
	}
	return r, nil
}

// foundError carries what was found until a refusal into its JSON.
type foundError struct {
	error
	found any
}

func (e *foundError) Unwrap() error { return e.error }
func (e *foundError) Result() any   { return e.found }

type validateResult struct {
	Path           string                    `json:"path"`
	ModelFamily    string                    `json:"model_family"`
	Version        string                    `json:"version"`
	ManifestSHA384 string                    `json:"manifest_sha384"`
	Signers        []verify.Signer           `json:"signers"`
	Complete       bool                      `json:"complete"` // every variant was executed
	Variants       []installer.VariantResult `json:"variants"`
}

func (r *validateResult) table(p *printer) {
	for _, v := range r.Variants {
		mark, word := p.mark("ok"), p.t("validate.passed")
		switch v.Result {
		case installer.ResultNotRun:
			mark, word = p.mark("warn"), p.t("validate.notrun")
		case installer.ResultFailed:
			mark, word = p.mark("bad"), p.t("validate.failed")
		}
		p.line("%s %-14s %s", mark, clean(v.Variant), word)
		if v.Reason != "" {
			p.line("    %s", clean(v.Reason))
		}
		if v.Report != nil && len(v.Report.Cases) > 0 {
			smokeTable(p, v.Report)
		}
	}
}

func (r *validateResult) text(p *printer) {
	r.table(p)
	p.line("%s %s", p.mark("ok"), p.bold(p.t("validate.done", "family", r.ModelFamily, "version", r.Version)))
	p.field(p.t("manifest"), r.ManifestSHA384)
}
