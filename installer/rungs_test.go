package installer_test

import (
	"os"
	"strings"
	"testing"

	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// Edited lower rungs and an exchanged vendor key keep live from being switched on, and status shows them instead of
// proposing to ask the gate.
func TestEditedRungs(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]string{"ai_models/demo.json": "smoke --version 1.0.0", "ai_models/paper.json": "", "ai_models/keys/oem_model_signing.pub": "log verify",
		"machine/state.json": "log verify"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testroot.Live(t)
			a, err := s.In.Reapprove(t.Context(), slot.Live)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.Path(name), []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
			st, err := s.In.Status()
			if err != nil || len(st.Problems) == 0 || st.Problems[0].Code != fault.RecordEdited {
				t.Fatalf("status %+v: %v", st, err)
			}
			if got := strings.Join(st.Next, " "); got == "" || strings.HasPrefix(got, "check") || next != "" && got != next {
				t.Errorf("next %q, want %q", got, next)
			}
			_, err = s.In.GoLive(t.Context(), a)
			wantCode(t, err, fault.RecordEdited)
			if next == "smoke --version 1.0.0" { // it mends what it proposes to mend
				if _, err := s.In.SmokeAgain(t.Context(), "1.0.0", "first"); err != nil {
					t.Fatal(err)
				}
				if st, err := s.In.Status(); err != nil || len(st.Problems) != 0 {
					t.Errorf("status %+v: %v", st, err)
				}
			}
		})
	}
}
