package verify

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"sluice/bundle"
	"sluice/internal/fault"
)

// tree is every file of a folder with its bytes.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sparse makes a file of a size that nobody would read to its end.
func sparse(t testing.TB, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(size)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rawList signs whatever predicate it is given as a revocation list, byte for byte, which our own signer would not.
func rawList(t testing.TB, predicate string, signers ...string) []byte {
	t.Helper()
	payload := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":%q,"digest":{"sha256":"%x","sha384":"%x"}}],"predicateType":%q,"predicate":%s}`,
		revocationsSubject, sha256.Sum256([]byte(predicate)), sha512.Sum384([]byte(predicate)), bundle.TypeRevocations, predicate)
	var sigs []string
	for _, key := range privates(signers...) {
		sig := ed25519.Sign(key, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(bundle.PayloadType), bundle.PayloadType, len(payload), payload))
		sigs = append(sigs, fmt.Sprintf(`{"keyid":"","sig":%q}`, base64.StdEncoding.EncodeToString(sig)))
	}
	return fmt.Appendf(nil, `{"payload":%q,"payloadType":%q,"signatures":[%s]}`, base64.StdEncoding.EncodeToString(payload), bundle.PayloadType, strings.Join(sigs, ","))
}

// Threat 2: what somebody who may write a stick, or holds less than a quorum of the keys, tries on the lists of a machine. The
// machine has the vendor's list number 2 (two of r1, r2, r3 change it), the site's number 1 (one of s1, r1) and the vendor's
// revocation list number 4. Each is refused with its own code, or passed over, within two seconds; nothing is kept of any.
func TestThreat2AttackersList(t *testing.T) {
	s, one := quorumOfTwo(t)
	two := next(t, one, RootChange{Expires: expiry.AddDate(1, 0, 0)}, "r1", "r2")
	site := newRoot(t, RootOptions{Of: Site, RootKeys: publics(t, "s1", "r1"), RootThreshold: 1, TargetsKeys: publics(t, "s1"), TargetsThreshold: 1, Expires: expiry, Signers: privates("s1")})
	if err := s.Place(Site, site, Fingerprint(site)); err != nil {
		t.Fatal(err)
	}
	four := list(t, Oem, 4, []string{"t9"}, nil, "r1", "r2")
	if _, err := take(t, s, medium(t, map[string][]byte{"2.root.json": two, "revocations.json": four})); err != nil {
		t.Fatal(err)
	}
	kept := tree(t, s.dir)

	add := func(name string) RootChange { return RootChange{AddTargets: publics(t, name)} }
	three := next(t, two, add("a1"), "r1", "r2")
	stranger := newRoot(t, RootOptions{Of: Oem, RootKeys: publics(t, "x1", "x2"), RootThreshold: 1, TargetsKeys: publics(t, "x1"), TargetsThreshold: 1, Expires: expiry, Signers: privates("x1")})
	strange2 := next(t, stranger, RootChange{}, "x1")
	strange3 := next(t, strange2, add("x2"), "x1", "x2")
	edit := func(raw []byte, old, new string) []byte {
		out := bytes.Replace(raw, []byte(old), []byte(new), 1)
		if bytes.Equal(out, raw) {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	// made is a next list as another program makes it, with whatever in it, signed by the quorum.
	made := func(change func(*metadata.RootType)) []byte {
		return tufRoot(t, func(m *metadata.Metadata[metadata.RootType]) {
			m.Signed.Version = 3
			m.Signed.UnrecognizedFields = map[string]any{"x_sluice_root": "oem"}
			change(&m.Signed)
		}, "r1", "r2")
	}
	id := func(name string) string {
		k, err := tufID(public(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	files := func(pairs ...any) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			for i := 0; i < len(pairs); i += 2 {
				if err := os.WriteFile(filepath.Join(dir, pairs[i].(string)), pairs[i+1].([]byte), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const rest = `"root":"oem","issued":"2026-12-01T00:00:00Z"`
	good := `{"keys":[{"key_id":"` + public(t, "t9").ID() + `","reason":"leaked"}]`
	for name, c := range map[string]struct {
		put  func(t *testing.T, dir string)
		code fault.Code // empty: passed over
		text string
	}{
		// Lists of trusted keys.
		"two next lists, both signed":          {files("3.root.json", three, "oem.3.root.json", next(t, two, add("a2"), "r1", "r3")), fault.TrustFork, "version 3"},
		"another vendor's next list":           {files("3.root.json", strange3), fault.TrustInvalid, "quorum of version 2"},
		"another vendor's beside a draft":      {files("3.root.json", strange3, "oem.3.root.json", next(t, two, add("a1"), "r1")), fault.TrustInvalid, "quorum of version 2"},
		"another vendor's under a kept number": {files("1.root.json", stranger, "2.root.json", strange2, "oem.1.root.json", stranger), "", ""},
		"another signed one under a kept one":  {files("2.root.json", next(t, one, RootChange{}, "r1", "r3")), "", ""},
		"one stolen key":                       {files("3.root.json", next(t, two, add("x1"), "r1")), fault.TrustInvalid, "quorum of version 2"},
		"one stolen key, threshold lowered":    {files("3.root.json", next(t, two, RootChange{RootThreshold: 1, AddTargets: publics(t, "x1")}, "r1")), fault.TrustInvalid, "quorum of version 2"},
		"the vendor's as the site's":           {files("site.2.root.json", edit(two, `"x_sluice_root": "oem"`, `"x_sluice_root": "site"`)), fault.TrustInvalid, "quorum of version 1"},
		"the site's next, said to be nobody's": {files("site.2.root.json", tufRoot(t, func(m *metadata.Metadata[metadata.RootType]) { m.Signed.Version = 2 }, "r1")), fault.TrustInvalid, `version 1 said "site"`},
		"the site's next by its name only":     {files("site.3.root.json", three), fault.TrustInvalid, `its name says "site"`},
		"two skipped":                          {files("5.root.json", made(func(r *metadata.RootType) { r.Version = 5 })), fault.TrustStep, "version 3 is missing"},
		"numbers beyond what is looked for":    {files("40.root.json", []byte("garbage"), "999999999999999999999.root.json", []byte("garbage")), "", ""},
		"largest number under the next name":   {files("3.root.json", made(func(r *metadata.RootType) { r.Version = 1<<53 - 1 })), fault.TrustInvalid, "holds version 9007199254740991"},
		"number that overflows":                {files("3.root.json", edit(made(func(*metadata.RootType) {}), `"version":3`, `"version":18446744073709551619`)), fault.TrustInvalid, ""},
		"threshold counts one key, two ids": {files("3.root.json", made(func(r *metadata.RootType) {
			r.Keys["aa"] = r.Keys[id("t1")]
			r.Roles[RoleTargets].KeyIDs = []string{id("t1"), "aa"}
			r.Roles[RoleTargets].Threshold = 2
		})), fault.TrustInvalid, "id"},
		"threshold counts one id twice": {files("3.root.json", made(func(r *metadata.RootType) {
			r.Roles[RoleTargets].KeyIDs = []string{id("t1"), id("t1")}
			r.Roles[RoleTargets].Threshold = 2
		})), fault.TrustInvalid, "twice"},
		"threshold 0":                   {files("3.root.json", made(func(r *metadata.RootType) { r.Roles[RoleTargets].Threshold = 0 })), fault.TrustInvalid, "threshold 0"},
		"threshold that nobody reaches": {files("3.root.json", made(func(r *metadata.RootType) { r.Roles[RoleTargets].Threshold = 3 })), fault.TrustInvalid, "could never sign"},
		"a key that anyone signs for":   {files("3.root.json", made(func(r *metadata.RootType) { addWeak(t, r) })), fault.KeyWeak, ""},
		"65 keys": {files("3.root.json", made(func(r *metadata.RootType) {
			for i := range 65 {
				addKey(t, r, fmt.Sprint("k", i))
			}
		})), fault.TrustInvalid, "keys"},
		"65 signatures":                         {files("3.root.json", edit(three, `"signatures": [`, `"signatures": [`+strings.Repeat(`{"keyid":"a","sig":""},`, 65))), fault.TrustInvalid, ""},
		"nested beyond measure":                 {files("3.root.json", []byte(strings.Repeat(`{"signed":`, 6000))), fault.TrustInvalid, ""},
		"8 GiB":                                 {func(t *testing.T, dir string) { sparse(t, filepath.Join(dir, "3.root.json"), 8<<30) }, fault.TrustInvalid, "longer than"},
		"a folder":                              {func(t *testing.T, dir string) { os.Mkdir(filepath.Join(dir, "3.root.json"), 0o755) }, fault.TrustInvalid, "no regular file"},
		"thousands of lists that do not follow": {manyRoots, fault.TrustInvalid, "3.root.json"},
		"thousands of other names": {func(t *testing.T, dir string) {
			for i := range 2000 {
				files(fmt.Sprintf("%d.root.json.old", i), []byte("x"))(t, dir)
			}
		}, "", ""},
		// Revocation lists.
		"revocations: same number, other keys":    {files("revocations.json", list(t, Oem, 4, []string{"t9", "t1"}, nil, "r1", "r2")), fault.RevocationsInvalid, "number 4, want more than 4"},
		"revocations: two with the next number":   {files("revocations.json", list(t, Oem, 5, []string{"t9", "a1"}, nil, "r1", "r2"), "oem.revocations.json", list(t, Oem, 5, []string{"t9", "a2"}, nil, "r1", "r3")), fault.RevocationsInvalid, "number 5, want more than 5"},
		"revocations: an older list":              {files("revocations.json", list(t, Oem, 3, nil, nil, "r1", "r2")), "", ""},
		"revocations: a key left out":             {files("revocations.json", list(t, Oem, 5, []string{"t1"}, nil, "r1", "r2")), fault.RevocationsInvalid, "nothing ever leaves"},
		"revocations: one stolen key":             {files("revocations.json", list(t, Oem, 5, []string{"t9", "r2"}, nil, "r1")), fault.SignatureThreshold, ""},
		"revocations: another vendor's":           {files("revocations.json", list(t, Oem, 5, []string{"t9"}, nil, "x1", "x2")), fault.SignatureUntrusted, ""},
		"revocations: by who signs bundles":       {files("revocations.json", list(t, Oem, 5, []string{"t9"}, nil, "t1")), fault.SignatureUntrusted, ""},
		"revocations: the site's as the vendor's": {files("oem.revocations.json", list(t, Site, 5, []string{"t9"}, nil, "r1", "r2")), fault.RevocationsInvalid, `is a revocation list of "site"`},
		"revocations: the vendor's as the site's": {files("site.revocations.json", list(t, Oem, 5, []string{"t9"}, nil, "r1", "r2")), fault.RevocationsInvalid, `is a revocation list of "oem"`},
		"revocations: a signature of a bundle":    {files("revocations.json", statement(t, manifestOf(t, nil), nil, "r1", "r2")), fault.SignatureType, ""},
		"revocations: number 0":                   {files("revocations.json", rawList(t, good+`,"manifests":[],"number":0,`+rest+`,"schema":"sluice-revocations/1"}`, "r1", "r2")), fault.RevocationsInvalid, "number 0"},
		"revocations: number that overflows":      {files("revocations.json", rawList(t, good+`,"manifests":[],"number":18446744073709551621,`+rest+`,"schema":"sluice-revocations/1"}`, "r1", "r2")), fault.SignatureInvalid, "RFC 8785"},
		"revocations: number twice":               {files("revocations.json", rawList(t, good+`,"manifests":[],"number":5,"number":6,`+rest+`,"schema":"sluice-revocations/1"}`, "r1", "r2")), fault.SignatureInvalid, ""},
		"revocations: a date of no calendar":      {files("revocations.json", rawList(t, good+`,"manifests":[],"number":5,"root":"oem","issued":"2026-02-30T00:00:00Z","schema":"sluice-revocations/1"}`, "r1", "r2")), fault.RevocationsInvalid, "2026-02-30"},
		"revocations: 4097 bundles":               {files("revocations.json", rawList(t, good+`,"manifests":[`+manyManifests(maxRevoked+1)+`],"number":5,`+rest+`,"schema":"sluice-revocations/1"}`, "r1", "r2")), fault.RevocationsInvalid, "4097 bundles"},
		"revocations: 8 GiB":                      {func(t *testing.T, dir string) { sparse(t, filepath.Join(dir, "revocations.json"), 8<<30) }, fault.RevocationsInvalid, "longer than"},
		"revocations: a folder":                   {func(t *testing.T, dir string) { os.Mkdir(filepath.Join(dir, "site.revocations.json"), 0o755) }, fault.RevocationsInvalid, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.put(t, dir)
			began := time.Now()
			steps, err := take(t, s, dir)
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("took %v", d)
			}
			if len(steps) != 0 {
				t.Errorf("taken: %+v", steps)
			}
			if c.code == "" && err != nil {
				t.Error(err)
			}
			if c.code != "" {
				wantCode(t, err, c.code, c.text)
			}
			if tree(t, s.dir) != kept {
				t.Error("what is kept has changed")
			}
		})
	}
	// A bundle of the other vendor, who lies on the medium under a kept number, is nobody's.
	m := manifestOf(t, nil)
	_, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "x1")), History{})
	wantCode(t, err, fault.SignatureUntrusted, "")
	// Copies of one list that different holders signed are no fork.
	if steps, err := take(t, s, medium(t, map[string][]byte{"3.root.json": three, "oem.3.root.json": next(t, two, add("a1"), "r2", "r3")})); err != nil || len(steps) != 1 {
		t.Errorf("%+v, %v", steps, err)
	}
}

func addKey(t testing.TB, r *metadata.RootType, name string) {
	t.Helper()
	key, err := tufKey(public(t, name))
	if err == nil {
		err = r.AddKey(key, RoleTargets)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func addWeak(t testing.TB, r *metadata.RootType) {
	t.Helper()
	k := &metadata.Key{Type: "ed25519", Scheme: "ed25519", Value: metadata.KeyVal{PublicKey: "01" + strings.Repeat("00", 31)}}
	if err := r.AddKey(k, RoleTargets); err != nil {
		t.Fatal(err)
	}
}

func manyRoots(t *testing.T, dir string) {
	for n := 3; n < 2000; n++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.root.json", n)), []byte(`{"signed":{}}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func manyManifests(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"reason":"x","sha384":"%096x"}`, i+1)
	}
	return b.String()[1:]
}
