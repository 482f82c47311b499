package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice/installer"
	"sluice/installer/slot"
)

// reviewed settles what an emergency owes.
func (s *signoffFlags) reviewed(ctx context.Context, a *app) (result, error) {
	switch {
	case slot.Stage(s.stage) != slot.Live:
		return nil, usage("--review is for --stage live")
	case s.operator == "":
		return nil, usage("--operator is missing: the id of the person in the site's policy")
	case strings.TrimSpace(s.comment) == "":
		return nil, usage("--review wants --comment: what you looked at and found")
	case s.answers != "" || s.template != "" || s.meaning != "" || s.role != "" || s.reason != "":
		return nil, usage("--review goes with --version, --operator, --key, --comment and --refuse only")
	}
	in, err := a.installer(s.operator)
	if err != nil {
		return nil, err
	}
	key, err := s.keys.one(a)
	if err != nil {
		return nil, err
	}
	done, err := in.Review(ctx, installer.ReviewOptions{Version: s.version, Operator: s.operator, Key: key, Comment: s.comment, Refuse: s.refuse})
	if err != nil {
		return nil, err
	}
	r := &reviewResult{ReviewResult: done}
	if st, err := in.Status(); err == nil {
		r.Next = st.Next
	}
	return r, nil
}

type reviewResult struct {
	*installer.ReviewResult
	Next []string `json:"next"`
}

func (r *reviewResult) text(p *printer) {
	if r.Accepted {
		p.line("%s %s", p.mark("ok"), p.bold(p.t("emergency.accepted", "version", r.Version, "person", clean(r.Person))))
	} else {
		p.line("%s %s", p.mark("warn"), p.bold(p.t("emergency.refused", "version", r.Version, "person", clean(r.Person))))
	}
	p.field(p.t("signoff.record"), r.Envelope)
	p.next(r.Next)
}

// emergency shows what came without the vendor's signature, and what it owes.
func (p *printer) emergency(e *installer.EmergencyView) {
	p.line("%s %s", p.mark("warn"), p.bold(p.t("emergency.mark", "version", e.Version, "reason", clean(e.Reason), "by", clean(e.By))))
	switch {
	case e.Review == "accepted":
		p.line("  %s", p.t("emergency.accepted", "version", e.Version, "person", clean(e.Reviewer)))
	case e.Review == "refused":
		p.line("  %s", p.t("emergency.refused", "version", e.Version, "person", clean(e.Reviewer)))
	case len(e.People) == 0:
		p.line("  %s", p.t("emergency.owed-nobody"))
	default:
		p.line("  %s", p.t("emergency.owed", "people", clean(strings.Join(e.People, ", "))))
	}
	if e.SecondsLeft > 0 {
		p.line("  %s", p.t("emergency.left", "left", duration(e.SecondsLeft)))
	}
}

// duration is hours and minutes.
func duration(seconds int64) string {
	d := (time.Duration(seconds) * time.Second).Round(time.Minute)
	return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
}
