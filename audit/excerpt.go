package audit

import (
	"bytes"
	"crypto/ed25519"

	"sluice/bundle"
)

// Range is a run of entries without a gap, by their numbers in the log, both included.
type Range struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Excerpt is part of a log as it stands in the file, with what is needed to check it elsewhere.
type Excerpt struct {
	Ranges []Range `json:"ranges"`
	Head   Head    `json:"head"` // of the whole log; the excerpt ends with it
	Lines  []byte  `json:"-"`    // the lines of all ranges, each with its line feed
}

// Excerpt takes the lines from the first one that about accepts up to the head: all of them when they have at most budget bytes, else
// those that keep accepts and the last ones that fit. Without a line that about accepts it is the last line. It does not verify.
func (l *Logs) Excerpt(log Log, about, keep func(Entry) bool, budget int) (*Excerpt, error) {
	lines, err := l.Read(log, Filter{})
	if err != nil {
		return nil, err
	}
	out := &Excerpt{Ranges: []Range{}}
	raws := make([][]byte, len(lines))
	first, total := len(lines)-1, 0
	for i, line := range lines {
		if line.Problem != "" {
			return nil, broken(log, line.Number, "%s", line.Problem)
		}
		raw, err := bundle.CanonicalJSON(line.Entry) // parse let nothing else through
		if err != nil {
			return nil, broken(log, line.Number, "%v", err)
		}
		raws[i] = append(raw, '\n')
		if i < first && about(line.Entry) {
			first = i
		}
		if i >= first {
			total += len(raws[i])
		}
	}
	tail := first
	for tail < len(lines)-1 && total > budget {
		total -= len(raws[tail])
		tail++
	}
	for i := max(first, 0); i < len(lines); i++ {
		if i >= tail || keep(lines[i].Entry) || about(lines[i].Entry) {
			out.add(lines[i].Number, raws[i])
		}
	}
	if n := len(lines); n > 0 {
		out.Head = Head{Entries: lines[n-1].Number, SHA384: digestOf(bytes.TrimSuffix(raws[n-1], []byte("\n")))}
	}
	return out, nil
}

func (x *Excerpt) add(number int, raw []byte) {
	if n := len(x.Ranges); n > 0 && x.Ranges[n-1].Last == number-1 {
		x.Ranges[n-1].Last = number
	} else {
		x.Ranges = append(x.Ranges, Range{First: number, Last: number})
	}
	x.Lines = append(x.Lines, raw...)
}

// Verify checks an excerpt: each line is an entry of this log with the machine's signature, within a range each follows the one
// before, entry 1 follows none, and the last one is the head. It gives the entries by number, and the digest of each. What lies between
// two ranges is not seen. Error: E-LOG-BROKEN.
func (x *Excerpt) Verify(log Log, public ed25519.PublicKey) ([]Line, map[int]bundle.Digest, error) {
	if err := log.valid(); err != nil {
		return nil, nil, err
	}
	rest := x.Lines
	var out []Line
	digests := map[int]bundle.Digest{}
	last := 0
	for _, r := range x.Ranges {
		if r.First <= last || r.Last < r.First || last > 0 && r.First == last+1 {
			return nil, nil, broken(log, r.First, "entries %d to %d do not come after entry %d", r.First, r.Last, last)
		}
		var prev bundle.Digest
		for n := r.First; n <= r.Last; n++ {
			line, after, ok := bytes.Cut(rest, []byte("\n"))
			if !ok || len(line) >= MaxLine {
				return nil, nil, broken(log, n, "it is not in the excerpt")
			}
			rest = after
			e, err := decode(line, log, public)
			if err != nil {
				return nil, nil, broken(log, n, "%v", err)
			}
			if n == 1 && !e.Prev.IsZero() || n > r.First && e.Prev != prev {
				return nil, nil, broken(log, n, "it does not follow entry %d", n-1)
			}
			prev = digestOf(line)
			digests[n] = prev
			out = append(out, Line{Number: n, Entry: e})
		}
		last = r.Last
	}
	switch {
	case len(rest) > 0:
		return nil, nil, broken(log, last+1, "the excerpt has %d bytes more", len(rest))
	case last != x.Head.Entries || digests[last] != x.Head.SHA384:
		return nil, nil, broken(log, x.Head.Entries, "the excerpt ends with entry %d, want the head", last)
	}
	return out, digests, nil
}
