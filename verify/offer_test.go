package verify

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"sluice/bundle"
	"sluice/internal/fault"
)

// medium is a folder with files, as a stick is.
func medium(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, raw := range files {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// take does what an installation does with a medium, on disk.
func take(t testing.TB, s *Store, dirs ...string) ([]Step, error) {
	t.Helper()
	offers, err := s.Look(dirs)
	if err != nil {
		return nil, err
	}
	_, steps, err := s.Advance(offers)
	for _, step := range steps {
		if err := s.Keep(step); err != nil {
			t.Fatal(err)
		}
	}
	return steps, err
}

// next drafts what follows a root file and signs it.
func next(t testing.TB, previous []byte, c RootChange, signers ...string) []byte {
	t.Helper()
	raw, err := NextRoot(previous, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range signers {
		if raw, err = SignRoot(raw, previous, seeded(name)); err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

func newestFile(t testing.TB, s *Store) []byte {
	t.Helper()
	raw, err := s.RootFile(Oem, 0)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// quorumOfTwo is a store whose root wants two of r1, r2, r3; bundles are signed by t1.
func quorumOfTwo(t testing.TB) (*Store, []byte) {
	t.Helper()
	raw := newRoot(t, RootOptions{Of: Oem, RootKeys: publics(t, "r1", "r2", "r3"), RootThreshold: 2, TargetsKeys: publics(t, "t1"), TargetsThreshold: 1,
		Expires: expiry, Signers: privates("r1", "r2")})
	s, err := OpenStore(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Place(Oem, raw, Fingerprint(raw)); err != nil {
		t.Fatal(err)
	}
	return s, raw
}

// TestTUF53 holds one sub-test for each rule of TUF 1.0, section 5.3 (update the root role).
func TestTUF53(t *testing.T) {
	swap := func(t *testing.T) RootChange {
		return RootChange{RemoveRoot: publics(t, "r1", "r2"), AddRoot: publics(t, "n1", "n2")}
	}
	refused := func(t *testing.T, s *Store, text string, files map[string][]byte) {
		t.Helper()
		before := newestFile(t, s)
		steps, err := take(t, s, medium(t, files))
		if err == nil || len(steps) > 0 || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, %v, want an error with %q", steps, err, text)
		}
		again, err := OpenStore(s.dir)
		if err != nil || !bytes.Equal(newestFile(t, again), before) {
			t.Errorf("the kept root changed: %v", err)
		}
	}
	t.Run("5.3.2 N is the version of the trusted root", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		if s.Version(Oem) != 1 {
			t.Error(s.Version(Oem))
		}
		two := next(t, one, RootChange{}, "r1", "r3")
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two})); err != nil || s.Version(Oem) != 2 {
			t.Errorf("version %d, %v", s.Version(Oem), err)
		}
	})
	t.Run("5.3.3 version N+1 is looked for by its name", func(t *testing.T) {
		for _, name := range []string{"2.root.json", "oem.2.root.json"} {
			s, one := quorumOfTwo(t)
			two := next(t, one, RootChange{}, "r1", "r2")
			if steps, err := take(t, s, medium(t, map[string][]byte{name: two})); err != nil || len(steps) != 1 || steps[0].Number != 2 {
				t.Errorf("%s: %+v, %v", name, steps, err)
			}
		}
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{}, "r1", "r2")
		if steps, err := take(t, s, medium(t, map[string][]byte{"root.json": two, "02.root.json": two, "2.root.json.bak": two})); err != nil || len(steps) != 0 {
			t.Errorf("other names: %+v, %v", steps, err)
		}
	})
	t.Run("5.3.3 at most W bytes are read", func(t *testing.T) {
		s, _ := quorumOfTwo(t)
		refused(t, s, "bytes", map[string][]byte{"2.root.json": bytes.Repeat([]byte(" "), MaxRootSize+1)})
	})
	t.Run("5.3.3 when N+1 is not available the trusted root stays", func(t *testing.T) {
		s, _ := quorumOfTwo(t)
		if steps, err := take(t, s, t.TempDir()); err != nil || len(steps) != 0 || s.Version(Oem) != 1 {
			t.Errorf("%+v, %v", steps, err)
		}
	})
	t.Run("5.3.4 arbitrary software attack: threshold of version N", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		refused(t, s, "quorum of version 1", map[string][]byte{"2.root.json": next(t, one, swap(t), "r1", "n1", "n2")})
		refused(t, s, "quorum of version 1", map[string][]byte{"2.root.json": next(t, one, swap(t), "n1", "n2")})
		refused(t, s, "quorum of version 1", map[string][]byte{"2.root.json": next(t, one, RootChange{})})
	})
	t.Run("5.3.4 arbitrary software attack: threshold of version N+1", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		refused(t, s, "quorum of version 2", map[string][]byte{"2.root.json": next(t, one, swap(t), "r1", "r2", "n1")})
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": next(t, one, swap(t), "r1", "r2", "n1", "n2")})); err != nil {
			t.Errorf("both quorums: %v", err)
		}
	})
	t.Run("5.3.4 one key counts once", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{}, "r1")
		id, _ := tufID(public(t, "r1"))
		other, _ := tufID(public(t, "r2"))
		twice := bytes.Replace(two, []byte(`"signatures": [`), fmt.Appendf(nil, `"signatures": [{"keyid":%q,"sig":%q},`, other, sigOf(t, two, id)), 1)
		if bytes.Equal(two, twice) {
			t.Fatal("not edited")
		}
		refused(t, s, "quorum of version 1", map[string][]byte{"2.root.json": twice})
	})
	t.Run("5.3.4 one changed byte", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{}, "r1", "r2")
		refused(t, s, "quorum of version 1", map[string][]byte{"2.root.json": bytes.Replace(two, []byte("2031"), []byte("2039"), 1)})
	})
	t.Run("5.3.5 rollback attack: the version is exactly N+1", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{}, "r1", "r2")
		three := next(t, two, RootChange{}, "r1", "r2")
		refused(t, s, "holds version 3", map[string][]byte{"2.root.json": three})
		refused(t, s, "holds version 1", map[string][]byte{"2.root.json": one})
		refused(t, s, "version 2 is missing", map[string][]byte{"3.root.json": three})
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two, "3.root.json": three})); err != nil || s.Version(Oem) != 3 {
			t.Fatalf("version %d, %v", s.Version(Oem), err)
		}
		// An old medium changes nothing, whatever lies on it under a number that is kept.
		other := next(t, one, RootChange{Expires: expiry.AddDate(1, 0, 0)}, "r1", "r2")
		if steps, err := take(t, s, medium(t, map[string][]byte{"1.root.json": one, "2.root.json": other})); err != nil || len(steps) != 0 || s.Version(Oem) != 3 {
			t.Errorf("%+v, %v", steps, err)
		}
	})
	t.Run("5.3.6 an expired intermediate root does not matter", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{Expires: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, "r1", "r2")
		three := next(t, two, RootChange{Expires: expiry}, "r1", "r2")
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two, "3.root.json": three})); err != nil {
			t.Fatal(err)
		}
		m := manifestOf(t, nil)
		if _, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "t1")), History{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("5.3.7 the new root is the trusted one", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{RemoveTargets: publics(t, "t1"), AddTargets: publics(t, "t9")}, "r1", "r2")
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two})); err != nil {
			t.Fatal(err)
		}
		m := manifestOf(t, nil)
		_, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "t1")), History{})
		wantCode(t, err, fault.SignatureUntrusted, "")
		if _, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "t9")), History{}); err != nil {
			t.Error(err)
		}
		if _, err := s.AuthenticateInstalled(m, statement(t, m, nil, "t1"), 1, History{}); err != nil {
			t.Errorf("what is installed stays valid: %v", err)
		}
	})
	t.Run("5.3.8 the root is persisted", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{RemoveTargets: publics(t, "t1"), AddTargets: publics(t, "t9")}, "r1", "r2")
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two})); err != nil {
			t.Fatal(err)
		}
		again, err := OpenStore(s.dir)
		if err != nil || again.Version(Oem) != 2 || !bytes.Equal(newestFile(t, again), two) {
			t.Fatalf("version %d, %v", again.Version(Oem), err)
		}
		first, err := again.RootFile(Oem, 1)
		if err != nil || !bytes.Equal(first, one) {
			t.Errorf("version 1 is not kept: %v", err)
		}
		if pem, err := os.ReadFile(filepath.Join(s.dir, keyFile)); err != nil || !bytes.Equal(pem, public(t, "t9").PEM()) {
			t.Errorf("published key: %s, %v", pem, err)
		}
	})
	t.Run("5.3.9 repeated until the newest, each by the one before", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, swap(t), "r1", "r2", "n1", "n2")
		three := next(t, two, RootChange{}, "n1", "n2")
		files := map[string][]byte{"2.root.json": two, "3.root.json": three}
		for n, last := 4, three; n <= 40; n++ {
			last = next(t, last, RootChange{}, "n1", "n2")
			files[fmt.Sprintf("%d.root.json", n)] = last
		}
		steps, err := take(t, s, medium(t, files))
		if err != nil || len(steps) != maxAhead || s.Version(Oem) != 1+maxAhead { // the rest comes with the next look
			t.Errorf("%d steps to version %d, %v", len(steps), s.Version(Oem), err)
		}
		if _, err := take(t, s, medium(t, files)); err != nil || s.Version(Oem) != 40 {
			t.Errorf("version %d, %v", s.Version(Oem), err)
		}
		// Holders that a later root dropped sign nothing more.
		refused(t, s, "quorum of version 40", map[string][]byte{"41.root.json": tufRoot(t, func(m *metadata.Metadata[metadata.RootType]) { m.Signed.Version = 41 }, "r1", "r2")})
	})
	t.Run("5.3.10 freeze attack: the trusted root has not expired", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{Expires: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}, "r1", "r2")
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two})); err != nil {
			t.Fatal(err)
		}
		m := manifestOf(t, nil) // created in November
		_, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "t1")), History{})
		wantCode(t, err, fault.TrustExpired, "2026-10-01")
		// "On the next update cycle" it goes on from version N.
		three := next(t, two, RootChange{Expires: expiry}, "r1", "r2")
		if _, err := take(t, s, medium(t, map[string][]byte{"3.root.json": three})); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "t1")), History{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("5.3.11 and 5.3.12 timestamp, snapshot and consistent snapshots are not used", func(t *testing.T) {
		s, one := quorumOfTwo(t)
		two := next(t, one, RootChange{}, "r1", "r2")
		yes := true
		other := tufRoot(t, func(m *metadata.Metadata[metadata.RootType]) { m.Signed.ConsistentSnapshot = yes }, "r1")
		if err := place(t, Oem, other); err != nil {
			t.Errorf("consistent_snapshot: %v", err)
		}
		if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two, "timestamp.json": []byte("{"), "snapshot.json": []byte("{")})); err != nil {
			t.Error(err)
		}
	})
}

// sigOf is the signature under a key id.
func sigOf(t testing.TB, raw []byte, id string) string {
	t.Helper()
	m, err := metadata.Root().FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Signatures {
		if s.KeyID == id {
			return s.Signature.String()
		}
	}
	t.Fatal("no such signature")
	return ""
}

func TestOffersThatAreNone(t *testing.T) {
	s, one := quorumOfTwo(t)
	two := next(t, one, RootChange{}, "r1", "r2")
	site := newRoot(t, RootOptions{Of: Site, RootKeys: publics(t, "s"), RootThreshold: 1, TargetsKeys: publics(t, "s"), TargetsThreshold: 1, Expires: expiry, Signers: privates("s")})
	for name, c := range map[string]struct {
		files map[string][]byte
		code  fault.Code
	}{
		"garbage":                {map[string][]byte{"2.root.json": []byte("{}")}, fault.TrustInvalid},
		"site's under our name":  {map[string][]byte{"oem.2.root.json": next(t, site, RootChange{}, "s")}, fault.TrustInvalid},
		"ours under site's name": {map[string][]byte{"site.2.root.json": two}, fault.TrustInvalid},
		"list of nothing":        {map[string][]byte{"revocations.json": []byte("{}")}, fault.SignatureInvalid},
		"list that is a root":    {map[string][]byte{"revocations.json": two}, fault.SignatureInvalid},
	} {
		_, err := take(t, s, medium(t, c.files))
		if fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v (%s)", name, err, fault.CodeOf(err))
		}
	}
	// Of a root that no person placed here, nothing is taken; nor through a link.
	if steps, err := take(t, s, medium(t, map[string][]byte{"site.1.root.json": site, "site.2.root.json": next(t, site, RootChange{}, "s")})); err != nil || len(steps) != 0 {
		t.Errorf("%+v, %v", steps, err)
	}
	dir, target := t.TempDir(), medium(t, map[string][]byte{"x": two})
	if err := os.Symlink(filepath.Join(target, "x"), filepath.Join(dir, "2.root.json")); err == nil {
		_, err := take(t, s, dir)
		wantCode(t, err, fault.TrustInvalid, "no regular file")
	}
	// Two folders, one with a draft that is not complete: the complete one is taken.
	if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": next(t, one, RootChange{}, "r1")}), medium(t, map[string][]byte{"2.root.json": two})); err != nil || s.Version(Oem) != 2 {
		t.Errorf("version %d, %v", s.Version(Oem), err)
	}
}

// list makes a signed revocation list.
func list(t testing.TB, of Root, number int, keys []string, manifests []bundle.Digest, signers ...string) []byte {
	t.Helper()
	v := &Revocations{Schema: RevocationsSchema, Root: of, Number: number, Issued: "2026-12-01T00:00:00Z", Keys: []RevokedKey{}, Manifests: []RevokedManifest{}}
	for _, k := range keys {
		v.Keys = append(v.Keys, RevokedKey{KeyID: public(t, k).ID(), Reason: "leaked"})
	}
	for _, m := range manifests {
		v.Manifests = append(v.Manifests, RevokedManifest{SHA384: m, Reason: "wrong"})
	}
	raw, err := SignRevocations(v, privates(signers...)...)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Threat 2: signed by a revoked key, and what was taken before the revocation.
func TestThreat2RevokedKeysAndBundles(t *testing.T) {
	s := oemStore(t, 1)
	m := manifestOf(t, nil)
	one, two := statement(t, m, nil, "t1"), statement(t, m, nil, "t1", "t2")
	judge := func(sig []byte) error {
		_, err := s.Authenticate(context.Background(), openBundle(t, m, sig), History{})
		return err
	}
	if _, err := take(t, s, medium(t, map[string][]byte{"revocations.json": list(t, Oem, 3, []string{"t1"}, nil, "r1")})); err != nil {
		t.Fatal(err)
	}
	wantCode(t, judge(one), fault.Revoked, "leaked")
	if err := judge(two); err != nil {
		t.Errorf("the quorum stands without the revoked key: %v", err)
	}
	a, err := s.AuthenticateInstalled(m, one, 1, History{})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.CheckRevoked(a), fault.Revoked, "number 3")
	again, err := OpenStore(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, again.CheckRevoked(a), fault.Revoked, "leaked")

	// The number only rises, and nothing leaves the list.
	for name, c := range map[string]struct {
		raw  []byte
		code fault.Code // empty: nothing new
	}{
		"lower number":    {list(t, Oem, 2, []string{"t2"}, nil, "r1"), ""},
		"the same again":  {list(t, Oem, 3, []string{"t1"}, nil, "r2"), ""},
		"same number":     {list(t, Oem, 3, []string{"t1", "t2"}, nil, "r1"), fault.RevocationsInvalid},
		"key left out":    {list(t, Oem, 4, []string{"t2"}, nil, "r1"), fault.RevocationsInvalid},
		"by targets":      {list(t, Oem, 4, []string{"t1", "t2"}, nil, "t2"), fault.SignatureUntrusted},
		"by a stranger":   {list(t, Oem, 4, []string{"t1"}, nil, "x"), fault.SignatureUntrusted},
		"of the site":     {list(t, Site, 4, []string{"t1"}, nil, "r1"), fault.RevocationsInvalid},
		"one byte edited": {bytes.Replace(list(t, Oem, 4, []string{"t1"}, nil, "r1"), []byte(`"sig":"`), []byte(`"sig":"A`), 1), fault.SignatureInvalid},
	} {
		steps, err := take(t, s, medium(t, map[string][]byte{"revocations.json": c.raw}))
		if len(steps) != 0 || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", name, steps, err)
		}
	}
	d := a.ManifestSHA384()
	steps, err := take(t, s, medium(t, map[string][]byte{"oem.revocations.json": list(t, Oem, 9, []string{"t1", "r1"}, []bundle.Digest{d}, "r1")}))
	if err != nil || len(steps) != 1 || steps[0].Number != 9 || steps[0].Issued.Format(time.DateOnly) != "2026-12-01" {
		t.Fatalf("%+v, %v", steps, err)
	}
	wantCode(t, judge(two), fault.Revoked, "wrong")
	wantCode(t, s.RevokedManifest(d), fault.Revoked, "wrong")
	// A revoked holder neither revokes nor rotates any more.
	_, err = take(t, s, medium(t, map[string][]byte{"revocations.json": list(t, Oem, 10, []string{"t1", "r1"}, []bundle.Digest{d}, "r1")}))
	wantCode(t, err, fault.Revoked, "")
	file := newestFile(t, s)
	_, err = take(t, s, medium(t, map[string][]byte{"2.root.json": next(t, file, RootChange{}, "r1")}))
	wantCode(t, err, fault.Revoked, "")
	if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": next(t, file, RootChange{RemoveRoot: publics(t, "r1")}, "r2")})); err != nil {
		t.Errorf("the holder that is left rotates the leaked key away: %v", err)
	}
}

// A list and the root that changes its signers travel on one medium: the list is judged as soon as one of them proves it.
func TestListBesideTheRootThatDropsItsSigner(t *testing.T) {
	for _, signer := range []string{"r1", "n1"} {
		s := oemStore(t, 1)
		two := next(t, newestFile(t, s), RootChange{RemoveRoot: publics(t, "r1", "r2"), AddRoot: publics(t, "n1")}, "r1", "n1")
		steps, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two, "revocations.json": list(t, Oem, 1, []string{"t1"}, nil, signer)}))
		if err != nil || len(steps) != 2 {
			t.Errorf("%s: %+v, %v", signer, steps, err)
		}
		if _, err := OpenStore(s.dir); err != nil {
			t.Errorf("%s: %v", signer, err)
		}
	}
}

// The date of a list is evidence of time, but one written too late by mistake poisons no later root.
func TestListDatePoisonsNothing(t *testing.T) {
	s := oemStore(t, 1)
	v, err := NextRevocations(Oem, nil, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), []RevokedKey{{KeyID: public(t, "t2").ID(), Reason: "x"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := SignRevocations(v, seeded("r1"))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := take(t, s, medium(t, map[string][]byte{"revocations.json": raw}))
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if steps[0].Issued != expiry.Add(time.Second) || s.CheckExpired(Oem, steps[0].Issued) == nil {
		t.Errorf("evidence %v", steps[0].Issued)
	}
	if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": next(t, newestFile(t, s), RootChange{Expires: expiry.AddDate(5, 0, 0)}, "r1")})); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckExpired(Oem, steps[0].Issued); err != nil {
		t.Error(err)
	}
}

// Several people on several machines: copies signed apart are joined.
func TestCeremonyApart(t *testing.T) {
	s, one := quorumOfTwo(t)
	c := RootChange{RemoveRoot: publics(t, "r3"), AddRoot: publics(t, "n1"), AddTargets: publics(t, "t2"), TargetsThreshold: 2}
	draft := next(t, one, c)
	own, old, err := RootQuorums(draft, one)
	if err != nil || own.Have != 0 || own.Want != 2 || old.Want != 2 || len(old.Absent) != 3 {
		t.Fatalf("%+v %+v %v", own, old, err)
	}
	a, b := next(t, one, c, "r3"), next(t, one, c, "n1", "r1")
	both, err := MergeRoot(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if own, old, err = RootQuorums(both, one); err != nil || !own.Reached() || !old.Reached() || own.Have != 2 || old.Have != 2 {
		t.Errorf("%+v %+v %v", own, old, err)
	}
	if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": both})); err != nil {
		t.Error(err)
	}
	_, err = MergeRoot(a, next(t, one, RootChange{}, "r1"))
	wantCode(t, err, fault.TrustInvalid, "contents differ")
	_, err = SignRoot(draft, nil, seeded("r3")) // without the file before, only holders of the draft itself
	wantCode(t, err, fault.KeyUnfit, "")
	_, err = SignRoot(draft, one, seeded("t1"))
	wantCode(t, err, fault.KeyUnfit, "")
	_, err = SignRoot(draft, both, seeded("r1"))
	wantCode(t, err, fault.TrustInvalid, "follows version 1")
	for name, bad := range map[string]RootChange{
		"key not there":  {RemoveRoot: publics(t, "x")},
		"key there":      {AddRoot: publics(t, "r1")},
		"below quorum":   {RemoveRoot: publics(t, "r1", "r2")},
		"threshold high": {TargetsThreshold: 2},
		"nobody left":    {RemoveTargets: publics(t, "t1")},
	} {
		if _, err := NextRoot(one, bad); fault.CodeOf(err) != fault.Spec {
			t.Errorf("%s: %v", name, err)
		}
	}
	env := list(t, Oem, 1, []string{"t1"}, nil, "r1")
	joined, err := bundle.MergeSignatures(env, list(t, Oem, 1, []string{"t1"}, nil, "r2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ids, err := ReadRevocations(joined); err != nil || len(ids) != 2 {
		t.Errorf("%v, %v", ids, err)
	}
	_, err = bundle.MergeSignatures(env, list(t, Oem, 2, []string{"t1"}, nil, "r2"))
	wantCode(t, err, fault.SignatureInvalid, "")
}

func FuzzRevocations(f *testing.F) {
	f.Add(list(f, Oem, 1, []string{"t1"}, []bundle.Digest{{1}}, "r1"))
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, ids, err := ReadRevocations(raw)
		if (v == nil) == (err == nil) || err != nil && ids != nil {
			t.Fatalf("%v %v %v", v, ids, err)
		}
	})
}

// FuzzRevocationList signs whatever predicate it is given: the parser must hold without a good signature's help.
func FuzzRevocationList(f *testing.F) {
	f.Add([]byte(`{"schema":"sluice-revocations/1","root":"oem","number":1,"issued":"2026-12-01T00:00:00Z","keys":[],"manifests":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if v, err := revocationsOf(&bundle.Statement{PredicateType: bundle.TypeRevocations, Predicate: raw,
			Subjects: []bundle.Subject{bundle.NewSubject(revocationsSubject, raw)}}); err == nil && v.Validate() != nil {
			t.Fatalf("%+v", v)
		}
	})
}
