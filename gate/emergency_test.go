package gate_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"sluice/gate"
	"sluice/inference/tensor"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// emergencyHours is what the policy of these tests allows.
const emergencyHours = 4

// emergencyLive is a site where 1.0.1, signed by the site, went live at the given time of its clock and of its system.
func emergencyLive(t *testing.T, clock func() time.Time, uptime func() (string, time.Duration)) *testroot.Site {
	t.Helper()
	s := testroot.Live(t)
	s.Config.Clock, s.Config.Uptime = clock, uptime
	s.Restart()
	p := *s.Policy
	p.Number, p.EmergencyLiveHours = p.Number+1, emergencyHours
	s.PutPolicy(&p)
	path := s.Bundle(testroot.BundleOptions{Version: "1.0.1", Keys: []ed25519.PrivateKey{s.Owner}})
	if _, _, err := s.In.Install(t.Context(), path, installer.InstallOptions{Emergency: true, Reason: "wrong prices", Operator: "somebody"}); err != nil {
		t.Fatal(err)
	}
	s.SignOff(slot.Paper, "anna")
	s.SignOff(slot.Live, "anna", "jan")
	s.Enable()
	return s
}

// The hours of an emergency and the clock: what is late is closed, and a clock that went back closes too, whatever it says.
func TestThreat27EmergencyHours(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now, boot, up := start, "one", time.Hour
	s := emergencyLive(t, func() time.Time { return now }, func() (string, time.Duration) { return boot, up })
	ask := func() (*gate.Answer, error) {
		return gate.Check(t.Context(), s.Root(), gate.Options{Env: env(""), Clock: func() time.Time { return now },
			Uptime: func() (string, time.Duration) { return boot, up }})
	}
	if a, err := ask(); err != nil || a.Version != "1.0.1" || a.Emergency == nil || a.Emergency.SecondsLeft != emergencyHours*3600 || !a.Emergency.ReviewOwed {
		t.Fatalf("%+v: %v", a, err)
	}
	clean := s.Copy // each case begins without the log entries of the one before
	for _, c := range []struct {
		name   string
		wall   time.Duration // after the start of live
		boot   string
		up     time.Duration // of that system
		want   fault.Code    // empty: open
		before time.Duration // a check that far after the start of live comes first
	}{
		{"an hour later", time.Hour, "one", 2 * time.Hour, "", 0},
		{"the last minute", 4*time.Hour - time.Minute, "one", 5*time.Hour - time.Minute, "", 0},
		{"exactly over", 4 * time.Hour, "one", 5 * time.Hour, fault.EmergencyOver, 0},
		{"days later", 100 * time.Hour, "one", 101 * time.Hour, fault.EmergencyOver, 0},
		{"clock corrected by a minute", -time.Minute, "one", time.Hour, "", 0},
		{"clock before the start of live", -3 * time.Minute, "one", time.Hour, fault.EmergencyClock, 0},
		{"dead battery: 1970", start.Sub(start) - start.Sub(time.Unix(0, 0)), "two", time.Minute, fault.EmergencyClock, 0},
		{"2038", time.Date(2038, 2, 1, 0, 0, 0, 0, time.UTC).Sub(start), "one", 2 * time.Hour, fault.EmergencyOver, 0},
		{"set back again and again: the system's running time does not lie", time.Minute, "one", 6 * time.Hour, fault.EmergencyOver, 0},
		{"set back after a restart: what runs since then has passed", time.Minute, "two", 5 * time.Hour, fault.EmergencyOver, 0},
		{"restart, clock right", time.Hour, "two", time.Minute, "", 0},
		{"set back behind what the log shows", time.Hour, "two", time.Minute, fault.EmergencyClock, 3 * time.Hour},
		{"the log shows that it is over", 4 * time.Hour, "one", time.Hour, fault.EmergencyOver, 3 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := s
			s = clean()
			defer func() { s = whole; now, boot, up = start, "one", time.Hour }()
			if c.before > 0 {
				now, up = start.Add(c.before), time.Hour+c.before
				if a, err := ask(); err != nil || !a.Logged {
					t.Fatalf("before: %+v: %v", a, err)
				}
			}
			now, boot, up = start.Add(c.wall), c.boot, c.up
			_, err := ask()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, c.want)
			if !errors.Is(err, gate.ErrGateClosed) {
				t.Errorf("kind of %v", err)
			}
		})
	}

	// Another person reviews it: no hours are counted any more, whatever the clock says.
	if _, err := s.In.Review(t.Context(), installer.ReviewOptions{Operator: "ewa", Key: s.Keys["ewa"], Comment: "compared with yesterday"}); err != nil {
		t.Fatal(err)
	}
	now = start.Add(1000 * time.Hour)
	if a, err := ask(); err != nil || a.Emergency == nil || a.Emergency.ReviewOwed || a.Emergency.SecondsLeft != 0 {
		t.Errorf("%+v: %v", a, err)
	}
}

// Once years ahead, then right again, before the emergency: poisons nothing.
func TestThreat6ClockAheadBeforeAnEmergency(t *testing.T) {
	now := time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC)
	up := func() (string, time.Duration) { return "", 0 }
	s := testroot.Live(t)
	s.Config.Clock, s.Config.Uptime = func() time.Time { return now }, up
	s.Restart()
	if err := s.In.LogAppend(t.Context(), slot.Live, "anna", "the clock was years ahead", nil); err != nil {
		t.Fatal(err)
	}
	now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	p := *s.Policy
	p.Number, p.EmergencyLiveHours = p.Number+1, emergencyHours
	s.PutPolicy(&p)
	path := s.Bundle(testroot.BundleOptions{Version: "1.0.1", Keys: []ed25519.PrivateKey{s.Owner}})
	if _, _, err := s.In.Install(t.Context(), path, installer.InstallOptions{Emergency: true, Reason: "wrong prices", Operator: "somebody"}); err != nil {
		t.Fatal(err)
	}
	s.SignOff(slot.Paper, "anna")
	s.SignOff(slot.Live, "anna", "jan")
	s.Enable()
	if _, err := gate.Check(t.Context(), s.Root(), gate.Options{Env: env(""), Clock: s.Config.Clock, Uptime: up}); err != nil {
		t.Error(err)
	}
}

// A clock that is behind what was signed starts no hours.
func TestThreat27ClockBehindAtTheStart(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := testroot.Live(t)
	s.Config.Clock = func() time.Time { return now }
	s.Restart()
	p := *s.Policy
	p.Number, p.EmergencyLiveHours = p.Number+1, emergencyHours
	s.PutPolicy(&p)
	path := s.Bundle(testroot.BundleOptions{Version: "1.0.1", Keys: []ed25519.PrivateKey{s.Owner}})
	if _, _, err := s.In.Install(t.Context(), path, installer.InstallOptions{Emergency: true, Reason: "wrong prices", Operator: "somebody"}); err != nil {
		t.Fatal(err)
	}
	s.SignOff(slot.Paper, "anna")
	s.SignOff(slot.Live, "anna", "jan")
	a, err := s.In.Reapprove(t.Context(), slot.Live)
	if err != nil {
		t.Fatal(err)
	}
	now = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = s.In.GoLive(t.Context(), a)
	wantCode(t, err, fault.EmergencyClock)
	now = time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC)
	if _, err := s.In.GoLive(t.Context(), a); err != nil {
		t.Error(err)
	}
}

// Models that were opened in time stop when it is over.
func TestEmergencyEndsWhileTheBotRuns(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	up := func() (string, time.Duration) { return "one", time.Hour }
	s := emergencyLive(t, clock, up)
	m, err := gate.Open(context.Background(), s.Root(), gate.Options{Env: env(""), Clock: clock, Uptime: up})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in := map[string]tensor.Value{"x": {Tensor: testroot.Floats(1, 2)}}
	if _, err := m.Infer(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	now = now.Add(emergencyHours * time.Hour)
	_, err = m.Infer(t.Context(), in)
	wantCode(t, err, fault.EmergencyOver)
	if !errors.Is(err, gate.ErrGateClosed) {
		t.Errorf("kind of %v", err)
	}
	now = now.Add(-emergencyHours*time.Hour - time.Hour)
	_, err = m.Infer(t.Context(), in)
	wantCode(t, err, fault.EmergencyClock)
}
