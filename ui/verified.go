package ui

import (
	"context"
	"time"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/installer"
	"sluice/internal/progress"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// verified reads every byte of a bundle whose signature holds, and installs nothing.
type verified struct {
	w     *Window
	auth  *installer.Authentic
	again func() // to the choice of another bundle
	task  *task
	done  bool
	begun time.Time
	bar   *widgets.Bar
	text  *widgets.Text
}

func newVerified(w *Window, auth *installer.Authentic, again func()) *verified {
	return &verified{w: w, auth: auth, again: again, bar: widgets.NewBar(), text: text(style.BodyDim, "")}
}

func (s *verified) shown() {
	if s.task != nil {
		return
	}
	s.begun = time.Now()
	post := s.w.progress
	s.task = s.w.run(func(ctx context.Context) error {
		return s.auth.Source().Extract(ctx, s.auth.Manifest(), bundle.ExtractOptions{Strict: true, Progress: post, Step: progress.Verify})
	}, s.event, func(err error) {
		if !s.w.showing(s) {
			return
		}
		if err != nil {
			s.w.show(newRefusal(s.w, 0, err, nil, action{label: s.w.t("authenticate.other"), do: s.again}))
			return
		}
		s.done = true
		s.w.redraw()
	})
}

func (s *verified) event(e progress.Event) {
	if e.Total > 0 {
		s.bar.SetShare(float32(e.Done) / float32(e.Total))
		s.text.SetText(s.w.t("verified.progress", "done", s.w.bytes(e.Done), "total", s.w.bytes(e.Total)))
		s.w.reflow()
	}
}

func (s *verified) leave() {
	s.task.stop()
	s.w.shut(s.auth.Source())
}

func (s *verified) page() page {
	w, m := s.w, s.auth.Manifest()
	if !s.done {
		return page{title: w.t("verified.busy"), lead: w.t("verified.busy.lead"), content: widgets.NewCard(widgets.Column(10, s.bar, s.text)), cancel: w.home}
	}
	var keys []widgets.KeyValue
	for _, k := range s.auth.Signers() {
		keys = append(keys, widgets.KeyValue{Key: w.t("authenticate.signer"), Value: text(style.Mono, k.Fingerprint)})
	}
	about := append([]widgets.KeyValue{
		widgets.KV(w.t("authenticate.family"), m.ModelFamily), widgets.KV(w.t("authenticate.version"), w.t("authenticate.version.of", "version", m.Version, "day", w.day(m.CreatedTime().UTC()))),
	}, keys...)
	about = append(about, widgets.KV(w.t("authenticate.size"), w.bytes(s.auth.Source().Size())+" · "+w.n("source.variants", len(m.Variants))+" · "+w.n("authenticate.files", len(m.Artifacts))),
		widgets.KeyValue{Key: w.t("authenticate.manifest"), Value: widgets.NewWholeDigest(s.auth.ManifestSHA384().String())})
	return page{title: w.t("verified.title"), lead: w.t("verified.lead"),
		content: widgets.NewEdgeCard(widgets.Good, widgets.Column(8, fyne.CanvasObject(widgets.NewBadge(widgets.Good, w.t("verified.good"))), widgets.NewKeyValues(about...))),
		extra:   []action{{label: w.t("authenticate.other"), do: s.again}}, primary: &action{label: w.t("button.close"), do: w.home}, escape: w.home}
}
