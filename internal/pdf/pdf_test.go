package pdf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const polish = "Zażółć gęślą jaźń — ZAŻÓŁĆ GĘŚLĄ JAŹŃ „cytat”"

func sample(t *testing.T, fill func(*Document)) []byte {
	t.Helper()
	d := New(Options{Title: "Protokół odbioru", Subject: "próba", Lang: "pl", Foot: "odbior-live-1.4.2", Created: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)})
	d.Title("Protokół odbioru", "sluice-demo 1.4.2, etap live")
	fill(d)
	out, err := d.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// read gives the text of a document as another program sees it.
func read(t *testing.T, raw []byte, args ...string) string {
	t.Helper()
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("pdftotext is not installed (poppler-utils)")
	}
	file := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, append(append([]string{"-enc", "UTF-8"}, args...), file, "-")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var digest = strings.Repeat("0123456789abcdef", 6)

func TestPolishLettersAreFound(t *testing.T) {
	raw := sample(t, func(d *Document) {
		d.Heading("Podpisy: " + polish)
		d.Banner(Good, "Komplet: "+polish)
		d.Rows(Row{"Imię i nazwisko", Text(polish)}, Row{"Klucz", Mono(polish)})
		d.Table([]Column{{Head: "Krok", Share: 1}, {Head: "Odpowiedź", Share: 1}}, [][]Cell{{Text(polish), Text("ąćęłńóśźż")}})
		d.Card("Zofia Żółć", Good, Row{"Znaczenie", Text("zatwierdziła")})
	})
	got := strings.ReplaceAll(strings.Join(strings.Fields(read(t, raw)), " "), " / ", "/")
	for _, want := range []string{"Zażółć gęślą jaźń", "ZAŻÓŁĆ GĘŚLĄ JAŹŃ", "„cytat”", "ąćęłńóśźż", "Zofia Żółć", "zatwierdziła", "1/1"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not found in %q", want, got)
		}
	}
}

// A digest is broken into lines of equal length and loses no digit.
func TestDigestsWrap(t *testing.T) {
	raw := sample(t, func(d *Document) {
		d.Rows(Row{"SHA-384", Mono(digest)})
		d.Table([]Column{{Head: "a", Share: 3}, {Head: "b", Share: 1}}, [][]Cell{{Text("x"), Mono(digest)}})
	})
	text := read(t, raw, "-layout")
	if !strings.Contains(text, digest[:48]+"\n") {
		t.Errorf("the digest is not broken into 48 and 48:\n%s", text)
	}
	only := regexp.MustCompile(`[^0-9a-f]`).ReplaceAllString(strings.Join(regexp.MustCompile(`[0-9a-f]{8,}`).FindAllString(text, -1), ""), "")
	if !strings.Contains(only, digest+digest) {
		t.Errorf("digits are missing: %s", only)
	}
}

// Threat 15: what comes from outside moves nothing, hides nothing and has an end.
func TestHostileTextIsEscapedAndCut(t *testing.T) {
	long := strings.Repeat("W", 10000)
	raw := sample(t, func(d *Document) {
		d.Heading("a\u202eb\x1b[31m" + long)
		d.Paragraph(long + "END")
		d.Rows(Row{long, Text("x\u202ey\x00z \u05d0\U0001f600")})
		d.Card(long, Bad, Row{long, Mono(long)})
		d.Table([]Column{{Head: long, Share: 1}, {Head: "b", Share: 6}}, [][]Cell{{Text(long), Text("c\xffd")}})
	})
	text := read(t, raw)
	for _, want := range []string{`a\u{202e}b\u{001b}[31m`, `x\u{202e}y\u{0000}z \u{05d0}\u{1f600}`, `c\xffd`, "…"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the text", want)
		}
	}
	if strings.Contains(text, "\u202e") || strings.Contains(text, "END") {
		t.Error("hostile text got through")
	}
	inside(t, raw)
}

// Nothing is clipped: every word lies within the margins.
func TestNothingLeavesThePage(t *testing.T) {
	raw := sample(t, func(d *Document) {
		for range 30 {
			d.Heading("Dziennik")
			d.Paragraph(strings.Repeat("słowo ", 120))
			d.Rows(Row{"Klucz", Mono(digest)}, Row{"Długa nazwa klucza, która się łamie na kilka wierszy", Text(strings.Repeat("wartość ", 40))})
			d.Card("Podpis", Good, Row{"Klucz", Mono(digest)}, Row{"Czas", Text("2026-11-01T12:00:00Z")})
			d.Table([]Column{{Head: "Krok", Share: 3}, {Head: "Liczba", Share: 1, Right: true}}, [][]Cell{{Text(strings.Repeat("krok ", 30)), Text("12.5")}})
		}
	})
	if n := inside(t, raw); n < 10 {
		t.Errorf("%d pages, want a document of many", n)
	}
	text := read(t, raw)
	if !regexp.MustCompile(`\n2 ?/ ?\d\d\n`).MatchString(text) {
		t.Error("no page numbers")
	}
}

// inside checks the box of each word, as another program finds it, and gives the number of pages.
func inside(t *testing.T, raw []byte) int {
	t.Helper()
	boxes := read(t, raw, "-bbox")
	word := regexp.MustCompile(`<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">`)
	found := word.FindAllStringSubmatch(boxes, -1)
	if len(found) == 0 {
		t.Fatal("no words")
	}
	const mm = 72 / 25.4
	for _, f := range found {
		if num(f[1]) < (marginSide-0.5)*mm || num(f[3]) > (pageWidth-marginSide+0.5)*mm || num(f[2]) < 8*mm || num(f[4]) > (pageHeight-8)*mm {
			t.Fatalf("a word leaves the page: %s", f[0])
		}
	}
	return strings.Count(boxes, "<page ")
}

func num(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	fill := func(d *Document) {
		d.Heading(polish)
		d.Rows(Row{"a", Mono(digest)})
		d.Card("b", Warn, Row{"c", Text(polish)})
	}
	first := sample(t, fill)
	for i := range 8 {
		sample(t, func(d *Document) { d.Paragraph(polish[:20+i]) }) // one document leaves no trace in the next
		if !bytes.Equal(first, sample(t, fill)) {
			t.Fatal("two documents of equal input differ")
		}
	}
	if bytes.Equal(first, sample(t, func(d *Document) { d.Heading("x") })) {
		t.Fatal("documents of other input do not differ")
	}
}

// Look at it: SLUICE_PDF=FILE go test ./internal/pdf -run TestShow
func TestShow(t *testing.T) {
	file := os.Getenv("SLUICE_PDF")
	if file == "" {
		t.Skip("SLUICE_PDF names no file to write")
	}
	raw := sample(t, func(d *Document) {
		d.Banner(Good, "Komplet: podpisały wszystkie wymagane osoby")
		d.Heading("Przedmiot odbioru")
		d.Rows(Row{"Rodzina modeli", Text("sluice-demo")}, Row{"manifest.json SHA-384", Mono(digest)})
		d.Heading("Podpisy")
		d.Card("Zofia Żółć", Good, Row{"Rola", Text("operator")}, Row{"Znaczenie", Text("zatwierdziła")}, Row{"Klucz", Mono(digest[:64])})
		d.Table([]Column{{Head: "Krok", Share: 3}, {Head: "Wartość", Share: 1, Right: true}}, [][]Cell{{Text("Sprawdź klucz"), Text("12,5")}, {Text(strings.Repeat("słowo ", 30)), Text("7")}})
		d.Note("Uwaga: " + polish)
	})
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADocumentNeedsItsTime(t *testing.T) {
	if _, err := New(Options{Title: "x"}).Finish(); err == nil {
		t.Fatal("a document without a time was made")
	}
}
