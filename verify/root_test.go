package verify

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"sluice/internal/fault"
)

// tufRoot makes a root with go-tuf alone, as another program would: none of our checks.
func tufRoot(t testing.TB, change func(*metadata.Metadata[metadata.RootType]), signers ...string) []byte {
	t.Helper()
	m := metadata.Root(expiry)
	add := func(role, name string) {
		key, err := metadata.KeyFromPublicKey(seeded(name).Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	add(RoleRoot, "r1")
	add(RoleRoot, "r2")
	add(RoleTargets, "t1")
	add(RoleTargets, "t2")
	if change != nil {
		change(m)
	}
	for _, name := range signers {
		s, err := signature.LoadSigner(seeded(name), crypto.Hash(0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Sign(s); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := m.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func place(t testing.TB, of Root, raw []byte) error {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Place(of, raw, Fingerprint(raw))
	if _, serr := os.Stat(filepath.Join(dir, string(of), "1.root.json")); (serr == nil) != (err == nil) {
		t.Errorf("Place answers %v, the file: %v", err, serr)
	}
	return err
}

func TestPlaceAndReopen(t *testing.T) {
	s := oemStore(t, 2)
	if s.Has(Site) || !s.Has(Oem) {
		t.Error("Has")
	}
	site := newRoot(t, RootOptions{Of: Site, RootKeys: publics(t, "s"), RootThreshold: 1, TargetsKeys: publics(t, "s"), TargetsThreshold: 1, Expires: expiry, Signers: privates("s")})
	printed := strings.ToUpper(strings.ReplaceAll(Fingerprint(site), " ", "-"))
	if err := s.Place(Site, site, printed+"\n"); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStore(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	infos := again.Describe()
	if len(infos) != 2 || infos[0].Of != Oem || infos[0].TargetsThreshold != 2 || infos[0].First != infos[0].Fingerprint || len(infos[0].Keys) != 4 || infos[1].Keys[0].Roles[1] != RoleTargets {
		t.Errorf("%+v", infos)
	}
	if len(strings.Fields(infos[0].Fingerprint)) != 16 {
		t.Errorf("fingerprint %q", infos[0].Fingerprint)
	}
	pem, err := os.ReadFile(filepath.Join(s.dir, "oem_model_signing.pub"))
	if err != nil || !bytes.Equal(pem, append(public(t, "t1").PEM(), public(t, "t2").PEM()...)) {
		t.Errorf("oem_model_signing.pub: %v\n%s", err, pem)
	}
	wantCode(t, again.Place(Oem, site, Fingerprint(site)), fault.Exists, "already placed")
	fresh := &Store{dir: s.dir, roots: map[Root][]*root{}} // placed by another process meanwhile
	raw := newRoot(t, oemOptions(t, 1))
	wantCode(t, fresh.Place(Oem, raw, Fingerprint(raw)), fault.Exists, "already placed")
}

func TestRootOfOtherTUFToolsIsTaken(t *testing.T) {
	if err := place(t, Oem, tufRoot(t, nil, "r1")); err != nil {
		t.Error(err)
	}
}

func TestFingerprintMustMatch(t *testing.T) {
	raw := newRoot(t, oemOptions(t, 1))
	s, err := OpenStore(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	f := Fingerprint(raw)
	for name, given := range map[string]string{"empty": "", "half": f[:39], "last digit": f[:len(f)-1] + "x", "longer": f + " 0000", "other": Fingerprint([]byte("x"))} {
		err := s.Place(Oem, raw, given)
		wantCode(t, err, fault.TrustFingerprint, "")
		if s.Has(Oem) {
			t.Fatalf("%s: placed", name)
		}
	}
}

// Threat 3, first half: the parser refuses roots whose thresholds and keys do not hold.
func TestThreat3RootsThatDoNotHold(t *testing.T) {
	id := func(name string) string {
		k, err := tufID(public(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	type md = metadata.Metadata[metadata.RootType]
	for name, c := range map[string]struct {
		raw  []byte
		code fault.Code
		text string
	}{
		"threshold 0":         {tufRoot(t, func(m *md) { m.Signed.Roles[RoleTargets].Threshold = 0 }, "r1"), fault.TrustInvalid, "threshold 0"},
		"threshold -1":        {tufRoot(t, func(m *md) { m.Signed.Roles[RoleRoot].Threshold = -1 }, "r1"), fault.TrustInvalid, "threshold -1"},
		"threshold of nobody": {tufRoot(t, func(m *md) { m.Signed.Roles["snapshot"].Threshold = 0 }, "r1"), fault.TrustInvalid, "threshold 0"},
		"threshold too high":  {tufRoot(t, func(m *md) { m.Signed.Roles[RoleTargets].Threshold = 3 }, "r1"), fault.TrustInvalid, "could never sign"},
		"one of two signed":   {tufRoot(t, func(m *md) { m.Signed.Roles[RoleRoot].Threshold = 2 }, "r1"), fault.TrustInvalid, "not enough signatures"},
		"signed by others":    {tufRoot(t, nil, "t1"), fault.TrustInvalid, "not enough signatures"},
		"unsigned":            {tufRoot(t, nil), fault.TrustInvalid, "not enough signatures"},
		"signed twice by one": {tufRoot(t, func(m *md) { m.Signed.Roles[RoleRoot].Threshold = 2 }, "r1", "r1"), fault.TrustInvalid, "two signatures"},
		"one key under two ids": {tufRoot(t, func(m *md) {
			m.Signed.Keys["aa"] = m.Signed.Keys[id("r1")]
			m.Signed.Roles[RoleRoot].KeyIDs = []string{id("r1"), "aa"}
			m.Signed.Roles[RoleRoot].Threshold = 2
		}, "r1"), fault.TrustInvalid, "id"},
		"one key in two spellings": {tufRoot(t, func(m *md) {
			k := *m.Signed.Keys[id("r1")]
			k.Value.PublicKey = strings.ToUpper(k.Value.PublicKey)
			m.Signed.Keys["bb"] = &k
		}, "r1"), fault.TrustInvalid, ""},
		"key id twice in role": {tufRoot(t, func(m *md) { m.Signed.Roles[RoleRoot].KeyIDs = []string{id("r1"), id("r1")} }, "r1"), fault.TrustInvalid, "twice"},
		"key unknown":          {tufRoot(t, func(m *md) { m.Signed.Roles[RoleTargets].KeyIDs = []string{"cc"} }, "r1"), fault.TrustInvalid, "not among"},
		"no targets":           {tufRoot(t, func(m *md) { delete(m.Signed.Roles, RoleTargets) }, "r1"), fault.TrustInvalid, "no role"},
		"other role":           {tufRoot(t, func(m *md) { m.Signed.Roles["mirror"] = &metadata.Role{KeyIDs: []string{id("r1")}, Threshold: 1} }, "r1"), fault.TrustInvalid, "mirror"},
		"rsa key type":         {tufRoot(t, func(m *md) { m.Signed.Keys[id("t1")].Type = "rsa" }, "r1"), fault.TrustInvalid, "want ed25519"},
		"version 2":            {tufRoot(t, func(m *md) { m.Signed.Version = 2 }, "r1"), fault.TrustInvalid, "version 2"},
		"version 0":            {tufRoot(t, func(m *md) { m.Signed.Version = 0 }, "r1"), fault.TrustInvalid, "version 0"},
		"type":                 {tufRoot(t, func(m *md) { m.Signed.Type = "targets" }, "r1"), fault.TrustInvalid, "_type"},
		"spec":                 {tufRoot(t, func(m *md) { m.Signed.SpecVersion = "2.0" }, "r1"), fault.TrustInvalid, "spec_version"},
		"site's as oem's":      {newRoot(t, RootOptions{Of: Site, RootKeys: publics(t, "s"), RootThreshold: 1, TargetsKeys: publics(t, "s"), TargetsThreshold: 1, Expires: expiry, Signers: privates("s")}), fault.TrustInvalid, "of \"site\""},
		"no expiry":            {bytes.Replace(tufRoot(t, nil, "r1"), []byte(`"expires":"2031-01-01T00:00:00Z",`), nil, 1), fault.TrustInvalid, "expires"},
		"edited":               {bytes.Replace(tufRoot(t, nil, "r1"), []byte("2031"), []byte("2039"), 1), fault.TrustInvalid, "not enough signatures"},
		"duplicate member":     {bytes.Replace(tufRoot(t, nil, "r1"), []byte(`"version":1`), []byte(`"version":1,"version":1`), 1), fault.TrustInvalid, ""},
		"unknown member":       {bytes.Replace(tufRoot(t, nil, "r1"), []byte(`"version":1`), []byte(`"version":1,"extra":1`), 1), fault.TrustInvalid, ""},
		"other case":           {bytes.Replace(tufRoot(t, nil, "r1"), []byte(`"version":1`), []byte(`"Version":1`), 1), fault.TrustInvalid, ""},
		"null role":            {[]byte(`{"signed":{"_type":"root","spec_version":"1.0.31","version":1,"expires":"2031-01-01T00:00:00Z","keys":null,"roles":{"root":null}},"signatures":null}`), fault.TrustInvalid, ""},
		"trailing":             {append(tufRoot(t, nil, "r1"), " x"...), fault.TrustInvalid, ""},
		"empty":                {nil, fault.TrustInvalid, ""},
		"large":                {bytes.Repeat([]byte(" "), MaxRootSize+1), fault.TrustInvalid, "bytes"},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, place(t, Oem, c.raw), c.code, c.text) })
	}
}

// Threat 16: keys that anyone could sign for.
func TestThreat16WeakKeysInARoot(t *testing.T) {
	for name, key := range map[string]string{
		"identity":      "01" + strings.Repeat("00", 31),
		"zero":          strings.Repeat("00", 32),
		"order 8":       "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"non-canonical": "ee" + strings.Repeat("ff", 30) + "7f",
	} {
		raw := tufRoot(t, func(m *metadata.Metadata[metadata.RootType]) {
			k := &metadata.Key{Type: "ed25519", Scheme: "ed25519", Value: metadata.KeyVal{PublicKey: key}}
			id, err := k.ID()
			if err != nil {
				t.Fatal(err)
			}
			m.Signed.Keys[id] = k
			m.Signed.Roles[RoleTargets].KeyIDs = append(m.Signed.Roles[RoleTargets].KeyIDs, id)
		}, "r1")
		t.Run(name, func(t *testing.T) { wantCode(t, place(t, Oem, raw), fault.KeyWeak, "") })
	}
	b, _ := hex.DecodeString("01" + strings.Repeat("00", 31))
	if err := BundleSignature("m", "s", b); fault.CodeOf(err) != fault.KeyWeak {
		t.Errorf("BundleSignature: %v", err)
	}
}

// Threat 2: the chain of kept roots is checked from version 1 at each load; a number never goes down or skips.
func TestThreat2ChainIsCheckedAtEachLoad(t *testing.T) {
	type md = metadata.Metadata[metadata.RootType]
	v := func(n int64, root string, signers ...string) []byte { // version n whose role root is one key
		return tufRoot(t, func(m *md) {
			m.Signed.Version = n
			key, err := metadata.KeyFromPublicKey(seeded(root).Public().(ed25519.PublicKey))
			if err != nil {
				t.Fatal(err)
			}
			m.Signed.Roles[RoleRoot].KeyIDs = nil
			if err := m.Signed.AddKey(key, RoleRoot); err != nil {
				t.Fatal(err)
			}
			for _, gone := range []string{"r1", "r2"} {
				if id, _ := tufID(public(t, gone)); gone != root {
					delete(m.Signed.Keys, id)
				}
			}
		}, signers...)
	}
	one, two, three := v(1, "r1", "r1"), v(2, "r2", "r1", "r2"), v(3, "r2", "r2")
	for name, c := range map[string]struct {
		files map[string][]byte
		text  string // empty: good
	}{
		"one":              {map[string][]byte{"1": one}, ""},
		"three":            {map[string][]byte{"1": one, "2": two, "3": three}, ""},
		"gap":              {map[string][]byte{"1": one, "3": three}, "lacks version 2"},
		"no first":         {map[string][]byte{"2": two}, "lacks version 1"},
		"wrong number":     {map[string][]byte{"1": one, "2": three}, "holds version 3"},
		"not by old":       {map[string][]byte{"1": one, "2": v(2, "r2", "r2")}, "2.root.json"},
		"not by new":       {map[string][]byte{"1": one, "2": v(2, "r2", "r1")}, "2.root.json"},
		"old key again":    {map[string][]byte{"1": one, "2": two, "3": v(3, "r1", "r1")}, "3.root.json"},
		"first not signed": {map[string][]byte{"1": v(1, "r1")}, "1.root.json"},
		"leading zero":     {map[string][]byte{"1": one, "02": two}, "want a name"},
		"garbage":          {map[string][]byte{"1": one, "2": []byte("{}")}, "2.root.json"},
		"long":             {map[string][]byte{"1": one, "2": bytes.Repeat([]byte(" "), MaxRootSize+1)}, "2.root.json"},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "oem"), 0o755); err != nil {
			t.Fatal(err)
		}
		for n, raw := range c.files {
			if err := os.WriteFile(filepath.Join(dir, "oem", n+".root.json"), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(name, func(t *testing.T) {
			s, err := OpenStore(dir)
			if c.text != "" {
				wantCode(t, err, fault.TrustInvalid, c.text)
				return
			}
			if err != nil || s.Describe()[0].Version != len(c.files) {
				t.Errorf("%v, %v", s, err)
			}
		})
	}
	dir := t.TempDir()
	target := filepath.Join(t.TempDir(), "1.root.json")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "oem"), 0o755), os.WriteFile(target, one, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "oem", "1.root.json")); err == nil {
		_, err := OpenStore(dir)
		wantCode(t, err, fault.TrustInvalid, "link")
	}
}

func TestNewRootRefusesOptions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*RootOptions)
		code   fault.Code
	}{
		"of":             {func(o *RootOptions) { o.Of = "me" }, fault.Spec},
		"no expiry":      {func(o *RootOptions) { o.Expires = time.Time{} }, fault.Spec},
		"threshold 0":    {func(o *RootOptions) { o.TargetsThreshold = 0 }, fault.Spec},
		"threshold high": {func(o *RootOptions) { o.RootThreshold = 3 }, fault.Spec},
		"same key twice": {func(o *RootOptions) { o.TargetsKeys = publics(t, "t1", "t1") }, fault.Spec},
		"no keys":        {func(o *RootOptions) { o.RootKeys = nil }, fault.Spec},
		"foreign signer": {func(o *RootOptions) { o.Signers = privates("t1") }, fault.KeyUnfit},
		"signs twice":    {func(o *RootOptions) { o.Signers = privates("r1", "r1") }, fault.Exists},
		"short key":      {func(o *RootOptions) { o.Signers = []ed25519.PrivateKey{{1}} }, fault.KeyRead},
	} {
		o := oemOptions(t, 1)
		c.change(&o)
		raw, err := NewRoot(o)
		if raw != nil {
			t.Errorf("%s: bytes with an error", name)
		}
		t.Run(name, func(t *testing.T) { wantCode(t, err, c.code, "") })
	}
	o := oemOptions(t, 1)
	o.RootThreshold = 2
	half := newRoot(t, o)
	wantCode(t, place(t, Oem, half), fault.TrustInvalid, "not enough signatures")
	if _, err := DescribeRoot(half); fault.CodeOf(err) != fault.TrustInvalid {
		t.Errorf("DescribeRoot of a half signed root: %v", err)
	}
	whole, err := SignRoot(half, nil, seeded("r2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := place(t, Oem, whole); err != nil {
		t.Error(err)
	}
	if info, err := DescribeRoot(whole); err != nil || info.Of != Oem || info.RootThreshold != 2 || info.Fingerprint != Fingerprint(whole) {
		t.Errorf("%+v, %v", info, err)
	}
}

func FuzzRoot(f *testing.F) {
	f.Add(tufRoot(f, nil, "r1"))
	f.Add(newRoot(f, oemOptions(f, 2)))
	f.Add([]byte(`{"signed":{"keys":{"a":null},"roles":{"root":null,"targets":null}},"signatures":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseRoot(raw)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v with %v", r, err)
		}
		if err == nil {
			_ = r.signedBy(r)
			_, _ = SignRoot(raw, nil, seeded("r1"))
		}
	})
}
