package verify

import (
	"bytes"
	"context"
	"crypto/sha512"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

func TestAuthenticate(t *testing.T) {
	s := oemStore(t, 2)
	m := manifestOf(t, nil)
	sig := statement(t, m, nil, "t1", "t2")
	src := openBundle(t, m, sig)
	a, err := s.Authenticate(context.Background(), src, History{})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Valid() || a.Source() != src || a.GivenKey() || a.RootVersion() != 1 || a.Manifest().Version != "1.4.2" ||
		!bytes.Equal(a.ManifestBytes(), m) || !bytes.Equal(a.SignatureBytes(), sig) || a.ManifestSHA384() != sha512.Sum384(m) {
		t.Errorf("%+v", a)
	}
	if g := a.Signers(); len(g) != 2 || g[0].Role != RoleTargets || g[0].KeyID == g[1].KeyID {
		t.Errorf("%+v", g)
	}
	if given, err := WithKey(context.Background(), src, public(t, "t2")); err != nil || !given.GivenKey() || given.Signers()[0].Role != RoleGiven {
		t.Errorf("WithKey: %+v, %v", given, err)
	}
	_, err = WithKey(context.Background(), src, public(t, "x"))
	wantCode(t, err, fault.SignatureUntrusted, "")
	_, err = WithKey(context.Background(), src, bundle.PublicKey{})
	wantCode(t, err, fault.SignatureThreshold, "")
	back, err := s.AuthenticateInstalled(m, sig, 1, History{Floor: "9.0.0", Seen: map[string]bundle.Digest{"1.4.2": a.ManifestSHA384()}})
	if err != nil || back.Source() != nil || back.RootVersion() != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestNilAndCancelled(t *testing.T) {
	s := oemStore(t, 1)
	if _, err := s.Authenticate(context.Background(), nil, History{}); fault.CodeOf(err) != fault.Internal {
		t.Errorf("nil source: %v", err)
	}
	m := manifestOf(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Authenticate(ctx, openBundle(t, m, statement(t, m, nil, "t1")), History{})
	wantCode(t, err, fault.Cancelled, "")
	for _, a := range []*Authentic{nil, {}} {
		wantCode(t, Folder(context.Background(), t.TempDir(), a, "fp32", nil), fault.Internal, "")
	}
	var none *Store
	_, err = none.Authenticate(context.Background(), nil, History{})
	wantCode(t, err, fault.TrustNone, "")
}

func TestTrustNone(t *testing.T) {
	s, err := OpenStore(filepath.Join(t.TempDir(), "absent"))
	if err != nil {
		t.Fatal(err)
	}
	m := manifestOf(t, nil)
	_, err = s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, "t1")), History{})
	wantCode(t, err, fault.TrustNone, "oem")
	_, err = s.AuthenticateInstalled(m, nil, 1, History{})
	wantCode(t, err, fault.TrustNone, "oem")
	_, _, err = s.Envelope(Site, RoleTargets, nil, bundle.TypePolicy, 100)
	wantCode(t, err, fault.TrustNone, "site")
	if len(s.Describe()) != 0 {
		t.Error("Describe")
	}
}

// Threat 2: signed by a key that the root does not name.
func TestThreat2UnknownKey(t *testing.T) {
	s := oemStore(t, 1)
	m := manifestOf(t, nil)
	for _, signer := range []string{"stranger", "r1"} { // role root may not sign bundles
		_, err := s.Authenticate(context.Background(), openBundle(t, m, statement(t, m, nil, signer)), History{})
		wantCode(t, err, fault.SignatureUntrusted, "")
	}
	a, err := s.AuthenticateInstalled(m, statement(t, m, nil, "t1"), 2, History{})
	if a != nil {
		t.Error("a root number that is not there")
	}
	wantCode(t, err, fault.TrustInvalid, "want version 2")
}

// Threat 3, second half: the verifier counts keys by their bytes.
func TestThreat3OneKeyWhereTwoAreNeeded(t *testing.T) {
	s := oemStore(t, 2)
	m := manifestOf(t, nil)
	one := statement(t, m, nil, "t1")
	_, err := s.Authenticate(context.Background(), openBundle(t, m, one), History{})
	wantCode(t, err, fault.SignatureThreshold, "")
	stranger, err := bundle.AddSignature(one, seeded("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Authenticate(context.Background(), openBundle(t, m, stranger), History{})
	wantCode(t, err, fault.SignatureThreshold, "")
	// The same signature twice, once under another key id.
	env, err := bundle.ParseEnvelope(one)
	if err != nil {
		t.Fatal(err)
	}
	sig := func(id string) any { return map[string]any{"keyid": id, "sig": env.Signatures[0].Sig} }
	twice, err := bundle.CanonicalJSON(map[string]any{"payload": env.Payload, "payloadType": env.PayloadType,
		"signatures": []any{sig(env.Signatures[0].KeyID), sig(public(t, "t2").ID())}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(context.Background(), openBundle(t, m, twice), History{}); err == nil {
		t.Error("one key under two ids counts twice")
	}
	both, err := bundle.AddSignature(one, seeded("t2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(context.Background(), openBundle(t, m, both), History{}); err != nil {
		t.Error(err)
	}
}

// Threat 4: an old genuine bundle, another manifest under a version already seen.
func TestThreat4OldAndReusedVersions(t *testing.T) {
	s := oemStore(t, 1)
	m := manifestOf(t, nil)
	src := openBundle(t, m, statement(t, m, nil, "t1"))
	for name, c := range map[string]struct {
		h    History
		code fault.Code
	}{
		"first":             {History{}, ""},
		"newer than floor":  {History{Family: "regime", Floor: "1.4.1"}, ""},
		"the floor itself":  {History{Floor: "1.4.2", Seen: map[string]bundle.Digest{"1.4.2": sha512.Sum384(m)}}, ""},
		"pre-release floor": {History{Floor: "1.4.2-rc.1"}, ""},
		"older":             {History{Floor: "1.4.3-rc.1"}, fault.VersionOlder},
		"much older":        {History{Floor: "1.10.0"}, fault.VersionOlder},
		"reused":            {History{Seen: map[string]bundle.Digest{"1.4.2": {1}}}, fault.VersionReused},
		"other family":      {History{Family: "trend"}, fault.FamilyOther},
	} {
		a, err := s.Authenticate(context.Background(), src, c.h)
		if (a == nil) != (c.code != "") {
			t.Errorf("%s: %v with %v", name, a, err)
		}
		if c.code != "" {
			t.Run(name, func(t *testing.T) { wantCode(t, err, c.code, "") })
		}
	}
	_, err := s.AuthenticateInstalled(m, statement(t, m, nil, "t1"), 1, History{Seen: map[string]bundle.Digest{"1.4.2": {1}}})
	wantCode(t, err, fault.VersionReused, "")
	_, err = s.AuthenticateInstalled(m, statement(t, m, nil, "t1"), 1, History{Family: "trend"})
	wantCode(t, err, fault.FamilyOther, "")
}

func TestExpiredRootRefusesWhatIsNew(t *testing.T) {
	s := oemStore(t, 1)
	late := manifestOf(t, func(m *bundle.Manifest) { m.Created = "2031-01-01T00:00:01Z" })
	_, err := s.Authenticate(context.Background(), openBundle(t, late, statement(t, late, nil, "t1")), History{})
	wantCode(t, err, fault.TrustExpired, "2031-01-01T00:00:00Z")
	m := manifestOf(t, nil)
	sig := statement(t, m, nil, "t1")
	_, err = s.Authenticate(context.Background(), openBundle(t, m, sig), History{Evidence: expiry.Add(time.Second)})
	wantCode(t, err, fault.TrustExpired, "")
	if _, err := s.Authenticate(context.Background(), openBundle(t, m, sig), History{Evidence: expiry}); err != nil {
		t.Error(err)
	}
	if _, err := s.AuthenticateInstalled(m, sig, 1, History{Evidence: expiry.AddDate(9, 0, 0)}); err != nil {
		t.Errorf("what is installed stays valid: %v", err)
	}
}

// Threat 16: a malleable signature (S + L) is another signature of the same key over the same bytes.
func TestThreat16MalleableSignature(t *testing.T) {
	m := manifestOf(t, nil)
	env, err := bundle.ParseEnvelope(statement(t, m, nil, "t1"))
	if err != nil {
		t.Fatal(err)
	}
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}
	sig := bytes.Clone(env.Signatures[0].Sig)
	carry := 0
	for i := range order {
		sum := int(sig[32+i]) + int(order[i]) + carry
		sig[32+i], carry = byte(sum), sum>>8
	}
	raw, err := bundle.CanonicalJSON(map[string]any{"payload": env.Payload, "payloadType": env.PayloadType, "signatures": []any{map[string]any{"keyid": env.Signatures[0].KeyID, "sig": sig}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = InstalledWithKey(m, raw, public(t, "t1"))
	wantCode(t, err, fault.SignatureInvalid, "")
}

// Threat 17: a genuine signature of something else moved onto the manifest.
func TestThreat17SignatureOfSomethingElse(t *testing.T) {
	s := oemStore(t, 1)
	m := manifestOf(t, nil)
	other := manifestOf(t, func(m *bundle.Manifest) { m.Version = "1.4.3" })
	for name, c := range map[string]struct {
		sig  []byte
		code fault.Code
	}{
		"policy":          {statement(t, m, func(s *bundle.Statement) { s.PredicateType = bundle.TypePolicy }, "t1"), fault.SignatureType},
		"sign-off":        {statement(t, m, func(s *bundle.Statement) { s.PredicateType = bundle.TypeSignoff }, "t1"), fault.SignatureType},
		"other manifest":  {statement(t, other, nil, "t1"), fault.SignatureInvalid},
		"other subject":   {statement(t, m, func(s *bundle.Statement) { s.Subjects[0].Name = "artifacts/model.onnx" }, "t1"), fault.SignatureType},
		"two subjects":    {statement(t, m, func(s *bundle.Statement) { s.Subjects = append(s.Subjects, bundle.NewSubject("x", nil)) }, "t1"), fault.SignatureType},
		"sha256 wrong":    {statement(t, m, func(s *bundle.Statement) { s.Subjects[0].SHA256[0] ^= 1 }, "t1"), fault.SignatureInvalid},
		"sha384 wrong":    {statement(t, m, func(s *bundle.Statement) { s.Subjects[0].SHA384[0] ^= 1 }, "t1"), fault.SignatureInvalid},
		"other family":    {statement(t, m, func(s *bundle.Statement) { s.Predicate = []byte(`{"model_family":"trend","version":"1.4.2"}`) }, "t1"), fault.SignatureInvalid},
		"other version":   {statement(t, m, func(s *bundle.Statement) { s.Predicate = []byte(`{"model_family":"regime","version":"1.4.3"}`) }, "t1"), fault.SignatureInvalid},
		"empty predicate": {statement(t, m, func(s *bundle.Statement) { s.Predicate = []byte(`{}`) }, "t1"), fault.SignatureInvalid},
		"more predicate":  {statement(t, m, func(s *bundle.Statement) { s.Predicate = []byte(`{"model_family":"regime","version":"1.4.2","x":1}`) }, "t1"), fault.SignatureInvalid},
		"none":            {[]byte("{}"), fault.SignatureInvalid},
		"empty":           {[]byte{}, fault.SignatureMissing},
	} {
		a, err := s.AuthenticateInstalled(m, c.sig, 1, History{})
		if a != nil {
			t.Errorf("%s: authentic", name)
		}
		t.Run(name, func(t *testing.T) { wantCode(t, err, c.code, "") })
	}
	_, err := s.AuthenticateInstalled(m, nil, 1, History{})
	wantCode(t, err, fault.SignatureMissing, "")
	_, err = s.AuthenticateInstalled(m, bytes.Repeat([]byte(" "), bundle.MaxSignatureSize+1), 1, History{})
	wantCode(t, err, fault.Limit, "")
	_, err = s.AuthenticateInstalled(bytes.Repeat([]byte(" "), bundle.MaxManifestSize+1), statement(t, m, nil, "t1"), 1, History{})
	wantCode(t, err, fault.Limit, "")
}

// A manifest is parsed only after its signature held: a hostile one without a signature is named as unsigned, a signed one by its fault.
func TestSignatureComesBeforeTheManifest(t *testing.T) {
	s := oemStore(t, 1)
	hostile := []byte(`{"schema":"oem-model-bundle/1","schema":`)
	_, err := s.AuthenticateInstalled(hostile, statement(t, hostile, nil, "stranger"), 1, History{})
	wantCode(t, err, fault.SignatureUntrusted, "")
	_, err = s.AuthenticateInstalled(hostile, statement(t, hostile, nil, "t1"), 1, History{})
	wantCode(t, err, fault.ManifestInvalid, "")
	sha256 := manifestOf(t, func(m *bundle.Manifest) { m.HashAlg = "sha256" })
	_, err = s.AuthenticateInstalled(sha256, statement(t, sha256, nil, "t1"), 1, History{})
	wantCode(t, err, fault.HashAlg, "")
}

// Volumes: the signed index first, with the same threshold.
func TestVolumesNeedTheirSignedIndex(t *testing.T) {
	s := oemStore(t, 2)
	m := manifestOf(t, nil)
	split := func(signers ...string) *bundle.Source {
		path := writeBundle(t, m, statement(t, m, nil, "t1", "t2"))
		made, err := bundle.SplitVolumes(context.Background(), path, bundle.MinVolumeSize, func(st bundle.Statement) ([]byte, error) {
			return bundle.SignStatement(st, privates(signers...)...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return openPath(t, made[0])
	}
	if a, err := s.Authenticate(context.Background(), split("t1", "t2"), History{}); err != nil || a.Manifest().Version != "1.4.2" {
		t.Errorf("%v, %v", a, err)
	}
	_, err := s.Authenticate(context.Background(), split("t1"), History{})
	wantCode(t, err, fault.SignatureThreshold, "")
	_, err = s.Authenticate(context.Background(), split("stranger"), History{})
	wantCode(t, err, fault.SignatureUntrusted, "")
	_, err = WithKey(context.Background(), split("t1"), public(t, "t2"))
	wantCode(t, err, fault.SignatureUntrusted, "")
}

func TestEnvelopeOfTheSite(t *testing.T) {
	s := oemStore(t, 1)
	site := newRoot(t, RootOptions{Of: Site, RootKeys: publics(t, "s1"), RootThreshold: 1, TargetsKeys: publics(t, "s2"), TargetsThreshold: 1, Expires: expiry, Signers: privates("s1")})
	if err := s.Place(Site, site, Fingerprint(site)); err != nil {
		t.Fatal(err)
	}
	env := func(signer string) []byte {
		raw, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject("policy.json", []byte("x"))}, PredicateType: bundle.TypePolicy, Predicate: []byte(`{}`)}, privates(signer)...)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	st, who, err := s.Envelope(Site, RoleTargets, env("s2"), bundle.TypePolicy, 1<<16)
	if err != nil || len(who) != 1 || who[0] != public(t, "s2") || st.CheckSubject("policy.json", []byte("x")) != nil {
		t.Errorf("%v, %v, %v", st, who, err)
	}
	_, _, err = s.Envelope(Site, RoleTargets, env("t1"), bundle.TypePolicy, 1<<16) // the vendor may not sign the site's policy
	wantCode(t, err, fault.SignatureUntrusted, "")
	_, _, err = s.Envelope(Site, RoleTargets, env("s2"), bundle.TypeLive, 1<<16)
	wantCode(t, err, fault.SignatureType, "")
	_, _, err = s.Envelope(Site, RoleTargets, env("s2"), bundle.TypePolicy, 10)
	wantCode(t, err, fault.Limit, "")
	_, _, err = s.Envelope(Site, "snapshot", env("s2"), bundle.TypePolicy, 1<<16)
	wantCode(t, err, fault.Internal, "")
}

func TestBundleSignature(t *testing.T) {
	dir := t.TempDir()
	m := manifestOf(t, nil)
	manifest, sig := filepath.Join(dir, "manifest.json"), filepath.Join(dir, "manifest.sig")
	write := func(m, s []byte) {
		if err := os.WriteFile(manifest, m, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(sig, s, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(m, statement(t, m, nil, "t1"))
	key := public(t, "t1").Bytes()
	if err := BundleSignature(manifest, sig, key); err != nil {
		t.Error(err)
	}
	wantCode(t, BundleSignature(manifest, sig, public(t, "t2").Bytes()), fault.SignatureUntrusted, "")
	wantCode(t, BundleSignature(manifest, filepath.Join(dir, "absent"), key), fault.SignatureMissing, "absent")
	wantCode(t, BundleSignature(filepath.Join(dir, "absent"), sig, key), fault.SourceMissing, "absent")
	wantCode(t, BundleSignature(manifest, sig, key[:31]), fault.KeyWeak, "")
	for i := range 40 {
		at := i * len(m) / 40
		flipped := bytes.Clone(m)
		flipped[at] ^= 1
		write(flipped, statement(t, m, nil, "t1"))
		wantCode(t, BundleSignature(manifest, sig, key), fault.SignatureInvalid, "")
	}
	write(nil, statement(t, m, nil, "t1"))
	wantCode(t, BundleSignature(manifest, sig, key), fault.SignatureInvalid, "")
	write(m, nil)
	wantCode(t, BundleSignature(manifest, sig, key), fault.SignatureMissing, "")
	write(m, []byte(strings.Repeat(" ", bundle.MaxSignatureSize+1)))
	wantCode(t, BundleSignature(manifest, sig, key), fault.Limit, "")
}

func FuzzAuthenticate(f *testing.F) {
	s := oemStore(f, 1)
	m := manifestOf(f, nil)
	f.Add(m, statement(f, m, nil, "t1"))
	f.Add([]byte("{}"), []byte(`{"payload":"","payloadType":"","signatures":[null]}`))
	f.Fuzz(func(t *testing.T, manifest, sig []byte) {
		a, err := s.AuthenticateInstalled(manifest, sig, 1, History{Family: "regime"})
		if (a == nil) == (err == nil) {
			t.Fatalf("%v with %v", a, err)
		}
		if err == nil && !bytes.Equal(manifest, m) {
			t.Fatal("a manifest that nobody signed is authentic")
		}
	})
}
