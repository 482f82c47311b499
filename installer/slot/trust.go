package slot

import (
	"slices"
	"strconv"
	"time"

	"sluice/compliance"
	"sluice/internal/fault"
	"sluice/verify"
)

// Events of what is trusted.
const (
	EventTrustInit   = "trust_init"   // a first root, placed by a person
	EventTrustUpdate = "trust_update" // a next root or a revocation list, taken over from a medium
	EventPolicySet   = "policy_set"
)

// InfoTrustRoot is the number of the root that judged what a mark is about.
const InfoTrustRoot = "trust_root"

// CheckTrust compares the trust roots and revocation lists with what the logs last made them: none edited, put there or
// taken away, so that no number ever goes down. E-RECORD-EDITED names the file.
func (d *Dir) CheckTrust(l *Ledger, store *verify.Store) error {
	names := l.Below(KeysDir + "/")
	for _, name := range store.Kept() {
		if name = KeysDir + "/" + name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		have, err := d.Have(name)
		if err != nil {
			return err
		}
		if err := l.Check(name, have); err != nil {
			return err
		}
	}
	return d.CheckVendorKey(store)
}

// Where evidence of time comes from.
const (
	EvidenceBuild       = "build"
	EvidenceManifest    = "manifest"
	EvidenceRevocations = "revocations"
)

// Evidence is the newest signed statement about time that an installation has: it is not earlier than At.
type Evidence struct {
	At     time.Time // zero: none
	Source string    // one of the constants above
	Number string    // version of the bundle, or number of the list
}

// Evidence finds the newest of created of accepted manifests, dates of accepted revocation lists, and the program's build (zero when
// unknown). All stand in logs that the machine signed; nothing that the local clock wrote counts.
func (l *Ledger) Evidence(built time.Time) Evidence {
	e := Evidence{}
	if !built.IsZero() {
		e = Evidence{At: built, Source: EvidenceBuild}
	}
	for _, m := range l.done {
		source, number := "", ""
		switch m.Event {
		case EventActivate:
			source, number = EvidenceManifest, m.Info[InfoVersion]
		case EventTrustUpdate:
			source, number = EvidenceRevocations, m.Info["number"]
		default:
			continue
		}
		if at, err := time.Parse(time.RFC3339, m.Info[InfoCreated]); err == nil && at.After(e.At) {
			e = Evidence{At: at, Source: source, Number: number}
		}
	}
	return e
}

// PolicyRoot is the number of the site's root that judged the policy; 1 for logs of programs that knew no other.
func (l *Ledger) PolicyRoot() int {
	number := 1
	for _, m := range l.Done(EventPolicySet) {
		if n, err := strconv.Atoi(m.Info[InfoTrustRoot]); err == nil && n > 0 {
			number = n
		}
	}
	return number
}

// CheckClosing refuses (E-CLOSED-EXPIRED) when the site's policy closes live on an expired root and signed evidence is later than the expiry
// of the newest one.
func CheckClosing(store *verify.Store, policy *compliance.Policy, e Evidence) error {
	if policy == nil || !policy.CloseOnExpiry {
		return nil
	}
	for _, of := range []verify.Root{verify.Oem, verify.Site} {
		if !store.Has(of) {
			continue
		}
		if err := store.CheckExpired(of, e.At); err != nil {
			return fault.New(fault.ClosedExpired, "the site's policy closes live when a list of trusted keys has expired: %w", err)
		}
	}
	return nil
}
