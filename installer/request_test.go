package installer_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

// onPaper is a machine whose version waits for the signatures of live; Anna has signed.
func onPaper(t *testing.T) *testroot.Site {
	t.Helper()
	return testroot.Prepared(t, "on paper", func(s *testroot.Site) {
		s.Install(s.Bundle(testroot.BundleOptions{}))
		s.SignOff(slot.Paper, "anna")
		s.SignOff(slot.Live, "anna")
	})
}

// ask makes a request for live.
func ask(t *testing.T, s *testroot.Site, person string) []byte {
	t.Helper()
	tested, err := s.In.Reopen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.In.SignOffRequest(t.Context(), tested, installer.RequestOptions{Stage: slot.Live, Person: person})
	if err != nil {
		t.Fatal(err)
	}
	return r.File
}

// known is what a person on another machine knows of a site: the fingerprints of its first roots.
func known(t *testing.T, s *testroot.Site) installer.TrustOptions {
	t.Helper()
	var o installer.TrustOptions
	for _, of := range []string{"oem", "site"} {
		raw, err := os.ReadFile(s.Path("ai_models/keys/" + of + "/1.root.json"))
		if err != nil {
			t.Fatal(err)
		}
		o.Fingerprints = append(o.Fingerprints, verify.Fingerprint(raw))
	}
	return o
}

func signElsewhere(t *testing.T, s *testroot.Site, request []byte, person string) []byte {
	t.Helper()
	q, err := installer.OpenRequest(request, known(t, s))
	if err != nil {
		t.Fatal(err)
	}
	out, err := q.Sign(installer.RequestSignOptions{Key: s.Keys[person], Answers: testroot.Answers(q.Checklist(), testroot.Role(person)), Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSignedElsewhere(t *testing.T) {
	t.Parallel()
	s := onPaper(t)
	request := ask(t, s, "Jan Kowalski")
	q, err := installer.OpenRequest(request, known(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if q.Request().Person != "jan" || len(q.Signed()) != 2 || q.Signed()[1].Name != "Anna Nowak" || q.Policy().Number != 1 {
		t.Errorf("opened %+v", q)
	}
	_, err = q.Sign(installer.RequestSignOptions{Key: s.Keys["ewa"], Answers: testroot.Answers(q.Checklist(), compliance.RoleOperator), Now: time.Now()})
	wantCode(t, err, fault.RequestOther)
	_, err = q.Sign(installer.RequestSignOptions{Key: testroot.Key("stranger"), Now: time.Now()})
	wantCode(t, err, fault.KeyUnfit)
	reply := signElsewhere(t, s, request, "jan")
	r, err := s.In.Attach(t.Context(), reply)
	if err != nil || !r.Complete || r.Stage != slot.Live {
		t.Fatalf("%+v, %v", r, err)
	}
	_, err = s.In.Attach(t.Context(), reply)
	wantCode(t, err, fault.PolicyRefuses)
	if live := s.Enable(); live.SignOffs[2].Person != "jan" {
		t.Errorf("live record %+v", live)
	}
}

// The roots that a request carries are believed only as far as the person knows them.
func TestRequestRootsAreCompared(t *testing.T) {
	t.Parallel()
	s := onPaper(t)
	request := ask(t, s, "")
	good := known(t, s)
	other := testroot.Empty(t)
	other.Trust(verify.Oem, testroot.Key("another vendor"))
	other.Trust(verify.Site, testroot.Key("another site"))
	for name, c := range map[string]struct {
		trust installer.TrustOptions
		code  fault.Code
	}{
		"nothing":           {installer.TrustOptions{}, fault.RequestTrust},
		"one of two":        {installer.TrustOptions{Fingerprints: good.Fingerprints[:1]}, fault.RequestTrust},
		"another print":     {installer.TrustOptions{Fingerprints: []string{good.Fingerprints[0], "0000"}}, fault.TrustFingerprint},
		"another's folder":  {installer.TrustOptions{Dir: other.Path(slot.KeysDir)}, fault.SignatureUntrusted},
		"no folder":         {installer.TrustOptions{Dir: filepath.Join(t.TempDir(), "none")}, fault.SourceMissing},
		"empty folder":      {installer.TrustOptions{Dir: t.TempDir()}, fault.RequestTrust},
		"good folder":       {installer.TrustOptions{Dir: s.Path(slot.KeysDir)}, ""},
		"folder and prints": {installer.TrustOptions{Dir: t.TempDir(), Fingerprints: good.Fingerprints}, ""},
	} {
		_, err := installer.OpenRequest(request, c.trust)
		if fault.CodeOf(err) != c.code && !(err == nil && c.code == "") {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// Threat 26: the answer for another machine, another root, another bundle or stage, or to nothing that was asked.
func TestThreat26AnswerForSomethingElse(t *testing.T) {
	t.Parallel()
	s := onPaper(t)
	reply := signElsewhere(t, s, ask(t, s, ""), "jan")
	twin := testroot.New(t) // the same people and roots on another machine
	twin.Install(twin.Bundle(testroot.BundleOptions{}))
	twin.SignOff(slot.Paper, "anna")
	twin.SignOff(slot.Live, "anna")
	_, err := twin.In.Attach(t.Context(), reply)
	wantCode(t, err, fault.MachineOther)
	before := onPaper(t) // the same machine as it was: nothing was asked for yet
	_, err = before.In.Attach(t.Context(), reply)
	wantCode(t, err, fault.RequestOther)

	// Jan's key signs other things under the request's digest.
	for field, change := range map[string]func(d *compliance.Decision, f *compliance.Form){
		"stage": func(d *compliance.Decision, f *compliance.Form) {
			d.Stage, f.Stage = compliance.Paper, compliance.Paper
		},
		"version":         func(d *compliance.Decision, f *compliance.Form) { d.Version, f.Version = "9.9.9", "9.9.9" },
		"variant":         func(d *compliance.Decision, f *compliance.Form) { d.Variant, f.Variant = "second", "second" },
		"manifest_sha384": func(d *compliance.Decision, f *compliance.Form) { d.ManifestSHA384[0]++; f.ManifestSHA384[0]++ },
	} {
		_, err := s.In.Attach(t.Context(), forge(t, reply, s.Keys["jan"], change))
		if fault.CodeOf(err) != fault.RequestOther || fault.DetailOf(err)["field"] != field {
			t.Errorf("%s: %v %v", field, err, fault.DetailOf(err))
		}
	}
	// Evidence that the machine never found.
	_, err = s.In.Attach(t.Context(), forge(t, reply, s.Keys["jan"], func(d *compliance.Decision, f *compliance.Form) {
		nice := compliance.Fact{Passed: true, Values: map[string]string{"cases": "1000"}}
		d.Evidence[compliance.EvidenceGolden], f.Evidence[compliance.EvidenceGolden] = nice, nice
	}))
	wantCode(t, err, fault.Request)
	// Heads that the logs never had.
	_, err = s.In.Attach(t.Context(), forge(t, reply, s.Keys["jan"], func(d *compliance.Decision, _ *compliance.Form) {
		d.LogHeads["paper"] = compliance.LogHead{Entries: 1, SHA384: bundle.Digest{1}}
	}))
	wantCode(t, err, fault.RequestStale)
	// Signed by somebody else than it says.
	_, err = s.In.Attach(t.Context(), forge(t, reply, s.Keys["ewa"], func(*compliance.Decision, *compliance.Form) {}))
	wantCode(t, err, fault.PolicyRefuses)
	for name, bad := range map[string][]byte{"empty": nil, "text": []byte("hello"), "cut": reply[:len(reply)-40]} {
		if _, err := s.In.Attach(t.Context(), bad); fault.CodeOf(err) != fault.Request {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := s.In.Attach(t.Context(), reply); err != nil || !r.Complete {
		t.Errorf("the good answer: %+v, %v", r, err)
	}
}

// forge signs a changed decision with somebody's key.
func forge(t *testing.T, reply []byte, key ed25519.PrivateKey, change func(*compliance.Decision, *compliance.Form)) []byte {
	t.Helper()
	sr, d, err := compliance.ParseSignedRequest(reply)
	if err != nil {
		t.Fatal(err)
	}
	f, err := compliance.ParseForm(sr.Form)
	if err != nil {
		t.Fatal(err)
	}
	change(d, f)
	form, err := bundle.CanonicalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	form = append(form, '\n')
	d.Form = slot.Sum(form)
	raw, err := bundle.CanonicalJSON(d)
	if err != nil {
		t.Fatal(err)
	}
	env, err := bundle.ParseEnvelope(sr.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	st, err := env.Unverified()
	if err != nil {
		t.Fatal(err)
	}
	out, err := bundle.SignStatement(bundle.Statement{Subjects: st.Subjects, PredicateType: bundle.TypeSignoff, Predicate: raw}, key)
	if err != nil {
		t.Fatal(err)
	}
	sr.Envelope, sr.Form = out, form
	again, err := sr.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// Whatever changed since the request makes its answer worthless, and says what it was.
func TestRequestOutOfDate(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(s *testroot.Site){
		"signatures::changed": func(s *testroot.Site) { s.SignOff(slot.Live, "ewa") },
		"policy::changed": func(s *testroot.Site) {
			p := *s.Policy
			p.Number = 2
			s.PutPolicy(&p)
		},
		"version::changed": func(s *testroot.Site) {
			s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
			s.SignOff(slot.Paper, "anna")
		},
	} {
		s := onPaper(t)
		reply := signElsewhere(t, s, ask(t, s, ""), "jan")
		change(s)
		_, err := s.In.Attach(t.Context(), reply)
		changed, _ := fault.DetailOf(err)["changed"].([]string)
		if fault.CodeOf(err) != fault.RequestStale || !slices.Contains(changed, want) {
			t.Errorf("%s: %v", want, err)
		}
		if _, err := s.In.LogVerify(t.Context()); err != nil {
			t.Error(err)
		}
	}
	// The copy of the request that is kept was edited.
	s := onPaper(t)
	tested, err := s.In.Reopen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.In.SignOffRequest(t.Context(), tested, installer.RequestOptions{Stage: slot.Live})
	if err != nil {
		t.Fatal(err)
	}
	reply := signElsewhere(t, s, r.File, "jan")
	if err := os.Remove(r.Path); err != nil {
		t.Fatal(err)
	}
	_, err = s.In.Attach(t.Context(), reply)
	wantCode(t, err, fault.RecordEdited)
}

// Any byte of a request changed on the way is noticed.
func TestThreat26RequestFlipped(t *testing.T) {
	t.Parallel()
	s := onPaper(t)
	request := ask(t, s, "")
	trust := known(t, s)
	for i := 0; i < len(request); i += len(request)/60 + 1 {
		bad := bytes.Clone(request)
		bad[i] ^= 1
		if _, err := installer.OpenRequest(bad, trust); err == nil {
			var a, b any
			if json.Unmarshal(request, &a) == nil && json.Unmarshal(bad, &b) == nil {
				t.Errorf("byte %d changed and nobody noticed", i)
			}
		}
	}
	// Another machine's key signs what this one asks: the request names its own key, so the file is whole; the machine is another.
	r, err := compliance.ParseRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	thief := testroot.Key("thief")
	r.MachineKey, r.Machine.KeyID = string(testroot.Public(thief).PEM()), testroot.Public(thief).ID()
	forged, err := compliance.SignRequest(r, thief)
	if err != nil {
		t.Fatal(err)
	}
	_, err = installer.OpenRequest(forged, trust)
	wantCode(t, err, fault.Request)
	// Evidence better than the record, a question left out, another manifest.
	for name, change := range map[string]func(r *compliance.Request){
		"evidence": func(r *compliance.Request) {
			r.Evidence[compliance.EvidenceLimits] = compliance.Fact{Passed: true, Values: map[string]string{"median_ms": "0"}}
		},
		"quality": func(r *compliance.Request) {
			r.Evidence[compliance.EvidenceQuality] = compliance.Fact{Passed: true, Values: map[string]string{"accuracy": "1"}}
		},
		"question": func(r *compliance.Request) { r.Items = r.Items[1:] },
		"manifest": func(r *compliance.Request) { r.ManifestSHA384[0]++ },
		"policy":   func(r *compliance.Request) { r.PolicySHA384[0]++ },
	} {
		r, err := compliance.ParseRequest(request)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		key, err := os.ReadFile(s.Path("machine/machine.key"))
		if err != nil {
			t.Fatal(err)
		}
		priv, err := bundle.ParsePrivateKey(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := compliance.SignRequest(r, priv)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := installer.OpenRequest(forged, trust); fault.CodeOf(err) != fault.Request {
			t.Errorf("%s: %v", name, err)
		}
	}
}
