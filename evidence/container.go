package evidence

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"io"
	"maps"
	"slices"
	"time"

	"sluice/bundle"
)

// Write makes a pack: the index, signed with the machine's key, and the files. Equal input gives equal bytes.
func Write(ix Index, files map[string][]byte, key ed25519.PrivateKey) ([]byte, error) {
	names := slices.Sorted(maps.Keys(files))
	st := bundle.Statement{PredicateType: bundle.TypeEvidence}
	for _, n := range names {
		st.Subjects = append(st.Subjects, bundle.NewSubject(n, files[n]))
	}
	var err error
	if st.Predicate, err = bundle.CanonicalJSON(ix); err != nil {
		return nil, wrap("writing the index", err)
	}
	index, err := bundle.SignStatement(st, key)
	if err != nil {
		return nil, wrap("signing the index", err)
	}
	all := maps.Clone(files)
	all[IndexFile] = index
	raw, err := container(append([]string{IndexFile}, names...), all, ix.Made)
	if err != nil {
		return nil, err
	}
	if _, err := Read(raw); err != nil { // the writer believes its own output last
		return nil, err
	}
	return raw, nil
}

// container writes a ustar archive of which every byte is a function of names, contents and time.
func container(names []string, files map[string][]byte, made string) ([]byte, error) {
	at, err := time.Parse(time.RFC3339, made)
	if err != nil || at.UTC().Format("2006-01-02T15:04:05Z") != made || at.Unix() < 0 || at.Unix() >= 1<<33 {
		return nil, bad("the pack's time is %q, want one such as 2026-11-24T12:00:00Z", clip(made))
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, n := range names {
		if len(n) > maxName || !namePattern.MatchString(n) {
			return nil, bad("a pack holds no file named %q", clip(n)).With("what", clip(n))
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: n, Size: int64(len(files[n])), Mode: 0o644, ModTime: at, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, wrap("writing the container", err)
		}
		if _, err := w.Write(files[n]); err != nil {
			return nil, wrap("writing the container", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, wrap("writing the container", err)
	}
	return out.Bytes(), nil
}

// Read opens a pack: exactly the container that Write makes, the index first, then the files that it names, in the order of their names.
// Any other byte is refused. No signature is looked at. Error: E-EVIDENCE.
func Read(raw []byte) (*Pack, error) {
	if len(raw) > MaxPack {
		return nil, bad("the pack has %d bytes, want at most %d", len(raw), MaxPack)
	}
	p := &Pack{Files: map[string][]byte{}}
	var all []string
	t := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, wrap("reading the container", err)
		}
		_, twice := p.Files[h.Name]
		switch {
		case h.Typeflag != tar.TypeReg || h.Size > int64(len(raw)) || len(h.PAXRecords) > 0:
			return nil, bad("entry %q is no plain file", clip(h.Name)).With("what", clip(h.Name))
		case twice:
			return nil, bad("file %q stands in the pack twice", clip(h.Name)).With("what", clip(h.Name))
		case len(all) >= maxFiles:
			return nil, bad("the pack has more than %d files", maxFiles)
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return nil, wrap("reading the container", err)
		}
		all = append(all, h.Name)
		p.Files[h.Name] = content
	}
	if len(all) == 0 || all[0] != IndexFile {
		return nil, bad("the pack does not begin with %q", IndexFile)
	}
	if err := p.readIndex(); err != nil {
		return nil, err
	}
	p.names = all[1:]
	again, err := container(all, p.Files, p.Index.Made)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, raw) {
		return nil, bad("the container is not written as a pack's is").With("what", "container")
	}
	delete(p.Files, IndexFile)
	return p, p.checkSubjects()
}

func (p *Pack) readIndex() error {
	raw := p.Files[IndexFile]
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		return wrap(IndexFile, err)
	}
	canonical, err := bundle.CanonicalJSON(jsonValue(raw))
	if err != nil || !bytes.Equal(canonical, raw) {
		return bad("%s is not written as RFC 8785 writes it", IndexFile).With("what", IndexFile)
	}
	if p.envelope = env; len(env.Signatures) != 1 {
		return bad("%s has %d signatures, want one", IndexFile, len(env.Signatures)).With("what", IndexFile)
	}
	if p.statement, err = env.Unverified(); err != nil {
		return wrap(IndexFile, err)
	}
	if err := bundle.StrictUnmarshal(p.statement.Predicate, &p.Index, bundle.MaxEnvelopeSize); err != nil {
		return wrap(IndexFile, err)
	}
	if again, err := bundle.CanonicalJSON(p.Index); err != nil || !bytes.Equal(again, p.statement.Predicate) { // the envelope is canonical, so is what it holds
		return bad("the index lacks a member or holds an empty one").With("what", IndexFile)
	}
	if p.Index.Schema != Schema {
		return bad("the pack has schema %q, want %q", clip(p.Index.Schema), Schema).With("what", IndexFile)
	}
	return nil
}

// checkSubjects compares the files with the index: the same names in the same order, the same bytes.
func (p *Pack) checkSubjects() error {
	if len(p.statement.Subjects) != len(p.names) || !slices.IsSorted(p.names) {
		return bad("the pack holds %d files in this order, its index names %d", len(p.names), len(p.statement.Subjects)).With("what", IndexFile)
	}
	for i, s := range p.statement.Subjects {
		if s != bundle.NewSubject(p.names[i], p.Files[p.names[i]]) {
			return bad("file %q is not the one that the index names", p.names[i]).With("what", p.names[i])
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}
