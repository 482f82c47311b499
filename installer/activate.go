package installer

import (
	"context"
	"io/fs"
	"slices"
	"strconv"

	"sluice/audit"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/progress"
)

// Activate gives the staged files their name by one rename, read-only. Nothing else changes: no record names the new
// folder yet.
func (in *Installer) Activate(ctx context.Context, s *Staged) (*Candidate, error) {
	if !s.valid() || !s.token.of(in) {
		return nil, noToken("activate", "stage")
	}
	return write(ctx, in, demands{what: "activate"}, func(w *work) (*Candidate, error) { return w.activate(ctx, s) })
}

func (w *work) activate(ctx context.Context, s *Staged) (*Candidate, error) {
	if !s.valid() || !s.token.of(w.in) {
		return nil, noToken("activate", "stage")
	}
	if err := alive(ctx); err != nil {
		return nil, err
	}
	w.about(s.fit.auth)
	c := &Candidate{token: token{w.in}, fit: s.fit, folder: s.folder, fresh: !w.everPassed(s.fit)}
	if !s.reused {
		if !w.dir.Exists(s.partial) {
			return nil, fault.New(fault.VersionUnknown, "the staged files %q are gone: this token was used before", s.partial)
		}
		if s.repairs && w.dir.Exists(s.folder) {
			if err := w.makeRoom(s); err != nil {
				return nil, err
			}
		}
		if err := w.rename(s); err != nil {
			return nil, err
		}
	}
	if err := w.remember(); err != nil {
		return nil, err
	}
	if p := w.in.c.Progress; p != nil {
		p(progress.Event{Step: progress.Activate, Variant: s.fit.Variant(), Done: 1, Total: 1, Final: true})
	}
	return c, nil
}

func (w *work) rename(s *Staged) error {
	m := s.fit.auth.Manifest()
	if err := w.readOnly(s.partial); err != nil {
		return err
	}
	info := map[string]string{slot.InfoFamily: m.ModelFamily, slot.InfoVersion: m.Version, slot.InfoVariant: s.fit.Variant(),
		slot.InfoManifest: s.fit.auth.ManifestSHA384().String(), slot.InfoCreated: m.Created,
		slot.InfoTrustRoot: strconv.Itoa(s.fit.auth.RootVersion())}
	if s.fit.auth.Emergency() {
		e := &slot.Emergency{Reason: s.fit.reason, By: w.actor, At: w.in.now()}
		if err := e.Check(); err != nil { // nothing is installed by emergency without one
			return fault.New(fault.Usage, "installing by emergency: %w", err)
		}
		slot.EmergencyInfo(info, e)
	}
	return w.perform(change{
		log: audit.Demo, event: slot.EventActivate, path: s.folder, becomes: s.fit.auth.ManifestSHA384().String(), then: "activated",
		artefacts: w.artefacts(s.fit.auth), info: info,
	}, func() error { return fsx.RenameDir(w.dir.Root(), s.partial, s.folder) })
}

// makeRoom moves a damaged folder of the same version and variant out of the way: the verified copy takes its place.
// The gate was closed on it, so nothing that works is ever missing.
func (w *work) makeRoom(s *Staged) error {
	op, err := newOp()
	if err != nil {
		return err
	}
	aside := slot.StagingDir + "/" + op + removedSuffix
	have, err := w.dir.Have(s.folder)
	if err != nil {
		return err
	}
	c := change{log: audit.Demo, event: "repair", path: s.folder, becomes: slot.Absent, then: "repaired",
		artefacts: map[string]string{"damaged.manifest.json": have}, info: map[string]string{slot.InfoVariant: s.fit.Variant()}}
	if err := w.perform(c, func() error { return fsx.RenameDir(w.dir.Root(), s.folder, aside) }); err != nil {
		return err
	}
	return fsx.RemoveAll(w.dir.Root(), aside)
}

// readOnly takes the write permission from every file of a staged folder. Folders keep theirs, or they could not be
// removed by their owner.
func (w *work) readOnly(folder string) error {
	err := fs.WalkDir(w.dir.Root().FS(), folder, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return w.dir.Root().Chmod(p, 0o444)
	})
	return fsx.Classify(err, "making read-only", folder)
}

// withdraw takes a candidate back whose smoke test failed: its verified files wait in the staging folder for a later
// try, and no version folder tells of it.
func (w *work) withdraw(c *Candidate) error {
	if !c.fresh || w.named(c.folder) {
		return nil
	}
	partial := slot.StagingDir + "/" + stagingID(c.fit.auth.ManifestSHA384(), c.Variant()) + partialSuffix
	return w.perform(change{log: audit.Demo, event: "withdraw", path: c.folder, becomes: slot.Absent, then: "withdrawn",
		artefacts: w.artefacts(c.fit.auth), info: map[string]string{slot.InfoVariant: c.Variant()}}, func() error {
		if err := fsx.RemoveAll(w.dir.Root(), partial); err != nil {
			return err
		}
		return fsx.RenameDir(w.dir.Root(), c.folder, partial)
	})
}

// everPassed says whether this version and variant passed a smoke test here before: then it was installed on purpose
// and stays, whatever a later smoke test says.
func (w *work) everPassed(f *Fitted) bool {
	return slices.ContainsFunc(w.ledger.Done(slot.EventRecord), func(m slot.Mark) bool {
		return m.Info[slot.InfoManifest] == f.auth.ManifestSHA384().String() && m.Info[slot.InfoVariant] == f.Variant()
	})
}

// named says whether a record, or the way back of one, names a folder. A record that cannot be read counts as naming it.
func (w *work) named(folder string) bool {
	for _, stage := range slot.Stages() {
		r, _, err := w.dir.Record(stage)
		if err != nil || r != nil && (r.Folder == folder || r.Previous != nil && r.Previous.Folder == folder) {
			return true
		}
	}
	return false
}
