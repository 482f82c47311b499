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

// Kinds of models that are broken, hostile or wrong. Each ends with its own reason in both engines, no kind passes, and the
// parent goes on: after each one a good model passes. "or" holds a second code where the engines see it differently.
var badModels = []struct {
	name  string
	model func() []byte
	want  fault.Code
	or    fault.Code
}{
	{"empty", func() []byte { return nil }, fault.ModelInvalid, ""},
	{"text", func() []byte { return []byte("# not a model\n") }, fault.ModelInvalid, ""},
	{"truncated", func() []byte { m := double(); return m[:len(m)-5] }, fault.ModelInvalid, ""},
	{"no graph", func() []byte { return onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 13}}}) }, fault.ModelInvalid, ""},
	{"unknown operator", func() []byte { return model(nil, node("Frobnicate", names("x"), names("y"))) }, fault.EngineNeeded, ""},
	{"unknown domain", func() []byte {
		n := node("Add", names("x", "x"), names("y"))
		n.Domain = "com.example"
		return model(func(m *onnx.Model) { m.Opsets = append(m.Opsets, onnx.Opset{Domain: "com.example", Version: 1}) }, n)
	}, fault.EngineNeeded, ""},
	{"opset 99", func() []byte {
		return model(func(m *onnx.Model) { m.Opsets[0].Version = 99 }, node("Add", names("x", "x"), names("y")))
	}, fault.EngineNeeded, fault.ModelInvalid},
	{"other input name", func() []byte {
		return model(func(m *onnx.Model) { m.Graph.Inputs[0].Name = "z" }, node("Add", names("z", "z"), names("y")))
	}, fault.Contract, ""},
	{"other output name", func() []byte {
		return model(func(m *onnx.Model) { m.Graph.Outputs[0].Name = "z" }, node("Add", names("x", "x"), names("z")))
	}, fault.Contract, ""},
	{"further input", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs = append(m.Graph.Inputs, onnx.TensorInfo("more", tensor.Float32, 2))
		}, node("Add", names("x", "more"), names("y")))
	}, fault.Contract, ""},
	{"other shape", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs[0], m.Graph.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 3), onnx.TensorInfo("y", tensor.Float32, 3)
		}, node("Add", names("x", "x"), names("y")))
	}, fault.Contract, ""},
	{"other rank", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs[0], m.Graph.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 1, 2), onnx.TensorInfo("y", tensor.Float32, 1, 2)
		}, node("Add", names("x", "x"), names("y")))
	}, fault.Contract, ""},
	{"other element type", func() []byte {
		return model(func(m *onnx.Model) {
			m.Graph.Inputs[0], m.Graph.Outputs[0] = onnx.TensorInfo("x", tensor.Float64, 2), onnx.TensorInfo("y", tensor.Float64, 2)
		}, node("Add", names("x", "x"), names("y")))
	}, fault.Contract, ""},
	{"output of another type", func() []byte {
		return model(func(m *onnx.Model) { m.Graph.Outputs[0] = onnx.TensorInfo("y", tensor.Int64, 2) },
			node("Cast", names("x"), names("y"), onnx.IntAttr("to", int64(tensor.Int64))))
	}, fault.Contract, ""},
	{"short initializer", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: []byte{1, 2, 3}})), node("Add", names("x", "w"), names("y")))
	}, fault.ModelInvalid, ""},
	{"negative dimension", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{-2}, Raw: make([]byte, 8)})), node("Add", names("x", "w"), names("y")))
	}, fault.ModelInvalid, ""},
	{"overflowing dimensions", func() []byte {
		return model(with(initializer("w", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1 << 40, 1 << 40}, Raw: make([]byte, 8)})), node("Add", names("x", "w"), names("y")))
	}, fault.ModelInvalid, ""},
	{"ConstantOfShape of 20 GB", func() []byte {
		return model(with(initializer("n", ints([]int64{1}, 5_000_000_000)), initializer("all", ints([]int64{1}, 0))),
			node("ConstantOfShape", names("n"), names("big")), node("ReduceSum", names("big", "all"), names("s")), node("Add", names("x", "s"), names("y")))
	}, fault.ModelLimit, ""},
	{"2 GB, just below what one allocation may ask", func() []byte {
		return model(with(initializer("n", ints([]int64{1}, 500_000_000)), initializer("all", ints([]int64{1}, 0))),
			node("ConstantOfShape", names("n"), names("big")), node("Add", names("big", "big"), names("bigger")),
			node("ReduceMax", names("bigger"), names("s"), onnx.IntAttr("keepdims", 1)), node("Add", names("x", "s"), names("y")))
	}, fault.ModelLimit, ""},
	{"Expand to 40 GB", func() []byte {
		return model(with(initializer("n", ints([]int64{2}, 5_000_000_000, 2))),
			node("Expand", names("x", "n"), names("big")), node("ReduceMax", names("big"), names("y"), onnx.IntsAttr("axes", 0), onnx.IntAttr("keepdims", 0)))
	}, fault.ModelLimit, ""},
	{"endless loop", endless, fault.ModelLimit, fault.EngineNeeded},
	{"cycle", func() []byte {
		return model(nil, node("Add", names("x", "b"), names("a")), node("Add", names("x", "a"), names("b")), node("Identity", names("a"), names("y")))
	}, fault.ModelInvalid, ""},
	{"value made twice", func() []byte {
		return model(nil, node("Add", names("x", "x"), names("y")), node("Mul", names("x", "x"), names("y")))
	}, fault.ModelInvalid, ""},
	{"If nested 3000 deep", func() []byte { return nestedIf(3000) }, fault.ModelInvalid, ""},
	{"If nested 90 deep", func() []byte { return nestedIf(90) }, fault.ModelInvalid, fault.SmokeFailed},
	{"Gather out of range", func() []byte {
		return model(with(initializer("i", ints([]int64{2}, 0, 99))), node("Gather", names("x", "i"), names("y")))
	}, fault.ModelInvalid, ""},
	{"shapes that do not fit", func() []byte {
		return model(with(initializer("w", floats([]int64{3}, 1, 2, 3))), node("Add", names("x", "w"), names("y")))
	}, fault.ModelInvalid, ""},
	{"integer division by zero", func() []byte {
		return model(with(initializer("zero", ints([]int64{2}, 0, 0))), node("Cast", names("x"), names("i"), onnx.IntAttr("to", int64(tensor.Int64))),
			node("Div", names("i", "zero"), names("q")), node("Cast", names("q"), names("y"), onnx.IntAttr("to", int64(tensor.Float32))))
	}, fault.ModelCrash, fault.ModelInvalid},
	{"answers NaN", func() []byte { return model(nil, node("Log", names("x"), names("y"))) }, fault.SmokeFailed, ""},
	{"answers wrongly", func() []byte { return model(nil, node("Mul", names("x", "x"), names("y"))) }, fault.SmokeFailed, ""},
	{"tree with a child that is not there", func() []byte {
		return tree(map[string]any{"nodes_truenodeids": []int64{77, 0, 0}})
	}, fault.ModelInvalid, fault.SmokeFailed},
	{"tree with a wrong feature", func() []byte {
		return tree(map[string]any{"nodes_featureids": []int64{1 << 30, 0, 0}})
	}, fault.ModelInvalid, fault.ModelCrash},
	{"tree with a cycle", func() []byte {
		return tree(map[string]any{"nodes_truenodeids": []int64{0, 0, 0}, "nodes_falsenodeids": []int64{0, 0, 0}})
	}, fault.ModelInvalid, fault.ModelLimit},
	{"tree with arrays of different length", func() []byte {
		return tree(map[string]any{"nodes_values": []float32{.5}})
	}, fault.ModelInvalid, ""},
	{"external data in /etc/passwd", func() []byte { return external("/etc/passwd") }, fault.ModelInvalid, ""},
	{"external data above", func() []byte { return external("../../../../../../etc/passwd") }, fault.ModelInvalid, ""},
	{"external data in an unlisted file", func() []byte { return external("weights.bin") }, fault.ModelInvalid, ""},
}

func external(location string) []byte {
	return model(with(&onnx.Tensor{Name: "w", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}},
		External: []onnx.KeyValue{{Key: "location", Value: location}, {Key: "offset", Value: "0"}, {Key: "length", Value: "8"}}}), node("Add", names("x", "w"), names("y")))
}

func TestBadModelsEndWithTheirOwnReason(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		for _, c := range badModels {
			t.Run(c.name, func(t *testing.T) {
				f := newFolder(t)
				f.add(modelPath, bundle.RoleWeights, c.model())
				f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -5), bundle.Tolerance{})
				job := f.job(spec)
				if job.Timeout = time.Minute; c.name == "endless loop" {
					job.Timeout = 1500 * time.Millisecond
				}
				start := time.Now()
				r, err := inference.Smoke(t.Context(), self(t), job, nil)
				if err != nil {
					t.Fatal(err)
				}
				if r.Passed || r.Reason == "" || r.Code != c.want && (c.or == "" || r.Code != c.or) {
					t.Errorf("code %q, want %q: %s", r.Code, c.want, r.Reason)
				}
				if d := time.Since(start); d > job.Timeout+10*time.Second {
					t.Errorf("took %v", d)
				}
				t.Logf("%s: %.200s", r.Code, r.Reason)
			})
		}
		if r := good(t).smoke(spec); !r.Passed {
			t.Errorf("afterwards a good model fails: %+v", r)
		}
	})
}

// Flipped bits often load and run: only digests and golden cases notice. No flip may do worse than be refused or fail.
func TestFlippedBitsNeverHurtTheParent(t *testing.T) {
	spec := inference.EngineSpec{}
	base := model(with(initializer("w", floats([]int64{2}, 1, 1))), node("Mul", names("x", "w"), names("d")), node("Add", names("d", "x"), names("y")))
	passed := 0
	for i := 0; i < len(base); i += 7 {
		raw := bytes.Clone(base)
		raw[i] ^= 1 << (i % 8)
		f := newFolder(t)
		f.add(modelPath, bundle.RoleWeights, raw)
		f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 2, -5), bundle.Tolerance{})
		r, err := inference.Smoke(t.Context(), self(t), f.job(spec), nil)
		if err != nil || r.Code == fault.ModelCrash {
			t.Errorf("byte %d: %+v %v", i, r, err)
			continue
		}
		if r.Passed {
			passed++
		}
	}
	t.Logf("%d of %d flips went unnoticed by the golden case", passed, (len(base)+6)/7)
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
