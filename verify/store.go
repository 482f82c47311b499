package verify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// rootSuffix ends the names of kept root files: 1.root.json, 2.root.json, …
const rootSuffix = ".root.json"

// keyFile is the vendor's signing keys as PEM, for OpenSSL and cosign. Nothing here reads it.
const keyFile = "oem_model_signing.pub"

// Store holds the trust roots of a folder as OpenStore found and checked them. It does not notice later changes on
// disk, except its own.
type Store struct {
	dir     string
	roots   map[Root][]*root // from version 1 upward, without gaps
	revoked map[Root]*kept   // newest revocation lists
}

// OpenStore loads the roots kept in dir (<root>/ai_models/keys, or a folder given with --trust) and checks each chain
// from its version 1 upward: version 1 signed by its own quorum, each next one by the quorum of the one before and by its
// own (TUF 1.0, section 5.3). The revocation lists beside them must be signed by a quorum of role root. A missing folder or root is no
// error: Authenticate answers E-TRUST-NONE then. A gap, a broken file or a link is E-TRUST-INVALID.
//
// Version 1 rests on whoever placed it; protecting the folder is the system's part.
func OpenStore(dir string) (*Store, error) {
	s := &Store{dir: dir, roots: map[Root][]*root{}, revoked: map[Root]*kept{}}
	for _, of := range []Root{Oem, Site} {
		chain, err := loadChain(dir, of)
		if err != nil {
			return nil, err
		}
		s.roots[of] = chain
	}
	return s, s.loadRevocations()
}

func loadChain(dir string, of Root) ([]*root, error) {
	keys, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	count, err := countRoots(keys, of)
	if err != nil || count == 0 {
		return nil, err
	}
	var chain []*root
	var trusted *trustedmetadata.TrustedMetadata
	for n := 1; n <= count; n++ {
		name := string(of) + "/" + strconv.Itoa(n) + rootSuffix
		r, err := loadRoot(keys, name, of, n)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			trusted, err = trustedmetadata.New(r.raw)
		} else {
			_, err = trusted.UpdateRoot(r.raw)
		}
		if err != nil {
			return nil, invalid("trust root %q: %w", name, err).With("path", name)
		}
		chain = append(chain, r)
	}
	return chain, nil
}

// countRoots wants the files 1 … n and returns n. Other names are not looked at.
func countRoots(keys *os.Root, of Root) (int, error) {
	if err := fsx.CheckNoLinks(keys, string(of)); err != nil {
		return 0, invalid("trust root %q: %w", of, err).With("path", string(of))
	}
	entries, err := fs.ReadDir(keys.FS(), string(of))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fsx.Classify(err, "listing", string(of))
	}
	var have []int
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), rootSuffix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(stem)
		if err != nil || n < 1 || n > maxRoots || strconv.Itoa(n) != stem {
			return 0, invalid("trust root file %q, want a name from 1%s to %d%s", clip(e.Name()), rootSuffix, maxRoots, rootSuffix).
				With("path", string(of)+"/"+clip(e.Name()))
		}
		have = append(have, n)
	}
	slices.Sort(have)
	for i, n := range have {
		if n != i+1 {
			return 0, invalid("trust root %q lacks version %d while version %d is there", of, i+1, n).
				With("path", string(of)+"/"+strconv.Itoa(i+1)+rootSuffix)
		}
	}
	return len(have), nil
}

func loadRoot(keys *os.Root, name string, of Root, version int) (*root, error) {
	raw, err := fsx.ReadFile(keys, name, MaxRootSize)
	if err != nil {
		if c := fault.CodeOf(err); c == fault.Path || c == fault.Limit {
			return nil, invalid("trust root %q: %w", name, err).With("path", name)
		}
		return nil, err
	}
	r, err := parseRoot(raw)
	if err != nil {
		return nil, invalid("trust root %q: %w", name, err).With("path", name)
	}
	if r.version != version {
		return nil, invalid("trust root %q holds version %d", name, r.version).With("path", name)
	}
	if err := r.checkOf(of); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *root) checkOf(of Root) error {
	if r.of != "" && r.of != of {
		return invalid("this is a trust root of %q, want one of %q", r.of, of)
	}
	return nil
}

// Has says whether a root of that name was placed.
func (s *Store) Has(of Root) bool { return s != nil && len(s.roots[of]) > 0 }

// newest is the root that judges what is new. Error: E-TRUST-NONE.
func (s *Store) newest(of Root) (*root, error) {
	if !s.Has(of) {
		return nil, noRoot(of)
	}
	chain := s.roots[of]
	return chain[len(chain)-1], nil
}

func (s *Store) numbered(of Root, version int) (*root, error) {
	if !s.Has(of) {
		return nil, noRoot(of)
	}
	if version < 1 || version > len(s.roots[of]) {
		return nil, invalid("trust root %q has versions 1 to %d, want version %d", of, len(s.roots[of]), version).With("version", version)
	}
	return s.roots[of][version-1], nil
}

func noRoot(of Root) error {
	return fault.New(fault.TrustNone, "no trust root %q was placed here", of).With("root", string(of))
}

// Describe lists the roots that were placed, newest versions.
func (s *Store) Describe() []RootInfo {
	out := []RootInfo{}
	for _, of := range []Root{Oem, Site} {
		if r, err := s.newest(of); err == nil {
			info := r.info(of)
			info.First = Fingerprint(s.roots[of][0].raw)
			for _, k := range r.keys {
				if s.RevokedKey(of, k) != nil {
					info.Revoked = append(info.Revoked, k.ID())
				}
			}
			out = append(out, info)
		}
	}
	return out
}

// Place takes a first trust root that a person vouches for: fingerprint is what they compared, as Fingerprint prints it;
// spaces, dashes, colons and letter case do not matter, its length does. The file must be version 1, signed by its own
// quorum. The caller holds the lock of the root. Errors: E-EXISTS when one is there, E-TRUST-FINGERPRINT, E-TRUST-INVALID,
// E-KEY-WEAK, and those of writing.
func (s *Store) Place(of Root, rootFile []byte, fingerprint string) error {
	if of != Oem && of != Site {
		return fault.New(fault.Usage, "trust root %q, want %q or %q", of, Oem, Site)
	}
	if s.Has(of) {
		return fault.New(fault.Exists, "trust root %q is already placed (version %d)", of, len(s.roots[of])).With("root", string(of)).With("path", filepath.Join(s.dir, string(of)))
	}
	if len(rootFile) > MaxRootSize {
		return invalid("trust root has %d bytes, want at most %d", len(rootFile), MaxRootSize)
	}
	if have := Fingerprint(rootFile); plainFingerprint(fingerprint) != plainFingerprint(have) {
		return fault.New(fault.TrustFingerprint, "the root file's fingerprint is %q, the given one is %q", have, clip(fingerprint)).
			With("got", have).With("want", clip(fingerprint))
	}
	r, err := parseRoot(rootFile)
	if err != nil {
		return err
	}
	if r.version != 1 {
		return invalid("the first trust root has version %d, want 1; later ones follow step by step", r.version).With("version", r.version)
	}
	if err := r.checkOf(of); err != nil {
		return err
	}
	if _, err := trustedmetadata.New(rootFile); err != nil {
		return invalid("the trust root is not signed by its own quorum: %w", err)
	}
	if err := s.write(of, r); err != nil {
		return err
	}
	s.roots[of] = []*root{r}
	return nil
}

// write puts the vendor's PEM file first: the root file's name is what makes the root exist.
func (s *Store) write(of Root, r *root) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fsx.Classify(err, "making", s.dir)
	}
	keys, err := os.OpenRoot(s.dir)
	if err != nil {
		return fsx.Classify(err, "opening", s.dir)
	}
	defer keys.Close()
	name := string(of) + "/1" + rootSuffix
	if _, err := keys.Lstat(name); err == nil {
		return fault.New(fault.Exists, "trust root %q is already placed", of).With("path", filepath.Join(s.dir, name))
	}
	if err := fsx.MkdirAll(keys, string(of), 0o755); err != nil {
		return err
	}
	if of == Oem {
		if err := fsx.WriteFile(keys, keyFile, r.pem(), 0o644); err != nil {
			return err
		}
	}
	return fsx.WriteFile(keys, name, r.raw, 0o644)
}

// SameFingerprint compares two fingerprints as people write them: spaces, dashes, colons and letter case do not matter.
func SameFingerprint(a, b string) bool { return plainFingerprint(a) == plainFingerprint(b) }

func plainFingerprint(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', ':', '\t', '\n', '\r', '\u00a0':
			return -1
		}
		return r
	}, s))
}

// Envelope verifies something signed with a trust root: the site's policy, for example. role is RoleRoot or RoleTargets;
// limit is in bytes. It returns the statement and whose keys signed. The predicate is the caller's to read.
func (s *Store) Envelope(of Root, role string, raw []byte, wantType string, limit int64) (*bundle.Statement, []bundle.PublicKey, error) {
	r, err := s.newest(of)
	if err != nil {
		return nil, nil, err
	}
	return s.envelopeBy(r, of, role, raw, wantType, limit)
}

func (s *Store) envelopeBy(r *root, of Root, role string, raw []byte, wantType string, limit int64) (*bundle.Statement, []bundle.PublicKey, error) {
	st, signers, err := r.envelope(role, raw, wantType, limit)
	if err != nil {
		return nil, nil, err
	}
	if err := quorumLeft(signers, r.roles[role].threshold, s.lists(of)...); err != nil {
		return nil, nil, err
	}
	return st, signers, nil
}

// Version is the number of the newest root; 0 when none was placed.
func (s *Store) Version(of Root) int {
	if s == nil {
		return 0
	}
	return len(s.roots[of])
}

// CheckExpired refuses (E-TRUST-EXPIRED) when signed evidence is later than the expiry of the newest root. No clock is asked.
func (s *Store) CheckExpired(of Root, evidence time.Time) error {
	r, err := s.newest(of)
	if err != nil {
		return err
	}
	if evidence.After(r.expires) {
		return expired(of, r, evidence)
	}
	return nil
}

// Kept names the files below the keys folder that this store rests on.
func (s *Store) Kept() []string {
	var out []string
	for _, of := range []Root{Oem, Site} {
		for _, r := range s.roots[of] {
			out = append(out, KeptRoot(of, r.version))
		}
		if s.revoked[of] != nil {
			out = append(out, KeptRevocations(of))
		}
	}
	return out
}

// RootFile gives the bytes of a kept root: version 0 is the newest. Errors: E-TRUST-NONE, E-TRUST-INVALID.
func (s *Store) RootFile(of Root, version int) ([]byte, error) {
	if version == 0 {
		version = s.Version(of)
	}
	r, err := s.numbered(of, version)
	if err != nil {
		return nil, err
	}
	return r.raw, nil
}

// RevocationsFile gives the bytes of the kept list; nil when there is none.
func (s *Store) RevocationsFile(of Root) []byte {
	if k := s.revoked[of]; k != nil {
		return k.raw
	}
	return nil
}

func (r *root) envelope(role string, raw []byte, wantType string, limit int64) (*bundle.Statement, []bundle.PublicKey, error) {
	if role != RoleRoot && role != RoleTargets {
		return nil, nil, fault.New(fault.Internal, "role %q, want %q or %q", role, RoleRoot, RoleTargets)
	}
	env, err := parseEnvelope(raw, limit)
	if err != nil {
		return nil, nil, err
	}
	ro := r.roles[role]
	return env.Verify(wantType, ro.keys, ro.threshold)
}

func parseEnvelope(raw []byte, limit int64) (*bundle.Envelope, error) {
	switch {
	case len(raw) == 0:
		return nil, fault.New(fault.SignatureMissing, "there is no signature")
	case int64(len(raw)) > limit:
		return nil, fault.New(fault.Limit, "the signature has %d bytes, want at most %d", len(raw), limit).With("limit", limit)
	}
	return bundle.ParseEnvelope(raw)
}
