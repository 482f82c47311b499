package ui

import (
	"bytes"
	"context"
	"crypto/sha512"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/evidence"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// report names the sign-off record of a stage of a version.
type report struct {
	stage   slot.Stage
	version string
}

// reportsOf are the sign-off records that a root has: of what paper and live run, and of a version that everybody signed
// for and that is not on yet; empty: none.
func reportsOf(s *installer.Status, approved string) []report {
	var out []report
	if st, ok := s.Stages[slot.Paper]; ok {
		out = append(out, report{slot.Paper, st.Version})
	}
	if approved != "" {
		out = append(out, report{slot.Live, approved})
	}
	if st, ok := s.Stages[slot.Live]; ok && st.Version != approved {
		out = append(out, report{slot.Live, st.Version})
	}
	return out
}

// reportLinks lead to the records.
func (w *Window) reportLinks(all []report) []fyne.CanvasObject {
	var links []fyne.CanvasObject
	for _, r := range all {
		links = append(links, widgets.LinkButton(w.t("report.of", "stage", string(r.stage), "version", shorten(r.version, 24)), func() { w.openReport(r) }))
	}
	return links
}

// openReport shows the sign-off record as text, with a way to take it away.
func (w *Window) openReport(r report) {
	in := w.in
	var got *installer.StageReport
	w.beside("live.document", func(ctx context.Context) (err error) {
		got, err = in.Report(ctx, installer.ReportOptions{Stage: r.stage, Version: r.version, Lang: string(w.lang)})
		return err
	}, func() screen {
		return &document{w: w, name: strings.TrimSuffix(filepath.Base(got.Path), filepath.Ext(got.Path)), words: got.Text, pdf: got.PDF, pages: got.Pages, pack: got.Evidence}
	})
}

// document shows a sign-off record beside the journey.
type document struct {
	w     *Window
	name  string // of its files, without ending
	words string
	pdf   []byte
	pages string // path of the PDF as it was made at the sign-off
	pack  string // path of the evidence pack
}

func (s *document) page() page {
	w := s.w
	return page{title: w.t("live.document"), lead: s.name, content: widgets.NewCard(text(style.Mono, printable.Text(s.words, 1<<20))),
		extra: []action{{label: w.t("report.save.pdf"), do: func() { w.saveCopy(s.name+".pdf", s.pdf) }},
			{label: w.t("report.save.pack"), do: func() { w.saveReport(s.pack) }},
			{label: w.t("report.folder"), do: func() { w.showFolder(s.pages) }}},
		escape: w.closeAside, primary: &action{label: w.t("button.close"), do: w.closeAside}}
}

// maxShown is how many bytes of a file of evidence are shown.
const maxShown = 32 << 10

// openEvidence shows a file in which evidence stands, as it is now, and says when it is not the same any more.
func (w *Window) openEvidence(src compliance.Source) {
	d := &exhibit{w: w, src: src}
	at := w.root
	w.beside("evidence.file", func(context.Context) error {
		root, err := os.OpenRoot(at)
		if err != nil {
			return fault.New(fault.IO, "opening %q: %w", at, err).With("path", at)
		}
		defer root.Close()
		f, err := fsx.Open(root, src.Path)
		if err != nil {
			return err
		}
		defer f.Close()
		sum, head := sha512.New384(), &bytes.Buffer{}
		n, err := io.Copy(sum, io.TeeReader(io.LimitReader(f, src.Size+1), &firstBytes{head, maxShown}))
		if err != nil {
			return fault.New(fault.IO, "reading %q: %w", src.Path, err).With("path", src.Path)
		}
		d.raw, d.changed = head.Bytes(), n != src.Size || bundle.Digest(sum.Sum(nil)) != src.SHA384
		return nil
	}, func() screen { return d })
}

// beside opens a page beside the journey after some work, or the refusal of it. title is a key.
func (w *Window) beside(title string, work func(ctx context.Context) error, then func() screen) {
	b := newBusy(w, 0, title, "live.document.lead", work, func(err error) {
		if err != nil {
			w.show(newRefusal(w, 0, err, w.closeAside))
			return
		}
		w.show(then())
	})
	b.cancelled = w.closeAside
	w.aside(b)
}

// firstBytes keeps what is written up to a limit.
type firstBytes struct {
	to    *bytes.Buffer
	limit int
}

func (f *firstBytes) Write(p []byte) (int, error) {
	f.to.Write(p[:min(len(p), max(f.limit-f.to.Len(), 0))])
	return len(p), nil
}

// exhibit shows a file of evidence beside the journey.
type exhibit struct {
	w       *Window
	src     compliance.Source
	raw     []byte // its beginning
	changed bool
}

func (s *exhibit) page() page {
	w := s.w
	var objs []fyne.CanvasObject
	if s.changed {
		objs = append(objs, widgets.NewEdgeCard(widgets.Wrong, text(style.Body, w.t("evidence.changed"))))
	}
	words, cut := string(s.raw), ""
	if len(s.raw) == maxShown {
		cut = "\n…"
		for range utf8.UTFMax - 1 { // a character may be cut in two
			if r, n := utf8.DecodeLastRuneInString(words); r == utf8.RuneError && n == 1 {
				words = words[:len(words)-1]
			}
		}
	}
	if utf8.ValidString(words) && !strings.ContainsRune(words, 0) {
		words += cut
		objs = append(objs, widgets.NewCard(text(style.Mono, printable.Text(words, maxShown))))
	} else {
		objs = append(objs, widgets.NewCard(text(style.BodyDim, w.t("evidence.binary"))))
	}
	return page{title: w.t("evidence.file"), lead: w.t("evidence.file.lead", "path", printable.Line(s.src.Path, 200), "digest", widgets.ShortDigest(s.src.SHA384.String())),
		content: widgets.Column(style.Gap, objs...), escape: w.closeAside, primary: &action{label: w.t("button.close"), do: w.closeAside}}
}

// saveReport saves a copy of a record that lies below the root.
func (w *Window) saveReport(file string) {
	var raw []byte
	w.run(func(context.Context) (err error) {
		raw, err = readFile(file, evidence.MaxPack)
		return err
	}, nil, func(err error) {
		if err != nil {
			w.tell(err)
			return
		}
		w.saveCopy(filepath.Base(file), raw)
	})
}
