package cli

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/internal/pdf"
	"sluice/verify"
)

// noteFlags make the delivery note of a list of trusted keys: what a person compares with, sent another way than the medium.
type noteFlags struct {
	from, to, phone, pdf string
	files                []string
}

func (n *noteFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&n.from, "from", "", a.t("flag.note-from"))
	f.StringVar(&n.to, "to", "", a.t("flag.note-to"))
	f.StringVar(&n.phone, "phone", "", a.t("flag.note-phone"))
	f.StringArrayVar(&n.files, "file", nil, a.t("flag.note-file"))
	f.StringVar(&n.pdf, "pdf", "", a.t("flag.note-pdf"))
}

// maxNoteFiles is how many digests one note holds.
const maxNoteFiles = 50

// deliveryNote is a list of trusted keys as a person compares it, and digests of what is delivered with it.
type deliveryNote struct {
	Of          string     `json:"of"`
	Number      int        `json:"number"`
	Fingerprint string     `json:"fingerprint"`
	Expires     string     `json:"expires"`
	Name        string     `json:"name"` // of the list's file
	Made        string     `json:"made"`
	From        string     `json:"from,omitempty"`
	To          string     `json:"to,omitempty"`
	Phone       string     `json:"phone,omitempty"`
	Files       []noteFile `json:"files"`
	PDF         string     `json:"pdf,omitempty"`

	signers, threshold int
}

type noteFile struct {
	Name   string        `json:"name"`
	SHA384 bundle.Digest `json:"sha384"`
}

func (n *noteFlags) run(a *app, path string) (result, error) {
	raw, err := readLimited(path, maxRootFile)
	if err != nil {
		return nil, err
	}
	info, err := verify.ReadRoot(raw)
	if err != nil {
		return nil, withPath(err, path)
	}
	own, _, err := verify.RootQuorums(raw, nil)
	if err != nil {
		return nil, withPath(err, path)
	}
	if !own.Reached() {
		return nil, usage("%q has %d of %d signatures: each further one changes its fingerprint, so the note comes last", path, own.Have, own.Want)
	}
	if len(n.files) > maxNoteFiles {
		return nil, usage("%d times --file, want at most %d", len(n.files), maxNoteFiles)
	}
	of := info.Of
	if of == "" {
		of = verify.Oem
	}
	note := &deliveryNote{Of: string(of), Number: info.Version, Fingerprint: info.Fingerprint, Expires: info.Expires.Format(time.DateOnly), Name: filepath.Base(path),
		Made: a.env.Now().UTC().Format(time.RFC3339), From: n.from, To: n.to, Phone: n.phone, Files: []noteFile{}, PDF: n.pdf,
		signers: len(keysWith(info, verify.RoleTargets)), threshold: info.TargetsThreshold}
	for _, f := range n.files {
		d, err := fileDigest(f)
		if err != nil {
			return nil, err
		}
		note.Files = append(note.Files, noteFile{filepath.Base(f), d})
	}
	if n.pdf != "" {
		page, err := note.pages(a)
		if err != nil {
			return nil, err
		}
		if err := writeNew(n.pdf, page, 0o644); err != nil {
			return nil, err
		}
	}
	return note, nil
}

// groups are the lines of the fingerprint as the window shows it: four groups of four.
func (n *deliveryNote) groups() []string {
	all, out := strings.Fields(n.Fingerprint), []string(nil)
	for i := 0; i < len(all); i += 4 {
		out = append(out, strings.Join(all[i:min(i+4, len(all))], "  "))
	}
	return out
}

// rows are what the note says of itself, in both faces.
func (n *deliveryNote) rows(t func(string, ...any) string) [][2]string {
	var out [][2]string
	add := func(key, value string) {
		if value != "" {
			out = append(out, [2]string{t(key), value})
		}
	}
	add("note.from", n.From)
	add("note.to", n.To)
	add("note.made", n.Made[:10])
	add("note.list", t("trust.head."+n.Of, "number", n.Number))
	add("note.file", n.Name)
	add("note.signers", t("note.signers.of", "n", n.threshold, "total", n.signers))
	add("note.until", n.Expires)
	return out
}

func (n *deliveryNote) steps(t func(string, ...any) string) []string {
	call := t("note.step.call")
	if n.Phone != "" {
		call = t("note.step.call.phone", "phone", clean(n.Phone))
	}
	return []string{t("note.step.open", "name", clean(n.Name)), t("note.step.compare"), call}
}

func (n *deliveryNote) text(p *printer) {
	p.line("%s", p.bold(p.t("note.title")))
	for _, r := range n.rows(p.t) {
		p.field(r[0], clean(r[1]))
	}
	p.line("")
	p.line("%s", p.bold(p.t("note.fingerprint")))
	for _, g := range n.groups() {
		p.line("    %s", g)
	}
	p.line("")
	for i, s := range n.steps(p.t) {
		p.line("%d. %s", i+1, s)
	}
	if len(n.Files) > 0 {
		p.line("")
		p.line("%s", p.bold(p.t("note.files")))
		for _, f := range n.Files {
			p.line("%s  %s", f.SHA384, clean(f.Name))
		}
	}
	p.line("")
	p.line("%s %s", p.mark("warn"), p.t("note.apart"))
	if n.PDF != "" {
		p.field(p.t("note.pdf"), clean(n.PDF))
	}
}

// pages are the note to print and send.
func (n *deliveryNote) pages(a *app) ([]byte, error) {
	made, err := time.Parse(time.RFC3339, n.Made)
	if err != nil {
		return nil, err
	}
	d := pdf.New(pdf.Options{Title: a.t("note.title"), Subject: n.Fingerprint, Lang: string(a.lang), Foot: a.t("trust.head."+n.Of, "number", n.Number), Created: made})
	d.Title(a.t("note.title"), a.t("note.lead."+n.Of))
	d.Banner(pdf.Warn, a.t("note.apart"))
	var rows []pdf.Row
	for _, r := range n.rows(a.t) {
		rows = append(rows, pdf.Row{Key: r[0], Value: pdf.Text(r[1])})
	}
	d.Rows(rows...)
	rows = nil
	for i, g := range n.groups() {
		rows = append(rows, pdf.Row{Key: a.t("note.row", "n", i+1), Value: pdf.Cell{Text: g, Mono: true, Bold: true}})
	}
	d.Card(a.t("note.fingerprint"), pdf.Plain, rows...)
	d.Heading(a.t("note.how"))
	rows = nil
	for i, s := range n.steps(a.t) {
		rows = append(rows, pdf.Row{Key: a.t("note.step", "n", i+1), Value: pdf.Text(s)})
	}
	d.Rows(rows...)
	d.Note(a.t("note.command", "command", `sluice trust init --of `+n.Of+` --from `+n.Name+` --fingerprint "`+n.Fingerprint+`"`))
	if len(n.Files) > 0 {
		d.Heading(a.t("note.files"))
		d.Paragraph(a.t("note.files.how"))
		var cells [][]pdf.Cell
		for _, f := range n.Files {
			cells = append(cells, []pdf.Cell{pdf.Text(f.Name), pdf.Mono(f.SHA384.String())})
		}
		d.Table([]pdf.Column{{Head: a.t("note.file"), Share: 40}, {Head: "SHA-384", Share: 100}}, cells)
	}
	line := strings.Repeat("_", 30)
	d.Card(a.t("note.sent"), pdf.Plain, pdf.Row{Key: a.t("note.name"), Value: pdf.Text(line)}, pdf.Row{Key: a.t("note.signature"), Value: pdf.Text(line)})
	d.Card(a.t("note.compared"), pdf.Plain, pdf.Row{Key: a.t("note.name"), Value: pdf.Text(line)}, pdf.Row{Key: a.t("note.day"), Value: pdf.Text(line)}, pdf.Row{Key: a.t("note.signature"), Value: pdf.Text(line)})
	return d.Finish()
}
