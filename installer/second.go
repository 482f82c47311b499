package installer

import (
	"context"

	"sluice/audit"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// SecondOpinion gives the golden inputs of a tested version to the engine that did not prove it and holds both answers
// against each other. No record changes; the log says what came of it. An engine that cannot run these models has no
// opinion (Given is false, with the reason), which is no error. Errors: E-SECOND-OPINION when they disagree, beside the
// answer.
func (in *Installer) SecondOpinion(ctx context.Context, t *Tested) (*inference.SecondOpinion, error) {
	if !t.valid() || !t.token.of(in) {
		return nil, noToken("second opinion", "smoke")
	}
	var out *inference.SecondOpinion
	_, err := write(ctx, in, demands{what: "second_opinion"}, func(w *work) (struct{}, error) {
		var err error
		if out, err = w.secondOpinion(ctx, t); err == nil {
			err = out.Err()
		}
		return struct{}{}, err
	})
	return out, err
}

func (w *work) secondOpinion(ctx context.Context, t *Tested) (*inference.SecondOpinion, error) {
	w.about(t.auth)
	m, rec := t.auth.Manifest(), t.record
	v := m.Variant(rec.Variant)
	lib := ""
	if rec.Engine.Library != "" {
		lib = w.in.abs(rec.Engine.Library)
	}
	first := inference.EngineSpec{Kind: rec.Engine.Kind, LibraryPath: lib, LibrarySHA384: rec.Engine.LibrarySHA384, Provider: rec.Engine.Provider, Threads: rec.Engine.Threads}
	given, err := w.library(ctx, m)
	if err != nil {
		return nil, err
	}
	out := &inference.SecondOpinion{First: inference.Opinion{Engine: rec.Engine.Kind, EngineVersion: rec.Engine.Version, Provider: rec.Engine.Provider}, Cases: []inference.CaseResult{}}
	second, err := inference.Other(first, given.path, given.digest)
	switch {
	case err == nil:
		job := inference.Job{Dir: w.dir.Abs(rec.Folder), Manifest: m, Variant: v.ID, Engine: first}
		if out, err = inference.Ask(ctx, w.in.program(), job, second, variantProgress(w.in.c.Progress, v.ID)); err != nil {
			return nil, err
		}
	case fault.CodeOf(err) == fault.EngineNeeded:
		out.Second.Engine, out.Code, out.Reason = inference.KindONNXRuntime, fault.EngineNeeded, err.Error()
	default:
		return nil, err
	}
	status, info := "none", map[string]any{slot.InfoVersion: m.Version, slot.InfoVariant: v.ID, "other": out.Second.Engine, "other_version": out.Second.EngineVersion}
	switch {
	case out.Agrees:
		status = "agrees"
	case out.Given:
		status = "disagrees"
	}
	if out.Reason != "" {
		info["code"], info["message"] = string(out.Code), out.Reason
	}
	flags := map[string]string{"engine": rec.Engine.Kind, "provider": rec.Engine.Provider}
	if err := w.note(audit.Demo, "second_opinion", status, w.artefacts(t.auth), flags, info); err != nil || status != "disagrees" {
		return out, err
	}
	return out, w.noteRows("second_opinion_rows", t.auth, v.ID, &inference.Report{Cases: out.Cases})
}
