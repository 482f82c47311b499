package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"sluice/assets"
	"sluice/audit"
	"sluice/compliance"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/printable"
)

// output is the only place that prints. Results go to stdout, everything else to stderr; with --json stdout holds one
// object and nothing else.
type output struct {
	app  *app
	w    io.Writer
	errw io.Writer
}

// result is what a verb found. Its exported fields are the JSON object; text says the same in words.
type result interface{ text(p *printer) }

func (o *output) success(r result) error {
	if !o.app.json {
		if !o.app.quiet {
			r.text(&printer{app: o.app, w: o.w})
		}
		return nil
	}
	return o.object(true, r)
}

// object prints {"ok":…, fields of v}; a v with an ok of its own prints that one.
func (o *output) object(ok bool, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(raw, []byte(`{"ok":`)) {
		head := fmt.Sprintf(`{"ok":%v`, ok)
		if string(raw) != "{}" {
			head += ","
		}
		raw = append([]byte(head), raw[1:]...)
	}
	_, err = fmt.Fprintf(o.w, "%s\n", escapeHidden(raw))
	return err
}

// escapeHidden writes invisible characters of a JSON text as \u escapes: the object is the same, and a terminal that it
// is shown on cannot be made to reorder or hide anything.
func escapeHidden(raw []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(raw) {
		if r < 0x80 || !printable.Hidden(r) {
			out.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, "\\u%04x", u)
		}
	}
	return out.Bytes()
}

// failure prints a refusal in the words of the catalogue and returns its exit status.
func (o *output) failure(err error) int {
	a := o.app
	code := fault.CodeOf(err)
	words := a.lang.Error(string(code))
	facts := maps.Clone(fault.DetailOf(err))
	shown := map[string]any{}
	for k, v := range facts {
		shown[k] = showFact(k, v)
	}
	if n, ok := facts["need"].(int64); ok {
		shown["need"] = bytesText(n)
	}
	if n, ok := facts["free"].(int64); ok {
		shown["free"] = bytesText(n)
	}
	if changed, ok := facts["changed"].([]string); ok {
		shown["changed"] = clean(changesText(a.lang, changed))
	}
	headline := words.Headline(shown)
	incident := installer.IncidentOf(err)
	if incident == "" {
		incident, _ = audit.NewIncident(a.env.Rand) // without randomness the refusal still stands
	}
	facts["cause"] = clean(err.Error())
	if a.json {
		body := map[string]any{
			"code": code, "incident": incident, "message": headline, "meaning": words.Meaning, "remedy": words.Remedy,
			"detail": facts, "docs": "docs/errors.md#" + strings.ToLower(string(code)),
		}
		extra := map[string]any{"error": body}
		var with interface{ Result() any }
		if errors.As(err, &with) {
			extra["result"] = with.Result()
		}
		if err := o.object(false, extra); err != nil {
			fmt.Fprintln(o.errw, err)
		}
		return code.Exit()
	}
	p := &printer{app: a, w: o.errw}
	p.line("")
	p.line("%s %s", p.mark("bad"), p.bold(headline))
	p.field(a.t("error.cause"), clean(err.Error()))
	p.field(a.t("error.meaning"), words.Meaning)
	p.field(a.t("error.remedy"), words.Remedy)
	p.field(a.t("error.code"), fmt.Sprintf("%s · %s %s", code, a.t("error.incident"), incident))
	return code.Exit()
}

// changesText says what changed after a signature.
func changesText(lang assets.Lang, changed []string) string {
	var out []string
	for _, c := range changed {
		out = append(out, compliance.ChangeText(c, lang))
	}
	return strings.Join(out, "; ")
}

// showFact makes a fact fit for a sentence.
func showFact(key string, v any) any {
	switch x := v.(type) {
	case string:
		return clean(x)
	case []string:
		return clean(strings.Join(x, ", "))
	}
	return v
}

// printer writes lines for people.
type printer struct {
	app *app
	w   io.Writer
}

func (p *printer) t(key string, pairs ...any) string { return p.app.t(key, pairs...) }

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.w, strings.TrimRight(format, " ")+"\n", args...)
}

// say prints a message of the catalogue.
func (p *printer) say(key string, pairs ...any) { p.line("%s", p.t(key, pairs...)) }

// field prints "name  value" with the value wrapped beside its name.
func (p *printer) field(name, value string) {
	const left = 18
	width := 100 - left
	lines := wrap(value, width)
	for i, l := range lines {
		head := ""
		if i == 0 {
			head = name
		}
		p.line("  %s%s%s", head, strings.Repeat(" ", max(1, left-utf8.RuneCountInString(head))), l)
	}
}

func wrap(s string, width int) []string {
	var out []string
	cur := ""
	for _, w := range strings.Fields(s) {
		if cur != "" && utf8.RuneCountInString(cur)+1+utf8.RuneCountInString(w) > width {
			out = append(out, cur)
			cur = ""
		}
		if cur != "" {
			cur += " "
		}
		cur += w
	}
	return append(out, cur)
}

// table prints rows in aligned columns; the first row is the head.
func (p *printer) table(rows ...[]string) {
	tw := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for i, r := range rows {
		if i == 0 {
			r = append([]string(nil), r...)
			for j := range r {
				r[j] = strings.ToUpper(r[j])
			}
		}
		fmt.Fprintln(tw, "  "+strings.TrimRight(strings.Join(r, "\t"), "\t "))
	}
	tw.Flush()
}

// mark is a state by shape; the words stand beside it.
func (p *printer) mark(state string) string {
	shape, colour := "·", ""
	switch state {
	case "ok":
		shape, colour = "✓", "32"
	case "warn":
		shape, colour = "!", "33"
	case "bad":
		shape, colour = "✗", "31"
	}
	if colour == "" || !p.colour() {
		return shape
	}
	return "\x1b[" + colour + "m" + shape + "\x1b[0m"
}

func (p *printer) bold(s string) string {
	if !p.colour() {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// colour follows the NO_COLOR convention and terminals only.
func (p *printer) colour() bool {
	f, ok := p.w.(*os.File)
	return ok && p.app.env.Getenv("NO_COLOR") == "" && p.app.env.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// clean makes a string from outside safe to show: a bundle's names and texts can hold anything.
func clean(s string) string { return printable.Line(s, 600) }

// bytesText shows a size in decimal units, as file managers do.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

func (p *printer) lang() assets.Lang { return p.app.lang }
