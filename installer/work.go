package installer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/verify"
)

// lockPatience is how long a step waits for the lock: the gate of a bot holds it for the moment of one log entry.
// stopPatience is how long switching live off waits; it has taken effect before.
const (
	lockPatience = 2 * time.Second
	stopPatience = time.Second
)

// statusAbandoned concludes an intent whose change did not take place.
const statusAbandoned = "abandoned"

// work is one writing step: the lock is held, the logs are verified and every intent has its outcome.
type work struct {
	in     *Installer
	dir    *slot.Dir
	lock   *fsx.Held
	key    ed25519.PrivateKey
	logs   *audit.Logs
	ledger *slot.Ledger
	actor  string
	halted bool              // this step settled a stop
	facts  map[string]string // what refusals in this step are about: source, version, manifest

	emergency bool // this step is about a version that was installed by emergency: each entry says so
}

// demands are what a writing step asks for.
type demands struct {
	what     string // name of the step in the log
	actor    string // empty: Config.Operator
	stage    slot.Stage
	urgent   bool          // it must work on a broken log too: it only ever closes the gate
	patience time.Duration // for the lock; zero: lockPatience
}

// write runs one writing step: write access and file system are checked, the lock is taken, what a power cut left is
// settled; a refusal is logged.
func write[T any](ctx context.Context, in *Installer, d demands, step func(w *work) (T, error)) (T, error) {
	var none T
	if d.stage == "" {
		d.stage = slot.Demo
	}
	if d.actor == "" {
		d.actor = in.c.Operator
	}
	if d.urgent {
		d.actor = fitWords(d.actor)
	}
	if err := checkWords("operator", d.actor); err != nil {
		return none, in.unlogged(err)
	}
	if !in.working.TryLock() {
		return none, in.unlogged(fault.New(fault.Locked, "another step is at work in this program"))
	}
	defer in.working.Unlock()
	w, err := in.enter(ctx, d)
	if err != nil {
		if w == nil {
			return none, in.unlogged(err)
		}
		defer w.leave()
		return none, w.refuse(d, err)
	}
	defer w.leave()
	out, err := step(w)
	if err != nil {
		return none, w.refuse(d, err)
	}
	return out, nil
}

// preflight is checked before a bundle is opened and before anything is written.
func (in *Installer) preflight() error {
	if err := fsx.CheckFS(in.c.Root); err != nil {
		return err
	}
	return fsx.WritableProbe(in.c.Root)
}

// enter prepares a writing step. When it returns both a work and an error, the error can be logged.
func (in *Installer) enter(ctx context.Context, d demands) (*work, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	if err := in.preflight(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(in.c.Root, 0o755); err != nil {
		return nil, fsx.Classify(err, "making", in.c.Root)
	}
	lock, err := in.takeLock(ctx, d)
	if err != nil {
		return nil, err
	}
	dir, err := slot.Open(in.c.Root)
	if err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	w := &work{in: in, dir: dir, lock: lock, actor: d.actor, ledger: &slot.Ledger{}, facts: map[string]string{}}
	if w.actor == "" {
		w.actor = fsx.Account()
	}
	w.logs = in.logs(nil) // until the key is there: it takes no entry
	if err := w.prepare(ctx); err != nil {
		if d.urgent && alive(ctx) == nil {
			return w, nil // without a log, but closing must not fail for that
		}
		w.leave()
		return nil, err
	}
	if err := w.settle(ctx); err != nil && !d.urgent {
		return w, err
	}
	return w, nil
}

func (in *Installer) takeLock(ctx context.Context, d demands) (*fsx.Held, error) {
	holder := d.what
	if d.actor != "" {
		holder += " by " + d.actor
	}
	if d.patience == 0 {
		d.patience = lockPatience
	}
	for start := time.Now(); ; {
		lock, err := fsx.Lock(in.abs(slot.LockFile), holder)
		if fault.CodeOf(err) != fault.Locked || time.Since(start) > d.patience {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, alive(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// prepare makes the folders and the machine key of a new root.
func (w *work) prepare(ctx context.Context) error {
	for _, name := range []string{slot.KeysDir, slot.BundlesDir, slot.AuditDir, slot.ReportsDir, slot.MachineDir, slot.StagingDir, slot.LeasesDir} {
		if err := fsx.MkdirAll(w.dir.Root(), name, 0o755); err != nil {
			return err
		}
	}
	key, err := w.dir.EnsureMachineKey(w.in.c.Rand)
	if err != nil {
		return err
	}
	w.key = key
	w.logs = w.in.logs(key)
	return alive(ctx)
}

func (in *Installer) logs(key ed25519.PrivateKey) *audit.Logs {
	return audit.Open(audit.Options{Dir: in.abs(slot.AuditDir), NextDir: in.abs(slot.MachineDir), Key: key, Clock: in.c.Clock, Rand: in.c.Rand})
}

// settle completes torn logs, verifies them and concludes each intent that a power cut left without outcome.
func (w *work) settle(ctx context.Context) error {
	for _, log := range audit.All() {
		if err := w.logs.Settle(log); err != nil {
			return err
		}
	}
	ledger, _, err := readLedger(w.dir, w.logs)
	if err != nil {
		return err
	}
	w.ledger = ledger
	for _, m := range ledger.Pending() {
		if err := alive(ctx); err != nil {
			return err
		}
		if err := w.conclude(m); err != nil {
			return err
		}
	}
	if err := w.settleStop(); err != nil {
		return err
	}
	if err := w.dropScratch(); err != nil {
		return err
	}
	for _, dir := range []string{slot.ModelsDir, slot.PoliciesDir, slot.ReportsDir, slot.MachineDir, slot.BinDir} {
		if !w.dir.Exists(dir) {
			continue
		}
		if _, err := fsx.RemoveTemps(w.dir.Root(), dir); err != nil {
			return err
		}
	}
	w.finishPaper(ctx)
	w.settleTrust()
	return w.remember()
}

// conclude looks at the path of an intent without outcome and writes the outcome.
func (w *work) conclude(m slot.Mark) error {
	have, err := w.dir.Have(m.Path)
	if err != nil {
		return err
	}
	o := outcome{op: m.Op, event: m.Event, status: statusAbandoned, result: slot.ResultOld, settled: true, artefacts: m.Artefacts}
	if have == m.Becomes {
		o.status, o.result = m.Info[slot.InfoThen], slot.ResultNew
	}
	return w.outcome(audit.Log(m.Log), stageOf(audit.Log(m.Log)), o)
}

// remember brings state.json up to what the ledger says, and the link to the newest tested version.
func (w *work) remember() error {
	s, err := w.dir.State()
	if err != nil {
		return err
	}
	if mergeState(s, w.ledger) {
		if err := w.dir.WriteState(s); err != nil {
			return err
		}
	}
	rec, _, err := w.dir.Record(slot.Demo)
	if err != nil || rec == nil {
		return nil // whoever needs the record says what is wrong with it
	}
	if w.dir.Exists(rec.Folder) && w.dir.Latest() != rec.Folder {
		_ = w.dir.PointLatest(rec.Folder) // a convenience
	}
	return nil
}

// mergeState adds to the memory what the logs say; the stricter of both counts.
func mergeState(s *slot.State, l *slot.Ledger) bool {
	changed := false
	for _, m := range l.Done(slot.EventActivate) {
		d, err := bundle.ParseDigest(m.Info[slot.InfoManifest])
		if err != nil || bundle.ValidVersion(m.Info[slot.InfoVersion]) != nil {
			continue
		}
		changed = s.Remember(m.Info[slot.InfoFamily], m.Info[slot.InfoVersion], d, false) || changed
	}
	for _, m := range l.Done(slot.EventRecord) {
		d, err := bundle.ParseDigest(m.Info[slot.InfoManifest])
		if m.Info[slot.InfoThen] != audit.StatusLiveReady || err != nil || bundle.ValidVersion(m.Info[slot.InfoVersion]) != nil {
			continue
		}
		changed = s.Remember(m.Info[slot.InfoFamily], m.Info[slot.InfoVersion], d, true) || changed
	}
	return changed
}

func (w *work) leave() {
	_ = w.lock.Unlock()
	_ = w.dir.Close()
}

func stageOf(log audit.Log) slot.Stage {
	for _, s := range slot.Stages() {
		if audit.Log(s.Log()) == log {
			return s
		}
	}
	return slot.Demo
}

// readLedger verifies the logs and reads their marks. It needs no lock.
func readLedger(dir *slot.Dir, logs *audit.Logs) (*slot.Ledger, map[audit.Log]*audit.State, error) {
	heads := map[audit.Log][]audit.Head{}
	for _, stage := range slot.Stages() {
		rec, _, err := dir.Record(stage)
		if err != nil || rec == nil {
			continue // an edited record is named by whoever uses it
		}
		for name, h := range rec.Logs {
			heads[audit.Log(name)] = append(heads[audit.Log(name)], audit.Head(h))
		}
	}
	l := &slot.Ledger{}
	states := map[audit.Log]*audit.State{}
	for _, log := range audit.All() {
		state, err := logs.Verify(log, audit.VerifyOptions{Heads: heads[log]})
		if err != nil {
			return nil, nil, err
		}
		states[log] = state
		lines, err := logs.Read(log, audit.Filter{})
		if err != nil {
			return nil, nil, err
		}
		for _, line := range lines {
			e := line.Entry
			if m, ok := slot.NewMark(string(log), line.Number, e.Event, e.Actor, e.Artefacts, e.Detail); ok {
				l.Add(m)
			}
		}
	}
	return l, states, nil
}

// view is a reading step: no lock, nothing written.
type view struct {
	dir    *slot.Dir
	ledger *slot.Ledger
	states map[audit.Log]*audit.State
	logs   *audit.Logs
	pulse  string
}

// look opens the root for reading. A root without machine key has an empty ledger.
func (in *Installer) look() (*view, error) {
	dir, err := slot.Open(in.c.Root)
	if err != nil {
		return nil, err
	}
	v := &view{dir: dir, ledger: &slot.Ledger{}, states: map[audit.Log]*audit.State{}, pulse: dir.Pulse()}
	pub, err := dir.MachinePublicKey()
	if errors.Is(err, fs.ErrNotExist) {
		if entries, lerr := dir.List(slot.AuditDir); lerr == nil && len(entries) > 0 {
			err = fault.New(fault.LogBroken, "the machine's key is gone, so the logs cannot be verified: %w", err)
		} else {
			return v, nil
		}
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	v.logs = audit.Open(audit.Options{Dir: dir.Abs(slot.AuditDir), NextDir: dir.Abs(slot.MachineDir), Public: pub.Bytes(), Clock: in.c.Clock})
	if v.ledger, v.states, err = readLedger(dir, v.logs); err != nil {
		dir.Close()
		return nil, err
	}
	return v, nil
}

func (v *view) close() { _ = v.dir.Close() }

// change is one announced change of one path.
type change struct {
	log       audit.Log
	event     string
	path      string
	becomes   string // digest in hexadecimal, or slot.Absent
	then      string // status once it took place
	artefacts map[string]string
	info      map[string]string
	flags     map[string]string
}

// perform writes the intent, makes the change and writes the outcome. Whatever do returns, the outcome says what the
// path really is.
func (w *work) perform(c change, do func() error) error {
	op, err := newOp()
	if err != nil {
		return err
	}
	stage := stageOf(c.log)
	detail := map[string]any{slot.DetailOp: op, slot.DetailPath: c.path, slot.DetailBecomes: c.becomes, slot.InfoThen: c.then}
	for k, v := range c.info {
		detail[k] = v
	}
	e := audit.Entry{Stage: string(stage), Status: audit.StatusIntent, Event: c.event, Actor: w.actor,
		Artefacts: c.artefacts, RuntimeFlags: c.flags, Detail: detail}
	if err := w.append(c.log, e); err != nil {
		return err
	}
	w.in.point("intent " + c.event)
	doErr := do()
	w.in.point("changed " + c.event)
	o := outcome{op: op, event: c.event, status: c.then, result: slot.ResultNew, artefacts: c.artefacts, flags: c.flags, err: doErr}
	have, err := w.dir.Have(c.path)
	if err != nil || have != c.becomes {
		o.status, o.result = statusAbandoned, slot.ResultOld
		if doErr == nil {
			doErr = fault.New(fault.Internal, "after %s %q is not what was announced", c.event, c.path)
			o.err = doErr
		}
	}
	if err := w.outcome(c.log, stage, o); err != nil && doErr == nil {
		return err
	}
	w.in.point("outcome " + c.event)
	return doErr
}

type outcome struct {
	op, event, status, result string
	artefacts, flags          map[string]string
	settled                   bool
	err                       error
}

func (w *work) outcome(log audit.Log, stage slot.Stage, o outcome) error {
	detail := map[string]any{slot.DetailOp: o.op, slot.DetailResult: o.result}
	if o.settled {
		detail["settled"] = true
	}
	e := audit.Entry{Stage: string(stage), Status: o.status, Event: o.event, Actor: w.actor, Artefacts: o.artefacts,
		RuntimeFlags: o.flags, Detail: detail}
	if o.err != nil {
		e.Code = string(fault.CodeOf(o.err))
		detail["message"] = o.err.Error()
	}
	return w.append(log, e)
}

// append writes one entry and takes its mark into the ledger.
func (w *work) append(log audit.Log, e audit.Entry) error {
	w.mark(&e)
	out, err := w.logs.Append(log, e)
	if err != nil {
		return err
	}
	if m, ok := slot.NewMark(string(log), 0, out.Event, out.Actor, out.Artefacts, out.Detail); ok {
		w.ledger.Add(m)
	}
	return nil
}

// mark says of an entry that it is about a version that was installed by emergency.
func (w *work) mark(e *audit.Entry) {
	if w.emergency {
		e.RuntimeFlags = maps.Clone(e.RuntimeFlags)
		if e.RuntimeFlags == nil {
			e.RuntimeFlags = map[string]string{}
		}
		e.RuntimeFlags[slot.FlagEmergency] = "yes"
	}
}

// note writes an entry that announces nothing.
func (w *work) note(log audit.Log, event, status string, artefacts, flags map[string]string, detail map[string]any) error {
	return w.append(log, audit.Entry{Stage: string(stageOf(log)), Status: status, Event: event, Actor: w.actor,
		Artefacts: artefacts, RuntimeFlags: flags, Detail: detail})
}

// writeFile replaces a file as an announced change.
func (w *work) writeFile(c change, data []byte, perm fs.FileMode) error {
	c.becomes = slot.Sum(data).String()
	return w.perform(c, func() error { return fsx.WriteFile(w.dir.Root(), c.path, data, perm) })
}

// heads are the logs as they stand now, for records and decisions.
func (w *work) heads() (map[string]slot.Head, error) {
	out := map[string]slot.Head{}
	for _, log := range audit.All() {
		h, err := w.logs.Head(log)
		if err != nil {
			return nil, err
		}
		if h.Entries > 0 {
			out[string(log)] = slot.Head(h)
		}
	}
	return out, nil
}

// refuse logs a refusal and gives it its incident id. A cancelled step is none.
func (w *work) refuse(d demands, err error) error {
	var r *Refusal
	if errors.As(err, &r) || fault.CodeOf(err) == fault.Cancelled {
		return err
	}
	detail := map[string]any{}
	maps.Copy(detail, fault.DetailOf(err))
	for k, v := range w.facts {
		if _, there := detail[k]; !there {
			detail[k] = v
		}
	}
	for _, k := range []string{slot.DetailOp, slot.DetailBecomes, slot.DetailResult} {
		delete(detail, k) // a refusal is no mark
	}
	detail["message"] = err.Error()
	e := audit.Entry{Stage: string(d.stage), Status: audit.StatusRefused, Event: d.what, Actor: w.actor,
		Code: string(fault.CodeOf(err)), Detail: detail}
	w.mark(&e)
	out, lerr := w.logs.Append(audit.Log(d.stage.Log()), e)
	if lerr != nil {
		return w.in.unlogged(err)
	}
	return &Refusal{err: err, incident: out.Incident, logged: true}
}

// unlogged gives a refusal that no log can take an incident id all the same.
func (in *Installer) unlogged(err error) error {
	var r *Refusal
	if err == nil || errors.As(err, &r) || fault.CodeOf(err) == fault.Cancelled {
		return err
	}
	id, ierr := audit.NewIncident(in.c.Rand)
	if ierr != nil {
		return err
	}
	return &Refusal{err: err, incident: id}
}

// refuseRead logs the refusal of a step that only reads, where the root can be written and nobody is at work.
func (in *Installer) refuseRead(ctx context.Context, d demands, facts map[string]string, err error) error {
	if err == nil || fault.CodeOf(err) == fault.Cancelled {
		return err
	}
	_, out := write(ctx, in, d, func(w *work) (struct{}, error) {
		maps.Copy(w.facts, facts)
		return struct{}{}, err
	})
	if fault.CodeOf(out) != fault.CodeOf(err) { // the log would not take it: say what was refused, not why it was not logged
		return in.unlogged(err)
	}
	return out
}

func newOp() (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fault.New(fault.Internal, "drawing an operation's name: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

func (in *Installer) abs(name string) string {
	return filepath.Join(in.c.Root, filepath.FromSlash(name))
}

// reportPath finds a name under reports/ that is free: a second report of the same second gets a number.
func (w *work) reportPath(kind, version, suffix string) string {
	stamp := w.in.stamp()
	name := slot.ReportName(kind, version, stamp, suffix)
	for n := 2; w.dir.Exists(name); n++ {
		name = slot.ReportName(kind, version, fmt.Sprintf("%s-%d", stamp, n), suffix)
	}
	return name
}

// policy proves the site's policy; nil when there is none.
func (w *work) policy() (*compliance.Policy, error) {
	store, err := w.dir.Roots()
	if err != nil {
		return nil, err
	}
	return w.dir.Policy(store, w.ledger)
}

// history is what this root knows, from its memory and its logs, once its trust roots and policy are what the logs made them.
func history(in *Installer, dir *slot.Dir, l *slot.Ledger) (verify.History, error) {
	s, err := dir.State()
	if err != nil {
		return verify.History{}, err
	}
	mergeState(s, l)
	h := verify.History{Family: s.ModelFamily, Floor: s.Floor, Seen: s.Seen, Evidence: l.Evidence(in.c.Built).At, Clock: in.c.Clock()}
	for _, m := range l.Done(slot.EventActivate) {
		// The log is signed, the memory is not: where both speak, the log is right.
		if d, err := bundle.ParseDigest(m.Info[slot.InfoManifest]); err == nil && h.Seen != nil {
			h.Seen[m.Info[slot.InfoVersion]] = d
		}
	}
	store, err := dir.Roots()
	if err != nil {
		return h, err
	}
	if err := dir.CheckTrust(l, store); err != nil {
		return h, err
	}
	policy, err := dir.Policy(store, l)
	if err != nil {
		return h, err
	}
	if policy != nil {
		h.MaxAgeDays = policy.MaxAgeDays
	}
	return h, nil
}

// findPerson finds a person by id or name.
func findPerson(p *compliance.Policy, who string) (*compliance.Person, error) {
	if p == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy that says who may sign")
	}
	if who == "" {
		return nil, fault.New(fault.Usage, "no operator, want the id or name of a person in the site's policy")
	}
	if person := p.Person(who); person != nil {
		return person, nil
	}
	for i := range p.People {
		if strings.EqualFold(p.People[i].Name, who) {
			return &p.People[i], nil
		}
	}
	return nil, fault.New(fault.PolicyRefuses, "%q is not registered in the site's policy", who).With("person", who)
}

// base is a path's last part without its suffixes.
func base(name string) string {
	b, _, _ := strings.Cut(path.Base(name), ".")
	return b
}
