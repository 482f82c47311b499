package gate_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/gate"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

func bot(t *testing.T, s *testroot.Site, name string) installer.Bot {
	t.Helper()
	st, err := s.In.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range st.Bots {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no bot %q in %+v", name, st.Bots)
	return installer.Bot{}
}

// A bot in Go holds a lease: it is told when it must stop, and closing confirms that it has.
func TestLeaseOfABot(t *testing.T) {
	s := testroot.Live(t)
	now := s.Config.Clock()
	o := gate.Options{Lease: "desk.1", LeaseEvery: time.Minute, Clock: func() time.Time { return now }, Env: func(string) string { return "" }}
	m, err := gate.Open(t.Context(), s.Root(), o)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.Halted():
		t.Fatal("halted at once")
	case <-time.After(1500 * time.Millisecond):
	}
	if b := bot(t, s, "desk.1"); b.State != installer.BotRunning || b.MustStop || b.Confirmed || b.PID != os.Getpid() || b.Version != "1.0.0" {
		t.Errorf("bot %+v", b)
	}
	if err := s.In.Disable(t.Context(), "anna", "strange quotes"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.Halted():
	case <-time.After(10 * time.Second):
		t.Fatal("never told to stop")
	}
	if err := m.HaltReason(); !errors.Is(err, gate.ErrGateClosed) || !strings.Contains(err.Error(), "strange quotes") {
		t.Errorf("reason %v", err)
	}
	if b := bot(t, s, "desk.1"); !b.MustStop || b.Confirmed {
		t.Errorf("bot %+v", b)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if b := bot(t, s, "desk.1"); !b.Confirmed || b.State != installer.BotStopped {
		t.Errorf("bot %+v", b)
	}
	st, err := s.In.Status()
	if err != nil || len(st.Unconfirmed()) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// A bot that ended without a word is silent, never confirmed.
func TestSilentBot(t *testing.T) {
	s := testroot.Live(t)
	past := s.Config.Clock().Add(-time.Hour)
	_, err := gate.Check(t.Context(), s.Root(), gate.Options{Lease: "lost", Clock: func() time.Time { return past }})
	if err != nil {
		t.Fatal(err)
	}
	if b := bot(t, s, "lost"); b.State != installer.BotSilent || b.Confirmed || b.MustStop {
		t.Errorf("bot %+v", b)
	}
	if err := s.In.Disable(t.Context(), "anna", ""); err != nil {
		t.Fatal(err)
	}
	if st, err := s.In.Status(); err != nil || len(st.Unconfirmed()) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := gate.Release(s.Root(), "lost", gate.Options{}); err != nil {
		t.Fatal(err)
	}
	if b := bot(t, s, "lost"); !b.Confirmed {
		t.Errorf("bot %+v", b)
	}
}

// A lease that cannot be kept is not begun, and a closed gate begins none.
func TestLeaseRefused(t *testing.T) {
	s := testroot.Live(t)
	for name, o := range map[string]gate.Options{
		"name": {Lease: "Bad Name"}, "path": {Lease: "../x"}, "device": {Lease: "con"}, "too often": {Lease: "a", LeaseEvery: time.Millisecond}, "too rarely": {Lease: "a", LeaseEvery: 2 * time.Hour},
	} {
		if _, err := gate.Open(t.Context(), s.Root(), o); fault.CodeOf(err) != fault.Lease {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.RemoveAll(s.Path(slot.LeasesDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(slot.LeasesDir), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := gate.Open(t.Context(), s.Root(), gate.Options{Lease: "a"})
	if m != nil || fault.CodeOf(err) != fault.Lease {
		t.Errorf("no folder for leases: %v", err)
	}
	if m, err := gate.Open(context.Background(), s.Root(), gate.Options{}); err != nil || m.Halted() != nil || m.HaltReason() != nil {
		t.Errorf("without a lease: %v", err)
	} else if err := m.Close(); err != nil {
		t.Error(err)
	}
}
