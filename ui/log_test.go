package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
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

	s := testroot.New(t)
	out := t.TempDir()
	names, err := copyLogs(t.Context(), s.Root(), out, b.c.Now())
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	want, err := os.ReadFile(s.Path("audit/decision_logs/demo.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(out, names[0])); err != nil || string(got) != string(want) {
		t.Errorf("the copy differs: %v", err)
	}
	if _, err := copyLogs(t.Context(), s.Root(), out, b.c.Now()); err == nil {
		t.Error("a copy was overwritten")
	}
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
