package ui

import (
	"strings"
	"testing"
	"time"

	"sluice/assets"
	"sluice/hwprobe"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// TestLongNames: names as long as the format allows break nothing.
func TestLongNames(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	family := strings.Repeat("trend-ensemble-europe-", 5)[:100]
	version := "11.222.3333-release-candidate.44444"
	at := "2026-11-24T12:00:00Z"
	b.status = &installer.Status{
		ModelFamily: family, Trust: true, Policy: true, Busy: "sluice install, pid 12345, " + strings.Repeat("host", 10),
		Versions: []installer.VersionInfo{{Version: version, Variant: strings.Repeat("cuda-fp16-", 6), Stages: slot.Stages(), WayBack: true, Problem: "x"}, {}},
		Stages: map[slot.Stage]installer.StageStatus{
			slot.Demo:  {Version: version, Variant: strings.Repeat("cuda-fp16-", 6), Enabled: true, At: at},
			slot.Live:  {Version: version, Variant: strings.Repeat("cuda-fp16-", 6), Enabled: false, At: at, Previous: version},
			slot.Paper: {Version: version, Variant: "x", Enabled: true, At: at},
		},
		Waiting:   []installer.Waiting{{Stage: slot.Live, Version: version, Roles: []string{"operator", "compliance", strings.Repeat("role-of-our-own-", 4)}, People: []string{strings.Repeat("katarzyna-", 6)}}, {Stage: slot.Paper, Version: version}},
		LastCheck: &installer.LastCheck{Stage: slot.Live, At: time.Date(2025, 9, 30, 12, 0, 0, 0, time.UTC), Code: fault.SignatureUntrusted},
	}
	b.status.Stop = &installer.Stop{At: at, Operator: strings.Repeat("katarzyna-", 9)}
	b.status.Emergencies = []installer.EmergencyView{{Version: version, Reason: strings.Repeat("powód bez końca ", 20), By: strings.Repeat("katarzyna-", 9), At: at, People: []string{"jan", strings.Repeat("katarzyna-", 6)}, SecondsLeft: 7200}}
	b.status.Program = &installer.Programs{Running: installer.ProgramInfo{Version: version}, Installed: &installer.ProgramInfo{Version: version}, Relation: "older"}
	s := &start{w: b.Window}
	b.current = nil
	b.show(s)
	b.everywhere("long-start")
	b.sees("TRYB AWARYJNY", "Przegląd jest zaległy", "STARSZY niż zainstalowany")

	src := newSource(b.Window, nil)
	place := "/run/media/operator/" + strings.Repeat("NOSNIK-Z-DLUGA-NAZWA-", 4)
	src.told = true
	src.gone = place
	src.media = []medium{
		{searched: true, drive: hwprobe.Drive{Mount: place, Label: "X", Removable: true}, bundles: []foundBundle{
			{path: place + "/a.tar.zst", family: family, version: version, created: time.Now(), variants: 12, size: 123_456_789_012},
			{path: place + "/" + strings.Repeat("bez-spacji", 20) + ".tar.zst", problem: fault.New(fault.Format, "no")},
			{path: place + "/c.tar.zst.volumes.sig", family: family, version: version, variants: 1, size: 1, volumes: 99, missing: []int{1, 2, 3, 4, 5, 6, 77}},
		}},
		{drive: hwprobe.Drive{Mount: place + "2", Removable: true}},
		{searched: true, drive: hwprobe.Drive{Mount: place + "3", Removable: true}},
	}
	src.chosen = place + "/a.tar.zst"
	b.current = nil
	b.shell.of = nil
	b.Window.current = quiet{src}
	b.redraw()
	b.everywhere("long-source")
}

// quiet shows a screen without starting what it starts.
type quiet struct{ s screen }

func (q quiet) page() page { return q.s.page() }
