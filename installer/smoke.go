package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// programName is the installed copy of this program.
var programName = map[bool]string{true: "sluice.exe", false: "sluice"}[runtime.GOOS == "windows"]

// maxProgram limits the copy of the program.
const maxProgram = 1 << 30

// Smoke runs the golden cases of the candidate in a child process of the installed program, with the engine library
// below the root. When all pass, the demo record names the candidate. When not, the old records stay and a candidate
// that this installation made is taken back. Errors: E-SMOKE-FAILED, E-ENGINE-*, E-MODEL-*, E-CONTRACT.
func (in *Installer) Smoke(ctx context.Context, c *Candidate) (*Tested, error) {
	t, _, err := in.SmokeAfter(ctx, c, nil)
	return t, err
}

// SmokeAfter is Smoke where other variants of the bundle failed before: the demo record keeps their rows. The attempt that
// it returns has the rows of this one, whether it passed or not; one that never came to its golden cases has none.
func (in *Installer) SmokeAfter(ctx context.Context, c *Candidate, before []Attempt) (*Tested, Attempt, error) {
	if !c.valid() || !c.token.of(in) {
		return nil, Attempt{}, noToken("smoke", "activate")
	}
	var report *inference.Report
	t, err := write(ctx, in, demands{what: "smoke"}, func(w *work) (t *Tested, err error) {
		t, report, err = w.smoke(ctx, c, before)
		return t, err
	})
	if err != nil {
		return nil, failedAttempt(c.Variant(), report, err), err
	}
	return t, passedAttempt(c.Variant(), report), nil
}

func (w *work) smoke(ctx context.Context, c *Candidate, before []Attempt) (*Tested, *inference.Report, error) {
	if !c.valid() || !c.token.of(w.in) {
		return nil, nil, noToken("smoke", "activate")
	}
	w.about(c.fit.auth)
	if !w.dir.Exists(c.folder) {
		return nil, nil, fault.New(fault.VersionUnknown, "folder %q is gone", c.folder).With("path", w.dir.Abs(c.folder))
	}
	t, report, err := w.prove(ctx, c, before)
	if err != nil && smokeRefusal(err) {
		if werr := w.withdraw(c); werr != nil {
			return nil, report, errors.Join(err, werr)
		}
	}
	return t, report, err
}

// prove runs the golden cases and, when they pass, writes the demo record.
func (w *work) prove(ctx context.Context, c *Candidate, before []Attempt) (*Tested, *inference.Report, error) {
	a, variant := c.fit.auth, c.Variant()
	program, err := w.ensureProgram(ctx)
	if err != nil {
		return nil, nil, err
	}
	spec, err := w.engineFor(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	info := map[string]any{slot.InfoVersion: a.Manifest().Version, slot.InfoVariant: variant, "folder": c.folder}
	flags := map[string]string{"engine": spec.Kind, "provider": spec.Provider}
	if err := w.note(audit.Demo, "smoke", "started", w.artefacts(a), flags, info); err != nil {
		return nil, nil, err
	}
	report, err := w.runCases(ctx, c, spec)
	if err == nil && (report == nil || !report.Passed) {
		err = failed(variant, report)
	}
	w.in.point("smoked")
	if err != nil {
		info["code"], info["message"] = string(fault.CodeOf(err)), err.Error()
		if nerr := w.note(audit.Demo, "smoke", "failed", w.artefacts(a), flags, info); nerr != nil {
			return nil, report, nerr
		}
		return nil, report, errors.Join(err, w.noteRows("smoke_rows", a, variant, report))
	}
	if err := w.note(audit.Demo, "smoke", "passed", w.artefacts(a), flags, info); err != nil {
		return nil, report, err
	}
	kept, err := w.keepReport(a, variant, report)
	if err != nil {
		return nil, report, err
	}
	rec, err := w.demoRecord(ctx, c, spec, report, program)
	if err != nil {
		return nil, report, err
	}
	rec.Proof.Report = kept
	for _, b := range append(slices.Clone(before), passedAttempt(variant, report)) {
		rec.Attempts = append(rec.Attempts, b.Kept())
	}
	if rec.Emergency != nil { // before the record: whoever finds the emergency finds what it was
		if err := w.keepManifest(a); err != nil {
			return nil, report, err
		}
	}
	digest, err := w.putRecord(rec, audit.StatusDemoReady)
	if err != nil {
		return nil, report, err
	}
	_ = w.dir.PointLatest(c.folder) // a convenience; the next start repairs it
	return &Tested{token: token{w.in}, auth: a, record: rec, digest: digest, report: report}, report, nil
}

// passedAttempt is the row of a variant that passed.
func passedAttempt(variant string, r *inference.Report) Attempt {
	return Attempt{Variant: variant, Engine: r.Engine, Passed: true, Report: r}
}

// failedAttempt is the row of a variant that did not; r is nil when it never came to its golden cases.
func failedAttempt(variant string, r *inference.Report, err error) Attempt {
	a := Attempt{Variant: variant, Code: fault.CodeOf(err), Reason: err.Error(), Report: r}
	if r != nil {
		a.Engine = r.Engine
	}
	return a
}

// rowsPerEntry golden cases stand in one log entry: an entry has its limit (audit.MaxLine), and so has each value in it.
const rowsPerEntry = 20

// noteRows writes every golden case of a failed variant into the log: the record that would hold them may never come.
func (w *work) noteRows(event string, a *Authentic, variant string, r *inference.Report) error {
	if r == nil {
		return nil
	}
	n := 0
	for rows := range slices.Chunk(r.Cases, rowsPerEntry) {
		detail := map[string]any{slot.InfoVersion: a.Manifest().Version, slot.InfoVariant: variant, "rows": len(r.Cases),
			"median_ms": r.MedianMS, "p95_ms": r.P95MS, "limit_ms": r.LimitMS, "peak_mib": r.PeakMiB, "limit_mib": r.LimitMiB}
		for _, c := range rows {
			n++
			detail[fmt.Sprintf("row_%05d", n)] = logRow(c)
		}
		if err := w.note(audit.Demo, event, "failed", w.artefacts(a), nil, detail); err != nil {
			return err
		}
	}
	return nil
}

// logRow is a golden case as the log keeps it.
func logRow(c inference.CaseResult) map[string]any {
	short := func(s string) string { return fmt.Sprintf("%.200s", s) }
	row := map[string]any{"model": short(c.Model), "case": short(c.Name), "passed": c.Passed, "worst_abs": c.WorstAbs, "worst_rel": c.WorstRel,
		"abs": c.Tolerance.Abs, "rel": c.Tolerance.Rel, "nan": c.NaN, "inf": c.Inf, "wrong": c.Wrong, "elements": c.Elements,
		"latency_ms": c.LatencyMS, "p95_ms": c.P95MS}
	if c.Reason != "" {
		row["reason"] = fmt.Sprintf("%.400s", c.Reason)
	}
	if e := c.Worst; e != nil {
		row["output"], row["expected"], row["got"] = short(e.Output), e.Expected, e.Got
		if e.Index != nil {
			row["index"] = e.Index
		}
	}
	return row
}

// busyTries is how often a program that was just written is started again: a child that another goroutine forked at
// that moment may hold it open for writing until its own exec (ETXTBSY).
const busyTries = 40

func (w *work) runCases(ctx context.Context, c *Candidate, spec inference.EngineSpec) (*inference.Report, error) {
	job := inference.Job{Dir: w.dir.Abs(c.folder), Manifest: c.fit.auth.Manifest(), Variant: c.Variant(), Engine: spec}
	for try := 0; ; try++ {
		r, err := inference.Smoke(ctx, w.in.abs(slot.BinDir+"/"+programName), job, variantProgress(w.in.c.Progress, c.Variant()))
		if !errors.Is(err, syscall.ETXTBSY) || try == busyTries {
			return r, err
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// failed turns a report into the refusal it tells of.
func failed(variant string, r *inference.Report) error {
	if r == nil {
		return fault.New(fault.SmokeFailed, "variant %q: the smoke test gave no report", variant)
	}
	code := r.Code
	if code == "" || code.Exit() != fault.SmokeFailed.Exit() {
		code = fault.SmokeFailed
	}
	e := fault.New(code, "variant %q on engine %q: %s", variant, r.Engine, r.Reason)
	for k, v := range r.Detail {
		e = e.With(k, v)
	}
	e = e.With("variant", variant).With("engine", r.Engine)
	for _, c := range r.Cases {
		if !c.Passed {
			return e.With("case", c.Name).With("model", c.Model)
		}
	}
	return e
}

// program is what answers the hidden verb before the copy under bin/ is made.
func (in *Installer) program() string {
	if in.c.Program != "" {
		return in.c.Program
	}
	return in.abs(slot.BinDir + "/" + programName)
}

// ensureProgram keeps a copy of this program below the root, so that the gate works with the stick gone.
func (w *work) ensureProgram(ctx context.Context) (bundle.Digest, error) {
	name := slot.BinDir + "/" + programName
	have, err := w.dir.Have(name)
	if err != nil {
		return bundle.Digest{}, err
	}
	if w.in.c.Program == "" {
		if have == slot.Absent {
			return bundle.Digest{}, fault.New(fault.Internal, "no program to run inference with: %q is not there", w.dir.Abs(name))
		}
		return bundle.ParseDigest(have)
	}
	f, err := os.Open(w.in.c.Program)
	if err != nil {
		return bundle.Digest{}, fsx.Classify(err, "opening", w.in.c.Program)
	}
	defer f.Close()
	want, err := slot.SumReader(f)
	if err != nil {
		return bundle.Digest{}, fsx.Classify(err, "reading", w.in.c.Program)
	}
	if want.String() == have {
		return want, nil
	}
	if err := alive(ctx); err != nil {
		return bundle.Digest{}, err
	}
	if err := fsx.MkdirAll(w.dir.Root(), slot.BinDir, 0o755); err != nil {
		return bundle.Digest{}, err
	}
	c := change{log: audit.Demo, event: eventProgram, path: name, becomes: want.String(), then: audit.StatusDone,
		artefacts: map[string]string{"program": want.String()}, info: map[string]string{infoProgramVersion: w.in.c.Version}}
	if !w.in.c.Built.IsZero() {
		c.info[infoProgramBuilt] = w.in.c.Built.UTC().Format(time.RFC3339)
	}
	return want, w.perform(c, func() error {
		if _, err := f.Seek(0, 0); err != nil {
			return err
		}
		_, err := fsx.WriteFrom(w.dir.Root(), name, f, maxProgram, 0o755)
		return err
	})
}

// library finds the engine library to judge variants with: the one given by the user, copied below the root first, or
// one that was copied there earlier.
func (w *work) library(ctx context.Context, m *bundle.Manifest) (library, error) {
	allowed := inference.Allowed{Manifest: m, Given: w.in.engine}
	if w.in.c.EngineLib != "" {
		return w.copyLibrary(ctx, w.in.c.EngineLib, allowed)
	}
	p, d, err := inference.FindLibrary(ctx, w.in.abs(slot.EnginesDir), allowed)
	return library{path: p, digest: d}, err
}

func (w *work) copyLibrary(ctx context.Context, src string, allowed inference.Allowed) (library, error) {
	d, err := inference.AllowedLibrary(ctx, src, allowed)
	if err != nil {
		return library{}, err
	}
	if err := fsx.MkdirAll(w.dir.Root(), slot.EnginesDir, 0o755); err != nil {
		return library{}, err
	}
	there := w.dir.Exists(slot.EnginesDir + "/" + d.String())
	artefacts := map[string]string{"engine_library": d.String()}
	if !there {
		if err := w.note(audit.Demo, "engine", "started", artefacts, nil, map[string]any{"source": src}); err != nil {
			return library{}, err
		}
	}
	p, d, err := inference.CopyLibrary(ctx, src, w.in.abs(slot.EnginesDir), allowed)
	if err != nil {
		return library{}, err
	}
	if !there {
		err = w.note(audit.Demo, "engine", audit.StatusDone, artefacts, nil, nil)
	}
	return library{path: p, digest: d}, err
}

// engineFor chooses the engine of a candidate; a library that the variant brings comes before all others.
func (w *work) engineFor(ctx context.Context, c *Candidate) (inference.EngineSpec, error) {
	m := c.fit.auth.Manifest()
	v, lib := m.Variant(c.Variant()), c.fit.library
	if art := runtimeArtifact(m, v); art != nil {
		var err error
		src := filepath.Join(w.dir.Abs(c.folder), filepath.FromSlash(art.Path))
		if lib, err = w.copyLibrary(ctx, src, inference.Allowed{Manifest: m}); err != nil {
			return inference.EngineSpec{}, err
		}
	}
	return inference.Choose(v, lib.path, lib.digest)
}

func (w *work) demoRecord(ctx context.Context, c *Candidate, spec inference.EngineSpec, r *inference.Report, program bundle.Digest) (*slot.Record, error) {
	machine, err := w.dir.Machine(ctx)
	if err != nil {
		return nil, err
	}
	m := c.fit.auth.Manifest()
	rec := &slot.Record{
		Schema: slot.RecordSchema, Stage: slot.Demo, Enabled: true,
		ModelFamily: m.ModelFamily, Version: m.Version, Variant: c.Variant(), Folder: c.folder,
		ManifestSHA384: c.fit.auth.ManifestSHA384(), TrustRoot: c.fit.auth.RootVersion(),
		Engine: slot.Engine{Kind: spec.Kind, Version: r.EngineVersion, LibrarySHA384: spec.LibrarySHA384, Provider: spec.Provider,
			Threads: max(r.Threads, spec.Threads), Program: program},
		Proof: slot.Proof{Cases: r.Cases, Warmup: r.Warmup, Runs: r.Runs, MedianMS: r.MedianMS, P95MS: r.P95MS, LimitMS: r.LimitMS,
			PeakMiB: r.PeakMiB, LimitMiB: r.LimitMiB, Evidence: r.Evidence, Confinement: r.Confinement},
		Machine: machine, At: w.in.now(), Operator: w.actor, Installer: w.installerOf(c.folder),
	}
	if c.fit.auth.Emergency() {
		if rec.Emergency = w.emergencyOf(c.folder); rec.Emergency == nil {
			return nil, fault.New(fault.Internal, "the log does not say why %q was installed by emergency", c.folder)
		}
	}
	if rec.Engine.Kind == "" {
		rec.Engine.Kind = inference.KindReference
	}
	if rec.Engine.Provider == "" {
		rec.Engine.Provider = r.Provider
	}
	if spec.LibraryPath != "" {
		rel, err := filepath.Rel(w.in.c.Root, spec.LibraryPath)
		if err != nil {
			return nil, fault.New(fault.Internal, "engine library %q does not lie below the root: %w", spec.LibraryPath, err)
		}
		rec.Engine.Library = filepath.ToSlash(rel)
	}
	return rec, nil
}

// installerOf is who installed what lies in a folder, as they said.
func (w *work) installerOf(folder string) string {
	who := w.actor
	for _, m := range w.ledger.Done(slot.EventActivate) {
		if m.Path == folder {
			who = m.Actor
		}
	}
	return who
}

// keepReport keeps the whole report of a passed smoke test: it is what the evidence of a checklist opens.
func (w *work) keepReport(a *Authentic, variant string, r *inference.Report) (*compliance.Source, error) {
	raw, err := bundle.CanonicalJSON(r)
	if err != nil {
		return nil, fault.New(fault.Internal, "writing the smoke report: %w", err)
	}
	raw = append(raw, '\n')
	name := w.reportPath("smoke", a.Manifest().Version, ".json")
	c := change{log: audit.Demo, event: "smoke_report", path: name, then: audit.StatusDone,
		artefacts: map[string]string{"report": slot.Sum(raw).String(), "manifest.json": a.ManifestSHA384().String()},
		info:      map[string]string{slot.InfoVersion: a.Manifest().Version, slot.InfoVariant: variant}}
	if err := w.writeFile(c, raw, 0o444); err != nil {
		return nil, err
	}
	return &compliance.Source{Path: name, SHA384: slot.Sum(raw), Size: int64(len(raw))}, nil
}

// putRecord writes a stage's record as an announced change.
func (w *work) putRecord(r *slot.Record, then string) (bundle.Digest, error) {
	heads, err := w.heads()
	if err != nil {
		return bundle.Digest{}, err
	}
	r.Logs = heads
	raw, err := r.Encode()
	if err != nil {
		return bundle.Digest{}, err
	}
	art := map[string]string{"manifest.json": r.ManifestSHA384.String(), "record": slot.Sum(raw).String()}
	if !r.Engine.LibrarySHA384.IsZero() {
		art["engine_library"] = r.Engine.LibrarySHA384.String()
	}
	for _, s := range r.SignOffs {
		art[s.Path] = s.SHA384.String()
	}
	c := change{log: audit.Log(r.Stage.Log()), event: slot.EventRecord, path: r.Stage.RecordFile(), then: then, artefacts: art,
		flags: map[string]string{"engine": r.Engine.Kind, "provider": r.Engine.Provider},
		info: map[string]string{slot.InfoFamily: r.ModelFamily, slot.InfoVersion: r.Version, slot.InfoVariant: r.Variant,
			slot.InfoManifest: r.ManifestSHA384.String()}}
	if r.Reason != "" {
		c.info["reason"] = r.Reason
	}
	if r.Emergency != nil {
		slot.EmergencyInfo(c.info, r.Emergency)
		c.flags[slot.FlagEmergency] = "yes"
	}
	return slot.Sum(raw), w.writeFile(c, raw, fs.FileMode(0o644))
}

// SmokeAgain repeats the golden cases of an installed version and makes it the demo version. An empty version is the
// one of the demo record; an empty variant the only installed one. Nothing is taken back when they fail.
func (in *Installer) SmokeAgain(ctx context.Context, version, variant string) (*Tested, error) {
	return write(ctx, in, demands{what: "smoke"}, func(w *work) (*Tested, error) {
		c, err := w.reinstalled(ctx, version, variant)
		if err != nil {
			return nil, err
		}
		t, _, err := w.smoke(ctx, c, nil)
		return t, err
	})
}
