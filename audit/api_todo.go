package audit

import (
	"crypto/ed25519"
	"io"

	"sluice/bundle"
	"sluice/internal/fault"
)

var errTodo = fault.New(fault.Internal, "not written yet")

// Logs are the three logs of one root.
type Logs struct{ o Options }

// Open remembers where the logs are; nothing is read or made.
func Open(o Options) *Logs { return &Logs{o} }

// Path is the file of a log.
func (l *Logs) Path(log Log) string { return "" }

// Append writes one entry and returns it as it stands in the log. A refusal equal to one of the last hour is counted
// instead, and the returned entry is the first one, with its incident.
func (l *Logs) Append(log Log, e Entry) (Entry, error) { return Entry{}, errTodo }

// Settle completes what a power cut interrupted. Append does it too.
func (l *Logs) Settle(log Log) error { return errTodo }

// Verify checks the whole log.
func (l *Logs) Verify(log Log, o VerifyOptions) (*State, error) { return nil, errTodo }

// VerifyFile checks a copy of a log.
func VerifyFile(path string, log Log, public ed25519.PublicKey, o VerifyOptions) (*State, error) {
	return nil, errTodo
}

// Head is the state of a log without checking it; an absent log has no entries.
func (l *Logs) Head(log Log) (Head, error) { return Head{}, errTodo }

// Read gives the entries that fit a filter.
func (l *Logs) Read(log Log, f Filter) ([]Line, error) { return nil, errTodo }

// Text is the line for a terminal, escaped.
func (l Line) Text() string { return "" }

// Find looks for the digest of an envelope in the artefacts of a log's entries.
func (l *Logs) Find(log Log, digest bundle.Digest) (*Line, error) { return nil, errTodo }

// NewIncident draws an incident id; ValidIncident checks one as typed.
func NewIncident(rand io.Reader) (string, error) { return "", errTodo }
func ValidIncident(s string) bool                { return false }
