package installer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/verify"
)

// statusRequested is the status of a request in the log.
const statusRequested = "requested"

// RequestOptions say whose signature is asked for.
type RequestOptions struct {
	Stage  slot.Stage // paper or live
	Person string     // id or name in the site's policy; empty: anybody who may sign
}

// RequestResult is a request for a sign-off.
type RequestResult struct {
	File   []byte            // what travels to the person
	SHA384 bundle.Digest     // of File
	Path   string            // absolute path of the copy that is kept here
	Voided []VoidedSignature // signatures that do not count any more: the answer sets them aside
}

// SignOffRequest puts everything into one file that a person on another machine needs to decide about a stage: the signed
// manifest, the public roots, the policy, what is asked, the evidence, and what others have signed. A copy is kept, and
// Attach takes only answers to requests that were made here.
// Errors: E-POLICY-NONE, E-POLICY-REFUSES, E-STAGE-ORDER, E-SIGNOFF-REFUSED.
func (in *Installer) SignOffRequest(ctx context.Context, t *Tested, o RequestOptions) (*RequestResult, error) {
	if !t.valid() || !t.token.of(in) {
		return nil, noToken("request", "smoke")
	}
	if o.Stage != slot.Paper && o.Stage != slot.Live {
		return nil, fault.New(fault.Usage, "stage %q has no sign-off, want paper or live", o.Stage).With("stage", string(o.Stage))
	}
	return write(ctx, in, demands{what: slot.EventRequest, stage: o.Stage}, func(w *work) (*RequestResult, error) { return w.request(ctx, t, o) })
}

func (w *work) request(ctx context.Context, t *Tested, o RequestOptions) (*RequestResult, error) {
	g := w.ground()
	t, err := g.again(ctx, t)
	if err != nil {
		return nil, err
	}
	w.about(t.auth)
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	if policy == nil {
		return nil, fault.New(fault.PolicyNone, "the site has no policy that says who may sign")
	}
	if err := w.below(ctx, policy, t, o.Stage); err != nil {
		return nil, err
	}
	var person *compliance.Person
	if o.Person != "" {
		if person, err = findPerson(policy, o.Person); err != nil {
			return nil, err
		}
	}
	before, old, err := w.round(ctx, policy, t, o.Stage, person, false)
	if err != nil {
		return nil, err
	}
	if person != nil {
		if !policy.Active(person) {
			return nil, fault.New(fault.PolicyRefuses, "%q has retired", person.ID).With("person", person.ID)
		}
		if err := w.maySign(person, t, o.Stage, false, before); err != nil {
			return nil, err
		}
		o.Person = person.ID
	}
	r, err := w.makeRequest(ctx, t, o, policy, before)
	if err != nil {
		return nil, err
	}
	raw, err := compliance.SignRequest(r, w.key)
	if err != nil {
		return nil, err
	}
	name := w.reportPath("wniosek-"+string(o.Stage), t.record.Version, ".json")
	info := map[string]string{slot.InfoStage: string(o.Stage), slot.InfoVersion: t.record.Version, slot.InfoVariant: t.record.Variant,
		slot.InfoManifest: t.record.ManifestSHA384.String(), slot.InfoPolicy: strconv.Itoa(policy.Number)}
	if o.Person != "" {
		info[slot.InfoPerson] = o.Person
	}
	c := change{log: audit.Log(o.Stage.Log()), event: slot.EventRequest, path: name, then: statusRequested, info: info,
		artefacts: map[string]string{"manifest.json": t.record.ManifestSHA384.String(), "request": slot.Sum(raw).String()}}
	if err := w.writeFile(c, raw, 0o444); err != nil {
		return nil, err
	}
	return &RequestResult{File: raw, SHA384: slot.Sum(raw), Path: w.dir.Abs(name), Voided: w.voided(old)}, nil
}

func (w *work) makeRequest(ctx context.Context, t *Tested, o RequestOptions, policy *compliance.Policy, before *slot.Approvals) (*compliance.Request, error) {
	g := w.ground()
	heads, err := w.heads()
	if err != nil {
		return nil, err
	}
	list, err := g.checklist(ctx, t, o.Stage, policy, heads)
	if err != nil {
		return nil, err
	}
	ref, err := policyRef(policy)
	if err != nil {
		return nil, err
	}
	key, err := w.dir.MachinePublicKey()
	if err != nil {
		return nil, err
	}
	r := &compliance.Request{Schema: compliance.RequestSchema, Stage: compliance.Stage(o.Stage), ModelFamily: t.record.ModelFamily,
		Version: t.record.Version, Variant: t.record.Variant, ManifestSHA384: t.record.ManifestSHA384, Machine: t.record.Machine,
		MachineKey: string(key.PEM()), TrustRoot: t.record.TrustRoot, SiteRoot: w.ledger.PolicyRoot(), Emergency: t.record.Emergency.Plain(), Installer: t.record.Installer, Person: o.Person,
		PolicyNumber: ref.Number, PolicySHA384: ref.SHA384, Items: list.Items, Evidence: list.Evidence, LogHeads: heads, At: w.in.now(),
		Files: map[string][]byte{compliance.FileManifest: t.auth.ManifestBytes()}, Below: []compliance.SignedFile{}, Before: signedFiles(before)}
	if o.Stage == slot.Live {
		paper, err := w.dir.Approvals(w.ledger, policy, slot.Paper, t.record, t.auth.ManifestBytes())
		if err != nil {
			return nil, err
		}
		r.Below = signedFiles(paper)
	}
	return r, w.requestFiles(r, t, policy)
}

func signedFiles(a *slot.Approvals) []compliance.SignedFile {
	out := []compliance.SignedFile{}
	for i, s := range a.Signed {
		n, _ := a.Want.Logged(s.Envelope)
		out = append(out, compliance.SignedFile{Envelope: a.Envelopes[i], Form: a.Want.Forms[s.Decision.Form], PolicyNumber: n})
	}
	return out
}

// requestFiles adds what proves the bundle and the policy: signature, roots, the policies of earlier signatures, the record.
func (w *work) requestFiles(r *compliance.Request, t *Tested, policy *compliance.Policy) error {
	record := slot.Demo
	if r.Stage == compliance.Live {
		record = slot.Paper
	}
	names := map[string]string{compliance.FileSignature: t.record.Folder + "/" + slot.SigFile, compliance.FilePolicy: slot.PolicyFile, compliance.FileRecord: record.RecordFile()}
	store, err := w.dir.Roots()
	if err != nil {
		return err
	}
	for _, kept := range store.Kept() {
		names[compliance.FileKeys+kept] = slot.KeysDir + "/" + kept
	}
	for _, list := range [][]compliance.SignedFile{r.Below, r.Before} {
		for _, s := range list {
			form, err := compliance.ParseForm(s.Form)
			if err != nil {
				return err
			}
			if form.PolicyNumber != policy.Number {
				names[compliance.FilePolicies+strconv.Itoa(form.PolicyNumber)+".json"] = slot.PolicyPath(form.PolicyNumber)
			}
		}
	}
	for name, from := range names {
		raw, err := w.dir.Read(from, slot.MaxManifest)
		if err != nil {
			return err
		}
		r.Files[name] = raw
	}
	return nil
}

// TrustOptions are what a person knows about vendor and site on the machine where they sign: a folder of trust roots, or
// fingerprints of the first ones, as they stand on the delivery notes. Both roots must be known one way or the other.
type TrustOptions struct {
	Dir          string
	Fingerprints []string
}

// OpenedRequest is a request whose every part was checked; OpenRequest makes one.
type OpenedRequest struct {
	request *compliance.Request
	digest  bundle.Digest
	policy  *compliance.Policy
	signed  []compliance.Signed
	stage   *compliance.Approval // of the stage that is asked for
	want    compliance.Want
}

// OpenRequest checks a request on any machine, without an installation: it is whole and signed by the machine it names;
// its trust roots are the ones that the person knows; manifest, policy and earlier sign-offs hold by them; what is asked is
// what vendor, site and this program ask, and the figures are the manifest's. Measured figures and the machine's logs
// are that machine's word.
// Errors: E-REQUEST, E-REQUEST-TRUST, E-TRUST-FINGERPRINT, E-SIGNATURE-*, E-POLICY-*, E-SIGNOFF-*.
func OpenRequest(raw []byte, o TrustOptions) (*OpenedRequest, error) {
	r, err := compliance.ParseRequest(raw)
	if err != nil {
		return nil, err
	}
	store, err := requestRoots(r, o)
	if err != nil {
		return nil, err
	}
	a, err := requestJudge(r, store)(r.Files[compliance.FileManifest], r.Files[compliance.FileSignature], r.TrustRoot, verify.History{})
	if err != nil {
		return nil, err
	}
	if err := store.CheckRevoked(a); err != nil {
		return nil, err
	}
	m := a.Manifest()
	if m.Version != r.Version || m.ModelFamily != r.ModelFamily || m.Variant(r.Variant) == nil {
		return nil, fault.New(fault.Request, "the request names version %q, variant %q; the manifest has version %q", r.Version, r.Variant, m.Version)
	}
	policy, err := slot.ParsePolicyBy(store, r.Files[compliance.FilePolicy], r.SiteRoot)
	if err != nil {
		return nil, err
	}
	if digest, err := policy.SHA384(); err != nil || digest != r.PolicySHA384 || policy.Number != r.PolicyNumber {
		return nil, fault.New(fault.Request, "the request names another policy than it carries")
	}
	out := &OpenedRequest{request: r, digest: slot.Sum(raw), policy: policy}
	if err := out.checkAsked(m); err != nil {
		return nil, err
	}
	return out, out.checkSigned(store)
}

// requestJudge is whose signature the request's manifest must have.
func requestJudge(r *compliance.Request, store *verify.Store) func(manifest, sig []byte, root int, h verify.History) (*verify.Authentic, error) {
	if r.Emergency != nil {
		return store.EmergencyInstalled
	}
	return store.AuthenticateInstalled
}

// requestRoots opens the trust roots that a request carries, as far as the person knows them.
func requestRoots(r *compliance.Request, o TrustOptions) (*verify.Store, error) {
	dir, err := os.MkdirTemp("", "sluice-request-")
	if err != nil {
		return nil, fault.New(fault.IO, "making a folder for the request's roots: %w", err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fsx.Classify(err, "opening", dir)
	}
	defer root.Close()
	for name, raw := range r.Files {
		rel, ok := strings.CutPrefix(name, compliance.FileKeys)
		if !ok {
			continue
		}
		if bundle.ValidPath(rel) != nil || len(raw) > slot.MaxPolicy {
			return nil, fault.New(fault.Request, "the request carries a trust root %q", name)
		}
		if err := fsx.MkdirAll(root, path.Dir(rel), 0o700); err != nil {
			return nil, err
		}
		if err := fsx.WriteFile(root, rel, raw, 0o600); err != nil {
			return nil, err
		}
	}
	store, err := verify.OpenStore(dir)
	if err != nil {
		return nil, err
	}
	var known *verify.Store
	if o.Dir != "" {
		if _, err := os.Stat(o.Dir); err != nil {
			return nil, fault.New(fault.SourceMissing, "opening %q: %w", o.Dir, err).With("path", o.Dir)
		}
		if known, err = verify.OpenStore(o.Dir); err != nil {
			return nil, err
		}
		a, sig := r.Files[compliance.FileManifest], r.Files[compliance.FileSignature]
		of := verify.Oem
		if r.Emergency != nil {
			of = verify.Site
		}
		if i := slices.IndexFunc(known.Describe(), func(i verify.RootInfo) bool { return i.Of == of && i.Version >= r.TrustRoot }); i >= 0 {
			a, err := requestJudge(r, known)(a, sig, r.TrustRoot, verify.History{})
			if err == nil { // what they know may be newer
				err = known.CheckRevoked(a)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		if err := checkKnown(of, store, known, o, r); err != nil {
			return nil, err
		}
	}
	return store, nil
}

// checkKnown wants a carried root to be one that the person knows.
func checkKnown(of verify.Root, carried, known *verify.Store, o TrustOptions, r *compliance.Request) error {
	if !carried.Has(of) {
		return fault.New(fault.Request, "the request carries no trust root %q", of)
	}
	var have string
	for _, i := range carried.Describe() {
		if i.Of == of {
			have = i.First
		}
	}
	if known.Has(of) {
		return checkChain(of, o.Dir, r)
	}
	strange := slices.Clone(o.Fingerprints) // that are of no carried root
	for _, i := range carried.Describe() {
		strange = slices.DeleteFunc(strange, func(f string) bool { return verify.SameFingerprint(f, i.First) })
	}
	if slices.ContainsFunc(o.Fingerprints, func(f string) bool { return verify.SameFingerprint(f, have) }) {
		return nil
	}
	if len(strange) == 0 {
		return fault.New(fault.RequestTrust, "nothing is given to compare the trust root %q with: want its fingerprint or a folder of trust roots", of).
			With("root", string(of)).With("fingerprint", have)
	}
	return fault.New(fault.TrustFingerprint, "the request's trust root %q has fingerprint %q, which is none of the given ones", of, have).
		With("root", string(of)).With("got", have).With("want", strings.Join(o.Fingerprints, ", "))
}

// checkChain wants the roots of the request to be those of a folder, as far as both go.
func checkChain(of verify.Root, dir string, r *compliance.Request) error {
	for n := 1; ; n++ {
		name := string(of) + "/" + strconv.Itoa(n) + ".root.json"
		carried, ok := r.Files[compliance.FileKeys+name]
		own, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case !ok, errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fault.New(fault.IO, "reading %q: %w", name, err).With("path", filepath.Join(dir, name))
		case !bytes.Equal(own, carried):
			return fault.New(fault.TrustFingerprint, "the request's trust root %q differs from the one in %q", name, dir).
				With("root", string(of)).With("got", verify.Fingerprint(carried)).With("want", verify.Fingerprint(own))
		}
	}
}

// checkAsked compares the request's checklist with what vendor, site and this program ask, and its evidence with the
// manifest and the record.
func (q *OpenedRequest) checkAsked(m *bundle.Manifest) error {
	r := q.request
	changed := func(c []compliance.Change) error {
		codes := compliance.ChangeCodes(c)
		return fault.New(fault.Request, "what the request asks is not what vendor, site and this program ask: %q (was it made by another version of the program?)", codes).With("changed", codes)
	}
	evidence := compliance.Evidence{}
	for name, f := range r.Evidence {
		evidence[name] = f
	}
	delete(evidence, compliance.EvidenceQuality) // the manifest's own
	now, err := compliance.BuildChecklist(compliance.ChecklistOptions{Stage: r.Stage, Manifest: m, ManifestSHA384: r.ManifestSHA384, Policy: q.policy, Evidence: evidence})
	if err != nil {
		return err
	}
	record := slot.Demo
	if r.Stage == compliance.Live {
		record = slot.Paper
	}
	rec, err := slot.ParseRecord(record, r.Files[compliance.FileRecord])
	if err != nil {
		return fault.New(fault.Request, "the request's record: %w", err)
	}
	if rec.ManifestSHA384 != r.ManifestSHA384 || rec.Variant != r.Variant || rec.Machine != r.Machine || rec.Installer != r.Installer || !rec.Emergency.Same(r.Emergency) {
		return fault.New(fault.Request, "the request's record is that of something else")
	}
	for name, f := range rec.ProofFacts() {
		now.Evidence[name] = f
	}
	if f := r.Evidence[compliance.EvidenceManifest]; f.Values["manifest_sha384"] != r.ManifestSHA384.String() {
		return fault.New(fault.Request, "the request's evidence names another manifest")
	}
	form := &compliance.Form{Stage: r.Stage, Version: r.Version, ManifestSHA384: r.ManifestSHA384, Items: r.Items, Evidence: r.Evidence}
	if c := form.Changes(now); len(c) > 0 {
		return changed(c)
	}
	return nil
}

// checkSigned judges what others signed before.
func (q *OpenedRequest) checkSigned(store *verify.Store) error {
	r := q.request
	at := func(number int) (*compliance.Policy, error) {
		raw, ok := r.Files[compliance.FilePolicies+strconv.Itoa(number)+".json"]
		if !ok {
			return nil, nil
		}
		env, err := bundle.ParseEnvelope(raw)
		if err != nil {
			return nil, fault.New(fault.Request, "policy number %d: %w", number, err)
		}
		s, err := env.Unverified() // the digest that people signed says that it is the one
		if err != nil {
			return nil, fault.New(fault.Request, "policy number %d: %w", number, err)
		}
		return compliance.PolicyOf(s)
	}
	for _, list := range []struct {
		stage compliance.Stage
		files []compliance.SignedFile
	}{{compliance.Paper, r.Below}, {r.Stage, r.Before}} {
		want := r.Want(list.stage, at)
		want.Revoked = func(k bundle.PublicKey) error { return store.RevokedKey(verify.Site, k) }
		var envelopes [][]byte
		for _, s := range list.files {
			envelopes = append(envelopes, s.Envelope)
		}
		a, err := compliance.CheckApprovals(q.policy, envelopes, want)
		if err != nil {
			return err
		}
		if r.Stage == compliance.Live && list.stage == compliance.Paper && !a.Complete {
			return fault.New(fault.StageOrder, "stage live comes after paper, and the request shows no complete paper stage")
		}
		q.signed, q.stage, q.want = append(q.signed, a.Signed...), a, want
	}
	return nil
}

// Request is what was asked; do not change it.
func (q *OpenedRequest) Request() *compliance.Request { return q.request }

// SHA384 is the digest of the request's file.
func (q *OpenedRequest) SHA384() bundle.Digest { return q.digest }

// Checklist is what is asked, with the evidence.
func (q *OpenedRequest) Checklist() *compliance.Checklist { return q.request.Checklist() }

// Policy is the site's.
func (q *OpenedRequest) Policy() *compliance.Policy { return q.policy }

// Signed are the earlier sign-offs, of the stage below too.
func (q *OpenedRequest) Signed() []compliance.Signed { return q.signed }

// Approval is what the stage that is asked for has, and lacks.
func (q *OpenedRequest) Approval() *compliance.Approval { return q.stage }

// RequestSignOptions are a person's decision about a request.
type RequestSignOptions struct {
	Key     ed25519.PrivateKey
	Person  string // id of whoever decides; empty: whose key it is
	Role    string // which of the person's roles; empty: the only one that the stage asks for
	Meaning compliance.Meaning
	Answers *compliance.Answers
	Refuse  bool
	Reason  string // needed with Refuse
	Lang    string // in which the checklist was shown
	Now     time.Time
}

// Person is whose key this is, by the request's policy. Errors: E-KEY-UNFIT; E-REQUEST-OTHER when somebody else is asked.
func (q *OpenedRequest) Person(key bundle.PublicKey) (*compliance.Person, error) {
	p := q.policy.ByKey(key)
	if p == nil {
		return nil, fault.New(fault.KeyUnfit, "key %s is nobody's in the site's policy", key.Fingerprint()).With("key_id", key.ID())
	}
	if want := q.request.Person; want != "" && want != p.ID {
		return nil, fault.New(fault.RequestOther, "the request asks %q, the key is %q's", want, p.ID).With("field", "person").With("person", p.ID)
	}
	return p, nil
}

// Sign makes the file that goes back to the machine. Errors: those of Person, E-POLICY-REFUSES, E-ANSWERS.
func (q *OpenedRequest) Sign(o RequestSignOptions) ([]byte, error) {
	if q == nil || q.request == nil {
		return nil, noToken("signing", "opening the request")
	}
	if len(o.Key) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.KeyUnfit, "no key to sign with")
	}
	pub, err := bundle.NewPublicKey(o.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	person, err := q.Person(pub)
	if err != nil {
		return nil, err
	}
	if o.Person != "" && o.Person != person.ID {
		return nil, fault.New(fault.KeyUnfit, "the key is %q's, want one of %q", person.ID, o.Person).With("key_id", pub.ID())
	}
	r := q.request
	if o.Refuse && o.Reason == "" {
		return nil, fault.New(fault.Usage, "a refusal without a reason")
	}
	do := compliance.DecisionOptions{Checklist: q.Checklist(), Variant: r.Variant, Machine: r.Machine, Policy: q.policy, Person: person.ID, Role: o.Role,
		Meaning: o.Meaning, Answers: o.Answers, Refuse: o.Refuse, Reason: o.Reason, Language: compliance.Lang(o.Lang), LogHeads: r.LogHeads,
		Request: q.digest, SignedAt: o.Now.UTC().Format(time.RFC3339), Emergency: r.Emergency}
	var before [][]byte
	for _, s := range r.Before {
		before = append(before, s.Envelope)
	}
	if len(before) > 0 {
		do.Previous = before[len(before)-1]
	}
	d, form, err := compliance.NewDecision(do)
	if err != nil {
		return nil, err
	}
	envelope, err := compliance.SignDecision(d, r.Files[compliance.FileManifest], q.policy, o.Key)
	if err != nil {
		return nil, err
	}
	q.want.Forms[d.Form] = form
	if _, err := compliance.CheckApprovals(q.policy, append(before, envelope), q.want); err != nil && fault.CodeOf(err) != fault.SignoffRefused {
		return nil, err
	}
	return (&compliance.SignedRequest{Schema: compliance.SignedRequestSchema, Request: q.digest, Form: form, Envelope: envelope}).Encode()
}

// Attach takes in what a person signed elsewhere. It needs no key: the signature is judged like one that was made here,
// and everything must still be as the request said.
// Errors: E-REQUEST, E-REQUEST-OTHER (not asked for here, another bundle or stage), E-MACHINE-OTHER, E-REQUEST-STALE (with
// "changed"), and those of SignOff.
func (in *Installer) Attach(ctx context.Context, raw []byte) (*SignOffResult, error) {
	d := demands{what: "signoff_attach"}
	if _, decision, err := compliance.ParseSignedRequest(raw); err == nil {
		d.stage = slot.Stage(decision.Stage)
	}
	return write(ctx, in, d, func(w *work) (*SignOffResult, error) { return w.attach(ctx, raw) })
}

func requestStale(changed ...compliance.Change) error {
	codes := compliance.ChangeCodes(changed)
	return fault.New(fault.RequestStale, "since the request was made, changed: %q", codes).With("changed", codes)
}

func (w *work) attach(ctx context.Context, raw []byte) (*SignOffResult, error) {
	reply, d, err := compliance.ParseSignedRequest(raw)
	if err != nil {
		return nil, err
	}
	g := w.ground()
	r, err := w.asked(ctx, reply, d)
	if err != nil {
		return nil, err
	}
	stage := slot.Stage(r.Stage)
	t, err := g.reopen(ctx, r.Version)
	switch code := fault.CodeOf(err); {
	case code == fault.VersionUnknown, code == fault.StageOrder, code == fault.BundleMissing, err == nil && (t.record.ManifestSHA384 != r.ManifestSHA384 || t.record.Variant != r.Variant):
		return nil, requestStale(compliance.Change{Kind: compliance.ChangedVersion, How: "changed"})
	case err != nil:
		return nil, err
	}
	w.about(t.auth)
	policy, err := g.policy()
	if err != nil {
		return nil, err
	}
	person, err := findPerson(policy, d.Person)
	if err != nil {
		return nil, err
	}
	if err := w.below(ctx, policy, t, stage); err != nil {
		return nil, err
	}
	before, old, err := w.round(ctx, policy, t, stage, person, d.Refused)
	if err != nil {
		return nil, err
	}
	if err := w.maySign(person, t, stage, d.Refused, before); err != nil {
		return nil, err
	}
	if err := w.unchanged(ctx, t, r, d, reply, policy, before); err != nil {
		return nil, err
	}
	return w.take(ctx, t, policy, before, old, signature{stage: stage, decision: d, form: reply.Form, envelope: reply.Envelope, lang: string(d.Language)})
}

// asked finds the request that was made here and that a decision answers.
func (w *work) asked(ctx context.Context, reply *compliance.SignedRequest, d *compliance.Decision) (*compliance.Request, error) {
	machine, err := w.dir.Machine(ctx)
	if err != nil {
		return nil, err
	}
	if d.Machine != machine {
		return nil, fault.New(fault.MachineOther, "the decision is for machine %q, this is %q", d.Machine.KeyID, machine.KeyID).With("field", "machine")
	}
	var mark slot.Mark
	for _, m := range w.ledger.Done(slot.EventRequest) {
		if m.Becomes == reply.Request.String() {
			mark = m
		}
	}
	if mark.Path == "" {
		return nil, fault.New(fault.RequestOther, "no request with digest %s was made here", reply.Request).With("field", "request")
	}
	raw, err := w.dir.Read(mark.Path, compliance.MaxRequestSize)
	if err != nil || slot.Sum(raw) != reply.Request {
		return nil, fault.New(fault.RecordEdited, "request %q is not the one that was made here", mark.Path).With("path", mark.Path)
	}
	r, err := compliance.ParseRequest(raw)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, got, want string }{
		{"stage", string(d.Stage), string(r.Stage)}, {"manifest_sha384", d.ManifestSHA384.String(), r.ManifestSHA384.String()},
		{"version", d.Version, r.Version}, {"variant", d.Variant, r.Variant},
	} {
		if f.got != f.want {
			return nil, fault.New(fault.RequestOther, "the decision is for %s %q, the request for %q", f.name, f.got, f.want).With("field", f.name)
		}
	}
	if r.Person != "" && r.Person != d.Person {
		return nil, fault.New(fault.RequestOther, "the request asks %q, %q decided", r.Person, d.Person).With("field", "person").With("person", d.Person)
	}
	return r, nil
}

// unchanged refuses (E-REQUEST-STALE) an answer after something changed since the request.
func (w *work) unchanged(ctx context.Context, t *Tested, r *compliance.Request, d *compliance.Decision, reply *compliance.SignedRequest, policy *compliance.Policy, before *slot.Approvals) error {
	ref, err := policyRef(policy)
	if err != nil {
		return err
	}
	var changed []compliance.Change
	if ref.SHA384 != r.PolicySHA384 || ref.Number != r.PolicyNumber || d.PolicySHA384 != ref.SHA384 {
		changed = append(changed, compliance.Change{Kind: compliance.ChangedPolicy, How: "changed"})
	}
	last := bundle.Digest{}
	if n := len(before.Envelopes); n > 0 {
		last = slot.Sum(before.Envelopes[n-1])
	}
	if d.Previous != last {
		changed = append(changed, compliance.Change{Kind: compliance.ChangedSignatures, How: "changed"})
	}
	form, err := compliance.ParseForm(reply.Form)
	if err != nil {
		return err
	}
	now, err := w.ground().checklist(ctx, t, slot.Stage(r.Stage), policy, nil)
	if err != nil {
		return err
	}
	asked := &compliance.Form{Stage: r.Stage, Version: r.Version, ManifestSHA384: r.ManifestSHA384, Items: r.Items, Evidence: r.Evidence}
	if c := form.Changes(asked.Checklist()); len(c) > 0 {
		return fault.New(fault.Request, "the form is not what the request asked: %q", compliance.ChangeCodes(c)).With("changed", compliance.ChangeCodes(c))
	}
	changed = append(changed, form.Changes(now)...)
	for _, log := range audit.All() {
		h, ok := d.LogHeads[string(log)]
		if !ok {
			continue
		}
		if _, err := w.logs.Verify(log, audit.VerifyOptions{Heads: []audit.Head{audit.Head(h)}}); err != nil {
			changed = append(changed, compliance.Change{Kind: compliance.ChangedLog, ID: string(log), How: "changed"})
		}
	}
	if len(changed) > 0 {
		return requestStale(changed...)
	}
	return nil
}
