package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sluice/assets"
	"sluice/audit"
	"sluice/internal/testroot"
)

// The log of a site that went live, read by keys: the chain on top, a filter, an entry opened, and back.
func TestLog(t *testing.T) {
	s := testroot.New(t)
	s.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	b := siteBench(t, s, assets.Polish)
	b.Show()
	b.Window.log()
	page := b.current.(*logPage)
	b.settle("log", func() bool { return page.loaded })
	b.sees("łańcuch nienaruszony", "Odbiór", "gotowe: live", "anna", "Lista zaufanych kluczy")
	b.everywhere("log")
	if strings.Contains(b.words(), "rozpoczęto, brak wyniku") {
		t.Error("an intent with an outcome is shown as if it had none")
	}
	typeInto(page.find, "jan")
	b.sees("jan")
	if strings.Contains(b.words(), "Lista zaufanych kluczy") {
		t.Error("entries that do not fit are shown")
	}
	page.find.SetText("")
	b.win.Canvas().Focus(b.segments("paper"))
	b.key(fyne.KeyRight, fyne.KeyRight)
	b.sees("paper, wpis 2")
	b.tap("Odbiór")
	b.sees("prev: ")
	b.everywhere("log-entry")
	b.win.Canvas().Focus(b.segments("paper"))
	b.key(fyne.KeyRight, fyne.KeyRight)
	b.sees("Żaden wpis nie pasuje")
	b.everywhere("log-nothing")
	b.win.Canvas().Unfocus()
	b.key(fyne.KeyEscape)
	b.reach("start.title")
}

// A broken chain is named by its first bad entry; what can be read is shown all the same.
func TestLogBroken(t *testing.T) {
	s := testroot.New(t)
	s.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	name := s.Path("audit/decision_logs/demo.jsonl")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	lines[2] = strings.Replace(lines[2], "tester", "nobody", 1)
	lines[4] = "no entry at all"
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	b := siteBench(t, s, assets.Polish)
	b.show(newStart(b.Window))
	b.Window.log()
	page := b.current.(*logPage)
	b.settle("log", func() bool { return page.loaded })
	b.sees("E-LOG-BROKEN", "3", "nie da się odczytać", "Odbiór")
	b.everywhere("log-broken")
}

func TestLogEmptyAndCopies(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.show(newStart(b.Window))
	b.Window.log()
	page := b.current.(*logPage)
	b.settle("log", func() bool { return page.loaded })
	b.sees("Jeszcze nic się nie wydarzyło")
	b.everywhere("log-empty")

}

// TestLogExportAndNote: the log goes onto the stick as one sealed file that another machine can check, nothing is
// overwritten, and an operator's own words become an entry.
func TestLogExportAndNote(t *testing.T) {
	s := testroot.New(t)
	b := siteBench(t, s, assets.Polish)
	stick := t.TempDir()
	b.plug(stick)
	b.show(newStart(b.Window))
	b.Window.log()
	page := b.current.(*logPage)
	b.settle("log", func() bool { return page.loaded })
	b.tap("Dodaj notatkę")
	b.reach("log.note.title")
	if !b.button("Zapisz notatkę").Disabled() {
		t.Error("an empty note can be written")
	}
	n := b.current.(*note)
	b.everywhere("log-note")
	test.Type(b.win.Canvas().Focused(), "Zasilacz awaryjny wymieniony")
	if f := b.jump(); f != fyne.Focusable(n.who) {
		t.Fatalf("Ctrl+J goes to %T", f)
	}
	test.Type(b.win.Canvas().Focused(), "Anna Nowak")
	b.key(fyne.KeyReturn)
	b.settle("the note", func() bool { return b.current == screen(page) && len(page.lines[audit.Demo]) > 0 })
	b.settle("the entry", func() bool { return strings.Contains(b.words(), "Notatka") })
	b.sees("Anna Nowak")

	b.tap("Eksportuj")
	x := b.current.(*logExport)
	if x.dir.Text != stick {
		t.Errorf("the export begins at %q, want the stick", x.dir.Text)
	}
	typeInto(x.from, "wczoraj")
	if !b.button("Eksportuj").Disabled() {
		t.Error("a date that is none is taken")
	}
	typeInto(x.from, "2026-11-01")
	b.everywhere("log-export")
	b.tap("Eksportuj")
	b.reach("log.exported")
	b.everywhere("log-exported")
	key, err := s.In.MachineKey()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if e, _, err := audit.ReadExport(f, &key); err != nil || len(e.Logs) == 0 || filepath.Dir(x.path) != stick {
		t.Errorf("export %+v in %q, %v", e, x.path, err)
	}
	b.tap("Gotowe")
	b.tap("Eksportuj")
	x = b.current.(*logExport)
	b.tap("Eksportuj") // the clock stands: the same name
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("E-EXISTS")
}

func TestHelp(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.show(newStart(b.Window))
	b.key(fyne.KeyF1)
	b.reach("help.title")
	b.sees("Odcisk", "Ctrl+L", "sluice status", b.root)
	b.everywhere("help")
	b.tap("Zamknij")
	b.reach("start.title")
	b.key(fyne.KeyF1)
	b.reach("help.title")
	b.key(fyne.KeyEscape)
	b.reach("start.title")
}
