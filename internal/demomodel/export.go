package demomodel

import (
	"encoding/binary"
	"math"

	"sluice/inference/onnx"
	"sluice/inference/tensor"
)

// Names of the models' inputs and outputs.
const (
	InputName    = "features"
	OutputName   = "probabilities"
	ForecastName = "volatility"
)

const (
	irVersion  = 8
	opset      = 13 // the newest that each operator used here had
	mlOpset    = 3
	batchName  = "batch"
	producer   = "sluice demomodel"
	domainML   = "ai.onnx.ml"
	batchOpen  = -1
	modelIntro = "Demonstration only, trained on synthetic prices; see the model card."
)

// graph collects nodes and constants.
type graph struct{ g onnx.Graph }

func newGraph(name, output string, outputs int64) *graph {
	info := func(name string, n int64) onnx.ValueInfo {
		v := onnx.TensorInfo(name, tensor.Float32, batchOpen, n)
		v.Type.Dims[0].Param = batchName
		return v
	}
	return &graph{onnx.Graph{Name: name, Inputs: []onnx.ValueInfo{info(InputName, Features)}, Outputs: []onnx.ValueInfo{info(output, outputs)}}}
}

func (g *graph) node(op string, in []string, out []string, attrs ...*onnx.Attribute) {
	g.g.Nodes = append(g.g.Nodes, &onnx.Node{Name: out[0], OpType: op, Inputs: in, Outputs: out, Attributes: attrs})
}

func (g *graph) constant(name string, t tensor.Tensor) string {
	g.g.Initializers = append(g.g.Initializers, &onnx.Tensor{Name: name, Value: t})
	return name
}

func (g *graph) floats(name string, v []float64, shape ...int64) string {
	return g.constant(name, floatTensor(v, shape...))
}

func (g *graph) model(domains ...onnx.Opset) []byte {
	return onnx.Marshal(&onnx.Model{
		IRVersion: irVersion, ProducerName: producer, ModelVersion: 1, Doc: modelIntro, Graph: &g.g,
		Opsets: append([]onnx.Opset{{Version: opset}}, domains...),
	})
}

// floatTensor makes a float32 tensor; the values are rounded.
func floatTensor(v []float64, shape ...int64) tensor.Tensor {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
	}
	return tensor.Tensor{DType: tensor.Float32, Shape: append([]int64{}, shape...), Raw: raw}
}

// standardise adds the nodes that the fp32 and the int8 graph share and returns their result's name.
func (g *graph) standardise(mean, scale [Features]float64) string {
	g.node("Sub", []string{InputName, g.floats("mean", mean[:], Features)}, []string{"centred"})
	g.node("Mul", []string{"centred", g.floats("scale", scale[:], Features)}, []string{"scaled"})
	g.node("Clip", []string{"scaled", g.floats("clip_low", []float64{-clipAt}), g.floats("clip_high", []float64{clipAt})}, []string{"clipped"})
	return "clipped"
}

// ONNX is the classifier with float32 weights.
func (c *Classifier) ONNX() []byte {
	g := newGraph("market-regime-fp32", OutputName, Regimes)
	x := g.standardise(c.Mean, c.Scale)
	for i, l := range c.layers {
		n := string(rune('1' + i))
		w := g.floats("weight_"+n, l.w, int64(l.out), int64(l.in))
		b := g.floats("bias_"+n, l.b, int64(l.out))
		g.node("Gemm", []string{x, w, b}, []string{"dense_" + n}, onnx.IntAttr("transB", 1))
		x = g.relu("dense_"+n, i < len(c.layers)-1)
	}
	g.node("Softmax", []string{x}, []string{OutputName}, onnx.IntAttr("axis", -1))
	return g.model()
}

func (g *graph) relu(x string, wanted bool) string {
	if !wanted {
		return x
	}
	g.node("Relu", []string{x}, []string{x + "_relu"})
	return x + "_relu"
}

// ONNX is the classifier with int8 weights and activations quantized at run time.
func (q *Quantized) ONNX() []byte {
	g := newGraph("market-regime-int8", OutputName, Regimes)
	x := g.standardise(q.Mean, q.Scale)
	for i, l := range q.layers {
		n := string(rune('1' + i))
		turned := make([]byte, len(l.q)) // MatMulInteger wants one row an input
		for o := range l.out {
			for in := range l.in {
				turned[in*l.out+o] = byte(l.q[o*l.in+in])
			}
		}
		w := g.constant("weight_"+n, tensor.Tensor{DType: tensor.Int8, Shape: []int64{int64(l.in), int64(l.out)}, Raw: turned})
		s := g.floats("weight_scale_"+n, l.scale, int64(l.out))
		b := g.floats("bias_"+n, l.b, int64(l.out))
		g.node("DynamicQuantizeLinear", []string{x}, []string{"q_" + n, "q_scale_" + n, "q_zero_" + n})
		g.node("MatMulInteger", []string{"q_" + n, w, "q_zero_" + n}, []string{"sum_" + n})
		g.node("Cast", []string{"sum_" + n}, []string{"sum_float_" + n}, onnx.IntAttr("to", int64(tensor.Float32)))
		g.node("Mul", []string{"q_scale_" + n, s}, []string{"unit_" + n})
		g.node("Mul", []string{"sum_float_" + n, "unit_" + n}, []string{"product_" + n})
		g.node("Add", []string{"product_" + n, b}, []string{"dense_" + n})
		x = g.relu("dense_"+n, i < len(q.layers)-1)
	}
	g.node("Softmax", []string{x}, []string{OutputName}, onnx.IntAttr("axis", -1))
	return g.model()
}

// ONNX is the forecaster as one TreeEnsembleRegressor.
func (f *Forecaster) ONNX() []byte {
	var trees, ids, features, yes, no, leafTrees, leafIDs, leafTargets []int64
	var thresholds, weights []float32
	var modes []string
	for t, nodes := range f.Trees {
		for i, n := range nodes {
			trees, ids = append(trees, int64(t)), append(ids, int64(i))
			features, thresholds = append(features, int64(n.Feature)), append(thresholds, float32(n.Threshold))
			yes, no = append(yes, int64(n.Left)), append(no, int64(n.Right))
			if n.Left != 0 {
				modes = append(modes, "BRANCH_LEQ")
				continue
			}
			modes = append(modes, "LEAF")
			leafTrees, leafIDs, leafTargets = append(leafTrees, int64(t)), append(leafIDs, int64(i)), append(leafTargets, 0)
			weights = append(weights, float32(n.Value))
		}
	}
	g := newGraph("volatility-trees", ForecastName, 1)
	g.g.Nodes = append(g.g.Nodes, &onnx.Node{
		Name: "trees", OpType: "TreeEnsembleRegressor", Domain: domainML, Inputs: []string{InputName}, Outputs: []string{ForecastName},
		Attributes: []*onnx.Attribute{
			onnx.StringAttr("aggregate_function", "SUM"), onnx.FloatsAttr("base_values", float32(f.Base)), onnx.IntAttr("n_targets", 1),
			onnx.IntsAttr("nodes_falsenodeids", no...), onnx.IntsAttr("nodes_featureids", features...), onnx.StringsAttr("nodes_modes", modes...),
			onnx.IntsAttr("nodes_nodeids", ids...), onnx.IntsAttr("nodes_treeids", trees...), onnx.IntsAttr("nodes_truenodeids", yes...),
			onnx.FloatsAttr("nodes_values", thresholds...), onnx.StringAttr("post_transform", "NONE"), onnx.IntsAttr("target_ids", leafTargets...),
			onnx.IntsAttr("target_nodeids", leafIDs...), onnx.IntsAttr("target_treeids", leafTrees...), onnx.FloatsAttr("target_weights", weights...),
		},
	})
	return g.model(onnx.Opset{Domain: domainML, Version: mlOpset})
}
