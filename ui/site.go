package ui

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// minPassphrase is the least number of characters of a new passphrase, as on the command line.
const minPassphrase = 8

// site makes the site's own keys and its list, for a site that has none yet: one key that renews the list, one that
// signs the policy. Nobody's word is compared here, for nobody else made them.
type site struct {
	w    *Window
	next func()
	back func()

	dir, pass, again, who *widgets.Entry
	task                  *task
}

func newSite(w *Window, next, back func()) *site {
	s := &site{w: w, next: next, back: back, dir: widgets.NewEntry(), pass: widgets.NewPasswordEntry(), again: widgets.NewPasswordEntry(), who: widgets.NewEntry()}
	for _, e := range []*widgets.Entry{s.dir, s.pass, s.again, s.who} {
		e.OnChanged = func(string) { s.enable() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

func (s *site) ready() bool {
	return typedPath(s.dir.Text) != "" && strings.TrimSpace(s.who.Text) != "" && newPassphrase(s.pass, s.again) == "" && !s.task.running()
}

// newPassphrase says what is wrong with a passphrase typed twice, as a key of the catalogue; "" when nothing is.
func newPassphrase(one, two *widgets.Entry) string {
	switch {
	case utf8.RuneCountInString(one.Text) < minPassphrase:
		return "key.short"
	case one.Text != two.Text:
		return "key.differ"
	}
	return ""
}

func (s *site) enable() {
	if b := s.w.shell.primary; b != nil && s.w.showing(s) {
		b.SetEnabled(s.ready())
	}
}

func (s *site) make() {
	if !s.ready() {
		return
	}
	dir, pass, by, until := typedPath(s.dir.Text), s.pass.Text, strings.TrimSpace(s.who.Text), trustUntil(s.w.c.Now())
	s.task = s.w.run(func(ctx context.Context) error {
		raw, err := siteList(dir, pass, func(root, policy bundle.PublicKey, key ed25519.PrivateKey) ([]byte, error) {
			return verify.NewRoot(verify.RootOptions{Of: verify.Site, RootKeys: []bundle.PublicKey{root}, RootThreshold: 1,
				TargetsKeys: []bundle.PublicKey{policy}, TargetsThreshold: 1, Expires: until, Signers: []ed25519.PrivateKey{key}})
		})
		if err != nil {
			return err
		}
		return s.w.in.TrustInit(ctx, verify.Site, raw, verify.Fingerprint(raw), by)
	}, nil, func(err error) {
		if err != nil {
			s.w.show(newRefusal(s.w, 0, err, func() { s.w.show(s) }))
			return
		}
		s.w.siteKey = filepath.Join(dir, policyKeyName+".key")
		s.next()
	})
	s.enable()
}

// The names of the site's keys, as the command line's documents call them.
const (
	rootKeyName   = "site-root"
	policyKeyName = "site-policy"
	siteListName  = "site.1.root.json"
)

// siteList makes both pairs of keys and the list in a folder.
func siteList(dir, pass string, list func(root, policy bundle.PublicKey, key ed25519.PrivateKey) ([]byte, error)) ([]byte, error) {
	rootKey, rootPub, err := writeKeys(dir, rootKeyName, pass)
	if err != nil {
		return nil, err
	}
	_, policyPub, err := writeKeys(dir, policyKeyName, pass)
	if err != nil {
		return nil, err
	}
	root, err := readPublicKey(rootPub)
	if err != nil {
		return nil, err
	}
	policy, err := readPublicKey(policyPub)
	if err != nil {
		return nil, err
	}
	raw, err := list(root, policy, rootKey)
	if err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, siteListName), raw, 0o644); err != nil {
		return nil, err
	}
	return raw, nil
}

func (s *site) page() page {
	w := s.w
	choose := widgets.SecondaryButton(w.t("pick.folder"), func() { w.chooseFolder(func(dir string) { s.dir.SetText(dir) }) })
	return page{
		title: w.t("site.title"), lead: w.t("site.lead"), back: s.back, focus: s.dir,
		content: widgets.NewCard(widgets.Column(14,
			field(w.t("site.dir"), widgets.Ends(8, s.dir, choose), w.t("site.dir.note")),
			passphraseFields(w, s.pass, s.again),
			field(w.t("site.who"), s.who, w.t("first.who.note")),
			widgets.NewSpans(widgets.Span{Text: w.t("site.keep.head") + " ", Face: style.BodyStrong}, widgets.Span{Text: w.t("site.keep"), Face: style.BodyDim}),
		)),
		primary: &action{label: w.t("site.make"), do: s.make, off: !s.ready()},
	}
}

// passphraseFields are for a new passphrase, typed twice.
func passphraseFields(w *Window, one, two *widgets.Entry) fyne.CanvasObject {
	return widgets.Row(16, []float32{1, 1}, field(w.t("key.pass"), one, w.n("key.pass.note", minPassphrase)), field(w.t("key.pass.again"), two, ""))
}

// newKey makes a person's pair of keys and tells where the public one lies.
type newKey struct {
	w    *Window
	done func(pub string)

	name             string
	dir, pass, again *widgets.Entry
	task             *task
}

func newNewKey(w *Window, name string, done func(pub string)) *newKey {
	s := &newKey{w: w, name: name, done: done, dir: widgets.NewEntry(), pass: widgets.NewPasswordEntry(), again: widgets.NewPasswordEntry()}
	for _, e := range []*widgets.Entry{s.dir, s.pass, s.again} {
		e.OnChanged = func(string) { s.enable() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	return s
}

func (s *newKey) ready() bool {
	return typedPath(s.dir.Text) != "" && newPassphrase(s.pass, s.again) == "" && !s.task.running()
}

func (s *newKey) enable() {
	if b := s.w.shell.primary; b != nil && s.w.showing(s) {
		b.SetEnabled(s.ready())
	}
}

func (s *newKey) make() {
	if !s.ready() {
		return
	}
	dir, pass, pub := typedPath(s.dir.Text), s.pass.Text, ""
	s.task = s.w.run(func(context.Context) error {
		var err error
		_, pub, err = writeKeys(dir, s.name, pass)
		return err
	}, nil, func(err error) {
		if err != nil {
			s.w.tell(fault.New(fault.CodeOf(err), "making the keys of %q: %w", s.name, err))
			return
		}
		s.w.closeAside()
		s.done(pub)
	})
	s.enable()
}

func (s *newKey) page() page {
	w := s.w
	choose := widgets.SecondaryButton(w.t("pick.folder"), func() { w.chooseFolder(func(dir string) { s.dir.SetText(dir) }) })
	return page{
		title: w.t("key.title", "name", s.name), lead: w.t("key.lead"), back: w.closeAside, focus: s.dir,
		content: widgets.NewCard(widgets.Column(14,
			field(w.t("key.dir"), widgets.Ends(8, s.dir, choose), w.t("key.dir.note", "name", s.name)),
			passphraseFields(w, s.pass, s.again),
			text(style.BodyDim, w.t("key.lost")),
		)),
		primary: &action{label: w.t("key.make"), do: s.make, off: !s.ready()},
	}
}
