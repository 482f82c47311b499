package cli

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
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
	showCmd := a.verb("show", "trust.show", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&dir, "trust", "", a.t("flag.trust"))
	}, func(ctx context.Context, _ []string) (result, error) { return a.trustShown(dir) })
	return []*cobra.Command{a.parent("trust", "trust", initCmd, createCmd, showCmd)}
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
	targets                   []string
	rootThreshold, tThreshold int
	expires                   string
	out                       string
}

func (r *rootFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&r.of, "of", "oem", a.t("flag.of"))
	r.keys.add(a, f)
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
	if r.expires != "" {
		if expires, err = time.Parse(time.DateOnly, r.expires); err != nil {
			return nil, usage("--expires %q, want a date such as 2031-12-31", r.expires)
		}
	}
	signers, err := r.keys.load(a)
	if err != nil {
		return nil, err
	}
	var roots, targets []bundle.PublicKey
	for _, s := range signers {
		k, err := bundle.NewPublicKey(s.Public().(ed25519.PublicKey))
		if err != nil {
			return nil, err
		}
		roots = append(roots, k)
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
	return &rootMade{Path: r.out, Of: string(of), Fingerprint: verify.Fingerprint(raw), Expires: expires.UTC().Format(time.RFC3339)}, nil
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

type rootMade struct {
	Path        string `json:"path"`
	Of          string `json:"of"`
	Fingerprint string `json:"fingerprint"`
	Expires     string `json:"expires"`
}

func (r *rootMade) text(p *printer) {
	p.line("%s %s", p.mark("ok"), p.t("trust.made", "path", r.Path))
	p.field(p.t("trust.fingerprint"), r.Fingerprint)
	p.field(p.t("trust.expires"), r.Expires)
	p.say("trust.note")
}

// trustShown says who may sign what; dir is a --trust folder, or empty for the installation's own.
func (a *app) trustShown(dir string) (result, error) {
	if dir == "" {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(in.Root(), slot.KeysDir)
	} else if _, err := os.Stat(dir); err != nil {
		return nil, ioFault(err, dir)
	}
	store, err := verify.OpenStore(dir)
	if err != nil {
		return nil, err
	}
	return &trustView{Folder: dir, Roots: store.Describe()}, nil
}

type trustView struct {
	Folder string            `json:"folder"`
	Roots  []verify.RootInfo `json:"roots"`
}

func (r *trustView) text(p *printer) {
	if len(r.Roots) == 0 {
		p.line("%s %s", p.mark("warn"), p.t("trust.empty", "path", r.Folder))
		return
	}
	for _, root := range r.Roots {
		p.line("%s", p.bold(p.t("trust.head", "of", root.Of, "version", strconv.Itoa(root.Version))))
		p.field(p.t("trust.fingerprint"), root.Fingerprint)
		p.field(p.t("trust.expires"), root.Expires.Format(time.RFC3339))
		p.field(p.t("trust.root-keys", "n", root.RootThreshold), keysOf(root, verify.RoleRoot))
		p.field(p.t("trust.targets-keys", "n", root.TargetsThreshold), keysOf(root, verify.RoleTargets))
	}
}

func keysOf(root verify.RootInfo, role string) string {
	var out []string
	for _, k := range root.Keys {
		if slices.Contains(k.Roles, role) {
			out = append(out, k.Fingerprint)
		}
	}
	return strings.Join(out, ", ")
}
