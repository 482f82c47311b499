package ui

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"fyne.io/fyne/v2"

	"sluice/installer"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// trusted says who may sign what until when, what is revoked and how old all of this is; newer lists can be taken from a
// medium that carries no bundle.
type trusted struct {
	w    *Window
	task *task

	loaded      bool
	problem     *problem
	roots       []verify.RootInfo
	revocations []*verify.Revocations
	knowledge   installer.Knowledge
	looked      bool          // a medium was looked through
	taken       []verify.Step // what it brought
}

// trustedKeys opens the lists beside the journey.
func (w *Window) trustedKeys() {
	if _, ok := w.current.(*trusted); !ok {
		w.aside(&trusted{w: w})
	}
}

func (s *trusted) shown() { s.load(nil) }

func (s *trusted) leave() { s.task.stop() }

// load reads the lists; dirs, when given, are folders of a medium whose lists are taken over before.
func (s *trusted) load(dirs []string) {
	in := s.w.in
	if in == nil || s.task.running() {
		return
	}
	n := &trusted{}
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if len(dirs) > 0 {
			if n.taken, err = in.TakeTrust(ctx, dirs, ""); err != nil {
				return err
			}
		}
		store, _, err := in.LookTrust(nil)
		if err != nil {
			return err
		}
		n.roots, n.revocations, n.knowledge = store.Describe(), store.Revocations(), in.Knowledge()
		return nil
	}, nil, func(err error) {
		s.loaded, s.problem = true, nil
		if err != nil {
			s.problem = newProblem(s.w, err, s.w.redraw)
		} else {
			s.roots, s.revocations, s.knowledge, s.looked, s.taken = n.roots, n.revocations, n.knowledge, len(dirs) > 0, n.taken
		}
		s.w.refreshStatus()
		if s.w.showing(s) {
			s.w.redraw()
		}
	})
	s.w.redraw()
}

func (s *trusted) page() page {
	w := s.w
	p := page{title: w.t("trust.title"), lead: w.t("trust.lead"), escape: w.closeAside,
		back: w.closeAside, primary: &action{label: w.t("trust.take"), do: func() { w.chooseFolder(func(dir string) { s.load([]string{dir}) }) }}}
	if s.task.running() {
		p.primary.off = true
	}
	var objs []fyne.CanvasObject
	if s.problem != nil {
		objs = append(objs, s.problem.panel())
	}
	switch {
	case !s.loaded:
		p.content = widgets.NewCard(w.waiting(w.t("busy")))
		return p
	case s.looked && len(s.taken) == 0:
		objs = append(objs, widgets.NewEdgeCard(widgets.Info, text(style.Body, w.lang.Text("trust.nothing-new"))))
	case len(s.taken) > 0:
		objs = append(objs, w.takenCard(s.taken))
	}
	for i := range s.roots {
		objs = append(objs, widgets.NewCard(w.rootWords(&s.roots[i])))
	}
	objs = append(objs, widgets.NewCard(s.revoked()), widgets.NewCard(s.age()))
	p.content = widgets.Column(style.Gap, objs...)
	return p
}

// takenCard says what was taken over from a medium.
func (w *Window) takenCard(steps []verify.Step) fyne.CanvasObject {
	lines := []fyne.CanvasObject{widgets.NewBadge(widgets.Info, w.t("trust.taken.badge"))}
	for _, st := range steps {
		lines = append(lines, text(style.Body, w.lang.Text("trust.taken."+st.Kind, "of", w.lang.Text("trust.of."+string(st.Of)), "number", st.Number, "path", printable.Line(filepath.Base(st.Path), 120))))
		if st.Fingerprint != "" {
			lines = append(lines, text(style.Mono, printable.Line(st.Fingerprint, 120)))
		}
	}
	return widgets.NewEdgeCard(widgets.Info, widgets.Column(6, lines...))
}

// rootWords say in words who may sign what until when.
func (w *Window) rootWords(r *verify.RootInfo) fyne.CanvasObject {
	of := r.Of
	if of == "" {
		of = verify.Oem // made by another program, which does not say
	}
	objs := []fyne.CanvasObject{text(style.Heading, w.lang.Text("trust.head."+string(of), "number", r.Version)),
		text(style.BodyDim, w.lang.Text("trust.until", "date", w.day(r.Expires.UTC())))}
	for _, role := range []struct {
		name, words string
		threshold   int
	}{{verify.RoleTargets, "trust.may." + string(of), r.TargetsThreshold}, {verify.RoleRoot, "trust.may.root", r.RootThreshold}} {
		var keys []fyne.CanvasObject
		for _, k := range r.Keys {
			if !slices.Contains(k.Roles, role.name) {
				continue
			}
			line := []fyne.CanvasObject{text(style.Mono, k.Fingerprint)}
			if slices.Contains(r.Revoked, k.KeyID) {
				line = append(line, widgets.NewBadge(widgets.Wrong, w.lang.Text("trust.key-revoked")))
			}
			keys = append(keys, widgets.Wrapping(10, line...))
		}
		objs = append(objs, widgets.Inset(0, 6, 0, 0, text(style.Body, w.lang.Text(role.words, "n", role.threshold, "total", len(keys)))))
		objs = append(objs, keys...)
	}
	objs = append(objs, widgets.Inset(0, 8, 0, 0, widgets.NewKeyValues(widgets.KeyValue{Key: w.lang.Text("trust.fingerprint"), Value: text(style.Mono, r.Fingerprint)})))
	return widgets.Column(4, objs...)
}

// revoked are the revocation lists.
func (s *trusted) revoked() fyne.CanvasObject {
	w := s.w
	objs := []fyne.CanvasObject{text(style.Heading, w.t("trust.revoked"))}
	for _, v := range s.revocations {
		issued := v.Issued
		if at, err := time.Parse(time.RFC3339, v.Issued); err == nil {
			issued = w.day(at.UTC())
		}
		objs = append(objs, text(style.BodyDim, w.lang.Text("trust.revocations."+string(v.Root), "number", v.Number, "date", issued)))
		for _, k := range v.Keys {
			objs = append(objs, text(style.Body, w.lang.Text("trust.revoked-key", "id", shorten(k.KeyID, 24), "reason", printable.Line(k.Reason, 300))))
		}
		for _, m := range v.Manifests {
			objs = append(objs, text(style.Body, w.lang.Text("trust.revoked-bundle", "digest", shorten(m.SHA384.String(), 24), "reason", printable.Line(m.Reason, 300))))
		}
	}
	if len(s.revocations) == 0 {
		objs = append(objs, text(style.BodyDim, w.lang.Text("trust.none-revoked")))
	}
	return widgets.Column(4, objs...)
}

// age says how old what this machine knows is.
func (s *trusted) age() fyne.CanvasObject {
	w, k := s.w, s.knowledge
	objs := []fyne.CanvasObject{text(style.Heading, w.t("trust.age"))}
	warn := func(words string) {
		objs = append(objs, widgets.Wrapping(8, widgets.NewIcon(widgets.Triangle, style.Warn, 16), text(style.Body, words)))
	}
	source := ""
	if k.Source != "" {
		source = w.lang.Text("knowledge.source."+k.Source, "number", k.Number)
	}
	switch date := w.day(k.Evidence.UTC()); {
	case k.Evidence.IsZero():
		objs = append(objs, text(style.BodyDim, w.lang.Text("knowledge.none")))
	case k.ClockBehind:
		warn(w.lang.Text("knowledge.behind", "date", date, "source", source))
	default:
		objs = append(objs, text(style.BodyDim, w.lang.Text("knowledge.age", "date", date, "source", source, "age", w.lang.Count("knowledge.days", k.AgeDays))))
	}
	if k.TooOld {
		warn(w.lang.Text("knowledge.too-old", "limit", k.LimitDays))
	}
	for _, of := range k.Expired {
		warn(w.lang.Text("knowledge.expired", "of", w.lang.Text("trust.of."+of)))
	}
	return widgets.Column(4, objs...)
}
