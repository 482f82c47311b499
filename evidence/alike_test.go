package evidence_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/evidence"
	"sluice/internal/testroot"
)

// forge is a pack as a forger holds it who has every key: files, and an index that is not typed, so that any member may be anything.
type forge struct {
	made
	files map[string][]byte
	index map[string]any
}

func newForge(t *testing.T, p made) *forge {
	files, ix := unpack(t, p.raw)
	raw, err := json.Marshal(ix)
	if err != nil {
		t.Fatal(err)
	}
	return &forge{p, files, numbers(t, raw).(map[string]any)}
}

// numbers keeps numbers as they were written.
func numbers(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encoded(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// seal writes the container anew, by the page and not by the package's own writer.
func (f *forge) seal(t *testing.T) []byte {
	t.Helper()
	names := slices.Sorted(maps.Keys(f.files))
	var subjects []any
	for _, n := range names {
		subjects = append(subjects, subject(n, f.files[n]))
	}
	payload := encoded(map[string]any{"_type": "https://in-toto.io/Statement/v1", "predicateType": bundle.TypeEvidence, "subject": subjects, "predicate": f.index})
	at, err := time.Parse(time.RFC3339, fmt.Sprint(f.index["made"]))
	if err != nil {
		at = time.Unix(0, 0)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, n := range append([]string{evidence.IndexFile}, names...) {
		content := f.files[n]
		if i == 0 {
			content = sealed(payload, f.key)
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: n, Size: int64(len(content)), Mode: 0o644, ModTime: at, Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func subject(name string, raw []byte) any {
	s := bundle.NewSubject(name, raw)
	return map[string]any{"name": name, "digest": map[string]any{"sha256": s.SHA256.String(), "sha384": s.SHA384.String()}}
}

// sealed is an envelope about any bytes.
func sealed(payload []byte, key ed25519.PrivateKey) []byte {
	sig := ed25519.Sign(key, fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
	return encoded(map[string]any{"payload": base64.StdEncoding.EncodeToString(payload), "payloadType": "application/vnd.in-toto+json",
		"signatures": []any{map[string]any{"keyid": testroot.Public(key).ID(), "sig": base64.StdEncoding.EncodeToString(sig)}}})
}

func payloadOf(t *testing.T, raw []byte) []byte {
	t.Helper()
	var e struct{ Payload []byte }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e.Payload
}

// mutant is a JSON text with one thing changed.
type mutant struct {
	what string
	text []byte
}

// mutants changes each member and element of a JSON text in many ways, one at a time.
func mutants(t *testing.T, raw []byte) []mutant {
	var out []mutant
	root := numbers(t, raw)
	keep := func(path, what string) { out = append(out, mutant{path + ": " + what, encoded(root)}) }
	var walk func(path string, v any, put func(any))
	try := func(path string, v any, put func(any), others ...any) {
		for _, o := range others {
			put(o)
			keep(path, fmt.Sprintf("%.40v", o))
		}
		put(v)
	}
	walk = func(path string, v any, put func(any)) {
		try(path, v, put, nil, "", "x", json.Number("0"), json.Number("-1"), true, []any{}, map[string]any{})
		switch x := v.(type) {
		case string:
			try(path, v, put, x+" ", x+"\u0000", strings.ToUpper(x), x+"\u202e", x+"e\u0301")
		case json.Number:
			try(path, v, put, x.String(), json.Number("1e400"), json.Number("9007199254740993"))
			if !strings.ContainsAny(x.String(), ".e") {
				try(path, v, put, x+".0", x+"e0", "1"+x)
			}
		case bool:
			try(path, v, put, !x)
		case []any:
			if len(x) > 0 {
				try(path, v, put, append(slices.Clone(x), x[0]), x[1:], x[:len(x)-1], append(slices.Clone(x), nil))
			}
			if len(x) > 1 {
				turned := slices.Clone(x)
				slices.Reverse(turned)
				try(path, v, put, turned)
			}
			for i := range x {
				if i < 2 || i == len(x)-1 {
					walk(path+"."+strconv.Itoa(i), x[i], func(n any) { x[i] = n })
				}
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(x)) {
				was := x[k]
				delete(x, k)
				keep(path+"."+k, "gone")
				x[strings.ToUpper(k)] = was
				keep(path+"."+k, "upper case")
				delete(x, strings.ToUpper(k))
				x[k] = was
				marker := "\u0001twice"
				x[marker] = was
				text := bytes.Replace(encoded(root), encoded(marker), encoded(k), 1)
				delete(x, marker)
				out = append(out, mutant{path + "." + k + ": twice", text})
				walk(path+"."+k, was, func(n any) { x[k] = n })
			}
			x["zz"] = json.Number("1")
			keep(path, "a member more")
			x["x_zz"] = "y"
			delete(x, "zz")
			keep(path, "a member more that begins with x_")
			delete(x, "x_zz")
		}
	}
	walk("", root, func(n any) { root = n })
	text := encoded(root)
	return append(out, mutant{"space before", append([]byte(" "), text...)}, mutant{"space after", append(bytes.Clone(text), '\n')}, mutant{"bytes after", append(bytes.Clone(text), "{}"...)},
		mutant{"byte order mark", append([]byte("\ufeff"), text...)}, mutant{"bad UTF-8", bytes.Replace(text, []byte(`"`), []byte("\"\xff"), 1)},
		mutant{"half a surrogate", bytes.Replace(text, []byte(`"`), []byte(`"\ud800`), 1)})
}

// relog lets the machine's log have taken in another envelope: each line after it is signed anew.
func (f *forge) relog(t *testing.T, log string, was, is []byte) {
	t.Helper()
	old, next := sha512.Sum384(was), sha512.Sum384(is)
	name := "log/" + log + ".jsonl"
	prev := map[string]string{}
	var out []byte
	for _, line := range bytes.Split(bytes.TrimSuffix(f.files[name], []byte("\n")), []byte("\n")) {
		before := sha512.Sum384(line)
		line = bytes.ReplaceAll(line, []byte(hex.EncodeToString(old[:])), []byte(hex.EncodeToString(next[:])))
		e := numbers(t, line).(map[string]any)
		if p, changed := prev[e["prev"].(string)]; changed {
			e["prev"] = p
		}
		out = append(append(out, f.entry(t, e)...), '\n')
		after := sha512.Sum384(bytes.TrimSuffix(out, []byte("\n"))[bytes.LastIndexByte(bytes.TrimSuffix(out, []byte("\n")), '\n')+1:])
		prev[hex.EncodeToString(before[:])] = hex.EncodeToString(after[:])
	}
	f.files[name] = out
	f.head(log)
}

// shown lets the report show another envelope in the place of one, as far as there is anything to show.
func (f *forge) shown(t *testing.T, was, is []byte) {
	var st struct{ Predicate map[string]any }
	d := json.NewDecoder(bytes.NewReader(payloadOf(t, is)))
	d.UseNumber()
	if d.Decode(&st) != nil {
		return
	}
	old, next := sha512.Sum384(was), sha512.Sum384(is)
	r := numbers(t, f.files[evidence.ReportFile]).(map[string]any)
	for _, x := range r["decisions"].([]any) {
		if one := x.(map[string]any); one["envelope_sha384"] == hex.EncodeToString(old[:]) {
			one["envelope_sha384"], one["envelope"], one["decision"] = hex.EncodeToString(next[:]), numbers(t, is), st.Predicate
			for _, k := range []string{"person", "role", "meaning", "signed_at"} {
				one[k] = st.Predicate[k]
			}
		}
	}
	if raw, err := bundle.CanonicalJSON(r); err == nil {
		f.files[evidence.ReportFile] = append(raw, '\n')
	}
}

// entry signs a line of the log.
func (f *forge) entry(t *testing.T, e map[string]any) []byte {
	t.Helper()
	delete(e, "sig")
	raw, err := bundle.CanonicalJSON(e)
	if err != nil {
		t.Fatal(err)
	}
	e["sig"] = base64.StdEncoding.EncodeToString(ed25519.Sign(f.key, append([]byte("sluice-log-v1\x00"), raw...)))
	if raw, err = bundle.CanonicalJSON(e); err != nil {
		t.Fatal(err)
	}
	return raw
}

// head puts the digest of a log's last line into the index.
func (f *forge) head(log string) {
	lines := bytes.Split(bytes.TrimSuffix(f.files["log/"+log+".jsonl"], []byte("\n")), []byte("\n"))
	sum := sha512.Sum384(lines[len(lines)-1])
	f.index["logs"].(map[string]any)[log].(map[string]any)["sha384"] = hex.EncodeToString(sum[:])
}

// TestBothCheckersJudgeAlike changes what packs say, member by member, and signs it anew with the keys of whoever signed it: machine, people, site
// or vendor. Both checkers must come to the same answer, whichever it is. SLUICE_ALIKE=N tries N changes instead of 250.
func TestBothCheckersJudgeAlike(t *testing.T) {
	type change struct {
		pack, what string
		make       func() *forge
	}
	var all []change
	packs := site(t)
	for _, name := range []string{"live", "refused", "emergency", "after a revocation", "live after a retirement"} {
		p := packs[name]
		base := newForge(t, p)
		add := func(what string, apply func(f *forge)) {
			all = append(all, change{name, what, func() *forge {
				f := &forge{p, maps.Clone(base.files), numbers(t, encoded(base.index)).(map[string]any)}
				apply(f)
				return f
			}})
		}
		if _, err := evidence.Check(base.seal(t), p.known); err != nil {
			t.Fatalf("sealed again, nothing changed: %v", err)
		}
		for _, m := range mutants(t, encoded(base.index)) {
			add("index"+m.what, func(f *forge) {
				var v map[string]any
				d := json.NewDecoder(bytes.NewReader(m.text))
				d.UseNumber()
				if d.Decode(&v) == nil && v != nil {
					f.index = v
				}
			})
		}
		for _, file := range slices.Sorted(maps.Keys(base.files)) {
			raw := base.files[file]
			switch {
			case strings.HasSuffix(file, ".jsonl"):
				log := strings.TrimSuffix(strings.TrimPrefix(file, "log/"), ".jsonl")
				lines := bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
				last := lines[len(lines)-1]
				for _, m := range mutants(t, last) {
					add(file+" last entry"+m.what, func(f *forge) {
						line := m.text
						var e map[string]any
						if json.Unmarshal(line, &e) == nil && e != nil && !strings.Contains(m.what, "twice") && !strings.Contains(m.what, ".sig") {
							d := numbers(t, line).(map[string]any)
							delete(d, "sig")
							unsigned := encoded(d)
							if c, err := bundle.CanonicalJSON(d); err == nil {
								unsigned = c
							}
							sig := base64.StdEncoding.EncodeToString(ed25519.Sign(f.key, append([]byte("sluice-log-v1\x00"), unsigned...)))
							d["sig"] = sig
							line = encoded(d)
							if c, err := bundle.CanonicalJSON(d); err == nil {
								line = c
							}
						}
						f.files[file] = append(append(bytes.Join(lines[:len(lines)-1], []byte("\n")), '\n'), append(bytes.Clone(line), '\n')...)
						if len(lines) == 1 {
							f.files[file] = append(bytes.Clone(line), '\n')
						}
						f.head(log)
					})
				}
				continue
			case !strings.HasSuffix(file, ".json") && file != evidence.SigFile:
				continue
			}
			for _, m := range mutants(t, raw) { // the file itself, signatures no more theirs
				if strings.HasPrefix(m.what, ".facts") { // no step looks at them: docs/evidence.md [10]
					continue
				}
				add(file+m.what, func(f *forge) { f.files[file] = m.text })
			}
			signer, live := signerOf(t, raw), strings.HasPrefix(file, "signoffs/")
			if signer == nil {
				continue
			}
			for _, m := range mutants(t, payloadOf(t, raw)) {
				add(file+" signed"+m.what, func(f *forge) {
					f.files[file] = sealed(resubject(m.text), signer)
					if live {
						log := map[bool]string{true: "live_execution", false: "paper"}[strings.Contains(file, "/live/")]
						f.relog(t, log, raw, f.files[file])
						f.shown(t, raw, f.files[file])
					}
				})
			}
		}
	}
	want := 250
	if n, err := strconv.Atoi(os.Getenv("SLUICE_ALIKE")); err == nil {
		want = n
	}
	rand.New(rand.NewPCG(6, 11)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	turn, turns := map[string]int{}, map[string]int{} // each file of each pack has its turn, however large it is
	for _, c := range all {
		group := c.pack + strings.SplitN(c.what, ":", 2)[0]
		if file, _, ok := strings.Cut(group, ".json"); ok {
			group = file
		}
		turns[c.pack+c.what] = turn[group]
		turn[group]++
	}
	slices.SortStableFunc(all, func(a, b change) int { return turns[a.pack+a.what] - turns[b.pack+b.what] })
	var lines, what []string
	var ours []error
	dir := t.TempDir()
	for i, c := range all[:min(want, len(all))] {
		raw := c.make().seal(t)
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := evidence.Check(raw, packs[c.pack].known)
		lines, what, ours = append(lines, path), append(what, c.pack+": "+c.what), append(ours, err)
	}
	taken := 0
	for i, answer := range second(t, packs["live"].known, lines) {
		ok := strings.HasPrefix(answer, "OK ")
		if ok {
			taken++
		}
		if ok != (ours[i] == nil) {
			t.Errorf("%s:\n   we say %v\n   the second checker says %s", what[i], ours[i], answer)
		}
		if os.Getenv("SLUICE_ALIKE") != "" {
			t.Logf("%s\t%v\t%s", what[i], ours[i], answer)
		}
	}
	t.Logf("%d of %d changes, %d change nothing that counts", len(lines), len(all), taken)
}

// signerOf is the key that made an envelope, nil for anything else.
func signerOf(t *testing.T, raw []byte) ed25519.PrivateKey {
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		return nil
	}
	for _, name := range []string{"vendor", "site", "anna", "jan", "ewa"} {
		if _, _, err := env.Verify(mustType(t, env), []bundle.PublicKey{testroot.Public(testroot.Key(name))}, 1); err == nil {
			return testroot.Key(name)
		}
	}
	t.Fatal("an envelope by nobody that the test knows")
	return nil
}

func mustType(t *testing.T, env *bundle.Envelope) string {
	st, err := env.Unverified()
	if err != nil {
		t.Fatal(err)
	}
	return st.PredicateType
}

// resubject lets the subject of a policy or revocation list follow its changed predicate, so that the change itself is judged.
func resubject(payload []byte) []byte {
	var st map[string]any
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if d.Decode(&st) != nil {
		return payload
	}
	names := map[any]string{bundle.TypePolicy: "policy.json", bundle.TypeRevocations: "revocations.json"}
	kind, isText := st["predicateType"].(string)
	if name := names[kind]; isText && name != "" && !bytes.Contains(payload, []byte(`"subject":{}`)) {
		if c, err := bundle.CanonicalJSON(st["predicate"]); err == nil {
			old, _ := st["subject"].([]any)
			if len(old) == 1 {
				return bytes.Replace(payload, encoded(old[0]), encoded(subject(name, c)), 1)
			}
		}
	}
	return payload
}
