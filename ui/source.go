package ui

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"sluice/bundle"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// source lists the bundles on removable drives, and in the place that the user named, as they describe themselves.
type source struct {
	w    *Window
	next func(path string, also []string)

	media  []medium
	told   bool // the first look at the drives is over
	own    *medium
	named  string // the place that own is
	chosen string // path of the chosen bundle
	gone   string // name of the drive that was pulled out last
	names  map[string]string
	stop   func()
	task   *task
	words  string // key of the primary button's word
}

// newSource shows what there is to install or verify. next gets the chosen file and the folders that may hold more of
// its volumes.
func newSource(w *Window, next func(path string, also []string)) *source {
	return &source{w: w, next: next, names: map[string]string{}, words: "source.next"}
}

func (s *source) shown() {
	s.leave()
	if s.own != nil && !s.own.searched { // the search ended when the page was left
		s.look(s.named)
	}
	if s.w.demo { // only the demo's own medium: nothing real is touched
		s.told = true
		return
	}
	s.stop = s.w.watchMedia(s.drives)
	s.w.win.SetOnDropped(func(_ fyne.Position, uris []fyne.URI) {
		if len(uris) > 0 {
			s.look(uris[0].Path())
		}
	})
}

func (s *source) leave() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	s.task.stop()
	s.w.win.SetOnDropped(nil)
}

// drives takes in what is plugged in now.
func (s *source) drives(now []medium) {
	here := map[string]bool{}
	for _, m := range now {
		here[m.drive.Mount] = true
		s.names[m.drive.Mount] = m.name(s.w)
		if s.names[m.drive.Mount] == s.gone {
			s.gone = ""
		}
	}
	for _, m := range s.media {
		if !here[m.drive.Mount] {
			s.gone = s.names[m.drive.Mount]
		}
	}
	s.media, s.told = now, true
	if s.find(s.chosen) == nil {
		s.chosen = s.suggestion()
	}
	if s.w.showing(s) {
		s.w.redraw()
	}
}

// look searches the file or folder that the user named.
func (s *source) look(path string) {
	s.task.stop()
	s.named, s.own = path, &medium{}
	s.own.drive.Mount = path
	if !strings.HasSuffix(path, string(filepath.Separator)) && strings.Contains(filepath.Base(path), ".tar.zst") {
		s.own.drive.Mount = filepath.Dir(path)
	}
	s.w.redraw()
	own, file := s.own, s.own.drive.Mount != path
	var found []foundBundle
	s.task = s.w.run(func(ctx context.Context) error {
		if file {
			found = []foundBundle{describeBundle(ctx, path)}
		} else {
			found = searchFolder(ctx, path, map[string]seenBundle{})
		}
		return ctx.Err()
	}, nil, func(err error) {
		if s.own != own || err != nil {
			return
		}
		own.searched, own.bundles = true, found
		if len(found) > 0 {
			s.chosen = found[0].path
		} else if s.find(s.chosen) == nil {
			s.chosen = s.suggestion()
		}
		if s.w.showing(s) {
			s.w.redraw()
		}
	})
}

// places are the drives and the place that the user named.
func (s *source) places() []medium {
	if s.own == nil {
		return s.media
	}
	return append([]medium{*s.own}, s.media...)
}

func (s *source) find(path string) *foundBundle {
	for _, m := range s.places() {
		for i := range m.bundles {
			if m.bundles[i].path == path {
				return &m.bundles[i]
			}
		}
	}
	return nil
}

// suggestion is the newest bundle that could be read; the first of all when there is none.
func (s *source) suggestion() string {
	first := ""
	for _, m := range s.places() {
		for _, f := range m.bundles {
			if f.problem == nil && len(f.missing) == 0 {
				return f.path
			}
			if first == "" {
				first = f.path
			}
		}
	}
	return first
}

// go on with the chosen bundle.
func (s *source) goOn() {
	f := s.find(s.chosen)
	if f == nil {
		return
	}
	var also []string
	for _, m := range s.places() {
		for _, o := range m.bundles {
			if d := filepath.Dir(o.path); d != filepath.Dir(f.path) && !slices.Contains(also, d) {
				also = append(also, d)
			}
		}
		if d := m.drive.Mount; d != filepath.Dir(f.path) && !slices.Contains(also, d) {
			also = append(also, d)
		}
	}
	s.next(f.path, also)
}

func (s *source) page() page {
	w := s.w
	list := &widgets.ChoiceList{Chosen: -1, OnConfirm: s.goOn}
	var paths []string
	var objs []fyne.CanvasObject
	if s.gone != "" {
		objs = append(objs, widgets.NewEdgeCard(widgets.Warning, text(style.Body, w.t("source.gone", "place", s.gone))))
	}
	for _, m := range s.places() {
		place := m.name(w)
		if s.own != nil && m.drive.Mount == s.own.drive.Mount {
			place = printable.Line(m.drive.Mount, 200)
			if m.drive.Mount == w.demoStick() {
				place = w.t("demo.stick")
			}
		}
		switch {
		case !m.searched:
			objs = append(objs, widgets.NewCard(text(style.BodyDim, w.t("source.searching", "place", place))))
		case len(m.bundles) == 0:
			objs = append(objs, widgets.NewCard(text(style.BodyDim, w.t("source.none.on", "place", place))))
		}
		for _, f := range m.bundles {
			if slices.Contains(paths, f.path) {
				continue
			}
			if f.path == s.chosen {
				list.Chosen = len(list.Rows)
			}
			objs = append(objs, list.Add(s.row(f, place), false))
			paths = append(paths, f.path)
		}
	}
	list.OnChosen = func(i int) {
		s.chosen = paths[i]
		w.shell.setPrimary(true)
	}
	if s.told && len(s.places()) == 0 {
		objs = append(objs, widgets.NewCard(widgets.Column(6, text(style.Heading, w.t("source.insert.title")), text(style.BodyDim, w.t("source.insert")))))
	} else if !s.told {
		objs = append(objs, widgets.NewCard(text(style.BodyDim, w.t("source.looking"))))
	}
	objs = append(objs, widgets.Inset(0, 4, 0, 0, widgets.Wrapping(8, text(style.BodyDim, w.t("source.other")),
		widgets.LinkButton(w.t("source.file"), s.pickFile), text(style.BodyDim, w.t("source.or")),
		widgets.LinkButton(w.t("source.folder"), s.pickFolder), text(style.BodyDim, w.t("source.drop")))))
	p := page{
		step: stepSource, title: w.t("source.title"), lead: w.t("source.lead"), content: widgets.Column(style.Gap, objs...),
		cancel: w.home, primary: &action{label: w.t(s.words), do: s.goOn, off: list.Chosen < 0},
	}
	if list.Chosen >= 0 {
		p.focus = list.Rows[list.Chosen]
	}
	return p
}

// row shows one bundle as it describes itself.
func (s *source) row(f foundBundle, place string) fyne.CanvasObject {
	w := s.w
	head := []fyne.CanvasObject{text(style.Heading, f.name())}
	size := fyne.CanvasObject(canvas.NewRectangle(style.Transparent))
	if f.size > 0 {
		size = widgets.NewLine(style.BodyDim, w.bytes(f.size))
	}
	details := place
	if f.version != "" {
		head = []fyne.CanvasObject{text(style.Heading, printable.Line(f.family+" "+f.version, 160))}
		head = append(head, s.compared(f)...)
		details = strings.Join([]string{place, w.n("source.variants", f.variants), w.t("source.created", "day", w.day(f.created.UTC()))}, " · ")
	}
	lines := []fyne.CanvasObject{widgets.Ends(16, widgets.Wrapping(10, head...), size), text(style.BodyDim, details)}
	switch {
	case len(f.missing) > 0:
		lines[0] = widgets.Ends(16, widgets.Wrapping(10, append(head, widgets.NewBadge(widgets.Warning, s.missing(f)))...), size)
		lines = append(lines, text(style.BodyDim, w.n("source.missing.help", len(f.missing))))
	case f.problem != nil:
		p := newProblem(w, f.problem, nil)
		lines[0] = widgets.Ends(16, widgets.Wrapping(10, append(head, widgets.NewBadge(widgets.Wrong, w.t("source.unreadable")))...), size)
		lines = append(lines, text(style.BodyDim, p.words().Title+" ("+string(p.code)+")"))
	}
	return widgets.Column(4, lines...)
}

// missing names the volumes that are not there.
func (s *source) missing(f foundBundle) string {
	names := make([]string, 0, len(f.missing))
	for _, n := range f.missing {
		if len(names) == 4 {
			names = append(names, "…")
			break
		}
		names = append(names, strconv.Itoa(n))
	}
	return s.w.n("source.missing", len(f.missing), "which", strings.Join(names, ", "), "total", f.volumes)
}

// compared is the badge against what is installed here.
func (s *source) compared(f foundBundle) []fyne.CanvasObject {
	w := s.w
	stage, running := w.mode()
	if !running {
		return nil
	}
	st := w.status.Stages[stage]
	here := printable.Line(st.Version, 80)
	switch {
	case f.family != w.status.ModelFamily:
		return []fyne.CanvasObject{widgets.NewBadge(widgets.Warning, w.t("source.family", "family", printable.Line(w.status.ModelFamily, 80)))}
	case bundle.ValidVersion(f.version) != nil || bundle.ValidVersion(st.Version) != nil:
		return nil
	}
	switch c := bundle.CompareVersions(f.version, st.Version); {
	case c > 0:
		return []fyne.CanvasObject{widgets.NewBadge(widgets.Info, w.t("source.newer", "version", here))}
	case c < 0:
		return []fyne.CanvasObject{widgets.NewBadge(widgets.Neutral, w.t("source.older", "version", here))}
	}
	return []fyne.CanvasObject{widgets.NewBadge(widgets.Neutral, w.t("source.same"))}
}

func (s *source) pickFile() { s.w.chooseFile([]string{".zst", ".sig", ".001"}, s.look) }

func (s *source) pickFolder() { s.w.chooseFolder(s.look) }
