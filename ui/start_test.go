package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/testroot"
)

func TestStartEmpty(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.show(newStart(b.Window))
	b.sees("Nie ma jeszcze zainstalowanych modeli", "Wypróbuj na modelu demonstracyjnym", "Nie ma jeszcze modeli")
	b.everywhere("start-empty")
	b.key(fyne.KeyReturn)
	b.reach("source.title")
	b.key(fyne.KeyEscape)
	if _, ok := b.current.(*source); ok {
		t.Error("Escape does not leave the choice of a bundle")
	}
}

func TestStartWaiting(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	site.Install(site.Bundle(testroot.BundleOptions{Version: "1.5.0"}))
	b := siteBench(t, site, assets.Polish)
	b.show(newStart(b.Window))
	b.sees("1.5.0 czeka na odbiór paper", "Brakuje podpisu: operator", "Anna Nowak, Ewa Zieleń", "jeszcze nie pytano")
	b.everywhere("start-waiting")

	// The gate, asked by keys alone.
	b.tabTo("Sprawdź ponownie")
	b.key(fyne.KeySpace)
	s := b.current.(*start)
	b.settle("the gate's answer", func() bool { return s.answer != nil || s.refused != nil })
	b.sees("otwarta", "1.4.2 może działać w trybie live")
	b.everywhere("start-checked")

	site.SignOff(slot.Paper, "anna")
	site.SignOff(slot.Live, "anna", "jan")
	b.home()
	b.sees("1.5.0 jest odebrana i może przejść w tryb live")
}

func TestStartFilesChanged(t *testing.T) {
	site := testroot.New(t)
	rec := site.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	name := filepath.Join(site.Root(), filepath.FromSlash(rec.Folder), "artifacts", "bulk.bin")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[100] ^= 1
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	b := siteBench(t, site, assets.Polish)
	b.show(newStart(b.Window))
	b.tap("Sprawdź ponownie")
	s := b.current.(*start)
	b.settle("the gate's refusal", func() bool { return s.answer != nil || s.refused != nil })
	b.sees("zamknięta", "E-INSTALLED-CHANGED", "Co zrobić")
	b.everywhere("start-refused")
}

func TestStartWithoutReading(t *testing.T) {
	root := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(root, []byte("no folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := openBench(t, installer.Config{Root: filepath.Join(root, "below")}, assets.English)
	b.show(newStart(b.Window))
	b.sees("What to do")
	b.everywhere("start-trouble")
}

func TestDemoBegins(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.show(newStart(b.Window))
	b.tap("Wypróbuj na modelu demonstracyjnym")
	b.reach("source.title")
	s, ok := b.current.(*source)
	if !ok || !b.demo {
		t.Fatalf("the demo shows %T, demo %v", b.current, b.demo)
	}
	b.settle("the demo's bundles", func() bool { return s.own != nil && s.own.searched })
	b.sees("DEMO", "1.0.0", "1.1.0")
	b.everywhere("demo-source")
	dir := b.demoDir
	if _, err := os.Stat(b.demoKey("anna")); err != nil {
		t.Error(err)
	}
	b.tap("Sprawdź podpis")
	b.reach("authenticate.title")
	b.tap("Dalej")
	b.reach("hardware.title")
	b.everywhere("demo-hardware")
	b.home()
	b.everywhere("demo-start")
	b.tap("Zakończ demo")
	if _, err := os.Stat(dir); !os.IsNotExist(err) || b.demo || b.root == "" || strings.Contains(b.root, "demo") {
		t.Errorf("after the demo: folder %v, demo %v, root %q", err, b.demo, b.root)
	}
}
