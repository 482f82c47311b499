package cli

import (
	"context"
	"crypto/ed25519"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// limitFlags are the settings of a policy that are no people: only those that were given change anything.
type limitFlags struct {
	flags         *pflag.FlagSet
	closeOnExpiry bool
	maxAgeDays    int
	emergency     int
	checklist     string
	roles         []string
}

func (l *limitFlags) add(a *app, f *pflag.FlagSet) {
	l.flags = f
	f.BoolVar(&l.closeOnExpiry, "close-on-expiry", false, a.t("flag.close-on-expiry"))
	f.IntVar(&l.maxAgeDays, "max-age-days", 0, a.t("flag.max-age-days"))
	f.IntVar(&l.emergency, "emergency-live-hours", 0, a.t("flag.emergency-live-hours"))
	f.StringVar(&l.checklist, "checklist", "", a.t("flag.site-checklist"))
	f.StringArrayVar(&l.roles, "roles", nil, a.t("flag.stage-roles"))
}

// stages reads "live=operator,compliance,risk".
func (l *limitFlags) stages(old map[compliance.Stage]compliance.StagePolicy) (map[compliance.Stage]compliance.StagePolicy, error) {
	out := maps.Clone(old)
	for _, r := range l.roles {
		stage, roles, ok := strings.Cut(r, "=")
		if s := compliance.Stage(stage); !ok || s != compliance.Paper && s != compliance.Live {
			return nil, usage("--roles %q, want for example live=operator,compliance,risk", r)
		}
		out[compliance.Stage(stage)] = compliance.StagePolicy{Roles: strings.Split(roles, ",")}
	}
	return out, nil
}

// apply says whether any was given.
func (l *limitFlags) apply(p *compliance.Policy) (any bool, err error) {
	if l.emergency < 0 || l.emergency > compliance.MaxEmergencyHours {
		return false, usage("--emergency-live-hours %d, want 0 to %d", l.emergency, compliance.MaxEmergencyHours)
	}
	stages, err := l.stages(p.Stages)
	if err != nil {
		return false, err
	}
	items := p.Checklist
	if l.checklist != "" {
		raw, err := readLimited(l.checklist, compliance.MaxItemsSize)
		if err != nil {
			return false, err
		}
		if items, err = compliance.ParseItems(raw); err != nil {
			return false, withPath(err, l.checklist)
		}
	}
	for name, set := range map[string]func(){
		"checklist": func() { p.Checklist = items },
		"roles":     func() { p.Stages = stages },

		"close-on-expiry": func() { p.CloseOnExpiry = l.closeOnExpiry },
		"max-age-days":    func() { p.MaxAgeDays = l.maxAgeDays },

		"emergency-live-hours": func() { p.EmergencyLiveHours = l.emergency },
	} {
		if l.flags.Changed(name) {
			set()
			any = true
		}
	}
	return any, nil
}

func (a *app) policyVerbs() []*cobra.Command {
	var initKeys, setKeys, addKeys, retireKeys keyFlags
	var initLimits, setLimits limitFlags
	var requireModels bool
	policyInit := a.verb("init --key SITEKEY", "policy.init", cobra.NoArgs, func(f *pflag.FlagSet) {
		initKeys.add(a, f)
		f.BoolVar(&requireModels, "require-models", true, a.t("flag.require-models"))
		initLimits.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) {
		return a.changePolicy(ctx, &initKeys, func(old *compliance.Policy) (*compliance.Policy, error) {
			if old != nil {
				return nil, fault.New(fault.Exists, "there is a policy already (number %d): change its people with people add and people retire", old.Number).With("path", slot.PolicyFile)
			}
			p := &compliance.Policy{
				Schema: compliance.PolicySchema, Number: 1, People: []compliance.Person{}, Stages: compliance.DefaultStages(),
				RequireModels: requireModels,
			}
			_, err := initLimits.apply(p)
			return p, err
		})
	})
	var setRequire bool
	set := a.verb("set [--checklist FILE] [--roles STAGE=ROLES] [--max-age-days N] [--close-on-expiry] [--emergency-live-hours N] --key SITEKEY", "policy.set", cobra.NoArgs, func(f *pflag.FlagSet) {
		setKeys.add(a, f)
		setLimits.add(a, f)
		f.BoolVar(&setRequire, "require-models", true, a.t("flag.require-models"))
	}, func(ctx context.Context, _ []string) (result, error) {
		return a.changePolicy(ctx, &setKeys, func(old *compliance.Policy) (*compliance.Policy, error) {
			next, err := nextPolicy(old)
			if err != nil {
				return nil, err
			}
			given, err := setLimits.apply(next)
			if setLimits.flags.Changed("require-models") {
				next.RequireModels, given = setRequire, true
			}
			if err == nil && !given {
				err = usage("policy set wants a setting to change: --checklist, --roles, --require-models, --max-age-days, --close-on-expiry or --emergency-live-hours")
			}
			return next, err
		})
	})
	show := a.verb("show", "policy.show", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) {
		return a.policyShown()
	})

	var id, name, pub string
	var roles []string
	add := a.verb("add --id ID --name NAME --role ROLE --pub FILE --key SITEKEY", "people.add", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&id, "id", "", a.t("flag.person-id"))
		f.StringVar(&name, "name", "", a.t("flag.person-name"))
		f.StringArrayVar(&roles, "role", nil, a.t("flag.role"))
		f.StringVar(&pub, "pub", "", a.t("flag.pub"))
		addKeys.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) {
		if id == "" || name == "" || pub == "" || len(roles) == 0 {
			return nil, usage("people add wants --id, --name, --role, --pub and --key")
		}
		key, err := readPublicKey(pub)
		if err != nil {
			return nil, err
		}
		return a.changePolicy(ctx, &addKeys, func(old *compliance.Policy) (*compliance.Policy, error) {
			return addPerson(old, compliance.Person{ID: id, Name: name, Roles: roles}, key)
		})
	})
	list := a.verb("list", "people.list", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) {
		return a.policyShown()
	})
	retire := a.verb("retire ID --key SITEKEY", "people.retire", cobra.ExactArgs(1), func(f *pflag.FlagSet) { retireKeys.add(a, f) },
		func(ctx context.Context, args []string) (result, error) {
			return a.changePolicy(ctx, &retireKeys, func(old *compliance.Policy) (*compliance.Policy, error) {
				next, err := nextPolicy(old)
				if err != nil {
					return nil, err
				}
				p := next.Person(args[0])
				if p == nil {
					return nil, fault.New(fault.PolicyRefuses, "no person %q in the policy", args[0])
				}
				if p.Retired != 0 {
					return nil, fault.New(fault.PolicyRefuses, "person %q has retired already", args[0])
				}
				p.Retired = next.Number
				return next, nil
			})
		})
	return []*cobra.Command{a.parent("policy", "policy", policyInit, set, show), a.parent("people", "people", add, list, retire)}
}

func nextPolicy(old *compliance.Policy) (*compliance.Policy, error) {
	if old == nil {
		return nil, fault.New(fault.PolicyNone, "there is no policy yet")
	}
	next := *old
	next.Number++
	next.People = slices.Clone(old.People)
	return &next, nil
}

func addPerson(old *compliance.Policy, p compliance.Person, key bundle.PublicKey) (*compliance.Policy, error) {
	next, err := nextPolicy(old)
	if err != nil {
		return nil, err
	}
	p.PublicKey = string(key.PEM())
	p.Since = next.Number
	next.People = append(next.People, p)
	return next, nil
}

// changePolicy signs what change makes of the present policy and hands it to the installation, which checks it.
func (a *app) changePolicy(ctx context.Context, k *keyFlags, change func(old *compliance.Policy) (*compliance.Policy, error)) (result, error) {
	keys, err := k.load(a)
	if err != nil {
		return nil, err
	}
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	if err := setPolicy(ctx, in, keys, change); err != nil {
		return nil, err
	}
	return a.policyShown()
}

func setPolicy(ctx context.Context, in *installer.Installer, keys []ed25519.PrivateKey, change func(old *compliance.Policy) (*compliance.Policy, error)) error {
	old, err := in.Policy()
	if err != nil {
		return err
	}
	next, err := change(old)
	if err != nil {
		return err
	}
	if err := next.Validate(); err != nil {
		return err
	}
	envelope, err := compliance.SignPolicy(next, keys...)
	if err != nil {
		return err
	}
	return in.PolicySet(ctx, envelope)
}

func (a *app) policyShown() (result, error) {
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	p, err := in.Policy()
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fault.New(fault.PolicyNone, "no policy under %q", in.Root())
	}
	r := &policyView{Number: p.Number, RequireModels: p.RequireModels, CloseOnExpiry: p.CloseOnExpiry, MaxAgeDays: p.MaxAgeDays, EmergencyLiveHours: p.EmergencyLiveHours, Stages: map[string][]string{}, People: []personView{}, Checklist: append([]compliance.Item{}, p.Checklist...)}
	for s, sp := range p.Stages {
		r.Stages[string(s)] = sp.Roles
	}
	for _, person := range p.People {
		v := personView{ID: person.ID, Name: person.Name, Roles: person.Roles, Since: person.Since, Retired: person.Retired, Active: p.Active(&person)}
		if k, err := bundle.ParsePublicKey([]byte(person.PublicKey)); err == nil {
			v.Fingerprint = k.Fingerprint()
		}
		r.People = append(r.People, v)
	}
	return r, nil
}

type policyView struct {
	Number        int                 `json:"number"`
	RequireModels bool                `json:"require_models"`
	CloseOnExpiry bool                `json:"close_on_expiry"`
	MaxAgeDays    int                 `json:"max_age_days"` // 0: no limit
	Stages        map[string][]string `json:"stages"`       // roles that must sign
	People        []personView        `json:"people"`

	Checklist []compliance.Item `json:"checklist"` // the site's own questions

	EmergencyLiveHours int `json:"emergency_live_hours"` // 0: a version installed by emergency stops at paper
}

type personView struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Roles       []string `json:"roles"`
	Fingerprint string   `json:"fingerprint"`
	Since       int      `json:"since"`
	Retired     int      `json:"retired,omitempty"`
	Active      bool     `json:"active"`
}

func (r *policyView) text(p *printer) {
	p.line("%s", p.bold(p.t("policy.head", "n", r.Number)))
	for _, s := range []string{"paper", "live"} {
		p.field(p.t("policy.signs", "stage", s), roleWords(p.app, r.Stages[s]))
	}
	closing := p.t("policy.keeps")
	if r.CloseOnExpiry {
		closing = p.t("policy.closes")
	}
	p.field(p.t("policy.close-on-expiry"), closing)
	if r.MaxAgeDays > 0 {
		p.field(p.t("policy.max-age"), p.lang().Count("knowledge.days", r.MaxAgeDays))
	}
	if r.EmergencyLiveHours > 0 {
		p.field(p.t("policy.emergency"), p.t("policy.emergency-hours", "n", r.EmergencyLiveHours))
	} else {
		p.field(p.t("policy.emergency"), p.t("policy.emergency-paper"))
	}
	for _, it := range r.Checklist {
		role := p.t("role.every")
		if it.Role != compliance.RoleEvery {
			role = roleWords(p.app, []string{it.Role})
		}
		p.field(p.t("policy.asks", "stage", string(it.Stage)), clean(it.In(compliance.Lang(p.app.lang)).Step)+" ("+role+")")
	}
	if len(r.People) == 0 {
		p.line("%s %s", p.mark("warn"), p.t("people.none"))
		return
	}
	p.line("")
	rows := [][]string{{"ID", p.t("people.name"), p.t("people.roles"), p.t("people.since"), p.t("people.key"), ""}}
	for _, x := range r.People {
		state := ""
		if !x.Active {
			state = p.t("people.retired", "n", strconv.Itoa(x.Retired))
		}
		rows = append(rows, []string{x.ID, clean(x.Name), roleWords(p.app, x.Roles), strconv.Itoa(x.Since), x.Fingerprint, state})
	}
	p.table(rows...)
}

// roleWords translates the built-in roles; a site's own stay as they are.
func roleWords(a *app, roles []string) string {
	var out []string
	for _, r := range roles {
		if a.lang.Has("role." + r) {
			r = a.t("role." + r)
		}
		out = append(out, clean(r))
	}
	return strings.Join(out, ", ")
}
