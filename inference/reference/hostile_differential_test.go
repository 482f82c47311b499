package reference_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/reference"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// shape draws up to four small dimensions; some are 1, some 0.
func (c chance) shape() []int64 {
	s := make([]int64, c.IntN(5))
	for i := range s {
		s[i] = c.num(0, 1, 1, 2, 3, 2, 3)
	}
	return s
}

// beside draws a shape that mostly broadcasts with s.
func (c chance) beside(s []int64) []int64 {
	out := slices.Clone(s[c.IntN(len(s)+1):])
	for i := range out {
		if c.IntN(3) == 0 {
			out[i] = c.num(1, 1, 1, 2)
		}
	}
	return out
}

// axis is one of a shape's, counted from either end, now and then one beyond.
func (c chance) axis(s []int64) int64 {
	n := int64(len(s))
	return c.Int64N(2*n+1+c.num(0, 0, 1)) - n
}

func (c chance) axes(s []int64) []int64 {
	var out []int64
	for range c.IntN(len(s) + 1) {
		out = append(out, c.axis(s))
	}
	return out
}

// special are floating-point numbers that engines treat in ways of their own.
func (c chance) special(shape ...int64) *tensor.Tensor {
	x := make([]float32, tensor.Elements(shape))
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0.5, -0.5, 1.5, 2.5, -2.5, 88, 104, -104, 3e38, 1e-40, -1}
	for i := range x {
		if x[i] = float32(c.NormFloat64()); c.maybe() {
			x[i] = odd[c.IntN(len(odd))]
		}
	}
	return floatsOf(shape, x...)
}

// whole draws integers of a type, extremes among them.
func (c chance) whole(d tensor.DType, shape ...int64) *tensor.Tensor {
	n := tensor.Elements(shape)
	w := d.Size()
	t := &tensor.Tensor{DType: d, Shape: shape, Raw: make([]byte, n*int64(w))}
	for i := range int(n) {
		var b [8]byte
		v := c.num(0, 1, -1, 2, -3, 7, 100, math.MaxInt64, math.MinInt64, 1<<uint(8*w-1), 1<<uint(8*w-1)-1)
		if d == tensor.Bool {
			v = c.num(0, 1)
		}
		binary.LittleEndian.PutUint64(b[:], uint64(v))
		copy(t.Raw[i*w:(i+1)*w], b[:w])
	}
	return t
}

func (c chance) intType() tensor.DType {
	return []tensor.DType{tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Uint16, tensor.Int32, tensor.Uint32, tensor.Int64, tensor.Uint64}[c.IntN(8)]
}

func (c chance) any(shape ...int64) *tensor.Tensor {
	if c.maybe() {
		return c.special(shape...)
	}
	return c.whole(c.intType(), shape...)
}

func list(x []int64) *tensor.Tensor { return intsOf([]int64{int64(len(x))}, x...) }

func (c chance) opset() int64 { return c.num(9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21) }

// hostile draws shapes, axes, types and numbers at and beyond the edges: empty tensors, scalars, negative and wrong axes,
// extremes, numbers that are none.
var hostile = map[string]func(c chance) *random{
	"Arithmetic": func(c chance) *random {
		s := c.shape()
		op := c.pick("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "Pow", "Mod")
		a := c.any(s...)
		b := c.special(c.beside(s)...)
		if a.DType != tensor.Float32 {
			b = c.whole(a.DType, b.Shape...)
		}
		r := &random{c.opset(), 0, node(op, nil, nil), []*tensor.Tensor{a, b}, []onnx.ValueInfo{typed("y", a.DType)}}
		whole := a.DType != tensor.Float32
		if whole && (op == "Div" || op == "Mod") { // the runtime divides by zero in the processor, and MinInt by -1 too
			for i := range b.Raw {
				b.Raw[i] = 0
				if i%b.DType.Size() == 0 {
					b.Raw[i] = byte(c.num(1, 2, 3, 7))
				}
			}
		}
		if op == "Mod" {
			r.node.Attributes = []*onnx.Attribute{onnx.IntAttr("fmod", c.num(0, 1))}
		}
		return r
	},
	"Compare": func(c chance) *random {
		s := c.shape()
		a := c.any(s...)
		b := c.special(c.beside(s)...)
		if a.DType != tensor.Float32 {
			b = c.whole(a.DType, b.Shape...)
		}
		return &random{c.opset(), 0, node(c.pick("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"), nil, nil), []*tensor.Tensor{a, b}, []onnx.ValueInfo{typed("y", tensor.Bool)}}
	},
	"Where": func(c chance) *random {
		s := c.shape()
		return &random{c.num(9, 16), 0, node("Where", nil, nil), []*tensor.Tensor{c.whole(tensor.Bool, c.beside(s)...), c.special(s...), c.special(c.beside(s)...)}, []onnx.ValueInfo{float("y")}}
	},
	"Unary": func(c chance) *random {
		op := c.pick("Abs", "Neg", "Sign", "Relu", "Sqrt", "Exp", "Log", "Erf", "Tanh", "Sigmoid", "Softplus", "Softsign", "Elu", "Selu", "Celu", "Gelu", "Mish", "HardSwish", "HardSigmoid", "ThresholdedRelu", "Shrink",
			"Round", "Floor", "Ceil", "Reciprocal", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "LeakyRelu", "IsNaN", "IsInf", "Identity")
		r := &random{20, 0, node(op, nil, nil), []*tensor.Tensor{c.special(c.shape()...)}, []onnx.ValueInfo{float("y")}}
		switch op {
		case "IsNaN", "IsInf":
			r.out[0] = typed("y", tensor.Bool)
		case "Abs", "Neg", "Sign":
			r.in[0] = c.any(c.shape()...)
			r.out[0] = typed("y", r.in[0].DType)
		case "LeakyRelu", "Elu", "ThresholdedRelu", "Celu":
			r.node.Attributes = []*onnx.Attribute{onnx.FloatAttr("alpha", []float32{0, 1, -1, .5, 2}[c.IntN(5)])}
		case "Gelu":
			r.node.Attributes = []*onnx.Attribute{onnx.StringAttr("approximate", c.pick("none", "tanh"))}
		}
		return r
	},
	"Clip": func(c chance) *random {
		x := c.any(c.shape()...)
		low, high := c.special(), c.special()
		if x.DType != tensor.Float32 {
			low, high = c.whole(x.DType), c.whole(x.DType)
		}
		in := []*tensor.Tensor{x, low, high}
		if c.IntN(3) == 0 {
			in[1] = nil
		}
		return &random{c.num(11, 12, 13), 0, node("Clip", nil, nil), in, []onnx.ValueInfo{typed("y", x.DType)}}
	},
	"Reduce": func(c chance) *random {
		op := c.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
		s := c.shape()
		x := c.special(s...)
		if c.IntN(4) == 0 {
			x = c.whole([]tensor.DType{tensor.Int32, tensor.Int64, tensor.Int8}[c.IntN(3)], s...)
		}
		r := &random{c.opset(), 0, node(op, nil, nil, onnx.IntAttr("keepdims", c.num(0, 1))), []*tensor.Tensor{x}, []onnx.ValueInfo{typed("y", x.DType)}}
		axes := c.axes(s)
		if r.opset >= 18 || r.opset >= 13 && op == "ReduceSum" {
			if c.maybe() {
				r.node.Attributes = append(r.node.Attributes, onnx.IntAttr("noop_with_empty_axes", 1))
			}
			if c.IntN(4) > 0 {
				r.in = append(r.in, list(axes))
			}
		} else if len(axes) > 0 {
			r.node.Attributes = append(r.node.Attributes, onnx.IntsAttr("axes", axes...))
		}
		return r
	},
	"Arg": func(c chance) *random {
		s := c.shape()
		r := &random{c.opset(), 0, node(c.pick("ArgMax", "ArgMin"), nil, nil, onnx.IntAttr("axis", c.axis(s)), onnx.IntAttr("keepdims", c.num(0, 1))), []*tensor.Tensor{c.special(s...)}, []onnx.ValueInfo{typed("y", tensor.Int64)}}
		if r.opset >= 12 {
			r.node.Attributes = append(r.node.Attributes, onnx.IntAttr("select_last_index", c.num(0, 1)))
		}
		return r
	},
	"Softmax": func(c chance) *random {
		s := c.shape()
		return &random{c.opset(), 0, node(c.pick("Softmax", "LogSoftmax", "Hardmax"), nil, nil, onnx.IntAttr("axis", c.axis(s))), []*tensor.Tensor{c.special(s...)}, []onnx.ValueInfo{float("y")}}
	},
	"TopK": func(c chance) *random {
		s := c.shape()
		for i := range s {
			s[i] = max(s[i], 1) // over nothing the runtime divides by zero in the processor
		}
		return &random{c.num(11, 18), 0, node("TopK", nil, nil, onnx.IntAttr("axis", c.axis(s)), onnx.IntAttr("largest", c.num(0, 1)), onnx.IntAttr("sorted", 1)), []*tensor.Tensor{c.special(s...), list([]int64{c.num(0, 1, 2, 3, 9)})}, []onnx.ValueInfo{float("y"), typed("i", tensor.Int64)}}
	},
	"Gather": func(c chance) *random {
		s := c.shape()
		at := c.shape()
		i := make([]int64, tensor.Elements(at))
		for k := range i {
			i[k] = c.num(0, -1, 1, -2, 0, 2, 0)
		}
		op := c.pick("Gather", "Gather", "GatherElements", "GatherND")
		r := &random{c.num(11, 13), 0, node(op, nil, nil, onnx.IntAttr("axis", c.axis(s))), []*tensor.Tensor{c.special(s...), intsOf(at, i...)}, []onnx.ValueInfo{float("y")}}
		if op == "GatherND" {
			r.opset, r.node.Attributes = 13, []*onnx.Attribute{onnx.IntAttr("batch_dims", c.num(0, 0, 1))}
		}
		return r
	},
	"Slice": func(c chance) *random {
		s := c.shape()
		n := c.IntN(len(s) + 1)
		var starts, ends, axes, steps []int64
		for range n {
			starts, ends = append(starts, c.num(0, 1, -1, -2, 5, -9, math.MaxInt64, math.MinInt64)), append(ends, c.num(0, 1, -1, 3, 9, -9, math.MaxInt64, math.MinInt64))
			axes, steps = append(axes, c.axis(s)), append(steps, c.num(1, 1, -1, 2, -2, math.MaxInt64, math.MinInt64, 0))
		}
		return &random{c.num(10, 11, 13), 0, node("Slice", nil, nil), []*tensor.Tensor{c.any(s...), list(starts), list(ends), list(axes), list(steps)}, nil}
	},
	"Pad": func(c chance) *random {
		s := c.shape()
		r := &random{c.num(11, 13, 18, 19, 21), 0, node("Pad", nil, nil, onnx.StringAttr("mode", c.pick("constant", "reflect", "edge", "wrap"))), []*tensor.Tensor{c.special(s...)}, []onnx.ValueInfo{float("y")}}
		n := len(s)
		var axes []int64
		if r.opset >= 18 && c.maybe() {
			axes = c.axes(s)
			n = len(axes)
		}
		pads := make([]int64, 2*n)
		for i := range pads {
			pads[i] = c.num(0, 0, 1, 2, -1, 5, -4)
		}
		r.in = append(r.in, list(pads))
		if c.maybe() || axes != nil {
			r.in = append(r.in, floatsOf(nil, 2.5))
		}
		if axes != nil {
			r.in = append(r.in, list(axes))
		}
		return r
	},
	"Shape": func(c chance) *random {
		s := c.shape()
		x := c.any(s...)
		same := []onnx.ValueInfo{typed("y", x.DType)}
		switch c.IntN(9) {
		case 0:
			return &random{c.num(15, 19, 21), 0, node("Shape", nil, nil, onnx.IntAttr("start", c.num(0, 1, -1, -9, 9)), onnx.IntAttr("end", c.num(0, 1, -1, -9, 9))), []*tensor.Tensor{x}, []onnx.ValueInfo{typed("y", tensor.Int64)}}
		case 1:
			return &random{c.num(8, 13), 0, node("Expand", nil, nil), []*tensor.Tensor{x, list(c.beside(c.shape()))}, same}
		case 2:
			rep := make([]int64, len(s))
			for i := range rep {
				rep[i] = c.num(0, 1, 2, 3)
			}
			return &random{c.num(9, 13), 0, node("Tile", nil, nil), []*tensor.Tensor{x, list(rep)}, same}
		case 3:
			to := make([]int64, c.IntN(4))
			for i := range to {
				to[i] = c.num(0, -1, 1, 2, 3, 6)
			}
			r := &random{c.num(9, 13, 14), 0, node("Reshape", nil, nil), []*tensor.Tensor{x, list(to)}, same}
			if r.opset == 14 {
				r.node.Attributes = []*onnx.Attribute{onnx.IntAttr("allowzero", c.num(0, 1))}
			}
			return r
		case 4:
			return &random{c.opset(), 0, node("Flatten", nil, nil, onnx.IntAttr("axis", c.axis(s))), []*tensor.Tensor{x}, same}
		case 5:
			return &random{c.opset(), 0, node("Concat", nil, nil, onnx.IntAttr("axis", c.axis(s))), []*tensor.Tensor{x, x, x}, same}
		case 6:
			r := &random{c.num(13, 21), 0, node(c.pick("Squeeze", "Unsqueeze"), nil, nil), []*tensor.Tensor{x}, same}
			if axes := c.axes(append(s, 1)); c.IntN(4) > 0 || r.node.OpType == "Unsqueeze" {
				r.in = append(r.in, list(axes))
			}
			return r
		case 7:
			p := make([]int64, len(s))
			for i, v := range c.Perm(len(s)) {
				p[i] = int64(v)
			}
			return &random{c.opset(), 0, node("Transpose", nil, nil, onnx.IntsAttr("perm", p...)), []*tensor.Tensor{x}, same}
		}
		x = c.special(s...)
		r := &random{18, 0, node("Split", nil, nil, onnx.IntAttr("axis", c.axis(s)), onnx.IntAttr("num_outputs", 2)), []*tensor.Tensor{x}, []onnx.ValueInfo{float("a"), float("b")}}
		if c.maybe() {
			r.node.Attributes = r.node.Attributes[:1]
			r.in = append(r.in, list([]int64{c.num(0, 1, 2), c.num(0, 1, 2)}))
		}
		return r
	},
	"MatMul": func(c chance) *random {
		a, b := c.shape(), c.shape()
		if len(a) > 0 && len(b) > 1 {
			b[len(b)-2] = a[len(a)-1]
		}
		for i := 3; i <= min(len(a), len(b)); i++ {
			b[len(b)-i] = c.num(1, a[len(a)-i])
		}
		return &random{c.num(9, 13), 0, node("MatMul", nil, nil), []*tensor.Tensor{c.floats(a...), c.floats(b...)}, []onnx.ValueInfo{float("y")}}
	},
	"Gemm": func(c chance) *random {
		m, k, n := c.num(0, 1, 3), c.num(0, 1, 4), c.num(0, 1, 2)
		return &random{c.num(9, 11, 13), 0, node("Gemm", nil, nil, onnx.FloatAttr("beta", float32(c.num(0, 1, 2)))), []*tensor.Tensor{c.floats(m, k), c.floats(k, n), c.special(c.beside([]int64{m, n})...)}, []onnx.ValueInfo{float("y")}}
	},
	"Quantize": func(c chance) *random {
		s := c.shape()
		d := []tensor.DType{tensor.Int8, tensor.Uint8}[c.IntN(2)]
		scale, zero := floatsOf(nil, []float32{0.5, 1, 1e-3, 3}[c.IntN(4)]), c.whole(d)
		a := []*onnx.Attribute{}
		opset := c.num(10, 13, 19, 21)
		if opset >= 13 && c.maybe() && len(s) > 0 {
			axis := c.IntN(len(s))
			scale, zero = c.floats(s[axis]), c.whole(d, s[axis])
			for i := range int(s[axis]) {
				binary.LittleEndian.PutUint32(scale.Raw[4*i:], math.Float32bits([]float32{0.5, 1, 0.25}[i%3]))
			}
			a = append(a, onnx.IntAttr("axis", int64(axis)-c.num(0, int64(len(s)))))
		}
		if c.maybe() {
			return &random{opset, 0, node("QuantizeLinear", nil, nil, a...), []*tensor.Tensor{c.special(s...), scale, zero}, []onnx.ValueInfo{typed("y", d)}}
		}
		return &random{opset, 0, node("DequantizeLinear", nil, nil, a...), []*tensor.Tensor{c.whole(d, s...), scale, zero}, []onnx.ValueInfo{float("y")}}
	},
	"Cast": func(c chance) *random {
		to := []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint16, tensor.Uint32, tensor.Uint64, tensor.Bool}[c.IntN(13)]
		x := c.whole(c.intType(), c.shape()...)
		if to == tensor.Float16 || to == tensor.BFloat16 || to == tensor.Float64 || to == tensor.Bool {
			x = c.any(c.shape()...)
		}
		return &random{c.num(9, 13, 19, 21), 0, node("Cast", nil, nil, onnx.IntAttr("to", int64(to))), []*tensor.Tensor{x}, []onnx.ValueInfo{typed("y", to)}}
	},
	"Normalize": func(c chance) *random {
		s := c.shape()
		switch c.IntN(3) {
		case 0:
			axis := c.axis(s)
			at := int(axis)
			if at < 0 {
				at += len(s)
			}
			w := []int64{}
			if at >= 0 && at < len(s) {
				w = s[at:]
			}
			return &random{17, 0, node("LayerNormalization", nil, nil, onnx.IntAttr("axis", axis)), []*tensor.Tensor{c.floats(s...), c.floats(w...)}, []onnx.ValueInfo{float("y")}}
		case 1:
			return &random{c.opset(), 0, node(c.pick("GlobalAveragePool", "GlobalMaxPool"), nil, nil), []*tensor.Tensor{c.special(s...)}, []onnx.ValueInfo{float("y")}}
		}
		return &random{c.num(11, 14), 0, node("CumSum", nil, nil, onnx.IntAttr("reverse", c.num(0, 1)), onnx.IntAttr("exclusive", c.num(0, 1))), []*tensor.Tensor{c.floats(s...), intsOf(nil, c.axis(s))}, []onnx.ValueInfo{float("y")}}
	},
	"Conv": func(c chance) *random {
		g := c.num(1, 2, 3)
		k := []int64{c.num(1, 2, 3), c.num(1, 3)}
		r := &random{c.num(9, 11, 18), 0, node("Conv", nil, nil, onnx.IntAttr("group", g), onnx.IntsAttr("strides", c.num(1, 2, 5), c.num(1, 3)), onnx.IntsAttr("dilations", c.num(1, 2, 3), c.num(1, 2))),
			[]*tensor.Tensor{c.floats(c.num(0, 1, 2), g*c.num(1, 2), c.num(1, 4, 7), c.num(1, 5, 6)), nil}, []onnx.ValueInfo{float("y")}}
		r.in[1] = c.floats(g*c.num(1, 2), r.in[0].Shape[1]/g, k[0], k[1])
		if c.maybe() {
			r.node.Attributes = append(r.node.Attributes, onnx.IntsAttr("pads", c.num(0, 1, 4), c.num(0, 1), c.num(0, 2), c.num(0, 3)))
		}
		return r
	},
}

// compare runs one random model through both engines. The evaluator may refuse what the runtime computes, and may not give
// another value; what is wrong it must find wrong too. It returns how the two ended.
func compareEngines(t *testing.T, lib *ort.Library, r *random) string {
	t.Helper()
	if r.out == nil { // of the first input's type
		r.out = []onnx.ValueInfo{typed("y", r.in[0].DType)}
	}
	raw, in := r.model()
	got, err := loadAndRun(raw, reference.Options{MaxMemory: 1 << 26}, in)
	noPanic(t, err)
	want, theirs := full(t, lib, raw, in)
	switch {
	case fault.CodeOf(err) == fault.EngineNeeded:
		return "refused here"
	case err != nil && theirs != nil:
		return "invalid in both"
	case theirs != nil:
		return "only here: " + theirs.Error()
	case err != nil:
		return "invalid here: " + err.Error()
	}
	if strings.HasPrefix(r.node.OpType, "Reduce") && tensor.Elements(r.in[0].Shape) == 0 {
		return "of nothing" // official cases fix what this gives; the runtime keeps to them in part only
	}
	for _, o := range r.out {
		if err := near(got[o.Name].Tensor, want[o.Name].Tensor); err != nil {
			t.Errorf("output %q of %s: %v\nin %v", o.Name, describe(r), err, values(r.in[0]))
		}
	}
	return "same"
}

const edgeSeeds = 400 // of each kind

func TestAgreesAtTheEdges(t *testing.T) {
	lib := fullRuntime(t)
	ends := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(hostile)) {
		t.Run(name, func(t *testing.T) {
			why, same := map[string]int{}, 0
			for seed := range uint64(edgeSeeds) {
				end := compareEngines(t, lib, hostile[name](chance{rand.New(rand.NewPCG(seed, 11))}))
				why[end]++
				if end == "same" {
					same++
				}
				kind, _, _ := strings.Cut(end, ":")
				ends[kind]++
			}
			if same < edgeSeeds/10 {
				t.Errorf("only %d of %d models were compared", same, edgeSeeds)
			}
			for w, n := range why {
				t.Logf("%d × %s", n, w)
			}
		})
	}
	fmt.Printf("summary: random models at the edges through both engines: %v\n", ends)
}

// FuzzAgainstTheFullRuntime looks for a model that both engines compute and answer differently.
func FuzzAgainstTheFullRuntime(f *testing.F) {
	names := slices.Sorted(maps.Keys(hostile))
	f.Add(uint64(1), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, which uint8) {
		compareEngines(t, fullRuntime(t), hostile[names[int(which)%len(names)]](chance{rand.New(rand.NewPCG(seed, 13))}))
	})
}
