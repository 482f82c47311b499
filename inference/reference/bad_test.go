package reference_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/inference/onnx"
	"sluice/inference/reference"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// Short ways to write models.

func floatsOf(shape []int64, x ...float32) *tensor.Tensor {
	t := &tensor.Tensor{DType: tensor.Float32, Shape: shape}
	for _, f := range x {
		t.Raw = binary.LittleEndian.AppendUint32(t.Raw, math.Float32bits(f))
	}
	return t
}

func intsOf(shape []int64, x ...int64) *tensor.Tensor {
	t := &tensor.Tensor{DType: tensor.Int64, Shape: shape}
	for _, n := range x {
		t.Raw = binary.LittleEndian.AppendUint64(t.Raw, uint64(n))
	}
	return t
}

func node(op string, in, out []string, a ...*onnx.Attribute) *onnx.Node {
	return &onnx.Node{OpType: op, Inputs: in, Outputs: out, Attributes: a}
}

func mlNode(op string, in, out []string, a ...*onnx.Attribute) *onnx.Node {
	n := node(op, in, out, a...)
	n.Domain = "ai.onnx.ml"
	return n
}

func constant(name string, t *tensor.Tensor) *onnx.Tensor {
	return &onnx.Tensor{Name: name, Value: *t}
}

// model reads x and gives y, both float32 with two open dimensions, unless edit says otherwise.
func model(edit func(m *onnx.Model, g *onnx.Graph)) []byte {
	m := &onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 18}, {Domain: "ai.onnx.ml", Version: 3}}}
	m.Graph = &onnx.Graph{
		Name:    "g",
		Nodes:   []*onnx.Node{node("Relu", []string{"x"}, []string{"y"})},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, -1, 2)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, -1, 2)},
	}
	if edit != nil {
		edit(m, m.Graph)
	}
	return onnx.Marshal(m)
}

func good() map[string]tensor.Value {
	return map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1, 2}, -1, 2)}}
}

// loadAndRun gives the first error of both.
func loadAndRun(raw []byte, o reference.Options, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	m, err := reference.Load(raw, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return m.Run(ctx, in)
}

func noPanic(t *testing.T, err error) {
	t.Helper()
	if fault.DetailOf(err)["panic"] != nil {
		t.Fatalf("only the last safety net stopped this: %v\n%v", err, fault.DetailOf(err)["stack"])
	}
}

// Each bad model or input ends with its own reason and a code that fits; none passes, hangs or panics.
func TestBadModelsEndWithTheirReason(t *testing.T) {
	tree := func(edit func(a map[string]*onnx.Attribute)) []byte {
		return model(func(m *onnx.Model, g *onnx.Graph) {
			a := map[string]*onnx.Attribute{}
			for _, x := range stump() {
				a[x.Name] = x
			}
			edit(a)
			n := mlNode("TreeEnsembleRegressor", []string{"x"}, []string{"y"})
			for _, x := range a {
				n.Attributes = append(n.Attributes, x)
			}
			g.Nodes = []*onnx.Node{n}
		})
	}
	external := func(location string) []byte {
		return model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{{Name: "w", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}}, External: []onnx.KeyValue{{Key: "location", Value: location}}}}
			g.Nodes = []*onnx.Node{node("Add", []string{"x", "w"}, []string{"y"})}
		})
	}
	serve := reference.Options{External: func(string) ([]byte, error) { return make([]byte, 4), nil }}
	branch := func(g *onnx.Graph) *onnx.Graph { return g }
	nested := &onnx.Graph{Nodes: []*onnx.Node{node("Identity", []string{"x"}, []string{"b"})}, Outputs: []onnx.ValueInfo{onnx.TensorInfo("b", tensor.Float32)}}
	for range 20 {
		nested = &onnx.Graph{
			Nodes:   []*onnx.Node{node("If", []string{"c"}, []string{"b"}, onnx.GraphAttr("then_branch", nested), onnx.GraphAttr("else_branch", branch(&onnx.Graph{Nodes: nested.Nodes, Outputs: nested.Outputs})))},
			Outputs: []onnx.ValueInfo{onnx.TensorInfo("b", tensor.Float32)},
		}
		nested.Nodes[0].Attributes[1].Graph = &onnx.Graph{Nodes: []*onnx.Node{node("Identity", []string{"x"}, []string{"b"})}, Outputs: nested.Outputs}
	}
	whole := model(nil)
	loop := &onnx.Graph{Inputs: []onnx.ValueInfo{onnx.TensorInfo("i", tensor.Int64), onnx.TensorInfo("go", tensor.Bool)},
		Nodes: []*onnx.Node{node("Identity", []string{"go"}, []string{"on"})}, Outputs: []onnx.ValueInfo{onnx.TensorInfo("on", tensor.Bool)}}
	one := func(op string, a ...*onnx.Attribute) []byte {
		return model(func(m *onnx.Model, g *onnx.Graph) {
			g.Nodes = []*onnx.Node{node(op, []string{"x"}, []string{"y"}, a...)}
		})
	}
	with := func(op string, second *tensor.Tensor, a ...*onnx.Attribute) []byte {
		return model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("k", second)}
			g.Nodes = []*onnx.Node{node(op, []string{"x", "k"}, []string{"y"}, a...)}
			g.Outputs[0].Type.HasShape, g.Outputs[0].Type.Dims = false, nil
		})
	}
	for _, c := range []struct {
		name string
		raw  []byte
		o    reference.Options
		in   map[string]tensor.Value
		code fault.Code
		says string
	}{
		{name: "empty file", raw: []byte{}, code: fault.ModelInvalid, says: "empty"},
		{name: "text", raw: []byte("hello, this is text"), code: fault.ModelInvalid, says: "field"},
		{name: "truncated", raw: whole[:len(whole)-7], code: fault.ModelInvalid, says: "cut off"},
		{name: "unknown operator", raw: one("Frobnicate"), code: fault.EngineNeeded, says: `operator Frobnicate of domain "ai.onnx" in version 18`},
		{name: "unknown domain", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes[0].Domain = "com.example" }), code: fault.EngineNeeded, says: `domain "com.example"`},
		{name: "opset 99", raw: model(func(m *onnx.Model, g *onnx.Graph) { m.Opsets[0].Version = 99 }), code: fault.EngineNeeded, says: "in version 99"},
		{name: "opset 0", raw: model(func(m *onnx.Model, g *onnx.Graph) { m.Opsets[0].Version = 0 }), code: fault.ModelInvalid, says: "wanted at least 1"},
		{name: "no opset", raw: model(func(m *onnx.Model, g *onnx.Graph) { m.Opsets = nil }), code: fault.ModelInvalid, says: "does not say which operator versions"},
		{name: "domain without opset", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			m.Opsets = m.Opsets[:1]
			g.Nodes[0].Domain = "ai.onnx.ml"
		}), code: fault.ModelInvalid, says: "does not say which version"},
		{name: "file format from the future", raw: model(func(m *onnx.Model, g *onnx.Graph) { m.IRVersion = 99 }), code: fault.EngineNeeded, says: "version 99"},
		{name: "unknown attribute", raw: one("Relu", onnx.IntAttr("speed", 3)), code: fault.EngineNeeded, says: `attribute "speed"`},
		{name: "attribute of the wrong kind", raw: one("LeakyRelu", onnx.IntAttr("alpha", 3)), code: fault.ModelInvalid, says: "is a int, wanted a float"},
		{name: "attribute twice", raw: one("LeakyRelu", onnx.FloatAttr("alpha", 3), onnx.FloatAttr("alpha", 4)), code: fault.ModelInvalid, says: "given twice"},
		{name: "unsupported type", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Inputs[0].Type.Elem, g.Outputs[0].Type.Elem = tensor.BFloat16, tensor.BFloat16
		}), code: fault.EngineNeeded, says: "bfloat16 for input 0 of Relu"},
		{name: "input from nowhere", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes[0].Inputs[0] = "z" }), code: fault.ModelInvalid, says: `"z" is made by nobody`},
		{name: "output from nowhere", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Outputs[0].Name = "z" }), code: fault.ModelInvalid, says: `"z" is made by no node`},
		{name: "output of another type", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Outputs[0].Type.Elem = tensor.Int64 }), code: fault.ModelInvalid, says: "declared int64 and is float32"},
		{name: "no outputs", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Outputs = nil }), code: fault.ModelInvalid, says: "without outputs"},
		{name: "two inputs of one name", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Inputs = append(g.Inputs, g.Inputs[0]) }), code: fault.ModelInvalid, says: "two inputs"},
		{name: "two makers of one value", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes = append(g.Nodes, g.Nodes[0]) }), code: fault.ModelInvalid, says: "two nodes make"},
		{name: "too many inputs", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes[0].Inputs = []string{"x", "x"} }), code: fault.EngineNeeded, says: "2 inputs of Relu"},
		{name: "no inputs", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes[0].Inputs = nil }), code: fault.ModelInvalid, says: "input 0 of Relu is missing"},
		{name: "cycle", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Nodes = []*onnx.Node{node("Add", []string{"x", "b"}, []string{"a"}), node("Relu", []string{"a"}, []string{"b"}), node("Relu", []string{"b"}, []string{"y"})}
		}), code: fault.ModelInvalid, says: "cycle"},
		{name: "node that feeds itself", raw: model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes[0].Inputs[0] = "y" }), code: fault.ModelInvalid, says: "cycle"},
		{name: "If nested 20 deep", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Inputs = append(g.Inputs, onnx.TensorInfo("c", tensor.Bool))
			nested.Nodes[0].Outputs = []string{"y"}
			g.Nodes = nested.Nodes
		}), code: fault.ModelInvalid, says: "nested more than 16 deep"},
		{name: "endless Loop", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Nodes = append(g.Nodes, node("Loop", []string{"", "x"}, []string{"l"}, onnx.GraphAttr("body", loop)))
		}), code: fault.EngineNeeded, says: "operator Loop"},
		{name: "wrong input name", raw: whole, in: map[string]tensor.Value{"z": good()["x"]}, code: fault.Contract, says: `input "x" is missing`},
		{name: "one input too many", raw: whole, in: map[string]tensor.Value{"x": good()["x"], "z": good()["x"]}, code: fault.Contract, says: `no input "z"`},
		{name: "missing input", raw: whole, in: map[string]tensor.Value{}, code: fault.Contract, says: `input "x" is missing`},
		{name: "wrong shape", raw: whole, in: map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1, 3}, 1, 2, 3)}}, code: fault.Contract, says: "shape [1 3], wanted [-1 2]"},
		{name: "wrong rank", raw: whole, in: map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{2}, 1, 2)}}, code: fault.Contract, says: "shape [2]"},
		{name: "wrong type", raw: whole, in: map[string]tensor.Value{"x": {Tensor: intsOf([]int64{1, 2}, 1, 2)}}, code: fault.Contract, says: "type int64, wanted float32"},
		{name: "no tensor", raw: whole, in: map[string]tensor.Value{"x": {Maps: []tensor.Map{}}}, code: fault.Contract, says: "no tensor"},
		{name: "short buffer", raw: whole, in: map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1, 2}, 1)}}, code: fault.Contract, says: "with 4 bytes, wanted 8"},
		{name: "negative dimension", raw: whole, in: map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{-1, 2}, 1, 2)}}, code: fault.Contract, says: "shape [-1 2]"},
		{name: "overflowing dimension", raw: whole, in: map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1 << 62, 2}, 1, 2)}}, code: fault.Contract, says: "limit of memory"},
		{name: "huge initializer", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("w", floatsOf([]int64{1 << 33}))}
		}), code: fault.ModelInvalid, says: "too large"},
		{name: "initializers beyond the limit", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("w", floatsOf([]int64{1000}, make([]float32, 1000)...))}
		}), o: reference.Options{MaxMemory: 2000}, code: fault.ModelLimit, says: "more than 2000 bytes"},
		{name: "ConstantOfShape of 20 GB", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("s", intsOf([]int64{2}, 50000, 100000))}
			g.Nodes = []*onnx.Node{node("ConstantOfShape", []string{"s"}, []string{"y"})}
		}), code: fault.ModelLimit, says: "limit of memory"},
		{name: "Expand of 20 GB", raw: with("Expand", intsOf([]int64{3}, 50000, 100000, 2)), code: fault.ModelLimit, says: "limit of memory"},
		{name: "Tile beyond counting", raw: with("Tile", intsOf([]int64{2}, 1<<62, 1<<62)), code: fault.ModelInvalid, says: "repeats"},
		{name: "Pad of 20 GB", raw: with("Pad", intsOf([]int64{4}, 1<<40, 0, 0, 0)), code: fault.ModelLimit, says: "pads"},
		{name: "Reshape to another size", raw: with("Reshape", intsOf([]int64{2}, 3, -1)), code: fault.ModelInvalid, says: "do not fit shape"},
		{name: "Reshape with two open dimensions", raw: with("Reshape", intsOf([]int64{2}, -1, -1)), code: fault.ModelInvalid, says: "two dimensions open"},
		{name: "Gather out of range", raw: with("Gather", intsOf([]int64{1}, 7)), code: fault.ModelInvalid, says: "index 7 of a dimension of 1"},
		{name: "Gather far out of range", raw: with("Gather", intsOf([]int64{1}, math.MinInt64)), code: fault.ModelInvalid, says: "index -9223372036854775808"},
		{name: "shapes that do not go together", raw: with("Add", floatsOf([]int64{3}, 1, 2, 3)), code: fault.ModelInvalid, says: "do not go together"},
		{name: "MatMul of shapes that do not fit", raw: with("MatMul", floatsOf([]int64{3, 1}, 1, 2, 3)), code: fault.ModelInvalid, says: "product of shapes"},
		{name: "axis out of range", raw: one("Softmax", onnx.IntAttr("axis", 5)), code: fault.ModelInvalid, says: "axis 5 of a tensor with 2 dimensions"},
		{name: "integer division by zero", raw: model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("z", intsOf(nil, 0)), constant("n", intsOf(nil, 1))}
			g.Nodes = []*onnx.Node{node("Div", []string{"n", "z"}, []string{"y"})}
			g.Outputs[0] = onnx.TensorInfo("y", tensor.Int64)
		}), code: fault.ModelInvalid, says: "divided by zero"},
		{name: "tree with a child that is not there", raw: tree(func(a map[string]*onnx.Attribute) { a["nodes_truenodeids"].Ints[0] = 9 }), code: fault.ModelInvalid, says: "leads to node 9"},
		{name: "tree with a negative feature", raw: tree(func(a map[string]*onnx.Attribute) { a["nodes_featureids"].Ints[0] = -1 }), code: fault.ModelInvalid, says: "feature -1"},
		{name: "tree with a feature that is not there", raw: tree(func(a map[string]*onnx.Attribute) { a["nodes_featureids"].Ints[0] = 40 }), code: fault.ModelInvalid, says: "ask for number 40"},
		{name: "tree in a circle", raw: tree(func(a map[string]*onnx.Attribute) { a["nodes_truenodeids"].Ints[0] = 0 }), code: fault.ModelInvalid, says: "circle"},
		{name: "tree lists of different lengths", raw: tree(func(a map[string]*onnx.Attribute) { a["nodes_values"].Floats = a["nodes_values"].Floats[:1] }), code: fault.ModelInvalid, says: "different lengths"},
		{name: "tree with an unknown mode", raw: tree(func(a map[string]*onnx.Attribute) { a["nodes_modes"].Strings[0] = []byte("BRANCH_UP") }), code: fault.ModelInvalid, says: "BRANCH_UP"},
		{name: "tree with a weight for a target that is not there", raw: tree(func(a map[string]*onnx.Attribute) { a["target_ids"].Ints[0] = 5 }), code: fault.ModelInvalid, says: "target 5 of 1"},
		{name: "external data above the model", raw: external("../../etc/passwd"), o: serve, code: fault.ModelInvalid, says: "wanted a relative path below the model"},
		{name: "external data at an absolute path", raw: external("/etc/passwd"), o: serve, code: fault.ModelInvalid, says: "wanted a relative path below the model"},
		{name: "external data on a drive", raw: external(`C:\weights`), o: serve, code: fault.ModelInvalid, says: "wanted a relative path below the model"},
		{name: "external data without files", raw: external("w.bin"), code: fault.ModelInvalid, says: "no such file belongs"},
		{name: "external data too short", raw: external("w.bin"), o: serve, code: fault.ModelInvalid, says: "within the file's 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.in
			if in == nil {
				in = good()
			}
			out, err := loadAndRun(c.raw, c.o, in)
			noPanic(t, err)
			if out != nil || fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, %s %v; wanted %s that says %q", out, fault.CodeOf(err), err, c.code, c.says)
			}
		})
	}
}

func TestExternalFailureKeepsItsCause(t *testing.T) {
	want := fault.New(fault.Digest, "digest differs")
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Initializers = []*onnx.Tensor{{Name: "w", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}}, External: []onnx.KeyValue{{Key: "location", Value: "w.bin"}}}}
	})
	_, err := reference.Load(raw, reference.Options{External: func(string) ([]byte, error) { return nil, want }})
	if !errors.Is(err, want) {
		t.Errorf("got %v, wanted %v", err, want)
	}
}

// A bit that flips may leave a model that computes; it must never leave one that panics or hangs.
func TestFlippedBitsDoNotPanic(t *testing.T) {
	for _, raw := range seeds() {
		for i := range raw {
			b := append([]byte(nil), raw...)
			b[i] ^= 1 << (i % 8)
			_, err := loadAndRun(b, reference.Options{MaxMemory: 1 << 20}, good())
			noPanic(t, err)
		}
	}
}

func TestEndedContextEndsARun(t *testing.T) {
	n := int64(700)
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Initializers = []*onnx.Tensor{constant("w", floatsOf([]int64{n, n}, make([]float32, n*n)...))}
		g.Nodes = []*onnx.Node{node("MatMul", []string{"w", "w"}, []string{"v0"})}
		for i := range 200 {
			v := string(rune('a'+i%26)) + string(rune('a'+i/26))
			g.Nodes = append(g.Nodes, node("MatMul", []string{g.Nodes[i].Outputs[0], "w"}, []string{v}))
		}
		g.Nodes = append(g.Nodes, node("Relu", []string{g.Nodes[200].Outputs[0]}, []string{"y"}))
	})
	m, err := reference.Load(raw, reference.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = m.Run(ctx, good())
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
		t.Errorf("got %v after %v, wanted the end of the context within a moment", err, time.Since(start))
	}
}

// Values nobody needs any more do not count: a long chain fits in the memory of a few of its links.
func TestMemoryOfValuesNobodyNeedsIsGivenBack(t *testing.T) {
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Inputs[0] = onnx.TensorInfo("x", tensor.Float32, 1000)
		g.Outputs[0] = onnx.TensorInfo("y", tensor.Float32, 1000)
		g.Nodes = nil
		last := "x"
		for i := range 100 {
			v := "v" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			g.Nodes = append(g.Nodes, node("Sigmoid", []string{last}, []string{v}))
			last = v
		}
		g.Nodes = append(g.Nodes, node("Relu", []string{last}, []string{"y"}))
	})
	in := map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1000}, make([]float32, 1000)...)}}
	if _, err := loadAndRun(raw, reference.Options{MaxMemory: 17000}, in); err != nil {
		t.Error(err)
	}
	if _, err := loadAndRun(raw, reference.Options{MaxMemory: 9000}, in); fault.CodeOf(err) != fault.ModelLimit {
		t.Errorf("got %v, wanted the limit of memory", err)
	}
}

func seeds() [][]byte {
	return [][]byte{
		model(nil),
		model(func(m *onnx.Model, g *onnx.Graph) {
			n := mlNode("TreeEnsembleRegressor", []string{"x"}, []string{"y"})
			n.Attributes = stump()
			g.Nodes = []*onnx.Node{n}
		}),
		model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("w", floatsOf([]int64{2, 2}, 1, 2, 3, 4)), constant("b", floatsOf([]int64{2}, 1, 2)), constant("s", intsOf([]int64{2}, 1, -1))}
			g.Nodes = []*onnx.Node{
				node("Gemm", []string{"x", "w", "b"}, []string{"h"}, onnx.IntAttr("transB", 1)), node("Softmax", []string{"h"}, []string{"p"}, onnx.IntAttr("axis", -1)),
				node("Reshape", []string{"p", "s"}, []string{"r"}), node("ReduceSum", []string{"r"}, []string{"t"}), node("Add", []string{"r", "t"}, []string{"y"}),
			}
		}),
		model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("w", floatsOf([]int64{1, 8, 2}, make([]float32, 16)...)), constant("r", floatsOf([]int64{1, 8, 2}, make([]float32, 16)...)), constant("a", intsOf([]int64{1}, 0))}
			g.Nodes = []*onnx.Node{
				node("Unsqueeze", []string{"x", "a"}, []string{"u"}), node("LSTM", []string{"u", "w", "r"}, []string{"", "h"}, onnx.IntAttr("hidden_size", 2)), node("Squeeze", []string{"h", "a"}, []string{"y"}),
			}
		}),
		model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("k", floatsOf([]int64{1, 1, 2}, 1, 2)), constant("a", intsOf([]int64{1}, 1)), constant("ss", intsOf([]int64{1}, 0)), constant("se", intsOf([]int64{1}, 9))}
			g.Nodes = []*onnx.Node{
				node("Unsqueeze", []string{"x", "a"}, []string{"u"}), node("Conv", []string{"u", "k"}, []string{"c"}, onnx.IntsAttr("pads", 1, 1), onnx.IntsAttr("strides", 1)),
				node("MaxPool", []string{"c"}, []string{"p", "i"}, onnx.IntsAttr("kernel_shape", 2)), node("Slice", []string{"p", "ss", "se"}, []string{"s"}), node("Squeeze", []string{"s", "a"}, []string{"y"}),
			}
		}),
		model(func(m *onnx.Model, g *onnx.Graph) {
			g.Nodes = []*onnx.Node{
				node("DynamicQuantizeLinear", []string{"x"}, []string{"q", "s", "z"}), node("Transpose", []string{"q"}, []string{"qt"}), node("MatMulInteger", []string{"qt", "q", "z", "z"}, []string{"i"}),
				node("Cast", []string{"i"}, []string{"f"}, onnx.IntAttr("to", 1)), node("Mul", []string{"f", "s"}, []string{"y"}),
			}
		}),
	}
}

// Whatever the bytes, loading and running end soon, without the last safety net.
func FuzzLoadAndRun(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		defer func() {
			// All that was ever taken: tensors within the limit, over and over again, and what the file itself becomes.
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 256<<20 {
				t.Errorf("%d MiB went through memory with a limit of 1 MiB", took>>20)
			}
		}()
		m, err := reference.Load(raw, reference.Options{MaxMemory: 1 << 20})
		noPanic(t, err)
		if err != nil {
			return
		}
		in := map[string]tensor.Value{}
		infos, _, _ := m.Signature()
		for _, i := range infos {
			x := &tensor.Tensor{DType: i.DType}
			n := int64(1)
			for _, d := range i.Shape {
				if d < 0 {
					d = 2
				}
				x.Shape = append(x.Shape, d)
				n *= max(d, 0)
				if d > 64 || n > 4096 {
					return
				}
			}
			x.Raw = make([]byte, n*int64(i.DType.Size()))
			if i.DType == tensor.String {
				x.Raw, x.Strings = nil, make([]string, n)
			}
			in[i.Name] = tensor.Value{Tensor: x}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err = m.Run(ctx, in)
		noPanic(t, err)
		if time.Since(start) > 5*time.Second {
			t.Fatalf("ended only after %v", time.Since(start))
		}
	})
}
