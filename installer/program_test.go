package installer_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/installer"
	"sluice/internal/testroot"
)

// A stick that carries an older or a newer program than the installed one is told apart, by the date of the source or, where
// that is not known, by the version.
func TestProgramOlderAndNewer(t *testing.T) {
	s := testroot.New(t)
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s.Config.Version, s.Config.Built = "v1.2.0", built
	s.Restart()
	s.Install(s.Bundle(testroot.BundleOptions{}))
	if p, err := s.In.Programs(t.Context()); err != nil || p.Relation != installer.ProgramSame || p.Installed.Version != "v1.2.0" || p.Installed.Built != "2026-11-01T00:00:00Z" {
		t.Fatalf("%+v: %v", p, err)
	}
	s.Config.Program = filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(s.Config.Program, []byte("another program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		version string
		built   time.Time
		want    string
	}{
		{"v1.9.0", built.AddDate(0, -1, 0), installer.ProgramOlder},
		{"v1.0.0", built.AddDate(0, 1, 0), installer.ProgramNewer},
		{"1.1.9", time.Time{}, installer.ProgramOlder},
		{"v1.10.0", time.Time{}, installer.ProgramNewer},
		{"v1.2.0", time.Time{}, installer.ProgramOther},
		{"a build of Tuesday", time.Time{}, installer.ProgramOther},
	} {
		s.Config.Version, s.Config.Built = c.version, c.built
		s.Restart()
		p, err := s.In.Programs(t.Context())
		if err != nil || p.Relation != c.want {
			t.Errorf("%q of %v: %q %v, want %q", c.version, c.built, p.Relation, err, c.want)
		}
		if st, err := s.In.Status(); err != nil || st.Program == nil || st.Program.Relation != c.want {
			t.Errorf("status of %q: %+v %v", c.version, st, err)
		}
	}
}
