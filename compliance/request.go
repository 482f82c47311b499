package compliance

import (
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

// Schemas of what travels to a person who signs elsewhere, and back.
const (
	RequestSchema       = "sluice-request/1"
	SignedRequestSchema = "sluice-signed-request/1"
)

// MaxRequestSize is the largest request in bytes, and MaxSignedRequestSize the largest answer to one.
const (
	MaxRequestSize       = bundle.MaxEnvelopeSize
	MaxSignedRequestSize = 2 * (MaxFormSize + MaxDecisionSize)
)

// Request is the predicate of a request for a sign-off (bundle.TypeRequest, by the machine's key, about manifest.json): all
// that a person on another machine needs in order to check what they sign.
type Request struct {
	Schema         string             `json:"schema"` // RequestSchema
	Stage          Stage              `json:"stage"`
	ModelFamily    string             `json:"model_family"`
	Version        string             `json:"version"`
	Variant        string             `json:"variant"`
	ManifestSHA384 bundle.Digest      `json:"manifest_sha384"`
	Machine        Machine            `json:"machine"`
	MachineKey     string             `json:"machine_key"`        // PEM; its id is the machine's
	TrustRoot      int                `json:"trust_root"`         // number of the vendor's root (in an emergency the site's) that judged the bundle
	SiteRoot       int                `json:"site_root,omitzero"` // number of the site's root that judged the policy; 0: the newest carried
	Emergency      *Emergency         `json:"emergency,omitempty"`
	Installer      string             `json:"installer,omitempty"`
	Person         string             `json:"person,omitempty"` // who is asked; empty: anybody who may sign
	PolicyNumber   int                `json:"policy_number"`
	PolicySHA384   bundle.Digest      `json:"policy_sha384"`
	Items          []Item             `json:"items"`
	Evidence       Evidence           `json:"evidence"`
	LogHeads       map[string]LogHead `json:"log_heads"`
	At             string             `json:"at"`     // RFC 3339, UTC, by the local clock
	Files          map[string][]byte  `json:"files"`  // name -> content, base64
	Below          []SignedFile       `json:"below"`  // sign-offs of the stage below, in order
	Before         []SignedFile       `json:"before"` // of this stage, in order
}

// Names of a request's files. Trust roots and kept policies have their names below ai_models: "keys/oem/1.root.json",
// "policies/3.json".
const (
	FileManifest  = "manifest.json"
	FileSignature = "manifest.sig"
	FilePolicy    = "policy.json"
	FileRecord    = "record.json" // of the stage that the version is at
	FileKeys      = "keys/"
	FilePolicies  = "policies/"
)

// SignedFile is a sign-off with its form.
type SignedFile struct {
	Envelope     []byte `json:"envelope"`
	Form         []byte `json:"form"`
	PolicyNumber int    `json:"policy_number"` // under which the log took it in
}

func requestFault(format string, args ...any) *fault.Error {
	return fault.New(fault.Request, format, args...)
}

// SignRequest makes the file of a request, signed by the machine's key.
func SignRequest(r *Request, key ed25519.PrivateKey) ([]byte, error) {
	raw, err := bundle.CanonicalJSON(r)
	if err != nil {
		return nil, fmt.Errorf("writing request: %w", err)
	}
	out, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, r.Files[FileManifest])},
		PredicateType: bundle.TypeRequest, Predicate: raw}, key)
	if err != nil {
		return nil, err
	}
	if len(out) > MaxRequestSize {
		return nil, fault.New(fault.Limit, "the request has %d bytes, want at most %d", len(out), MaxRequestSize).With("limit", MaxRequestSize)
	}
	return out, nil
}

// ParseRequest reads a request that is whole and signed by the machine's key that it names. Whether vendor, site and people are
// to be believed is not judged. Error: E-REQUEST.
func ParseRequest(raw []byte) (*Request, error) {
	if len(raw) > MaxRequestSize {
		return nil, requestFault("the request has %d bytes, want at most %d", len(raw), MaxRequestSize)
	}
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		return nil, requestFault("reading the request: %w", err)
	}
	st, err := env.Unverified()
	if err != nil {
		return nil, requestFault("reading the request: %w", err)
	}
	if st.PredicateType != bundle.TypeRequest {
		return nil, requestFault("this is a %q, want a request for a sign-off", clip(st.PredicateType))
	}
	r := new(Request)
	if err := bundle.StrictUnmarshal(st.Predicate, r, MaxRequestSize); err != nil {
		return nil, requestFault("reading the request: %w", err)
	}
	key, err := bundle.ParsePublicKey([]byte(r.MachineKey))
	if err != nil {
		return nil, requestFault("the machine's key: %w", err)
	}
	if st, _, err = env.Verify(bundle.TypeRequest, []bundle.PublicKey{key}, 1); err != nil {
		return nil, requestFault("verifying the request: %w", err)
	}
	if err := st.CheckSubject(manifestName, r.Files[FileManifest]); err != nil {
		return nil, requestFault("verifying the request: %w", err)
	}
	if err := r.validate(key); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Request) validate(key bundle.PublicKey) error {
	switch {
	case r.Schema != RequestSchema:
		return requestFault("the request has schema %q, want %q", clip(r.Schema), RequestSchema)
	case r.Stage != Paper && r.Stage != Live:
		return requestFault("the request is for stage %q, want %q or %q", clip(string(r.Stage)), Paper, Live)
	case r.ManifestSHA384 != sha512.Sum384(r.Files[FileManifest]):
		return requestFault("the request names another manifest than it carries")
	case r.Machine.KeyID != key.ID() || r.Machine.System.IsZero():
		return requestFault("the request names another machine than the key that signed it")
	case r.Variant == "" || r.Version == "" || r.ModelFamily == "" || r.PolicyNumber < 1 || r.PolicySHA384.IsZero():
		return requestFault("the request lacks version, variant or policy")
	case len(r.Items) == 0 || len(r.Items) > maxItems*4:
		return requestFault("the request has %d items, want 1 to %d", len(r.Items), maxItems*4)
	case len(r.Before) > maxPeople || len(r.Below) > maxPeople:
		return requestFault("the request carries %d and %d sign-offs, want at most %d", len(r.Before), len(r.Below), maxPeople)
	}
	for i := range r.Items {
		if err := r.Items[i].check(); err != nil {
			return requestFault("item %q: %w", clip(r.Items[i].ID), err)
		}
	}
	if _, err := time.Parse(time.RFC3339, r.At); err != nil {
		return requestFault("made at %q, want an RFC 3339 time", clip(r.At))
	}
	return nil
}

// Checklist is what is asked, with the evidence that the machine found.
func (r *Request) Checklist() *Checklist {
	return &Checklist{Stage: r.Stage, ModelFamily: r.ModelFamily, Version: r.Version, ManifestSHA384: r.ManifestSHA384, Items: r.Items, Evidence: r.Evidence}
}

// Want is what sign-offs of a stage must be for, as the request says; policyAt gives the policies that it carries.
func (r *Request) Want(stage Stage, policyAt func(int) (*Policy, error)) Want {
	w := Want{Stage: stage, Manifest: r.Files[FileManifest], Version: r.Version, Variant: r.Variant, Machine: r.Machine, Installer: r.Installer,
		Emergency: r.Emergency.Plain(), Forms: map[bundle.Digest][]byte{}, PolicyAt: policyAt}
	numbers := map[bundle.Digest]int{}
	for _, list := range [][]SignedFile{r.Below, r.Before} {
		for _, s := range list {
			w.Forms[sha512.Sum384(s.Form)] = s.Form
			numbers[sha512.Sum384(s.Envelope)] = s.PolicyNumber
		}
	}
	w.Logged = func(e bundle.Digest) (int, bool) { n, ok := numbers[e]; return n, ok }
	return w
}

// SignedRequest is what comes back: one person's decision with its form.
type SignedRequest struct {
	Schema   string        `json:"schema"`         // SignedRequestSchema
	Request  bundle.Digest `json:"request_sha384"` // of the request's file
	Form     []byte        `json:"form"`           // base64
	Envelope []byte        `json:"envelope"`       // base64
}

// Encode writes the answer to a request.
func (s *SignedRequest) Encode() ([]byte, error) {
	raw, err := bundle.CanonicalJSON(s)
	if err != nil {
		return nil, fmt.Errorf("writing the signed request: %w", err)
	}
	return append(raw, '\n'), nil
}

// ParseSignedRequest reads an answer and the decision in it. Nothing is verified but that its parts belong together.
// Error: E-REQUEST.
func ParseSignedRequest(raw []byte) (*SignedRequest, *Decision, error) {
	s := new(SignedRequest)
	if err := bundle.StrictUnmarshal(raw, s, MaxSignedRequestSize); err != nil {
		return nil, nil, requestFault("reading the signed request: %w", err)
	}
	if s.Schema != SignedRequestSchema {
		return nil, nil, requestFault("the signed request has schema %q, want %q", clip(s.Schema), SignedRequestSchema)
	}
	env, err := bundle.ParseEnvelope(s.Envelope)
	if err != nil {
		return nil, nil, requestFault("reading the signature: %w", err)
	}
	st, err := env.Unverified()
	if err != nil {
		return nil, nil, requestFault("reading the signature: %w", err)
	}
	d := new(Decision)
	if err := bundle.StrictUnmarshal(st.Predicate, d, MaxDecisionSize); err != nil {
		return nil, nil, requestFault("reading the decision: %w", err)
	}
	if err := d.validate(); err != nil {
		return nil, nil, requestFault("the decision: %w", err)
	}
	switch {
	case s.Request.IsZero() || d.Request != s.Request:
		return nil, nil, requestFault("the decision answers another request than the file says")
	case sha512.Sum384(s.Form) != d.Form:
		return nil, nil, requestFault("the form is not the one that was signed")
	}
	return s, d, nil
}
