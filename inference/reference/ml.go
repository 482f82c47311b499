package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

func opZipMap(b *builder) (kernel, error) {
	texts := b.texts("classlabels_strings")
	ints, _ := b.ints("classlabels_int64s")
	n := len(texts) + len(ints)
	if n == 0 || len(texts) > 0 && len(ints) > 0 {
		return nil, invalid("%d names and %d numbers as keys, wanted one kind", len(texts), len(ints))
	}
	if k, twice := repeated(ints); twice {
		return nil, invalid("key %d stands twice", k)
	}
	if k, twice := repeated(texts); twice {
		return nil, invalid("key %q stands twice", k)
	}
	return func(r *run, in []*value) ([]*value, error) {
		x := of[float32](in[0])
		rank := len(in[0].shape)
		if rank < 1 || rank > 2 || in[0].shape[rank-1] != n {
			return nil, invalid("values of shape %d for %d keys", in[0].shape, n)
		}
		// A map is a struct of three slices; key and value of an element take 20 bytes.
		if err := r.charge(int64(rowsOf(in[0]))*96 + int64(len(x))*20); err != nil {
			return nil, err
		}
		maps := make([]tensor.Map, rowsOf(in[0]))
		for i := range maps {
			maps[i] = tensor.Map{IntKeys: slices.Clone(ints), StringKeys: slices.Clone(texts), Values: slices.Clone(x[i*n : (i+1)*n])}
		}
		return []*value{{maps: maps}}, nil
	}, nil
}

// repeated finds an element that stands twice in a list.
func repeated[T comparable](list []T) (k T, twice bool) {
	seen := make(map[T]bool, len(list))
	for _, k := range list {
		if seen[k] {
			return k, true
		}
		seen[k] = true
	}
	return k, false
}

// perColumn gives one number for each of cols columns.
func perColumn(list []float32, cols int, otherwise float32) ([]float32, error) {
	switch len(list) {
	case cols:
		return list, nil
	case 0:
		return slices.Repeat([]float32{otherwise}, cols), nil
	case 1:
		return slices.Repeat(list, cols), nil
	}
	return nil, invalid("%d numbers for %d columns", len(list), cols)
}

func opScaler(b *builder) (kernel, error) {
	offset, scale := b.floats("offset"), b.floats("scale")
	return func(r *run, in []*value) ([]*value, error) {
		rank := len(in[0].shape)
		if rank < 1 || rank > 2 {
			return nil, invalid("an input of shape %d, wanted rows of features", in[0].shape)
		}
		cols := in[0].shape[rank-1]
		done, err := r.scratch(cols, 8)
		if err != nil {
			return nil, err
		}
		defer done()
		o, err := perColumn(offset, cols, 0)
		if err != nil {
			return nil, err
		}
		s, err := perColumn(scale, cols, 1)
		if err != nil {
			return nil, err
		}
		x, err := cast(r, in[0], tensor.Float32)
		if err != nil {
			return nil, err
		}
		defer r.drop(x)
		out, err := r.make(tensor.Float32, x.shape)
		if err != nil {
			return nil, err
		}
		y := of[float32](out)
		for i, e := range of[float32](x) {
			y[i] = (e - o[i%cols]) * s[i%cols]
		}
		return []*value{out}, nil
	}, nil
}

func opNormalizer(b *builder) (kernel, error) {
	norm := b.choice("norm", "MAX", "MAX", "L1", "L2")
	return func(r *run, in []*value) ([]*value, error) {
		rank := len(in[0].shape)
		if rank < 1 || rank > 2 {
			return nil, invalid("an input of shape %d, wanted rows of features", in[0].shape)
		}
		x, err := cast(r, in[0], tensor.Float32)
		if err != nil {
			return nil, err
		}
		defer r.drop(x)
		out, err := r.make(tensor.Float32, x.shape)
		if err != nil {
			return nil, err
		}
		cols := x.shape[rank-1]
		for at := 0; at < x.data.len(); at += cols {
			row, to := of[float32](x)[at:at+cols], of[float32](out)[at:at+cols]
			s := 0.0
			for _, e := range row {
				switch norm {
				case "MAX":
					if e < 0 {
						return nil, unsupported("MAX of negative numbers, which engines read differently")
					}
					s = math.Max(s, float64(e))
				case "L1":
					s += math.Abs(float64(e))
				default:
					s += float64(e) * float64(e)
				}
			}
			if norm == "L2" {
				s = math.Sqrt(s)
			}
			if s == 0 {
				continue // all zero
			}
			for i, e := range row {
				to[i] = float32(float64(e) / s)
			}
		}
		return []*value{out}, nil
	}, nil
}

func opBinarizer(b *builder) (kernel, error) {
	t := b.float("threshold", 0)
	return func(r *run, in []*value) ([]*value, error) {
		switch in[0].dt {
		case tensor.Float64:
			return one(each(r, in[0].dt, in[0], func(x float64) float64 { return indicator(x > float64(t)) }))
		default:
			return one(each(r, in[0].dt, in[0], func(x float32) float32 { return float32(indicator(x > t)) }))
		}
	}, nil
}

func indicator(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func opArrayFeatureExtractor(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		v, idx := in[0], of[int64](in[1])
		rank := len(v.shape)
		if rank == 0 || len(idx) == 0 {
			return nil, invalid("features %d of shape %d", idx, v.shape)
		}
		shape := append(slices.Clone(v.shape[:rank-1]), len(idx))
		if rank == 1 {
			shape = []int{1, len(idx)}
		}
		out, err := r.make(v.dt, shape)
		if err != nil {
			return nil, err
		}
		cols := v.shape[rank-1]
		for i := range count(v.shape[:rank-1]) {
			for j, k := range idx {
				if k < 0 || k >= int64(cols) {
					return nil, invalid("feature %d of %d", k, cols)
				}
				out.data.copyAt(i*len(idx)+j, v.data, i*cols+int(k), 1)
			}
		}
		return []*value{out}, nil
	}, nil
}

// opLabelEncoder translates strings, numbers and floats into one another by a table.
func opLabelEncoder(b *builder) (kernel, error) {
	half := func(side string) *value {
		if n, ok := b.ints(side + "_int64s"); ok {
			return &value{dt: tensor.Int64, data: vec[int64](n)}
		}
		if b.has(side + "_strings") {
			return &value{dt: tensor.String, data: vec[string](b.texts(side + "_strings"))}
		}
		if b.has(side + "_floats") {
			return &value{dt: tensor.Float32, data: vec[float32](b.floats(side + "_floats"))}
		}
		if b.version >= 4 {
			return b.tensor(side + "_tensor")
		}
		return nil
	}
	keys, values := half("keys"), half("values")
	if b.err != nil {
		return nil, b.err
	}
	if keys == nil || values == nil || keys.data.len() != values.data.len() {
		return nil, invalid("a table of labels without keys, without values, or with different numbers of both")
	}
	if t := b.bound[b.op.sig.letter("K")]; t != tensor.Undefined && t != keys.dt {
		return nil, invalid("keys of type %s for an input of type %s", keys.dt, t)
	}
	if err := b.bindOut("V", values.dt); err != nil {
		return nil, err
	}
	fallback := makeData(values.dt, 1)
	if b.version >= 4 && b.has("default_tensor") {
		v := b.tensor("default_tensor")
		if v == nil || v.dt != values.dt || v.data.len() != 1 {
			return nil, invalid("a default that is no single %s", values.dt)
		}
		fallback = v.data
	} else {
		switch d := fallback.(type) {
		case vec[string]:
			d[0] = b.text("default_string", "_Unused")
		case vec[int64]:
			d[0] = b.int("default_int64", -1)
		case vec[float32]:
			d[0] = b.float("default_float", float32(math.Copysign(0, -1)))
		default:
			return nil, unsupported("labels of type %s without default_tensor", values.dt)
		}
	}
	b.ignore("default_string", "default_int64", "default_float")
	k, err := labels(keys)
	if err != nil {
		return nil, err
	}
	at := map[any]int{}
	for i, x := range k {
		if _, ok := at[x]; ok {
			return nil, invalid("label %v stands twice", x)
		}
		at[x] = i
	}
	return func(r *run, in []*value) ([]*value, error) {
		if in[0].dt != keys.dt {
			return nil, invalid("keys of type %s for an input of type %s", keys.dt, in[0].dt)
		}
		out, err := r.make(values.dt, in[0].shape)
		if err != nil {
			return nil, err
		}
		done, err := r.scratch(in[0].data.len(), 24)
		if err != nil {
			return nil, err
		}
		defer done()
		list, err := labels(in[0])
		if err != nil {
			return nil, err
		}
		for i, x := range list {
			if j, ok := at[x]; ok {
				out.data.copyAt(i, values.data, j, 1)
			} else {
				out.data.copyAt(i, fallback, 0, 1)
			}
		}
		return []*value{out}, nil
	}, nil
}

// labels gives comparable keys; not-a-number equals itself.
func labels(v *value) ([]any, error) {
	out := make([]any, v.data.len())
	switch d := v.data.(type) {
	case vec[string]:
		for i, x := range d {
			out[i] = x
		}
	case vec[int64]:
		for i, x := range d {
			out[i] = x
		}
	case vec[float32]:
		for i, x := range d {
			out[i] = math.Float32bits(x + 0)
			if x != x {
				out[i] = "nan"
			}
		}
	default:
		return nil, unsupported("labels of type %s", v.dt)
	}
	return out, nil
}

func opLinearRegressor(b *builder) (kernel, error) {
	coef, intercept := b.floats("coefficients"), b.floats("intercepts")
	targets := b.int("targets", 1)
	b.choice("post_transform", "NONE", "NONE")
	if targets < 1 || len(coef) == 0 || int64(len(coef))%targets != 0 || len(intercept) != 0 && int64(len(intercept)) != targets {
		return nil, invalid("%d coefficients and %d intercepts for %d targets", len(coef), len(intercept), targets)
	}
	n := int(targets)
	return func(r *run, in []*value) ([]*value, error) {
		cols := len(coef) / n
		if len(in[0].shape) != 2 || in[0].shape[1] != cols {
			return nil, invalid("an input of shape %d for %d coefficients", in[0].shape, cols)
		}
		out, err := r.make(tensor.Float32, []int{in[0].shape[0], n})
		if err != nil {
			return nil, err
		}
		x, y := of[float32](in[0]), of[float32](out)
		for i := range in[0].shape[0] {
			to := y[i*n : (i+1)*n]
			copy(to, intercept)
			rows(to, coef, x[i*cols:(i+1)*cols])
			if err := r.alive(len(coef)); err != nil {
				return nil, err
			}
		}
		return []*value{out}, nil
	}, nil
}

func opNonZero(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		mask, err := cast(r, in[0], tensor.Bool)
		if err != nil {
			return nil, err
		}
		defer r.drop(mask)
		rank := len(in[0].shape)
		if rank == 0 {
			return nil, unsupported("NonZero of a scalar, which versions of the standard read differently")
		}
		n := 0
		for _, yes := range of[bool](mask) {
			if yes {
				n++
			}
		}
		out, err := r.make(tensor.Int64, []int{rank, n})
		if err != nil {
			return nil, err
		}
		y, k := of[int64](out), 0
		return one(out, walk(r, in[0].shape, func(i int, idx []int) error {
			if of[bool](mask)[i] {
				for d, x := range idx {
					y[d*n+k] = int64(x)
				}
				k++
			}
			return nil
		}))
	}, nil
}

func opOneHot(b *builder) (kernel, error) {
	axis := b.int("axis", -1)
	return func(r *run, in []*value) ([]*value, error) {
		idx, err := cast(r, in[0], tensor.Int64)
		if err != nil {
			return nil, err
		}
		defer r.drop(idx)
		d, err := cast(r, in[1], tensor.Int64)
		if err != nil {
			return nil, err
		}
		defer r.drop(d)
		depth, err := scalar(d, "a depth")
		if err != nil {
			return nil, err
		}
		k, err := axisOf(axis, len(in[0].shape)+1)
		if err != nil {
			return nil, err
		}
		if depth < 0 || depth > r.most || in[2].data.len() != 2 {
			return nil, invalid("a depth of %d and values of shape %d", depth, in[2].shape)
		}
		out, err := r.make(in[2].dt, slices.Insert(slices.Clone(in[0].shape), k, int(depth)))
		if err != nil {
			return nil, err
		}
		out.data.fill(in[2].data, 0)
		inner := count(in[0].shape[k:])
		for i, x := range of[int64](idx) {
			if x < -depth || x >= depth {
				continue
			}
			if x < 0 {
				x += depth
			}
			out.data.copyAt((i/inner*int(depth)+int(x))*inner+i%inner, in[2].data, 1, 1)
		}
		return []*value{out}, nil
	}, nil
}
