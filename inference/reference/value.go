package reference

import (
	"encoding/binary"
	"math"

	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// value is a tensor in the evaluator, or the sequence of maps that ZipMap makes.
type value struct {
	dt    tensor.DType
	shape []int
	data  data // a vec of the Go type that dt stands for; never nil for a tensor
	maps  []tensor.Map
	buf   *buffer // whom the memory is charged to; nil for constants
}

// buffer is memory charged to a run. Views of one tensor share it.
type buffer struct {
	size int64
	refs int
}

// f16 and bf16 are the bits of half-precision numbers.
type (
	f16  uint16
	bf16 uint16
)

// data is a row-major list of elements of one type. Methods that take another data need the same type, which the
// operator table guarantees.
type data interface {
	len() int
	make(n int) data
	copyAt(at int, src data, from, n int)
	strided(src data, shape, strides []int, off int)
	fill(src data, at int)
}

// vec is the only data.
type vec[T any] []T

func (v vec[T]) len() int        { return len(v) }
func (v vec[T]) make(n int) data { return make(vec[T], n) }

// copyAt copies n elements of src from an index on.
func (v vec[T]) copyAt(at int, src data, from, n int) {
	copy(v[at:at+n], src.(vec[T])[from:from+n])
}

// fill sets every element to src[at].
func (v vec[T]) fill(src data, at int) {
	x := src.(vec[T])[at]
	for i := range v {
		v[i] = x
	}
}

// strided fills v, of the given shape, with src[off + Σ index·stride].
func (v vec[T]) strided(src data, shape, strides []int, off int) {
	s := src.(vec[T])
	if len(v) == 0 {
		return
	}
	if len(shape) == 0 {
		v[0] = s[off]
		return
	}
	last := len(shape) - 1
	n, st := shape[last], strides[last]
	idx := make([]int, last)
	for at := 0; at < len(v); at += n {
		switch st {
		case 1:
			copy(v[at:at+n], s[off:off+n])
		case 0:
			x := s[off]
			for i := range v[at : at+n] {
				v[at+i] = x
			}
		default:
			for i, p := 0, off; i < n; i, p = i+1, p+st {
				v[at+i] = s[p]
			}
		}
		off = step(idx, shape, strides, off)
	}
}

// step advances an index over all dimensions but the last and gives the new offset.
func step(idx, shape, strides []int, off int) int {
	for d := len(idx) - 1; d >= 0; d-- {
		idx[d]++
		off += strides[d]
		if idx[d] < shape[d] {
			break
		}
		off -= strides[d] * shape[d]
		idx[d] = 0
	}
	return off
}

// makeData makes n zero elements of a type; nil for a type the evaluator does not hold.
func makeData(d tensor.DType, n int) data {
	switch d {
	case tensor.Float32:
		return make(vec[float32], n)
	case tensor.Float64:
		return make(vec[float64], n)
	case tensor.Float16:
		return make(vec[f16], n)
	case tensor.BFloat16:
		return make(vec[bf16], n)
	case tensor.Int8:
		return make(vec[int8], n)
	case tensor.Int16:
		return make(vec[int16], n)
	case tensor.Int32:
		return make(vec[int32], n)
	case tensor.Int64:
		return make(vec[int64], n)
	case tensor.Uint8:
		return make(vec[uint8], n)
	case tensor.Uint16:
		return make(vec[uint16], n)
	case tensor.Uint32:
		return make(vec[uint32], n)
	case tensor.Uint64:
		return make(vec[uint64], n)
	case tensor.Bool:
		return make(vec[bool], n)
	case tensor.String:
		return make(vec[string], n)
	}
	return nil
}

// of gives the elements of a value whose type the operator table has already made sure of.
func of[T any](v *value) []T { return v.data.(vec[T]) }

// width is what one element costs in memory; the characters of strings are not counted, they are never copied.
func width(d tensor.DType) int64 {
	if d == tensor.String {
		return 16
	}
	return int64(d.Size())
}

// count multiplies dimensions known to be sound.
func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// stridesOf gives the row-major strides of a shape.
func stridesOf(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// elements gives the product of a shape. Dimensions of 0 are also counted as 1, so that loops over the others stay bounded.
func elements(shape []int64, most int64) (int, error) {
	if len(shape) > maxRank {
		return 0, invalid("a tensor of %d dimensions, wanted at most %d", len(shape), maxRank)
	}
	bound, zero := int64(1), false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, invalid("a tensor of shape %d, wanted no negative dimension", shape)
		case d == 0:
			zero = true
		case bound > most/d:
			return 0, tooLarge("a tensor of shape %d needs more than the limit of memory", shape)
		default:
			bound *= d
		}
	}
	if zero {
		return 0, nil
	}
	return int(bound), nil
}

func toInts(s []int64) []int {
	out := make([]int, len(s))
	for i, d := range s {
		out[i] = int(d)
	}
	return out
}

func toInt64s(s []int) []int64 {
	out := make([]int64, len(s))
	for i, d := range s {
		out[i] = int64(d)
	}
	return out
}

// fromTensor decodes a tensor; its length must agree with its shape.
func fromTensor(t *tensor.Tensor, most int64) (*value, error) {
	w := width(t.DType)
	if w == 0 || t.DType == tensor.Complex64 || t.DType == tensor.Complex128 {
		return nil, fault.New(fault.EngineNeeded, "needs the full runtime: tensors of element type %d (%s)", int32(t.DType), t.DType)
	}
	n, err := elements(t.Shape, most/w)
	if err != nil {
		return nil, err
	}
	v := &value{dt: t.DType, shape: toInts(t.Shape)}
	if t.DType == tensor.String {
		if len(t.Strings) != n {
			return nil, invalid("a tensor of shape %d with %d strings, wanted %d", t.Shape, len(t.Strings), n)
		}
		v.data = vec[string](t.Strings)
		return v, nil
	}
	if int64(len(t.Raw)) != int64(n)*w {
		return nil, invalid("a tensor of type %s and shape %d with %d bytes, wanted %d", t.DType, t.Shape, len(t.Raw), int64(n)*w)
	}
	v.data = makeData(t.DType, n)
	decode(v.data, t.Raw)
	return v, nil
}

func decode(d data, raw []byte) {
	le := binary.LittleEndian
	switch d := d.(type) {
	case vec[float32]:
		for i := range d {
			d[i] = math.Float32frombits(le.Uint32(raw[4*i:]))
		}
	case vec[float64]:
		for i := range d {
			d[i] = math.Float64frombits(le.Uint64(raw[8*i:]))
		}
	case vec[f16]:
		for i := range d {
			d[i] = f16(le.Uint16(raw[2*i:]))
		}
	case vec[bf16]:
		for i := range d {
			d[i] = bf16(le.Uint16(raw[2*i:]))
		}
	case vec[int8]:
		for i := range d {
			d[i] = int8(raw[i])
		}
	case vec[uint8]:
		copy(d, raw)
	case vec[int16]:
		for i := range d {
			d[i] = int16(le.Uint16(raw[2*i:]))
		}
	case vec[uint16]:
		for i := range d {
			d[i] = le.Uint16(raw[2*i:])
		}
	case vec[int32]:
		for i := range d {
			d[i] = int32(le.Uint32(raw[4*i:]))
		}
	case vec[uint32]:
		for i := range d {
			d[i] = le.Uint32(raw[4*i:])
		}
	case vec[int64]:
		for i := range d {
			d[i] = int64(le.Uint64(raw[8*i:]))
		}
	case vec[uint64]:
		for i := range d {
			d[i] = le.Uint64(raw[8*i:])
		}
	case vec[bool]:
		for i := range d {
			d[i] = raw[i] != 0
		}
	}
}

// toTensor encodes a value.
func (v *value) toTensor() *tensor.Tensor {
	t := &tensor.Tensor{DType: v.dt, Shape: toInt64s(v.shape)}
	if s, ok := v.data.(vec[string]); ok {
		t.Strings = append([]string{}, s...)
		return t
	}
	le := binary.LittleEndian
	b := make([]byte, 0, v.data.len()*v.dt.Size())
	switch d := v.data.(type) {
	case vec[float32]:
		for _, x := range d {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	case vec[float64]:
		for _, x := range d {
			b = le.AppendUint64(b, math.Float64bits(x))
		}
	case vec[f16]:
		for _, x := range d {
			b = le.AppendUint16(b, uint16(x))
		}
	case vec[bf16]:
		for _, x := range d {
			b = le.AppendUint16(b, uint16(x))
		}
	case vec[int8]:
		for _, x := range d {
			b = append(b, byte(x))
		}
	case vec[uint8]:
		b = append(b, d...)
	case vec[int16]:
		for _, x := range d {
			b = le.AppendUint16(b, uint16(x))
		}
	case vec[uint16]:
		for _, x := range d {
			b = le.AppendUint16(b, x)
		}
	case vec[int32]:
		for _, x := range d {
			b = le.AppendUint32(b, uint32(x))
		}
	case vec[uint32]:
		for _, x := range d {
			b = le.AppendUint32(b, x)
		}
	case vec[int64]:
		for _, x := range d {
			b = le.AppendUint64(b, uint64(x))
		}
	case vec[uint64]:
		for _, x := range d {
			b = le.AppendUint64(b, x)
		}
	case vec[bool]:
		for _, x := range d {
			if x {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
	}
	t.Raw = b
	return t
}

// ints gives the elements of a list of int32 or int64, as shapes, axes and pads come.
func (v *value) ints() []int64 {
	switch d := v.data.(type) {
	case vec[int64]:
		return d
	case vec[int32]:
		out := make([]int64, len(d))
		for i, x := range d {
			out[i] = int64(x)
		}
		return out
	}
	return nil
}

// float32 widens a half.
func (h f16) float32() float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	man := uint32(h) & 0x3ff
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	case exp == 0:
		f := float32(man) / (1 << 24)
		if sign != 0 {
			f = -f
		}
		return f
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// toF16 rounds to the nearest half, ties to even, as IEEE 754 does.
func toF16(f float32) f16 {
	b := math.Float32bits(f)
	sign := f16(b >> 16 & 0x8000)
	exp := int(b>>23&0xff) - 127
	man := b & 0x7fffff
	switch {
	case exp == 128:
		if man != 0 {
			return sign | 0x7e00
		}
		return sign | 0x7c00
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14:
		h := uint32(exp+15)<<10 | man>>13
		rest := man & 0x1fff
		if rest > 0x1000 || rest == 0x1000 && h&1 == 1 {
			h++ // may carry into the exponent, up to infinity
		}
		return sign | f16(h)
	case exp < -25:
		return sign
	}
	man |= 0x800000
	shift := uint(-exp - 14 + 13)
	h := man >> shift
	rest, half := man&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > half || rest == half && h&1 == 1 {
		h++
	}
	return sign | f16(h)
}

func (h bf16) float32() float32 { return math.Float32frombits(uint32(h) << 16) }

// toBF16 rounds to the nearest, ties to even.
func toBF16(f float32) bf16 {
	b := math.Float32bits(f)
	if f != f {
		return bf16(b>>16&0x8000 | 0x7fc0)
	}
	return bf16((b + 0x7fff + b>>16&1) >> 16)
}
