package ui

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer"
	"sluice/internal/fault"
)

// maxKeyFile limits a key file, bytes.
const maxKeyFile = 64 << 10

// readFile reads a file that a person named, up to a limit. Errors: E-SOURCE-MISSING, E-IO, E-LIMIT.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.SourceMissing, "opening %q: %w", path, err).With("path", path)
	}
	if err != nil {
		return nil, fault.New(fault.IO, "opening %q: %w", path, err).With("path", path)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fault.New(fault.IO, "reading %q: %w", path, err).With("path", path)
	}
	if int64(len(raw)) > limit {
		return nil, fault.New(fault.Limit, "%q is larger than %d bytes", path, limit).With("path", path)
	}
	return raw, nil
}

// readPublicKey reads a .pub file.
func readPublicKey(path string) (bundle.PublicKey, error) {
	raw, err := readFile(path, maxKeyFile)
	if err != nil {
		return bundle.PublicKey{}, err
	}
	k, err := bundle.ParsePublicKey(raw)
	if err != nil {
		return k, named(err, path)
	}
	return k, nil
}

// readKey reads a private key; a passphrase is used only where the key has one. Errors: E-PASSPHRASE, E-KEY-READ and those
// of readFile.
func readKey(path, passphrase string) (ed25519.PrivateKey, error) {
	raw, err := readFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	key, err := bundle.ParsePrivateKey(raw, nil)
	if fault.CodeOf(err) == fault.Passphrase && passphrase != "" {
		key, err = bundle.ParsePrivateKey(raw, []byte(passphrase))
	}
	if err != nil {
		return nil, named(err, path)
	}
	return key, nil
}

func named(err error, path string) error {
	return fault.New(fault.CodeOf(err), "reading key %q: %w", path, err).With("key", path).With("path", path)
}

// writeKeys makes an Ed25519 pair, name.key and name.pub in dir, and overwrites nothing. The private file comes first: a
// public key whose private half was never stored is of no use to anyone.
func writeKeys(dir, name, passphrase string) (key ed25519.PrivateKey, pub string, err error) {
	var pass []byte
	if passphrase != "" {
		pass = []byte(passphrase)
	}
	pem, private, err := bundle.GenerateKey(rand.Reader, name, pass)
	if err != nil {
		return nil, "", err
	}
	pub = filepath.Join(dir, name+".pub")
	if err := writeNew(filepath.Join(dir, name+".key"), private, 0o600); err != nil {
		return nil, "", err
	}
	if err := writeNew(pub, pem, 0o644); err != nil {
		return nil, "", err
	}
	if key, err = bundle.ParsePrivateKey(private, pass); err != nil {
		return nil, "", err
	}
	return key, pub, nil
}

// writeNew writes a file that must not exist yet. Errors: E-EXISTS, E-IO.
func writeNew(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Exists, "%q exists", path).With("path", path)
	}
	if err != nil {
		return fault.New(fault.IO, "making %q: %w", path, err).With("path", path)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(path)
		return fault.New(fault.IO, "writing %q: %w", path, err).With("path", path)
	}
	return nil
}

// setPolicy signs what change makes of the present policy, or of the first one, and hands it to the installation, which
// checks it.
func setPolicy(ctx context.Context, in *installer.Installer, key ed25519.PrivateKey, change func(p *compliance.Policy) error) error {
	p, err := in.Policy()
	if err != nil {
		return err
	}
	if p == nil {
		p = &compliance.Policy{Schema: compliance.PolicySchema, People: []compliance.Person{}, Stages: compliance.DefaultStages(), RequireModels: true}
	}
	p.Number++
	if err := change(p); err != nil {
		return err
	}
	envelope, err := compliance.SignPolicy(p, key)
	if err != nil {
		return err
	}
	return in.PolicySet(ctx, envelope)
}
