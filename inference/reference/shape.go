package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// axisOf turns an axis counted from the end into one counted from the front. rank+1 axes exist for insertion.
func axisOf(axis int64, rank int) (int, error) {
	if axis < int64(-rank) || axis >= int64(rank) {
		return 0, invalid("axis %d of a tensor with %d dimensions", axis, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// axesOf does so for a set of axes and refuses one named twice.
func axesOf(axes []int64, rank int) ([]bool, error) {
	set := make([]bool, rank)
	for _, a := range axes {
		k, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		if set[k] {
			return nil, invalid("axis %d is named twice", a)
		}
		set[k] = true
	}
	return set, nil
}

// list gives the elements of an input that must be a list of integers with at most one dimension.
func list(v *value, what string) ([]int64, error) {
	if len(v.shape) > 1 {
		return nil, invalid("%s of shape %d, wanted a list", what, v.shape)
	}
	return v.ints(), nil
}

// scalar gives the single element of an integer input.
func scalar(v *value, what string) (int64, error) {
	if x := v.ints(); len(x) == 1 {
		return x[0], nil
	}
	return 0, invalid("%s of shape %d, wanted one integer", what, v.shape)
}

func opIdentity(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) { return []*value{r.view(in[0], in[0].shape)}, nil }, nil
}

func opReshape(b *builder) (kernel, error) {
	allowZero := b.version >= 14 && b.bool("allowzero", false)
	return func(r *run, in []*value) ([]*value, error) {
		want, err := list(in[1], "a shape")
		if err != nil {
			return nil, err
		}
		if len(want) > maxRank {
			return nil, invalid("a shape of %d dimensions, wanted at most %d", len(want), maxRank)
		}
		have := in[0].data.len()
		shape := make([]int, len(want))
		known, open := int64(1), -1
		for i, d := range want {
			switch {
			case d == 0 && !allowZero:
				if i >= len(in[0].shape) {
					return nil, invalid("shape %d keeps dimension %d of a tensor of shape %d", want, i, in[0].shape)
				}
				d = int64(in[0].shape[i])
			case d == -1:
				if open >= 0 {
					return nil, invalid("shape %d leaves two dimensions open", want)
				}
				open = i
				continue
			case d < 0:
				return nil, invalid("shape %d, wanted no dimension below -1", want)
			}
			if d > r.most || d != 0 && known > r.most/d {
				return nil, tooLarge("shape %d needs more than the limit of memory", want)
			}
			shape[i] = int(d)
			known *= d
		}
		if open >= 0 {
			if known == 0 || int64(have)%known != 0 {
				return nil, invalid("%d elements do not fit shape %d", have, want)
			}
			shape[open] = have / int(known)
			known *= int64(shape[open])
		}
		if known != int64(have) {
			return nil, invalid("%d elements do not fit shape %d", have, want)
		}
		return []*value{r.view(in[0], shape)}, nil
	}, nil
}

func opFlatten(b *builder) (kernel, error) {
	axis := b.int("axis", 1)
	return func(r *run, in []*value) ([]*value, error) {
		k, err := splitAxis(axis, len(in[0].shape))
		if err != nil {
			return nil, err
		}
		return []*value{r.view(in[0], []int{count(in[0].shape[:k]), count(in[0].shape[k:])})}, nil
	}, nil
}

// splitAxis is axisOf where the rank itself also is an axis.
func splitAxis(axis int64, rank int) (int, error) {
	if axis == int64(rank) {
		return rank, nil
	}
	return axisOf(axis, rank)
}

func squeeze(r *run, v *value, axes []int64, given bool) ([]*value, error) {
	set, err := axesOf(axes, len(v.shape))
	if err != nil {
		return nil, err
	}
	shape := []int{}
	for i, d := range v.shape {
		switch {
		case !given && d == 1:
		case set[i] && d != 1:
			return nil, invalid("axis %d of shape %d is squeezed, wanted a dimension of 1", i, v.shape)
		case set[i]:
		default:
			shape = append(shape, d)
		}
	}
	return []*value{r.view(v, shape)}, nil
}

func opSqueeze1(b *builder) (kernel, error) {
	axes, given := b.ints("axes")
	return func(r *run, in []*value) ([]*value, error) { return squeeze(r, in[0], axes, given) }, nil
}

func opSqueeze13(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		if in[1] == nil {
			return squeeze(r, in[0], nil, false)
		}
		axes, err := list(in[1], "axes")
		if err != nil {
			return nil, err
		}
		return squeeze(r, in[0], axes, true)
	}, nil
}

func unsqueeze(r *run, v *value, axes []int64) ([]*value, error) {
	if len(v.shape)+len(axes) > maxRank {
		return nil, invalid("more than %d dimensions", maxRank)
	}
	set, err := axesOf(axes, len(v.shape)+len(axes))
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(set))
	next := 0
	for i := range shape {
		if set[i] {
			shape[i] = 1
		} else {
			shape[i] = v.shape[next]
			next++
		}
	}
	return []*value{r.view(v, shape)}, nil
}

func opUnsqueeze1(b *builder) (kernel, error) {
	b.want("axes")
	axes, _ := b.ints("axes")
	return func(r *run, in []*value) ([]*value, error) { return unsqueeze(r, in[0], axes) }, nil
}

func opUnsqueeze13(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		axes, err := list(in[1], "axes")
		if err != nil {
			return nil, err
		}
		return unsqueeze(r, in[0], axes)
	}, nil
}

func opTranspose(b *builder) (kernel, error) {
	perm, given := b.ints("perm")
	return func(r *run, in []*value) ([]*value, error) {
		rank := len(in[0].shape)
		p := make([]int, rank)
		if !given {
			for i := range p {
				p[i] = rank - 1 - i
			}
		} else {
			if len(perm) != rank {
				return nil, invalid("order %d for a tensor of %d dimensions", perm, rank)
			}
			if _, err := axesOf(perm, rank); err != nil {
				return nil, err
			}
			for i, a := range perm {
				p[i], _ = axisOf(a, rank)
			}
		}
		return one(transposed(r, in[0], p))
	}, nil
}

func transposed(r *run, v *value, perm []int) (*value, error) {
	shape, strides := make([]int, len(perm)), make([]int, len(perm))
	own := stridesOf(v.shape)
	for i, a := range perm {
		shape[i], strides[i] = v.shape[a], own[a]
	}
	out, err := r.make(v.dt, shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(out.data.len()); err != nil {
		return nil, err
	}
	out.data.strided(v.data, shape, strides, 0)
	return out, nil
}

func opConcat(b *builder) (kernel, error) {
	b.want("axis")
	axis := b.int("axis", 0)
	return func(r *run, in []*value) ([]*value, error) { return one(concat(r, in, axis)) }, nil
}

func concat(r *run, in []*value, axis int64) (*value, error) {
	k, err := axisOf(axis, len(in[0].shape))
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(in[0].shape)
	shape[k] = 0
	for _, v := range in {
		if len(v.shape) != len(shape) {
			return nil, invalid("shapes %d and %d cannot be joined", in[0].shape, v.shape)
		}
		for i, d := range v.shape {
			if i == k {
				shape[k] += d
			} else if d != shape[i] {
				return nil, invalid("shapes %d and %d cannot be joined along axis %d", in[0].shape, v.shape, k)
			}
		}
	}
	out, err := r.make(in[0].dt, shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(out.data.len()); err != nil {
		return nil, err
	}
	outer, inner := count(shape[:k]), count(shape[k+1:])
	at := 0
	for _, v := range in {
		n := v.shape[k] * inner
		for o := range outer {
			out.data.copyAt(o*shape[k]*inner+at, v.data, o*n, n)
		}
		at += n
	}
	return out, nil
}

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

// index makes sure that i is one of n, counting from the end when negative.
func index(i int64, n int) (int, error) {
	if i < int64(-n) || i >= int64(n) {
		return 0, invalid("index %d of a dimension of %d", i, n)
	}
	if i < 0 {
		i += int64(n)
	}
	return int(i), nil
}

func opGather(b *builder) (kernel, error) {
	axis := b.int("axis", 0)
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		k, err := axisOf(axis, len(v.shape))
		if err != nil {
			return nil, err
		}
		shape := slices.Concat(v.shape[:k], in[1].shape, v.shape[k+1:])
		out, err := r.make(v.dt, shape)
		if err != nil {
			return nil, err
		}
		idx := in[1].ints()
		outer, inner := count(v.shape[:k]), count(v.shape[k+1:])
		for j, i := range idx {
			at, err := index(i, v.shape[k])
			if err != nil {
				return nil, err
			}
			for o := range outer {
				out.data.copyAt((o*len(idx)+j)*inner, v.data, (o*v.shape[k]+at)*inner, inner)
			}
			if err := r.alive(outer * (inner + 1)); err != nil {
				return nil, err
			}
		}
		return []*value{out}, nil
	}, nil
}

// walk calls f with each index of a shape, in order.
func walk(r *run, shape []int, f func(i int, idx []int) error) error {
	idx := make([]int, len(shape))
	for i := range count(shape) {
		if err := f(i, idx); err != nil {
			return err
		}
		for d := len(idx) - 1; d >= 0; d-- {
			if idx[d]++; idx[d] < shape[d] {
				break
			}
			idx[d] = 0
		}
		if err := r.alive(4); err != nil {
			return err
		}
	}
	return nil
}

func dot(idx, strides []int) (n int) {
	for i, x := range idx {
		n += x * strides[i]
	}
	return n
}

func opGatherElements(b *builder) (kernel, error) {
	axis := b.int("axis", 0)
	return func(r *run, in []*value) ([]*value, error) {
		v, at := in[0], in[1].ints()
		k, err := elementwiseAxis(v, in[1], axis)
		if err != nil {
			return nil, err
		}
		out, err := r.make(v.dt, in[1].shape)
		if err != nil {
			return nil, err
		}
		strides := stridesOf(v.shape)
		err = walk(r, in[1].shape, func(i int, idx []int) error {
			j, err := index(at[i], v.shape[k])
			if err != nil {
				return err
			}
			out.data.copyAt(i, v.data, dot(idx, strides)+(j-idx[k])*strides[k], 1)
			return nil
		})
		return one(out, err)
	}, nil
}

// elementwiseAxis checks the shapes of GatherElements and ScatterElements.
func elementwiseAxis(v, idx *value, axis int64) (int, error) {
	k, err := axisOf(axis, len(v.shape))
	if err != nil {
		return 0, err
	}
	if len(idx.shape) != len(v.shape) {
		return 0, invalid("indices of shape %d for data of shape %d", idx.shape, v.shape)
	}
	for i, d := range idx.shape {
		if i != k && d > v.shape[i] {
			return 0, invalid("indices of shape %d for data of shape %d", idx.shape, v.shape)
		}
	}
	return k, nil
}

// reduction says what scattering does to the elements that are there.
func (b *builder) reduction() func(to *value, at int, from *value, i, n int) error {
	kinds := []string{"none"}
	if b.version >= 16 {
		kinds = append(kinds, "add", "mul")
	}
	if b.version >= 18 {
		kinds = append(kinds, "min", "max")
	}
	kind := "none"
	if b.version >= 16 {
		kind = b.choice("reduction", "none", kinds...)
	}
	if kind == "none" {
		return func(to *value, at int, from *value, i, n int) error {
			to.data.copyAt(at, from.data, i, n)
			return nil
		}
	}
	c := map[string]code{"add": opAdd, "mul": opMul, "min": opMin, "max": opMax}[kind]
	return func(to *value, at int, from *value, i, n int) error {
		switch to.dt {
		case tensor.Float32:
			merge[float32](c, to, at, from, i, n)
		case tensor.Float64:
			merge[float64](c, to, at, from, i, n)
		case tensor.Int32:
			merge[int32](c, to, at, from, i, n)
		case tensor.Int64:
			merge[int64](c, to, at, from, i, n)
		default:
			return unsupported("scattering of %s with a reduction", to.dt)
		}
		return nil
	}
}

func merge[T number](c code, to *value, at int, from *value, i, n int) {
	f := arithmetic[T](c)
	x, y := of[T](to), of[T](from)
	for k := range n {
		x[at+k] = f(x[at+k], y[i+k])
	}
}

func opScatterElements(b *builder) (kernel, error) {
	axis := b.int("axis", 0)
	merge := b.reduction()
	return func(r *run, in []*value) ([]*value, error) {
		v, at, up := in[0], in[1].ints(), in[2]
		k, err := elementwiseAxis(v, in[1], axis)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(in[1].shape, up.shape) {
			return nil, invalid("indices of shape %d and updates of shape %d", in[1].shape, up.shape)
		}
		out, err := stretched(r, v, v.shape)
		if err != nil {
			return nil, err
		}
		strides := stridesOf(v.shape)
		err = walk(r, up.shape, func(i int, idx []int) error {
			j, err := index(at[i], v.shape[k])
			if err != nil {
				return err
			}
			return merge(out, dot(idx, strides)+(j-idx[k])*strides[k], up, i, 1)
		})
		return one(out, err)
	}, nil
}

// gatherND walks over index tuples; f gets the offset in the data of the block that each tuple names.
func gatherND(r *run, data []int, idx *value, batch int, f func(i, off, n int) error) error {
	q := len(idx.shape)
	if q == 0 || batch < 0 || batch >= q || batch > len(data) {
		return invalid("indices of shape %d for data of shape %d with %d batch dimensions", idx.shape, data, batch)
	}
	depth := idx.shape[q-1]
	if depth+batch > len(data) || !slices.Equal(idx.shape[:batch], data[:batch]) {
		return invalid("indices of shape %d for data of shape %d with %d batch dimensions", idx.shape, data, batch)
	}
	strides := stridesOf(data)
	n := count(data[batch+depth:])
	at := idx.ints()
	per := count(idx.shape[batch : q-1])
	size := count(data[batch:])
	for i := range count(idx.shape[:q-1]) {
		off := 0
		if batch > 0 {
			off = i / per * size
		}
		for j := range depth {
			k, err := index(at[i*depth+j], data[batch+j])
			if err != nil {
				return err
			}
			off += k * strides[batch+j]
		}
		if err := f(i, off, n); err != nil {
			return err
		}
		if err := r.alive(n + depth); err != nil {
			return err
		}
	}
	return nil
}

func opGatherND(b *builder) (kernel, error) {
	batch := int64(0)
	if b.version >= 12 {
		batch = b.int("batch_dims", 0)
	}
	if batch < 0 || batch > maxRank {
		return nil, invalid("%d batch dimensions", batch)
	}
	return func(r *run, in []*value) ([]*value, error) {
		v, q := in[0], len(in[1].shape)
		if q == 0 || in[1].shape[q-1]+int(batch) > len(v.shape) {
			return nil, invalid("indices of shape %d for data of shape %d", in[1].shape, v.shape)
		}
		out, err := r.make(v.dt, slices.Concat(in[1].shape[:q-1], v.shape[int(batch)+in[1].shape[q-1]:]))
		if err != nil {
			return nil, err
		}
		return one(out, gatherND(r, v.shape, in[1], int(batch), func(i, off, n int) error {
			out.data.copyAt(i*n, v.data, off, n)
			return nil
		}))
	}, nil
}

func opScatterND(b *builder) (kernel, error) {
	merge := b.reduction()
	return func(r *run, in []*value) ([]*value, error) {
		v, up, q := in[0], in[2], len(in[1].shape)
		if q == 0 || in[1].shape[q-1] > len(v.shape) || !slices.Equal(up.shape, slices.Concat(in[1].shape[:q-1], v.shape[in[1].shape[q-1]:])) {
			return nil, invalid("data of shape %d, indices of shape %d and updates of shape %d", v.shape, in[1].shape, up.shape)
		}
		out, err := stretched(r, v, v.shape)
		if err != nil {
			return nil, err
		}
		return one(out, gatherND(r, v.shape, in[1], 0, func(i, off, n int) error {
			return merge(out, off, up, i*n, n)
		}))
	}, nil
}

func opExpand(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		want, err := list(in[1], "a shape")
		if err != nil {
			return nil, err
		}
		if _, err := elements(want, r.most); err != nil {
			return nil, err
		}
		shape, err := broadcast(in[0].shape, toInts(want))
		if err != nil {
			return nil, err
		}
		return one(stretched(r, in[0], shape))
	}, nil
}

func opTile(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		reps, err := list(in[1], "repeats")
		if err != nil {
			return nil, err
		}
		if len(reps) != len(v.shape) {
			return nil, invalid("%d repeats for a tensor of %d dimensions", len(reps), len(v.shape))
		}
		// Seen as [reps0, shape0, reps1, shape1, …] a tiling is a stretching.
		both, from, shape := make([]int, 0, 2*len(reps)), make([]int, 0, 2*len(reps)), make([]int, len(reps))
		own := stridesOf(v.shape)
		for i, n := range reps {
			if n < 0 || n > r.most || v.shape[i] > 0 && n > r.most/int64(v.shape[i]) {
				return nil, invalid("repeats %d of a tensor of shape %d", reps, v.shape)
			}
			shape[i] = int(n) * v.shape[i]
			both = append(both, int(n), v.shape[i])
			from = append(from, 0, own[i])
		}
		out, err := r.make(v.dt, shape)
		if err != nil {
			return nil, err
		}
		if err := r.alive(out.data.len()); err != nil {
			return nil, err
		}
		out.data.strided(v.data, both, from, 0)
		return []*value{out}, nil
	}, nil
}

// pad puts before and after each dimension so many elements; negative numbers cut.
func pad(r *run, v *value, pads []int64, mode string, fill *value) ([]*value, error) {
	rank := len(v.shape)
	maps := make([][]int, rank)
	shape := make([]int, rank)
	for i, d := range v.shape {
		before, after := pads[i], pads[rank+i]
		if before > r.most || after > r.most || before < -r.most || after < -r.most {
			return nil, tooLarge("pads %d", pads)
		}
		n := int64(d) + before + after
		if n < 0 {
			return nil, invalid("pads %d cut more than shape %d has", pads, v.shape)
		}
		shape[i] = int(n)
	}
	out, err := r.make(v.dt, shape)
	if err != nil {
		return nil, err
	}
	done, err := r.scratch(len(shape)+sum(shape), 8)
	if err != nil {
		return nil, err
	}
	defer done()
	for i, d := range v.shape {
		m := make([]int, shape[i])
		for j := range m {
			k := j - int(pads[i])
			if k < 0 || k >= d {
				if k, err = padIndex(k, d, mode); err != nil {
					return nil, err
				}
			}
			m[j] = k
		}
		maps[i] = m
	}
	if out.data.len() == 0 {
		return []*value{out}, nil
	}
	if fill != nil && mode == "constant" {
		out.data.fill(fill.data, 0)
	}
	strides := stridesOf(v.shape)
	if rank == 0 {
		out.data.copyAt(0, v.data, 0, 1)
		return []*value{out}, nil
	}
	last := rank - 1
	n := shape[last]
	err = walk(r, shape[:last], func(i int, idx []int) error {
		off := 0
		for d, j := range idx {
			k := maps[d][j]
			if k < 0 {
				return nil
			}
			off += k * strides[d]
		}
		for j, k := range maps[last] {
			if k >= 0 {
				out.data.copyAt(i*n+j, v.data, off+k, 1)
			}
		}
		return r.alive(4 * n)
	})
	return one(out, err)
}

func sum(x []int) (n int) {
	for _, d := range x {
		n += d
	}
	return n
}

// padIndex gives the element that stands outside a dimension of d; -1: the constant.
func padIndex(k, d int, mode string) (int, error) {
	switch mode {
	case "constant":
		return -1, nil
	case "edge":
		if d > 0 {
			return min(max(k, 0), d-1), nil
		}
	case "reflect":
		if d > 1 {
			period := 2 * (d - 1)
			k = (k%period + period) % period
			if k >= d {
				k = period - k
			}
			return k, nil
		}
		if d == 1 {
			return 0, nil
		}
	case "wrap":
		if d > 0 {
			return (k%d + d) % d, nil
		}
	}
	return 0, invalid("nothing to pad from in an empty dimension")
}

func opPad2(b *builder) (kernel, error) {
	b.want("pads")
	pads, _ := b.ints("pads")
	mode := b.choice("mode", "constant", "constant", "reflect", "edge")
	f := b.float("value", 0)
	return func(r *run, in []*value) ([]*value, error) {
		if len(pads) != 2*len(in[0].shape) {
			return nil, invalid("%d pads for a tensor of %d dimensions", len(pads), len(in[0].shape))
		}
		fill, err := cast(r, &value{dt: tensor.Float32, data: vec[float32]{f}}, in[0].dt)
		if err != nil {
			return nil, err
		}
		defer r.drop(fill)
		return pad(r, in[0], pads, mode, fill)
	}, nil
}

func opPad11(b *builder) (kernel, error) {
	modes := []string{"constant", "reflect", "edge"}
	if b.version >= 19 {
		modes = append(modes, "wrap")
	}
	mode := b.choice("mode", "constant", modes...)
	return func(r *run, in []*value) ([]*value, error) {
		rank := len(in[0].shape)
		given, err := list(in[1], "pads")
		if err != nil {
			return nil, err
		}
		pads := given
		if len(in) > 3 && in[3] != nil {
			axes, err := list(in[3], "axes")
			if err != nil {
				return nil, err
			}
			if _, err := axesOf(axes, rank); err != nil {
				return nil, err
			}
			if len(given) != 2*len(axes) {
				return nil, invalid("%d pads for %d axes", len(given), len(axes))
			}
			pads = make([]int64, 2*rank)
			for i, a := range axes {
				k, _ := axisOf(a, rank)
				pads[k], pads[rank+k] = given[i], given[len(axes)+i]
			}
		}
		if len(pads) != 2*rank {
			return nil, invalid("%d pads for a tensor of %d dimensions", len(pads), rank)
		}
		if in[2] != nil && in[2].data.len() != 1 {
			return nil, invalid("a constant of shape %d, wanted a single element", in[2].shape)
		}
		return pad(r, in[0], pads, mode, in[2])
	}, nil
}

func (r *run) int64s(x ...int64) (*value, error) {
	v, err := r.make(tensor.Int64, []int{len(x)})
	if err == nil {
		copy(of[int64](v), x)
	}
	return v, err
}

func opShape(b *builder) (kernel, error) {
	start, end, cut := int64(0), int64(0), false
	if b.version >= 15 {
		start = b.int("start", 0)
		cut = b.has("end")
		end = b.int("end", 0)
	}
	return func(r *run, in []*value) ([]*value, error) {
		n := int64(len(in[0].shape))
		clamp := func(i int64) int64 {
			if i < 0 {
				i = max(i, -n) + n
			}
			return min(i, n)
		}
		lo, hi := clamp(start), n
		if cut {
			hi = clamp(end)
		}
		return one(r.int64s(toInt64s(in[0].shape)[lo:max(lo, hi)]...))
	}, nil
}

func opSize(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		v, err := r.make(tensor.Int64, nil)
		if err != nil {
			return nil, err
		}
		of[int64](v)[0] = int64(in[0].data.len())
		return []*value{v}, nil
	}, nil
}

func opConstant(b *builder) (kernel, error) {
	var v *value
	given := len(b.attrs)
	if given != 1 {
		return nil, invalid("a Constant with %d values, wanted one", given)
	}
	switch {
	case b.has("value"):
		v = b.tensor("value")
	case b.version < 12:
	case b.has("value_float"):
		v = &value{dt: tensor.Float32, data: vec[float32]{b.float("value_float", 0)}}
	case b.has("value_floats"):
		f := b.floats("value_floats")
		v = &value{dt: tensor.Float32, shape: []int{len(f)}, data: vec[float32](f)}
	case b.has("value_int"):
		v = &value{dt: tensor.Int64, data: vec[int64]{b.int("value_int", 0)}}
	case b.has("value_ints"):
		n, _ := b.ints("value_ints")
		v = &value{dt: tensor.Int64, shape: []int{len(n)}, data: vec[int64](n)}
	case b.has("value_string"):
		v = &value{dt: tensor.String, data: vec[string]{b.text("value_string", "")}}
	case b.has("value_strings"):
		s := b.texts("value_strings")
		v = &value{dt: tensor.String, shape: []int{len(s)}, data: vec[string](s)}
	}
	if b.err != nil {
		return nil, b.err
	}
	if v == nil {
		return nil, unsupported("this kind of Constant")
	}
	if err := b.bindOut("T", v.dt); err != nil {
		return nil, err
	}
	return func(r *run, _ []*value) ([]*value, error) { return []*value{r.view(v, v.shape)}, nil }, nil
}

func opConstantOfShape(b *builder) (kernel, error) {
	fill := b.tensor("value")
	if fill == nil {
		fill = &value{dt: tensor.Float32, data: vec[float32]{0}}
	}
	if fill.data.len() != 1 {
		return nil, invalid("a value of shape %d, wanted a single element", fill.shape)
	}
	if err := b.bindOut("T", fill.dt); err != nil {
		return nil, err
	}
	return func(r *run, in []*value) ([]*value, error) {
		shape, err := list(in[0], "a shape")
		if err != nil {
			return nil, err
		}
		if _, err := elements(shape, r.most); err != nil {
			return nil, err
		}
		v, err := r.make(fill.dt, toInts(shape))
		if err != nil {
			return nil, err
		}
		if err := r.alive(v.data.len()); err != nil {
			return nil, err
		}
		v.data.fill(fill.data, 0)
		return []*value{v}, nil
	}, nil
}

func opDropout(b *builder) (kernel, error) {
	b.ignore("seed")
	if b.version < 12 {
		b.float("ratio", 0.5)
	}
	halfMask := b.version < 10
	return func(r *run, in []*value) ([]*value, error) {
		if len(in) > 2 && in[2] != nil {
			if t := of[bool](in[2]); len(t) != 1 {
				return nil, invalid("training_mode of shape %d, wanted a scalar", in[2].shape)
			} else if t[0] && !keepsAll(in[1]) {
				return nil, unsupported("Dropout while training")
			}
		}
		out := []*value{r.view(in[0], in[0].shape)}
		if b.outputs > 1 {
			if halfMask {
				return nil, unsupported("the mask of Dropout before version 10")
			}
			mask, err := r.make(tensor.Bool, in[0].shape)
			if err != nil {
				return nil, err
			}
			m := of[bool](mask)
			for i := range m {
				m[i] = true
			}
			out = append(out, mask)
		}
		return out, nil
	}, nil
}

// keepsAll says whether a ratio is given and is zero, so that even training drops nothing.
func keepsAll(ratio *value) bool {
	if ratio == nil || ratio.data.len() != 1 {
		return false
	}
	switch d := ratio.data.(type) {
	case vec[float32]:
		return d[0] == 0
	case vec[float64]:
		return d[0] == 0
	case vec[f16]:
		return d[0] == 0
	}
	return false
}

func opDepthToSpace(b *builder) (kernel, error) {
	b.want("blocksize")
	n := b.int("blocksize", 1)
	mode := "DCR"
	if b.version >= 11 {
		mode = b.choice("mode", "DCR", "DCR", "CRD")
	}
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if len(v.shape) != 4 || n < 1 || n > 1<<15 || v.shape[1]%int(n*n) != 0 {
			return nil, invalid("blocks of %d from shape %d", n, v.shape)
		}
		k := int(n)
		c := v.shape[1] / (k * k)
		split, perm := []int{v.shape[0], k, k, c, v.shape[2], v.shape[3]}, []int{0, 3, 4, 1, 5, 2}
		if mode == "CRD" {
			split, perm = []int{v.shape[0], c, k, k, v.shape[2], v.shape[3]}, []int{0, 1, 4, 2, 5, 3}
		}
		return reshuffled(r, v, split, perm, []int{v.shape[0], c, v.shape[2] * k, v.shape[3] * k})
	}, nil
}

func opSpaceToDepth(b *builder) (kernel, error) {
	b.want("blocksize")
	n := b.int("blocksize", 1)
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if len(v.shape) != 4 || n < 1 || n > 1<<15 || v.shape[2]%int(n) != 0 || v.shape[3]%int(n) != 0 {
			return nil, invalid("blocks of %d from shape %d", n, v.shape)
		}
		k := int(n)
		h, w := v.shape[2]/k, v.shape[3]/k
		return reshuffled(r, v, []int{v.shape[0], v.shape[1], h, k, w, k}, []int{0, 3, 5, 1, 2, 4}, []int{v.shape[0], v.shape[1] * k * k, h, w})
	}, nil
}

func reshuffled(r *run, v *value, split, perm, shape []int) ([]*value, error) {
	seen := r.view(v, split)
	out, err := transposed(r, seen, perm)
	r.drop(seen)
	if err != nil {
		return nil, err
	}
	out.shape = shape
	return []*value{out}, nil
}

func opTrilu(b *builder) (kernel, error) {
	upper := b.bool("upper", true)
	return func(r *run, in []*value) ([]*value, error) {
		v, k := in[0], int64(0)
		if in[1] != nil {
			var err error
			if k, err = scalar(in[1], "k"); err != nil {
				return nil, err
			}
		}
		rank := len(v.shape)
		if rank < 2 {
			return nil, invalid("a tensor of shape %d, wanted matrices", v.shape)
		}
		out, err := r.make(v.dt, v.shape)
		if err != nil {
			return nil, err
		}
		rows, cols := v.shape[rank-2], v.shape[rank-1]
		k = min(max(k, -int64(rows)-1), int64(cols)+1)
		for m := range count(v.shape[:rank-2]) {
			for i := range rows {
				at := (m*rows + i) * cols
				cut := min(max(i+int(k), 0), cols) // upper keeps from here on
				if upper {
					out.data.copyAt(at+cut, v.data, at+cut, cols-cut)
				} else {
					cut = min(max(i+int(k)+1, 0), cols)
					out.data.copyAt(at, v.data, at, cut)
				}
				if err := r.alive(cols + 1); err != nil {
					return nil, err
				}
			}
		}
		return []*value{out}, nil
	}, nil
}

func opCompress(b *builder) (kernel, error) {
	axis, along := b.int("axis", 0), b.has("axis")
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if !along {
			v = r.view(v, []int{v.data.len()})
			defer r.drop(v)
		}
		k, err := axisOf(axis, len(v.shape))
		if err != nil {
			return nil, err
		}
		var keep []int
		for i, yes := range of[bool](in[1]) {
			if yes && i < v.shape[k] {
				keep = append(keep, i)
			} else if yes {
				return nil, invalid("a condition of %d for a dimension of %d", in[1].data.len(), v.shape[k])
			}
		}
		if len(in[1].shape) != 1 {
			return nil, invalid("a condition of shape %d, wanted a list", in[1].shape)
		}
		shape := slices.Clone(v.shape)
		shape[k] = len(keep)
		out, err := r.make(v.dt, shape)
		if err != nil {
			return nil, err
		}
		inner := count(v.shape[k+1:])
		for o := range count(v.shape[:k]) {
			for j, i := range keep {
				out.data.copyAt((o*len(keep)+j)*inner, v.data, (o*v.shape[k]+i)*inner, inner)
			}
		}
		return []*value{out}, nil
	}, nil
}

func opRange(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		for _, v := range in {
			if v.data.len() != 1 {
				return nil, invalid("a bound of shape %d, wanted a scalar", v.shape)
			}
		}
		switch in[0].dt {
		case tensor.Float32:
			return sequence[float32](r, in)
		case tensor.Float64:
			return sequence[float64](r, in)
		case tensor.Int16:
			return sequence[int16](r, in)
		case tensor.Int32:
			return sequence[int32](r, in)
		default:
			return sequence[int64](r, in)
		}
	}, nil
}

func sequence[T number](r *run, in []*value) ([]*value, error) {
	start, limit, delta := of[T](in[0])[0], of[T](in[1])[0], of[T](in[2])[0]
	if delta == 0 {
		return nil, invalid("a range with step 0")
	}
	f := (float64(limit) - float64(start)) / float64(delta)
	if !(f < float64(r.most)) {
		return nil, tooLarge("a range of %g elements", f)
	}
	n := 0
	if f > 0 {
		n = int(f)
		if float64(n) < f {
			n++
		}
	}
	v, err := r.make(in[0].dt, []int{n})
	if err != nil {
		return nil, err
	}
	out := of[T](v)
	for i := range out {
		out[i] = start + T(i)*delta
	}
	return []*value{v}, nil
}

func opIf(b *builder) (kernel, error) {
	branches := [2]*graph{b.graph("else_branch"), b.graph("then_branch")}
	if b.err != nil {
		return nil, b.err
	}
	b.outs = make([]tensor.DType, b.outputs)
	for _, g := range branches {
		if len(g.outs) != b.outputs {
			return nil, invalid("a branch with %d outputs, wanted %d", len(g.outs), b.outputs)
		}
		b.node.reads = append(b.node.reads, g.reads...)
	}
	for i := range b.outs {
		if branches[0].types[i] == branches[1].types[i] {
			b.outs[i] = branches[0].types[i]
		}
	}
	return func(r *run, in []*value) ([]*value, error) {
		cond := of[bool](in[0])
		if len(cond) != 1 {
			return nil, invalid("a condition of shape %d, wanted a single bool", in[0].shape)
		}
		g := branches[0]
		if cond[0] {
			g = branches[1]
		}
		if err := r.graph(g); err != nil {
			return nil, err
		}
		out := make([]*value, len(g.outs))
		for i, k := range g.outs {
			if r.env[k] == nil {
				return nil, invalid("output %d of a branch has no value", i)
			}
			out[i] = r.view(r.env[k], r.env[k].shape)
		}
		for _, k := range g.own {
			r.drop(r.env[k])
			r.env[k] = nil
		}
		return out, nil
	}, nil
}
