package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// saturate converts to an integer of so many bits; out of range it takes the smallest one, as x86 does.
func saturate(f float64, bits uint) int64 {
	low := -math.Ldexp(1, int(bits-1))
	if !(f > low-1 && f < -low) {
		return int64(low)
	}
	return int64(f)
}

// unary applies a function to floating-point numbers, computing in float64.
func unary(f func(float64) float64) func(*builder) (kernel, error) {
	return func(*builder) (kernel, error) { return floats(f), nil }
}

func floats(f func(float64) float64) kernel {
	return func(r *run, in []*value) ([]*value, error) {
		if in[0].dt == tensor.Float64 {
			return one(each(r, tensor.Float64, in[0], f))
		}
		return one(each(r, tensor.Float32, in[0], func(x float32) float32 { return float32(f(float64(x))) }))
	}
}

func mapNumbers[T number](r *run, v *value, f func(T) T) ([]*value, error) {
	return one(each(r, v.dt, v, f))
}

func absolute[T signed](x T) T {
	if x < 0 {
		return -x
	}
	if x == 0 {
		return 0 // not -0
	}
	return x
}

func negative[T signed](x T) T { return -x }

func rectify[T signed](x T) T {
	if x < 0 {
		return 0
	}
	return x
}

func sign[T signed](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

func same[T number](x T) T { return x }

func positive[T number](x T) T {
	if x > 0 {
		return 1
	}
	return 0
}

func opAbs(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		switch v := in[0]; v.dt {
		case tensor.Float32:
			return mapNumbers(r, v, absolute[float32])
		case tensor.Float64:
			return mapNumbers(r, v, absolute[float64])
		case tensor.Int8:
			return mapNumbers(r, v, absolute[int8])
		case tensor.Int16:
			return mapNumbers(r, v, absolute[int16])
		case tensor.Int32:
			return mapNumbers(r, v, absolute[int32])
		case tensor.Int64:
			return mapNumbers(r, v, absolute[int64])
		default: // unsigned
			return []*value{r.view(v, v.shape)}, nil
		}
	}, nil
}

func opNeg(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		switch v := in[0]; v.dt {
		case tensor.Float32:
			return mapNumbers(r, v, negative[float32])
		case tensor.Float64:
			return mapNumbers(r, v, negative[float64])
		case tensor.Int8:
			return mapNumbers(r, v, negative[int8])
		case tensor.Int16:
			return mapNumbers(r, v, negative[int16])
		case tensor.Int32:
			return mapNumbers(r, v, negative[int32])
		default:
			return mapNumbers(r, v, negative[int64])
		}
	}, nil
}

func opRelu(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		switch v := in[0]; v.dt {
		case tensor.Float32:
			return mapNumbers(r, v, rectify[float32])
		case tensor.Float64:
			return mapNumbers(r, v, rectify[float64])
		case tensor.Int8:
			return mapNumbers(r, v, rectify[int8])
		case tensor.Int16:
			return mapNumbers(r, v, rectify[int16])
		case tensor.Int32:
			return mapNumbers(r, v, rectify[int32])
		default:
			return mapNumbers(r, v, rectify[int64])
		}
	}, nil
}

func opSign(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		switch v := in[0]; v.dt {
		case tensor.Float32:
			return mapNumbers(r, v, sign[float32])
		case tensor.Float64:
			return mapNumbers(r, v, sign[float64])
		case tensor.Int8:
			return mapNumbers(r, v, sign[int8])
		case tensor.Int16:
			return mapNumbers(r, v, sign[int16])
		case tensor.Int32:
			return mapNumbers(r, v, sign[int32])
		case tensor.Int64:
			return mapNumbers(r, v, sign[int64])
		case tensor.Uint8:
			return mapNumbers(r, v, positive[uint8])
		case tensor.Uint16:
			return mapNumbers(r, v, positive[uint16])
		case tensor.Uint32:
			return mapNumbers(r, v, positive[uint32])
		default:
			return mapNumbers(r, v, positive[uint64])
		}
	}, nil
}

// sigmoid without overflow.
func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

func softplus(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}

func opLeakyRelu(b *builder) (kernel, error) {
	a := float64(b.float("alpha", 0.01))
	return floats(func(x float64) float64 {
		if x < 0 {
			return a * x
		}
		return x
	}), nil
}

func opElu(b *builder) (kernel, error) {
	a := float64(b.float("alpha", 1))
	return floats(func(x float64) float64 {
		if x < 0 {
			return a * math.Expm1(x)
		}
		return x
	}), nil
}

func opCelu(b *builder) (kernel, error) {
	a := float64(b.float("alpha", 1))
	return floats(func(x float64) float64 { return math.Max(0, x) + math.Min(0, a*math.Expm1(x/a)) }), nil
}

func opSelu(b *builder) (kernel, error) {
	a, g := float64(b.float("alpha", 1.67326319217681884765625)), float64(b.float("gamma", 1.05070102214813232421875))
	return floats(func(x float64) float64 {
		if x <= 0 {
			return g * a * math.Expm1(x)
		}
		return g * x
	}), nil
}

func opHardSigmoid(b *builder) (kernel, error) {
	a, c := float64(b.float("alpha", 0.2)), float64(b.float("beta", 0.5))
	return floats(func(x float64) float64 { return math.Max(0, math.Min(1, a*x+c)) }), nil
}

func opThresholdedRelu(b *builder) (kernel, error) {
	a := float64(b.float("alpha", 1))
	return floats(func(x float64) float64 {
		if x > a {
			return x
		}
		return 0
	}), nil
}

func opShrink(b *builder) (kernel, error) {
	bias, lambd := float64(b.float("bias", 0)), float64(b.float("lambd", 0.5))
	return floats(func(x float64) float64 {
		switch {
		case x < -lambd:
			return x + bias
		case x > lambd:
			return x - bias
		}
		return 0
	}), nil
}

func opGelu(b *builder) (kernel, error) {
	if b.choice("approximate", "none", "none", "tanh") == "tanh" {
		return floats(func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}), nil
	}
	return floats(func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }), nil
}

func opIsNaN(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		if in[0].dt == tensor.Float64 {
			return one(each(r, tensor.Bool, in[0], func(x float64) bool { return x != x }))
		}
		return one(each(r, tensor.Bool, in[0], func(x float32) bool { return x != x }))
	}, nil
}

func opIsInf(b *builder) (kernel, error) {
	pos, neg := b.bool("detect_positive", true), b.bool("detect_negative", true)
	is := func(x float64) bool { return pos && math.IsInf(x, 1) || neg && math.IsInf(x, -1) }
	return func(r *run, in []*value) ([]*value, error) {
		if in[0].dt == tensor.Float64 {
			return one(each(r, tensor.Bool, in[0], is))
		}
		return one(each(r, tensor.Bool, in[0], func(x float32) bool { return is(float64(x)) }))
	}, nil
}

func opNot(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		return one(each(r, tensor.Bool, in[0], func(x bool) bool { return !x }))
	}, nil
}

func opPRelu(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		shape, err := broadcast(in[0].shape, in[1].shape)
		if err != nil || !slices.Equal(shape, in[0].shape) {
			return nil, invalid("a slope of shape %d does not stretch to %d", in[1].shape, in[0].shape)
		}
		if in[0].dt == tensor.Float64 {
			return one(zip(r, in[0].dt, in[0], in[1], leak[float64]))
		}
		return one(zip(r, in[0].dt, in[0], in[1], leak[float32]))
	}, nil
}

func leak[T float](x, slope T) T {
	if x < 0 {
		return slope * x
	}
	return x
}

// opClip6 has its limits in attributes, opClip11 in inputs.
func opClip6(b *builder) (kernel, error) {
	low, high := float64(b.float("min", -math.MaxFloat32)), float64(b.float("max", math.MaxFloat32))
	return floats(func(x float64) float64 {
		if x < low {
			return low
		}
		if x > high {
			return high
		}
		return x
	}), nil
}

func clip[T number](r *run, in []*value) ([]*value, error) {
	var low, high *T
	if f, ok := any(T(0)).(float32); ok { // without limits the smallest and largest number stand, infinity is neither
		f = math.MaxFloat32
		least, most := T(-f), T(f)
		low, high = &least, &most
	}
	for i, p := range []**T{&low, &high} {
		if v := in[i+1]; v != nil {
			if v.data.len() != 1 {
				return nil, invalid("a limit of shape %d, wanted a single number", v.shape)
			}
			*p = &of[T](v)[0]
		}
	}
	return one(each(r, in[0].dt, in[0], func(x T) T {
		if low != nil && x < *low {
			x = *low
		}
		if high != nil && x > *high {
			x = *high
		}
		return x
	}))
}

func opClip11(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		switch in[0].dt {
		case tensor.Float32:
			return clip[float32](r, in)
		case tensor.Float64:
			return clip[float64](r, in)
		case tensor.Int8:
			return clip[int8](r, in)
		case tensor.Int16:
			return clip[int16](r, in)
		case tensor.Int32:
			return clip[int32](r, in)
		case tensor.Int64:
			return clip[int64](r, in)
		case tensor.Uint8:
			return clip[uint8](r, in)
		case tensor.Uint16:
			return clip[uint16](r, in)
		case tensor.Uint32:
			return clip[uint32](r, in)
		default:
			return clip[uint64](r, in)
		}
	}, nil
}
