package ui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/inference"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// mostCases is how many golden cases a table shows; those that failed come first where there are more.
const mostCases = 60

// caseTable shows golden cases: what was expected, what came, the worst difference against the tolerance, the latency.
func (w *Window) caseTable(cases []inference.CaseResult) fyne.CanvasObject {
	return w.caseTableOf(cases, w.t("smoke.good"), w.t("smoke.bad"))
}

// caseTableOf says of each case which of two words is true.
func (w *Window) caseTableOf(cases []inference.CaseResult, good, bad string) fyne.CanvasObject {
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("smoke.case"), Share: 1},
		widgets.TableColumn{Title: w.t("smoke.worst"), Trailing: true}, widgets.TableColumn{Title: w.t("smoke.allowed"), Trailing: true},
		widgets.TableColumn{Title: w.t("smoke.latency"), Trailing: true}, widgets.TableColumn{Title: w.t("smoke.result")})
	shown := slices.Clone(cases)
	if len(shown) > mostCases {
		slices.SortStableFunc(shown, func(a, b inference.CaseResult) int {
			switch {
			case a.Passed == b.Passed:
				return 0
			case b.Passed:
				return -1
			}
			return 1
		})
		shown = shown[:mostCases]
	}
	var rows []widgets.TableRow
	for i := range shown {
		rows = append(rows, w.caseRow(&shown[i], good, bad))
	}
	t.SetRows(rows)
	if n := len(cases) - len(shown); n > 0 {
		return widgets.Column(8, t, text(style.BodyDim, w.n("smoke.more", n)))
	}
	return t
}

func (w *Window) caseRow(c *inference.CaseResult, good, bad string) widgets.TableRow {
	state, word := widgets.Good, good
	if !c.Passed {
		state, word = widgets.Wrong, bad
	}
	row := widgets.TableRow{Cells: []fyne.CanvasObject{
		widgets.NewSpans(widgets.Span{Text: printable.Line(c.Name, 64), Face: style.Body}, widgets.Span{Text: "  " + printable.Line(lastPart(c.Model), 64), Face: style.SmallDim}),
		widgets.Number(w.difference(c)), widgets.Number(w.allowed(c)), widgets.Number(w.ms(c.LatencyMS)), widgets.NewBadge(state, word)}}
	if words := w.elementWords(c); words != "" {
		row.Below = text(style.SmallDim, words)
		if !c.Passed {
			row.Below = text(style.Small, words)
		}
	}
	return row
}

// difference is that of the worst element, which is the one that the tolerance is about.
func (w *Window) difference(c *inference.CaseResult) string {
	switch e := c.Worst; {
	case c.NaN:
		return w.lang.Text("proof.nan")
	case c.Inf:
		return w.lang.Text("proof.inf")
	case e != nil && e.Diff > 0:
		return w.tiny(e.Diff)
	case !c.Passed:
		return "–"
	}
	return w.tiny(c.WorstAbs)
}

// allowed is the tolerance that counted.
func (w *Window) allowed(c *inference.CaseResult) string {
	out := w.tiny(c.Tolerance.Abs)
	if c.Tolerance.Rel > 0 {
		out += " + " + w.percent(c.Tolerance.Rel)
	}
	return out
}

// elementWords says what was expected and what came at the worst element, in the command line's words.
func (w *Window) elementWords(c *inference.CaseResult) string {
	e := c.Worst
	if e == nil {
		return printable.Line(c.Reason, 300)
	}
	var out string
	if e.Index == nil && (e.Expected.Value == "" || e.Got.Value == "") {
		out = w.lang.Text("proof.form", "output", printable.Line(e.Output, 80), "expected", w.form(e.Expected), "got", w.form(e.Got))
	} else {
		out = w.lang.Text("proof.at", "output", printable.Line(e.Output, 80), "index", fmt.Sprint(e.Index), "expected", w.sample(e.Expected), "got", w.sample(e.Got)) +
			" · " + w.form(e.Expected)
	}
	if c.Wrong > 0 && c.Elements > 0 {
		out += " · " + w.lang.Text("proof.wrong", "wrong", c.Wrong, "elements", c.Elements)
	}
	return out
}

// sample is a value as the window writes numbers.
func (w *Window) sample(s inference.Sample) string {
	v := printable.Line(s.Value, 80)
	if strings.ContainsAny(v, "\"'") || !strings.ContainsAny(v, "0123456789") {
		return v
	}
	return strings.Replace(v, ".", w.number(0.5, 1)[1:2], 1)
}

// form is type and shape, such as "float32 [1 2]".
func (w *Window) form(s inference.Sample) string {
	switch {
	case s.DType == "":
		return w.lang.Text("proof.missing")
	case len(s.Shape) == 0:
		return printable.Line(s.DType, 80)
	}
	return printable.Line(s.DType, 80) + " " + fmt.Sprint(s.Shape)
}

// provider is where the models ran, by the engine's own word where it says so.
func (w *Window) provider(asked string, evidence []inference.Placement) string {
	count := map[string]int{}
	for _, p := range evidence {
		for name, n := range p.Nodes {
			count[name] += n
		}
	}
	out := printable.Line(asked, 60)
	for _, name := range slices.Sorted(maps.Keys(count)) {
		out += " · " + w.n("smoke.nodes", count[name], "provider", printable.Line(name, 60))
	}
	return out
}
