package gate

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// judge looks at one root. Nothing of an earlier look counts in a later one.
type judge struct {
	o      Options
	path   string
	answer *Answer
	look
}

// look is what one look found.
type look struct {
	dir    *slot.Dir
	store  *verify.Store
	record *slot.Record  // of the stage, nil when there is none
	digest bundle.Digest // of that record as it was read
	pulse  string        // of the root when the look began
	begun  bool          // the decision logs have entries
	ledger *slot.Ledger
	lines  map[audit.Log][]audit.Line
	policy *compliance.Policy
	auth   *verify.Authentic
	before map[string]fs.FileInfo // files of the version folder as they were before they were verified
	models *Models
}

func (j *judge) close() {
	if j.dir != nil {
		_ = j.dir.Close()
	}
}

// moved says whether a writer was at work since this look began.
func (j *judge) moved() bool { return j.dir != nil && j.dir.Pulse() != j.pulse }

// run gives the first refusal that applies: no models (exit 4), not intact (3), closed (7), engine (6).
func (j *judge) run(ctx context.Context) error {
	j.close()
	j.look = look{ledger: &slot.Ledger{}, lines: map[audit.Log][]audit.Line{}}
	*j.answer = Answer{Stage: j.o.Stage, Artifacts: []AnswerArtifact{}, Fallback: FallbackDisabled}
	logErr, err := j.present()
	if err != nil || j.answer.Fallback == FallbackAllowed {
		return err
	}
	record, err := j.intact(ctx)
	if err != nil {
		return err
	}
	if err := j.stopped(); err != nil { // before the log: it is why the gate is closed, whatever else may be wrong
		return err
	}
	if logErr != nil {
		return logErr
	}
	if err := j.mayTrade(ctx, record); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.models, err = load(ctx, j, record); err != nil {
		return err
	}
	j.models.answer = j.answer
	if e := j.answer.Emergency; e != nil && e.SecondsLeft > 0 {
		j.models.window = j.window(record.Emergency.Window)
	}
	if err := j.stopped(); err != nil { // loading takes its time
		err = errors.Join(err, j.models.Close())
		j.models = nil
		return err
	}
	return nil
}

// stopped refuses a live stage that was switched off by a marker: no lock and no key are needed for that.
func (j *judge) stopped() error {
	if j.o.Stage != slot.Live {
		return nil
	}
	return j.dir.CheckStop()
}

// present answers whether there are models at all. What is wrong with the logs is returned for later: it comes after the
// models' own faults.
func (j *judge) present() (logErr, err error) {
	missing := func() error {
		return fault.New(fault.BundleMissing, "there are no models in %q", j.path).With("root", j.path)
	}
	j.dir, err = slot.Open(j.path)
	if fault.CodeOf(err) == fault.BundleMissing {
		if j.o.Require {
			return nil, missing()
		}
		j.answer.Fallback = FallbackAllowed
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	j.pulse = j.dir.Pulse()
	logErr = j.readLogs()
	if j.hasModels() {
		return logErr, nil
	}
	never := !j.begun && logErr == nil && !j.dir.Exists(slot.PolicyFile) && j.dir.Traces() == ""
	if j.o.Require || !never {
		return nil, missing()
	}
	j.answer.Fallback = FallbackAllowed
	return nil, nil
}

// hasModels says whether any record or version folder is there.
func (j *judge) hasModels() bool {
	for _, s := range slot.Stages() {
		if j.dir.Exists(s.RecordFile()) {
			return true
		}
	}
	versions, err := j.dir.Versions()
	return err != nil || len(versions) > 0
}

// readLogs verifies the decision logs and reads what they say about files. A log is begun when its file is not empty,
// whatever is in it.
func (j *judge) readLogs() error {
	entries, err := j.dir.List(slot.AuditDir)
	if err != nil {
		j.begun = true
		return fault.New(fault.LogBroken, "the decision logs: %w", err)
	}
	for _, e := range entries {
		if fi, err := e.Info(); err != nil || fi.Size() > 0 {
			j.begun = true
		}
	}
	logs, err := j.logs()
	if errors.Is(err, fs.ErrNotExist) && !j.begun {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.LogBroken, "the machine's key is gone, so the logs cannot be verified: %w", err)
	}
	if err != nil {
		return err
	}
	for _, log := range audit.All() {
		if _, err := logs.Verify(log, audit.VerifyOptions{Heads: j.heads(log)}); err != nil {
			return err
		}
		lines, err := logs.Read(log, audit.Filter{})
		if err != nil {
			return err
		}
		j.lines[log] = lines
		for _, l := range lines {
			e := l.Entry
			if m, ok := slot.NewMark(string(log), l.Number, e.Event, e.Actor, e.Artefacts, e.Detail); ok {
				j.ledger.Add(m)
			}
		}
	}
	return nil
}

// logs opens the decision logs for reading.
func (j *judge) logs() (*audit.Logs, error) {
	pub, err := j.dir.MachinePublicKey()
	if err != nil {
		return nil, err
	}
	return audit.Open(audit.Options{Dir: j.dir.Abs(slot.AuditDir), NextDir: j.dir.Abs(slot.MachineDir), Public: pub.Bytes(), Clock: j.o.Clock}), nil
}

// heads are the states of a log that the stage records hold: it must have gone through them.
func (j *judge) heads(log audit.Log) []audit.Head {
	var out []audit.Head
	for _, s := range slot.Stages() {
		r, _, err := j.dir.Record(s)
		if err != nil || r == nil {
			continue
		}
		if h, ok := r.Logs[string(log)]; ok {
			out = append(out, audit.Head(h))
		}
	}
	return out
}

// intact proves signature and bytes of what the stage's record names or, where it has none, of the version that has
// come furthest: models that are damaged are said to be damaged, not only unsigned.
func (j *judge) intact(ctx context.Context) (*slot.Record, error) {
	var err error
	if j.store, err = j.dir.Roots(); err != nil {
		return nil, err
	}
	if j.record, j.digest, err = j.dir.Record(j.o.Stage); err != nil {
		return nil, err
	}
	record := j.record
	if record == nil {
		for _, s := range []slot.Stage{slot.Paper, slot.Demo} {
			if r, _, rerr := j.dir.Record(s); rerr == nil && r != nil {
				record = r
				break
			}
		}
	}
	if record == nil {
		return nil, nil // installed, but nothing ever passed its smoke test
	}
	j.describe(record)
	j.before = map[string]fs.FileInfo{}
	_ = fs.WalkDir(j.dir.Root().FS(), record.Folder, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil // the verification says what is wrong
		}
		// Not e.Info(): on Windows a listing tells identities on some file systems only, and the comparison wants one.
		if fi, err := j.dir.Root().Lstat(p); err == nil {
			j.before[p] = fi
		}
		return nil
	})
	j.auth, err = j.dir.Verify(ctx, j.store, record, nil)
	if err != nil {
		return nil, err
	}
	return record, j.list(record)
}

func (j *judge) describe(r *slot.Record) {
	a := j.answer
	a.ModelFamily, a.Version, a.Variant = r.ModelFamily, r.Version, r.Variant
	a.BundlePath, a.ManifestSHA384 = j.dir.Abs(r.Folder), r.ManifestSHA384
	if e := r.Emergency; e != nil {
		o := j.ledger.Emergency(r)
		a.Emergency = &AnswerEmergency{Reason: e.Reason, By: e.By, At: e.At, ReviewOwed: o == nil || o.Review == ""}
	}
	e := r.Engine
	a.Engine = &e
}

func (j *judge) list(r *slot.Record) error {
	m := j.auth.Manifest()
	paths, err := m.VariantPaths(r.Variant)
	if err != nil {
		return err
	}
	for _, p := range paths {
		art := m.Artifact(p)
		j.answer.Artifacts = append(j.answer.Artifacts, AnswerArtifact{Path: j.dir.Abs(r.Folder + "/" + p), Size: art.Size,
			SHA384: art.SHA384, Role: art.Role})
	}
	return nil
}

// mayTrade proves what people and the log say about the stage.
func (j *judge) mayTrade(ctx context.Context, found *slot.Record) error {
	if err := j.unedited(); err != nil {
		return err
	}
	var err error
	if j.policy, err = j.dir.Policy(j.store, j.ledger); err != nil {
		return err
	}
	if err := slot.CheckClosing(j.store, j.policy, j.ledger.Evidence(j.o.Built)); err != nil {
		return err
	}
	if j.record == nil {
		return j.notThere(found)
	}
	r := j.record
	if err := j.dir.CheckMachine(ctx, r.Machine); err != nil {
		return err
	}
	if !r.Enabled {
		return fault.New(fault.NotLive, "live is switched off: %q", r.Reason).With("stage", string(r.Stage)).With("version", r.Version)
	}
	if r.Stage == slot.Demo {
		return nil
	}
	if err := j.dir.CheckLadder(j.ledger, j.policy, r, j.auth.ManifestBytes()); err != nil {
		return err
	}
	if err := j.dir.CheckRollback(j.ledger, j.policy, r, j.auth.ManifestBytes()); err != nil {
		return err
	}
	return j.emergency(r)
}

// unedited compares all records, policies, trust roots and revocation lists with what the logs last made them, and the published key of
// the vendor with its trust root.
func (j *judge) unedited() error {
	have := slot.Absent
	if j.record != nil {
		have = j.digest.String()
	}
	if err := j.ledger.Check(j.o.Stage.RecordFile(), have); err != nil {
		return err
	}
	names := []string{}
	for _, s := range slot.Stages() {
		if s != j.o.Stage {
			names = append(names, s.RecordFile())
		}
	}
	for _, name := range j.ledger.Below(slot.ModelsDir + "/") {
		if !strings.HasPrefix(name, slot.BundlesDir+"/") && name != j.o.Stage.RecordFile() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		have, err := j.dir.Have(name)
		if err != nil {
			return err
		}
		if err := j.ledger.Check(name, have); err != nil {
			return err
		}
	}
	return j.dir.CheckTrust(j.ledger, j.store)
}

// notThere says what is missing before the stage has a record.
func (j *judge) notThere(found *slot.Record) error {
	if found == nil {
		return fault.New(fault.StageOrder, "a version is installed, but none has passed its smoke test").With("stage", string(j.o.Stage))
	}
	if j.o.Stage == slot.Demo {
		return fault.New(fault.StageOrder, "version %q has no demo record", found.Version).With("version", found.Version)
	}
	for _, s := range []slot.Stage{slot.Paper, slot.Live} {
		a, err := j.dir.Approvals(j.ledger, j.policy, s, found, j.auth.ManifestBytes())
		if err != nil {
			return err
		}
		if err := a.Closed(found.Version, compliance.Stage(s)); err != nil {
			return err
		}
		if s == j.o.Stage {
			break
		}
	}
	return fault.New(fault.NotLive, "version %q is signed off, but stage %q is not switched on", found.Version, j.o.Stage).
		With("version", found.Version).With("stage", string(j.o.Stage))
}
