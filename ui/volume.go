package ui

import (
	"context"
	"os"
	"path/filepath"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// askVolume asks for the medium with the next volume while a bundle is read: in words, and by looking for it on every
// drive that is plugged in.
func (w *Window) askVolume() func(ctx context.Context, want bundle.VolumeWanted) (string, error) {
	return func(ctx context.Context, want bundle.VolumeWanted) (string, error) {
		return ask(ctx, w, func(answer func(string, error)) (end func()) { return w.wantVolume(want, answer) })
	}
}

// wantVolume shows the question. answer is called once at most; the result takes the question away.
func (w *Window) wantVolume(want bundle.VolumeWanted, answer func(string, error)) (end func()) {
	choose := widgets.PrimaryButton(w.t("volume.folder"), nil)
	refuse := func() {
		answer("", fault.New(fault.VolumeMissing, "volume %q was asked for and not given", want.Name).With("missing", want.Name))
	}
	stop := widgets.SecondaryButton(w.t("volume.stop"), refuse)
	content := widgets.Column(12, text(style.Heading, w.t("volume.title", "n", want.Number, "total", want.Total)),
		text(style.Body, w.t("volume.text")), text(style.Mono, printable.Line(want.Name, 200)),
		widgets.Inset(0, 8, 0, 0, widgets.Wrapping(12, stop, choose)))
	if top := w.win.Canvas().Overlays().Top(); top != nil {
		w.win.Canvas().Overlays().Remove(top) // reading waits for this answer: it goes first
	}
	shut := w.overlay(content, choose)
	w.onTop = refuse
	choose.OnTapped = func() {
		shut()
		w.onTop = nil
		w.chooseFolder(func(path string) { answer(path, nil) })
	}
	watching := w.watch(lookForDrives, func(ctx context.Context) func() {
		for _, d := range removable(w.c.Drives(ctx)) {
			if fi, err := os.Stat(filepath.Join(d.Mount, want.Name)); err == nil && fi.Mode().IsRegular() {
				return func() { answer(d.Mount, nil) }
			}
		}
		return func() {
			if w.win.Canvas().Overlays().Top() == nil { // the choice of a folder was cancelled: the question still stands
				shut, w.onTop = w.overlay(content, choose), refuse
			}
		}
	})
	return func() {
		watching()
		w.onTop = nil
		shut()
	}
}
