package reference

import (
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
		if len(axes) == 0 {
			return nil, unsupported("Squeeze of no axes, which engines read as all")
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
