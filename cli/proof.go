package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/inference"
	"sluice/installer"
)

// smokeVerb repeats the golden cases of what is installed.
func (a *app) smokeVerb() *cobra.Command {
	var version, variant, prove string
	var second bool
	return a.verb("smoke [--version V] [--variant ID]", "smoke", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&version, "version", "", a.t("flag.version"))
		f.StringVar(&variant, "variant", "", a.t("flag.variant"))
		f.StringVar(&prove, "prove", "", a.t("flag.prove"))
		f.BoolVar(&second, "second-opinion", false, a.t("flag.second"))
	}, func(ctx context.Context, _ []string) (result, error) {
		all, err := proveAll(prove)
		if err != nil {
			return nil, err
		}
		in, err := a.installer(account())
		if err != nil {
			return nil, err
		}
		found := &provenResult{}
		if all {
			if found.Measured, err = in.MeasureInstalled(ctx, version); err != nil {
				return nil, err
			}
		}
		tested, err := in.SmokeAgain(ctx, version, variant)
		if err != nil {
			return nil, a.found(err, found)
		}
		if second {
			if found.Second, err = in.SecondOpinion(ctx, tested); err != nil {
				return nil, a.found(err, found)
			}
		}
		r := a.installed(in, tested, nil)
		r.Measured, r.Second = found.Measured, found.Second
		return r, nil
	})
}

func proveAll(word string) (bool, error) {
	if word != "" && word != "all" {
		return false, usage("--prove %q, want \"all\"", word)
	}
	return word == "all", nil
}

// provenResult is what was found out about variants before a refusal.
type provenResult struct {
	Measured *installer.Measurement   `json:"measured,omitempty"`
	Attempts []installer.Attempt      `json:"attempts,omitempty"`
	Second   *inference.SecondOpinion `json:"second_opinion,omitempty"`
}

// found lets a refusal carry what was found until then: in its JSON, or on stdout as tables.
func (a *app) found(err error, r *provenResult) error {
	if r.Measured == nil && len(r.Attempts) == 0 && r.Second == nil {
		return err
	}
	if !a.json && !a.quiet {
		p := &printer{app: a, w: a.env.Stdout}
		measureTable(p, r.Measured)
		attemptTables(p, r.Attempts)
		opinionTable(p, r.Second)
	}
	return &foundError{err, r}
}

// measureTable shows all variants side by side.
func measureTable(p *printer, m *installer.Measurement) {
	if m == nil {
		return
	}
	p.line("%s", p.bold(p.t("proof.measured")))
	rows := [][]string{{p.t("variant"), p.t("proof.engine"), p.t("proof.provider"), p.t("proof.worst"), p.t("proof.median"), p.t("proof.p95"), p.t("proof.mib"), p.t("proof.verdict")}}
	var why []string
	for _, v := range m.Variants {
		word := p.t("validate.passed")
		switch v.Result {
		case installer.ResultNotRun:
			word = p.t("validate.notrun")
		case installer.ResultFailed:
			word = p.t("validate.failed")
		}
		row := []string{clean(v.Variant), "", "", "", "", "", "", word}
		if r := v.Report; r != nil {
			row[1], row[2] = clean(strings.TrimSpace(r.Engine+" "+r.EngineVersion)), clean(r.Provider)
			if w := r.WorstCase(); w != nil && w.Worst != nil {
				row[3] = small(w.WorstAbs)
				row[4], row[5] = fmt.Sprintf("%.3f ms", r.MedianMS), fmt.Sprintf("%.3f ms", r.P95MS)
			}
			if r.PeakMiB > 0 {
				row[6] = fmt.Sprintf("%d MiB", r.PeakMiB)
			}
		}
		rows = append(rows, row)
		if v.Reason != "" {
			why = append(why, clean(v.Variant)+": "+clean(v.Reason))
		}
	}
	p.table(rows...)
	for _, s := range why {
		p.line("  %s", s)
	}
	if m.Chosen != "" {
		p.line("  %s", p.t("proof.chosen", "variant", m.Chosen))
	} else {
		p.line("  %s", p.t("proof.none"))
	}
	p.line("")
}

// opinionTable shows what another engine says.
func opinionTable(p *printer, s *inference.SecondOpinion) {
	if s == nil {
		return
	}
	name := func(o inference.Opinion) string { return clean(strings.TrimSpace(o.Engine + " " + o.EngineVersion)) }
	switch {
	case !s.Given && s.Operator != "":
		p.line("%s %s", p.mark("warn"), p.t("proof.second.operator", "other", name(s.Second), "operator", clean(s.Operator)))
		return
	case !s.Given:
		p.line("%s %s", p.mark("warn"), p.t("proof.second.none", "other", name(s.Second), "reason", clean(s.Reason)))
		return
	case s.Agrees:
		p.line("%s %s", p.mark("ok"), p.bold(p.t("proof.second.agrees", "first", name(s.First), "other", name(s.Second))))
	default:
		p.line("%s %s", p.mark("bad"), p.bold(p.t("proof.second.disagrees", "first", name(s.First), "other", name(s.Second))))
	}
	rows := [][]string{{p.t("smoke.case"), p.t("smoke.model"), p.t("smoke.abs"), p.t("smoke.rel"), p.t("proof.tolerance"), ""}}
	var notes []string
	for i := range s.Cases {
		c := &s.Cases[i]
		word := p.t("proof.second.same")
		if !c.Passed {
			word = p.t("proof.second.other") + " " + verdictWords(p, c)
			notes = append(notes, p.mark("bad")+" "+clean(c.Name)+": "+elementWords(p, c))
		}
		rows = append(rows, []string{clean(c.Name), clean(lastPart(c.Model)), small(c.WorstAbs), small(c.WorstRel), toleranceWords(c), word})
	}
	p.table(rows...)
	for _, n := range notes {
		p.line("  %s", n)
	}
}

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
