// Package testroot makes whole installations for tests: trust roots, a policy with people, small bundles with a real
// model, and the way from a bundle to live. It is linked into no program.
package testroot

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/verify"
)

// Main runs a package's tests with the test binary as the installed program: it answers the hidden verb.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == inference.Verb {
		os.Exit(standIn(os.Stdin, inference.ResultFile()))
	}
	if len(os.Args) > 1 && os.Args[1] == hwprobe.Verb {
		os.Exit(hwprobe.ChildMain(os.Stdin, hwprobe.ResultFile()))
	}
	code := m.Run()
	for _, s := range prepared.sites {
		_ = os.RemoveAll(s.Dir)
	}
	os.Exit(code)
}

// EnvSays names a file with what the first child says instead of doing its job; the last line "crash" makes it panic. The
// file is then renamed, and every later child does its job.
const EnvSays = "SLUICE_TEST_SAYS"

// standIn is the child: a real one, or one that says what it was told to.
func standIn(stdin io.Reader, result *os.File) int {
	file := os.Getenv(EnvSays)
	if file == "" || os.Rename(file, file+".said") != nil {
		return inference.ChildMain(stdin, result)
	}
	raw, err := os.ReadFile(file + ".said")
	if err != nil {
		return 2
	}
	says, crash := strings.CutSuffix(string(raw), "crash\n")
	if _, err := result.WriteString(says); err != nil {
		return 2
	}
	if crash {
		panic("told to crash")
	}
	return 0
}

// prepared are installations that tests take copies of.
var prepared struct {
	mu    sync.Mutex
	sites map[string]*Site
}

// Prepared is a copy of an installation that is made once a process: a site with trust and policy, and what make adds.
func Prepared(t testing.TB, name string, make func(s *Site)) *Site {
	t.Helper()
	prepared.mu.Lock()
	defer prepared.mu.Unlock()
	if prepared.sites[name] == nil {
		dir, err := os.MkdirTemp(memory(), "sluice-test-")
		if err != nil {
			t.Fatal(err)
		}
		s := At(t, dir)
		s.setUp()
		make(s)
		if prepared.sites == nil {
			prepared.sites = map[string]*Site{}
		}
		prepared.sites[name] = s
	}
	s := *prepared.sites[name]
	s.T = t
	return s.Copy()
}

// Live is a copy of an installation where version 1.0.0 is live.
func Live(t testing.TB) *Site {
	t.Helper()
	return Prepared(t, "live", func(s *Site) { s.GoLive(BundleOptions{}) })
}

// memory is where files lie in memory, empty where the system has no such place.
func memory() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// Family is the model family of every bundle made here.
const Family = "test-model"

// People of the policy and their roles.
var people = []struct{ id, name, role string }{
	{"anna", "Anna Nowak", compliance.RoleOperator},
	{"jan", "Jan Kowalski", compliance.RoleCompliance},
	{"ewa", "Ewa Zieleń", compliance.RoleOperator},
}

// Site is one vendor, one customer and one machine.
type Site struct {
	T      testing.TB
	Dir    string // bundles lie here
	Config installer.Config
	In     *installer.Installer
	Vendor ed25519.PrivateKey
	Owner  ed25519.PrivateKey // of the site
	Keys   map[string]ed25519.PrivateKey
	Policy *compliance.Policy
}

// Key makes a key that depends on its name only.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("testroot " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// tempDir lies in memory where the system has such a place: tests need no durability.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(memory(), "sluice-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Empty is a site whose machine has nothing yet: no trust, no policy, no root folder.
func Empty(t testing.TB) *Site {
	t.Helper()
	return At(t, tempDir(t))
}

// At is the site in a folder: a new one, or one that another process made there.
func At(t testing.TB, dir string) *Site {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := &Site{T: t, Dir: dir, Vendor: Key("vendor"), Owner: Key("site"), Keys: map[string]ed25519.PrivateKey{}}
	s.Config = installer.Config{Root: filepath.Join(dir, "root"), Program: program, Operator: "tester", Version: "test",
		Clock: func() time.Time { now = now.Add(time.Second); return now }, Rand: rand.Reader}
	for _, p := range people {
		s.Keys[p.id] = Key(p.id)
	}
	s.Restart()
	return s
}

// Copy is the same machine again in another folder. Bundles are not copied: their paths stay good.
func (s *Site) Copy() *Site {
	s.T.Helper()
	c := At(s.T, tempDir(s.T))
	s.ok(os.CopyFS(c.Config.Root, os.DirFS(s.Config.Root)))
	s.ok(os.Chmod(c.Path("machine/machine.key"), 0o600))
	c.Policy = s.Policy
	return c
}

// New is a site with both trust roots and a policy.
func New(t testing.TB) *Site {
	t.Helper()
	s := Empty(t)
	s.setUp()
	return s
}

func (s *Site) setUp() {
	s.T.Helper()
	s.Trust(verify.Oem, s.Vendor)
	s.Trust(verify.Site, s.Owner)
	s.SetPolicy(true)
}

// Restart is what a new process has: an Installer that remembers nothing.
func (s *Site) Restart() {
	s.T.Helper()
	in, err := installer.New(s.Config)
	s.ok(err)
	s.In = in
}

func (s *Site) ok(err error) {
	if err != nil {
		s.T.Helper()
		s.T.Fatalf("%v", err)
	}
}

// Root is the installation's folder.
func (s *Site) Root() string { return s.Config.Root }

// Path is a name below the root.
func (s *Site) Path(name string) string {
	return filepath.Join(s.Config.Root, filepath.FromSlash(name))
}

// Public is a private key's public half.
func Public(key ed25519.PrivateKey) bundle.PublicKey {
	k, err := bundle.NewPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err) // keys made here are good
	}
	return k
}

// Trust places a trust root of one key.
func (s *Site) Trust(of verify.Root, key ed25519.PrivateKey) {
	s.T.Helper()
	keys := []bundle.PublicKey{Public(key)}
	raw, err := verify.NewRoot(verify.RootOptions{Of: of, RootKeys: keys, RootThreshold: 1, TargetsKeys: keys, TargetsThreshold: 1,
		Expires: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), Signers: []ed25519.PrivateKey{key}})
	s.ok(err)
	s.ok(s.In.TrustInit(s.T.Context(), of, raw, verify.Fingerprint(raw), "tester"))
}

// SetPolicy places the first policy, with all people.
func (s *Site) SetPolicy(requireModels bool) {
	s.T.Helper()
	p := &compliance.Policy{Schema: compliance.PolicySchema, Number: 1, Stages: compliance.DefaultStages(), RequireModels: requireModels}
	for _, x := range people {
		p.People = append(p.People, compliance.Person{ID: x.id, Name: x.name, Roles: []string{x.role},
			PublicKey: string(Public(s.Keys[x.id]).PEM()), Since: 1})
	}
	s.PutPolicy(p)
}

// PutPolicy signs and places a policy.
func (s *Site) PutPolicy(p *compliance.Policy) {
	s.T.Helper()
	raw, err := compliance.SignPolicy(p, s.Owner)
	s.ok(err)
	s.ok(s.In.PolicySet(s.T.Context(), raw))
	s.Policy = p
}

// BundleOptions change a bundle; the zero value is version 1.0.0 with the variants "first" and "second".
type BundleOptions struct {
	Version  string
	Name     string               // of the file; empty: the builder's
	Wrong    []string             // variants whose golden case expects another value
	Unfit    []string             // variants that this machine does not fit
	Bulk     int                  // bytes of a further artifact; 0: 200 KiB
	Keys     []ed25519.PrivateKey // empty: the vendor
	Salt     string               // makes another manifest
	Variants []string             // empty: "first", "second"
	Output   string               // element type of y that the contract says; empty: float32
}

// Add makes a model that adds a number to its input "x" and gives "y", both float32 of shape [2].
func Add(plus float32) []byte {
	return onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 13}}, Graph: &onnx.Graph{
		Name: "add", Inputs: []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 2)}, Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 2)},
		Initializers: []*onnx.Tensor{{Name: "plus", Value: *Floats(plus, plus)}},
		Nodes:        []*onnx.Node{{Name: "add", OpType: "Add", Inputs: []string{"x", "plus"}, Outputs: []string{"y"}}},
	}})
}

// Floats is a float32 tensor of one dimension.
func Floats(v ...float32) *tensor.Tensor {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return &tensor.Tensor{DType: tensor.Float32, Shape: []int64{int64(len(v))}, Raw: raw}
}

// Bundle builds a bundle and returns its path.
func (s *Site) Bundle(o BundleOptions) string {
	s.T.Helper()
	if o.Version == "" {
		o.Version = "1.0.0"
	}
	if len(o.Variants) == 0 {
		o.Variants = []string{"first", "second"}
	}
	if len(o.Keys) == 0 {
		o.Keys = []ed25519.PrivateKey{s.Vendor}
	}
	if o.Bulk == 0 {
		o.Bulk = 200 << 10
	}
	src := s.T.TempDir()
	put := func(name string, data []byte) {
		p := filepath.Join(src, filepath.FromSlash(name))
		s.ok(os.MkdirAll(filepath.Dir(p), 0o755))
		s.ok(os.WriteFile(p, data, 0o644))
	}
	in := func(list []string, v string) bool {
		for _, x := range list {
			if x == v {
				return true
			}
		}
		return false
	}
	bulk := make([]byte, o.Bulk)
	for i := range bulk {
		bulk[i] = byte(i*i>>7 ^ i)
	}
	copy(bulk, o.Salt+o.Version)
	put("bulk.bin", bulk)
	put("golden/x.pb", onnx.MarshalTensor("x", Floats(1, 2)))
	put("golden/y.pb", onnx.MarshalTensor("y", Floats(4, 5)))
	put("report.json", []byte("{}\n"))
	spec := &bundle.Spec{
		ModelFamily: Family, Version: o.Version, Created: "2026-11-01T00:00:00Z", ChunkSize: 64 << 10,
		Artifacts: []bundle.SpecArtifact{{Path: "artifacts/bulk.bin", Source: "bulk.bin", Role: bundle.RoleMetadata},
			{Path: "artifacts/golden/x.pb", Source: "golden/x.pb", Role: bundle.RoleGolden},
			{Path: "artifacts/golden/y.pb", Source: "golden/y.pb", Role: bundle.RoleGolden},
			{Path: "artifacts/report.json", Source: "report.json", Role: bundle.RoleReport}},
		InferenceContract: bundle.InferenceContract{
			Inputs:  []bundle.TensorSpec{{Name: "x", DType: "float32", Shape: []bundle.Dim{{Size: 2}}}},
			Outputs: []bundle.TensorSpec{{Name: "y", DType: "float32", Shape: []bundle.Dim{{Size: 2}}}},
			Golden: []bundle.GoldenCase{{Name: "one", Inputs: map[string]string{"x": "artifacts/golden/x.pb"},
				Outputs: map[string]string{"y": "artifacts/golden/y.pb"}, Tolerance: bundle.Tolerance{Abs: 1e-6}}},
			MaxLatencyMS: 1000, MaxMemoryMiB: 64,
		},
		Quality: []bundle.QualityFigure{{ID: "accuracy", Value: 0.9, Threshold: 0.5, Direction: "min", Passed: true, Report: "artifacts/report.json"}},
	}
	if o.Output != "" {
		spec.InferenceContract.Outputs[0].DType = o.Output
	}
	for i, v := range o.Variants {
		name := "artifacts/" + v + ".onnx"
		plus := float32(3)
		if in(o.Wrong, v) {
			plus = 7
		}
		put(v+".onnx", Add(plus))
		spec.Artifacts = append(spec.Artifacts, bundle.SpecArtifact{Path: name, Source: v + ".onnx", Role: bundle.RoleWeights})
		x := bundle.Variant{ID: v, Engine: bundle.EngineAny, ExecutionProvider: "cpu", Artifacts: []string{name, "artifacts/bulk.bin"}, Priority: 100 - i}
		if in(o.Unfit, v) {
			x.Requires.MinCores = 4096
		}
		spec.Variants = append(spec.Variants, x)
	}
	out, err := os.MkdirTemp(s.Dir, "bundles-")
	s.ok(err)
	r, err := bundle.Build(s.T.Context(), spec, bundle.BuildOptions{SpecDir: src, Keys: o.Keys, Out: out, Now: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Builder: "test"})
	s.ok(err)
	return r.Files[0]
}

// Install installs a bundle that must pass.
func (s *Site) Install(path string) *installer.Tested {
	s.T.Helper()
	t, _, err := s.In.Install(s.T.Context(), path, installer.InstallOptions{})
	s.ok(err)
	return t
}

// Answers answers every question of a role: with yes, where the evidence allows that, else that it does not apply.
func Answers(c *compliance.Checklist, role string) *compliance.Answers {
	a := c.NewAnswers(role)
	for i := range a.Answers {
		one := &a.Answers[i]
		if one.Answer = compliance.Yes; c.Allows(one.ID, compliance.Yes) != nil {
			one.Answer, one.Comment = compliance.NotApplicable, "first version"
		}
	}
	return a
}

// Role is a person's role.
func Role(id string) string {
	for _, p := range people {
		if p.id == id {
			return p.role
		}
	}
	return ""
}

// Decide signs for one person and returns what came of it.
func (s *Site) Decide(stage slot.Stage, id string) (*installer.SignOffResult, error) {
	s.T.Helper()
	ctx := s.T.Context()
	t, err := s.In.Reopen(ctx, "")
	if err != nil {
		return nil, err
	}
	c, err := s.In.Checklist(ctx, t, stage)
	if err != nil {
		return nil, err
	}
	return s.In.SignOff(ctx, t, installer.SignOffOptions{Stage: stage, Operator: id, Role: Role(id), Key: s.Keys[id], Answers: Answers(c, Role(id))})
}

// SignOff is Decide for signatures that must be taken.
func (s *Site) SignOff(stage slot.Stage, ids ...string) *installer.SignOffResult {
	s.T.Helper()
	var out *installer.SignOffResult
	for _, id := range ids {
		r, err := s.Decide(stage, id)
		s.ok(err)
		out = r
	}
	return out
}

// Enable switches live on.
func (s *Site) Enable() *slot.Record {
	s.T.Helper()
	a, err := s.In.Reapprove(s.T.Context(), slot.Live)
	s.ok(err)
	r, err := s.In.GoLive(s.T.Context(), a)
	s.ok(err)
	return r
}

// GoLive takes a version all the way.
func (s *Site) GoLive(o BundleOptions) *slot.Record {
	s.T.Helper()
	s.Install(s.Bundle(o))
	s.SignOff(slot.Paper, "anna")
	s.SignOff(slot.Live, "anna", "jan")
	return s.Enable()
}
