package cli

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/verify"
)

const maxRootFile = 512 << 10

func (a *app) trustVerbs() []*cobra.Command {
	var of, from, fingerprint, by string
	initCmd := a.verb("init --of oem|site --from FILE --fingerprint \"XXXX …\"", "trust.init", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&of, "of", "oem", a.t("flag.of"))
		f.StringVar(&from, "from", "", a.t("flag.from"))
		f.StringVar(&fingerprint, "fingerprint", "", a.t("flag.fingerprint"))
		f.StringVar(&by, "operator", "", a.t("flag.operator"))
	}, func(ctx context.Context, _ []string) (result, error) {
		root, err := rootName(of)
		if err != nil {
			return nil, err
		}
		if from == "" || fingerprint == "" {
			return nil, usage("trust init wants --from FILE and --fingerprint: the one from the delivery note that came separately")
		}
		raw, err := readLimited(from, maxRootFile)
		if err != nil {
			return nil, err
		}
		in, err := a.installer(by)
		if err != nil {
			return nil, err
		}
		if err := in.TrustInit(ctx, root, raw, fingerprint, by); err != nil {
			return nil, err
		}
		return a.trustShown("")
	})

	var create rootFlags
	createCmd := a.verb("create --of oem|site --key ROOTKEY… --target PUB… --out FILE", "trust.create", cobra.NoArgs, func(f *pflag.FlagSet) {
		create.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) { return create.run(a) })

	var dir string
	showCmd := a.verb("show [FILE]", "trust.show", cobra.MaximumNArgs(1), func(f *pflag.FlagSet) {
		f.StringVar(&dir, "trust", "", a.t("flag.trust"))
	}, func(ctx context.Context, args []string) (result, error) {
		if len(args) == 1 {
			return a.trustFile(args[0])
		}
		return a.trustShown(dir)
	})

	var note noteFlags
	noteCmd := a.verb("note FILE", "trust.note", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		note.add(a, f)
	}, func(_ context.Context, args []string) (result, error) { return note.run(a, args[0]) })

	var updateBy string
	updateCmd := a.verb("update DIR…", "trust.update", cobra.MinimumNArgs(1), func(f *pflag.FlagSet) {
		f.StringVar(&updateBy, "operator", "", a.t("flag.operator"))
	}, func(ctx context.Context, args []string) (result, error) { return a.trustUpdate(ctx, args, updateBy) })
	return []*cobra.Command{a.parent("trust", "trust", append([]*cobra.Command{initCmd, createCmd, showCmd, noteCmd, updateCmd}, a.ceremonyVerbs()...)...)}
}

// trustUpdate takes over what lies in folders (or beside files) of a medium, without a bundle.
func (a *app) trustUpdate(ctx context.Context, paths []string, by string) (result, error) {
	var dirs []string
	for _, p := range paths {
		fi, err := os.Stat(p)
		if err != nil {
			return nil, ioFault(err, p)
		}
		if !fi.IsDir() {
			p = filepath.Dir(p)
		}
		dirs = append(dirs, p)
	}
	if by == "" {
		by = account()
	}
	in, err := a.installer(by)
	if err != nil {
		return nil, err
	}
	steps, err := in.TakeTrust(ctx, dirs, by)
	if err != nil {
		return nil, err
	}
	view, err := a.trustView("")
	if err != nil {
		return nil, err
	}
	return &trustTaken{Taken: append([]verify.Step{}, steps...), trustView: view}, nil
}

type trustTaken struct {
	Taken []verify.Step `json:"taken"`
	*trustView
}

func (r *trustTaken) text(p *printer) {
	if len(r.Taken) == 0 {
		p.line("%s %s", p.mark("ok"), p.t("trust.nothing-new"))
	}
	stepLines(p, r.Taken, true)
	p.line("")
	r.trustView.text(p)
}

// stepLines says what was, or would be, taken over.
func stepLines(p *printer, steps []verify.Step, done bool) {
	for _, s := range steps {
		pairs := []any{"of", p.t("trust.of." + string(s.Of)), "number", s.Number, "path", clean(s.Path)}
		if done {
			p.line("%s %s", p.mark("ok"), p.t("trust.taken."+s.Kind, pairs...))
		} else {
			p.line("%s %s", p.mark("ok"), p.t("trust.takes."+s.Kind, pairs...))
		}
	}
}

func rootName(s string) (verify.Root, error) {
	switch r := verify.Root(s); r {
	case verify.Oem, verify.Site:
		return r, nil
	}
	return "", usage("--of %q, want oem or site", s)
}

// rootFlags are the flags that make the first root file of a supplier or a site.
type rootFlags struct {
	of                        string
	keys                      keyFlags
	pubs, targets             []string
	rootThreshold, tThreshold int
	expires                   string
	out                       string
}

func (r *rootFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&r.of, "of", "oem", a.t("flag.of"))
	r.keys.add(a, f)
	f.StringArrayVar(&r.pubs, "root-pub", nil, a.t("flag.root-pub"))
	f.StringArrayVar(&r.targets, "target", nil, a.t("flag.target"))
	f.IntVar(&r.rootThreshold, "root-threshold", 1, a.t("flag.root-threshold"))
	f.IntVar(&r.tThreshold, "threshold", 1, a.t("flag.threshold"))
	f.StringVar(&r.expires, "expires", "", a.t("flag.expires"))
	f.StringVar(&r.out, "out", "", a.t("flag.out-file"))
}

func (r *rootFlags) run(a *app) (result, error) {
	of, err := rootName(r.of)
	if err != nil {
		return nil, err
	}
	if len(r.targets) == 0 || r.out == "" {
		return nil, usage("trust create wants at least one --target PUB, and --out FILE")
	}
	expires := a.env.Now().AddDate(5, 0, 0)
	if given, err := parseDate(r.expires, 0); err != nil || !given.IsZero() {
		if err != nil {
			return nil, err
		}
		expires = given
	}
	var signers []ed25519.PrivateKey
	if len(r.keys.keys) > 0 || len(r.pubs) == 0 { // with --root-pub everybody may sign later
		if signers, err = r.keys.load(a); err != nil {
			return nil, err
		}
	}
	var roots, targets []bundle.PublicKey
	for _, s := range signers {
		k, err := bundle.NewPublicKey(s.Public().(ed25519.PublicKey))
		if err != nil {
			return nil, err
		}
		roots = append(roots, k)
	}
	for _, path := range r.pubs {
		k, err := readPublicKey(path)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(roots, k) {
			roots = append(roots, k)
		}
	}
	for _, path := range r.targets {
		k, err := readPublicKey(path)
		if err != nil {
			return nil, err
		}
		targets = append(targets, k)
	}
	raw, err := verify.NewRoot(verify.RootOptions{
		Of: of, RootKeys: roots, TargetsKeys: targets, RootThreshold: r.rootThreshold, TargetsThreshold: r.tThreshold,
		Expires: expires.UTC().Truncate(time.Second), Signers: signers,
	})
	if err != nil {
		return nil, err
	}
	if err := writeNew(r.out, raw, 0o644); err != nil {
		return nil, err
	}
	return rootProgress(r.out, raw, nil)
}

func readPublicKey(path string) (bundle.PublicKey, error) {
	raw, err := readLimited(path, maxKeyFile)
	if err != nil {
		return bundle.PublicKey{}, err
	}
	key, err := bundle.ParsePublicKey(raw)
	if err != nil {
		return bundle.PublicKey{}, withPath(err, path)
	}
	return key, nil
}

// trustShown says who may sign what; dir is a --trust folder, or empty for the installation's own.
func (a *app) trustShown(dir string) (result, error) { return a.trustView(dir) }

func (a *app) trustView(dir string) (*trustView, error) {
	r := &trustView{Folder: dir}
	if dir == "" {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		r.Folder = filepath.Join(in.Root(), slot.KeysDir)
		k := in.Knowledge()
		r.Knowledge = &k
	} else if _, err := os.Stat(dir); err != nil {
		return nil, ioFault(err, dir)
	}
	store, err := verify.OpenStore(r.Folder)
	if err != nil {
		return nil, err
	}
	r.Roots, r.Revocations = store.Describe(), store.Revocations()
	return r, nil
}

type trustView struct {
	Folder      string                `json:"folder"`
	Roots       []verify.RootInfo     `json:"roots"`
	Revocations []*verify.Revocations `json:"revocations"`
	Knowledge   *installer.Knowledge  `json:"knowledge,omitempty"`
}

func (r *trustView) text(p *printer) {
	if len(r.Roots) == 0 {
		p.line("%s %s", p.mark("warn"), p.t("trust.empty", "path", r.Folder))
		return
	}
	for _, root := range r.Roots {
		rootLines(p, root)
		p.line("")
	}
	for _, v := range r.Revocations {
		revocationLines(p, v)
		p.line("")
	}
	if len(r.Revocations) == 0 {
		p.say("trust.none-revoked")
	}
	if r.Knowledge != nil {
		knowledgeLines(p, *r.Knowledge)
	}
}

// rootLines say in words who may sign what until when.
func rootLines(p *printer, root verify.RootInfo) {
	of := string(root.Of)
	if of == "" {
		of = string(verify.Oem) // made by another program, which does not say
	}
	p.line("%s", p.bold(p.t("trust.head."+of, "number", root.Version)))
	p.line("  %s", p.t("trust.until", "date", root.Expires.Format(time.DateOnly)))
	p.line("  %s", p.t("trust.may."+of, "n", root.TargetsThreshold, "total", len(keysWith(root, verify.RoleTargets))))
	keyLines(p, root, verify.RoleTargets)
	p.line("  %s", p.t("trust.may.root", "n", root.RootThreshold, "total", len(keysWith(root, verify.RoleRoot))))
	keyLines(p, root, verify.RoleRoot)
	if root.Fingerprint != "" {
		p.field(p.t("trust.fingerprint"), root.Fingerprint)
	}
}

func keysWith(root verify.RootInfo, role string) []verify.KeyInfo {
	var out []verify.KeyInfo
	for _, k := range root.Keys {
		if slices.Contains(k.Roles, role) {
			out = append(out, k)
		}
	}
	return out
}

func keyLines(p *printer, root verify.RootInfo, role string) {
	for _, k := range keysWith(root, role) {
		line := k.Fingerprint
		if slices.Contains(root.Revoked, k.KeyID) {
			line += "  " + p.t("trust.key-revoked")
		}
		p.line("    %s", line)
	}
}

func revocationLines(p *printer, v *verify.Revocations) {
	p.line("%s", p.bold(p.t("trust.revocations."+string(v.Root), "number", v.Number, "date", v.Issued[:10])))
	for _, k := range v.Keys {
		p.line("  %s %s", p.mark("bad"), p.t("trust.revoked-key", "id", k.KeyID[:16]+"…", "reason", clean(k.Reason)))
	}
	for _, m := range v.Manifests {
		p.line("  %s %s", p.mark("bad"), p.t("trust.revoked-bundle", "digest", m.SHA384.String()[:16]+"…", "reason", clean(m.Reason)))
	}
}

// knowledgeLines say how old what this machine knows is.
func knowledgeLines(p *printer, k installer.Knowledge) {
	source := ""
	if k.Source != "" {
		source = p.t("knowledge.source."+k.Source, "number", k.Number)
	}
	switch date := k.Evidence.UTC().Format(time.DateOnly); {
	case k.Evidence.IsZero():
		p.say("knowledge.none")
	case k.ClockBehind:
		p.line("%s %s", p.mark("warn"), p.t("knowledge.behind", "date", date, "source", source))
	default:
		p.say("knowledge.age", "date", date, "source", source, "age", p.lang().Count("knowledge.days", k.AgeDays))
	}
	if k.TooOld {
		p.line("%s %s", p.mark("bad"), p.t("knowledge.too-old", "limit", k.LimitDays))
	}
	for _, of := range k.Expired {
		p.line("%s %s", p.mark("bad"), p.t("knowledge.expired", "of", p.t("trust.of."+of)))
	}
}
