package ort_test

import (
	"context"
	"maps"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/tensor"
)

func branch(op, out string) *onnx.Graph {
	return &onnx.Graph{Name: op, Nodes: []*onnx.Node{{OpType: op, Inputs: []string{"x"}, Outputs: []string{out}}},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo(out, tensor.Float32, 2)}}
}

// The library itself says where each node of the optimized graph runs, those in branches too.
func TestPlacementIsTheLibrarysOwnWord(t *testing.T) {
	l := library(t)
	chain := model(&onnx.Graph{
		Nodes: []*onnx.Node{{OpType: "Sqrt", Inputs: []string{"x"}, Outputs: []string{"a"}}, {OpType: "Erf", Inputs: []string{"a"}, Outputs: []string{"b"}},
			{OpType: "Neg", Inputs: []string{"b"}, Outputs: []string{"y"}}},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 2)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 2)},
	})
	branches := model(&onnx.Graph{
		Nodes: []*onnx.Node{{OpType: "If", Inputs: []string{"c"}, Outputs: []string{"y"},
			Attributes: []*onnx.Attribute{onnx.GraphAttr("then_branch", branch("Sqrt", "a")), onnx.GraphAttr("else_branch", branch("Erf", "b"))}}},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("c", tensor.Bool), onnx.TensorInfo("x", tensor.Float32, 2)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 2)},
	})
	constant := model(&onnx.Graph{
		Nodes:   []*onnx.Node{{OpType: "Constant", Outputs: []string{"y"}, Attributes: []*onnx.Attribute{onnx.TensorAttr("value", &onnx.Tensor{Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{1}, Raw: f32(1)}})}}},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 1)},
	})
	for name, c := range map[string]struct {
		raw  []byte
		want map[string]int
	}{
		"three nodes": {chain, map[string]int{"cpu": 3}},
		"branches":    {branches, map[string]int{"cpu": 3}},
		"no node":     {constant, map[string]int{}},
	} {
		// Several threads, so that the log function is also called from threads that are not Go's.
		s, err := l.Open(c.raw, ort.Options{Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Placement(); got == nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if name == "three nodes" {
			if _, err := s.Run(context.Background(), map[string]tensor.Value{"x": {Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: f32(1, 4)}}}); err != nil {
				t.Error(err)
			}
		}
		s.Close()
		if s.Placement() == nil {
			t.Errorf("%s: the placement is forgotten", name)
		}
	}
}
