package verify

import (
	"context"
	"crypto/ed25519"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/progress"
)

var errTodo = fault.New(fault.Internal, "not written yet")

// Store is a folder of trust roots.
type Store struct{}

// OpenStore loads the roots kept in dir (<root>/ai_models/keys, or a --trust folder). Missing roots are no error.
func OpenStore(dir string) (*Store, error) { return nil, errTodo }

// Has says whether a root of that name was placed.
func (s *Store) Has(of Root) bool { return false }

func NewRoot(o RootOptions) ([]byte, error)                            { return nil, errTodo }
func SignRoot(rootFile []byte, key ed25519.PrivateKey) ([]byte, error) { return nil, errTodo }

// DescribeRoot reads a root file for showing before it is placed.
func DescribeRoot(rootFile []byte) (RootInfo, error) { return RootInfo{}, errTodo }

func Fingerprint(rootFile []byte) string                                  { return "" }
func (s *Store) Place(of Root, rootFile []byte, fingerprint string) error { return errTodo }
func (s *Store) Describe() []RootInfo                                     { return nil }
func (s *Store) Authenticate(ctx context.Context, src *bundle.Source, h History) (*Authentic, error) {
	return nil, errTodo
}
func WithKey(ctx context.Context, src *bundle.Source, key bundle.PublicKey) (*Authentic, error) {
	return nil, errTodo
}
func (s *Store) AuthenticateInstalled(manifest, sig []byte, rootVersion int, h History) (*Authentic, error) {
	return nil, errTodo
}

// InstalledWithKey is WithKey for an installed folder's manifest.json and manifest.sig.
func InstalledWithKey(manifest, sig []byte, key bundle.PublicKey) (*Authentic, error) {
	return nil, errTodo
}
func (s *Store) Envelope(of Root, role string, raw []byte, wantType string, limit int64) (*bundle.Statement, []bundle.PublicKey, error) {
	return nil, nil, errTodo
}
func BundleSignature(manifestPath, signaturePath string, publicKey ed25519.PublicKey) error {
	return errTodo
}
func Folder(ctx context.Context, dir string, a *Authentic, variant string, p progress.Func) error {
	return errTodo
}
