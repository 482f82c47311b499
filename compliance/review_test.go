package compliance

import (
	"crypto/sha512"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

func testEmergency() *Emergency {
	return &Emergency{Reason: "wrong prices", By: "Anna Nowak", At: "2026-11-01T10:00:00Z"}
}

func testReview(who string) (*Review, ReviewWant) {
	w := ReviewWant{Manifest: testManifestBytes, Version: "1.4.2", Machine: testMachine, Emergency: testEmergency(), Barred: []string{"anna"}}
	return &Review{Schema: ReviewSchema, ModelFamily: "regime", Version: "1.4.2", ManifestSHA384: sha512.Sum384(testManifestBytes),
		Machine: testMachine, Emergency: *testEmergency(), Person: who, Accepted: true, Comment: "compared", PolicyNumber: 1,
		LogHeads: map[string]LogHead{}, SignedAt: "2026-11-01T12:00:00Z"}, w
}

func TestThreat27ReviewBySomeoneElse(t *testing.T) {
	p := testPolicy(t)
	for who, c := range map[string]struct {
		key  string
		code fault.Code
	}{
		"anna": {"anna", fault.ReviewSelf}, "bert": {"cleo", fault.KeyUnfit}, "nobody": {"bert", fault.PolicyRefuses},
	} {
		r, w := testReview(who)
		_, err := SignReview(r, p, w, seeded(c.key))
		wantCode(t, err, c.code, "")
	}
	r, w := testReview("bert")
	r.Comment = " "
	_, err := SignReview(r, p, w, seeded("bert"))
	wantCode(t, err, fault.Usage, "comment")
	r, w = testReview("bert")
	w.Barred = []string{" " + p.Person("bert").Name} // who installed may be named by name
	_, err = SignReview(r, p, w, seeded("bert"))
	wantCode(t, err, fault.ReviewSelf, "bert")
}

func TestThreat27ReviewReplayed(t *testing.T) {
	p := testPolicy(t)
	r, w := testReview("bert")
	raw, err := SignReview(r, p, w, seeded("bert"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := CheckReview(p, raw, w); err != nil || !got.Accepted {
		t.Fatalf("%+v: %v", got, err)
	}
	for name, c := range map[string]struct {
		change func(*ReviewWant)
		code   fault.Code
	}{
		"bundle":          {func(w *ReviewWant) { w.Manifest = []byte("another") }, fault.SignoffInvalid},
		"version":         {func(w *ReviewWant) { w.Version = "1.4.3" }, fault.SignoffInvalid},
		"machine":         {func(w *ReviewWant) { w.Machine.KeyID = "another" }, fault.MachineOther},
		"emergency":       {func(w *ReviewWant) { w.Emergency = &Emergency{Reason: "another", By: "x", At: "2026-11-01T10:00:00Z"} }, fault.SignoffInvalid},
		"no emergency":    {func(w *ReviewWant) { w.Emergency = nil }, fault.SignoffInvalid},
		"signed for it":   {func(w *ReviewWant) { w.Barred = append(w.Barred, "BERT") }, fault.ReviewSelf},
		"retired, no log": {func(w *ReviewWant) { p.Number, p.People[1].Retired = 2, 2 }, fault.PolicyRefuses},
	} {
		_, w := testReview("bert")
		c.change(&w)
		_, err := CheckReview(p, raw, w)
		if fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		p = testPolicy(t)
	}
	p.Number, p.People[1].Retired = 2, 2
	w.Logged = func(bundle.Digest) (int, bool) { return 1, true }
	if _, err := CheckReview(p, raw, w); err != nil {
		t.Errorf("retired since: %v", err)
	}
	signoff := sign(t, options(t, testPolicy(t), Live, "bert", RoleCompliance, nil), "bert")
	if _, err := CheckReview(testPolicy(t), signoff, w); fault.CodeOf(err) != fault.SignoffInvalid {
		t.Errorf("a sign-off as a review: %v", err)
	}
}

// A sign-off of an emergency is worth nothing without one, and the other way round.
func TestThreat27SignOffSaysEmergency(t *testing.T) {
	p := testPolicy(t)
	o := options(t, p, Paper, "anna", RoleOperator, nil)
	plain := sign(t, o, "anna")
	o.Emergency = testEmergency()
	marked := sign(t, o, "anna")
	w := want(Paper)
	_, err := CheckApprovals(p, [][]byte{marked}, w)
	wantCode(t, err, fault.SignoffInvalid, "emergency")
	w.Emergency = testEmergency()
	if _, err := CheckApprovals(p, [][]byte{marked}, w); err != nil {
		t.Error(err)
	}
	_, err = CheckApprovals(p, [][]byte{plain}, w)
	wantCode(t, err, fault.SignoffInvalid, "emergency")
}

func TestEmergencyHoursOfThePolicy(t *testing.T) {
	p := testPolicy(t)
	for hours, good := range map[int]bool{-1: false, 0: true, 1: true, MaxEmergencyHours: true, MaxEmergencyHours + 1: false} {
		if p.EmergencyLiveHours = hours; (p.Validate() == nil) != good {
			t.Errorf("%d hours: %v", hours, p.Validate())
		}
	}
	now := Moment{Wall: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	p.EmergencyLiveHours = 0
	_, err := p.NewWindow(now, time.Time{})
	wantCode(t, err, fault.EmergencyPaper, "")
	p.EmergencyLiveHours = 8
	w, err := p.NewWindow(now, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	// The policy of today may shorten the time, not lengthen it.
	now.Wall = now.Wall.Add(5 * time.Hour)
	for hours, want := range map[int]time.Duration{8: 3 * time.Hour, 100: 3 * time.Hour, 6: time.Hour} {
		p.EmergencyLiveHours = hours
		if left, err := w.Left(p, now, time.Time{}); err != nil || left != want {
			t.Errorf("%d hours: %v %v, want %v", hours, left, err, want)
		}
	}
	p.EmergencyLiveHours = 5
	_, err = w.Left(p, now, time.Time{})
	wantCode(t, err, fault.EmergencyOver, "")
}

// FuzzReview needs no valid signature: it gives the predicate that a signature would vouch for.
func FuzzReview(f *testing.F) {
	p := testPolicy(f)
	r, w := testReview("bert")
	raw, err := bundle.CanonicalJSON(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"emergency":null,"log_heads":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		env, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, testManifestBytes)}, PredicateType: bundle.TypeReview, Predicate: raw}, seeded("bert"))
		if err != nil {
			return
		}
		got, err := CheckReview(p, env, w)
		if err == nil && got == nil {
			t.Fatal("nothing, without an error")
		}
	})
}
