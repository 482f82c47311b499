package slot

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/machineid"
)

// machineDomain separates this use of the system's machine id from all others.
const machineDomain = "sluice-machine-v1\x00"

// Machine is this machine as approvals name it: the id of its log key, and a digest of the system's machine id.
type Machine = compliance.Machine

// MachineKey reads the private log key; the error wraps fs.ErrNotExist when there is none.
func (d *Dir) MachineKey() (ed25519.PrivateKey, error) {
	raw, err := d.Read(keyFile, maxKey)
	if err != nil {
		return nil, err
	}
	return bundle.ParsePrivateKey(raw, nil)
}

// MachinePublicKey reads the public half, which needs no privilege; the error wraps fs.ErrNotExist when there is none.
func (d *Dir) MachinePublicKey() (bundle.PublicKey, error) {
	raw, err := d.Read(pubFile, maxKey)
	if err != nil {
		return bundle.PublicKey{}, err
	}
	key, err := bundle.ParsePublicKey(raw)
	if err != nil {
		return bundle.PublicKey{}, fault.New(fault.MachineOther, "the machine's public key %q is not the one that was made here: %w", pubFile, err).With("path", pubFile)
	}
	return key, nil
}

// EnsureMachineKey makes the machine's log key where there is none and returns it. The caller holds the lock.
func (d *Dir) EnsureMachineKey(random io.Reader) (ed25519.PrivateKey, error) {
	key, err := d.MachineKey()
	if err == nil {
		return key, d.ensurePublic(key)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if d.Exists(pubFile) { // a new key would not be the one that approvals and logs name
		return nil, fault.New(fault.MachineOther, "%q is gone, but %q is there: want the key that belongs to it", keyFile, pubFile).With("path", keyFile)
	}
	_, priv, err := bundle.GenerateKey(random, "machine", nil)
	if err != nil {
		return nil, err
	}
	if err := fsx.WriteFile(d.root, keyFile, priv, 0o600); err != nil {
		return nil, err
	}
	if key, err = d.MachineKey(); err != nil {
		return nil, err
	}
	return key, d.ensurePublic(key)
}

// ensurePublic writes machine.pub where it is missing; one that differs is a refusal, not something to mend silently.
func (d *Dir) ensurePublic(key ed25519.PrivateKey) error {
	pub, err := bundle.NewPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	there, err := d.MachinePublicKey()
	if errors.Is(err, fs.ErrNotExist) {
		return fsx.WriteFile(d.root, pubFile, pub.PEM(), 0o644)
	}
	if err != nil {
		return err
	}
	if !there.Equal(pub) {
		return fault.New(fault.MachineOther, "%q is not the public half of %q", pubFile, keyFile).With("path", pubFile)
	}
	return nil
}

// Machine says which machine this is, from machine.pub and the system.
func (d *Dir) Machine(ctx context.Context) (Machine, error) {
	pub, err := d.MachinePublicKey()
	if err != nil {
		return Machine{}, err
	}
	return Machine{KeyID: pub.ID(), System: systemID(ctx)}, nil
}

// systemID is the digest of the system's machine id. Where it has none, the digest is that of an empty one: then only
// the log key tells this machine from others.
func systemID(ctx context.Context) bundle.Digest {
	return Sum([]byte(machineDomain + machineid.Read(ctx).Value))
}

// CheckMachine refuses (E-MACHINE-OTHER) a record made on another machine.
func (d *Dir) CheckMachine(ctx context.Context, want Machine) error {
	have, err := d.Machine(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.MachineOther, "this root has no machine key, want key id %q: %w", want.KeyID, err)
	}
	if err != nil {
		return err
	}
	if have != want {
		return fault.New(fault.MachineOther, "the record was made on another machine (key id %q), this is %q", want.KeyID, have.KeyID).
			With("want", want.KeyID).With("have", have.KeyID).With("same_key", have.KeyID == want.KeyID)
	}
	return nil
}
