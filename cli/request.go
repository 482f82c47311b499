package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// requestVerb makes the file for a person who signs elsewhere.
func (a *app) requestVerb() *cobra.Command {
	var stage, version, person, operator, out string
	return a.verb("request --stage paper|live --out FILE", "signoff.request", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&stage, "stage", "", a.t("flag.stage"))
		f.StringVar(&version, "version", "", a.t("flag.version"))
		f.StringVar(&person, "for", "", a.t("flag.request-for"))
		f.StringVar(&operator, "operator", "", a.t("flag.operator"))
		f.StringVar(&out, "out", "", a.t("flag.request-out"))
	}, func(ctx context.Context, _ []string) (result, error) {
		s := slot.Stage(stage)
		if s != slot.Paper && s != slot.Live {
			return nil, usage("--stage %q, want paper or live", stage)
		}
		if out == "" {
			return nil, usage("--out FILE is missing: the file that the person gets")
		}
		in, err := a.installer(firstOr(operator, account()))
		if err != nil {
			return nil, err
		}
		tested, err := in.Reopen(ctx, version)
		if err != nil {
			return nil, err
		}
		if err := mayWrite(out); err != nil {
			return nil, err
		}
		r, err := in.SignOffRequest(ctx, tested, installer.RequestOptions{Stage: s, Person: person})
		if err != nil {
			return nil, err
		}
		if err := writeNew(out, r.File, 0o644); err != nil {
			return nil, err
		}
		v := &requestMade{Path: out, SHA384: r.SHA384, Kept: r.Path, Stage: stage, Version: tested.Record().Version, Voided: r.Voided}
		if trust, err := a.trustShown(""); err == nil {
			for _, root := range trust.(*trustView).Roots {
				v.Fingerprints = append(v.Fingerprints, root.First)
			}
		}
		return v, nil
	})
}

// mayWrite refuses a name that is taken, before anything is logged for it.
func mayWrite(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fault.New(fault.Exists, "%q exists", path).With("path", path)
	}
	return nil
}

type requestMade struct {
	Path         string                      `json:"path"`
	SHA384       bundle.Digest               `json:"sha384"`
	Kept         string                      `json:"kept"` // the copy here
	Stage        string                      `json:"stage"`
	Version      string                      `json:"version"`
	Fingerprints []string                    `json:"fingerprints"` // of the first trust roots: the person compares them
	Voided       []installer.VoidedSignature `json:"voided,omitempty"`
}

func (r *requestMade) text(p *printer) {
	p.voided("signoff.voided", r.Voided)
	p.line("%s %s", p.mark("ok"), p.t("request.made", "path", r.Path, "stage", r.Stage, "version", r.Version))
	p.field("SHA-384", r.SHA384.String())
	p.say("request.how", "file", filepath.Base(r.Path))
}

// requestTrust are what a person knows about vendor and site on another machine.
type requestTrust struct {
	dir          string
	fingerprints []string
}

func (t *requestTrust) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&t.dir, "trust", "", a.t("flag.request-trust"))
	f.StringArrayVar(&t.fingerprints, "fingerprint", nil, a.t("flag.request-fingerprint"))
}

func (t *requestTrust) options() installer.TrustOptions {
	return installer.TrustOptions{Dir: t.dir, Fingerprints: t.fingerprints}
}

// signRequestVerb signs a request on any machine: no installation, no privilege.
func (a *app) signRequestVerb() *cobra.Command {
	var s signoffFlags
	var trust requestTrust
	var out string
	return a.verb("sign REQUEST --key K --fingerprint \"XXXX …\"…", "signoff.sign", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		trust.add(a, f)
		f.StringVar(&s.role, "role", "", a.t("flag.as-role"))
		s.keys.add(a, f)
		f.StringVar(&s.answers, "answers", "", a.t("flag.answers"))
		f.StringVar(&s.template, "template", "", a.t("flag.template"))
		f.StringVar(&s.operator, "operator", "", a.t("flag.request-person"))
		f.StringVar(&s.meaning, "meaning", "", a.t("flag.meaning"))
		f.BoolVar(&s.refuse, "refuse", false, a.t("flag.refuse"))
		f.StringVar(&s.reason, "reason", "", a.t("flag.reason"))
		f.StringVar(&out, "out", "", a.t("flag.signed-out"))
	}, func(ctx context.Context, args []string) (result, error) { return s.signRequest(a, args[0], out, trust) })
}

func (s *signoffFlags) signRequest(a *app, file, out string, trust requestTrust) (result, error) {
	if err := s.checkChoices(); err != nil {
		return nil, err
	}
	if out == "" {
		out = strings.TrimSuffix(file, filepath.Ext(file)) + ".signed.json"
	}
	raw, err := readLimited(file, compliance.MaxRequestSize)
	if err != nil {
		return nil, err
	}
	q, err := installer.OpenRequest(raw, trust.options())
	if err != nil {
		return nil, err
	}
	list := q.Checklist()
	if s.template != "" {
		role, err := s.requestRole(q)
		if err != nil {
			return nil, err
		}
		if err := writeNew(s.template, list.Template(role, compliance.Lang(a.lang)), 0o644); err != nil {
			return nil, err
		}
		return &done{key: "signoff.template", pairs: []any{"path", s.template}}, nil
	}
	if err := mayWrite(out); err != nil {
		return nil, err
	}
	o := installer.RequestSignOptions{Role: s.role, Meaning: compliance.Meaning(s.meaning), Refuse: s.refuse, Reason: s.reason, Lang: string(a.lang), Now: a.env.Now()}
	if !s.refuse { // answers before the key is unlocked
		role, err := s.requestRole(q)
		if err != nil {
			return nil, err
		}
		if o.Answers, err = s.collect(a, list, role); err != nil {
			return nil, err
		}
		o.Role = role
	}
	if o.Key, err = s.keys.one(a); err != nil {
		return nil, err
	}
	answer, err := q.Sign(o)
	if err != nil {
		return nil, err
	}
	if err := writeNew(out, answer, 0o644); err != nil {
		return nil, err
	}
	_, d, err := compliance.ParseSignedRequest(answer)
	if err != nil {
		return nil, err
	}
	return &requestSigned{Path: out, Stage: string(d.Stage), Version: d.Version, Person: d.Person, Role: d.Role, Refused: d.Refused, Machine: d.Machine.KeyID}, nil
}

// requestRole finds in which role a person answers: the named one, that of the person named or asked, or the only one that
// is still missing.
func (s *signoffFlags) requestRole(q *installer.OpenedRequest) (string, error) {
	r := q.Request()
	if s.role != "" {
		return s.role, nil
	}
	if who := firstOr(s.operator, r.Person); who != "" {
		p := q.Policy().Person(who)
		if p == nil {
			return "", fault.New(fault.PolicyRefuses, "nobody with id %q is in the site's policy", who).With("person", who)
		}
		return q.Policy().RoleFor(p, r.Stage, "")
	}
	missing := q.Approval().MissingRoles
	if len(missing) != 1 {
		return "", usage("--operator ID or --role is missing: the stage asks for %q", q.Policy().Stages[r.Stage].Roles)
	}
	return missing[0], nil
}

type requestSigned struct {
	Path    string `json:"path"`
	Stage   string `json:"stage"`
	Version string `json:"version"`
	Person  string `json:"person"`
	Role    string `json:"role"`
	Refused bool   `json:"refused"`
	Machine string `json:"machine"` // key id of the machine it is for
}

func (r *requestSigned) text(p *printer) {
	key := "request.signed"
	if r.Refused {
		key = "request.refused"
	}
	p.line("%s %s", p.mark("ok"), p.t(key, "person", clean(r.Person), "stage", r.Stage, "version", clean(r.Version)))
	p.field(p.t("request.answer"), r.Path)
	p.say("request.back", "file", filepath.Base(r.Path))
}

// attachVerb takes in what a person signed elsewhere.
func (a *app) attachVerb() *cobra.Command {
	var operator string
	return a.verb("attach FILE", "signoff.attach", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		f.StringVar(&operator, "operator", "", a.t("flag.operator"))
	}, func(ctx context.Context, args []string) (result, error) {
		raw, err := readLimited(args[0], compliance.MaxSignedRequestSize)
		if err != nil {
			return nil, err
		}
		in, err := a.installer(firstOr(operator, account()))
		if err != nil {
			return nil, err
		}
		done, err := in.Attach(ctx, raw)
		if err != nil {
			return nil, err
		}
		return signed(in, string(done.Stage), done.Version, done), nil
	})
}
