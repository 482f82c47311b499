package compliance

import (
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"sluice/bundle"
	"sluice/internal/fault"
)

// Limits of a policy.
const (
	MaxPolicySize = 1 << 20 // bytes
	maxPeople     = 500
	maxRoles      = 16   // of one person or stage
	maxItems      = 200  // of one checklist
	maxName       = 200  // characters of a person's name
	maxText       = 2000 // characters of a question, comment or reason
	maxAgeDays    = 36500
)

// policySubject names what a policy statement speaks of: its own predicate in RFC 8785 form.
const policySubject = "policy.json"

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// DefaultStages is the least that a policy may ask for: paper needs an operator; live an operator and a compliance
// officer, who are different people with different keys.
func DefaultStages() map[Stage]StagePolicy {
	return map[Stage]StagePolicy{
		Paper: {Roles: []string{RoleOperator}},
		Live:  {Roles: []string{RoleOperator, RoleCompliance}},
	}
}

func policyInvalid(format string, args ...any) error {
	return fault.New(fault.PolicyInvalid, format, args...)
}

// ParsePolicy reads the predicate of a verified policy statement. Error: E-POLICY-INVALID.
func ParsePolicy(predicate []byte) (*Policy, error) {
	p := new(Policy)
	if err := bundle.StrictUnmarshal(predicate, p, MaxPolicySize); err != nil {
		return nil, policyInvalid("reading policy: %w", err)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}

// PolicyOf is ParsePolicy for a verified statement of type bundle.TypePolicy, whose subject must be its own predicate.
func PolicyOf(s *bundle.Statement) (*Policy, error) {
	if s == nil || s.PredicateType != bundle.TypePolicy {
		return nil, policyInvalid("this statement is no policy")
	}
	p, err := ParsePolicy(s.Predicate)
	if err != nil {
		return nil, err
	}
	raw, err := bundle.CanonicalJSON(p)
	if err != nil {
		return nil, policyInvalid("reading policy: %w", err)
	}
	if err := s.CheckSubject(policySubject, raw); err != nil {
		return nil, policyInvalid("the policy's subject: %w", err)
	}
	return p, nil
}

// SignPolicy makes a policy's envelope, signed by keys of the site's role targets.
func SignPolicy(p *Policy, keys ...ed25519.PrivateKey) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	raw, err := bundle.CanonicalJSON(p)
	if err != nil {
		return nil, policyInvalid("writing policy: %w", err)
	}
	return bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(policySubject, raw)},
		PredicateType: bundle.TypePolicy, Predicate: raw}, keys...)
}

// SHA384 is the digest of the policy in RFC 8785 form.
func (p *Policy) SHA384() (bundle.Digest, error) {
	raw, err := bundle.CanonicalJSON(p)
	if err != nil {
		return bundle.Digest{}, policyInvalid("writing policy: %w", err)
	}
	return sha512.Sum384(raw), nil
}

// Validate checks every rule of a policy. Error: E-POLICY-INVALID.
func (p *Policy) Validate() error {
	switch {
	case p == nil:
		return policyInvalid("there is no policy")
	case p.Schema != PolicySchema:
		return policyInvalid("policy has schema %q, want %q", clip(p.Schema), PolicySchema)
	case p.Number < 1:
		return policyInvalid("policy has number %d, want at least 1", p.Number)
	case p.EmergencyLiveHours < 0 || p.EmergencyLiveHours > MaxEmergencyHours:
		return policyInvalid("policy allows %d hours of live in an emergency, want 0 to %d", p.EmergencyLiveHours, MaxEmergencyHours)
	case len(p.People) > maxPeople:
		return policyInvalid("policy has %d people, want at most %d", len(p.People), maxPeople)
	case p.MaxAgeDays < 0 || p.MaxAgeDays > maxAgeDays:
		return policyInvalid("policy allows an age of %d days, want 1 to %d, or 0 for no limit", p.MaxAgeDays, maxAgeDays)
	}
	ids, keys := map[string]bool{}, map[bundle.PublicKey]string{}
	for i := range p.People {
		person := &p.People[i]
		key, err := p.checkPerson(person)
		if err != nil {
			return err
		}
		if ids[person.ID] {
			return policyInvalid("person %q stands in the policy twice", person.ID)
		}
		if other, ok := keys[key]; ok {
			return policyInvalid("%q and %q have the same key; each person has their own", other, person.ID)
		}
		ids[person.ID], keys[key] = true, person.ID
	}
	if err := p.checkStages(); err != nil {
		return err
	}
	return checkSiteItems(p.Checklist)
}

func (p *Policy) checkPerson(x *Person) (bundle.PublicKey, error) {
	none := bundle.PublicKey{}
	if !idPattern.MatchString(x.ID) {
		return none, policyInvalid("person has id %q, want 1 to 64 of a-z 0-9 . _ -", clip(x.ID))
	}
	if err := checkLine(x.Name, maxName); err != nil {
		return none, policyInvalid("person %q has name %q: %w", x.ID, clip(x.Name), err)
	}
	if err := checkRoles(x.Roles); err != nil {
		return none, policyInvalid("person %q: %w", x.ID, err)
	}
	for i, r := range x.Roles {
		if slices.Contains(x.Roles[:i], r) {
			return none, policyInvalid("person %q has role %q twice", x.ID, r)
		}
	}
	switch {
	case x.Since < 1 || x.Since > p.Number:
		return none, policyInvalid("person %q is in the policy since number %d, want 1 to %d", x.ID, x.Since, p.Number)
	case x.Retired != 0 && (x.Retired <= x.Since || x.Retired > p.Number):
		return none, policyInvalid("person %q retired with policy number %d, want %d to %d", x.ID, x.Retired, x.Since+1, p.Number)
	}
	key, err := x.key()
	if err != nil {
		return none, policyInvalid("person %q: %w", x.ID, err)
	}
	if string(key.PEM()) != x.PublicKey {
		return none, policyInvalid("person %q has a public key that is not plain PEM as written by this program", x.ID)
	}
	return key, nil
}

func (x *Person) key() (bundle.PublicKey, error) { return bundle.ParsePublicKey([]byte(x.PublicKey)) }

func checkRoles(roles []string) error {
	if len(roles) == 0 || len(roles) > maxRoles {
		return fmt.Errorf("%d roles, want 1 to %d", len(roles), maxRoles)
	}
	for _, r := range roles {
		if !idPattern.MatchString(r) || r == RoleEvery {
			return fmt.Errorf("role %q, want 1 to 64 of a-z 0-9 . _ - and not %q", clip(r), RoleEvery)
		}
	}
	return nil
}

// checkStages wants both stages, each with at least the roles of DefaultStages.
func (p *Policy) checkStages() error {
	least := DefaultStages()
	if len(p.Stages) != len(least) {
		return policyInvalid("policy has %d stages, want %q and %q", len(p.Stages), Paper, Live)
	}
	for _, stage := range []Stage{Paper, Live} {
		s, ok := p.Stages[stage]
		if !ok {
			return policyInvalid("policy has no stage %q", stage)
		}
		if err := checkRoles(s.Roles); err != nil {
			return policyInvalid("stage %q: %w", stage, err)
		}
		for _, r := range least[stage].Roles {
			if !slices.Contains(s.Roles, r) {
				return policyInvalid("stage %q does not ask for role %q; a policy may ask for more, not for less", stage, r)
			}
		}
	}
	return nil
}

func checkSiteItems(items []Item) error {
	if len(items) > maxItems {
		return policyInvalid("policy has %d checklist items, want at most %d", len(items), maxItems)
	}
	seen := map[[2]string]bool{}
	for _, it := range items {
		key := [2]string{string(it.Stage), it.ID}
		switch {
		case !idPattern.MatchString(it.ID):
			return policyInvalid("checklist item has id %q, want 1 to 64 of a-z 0-9 . _ -", clip(it.ID))
		case seen[key]:
			return policyInvalid("checklist item %q stands twice for stage %q", it.ID, it.Stage)
		case it.Automatic:
			return policyInvalid("checklist item %q is automatic; a policy's items are answered by people", it.ID)
		}
		if err := it.check(); err != nil {
			return policyInvalid("checklist item %q: %w", it.ID, err)
		}
		seen[key] = true
	}
	return nil
}

// check holds the rules of an item that do not depend on where it comes from.
func (it *Item) check() error {
	if it.Stage != Paper && it.Stage != Live {
		return fmt.Errorf("stage %q, want %q or %q", it.Stage, Paper, Live)
	}
	if it.Role != RoleEvery {
		if err := checkRoles([]string{it.Role}); err != nil {
			return err
		}
	}
	if it.Automatic && it.Evidence == "" {
		return fmt.Errorf("is automatic and names no evidence")
	}
	if it.Evidence != "" && !idPattern.MatchString(it.Evidence) {
		return fmt.Errorf("evidence %q, want 1 to 64 of a-z 0-9 . _ -", clip(it.Evidence))
	}
	if it.Text[English].Step == "" {
		return fmt.Errorf("has no text in English")
	}
	for lang, t := range it.Text {
		if lang != English && lang != Polish {
			return fmt.Errorf("language %q, want %q or %q", lang, English, Polish)
		}
		for _, s := range []string{t.Step, t.Artifacts, t.Acceptance} {
			if err := checkText(s); err != nil {
				return fmt.Errorf("text in %q: %w", lang, err)
			}
		}
	}
	return nil
}

// Follows refuses a policy that may not come after old: its number is the next one; nobody vanishes, changes key or
// beginning, loses a role or comes back from retirement. A name may change. Whoever shall lose a role or change a key retires and is
// added under another id, so that what was signed before keeps its meaning. Error: E-POLICY-INVALID.
func (p *Policy) Follows(old *Policy) error {
	if old == nil {
		if p.Number != 1 {
			return policyInvalid("the first policy has number %d, want 1", p.Number)
		}
		return nil
	}
	if p.Number != old.Number+1 {
		return policyInvalid("the policy has number %d, want %d", p.Number, old.Number+1)
	}
	for i := range old.People {
		was := &old.People[i]
		is := p.Person(was.ID)
		switch {
		case is == nil:
			return policyInvalid("person %q is missing; people retire, they are not removed", was.ID)
		case is.PublicKey != was.PublicKey || is.Since != was.Since:
			return policyInvalid("person %q has another key or beginning; retire them and add a new id", was.ID)
		case was.Retired != 0 && is.Retired != was.Retired:
			return policyInvalid("person %q has retired with number %d; that is not changed", was.ID, was.Retired)
		case was.Retired == 0 && is.Retired != 0 && is.Retired != p.Number:
			return policyInvalid("person %q retires with number %d, want %d", was.ID, is.Retired, p.Number)
		}
		for _, r := range was.Roles {
			if !slices.Contains(is.Roles, r) {
				return policyInvalid("person %q lost role %q; retire them and add a new id", was.ID, r)
			}
		}
	}
	for i := range p.People {
		if x := &p.People[i]; old.Person(x.ID) == nil && x.Since != p.Number {
			return policyInvalid("person %q is new and in the policy since number %d, want %d", x.ID, x.Since, p.Number)
		}
	}
	return nil
}

// Person finds a person by id; nil when there is none.
func (p *Policy) Person(id string) *Person {
	if p == nil {
		return nil
	}
	for i := range p.People {
		if p.People[i].ID == id {
			return &p.People[i]
		}
	}
	return nil
}

// ByKey finds whose key this is; nil when nobody's.
func (p *Policy) ByKey(key bundle.PublicKey) *Person {
	if p == nil {
		return nil
	}
	for i := range p.People {
		if k, err := p.People[i].key(); err == nil && k == key {
			return &p.People[i]
		}
	}
	return nil
}

// Active says whether the person may sign now.
func (p *Policy) Active(x *Person) bool { return p != nil && x != nil && x.Retired == 0 }

// checkLine is the rule of names: one visible line.
func checkLine(s string, limit int) error {
	if s == "" || utf8.RuneCountInString(s) > limit {
		return fmt.Errorf("%d characters, want 1 to %d", utf8.RuneCountInString(s), limit)
	}
	for _, r := range s {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return fmt.Errorf("holds the control or format character %U", r)
		}
	}
	return nil
}

// checkText is the rule of free text: line feeds and tabs are allowed, control characters and marks that override
// direction are not.
func checkText(s string) error {
	if n := utf8.RuneCountInString(s); n > maxText {
		return fmt.Errorf("%d characters, want at most %d", n, maxText)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("is not UTF-8")
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069') {
			return fmt.Errorf("holds the control character %U", r)
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}
