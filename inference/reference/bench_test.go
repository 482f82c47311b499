package reference_test

import (
	"math/rand/v2"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/reference"
	"sluice/inference/tensor"
)

func bench(b *testing.B, raw []byte, in map[string]tensor.Value) {
	m, err := reference.Load(raw, reference.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Run(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// A perceptron 32-64-64-3 on one row.
func BenchmarkPerceptron(b *testing.B) {
	c := chance{rand.New(rand.NewPCG(1, 1))}
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Inputs[0], g.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 1, 32), onnx.TensorInfo("y", tensor.Float32, 1, 3)
		g.Initializers = []*onnx.Tensor{constant("w1", c.floats(32, 64)), constant("b1", c.floats(64)), constant("w2", c.floats(64, 64)), constant("b2", c.floats(64)), constant("w3", c.floats(64, 3)), constant("b3", c.floats(3))}
		g.Nodes = []*onnx.Node{
			node("Gemm", []string{"x", "w1", "b1"}, []string{"h1"}), node("Relu", []string{"h1"}, []string{"r1"}), node("Gemm", []string{"r1", "w2", "b2"}, []string{"h2"}),
			node("Relu", []string{"h2"}, []string{"r2"}), node("Gemm", []string{"r2", "w3", "b3"}, []string{"h3"}), node("Softmax", []string{"h3"}, []string{"y"}),
		}
	})
	bench(b, raw, map[string]tensor.Value{"x": {Tensor: c.floats(1, 32)}})
}

// An LSTM of 64 cells over 30 steps of 16 features.
func BenchmarkLSTM(b *testing.B) {
	c := chance{rand.New(rand.NewPCG(1, 1))}
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Inputs[0], g.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 30, 1, 16), onnx.TensorInfo("y", tensor.Float32, 1, 1, 64)
		g.Initializers = []*onnx.Tensor{constant("w", c.floats(1, 256, 16)), constant("r", c.floats(1, 256, 64)), constant("b", c.floats(1, 512))}
		g.Nodes = []*onnx.Node{node("LSTM", []string{"x", "w", "r", "b"}, []string{"", "y"}, onnx.IntAttr("hidden_size", 64))}
	})
	bench(b, raw, map[string]tensor.Value{"x": {Tensor: c.floats(30, 1, 16)}})
}

// A product of two matrices of 256 × 256.
func BenchmarkMatMul(b *testing.B) {
	c := chance{rand.New(rand.NewPCG(1, 1))}
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Inputs[0], g.Outputs[0] = onnx.TensorInfo("x", tensor.Float32, 256, 256), onnx.TensorInfo("y", tensor.Float32, 256, 256)
		g.Nodes = []*onnx.Node{node("MatMul", []string{"x", "x"}, []string{"y"})}
	})
	bench(b, raw, map[string]tensor.Value{"x": {Tensor: c.floats(256, 256)}})
}

// Random trees on eight rows.
func BenchmarkTrees(b *testing.B) {
	c := chance{rand.New(rand.NewPCG(1, 1))}
	raw, in := generators["TreeEnsembleRegressor"](c).model()
	bench(b, raw, in)
}
