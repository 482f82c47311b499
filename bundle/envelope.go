package bundle

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"sluice/internal/fault"
)

// PayloadType is the DSSE payload type of everything that people and machines sign here (DSSE v1, in-toto).
const PayloadType = "application/vnd.in-toto+json"

// statementType is the _type of in-toto Statement v1.
const statementType = "https://in-toto.io/Statement/v1"

// The predicate types: what a statement is a statement of.
const (
	TypeManifest    = "urn:sluice:manifest:1"
	TypeVolumes     = "urn:sluice:volumes:1"
	TypeSignoff     = "urn:sluice:signoff:1"
	TypeRollback    = "urn:sluice:rollback:1"
	TypePolicy      = "urn:sluice:policy:1"
	TypeRevocations = "urn:sluice:revocations:1"
	TypeLive        = "urn:sluice:live:1"
	TypeHead        = "urn:sluice:head:1"
	TypeReview      = "urn:sluice:review:1"
	TypeProgram     = "urn:sluice:program:1"
	TypeRequest     = "urn:sluice:request:1"
	TypeEvidence    = "urn:sluice:evidence:1"
)

// Sentinels for what callers tell apart; errors.Is compares by code.
var (
	ErrSignatureMissing   = fault.New(fault.SignatureMissing, "no signature")
	ErrSignatureInvalid   = fault.New(fault.SignatureInvalid, "invalid signature")
	ErrSignatureUntrusted = fault.New(fault.SignatureUntrusted, "signed by nobody who is trusted")
	ErrSignatureType      = fault.New(fault.SignatureType, "signature of something else")
	ErrSignatureThreshold = fault.New(fault.SignatureThreshold, "too few signatures")
)

// Digest256 is a SHA-256 digest; as text 64 lower-case hexadecimal digits. Nothing here relies on it: it stands
// beside SHA-384 for tools that look for it.
type Digest256 [sha256.Size]byte

func (d Digest256) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest256) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts exactly 64 lower-case hexadecimal digits.
func (d *Digest256) UnmarshalText(b []byte) error {
	if len(b) != 2*len(d) || strings.ContainsFunc(string(b), func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) {
		return fmt.Errorf("digest %q, want %d lower-case hexadecimal digits", clip(string(b)), 2*len(d))
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Subject is one thing that a statement speaks of.
type Subject struct {
	Name   string
	SHA384 Digest
	SHA256 Digest256
}

// NewSubject names content and digests it.
func NewSubject(name string, content []byte) Subject {
	return Subject{Name: name, SHA384: sha512.Sum384(content), SHA256: sha256.Sum256(content)}
}

// Statement is an in-toto Statement v1. The predicate's meaning is the caller's: parse it with StrictUnmarshal.
type Statement struct {
	Subjects      []Subject
	PredicateType string
	Predicate     jsontext.Value
}

// ManifestPredicate is the predicate of manifest.sig; it repeats what the manifest says.
type ManifestPredicate struct {
	ModelFamily string `json:"model_family"`
	Version     string `json:"version"`
}

// statementJSON and subjectJSON are the statement's form on the wire.
type statementJSON struct {
	Type          string         `json:"_type"`
	Subject       []subjectJSON  `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     jsontext.Value `json:"predicate"`
}

type subjectJSON struct {
	Name   string `json:"name"`
	Digest struct {
		SHA256 Digest256 `json:"sha256"`
		SHA384 Digest    `json:"sha384"`
	} `json:"digest"`
}

func (s Statement) marshal() ([]byte, error) {
	w := statementJSON{Type: statementType, PredicateType: s.PredicateType, Predicate: s.Predicate}
	for _, sub := range s.Subjects {
		j := subjectJSON{Name: sub.Name}
		j.Digest.SHA256, j.Digest.SHA384 = sub.SHA256, sub.SHA384
		w.Subject = append(w.Subject, j)
	}
	raw, err := CanonicalJSON(w)
	if err != nil {
		return nil, fmt.Errorf("writing statement: %w", err)
	}
	if _, err := parseStatement(raw); err != nil {
		return nil, fmt.Errorf("writing statement: %w", err)
	}
	return raw, nil
}

func parseStatement(raw []byte) (*Statement, error) {
	var w statementJSON
	if err := strictTyped(raw, &w, MaxEnvelopeSize, false); err != nil {
		return nil, fault.New(fault.SignatureInvalid, "reading in-toto statement: %w", err)
	}
	if w.Type != statementType {
		return nil, fault.New(fault.SignatureType, "statement type %q, want %q", clip(w.Type), statementType)
	}
	if len(w.Subject) == 0 || len(w.Subject) > MaxArtifacts {
		return nil, fault.New(fault.SignatureInvalid, "statement has %d subjects, want 1 to %d", len(w.Subject), MaxArtifacts)
	}
	if w.Predicate.Kind() != '{' {
		return nil, fault.New(fault.SignatureInvalid, "statement's predicate is a %s, want an object", kindName(w.Predicate.Kind()))
	}
	s := &Statement{PredicateType: w.PredicateType, Predicate: w.Predicate}
	for _, sub := range w.Subject {
		s.Subjects = append(s.Subjects, Subject{Name: sub.Name, SHA384: sub.Digest.SHA384, SHA256: sub.Digest.SHA256})
	}
	return s, nil
}

// CheckSubject demands that the statement speaks of exactly one thing, and that this is content under that name. Both
// digests must match. Errors: E-SIGNATURE-TYPE for another name or several subjects, E-SIGNATURE-INVALID for other content: a
// genuine signature that does not hold for these bytes.
func (s *Statement) CheckSubject(name string, content []byte) error {
	if len(s.Subjects) != 1 || s.Subjects[0].Name != name {
		names := make([]string, 0, 3)
		for _, sub := range s.Subjects[:min(len(s.Subjects), 3)] {
			names = append(names, clip(sub.Name))
		}
		return fault.New(fault.SignatureType, "the signature speaks of %q, want exactly %q", names, name)
	}
	if want := NewSubject(name, content); s.Subjects[0] != want {
		return fault.New(fault.SignatureInvalid, "%s has SHA-384 %s, what was signed has %s: it was changed afterwards", name, want.SHA384, s.Subjects[0].SHA384).
			With("path", name).With("got", want.SHA384.String()).With("want", s.Subjects[0].SHA384.String())
	}
	return nil
}

// Envelope is a DSSE v1 envelope as read: nothing in it is verified.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []Signature
}

// Signature is one signature of an envelope. The key id is a hint: verification tries every key, and an id
// that is there must be the ID of the key that made the signature.
type Signature struct {
	KeyID string
	Sig   []byte
}

type envelopeJSON struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	KeyID string `json:"keyid,omitempty"`
	Sig   string `json:"sig"`
}

// ParseEnvelope reads an envelope of at most 32 MiB (callers that know a smaller limit check it before). Base64 is the
// standard alphabet with padding and nothing between; signatures have 64 bytes; the same signature or the same
// key id twice is an error. Errors: E-LIMIT, E-SIGNATURE-INVALID, E-SIGNATURE-MISSING.
func ParseEnvelope(raw []byte) (*Envelope, error) {
	if len(raw) == 0 {
		return nil, fault.New(fault.SignatureMissing, "there is no signature, not one byte")
	}
	var w envelopeJSON
	if err := strictTyped(raw, &w, MaxEnvelopeSize, false); err != nil {
		if fault.CodeOf(err) == fault.Limit {
			return nil, err
		}
		return nil, fault.New(fault.SignatureInvalid, "reading signature envelope: %w", err)
	}
	payload, err := strictBase64(w.Payload)
	if err != nil {
		return nil, fault.New(fault.SignatureInvalid, "reading signature envelope: payload: %w", err)
	}
	if len(w.Signatures) == 0 {
		return nil, fault.New(fault.SignatureMissing, "the envelope holds no signature")
	}
	if len(w.Signatures) > maxSignatures {
		return nil, fault.New(fault.SignatureInvalid, "the envelope holds %d signatures, want at most %d", len(w.Signatures), maxSignatures)
	}
	e := &Envelope{PayloadType: w.PayloadType, Payload: payload}
	for i, s := range w.Signatures {
		sig, err := strictBase64(s.Sig)
		if err != nil {
			return nil, fault.New(fault.SignatureInvalid, "reading signature envelope: signature %d: %w", i+1, err)
		}
		if len(sig) != ed25519.SignatureSize {
			return nil, fault.New(fault.SignatureInvalid, "signature %d has %d bytes, want %d (Ed25519)", i+1, len(sig), ed25519.SignatureSize)
		}
		if len(s.KeyID) > maxKeyIDBytes {
			return nil, fault.New(fault.SignatureInvalid, "signature %d has a key id of %d bytes, want at most %d", i+1, len(s.KeyID), maxKeyIDBytes)
		}
		for _, o := range e.Signatures {
			if bytes.Equal(o.Sig, sig) || s.KeyID != "" && o.KeyID == s.KeyID {
				return nil, fault.New(fault.SignatureInvalid, "signature %d repeats an earlier one (key id %q): a key counts once", i+1, clip(s.KeyID))
			}
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: s.KeyID, Sig: sig})
	}
	return e, nil
}

// strictBase64 is RFC 4648, section 4, with padding, without line feeds, with zero bits at the end.
func strictBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line feed within base64")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not standard base64: %w", err)
	}
	return b, nil
}

func (e *Envelope) marshal() ([]byte, error) {
	w := envelopeJSON{Payload: base64.StdEncoding.EncodeToString(e.Payload), PayloadType: e.PayloadType}
	for _, s := range e.Signatures {
		w.Signatures = append(w.Signatures, signatureJSON{KeyID: s.KeyID, Sig: base64.StdEncoding.EncodeToString(s.Sig)})
	}
	return CanonicalJSON(w)
}

// Unverified reads the statement without looking at any signature: for showing, never for believing.
func (e *Envelope) Unverified() (*Statement, error) {
	if e.PayloadType != PayloadType {
		return nil, fault.New(fault.SignatureType, "payload type %q, want %q", clip(e.PayloadType), PayloadType)
	}
	return parseStatement(e.Payload)
}

// Verify demands good signatures by at least threshold different keys out of keys, over a statement with the
// predicate type wantType, and says which keys signed (in the order of keys). Keys are told apart by their bytes, never
// by a key id; a key given or signing twice counts once. Errors: E-SIGNATURE-MISSING, -INVALID (a signature that claims
// a given key is wrong), -UNTRUSTED (signed by none of keys), -THRESHOLD, -TYPE.
func (e *Envelope) Verify(wantType string, keys []PublicKey, threshold int) (*Statement, []PublicKey, error) {
	verifiers := make([]dsse.Verifier, 0, len(keys))
	distinct := make([]PublicKey, 0, len(keys))
	for _, k := range keys {
		if !k.IsZero() && !slices.Contains(distinct, k) {
			distinct = append(distinct, k)
			verifiers = append(verifiers, keyVerifier{k})
		}
	}
	switch {
	case threshold < 1:
		return nil, nil, fault.New(fault.SignatureThreshold, "threshold %d, want at least 1", threshold)
	case threshold > len(distinct):
		return nil, nil, fault.New(fault.SignatureThreshold, "threshold %d with %d different keys can never be met", threshold, len(distinct))
	case len(e.Signatures) == 0:
		return nil, nil, fault.New(fault.SignatureMissing, "the envelope holds no signature")
	case len(e.Signatures) > maxSignatures:
		return nil, nil, fault.New(fault.SignatureInvalid, "the envelope holds %d signatures, want at most %d", len(e.Signatures), maxSignatures)
	case e.PayloadType != PayloadType:
		return nil, nil, fault.New(fault.SignatureType, "payload type %q, want %q", clip(e.PayloadType), PayloadType)
	}
	signers, err := e.signers(distinct, verifiers)
	if err != nil {
		return nil, nil, err
	}
	if len(signers) < threshold {
		return nil, nil, e.tooFew(distinct, signers, threshold)
	}
	s, err := parseStatement(e.Payload)
	if err != nil {
		return nil, nil, err
	}
	if s.PredicateType != wantType {
		return nil, nil, fault.New(fault.SignatureType, "a genuine signature of %q, want %q", clip(s.PredicateType), wantType).
			With("got", clip(s.PredicateType)).With("want", wantType)
	}
	return s, signers, nil
}

// signers says which of keys made a good signature. Key ids are withheld from the library, for it would skip a key
// whose id differs from the hint.
func (e *Envelope) signers(keys []PublicKey, verifiers []dsse.Verifier) ([]PublicKey, error) {
	verifier, err := dsse.NewMultiEnvelopeVerifier(1, slices.Clone(verifiers)...)
	if err != nil {
		return nil, fault.New(fault.SignatureThreshold, "preparing verification: %w", err)
	}
	plain := &dsse.Envelope{PayloadType: e.PayloadType, Payload: base64.StdEncoding.EncodeToString(e.Payload)}
	for _, s := range e.Signatures {
		plain.Signatures = append(plain.Signatures, dsse.Signature{Sig: base64.StdEncoding.EncodeToString(s.Sig)})
	}
	accepted, err := verifier.Verify(context.Background(), plain)
	if err != nil && len(accepted) > 0 {
		return nil, fault.New(fault.SignatureInvalid, "verifying: %w", err)
	}
	var out []PublicKey
	for _, k := range keys {
		for _, a := range accepted {
			if pub, ok := a.Public.(ed25519.PublicKey); !ok || !bytes.Equal(pub, k.key[:]) {
				continue
			}
			if err := e.checkHint(a.Sig.Sig, k); err != nil {
				return nil, err
			}
			out = append(out, k)
		}
	}
	return out, nil
}

// checkHint refuses a good signature that names another key: a key id proves nothing, but a wrong one shows that
// somebody edited the file.
func (e *Envelope) checkHint(sig string, k PublicKey) error {
	for _, s := range e.Signatures {
		if base64.StdEncoding.EncodeToString(s.Sig) == sig && s.KeyID != "" && s.KeyID != k.ID() {
			return fault.New(fault.SignatureInvalid, "the signature by key %s names the key id %q, want %q or none", k.Fingerprint(), clip(s.KeyID), k.ID()).
				With("key_id", k.ID())
		}
	}
	return nil
}

// tooFew chooses the words for a refusal: key ids serve here, and nowhere else.
func (e *Envelope) tooFew(keys, signers []PublicKey, threshold int) error {
	var claimed []string
	for _, s := range e.Signatures {
		claimed = append(claimed, clip(s.KeyID))
	}
	for _, k := range keys {
		if !slices.Contains(signers, k) && slices.Contains(claimed, k.ID()) {
			return fault.New(fault.SignatureInvalid, "the signature that names key %s does not match what it signs", k.Fingerprint()).
				With("key_id", k.ID())
		}
	}
	if len(signers) == 0 {
		return fault.New(fault.SignatureUntrusted, "signed by %q, none of them a trusted key", claimed).With("key_ids", claimed).With("signed_by", claimed)
	}
	return fault.New(fault.SignatureThreshold, "%d trusted signatures, want %d", len(signers), threshold).
		With("have", len(signers)).With("want", threshold)
}

// keyVerifier lets the DSSE library check with one of our keys.
type keyVerifier struct{ key PublicKey }

func (v keyVerifier) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(v.key.key[:], data, sig) {
		return ErrSignatureInvalid
	}
	return nil
}

func (v keyVerifier) KeyID() (string, error) { return v.key.ID(), nil }

func (v keyVerifier) Public() crypto.PublicKey { return v.key.Bytes() }

// SignStatement makes an envelope with one signature by each key, in the order given. The same key twice is an error.
func SignStatement(s Statement, keys ...ed25519.PrivateKey) ([]byte, error) {
	payload, err := s.marshal()
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.SignatureMissing, "no key to sign with, want at least one")
	}
	e := &Envelope{PayloadType: PayloadType, Payload: payload}
	for _, k := range keys {
		if err := e.sign(k); err != nil {
			return nil, err
		}
	}
	return e.marshal()
}

// AddSignature adds one more signature over the same payload. A key that has signed already is an error.
func AddSignature(envelope []byte, key ed25519.PrivateKey) ([]byte, error) {
	e, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	if err := e.sign(key); err != nil {
		return nil, err
	}
	return e.marshal()
}

// MergeSignatures joins the signatures of two copies of one envelope, which people signed apart from each other. Error:
// E-SIGNATURE-INVALID when they are not copies of the same payload.
func MergeSignatures(a, b []byte) ([]byte, error) {
	one, err := ParseEnvelope(a)
	if err != nil {
		return nil, err
	}
	two, err := ParseEnvelope(b)
	if err != nil {
		return nil, err
	}
	if one.PayloadType != two.PayloadType || !bytes.Equal(one.Payload, two.Payload) {
		return nil, fault.New(fault.SignatureInvalid, "the two files are not copies of one: what was signed differs")
	}
	for _, s := range two.Signatures {
		if !slices.ContainsFunc(one.Signatures, func(o Signature) bool { return bytes.Equal(o.Sig, s.Sig) || o.KeyID != "" && o.KeyID == s.KeyID }) {
			one.Signatures = append(one.Signatures, s)
		}
	}
	if len(one.Signatures) > maxSignatures {
		return nil, fault.New(fault.Limit, "together the files hold %d signatures, want at most %d", len(one.Signatures), maxSignatures)
	}
	return one.marshal()
}

func (e *Envelope) sign(key ed25519.PrivateKey) error {
	pub, err := publicOf(key)
	if err != nil {
		return err
	}
	pae := dsse.PAE(e.PayloadType, e.Payload)
	for _, s := range e.Signatures {
		if ed25519.Verify(pub.key[:], pae, s.Sig) {
			return fault.New(fault.Usage, "key %s has signed this already: a key counts once", pub.Fingerprint()).With("key_id", pub.ID())
		}
	}
	if len(e.Signatures) == maxSignatures {
		return fault.New(fault.Limit, "the envelope holds %d signatures already, the limit", maxSignatures)
	}
	e.Signatures = append(e.Signatures, Signature{KeyID: pub.ID(), Sig: ed25519.Sign(key, pae)})
	return nil
}
