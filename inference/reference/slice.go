package reference

import (
	"math"
	"slices"
)

// splitSizes are the sizes of n parts of a dimension.
func splitSizes(d, n int, even bool) ([]int64, error) {
	if n < 1 || n > 1<<20 {
		return nil, invalid("a split into %d parts", n)
	}
	if even && d%n != 0 {
		return nil, invalid("a dimension of %d cannot be split into %d equal parts", d, n)
	}
	out := make([]int64, n)
	part := (d + n - 1) / n
	for i := range out {
		out[i] = int64(min(part, d))
		d -= int(out[i])
	}
	return out, nil
}

func split(r *run, v *value, axis int64, sizes []int64) ([]*value, error) {
	k, err := axisOf(axis, len(v.shape))
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for _, s := range sizes {
		if s < 0 || s > int64(v.shape[k]) {
			return nil, invalid("parts of %d of a dimension of %d", sizes, v.shape[k])
		}
		total += s
	}
	if total != int64(v.shape[k]) {
		return nil, invalid("parts of %d of a dimension of %d", sizes, v.shape[k])
	}
	outer, inner := count(v.shape[:k]), count(v.shape[k+1:])
	at := 0
	out := make([]*value, len(sizes))
	for i, s := range sizes {
		shape := slices.Clone(v.shape)
		shape[k] = int(s)
		if out[i], err = r.make(v.dt, shape); err != nil {
			return nil, err
		}
		if err := r.alive(out[i].data.len()); err != nil {
			return nil, err
		}
		n := int(s) * inner
		for o := range outer {
			out[i].data.copyAt(o*n, v.data, o*v.shape[k]*inner+at, n)
		}
		at += n
	}
	return out, nil
}

func opSplit(b *builder) (kernel, error) {
	axis := b.int("axis", 0)
	var fixed []int64
	given := false
	if b.version < 13 {
		fixed, given = b.ints("split")
	}
	parts, numbered := b.outputs, false
	if b.version >= 18 && b.has("num_outputs") {
		numbered = true
		if parts = int(b.int("num_outputs", 0)); parts != b.outputs {
			return nil, invalid("num_outputs %d and %d outputs", parts, b.outputs)
		}
	}
	return func(r *run, in []*value) ([]*value, error) {
		k, err := axisOf(axis, len(in[0].shape))
		if err != nil {
			return nil, err
		}
		sizes := fixed
		switch {
		case len(in) > 1 && in[1] != nil:
			if numbered {
				return nil, invalid("both sizes and num_outputs are given")
			}
			if sizes, err = list(in[1], "sizes"); err != nil {
				return nil, err
			}
		case !given:
			if sizes, err = splitSizes(in[0].shape[k], parts, !numbered); err != nil {
				return nil, err
			}
		}
		if len(sizes) != parts {
			return nil, invalid("%d sizes for %d outputs", len(sizes), parts)
		}
		return split(r, in[0], axis, sizes)
	}, nil
}

// slice cuts a tensor. axes nil means the first ones, steps nil means 1.
func slice(r *run, v *value, starts, ends, axes, steps []int64) ([]*value, error) {
	if len(starts) != len(ends) || axes != nil && len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		return nil, invalid("a slice with %d starts, %d ends, %d axes, %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	if len(starts) > len(v.shape) {
		return nil, invalid("a slice with %d starts of a tensor with %d dimensions", len(starts), len(v.shape))
	}
	if axes == nil {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if _, err := axesOf(axes, len(v.shape)); err != nil {
		return nil, err
	}
	shape, strides := slices.Clone(v.shape), stridesOf(v.shape)
	off := 0
	for i, a := range axes {
		k, _ := axisOf(a, len(v.shape))
		d := int64(v.shape[k])
		st := int64(1)
		if steps != nil {
			st = steps[i]
		}
		lo, hi := starts[i], ends[i]
		if st < 0 && hi >= math.MaxInt32 {
			return nil, unsupported("a slice backwards with the largest of all ends, which engines read differently")
		}
		if lo < 0 {
			lo = max(lo, -d-1) + d // beyond -d-1 nothing differs
		}
		if hi < 0 {
			hi = max(hi, -d-1) + d
		}
		var n int64
		switch {
		case st == 0:
			return nil, invalid("a slice with step 0")
		case st > 0:
			lo, hi = min(max(lo, 0), d), min(max(hi, 0), d)
			if hi > lo {
				n = (hi-lo-1)/st + 1
			}
		default:
			lo, hi = min(max(lo, 0), d-1), min(max(hi, -1), d-1)
			if lo > hi {
				if st == -1<<63 {
					st++
				}
				n = (lo-hi-1)/-st + 1
			}
		}
		shape[k] = int(n)
		if n > 0 {
			off += int(lo) * strides[k]
		}
		if n > 1 { // otherwise the step may be too large to multiply
			strides[k] *= int(st)
		}
	}
	out, err := r.make(v.dt, shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(out.data.len()); err != nil {
		return nil, err
	}
	out.data.strided(v.data, shape, strides, off)
	return []*value{out}, nil
}

func opSlice1(b *builder) (kernel, error) {
	b.want("starts", "ends")
	starts, _ := b.ints("starts")
	ends, _ := b.ints("ends")
	axes, given := b.ints("axes")
	if given && axes == nil {
		axes = []int64{}
	}
	return func(r *run, in []*value) ([]*value, error) { return slice(r, in[0], starts, ends, axes, nil) }, nil
}

func opSlice10(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		var l [4][]int64
		for i := range l {
			if in[i+1] == nil {
				continue
			}
			var err error
			if l[i], err = list(in[i+1], "a slice's bounds"); err != nil {
				return nil, err
			}
			if l[i] == nil {
				l[i] = []int64{}
			}
		}
		return slice(r, in[0], l[0], l[1], l[2], l[3])
	}, nil
}
