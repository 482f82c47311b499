package ui

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/installer"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// programWarning says that this program is not the installed one; nil when it is, or none is installed.
func (w *Window) programWarning() fyne.CanvasObject {
	p := w.status.Program
	if p == nil || p.Installed == nil || p.Running.Path == "" && p.Running.Version == "" {
		return nil
	}
	switch p.Relation {
	case installer.ProgramOlder, installer.ProgramNewer, installer.ProgramOther:
		return widgets.NewEdgeCard(widgets.Warning, text(style.Body, w.relation(p)))
	}
	return nil
}

// relation says in words how the running program stands to the installed copy.
func (w *Window) relation(p *installer.Programs) string {
	return w.lang.Text("program."+p.Relation, "this", printable.Line(cmp.Or(p.Running.Version, "?"), 60), "installed", printable.Line(cmp.Or(p.Installed.Version, "?"), 60))
}

// programs are this program and the copy below the root, with their digests, and the way to ask about one on a medium.
func (w *Window) programs() []fyne.CanvasObject {
	rows := []widgets.KeyValue{widgets.KV(w.t("help.place.version"), w.c.Version)}
	words := ""
	if w.status != nil && w.status.Program != nil {
		p := w.status.Program
		if !p.Running.SHA384.IsZero() {
			rows = append(rows, widgets.KeyValue{Key: "SHA-384", Value: widgets.NewWholeDigest(p.Running.SHA384.String())})
		}
		if i := p.Installed; i != nil {
			rows = append(rows, widgets.KV(w.lang.Text("program.installed"), printable.Line(cmp.Or(i.Version, "?"), 60)),
				widgets.KeyValue{Key: "SHA-384", Value: widgets.NewWholeDigest(i.SHA384.String())})
			words = w.relation(p)
		}
	}
	out := []fyne.CanvasObject{widgets.NewKeyValues(rows...)}
	if words != "" {
		out = append(out, text(style.Body, words))
	}
	if w.in != nil {
		out = append(out, widgets.Wrapping(8, text(style.BodyDim, w.t("program.question")), widgets.LinkButton(w.t("program.check"), func() { w.chooseFile(nil, w.checkProgram) })))
	}
	return out
}

// checkProgram says beside the journey whether a program file is one to run, without running it.
func (w *Window) checkProgram(path string) {
	in := w.in
	var c *installer.ProgramCheck
	b := newBusy(w, 0, "program.checking", "program.checking.lead", func(ctx context.Context) (err error) {
		var statement []byte
		beside := filepath.Join(filepath.Dir(path), verify.ProgramStatementFile)
		if _, err := os.Lstat(beside); err == nil {
			if statement, err = readFile(beside, verify.MaxProgramStatement); err != nil {
				return err
			}
		}
		c, err = in.VerifyProgram(ctx, path, statement)
		return err
	}, func(err error) {
		if err != nil {
			w.show(newRefusal(w, 0, err, w.closeAside))
			return
		}
		w.show(&programPage{w, c})
	})
	b.cancelled = w.closeAside
	w.aside(b)
}

// programPage is what is known about a program file that may be run.
type programPage struct {
	w *Window
	c *installer.ProgramCheck
}

func (s *programPage) page() page {
	w, c := s.w, s.c
	rows := []widgets.KeyValue{{Key: "SHA-384", Value: widgets.NewWholeDigest(c.SHA384.String())}}
	if c.Signed {
		rows = append(rows, widgets.KV(w.lang.Text("program.signed"), strings.TrimSpace(printable.Line(c.Version, 60)+" "+printable.Line(c.Built, 40))))
	}
	for _, k := range c.Signers {
		rows = append(rows, widgets.KeyValue{Key: w.t("authenticate.signer"), Value: text(style.Mono, k)})
	}
	objs := []fyne.CanvasObject{widgets.NewBadge(widgets.Good, w.t("program.good.badge")), widgets.NewKeyValues(rows...)}
	if c.Relation != installer.ProgramNone {
		objs = append(objs, text(style.Body, w.lang.Text("program.stick-"+c.Relation)))
	}
	content := []fyne.CanvasObject{widgets.NewEdgeCard(widgets.Good, widgets.Column(10, objs...))}
	if c.Self {
		content = append(content, widgets.NewEdgeCard(widgets.Warning, text(style.Body, w.lang.Text("program.self"))))
	}
	return page{title: w.lang.Text("program.good", "path", printable.Line(filepath.Base(c.Path), 120)), content: widgets.Column(style.Gap, content...),
		primary: &action{label: w.t("button.close"), do: w.closeAside}, escape: w.closeAside}
}
