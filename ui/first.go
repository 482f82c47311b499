package ui

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"sluice/hwprobe"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// firstScreen is the screen for a root that knows no vendor yet.
func (w *Window) firstScreen() screen { return newTrust(w, verify.Oem, func() { w.afterVendor() }) }

// trust is where a person gives this computer its first list of trusted keys, the supplier's or the site's own. They
// compare its fingerprint with what came on another way than the list: the last two groups are not shown but typed, so
// that comparing is not skipped. The installer judges what was typed.
type trust struct {
	w    *Window
	of   verify.Root
	next func()

	file  *widgets.Entry // path of the list
	typed *widgets.Entry // the last two groups
	who   *widgets.Entry // who compares, for the log

	folder  error // why the installation's folder cannot be used
	asked   bool  // folder is known
	compare bool  // the second half: the fingerprint
	found   []string
	stop    func()
	read    *task
	at      string // the path that raw is of
	raw     []byte
	info    verify.RootInfo
	wrong   *problem // why the file is no list
	placed  *task
}

// newTrust asks for the first list of a vendor or site; next is called when it was placed.
func newTrust(w *Window, of verify.Root, next func()) *trust {
	s := &trust{w: w, of: of, next: next, file: widgets.NewEntry(), typed: widgets.NewEntry(), who: widgets.NewEntry()}
	s.file.OnChanged = func(string) { s.look() }
	s.typed.OnChanged = func(string) { s.enable() }
	s.who.OnChanged = func(string) { s.enable() }
	s.file.OnSubmitted = func(string) { s.look() }
	s.typed.OnSubmitted = func(string) { w.shell.press() }
	s.who.OnSubmitted = func(string) { w.shell.press() }
	return s
}

// keysFolder is where an installation keeps the lists it trusts.
func keysFolder(root string) string { return filepath.Join(root, filepath.FromSlash(slot.KeysDir)) }

// afterVendor goes on with what the site needs; what is there already is not asked again.
func (w *Window) afterVendor() {
	w.refreshStatus()
	store, err := verify.OpenStore(keysFolder(w.root))
	if err == nil && !store.Has(verify.Site) {
		w.show(newTrust(w, verify.Site, w.afterSite))
		return
	}
	w.afterSite()
}

// afterSite goes on with the people who sign.
func (w *Window) afterSite() {
	w.refreshStatus()
	if w.status != nil && !w.status.Policy {
		w.show(newPeople(w, w.home))
		return
	}
	w.home()
}

func (s *trust) shown() {
	s.leave()
	s.probe()
	s.stop = s.w.watch(lookForDrives, func(ctx context.Context) func() {
		found := lists(ctx, s.of, removable(s.w.c.Drives(ctx)))
		return func() {
			if !slices.Equal(found, s.found) {
				s.found = found
				s.again()
			}
		}
	})
}

func (s *trust) leave() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	s.read.stop()
}

func (s *trust) again() {
	if s.w.showing(s) {
		s.w.redraw()
	}
}

// lists finds the lists of a vendor or site on drives, by name and by what they say of themselves.
func lists(ctx context.Context, of verify.Root, drives []hwprobe.Drive) []string {
	return filesOn(ctx, drives, func(path string) bool {
		if !strings.HasSuffix(path, ".root.json") {
			return false
		}
		raw, err := readFile(path, verify.MaxRootSize)
		if err != nil {
			return false // it can still be named, and is complained of then
		}
		info, err := verify.DescribeRoot(raw)
		return err == nil && (info.Of == "" || info.Of == of)
	})
}

// probe finds out whether the installation's folder can be written.
func (s *trust) probe() {
	root := s.w.root
	var wrong error
	s.w.run(func(context.Context) error {
		if wrong = fsx.CheckFS(root); wrong == nil {
			wrong = fsx.WritableProbe(root)
		}
		return nil
	}, nil, func(error) {
		if s.w.root == root {
			s.folder, s.asked = wrong, true
			s.again()
		}
	})
}

// look reads the file whose path stands in the entry.
func (s *trust) look() {
	at := typedPath(s.file.Text)
	if at == s.at {
		return
	}
	s.read.stop()
	s.at, s.raw, s.wrong, s.compare = at, nil, nil, false
	if at == "" {
		s.again()
		return
	}
	var raw []byte
	var info verify.RootInfo
	s.read = s.w.run(func(ctx context.Context) error {
		fi, err := os.Stat(at)
		if err != nil || fi.IsDir() {
			return errNotYet // still being typed
		}
		if raw, err = readFile(at, verify.MaxRootSize); err == nil {
			info, err = verify.DescribeRoot(raw)
		}
		if err == nil && info.Of != "" && info.Of != s.of {
			err = fault.New(fault.TrustInvalid, "%q is a list of %q, want one of %q", filepath.Base(at), info.Of, s.of).With("path", at)
		}
		return err
	}, nil, func(err error) {
		switch {
		case s.at != at:
			return
		case err == nil:
			s.raw, s.info = raw, info
		case err != errNotYet:
			s.wrong = newProblem(s.w, err, s.w.redraw)
		}
		s.again()
	})
	s.again()
}

// errNotYet says that a path is not one of a file yet.
var errNotYet = fault.New(fault.SourceMissing, "no such file yet")

// digits are the hexadecimal digits that were typed.
func (s *trust) digits() string {
	return hexDigits(s.typed.Text)
}

// hexDigits are the digits of a fingerprint as people type them.
func hexDigits(typed string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == ':' {
			return -1
		}
		return r
	}, strings.ToLower(typed))
}

func (s *trust) ready() bool {
	return s.raw != nil && len(s.digits()) == hiddenDigits && strings.TrimSpace(s.who.Text) != "" && s.folder == nil && !s.placed.running()
}

func (s *trust) enable() {
	if b := s.w.shell.primary; b != nil && s.w.showing(s) {
		b.SetEnabled(s.ready())
	}
}

// The groups of a fingerprint that are not shown.
const (
	hiddenGroups = 2
	hiddenDigits = 4 * hiddenGroups
)

// groups are what is shown of the fingerprint.
func (s *trust) groups() []string { return shownGroups(s.info.Fingerprint) }

func shownGroups(fingerprint string) []string {
	all := strings.Fields(fingerprint)
	return all[:max(len(all)-hiddenGroups, 0)]
}

// comparedGroups draws a fingerprint in groups of four, without the last two.
func (w *Window) comparedGroups(fingerprint string) fyne.CanvasObject {
	groups := shownGroups(fingerprint)
	for range hiddenGroups {
		groups = append(groups, "····")
	}
	lines := []fyne.CanvasObject{text(style.SmallStrong, w.t("first.fingerprint"))}
	for row := range slices.Chunk(groups, 4) {
		lines = append(lines, text(style.MonoStrong, strings.Join(row, "  ")))
	}
	return widgets.Column(8, lines...)
}

// place hands the list and what the person read on the delivery note to the installer.
func (s *trust) place() {
	if !s.ready() {
		return
	}
	raw, by := s.raw, strings.TrimSpace(s.who.Text)
	fingerprint := strings.Join(s.groups(), " ") + " " + s.digits()
	s.placed = s.w.run(func(ctx context.Context) error {
		return s.w.in.TrustInit(ctx, s.of, raw, fingerprint, by)
	}, nil, func(err error) {
		if err != nil {
			s.typed.SetText("")
			s.w.show(newRefusal(s.w, 0, err, func() { s.w.show(s) }))
			return
		}
		s.next()
	})
	s.enable()
}

func (s *trust) page() page {
	w := s.w
	key := "first." + string(s.of) + "."
	if s.compare && s.raw != nil {
		return page{title: w.t("first.compare"), lead: w.t("first.compare.how"), content: s.compareCard(), focus: s.typed,
			back: func() { s.compare = false; w.show(s) }, hint: w.t("first.hint"), primary: &action{label: w.t("first.place"), do: s.place, off: !s.ready()}}
	}
	p := page{title: w.t(key + "title"), lead: w.t(key + "lead"), focus: s.file,
		primary: &action{label: w.t("first.next"), off: s.raw == nil || s.folder != nil, do: func() {
			if s.raw != nil && s.folder == nil {
				s.compare = true
				w.show(s)
			}
		}}}
	var cards []fyne.CanvasObject
	if s.of == verify.Oem {
		p.extra = []action{{label: w.t("first.demo"), do: w.startDemo}}
		cards = append(cards, s.folderCard())
	} else {
		p.extra = []action{{label: w.t("first.later"), do: w.home}}
	}
	cards = append(cards, s.fileCard(key))
	switch {
	case s.wrong != nil:
		cards = append(cards, s.wrong.panel())
	case s.raw != nil:
		cards = append(cards, s.aboutCard())
		p.focus = nil
	}
	if s.of == verify.Oem { // signing somebody's request needs nothing on this computer
		cards = append(cards, w.papers())
	}
	p.content = widgets.Column(style.Gap, cards...)
	return p
}

// folderCard says where models, keys and logs will lie, and what to do without the right to write there.
func (s *trust) folderCard() fyne.CanvasObject {
	w := s.w
	state := widgets.NewBadge(widgets.Neutral, w.t("busy"))
	if s.asked && s.folder == nil {
		state = widgets.NewBadge(widgets.Good, w.t("first.folder.good"))
	} else if s.asked {
		state = widgets.NewBadge(widgets.Wrong, w.t("first.folder.wrong"))
	}
	change := widgets.LinkButton(w.t("first.folder.change"), func() {
		w.chooseFolder(func(dir string) {
			w.use(dir, false)
			s.asked, s.folder = false, nil
			if w.status != nil && w.status.Trust {
				w.home()
				return
			}
			s.probe()
			w.redraw()
		})
	})
	objs := []fyne.CanvasObject{
		text(style.Heading, w.t("first.folder")),
		widgets.Ends(12, text(style.Mono, printable.Line(w.root, 300)), state),
		widgets.Ends(12, text(style.SmallDim, w.t("first.folder.note")), change),
	}
	if s.folder != nil {
		objs = append(objs, newProblem(w, s.folder, w.redraw).panel())
	}
	return widgets.NewCard(widgets.Column(6, objs...))
}

func (s *trust) fileCard(key string) fyne.CanvasObject {
	w := s.w
	objs := []fyne.CanvasObject{text(style.Heading, w.t(key+"file"))}
	for _, f := range s.found {
		objs = append(objs, widgets.Wrapping(8, widgets.NewIcon(widgets.Right, style.Dim, 12), widgets.LinkButton(printable.Line(f, 200), func() { s.file.SetText(f) })))
	}
	objs = append(objs, w.fileField(w.t("first.path"), w.t(key+"note"), s.file, []string{".json"}))
	if s.of == verify.Site {
		objs = append(objs, widgets.Wrapping(6, text(style.BodyDim, w.t("first.site.none")),
			widgets.LinkButton(w.t("first.site.make"), func() { w.show(newSite(w, s.next, func() { w.show(s) })) })))
	}
	return widgets.NewCard(widgets.Column(10, objs...))
}

// aboutCard says what the list says of itself.
func (s *trust) aboutCard() fyne.CanvasObject {
	w := s.w
	expires := w.day(s.info.Expires)
	if s.info.Expires.Before(w.c.Now()) {
		expires = w.t("first.expired", "day", expires)
	}
	return widgets.NewCard(widgets.NewKeyValues(
		widgets.KV(w.t("first.of"), w.t("first."+string(s.of)+".name")),
		widgets.KV(w.t("first.keys"), w.n("first.signers", s.signers(), "need", s.info.TargetsThreshold)),
		widgets.KV(w.t("first.expires"), expires),
	))
}

// compareCard is where the fingerprint is compared.
func (s *trust) compareCard() fyne.CanvasObject {
	w := s.w
	return widgets.NewCard(widgets.Column(16, widgets.NewKeyValues(widgets.KeyValue{Key: w.t("first.path"), Value: text(style.Mono, printable.Line(s.at, 300))}),
		widgets.Row(24, []float32{1, 1}, w.comparedGroups(s.info.Fingerprint), widgets.Column(12,
			field(w.t("first.typed"), s.typed, w.t("first.typed.note")),
			field(w.t("first.who"), s.who, w.t("first.who.note"))))))
}

// signers counts the keys that may sign bundles or the policy.
func (s *trust) signers() int {
	n := 0
	for _, k := range s.info.Keys {
		if slices.Contains(k.Roles, verify.RoleTargets) {
			n++
		}
	}
	return n
}

// trustYears is how long a list made here is valid.
const trustYears = 5

func trustUntil(now time.Time) time.Time {
	return now.AddDate(trustYears, 0, 0).UTC().Truncate(time.Second)
}
