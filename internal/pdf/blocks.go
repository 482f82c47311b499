package pdf

import "math"

var (
	titleStyle   = style{size: 20, bold: true, colour: ink}
	leadStyle    = style{size: 11, colour: muted}
	headingStyle = style{size: 12, bold: true, colour: accent}
	bodyStyle    = style{size: 9.5, colour: ink}
	smallStyle   = style{size: 8, colour: muted}
	keyStyle     = style{size: 8.5, colour: muted}
	headStyle    = style{size: 8, bold: true, colour: muted}
	cellStyle    = style{size: 8.5, colour: ink}
	belowStyle   = style{size: 7.5, colour: muted}
)

// Title is the head of the document: its name and one line below.
func (d *Document) Title(name, lead string) {
	d.lines(titleStyle, d.wrap(titleStyle, d.line(name), d.width))
	if lead != "" {
		d.y += 0.8
		d.lines(leadStyle, d.wrap(leadStyle, d.line(lead), d.width))
	}
	d.y += 3.5
}

// Heading begins a section. It is set with the block after it, so that it never stands alone at the foot of a page.
func (d *Document) Heading(text string) {
	d.start(0)
	d.head = d.line(text)
}

// Subheading names the rows or the table after it, with a short word in a tone's colour on the right.
func (d *Document) Subheading(text string, tone Tone, word string) {
	d.start(22)
	s, right := style{size: 9.5, bold: true, colour: ink}, style{size: 8.5, colour: tone.colour()}
	word = d.fit(right, d.line(word), d.width/2)
	d.y += 1.2
	base := d.y + s.size*0.3528
	d.put(d.left+d.width-d.measure(right, word), base, right, word)
	d.put(d.left, base, s, d.fit(s, d.line(text), d.width/2-gutter))
	d.y += s.leading() + 0.8
}

// Paragraph is running text.
func (d *Document) Paragraph(text string) {
	d.start(3 * bodyStyle.leading())
	d.lines(bodyStyle, d.wrap(bodyStyle, d.text(text, MaxText), d.width))
	d.y += paragraphUp
}

// Note is small running text.
func (d *Document) Note(text string) {
	d.start(2 * smallStyle.leading())
	d.lines(smallStyle, d.wrap(smallStyle, d.text(text, MaxText), d.width))
	d.y += paragraphUp
}

// Banner is the outcome in one sentence, on a tinted ground with a bar in the tone's colour.
func (d *Document) Banner(tone Tone, text string) {
	s := style{size: 11, bold: true, colour: tone.colour()}
	lines := d.wrap(s, d.text(text, MaxText), d.width-10)
	h := float64(len(lines))*s.leading() + 5
	if h > bottom-marginTop { // never with the texts of today; a banner is a sentence
		d.lines(s, lines)
		return
	}
	d.start(h)
	d.fill(d.left, d.y, d.width, h, wash)
	d.fill(d.left, d.y, 1.2, h, tone.colour())
	top := d.y
	d.y += 2.5
	for _, l := range lines {
		d.put(d.left+5, d.y+s.size*0.3528, s, l)
		d.y += s.leading()
	}
	d.y = top + h + 3
}

// Rows are keys, aligned, with their values.
func (d *Document) Rows(rows ...Row) {
	for i, r := range rows {
		if i == 0 {
			d.start(min(d.rowHeight(r, keyWidth), 20))
		}
		d.row(r, keyWidth)
	}
	d.y += 1
}

func (d *Document) row(r Row, keyWidth float64) {
	keys := d.wrap(keyStyle, d.line(r.Key), keyWidth-gutter)
	s := d.valueStyle(r.Value, bodyStyle.size)
	values := d.wrap(s, d.text(r.Value.Text, MaxText), d.width-keyWidth)
	step := math.Max(s.leading(), keyStyle.leading())
	for i := 0; i < max(len(keys), len(values)); i++ {
		d.need(step)
		base := d.y + bodyStyle.size*0.3528
		if i < len(keys) {
			d.put(d.left, base, keyStyle, keys[i])
		}
		if i < len(values) {
			d.put(d.left+keyWidth, base, s, values[i])
		}
		d.y += step
	}
	d.y += 0.9
}

func (d *Document) rowHeight(r Row, keyWidth float64) float64 {
	s := d.valueStyle(r.Value, bodyStyle.size)
	n := max(len(d.wrap(keyStyle, d.line(r.Key), keyWidth-gutter)), len(d.wrap(s, d.text(r.Value.Text, MaxText), d.width-keyWidth)))
	return float64(n)*math.Max(s.leading(), keyStyle.leading()) + 0.9
}

func (d *Document) valueStyle(c Cell, size float64) style {
	s := style{size: size, bold: c.Bold, mono: c.Mono, colour: c.Tone.colour()}
	if c.Mono {
		s.size = size * 0.87 // a monospaced face looks larger than it is
	}
	return s
}

// Card is a framed block of rows under a heading that stays on one page when it fits one: a signature.
func (d *Document) Card(heading string, tone Tone, rows ...Row) {
	const inset, key = 5.0, 42.0
	d.left, d.width = d.left+inset, d.width-2*inset
	s := style{size: 10.5, bold: true, colour: tone.colour()}
	head := d.wrap(s, d.line(heading), d.width)
	h := 8 + float64(len(head))*s.leading() + 1.5
	for _, r := range rows {
		h += d.rowHeight(r, key)
	}
	framed := h <= bottom-marginTop
	d.left, d.width = marginSide, textWidth
	if framed {
		d.start(h)
	} else {
		d.start(40)
	}
	d.left, d.width = d.left+inset, d.width-2*inset
	top := d.y
	if framed {
		d.fill(marginSide, top, textWidth, h, wash)
		d.fill(marginSide, top, 1.2, h, tone.colour())
	}
	d.y += 4
	d.lines(s, head)
	d.y += 1.5
	for _, r := range rows {
		d.row(r, key)
	}
	d.left, d.width = marginSide, textWidth
	if framed {
		d.y = top + h
	}
	d.y += 4
}

// Table sets rows below their heads, which stand again on each page. Cells wrap; a row longer than the rest of a page begins the next one,
// and one longer than a page goes on over it.
func (d *Document) Table(columns []Column, rows [][]Cell) {
	widths := d.columns(columns)
	d.tableHead(columns, widths)
	for _, cells := range rows {
		d.tableRow(columns, widths, cells)
	}
	d.y += 3
}

func (d *Document) columns(columns []Column) []float64 {
	total := 0.0
	for _, c := range columns {
		total += c.Share
	}
	out := make([]float64, len(columns))
	for i, c := range columns {
		out[i] = d.width * c.Share / total
	}
	return out
}

func (d *Document) tableHead(columns []Column, widths []float64) {
	heads := make([][]string, len(columns))
	most := 0
	for i, c := range columns {
		heads[i] = d.wrap(headStyle, d.line(c.Head), widths[i]-gutter)
		most = max(most, len(heads[i]))
	}
	d.start(float64(most)*headStyle.leading() + 14)
	for n := range most {
		x := d.left
		for i := range columns {
			if n < len(heads[i]) {
				d.aligned(x, widths[i], columns[i].Right, headStyle, heads[i][n])
			}
			x += widths[i]
		}
		d.y += headStyle.leading()
	}
	d.y += 0.8
	d.rule(d.left, d.y, d.width, muted, 0.25)
	d.y += 1.4
}

// set is one line of a cell.
type set struct {
	style style
	text  string
}

func (d *Document) cell(c Cell, width float64) []set {
	var out []set
	s := d.valueStyle(c, cellStyle.size)
	for _, l := range d.wrap(s, d.text(c.Text, MaxText), width) {
		out = append(out, set{s, l})
	}
	if c.Below != "" {
		for _, l := range d.wrap(belowStyle, d.text(c.Below, MaxText), width) {
			out = append(out, set{belowStyle, l})
		}
	}
	return out
}

func (d *Document) tableRow(columns []Column, widths []float64, cells []Cell) {
	lines := make([][]set, min(len(cells), len(columns)))
	most, step := 0, cellStyle.leading()
	for i := range lines {
		lines[i] = d.cell(cells[i], widths[i]-gutter)
		most = max(most, len(lines[i]))
	}
	if h := float64(most)*step + 2.4; d.y+h > bottom && h < (bottom-marginTop)/2 {
		d.newPage()
		d.tableHead(columns, widths)
	}
	for n := range most {
		if d.y+step > bottom {
			d.newPage()
			d.tableHead(columns, widths)
		}
		x := d.left
		for i := range lines {
			if n < len(lines[i]) {
				d.aligned(x, widths[i], columns[i].Right, lines[i][n].style, lines[i][n].text)
			}
			x += widths[i]
		}
		d.y += step
	}
	d.y += 1
	d.rule(d.left, d.y, d.width, rule, 0.15)
	d.y += 1.4
}

func (d *Document) aligned(x, width float64, right bool, s style, text string) {
	if right {
		x += width - gutter - d.measure(s, text)
	}
	d.put(x, d.y+cellStyle.size*0.3528, s, text)
}

// lines sets lines from the top, over pages.
func (d *Document) lines(s style, lines []string) {
	for _, l := range lines {
		d.need(s.leading())
		d.put(d.left, d.y+s.size*0.3528, s, l)
		d.y += s.leading()
	}
}

func (d *Document) fill(x, y, w, h float64, c colour) {
	d.f.SetFillColor(c.r, c.g, c.b)
	d.f.Rect(x, y, w, h, "F")
}

// Gap leaves some millimetres free.
func (d *Document) Gap(mm float64) { d.y += mm }
