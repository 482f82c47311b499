package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/bundle"
	"sluice/internal/testroot"
)

// split makes volumes of a bundle, the index beside the first.
func split(t *testing.T, site *testroot.Site, path string, size int64) []string {
	t.Helper()
	files, err := bundle.SplitVolumes(t.Context(), path, size, func(s bundle.Statement) ([]byte, error) { return bundle.SignStatement(s, site.Vendor) })
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestVolumesOnTwoMedia: the list names the volume that is missing, reading asks for its medium, and finds it as soon as
// it is plugged in.
func TestVolumesOnTwoMedia(t *testing.T) {
	site := testroot.New(t)
	files := split(t, site, site.Bundle(testroot.BundleOptions{Version: "1.6.0", Bulk: 600 << 10}), 64<<10)
	first, second := stick(t), stick(t)
	for _, f := range files {
		to := first
		if strings.HasSuffix(f, ".002") {
			to = second
		}
		put(t, to, f)
	}
	b := siteBench(t, site, assets.Polish)
	b.plug(first)
	b.verifyOnly()
	s := b.current.(*source)
	b.settle("the bundle", func() bool { return s.find(s.chosen) != nil })
	b.sees("brak tomu 2 z", "Włóż go teraz")
	b.everywhere("source-volumes")
	b.key(fyne.KeyReturn)
	b.reach("authenticate.title")
	b.tap("Sprawdź każdy bajt")
	b.settle("the question", func() bool { return b.win.Canvas().Overlays().Top() != nil })
	b.sees("Włóż nośnik z tomem 2", ".002")
	b.fits()
	b.shot("volume-asked")
	b.plug(first, second)
	b.reach("verified.title")
	if b.win.Canvas().Overlays().Top() != nil {
		t.Error("the question is still there")
	}

	// Given up instead: refused with the volume's name.
	b.plug(first)
	b.verifyOnly()
	s = b.current.(*source)
	b.settle("the bundle", func() bool { return s.find(s.chosen) != nil && len(s.media) == 1 })
	b.tap("Sprawdź podpis")
	b.reach("authenticate.title")
	b.tap("Sprawdź każdy bajt")
	b.settle("the question", func() bool { return b.win.Canvas().Overlays().Top() != nil })
	b.key(fyne.KeyEscape)
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("E-VOLUME-MISSING")
	if _, err := os.Stat(filepath.Join(first, filepath.Base(files[0]))); err != nil {
		t.Error(err)
	}
}
