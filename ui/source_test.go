package ui

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/installer"
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

func TestSourceSurprises(t *testing.T) {
	site := testroot.New(t)
	good := site.Bundle(testroot.BundleOptions{Version: "1.5.0"})
	dir := stick(t, good)
	b := siteBench(t, site, assets.Polish)
	b.plug(dir)
	b.install()
	s := b.current.(*source)
	b.settle("the bundle", func() bool { return s.find(s.chosen) != nil })

	// Pulled out: said in words, nothing to press. Plugged in again: as before.
	b.plug()
	b.settle("the pull", func() bool { return s.gone != "" })
	b.sees("wyjęto. Nic nie przepadło")
	if !b.button("Sprawdź podpis").Disabled() {
		t.Error("a bundle on a drive that is gone can be chosen")
	}
	b.everywhere("source-gone")
	b.plug(dir)
	b.settle("the bundle again", func() bool { return s.gone == "" && s.find(s.chosen) != nil })
	b.sees("test-model 1.5.0")

	// A folder that the user names, as the dialog or a drop gives it.
	other := stick(t, site.Bundle(testroot.BundleOptions{Version: "2.0.0"}))
	s.look(other)
	b.settle("the named folder", func() bool { f := s.find(s.chosen); return f != nil && f.version == "2.0.0" })
	b.sees("test-model 2.0.0", "test-model 1.5.0")
	empty := stick(t)
	s.look(empty)
	b.settle("the empty folder", func() bool { return s.own.searched })
	b.sees("nie znaleziono pakietów")

	// Gone between choice and opening: refused, with a way back.
	b.plug(dir)
	b.settle("the bundle", func() bool { f := s.find(s.chosen); return f != nil && f.version == "1.5.0" })
	if err := os.Remove(filepath.Join(dir, filepath.Base(good))); err != nil {
		t.Fatal(err)
	}
	b.tap("Sprawdź podpis")
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("E-SOURCE-MISSING", "Co zrobić", "Wybierz inny pakiet")
	b.everywhere("refused-missing")
	b.tap("Wybierz inny pakiet")
	b.reach("source.title")
}

func TestAuthenticateRefuses(t *testing.T) {
	site := testroot.New(t)
	dir := stick(t, site.Bundle(testroot.BundleOptions{Version: "1.5.0", Keys: keys(testroot.Key("stranger"))}))
	b := siteBench(t, site, assets.Polish)
	b.plug(dir)
	b.install()
	s := b.current.(*source)
	b.settle("the bundle", func() bool { return s.find(s.chosen) != nil })
	b.key(fyne.KeyReturn)
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("Tego pakietu nie wolno użyć", "E-SIGNATURE-UNTRUSTED", "zdarzenie", "Co to znaczy", "Zapisz kopię na nośnik")
	b.everywhere("refused-untrusted")

	// By keys alone: unfold the details, copy, close.
	b.tabTo("Szczegóły techniczne")
	b.key(fyne.KeySpace)
	b.sees("docs/errors.md#e-signature-untrusted")
	b.everywhere("refused-details")
	b.tabTo("Kopiuj")
	b.key(fyne.KeySpace)
	b.sees("Skopiowano")
	if got := b.c.App.Clipboard().Content(); !strings.Contains(got, "E-SIGNATURE-UNTRUSTED") || !strings.Contains(got, b.current.(*refusal).problem.incident) {
		t.Errorf("the clipboard has %q", got)
	}
	b.key(fyne.KeyEscape)
	b.settle("the start", func() bool { _, ok := b.current.(*start); return ok })
}

func TestHardwareChoice(t *testing.T) {
	site := testroot.New(t)
	dir := stick(t, site.Bundle(testroot.BundleOptions{Version: "1.5.0"}))
	b := siteBench(t, site, assets.English)
	b.plug(dir)
	b.install()
	s := b.current.(*source)
	b.settle("the bundle", func() bool { return s.find(s.chosen) != nil })
	b.tap("Check the signature")
	b.reach("authenticate.title")
	b.tap("Next: hardware")
	b.reach("hardware.title")
	h := b.current.(*hardware)
	if h.chosen != "first" {
		t.Errorf("%q is chosen, want the one with the highest priority", h.chosen)
	}
	var fitted *installer.Fitted
	h.next = func(f *installer.Fitted) { fitted = f }
	b.key(fyne.KeyDown)
	b.sees("Install second")
	b.tap("Install second")
	b.settle("the fit", func() bool { return fitted != nil })
	if fitted.Variant() != "second" || fitted.Next() != nil {
		t.Errorf("got variant %q, want only the one that was picked", fitted.Variant())
	}
}

func TestHardwareRefuses(t *testing.T) {
	site := testroot.New(t)
	dir := stick(t, site.Bundle(testroot.BundleOptions{Version: "1.5.0", Unfit: []string{"first", "second"}}))
	b := siteBench(t, site, assets.Polish)
	b.plug(dir)
	b.install()
	s := b.current.(*source)
	b.settle("the bundle", func() bool { return s.find(s.chosen) != nil })
	b.tap("Sprawdź podpis")
	b.reach("authenticate.title")
	b.tap("Dalej")
	b.settle("the verdicts", func() bool { h, ok := b.current.(*hardware); return ok && h.problem != nil })
	b.sees("Do tego komputera nie pasuje żaden wariant", "E-NO-VARIANT", "wymagane rdzenie: 4096")
	b.everywhere("hardware-refused")
	b.key(fyne.KeyEscape)
	b.settle("the start", func() bool { _, ok := b.current.(*start); return ok })
}

func TestVerifyOnly(t *testing.T) {
	site := testroot.New(t)
	good := site.Bundle(testroot.BundleOptions{Version: "1.5.0"})
	dir := stick(t, good)
	b := siteBench(t, site, assets.Polish)
	b.plug(dir)
	run := func() {
		b.verifyOnly()
		s := b.current.(*source)
		b.settle("the bundle", func() bool { return s.find(s.chosen) != nil })
		b.tap("Sprawdź podpis")
		b.reach("authenticate.title")
		b.tap("Sprawdź każdy bajt")
	}
	run()
	b.reach("verified.title")
	b.sees("każdy bajt sprawdzony")
	b.everywhere("verified")

	name := filepath.Join(dir, filepath.Base(good))
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	run()
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("Tego pakietu nie wolno użyć")
	b.everywhere("refused-digest")
}

func keys(k ...ed25519.PrivateKey) []ed25519.PrivateKey { return k }

// TestSearchGoesOn: a search that ended because the page was left begins again when the page is shown again.
func TestSearchGoesOn(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.English)
	s := newSource(b.Window, func(string, []string) {})
	s.look(filepath.Dir(site.Bundle(testroot.BundleOptions{})))
	b.show(s) // stops what ran before
	b.settle("the bundle", func() bool { return s.own.searched && s.chosen != "" })
}
