package compliance

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/bundle"
	"sluice/internal/pdf"
)

// PDF is the record for people, in one language, as pages to print and keep. It is made from the record alone: no clock, no
// disk, no network; equal records give equal bytes. It proves nothing itself: the signed envelopes do, and the evidence pack holds them.
func (r *Record) PDF(lang Lang) ([]byte, error) {
	p := &page{r: r, lang: lang, w: wordsOf(lang)}
	made, err := time.Parse(time.RFC3339, r.made())
	if err != nil {
		return nil, fmt.Errorf("setting the report of a record without a time: %w", err)
	}
	stage := p.w["stage_"+string(r.Stage)]
	p.d = pdf.New(pdf.Options{Title: p.t("title") + ": " + r.ModelFamily + " " + r.Version + ", " + stage, Subject: "manifest.json SHA-384 " + r.ManifestSHA384.String(),
		Lang: string(lang), Foot: p.t("foot", "family", r.ModelFamily, "version", r.Version, "stage", string(r.Stage), "digest", r.ManifestSHA384.String()[:16]),
		Created: made})
	p.d.Title(p.t("title"), r.ModelFamily+" "+r.Version+" · "+stage)
	p.d.Banner(r.tone(), r.outcome(p.w))
	if e := r.Emergency; e != nil {
		p.d.Banner(pdf.Bad, p.w["emergency"])
		p.d.Rows(pdf.Row{Key: p.w["reason"], Value: pdf.Text(e.Reason)}, pdf.Row{Key: p.w["emergency_by"], Value: pdf.Text(e.By + ", " + e.At)})
	}
	p.subject()
	p.signatures()
	p.checklist()
	p.evidence()
	if r.Facts != nil {
		p.quality(r.Facts)
		p.proof(r.Facts)
		p.named(p.t("hardware"), r.Facts.Hardware)
		p.files(r.Facts)
	}
	p.logs()
	p.d.Heading(p.t("check"))
	p.d.Paragraph(p.t("check.text"))
	return p.d.Finish()
}

// made is when the last decision was signed: a record has no other time.
func (r *Record) made() string {
	if r.Facts != nil && r.Facts.Made != "" {
		return r.Facts.Made
	}
	if n := len(r.Decisions); n > 0 {
		return r.Decisions[n-1].SignedAt
	}
	return ""
}

func (r *Record) tone() pdf.Tone {
	switch {
	case r.Refused:
		return pdf.Bad
	case r.Complete:
		return pdf.Good
	}
	return pdf.Warn
}

// page sets one report.
type page struct {
	r    *Record
	d    *pdf.Document
	lang Lang
	w    words
}

func (p *page) t(key string, pairs ...any) string { return p.lang.Text("report."+key, pairs...) }

// name is the word for a language-neutral name, or the name itself. A known ending has a word of its own: accuracy_min.
func (p *page) name(s string) string {
	if key := "report.name." + s; p.lang.Has(key) {
		return p.lang.Text(key)
	}
	for _, end := range []string{"_entries", "_sha384", "_min", "_max"} {
		if stem, ok := strings.CutSuffix(s, end); ok {
			return p.t("ending"+end, "name", p.name(stem))
		}
	}
	if n, ok := strings.CutPrefix(s, "signer_"); ok {
		return p.t("signer.n", "n", n)
	}
	return s
}

// value shows digests and what else a machine wrote in fixed width.
func value(s string) pdf.Cell {
	if len(s) >= 32 && !strings.ContainsFunc(s, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != ' ' }) {
		return pdf.Mono(s)
	}
	return pdf.Text(s)
}

func row(key, text string) pdf.Row { return pdf.Row{Key: key, Value: value(text)} }

// rows leaves out what is empty.
func (p *page) rows(rows ...pdf.Row) {
	p.d.Rows(slices.DeleteFunc(rows, func(r pdf.Row) bool { return r.Value.Text == "" })...)
}

func (p *page) subject() {
	r := p.r
	p.d.Heading(p.t("subject"))
	rows := []pdf.Row{row(p.t("family"), r.ModelFamily), row(p.t("version"), r.Version), row(p.w["variant"], r.Variant),
		row(p.t("stage"), p.w["stage_"+string(r.Stage)]), row("manifest.json SHA-384", r.ManifestSHA384.String())}
	if f := r.Facts; f != nil {
		rows = append(rows, row("manifest.json SHA-256", f.Bundle.ManifestSHA256.String()), row(p.t("created"), f.Bundle.Created))
		for _, s := range f.Bundle.Signers {
			rows = append(rows, row(p.t("signer"), s.Fingerprint))
		}
		rows = append(rows, p.root(f.Bundle.JudgedBy)...)
		for _, n := range f.Provenance {
			rows = append(rows, row(p.name(n.Name), n.Value))
		}
		rows = append(rows, row(p.t("installed.by"), f.Installed.By), row(p.t("installed.at"), f.Installed.At))
	}
	p.rows(rows...)
	p.d.Heading(p.t("where"))
	rows = []pdf.Row{row(p.w["machine"], r.Machine.KeyID), row(p.w["system"], r.Machine.System.String()),
		row(p.w["policy"], strconv.Itoa(r.PolicyNumber))}
	if f := r.Facts; f != nil {
		rows = append(rows, p.root(f.SiteRoot)...)
		rows = append(rows, row(p.t("program"), f.Program))
	}
	p.rows(rows...)
}

func (p *page) root(f RootFacts) []pdf.Row {
	if f.Version == 0 {
		return nil
	}
	return []pdf.Row{row(p.t("root."+f.Of), p.t("root.version", "version", f.Version, "expires", f.Expires)), row(p.t("root.fingerprint"), f.Fingerprint),
		row(p.t("root.first"), f.First)}
}

func (p *page) signatures() {
	p.d.Heading(p.w["signatures"])
	for i := range p.r.Decisions {
		s := &p.r.Decisions[i]
		d := s.Decision
		tone, rows := pdf.Good, []pdf.Row{row(p.t("printed"), s.Name), row(p.w["role"], p.w.roleName(d.Role))}
		if d.Refused {
			tone = pdf.Bad
			rows = append(rows, pdf.Row{Key: p.w["meaning"], Value: pdf.Cell{Text: p.w["refused"], Bold: true, Tone: pdf.Bad}}, row(p.w["reason"], d.Reason))
		} else {
			rows = append(rows, pdf.Row{Key: p.w["meaning"], Value: pdf.Cell{Text: p.w[string(d.Meaning)], Bold: true}})
		}
		rows = append(rows, row(p.w["signed_at"], d.SignedAt), row(p.t("keyid"), s.KeyID), row(p.w["envelope"], s.Envelope.String()),
			row(p.w["policy"], strconv.Itoa(d.PolicyNumber)), row(p.w["language"], p.t("lang."+string(d.Language))))
		if !s.SameText {
			rows = append(rows, pdf.Row{Key: "!", Value: pdf.Cell{Text: p.w["other_text"], Tone: pdf.Warn}})
		}
		p.d.Card(fmt.Sprintf("%d. %s (%s)", i+1, s.Name, s.Person), tone, rows...)
	}
}

// checklist is the table that people know: step, who is responsible, artefacts, acceptance.
func (p *page) checklist() {
	c := p.r.Checklist
	if c == nil {
		return
	}
	p.d.Heading(p.w["checklist"])
	var rows [][]pdf.Cell
	for i := range c.Items {
		it := &c.Items[i]
		t := it.In(p.lang)
		accepted, tone := p.accepted(it)
		rows = append(rows, []pdf.Cell{{Text: fmt.Sprintf("%d. %s", i+1, t.Step), Below: "[" + it.ID + "]"}, pdf.Text(p.w.role(it)), pdf.Text(t.Artifacts),
			{Text: accepted, Tone: tone, Below: t.Acceptance}})
	}
	p.d.Table([]pdf.Column{{Head: p.w["step"], Share: 48}, {Head: p.w["responsible"], Share: 26}, {Head: p.w["artifacts"], Share: 36},
		{Head: p.w["acceptance"], Share: 56}}, rows)
}

// accepted is what became of an item: the program's finding or each person's answer.
func (p *page) accepted(it *Item) (string, pdf.Tone) {
	var out []string
	tone := pdf.Plain
	if it.Evidence != "" {
		word, passed := "no_evidence", false
		if available, ok := p.r.Checklist.Evidence.found(it.Evidence); available {
			if word = "not_passed"; ok {
				word, passed = "passed", true
			}
		}
		if it.Automatic && !passed {
			tone = pdf.Bad
		}
		out = append(out, p.w["program"]+": "+p.w[word])
	}
	for i := range p.r.Decisions {
		for _, a := range p.r.Decisions[i].Decision.Items {
			if a.ID != it.ID || a.Answer == "" {
				continue
			}
			answer := p.r.Decisions[i].Name + ": " + p.w[string(a.Answer)]
			if a.Comment != "" {
				answer += " (" + a.Comment + ")"
			}
			if a.Answer == No {
				tone = pdf.Bad
			}
			out = append(out, answer)
		}
	}
	if len(out) == 0 {
		return p.t("unanswered"), pdf.Muted
	}
	return strings.Join(out, "\n"), tone
}

func (p *page) evidence() {
	c := p.r.Checklist
	if c == nil || len(c.Evidence) == 0 {
		return
	}
	p.d.Heading(p.w["evidence"])
	for _, name := range slices.Sorted(maps.Keys(c.Evidence)) {
		fact := c.Evidence[name]
		word, tone := p.w["not_passed"], pdf.Bad
		if available, passed := c.Evidence.found(name); passed {
			word, tone = p.w["passed"], pdf.Good
		} else if !available {
			word, tone = p.w["no_evidence"], pdf.Warn
		}
		p.d.Subheading(p.name(name), tone, word)
		var rows []pdf.Row
		for _, k := range slices.Sorted(maps.Keys(fact.Values)) {
			rows = append(rows, p.figure(k, fact.Values[k]))
		}
		p.rows(rows...)
	}
}

// figure is a value with the word for its name; milliseconds and deviations have the language's decimal mark.
func (p *page) figure(name, text string) pdf.Row {
	if v, err := strconv.ParseFloat(text, 64); err == nil && (strings.HasSuffix(name, "_ms") || strings.HasPrefix(name, "worst_")) {
		text = p.number(v)
	}
	return row(p.name(name), text)
}

func (p *page) quality(f *Facts) {
	if len(f.Quality) == 0 {
		return
	}
	p.d.Heading(p.t("quality"))
	var rows [][]pdf.Cell
	for _, q := range f.Quality {
		result := pdf.Cell{Text: p.w["passed"], Tone: pdf.Good}
		if !q.Passed {
			result = pdf.Cell{Text: p.w["not_passed"], Tone: pdf.Bad}
		}
		rows = append(rows, []pdf.Cell{{Text: p.name(q.ID), Below: q.Report}, pdf.Text(p.number(q.Value)), pdf.Text(p.t("quality."+q.Direction, "value", p.number(q.Threshold))), result})
	}
	p.d.Table([]pdf.Column{{Head: p.t("figure"), Share: 76}, {Head: p.t("value"), Share: 26, Right: true}, {Head: p.t("threshold"), Share: 32, Right: true},
		{Head: p.t("result"), Share: 32}}, rows)
}

func (p *page) proof(f *Facts) {
	if len(f.Cases) == 0 {
		return
	}
	p.d.Heading(p.t("proof"))
	var facts []pdf.Row
	for _, n := range append(slices.Clone(f.Engine), f.Limits...) {
		facts = append(facts, p.figure(n.Name, n.Value))
	}
	p.rows(facts...)
	var rows [][]pdf.Cell
	for _, c := range f.Cases {
		rows = append(rows, []pdf.Cell{pdf.Text(c.Name), pdf.Text(c.Model), pdf.Text(p.number(c.WorstAbs)), pdf.Text(p.number(c.WorstRel)), pdf.Text(p.number(c.LatencyMS))})
	}
	p.d.Gap(2)
	p.d.Table([]pdf.Column{{Head: p.t("case"), Share: 28}, {Head: p.t("model"), Share: 69}, {Head: p.t("worst.abs"), Share: 23, Right: true},
		{Head: p.t("worst.rel"), Share: 23, Right: true}, {Head: p.t("latency"), Share: 23, Right: true}}, rows)
}

func (p *page) named(heading string, all []Named) {
	if len(all) == 0 {
		return
	}
	p.d.Heading(heading)
	var rows []pdf.Row
	for _, n := range all {
		rows = append(rows, p.figure(n.Name, n.Value))
	}
	p.rows(rows...)
}

func (p *page) files(f *Facts) {
	if len(f.Files) == 0 {
		return
	}
	p.d.Heading(p.t("files"))
	var rows [][]pdf.Cell
	for _, a := range f.Files {
		rows = append(rows, []pdf.Cell{pdf.Text(a.Path), pdf.Text(strconv.FormatInt(a.Size, 10)), pdf.Mono(a.SHA384.String())})
	}
	p.d.Table([]pdf.Column{{Head: p.t("file"), Share: 67}, {Head: p.t("bytes"), Share: 19, Right: true}, {Head: "SHA-384", Share: 80}}, rows)
}

func (p *page) logs() {
	heads, heading := map[string]LogHead{}, p.t("logs")
	if p.r.Facts != nil {
		heads = p.r.Facts.Logs
	} else if n := len(p.r.Decisions); n > 0 {
		heads = p.r.Decisions[n-1].Decision.LogHeads
	}
	if len(heads) == 0 {
		return
	}
	p.d.Heading(heading)
	var rows [][]pdf.Cell
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		rows = append(rows, []pdf.Cell{pdf.Text(name), pdf.Text(strconv.Itoa(heads[name].Entries)), pdf.Mono(heads[name].SHA384.String())})
	}
	p.d.Table([]pdf.Column{{Head: p.w["log"], Share: 40}, {Head: p.t("entries"), Share: 24, Right: true}, {Head: "SHA-384", Share: 102}}, rows)
}

// number writes a figure for people: four digits, the language's decimal mark.
func (p *page) number(v float64) string {
	s := strconv.FormatFloat(v, 'g', 4, 64)
	if p.lang == Polish {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

// ParseRecord reads the JSON of a record, as JSON writes it: whoever calls it knows from the log or a signature that these are the
// bytes. It proves none of the envelopes in it.
func ParseRecord(raw []byte) (*Record, error) {
	r := new(Record)
	if err := bundle.StrictUnmarshal(raw, r, MaxRecordSize); err != nil {
		return nil, signoffInvalid("reading the sign-off record: %w", err)
	}
	if r.Schema != RecordSchema {
		return nil, signoffInvalid("the sign-off record has schema %q, want %q", clip(r.Schema), RecordSchema)
	}
	for i := range r.Decisions {
		if r.Decisions[i].Decision == nil {
			return nil, signoffInvalid("decision %d of the sign-off record is empty", i+1)
		}
	}
	return r, nil
}

// MaxRecordSize is the largest record in bytes.
const MaxRecordSize = 32 << 20
