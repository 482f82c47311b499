package verify

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"sluice/bundle"
	"sluice/internal/fault"
)

// Limits for root files, which nobody has vouched for yet.
const (
	MaxRootSize  = 64 << 10 // bytes of one root file
	maxRootKeys  = 64       // keys in one root
	maxRoots     = 1000     // versions of one root
	maxSignature = 64       // signatures of one root file
)

// specPrefix is what spec_version must begin with: TUF 1.0.
const specPrefix = "1.0."

// root is a root file that is well formed: its keys and roles hold, its signatures were not looked at.
type root struct {
	of      Root // what the file says of itself; empty when it does not say
	version int
	expires time.Time
	roles   map[string]role
	keys    []bundle.PublicKey // in the order of key ids
	raw     []byte
}

type role struct {
	keys      []bundle.PublicKey
	threshold int
}

// The wire form: TUF 1.0 root metadata with Ed25519 keys. x_sluice_root is ours (TUF lets unknown members stand and signs
// them): it keeps a vendor's root from being placed as the site's.
type rootJSON struct {
	Signed     signedJSON   `json:"signed"`
	Signatures []rootSigner `json:"signatures"`
}

type rootSigner struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

type signedJSON struct {
	Type               string              `json:"_type"`
	SpecVersion        string              `json:"spec_version"`
	ConsistentSnapshot *bool               `json:"consistent_snapshot,omitempty"`
	Version            int                 `json:"version"`
	Expires            string              `json:"expires"`
	Keys               map[string]keyJSON  `json:"keys"`
	Roles              map[string]roleJSON `json:"roles"`
	Root               *string             `json:"x_sluice_root,omitempty"`
}

type keyJSON struct {
	KeyType string `json:"keytype"`
	Scheme  string `json:"scheme"`
	KeyVal  struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

type roleJSON struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.TrustInvalid, format, args...)
}

// parseRoot checks everything about a root file but its signatures. go-tuf is only shown files that passed here: it
// takes duplicate names and unknown key types, and follows null pointers.
func parseRoot(raw []byte) (*root, error) {
	var w rootJSON
	if err := bundle.StrictUnmarshal(raw, &w, MaxRootSize); err != nil {
		return nil, invalid("reading trust root: %w", err)
	}
	s := w.Signed
	expires, err := time.Parse("2006-01-02T15:04:05Z", s.Expires)
	switch {
	case s.Type != metadata.ROOT:
		return nil, invalid("trust root has _type %q, want %q", s.Type, metadata.ROOT)
	case !strings.HasPrefix(s.SpecVersion, specPrefix):
		return nil, invalid("trust root has spec_version %q, want %sx", s.SpecVersion, specPrefix)
	case s.Version < 1:
		return nil, invalid("trust root has version %d, want at least 1", s.Version)
	case err != nil:
		return nil, invalid("trust root has expires %q, want a UTC date such as 2031-01-31T00:00:00Z", s.Expires)
	case len(s.Keys) == 0 || len(s.Keys) > maxRootKeys:
		return nil, invalid("trust root has %d keys, want 1 to %d", len(s.Keys), maxRootKeys)
	case len(w.Signatures) > maxSignature:
		return nil, invalid("trust root has %d signatures, want at most %d", len(w.Signatures), maxSignature)
	case s.Root != nil && *s.Root != string(Oem) && *s.Root != string(Site):
		return nil, invalid("trust root says it is %q, want %q or %q", *s.Root, Oem, Site)
	}
	r := &root{version: s.Version, expires: expires, roles: map[string]role{}, raw: bytes.Clone(raw)}
	if s.Root != nil {
		r.of = Root(*s.Root)
	}
	byID, err := r.readKeys(s.Keys)
	if err != nil {
		return nil, err
	}
	if err := r.readRoles(s.Roles, byID); err != nil {
		return nil, err
	}
	return r, checkRootSignatures(w.Signatures)
}

// readKeys checks the keys. An id is the digest that TUF computes, and the hexadecimal digits are lower case: so one
// key cannot stand under two ids. It is compared by its bytes all the same.
func (r *root) readKeys(keys map[string]keyJSON) (map[string]bundle.PublicKey, error) {
	byID := map[string]bundle.PublicKey{}
	ids := make([]string, 0, len(keys))
	for id := range keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		k := keys[id]
		if k.KeyType != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {
			return nil, invalid("trust root's key %q has type %q and scheme %q, want ed25519", clip(id), clip(k.KeyType), clip(k.Scheme))
		}
		raw, err := hex.DecodeString(k.KeyVal.Public)
		if err != nil || len(raw) != ed25519.PublicKeySize || k.KeyVal.Public != hex.EncodeToString(raw) {
			return nil, invalid("trust root's key %q has public value %q, want 64 lower-case hexadecimal digits", clip(id), clip(k.KeyVal.Public))
		}
		key, err := bundle.NewPublicKey(raw)
		if err != nil {
			return nil, fault.New(fault.KeyWeak, "trust root's key %q: %w", clip(id), err)
		}
		want, err := tufID(key)
		if err != nil {
			return nil, err
		}
		if slices.Contains(r.keys, key) {
			return nil, invalid("trust root holds key %s under two ids", key.Fingerprint())
		}
		if id != want {
			return nil, invalid("trust root's key %s stands under id %q, want %q", key.Fingerprint(), clip(id), want)
		}
		byID[id] = key
		r.keys = append(r.keys, key)
	}
	return byID, nil
}

func (r *root) readRoles(roles map[string]roleJSON, byID map[string]bundle.PublicKey) error {
	for name, j := range roles {
		if !slices.Contains(metadata.TOP_LEVEL_ROLE_NAMES[:], name) {
			return invalid("trust root has role %q, want only those of TUF", clip(name))
		}
		ro := role{threshold: j.Threshold}
		for _, id := range j.KeyIDs {
			key, ok := byID[id]
			if !ok {
				return invalid("trust root's role %q names key %q, which is not among its keys", name, clip(id))
			}
			if slices.Contains(ro.keys, key) {
				return invalid("trust root's role %q names key %s twice", name, key.Fingerprint())
			}
			ro.keys = append(ro.keys, key)
		}
		if ro.threshold < 1 {
			return invalid("trust root's role %q has threshold %d, want at least 1", name, ro.threshold)
		}
		used := name == RoleRoot || name == RoleTargets // TUF wants the other two; here nobody may sign for them
		if used && ro.threshold > len(ro.keys) {
			return invalid("trust root's role %q has threshold %d and %d keys: it could never sign", name, ro.threshold, len(ro.keys))
		}
		r.roles[name] = ro
	}
	for _, name := range []string{RoleRoot, RoleTargets} {
		if _, ok := r.roles[name]; !ok {
			return invalid("trust root has no role %q", name)
		}
	}
	return nil
}

func checkRootSignatures(sigs []rootSigner) error {
	seen := map[string]bool{}
	for _, s := range sigs {
		if seen[s.KeyID] {
			return invalid("trust root holds two signatures under key id %q", clip(s.KeyID))
		}
		seen[s.KeyID] = true
		if b, err := hex.DecodeString(s.Sig); err != nil || len(b) != ed25519.SignatureSize && len(b) != 0 {
			return invalid("trust root holds a signature %q, want %d bytes in hexadecimal", clip(s.Sig), ed25519.SignatureSize)
		}
	}
	return nil
}

// signedBy checks next's signatures with the quorum of r's role root, by TUF's rules.
func (r *root) signedBy(next *root) error {
	mine, err := metadata.Root().FromBytes(r.raw)
	if err != nil {
		return invalid("reading trust root version %d: %w", r.version, err)
	}
	theirs, err := metadata.Root().FromBytes(next.raw)
	if err != nil {
		return invalid("reading trust root version %d: %w", next.version, err)
	}
	if err := mine.VerifyDelegate(metadata.ROOT, theirs); err != nil {
		return invalid("trust root version %d is not signed by the quorum of version %d: %w", next.version, r.version, err)
	}
	return nil
}

// info is the root as people see it.
func (r *root) info(of Root) RootInfo {
	out := RootInfo{Of: of, Version: r.version, Fingerprint: Fingerprint(r.raw), Expires: r.expires,
		RootThreshold: r.roles[RoleRoot].threshold, TargetsThreshold: r.roles[RoleTargets].threshold, Keys: []KeyInfo{}}
	for _, k := range r.keys {
		out.Keys = append(out.Keys, KeyInfo{KeyID: k.ID(), Fingerprint: k.Fingerprint(), Roles: r.rolesOf(k)})
	}
	return out
}

// DescribeRoot reads a root file for showing it before it is placed; it must be well formed and signed by its own
// quorum. Errors: E-TRUST-INVALID, E-KEY-WEAK.
func DescribeRoot(rootFile []byte) (RootInfo, error) {
	r, err := parseRoot(rootFile)
	if err != nil {
		return RootInfo{}, err
	}
	if err := r.signedBy(r); err != nil {
		return RootInfo{}, err
	}
	info := r.info(r.of)
	if r.version == 1 {
		info.First = info.Fingerprint
	}
	return info, nil
}

// ReadRoot reads a root file whose signatures may be incomplete: for showing a draft, never for believing. Errors: E-TRUST-INVALID,
// E-KEY-WEAK.
func ReadRoot(rootFile []byte) (RootInfo, error) {
	r, err := parseRoot(rootFile)
	if err != nil {
		return RootInfo{}, err
	}
	return r.info(r.of), nil
}

// Fingerprint is the SHA-256 of a root file's bytes in hexadecimal, in 16 groups of four, for people to compare.
func Fingerprint(rootFile []byte) string {
	sum := sha256.Sum256(rootFile)
	digits := hex.EncodeToString(sum[:])
	groups := make([]string, 0, 16)
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// NewRoot makes version 1 of a trust root: TUF 1.0 root metadata, signed by the given signers. Fewer signers than the
// threshold make a file that SignRoot completes. Errors: E-SPEC for options that no root may have, E-KEY-WEAK,
// E-KEY-UNFIT for a signer that is not among RootKeys.
func NewRoot(o RootOptions) ([]byte, error) {
	if o.Of != Oem && o.Of != Site {
		return nil, fault.New(fault.Spec, "trust root of %q, want %q or %q", o.Of, Oem, Site)
	}
	if o.Expires.IsZero() {
		return nil, fault.New(fault.Spec, "trust root has no expiry, want one")
	}
	meta := metadata.Root(o.Expires.UTC().Truncate(time.Second))
	meta.Signed.UnrecognizedFields = map[string]any{"x_sluice_root": string(o.Of)}
	meta.Signed.ConsistentSnapshot = false
	for name, want := range map[string]role{RoleRoot: {o.RootKeys, o.RootThreshold}, RoleTargets: {o.TargetsKeys, o.TargetsThreshold}} {
		ids := []string{}
		for _, k := range want.keys {
			key, err := tufKey(k)
			if err != nil {
				return nil, err
			}
			id, err := tufID(k)
			if err != nil {
				return nil, err
			}
			if slices.Contains(ids, id) {
				return nil, fault.New(fault.Spec, "key %s is given twice for role %q: a key counts once", k.Fingerprint(), name)
			}
			ids = append(ids, id)
			meta.Signed.Keys[id] = key
		}
		if want.threshold < 1 || want.threshold > len(ids) {
			return nil, fault.New(fault.Spec, "threshold %d with %d keys for role %q, want 1 to %d", want.threshold, len(ids), name, len(ids))
		}
		meta.Signed.Roles[name] = &metadata.Role{KeyIDs: ids, Threshold: want.threshold}
	}
	raw, err := rootBytes(meta)
	if err != nil {
		return nil, err
	}
	for _, s := range o.Signers {
		if raw, err = SignRoot(raw, nil, s); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

// SignRoot adds one signature to a root file: by a holder of its own role root or, with the file before it, of that one's. The
// holders of a key that is being dropped sign too, for the old quorum. Errors: E-TRUST-INVALID for a file that is no root,
// E-KEY-UNFIT for a key in neither role root, E-EXISTS for one that has signed.
func SignRoot(rootFile, previous []byte, key ed25519.PrivateKey) ([]byte, error) {
	r, err := parseRoot(rootFile)
	if err != nil {
		return nil, err
	}
	may := r.roles[RoleRoot].keys
	if previous != nil {
		before, err := parseBefore(r, previous)
		if err != nil {
			return nil, err
		}
		may = slices.Concat(may, before.roles[RoleRoot].keys)
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.KeyRead, "private key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	pub, err := bundle.NewPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(may, pub) {
		return nil, fault.New(fault.KeyUnfit, "key %s is not in role root of this trust root, nor of the one before where that was given", pub.Fingerprint()).
			With("key_id", pub.ID())
	}
	meta, err := metadata.Root().FromBytes(rootFile)
	if err != nil {
		return nil, invalid("reading trust root: %w", err)
	}
	id, err := tufID(pub)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(meta.Signatures, func(s metadata.Signature) bool { return s.KeyID == id }) {
		return nil, fault.New(fault.Exists, "key %s has signed this trust root already", pub.Fingerprint()).With("key_id", pub.ID())
	}
	signer, err := signature.LoadSigner(key, crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("preparing signature: %w", err)
	}
	if _, err := meta.Sign(signer); err != nil {
		return nil, fmt.Errorf("signing trust root: %w", err)
	}
	return rootBytes(meta)
}

// rootBytes writes a root with its members sorted (the signatures are over TUF's canonical form, not over these bytes)
// and reads it back.
func rootBytes(meta *metadata.Metadata[metadata.RootType]) ([]byte, error) {
	raw, err := meta.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("writing trust root: %w", err)
	}
	out := jsontext.Value(raw)
	if err := out.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, fmt.Errorf("writing trust root: %w", err)
	}
	out = append(out, '\n')
	if _, err := parseRoot(out); err != nil {
		return nil, err
	}
	return out, nil
}

func tufKey(k bundle.PublicKey) (*metadata.Key, error) {
	key, err := metadata.KeyFromPublicKey(k.Bytes())
	if err != nil {
		return nil, fmt.Errorf("making a TUF key: %w", err)
	}
	return key, nil
}

func tufID(k bundle.PublicKey) (string, error) {
	key, err := tufKey(k)
	if err != nil {
		return "", err
	}
	id, err := key.ID()
	if err != nil {
		return "", fmt.Errorf("making a TUF key id: %w", err)
	}
	return id, nil
}

// clip keeps quoted input short.
func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}
