package evidence

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/internal/fault"
	"sluice/verify"
)

func jsonValue(raw []byte) jsontext.Value { return jsontext.Value(raw) }

// jsonText refuses what is no JSON, has a name twice, or a number that is not written as RFC 8785 writes it.
func jsonText(raw []byte) error {
	var v jsontext.Value
	return bundle.StrictUnmarshal(raw, &v, MaxPack)
}

// Anchors are fingerprints of trust roots that the reader knows from elsewhere, of any version that the pack holds up to the one that
// judged. Spaces, dashes, colons and letter case do not matter.
type Anchors struct {
	Oem  string
	Site string
}

// Result is what a pack proves.
type Result struct {
	Index
	Oem     verify.RootInfo     `json:"oem_root"`  // the version that judged the manifest, or the newest where the site's did
	Site    verify.RootInfo     `json:"site_root"` // the newest
	Signers []verify.Signer     `json:"signers"`   // of the manifest
	People  []compliance.Signed `json:"people"`    // of this stage, in the order they signed
	Files   int                 `json:"files"`
	Report  *compliance.Record  `json:"-"`
}

// check is a pack being checked.
type check struct {
	*Pack
	key      bundle.PublicKey
	store    *verify.Store
	policies map[int]*compliance.Policy
	entries  map[audit.Log][]audit.Line
	digests  map[audit.Log]map[int]bundle.Digest
	out      *Result
}

// Check decides whether a pack holds, from its own bytes and the anchors alone: docs/evidence.md lists the steps.
// Errors: E-EVIDENCE with the detail what; E-TRUST-NONE without anchors, E-TRUST-FINGERPRINT for a root that is not the reader's.
func Check(raw []byte, known Anchors) (*Result, error) {
	p, err := Read(raw)
	if err != nil {
		return nil, err
	}
	c := &check{Pack: p, policies: map[int]*compliance.Policy{}, entries: map[audit.Log][]audit.Line{}, digests: map[audit.Log]map[int]bundle.Digest{},
		out: &Result{Index: p.Index, Files: len(p.names)}}
	for _, step := range []func() error{c.listed, c.machine, func() error { return c.roots(known) }, c.manifest, c.policy, c.logs, c.people, c.report} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c.out, nil
}

// machine: the index is signed with the key whose id the people's decisions name.
func (c *check) machine() error {
	key, err := bundle.ParsePublicKey(c.Files[MachineFile])
	if err != nil {
		return wrap(MachineFile, err)
	}
	if c.key = key; !bytes.Equal(key.PEM(), c.Files[MachineFile]) || key.ID() != c.Index.Machine.KeyID {
		return bad("%s is not the machine's key", MachineFile).With("what", MachineFile)
	}
	if _, _, err := c.envelope.Verify(bundle.TypeEvidence, []bundle.PublicKey{key}, 1); err != nil {
		return wrap(IndexFile, err)
	}
	return nil
}

// listed wants exactly the files that a pack has.
func (c *check) listed() error {
	want := map[string]bool{ManifestFile: true, SigFile: true, MachineFile: true, HardwareFile: true, RecordFile: true, ReportFile: true, PDFFile: true,
		TextFile(compliance.English): true, TextFile(compliance.Polish): true}
	for log := range c.Index.Logs {
		want[logFile(log)] = true
	}
	for _, n := range []string{SmokeFile, RevocationsFile(verify.Oem), RevocationsFile(verify.Site)} {
		want[n] = false // it may be there
	}
	for _, n := range c.names {
		numbered := false
		for _, prefix := range []string{"roots/oem/", "roots/site/", "policies/", "signoffs/paper/", "signoffs/live/"} {
			numbered = numbered || strings.HasPrefix(n, prefix)
		}
		if _, ok := want[n]; !ok && !numbered {
			return bad("a pack holds no file named %q", clip(n)).With("what", clip(n))
		}
		delete(want, n)
	}
	for n, must := range want {
		if must {
			return bad("the pack lacks %q", n).With("what", n)
		}
	}
	return nil
}

func logFile(log audit.Log) string { return "log/" + string(log) + ".jsonl" }

// numbered takes the files <prefix>1<suffix>, <prefix>2<suffix>, … without a gap.
func (c *check) numbered(prefix, suffix string) [][]byte {
	var out [][]byte
	for n := 1; n <= maxRoots; n++ {
		raw, ok := c.Files[prefix+strconv.Itoa(n)+suffix]
		if !ok {
			break
		}
		out = append(out, raw)
	}
	return out
}

// count is how many files have a prefix.
func (c *check) count(prefix string) int {
	n := 0
	for _, name := range c.names {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

func (c *check) roots(known Anchors) error {
	files := map[verify.Root][][]byte{}
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		prefix := "roots/" + string(of) + "/"
		files[of] = c.numbered(prefix, ".root.json")
		if len(files[of]) == 0 || len(files[of]) != c.count(prefix) {
			return bad("the pack does not hold the versions 1, 2, … of trust root %q", of).With("what", prefix)
		}
	}
	lists := map[verify.Root][]byte{verify.Oem: c.Files[RevocationsFile(verify.Oem)], verify.Site: c.Files[RevocationsFile(verify.Site)]}
	var err error
	if c.store, err = verify.StoreOf(files, lists); err != nil {
		return wrap("roots", err)
	}
	judged := map[verify.Root]int{verify.Oem: len(files[verify.Oem]), verify.Site: len(files[verify.Site])}
	by := verify.Root(c.Index.JudgedBy.Root)
	if by != verify.Oem && by != verify.Site || c.Index.JudgedBy.Version < 1 || c.Index.JudgedBy.Version > judged[by] {
		return bad("the manifest was judged by trust root %q version %d, which the pack does not hold", clip(string(by)), c.Index.JudgedBy.Version).With("what", "judged_by")
	}
	judged[by] = c.Index.JudgedBy.Version
	for of, fingerprint := range map[verify.Root]string{verify.Oem: known.Oem, verify.Site: known.Site} {
		if strings.TrimSpace(fingerprint) == "" {
			return fault.New(fault.TrustNone, "no fingerprint of trust root %q is given, so the pack proves nothing to you", of).With("root", string(of))
		}
		if v := c.store.Find(of, fingerprint); v == 0 || v > judged[of] {
			first, err := c.store.DescribeVersion(of, 1)
			if err != nil {
				return err
			}
			return fault.New(fault.TrustFingerprint, "no trust root %q up to version %d in the pack has the fingerprint %q", of, judged[of], clip(fingerprint)).
				With("want", clip(fingerprint)).With("got", first.Fingerprint)
		}
	}
	if c.out.Oem, err = c.store.DescribeVersion(verify.Oem, judged[verify.Oem]); err != nil {
		return err
	}
	c.out.Site, err = c.store.DescribeVersion(verify.Site, len(files[verify.Site]))
	return err
}

// manifest: signed with the threshold of the root that judged it.
func (c *check) manifest() error {
	judge := c.store.AuthenticateInstalled
	if c.Index.JudgedBy.Root == string(verify.Site) {
		judge = c.store.EmergencyInstalled
	}
	if (c.Index.Emergency != nil) != (c.Index.JudgedBy.Root == string(verify.Site)) {
		return bad("the index names an emergency and the vendor's trust root, or neither").With("what", "judged_by")
	}
	a, err := judge(c.Files[ManifestFile], c.Files[SigFile], c.Index.JudgedBy.Version, verify.History{})
	if err != nil {
		return wrap(ManifestFile, err)
	}
	if err := c.store.CheckRevoked(a); err != nil {
		return wrap(ManifestFile, err)
	}
	m := a.Manifest()
	if m.ModelFamily != c.Index.ModelFamily || m.Version != c.Index.Version || a.ManifestSHA384() != c.Index.ManifestSHA384 || m.Variant(c.Index.Variant) == nil {
		return bad("the manifest is not that of %q version %q variant %q", clip(c.Index.ModelFamily), clip(c.Index.Version), clip(c.Index.Variant)).With("what", ManifestFile)
	}
	c.out.Signers = a.Signers()
	return nil
}

// policy: each is signed by a root that was in force, which need not be the newest: rotation alone voids no policy. All of them may not
// outrank the newest.
func (c *check) policy() error {
	newest := 0
	for _, n := range c.names {
		stem, ok := strings.CutPrefix(n, "policies/")
		if !ok {
			continue
		}
		number, err := strconv.Atoi(strings.TrimSuffix(stem, ".json"))
		if err != nil || number < 1 || "policies/"+strconv.Itoa(number)+".json" != n {
			return bad("a pack holds no file named %q", clip(n)).With("what", clip(n))
		}
		newest = max(newest, number)
		if c.policies[number], err = c.onePolicy(n, number); err != nil {
			return err
		}
	}
	if newest == 0 || newest != c.Index.PolicyNumber {
		return bad("the newest policy in the pack has number %d, the index names %d", newest, c.Index.PolicyNumber).With("what", "policies")
	}
	return nil
}

func (c *check) onePolicy(name string, number int) (*compliance.Policy, error) {
	var first error
	for v := c.out.Site.Version; v >= 1; v-- {
		st, _, err := c.store.EnvelopeBy(verify.Site, v, verify.RoleTargets, c.Files[name], bundle.TypePolicy, compliance.MaxPolicySize*2)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		p, err := compliance.PolicyOf(st)
		if err != nil {
			return nil, wrap(name, err)
		}
		if p.Number != number {
			return nil, bad("%s holds policy number %d", name, p.Number).With("what", name)
		}
		return p, nil
	}
	return nil, wrap(name, first)
}

func (c *check) logs() error {
	for log, x := range c.Index.Logs {
		e := &audit.Excerpt{Ranges: x.Ranges, Head: audit.Head{Entries: x.Entries, SHA384: x.SHA384}, Lines: c.Files[logFile(log)]}
		var err error
		if c.entries[log], c.digests[log], err = e.Verify(log, c.key.Bytes()); err != nil {
			return wrap(logFile(log), err)
		}
	}
	return nil
}

// logged says under which policy number a log took in an envelope.
func (c *check) logged(stage compliance.Stage, envelope bundle.Digest) (int, bool) {
	log := audit.Paper
	if stage == compliance.Live {
		log = audit.Live
	}
	opened := map[string]int{}
	for _, l := range c.entries[log] {
		e := l.Entry
		op, _ := e.Detail["op"].(string)
		if e.Event != "signoff" || op == "" {
			continue
		}
		if becomes, _ := e.Detail["becomes"].(string); becomes == envelope.String() {
			text, _ := e.Detail["policy_number"].(string)
			if n, err := strconv.Atoi(text); err == nil {
				opened[op] = n
			}
		}
		if result, _ := e.Detail["result"].(string); result == "new" && opened[op] > 0 {
			return opened[op], true
		}
	}
	return 0, false
}

// stage checks the sign-offs of one stage and gives them in order.
func (c *check) stage(stage compliance.Stage) ([][]byte, compliance.Want, error) {
	prefix := "signoffs/" + string(stage) + "/"
	envelopes := c.numbered(prefix, ".dsse.json")
	forms := c.numbered(prefix, ".form.json")
	want := compliance.Want{Stage: stage, Manifest: c.Files[ManifestFile], Version: c.Index.Version, Variant: c.Index.Variant, Machine: c.Index.Machine,
		Installer: c.Index.Installer, Emergency: c.Index.Emergency, Forms: map[bundle.Digest][]byte{},
		Logged:   func(d bundle.Digest) (int, bool) { return c.logged(stage, d) },
		PolicyAt: func(n int) (*compliance.Policy, error) { return c.policies[n], nil },
		Revoked:  func(k bundle.PublicKey) error { return c.store.RevokedKey(verify.Site, k) }}
	for _, raw := range forms {
		want.Forms[sha512.Sum384(raw)] = raw
	}
	if len(envelopes) != len(forms) || len(envelopes)+len(forms) != c.count(prefix) {
		return nil, want, bad("the sign-offs of stage %q are not numbered 1, 2, …", stage).With("what", prefix)
	}
	for i, raw := range envelopes {
		if _, ok := c.logged(stage, sha512.Sum384(raw)); !ok {
			return nil, want, bad("the log did not take in sign-off %d of stage %q", i+1, stage).With("what", prefix+strconv.Itoa(i+1))
		}
	}
	return envelopes, want, nil
}

// people: the decisions of this stage hold, and those of the stages below it are complete.
func (c *check) people() error {
	newest := c.policies[c.Index.PolicyNumber]
	if c.Index.Stage != compliance.Paper && c.Index.Stage != compliance.Live {
		return bad("the pack is about stage %q, want paper or live", clip(string(c.Index.Stage))).With("what", "stage")
	}
	if c.Index.Stage == compliance.Live {
		envelopes, want, err := c.stage(compliance.Paper)
		if err != nil {
			return err
		}
		a, err := compliance.CheckApprovals(newest, envelopes, want)
		if err != nil {
			return wrap("signoffs/paper", err)
		}
		if !a.Complete {
			return bad("stage paper was not complete").With("what", "signoffs/paper")
		}
		if err := c.decisions(a.Signed); err != nil {
			return err
		}
	} else if c.count("signoffs/live/") > 0 {
		return bad("a pack about stage paper holds no sign-off of live").With("what", "signoffs/live")
	}
	return nil
}

// decisions compares each with what else the pack holds.
func (c *check) decisions(signed []compliance.Signed) error {
	for i, s := range signed {
		d := s.Decision
		where := "signoffs/" + string(d.Stage) + "/" + strconv.Itoa(i+1)
		if sha512.Sum384(c.Files[where+".form.json"]) != d.Form {
			return bad("%s.form.json is not the one that %s signed", where, s.Person).With("what", where)
		}
		for name, h := range d.LogHeads {
			x, known := c.Index.Logs[audit.Log(name)]
			if have, ok := c.digests[audit.Log(name)][h.Entries]; !known || h.Entries > x.Entries || ok && have != h.SHA384 {
				return bad("the log %q is not the one that %s knew when signing", clip(name), s.Person).With("what", where)
			}
		}
	}
	return nil
}

// report: what people read is what the signed envelopes say, byte for byte.
func (c *check) report() error {
	rec, err := compliance.ParseRecord(c.Files[ReportFile])
	if err != nil {
		return wrap(ReportFile, err)
	}
	envelopes, want, err := c.stage(c.Index.Stage)
	if err != nil {
		return err
	}
	if len(envelopes) == 0 {
		return bad("nobody signed").With("what", "signoffs")
	}
	last, err := compliance.ParseForm(c.Files["signoffs/"+string(c.Index.Stage)+"/"+strconv.Itoa(len(envelopes))+".form.json"])
	if err != nil {
		return wrap("signoffs/"+string(c.Index.Stage), err)
	}
	again, err := compliance.NewRecord(last.Checklist(), c.policies[c.Index.PolicyNumber], envelopes, want)
	if err != nil {
		return wrap("signoffs/"+string(c.Index.Stage), err)
	}
	again.Facts = rec.Facts
	var signed []compliance.Signed
	for i := range again.Decisions {
		s := again.Decisions[i].Signed
		s.Decision = again.Decisions[i].Decision
		if !again.Decisions[i].SameText {
			return bad("%s signed another wording of the checklist", s.Person).With("what", ReportFile)
		}
		signed = append(signed, s)
	}
	if err := c.decisions(signed); err != nil {
		return err
	}
	raw, err := again.JSON()
	if err != nil {
		return err
	}
	switch {
	case !bytes.Equal(raw, c.Files[ReportFile]):
		return bad("%s is not what the signed envelopes say", ReportFile).With("what", ReportFile)
	case again.Complete != c.Index.Complete || again.Refused != c.Index.Refused || again.ModelFamily != c.Index.ModelFamily:
		return bad("the index says complete %t, refused %t; the signed envelopes say otherwise", c.Index.Complete, c.Index.Refused).With("what", IndexFile)
	case !bytes.HasPrefix(c.Files[PDFFile], []byte("%PDF-")):
		return bad("%s is no PDF", PDFFile).With("what", PDFFile)
	}
	for _, lang := range []compliance.Lang{compliance.English, compliance.Polish} {
		if !slices.Equal(c.Files[TextFile(lang)], []byte(again.Texts[lang])) {
			return bad("%s is not the text that was signed", TextFile(lang)).With("what", TextFile(lang))
		}
	}
	c.out.People, c.out.Report = signed, again
	return c.tables()
}

// tables are the machine's word: hardware and stage record are JSON, and the record is about these bytes.
func (c *check) tables() error {
	if jsonText(c.Files[HardwareFile]) != nil {
		return bad("%s is no JSON", HardwareFile).With("what", HardwareFile)
	}
	var r struct {
		Manifest bundle.Digest `json:"manifest_sha384"`
		Variant  string        `json:"variant"`
		Proof    struct {
			Cases  []any `json:"cases"`
			Report *struct {
				SHA384 bundle.Digest `json:"sha384"`
			} `json:"report"`
		} `json:"proof"`
	}
	if err := jsonText(c.Files[RecordFile]); err != nil {
		return wrap(RecordFile, err)
	}
	if err := json.Unmarshal(c.Files[RecordFile], &r); err != nil || r.Manifest != c.Index.ManifestSHA384 || r.Variant != c.Index.Variant || len(r.Proof.Cases) == 0 {
		return bad("%s is no stage record of this manifest with its proof", RecordFile).With("what", RecordFile)
	}
	if smoke, there := c.Files[SmokeFile]; there != (r.Proof.Report != nil) || there && r.Proof.Report.SHA384 != sha512.Sum384(smoke) {
		return bad("%s is not the smoke report that the record names", SmokeFile).With("what", SmokeFile)
	}
	return nil
}
