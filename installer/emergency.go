package installer

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// checkReason: an emergency has a reason of one line, nothing else has one.
func checkReason(emergency bool, reason string) error {
	switch {
	case emergency && strings.TrimSpace(reason) == "":
		return fault.New(fault.Usage, "an installation by emergency without a reason")
	case !emergency && reason != "":
		return fault.New(fault.Usage, "a reason without an emergency")
	case !emergency:
		return nil
	}
	if err := checkWords("reason", reason); err != nil {
		return err
	}
	if err := (&slot.Emergency{Reason: reason, By: "somebody", At: "2000-01-01T00:00:00Z"}).Check(); err != nil {
		return fault.New(fault.Usage, "%w", err)
	}
	return nil
}

// AuthenticateEmergency is Authenticate for a bundle that only the site's role targets signed. What follows from it is marked
// everywhere and stops at paper. FitOptions take the reason. Errors: those of verify.Store.AuthenticateEmergency.
func (in *Installer) AuthenticateEmergency(ctx context.Context, src *Source) (*Authentic, error) {
	if src == nil || src.ManifestBytes() == nil {
		return nil, noToken("authenticate", "open")
	}
	return write(ctx, in, demands{what: "authenticate_emergency"}, func(w *work) (*Authentic, error) {
		w.facts["source"] = src.Path()
		h, err := history(w.in, w.dir, w.ledger)
		if err != nil {
			return nil, err
		}
		return w.authenticateEmergency(ctx, src, h)
	})
}

func (w *work) authenticateEmergency(ctx context.Context, src *Source, h verify.History) (*Authentic, error) {
	w.emergency = true
	store, err := w.in.roots()
	if err != nil {
		return nil, err
	}
	a, err := store.AuthenticateEmergency(ctx, src, h)
	if err != nil {
		return nil, err
	}
	// The same manifest with the vendor's signature may lie here already: the site's must not take its place.
	versions, err := w.dir.Versions()
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.Installed != nil && v.Installed.ManifestSHA384 == a.ManifestSHA384() && w.emergencyOf(v.Folder) == nil {
			return nil, fault.New(fault.EmergencyNeedless, "version %q is installed with the vendor's signature already", v.Installed.Version).
				With("version", v.Installed.Version)
		}
	}
	return a, nil
}

// emergencyOf is how a version folder came here; nil when the vendor signed it.
func (w *work) emergencyOf(folder string) *slot.Emergency {
	var e *slot.Emergency
	for _, m := range w.ledger.Done(slot.EventActivate) {
		if m.Path == folder {
			e = slot.EmergencyOf(m)
		}
	}
	return e
}

// moment is what this machine says about the present.
func (in *Installer) moment() compliance.Moment {
	m := compliance.Moment{Wall: in.c.Clock()}
	m.Boot, m.Up = in.c.Uptime()
	return m
}

// notReviewer refuses the signature of the person who reviewed the emergency that brought the version.
func (w *work) notReviewer(t *Tested, person *compliance.Person) error {
	if o := w.ledger.Emergency(t.record); o != nil && o.Person == person.ID {
		return fault.New(fault.ReviewSelf, "%q reviewed this emergency and cannot sign for its version too", person.ID).With("person", person.ID)
	}
	return nil
}

// liveStart says under which mark a version may go live now: nil for one that the vendor signed. It refuses while a
// review is owed (E-EMERGENCY-REVIEW), but for the one start that the policy's hours allow an emergency itself.
func (w *work) liveStart(policy *compliance.Policy, t *Tested) (*slot.Emergency, error) {
	r := t.record
	own := w.ledger.Emergency(r)
	for _, o := range w.ledger.Emergencies() {
		if o.Review == "" && (own == nil || o.Manifest != own.Manifest || !o.Emergency.Same(own.Emergency)) {
			return nil, slot.ReviewIsOwed(o.Version)
		}
	}
	if r.Emergency == nil {
		return nil, nil
	}
	settled, err := w.dir.EmergencySettled(w.ledger, policy, r, t.auth.ManifestBytes())
	if err != nil || settled {
		return r.Emergency.Plain(), err
	}
	if own == nil || own.Enabled > 0 {
		return nil, slot.ReviewIsOwed(r.Version)
	}
	h, err := history(w.in, w.dir, w.ledger)
	if err != nil {
		return nil, err
	}
	e := r.Emergency.Plain()
	e.Window, err = policy.NewWindow(w.in.moment(), h.Evidence)
	return e, err
}

// ReviewOptions are one person's review of an emergency.
type ReviewOptions struct {
	Version  string             // empty: the only one that is owed
	Operator string             // id or name of the person in the site's policy: not who installed, signed for or switched on the version
	Key      ed25519.PrivateKey // the person's
	Comment  string             // what was looked at and found; needed
	Refuse   bool               // the version must not trade any more
}

// ReviewResult is a review that was taken in.
type ReviewResult struct {
	Version  string `json:"version"`
	Person   string `json:"person"`
	Accepted bool   `json:"accepted"`
	Envelope string `json:"envelope"` // absolute path of what the person signed
}

// Review settles what an emergency owes: another person looked at it. An accepted version may stay live without limit, where the
// policy lets emergencies go live at all; a refused one is closed by the gate at its next check.
// Errors: E-REVIEW-NONE, E-REVIEW-SELF, E-POLICY-NONE, E-POLICY-REFUSES, E-KEY-UNFIT, E-USAGE.
func (in *Installer) Review(ctx context.Context, o ReviewOptions) (*ReviewResult, error) {
	if strings.TrimSpace(o.Comment) == "" {
		return nil, fault.New(fault.Usage, "a review without a comment: what was looked at and found")
	}
	if err := checkWords("comment", o.Comment); err != nil {
		return nil, err
	}
	return write(ctx, in, demands{what: "review", actor: o.Operator, stage: slot.Live}, func(w *work) (*ReviewResult, error) {
		return w.review(ctx, o)
	})
}

func (w *work) review(ctx context.Context, o ReviewOptions) (*ReviewResult, error) {
	owed, err := w.owed(o.Version)
	if err != nil {
		return nil, err
	}
	w.emergency = true
	w.facts["version"], w.facts["manifest_sha384"] = owed.Version, owed.Manifest
	policy, err := w.policy()
	if err != nil {
		return nil, err
	}
	person, err := findPerson(policy, o.Operator)
	if err != nil {
		return nil, err
	}
	manifest, m, err := w.emergencyManifest(owed)
	if err != nil {
		return nil, err
	}
	machine, err := w.dir.Machine(ctx)
	if err != nil {
		return nil, err
	}
	heads, err := w.heads()
	if err != nil {
		return nil, err
	}
	r := &compliance.Review{Schema: compliance.ReviewSchema, ModelFamily: m.ModelFamily, Version: owed.Version,
		ManifestSHA384: slot.Sum(manifest), Machine: machine, Emergency: *owed.Emergency, Person: person.ID, Accepted: !o.Refuse,
		Comment: o.Comment, PolicyNumber: policy.Number, LogHeads: heads, SignedAt: w.in.now()}
	envelope, err := compliance.SignReview(r, policy, w.dir.ReviewWant(w.ledger, owed, machine, manifest), o.Key)
	if err != nil {
		return nil, err
	}
	name := w.reportPath("review", owed.Version, envelopeSuffix)
	info := map[string]string{slot.InfoPerson: person.ID, slot.InfoVersion: owed.Version, slot.InfoManifest: owed.Manifest,
		slot.InfoPolicy: strconv.Itoa(policy.Number), slot.InfoAccepted: map[bool]string{true: "yes", false: "no"}[r.Accepted], "comment": o.Comment}
	slot.EmergencyInfo(info, owed.Emergency)
	then := "reviewed"
	if o.Refuse {
		then = "review_refused"
	}
	c := change{log: audit.Live, event: slot.EventReview, path: name, then: then, info: info,
		artefacts: map[string]string{"manifest.json": owed.Manifest, "review": slot.Sum(envelope).String()}}
	if err := w.writeFile(c, envelope, 0o444); err != nil {
		return nil, err
	}
	return &ReviewResult{Version: owed.Version, Person: person.ID, Accepted: r.Accepted, Envelope: w.dir.Abs(name)}, nil
}

// owed finds the emergency to review.
func (w *work) owed(version string) (*slot.Owed, error) {
	var found []slot.Owed
	for _, o := range w.ledger.Emergencies() {
		if o.Review == "" && (version == "" || o.Version == version) {
			found = append(found, o)
		}
	}
	switch {
	case len(found) == 0 && version != "":
		return nil, fault.New(fault.ReviewNone, "no review of version %q is owed", version).With("version", version)
	case len(found) == 0:
		return nil, fault.New(fault.ReviewNone, "no review is owed")
	case version == "" && slices.ContainsFunc(found, func(o slot.Owed) bool { return o.Version != found[0].Version }):
		return nil, fault.New(fault.Usage, "reviews of several versions are owed, the first is %q: want the version to be named", found[0].Version)
	}
	return &found[0], nil
}

// manifestKept is where the manifest of an emergency stays when its version is removed: the review is owed all the same.
func manifestKept(version, digest string) string {
	return slot.ReportsDir + "/emergency-" + version + "-" + digest[:16] + ".manifest.json"
}

// keepManifest copies the manifest of a version that was installed by emergency to the reports.
func (w *work) keepManifest(a *Authentic) error {
	digest := a.ManifestSHA384().String()
	name := manifestKept(a.Manifest().Version, digest)
	if have, err := w.dir.Have(name); err != nil || have == digest {
		return err
	}
	return w.writeFile(change{log: audit.Demo, event: "emergency_manifest", path: name, then: audit.StatusDone,
		artefacts: w.artefacts(a)}, a.ManifestBytes(), 0o444)
}

// emergencyManifest is the manifest that a review is about: the one that the log names by its digest.
func (w *work) emergencyManifest(o *slot.Owed) ([]byte, *bundle.Manifest, error) {
	name := manifestKept(o.Version, o.Manifest)
	raw, err := w.dir.Read(name, slot.MaxManifest)
	if err != nil || slot.Sum(raw).String() != o.Manifest {
		return nil, nil, fault.New(fault.RecordEdited, "manifest %q of the emergency is not the one that the log names", name).With("path", w.dir.Abs(name))
	}
	m, err := bundle.ParseManifest(raw)
	return raw, m, err
}

// EmergencyView is an emergency as status, records and answers show it.
type EmergencyView struct {
	Version     string   `json:"version"`
	Reason      string   `json:"reason"`
	By          string   `json:"by"`
	At          string   `json:"at"`
	Review      string   `json:"review"` // "owed", "accepted" or "refused", as the log says
	Reviewer    string   `json:"reviewer,omitempty"`
	People      []string `json:"people"`                 // while it is owed: ids of those who may sign it
	LiveHours   int      `json:"live_hours"`             // what the policy allows; 0: it stops at paper
	LiveUsed    bool     `json:"live_used"`              // it was live once: again only after the review
	SecondsLeft int64    `json:"seconds_left,omitempty"` // of its time of live
}

// emergencies are shown as long as a record names their version or their review is owed.
func (g ground) emergencies(policy *compliance.Policy, records map[slot.Stage]*slot.Record) []EmergencyView {
	out := []EmergencyView{}
	for _, o := range g.ledger.Emergencies() {
		named := false
		for _, r := range records {
			named = named || r.ManifestSHA384.String() == o.Manifest && r.Emergency.Same(o.Emergency)
		}
		if o.Review != "" && !named {
			continue
		}
		v := EmergencyView{Version: o.Version, Reason: o.Emergency.Reason, By: o.Emergency.By, At: o.Emergency.At, Review: "owed",
			Reviewer: o.Person, People: []string{}, LiveUsed: o.Enabled > 0}
		switch {
		case o.Review != "" && o.Accepted:
			v.Review = "accepted"
		case o.Review != "":
			v.Review = "refused"
		}
		if policy != nil {
			v.LiveHours = policy.EmergencyLiveHours
			want := g.dir.ReviewWant(g.ledger, &o, slot.Machine{}, nil)
			for i := range policy.People {
				if p := &policy.People[i]; o.Review == "" && policy.Active(p) && !want.Bars(p) {
					v.People = append(v.People, p.ID)
				}
			}
		}
		if live := records[slot.Live]; live != nil && live.Enabled && live.Emergency.Same(o.Emergency) && live.Emergency.Window != nil && o.Review == "" {
			if left, err := live.Emergency.Window.Left(policy, g.in.moment(), time.Time{}); err == nil {
				v.SecondsLeft = int64(left / time.Second)
			}
		}
		out = append(out, v)
	}
	return out
}

// version is the emergency of one record among what is shown.
func emergencyView(all []EmergencyView, r *slot.Record) *EmergencyView {
	if r == nil || r.Emergency == nil {
		return nil
	}
	for i := range all {
		if v := &all[i]; v.Version == r.Version && v.Reason == r.Emergency.Reason && v.By == r.Emergency.By && v.At == r.Emergency.At {
			return v
		}
	}
	return nil
}
