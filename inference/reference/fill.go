package reference

import (
	"slices"

	"sluice/inference/tensor"
)

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
