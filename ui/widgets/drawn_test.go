package widgets

import (
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"

	"sluice/ui/widgets/style"
)

func press(f fyne.Focusable, names ...fyne.KeyName) {
	for _, n := range names {
		f.TypedKey(&fyne.KeyEvent{Name: n})
	}
}

// TestChunkPicture: states by count and by shape, several chunks to a square, only changed squares drawn again.
func TestChunkPicture(t *testing.T) {
	themed(t, style.Light, 1)
	c := NewChunkPicture(4)
	shown(t, c, 700)
	r := test.WidgetRenderer(c).(*chunkRenderer)
	height := func(i int) float32 { return r.front[i].Size().Height }
	if height(0) != 0 {
		t.Errorf("an open chunk is filled by %v", height(0))
	}
	c.Set(0, ChunkVerified)
	c.Set(1, ChunkWork)
	c.Set(99, ChunkVerified) // no such chunk
	c.Refresh()
	if height(0) != squareHeight || height(1) != squareHeight/2 || height(2) != 0 {
		t.Errorf("fills are %v, %v, %v; want full, half, none", height(0), height(1), height(2))
	}
	if r.back[1].StrokeWidth == 0 || r.back[0].StrokeWidth != 0 {
		t.Error("only a chunk in work has a border")
	}
	if v, w, o := c.Count(); v != 1 || w != 1 || o != 2 {
		t.Errorf("counted %d, %d, %d", v, w, o)
	}

	big := NewChunkPicture(20000)
	if n := big.Squares(); n > maxSquares || n < maxSquares/2 {
		t.Errorf("20000 chunks are %d squares", n)
	}
	for i := range 20000 {
		big.Set(i, ChunkVerified)
	}
	if share, work := big.fill(big.Squares() - 1); share != 1 || work {
		t.Errorf("the last square is filled by %v, in work: %v", share, work)
	}
	if none := NewChunkPicture(0); none.Squares() != 0 || none.HeightFor(700) <= 0 {
		t.Error("a variant without chunks cannot be drawn")
	}
}

func TestBar(t *testing.T) {
	themed(t, style.Light, 1)
	b := NewBar()
	shown(t, b, 240)
	b.SetShare(7)
	front := test.WidgetRenderer(b).Objects()[1]
	if front.Size().Width != 200 {
		t.Errorf("a full bar is %v wide, want 200", front.Size().Width)
	}
	b.SetShare(-1)
	if front.Size().Width != 0 {
		t.Errorf("an empty bar is %v wide", front.Size().Width)
	}
}

// TestLatencyChart: the scale holds all points and the limit; points over it are named.
func TestLatencyChart(t *testing.T) {
	themed(t, style.Light, 1)
	c := NewLatencyChart("limit", nil, 10, LatencyPoint{"a", 0.02}, LatencyPoint{"b", 31}, LatencyPoint{"zero", 0})
	if got := c.Over(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("over the limit are %q", got)
	}
	ticks := c.Ticks()
	if ticks[0] > fastest*1.001 || len(ticks) > 6 {
		t.Errorf("ticks are %v", ticks)
	}
	w := shown(t, c, 500)
	inside(t, c)
	crosses, dots := 0, 0
	walk(c, fyne.Position{}, func(o fyne.CanvasObject, at fyne.Position) {
		switch o := o.(type) {
		case *Icon:
			crosses++
		case *canvas.Circle:
			dots++
			if at.Y < 0 || at.Y+o.Size().Height > c.Size().Height {
				t.Errorf("a dot stands at %v, outside", at)
			}
		}
	})
	if crosses != 1 || dots != 2 {
		t.Errorf("%d crosses, %d dots; want 1 and 2", crosses, dots)
	}
	picture(t, w, "latency")
	NewLatencyChart("limit", nil, 0).MinSize() // nothing to show is no trouble
}

func TestLadder(t *testing.T) {
	themed(t, style.Dark, 1.5)
	l := NewLadder(Rung{RungReached, "Demo", []string{"1.5.0"}}, Rung{RungWaiting, "Paper", nil}, Rung{RungOpen, "Live", []string{"jeszcze nie"}})
	shown(t, l, 500)
	inside(t, l)
	before := l.Size().Height
	l.Set(Rung{RungReached, "Demo", []string{strings.Repeat("bardzo długi opis ", 8)}})
	if got := l.HeightFor(200); got <= before {
		t.Errorf("long lines need %v, want more than %v", got, before)
	}
}

func TestDigests(t *testing.T) {
	if got := CutDigest(sha[:96], 3, 2); got != "9f3c 71d0 44aa … "+Groups(sha[88:96]) {
		t.Errorf("cut is %q", got)
	}
	if got := ShortDigest("0123456789"); got != "0123…6789" {
		t.Errorf("short is %q", got)
	}
	if got := Groups("abcdefghi"); got != "abcd efgh i" {
		t.Errorf("groups are %q", got)
	}
}

// TestKeyValues: names are aligned, and long values wrap beside them.
func TestKeyValues(t *testing.T) {
	themed(t, style.Light, 1)
	k := NewKeyValues(KV("Wersja", "1.5.0"), KV("Dziennik decyzji", strings.Repeat("wpis ", 60)))
	shown(t, k, 400)
	inside(t, k)
	if a, b := k.values[0].Position(), k.values[1].Position(); a.X != b.X || b.Y <= a.Y {
		t.Errorf("values stand at %v and %v", a, b)
	}
	if k.values[1].Size().Height < 3*style.Body.LineHeight() {
		t.Error("the long value does not wrap")
	}
}

// TestTable: numbers end at one edge, rows below each other, a hidden part takes no room, narrow tables are stacked.
func TestTable(t *testing.T) {
	themed(t, style.Light, 1)
	below := NewText(style.Small, "szczegóły")
	table := NewTable(TableColumn{Title: "Plik", Share: 1}, TableColumn{Title: "Rozmiar", Trailing: true}, TableColumn{Title: "Odpowiedzialny", Share: 1})
	table.SetRows([]TableRow{
		{Cells: []fyne.CanvasObject{Cell("a"), Number("537 MB"), Cell("x")}, Below: below},
		{Cells: []fyne.CanvasObject{Cell("b"), Number("4 kB"), nil}},
	})
	shown(t, table, 640)
	inside(t, table)
	a, b := table.rows[0].Cells[1], table.rows[1].Cells[1]
	if a.Position().X != b.Position().X || a.Size().Width != b.Size().Width || b.Position().Y <= a.Position().Y {
		t.Errorf("numbers stand at %v %v and %v %v", a.Position(), a.Size(), b.Position(), b.Size())
	}
	open := table.HeightFor(600)
	below.Hide()
	if shut := table.HeightFor(600); shut >= open {
		t.Errorf("without its details the table is %v high, with them %v", shut, open)
	}
	if _, stacked := table.widths(600); stacked {
		t.Error("a wide table is stacked")
	}
	if ws, stacked := table.widths(200); !stacked || ws[0] != 200 {
		t.Errorf("a narrow table has the widths %v", ws)
	}
	table.Resize(fyne.NewSize(120, table.HeightFor(120)))
	for _, w := range func() []float32 { w, _ := table.widths(120); return w }() {
		if w > 120 {
			t.Errorf("a column is %v wide in a table of 120", w)
		}
	}
}

// TestSegments: arrows, Space and clicks choose; a word is told once.
func TestSegments(t *testing.T) {
	themed(t, style.Light, 1)
	var told []int
	s := NewSegments([]string{"tak", "nie", "nie dotyczy"}, -1, func(i int) { told = append(told, i) })
	w := shown(t, s, 640)
	w.Canvas().Focus(s)
	press(s, fyne.KeySpace, fyne.KeySpace, fyne.KeyRight, fyne.KeyRight, fyne.KeyRight, fyne.KeyLeft)
	if want := []int{0, 1, 2, 1}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	box := s.boxes(600)[2]
	s.Tapped(&fyne.PointEvent{Position: fyne.NewPos(box.x+5, box.y+5)})
	if s.Chosen() != 2 {
		t.Errorf("a click chose %d", s.Chosen())
	}
	s.Disable()
	press(s, fyne.KeyLeft)
	if s.Chosen() != 2 || s.Find("nie") != 1 || s.Find("x") != -1 {
		t.Error("a disabled choice changed")
	}
	if s.HeightFor(120) <= s.HeightFor(600) {
		t.Error("words do not stand below each other where there is no room")
	}
}

// TestChecklist: evidence opens by keyboard and tells so; answers ask for a comment; nothing else takes the keyboard.
func TestChecklist(t *testing.T) {
	themed(t, style.Light, 1)
	reflows := 0
	c := sample(func() { reflows++ })
	w := shown(t, c, 800)
	inside(t, c)
	before := c.HeightFor(760)
	w.Canvas().Focus(c.Status(1))
	press(c.Status(1), fyne.KeySpace)
	if c.HeightFor(760) <= before || reflows != 1 || !c.Status(1).Open {
		t.Error("the evidence did not open")
	}
	press(c.Status(1), fyne.KeyReturn)
	if c.HeightFor(760) != before || reflows != 2 {
		t.Error("the evidence did not close")
	}
	if !c.Status(4).Disabled() || c.Answers(4) != nil || c.Comment(0) != nil {
		t.Error("a line of another person can be pressed or answered")
	}
	if c.Focus() != fyne.Focusable(c.Answers(2)) {
		t.Errorf("the first open question is %v", c.Focus())
	}
	c.Answers(2).Choose(1)
	c.SetNeedsComment(2, true)
	c.SetStatus(2, Warning, "brak uwag")
	if !c.Comment(2).Visible() || reflows != 3 || c.Status(2).Word() != "brak uwag" || c.Status(2).State() != Warning {
		t.Error("the comment is not asked for")
	}
	c.Resize(fyne.NewSize(760, c.HeightFor(760)))
	inside(t, c)
}
