package reference

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// attributesOf are what operators cannot do without.
func attributesOf(op string) []*onnx.Attribute {
	switch op {
	case "Cast":
		return []*onnx.Attribute{onnx.IntAttr("to", int64(tensor.String))}
	case "RNN", "GRU", "LSTM":
		return []*onnx.Attribute{onnx.IntAttr("hidden_size", 1)}
	case "MaxPool", "AveragePool":
		return []*onnx.Attribute{onnx.IntsAttr("kernel_shape", 2)}
	case "ZipMap":
		return []*onnx.Attribute{onnx.IntsAttr("classlabels_int64s", 7)}
	case "LinearRegressor":
		return []*onnx.Attribute{onnx.FloatsAttr("coefficients", 1)}
	case "LRN":
		return []*onnx.Attribute{onnx.IntAttr("size", 3)}
	case "GroupNormalization":
		return []*onnx.Attribute{onnx.IntAttr("num_groups", 1)}
	case "DepthToSpace", "SpaceToDepth":
		return []*onnx.Attribute{onnx.IntAttr("blocksize", 1)}
	case "LabelEncoder":
		return []*onnx.Attribute{onnx.IntsAttr("keys_int64s", 0), onnx.StringsAttr("values_strings", "zero")}
	}
	return nil
}

// Long tensors, and tensors that are long in one dimension and empty in another: they cost nothing themselves, and what an
// operator lays out for their rows must be counted all the same. Whatever each operator of the table does with them, it
// takes no more memory than it may.
func TestNoOperatorTakesMoreThanItsMemory(t *testing.T) {
	const most, n = 4 << 20, 1 << 18
	shapes := [][]int64{{n}, {n, 1}, {1, n}, {n, 0}, {0, n}, {0, n, 1}, {n, 0, 1}, {1, n, 0}, {1, 1, n}, {n, 1, 1}, {1, 1, n, 1}}
	ran := map[string]bool{}
	for _, rows := range operators {
		for _, op := range rows {
			for _, shape := range shapes {
				for _, odd := range []bool{false, true} { // small seconds for the operators that want a list of axes, sizes, weights
					raw, in := onNode(op, shape, odd)
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					m, err := Load(raw, Options{MaxMemory: most})
					if err == nil {
						ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
						_, err = m.Run(ctx, in)
						cancel()
					}
					runtime.ReadMemStats(&after)
					if fault.DetailOf(err)["panic"] != nil {
						t.Errorf("%s %v: %v\n%v", op.Name, shape, err, fault.DetailOf(err)["stack"])
					}
					// Within one node memory may be given back and taken again, so a small multiple passes.
					if took := after.TotalAlloc - before.TotalAlloc; took > 3*most+1<<19 {
						t.Errorf("%s (since %d) with %v took %d MiB of %d: %v", op.Name, op.Since, shape, took>>20, most>>20, err)
					}
					if err == nil {
						ran[op.Name] = true
					}
				}
			}
		}
	}
	t.Logf("%d operators computed something", len(ran))
	if len(ran) < 100 {
		t.Errorf("only %d operators computed something: %v", len(ran), ran)
	}
}

// onNode is a model of one node whose inputs all have the given shape; with odd set, all but the first are lists of one.
func onNode(op *operator, shape []int64, odd bool) ([]byte, map[string]tensor.Value) {
	node := &onnx.Node{OpType: op.Name, Domain: op.Domain, Attributes: attributesOf(op.Name)}
	g := &onnx.Graph{Name: "g", Nodes: []*onnx.Node{node}}
	in := map[string]tensor.Value{}
	for i, p := range op.sig.in {
		if p.optional {
			break
		}
		name := string(rune('a' + i))
		d := op.sig.letters[p.letter].types[0]
		if op.Name == "Cast" || op.Name == "LabelEncoder" {
			d = tensor.Int64
		}
		s := shape
		if odd && i > 0 {
			s = []int64{1}
			if op.Name == "RNN" || op.Name == "GRU" || op.Name == "LSTM" { // weights for hidden states of one
				s = []int64{1, map[string]int64{"RNN": 1, "GRU": 3, "LSTM": 4}[op.Name], 1}
			}
		}
		v := &tensor.Tensor{DType: d, Shape: s}
		if count := tensor.Elements(s); d == tensor.String {
			v.Strings = make([]string, count)
		} else {
			v.Raw = make([]byte, d.Bytes(count))
		}
		in[name] = tensor.Value{Tensor: v}
		node.Inputs = append(node.Inputs, name)
		g.Inputs = append(g.Inputs, onnx.TensorInfo(name, d, slices.Repeat([]int64{-1}, len(s))...))
	}
	out := onnx.ValueInfo{Name: "y", Type: onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}}
	if o := op.sig.out[0]; len(op.sig.letters[o.letter].types) > 0 {
		out.Type.Elem = op.sig.letters[o.letter].types[0]
	}
	switch op.Name {
	case "Cast", "LabelEncoder":
		out.Type.Elem = tensor.String
	case "ZipMap":
		value := onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}
		of := onnx.Type{Kind: onnx.KindMap, Key: tensor.Int64, Of: &value}
		out.Type = onnx.Type{Kind: onnx.KindSequence, Of: &of}
	}
	node.Outputs, g.Outputs = []string{"y"}, []onnx.ValueInfo{out}
	version, ml := int64(op.Since), int64(1)
	if op.Domain != "" {
		version, ml = 18, int64(op.Since)
	}
	return onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: version}, {Domain: "ai.onnx.ml", Version: ml}}, Graph: g}), in
}
