package cli

import (
	"fmt"
	"strconv"
	"strings"

	"sluice/inference"
	"sluice/installer"
)

// attemptTables shows the variants that were tried and did not pass: why, and each golden case.
func attemptTables(p *printer, attempts []installer.Attempt) {
	for i, t := range attempts {
		if t.Passed {
			continue
		}
		p.line("%s %s", p.mark("warn"), p.t("install.attempt", "variant", t.Variant, "reason", clean(t.Reason)))
		if t.Report != nil && len(t.Report.Cases) > 0 {
			smokeTable(p, t.Report)
		}
		if i+1 < len(attempts) {
			p.line("%s", p.t("proof.next", "variant", attempts[i+1].Variant))
		}
	}
}

// smokeTable shows each golden case against its tolerance, and what was expected and what came where it matters: in the
// cases that failed, else in the one that comes closest to its tolerance.
func smokeTable(p *printer, r *inference.Report) {
	p.line("%s", p.bold(p.t("smoke.head", "engine", strings.TrimSpace(r.Engine+" "+r.EngineVersion), "provider", r.Provider)))
	rows := [][]string{{p.t("smoke.case"), p.t("smoke.model"), p.t("smoke.abs"), p.t("smoke.rel"), p.t("proof.tolerance"), p.t("proof.median"), p.t("proof.p95"), ""}}
	var notes []string
	for i := range r.Cases {
		c := &r.Cases[i]
		word := p.t("smoke.passed")
		if !c.Passed {
			word = p.t("smoke.failed") + " " + verdictWords(p, c)
			notes = append(notes, p.mark("bad")+" "+clean(c.Name)+": "+elementWords(p, c))
		}
		rows = append(rows, []string{clean(c.Name), clean(lastPart(c.Model)), small(c.WorstAbs), small(c.WorstRel), toleranceWords(c),
			fmt.Sprintf("%.3f ms", c.LatencyMS), fmt.Sprintf("%.3f ms", c.P95MS), word})
	}
	p.table(rows...)
	if worst := r.WorstCase(); len(notes) == 0 && worst != nil && worst.Worst != nil && worst.Worst.Diff > 0 {
		notes = []string{clean(worst.Name) + ": " + elementWords(p, worst)}
	}
	for _, n := range notes {
		p.line("  %s", n)
	}
	limit := strconv.FormatFloat(r.LimitMS, 'g', -1, 64)
	p.line("  %s", p.t("smoke.latencies", "median", fmt.Sprintf("%.3f", r.MedianMS), "p95", fmt.Sprintf("%.3f", r.P95MS), "limit", limit)+
		"; "+p.t("proof.calls", "warmup", r.Warmup, "runs", r.Runs))
	if r.PeakMiB > 0 {
		p.line("  %s", p.t("proof.memory", "peak", r.PeakMiB, "limit", r.LimitMiB))
	}
	evidenceLines(p, r)
}

func small(f float64) string { return fmt.Sprintf("%.2g", f) }

func toleranceWords(c *inference.CaseResult) string {
	if c.Tolerance.Rel == 0 {
		return small(c.Tolerance.Abs)
	}
	return small(c.Tolerance.Abs) + " + " + strconv.FormatFloat(100*c.Tolerance.Rel, 'g', 3, 64) + " %"
}

// verdictWords says in short why a case failed.
func verdictWords(p *printer, c *inference.CaseResult) string {
	var out []string
	if c.NaN {
		out = append(out, p.t("proof.nan"))
	}
	if c.Inf {
		out = append(out, p.t("proof.inf"))
	}
	if c.Wrong > 0 && c.Elements > 0 {
		out = append(out, p.t("proof.wrong", "wrong", c.Wrong, "elements", c.Elements))
	}
	if len(out) == 0 {
		return clean(c.Reason)
	}
	return strings.Join(out, ", ")
}

// elementWords says what was expected and what came, at the worst element.
func elementWords(p *printer, c *inference.CaseResult) string {
	e := c.Worst
	if e == nil {
		return clean(c.Reason)
	}
	if e.Index == nil && (e.Expected.Value == "" || e.Got.Value == "") {
		return p.t("proof.form", "output", clean(e.Output), "expected", formWords(p, e.Expected), "got", formWords(p, e.Got))
	}
	words := p.t("proof.at", "output", clean(e.Output), "index", fmt.Sprint(e.Index), "expected", clean(e.Expected.Value), "got", clean(e.Got.Value))
	if e.Diff > 0 {
		sign := ">"
		if e.Diff <= e.Allowed {
			sign = "≤"
		}
		words += " (" + small(e.Diff) + " " + sign + " " + small(e.Allowed) + ")"
	}
	return words + ", " + formWords(p, e.Expected)
}

// formWords is type and shape, such as "float32 [1 2]".
func formWords(p *printer, s inference.Sample) string {
	if s.DType == "" {
		return p.t("proof.missing")
	}
	if len(s.Shape) == 0 {
		return clean(s.DType)
	}
	return clean(s.DType) + " " + fmt.Sprint(s.Shape)
}
