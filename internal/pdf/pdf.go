// Package pdf sets plain documents on A4 pages: headings, rows of key and value, tables whose cells wrap, cards that stay
// together, digests, page numbers. The typefaces are embedded (the Go fonts, BSD licence, with Polish letters), so a page looks the
// same everywhere and its text can be searched. Equal input gives equal bytes. Whatever text it is given is shown escaped and cut (package
// printable); a character that the typeface lacks appears as \u{…}. It knows nothing about what a document says.
package pdf

import (
	"bytes"
	"fmt"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// The page, in millimetres: A4 with margins.
const (
	pageWidth   = 210.0
	pageHeight  = 297.0
	marginSide  = 22.0
	marginTop   = 22.0
	marginFoot  = 22.0
	textWidth   = pageWidth - 2*marginSide
	bottom      = pageHeight - marginFoot
	keyWidth    = 46.0
	gutter      = 3.0
	paragraphUp = 2.2
)

// Limits of one document, so that no input can make it endless.
const (
	// MaxText is how many characters of one text are shown.
	MaxText = 4000
	// MaxLine is how many characters of a heading, key or name are shown.
	MaxLine  = 200
	maxPages = 2000
)

// Tone colours a text: what it says stands in its words, never in the colour alone.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Muted
	Good
	Warn
	Bad
)

type colour struct{ r, g, b int }

var (
	ink    = colour{27, 31, 36}
	muted  = colour{98, 108, 120}
	rule   = colour{214, 219, 225}
	accent = colour{31, 78, 121}
	wash   = colour{246, 248, 250}
)

func (t Tone) colour() colour {
	switch t {
	case Muted:
		return muted
	case Good:
		return colour{23, 110, 66}
	case Warn:
		return colour{138, 90, 0}
	case Bad:
		return colour{170, 30, 24}
	}
	return ink
}

// Options describe a document. Title and Created are required: the time comes from what the document is made of, never from a
// clock.
type Options struct {
	Title   string // in the document's properties and on top of each page after the first
	Subject string // in the properties
	Lang    string // en or pl
	Foot    string // left in the foot of each page: what tells this document from others
	Created time.Time
}

// Cell is a text in a table or beside a key.
type Cell struct {
	Text string
	Mono bool // digests, key ids, names of files: fixed width, broken anywhere, in lines of equal length
	Bold bool
	Tone Tone
	// Below is a second paragraph, small and muted; in tables only.
	Below string
}

// Text is a plain cell.
func Text(s string) Cell { return Cell{Text: s} }

// Mono is a cell for digests and names of files.
func Mono(s string) Cell { return Cell{Text: s, Mono: true} }

// Row is a key and its value.
type Row struct {
	Key   string
	Value Cell
}

// Column heads a column of a table. Share is its part of the width, in any unit.
type Column struct {
	Head  string
	Share float64
	Right bool // numbers
}

// Document is being set, from top to bottom.
type Document struct {
	o     Options
	f     *fpdf.Fpdf
	y     float64
	left  float64 // of the block being set
	width float64
	faces map[face]*metrics
	head  string // a heading that waits for its first block
	err   error
}

// New begins a document with its first page. Errors appear when it is finished.
func New(o Options) *Document {
	d := &Document{o: o, f: fpdf.New("P", "mm", "A4", ""), left: marginSide, width: textWidth, faces: map[face]*metrics{}}
	if o.Title == "" || o.Created.IsZero() {
		d.err = fmt.Errorf("a document needs a title and a time")
	}
	d.f.SetMargins(0, 0, 0)
	d.f.SetAutoPageBreak(false, 0)
	d.f.SetCatalogSort(true)
	d.f.SetCreationDate(o.Created.UTC())
	d.f.SetModificationDate(o.Created.UTC())
	d.f.SetProducer("Sluice", true)
	d.loadFonts()
	d.f.SetTitle(d.line(o.Title), true)
	d.f.SetSubject(d.line(o.Subject), true)
	d.f.SetLang(o.Lang)
	d.newPage()
	return d
}

// Finish gives the document's bytes.
func (d *Document) Finish() ([]byte, error) {
	d.start(0)
	pages := d.f.PageCount()
	for n := 1; n <= pages; n++ {
		d.f.SetPage(n)
		d.margins(n, pages)
	}
	d.f.SetPage(pages)
	var out bytes.Buffer
	if d.err == nil {
		d.err = d.f.Output(&out)
	}
	if d.err != nil {
		return nil, fmt.Errorf("setting the document %q: %w", d.o.Title, d.err)
	}
	return out.Bytes(), nil
}

// margins are what stands above and below the text: the title on later pages, the foot and "n / m".
func (d *Document) margins(n, pages int) {
	small := style{size: 7.5, colour: muted}
	if n > 1 {
		d.put(marginSide, 14, small, d.fit(small, d.line(d.o.Title), textWidth))
		d.rule(marginSide, 16.5, textWidth, rule, 0.15)
	}
	number := fmt.Sprintf("%d / %d", n, pages)
	w := d.measure(small, number)
	d.rule(marginSide, pageHeight-15.5, textWidth, rule, 0.15)
	d.put(marginSide, pageHeight-11, small, d.fit(small, d.line(d.o.Foot), textWidth-w-8))
	d.put(pageWidth-marginSide-w, pageHeight-11, small, number)
}

func (d *Document) newPage() {
	if d.f.PageCount() >= maxPages {
		if d.err == nil {
			d.err = fmt.Errorf("more than %d pages", maxPages)
		}
		d.y = marginTop
		return
	}
	d.f.AddPage()
	d.y = marginTop
}

// need begins a new page when less than h millimetres are left.
func (d *Document) need(h float64) {
	if d.y+h > bottom && d.y > marginTop {
		d.newPage()
	}
}

// start begins a block that wants h millimetres in one piece, together with the heading before it.
func (d *Document) start(h float64) {
	if d.head == "" {
		d.need(h)
		return
	}
	text := d.head
	d.head = ""
	lines := d.wrap(headingStyle, text, d.width)
	d.need(4 + float64(len(lines))*headingStyle.leading() + 4 + h)
	if d.y > marginTop {
		d.y += 4
	}
	d.use(headingStyle)
	d.f.Bookmark(text, 0, d.y)
	d.lines(headingStyle, lines)
	d.y += 1
	d.rule(d.left, d.y, d.width, rule, 0.2)
	d.y += 2.6
}

func (d *Document) rule(x, y, w float64, c colour, thick float64) {
	d.f.SetDrawColor(c.r, c.g, c.b)
	d.f.SetLineWidth(thick)
	d.f.Line(x, y, x+w, y)
}
