package verify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"sluice/internal/fault"
)

// Limits of a provenance signature, which nobody has vouched for yet.
const (
	MaxOMSSize      = 16 << 20 // bytes of the signature file
	MaxOMSKey       = 16 << 10 // bytes of the key file
	maxOMSResources = 100_000
)

// What OpenSSF Model Signing v1.0 writes.
const (
	omsMediaType = "application/vnd.dev.sigstore.bundle" // and a version behind it
	omsPayload   = "application/vnd.in-toto+json"
	omsStatement = "https://in-toto.io/Statement/v1"
	omsPredicate = "https://model_signing/signature/v1.0"
)

// omsBundle is the part of a Sigstore bundle that the key method uses; what else stands there is ignored, as its
// specification wants.
type omsBundle struct {
	MediaType string `json:"mediaType"`
	Material  struct {
		PublicKey *struct {
			Hint     string `json:"hint"`
			RawBytes []byte `json:"rawBytes"` // before v1.1: the key itself, PEM
		} `json:"publicKey"`
	} `json:"verificationMaterial"`
	Envelope struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			Sig []byte `json:"sig"`
		} `json:"signatures"`
	} `json:"dsseEnvelope"`
}

type omsSigned struct {
	Type    string `json:"_type"`
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		Serialization struct {
			Method   string `json:"method"`
			HashType string `json:"hash_type"`
		} `json:"serialization"`
		Resources []struct {
			Name      string `json:"name"`
			Digest    string `json:"digest"`
			Algorithm string `json:"algorithm"`
		} `json:"resources"`
	} `json:"predicate"`
}

// ModelSignature is an OpenSSF Model Signing v1.0 signature by a known key, proven: which files, relative to the model's folder, have
// which SHA-256. The files themselves were not looked at; Covers does that.
type ModelSignature struct {
	Model     string // name of the model, as its signer called it
	KeySHA256 string // of the key in PEM, in hexadecimal: what bundles call its hint
	files     map[string][sha256.Size]byte
}

// Files is how many files the signature names.
func (s *ModelSignature) Files() int { return len(s.files) }

func omsFault(format string, args ...any) *fault.Error {
	return fault.New(fault.ProvenanceSignature, format, args...)
}

// ModelSigned proves a Model Signing signature (a Sigstore bundle, key method) with a PEM public key on P-256, P-384 or P-521.
// Certificates and keyless signatures are refused by name: they need services that are not asked here.
// Error: E-PROVENANCE-SIGNATURE.
func ModelSigned(raw, keyPEM []byte) (*ModelSignature, error) {
	key, canonical, err := omsKey(keyPEM)
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxOMSSize {
		return nil, omsFault("the signature has %d bytes, want at most %d", len(raw), MaxOMSSize)
	}
	var b omsBundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, omsFault("reading the Sigstore bundle: %w", err)
	}
	sum := sha256.Sum256(canonical)
	hint := hex.EncodeToString(sum[:])
	switch {
	case !strings.HasPrefix(b.MediaType, omsMediaType):
		return nil, omsFault("media type %q, want a Sigstore bundle", clip(b.MediaType))
	case b.Material.PublicKey == nil:
		return nil, omsFault("the model was not signed with a key (but with a certificate, or keyless), want method \"key\"")
	case b.Material.PublicKey.Hint != "" && b.Material.PublicKey.Hint != hint:
		return nil, omsFault("the signature is by key %q, the given one is %q", clip(b.Material.PublicKey.Hint), hint)
	case b.Envelope.PayloadType != omsPayload:
		return nil, omsFault("payload type %q, want %q", clip(b.Envelope.PayloadType), omsPayload)
	case len(b.Envelope.Signatures) != 1:
		return nil, omsFault("%d signatures, want one", len(b.Envelope.Signatures))
	}
	digest, err := omsDigest(key.Curve, dsse.PAE(b.Envelope.PayloadType, b.Envelope.Payload))
	if err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(key, digest, b.Envelope.Signatures[0].Sig) {
		return nil, omsFault("the signature does not hold with key %s", hint)
	}
	return omsManifest(b.Envelope.Payload, hint)
}

// omsKey reads the key and writes it again as everybody writes it.
func omsKey(raw []byte) (*ecdsa.PublicKey, []byte, error) {
	if len(raw) > MaxOMSKey {
		return nil, nil, omsFault("the key has %d bytes, want at most %d", len(raw), MaxOMSKey)
	}
	block, rest := pem.Decode(raw)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || block.Type != "PUBLIC KEY" {
		return nil, nil, omsFault("the key is not one PEM block PUBLIC KEY")
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, nil, omsFault("reading the key: %w", err)
	}
	key, ok := any.(*ecdsa.PublicKey)
	if !ok {
		return nil, nil, omsFault("the key is a %T, want one on P-256, P-384 or P-521", any)
	}
	if _, err := omsDigest(key.Curve, nil); err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: block.Bytes}), nil
}

// omsDigest is the hash that goes with a curve.
func omsDigest(curve elliptic.Curve, data []byte) ([]byte, error) {
	switch curve {
	case elliptic.P256():
		d := sha256.Sum256(data)
		return d[:], nil
	case elliptic.P384():
		d := sha512.Sum384(data)
		return d[:], nil
	case elliptic.P521():
		d := sha512.Sum512(data)
		return d[:], nil
	}
	return nil, omsFault("the key is on curve %s, want P-256, P-384 or P-521", curve.Params().Name)
}

// omsManifest reads the signed list of files.
func omsManifest(payload []byte, hint string) (*ModelSignature, error) {
	var st omsSigned
	if err := json.Unmarshal(payload, &st); err != nil {
		return nil, omsFault("reading the signed statement: %w", err)
	}
	p := &st.Predicate
	switch {
	case st.Type != omsStatement:
		return nil, omsFault("statement type %q, want %q", clip(st.Type), omsStatement)
	case st.PredicateType != omsPredicate:
		return nil, omsFault("predicate type %q, want %q", clip(st.PredicateType), omsPredicate)
	case len(st.Subject) != 1:
		return nil, omsFault("%d subjects, want one", len(st.Subject))
	case p.Serialization.Method != "files" || p.Serialization.HashType != "sha256":
		return nil, omsFault("files were digested by %q with %q, want \"files\" with \"sha256\"", clip(p.Serialization.Method), clip(p.Serialization.HashType))
	case len(p.Resources) == 0 || len(p.Resources) > maxOMSResources:
		return nil, omsFault("%d files, want 1 to %d", len(p.Resources), maxOMSResources)
	}
	out := &ModelSignature{Model: st.Subject[0].Name, KeySHA256: hint, files: map[string][sha256.Size]byte{}}
	whole := sha256.New()
	for _, r := range p.Resources {
		name := r.Name
		if name == "." && len(p.Resources) == 1 { // v1.0 of the reference implementation calls a single file so
			name = out.Model
		}
		sum, err := hex.DecodeString(r.Digest)
		if err != nil || len(sum) != sha256.Size || r.Algorithm != "sha256" {
			return nil, omsFault("file %q has digest %q by %q, want SHA-256", clip(name), clip(r.Digest), clip(r.Algorithm))
		}
		if name == "" || name != path.Clean(name) || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
			return nil, omsFault("file name %q, want a plain relative path", clip(name))
		}
		if _, twice := out.files[name]; twice {
			return nil, omsFault("file %q stands twice", clip(name))
		}
		out.files[name] = [sha256.Size]byte(sum)
		whole.Write(sum)
	}
	if want := hex.EncodeToString(whole.Sum(nil)); st.Subject[0].Digest["sha256"] != want {
		return nil, omsFault("the model's digest is %q, its files give %q", clip(st.Subject[0].Digest["sha256"]), want)
	}
	return out, nil
}

// Covers compares files with the signature: each of names must be listed, and hold the signed bytes. open gives the bytes that
// will be used. Errors: E-PROVENANCE-FILES with the detail path, and those of open.
func (s *ModelSignature) Covers(ctx context.Context, names []string, open func(name string) (io.ReadCloser, error)) error {
	for _, name := range slices.Sorted(slices.Values(names)) {
		want, ok := s.files[name]
		if !ok {
			return fault.New(fault.ProvenanceFiles, "file %q is not among the %d that were signed as model %q", name, len(s.files), clip(s.Model)).With("path", name)
		}
		got, err := sumOf(ctx, name, open)
		if err != nil {
			return err
		}
		if got != want {
			return fault.New(fault.ProvenanceFiles, "file %q is not the one that was signed as part of model %q", name, clip(s.Model)).
				With("path", name).With("want", hex.EncodeToString(want[:])).With("got", hex.EncodeToString(got[:]))
		}
	}
	return nil
}

func sumOf(ctx context.Context, name string, open func(string) (io.ReadCloser, error)) (sum [sha256.Size]byte, err error) {
	f, err := open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return sum, fault.New(fault.Cancelled, "checking the model's signature: %w", err)
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return [sha256.Size]byte(h.Sum(nil)), nil
		}
		if err != nil {
			return sum, fmt.Errorf("reading %q: %w", name, err)
		}
	}
}
