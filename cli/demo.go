package cli

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/assets"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/gate"
	"sluice/inference"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/verify"
)

func (a *app) demoVerbs() []*cobra.Command {
	var dir string
	return []*cobra.Command{a.verb("demo [--dir D]", "demo", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&dir, "dir", "", a.t("flag.demo-dir"))
	}, func(ctx context.Context, _ []string) (result, error) { return a.demo(ctx, dir) })}
}

// demo is the whole journey with the shipped model: every step is the real one, only the people are invented.
type demo struct {
	a      *app
	p      *printer
	dir    string
	in     *installer.Installer
	keys   map[string]ed25519.PrivateKey
	count  int
	bundle string
	result demoResult
}

// The demo's keys: who they belong to and what they are for is in docs/demo-model.md. They have no passphrase, so that
// the commands shown at the end can be pasted; nothing but the demo's own folder believes them.
var demoKeys = []string{"oem-root", "oem_model_signing", "site-root", "site-policy", "anna", "jan"}

func (a *app) demo(ctx context.Context, dir string) (result, error) {
	dir, err := demoDir(dir)
	if err != nil {
		return nil, err
	}
	d := &demo{a: a, dir: dir, keys: map[string]ed25519.PrivateKey{}, p: &printer{app: a, w: a.env.Stdout}}
	if a.json || a.quiet {
		d.p.w = discard{}
	}
	if d.in, err = a.installerAt(filepath.Join(dir, "root"), "anna"); err != nil {
		return nil, err
	}
	d.p.line("%s", d.p.bold(a.t("demo.head")))
	d.p.line("%s", a.t("demo.where", "path", dir))
	for _, step := range []func(context.Context) error{d.trust, d.people, d.build, d.install, d.paper, d.live, d.check} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &d.result, nil
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// demoDir makes a fresh folder: the named one, or the first free sluice-demo here.
func demoDir(dir string) (string, error) {
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", ioFault(err, dir)
		}
		if entries, err := os.ReadDir(abs); err == nil && len(entries) > 0 {
			return "", withPath(existsError(abs), abs)
		}
		return abs, ioOrNil(os.MkdirAll(abs, 0o755), abs)
	}
	for i := 1; ; i++ {
		name := "sluice-demo"
		if i > 1 {
			name = fmt.Sprintf("sluice-demo-%d", i)
		}
		abs, err := filepath.Abs(name)
		if err != nil {
			return "", ioFault(err, name)
		}
		err = os.Mkdir(abs, 0o755)
		if err == nil {
			return abs, nil
		}
		if !errors.Is(err, fs.ErrExist) || i == 1000 {
			return "", ioFault(err, abs)
		}
	}
}

func (d *demo) step(key string) {
	d.count++
	d.p.line("")
	d.p.line("%s", d.p.bold(fmt.Sprintf("%d/7  %s", d.count, d.a.t(key))))
}

func (d *demo) ok(key string, pairs ...any) {
	d.p.line("  %s %s", d.p.mark("ok"), d.a.t(key, pairs...))
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// trust makes the supplier's and the site's roots and places them by their fingerprints.
func (d *demo) trust(ctx context.Context) error {
	d.step("demo.trust")
	for _, name := range demoKeys {
		if _, err := d.a.generateKey(d.path("keys"), name, nil); err != nil {
			return err
		}
		raw, err := readLimited(d.path("keys", name+".key"), maxKeyFile)
		if err != nil {
			return err
		}
		if d.keys[name], err = bundle.ParsePrivateKey(raw, nil); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		of            verify.Root
		root, targets string
	}{{verify.Oem, "oem-root", "oem_model_signing"}, {verify.Site, "site-root", "site-policy"}} {
		rootKey, err := bundle.NewPublicKey(d.keys[r.root].Public().(ed25519.PublicKey))
		if err != nil {
			return err
		}
		targetsKey, err := bundle.NewPublicKey(d.keys[r.targets].Public().(ed25519.PublicKey))
		if err != nil {
			return err
		}
		raw, err := verify.NewRoot(verify.RootOptions{
			Of: r.of, RootKeys: []bundle.PublicKey{rootKey}, RootThreshold: 1, TargetsKeys: []bundle.PublicKey{targetsKey}, TargetsThreshold: 1,
			Expires: d.a.env.Now().AddDate(1, 0, 0).UTC().Truncate(1e9), Signers: []ed25519.PrivateKey{d.keys[r.root]},
		})
		if err != nil {
			return err
		}
		file := d.path("delivery", string(r.of)+".1.root.json")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return ioFault(err, file)
		}
		if err := writeNew(file, raw, 0o644); err != nil {
			return err
		}
		if err := d.in.TrustInit(ctx, r.of, raw, verify.Fingerprint(raw), "anna"); err != nil {
			return err
		}
		d.ok("demo.trusted", "of", r.of, "fingerprint", verify.Fingerprint(raw))
	}
	return nil
}

// people gives the site a policy with two people.
func (d *demo) people(ctx context.Context) error {
	d.step("demo.people")
	site := []ed25519.PrivateKey{d.keys["site-policy"]}
	err := setPolicy(ctx, d.in, site, func(*compliance.Policy) (*compliance.Policy, error) {
		return &compliance.Policy{
			Schema: compliance.PolicySchema, Number: 1, People: []compliance.Person{}, Stages: compliance.DefaultStages(), RequireModels: true,
		}, nil
	})
	if err != nil {
		return err
	}
	for _, p := range []compliance.Person{
		{ID: "anna", Name: "Anna Nowak (demo)", Roles: []string{compliance.RoleOperator}},
		{ID: "jan", Name: "Jan Kowalski (demo)", Roles: []string{compliance.RoleCompliance}},
	} {
		key, err := bundle.NewPublicKey(d.keys[p.ID].Public().(ed25519.PublicKey))
		if err != nil {
			return err
		}
		err = setPolicy(ctx, d.in, site, func(old *compliance.Policy) (*compliance.Policy, error) { return addPerson(old, p, key) })
		if err != nil {
			return err
		}
		d.ok("demo.person", "name", p.Name, "role", roleWords(d.a, p.Roles))
	}
	return nil
}

// build makes and signs the bundle from the embedded files, as an OEM does in CI.
func (d *demo) build(ctx context.Context) error {
	d.step("demo.build")
	src := d.path("oem", "src")
	if err := os.CopyFS(src, assets.Demo()); err != nil {
		return ioFault(err, src)
	}
	raw, err := readLimited(filepath.Join(src, "bundle.yaml"), maxSpecFile)
	if err != nil {
		return err
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		return err
	}
	stick := d.path("stick")
	if err := os.MkdirAll(stick, 0o755); err != nil {
		return ioFault(err, stick)
	}
	built, err := bundle.Build(ctx, spec, bundle.BuildOptions{
		SpecDir: src, Keys: []ed25519.PrivateKey{d.keys["oem_model_signing"]}, Out: stick, Now: d.a.env.Now(),
		SourceDateEpoch: d.a.env.Getenv("SOURCE_DATE_EPOCH"), Builder: "sluice " + d.a.env.Version, Progress: d.a.out.progress(),
		CheckContract: inference.CheckContracts,
	})
	if err != nil {
		return err
	}
	d.bundle = built.Files[0]
	d.ok("demo.built", "path", d.bundle, "size", bytesText(built.Size))
	return nil
}

// install takes the bundle from the "stick" to a tested version.
func (d *demo) install(ctx context.Context) error {
	d.step("demo.install")
	src, err := d.in.Open(ctx, d.bundle, bundle.OpenOptions{})
	if err != nil {
		return err
	}
	defer src.Close()
	auth, err := d.in.Authenticate(ctx, src)
	if err != nil {
		return err
	}
	d.ok("demo.authentic", "fingerprint", auth.Signers()[0].Fingerprint)
	fitted, err := d.in.Fit(ctx, auth, installer.FitOptions{})
	if err != nil {
		return err
	}
	verdictTable(d.p, fitted.Verdicts())
	staged, err := d.in.Stage(ctx, fitted)
	if err != nil {
		return err
	}
	candidate, err := d.in.Activate(ctx, staged)
	if err != nil {
		return err
	}
	d.ok("demo.copied", "path", candidate.Folder())
	tested, err := d.in.Smoke(ctx, candidate)
	if err != nil {
		return err
	}
	if r := tested.Report(); r != nil {
		smokeTable(d.p, r)
	}
	return nil
}

func (d *demo) signoff(ctx context.Context, stage slot.Stage, person, role string) (*installer.SignOffResult, error) {
	tested, err := d.in.Reopen(ctx, "")
	if err != nil {
		return nil, err
	}
	list, err := d.in.Checklist(ctx, tested, stage)
	if err != nil {
		return nil, err
	}
	answers := list.NewAnswers(role)
	for i := range answers.Answers {
		one := &answers.Answers[i]
		if one.Answer = compliance.Yes; list.Allows(one.ID, compliance.Yes) != nil { // no way back from a first version
			one.Answer, one.Comment = compliance.NotApplicable, d.a.t("demo.noevidence")
		}
	}
	done, err := d.in.SignOff(ctx, tested, installer.SignOffOptions{Stage: stage, Operator: person, Role: role, Key: d.keys[person], Answers: answers})
	if err != nil {
		return nil, err
	}
	d.ok("demo.signed", "name", person, "stage", stage, "n", len(answers.Answers))
	return done, nil
}

func (d *demo) paper(ctx context.Context) error {
	d.step("demo.paper")
	_, err := d.signoff(ctx, slot.Paper, "anna", compliance.RoleOperator)
	return err
}

func (d *demo) live(ctx context.Context) error {
	d.step("demo.live")
	if _, err := d.signoff(ctx, slot.Live, "anna", compliance.RoleOperator); err != nil {
		return err
	}
	done, err := d.signoff(ctx, slot.Live, "jan", compliance.RoleCompliance)
	if err != nil {
		return err
	}
	d.result.Report, d.result.PDF, d.result.Evidence = done.Report, done.PDF, done.Evidence
	approved, err := d.in.Reapprove(ctx, slot.Live)
	if err != nil {
		return err
	}
	rec, err := d.in.GoLive(ctx, approved)
	if err != nil {
		return err
	}
	d.ok("demo.golive", "version", rec.Version, "variant", rec.Variant)
	return nil
}

// check asks the gate as a bot does, with models mandatory.
func (d *demo) check(ctx context.Context) error {
	d.step("demo.check")
	answer, err := gate.Check(ctx, d.in.Root(), gate.Options{Stage: slot.Live, Require: true, Env: d.a.env.Getenv, Actor: "demo"})
	if err != nil {
		return err
	}
	d.ok("check.open", "stage", answer.Stage, "family", answer.ModelFamily, "version", answer.Version, "variant", answer.Variant)
	d.result.Dir, d.result.Root, d.result.Bundle = d.dir, d.in.Root(), d.bundle
	d.result.Log = filepath.Join(d.in.Root(), filepath.FromSlash(slot.AuditDir))
	d.result.Check = answer
	return nil
}

type demoResult struct {
	Dir    string `json:"dir"`
	Root   string `json:"root"`
	Bundle string `json:"bundle"`
	Log    string `json:"log"`
	Report string `json:"report"`
	PDF    string `json:"pdf"`
	// Evidence is the evidence pack of the last sign-off.
	Evidence string       `json:"evidence"`
	Check    *gate.Answer `json:"check"`
}

func (r *demoResult) text(p *printer) {
	p.line("")
	p.line("%s %s", p.mark("ok"), p.bold(p.t("demo.done")))
	p.field(p.t("demo.bundle"), r.Bundle)
	p.field(p.t("demo.log"), r.Log)
	p.field(p.t("demo.report"), r.PDF)
	p.field(p.t("signoff.evidence"), r.Evidence)
	p.line("")
	p.say("demo.try")
	root := " --root " + quoteArg(r.Root)
	for _, verb := range []string{"status", "check --json", "log show", "report", "live disable"} {
		p.line("  %s %s%s", p.app.self(), verb, root)
	}
	p.line("")
	p.say("demo.tamper")
	p.line("  printf x | dd of=%s bs=1 seek=20000 conv=notrunc", quoteArg(r.Bundle))
	p.line("  %s verify %s%s", p.app.self(), quoteArg(r.Bundle), root)
}
