package cli

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"sluice/bundle"
	"sluice/internal/fault"
)

const maxKeyFile = 64 << 10

// keyFlags are the flags of every verb that signs.
type keyFlags struct {
	keys       []string
	passphrase string
}

func (k *keyFlags) add(a *app, f *pflag.FlagSet) {
	f.StringArrayVar(&k.keys, "key", nil, a.t("flag.key"))
	f.StringVar(&k.passphrase, "passphrase-file", "", a.t("flag.passphrase-file"))
}

// load reads the private keys, asking for a passphrase where one is needed.
func (k *keyFlags) load(a *app) ([]ed25519.PrivateKey, error) {
	if len(k.keys) == 0 {
		return nil, usage("--key is missing")
	}
	var given []byte
	if k.passphrase != "" {
		var err error
		if given, err = a.readPassphrase(k.passphrase); err != nil {
			return nil, err
		}
	}
	var out []ed25519.PrivateKey
	for _, path := range k.keys {
		raw, err := readLimited(path, maxKeyFile)
		if err != nil {
			return nil, err
		}
		// A key without passphrase takes none; one with takes the given one, or asks.
		key, err := bundle.ParsePrivateKey(raw, nil)
		if fault.CodeOf(err) == fault.Passphrase {
			pass := given
			if pass == nil {
				if pass, err = a.askPassphrase(a.t("ask.passphrase", "key", path)); err != nil {
					return nil, err
				}
			}
			key, err = bundle.ParsePrivateKey(raw, pass)
		}
		if err != nil {
			return nil, fault.New(fault.CodeOf(err), "reading key %q: %w", path, err).With("key", path).With("path", path)
		}
		out = append(out, key)
	}
	return out, nil
}

// one is load for verbs that one person signs.
func (k *keyFlags) one(a *app) (ed25519.PrivateKey, error) {
	if len(k.keys) > 1 {
		return nil, usage("%d times --key, want one", len(k.keys))
	}
	keys, err := k.load(a)
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// readPassphrase takes the first line of a file, or of stdin for "-".
func (a *app) readPassphrase(path string) ([]byte, error) {
	var raw []byte
	var err error
	if path == "-" {
		raw, err = io.ReadAll(io.LimitReader(a.env.Stdin, maxKeyFile))
	} else {
		raw, err = readLimited(path, maxKeyFile)
	}
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fault.New(fault.Passphrase, "passphrase file %q is empty", path)
	}
	return line, nil
}

// askPassphrase reads from the terminal without echo; without a terminal it is exit 2.
func (a *app) askPassphrase(prompt string) ([]byte, error) {
	if !a.interactive() {
		return nil, fault.New(fault.Passphrase, "a passphrase is needed and there is no terminal to ask in: want --passphrase-file")
	}
	fmt.Fprint(a.env.Stderr, prompt+" ")
	p, err := term.ReadPassword(int(a.env.Stdin.Fd()))
	fmt.Fprintln(a.env.Stderr)
	if err != nil {
		return nil, fault.New(fault.Passphrase, "reading the passphrase: %w", err)
	}
	return p, nil
}

// newPassphrase asks twice.
func (a *app) newPassphrase() ([]byte, error) {
	one, err := a.askPassphrase(a.t("ask.newpassphrase"))
	if err != nil {
		return nil, err
	}
	if len(one) < 8 {
		return nil, fault.New(fault.Passphrase, "the passphrase has %d characters, want at least 8", len(one))
	}
	two, err := a.askPassphrase(a.t("ask.repeat"))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(one, two) {
		return nil, fault.New(fault.Passphrase, "the two passphrases differ")
	}
	return one, nil
}

func (a *app) interactive() bool {
	return a.env.Stdin != nil && term.IsTerminal(int(a.env.Stdin.Fd()))
}

// readLimited reads a file that a person named.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that nobody writes to is empty, and not waited for
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fault.New(fault.SourceMissing, "opening %q: %w", path, err).With("path", path)
		}
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
