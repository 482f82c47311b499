package testbundle

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"sluice/bundle"
	"sluice/internal/fault"
)

// Hostile is a bundle that must be refused.
type Hostile struct {
	Name   string
	Threat int        // its number in docs/security.md
	Code   fault.Code // what verification must answer
	make   func(dir string) (Written, error)
}

// Write writes the bundle into dir, which should be empty.
func (h Hostile) Write(dir string) (Written, error) { return h.make(dir) }

// Names lists all bundles that Write knows, the good ones first.
func Names() []string {
	out := []string{string(bundle.KindIndexed), string(bundle.KindStream), string(bundle.KindVolumes)}
	for _, h := range Hostiles() {
		out = append(out, h.Name)
	}
	return out
}

// Write writes a good bundle ("indexed", "stream", "volumes") or a hostile one by its name.
func Write(dir, name string) (Written, error) {
	switch k := bundle.Kind(name); k {
	case bundle.KindIndexed, bundle.KindStream, bundle.KindVolumes:
		return Good(dir, Options{Kind: k})
	}
	for _, h := range Hostiles() {
		if h.Name == name {
			return h.Write(dir)
		}
	}
	return Written{}, fmt.Errorf("no test bundle %q, want one of %q", name, Names())
}

// Hostiles lists all hostile bundles. Each is a good one with one thing wrong.
func Hostiles() []Hostile {
	return slices.Concat(damaged(), unsigned(), named(), typed(), disagreeing(), bombs(), manifests(), volumes())
}

// streamed makes a stream bundle of a plan's entries after a change.
func streamed(change func(p *plan, e []entry) []entry) func(string) (Written, error) {
	return func(dir string) (Written, error) {
		p, err := newPlan(Options{})
		if err != nil {
			return Written{}, err
		}
		w := p.written(dir)
		return w, os.WriteFile(w.Path, oneFrame(p.archive(change(p, p.entries())...)), 0o644)
	}
}

// with puts one entry before all others.
func with(e entry) func(string) (Written, error) {
	return streamed(func(_ *plan, all []entry) []entry { return append([]entry{e}, all...) })
}

// instead puts an entry in the first artifact's place.
func instead(change func(e *entry)) func(string) (Written, error) {
	return streamed(func(_ *plan, all []entry) []entry { change(&all[0]); return all })
}

// patched changes the bytes of a good indexed bundle.
func patched(change func(b []byte) []byte) func(string) (Written, error) {
	return func(dir string) (Written, error) {
		w, err := Good(dir, Options{})
		if err != nil {
			return Written{}, err
		}
		b, err := os.ReadFile(w.Path)
		if err != nil {
			return Written{}, err
		}
		return w, os.WriteFile(w.Path, change(b), 0o644)
	}
}

// flip changes one bit, counted from the end when at is negative.
func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
}

// damaged is threat 1.
func damaged() []Hostile {
	return []Hostile{
		{"flip-artifact", 1, fault.Digest, patched(func(b []byte) []byte { return flip(len(b) / 2)(b) })},
		{"flip-manifest-frame", 1, fault.Digest, patched(flip(200))},
		{"flip-frame-header", 1, fault.Digest, patched(flip(4))},
		{"flip-seek-table", 1, fault.Format, patched(flip(-12))},
		{"flip-seek-descriptor", 1, fault.Format, patched(flip(-5))},
		{"truncated", 1, fault.Format, patched(func(b []byte) []byte { return b[:len(b)-1000] })},
		{"byte-appended", 1, fault.Format, patched(func(b []byte) []byte { return append(b, 0) })},
		{"bundle-twice", 1, fault.Format, patched(func(b []byte) []byte { return append(b, b...) })},
		{"other-bytes", 1, fault.Digest, instead(func(e *entry) { e.data = append(bytes.Clone(e.data[:len(e.data)-1]), 'x') })},
		{"frame-header-unused-bit", 1, fault.Format, patchedStream(func(b []byte) []byte { b[4] |= 1 << 4; return b })},
		{"frame-header-reserved-bit", 1, fault.Format, patchedStream(func(b []byte) []byte { b[4] |= 1 << 3; return b })},
		{"second-frame", 1, fault.Format, patchedStream(func(b []byte) []byte { return append(b, oneFrame(nil)...) })},
		{"skippable-frame", 1, fault.Format, patchedStream(func(b []byte) []byte { return append(b, 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0) })},
	}
}

func patchedStream(change func(b []byte) []byte) func(string) (Written, error) {
	return func(dir string) (Written, error) {
		w, err := Good(dir, Options{Kind: bundle.KindStream})
		if err != nil {
			return Written{}, err
		}
		b, err := os.ReadFile(w.Path)
		if err != nil {
			return Written{}, err
		}
		return w, os.WriteFile(w.Path, change(b), 0o644)
	}
}

// signed makes an indexed bundle with another manifest.sig.
func signed(change func(p *plan) error) func(string) (Written, error) {
	return func(dir string) (Written, error) {
		p, err := newPlan(Options{})
		if err != nil {
			return Written{}, err
		}
		if err := change(p); err != nil {
			return Written{}, err
		}
		return p.write(dir)
	}
}

// statement signs a statement that is not the one which belongs there.
func statement(change func(p *plan, s *bundle.Statement)) func(string) (Written, error) {
	return signed(func(p *plan) (err error) {
		s := bundle.Statement{Subjects: []bundle.Subject{bundle.NewSubject("manifest.json", p.raw)}, PredicateType: bundle.TypeManifest,
			Predicate: []byte(`{"model_family":"` + p.o.Family + `","version":"` + p.o.Version + `"}`)}
		change(p, &s)
		p.sig, err = bundle.SignStatement(s, p.o.Keys...)
		return err
	})
}

// unsigned are threats 2 and 17. Every case trusts Key(1).
func unsigned() []Hostile {
	return []Hostile{
		{"unknown-key", 2, fault.SignatureUntrusted, signed(func(p *plan) error {
			p.o.Keys = []ed25519.PrivateKey{Key(9)}
			err := p.seal()
			p.o.Keys = []ed25519.PrivateKey{Key(1)}
			return err
		})},
		{"no-signature", 2, fault.SignatureMissing, signed(func(p *plan) error {
			p.sig = []byte(`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}`)
			return nil
		})},
		{"signature-entry-missing", 2, fault.SignatureMissing, unsealed(func(head []entry) []entry { return head[:1] })},
		{"signature-entry-empty", 2, fault.SignatureMissing, unsealed(func(head []entry) []entry { head[1].data = nil; return head })},
		{"manifest-changed-after-signing", 2, fault.SignatureInvalid, unsealed(func(head []entry) []entry {
			head[0].data = bytes.Replace(head[0].data, []byte(`"priority":10`), []byte(`"priority":11`), 1)
			return head
		})},
		{"manifest-emptied-after-signing", 2, fault.SignatureInvalid, unsealed(func(head []entry) []entry { head[0].data = nil; return head })},
		{"garbage-signature", 2, fault.SignatureInvalid, signed(func(p *plan) error { p.sig = []byte("not an envelope"); return nil })},
		{"broken-signature", 2, fault.SignatureInvalid, signed(func(p *plan) error {
			// The first character of the signature's base64, which is 84 bytes of text before the closing quote.
			i := bytes.Index(p.sig, []byte(`"sig":"`)) + len(`"sig":"`)
			p.sig[i] = "AB"[btoi(p.sig[i] == 'A')]
			return nil
		})},
		{"signature-of-policy", 17, fault.SignatureType, statement(func(_ *plan, s *bundle.Statement) { s.PredicateType = bundle.TypePolicy })},
		{"signature-of-another-name", 17, fault.SignatureType, statement(func(_ *plan, s *bundle.Statement) { s.Subjects[0].Name = "policy.json" })},
		{"signature-of-another-manifest", 17, fault.SignatureInvalid, statement(func(p *plan, s *bundle.Statement) {
			s.Subjects[0] = bundle.NewSubject("manifest.json", append(bytes.Clone(p.raw), '\n'))
		})},
	}
}

// unsealed makes a stream bundle whose first two entries, manifest.json and manifest.sig, were changed after signing.
func unsealed(change func(head []entry) []entry) func(string) (Written, error) {
	return func(dir string) (Written, error) {
		p, err := newPlan(Options{})
		if err != nil {
			return Written{}, err
		}
		w := p.written(dir)
		return w, os.WriteFile(w.Path, oneFrame(tarOf(append(change(p.head()), p.entries()...)...)), 0o644)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// named are threats 9 and 11: names in the archive, and the same in the manifest.
func named() []Hostile {
	var out []Hostile
	for name, path := range hostileNames {
		threat := 9
		if strings.HasPrefix(name, "name-") {
			threat = 11
		}
		inManifest := fault.Path
		if !utf8.ValidString(path) {
			inManifest = fault.ManifestInvalid // no JSON then
		}
		out = append(out,
			Hostile{"entry-" + name, threat, fault.Path, with(entry{name: path})},
			Hostile{"manifest-" + name, threat, inManifest, manifestWith(func(m *bundle.Manifest) { m.Artifacts[3].Path = path })})
	}
	slices.SortFunc(out, func(a, b Hostile) int { return strings.Compare(a.Name, b.Name) })
	return append(out,
		Hostile{"manifest-case-clash", 11, fault.Path, manifestWith(func(m *bundle.Manifest) { m.Artifacts[3].Path = "artifacts/CPU/weights.bin" })},
		Hostile{"entry-case-clash", 11, fault.Entry, with(entry{name: "artifacts/cpu/Model.onnx"})})
}

var hostileNames = map[string]string{
	"parent":            "../outside.txt",
	"parent-inside":     "artifacts/../../outside.txt",
	"absolute":          "/etc/sluice",
	"drive":             "C:/outside.txt",
	"unc":               `\\host\share\outside.txt`,
	"backslash":         `artifacts\..\outside.txt`,
	"short-name":        "artifacts/MODELS~1/x",
	"stream":            "artifacts/x.onnx:hidden",
	"name-con":          "artifacts/CON",
	"name-com":          "artifacts/COM¹.onnx",
	"name-dot":          "artifacts/x.",
	"name-space":        "artifacts/x ",
	"name-not-nfc":      "artifacts/zamknie\u0328cie",
	"name-control":      "artifacts/x\x1b[2J",
	"name-bidi":         "artifacts/x\u202excod.exe",
	"name-invalid-utf8": "artifacts/\xff",
}

// manifestWith makes a signed bundle with a changed manifest. The archive is what the unchanged one wants: the manifest must be refused
// before anybody compares.
func manifestWith(change func(m *bundle.Manifest)) func(string) (Written, error) {
	return streamedManifest(func(p *plan) ([]byte, error) {
		const mark = "SLUICE-TEST-PATH"
		before := p.m.Artifacts[3].Path
		change(p.m)
		after := p.m.Artifacts[3].Path
		for i := range p.m.Variants {
			for k, a := range p.m.Variants[i].Artifacts {
				if a == before {
					p.m.Variants[i].Artifacts[k] = mark
				}
			}
		}
		p.m.Artifacts[3].Path = mark
		raw, err := bundle.CanonicalJSON(p.m)
		return bytes.ReplaceAll(raw, []byte(mark), jsonEscape(after)), err
	})
}

// jsonEscape writes a string into JSON as it is, valid UTF-8 or not.
func jsonEscape(s string) []byte {
	var out []byte
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return out
}

// streamedManifest makes a stream bundle whose manifest.json is any bytes, signed as they are.
func streamedManifest(raw func(p *plan) ([]byte, error)) func(string) (Written, error) {
	return func(dir string) (Written, error) {
		p, err := newPlan(Options{})
		if err != nil {
			return Written{}, err
		}
		b, err := raw(p)
		if err != nil {
			return Written{}, err
		}
		if err := p.sealRaw(b); err != nil {
			return Written{}, err
		}
		w := p.written(dir)
		return w, os.WriteFile(w.Path, oneFrame(p.archive(p.entries()...)), 0o644)
	}
}

// typed is threat 10.
func typed() []Hostile {
	const path = "artifacts/cpu/model.onnx"
	return []Hostile{
		{"symbolic-link", 10, fault.Entry, instead(func(e *entry) { *e = entry{name: path, typ: '2', link: "/etc/passwd"} })},
		{"hard-link", 10, fault.Entry, instead(func(e *entry) { *e = entry{name: path, typ: '1', link: "manifest.json"} })},
		{"character-device", 10, fault.Entry, instead(func(e *entry) { *e = entry{name: path, typ: '3'} })},
		{"block-device", 10, fault.Entry, instead(func(e *entry) { *e = entry{name: path, typ: '4'} })},
		{"fifo", 10, fault.Entry, instead(func(e *entry) { *e = entry{name: path, typ: '6'} })},
		{"set-uid", 10, fault.Entry, instead(func(e *entry) { e.mode = "0004755" })},
		{"xattr", 10, fault.Entry, instead(func(e *entry) { e.pax = map[string]string{"SCHILY.xattr.security.capability": "x"} })},
		{"gnu-sparse", 10, fault.Entry, instead(func(e *entry) { e.typ = 'S' })},
		{"pax-sparse", 10, fault.Entry, instead(func(e *entry) { e.pax = map[string]string{"GNU.sparse.realsize": "1099511627776"} })},
		{"pax-twice", 10, fault.Entry, streamed(func(_ *plan, all []entry) []entry {
			pax := entry{name: "././@PaxHeader", typ: 'x', data: paxRecord("mtime", "1")}
			return append([]entry{pax, pax}, all...)
		})},
		{"gnu-long-name", 10, fault.Entry, with(entry{name: "LongLink", typ: 'L', data: []byte(path)})},
		{"link-then-through", 10, fault.Entry, streamed(func(_ *plan, all []entry) []entry {
			return append([]entry{{name: "artifacts/cpu", typ: '2', link: "/tmp"}}, all...)
		})},
	}
}

// disagreeing is threat 12.
func disagreeing() []Hostile {
	return []Hostile{
		{"size-header", 12, fault.Entry, instead(func(e *entry) { e.data = append(bytes.Clone(e.data), 'x') })},
		{"size-pax", 12, fault.Entry, instead(func(e *entry) { e.pax = map[string]string{"size": "1"} })},
		{"size-manifest", 12, fault.Entry, func(dir string) (Written, error) {
			// An indexed bundle of one manifest with another manifest, rightly signed, in its head.
			p, err := newPlan(Options{})
			if err != nil {
				return Written{}, err
			}
			q, err := newPlan(Options{})
			if err != nil {
				return Written{}, err
			}
			last := &q.m.Artifacts[len(q.m.Artifacts)-1] // one byte less, so that the frames stay as they are
			*last = artifact(content{last.Path, q.files[len(q.files)-1].data[1:]}, last.Role, last.MediaType)
			if err := q.seal(); err != nil {
				return Written{}, err
			}
			p.raw, p.sig = q.raw, q.sig
			return p.write(dir)
		}},
		{"path-pax", 12, fault.Entry, instead(func(e *entry) { e.pax = map[string]string{"path": "artifacts/gpu/model.onnx"} })},
		{"unlisted", 12, fault.Entry, with(entry{name: "autorun.inf", data: []byte("[autorun]")})},
		{"unlisted-last", 12, fault.Entry, streamed(func(_ *plan, all []entry) []entry { return append(all, entry{name: "artifacts/more.bin"}) })},
		{"missing", 12, fault.Entry, streamed(func(_ *plan, all []entry) []entry { return all[1:] })},
		{"twice", 12, fault.Entry, streamed(func(_ *plan, all []entry) []entry { return append(all, all[0]) })},
		{"manifest-twice", 12, fault.Entry, streamed(func(p *plan, all []entry) []entry {
			return append(all, entry{name: "manifest.json", data: p.raw})
		})},
	}
}

// bombs is threat 13.
func bombs() []Hostile {
	file := func(content func(p *plan) []byte) func(string) (Written, error) {
		return func(dir string) (Written, error) {
			p, err := newPlan(Options{})
			if err != nil {
				return Written{}, err
			}
			w := p.written(dir)
			return w, os.WriteFile(w.Path, content(p), 0o644)
		}
	}
	return []Hostile{
		{"zstd-window", 13, fault.Limit, file(func(*plan) []byte { return []byte{0x28, 0xb5, 0x2f, 0xfd, 4, 0x98, 1, 0, 0} })},
		{"zstd-window-and-data", 13, fault.Limit, patchedStream(func(b []byte) []byte { b[5] = 0x98; return b })},
		{"zstd-empty-blocks", 13, fault.Format, patchedStream(func(b []byte) []byte {
			const header = 6 // magic, descriptor, window
			return slices.Concat(b[:header], make([]byte, 3*100_000), b[header:])
		})},
		{"large-manifest", 13, fault.Limit, file(func(*plan) []byte {
			return oneFrame(entry{name: "manifest.json", size: "10000000000"}.bytes())
		})},
		{"large-signature", 13, fault.Limit, file(func(p *plan) []byte { p.sig = make([]byte, 1<<20); return oneFrame(p.archive()) })},
		{"zeros-at-the-end", 13, fault.Limit, file(func(p *plan) []byte {
			return oneFrame(append(p.archive(p.entries()...), make([]byte, 64<<20)...))
		})},
		{"ratio-bomb", 13, fault.Entry, instead(func(e *entry) { e.data = make([]byte, 64<<20) })},
		{"a-hundred-thousand-folders", 13, fault.Entry, streamed(func(_ *plan, all []entry) []entry {
			return append(slices.Repeat([]entry{{name: "artifacts/", typ: '5'}}, 100_000), all...)
		})},
		{"pax-bomb", 13, fault.Limit, with(entry{name: "pax", typ: 'x', data: make([]byte, 1<<20)})},
	}
}

// manifests is threat 14: signed, so that the parser sees them.
func manifests() []Hostile {
	edit := func(old, now string) func(string) (Written, error) {
		return streamedManifest(func(p *plan) ([]byte, error) {
			if !bytes.Contains(p.raw, []byte(old)) {
				return nil, fmt.Errorf("%q is not in the manifest", old)
			}
			return bytes.Replace(p.raw, []byte(old), []byte(now), 1), nil
		})
	}
	return []Hostile{
		{"json-twice", 14, fault.ManifestInvalid, edit(`"version":"1.0.0"`, `"version":"1.0.0","version":"1.0.0"`)},
		{"json-letter-case", 14, fault.ManifestInvalid, edit(`"version"`, `"Version"`)},
		{"json-unknown", 14, fault.ManifestInvalid, edit(`"version"`, `"extra":1,"version"`)},
		{"json-null", 14, fault.ManifestInvalid, edit(`"priority":10`, `"priority":null`)},
		{"json-1e400", 14, fault.ManifestInvalid, edit(`"max_latency_ms":1000`, `"max_latency_ms":1e400`)},
		{"json-deep", 14, fault.ManifestInvalid, edit(`"version"`, `"x_deep":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"version"`)},
		{"json-many-extensions", 14, fault.ManifestInvalid, streamedManifest(func(p *plan) ([]byte, error) {
			out := []byte("{")
			for i := range 500_000 {
				out = fmt.Appendf(out, `"x_%d":0,`, i)
			}
			return append(out, p.raw[1:]...), nil
		})},
		{"json-utf8", 14, fault.ManifestInvalid, edit(`"accuracy"`, "\"accuracy\xff\"")},
		{"json-trailing", 14, fault.ManifestInvalid, streamedManifest(func(p *plan) ([]byte, error) { return append(bytes.Clone(p.raw), "{}"...), nil })},
		{"json-empty", 14, fault.ManifestInvalid, streamedManifest(func(*plan) ([]byte, error) { return []byte(" "), nil })},
		{"schema-2", 14, fault.Schema, edit(`oem-model-bundle/1`, `oem-model-bundle/2`)},
		{"hash-alg-sha256", 14, fault.HashAlg, edit(`"hash_alg":"sha384"`, `"hash_alg":"sha256"`)},
	}
}

// volumes is threat 7. Path is the first volume, or the index where that is all there is.
func volumes() []Hostile {
	spoilt := func(spoil func(dir, base string) error) func(string) (Written, error) {
		return func(dir string) (Written, error) {
			w, err := Good(dir, Options{Kind: bundle.KindVolumes})
			if err != nil {
				return Written{}, err
			}
			return w, spoil(dir, strings.TrimSuffix(w.Path, ".001"))
		}
	}
	other := func(dir string) (string, error) {
		w, err := Good(dir, Options{Kind: bundle.KindVolumes, Created: "2026-11-02T12:00:00Z", Change: func(m *bundle.Manifest) { m.Quality[0].Value = 0.95 }})
		return strings.TrimSuffix(w.Path, ".001"), err
	}
	// foreign replaces one file by the same file of another release.
	foreign := func(suffix string) func(string) (Written, error) {
		return spoilt(func(dir, base string) error {
			tmp, err := os.MkdirTemp("", "sluice-other-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(tmp)
			from, err := other(tmp)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(from + suffix)
			if err != nil {
				return err
			}
			return os.WriteFile(base+suffix, b, 0o644)
		})
	}
	return []Hostile{
		{"volume-missing", 7, fault.VolumeMissing, spoilt(func(_, b string) error { return os.Remove(b + ".002") })},
		{"volume-swapped", 7, fault.VolumeStale, spoilt(func(_, b string) error {
			return errors.Join(os.Rename(b+".001", b+".x"), os.Rename(b+".002", b+".001"), os.Rename(b+".x", b+".002"))
		})},
		{"volume-damaged", 7, fault.VolumeDamaged, spoilt(func(_, b string) error {
			raw, err := os.ReadFile(b + ".002")
			if err != nil {
				return err
			}
			return os.WriteFile(b+".002", flip(1000)(raw), 0o644)
		})},
		{"volume-cut", 7, fault.VolumeStale, spoilt(func(_, b string) error { return os.Truncate(b+".002", 1000) })},
		{"volume-of-another-release", 7, fault.VolumeStale, foreign(".001")},
		{"volume-index-of-another-release", 7, fault.VolumeStale, foreign(".volumes.sig")},
		{"volume-index-missing", 7, fault.VolumeIndex, spoilt(func(_, b string) error { return os.Remove(b + ".volumes.sig") })},
		{"volume-index-renamed", 7, fault.VolumeIndex, func(dir string) (Written, error) {
			w, err := Good(dir, Options{Kind: bundle.KindVolumes})
			if err != nil {
				return Written{}, err
			}
			from := strings.TrimSuffix(w.Path, ".001")
			to := filepath.Join(dir, "otherfamily-v1.0.0.tar.zst")
			w.Path = to + ".001"
			return w, errors.Join(os.Rename(from+".001", to+".001"), os.Rename(from+".002", to+".002"), os.Rename(from+".003", to+".003"), os.Rename(from+".volumes.sig", to+".volumes.sig"))
		}},
	}
}
