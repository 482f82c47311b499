package reference

import "sluice/inference/tensor"

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
		if before, after := int(pads[i]), int(pads[rank+i]); mode == "wrap" && (min(before, after) < 0 || max(before, after) > d) {
			return nil, unsupported("wrapping around by %d and %d in a dimension of %d, where engines read beyond it", before, after, d)
		}
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
