package reference

import (
	"math"
	"strconv"
	"strings"

	"sluice/inference/tensor"
)

func fromFloat64(d tensor.DType) func(data, int, float64) {
	switch d {
	case tensor.Float32:
		return func(v data, i int, f float64) { v.(vec[float32])[i] = float32(f) }
	case tensor.Float64:
		return func(v data, i int, f float64) { v.(vec[float64])[i] = f }
	case tensor.Float16:
		return func(v data, i int, f float64) { v.(vec[f16])[i] = toF16(float32(f)) }
	case tensor.BFloat16:
		return func(v data, i int, f float64) { v.(vec[bf16])[i] = toBF16(float32(f)) }
	case tensor.Bool:
		return func(v data, i int, f float64) { v.(vec[bool])[i] = f != 0 }
	case tensor.Uint64:
		return func(v data, i int, f float64) {
			switch {
			case f > -1 && f < 1<<63:
				v.(vec[uint64])[i] = uint64(int64(f))
			case f >= 1<<63 && f < 1<<64:
				v.(vec[uint64])[i] = uint64(int64(f-1<<63)) + 1<<63
			default:
				v.(vec[uint64])[i] = uint64(saturate(f, 64))
			}
		}
	}
	set := fromInt64(d)
	return func(v data, i int, f float64) { set(v, i, saturate(f, 64)) }
}

func fromInt64(d tensor.DType) func(data, int, int64) {
	switch d {
	case tensor.Int8:
		return func(v data, i int, n int64) { v.(vec[int8])[i] = int8(n) }
	case tensor.Int16:
		return func(v data, i int, n int64) { v.(vec[int16])[i] = int16(n) }
	case tensor.Int32:
		return func(v data, i int, n int64) { v.(vec[int32])[i] = int32(n) }
	case tensor.Int64:
		return func(v data, i int, n int64) { v.(vec[int64])[i] = n }
	case tensor.Uint8:
		return func(v data, i int, n int64) { v.(vec[uint8])[i] = uint8(n) }
	case tensor.Uint16:
		return func(v data, i int, n int64) { v.(vec[uint16])[i] = uint16(n) }
	case tensor.Uint32:
		return func(v data, i int, n int64) { v.(vec[uint32])[i] = uint32(n) }
	case tensor.Uint64:
		return func(v data, i int, n int64) { v.(vec[uint64])[i] = uint64(n) }
	case tensor.Bool:
		return func(v data, i int, n int64) { v.(vec[bool])[i] = n != 0 }
	}
	set := fromFloat64(d)
	return func(v data, i int, n int64) { set(v, i, float64(n)) }
}

func convertFloats[T any](out data, d tensor.DType, in []T, f func(T) float64) {
	set := fromFloat64(d)
	for i, x := range in {
		set(out, i, f(x))
	}
}

func convertInts[T integer](out data, d tensor.DType, in []T) {
	set := fromInt64(d)
	for i, x := range in {
		set(out, i, int64(x))
	}
}

// cast converts a tensor to another type. Floating-point numbers lose their fraction; whole numbers keep their low bits.
func cast(r *run, v *value, to tensor.DType) (*value, error) {
	if v.dt == to {
		return r.view(v, v.shape), nil
	}
	out, err := r.make(to, v.shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(4 * v.data.len()); err != nil {
		return nil, err
	}
	if to == tensor.String {
		const digits = 24 // most bytes of a number in decimal, as they are allocated
		if err := r.charge(digits * int64(v.data.len())); err != nil {
			return nil, err
		}
		out.buf.size += digits * int64(v.data.len())
		return out, format(of[string](out), v)
	}
	switch d := v.data.(type) {
	case vec[float32]:
		if w, ok := out.data.(vec[float64]); ok {
			for i, x := range d {
				w[i] = float64(x)
			}
			break
		}
		convertFloats(out.data, to, d, func(x float32) float64 { return float64(x) })
	case vec[float64]:
		convertFloats(out.data, to, d, func(x float64) float64 { return x })
	case vec[f16]:
		convertFloats(out.data, to, d, func(x f16) float64 { return float64(x.float32()) })
	case vec[bf16]:
		convertFloats(out.data, to, d, func(x bf16) float64 { return float64(x.float32()) })
	case vec[int8]:
		convertInts(out.data, to, d)
	case vec[int16]:
		convertInts(out.data, to, d)
	case vec[int32]:
		convertInts(out.data, to, d)
	case vec[int64]:
		convertInts(out.data, to, d)
	case vec[uint8]:
		convertInts(out.data, to, d)
	case vec[uint16]:
		convertInts(out.data, to, d)
	case vec[uint32]:
		convertInts(out.data, to, d)
	case vec[uint64]:
		switch to {
		case tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16:
			convertFloats(out.data, to, d, func(x uint64) float64 { return float64(x) })
		default:
			convertInts(out.data, to, d)
		}
	case vec[bool]:
		set := fromInt64(to)
		for i, x := range d {
			if x {
				set(out.data, i, 1)
			}
		}
	case vec[string]:
		return out, scan(out.data, to, d)
	}
	return out, nil
}

// castTo is cast as models may ask for it: the digits of a floating-point number no standard fixes.
func castTo(r *run, v *value, to tensor.DType) (*value, error) {
	if to == tensor.String {
		switch v.dt {
		case tensor.String, tensor.Int32, tensor.Int64:
		default:
			return nil, unsupported("Cast of %s to string, whose writing no standard fixes", v.dt)
		}
	}
	return cast(r, v, to)
}

// format writes whole numbers in decimal.
func format(out []string, v *value) error {
	for i, n := range v.ints() {
		out[i] = strconv.FormatInt(n, 10)
	}
	return nil
}

// scan reads numbers.
func scan(out data, to tensor.DType, in []string) error {
	switch to {
	case tensor.Float32, tensor.Float64:
		set := fromFloat64(to)
		for i, s := range in {
			f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil && !math.IsInf(f, 0) || strings.ContainsAny(s, "xXpP_") {
				return invalid("text %q is no number", s)
			}
			set(out, i, f)
		}
	case tensor.Int32, tensor.Int64:
		set := fromInt64(to)
		for i, s := range in {
			n, err := strconv.ParseInt(s, 10, to.Size()*8)
			if err != nil {
				return invalid("text %q is no whole number of type %s", s, to)
			}
			set(out, i, n)
		}
	default:
		return unsupported("Cast of string to %s", to)
	}
	return nil
}

func opCast(b *builder) (kernel, error) {
	b.want("to")
	to := tensor.DType(b.int("to", 0))
	if b.version >= 19 {
		b.int("saturate", 1) // concerns 8-bit floating-point numbers only, which the table excludes
	}
	if err := b.bindOut("T2", to); err != nil {
		return nil, err
	}
	return func(r *run, in []*value) ([]*value, error) {
		return one(castTo(r, in[0], to))
	}, nil
}

func opCastLike(b *builder) (kernel, error) {
	if b.version >= 19 {
		b.int("saturate", 1)
	}
	return func(r *run, in []*value) ([]*value, error) {
		return one(castTo(r, in[0], in[1].dt))
	}, nil
}
