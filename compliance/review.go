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

// ReviewSchema is the only schema of a review.
const ReviewSchema = "sluice-review/1"

// MaxReviewSize is the largest envelope of a review in bytes.
const MaxReviewSize = 1 << 20

// Review is the predicate of the statement that settles an emergency: another person looked at what was installed
// without the vendor, and says whether it may stay.
type Review struct {
	Schema         string             `json:"schema"` // ReviewSchema
	ModelFamily    string             `json:"model_family"`
	Version        string             `json:"version"`
	ManifestSHA384 bundle.Digest      `json:"manifest_sha384"`
	Machine        Machine            `json:"machine"`
	Emergency      Emergency          `json:"emergency"`
	Person         string             `json:"person"`   // id in the policy
	Accepted       bool               `json:"accepted"` // false: it must not trade any more
	Comment        string             `json:"comment"`  // what was looked at and found; needed
	PolicyNumber   int                `json:"policy_number"`
	LogHeads       map[string]LogHead `json:"log_heads"`
	SignedAt       string             `json:"signed_at"` // RFC 3339, UTC; the local clock's word
}

// ReviewWant is what a review must be about. Every field but Barred and Logged is required.
type ReviewWant struct {
	Manifest  []byte // bytes of manifest.json
	Version   string
	Machine   Machine
	Emergency *Emergency
	Barred    []string // ids and names of those who installed, signed for or switched on the version
	// Logged says under which policy number the decision log took in an envelope, as in Want.
	Logged func(envelope bundle.Digest) (policyNumber int, ok bool)
}

// Bars says whether a person is among those who may not sign the review: by id or by name, whatever the letter case.
func (w *ReviewWant) Bars(x *Person) bool {
	return slices.ContainsFunc(w.Barred, func(who string) bool {
		who = strings.TrimSpace(who)
		return strings.EqualFold(who, x.ID) || strings.EqualFold(who, x.Name)
	})
}

// SignReview makes the envelope of a review: subject manifest.json, predicate r, one signature by the person's key.
// Errors: E-POLICY-NONE, E-POLICY-REFUSES, E-KEY-UNFIT, E-REVIEW-SELF, E-USAGE without a comment.
func SignReview(r *Review, policy *Policy, want ReviewWant, key ed25519.PrivateKey) ([]byte, error) {
	if policy == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy, so nobody may sign a review")
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.KeyUnfit, "no key of %q", clip(r.Person)).With("person", clip(r.Person))
	}
	person := policy.Person(r.Person)
	if !policy.Active(person) {
		return nil, refuses("%q may not sign under this policy", clip(r.Person)).With("person", clip(r.Person))
	}
	pub, err := bundle.NewPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	if policy.ByKey(pub) != person {
		return nil, fault.New(fault.KeyUnfit, "key %s is not the one that the policy names for %q", pub.Fingerprint(), person.ID).
			With("key_id", pub.ID()).With("person", person.ID)
	}
	if want.Bars(person) {
		return nil, reviewSelf(person)
	}
	if err := r.validate(); err != nil {
		return nil, fault.New(fault.Usage, "review: %w", err)
	}
	raw, err := bundle.CanonicalJSON(r)
	if err != nil {
		return nil, fmt.Errorf("writing review: %w", err)
	}
	env, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, want.Manifest)},
		PredicateType: bundle.TypeReview, Predicate: raw}, key)
	if err != nil {
		return nil, err
	}
	want.Logged = nil // signed today
	_, err = CheckReview(policy, env, want)
	return env, err
}

func reviewSelf(x *Person) error {
	return fault.New(fault.ReviewSelf, "%q installed, signed for or switched on this version; someone else signs its review", x.ID).With("person", x.ID)
}

func (r *Review) validate() error {
	switch {
	case r.Schema != ReviewSchema:
		return fmt.Errorf("schema %q, want %q", clip(r.Schema), ReviewSchema)
	case r.Person == "" || r.ManifestSHA384.IsZero() || r.Machine.KeyID == "" || r.Machine.System.IsZero():
		return fmt.Errorf("person, manifest or machine is missing")
	case strings.TrimSpace(r.Comment) == "":
		return fmt.Errorf("it wants a comment: what was looked at and found")
	}
	if err := checkText(r.Comment); err != nil {
		return fmt.Errorf("comment: %w", err)
	}
	if _, err := time.Parse(time.RFC3339, r.SignedAt); err != nil {
		return fmt.Errorf("signed at %q, want an RFC 3339 time", clip(r.SignedAt))
	}
	return r.Emergency.Check()
}

// CheckReview proves a review: signed with the key of one person of the policy, about exactly what want says, by nobody
// who is barred. The signature of a person who retired since counts as in CheckApprovals.
// Errors: E-POLICY-NONE; E-SIGNOFF-INVALID, E-MACHINE-OTHER, E-POLICY-REFUSES, E-REVIEW-SELF.
func CheckReview(policy *Policy, raw []byte, want ReviewWant) (*Review, error) {
	if policy == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy, so no review can be judged")
	}
	if len(raw) > MaxReviewSize {
		return nil, signoffInvalid("the review has %d bytes, want at most %d", len(raw), MaxReviewSize)
	}
	st, signer, err := policy.signedByOne(raw, bundle.TypeReview, "review")
	if err != nil {
		return nil, err
	}
	if err := st.CheckSubject(manifestName, want.Manifest); err != nil {
		return nil, signoffInvalid("the review is for another bundle: %w", err).With("field", "manifest")
	}
	r := new(Review)
	if err := bundle.StrictUnmarshal(st.Predicate, r, MaxReviewSize); err != nil {
		return nil, signoffInvalid("reading the review: %w", err)
	}
	if err := r.validate(); err != nil {
		return nil, signoffInvalid("the review: %w", err)
	}
	person := policy.ByKey(signer)
	switch {
	case person == nil || person.ID != r.Person:
		return nil, refuses("the review says it is %q's, the key is another person's", clip(r.Person)).With("person", clip(r.Person))
	case r.Machine != want.Machine:
		return nil, fault.New(fault.MachineOther, "the review is for machine %q, this is %q", clip(r.Machine.KeyID), want.Machine.KeyID).With("field", "machine")
	case r.ManifestSHA384 != sha512.Sum384(want.Manifest) || r.Version != want.Version:
		return nil, signoffInvalid("the review is for version %q, want %q", clip(r.Version), want.Version).With("field", "version")
	case !r.Emergency.Same(want.Emergency):
		return nil, signoffInvalid("the review is about another emergency").With("field", "emergency")
	case want.Bars(person):
		return nil, reviewSelf(person)
	case r.PolicyNumber < person.Since || r.PolicyNumber > policy.Number:
		return nil, refuses("%q signed under policy number %d, want %d to %d", person.ID, r.PolicyNumber, person.Since, policy.Number).With("person", person.ID)
	}
	if err := policy.signedBefore(person, r.PolicyNumber, sha512.Sum384(raw), want.Logged); err != nil {
		return nil, err
	}
	return r, nil
}
