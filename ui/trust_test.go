package ui

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/bundle"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

// A stick brings the supplier's next list: the window takes it over before the bundle is judged, says so, and shows in words who
// may sign what until when.
func TestListsFromTheStick(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	next := testroot.Key("next-signing")
	file := site.Bundle(testroot.BundleOptions{Version: "1.1.0", Keys: []ed25519.PrivateKey{next}})
	site.Put(filepath.Dir(file), map[string][]byte{"2.root.json": site.NextRoot(verify.Oem, verify.RootChange{AddTargets: []bundle.PublicKey{testroot.Public(next)}, Expires: site.Config.Clock().AddDate(3, 0, 0)}, site.Vendor)})
	b := siteBench(t, site, assets.Polish)
	b.home()
	b.tap(b.Window.t("start.trust"))
	b.settle("lists", func() bool { return b.current.(*trusted).loaded })
	b.sees("Komu wierzy ten komputer", "Lista zaufanych kluczy dostawcy, numer 1", "Lista zaufanych kluczy zakładu, numer 1", "Nic nie jest unieważnione", "Najnowsza znana tu podpisana data")
	b.everywhere("trust")
	b.key(fyne.KeyEscape)
	b.reach("start.title")

	j := &journey{w: b.Window}
	j.authenticate(newSource(b.Window, nil), file, nil)
	b.reach("authenticate.title")
	b.sees("przejęto z nośnika", "numer 2", "2.root.json")
	b.everywhere("authenticate-lists")
	b.home()
	b.trustedKeys()
	b.settle("lists", func() bool { return b.current.(*trusted).loaded })
	b.sees("Lista zaufanych kluczy dostawcy, numer 2")

	// A stick without a bundle brings a revocation list; the same stick again brings nothing new.
	dir := site.Medium(map[string][]byte{"revocations.json": site.Revoke(verify.Oem, 1, site.Config.Clock(), site.Vendor, []bundle.PublicKey{testroot.Public(next)}, nil)})
	b.current.(*trusted).load([]string{dir})
	b.settle("taken", func() bool { return b.current.(*trusted).looked })
	b.sees("lista unieważnień (dostawca), numer 1", "leaked", "unieważniony")
	b.everywhere("trust-revoked")
	b.current.(*trusted).looked = false
	b.current.(*trusted).load([]string{dir})
	b.settle("nothing new", func() bool { return b.current.(*trusted).looked })
	b.sees("Nośnik nie przynosi nic nowego")

	// What a stick must not bring is refused with its code; the lists stay as they are.
	bad := site.Medium(map[string][]byte{"3.root.json": []byte(`{"signed":{},"signatures":[]}`)})
	b.current.(*trusted).load([]string{bad})
	b.settle("refusal", func() bool { return b.current.(*trusted).problem != nil })
	b.sees("Kod")
	if code := b.current.(*trusted).problem.code; code != fault.TrustInvalid {
		t.Errorf("refused with %s, want %s", code, fault.TrustInvalid)
	}
	b.home()
	j = &journey{w: b.Window}
	j.authenticate(newSource(b.Window, nil), file, nil)
	b.settle("refusal", func() bool { _, is := b.current.(*refusal); return is })
	if code := b.current.(*refusal).problem.code; code != fault.Revoked {
		t.Errorf("a bundle of a revoked key is refused with %s, want %s", code, fault.Revoked)
	}
}

// An emergency: the site signed the bundle itself. It needs a reason, is marked on every page, stops at paper, and another
// person reviews it.
func TestEmergencyInTheWindow(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	file := site.Bundle(testroot.BundleOptions{Version: "1.0.1", Keys: []ed25519.PrivateKey{site.Owner}})
	b := siteBench(t, site, assets.Polish)
	b.home()
	j := &journey{w: b.Window}
	j.authenticate(newSource(b.Window, nil), file, nil)
	b.settle("refusal", func() bool { _, is := b.current.(*refusal); return is })
	b.sees("E-SIGNATURE-UNTRUSTED")
	b.everywhere("urgent-refused")
	b.tap(b.Window.t("urgent.open"))
	b.reach("urgent.title")
	b.everywhere("urgent")
	s := b.current.(*urgent)
	b.key(fyne.KeyReturn)
	if b.current != screen(s) {
		t.Fatal("an emergency goes on without a reason")
	}
	s.entry.SetText("złe ceny od 14:00")
	b.key(fyne.KeyReturn)
	b.reach("authenticate.title")
	b.sees("TRYB AWARYJNY: podpis zakładu", "złe ceny od 14:00", "klucz Twojego zakładu")
	b.everywhere("urgent-authenticate")
	b.key(fyne.KeyReturn)
	b.reach("hardware.title")
	b.key(fyne.KeyReturn)
	b.reach("install.done", "variant", "first")
	b.key(fyne.KeyReturn)
	b.reach("smoke.passed", "variant", "first")
	b.sees("TRYB AWARYJNY", "złe ceny od 14:00")
	b.everywhere("urgent-smoke")
	if r, err := site.In.Records(); err != nil || r[slot.Demo].Version != "1.0.1" || r[slot.Demo].Emergency == nil || r[slot.Live].Version != "1.0.0" {
		t.Fatalf("records are %+v, %v", r, err)
	}
	b.home()
	b.sees("TRYB AWARYJNY", b.Window.t("review.open"))
	b.everywhere("urgent-start")
	b.tap(b.Window.t("review.open"))
	b.reach("review.title", "version", "1.0.1")
	r := b.current.(*review)
	b.everywhere("review")
	b.pick("Jan Kowalski")
	r = b.current.(*review)
	r.entry.SetText("porównano z poprzednim modelem")
	r.key.fileEntry.SetText(keyFile(t, site, "anna")) // another person's key
	r.key.passEntry.SetText(passphrase)
	b.tap(b.Window.t("review.accept"))
	b.settle("refusal", func() bool { return r.problem != nil })
	b.sees("E-KEY-UNFIT")
	r.key.fileEntry.SetText(keyFile(t, site, "jan"))
	r.key.passEntry.SetText(passphrase)
	b.everywhere("review-ready")
	r.key.passEntry.SetText(passphrase)
	b.tap(b.Window.t("review.refuse"))
	b.settle("review", func() bool {
		return b.status != nil && len(b.status.Emergencies) == 1 && b.status.Emergencies[0].Review == "refused"
	})
	b.sees("ODMOWA")
}

// A bundle that nobody here knows is no emergency, and one that the supplier signed neither.
func TestNoEmergencyForStrangers(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.English)
	j := &journey{w: b.Window}
	j.authenticate(newSource(b.Window, nil), site.Bundle(testroot.BundleOptions{Keys: []ed25519.PrivateKey{testroot.Key("stranger")}}), nil)
	b.settle("refusal", func() bool { _, is := b.current.(*refusal); return is })
	for _, a := range b.shell.page.extra {
		if a.label == b.Window.t("urgent.open") {
			t.Error("a stranger's bundle can be installed by emergency")
		}
	}
}

// What is live becomes revoked: the start page and the rail say so in words, and the gate's refusal stands there.
func TestRevokedWhileLive(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	b := siteBench(t, site, assets.Polish)
	b.home()
	b.trustedKeys()
	s := b.current.(*trusted)
	b.settle("lists", func() bool { return s.loaded })
	s.load([]string{site.Medium(map[string][]byte{"revocations.json": site.Revoke(verify.Oem, 1, site.Config.Clock(), site.Vendor, []bundle.PublicKey{testroot.Public(site.Vendor)}, nil)})})
	b.settle("taken", func() bool { return s.looked })
	b.home()
	b.sees("unieważniony", string(fault.Revoked))
	b.everywhere("start-revoked")
}

// What a stick must not bring is refused in words with a remedy, in both languages, on the page of the lists and where a bundle
// is judged; the lists stay as they are.
func TestListsRefused(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	change := verify.RootChange{Expires: site.Config.Clock().AddDate(3, 0, 0)}
	two := site.NextRoot(verify.Oem, change, site.Vendor)
	three, err := verify.NextRoot(two, change)
	if err != nil {
		t.Fatal(err)
	}
	if three, err = verify.SignRoot(three, two, site.Vendor); err != nil {
		t.Fatal(err)
	}
	unsigned := site.NextRoot(verify.Oem, change)
	first := site.Revoke(verify.Oem, 2, site.Config.Clock(), site.Vendor, []bundle.PublicKey{testroot.Public(testroot.Key("old"))}, nil)
	less := site.Revoke(verify.Oem, 3, site.Config.Clock(), site.Vendor, nil, nil)
	b := siteBench(t, site, assets.Polish)
	b.home()
	b.trustedKeys()
	s := b.current.(*trusted)
	b.settle("lists", func() bool { return s.loaded })
	s.load([]string{site.Medium(map[string][]byte{"revocations.json": first})})
	b.settle("taken", func() bool { return s.looked })
	for _, c := range []struct {
		name string
		file string
		raw  []byte
		want fault.Code
	}{
		{"skipped", "3.root.json", three, fault.TrustStep},
		{"unsigned", "2.root.json", unsigned, fault.TrustInvalid},
		{"fewer", "revocations.json", less, fault.RevocationsInvalid},
	} {
		s.problem = nil
		dir := site.Medium(map[string][]byte{c.file: c.raw})
		s.load([]string{dir})
		b.settle("the refusal of "+c.name, func() bool { return !s.task.running() })
		if s.problem == nil || s.problem.code != c.want {
			t.Errorf("%s: refused with %+v, want %s", c.name, s.problem, c.want)
			continue
		}
		words := assets.Polish.Error(string(c.want)).ForWindow()
		b.sees(words.Meaning, words.Remedy, string(c.want), "numer 1")
		b.everywhere("trust-" + c.name)
	}
	if store, err := verify.OpenStore(site.Path(slot.KeysDir)); err != nil || store.Describe()[0].Version != 1 {
		t.Errorf("a refused stick changed the lists: %v", err)
	}

	// Signed evidence from after the list's end: nothing new is installed, and the page of the lists says why.
	s.load([]string{site.Medium(map[string][]byte{"revocations.json": site.Revoke(verify.Oem, 4, time.Date(2036, 6, 1, 0, 0, 0, 0, time.UTC), site.Vendor, []bundle.PublicKey{testroot.Public(testroot.Key("old"))}, nil)})})
	b.settle("taken", func() bool { return !s.task.running() })
	b.sees("1 czerwca 2036", b.lang.Text("knowledge.expired", "of", b.lang.Text("trust.of.oem")))
	b.everywhere("trust-expired")
	b.home()
	j := &journey{w: b.Window}
	j.authenticate(newSource(b.Window, nil), site.Bundle(testroot.BundleOptions{Version: "1.1.0"}), nil)
	b.settle("refusal", func() bool { _, is := b.current.(*refusal); return is })
	b.sees(string(fault.TrustExpired), assets.Polish.Error(string(fault.TrustExpired)).ForWindow().Remedy)
}
