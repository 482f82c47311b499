package ort_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// run opens a model, runs it once and gives its outputs and signature.
func run(t *testing.T, raw []byte, in map[string]tensor.Value) (map[string]tensor.Value, []tensor.Info, []tensor.Info, error) {
	t.Helper()
	s, err := library(t).Open(raw, ort.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	defer s.Close()
	infoIn, infoOut, err := s.Signature()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), in)
	return out, infoIn, infoOut, err
}

// old says whether the library is of the oldest releases, which lack some types of ONNX 1.16.
func old(t *testing.T) bool { return library(t).Version() < "1.19" }

func TestFourBitIntegersAreTwoInAByte(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Int4, tensor.Uint4} {
		m := model(&onnx.Graph{
			Nodes:   []*onnx.Node{{OpType: "Cast", Inputs: []string{"x"}, Outputs: []string{"y"}, Attributes: []*onnx.Attribute{onnx.IntAttr("to", int64(tensor.Int8))}}},
			Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", d, 3)},
			Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Int8, 3)},
		}, onnx.Opset{Version: 21})
		out, in, _, err := run(t, m, map[string]tensor.Value{"x": {Tensor: &tensor.Tensor{DType: d, Shape: []int64{3}, Raw: []byte{0xf1, 0x07}}}})
		if old(t) {
			if fault.CodeOf(err) != fault.EngineNeeded {
				t.Errorf("%s: %v", d, err)
			}
			continue
		}
		want := []byte{1, 0xff, 7}
		if d == tensor.Uint4 {
			want[1] = 15
		}
		if err != nil || !bytes.Equal(out["y"].Tensor.Raw, want) || in[0].Type != d.String() {
			t.Errorf("%s: %v %v %+v", d, err, out, in)
		}
	}
}

// identityOf passes a value of any type through.
func identityOf(t onnx.Type) []byte {
	return model(&onnx.Graph{
		Nodes:   []*onnx.Node{{OpType: "Identity", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		Inputs:  []onnx.ValueInfo{{Name: "x", Type: t}},
		Outputs: []onnx.ValueInfo{{Name: "y", Type: t}},
	}, onnx.Opset{Version: 16})
}

func TestSequencesAndOptionalsPassUnchanged(t *testing.T) {
	of := onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}
	sequence := onnx.Type{Kind: onnx.KindSequence, Of: &of}
	one := &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: f32(1, -2)}
	scalar := &tensor.Tensor{DType: tensor.Float32, Shape: []int64{}, Raw: f32(3)}
	empty := &tensor.Tensor{DType: tensor.Float32, Shape: []int64{0}, Raw: []byte{}}
	for _, c := range []struct {
		name string
		t    onnx.Type
		v    tensor.Value
		says string
	}{
		{"three tensors", sequence, tensor.Value{Sequence: []*tensor.Tensor{one, scalar, empty}}, "sequence(float32)"},
		{"no tensors", sequence, tensor.Value{Sequence: []*tensor.Tensor{}}, "sequence(float32)"},
		{"optional tensor", onnx.Type{Kind: onnx.KindOptional, Of: &of}, tensor.Value{Tensor: one}, "optional(float32)"},
		{"optional sequence", onnx.Type{Kind: onnx.KindOptional, Of: &sequence}, tensor.Value{Sequence: []*tensor.Tensor{one}}, "optional(sequence(float32))"},
	} {
		out, in, outs, err := run(t, identityOf(c.t), map[string]tensor.Value{"x": c.v})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := out["y"]
		same := got.Empty == c.v.Empty && (got.Tensor == nil) == (c.v.Tensor == nil) && (got.Sequence == nil) == (c.v.Sequence == nil) &&
			slices.EqualFunc(got.Sequence, c.v.Sequence, equal)
		if !same || got.Tensor != nil && !equal(got.Tensor, c.v.Tensor) {
			t.Errorf("%s: got %+v", c.name, got)
		}
		if in[0].Type != c.says || outs[0].Type != c.says || in[0].DType != tensor.Float32 {
			t.Errorf("%s: signature %+v %+v, want %s", c.name, in[0], outs[0], c.says)
		}
	}
	// What would bring the library down, or is not what the model asks for, is refused before.
	for name, c := range map[string]struct {
		t    onnx.Type
		v    tensor.Value
		code fault.Code
	}{
		"no optional tensor": {onnx.Type{Kind: onnx.KindOptional, Of: &of}, tensor.Value{Empty: true}, fault.EngineNeeded},
		"no optional list":   {onnx.Type{Kind: onnx.KindOptional, Of: &sequence}, tensor.Value{Empty: true}, fault.EngineNeeded},
		"tensor":             {sequence, tensor.Value{Tensor: one}, fault.Contract},
		"maps":               {sequence, tensor.Value{Maps: []tensor.Map{}}, fault.Contract},
		"nothing":            {sequence, tensor.Value{Empty: true}, fault.Contract},
		"nil":                {sequence, tensor.Value{Sequence: []*tensor.Tensor{nil}}, fault.Contract},
		"another type":       {sequence, tensor.Value{Sequence: []*tensor.Tensor{{DType: tensor.Int8, Shape: []int64{1}, Raw: []byte{1}}}}, fault.Contract},
		"sequence":           {of, tensor.Value{Sequence: []*tensor.Tensor{one}}, fault.Contract},
	} {
		if _, _, _, err := run(t, identityOf(c.t), map[string]tensor.Value{"x": c.v}); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func equal(a, b *tensor.Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Raw, b.Raw)
}

// Maps go in as they come out: what one classifier gave, the next may take.
func TestMapsCanBeInputs(t *testing.T) {
	for _, m := range []tensor.Map{
		{IntKeys: []int64{7, -1}, Values: []float32{.75, .25}},
		{StringKeys: []string{"up", "down"}, Values: []float32{.75, .25}},
	} {
		key, vocabulary := tensor.Int64, onnx.IntsAttr("int64_vocabulary", -1, 3, 7)
		if m.StringKeys != nil {
			key, vocabulary = tensor.String, onnx.StringsAttr("string_vocabulary", "down", "flat", "up")
		}
		value := onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}
		one := onnx.Type{Kind: onnx.KindMap, Key: key, Of: &value}
		raw := model(&onnx.Graph{
			Nodes:   []*onnx.Node{{OpType: "DictVectorizer", Domain: "ai.onnx.ml", Inputs: []string{"x"}, Outputs: []string{"y"}, Attributes: []*onnx.Attribute{vocabulary}}},
			Inputs:  []onnx.ValueInfo{{Name: "x", Type: one}},
			Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 1, 3)},
		}, onnx.Opset{Version: 13}, onnx.Opset{Domain: "ai.onnx.ml", Version: 1})
		out, in, _, err := run(t, raw, map[string]tensor.Value{"x": {Maps: []tensor.Map{m}}})
		if err != nil || !bytes.Equal(out["y"].Tensor.Raw, f32(.25, 0, .75)) {
			t.Errorf("%s: %v %+v", key, err, out["y"])
		}
		if say := "map(" + key.String() + ",float32)"; err == nil && in[0].Type != say {
			t.Errorf("got %q, want %q", in[0].Type, say)
		}
		for name, v := range map[string]tensor.Value{
			"no map": {Maps: []tensor.Map{}}, "two maps": {Maps: []tensor.Map{m, m}}, "tensor": {Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1}, Raw: f32(1)}},
			"too few values": {Maps: []tensor.Map{{IntKeys: m.IntKeys, StringKeys: m.StringKeys, Values: m.Values[:1]}}},
		} {
			if _, _, _, err := run(t, raw, map[string]tensor.Value{"x": v}); fault.CodeOf(err) != fault.Contract {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A list of maps passes through a model that does nothing.
		list := onnx.Type{Kind: onnx.KindSequence, Of: &one}
		through := model(&onnx.Graph{Inputs: []onnx.ValueInfo{{Name: "x", Type: list}}, Outputs: []onnx.ValueInfo{{Name: "x", Type: list}}})
		want := []tensor.Map{m, {IntKeys: m.IntKeys, StringKeys: m.StringKeys, Values: []float32{1, 2}}}
		out, in, _, err = run(t, through, map[string]tensor.Value{"x": {Maps: want}})
		if err != nil || !slices.EqualFunc(out["x"].Maps, want, sameMap) {
			t.Errorf("%s: %v %+v", key, err, out["x"])
		} else if say := "sequence(map(" + key.String() + ",float32))"; in[0].Type != say {
			t.Errorf("got %q, want %q", in[0].Type, say)
		}
	}
}

// sameMap compares maps whatever the order of their keys.
func sameMap(a, b tensor.Map) bool {
	find := func(i int) int {
		if a.IntKeys != nil {
			return slices.Index(b.IntKeys, a.IntKeys[i])
		}
		return slices.Index(b.StringKeys, a.StringKeys[i])
	}
	for i := range a.Values {
		if j := find(i); j < 0 || a.Values[i] != b.Values[j] {
			return false
		}
	}
	return len(a.Values) == len(b.Values)
}
