package compliance

import (
	"crypto/sha512"
	"testing"

	"sluice/bundle"
)

func testRequest(t testing.TB) *Request {
	c := testChecklist(t, Live, testPolicy(t))
	digest, err := testPolicy(t).SHA384()
	if err != nil {
		t.Fatal(err)
	}
	key := publicKey(t, "machine")
	return &Request{Schema: RequestSchema, Stage: Live, ModelFamily: "regime", Version: "1.4.2", Variant: "cpu", ManifestSHA384: sha512.Sum384(testManifestBytes),
		Machine: Machine{KeyID: key.ID(), System: bundle.Digest{9}}, MachineKey: string(key.PEM()), TrustRoot: 1, PolicyNumber: 1, PolicySHA384: digest,
		Items: c.Items, Evidence: c.Evidence, At: "2026-11-01T12:00:00Z", Files: map[string][]byte{FileManifest: testManifestBytes},
		Below: []SignedFile{}, Before: []SignedFile{}}
}

// FuzzRequest signs whatever predicate it is given: the parser must hold without a good signature's help.
func FuzzRequest(f *testing.F) {
	raw, err := bundle.CanonicalJSON(testRequest(f))
	if err != nil {
		f.Fatal(err)
	}
	if file, err := SignRequest(testRequest(f), seeded("machine")); err != nil {
		f.Fatal(err)
	} else if r, err := ParseRequest(file); err != nil || len(r.Checklist().Items) == 0 {
		f.Fatalf("%+v, %v", r, err)
	}
	f.Add(raw)
	f.Add([]byte(`{"files":{"manifest.json":null},"items":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := ParseRequest(raw); err == nil || r != nil && err == nil {
			t.Fatal("an unsigned request was read")
		}
		env, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, testManifestBytes)}, PredicateType: bundle.TypeRequest, Predicate: raw}, seeded("machine"))
		if err != nil {
			return
		}
		if r, err := ParseRequest(env); err == nil {
			_ = r.Want(Live, nil)
			_ = r.Checklist().Questions(Polish)
		}
	})
}

func FuzzSignedRequest(f *testing.F) {
	o := options(f, testPolicy(f), Live, "anna", RoleOperator, nil)
	o.Request = bundle.Digest{5}
	d, form, err := NewDecision(o)
	if err != nil {
		f.Fatal(err)
	}
	env, err := SignDecision(d, testManifestBytes, o.Policy, seeded("anna"))
	if err != nil {
		f.Fatal(err)
	}
	raw, err := (&SignedRequest{Schema: SignedRequestSchema, Request: bundle.Digest{5}, Form: form, Envelope: env}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	if _, got, err := ParseSignedRequest(raw); err != nil || got.Person != "anna" {
		f.Fatalf("%+v, %v", got, err)
	}
	f.Add(raw)
	f.Add([]byte(`{"schema":"sluice-signed-request/1","form":"","envelope":""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, d, err := ParseSignedRequest(raw)
		if (s == nil) != (err != nil) || (d == nil) != (err != nil) {
			t.Fatalf("%v, %v with %v", s, d, err)
		}
	})
}
