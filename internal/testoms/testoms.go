// Package testoms makes OpenSSF Model Signing v1.0 signatures for tests, as the format describes them: a Sigstore bundle with a
// DSSE envelope over an in-toto statement, signed with an elliptic curve key. It is linked into no program.
package testoms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// Signer signs models.
type Signer struct {
	Key *ecdsa.PrivateKey
	PEM []byte // the public key
}

// New makes a signer with a fresh key on a curve: 256, 384 or 521.
func New(bits int) (*Signer, error) {
	curve := map[int]elliptic.Curve{224: elliptic.P224(), 256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}[bits]
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Signer{Key: key, PEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
}

// Statement is the signed statement about files: name -> content.
func Statement(model string, files map[string][]byte) map[string]any {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	whole := sha256.New()
	resources := []any{}
	for _, name := range names {
		sum := sha256.Sum256(files[name])
		whole.Write(sum[:])
		resources = append(resources, map[string]any{"name": name, "algorithm": "sha256", "digest": hex.EncodeToString(sum[:])})
	}
	return map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": model, "digest": map[string]any{"sha256": hex.EncodeToString(whole.Sum(nil))}}},
		"predicateType": "https://model_signing/signature/v1.0",
		"predicate": map[string]any{"resources": resources, "serialization": map[string]any{"method": "files", "hash_type": "sha256",
			"allow_symlinks": false, "ignore_paths": []string{".git", "model.sig"}}},
	}
}

// Sign makes the bundle of a statement.
func (s *Signer) Sign(statement any) ([]byte, error) {
	payload, err := json.MarshalIndent(statement, "", "  ")
	if err != nil {
		return nil, err
	}
	return s.Envelope(payload)
}

// Envelope signs any payload.
func (s *Signer) Envelope(payload []byte) ([]byte, error) {
	const kind = "application/vnd.in-toto+json"
	pae := dsse.PAE(kind, payload)
	var digest []byte
	switch s.Key.Curve.Params().BitSize {
	case 384:
		d := sha512.Sum384(pae)
		digest = d[:]
	case 521:
		d := sha512.Sum512(pae)
		digest = d[:]
	default:
		d := sha256.Sum256(pae)
		digest = d[:]
	}
	sig, err := ecdsa.SignASN1(rand.Reader, s.Key, digest)
	if err != nil {
		return nil, err
	}
	hint := sha256.Sum256(s.PEM)
	return json.Marshal(map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": hex.EncodeToString(hint[:])}, "tlogEntries": []any{}},
		"dsseEnvelope": map[string]any{"payload": payload, "payloadType": kind,
			"signatures": []any{map[string]any{"sig": sig, "keyid": nil}}},
	})
}

// Folder signs every file of a folder but the signature itself, and writes model.sig into it.
func (s *Signer) Folder(dir, model string) error {
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "model.sig" {
			return err
		}
		files[name], err = os.ReadFile(path.Join(dir, name))
		return err
	})
	if err != nil {
		return err
	}
	raw, err := s.Sign(Statement(model, files))
	if err != nil {
		return err
	}
	return os.WriteFile(path.Join(dir, "model.sig"), raw, 0o644)
}
