package onnx

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/inference/tensor"
	"sluice/internal/fault"
)

func sample() *Model {
	inner := &Graph{Name: "then", Nodes: []*Node{{OpType: "Identity", Inputs: []string{"x"}, Outputs: []string{"t"}}},
		Outputs: []ValueInfo{{Name: "t", Type: Type{Kind: KindSequence, Of: &Type{Kind: KindMap, Key: tensor.Int64,
			Of: &Type{Kind: KindTensor, Elem: tensor.Float32}}}}}}
	return &Model{
		IRVersion: 8, ProducerName: "p", ProducerVersion: "1", Domain: "d", ModelVersion: 3, Doc: "doc",
		Opsets:   []Opset{{"", 21}, {"ai.onnx.ml", 3}},
		Metadata: []KeyValue{{"k", "v"}, {"empty", ""}},
		Graph: &Graph{
			Name: "g",
			Nodes: []*Node{{
				Name: "n", OpType: "Op", Domain: "ai.onnx.ml", Inputs: []string{"x", "", "w"}, Outputs: []string{"y"},
				Attributes: []*Attribute{
					IntAttr("i", -5), IntAttr("zero", 0), FloatAttr("f", float32(math.Inf(-1))), StringAttr("s", "text"),
					IntsAttr("is", 1, -2, 3), FloatsAttr("fs", 0.5, 0), StringsAttr("ss", "a", ""),
					GraphAttr("g", inner), TensorAttr("t", &Tensor{Name: "c", Value: tensor.Tensor{DType: tensor.Int64, Shape: []int64{}, Raw: make([]byte, 8)}}),
				},
			}},
			Initializers: []*Tensor{
				{Name: "w", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2, 0}, Raw: []byte{}}},
				{Name: "str", Value: tensor.Tensor{DType: tensor.String, Shape: []int64{2}, Strings: []string{"a", ""}}},
				{Name: "ext", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}}, External: []KeyValue{{"location", "w.bin"}}},
			},
			Inputs:  []ValueInfo{{Name: "x", Type: Type{Kind: KindTensor, Elem: tensor.Float32, HasShape: true, Dims: []Dim{{Value: -1, Param: "N"}, {Value: 3}}}}},
			Outputs: []ValueInfo{TensorInfo("y", tensor.Int64, -1, 2)},
		},
	}
}

func TestModelSurvivesWritingAndReading(t *testing.T) {
	want := sample()
	raw := Marshal(want)
	got, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again := Marshal(got); !bytes.Equal(again, raw) {
		t.Fatalf("a second writing differs")
	}
	if got.Graph.Nodes[0].Attributes[0].Int != -5 || got.Graph.Nodes[0].Inputs[1] != "" {
		t.Errorf("values changed on the way: %+v", got.Graph.Nodes[0])
	}
	if !reflect.DeepEqual(got.Opsets, want.Opsets) || !reflect.DeepEqual(got.Graph.Inputs, want.Graph.Inputs) {
		t.Errorf("got %+v, wanted %+v", got, want)
	}
	in := got.Graph.Inputs[0].Info()
	if in.Name != "x" || in.DType != tensor.Float32 || !reflect.DeepEqual(in.Shape, []int64{-1, 3}) || in.DimNames[0] != "N" || in.Kind != "tensor" {
		t.Errorf("input described as %+v", in)
	}
}

func msg(f func(w *writer)) []byte {
	var w writer
	f(&w)
	return w.b
}

func packed(w *writer, n protowire.Number, v ...uint64) {
	var b []byte
	for _, u := range v {
		b = protowire.AppendVarint(b, u)
	}
	w.bytes(n, b)
}

func TestTypedFieldsBecomeLittleEndianElements(t *testing.T) {
	minus := int64(-2)
	for name, c := range map[string]struct {
		d    tensor.DType
		fill func(w *writer)
		want []byte
	}{
		"int64 packed":   {tensor.Int64, func(w *writer) { packed(w, 7, 1, uint64(minus)) }, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		"int64 unpacked": {tensor.Int64, func(w *writer) { w.ints(7, []int64{1, 2}) }, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}},
		"int8":           {tensor.Int8, func(w *writer) { packed(w, 5, 1, uint64(minus)) }, []byte{1, 0xfe}},
		"bool":           {tensor.Bool, func(w *writer) { packed(w, 5, 1, 0) }, []byte{1, 0}},
		"float16":        {tensor.Float16, func(w *writer) { packed(w, 5, 0x3c00, 0) }, []byte{0, 0x3c, 0, 0}},
		"uint32":         {tensor.Uint32, func(w *writer) { packed(w, 11, 7, 8) }, []byte{7, 0, 0, 0, 8, 0, 0, 0}},
		"float unpacked": {tensor.Float32, func(w *writer) { w.float(4, 1); w.float(4, 0) }, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0}},
		"double packed":  {tensor.Float64, func(w *writer) { w.bytes(10, make([]byte, 16)) }, make([]byte, 16)},
	} {
		t.Run(name, func(t *testing.T) {
			got, n, err := ParseTensor(msg(func(w *writer) {
				w.intAlways(1, 2)
				w.int(2, int64(c.d))
				w.text(8, "n")
				c.fill(w)
			}))
			if err != nil {
				t.Fatal(err)
			}
			if n != "n" || !bytes.Equal(got.Raw, c.want) {
				t.Errorf("got %q %v, wanted %v", n, got.Raw, c.want)
			}
		})
	}
}

func TestSequencesOfMapsSurvive(t *testing.T) {
	for _, want := range [][]tensor.Map{
		{},
		{{IntKeys: []int64{0, -3}, Values: []float32{0.5, 0}}},
		{{StringKeys: []string{"up", ""}, Values: []float32{1, 2}}, {StringKeys: []string{"a"}, Values: []float32{3}}},
	} {
		got, name, err := ParseSequence(MarshalSequence("probabilities", want))
		if err != nil {
			t.Fatal(err)
		}
		if name != "probabilities" || !reflect.DeepEqual(got, want) {
			t.Errorf("got %q %+v, wanted %+v", name, got, want)
		}
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	good := Marshal(sample())
	deep := &Graph{}
	for range 3000 {
		deep = &Graph{Nodes: []*Node{{OpType: "If", Attributes: []*Attribute{GraphAttr("then_branch", deep)}}}}
	}
	tensorIn := func(f func(w *writer)) []byte {
		return msg(func(w *writer) { w.bytes(7, msg(func(w *writer) { w.bytes(5, msg(f)) })) })
	}
	attrIn := func(f func(w *writer)) []byte {
		return msg(func(w *writer) {
			w.bytes(7, msg(func(w *writer) { w.bytes(1, msg(func(w *writer) { w.bytes(5, msg(f)) })) }))
		})
	}
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"empty":                   {nil, "is empty"},
		"text":                    {[]byte("This is not a model.\n"), "field"},
		"truncated":               {good[:len(good)/2], "cut off"},
		"no graph":                {msg(func(w *writer) { w.int(1, 8) }), "no graph"},
		"two graphs":              {msg(func(w *writer) { w.bytes(7, nil); w.bytes(7, nil) }), "more than one graph"},
		"graphs 3000 deep":        {Marshal(&Model{Graph: deep}), "nested more than 32 deep"},
		"negative dimension":      {tensorIn(func(w *writer) { w.int(1, -1); w.int(2, 1) }), "not negative"},
		"overflowing dimensions":  {tensorIn(func(w *writer) { w.ints(1, []int64{1 << 40, 1 << 40}); w.int(2, 1) }), "can be counted"},
		"huge initializer":        {tensorIn(func(w *writer) { w.ints(1, []int64{1 << 50}); w.int(2, 1) }), "too large"},
		"short raw data":          {tensorIn(func(w *writer) { w.int(1, 4); w.int(2, 1); w.bytes(9, []byte{0}) }), "holds 1 bytes, wanted 16"},
		"short typed data":        {tensorIn(func(w *writer) { w.int(1, 4); w.int(2, 1); w.float(4, 1) }), "holds 4 bytes, wanted 16"},
		"data of another type":    {tensorIn(func(w *writer) { w.int(1, 1); w.int(2, 1); packed(w, 7, 1) }), "holds 0 bytes, wanted 4"},
		"data twice":              {tensorIn(func(w *writer) { w.int(1, 1); w.int(2, 1); w.float(4, 1); w.bytes(9, make([]byte, 4)) }), "more than once"},
		"strings missing":         {tensorIn(func(w *writer) { w.int(1, 2); w.int(2, 8); w.bytes(6, nil) }), "holds 1 strings, wanted 2"},
		"unknown element type":    {tensorIn(func(w *writer) { w.int(2, 77) }), "element type 77"},
		"bool of 2":               {tensorIn(func(w *writer) { w.int(1, 1); w.int(2, 9); w.bytes(9, []byte{2}) }), "bool of 2"},
		"external without place":  {tensorIn(func(w *writer) { w.int(1, 1); w.int(2, 1); w.int(14, 1) }), "outside the file"},
		"segments":                {tensorIn(func(w *writer) { w.int(2, 1); w.bytes(3, nil) }), "segments"},
		"rank 33":                 {tensorIn(func(w *writer) { w.ints(1, make([]int64, 33)); w.int(2, 1) }), "33 dimensions"},
		"attribute of two kinds":  {attrIn(func(w *writer) { w.text(1, "a"); w.int(3, 1); w.float(2, 1) }), "both"},
		"attribute without name":  {attrIn(func(w *writer) { w.int(3, 1) }), "no name"},
		"attribute says float":    {attrIn(func(w *writer) { w.text(1, "a"); w.int(3, 1); w.int(20, 1) }), "says it is a float"},
		"attribute lacks tensor":  {attrIn(func(w *writer) { w.text(1, "a"); w.int(20, 4) }), "holds none"},
		"attribute of kind 99":    {attrIn(func(w *writer) { w.text(1, "a"); w.int(20, 99) }), "kind 99"},
		"graph as number":         {msg(func(w *writer) { w.int(7, 1) }), "wire type"},
		"group":                   {[]byte{0x0b}, "wire type 3"},
		"varint without an end":   {append([]byte{0x08}, bytes.Repeat([]byte{0xff}, 12)...), "cut off"},
		"name of a million bytes": {msg(func(w *writer) { w.text(4, strings.Repeat("x", 1<<20)) }), "a name of"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse(c.raw)
			if m != nil || fault.CodeOf(err) != fault.ModelInvalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, %v; wanted a refusal that says %q", m, err, c.says)
			}
		})
	}
}

func TestSmallFilesCannotAskForManyParts(t *testing.T) {
	raw := msg(func(w *writer) { w.bytes(7, bytes.Repeat([]byte{0x0a, 0x00}, MaxItems+1)) })
	if _, err := Parse(raw); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("got %v, wanted a refusal", err)
	}
}

// Two bytes can stand for a node, an attribute or a type; what they become must stay in proportion to the file.
func TestSmallFilesCannotAskForMuchMemory(t *testing.T) {
	const n = 1 << 20
	for name, inner := range map[string][]byte{
		"nodes":        bytes.Repeat([]byte{0x0a, 0x00}, n),
		"initializers": bytes.Repeat([]byte{0x2a, 0x00}, n),
		"inputs":       bytes.Repeat([]byte{0x5a, 0x00}, n),
	} {
		raw := msg(func(w *writer) { w.bytes(7, inner) })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(raw)
		runtime.ReadMemStats(&after)
		// Lists grow by copying, so that more is taken in all than at one time.
		if took := after.TotalAlloc - before.TotalAlloc; fault.CodeOf(err) != fault.ModelInvalid || took > 4*(baseMemory+memoryPerByte*2*n) {
			t.Errorf("%s: took %d MiB: %v", name, took>>20, err)
		}
	}
}

func TestBrokenTensorFilesAreRefused(t *testing.T) {
	for name, raw := range map[string][]byte{
		"no type":  nil,
		"external": msg(func(w *writer) { w.int(2, 1); w.int(14, 1); w.bytes(13, nil) }),
		"type 23":  msg(func(w *writer) { w.int(2, 23); w.bytes(9, []byte{1}) }),
		"int4":     msg(func(w *writer) { w.int(1, 3); w.int(2, 22); w.bytes(9, []byte{1}) }),
	} {
		if got, _, err := ParseTensor(raw); got != nil || fault.CodeOf(err) != fault.ModelInvalid {
			t.Errorf("%s: got %v, %v; wanted a refusal", name, got, err)
		}
	}
	for name, raw := range map[string][]byte{
		"tensors":            msg(func(w *writer) { w.bytes(3, nil) }),
		"keys without value": msg(func(w *writer) { w.bytes(6, msg(func(w *writer) { w.int(2, 7); w.intAlways(3, 1) })) }),
	} {
		if got, _, err := ParseSequence(raw); got != nil || fault.CodeOf(err) != fault.ModelInvalid {
			t.Errorf("%s: got %v, %v; wanted a refusal", name, got, err)
		}
	}
}

func TestValuesOfEveryKind(t *testing.T) {
	elem := Type{Kind: KindTensor, Elem: tensor.Float32}
	list, pair := Type{Kind: KindSequence, Of: &elem}, Type{Kind: KindMap, Key: tensor.Int64, Of: &elem}
	maps := Type{Kind: KindSequence, Of: &pair}
	one := MarshalTensor("a", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1}, Raw: []byte{0, 0, 128, 63}})
	two := msg(func(w *writer) { w.text(1, "s"); w.int(2, 1); w.bytes(3, one); w.bytes(3, one) })
	pairs := MarshalSequence("m", []tensor.Map{{IntKeys: []int64{1}, Values: []float32{2}}})
	for name, c := range map[string]struct {
		raw  []byte
		t    Type
		want string // tensors, maps, "" for a refusal
	}{
		"tensor":                  {one, elem, "1 0 0 false"},
		"sequence":                {two, list, "0 2 0 false"},
		"empty sequence":          {nil, list, "0 0 0 false"},
		"maps":                    {pairs, maps, "0 0 1 false"},
		"no maps":                 {nil, maps, "0 0 0 false"},
		"maps for tensors":        {pairs, list, ""},
		"tensors for maps":        {two, maps, ""},
		"both":                    {append(bytes.Clone(two), pairs...), list, ""},
		"optional tensor":         {msg(func(w *writer) { w.int(2, 1); w.bytes(3, one) }), Type{Kind: KindOptional, Of: &elem}, "1 0 0 false"},
		"optional sequence":       {msg(func(w *writer) { w.int(2, 3); w.bytes(5, two) }), Type{Kind: KindOptional, Of: &list}, "0 2 0 false"},
		"optional empty sequence": {msg(func(w *writer) { w.int(2, 3); w.bytes(5, nil) }), Type{Kind: KindOptional, Of: &list}, "0 0 0 false"},
		"empty optional":          {msg(func(w *writer) { w.text(1, "o") }), Type{Kind: KindOptional, Of: &list}, "0 0 0 true"},
		"two values":              {msg(func(w *writer) { w.bytes(3, one); w.bytes(5, two) }), Type{Kind: KindOptional, Of: &list}, ""},
		"optional maps":           {msg(func(w *writer) { w.bytes(5, pairs) }), Type{Kind: KindOptional, Of: &maps}, ""},
		"a map by itself":         {nil, pair, ""},
	} {
		v, err := ParseValue(c.raw, c.t)
		if c.want == "" {
			if fault.CodeOf(err) != fault.ModelInvalid || !reflect.DeepEqual(v, tensor.Value{}) {
				t.Errorf("%s: got %+v, %v", name, v, err)
			}
			continue
		}
		n := 0
		if v.Tensor != nil {
			n = 1
		}
		set := 0
		for _, b := range []bool{v.Tensor != nil, v.Sequence != nil, v.Maps != nil, v.Empty} {
			if b {
				set++
			}
		}
		if got := fmt.Sprint(n, len(v.Sequence), len(v.Maps), v.Empty); err != nil || got != c.want || set != 1 {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestTypesAreWrittenAsInContracts(t *testing.T) {
	elem := Type{Kind: KindTensor, Elem: tensor.Float32}
	list, pair := Type{Kind: KindSequence, Of: &elem}, Type{Kind: KindMap, Key: tensor.String, Of: &elem}
	for want, typ := range map[string]Type{
		"float32": elem, "uint4": {Kind: KindTensor, Elem: tensor.Uint4}, "sequence(float32)": list, "map(string,float32)": pair,
		"sequence(map(string,float32))": {Kind: KindSequence, Of: &pair}, "optional(sequence(float32))": {Kind: KindOptional, Of: &list}, "opaque": {Kind: KindOpaque}, "": {},
	} {
		if got := typ.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Whatever parses must survive a second writing and reading unchanged.
func FuzzParse(f *testing.F) {
	f.Add(Marshal(sample()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw)
		if err != nil {
			if m != nil {
				t.Fatal("a model together with an error")
			}
			return
		}
		once := Marshal(m)
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		if !bytes.Equal(Marshal(again), once) {
			t.Fatal("the second writing differs")
		}
	})
}

func FuzzParseTensor(f *testing.F) {
	f.Add(MarshalTensor("x", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1}, Raw: make([]byte, 4)}))
	f.Add(MarshalSequence("x", []tensor.Map{{IntKeys: []int64{1}, Values: []float32{1}}}))
	elem := Type{Kind: KindTensor, Elem: tensor.Float32}
	list := Type{Kind: KindSequence, Of: &elem}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, typ := range []Type{list, {Kind: KindOptional, Of: &list}} {
			if v, err := ParseValue(raw, typ); err != nil && !reflect.DeepEqual(v, tensor.Value{}) {
				t.Fatal("a value together with an error")
			}
		}
		if v, name, err := ParseTensor(raw); err == nil {
			again, _, err := ParseTensor(MarshalTensor(name, v))
			if err != nil || !bytes.Equal(again.Raw, v.Raw) {
				t.Fatalf("the second reading differs: %v", err)
			}
		}
		if maps, name, err := ParseSequence(raw); err == nil {
			if _, _, err := ParseSequence(MarshalSequence(name, maps)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
