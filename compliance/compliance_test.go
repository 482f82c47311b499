package compliance

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/assets"
	"sluice/bundle"
	"sluice/internal/fault"
)

func seeded(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%-32s", name))[:32])
}

func publicKey(t testing.TB, name string) bundle.PublicKey {
	t.Helper()
	k, err := bundle.NewPublicKey(seeded(name).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func person(t testing.TB, id string, since int, roles ...string) Person {
	return Person{ID: id, Name: strings.ToUpper(id[:1]) + id[1:], Roles: roles, PublicKey: string(publicKey(t, id).PEM()), Since: since}
}

func testPolicy(t testing.TB) *Policy {
	return &Policy{Schema: PolicySchema, Number: 1, Stages: DefaultStages(), RequireModels: true, People: []Person{
		person(t, "anna", 1, RoleOperator), person(t, "bert", 1, RoleCompliance), person(t, "cleo", 1, RoleOperator, RoleCompliance), person(t, "risk", 1, "risk")}}
}

var (
	testManifestBytes = []byte(`{"this":"stands for manifest.json"}`)
	testMachine       = Machine{KeyID: "machine-key", System: bundle.Digest{9}}
)

func testManifest() *bundle.Manifest {
	return &bundle.Manifest{ModelFamily: "regime", Version: "1.4.2",
		Quality:   []bundle.QualityFigure{{ID: "accuracy", Value: 0.93, Threshold: 0.9, Direction: "min", Passed: true}},
		Checklist: []bundle.ChecklistItem{{ID: "market", Stage: "live", Text: map[string]string{"en": "Which market?", "pl": "Jaki rynek?"}}}}
}

func goodEvidence() Evidence {
	e := Evidence{EvidenceManifest: {Passed: true, Values: map[string]string{"signers": "k1"}}}
	for _, name := range []string{EvidenceGolden, EvidenceLimits, EvidenceLog, EvidenceRollback} {
		e[name] = Fact{Passed: true, Values: map[string]string{"cases": "12"}}
	}
	return e
}

func testChecklist(t testing.TB, stage Stage, p *Policy) *Checklist {
	t.Helper()
	c, err := BuildChecklist(ChecklistOptions{Stage: stage, Manifest: testManifest(), ManifestSHA384: sha512.Sum384(testManifestBytes), Policy: p, Evidence: goodEvidence()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func allYes(c *Checklist, role string) *Answers {
	a := c.NewAnswers(role)
	for i := range a.Answers {
		a.Answers[i].Answer = Yes
	}
	return a
}

func options(t testing.TB, p *Policy, stage Stage, who, role string, previous []byte) DecisionOptions {
	c := testChecklist(t, stage, p)
	return DecisionOptions{Checklist: c, Variant: "cpu", Machine: testMachine, Policy: p, Person: who, Role: role, Answers: allYes(c, role),
		Language: Polish, LogHeads: map[string]LogHead{"demo": {Entries: 7, SHA384: bundle.Digest{3}}}, Previous: previous, SignedAt: "2026-11-01T12:00:00Z"}
}

// forms are all that were made in these tests.
var forms = map[bundle.Digest][]byte{}

func decide(o DecisionOptions) (*Decision, error) {
	d, form, err := NewDecision(o)
	if err == nil {
		forms[d.Form] = form
	}
	return d, err
}

func sign(t testing.TB, o DecisionOptions, key string) []byte {
	t.Helper()
	d, err := decide(o)
	if err != nil {
		t.Fatal(err)
	}
	env, err := SignDecision(d, testManifestBytes, o.Policy, seeded(key))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func want(stage Stage) Want {
	return Want{Stage: stage, Manifest: testManifestBytes, Version: "1.4.2", Variant: "cpu", Machine: testMachine, Forms: forms}
}

func wantCode(t testing.TB, err error, code fault.Code, text string) {
	t.Helper()
	if fault.CodeOf(err) != code || err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v (%s), want %s with %q", err, fault.CodeOf(err), code, text)
	}
}

// liveSigned is what two people sign for live.
func liveSigned(t testing.TB, p *Policy) [][]byte {
	first := sign(t, options(t, p, Live, "anna", RoleOperator, nil), "anna")
	return [][]byte{first, sign(t, options(t, p, Live, "bert", RoleCompliance, first), "bert")}
}

func TestLiveNeedsOperatorAndCompliance(t *testing.T) {
	p := testPolicy(t)
	both := liveSigned(t, p)
	for n, missing := range map[int]string{0: "[operator compliance]", 1: "[compliance]", 2: "[]"} {
		a, err := CheckApprovals(p, both[:n], want(Live))
		if err != nil || a.Complete != (n == 2) || fmt.Sprint(a.MissingRoles) != missing || len(a.Signed) != n {
			t.Errorf("%d signatures: %+v, %v", n, a, err)
		}
	}
	a, err := CheckApprovals(p, both, want(Live))
	if err != nil {
		t.Fatal(err)
	}
	if s := a.Signed[1]; s.Person != "bert" || s.Name != "Bert" || s.Role != RoleCompliance || s.Meaning != Approved || s.KeyID != publicKey(t, "bert").ID() {
		t.Errorf("%+v", s)
	}
	one, err := CheckApprovals(p, [][]byte{sign(t, options(t, p, Paper, "anna", RoleOperator, nil), "anna")}, want(Paper))
	if err != nil || !one.Complete {
		t.Errorf("paper: %+v, %v", one, err)
	}
}

func TestThreat26OnePersonCannotFillTwoRoles(t *testing.T) {
	p := testPolicy(t)
	first := sign(t, options(t, p, Live, "cleo", RoleOperator, nil), "cleo")
	second := sign(t, options(t, p, Live, "cleo", RoleCompliance, first), "cleo")
	_, err := CheckApprovals(p, [][]byte{first, second}, want(Live))
	wantCode(t, err, fault.PolicyRefuses, "twice")
}

func TestThreat26SameKeyUnderTwoNames(t *testing.T) {
	p := testPolicy(t)
	p.People[1].PublicKey = p.People[0].PublicKey
	wantCode(t, p.Validate(), fault.PolicyInvalid, "same key")
}

func TestThreat26ReplayForSomethingElse(t *testing.T) {
	p := testPolicy(t)
	both := liveSigned(t, p)
	for name, c := range map[string]struct {
		change func(*Want)
		code   fault.Code
		field  string
	}{
		"stage":       {func(w *Want) { w.Stage = Paper }, fault.SignoffInvalid, "stage"},
		"variant":     {func(w *Want) { w.Variant = "cuda" }, fault.SignoffInvalid, "variant"},
		"version":     {func(w *Want) { w.Version = "1.4.3" }, fault.SignoffInvalid, "version"},
		"bundle":      {func(w *Want) { w.Manifest = []byte("another") }, fault.SignoffInvalid, "manifest"},
		"machine":     {func(w *Want) { w.Machine.KeyID = "another" }, fault.MachineOther, "machine"},
		"cloned disk": {func(w *Want) { w.Machine.System = bundle.Digest{1} }, fault.MachineOther, "machine"},
	} {
		w := want(Live)
		c.change(&w)
		_, err := CheckApprovals(p, both, w)
		wantCode(t, err, c.code, "")
		if fault.DetailOf(err)["field"] != c.field {
			t.Errorf("%s: field %v", name, fault.DetailOf(err)["field"])
		}
	}
	w := want(Live)
	w.Machine = Machine{}
	_, err := CheckApprovals(p, both, w)
	wantCode(t, err, fault.Internal, "missing")
}

func TestThreat26ApprovalsReorderedOrLeftOut(t *testing.T) {
	p := testPolicy(t)
	refusal := options(t, p, Live, "risk", "risk", nil)
	refusal.Answers, refusal.Refuse, refusal.Reason = nil, true, "drift not explained"
	first := sign(t, refusal, "risk")
	second := sign(t, options(t, p, Live, "anna", RoleOperator, first), "anna")
	third := sign(t, options(t, p, Live, "bert", RoleCompliance, second), "bert")
	_, err := CheckApprovals(p, [][]byte{first, second, third}, want(Live))
	wantCode(t, err, fault.SignoffRefused, "drift not explained")
	_, err = CheckApprovals(p, [][]byte{second, third}, want(Live)) // the refusal is thrown away
	wantCode(t, err, fault.SignoffInvalid, "does not follow")
	both := liveSigned(t, p)
	_, err = CheckApprovals(p, [][]byte{both[1], both[0]}, want(Live))
	wantCode(t, err, fault.SignoffInvalid, "does not follow")
}

// Threat 22: answers, evidence, whatever was signed.
func TestThreat22EditedDecision(t *testing.T) {
	p := testPolicy(t)
	o := options(t, p, Live, "anna", RoleOperator, nil)
	o.Answers.Answers[2].Answer, o.Answers.Answers[2].Comment = NotApplicable, "one account only"
	env := sign(t, o, "anna")
	parsed, err := bundle.ParseEnvelope(env)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"answer":   {`"not_applicable"`, `"yes"`},
		"comment":  {"one account only", "none"},
		"evidence": {`"accuracy":"0.93"`, `"accuracy":"0.99"`},
		"role":     {`"role":"operator"`, `"role":"compliance"`},
		"meaning":  {`"approved"`, `"reviewed"`},
	} {
		edited := bytes.Replace(parsed.Payload, []byte(edit[0]), []byte(edit[1]), 1)
		if bytes.Equal(edited, parsed.Payload) {
			t.Fatalf("%s: nothing to edit in %s", name, parsed.Payload)
		}
		raw, err := bundle.CanonicalJSON(map[string]any{"payload": edited, "payloadType": parsed.PayloadType,
			"signatures": []any{map[string]any{"keyid": parsed.Signatures[0].KeyID, "sig": parsed.Signatures[0].Sig}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = CheckApprovals(p, [][]byte{raw}, want(Live))
		wantCode(t, err, fault.SignoffInvalid, "verifying")
	}
	for i := range env {
		flipped := bytes.Clone(env)
		flipped[i] ^= 1
		if a, err := CheckApprovals(p, [][]byte{flipped}, want(Live)); err == nil {
			t.Fatalf("byte %d flipped passes: %+v", i, a)
		}
	}
}

func TestUnknownPersonAndWrongKey(t *testing.T) {
	p := testPolicy(t)
	other := testPolicy(t)
	other.People = append(other.People, person(t, "mallory", 1, RoleOperator))
	o := options(t, other, Live, "mallory", RoleOperator, nil)
	_, err := CheckApprovals(p, [][]byte{sign(t, o, "mallory")}, want(Live))
	wantCode(t, err, fault.PolicyRefuses, "nobody in the site's policy")

	o = options(t, p, Live, "mallory", RoleOperator, nil)
	_, err = decide(o)
	wantCode(t, err, fault.PolicyRefuses, "mallory")

	d, err := decide(options(t, p, Live, "anna", RoleOperator, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = SignDecision(d, testManifestBytes, p, seeded("bert"))
	wantCode(t, err, fault.KeyUnfit, "anna")

	// Bert signs what says it is Anna's.
	raw, err := bundle.CanonicalJSON(d)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, testManifestBytes)}, PredicateType: bundle.TypeSignoff, Predicate: raw}, seeded("bert"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckApprovals(p, [][]byte{forged}, want(Live))
	wantCode(t, err, fault.PolicyRefuses, "another person's")

	double, err := bundle.AddSignature(sign(t, options(t, p, Live, "anna", RoleOperator, nil), "anna"), seeded("bert"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckApprovals(p, [][]byte{double}, want(Live))
	wantCode(t, err, fault.SignoffInvalid, "each person signs their own")

	other2, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, testManifestBytes)}, PredicateType: bundle.TypeRollback, Predicate: raw}, seeded("anna"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckApprovals(p, [][]byte{other2}, want(Live))
	wantCode(t, err, fault.SignoffInvalid, "genuine signature of")
	_, err = CheckApprovals(nil, nil, want(Live))
	wantCode(t, err, fault.PolicyNone, "")
}

func retire(t testing.TB, old *Policy, id string) *Policy {
	t.Helper()
	p := *old
	p.Number++
	p.People = append([]Person{}, old.People...)
	p.Person(id).Retired = p.Number
	if err := errors.Join(p.Validate(), p.Follows(old)); err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestRetiredPerson(t *testing.T) {
	p1 := testPolicy(t)
	both := liveSigned(t, p1)
	p2 := retire(t, p1, "bert")

	_, err := decide(options(t, p2, Live, "bert", RoleCompliance, nil))
	wantCode(t, err, fault.PolicyRefuses, "retired")

	w := want(Live)
	_, err = CheckApprovals(p2, both, w)
	wantCode(t, err, fault.SignoffInvalid, "was not kept")
	w.PolicyAt = func(n int) (*Policy, error) { return map[int]*Policy{1: p1}[n], nil }
	_, err = CheckApprovals(p2, both, w)
	wantCode(t, err, fault.PolicyRefuses, "log does not show")
	w.Logged = func(e bundle.Digest) (int, bool) { return 1, e == sha512.Sum384(both[1]) }
	if a, err := CheckApprovals(p2, both, w); err != nil || !a.Complete {
		t.Errorf("what was signed and logged before stays valid: %+v, %v", a, err)
	}
	// The kept policy is another one than was signed under, or did not let them sign then.
	other := testPolicy(t)
	other.RequireModels = false
	w.PolicyAt = func(int) (*Policy, error) { return other, nil }
	_, err = CheckApprovals(p2, both, w)
	wantCode(t, err, fault.SignoffInvalid, "another policy with number 1")
	w.PolicyAt = func(n int) (*Policy, error) { return map[int]*Policy{1: p1}[n], nil }

	w.Logged = func(bundle.Digest) (int, bool) { return 2, true } // signed into the past, logged too late
	_, err = CheckApprovals(p2, both, w)
	wantCode(t, err, fault.PolicyRefuses, "log does not show")

	// Bert's old key signs under the new number.
	d, err := decide(options(t, p1, Live, "bert", RoleCompliance, both[0]))
	if err != nil {
		t.Fatal(err)
	}
	d.PolicyNumber = 2
	d.PolicySHA384, _ = p2.SHA384()
	form, err := d.form(testChecklist(t, Live, p1), allYes(testChecklist(t, Live, p1), RoleCompliance))
	if err != nil {
		t.Fatal(err)
	}
	d.Form = sha512.Sum384(form)
	forms[d.Form] = form
	late, err := SignDecision(d, testManifestBytes, p1, seeded("bert"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckApprovals(p2, [][]byte{both[0], late}, w)
	wantCode(t, err, fault.PolicyRefuses, "signed under 2")
	_, err = CheckApprovals(p1, [][]byte{both[0], late}, w)
	wantCode(t, err, fault.PolicyRefuses, "signed under policy number 2")
	p1b := testPolicy(t)
	p1b.RequireModels = false
	_, err = CheckApprovals(p1b, both, want(Live))
	wantCode(t, err, fault.SignoffInvalid, "another policy with number 1")
}

var failedFact = Fact{Values: map[string]string{"accuracy": "0.1", "accuracy_min": "0.9"}}

// Where there is no evidence, "not applicable" with the reason is an honest answer; a refusal may say anything.
func TestAnswersWithoutEvidence(t *testing.T) {
	p := testPolicy(t)
	o := options(t, p, Live, "anna", RoleOperator, nil)
	delete(o.Checklist.Evidence, EvidenceRollback)
	if err := o.Checklist.Allows("rollback-plan", Yes); fault.CodeOf(err) != fault.Answers || fault.DetailOf(err)["item"] != "rollback-plan" {
		t.Errorf("%v", err)
	}
	for i := range o.Answers.Answers {
		if one := &o.Answers.Answers[i]; one.ID == "rollback-plan" {
			one.Answer, one.Comment = NotApplicable, "first version"
		}
	}
	if _, err := decide(o); err != nil {
		t.Fatal(err)
	}
	o.Checklist.Evidence[EvidenceLimits] = failedFact
	o.Refuse, o.Reason = true, "too slow"
	if _, err := decide(o); err != nil {
		t.Fatal(err)
	}
	text := string(o.Checklist.Template(RoleOperator, English))
	for _, want := range []string{englishWords["only_no"], englishWords["only_na"]} {
		if strings.Count(text, want) != 1 {
			t.Errorf("the template says %q %d times", want, strings.Count(text, want))
		}
	}
}

// A manifest without quality figures has no evidence of quality; one whose figure failed has evidence that it did.
func TestQualityEvidence(t *testing.T) {
	m := testManifest()
	o := ChecklistOptions{Stage: Live, Manifest: m, ManifestSHA384: sha512.Sum384(testManifestBytes), Evidence: goodEvidence()}
	for _, c := range []struct {
		figures []bundle.QualityFigure
		allowed []Reply
	}{
		{nil, []Reply{No, NotApplicable}},
		{[]bundle.QualityFigure{{ID: "accuracy", Value: 0.1, Threshold: 0.9, Direction: "min"}}, []Reply{No}},
		{[]bundle.QualityFigure{{ID: "accuracy", Value: 0.95, Threshold: 0.9, Direction: "min", Passed: true}}, []Reply{Yes, No, NotApplicable}},
	} {
		m.Quality = c.figures
		list, err := BuildChecklist(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []Reply{Yes, No, NotApplicable} {
			if got := list.Allows("quality-figures", r) == nil; got != slices.Contains(c.allowed, r) {
				t.Errorf("figures %v: reply %q is allowed: %v", c.figures, r, got)
			}
		}
	}
}

func TestAnswersAtSigning(t *testing.T) {
	p := testPolicy(t)
	for name, c := range map[string]struct {
		change func(*DecisionOptions)
		code   fault.Code
		text   string
	}{
		"missing":         {func(o *DecisionOptions) { o.Answers.Answers = o.Answers.Answers[1:] }, fault.Answers, "is not answered"},
		"empty":           {func(o *DecisionOptions) { o.Answers.Answers[0].Answer = "" }, fault.Answers, "is not answered"},
		"none":            {func(o *DecisionOptions) { o.Answers = nil }, fault.Answers, "no answers"},
		"other word":      {func(o *DecisionOptions) { o.Answers.Answers[0].Answer = "maybe" }, fault.Answers, "want yes, no"},
		"no, no comment":  {func(o *DecisionOptions) { o.Answers.Answers[1].Answer = No }, fault.Answers, "needs a comment"},
		"n/a, no comment": {func(o *DecisionOptions) { o.Answers.Answers[1].Answer = NotApplicable }, fault.Answers, "needs a comment"},
		"required no":     {func(o *DecisionOptions) { o.Answers.Answers[1].Answer, o.Answers.Answers[1].Comment = No, "not yet" }, fault.Answers, "cannot be approved"},
		"integrity n/a": {func(o *DecisionOptions) {
			o.Answers.Answers[0].Answer, o.Answers.Answers[0].Comment = NotApplicable, "x"
		}, fault.Answers, "must be answered"},
		"twice":         {func(o *DecisionOptions) { o.Answers.Answers = append(o.Answers.Answers, o.Answers.Answers[0]) }, fault.Answers, "twice"},
		"not asked":     {func(o *DecisionOptions) { o.Answers.Answers[0].ID = "quality-figures" }, fault.Answers, "not asked"},
		"other stage":   {func(o *DecisionOptions) { o.Answers.Stage = Paper }, fault.Answers, "are for stage"},
		"other bundle":  {func(o *DecisionOptions) { o.Answers.ManifestSHA384 = strings.Repeat("0", 96) }, fault.Answers, "are for stage"},
		"other role":    {func(o *DecisionOptions) { o.Answers.Role = RoleCompliance }, fault.Answers, "those of role"},
		"bidi comment":  {func(o *DecisionOptions) { o.Answers.Answers[0].Comment = "a\u202eb" }, fault.Answers, "control character"},
		"long comment":  {func(o *DecisionOptions) { o.Answers.Answers[0].Comment = strings.Repeat("x", 2001) }, fault.Answers, "characters"},
		"golden failed": {func(o *DecisionOptions) { o.Checklist.Evidence[EvidenceGolden] = Fact{} }, fault.PolicyRefuses, "golden-cases"},
		"no evidence":   {func(o *DecisionOptions) { delete(o.Checklist.Evidence, EvidenceManifest) }, fault.PolicyRefuses, "bundle-proof"},
		"failed figure": {func(o *DecisionOptions) { o.Checklist.Evidence[EvidenceLimits] = failedFact }, fault.Answers, "\"operating-limits\": answer \"yes\", but its evidence"},
		"no figure":     {func(o *DecisionOptions) { delete(o.Checklist.Evidence, EvidenceLimits) }, fault.Answers, "\"operating-limits\": answer \"yes\", but there is no evidence"},
		"empty figure":  {func(o *DecisionOptions) { o.Checklist.Evidence[EvidenceLimits] = Fact{} }, fault.Answers, "but there is no evidence"},
		"failed, n/a": {func(o *DecisionOptions) {
			o.Checklist.Evidence[EvidenceLimits] = failedFact
			o.Answers.Answers[1].Answer, o.Answers.Answers[1].Comment = NotApplicable, "so what"
		}, fault.Answers, "did not pass: want \"no\""},
		"role not held": {func(o *DecisionOptions) { o.Role = RoleCompliance }, fault.PolicyRefuses, "not \"compliance\""},
		"role unclear":  {func(o *DecisionOptions) { o.Person, o.Role = "cleo", "" }, fault.PolicyRefuses, "to be named"},
		"no reason":     {func(o *DecisionOptions) { o.Refuse = true }, fault.Answers, "needs a reason"},
		"meaning":       {func(o *DecisionOptions) { o.Meaning = "seen" }, fault.Answers, "meaning"},
		"no policy":     {func(o *DecisionOptions) { o.Policy = nil }, fault.PolicyNone, "no policy"},
		"no machine":    {func(o *DecisionOptions) { o.Machine = Machine{} }, fault.Answers, "machine"},
		"time":          {func(o *DecisionOptions) { o.SignedAt = "yesterday" }, fault.Answers, "RFC 3339"},
	} {
		o := options(t, p, Live, "anna", RoleOperator, nil)
		c.change(&o)
		d, err := decide(o)
		if d != nil {
			t.Errorf("%s: a decision with an error", name)
		}
		t.Run(name, func(t *testing.T) { wantCode(t, err, c.code, c.text) })
	}
	o := options(t, p, Live, "anna", "", nil)
	o.Answers = allYes(o.Checklist, RoleOperator)
	if d, err := decide(o); err != nil || d.Role != RoleOperator || d.Meaning != Approved {
		t.Errorf("role by policy: %+v, %v", d, err)
	}
}

// An approval whose required item says "no" is refused again when it is checked, whatever tool signed it.
func TestForeignToolCannotApproveOverNo(t *testing.T) {
	p := testPolicy(t)
	for name, change := range map[string]func(*Decision){
		"no":               func(d *Decision) { d.Items[4].Answer, d.Items[4].Comment = No, "x" },
		"unanswered":       func(d *Decision) { d.Items[4].Answer = "" },
		"failed evidence":  func(d *Decision) { d.Evidence[EvidenceGolden] = Fact{} },
		"yes over failed":  func(d *Decision) { d.Evidence[EvidenceLimits] = failedFact },
		"yes over nothing": func(d *Decision) { delete(d.Evidence, EvidenceLimits) },
		"integrity absent": func(d *Decision) { d.Items = append(d.Items[:2:2], d.Items[3:]...) },
		"others' item":     func(d *Decision) { d.Items[3].Answer = Yes },
	} {
		d, err := decide(options(t, p, Live, "anna", RoleOperator, nil))
		if err != nil {
			t.Fatal(err)
		}
		change(d)
		if _, err := SignDecision(d, testManifestBytes, p, seeded("anna")); fault.CodeOf(err) != fault.Answers {
			t.Errorf("%s: SignDecision: %v", name, err)
		}
		raw, err := bundle.CanonicalJSON(d)
		if err != nil {
			t.Fatal(err)
		}
		env, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, testManifestBytes)}, PredicateType: bundle.TypeSignoff, Predicate: raw}, seeded("anna"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = CheckApprovals(p, [][]byte{env}, want(Live))
		wantCode(t, err, fault.SignoffInvalid, "the decision")
	}
}

func TestOnlyReviewedIsNotApproved(t *testing.T) {
	p := testPolicy(t)
	o := options(t, p, Paper, "anna", RoleOperator, nil)
	o.Meaning = Reviewed
	a, err := CheckApprovals(p, [][]byte{sign(t, o, "anna")}, want(Paper))
	if err != nil || a.Complete || !a.NeedsApproved || len(a.MissingRoles) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestPolicyWithMoreRoles(t *testing.T) {
	p := testPolicy(t)
	p.Stages[Paper] = StagePolicy{Roles: []string{RoleOperator, RoleOperator}}
	first := sign(t, options(t, p, Paper, "anna", RoleOperator, nil), "anna")
	a, err := CheckApprovals(p, [][]byte{first}, want(Paper))
	if err != nil || a.Complete || fmt.Sprint(a.MissingRoles) != "[operator]" {
		t.Errorf("%+v, %v", a, err)
	}
	second := sign(t, options(t, p, Paper, "cleo", RoleOperator, first), "cleo")
	if a, err := CheckApprovals(p, [][]byte{first, second}, want(Paper)); err != nil || !a.Complete {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestPolicyRules(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Policy)
		text   string
	}{
		"schema":        {func(p *Policy) { p.Schema = "x" }, "schema"},
		"number":        {func(p *Policy) { p.Number = 0 }, "number 0"},
		"person id":     {func(p *Policy) { p.People[0].ID = "Anna" }, "id"},
		"name":          {func(p *Policy) { p.People[0].Name = "a\u202eb" }, "control or format"},
		"no name":       {func(p *Policy) { p.People[0].Name = "" }, "name"},
		"twice":         {func(p *Policy) { p.People[1].ID = "anna" }, "twice"},
		"no roles":      {func(p *Policy) { p.People[0].Roles = nil }, "0 roles"},
		"role twice":    {func(p *Policy) { p.People[0].Roles = []string{"a", "a"} }, "twice"},
		"role every":    {func(p *Policy) { p.People[0].Roles = []string{RoleEvery} }, "every"},
		"key":           {func(p *Policy) { p.People[0].PublicKey = "x" }, "public key"},
		"key trailing":  {func(p *Policy) { p.People[0].PublicKey += "\n" }, "plain PEM"},
		"since":         {func(p *Policy) { p.People[0].Since = 2 }, "since"},
		"retired early": {func(p *Policy) { p.People[0].Retired = 1 }, "retired"},
		"live weaker":   {func(p *Policy) { p.Stages[Live] = StagePolicy{Roles: []string{RoleOperator}} }, "not for less"},
		"paper weaker":  {func(p *Policy) { p.Stages[Paper] = StagePolicy{Roles: []string{"risk"}} }, "not for less"},
		"no live":       {func(p *Policy) { delete(p.Stages, Live) }, "1 stages"},
		"other stage":   {func(p *Policy) { p.Stages["demo"] = StagePolicy{} }, "3 stages"},
		"item":          {func(p *Policy) { p.Checklist = []Item{{ID: "x", Stage: Live, Role: RoleOperator}} }, "English"},
		"item automatic": {func(p *Policy) {
			p.Checklist = []Item{{ID: "x", Stage: Live, Role: RoleOperator, Automatic: true, Evidence: "e", Text: map[Lang]ItemText{English: {Step: "x"}}}}
		}, "automatic"},
	} {
		p := testPolicy(t)
		c.change(p)
		t.Run(name, func(t *testing.T) { wantCode(t, p.Validate(), fault.PolicyInvalid, c.text) })
	}
}

func TestPolicySuccession(t *testing.T) {
	old := testPolicy(t)
	wantCode(t, (&Policy{Number: 2}).Follows(nil), fault.PolicyInvalid, "want 1")
	retired := retire(t, old, "bert")
	for name, c := range map[string]struct {
		old    *Policy
		change func(*Policy)
		text   string
	}{
		"number":    {old, func(p *Policy) { p.Number = 3 }, "want 2"},
		"removed":   {old, func(p *Policy) { p.People = p.People[1:] }, "missing"},
		"key":       {old, func(p *Policy) { p.People[0].PublicKey = string(publicKey(t, "x").PEM()) }, "key"},
		"role lost": {old, func(p *Policy) { p.People[2].Roles = []string{RoleOperator} }, "lost role"},
		"new since": {old, func(p *Policy) { p.People = append(p.People, person(t, "dora", 1, RoleOperator)) }, "since"},
		"come back": {retired, func(p *Policy) { p.People[1].Retired = 0 }, "retired"},
		"early end": {retired, func(p *Policy) { p.People[0].Retired = 2 }, "retires"},
	} {
		p := *c.old
		p.Number++
		p.People = append([]Person{}, c.old.People...)
		if err := p.Follows(c.old); err != nil {
			t.Fatal(err)
		}
		c.change(&p)
		t.Run(name, func(t *testing.T) { wantCode(t, p.Follows(c.old), fault.PolicyInvalid, c.text) })
	}
}

func TestPolicyEnvelope(t *testing.T) {
	p := testPolicy(t)
	env, err := SignPolicy(p, seeded("site"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := bundle.ParseEnvelope(env)
	if err != nil {
		t.Fatal(err)
	}
	st, _, err := e.Verify(bundle.TypePolicy, []bundle.PublicKey{publicKey(t, "site")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	back, err := PolicyOf(st)
	if err != nil || back.Person("cleo") == nil || !back.RequireModels {
		t.Fatalf("%+v, %v", back, err)
	}
	st.Subjects[0].SHA384[0] ^= 1
	_, err = PolicyOf(st)
	wantCode(t, err, fault.PolicyInvalid, "subject")
	for _, bad := range []string{``, `{}`, `[]`, `{"schema":"sluice-policy/1","number":1,"people":[],"stages":{},"require_models":true,"extra":1}`, `{"schema":"sluice-policy/1","schema":"sluice-policy/1"}`} {
		_, err := ParsePolicy([]byte(bad))
		wantCode(t, err, fault.PolicyInvalid, "")
	}
}

func TestChecklistHasTheDocumentedItems(t *testing.T) {
	for _, stage := range []Stage{Paper, Live} {
		p := testPolicy(t)
		p.Checklist = []Item{{ID: "market", Stage: Live, Role: RoleCompliance, Text: map[Lang]ItemText{English: {Step: "Site question"}}}}
		c := testChecklist(t, stage, p)
		found := map[string]Item{}
		for _, it := range c.Items {
			if _, ok := found[it.ID]; ok {
				t.Errorf("%s: %q twice", stage, it.ID)
			}
			found[it.ID] = it
			for _, lang := range []Lang{English, Polish} {
				if x := it.In(lang); !strings.Contains(it.ID, "/") && (x.Step == "" || x.Artifacts == "" || x.Acceptance == "") {
					t.Errorf("%s: %q lacks a column in %q", stage, it.ID, lang)
				}
			}
		}
		integrity := found[IntegrityItem]
		if integrity.In(Polish).Step != "Potwierdź integralność modeli OEM" || integrity.In(English).Step != "Confirm the integrity of the OEM models" || integrity.Role != RoleEvery {
			t.Errorf("%s: %+v", stage, integrity)
		}
		for _, id := range []string{"golden-cases", "quality-figures", "operating-limits"} {
			if _, ok := found[id]; !ok {
				t.Errorf("%s lacks %q", stage, id)
			}
		}
		if _, ok := found["rollback-plan"]; ok != (stage == Live) {
			t.Errorf("%s: rollback-plan %v", stage, ok)
		}
		if _, ok := found["oem/market"]; ok != (stage == Live) {
			t.Errorf("%s: the OEM's question %v", stage, ok)
		}
		if _, ok := found["site/market"]; ok != (stage == Live) {
			t.Errorf("%s: the site's question %v", stage, ok)
		}
		pl := c.Text(Polish)
		for _, word := range []string{"Krok:", "Odpowiedzialny:", "Artefakty:", "Akceptacja:", "accuracy=0.93"} {
			if !strings.Contains(pl, word) {
				t.Errorf("Polish text lacks %q", word)
			}
		}
		if c.TextDigest(Polish) == c.TextDigest(English) || c.TextDigest(Polish) != sha512.Sum384([]byte(c.Questions(Polish))) {
			t.Error("text digests")
		}
		if strings.Contains(c.Questions(English), "accuracy=") {
			t.Error("the questions hold evidence")
		}
	}
	if _, err := builtIn(); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(assets.Checklist(), []byte(IntegrityItem)) {
		t.Error("assets lack the integrity item")
	}
	_, err := BuildChecklist(ChecklistOptions{Stage: "demo", Manifest: testManifest(), ManifestSHA384: bundle.Digest{1}})
	wantCode(t, err, fault.Usage, "stage")
	m := testManifest()
	m.Checklist[0].Text["en"] = ""
	_, err = BuildChecklist(ChecklistOptions{Stage: Live, Manifest: m, ManifestSHA384: bundle.Digest{1}})
	wantCode(t, err, fault.ManifestInvalid, "English")
}

func TestAnswersFile(t *testing.T) {
	c := testChecklist(t, Live, testPolicy(t))
	for _, lang := range []Lang{English, Polish} {
		template := c.Template(RoleOperator, lang)
		a, err := ParseAnswers(template)
		if err != nil {
			t.Fatalf("%s\n%v", template, err)
		}
		if _, err := a.check(c, RoleOperator, true); fault.CodeOf(err) != fault.Answers {
			t.Errorf("an empty template passes: %v", err)
		}
		filled, err := ParseAnswers(bytes.ReplaceAll(template, []byte(`answer: ""`), []byte(`answer: yes`)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := filled.check(c, RoleOperator, true); err != nil {
			t.Errorf("%s: %v", lang, err)
		}
	}
	raw, err := bundle.CanonicalJSON(allYes(c, RoleOperator))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ParseAnswers(raw); err != nil || len(a.Answers) != len(c.For(RoleOperator)) {
		t.Errorf("JSON: %+v, %v", a, err)
	}
	for name, bad := range map[string]string{
		"empty": "", "schema": "schema: other\n", "unknown key": "schema: sluice-answers/1\nstages: live\n", "duplicate": "schema: sluice-answers/1\nschema: sluice-answers/1\n",
		"two documents": "schema: sluice-answers/1\n---\nschema: sluice-answers/1\n", "alias": "schema: &a sluice-answers/1\nstage: *a\n", "tag": "schema: !!str sluice-answers/1\n",
		"list": "- 1\n", "broken": "schema: [\n", "JSON unknown": `{"schema":"sluice-answers/1","x":1}`, "large": "#" + strings.Repeat("x", MaxAnswersSize),
	} {
		a, err := ParseAnswers([]byte(bad))
		if a != nil || fault.CodeOf(err) != fault.Answers {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestRecord(t *testing.T) {
	p := testPolicy(t)
	c := testChecklist(t, Live, p)
	both := liveSigned(t, p)
	r, err := NewRecord(c, p, both, want(Live))
	if err != nil || !r.Complete || r.Refused || len(r.Decisions) != 2 || !r.Decisions[0].SameText {
		t.Fatalf("%+v, %v", r, err)
	}
	raw, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Record
	if err := bundle.StrictUnmarshal(raw, &back, 1<<20); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if !bytes.Equal(back.Decisions[0].Bytes, both[0]) {
		t.Error("the record does not hold the envelope as it was signed")
	}
	for lang, words := range map[Lang][]string{
		Polish:  {"Protokół odbioru: regime 1.4.2, etap live", "Komplet", "Anna (anna)", "zatwierdził(a)", "Potwierdź integralność modeli OEM", "[model-integrity]: tak", "Dziennik demo: 7 wpisów"},
		English: {"Sign-off record: regime 1.4.2, stage live", "Complete", "Bert (bert)", "compliance officer", "[oem/market]: yes"},
	} {
		text := r.Text(lang)
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", lang, w, text)
			}
		}
	}
	part, err := NewRecord(c, p, both[:1], want(Live))
	if err != nil || part.Complete || !strings.Contains(part.Text(Polish), "brakuje: osoba ds. zgodności") {
		t.Errorf("%+v, %v", part, err)
	}
	o := options(t, p, Live, "anna", RoleOperator, nil)
	o.Refuse, o.Reason, o.Answers = true, "hidden \x1b[8mtext", nil
	if _, err := decide(o); fault.CodeOf(err) != fault.Answers {
		t.Errorf("escape sequence in a reason: %v", err)
	}
	o.Reason = "latency too high"
	refused, err := NewRecord(c, p, [][]byte{sign(t, o, "anna")}, want(Live))
	if err != nil || !refused.Refused || refused.Complete || !strings.Contains(refused.Text(English), "REFUSED: latency too high") {
		t.Errorf("%+v, %v", refused, err)
	}
	if _, err := NewRecord(testChecklist(t, Paper, p), p, both, want(Live)); fault.CodeOf(err) != fault.SignoffInvalid {
		t.Errorf("checklist of another stage: %v", err)
	}
	if got := ReportName(Live, "1.4.2", time.Date(2026, 11, 1, 12, 30, 5, 0, time.UTC)); got != "odbior-live-1.4.2-20261101-123005" {
		t.Error(got)
	}
}

func FuzzPolicy(f *testing.F) {
	raw, err := bundle.CanonicalJSON(testPolicy(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"people":[null],"stages":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParsePolicy(raw)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v with %v", p, err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("schema: sluice-answers/1\nanswers:\n - {id: a, answer: yes}\n"))
	f.Add([]byte(`{"schema":"sluice-answers/1"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ParseAnswers(raw)
		if (a == nil) == (err == nil) {
			t.Fatalf("%v with %v", a, err)
		}
		if a != nil {
			_, _ = a.check(testChecklist(t, Live, nil), RoleOperator, true)
		}
	})
}

// FuzzDecision needs no valid signature: it gives the predicate that a signature would vouch for.
func FuzzDecision(f *testing.F) {
	p := testPolicy(f)
	d, err := decide(options(f, p, Live, "anna", RoleOperator, nil))
	if err != nil {
		f.Fatal(err)
	}
	raw, err := bundle.CanonicalJSON(d)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"items":[null],"evidence":null,"texts":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		env, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject(manifestName, testManifestBytes)}, PredicateType: bundle.TypeSignoff, Predicate: raw}, seeded("anna"))
		if err != nil {
			return
		}
		a, err := CheckApprovals(p, [][]byte{env}, want(Live))
		if (a == nil) == (err == nil) {
			t.Fatalf("%v with %v", a, err)
		}
	})
}
