package compliance

import (
	"crypto/ed25519"

	"sluice/bundle"
	"sluice/internal/fault"
)

var errTodo = fault.New(fault.Internal, "not written yet")

// DefaultStages: paper needs an operator; live an operator and a compliance officer. A policy may ask for more.
func DefaultStages() map[Stage]StagePolicy { return nil }

// ParsePolicy reads the predicate of a verified policy statement.
func ParsePolicy(predicate []byte) (*Policy, error) { return nil, errTodo }

// PolicyOf is ParsePolicy with the check that the statement's subject is this predicate.
func PolicyOf(s *bundle.Statement) (*Policy, error) { return nil, errTodo }

// Validate checks all rules of a policy made in memory.
func (p *Policy) Validate() error { return errTodo }

// Follows refuses a policy that may not come after old.
func (p *Policy) Follows(old *Policy) error { return errTodo }

// SHA384 is the digest of the policy's RFC 8785 form.
func (p *Policy) SHA384() (bundle.Digest, error) { return bundle.Digest{}, errTodo }

// Person finds a person by id, nil when there is none.
func (p *Policy) Person(id string) *Person { return nil }

// ByKey finds whose key this is, nil when nobody's.
func (p *Policy) ByKey(key bundle.PublicKey) *Person { return nil }

// Active says whether the person may sign under this policy.
func (p *Policy) Active(person *Person) bool { return false }

// SignPolicy makes the policy's envelope, signed by the site's targets keys.
func SignPolicy(p *Policy, keys ...ed25519.PrivateKey) ([]byte, error) { return nil, errTodo }

// BuildChecklist: built-in items, then the manifest's, then the site's.
func BuildChecklist(o ChecklistOptions) (*Checklist, error) { return nil, errTodo }

// For gives the items that a person in this role answers.
func (c *Checklist) For(role string) []Item { return nil }

// Passed says whether each required automatic item is answered by evidence that passed; if not, which is not.
func (c *Checklist) Passed() (failed []string) { return nil }

// Text is the checklist as plain text in one language.
func (c *Checklist) Text(lang Lang) string { return "" }

// TextDigest is the SHA-384 of the questions' text in one language, without evidence.
func (c *Checklist) TextDigest(lang Lang) bundle.Digest { return bundle.Digest{} }

// Template is an answers file to fill in (YAML), with the questions as comments.
func (c *Checklist) Template(role string, lang Lang) []byte { return nil }

// ParseAnswers reads an answers file, YAML or JSON.
func ParseAnswers(raw []byte) (*Answers, error) { return nil, errTodo }

// NewAnswers starts empty answers for a checklist and role.
func (c *Checklist) NewAnswers(role string) *Answers { return nil }

// NewDecision checks everything that makes a decision valid at signing.
func NewDecision(o DecisionOptions) (*Decision, error) { return nil, errTodo }

// SignDecision makes the envelope: subject manifest.json, predicate d. The key must be the person's.
func SignDecision(d *Decision, manifest []byte, policy *Policy, key ed25519.PrivateKey) ([]byte, error) {
	return nil, errTodo
}

// CheckApprovals checks the envelopes of one stage in the order they were signed.
func CheckApprovals(policy *Policy, envelopes [][]byte, want Want) (*Approval, error) {
	return nil, errTodo
}

// Record is the sign-off record of one stage: what the report shows.
type Record struct{}

// NewRecord puts together a record from a checklist and the envelopes signed for it.
func NewRecord(c *Checklist, policy *Policy, envelopes [][]byte, want Want) (*Record, error) {
	return nil, errTodo
}

// JSON and Text render it.
func (r *Record) JSON() ([]byte, error) { return nil, errTodo }
func (r *Record) Text(lang Lang) string { return "" }

// ReportName is the name of a record's files without extension: odbior-<stage>-<version>-<date>-<time>.
func ReportName(stage Stage, version string, at string) string { return "" }
