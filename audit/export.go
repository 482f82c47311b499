package audit

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

// ExportSchema is the format of an exported log.
const ExportSchema = "sluice-log-export/1"

// exportSubject names what the seal of an export signs: all bytes before it.
const exportSubject = "log-export"

// maxSeal is the longest last line of an export, bytes.
const maxSeal = 64 << 10

// ExportOptions choose what is exported.
type ExportOptions struct {
	Logs     []Log     // empty: all
	From, To time.Time // zero: from the beginning, to the end; To is exclusive
	At       time.Time // of the export
}

// Export is the first line of an exported log: JSON Lines, then each chosen line as it stands in its log, then the seal, a DSSE
// envelope (bundle.TypeHead) by the machine's key about all bytes before it, whose predicate is this again.
type Export struct {
	Schema     string      `json:"schema"` // ExportSchema
	MachineKey string      `json:"machine_key"`
	At         string      `json:"at"` // RFC 3339, UTC, by the local clock
	From       string      `json:"from,omitempty"`
	To         string      `json:"to,omitempty"`
	Logs       []ExportLog `json:"logs"`
}

// ExportLog is the part of one log in an export: an unbroken piece of the chain that holds every entry of the time asked for.
type ExportLog struct {
	Log    Log           `json:"log"`
	First  int           `json:"first"`  // number of the first line here, from 1; 0: none
	Lines  int           `json:"lines"`  // how many
	Before bundle.Digest `json:"before"` // SHA-384 of the line before the first, zeros when it is the log's first
	Head   Head          `json:"head"`   // of the whole log when it was exported: to be compared with later
}

// Export writes a part of the logs that can be checked elsewhere. It does not verify them: call Verify before.
func (l *Logs) Export(w io.Writer, o ExportOptions) (*Export, error) {
	if len(l.o.Key) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.Internal, "the logs were opened for reading only")
	}
	pub, err := bundle.NewPublicKey(l.o.Public)
	if err != nil {
		return nil, err
	}
	if len(o.Logs) == 0 {
		o.Logs = All()
	}
	x := &Export{Schema: ExportSchema, MachineKey: string(pub.PEM()), At: o.At.UTC().Format(time.RFC3339), Logs: []ExportLog{}}
	if !o.From.IsZero() {
		x.From = o.From.UTC().Format(time.RFC3339)
	}
	if !o.To.IsZero() {
		x.To = o.To.UTC().Format(time.RFC3339)
	}
	for _, log := range o.Logs {
		part, err := l.part(log, o)
		if err != nil {
			return nil, err
		}
		x.Logs = append(x.Logs, part)
	}
	out := newSealer(w)
	head, err := bundle.CanonicalJSON(x)
	if err != nil {
		return nil, fmt.Errorf("writing the export: %w", err)
	}
	if err := out.line(head); err != nil {
		return nil, err
	}
	for _, part := range x.Logs {
		if err := l.copyPart(out, part); err != nil {
			return nil, err
		}
	}
	seal, err := bundle.SignStatement(bundle.Statement{Subjects: []bundle.Subject{out.subject()}, PredicateType: bundle.TypeHead, Predicate: head}, l.o.Key)
	if err != nil {
		return nil, err
	}
	if err := out.line(seal); err != nil {
		return nil, err
	}
	return x, nil
}

// part finds which lines of a log hold every entry of a time.
func (l *Logs) part(log Log, o ExportOptions) (ExportLog, error) {
	if err := log.valid(); err != nil {
		return ExportLog{}, err
	}
	var p ExportLog
	_, err := l.attempt(log, func(r io.Reader, _ []byte) error {
		p = ExportLog{Log: log}
		var before bundle.Digest
		_, err := eachLine(r, log, func(n int, line []byte) error {
			e, err := parse(line)
			if err != nil {
				return broken(log, n, "%v", err)
			}
			digest := digestOf(line)
			if (Filter{Since: o.From, Until: o.To}).fits(e) {
				if p.First == 0 {
					p.First, p.Before = n, before
				}
				p.Lines = n - p.First + 1
			}
			before = digest
			p.Head = Head{Entries: n, SHA384: digest}
			return nil
		})
		return err
	})
	return p, err
}

func (l *Logs) copyPart(out *sealer, p ExportLog) error {
	if p.Lines == 0 {
		return nil
	}
	last := p.First + p.Lines - 1
	_, err := l.attempt(p.Log, func(r io.Reader, _ []byte) error {
		copied := 0
		_, err := eachLine(r, p.Log, func(n int, line []byte) error {
			if n < p.First || n > last {
				return nil
			}
			copied++
			return out.line(line)
		})
		if err == nil && copied != p.Lines {
			err = broken(p.Log, p.First+copied, "the log became shorter while it was exported")
		}
		return err
	})
	return err
}

// sealer writes lines and digests them.
type sealer struct {
	w        io.Writer
	s384     hash.Hash
	s256     hash.Hash
	combined io.Writer
}

func newSealer(w io.Writer) *sealer {
	s := &sealer{w: w, s384: sha512.New384(), s256: sha256.New()}
	s.combined = io.MultiWriter(w, s.s384, s.s256)
	return s
}

func (s *sealer) line(line []byte) error {
	if _, err := s.combined.Write(append(bytes.Clone(line), '\n')); err != nil {
		return fault.New(fault.IO, "writing the export: %w", err)
	}
	return nil
}

func (s *sealer) subject() bundle.Subject {
	return bundle.Subject{Name: exportSubject, SHA384: bundle.Digest(s.s384.Sum(nil)), SHA256: bundle.Digest256(s.s256.Sum(nil))}
}

func exportFault(format string, args ...any) *fault.Error {
	return fault.New(fault.LogExport, format, args...)
}

// ReadExport checks an exported log: the seal is the machine's over every byte, each line is an entry that this key signed,
// and each follows the one before. key is the machine's; nil: the one that the export names, which then vouches for itself
// only. Error: E-LOG-EXPORT, with the details log and entry where a line is at fault.
func ReadExport(r io.Reader, key *bundle.PublicKey) (*Export, []Line, error) {
	br := bufio.NewReaderSize(r, max(MaxLine, maxSeal)+1)
	out := newSealer(io.Discard)
	var lines [][]byte // what follows the first line; the last is the seal
	first, err := exportLine(br)
	if err != nil {
		return nil, nil, err
	}
	x := new(Export)
	if err := bundle.StrictUnmarshal(first, x, maxSeal); err != nil {
		return nil, nil, exportFault("reading the export: %w", err)
	}
	named, err := bundle.ParsePublicKey([]byte(x.MachineKey))
	if x.Schema != ExportSchema || err != nil {
		return nil, nil, exportFault("the export has schema %q and machine key %v, want %q", x.Schema, err, ExportSchema)
	}
	if key != nil && !key.Equal(named) {
		return nil, nil, exportFault("the export is by the machine key %s, want %s", named.Fingerprint(), key.Fingerprint()).With("got", named.ID()).With("want", key.ID())
	}
	_ = out.line(first) // to nowhere
	var entries []Line
	next := exportCursor{parts: x.Logs, public: named.Bytes()}
	for {
		line, err := exportLine(br)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		lines = append(lines, line)
		if len(lines) < 2 {
			continue
		}
		l, err := next.take(lines[0])
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, l)
		_ = out.line(lines[0])
		lines = lines[1:]
	}
	if len(lines) != 1 || !next.done() {
		return nil, nil, exportFault("the export ends before it should")
	}
	if err := checkSeal(lines[0], first, out.subject(), named); err != nil {
		return nil, nil, err
	}
	return x, entries, nil
}

func checkSeal(seal, predicate []byte, want bundle.Subject, key bundle.PublicKey) error {
	env, err := bundle.ParseEnvelope(seal)
	if err != nil {
		return exportFault("reading the seal: %w", err)
	}
	st, _, err := env.Verify(bundle.TypeHead, []bundle.PublicKey{key}, 1)
	if err != nil {
		return exportFault("verifying the seal: %w", err)
	}
	if !slices.Equal(st.Subjects, []bundle.Subject{want}) || !bytes.Equal(st.Predicate, predicate) {
		return exportFault("the seal is for other bytes: the export was changed")
	}
	return nil
}

// exportLine reads a whole line. The error is io.EOF after the last one.
func exportLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	switch {
	case err == nil:
		return bytes.Clone(line[:len(line)-1]), nil
	case err == io.EOF && len(line) == 0:
		return nil, exportFault("the export is over: %w", io.EOF)
	case err == io.EOF:
		return nil, exportFault("the export's last line is cut off")
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, exportFault("the export has a line of more than %d bytes", max(MaxLine, maxSeal))
	}
	return nil, fault.New(fault.IO, "reading the export: %w", err)
}

// exportCursor checks the lines of an export one after the other.
type exportCursor struct {
	parts  []ExportLog
	public ed25519.PublicKey
	n      int // lines taken of parts[0]
	prev   bundle.Digest
}

func (c *exportCursor) take(line []byte) (Line, error) {
	for len(c.parts) > 0 && c.n == c.parts[0].Lines {
		c.parts, c.n = c.parts[1:], 0
	}
	if len(c.parts) == 0 {
		return Line{}, exportFault("the export has more lines than it says")
	}
	p := c.parts[0]
	if c.n == 0 {
		c.prev = p.Before
	}
	number := p.First + c.n
	bad := func(format string, args ...any) (Line, error) {
		return Line{}, exportFault("log %q, entry %d: %s", string(p.Log), number, fmt.Sprintf(format, args...)).With("log", string(p.Log)).With("entry", number)
	}
	e, err := decode(line, p.Log, c.public)
	if err != nil {
		return bad("%v", err)
	}
	if e.Prev != c.prev {
		return bad("it does not follow the line before")
	}
	c.prev = digestOf(line)
	c.n++
	if number == p.Head.Entries && c.prev != p.Head.SHA384 {
		return bad("it is not the head that the export names")
	}
	return Line{Number: number, Entry: e}, nil
}

// done says whether every announced line came.
func (c *exportCursor) done() bool {
	left := 0
	for _, p := range c.parts {
		left += p.Lines
	}
	return left == c.n
}

// Heads are the states of the logs when they were exported: to be asked of the logs later (VerifyOptions).
func (x *Export) Heads() map[Log]Head {
	out := map[Log]Head{}
	for _, p := range x.Logs {
		if p.Head.Entries > 0 {
			out[p.Log] = p.Head
		}
	}
	return out
}
