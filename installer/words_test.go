package installer_test

import (
	"strings"
	"testing"

	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// What a terminal in another encoding gives, and far too much of it, is the caller's mistake and found before anything
// is done.
func TestWordsThatNoRecordHolds(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	path := s.Bundle(testroot.BundleOptions{})
	before := snapshot(t, s.Root())
	for _, words := range []string{"wy\xb3\xb1czam", strings.Repeat("a", 1<<20)} {
		_, _, err := s.In.Install(t.Context(), path, installer.InstallOptions{Operator: words})
		wantCode(t, err, fault.Usage)
		_, _, err = s.In.Install(t.Context(), path, installer.InstallOptions{Emergency: true, Reason: words})
		wantCode(t, err, fault.Usage)
		_, err = s.In.Rollback(t.Context(), installer.RollbackOptions{Operator: "anna", Key: s.Keys["anna"], Reason: words})
		wantCode(t, err, fault.Usage)
		_, err = s.In.Review(t.Context(), installer.ReviewOptions{Operator: "anna", Key: s.Keys["anna"], Comment: words})
		wantCode(t, err, fault.Usage)
	}
	same(t, before, snapshot(t, s.Root()))
	_, err := installer.New(installer.Config{Root: s.Root() + "\xff"})
	wantCode(t, err, fault.Usage)
}

// Switching off never fails for what somebody said.
func TestStopWithAnyWords(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"wy\xb3\xb1czam", strings.Repeat("ą", 1<<17), "a\x00\n\x1b[31m"} {
		s := testroot.Live(t)
		if err := s.In.Disable(t.Context(), words, words); err != nil {
			t.Fatal(err)
		}
		if isOn(t, s) {
			t.Error("live is on")
		}
	}
}
