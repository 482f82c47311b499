package ui

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// elsewhere offers what a person on another machine needs, and takes in what they signed.
func (s *signOff) elsewhere() fyne.CanvasObject {
	w := s.w
	return widgets.NewCard(widgets.Column(8, text(style.BodyStrong, w.t("request.elsewhere")), text(style.BodyDim, w.t("request.elsewhere.help")),
		widgets.Wrapping(16, widgets.LinkButton(w.t("request.save"), s.ask), widgets.LinkButton(w.t("request.attach"), s.attach))))
}

// ask makes the request for a person who signs elsewhere, and saves it.
func (s *signOff) ask() {
	if s.signing || s.task.running() {
		return
	}
	in, t, stage := s.w.in, s.tested, s.stage
	var made *installer.RequestResult
	s.task = s.w.run(func(ctx context.Context) (err error) {
		made, err = in.SignOffRequest(ctx, t, installer.RequestOptions{Stage: stage})
		return err
	}, nil, func(err error) {
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.fail(err)
			return
		}
		s.w.saveCopy(filepath.Base(made.Path), made.File)
	})
}

// attach takes in what a person signed elsewhere.
func (s *signOff) attach() {
	if s.signing || s.task.running() {
		return
	}
	s.w.chooseFile([]string{".json"}, s.attachFile)
}

func (s *signOff) attachFile(path string) {
	in := s.w.in
	var done *installer.SignOffResult
	person := ""
	s.task = s.w.run(func(ctx context.Context) error {
		raw, err := readFile(path, compliance.MaxSignedRequestSize)
		if err != nil {
			return err
		}
		if _, d, err := compliance.ParseSignedRequest(raw); err == nil {
			person = d.Person
		}
		done, err = in.Attach(ctx, raw)
		return err
	}, nil, func(err error) {
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.fail(err)
			return
		}
		if done.Stage != s.stage || done.Version != s.tested.Record().Version { // signed for something else that waits here
			s.w.home()
			s.w.inform(s.w.t("request.attached"), s.w.t("request.attached.of", "stage", string(done.Stage), "version", printable.Line(done.Version, 80)))
			return
		}
		s.person = person
		s.taken(done)
	})
}

// fail shows a refusal above the list, which stays.
func (s *signOff) fail(err error) {
	s.failed = newProblem(s.w, err, s.w.redraw)
	s.w.redraw()
	s.w.shell.scrollTop()
}

// openRequest lets a person point at a request that came from another machine.
func (w *Window) openRequest() {
	w.chooseFile([]string{".json"}, func(path string) { w.aside(newRequest(w, path)) })
}

// request opens a request for a signature on any machine. Where this one does not know the vendor and the site of that machine,
// the person compares their fingerprints with the papers.
type request struct {
	w    *Window
	path string
	task *task

	raw     []byte
	prints  []comparison // to compare; empty while it is opened
	problem *problem
}

// comparison is a fingerprint that a person compares: the last groups are typed from the papers.
type comparison struct {
	of    verify.Root
	print string
	typed *widgets.Entry
}

func newRequest(w *Window, path string) *request { return &request{w: w, path: path} }

func (s *request) shown() {
	if s.raw == nil && s.problem == nil {
		s.open(nil)
	}
}

func (s *request) leave() { s.task.stop() }

// open checks the request by what this machine knows, or by fingerprints.
func (s *request) open(prints []string) {
	if s.task.running() {
		return
	}
	w, path, raw := s.w, s.path, s.raw
	var opened *installer.OpenedRequest
	var compare []comparison
	s.task = w.run(func(context.Context) (err error) {
		if raw == nil {
			if raw, err = readFile(path, compliance.MaxRequestSize); err != nil {
				return err
			}
		}
		o := installer.TrustOptions{Fingerprints: prints}
		if dir := keysFolder(w.root); len(prints) == 0 {
			if _, err := os.Stat(dir); err == nil {
				o.Dir = dir
			}
		}
		opened, err = installer.OpenRequest(raw, o)
		if fault.CodeOf(err) == fault.RequestTrust {
			compare, err = printsOf(raw)
		}
		return err
	}, nil, func(err error) {
		if !w.showing(s) {
			return
		}
		switch {
		case err != nil && len(prints) > 0:
			s.problem = newProblem(w, err, w.redraw)
			w.redraw()
			w.shell.scrollTop()
		case err != nil:
			w.show(newRefusal(w, 0, err, w.closeAside))
		case opened == nil:
			s.raw, s.prints = raw, compare
			for i := range s.prints {
				s.prints[i].typed = widgets.NewEntry()
				s.prints[i].typed.OnChanged = func(string) { s.refoot() }
				s.prints[i].typed.OnSubmitted = func(string) { w.shell.press() }
			}
			w.redraw()
		default:
			w.show(newRequested(w, opened, path))
		}
	})
	w.redraw()
}

// printsOf are the fingerprints of the first lists that a request carries.
func printsOf(raw []byte) ([]comparison, error) {
	r, err := compliance.ParseRequest(raw)
	if err != nil {
		return nil, err
	}
	var out []comparison
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		first, ok := r.Files[compliance.FileKeys+string(of)+"/1.root.json"]
		if !ok {
			return nil, fault.New(fault.Request, "the request carries no trust root %q", of)
		}
		out = append(out, comparison{of: of, print: verify.Fingerprint(first)})
	}
	return out, nil
}

func (s *request) page() page {
	w := s.w
	p := page{title: w.t("request.open"), lead: w.t("request.open.lead")}
	if len(s.prints) == 0 {
		p.content = widgets.NewCard(w.waiting(printable.Line(filepath.Base(s.path), 200)))
		p.cancel = w.closeAside
		return p
	}
	p.title, p.lead = w.t("request.compare"), w.t("request.compare.lead")
	var objs []fyne.CanvasObject
	if s.problem != nil {
		objs = append(objs, s.problem.panel())
	}
	for i := range s.prints {
		f := &s.prints[i]
		objs = append(objs, widgets.NewCard(widgets.Column(12, text(style.BodyStrong, w.t("request.print."+string(f.of))),
			widgets.Row(24, []float32{1, 1}, w.comparedGroups(f.print), field(w.t("first.typed"), f.typed, w.t("first.typed.note"))))))
	}
	p.content, p.focus = widgets.Column(style.Gap, objs...), s.prints[0].typed
	s.buttons(&p)
	return p
}

func (s *request) buttons(p *page) {
	w := s.w
	p.cancel = w.closeAside
	next := s.missing()
	p.missing = s.missing
	if next != nil {
		p.hint = w.t("first.hint")
	}
	p.primary = &action{label: w.t("request.compared"), do: s.compared, off: next != nil || s.task.running()}
}

func (s *request) missing() fyne.Focusable {
	for i := range s.prints {
		if len(hexDigits(s.prints[i].typed.Text)) != hiddenDigits {
			return s.prints[i].typed
		}
	}
	return nil
}

func (s *request) refoot() {
	if s.w.showing(s) {
		p := page{}
		s.buttons(&p)
		s.w.refoot(p)
	}
}

func (s *request) compared() {
	if s.missing() != nil {
		return
	}
	var prints []string
	for _, f := range s.prints {
		prints = append(prints, strings.Join(shownGroups(f.print), " ")+" "+hexDigits(f.typed.Text))
	}
	s.problem = nil
	s.open(prints)
}

// newRequested is the sign-off of a request that was opened and holds: the list of another machine, signed into a file.
func newRequested(w *Window, q *installer.OpenedRequest, path string) *signOff {
	s := newSignOff(w, nil, slot.Stage(q.Request().Stage), nil)
	s.request = &asked{q: q, name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".signed.json"}
	s.list, s.policy, s.signed = q.Checklist(), q.Policy(), q.Approval()
	if people := s.candidates(); len(people) == 1 {
		s.person = people[0].ID
	}
	return s
}

// asked is what a sign-off answers when it came as a request from another machine.
type asked struct {
	q     *installer.OpenedRequest
	name  string // of the file that goes back
	reply []byte // what was signed
}

// about says which machine asks, and for what.
func (s *signOff) about() fyne.CanvasObject {
	w, r := s.w, s.request.q.Request()
	return widgets.NewEdgeCard(widgets.Info, widgets.NewKeyValues(
		widgets.KV(w.t("live.version"), printable.Line(r.ModelFamily, 64)+" "+printable.Line(r.Version, 80)+", "+w.t("live.variant", "variant", printable.Line(r.Variant, 64))),
		widgets.KeyValue{Key: w.t("live.manifest"), Value: widgets.NewDigest("SHA-384", r.ManifestSHA384.String())},
		widgets.KV(w.t("request.machine"), shorten(r.Machine.KeyID, 32)),
		widgets.KV(w.t("request.installer"), printable.Line(r.Installer, 80))))
}

// signFile signs the request: nothing changes here, a file goes back.
func (s *signOff) signFile(o installer.SignOffOptions) {
	q, read := s.request.q, s.key.read()
	ro := installer.RequestSignOptions{Role: o.Role, Answers: o.Answers, Refuse: o.Refuse, Reason: o.Reason, Lang: o.Lang, Now: s.w.c.Now()}
	var reply []byte
	s.task = s.w.run(func(context.Context) (err error) {
		if ro.Key, err = read(); err != nil {
			return err
		}
		reply, err = q.Sign(ro)
		return err
	}, nil, func(err error) {
		s.signing = false
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.fail(err)
			return
		}
		s.request.reply = reply
		s.w.redraw()
		s.w.shell.scrollTop()
	})
}

// signedPage is the page after a request was signed: the file has to go back.
func (s *signOff) signedPage() page {
	w, a := s.w, s.request
	title, state := w.t("request.signed"), widgets.Good
	if s.refusing {
		title, state = w.t("request.refused"), widgets.Warning
	}
	return page{title: title, lead: w.t("request.signed.lead"), escape: w.closeAside,
		content: widgets.Column(style.Gap, widgets.NewEdgeCard(state, widgets.NewKeyValues(widgets.KV(w.t("signoff.person"), s.name(s.person)),
			widgets.KeyValue{Key: w.t("request.file"), Value: text(style.Mono, printable.Line(a.name, 200))})), s.about()),
		extra:   []action{{label: w.t("button.close"), do: w.closeAside}},
		primary: &action{label: w.t("request.signed.save"), do: func() { w.saveCopy(a.name, a.reply) }}}
}
