package compliance

import (
	"crypto/sha512"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sluice/assets"
	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/printable"
)

// Prefixes of ids that are not built in, so that no two sources can clash.
const (
	oemPrefix  = "oem/"
	sitePrefix = "site/"
)

const maxBuiltIn = 1 << 20 // bytes of the built-in checklist

// builtIn are the items that every sign-off has.
var builtIn = sync.OnceValues(func() ([]Item, error) {
	var items []Item
	if err := bundle.StrictUnmarshal(assets.Checklist(), &items, maxBuiltIn); err != nil {
		return nil, fault.New(fault.Internal, "reading the built-in checklist: %w", err)
	}
	for i := range items {
		if err := items[i].check(); err != nil || !idPattern.MatchString(items[i].ID) {
			return nil, fault.New(fault.Internal, "built-in checklist item %q: %w", items[i].ID, err)
		}
	}
	return items, nil
})

// BuildChecklist puts together what is asked for one stage of one bundle: the built-in items, then those of the manifest
// (ids with "oem/"), then those of the policy (ids with "site/"). Errors: E-MANIFEST for a manifest's item that cannot be shown.
func BuildChecklist(o ChecklistOptions) (*Checklist, error) {
	if o.Manifest == nil || o.ManifestSHA384.IsZero() {
		return nil, fault.New(fault.Internal, "a checklist needs a manifest and its digest")
	}
	if o.Stage != Paper && o.Stage != Live {
		return nil, fault.New(fault.Usage, "stage %q, want %q or %q", o.Stage, Paper, Live)
	}
	c := &Checklist{Stage: o.Stage, ModelFamily: o.Manifest.ModelFamily, Version: o.Manifest.Version, ManifestSHA384: o.ManifestSHA384,
		Evidence: maps.Clone(o.Evidence)}
	if c.Evidence == nil {
		c.Evidence = Evidence{}
	}
	if _, ok := c.Evidence[EvidenceQuality]; !ok && len(o.Manifest.Quality) > 0 {
		c.Evidence[EvidenceQuality] = QualityFact(o.Manifest.Quality)
	}
	base, err := builtIn()
	if err != nil {
		return nil, err
	}
	c.add("", base)
	var oem []Item
	for _, q := range o.Manifest.Checklist {
		it := Item{ID: q.ID, Stage: Stage(q.Stage), Role: q.Role, Text: map[Lang]ItemText{}}
		if it.Role == "" {
			it.Role = RoleOperator
		}
		for _, lang := range []Lang{English, Polish} {
			if text := q.Text[string(lang)]; text != "" {
				it.Text[lang] = ItemText{Step: text}
			}
		}
		if err := it.check(); err != nil {
			return nil, fault.New(fault.ManifestInvalid, "checklist item %q: %w", clip(q.ID), err)
		}
		oem = append(oem, it)
	}
	c.add(oemPrefix, oem)
	if o.Policy != nil {
		c.add(sitePrefix, o.Policy.Checklist)
	}
	return c, nil
}

func (c *Checklist) add(prefix string, items []Item) {
	for _, it := range items {
		if it.Stage == c.Stage {
			it.ID = prefix + it.ID
			c.Items = append(c.Items, it)
		}
	}
}

// QualityFact is the evidence of a manifest's quality figures: each value with its threshold, and whether all pass.
func QualityFact(figures []bundle.QualityFigure) Fact {
	f := Fact{Passed: true, Values: map[string]string{}}
	for _, q := range figures {
		f.Passed = f.Passed && q.Passed
		num := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		f.Values[q.ID] = num(q.Value)
		f.Values[q.ID+"_"+q.Direction] = num(q.Threshold)
	}
	return f
}

// For gives the items that a person in this role answers, in order.
func (c *Checklist) For(role string) []Item {
	var out []Item
	for _, it := range c.Items {
		if !it.Automatic && (it.Role == role || it.Role == RoleEvery) {
			out = append(out, it)
		}
	}
	return out
}

// Allows says whether a reply to an item agrees with its evidence: "yes" wants evidence that passed; where it was found and
// did not pass, only "no" is true; where it is not available, "not_applicable" (with a comment) may be. An item without
// evidence takes any reply. Error: E-ANSWERS with the detail item.
func (c *Checklist) Allows(id string, r Reply) error {
	for i := range c.Items {
		if it := &c.Items[i]; it.ID == id {
			if err := c.Evidence.allows(it.Evidence, r); err != nil {
				return answersFault("item %q: %w", id, err).With("item", id)
			}
			return nil
		}
	}
	return answersFault("item %q is not in the checklist", clip(id)).With("item", clip(id))
}

// found says whether evidence is available, and whether it passed.
func (e Evidence) found(name string) (available, passed bool) {
	f := e[name]
	return f.Passed || len(f.Values) > 0, f.Passed
}

func (e Evidence) allows(name string, r Reply) error {
	available, passed := e.found(name)
	switch {
	case name == "" || passed || r == No:
		return nil
	case available && r != "":
		return fmt.Errorf("answer %q, but its evidence %q did not pass: want \"no\"", r, name)
	case r == Yes:
		return fmt.Errorf("answer \"yes\", but there is no evidence %q: want \"not_applicable\" with a comment, or \"no\"", name)
	}
	return nil
}

// Failed lists the automatic items, but for optional ones, whose evidence is missing or did not pass.
func (c *Checklist) Failed() []string {
	var out []string
	for _, it := range c.Items {
		if it.Automatic && !it.Optional && !c.Evidence[it.Evidence].Passed {
			out = append(out, it.ID)
		}
	}
	return out
}

// In is the item's text in a language, in English where that one lacks it.
func (it *Item) In(lang Lang) ItemText {
	if t, ok := it.Text[lang]; ok && t.Step != "" {
		return t
	}
	return it.Text[English]
}

// Text is the checklist as plain text in one language, with the evidence.
func (c *Checklist) Text(lang Lang) string { return c.render(lang, true) }

// Questions is what Texts digests: the checklist's text without evidence, so that it is the same for each who signs.
func (c *Checklist) Questions(lang Lang) string { return c.render(lang, false) }

// TextDigest is the SHA-384 of Questions.
func (c *Checklist) TextDigest(lang Lang) bundle.Digest {
	return sha512.Sum384([]byte(c.Questions(lang)))
}

func (c *Checklist) render(lang Lang, evidence bool) string {
	w := wordsOf(lang)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n%s %s\nmanifest.json SHA-384 %s\n", w["checklist"], w["stage_"+string(c.Stage)],
		printable.Line(c.ModelFamily, 64), printable.Line(c.Version, 64), c.ManifestSHA384)
	for i := range c.Items {
		it := &c.Items[i]
		t := it.In(lang)
		fmt.Fprintf(&b, "\n%d. [%s]\n", i+1, it.ID)
		line(&b, w["step"], t.Step)
		line(&b, w["responsible"], w.role(it))
		line(&b, w["artifacts"], t.Artifacts)
		line(&b, w["acceptance"], t.Acceptance)
		if evidence && it.Evidence != "" {
			line(&b, w["evidence"], c.Evidence.text(it.Evidence, w))
			for _, src := range c.Evidence[it.Evidence].Sources {
				line(&b, w["file"], src.text())
			}
		}
	}
	return b.String()
}

func line(b *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(b, "   %s: %s\n", name, strings.ReplaceAll(printable.Text(value, maxText), "\n", "\n      "))
	}
}

// text is where evidence can be opened, below the root of the installation.
func (s Source) text() string {
	return fmt.Sprintf("%s (%d B, SHA-384 %s)", printable.Line(s.Path, 200), s.Size, s.SHA384)
}

// text shows one fact; names and values stay as they are in every language.
func (e Evidence) text(name string, w words) string {
	f := e[name]
	if available, _ := e.found(name); !available {
		return w["no_evidence"]
	}
	out := []string{w["not_passed"]}
	if f.Passed {
		out[0] = w["passed"]
	}
	for _, k := range slices.Sorted(maps.Keys(f.Values)) {
		out = append(out, printable.Line(k, 64)+"="+printable.Line(f.Values[k], 200))
	}
	return strings.Join(out, "; ")
}
