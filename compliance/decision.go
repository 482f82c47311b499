package compliance

import (
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

// MaxDecisionSize is the largest envelope of a decision in bytes.
const MaxDecisionSize = 4 << 20

// manifestName is the subject of a decision.
const manifestName = "manifest.json"

func refuses(format string, args ...any) *fault.Error {
	return fault.New(fault.PolicyRefuses, format, args...)
}

// NewDecision checks everything that a decision must keep when it is signed: the person may sign now and in this role,
// each item of the role is answered, and, unless they refuse, no required item is answered "no" and no automatic one
// failed. A refusal needs a reason; its answers may be incomplete or absent.
// The form is what was decided about, to be stored byte for byte. Errors: E-POLICY-NONE, E-POLICY-REFUSES, E-ANSWERS (with the detail item).
func NewDecision(o DecisionOptions) (d *Decision, form []byte, err error) {
	if o.Policy == nil {
		return nil, nil, fault.New(fault.PolicyNone, "the site has no policy, so nobody may sign")
	}
	if o.Checklist == nil {
		return nil, nil, fault.New(fault.Internal, "a decision needs a checklist")
	}
	person, role, err := o.signer()
	if err != nil {
		return nil, nil, err
	}
	policyDigest, err := o.Policy.SHA384()
	if err != nil {
		return nil, nil, err
	}
	c := o.Checklist
	d = &Decision{Schema: DecisionSchema, Stage: c.Stage, ModelFamily: c.ModelFamily, Version: c.Version, Variant: o.Variant,
		ManifestSHA384: c.ManifestSHA384, Machine: o.Machine, Person: person.ID, Role: role, Meaning: o.Meaning, Refused: o.Refuse,
		Reason: o.Reason, Evidence: c.Evidence, Texts: map[Lang]bundle.Digest{English: c.TextDigest(English), Polish: c.TextDigest(Polish)},
		Language: o.Language, PolicyNumber: o.Policy.Number, PolicySHA384: policyDigest, LogHeads: o.LogHeads, Request: o.Request, SignedAt: o.SignedAt, Emergency: o.Emergency}
	if d.Meaning == "" {
		d.Meaning = Approved
	}
	if d.Language == "" {
		d.Language = English
	}
	if o.Previous != nil {
		d.Previous = sha512.Sum384(o.Previous)
	}
	if !o.Refuse {
		if failed := c.Failed(); len(failed) > 0 {
			return nil, nil, refuses("the automatic item %q did not pass; it can only be refused", failed[0]).With("item", failed[0])
		}
	}
	var given map[string]Answer
	if o.Answers != nil || !o.Refuse {
		if given, err = o.Answers.check(c, role, !o.Refuse); err != nil {
			return nil, nil, err
		}
	}
	for _, it := range c.Items {
		a := given[it.ID]
		d.Items = append(d.Items, DecidedItem{ID: it.ID, Role: it.Role, Automatic: it.Automatic, Optional: it.Optional,
			Evidence: it.Evidence, Answer: a.Answer, Comment: a.Comment})
	}
	if form, err = d.form(c, o.Answers); err != nil {
		return nil, nil, err
	}
	d.Form = sha512.Sum384(form)
	if err := d.validate(); err != nil {
		return nil, nil, err
	}
	return d, form, nil
}

// signer finds who signs and in which role.
func (o *DecisionOptions) signer() (*Person, string, error) {
	person := o.Policy.Person(o.Person)
	if person == nil {
		return nil, "", refuses("nobody with id %q is in the site's policy", clip(o.Person)).With("person", clip(o.Person))
	}
	if !o.Policy.Active(person) {
		return nil, "", refuses("%q has retired and may not sign any more", person.ID).With("person", person.ID)
	}
	role, err := o.Policy.RoleFor(person, o.Checklist.Stage, o.Role)
	if err != nil {
		return nil, "", err
	}
	return person, role, nil
}

// RoleFor is the role in which a person signs a stage: the named one, or with an empty role the only one of theirs that
// the stage asks for. Errors: E-POLICY-REFUSES.
func (p *Policy) RoleFor(person *Person, stage Stage, role string) (string, error) {
	if role != "" {
		if !slices.Contains(person.Roles, role) {
			return "", refuses("%q has roles %q, not %q", person.ID, person.Roles, clip(role)).With("person", person.ID)
		}
		return role, nil
	}
	wanted := p.Stages[stage].Roles
	var fit []string
	for _, r := range person.Roles {
		if slices.Contains(wanted, r) {
			fit = append(fit, r)
		}
	}
	if len(fit) != 1 {
		return "", refuses("%q has roles %q, stage %q asks for %q: want the role to be named", person.ID, person.Roles, stage, wanted).
			With("person", person.ID)
	}
	return fit[0], nil
}

// validate checks what a decision says by itself. It is applied to what was signed as well as to what will be.
func (d *Decision) validate() error {
	switch {
	case d.Schema != DecisionSchema:
		return answersFault("decision has schema %q, want %q", clip(d.Schema), DecisionSchema)
	case d.Stage != Paper && d.Stage != Live:
		return answersFault("decision is for stage %q, want %q or %q", clip(string(d.Stage)), Paper, Live)
	case d.Meaning != Prepared && d.Meaning != Reviewed && d.Meaning != Approved:
		return answersFault("meaning %q, want prepared, reviewed or approved", clip(string(d.Meaning)))
	case d.Language != English && d.Language != Polish:
		return answersFault("language %q, want en or pl", clip(string(d.Language)))
	case d.Variant == "" || d.Person == "" || d.Role == "" || d.ManifestSHA384.IsZero():
		return answersFault("decision lacks variant, person, role or manifest")
	case d.Machine.KeyID == "" || d.Machine.System.IsZero():
		return answersFault("decision names no machine")
	case d.Refused && strings.TrimSpace(d.Reason) == "":
		return answersFault("a refusal needs a reason")
	case !d.Refused && d.Reason != "":
		return answersFault("a decision with a reason, want that only with a refusal")
	case len(d.Items) == 0 || len(d.Items) > maxItems*4:
		return answersFault("decision has %d items, want 1 to %d", len(d.Items), maxItems*4)
	case d.Form.IsZero():
		return answersFault("decision lacks the digest of its form")
	case d.Texts[English].IsZero() || d.Texts[Polish].IsZero():
		return answersFault("decision lacks the digest of the checklist's text")
	}
	if err := checkText(d.Reason); err != nil {
		return answersFault("reason: %w", err)
	}
	if d.Emergency != nil {
		if err := d.Emergency.Check(); err != nil {
			return answersFault("%w", err)
		}
	}
	if _, err := time.Parse(time.RFC3339, d.SignedAt); err != nil {
		return answersFault("signed at %q, want an RFC 3339 time", clip(d.SignedAt))
	}
	return d.validateItems()
}

// validateItems: no item twice; mine are answered, others' are not; no answer says other than its evidence; what blocks,
// blocks.
func (d *Decision) validateItems() error {
	seen := map[string]bool{}
	for _, it := range d.Items {
		fail := func(format string, args ...any) error {
			return answersFault("item %q: %w", clip(it.ID), fmt.Errorf(format, args...)).With("item", clip(it.ID))
		}
		mine := !it.Automatic && (it.Role == d.Role || it.Role == RoleEvery)
		switch {
		case it.ID == "" || seen[it.ID]:
			return fail("has no id or stands twice")
		case it.ID == IntegrityItem && (!mine || it.Role != RoleEvery || it.Optional || !d.Refused && it.Answer != Yes):
			return fail("must be answered \"yes\" by each who approves")
		case !mine && it.Answer != "":
			return fail("is answered, but not asked of role %q", d.Role)
		case d.Refused && it.Answer == "":
		case mine:
			if err := checkReply(it.Answer, it.Comment); err != nil {
				return fail("%w", err)
			}
			if err := d.Evidence.allows(it.Evidence, it.Answer); err != nil && !d.Refused {
				return fail("%w", err)
			}
			if it.Answer == No && !it.Optional && !d.Refused {
				return fail("is answered \"no\", so the stage cannot be approved; sign a refusal or clear the reason")
			}
		case it.Automatic && !it.Optional && !d.Refused && !d.Evidence[it.Evidence].Passed:
			return fail("its evidence did not pass, so the stage cannot be approved")
		}
		seen[it.ID] = true
	}
	if !seen[IntegrityItem] {
		return answersFault("item %q is missing", IntegrityItem).With("item", IntegrityItem)
	}
	return nil
}

// IntegrityItem is the id of the item that each who signs answers: "Confirm the integrity of the OEM models".
const IntegrityItem = "model-integrity"

// SignDecision makes the envelope of a decision: subject manifest.json, predicate d, one signature, by the key that the
// policy names for the person. Errors: E-KEY-UNFIT, E-POLICY-NONE, E-POLICY-REFUSES, E-ANSWERS.
func SignDecision(d *Decision, manifest []byte, policy *Policy, key ed25519.PrivateKey) ([]byte, error) {
	if policy == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy, so nobody may sign")
	}
	if d == nil {
		return nil, fault.New(fault.Internal, "no decision to sign")
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	if sha512.Sum384(manifest) != d.ManifestSHA384 {
		return nil, fault.New(fault.Internal, "the decision is not about this manifest")
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.KeyRead, "private key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	pub, err := bundle.NewPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	person := policy.Person(d.Person)
	if !policy.Active(person) {
		return nil, refuses("%q may not sign under this policy", clip(d.Person)).With("person", clip(d.Person))
	}
	if owner := policy.ByKey(pub); owner != person {
		return nil, fault.New(fault.KeyUnfit, "key %s is not the one that the policy names for %q", pub.Fingerprint(), d.Person).
			With("key_id", pub.ID()).With("person", d.Person)
	}
	raw, err := bundle.CanonicalJSON(d)
	if err != nil {
		return nil, fmt.Errorf("writing decision: %w", err)
	}
	env, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, manifest)},
		PredicateType: bundle.TypeSignoff, Predicate: raw}, key)
	if err != nil {
		return nil, err
	}
	if len(env) > MaxDecisionSize {
		return nil, fault.New(fault.Limit, "the signed decision has %d bytes, want at most %d", len(env), MaxDecisionSize)
	}
	return env, nil
}
