package installer

import (
	"maps"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// Approvals says who has signed for a stage of a tested version, and whose signatures are missing; those after which
// something changed do not count (VoidSignatures names them). It writes nothing.
// After a refusal nobody's signature counts; only who refused may sign anew. Errors: those of compliance.CheckApprovals.
func (in *Installer) Approvals(t *Tested, stage slot.Stage) (*compliance.Approval, error) {
	a, _, err := in.approvals(t, stage)
	return a, err
}

// VoidSignatures are those of a stage that do not count any more, each with what changed after it. The next signature sets
// them aside for good. It writes nothing.
func (in *Installer) VoidSignatures(t *Tested, stage slot.Stage) ([]VoidedSignature, error) {
	_, void, err := in.approvals(t, stage)
	return void, err
}

func (in *Installer) approvals(t *Tested, stage slot.Stage) (*compliance.Approval, []VoidedSignature, error) {
	if !t.valid() || !t.token.of(in) {
		return nil, nil, noToken("approvals", "smoke")
	}
	var void []VoidedSignature
	out, _, err := readQuietly(in, func(g ground) (*compliance.Approval, error) {
		policy, err := g.policy()
		if err != nil {
			return nil, err
		}
		a, err := g.dir.Approvals(g.ledger, policy, stage, t.record, t.auth.ManifestBytes())
		if fault.CodeOf(err) == fault.SignoffRefused { // its author may sign anew, which withdraws it
			anew, old, err := g.dir.Anew(g.ledger, policy, stage, t.record, t.auth.ManifestBytes())
			if err != nil {
				return nil, err
			}
			for _, s := range old {
				void = append(void, VoidedSignature{Stage: stage, Person: s.Person, Path: g.dir.Abs(s.Path), Changed: changeCode(compliance.ChangedRefusal, "open")})
			}
			return anew.Approval, nil
		}
		if err != nil {
			return nil, err
		}
		if edited, err := g.paperEdited(stage); edited || err != nil { // signing anew writes the record anew
			for _, s := range a.SignOffs {
				void = append(void, VoidedSignature{Stage: stage, Person: s.Person, Path: g.dir.Abs(s.Path), Changed: changeCode(compliance.ChangedRecord, "changed")})
			}
			return &compliance.Approval{MissingRoles: policy.Stages[compliance.Stage(stage)].Roles, NeedsApproved: true, Signed: []compliance.Signed{}}, err
		}
		if void, err = g.void(stage, t.record, t.auth.ManifestBytes(), policy, a); err != nil || len(void) == 0 {
			return a.Approval, err
		}
		return &compliance.Approval{MissingRoles: policy.Stages[compliance.Stage(stage)].Roles, NeedsApproved: true, Signed: []compliance.Signed{}}, nil
	})
	return out, void, err
}

// void are the signatures of a version that is not at the stage yet after which something changed, as far as that can be
// said without reading the models: whoever signs or enables looks at everything.
func (g ground) void(stage slot.Stage, r *slot.Record, manifest []byte, policy *compliance.Policy, a *slot.Approvals) ([]VoidedSignature, error) {
	if standing, err := g.standing(stage, &Tested{record: r}); err != nil || standing {
		return nil, err
	}
	m, err := bundle.ParseManifest(manifest)
	if err != nil {
		return nil, err
	}
	now, err := compliance.BuildChecklist(compliance.ChecklistOptions{Stage: compliance.Stage(stage), Manifest: m, ManifestSHA384: r.ManifestSHA384, Policy: policy})
	if err != nil {
		return nil, err
	}
	var out []VoidedSignature
	for i, one := range a.Signed {
		found := maps.Clone(one.Form.Evidence)
		maps.Copy(found, now.Evidence)
		maps.Copy(found, r.ProofFacts())
		asked := *now
		asked.Evidence = found
		if changed := one.Form.Changes(&asked); len(changed) > 0 {
			out = append(out, VoidedSignature{Stage: stage, Person: one.Person, Path: g.dir.Abs(a.SignOffs[i].Path), Changed: compliance.ChangeCodes(changed)})
		}
	}
	return out, nil
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
