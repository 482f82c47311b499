package compliance

import (
	"crypto/sha512"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/bundle"
	"sluice/internal/printable"
)

// RecordSchema is the schema of a sign-off record.
const RecordSchema = "sluice-record/1"

// Record is what the report of a sign-off shows: the checklist in both languages, every decision, a refusal too, and the
// signed envelopes themselves, so that other tools can check them. It is made from them and proves nothing itself.
type Record struct {
	Schema         string                 `json:"schema"`
	Stage          Stage                  `json:"stage"`
	ModelFamily    string                 `json:"model_family"`
	Version        string                 `json:"version"`
	Variant        string                 `json:"variant"`
	ManifestSHA384 bundle.Digest          `json:"manifest_sha384"`
	Machine        Machine                `json:"machine"`
	PolicyNumber   int                    `json:"policy_number"` // of the policy that judged
	Complete       bool                   `json:"complete"`
	MissingRoles   []string               `json:"missing_roles"`
	NeedsApproved  bool                   `json:"needs_approved"`
	Independent    bool                   `json:"needs_independent"`   // somebody other than who installed must approve
	Installer      string                 `json:"installer,omitempty"` // who installed, as they said
	Refused        bool                   `json:"refused"`
	Checklist      *Checklist             `json:"checklist"`
	Texts          map[Lang]string        `json:"texts"`   // Questions in each language
	Digests        map[Lang]bundle.Digest `json:"digests"` // their SHA-384
	Decisions      []RecordedDecision     `json:"decisions"`
	Emergency      *Emergency             `json:"emergency,omitempty"`
	Facts          *Facts                 `json:"facts,omitempty"` // what the program found; set by whoever makes the record
}

// RecordedDecision is one decision with the envelope that proves it.
type RecordedDecision struct {
	Signed
	Decision *Decision      `json:"decision"`
	Form     *Form          `json:"form"`      // checklist, evidence and answers as they were signed
	SameText bool           `json:"same_text"` // the person signed the wording that this record shows
	Bytes    jsontext.Value `json:"envelope"`  // the DSSE envelope; its bytes in RFC 8785 form
}

// NewRecord checks the envelopes as CheckApprovals does, lets a refusal stand, and puts the record together.
func NewRecord(c *Checklist, policy *Policy, envelopes [][]byte, want Want) (*Record, error) {
	signed, err := examine(policy, envelopes, want)
	if err != nil {
		return nil, err
	}
	if c == nil || c.Stage != want.Stage || c.ManifestSHA384 != sha512.Sum384(want.Manifest) {
		return nil, signoffInvalid("the checklist is not the one of these sign-offs")
	}
	a := count(policy, signed, want)
	r := &Record{Schema: RecordSchema, Stage: c.Stage, ModelFamily: c.ModelFamily, Version: c.Version, Variant: want.Variant,
		ManifestSHA384: c.ManifestSHA384, Machine: want.Machine, PolicyNumber: policy.Number, Complete: a.Complete,
		MissingRoles: a.MissingRoles, NeedsApproved: a.NeedsApproved, Independent: a.NeedsIndependent, Installer: want.Installer, Checklist: c, Decisions: []RecordedDecision{},
		Texts: map[Lang]string{}, Digests: map[Lang]bundle.Digest{}, Emergency: want.Emergency}
	for _, lang := range []Lang{English, Polish} {
		r.Texts[lang], r.Digests[lang] = c.Questions(lang), c.TextDigest(lang)
	}
	for i, s := range signed {
		r.Refused = r.Refused || s.Decision.Refused
		r.Decisions = append(r.Decisions, RecordedDecision{Signed: s, Decision: s.Decision, Form: s.Form,
			SameText: maps.Equal(s.Decision.Texts, r.Digests), Bytes: envelopes[i]})
	}
	r.Complete = r.Complete && !r.Refused
	return r, nil
}

// JSON is the record in RFC 8785 form with a line feed at the end.
func (r *Record) JSON() ([]byte, error) {
	raw, err := bundle.CanonicalJSON(r)
	if err != nil {
		return nil, fmt.Errorf("writing sign-off record: %w", err)
	}
	return append(raw, '\n'), nil
}

// Text is the record for people, in one language.
func (r *Record) Text(lang Lang) string {
	w := wordsOf(lang)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s, %s\n", w["record"], printable.Line(r.ModelFamily, 64), printable.Line(r.Version, 64), w["stage_"+string(r.Stage)])
	if e := r.Emergency; e != nil {
		fmt.Fprintf(&b, "*** %s ***\n%s: %s\n%s: %s, %s\n", w["emergency"], w["reason"], printable.Line(e.Reason, maxText), w["emergency_by"],
			printable.Line(e.By, maxName), printable.Line(e.At, 64))
	}
	for _, f := range [][2]string{{w["variant"], r.Variant}, {"manifest.json SHA-384", r.ManifestSHA384.String()},
		{w["machine"], r.Machine.KeyID}, {w["system"], r.Machine.System.String()}, {w["policy"], fmt.Sprint(r.PolicyNumber)}} {
		fmt.Fprintf(&b, "%s: %s\n", f[0], printable.Line(f[1], 200))
	}
	fmt.Fprintf(&b, "%s\n\n%s\n%s:\n", r.outcome(w), r.Checklist.Text(lang), w["signatures"])
	for i := range r.Decisions {
		r.Decisions[i].write(&b, i+1, w)
	}
	return b.String()
}

func (r *Record) outcome(w words) string {
	switch {
	case r.Refused:
		return w["refused"]
	case r.Complete:
		return w["complete"]
	}
	var missing []string
	for _, role := range r.MissingRoles {
		missing = append(missing, w.roleName(role))
	}
	if r.NeedsApproved {
		missing = append(missing, w["needs_approved"])
	}
	if r.Independent {
		missing = append(missing, w["needs_independent"])
	}
	return w["incomplete"] + ": " + strings.Join(missing, ", ")
}

func (s *RecordedDecision) write(b *strings.Builder, n int, w words) {
	d := s.Decision
	fmt.Fprintf(b, "\n%d. %s (%s)\n", n, printable.Line(s.Name, maxName), printable.Line(s.Person, 64))
	line(b, w["role"], w.roleName(d.Role))
	if d.Refused {
		line(b, w["refused"], d.Reason)
	} else {
		line(b, w["meaning"], w[string(d.Meaning)])
	}
	line(b, w["signed_at"], d.SignedAt)
	line(b, w["key"], s.KeyID)
	line(b, w["envelope"], s.Envelope.String())
	line(b, w["policy"], fmt.Sprint(d.PolicyNumber))
	line(b, w["language"], string(d.Language))
	if !s.SameText {
		line(b, "!", w["other_text"])
	}
	for _, it := range d.Items {
		if it.Answer == "" {
			continue
		}
		answer := w[string(it.Answer)]
		if it.Comment != "" {
			answer += " (" + it.Comment + ")"
		}
		line(b, "["+it.ID+"]", answer)
	}
	for _, name := range slices.Sorted(maps.Keys(d.LogHeads)) {
		h := d.LogHeads[name]
		line(b, w["log"]+" "+printable.Line(name, 64), fmt.Sprintf("%d %s, SHA-384 %s", h.Entries, w["entries"], h.SHA384))
	}
}

// ReportName is the name of a record's files without extension: odbior-<stage>-<version>-<date>-<time>, in UTC.
func ReportName(stage Stage, version string, at time.Time) string {
	return fmt.Sprintf("odbior-%s-%s-%s", stage, version, at.UTC().Format("20060102-150405"))
}
