// Package evidence holds the evidence pack of a sign-off: one file with everything that a stranger needs to check, years later and without
// this machine, who approved which models on what grounds. It writes a pack and decides whether one holds against the
// fingerprints of trust roots that the reader knows from elsewhere. It knows no installation, stores nothing and logs nothing.
// docs/evidence.md specifies the file so that others can check it; docs/evidence-check.py does.
package evidence

import (
	"regexp"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/internal/fault"
	"sluice/verify"
)

// Suffix ends the names of packs.
const Suffix = ".evidence.tar"

// Schema is the only schema of an index.
const Schema = "sluice-evidence/1"

// Limits of a pack.
const (
	MaxPack  = 256 << 20 // bytes
	maxFiles = 4000
	maxRoots = 1000
	// MaxLog is how many bytes of one log a pack takes, beside the entries that announce or conclude a change.
	MaxLog = 2 << 20
)

// Names of the files in a pack. Further ones: roots/<oem|site>/<n>.root.json, policies/<n>.json, log/<log>.jsonl,
// signoffs/<stage>/<n>.dsse.json and .form.json.
const (
	IndexFile    = "evidence.dsse.json"
	ManifestFile = "manifest.json"
	SigFile      = "manifest.sig"
	MachineFile  = "machine.pub"
	HardwareFile = "hardware.json"
	RecordFile   = "record.json" // the stage record with engine and proof
	SmokeFile    = "smoke.json"  // the whole smoke report that the record names
	ReportFile   = "report.json"
	PDFFile      = "report.pdf"
)

// RevocationsFile is the name of a revocation list that was kept when the pack was made.
func RevocationsFile(of verify.Root) string { return "revocations/" + string(of) + ".json" }

// TextFile is the name of the checklist's text in a language: what the people's signatures name by its digest.
func TextFile(lang compliance.Lang) string { return "checklist." + string(lang) + ".txt" }

// namePattern is what a file in a pack may be called: it fits a tar header as it is and means the same on every system.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){0,3}$`)

const maxName = 100

// Index is the predicate of the pack's own statement, signed with the machine's key; the subjects are all other files.
type Index struct {
	Schema         string                   `json:"schema"`
	Made           string                   `json:"made"` // RFC 3339, UTC, whole seconds
	Stage          compliance.Stage         `json:"stage"`
	ModelFamily    string                   `json:"model_family"`
	Version        string                   `json:"version"`
	Variant        string                   `json:"variant"`
	ManifestSHA384 bundle.Digest            `json:"manifest_sha384"`
	JudgedBy       JudgedBy                 `json:"judged_by"`
	Machine        compliance.Machine       `json:"machine"`
	PolicyNumber   int                      `json:"policy_number"` // of the newest policy, which judges
	Installer      string                   `json:"installer"`     // who installed, as they said
	Complete       bool                     `json:"complete"`
	Refused        bool                     `json:"refused"`
	Logs           map[audit.Log]LogExcerpt `json:"logs"`
	Emergency      *compliance.Emergency    `json:"emergency,omitempty"` // the site signed the manifest, not the vendor
}

// JudgedBy names the version of a trust root whose role targets signed the manifest.
type JudgedBy struct {
	Root    string `json:"root"` // oem; site for an emergency bundle
	Version int    `json:"version"`
}

// LogExcerpt says which entries of a log the pack holds.
type LogExcerpt struct {
	Entries int           `json:"entries"` // of the whole log
	SHA384  bundle.Digest `json:"sha384"`  // of its last line
	Ranges  []audit.Range `json:"ranges"`  // in order, with gaps between them
}

// Pack is a pack as read: its container holds, nothing in it is proven.
type Pack struct {
	Index     Index
	Files     map[string][]byte
	envelope  *bundle.Envelope
	statement *bundle.Statement
	names     []string // all but the index, in order
}

func bad(format string, args ...any) *fault.Error { return fault.New(fault.Evidence, format, args...) }

// wrap gives an error the pack's own code and says where.
func wrap(what string, err error) error {
	return bad("%s: %w", what, err).With("what", what).With("cause", string(fault.CodeOf(err)))
}
