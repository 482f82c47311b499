package compliance

import (
	"crypto/sha512"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/bundle"
)

// FormSchema is the only schema of a form.
const FormSchema = "sluice-form/1"

// MaxFormSize is the largest form in bytes.
const MaxFormSize = 4 << 20

// Form is what lay before a person when they signed, and what they answered: the checklist with its wording in both
// languages, the evidence and the answers. It is stored as these exact bytes (RFC 8785 and a line feed), and the decision
// holds their SHA-384.
type Form struct {
	Schema         string        `json:"schema"` // FormSchema
	Stage          Stage         `json:"stage"`
	ModelFamily    string        `json:"model_family"`
	Version        string        `json:"version"`
	Variant        string        `json:"variant"`
	ManifestSHA384 bundle.Digest `json:"manifest_sha384"`
	Machine        Machine       `json:"machine"`
	PolicyNumber   int           `json:"policy_number"`
	PolicySHA384   bundle.Digest `json:"policy_sha384"`
	Items          []Item        `json:"items"`
	Evidence       Evidence      `json:"evidence"`
	Person         string        `json:"person"`
	Role           string        `json:"role"`
	Language       Lang          `json:"language"` // the one that was shown
	Answers        []Answer      `json:"answers"`  // as given; a refusal may have none
}

// form writes down what a decision was made from.
func (d *Decision) form(c *Checklist, given *Answers) ([]byte, error) {
	f := &Form{Schema: FormSchema, Stage: d.Stage, ModelFamily: d.ModelFamily, Version: d.Version, Variant: d.Variant,
		ManifestSHA384: d.ManifestSHA384, Machine: d.Machine, PolicyNumber: d.PolicyNumber, PolicySHA384: d.PolicySHA384, Items: c.Items,
		Evidence: c.Evidence, Person: d.Person, Role: d.Role, Language: d.Language, Answers: []Answer{}}
	if given != nil {
		f.Answers = given.Answers
	}
	raw, err := bundle.CanonicalJSON(f)
	if err != nil {
		return nil, fmt.Errorf("writing form: %w", err)
	}
	raw = append(raw, '\n')
	if _, err := ParseForm(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// ParseForm reads a form strictly. It proves nothing: a decision does, by the form's digest. Error: E-SIGNOFF-INVALID.
func ParseForm(raw []byte) (*Form, error) {
	f := new(Form)
	if err := bundle.StrictUnmarshal(raw, f, MaxFormSize); err != nil {
		return nil, signoffInvalid("reading the form: %w", err).With("field", "form")
	}
	switch {
	case f.Schema != FormSchema:
		return nil, signoffInvalid("the form has schema %q, want %q", clip(f.Schema), FormSchema).With("field", "form")
	case len(f.Items) == 0 || len(f.Items) > maxItems*4 || len(f.Answers) > maxItems*4:
		return nil, signoffInvalid("the form has %d items and %d answers, want 1 to %d", len(f.Items), len(f.Answers), maxItems*4).With("field", "form")
	}
	for i := range f.Items {
		if err := f.Items[i].check(); err != nil {
			return nil, signoffInvalid("the form's item %q: %w", clip(f.Items[i].ID), err).With("field", "form")
		}
	}
	return f, nil
}

// Checklist is what was asked, with the evidence that was shown.
func (f *Form) Checklist() *Checklist {
	return &Checklist{Stage: f.Stage, ModelFamily: f.ModelFamily, Version: f.Version, ManifestSHA384: f.ManifestSHA384, Items: f.Items, Evidence: f.Evidence}
}

// checkForm proves that raw is the form that a decision was made from: its digest is signed, and it says what the decision
// says.
func (d *Decision) checkForm(raw []byte) (*Form, error) {
	bad := func(format string, args ...any) error { return signoffInvalid(format, args...).With("field", "form") }
	if raw == nil {
		return nil, bad("the form that %q signed is not there", clip(d.Person))
	}
	if sha512.Sum384(raw) != d.Form {
		return nil, bad("the form is not the one that %q signed", clip(d.Person))
	}
	f, err := ParseForm(raw)
	if err != nil {
		return nil, err
	}
	c := f.Checklist()
	switch {
	case f.Stage != d.Stage || f.ModelFamily != d.ModelFamily || f.Version != d.Version || f.Variant != d.Variant || f.ManifestSHA384 != d.ManifestSHA384 || f.Machine != d.Machine:
		return nil, bad("the form is for something else than the decision")
	case f.PolicyNumber != d.PolicyNumber || f.PolicySHA384 != d.PolicySHA384 || f.Person != d.Person || f.Role != d.Role || f.Language != d.Language:
		return nil, bad("the form names another person, role, policy or language than the decision")
	case c.TextDigest(English) != d.Texts[English] || c.TextDigest(Polish) != d.Texts[Polish]:
		return nil, bad("the form's wording is not the one that was signed")
	case len(f.Items) != len(d.Items) || len(changedFacts(f.Evidence, d.Evidence, true)) > 0:
		return nil, bad("the form's evidence or number of items is not the decision's")
	}
	given := map[string]Answer{}
	for _, a := range f.Answers {
		if _, twice := given[a.ID]; twice {
			return nil, bad("the form answers item %q twice", clip(a.ID))
		}
		given[a.ID] = a
	}
	for i, it := range f.Items {
		want := DecidedItem{ID: it.ID, Role: it.Role, Automatic: it.Automatic, Optional: it.Optional, Evidence: it.Evidence,
			Answer: given[it.ID].Answer, Comment: given[it.ID].Comment}
		if d.Items[i] != want {
			return nil, bad("the form's item %q is not the decision's", clip(it.ID))
		}
		delete(given, it.ID)
	}
	if len(given) > 0 {
		return nil, bad("the form answers what was not asked")
	}
	return f, nil
}

// Change is one thing that is not as it was when somebody signed or was asked to.
type Change struct {
	Kind ChangeKind
	ID   string // of an item or of evidence; empty for others
	How  string // "added", "removed", "changed", "withdrawn"
}

// ChangeKind says what changed.
type ChangeKind string

// What can change.
const (
	ChangedItem       ChangeKind = "item"       // of the checklist: asked of whom, or required
	ChangedText       ChangeKind = "text"       // wording of an item
	ChangedEvidence   ChangeKind = "evidence"   // what the program found
	ChangedPolicy     ChangeKind = "policy"     // the site's policy
	ChangedSignatures ChangeKind = "signatures" // who has signed before
	ChangedVersion    ChangeKind = "version"    // which version is at this stage
	ChangedLog        ChangeKind = "log"        // the logs do not hold what was signed
	ChangedRecord     ChangeKind = "record"     // the record of this stage was edited by hand
	ChangedRefusal    ChangeKind = "refusal"    // taken back by whoever refused, or stands in for them
)

// String is the change for JSON and logs: "item:site/limits:added".
func (c Change) String() string { return strings.Join([]string{string(c.Kind), c.ID, c.How}, ":") }

// ParseChange reads what String wrote.
func ParseChange(s string) (Change, bool) {
	part := strings.Split(s, ":")
	if len(part) != 3 {
		return Change{}, false
	}
	c := Change{Kind: ChangeKind(part[0]), ID: part[1], How: part[2]}
	return c, englishWords["change_"+part[0]] != "" && englishWords["how_"+part[2]] != ""
}

// Text is the change for people.
func (c Change) Text(lang Lang) string {
	w := wordsOf(lang)
	out := w["change_"+string(c.Kind)]
	if c.ID != "" {
		out += " [" + c.ID + "]"
	}
	return out + ": " + w["how_"+c.How]
}

// ChangeText is Text of what String wrote; anything else is returned as it is.
func ChangeText(s string, lang Lang) string {
	if c, ok := ParseChange(s); ok {
		return c.Text(lang)
	}
	return s
}

// Changes says what is asked or found now that was not when this form was signed, in the order of the checklist. The
// decision log is left out: it grows with each signature.
func (f *Form) Changes(now *Checklist) []Change { return f.Checklist().changes(now) }

func (c *Checklist) changes(now *Checklist) []Change {
	var out []Change
	if c.Stage != now.Stage || c.Version != now.Version || c.ManifestSHA384 != now.ManifestSHA384 {
		return []Change{{Kind: ChangedVersion, How: "changed"}}
	}
	was := map[string]Item{}
	for _, it := range c.Items {
		was[it.ID] = it
	}
	for _, it := range now.Items {
		old, there := was[it.ID]
		delete(was, it.ID)
		plain := func(x Item) Item { x.Text = nil; return x }
		switch {
		case !there:
			out = append(out, Change{ChangedItem, it.ID, "added"})
		case !sameItem(plain(old), plain(it)):
			out = append(out, Change{ChangedItem, it.ID, "changed"})
		case !maps.Equal(old.Text, it.Text):
			out = append(out, Change{ChangedText, it.ID, "changed"})
		}
	}
	for _, it := range c.Items {
		if _, gone := was[it.ID]; gone {
			out = append(out, Change{ChangedItem, it.ID, "removed"})
		}
	}
	return append(out, changedFacts(c.Evidence, now.Evidence, false)...)
}

func sameItem(a, b Item) bool {
	return a.ID == b.ID && a.Stage == b.Stage && a.Role == b.Role && a.Automatic == b.Automatic && a.Optional == b.Optional && a.Evidence == b.Evidence
}

// changedFacts compares evidence: outcome and values, and with exact the sources and the decision log too.
func changedFacts(was, now Evidence, exact bool) []Change {
	var out []Change
	names := slices.Sorted(maps.Keys(was))
	for n := range now {
		if _, there := was[n]; !there {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		a, before := was[n]
		b, after := now[n]
		switch {
		case n == EvidenceLog && !exact:
		case !before:
			out = append(out, Change{ChangedEvidence, n, "added"})
		case !after:
			out = append(out, Change{ChangedEvidence, n, "removed"})
		case a.Passed != b.Passed || !maps.Equal(a.Values, b.Values) || exact && !slices.Equal(a.Sources, b.Sources):
			out = append(out, Change{ChangedEvidence, n, "changed"})
		}
	}
	return out
}

// ChangedProof compares what a decision says of some evidence with what is true of it: for records that name a decision.
func (d *Decision) ChangedProof(now Evidence) []Change {
	was := Evidence{}
	for n := range now {
		if f, ok := d.Evidence[n]; ok {
			was[n] = f
		}
	}
	return changedFacts(was, now, false)
}

// ChangeCodes is the changes as String writes them.
func ChangeCodes(changes []Change) []string {
	out := make([]string, 0, len(changes))
	for _, c := range changes {
		out = append(out, c.String())
	}
	return out
}
