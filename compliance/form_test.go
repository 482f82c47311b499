package compliance

import (
	"bytes"
	"crypto/sha512"
	"slices"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/internal/fault"
)

// What is stored beside a signature is what was signed, byte for byte.
func TestThreat22EditedForm(t *testing.T) {
	p := testPolicy(t)
	o := options(t, p, Live, "anna", RoleOperator, nil)
	d, form, err := NewDecision(o)
	if err != nil {
		t.Fatal(err)
	}
	env, err := SignDecision(d, testManifestBytes, p, seeded("anna"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Form != sha512.Sum384(form) || !bytes.HasSuffix(form, []byte("}\n")) {
		t.Errorf("form %q", form)
	}
	w := want(Live)
	w.Forms = map[bundle.Digest][]byte{d.Form: form}
	a, err := CheckApprovals(p, [][]byte{env}, w)
	if err != nil {
		t.Fatal(err)
	}
	f := a.Signed[0].Form
	if f.Person != "anna" || f.Language != Polish || len(f.Items) != len(o.Checklist.Items) || f.Items[0].Text[Polish].Step == "" {
		t.Errorf("form %+v", f)
	}
	w.Forms = nil
	_, err = CheckApprovals(p, [][]byte{env}, w)
	wantCode(t, err, fault.SignoffInvalid, "is not there")
	for name, edit := range map[string]func(string) string{
		"answer": func(s string) string { return strings.Replace(s, `"answer":"yes"`, `"answer":"no"`, 1) },
		"wording": func(s string) string {
			return strings.Replace(s, "Confirm the integrity", "Glance at the integrity", 1)
		},
		"evidence": func(s string) string { return strings.Replace(s, `"cases":"12"`, `"cases":"13"`, 1) },
		"spaces":   func(s string) string { return s + " " },
	} {
		changed := []byte(edit(string(form)))
		if bytes.Equal(changed, form) {
			t.Fatalf("%s: nothing edited", name)
		}
		w.Forms = map[bundle.Digest][]byte{d.Form: changed}
		_, err = CheckApprovals(p, [][]byte{env}, w)
		wantCode(t, err, fault.SignoffInvalid, "not the one")
		// The same with a decision whose digest is that of the edited form: what it says does not agree.
		other := *d
		other.Form = sha512.Sum384(changed)
		if _, err := other.checkForm(changed); name != "spaces" && fault.CodeOf(err) != fault.SignoffInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChangesSinceASignature(t *testing.T) {
	p := testPolicy(t)
	_, raw, err := NewDecision(options(t, p, Live, "anna", RoleOperator, nil))
	if err != nil {
		t.Fatal(err)
	}
	f, err := ParseForm(raw)
	if err != nil {
		t.Fatal(err)
	}
	changes := func(change func(c *Checklist)) []string {
		c := testChecklist(t, Live, p)
		change(c)
		return ChangeCodes(f.Changes(c))
	}
	if got := changes(func(*Checklist) {}); len(got) != 0 {
		t.Errorf("nothing changed: %q", got)
	}
	for want, change := range map[string]func(c *Checklist){
		"item:site/new:added": func(c *Checklist) { c.Items = append(c.Items, Item{ID: "site/new", Stage: Live, Role: RoleOperator}) },
		"item:oem/market:removed": func(c *Checklist) {
			c.Items = slices.DeleteFunc(c.Items, func(i Item) bool { return i.ID == "oem/market" })
		},
		"item:rollback-plan:changed": func(c *Checklist) { c.Items[len(c.Items)-2].Optional = true },
		"text:bundle-proof:changed":  func(c *Checklist) { c.Items[0].Text = map[Lang]ItemText{English: {Step: "x"}} },
		"evidence:golden_cases:changed": func(c *Checklist) {
			c.Evidence[EvidenceGolden] = Fact{Passed: true, Values: map[string]string{"cases": "1"}}
		},
		"evidence:x:added":                 func(c *Checklist) { c.Evidence["x"] = Fact{Passed: true} },
		"evidence:rollback_target:removed": func(c *Checklist) { delete(c.Evidence, EvidenceRollback) },
		"version::changed":                 func(c *Checklist) { c.ManifestSHA384[0]++ },
	} {
		got := changes(change)
		if !slices.Equal(got, []string{want}) {
			t.Errorf("changes %q, want %q", got, want)
		}
		for _, lang := range []Lang{English, Polish} {
			if text := ChangeText(want, lang); text == want || strings.HasSuffix(text, ": ") {
				t.Errorf("%s: %q", lang, text)
			}
		}
	}
	// The log grows with each signature, and sources are where to look, not what was found.
	if got := changes(func(c *Checklist) {
		c.Evidence[EvidenceLog] = Fact{Passed: true, Values: map[string]string{"paper_entries": "99"}}
		f := c.Evidence[EvidenceGolden]
		f.Sources = []Source{{Path: "ai_models/paper.json"}}
		c.Evidence[EvidenceGolden] = f
	}); len(got) != 0 {
		t.Errorf("log and sources: %q", got)
	}
	if ChangeText("whatever", Polish) != "whatever" || ChangeText("a:b:c", English) != "a:b:c" {
		t.Error("what is no change is shown as it is")
	}
}

// Threat 26: where two people are asked for, the one who installed does not approve alone.
func TestThreat26ApproverIsTheInstaller(t *testing.T) {
	p := testPolicy(t)
	first := sign(t, options(t, p, Live, "anna", RoleOperator, nil), "anna")
	o := options(t, p, Live, "bert", RoleCompliance, first)
	o.Meaning = Reviewed
	both := [][]byte{first, sign(t, o, "bert")}
	for installer, complete := range map[string]bool{"": true, "root": true, "anna": false, " ANNA ": false, "bert": true} {
		w := want(Live)
		w.Installer = installer
		a, err := CheckApprovals(p, both, w)
		if err != nil || a.Complete != complete || a.NeedsIndependent == complete {
			t.Errorf("installed by %q: %+v, %v", installer, a, err)
		}
		r, err := NewRecord(testChecklist(t, Live, p), p, both, w)
		if err != nil || strings.Contains(r.Text(English), "somebody other than the one who installed") == complete {
			t.Errorf("installed by %q: %v\n%s", installer, err, r.Text(English))
		}
	}
	w := want(Paper)
	w.Installer = "anna"
	a, err := CheckApprovals(p, [][]byte{sign(t, options(t, p, Paper, "anna", RoleOperator, nil), "anna")}, w)
	if err != nil || !a.Complete {
		t.Errorf("one person is enough for paper: %+v, %v", a, err)
	}
}

func FuzzForm(f *testing.F) {
	d, raw, err := NewDecision(options(f, testPolicy(f), Live, "anna", RoleOperator, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"items":[null],"evidence":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		form, err := ParseForm(raw)
		if (form == nil) == (err == nil) {
			t.Fatalf("%v with %v", form, err)
		}
		if form != nil {
			other := *d
			other.Form = sha512.Sum384(raw)
			_, _ = other.checkForm(raw)
			_ = form.Changes(form.Checklist())
		}
	})
}
