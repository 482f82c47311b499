package ui

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sluice/assets"
	"sluice/bundle"
	"sluice/internal/testroot"
	"sluice/ui/widgets"
	"sluice/verify"
)

// listFile writes a list of trusted keys and returns its path and fingerprint.
func listFile(t *testing.T, dir string, of verify.Root, key ed25519.PrivateKey) (file, fingerprint string) {
	t.Helper()
	keys := []bundle.PublicKey{testroot.Public(key)}
	raw, err := verify.NewRoot(verify.RootOptions{Of: of, RootKeys: keys, RootThreshold: 1, TargetsKeys: keys, TargetsThreshold: 1,
		Expires: time.Date(2031, 11, 24, 0, 0, 0, 0, time.UTC), Signers: []ed25519.PrivateKey{key}})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, string(of)+".1.root.json")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return file, verify.Fingerprint(raw)
}

// lastTwo are what a person types from the delivery note.
func lastTwo(fingerprint string) string {
	g := strings.Fields(fingerprint)
	return strings.Join(g[len(g)-2:], " ")
}

func typeInto(e *widgets.Entry, s string) {
	e.SetText("")
	test.Type(e, s)
}

// A computer that knows nobody: the stick brings the list, the note brings its fingerprint.
func TestFirstStart(t *testing.T) {
	s := testroot.Empty(t)
	b := siteBench(t, s, assets.Polish)
	b.Show()
	b.reach("first.oem.title")
	b.settle("folder", func() bool { return b.current.(*trust).asked })
	b.sees("można zapisywać", s.Root())
	b.everywhere("first")
	if !b.button("Porównaj").Disabled() {
		t.Error("there is nothing to compare yet")
	}
	drive := t.TempDir()
	file, fingerprint := listFile(t, drive, verify.Oem, s.Vendor)
	b.plug(drive)
	b.settle("the list on the stick", func() bool { return len(b.current.(*trust).found) == 1 })
	b.tap(filepath.Base(file))
	b.settle("fingerprint", func() bool { return b.current.(*trust).raw != nil })
	groups := strings.Fields(fingerprint)
	b.sees("dostawca", "24 listopada 2031")
	b.everywhere("first-file")
	b.tap("Porównaj")
	b.reach("first.compare")
	b.sees(strings.Join(groups[:4], "  "), "····")
	if !b.button("Zaufaj").Disabled() {
		t.Error("nothing was compared and the list can be trusted")
	}
	if strings.Contains(b.words(), groups[15]) || strings.Contains(b.words(), groups[14]) {
		t.Error("the groups that a person must type are shown")
	}
	b.everywhere("first-compare")

	page := b.current.(*trust)
	typeInto(page.who, "Anna Nowak")
	typeInto(page.typed, "0000 0000")
	b.tap("Zaufaj")
	b.settle("refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("E-TRUST-FINGERPRINT")
	b.everywhere("first-refused")
	b.tap("Zamknij")
	if b.current != screen(page) || page.typed.Text != "" {
		t.Error("closing the refusal does not lead back to an empty entry")
	}
	typeInto(page.typed, lastTwo(fingerprint))
	b.win.Canvas().Focus(page.typed)
	b.key(fyne.KeyReturn)
	b.reach("first.site.title")
	if !b.status.Trust {
		t.Error("the list is not placed")
	}
	b.everywhere("site")
}

// A file that is no list, or somebody else's, is named with its code; one that is still being typed is not.
func TestFirstStartWrongFiles(t *testing.T) {
	s := testroot.Empty(t)
	b := siteBench(t, s, assets.English)
	b.Show()
	page := b.current.(*trust)
	dir := t.TempDir()
	other, _ := listFile(t, dir, verify.Site, s.Owner)
	text := filepath.Join(dir, "x.root.json")
	if err := os.WriteFile(text, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{text, other} {
		page.file.SetText(f)
		b.settle(f, func() bool { return page.wrong != nil })
		b.sees("E-TRUST-INVALID")
	}
	b.everywhere("first-wrong-file")
	page.file.SetText(filepath.Join(dir, "not-yet"))
	b.settle("nothing", func() bool { return !page.read.running() })
	if page.wrong != nil || page.raw != nil {
		t.Error("a path that is still being typed is complained of")
	}
}

// Without the right to write, the page says what to do and lets nothing be trusted.
func TestFirstStartReadOnly(t *testing.T) {
	b := newBench(t, filepath.Join("/proc", "sluice"), assets.Polish)
	b.Show()
	page := b.current.(*trust)
	b.settle("folder", func() bool { return page.asked })
	if page.folder == nil {
		t.Skip("this system lets anybody write into /proc")
	}
	b.sees("nie można użyć", "E-ROOT-")
	b.everywhere("first-readonly")
	file, _ := listFile(t, t.TempDir(), verify.Oem, testroot.Key("vendor"))
	page.file.SetText(file)
	b.settle("list", func() bool { return page.raw != nil })
	if !b.button("Porównaj").Disabled() {
		t.Error("the folder cannot be written and the list can be trusted")
	}
}

// A site without keys makes them here, then enters its first two people, one with a pair of keys made here too.
func TestSiteAndPeople(t *testing.T) {
	s := testroot.Empty(t)
	s.Trust(verify.Oem, s.Vendor)
	b := siteBench(t, s, assets.Polish)
	b.show(newTrust(b.Window, verify.Site, b.afterSite))
	b.tap("Utwórz ją teraz")
	b.reach("site.title")
	b.everywhere("site-keys")
	safe := t.TempDir()
	keys := b.current.(*site)
	typeInto(keys.dir, safe)
	typeInto(keys.pass, "zielony-zamek")
	typeInto(keys.again, "zielony-zamk")
	typeInto(keys.who, "Ewa Zieleń")
	if !b.button("Utwórz klucze").Disabled() {
		t.Error("two different passphrases are taken")
	}
	typeInto(keys.again, "zielony-zamek")
	b.tap("Utwórz klucze")
	b.reach("people.first.title")
	b.settle("register", func() bool { return b.current.(*people).loaded })
	b.sees("operator, compliance")
	b.everywhere("people-first")

	b.tap("Dodaj osobę")
	b.reach("people.add.title")
	add := b.current.(*addPerson)
	typeInto(add.name, "Łucja Żółć-Kowalska")
	if add.id.Text != "lucja" {
		t.Errorf("id %q", add.id.Text)
	}
	b.everywhere("people-add")
	b.tap("Utwórz parę kluczy")
	b.reach("key.title", "name", "lucja")
	b.everywhere("people-key")
	pair := b.current.(*newKey)
	own := t.TempDir()
	typeInto(pair.dir, own)
	typeInto(pair.pass, "własne hasło")
	typeInto(pair.again, "własne hasło")
	b.tap("Utwórz klucze")
	b.reach("people.add.title")
	if add.pub.Text != filepath.Join(own, "lucja.pub") || add.signing.key.Text != filepath.Join(safe, "site-policy.key") {
		t.Errorf("public key %q, site's key %q", add.pub.Text, add.signing.key.Text)
	}
	b.tap("Podpisz i dodaj") // without the passphrase
	b.settle("refusal", func() bool { _, ok := b.current.(*refusal); return ok })
	b.sees("E-PASSPHRASE")
	b.tap("Zamknij")
	typeInto(add.signing.pass, "zielony-zamek")
	b.tap("Podpisz i dodaj")
	b.reach("people.first.title")
	b.settle("first person", func() bool { p := b.current.(*people); return p.policy != nil })
	b.sees("Łucja Żółć-Kowalska", "Brakuje jeszcze: compliance")

	b.tap("Dodaj osobę")
	add = b.current.(*addPerson)
	if add.offered[add.chosen] != "compliance" {
		t.Error("the missing role is not suggested")
	}
	typeInto(add.name, "Jan Kowalski")
	pub := filepath.Join(own, "jan.pub")
	if err := os.WriteFile(pub, testroot.Public(s.Keys["jan"]).PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	typeInto(add.pub, pub)
	typeInto(add.signing.pass, "zielony-zamek")
	b.tap("Podpisz i dodaj")
	b.reach("people.first.title")
	b.settle("second person", func() bool { return len(b.current.(*people).missing()) == 0 })
	b.sees("Jan Kowalski", "może podpisywać")
	b.everywhere("people-two")
	b.tap("Gotowe")
	b.reach("start.title")
}

// The register beside the journey: somebody who lost their passphrase retires.
func TestRetire(t *testing.T) {
	s := testroot.New(t)
	b := siteBench(t, s, assets.Polish)
	b.Show()
	b.Window.people()
	page := b.current.(*people)
	b.settle("register", func() bool { return page.loaded })
	b.sees("Anna Nowak", "Jan Kowalski", "24 listopada 2026", "przez: tester")
	b.everywhere("people")
	file := filepath.Join(t.TempDir(), "site.key")
	writeKey(t, file, s.Owner)
	b.tap("Wycofaj")
	b.reach("people.retire.title", "name", "Anna Nowak")
	b.everywhere("people-retire")
	r := b.current.(*retire)
	typeInto(r.signing.key, file)
	b.tap("Podpisz i wycofaj")
	b.settle("retired", func() bool { return b.current == screen(page) && page.policy.Person("anna").Retired == 2 })
	b.sees("osoba wycofana")
	b.everywhere("people-retired")
	b.key(fyne.KeyEscape)
	b.reach("start.title")
}

// writeKey writes a private key without passphrase.
func writeKey(t *testing.T, file string, key ed25519.PrivateKey) {
	t.Helper()
	_, raw, err := bundle.GenerateKey(bytes.NewReader(key.Seed()), "key", nil)
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
