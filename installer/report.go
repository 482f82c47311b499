package installer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/evidence"
	"sluice/hwprobe"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// eventReport is the event of the files beside a signature that people read.
const eventReport = "report"

// signedStage is what people signed for one stage, in order, with the forms by their digest.
type signedStage struct {
	envelopes [][]byte
	decisions []*compliance.Decision
	forms     map[bundle.Digest][]byte
}

func decisionsOf(r *compliance.Record) []*compliance.Decision {
	var out []*compliance.Decision
	for i := range r.Decisions {
		out = append(out, r.Decisions[i].Decision)
	}
	return out
}

// report writes the readable record beside the envelope: as JSON, text and pages; then the evidence pack with all of it.
func (w *work) report(ctx context.Context, t *Tested, s signature, policy *compliance.Policy, name string, rec *compliance.Record, signed signedStage) error {
	g := w.ground()
	heads, err := w.heads()
	if err != nil {
		return err
	}
	machine := hwprobe.Probe(ctx, hwprobe.Options{})
	if rec.Facts, err = g.facts(t, machine, rec.Decisions[len(rec.Decisions)-1].SignedAt, heads); err != nil {
		return err
	}
	raw, err := rec.JSON()
	if err != nil {
		return err
	}
	pages, err := rec.PDF(compliance.Lang(s.lang))
	if err != nil {
		return err
	}
	for _, f := range []struct {
		suffix string
		data   []byte
	}{{recordSuffix, raw}, {textSuffix, []byte(rec.Text(compliance.Lang(s.lang)))}, {pageSuffix, pages}} {
		if err := w.keepShown(s.stage, name+f.suffix, f.data); err != nil {
			return err
		}
	}
	pack, err := w.pack(t, s.stage, policy, rec, machine, raw, pages, signed)
	if err != nil {
		return err
	}
	return w.keepShown(s.stage, name+evidence.Suffix, pack)
}

func (w *work) keepShown(stage slot.Stage, path string, data []byte) error {
	return w.writeFile(change{log: audit.Log(stage.Log()), event: eventReport, path: path, then: audit.StatusDone,
		artefacts: map[string]string{"report": slot.Sum(data).String()}}, data, fs.FileMode(0o444))
}

// pack puts the evidence pack of a sign-off together.
func (w *work) pack(t *Tested, stage slot.Stage, policy *compliance.Policy, rec *compliance.Record, machine *hwprobe.Machine, report, pages []byte, here signedStage) ([]byte, error) {
	store, err := w.dir.Roots()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{evidence.ManifestFile: t.auth.ManifestBytes(), evidence.SigFile: t.auth.SignatureBytes(), evidence.ReportFile: report,
		evidence.PDFFile: pages}
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		for i, raw := range store.Files(of) {
			files["roots/"+string(of)+"/"+strconv.Itoa(i+1)+".root.json"] = raw
		}
		if raw := store.RevocationsFile(of); raw != nil {
			files[evidence.RevocationsFile(of)] = raw
		}
	}
	for _, lang := range []compliance.Lang{compliance.English, compliance.Polish} {
		files[evidence.TextFile(lang)] = []byte(rec.Texts[lang])
	}
	if files[evidence.RecordFile], err = w.dir.Read(t.record.Stage.RecordFile(), slot.MaxRecord); err != nil {
		return nil, err
	}
	if files[evidence.HardwareFile], err = hardwareTable(machine); err != nil {
		return nil, err
	}
	if source := t.record.Proof.Report; source != nil {
		if files[evidence.SmokeFile], err = w.dir.Read(source.Path, slot.MaxReport); err != nil {
			return nil, err
		}
	}
	signed := map[slot.Stage]signedStage{stage: here}
	if stage == slot.Live {
		a, err := w.dir.Approvals(w.ledger, policy, slot.Paper, t.record, t.auth.ManifestBytes())
		if err != nil {
			return nil, err
		}
		below := signedStage{envelopes: a.Envelopes, forms: a.Want.Forms}
		for i := range a.Signed {
			below.decisions = append(below.decisions, a.Signed[i].Decision)
		}
		signed[slot.Paper] = below
	}
	for of, all := range signed {
		if err := w.packSigned(files, "signoffs/"+string(of)+"/", all); err != nil {
			return nil, err
		}
	}
	if files["policies/"+strconv.Itoa(policy.Number)+".json"], err = w.dir.Read(slot.PolicyFile, slot.MaxPolicy); err != nil {
		return nil, err
	}
	key, err := bundle.NewPublicKey(w.key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	files[evidence.MachineFile] = key.PEM()
	ix := evidence.Index{Schema: evidence.Schema, Made: w.in.c.Clock().UTC().Format("2006-01-02T15:04:05Z"), Stage: compliance.Stage(stage),
		ModelFamily: rec.ModelFamily, Version: rec.Version, Variant: rec.Variant, ManifestSHA384: rec.ManifestSHA384,
		JudgedBy: evidence.JudgedBy{Root: string(verify.Oem), Version: t.auth.RootVersion()}, Machine: rec.Machine, PolicyNumber: policy.Number,
		Installer: rec.Installer, Complete: rec.Complete, Refused: rec.Refused, Logs: map[audit.Log]evidence.LogExcerpt{}, Emergency: t.record.Emergency.Plain()}
	if t.record.Emergency != nil {
		ix.JudgedBy.Root = string(verify.Site)
	}
	if err := w.excerpts(&ix, files); err != nil {
		return nil, err
	}
	return evidence.Write(ix, files, w.key)
}

// packSigned adds envelopes, their forms and the policies that they were made under.
func (w *work) packSigned(files map[string][]byte, prefix string, all signedStage) error {
	for i, raw := range all.envelopes {
		stem := prefix + strconv.Itoa(i+1)
		files[stem+".dsse.json"] = raw
		d := all.decisions[i]
		files[stem+".form.json"] = all.forms[d.Form]
		policy, err := w.dir.Read(slot.PolicyPath(d.PolicyNumber), slot.MaxPolicy)
		if err != nil {
			return err
		}
		files["policies/"+strconv.Itoa(d.PolicyNumber)+".json"] = policy
	}
	return nil
}

// excerpts takes from each log what is about this manifest, or changed anything since, up to the head.
func (w *work) excerpts(ix *evidence.Index, files map[string][]byte) error {
	manifest := ix.ManifestSHA384.String()
	about := func(e audit.Entry) bool {
		text, _ := e.Detail[slot.InfoManifest].(string)
		return text == manifest || e.Artefacts["manifest.json"] == manifest
	}
	mark := func(e audit.Entry) bool { return e.Detail[slot.DetailOp] != nil }
	for _, log := range audit.All() {
		x, err := w.logs.Excerpt(log, func(e audit.Entry) bool { return mark(e) && about(e) }, mark, evidence.MaxLog)
		if err != nil {
			return err
		}
		if x.Head.Entries == 0 {
			continue
		}
		ix.Logs[log] = evidence.LogExcerpt{Entries: x.Head.Entries, SHA384: x.Head.SHA384, Ranges: x.Ranges}
		files["log/"+string(log)+".jsonl"] = x.Lines
	}
	return nil
}

// hardwareTable is what the probe found, but for drives: they come and go, and are none of a bot's business.
func hardwareTable(m *hwprobe.Machine) ([]byte, error) {
	table := *m
	table.Drives = []hwprobe.Drive{}
	raw, err := bundle.CanonicalJSON(table)
	if err != nil {
		return nil, fault.New(fault.Internal, "writing the hardware table: %w", err)
	}
	return append(raw, '\n'), nil
}

// facts is what the program found itself, for the report.
func (g ground) facts(t *Tested, machine *hwprobe.Machine, made string, heads map[string]slot.Head) (*compliance.Facts, error) {
	store, err := g.dir.Roots()
	if err != nil {
		return nil, err
	}
	m, r := t.auth.Manifest(), t.record
	f := &compliance.Facts{Made: made, Program: g.in.c.Version, Logs: heads, Hardware: hardwareFacts(machine), Engine: engineFacts(r.Engine),
		Limits: limitFacts(r.Proof), Cases: []compliance.CaseFacts{}, Quality: []compliance.QualityFacts{}, Files: []compliance.FileFacts{},
		Provenance: provenanceFacts(m.Provenance), Installed: g.installed(r),
		Bundle: compliance.BundleFacts{Created: m.Created, ManifestSHA256: bundle.NewSubject(slot.ManifestFile, t.auth.ManifestBytes()).SHA256,
			Signers: []compliance.SignerFacts{}}}
	if f.Bundle.JudgedBy, err = rootFacts(store, verify.Oem, t.auth.RootVersion()); err != nil {
		return nil, err
	}
	for _, d := range store.Describe() {
		if d.Of == verify.Site {
			f.SiteRoot, err = rootFacts(store, verify.Site, d.Version)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, s := range t.auth.Signers() {
		f.Bundle.Signers = append(f.Bundle.Signers, compliance.SignerFacts{KeyID: s.KeyID, Fingerprint: s.Fingerprint, Role: s.Role})
	}
	for _, c := range r.Proof.Cases {
		f.Cases = append(f.Cases, compliance.CaseFacts{Model: c.Model, Name: c.Name, WorstAbs: c.WorstAbs, WorstRel: c.WorstRel, LatencyMS: c.LatencyMS})
	}
	for _, q := range m.Quality {
		f.Quality = append(f.Quality, compliance.QualityFacts{ID: q.ID, Value: q.Value, Direction: q.Direction, Threshold: q.Threshold, Passed: q.Passed, Report: q.Report})
	}
	paths, err := m.VariantPaths(r.Variant)
	if err != nil {
		return nil, err
	}
	for _, p := range paths {
		if a := m.Artifact(p); a != nil {
			f.Files = append(f.Files, compliance.FileFacts{Path: a.Path, Size: a.Size, SHA384: a.SHA384})
		}
	}
	return f, nil
}

// installed says who installed the version, and when while the demo record names it.
func (g ground) installed(r *slot.Record) compliance.InstalledFacts {
	f := compliance.InstalledFacts{By: r.Installer}
	if demo, _, err := g.record(slot.Demo); err == nil && demo.Same(r) {
		f.At = demo.At
	}
	return f
}

func rootFacts(store *verify.Store, of verify.Root, version int) (compliance.RootFacts, error) {
	info, err := store.DescribeVersion(of, version)
	if err != nil {
		return compliance.RootFacts{}, err
	}
	return compliance.RootFacts{Of: string(of), Version: info.Version, Fingerprint: info.Fingerprint, First: info.First, Expires: info.Expires.UTC().Format(time.RFC3339)}, nil
}

// named leaves out what is empty.
func named(pairs ...string) []compliance.Named {
	out := []compliance.Named{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && pairs[i+1] != "0" {
			out = append(out, compliance.Named{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return out
}

func hardwareFacts(m *hwprobe.Machine) []compliance.Named {
	out := named("system", m.OS+"/"+m.Arch, "virtual", m.Virtual, "cpu", m.CPU.Model, "cpu_cores", strconv.Itoa(m.CPU.Cores),
		"cpu_threads", strconv.Itoa(m.CPU.Threads), "memory_mib", strconv.FormatInt(m.MemoryMiB.Total, 10))
	for _, g := range m.GPUs {
		memory := ""
		if g.MemoryMiB != nil {
			memory = ", " + strconv.FormatInt(*g.MemoryMiB, 10) + " MiB"
		}
		out = append(out, compliance.Named{Name: "gpu", Value: g.Vendor + " " + g.Product + " (" + g.VendorID + ":" + g.DeviceID + ")" + memory})
	}
	for _, a := range m.Accelerators {
		out = append(out, compliance.Named{Name: "accelerator", Value: a.Vendor + " " + a.Product + " (" + a.VendorID + ":" + a.DeviceID + ")"})
	}
	return out
}

func engineFacts(e slot.Engine) []compliance.Named {
	digest := func(d bundle.Digest) string {
		if d.IsZero() {
			return ""
		}
		return d.String()
	}
	return named("engine", e.Kind, "engine_version", e.Version, "provider", e.Provider, "threads", strconv.Itoa(e.Threads),
		"library_sha384", digest(e.LibrarySHA384), "program_sha384", digest(e.Program))
}

func limitFacts(p slot.Proof) []compliance.Named {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
	return named("median_ms", number(p.MedianMS), "p95_ms", number(p.P95MS), "limit_ms", number(p.LimitMS),
		"peak_mib", strconv.FormatInt(p.PeakMiB, 10), "limit_mib", strconv.FormatInt(p.LimitMiB, 10))
}

func provenanceFacts(p *bundle.Provenance) []compliance.Named {
	if p == nil {
		return []compliance.Named{}
	}
	data := ""
	if !p.DatasetSHA384.IsZero() {
		data = p.DatasetSHA384.String()
	}
	return named("training_run", p.TrainingRun, "dataset_sha384", data, "source_revision", p.SourceRevision, "builder", p.Builder)
}

// freeReport finds a free name under reports/: two signatures may fall into one second.
func (w *work) freeReport(name string) string {
	try := slot.ReportsDir + "/" + name
	for n := 2; w.dir.Exists(try+envelopeSuffix) || w.dir.Exists(try+slot.FormSuffix) || w.dir.Exists(try+recordSuffix) || w.dir.Exists(try+textSuffix); n++ {
		try = slot.ReportsDir + "/" + name + "-" + strconv.Itoa(n)
	}
	return try
}

// ReportOptions choose a report.
type ReportOptions struct {
	Stage   slot.Stage
	Version string // empty: the one that the stage runs or, before that, the tested one
	Lang    string // empty: Config.Lang
}

// StageReport is the sign-off record of one stage of one version.
type StageReport struct {
	Record   *compliance.Record
	Text     string // for people
	PDF      []byte // the same, as pages
	Path     string // absolute path of the latest record under reports/, JSON
	Pages    string // absolute path of its PDF as it was made at the sign-off
	Evidence string // absolute path of its evidence pack
}

// Report is the sign-off record of a stage, proven again while the version is installed; later it is the record that was kept,
// as the log knows it. Errors: E-NOT-SIGNED-OFF when nobody has signed, E-BUNDLE-MISSING, and what is wrong with the sign-offs.
func (in *Installer) Report(ctx context.Context, o ReportOptions) (*StageReport, error) {
	v, err := in.look()
	if err != nil {
		return nil, err
	}
	defer v.close()
	g := ground{in, v.dir, v.ledger}
	if o.Lang == "" {
		o.Lang = in.c.Lang
	}
	r, digest, err := g.reported(o)
	if err != nil {
		return nil, err
	}
	out := &StageReport{}
	var last string
	if r == nil {
		out.Record, last, err = g.kept(o)
	} else {
		out.Record, last, err = g.proven(ctx, o.Stage, r, digest)
	}
	if err != nil {
		return nil, err
	}
	lang := compliance.Lang(o.Lang)
	out.Text, out.Path, out.Pages, out.Evidence = out.Record.Text(lang), g.dir.Abs(last+recordSuffix), g.dir.Abs(last+pageSuffix), g.dir.Abs(last+evidence.Suffix)
	out.PDF, err = out.Record.PDF(lang)
	return out, err
}

// reported is the stage record that names the wanted version; nil when none does any more.
func (g ground) reported(o ReportOptions) (*slot.Record, bundle.Digest, error) {
	for _, stage := range []slot.Stage{o.Stage, slot.Paper, slot.Demo} {
		r, digest, err := g.record(stage)
		if err != nil {
			return nil, bundle.Digest{}, err
		}
		if r != nil && (o.Version == "" || r.Version == o.Version) {
			return r, digest, nil
		}
	}
	if o.Version == "" {
		return nil, bundle.Digest{}, fault.New(fault.BundleMissing, "no version is installed in %q", g.dir.Path()).With("root", g.dir.Path())
	}
	return nil, bundle.Digest{}, nil
}

func (g ground) proven(ctx context.Context, stage slot.Stage, r *slot.Record, digest bundle.Digest) (*compliance.Record, string, error) {
	t, err := g.tested(ctx, r, digest)
	if err != nil {
		return nil, "", err
	}
	policy, err := g.policy()
	if err != nil {
		return nil, "", err
	}
	a, err := g.dir.Approvals(g.ledger, policy, stage, r, t.auth.ManifestBytes())
	if fault.CodeOf(err) == fault.SignoffRefused { // the kept record shows the refusal
		return g.kept(ReportOptions{Stage: stage, Version: r.Version})
	}
	if err != nil {
		return nil, "", err
	}
	if len(a.Envelopes) == 0 {
		return nil, "", a.Closed(r.Version, compliance.Stage(stage))
	}
	// What the people saw, not what would be asked and found today.
	rec, err := compliance.NewRecord(a.Signed[len(a.Signed)-1].Form.Checklist(), policy, a.Envelopes, a.Want)
	if err != nil {
		return nil, "", err
	}
	last := strings.TrimSuffix(a.SignOffs[len(a.SignOffs)-1].Path, envelopeSuffix)
	then, err := g.readRecord(last + recordSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if then != nil {
		rec.Facts = then.Facts
	}
	return rec, last, nil
}

// kept is the latest record of a version's stage as it was written at the sign-off.
func (g ground) kept(o ReportOptions) (*compliance.Record, string, error) {
	done := g.ledger.Done(slot.EventSignOff)
	for _, m := range slices.Backward(done) {
		if m.Info[slot.InfoStage] == string(o.Stage) && m.Info[slot.InfoVersion] == o.Version {
			last := strings.TrimSuffix(m.Path, envelopeSuffix)
			rec, err := g.readRecord(last + recordSuffix)
			return rec, last, err
		}
	}
	return nil, "", (&compliance.Approval{MissingRoles: []string{}}).Closed(o.Version, compliance.Stage(o.Stage))
}

// readRecord reads a record that the log knows.
func (g ground) readRecord(name string) (*compliance.Record, error) {
	raw, err := g.dir.Read(name, compliance.MaxRecordSize)
	if err != nil {
		return nil, err
	}
	if err := g.ledger.Check(name, slot.Sum(raw).String()); err != nil {
		return nil, err
	}
	return compliance.ParseRecord(raw)
}
