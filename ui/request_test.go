package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sluice/assets"
	"sluice/compliance"
	"sluice/gate"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/ui/widgets"
	"sluice/verify"
)

// waitsForJan is a machine whose version waits for the second signature of live.
func waitsForJan(t *testing.T) *testroot.Site {
	t.Helper()
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	site.SignOff(slot.Paper, "anna")
	site.SignOff(slot.Live, "anna")
	return site
}

// toSignOff opens the sign-off of live.
func (b *bench) toSignOff() *signOff {
	b.t.Helper()
	b.show(newSignOffOf(b.Window, "", slot.Live, nil))
	s := b.current.(*signOff)
	b.settle("the checklist", func() bool { return s.list != nil })
	return s
}

// onStick exports a request for live onto the stick and gives its path.
func (b *bench) onStick(stick string) string {
	b.t.Helper()
	b.plug(stick)
	b.toSignOff()
	b.tap("Zapisz wniosek o podpis")
	b.reach("request.title")
	b.everywhere("request")
	b.tap("Zapisz wniosek")
	b.reach("request.made.title")
	b.settle("the dialog", func() bool { return b.win.Canvas().Overlays().Top() != nil })
	test.Tap(b.fyneButton("Zapisz"))
	b.settle("the file", func() bool { return b.current.(*request).saved })
	b.sees("można go już wyjąć")
	b.key(fyne.KeyReturn)
	b.sees("Odcisk listy zakładu", "Zanieś plik")
	b.everywhere("request-made")
	b.tap("Gotowe")
	b.reach("signoff.title.live")
	b.settle("the checklist", func() bool { return b.current.(*signOff).list != nil })
	return filepath.Join(stick, "wniosek-live-1.0.0.json")
}

// compare types the last groups of both fingerprints, as they stand on the delivery notes of a site.
func (b *bench) compare(s *foreign, site *testroot.Site) {
	b.t.Helper()
	for _, of := range bothRoots {
		raw, err := os.ReadFile(site.Path("ai_models/keys/" + string(of) + "/1.root.json"))
		if err != nil {
			b.t.Fatal(err)
		}
		groups := strings.Fields(verify.Fingerprint(raw))
		typeInto(s.known.typed[of], strings.Join(groups[len(groups)-hiddenGroups:], " "))
	}
}

// opened takes a request to the page on which a person decides.
func (b *bench) opened(file string, site *testroot.Site) *signOff {
	b.t.Helper()
	b.openRequest()
	f := b.current.(*foreign)
	typeInto(f.file, file)
	b.settle("the request", func() bool { return f.raw != nil })
	b.compare(f, site)
	b.tap(b.Window.t("request.open.do"))
	b.settle("the decision", func() bool { s, ok := b.current.(*signOff); return ok && s.asked != nil })
	return b.current.(*signOff)
}

// TestSecondPersonElsewhere: the request goes out on the stick, is compared, answered and signed on a computer without
// any installation, and comes back.
func TestSecondPersonElsewhere(t *testing.T) {
	site := waitsForJan(t)
	stick, jan := t.TempDir(), keyFile(t, site, "jan")
	home := siteBench(t, site, assets.Polish)
	file := home.onStick(stick)

	// The officer's own computer, in their first start.
	far := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	far.plug(stick)
	far.Show()
	far.reach("first.oem.title")
	far.tap("Otwórz wniosek o podpis")
	far.reach("request.open.title")
	f := far.current.(*foreign)
	far.settle("the stick", func() bool { return len(f.found) == 1 })
	far.everywhere("request-open")
	far.tap("wniosek-live-1.0.0.json")
	far.settle("the request", func() bool { return f.raw != nil })
	if !far.button("Sprawdź i otwórz").Disabled() {
		t.Error("a request can be opened before anything was compared")
	}
	far.everywhere("request-compare")

	// A wrong digit: the refusal with its code, and back.
	far.compare(f, site)
	right := f.known.typed[verify.Site].Text
	typeInto(f.known.typed[verify.Site], "0000 0000")
	far.tap("Sprawdź i otwórz")
	far.settle("the refusal", func() bool { _, ok := far.current.(*refusal); return ok })
	far.sees(string(fault.TrustFingerprint))
	far.everywhere("request-fingerprint")
	far.tap("Zamknij")
	typeInto(f.known.typed[verify.Site], right)
	far.key(fyne.KeyReturn)
	far.settle("the decision", func() bool { s, ok := far.current.(*signOff); return ok && s.asked != nil })
	s := far.current.(*signOff)
	far.sees("wniosek sprawdzony", "Jan Kowalski (compliance)", "Anna Nowak", "tester", "są słowem tamtego komputera")
	for i, id := range s.lines {
		if st := s.picture.Status(i); id == "bundle-proof" && !st.Open {
			st.Tapped(nil)
		}
	}
	far.sees("Plik na tamtym komputerze")
	far.everywhere("request-decide")

	// Somebody else's key does not do.
	far.confirm(s, keyFile(t, site, "anna"))
	far.tap("Podpisz")
	far.settle("the refusal", func() bool { return s.failed != nil })
	far.sees(string(fault.KeyUnfit))
	far.confirm(s, jan)
	far.pick("sprawdził(a)")
	far.pick("zatwierdził(a)")
	far.tap("Podpisz")
	far.settle("the signature", func() bool { return s.answer != nil })
	far.everywhere("request-signed")
	far.key(fyne.KeyEscape) // nothing is lost by a press
	far.sees("Podpis nie jest zapisany")
	far.key(fyne.KeyReturn)
	far.tap("Zapisz plik z podpisem")
	test.Tap(far.fyneButton("Zapisz"))
	far.settle("the file", func() bool { return s.saved })
	far.key(fyne.KeyReturn)
	far.tap("Gotowe")
	far.reach("first.oem.title")
	if _, err := os.Stat(filepath.Join(far.root, "ai_models")); !os.IsNotExist(err) {
		t.Errorf("signing made an installation: %v", err)
	}

	// Back at the machine.
	so := home.current.(*signOff)
	home.settle("the checklist", func() bool { return so.list != nil })
	home.tap("Dołącz podpis z pliku")
	home.reach("attach.title")
	a := home.current.(*attach)
	home.settle("the stick", func() bool { return len(a.found) == 1 })
	home.everywhere("attach")
	home.tap("wniosek-live-1.0.0.signed.json")
	home.tap("Dołącz podpis")
	home.reach("signoff.done.live", "version", "1.0.0")
	home.sees("Jan Kowalski")
	if _, err := site.In.Reapprove(t.Context(), slot.Live); err != nil {
		t.Errorf("live is not approved: %v", err)
	}
	_ = file
}

// TestRequestByKeys signs a request in English with the keyboard alone, by a folder of lists.
func TestRequestByKeys(t *testing.T) {
	site := waitsForJan(t)
	tested, err := site.In.Reopen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := site.In.SignOffRequest(t.Context(), tested, installer.RequestOptions{Stage: slot.Live, Person: "jan"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "wniosek-live-1.0.0.json")
	if err := os.WriteFile(file, r.File, 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.English)
	b.Show()
	b.tabTo("Open a request")
	b.key(fyne.KeySpace)
	b.reach("request.open.title")
	f := b.current.(*foreign)
	test.Type(b.win.Canvas().Focused(), file)
	b.settle("the request", func() bool { return f.raw != nil })
	b.win.Canvas().Focus(f.known.choice)
	b.key(fyne.KeyRight)
	if got := b.jump(); got != fyne.Focusable(f.known.folder) {
		t.Fatalf("Ctrl+J goes to %T, want the folder", got)
	}
	test.Type(b.win.Canvas().Focused(), keysFolder(site.Root()))
	b.key(fyne.KeyReturn)
	b.settle("the decision", func() bool { _, ok := b.current.(*signOff); return ok })
	s := b.current.(*signOff)
	b.sees("request checked", "Jan Kowalski (compliance)")
	for i := range s.lines {
		if s.picture.Answers(i) == nil {
			continue
		}
		if got := b.jump(); got != fyne.Focusable(s.picture.Answers(i)) {
			t.Fatalf("Ctrl+J goes to %T, want the answer to %q", got, s.lines[i])
		}
		if s.lines[i] == "rollback-plan" { // nothing to go back to
			b.key(fyne.KeyRight, fyne.KeyRight)
			b.jump()
			test.Type(b.win.Canvas().Focused(), "first version")
			continue
		}
		b.key(fyne.KeySpace)
	}
	b.jump()
	test.Type(b.win.Canvas().Focused(), keyFile(t, site, "jan"))
	s.key.passEntry.SetText(passphrase)
	b.key(fyne.KeyReturn)
	b.settle("the signature", func() bool { return s.answer != nil })
	if _, d, err := compliance.ParseSignedRequest(s.answer); err != nil || d.Person != "jan" || d.Language != "en" {
		t.Errorf("signed %+v, %v", d, err)
	}
}

// TestRequestRefused: an officer elsewhere refuses with a reason; the machine takes the refusal in and keeps what is live.
func TestRequestRefused(t *testing.T) {
	site := waitsForJan(t)
	stick := t.TempDir()
	home := siteBench(t, site, assets.Polish)
	file := home.onStick(stick)
	far := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	far.Show()
	s := far.opened(file, site)
	far.tap("Odmawiam podpisu")
	s.key.fileEntry.SetText(keyFile(t, site, "jan"))
	s.key.passEntry.SetText(passphrase)
	if !far.button("Podpisz odmowę").Disabled() {
		t.Error("a refusal without a reason can be signed")
	}
	typeInto(s.why, "dryf nad progiem")
	far.tap("Podpisz odmowę")
	far.settle("the refusal", func() bool { return s.answer != nil })
	far.sees("Odmowa podpisana", "dryf nad progiem")
	far.everywhere("request-refused")
	answer := filepath.Join(stick, "odmowa.signed.json")
	if err := os.WriteFile(answer, s.answer, 0o644); err != nil {
		t.Fatal(err)
	}
	home.tap("Dołącz podpis z pliku")
	typeInto(home.current.(*attach).file, answer)
	home.tap("Dołącz podpis")
	home.reach("signoff.refused", "stage", "live")
}

// TestAttachRefused: an answer to another machine, to nothing that was asked here, and one after a change are refused by code.
func TestAttachRefused(t *testing.T) {
	site := waitsForJan(t)
	home := siteBench(t, site, assets.Polish)
	file := home.onStick(t.TempDir())
	far := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	far.Show()
	s := far.opened(file, site)
	far.confirm(s, keyFile(t, site, "jan"))
	far.tap("Podpisz")
	far.settle("the signature", func() bool { return s.answer != nil })
	answer := filepath.Join(t.TempDir(), "x.signed.json")
	if err := os.WriteFile(answer, s.answer, 0o644); err != nil {
		t.Fatal(err)
	}
	try := func(b *bench, path string, want fault.Code) {
		t.Helper()
		s := b.toSignOff()
		s.attach()
		typeInto(b.current.(*attach).file, path)
		b.tap("Dołącz podpis")
		b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
		b.sees(string(want))
		b.everywhere("attach-" + string(want))
		b.tap("Zamknij")
		b.reach("attach.title")
	}
	other := waitsForJan(t)
	try(siteBench(t, other, assets.Polish), answer, fault.MachineOther)
	try(home, file, fault.Request) // the request itself is no answer
	p, err := site.In.Policy()
	if err != nil {
		t.Fatal(err)
	}
	p.Number++
	p.MaxAgeDays = 400
	site.PutPolicy(p)
	try(home, answer, fault.RequestStale)
	home.sees("") // the page stands
}

// TestRequestDamaged: one byte of a request, and it is not opened.
func TestRequestDamaged(t *testing.T) {
	site := waitsForJan(t)
	home := siteBench(t, site, assets.Polish)
	file := home.onStick(t.TempDir())
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	b.Show()
	b.openRequest()
	f := b.current.(*foreign)
	typeInto(f.file, file)
	b.settle("the refusal", func() bool { return f.wrong != nil })
	b.sees(string(fault.Request))
	if !b.button("Sprawdź i otwórz").Disabled() {
		t.Error("a damaged request can be opened")
	}
}

// TestEvidencePackInTheWindow: saved from the document of a sign-off, it holds on another computer, and a change is found.
func TestEvidencePackInTheWindow(t *testing.T) {
	site := waitsForJan(t)
	site.SignOff(slot.Live, "jan")
	stick := t.TempDir()
	home := siteBench(t, site, assets.Polish)
	home.plug(stick)
	home.Show()
	home.reach("start.title")
	home.tap("live 1.0.0")
	home.settle("the document", func() bool { _, ok := home.current.(*document); return ok })
	home.everywhere("report")
	d := home.current.(*document)
	home.tap("Zapisz pakiet dowodowy")
	home.settle("the dialog", func() bool { return home.win.Canvas().Overlays().Top() != nil })
	test.Tap(home.fyneButton("Zapisz"))
	path := filepath.Join(stick, filepath.Base(d.pack))
	home.settle("the pack", func() bool { _, err := os.Stat(path); return err == nil && len(home.working) == 0 })

	far := newBench(t, filepath.Join(t.TempDir(), "root"), assets.Polish)
	far.plug(stick)
	far.Show()
	far.tap("Sprawdź pakiet dowodowy")
	f := far.current.(*foreign)
	far.settle("the stick", func() bool { return len(f.found) == 1 })
	typeInto(f.file, path)
	far.settle("the pack", func() bool { return f.raw != nil })
	far.compare(f, site)
	far.everywhere("pack")
	far.tap("Sprawdź")
	far.reach("pack.holds")
	far.sees("Anna Nowak", "Jan Kowalski", "zatwierdził(a)", "Podpisały wszystkie wymagane osoby")
	far.everywhere("pack-holds")
	far.key(fyne.KeyReturn)

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	far.openPack()
	f = far.current.(*foreign)
	typeInto(f.file, path)
	far.settle("the refusal", func() bool { return f.wrong != nil })
	far.sees(string(fault.Evidence))
	far.everywhere("pack-changed")
}

// TestBotsConfirm: after off, the window says which bot has not confirmed; a person's word clears one that crashed.
func TestBotsConfirm(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	o := gate.Options{Clock: site.Config.Clock, Env: func(string) string { return "" }}
	for _, name := range []string{"desk.1", "desk.2"} {
		o.Lease = name
		if _, err := gate.Check(t.Context(), site.Root(), o); err != nil {
			t.Fatal(err)
		}
	}
	b := siteBench(t, site, assets.Polish)
	b.show(newLive(b.Window))
	b.reach("live.on", "version", "1.0.0")
	b.sees("desk.1", "desk.2", "działa")
	b.everywhere("live-bots")
	b.tap("Wyłącz live")
	b.reach("live.off")
	l := b.current.(*live)
	b.settle("the bots", func() bool { return l.doing == "" && !l.task.running() })
	b.sees("Żaden działający bot nie potwierdził. Zatrzymaj bota ręcznie.", "nie potwierdził")
	b.everywhere("live-bots-unconfirmed")
	if err := gate.Release(site.Root(), "desk.1", o); err != nil {
		t.Fatal(err)
	}
	b.settle("desk.1", func() bool { return strings.Contains(b.words(), "zatrzymał się") }) // by itself
	b.sees("Bez potwierdzenia: desk.2. Zatrzymaj bota ręcznie.")
	b.show(newStart(b.Window))
	b.sees("desk.2")
	b.show(l)
	b.tap("Już nie działa")
	b.reach("bots.clear.title", "name", "desk.2")
	if !b.button("Potwierdzam").Disabled() {
		t.Error("nobody stands for it and the bot can be cleared")
	}
	test.Type(b.win.Canvas().Focused(), "Anna Nowak")
	b.jump()
	test.Type(b.win.Canvas().Focused(), "proces 4711 padł")
	b.everywhere("live-bot-clear")
	b.key(fyne.KeyReturn)
	b.settle("the bot to go", func() bool { return b.current == screen(l) && len(l.bots) == 1 })
	b.sees("potwierdzono", "zatrzymał się")
	b.everywhere("live-bots-confirmed")
}

// TestPolicyInTheWindow: the rules and the site's own questions are shown, changed with the site's key, and the core refuses
// what it never allows.
func TestPolicyInTheWindow(t *testing.T) {
	site := waitsForJan(t)
	b := siteBench(t, site, assets.Polish)
	b.Show()
	b.Window.people()
	page := b.current.(*people)
	b.settle("register", func() bool { return page.loaded })
	b.sees("Polityka zakładu, numer 1", "Zakład pyta tylko")
	b.tap("Zmień politykę")
	b.reach("policy.change.title")
	b.everywhere("policy")
	f := b.current.(*rulesForm)
	file := filepath.Join(t.TempDir(), "site.key")
	writeKey(t, file, site.Owner)
	typeInto(f.signing.key, file)
	typeInto(f.roles[compliance.Live], "operator")
	b.tap("Podpisz i zmień")
	b.settle("the refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees(string(fault.PolicyInvalid))
	b.tap("Zamknij")
	typeInto(f.roles[compliance.Live], "operator, compliance, risk")
	typeInto(f.age, "90")
	questions := filepath.Join(t.TempDir(), "pytania.yaml")
	if err := os.WriteFile(questions, []byte("- id: desk\n  stage: live\n  role: compliance\n  text:\n    pl: {step: Limity biurka ustawione}\n    en: {step: Desk limits are set}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	typeInto(f.questions, questions)
	b.tap("Podpisz i zmień")
	b.settle("the policy", func() bool { return b.current == screen(page) && page.policy.Number == 2 })
	b.sees("risk", "90 dni", "Limity biurka ustawione", "Brakuje jeszcze: risk")
	b.everywhere("people-policy")
	b.tap("Dodaj osobę")
	b.sees("Rola z polityki tego zakładu")
	b.everywhere("people-add-risk")
	b.key(fyne.KeyEscape)

	// What Anna signed before is void now, visibly.
	s := b.toSignOff()
	if len(s.void) == 0 {
		t.Fatal("a signature from before the change of what is asked still counts")
	}
	b.sees("już się nie liczy")
	b.everywhere("signoff-void")
	_ = widgets.Good
}
