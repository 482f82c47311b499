package verify

import (
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// ManifestName is the only subject of manifest.sig.
const ManifestName = "manifest.json"

// Authenticate decides whether an opened bundle may be taken, believing nothing before it is proven: the signed volume
// index first when there are volumes, then the signature of the manifest's bytes, then the manifest itself, then its
// place in history. Signatures need the threshold of role targets of the newest oem root.
//
// Errors: E-TRUST-NONE, E-TRUST-EXPIRED, E-SIGNATURE-* (-INVALID also when the manifest is not what was signed), E-VOLUME-*,
// those of bundle.ParseManifest, E-REVOKED, E-KNOWLEDGE-OLD, E-FAMILY-OTHER, E-VERSION-OLDER, E-VERSION-REUSED.
func (s *Store) Authenticate(ctx context.Context, src *bundle.Source, h History) (*Authentic, error) {
	r, err := s.newest(Oem)
	if err != nil {
		return nil, err
	}
	if err := s.CheckExpired(Oem, h.Evidence); err != nil {
		return nil, err
	}
	a, err := r.judge(Oem, s.lists(Oem)).source(ctx, src)
	if err != nil {
		return nil, err
	}
	if err := s.mayTake(a, r, h); err != nil {
		return nil, err
	}
	return a, nil
}

// mayTake judges what is signed by its time, by revocations and by what this machine has seen.
func (s *Store) mayTake(a *Authentic, r *root, h History) error {
	created := a.manifest.CreatedTime()
	if created.After(r.expires) {
		return expired(a.of, r, created)
	}
	if err := s.CheckRevoked(a); err != nil {
		return err
	}
	if created.After(h.Evidence) {
		h.Evidence = created
	}
	if err := h.CheckAge(); err != nil {
		return err
	}
	return h.check(a)
}

func expired(of Root, r *root, at time.Time) error {
	return fault.New(fault.TrustExpired, "trust root %q version %d expired at %s, signed evidence is of %s",
		of, r.version, r.expires.Format(time.RFC3339), at.UTC().Format(time.RFC3339)).
		With("expires", r.expires.Format(time.RFC3339)).With("number", r.version).With("root", string(of)).
		With("evidence", at.UTC().Format(time.RFC3339))
}

// day is the unit of ages.
const day = 24 * time.Hour

// AgeDays is how many whole days lie between the newest signed evidence and now, which is the local clock's word but never earlier
// than the evidence; behind says that the clock is: then it is certainly wrong.
func AgeDays(evidence, clock time.Time) (days int, behind bool) {
	if evidence.IsZero() || clock.IsZero() {
		return 0, false
	}
	if clock.Before(evidence) {
		return 0, true
	}
	return int(clock.Sub(evidence) / day), false
}

// CheckAge refuses (E-KNOWLEDGE-OLD) when what is known is older than the site's policy allows. It is the one rule that asks the local
// clock, it can only refuse, and nothing of its answer is kept.
func (h History) CheckAge() error {
	days, _ := AgeDays(h.Evidence, h.Clock)
	if h.MaxAgeDays < 1 || days <= h.MaxAgeDays {
		return nil
	}
	return fault.New(fault.KnowledgeOld, "the newest signed evidence is of %s, %d days before this machine's clock (%s); the site allows %d",
		h.Evidence.UTC().Format(time.RFC3339), days, h.Clock.UTC().Format(time.RFC3339), h.MaxAgeDays).
		With("days", days).With("limit", h.MaxAgeDays).With("evidence", h.Evidence.UTC().Format(time.RFC3339)).With("clock", h.Clock.UTC().Format(time.RFC3339))
}

// check compares with what this machine has seen.
func (h History) check(a *Authentic) error {
	m := a.manifest
	if h.Family != "" && m.ModelFamily != h.Family {
		return fault.New(fault.FamilyOther, "the bundle is of family %q, this installation holds %q", m.ModelFamily, h.Family).
			With("family", m.ModelFamily).With("want", h.Family)
	}
	if h.Floor != "" && bundle.CompareVersions(m.Version, h.Floor) < 0 {
		return fault.New(fault.VersionOlder, "version %q is older than %q, which was live here", m.Version, h.Floor).
			With("version", m.Version).With("floor", h.Floor)
	}
	return h.checkReuse(a)
}

func (h History) checkReuse(a *Authentic) error {
	version := a.manifest.Version
	if seen, ok := h.Seen[version]; ok && seen != a.digest {
		return fault.New(fault.VersionReused, "version %q was seen here with manifest %s, this one is %s", version, seen, a.digest).
			With("version", version).With("want", seen.String()).With("got", a.digest.String())
	}
	return nil
}

// AuthenticateInstalled judges the manifest of an installed version again, by the root version that it was taken with: a
// key that a later root dropped signs nothing new, but what is installed stays valid. The family and E-VERSION-REUSED
// are checked; floor and expiry are not, for they concern what is taken, not what is here. Nor are revocations: CheckRevoked does that.
func (s *Store) AuthenticateInstalled(manifest, sig []byte, rootVersion int, h History) (*Authentic, error) {
	r, err := s.numbered(Oem, rootVersion)
	if err != nil {
		return nil, err
	}
	a, err := r.judge(Oem, nil).manifest(manifest, sig)
	if err != nil {
		return nil, err
	}
	h.Floor = ""
	if err := h.check(a); err != nil {
		return nil, err
	}
	return a, nil
}

// WithKey authenticates with one key that the user gave (--pubkey) instead of a trust root. Nothing is known about
// history then; GivenKey tells.
func WithKey(ctx context.Context, src *bundle.Source, key bundle.PublicKey) (*Authentic, error) {
	return givenKey(key).source(ctx, src)
}

// InstalledWithKey is WithKey for the manifest.json and manifest.sig of an installed folder.
func InstalledWithKey(manifest, sig []byte, key bundle.PublicKey) (*Authentic, error) {
	return givenKey(key).manifest(manifest, sig)
}

// judge is who may sign, and how many of them must.
type judge struct {
	keys      []bundle.PublicKey
	threshold int
	role      string
	of        Root
	version   int
	revoked   []*Revocations // whose keys do not count
}

func (r *root) judge(of Root, revoked []*Revocations) judge {
	t := r.roles[RoleTargets]
	return judge{keys: t.keys, threshold: t.threshold, role: RoleTargets, of: of, version: r.version, revoked: revoked}
}

func givenKey(key bundle.PublicKey) judge {
	return judge{keys: []bundle.PublicKey{key}, threshold: 1, role: RoleGiven}
}

func (j judge) source(ctx context.Context, src *bundle.Source) (*Authentic, error) {
	if src == nil {
		return nil, fault.New(fault.Internal, "no bundle was opened")
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "authenticating: %w", err)
	}
	if src.Kind() == bundle.KindVolumes {
		if err := j.volumes(src); err != nil {
			return nil, err
		}
	}
	a, err := j.manifest(src.ManifestBytes(), src.SignatureBytes())
	if err != nil {
		return nil, err
	}
	a.source = src
	return a, nil
}

// volumes checks the signed index before the manifest is looked at: the manifest's bytes came out of the volumes.
func (j judge) volumes(src *bundle.Source) error {
	raw := src.VolumeIndex()
	if len(raw) == 0 {
		return fault.New(fault.VolumeIndex, "the volumes have no signed index")
	}
	env, err := parseEnvelope(raw, bundle.MaxEnvelopeSize)
	if err != nil {
		return err
	}
	st, signers, err := env.Verify(bundle.TypeVolumes, j.keys, j.threshold)
	if err != nil {
		return err
	}
	if err := quorumLeft(signers, j.threshold, j.revoked...); err != nil {
		return err
	}
	p, err := bundle.VolumesOf(st)
	if err != nil {
		return err
	}
	return src.CheckIndex(p)
}

func (j judge) manifest(raw, sig []byte) (*Authentic, error) {
	if int64(len(raw)) > bundle.MaxManifestSize {
		return nil, fault.New(fault.Limit, "manifest.json has %d bytes, want at most %d", len(raw), bundle.MaxManifestSize)
	}
	env, err := parseEnvelope(sig, bundle.MaxSignatureSize)
	if err != nil {
		return nil, err
	}
	st, signers, err := env.Verify(bundle.TypeManifest, j.keys, j.threshold)
	if err != nil {
		return nil, err
	}
	if err := quorumLeft(signers, j.threshold, j.revoked...); err != nil {
		return nil, err
	}
	if err := st.CheckSubject(ManifestName, raw); err != nil {
		return nil, err
	}
	m, err := bundle.ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	var p bundle.ManifestPredicate
	if err := bundle.StrictUnmarshal(st.Predicate, &p, bundle.MaxSignatureSize); err != nil {
		return nil, fault.New(fault.SignatureInvalid, "reading the signature's predicate: %w", err)
	}
	if p.ModelFamily != m.ModelFamily || p.Version != m.Version {
		return nil, fault.New(fault.SignatureInvalid, "the signature speaks of %q version %q, the manifest of %q version %q",
			clip(p.ModelFamily), clip(p.Version), m.ModelFamily, m.Version)
	}
	a := &Authentic{manifest: m, raw: slices.Clone(raw), sig: slices.Clone(sig), digest: sha512.Sum384(raw), version: j.version,
		of: j.of, keys: signers, threshold: j.threshold}
	for _, k := range signers {
		a.signers = append(a.signers, Signer{KeyID: k.ID(), Fingerprint: k.Fingerprint(), Role: j.role})
	}
	return a, nil
}

// BundleSignature checks one manifest file with its signature file and one public key, and nothing else: neither a
// trust root, nor history, nor any artifact. It is the small function for programs that want only that.
// Errors: E-SOURCE-MISSING (no manifest), E-KEY-WEAK, E-SIGNATURE-* (-MISSING: no signature file, or an empty one; -INVALID: the manifest
// is not what was signed), E-LIMIT, E-IO.
func BundleSignature(manifestPath, signaturePath string, publicKey ed25519.PublicKey) error {
	key, err := bundle.NewPublicKey(publicKey)
	if err != nil {
		return err
	}
	manifest, err := readLimited(manifestPath, bundle.MaxManifestSize)
	if err != nil {
		return err
	}
	sig, err := readLimited(signaturePath, bundle.MaxSignatureSize)
	if fault.CodeOf(err) == fault.SourceMissing {
		return fault.New(fault.SignatureMissing, "the manifest has no signature: %w", err).With("path", signaturePath)
	}
	if err != nil {
		return err
	}
	_, err = givenKey(key).manifest(manifest, sig)
	return err
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.SourceMissing, "opening %q: %w", path, err).With("path", path)
	}
	if err != nil {
		return nil, fsx.Classify(err, "opening", path)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fsx.Classify(err, "reading", path)
	}
	if int64(len(raw)) > limit {
		return nil, fault.New(fault.Limit, "%q is longer than %d bytes", path, limit).With("path", path).With("limit", limit)
	}
	return raw, nil
}
