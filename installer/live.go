package installer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// GoLive switches an approved version on: everything is proven again, then the live record is replaced. The version
// that was live before is kept as the way back. Errors: E-STAGE-ORDER for an approval of paper, and those of Reapprove.
func (in *Installer) GoLive(ctx context.Context, a *Approved) (*slot.Record, error) {
	if !a.valid() || !a.token.of(in) {
		return nil, noToken("going live", "sign-off")
	}
	return write(ctx, in, demands{what: "live_enable", stage: slot.Live}, func(w *work) (*slot.Record, error) { return w.goLive(ctx, a) })
}

func (w *work) goLive(ctx context.Context, a *Approved) (*slot.Record, error) {
	if a.stage != slot.Live {
		return nil, fault.New(fault.StageOrder, "the approval is for stage %q, want live", a.stage).With("stage", string(a.stage))
	}
	if w.halted && !a.stopSeen {
		return nil, fault.New(fault.NotLive, "live was switched off since the approval was proven: begin again").With("stage", string(slot.Live))
	}
	g := w.ground()
	t, err := g.again(ctx, a.tested)
	if err != nil {
		return nil, err
	}
	w.about(t.auth)
	if err := g.sound(); err != nil {
		return nil, err
	}
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	fresh, err := g.approveTested(ctx, policy, slot.Live, t)
	if err != nil {
		return nil, err
	}
	ref, err := policyRef(policy)
	if err != nil {
		return nil, err
	}
	old, _, err := g.record(slot.Live)
	if err != nil {
		return nil, err
	}
	if rolledBackFrom(old, t.record) {
		return nil, fault.New(fault.PolicyRefuses, "version %q was rolled back from; only a signed rollback returns to it", t.record.Version).
			With("version", t.record.Version)
	}
	r := *t.record
	if r.Emergency, err = w.liveStart(policy, t); err != nil {
		return nil, err
	}
	r.Stage, r.Enabled, r.Attempts, r.Reason = slot.Live, true, nil, ""
	r.SignOffs, r.At, r.Operator, r.Policy = fresh.signOffs, w.in.now(), w.actor, ref
	r.Previous = nil
	if r.Rollback != nil && !old.Same(&r) {
		r.Rollback = nil
	}
	switch {
	case old.Same(&r):
		r.Previous, r.Rollback = old.Previous, old.Rollback
	case old != nil:
		back := *old
		back.Previous = nil
		r.Previous = &back
	}
	if err := w.switchOn(&r); err != nil {
		return nil, err
	}
	return &r, w.remember()
}

// sound refuses (E-RECORD-EDITED) a root whose lower rungs were edited: what is switched on must stand on them.
func (g ground) sound() error {
	for _, stage := range []slot.Stage{slot.Demo, slot.Paper} {
		if _, _, err := g.record(stage); err != nil {
			return err
		}
	}
	store, err := g.dir.Roots()
	if err != nil {
		return err
	}
	return g.dir.CheckTrust(g.ledger, store)
}

// rolledBackFrom says whether the live record came by a rollback away from that version.
func rolledBackFrom(live, r *slot.Record) bool {
	return live != nil && live.Rollback != nil && live.Previous.Same(r)
}

// Disable switches live off. It needs no key and no lock: a marker is written first, at which the gate is closed, also
// while an installation is at work, without the machine's key, on a broken log and on a full disk. Then it is taken into
// the live record and the log, now where that is possible within about a second, else by the next writing step:
// Status.Stop says so. Only GoLive and Rollback switch live on again.
// Errors: E-NOT-LIVE when nothing was ever live; E-ROOT-READONLY and others when nothing at all can be written.
func (in *Installer) Disable(ctx context.Context, operator, reason string) error {
	if err := alive(ctx); err != nil {
		return err
	}
	if operator == "" {
		operator = in.c.Operator
	}
	if operator == "" {
		operator = fsx.Account()
	}
	operator, reason = fitWords(operator), fitWords(reason) // a stop never fails for words
	stop := &slot.Stop{Schema: slot.StopSchema, At: in.now(), Operator: operator, Reason: reason}
	first := in.mark(stop, false)
	if fault.CodeOf(first) == fault.BundleMissing { // no root: do not make one
		return in.unlogged(nothingLive(in.c.Root))
	}
	in.point("stop marked")
	d := demands{what: "live_disable", actor: operator, stage: slot.Live, patience: stopPatience}
	_, err := write(ctx, in, d, func(w *work) (struct{}, error) { return struct{}{}, w.stopped(stop) })
	if err == nil || fault.CodeOf(err) == fault.NotLive {
		return err
	}
	// The marker says it, the record and the log follow. A writer at work may have settled the marker and still be on
	// its way to switch live on: then it must find another.
	if merr := in.mark(stop, true); merr != nil {
		return in.unlogged(merr)
	}
	return nil
}

func nothingLive(root string) error {
	return fault.New(fault.NotLive, "nothing is live in %q", root).With("root", root).With("stage", string(slot.Live))
}

// mark writes the stop marker; where nothing is live only with always, for a writer may be about to change that.
func (in *Installer) mark(stop *slot.Stop, always bool) error {
	dir, err := slot.Open(in.c.Root)
	if err != nil {
		return err
	}
	defer dir.Close()
	switch {
	case always && dir.Exists(slot.StopFile):
		return nil
	case !always && !dir.Exists(slot.Live.RecordFile()):
		return nil
	}
	return dir.WriteStop(stop)
}

// stopped makes sure that the record says off; settling the marker has done that already where there was one.
func (w *work) stopped(stop *slot.Stop) error {
	live, _, err := w.ground().record(slot.Live)
	if err != nil {
		return err
	}
	if live == nil {
		return nothingLive(w.in.c.Root)
	}
	return w.switchOff(live, stop)
}

// settleStop takes a stop marker into the live record and the log. Where the record is not what the log says, the marker
// stays: it keeps the gate closed, and whoever needs the record says what is wrong with it.
func (w *work) settleStop() error {
	raw, err := w.dir.TakeStop()
	if err != nil || raw == nil {
		return err
	}
	w.halted = true
	w.in.point("stop taken")
	stop := slot.ParseStop(raw)
	live, err := w.stoppedRecord(raw)
	if err != nil {
		return nil
	}
	settler := w.actor
	if stop.Operator != "" {
		w.actor = stop.Operator
	}
	defer func() { w.actor = settler }()
	if err := w.note(audit.Live, "live_stop", statusLiveOff, nil, nil,
		map[string]any{"at": stop.At, "reason": stop.Reason, "settled_by": settler}); err != nil {
		return err
	}
	if live != nil {
		if err := w.switchOff(live, stop); err != nil {
			return err
		}
	}
	w.in.point("stop settled")
	return w.dir.StopSettled()
}

// stoppedRecord is the live record that a stop is about, nil when there is none. On a full disk it may be the marker itself.
func (w *work) stoppedRecord(marker []byte) (*slot.Record, error) {
	name := slot.Live.RecordFile()
	if !w.dir.Exists(name) {
		r, err := slot.ParseRecord(slot.Live, marker)
		if err == nil && w.ledger.Check(name, slot.Sum(marker).String()) == nil {
			r.Enabled = true // written back even if it said off
			return r, nil
		}
	}
	r, _, err := w.ground().record(slot.Live)
	return r, err
}

// switchOff replaces the live record by one that says off.
func (w *work) switchOff(live *slot.Record, stop *slot.Stop) error {
	if !live.Enabled {
		return nil
	}
	r := *live
	r.Enabled, r.Reason, r.At, r.Operator = false, stop.Reason, w.in.now(), w.actor
	_, err := w.putRecord(&r, statusLiveOff)
	return err
}

// switchOn replaces the live record by one that says on, unless live was stopped meanwhile: a stop that came after this
// step had begun wins.
func (w *work) switchOn(r *slot.Record) error {
	if err := w.dir.CheckStop(); err != nil {
		return err
	}
	if _, err := w.putRecord(r, audit.StatusLiveReady); err != nil {
		return err
	}
	return w.dir.CheckStop()
}

// LeaseClear takes a person's word that a bot has stopped, for one that cannot confirm it any more: its lease goes, and the
// log says who said so. Error: E-LEASE when there is no such lease.
func (in *Installer) LeaseClear(ctx context.Context, name, operator, reason string) error {
	if operator == "" {
		return fault.New(fault.Usage, "no operator, want who says that the bot has stopped")
	}
	_, err := write(ctx, in, demands{what: "lease_clear", actor: operator, stage: slot.Live}, func(w *work) (struct{}, error) {
		l, err := w.dir.Lease(name)
		if errors.Is(err, fs.ErrNotExist) {
			return struct{}{}, fault.New(fault.Lease, "there is no lease %q", name).With("name", name)
		}
		detail := map[string]any{"bot": name, "reason": reason}
		if err == nil {
			detail["version"], detail["renewed"], detail["pid"] = l.Version, l.Renewed, l.PID
		} // one that cannot be read goes as well
		if err := w.note(audit.Live, "lease_clear", audit.StatusIntent, nil, nil, detail); err != nil {
			return struct{}{}, err
		}
		if err := w.dir.RemoveLease(name); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, w.note(audit.Live, "lease_clear", audit.StatusDone, nil, nil, detail)
	})
	return err
}

// Rollback returns to the version that was live before. One registered person signs it; that version's sign-offs must
// still stand and its bytes hold. Live is on afterwards, and the floor stays where it is. The version rolled back from
// is the way back now: only another signed rollback returns to it.
// Errors: E-ROLLBACK-NONE, E-POLICY-NONE, E-POLICY-REFUSES, E-KEY-UNFIT, E-SIGNOFF-INVALID, E-INSTALLED-CHANGED.
func (in *Installer) Rollback(ctx context.Context, o RollbackOptions) (*slot.Record, error) {
	if o.Reason == "" {
		return nil, fault.New(fault.Usage, "a rollback without a reason")
	}
	if err := checkWords("reason", o.Reason); err != nil {
		return nil, err
	}
	return write(ctx, in, demands{what: "rollback", actor: o.Operator, stage: slot.Live}, func(w *work) (*slot.Record, error) {
		return w.rollback(ctx, o)
	})
}

func (w *work) rollback(ctx context.Context, o RollbackOptions) (*slot.Record, error) {
	g := w.ground()
	live, _, err := g.record(slot.Live)
	if err != nil {
		return nil, err
	}
	if live == nil || live.Previous == nil {
		return nil, fault.New(fault.RollbackNone, "no version was live before in %q", w.in.c.Root).With("root", w.in.c.Root)
	}
	back := *live.Previous
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	person, err := findPerson(policy, o.Operator)
	if err != nil {
		return nil, err
	}
	if err := w.dir.CheckPerson(person); err != nil {
		return nil, err
	}
	t, err := g.tested(ctx, &back, slot.Sum(nil))
	if err != nil {
		return nil, err
	}
	w.about(t.auth)
	fresh, err := g.approveTested(ctx, policy, slot.Live, t)
	if err != nil {
		return nil, err
	}
	// The way back to what the vendor signed stays open while a review is owed: it is how an emergency ends.
	if back.Emergency != nil {
		if back.Emergency, err = w.liveStart(policy, t); err != nil {
			return nil, err
		}
	}
	statement, err := w.signRollback(t, live, &back, policy, person, o)
	if err != nil {
		return nil, err
	}
	name := w.reportPath("rollback", back.Version, envelopeSuffix)
	c := change{log: audit.Live, event: "rollback_statement", path: name, then: statusSigned,
		artefacts: map[string]string{"manifest.json": back.ManifestSHA384.String(), "rollback": slot.Sum(statement).String()},
		info:      map[string]string{slot.InfoPerson: person.ID, slot.InfoVersion: back.Version, "from": live.Version, "reason": o.Reason}}
	if err := w.writeFile(c, statement, 0o444); err != nil {
		return nil, err
	}
	from := *live
	from.Previous = nil
	back.Enabled, back.Previous, back.Reason, back.At, back.Operator = true, &from, o.Reason, w.in.now(), w.actor
	back.SignOffs = fresh.signOffs
	if back.Policy, err = policyRef(policy); err != nil {
		return nil, err
	}
	back.Rollback = &slot.SignOff{Stage: slot.Live, Path: name, SHA384: slot.Sum(statement), Person: person.ID}
	if err := w.switchOn(&back); err != nil {
		return nil, err
	}
	return &back, nil
}

// signRollback makes the statement and proves it as the gate will.
func (w *work) signRollback(t *Tested, live, back *slot.Record, policy *compliance.Policy, person *compliance.Person, o RollbackOptions) ([]byte, error) {
	if !policy.Active(person) {
		return nil, fault.New(fault.PolicyRefuses, "%q has retired", person.ID).With("person", person.ID)
	}
	if len(o.Key) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.KeyUnfit, "no key of %q", person.ID).With("person", person.ID)
	}
	pub, err := bundle.NewPublicKey(o.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	if who := policy.ByKey(pub); who == nil || who.ID != person.ID {
		return nil, fault.New(fault.KeyUnfit, "the key is not the one registered for %q", person.ID).
			With("person", person.ID).With("key_id", pub.ID())
	}
	head, err := w.logs.Head(audit.Live)
	if err != nil {
		return nil, err
	}
	predicate, err := bundle.CanonicalJSON(slot.RollbackPredicate{
		Schema: slot.RollbackSchema, From: live.Version, FromSHA384: live.ManifestSHA384, To: back.Version, Variant: back.Variant,
		ToSHA384: back.ManifestSHA384, Machine: back.Machine, Person: person.ID, Reason: o.Reason, Log: slot.Head(head), At: w.in.now(),
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "writing the rollback statement: %w", err)
	}
	raw, err := bundle.SignStatement(bundle.Statement{
		Subjects:      []bundle.Subject{bundle.NewSubject(slot.ManifestFile, t.auth.ManifestBytes())},
		PredicateType: bundle.TypeRollback, Predicate: predicate,
	}, o.Key)
	if err != nil {
		return nil, err
	}
	if _, err := slot.ParseRollback(raw, person, t.auth.ManifestBytes()); err != nil {
		return nil, err
	}
	return raw, nil
}
