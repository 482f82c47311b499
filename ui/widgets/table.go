package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// TableColumn is a column of a Table.
type TableColumn struct {
	Title    string
	Share    float32 // of the width that remains; 0: as wide as its widest cell and title
	Trailing bool    // numbers: head and text aligned to the right
}

// TableRow is a row: a cell for each column, and what may stand below it over the whole width.
type TableRow struct {
	Cells []fyne.CanvasObject
	Below fyne.CanvasObject // nil for none; hidden objects take no room
}

// Table shows rows of objects under a head, with lines between. Rows are as high as their highest cell.
type Table struct {
	widget.BaseWidget
	columns []TableColumn
	heads   []*Text
	rows    []TableRow
	lines   []*canvas.Rectangle
	width   float32
}

// NewTable makes an empty table.
func NewTable(columns ...TableColumn) *Table {
	t := &Table{columns: columns}
	for _, c := range columns {
		h := NewText(style.Head, c.Title)
		if c.Trailing {
			h.Align = fyne.TextAlignTrailing
		}
		t.heads = append(t.heads, h)
	}
	t.ExtendBaseWidget(t)
	return t
}

// Cell is a plain cell.
func Cell(text string) *Text { return NewText(style.Body, text) }

// Number is a cell for figures: to the right, on one line.
func Number(text string) *Text {
	t := NewLine(style.Body, text)
	t.Align = fyne.TextAlignTrailing
	return t
}

// SetRows replaces the rows.
func (t *Table) SetRows(rows []TableRow) {
	t.rows, t.lines = rows, nil
	for range rows {
		t.lines = append(t.lines, canvas.NewRectangle(style.Get(style.Line)))
	}
	t.Refresh()
}

// Rows are the rows shown.
func (t *Table) Rows() []TableRow { return t.rows }

const (
	columnGap  = 16
	headPad    = 10 // below the head
	rowPadding = 10 // above and below a row
	belowGap   = 8
)

// widths are those of the columns. Stacked says that there is no room for all words side by side: the first column then
// stands on a line of its own above the others.
func (t *Table) widths(width float32) (out []float32, stacked bool) {
	out, ok := t.share(0, width)
	if ok || len(t.columns) < 3 {
		return out, false
	}
	rest, _ := t.share(1, width)
	return append([]float32{width}, rest...), true
}

// share gives the columns from one on their widths: those without a share what they want, the others at least their
// longest word. Where not even that fits, ok is false, and words break.
func (t *Table) share(from int, width float32) (out []float32, ok bool) {
	columns := t.columns[from:]
	out = make([]float32, len(columns))
	room := width - columnGap*float32(max(len(columns)-1, 0))
	var shares, words float32
	for i, c := range columns {
		if c.Share > 0 {
			shares += c.Share
			words += t.word(from + i)
			continue
		}
		out[i] = loose(t.heads[from+i], 1e6).Width + 1
		for _, r := range t.rows {
			if from+i < len(r.Cells) && r.Cells[from+i] != nil {
				out[i] = max(out[i], loose(r.Cells[from+i], 1e6).Width+1)
			}
		}
		out[i] = min(out[i], width*2/5)
		room -= out[i]
	}
	if room < 0 { // not even the columns without a share fit: all of them give way
		for i := range out {
			out[i] = max(out[i]+room*out[i]/(width-room), 16)
		}
		room = 0
	}
	if words > room {
		for i, c := range columns {
			if c.Share > 0 {
				out[i] = max(room*t.word(from+i)/words, 24)
			}
		}
		return out, false
	}
	fixed := make([]bool, len(out))
	for again := true; again && shares > 0; {
		again = false
		for i, c := range columns {
			if c.Share <= 0 || fixed[i] {
				continue
			}
			out[i] = max(room*c.Share/shares, 24)
			if least := t.word(from + i); out[i] < least {
				out[i], fixed[i], again = least, true, true
				room -= least
				shares -= c.Share
				break
			}
		}
	}
	return out, true
}

// word is the width of the longest word in a column.
func (t *Table) word(column int) float32 {
	w := t.heads[column].MinSize().Width
	for _, r := range t.rows {
		if column < len(r.Cells) && r.Cells[column] != nil {
			w = max(w, r.Cells[column].MinSize().Width)
		}
	}
	return w
}

// HeightFor is the height at a width.
func (t *Table) HeightFor(width float32) float32 {
	t.width = width
	return t.place(width, nil)
}

// place goes through everything and tells where it stands; it gives the whole height.
func (t *Table) place(width float32, put func(o fyne.CanvasObject, x, y, w, h float32)) float32 {
	ws, stacked := t.widths(width)
	tell := func(o fyne.CanvasObject, x, y, w, h float32) {
		if put != nil {
			put(o, x, y, w, h)
		}
	}
	var heads []fyne.CanvasObject
	for _, h := range t.heads {
		heads = append(heads, h)
	}
	head := placeRow(heads, ws, stacked, 0, true, tell)
	y := head + headPad
	for n, r := range t.rows {
		tell(t.lines[n], 0, y, width, 1)
		y += 1 + rowPadding
		y += placeRow(r.Cells, ws, stacked, y, false, tell)
		if h := below(r, width); h > 0 {
			tell(r.Below, 0, y+belowGap, width, h)
			y += belowGap + h
		}
		if n < len(t.rows)-1 {
			y += rowPadding
		}
	}
	return y
}

// below is the height of what stands under a row, 0 for nothing.
func below(r TableRow, width float32) float32 {
	if r.Below == nil || !r.Below.Visible() {
		return 0
	}
	return HeightFor(r.Below, width)
}

// placeRow gives the height of a row's cells. Low cells stand in the middle of the first line of text; heads stand at
// the bottom.
func placeRow(cells []fyne.CanvasObject, ws []float32, stacked bool, y float32, heads bool, tell func(o fyne.CanvasObject, x, y, w, h float32)) float32 {
	var x, height, above float32
	from := 0
	if stacked && len(cells) > 0 {
		from = 1
		if cells[0] != nil {
			h := HeightFor(cells[0], ws[0])
			tell(cells[0], 0, y, ws[0], h)
			above = h + 4
		}
	}
	line := style.Body.LineHeight()
	for i := from; i < len(cells); i++ {
		if cells[i] != nil {
			height = max(height, HeightFor(cells[i], ws[i]))
		}
	}
	for i := from; i < len(cells); i++ {
		if c := cells[i]; c != nil {
			h := HeightFor(c, ws[i])
			dy := max((min(line, height)-h)/2, 0)
			if heads {
				dy = height - h
			}
			tell(c, x, y+above+dy, ws[i], h)
		}
		x += ws[i] + columnGap
	}
	return above + height
}

// MinSize is narrow: columns with a share shrink.
func (t *Table) MinSize() fyne.Size {
	if t.width == 0 {
		t.width = startWidth
	}
	return fyne.NewSize(320, t.HeightFor(t.width))
}

// CreateRenderer is Fyne's.
func (t *Table) CreateRenderer() fyne.WidgetRenderer { return &tableRenderer{t} }

type tableRenderer struct{ t *Table }

func (r *tableRenderer) Layout(size fyne.Size) {
	r.t.width = size.Width
	r.t.place(size.Width, func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(w, h))
	})
}

func (r *tableRenderer) MinSize() fyne.Size { return r.t.MinSize() }
func (r *tableRenderer) Destroy()           {}
func (r *tableRenderer) Objects() []fyne.CanvasObject {
	var out []fyne.CanvasObject
	for _, h := range r.t.heads {
		out = append(out, h)
	}
	for i, row := range r.t.rows {
		out = append(out, r.t.lines[i])
		for _, c := range row.Cells {
			if c != nil {
				out = append(out, c)
			}
		}
		if row.Below != nil {
			out = append(out, row.Below)
		}
	}
	return out
}

func (r *tableRenderer) Refresh() {
	for _, l := range r.t.lines {
		l.FillColor = style.Get(style.Line)
	}
	for _, o := range r.Objects() {
		o.Refresh()
	}
	r.Layout(r.t.Size())
}
