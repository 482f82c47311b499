package installer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"sluice/audit"
	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fsx"
	"sluice/internal/progress"
)

// Measurement is every variant on this machine, side by side, before one of them is installed. It chooses nothing: the
// order is signed, so that no fast machine and no slow disk decides what trades.
type Measurement struct {
	Variants []VariantResult `json:"variants"`         // in the signed order, those that do not fit this machine last
	Chosen   string          `json:"chosen,omitempty"` // the first in the signed order that passed; empty: none did
}

// scratchSuffix ends the name of a folder in the staging folder that holds variants while they are measured.
const scratchSuffix = ".measure"

// Measure copies every variant that fits into a scratch folder below the root, each byte verified before it is written,
// runs their golden cases and removes the folder again. A variant that fails is a row of the answer; an error means that the
// bytes did not hold or the measurement could not be made. Needs the space of all these variants (E-SPACE).
func (in *Installer) Measure(ctx context.Context, f *Fitted) (*Measurement, error) {
	if !f.valid() || !f.token.of(in) || f.auth.Source() == nil {
		return nil, noToken("measure", "fit")
	}
	return write(ctx, in, demands{what: "measure"}, func(w *work) (*Measurement, error) { return w.measure(ctx, f) })
}

func (w *work) measure(ctx context.Context, f *Fitted) (*Measurement, error) {
	w.about(f.auth)
	m := f.auth.Manifest()
	var paths []string // of all variants, in manifest order
	need := map[string]bool{}
	for _, v := range f.verdicts {
		if !v.Eligible {
			continue
		}
		list, err := m.VariantPaths(v.Variant)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			need[p] = true
		}
	}
	for _, a := range m.Artifacts {
		if need[a.Path] {
			paths = append(paths, a.Path)
		}
	}
	scratch := slot.StagingDir + "/" + stagingID(f.auth.ManifestSHA384(), "") + scratchSuffix
	if err := w.dropScratch(); err != nil {
		return nil, err
	}
	if err := w.room(scratch, m, paths); err != nil {
		return nil, err
	}
	out, err := w.measureIn(ctx, f, scratch, paths)
	return out, errors.Join(err, w.dropScratch()) // also after a cancelled run
}

func (w *work) measureIn(ctx context.Context, f *Fitted, scratch string, paths []string) (*Measurement, error) {
	m := f.auth.Manifest()
	c := change{log: audit.Demo, event: "measure", path: scratch, becomes: f.auth.ManifestSHA384().String(), then: "started",
		artefacts: w.artefacts(f.auth), info: map[string]string{slot.InfoVersion: m.Version}}
	err := w.perform(c, func() error {
		if err := w.extract(ctx, f.auth, scratch, paths, w.in.c.Progress); err != nil {
			return err
		}
		return fsx.WriteFile(w.dir.Root(), scratch+"/"+slot.ManifestFile, f.auth.ManifestBytes(), 0o644)
	})
	if err != nil {
		return nil, err
	}
	w.in.point("measuring")
	return w.tryAll(ctx, f.auth, f.verdicts, w.dir.Abs(scratch+"/engines"), func(string) (library, string, error) { return f.library, scratch, nil })
}

// tryAll runs the golden cases of every variant; where says in which folder below the root it lies and with which library.
func (w *work) tryAll(ctx context.Context, a *Authentic, verdicts []hwprobe.Verdict, engines string, where func(variant string) (library, string, error)) (*Measurement, error) {
	out := &Measurement{}
	for _, verdict := range verdicts {
		lib, folder, err := where(verdict.Variant)
		if err != nil {
			return nil, err
		}
		r, err := w.in.tryVariant(ctx, a.Manifest(), verdict, lib, w.dir.Abs(folder), engines)
		if cerr := alive(ctx); cerr != nil {
			return nil, cerr
		}
		if err != nil && !smokeRefusal(err) {
			return nil, err
		}
		if err := w.noteMeasured(a, r); err != nil {
			return nil, err
		}
		if out.Chosen == "" && r.Result == ResultPassed {
			out.Chosen = r.Variant
		}
		out.Variants = append(out.Variants, r)
	}
	return out, nil
}

// noteMeasured writes what came of one variant into the log.
func (w *work) noteMeasured(a *Authentic, r VariantResult) error {
	info := map[string]any{slot.InfoVersion: a.Manifest().Version, slot.InfoVariant: r.Variant}
	if r.Reason != "" {
		info["code"], info["message"] = string(r.Code), r.Reason
	}
	var flags map[string]string
	if p := r.Report; p != nil {
		flags = map[string]string{"engine": p.Engine, "provider": p.Provider}
		info["median_ms"], info["p95_ms"], info["peak_mib"] = p.MedianMS, p.P95MS, p.PeakMiB
	}
	if err := w.note(audit.Demo, "measured", r.Result, w.artefacts(a), flags, info); err != nil || r.Result != ResultFailed {
		return err
	}
	return w.noteRows("measured_rows", a, r.Variant, r.Report)
}

// dropScratch removes what a measurement holds or, after a power cut, left. Nothing names it.
func (w *work) dropScratch() error {
	entries, err := w.dir.List(slot.StagingDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), scratchSuffix) {
			continue
		}
		name := slot.StagingDir + "/" + e.Name()
		c := change{log: audit.Demo, event: "measure", path: name, becomes: slot.Absent, then: "removed"}
		if err := w.perform(c, func() error { return fsx.RemoveAll(w.dir.Root(), name) }); err != nil {
			return err
		}
	}
	return nil
}

// MeasureInstalled is Measure for the installed variants of a version, where they lie; an empty version is the one of the
// demo record. Each byte is verified before it is used. No record changes.
func (in *Installer) MeasureInstalled(ctx context.Context, version string) (*Measurement, error) {
	return write(ctx, in, demands{what: "measure"}, func(w *work) (*Measurement, error) {
		first, err := w.reinstalled(ctx, version, "")
		if err != nil {
			return nil, err
		}
		w.about(first.fit.auth)
		m := first.fit.auth.Manifest()
		versions, err := w.dir.Versions()
		if err != nil {
			return nil, err
		}
		machine := hwprobe.Probe(ctx, hwprobe.Options{})
		engines := inference.Engines(ctx, inference.EngineOptions{Exe: in.program(), Engine: first.fit.library.spec()})
		verdicts := slices.DeleteFunc(judge(machine, engines, m), func(v hwprobe.Verdict) bool {
			return !slices.ContainsFunc(versions, func(i slot.Version) bool {
				return i.Installed != nil && i.Installed.Version == m.Version && i.Installed.Variant == v.Variant
			})
		})
		return w.tryAll(ctx, first.fit.auth, verdicts, in.abs(slot.EnginesDir), func(variant string) (library, string, error) {
			c, err := w.reinstalled(ctx, m.Version, variant)
			if err != nil {
				return library{}, "", err
			}
			return c.fit.library, c.folder, nil
		})
	})
}

// extract copies verified artifacts into a folder below the root.
func (w *work) extract(ctx context.Context, a *Authentic, folder string, paths []string, p progress.Func) error {
	root := w.dir.Root()
	if err := makeFolders(root, folder, paths); err != nil {
		return err
	}
	return a.Source().Extract(ctx, a.Manifest(), bundle.ExtractOptions{
		Paths: paths,
		// A stream is read to its end anyway to find the last path: then nothing hostile behind it is let pass either.
		Strict: a.Source().Kind() == bundle.KindStream,
		Store: func(art *bundle.Artifact) (bundle.ChunkStore, error) {
			return openChunks(root, folder+"/"+art.Path, art)
		},
		Progress: p,
		Step:     progress.Stage,
	})
}
