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
)

var names = map[DType]string{
	Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16", Int32: "int32",
	Int64: "int64", String: "string", Bool: "bool", Float16: "float16", Float64: "float64", Uint32: "uint32",
	Uint64: "uint64", BFloat16: "bfloat16", Complex64: "complex64", Complex128: "complex128",
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

// Size is the width of one element in bytes; 0 for String and Undefined.
func (d DType) Size() int {
	switch d {
	case Uint8, Int8, Bool:
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

// Tensor is a dense value in row-major order.
type Tensor struct {
	DType   DType
	Shape   []int64 // empty for a scalar; a dimension may be 0
	Raw     []byte  // little-endian elements; nil for String
	Strings []string
}

// Value is a tensor or, from ONNX-ML classifiers, a sequence of maps. Exactly one field is set.
type Value struct {
	Tensor *Tensor
	Maps   []Map
}

// Map is one ONNX map: keys are int64 or string, values float32.
type Map struct {
	IntKeys    []int64
	StringKeys []string
	Values     []float32
}

// Info describes an input or output of a model. A dimension of -1 is not fixed; DimNames names it where the model does.
type Info struct {
	Name     string
	DType    DType
	Shape    []int64
	DimNames []string
	Kind     string // "tensor", "sequence", "map", "optional"
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
