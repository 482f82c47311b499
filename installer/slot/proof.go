package slot

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/internal/fault"
	"sluice/internal/progress"
	"sluice/verify"
)

// Roots opens the trust roots of this installation.
func (d *Dir) Roots() (*verify.Store, error) {
	s, err := verify.OpenStore(d.Abs(KeysDir))
	if odd(err) {
		return nil, fault.New(fault.TrustInvalid, "the trust roots: %w", err).With("path", d.Abs(KeysDir))
	}
	return s, err
}

// Authentic repeats the trust decision for a version folder: its manifest's signature by the root that it was taken with, and that
// neither it nor its signers were revoked (E-REVOKED). No artifact is read.
func (d *Dir) Authentic(store *verify.Store, folder string, by Judged) (*verify.Authentic, error) {
	a, err := d.signed(store, folder, by)
	if err != nil {
		return nil, err
	}
	if err := store.CheckRevoked(a); err != nil {
		return nil, err
	}
	return a, nil
}

func (d *Dir) signed(store *verify.Store, folder string, by Judged) (*verify.Authentic, error) {
	manifest, err := d.readBundleFile(folder, ManifestFile, MaxManifest)
	if err != nil {
		return nil, err
	}
	sig, err := d.readBundleFile(folder, SigFile, MaxSig)
	if err != nil {
		return nil, err
	}
	if by.Emergency != nil {
		return store.EmergencyInstalled(manifest, sig, by.TrustRoot, verify.History{})
	}
	return store.AuthenticateInstalled(manifest, sig, by.TrustRoot, verify.History{})
}

func (d *Dir) readBundleFile(folder, name string, limit int64) ([]byte, error) {
	raw, err := d.Read(folder+"/"+name, limit)
	if odd(err) {
		return nil, fault.New(fault.InstalledChanged, "folder %q holds another %q: %w", folder, name, err).With("path", d.Abs(folder))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	if !d.Exists(folder) {
		return nil, fault.New(fault.BundleMissing, "folder %q is gone: %w", folder, err).With("path", d.Abs(folder))
	}
	code := fault.InstalledChanged
	if name == SigFile {
		code = fault.SignatureMissing
	}
	return nil, fault.New(code, "folder %q holds no %q: %w", folder, name, err).With("path", d.Abs(folder))
}

// Verify repeats everything that can be proven about a version folder: signature, description and each byte; then that nothing
// of it was revoked.
func (d *Dir) Verify(ctx context.Context, store *verify.Store, r *Record, p progress.Func) (*verify.Authentic, error) {
	a, err := d.signed(store, r.Folder, r.Judged())
	if err != nil {
		return nil, err
	}
	m := a.Manifest()
	if a.ManifestSHA384() != r.ManifestSHA384 || m.Version != r.Version || m.ModelFamily != r.ModelFamily {
		return nil, fault.New(fault.InstalledChanged, "folder %q holds version %q with manifest %s, want version %q with %s",
			r.Folder, m.Version, a.ManifestSHA384(), r.Version, r.ManifestSHA384).With("path", d.Abs(r.Folder))
	}
	if err := d.VerifyFolder(ctx, a, r.Folder, r.Variant, p); err != nil {
		return nil, err
	}
	if err := store.CheckRevoked(a); err != nil {
		return nil, err
	}
	return a, nil
}

// VerifyFolder compares a version folder with an authentic manifest: exactly the variant's files, each byte.
func (d *Dir) VerifyFolder(ctx context.Context, a *verify.Authentic, folder, variant string, p progress.Func) error {
	manifest, err := d.readBundleFile(folder, ManifestFile, MaxManifest)
	if err != nil {
		return err
	}
	if !bytes.Equal(manifest, a.ManifestBytes()) {
		return fault.New(fault.InstalledChanged, "%q in folder %q is another one", ManifestFile, folder).With("path", d.Abs(folder))
	}
	have, err := d.Installed(folder)
	if err != nil {
		return err
	}
	if a.Manifest().Variant(variant) == nil { // a description or record edited by hand, not a choice that somebody made
		return fault.New(fault.InstalledChanged, "folder %q is said to hold variant %q, which its manifest does not list", folder, variant).
			With("path", d.Abs(folder))
	}
	want, err := NewInstalled(a.Manifest(), a.ManifestSHA384(), variant)
	if err != nil {
		return err
	}
	if !have.Equal(want) {
		return fault.New(fault.InstalledChanged, "%q in folder %q does not describe variant %q", InstalledFile, folder, variant).
			With("path", d.Abs(folder))
	}
	return verify.Folder(ctx, d.Abs(folder), a, variant, p)
}

// Policy reads the site's policy and proves it: signed by the site's root of the number that it was taken by, with keys that were not
// revoked, and the one that the log took in. nil without an error when this root never had one.
func (d *Dir) Policy(store *verify.Store, l *Ledger) (*compliance.Policy, error) {
	raw, err := d.Read(PolicyFile, MaxPolicy)
	have := Absent
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, edited(PolicyFile, err)
	default:
		have = Sum(raw).String()
	}
	if err := l.Check(PolicyFile, have); err != nil {
		return nil, err
	}
	if have == Absent {
		return nil, nil
	}
	return ParsePolicyBy(store, raw, l.PolicyRoot())
}

// ParsePolicy proves a new policy envelope by the site's newest root.
func ParsePolicy(store *verify.Store, raw []byte) (*compliance.Policy, error) {
	return ParsePolicyBy(store, raw, 0)
}

// ParsePolicyBy proves a policy that was taken when the site's root had that number; 0 is the newest.
func ParsePolicyBy(store *verify.Store, raw []byte, number int) (*compliance.Policy, error) {
	if number == 0 {
		number = store.Version(verify.Site)
	}
	s, _, err := store.EnvelopeBy(verify.Site, number, verify.RoleTargets, raw, bundle.TypePolicy, MaxPolicy)
	if err != nil {
		return nil, err
	}
	return compliance.PolicyOf(s)
}

// Names of what a sign-off's mark carries beside the common ones.
const (
	InfoStage    = "stage"
	InfoVariant  = "variant"
	InfoVersion  = "version"
	InfoFamily   = "family"
	InfoCreated  = "created"
	InfoPerson   = "person"
	InfoRole     = "role"
	InfoPolicy   = "policy_number"
	InfoManifest = "manifest_sha384"
	InfoThen     = "then" // status of the outcome when the change took place
)

// Approvals are the sign-offs of one stage for one version. Those that were voided are not among them.
type Approvals struct {
	*compliance.Approval
	SignOffs  []SignOff // where they lie, in the order they were signed
	Envelopes [][]byte
	Want      compliance.Want // what they were judged to be for
}

// Approvals collects the sign-offs that the log took in for a stage of a version, proves each file by its digest and
// all of them by the policy. E-SIGNOFF-INVALID for a signature that is gone or changed, E-RECORD-EDITED for a report
// beside it; E-POLICY-NONE without a policy.
func (d *Dir) Approvals(l *Ledger, policy *compliance.Policy, stage Stage, r *Record, manifest []byte) (*Approvals, error) {
	out, err := d.gather(l, policy, stage, r, manifest)
	if err != nil {
		return nil, err
	}
	out.Approval, err = compliance.CheckApprovals(policy, out.Envelopes, out.Want)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Anew is a stage as it stands when people sign it anew: no signature counts. Beside it are those that counted, refusals too, which are to be
// set aside; they are what the log took in.
func (d *Dir) Anew(l *Ledger, policy *compliance.Policy, stage Stage, r *Record, manifest []byte) (*Approvals, []SignOff, error) {
	out, err := d.gather(l, policy, stage, r, manifest)
	if err != nil {
		return nil, nil, err
	}
	aside := out.SignOffs
	out.SignOffs, out.Envelopes = nil, nil
	out.Approval, err = compliance.CheckApprovals(policy, nil, out.Want)
	if err != nil {
		return nil, nil, err
	}
	return out, aside, nil
}

// gather collects the sign-offs that count and proves each file by the log; it judges none.
func (d *Dir) gather(l *Ledger, policy *compliance.Policy, stage Stage, r *Record, manifest []byte) (*Approvals, error) {
	if policy == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy that says who may sign for stage %q", stage).With("stage", string(stage))
	}
	store, err := d.Roots()
	if err != nil {
		return nil, err
	}
	out := &Approvals{}
	numbers := map[bundle.Digest]int{}
	out.Want = compliance.Want{Stage: compliance.Stage(stage), Manifest: manifest, Version: r.Version, Variant: r.Variant, Machine: r.Machine,
		Installer: r.Installer, Emergency: r.Emergency.Plain(), Forms: map[bundle.Digest][]byte{},
		Logged:   func(e bundle.Digest) (int, bool) { n, ok := numbers[e]; return n, ok },
		PolicyAt: func(number int) (*compliance.Policy, error) { return d.PolicyAt(l, number) },
		Revoked:  func(k bundle.PublicKey) error { return store.RevokedKey(verify.Site, k) }}
	void := voided(l)
	for _, m := range l.Done(EventSignOff) {
		if m.Info[InfoStage] != string(stage) || m.Info[InfoVariant] != r.Variant || m.Info[InfoManifest] != r.ManifestSHA384.String() || void[m.Path] ||
			!SameEmergency(m, r.Emergency) { // what was signed for in an emergency is not signed for without one, nor the other way round
			continue
		}
		raw, err := d.Read(m.Path, MaxReport)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !odd(err) {
			return nil, err
		}
		if err != nil || Sum(raw).String() != m.Becomes {
			return nil, fault.New(fault.SignoffInvalid, "sign-off %q of %q is not the one that the log took in", m.Path, m.Info[InfoPerson]).
				With("path", d.Abs(m.Path)).With("person", m.Info[InfoPerson])
		}
		out.Envelopes = append(out.Envelopes, raw)
		out.SignOffs = append(out.SignOffs, SignOff{Stage: stage, Path: m.Path, SHA384: Sum(raw), Person: m.Info[InfoPerson], Role: m.Info[InfoRole]})
		numbers[Sum(raw)], _ = strconv.Atoi(m.Info[InfoPolicy])
		if err := d.checkReports(l, m.Path); err != nil {
			return nil, err
		}
		form, err := d.Read(FormOf(m.Path), compliance.MaxFormSize)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !odd(err) {
			return nil, err
		}
		if err == nil { // one that is gone is missed by the decision that names it
			out.Want.Forms[Sum(form)] = form
		}
	}
	return out, nil
}

// PolicyAt is an earlier policy of the site, proven by the log that took it in; nil when it was not kept.
func (d *Dir) PolicyAt(l *Ledger, number int) (*compliance.Policy, error) {
	name := PolicyPath(number)
	have, err := d.Have(name)
	if err != nil {
		return nil, err
	}
	if err := l.Check(name, have); err != nil || have == Absent {
		return nil, err
	}
	raw, err := d.Read(name, MaxPolicy)
	if err != nil {
		return nil, edited(name, err)
	}
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		return nil, fault.New(fault.RecordEdited, "policy %q: %w", name, err).With("path", name)
	}
	s, err := env.Unverified() // verified when it was taken in; the log says that it is still the same
	if err != nil {
		return nil, fault.New(fault.RecordEdited, "policy %q: %w", name, err).With("path", name)
	}
	return compliance.PolicyOf(s)
}

// PolicyPath is where the policy with that number is kept.
func PolicyPath(number int) string { return PoliciesDir + "/" + strconv.Itoa(number) + ".json" }

// Suffixes of what lies beside a person's signature.
const (
	FormSuffix = ".form.json" // what they saw and answered
	VoidSuffix = ".void.json" // why it does not count any more
)

// FormOf is the name of the form that belongs to an envelope.
func FormOf(envelope string) string { return strings.TrimSuffix(envelope, EnvelopeSuffix) + FormSuffix }

// VoidOf is the name of what voids an envelope.
func VoidOf(envelope string) string { return strings.TrimSuffix(envelope, EnvelopeSuffix) + VoidSuffix }

// voided are the envelopes that do not count any more.
func voided(l *Ledger) map[string]bool {
	out := map[string]bool{}
	for _, m := range l.Done(EventVoid) {
		out[strings.TrimSuffix(m.Path, VoidSuffix)+EnvelopeSuffix] = true
	}
	return out
}

// VoidSchema is the format of what voids a signature.
const VoidSchema = "sluice-void/1"

// Void says of a signature that it does not count any more, and what changed after it.
type Void struct {
	Schema   string        `json:"schema"`
	Stage    Stage         `json:"stage"`
	Person   string        `json:"person"`
	Envelope bundle.Digest `json:"envelope_sha384"`
	Changed  []string      `json:"changed"` // as compliance.Change writes it
	At       string        `json:"at"`      // RFC 3339, UTC, by the local clock
}

// Encode writes the void.
func (v *Void) Encode() ([]byte, error) { return encode(v) }

// EnvelopeSuffix ends the name of what a person signed; the readable reports beside it share the rest of the name.
const EnvelopeSuffix = ".dsse.json"

// checkReports compares the readable reports of one signature with what the log says they are: people believe them.
func (d *Dir) checkReports(l *Ledger, envelope string) error {
	for _, p := range l.Below(strings.TrimSuffix(envelope, EnvelopeSuffix) + ".") {
		have, err := d.Have(p)
		if err != nil {
			return err
		}
		if err := l.Check(p, have); err != nil {
			return err
		}
	}
	return nil
}

// CheckLadder proves a paper or live record's sign-offs: complete for its stage and every rung below, and exactly those
// that the record names.
func (d *Dir) CheckLadder(l *Ledger, policy *compliance.Policy, r *Record, manifest []byte) error {
	var named []SignOff
	for _, stage := range []Stage{Paper, Live} {
		a, err := d.Approvals(l, policy, stage, r, manifest)
		if err != nil {
			return err
		}
		if err := a.Closed(r.Version, compliance.Stage(stage)); err != nil {
			return err
		}
		for _, one := range a.Signed {
			if changed := one.Decision.ChangedProof(r.ProofFacts()); len(changed) > 0 {
				return Voided(one, stage, changed)
			}
		}
		named = append(named, a.SignOffs...)
		if stage == r.Stage {
			break
		}
	}
	if err := d.checkPolicyRef(l, policy, r); err != nil {
		return err
	}
	if proof := r.Proof.Report; proof != nil { // what the evidence of the sign-offs opens
		have, err := d.Have(proof.Path)
		if err != nil {
			return err
		}
		if err := l.Check(proof.Path, have); err != nil {
			return err
		}
	}
	for _, s := range r.SignOffs { // later signatures may have come; those that counted must still stand
		found := false
		for _, n := range named {
			found = found || n == s
		}
		if !found {
			return fault.New(fault.SignoffInvalid, "sign-off %q that the record names is not one that the log took in", s.Path).
				With("path", d.Abs(s.Path)).With("person", s.Person)
		}
	}
	return nil
}

// Voided is the refusal of a signature after which something changed.
func Voided(s compliance.Signed, stage Stage, changed []compliance.Change) error {
	codes := compliance.ChangeCodes(changed)
	return fault.New(fault.SignoffVoid, "the signature of %q for stage %q is void: changed since: %q", s.Person, stage, codes).
		With("person", s.Person).With("stage", string(stage)).With("changed", codes)
}

// checkPolicyRef proves that the policy a record names is one of this site's.
func (d *Dir) checkPolicyRef(l *Ledger, policy *compliance.Policy, r *Record) error {
	then := policy
	if r.Policy.Number != policy.Number {
		var err error
		if then, err = d.PolicyAt(l, r.Policy.Number); err != nil {
			return err
		}
	}
	if then != nil {
		if digest, err := then.SHA384(); err != nil || digest == r.Policy.SHA384 && then.Number == r.Policy.Number {
			return err
		}
	}
	return fault.New(fault.RecordEdited, "the record of stage %q names policy number %d with digest %s, which is none of this site's", r.Stage, r.Policy.Number, r.Policy.SHA384).
		With("path", r.Stage.RecordFile())
}

// RollbackPredicate is what a person signs to return to the version that was live before (TypeRollback); the
// statement's subject is the manifest of that version.
type RollbackPredicate struct {
	Schema     string        `json:"schema"`
	From       string        `json:"from"`
	FromSHA384 bundle.Digest `json:"from_sha384"`
	To         string        `json:"to"`
	Variant    string        `json:"variant"`
	ToSHA384   bundle.Digest `json:"to_sha384"`
	Machine    Machine       `json:"machine"`
	Person     string        `json:"person"`
	Reason     string        `json:"reason"`
	Log        Head          `json:"log"`
	At         string        `json:"at"`
}

// RollbackSchema is the only schema of a rollback statement.
const RollbackSchema = "sluice-rollback/1"

// CheckRollback proves the statement that brought a live record's version back: by a registered person, for this
// machine and these bytes.
func (d *Dir) CheckRollback(l *Ledger, policy *compliance.Policy, r *Record, manifest []byte) error {
	if r.Rollback == nil {
		return nil
	}
	if policy == nil {
		return fault.New(fault.PolicyNone, "the site has no policy that says who may roll back")
	}
	raw, err := d.Read(r.Rollback.Path, MaxReport)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !odd(err) {
		return err
	}
	bad := func(err error) error {
		return fault.New(fault.SignoffInvalid, "rollback statement %q: %w", r.Rollback.Path, err).With("path", d.Abs(r.Rollback.Path))
	}
	if err != nil || Sum(raw) != r.Rollback.SHA384 {
		return bad(errors.New("it is not the one that the record names"))
	}
	if err := l.Check(r.Rollback.Path, Sum(raw).String()); err != nil {
		return err
	}
	person := policy.Person(r.Rollback.Person)
	if person == nil {
		return bad(errors.New("nobody of that name is registered"))
	}
	p, err := ParseRollback(raw, person, manifest)
	if err != nil {
		return bad(err)
	}
	if err := d.CheckPerson(person); err != nil {
		return err
	}
	if p.To != r.Version || p.Variant != r.Variant || p.ToSHA384 != r.ManifestSHA384 || p.Machine != r.Machine || p.Person != person.ID {
		return bad(errors.New("it belongs to something else"))
	}
	return nil
}

// CheckPerson refuses (E-REVOKED) a person whose key the site has revoked.
func (d *Dir) CheckPerson(person *compliance.Person) error {
	key, err := bundle.ParsePublicKey([]byte(person.PublicKey))
	if err != nil {
		return err
	}
	store, err := d.Roots()
	if err != nil {
		return err
	}
	return store.RevokedKey(verify.Site, key)
}

// ParseRollback proves a rollback statement by one person's key.
func ParseRollback(raw []byte, person *compliance.Person, manifest []byte) (*RollbackPredicate, error) {
	key, err := bundle.ParsePublicKey([]byte(person.PublicKey))
	if err != nil {
		return nil, err
	}
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	s, _, err := env.Verify(bundle.TypeRollback, []bundle.PublicKey{key}, 1)
	if err != nil {
		return nil, err
	}
	if err := s.CheckSubject(ManifestFile, manifest); err != nil {
		return nil, err
	}
	p := &RollbackPredicate{}
	if err := bundle.StrictUnmarshal(s.Predicate, p, MaxReport); err != nil {
		return nil, err
	}
	if p.Schema != RollbackSchema {
		return nil, fault.New(fault.Schema, "schema %q, want %q", p.Schema, RollbackSchema)
	}
	return p, nil
}
