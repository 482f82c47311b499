package ui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"crypto/rand"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/audit"
	"sluice/compliance"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// problem is a refusal in the form that the window shows, in every place in the same way.
type problem struct {
	w        *Window
	err      error
	code     fault.Code
	incident string
	open     bool // technical details are unfolded
	copied   bool
	redraw   func()
}

// newProblem takes an error as it came. redraw is called when the panel's own state changed.
func newProblem(w *Window, err error, redraw func()) *problem {
	p := &problem{w: w, err: err, code: fault.CodeOf(err), incident: installer.IncidentOf(err), redraw: redraw}
	if p.incident == "" {
		p.incident, _ = audit.NewIncident(rand.Reader) // without randomness the refusal still stands
	}
	return p
}

func (p *problem) words() assets.ErrorText { return p.w.lang.Error(string(p.code)).ForWindow() }

// headline is what happened, with the facts that are known.
func (p *problem) headline() string {
	facts := map[string]any{}
	for k, v := range fault.DetailOf(p.err) {
		switch v := v.(type) {
		case string:
			facts[k] = printable.Line(v, 300)
		case []string:
			if k == "changed" {
				v = slices.Clone(v)
				for i := range v {
					v[i] = compliance.ChangeText(v[i], p.w.lang)
				}
			}
			facts[k] = printable.Line(strings.Join(v, ", "), 300)
		case int64:
			facts[k] = v
			if k == "need" || k == "free" {
				facts[k] = p.w.bytes(v)
			}
		default:
			facts[k] = v
		}
	}
	return p.words().Headline(facts)
}

// title is a heading by kind of refusal.
func (p *problem) title() string {
	if key := "problem.title." + string(p.code); p.w.lang.Has("ui." + key) {
		return p.w.t(key)
	}
	switch code := p.code.Exit(); code {
	case 3, 4, 5, 6, 7, 8, 9, 130:
		return p.w.t("problem.title." + strconv.Itoa(code))
	}
	return p.w.t("problem.title")
}

// where is code and incident, as they are read out on the phone.
func (p *problem) where() string {
	return fmt.Sprintf("%s · %s %s", p.code, p.w.t("problem.incident"), p.incident)
}

// panel draws it: what happened, what it means, what to do, code and incident, details folded.
func (p *problem) panel() fyne.CanvasObject {
	w := p.w
	row := func(key string, value fyne.CanvasObject) fyne.CanvasObject {
		return widgets.Row(16, []float32{1, 4}, text(style.BodyDim, w.t(key)), value)
	}
	label := w.t("problem.copy")
	if p.copied {
		label = w.t("problem.copied")
	}
	copying := widgets.LinkButton(label, func() {
		w.c.App.Clipboard().SetContent(p.report())
		p.copied = true
		p.redraw()
	})
	words := p.words()
	card := widgets.NewEdgeCard(widgets.Wrong, widgets.Column(6,
		row("problem.what", text(style.Body, p.headline())),
		row("problem.meaning", text(style.Body, words.Meaning)),
		row("problem.remedy", text(style.BodyStrong, words.Remedy)),
		row("problem.code", widgets.Wrapping(12, text(style.MonoStrong, p.where()), copying)),
	))
	fold := widgets.LinkButton(w.t("problem.details.open"), nil)
	sign := widgets.Right
	if p.open {
		sign = widgets.Down
		fold.SetLabel(w.t("problem.details.shut"))
	}
	fold.OnTapped = func() {
		p.open = !p.open
		p.redraw()
	}
	objs := []fyne.CanvasObject{card, widgets.Wrapping(6, widgets.NewIcon(sign, style.Accent, 13), fold)}
	if p.open {
		objs = append(objs, widgets.NewCard(text(style.Mono, p.details())))
	}
	return widgets.Column(style.Gap, objs...)
}

// details are for the vendor's technician.
func (p *problem) details() string {
	lines := []string{printable.Line(p.err.Error(), 2000)}
	facts := fault.DetailOf(p.err)
	for _, k := range slices.SortedFunc(maps.Keys(facts), cmp.Compare) {
		lines = append(lines, k+": "+printable.Line(fmt.Sprint(facts[k]), 500))
	}
	return strings.Join(append(lines, "docs/errors.md#"+strings.ToLower(string(p.code))), "\n")
}

// report is the whole as text: what is copied, and what is saved for support. It holds no secret.
func (p *problem) report() string {
	words := p.words()
	return strings.Join([]string{
		"Sluice " + p.w.c.Version + " · " + p.w.c.Now().UTC().Format("2006-01-02 15:04:05Z"),
		p.where(), "", p.headline(), words.Meaning, words.Remedy, "", p.details(), "",
	}, "\n")
}

// refusal is the page of a refused step.
type refusal struct {
	w       *Window
	step    int
	problem *problem
	closed  func()   // the primary button
	extra   []action // such as another bundle, or try again
}

// newRefusal shows err at a step of the journey (0: beside it). closed is where Close leads; home when nil.
func newRefusal(w *Window, step int, err error, closed func(), extra ...action) screen {
	r := &refusal{w: w, step: step, closed: closed, extra: extra}
	if closed == nil {
		r.closed = w.home
	}
	r.problem = newProblem(w, err, w.redraw)
	return r
}

func (r *refusal) page() page {
	w := r.w
	save := action{label: w.t("problem.save"), do: func() { w.saveCopy("sluice-"+r.problem.incident+".txt", []byte(r.problem.report())) }}
	return page{
		step: r.step, title: r.problem.title(), lead: w.t("problem.lead"), content: r.problem.panel(),
		extra: append(slices.Clone(r.extra), save), escape: r.closed,
		primary: &action{label: w.t("button.close"), do: r.closed},
	}
}
