package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// buildFixture is the example of docs/format.md with files of its own.
type buildFixture struct {
	t    *testing.T
	spec *Spec
	o    BuildOptions
	keys []PublicKey
}

func newBuild(t *testing.T) *buildFixture {
	t.Helper()
	s, err := ParseSpec([]byte(exampleSpec(t)))
	if err != nil {
		t.Fatal(err)
	}
	s.ChunkSize = 1 << 16
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for i, a := range s.artifacts() {
		data := make([]byte, 200_000>>(i*2))
		for j := range data {
			data[j] = byte(random.Uint32()) & 0x3f // compresses a little, as weights do
		}
		file := filepath.Join(dir, filepath.FromSlash(a.Source))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	k1, p1 := pairOf(t, 1)
	return &buildFixture{t: t, spec: s, keys: []PublicKey{p1},
		o: BuildOptions{SpecDir: dir, Keys: []ed25519.PrivateKey{k1}, Out: filepath.Join(t.TempDir(), "dist"), Builder: "sluice test"}}
}

func (b *buildFixture) build() *BuildResult {
	b.t.Helper()
	res, err := Build(b.t.Context(), b.spec, b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// mustBeEmpty demands that a refused build left nothing behind.
func (b *buildFixture) mustBeEmpty() {
	b.t.Helper()
	if list, err := os.ReadDir(b.o.Out); err != nil && !errors.Is(err, fs.ErrNotExist) || len(list) > 0 {
		b.t.Errorf("%s holds %v (%v), want nothing", b.o.Out, list, err)
	}
}

func TestBuild(t *testing.T) {
	b := newBuild(t)
	var events []progress.Event
	b.o.Progress = func(e progress.Event) { events = append(events, e) }
	checked := 0
	b.o.CheckContract = func(_ context.Context, m *Manifest, open func(string) (io.ReadCloser, error)) error {
		checked++
		p, err := m.ModelPath("cpu")
		if err != nil {
			return err
		}
		r, err := open(p)
		if err != nil {
			return err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if Digest(sha512.Sum384(data)) != m.Artifact(p).SHA384 {
			t.Error("CheckContract is given other bytes")
		}
		return err
	}
	res := b.build()
	if checked != 1 {
		t.Errorf("the contract was checked %d times", checked)
	}
	want := filepath.Join(b.o.Out, "market-regime-v1.4.2.tar.zst")
	if !slices.Equal(res.Files, []string{want}) {
		t.Errorf("files are %q", res.Files)
	}
	info, err := os.Stat(want)
	if err != nil || info.Size() != res.Size || info.Mode().Perm()&0o644 != 0o644 {
		t.Errorf("%v, %v, result says %d bytes", info, err, res.Size)
	}
	if err := verifyWritten(t.Context(), want, b.manifest(want), b.keys, 1, nil); err != nil {
		t.Error(err)
	}
	if res.Manifest.Provenance.Builder != "sluice test" || res.ManifestSHA384 != Digest(sha512.Sum384(b.manifest(want))) {
		t.Errorf("result is %+v", res)
	}
	if list, _ := os.ReadDir(b.o.Out); len(list) != 1 {
		t.Errorf("%s holds %v", b.o.Out, list)
	}
	checkEvents(t, events)
}

func (b *buildFixture) manifest(file string) []byte {
	b.t.Helper()
	src, err := Open(b.t.Context(), file, OpenOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer src.Close()
	return bytes.Clone(src.ManifestBytes())
}

// checkEvents demands what progress.Func promises: steps in order, never backwards, one final event a step.
func checkEvents(t *testing.T, events []progress.Event) {
	t.Helper()
	finals, last := map[progress.Step]int{}, progress.Event{}
	for _, e := range events {
		if e.Step == last.Step && e.Done < last.Done || e.Total > 0 && e.Done > e.Total || finals[e.Step] > 0 {
			t.Errorf("%+v after %+v", e, last)
		}
		if e.Final {
			finals[e.Step]++
		}
		last = e
	}
	if finals[progress.Build] != 1 || finals[progress.Verify] != 1 || len(finals) != 2 {
		t.Errorf("final events: %v", finals)
	}
}

// Equal inputs, time and keys give equal bytes, wherever and whenever.
func TestBuildIsDeterministic(t *testing.T) {
	var first []byte
	for i := range 3 {
		b := newBuild(t)
		b.spec.Created = ""
		b.o.SourceDateEpoch, b.o.Now = "1800000000", time.Now()
		if i == 2 {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		}
		data, err := os.ReadFile(b.build().Files[0])
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		} else if !bytes.Equal(first, data) {
			t.Errorf("build %d gives other bytes", i+1)
		}
	}
}

// What others' tools say of a bundle: GNU tar unpacks it, sha384sum checks it, openssl checks the signature.
func TestBuildWithForeignTools(t *testing.T) {
	for _, name := range []string{"tar", "zstd", "sha384sum", "openssl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("skipped: %s is not installed", name)
		}
	}
	b := newBuild(t)
	res := b.build()
	dir := t.TempDir()
	run := func(stdin, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}
	run("", "tar", "--zstd", "-xf", res.Files[0])
	var sums strings.Builder
	for _, a := range res.Manifest.Artifacts {
		sums.WriteString(a.SHA384.String() + "  " + a.Path + "\n")
	}
	run(sums.String(), "sha384sum", "--strict", "-c", "-")

	raw, err := os.ReadFile(filepath.Join(dir, "manifest.sig"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"k.pub": b.keys[0].PEM(), "sig": e.Signatures[0].Sig,
		"pae": []byte("DSSEv1 28 application/vnd.in-toto+json " + itoa(len(e.Payload)) + " " + string(e.Payload)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("", "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "k.pub", "-rawin", "-in", "pae", "-sigfile", "sig")
	var payload struct {
		Subject []struct {
			Digest struct{ SHA256, SHA384 string }
		} `json:"subject"`
	}
	if err := json.Unmarshal(e.Payload, &payload, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	run(payload.Subject[0].Digest.SHA384+"  manifest.json\n", "sha384sum", "--strict", "-c", "-")
	run(payload.Subject[0].Digest.SHA256+"  manifest.json\n", "sha256sum", "--strict", "-c", "-")
}

func TestBuildVolumes(t *testing.T) {
	b := newBuild(t)
	whole, err := os.ReadFile(b.build().Files[0])
	if err != nil {
		t.Fatal(err)
	}
	b.o.Out, b.o.Split = filepath.Join(t.TempDir(), "dist"), 1<<17
	res := b.build()
	if len(res.Files) < 3 || !strings.HasSuffix(res.Files[0], ".tar.zst.001") || !strings.HasSuffix(res.Files[len(res.Files)-1], ".tar.zst.volumes.sig") {
		t.Fatalf("files are %q", res.Files)
	}
	var joined []byte
	for _, f := range res.Files[:len(res.Files)-1] {
		data, err := os.ReadFile(f)
		if err != nil || len(data) > 1<<17 {
			t.Fatalf("%s has %d bytes, %v", f, len(data), err)
		}
		joined = append(joined, data...)
	}
	if !bytes.Equal(joined, whole) {
		t.Error("the volumes joined are not the bundle in one file")
	}
	if list, _ := os.ReadDir(b.o.Out); len(list) != len(res.Files) {
		t.Errorf("%s holds %v", b.o.Out, list)
	}
	if err := verifyWritten(t.Context(), res.Files[len(res.Files)-1], b.manifest(res.Files[0]), b.keys, 1, nil); err != nil {
		t.Error(err)
	}
	// A second build must not mix its volumes into the first's.
	_, err = Build(t.Context(), b.spec, b.o)
	wantFault(t, err, fault.Exists, "is there already")
}

func TestBuildRefuses(t *testing.T) {
	source := func(b *buildFixture, name string) string { return filepath.Join(b.o.SpecDir, filepath.FromSlash(name)) }
	for name, c := range map[string]struct {
		edit func(b *buildFixture)
		code fault.Code
		want string
	}{
		"no key":              {func(b *buildFixture) { b.o.Keys = nil }, fault.Usage, "no key"},
		"same key twice":      {func(b *buildFixture) { b.o.Keys = append(b.o.Keys, b.o.Keys[0]) }, fault.Usage, "counts once"},
		"source missing":      {func(b *buildFixture) { os.Remove(source(b, "features.json")) }, fault.Spec, "not there"},
		"source is a folder":  {func(b *buildFixture) { f := source(b, "features.json"); os.Remove(f); os.Mkdir(f, 0o755) }, fault.Spec, "regular"},
		"unsafe path":         {func(b *buildFixture) { b.spec.Artifacts[3].Path = "artifacts/con" }, fault.Path, "device"},
		"clashing paths":      {func(b *buildFixture) { b.spec.Artifacts[0].Path = "artifacts/MODELS/a.onnx" }, fault.Path, "clash"},
		"bad version":         {func(b *buildFixture) { b.spec.Version = "1" }, fault.Spec, "SemVer"},
		"bad builder":         {func(b *buildFixture) { b.o.Builder = "\x1b[2J" }, fault.Spec, "U+001B"},
		"bad epoch":           {func(b *buildFixture) { b.spec.Created, b.o.SourceDateEpoch = "", "soon" }, fault.Usage, "SOURCE_DATE_EPOCH"},
		"contract":            {func(b *buildFixture) { b.o.CheckContract = refuseContract }, fault.Contract, "input"},
		"source grows":        {func(b *buildFixture) { b.o.CheckContract = changing(source(b, "features.json"), []byte("more"), true) }, fault.Digest, "changed"},
		"source shrinks":      {func(b *buildFixture) { b.o.CheckContract = changing(source(b, "features.json"), nil, false) }, fault.Digest, "changed"},
		"source changes":      {func(b *buildFixture) { b.o.CheckContract = flipping(source(b, "out/regime-fp32.onnx")) }, fault.Digest, "changed"},
		"source disappears":   {func(b *buildFixture) { b.o.CheckContract = removing(source(b, "features.json")) }, fault.Spec, "not there"},
		"volumes of one byte": {func(b *buildFixture) { b.o.Split = 1 }, fault.Usage, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuild(t)
			c.edit(b)
			res, err := Build(t.Context(), b.spec, b.o)
			wantFault(t, err, c.code, c.want)
			if res != nil {
				t.Error("a result came with the error")
			}
			b.mustBeEmpty()
		})
	}
}

type contractFunc = func(context.Context, *Manifest, func(string) (io.ReadCloser, error)) error

func refuseContract(context.Context, *Manifest, func(string) (io.ReadCloser, error)) error {
	return fault.New(fault.Contract, "input %q has another shape", "features")
}

// changing, flipping and removing act between the first and the second reading of the sources.
func changing(file string, data []byte, keep bool) contractFunc {
	return func(context.Context, *Manifest, func(string) (io.ReadCloser, error)) error {
		if old, err := os.ReadFile(file); err == nil && keep {
			data = append(old, data...)
		}
		return os.WriteFile(file, data, 0o644)
	}
}

func flipping(file string) contractFunc {
	return func(context.Context, *Manifest, func(string) (io.ReadCloser, error)) error {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(file, data, 0o644)
	}
}

func removing(file string) contractFunc {
	return func(context.Context, *Manifest, func(string) (io.ReadCloser, error)) error { return os.Remove(file) }
}

func TestBuildKeepsWhatIsThere(t *testing.T) {
	b := newBuild(t)
	res := b.build()
	before, err := os.ReadFile(res.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = Build(t.Context(), b.spec, b.o)
	wantFault(t, err, fault.Exists, "is there already")
	if after, err := os.ReadFile(res.Files[0]); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the earlier bundle changed (%v)", err)
	}
	// What a killed build left does not stand in the way.
	if err := errors.Join(os.Remove(res.Files[0]), os.MkdirAll(res.Files[0]+".partial", 0o755), os.WriteFile(res.Files[0]+".partial/x", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	b.build()
}

func TestBuildCancelled(t *testing.T) {
	b := newBuild(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.o.CheckContract = func(context.Context, *Manifest, func(string) (io.ReadCloser, error)) error { cancel(); return nil }
	_, err := Build(ctx, b.spec, b.o)
	if fault.CodeOf(err) != fault.Cancelled {
		t.Errorf("got %v", err)
	}
	b.mustBeEmpty()
}

// A second signature changes manifest.sig and nothing else, and both keys then count.
func TestAddBundleSignature(t *testing.T) {
	b := newBuild(t)
	res := b.build()
	k2, p2 := pairOf(t, 2)
	file := res.Files[0]
	manifest := b.manifest(file)
	if err := AddBundleSignature(t.Context(), file, k2); err != nil {
		t.Fatal(err)
	}
	if err := verifyWritten(t.Context(), file, manifest, append(b.keys, p2), 2, nil); err != nil {
		t.Error(err)
	}
	once, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wantFault(t, AddBundleSignature(t.Context(), file, k2), fault.Usage, "signed this already")
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(once, again) {
		t.Errorf("a refused signature changed the bundle (%v)", err)
	}
	// Two keys from the start give the same bytes as one key and then the other.
	b.o.Keys, b.o.Out = append(b.o.Keys, k2), t.TempDir()
	if both, err := os.ReadFile(b.build().Files[0]); err != nil || !bytes.Equal(once, both) {
		t.Errorf("signing together and one after the other differ (%v)", err)
	}
	if list, _ := os.ReadDir(filepath.Dir(file)); len(list) != 1 {
		t.Errorf("%v is left", list)
	}
}

// Nobody's key signs a statement of something else, nor volumes, whose index would then be stale, nor damaged bytes.
func TestAddBundleSignatureRefuses(t *testing.T) {
	k2, _ := pairOf(t, 2)
	b := newBuild(t)
	other := b.build()
	manifest := b.manifest(other.Files[0])
	for name, s := range map[string]Statement{
		"other manifest":  manifestStatement([]byte("{}"), other.Manifest),
		"other version":   manifestStatement(manifest, &Manifest{ModelFamily: "market-regime", Version: "9.9.9"}),
		"other predicate": {Subjects: []Subject{NewSubject("manifest.json", manifest)}, PredicateType: TypePolicy, Predicate: manifestStatement(manifest, other.Manifest).Predicate},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "other.tar.zst")
			if err := ReplaceHead(t.Context(), other.Files[0], file, manifest, signed(t, s, b.o.Keys...)); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := AddBundleSignature(t.Context(), file, k2); fault.CodeOf(err).Exit() != 3 {
				t.Errorf("got %v", err)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the bundle changed (%v)", err)
			}
		})
	}
	t.Run("damaged artifact", func(t *testing.T) {
		data, err := os.ReadFile(other.Files[0])
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 0x10
		file := filepath.Join(t.TempDir(), "damaged.tar.zst")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := AddBundleSignature(t.Context(), file, k2); fault.CodeOf(err).Exit() != 3 {
			t.Errorf("got %v", err)
		}
		if list, _ := os.ReadDir(filepath.Dir(file)); len(list) != 1 {
			t.Errorf("%v is left", list)
		}
	})
	t.Run("volumes", func(t *testing.T) {
		b.o.Out, b.o.Split = t.TempDir(), 1<<17
		for _, f := range b.build().Files {
			wantFault(t, AddBundleSignature(t.Context(), f, k2), fault.Usage, "before splitting")
		}
	})
	t.Run("nothing there", func(t *testing.T) {
		if err := AddBundleSignature(t.Context(), filepath.Join(t.TempDir(), "x.tar.zst"), k2); err == nil {
			t.Error("signed nothing")
		}
	})
}
