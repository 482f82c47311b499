// Package verify makes the trust decision: which roots hold, which keys may sign, whether a manifest is authentic, whether
// it may be taken after what this machine has seen, and whether installed files are still the signed ones. It is the
// only maker of *Authentic. It does not extract, install or run anything, and keeps no memory of its own: what was
// seen before is told to it.
package verify

import (
	"crypto/ed25519"
	"time"

	"sluice/bundle"
)

// Root names one of the two trust roots.
type Root string

// The trust roots: the vendor, who signs bundles, and the site, which signs policy, people and emergencies.
const (
	Oem  Root = "oem"
	Site Root = "site"
)

// Roles of a trust root (TUF 1.0): root may change the root, targets may sign.
const (
	RoleRoot    = "root"
	RoleTargets = "targets"
)

// History is what this machine knows already. Its zero value knows nothing.
type History struct {
	Family string                   // the family installed here; empty: none yet
	Floor  string                   // highest version ever live here; empty: none
	Seen   map[string]bundle.Digest // version -> SHA-384 of its manifest
	// Evidence says that it is not earlier than this: the newest of created of accepted manifests, dates of accepted
	// revocations, and the program's build. Zero: unknown.
	Evidence   time.Time
	Clock      time.Time // what the local clock says; asked for MaxAgeDays only
	MaxAgeDays int       // the site's limit for the age of Evidence; 0: none
}

// Signer is one key whose signature counted.
type Signer struct {
	KeyID       string `json:"key_id"`
	Fingerprint string `json:"fingerprint"`
	Role        string `json:"role"` // RoleTargets, or "given" for a key the user named
}

// RoleGiven marks a signer whose key was given by the user, not found in a trust root.
const RoleGiven = "given"

// Authentic is a manifest whose signature, trust and place in history hold. No artifact is believed yet. Only this package
// makes one; the zero value and nil are refused everywhere.
type Authentic struct {
	manifest *bundle.Manifest
	raw      []byte
	sig      []byte
	digest   bundle.Digest
	signers  []Signer
	version  int
	source   *bundle.Source

	of        Root               // whose keys signed
	keys      []bundle.PublicKey // those that counted
	threshold int
	emergency bool // judged by the site's root
}

// Valid says whether a is what Authenticate and its siblings return.
func (a *Authentic) Valid() bool { return a != nil && a.manifest != nil }

// Manifest is the parsed manifest; do not change it.
func (a *Authentic) Manifest() *bundle.Manifest { return a.manifest }

// ManifestBytes are the signed bytes of manifest.json.
func (a *Authentic) ManifestBytes() []byte { return a.raw }

// SignatureBytes are the bytes of manifest.sig.
func (a *Authentic) SignatureBytes() []byte { return a.sig }

// ManifestSHA384 is the digest of ManifestBytes.
func (a *Authentic) ManifestSHA384() bundle.Digest { return a.digest }

// Signers are the keys whose signatures counted, in the root's order.
func (a *Authentic) Signers() []Signer { return a.signers }

// RootVersion is the number of the oem root (of the site's in an emergency) that a was judged by; 0 with a given key.
func (a *Authentic) RootVersion() int { return a.version }

// GivenKey says that trust was a key named by the user.
func (a *Authentic) GivenKey() bool { return a.version == 0 }

// Source is the opened bundle, nil when the manifest came from an installed folder.
func (a *Authentic) Source() *bundle.Source { return a.source }

// RootOptions describes a first trust root.
type RootOptions struct {
	Of               Root
	RootKeys         []bundle.PublicKey   // may change the root
	RootThreshold    int                  // at least 1
	TargetsKeys      []bundle.PublicKey   // may sign bundles (oem) or policy (site)
	TargetsThreshold int                  // at least 1
	Expires          time.Time            // whole seconds
	Signers          []ed25519.PrivateKey // of RootKeys; further signatures come from SignRoot
}

// RootInfo is one trust root as people see it.
type RootInfo struct {
	Of          Root      `json:"of"`
	Version     int       `json:"version"`     // newest kept
	Fingerprint string    `json:"fingerprint"` // of the newest file
	First       string    `json:"first"`       // fingerprint of version 1, which a person confirmed
	Expires     time.Time `json:"expires"`
	// Revoked are ids of its keys that a revocation list names: they count for nothing.
	Revoked          []string  `json:"revoked,omitempty"`
	RootThreshold    int       `json:"root_threshold"`
	TargetsThreshold int       `json:"targets_threshold"`
	Keys             []KeyInfo `json:"keys"`
}

// KeyInfo is one key of a trust root.
type KeyInfo struct {
	KeyID       string   `json:"key_id"`
	Fingerprint string   `json:"fingerprint"`
	Roles       []string `json:"roles"`
}
