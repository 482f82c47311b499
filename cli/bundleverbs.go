package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/evidence"
	"sluice/inference"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/progress"
	"sluice/verify"
)

const maxSpecFile = 4 << 20

func (a *app) bundleVerbs() []*cobra.Command {
	var b buildFlags
	build := a.verb("build --spec bundle.yaml --key K… --out DIR | --validate FILE", "build", cobra.NoArgs, func(f *pflag.FlagSet) {
		b.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) {
		if b.validate != "" {
			return b.runValidate(ctx, a)
		}
		return b.runBuild(ctx, a)
	})

	var signKey keyFlags
	var signProgram []string
	var signVersion, signOut string
	sign := a.verb("sign BUNDLE --key K | --program FILE… --out F --key K", "sign", cobra.MaximumNArgs(1), func(f *pflag.FlagSet) {
		signKey.add(a, f)
		f.StringArrayVar(&signProgram, "program", nil, a.t("flag.sign-program"))
		f.StringVar(&signVersion, "program-version", "", a.t("flag.program-version"))
		f.StringVar(&signOut, "out", "", a.t("flag.out-file"))
	},
		func(ctx context.Context, args []string) (result, error) {
			switch {
			case len(signProgram) > 0 && len(args) == 0:
				return a.signPrograms(signProgram, signVersion, signOut, &signKey)
			case len(signProgram) > 0 || len(args) == 0 || signVersion != "" || signOut != "":
				return nil, usage("sign wants either one bundle, or --program FILE and --out FILE")
			}
			key, err := signKey.one(a)
			if err != nil {
				return nil, err
			}
			if err := bundle.AddBundleSignature(ctx, args[0], key); err != nil {
				return nil, err
			}
			return a.inspect(ctx, args[0], nil)
		})

	var inspectAlso []string
	inspect := a.verb("inspect FILE", "inspect", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		f.StringArrayVar(&inspectAlso, "also", nil, a.t("flag.also"))
	}, func(ctx context.Context, args []string) (result, error) { return a.inspect(ctx, args[0], inspectAlso) })

	var v verifyFlags
	verifyCmd := a.verb("verify FILE|DIR|PACK [--pubkey PEM] | --program FILE", "verify", cobra.MaximumNArgs(1), func(f *pflag.FlagSet) { v.add(a, f) },
		func(ctx context.Context, args []string) (result, error) {
			switch {
			case v.program != "" && len(args) == 0:
				return a.verifyProgram(ctx, v.program, v.statement)
			case v.program != "" || v.statement != "" || len(args) != 1:
				return nil, usage("verify wants one bundle, folder or pack; or --program FILE")
			}
			return v.run(ctx, a, args[0])
		})
	return []*cobra.Command{build, sign, inspect, verifyCmd}
}

type buildFlags struct {
	spec, out, split string
	keys             keyFlags
	validate         string
	trust            trustFlags
	strict           bool
	oms              omsGate
	also             []string
}

func (b *buildFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&b.spec, "spec", "", a.t("flag.spec"))
	f.StringVar(&b.out, "out", "", a.t("flag.out"))
	f.StringVar(&b.split, "split", "", a.t("flag.split"))
	b.keys.add(a, f)
	f.StringVar(&b.oms.sig, "oms", "", a.t("flag.oms"))
	f.StringVar(&b.oms.key, "oms-key", "", a.t("flag.oms-key"))
	f.StringVar(&b.oms.dir, "oms-dir", "", a.t("flag.oms-dir"))
	f.StringVar(&b.validate, "validate", "", a.t("flag.validate"))
	b.trust.add(a, f)
	f.BoolVar(&b.strict, "strict", false, a.t("flag.strict"))
	f.StringArrayVar(&b.also, "also", nil, a.t("flag.also"))
}

func (b *buildFlags) runBuild(ctx context.Context, a *app) (result, error) {
	if b.spec == "" || b.out == "" {
		return nil, usage("build wants --spec FILE, --key K and --out DIR; or --validate FILE")
	}
	if b.strict || b.trust.given() {
		return nil, usage("--strict, --pubkey and --trust belong to build --validate")
	}
	split, err := parseSize(b.split)
	if err != nil {
		return nil, err
	}
	raw, err := readLimited(b.spec, maxSpecFile)
	if err != nil {
		return nil, err
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		return nil, withPath(err, b.spec)
	}
	keys, err := b.keys.load(a)
	if err != nil {
		return nil, err
	}
	if err := b.oms.prepare(spec, filepath.Dir(b.spec)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return nil, ioFault(err, b.out)
	}
	done, err := bundle.Build(ctx, spec, bundle.BuildOptions{
		SpecDir: filepath.Dir(b.spec), Keys: keys, Out: b.out, Split: split, Now: a.env.Now(),
		SourceDateEpoch: a.env.Getenv("SOURCE_DATE_EPOCH"), Builder: "sluice " + a.env.Version, Progress: a.out.progress(),
		CheckContract: inference.CheckContracts, CheckProvenance: b.oms.check,
	})
	if err != nil {
		return nil, err
	}
	return &buildResult{
		Files: done.Files, ModelFamily: done.Manifest.ModelFamily, Version: done.Manifest.Version, Created: done.Manifest.Created,
		ManifestSHA384: done.ManifestSHA384.String(), Size: done.Size, Artifacts: len(done.Manifest.Artifacts), OMS: b.oms.result(),
	}, nil
}

type buildResult struct {
	Files          []string `json:"files"`
	ModelFamily    string   `json:"model_family"`
	Version        string   `json:"version"`
	Created        string   `json:"created"`
	ManifestSHA384 string   `json:"manifest_sha384"`
	Size           int64    `json:"size"`
	Artifacts      int      `json:"artifacts"`

	OMS *omsResult `json:"oms,omitempty"` // the model's own signature, which was proven and is kept in the bundle
}

func (r *buildResult) text(p *printer) {
	p.line("%s %s", p.mark("ok"), p.t("build.done", "family", r.ModelFamily, "version", r.Version))
	for _, f := range r.Files {
		p.field(p.t("build.file"), f)
	}
	p.field(p.t("size"), bytesText(r.Size))
	p.field(p.t("manifest"), r.ManifestSHA384)
	if r.OMS != nil {
		p.field(p.t("build.oms"), p.t("build.oms.files", "packed", r.OMS.Packed, "signed", r.OMS.Signed, "model", clean(r.OMS.Model)))
		p.field("", r.OMS.KeySHA256)
	}
	p.say("build.next", "path", quoteArg(r.Files[0]))
}

// parseSize reads 4000000000, 700MB, 3.9GB or 4GiB; empty is 0.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	unit := map[string]float64{"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "k": 1e3, "m": 1e6, "g": 1e9}
	num := strings.TrimRight(strings.ToLower(s), "bkmgi")
	n, err := strconv.ParseFloat(num, 64)
	f, ok := unit[strings.ToLower(s)[len(num):]]
	if err != nil || !ok || n <= 0 || n*f > 1<<53 {
		return 0, usage("size %q, want a number such as 3900MB or 3.5GiB", s)
	}
	return int64(n * f), nil
}

// withPath adds the file to an error about what stands in it.
func withPath(err error, path string) error {
	return fault.New(fault.CodeOf(err), "reading %q: %w", path, err).With("path", path)
}

// trustFlags choose whom to believe where nothing is installed.
type trustFlags struct{ pubkey, dir string }

func (t *trustFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&t.pubkey, "pubkey", "", a.t("flag.pubkey"))
	f.StringVar(&t.dir, "trust", "", a.t("flag.trust"))
}

func (t *trustFlags) given() bool { return t.pubkey != "" || t.dir != "" }

// outlook is what a judgement also saw: what an install would take over from the medium first, and how old what is known is.
type outlook struct {
	Takes     []verify.Step        `json:"trust_takes,omitempty"` // next lists of trusted keys and revocations: nothing was written
	Knowledge *installer.Knowledge `json:"knowledge,omitempty"`
}

func (o *outlook) text(p *printer) {
	stepLines(p, o.Takes, false)
	if o.Knowledge != nil {
		knowledgeLines(p, *o.Knowledge)
	}
}

// authenticate judges an opened bundle by the given key, the given roots, or the installation's own.
func (t *trustFlags) authenticate(ctx context.Context, a *app, src *bundle.Source) (*verify.Authentic, error) {
	auth, _, err := t.judge(ctx, a, src)
	return auth, err
}

// judge is authenticate that tells what else it saw. Next roots and revocation lists beside the bundle are taken in, in memory only:
// so it says what an install would.
func (t *trustFlags) judge(ctx context.Context, a *app, src *bundle.Source) (*verify.Authentic, outlook, error) {
	var o outlook
	if t.pubkey != "" && t.dir != "" {
		return nil, o, usage("--pubkey and --trust exclude each other")
	}
	if t.pubkey != "" {
		key, err := readPublicKey(t.pubkey)
		if err != nil {
			return nil, o, err
		}
		auth, err := verify.WithKey(ctx, src, key)
		return auth, o, err
	}
	h := verify.History{Evidence: a.env.Built}
	store, err := t.store(a)
	if err != nil {
		return nil, o, err
	}
	if t.dir == "" {
		in, err := a.installer("")
		if err != nil {
			return nil, o, err
		}
		k := in.Knowledge()
		o.Knowledge, h.Evidence = &k, k.Evidence
	}
	offers, err := store.Look(src.Folders())
	if err != nil {
		return nil, o, err
	}
	if store, o.Takes, err = store.Advance(offers); err != nil {
		return nil, o, err
	}
	for _, s := range o.Takes {
		if s.Issued.After(h.Evidence) {
			h.Evidence = s.Issued
		}
	}
	auth, err := store.Authenticate(ctx, src, h)
	return auth, o, err
}

func (t *trustFlags) store(a *app) (*verify.Store, error) {
	dir := t.dir
	if dir == "" {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(in.Root(), slot.KeysDir)
	} else if _, err := os.Stat(dir); err != nil {
		return nil, ioFault(err, dir)
	}
	return verify.OpenStore(dir)
}

// inspect shows what a file says of itself.
func (a *app) inspect(ctx context.Context, path string, also []string) (result, error) {
	src, err := bundle.Open(ctx, path, bundle.OpenOptions{Also: also})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	m, err := bundle.ParseManifest(src.ManifestBytes())
	if err != nil {
		return nil, err
	}
	r := &inspectResult{
		Path: path, Container: string(src.Kind()), Size: src.Size(), ManifestSHA384: slot.Sum(src.ManifestBytes()).String(),
		Manifest: m,
	}
	if env, err := bundle.ParseEnvelope(src.SignatureBytes()); err == nil {
		for _, s := range env.Signatures {
			r.KeyHints = append(r.KeyHints, s.KeyID)
		}
	}
	return r, nil
}

type inspectResult struct {
	Verified       bool             `json:"verified"` // always false
	Path           string           `json:"path"`
	Container      string           `json:"container"`
	Size           int64            `json:"size"`
	ManifestSHA384 string           `json:"manifest_sha384"`
	KeyHints       []string         `json:"key_hints"`
	Manifest       *bundle.Manifest `json:"manifest"`
}

func (r *inspectResult) text(p *printer) {
	m := r.Manifest
	p.line("%s %s", p.mark("warn"), p.bold(p.t("inspect.unverified")))
	p.field(p.t("family"), clean(m.ModelFamily))
	p.field(p.t("version"), clean(m.Version))
	p.field(p.t("created"), m.Created)
	p.field(p.t("size"), bytesText(r.Size)+" ("+r.Container+")")
	p.field(p.t("manifest"), r.ManifestSHA384)
	p.field(p.t("inspect.keys"), clean(strings.Join(r.KeyHints, ", ")))
	rows := [][]string{{p.t("variant"), p.t("engine"), p.t("provider"), p.t("priority"), p.t("inspect.files")}}
	for _, v := range m.Variants {
		paths, _ := m.VariantPaths(v.ID)
		rows = append(rows, []string{v.ID, v.Engine, v.ExecutionProvider, strconv.Itoa(v.Priority), strconv.Itoa(len(paths))})
	}
	p.line("")
	p.table(rows...)
	rows = [][]string{{p.t("inspect.path"), p.t("inspect.role"), p.t("size"), "SHA-384"}}
	for _, f := range m.Artifacts {
		rows = append(rows, []string{clean(f.Path), string(f.Role), bytesText(f.Size), f.SHA384.String()[:16] + "…"})
	}
	p.line("")
	p.table(rows...)
}

type verifyFlags struct {
	program, statement string

	trust   trustFlags
	also    []string
	anchors evidence.Anchors
}

func (v *verifyFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&v.program, "program", "", a.t("flag.verify-program"))
	f.StringVar(&v.statement, "statement", "", a.t("flag.statement"))
	v.trust.add(a, f)
	f.StringArrayVar(&v.also, "also", nil, a.t("flag.also"))
	addAnchors(a, f, &v.anchors)
}

func (v *verifyFlags) run(ctx context.Context, a *app, path string) (result, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, ioFault(err, path)
	}
	if strings.HasSuffix(path, evidence.Suffix) && !info.IsDir() {
		return a.evidenceChecked(path, v.anchors, &v.trust)
	}
	r := &verifyResult{Path: path}
	var auth *verify.Authentic
	if info.IsDir() {
		var variant string
		auth, variant, err = v.folder(ctx, a, path)
		if err != nil {
			return nil, err
		}
		r.Container, r.Variant = "installed", variant
	} else {
		src, err := bundle.Open(ctx, path, a.openOptions(path, v.also))
		if err != nil {
			return nil, err
		}
		defer src.Close()
		if auth, r.outlook, err = v.trust.judge(ctx, a, src); err != nil {
			return nil, err
		}
		if err := src.Extract(ctx, auth.Manifest(), bundle.ExtractOptions{Strict: true, Progress: a.out.progress(), Step: progress.Verify}); err != nil {
			return nil, err
		}
		r.Container, r.Size = string(src.Kind()), src.Size()
	}
	m := auth.Manifest()
	r.ModelFamily, r.Version, r.Created = m.ModelFamily, m.Version, m.Created
	r.ManifestSHA384, r.Signers, r.TrustRoot = auth.ManifestSHA384().String(), auth.Signers(), auth.RootVersion()
	r.Trust = "root"
	r.Emergency = auth.Emergency()
	if auth.GivenKey() {
		r.Trust = "given-key"
	}
	return r, nil
}

// folder checks an installed version: with the installation's own roots where it lies in one, else by what was given.
func (v *verifyFlags) folder(ctx context.Context, a *app, dir string) (*verify.Authentic, string, error) {
	installed, err := readLimited(filepath.Join(dir, slot.InstalledFile), slot.MaxRecord)
	if err != nil {
		return nil, "", err
	}
	about, err := slot.ParseInstalled(installed)
	if err != nil {
		return nil, "", err
	}
	if !v.trust.given() {
		in, err := a.installer("")
		if err != nil {
			return nil, "", err
		}
		auth, err := in.VerifyInstalled(ctx, dir)
		return auth, about.Variant, err
	}
	manifest, err := readLimited(filepath.Join(dir, slot.ManifestFile), bundle.MaxManifestSize)
	if err != nil {
		return nil, "", err
	}
	sig, err := readLimited(filepath.Join(dir, slot.SigFile), bundle.MaxSignatureSize)
	if err != nil {
		return nil, "", err
	}
	var auth *verify.Authentic
	if v.trust.pubkey != "" {
		key, err := readPublicKey(v.trust.pubkey)
		if err != nil {
			return nil, "", err
		}
		auth, err = verify.InstalledWithKey(manifest, sig, key)
		if err != nil {
			return nil, "", err
		}
	} else {
		store, err := v.trust.store(a)
		if err != nil {
			return nil, "", err
		}
		auth, err = store.AuthenticateInstalled(manifest, sig, store.Version(verify.Oem), verify.History{})
		if err != nil {
			return nil, "", err
		}
		if err := store.CheckRevoked(auth); err != nil {
			return nil, "", err
		}
	}
	var want *slot.Installed
	if auth.Manifest().Variant(about.Variant) != nil {
		if want, err = slot.NewInstalled(auth.Manifest(), auth.ManifestSHA384(), about.Variant); err != nil {
			return nil, "", err
		}
	}
	if want == nil || !about.Equal(want) {
		return nil, "", fault.New(fault.InstalledChanged, "%q does not describe a variant of the manifest beside it", slot.InstalledFile).
			With("path", filepath.Join(dir, slot.InstalledFile))
	}
	return auth, about.Variant, verify.Folder(ctx, dir, auth, about.Variant, a.out.progress())
}

type verifyResult struct {
	Path           string          `json:"path"`
	Container      string          `json:"container"`
	Size           int64           `json:"size,omitempty"`
	ModelFamily    string          `json:"model_family"`
	Version        string          `json:"version"`
	Variant        string          `json:"variant,omitempty"`
	Created        string          `json:"created"`
	ManifestSHA384 string          `json:"manifest_sha384"`
	Trust          string          `json:"trust"` // "root" or "given-key"
	TrustRoot      int             `json:"trust_root,omitempty"`
	Signers        []verify.Signer `json:"signers"`
	Emergency      bool            `json:"site_signed,omitempty"` // by emergency: the site's signature, not the vendor's
	outlook
}

func (r *verifyResult) text(p *printer) {
	if r.Emergency {
		p.line("%s %s", p.mark("warn"), p.bold(p.t("emergency.site")))
	}
	p.line("%s %s", p.mark("ok"), p.bold(p.t("verify.done", "family", r.ModelFamily, "version", r.Version)))
	if r.Trust == "given-key" {
		p.line("%s %s", p.mark("warn"), p.t("verify.given"))
	}
	for _, s := range r.Signers {
		p.field(p.t("verify.signer"), s.Fingerprint)
	}
	if r.Variant != "" {
		p.field(p.t("variant"), r.Variant)
	}
	p.field(p.t("created"), r.Created)
	p.field(p.t("manifest"), r.ManifestSHA384)
	r.outlook.text(p)
}

// quoteArg makes a path fit to be pasted into a shell.
func quoteArg(s string) string {
	if strings.ContainsAny(s, " \t'\"\\$&;()<>|*?[]{}~`!#") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// openOptions also asks a person at the terminal for volumes that are on another stick.
func (a *app) openOptions(path string, also []string) bundle.OpenOptions {
	o := bundle.OpenOptions{Also: also}
	if !a.interactive() || a.json || a.quiet {
		return o
	}
	in := bufio.NewReader(a.env.Stdin)
	o.Ask = func(ctx context.Context, want bundle.VolumeWanted) (string, error) {
		fmt.Fprintf(a.env.Stderr, "\n%s ", a.t("ask.volume", "n", want.Number, "total", want.Total, "name", clean(want.Name)))
		line := make(chan string, 1)
		go func() {
			s, err := in.ReadString('\n')
			if err != nil {
				close(line)
				return
			}
			line <- strings.TrimSpace(s)
		}()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case dir, ok := <-line:
			if !ok {
				return "", io.EOF
			}
			if dir == "" {
				dir = filepath.Dir(path)
			}
			return dir, nil
		}
	}
	return o
}
