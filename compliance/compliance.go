// Package compliance holds what people decide: the site's policy, the checklist of a stage, their answers, the signed
// decision and the record of a sign-off. It says whether the approvals of a stage are complete and whose they are. It does
// not store anything, does not log, and knows no trust root: the policy comes to it verified.
package compliance

import (
	"sluice/assets"
	"sluice/bundle"
)

// Stage is a step that people sign for.
type Stage string

// The stages with a sign-off.
const (
	Paper Stage = "paper"
	Live  Stage = "live"
)

// Roles that the built-in stages ask for. A policy may name further ones.
const (
	RoleOperator   = "operator"
	RoleCompliance = "compliance"
)

// Lang is a language of checklist and record.
type Lang = assets.Lang

// The languages.
const (
	English = assets.English
	Polish  = assets.Polish
)

// Policy is the predicate of the site's policy statement.
type Policy struct {
	Schema        string                `json:"schema"` // PolicySchema
	Number        int                   `json:"number"` // 1, and one more with each change
	People        []Person              `json:"people"`
	Stages        map[Stage]StagePolicy `json:"stages"` // both; DefaultStages is the least
	RequireModels bool                  `json:"require_models"`
	CloseOnExpiry bool                  `json:"close_on_expiry,omitzero"` // live closes when a trust root has expired
	MaxAgeDays    int                   `json:"max_age_days,omitzero"`    // of the newest signed evidence, for new decisions; 0: no limit
	Checklist     []Item                `json:"checklist,omitempty"`      // the site's own questions

	// EmergencyLiveHours is how long a version installed by emergency may be live before its review is signed; 0: it
	// stops at paper. At most MaxEmergencyHours.
	EmergencyLiveHours int `json:"emergency_live_hours,omitzero"`
}

// PolicySchema is the only schema of a policy.
const PolicySchema = "sluice-policy/1"

// Person may sign. People are never removed and never change their key: they retire.
type Person struct {
	ID        string   `json:"id"` // [a-z0-9][a-z0-9._-]{0,63}
	Name      string   `json:"name"`
	Roles     []string `json:"roles"`
	PublicKey string   `json:"public_key"`       // PEM
	Since     int      `json:"since"`            // number of the first policy with this person
	Retired   int      `json:"retired,omitzero"` // number of the first policy that does not let them sign any more
}

// StagePolicy says whose signatures a stage needs: each listed role from another person. A role may be listed twice.
type StagePolicy struct {
	Roles []string `json:"roles"`
}

// Item is one line of a checklist.
type Item struct {
	ID        string            `json:"id"` // [a-z0-9][a-z0-9._-]{0,63}; in a checklist "oem/" or "site/" stands before ids of those
	Stage     Stage             `json:"stage"`
	Role      string            `json:"role"`               // who answers; RoleEvery: each who signs
	Automatic bool              `json:"automatic,omitzero"` // answered by evidence, not by a person
	Optional  bool              `json:"optional,omitzero"`  // a "no" does not block
	Evidence  string            `json:"evidence,omitempty"` // name of the evidence shown beside it
	Text      map[Lang]ItemText `json:"text"`               // English is required
}

// RoleEvery marks an item that each person who signs answers.
const RoleEvery = "every"

// ItemText is an item in one language.
type ItemText struct {
	Step       string `json:"step"`
	Artifacts  string `json:"artifacts,omitempty"`
	Acceptance string `json:"acceptance,omitempty"`
}

// Names of the evidence that the built-in items use.
const (
	EvidenceManifest = "manifest_integrity" // signers, root version, digests: what Authenticate and the copy proved
	EvidenceGolden   = "golden_cases"       // smoke test: cases, worst deviations, engine
	EvidenceQuality  = "quality_figures"    // from the manifest
	EvidenceLimits   = "operating_limits"   // measured latency and memory beside the contract's
	EvidenceLog      = "decision_log"       // entries and head of the logs
	EvidenceRollback = "rollback_target"    // the version to go back to
)

// Fact is evidence: language-neutral names and values that the program found itself. One that did not pass and has no
// values says no more than an absent one: the evidence is not available.
type Fact struct {
	Passed  bool              `json:"passed"`
	Values  map[string]string `json:"values,omitempty"`
	Sources []Source          `json:"sources,omitempty"` // where it can be opened
}

// Source is a file that evidence stands in: below the root, with slashes, and its digest when the evidence was found.
type Source struct {
	Path   string        `json:"path"`
	SHA384 bundle.Digest `json:"sha384"`
	Size   int64         `json:"size"` // bytes
}

// Evidence maps evidence names to what was found.
type Evidence map[string]Fact

// Checklist is everything that is asked for one stage of one bundle. BuildChecklist makes one.
type Checklist struct {
	Stage          Stage         `json:"stage"`
	ModelFamily    string        `json:"model_family"`
	Version        string        `json:"version"`
	ManifestSHA384 bundle.Digest `json:"manifest_sha384"`
	Items          []Item        `json:"items"`
	Evidence       Evidence      `json:"evidence"`
}

// ChecklistOptions is what a checklist is built from.
type ChecklistOptions struct {
	Stage          Stage
	Manifest       *bundle.Manifest
	ManifestSHA384 bundle.Digest
	Policy         *Policy  // nil: the site asks nothing of its own
	Evidence       Evidence // EvidenceQuality is added from the manifest when absent
}

// Reply is what a person says to one item.
type Reply string

// The replies. No and NotApplicable need a comment.
const (
	Yes           Reply = "yes"
	No            Reply = "no"
	NotApplicable Reply = "not_applicable"
)

// Answer is a person's reply to one item.
type Answer struct {
	ID      string `json:"id" yaml:"id"`
	Answer  Reply  `json:"answer" yaml:"answer"`
	Comment string `json:"comment,omitempty" yaml:"comment,omitempty"`
}

// Answers is the answers file.
type Answers struct {
	Schema         string   `json:"schema" yaml:"schema"` // AnswersSchema
	Stage          Stage    `json:"stage" yaml:"stage"`
	Version        string   `json:"version" yaml:"version"`
	ManifestSHA384 string   `json:"manifest_sha384" yaml:"manifest_sha384"`
	Role           string   `json:"role" yaml:"role"`
	Answers        []Answer `json:"answers" yaml:"answers"`
}

// AnswersSchema is the only schema of an answers file.
const AnswersSchema = "sluice-answers/1"

// Meaning says what a signature stands for.
type Meaning string

// The meanings. A stage needs at least one Approved.
const (
	Prepared Meaning = "prepared"
	Reviewed Meaning = "reviewed"
	Approved Meaning = "approved"
)

// Machine is whom an approval is for.
type Machine struct {
	KeyID  string        `json:"key_id"` // of the machine key
	System bundle.Digest `json:"system"` // SHA-384 of "sluice-machine-v1\0" and the system's machine id
}

// LogHead pins one decision log at the time of signing.
type LogHead struct {
	Entries int           `json:"entries"`
	SHA384  bundle.Digest `json:"sha384"`
}

// Decision is the predicate of a sign-off: one person's decision about one stage of one bundle on one machine.
type Decision struct {
	Schema         string                 `json:"schema"` // DecisionSchema
	Stage          Stage                  `json:"stage"`
	ModelFamily    string                 `json:"model_family"`
	Version        string                 `json:"version"`
	Variant        string                 `json:"variant"`
	ManifestSHA384 bundle.Digest          `json:"manifest_sha384"`
	Machine        Machine                `json:"machine"`
	Person         string                 `json:"person"` // id in the policy
	Role           string                 `json:"role"`
	Meaning        Meaning                `json:"meaning"`
	Refused        bool                   `json:"refused"`
	Reason         string                 `json:"reason,omitempty"`        // of a refusal
	Items          []DecidedItem          `json:"items"`                   // the whole checklist, in its order
	Form           bundle.Digest          `json:"form_sha384"`             // of the stored form: checklist, evidence and answers as they were
	Request        bundle.Digest          `json:"request_sha384,omitzero"` // of the request that was signed elsewhere
	Evidence       Evidence               `json:"evidence"`
	Texts          map[Lang]bundle.Digest `json:"texts"`    // SHA-384 of the checklist's text in each language
	Language       Lang                   `json:"language"` // the one that was shown
	PolicyNumber   int                    `json:"policy_number"`
	PolicySHA384   bundle.Digest          `json:"policy_sha384"`
	LogHeads       map[string]LogHead     `json:"log_heads"`
	Previous       bundle.Digest          `json:"previous"`  // SHA-384 of the envelope signed before for this stage; zeros: the first
	SignedAt       string                 `json:"signed_at"` // RFC 3339, UTC; the local clock's word
	Emergency      *Emergency             `json:"emergency,omitempty"`
}

// DecisionSchema is the only schema of a decision.
const DecisionSchema = "sluice-signoff/1"

// DecidedItem is one item as decided: what was asked of whom, and the reply of the person who signs where it was theirs.
type DecidedItem struct {
	ID        string `json:"id"`
	Role      string `json:"role"`
	Automatic bool   `json:"automatic,omitzero"`
	Optional  bool   `json:"optional,omitzero"`
	Evidence  string `json:"evidence,omitempty"`
	Answer    Reply  `json:"answer,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// DecisionOptions is what a person's decision is made from.
type DecisionOptions struct {
	Checklist *Checklist
	Variant   string
	Machine   Machine
	Policy    *Policy
	Person    string   // id in the policy
	Role      string   // empty: the person's only role that the stage asks for
	Meaning   Meaning  // empty: Approved
	Answers   *Answers // nil only with Refuse
	Refuse    bool
	Reason    string // required with Refuse
	Language  Lang
	LogHeads  map[string]LogHead
	Previous  []byte // the envelope signed before for this stage; nil: the first
	SignedAt  string // RFC 3339
	Emergency *Emergency
	Request   bundle.Digest // of the request that is answered; zeros: signed where the version is installed
}

// Want is what approvals must be for. Every field but Logged, Installer and Emergency is required; PolicyAt, once the policy has changed.
type Want struct {
	Stage    Stage
	Manifest []byte // bytes of manifest.json
	Version  string
	Variant  string
	Machine  Machine
	// Logged says under which policy number the decision log took in an envelope. It is asked for the signatures
	// of people who have retired since; nil: those do not count.
	Logged func(envelope bundle.Digest) (policyNumber int, ok bool)
	// Revoked says that a key is revoked: its signatures keep their place in the order but fill no role. Nil: none is.
	Revoked func(key bundle.PublicKey) error
	// Emergency is how the version came here when the vendor did not sign it; a decision must say exactly the same.
	Emergency *Emergency
	// Forms are the stored forms by their digest.
	Forms map[bundle.Digest][]byte
	// PolicyAt gives an earlier policy by its number, nil when it was not kept: a decision is judged by the one it was made under too.
	PolicyAt func(number int) (*Policy, error)
	// Installer is who installed the version, as they said: a person's id or name, or an account. Where two people are asked
	// for, somebody else must approve.
	Installer string
}

// Approval is the outcome of CheckApprovals.
type Approval struct {
	Complete      bool     `json:"complete"`
	MissingRoles  []string `json:"missing_roles"`
	NeedsApproved bool     `json:"needs_approved"` // nobody has signed with the meaning "approved" yet
	// NeedsIndependent: only the one who installed has approved, and the stage asks for two people.
	NeedsIndependent bool     `json:"needs_independent"`
	Signed           []Signed `json:"signed"`
	Revoked          error    `json:"-"` // why the first signature that fills no role does not: its key is revoked
}

// Signed is one decision that holds.
type Signed struct {
	Person   string        `json:"person"`
	Name     string        `json:"name"`
	Role     string        `json:"role"`
	Meaning  Meaning       `json:"meaning"`
	SignedAt string        `json:"signed_at"`
	KeyID    string        `json:"key_id"`
	Envelope bundle.Digest `json:"envelope_sha384"`
	Decision *Decision     `json:"-"`
	Form     *Form         `json:"-"`
}
