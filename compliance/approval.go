package compliance

import (
	"crypto/sha512"
	"slices"
	"strings"

	"sluice/bundle"
	"sluice/internal/fault"
)

// CheckApprovals judges the envelopes of one stage, in the order they were signed, against the site's policy of today.
//
// Each must be a decision signed with the key of one person of the policy, about exactly what want says, in a role that
// the person has, and name the envelope before it: one that was left out or put in between is noticed. Each person signs once. The
// roles that the stage asks for are then filled by different people, who have different keys (Validate). A decision may
// carry a role that the stage does not ask for: it stands in the record and fills nothing.
//
// People who have retired: retirement is a policy's number, no date, for no clock here is trusted. A decision says under
// which number it was signed. That of a retired person counts when this number is lower than the one they retired
// with, and want.Logged confirms that the decision log took in this very envelope under such a number: so a key that leaks
// after its owner left cannot sign anything into the past.
//
// Too few signatures are no error: Complete is false. Errors: E-POLICY-NONE; E-SIGNOFF-INVALID (bad signature, other
// bundle, stage, variant, edited answers, broken order; detail field where one differs), E-MACHINE-OTHER, E-POLICY-REFUSES
// (unknown or retired person, role, the same person twice), E-SIGNOFF-REFUSED when one of them is a refusal.
func CheckApprovals(policy *Policy, envelopes [][]byte, want Want) (*Approval, error) {
	signed, err := examine(policy, envelopes, want)
	if err != nil {
		return nil, err
	}
	for _, s := range signed {
		if s.Decision.Refused {
			return nil, fault.New(fault.SignoffRefused, "%q refused to sign stage %q: %q", s.Person, want.Stage, clip(s.Decision.Reason)).
				With("person", s.Person).With("reason", s.Decision.Reason).With("stage", string(want.Stage))
		}
	}
	return count(policy, signed, want), nil
}

// examine checks everything but whether the decisions are enough and in favour.
func examine(policy *Policy, envelopes [][]byte, want Want) ([]Signed, error) {
	if policy == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy, so no sign-off can be judged")
	}
	if want.Stage == "" || len(want.Manifest) == 0 || want.Variant == "" || want.Machine.KeyID == "" || want.Machine.System.IsZero() {
		return nil, fault.New(fault.Internal, "approvals are checked against stage, manifest, variant and machine; one is missing")
	}
	var out []Signed
	var previous bundle.Digest
	for i, raw := range envelopes {
		s, err := examineOne(policy, raw, want)
		if err != nil {
			return nil, err
		}
		if s.Decision.Previous != previous {
			return nil, signoffInvalid("sign-off %d does not follow the one before it: one was removed, added or moved", i+1).With("field", "previous")
		}
		if slices.ContainsFunc(out, func(o Signed) bool { return o.Person == s.Person || o.KeyID == s.KeyID }) {
			return nil, refuses("%q signed stage %q twice; different people must sign", s.Person, want.Stage).With("person", s.Person)
		}
		previous = s.Envelope
		out = append(out, *s)
	}
	return out, nil
}

func signoffInvalid(format string, args ...any) *fault.Error {
	return fault.New(fault.SignoffInvalid, format, args...)
}

func examineOne(policy *Policy, raw []byte, want Want) (*Signed, error) {
	if len(raw) > MaxDecisionSize {
		return nil, signoffInvalid("the sign-off has %d bytes, want at most %d", len(raw), MaxDecisionSize)
	}
	st, signer, err := policy.signedByOne(raw, bundle.TypeSignoff, "sign-off")
	if err != nil {
		return nil, err
	}
	if err := st.CheckSubject(manifestName, want.Manifest); err != nil {
		return nil, signoffInvalid("the sign-off is for another bundle: %w", err).With("field", "manifest")
	}
	d := new(Decision)
	if err := bundle.StrictUnmarshal(st.Predicate, d, MaxDecisionSize); err != nil {
		return nil, signoffInvalid("reading the decision: %w", err)
	}
	if err := d.validate(); err != nil {
		return nil, signoffInvalid("the decision: %w", err)
	}
	if err := d.matches(want); err != nil {
		return nil, err
	}
	s := &Signed{Person: d.Person, Role: d.Role, Meaning: d.Meaning, SignedAt: d.SignedAt, KeyID: signer.ID(),
		Envelope: sha512.Sum384(raw), Decision: d}
	person := policy.ByKey(signer)
	if person == nil || person.ID != d.Person {
		return nil, refuses("the sign-off says it is %q's, the key is another person's", clip(d.Person)).With("person", clip(d.Person))
	}
	s.Name = person.Name
	if s.Form, err = d.checkForm(want.Forms[d.Form]); err != nil {
		return nil, err
	}
	return s, policy.allows(person, s, want)
}

// signedByOne verifies an envelope with exactly one signature, by somebody of the policy. what names it in errors.
func (p *Policy) signedByOne(raw []byte, predicate, what string) (*bundle.Statement, bundle.PublicKey, error) {
	none := bundle.PublicKey{}
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		return nil, none, signoffInvalid("reading the %s: %w", what, err)
	}
	var keys []bundle.PublicKey
	for i := range p.People {
		key, err := p.People[i].key()
		if err != nil {
			return nil, none, policyInvalid("person %q: %w", p.People[i].ID, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, none, refuses("the site's policy names nobody")
	}
	st, signers, err := env.Verify(predicate, keys, 1)
	if fault.CodeOf(err) == fault.SignatureUntrusted {
		return nil, none, refuses("the %s is signed by nobody in the site's policy: %w", what, err)
	}
	if err != nil {
		return nil, none, signoffInvalid("verifying the %s: %w", what, err)
	}
	if len(signers) != 1 || len(env.Signatures) != 1 {
		return nil, none, signoffInvalid("the %s has %d signatures, want one: each person signs their own", what, len(env.Signatures))
	}
	return st, signers[0], nil
}

// matches refuses what was signed for something else.
func (d *Decision) matches(want Want) error {
	if d.Machine != want.Machine {
		return fault.New(fault.MachineOther, "the sign-off is for machine %q, this is %q", clip(d.Machine.KeyID), want.Machine.KeyID).With("field", "machine")
	}
	if !d.Emergency.Same(want.Emergency) {
		return signoffInvalid("the sign-off does not say of the emergency what the record says").With("field", "emergency")
	}
	for _, f := range []struct{ name, got, want string }{
		{"stage", string(d.Stage), string(want.Stage)},
		{"version", d.Version, want.Version},
		{"variant", d.Variant, want.Variant},
		{"manifest_sha384", d.ManifestSHA384.String(), bundle.Digest(sha512.Sum384(want.Manifest)).String()},
	} {
		if f.got != f.want {
			return signoffInvalid("the sign-off is for %s %q, want %q", f.name, clip(f.got), f.want).With("field", f.name)
		}
	}
	return nil
}

// allows judges the person: CheckApprovals says how.
func (p *Policy) allows(x *Person, s *Signed, want Want) error {
	d := s.Decision
	if !slices.Contains(x.Roles, d.Role) {
		return refuses("%q signed as %q and has roles %q", x.ID, clip(d.Role), x.Roles).With("person", x.ID)
	}
	if d.PolicyNumber < x.Since || d.PolicyNumber > p.Number {
		return refuses("%q signed under policy number %d, want %d to %d", x.ID, d.PolicyNumber, x.Since, p.Number).With("person", x.ID)
	}
	if d.PolicyNumber == p.Number {
		digest, err := p.SHA384()
		if err != nil {
			return err
		}
		if d.PolicySHA384 != digest {
			return signoffInvalid("the sign-off was made under another policy with number %d", p.Number).With("field", "policy")
		}
	}
	if err := p.judgedThen(x, d, want); err != nil {
		return err
	}
	return p.signedBefore(x, d.PolicyNumber, s.Envelope, want.Logged)
}

// signedBefore refuses what a retired person signed unless the log shows that it was before: CheckApprovals says how.
func (p *Policy) signedBefore(x *Person, number int, envelope bundle.Digest, logged func(bundle.Digest) (int, bool)) error {
	if x.Retired == 0 {
		return nil
	}
	if number >= x.Retired {
		return refuses("%q retired with policy number %d and signed under %d", x.ID, x.Retired, number).With("person", x.ID)
	}
	if logged != nil {
		if taken, ok := logged(envelope); ok && taken >= 1 && taken < x.Retired {
			return nil
		}
	}
	return refuses("%q has retired, and the decision log does not show that they signed before", x.ID).With("person", x.ID)
}

// judgedThen compares a decision with the policy that it was made under, when that is not the one of today.
func (p *Policy) judgedThen(x *Person, d *Decision, want Want) error {
	if d.PolicyNumber == p.Number {
		return nil
	}
	var then *Policy
	if want.PolicyAt != nil {
		var err error
		if then, err = want.PolicyAt(d.PolicyNumber); err != nil {
			return err
		}
	}
	if then == nil {
		return signoffInvalid("the policy with number %d, under which %q signed, was not kept", d.PolicyNumber, x.ID).With("field", "policy")
	}
	digest, err := then.SHA384()
	if err != nil {
		return err
	}
	if then.Number != d.PolicyNumber || d.PolicySHA384 != digest {
		return signoffInvalid("the sign-off was made under another policy with number %d", d.PolicyNumber).With("field", "policy")
	}
	if was := then.Person(x.ID); !then.Active(was) || was.PublicKey != x.PublicKey || !slices.Contains(was.Roles, d.Role) {
		return refuses("%q might not sign as %q under policy number %d", x.ID, clip(d.Role), d.PolicyNumber).With("person", x.ID)
	}
	return nil
}

// count fills the stage's roles with the people who signed. Where two people are asked for, the one who installed does
// not approve alone.
func count(p *Policy, signed []Signed, want Want) *Approval {
	stage := want.Stage
	a := &Approval{MissingRoles: []string{}, Signed: signed, NeedsApproved: true}
	if a.Signed == nil {
		a.Signed = []Signed{}
	}
	have := map[string]int{}
	independent := false
	for _, s := range signed {
		if err := want.revoked(p, s); err != nil {
			if a.Revoked == nil {
				a.Revoked = err
			}
			continue
		}
		have[s.Role]++
		if s.Meaning == Approved {
			a.NeedsApproved = false
			independent = independent || !sameName(want.Installer, s)
		}
	}
	a.NeedsIndependent = !a.NeedsApproved && !independent && len(p.Stages[stage].Roles) > 1
	for _, r := range p.Stages[stage].Roles {
		if have[r] == 0 {
			a.MissingRoles = append(a.MissingRoles, r)
			continue
		}
		have[r]--
	}
	a.Complete = len(a.MissingRoles) == 0 && !a.NeedsApproved && !a.NeedsIndependent
	return a
}

func (w Want) revoked(p *Policy, s Signed) error {
	person := p.Person(s.Person)
	if w.Revoked == nil || person == nil {
		return nil
	}
	key, err := person.key()
	if err != nil {
		return err
	}
	return w.Revoked(key)
}

// Closed is why an approval that is not complete keeps a stage closed: E-REVOKED when signatures of revoked keys would have made it
// complete or nearly so, else E-NOT-SIGNED-OFF with "missing_roles". Nil when it is complete.
func (a *Approval) Closed(version string, stage Stage) error {
	if a.Complete {
		return nil
	}
	if a.Revoked != nil {
		return a.Revoked
	}
	e := fault.New(fault.NotSignedOff, "version %q is not signed off for stage %q: missing %q", version, stage, a.MissingRoles).
		With("version", version).With("stage", string(stage)).With("missing_roles", a.MissingRoles)
	if a.NeedsApproved {
		e = e.With("needs_approved", true)
	}
	if a.NeedsIndependent {
		e = e.With("needs_independent", true)
	}
	return e
}

// sameName says whether what somebody called themselves names a person: by id or by name, whatever the letter case.
func sameName(said string, s Signed) bool {
	said = strings.TrimSpace(said)
	return said != "" && (strings.EqualFold(said, s.Person) || strings.EqualFold(said, strings.TrimSpace(s.Name)))
}
