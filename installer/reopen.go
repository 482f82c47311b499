package installer

import (
	"context"
	"slices"
	"strconv"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// ground is what both reading and writing steps stand on: an open root and what its verified logs say.
type ground struct {
	in     *Installer
	dir    *slot.Dir
	ledger *slot.Ledger
}

func (w *work) ground() ground { return ground{w.in, w.dir, w.ledger} }

// Reopen remakes the token of a tested version from disk: the record is the one that the log took in, it was made on this
// machine, and signature and every byte of the version folder hold. An empty version is the one of the demo record;
// that of the paper record may be named too. Errors: E-BUNDLE-MISSING, E-VERSION-UNKNOWN, E-STAGE-ORDER (installed, but
// its smoke test must be repeated), E-RECORD-EDITED, E-MACHINE-OTHER, and those of verify.
func (in *Installer) Reopen(ctx context.Context, version string) (*Tested, error) {
	return read(ctx, in, demands{what: "reopen"}, func(g ground) (*Tested, error) { return g.reopen(ctx, version) })
}

// read runs a reading step: no lock, nothing written but a refusal.
func read[T any](ctx context.Context, in *Installer, d demands, step func(g ground) (T, error)) (T, error) {
	out, root, err := readQuietly(in, step)
	switch {
	case err == nil:
		return out, nil
	case !root: // there is no root that could take the refusal
		return out, in.unlogged(err)
	}
	return out, in.refuseRead(ctx, d, nil, err)
}

// looks is how often a reading step looks again when a writer changed the root meanwhile.
const looks = 5

// readQuietly runs a reading step without logging its refusal; root says whether there is one.
func readQuietly[T any](in *Installer, step func(g ground) (T, error)) (out T, root bool, err error) {
	for attempt := 0; ; attempt++ {
		var none T
		v, err := in.look()
		if fault.CodeOf(err) == fault.BundleMissing {
			return none, false, err
		}
		if err != nil {
			return none, true, err // the log's own reader looked more than once
		}
		pulse := v.pulse
		out, err = step(ground{in, v.dir, v.ledger})
		moved := v.dir.Pulse() != pulse
		v.close()
		if err == nil {
			return out, true, nil
		}
		if !moved || attempt == looks {
			return none, true, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (g ground) reopen(ctx context.Context, version string) (*Tested, error) {
	demo, digest, err := g.record(slot.Demo)
	if err != nil {
		return nil, err
	}
	if demo != nil && (version == "" || demo.Version == version) {
		return g.tested(ctx, demo, digest)
	}
	if version != "" {
		paper, digest, err := g.record(slot.Paper)
		if err != nil {
			return nil, err
		}
		if paper != nil && paper.Version == version {
			return g.tested(ctx, paper, digest)
		}
	}
	versions, err := g.dir.Versions()
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.Installed != nil && (version == "" || v.Installed.Version == version) {
			return nil, fault.New(fault.StageOrder, "version %q is installed, but its smoke test is not the last that passed: repeat it",
				v.Installed.Version).With("version", v.Installed.Version)
		}
	}
	if version == "" {
		return nil, fault.New(fault.BundleMissing, "no version is installed in %q", g.dir.Path()).With("root", g.dir.Path())
	}
	return nil, unknownVersion(version)
}

func unknownVersion(version string) error {
	return fault.New(fault.VersionUnknown, "version %q is not installed", version).With("version", version)
}

// record reads a stage's record and compares it with the log; nil when there is none and none should be.
func (g ground) record(stage slot.Stage) (*slot.Record, bundle.Digest, error) {
	r, digest, err := g.dir.Record(stage)
	if err != nil {
		return nil, bundle.Digest{}, err
	}
	have := slot.Absent
	if r != nil {
		have = digest.String()
	}
	if err := g.ledger.Check(stage.RecordFile(), have); err != nil {
		return nil, bundle.Digest{}, err
	}
	return r, digest, nil
}

// tested proves everything that a record says about bytes and machine.
func (g ground) tested(ctx context.Context, r *slot.Record, digest bundle.Digest) (*Tested, error) {
	if err := g.dir.CheckMachine(ctx, r.Machine); err != nil {
		return nil, err
	}
	store, err := g.dir.Roots()
	if err != nil {
		return nil, err
	}
	a, err := g.dir.Verify(ctx, store, r, g.in.c.Progress)
	if err != nil {
		return nil, err
	}
	return &Tested{token: token{g.in}, auth: a, record: r, digest: digest}, nil
}

// again proves a tested token once more: days may lie between two steps.
func (g ground) again(ctx context.Context, t *Tested) (*Tested, error) {
	r, digest, err := g.record(t.record.Stage)
	if err != nil {
		return nil, err
	}
	// A stop that was pending when the token was made has been settled since: the same version, switched off.
	settled := r != nil && t.record.Stage == slot.Live && r.Same(t.record) && !r.Enabled
	if r == nil || digest != t.digest && !settled {
		return nil, fault.New(fault.StageOrder, "version %q is not what stage %q runs any more: begin again", t.record.Version, t.record.Stage).
			With("version", t.record.Version).With("stage", string(t.record.Stage))
	}
	return g.tested(ctx, r, digest)
}

func (g ground) policy() (*compliance.Policy, error) {
	store, err := g.dir.Roots()
	if err != nil {
		return nil, err
	}
	return g.dir.Policy(store, g.ledger)
}

// Reapprove remakes the token of a stage whose sign-offs are complete: signature, digests, log entries and each
// sign-off are proven again. For live it is the version on paper or, when that is not approved yet, the version that was
// live and is switched off. Errors: E-NOT-SIGNED-OFF with "missing_roles", E-SIGNOFF-INVALID, and those of Reopen.
func (in *Installer) Reapprove(ctx context.Context, stage slot.Stage) (*Approved, error) {
	return read(ctx, in, demands{what: "reapprove", stage: stage}, func(g ground) (*Approved, error) { return g.reapprove(ctx, stage) })
}

func (g ground) reapprove(ctx context.Context, stage slot.Stage) (*Approved, error) {
	if stage != slot.Paper && stage != slot.Live {
		return nil, fault.New(fault.Usage, "stage %q has no sign-off, want paper or live", stage)
	}
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	paper, digest, err := g.record(slot.Paper)
	if err != nil {
		return nil, err
	}
	if stage == slot.Live {
		live, liveDigest, err := g.record(slot.Live)
		if err != nil {
			return nil, err
		}
		if paper != nil && live != nil && !g.on(live) && rolledBackFrom(live, paper) {
			return g.approve(ctx, policy, stage, live, liveDigest)
		}
	}
	var first error
	if paper == nil {
		first, err = g.notOnPaper(policy, stage)
		if err != nil {
			return nil, err
		}
	} else {
		a, err := g.approve(ctx, policy, stage, paper, digest)
		if err == nil || stage != slot.Live || fault.CodeOf(err) != fault.NotSignedOff {
			return a, err
		}
		first = err
	}
	if stage == slot.Live {
		live, digest, err := g.record(slot.Live)
		if err != nil {
			return nil, err
		}
		if live != nil && !g.on(live) && (paper == nil || !live.Same(paper)) {
			return g.approve(ctx, policy, stage, live, digest)
		}
	}
	return nil, first
}

// on says whether a live record is in force.
func (g ground) on(live *slot.Record) bool { return live.Enabled && !g.dir.Stopped() }

// notOnPaper is the refusal for a root without a paper record.
func (g ground) notOnPaper(policy *compliance.Policy, stage slot.Stage) (refusal, err error) {
	demo, _, err := g.record(slot.Demo)
	if err != nil {
		return nil, err
	}
	if demo == nil {
		return fault.New(fault.BundleMissing, "no version is installed in %q", g.dir.Path()).With("root", g.dir.Path()), nil
	}
	if policy == nil {
		return fault.New(fault.PolicyNone, "the site has no policy that says who may sign for stage %q", stage), nil
	}
	return fault.New(fault.NotSignedOff, "version %q is not signed off for stage %q", demo.Version, slot.Paper).
		With("version", demo.Version).With("stage", string(slot.Paper)), nil
}

// approve proves that a record's version has all sign-offs of a stage and of the rungs below.
func (g ground) approve(ctx context.Context, policy *compliance.Policy, stage slot.Stage, r *slot.Record, digest bundle.Digest) (*Approved, error) {
	t, err := g.tested(ctx, r, digest)
	if err != nil {
		return nil, err
	}
	return g.approveTested(ctx, policy, stage, t)
}

func (g ground) approveTested(ctx context.Context, policy *compliance.Policy, stage slot.Stage, t *Tested) (*Approved, error) {
	a := &Approved{token: token{g.in}, tested: t, stage: stage, stopSeen: g.dir.Stopped()}
	for _, s := range []slot.Stage{slot.Paper, slot.Live} {
		got, err := g.dir.Approvals(g.ledger, policy, s, t.record, t.auth.ManifestBytes())
		if err != nil {
			return nil, err
		}
		if err := g.fresh(ctx, policy, s, t, got); err != nil {
			return nil, err
		}
		if err := got.Closed(t.record.Version, compliance.Stage(s)); err != nil {
			return nil, err
		}
		a.signOffs = append(a.signOffs, got.SignOffs...)
		if s == stage {
			break
		}
	}
	if stage == slot.Live {
		if _, err := g.dir.EmergencySettled(g.ledger, policy, t.record, t.auth.ManifestBytes()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// standing says whether the version of a token is or was at a stage already: then its signatures count as they were
// judged when it came there, and only what they stand on must still be as it was (slot.Dir.CheckLadder).
func (g ground) standing(stage slot.Stage, t *Tested) (bool, error) {
	if edited, err := g.paperEdited(stage); edited || err != nil {
		return false, err
	}
	r, _, err := g.record(stage)
	return r.Same(t.record) || stage == slot.Live && r != nil && r.Previous.Same(t.record), err
}

// fresh refuses (E-SIGNOFF-VOID) signatures after which something changed, for a version that is not at the stage yet.
func (g ground) fresh(ctx context.Context, policy *compliance.Policy, stage slot.Stage, t *Tested, got *slot.Approvals) error {
	stale, err := g.stale(ctx, policy, stage, t, got)
	if err != nil || len(stale) == 0 {
		return err
	}
	return slot.Voided(got.Signed[stale[0].at], stage, stale[0].changed)
}

// staleSignature is one after which something changed.
type staleSignature struct {
	at      int // in Approvals
	changed []compliance.Change
}

// stale are the signatures of a stage after which something changed.
func (g ground) stale(ctx context.Context, policy *compliance.Policy, stage slot.Stage, t *Tested, got *slot.Approvals) ([]staleSignature, error) {
	standing, err := g.standing(stage, t)
	if err != nil || standing || len(got.Signed) == 0 {
		return nil, err
	}
	now, err := g.checklist(ctx, t, stage, policy, nil)
	if err != nil {
		return nil, err
	}
	var out []staleSignature
	for i, s := range got.Signed {
		if changed := s.Form.Changes(now); len(changed) > 0 {
			out = append(out, staleSignature{i, changed})
		}
	}
	return out, nil
}

// reinstalled remakes a candidate from an installed folder, to repeat its golden cases.
func (w *work) reinstalled(ctx context.Context, version, variant string) (*Candidate, error) {
	g := w.ground()
	if version == "" {
		demo, _, err := g.record(slot.Demo)
		if err != nil {
			return nil, err
		}
		if demo != nil {
			version = demo.Version
			if variant == "" {
				variant = demo.Variant
			}
		}
	}
	versions, err := w.dir.Versions()
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.Installed == nil || version != "" && v.Installed.Version != version || variant != "" && v.Installed.Variant != variant {
			continue
		}
		a, err := w.authenticInstalled(v.Folder)
		if err != nil {
			return nil, err
		}
		if err := w.dir.VerifyFolder(ctx, a, v.Folder, v.Installed.Variant, nil); err != nil {
			return nil, err
		}
		lib, err := w.library(ctx, a.Manifest())
		if err != nil {
			return nil, err
		}
		f := &Fitted{token: token{w.in}, auth: a, order: []string{v.Installed.Variant}, library: lib}
		return &Candidate{token: token{w.in}, fit: f, folder: v.Folder}, nil
	}
	if version == "" {
		return nil, fault.New(fault.BundleMissing, "no version is installed in %q", w.in.c.Root).With("root", w.in.c.Root)
	}
	return nil, unknownVersion(version)
}

func (w *work) authenticInstalled(folder string) (*verify.Authentic, error) {
	store, err := w.dir.Roots()
	if err != nil {
		return nil, err
	}
	return w.dir.Authentic(store, folder, judgedBy(w.ledger, store, folder))
}

// judgedBy is the trust root by which a folder was installed; the vendor's newest when the log does not say.
func judgedBy(l *slot.Ledger, store *verify.Store, folder string) slot.Judged {
	by := slot.Judged{}
	for _, m := range l.Done(slot.EventActivate) {
		if n, err := strconv.Atoi(m.Info[slot.InfoTrustRoot]); err == nil && m.Path == folder {
			by = slot.Judged{TrustRoot: n, Emergency: slot.EmergencyOf(m)}
		}
	}
	if by.TrustRoot > 0 {
		return by
	}
	for _, r := range store.Describe() {
		if r.Of == verify.Oem {
			return slot.Judged{TrustRoot: r.Version}
		}
	}
	return slot.Judged{TrustRoot: 1}
}

// evidence is what the program found out itself, for a checklist.
func (g ground) evidence(ctx context.Context, t *Tested, stage slot.Stage, heads map[string]slot.Head) (compliance.Evidence, error) {
	m, r := t.auth.Manifest(), t.record
	if stage == slot.Live { // what went through paper is what goes live: the proof is the one that paper stood on
		paper, _, err := g.record(slot.Paper)
		if err != nil {
			return nil, err
		}
		if paper.Same(r) {
			r = paper
		}
	}
	files, err := m.VariantPaths(r.Variant)
	if err != nil {
		return nil, err
	}
	integrity := map[string]string{"manifest_sha384": t.auth.ManifestSHA384().String(), "files": strconv.Itoa(len(files)),
		"trust_root": strconv.Itoa(t.auth.RootVersion())}
	if r.Emergency != nil { // whoever signs the stage sees it
		integrity["emergency"], integrity["emergency_by"] = r.Emergency.Reason, r.Emergency.By
	}
	for i, s := range t.auth.Signers() {
		integrity["signer_"+strconv.Itoa(i+1)] = s.Fingerprint
	}
	sources, err := g.sources(r.Folder+"/"+slot.ManifestFile, r.Folder+"/"+slot.SigFile,
		slot.KeysDir+"/"+string(verify.Oem)+"/"+strconv.Itoa(t.auth.RootVersion())+".root.json")
	if err != nil {
		return nil, err
	}
	found := r.ProofFacts()
	found[compliance.EvidenceManifest] = compliance.Fact{Passed: true, Values: integrity, Sources: sources}
	if len(m.Quality) > 0 {
		f := compliance.QualityFact(m.Quality)
		for _, q := range m.Quality {
			if a := m.Artifact(q.Report); a != nil && slices.Contains(files, a.Path) {
				f.Sources = append(f.Sources, compliance.Source{Path: r.Folder + "/" + a.Path, SHA384: a.SHA384, Size: a.Size})
			}
		}
		found[compliance.EvidenceQuality] = f
	}
	if fact := logFact(stage, heads); fact != nil {
		found[compliance.EvidenceLog] = *fact
	}
	if stage == slot.Live {
		if fact := g.wayBack(ctx, r); fact != nil {
			found[compliance.EvidenceRollback] = *fact
		}
	}
	return found, nil
}

// sources are files below the root that evidence opens.
func (g ground) sources(names ...string) ([]compliance.Source, error) {
	var out []compliance.Source
	for _, name := range names {
		raw, err := g.dir.Read(name, slot.MaxManifest)
		if err != nil {
			return nil, err
		}
		out = append(out, compliance.Source{Path: name, SHA384: slot.Sum(raw), Size: int64(len(raw))})
	}
	return out, nil
}

// logFact tells of the verified logs; nil, not available, while the stage below has none.
func logFact(stage slot.Stage, heads map[string]slot.Head) *compliance.Fact {
	below := slot.Demo
	if stage == slot.Live {
		below = slot.Paper
	}
	if heads[below.Log()].Entries == 0 {
		return nil
	}
	f := &compliance.Fact{Passed: true, Values: map[string]string{}}
	for name, h := range heads {
		f.Values[name+"_entries"], f.Values[name+"_sha384"] = strconv.Itoa(h.Entries), h.SHA384.String()
	}
	return f
}

// wayBack tells of the version that a rollback would return to, its signature and bytes proven; nil, not available,
// where nothing was live before.
func (g ground) wayBack(ctx context.Context, r *slot.Record) *compliance.Fact {
	live, _, err := g.record(slot.Live)
	if err != nil {
		return &compliance.Fact{Values: map[string]string{"problem": string(fault.CodeOf(err))}}
	}
	way := live
	if live.Same(r) {
		way = live.Previous
	}
	if way == nil {
		return nil
	}
	f := &compliance.Fact{Values: map[string]string{"version": way.Version, "variant": way.Variant, "manifest_sha384": way.ManifestSHA384.String()}}
	f.Sources, _ = g.sources(way.Folder + "/" + slot.ManifestFile) // what is wrong with it, the verification says
	store, err := g.dir.Roots()
	if err == nil {
		_, err = g.dir.Verify(ctx, store, way, nil)
	}
	if fault.CodeOf(err) == fault.Revoked { // intact, but there is no returning to it: as on a first version
		return nil
	}
	if f.Passed = err == nil; err != nil {
		f.Values["problem"] = string(fault.CodeOf(err))
	}
	return f
}

// statusOf is the status that an outcome of a stage's record has in the log.
func statusOf(s slot.Stage) string {
	switch s {
	case slot.Paper:
		return audit.StatusPaperReady
	case slot.Live:
		return audit.StatusLiveReady
	}
	return audit.StatusDemoReady
}
