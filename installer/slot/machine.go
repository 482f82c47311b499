package slot

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/machineid"
	"sluice/verify"
)

// machineDomain separates this use of the system's machine id from all others.
const machineDomain = "sluice-machine-v1\x00"

// Machine is this machine as approvals name it: the id of its log key, and a digest of the system's machine id.
type Machine = compliance.Machine

// MachineKey reads the private log key; the error wraps fs.ErrNotExist when there is none.
func (d *Dir) MachineKey() (ed25519.PrivateKey, error) {
	raw, err := d.Read(keyFile, maxKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var key ed25519.PrivateKey
	if err == nil {
		key, err = bundle.ParsePrivateKey(raw, nil)
	}
	if err != nil {
		return nil, notMade(keyFile, err)
	}
	return key, nil
}

// notMade says of a key file of the machine that it is not what this program wrote; an error of the system stays one.
func notMade(name string, err error) error {
	if code := fault.CodeOf(err); code.Exit() == fault.IO.Exit() {
		return err
	}
	return fault.New(fault.MachineOther, "the machine's key %q is not the one that was made here: %w", name, err).With("path", name)
}

// MachinePublicKey reads the public half, which needs no privilege; the error wraps fs.ErrNotExist when there is none.
func (d *Dir) MachinePublicKey() (bundle.PublicKey, error) {
	raw, err := d.Read(pubFile, maxKey)
	if errors.Is(err, fs.ErrNotExist) {
		return bundle.PublicKey{}, err
	}
	var key bundle.PublicKey
	if err == nil {
		key, err = bundle.ParsePublicKey(raw)
	}
	if err != nil {
		return bundle.PublicKey{}, notMade(pubFile, err)
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
	if used := d.keyUsed(); used != "" { // a new key would not be the one that approvals and logs name
		return nil, fault.New(fault.MachineOther, "%q is gone, but %q is there: want the key that belongs to it", keyFile, used).With("path", keyFile)
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

// Begun says whether this folder is an installation: a machine key is here, or something that one made.
func (d *Dir) Begun() bool { return d.Exists(keyFile) || d.keyUsed() != "" }

// keyUsed names something that a machine key made, empty when there is nothing: its public half, a log, a stage's record.
func (d *Dir) keyUsed() string {
	names := []string{pubFile}
	for _, s := range Stages() {
		names = append(names, AuditDir+"/"+s.Log()+".jsonl", s.RecordFile())
	}
	for _, name := range names {
		if d.Exists(name) {
			return name
		}
	}
	return ""
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

// CheckVendorKey refuses (E-RECORD-EDITED) a published vendor key, oem_model_signing.pub, that is not exactly the keys that
// the vendor's trust root lets sign bundles: this program does not read it, but others are given it to check signatures with. Those of
// a root before are let stand: a rotation may be at work, or was interrupted before they were replaced.
func (d *Dir) CheckVendorKey(store *verify.Store) error {
	if !store.Has(verify.Oem) {
		return nil
	}
	changed := func(err error) error {
		return fault.New(fault.RecordEdited, "%q is not the key of the vendor's trust root: %w", VendorKeyFile, err).With("path", VendorKeyFile)
	}
	raw, err := d.Read(VendorKeyFile, maxKey)
	if err != nil && !odd(err) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return changed(err)
	}
	have, err := keysIn(raw)
	if err != nil {
		return changed(err)
	}
	for _, published := range store.PublishedKeys() {
		if want, err := keysIn(published); err == nil && slices.Equal(want, have) {
			return nil
		}
	}
	return changed(fmt.Errorf("it holds %q in %d bytes", have, len(raw)))
}

// keysIn are the ids of the keys of a PEM file, sorted; nothing else may be in it.
func keysIn(raw []byte) ([]string, error) {
	var out []string
	for len(raw) > 0 {
		block, rest := pem.Decode(raw)
		if block == nil {
			break
		}
		key, err := bundle.ParsePublicKey(pem.EncodeToMemory(block))
		if err != nil {
			return nil, err
		}
		out, raw = append(out, key.ID()), rest
	}
	if len(bytes.TrimSpace(raw)) > 0 {
		return nil, fmt.Errorf("%d bytes of it are no key", len(raw))
	}
	slices.Sort(out)
	return out, nil
}

// Traces names something that only an installation leaves, models or not: a trust root, a machine key, a report, a version
// folder. Empty: this root never had anything.
func (d *Dir) Traces() string {
	for _, name := range []string{KeysDir, ReportsDir, MachineDir, BundlesDir} {
		entries, err := d.List(name)
		if err != nil {
			return name // not even a folder: somebody's doing
		}
		for _, e := range entries {
			if !e.IsDir() || name != KeysDir {
				return name + "/" + e.Name()
			}
			if inside, err := d.List(name + "/" + e.Name()); err != nil || len(inside) > 0 {
				return name + "/" + e.Name()
			}
		}
	}
	return ""
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
