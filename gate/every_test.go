package gate_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// Every file below a live root counts: changed by one bit or deleted, the gate is closed as not intact (3) or edited (7). Those that do not
// count say why they need not.
func TestThreat22EveryFileCounts(t *testing.T) {
	harmless := []string{
		".lock",               // names a writer
		"machine/state.json",  // what the installer knows; status shows an edit and live cannot be switched on
		"machine/machine.key", // what the log is checked with is machine.pub
		"bin/sluice",          // another gate than the one that was edited must judge it
	}
	var names []string
	s := testroot.Live(t)
	err := filepath.WalkDir(s.Root(), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			name, _ := filepath.Rel(s.Root(), p)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files: %v", len(names), err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(s.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		flipped := append([]byte(nil), raw...)
		if len(raw) > 0 {
			flipped[len(raw)/2] ^= 1
		} else {
			flipped = []byte("x")
		}
		for how, content := range map[string][]byte{"flipped": flipped, "deleted": nil} {
			if err := os.Remove(s.Path(name)); err != nil {
				t.Fatal(err)
			}
			if content != nil {
				if err := os.WriteFile(s.Path(name), content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err := check(t, s, slot.Live)
			exit := fault.CodeOf(err).Exit()
			if free := slices.Contains(harmless, name); free != (err == nil) || !free && exit != 3 && exit != 7 {
				t.Errorf("%s %s: %v, exit %d", name, how, err, exit)
			}
			s = testroot.Live(t) // the refusal may stand in its log now
		}
	}
}
