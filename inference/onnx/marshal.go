package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/inference/tensor"
)

// Marshal writes a ModelProto. Equal models give equal bytes. Bodies of functions and sparse tensors, which Parse
// does not keep, are not written.
func Marshal(m *Model) []byte {
	var w writer
	w.int(1, m.IRVersion)
	w.text(2, m.ProducerName)
	w.text(3, m.ProducerVersion)
	w.text(4, m.Domain)
	w.int(5, m.ModelVersion)
	w.text(6, m.Doc)
	if m.Graph != nil {
		w.bytes(7, marshalGraph(m.Graph))
	}
	for _, o := range m.Opsets {
		var s writer
		s.text(1, o.Domain)
		s.intAlways(2, o.Version)
		w.bytes(8, s.b)
	}
	w.keyValues(14, m.Metadata)
	return w.b
}

// MarshalTensor writes a TensorProto file with its elements in raw_data.
func MarshalTensor(name string, t *tensor.Tensor) []byte {
	return marshalTensor(&Tensor{Name: name, Value: *t})
}

// MarshalSequence writes a SequenceProto file of maps, each value a scalar tensor.
func MarshalSequence(name string, maps []tensor.Map) []byte {
	var w writer
	w.text(1, name)
	w.int(2, 4) // elem_type MAP
	for _, m := range maps {
		var s writer
		if m.StringKeys != nil {
			s.int(2, int64(tensor.String))
			for _, k := range m.StringKeys {
				s.bytes(4, []byte(k))
			}
		} else {
			s.int(2, int64(tensor.Int64))
			s.ints(3, m.IntKeys)
		}
		var values writer
		values.int(2, 1) // elem_type TENSOR
		for _, v := range m.Values {
			raw := binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
			values.bytes(3, MarshalTensor("", &tensor.Tensor{DType: tensor.Float32, Raw: raw}))
		}
		s.bytes(5, values.b)
		w.bytes(6, s.b)
	}
	return w.b
}

// writer appends fields; zero values are left out but where the name says otherwise.
type writer struct{ b []byte }

func (w *writer) intAlways(n protowire.Number, v int64) {
	w.b = protowire.AppendTag(w.b, n, protowire.VarintType)
	w.b = protowire.AppendVarint(w.b, uint64(v))
}

func (w *writer) int(n protowire.Number, v int64) {
	if v != 0 {
		w.intAlways(n, v)
	}
}

func (w *writer) bytes(n protowire.Number, v []byte) {
	w.b = protowire.AppendTag(w.b, n, protowire.BytesType)
	w.b = protowire.AppendBytes(w.b, v)
}

func (w *writer) text(n protowire.Number, v string) {
	if v != "" {
		w.bytes(n, []byte(v))
	}
}

func (w *writer) float(n protowire.Number, v float32) {
	w.b = protowire.AppendTag(w.b, n, protowire.Fixed32Type)
	w.b = protowire.AppendFixed32(w.b, math.Float32bits(v))
}

// ints writes one by one, as onnx.proto (proto2, not packed) does.
func (w *writer) ints(n protowire.Number, v []int64) {
	for _, i := range v {
		w.intAlways(n, i)
	}
}

func (w *writer) keyValues(n protowire.Number, kvs []KeyValue) {
	for _, kv := range kvs {
		var s writer
		s.text(1, kv.Key)
		s.text(2, kv.Value)
		w.bytes(n, s.b)
	}
}

func marshalGraph(g *Graph) []byte {
	var w writer
	for _, n := range g.Nodes {
		w.bytes(1, marshalNode(n))
	}
	w.text(2, g.Name)
	for _, t := range g.Initializers {
		w.bytes(5, marshalTensor(t))
	}
	w.text(10, g.Doc)
	for _, v := range g.Inputs {
		w.bytes(11, marshalValueInfo(v))
	}
	for _, v := range g.Outputs {
		w.bytes(12, marshalValueInfo(v))
	}
	for _, v := range g.ValueInfos {
		w.bytes(13, marshalValueInfo(v))
	}
	return w.b
}

func marshalNode(n *Node) []byte {
	var w writer
	for _, s := range n.Inputs {
		w.bytes(1, []byte(s)) // an empty name holds the place of an input left out
	}
	for _, s := range n.Outputs {
		w.bytes(2, []byte(s))
	}
	w.text(3, n.Name)
	w.text(4, n.OpType)
	for _, a := range n.Attributes {
		w.bytes(5, marshalAttribute(a))
	}
	w.text(6, n.Doc)
	w.text(7, n.Domain)
	w.text(8, n.Overload)
	return w.b
}

func marshalAttribute(a *Attribute) []byte {
	var w writer
	w.text(1, a.Name)
	switch a.Type {
	case AttrFloat:
		w.float(2, a.Float)
	case AttrInt:
		w.intAlways(3, a.Int)
	case AttrString:
		w.bytes(4, a.String)
	case AttrTensor:
		if a.Tensor != nil {
			w.bytes(5, marshalTensor(a.Tensor))
		}
	case AttrGraph:
		if a.Graph != nil {
			w.bytes(6, marshalGraph(a.Graph))
		}
	case AttrFloats:
		for _, f := range a.Floats {
			w.float(7, f)
		}
	case AttrInts:
		w.ints(8, a.Ints)
	case AttrStrings:
		for _, s := range a.Strings {
			w.bytes(9, s)
		}
	case AttrTensors:
		for _, t := range a.Tensors {
			w.bytes(10, marshalTensor(t))
		}
	case AttrGraphs:
		for _, g := range a.Graphs {
			w.bytes(11, marshalGraph(g))
		}
	}
	if a.Type == AttrTypeProto && a.Of != nil {
		w.bytes(14, marshalType(a.Of))
	}
	w.int(20, int64(a.Type))
	w.text(21, a.Ref)
	return w.b
}

func marshalTensor(t *Tensor) []byte {
	var w writer
	w.ints(1, t.Value.Shape)
	w.int(2, int64(t.Value.DType))
	if t.Value.DType == tensor.String {
		for _, s := range t.Value.Strings {
			w.bytes(6, []byte(s))
		}
	}
	w.text(8, t.Name)
	switch {
	case t.External != nil:
	case t.Value.DType != tensor.String:
		w.bytes(9, t.Value.Raw)
	}
	w.text(12, t.Doc)
	if t.External != nil {
		w.keyValues(13, t.External)
		w.int(14, 1)
	}
	return w.b
}

func marshalValueInfo(v ValueInfo) []byte {
	var w writer
	w.text(1, v.Name)
	if v.Type.Kind != KindNone {
		w.bytes(2, marshalType(&v.Type))
	}
	w.text(3, v.Doc)
	return w.b
}

func marshalType(t *Type) []byte {
	var w, in writer
	switch t.Kind {
	case KindTensor, KindSparse:
		in.int(1, int64(t.Elem))
		if t.HasShape {
			in.bytes(2, marshalDims(t.Dims))
		}
	case KindMap:
		in.int(1, int64(t.Key))
		if t.Of != nil {
			in.bytes(2, marshalType(t.Of))
		}
	case KindSequence, KindOptional:
		if t.Of != nil {
			in.bytes(1, marshalType(t.Of))
		}
	}
	num := map[Kind]protowire.Number{KindTensor: 1, KindSequence: 4, KindMap: 5, KindOpaque: 7, KindSparse: 8, KindOptional: 9}[t.Kind]
	if num != 0 {
		w.bytes(num, in.b)
	}
	return w.b
}

func marshalDims(dims []Dim) []byte {
	var w writer
	for _, d := range dims {
		var s writer
		if d.Value >= 0 {
			s.intAlways(1, d.Value)
		} else {
			s.text(2, d.Param)
		}
		w.bytes(1, s.b)
	}
	return w.b
}
