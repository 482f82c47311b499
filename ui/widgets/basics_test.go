package widgets

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sluice/ui/widgets/style"
)

// lineTexts are the lines that a text shows at a width.
func lineTexts(x *Text, width float32) []string {
	x.flow(width)
	var out []string
	for _, l := range x.lines {
		out = append(out, l.text())
	}
	return out
}

func TestTextWraps(t *testing.T) {
	themed(t, style.Light, 1)
	words := "Tego pakietu nie wolno użyć, bo podpis nie pochodzi od klucza, któremu ten komputer ufa."
	x := NewText(style.Body, words)
	lines := lineTexts(x, 200)
	if len(lines) < 3 || strings.Join(lines, " ") != words {
		t.Errorf("%q", lines)
	}
	for _, l := range lines {
		if w := style.Body.Measure(l).Width; w > 200.5 {
			t.Errorf("%q is %.1f wide, want at most 200", l, w)
		}
	}
	if h := x.HeightFor(200); h != float32(len(lines))*style.Body.LineHeight() {
		t.Errorf("height %v for %d lines", h, len(lines))
	}

	// A word longer than a line is broken, nothing of it is lost.
	digest := strings.Repeat("9f3c71d044aa", 12)
	if got := strings.Join(lineTexts(NewText(style.Mono, digest), 150), ""); got != digest {
		t.Errorf("got %q", got)
	}
	// A no-break space holds number and unit together.
	for _, l := range lineTexts(NewText(style.Body, "potrzeba 910\u00a0MB wolnego miejsca"), 90) {
		if strings.HasSuffix(l, "910") || strings.HasPrefix(l, "MB") {
			t.Errorf("a number is torn from its unit: %q", l)
		}
	}
	if got := lineTexts(NewText(style.Body, "one\n\ntwo"), 300); len(got) != 3 || got[1] != "" {
		t.Errorf("%q", got)
	}
	if got := lineTexts(NewText(style.Body, ""), 300); len(got) != 1 {
		t.Errorf("%q", got)
	}
	// Spans share lines.
	mixed := NewSpans(Span{Text: "Nie instaluj. ", Face: style.BodyStrong}, Span{Text: "Zadzwoń do dostawcy.", Face: style.Body})
	if got := lineTexts(mixed, 1000); len(got) != 1 || got[0] != "Nie instaluj. Zadzwoń do dostawcy." || mixed.String() != got[0] {
		t.Errorf("%q", got)
	}
}

func TestLineIsCutInTheMiddle(t *testing.T) {
	themed(t, style.Light, 1)
	x := NewLine(style.Body, "trend-ensemble-with-a-long-name-1.5.0")
	x.flow(1000)
	if x.Cut() {
		t.Error("cut although there is room")
	}
	x.lines = nil
	x.flow(150)
	got := x.lines[0].text()
	if !x.Cut() || !strings.HasPrefix(got, "trend") || !strings.HasSuffix(got, "1.5.0") || !strings.Contains(got, "…") || style.Body.Measure(got).Width > 150 {
		t.Errorf("%q", got)
	}
}

func TestTextGrowsWithTheTheme(t *testing.T) {
	themed(t, style.Light, 1)
	x := NewText(style.Body, "wzorcowych")
	small := x.Natural()
	themed(t, style.Light, 1.5)
	x.Refresh()
	if big := x.Natural(); big.Width < small.Width*1.4 || big.Height < small.Height*1.4 {
		t.Errorf("%v at 100 %%, %v at 150 %%", small, big)
	}
}

func TestButton(t *testing.T) {
	themed(t, style.Light, 1)
	pressed := 0
	for _, b := range []*Button{PrimaryButton("Instaluj", nil), SecondaryButton("Wstecz", nil), DangerButton("Wyłącz live", nil), LinkButton("Kopiuj", nil), SmallLink("Pomoc", nil)} {
		pressed = 0
		b.OnTapped = func() { pressed++ }
		w := shown(t, b, 300)
		test.Tap(b)
		press(b, fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter, fyne.KeyA)
		if pressed != 4 {
			t.Errorf("%q was pressed %d times, want 4", b.Label(), pressed)
		}
		w.Canvas().Focus(b)
		if !b.focused || test.WidgetRenderer(b).Objects()[0].(interface{ Visible() bool }).Visible() != true {
			t.Errorf("%q shows no focus", b.Label())
		}
		b.Disable()
		test.Tap(b)
		press(b, fyne.KeySpace)
		if pressed != 4 || !b.Disabled() || w.Canvas().Focused() == b {
			t.Errorf("%q can be pressed while off, or keeps the keyboard", b.Label())
		}
		b.Enable()
		before := b.Natural()
		b.SetShortcut("Ctrl+Enter")
		if b.Natural().Width <= before.Width {
			t.Errorf("%q has no room for its shortcut", b.Label())
		}
	}
}

// TestKeysGoOnToTheWindow: Escape and the like work wherever the keyboard is.
func TestKeysGoOnToTheWindow(t *testing.T) {
	themed(t, style.Light, 1)
	list := &ChoiceList{Chosen: 0}
	button, entry, row := SecondaryButton("a", nil), NewEntry(), list.Add(NewText(style.Body, "row"), false)
	w := shown(t, Column(4, button, entry, row), 300)
	var got []fyne.KeyName
	w.Canvas().SetOnTypedKey(func(e *fyne.KeyEvent) { got = append(got, e.Name) })
	for _, f := range []fyne.Focusable{button, entry, row} {
		press(f, fyne.KeyEscape)
	}
	press(entry, fyne.KeyLeft) // its own
	if len(got) != 3 {
		t.Errorf("the window got %v, want Escape three times", got)
	}
}

func TestChoiceList(t *testing.T) {
	themed(t, style.Dark, 1)
	var told []int
	confirmed := 0
	l := &ChoiceList{Chosen: -1, OnChosen: func(i int) { told = append(told, i) }, OnConfirm: func() { confirmed++ }}
	for i, off := range []bool{false, true, false} {
		l.Add(NewText(style.Body, string(rune('a'+i))), off)
	}
	w := shown(t, Column(8, l.Objects()...), 400)
	press(l.Rows[0], fyne.KeySpace)
	press(l.Rows[0], fyne.KeyDown) // over the one that is off
	if l.Chosen != 2 || !l.Rows[2].Chosen() || w.Canvas().Focused() != l.Rows[2] {
		t.Errorf("chosen %d, the keyboard is at %v", l.Chosen, w.Canvas().Focused())
	}
	press(l.Rows[2], fyne.KeyDown) // the end
	test.Tap(l.Rows[1])
	l.Rows[1].DoubleTapped(nil)
	press(l.Rows[1], fyne.KeyReturn)
	if l.Chosen != 2 || confirmed != 0 {
		t.Errorf("a row that is off was taken: %d, confirmed %d times", l.Chosen, confirmed)
	}
	press(l.Rows[2], fyne.KeyUp, fyne.KeyReturn)
	l.Rows[0].DoubleTapped(nil)
	if len(told) != 5 || confirmed != 2 { // 0, 2, 0 by keys; 2 by Return on the row itself; 0 by a double click
		t.Errorf("told %v, confirmed %d times", told, confirmed)
	}
}

func TestBadgeHasShapeAndWord(t *testing.T) {
	themed(t, style.Contrast, 1)
	shapes := map[Glyph]bool{}
	for _, s := range []State{Good, Warning, Wrong} {
		if g := s.Glyph(); g == "" || shapes[g] {
			t.Errorf("state %d has the shape %q of another one, or none", s, g)
		} else {
			shapes[g] = true
		}
	}
	b := NewBadge(Warning, "brak tomu 2 z 3")
	wide := b.HeightFor(400)
	if narrow := b.HeightFor(80); narrow <= wide {
		t.Errorf("height %v at 80, %v at 400: the word does not wrap", narrow, wide)
	}
	b.Set(Good, "sprawdzony")
	inside(t, shown(t, b, 300).Content())
}

func TestStepper(t *testing.T) {
	themed(t, style.Light, 1.5)
	s := NewStepper([]string{"Źródło", "Autentyczność", "Sprzęt", "Instalacja", "Test modelu", "Odbiór", "Tryb live"}, 3, 2)
	w := shown(t, s, 240)
	s.Resize(fyne.NewSize(240, 600))
	high := s.stepHeight()
	s.Resize(fyne.NewSize(240, 200)) // too little: words keep their height
	if low := s.stepHeight(); low >= high || low < style.Body.LineHeight() {
		t.Errorf("a step is %v high with room and %v without", high, low)
	}
	s.Set(7, 7)
	inside(t, w.Content())
}

func TestScrollRevealsAndReflows(t *testing.T) {
	themed(t, style.Light, 1)
	grows := NewText(style.Body, "short")
	var buttons []fyne.CanvasObject
	for range 30 {
		buttons = append(buttons, SecondaryButton("press", nil))
	}
	s := NewScroll(Column(4, append([]fyne.CanvasObject{grows}, buttons...)...))
	w := test.NewWindow(s)
	t.Cleanup(w.Close)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(300, 200))
	s.Reveal(buttons[29])
	if s.Inner.Offset.Y <= 0 {
		t.Error("the last button stays out of view")
	}
	s.Reveal(grows)
	if s.Inner.Offset.Y != 0 {
		t.Errorf("offset %v, want the top", s.Inner.Offset.Y)
	}
	before := s.Inner.Content.Size().Height
	grows.SetText(strings.Repeat("longer and longer ", 40))
	s.Reflow()
	if after := s.Inner.Content.Size().Height; after <= before {
		t.Errorf("content is %v high, was %v: what grew is clipped", after, before)
	}
}

func TestWrappingAndEnds(t *testing.T) {
	themed(t, style.Light, 1)
	one, two := SecondaryButton("Wybierz inny pakiet", nil), SecondaryButton("Zapisz kopię na nośnik", nil)
	row := Wrapping(12, one, two)
	if wide, narrow := HeightFor(row, 600), HeightFor(row, 250); narrow <= wide {
		t.Errorf("height %v at 250, %v at 600", narrow, wide)
	}
	row.Resize(fyne.NewSize(250, HeightFor(row, 250)))
	if one.Position().Y >= two.Position().Y || two.Size().Width > 250 {
		t.Errorf("%v %v", one.Position(), two.Position())
	}
	left, right := NewText(style.Body, strings.Repeat("name ", 30)), NewLine(style.Body, "910 MB")
	e := Ends(8, left, right)
	e.Resize(fyne.NewSize(300, HeightFor(e, 300)))
	if right.Position().X+right.Size().Width != 300 || left.Size().Width > right.Position().X {
		t.Errorf("left %v, right at %v", left.Size(), right.Position())
	}
	box := Inset(10, 20, 30, 40, NewText(style.Body, "x"))
	if got, want := HeightFor(box, 200), style.Body.LineHeight()+60; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCardsFollowTheirContent(t *testing.T) {
	for _, v := range style.Variants() {
		themed(t, v, 1.25)
		words := strings.Repeat("słowa, które się zawijają ", 8)
		for _, c := range []*Card{NewCard(NewText(style.Body, words)), NewEdgeCard(Wrong, NewText(style.Body, words)), NewSmallCard(NewText(style.Small, words))} {
			if c.HeightFor(300) <= c.HeightFor(600) {
				t.Errorf("a card is %v high at 300 and %v at 600", c.HeightFor(300), c.HeightFor(600))
			}
			inside(t, shown(t, c, 320).Content())
		}
	}
}
