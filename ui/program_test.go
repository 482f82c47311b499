package ui

import (
	"crypto/sha256"
	"crypto/sha512"
	"os"
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

// Help says which program this is and which one is installed; one on a medium is asked about without being run: the
// installed one byte for byte, one that the supplier's statement names, and one that nothing vouches for.
func TestProgramOnAMedium(t *testing.T) {
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	b := siteBench(t, site, assets.Polish)
	b.home()
	b.key(fyne.KeyF1)
	b.reach("help.title")
	b.sees("Ten program", "Kopia zainstalowana", "To program zainstalowany, bajt w bajt.", "Nośnik przynosi inną kopię tego programu?")
	b.everywhere("help-program")

	b.checkProgram(b.status.Program.Installed.Path)
	b.settle("the answer", func() bool { _, is := b.current.(*programPage); return is })
	b.sees("godny zaufania", "To program zainstalowany, bajt w bajt.")
	b.key(fyne.KeyEscape)
	b.reach("help.title")

	dir := t.TempDir()
	file := filepath.Join(dir, "sluice")
	if err := os.WriteFile(file, []byte("another program"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.checkProgram(file)
	b.settle("the refusal", func() bool { _, is := b.current.(*refusal); return is })
	b.sees(string(fault.ProgramUnknown), "Tego programu nie należy uruchamiać")
	b.key(fyne.KeyReturn)
	b.reach("help.title")

	raw, err := verify.SignPrograms([]bundle.Subject{{Name: "sluice", SHA384: bundle.Digest(sha512.Sum384([]byte("another program"))),
		SHA256: bundle.Digest256(sha256.Sum256([]byte("another program")))}}, verify.ProgramPredicate{Version: "1.2.0"}, site.Vendor)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, verify.ProgramStatementFile), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b.checkProgram(file)
	b.settle("the answer", func() bool { _, is := b.current.(*programPage); return is })
	b.sees("Słowo dostawcy", "1.2.0", "sluice")
	b.everywhere("program")
}
