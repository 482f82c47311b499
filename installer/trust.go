package installer

import (
	"context"
	"strconv"
	"time"

	"sluice/audit"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// LookTrust says what the folders of a medium would change in what is trusted here, in order, and what would be trusted then. It
// writes nothing. Errors: those of verify.Store.Look and Advance.
func (in *Installer) LookTrust(dirs []string) (*verify.Store, []verify.Step, error) {
	store, err := in.roots()
	if err != nil {
		return nil, nil, err
	}
	return advance(store, dirs)
}

func advance(store *verify.Store, dirs []string) (*verify.Store, []verify.Step, error) {
	offers, err := store.Look(dirs)
	if err != nil {
		return nil, nil, err
	}
	return store.Advance(offers)
}

// TakeTrust takes over next trust roots and newer revocation lists from the folders of a medium, one number at a time, each
// with intent and outcome in the log. by is who put the medium in. Install and Authenticate do it themselves before they judge a
// bundle. Errors: E-TRUST-STEP, E-TRUST-INVALID, E-REVOCATIONS, E-REVOKED, E-SIGNATURE-*; what came before the fault stays taken.
func (in *Installer) TakeTrust(ctx context.Context, dirs []string, by string) ([]verify.Step, error) {
	return write(ctx, in, demands{what: slot.EventTrustUpdate, actor: by}, func(w *work) ([]verify.Step, error) { return w.takeTrust(ctx, dirs) })
}

// takeTrustUnlocked takes the lock only when there is something to take.
func (in *Installer) takeTrustUnlocked(ctx context.Context, dirs []string) error {
	_, steps, err := in.LookTrust(dirs)
	if err != nil || len(steps) == 0 {
		return err
	}
	_, err = in.TakeTrust(ctx, dirs, "")
	return err
}

func (w *work) takeTrust(ctx context.Context, dirs []string) ([]verify.Step, error) {
	store, err := w.dir.Roots()
	if err != nil {
		return nil, err
	}
	if err := w.dir.CheckTrust(w.ledger, store); err != nil {
		return nil, err
	}
	_, steps, err := advance(store, dirs)
	if err != nil {
		return nil, err
	}
	for i, step := range steps {
		if err := alive(ctx); err != nil {
			return steps[:i], err
		}
		if err := w.keepTrust(store, step); err != nil {
			return steps[:i], err
		}
	}
	return steps, nil
}

func (w *work) keepTrust(store *verify.Store, step verify.Step) error {
	sum := slot.Sum(step.Bytes()).String()
	c := change{log: audit.Demo, event: slot.EventTrustUpdate, path: slot.KeysDir + "/" + step.Kept, becomes: sum, then: audit.StatusDone,
		artefacts: map[string]string{step.Kind: sum},
		info: map[string]string{"of": string(step.Of), "kind": step.Kind, "number": strconv.Itoa(step.Number), "fingerprint": step.Fingerprint,
			"source": step.Path, slot.InfoTrustRoot: strconv.Itoa(step.Root)}}
	if !step.Issued.IsZero() {
		c.info[slot.InfoCreated] = step.Issued.UTC().Format(time.RFC3339)
	}
	return w.perform(c, func() error { return store.Keep(step) })
}

// settleTrust publishes the vendor's keys of the newest root again where a power cut came between the two.
func (w *work) settleTrust() {
	store, err := w.dir.Roots()
	if err == nil && w.dir.CheckTrust(w.ledger, store) == nil { // whoever needs the roots says what is wrong with them
		_ = store.Publish()
	}
}

// Knowledge is how old what this machine knows is, and until when its trust roots hold. It judges nothing.
type Knowledge struct {
	Evidence    time.Time `json:"evidence,omitzero"`       // it is not earlier than this
	Source      string    `json:"source,omitempty"`        // "manifest", "revocations" or "build"
	Number      string    `json:"number,omitempty"`        // version of that bundle, or number of that list
	AgeDays     int       `json:"age_days"`                // by the local clock
	ClockBehind bool      `json:"clock_behind"`            // the clock is earlier than the evidence: it is certainly wrong
	LimitDays   int       `json:"limit_days,omitempty"`    // the site's
	TooOld      bool      `json:"too_old"`                 // beyond the limit
	Expired     []string  `json:"expired"`                 // trust roots that signed evidence proves to have expired
	CloseOnThat bool      `json:"close_on_expiry"`         // the gate is closed then
	Untrusted   string    `json:"trust_problem,omitempty"` // code of why roots, logs or policy could not be read; then the above is incomplete
}

// Knowledge reads the root; it takes no lock and writes nothing.
func (in *Installer) Knowledge() Knowledge {
	k := in.knowledge(slot.Evidence{At: in.c.Built, Source: slot.EvidenceBuild}, nil)
	_, root, err := readQuietly(in, func(g ground) (struct{}, error) {
		var err error
		k, err = g.knowledge()
		return struct{}{}, err
	})
	if root && err != nil {
		k.Untrusted = string(fault.CodeOf(err))
	}
	return k
}

func (g ground) knowledge() (Knowledge, error) {
	e := g.ledger.Evidence(g.in.c.Built)
	store, err := g.dir.Roots()
	if err != nil {
		return g.in.knowledge(e, nil), err
	}
	policy, err := g.dir.Policy(store, g.ledger)
	k := g.in.knowledge(e, store)
	if err != nil {
		return k, err
	}
	if policy != nil {
		k.LimitDays, k.CloseOnThat = policy.MaxAgeDays, policy.CloseOnExpiry
		k.TooOld = k.LimitDays > 0 && k.AgeDays > k.LimitDays
	}
	return k, nil
}

func (in *Installer) knowledge(e slot.Evidence, store *verify.Store) Knowledge {
	k := Knowledge{Evidence: e.At, Source: e.Source, Number: e.Number, Expired: []string{}}
	if e.At.IsZero() {
		k.Source = ""
	}
	k.AgeDays, k.ClockBehind = verify.AgeDays(e.At, in.c.Clock())
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		if store.Has(of) && store.CheckExpired(of, e.At) != nil {
			k.Expired = append(k.Expired, string(of))
		}
	}
	return k
}

// mayDecide refuses (E-TRUST-EXPIRED, E-KNOWLEDGE-OLD) new decisions of people on expired roots, or on what is older than the site allows.
func (g ground) mayDecide() error {
	store, err := g.dir.Roots()
	if err != nil {
		return err
	}
	h, err := history(g.in, g.dir, g.ledger)
	if err != nil {
		return err
	}
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		if err := store.CheckExpired(of, h.Evidence); err != nil {
			return err
		}
	}
	return h.CheckAge()
}
