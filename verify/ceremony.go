package verify

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"sluice/bundle"
	"sluice/internal/fault"
)

// RootChange is what a next root file does differently from the one before. The zero value repeats it under the next
// number, which is how an expiry is put off.
type RootChange struct {
	AddRoot, AddTargets             []bundle.PublicKey
	RemoveRoot, RemoveTargets       []bundle.PublicKey
	RootThreshold, TargetsThreshold int       // 0: as before
	Expires                         time.Time // zero: as before; whole seconds
}

// NextRoot drafts the root file that may follow previous: number one higher, no signature yet. Errors: E-TRUST-INVALID for
// a previous file that is no root, E-SPEC for a change that no root may have, a removed key that is not there among them.
func NextRoot(previous []byte, c RootChange) ([]byte, error) {
	r, err := parseRoot(previous)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.Root().FromBytes(previous)
	if err != nil {
		return nil, invalid("reading trust root: %w", err)
	}
	meta.Signatures = []metadata.Signature{}
	meta.Signed.Version++
	if !c.Expires.IsZero() {
		meta.Signed.Expires = c.Expires.UTC().Truncate(time.Second)
	}
	used := map[string]bool{}
	for _, ch := range []struct {
		name        string
		add, remove []bundle.PublicKey
		threshold   int
	}{{RoleRoot, c.AddRoot, c.RemoveRoot, c.RootThreshold}, {RoleTargets, c.AddTargets, c.RemoveTargets, c.TargetsThreshold}} {
		next := slices.Clone(r.roles[ch.name].keys)
		for _, k := range ch.remove {
			i := slices.Index(next, k)
			if i < 0 {
				return nil, fault.New(fault.Spec, "key %s is not in role %q of trust root version %d", k.Fingerprint(), ch.name, r.version).With("key_id", k.ID())
			}
			next = slices.Delete(next, i, i+1)
		}
		for _, k := range ch.add {
			if slices.Contains(next, k) {
				return nil, fault.New(fault.Spec, "key %s is in role %q already: a key counts once", k.Fingerprint(), ch.name).With("key_id", k.ID())
			}
			next = append(next, k)
		}
		threshold := r.roles[ch.name].threshold
		if ch.threshold != 0 {
			threshold = ch.threshold
		}
		if threshold < 1 || threshold > len(next) {
			return nil, fault.New(fault.Spec, "threshold %d with %d keys for role %q, want 1 to %d", threshold, len(next), ch.name, len(next))
		}
		ids := []string{}
		for _, k := range next {
			id, err := tufID(k)
			if err != nil {
				return nil, err
			}
			key, err := tufKey(k)
			if err != nil {
				return nil, err
			}
			meta.Signed.Keys[id], used[id] = key, true
			ids = append(ids, id)
		}
		meta.Signed.Roles[ch.name] = &metadata.Role{KeyIDs: ids, Threshold: threshold}
	}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		if ro := meta.Signed.Roles[name]; ro != nil && name != RoleRoot && name != RoleTargets {
			for _, id := range ro.KeyIDs { // roles of other tools that nothing here uses
				used[id] = true
			}
		}
	}
	for id := range meta.Signed.Keys {
		if !used[id] {
			delete(meta.Signed.Keys, id)
		}
	}
	return rootBytes(meta)
}

// MergeRoot joins the signatures of two copies of one root file, which people signed apart from each other. Error:
// E-TRUST-INVALID when they are not copies of the same content.
func MergeRoot(a, b []byte) ([]byte, error) {
	same, err := sameContent(a, b)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, invalid("the two files are not copies of one trust root: their contents differ")
	}
	metas := make([]*metadata.Metadata[metadata.RootType], 2)
	for i, raw := range [][]byte{a, b} {
		if metas[i], err = metadata.Root().FromBytes(raw); err != nil {
			return nil, invalid("reading trust root: %w", err)
		}
	}
	for _, s := range metas[1].Signatures {
		if !slices.ContainsFunc(metas[0].Signatures, func(o metadata.Signature) bool { return o.KeyID == s.KeyID }) {
			metas[0].Signatures = append(metas[0].Signatures, s)
		}
	}
	return rootBytes(metas[0])
}

// sameContent says whether two root files are copies of one: what is signed is equal, whoever has signed it.
func sameContent(a, b []byte) (bool, error) {
	var signed [2][]byte
	for i, raw := range [][]byte{a, b} {
		r, err := parseRoot(raw)
		if err != nil {
			return false, err
		}
		if _, signed[i], err = r.content(); err != nil {
			return false, err
		}
	}
	return bytes.Equal(signed[0], signed[1]), nil
}

// content is a root file as TUF reads it, and the bytes that its signatures are over.
func (r *root) content() (*metadata.Metadata[metadata.RootType], []byte, error) {
	meta, err := metadata.Root().FromBytes(r.raw)
	if err != nil {
		return nil, nil, invalid("reading trust root version %d: %w", r.version, err)
	}
	signed, err := cjson.EncodeCanonical(meta.Signed)
	if err != nil {
		return nil, nil, invalid("reading trust root version %d: %w", r.version, err)
	}
	return meta, signed, nil
}

// Quorum says how far one group of key holders has come with a file.
type Quorum struct {
	Have   int      `json:"have"` // good signatures of different keys
	Want   int      `json:"want"`
	Signed []string `json:"signed"` // key ids
	Absent []string `json:"absent"` // key ids of those who could still sign
}

// Reached says whether enough have signed.
func (q Quorum) Reached() bool { return q.Have >= q.Want }

// RootQuorums says whose signatures a root file has and lacks: those of its own role root and, for number 2 and higher, those
// of the role root of the file before. previous may be nil; then the second is unknown (nil).
func RootQuorums(rootFile, previous []byte) (own Quorum, old *Quorum, err error) {
	r, err := parseRoot(rootFile)
	if err != nil {
		return Quorum{}, nil, err
	}
	if own, err = r.quorum(r); err != nil || previous == nil {
		return own, nil, err
	}
	before, err := parseBefore(r, previous)
	if err != nil {
		return Quorum{}, nil, err
	}
	q, err := before.quorum(r)
	return own, &q, err
}

func parseBefore(r *root, previous []byte) (*root, error) {
	before, err := parseRoot(previous)
	switch {
	case err != nil:
		return nil, err
	case before.version+1 != r.version:
		return nil, invalid("trust root version %d follows version %d, the file given as the one before has version %d", r.version, r.version-1, before.version)
	case before.of != r.of:
		return nil, invalid("the file before is a trust root of %q, this one is of %q", before.of, r.of)
	}
	return before, nil
}

// quorum counts the holders of r's role root who signed next.
func (r *root) quorum(next *root) (Quorum, error) {
	ro := r.roles[RoleRoot]
	q := Quorum{Want: ro.threshold, Signed: []string{}, Absent: []string{}}
	signers, err := next.signers(ro.keys)
	if err != nil {
		return q, err
	}
	for _, k := range ro.keys {
		if slices.Contains(signers, k) {
			q.Signed = append(q.Signed, k.ID())
		} else {
			q.Absent = append(q.Absent, k.ID())
		}
	}
	q.Have = len(q.Signed)
	return q, nil
}

// signers are those of keys that made a good signature over r.
func (r *root) signers(keys []bundle.PublicKey) ([]bundle.PublicKey, error) {
	meta, payload, err := r.content()
	if err != nil {
		return nil, err
	}
	var out []bundle.PublicKey
	for _, k := range keys {
		id, err := tufID(k)
		if err != nil {
			return nil, err
		}
		for _, s := range meta.Signatures {
			if s.KeyID == id && ed25519.Verify(k.Bytes(), payload, s.Signature) && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// RootKey finds a key of a root file by what a person has at hand: its key id, or at least eight digits of its fingerprint,
// with or without the spaces. Error: E-SPEC when none or several fit.
func RootKey(rootFile []byte, hint string) (bundle.PublicKey, []string, error) {
	r, err := parseRoot(rootFile)
	if err != nil {
		return bundle.PublicKey{}, nil, err
	}
	plain := plainFingerprint(hint)
	var found []bundle.PublicKey
	if _, err := hex.DecodeString(plain + strings.Repeat("0", len(plain)%2)); err == nil && len(plain) >= 8 {
		for _, k := range r.keys {
			if strings.HasPrefix(k.ID(), plain) {
				found = append(found, k)
			}
		}
	}
	if len(found) != 1 {
		return bundle.PublicKey{}, nil, fault.New(fault.Spec, "%d keys of trust root version %d fit %q, want exactly one", len(found), r.version, clip(hint))
	}
	return found[0], r.rolesOf(found[0]), nil
}

// RolesOf says which roles of a root file a key has; none when it is not in it.
func RolesOf(rootFile []byte, key bundle.PublicKey) ([]string, error) {
	r, err := parseRoot(rootFile)
	if err != nil {
		return nil, err
	}
	return r.rolesOf(key), nil
}

func (r *root) rolesOf(k bundle.PublicKey) []string {
	out := []string{}
	for _, name := range []string{RoleRoot, RoleTargets} {
		if slices.Contains(r.roles[name].keys, k) {
			out = append(out, name)
		}
	}
	return out
}

// RootFileName is the name that a root file has on a medium: oem.2.root.json.
func RootFileName(of Root, version int) string {
	return fmt.Sprintf("%s.%d%s", of, version, rootSuffix)
}
