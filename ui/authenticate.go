package ui

import (
	"context"
	"path/filepath"
	"slices"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// authenticate opens the bundle again and asks who signed it. It believes only its own read.
type authenticate struct {
	w    *Window
	path string
	also []string
	back func()
	next func(*installer.Authentic)
	only bool // verify only: other words on the button

	urgent  func()        // where a bundle leads that only the site signed; nil: nowhere
	reason  string        // of an emergency: the site's signature counts
	brought []verify.Step // lists that the medium brought, taken over before the bundle was judged
	task    *task
	src     *installer.Source
	auth    *installer.Authentic
	trust   *verify.RootInfo
	taken   bool // the source belongs to the next screen
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
	var brought []verify.Step
	site := false
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if src, err = s.w.in.Open(ctx, s.path, bundle.OpenOptions{Also: s.also, Ask: s.w.askVolume()}); err != nil {
			return err
		}
		store, steps, looked := s.w.in.LookTrust(src.Folders())
		if s.reason != "" {
			if auth, err = s.w.in.AuthenticateEmergency(ctx, src); err == nil {
				trust = s.list(verify.Site)
			}
			return err
		}
		if auth, err = s.w.in.Authenticate(ctx, src); err != nil {
			if fault.CodeOf(err) == fault.SignatureUntrusted && looked == nil && s.urgent != nil {
				_, e := store.AuthenticateEmergency(ctx, src, verify.History{})
				site = e == nil
			}
			return err
		}
		brought, trust = steps, s.list(verify.Oem)
		return nil
	}, nil, func(err error) {
		if err != nil || !s.w.showing(s) {
			s.w.shut(src)
		}
		switch {
		case !s.w.showing(s):
		case err != nil:
			extra := []action{{label: s.w.t("authenticate.other"), do: s.back}}
			if site {
				extra = append(extra, action{label: s.w.t("urgent.open"), do: s.urgent, danger: true})
			}
			s.w.refreshStatus()
			s.w.show(newRefusal(s.w, stepAuthenticate, err, nil, extra...))
		default:
			s.src, s.auth, s.trust, s.brought = src, auth, trust, brought
			if len(brought) > 0 {
				s.w.refreshStatus()
			}
			s.w.redraw()
		}
	})
}

// list is the list of trusted keys that judged the bundle; nil when it cannot be read again.
func (s *authenticate) list(of verify.Root) *verify.RootInfo {
	store, err := verify.OpenStore(filepath.Join(s.w.root, filepath.FromSlash(slot.KeysDir)))
	if err != nil {
		return nil
	}
	for _, r := range store.Describe() {
		if r.Of == of {
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
	role := "authenticate.role.targets"
	if s.reason != "" {
		role = "authenticate.role.site"
	}
	signed = append(signed, widgets.KV(w.t("authenticate.role"), w.t(role)))
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
	verdict := widgets.NewEdgeCard(widgets.Good, widgets.Column(8, widgets.NewBadge(widgets.Good, w.t("authenticate.good")), widgets.NewKeyValues(signed...)))
	lead := w.t("authenticate.lead")
	if s.reason != "" {
		lead = w.t("authenticate.lead.site")
		signed = append(signed, widgets.KV(w.t("urgent.reason"), printable.Line(s.reason, 300)))
		verdict = widgets.NewEdgeCard(widgets.Wrong, widgets.Column(8, widgets.NewBadge(widgets.Wrong, w.lang.Text("emergency.site")), widgets.NewKeyValues(signed...)))
	}
	objs := []fyne.CanvasObject{verdict, widgets.NewCard(widgets.NewKeyValues(about...)), widgets.NewCard(s.changes(m))}
	if len(s.brought) > 0 {
		objs = slices.Insert(objs, 1, w.takenCard(s.brought))
	}
	p := page{step: stepAuthenticate, title: w.t("authenticate.title"), lead: lead, content: widgets.Column(style.Gap, objs...),
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
		if will = w.t("authenticate.changes.only"); len(s.brought) > 0 {
			will = w.t("authenticate.changes.lists")
		}
	}
	return widgets.NewKeyValues(widgets.KV(w.t("authenticate.will"), will), widgets.KV(w.t("authenticate.stay"), stays))
}
