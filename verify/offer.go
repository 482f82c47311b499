package verify

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// maxAhead is how far beyond the newest root that is kept a medium is searched: a root file further off shows that one between
// is missing, and is never taken.
const maxAhead = 32

// revocationsFile is the vendor's revocation list, on a medium and where it is kept; the site's has siteListFile.
const (
	revocationsFile = "revocations.json"
	siteListFile    = "site.revocations.json"
)

// KeptRevocations is where a root's list is kept below the keys folder, and one of its names on a medium.
func KeptRevocations(of Root) string {
	if of == Site {
		return siteListFile
	}
	return revocationsFile
}

// KeptRoot is where a root file is kept below the keys folder.
func KeptRoot(of Root, version int) string {
	return string(of) + "/" + strconv.Itoa(version) + rootSuffix
}

// offer is one file of a medium that may change what is trusted.
type offer struct {
	of   Root
	path string
	raw  []byte
	root *root // nil: a revocation list
}

// Offers is what media carry for the trust of a machine. Nothing of it is believed.
type Offers struct {
	roots map[Root]map[int][]offer
	lists map[Root][]offer
}

// Empty says whether there is anything that this machine does not have.
func (o *Offers) Empty() bool {
	return o == nil || len(o.roots[Oem])+len(o.roots[Site])+len(o.lists[Oem])+len(o.lists[Site]) == 0
}

// Kinds of a Step.
const (
	StepRoot        = "root"
	StepRevocations = "revocations"
)

// Step is one change of what is trusted, proven and in its place: a next root, or a revocation list with a higher number.
type Step struct {
	Of          Root      `json:"of"`
	Kind        string    `json:"kind"`   // StepRoot or StepRevocations
	Number      int       `json:"number"` // of the root or the list
	Fingerprint string    `json:"fingerprint"`
	Path        string    `json:"path"`             // where it was found
	Root        int       `json:"root"`             // number of the root that judged it
	Expires     time.Time `json:"expires,omitzero"` // of a root
	Issued      time.Time `json:"issued,omitzero"`  // of a list: evidence of time, at most one second after its root's expiry
	Kept        string    `json:"-"`                // name below the keys folder
	raw         []byte
}

// Bytes are the file's bytes.
func (s Step) Bytes() []byte { return s.raw }

// Look searches the folders of a medium for what may change the trust of this machine, by these names: N.root.json,
// oem.N.root.json and site.N.root.json, where N is higher than the newest number that is kept; revocations.json,
// oem.revocations.json and site.revocations.json. Whose a root file is it says itself; one made by another program is the
// vendor's unless its name says otherwise. Nothing else in the folders is opened, and no link is followed. Errors: E-TRUST-INVALID,
// E-REVOCATIONS, E-KEY-WEAK for a file with such a name that is none; those of reading.
func (s *Store) Look(dirs []string) (*Offers, error) {
	o := &Offers{roots: map[Root]map[int][]offer{Oem: {}, Site: {}}, lists: map[Root][]offer{}}
	seen := map[string]bool{}
	for _, dir := range dirs {
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		if seen[dir] {
			continue
		}
		seen[dir] = true
		if err := s.lookIn(o, dir); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// openFolder opens a folder that a person named. Opening a fifo would wait for a writer, so the kind is looked at before. The error
// wraps fs.ErrNotExist when there is none.
func openFolder(dir string) (*os.Root, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, fsx.Classify(err, "looking at", dir)
	}
	if !fi.IsDir() {
		return nil, fault.New(fault.SourceMissing, "%q is not a folder", dir).With("path", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fsx.Classify(err, "opening", dir)
	}
	return root, nil
}

func (s *Store) lookIn(o *Offers, dir string) error {
	medium, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer medium.Close()
	for _, prefix := range []Root{"", Oem, Site} {
		from, to := s.ahead(prefix)
		for n := from; n <= to; n++ {
			name := strconv.Itoa(n) + rootSuffix
			if prefix != "" {
				name = string(prefix) + "." + name
			}
			if err := s.lookRoot(o, medium, dir, prefix, name, n); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{revocationsFile, "oem." + revocationsFile} {
		if err := s.lookList(o, medium, dir, Oem, name); err != nil {
			return err
		}
	}
	return s.lookList(o, medium, dir, Site, siteListFile)
}

// ahead are the numbers that a medium is searched for.
func (s *Store) ahead(of Root) (from, to int) {
	oem, site := len(s.roots[Oem]), len(s.roots[Site])
	switch of {
	case Oem:
		return oem + 1, oem + maxAhead
	case Site:
		return site + 1, site + maxAhead
	}
	return min(oem, site) + 1, max(oem, site) + maxAhead
}

func (s *Store) lookRoot(o *Offers, medium *os.Root, dir string, prefix Root, name string, n int) error {
	raw, err := readOffer(medium, name, MaxRootSize, invalid)
	if err != nil || raw == nil {
		return err
	}
	path := filepath.Join(dir, name)
	r, err := parseRoot(raw)
	if err != nil && prefix == "" && n <= len(s.roots[Oem]) {
		return nil // the vendor's of this number is kept, and this one does not say that it is the site's
	}
	if err != nil {
		return fault.New(fault.CodeOf(err), "trust root %q: %w", path, err).With("path", path)
	}
	of := r.of
	switch {
	case of == "" && prefix != "":
		of = prefix
	case of == "":
		of = Oem
	case prefix != "" && of != prefix:
		return invalid("%q is a trust root of %q, its name says %q", path, of, prefix).With("path", path)
	}
	if r.version != n {
		return invalid("%q holds version %d", path, r.version).With("path", path)
	}
	// One that is kept already, or whose first root no person placed here, changes nothing.
	if !s.Has(of) || n <= len(s.roots[of]) || n > maxRoots {
		return nil
	}
	o.roots[of][n] = append(o.roots[of][n], offer{of: of, path: path, raw: raw, root: r})
	return nil
}

func (s *Store) lookList(o *Offers, medium *os.Root, dir string, of Root, name string) error {
	if !s.Has(of) {
		return nil
	}
	raw, err := readOffer(medium, name, MaxRevocationsSize, listInvalid)
	if err != nil || raw == nil {
		return err
	}
	path := filepath.Join(dir, name)
	v, _, err := ReadRevocations(raw)
	if err != nil {
		return fault.New(fault.CodeOf(err), "revocation list %q: %w", path, err).With("path", path)
	}
	if v.Root != of {
		return listInvalid("%q is a revocation list of %q, its name says %q", path, v.Root, of).With("path", path)
	}
	have := s.revoked[of]
	if have != nil && (v.Number < have.v.Number || bytes.Equal(raw, have.raw)) {
		return nil // an older medium
	}
	o.lists[of] = append(o.lists[of], offer{of: of, path: path, raw: raw})
	return nil
}

// readOffer reads a small file of a medium; nil when there is none of that name. What is no file, or too long, is bad.
func readOffer(medium *os.Root, name string, limit int64, bad func(string, ...any) *fault.Error) ([]byte, error) {
	fi, err := medium.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fsx.Classify(err, "looking at", name)
	}
	if !fi.Mode().IsRegular() {
		return nil, bad("%q is no regular file", name).With("path", name)
	}
	raw, err := fsx.ReadFile(medium, name, limit)
	if c := fault.CodeOf(err); c == fault.Path || c == fault.Limit {
		return nil, bad("%q: %w", name, err).With("path", name)
	}
	return raw, err
}

// Advance takes offers in, in memory only: roots one number at a time, each with the quorum of the one before and its own
// (TUF 1.0, section 5.3) in which no revoked key counts, and revocation lists as soon as the newest root of the moment proves
// them. It returns what would be trusted then, and the steps to it in their order; Keep writes one. Errors: E-TRUST-STEP when a
// number between is missing, E-TRUST-FORK when there are two proven ones with the next number that differ, E-TRUST-INVALID, E-REVOCATIONS, E-REVOKED, E-SIGNATURE-* for a list that nobody proves.
func (s *Store) Advance(o *Offers) (*Store, []Step, error) {
	next := s.clone()
	var steps []Step
	if o.Empty() {
		return next, nil, nil
	}
	for _, of := range []Root{Site, Oem} { // the site's list also speaks of the vendor's keys
		lists := slices.Clone(o.lists[of])
		for {
			taken, err := next.advanceLists(of, &lists)
			if err != nil {
				return nil, nil, err
			}
			steps = append(steps, taken...)
			step, err := next.advanceRoot(of, o.roots[of])
			if err != nil {
				return nil, nil, err
			}
			if step == nil {
				break
			}
			steps = append(steps, *step)
		}
		if err := next.refused(of, lists); err != nil {
			return nil, nil, err
		}
	}
	return next, steps, nil
}

func (s *Store) clone() *Store {
	c := &Store{dir: s.dir, roots: map[Root][]*root{}, revoked: map[Root]*kept{}}
	for of, chain := range s.roots {
		c.roots[of] = slices.Clone(chain)
	}
	for of, v := range s.revoked {
		c.revoked[of] = v
	}
	return c
}

// advanceRoot takes the next number, when it is there.
func (s *Store) advanceRoot(of Root, offers map[int][]offer) (*Step, error) {
	have := len(s.roots[of])
	if len(offers[have+1]) == 0 {
		for _, n := range slices.Sorted(maps.Keys(offers)) {
			if n > have+1 {
				return nil, fault.New(fault.TrustStep, "the medium holds trust root %q version %d, this machine has version %d: version %d is missing", of, n, have, have+1).
					With("root", string(of)).With("have", have).With("missing", have+1).With("got", n)
			}
		}
		return nil, nil
	}
	var first error
	var proven []offer
	for _, c := range offers[have+1] {
		if err := s.follow(of, c.root); err == nil {
			proven = append(proven, c)
		} else if first == nil {
			first = fault.New(fault.CodeOf(err), "trust root %q: %w", c.path, err).With("path", c.path)
		}
	}
	if len(proven) == 0 {
		return nil, first
	}
	c := proven[0]
	for _, other := range proven[1:] {
		if same, err := sameContent(c.raw, other.raw); err != nil {
			return nil, err
		} else if !same {
			return nil, fault.New(fault.TrustFork, "%q and %q are both signed as trust root %q version %d, and differ", c.path, other.path, of, have+1).
				With("root", string(of)).With("number", have+1).With("path", c.path).With("other", other.path)
		}
	}
	s.roots[of] = append(s.roots[of], c.root)
	return &Step{Of: of, Kind: StepRoot, Number: c.root.version, Fingerprint: Fingerprint(c.raw), Path: c.path, Root: have,
		Expires: c.root.expires, Kept: KeptRoot(of, c.root.version), raw: c.raw}, nil
}

// follow proves the next root by TUF's rules, that it says whose it is as the one before does (a holder may have signed for both,
// and what a file is called is up to the medium), and that neither quorum rests on revoked keys.
func (s *Store) follow(of Root, next *root) error {
	chain := s.roots[of]
	newest := chain[len(chain)-1]
	if next.version != newest.version+1 {
		return invalid("trust root version %d does not follow version %d", next.version, newest.version)
	}
	if err := newest.signedBy(next); err != nil {
		return err
	}
	if err := next.signedBy(next); err != nil {
		return err
	}
	if newest.of != "" && next.of != newest.of {
		return invalid("trust root version %d says it is of %q, version %d said %q", next.version, next.of, newest.version, newest.of)
	}
	for _, r := range []*root{newest, next} {
		signers, err := next.signers(r.roles[RoleRoot].keys)
		if err != nil {
			return err
		}
		if err := quorumLeft(signers, r.roles[RoleRoot].threshold, s.lists(of)...); err != nil {
			return err
		}
	}
	return nil
}

// advanceLists takes the lists that the newest root of the moment proves, lowest number first.
func (s *Store) advanceLists(of Root, lists *[]offer) ([]Step, error) {
	var steps []Step
	slices.SortStableFunc(*lists, func(a, b offer) int { return numberOf(a.raw) - numberOf(b.raw) })
	for i := 0; i < len(*lists); {
		c := (*lists)[i]
		chain := s.roots[of]
		newest := chain[len(chain)-1]
		v, err := newest.revocations(of, c.raw, s.lists(of))
		if err != nil {
			i++ // a later root may prove it
			continue
		}
		*lists = slices.Delete(*lists, i, i+1)
		if have := s.revoked[of]; have != nil {
			if v.Number < have.v.Number || sameList(v, have.v) {
				continue
			}
			if err := v.follows(have.v); err != nil {
				return nil, fault.New(fault.CodeOf(err), "%q: %w", c.path, err).With("path", c.path)
			}
		}
		s.revoked[of] = &kept{v: v, raw: c.raw}
		issued := v.IssuedAt()
		if last := newest.expires.Add(time.Second); issued.After(last) {
			issued = last // it proves that the root has expired, not how long ago
		}
		steps = append(steps, Step{Of: of, Kind: StepRevocations, Number: v.Number, Fingerprint: Fingerprint(c.raw), Path: c.path, Root: newest.version,
			Issued: issued, Kept: KeptRevocations(of), raw: c.raw})
	}
	return steps, nil
}

func numberOf(raw []byte) int {
	v, _, err := ReadRevocations(raw)
	if err != nil {
		return 0
	}
	return v.Number
}

func sameList(a, b *Revocations) bool {
	x, err := bundle.CanonicalJSON(a)
	y, berr := bundle.CanonicalJSON(b)
	return err == nil && berr == nil && bytes.Equal(x, y)
}

// refused is why the first list that is left was not taken. One that brings nothing new is no reason to refuse a medium.
func (s *Store) refused(of Root, lists []offer) error {
	for _, c := range lists {
		v, _, err := ReadRevocations(c.raw)
		if have := s.revoked[of]; err == nil && have != nil && (v.Number < have.v.Number || sameList(v, have.v)) {
			continue
		}
		chain := s.roots[of]
		if _, err := chain[len(chain)-1].revocations(of, c.raw, s.lists(of)); err != nil {
			return fault.New(fault.CodeOf(err), "revocation list %q: %w", c.path, err).With("path", c.path)
		}
	}
	return nil
}

// Keep writes one step of Advance below the keys folder and takes it in. The caller holds the lock of the root.
func (s *Store) Keep(step Step) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fsx.Classify(err, "making", s.dir)
	}
	keys, err := os.OpenRoot(s.dir)
	if err != nil {
		return fsx.Classify(err, "opening", s.dir)
	}
	defer keys.Close()
	if step.Kind == StepRevocations {
		v, _, err := ReadRevocations(step.raw)
		if err != nil {
			return err
		}
		if err := fsx.WriteFile(keys, step.Kept, step.raw, 0o644); err != nil {
			return err
		}
		s.revoked[step.Of] = &kept{v: v, raw: step.raw}
		return nil
	}
	r, err := parseRoot(step.raw)
	if err != nil {
		return err
	}
	if r.version != len(s.roots[step.Of])+1 {
		return fault.New(fault.Internal, "keeping trust root %q version %d after version %d", step.Of, r.version, len(s.roots[step.Of]))
	}
	if err := fsx.WriteFile(keys, step.Kept, r.raw, 0o644); err != nil {
		return err
	}
	s.roots[step.Of] = append(s.roots[step.Of], r)
	return s.Publish()
}

// Publish writes the vendor's signing keys of the newest root as PEM, for OpenSSL and cosign, where they are not there.
func (s *Store) Publish() error {
	r, err := s.newest(Oem)
	if err != nil {
		return nil
	}
	keys, err := os.OpenRoot(s.dir)
	if err != nil {
		return fsx.Classify(err, "opening", s.dir)
	}
	defer keys.Close()
	want := r.pem()
	if have, err := fsx.ReadFile(keys, keyFile, int64(len(want))); err == nil && bytes.Equal(have, want) {
		return nil
	}
	return fsx.WriteFile(keys, keyFile, want, 0o644)
}

// PublishedKeys are the PEM files that this program may have published: of the newest root and, while a rotation is at work or was
// interrupted, of one before.
func (s *Store) PublishedKeys() [][]byte {
	var out [][]byte
	for _, r := range slices.Backward(s.roots[Oem]) {
		out = append(out, r.pem())
	}
	return out
}

func (r *root) pem() []byte {
	var out []byte
	for _, k := range r.roles[RoleTargets].keys {
		out = append(out, k.PEM()...)
	}
	return out
}

// loadRevocations reads the lists that are kept. Each was proven when it was taken, by the newest root of that time: any kept root
// may prove it here, the newest first.
func (s *Store) loadRevocations() error {
	keys, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fsx.Classify(err, "opening", s.dir)
	}
	defer keys.Close()
	for _, of := range []Root{Oem, Site} {
		name := KeptRevocations(of)
		raw, err := readOffer(keys, name, MaxRevocationsSize, invalid)
		if err != nil {
			return err
		}
		if raw == nil {
			continue
		}
		if err := s.keep(of, raw); err != nil {
			return invalid("revocation list %q: %w", name, err).With("path", name)
		}
	}
	return nil
}

// keep takes a list that any version of the root proves.
func (s *Store) keep(of Root, raw []byte) error {
	err := noRoot(of)
	for _, r := range slices.Backward(s.roots[of]) {
		var v *Revocations
		if v, err = r.revocations(of, raw, nil); err == nil {
			s.revoked[of] = &kept{v: v, raw: raw}
			return nil
		}
	}
	return err
}

// kept is a revocation list with its bytes.
type kept struct {
	v   *Revocations
	raw []byte
}

func (k *kept) list() *Revocations {
	if k == nil {
		return nil
	}
	return k.v
}
