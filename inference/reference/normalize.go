package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// scaled computes x·a[c] + b[c] for each channel c of a tensor (batch, channels, …).
func scaled[T float](r *run, v *value, a, b []float64) (*value, error) {
	out, err := r.make(v.dt, v.shape)
	if err != nil {
		return nil, err
	}
	if err := r.alive(v.data.len()); err != nil {
		return nil, err
	}
	inner := count(v.shape[2:])
	y := of[T](out)
	for i, x := range of[T](v) {
		c := i / inner % len(a)
		y[i] = T(float64(x)*a[c] + b[c])
	}
	return out, nil
}

// float64s widens the elements of a floating-point tensor.
func float64s(v *value) []float64 {
	switch d := v.data.(type) {
	case vec[float64]:
		return d
	case vec[float32]:
		out := make([]float64, len(d))
		for i, x := range d {
			out[i] = float64(x)
		}
		return out
	}
	return nil
}

func opBatchNormalization(b *builder) (kernel, error) {
	eps := float64(b.float("epsilon", 1e-5))
	b.float("momentum", 0.9)
	if b.version < 9 && b.int("spatial", 1) != 1 {
		return nil, unsupported("BatchNormalization that is not spatial")
	}
	if b.version < 7 && !b.bool("is_test", false) {
		return nil, unsupported("BatchNormalization while training")
	}
	if b.version >= 14 && b.bool("training_mode", false) {
		return nil, unsupported("BatchNormalization while training")
	}
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if len(v.shape) < 2 {
			if len(v.shape) == 0 {
				return nil, invalid("a tensor of shape %d, wanted channels", v.shape)
			}
			v = r.view(v, []int{v.shape[0], 1}) // a list is a batch with one channel
			defer r.drop(v)
		}
		n := v.shape[1]
		for _, p := range in[1:] {
			if p.data.len() != n || len(p.shape) != 1 {
				return nil, invalid("parameters of shape %d for %d channels", p.shape, n)
			}
		}
		done, err := r.scratch(6*n, 8)
		if err != nil {
			return nil, err
		}
		defer done()
		scale, bias, mean, variance := float64s(in[1]), float64s(in[2]), float64s(in[3]), float64s(in[4])
		a, c := make([]float64, n), make([]float64, n)
		for i := range a {
			a[i] = scale[i] / math.Sqrt(variance[i]+eps)
			c[i] = bias[i] - mean[i]*a[i]
		}
		var out *value
		if v.dt == tensor.Float64 {
			out, err = scaled[float64](r, v, a, c)
		} else {
			out, err = scaled[float32](r, v, a, c)
		}
		if err != nil {
			return nil, err
		}
		out.shape = in[0].shape
		return []*value{out}, nil
	}, nil
}

// moments gives mean and 1/√(variance+eps).
func moments[T float](x []T, eps float64) (mean, inv float64) {
	for _, e := range x {
		mean += float64(e)
	}
	mean /= float64(len(x))
	v := 0.0
	for _, e := range x {
		d := float64(e) - mean
		v += d * d
	}
	return mean, 1 / math.Sqrt(v/float64(len(x))+eps)
}

// normalized normalizes blocks of size elements that lie together; f gives factor and addend for an element.
func normalized[T float](r *run, v *value, size int, eps float64, f func(i int) (scale, bias float64)) (*value, error) {
	out, err := r.make(v.dt, v.shape)
	if err != nil {
		return nil, err
	}
	x, y := of[T](v), of[T](out)
	for o := 0; o < len(x); o += size {
		mean, inv := moments(x[o:o+size], eps)
		for i := o; i < o+size; i++ {
			s, b := f(i)
			y[i] = T((float64(x[i])-mean)*inv*s + b)
		}
		if err := r.alive(8 * size); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func normalize(r *run, v *value, size int, eps float64, f func(i int) (scale, bias float64)) (*value, error) {
	if v.dt == tensor.Float64 {
		return normalized[float64](r, v, size, eps, f)
	}
	return normalized[float32](r, v, size, eps, f)
}

func opInstanceNormalization(b *builder) (kernel, error) {
	eps := float64(b.float("epsilon", 1e-5))
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if len(v.shape) < 3 || in[1].data.len() != v.shape[1] || in[2].data.len() != v.shape[1] {
			return nil, invalid("shape %d with scale of shape %d and bias of shape %d", v.shape, in[1].shape, in[2].shape)
		}
		scale, bias := float64s(in[1]), float64s(in[2])
		size := count(v.shape[2:])
		return one(normalize(r, v, size, eps, func(i int) (float64, float64) {
			c := i / size % len(scale)
			return scale[c], bias[c]
		}))
	}, nil
}

// opGroupNormalization: scale and bias are per group before version 21, per channel since.
func opGroupNormalization(b *builder) (kernel, error) {
	b.want("num_groups")
	groups, eps := b.int("num_groups", 1), float64(b.float("epsilon", 1e-5))
	perChannel := b.version >= 21
	if perChannel {
		b.choiceInt("stash_type", 1, 1)
	}
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if len(v.shape) < 3 || groups < 1 || groups > int64(v.shape[1]) || v.shape[1]%int(groups) != 0 {
			return nil, invalid("%d groups in shape %d", groups, v.shape)
		}
		g := int(groups)
		want := g
		if perChannel {
			want = v.shape[1]
		}
		if in[1].data.len() != want || in[2].data.len() != want {
			return nil, invalid("scale of shape %d and bias of shape %d, wanted %d", in[1].shape, in[2].shape, want)
		}
		scale, bias := float64s(in[1]), float64s(in[2])
		plane := count(v.shape[2:])
		size := v.shape[1] / g * plane
		per := v.shape[1] * plane / want
		return one(normalize(r, v, size, eps, func(i int) (float64, float64) {
			c := i / per % want
			return scale[c], bias[c]
		}))
	}, nil
}

// choiceInt is an integer attribute of which only some values are supported.
func (b *builder) choiceInt(name string, otherwise int64, known ...int64) int64 {
	n := b.int(name, otherwise)
	if !slices.Contains(known, n) {
		b.fail(unsupported("%s %d of %s", name, n, b.op.Name))
	}
	return n
}

func opLayerNormalization(b *builder) (kernel, error) {
	axis, eps := b.int("axis", -1), float64(b.float("epsilon", 1e-5))
	b.choiceInt("stash_type", 1, 1)
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		k, err := axisOf(axis, len(v.shape))
		if err != nil {
			return nil, err
		}
		size := count(v.shape[k:])
		for _, p := range in[1:] {
			if p == nil {
				continue
			}
			if s, err := broadcast(p.shape, v.shape); err != nil || !slices.Equal(s, v.shape) || len(p.shape) > len(v.shape)-k {
				return nil, unsupported("a scale or bias of shape %d for shape %d from axis %d on", p.shape, v.shape, k)
			}
		}
		done, err := r.scratch(3*size, 8)
		if err != nil {
			return nil, err
		}
		defer done()
		full := func(p *value) ([]float64, error) {
			s, err := stretched(r, p, v.shape[k:])
			if err != nil {
				return nil, err
			}
			defer r.drop(s)
			return float64s(s), nil
		}
		scale, err := full(in[1])
		if err != nil {
			return nil, err
		}
		bias := make([]float64, size)
		if in[2] != nil {
			if bias, err = full(in[2]); err != nil {
				return nil, err
			}
		}
		out, err := normalize(r, v, size, eps, func(i int) (float64, float64) { return scale[i%size], bias[i%size] })
		if err != nil || b.outputs == 1 {
			return one(out, err)
		}
		shape := slices.Clone(v.shape)
		for i := k; i < len(shape); i++ {
			shape[i] = 1
		}
		mean, err := r.make(tensor.Float32, shape)
		if err != nil {
			return nil, err
		}
		inv, err := r.make(tensor.Float32, shape)
		if err != nil {
			return nil, err
		}
		for i := range of[float32](mean) {
			var m, s float64
			if v.dt == tensor.Float64 {
				m, s = moments(of[float64](v)[i*size:(i+1)*size], eps)
			} else {
				m, s = moments(of[float32](v)[i*size:(i+1)*size], eps)
			}
			of[float32](mean)[i], of[float32](inv)[i] = float32(m), float32(s)
		}
		return []*value{out, mean, inv}, nil
	}, nil
}

func opLRN(b *builder) (kernel, error) {
	b.want("size")
	alpha, beta, bias := float64(b.float("alpha", 0.0001)), float64(b.float("beta", 0.75)), float64(b.float("bias", 1))
	n := b.int("size", 1)
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if len(v.shape) < 3 || n < 1 || n > math.MaxInt32 {
			return nil, invalid("normalization over %d channels of shape %d", n, v.shape)
		}
		out, err := r.make(v.dt, v.shape)
		if err != nil {
			return nil, err
		}
		x, y := of[float32](v), of[float32](out)
		channels, plane := v.shape[1], count(v.shape[2:])
		before := int(n-1) / 2
		for i := range x {
			c := i / plane % channels
			s := 0.0
			lo, hi := max(0, c-before), min(channels-1, c+int(n)-1-before)
			for k := lo; k <= hi; k++ {
				e := float64(x[i+(k-c)*plane])
				s += e * e
			}
			y[i] = float32(float64(x[i]) / math.Pow(bias+alpha/float64(n)*s, beta))
			if err := r.alive(hi - lo + 16); err != nil {
				return nil, err
			}
		}
		return []*value{out}, nil
	}, nil
}
