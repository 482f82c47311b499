package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/internal/fault"
)

func (a *app) keyVerbs() []*cobra.Command {
	var out, name, passFile string
	var noPass bool
	generate := a.verb("generate --out DIR --name NAME", "keys.generate", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&out, "out", "", a.t("flag.out"))
		f.StringVar(&name, "name", "", a.t("flag.name"))
		f.StringVar(&passFile, "passphrase-file", "", a.t("flag.passphrase-file"))
		f.BoolVar(&noPass, "no-passphrase", false, a.t("flag.no-passphrase"))
	}, func(ctx context.Context, _ []string) (result, error) {
		if out == "" || name == "" {
			return nil, usage("keys generate wants --out DIR and --name NAME")
		}
		if noPass && passFile != "" {
			return nil, usage("--no-passphrase and --passphrase-file exclude each other")
		}
		var pass []byte
		var err error
		switch {
		case noPass:
		case passFile != "":
			pass, err = a.readPassphrase(passFile)
		default:
			pass, err = a.newPassphrase()
		}
		if err != nil {
			return nil, err
		}
		return a.generateKey(out, name, pass)
	})
	return []*cobra.Command{a.parent("keys", "keys", generate)}
}

var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (a *app) generateKey(dir, name string, pass []byte) (*keyResult, error) {
	if !keyName.MatchString(name) {
		return nil, usage("--name %q, want letters, digits, '.', '_' or '-', at most 64", name)
	}
	pub, priv, err := bundle.GenerateKey(a.env.Rand, name, pass)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, ioFault(err, dir)
	}
	key, err := bundle.ParsePublicKey(pub)
	if err != nil {
		return nil, err
	}
	r := &keyResult{
		Public: filepath.Join(dir, name+".pub"), Private: filepath.Join(dir, name+".key"), KeyID: key.ID(),
		Fingerprint: key.Fingerprint(), Protected: pass != nil,
	}
	// The private one first: a public key whose private half was never stored is of no use to anyone.
	if err := writeNew(r.Private, priv, 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(r.Public, pub, 0o644); err != nil {
		return nil, err
	}
	return r, nil
}

type keyResult struct {
	Public      string `json:"public"`
	Private     string `json:"private"`
	KeyID       string `json:"key_id"`
	Fingerprint string `json:"fingerprint"`
	Protected   bool   `json:"passphrase"`
}

func (r *keyResult) text(p *printer) {
	p.line("%s %s", p.mark("ok"), p.t("keys.made"))
	p.field(p.t("keys.public"), r.Public)
	p.field(p.t("keys.private"), r.Private)
	p.field(p.t("keys.fingerprint"), r.Fingerprint)
	if !r.Protected {
		p.line("%s %s", p.mark("warn"), p.t("keys.unprotected"))
	}
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if os.IsExist(err) {
		return fault.New(fault.Exists, "%q exists", path).With("path", path)
	}
	if err != nil {
		return ioFault(err, path)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
		return ioFault(err, path)
	}
	return nil
}

func ioFault(err error, path string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.SourceMissing, "%w", err).With("path", path)
	}
	return fault.New(fault.IO, "%w", err).With("path", path)
}

func ioOrNil(err error, path string) error {
	if err == nil {
		return nil
	}
	return ioFault(err, path)
}

func existsError(path string) error {
	return fault.New(fault.Exists, "folder %q is not empty", path)
}
