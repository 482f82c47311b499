package inference_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/testort"
)

func endless() []byte {
	body := &onnx.Graph{Name: "body", Nodes: []*onnx.Node{node("Identity", names("c"), names("again")), node("Identity", names("v"), names("w"))},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("i", tensor.Int64), onnx.TensorInfo("c", tensor.Bool), onnx.TensorInfo("v", tensor.Float32, 2)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("again", tensor.Bool), onnx.TensorInfo("w", tensor.Float32, 2)}}
	return model(func(m *onnx.Model) {
		m.Graph.Initializers = []*onnx.Tensor{
			initializer("yes", &tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Raw: []byte{1}}),
			initializer("most", ints([]int64{}, 1<<62)),
		}
	}, node("Loop", names("most", "yes", "x"), names("y"), onnx.GraphAttr("body", body)))
}

// with adds initializers.
func with(t ...*onnx.Tensor) func(*onnx.Model) {
	return func(m *onnx.Model) { m.Graph.Initializers = append(m.Graph.Initializers, t...) }
}

func nestedIf(depth int) []byte {
	inner := &onnx.Graph{Name: "g", Nodes: []*onnx.Node{node("Identity", names("x"), names("o"))}, Outputs: []onnx.ValueInfo{onnx.TensorInfo("o", tensor.Float32, 2)}}
	for range depth {
		inner = &onnx.Graph{Name: "g", Nodes: []*onnx.Node{node("If", names("c"), names("o"), onnx.GraphAttr("then_branch", inner), onnx.GraphAttr("else_branch",
			&onnx.Graph{Name: "e", Nodes: []*onnx.Node{node("Identity", names("x"), names("o"))}, Outputs: []onnx.ValueInfo{onnx.TensorInfo("o", tensor.Float32, 2)}}))},
			Outputs: []onnx.ValueInfo{onnx.TensorInfo("o", tensor.Float32, 2)}}
	}
	return model(func(m *onnx.Model) {
		m.Graph.Nodes = append(inner.Nodes, node("Identity", names("o"), names("y")))
		m.Graph.Initializers = []*onnx.Tensor{initializer("c", &tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Raw: []byte{1}})}
	})
}

func tree(change map[string]any) []byte {
	attrs := map[string]any{
		"n_targets": int64(2), "nodes_treeids": []int64{0, 0, 0}, "nodes_nodeids": []int64{0, 1, 2}, "nodes_featureids": []int64{0, 0, 0},
		"nodes_values": []float32{.5, 0, 0}, "nodes_modes": []string{"BRANCH_LEQ", "LEAF", "LEAF"}, "nodes_truenodeids": []int64{1, 0, 0}, "nodes_falsenodeids": []int64{2, 0, 0},
		"nodes_hitrates": []float32{1, 1, 1}, "nodes_missing_value_tracks_true": []int64{0, 0, 0},
		"target_treeids": []int64{0, 0}, "target_nodeids": []int64{1, 2}, "target_ids": []int64{0, 1}, "target_weights": []float32{1, 2},
	}
	for k, v := range change {
		attrs[k] = v
	}
	n := &onnx.Node{OpType: "TreeEnsembleRegressor", Domain: "ai.onnx.ml", Inputs: names("r"), Outputs: names("q")}
	keys := make([]string, 0, len(attrs))
	for k := range attrs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		switch v := attrs[k].(type) {
		case int64:
			n.Attributes = append(n.Attributes, onnx.IntAttr(k, v))
		case []int64:
			n.Attributes = append(n.Attributes, onnx.IntsAttr(k, v...))
		case []float32:
			n.Attributes = append(n.Attributes, onnx.FloatsAttr(k, v...))
		case []string:
			n.Attributes = append(n.Attributes, onnx.StringsAttr(k, v...))
		}
	}
	return model(func(m *onnx.Model) {
		m.Opsets = append(m.Opsets, onnx.Opset{Domain: "ai.onnx.ml", Version: 1})
		m.Graph.Initializers = []*onnx.Tensor{initializer("row", ints([]int64{2}, 1, 2)), initializer("flat", ints([]int64{1}, 2))}
	}, node("Reshape", names("x", "row"), names("r")), n, node("Reshape", names("q", "flat"), names("y")))
}

// ending is how a kind of bad model ends: the code, and what its reason says.
type ending struct {
	code fault.Code
	says string
}

// badModels are kinds of models that are broken, hostile or wrong. Each ends with its own reason in both engines, no kind
// passes, no two say the same, and the parent goes on: after each one a good model passes.
var badModels = []struct {
	name            string
	model           func() []byte
	reference, full ending
}{
	{"empty", func() []byte { return nil }, ending{fault.ModelInvalid, "is empty"}, ending{fault.ModelInvalid, "is empty"}},
	{"text", func() []byte { return []byte("# not a model\n") }, ending{fault.ModelInvalid, "not an ONNX model"}, ending{fault.ModelInvalid, "not an ONNX model"}},
	{"truncated", func() []byte { m := double(); return m[:len(m)-5] }, ending{fault.ModelInvalid, "unexpected EOF"}, ending{fault.ModelInvalid, "unexpected EOF"}},
	{"no graph", func() []byte { return onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 13}}}) }, ending{fault.ModelInvalid, "holds no graph"}, ending{fault.ModelInvalid, "No graph"}},
	{"unknown operator", func() []byte { return model(nil, node("Frobnicate", names("x"), names("y"))) }, ending{fault.EngineNeeded, "operator Frobnicate"}, ending{fault.EngineNeeded, "Frobnicate"}},
	{"unknown domain", func() []byte {
		n := node("Add", names("x", "x"), names("y"))
		n.Domain = "com.example"
		return model(func(m *onnx.Model) { m.Opsets = append(m.Opsets, onnx.Opset{Domain: "com.example", Version: 1}) }, n)
	}, ending{fault.EngineNeeded, `domain "com.example"`}, ending{fault.EngineNeeded, "com.example"}},
	{"opset 99", func() []byte {
		return model(func(m *onnx.Model) { m.Opsets[0].Version = 99 }, node("Add", names("x", "x"), names("y")))
	}, ending{fault.EngineNeeded, "version 99"}, ending{fault.EngineNeeded, "pset 99"}},
	{"other input name", func() []byte {
		return model(func(m *onnx.Model) { m.Graph.Inputs[0].Name = "z" }, node("Add", names("z", "z"), names("y")))
	}, ending{fault.Contract, `the contract names input "x"`}, ending{fault.Contract, `the contract names input "x"`}},
	{"other output name", func() []byte {
		return model(func(m *onnx.Model) { m.Graph.Outputs[0].Name = "z" }, node("Add", names("x", "x"), names("z")))
	}, ending{fault.Contract, `the contract names output "y"`}, ending{fault.Contract, `the contract names output "y"`}},
	{"further input", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs = append(m.Graph.Inputs, onnx.TensorInfo("more", tensor.Float32, 2))
		}, node("Add", names("x", "more"), names("y")))
	}, ending{fault.Contract, `the model has input "more"`}, ending{fault.Contract, `the model has input "more"`}},
	{"other shape", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs[0], m.Graph.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 3), onnx.TensorInfo("y", tensor.Float32, 3)
		}, node("Add", names("x", "x"), names("y")))
	}, ending{fault.Contract, `3 in the model`}, ending{fault.Contract, `3 in the model`}},
	{"other rank", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs[0], m.Graph.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 1, 2), onnx.TensorInfo("y", tensor.Float32, 1, 2)
		}, node("Add", names("x", "x"), names("y")))
	}, ending{fault.Contract, `the contract says 1 dimensions`}, ending{fault.Contract, `the contract says 1 dimensions`}},
	{"other element type", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs[0], m.Graph.Outputs[0] = onnx.TensorInfo("x", tensor.Float64, 2), onnx.TensorInfo("y", tensor.Float64, 2)
		}, node("Add", names("x", "x"), names("y")))
	}, ending{fault.Contract, `the contract says float32, the model float64`}, ending{fault.Contract, `the contract says float32, the model float64`}},
	{"output of another type", func() []byte {
		return model(func(m *onnx.Model) { m.Graph.Outputs[0] = onnx.TensorInfo("y", tensor.Int64, 2) },
			node("Cast", names("x"), names("y"), onnx.IntAttr("to", int64(tensor.Int64))))
	}, ending{fault.Contract, "the model int64"}, ending{fault.Contract, "the model int64"}},
	{"short initializer", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: []byte{1, 2, 3}})), node("Add", names("x", "w"), names("y")))
	}, ending{fault.ModelInvalid, "holds 3 bytes, wanted 8"}, ending{fault.ModelInvalid, "'w'"}},
	{"negative dimension", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{-2}, Raw: make([]byte, 8)})), node("Add", names("x", "w"), names("y")))
	}, ending{fault.ModelInvalid, "shape [-2]"}, ending{fault.ModelInvalid, "dimensions in TypeProto"}},
	{"overflowing dimensions", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1 << 40, 1 << 40}, Raw: make([]byte, 8)}),
			initializer("all", ints([]int64{2}, 0, 1))), node("ReduceSum", names("w", "all"), names("s")), node("Add", names("x", "s"), names("y")))
	}, ending{fault.ModelInvalid, "[1099511627776 1099511627776]"}, ending{fault.ModelInvalid, "verflow"}},
	{"ConstantOfShape of 20 GB", func() []byte {
		return model(with(initializer("n", ints([]int64{1}, 5_000_000_000)), initializer("all", ints([]int64{1}, 0))),
			node("ConstantOfShape", names("n"), names("big")), node("ReduceSum", names("big", "all"), names("s")), node("Add", names("x", "s"), names("y")))
	}, ending{fault.ModelLimit, "[5000000000]"}, ending{fault.ModelLimit, "20000000000"}},
	{"2 GB, just below what one allocation may ask", func() []byte {
		return model(with(initializer("n", ints([]int64{1}, 500_000_000)), initializer("all", ints([]int64{1}, 0))),
			node("ConstantOfShape", names("n"), names("big")), node("Add", names("big", "big"), names("bigger")),
			node("ReduceMax", names("bigger"), names("s"), onnx.IntAttr("keepdims", 1)), node("Add", names("x", "s"), names("y")))
	}, ending{fault.ModelLimit, "[500000000]"}, ending{fault.ModelLimit, "size 2000000000"}},
	{"Expand to 40 GB", func() []byte {
		return model(with(initializer("n", ints([]int64{2}, 5_000_000_000, 2))),
			node("Expand", names("x", "n"), names("big")), node("ReduceMax", names("big"), names("y"), onnx.IntsAttr("axes", 0), onnx.IntAttr("keepdims", 0)))
	}, ending{fault.ModelLimit, "[5000000000 2]"}, ending{fault.ModelLimit, "40000000000"}},
	{"endless loop", endless, ending{fault.EngineNeeded, "operator Loop"}, ending{fault.ModelLimit, "stopped after"}},
	{"cycle", func() []byte {
		return model(nil, node("Add", names("x", "b"), names("a")), node("Add", names("x", "a"), names("b")), node("Identity", names("a"), names("y")))
	}, ending{fault.ModelInvalid, "the graph has a cycle"}, ending{fault.ModelInvalid, "acyclic"}},
	{"value made twice", func() []byte {
		return model(nil, node("Add", names("x", "x"), names("y")), node("Mul", names("x", "x"), names("y")))
	}, ending{fault.ModelInvalid, `two nodes make "y"`}, ending{fault.ModelInvalid, "Duplicate definition"}},
	{"If nested 3000 deep", func() []byte { return nestedIf(3000) }, ending{fault.ModelInvalid, "messages are nested more than"}, ending{fault.ModelInvalid, "messages are nested more than"}},
	{"If nested 90 deep", func() []byte { return nestedIf(90) }, ending{fault.ModelInvalid, "graphs nested more than"}, ending{fault.ModelInvalid, "parsing failed"}},
	{"Gather out of range", func() []byte {
		return model(with(initializer("i", ints([]int64{2}, 0, 99))), node("Gather", names("x", "i"), names("y")))
	}, ending{fault.ModelInvalid, "index 99 of a dimension of 2"}, ending{fault.ModelInvalid, "idx=99"}},
	{"shapes that do not fit", func() []byte {
		return model(with(initializer("w", floats([]int64{3}, 1, 2, 3))), node("Add", names("x", "w"), names("y")))
	}, ending{fault.ModelInvalid, "shapes [2] and [3]"}, ending{fault.ModelInvalid, "Incompatible dimensions"}},
	{"integer division by zero", func() []byte {
		return model(with(initializer("zero", ints([]int64{2}, 0, 0))), node("Cast", names("x"), names("i"), onnx.IntAttr("to", int64(tensor.Int64))),
			node("Div", names("i", "zero"), names("q")), node("Cast", names("q"), names("y"), onnx.IntAttr("to", int64(tensor.Float32))))
	}, ending{fault.ModelInvalid, "divided by zero"}, ending{fault.ModelInvalid, "division by zero"}},
	{"answers NaN", func() []byte {
		return model(with(initializer("far", floats([]int64{2}, 100, 100))), node("Sub", names("x", "far"), names("below")), node("Log", names("below"), names("y")))
	}, ending{fault.SmokeFailed, "NaN, want 2"}, ending{fault.SmokeFailed, "NaN, want 2"}},
	{"huge initializer that is not there", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{5_000_000_000}, Raw: make([]byte, 8)}),
			initializer("all", ints([]int64{1}, 0))), node("ReduceSum", names("w", "all"), names("s")), node("Add", names("x", "s"), names("y")))
	}, ending{fault.ModelInvalid, "[5000000000] is too large"}, ending{fault.ModelInvalid, "20000000000 bytes"}},
	{"huge initializer that is there", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{300 << 18}, Raw: make([]byte, 300<<20)}),
			initializer("all", ints([]int64{1}, 0))), node("ReduceSum", names("w", "all"), names("s")), node("Add", names("x", "s"), names("y")))
	}, ending{fault.ModelLimit, "constants need more than"}, ending{fault.ModelLimit, "loading the model: out of memory"}},
	{"output that is not finite", func() []byte {
		return model(with(initializer("zero", floats([]int64{2}, 0, 0))), node("Div", names("x", "zero"), names("y")))
	}, ending{fault.SmokeFailed, "+Inf, want 2"}, ending{fault.SmokeFailed, "+Inf, want 2"}},
	{"answers wrongly", func() []byte { return model(nil, node("Mul", names("x", "x"), names("y"))) }, ending{fault.SmokeFailed, "6.25, want -5"}, ending{fault.SmokeFailed, "6.25, want -5"}},
	{"tree with a child that is not there", func() []byte {
		return tree(map[string]any{"nodes_truenodeids": []int64{77, 0, 0}})
	}, ending{fault.ModelInvalid, "leads to node 77"}, ending{fault.ModelInvalid, "leads to node 77"}},
	{"tree with a wrong feature", func() []byte {
		return tree(map[string]any{"nodes_featureids": []int64{1 << 30, 0, 0}})
	}, ending{fault.ModelInvalid, "number 1073741824"}, ending{fault.ModelInvalid, "feature 1073741824"}},
	{"tree with a cycle", func() []byte {
		return tree(map[string]any{"nodes_truenodeids": []int64{0, 0, 0}, "nodes_falsenodeids": []int64{0, 0, 0}})
	}, ending{fault.ModelInvalid, "runs in a circle at its node 0"}, ending{fault.ModelInvalid, "runs in a circle at its node 0"}},
	{"tree with a longer cycle", func() []byte {
		return tree(map[string]any{"nodes_modes": []string{"BRANCH_LEQ", "BRANCH_LEQ", "BRANCH_LEQ", "LEAF"}, "nodes_truenodeids": []int64{1, 2, 1, 0},
			"nodes_falsenodeids": []int64{3, 3, 3, 0}, "nodes_treeids": []int64{0, 0, 0, 0}, "nodes_nodeids": []int64{0, 1, 2, 3}, "nodes_featureids": []int64{0, 0, 0, 0},
			"nodes_values": []float32{.5, .5, .5, 0}, "nodes_hitrates": []float32{1, 1, 1, 1}, "nodes_missing_value_tracks_true": []int64{0, 0, 0, 0},
			"target_treeids": []int64{0}, "target_nodeids": []int64{3}, "target_ids": []int64{0}, "target_weights": []float32{1}})
	}, ending{fault.ModelInvalid, "circle at its node 1"}, ending{fault.ModelInvalid, "circle at its node 1"}},
	{"tree with arrays of different length", func() []byte {
		return tree(map[string]any{"nodes_values": []float32{.5}})
	}, ending{fault.ModelInvalid, "different lengths"}, ending{fault.ModelInvalid, "different lengths"}},
	{"external data in /etc/passwd", func() []byte { return external("/etc/passwd") }, ending{fault.ModelInvalid, `file "/etc/passwd"`}, ending{fault.ModelInvalid, `file "/etc/passwd"`}},
	{"external data above", func() []byte { return external("../../../../../../etc/passwd") }, ending{fault.ModelInvalid, `file "../../../../../../etc/passwd"`}, ending{fault.ModelInvalid, `file "../../../../../../etc/passwd"`}},
	{"external data in an unlisted file", func() []byte { return external("weights.bin") }, ending{fault.ModelInvalid, `file "weights.bin"`}, ending{fault.ModelInvalid, `file "weights.bin"`}},
}

// oldEndings are those of ONNX Runtime 1.18 that differ: it says less, names no sizes, and divides integers by zero in the processor.
var oldEndings = map[string]ending{
	"short initializer":                            {fault.ModelInvalid, "source and destination buffer size mismatch"},
	"negative dimension":                           {fault.ModelInvalid, "shape.Size() must >=0"},
	"ConstantOfShape of 20 GB":                     {fault.ModelLimit, "loading the model: out of memory"},
	"2 GB, just below what one allocation may ask": {fault.ModelLimit, "loading the model: out of memory"},
	"integer division by zero":                     {fault.ModelCrash, `golden case "one"`},
	"huge initializer that is not there":           {fault.ModelLimit, "loading the model: out of memory"},
}

func external(location string) []byte {
	return model(with(&onnx.Tensor{Name: "w", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}},
		External: []onnx.KeyValue{{Key: "location", Value: location}, {Key: "offset", Value: "0"}, {Key: "length", Value: "8"}}}), node("Add", names("x", "w"), names("y")))
}

func TestBadModelsEndWithTheirOwnReason(t *testing.T) {
	if len(badModels) < 25 {
		t.Fatalf("%d kinds, want 25 at least", len(badModels))
	}
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		said := map[string]string{}
		for _, c := range badModels {
			t.Run(c.name, func(t *testing.T) {
				want := c.reference
				if spec.Kind == inference.KindONNXRuntime {
					want = c.full
				}
				f := newFolder(t)
				f.add(modelPath, bundle.RoleWeights, c.model())
				f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -5), bundle.Tolerance{})
				job := f.job(spec)
				if job.Timeout = time.Minute; want.says == "stopped after" {
					job.Timeout = 1500 * time.Millisecond
				}
				start := time.Now()
				r, err := inference.Smoke(t.Context(), self(t), job, nil)
				if err != nil {
					t.Fatal(err)
				}
				if old, differs := oldEndings[c.name]; differs && r.EngineVersion == testort.Oldest {
					want = old
				}
				if r.Passed || r.Code != want.code || !strings.Contains(r.Reason, want.says) || !strings.Contains(r.Reason, modelPath) {
					t.Errorf("%s: %s; want %s that says %q and names the model", r.Code, r.Reason, want.code, want.says)
				}
				if other, twice := said[r.Reason]; twice && !strings.Contains(r.Reason, "std::bad_alloc") { // all that 1.18 says of memory
					t.Errorf("ends with the same words as %q: %s", other, r.Reason)
				}
				said[r.Reason] = c.name
				if d := time.Since(start); d > job.Timeout+10*time.Second {
					t.Errorf("took %v", d)
				}
				if err := r.Err(); fault.CodeOf(err) != want.code || fault.DetailOf(err)["engine"] != spec.Kind {
					t.Errorf("the refusal is %v with %v", err, fault.DetailOf(err))
				}
				if after := good(t).smoke(inference.EngineSpec{}); !after.Passed {
					t.Errorf("afterwards a good model fails: %+v", after)
				}
				t.Logf("%s: %.200s", r.Code, r.Reason)
			})
		}
	})
}

// Flipped bits often load and run: only digests and golden cases notice. No flip may do worse than be refused or fail.
func TestFlippedBitsNeverHurtTheParent(t *testing.T) {
	base := model(with(initializer("w", floats([]int64{2}, 1, 1))), node("Mul", names("x", "w"), names("d")), node("Add", names("d", "x"), names("y")))
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		step, tried, passed := 7, 0, 0
		if spec.Kind == inference.KindONNXRuntime { // takes longer to start
			step = 23
		}
		for i := 0; i < len(base); i += step {
			raw := bytes.Clone(base)
			raw[i] ^= 1 << (i % 8)
			f := newFolder(t)
			f.add(modelPath, bundle.RoleWeights, raw)
			f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -5), bundle.Tolerance{})
			r, err := inference.Smoke(t.Context(), self(t), f.job(spec), nil)
			if err != nil || r.Code == fault.ModelCrash || !r.Passed && r.Reason == "" {
				t.Errorf("byte %d: %+v %v", i, r, err)
				continue
			}
			if tried++; r.Passed {
				passed++
			}
			// As installed, the flip is found before an engine sees the model.
			write(t, f.dir+"/"+modelPath, base)
			if r, err := inference.Smoke(t.Context(), self(t), f.job(inference.EngineSpec{}), nil); err != nil || r.Code != fault.InstalledChanged {
				t.Errorf("byte %d against its digest: %+v %v", i, r, err)
			}
		}
		t.Logf("%d of %d flips went unnoticed by the golden case", passed, tried)
	})
}

// Golden files that do not hold what they say end as refusals too: they come from the same stick.
func TestBadGoldenFiles(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		whole := onnx.MarshalTensor("x", floats([]int64{2}, 1, -2.5))
		for _, c := range []struct {
			name string
			raw  []byte
			want ending
		}{
			{"a short buffer", onnx.MarshalTensor("x", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: make([]byte, 4)}), ending{fault.ModelInvalid, "holds 4 bytes, wanted 8"}},
			{"cut", whole[:len(whole)-3], ending{fault.ModelInvalid, "cut off"}},
			{"text", []byte("not a tensor"), ending{fault.ModelInvalid, "never uses"}},
			{"overflowing dimensions", onnx.MarshalTensor("x", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1 << 40, 1 << 40}, Raw: make([]byte, 8)}), ending{fault.ModelInvalid, "[1099511627776 1099511627776]"}},
		} {
			f := newFolder(t)
			f.add(modelPath, bundle.RoleWeights, double())
			f.add("artifacts/golden/x.pb", bundle.RoleGolden, c.raw)
			f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -5), bundle.Tolerance{})
			f.m.InferenceContract.Golden[0].Inputs["x"] = "artifacts/golden/x.pb"
			r := f.smoke(spec)
			if r.Passed || r.Code != c.want.code || !strings.Contains(r.Reason, c.want.says) || !strings.Contains(r.Reason, `input "x"`) {
				t.Errorf("%s: %s: %s", c.name, r.Code, r.Reason)
			}
		}
	})
}

func TestExternalDataInListedFiles(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		build := func() *folder {
			f := newFolder(t)
			f.add("artifacts/m/model.onnx", bundle.RoleWeights, external("data/weights.bin"))
			f.add("artifacts/m/data/weights.bin", bundle.RoleWeights, floats(nil, 1, 1).Raw)
			f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -1.5), bundle.Tolerance{})
			return f
		}
		f := build()
		if r := f.smoke(spec); !r.Passed {
			t.Fatalf("%+v", r)
		}
		if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); err != nil {
			t.Error(err)
		}
		file := f.dir + "/artifacts/m/data/weights.bin"
		write(t, file, floats(nil, 1, 2).Raw)
		if r := f.smoke(spec); r.Passed || r.Code != fault.InstalledChanged {
			t.Errorf("changed: %+v", r)
		}
		elsewhere := t.TempDir() + "/weights.bin"
		write(t, elsewhere, floats(nil, 1, 1).Raw)
		relink(t, elsewhere, file)
		if r := f.smoke(spec); r.Passed || r.Code != fault.Path {
			t.Errorf("a link to the same bytes: %+v", r)
		}
		f = build()
		f.m.Variants[0].Artifacts = f.m.Variants[0].Artifacts[:1]
		if r := f.smoke(spec); r.Passed || r.Code != fault.ModelInvalid || !strings.Contains(r.Reason, "data/weights.bin") {
			t.Errorf("not listed: %+v", r)
		}
		if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); fault.CodeOf(err) != fault.ModelInvalid {
			t.Errorf("not listed: %v", err)
		}
	})
}

func ExampleReport_Err() {
	r := inference.Report{Code: fault.SmokeFailed, Reason: `golden case "calm" of "artifacts/model.onnx": output "y" at [0]: 2, want 1`}
	fmt.Println(r.Err())
	// Output: golden case "calm" of "artifacts/model.onnx": output "y" at [0]: 2, want 1
}
