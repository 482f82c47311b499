package verify

import (
	"crypto/ed25519"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/bundle"
	"sluice/internal/fault"
)

// Limits of a revocation list.
const (
	MaxRevocationsSize = 1 << 20 // bytes of the signed file
	maxRevoked         = 4096    // keys, and manifests
	maxReason          = 300     // characters
)

// RevocationsSchema is the only schema of a revocation list.
const RevocationsSchema = "sluice-revocations/1"

// revocationsSubject names what a revocation statement speaks of: its own predicate in RFC 8785 form.
const revocationsSubject = "revocations.json"

// Revocations is what may not be believed any more, though it was signed: the predicate of a statement by the threshold of
// role root. The number only rises, and nothing that was listed ever leaves the list. The vendor's list holds for the
// vendor's signatures and bundles; the site's for everything here, people's keys too.
type Revocations struct {
	Schema    string            `json:"schema"` // RevocationsSchema
	Root      Root              `json:"root"`
	Number    int               `json:"number"` // 1 or more
	Issued    string            `json:"issued"` // RFC 3339, UTC, seconds
	Keys      []RevokedKey      `json:"keys"`
	Manifests []RevokedManifest `json:"manifests"`
}

// RevokedKey is a key whose signatures count for nothing.
type RevokedKey struct {
	KeyID  string `json:"key_id"` // bundle.PublicKey.ID
	Reason string `json:"reason"`
}

// RevokedManifest is one bundle.
type RevokedManifest struct {
	SHA384 bundle.Digest `json:"sha384"` // of manifest.json
	Reason string        `json:"reason"`
}

func listInvalid(format string, args ...any) *fault.Error {
	return fault.New(fault.RevocationsInvalid, format, args...)
}

var keyIDPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate checks every rule of a list. Error: E-REVOCATIONS.
func (v *Revocations) Validate() error {
	switch {
	case v == nil:
		return listInvalid("there is no revocation list")
	case v.Schema != RevocationsSchema:
		return listInvalid("revocation list has schema %q, want %q", clip(v.Schema), RevocationsSchema)
	case v.Root != Oem && v.Root != Site:
		return listInvalid("revocation list is of %q, want %q or %q", clip(string(v.Root)), Oem, Site)
	case v.Number < 1:
		return listInvalid("revocation list has number %d, want at least 1", v.Number)
	case len(v.Keys) > maxRevoked || len(v.Manifests) > maxRevoked:
		return listInvalid("revocation list has %d keys and %d bundles, want at most %d of each", len(v.Keys), len(v.Manifests), maxRevoked)
	}
	if at, err := time.Parse(time.RFC3339, v.Issued); err != nil || at.Format("2006-01-02T15:04:05Z") != v.Issued {
		return listInvalid("revocation list was issued at %q, want a UTC time such as 2031-01-31T00:00:00Z", clip(v.Issued))
	}
	keys, manifests := map[string]bool{}, map[bundle.Digest]bool{}
	for _, k := range v.Keys {
		if !keyIDPattern.MatchString(k.KeyID) || keys[k.KeyID] {
			return listInvalid("revocation list names key %q, want 64 lower-case hexadecimal digits, each key once", clip(k.KeyID))
		}
		if !lineOf(k.Reason, maxReason) {
			return listInvalid("key %q is revoked for the reason %q, want one line of 1 to %d characters", k.KeyID, clip(k.Reason), maxReason)
		}
		keys[k.KeyID] = true
	}
	for _, m := range v.Manifests {
		if m.SHA384.IsZero() || manifests[m.SHA384] {
			return listInvalid("revocation list names bundle %s, want each once", m.SHA384)
		}
		if !lineOf(m.Reason, maxReason) {
			return listInvalid("bundle %s is revoked for the reason %q, want one line of 1 to %d characters", m.SHA384, clip(m.Reason), maxReason)
		}
		manifests[m.SHA384] = true
	}
	return nil
}

// lineOf says whether s is one visible line.
func lineOf(s string, limit int) bool {
	return strings.TrimSpace(s) != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) })
}

// IssuedAt is Issued as a time; zero when it is none.
func (v *Revocations) IssuedAt() time.Time {
	at, _ := time.Parse(time.RFC3339, v.Issued)
	return at
}

// Key finds a key by its id; nil when it is not listed.
func (v *Revocations) Key(id string) *RevokedKey {
	if v == nil {
		return nil
	}
	if i := slices.IndexFunc(v.Keys, func(k RevokedKey) bool { return k.KeyID == id }); i >= 0 {
		return &v.Keys[i]
	}
	return nil
}

// Manifest finds a bundle by the digest of its manifest; nil when it is not listed.
func (v *Revocations) Manifest(d bundle.Digest) *RevokedManifest {
	if v == nil {
		return nil
	}
	if i := slices.IndexFunc(v.Manifests, func(m RevokedManifest) bool { return m.SHA384 == d }); i >= 0 {
		return &v.Manifests[i]
	}
	return nil
}

// follows refuses a list that may not come after old: the number rises, and nothing leaves the list.
func (v *Revocations) follows(old *Revocations) error {
	if old == nil {
		return nil
	}
	if v.Number <= old.Number {
		return listInvalid("revocation list has number %d, want more than %d", v.Number, old.Number)
	}
	for _, k := range old.Keys {
		if v.Key(k.KeyID) == nil {
			return listInvalid("revocation list number %d does not name key %s, which number %d names: nothing ever leaves the list", v.Number, k.KeyID, old.Number)
		}
	}
	for _, m := range old.Manifests {
		if v.Manifest(m.SHA384) == nil {
			return listInvalid("revocation list number %d does not name bundle %s, which number %d names: nothing ever leaves the list", v.Number, m.SHA384, old.Number)
		}
	}
	return nil
}

// NextRevocations is the list that may follow old (nil: the first), with further keys and bundles; what is listed already
// keeps its reason. It is not signed yet.
func NextRevocations(of Root, old *Revocations, issued time.Time, keys []RevokedKey, manifests []RevokedManifest) (*Revocations, error) {
	v := &Revocations{Schema: RevocationsSchema, Root: of, Number: 1, Issued: issued.UTC().Format("2006-01-02T15:04:05Z"), Keys: []RevokedKey{}, Manifests: []RevokedManifest{}}
	if old != nil {
		if old.Root != of {
			return nil, listInvalid("the list before is of %q, want one of %q", old.Root, of)
		}
		v.Number, v.Keys, v.Manifests = old.Number+1, slices.Clone(old.Keys), slices.Clone(old.Manifests)
	}
	for _, k := range keys {
		if v.Key(k.KeyID) == nil {
			v.Keys = append(v.Keys, k)
		}
	}
	for _, m := range manifests {
		if v.Manifest(m.SHA384) == nil {
			v.Manifests = append(v.Manifests, m)
		}
	}
	return v, v.Validate()
}

// SignRevocations makes the envelope of a list, signed by keys of role root. Fewer than the threshold make a file that
// bundle.AddSignature completes.
func SignRevocations(v *Revocations, keys ...ed25519.PrivateKey) ([]byte, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	raw, err := bundle.CanonicalJSON(v)
	if err != nil {
		return nil, listInvalid("writing revocation list: %w", err)
	}
	return bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(revocationsSubject, raw)},
		PredicateType: bundle.TypeRevocations, Predicate: raw}, keys...)
}

// ReadRevocations reads a list without looking at any signature: for showing and for making the next, never for believing.
// The key ids are those that its signatures claim.
func ReadRevocations(raw []byte) (*Revocations, []string, error) {
	env, err := parseEnvelope(raw, MaxRevocationsSize)
	if err != nil {
		return nil, nil, err
	}
	st, err := env.Unverified()
	if err != nil {
		return nil, nil, err
	}
	if st.PredicateType != bundle.TypeRevocations {
		return nil, nil, fault.New(fault.SignatureType, "a statement of %q, want %q", clip(st.PredicateType), bundle.TypeRevocations)
	}
	v, err := revocationsOf(st)
	if err != nil {
		return nil, nil, err
	}
	ids := []string{}
	for _, s := range env.Signatures {
		ids = append(ids, s.KeyID)
	}
	return v, ids, nil
}

func revocationsOf(st *bundle.Statement) (*Revocations, error) {
	v := &Revocations{}
	if err := bundle.StrictUnmarshal(st.Predicate, v, MaxRevocationsSize); err != nil {
		return nil, listInvalid("reading revocation list: %w", err)
	}
	if err := v.Validate(); err != nil {
		return nil, err
	}
	raw, err := bundle.CanonicalJSON(v)
	if err != nil {
		return nil, listInvalid("reading revocation list: %w", err)
	}
	if err := st.CheckSubject(revocationsSubject, raw); err != nil {
		return nil, listInvalid("the revocation list's subject: %w", err)
	}
	return v, nil
}

// revocations judges a list by the quorum of r's role root. Keys that the lists of before have revoked count for nothing.
func (r *root) revocations(of Root, raw []byte, before []*Revocations) (*Revocations, error) {
	st, signers, err := r.envelope(RoleRoot, raw, bundle.TypeRevocations, MaxRevocationsSize)
	if err != nil {
		return nil, err
	}
	if err := quorumLeft(signers, r.roles[RoleRoot].threshold, before...); err != nil {
		return nil, err
	}
	v, err := revocationsOf(st)
	if err != nil {
		return nil, err
	}
	if v.Root != of {
		return nil, listInvalid("this is a revocation list of %q, want one of %q", v.Root, of)
	}
	return v, nil
}

// quorumLeft refuses (E-REVOKED) signatures of which too few are left without those of revoked keys.
func quorumLeft(signers []bundle.PublicKey, threshold int, lists ...*Revocations) error {
	left := 0
	var first *fault.Error
	for _, k := range signers {
		revoked := false
		for _, l := range lists {
			x := l.Key(k.ID())
			if x == nil {
				continue
			}
			revoked = true
			if first == nil {
				first = fault.New(fault.Revoked, "signed by key %s, which revocation list number %d of %q names: %q", k.Fingerprint(), l.Number, l.Root, x.Reason).
					With("what", k.Fingerprint()).With("key_id", k.ID()).With("reason", x.Reason).With("number", l.Number).With("root", string(l.Root))
			}
		}
		if !revoked {
			left++
		}
	}
	if left < threshold && first != nil {
		return first
	}
	return nil
}

// lists are the revocation lists that hold for what a root's keys sign: the vendor's for the vendor's, the site's for all.
func (s *Store) lists(of Root) []*Revocations {
	if s == nil {
		return nil
	}
	if of == Oem {
		return []*Revocations{s.revoked[Oem].list(), s.revoked[Site].list()}
	}
	return []*Revocations{s.revoked[Site].list()}
}

// RevokedManifest says whether a list names a bundle; an E-REVOKED error with its reason when one does.
func (s *Store) RevokedManifest(d bundle.Digest) error {
	for _, l := range s.lists(Oem) {
		if m := l.Manifest(d); m != nil {
			return fault.New(fault.Revoked, "revocation list number %d of %q names the bundle with manifest %s: %q", l.Number, l.Root, d, m.Reason).
				With("what", d.String()).With("manifest_sha384", d.String()).With("reason", m.Reason).With("number", l.Number).With("root", string(l.Root))
		}
	}
	return nil
}

// RevokedKey says whether a list names a key that signed as one of that root's; an E-REVOKED error with its reason when one does.
// People's keys are the site's.
func (s *Store) RevokedKey(of Root, key bundle.PublicKey) error {
	return quorumLeft([]bundle.PublicKey{key}, 1, s.lists(of)...)
}

// CheckRevoked refuses (E-REVOKED) a bundle that a list names, or whose quorum rests on keys that one names. Authenticate asks
// it itself; for what is installed it is asked apart, so that damage is named before revocation.
func (s *Store) CheckRevoked(a *Authentic) error {
	if !a.Valid() {
		return fault.New(fault.Internal, "the manifest was not authenticated")
	}
	if err := s.RevokedManifest(a.digest); err != nil {
		return err
	}
	return quorumLeft(a.keys, a.threshold, s.lists(a.of)...)
}

// Revocations are the lists that are kept, the vendor's first.
func (s *Store) Revocations() []*Revocations {
	out := []*Revocations{}
	for _, of := range []Root{Oem, Site} {
		if v := s.revoked[of].list(); v != nil {
			out = append(out, v)
		}
	}
	return out
}
