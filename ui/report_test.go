package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"sluice/assets"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/testroot"
)

// fyneButton finds a button of one of Fyne's own dialogs by its word.
func (b *bench) fyneButton(word string) *widget.Button {
	b.t.Helper()
	var found *widget.Button
	walk(b.win.Canvas().Overlays().Top(), fyne.Position{}, func(o fyne.CanvasObject, _ fyne.Position) {
		if x, ok := o.(*widget.Button); ok && x.Text == word {
			found = x
		}
	})
	if found == nil {
		b.t.Fatalf("the dialog has no button %q", word)
	}
	return found
}

// TestCopyGoesToTheStick: the dialog for a copy begins at the stick that is plugged in, the copy is there as a whole, and
// the page says so.
func TestCopyGoesToTheStick(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	stick := filepath.Join(t.TempDir(), "PENDRIVE")
	if err := os.Mkdir(stick, 0o755); err != nil {
		t.Fatal(err)
	}
	b.plug(stick)
	b.show(newRefusal(b.Window, 0, fault.New(fault.Digest, "a digest"), nil))
	r := b.current.(*refusal)
	b.tap("Zapisz kopię na nośnik")
	test.Tap(b.fyneButton("Zapisz"))
	b.settle("the copy", func() bool { return len(b.working) == 0 })
	raw, err := os.ReadFile(filepath.Join(stick, "sluice-"+r.problem.incident+".txt"))
	if err != nil || !strings.Contains(string(raw), "E-DIGEST") {
		t.Fatalf("the copy on the stick: %v, %q", err, raw)
	}
	b.sees("Zapisano", "można go już wyjąć")
	b.fits()
	b.shot("saved")
	b.key(fyne.KeyReturn)
	if b.win.Canvas().Overlays().Top() != nil || b.current != screen(r) {
		t.Error("Enter does not close what says that it was saved")
	}
}

// TestReportsOfWhatIsNotLive: the sign-off record of a version that everybody signed for can be read before it is on, from
// both pages that name it.
func TestReportsOfWhatIsNotLive(t *testing.T) {
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	site.SignOff(slot.Paper, "anna")
	site.SignOff(slot.Live, "anna", "jan")
	b := siteBench(t, site, assets.Polish)
	b.show(newStart(b.Window))
	b.sees("Dokumenty odbioru", "paper 1.0.0", "live 1.0.0")
	b.everywhere("start-ready")
	b.tap("live 1.0.0")
	b.settle("the document", func() bool { _, ok := b.current.(*document); return ok })
	b.sees("Anna Nowak", "Jan Kowalski")
	if d := b.current.(*document); !strings.HasPrefix(string(d.pdf), "%PDF-") || !strings.HasPrefix(d.name, "odbior-live-1.0.0") {
		t.Errorf("%q, %d bytes as pages", d.name, len(d.pdf))
	}
	b.key(fyne.KeyEscape)
	b.reach("start.title")
	b.show(newLive(b.Window))
	b.reach("live.ready", "version", "1.0.0")
	b.tap("paper 1.0.0")
	b.settle("the document", func() bool { _, ok := b.current.(*document); return ok })
}

// TestEvidenceOpens: a file behind a line's evidence is shown as it is, and said to be another one when it is.
func TestEvidenceOpens(t *testing.T) {
	site := testroot.New(t)
	tested := site.Install(site.Bundle(testroot.BundleOptions{}))
	b := siteBench(t, site, assets.Polish)
	b.show(newSignOffOf(b.Window, "", slot.Paper, nil))
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.pick("Anna Nowak (operator)")
	for i, id := range s.lines {
		if st := s.picture.Status(i); id == "bundle-proof" && !st.Open {
			st.Tapped(nil)
		}
	}
	answers := len(s.answers)
	b.tap("ai_models/bundles/v1_0_0/manifest.json")
	b.settle("the file", func() bool { _, ok := b.current.(*exhibit); return ok })
	b.sees("model_family", "SHA-384")
	b.everywhere("evidence")
	b.key(fyne.KeyEscape)
	if b.current != screen(s) || len(s.answers) != answers {
		t.Fatal("the sign-off is not there any more")
	}
	src := s.list.Evidence["manifest_integrity"].Sources[0]
	file := filepath.Join(site.Root(), filepath.FromSlash(src.Path))
	_ = tested
	if err := os.Chmod(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.openEvidence(src)
	b.settle("the file", func() bool { _, ok := b.current.(*exhibit); return ok })
	b.sees("ma inny skrót")
}

// TestStopBeforeItsRecord: live that was switched off while another program held the lock is shown as off.
func TestStopBeforeItsRecord(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	b := siteBench(t, site, assets.Polish)
	lock, err := fsx.Lock(filepath.Join(site.Root(), ".lock"), "another program")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	b.show(newLive(b.Window))
	b.reach("live.on", "version", "1.0.0")
	b.tap("Wyłącz live")
	b.reach("live.off")
	b.sees("Tryb live został wyłączony", "uzupełni następny krok", "Żaden działający bot nie potwierdził")
	b.everywhere("live-stopped")
	b.show(newStart(b.Window))
	b.sees("Tryb live został wyłączony")
}
