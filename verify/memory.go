package verify

import (
	"bytes"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"sluice/bundle"
)

// StoreOf is a store of root files that are given, from version 1 upward, and checked as OpenStore checks those of a folder. It
// lies nowhere: nothing can be placed in it. lists are the revocation lists that hold, nil where there is none. Error: E-TRUST-INVALID.
func StoreOf(files map[Root][][]byte, lists map[Root][]byte) (*Store, error) {
	s := &Store{roots: map[Root][]*root{}, revoked: map[Root]*kept{}}
	for _, of := range []Root{Oem, Site} {
		var trusted *trustedmetadata.TrustedMetadata
		for i, raw := range files[of] {
			r, err := parseRoot(raw)
			if err != nil {
				return nil, err
			}
			if r.version != i+1 {
				return nil, invalid("trust root %q: version %d stands where version %d should", of, r.version, i+1)
			}
			if err := r.checkOf(of); err != nil {
				return nil, err
			}
			if trusted == nil {
				trusted, err = trustedmetadata.New(raw)
			} else {
				_, err = trusted.UpdateRoot(raw)
			}
			if err != nil {
				return nil, invalid("trust root %q version %d: %w", of, r.version, err)
			}
			s.roots[of] = append(s.roots[of], r)
		}
		if raw := lists[of]; raw != nil {
			if err := s.keep(of, raw); err != nil {
				return nil, invalid("revocation list of %q: %w", of, err)
			}
		}
	}
	return s, nil
}

// Files are the root files as they were placed or followed, from version 1 upward.
func (s *Store) Files(of Root) [][]byte {
	var out [][]byte
	for _, r := range s.roots[of] {
		out = append(out, bytes.Clone(r.raw))
	}
	return out
}

// DescribeVersion is one version of a root that is kept. Error: E-TRUST-NONE, E-TRUST-INVALID.
func (s *Store) DescribeVersion(of Root, version int) (RootInfo, error) {
	r, err := s.numbered(of, version)
	if err != nil {
		return RootInfo{}, err
	}
	info := r.info(of)
	info.First = Fingerprint(s.roots[of][0].raw)
	return info, nil
}

// Find is the version whose file has this fingerprint, 0 when none has. Spaces, dashes, colons and letter case do not matter.
func (s *Store) Find(of Root, fingerprint string) int {
	want := plainFingerprint(fingerprint)
	for _, r := range s.roots[of] {
		if strings.EqualFold(plainFingerprint(Fingerprint(r.raw)), want) {
			return r.version
		}
	}
	return 0
}

// EnvelopeBy is Envelope by the root of one number: for what was taken when that was the newest. A key that a later root dropped
// signs nothing new, but what was taken stays valid, unless that key was revoked.
func (s *Store) EnvelopeBy(of Root, version int, role string, raw []byte, wantType string, limit int64) (*bundle.Statement, []bundle.PublicKey, error) {
	r, err := s.numbered(of, version)
	if err != nil {
		return nil, nil, err
	}
	return s.envelopeBy(r, of, role, raw, wantType, limit)
}
