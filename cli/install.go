package cli

import (
	"context"
	"os/user"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/inference"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/verify"
)

func (a *app) installVerbs() []*cobra.Command {
	var o installer.InstallOptions
	var prove string
	install := a.verb("install FILE", "install", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		f.StringVar(&o.Variant, "variant", "", a.t("flag.variant"))
		f.StringArrayVar(&o.Also, "also", nil, a.t("flag.also"))
		f.StringVar(&o.Operator, "operator", "", a.t("flag.operator"))
		f.BoolVar(&o.Emergency, "emergency", false, a.t("flag.emergency"))
		f.StringVar(&o.Reason, "reason", "", a.t("flag.emergency-reason"))
		f.StringVar(&prove, "prove", "", a.t("flag.prove"))
	}, func(ctx context.Context, args []string) (result, error) {
		all, err := proveAll(prove)
		if err != nil {
			return nil, err
		}
		if o.Operator == "" {
			o.Operator = account()
		}
		switch {
		case o.Emergency && strings.TrimSpace(o.Reason) == "":
			return nil, usage("install --emergency wants --reason: why it cannot wait for the supplier's signature")
		case !o.Emergency && o.Reason != "":
			return nil, usage("--reason goes with --emergency")
		}
		in, err := a.installer(o.Operator)
		if err != nil {
			return nil, err
		}
		o.Ask = a.openOptions(args[0], nil).Ask
		taken := []verify.Step{}
		o.Taken = func(s verify.Step) { taken = append(taken, s) }
		var measured *installer.Measurement
		if all {
			o.Measured = func(m *installer.Measurement) { measured = m }
		}
		release, _ := a.env.Awake(a.t("install.awake"))
		defer release()
		tested, attempts, err := in.Install(ctx, args[0], o)
		if err != nil {
			return nil, a.found(err, &provenResult{Measured: measured, Attempts: attempts})
		}
		r := a.installed(in, tested, attempts)
		r.TrustTaken = taken
		r.Measured = measured
		return r, nil
	})

	smoke := a.smokeVerb()

	versions := a.verb("versions", "versions", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		v, err := in.Versions()
		if err != nil {
			return nil, err
		}
		return &versionsResult{Versions: v}, nil
	})
	remove := a.verb("remove VERSION", "remove", cobra.ExactArgs(1), nil, func(ctx context.Context, args []string) (result, error) {
		in, err := a.installer(account())
		if err != nil {
			return nil, err
		}
		if err := bundle.ValidVersion(args[0]); err != nil {
			return nil, usage("%v", err)
		}
		if err := in.Remove(ctx, args[0]); err != nil {
			return nil, err
		}
		return &done{key: "remove.done", pairs: []any{"version", args[0]}}, nil
	})
	var purge bool
	uninstall := a.verb("uninstall [--purge]", "uninstall", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.BoolVar(&purge, "purge", false, a.t("flag.purge"))
	}, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer(account())
		if err != nil {
			return nil, err
		}
		if err := in.Uninstall(ctx, purge); err != nil {
			return nil, err
		}
		if purge {
			return &done{key: "uninstall.purged", pairs: []any{"path", in.Root()}}, nil
		}
		return &done{key: "uninstall.done", pairs: []any{"path", in.Root()}}, nil
	})
	return []*cobra.Command{install, smoke, versions, remove, uninstall}
}

// account is who acts when nobody was named.
func account() string {
	u, err := user.Current()
	if err != nil || u.Username == "" {
		return "unknown"
	}
	return u.Username
}

// done is a result that is one sentence.
type done struct {
	key   string
	pairs []any
}

func (d *done) text(p *printer) { p.line("%s %s", p.mark("ok"), p.t(d.key, d.pairs...)) }

func (a *app) installed(in *installer.Installer, t *installer.Tested, attempts []installer.Attempt) *installResult {
	rec := t.Record()
	r := &installResult{
		ModelFamily: rec.ModelFamily, Version: rec.Version, Variant: rec.Variant, BundlePath: in.Root() + "/" + rec.Folder,
		ManifestSHA384: rec.ManifestSHA384.String(), Engine: rec.Engine, Attempts: attempts, Report: t.Report(), Emergency: rec.Emergency,
	}
	if r.Attempts == nil {
		r.Attempts = []installer.Attempt{}
	}
	if s, err := in.Status(); err == nil {
		r.Next, r.Knowledge = s.Next, s.Knowledge
	}
	return r
}

type installResult struct {
	ModelFamily    string                   `json:"model_family"`
	Version        string                   `json:"version"`
	Variant        string                   `json:"variant"`
	BundlePath     string                   `json:"bundle_path"`
	ManifestSHA384 string                   `json:"manifest_sha384"`
	Engine         slot.Engine              `json:"engine"`
	Attempts       []installer.Attempt      `json:"attempts"`
	Report         *inference.Report        `json:"smoke"`
	Measured       *installer.Measurement   `json:"measured,omitempty"`
	Second         *inference.SecondOpinion `json:"second_opinion,omitempty"`
	Next           []string                 `json:"next"`
	Emergency      *slot.Emergency          `json:"emergency,omitempty"`
	TrustTaken     []verify.Step            `json:"trust_taken,omitempty"` // next lists of trusted keys and revocations, taken over before
	Knowledge      installer.Knowledge      `json:"knowledge"`
}

func (r *installResult) text(p *printer) {
	stepLines(p, r.TrustTaken, true)
	if e := r.Emergency; e != nil {
		p.line("%s %s", p.mark("warn"), p.bold(p.t("emergency.mark", "version", r.Version, "reason", clean(e.Reason), "by", clean(e.By))))
		p.line("%s %s", p.mark("warn"), p.t("emergency.stops"))
	}
	measureTable(p, r.Measured)
	attemptTables(p, r.Attempts)
	if r.Report != nil {
		smokeTable(p, r.Report)
	}
	opinionTable(p, r.Second)
	p.line("%s %s", p.mark("ok"), p.bold(p.t("install.done", "family", r.ModelFamily, "version", r.Version, "variant", r.Variant)))
	p.field(p.t("install.path"), r.BundlePath)
	p.field(p.t("manifest"), r.ManifestSHA384)
	knowledgeLines(p, r.Knowledge)
	p.next(r.Next)
}

// next prints the command that follows, ready to paste.
func (p *printer) next(args []string) {
	if len(args) == 0 {
		return
	}
	p.line("")
	p.line("%s  %s", p.t("next"), p.bold(p.app.self()+" "+joinArgs(args)+p.app.rootArg()))
}

func joinArgs(args []string) string {
	out := make([]string, len(args))
	for i, s := range args {
		out[i] = s
		if !strings.HasPrefix(s, "<") {
			out[i] = quoteArg(s)
		}
	}
	return strings.Join(out, " ")
}

// rootArg repeats --root in a command that is shown to be pasted.
func (a *app) rootArg() string {
	if a.root == "" {
		return ""
	}
	return " --root " + quoteArg(a.root)
}

func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

type versionsResult struct {
	Versions []installer.VersionInfo `json:"versions"`
}

func (r *versionsResult) text(p *printer) {
	if len(r.Versions) == 0 {
		p.say("versions.none")
		return
	}
	versionTable(p, r.Versions)
}

func versionTable(p *printer, versions []installer.VersionInfo) {
	rows := [][]string{{p.t("version"), p.t("variant"), p.t("versions.stages"), p.t("versions.folder")}}
	for _, v := range versions {
		var stages []string
		for _, s := range v.Stages {
			stages = append(stages, string(s))
		}
		if v.WayBack {
			stages = append(stages, p.t("versions.wayback"))
		}
		if v.Emergency != nil {
			stages = append(stages, p.t("emergency.short"))
		}
		if v.Problem != "" {
			stages = append(stages, clean(v.Problem))
		}
		rows = append(rows, []string{v.Version, v.Variant, strings.Join(stages, ", "), v.Folder})
	}
	p.table(rows...)
}
