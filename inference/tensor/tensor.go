// Package tensor holds values as ONNX defines them: element type, shape, elements.
// It does not compute.
package tensor

// DType is an element type, numbered as ONNX TensorProto.DataType.
type DType int32

// Element types, by their ONNX names.
const (
	Undefined  DType = 0
	Float32    DType = 1
	Uint8      DType = 2
	Int8       DType = 3
	Uint16     DType = 4
	Int16      DType = 5
	Int32      DType = 6
	Int64      DType = 7
	String     DType = 8
	Bool       DType = 9
	Float16    DType = 10
	Float64    DType = 11
	Uint32     DType = 12
	Uint64     DType = 13
	Complex64  DType = 14
	Complex128 DType = 15
	BFloat16   DType = 16

	Float8E4M3FN   DType = 17
	Float8E4M3FNUZ DType = 18
	Float8E5M2     DType = 19
	Float8E5M2FNUZ DType = 20
	Uint4          DType = 21
	Int4           DType = 22
)

var names = map[DType]string{
	Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16", Int32: "int32",
	Int64: "int64", String: "string", Bool: "bool", Float16: "float16", Float64: "float64", Uint32: "uint32",
	Uint64: "uint64", BFloat16: "bfloat16", Complex64: "complex64", Complex128: "complex128",
	Float8E4M3FN: "float8e4m3fn", Float8E4M3FNUZ: "float8e4m3fnuz", Float8E5M2: "float8e5m2", Float8E5M2FNUZ: "float8e5m2fnuz",
	Uint4: "uint4", Int4: "int4",
}

// String is the name used in an inference contract, such as "float32".
func (d DType) String() string {
	if s, ok := names[d]; ok {
		return s
	}
	return "undefined"
}

// ParseDType is the inverse of String.
func ParseDType(s string) (DType, bool) {
	for d, n := range names {
		if n == s {
			return d, true
		}
	}
	return Undefined, false
}

// Size is the width of one element in bytes; 0 for String, Undefined and the 4-bit types.
func (d DType) Size() int {
	switch d {
	case Uint8, Int8, Bool, Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ:
		return 1
	case Uint16, Int16, Float16, BFloat16:
		return 2
	case Float32, Int32, Uint32:
		return 4
	case Float64, Int64, Uint64, Complex64:
		return 8
	case Complex128:
		return 16
	}
	return 0
}

// Bytes is the length of n elements in Tensor.Raw; two 4-bit elements share a byte, the first in its low half. It is -1
// for String, Undefined, and lengths that cannot be counted.
func (d DType) Bytes(n int64) int64 {
	size := int64(d.Size())
	switch {
	case n < 0:
		return -1
	case d == Uint4 || d == Int4:
		return n/2 + n%2
	case size == 0 || n > (1<<62)/size:
		return -1
	}
	return n * size
}

// Tensor is a dense value in row-major order.
type Tensor struct {
	DType   DType
	Shape   []int64 // empty for a scalar; a dimension may be 0
	Raw     []byte  // little-endian elements; nil for String
	Strings []string
}

// Value is one of the kinds that inputs and outputs of ONNX models have. Exactly one field is set; those of an optional
// type are what they hold, or Empty.
type Value struct {
	Tensor   *Tensor
	Maps     []Map     // a sequence of maps, as ONNX-ML classifiers give it; where a model has a single map, exactly one
	Sequence []*Tensor // a sequence of tensors of one element type; not nil when set, perhaps of no length
	Empty    bool      // an optional that holds nothing
}

// Map is one ONNX map: keys are int64 or string, values float32.
type Map struct {
	IntKeys    []int64
	StringKeys []string
	Values     []float32
}

// Info describes an input or output of a model. Of a sequence, map or optional, DType and Shape are those of the
// innermost tensor. A dimension of -1 is not fixed; DimNames names it where the model does. A Shape of nil means that the
// model does not say how many dimensions there are.
type Info struct {
	Name     string
	DType    DType
	Shape    []int64
	DimNames []string
	Kind     string // "tensor", "sequence", "map", "optional"
	Type     string // in full, as contracts write it: "float32", "sequence(map(int64,float32))", "optional(sequence(float32))"
}

// Elements is the product of shape; 1 for a scalar; -1 when negative or too large to count.
func Elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return -1
		}
		if d != 0 && n > (1<<62)/d {
			return -1
		}
		n *= d
	}
	return n
}
