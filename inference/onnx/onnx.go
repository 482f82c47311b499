// Package onnx holds models as ONNX's onnx.proto (IR versions 3 to 10) draws them, and reads and writes their
// protobuf encoding with limits fit for untrusted bytes. It checks that a file is well formed; whether a graph makes
// sense, and what it computes, is decided elsewhere.
package onnx

import "sluice/inference/tensor"

// Model is a ModelProto.
type Model struct {
	IRVersion       int64
	ProducerName    string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	Doc             string
	Graph           *Graph
	Opsets          []Opset
	Metadata        []KeyValue
	Functions       []*Function
}

// Opset is an OperatorSetIdProto: the version of a domain's operators that the model was written for.
// The empty domain stands for ai.onnx.
type Opset struct {
	Domain  string
	Version int64
}

// KeyValue is a StringStringEntryProto.
type KeyValue struct{ Key, Value string }

// Graph is a GraphProto.
type Graph struct {
	Name         string
	Doc          string
	Nodes        []*Node
	Initializers []*Tensor
	Inputs       []ValueInfo
	Outputs      []ValueInfo
	ValueInfos   []ValueInfo
	Sparse       int // number of sparse initializers; they are counted, not kept
}

// Function is the head of a FunctionProto, a function defined within the model; its body is not kept.
type Function struct {
	Name   string
	Domain string
}

// Node is a NodeProto. An empty input or output name stands for one that is left out.
type Node struct {
	Name       string
	OpType     string
	Domain     string
	Doc        string
	Overload   string
	Inputs     []string
	Outputs    []string
	Attributes []*Attribute
}

// AttrType says which field of an Attribute holds its value, numbered as AttributeProto.AttributeType.
type AttrType int32

// The kinds of attributes.
const (
	AttrUndefined     AttrType = 0
	AttrFloat         AttrType = 1
	AttrInt           AttrType = 2
	AttrString        AttrType = 3
	AttrTensor        AttrType = 4
	AttrGraph         AttrType = 5
	AttrFloats        AttrType = 6
	AttrInts          AttrType = 7
	AttrStrings       AttrType = 8
	AttrTensors       AttrType = 9
	AttrGraphs        AttrType = 10
	AttrSparseTensor  AttrType = 11
	AttrSparseTensors AttrType = 12
	AttrTypeProto     AttrType = 13
	AttrTypeProtos    AttrType = 14
)

var attrNames = [...]string{"undefined", "float", "int", "string", "tensor", "graph", "floats", "ints", "strings",
	"tensors", "graphs", "sparse tensor", "sparse tensors", "type", "types"}

// String names the kind in lower case.
func (t AttrType) String() string {
	if t < 0 || int(t) >= len(attrNames) {
		return "unknown"
	}
	return attrNames[t]
}

// Attribute is an AttributeProto. Sparse tensors and lists of types are recognised by Type, their values are not kept.
type Attribute struct {
	Name    string
	Type    AttrType
	Ref     string // name of a function's attribute that this one stands for
	Float   float32
	Int     int64
	String  []byte
	Tensor  *Tensor
	Graph   *Graph
	Floats  []float32
	Ints    []int64
	Strings [][]byte
	Tensors []*Tensor
	Graphs  []*Graph
	Of      *Type // the value of an AttrTypeProto
}

// IntAttr makes an attribute that holds an integer.
func IntAttr(name string, v int64) *Attribute { return &Attribute{Name: name, Type: AttrInt, Int: v} }

// FloatAttr makes an attribute that holds a number.
func FloatAttr(name string, v float32) *Attribute {
	return &Attribute{Name: name, Type: AttrFloat, Float: v}
}

// StringAttr makes an attribute that holds a string.
func StringAttr(name, v string) *Attribute {
	return &Attribute{Name: name, Type: AttrString, String: []byte(v)}
}

// IntsAttr makes an attribute that holds integers.
func IntsAttr(name string, v ...int64) *Attribute {
	return &Attribute{Name: name, Type: AttrInts, Ints: v}
}

// FloatsAttr makes an attribute that holds numbers.
func FloatsAttr(name string, v ...float32) *Attribute {
	return &Attribute{Name: name, Type: AttrFloats, Floats: v}
}

// StringsAttr makes an attribute that holds strings.
func StringsAttr(name string, v ...string) *Attribute {
	a := &Attribute{Name: name, Type: AttrStrings}
	for _, s := range v {
		a.Strings = append(a.Strings, []byte(s))
	}
	return a
}

// TensorAttr makes an attribute that holds a tensor.
func TensorAttr(name string, t *Tensor) *Attribute {
	return &Attribute{Name: name, Type: AttrTensor, Tensor: t}
}

// TypeAttr makes an attribute that holds a type.
func TypeAttr(name string, t Type) *Attribute {
	return &Attribute{Name: name, Type: AttrTypeProto, Of: &t}
}

// GraphAttr makes an attribute that holds a graph.
func GraphAttr(name string, g *Graph) *Attribute {
	return &Attribute{Name: name, Type: AttrGraph, Graph: g}
}

// Tensor is a TensorProto. With External set the elements lie in another file and Value.Raw is nil.
type Tensor struct {
	Name     string
	Doc      string
	Value    tensor.Tensor
	External []KeyValue
}

// Kind is what a Type describes.
type Kind string

// The kinds of types; the words are those of tensor.Info.Kind.
const (
	KindNone     Kind = "" // no type given
	KindTensor   Kind = "tensor"
	KindSequence Kind = "sequence"
	KindMap      Kind = "map"
	KindOptional Kind = "optional"
	KindSparse   Kind = "sparse"
	KindOpaque   Kind = "opaque"
)

// Type is a TypeProto.
type Type struct {
	Kind     Kind
	Elem     tensor.DType // of a tensor
	HasShape bool         // false: not even the rank is known
	Dims     []Dim
	Key      tensor.DType // of a map
	Of       *Type        // element of a sequence, value of a map, content of an optional
}

// String writes the type as inference contracts do, such as "float32" or "sequence(map(int64,float32))".
func (t Type) String() string {
	switch {
	case t.Kind == KindTensor:
		return t.Elem.String()
	case t.Of == nil:
		return string(t.Kind)
	case t.Kind == KindMap:
		return "map(" + t.Key.String() + "," + t.Of.String() + ")"
	}
	return string(t.Kind) + "(" + t.Of.String() + ")"
}

// Dim is one dimension: a fixed Value, or -1 and perhaps a Param that names it.
type Dim struct {
	Value int64
	Param string
}

// ValueInfo is a ValueInfoProto: the name and type of an input, output or inner value.
type ValueInfo struct {
	Name string
	Doc  string
	Type Type
}

// TensorInfo describes a tensor of a fixed element type; dims of -1 are not fixed.
func TensorInfo(name string, d tensor.DType, dims ...int64) ValueInfo {
	t := Type{Kind: KindTensor, Elem: d, HasShape: true, Dims: make([]Dim, len(dims))}
	for i, n := range dims {
		t.Dims[i].Value = n
	}
	return ValueInfo{Name: name, Type: t}
}

// Info gives the description in the form engines share.
func (v ValueInfo) Info() tensor.Info {
	in := tensor.Info{Name: v.Name, Kind: string(v.Type.Kind), Type: v.Type.String()}
	t := &v.Type
	for t.Of != nil {
		t = t.Of
	}
	in.DType = t.Elem
	if t.HasShape {
		in.Shape = make([]int64, len(t.Dims))
		in.DimNames = make([]string, len(t.Dims))
		for i, d := range t.Dims {
			in.Shape[i], in.DimNames[i] = d.Value, d.Param
		}
	}
	return in
}
