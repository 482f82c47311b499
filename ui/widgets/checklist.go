package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sluice/ui/widgets/style"
)

// ChecklistItem is a line of a Checklist.
type ChecklistItem struct {
	Step        string
	Responsible string
	Artifacts   string
	State       State  // of the acceptance
	Status      string // its word: automatic, who and when, to be confirmed

	// What opens below the line: when it is accepted, and what the program found out itself.
	Criterion string
	Evidence  []KeyValue
	Open      bool
	OnOpen    func(open bool)

	// A question to the person who signs. Without answers there is none.
	Answers      []string
	Note         string // below the criterion: why an answer is not offered
	Answer       int    // -1: none yet
	OnAnswer     func(i int)
	NeedsComment bool // of the answer given
	Hint         string
	Comment      string
	OnComment    func(text string)
}

// Checklist is the table of a sign-off: step, who is responsible, artifacts, acceptance. A line whose evidence can be
// seen has a press in the last column; a line that asks the reader has the answers below it.
type Checklist struct {
	widget.BaseWidget
	OnReflow func() // called when lines opened, closed or asked for a comment

	table *Table
	items []ChecklistItem
	lines []*checkLine
}

// checkLine holds the moving parts of a line.
type checkLine struct {
	status  *BadgeButton
	answers *Segments
	comment *Entry
}

// NewChecklist makes one with the heads of its four columns.
func NewChecklist(heads [4]string, items []ChecklistItem) *Checklist {
	c := &Checklist{items: items}
	c.table = NewTable(TableColumn{Title: heads[0], Share: 34}, TableColumn{Title: heads[1], Share: 17},
		TableColumn{Title: heads[2], Share: 24}, TableColumn{Title: heads[3], Share: 25})
	c.ExtendBaseWidget(c)
	c.build()
	return c
}

// Focus is the first answer still open, nil when all are given.
func (c *Checklist) Focus() fyne.Focusable {
	for i, l := range c.lines {
		if l.answers != nil && c.items[i].Answer < 0 {
			return l.answers
		}
		if l.comment != nil && l.comment.Visible() && l.comment.Text == "" {
			return l.comment
		}
	}
	return nil
}

// Answers is the choice of a line, nil when it asks nothing.
func (c *Checklist) Answers(i int) *Segments { return c.lines[i].answers }

// Comment is the comment of a line, nil when it has none.
func (c *Checklist) Comment(i int) *Entry { return c.lines[i].comment }

// Status is the press of a line that opens its evidence.
func (c *Checklist) Status(i int) *BadgeButton { return c.lines[i].status }

// SetStatus changes the acceptance of a line.
func (c *Checklist) SetStatus(i int, s State, word string) {
	c.items[i].State, c.items[i].Status = s, word
	c.lines[i].status.Set(s, word)
}

// SetNeedsComment shows or hides the comment of a line.
func (c *Checklist) SetNeedsComment(i int, needed bool) {
	e := c.lines[i].comment
	if e == nil || e.Visible() == needed {
		return
	}
	if needed {
		e.Show()
	} else {
		e.Hide()
	}
	c.reflow()
}

func (c *Checklist) reflow() {
	c.Refresh()
	if c.OnReflow != nil {
		c.OnReflow()
	}
}

func (c *Checklist) build() {
	rows := make([]TableRow, len(c.items))
	c.lines = make([]*checkLine, len(c.items))
	for i := range c.items {
		it := &c.items[i]
		l := &checkLine{status: NewBadgeButton(it.State, it.Status)}
		c.lines[i] = l
		row := TableRow{Cells: []fyne.CanvasObject{Cell(it.Step), Cell(it.Responsible), NewText(style.BodyDim, it.Artifacts), l.status}}
		var below []fyne.CanvasObject
		if len(it.Answers) > 0 {
			below = append(below, c.ask(i, l)...)
		}
		if it.Criterion != "" && len(it.Answers) == 0 || len(it.Evidence) > 0 {
			details := c.details(it)
			if !it.Open {
				details.Hide()
			}
			below = append(below, details)
			l.status.Open, l.status.OnTapped = it.Open, func() {
				it.Open = !it.Open
				l.status.Open = it.Open
				if it.Open {
					details.Show()
				} else {
					details.Hide()
				}
				if it.OnOpen != nil {
					it.OnOpen(it.Open)
				}
				c.reflow()
			}
		}
		if len(below) > 0 {
			row.Below = Column(8, below...)
		}
		rows[i] = row
	}
	c.table.SetRows(rows)
}

// ask is the criterion with the answers, and the comment that some of them need.
func (c *Checklist) ask(i int, l *checkLine) []fyne.CanvasObject {
	it := &c.items[i]
	l.answers = NewSegments(it.Answers, it.Answer, func(n int) {
		it.Answer = n
		if it.OnAnswer != nil {
			it.OnAnswer(n)
		}
	})
	l.comment = NewEntry()
	l.comment.SetPlaceHolder(it.Hint)
	l.comment.SetText(it.Comment)
	l.comment.OnChanged = func(s string) {
		it.Comment = s
		if it.OnComment != nil {
			it.OnComment(s)
		}
	}
	if !it.NeedsComment {
		l.comment.Hide()
	}
	out := []fyne.CanvasObject{l.answers, l.comment}
	if it.Note != "" {
		out = append([]fyne.CanvasObject{NewText(style.Body, it.Note)}, out...)
	}
	if it.Criterion != "" { // what a person confirms is never folded away
		out = append([]fyne.CanvasObject{NewText(style.BodyDim, it.Criterion)}, out...)
	}
	return out
}

// details is what opens: the criterion and the evidence, on a ground of their own.
func (c *Checklist) details(it *ChecklistItem) fyne.CanvasObject {
	var objs []fyne.CanvasObject
	if it.Criterion != "" && len(it.Answers) == 0 {
		objs = append(objs, NewText(style.Small, it.Criterion))
	}
	if len(it.Evidence) > 0 {
		objs = append(objs, NewSmallKeyValues(it.Evidence...))
	}
	return NewPanel(Column(8, objs...))
}

// HeightFor is that of the table.
func (c *Checklist) HeightFor(width float32) float32 { return c.table.HeightFor(width) }

// MinSize is the table's.
func (c *Checklist) MinSize() fyne.Size { return c.table.MinSize() }

// CreateRenderer is Fyne's.
func (c *Checklist) CreateRenderer() fyne.WidgetRenderer {
	return &simpleRenderer{objs: []fyne.CanvasObject{c.table}, min: c.MinSize,
		layout: func(s fyne.Size) { c.table.Resize(s) }, refresh: func() { c.table.Refresh() }}
}

// Panel is a soft ground under details.
type Panel struct {
	widget.BaseWidget
	content fyne.CanvasObject
}

// NewPanel wraps content.
func NewPanel(content fyne.CanvasObject) *Panel {
	p := &Panel{content: content}
	p.ExtendBaseWidget(p)
	return p
}

const panelX, panelY = 14, 10

// HeightFor is that of the content and the padding.
func (p *Panel) HeightFor(width float32) float32 {
	return HeightFor(p.content, max(width-2*panelX, 1)) + 2*panelY
}

// MinSize is that of the content and the padding.
func (p *Panel) MinSize() fyne.Size { return p.content.MinSize().AddWidthHeight(2*panelX, 2*panelY) }

// CreateRenderer is Fyne's.
func (p *Panel) CreateRenderer() fyne.WidgetRenderer {
	back := &canvas.Rectangle{CornerRadius: 6, FillColor: style.Get(style.Background)}
	return &simpleRenderer{objs: []fyne.CanvasObject{back, p.content}, min: p.MinSize,
		layout: func(s fyne.Size) {
			back.Resize(s)
			p.content.Move(fyne.NewPos(panelX, panelY))
			p.content.Resize(fyne.NewSize(max(s.Width-2*panelX, 1), s.Height-2*panelY))
		},
		refresh: func() {
			back.FillColor = style.Get(style.Background)
			back.Refresh()
			p.content.Refresh()
		}}
}

// BadgeButton is a badge that opens something: it has an arrow, takes the keyboard and is pressed by Space and Enter.
// Without OnTapped it is a plain badge.
type BadgeButton struct {
	widget.BaseWidget
	OnTapped func()
	Open     bool

	badge   *Badge
	focused bool
}

// NewBadgeButton makes one.
func NewBadgeButton(s State, word string) *BadgeButton {
	b := &BadgeButton{badge: NewBadge(s, word)}
	b.ExtendBaseWidget(b)
	return b
}

// Set changes state and word.
func (b *BadgeButton) Set(s State, word string) {
	b.badge.State, b.badge.Word = s, word
	b.Refresh()
}

// Word is the badge's.
func (b *BadgeButton) Word() string { return b.badge.Word }

// State is the badge's.
func (b *BadgeButton) State() State { return b.badge.State }

// Disabled is true where there is nothing to open; the keyboard passes it by.
func (b *BadgeButton) Disabled() bool { return b.OnTapped == nil }

// Disable is Fyne's.
func (b *BadgeButton) Disable() {}

// Enable is Fyne's.
func (b *BadgeButton) Enable() {}

// Tapped is Fyne's.
func (b *BadgeButton) Tapped(*fyne.PointEvent) {
	if b.OnTapped != nil {
		b.OnTapped()
	}
}

// FocusGained is Fyne's.
func (b *BadgeButton) FocusGained() { b.focused = true; b.Refresh(); reveal(b) }

// FocusLost is Fyne's.
func (b *BadgeButton) FocusLost() { b.focused = false; b.Refresh() }

// TypedRune is Fyne's.
func (b *BadgeButton) TypedRune(rune) {}

// TypedKey presses on Space and Enter.
func (b *BadgeButton) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	default:
		passKey(b, e)
	}
}

// Cursor is a hand where there is something to open.
func (b *BadgeButton) Cursor() desktop.Cursor {
	if b.Disabled() {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

const arrow = 12

func (b *BadgeButton) arrowRoom() float32 {
	if b.Disabled() {
		return 0
	}
	return arrow + 6
}

// Natural is the size on one line.
func (b *BadgeButton) Natural() fyne.Size {
	return b.badge.Natural().AddWidthHeight(b.arrowRoom(), 0)
}

// HeightFor is the badge's.
func (b *BadgeButton) HeightFor(width float32) float32 {
	return b.badge.HeightFor(min(max(width-b.arrowRoom(), 1), b.badge.Natural().Width))
}

// MinSize is as wide as the longest word.
func (b *BadgeButton) MinSize() fyne.Size {
	var w float32
	for word := range strings.FieldsSeq(b.badge.Word) {
		w = max(w, style.Head.Measure(word).Width)
	}
	return fyne.NewSize(w+b.badge.inset()+badgePad+b.arrowRoom(), b.badge.Natural().Height)
}

// CreateRenderer is Fyne's.
func (b *BadgeButton) CreateRenderer() fyne.WidgetRenderer {
	ring := &canvas.Rectangle{CornerRadius: style.Corner + 3, StrokeWidth: 2, FillColor: style.Transparent}
	right, down := NewIcon(Right, style.Dim, arrow), NewIcon(Down, style.Dim, arrow)
	place := func(s fyne.Size) {
		w := min(b.badge.Natural().Width, max(s.Width-b.arrowRoom(), 1))
		h := b.HeightFor(s.Width)
		b.badge.Resize(fyne.NewSize(w, h))
		for _, i := range []*Icon{right, down} {
			i.Resize(fyne.NewSquareSize(arrow))
			i.Move(fyne.NewPos(w+6, (b.badge.Natural().Height-arrow)/2))
		}
		ring.Move(fyne.NewPos(-3, -3))
		ring.Resize(fyne.NewSize(w+b.arrowRoom()+6, h+6))
	}
	show := func() {
		ring.StrokeColor = style.Transparent
		if b.focused {
			ring.StrokeColor = style.Get(style.Accent)
		}
		right.Hidden, down.Hidden = b.Disabled() || b.Open, b.Disabled() || !b.Open
	}
	show()
	return &simpleRenderer{objs: []fyne.CanvasObject{ring, b.badge, right, down}, min: b.MinSize, layout: place,
		refresh: func() {
			show()
			place(b.Size())
			ring.Refresh()
			b.badge.Refresh()
			right.Refresh()
			down.Refresh()
		}}
}
