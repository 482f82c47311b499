package reference_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/reference"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/testort"
)

// fullRuntime loads ONNX Runtime, or skips.
func fullRuntime(t *testing.T) *ort.Library {
	t.Helper()
	l, err := ort.Load(testort.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// chance makes random models.
type chance struct{ *rand.Rand }

func (c chance) pick(of ...string) string { return of[c.IntN(len(of))] }
func (c chance) num(of ...int64) int64    { return of[c.IntN(len(of))] }
func (c chance) maybe() bool              { return c.IntN(2) == 0 }

func (c chance) floats(shape ...int64) *tensor.Tensor {
	x := make([]float32, tensor.Elements(shape))
	for i := range x {
		x[i] = float32(math.Round(c.NormFloat64()*64) / 32) // ties and equal numbers happen
	}
	return floatsOf(shape, x...)
}

func (c chance) bytes(d tensor.DType, shape ...int64) *tensor.Tensor {
	t := &tensor.Tensor{DType: d, Shape: shape, Raw: make([]byte, tensor.Elements(shape))}
	for i := range t.Raw {
		t.Raw[i] = byte(c.IntN(256))
	}
	return t
}

// random is a model of one node: its inputs are constants but for the first, which a run feeds.
type random struct {
	opset, ml int64
	node      *onnx.Node
	in        []*tensor.Tensor // nil: left out
	out       []onnx.ValueInfo
}

func float(name string) onnx.ValueInfo {
	return onnx.ValueInfo{Name: name, Type: onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}}
}

func typed(name string, d tensor.DType) onnx.ValueInfo {
	return onnx.ValueInfo{Name: name, Type: onnx.Type{Kind: onnx.KindTensor, Elem: d}}
}

func (r *random) model() ([]byte, map[string]tensor.Value) {
	m := &onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: r.opset}}, Graph: &onnx.Graph{Name: "random", Nodes: []*onnx.Node{r.node}, Outputs: r.out}}
	if r.ml > 0 {
		m.Opsets = append(m.Opsets, onnx.Opset{Domain: "ai.onnx.ml", Version: r.ml})
		r.node.Domain = "ai.onnx.ml"
	}
	r.node.Inputs = nil
	for i, t := range r.in {
		if t == nil {
			r.node.Inputs = append(r.node.Inputs, "")
			continue
		}
		name := fmt.Sprintf("i%d", i)
		r.node.Inputs = append(r.node.Inputs, name)
		if i > 0 {
			m.Graph.Initializers = append(m.Graph.Initializers, constant(name, t))
		} else {
			m.Graph.Inputs = []onnx.ValueInfo{onnx.TensorInfo(name, t.DType, t.Shape...)}
		}
	}
	r.node.Outputs = nil
	for _, o := range r.out {
		r.node.Outputs = append(r.node.Outputs, o.Name)
	}
	return onnx.Marshal(m), map[string]tensor.Value{"i0": {Tensor: r.in[0]}}
}

// forest draws trees: attributes of TreeEnsembleClassifier or TreeEnsembleRegressor.
func (c chance) forest(prefix string, targets func() int64, weight func() float32) []*onnx.Attribute {
	var trees, nodes, features, yes, no, missing, wt, wn, wi []int64
	var values, weights []float32
	var modes []string
	sameMode := c.pick("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "")
	for tree := range int64(1 + c.IntN(6)) {
		next := int64(0)
		var grow func(depth int) int64
		grow = func(depth int) int64 {
			id := next
			next++
			at := len(nodes)
			trees, nodes, features = append(trees, tree), append(nodes, id), append(features, int64(c.IntN(4)))
			values, missing = append(values, float32(math.Round(c.NormFloat64()*8)/8)), append(missing, int64(c.IntN(2)))
			yes, no, modes = append(yes, 0), append(no, 0), append(modes, "LEAF")
			if depth == 0 || depth < 3 && c.IntN(4) == 0 {
				wt, wn, wi, weights = append(wt, tree), append(wn, id), append(wi, targets()), append(weights, weight())
				return id
			}
			modes[at] = sameMode
			if sameMode == "" {
				modes[at] = c.pick("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
			}
			yes[at] = grow(depth - 1)
			no[at] = grow(depth - 1)
			return id
		}
		grow(3)
	}
	a := []*onnx.Attribute{
		onnx.IntsAttr("nodes_treeids", trees...), onnx.IntsAttr("nodes_nodeids", nodes...), onnx.IntsAttr("nodes_featureids", features...), onnx.StringsAttr("nodes_modes", modes...),
		onnx.FloatsAttr("nodes_values", values...), onnx.IntsAttr("nodes_truenodeids", yes...), onnx.IntsAttr("nodes_falsenodeids", no...),
		onnx.IntsAttr(prefix+"_treeids", wt...), onnx.IntsAttr(prefix+"_nodeids", wn...), onnx.IntsAttr(prefix+"_ids", wi...), onnx.FloatsAttr(prefix+"_weights", weights...),
	}
	if c.maybe() {
		a = append(a, onnx.IntsAttr("nodes_missing_value_tracks_true", missing...))
	}
	return a
}

func (c chance) rows() *tensor.Tensor {
	x := c.floats(8, 4)
	for range 3 {
		copy(x.Raw[4*c.IntN(32):], []byte{0, 0, 0xc0, 0x7f}) // not a number
	}
	return x
}

var generators = map[string]func(c chance) *random{
	"TreeEnsembleRegressor": func(c chance) *random {
		n := c.num(1, 1, 3)
		a := append(c.forest("target", func() int64 { return c.Int64N(n) }, func() float32 { return float32(c.NormFloat64()) }), onnx.IntAttr("n_targets", n), onnx.StringAttr("aggregate_function", c.pick("SUM", "AVERAGE", "MIN", "MAX")))
		if c.maybe() {
			a = append(a, onnx.StringAttr("post_transform", c.pick("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")))
		}
		if c.maybe() {
			a = append(a, onnx.FloatsAttr("base_values", []float32{0.5, -1, 2}[:n]...))
		}
		return &random{18, c.num(1, 3), node("TreeEnsembleRegressor", nil, nil, a...), []*tensor.Tensor{c.rows()}, []onnx.ValueInfo{float("y")}}
	},
	"TreeEnsembleClassifier": func(c chance) *random {
		n := c.num(2, 2, 3, 4)
		only := c.maybe() && n == 2
		positive := c.maybe()
		a := c.forest("class", func() int64 {
			if only {
				return 0
			}
			return c.Int64N(n)
		}, func() float32 {
			w := c.NormFloat64() / 3
			if positive {
				w = math.Abs(w)
			}
			return float32(w)
		})
		a = append(a, onnx.StringAttr("post_transform", c.pick("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")))
		if c.maybe() {
			a = append(a, onnx.FloatsAttr("base_values", []float32{0.25, -0.5, 0.125, 0.1}[:c.num(1, n)]...))
		}
		label := tensor.Int64
		if c.maybe() {
			label = tensor.String
			a = append(a, onnx.StringsAttr("classlabels_strings", []string{"a", "b", "c", "d"}[:n]...))
		} else {
			a = append(a, onnx.IntsAttr("classlabels_int64s", []int64{0, 1, 2, 3}[:n]...))
		}
		return &random{18, c.num(1, 3), node("TreeEnsembleClassifier", nil, nil, a...), []*tensor.Tensor{c.rows()}, []onnx.ValueInfo{typed("label", label), float("p")}}
	},
	"Scaler": func(c chance) *random {
		n := c.num(1, 4)
		return &random{18, 1, node("Scaler", nil, nil, onnx.FloatsAttr("offset", []float32{1, 2, 3, 4}[:n]...), onnx.FloatsAttr("scale", []float32{0.5, 2, -1, 0}[:n]...)), []*tensor.Tensor{c.floats(3, 4)}, []onnx.ValueInfo{float("y")}}
	},
	"Normalizer": func(c chance) *random {
		return &random{18, 1, node("Normalizer", nil, nil, onnx.StringAttr("norm", c.pick("MAX", "L1", "L2"))), []*tensor.Tensor{c.floats(3, 2)}, []onnx.ValueInfo{float("y")}}
	},
	"LinearRegressor": func(c chance) *random {
		a := []*onnx.Attribute{onnx.IntAttr("targets", 2), onnx.FloatsAttr("coefficients", 1, 2, 3, 4, 5, 6)}
		if c.maybe() {
			a = append(a, onnx.FloatsAttr("intercepts", 7, 8))
		}
		return &random{18, 1, node("LinearRegressor", nil, nil, a...), []*tensor.Tensor{c.floats(4, 3)}, []onnx.ValueInfo{float("y")}}
	},
	"Reduce": func(c chance) *random {
		op := c.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
		r := &random{c.num(9, 11, 13, 18, 20), 0, node(op, nil, nil, onnx.IntAttr("keepdims", c.num(0, 1))), []*tensor.Tensor{c.floats(2, 3, 4)}, []onnx.ValueInfo{float("y")}}
		axes := [][]int64{{0}, {1}, {-1}, {0, 2}, {1, 2}, {0, 1, 2}}[c.IntN(6)]
		switch {
		case c.IntN(4) == 0:
		case r.opset >= 18 || r.opset >= 13 && op == "ReduceSum":
			r.in = append(r.in, intsOf([]int64{int64(len(axes))}, axes...))
		default:
			r.node.Attributes = append(r.node.Attributes, onnx.IntsAttr("axes", axes...))
		}
		return r
	},
	"Softmax": func(c chance) *random {
		r := &random{c.num(7, 11, 12, 13, 18), 0, node(c.pick("Softmax", "LogSoftmax", "Hardmax"), nil, nil), []*tensor.Tensor{c.floats(2, 3, 4)}, []onnx.ValueInfo{float("y")}}
		if c.maybe() {
			r.node.Attributes = []*onnx.Attribute{onnx.IntAttr("axis", c.num(0, 1, 2))}
		}
		return r
	},
	"TopK": func(c chance) *random {
		r := &random{c.num(9, 10, 11, 18), 0, node("TopK", nil, nil, onnx.IntAttr("axis", c.num(0, 1, 2))), []*tensor.Tensor{c.floats(3, 3, 4)}, []onnx.ValueInfo{float("y"), typed("i", tensor.Int64)}}
		if r.opset < 10 {
			r.node.Attributes = append(r.node.Attributes, onnx.IntAttr("k", 2))
		} else {
			r.in = append(r.in, intsOf([]int64{1}, 2))
		}
		if r.opset >= 11 {
			r.node.Attributes = append(r.node.Attributes, onnx.IntAttr("largest", c.num(0, 1)))
		}
		return r
	},
	"Pool": func(c chance) *random {
		r := &random{c.num(7, 8, 10, 11, 12, 18, 19, 21), 0, node(c.pick("MaxPool", "AveragePool"), nil, nil, onnx.IntsAttr("kernel_shape", 2, 3), onnx.IntsAttr("strides", c.num(1, 2), c.num(1, 2, 3))), []*tensor.Tensor{c.floats(2, 2, 7, 8)}, []onnx.ValueInfo{float("y")}}
		a := &r.node.Attributes
		switch c.IntN(4) {
		case 0:
			*a = append(*a, onnx.StringAttr("auto_pad", c.pick("SAME_UPPER", "SAME_LOWER", "VALID")))
		case 1, 2:
			*a = append(*a, onnx.IntsAttr("pads", c.num(0, 1), c.num(0, 1, 2), c.num(0, 1), c.num(0, 1, 2)))
		}
		if r.opset >= 10 && c.maybe() {
			*a = append(*a, onnx.IntAttr("ceil_mode", 1))
		}
		if r.node.OpType == "AveragePool" {
			*a = append(*a, onnx.IntAttr("count_include_pad", c.num(0, 1)))
			if r.opset >= 19 && c.maybe() {
				*a = append(*a, onnx.IntsAttr("dilations", c.num(1, 2), c.num(1, 2)))
			}
			return r
		}
		if r.opset >= 10 && c.maybe() {
			*a = append(*a, onnx.IntsAttr("dilations", c.num(1, 2), c.num(1, 2)))
		}
		if r.opset >= 8 && c.maybe() {
			r.out = append(r.out, typed("i", tensor.Int64))
			*a = append(*a, onnx.IntAttr("storage_order", c.num(0, 0, 1)))
		}
		return r
	},
	"Conv": func(c chance) *random {
		g := c.num(1, 2)
		r := &random{c.num(7, 11, 18), 0, node("Conv", nil, nil, onnx.IntAttr("group", g), onnx.IntsAttr("strides", c.num(1, 2), c.num(1, 2)), onnx.IntsAttr("dilations", c.num(1, 2), 1)), []*tensor.Tensor{c.floats(2, 4, 7, 6), c.floats(6, 4/g, 3, 2)}, []onnx.ValueInfo{float("y")}}
		if c.maybe() {
			r.in = append(r.in, c.floats(6))
		}
		switch c.IntN(3) {
		case 0:
			r.node.Attributes[2] = onnx.StringAttr("auto_pad", c.pick("SAME_UPPER", "SAME_LOWER", "VALID"))
		case 1:
			r.node.Attributes = append(r.node.Attributes, onnx.IntsAttr("pads", c.num(0, 1), c.num(0, 1), c.num(0, 1), c.num(0, 2)))
		}
		return r
	},
	"Gemm": func(c chance) *random {
		ta, tb := c.num(0, 1), c.num(0, 1)
		a, b := c.floats(3, 5), c.floats(5, 4)
		if ta == 1 {
			a = c.floats(5, 3)
		}
		if tb == 1 {
			b = c.floats(4, 5)
		}
		r := &random{c.num(7, 9, 11, 13), 0, node("Gemm", nil, nil, onnx.IntAttr("transA", ta), onnx.IntAttr("transB", tb), onnx.FloatAttr("alpha", float32(c.num(0, 1, 2))), onnx.FloatAttr("beta", float32(c.num(0, 1, 3)))), []*tensor.Tensor{a, b}, []onnx.ValueInfo{float("y")}}
		if r.opset < 11 || c.maybe() {
			r.in = append(r.in, c.floats([][]int64{{}, {1}, {4}, {1, 4}, {3, 1}, {3, 4}}[c.IntN(6)]...))
		}
		return r
	},
	"MatMul": func(c chance) *random {
		s := [][2][]int64{{{3, 4}, {4, 5}}, {{4}, {4, 5}}, {{3, 4}, {4}}, {{4}, {4}}, {{2, 1, 3, 4}, {5, 4, 2}}, {{3, 4}, {2, 4, 1}}}[c.IntN(6)]
		return &random{c.num(7, 9, 13), 0, node("MatMul", nil, nil), []*tensor.Tensor{c.floats(s[0]...), c.floats(s[1]...)}, []onnx.ValueInfo{float("y")}}
	},
	"Pad": func(c chance) *random {
		r := &random{c.num(7, 10, 11, 13, 18, 19), 0, node("Pad", nil, nil, onnx.StringAttr("mode", c.pick("constant", "reflect", "edge"))), []*tensor.Tensor{c.floats(3, 4)}, []onnx.ValueInfo{float("y")}}
		pads := []int64{c.num(0, 1, 2), c.num(0, 1, -1), c.num(0, 1, 2), c.num(0, 3, -1)}
		if r.opset < 11 {
			r.node.Attributes = append(r.node.Attributes, onnx.IntsAttr("pads", pads...), onnx.FloatAttr("value", 1.5))
			return r
		}
		r.in = append(r.in, intsOf([]int64{4}, pads...))
		if c.maybe() {
			r.in = append(r.in, floatsOf(nil, 2.5))
		}
		return r
	},
	"Slice": func(c chance) *random {
		r := &random{c.num(7, 10, 11, 13), 0, node("Slice", nil, nil), []*tensor.Tensor{c.floats(5, 6)}, []onnx.ValueInfo{float("y")}}
		starts := []int64{c.num(0, 1, -2, -9, 4, 9), c.num(0, 2, -1, 5)}
		ends := []int64{c.num(0, 3, -1, math.MaxInt64, math.MinInt64), c.num(6, 1, -3, 99)}
		if r.opset < 10 {
			r.node.Attributes = []*onnx.Attribute{onnx.IntsAttr("starts", starts...), onnx.IntsAttr("ends", ends...)}
			return r
		}
		r.in = append(r.in, intsOf([]int64{2}, starts...), intsOf([]int64{2}, ends...), intsOf([]int64{2}, 1, -2), intsOf([]int64{2}, c.num(1, 2, -1, -2), c.num(1, 3, -1, math.MaxInt64)))
		return r
	},
	"Split": func(c chance) *random {
		r := &random{c.num(11, 13, 18), 0, node("Split", nil, nil, onnx.IntAttr("axis", c.num(1, -1))), []*tensor.Tensor{c.floats(2, 6)}, []onnx.ValueInfo{float("a"), float("b")}}
		switch {
		case c.maybe() && r.opset < 13:
			r.node.Attributes = append(r.node.Attributes, onnx.IntsAttr("split", 2, 4))
		case r.opset == 18:
			r.node.Attributes = append(r.node.Attributes, onnx.IntAttr("num_outputs", 2))
			r.in[0] = c.floats(2, c.num(5, 6))
		case c.maybe() && r.opset >= 13:
			r.in = append(r.in, intsOf([]int64{2}, 5, 1))
		}
		return r
	},
	"QuantizeLinear": func(c chance) *random {
		d := []tensor.DType{tensor.Int8, tensor.Uint8}[c.IntN(2)]
		r := &random{c.num(10, 13, 19, 21), 0, node("QuantizeLinear", nil, nil), []*tensor.Tensor{c.floats(3, 4), floatsOf(nil, 0.0625), c.bytes(d)}, []onnx.ValueInfo{typed("y", d)}}
		if r.opset >= 13 && c.maybe() {
			r.in[1], r.in[2] = floatsOf([]int64{4}, 0.5, 0.25, 0.125, 0.03), c.bytes(d, 4)
		}
		return r
	},
	"DequantizeLinear": func(c chance) *random {
		d := []tensor.DType{tensor.Int8, tensor.Uint8}[c.IntN(2)]
		r := &random{c.num(10, 13, 19, 21), 0, node("DequantizeLinear", nil, nil), []*tensor.Tensor{c.bytes(d, 3, 4), floatsOf(nil, 0.0625), c.bytes(d)}, []onnx.ValueInfo{float("y")}}
		if r.opset >= 13 && c.maybe() {
			r.in[1], r.in[2] = floatsOf([]int64{4}, 0.5, 0.25, 0.125, 0.03), c.bytes(d, 4)
		}
		return r
	},
	"DynamicQuantizeLinear": func(c chance) *random {
		return &random{11, 0, node("DynamicQuantizeLinear", nil, nil), []*tensor.Tensor{c.floats(c.num(1, 2, 7), 3)}, []onnx.ValueInfo{typed("y", tensor.Uint8), float("s"), typed("z", tensor.Uint8)}}
	},
	"MatMulInteger": func(c chance) *random {
		a, b := []tensor.DType{tensor.Int8, tensor.Uint8}[c.IntN(2)], []tensor.DType{tensor.Int8, tensor.Uint8}[c.IntN(2)]
		r := &random{10, 0, node("MatMulInteger", nil, nil), []*tensor.Tensor{c.bytes(a, 3, 5), c.bytes(b, 5, 4)}, []onnx.ValueInfo{typed("y", tensor.Int32)}}
		if testort.Saturates() { // seven bits do not
			for i, v := range r.in[1].Raw {
				if r.in[1].Raw[i] = v & 0x7f; b == tensor.Int8 {
					r.in[1].Raw[i] = v&0x7f - 64
				}
			}
		}
		if c.maybe() {
			r.in = append(r.in, c.bytes(a), c.bytes(b, [][]int64{{}, {4}}[c.IntN(2)]...))
		}
		return r
	},
	"QLinearMatMul": func(c chance) *random {
		d := []tensor.DType{tensor.Int8, tensor.Uint8}[c.IntN(2)]
		return &random{c.num(10, 13), 0, node("QLinearMatMul", nil, nil), []*tensor.Tensor{c.bytes(d, 3, 5), floatsOf(nil, 0.01), c.bytes(d), c.bytes(d, 5, 4), floatsOf(nil, 0.02), c.bytes(d), floatsOf(nil, 0.37), c.bytes(d)}, []onnx.ValueInfo{typed("y", d)}}
	},
	"QLinearConv": func(c chance) *random {
		return &random{10, 0, node("QLinearConv", nil, nil, onnx.IntsAttr("pads", 1, 1, 0, 1), onnx.IntAttr("group", 2)),
			[]*tensor.Tensor{c.bytes(tensor.Uint8, 1, 4, 5, 5), floatsOf(nil, 0.01), c.bytes(tensor.Uint8), c.bytes(tensor.Uint8, 2, 2, 3, 3), floatsOf(nil, 0.03), c.bytes(tensor.Uint8), floatsOf(nil, 0.71), c.bytes(tensor.Uint8)}, []onnx.ValueInfo{typed("y", tensor.Uint8)}}
	},
	"ConvInteger": func(c chance) *random {
		return &random{10, 0, node("ConvInteger", nil, nil, onnx.IntsAttr("pads", 1, 1, 0, 1)), []*tensor.Tensor{c.bytes(tensor.Uint8, 1, 2, 5, 5), c.bytes(tensor.Uint8, 3, 2, 3, 3), c.bytes(tensor.Uint8), c.bytes(tensor.Uint8)}, []onnx.ValueInfo{typed("y", tensor.Int32)}}
	},
	"Recurrent": func(c chance) *random {
		op := c.pick("RNN", "GRU", "LSTM")
		gates := map[string]int64{"RNN": 1, "GRU": 3, "LSTM": 4}[op]
		dir := c.pick("forward", "reverse", "bidirectional")
		d, h, in, b, steps := int64(1), int64(3), int64(2), int64(2), int64(4)
		if dir == "bidirectional" {
			d = 2
		}
		r := &random{c.num(7, 14), 0, node(op, nil, nil, onnx.IntAttr("hidden_size", h), onnx.StringAttr("direction", dir)), []*tensor.Tensor{c.floats(steps, b, in), c.floats(d, gates*h, in), c.floats(d, gates*h, h), nil, nil, nil},
			[]onnx.ValueInfo{float("y"), float("h")}}
		if c.maybe() {
			r.in[3] = c.floats(d, 2*gates*h)
		}
		if c.maybe() {
			r.in[4] = &tensor.Tensor{DType: tensor.Int32, Shape: []int64{2}, Raw: []byte{byte(1 + c.IntN(4)), 0, 0, 0, byte(1 + c.IntN(4)), 0, 0, 0}}
		}
		if c.maybe() {
			r.in[5] = c.floats(d, b, h)
		}
		switch op {
		case "GRU":
			r.node.Attributes = append(r.node.Attributes, onnx.IntAttr("linear_before_reset", c.num(0, 1)))
		case "LSTM":
			r.out = append(r.out, float("c"))
			if c.maybe() {
				r.in = append(r.in, c.floats(d, b, h))
				if c.maybe() {
					r.in = append(r.in, c.floats(d, 3*h))
				}
			}
		case "RNN":
			if c.maybe() {
				r.node.Attributes = append(r.node.Attributes, onnx.StringsAttr("activations", slices.Repeat([]string{c.pick("Relu", "Tanh", "Sigmoid")}, int(d))...))
			}
		}
		for len(r.in) > 0 && r.in[len(r.in)-1] == nil {
			r.in = r.in[:len(r.in)-1]
		}
		return r
	},
	"Normalization": func(c chance) *random {
		switch c.IntN(4) {
		case 0:
			positive := floatsOf([]int64{3}, 0.5, 1, 2)
			return &random{c.num(7, 9, 14, 15), 0, node("BatchNormalization", nil, nil, onnx.FloatAttr("epsilon", 0.01)), []*tensor.Tensor{c.floats(2, 3, 4), c.floats(3), c.floats(3), c.floats(3), positive}, []onnx.ValueInfo{float("y")}}
		case 1:
			return &random{8, 0, node("InstanceNormalization", nil, nil), []*tensor.Tensor{c.floats(2, 3, 4), c.floats(3), c.floats(3)}, []onnx.ValueInfo{float("y")}}
		case 2:
			return &random{17, 0, node("LayerNormalization", nil, nil, onnx.IntAttr("axis", -1)), []*tensor.Tensor{c.floats(2, 3, 4), c.floats(4), c.floats(4)}, []onnx.ValueInfo{float("y"), float("m"), float("s")}}
		}
		return &random{13, 0, node("LRN", nil, nil, onnx.IntAttr("size", c.num(1, 3)), onnx.FloatAttr("alpha", 0.1)), []*tensor.Tensor{c.floats(2, 5, 3, 2)}, []onnx.ValueInfo{float("y")}}
	},
	"Function": func(c chance) *random {
		op := c.pick("Elu", "Selu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu", "Softplus", "Softsign", "Sigmoid", "Tanh", "Erf", "Round", "Floor", "Ceil", "Sign", "Abs", "Neg", "Reciprocal", "Exp", "Log", "Sqrt", "Relu", "Mish", "HardSwish", "Shrink", "Identity", "IsNaN", "Gelu")
		r := &random{20, 0, node(op, nil, nil), []*tensor.Tensor{c.floats(20)}, []onnx.ValueInfo{float("y")}}
		if op == "IsNaN" {
			r.out[0] = typed("y", tensor.Bool)
		}
		return r
	},
	"Clip": func(c chance) *random {
		if c.maybe() {
			return &random{c.num(7, 10), 0, node("Clip", nil, nil, onnx.FloatAttr("min", -0.5)), []*tensor.Tensor{c.floats(9)}, []onnx.ValueInfo{float("y")}}
		}
		return &random{c.num(11, 13), 0, node("Clip", nil, nil), []*tensor.Tensor{c.floats(9), nil, floatsOf(nil, 0.25)}, []onnx.ValueInfo{float("y")}}
	},
	"Arithmetic": func(c chance) *random {
		s := [][2][]int64{{{3, 4}, {4}}, {{3, 1}, {1, 4}}, {{}, {2, 2}}, {{2, 3}, {2, 3}}, {{2, 1, 3}, {4, 1}}}[c.IntN(5)]
		r := &random{c.num(8, 13), 0, node(c.pick("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", "PRelu"), nil, nil), []*tensor.Tensor{c.floats(s[0]...), c.floats(s[1]...)}, []onnx.ValueInfo{float("y")}}
		if r.node.OpType == "PRelu" {
			r.in = []*tensor.Tensor{c.floats(2, 3, 4), c.floats(3, 1)}
		}
		return r
	},
	"Unsqueeze": func(c chance) *random {
		op := c.pick("Squeeze", "Unsqueeze")
		r := &random{c.num(9, 11, 13), 0, node(op, nil, nil), []*tensor.Tensor{c.floats(1, 3, 1)}, []onnx.ValueInfo{float("y")}}
		axes := [][]int64{{0, 2}, {0}, {2}}[c.IntN(3)]
		if r.opset < 13 {
			r.node.Attributes = []*onnx.Attribute{onnx.IntsAttr("axes", axes...)}
		} else {
			r.in = append(r.in, intsOf([]int64{int64(len(axes))}, axes...))
		}
		return r
	},
	"Cast": func(c chance) *random {
		from := []tensor.DType{tensor.Float32, tensor.Int8, tensor.Uint8, tensor.Int64, tensor.Bool}[c.IntN(5)]
		to := []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint32, tensor.Uint64, tensor.Bool}[c.IntN(12)]
		r := &random{13, 0, node("Cast", nil, nil, onnx.IntAttr("to", int64(to))), nil, []onnx.ValueInfo{typed("y", to)}}
		x := c.bytes(from, 9)
		switch from {
		case tensor.Float32:
			x = c.floats(9)
			if to == tensor.Uint8 || to == tensor.Uint32 || to == tensor.Uint64 {
				for i := range x.Raw {
					if i%4 == 3 {
						x.Raw[i] &= 0x7f // negative numbers have no fixed meaning there
					}
				}
			}
		case tensor.Int64:
			x = intsOf([]int64{9}, 0, 1, -1, 127, 128, -129, 70000, 1<<33+5, -1<<40)
		case tensor.Bool:
			for i := range x.Raw {
				x.Raw[i] &= 1
			}
		}
		r.in = []*tensor.Tensor{x}
		return r
	},
	"Scatter": func(c chance) *random {
		if c.maybe() {
			return &random{c.num(11, 16, 18), 0, node("ScatterElements", nil, nil, onnx.IntAttr("axis", 1)), []*tensor.Tensor{c.floats(2, 4), intsOf([]int64{2, 2}, 0, -1, 2, 1), c.floats(2, 2)}, []onnx.ValueInfo{float("y")}}
		}
		return &random{c.num(16, 18), 0, node("ScatterND", nil, nil, onnx.StringAttr("reduction", c.pick("none", "add", "mul"))), []*tensor.Tensor{c.floats(4, 2), intsOf([]int64{3, 1}, 0, -1, 2), c.floats(3, 2)}, []onnx.ValueInfo{float("y")}}
	},
	"Gather": func(c chance) *random {
		if c.maybe() {
			return &random{11, 0, node("GatherElements", nil, nil, onnx.IntAttr("axis", c.num(0, 1))), []*tensor.Tensor{c.floats(3, 4), intsOf([]int64{2, 2}, 0, -1, 2, 1)}, []onnx.ValueInfo{float("y")}}
		}
		return &random{c.num(7, 11, 13), 0, node("Gather", nil, nil, onnx.IntAttr("axis", c.num(0, 1))), []*tensor.Tensor{c.floats(3, 4), intsOf([]int64{2, 2}, 0, 1, 2, 1)}, []onnx.ValueInfo{float("y")}}
	},
	"Reshape": func(c chance) *random {
		r := &random{c.num(7, 13, 14), 0, node("Reshape", nil, nil), []*tensor.Tensor{c.floats(2, 3, 4), intsOf([]int64{2}, [][]int64{{0, -1}, {-1, 6}, {4, 6}, {-1, 0}}[c.IntN(4)]...)}, []onnx.ValueInfo{float("y")}}
		if c.IntN(3) == 0 {
			r.node, r.in = node("Flatten", nil, nil, onnx.IntAttr("axis", c.num(0, 1, 2, 3))), r.in[:1]
		}
		if c.IntN(3) == 0 {
			r.node, r.in = node("Transpose", nil, nil, onnx.IntsAttr("perm", [][]int64{{0, 2, 1}, {2, 0, 1}, {1, 2, 0}}[c.IntN(3)]...)), r.in[:1]
		}
		return r
	},
	"Place": func(c chance) *random {
		switch c.IntN(6) {
		case 0:
			return &random{11, 0, node("CumSum", nil, nil, onnx.IntAttr("reverse", c.num(0, 1)), onnx.IntAttr("exclusive", c.num(0, 1))), []*tensor.Tensor{c.floats(3, 4), intsOf(nil, c.num(0, 1, -1))}, []onnx.ValueInfo{float("y")}}
		case 1:
			return &random{14, 0, node("Trilu", nil, nil, onnx.IntAttr("upper", c.num(0, 1))), []*tensor.Tensor{c.floats(2, 3, 4), intsOf(nil, c.num(-5, -1, 0, 1, 2, 9))}, []onnx.ValueInfo{float("y")}}
		case 2:
			return &random{11, 0, node("OneHot", nil, nil, onnx.IntAttr("axis", c.num(0, 1, -1))), []*tensor.Tensor{intsOf([]int64{4}, 0, 2, -1, 7), intsOf([]int64{1}, 3), floatsOf([]int64{2}, 5, 6)}, []onnx.ValueInfo{float("y")}}
		case 3:
			return &random{13, 0, node("NonZero", nil, nil), []*tensor.Tensor{floatsOf([]int64{2, 3}, 0, 1, 2, 0, 0, 3)}, []onnx.ValueInfo{typed("y", tensor.Int64)}}
		case 4:
			return &random{12, 0, node("GatherND", nil, nil, onnx.IntAttr("batch_dims", 1)), []*tensor.Tensor{c.floats(2, 3, 4), intsOf([]int64{2, 2, 1}, 0, -1, 2, 1)}, []onnx.ValueInfo{float("y")}}
		}
		return &random{c.num(7, 12), 0, node(c.pick("ArgMax", "ArgMin"), nil, nil, onnx.IntAttr("axis", c.num(0, 1)), onnx.IntAttr("keepdims", c.num(0, 1))), []*tensor.Tensor{c.floats(3, 4)}, []onnx.ValueInfo{typed("y", tensor.Int64)}}
	},
}

// TestAgreesWithTheFullRuntime draws models of one node and compares both engines. The evaluator may refuse what the
// runtime computes, never give another value.
func TestAgreesWithTheFullRuntime(t *testing.T) {
	lib := fullRuntime(t)
	var same, refused, alone int
	for _, name := range slices.Sorted(maps.Keys(generators)) {
		t.Run(name, func(t *testing.T) {
			mine, why := 0, map[string]int{}
			for seed := range uint64(150) {
				r := generators[name](chance{rand.New(rand.NewPCG(seed, 7))})
				raw, in := r.model()
				got, err := loadAndRun(raw, reference.Options{}, in)
				noPanic(t, err)
				want, theirs := full(t, lib, raw, in)
				switch {
				case fault.CodeOf(err) == fault.EngineNeeded:
					refused++
					why[err.Error()]++
				case theirs != nil && err != nil:
				case theirs != nil:
					alone++
					why["only here: "+theirs.Error()]++
				case err != nil:
					t.Errorf("seed %d: %s: %v, and the runtime computes it", seed, describe(r), err)
				default:
					for _, o := range r.out {
						a, b := got[o.Name].Tensor, want[o.Name].Tensor
						if strings.Contains(describe(r), "PROBIT") && o.Name == "p" && slices.Equal(a.Shape, b.Shape) && close(values(a), values(b)) {
							continue // the runtime loses digits in its float32 sums
						}
						if err := near(a, b); err != nil {
							t.Errorf("seed %d: output %q of %s: %v", seed, o.Name, describe(r), err)
						}
					}
					mine++
					same++
				}
			}
			if mine == 0 {
				t.Errorf("no case was compared: %v", why)
			}
			for w, n := range why {
				t.Logf("%d × %s", n, w)
			}
		})
	}
	fmt.Printf("summary: random models through both engines: %d the same, %d refused here, %d refused by the runtime only\n", same, refused, alone)
}

func close(a, b []float64) bool {
	for i := range a {
		if a[i] != b[i] && !(math.Abs(a[i]-b[i]) < 1e-3+1e-2*math.Abs(b[i])) && !(a[i] != a[i] && b[i] != b[i]) {
			return false
		}
	}
	return true
}

func full(t *testing.T, lib *ort.Library, raw []byte, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	s, err := lib.Open(raw, ort.Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run(t.Context(), in)
}

func describe(r *random) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s-%d", r.node.OpType, r.opset)
	for _, a := range r.node.Attributes {
		if !strings.Contains(a.Name, "_tree") && !strings.Contains(a.Name, "node") {
			fmt.Fprintf(&b, " %s=%v%v%v%s", a.Name, a.Int, a.Ints, a.Floats, a.String)
		}
	}
	for _, t := range r.in {
		if t != nil {
			fmt.Fprintf(&b, " %v", t.Shape)
			if t.DType == tensor.Int64 {
				fmt.Fprintf(&b, "=%v", values(t))
			}
		}
	}
	return b.String()
}

// TestVoiceActivityModel runs a real third-party model, where `make real` has fetched it, through both engines.
func TestVoiceActivityModel(t *testing.T) {
	found, _ := filepath.Glob("../../.cache/real/silero-vad.onnx")
	if len(found) == 0 {
		t.Skip("no model in .cache/real: run make real")
	}
	lib := fullRuntime(t)
	c := chance{rand.New(rand.NewPCG(5, 5))}
	for _, path := range found {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for rate, n := range map[int64]int64{16000: 512, 8000: 256} {
			sound := make([]float32, n)
			for i := range sound {
				sound[i] = float32(c.NormFloat64() / 4)
			}
			in := map[string]tensor.Value{"input": {Tensor: floatsOf([]int64{1, n}, sound...)}, "state": {Tensor: c.floats(2, 1, 128)}, "sr": {Tensor: intsOf(nil, rate)}}
			want, err := full(t, lib, raw, in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := loadAndRun(raw, reference.Options{}, in)
			if err != nil {
				t.Fatal(err)
			}
			for name := range want {
				if err := near(got[name].Tensor, want[name].Tensor); err != nil {
					t.Errorf("%s at %d Hz: output %q: %v", filepath.Base(path), rate, name, err)
				}
			}
		}
	}
}
