package widgets

import (
	"fmt"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"sluice/ui/widgets/style"
)

// tokens is a theme of the tokens alone.
type tokens struct {
	variant style.Variant
	scale   float32
}

func (p tokens) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if c, ok := p.variant.Color(name); ok {
		return c
	}
	return theme.DefaultTheme().Color(name, v)
}
func (p tokens) Font(s fyne.TextStyle) fyne.Resource        { return theme.DefaultTheme().Font(s) }
func (p tokens) Icon(name fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(name) }
func (p tokens) Size(name fyne.ThemeSizeName) float32 {
	if px, ok := style.Size(name); ok {
		return px * max(p.scale, 1)
	}
	return theme.DefaultTheme().Size(name)
}

// themed gives the test an application with the tokens of a variant.
func themed(t *testing.T, v style.Variant, scale float32) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(tokens{v, scale})
}

// shown lays an object out at a width and gives its window.
func shown(t *testing.T, o fyne.CanvasObject, width float32) fyne.Window {
	t.Helper()
	back := canvas.NewRectangle(style.Get(style.Background))
	w := test.NewTempWindow(t, fyne.NewContainerWithLayout(ground{}, back, o))
	w.SetPadded(false)
	w.Resize(fyne.NewSize(width, HeightFor(o, width-40)+40))
	return w
}

// ground puts an object on the page's colour, with a margin.
type ground struct{}

func (ground) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(1, 1) }
func (ground) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Resize(s)
	o[1].Move(fyne.NewPos(20, 20))
	o[1].Resize(fyne.NewSize(s.Width-40, HeightFor(o[1], s.Width-40)))
}

// picture saves what a window shows below $SLUICE_SHOTS; without it, drawing alone is the test.
func picture(t *testing.T, w fyne.Window, name string) {
	t.Helper()
	img := w.Canvas().Capture()
	dir := os.Getenv("SLUICE_SHOTS")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// inside fails where text reaches over the bounds of what holds it.
func inside(t *testing.T, root fyne.CanvasObject) {
	t.Helper()
	size := root.Size()
	walk(root, fyne.NewPos(0, 0), func(o fyne.CanvasObject, at fyne.Position) {
		c, ok := o.(*canvas.Text)
		if ok && (at.X < -1 || at.X+c.MinSize().Width > size.Width+1 || at.Y < -1 || at.Y+c.MinSize().Height > size.Height+4) {
			t.Errorf("text %q stands at %v with %v, outside of %v", c.Text, at, c.MinSize(), size)
		}
	})
}

// walk tells every visible object with its place in root.
func walk(o fyne.CanvasObject, at fyne.Position, tell func(o fyne.CanvasObject, at fyne.Position)) {
	if !o.Visible() {
		return
	}
	tell(o, at)
	var inner []fyne.CanvasObject
	switch o := o.(type) {
	case *fyne.Container:
		inner = o.Objects
	case fyne.Widget:
		inner = test.WidgetRenderer(o).Objects()
	}
	for _, i := range inner {
		walk(i, at.Add(i.Position()), tell)
	}
}

const sha = "9f3c71d044aa0be1c77fd2e8530c7c1bb1a8a2d0e6f1c9d34f0a5b6c7d8e9f0011223344556677889900aabbccdd08bee21a"

// gallery is one of each of the drawn widgets, in Polish, with what is hardest to fit.
func gallery() fyne.CanvasObject {
	chunks := NewChunkPicture(64)
	for i := range 36 {
		chunks.Set(i, ChunkVerified)
	}
	chunks.Set(36, ChunkWork)
	chunks.Set(37, ChunkWork)
	few := NewChunkPicture(7)
	few.Set(0, ChunkVerified)
	few.Set(1, ChunkWork)
	bar := NewBar()
	bar.SetShare(0.56)
	files := NewTable(TableColumn{Title: "Plik", Share: 5}, TableColumn{Title: "Rozmiar", Trailing: true}, TableColumn{Title: "Stan", Share: 3})
	files.SetRows([]TableRow{
		{Cells: []fyne.CanvasObject{Cell("cpu-fp32/model.onnx"), Number("537 MB"), bar}},
		{Cells: []fyne.CanvasObject{Cell("cpu-fp32/" + strings.Repeat("bardzo-dluga-nazwa-", 4) + ".json"), Number("4 kB"), NewBadge(Good, "sprawdzony")}},
		{Cells: []fyne.CanvasObject{Cell("golden/hossa/input_0.pb"), Number("12 kB"), NewBadge(Good, "sprawdzony")}},
	})
	ms := func(v float64) string { return strings.Replace(fmt.Sprintf("%g ms", v), ".", ",", 1) }
	var points []LatencyPoint
	for i := range 12 {
		points = append(points, LatencyPoint{fmt.Sprint(i), 0.12 + 0.03*float64(i*i%7)})
	}
	slow := append(points[:5:5], LatencyPoint{"wolny", 31})
	ladder := NewLadder(Rung{RungReached, "Demo", []string{"9 listopada 13:48", "test modelu zaliczony"}},
		Rung{RungReached, "Paper", []string{"9 listopada 13:55", "Anna Nowak"}}, Rung{RungOff, "Live", []string{"dziś 14:11", "wyłączony"}})
	values := NewKeyValues(KV("Wersja", "trend-ensemble 1.5.0, wariant cpu-int8"), KeyValue{"Manifest", NewDigest("SHA-384", sha)},
		KV("Dziennik decyzji", "wpis 214, łańcuch nienaruszony"), KeyValue{"Stan", NewBadge(Good, "live")})
	return Column(12, NewCard(Column(12, chunks, few)), NewCard(files),
		NewCard(Row(24, []float32{1, 1}, NewLatencyChart("limit", ms, 50, points...), NewLatencyChart("limit", ms, 10, slow...))),
		NewCard(ladder), NewCard(values), NewCard(sample(nil)))
}

// sample is a checklist with every kind of line.
func sample(reflow func()) *Checklist {
	c := NewChecklist([4]string{"Krok", "Odpowiedzialny", "Artefakty", "Akceptacja"}, []ChecklistItem{
		{Step: "Podpis pakietu i skrót każdego pliku", Responsible: "program", Artifacts: "manifest 9f3c…e21a", State: Good, Status: "automatycznie", Open: true,
			Criterion: "Podpisany wymaganymi kluczami z listy zaufanych; każdy plik ma podpisany skrót",
			Evidence:  []KeyValue{{"manifest_sha384", NewWholeDigest(sha)}, {"files", NewText(style.Small, "12")}}},
		{Step: "Wynik przypadków wzorcowych na tym komputerze", Responsible: "program", Artifacts: "12 z 12 przypadków", State: Good, Status: "automatycznie", Criterion: "x"},
		{Step: "Limity pozycji sprawdzone dla tego konta", Responsible: "Operator", Artifacts: "Limity ryzyka konta handlowego", State: Warning, Status: "do potwierdzenia",
			Answers: []string{"tak", "nie", "nie dotyczy"}, Answer: -1, Hint: "Uwagi (wymagane)"},
		{Step: "Plan powrotu do poprzedniej wersji jest znany i przećwiczony", Responsible: "Operator", Artifacts: "Poprzednia wersja live, procedura powrotu", State: Good, Status: "nie dotyczy, Anna Nowak",
			Answers: []string{"tak", "nie", "nie dotyczy"}, Answer: 2, NeedsComment: true, Comment: "pierwsza wersja na tym komputerze", Hint: "Uwagi (wymagane)"},
		{Step: "Dziennik decyzji etapu paper jest kompletny i przejrzany", Responsible: "osoba ds. zgodności (compliance)", Artifacts: "Dzienniki decyzji, ich skróty końcowe", State: Neutral, Status: "inna osoba"},
	})
	c.OnReflow = reflow
	return c
}

// TestGallery draws everything in every variant, at the smallest width and the largest text too, and nothing reaches over.
func TestGallery(t *testing.T) {
	for _, v := range style.Variants() {
		for _, at := range []struct{ scale, width float32 }{{1, 812}, {1.5, 710}} {
			t.Run(fmt.Sprintf("%s-%g", v, at.scale), func(t *testing.T) {
				themed(t, v, at.scale)
				g := gallery()
				w := shown(t, g, at.width)
				inside(t, g)
				picture(t, w, fmt.Sprintf("widgets-%s-%g", v, at.scale*100))
			})
		}
	}
}
