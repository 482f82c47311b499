package installer

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"sluice/audit"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/verify"
)

// Versions lists what is installed, the newest version first. It verifies nothing.
func (in *Installer) Versions() ([]VersionInfo, error) {
	dir, err := slot.Open(in.c.Root)
	if fault.CodeOf(err) == fault.BundleMissing {
		return []VersionInfo{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	out, err := versions(dir)
	if err != nil {
		return nil, err
	}
	if v, verr := in.look(); verr == nil { // without sound logs status and check say so
		markEmergencies(out, dir, v.ledger)
		v.close()
	}
	return out, nil
}

// markEmergencies says of each version whether it came by emergency.
func markEmergencies(versions []VersionInfo, dir *slot.Dir, l *slot.Ledger) {
	for _, m := range l.Done(slot.EventActivate) {
		for i := range versions {
			if versions[i].Folder == dir.Abs(m.Path) {
				versions[i].Emergency = slot.EmergencyOf(m)
			}
		}
	}
}

func versions(dir *slot.Dir) ([]VersionInfo, error) {
	found, err := dir.Versions()
	if err != nil {
		return nil, err
	}
	out := []VersionInfo{}
	for _, v := range found {
		i := VersionInfo{Folder: dir.Abs(v.Folder), Stages: []slot.Stage{}}
		if v.Installed != nil {
			i.Version, i.Variant, i.ManifestSHA384 = v.Installed.Version, v.Installed.Variant, v.Installed.ManifestSHA384
		}
		if v.Problem != nil {
			i.Problem = v.Problem.Error()
		}
		for _, stage := range slot.Stages() {
			r, _, err := dir.Record(stage)
			if err != nil || r == nil {
				continue
			}
			if r.Folder == v.Folder {
				i.Stages = append(i.Stages, stage)
			}
			i.WayBack = i.WayBack || r.Previous != nil && r.Previous.Folder == v.Folder
		}
		out = append(out, i)
	}
	return out, nil
}

// Status says what is installed, what runs on which stage, whose signatures are missing, and what comes next. It
// writes nothing and takes no lock; what is wrong stands in Problems instead of an error.
func (in *Installer) Status() (*Status, error) {
	for attempt := 0; ; attempt++ {
		s, moved, err := in.status()
		if err != nil || len(s.Problems) == 0 || !moved || attempt == looks {
			return s, err
		}
		time.Sleep(20 * time.Millisecond) // a writer is at work: what looks wrong may be half of a change
	}
}

func (in *Installer) status() (s *Status, moved bool, err error) {
	s = &Status{Knowledge: in.knowledge(slot.Evidence{At: in.c.Built, Source: slot.EvidenceBuild}, nil), Root: in.c.Root, Versions: []VersionInfo{}, Stages: map[slot.Stage]StageStatus{}, Waiting: []Waiting{}, Bots: []Bot{}, Problems: []Problem{}, Emergencies: []EmergencyView{}, Next: []string{}}
	program, err := in.running(context.Background())
	if err == nil {
		s.Program = program
	}
	s.problem(err)
	dir, err := slot.Open(in.c.Root)
	if fault.CodeOf(err) == fault.BundleMissing {
		s.Next = trustCommand(verify.Oem)
		return s, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	pulse := dir.Pulse()
	if err := s.fill(in, dir); err != nil {
		return nil, false, err
	}
	return s, dir.Pulse() != pulse, nil
}

func (s *Status) problem(err error) {
	if err == nil {
		return
	}
	if p := (Problem{Code: fault.CodeOf(err), Message: err.Error()}); !slices.Contains(s.Problems, p) {
		s.Problems = append(s.Problems, p)
	}
}

func (s *Status) fill(in *Installer, dir *slot.Dir) error {
	var err error
	if s.Versions, err = versions(dir); err != nil {
		return err
	}
	s.busy(in)
	store, err := dir.Roots()
	s.problem(err)
	if err != nil {
		store = nil
	}
	s.Trust = err == nil && store.Has(verify.Oem)
	site := err == nil && store.Has(verify.Site)
	g := ground{in: in, dir: dir, ledger: &slot.Ledger{}}
	v, err := in.look()
	s.problem(err)
	if err == nil {
		defer v.close()
		g.ledger = v.ledger
		s.lastCheck(v.logs)
		h, err := history(in, dir, v.ledger)
		s.problem(err)
		s.ModelFamily, s.Floor = h.Family, h.Floor
		s.Knowledge, err = g.knowledge()
		s.problem(err)
		markEmergencies(s.Versions, dir, v.ledger)
	}
	sound := err == nil // without logs, nothing can be compared
	if dir.Stopped() {
		m := dir.Stop()
		s.Stop = &Stop{At: m.At, Operator: m.Operator, Reason: m.Reason}
	}
	records := map[slot.Stage]*slot.Record{}
	for _, stage := range slot.Stages() {
		r, _, err := dir.Record(stage)
		if err == nil && sound {
			r, _, err = g.record(stage)
		}
		s.problem(err)
		if r == nil {
			continue
		}
		records[stage] = r
		st := StageStatus{Version: r.Version, Variant: r.Variant, Engine: r.Engine.Kind, Enabled: r.Enabled, At: r.At}
		if stage == slot.Live && s.Stop != nil {
			st.Enabled, st.At = false, s.Stop.At
		}
		if r.Previous != nil {
			st.Previous = r.Previous.Version
		}
		if store != nil {
			if _, err := dir.Authentic(store, r.Folder, r.Judged()); fault.CodeOf(err) == fault.Revoked {
				st.Revoked = true
				s.problem(err)
			}
		}
		s.Stages[stage] = st
	}
	s.bots(in, dir)
	var policy *compliance.Policy
	if sound && store != nil {
		policy, err = g.policy()
		s.problem(err)
		s.Policy = policy != nil
	}
	s.Emergencies = g.emergencies(policy, records)
	for stage, st := range s.Stages {
		st.Emergency = emergencyView(s.Emergencies, records[stage])
		s.Stages[stage] = st
	}
	if sound && s.Program != nil {
		s.problem(in.installedProgram(context.Background(), dir, g.ledger, s.Program))
	}
	s.Next = s.next(g, records, policy, site)
	switch {
	case sound && records[slot.Demo] == nil && dir.Exists(slot.Demo.RecordFile()) && len(s.Versions) > 0 && s.Versions[0].Version != "":
		s.Next = []string{"smoke", "--version", s.Versions[0].Version} // writes the demo record anew
	case len(s.Problems) > 0 && len(s.Next) > 0 && s.Next[0] == "check": // the gate need not notice all that is wrong here
		s.Next = []string{"log", "verify"}
	}
	return nil
}

// bots are those with a lease.
func (s *Status) bots(in *Installer, dir *slot.Dir) {
	leases, err := dir.Leases()
	s.problem(err)
	now := in.c.Clock()
	for _, l := range leases {
		b := Bot{Name: l.Name, Stage: l.Stage, Version: l.Version, PID: l.PID, Host: l.Host, Started: l.Started, Renewed: l.Renewed,
			Stopped: l.Stopped, State: BotRunning, Confirmed: l.Stopped != ""}
		switch {
		case b.Confirmed:
			b.State = BotStopped
		case l.Silent(now):
			b.State = BotSilent
		}
		b.MustStop = l.Stage == "" || dir.InForce(l.Stage, l.ManifestSHA384) != nil
		s.Bots = append(s.Bots, b)
	}
}

func (s *Status) busy(in *Installer) {
	if name, pid := fsx.Holder(in.abs(slot.LockFile)); pid != 0 && running(pid) {
		s.Busy = name
	}
}

// running says whether a process is there: one that was killed could not give back what names it as the holder.
func running(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false // Windows says so here
	}
	defer p.Release()
	if runtime.GOOS == "windows" {
		return true
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}

func (s *Status) lastCheck(logs *audit.Logs) {
	if logs == nil {
		return
	}
	for _, stage := range slot.Stages() {
		lines, err := logs.Read(audit.Log(stage.Log()), audit.Filter{Event: "check", Last: 1})
		if err != nil || len(lines) == 0 {
			continue
		}
		e := lines[0].Entry
		at, err := time.Parse(time.RFC3339, e.Timestamp)
		if err == nil && (s.LastCheck == nil || at.After(s.LastCheck.At)) {
			s.LastCheck = &LastCheck{Stage: stage, At: at, OK: e.Code == "", Code: fault.Code(e.Code)}
		}
	}
}

// lostSignature says whether a stage that was complete is not any more, because a person's key was revoked.
func (s *Status) lostSignature(g ground, policy *compliance.Policy, r *slot.Record) bool {
	raw, err := g.dir.Read(r.Folder+"/"+slot.ManifestFile, slot.MaxManifest)
	if err != nil {
		return false // whoever verifies the folder says what is wrong with it
	}
	if err := g.dir.CheckLadder(g.ledger, policy, r, raw); fault.CodeOf(err) == fault.Revoked {
		s.problem(err)
		return true
	}
	return false
}

// next finds what waits for whom, and the command that comes next.
func (s *Status) next(g ground, records map[slot.Stage]*slot.Record, policy *compliance.Policy, site bool) []string {
	demo, paper, live := records[slot.Demo], records[slot.Paper], records[slot.Live]
	on := live != nil && live.Enabled && s.Stop == nil
	signOff := func(stage slot.Stage, r *slot.Record) []string {
		w := Waiting{Stage: stage, Version: r.Version, Roles: []string{}, People: []string{}}
		raw, err := g.dir.Read(r.Folder+"/"+slot.ManifestFile, slot.MaxManifest)
		s.problem(err)
		if err != nil {
			return nil
		}
		a, err := g.dir.Approvals(g.ledger, policy, stage, r, raw)
		if who, ok := fault.DetailOf(err)["person"].(string); ok && fault.CodeOf(err) == fault.SignoffRefused { // theirs to take back
			s.problem(err)
			return []string{"signoff", "--stage", string(stage), "--operator", who, "--key", "<" + who + ".key>"}
		}
		if err != nil {
			s.problem(err)
			return nil
		}
		w.Void, err = g.void(stage, r, raw, policy, a)
		s.problem(err)
		if a.Complete && len(w.Void) == 0 {
			return nil
		}
		w.Roles, w.NeedsApproved, w.NeedsIndependent = a.MissingRoles, a.NeedsApproved, a.NeedsIndependent
		if len(w.Void) > 0 { // all sign anew
			a = &slot.Approvals{Approval: &compliance.Approval{MissingRoles: policy.Stages[compliance.Stage(stage)].Roles}}
			w.Roles = a.MissingRoles
		}
		for i := range policy.People {
			p := &policy.People[i]
			signed := slices.ContainsFunc(a.SignOffs, func(o slot.SignOff) bool { return o.Person == p.ID })
			fills := len(a.MissingRoles) == 0 || slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(a.MissingRoles, r) })
			if policy.Active(p) && !signed && fills {
				w.People = append(w.People, p.ID)
			}
		}
		s.Waiting = append(s.Waiting, w)
		who := "<person>"
		if len(w.People) > 0 {
			who = w.People[0]
		}
		return []string{"signoff", "--stage", string(stage), "--operator", who, "--key", "<" + who + ".key>"}
	}
	switch {
	case demo == nil && !s.Trust:
		return trustCommand(verify.Oem)
	case demo == nil:
		return []string{"install", "<bundle.tar.zst>"}
	case policy == nil && !site:
		return trustCommand(verify.Site)
	case policy == nil:
		return []string{"policy", "init", "--key", "<site.key>"}
	case len(policy.People) == 0:
		return []string{"people", "add", "--id", "<id>", "--name", "<name>", "--role", "operator", "--pub", "<name.pub>", "--key", "<site.key>"}
	}
	for _, stage := range []slot.Stage{slot.Paper, slot.Live} { // a signature was lost to a revocation
		if r := records[stage]; r != nil && s.lostSignature(g, policy, r) {
			if cmd := signOff(stage, r); cmd != nil {
				return cmd
			}
		}
	}
	if !paper.Same(demo) {
		if cmd := signOff(slot.Paper, demo); cmd != nil {
			return cmd
		}
	}
	if cmd := s.reviewNext(paper, live, on); cmd != nil {
		return cmd
	}
	if paper != nil && !(on && live.Same(paper)) && !rolledBackFrom(live, paper) {
		if cmd := signOff(slot.Live, paper); cmd != nil {
			return cmd
		}
		return []string{"live", "enable"}
	}
	if live != nil && !on {
		return []string{"live", "enable"}
	}
	return []string{"check", "--stage", "live"}
}

// reviewNext is the command that signs the review which live waits for; nil when an emergency may still go live before it.
func (s *Status) reviewNext(paper, live *slot.Record, on bool) []string {
	owed := 0
	for _, e := range s.Emergencies {
		if e.Review == "owed" {
			owed++
		}
	}
	for _, e := range s.Emergencies {
		if e.Review != "owed" {
			continue
		}
		unused := e.LiveHours > 0 && !e.LiveUsed && paper != nil && paper.Emergency != nil && paper.Version == e.Version
		if unused && owed == 1 {
			continue
		}
		who := "<person>"
		if len(e.People) > 0 {
			who = e.People[0]
		}
		return []string{"signoff", "--stage", string(slot.Live), "--review", "--version", e.Version, "--operator", who,
			"--key", "<" + who + ".key>", "--comment", "<what you looked at>"}
	}
	if paper != nil && paper.Emergency != nil && !(on && live.Same(paper)) {
		if e := emergencyView(s.Emergencies, paper); e != nil && (e.LiveHours == 0 || e.Review == "refused") {
			return []string{"install", "<bundle.tar.zst signed by the vendor>"}
		}
	}
	return nil
}

func trustCommand(of verify.Root) []string {
	return []string{"trust", "init", "--of", string(of), "--from", "<1.root.json>", "--fingerprint", "<from the delivery note>"}
}
