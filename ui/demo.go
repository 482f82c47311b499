package ui

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/assets"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/inference"
	"sluice/internal/fault"
	"sluice/verify"
)

// demoSite is the try on the shipped demo model: a folder of its own with a supplier, a site and two people that nobody
// else believes, and a "stick" with two versions. All checks and steps are the real ones. Its keys have no passphrase.
type demoSite struct {
	dir  string
	keys map[string]ed25519.PrivateKey
}

// demoVersions are what lies on the stick: one to install, one to update to and to roll back from.
var demoVersions = []string{"1.0.0", "1.1.0"}

func (d *demoSite) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// startDemo makes the folder and goes to the choice of a bundle in it.
func (w *Window) startDemo() {
	d := &demoSite{keys: map[string]ed25519.PrivateKey{}}
	w.show(newBusy(w, 0, "demo.busy", "demo.busy.lead", func(ctx context.Context) error {
		err := d.make(ctx, w)
		if err != nil && d.dir != "" {
			_ = os.RemoveAll(d.dir)
		}
		return err
	}, func(err error) {
		if err != nil {
			w.show(newRefusal(w, 0, err, nil))
			return
		}
		w.demoDir = d.dir
		w.use(d.path("root"), true)
		w.install()
	}))
}

// endDemo returns to this machine's own models and takes the demo's folder away.
func (w *Window) endDemo() {
	w.dropDemo()
	w.use(w.c.Root, false)
	w.home()
}

// dropDemo deletes the demo's folder, if there is one.
func (w *Window) dropDemo() {
	if w.demoDir != "" {
		_ = os.RemoveAll(w.demoDir)
		w.demoDir = ""
	}
}

// demoKey is the key file of one of the demo's people; empty outside the demo.
func (w *Window) demoKey(person string) string {
	if !w.demo || w.demoDir == "" {
		return ""
	}
	p := filepath.Join(w.demoDir, "keys", person+".key")
	if _, err := os.Stat(p); err != nil {
		return ""
	}
	return p
}

// demoStick is the folder that stands for a stick in the demo; empty outside.
func (w *Window) demoStick() string {
	if !w.demo || w.demoDir == "" {
		return ""
	}
	return filepath.Join(w.demoDir, "stick")
}

// make runs in the background.
func (d *demoSite) make(ctx context.Context, w *Window) (err error) {
	if d.dir, err = os.MkdirTemp(w.c.DemoDir, "sluice-demo-"); err != nil {
		return fault.New(fault.IO, "making a folder for the demo: %w", err).With("path", w.c.DemoDir)
	}
	for _, name := range []string{"keys", "stick", "src"} {
		if err := os.Mkdir(d.path(name), 0o700); err != nil {
			return fault.New(fault.IO, "making %q: %w", d.path(name), err).With("path", d.path(name))
		}
	}
	for _, name := range []string{"oem-root", "oem_model_signing", "site-root", "site-policy", "anna", "jan"} {
		if d.keys[name], _, err = writeKeys(d.path("keys"), name, ""); err != nil {
			return err
		}
	}
	if err := d.trust(ctx, w); err != nil {
		return err
	}
	if err := os.CopyFS(d.path("src"), assets.Demo()); err != nil {
		return fault.New(fault.IO, "writing the demo model: %w", err).With("path", d.path("src"))
	}
	for _, v := range demoVersions {
		if err := d.build(ctx, w, v); err != nil {
			return err
		}
	}
	return nil
}

// trust places both lists of trusted keys and the policy with its two people.
func (d *demoSite) trust(ctx context.Context, w *Window) error {
	in, err := w.c.NewInstaller(d.path("root"), "demo", nil)
	if err != nil {
		return err
	}
	public := func(name string) (bundle.PublicKey, error) {
		return bundle.NewPublicKey(d.keys[name].Public().(ed25519.PublicKey))
	}
	for _, r := range []struct {
		of            verify.Root
		root, targets string
	}{{verify.Oem, "oem-root", "oem_model_signing"}, {verify.Site, "site-root", "site-policy"}} {
		rootKey, err := public(r.root)
		if err != nil {
			return err
		}
		target, err := public(r.targets)
		if err != nil {
			return err
		}
		raw, err := verify.NewRoot(verify.RootOptions{Of: r.of, RootKeys: []bundle.PublicKey{rootKey}, RootThreshold: 1, TargetsKeys: []bundle.PublicKey{target},
			TargetsThreshold: 1, Expires: time.Now().AddDate(1, 0, 0).UTC().Truncate(time.Second), Signers: []ed25519.PrivateKey{d.keys[r.root]}})
		if err != nil {
			return err
		}
		if err := in.TrustInit(ctx, r.of, raw, verify.Fingerprint(raw), "demo"); err != nil {
			return err
		}
	}
	return setPolicy(ctx, in, d.keys["site-policy"], func(p *compliance.Policy) error {
		for _, x := range []compliance.Person{
			{ID: "anna", Name: "Anna Nowak (demo)", Roles: []string{compliance.RoleOperator}},
			{ID: "jan", Name: "Jan Kowalski (demo)", Roles: []string{compliance.RoleCompliance}},
		} {
			key, err := public(x.ID)
			if err != nil {
				return err
			}
			x.PublicKey, x.Since = string(key.PEM()), p.Number
			p.People = append(p.People, x)
		}
		return nil
	})
}

// build makes one version's bundle on the "stick", as a supplier does.
func (d *demoSite) build(ctx context.Context, w *Window, version string) error {
	raw, err := assets.DemoSpec(version)
	if err != nil {
		return err
	}
	spec, err := bundle.ParseSpec(raw)
	if err != nil {
		return err
	}
	_, err = bundle.Build(ctx, spec, bundle.BuildOptions{SpecDir: d.path("src"), Keys: []ed25519.PrivateKey{d.keys["oem_model_signing"]}, Out: d.path("stick"),
		Now: time.Now(), Builder: strings.TrimSpace("sluice " + w.c.Version), CheckContract: inference.CheckContracts})
	return err
}
