package reference

import (
	"slices"

	"sluice/inference/tensor"
)

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
