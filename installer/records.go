package installer

import (
	"sluice/compliance"
	"sluice/installer/slot"
)

// Approvals says who has signed for a stage of a tested version, and whose signatures are missing. It writes nothing.
// Error: E-SIGNOFF-REFUSED when somebody refused, and those of compliance.CheckApprovals.
func (in *Installer) Approvals(t *Tested, stage slot.Stage) (*compliance.Approval, error) {
	if !t.valid() || !t.token.of(in) {
		return nil, noToken("approvals", "smoke")
	}
	out, _, err := readQuietly(in, func(g ground) (*compliance.Approval, error) {
		policy, err := g.policy()
		if err != nil {
			return nil, err
		}
		a, err := g.dir.Approvals(g.ledger, policy, stage, t.record, t.auth.ManifestBytes())
		if err != nil {
			return nil, err
		}
		return a.Approval, nil
	})
	return out, err
}

// Records are the records of the stages as the log knows them, for whoever shows them. It verifies no artifact and writes
// nothing.
func (in *Installer) Records() (map[slot.Stage]*slot.Record, error) {
	out, root, err := readQuietly(in, func(g ground) (map[slot.Stage]*slot.Record, error) {
		out := map[slot.Stage]*slot.Record{}
		for _, stage := range slot.Stages() {
			r, _, err := g.record(stage)
			if err != nil {
				return nil, err
			}
			if r != nil {
				out[stage] = r
			}
		}
		return out, nil
	})
	if !root {
		return map[slot.Stage]*slot.Record{}, nil
	}
	return out, err
}
