package ui

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/evidence"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// foreign opens a file that another computer made: a request for a signature, or an evidence pack. It wants no
// installation here, but whom the person knows: supplier and site are compared before anything is believed.
type foreign struct {
	w      *Window
	key    string // its words in the catalogue
	limit  int64  // bytes
	ending string // of the file's name
	fits   func(name string) bool
	prints func(raw []byte) (map[verify.Root]string, error)        // of the first lists that it carries; nothing is verified
	judge  func(raw []byte, name string, k *known) (screen, error) // beside the main goroutine

	file  *widgets.Entry
	found []string
	stop  func()
	at    string // whose content raw is
	raw   []byte
	wrong *problem
	read  *task
	known *known
	task  *task
}

func newForeign(w *Window, key string) *foreign {
	s := &foreign{w: w, key: key, file: widgets.NewEntry()}
	s.known = newKnown(w, s.enable)
	s.file.OnChanged = func(string) { s.look() }
	s.file.OnSubmitted = func(string) { w.shell.press() }
	return s
}

// openPack asks for an evidence pack and says whether it holds.
func (w *Window) openPack() {
	s := newForeign(w, "pack")
	s.limit, s.ending, s.fits = evidence.MaxPack, ".tar", func(name string) bool { return strings.HasSuffix(name, evidence.Suffix) }
	s.prints = func(raw []byte) (map[verify.Root]string, error) {
		p, err := evidence.Read(raw)
		if err != nil {
			return nil, err
		}
		return firstPrints(p.Files, "roots/"), nil
	}
	s.judge = func(raw []byte, name string, k *known) (screen, error) {
		prints := k.prints()
		if dir := k.dir(); dir != "" {
			store, err := verify.OpenStore(dir)
			if err != nil {
				return nil, err
			}
			for _, r := range store.Describe() {
				prints[r.Of] = r.First
			}
		}
		r, err := evidence.Check(raw, evidence.Anchors{Oem: prints[verify.Oem], Site: prints[verify.Site]})
		if err != nil {
			return nil, err
		}
		return &pack{w: w, name: name, result: r}, nil
	}
	w.aside(s)
}

// firstPrints are the fingerprints of the first lists among the files of a request or pack.
func firstPrints(files map[string][]byte, folder string) map[verify.Root]string {
	out := map[verify.Root]string{}
	for _, of := range bothRoots {
		out[of] = ""
		if raw, ok := files[folder+string(of)+"/1.root.json"]; ok {
			out[of] = verify.Fingerprint(raw)
		}
	}
	return out
}

func (s *foreign) shown() {
	s.leave()
	s.stop = s.w.watch(lookForDrives, func(ctx context.Context) func() {
		found := filesOn(ctx, removable(s.w.c.Drives(ctx)), func(path string) bool { return s.fits(filepath.Base(path)) })
		return func() {
			if !slices.Equal(found, s.found) {
				s.found = found
				s.again()
			}
		}
	})
}

func (s *foreign) leave() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	s.read.stop()
	s.task.stop()
}

func (s *foreign) again() {
	if s.w.showing(s) {
		s.w.redraw()
	}
}

// look reads the file whose path stands in the entry.
func (s *foreign) look() {
	at := typedPath(s.file.Text)
	if at == s.at {
		return
	}
	s.read.stop()
	s.at, s.raw, s.wrong = at, nil, nil
	var raw []byte
	var prints map[verify.Root]string
	s.read = s.w.run(func(context.Context) (err error) {
		if fi, serr := os.Stat(at); serr != nil || fi.IsDir() {
			return errNotYet // still being typed
		}
		if raw, err = readFile(at, s.limit); err == nil {
			prints, err = s.prints(raw)
		}
		return err
	}, nil, func(err error) {
		switch {
		case s.at != at:
			return
		case err == nil:
			s.raw = raw
			s.known.carries(prints)
		case err != errNotYet:
			s.wrong = newProblem(s.w, err, s.w.redraw)
		}
		s.again()
	})
	s.again()
}

// open judges the file by what the person knows.
func (s *foreign) open() {
	if !s.ready() {
		return
	}
	raw, name := s.raw, filepath.Base(s.at)
	var next screen
	s.task = s.w.run(func(context.Context) (err error) {
		next, err = s.judge(raw, name, s.known)
		return err
	}, nil, func(err error) {
		switch {
		case !s.w.showing(s):
		case err != nil:
			s.w.tell(err)
		default:
			s.w.show(next)
		}
	})
	s.enable()
}

func (s *foreign) ready() bool { return s.raw != nil && s.known.ready() && !s.task.running() }

func (s *foreign) enable() {
	if s.w.showing(s) {
		s.w.shell.setPrimary(s.ready())
	}
}

func (s *foreign) missing() fyne.Focusable {
	if s.raw == nil {
		return s.file
	}
	return s.known.missing()
}

func (s *foreign) page() page {
	w := s.w
	p := page{title: w.t(s.key + ".title"), lead: w.t(s.key + ".lead"), back: w.closeAside, focus: s.file, missing: s.missing,
		primary: &action{label: w.t(s.key + ".do"), do: s.open, off: !s.ready()}}
	p.hint = w.t("known.hint." + map[bool]string{true: "compare", false: "file"}[s.raw != nil])
	objs := []fyne.CanvasObject{widgets.NewCard(w.foundField(s.key, s.found, s.file, s.ending))}
	if s.wrong != nil {
		objs = append(objs, s.wrong.panel())
	}
	if s.raw != nil {
		objs = append(objs, widgets.NewCard(s.known.draw()))
	}
	p.content = widgets.Column(style.Gap, objs...)
	return p
}

// foundField is an entry for a file's path, below what drives offer.
func (w *Window) foundField(key string, found []string, entry *widgets.Entry, ending string) fyne.CanvasObject {
	var objs []fyne.CanvasObject
	for _, f := range found {
		objs = append(objs, widgets.Wrapping(8, widgets.NewIcon(widgets.Right, style.Dim, 12), widgets.LinkButton(printable.Line(filepath.Base(f), 120), func() { entry.SetText(f) })))
	}
	return widgets.Column(10, append(objs, w.fileField(w.t(key+".file"), w.t(key+".note"), entry, []string{ending}))...)
}

// pack says what an evidence pack proves.
type pack struct {
	w      *Window
	name   string
	result *evidence.Result
}

func (s *pack) page() page {
	w, r := s.w, s.result
	state, word := widgets.Good, w.lang.Text("report.pack.complete")
	switch {
	case r.Refused:
		state, word = widgets.Warning, w.lang.Text("report.pack.refused")
	case !r.Complete:
		state, word = widgets.Warning, w.lang.Text("report.pack.incomplete")
	}
	kv := []widgets.KeyValue{widgets.KV(w.t("live.version"), printable.Line(r.ModelFamily, 64)+" "+printable.Line(r.Version, 64)+", "+w.t("live.variant", "variant", printable.Line(r.Variant, 64))),
		widgets.KV(w.t("start.stage"), string(r.Stage)),
		{Key: w.t("live.manifest"), Value: widgets.NewDigest("SHA-384", r.ManifestSHA384.String())},
		widgets.KV(w.t("request.machine"), printable.Line(r.Machine.KeyID, 100)),
		widgets.KV(w.t("pack.made"), w.stamp(r.Made))}
	objs := []fyne.CanvasObject{widgets.NewEdgeCard(state, widgets.Column(10, widgets.NewBadge(state, word), widgets.NewKeyValues(kv...)))}
	t := widgets.NewTable(widgets.TableColumn{Title: w.t("people.person"), Share: 3}, widgets.TableColumn{Title: w.t("people.role"), Share: 2},
		widgets.TableColumn{Title: w.t("signoff.meaning"), Share: 2}, widgets.TableColumn{Title: w.t("log.when"), Share: 3})
	var rows []widgets.TableRow
	for _, x := range r.People {
		meaning := w.lang.Text("meaning." + string(x.Meaning))
		if x.Decision.Refused {
			meaning = w.lang.Text("report.pack.refused")
		}
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{text(style.BodyStrong, printable.Line(x.Name, 120)), widgets.Cell(w.roles([]string{x.Role})),
			widgets.Cell(meaning), widgets.Cell(w.stamp(x.SignedAt))}})
	}
	t.SetRows(rows)
	objs = append(objs, widgets.NewCard(t), text(style.SmallDim, w.t("pack.proves", "n", r.Files)))
	if r.Report != nil {
		objs = append(objs, widgets.NewCard(text(style.Mono, printable.Text(r.Report.Text(w.lang), 1<<20))))
	}
	return page{title: w.t("pack.holds"), lead: printable.Line(s.name, 200), content: widgets.Column(style.Gap, objs...), escape: w.closeAside,
		primary: &action{label: w.t("button.close"), do: w.closeAside}}
}
