package ui

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// What the files of a sign-off elsewhere are called.
const (
	requestPrefix = "wniosek-"
	signedEnding  = ".signed.json"
)

// openRequest asks for a request for a signature and lets the person who is asked decide about it.
func (w *Window) openRequest() {
	s := newForeign(w, "request.open")
	s.limit, s.ending = compliance.MaxRequestSize, ".json"
	s.fits = func(name string) bool {
		return strings.HasPrefix(name, requestPrefix) && strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, signedEnding)
	}
	s.prints = func(raw []byte) (map[verify.Root]string, error) {
		r, err := compliance.ParseRequest(raw)
		if err != nil {
			return nil, err
		}
		return firstPrints(r.Files, compliance.FileKeys), nil
	}
	s.judge = func(raw []byte, name string, k *known) (screen, error) {
		q, err := installer.OpenRequest(raw, installer.TrustOptions{Dir: k.dir(), Fingerprints: k.fingerprints()})
		if err != nil {
			return nil, err
		}
		return newRequestSignOff(w, q, name), nil
	}
	w.aside(s)
}

// request makes the file for a person who signs on another computer.
type request struct {
	w      *Window
	of     *signOff
	people []compliance.Person // who may be asked
	chosen int                 // 0: anybody of them
	made   *installer.RequestResult
	prints map[verify.Root]string
	saved  bool
	task   *task
}

// request opens the page that makes a request for a sign-off.
func (s *signOff) request() {
	r := &request{w: s.w, of: s, people: s.candidates()}
	s.w.aside(r)
}

func (s *request) leave() { s.task.stop() }

// make asks the installer for the request, then where to save it.
func (s *request) make() {
	if s.task.running() {
		return
	}
	w, in, t := s.w, s.w.in, s.of.tested
	o := installer.RequestOptions{Stage: s.of.stage}
	if s.chosen > 0 {
		o.Person = s.people[s.chosen-1].ID
	}
	var made *installer.RequestResult
	prints := map[verify.Root]string{}
	s.task = w.run(func(ctx context.Context) (err error) {
		if made, err = in.SignOffRequest(ctx, t, o); err != nil {
			return err
		}
		store, err := verify.OpenStore(keysFolder(in.Root()))
		if err != nil {
			return err
		}
		for _, r := range store.Describe() {
			prints[r.Of] = r.First
		}
		return nil
	}, nil, func(err error) {
		w.refreshStatus()
		switch {
		case !w.showing(s):
		case err != nil:
			w.tell(err)
		default:
			s.made, s.prints = made, prints
			w.redraw()
			w.shell.scrollTop()
			s.save()
		}
	})
	w.redraw()
}

func (s *request) name() string {
	return requestPrefix + string(s.of.stage) + "-" + printable.Line(s.of.list.Version, 64) + ".json"
}

func (s *request) save() {
	s.w.saveThen(s.name(), s.made.File, func() { s.saved = true; s.w.redraw() })
}

// close returns to the sign-off, which looks again: making a request sets void signatures aside.
func (s *request) close() {
	s.w.closeAside()
	if s.made != nil {
		s.of.reload()
	}
}

func (s *request) page() page {
	w := s.w
	p := page{step: stepSignOff, title: w.t("request.title"), lead: w.t("request.lead"), back: s.close}
	if s.made == nil {
		names := []string{w.t("request.anybody")}
		for _, x := range s.people {
			names = append(names, printable.Line(x.Name, 60)+" ("+w.roles([]string{s.of.roleOf(x)})+")")
		}
		who := widgets.NewSegments(names, s.chosen, func(i int) { s.chosen = i })
		p.content = widgets.NewCard(widgets.Column(8, text(style.BodyStrong, w.t("request.for")), who, text(style.SmallDim, w.t("request.for.note"))))
		if s.task.running() {
			p.hint = w.t("request.making")
		}
		p.primary = &action{label: w.t("request.make"), do: s.make, off: s.task.running()}
		return p
	}
	kv := []widgets.KeyValue{{Key: w.t("request.file"), Value: text(style.Mono, s.name())},
		{Key: "SHA-384", Value: widgets.NewWholeDigest(s.made.SHA384.String())}}
	for _, of := range bothRoots {
		kv = append(kv, widgets.KeyValue{Key: w.t("request.print." + string(of)), Value: text(style.Mono, s.prints[of])})
	}
	var how []fyne.CanvasObject
	for i, step := range []string{w.t("request.how.1"), w.t("request.how.2"), w.t("request.how.3")} {
		how = append(how, widgets.Row(0, []float32{1, 24}, text(style.BodyDim, string(rune('1'+i))+"."), text(style.Body, step)))
	}
	objs := []fyne.CanvasObject{widgets.NewCard(widgets.NewKeyValues(kv...)), widgets.NewCard(widgets.Column(8, how...))}
	if len(s.made.Voided) > 0 {
		objs = append([]fyne.CanvasObject{widgets.NewEdgeCard(widgets.Warning, widgets.Column(6, w.voided(s.made.Voided)...))}, objs...)
	}
	p.title, p.lead, p.content = w.t("request.made.title"), w.t("request.made.lead"), widgets.Column(style.Gap, objs...)
	p.primary = &action{label: w.t("request.save"), do: s.save}
	if s.saved {
		p.extra = []action{{label: w.t("request.save.again"), do: s.save}}
		p.primary = &action{label: w.t("button.done"), do: s.close}
	}
	return p
}

// attach takes in what a person signed elsewhere.
type attach struct {
	w     *Window
	of    *signOff
	file  *widgets.Entry
	found []string
	stop  func()
	task  *task
}

// attach opens the page that takes in a signature from a file.
func (s *signOff) attach() {
	a := &attach{w: s.w, of: s, file: widgets.NewEntry()}
	a.file.OnChanged = func(string) { a.enable() }
	a.file.OnSubmitted = func(string) { s.w.shell.press() }
	s.w.aside(a)
}

func (s *attach) shown() {
	s.leave()
	s.stop = s.w.watch(lookForDrives, func(ctx context.Context) func() {
		found := filesOn(ctx, removable(s.w.c.Drives(ctx)), func(path string) bool { return strings.HasSuffix(path, signedEnding) })
		return func() {
			if !slices.Equal(found, s.found) {
				s.found = found
				if s.w.showing(s) {
					s.w.redraw()
				}
			}
		}
	})
}

func (s *attach) leave() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

func (s *attach) ready() bool { return typedPath(s.file.Text) != "" && !s.task.running() }

func (s *attach) enable() {
	if s.w.showing(s) {
		s.w.shell.setPrimary(s.ready())
	}
}

func (s *attach) do() {
	if !s.ready() {
		return
	}
	w, in, at := s.w, s.w.in, typedPath(s.file.Text)
	var done *installer.SignOffResult
	by := ""
	s.task = w.run(func(ctx context.Context) error {
		raw, err := readFile(at, compliance.MaxSignedRequestSize)
		if err != nil {
			return err
		}
		if _, d, err := compliance.ParseSignedRequest(raw); err == nil {
			by = d.Person
		}
		done, err = in.Attach(ctx, raw)
		return err
	}, nil, func(err error) {
		switch {
		case !w.showing(s):
		case err != nil:
			w.refreshStatus()
			w.tell(err)
		default:
			w.closeAside()
			s.of.attached(done, by)
		}
	})
	w.redraw()
}

func (s *attach) page() page {
	w := s.w
	p := page{step: stepSignOff, title: w.t("attach.title"), lead: w.t("attach.lead"), back: w.closeAside, focus: s.file,
		content: widgets.NewCard(w.foundField("attach", s.found, s.file, ".json")), primary: &action{label: w.t("attach.do"), do: s.do, off: !s.ready()}}
	p.missing = func() fyne.Focusable {
		if typedPath(s.file.Text) == "" {
			return s.file
		}
		return nil
	}
	if s.task.running() {
		p.hint = w.t("signoff.signing")
	}
	return p
}

// attached shows where a stage stands after a signature from elsewhere: of this page's stage, or of another, which the
// start screen shows.
func (s *signOff) attached(done *installer.SignOffResult, by string) {
	if done.Stage != s.stage || s.list != nil && done.Version != s.list.Version {
		s.w.home()
		return
	}
	s.taken(done, s.name(by))
}

// newRequestSignOff lets a person decide about a request, without an installation.
func newRequestSignOff(w *Window, q *installer.OpenedRequest, file string) *signOff {
	s := newSignOff(w, nil, slot.Stage(q.Request().Stage), nil)
	s.asked, s.file = q, file
	s.list, s.signed, s.policy = q.Checklist(), q.Approval(), q.Policy()
	s.choose()
	return s
}

// about says what a request asks about, and whose word the figures are.
func (s *signOff) about() fyne.CanvasObject {
	w, r := s.w, s.asked.Request()
	kv := []widgets.KeyValue{widgets.KV(w.t("live.version"), printable.Line(r.ModelFamily, 64)+" "+printable.Line(r.Version, 64)+", "+w.t("live.variant", "variant", printable.Line(r.Variant, 64))),
		{Key: w.t("live.manifest"), Value: widgets.NewDigest("SHA-384", r.ManifestSHA384.String())},
		widgets.KV(w.t("request.machine"), printable.Line(r.Machine.KeyID, 100)),
		widgets.KV(w.t("request.at"), w.stamp(r.At))}
	if r.Installer != "" {
		kv = append(kv, widgets.KV(w.t("request.installer"), printable.Line(r.Installer, 120)))
	}
	objs := []fyne.CanvasObject{widgets.Wrapping(10, widgets.NewBadge(widgets.Good, w.t("request.checked"))), widgets.NewKeyValues(kv...), text(style.SmallDim, w.t("request.word"))}
	if e := r.Emergency; e != nil {
		objs = append(objs, text(style.BodyStrong, w.lang.Text("emergency.mark", "version", r.Version, "reason", printable.Line(e.Reason, 300), "by", printable.Line(e.By, 120))))
	}
	return widgets.NewCard(widgets.Column(10, objs...))
}

// signedName is what the file that goes back is called.
func (s *signOff) signedName() string {
	return strings.TrimSuffix(s.file, filepath.Ext(s.file)) + signedEnding
}

// endElsewhere is the page after a decision about a request: the file goes back to the computer that asked.
func (s *signOff) endElsewhere() page {
	w, r := s.w, s.asked.Request()
	key, state := "request.signed", widgets.Good
	if s.refused {
		key, state = "request.refused", widgets.Warning
	}
	p := page{title: w.t(key+".title", "stage", string(s.stage), "version", printable.Line(r.Version, 64)), lead: w.t("request.signed.lead")}
	kv := []widgets.KeyValue{widgets.KV(w.t("signoff.person"), s.by), {Key: w.t("request.file"), Value: text(style.Mono, printable.Line(s.signedName(), 200))},
		widgets.KV(w.t("request.machine"), printable.Line(r.Machine.KeyID, 100))}
	if s.refused {
		kv = append(kv, widgets.KV(w.t("signoff.reason"), printable.Line(s.reason, 300)))
	}
	p.content = widgets.Column(style.Gap, widgets.NewEdgeCard(state, widgets.NewKeyValues(kv...)), text(style.BodyDim, w.t("request.back")))
	save := func() { w.saveThen(s.signedName(), s.answer, func() { s.saved = true; w.redraw() }) }
	if s.saved {
		p.extra = []action{{label: w.t("request.save.again"), do: save}}
		p.escape, p.primary = w.closeAside, &action{label: w.t("button.done"), do: w.closeAside}
		return p
	}
	p.cancel = func() {
		w.ask(question{title: w.t("request.unsaved"), text: w.t("request.unsaved.text"), yes: w.t("request.unsaved.yes"), no: w.t("request.unsaved.no"), do: w.closeAside, danger: true})
	}
	p.words = map[string]string{"cancel": w.t("button.close")}
	p.primary = &action{label: w.t("request.signed.save"), do: save}
	return p
}
