package ui

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"golang.org/x/crypto/ssh"

	"sluice/assets"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/gate"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/progress"
	"sluice/internal/testroot"
	"sluice/ui/widgets"
)

const passphrase = "korona-mleko-7"

// keyFile writes a person's key as ssh-keygen does, with a passphrase.
func keyFile(t *testing.T, s *testroot.Site, id string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKeyWithPassphrase(s.Keys[id], id, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), id+".key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// begin goes from a bundle to the choice of the variant.
func (b *bench) begin(bundle string) {
	b.t.Helper()
	j := &journey{w: b.Window}
	j.authenticate(newSource(b.Window, nil), bundle, nil)
	b.reach("authenticate.title")
	b.key(fyne.KeyReturn)
	b.reach("hardware.title")
}

// segments finds a choice by one of its words.
func (b *bench) segments(word string) *widgets.Segments {
	b.t.Helper()
	var found *widgets.Segments
	for _, top := range b.tops() {
		walk(top, fyne.Position{}, func(o fyne.CanvasObject, _ fyne.Position) {
			if s, ok := o.(*widgets.Segments); ok && found == nil && s.Find(word) >= 0 {
				found = s
			}
		})
	}
	if found == nil {
		b.t.Fatalf("the page %q has no choice %q:\n%s", b.shell.page.title, word, b.words())
	}
	return found
}

func (b *bench) pick(word string) {
	b.t.Helper()
	s := b.segments(word)
	s.Choose(s.Find(word))
}

// confirm answers every question with yes and enters the key.
func (b *bench) confirm(s *signOff, key string) {
	b.t.Helper()
	for i, id := range s.lines {
		if a := s.picture.Answers(i); a != nil {
			a.Choose(0)
			if s.answers[id].Answer != compliance.Yes {
				b.t.Errorf("item %q has the answer %q", id, s.answers[id].Answer)
			}
		}
	}
	s.key.fileEntry.SetText(key)
	s.key.passEntry.SetText(passphrase)
}

// TestWay walks from the bundle to live, back and off, as an operator and a compliance officer do.
func TestWay(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	anna, jan := keyFile(t, site, "anna"), keyFile(t, site, "jan")
	b := siteBench(t, site, assets.Polish)
	b.begin(site.Bundle(testroot.BundleOptions{Version: "1.5.0", Bulk: 3 << 20}))

	b.tap("Instaluj")
	in := b.current.(*install)
	b.settle("the computer to be held awake", func() bool { return in.awake || in.candidate != nil })
	if in.candidate == nil {
		b.sees("Komputer w tym czasie nie zaśnie")
	}
	if in.copied.chunks < 48 {
		t.Errorf("%d chunks, want at least 48", in.copied.chunks)
	}
	b.reach("install.done", "variant", "first")
	b.sees("100 %", "Możesz wyjąć nośnik", "sprawdzony", "bulk.bin")
	if done, work, open := in.view.picture.Count(); done != in.copied.chunks || work+open != 0 {
		t.Errorf("the picture shows %d verified, %d in work, %d open", done, work, open)
	}
	b.everywhere("install-done")

	b.key(fyne.KeyReturn)
	b.reach("smoke.passed", "variant", "first")
	b.sees("Silnik", "zaliczony", "limit", "proces potomny ograniczony przez", "1 z 1 przypadku", "oczekiwano", "otrzymano")
	b.everywhere("smoke")
	if len(b.held) != 2 || b.awake != 0 || b.held[0] != "Trwa instalacja pakietu modeli" {
		t.Errorf("the computer was kept awake for %q, and is still for %d; want copying and test, and no longer", b.held, b.awake)
	}

	b.key(fyne.KeyReturn)
	b.reach("signoff.title.paper")
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.sees("Potwierdź integralność modeli OEM", "automatycznie", "Wybierz, kto podpisuje")
	if !b.button("Podpisz").Disabled() {
		t.Error("nobody is chosen and the signature can be pressed")
	}
	b.pick("Anna Nowak (operator)")
	b.everywhere("signoff-open")
	b.confirm(s, anna)
	b.tap("Podpisz")
	b.reach("signoff.done.paper", "version", "1.5.0")
	b.sees("Wróć, gdy minie wymagany okres", "Anna Nowak")
	b.everywhere("signoff-paper-done")

	// Days later, from the start screen.
	b.finish(installer.Waiting{Stage: slot.Live, Version: "1.5.0"})
	b.reach("signoff.title.live")
	s = b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.pick("Anna Nowak (operator)")
	b.confirm(s, anna)
	b.shot("signoff-live-answers")
	b.tap("Podpisz")
	b.settle("the first signature", func() bool { return s.result != nil && s.list != nil })
	b.sees("Podpis złożony: Anna Nowak", "Brakuje podpisu: compliance", "podpisano", "brak podpisu")
	b.everywhere("signoff-second")
	if s.person != "jan" {
		t.Errorf("%q is to sign, want the only one who fills the missing role", s.person)
	}
	b.confirm(s, jan)
	b.tap("Podpisz")
	b.reach("live.ready", "version", "1.5.0")
	b.everywhere("live-ready")

	// Live is deliberate: the question's No has the keyboard.
	b.tap("Włącz live")
	b.key(fyne.KeyReturn)
	if b.win.Canvas().Overlays().Top() != nil {
		t.Error("the question did not close")
	}
	b.tap("Włącz live")
	b.shot("live-question")
	test.Tap(b.button("Włącz live"))
	b.reach("live.on", "version", "1.5.0")
	b.sees("1.4.2 czeka", "łańcuch nienaruszony", "Wróć do 1.4.2", "Wyłącz live")
	b.everywhere("live-on")
	if a, err := gate.Check(t.Context(), site.Root(), gate.Options{Stage: slot.Live, Require: true}); err != nil || a.Version != "1.5.0" {
		t.Fatalf("the gate says %v, %v", a, err)
	}

	b.tap("Wróć do 1.4.2")
	l := b.current.(*live)
	b.pick("Jan Kowalski (compliance)")
	if !b.button("Wróć do 1.4.2").Disabled() {
		t.Error("a rollback without a reason can be pressed")
	}
	l.back.key.fileEntry.SetText(jan)
	l.back.key.passEntry.SetText("zle haslo")
	l.back.reason = "opóźnione sygnały"
	l.refoot()
	b.tap("Wróć do 1.4.2")
	b.settle("the refusal", func() bool { return l.problem != nil })
	b.sees(string(fault.Passphrase))
	b.everywhere("rollback")
	l.back.key.passEntry.SetText(passphrase)
	b.tap("Wróć do 1.4.2")
	b.reach("live.on", "version", "1.4.2")
	b.sees("Żaden działający bot nie potwierdził. Zatrzymaj bota ręcznie.", "opóźnione sygnały")
	b.shot("live-rolled-back")

	b.tap("Wyłącz live")
	b.settle("live off", func() bool { r := l.records[slot.Live]; return r != nil && !r.Enabled && l.doing == "" })
	b.sees("Zatrzymaj bota ręcznie", "wyłączony")
	b.sees("test-model 1.4.2", "Tryb live jest wyłączony", "podpisy są nadal ważne")
	b.everywhere("live-off")
	if _, err := gate.Check(t.Context(), site.Root(), gate.Options{Stage: slot.Live, Require: true}); err == nil {
		t.Error("the gate is open after live was switched off")
	}
}

// TestWayEnglish shows the same screens in English.
func TestWayEnglish(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.English)
	b.begin(site.Bundle(testroot.BundleOptions{}))
	b.tap("Install")
	b.reach("install.done", "variant", "first")
	b.everywhere("en-install-done")
	b.key(fyne.KeyReturn)
	b.reach("smoke.passed", "variant", "first")
	b.everywhere("en-smoke")
	b.key(fyne.KeyReturn)
	b.reach("signoff.title.paper")
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.pick("Anna Nowak (operator)")
	b.everywhere("en-signoff")
	b.show(newLive(b.Window))
	b.reach("live.none")
	b.everywhere("en-live-none")
	if strings.Contains(b.words(), "[ui.") {
		t.Errorf("a text is missing:\n%s", b.words())
	}
}

// TestFailedVariant: the first variant fails its test, becomes a row, and the next is copied and passes.
func TestFailedVariant(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.Polish)
	b.begin(site.Bundle(testroot.BundleOptions{Wrong: []string{"first"}}))
	b.tap("Instaluj")
	b.reach("install.done", "variant", "first")
	b.sees("potrzebny tylko wtedy")
	b.key(fyne.KeyReturn)
	b.reach("smoke.passed", "variant", "second")
	b.sees("first", "nie zdał", "second", "zaliczony", string(fault.SmokeFailed))
	sm := b.current.(*smoke)
	if kept := sm.tested.Record().Attempts; len(kept) != 2 || kept[0].Variant != "first" || kept[0].Report == nil || len(kept[0].Report.Cases) == 0 {
		t.Errorf("the record keeps %+v, want the failed variant with its cases and the one that passed", kept)
	}
	row := sm.failed[0].Report.WorstCase()
	b.sees("Przypadki wzorcowe wariantu first", "oczekiwano "+strings.ReplaceAll(row.Worst.Expected.Value, ".", ","), "otrzymano "+strings.ReplaceAll(row.Worst.Got.Value, ".", ","), "błędnych elementów")
	b.everywhere("smoke-second")

	// None is left: the refusal, and what was tried.
	site = testroot.New(t)
	b = siteBench(t, site, assets.Polish)
	b.begin(site.Bundle(testroot.BundleOptions{Wrong: []string{"first", "second"}}))
	b.tap("Instaluj")
	b.reach("install.done", "variant", "first")
	b.key(fyne.KeyReturn)
	sm = b.current.(*smoke)
	b.settle("the end", func() bool { return sm.problem != nil })
	b.sees("Przypadki wzorcowe wariantu first", "Przypadki wzorcowe wariantu second")
	b.sees("first", "second", "nie zdał", string(fault.SmokeFailed), "działają nadal")
	b.sees("przypadek one, plik first.onnx")
	b.everywhere("smoke-failed")
}

// TestDemoBundle takes the shipped demo model through the same screens: many cases, companions, two models.
func TestDemoBundle(t *testing.T) {
	site := testroot.New(t)
	src := t.TempDir()
	if err := os.CopyFS(src, assets.Demo()); err != nil {
		t.Fatal(err)
	}
	raw, err := assets.DemoSpec("1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		t.Fatal(err)
	}
	built, err := bundle.Build(t.Context(), spec, bundle.BuildOptions{SpecDir: src, Keys: []ed25519.PrivateKey{site.Vendor}, Out: t.TempDir(), Now: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Builder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b := siteBench(t, site, assets.Polish)
	b.begin(built.Files[0])
	b.tap("Instaluj")
	in := b.current.(*install)
	b.settle("the copy", func() bool { return in.candidate != nil })
	b.shot("demo-install")
	b.key(fyne.KeyReturn)
	sm := b.current.(*smoke)
	b.settle("the test", func() bool { return sm.tested != nil })
	b.everywhere("demo-smoke")
	b.key(fyne.KeyReturn)
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.pick("Anna Nowak (operator)")
	for i := range s.lines {
		if st := s.picture.Status(i); !st.Disabled() && !st.Open {
			st.Tapped(nil)
		}
	}
	b.everywhere("demo-signoff")
	b.shell.scrollBy(2)
	b.shot("demo-signoff-evidence")
}

// TestInstallStops: Stop keeps what was verified, a pulled medium says so calmly, and both go on.
func TestInstallStops(t *testing.T) {
	site := testroot.New(t)
	dir := stick(t, site.Bundle(testroot.BundleOptions{Bulk: 24 << 20}))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatal(err, entries)
	}
	file := filepath.Join(dir, entries[0].Name())
	b := siteBench(t, site, assets.Polish)
	b.begin(file)
	b.tap("Instaluj")
	in := b.current.(*install)
	b.key(fyne.KeyEscape)
	b.settle("the end of the task", func() bool { return !in.task.running() })
	if in.stopped == nil {
		t.Fatalf("copying was not stopped: the page is %q", b.shell.page.title)
	}
	b.sees("Sprawdzone bloki zostają na dysku")
	b.everywhere("install-stopped")

	// The stick is gone while the person thinks: a refusal that can be tried again.
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	b.key(fyne.KeyReturn)
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.everywhere("install-source-missing")
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	b.tap("Spróbuj ponownie")
	b.reach("install.done", "variant", "first")
}

// TestInstallPictures shows the page at work, with events as the installer sends them.
func TestInstallPictures(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.Polish)
	b.begin(site.Bundle(testroot.BundleOptions{Bulk: 4 << 20}))
	fit := b.current.(*hardware).fit
	in := newInstall(b.Window, fit, nil, b.home, nil)
	in.task = &task{cancel: func() {}} // at work for ever
	now := b.c.Now()
	b.c.Now = func() time.Time { return now }
	in.copied.begin(now)
	b.show(in)
	e := progress.Event{Step: progress.Stage, Total: in.copied.total}
	for i := range 36 {
		e.Chunks = append(e.Chunks, progress.Chunk{Artifact: "artifacts/bulk.bin", Index: i})
	}
	e.Done = 36 * (64 << 10)
	now = now.Add(1e9)
	in.event(e)
	b.sees("56 %", "jeszcze około 1 s", "sprawdzone 36", "w toku 2")
	b.everywhere("install")
	in.task.over = true
	in.stopped = fault.New(fault.MediumRemoved, "pulled")
	b.redraw()
	b.sees("Nośnik został wyjęty", "Nic nie przepadło")
	b.everywhere("install-removed")
}

// TestRefuseToSign: no signature without all answers; a refusal needs a reason and is kept.
func TestRefuseToSign(t *testing.T) {
	site := testroot.New(t)
	tested := site.Install(site.Bundle(testroot.BundleOptions{}))
	_ = tested
	key := keyFile(t, site, "anna")
	b := siteBench(t, site, assets.Polish)
	b.show(newSignOffOf(b.Window, "", slot.Paper, nil))
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.pick("Anna Nowak (operator)")
	b.confirm(s, key)
	last := 0
	for i := range s.lines {
		if s.picture.Answers(i) != nil {
			last = i
		}
	}
	s.picture.Answers(last).Choose(1) // no, without a comment yet
	b.sees("brak uwag", "Została 1 odpowiedź")
	s.picture.Comment(last).SetText("konto jest prawdziwe")
	b.sees("nie można zatwierdzić")
	if !b.button("Podpisz").Disabled() {
		t.Error("a list with a no can be signed")
	}
	b.everywhere("signoff-no")
	b.tap("Odmawiam podpisu")
	b.sees("Odmowa podpisu", "Podaj powód")
	b.everywhere("signoff-refusing")
	test.Type(b.win.Canvas().Focused(), "konto jest prawdziwe")
	b.sees("podpisuje listę")
	s.key.passEntry.SetText(passphrase)
	b.tap("Podpisz odmowę")
	b.reach("signoff.refused", "stage", "paper")
	b.everywhere("signoff-refused")
	if _, err := site.Decide(slot.Paper, "ewa"); fault.CodeOf(err) != fault.SignoffRefused {
		t.Errorf("after the refusal another signature gives %v", err)
	}
	b.show(newSignOffOf(b.Window, "", slot.Paper, nil))
	s = b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.sees("odmowa podpisu")
	b.everywhere("signoff-after-refusal")

	// Nobody else goes on; whoever refused may sign anew.
	b.pick("Ewa Zieleń (operator)")
	b.confirm(s, keyFile(t, site, "ewa"))
	b.tap("Podpisz")
	b.settle("the refusal", func() bool { return s.failed != nil })
	b.sees(string(fault.SignoffRefused))
	b.pick("Anna Nowak (operator)")
	b.confirm(s, key)
	b.tap("Podpisz")
	b.reach("signoff.done.paper", "version", "1.0.0")
}

// TestWrongKey: another person's key and a wrong passphrase are refused in the page, and the answers stay.
func TestWrongKey(t *testing.T) {
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	b := siteBench(t, site, assets.Polish)
	b.show(newSignOffOf(b.Window, "", slot.Paper, nil))
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	b.pick("Anna Nowak (operator)")
	b.confirm(s, keyFile(t, site, "jan"))
	b.tap("Podpisz")
	b.settle("the refusal", func() bool { return s.failed != nil })
	b.sees(string(fault.KeyUnfit))
	b.everywhere("signoff-key")
	if open, _ := s.left(); open != 0 {
		t.Errorf("%d answers were lost", open)
	}
	s.key.fileEntry.SetText(keyFile(t, site, "anna"))
	s.key.passEntry.SetText("zle")
	b.tap("Podpisz")
	b.settle("the refusal", func() bool { return s.failed != nil && s.failed.code == fault.Passphrase })
	if s.key.secret != "" {
		t.Error("the passphrase is kept after it was used")
	}
}

// TestSignOffByKeys signs with the keyboard alone.
func TestSignOffByKeys(t *testing.T) {
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	b := siteBench(t, site, assets.Polish)
	b.show(newSignOffOf(b.Window, "", slot.Paper, nil))
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	c := b.win.Canvas()
	to := func(what string, is func(f fyne.Focusable) bool) {
		t.Helper()
		for range 80 {
			if is(c.Focused()) {
				return
			}
			c.FocusNext()
		}
		t.Fatalf("Tab never reaches %s", what)
	}
	segments := func(f fyne.Focusable) bool { _, ok := f.(*widgets.Segments); return ok }
	to("the people", segments)
	b.key(fyne.KeySpace) // the first: Anna
	if s.person != "anna" {
		t.Fatalf("Space chose %q", s.person)
	}
	to("the first evidence", func(f fyne.Focusable) bool { _, ok := f.(*widgets.BadgeButton); return ok })
	b.key(fyne.KeySpace)
	b.sees("Podpisany wymaganymi kluczami")
	for i := range s.lines {
		a := s.picture.Answers(i)
		if a == nil {
			continue
		}
		to("an answer", func(f fyne.Focusable) bool { return f == fyne.Focusable(a) })
		b.key(fyne.KeySpace)
	}
	to("the key file", func(f fyne.Focusable) bool { return f == fyne.Focusable(s.key.fileEntry) })
	test.Type(s.key.fileEntry, keyFile(t, site, "anna"))
	to("the passphrase", func(f fyne.Focusable) bool { return f == fyne.Focusable(s.key.passEntry) })
	test.Type(s.key.passEntry, passphrase)
	b.key(fyne.KeyReturn)
	b.reach("signoff.done.paper", "version", "1.0.0")
}

// jump presses Ctrl+J: the keyboard goes to what is missing.
func (b *bench) jump() fyne.Focusable {
	b.shortcut(&desktop.CustomShortcut{KeyName: fyne.KeyJ, Modifier: fyne.KeyModifierControl})
	return b.win.Canvas().Focused()
}

// TestNoUntrueYes: where the evidence does not allow "yes", it is not offered; what is missing is reached by Ctrl+J, from
// the person to the key.
func TestNoUntrueYes(t *testing.T) {
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	site.SignOff(slot.Paper, "anna")
	b := siteBench(t, site, assets.Polish)
	b.show(newSignOffOf(b.Window, "", slot.Live, nil))
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	if f := b.jump(); f != fyne.Focusable(s.people) {
		t.Fatalf("Ctrl+J goes to %T before a person is chosen", f)
	}
	b.key(fyne.KeySpace)
	if s.person != "anna" {
		t.Fatalf("Space chose %q", s.person)
	}
	asked := 0
	for i := range s.lines {
		a := s.picture.Answers(i)
		if a == nil {
			continue
		}
		asked++
		if f := b.jump(); f != fyne.Focusable(a) {
			t.Fatalf("Ctrl+J goes to %T, want the answer to %q", f, s.lines[i])
		}
		if s.lines[i] != "rollback-plan" {
			b.key(fyne.KeySpace)
			continue
		}
		if a.Find("tak") >= 0 || a.Find("nie") < 0 || a.Find("nie dotyczy") < 0 {
			t.Error("there is no way back from a first version, and the answers are not no and not applicable")
		}
		b.sees("„Tak” nie jest możliwe: tego dowodu nie ma")
		b.key(fyne.KeyRight, fyne.KeyRight)
		if got := s.answers["rollback-plan"].Answer; got != compliance.NotApplicable {
			t.Errorf("the answer is %q", got)
		}
		if f := b.jump(); f != fyne.Focusable(s.picture.Comment(i)) {
			t.Fatalf("Ctrl+J goes to %T, want the comment", f)
		}
		test.Type(s.picture.Comment(i), "pierwsza wersja tutaj")
	}
	if open, blocked := s.left(); asked == 0 || open > 0 || blocked {
		t.Errorf("%d asked, %d open, blocked %v", asked, open, blocked)
	}
	b.everywhere("signoff-first")
	if f := b.jump(); f != fyne.Focusable(s.key.fileEntry) {
		t.Errorf("Ctrl+J goes to %T, want the key", f)
	}
	s.key.fileEntry.SetText(keyFile(t, site, "anna"))
	s.key.passEntry.SetText(passphrase)
	if f := b.jump(); f != fyne.Focusable(b.shell.primary) {
		t.Errorf("Ctrl+J goes to %T, want the signature", f)
	}
	b.tap("Podpisz")
	b.settle("the signature", func() bool { return s.result != nil })
	if s.failed != nil {
		t.Errorf("the installer refuses what the window let through: %v", s.failed.err)
	}
}
