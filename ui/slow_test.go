package ui

import (
	"testing"
	"time"

	"sluice/assets"
	"sluice/internal/testroot"
)

// TestSlowStateHoldsNothingUp: a state that takes long to read is shown when it is there.
func TestSlowStateHoldsNothingUp(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{Version: "1.4.2"})
	b := siteBench(t, site, assets.Polish)
	b.status, b.patience = nil, 0
	began := time.Now()
	b.home()
	if _, ok := b.current.(*opening); !ok {
		if _, ok := b.current.(*start); !ok {
			t.Fatalf("the window shows %T", b.current)
		}
		t.Skipf("the state was read within %v", time.Since(began))
	}
	b.everywhere("opening")
	b.settle("the state", func() bool { _, ok := b.current.(*start); return ok })
	b.sees("1.4.2", "Sprawdź ponownie")
}
