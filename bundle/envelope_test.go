package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"sluice/internal/fault"
)

const helloPredicate = `{"model_family":"demo","version":"1.0.0"}`

func helloStatement() Statement {
	return Statement{Subjects: []Subject{NewSubject("manifest.json", []byte("hello"))}, PredicateType: TypeManifest, Predicate: jsontext.Value(helloPredicate)}
}

func signed(t testing.TB, s Statement, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	raw, err := SignStatement(s, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// rawEnvelope signs any payload under any type, as an attacker who holds a key can.
func rawEnvelope(t testing.TB, payloadType, payload string, keys ...ed25519.PrivateKey) *Envelope {
	t.Helper()
	e := &Envelope{PayloadType: payloadType, Payload: []byte(payload)}
	for _, k := range keys {
		if err := e.sign(k); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestSignAndVerify(t *testing.T) {
	k1, p1 := pairOf(t, 1)
	k2, p2 := pairOf(t, 2)
	_, p3 := pairOf(t, 3)
	raw := signed(t, helloStatement(), k1)
	two, err := AddSignature(raw, k2)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(two, signed(t, helloStatement(), k1, k2)) {
		t.Error("adding a signature and signing with both give different bytes")
	}
	e, err := ParseEnvelope(two)
	if err != nil {
		t.Fatal(err)
	}
	s, by, err := e.Verify(TypeManifest, []PublicKey{p3, p2, p1}, 2)
	if err != nil || len(by) != 2 || by[0] != p2 || by[1] != p1 {
		t.Fatalf("signed by %v, %v", by, err)
	}
	if err := s.CheckSubject("manifest.json", []byte("hello")); err != nil {
		t.Error(err)
	}
	var p ManifestPredicate
	if err := StrictUnmarshal(s.Predicate, &p, 1000); err != nil || p != (ManifestPredicate{"demo", "1.0.0"}) {
		t.Errorf("predicate %+v, %v", p, err)
	}
	u, err := e.Unverified()
	if err != nil || u.PredicateType != TypeManifest {
		t.Errorf("%+v, %v", u, err)
	}
	wantFault(t, second(AddSignature(two, k1)), fault.Usage, "signed this already")
	wantFault(t, second(SignStatement(helloStatement(), k1, k1)), fault.Usage, "signed this already")
	wantFault(t, second(SignStatement(helloStatement())), fault.SignatureMissing, "no key")
	if _, err := SignStatement(Statement{PredicateType: TypeManifest, Predicate: jsontext.Value(`{}`)}, k1); err == nil {
		t.Error("a statement without subject was signed")
	}
}

// Threats 2 and 3: who signed, how many, and under which name.
func TestVerifyRefuses(t *testing.T) {
	k1, p1 := pairOf(t, 1)
	k2, p2 := pairOf(t, 2)
	_, p3 := pairOf(t, 3)
	parse := func(raw []byte) *Envelope {
		e, err := ParseEnvelope(raw)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	one, both := parse(signed(t, helloStatement(), k1)), parse(signed(t, helloStatement(), k1, k2))
	damaged := parse(signed(t, helloStatement(), k1))
	damaged.Payload[10] ^= 1
	renamed := parse(signed(t, helloStatement(), k1))
	renamed.Signatures[0].KeyID = p2.ID()
	twice := parse(signed(t, helloStatement(), k1))
	twice.Signatures = append(twice.Signatures, twice.Signatures[0])
	twoIDs := parse(signed(t, helloStatement(), k1))
	twoIDs.Signatures = append(twoIDs.Signatures, Signature{KeyID: p2.ID(), Sig: twoIDs.Signatures[0].Sig})
	malleable := parse(signed(t, helloStatement(), k1))
	malleable.Signatures[0].Sig = addOrder(malleable.Signatures[0].Sig)
	none := parse(signed(t, helloStatement(), k1))
	none.Signatures = nil
	many := parse(signed(t, helloStatement(), k1))
	many.Signatures = append(many.Signatures, make([]Signature, maxSignatures)...)
	for name, c := range map[string]struct {
		e         *Envelope
		keys      []PublicKey
		threshold int
		code      fault.Code
		want      string
	}{
		"threshold 0":             {one, []PublicKey{p1}, 0, fault.SignatureThreshold, "at least 1"},
		"threshold -1":            {one, []PublicKey{p1}, -1, fault.SignatureThreshold, "at least 1"},
		"threshold over keys":     {both, []PublicKey{p1}, 2, fault.SignatureThreshold, "never be met"},
		"key listed twice":        {one, []PublicKey{p1, p1}, 2, fault.SignatureThreshold, "never be met"},
		"zero key":                {one, []PublicKey{{}}, 1, fault.SignatureThreshold, "never be met"},
		"no keys":                 {one, nil, 1, fault.SignatureThreshold, "never be met"},
		"no signatures":           {none, []PublicKey{p1}, 1, fault.SignatureMissing, ""},
		"too many signatures":     {many, []PublicKey{p1}, 1, fault.SignatureInvalid, "at most"},
		"unknown key":             {one, []PublicKey{p3}, 1, fault.SignatureUntrusted, "none of them"},
		"one of two":              {one, []PublicKey{p1, p2}, 2, fault.SignatureThreshold, "1 trusted signatures, want 2"},
		"one and a stranger":      {both, []PublicKey{p1, p3}, 2, fault.SignatureThreshold, "1 trusted signatures, want 2"},
		"same signature twice":    {twice, []PublicKey{p1, p2}, 2, fault.SignatureThreshold, "1 trusted signatures, want 2"},
		"one key under two ids":   {twoIDs, []PublicKey{p1, p2}, 2, fault.SignatureInvalid, "key id"},
		"payload changed":         {damaged, []PublicKey{p1}, 1, fault.SignatureInvalid, "does not match"},
		"id of another key":       {renamed, []PublicKey{p1}, 1, fault.SignatureInvalid, "key id"},
		"id of another given key": {renamed, []PublicKey{p1, p2}, 1, fault.SignatureInvalid, "key id"},
		"malleable signature":     {malleable, []PublicKey{p1}, 1, fault.SignatureInvalid, "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			s, by, err := c.e.Verify(TypeManifest, c.keys, c.threshold)
			wantFault(t, err, c.code, c.want)
			if s != nil || by != nil {
				t.Error("a statement came with the error")
			}
		})
	}
	// No key id at all is what other tools write: every key is tried.
	one.Signatures[0].KeyID = ""
	if _, _, err := one.Verify(TypeManifest, []PublicKey{p3, p1}, 1); err != nil {
		t.Error(err)
	}
}

// addOrder adds the group's order L to S, which gives a second signature that careless verifiers take.
func addOrder(sig []byte) []byte {
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	out, carry := bytes.Clone(sig), 0
	for i, o := range order {
		sum := int(out[32+i]) + int(o) + carry
		out[32+i], carry = byte(sum), sum>>8
	}
	return out
}

// Threat 17: genuine signatures of something else.
func TestVerifyOtherThings(t *testing.T) {
	k, p := pairOf(t, 1)
	good, err := helloStatement().marshal()
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for name, c := range map[string]struct {
		payloadType, payload string
		code                 fault.Code
	}{
		"payload type":        {"application/vnd.tuf+json", text, fault.SignatureType},
		"payload type's case": {"Application/vnd.in-toto+json", text, fault.SignatureType},
		"empty payload type":  {"", text, fault.SignatureType},
		"predicate type":      {PayloadType, strings.Replace(text, TypeManifest, TypeSignoff, 1), fault.SignatureType},
		"next version":        {PayloadType, strings.Replace(text, TypeManifest, "urn:sluice:manifest:2", 1), fault.SignatureType},
		"statement v0.1":      {PayloadType, strings.Replace(text, "Statement/v1", "Statement/v0.1", 1), fault.SignatureType},
		"not a statement":     {PayloadType, `{"signed":{}}`, fault.SignatureInvalid},
		"not JSON":            {PayloadType, `hello`, fault.SignatureInvalid},
		"trailing bytes":      {PayloadType, text + "{}", fault.SignatureInvalid},
		"unknown member":      {PayloadType, strings.Replace(text, `{"_type"`, `{"a":1,"_type"`, 1), fault.SignatureInvalid},
		"duplicate member":    {PayloadType, strings.Replace(text, `{"_type"`, `{"_type":"x","_type"`, 1), fault.SignatureInvalid},
		"null predicate":      {PayloadType, strings.Replace(text, helloPredicate, "null", 1), fault.SignatureInvalid},
		"array predicate":     {PayloadType, strings.Replace(text, helloPredicate, "[]", 1), fault.SignatureInvalid},
		"no subject":          {PayloadType, text[:strings.Index(text, `"subject":`)] + `"subject":[]}`, fault.SignatureInvalid},
		"digest upper case":   {PayloadType, strings.Replace(text, NewSubject("", []byte("hello")).SHA384.String(), strings.ToUpper(NewSubject("", []byte("hello")).SHA384.String()), 1), fault.SignatureInvalid},
		"no sha384":           {PayloadType, strings.Replace(text, `"sha384"`, `"sha512"`, 1), fault.SignatureInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			e := rawEnvelope(t, c.payloadType, c.payload, k)
			s, by, err := e.Verify(TypeManifest, []PublicKey{p}, 1)
			wantFault(t, err, c.code, "")
			if s != nil || by != nil {
				t.Error("a statement came with the error")
			}
		})
	}
}

func TestCheckSubject(t *testing.T) {
	s := helloStatement()
	wantFault(t, s.CheckSubject("manifest.json", []byte("hellO")), fault.SignatureInvalid, "manifest.json")
	wantFault(t, s.CheckSubject("other.json", []byte("hello")), fault.SignatureType, "other.json")
	s.Subjects[0].SHA256[0] ^= 1
	wantFault(t, s.CheckSubject("manifest.json", []byte("hello")), fault.SignatureInvalid, "")
	s = helloStatement()
	s.Subjects = append(s.Subjects, s.Subjects[0])
	wantFault(t, s.CheckSubject("manifest.json", []byte("hello")), fault.SignatureType, "exactly")
	s.Subjects = nil
	wantFault(t, s.CheckSubject("manifest.json", []byte("hello")), fault.SignatureType, "exactly")
}

func TestParseEnvelopeRefuses(t *testing.T) {
	k1, p1 := pairOf(t, 1)
	k2, p2 := pairOf(t, 2)
	good := string(signed(t, helloStatement(), k1, k2))
	e, err := ParseEnvelope([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	sig1, sig2 := base64.StdEncoding.EncodeToString(e.Signatures[0].Sig), base64.StdEncoding.EncodeToString(e.Signatures[1].Sig)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("example does not hold %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct {
		text string
		code fault.Code
	}{
		"empty":                {"", fault.SignatureMissing},
		"not JSON":             {"-----BEGIN", fault.SignatureInvalid},
		"array":                {"[]", fault.SignatureInvalid},
		"cut off":              {good[:len(good)/2], fault.SignatureInvalid},
		"trailing bytes":       {good + "x", fault.SignatureInvalid},
		"second value":         {good + good, fault.SignatureInvalid},
		"unknown member":       {replace(`{"payload"`, `{"cert":"x","payload"`), fault.SignatureInvalid},
		"letter case":          {replace(`"payloadType"`, `"payloadtype"`), fault.SignatureInvalid},
		"duplicate payload":    {replace(`{"payload"`, `{"payload":"","payload"`), fault.SignatureInvalid},
		"null signatures":      {good[:strings.Index(good, `"signatures":`)] + `"signatures":null}`, fault.SignatureInvalid},
		"no signatures member": {good[:strings.Index(good, `,"signatures":`)] + `}`, fault.SignatureInvalid},
		"no signatures":        {good[:strings.Index(good, `"signatures":`)] + `"signatures":[]}`, fault.SignatureMissing},
		"base64 line feed":     {replace(sig1, sig1[:8]+`\n`+sig1[8:]), fault.SignatureInvalid},
		"base64 no padding":    {replace(sig1, strings.TrimRight(sig1, "=")), fault.SignatureInvalid},
		"base64 of URLs":       {replace(sig1, "-_"+sig1[2:]), fault.SignatureInvalid},
		"base64 spare bits":    {replace(sig1, sig1[:85]+string(sig1[85]+1)+"=="), fault.SignatureInvalid},
		"payload not base64":   {replace(`{"payload":"`, `{"payload":"!`), fault.SignatureInvalid},
		"short signature":      {replace(sig1, "AAAA"), fault.SignatureInvalid},
		"empty signature":      {replace(sig1, ""), fault.SignatureInvalid},
		"same signature twice": {replace(sig2, sig1), fault.SignatureInvalid},
		"same key id twice":    {replace(p2.ID(), p1.ID()), fault.SignatureInvalid},
		"long key id":          {replace(p1.ID(), strings.Repeat("a", maxKeyIDBytes+1)), fault.SignatureInvalid},
		"too large":            {good + strings.Repeat(" ", MaxEnvelopeSize), fault.Limit},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseEnvelope([]byte(c.text))
			wantFault(t, err, c.code, "")
			if got != nil {
				t.Error("an envelope came with the error")
			}
		})
	}
}

// No edited byte of a signature file passes, wherever it stands: not in the payload, the signature, a key id, a name.
func TestEveryByteOfEnvelope(t *testing.T) {
	k, p := pairOf(t, 1)
	good := signed(t, helloStatement(), k)
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			e, err := ParseEnvelope(bad)
			if err == nil {
				_, _, err = e.Verify(TypeManifest, []PublicKey{p}, 1)
			}
			if fault.CodeOf(err).Exit() != 3 {
				t.Errorf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
	}
}

// The DSSE library's own reader and verifier agree with what we write.
func TestEnvelopeWithLibrary(t *testing.T) {
	k, p := pairOf(t, 1)
	var e dsse.Envelope
	if err := json.Unmarshal(signed(t, helloStatement(), k), &e); err != nil {
		t.Fatal(err)
	}
	v, err := dsse.NewEnvelopeVerifier(keyVerifier{p})
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err := v.Verify(t.Context(), &e); err != nil || accepted[0].KeyID != p.ID() {
		t.Errorf("%v, %v", accepted, err)
	}
}

// OpenSSL checks our signature over the pre-authentication encoding, which the test writes down by hand.
func TestEnvelopeWithOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("skipped: openssl is not installed")
	}
	k, p := pairOf(t, 1)
	e, err := ParseEnvelope(signed(t, helloStatement(), k))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	verify := func(payload []byte) (string, error) {
		pae := append([]byte("DSSEv1 28 application/vnd.in-toto+json "+itoa(len(payload))+" "), payload...)
		out, err := exec.Command(openssl, "pkeyutl", "-verify", "-pubin", "-inkey", file("k.pub", p.PEM()), "-rawin",
			"-in", file("pae", pae), "-sigfile", file("sig", e.Signatures[0].Sig)).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(e.Payload); err != nil {
		t.Errorf("openssl refuses a good signature: %v\n%s", err, out)
	}
	changed := bytes.Clone(e.Payload)
	changed[7] ^= 1
	if out, err := verify(changed); err == nil {
		t.Errorf("openssl accepts a changed payload: %s", out)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func FuzzParseEnvelope(f *testing.F) {
	k, p := pairOf(f, 1)
	f.Add(signed(f, helloStatement(), k))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := ParseEnvelope(raw)
		if err != nil {
			if e != nil || fault.CodeOf(err) == fault.Internal {
				t.Fatalf("%v with code %s", e, fault.CodeOf(err))
			}
			return
		}
		if _, err := e.Unverified(); err != nil && fault.CodeOf(err) == fault.Internal {
			t.Fatal(err)
		}
		if s, _, err := e.Verify(TypeManifest, []PublicKey{p}, 1); err == nil && s.CheckSubject("manifest.json", []byte("hello")) != nil {
			t.Fatalf("a statement that the key never signed: %s", raw)
		}
	})
}
