package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

type signed interface {
	int8 | int16 | int32 | int64 | float32 | float64
}

type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

type float interface{ float32 | float64 }

type number interface{ integer | float }

// broadcast gives the shape two tensors have together: dimensions of 1, and missing ones in front, stretch.
func broadcast(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			y = b[j]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, invalid("shapes %d and %d do not go together", a, b)
		}
	}
	return out, nil
}

// stretch gives the strides that read a tensor of shape a as one of shape out.
func stretch(a, out []int) []int {
	s := make([]int, len(out))
	own := stridesOf(a)
	for i := range a {
		if j := len(out) - len(a) + i; a[i] != 1 {
			s[j] = own[i]
		}
	}
	return s
}

// zip computes f for each pair of elements of two tensors stretched to one shape.
func zip[A, B, C any](r *run, dt tensor.DType, a, b *value, f func(A, B) C) (*value, error) {
	shape, err := broadcast(a.shape, b.shape)
	if err != nil {
		return nil, err
	}
	v, err := r.make(dt, shape)
	if err != nil {
		return nil, err
	}
	out, x, y := of[C](v), of[A](a), of[B](b)
	if err := r.alive(len(out)); err != nil {
		return nil, err
	}
	switch {
	case len(out) == 0:
	case len(x) == len(out) && len(y) == len(out):
		for i := range out {
			out[i] = f(x[i], y[i])
		}
	case len(x) == len(out) && len(y) == 1:
		c := y[0]
		for i := range out {
			out[i] = f(x[i], c)
		}
	case len(y) == len(out) && len(x) == 1:
		c := x[0]
		for i := range out {
			out[i] = f(c, y[i])
		}
	default:
		last := len(shape) - 1
		n := shape[last]
		sx, sy := stretch(a.shape, shape), stretch(b.shape, shape)
		ix, iy := make([]int, last), make([]int, last)
		px, py := 0, 0
		for at := 0; at < len(out); at += n {
			dx, dy := sx[last], sy[last]
			for i, p, q := 0, px, py; i < n; i, p, q = i+1, p+dx, q+dy {
				out[at+i] = f(x[p], y[q])
			}
			px, py = step(ix, shape, sx, px), step(iy, shape, sy, py)
			if err := r.alive(n); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// each computes f for each element.
func each[A, B any](r *run, dt tensor.DType, a *value, f func(A) B) (*value, error) {
	v, err := r.make(dt, a.shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(a.data.len()); err != nil {
		return nil, err
	}
	out := of[B](v)
	for i, x := range of[A](a) {
		out[i] = f(x)
	}
	return v, nil
}

func one(v *value, err error) ([]*value, error) {
	if err != nil {
		return nil, err
	}
	return []*value{v}, nil
}

type code int

const (
	opAdd code = iota
	opSub
	opMul
	opDiv
	opMin
	opMax
	opMod  // sign of the divisor
	opFmod // sign of the dividend
	opAnd
	opOr
	opXor
	opEqual
	opLess
	opGreater
	opLessEqual
	opGreaterEqual
)

// arithmetic of two numbers of one type. Integers wrap around.
func arithmetic[T number](c code) func(a, b T) T {
	switch c {
	case opAdd:
		return func(a, b T) T { return a + b }
	case opSub:
		return func(a, b T) T { return a - b }
	case opMul:
		return func(a, b T) T { return a * b }
	case opDiv:
		return func(a, b T) T { return a / b }
	case opMin:
		return func(a, b T) T { // NaN wins
			if a < b || a != a {
				return a
			}
			return b
		}
	case opMax:
		return func(a, b T) T {
			if a > b || a != a {
				return a
			}
			return b
		}
	case opFmod:
		return func(a, b T) T { return T(math.Mod(float64(a), float64(b))) }
	}
	return nil
}

func modulo[T integer](c code) func(a, b T) T {
	if c == opFmod {
		return func(a, b T) T { return a % b }
	}
	return func(a, b T) T {
		m := a % b
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		}
		return m
	}
}

func bits[T integer](c code) func(a, b T) T {
	switch c {
	case opAnd:
		return func(a, b T) T { return a & b }
	case opOr:
		return func(a, b T) T { return a | b }
	}
	return func(a, b T) T { return a ^ b }
}

func compare[T number | string](c code) func(a, b T) bool {
	switch c {
	case opLess:
		return func(a, b T) bool { return a < b }
	case opGreater:
		return func(a, b T) bool { return a > b }
	case opLessEqual:
		return func(a, b T) bool { return a <= b }
	case opGreaterEqual:
		return func(a, b T) bool { return a >= b }
	}
	return func(a, b T) bool { return a == b }
}

func zipFloats[T float](r *run, c code, a, b *value) (*value, error) {
	return zip(r, a.dt, a, b, arithmetic[T](c))
}

func zipInts[T integer](r *run, c code, a, b *value) (*value, error) {
	f := arithmetic[T](c)
	switch c {
	case opMod, opFmod:
		f = modulo[T](c)
	case opAnd, opOr, opXor:
		f = bits[T](c)
	}
	if (c == opDiv || c == opMod || c == opFmod) && slices.Contains(of[T](b), 0) && a.data.len() > 0 {
		return nil, invalid("an integer is divided by zero")
	}
	return zip(r, a.dt, a, b, f)
}

func zipNumbers(r *run, c code, a, b *value) (*value, error) {
	switch a.dt {
	case tensor.Float32:
		return zipFloats[float32](r, c, a, b)
	case tensor.Float64:
		return zipFloats[float64](r, c, a, b)
	case tensor.Int8:
		return zipInts[int8](r, c, a, b)
	case tensor.Int16:
		return zipInts[int16](r, c, a, b)
	case tensor.Int32:
		return zipInts[int32](r, c, a, b)
	case tensor.Int64:
		return zipInts[int64](r, c, a, b)
	case tensor.Uint8:
		return zipInts[uint8](r, c, a, b)
	case tensor.Uint16:
		return zipInts[uint16](r, c, a, b)
	case tensor.Uint32:
		return zipInts[uint32](r, c, a, b)
	case tensor.Uint64:
		return zipInts[uint64](r, c, a, b)
	}
	return nil, unsupported("arithmetic of %s", a.dt)
}

func zipCompare(r *run, c code, a, b *value) (*value, error) {
	switch a.dt {
	case tensor.Float32:
		return zip(r, tensor.Bool, a, b, compare[float32](c))
	case tensor.Float64:
		return zip(r, tensor.Bool, a, b, compare[float64](c))
	case tensor.Int8:
		return zip(r, tensor.Bool, a, b, compare[int8](c))
	case tensor.Int16:
		return zip(r, tensor.Bool, a, b, compare[int16](c))
	case tensor.Int32:
		return zip(r, tensor.Bool, a, b, compare[int32](c))
	case tensor.Int64:
		return zip(r, tensor.Bool, a, b, compare[int64](c))
	case tensor.Uint8:
		return zip(r, tensor.Bool, a, b, compare[uint8](c))
	case tensor.Uint16:
		return zip(r, tensor.Bool, a, b, compare[uint16](c))
	case tensor.Uint32:
		return zip(r, tensor.Bool, a, b, compare[uint32](c))
	case tensor.Uint64:
		return zip(r, tensor.Bool, a, b, compare[uint64](c))
	case tensor.String:
		return zip(r, tensor.Bool, a, b, compare[string](c))
	case tensor.Bool:
		return zip(r, tensor.Bool, a, b, func(x, y bool) bool { return x == y }) // only Equal takes bools
	}
	return nil, unsupported("comparison of %s", a.dt)
}

func arith(c code) func(*builder) (kernel, error) {
	return func(b *builder) (kernel, error) {
		return b.aligned(func(r *run, in []*value) ([]*value, error) { return one(zipNumbers(r, c, in[0], in[1])) }), nil
	}
}

func comparison(c code) func(*builder) (kernel, error) {
	return func(b *builder) (kernel, error) {
		return b.aligned(func(r *run, in []*value) ([]*value, error) { return one(zipCompare(r, c, in[0], in[1])) }), nil
	}
}

func logic(f func(a, b bool) bool) func(*builder) (kernel, error) {
	return func(b *builder) (kernel, error) {
		return b.aligned(func(r *run, in []*value) ([]*value, error) { return one(zip(r, tensor.Bool, in[0], in[1], f)) }), nil
	}
}

// aligned gives operators of two tensors the rule of versions before 7: shapes are equal, or broadcast is set and the
// second shape is a part of the first that begins at axis, or ends where the first ends.
func (b *builder) aligned(k kernel) kernel {
	if b.version >= 7 {
		return k
	}
	stretches, axis, placed := b.bool("broadcast", false), b.int("axis", 0), b.has("axis")
	return func(r *run, in []*value) ([]*value, error) {
		x, y := in[0].shape, in[1].shape
		at := len(x) - len(y)
		if placed {
			if axis < 0 || axis > int64(len(x)) {
				return nil, invalid("axis %d of a tensor with %d dimensions", axis, len(x))
			}
			at = int(axis)
		}
		if !stretches && !slices.Equal(x, y) || at < 0 || at+len(y) > len(x) {
			return nil, invalid("shapes %d and %d do not go together", x, y)
		}
		shape := slices.Concat(y, slices.Repeat([]int{1}, len(x)-at-len(y)))
		for i, d := range shape {
			if d != 1 && d != x[at+i] {
				return nil, invalid("shapes %d and %d do not go together", x, y)
			}
		}
		second := r.view(in[1], shape)
		defer r.drop(second)
		return k(r, []*value{in[0], second})
	}
}

func opModulo(b *builder) (kernel, error) {
	c := opMod
	if b.bool("fmod", false) {
		c = opFmod
	}
	return func(r *run, in []*value) ([]*value, error) {
		switch in[0].dt {
		case tensor.Float32, tensor.Float64:
			if c == opMod {
				return nil, invalid("the remainder of floating-point numbers needs fmod=1")
			}
		}
		if c == opFmod {
			for _, v := range in {
				if err := inRange(v, b.op.Name); err != nil {
					return nil, err
				}
			}
		}
		return one(zipNumbers(r, c, in[0], in[1]))
	}, nil
}

// fold joins any number of tensors pairwise.
func fold(c code, mean bool) func(*builder) (kernel, error) {
	return func(*builder) (kernel, error) {
		return func(r *run, in []*value) ([]*value, error) {
			acc := r.view(in[0], in[0].shape)
			for _, v := range in[1:] {
				next, err := zipNumbers(r, c, acc, v)
				if err != nil {
					return nil, err
				}
				r.drop(acc)
				acc = next
			}
			if !mean {
				return []*value{acc}, nil
			}
			n := float64(len(in))
			if acc.dt == tensor.Float64 {
				return one(each(r, acc.dt, acc, func(x float64) float64 { return x / n }))
			}
			return one(each(r, acc.dt, acc, func(x float32) float32 { return x / float32(n) }))
		}, nil
	}
}

func opPow(b *builder) (kernel, error) {
	return b.aligned(func(r *run, in []*value) ([]*value, error) {
		e, err := cast(r, in[1], tensor.Float64)
		if err != nil {
			return nil, err
		}
		defer r.drop(e)
		switch in[0].dt {
		case tensor.Float32:
			return one(zip(r, in[0].dt, in[0], e, func(a float32, b float64) float32 { return float32(math.Pow(float64(a), b)) }))
		case tensor.Float64:
			return one(zip(r, in[0].dt, in[0], e, math.Pow))
		}
		if in[1].dt == tensor.Float32 || in[1].dt == tensor.Float64 {
			if in[0].dt == tensor.Int32 {
				return one(zip(r, in[0].dt, in[0], e, func(a int32, b float64) int32 { return int32(saturate(math.Pow(float64(a), b), 32)) }))
			}
			return one(zip(r, in[0].dt, in[0], e, func(a int64, b float64) int64 { return saturate(math.Pow(float64(a), b), 64) }))
		}
		x, err := cast(r, in[1], tensor.Int64)
		if err != nil {
			return nil, err
		}
		defer r.drop(x)
		if slices.ContainsFunc(of[int64](x), func(n int64) bool { return n < 0 }) {
			return nil, unsupported("a negative power of an integer")
		}
		if err := powersFit(in[0], of[int64](x)); err != nil {
			return nil, err
		}
		if in[0].dt == tensor.Int32 {
			return one(zip(r, in[0].dt, in[0], x, func(a int32, n int64) int32 { return int32(power(int64(a), n)) }))
		}
		return one(zip(r, in[0].dt, in[0], x, power))
	}), nil
}

// power multiplies modulo 2^64.
func power(a, n int64) int64 {
	p := int64(1)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p *= a
		}
		a *= a
	}
	return p
}

func opWhere(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		shape, err := broadcast(in[1].shape, in[2].shape)
		if err == nil {
			shape, err = broadcast(in[0].shape, shape)
		}
		if err != nil {
			return nil, err
		}
		out, err := stretched(r, in[2], shape)
		if err != nil {
			return nil, err
		}
		cond, err := stretched(r, in[0], shape)
		if err != nil {
			return nil, err
		}
		defer r.drop(cond)
		src, err := stretched(r, in[1], shape)
		if err != nil {
			return nil, err
		}
		defer r.drop(src)
		for i, yes := range of[bool](cond) {
			if yes {
				out.data.copyAt(i, src.data, i, 1)
			}
		}
		return []*value{out}, nil
	}, nil
}

// stretched copies a tensor to a shape it broadcasts to.
func stretched(r *run, v *value, shape []int) (*value, error) {
	out, err := r.make(v.dt, shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(out.data.len()); err != nil {
		return nil, err
	}
	out.data.strided(v.data, shape, stretch(v.shape, shape), 0)
	return out, nil
}

// The functions of one number under short names.
var (
	ceil, floor, round  = math.Ceil, math.Floor, math.RoundToEven
	exp, log, sqrt, erf = math.Exp, math.Log, math.Sqrt, math.Erf
	sin, cos, tan       = math.Sin, math.Cos, math.Tan
	asin, acos, atan    = math.Asin, math.Acos, math.Atan
	sinh, cosh, tanh    = math.Sinh, math.Cosh, math.Tanh
	asinh, acosh, atanh = math.Asinh, math.Acosh, math.Atanh
)

func softsign(x float64) float64  { return x / (1 + math.Abs(x)) }
func hardSwish(x float64) float64 { return x * math.Max(0, math.Min(1, x/6+0.5)) }
func mish(x float64) float64      { return x * math.Tanh(softplus(x)) }
