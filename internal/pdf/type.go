package pdf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"

	"sluice/internal/printable"
)

// face is one embedded typeface.
type face struct{ family, style string }

var (
	regular = face{"go", ""}
	bold    = face{"go", "B"}
	mono    = face{"gomono", ""}
)

// metrics say which characters a face has and how wide they are, in thousandths of the size.
type metrics struct {
	font  *sfnt.Font
	buf   sfnt.Buffer
	has   map[rune]bool
	width map[rune]float64
}

// style is how a text looks.
type style struct {
	size   float64 // points
	bold   bool
	mono   bool
	colour colour
}

func (s style) face() face {
	switch {
	case s.mono:
		return mono
	case s.bold:
		return bold
	}
	return regular
}

// leading is the height of a line in millimetres.
func (s style) leading() float64 { return s.size * 0.3528 * 1.36 }

func (d *Document) loadFonts() {
	for _, f := range []struct {
		face face
		data []byte
	}{{regular, goregular.TTF}, {bold, gobold.TTF}, {mono, gomono.TTF}} {
		d.f.AddUTF8FontFromBytes(f.face.family, f.face.style, bytes.Clone(f.data)) // fpdf writes into it when it cuts the subset
		parsed, err := sfnt.Parse(f.data)
		if err != nil && d.err == nil {
			d.err = fmt.Errorf("reading typeface %q: %w", f.face.family, err)
		}
		d.faces[f.face] = &metrics{font: parsed, has: map[rune]bool{}, width: map[rune]float64{}}
	}
}

// covers says whether every face has the character: a text may be set in any of them.
func (d *Document) covers(r rune) bool {
	if r == '\n' {
		return true
	}
	for _, f := range []face{regular, bold, mono} {
		m := d.faces[f]
		has, known := m.has[r]
		if !known && m.font != nil {
			i, err := m.font.GlyphIndex(&m.buf, r)
			has = err == nil && i != 0
			m.has[r] = has
		}
		if !has {
			return false
		}
	}
	return true
}

// text makes a text safe to show, at most limit characters of it.
func (d *Document) text(s string, limit int) string { return d.spell(printable.Text(s, limit)) }

// line is text on one line, for headings, keys and names.
func (d *Document) line(s string) string { return d.spell(printable.Line(s, MaxLine)) }

// spell writes characters that the typefaces lack as their number, so that nothing is shown as an empty box.
func (d *Document) spell(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !d.covers(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if d.covers(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u{%04x}`, r)
		}
	}
	return b.String()
}

func (d *Document) use(s style) {
	f := s.face()
	d.f.SetFont(f.family, f.style, s.size)
	d.f.SetTextColor(s.colour.r, s.colour.g, s.colour.b)
}

// put sets one line with its baseline at y.
func (d *Document) put(x, y float64, s style, text string) {
	if text == "" {
		return
	}
	d.use(s)
	d.f.Text(x, y, text)
}

// measure is the width of a line in millimetres.
func (d *Document) measure(s style, text string) float64 {
	m := d.faces[s.face()]
	var w float64
	for _, r := range text {
		one, ok := m.width[r]
		if !ok {
			d.f.SetFont(s.face().family, s.face().style, s.size)
			one = float64(d.f.GetStringSymbolWidth(string(r)))
			m.width[r] = one
		}
		w += one
	}
	return w * s.size * 0.352778 / 1000
}

// fit cuts a line to a width.
func (d *Document) fit(s style, text string, width float64) string {
	if d.measure(s, text) <= width {
		return text
	}
	runes := []rune(text)
	for n := len(runes) - 1; n > 0; n-- {
		if cut := string(runes[:n]) + "…"; d.measure(s, cut) <= width {
			return cut
		}
	}
	return ""
}

// wrap breaks a text into lines of at most width millimetres: at spaces, or anywhere within a word that is longer than a line.
func (d *Document) wrap(s style, text string, width float64) []string {
	var out []string
	for _, paragraph := range strings.Split(text, "\n") {
		if s.mono {
			out = append(out, d.wrapEven(s, paragraph, width)...)
			continue
		}
		line, used := "", 0.0
		space := d.measure(s, " ")
		for _, word := range strings.Split(paragraph, " ") {
			w := d.measure(s, word)
			if line != "" && used+space+w > width {
				out, line, used = append(out, line), "", 0
			}
			for w > width {
				n := d.upTo(s, word, width)
				out = append(out, word[:n])
				word = word[n:]
				w = d.measure(s, word)
			}
			if line != "" {
				line, used = line+" "+word, used+space+w
			} else {
				line, used = word, w
			}
		}
		out = append(out, line)
	}
	return out
}

// upTo is how many bytes of a word fit into a width, at least one character; after a separator where one stands in the last part, so
// that names of files break where people read a break.
func (d *Document) upTo(s style, word string, width float64) int {
	used, good := 0.0, 0
	for i, r := range word {
		used += d.measure(s, string(r))
		if used > width && i > 0 {
			if good > i/2 {
				return good
			}
			return i
		}
		if strings.ContainsRune("/-_.,;:=", r) {
			good = i + 1
		}
	}
	return len(word)
}

// wrapEven breaks a text of fixed width into lines of about equal length: a digest of 96 digits gives 48 and 48, not 60 and 36; one in groups
// is broken between groups.
func (d *Document) wrapEven(s style, text string, width float64) []string {
	per := max(1, int(width/d.measure(s, "0")+1e-6))
	n := utf8.RuneCountInString(text)
	if n <= per {
		return []string{text}
	}
	lines := (n + per - 1) / per
	even := min(per, (n+lines-1)/lines)
	groups := strings.Split(text, " ")
	if len(groups) > 1 && !slices.ContainsFunc(groups, func(g string) bool { return len(g) > per/2 }) {
		var out []string
		line := ""
		for _, g := range groups {
			if line != "" && (len(line) >= even || utf8.RuneCountInString(line)+1+utf8.RuneCountInString(g) > per) {
				out, line = append(out, line), ""
			}
			if line != "" {
				line += " "
			}
			line += g
		}
		return append(out, line)
	}
	var out []string
	for runes := []rune(text); len(runes) > 0; {
		k := min(even, len(runes))
		out = append(out, string(runes[:k]))
		runes = runes[k:]
	}
	return out
}
