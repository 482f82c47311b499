package ort_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/testort"
)

// library loads the library to test with, or skips.
func library(t testing.TB) *ort.Library {
	t.Helper()
	l, err := ort.Load(testort.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Every test of this package passes with the oldest release as with the newest.
func TestWithTheOldestLibrary(t *testing.T) { testort.AlsoWithTheOldest(t, ".") }

func TestLoadRefusesWhatIsNotTheRuntime(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libonnxruntime.so.1")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"relative.so", filepath.Join(t.TempDir(), "missing.so"), text} {
		if _, err := ort.Load(path); fault.CodeOf(err) != fault.EngineLoad {
			t.Errorf("%s: %v", path, err)
		}
	}
	if runtime.GOOS == "linux" {
		for _, libc := range []string{"/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"} {
			if _, err := os.Stat(libc); err != nil {
				continue
			}
			if _, err := ort.Load(libc); fault.CodeOf(err) != fault.EngineLoad || !strings.Contains(err.Error(), "not ONNX Runtime") {
				t.Errorf("%s: %v", libc, err)
			}
		}
	}
}

func TestVersionAndProviders(t *testing.T) {
	l := library(t)
	if !strings.HasPrefix(l.Version(), "1.") || !slices.Contains(l.Providers(), "cpu") {
		t.Fatalf("version %q, providers %q", l.Version(), l.Providers())
	}
	t.Logf("ONNX Runtime %s with %q", l.Version(), l.Providers())
	again := library(t)
	if again != l {
		t.Error("the library was loaded twice")
	}
	if _, err := ort.Load("/elsewhere/libonnxruntime.so"); fault.CodeOf(err) != fault.EngineLoad {
		t.Errorf("a second library: %v", err)
	}
}

func model(g *onnx.Graph, opsets ...onnx.Opset) []byte {
	if len(opsets) == 0 {
		opsets = []onnx.Opset{{Version: 13}}
	}
	g.Name = "test"
	return onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: opsets, Graph: g})
}

func identity(d tensor.DType, dims ...int64) []byte {
	version := int64(13)
	if d > tensor.BFloat16 {
		version = 19 // the first that knows 8-bit floating point
	}
	return model(&onnx.Graph{
		Nodes:   []*onnx.Node{{OpType: "Identity", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", d, dims...)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", d, dims...)},
	}, onnx.Opset{Version: version})
}

func raw(d tensor.DType, n int64) []byte {
	b := make([]byte, d.Bytes(n))
	for i := range b {
		b[i] = byte(i*7 + 1)
	}
	if d == tensor.Bool {
		for i := range b {
			b[i] &= 1
		}
	}
	return b
}

func TestEveryElementTypePassesUnchanged(t *testing.T) {
	l := library(t)
	types := []tensor.DType{tensor.Float32, tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Bool,
		tensor.Float16, tensor.Float64, tensor.Uint32, tensor.Uint64, tensor.BFloat16,
		tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ}
	shapes := [][]int64{{}, {0}, {1}, {2, 3}, {3, 0, 2}, {2, 1, 2, 1, 2}}
	for _, d := range types {
		for _, shape := range shapes {
			s, err := l.Open(identity(d, shape...), ort.Options{})
			if err != nil {
				t.Errorf("%s %v: %v", d, shape, err)
				continue
			}
			want := &tensor.Tensor{DType: d, Shape: shape, Raw: raw(d, tensor.Elements(shape))}
			out, err := s.Run(context.Background(), map[string]tensor.Value{"x": {Tensor: want}})
			if err != nil {
				t.Errorf("%s %v: %v", d, shape, err)
			} else if got := out["y"].Tensor; got.DType != d || !slices.Equal(got.Shape, shape) || !bytes.Equal(got.Raw, want.Raw) {
				t.Errorf("%s %v: got %s %v", d, shape, got.DType, got.Shape)
			}
			in, _, err := s.Signature()
			if err != nil || len(in) != 1 || in[0].Name != "x" || in[0].DType != d || in[0].Kind != "tensor" || !slices.Equal(in[0].Shape, shape) {
				t.Errorf("%s %v: signature %+v %v", d, shape, in, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestStrings(t *testing.T) {
	l := library(t)
	for _, want := range []*tensor.Tensor{
		{DType: tensor.String, Shape: []int64{4}, Strings: []string{"zażółć", "", "a\x00b", strings.Repeat("x", 5000)}},
		{DType: tensor.String, Shape: []int64{}, Strings: []string{"scalar"}},
		{DType: tensor.String, Shape: []int64{0}, Strings: []string{}},
		{DType: tensor.String, Shape: []int64{1, 2}, Strings: []string{"", ""}},
	} {
		s, err := l.Open(identity(tensor.String, want.Shape...), ort.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(context.Background(), map[string]tensor.Value{"x": {Tensor: want}})
		if err != nil {
			t.Errorf("%v: %v", want.Shape, err)
		} else if got := out["y"].Tensor; !slices.Equal(got.Strings, want.Strings) || !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("got %q %v, want %q", got.Strings, got.Shape, want.Strings)
		}
		s.Close()
	}
}

func f32(v ...float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func zipMap(attr *onnx.Attribute) []byte {
	key := tensor.Int64
	if attr.Name == "classlabels_strings" {
		key = tensor.String
	}
	return model(&onnx.Graph{
		Nodes:  []*onnx.Node{{OpType: "ZipMap", Domain: "ai.onnx.ml", Inputs: []string{"x"}, Outputs: []string{"y"}, Attributes: []*onnx.Attribute{attr}}},
		Inputs: []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, -1, 2)},
		Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.Type{Kind: onnx.KindSequence, Of: &onnx.Type{Kind: onnx.KindMap, Key: key,
			Of: &onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32, HasShape: true}}}}},
	}, onnx.Opset{Version: 13}, onnx.Opset{Domain: "ai.onnx.ml", Version: 1})
}

func TestSequencesOfMaps(t *testing.T) {
	l := library(t)
	x := tensor.Value{Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2, 2}, Raw: f32(.25, .75, 1, 0)}}
	run := func(m []byte) []tensor.Map {
		s, err := l.Open(m, ort.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_, info, _ := s.Signature()
		if info[0].Kind != "sequence" || info[0].DType != tensor.Float32 {
			t.Errorf("signature %+v", info)
		}
		out, err := s.Run(context.Background(), map[string]tensor.Value{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		return out["y"].Maps
	}
	ints := run(zipMap(onnx.IntsAttr("classlabels_int64s", 7, -3)))
	if len(ints) != 2 || len(ints[0].IntKeys) != 2 || len(ints[0].Values) != 2 {
		t.Fatalf("%+v", ints)
	}
	if i := slices.Index(ints[0].IntKeys, 7); i < 0 || ints[0].Values[i] != .25 {
		t.Errorf("%+v", ints)
	}
	strs := run(zipMap(onnx.StringsAttr("classlabels_strings", "up", "down")))
	if i := slices.Index(strs[1].StringKeys, "up"); i < 0 || strs[1].Values[i] != 1 {
		t.Errorf("%+v", strs)
	}
}

func TestDynamicDimensionsAreNamed(t *testing.T) {
	l := library(t)
	in := onnx.TensorInfo("x", tensor.Float32, -1, 3)
	in.Type.Dims[0].Param = "batch"
	m := model(&onnx.Graph{
		Nodes:   []*onnx.Node{{OpType: "Identity", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		Inputs:  []onnx.ValueInfo{in},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, -1, 3)},
	})
	s, err := l.Open(m, ort.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, _, err := s.Signature()
	if err != nil || got[0].Shape[0] != -1 || got[0].DimNames[0] != "batch" || got[0].Shape[1] != 3 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestRunRefusesWhatDoesNotFit(t *testing.T) {
	l := library(t)
	s, err := l.Open(identity(tensor.Float32, 2), ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good := tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: f32(1, 2)}
	with := func(change func(*tensor.Tensor)) tensor.Value {
		c := good
		change(&c)
		return tensor.Value{Tensor: &c}
	}
	for name, in := range map[string]map[string]tensor.Value{
		"missing input":  {},
		"unknown name":   {"x": {Tensor: &good}, "z": {Tensor: &good}},
		"wrong dtype":    {"x": with(func(t *tensor.Tensor) { t.DType = tensor.Int32 })},
		"wrong shape":    {"x": with(func(t *tensor.Tensor) { t.Shape, t.Raw = []int64{3}, f32(1, 2, 3) })},
		"wrong rank":     {"x": with(func(t *tensor.Tensor) { t.Shape = []int64{1, 2} })},
		"short buffer":   {"x": with(func(t *tensor.Tensor) { t.Raw = t.Raw[:7] })},
		"negative dim":   {"x": with(func(t *tensor.Tensor) { t.Shape = []int64{-2} })},
		"overflowing":    {"x": with(func(t *tensor.Tensor) { t.Shape = []int64{1 << 40, 1 << 40} })},
		"no string":      {"x": {Tensor: &tensor.Tensor{DType: tensor.String, Shape: []int64{2}, Strings: []string{"a"}}}},
		"undefined type": {"x": with(func(t *tensor.Tensor) { t.DType = tensor.Undefined })},
	} {
		if _, err := s.Run(context.Background(), in); fault.CodeOf(err) != fault.Contract {
			t.Errorf("%s: code %s, %v", name, fault.CodeOf(err), err)
		}
	}
	if _, err := s.Run(context.Background(), map[string]tensor.Value{"x": {}}); fault.CodeOf(err) != fault.Contract {
		t.Errorf("no tensor: %v", err)
	}
	if _, err := s.Run(context.Background(), map[string]tensor.Value{"x": {Tensor: &good}}); err != nil {
		t.Errorf("after all that the session is unusable: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, map[string]tensor.Value{"x": {Tensor: &good}}); fault.CodeOf(err) != fault.Cancelled {
		t.Errorf("cancelled: %v", err)
	}
	s.Close()
	if _, err := s.Run(context.Background(), map[string]tensor.Value{"x": {Tensor: &good}}); err == nil {
		t.Error("a closed session ran")
	}
}

func TestOpenRefusals(t *testing.T) {
	l := library(t)
	unknown := func(domain, op string, opset int64) []byte {
		return model(&onnx.Graph{
			Nodes:   []*onnx.Node{{OpType: op, Domain: domain, Inputs: []string{"x"}, Outputs: []string{"y"}}},
			Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 1)},
			Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 1)},
		}, onnx.Opset{Version: opset}, onnx.Opset{Domain: "com.example", Version: 1})
	}
	for _, c := range []struct {
		name  string
		model []byte
		o     ort.Options
		want  fault.Code
	}{
		{"empty", nil, ort.Options{}, fault.ModelInvalid},
		{"text", []byte("this is no model"), ort.Options{}, fault.ModelInvalid},
		{"truncated", identity(tensor.Float32, 1)[:30], ort.Options{}, fault.ModelInvalid},
		{"unknown operator", unknown("", "NoSuchThing", 13), ort.Options{}, fault.EngineNeeded},
		{"unknown domain", unknown("com.example", "Add", 13), ort.Options{}, fault.EngineNeeded},
		{"opset 99", unknown("", "Identity", 99), ort.Options{}, fault.EngineNeeded},
		{"unknown provider", identity(tensor.Float32, 1), ort.Options{Provider: "tensorrt"}, fault.EngineNeeded},
		{"too many threads", identity(tensor.Float32, 1), ort.Options{Threads: 100_000}, fault.Usage},
	} {
		s, err := l.Open(c.model, c.o)
		if fault.CodeOf(err) != c.want {
			t.Errorf("%s: code %s, want %s: %v", c.name, fault.CodeOf(err), c.want, err)
		}
		if s != nil {
			s.Close()
		}
	}
	if !slices.Contains(l.Providers(), "cuda") {
		_, err := l.Open(identity(tensor.Float32, 1), ort.Options{Provider: "cuda"})
		if fault.CodeOf(err) != fault.EngineNeeded || !strings.Contains(err.Error(), `"cuda"`) {
			t.Errorf("cuda without the provider: %v", err)
		}
	}
}

// endless is Loop with a condition that stays true.
func endless() []byte {
	yes := &onnx.Tensor{Name: "yes", Value: tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Raw: []byte{1}}}
	most := &onnx.Tensor{Name: "most", Value: tensor.Tensor{DType: tensor.Int64, Shape: []int64{}, Raw: []byte{255, 255, 255, 255, 255, 255, 255, 127}}}
	body := &onnx.Graph{
		Name:    "body",
		Nodes:   []*onnx.Node{{OpType: "Identity", Inputs: []string{"c"}, Outputs: []string{"again"}}, {OpType: "Identity", Inputs: []string{"v"}, Outputs: []string{"w"}}},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("i", tensor.Int64), onnx.TensorInfo("c", tensor.Bool), onnx.TensorInfo("v", tensor.Float32, 1)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("again", tensor.Bool), onnx.TensorInfo("w", tensor.Float32, 1)},
	}
	return model(&onnx.Graph{
		Nodes:        []*onnx.Node{{OpType: "Loop", Inputs: []string{"most", "yes", "x"}, Outputs: []string{"y"}, Attributes: []*onnx.Attribute{onnx.GraphAttr("body", body)}}},
		Initializers: []*onnx.Tensor{yes, most},
		Inputs:       []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 1)},
		Outputs:      []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 1)},
	})
}

func TestCancelEndsAnEndlessModel(t *testing.T) {
	l := library(t)
	s, err := l.Open(endless(), ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = s.Run(ctx, map[string]tensor.Value{"x": {Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1}, Raw: f32(1)}}})
	if err != context.DeadlineExceeded || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// Nothing may be left behind by sessions, runs and refusals.
func TestNoLeaks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	l := library(t)
	m, broken := identity(tensor.Float32, 1<<18), []byte("no model")
	zip := zipMap(onnx.StringsAttr("classlabels_strings", "up", "down"))
	x := tensor.Value{Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1 << 18}, Raw: make([]byte, 1<<20)}}
	z := tensor.Value{Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, 2}, Raw: f32(1, 0)}}
	round := func(n int) {
		for range n {
			s, err := l.Open(m, ort.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Run(context.Background(), map[string]tensor.Value{"x": x}); err != nil {
				t.Fatal(err)
			}
			s.Close()
			if _, err := l.Open(broken, ort.Options{}); err == nil {
				t.Fatal("a broken model was taken")
			}
			s, err = l.Open(zip, ort.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Run(context.Background(), map[string]tensor.Value{"x": z}); err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		runtime.GC()
	}
	round(30)
	before := resident(t)
	round(200) // 400 MiB would be left behind if one tensor of each were
	if after := resident(t); after > before+64<<20 {
		t.Errorf("resident memory grew from %d to %d MiB", before>>20, after>>20)
	}
}

func resident(t *testing.T) int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, c := range strings.Fields(string(b))[1] {
		n = n*10 + int64(c-'0')
	}
	return n * int64(os.Getpagesize())
}
