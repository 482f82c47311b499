package ui

import (
	"context"
	"path/filepath"
	"slices"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// authenticate opens the bundle again and asks who signed it. It believes only its own read.
type authenticate struct {
	w     *Window
	path  string
	also  []string
	back  func()
	next  func(*installer.Authentic)
	only  bool // verify only: other words on the button
	task  *task
	src   *installer.Source
	auth  *installer.Authentic
	trust *verify.RootInfo
	taken bool // the source belongs to the next screen
}

func newAuthenticate(w *Window, path string, also []string, back func(), next func(*installer.Authentic)) *authenticate {
	return &authenticate{w: w, path: path, also: also, back: back, next: next}
}

func (s *authenticate) shown() {
	if s.auth != nil || s.task.running() {
		return
	}
	var src *installer.Source
	var auth *installer.Authentic
	var trust *verify.RootInfo
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if src, err = s.w.in.Open(ctx, s.path, bundle.OpenOptions{Also: s.also, Ask: s.w.askVolume()}); err != nil {
			return err
		}
		if auth, err = s.w.in.Authenticate(ctx, src); err != nil {
			return err
		}
		trust = s.vendor()
		return nil
	}, nil, func(err error) {
		if err != nil || !s.w.showing(s) {
			s.w.shut(src)
		}
		switch {
		case !s.w.showing(s):
		case err != nil:
			s.w.show(newRefusal(s.w, stepAuthenticate, err, nil, action{label: s.w.t("authenticate.other"), do: s.back}))
		default:
			s.src, s.auth, s.trust = src, auth, trust
			s.w.redraw()
		}
	})
}

// vendor is the list of trusted keys that judged the bundle; nil when it cannot be read again.
func (s *authenticate) vendor() *verify.RootInfo {
	store, err := verify.OpenStore(filepath.Join(s.w.root, filepath.FromSlash(slot.KeysDir)))
	if err != nil {
		return nil
	}
	for _, r := range store.Describe() {
		if r.Of == verify.Oem {
			return &r
		}
	}
	return nil
}

func (s *authenticate) leave() {
	s.task.stop()
	if !s.taken && s.src != nil {
		s.w.shut(s.src)
		s.src, s.auth = nil, nil
	}
}

// shut gives a bundle's medium back, once nobody reads from it any more.
func (w *Window) shut(src *installer.Source) {
	if src != nil {
		w.whenIdle(func() { _ = src.Close() })
	}
}

func (s *authenticate) goOn() {
	s.taken = true
	s.next(s.auth)
}

func (s *authenticate) page() page {
	w := s.w
	if s.auth == nil {
		return page{step: stepAuthenticate, title: w.t("authenticate.busy"), lead: w.t("authenticate.busy.lead"),
			content: widgets.NewCard(w.waiting(printable.Line(filepath.Base(s.path), 200))), back: s.back, cancel: w.home,
			primary: &action{label: w.t("button.next"), off: true}}
	}
	m := s.auth.Manifest()
	var signed []widgets.KeyValue
	for _, k := range s.auth.Signers() {
		signed = append(signed, widgets.KeyValue{Key: w.t("authenticate.signer"), Value: text(style.Mono, k.Fingerprint)})
	}
	signed = append(signed, widgets.KV(w.t("authenticate.role"), w.t("authenticate.role.targets")))
	if s.trust != nil {
		signed = append(signed, widgets.KV(w.t("authenticate.until"), w.day(s.trust.Expires.UTC())))
		if s.trust.TargetsThreshold > 1 {
			signed = append(signed, widgets.KV(w.t("authenticate.threshold"), w.t("authenticate.threshold.of", "have", len(s.auth.Signers()), "want", s.trust.TargetsThreshold)))
		}
	}
	about := []widgets.KeyValue{
		widgets.KV(w.t("authenticate.family"), m.ModelFamily),
		widgets.KV(w.t("authenticate.version"), w.t("authenticate.version.of", "version", m.Version, "day", w.day(m.CreatedTime().UTC()))),
		widgets.KV(w.t("authenticate.size"), w.bytes(s.src.Size())+" · "+w.n("source.variants", len(m.Variants))+" · "+w.n("authenticate.files", len(m.Artifacts))),
		{Key: w.t("authenticate.manifest"), Value: widgets.NewDigest("SHA-384", s.auth.ManifestSHA384().String())},
	}
	p := page{step: stepAuthenticate, title: w.t("authenticate.title"), lead: w.t("authenticate.lead"),
		content: widgets.Column(style.Gap,
			widgets.NewEdgeCard(widgets.Good, widgets.Column(8, widgets.NewBadge(widgets.Good, w.t("authenticate.good")), widgets.NewKeyValues(signed...))),
			widgets.NewCard(widgets.NewKeyValues(about...)),
			widgets.NewCard(s.changes(m))),
		back: s.back, cancel: w.home, primary: &action{label: w.t("authenticate.next"), do: s.goOn}}
	if s.only {
		p.primary.label = w.t("authenticate.only")
	}
	return p
}

// changes says what an installation will change and what stays.
func (s *authenticate) changes(m *bundle.Manifest) fyne.CanvasObject {
	w := s.w
	stays := w.t("authenticate.stays.none")
	if stage, running := w.mode(); running {
		stays = w.t("authenticate.stays", "version", w.status.Stages[stage].Version, "stage", string(stage))
	}
	will := w.t("authenticate.changes", "version", m.Version)
	if w.status != nil && slices.ContainsFunc(w.status.Versions, func(v installer.VersionInfo) bool { return v.Version == m.Version }) {
		will = w.t("authenticate.again", "version", m.Version)
	}
	if s.only {
		will = w.t("authenticate.changes.only")
	}
	return widgets.NewKeyValues(widgets.KV(w.t("authenticate.will"), will), widgets.KV(w.t("authenticate.stay"), stays))
}
