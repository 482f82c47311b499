package evidence_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/audit"
	"sluice/bundle"
	"sluice/compliance"
	"sluice/evidence"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

func TestMain(m *testing.M) { testroot.Main(m) }

// made is one pack with what a test needs to know of it.
type made struct {
	name  string
	raw   []byte
	key   ed25519.PrivateKey // of the machine
	known evidence.Anchors
}

var sites struct {
	sync.Mutex
	packs map[string]made
}

// site is the packs of makeSite, made once.
func site(t *testing.T) map[string]made {
	t.Helper()
	sites.Lock()
	defer sites.Unlock()
	if sites.packs == nil {
		sites.packs = makeSite(t)
	}
	return sites.packs
}

// makeSite goes all the way: paper, one signature for live, both; then a person retires and a later version is refused.
func makeSite(t *testing.T) map[string]made {
	t.Helper()
	s := testroot.New(t)
	out := map[string]made{}
	keep := func(name string, r *installer.SignOffResult) {
		raw, err := os.ReadFile(r.Evidence)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = made{name: name, raw: raw}
	}
	s.Install(s.Bundle(testroot.BundleOptions{}))
	keep("paper", s.SignOff(slot.Paper, "anna"))
	keep("live, one of two", s.SignOff(slot.Live, "anna"))
	keep("live", s.SignOff(slot.Live, "jan"))
	s.Enable()
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
	keep("paper of the next", s.SignOff(slot.Paper, "ewa"))
	next := *s.Policy // ewa retires; what she signed before stays
	next.Number, next.People = 2, slices.Clone(next.People)
	next.People[2].Retired = 2
	s.PutPolicy(&next)
	keep("live after a retirement", s.SignOff(slot.Live, "anna"))
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.2.0"}))
	s.SignOff(slot.Paper, "anna")
	keep("refused", must(t, func() (*installer.SignOffResult, error) {
		tested, err := s.In.Reopen(t.Context(), "")
		if err != nil {
			return nil, err
		}
		return s.In.SignOff(t.Context(), tested, installer.SignOffOptions{Stage: slot.Live, Operator: "jan", Role: compliance.RoleCompliance, Key: s.Keys["jan"],
			Refuse: true, Reason: "Dryf jest za duży \u2014 zobacz raport"})
	}))
	keep("a refusal withdrawn", s.SignOff(slot.Live, "jan"))
	if _, _, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{Version: "1.3.0", Keys: []ed25519.PrivateKey{s.Owner}}),
		installer.InstallOptions{Emergency: true, Reason: "błędne ceny od 14:00", Operator: "anna"}); err != nil {
		t.Fatal(err)
	}
	keep("emergency", s.SignOff(slot.Paper, "anna"))
	medium := t.TempDir()
	if err := os.WriteFile(filepath.Join(medium, "site.revocations.json"), revocations(t, verify.Site, s.Owner, testroot.Public(s.Keys["ewa"]).ID(), bundle.Digest{}), 0o600); err != nil {
		t.Fatal(err)
	}
	if steps := must(t, func() ([]verify.Step, error) { return s.In.TakeTrust(t.Context(), []string{medium}, "tester") }); len(steps) != 1 {
		t.Fatalf("%+v", steps)
	}
	s.Install(s.Bundle(testroot.BundleOptions{Version: "1.4.0"}))
	keep("after a revocation", s.SignOff(slot.Paper, "anna"))
	dir, err := slot.Open(s.Root())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	key, err := dir.MachineKey()
	if err != nil {
		t.Fatal(err)
	}
	store, err := dir.Roots()
	if err != nil {
		t.Fatal(err)
	}
	var known evidence.Anchors
	for _, r := range store.Describe() {
		if r.Of == verify.Oem {
			known.Oem = r.First
		} else {
			known.Site = r.First
		}
	}
	for name, p := range out {
		p.key, p.known = key, known
		out[name] = p
	}
	return out
}

func must[T any](t *testing.T, f func() (T, error)) T {
	t.Helper()
	v, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// second asks the second checker, docs/evidence-check.py, about packs: paths, or "path offset value". It answers in order.
func second(t *testing.T, known evidence.Anchors, lines []string) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the second checker cannot run")
	}
	checker, err := filepath.Abs("../docs/evidence-check.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/batch.py", checker, known.Oem, known.Site)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8")
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.Join(lines, "\n")+"\n"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(lines) {
		t.Fatalf("%d answers to %d packs", len(answers), len(lines))
	}
	return answers
}

func write(t *testing.T, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.NewReplacer(" ", "-", ",", "").Replace(name)+evidence.Suffix)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Both checkers take every pack that sign-offs make, and say the same of it.
func TestBothCheckersTakeEveryPack(t *testing.T) {
	packs := site(t)
	var lines, names []string
	for _, name := range slices.Sorted(maps.Keys(packs)) {
		p := packs[name]
		r, err := evidence.Check(p.raw, p.known)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		complete, refused := name == "paper" || name == "live" || name == "paper of the next" || name == "emergency" || name == "after a revocation", name == "refused"
		if r.Complete != complete || r.Refused != refused || len(r.People) == 0 || r.People[0].KeyID == "" || r.People[0].SignedAt == "" {
			t.Errorf("%s: %+v", name, r)
		}
		if _, listed := filesOf(t, p.raw)["revocations/site.json"]; listed != (name == "after a revocation") || (r.Emergency != nil) != (name == "emergency") {
			t.Errorf("%s: revocations %t, emergency %+v", name, listed, r.Emergency)
		}
		lines, names = append(lines, write(t, name, p.raw)), append(names, name)
	}
	for i, answer := range second(t, packs["live"].known, lines) {
		outcome := map[string]string{"refused": ": refused;", "live, one of two": ": not complete;", "live after a retirement": ": not complete;",
			"a refusal withdrawn": ": not complete;"}[names[i]]
		if outcome == "" {
			outcome = ": complete;"
		}
		if !strings.HasPrefix(answer, "OK ") || !strings.Contains(answer, outcome) {
			t.Errorf("the second checker says of %q: %s", names[i], answer)
		}
	}
}

// Every byte counts: a thousand single-byte changes, spread over the pack and each of its headers, are refused by both.
func TestEachSingleByteChangeIsRefused(t *testing.T) {
	p := site(t)["live"]
	r := rand.New(rand.NewPCG(20261124, 7))
	var offsets []int
	for at := 0; at < len(p.raw); { // three bytes of each header, and the padding before the next
		h := p.raw[at : at+512]
		if h[0] == 0 {
			offsets = append(offsets, at, len(p.raw)-1)
			break
		}
		var size int
		if _, err := fmt.Sscanf(string(h[124:135]), "%o", &size); err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, at+r.IntN(512), at+r.IntN(512), at+r.IntN(512), at+512+(size+511)/512*512-1)
		at += 512 + (size+511)/512*512
	}
	for len(offsets) < 1000 {
		offsets = append(offsets, r.IntN(len(p.raw)))
	}
	path := write(t, "live", p.raw)
	var lines []string
	changed := bytes.Clone(p.raw)
	for _, at := range offsets {
		value := changed[at] ^ byte(1+r.IntN(255))
		lines = append(lines, fmt.Sprintf("%s %d %d", path, at, value))
		was := changed[at]
		changed[at] = value
		if _, err := evidence.Check(changed, p.known); fault.CodeOf(err) != fault.Evidence {
			t.Errorf("byte %d changed from %d to %d: %v", at, was, value, err)
		}
		changed[at] = was
	}
	for i, answer := range second(t, p.known, lines) {
		if !strings.HasPrefix(answer, "BAD ") {
			t.Errorf("the second checker takes a change of byte %d: %s", offsets[i], answer)
		}
	}
}

// unpack gives a pack's files and index.
func unpack(t *testing.T, raw []byte) (map[string][]byte, evidence.Index) {
	t.Helper()
	p, err := evidence.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	return maps.Clone(p.Files), p.Index
}

func filesOf(t *testing.T, raw []byte) map[string][]byte {
	t.Helper()
	files, _ := unpack(t, raw)
	return files
}

// revocations is a list that names a key or a manifest.
func revocations(t *testing.T, of verify.Root, signer ed25519.PrivateKey, keyID string, manifest bundle.Digest) []byte {
	t.Helper()
	var keys []verify.RevokedKey
	var manifests []verify.RevokedManifest
	if keyID != "" {
		keys = append(keys, verify.RevokedKey{KeyID: keyID, Reason: "zgubiony klucz"})
	}
	if !manifest.IsZero() {
		manifests = append(manifests, verify.RevokedManifest{SHA384: manifest, Reason: "wycofane"})
	}
	v, err := verify.NextRevocations(of, nil, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), keys, manifests)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := verify.SignRevocations(v, signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// replaced swaps bytes that must be there.
func replaced(t *testing.T, raw []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(raw, []byte(old)) {
		t.Fatalf("there is no %q", old)
	}
	return bytes.Replace(raw, []byte(old), []byte(new), 1)
}

// Whoever has the machine's key can seal a pack again; what people, site and vendor signed they cannot change. Both checkers refuse each forgery.
func TestForgeriesAreRefused(t *testing.T) {
	packs, dir := site(t), t.TempDir()
	stranger := testroot.Key("a stranger")
	var lines, names []string
	for _, c := range []struct {
		name, of string
		forge    func(t *testing.T, files map[string][]byte, ix *evidence.Index) ed25519.PrivateKey
		want     fault.Code
	}{
		{"an answer of a person is edited", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["signoffs/live/2.form.json"] = replaced(t, f["signoffs/live/2.form.json"], `"answer":"yes"`, `"answer":"no"`)
			return nil
		}, fault.Evidence},
		{"a stranger signs instead of a person", "live", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			f["signoffs/live/2.dsse.json"] = resigned(t, f["signoffs/live/2.dsse.json"], stranger)
			return nil
		}, fault.Evidence},
		{"a sign-off is left out", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			delete(f, "signoffs/live/1.dsse.json")
			delete(f, "signoffs/live/1.form.json")
			return nil
		}, fault.Evidence},
		{"the first sign-off stands second", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			for _, s := range []string{".dsse.json", ".form.json"} {
				f["signoffs/live/1"+s], f["signoffs/live/2"+s] = f["signoffs/live/2"+s], f["signoffs/live/1"+s]
			}
			return nil
		}, fault.Evidence},
		{"paper's sign-off is left out", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			delete(f, "signoffs/paper/1.dsse.json")
			delete(f, "signoffs/paper/1.form.json")
			return nil
		}, fault.Evidence},
		{"it says complete while a signature is missing", "live, one of two", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Complete = true
			f["report.json"] = replaced(t, f["report.json"], `"complete":false`, `"complete":true`)
			return nil
		}, fault.Evidence},
		{"a refusal is hidden", "refused", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Refused = false
			f["report.json"] = replaced(t, f["report.json"], `"refused":true`, `"refused":false`)
			return nil
		}, fault.Evidence},
		{"the report names somebody else", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["report.json"] = replaced(t, f["report.json"], `"name":"Jan Kowalski"`, `"name":"Jan Kowalsky"`)
			return nil
		}, fault.Evidence},
		{"the wording is edited", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["checklist.pl.txt"] = append(f["checklist.pl.txt"], '\n')
			return nil
		}, fault.Evidence},
		{"the site's policy is a stranger's", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["policies/1.json"] = resigned(t, f["policies/1.json"], stranger)
			return nil
		}, fault.Evidence},
		{"the key of a person is revoked", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["revocations/site.json"] = revocations(t, verify.Site, testroot.Key("site"), testroot.Public(testroot.Key("jan")).ID(), bundle.Digest{})
			return nil
		}, fault.Evidence},
		{"the vendor's key is revoked", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["revocations/site.json"] = revocations(t, verify.Site, testroot.Key("site"), testroot.Public(testroot.Key("vendor")).ID(), bundle.Digest{})
			return nil
		}, fault.Evidence},
		{"the bundle is revoked", "live", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			f["revocations/oem.json"] = revocations(t, verify.Oem, testroot.Key("vendor"), "", ix.ManifestSHA384)
			return nil
		}, fault.Evidence},
		{"the revocation list is a stranger's", "after a revocation", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["revocations/site.json"] = resigned(t, f["revocations/site.json"], stranger)
			return nil
		}, fault.Evidence},
		{"the revocation list is of the other root", "after a revocation", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["revocations/site.json"] = revocations(t, verify.Oem, testroot.Key("site"), strings.Repeat("ab", 32), bundle.Digest{})
			return nil
		}, fault.Evidence},
		{"an emergency is hidden", "emergency", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Emergency = nil
			return nil
		}, fault.Evidence},
		{"an emergency passes for the vendor's", "emergency", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Emergency, ix.JudgedBy.Root = nil, "oem"
			return nil
		}, fault.Evidence},
		{"another reason of an emergency", "emergency", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Emergency.Reason = "x"
			return nil
		}, fault.Evidence},
		{"who has retired signed too late", "live after a retirement", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			f["policies/1.json"] = f["policies/2.json"]
			return nil
		}, fault.Evidence},
		{"the policy that a person signed under is missing", "live after a retirement", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			delete(f, "policies/1.json")
			return nil
		}, fault.Evidence},
		{"an older policy judges", "live after a retirement", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			delete(f, "policies/2.json")
			ix.PolicyNumber = 1
			return nil
		}, fault.Evidence},
		{"the policy is missing", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			delete(f, "policies/1.json")
			return nil
		}, fault.Evidence},
		{"another manifest", "live", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			f["manifest.json"] = append(f["manifest.json"], '\n')
			ix.ManifestSHA384 = sha512.Sum384(f["manifest.json"])
			return nil
		}, fault.Evidence},
		{"the vendor's root is a stranger's", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["roots/oem/1.root.json"] = strangersRoot(t, verify.Oem, stranger)
			return nil
		}, fault.TrustFingerprint},
		{"the site's root is a stranger's", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["roots/site/1.root.json"] = strangersRoot(t, verify.Site, stranger)
			return nil
		}, fault.TrustFingerprint},
		{"judged by a root that is not there", "live", func(t *testing.T, _ map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.JudgedBy.Version = 2
			return nil
		}, fault.Evidence},
		{"judged by the other root", "live", func(t *testing.T, _ map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.JudgedBy.Root = "site"
			return nil
		}, fault.Evidence},
		{"an entry of the log is left out", "live", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			lines := bytes.SplitAfter(f["log/live_execution.jsonl"], []byte("\n"))
			f["log/live_execution.jsonl"] = bytes.Join(slices.Delete(lines, 3, 4), nil)
			x := ix.Logs[audit.Live]
			x.Ranges = []audit.Range{{First: x.Ranges[0].First, Last: x.Entries - 1}}
			x.Entries--
			ix.Logs[audit.Live] = x
			return nil
		}, fault.Evidence},
		{"the log ends before the signature", "live", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			first := bytes.SplitAfter(f["log/live_execution.jsonl"], []byte("\n"))[0]
			f["log/live_execution.jsonl"] = first
			n := ix.Logs[audit.Live].Ranges[0].First
			ix.Logs[audit.Live] = evidence.LogExcerpt{Entries: n, SHA384: sha512.Sum384(bytes.TrimSuffix(first, []byte("\n"))), Ranges: []audit.Range{{First: n, Last: n}}}
			return nil
		}, fault.Evidence},
		{"an entry of the log is edited", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["log/demo.jsonl"] = replaced(t, f["log/demo.jsonl"], `"actor":"tester"`, `"actor":"nobody"`)
			return nil
		}, fault.Evidence},
		{"sealed by another machine", "live", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			f["machine.pub"] = testroot.Public(stranger).PEM()
			ix.Machine.KeyID = testroot.Public(stranger).ID()
			return stranger
		}, fault.Evidence},
		{"sealed with a key that is not the machine's", "live", func(t *testing.T, _ map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			return stranger
		}, fault.Evidence},
		{"another machine id", "live", func(t *testing.T, _ map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Machine.System[0] ^= 1
			return nil
		}, fault.Evidence},
		{"paper's signatures pass for live", "paper", func(t *testing.T, f map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Stage = compliance.Live
			for _, s := range []string{".dsse.json", ".form.json"} {
				f["signoffs/live/1"+s] = f["signoffs/paper/1"+s]
			}
			return nil
		}, fault.Evidence},
		{"somebody else installed", "live", func(t *testing.T, _ map[string][]byte, ix *evidence.Index) ed25519.PrivateKey {
			ix.Installer = "nobody"
			return nil
		}, fault.Evidence},
		{"another smoke report", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["smoke.json"] = append(f["smoke.json"], ' ')
			return nil
		}, fault.Evidence},
		{"no smoke report", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			delete(f, "smoke.json")
			return nil
		}, fault.Evidence},
		{"a file more", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["readme.txt"] = []byte("x")
			return nil
		}, fault.Evidence},
		{"a file less", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			delete(f, "hardware.json")
			return nil
		}, fault.Evidence},
		{"a number that is not the next", "live", func(t *testing.T, f map[string][]byte, _ *evidence.Index) ed25519.PrivateKey {
			f["signoffs/live/04.dsse.json"] = f["signoffs/live/1.dsse.json"]
			return nil
		}, fault.Evidence},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := packs[c.of]
			files, ix := unpack(t, p.raw)
			ix.Logs = maps.Clone(ix.Logs)
			key := p.key
			if other := c.forge(t, files, &ix); other != nil {
				key = other
			}
			raw, err := evidence.Write(ix, files, key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := evidence.Check(raw, p.known); fault.CodeOf(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			path := filepath.Join(dir, fmt.Sprintf("%d%s", len(lines), evidence.Suffix))
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			lines, names = append(lines, path), append(names, c.name)
		})
	}
	t.Run("the second checker", func(t *testing.T) {
		for i, answer := range second(t, packs["live"].known, lines) {
			if !strings.HasPrefix(answer, "BAD ") || strings.Contains(answer, "malformed") {
				t.Errorf("%s: %s", names[i], answer)
			}
			t.Logf("%s: %s", names[i], answer)
		}
	})
}

// resigned is the same statement, signed by somebody else.
func resigned(t *testing.T, raw []byte, key ed25519.PrivateKey) []byte {
	t.Helper()
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	st, err := env.Unverified()
	if err != nil {
		t.Fatal(err)
	}
	out, err := bundle.SignStatement(*st, key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func strangersRoot(t *testing.T, of verify.Root, key ed25519.PrivateKey) []byte {
	t.Helper()
	keys := []bundle.PublicKey{testroot.Public(key)}
	raw, err := verify.NewRoot(verify.RootOptions{Of: of, RootKeys: keys, RootThreshold: 1, TargetsKeys: keys, TargetsThreshold: 1,
		Expires: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), Signers: []ed25519.PrivateKey{key}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Without fingerprints from elsewhere a pack proves nothing, and with other ones it is not yours.
func TestAnchors(t *testing.T) {
	p := site(t)["paper"]
	for _, c := range []struct {
		known evidence.Anchors
		want  fault.Code
	}{
		{evidence.Anchors{}, fault.TrustNone}, {evidence.Anchors{Oem: p.known.Oem}, fault.TrustNone}, {evidence.Anchors{Site: p.known.Site}, fault.TrustNone},
		{evidence.Anchors{Oem: p.known.Site, Site: p.known.Site}, fault.TrustFingerprint}, {evidence.Anchors{Oem: p.known.Oem, Site: p.known.Oem}, fault.TrustFingerprint},
		{evidence.Anchors{Oem: p.known.Oem[:20], Site: p.known.Site}, fault.TrustFingerprint},
		{evidence.Anchors{Oem: strings.ToUpper(strings.ReplaceAll(p.known.Oem, " ", "-")), Site: strings.ReplaceAll(p.known.Site, " ", ":")}, ""},
	} {
		if _, err := evidence.Check(p.raw, c.known); fault.CodeOf(err) != c.want {
			t.Errorf("%+v: %v, want %q", c.known, err, c.want)
		}
	}
}

// Bare tools open a pack: it is a plain archive of plain files.
func TestAPackIsAPlainTar(t *testing.T) {
	p := site(t)["live"]
	r := tar.NewReader(bytes.NewReader(p.raw))
	n := 0
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || h.Typeflag != tar.TypeReg || h.Mode != 0o644 || h.Uid != 0 || h.Format != tar.FormatUSTAR {
			t.Fatalf("%+v: %v", h, err)
		}
		n++
	}
	files, _ := unpack(t, p.raw)
	if n != len(files)+1 {
		t.Errorf("%d entries, %d files", n, len(files))
	}
	if tool, err := exec.LookPath("tar"); err == nil {
		out, err := exec.Command(tool, "-tf", write(t, "live", p.raw)).CombinedOutput()
		if err != nil || strings.Count(string(out), "\n") != n {
			t.Errorf("tar says %s: %v", out, err)
		}
	}
}

// The report in a pack holds what docs/evidence.md lists, and its pages are made from it alone.
func TestTheReportHoldsEveryField(t *testing.T) {
	files, ix := unpack(t, site(t)["live"].raw)
	var r map[string]any
	if err := json.Unmarshal(files[evidence.ReportFile], &r); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(`schema stage model_family version variant manifest_sha384 machine.key_id machine.system policy_number complete installer
		checklist.items.0.id checklist.items.0.text.pl.step checklist.evidence.manifest_integrity.passed texts.en texts.pl digests.en digests.pl
		decisions.0.person decisions.0.name decisions.0.role decisions.0.meaning decisions.0.signed_at decisions.0.key_id decisions.0.envelope_sha384
		decisions.0.form.answers.0.answer decisions.0.decision.policy_sha384 decisions.0.decision.log_heads.demo.sha384 decisions.0.envelope.payload
		facts.made facts.program facts.bundle.created facts.bundle.manifest_sha256 facts.bundle.signers.0.fingerprint facts.bundle.judged_by.fingerprint facts.bundle.judged_by.first
		facts.site_root.fingerprint facts.site_root.expires facts.installed.by facts.installed.at facts.hardware.0.value facts.engine.0.value facts.limits.0.value
		facts.cases.0.worst_abs facts.files.0.sha384 facts.files.0.size facts.logs.paper.sha384`) {
		var at any = r
		for _, part := range strings.Split(path, ".") {
			switch v := at.(type) {
			case map[string]any:
				at = v[part]
			case []any:
				at = nil
				if part == "0" && len(v) > 0 {
					at = v[0]
				}
			}
		}
		if at == nil || at == "" {
			t.Errorf("the report lacks %s", path)
		}
	}
	rec, err := compliance.ParseRecord(files[evidence.ReportFile])
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, lang := range []compliance.Lang{compliance.English, compliance.Polish} {
		pages, err := rec.PDF(lang)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Equal(pages, files[evidence.PDFFile])
	}
	if !found {
		t.Error("the pages are not made from report.json alone")
	}
	if ix.Installer != rec.Installer || rec.Facts.Installed.By != rec.Installer {
		t.Errorf("installer %q, %q, %q", ix.Installer, rec.Installer, rec.Facts.Installed.By)
	}
}

// The second checker stays short enough to be read in one sitting.
func TestTheSecondCheckerIsShort(t *testing.T) {
	raw, err := os.ReadFile("../docs/evidence-check.py")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte("\n")); n > 400 {
		t.Errorf("%d lines, want at most 400", n)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		names, imports := strings.CutPrefix(line, "import ")
		if strings.HasPrefix(line, "from ") {
			t.Errorf("%q, want plain imports", line)
		}
		for _, n := range strings.Split(names, ",") {
			if n = strings.TrimSpace(n); imports && !slices.Contains([]string{"base64", "decimal", "hashlib", "itertools", "json", "re", "sys", "time"}, n) {
				t.Errorf("it imports %q, want Python's own library", n)
			}
		}
	}
}

// No bytes make the reader do other than refuse, and what it takes is written as it would write it.
func FuzzRead(f *testing.F) {
	key := testroot.Key("machine")
	ix := evidence.Index{Schema: evidence.Schema, Made: "2026-11-24T12:00:00Z", Stage: compliance.Paper, Logs: map[audit.Log]evidence.LogExcerpt{}}
	raw, err := evidence.Write(ix, map[string][]byte{"manifest.json": []byte("{}"), "log/demo.jsonl": nil}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-512])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := evidence.Read(raw)
		if err != nil {
			if p != nil {
				t.Fatal("a pack beside an error")
			}
			return
		}
		if _, err := evidence.Check(raw, evidence.Anchors{Oem: "x", Site: "y"}); err == nil {
			t.Fatal("a pack without roots holds")
		}
	})
}
