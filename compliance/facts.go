package compliance

import "sluice/bundle"

// Facts are what a report tells besides checklist and decisions: what the program found or proved itself, in
// language-neutral names and values. They are kept with the record, so that the report is made from it alone.
type Facts struct {
	Made       string          `json:"made"`    // RFC 3339, UTC: when the last of the decisions was signed
	Program    string          `json:"program"` // version of the program that made the record
	Bundle     BundleFacts     `json:"bundle"`
	SiteRoot   RootFacts       `json:"site_root"`
	Installed  InstalledFacts  `json:"installed"`
	Hardware   []Named         `json:"hardware"`
	Engine     []Named         `json:"engine"`
	Limits     []Named         `json:"limits"` // what the smoke test measured, beside the contract's limits
	Cases      []CaseFacts     `json:"cases"`
	Quality    []QualityFacts  `json:"quality"`
	Files      []FileFacts     `json:"files"` // of the variant
	Provenance []Named         `json:"provenance"`
	Logs       map[string]Head `json:"logs"` // heads when the record was made
}

// Head is the state of a decision log.
type Head = LogHead

// Named is a value with its language-neutral name.
type Named struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// BundleFacts say where the bundle comes from and who signed it.
type BundleFacts struct {
	Created        string           `json:"created"`
	ManifestSHA256 bundle.Digest256 `json:"manifest_sha256"`
	JudgedBy       RootFacts        `json:"judged_by"` // the trust root whose keys signed it
	Signers        []SignerFacts    `json:"signers"`
}

// RootFacts name a version of a trust root.
type RootFacts struct {
	Of          string `json:"of"` // oem or site
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"` // of that version's file
	First       string `json:"first"`       // of version 1, which a person confirmed
	Expires     string `json:"expires"`
}

// SignerFacts is one key whose signature counted.
type SignerFacts struct {
	KeyID       string `json:"key_id"`
	Fingerprint string `json:"fingerprint"`
	Role        string `json:"role"`
}

// InstalledFacts say who installed the version and when.
type InstalledFacts struct {
	By string `json:"by"`
	At string `json:"at"`
}

// CaseFacts is one golden case that passed.
type CaseFacts struct {
	Model     string  `json:"model"`
	Name      string  `json:"name"`
	WorstAbs  float64 `json:"worst_abs"`
	WorstRel  float64 `json:"worst_rel"`
	LatencyMS float64 `json:"latency_ms"`
}

// QualityFacts is one quality figure of the manifest.
type QualityFacts struct {
	ID        string  `json:"id"`
	Value     float64 `json:"value"`
	Direction string  `json:"direction"` // min or max
	Threshold float64 `json:"threshold"`
	Passed    bool    `json:"passed"`
	Report    string  `json:"report,omitempty"`
}

// FileFacts is one installed file.
type FileFacts struct {
	Path   string        `json:"path"`
	Size   int64         `json:"size"`
	SHA384 bundle.Digest `json:"sha384"`
}
