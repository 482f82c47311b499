package bundle

import (
	"context"
	"crypto/ed25519"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

var errDraft = fault.New(fault.Internal, "not written yet")

func ParseManifest(raw []byte) (*Manifest, error)            { return nil, errDraft }
func (m *Manifest) Artifact(path string) *Artifact           { return nil }
func (m *Manifest) Variant(id string) *Variant               { return nil }
func (m *Manifest) VariantPaths(id string) ([]string, error) { return nil, errDraft }
func (m *Manifest) ModelPath(id string) (string, error)      { return "", errDraft }
func (m *Manifest) CreatedTime() time.Time                   { return time.Time{} }
func DiskVersion(v string) string                            { return "" }
func CompareVersions(a, b string) int                        { return 0 }
func ValidVersion(v string) error                            { return errDraft }
func StrictUnmarshal(raw []byte, v any, limit int64) error   { return errDraft }
func CanonicalJSON(v any) ([]byte, error)                    { return nil, errDraft }
func ValidPath(p string) error                               { return errDraft }
func CheckPaths(paths []string) error                        { return errDraft }

type PublicKey struct{ key [ed25519.PublicKeySize]byte }

func ParsePublicKey(data []byte) (PublicKey, error)                       { return PublicKey{}, errDraft }
func NewPublicKey(k ed25519.PublicKey) (PublicKey, error)                 { return PublicKey{}, errDraft }
func (k PublicKey) ID() string                                            { return "" }
func (k PublicKey) Fingerprint() string                                   { return "" }
func (k PublicKey) Bytes() ed25519.PublicKey                              { return nil }
func (k PublicKey) PEM() []byte                                           { return nil }
func (k PublicKey) Equal(o PublicKey) bool                                { return k == o }
func (k PublicKey) IsZero() bool                                          { return k == PublicKey{} }
func ParsePrivateKey(data, passphrase []byte) (ed25519.PrivateKey, error) { return nil, errDraft }
func GenerateKey(rand io.Reader, name string, passphrase []byte) (pubPEM, privOpenSSH []byte, err error) {
	return nil, nil, errDraft
}

const (
	TypeManifest    = "urn:sluice:manifest:1"
	TypeVolumes     = "urn:sluice:volumes:1"
	TypeSignoff     = "urn:sluice:signoff:1"
	TypeRollback    = "urn:sluice:rollback:1"
	TypePolicy      = "urn:sluice:policy:1"
	TypeRevocations = "urn:sluice:revocations:1"
	TypeLive        = "urn:sluice:live:1"
	TypeHead        = "urn:sluice:head:1"
)

// Digest256 is a SHA-256 digest; as text 64 lower-case hexadecimal digits.
type Digest256 [32]byte

type Subject struct {
	Name   string
	SHA384 Digest
	SHA256 Digest256
}

type Statement struct {
	Subjects      []Subject
	PredicateType string
	Predicate     jsontext.Value
}

type ManifestPredicate struct {
	ModelFamily string `json:"model_family"`
	Version     string `json:"version"`
}

// Signature is one signature of an envelope; the key id is a hint only.
type Signature struct {
	KeyID string
	Sig   []byte
}

type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []Signature
}

func NewSubject(name string, content []byte) Subject                        { return Subject{} }
func SignStatement(s Statement, keys ...ed25519.PrivateKey) ([]byte, error) { return nil, errDraft }
func AddSignature(envelope []byte, key ed25519.PrivateKey) ([]byte, error)  { return nil, errDraft }
func ParseEnvelope(raw []byte) (*Envelope, error)                           { return nil, errDraft }
func (e *Envelope) Verify(wantType string, keys []PublicKey, threshold int) (*Statement, []PublicKey, error) {
	return nil, nil, errDraft
}

// Unverified reads the statement without looking at any signature: for showing only.
func (e *Envelope) Unverified() (*Statement, error)                 { return nil, errDraft }
func (s *Statement) CheckSubject(name string, content []byte) error { return errDraft }

type Spec struct{}

func ParseSpec(raw []byte) (*Spec, error) { return nil, errDraft }

type BuildOptions struct {
	SpecDir         string
	Keys            []ed25519.PrivateKey
	Out             string
	Split           int64
	Now             time.Time
	SourceDateEpoch string
	Builder         string
	Progress        progress.Func
	CheckContract   func(ctx context.Context, m *Manifest, open func(path string) (io.ReadCloser, error)) error
}

type BuildResult struct {
	Files          []string
	Manifest       *Manifest
	ManifestSHA384 Digest
	Size           int64
}

func Build(ctx context.Context, s *Spec, o BuildOptions) (*BuildResult, error) { return nil, errDraft }
func AddBundleSignature(ctx context.Context, path string, key ed25519.PrivateKey) error {
	return errDraft
}
