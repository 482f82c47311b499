package installer

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strconv"
	"strings"

	"sluice/audit"
	"sluice/compliance"
	"sluice/evidence"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// Suffixes of the files of one sign-off under reports/.
const (
	envelopeSuffix = slot.EnvelopeSuffix // what the person signed
	recordSuffix   = ".json"             // the record of the stage after this signature
	textSuffix     = ".txt"              // the same to read
	pageSuffix     = ".pdf"              // the same to print and keep
)

// Statuses of a signature in the log.
const (
	statusSigned       = "signed"
	statusSignedRefuse = "signed_refusal"
	statusLiveOff      = "live_disabled"
	statusVoid         = "voided"
)

// Checklist is what people are asked for a stage of a tested version, with the evidence found now.
func (in *Installer) Checklist(ctx context.Context, t *Tested, stage slot.Stage) (*compliance.Checklist, error) {
	if !t.valid() || !t.token.of(in) {
		return nil, noToken("checklist", "smoke")
	}
	v, err := in.look()
	if err != nil {
		return nil, err
	}
	defer v.close()
	g := ground{in, v.dir, v.ledger}
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	if stage == slot.Live { // nobody answers questions for nothing
		if _, err := v.dir.EmergencySettled(v.ledger, policy, t.record, t.auth.ManifestBytes()); err != nil {
			return nil, err
		}
	}
	heads := map[string]slot.Head{}
	for log, s := range v.states {
		if s.Entries > 0 {
			heads[string(log)] = slot.Head(s.Head)
		}
	}
	return g.checklist(ctx, t, stage, policy, heads)
}

func (g ground) checklist(ctx context.Context, t *Tested, stage slot.Stage, policy *compliance.Policy, heads map[string]slot.Head) (*compliance.Checklist, error) {
	if stage != slot.Paper && stage != slot.Live {
		return nil, fault.New(fault.Usage, "stage %q has no sign-off, want paper or live", stage).With("stage", string(stage))
	}
	ev, err := g.evidence(ctx, t, stage, heads)
	if err != nil {
		return nil, err
	}
	return compliance.BuildChecklist(compliance.ChecklistOptions{Stage: compliance.Stage(stage), Manifest: t.auth.Manifest(),
		ManifestSHA384: t.auth.ManifestSHA384(), Policy: policy, Evidence: ev})
}

// SignOff records one person's decision about a stage. The tested version is proven again first; live needs a complete
// paper stage. A refusal is signed and kept too, and blocks the stage until its author signs anew. When paper is complete its record names the
// version; when live is complete GoLive may switch it on.
// Errors: E-POLICY-NONE, E-POLICY-REFUSES (signed already, too), E-KEY-UNFIT, E-ANSWERS, E-STAGE-ORDER, E-TRUST-EXPIRED, E-REVOKED,
// E-KNOWLEDGE-OLD.
func (in *Installer) SignOff(ctx context.Context, t *Tested, o SignOffOptions) (*SignOffResult, error) {
	if !t.valid() || !t.token.of(in) {
		return nil, noToken("sign-off", "smoke")
	}
	if o.Stage != slot.Paper && o.Stage != slot.Live {
		return nil, fault.New(fault.Usage, "stage %q has no sign-off, want paper or live", o.Stage).With("stage", string(o.Stage))
	}
	if o.Refuse && o.Reason == "" {
		return nil, fault.New(fault.Usage, "a refusal without a reason")
	}
	if err := checkWords("reason", o.Reason); err != nil {
		return nil, err
	}
	if o.Lang == "" {
		o.Lang = in.c.Lang
	}
	return write(ctx, in, demands{what: "signoff", actor: o.Operator, stage: o.Stage}, func(w *work) (*SignOffResult, error) {
		return w.signOff(ctx, t, o)
	})
}

func (w *work) signOff(ctx context.Context, t *Tested, o SignOffOptions) (*SignOffResult, error) {
	g := w.ground()
	t, err := g.again(ctx, t)
	if err != nil {
		return nil, err
	}
	w.about(t.auth)
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	person, err := findPerson(policy, o.Operator)
	if err != nil {
		return nil, err
	}
	if err := w.below(ctx, policy, t, o.Stage); err != nil {
		return nil, err
	}
	before, old, err := w.round(ctx, policy, t, o.Stage, person, o.Refuse)
	if err != nil {
		return nil, err
	}
	if err := w.maySign(person, t, o.Stage, o.Refuse, before); err != nil {
		return nil, err
	}
	d, form, envelope, err := w.decide(ctx, t, o, policy, person, before)
	if err != nil {
		return nil, err
	}
	return w.take(ctx, t, policy, before, old, signature{stage: o.Stage, decision: d, form: form, envelope: envelope, lang: o.Lang})
}

// signature is one person's decision, signed.
type signature struct {
	stage          slot.Stage
	decision       *compliance.Decision
	form, envelope []byte
	lang           string // of the readable record
}

// below makes sure that the rung below is complete, and that live is not beyond an emergency.
func (w *work) below(ctx context.Context, policy *compliance.Policy, t *Tested, stage slot.Stage) error {
	if stage != slot.Live {
		return nil
	}
	if _, err := w.dir.EmergencySettled(w.ledger, policy, t.record, t.auth.ManifestBytes()); err != nil {
		return err
	}
	return w.onPaper(ctx, policy, t)
}

func (w *work) maySign(person *compliance.Person, t *Tested, stage slot.Stage, refuse bool, before *slot.Approvals) error {
	if !refuse { // a refusal is always taken
		if err := w.ground().mayDecide(); err != nil {
			return err
		}
		if err := w.dir.CheckPerson(person); err != nil {
			return err
		}
	}
	if err := w.notReviewer(t, person); err != nil {
		return err
	}
	if slices.ContainsFunc(before.SignOffs, func(s slot.SignOff) bool { return s.Person == person.ID }) {
		return fault.New(fault.PolicyRefuses, "%q has signed for stage %q already", person.ID, stage).With("person", person.ID)
	}
	if refuse && before.Complete {
		return fault.New(fault.PolicyRefuses, "stage %q of version %q is signed off already; switch live off or roll back instead", stage, t.record.Version).
			With("stage", string(stage)).With("version", t.record.Version)
	}
	return nil
}

// aside are signatures of a stage that no longer count when the next one is taken in, each with what changed.
type aside struct {
	signOff slot.SignOff
	changed []string
}

// round gives the signatures that the next one follows, and those that it sets aside. When something changed after one of them, all of
// the stage go: the later ones stood on the earlier. So they do when the stage's record was edited by hand, and when a refusal
// is taken back: by the person who refused, or, once that person has retired or their key is revoked, by another with the role. person is nil as
// long as nobody is named. Nothing is written.
func (w *work) round(ctx context.Context, policy *compliance.Policy, t *Tested, stage slot.Stage, person *compliance.Person, refuse bool) (*slot.Approvals, []aside, error) {
	g := w.ground()
	anew := func(why func(i int) []string) (*slot.Approvals, []aside, error) {
		before, old, err := w.dir.Anew(w.ledger, policy, stage, t.record, t.auth.ManifestBytes())
		if err != nil {
			return nil, nil, err
		}
		var out []aside
		for i, one := range old {
			out = append(out, aside{one, why(i)})
		}
		return before, out, nil
	}
	before, err := w.dir.Approvals(w.ledger, policy, stage, t.record, t.auth.ManifestBytes())
	if fault.CodeOf(err) == fault.SignoffRefused {
		ok, ferr := w.takesBack(policy, t, stage, person)
		if ferr != nil {
			return nil, nil, ferr
		}
		if !ok || refuse {
			return nil, nil, err
		}
		return anew(func(int) []string { return changeCode(compliance.ChangedRefusal, "withdrawn") })
	}
	if err != nil {
		return nil, nil, err
	}
	if edited, err := g.paperEdited(stage); edited || err != nil {
		if err != nil {
			return nil, nil, err
		}
		return anew(func(int) []string { return changeCode(compliance.ChangedRecord, "changed") })
	}
	stale, err := g.stale(ctx, policy, stage, t, before)
	if err != nil || len(stale) == 0 {
		return before, nil, err
	}
	why := map[int][]string{}
	for _, s := range stale {
		why[s.at] = compliance.ChangeCodes(s.changed)
	}
	return anew(func(i int) []string {
		if why[i] == nil { // it stands on one that is void
			return changeCode(compliance.ChangedSignatures, "changed")
		}
		return why[i]
	})
}

func changeCode(kind compliance.ChangeKind, how string) []string {
	return []string{compliance.Change{Kind: kind, How: how}.String()}
}

// takesBack says whether a person may open a refused stage anew.
func (w *work) takesBack(policy *compliance.Policy, t *Tested, stage slot.Stage, person *compliance.Person) (bool, error) {
	_, old, err := w.dir.Anew(w.ledger, policy, stage, t.record, t.auth.ManifestBytes())
	if err != nil || person == nil {
		return false, err
	}
	for _, s := range old {
		m, ok := w.ledger.DoneAt(slot.EventSignOff, s.Path)
		if !ok || m.Info[slot.InfoThen] != statusSignedRefuse || s.Person == person.ID {
			continue
		}
		who := policy.Person(s.Person)
		gone := !policy.Active(who)
		if !gone && w.dir.CheckPerson(who) != nil {
			gone = true
		}
		if !gone || !slices.Contains(person.Roles, s.Role) {
			return false, nil
		}
	}
	return true, nil
}

// paperEdited says whether the record of stage paper is not what the log made it. Signing paper anew writes it again.
func (g ground) paperEdited(stage slot.Stage) (bool, error) {
	if stage != slot.Paper {
		return false, nil
	}
	_, _, err := g.record(stage)
	if fault.CodeOf(err) == fault.RecordEdited {
		return true, nil
	}
	return false, err
}

// setAside voids signatures, each by a file beside it that says what changed. A paper record that was edited goes with them; the last
// signature writes it anew.
func (w *work) setAside(t *Tested, stage slot.Stage, old []aside) ([]VoidedSignature, error) {
	for _, o := range old {
		if err := w.void(t, o.signOff, o.changed); err != nil {
			return nil, err
		}
	}
	edited, err := w.ground().paperEdited(stage)
	if err == nil && edited {
		err = w.dropRecord(stage)
	}
	return w.voided(old), err
}

func (w *work) voided(old []aside) []VoidedSignature {
	var out []VoidedSignature
	for _, o := range old {
		out = append(out, VoidedSignature{Stage: o.signOff.Stage, Person: o.signOff.Person, Path: w.dir.Abs(o.signOff.Path), Changed: o.changed})
	}
	return out
}

func (w *work) void(t *Tested, s slot.SignOff, changed []string) error {
	raw, err := (&slot.Void{Schema: slot.VoidSchema, Stage: s.Stage, Person: s.Person, Envelope: s.SHA384, Changed: changed, At: w.in.now()}).Encode()
	if err != nil {
		return err
	}
	return w.writeFile(change{log: audit.Log(s.Stage.Log()), event: slot.EventVoid, path: slot.VoidOf(s.Path), then: statusVoid,
		artefacts: map[string]string{"signoff": s.SHA384.String(), "manifest.json": t.record.ManifestSHA384.String()},
		info: map[string]string{slot.InfoStage: string(s.Stage), slot.InfoPerson: s.Person, slot.InfoVersion: t.record.Version,
			"changed": strings.Join(changed, ", ")}}, raw, 0o444)
}

// take keeps a signature that counts, with its form and the readable record, and says where the stage stands now. Only then
// do the old ones go: whoever cannot sign voids nothing.
func (w *work) take(ctx context.Context, t *Tested, policy *compliance.Policy, before *slot.Approvals, old []aside, s signature) (*SignOffResult, error) {
	envelopes := append(slices.Clone(before.Envelopes), s.envelope)
	want := before.Want
	want.Forms[s.decision.Form] = s.form
	if !s.decision.Refused { // what would not count is not kept
		if _, err := compliance.CheckApprovals(policy, envelopes, want); err != nil {
			return nil, err
		}
	}
	list, err := compliance.ParseForm(s.form)
	if err != nil {
		return nil, err
	}
	rec, err := compliance.NewRecord(list.Checklist(), policy, envelopes, want)
	if err != nil {
		return nil, err
	}
	void, err := w.setAside(t, s.stage, old)
	if err != nil {
		return nil, err
	}
	name := w.freeReport(compliance.ReportName(compliance.Stage(s.stage), t.record.Version, w.in.c.Clock()))
	if err := w.keep(t, s, policy, name); err != nil {
		return nil, err
	}
	out := &SignOffResult{Stage: s.stage, Version: t.record.Version, Voided: void, Emergency: t.record.Emergency, Record: w.dir.Abs(name + recordSuffix), Report: w.dir.Abs(name + textSuffix), Envelope: w.dir.Abs(name + envelopeSuffix),
		Form: w.dir.Abs(name + slot.FormSuffix), PDF: w.dir.Abs(name + pageSuffix), Evidence: w.dir.Abs(name + evidence.Suffix)}
	if err := w.report(ctx, t, s, policy, name, rec, signedStage{envelopes, decisionsOf(rec), want.Forms}); err != nil {
		return nil, err
	}
	return out, w.complete(ctx, policy, t, s, out)
}

// complete says where the stage stands now and writes the paper record when it is complete.
func (w *work) complete(ctx context.Context, policy *compliance.Policy, t *Tested, s signature, out *SignOffResult) error {
	if s.decision.Refused {
		out.Refused = true
		return nil
	}
	now, err := w.dir.Approvals(w.ledger, policy, s.stage, t.record, t.auth.ManifestBytes())
	if err != nil {
		return err
	}
	out.Complete, out.MissingRoles, out.NeedsApproved, out.NeedsIndependent = now.Complete, now.MissingRoles, now.NeedsApproved, now.NeedsIndependent
	if !now.Complete {
		return nil
	}
	a, err := w.ground().approveTested(ctx, policy, s.stage, t)
	if err != nil {
		return err
	}
	if s.stage == slot.Paper {
		if err := w.promote(policy, a); err != nil {
			return err
		}
	}
	out.Approved = a
	return nil
}

// onPaper makes sure that the rung below is complete for exactly this version. A power cut between the last signature
// and the paper record is made good here.
func (w *work) onPaper(ctx context.Context, policy *compliance.Policy, t *Tested) error {
	a, err := w.ground().approveTested(ctx, policy, slot.Paper, t)
	if fault.CodeOf(err) == fault.NotSignedOff {
		return fault.New(fault.StageOrder, "stage live comes after paper: %w", err)
	}
	if err != nil {
		return err
	}
	paper, _, err := w.ground().record(slot.Paper)
	if err != nil {
		return err
	}
	if paper.Same(t.record) {
		return nil
	}
	return w.promote(policy, a)
}

// policyRef names the policy by which sign-offs were judged.
func policyRef(p *compliance.Policy) (*slot.PolicyRef, error) {
	digest, err := p.SHA384()
	if err != nil {
		return nil, err
	}
	return &slot.PolicyRef{Number: p.Number, SHA384: digest}, nil
}

// promote writes the paper record.
func (w *work) promote(policy *compliance.Policy, a *Approved) error {
	ref, err := policyRef(policy)
	if err != nil {
		return err
	}
	r := *a.tested.record
	r.Policy = ref
	r.Stage, r.Enabled, r.Attempts = slot.Paper, true, nil
	r.SignOffs, r.At, r.Operator = a.signOffs, w.in.now(), w.actor
	_, err = w.putRecord(&r, audit.StatusPaperReady)
	return err
}

// finishPaper writes the paper record that a power cut kept back between the last signature and the record.
func (w *work) finishPaper(ctx context.Context) {
	signed, put := -1, -1
	var last slot.Mark
	for _, m := range w.ledger.Done(slot.EventSignOff) {
		if m.Info[slot.InfoStage] == string(slot.Paper) {
			signed, last = m.Line, m
		}
	}
	for _, m := range w.ledger.Done(slot.EventRecord) {
		if m.Path == slot.Paper.RecordFile() {
			put = m.Line
		}
	}
	if signed < put || signed < 0 {
		return
	}
	g := w.ground()
	demo, digest, err := g.record(slot.Demo)
	if err != nil || demo == nil || demo.ManifestSHA384.String() != last.Info[slot.InfoManifest] || demo.Variant != last.Info[slot.InfoVariant] {
		return
	}
	policy, err := g.policy()
	if err != nil {
		return
	}
	a, err := g.approve(ctx, policy, slot.Paper, demo, digest)
	if err == nil { // else the stage waits for more signatures, or something is wrong that the next step will name
		_ = w.promote(policy, a)
	}
}

// decide makes and signs the decision.
func (w *work) decide(ctx context.Context, t *Tested, o SignOffOptions, policy *compliance.Policy, person *compliance.Person, before *slot.Approvals) (*compliance.Decision, []byte, []byte, error) {
	if len(o.Key) != ed25519.PrivateKeySize {
		return nil, nil, nil, fault.New(fault.KeyUnfit, "no key of %q", person.ID).With("person", person.ID)
	}
	heads, err := w.heads()
	if err != nil {
		return nil, nil, nil, err
	}
	list, err := w.ground().checklist(ctx, t, o.Stage, policy, heads)
	if err != nil {
		return nil, nil, nil, err
	}
	do := compliance.DecisionOptions{
		Checklist: list, Variant: t.record.Variant, Machine: t.record.Machine, Policy: policy, Person: person.ID, Role: o.Role,
		Meaning: o.Meaning, Answers: o.Answers, Refuse: o.Refuse, Reason: o.Reason, Language: compliance.Lang(o.Lang),
		LogHeads: heads, SignedAt: w.in.now(), Emergency: t.record.Emergency.Plain(),
	}
	if n := len(before.Envelopes); n > 0 {
		do.Previous = before.Envelopes[n-1]
	}
	d, form, err := compliance.NewDecision(do)
	if err != nil {
		return nil, nil, nil, err
	}
	envelope, err := compliance.SignDecision(d, t.auth.ManifestBytes(), policy, o.Key)
	return d, form, envelope, err
}

// keep writes the form and then the signed envelope, each as an announced change; with the envelope it counts.
func (w *work) keep(t *Tested, s signature, policy *compliance.Policy, name string) error {
	d := s.decision
	then := statusSigned
	if d.Refused {
		then = statusSignedRefuse
	}
	log := audit.Log(s.stage.Log())
	if err := w.writeFile(change{log: log, event: "signoff_form", path: name + slot.FormSuffix, then: audit.StatusDone,
		artefacts: map[string]string{"form": d.Form.String()}, info: map[string]string{slot.InfoPerson: d.Person}}, s.form, 0o444); err != nil {
		return err
	}
	info := map[string]string{slot.InfoStage: string(s.stage), slot.InfoPerson: d.Person, slot.InfoRole: d.Role, "meaning": string(d.Meaning),
		slot.InfoVersion: t.record.Version, slot.InfoVariant: t.record.Variant, slot.InfoManifest: t.record.ManifestSHA384.String(),
		slot.InfoPolicy: strconv.Itoa(policy.Number)}
	if d.Reason != "" {
		info["reason"] = d.Reason
	}
	slot.EmergencyInfo(info, d.Emergency)
	if !d.Request.IsZero() {
		info["request_sha384"] = d.Request.String()
	}
	return w.writeFile(change{log: log, event: slot.EventSignOff, path: name + envelopeSuffix, then: then,
		artefacts: map[string]string{"manifest.json": t.record.ManifestSHA384.String(), "signoff": slot.Sum(s.envelope).String(), "form": d.Form.String()},
		info:      info}, s.envelope, 0o444)
}
