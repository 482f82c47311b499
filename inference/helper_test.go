package inference_test

import (
	"context"
	"crypto/sha512"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"sluice/bundle"
	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/testort"
)

// TestMain makes the test binary its own child.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == inference.Verb {
		os.Exit(inference.ChildMain(os.Stdin, inference.ResultFile()))
	}
	os.Exit(m.Run())
}

func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// fullRuntime is the spec of ONNX Runtime on the CPU; it skips the test where there is none.
func fullRuntime(t testing.TB) inference.EngineSpec {
	t.Helper()
	path := testort.Library(t)
	d, err := inference.AllowedLibrary(context.Background(), path, inference.Allowed{})
	if err != nil {
		t.Fatal(err)
	}
	return inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: path, LibrarySHA384: d, Provider: "cpu"}
}

// eachEngine runs a test with the reference evaluator and, where there is one, with ONNX Runtime.
func eachEngine(t *testing.T, f func(t *testing.T, spec inference.EngineSpec)) {
	t.Run("reference", func(t *testing.T) { f(t, inference.EngineSpec{Kind: inference.KindReference}) })
	t.Run("onnxruntime", func(t *testing.T) { f(t, fullRuntime(t)) })
}

// folder is an installed folder in the making.
type folder struct {
	t   testing.TB
	dir string
	m   *bundle.Manifest
}

const modelPath = "artifacts/model.onnx"

func newFolder(t testing.TB) *folder {
	t.Helper()
	return &folder{t: t, dir: t.TempDir(), m: &bundle.Manifest{
		Schema: "oem-model-bundle/1", ModelFamily: "test", Version: "1.0.0", HashAlg: "sha384",
		Variants:          []bundle.Variant{{ID: "only", Engine: bundle.EngineAny, ExecutionProvider: "cpu"}},
		InferenceContract: bundle.InferenceContract{MaxLatencyMS: 10_000, MaxMemoryMiB: 256},
	}}
}

// add writes an artifact and lists it in the variant.
func (f *folder) add(path string, role bundle.Role, data []byte) {
	f.t.Helper()
	file := filepath.Join(f.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		f.t.Fatal(err)
	}
	f.m.Artifacts = append(f.m.Artifacts, bundle.Artifact{Path: path, Size: int64(len(data)), SHA384: sha512.Sum384(data), ChunkSize: 8 << 20, Role: role})
	if role != bundle.RoleGolden {
		f.m.Variants[0].Artifacts = append(f.m.Variants[0].Artifacts, path)
	}
}

// golden adds a case x -> y.
func (f *folder) golden(name string, x, y *tensor.Tensor, tol bundle.Tolerance) {
	in, out := "artifacts/golden/"+name+"/x.pb", "artifacts/golden/"+name+"/y.pb"
	f.add(in, bundle.RoleGolden, onnx.MarshalTensor("x", x))
	f.add(out, bundle.RoleGolden, onnx.MarshalTensor("y", y))
	c := &f.m.InferenceContract
	c.Golden = append(c.Golden, bundle.GoldenCase{Name: name, Inputs: map[string]string{"x": in}, Outputs: map[string]string{"y": out}, Tolerance: tol})
	if c.Inputs == nil {
		c.Inputs = []bundle.TensorSpec{{Name: "x", DType: x.DType.String(), Shape: dims(x.Shape)}}
		c.Outputs = []bundle.TensorSpec{{Name: "y", DType: y.DType.String(), Shape: dims(y.Shape)}}
	}
}

func (f *folder) job(spec inference.EngineSpec) inference.Job {
	return inference.Job{Dir: f.dir, Manifest: f.m, Variant: "only", Engine: spec, Warmup: 1, Runs: 3}
}

func (f *folder) smoke(spec inference.EngineSpec) *inference.Report {
	f.t.Helper()
	r, err := inference.Smoke(context.Background(), self(f.t), f.job(spec), nil)
	if err != nil {
		f.t.Fatalf("smoke: %v", err)
	}
	return r
}

func dims(shape []int64) []bundle.Dim {
	out := make([]bundle.Dim, len(shape))
	for i, n := range shape {
		out[i].Size = n
	}
	return out
}

func floats(shape []int64, v ...float32) *tensor.Tensor {
	t := &tensor.Tensor{DType: tensor.Float32, Shape: shape, Raw: []byte{}}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint32(t.Raw, math.Float32bits(x))
	}
	return t
}

func ints(shape []int64, v ...int64) *tensor.Tensor {
	t := &tensor.Tensor{DType: tensor.Int64, Shape: shape, Raw: []byte{}}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint64(t.Raw, uint64(x))
	}
	return t
}

func initializer(name string, t *tensor.Tensor) *onnx.Tensor {
	return &onnx.Tensor{Name: name, Value: *t}
}

func node(op string, in, out []string, attrs ...*onnx.Attribute) *onnx.Node {
	return &onnx.Node{OpType: op, Inputs: in, Outputs: out, Attributes: attrs}
}

func names(s ...string) []string { return s }

// model is a graph from x to y, both float32 of two elements, in opset 13.
func model(change func(*onnx.Model), nodes ...*onnx.Node) []byte {
	m := &onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 13}}, Graph: &onnx.Graph{Name: "test", Nodes: nodes,
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 2)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 2)}}}
	if change != nil {
		change(m)
	}
	return onnx.Marshal(m)
}

// double computes y = x + x.
func double() []byte { return model(nil, node("Add", names("x", "x"), names("y"))) }

// good is a folder whose model passes.
func good(t testing.TB) *folder {
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, double())
	f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -5), bundle.Tolerance{})
	f.golden("two", floats([]int64{2}, 0, 3), floats([]int64{2}, 0, 6), bundle.Tolerance{Abs: 1e-6})
	return f
}
