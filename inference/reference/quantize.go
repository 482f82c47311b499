package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// limits of the integer types that quantized numbers have.
func quantRange(d tensor.DType) (low, high float64) {
	switch d {
	case tensor.Int8:
		return math.MinInt8, math.MaxInt8
	case tensor.Uint8:
		return 0, math.MaxUint8
	case tensor.Int16:
		return math.MinInt16, math.MaxInt16
	default:
		return 0, math.MaxUint16
	}
}

// wholeNumbers gives the elements of a quantized tensor.
func wholeNumbers(v *value) []int32 {
	if v == nil {
		return nil
	}
	if d, ok := v.data.(vec[int32]); ok {
		return d
	}
	out := make([]int32, v.data.len())
	switch d := v.data.(type) {
	case vec[int8]:
		for i, x := range d {
			out[i] = int32(x)
		}
	case vec[uint8]:
		for i, x := range d {
			out[i] = int32(x)
		}
	case vec[int16]:
		for i, x := range d {
			out[i] = int32(x)
		}
	case vec[uint16]:
		for i, x := range d {
			out[i] = int32(x)
		}
	}
	return out
}

// grid tells which scale belongs to an element: one for all, one for each index along an axis, or one for each block.
type grid struct {
	n, inner, block, blocks int
	single                  bool
}

func (b *builder) grid() func(x, scale, zero *value) (*grid, error) {
	axis, block := int64(1), int64(0)
	if b.version >= 13 {
		axis = b.int("axis", 1)
	}
	if b.version >= 21 {
		block = b.int("block_size", 0)
	}
	return func(x, scale, zero *value) (*grid, error) {
		if zero != nil && !slices.Equal(zero.shape, scale.shape) && !(zero.data.len() == 1 && scale.data.len() == 1) {
			return nil, invalid("a scale of shape %d and a zero point of shape %d", scale.shape, zero.shape)
		}
		if block < 0 || block > math.MaxInt32 {
			return nil, invalid("blocks of %d", block)
		}
		if block == 0 && scale.data.len() == 1 && len(scale.shape) <= 1 {
			return &grid{single: true}, nil
		}
		k, err := axisOf(axis, len(x.shape))
		if err != nil {
			return nil, err
		}
		g := &grid{n: x.shape[k], inner: count(x.shape[k+1:])}
		if block == 0 {
			if len(scale.shape) != 1 || scale.shape[0] != g.n {
				return nil, invalid("a scale of shape %d for axis %d of shape %d", scale.shape, k, x.shape)
			}
			return g, nil
		}
		g.block = int(block)
		g.blocks = (g.n + g.block - 1) / g.block
		want := slices.Clone(x.shape)
		want[k] = g.blocks
		if !slices.Equal(scale.shape, want) {
			return nil, invalid("a scale of shape %d for blocks of %d along axis %d of shape %d", scale.shape, block, k, x.shape)
		}
		return g, nil
	}
}

func (g *grid) at(i int) int {
	switch {
	case g.single:
		return 0
	case g.block == 0:
		return i / g.inner % g.n
	}
	return (i/(g.n*g.inner)*g.blocks+i/g.inner%g.n/g.block)*g.inner + i%g.inner
}

func opQuantizeLinear(b *builder) (kernel, error) {
	place := b.grid()
	if b.version >= 19 {
		b.int("saturate", 1) // concerns 8-bit floating-point numbers only, which the table excludes
	}
	to := tensor.Uint8
	if b.version >= 21 {
		if n := b.int("output_dtype", 0); n != 0 {
			to = tensor.DType(n)
		}
	}
	zeroType := b.op.sig.letter("Z")
	if t := b.bound[zeroType]; t != tensor.Undefined {
		if b.has("output_dtype") && t != to {
			return nil, invalid("output_dtype %d and a zero point of type %s", int32(to), t)
		}
		to = t
	}
	if err := b.bindOut("Z", to); err != nil {
		return nil, err
	}
	return func(r *run, in []*value) ([]*value, error) {
		to := to
		if in[2] != nil {
			to = in[2].dt
		}
		g, err := place(in[0], in[1], in[2])
		if err != nil {
			return nil, err
		}
		out, err := r.make(to, in[0].shape)
		if err != nil {
			return nil, err
		}
		done, err := r.scratch(in[0].data.len()+in[1].data.len(), 8)
		if err != nil {
			return nil, err
		}
		defer done()
		if err := r.alive(4 * in[0].data.len()); err != nil {
			return nil, err
		}
		scale, zero := of[float32](in[1]), wholeNumbers(in[2])
		low, high := quantRange(to)
		set := fromInt64(to)
		put := func(i int, x float32) {
			k := g.at(i)
			q := math.RoundToEven(float64(x / scale[k]))
			if zero != nil {
				q += float64(zero[k])
			}
			set(out.data, i, clampRound(q, low, high))
		}
		switch d := in[0].data.(type) {
		case vec[float32]:
			for i, x := range d {
				put(i, x)
			}
		case vec[int32]:
			for i, x := range d {
				put(i, float32(x))
			}
		}
		return []*value{out}, nil
	}, nil
}

// clampRound converts; not-a-number becomes the lowest.
func clampRound(q, low, high float64) int64 {
	if !(q > low) {
		return int64(low)
	}
	return int64(math.Min(q, high))
}

func opDequantizeLinear(b *builder) (kernel, error) {
	place := b.grid()
	return func(r *run, in []*value) ([]*value, error) {
		g, err := place(in[0], in[1], in[2])
		if err != nil {
			return nil, err
		}
		out, err := r.make(tensor.Float32, in[0].shape)
		if err != nil {
			return nil, err
		}
		done, err := r.scratch(in[0].data.len(), 8)
		if err != nil {
			return nil, err
		}
		defer done()
		if err := r.alive(in[0].data.len()); err != nil {
			return nil, err
		}
		scale, zero := of[float32](in[1]), wholeNumbers(in[2])
		y := of[float32](out)
		for i, x := range wholeNumbers(in[0]) {
			k := g.at(i)
			n := int64(x)
			if zero != nil {
				n -= int64(zero[k])
			}
			y[i] = float32(n) * scale[k]
		}
		return []*value{out}, nil
	}, nil
}

func opDynamicQuantizeLinear(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		x := of[float32](in[0])
		low, high := float32(0), float32(0)
		for _, e := range x {
			low, high = min(low, e), max(high, e)
		}
		if low != low || high != high || math.IsInf(float64(low), 0) || math.IsInf(float64(high), 0) {
			return nil, invalid("quantization of infinite numbers or of not-a-number")
		}
		scale := (high - low) / 255
		if scale == 0 {
			scale = 1
		}
		zero := clampRound(math.RoundToEven(float64(-low/scale)), 0, 255)
		out, err := r.make(tensor.Uint8, in[0].shape)
		if err != nil {
			return nil, err
		}
		s, err := r.make(tensor.Float32, nil)
		if err != nil {
			return nil, err
		}
		z, err := r.make(tensor.Uint8, nil)
		if err != nil {
			return nil, err
		}
		if err := r.alive(4 * len(x)); err != nil {
			return nil, err
		}
		y := of[uint8](out)
		for i, e := range x {
			y[i] = uint8(clampRound(math.RoundToEven(float64(e/scale))+float64(zero), 0, 255))
		}
		of[float32](s)[0], of[uint8](z)[0] = scale, uint8(zero)
		return []*value{out, s, z}, nil
	}, nil
}

// shifted gives the elements of a quantized matrix less its zero point: one for all, for each row, or for each column.
func shifted(r *run, v, zero *value, rows bool) ([]int32, func(), error) {
	done, err := r.scratch(2*v.data.len(), 4)
	if err != nil {
		return nil, nil, err
	}
	if err := r.alive(v.data.len()); err != nil {
		return nil, nil, err
	}
	x := slices.Clone(wholeNumbers(v))
	if zero == nil {
		return x, done, nil
	}
	z := wholeNumbers(zero)
	rank := len(v.shape)
	switch {
	case len(z) == 1:
		for i := range x {
			x[i] -= z[0]
		}
	case rank >= 2 && len(zero.shape) == 1 && rows && len(z) == v.shape[rank-2]:
		for i := range x {
			x[i] -= z[i/v.shape[rank-1]%len(z)]
		}
	case rank >= 2 && len(zero.shape) == 1 && !rows && len(z) == v.shape[rank-1]:
		for i := range x {
			x[i] -= z[i%len(z)]
		}
	default:
		done()
		return nil, nil, unsupported("a zero point of shape %d for a matrix of shape %d", zero.shape, v.shape)
	}
	return x, done, nil
}

// integerProduct multiplies two quantized matrices less their zero points.
func integerProduct(r *run, a, b, zeroA, zeroB *value) (*value, *product, error) {
	p, err := products(a.shape, b.shape)
	if err != nil {
		return nil, nil, err
	}
	x, done, err := shifted(r, a, zeroA, true)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	y, done2, err := shifted(r, b, zeroB, false)
	if err != nil {
		return nil, nil, err
	}
	defer done2()
	v, err := r.make(tensor.Int32, p.shape)
	if err != nil {
		return nil, nil, err
	}
	_, err = matMul(r, v, p, x, y)
	return v, p, err
}

func opMatMulInteger(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		v, _, err := integerProduct(r, in[0], in[1], in[2], in[3])
		return one(v, err)
	}, nil
}

// requantize turns sums of products back into 8-bit numbers; factor gives the scale of an element.
func requantize(r *run, acc, zero *value, factor func(i int) float32) (*value, error) {
	out, err := r.make(zero.dt, acc.shape)
	if err != nil {
		return nil, err
	}
	z := wholeNumbers(zero)
	if len(z) != 1 {
		return nil, unsupported("an output zero point of shape %d", zero.shape)
	}
	low, high := quantRange(zero.dt)
	set := fromInt64(zero.dt)
	for i, x := range of[int32](acc) {
		set(out.data, i, clampRound(math.RoundToEven(float64(float32(x)*factor(i)))+float64(z[0]), low, high))
	}
	return out, nil
}

func opQLinearMatMul(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		acc, p, err := integerProduct(r, in[0], in[3], in[2], in[5])
		if err != nil {
			return nil, err
		}
		defer r.drop(acc)
		sa, sb, sy := of[float32](in[1]), of[float32](in[4]), of[float32](in[6])
		rows, cols := len(sa) > 1, len(sb) > 1
		if len(sy) != 1 || len(sa) == 0 || len(sb) == 0 || rows && (len(in[1].shape) != 1 || len(sa) != p.m) || cols && (len(in[4].shape) != 1 || len(sb) != p.n) {
			return nil, unsupported("scales of shapes %d, %d and %d", in[1].shape, in[4].shape, in[6].shape)
		}
		return one(requantize(r, acc, in[7], func(i int) float32 {
			a, b := sa[0], sb[0]
			if rows {
				a = sa[i/p.n%p.m]
			}
			if cols {
				b = sb[i%p.n]
			}
			return a * b / sy[0]
		}))
	}, nil
}

// integerConv is a convolution of quantized numbers less their zero points.
func integerConv(r *run, w *window, groups int, x, k, zeroX, zeroK *value) (*value, *placed, error) {
	p, shape, err := w.convShape(x, k, groups)
	if err != nil {
		return nil, nil, err
	}
	if zeroX != nil && zeroX.data.len() != 1 {
		return nil, nil, invalid("a zero point of shape %d, wanted a scalar", zeroX.shape)
	}
	a, done, err := shifted(r, x, zeroX, true)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	flat := &value{dt: k.dt, data: k.data, shape: []int{k.shape[0], count(k.shape[1:])}}
	b, done2, err := shifted(r, flat, zeroK, true)
	if err != nil {
		return nil, nil, err
	}
	defer done2()
	v, err := r.make(tensor.Int32, shape)
	if err != nil {
		return nil, nil, err
	}
	return v, p, conv(r, of[int32](v), a, b, x.shape, k.shape, p, groups)
}

func opConvInteger(b *builder) (kernel, error) {
	w, groups := b.window(true), b.groups()
	return func(r *run, in []*value) ([]*value, error) {
		v, _, err := integerConv(r, w, groups, in[0], in[1], in[2], in[3])
		return one(v, err)
	}, nil
}

func opQLinearConv(b *builder) (kernel, error) {
	w, groups := b.window(true), b.groups()
	return func(r *run, in []*value) ([]*value, error) {
		acc, p, err := integerConv(r, w, groups, in[0], in[3], in[2], in[5])
		if err != nil {
			return nil, err
		}
		defer r.drop(acc)
		filters, places := acc.shape[1], count(p.out)
		if in[8] != nil {
			bias := of[int32](in[8])
			if len(bias) != filters {
				return nil, invalid("a bias of shape %d for %d filters", in[8].shape, filters)
			}
			x := of[int32](acc)
			for i := range x {
				x[i] += bias[i/places%filters]
			}
		}
		sx, sw, sy := of[float32](in[1]), of[float32](in[4]), of[float32](in[6])
		if len(sx) != 1 || len(sy) != 1 || len(sw) != 1 && len(sw) != filters {
			return nil, invalid("scales of shapes %d, %d and %d", in[1].shape, in[4].shape, in[6].shape)
		}
		return one(requantize(r, acc, in[7], func(i int) float32 {
			k := 0
			if len(sw) > 1 {
				k = i / places % filters
			}
			return sx[0] * sw[k] / sy[0]
		}))
	}, nil
}
