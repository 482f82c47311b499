package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"sluice/installer"
	"sluice/installer/slot"
)

func (a *app) statusVerbs() []*cobra.Command {
	return []*cobra.Command{a.verb("status", "status", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		s, err := in.Status()
		if err != nil {
			return nil, err
		}
		return &statusResult{s}, nil
	})}
}

type statusResult struct{ *installer.Status }

func (r *statusResult) text(p *printer) {
	p.line("%s", p.bold(p.t("status.head", "root", r.Root)))
	if !r.Trust {
		p.line("%s %s", p.mark("warn"), p.t("status.notrust"))
	}
	if !r.Policy {
		p.line("%s %s", p.mark("warn"), p.t("status.nopolicy"))
	}
	if r.ModelFamily != "" {
		p.field(p.t("family"), r.ModelFamily)
	}
	if r.Floor != "" {
		p.field(p.t("status.floor"), r.Floor)
	}
	if r.Program != nil {
		p.field(p.t("program.this"), clean(firstOr(r.Program.Running.Version, "?"))+" "+r.Program.Running.SHA384.String())
		if i := r.Program.Installed; i != nil && r.Program.Relation != installer.ProgramSame {
			p.field(p.t("program.installed"), clean(firstOr(i.Version, "?"))+" "+i.SHA384.String())
			p.relation(r.Program.Relation, r.Program.Running.Version, i.Version)
		}
	}
	p.line("")
	rows := [][]string{{p.t("status.stage"), p.t("version"), p.t("variant"), p.t("status.state"), p.t("status.since")}}
	for _, s := range slot.Stages() {
		st, ok := r.Stages[s]
		if !ok {
			rows = append(rows, []string{string(s), "-", "", p.t("status.empty"), ""})
			continue
		}
		state := p.t("status.on")
		if !st.Enabled {
			state = p.t("status.off")
		}
		if st.Revoked {
			state = p.t("status.revoked")
		}
		if st.Emergency != nil {
			state += ", " + p.t("emergency.short")
		}
		rows = append(rows, []string{string(s), st.Version, st.Variant, state, st.At})
	}
	p.table(rows...)
	if len(r.Versions) > 0 {
		p.line("")
		versionTable(p, r.Versions)
	}
	for _, w := range r.Waiting {
		p.voided("status.void", w.Void)
		p.line("%s %s", p.mark("warn"), p.t("status.waiting", "version", w.Version, "stage", string(w.Stage), "roles", roleWords(p.app, w.Roles), "people", clean(strings.Join(w.People, ", "))))
		p.stillNeeded(w.NeedsApproved && len(w.Roles) == 0, w.NeedsIndependent)
	}
	for i := range r.Emergencies {
		p.emergency(&r.Emergencies[i])
	}
	if r.Stop != nil {
		p.line("%s %s", p.mark("warn"), p.t("live.logfollows"))
	}
	for _, x := range r.Problems {
		p.line("%s %s %s", p.mark("bad"), x.Code, clean(x.Message))
	}
	if r.Trust {
		knowledgeLines(p, r.Knowledge)
	}
	if r.Busy != "" {
		p.line("%s %s", p.mark("warn"), p.t("status.busy", "holder", clean(r.Busy)))
	}
	if r.LastCheck != nil {
		state := "ok"
		if !r.LastCheck.OK {
			state = string(r.LastCheck.Code)
		}
		p.field(p.t("status.lastcheck"), r.LastCheck.At.Format("2006-01-02 15:04:05Z07:00")+" "+string(r.LastCheck.Stage)+": "+state)
	}
	p.next(r.Next)
}
