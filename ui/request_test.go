package ui

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// The second person signs on another machine, on another day: the request travels, is compared by fingerprints, answered and signed
// in the window there, and its answer attached here.
func TestSecondPersonElsewhere(t *testing.T) {
	site := testroot.New(t)
	tested := site.Install(site.Bundle(testroot.BundleOptions{}))
	site.SignOff(slot.Paper, "anna")
	site.SignOff(slot.Live, "anna")
	made, err := site.In.SignOffRequest(t.Context(), tested, installer.RequestOptions{Stage: slot.Live})
	if err != nil {
		t.Fatal(err)
	}
	stick := t.TempDir()
	file := filepath.Join(stick, "request.json")
	if err := os.WriteFile(file, made.File, 0o644); err != nil {
		t.Fatal(err)
	}

	office := newBench(t, filepath.Join(t.TempDir(), "nothing-here"), assets.Polish)
	office.home()
	office.sees("Otwórz wniosek o podpis…")
	office.aside(newRequest(office.Window, file))
	office.reach("request.compare")
	office.everywhere("request-compare")
	r := office.current.(*request)
	prints := []string{r.prints[0].print, r.prints[1].print}
	if strings.Contains(office.words(), prints[0][len(prints[0])-9:]) {
		t.Error("the last two groups are shown: nobody has to look at the papers")
	}
	enter := func(i int, s string) { office.current.(*request).prints[i].typed.SetText(s) }
	enter(0, "0000 0000")
	enter(1, prints[1][len(prints[1])-9:])
	office.key(fyne.KeyReturn)
	office.settle("refusal", func() bool { return office.current.(*request).problem != nil })
	office.sees("E-TRUST-FINGERPRINT")
	office.everywhere("request-wrong")
	enter(0, prints[0][len(prints[0])-9:])
	office.tap(office.Window.t("request.compared"))
	office.reach("signoff.title.live")
	s := office.current.(*signOff)
	office.sees("Maszyna, która prosi", "Jan Kowalski", "Anna Nowak")
	office.everywhere("request-list")
	office.confirm(s, keyFile(t, site, "anna")) // somebody else's key
	office.tap(office.Window.t("signoff.sign"))
	office.settle("refusal", func() bool { return s.failed != nil })
	office.sees("Kod")
	s.key.fileEntry.SetText(keyFile(t, site, "jan"))
	s.key.passEntry.SetText(passphrase)
	office.tap(office.Window.t("signoff.sign"))
	office.reach("request.signed")
	office.everywhere("request-signed")
	answer := filepath.Join(stick, s.request.name)
	office.save(answer, s.request.reply)
	office.settle("file", func() bool { _, err := os.Stat(answer); return err == nil })

	b := siteBench(t, site, assets.Polish)
	b.home()
	b.finish(b.status.Waiting[0])
	b.reach("signoff.title.live")
	b.settle("list", func() bool { return b.current.(*signOff).list != nil })
	b.sees("Ktoś podpisuje na innym komputerze?")
	b.everywhere("signoff-elsewhere")
	here := b.current.(*signOff)
	here.attachFile(file) // the request itself is no answer
	b.settle("refusal", func() bool { return here.failed != nil })
	if here.failed.code != fault.Request {
		t.Errorf("a request instead of its answer is refused with %s", here.failed.code)
	}
	here.failed = nil
	here.attachFile(answer)
	b.settle("live", func() bool { _, is := b.current.(*live); return is && b.current.(*live).loaded })
	b.reach("live.ready", "version", "1.0.0")

	// An answer for another machine.
	other := testroot.New(t)
	other.Install(other.Bundle(testroot.BundleOptions{}))
	ob := siteBench(t, other, assets.English)
	ob.home()
	ob.finish(ob.status.Waiting[0])
	ob.reach("signoff.title.paper")
	ob.settle("list", func() bool { return ob.current.(*signOff).list != nil })
	ob.current.(*signOff).attachFile(answer)
	ob.settle("refusal", func() bool { return ob.current.(*signOff).failed != nil })
	if code := ob.current.(*signOff).failed.code; code != fault.MachineOther {
		t.Errorf("an answer for another machine is refused with %s, want %s", code, fault.MachineOther)
	}
}

// What is no request, or was changed on the way, is refused before anything of it is shown.
func TestBadRequests(t *testing.T) {
	site := testroot.New(t)
	tested := site.Install(site.Bundle(testroot.BundleOptions{}))
	made, err := site.In.SignOffRequest(t.Context(), tested, installer.RequestOptions{Stage: slot.Paper})
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(made.File)
	changed[len(changed)/2] ^= 1
	for name, raw := range map[string][]byte{"text": []byte("hello"), "changed": changed, "empty": nil} {
		file := filepath.Join(t.TempDir(), "request.json")
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		b := siteBench(t, site, assets.English)
		b.home()
		b.aside(newRequest(b.Window, file))
		b.settle("refusal", func() bool { _, is := b.current.(*refusal); return is })
		b.sees("E-")
		b.key(fyne.KeyEscape)
		if _, is := b.current.(*start); !is {
			t.Errorf("%s: Escape does not lead back to the start", name)
		}
	}
}
