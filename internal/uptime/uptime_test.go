package uptime

import (
	"runtime"
	"testing"
	"time"
)

// The running time goes on by itself, and one start keeps its name.
func TestGoesOn(t *testing.T) {
	boot, up := Now()
	if runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		t.Skip("this system is not asked")
	}
	if up <= 0 {
		t.Fatalf("running for %v, want more than nothing", up)
	}
	time.Sleep(20 * time.Millisecond)
	again, later := Now()
	if later < up+15*time.Millisecond || again != boot {
		t.Errorf("%q %v, then %q %v", boot, up, again, later)
	}
}
