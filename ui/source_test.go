package ui

import (
	"os"
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// stick makes a folder that stands for a removable drive, with copies of files.
func stick(t *testing.T, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stick")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		put(t, dir, f)
	}
	return dir
}

func put(t *testing.T, dir, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(to, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestSourceAuthenticateHardware(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	dir := stick(t, site.Bundle(testroot.BundleOptions{Version: "1.5.0", Unfit: []string{"second"}, Variants: []string{"first", "second", "third"}}), site.Bundle(testroot.BundleOptions{Version: "1.4.2"}), site.Bundle(testroot.BundleOptions{Version: "1.3.0"}))
	if err := os.WriteFile(filepath.Join(dir, "broken.tar.zst"), []byte("no bundle"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := siteBench(t, site, assets.Polish)
	b.install()
	b.reach("source.title")
	b.settle("no media", func() bool { return b.current.(*source).told })
	b.sees("Włóż nośnik od dostawcy")
	b.everywhere("source-empty")

	b.plug(dir)
	s := b.current.(*source)
	b.settle("bundles", func() bool { return len(s.media) == 1 && s.media[0].searched })
	b.sees("test-model 1.5.0", "nowsza niż 1.4.2, która działa tutaj", "ta sama wersja", "starsza niż 1.4.2", "nie da się odczytać", string(fault.Format))
	if filepath.Base(s.chosen) != filepath.Base(s.media[0].bundles[0].path) {
		t.Errorf("chosen is %q, want the newest", s.chosen)
	}
	b.everywhere("source")

	// Only the keyboard: down and up again, then Enter.
	b.key(fyne.KeyDown)
	if got := s.find(s.chosen).version; got != "1.4.2" {
		t.Errorf("after Down %q is chosen, want 1.4.2", got)
	}
	b.key(fyne.KeyUp, fyne.KeyReturn)
	b.reach("authenticate.title")
	b.sees("zaufany podpis", "1.5.0", "1.4.2 przez cały czas pozostaje w trybie live")
	b.everywhere("authenticate")
	b.key(fyne.KeyReturn)
	b.reach("hardware.title")
	b.sees("first", "nie pasuje", "wymagane rdzenie: 4096", "Potrzeba")
	b.everywhere("hardware")
}
