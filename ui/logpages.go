package ui

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"sluice/audit"
	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// note writes an operator's own words into a log.
type note struct {
	w     *Window
	added func()
	stage int
	who   *widgets.Entry
	words *widgets.Entry
	task  *task
}

func newNote(w *Window, added func()) *note {
	s := &note{w: w, added: added, who: widgets.NewEntry(), words: widgets.NewEntry()}
	for _, e := range []*widgets.Entry{s.who, s.words} {
		e.OnChanged = func(string) { s.enable() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

func (s *note) missing() fyne.Focusable {
	for _, e := range []*widgets.Entry{s.words, s.who} {
		if strings.TrimSpace(e.Text) == "" {
			return e
		}
	}
	return nil
}

func (s *note) ready() bool { return s.missing() == nil && !s.task.running() }

func (s *note) enable() {
	if s.w.showing(s) {
		s.w.shell.setPrimary(s.ready())
	}
}

func (s *note) do() {
	if !s.ready() {
		return
	}
	w, in, stage, who, words := s.w, s.w.in, slot.Stages()[s.stage], strings.TrimSpace(s.who.Text), strings.TrimSpace(s.words.Text)
	s.task = w.run(func(ctx context.Context) error { return in.LogAppend(ctx, stage, who, words, nil) }, nil, func(err error) {
		switch {
		case !w.showing(s):
		case err != nil:
			w.tell(err)
		default:
			w.closeAside()
			s.added()
		}
	})
	s.enable()
}

func (s *note) page() page {
	w := s.w
	var words []string
	for _, l := range audit.All() {
		words = append(words, w.t("log."+string(l)))
	}
	logs := widgets.NewSegments(words, s.stage, func(i int) { s.stage = i })
	return page{title: w.t("log.note.title"), lead: w.t("log.note.lead"), back: w.closeAside, focus: s.words, missing: s.missing,
		content: widgets.NewCard(widgets.Column(14, field(w.t("log.note.words"), s.words, w.t("log.note.words.note")),
			field(w.t("log.who"), s.who, w.t("first.who.note")), widgets.Column(6, text(style.SmallStrong, w.t("log.note.log")), logs))),
		primary: &action{label: w.t("log.note.do"), do: s.do, off: !s.ready()}}
}

// logExport writes the logs, or a part of them, as one sealed file that can be checked on another machine.
type logExport struct {
	w        *Window
	log      int // 0: all
	from, to *widgets.Entry
	dir      *widgets.Entry
	made     *audit.Export
	path     string
	task     *task
}

func newLogExport(w *Window) *logExport {
	s := &logExport{w: w, from: widgets.NewEntry(), to: widgets.NewEntry(), dir: widgets.NewEntry()}
	for _, e := range []*widgets.Entry{s.from, s.to, s.dir} {
		e.OnChanged = func(string) { s.enable() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

// shown begins at a stick that is plugged in.
func (s *logExport) shown() {
	s.w.stick(func(mount string) {
		if s.dir.Text == "" {
			s.dir.SetText(mount)
		}
	})
}

func (s *logExport) leave() { s.task.stop() }

// day reads a date that may be empty; ok is false for what is none.
func day(typed string) (at time.Time, ok bool) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return time.Time{}, true
	}
	at, err := time.Parse(time.DateOnly, typed)
	return at, err == nil
}

func (s *logExport) missing() fyne.Focusable {
	for _, e := range []*widgets.Entry{s.from, s.to} {
		if _, ok := day(e.Text); !ok {
			return e
		}
	}
	if typedPath(s.dir.Text) == "" {
		return s.dir
	}
	return nil
}

func (s *logExport) ready() bool { return s.missing() == nil && !s.task.running() }

func (s *logExport) enable() {
	if s.w.showing(s) {
		s.w.shell.setPrimary(s.ready())
	}
}

func (s *logExport) do() {
	if !s.ready() {
		return
	}
	w, in := s.w, s.w.in
	o := audit.ExportOptions{}
	if s.log > 0 {
		o.Logs = audit.All()[s.log-1 : s.log]
	}
	o.From, _ = day(s.from.Text)
	if to, _ := day(s.to.Text); !to.IsZero() {
		o.To = to.AddDate(0, 0, 1)
	}
	path := filepath.Join(typedPath(s.dir.Text), "sluice-log-"+w.c.Now().UTC().Format("20060102-150405")+".jsonl")
	var made *audit.Export
	s.task = w.run(func(ctx context.Context) (err error) {
		made, err = exportLogs(ctx, in, o, path)
		return err
	}, nil, func(err error) {
		switch {
		case !w.showing(s):
		case err != nil:
			w.tell(err)
		default:
			s.made, s.path = made, path
			w.redraw()
		}
	})
	w.redraw()
}

// exportLogs writes a new file, on the disk as a whole or not at all.
func exportLogs(ctx context.Context, in *installer.Installer, o audit.ExportOptions, path string) (_ *audit.Export, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.New(fault.Exists, "%q exists", path).With("path", path)
	}
	if err != nil {
		return nil, fault.New(fault.IO, "making %q: %w", path, err).With("path", path)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	buf := bufio.NewWriter(f)
	made, err := in.LogExport(ctx, o, buf)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	err = errors.Join(buf.Flush(), f.Sync(), f.Close())
	if err != nil {
		return nil, fault.New(fault.IO, "writing %q: %w", path, err).With("path", path)
	}
	return made, nil
}

func (s *logExport) page() page {
	w := s.w
	p := page{title: w.t("log.export.title"), lead: w.t("log.export.lead"), back: w.closeAside}
	if s.made != nil {
		kv := []widgets.KeyValue{{Key: w.t("request.file"), Value: text(style.Mono, printable.Line(s.path, 300))}}
		if k, err := bundle.ParsePublicKey([]byte(s.made.MachineKey)); err == nil {
			kv = append(kv, widgets.KeyValue{Key: w.lang.Text("log.export.key"), Value: text(style.Mono, k.Fingerprint())})
		}
		for _, l := range s.made.Logs {
			kv = append(kv, widgets.KeyValue{Key: w.t("log." + string(l.Log)), Value: widgets.Wrapping(12, text(style.Body, w.n("log.entries", l.Lines)), text(style.Mono, "SHA-384 "+short(l.Head.SHA384.String())))})
		}
		p.title, p.lead, p.back = w.t("log.exported"), w.t("log.exported.lead"), nil
		p.content = widgets.NewEdgeCard(widgets.Good, widgets.NewKeyValues(kv...))
		p.escape, p.primary = w.closeAside, &action{label: w.t("button.done"), do: w.closeAside}
		return p
	}
	words := []string{w.t("log.all")}
	for _, l := range audit.All() {
		words = append(words, w.t("log.short."+string(l)))
	}
	logs := widgets.NewSegments(words, s.log, func(i int) { s.log = i })
	pick := widgets.SecondaryButton(w.t("pick.folder"), func() { w.chooseFolder(func(dir string) { s.dir.SetText(dir) }) })
	p.content = widgets.NewCard(widgets.Column(14, widgets.Column(6, text(style.SmallStrong, w.t("log.export.which")), logs),
		widgets.Row(16, []float32{1, 1}, field(w.t("log.export.from"), s.from, w.t("log.export.date")), field(w.t("log.export.to"), s.to, w.t("log.export.date"))),
		field(w.t("log.export.dir"), widgets.Ends(8, s.dir, pick), w.t("log.export.dir.note"))))
	p.missing = s.missing
	if s.task.running() {
		p.hint = w.t("busy")
	}
	p.primary = &action{label: w.t("log.export.do"), do: s.do, off: !s.ready()}
	return p
}
