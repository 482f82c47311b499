package compliance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/printable"
)

// MaxAnswersSize is the largest answers file in bytes.
const MaxAnswersSize = 1 << 20

func answersFault(format string, args ...any) *fault.Error {
	return fault.New(fault.Answers, format, args...)
}

// NewAnswers starts the answers of one role, all still empty.
func (c *Checklist) NewAnswers(role string) *Answers {
	a := &Answers{Schema: AnswersSchema, Stage: c.Stage, Version: c.Version, ManifestSHA384: c.ManifestSHA384.String(), Role: role, Answers: []Answer{}}
	for _, it := range c.For(role) {
		a.Answers = append(a.Answers, Answer{ID: it.ID})
	}
	return a
}

// Template is an answers file to fill in (YAML), with questions and evidence as comments.
func (c *Checklist) Template(role string, lang Lang) []byte {
	w := wordsOf(lang)
	a := c.NewAnswers(role)
	var b strings.Builder
	comment := func(indent, name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s# %s: %s\n", indent, name, strings.ReplaceAll(printable.Text(value, maxText), "\n", "\n"+indent+"#   "))
		}
	}
	fmt.Fprintf(&b, "# %s\nschema: %s\nstage: %s\nversion: %q\nmanifest_sha384: %q\nrole: %q\nanswers:\n", w["fill"], a.Schema, a.Stage, a.Version, a.ManifestSHA384, a.Role)
	for _, it := range c.For(role) {
		t := it.In(lang)
		comment("  ", w["step"], t.Step)
		comment("  ", w["artifacts"], t.Artifacts)
		comment("  ", w["acceptance"], t.Acceptance)
		if it.Evidence != "" {
			comment("  ", w["evidence"], c.Evidence.text(it.Evidence, w))
			for _, src := range c.Evidence[it.Evidence].Sources {
				comment("  ", w["file"], src.text())
			}
			switch available, passed := c.Evidence.found(it.Evidence); {
			case passed:
			case available:
				comment("  ", w["answer"], w["only_no"])
			default:
				comment("  ", w["answer"], w["only_na"])
			}
		}
		fmt.Fprintf(&b, "  - id: %s\n    answer: \"\"\n    comment: \"\"\n", strconv.Quote(it.ID))
	}
	if len(a.Answers) == 0 {
		b.WriteString("  []\n")
	}
	return []byte(b.String())
}

// ParseAnswers reads an answers file: JSON when it begins with "{", else YAML without aliases, anchors, tags and unknown or
// duplicate keys. It does not compare with a checklist. Error: E-ANSWERS.
func ParseAnswers(raw []byte) (*Answers, error) {
	if len(raw) > MaxAnswersSize {
		return nil, answersFault("the answers file has %d bytes, want at most %d", len(raw), MaxAnswersSize)
	}
	a := new(Answers)
	if text := bytes.TrimSpace(raw); len(text) > 0 && text[0] == '{' {
		if err := bundle.StrictUnmarshal(raw, a, MaxAnswersSize); err != nil {
			return nil, answersFault("reading answers: %w", err)
		}
	} else if err := parseYAML(raw, a); err != nil {
		return nil, answersFault("reading answers: %w", err)
	}
	if a.Schema != AnswersSchema {
		return nil, answersFault("answers have schema %q, want %q", clip(a.Schema), AnswersSchema)
	}
	if len(a.Answers) > maxItems*4 {
		return nil, answersFault("%d answers, want at most %d", len(a.Answers), maxItems*4)
	}
	return a, nil
}

func parseYAML(raw []byte, a *Answers) error {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if err == io.EOF {
			return errors.New("the file is empty")
		}
		return err
	}
	var more yaml.Node
	if err := dec.Decode(&more); err != io.EOF {
		return errors.New("more than one YAML document")
	}
	if err := plainYAML(&doc, 0); err != nil {
		return err
	}
	strict := yaml.NewDecoder(bytes.NewReader(raw))
	strict.KnownFields(true)
	return strict.Decode(a)
}

// plainYAML allows mappings, sequences and scalars, nothing that refers or runs.
func plainYAML(n *yaml.Node, depth int) error {
	switch {
	case depth > 8:
		return fmt.Errorf("line %d: nested deeper than 8", n.Line)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return fmt.Errorf("line %d: aliases and anchors are not allowed", n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("line %d: tags are not allowed", n.Line)
	}
	for _, c := range n.Content {
		if err := plainYAML(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// check compares answers with the checklist they should be for, and gives them by item id. With complete each item of
// the role must be answered. Error: E-ANSWERS with the detail item.
func (a *Answers) check(c *Checklist, role string, complete bool) (map[string]Answer, error) {
	switch {
	case a == nil:
		return nil, answersFault("there are no answers")
	case a.Schema != AnswersSchema:
		return nil, answersFault("answers have schema %q, want %q", clip(a.Schema), AnswersSchema)
	case a.Stage != c.Stage || a.Version != c.Version || a.ManifestSHA384 != c.ManifestSHA384.String():
		return nil, answersFault("the answers are for stage %q, version %q, manifest %s; want %q, %q, %s",
			clip(string(a.Stage)), clip(a.Version), clip(a.ManifestSHA384), c.Stage, c.Version, c.ManifestSHA384)
	case a.Role != role:
		return nil, answersFault("the answers are those of role %q, want %q", clip(a.Role), role)
	}
	asked := map[string]Item{}
	for _, it := range c.For(role) {
		asked[it.ID] = it
	}
	given := map[string]Answer{}
	for _, one := range a.Answers {
		if _, ok := asked[one.ID]; !ok {
			return nil, answersFault("item %q is not asked of role %q", clip(one.ID), role).With("item", clip(one.ID))
		}
		if _, ok := given[one.ID]; ok {
			return nil, answersFault("item %q is answered twice", one.ID).With("item", one.ID)
		}
		if one.Answer == "" && !complete {
			continue
		}
		if err := checkReply(one.Answer, one.Comment); err != nil {
			return nil, answersFault("item %q: %w", one.ID, err).With("item", one.ID)
		}
		if complete {
			if err := c.Allows(one.ID, one.Answer); err != nil {
				return nil, err
			}
		}
		given[one.ID] = one
	}
	for _, it := range c.For(role) {
		if _, ok := given[it.ID]; !ok && complete {
			return nil, answersFault("item %q is not answered", it.ID).With("item", it.ID)
		}
	}
	return given, nil
}

func checkReply(r Reply, comment string) error {
	switch r {
	case Yes:
	case No, NotApplicable:
		if strings.TrimSpace(comment) == "" {
			return fmt.Errorf("answer %q needs a comment", r)
		}
	case "":
		return errors.New("is not answered, want yes, no or not_applicable")
	default:
		return fmt.Errorf("answer %q, want yes, no or not_applicable", clip(string(r)))
	}
	if err := checkText(comment); err != nil {
		return fmt.Errorf("comment: %w", err)
	}
	return nil
}
