// Package audit is the decision log: append-only files of signed, hash-chained lines. It writes entries, settles what a
// power cut left, names the first entry that does not hold, and reads them for people. It does not decide what is
// logged, and takes no lock: whoever appends holds the lock of the root.
//
// A line is one JSON object as RFC 8785 writes it, ended by a line feed. Its member prev is the SHA-384 of the line before
// without the line feed; its member sig is the machine key's Ed25519 signature over "sluice-log-v1\x00" and the
// line without sig. The member log keeps one log's file from standing in for another's.
//
// A log that has grown large goes on in a new file; the old ones stay beside it as <log>.000001.jsonl and so on, and the
// chain runs through all of them: whoever reads, counts or verifies a log sees one.
//
// What the chain shows by itself: an entry edited, removed or moved, and lines signed by another key. A log cut short, or
// replaced by an older copy of itself, is found against a Head kept elsewhere (VerifyOptions). Who reads the
// machine key can write entries.
package audit

import (
	"crypto/ed25519"
	"io"
	"time"

	"sluice/bundle"
)

// Log names one of the files; each is its own chain.
type Log string

// The logs: demo takes installs, refusals, smoke tests, trust and people; paper and live_execution their stage.
const (
	Demo  Log = "demo"
	Paper Log = "paper"
	Live  Log = "live_execution"
)

// All lists the logs.
func All() []Log { return []Log{Demo, Paper, Live} }

// Statuses that others look for. An entry may have another.
const (
	StatusIntent     = "intent" // about to change the disk; an outcome follows
	StatusDone       = "done"
	StatusRefused    = "refused"
	StatusDemoReady  = "demo_ready"
	StatusPaperReady = "paper_ready"
	StatusLiveReady  = "live_ready"
)

// EventRotated is the event of the first entry of a new file (see Rotate).
const EventRotated = "log_rotated"

// RotateSize is how large a log's file may grow before the next entry goes to a new one, bytes.
const RotateSize = 16 << 20

// EventRepeated is the event of an entry that sums up refusals equal to an earlier one (see Append).
const EventRepeated = "repeated"

// Entry is one line of a log. Append fills Timestamp, Log, Prev and Sig, and Incident for a refusal that has none.
type Entry struct {
	Timestamp    string            `json:"timestamp"` // RFC 3339, UTC, milliseconds; the local clock's word, not evidence
	Log          Log               `json:"log"`
	Stage        string            `json:"stage"` // "demo", "paper" or "live"
	Status       string            `json:"status"`
	Event        string            `json:"event"`         // what was done: "install", "signoff", …
	Artefacts    map[string]string `json:"artefacts"`     // name -> digest
	RuntimeFlags map[string]string `json:"runtime_flags"` // engine, provider, fallback, …
	Actor        string            `json:"actor"`
	Incident     string            `json:"incident,omitempty"`
	Code         string            `json:"code,omitempty"`
	Detail       map[string]any    `json:"detail,omitempty"`
	Count        int               `json:"count,omitzero"` // further equal refusals; only with EventRepeated
	Prev         bundle.Digest     `json:"prev"`           // SHA-384 of the line before without its newline; zeros in the first
	Sig          []byte            `json:"sig,omitzero"`   // Ed25519, base64; never absent in a log
}

// Head pins a log's state: how many entries it has and the SHA-384 of the last line without its newline.
type Head struct {
	Entries int           `json:"entries"`
	SHA384  bundle.Digest `json:"sha384"` // zeros for an empty log
}

// Options says where the logs are and what they are written with.
type Options struct {
	Dir     string             // <root>/audit/decision_logs; made by the first Append
	NextDir string             // <root>/machine
	Key     ed25519.PrivateKey // machine key; nil: reading only
	Public  ed25519.PublicKey  // machine key; may be nil when Key is set
	Clock   func() time.Time
	Rand    io.Reader // for incidents
	// RotateSize is as the constant of that name, which 0 means.
	RotateSize int64
}

// State is what Verify found.
type State struct {
	Head
	Torn bool // the tail is the beginning of an entry that the next writer completes
}

// VerifyOptions are further demands on a log.
type VerifyOptions struct {
	Heads []Head // states that the log must have gone through: from stage records and reports
}

// Filter chooses entries for ReadEntries; empty fields ask for nothing.
type Filter struct {
	Stage, Status, Event, Code, Actor, Incident string
	Since, Until                                time.Time // Until is exclusive
	Last                                        int       // only the last so many of those that fit
}

// Line is one line of a log as read, unverified.
type Line struct {
	Number  int    `json:"number"` // from 1
	Entry   Entry  `json:"entry"`
	Problem string `json:"problem,omitempty"` // why the line is no entry; Entry is empty then
}
