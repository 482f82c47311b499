package cli

import (
	"bufio"
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

const maxAnswersFile = 1 << 20

type signoffFlags struct {
	stage, version, operator, role string
	keys                           keyFlags
	answers, template, meaning     string
	refuse                         bool
	reason                         string
	review                         bool
	comment                        string
}

func (a *app) signoffVerbs() []*cobra.Command {
	var s signoffFlags
	cmd := a.verb("signoff --stage paper|live --operator ID --key K", "signoff", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&s.stage, "stage", "", a.t("flag.stage"))
		f.StringVar(&s.version, "version", "", a.t("flag.version"))
		f.StringVar(&s.operator, "operator", "", a.t("flag.person"))
		f.StringVar(&s.role, "role", "", a.t("flag.as-role"))
		s.keys.add(a, f)
		f.StringVar(&s.answers, "answers", "", a.t("flag.answers"))
		f.StringVar(&s.template, "template", "", a.t("flag.template"))
		f.StringVar(&s.meaning, "meaning", "", a.t("flag.meaning"))
		f.BoolVar(&s.refuse, "refuse", false, a.t("flag.refuse"))
		f.StringVar(&s.reason, "reason", "", a.t("flag.reason"))
		f.BoolVar(&s.review, "review", false, a.t("flag.review"))
		f.StringVar(&s.comment, "comment", "", a.t("flag.comment"))
	}, func(ctx context.Context, _ []string) (result, error) {
		if s.review {
			return s.reviewed(ctx, a)
		}
		if s.comment != "" {
			return nil, usage("--comment goes with --review")
		}
		return s.run(ctx, a)
	})
	cmd.AddCommand(a.requestVerb(), a.signRequestVerb(), a.attachVerb())
	return []*cobra.Command{cmd}
}

func (s *signoffFlags) run(ctx context.Context, a *app) (result, error) {
	stage := slot.Stage(s.stage)
	if stage != slot.Paper && stage != slot.Live {
		return nil, usage("--stage %q, want paper or live", s.stage)
	}
	if s.operator == "" {
		return nil, usage("--operator is missing: the id of the person in the site's policy")
	}
	if err := s.checkChoices(); err != nil {
		return nil, err
	}
	in, err := a.installer(s.operator)
	if err != nil {
		return nil, err
	}
	tested, err := in.Reopen(ctx, s.version)
	if err != nil {
		return nil, err
	}
	list, err := in.Checklist(ctx, tested, stage)
	if err != nil {
		return nil, err
	}
	role, err := in.RoleOf(s.operator, stage, s.role)
	if err != nil {
		return nil, err
	}
	if s.template != "" {
		if err := writeNew(s.template, list.Template(role, compliance.Lang(a.lang)), 0o644); err != nil {
			return nil, err
		}
		return &done{key: "signoff.template", pairs: []any{"path", s.template}}, nil
	}
	o := installer.SignOffOptions{
		Stage: stage, Operator: s.operator, Role: role, Meaning: compliance.Meaning(s.meaning), Refuse: s.refuse, Reason: s.reason,
	}
	// The person answers before the key is unlocked: a passphrase typed early would be a blind signature.
	if !s.refuse {
		if o.Answers, err = s.collect(a, list, role); err != nil {
			return nil, err
		}
	}
	if o.Key, err = s.keys.one(a); err != nil {
		return nil, err
	}
	done, err := in.SignOff(ctx, tested, o)
	if err != nil {
		return nil, err
	}
	return signed(in, s.stage, list.Version, done), nil
}

// checkChoices looks at flags that need no installation.
func (s *signoffFlags) checkChoices() error {
	switch m := compliance.Meaning(s.meaning); m {
	case "", compliance.Prepared, compliance.Reviewed, compliance.Approved:
	default:
		return usage("--meaning %q, want prepared, reviewed or approved", s.meaning)
	}
	if s.refuse && s.reason == "" {
		return usage("--refuse wants --reason")
	}
	return nil
}

// signed says where a stage stands after a signature.
func signed(in *installer.Installer, stage, version string, done *installer.SignOffResult) result {
	r := &signoffResult{
		Stage: stage, Version: version, Complete: done.Complete, MissingRoles: done.MissingRoles, Record: done.Record,
		Report: done.Report, PDF: done.PDF, Evidence: done.Evidence, Refused: done.Refused, Envelope: done.Envelope, Form: done.Form,
		NeedsApproved: done.NeedsApproved, NeedsIndependent: done.NeedsIndependent, Voided: done.Voided,
	}
	if r.MissingRoles == nil {
		r.MissingRoles = []string{}
	}
	r.Emergency = done.Emergency
	if st, err := in.Status(); err == nil {
		r.Next = st.Next
	}
	return r
}

func (s *signoffFlags) collect(a *app, list *compliance.Checklist, role string) (*compliance.Answers, error) {
	if s.answers != "" {
		raw, err := readLimited(s.answers, maxAnswersFile)
		if err != nil {
			return nil, err
		}
		return compliance.ParseAnswers(raw)
	}
	if !a.interactive() || a.json {
		return nil, fault.New(fault.Answers, "no --answers, and there is no terminal to ask in; --template FILE writes a file to fill in")
	}
	p := &printer{app: a, w: a.env.Stderr}
	p.line("%s", list.Text(compliance.Lang(a.lang)))
	answers := list.NewAnswers(role)
	in := bufio.NewReader(a.env.Stdin)
	for i := range answers.Answers {
		if err := ask(p, in, &answers.Answers[i], list); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// ask puts one personal item to the person until there is an answer.
func ask(p *printer, in *bufio.Reader, ans *compliance.Answer, list *compliance.Checklist) error {
	step := ans.ID
	for _, it := range list.Items {
		if it.ID == ans.ID {
			text, ok := it.Text[compliance.Lang(p.app.lang)]
			if !ok {
				text = it.Text[compliance.English]
			}
			step = text.Step
		}
	}
	for {
		fmt.Fprintf(p.w, "%s %s ", clean(step), p.t("signoff.choices"))
		line, err := in.ReadString('\n')
		if err != nil {
			return fault.New(fault.Answers, "no answer to %q: %w", ans.ID, err)
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "t", "tak", "y", "yes":
			if list.Allows(ans.ID, compliance.Yes) != nil {
				p.line("%s %s", p.mark("warn"), p.t("signoff.noevidence"))
				continue
			}
			ans.Answer = compliance.Yes
			return nil
		case "n", "nie", "no":
			ans.Answer = compliance.No
		case "d", "nie dotyczy", "na", "n/a":
			ans.Answer = compliance.NotApplicable
		default:
			continue
		}
		for ans.Comment == "" {
			fmt.Fprintf(p.w, "%s ", p.t("signoff.comment"))
			line, err := in.ReadString('\n')
			if err != nil {
				return fault.New(fault.Answers, "no comment on %q: %w", ans.ID, err)
			}
			ans.Comment = strings.TrimSpace(line)
		}
		return nil
	}
}

type signoffResult struct {
	Stage        string   `json:"stage"`
	Version      string   `json:"version"`
	Refused      bool     `json:"refused"`
	Complete     bool     `json:"complete"`
	MissingRoles []string `json:"missing_roles"`
	Record       string   `json:"record"`
	Report       string   `json:"report"`
	PDF          string   `json:"pdf"`
	Evidence     string   `json:"evidence"`
	Envelope     string   `json:"envelope"` // what the person signed
	Form         string   `json:"form"`     // what they saw and answered
	Next         []string `json:"next"`

	Emergency *slot.Emergency `json:"emergency,omitempty"`

	NeedsApproved    bool                        `json:"needs_approved"`
	NeedsIndependent bool                        `json:"needs_independent"`
	Voided           []installer.VoidedSignature `json:"voided,omitempty"`
}

func (r *signoffResult) text(p *printer) {
	p.voided("signoff.voided", r.Voided)
	if e := r.Emergency; e != nil {
		p.line("%s %s", p.mark("warn"), p.bold(p.t("emergency.mark", "version", r.Version, "reason", clean(e.Reason), "by", clean(e.By))))
	}
	switch {
	case r.Refused:
		p.line("%s %s", p.mark("warn"), p.t("signoff.refused", "stage", r.Stage))
	case r.Complete:
		p.line("%s %s", p.mark("ok"), p.bold(p.t("signoff.complete", "stage", r.Stage, "version", r.Version)))
	default:
		sort.Strings(r.MissingRoles)
		p.line("%s %s", p.mark("ok"), p.t("signoff.signed", "stage", r.Stage))
		if len(r.MissingRoles) > 0 {
			p.line("%s %s", p.mark("warn"), p.t("signoff.missing", "roles", roleWords(p.app, r.MissingRoles)))
		}
		p.stillNeeded(r.NeedsApproved, r.NeedsIndependent)
	}
	p.field(p.t("signoff.record"), r.Record)
	p.field(p.t("signoff.pdf"), r.PDF)
	p.field(p.t("signoff.evidence"), r.Evidence)
	if r.Stage == "paper" && r.Complete {
		p.say("signoff.paper")
	}
	p.next(r.Next)
}

// voided names signatures that do not count any more.
func (p *printer) voided(key string, list []installer.VoidedSignature) {
	for _, v := range list {
		p.line("%s %s", p.mark("warn"), p.t(key, "person", clean(v.Person), "stage", string(v.Stage), "changed", clean(changesText(p.app.lang, v.Changed))))
	}
}

// stillNeeded says what is missing beside roles.
func (p *printer) stillNeeded(approved, independent bool) {
	switch {
	case approved:
		p.line("%s %s", p.mark("warn"), p.t("signoff.needs.approved"))
	case independent:
		p.line("%s %s", p.mark("warn"), p.t("signoff.needs.independent"))
	}
}
