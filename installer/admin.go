package installer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/verify"
)

// TrustInit places a machine's first trust root, which a person compared with what came on another way. by is who
// confirmed it, for the log. Errors: those of verify.Store.Place.
func (in *Installer) TrustInit(ctx context.Context, of verify.Root, rootFile []byte, fingerprint, by string) error {
	if of != verify.Oem && of != verify.Site {
		return fault.New(fault.Usage, "trust root %q, want %q or %q", of, verify.Oem, verify.Site)
	}
	_, err := write(ctx, in, demands{what: slot.EventTrustInit, actor: by}, func(w *work) (struct{}, error) {
		return struct{}{}, w.trustInit(of, rootFile, fingerprint)
	})
	return err
}

func (w *work) trustInit(of verify.Root, rootFile []byte, fingerprint string) error {
	store, err := w.dir.Roots()
	if err != nil {
		return err
	}
	if store.Has(of) { // before an intent: nothing is going to change
		return store.Place(of, rootFile, fingerprint)
	}
	c := change{log: audit.Demo, event: slot.EventTrustInit, path: slot.KeysDir + "/" + string(of) + "/1.root.json",
		becomes: slot.Sum(rootFile).String(), then: audit.StatusDone, artefacts: map[string]string{"root": slot.Sum(rootFile).String()},
		info: map[string]string{"of": string(of), "fingerprint": verify.Fingerprint(rootFile)}}
	return w.perform(c, func() error { return store.Place(of, rootFile, fingerprint) })
}

// PolicySet takes a policy that the site's root signed. It must follow the one before.
// Errors: E-TRUST-NONE (no site root), E-TRUST-EXPIRED, E-REVOKED, E-SIGNATURE-*, E-POLICY-INVALID.
func (in *Installer) PolicySet(ctx context.Context, envelope []byte) error {
	_, err := write(ctx, in, demands{what: "policy_set"}, func(w *work) (struct{}, error) { return struct{}{}, w.policySet(envelope) })
	return err
}

func (w *work) policySet(envelope []byte) error {
	store, err := w.dir.Roots()
	if err != nil {
		return err
	}
	next, err := slot.ParsePolicy(store, envelope)
	if err != nil {
		return err
	}
	if err := w.dir.CheckTrust(w.ledger, store); err != nil {
		return err
	}
	if err := store.CheckExpired(verify.Site, w.ledger.Evidence(w.in.c.Built).At); err != nil {
		return err
	}
	old, err := w.dir.Policy(store, w.ledger)
	if err != nil {
		return err
	}
	if err := next.Follows(old); err != nil {
		return err
	}
	// The copy that is kept for ever comes first: sign-offs name the policy that they were made under.
	if err := fsx.MkdirAll(w.dir.Root(), slot.PoliciesDir, 0o755); err != nil {
		return err
	}
	info := policyChange(old, next)
	info[slot.InfoTrustRoot] = strconv.Itoa(store.Version(verify.Site))
	art := map[string]string{"policy": slot.Sum(envelope).String()}
	if err := w.writeFile(change{log: audit.Demo, event: "policy_kept", path: slot.PolicyPath(next.Number), then: audit.StatusDone,
		artefacts: art, info: map[string]string{slot.InfoPolicy: strconv.Itoa(next.Number), slot.InfoTrustRoot: info[slot.InfoTrustRoot]}}, envelope, 0o444); err != nil {
		return err
	}
	return w.writeFile(change{log: audit.Demo, event: slot.EventPolicySet, path: slot.PolicyFile, then: audit.StatusDone, artefacts: art, info: info}, envelope, 0o644)
}

// policyChange says for the log what a policy changes, and of whom.
func policyChange(old, next *compliance.Policy) map[string]string {
	var added, retired, renamed []string
	for i := range next.People {
		x := &next.People[i]
		switch was := old.Person(x.ID); {
		case was == nil:
			k, err := bundle.ParsePublicKey([]byte(x.PublicKey))
			if err == nil {
				added = append(added, x.ID+" ("+strings.Join(x.Roles, ", ")+"; "+k.ID()+")")
			}
		case was.Retired == 0 && x.Retired != 0:
			retired = append(retired, x.ID)
		case was.Name != x.Name || !slices.Equal(was.Roles, x.Roles):
			renamed = append(renamed, x.ID)
		}
	}
	info := map[string]string{slot.InfoPolicy: strconv.Itoa(next.Number)}
	for name, who := range map[string][]string{"people_added": added, "people_retired": retired, "people_changed": renamed} {
		if len(who) > 0 {
			info[name] = strings.Join(who, "; ")
		}
	}
	was, err := bundle.CanonicalJSON(rulesOf(old))
	is, err2 := bundle.CanonicalJSON(rulesOf(next))
	if err == nil && err2 == nil && !bytes.Equal(was, is) {
		info["rules"] = string(is)
	}
	return info
}

// rulesOf is a policy without its people and number.
func rulesOf(p *compliance.Policy) compliance.Policy {
	if p == nil {
		return compliance.Policy{}
	}
	r := *p
	r.Number, r.People = 0, nil
	return r
}

// Policy is the site's policy, proven; nil without an error when there is none.
func (in *Installer) Policy() (*compliance.Policy, error) {
	p, root, err := readQuietly(in, func(g ground) (*compliance.Policy, error) { return g.policy() })
	if !root {
		return nil, nil
	}
	return p, err
}

// Remove deletes an installed version, all its variants, or one of them as version@variant. Never the live version nor
// its way back (E-VERSION-IN-USE). Records of demo and paper that name it go with it.
func (in *Installer) Remove(ctx context.Context, version string) error {
	_, err := write(ctx, in, demands{what: "remove"}, func(w *work) (struct{}, error) { return struct{}{}, w.remove(ctx, version) })
	return err
}

func (w *work) remove(ctx context.Context, name string) error {
	version, variant, one := strings.Cut(strings.TrimPrefix(name, "v"), "@")
	if err := bundle.ValidVersion(version); err != nil {
		return fault.New(fault.VersionUnknown, "version %q: %w", version, err).With("version", version)
	}
	versions, err := w.dir.Versions()
	if err != nil {
		return err
	}
	var folders []string
	for _, v := range versions {
		switch {
		case v.Installed == nil && !one && (v.Folder == slot.Folder(version) || strings.HasPrefix(v.Folder, slot.Folder(version)+"@")):
			folders = append(folders, v.Folder) // damaged beyond description
		case v.Installed != nil && v.Installed.Version == version && (!one || v.Installed.Variant == variant):
			folders = append(folders, v.Folder)
		}
	}
	if len(folders) == 0 {
		return unknownVersion(name)
	}
	live, _, err := w.dir.Record(slot.Live)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if live != nil && (live.Folder == f || live.Previous != nil && live.Previous.Folder == f) {
			return fault.New(fault.VersionInUse, "version %q is live or the way back of the live one", version).With("version", version)
		}
	}
	for _, stage := range []slot.Stage{slot.Paper, slot.Demo} {
		r, _, err := w.dir.Record(stage)
		if err != nil {
			return err
		}
		if r != nil && slices.Contains(folders, r.Folder) {
			if err := w.dropRecord(stage); err != nil {
				return err
			}
		}
	}
	if slices.Contains(folders, w.dir.Latest()) {
		if err := w.dir.PointLatest(""); err != nil {
			return err
		}
	}
	for _, f := range folders {
		if err := alive(ctx); err != nil {
			return err
		}
		if err := w.removeFolder(f, version); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) dropRecord(stage slot.Stage) error {
	return w.perform(change{log: audit.Log(stage.Log()), event: slot.EventRecord, path: stage.RecordFile(), becomes: slot.Absent, then: "record_removed"},
		func() error {
			if err := w.dir.Root().Remove(stage.RecordFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fsx.Classify(err, "removing", stage.RecordFile())
			}
			return fsx.SyncDir(w.dir.Root(), slot.ModelsDir)
		})
}

// removeFolder takes a version's name away by one rename, then its files.
func (w *work) removeFolder(folder, version string) error {
	op, err := newOp()
	if err != nil {
		return err
	}
	aside := slot.StagingDir + "/" + op + removedSuffix
	c := change{log: audit.Demo, event: "remove", path: folder, becomes: slot.Absent, then: "removed", info: map[string]string{slot.InfoVersion: version}}
	if err := w.perform(c, func() error { return fsx.RenameDir(w.dir.Root(), folder, aside) }); err != nil {
		return err
	}
	return fsx.RemoveAll(w.dir.Root(), aside)
}

// LogVerify verifies all logs against the machine's key and the heads that stage records hold. E-LOG-BROKEN names the
// log and its first bad entry.
func (in *Installer) LogVerify(ctx context.Context) ([]LogState, error) {
	v, err := in.look()
	if err != nil {
		return nil, err
	}
	defer v.close()
	var out []LogState
	for _, log := range audit.All() {
		if s := v.states[log]; s != nil {
			out = append(out, LogState{Log: string(log), Entries: s.Entries, Head: s.SHA384, Torn: s.Torn})
		}
	}
	return out, nil
}

// LogVerifyAgainst is LogVerify with heads kept elsewhere, of an export: a log that was cut short since, or replaced by an
// older copy together with everything that points to it, is E-LOG-BROKEN.
func (in *Installer) LogVerifyAgainst(ctx context.Context, heads map[audit.Log]audit.Head) ([]LogState, error) {
	states, err := in.LogVerify(ctx)
	if err != nil {
		return nil, err
	}
	v, err := in.look()
	if err != nil {
		return nil, err
	}
	defer v.close()
	for _, log := range audit.All() {
		h, ok := heads[log]
		if !ok {
			continue
		}
		if v.logs == nil {
			return nil, fault.New(fault.LogBroken, "log %q is empty, %d entries are known of it", string(log), h.Entries).With("log", string(log)).With("entry", 1)
		}
		if _, err := v.logs.Verify(log, audit.VerifyOptions{Heads: []audit.Head{h}}); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// MachineKey is the public half of the key that signs this machine's logs.
func (in *Installer) MachineKey() (bundle.PublicKey, error) {
	dir, err := slot.Open(in.c.Root)
	if err != nil {
		return bundle.PublicKey{}, err
	}
	defer dir.Close()
	return dir.MachinePublicKey()
}

// LogExport writes the verified logs, or a part of them, as one file that can be checked elsewhere (audit.ReadExport). It
// needs the machine's key, changes nothing and is not logged.
func (in *Installer) LogExport(ctx context.Context, o audit.ExportOptions, to io.Writer) (*audit.Export, error) {
	v, err := in.look()
	if err != nil {
		return nil, err
	}
	defer v.close()
	if err := alive(ctx); err != nil {
		return nil, err
	}
	key, err := v.dir.MachineKey()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.LogBroken, "the machine's key is gone, so nothing can be sealed: %w", err)
	}
	if err != nil {
		return nil, err
	}
	o.At = in.c.Clock()
	return in.logs(key).Export(to, o)
}

// LogRotate lets logs go on in new files; without names, all of them. The chain runs through the old ones.
func (in *Installer) LogRotate(ctx context.Context, actor string, logs ...audit.Log) error {
	if len(logs) == 0 {
		logs = audit.All()
	}
	_, err := write(ctx, in, demands{what: "log_rotate", actor: actor}, func(w *work) (struct{}, error) {
		for _, log := range logs {
			if err := w.logs.Rotate(log, w.actor, string(stageOf(log))); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// maxNote limits a person's note in a log, bytes.
const maxNote = 4000

// LogAppend writes a person's note into the log of a stage, with the digests of the files it is about, by name.
func (in *Installer) LogAppend(ctx context.Context, stage slot.Stage, actor, text string, artefacts map[string]bundle.Digest) error {
	if text == "" || len(text) > maxNote {
		return fault.New(fault.Usage, "a note of %d bytes, want 1 to %d", len(text), maxNote)
	}
	if _, err := slot.ParseStage(string(stage)); err != nil {
		return err
	}
	digests := map[string]string{}
	for name, d := range artefacts {
		digests[name] = d.String()
	}
	_, err := write(ctx, in, demands{what: "note", actor: actor, stage: stage}, func(w *work) (struct{}, error) {
		return struct{}{}, w.note(audit.Log(stage.Log()), "note", "noted", digests, nil, map[string]any{"text": text})
	})
	return err
}

// VerifyInstalled checks a version folder by this root's trust: signature, and exactly its variant's files, each byte.
// The folder may lie in this root or elsewhere.
func (in *Installer) VerifyInstalled(ctx context.Context, dir string) (*Authentic, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.New(fault.IO, "finding %q: %w", dir, err)
	}
	parent, err := slot.Open(filepath.Dir(abs))
	if fault.CodeOf(err) == fault.BundleMissing {
		return nil, fault.New(fault.SourceMissing, "there is no folder %q", abs).With("path", abs)
	}
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	name := filepath.Base(abs)
	if !parent.Exists(name) {
		return nil, fault.New(fault.SourceMissing, "there is no folder %q", abs).With("path", abs)
	}
	store, err := in.roots()
	if err != nil {
		return nil, err
	}
	ledger := &slot.Ledger{}
	if v, err := in.look(); err == nil {
		ledger = v.ledger
		v.close()
	}
	folder := ""
	if rel, err := filepath.Rel(in.c.Root, abs); err == nil {
		folder = filepath.ToSlash(rel)
	}
	a, err := parent.Authentic(store, name, judgedBy(ledger, store, folder))
	if err != nil {
		return nil, err
	}
	i, err := parent.Installed(name)
	if err != nil {
		return nil, err
	}
	if err := parent.VerifyFolder(ctx, a, name, i.Variant, in.c.Progress); err != nil {
		return nil, err
	}
	return a, nil
}

// Uninstall removes programs, models and records. Keys, policy, audit, reports and the machine's key stay, so that
// what was decided here can still be proven; with purge everything below the root goes.
func (in *Installer) Uninstall(ctx context.Context, purge bool) error {
	if err := in.begun(); err != nil {
		return err
	}
	_, err := write(ctx, in, demands{what: "uninstall", urgent: true}, func(w *work) (struct{}, error) {
		if purge {
			return struct{}{}, w.purge()
		}
		return struct{}{}, w.uninstall()
	})
	if err == nil && purge { // the lock's own files are the last
		for _, name := range []string{slot.LockFile, slot.LockFile + ".holder"} {
			if rerr := os.Remove(in.abs(name)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				return fsx.Classify(rerr, "removing", name)
			}
		}
		_ = os.Remove(in.c.Root) // when it is empty
	}
	return err
}

// begun refuses a folder that is no installation: a root that was typed wrongly may have a bin of its own.
func (in *Installer) begun() error {
	dir, err := slot.Open(in.c.Root)
	if err != nil {
		return err
	}
	defer dir.Close()
	if !dir.Begun() {
		return fault.New(fault.BundleMissing, "there is no installation in %q", in.c.Root).With("root", in.c.Root)
	}
	return nil
}

func (w *work) uninstall() error {
	for _, stage := range []slot.Stage{slot.Live, slot.Paper, slot.Demo} { // the gate closes first
		if w.dir.Exists(stage.RecordFile()) {
			if err := w.dropRecord(stage); err != nil {
				return err
			}
		}
	}
	if err := w.dir.PointLatest(""); err != nil {
		return err
	}
	versions, err := w.dir.Versions()
	if err != nil {
		return err
	}
	for _, v := range versions {
		version := ""
		if v.Installed != nil {
			version = v.Installed.Version
		}
		if err := w.removeFolder(v.Folder, version); err != nil {
			return err
		}
	}
	if err := w.note(audit.Demo, "uninstall", "started", nil, nil, nil); err != nil {
		return err
	}
	if name := slot.BinDir + "/" + programName; w.dir.Exists(name) {
		c := change{log: audit.Demo, event: eventProgram, path: name, becomes: slot.Absent, then: "removed"}
		if err := w.perform(c, func() error { return fsx.RemoveAll(w.dir.Root(), name) }); err != nil {
			return err
		}
	}
	for _, name := range []string{slot.BundlesDir, slot.EnginesDir, slot.StagingDir, slot.LeasesDir} {
		if err := fsx.RemoveAll(w.dir.Root(), name); err != nil {
			return err
		}
	}
	_ = w.dir.Root().Remove(slot.BinDir) // when it is empty: the folder may hold programs of others
	return w.note(audit.Demo, "uninstall", audit.StatusDone, nil, nil, nil)
}

// purge removes only what this program makes: a root may lie in a folder with other things.
func (w *work) purge() error {
	// The machine's key goes last: by it a purge that was interrupted finds its installation again.
	for _, name := range []string{slot.ModelsDir, slot.BinDir + "/" + programName, slot.EnginesDir, slot.StagingDir, slot.ReportsDir, "audit",
		slot.LeasesDir, slot.MachineDir} {
		if err := fsx.RemoveAll(w.dir.Root(), name); err != nil {
			return err
		}
	}
	_ = w.dir.Root().Remove(slot.BinDir) // when it is empty
	return nil
}
