package installer

import (
	"context"
	"crypto/ed25519"

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
	g := w.ground()
	t, err := g.again(ctx, a.tested)
	if err != nil {
		return nil, err
	}
	w.about(t.auth)
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	fresh, err := g.approveTested(policy, slot.Live, t)
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
	r.Stage, r.Enabled, r.Attempts, r.Reason = slot.Live, true, nil, ""
	r.SignOffs, r.At, r.Operator = fresh.signOffs, w.in.now(), w.actor
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
	if _, err := w.putRecord(&r, audit.StatusLiveReady); err != nil {
		return nil, err
	}
	return &r, w.remember()
}

// rolledBackFrom says whether the live record came by a rollback away from that version.
func rolledBackFrom(live, r *slot.Record) bool {
	return live != nil && live.Rollback != nil && live.Previous.Same(r)
}

// Disable switches live off. It needs no key, works on a broken log too, and is done when it is done already.
// Error: E-NOT-LIVE when nothing was ever live.
func (in *Installer) Disable(ctx context.Context, operator, reason string) error {
	_, err := write(ctx, in, demands{what: "live_disable", actor: operator, stage: slot.Live, urgent: true}, func(w *work) (struct{}, error) {
		return struct{}{}, w.disable(reason)
	})
	return err
}

func (w *work) disable(reason string) error {
	old, _, err := w.dir.Record(slot.Live)
	if err != nil {
		return err // an edited record closes the gate by itself
	}
	if old == nil {
		return fault.New(fault.NotLive, "nothing is live in %q", w.in.c.Root).With("root", w.in.c.Root).With("stage", string(slot.Live))
	}
	if !old.Enabled {
		return nil
	}
	r := *old
	r.Enabled, r.Reason, r.At, r.Operator = false, reason, w.in.now(), w.actor
	_, err = w.putRecord(&r, statusLiveOff)
	if err == nil {
		return nil
	}
	// The log does not take it. Closing must not fail for that: the record says off, and the gate is closed anyway.
	r.Logs = old.Logs
	raw, eerr := r.Encode()
	if eerr != nil {
		return eerr
	}
	if werr := fsx.WriteFile(w.dir.Root(), slot.Live.RecordFile(), raw, 0o644); werr != nil {
		return werr
	}
	return fault.New(fault.CodeOf(err), "live is switched off, but the log did not take it: %w", err).With("disabled", true)
}

// Rollback returns to the version that was live before. One registered person signs it; that version's sign-offs must
// still stand and its bytes hold. Live is on afterwards, and the floor stays where it is. The version rolled back from
// is the way back now: only another signed rollback returns to it.
// Errors: E-ROLLBACK-NONE, E-POLICY-NONE, E-POLICY-REFUSES, E-KEY-UNFIT, E-SIGNOFF-INVALID, E-INSTALLED-CHANGED.
func (in *Installer) Rollback(ctx context.Context, o RollbackOptions) (*slot.Record, error) {
	if o.Reason == "" {
		return nil, fault.New(fault.Usage, "a rollback without a reason")
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
	t, err := g.tested(ctx, &back, slot.Sum(nil))
	if err != nil {
		return nil, err
	}
	w.about(t.auth)
	fresh, err := g.approveTested(policy, slot.Live, t)
	if err != nil {
		return nil, err
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
	back.Rollback = &slot.SignOff{Stage: slot.Live, Path: name, SHA384: slot.Sum(statement), Person: person.ID}
	if _, err := w.putRecord(&back, audit.StatusLiveReady); err != nil {
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
