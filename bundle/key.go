package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"sluice/internal/fault"
)

// Sentinels for what callers tell apart; errors.Is compares by code.
var (
	ErrPassphrase = fault.New(fault.Passphrase, "passphrase missing or wrong")
	ErrKeyRead    = fault.New(fault.KeyRead, "not a readable Ed25519 key")
	ErrKeyWeak    = fault.New(fault.KeyWeak, "weak Ed25519 key")
)

// PublicKey is an Ed25519 public key (RFC 8032) that is canonical, on the curve and not of low order. The zero value
// is no key and verifies nothing. Keys are comparable: equal means equal bytes.
type PublicKey struct {
	key [ed25519.PublicKeySize]byte
}

// NewPublicKey refuses keys of wrong length, non-canonical ones, points off the curve and points of low order.
func NewPublicKey(k ed25519.PublicKey) (PublicKey, error) {
	if err := checkPoint(k); err != nil {
		return PublicKey{}, fault.New(fault.KeyWeak, "public key %q %w", hex.EncodeToString(k[:min(len(k), 64)]), err)
	}
	return PublicKey{key: [ed25519.PublicKeySize]byte(k)}, nil
}

// ParsePublicKey reads a PEM block "PUBLIC KEY" (SubjectPublicKeyInfo, RFC 8410) or one line "ssh-ed25519 …".
// Nothing but white space may stand around it. Errors: E-KEY-READ, E-KEY-WEAK.
func ParsePublicKey(data []byte) (PublicKey, error) {
	if len(data) > maxKeyFile {
		return PublicKey{}, fault.New(fault.KeyRead, "public key file has %d bytes, want at most %d", len(data), maxKeyFile)
	}
	text := bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(text, []byte("ssh-ed25519 ")):
		return parseSSHPublicKey(text)
	case bytes.HasPrefix(text, []byte("-----BEGIN PUBLIC KEY-----")):
		return parsePEMPublicKey(text)
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		return PublicKey{}, fault.New(fault.KeyRead, "this is a private key, want the public one (PEM or ssh-ed25519)")
	}
	return PublicKey{}, fault.New(fault.KeyRead, "public key begins with %q, want a PEM block PUBLIC KEY or a line ssh-ed25519", text[:min(len(text), 30)])
}

func parsePEMPublicKey(text []byte) (PublicKey, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return PublicKey{}, fault.New(fault.KeyRead, "public key is not a whole PEM block")
	case len(bytes.TrimSpace(rest)) > 0:
		return PublicKey{}, fault.New(fault.KeyRead, "public key file holds %q after the key, want one key and nothing else", rest[:min(len(rest), 30)])
	case len(block.Headers) > 0:
		return PublicKey{}, fault.New(fault.KeyRead, "public key's PEM block has headers, want none")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, fault.New(fault.KeyRead, "reading public key: %w", err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, fault.New(fault.KeyRead, "public key is a %T, want Ed25519", parsed)
	}
	out, err := NewPublicKey(key)
	if err != nil {
		return PublicKey{}, err
	}
	if !bytes.Equal(out.der(), block.Bytes) {
		return PublicKey{}, fault.New(fault.KeyRead, "public key's DER is not the one of RFC 8410")
	}
	return out, nil
}

func parseSSHPublicKey(text []byte) (PublicKey, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return PublicKey{}, fault.New(fault.KeyRead, "public key file holds several lines, want one ssh-ed25519 key")
	}
	parsed, _, options, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return PublicKey{}, fault.New(fault.KeyRead, "reading ssh-ed25519 key: %w", err)
	}
	crypto, ok := parsed.(ssh.CryptoPublicKey)
	if !ok || len(options) > 0 {
		return PublicKey{}, fault.New(fault.KeyRead, "ssh key of type %q, want ssh-ed25519 without options", clip(parsed.Type()))
	}
	key, ok := crypto.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, fault.New(fault.KeyRead, "ssh key of type %q, want ssh-ed25519", clip(parsed.Type()))
	}
	return NewPublicKey(key)
}

// der is the key's SubjectPublicKeyInfo: RFC 8410 fixes every byte but the key's own.
func (k PublicKey) der() []byte {
	prefix := []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}
	return append(prefix, k.key[:]...)
}

// ID is the lower-case hexadecimal SHA-256 of the key's SubjectPublicKeyInfo. In signatures it is a hint only.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k.der())
	return hex.EncodeToString(sum[:])
}

// Fingerprint is the first 32 digits of ID in groups of four, for people to compare.
func (k PublicKey) Fingerprint() string {
	id := k.ID()[:32]
	groups := make([]string, 0, 8)
	for i := 0; i < len(id); i += 4 {
		groups = append(groups, id[i:i+4])
	}
	return strings.Join(groups, " ")
}

// Bytes is a copy of the 32 bytes of RFC 8032.
func (k PublicKey) Bytes() ed25519.PublicKey { return bytes.Clone(k.key[:]) }

// PEM is the key as a PEM block "PUBLIC KEY", which OpenSSL and cosign read.
func (k PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der()})
}

// Equal compares the keys' bytes.
func (k PublicKey) Equal(o PublicKey) bool { return k == o }

// IsZero says whether k is no key at all.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// ParsePrivateKey reads an Ed25519 private key in OpenSSH's format, as ssh-keygen -t ed25519 writes it, with or
// without passphrase. A passphrase given for a key that has none is not used. Errors: E-PASSPHRASE with the detail
// "missing" (true when none was given), E-KEY-READ.
func ParsePrivateKey(data, passphrase []byte) (ed25519.PrivateKey, error) {
	if len(data) > maxKeyFile {
		return nil, fault.New(fault.KeyRead, "private key file has %d bytes, want at most %d", len(data), maxKeyFile)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN OPENSSH PRIVATE KEY-----")) {
		return nil, fault.New(fault.KeyRead, "not a private key in OpenSSH's format, want what ssh-keygen -t ed25519 writes")
	}
	parsed, err := ssh.ParseRawPrivateKey(data)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if len(passphrase) == 0 {
			return nil, fault.New(fault.Passphrase, "the private key has a passphrase, want it").With("missing", true)
		}
		parsed, err = ssh.ParseRawPrivateKeyWithPassphrase(data, passphrase)
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, fault.New(fault.Passphrase, "the passphrase does not open the private key").With("missing", false)
		}
	}
	if err != nil {
		return nil, fault.New(fault.KeyRead, "reading private key: %w", err)
	}
	key, ok := parsed.(*ed25519.PrivateKey)
	if !ok {
		return nil, fault.New(fault.KeyRead, "private key is a %T, want Ed25519", parsed)
	}
	// A file whose public half belongs to another key would make signatures that give the private half away.
	if len(*key) != ed25519.PrivateKeySize || !bytes.Equal(ed25519.NewKeyFromSeed(key.Seed()), *key) {
		return nil, fault.New(fault.KeyRead, "private key's two halves do not belong together")
	}
	return *key, nil
}

// GenerateKey makes a pair from 32 bytes of rand: the public key as PEM, the private one in OpenSSH's format (comment:
// name), encrypted with passphrase unless that is empty.
func GenerateKey(rand io.Reader, name string, passphrase []byte) (pubPEM, privOpenSSH []byte, err error) {
	if err := checkLine(name, maxName); err != nil {
		return nil, nil, fault.New(fault.Usage, "key name %q: %w", clip(name), err)
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, nil, fmt.Errorf("reading random bytes: %w", err)
	}
	priv := ed25519.NewKeyFromSeed(seed)
	pub, err := publicOf(priv)
	if err != nil {
		return nil, nil, err
	}
	var block *pem.Block
	if len(passphrase) == 0 {
		block, err = ssh.MarshalPrivateKey(priv, name)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(priv, name, passphrase)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("writing private key: %w", err)
	}
	return pub.PEM(), pem.EncodeToMemory(block), nil
}

// publicOf is the checked public half of a private key.
func publicOf(priv ed25519.PrivateKey) (PublicKey, error) {
	if len(priv) != ed25519.PrivateKeySize {
		return PublicKey{}, fault.New(fault.KeyRead, "private key has %d bytes, want %d", len(priv), ed25519.PrivateKeySize)
	}
	return NewPublicKey(priv.Public().(ed25519.PublicKey))
}
