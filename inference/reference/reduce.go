package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// reduction is one way to make one number of many. Numbers come as float64 in order.
type reduction struct {
	start float64
	add   func(acc, x float64) float64
	end   func(acc float64, n int) float64
}

var reductions = map[string]reduction{
	"ReduceSum":       {0, func(a, x float64) float64 { return a + x }, nil},
	"ReduceMean":      {0, func(a, x float64) float64 { return a + x }, func(a float64, n int) float64 { return a / float64(n) }},
	"ReduceProd":      {1, func(a, x float64) float64 { return a * x }, nil},
	"ReduceSumSquare": {0, func(a, x float64) float64 { return a + x*x }, nil},
	"ReduceL1":        {0, func(a, x float64) float64 { return a + math.Abs(x) }, nil},
	"ReduceL2":        {0, func(a, x float64) float64 { return a + x*x }, func(a float64, n int) float64 { return math.Sqrt(a) }},
	"ReduceLogSum":    {0, func(a, x float64) float64 { return a + x }, func(a float64, n int) float64 { return math.Log(a) }},
	"ReduceMax":       {math.Inf(-1), math.Max, nil},
	"ReduceMin":       {math.Inf(1), math.Min, nil},
}

// layout says how a tensor is seen when some axes go: out elements in order, each made of size elements that lie at
// offsets from its base.
type layout struct {
	shape   []int // of the result, with kept dimensions of 1
	squeeze []int // of the result, without them
	bases   []int
	offsets []int
}

func reduced(r *run, v *value, set []bool) (*layout, func(), error) {
	l := &layout{squeeze: []int{}}
	var keep, gone, keepSt, goneSt []int
	strides := stridesOf(v.shape)
	for i, d := range v.shape {
		if set[i] {
			l.shape = append(l.shape, 1)
			gone, goneSt = append(gone, d), append(goneSt, strides[i])
		} else {
			l.shape = append(l.shape, d)
			l.squeeze = append(l.squeeze, d)
			keep, keepSt = append(keep, d), append(keepSt, strides[i])
		}
	}
	done, err := r.scratch(count(keep)+count(gone), 8)
	if err != nil {
		return nil, nil, err
	}
	l.bases, l.offsets = offsets(keep, keepSt), offsets(gone, goneSt)
	return l, done, nil
}

func offsets(shape, strides []int) []int {
	out := make([]int, count(shape))
	idx := make([]int, len(shape))
	off := 0
	for i := range out {
		out[i] = off
		for d := len(idx) - 1; d >= 0; d-- {
			idx[d]++
			off += strides[d]
			if idx[d] < shape[d] {
				break
			}
			off -= strides[d] * shape[d]
			idx[d] = 0
		}
	}
	return out
}

func reduceFloats[T float](r *run, out, x []T, l *layout, red reduction) error {
	for i, base := range l.bases {
		acc := red.start
		for _, o := range l.offsets {
			acc = red.add(acc, float64(x[base+o]))
		}
		if red.end != nil {
			acc = red.end(acc, len(l.offsets))
		}
		out[i] = T(acc)
		if err := r.alive(2*len(l.offsets) + 1); err != nil {
			return err
		}
	}
	return nil
}

func reduceInts[T integer](r *run, out, x []T, l *layout, op string) error {
	for i, base := range l.bases {
		var acc T
		if op == "ReduceProd" {
			acc = 1
		}
		for k, o := range l.offsets {
			e := x[base+o]
			switch op {
			case "ReduceSum", "ReduceMean":
				acc += e
			case "ReduceProd":
				acc *= e
			case "ReduceSumSquare":
				acc += e * e
			case "ReduceL1":
				if e < 0 {
					e = -e
				}
				acc += e
			case "ReduceMax":
				if k == 0 || e > acc {
					acc = e
				}
			case "ReduceMin":
				if k == 0 || e < acc {
					acc = e
				}
			}
		}
		if op == "ReduceMean" {
			acc /= T(len(l.offsets))
		}
		out[i] = acc
		if err := r.alive(2*len(l.offsets) + 1); err != nil {
			return err
		}
	}
	return nil
}

// logSumExp keeps away from overflow.
func logSumExp[T float](r *run, out, x []T, l *layout) error {
	for i, base := range l.bases {
		m := math.Inf(-1)
		for _, o := range l.offsets {
			m = math.Max(m, float64(x[base+o]))
		}
		if math.IsInf(m, 0) {
			out[i] = T(m)
			continue
		}
		s := 0.0
		for _, o := range l.offsets {
			s += math.Exp(float64(x[base+o]) - m)
		}
		out[i] = T(m + math.Log(s))
		if err := r.alive(8*len(l.offsets) + 1); err != nil {
			return err
		}
	}
	return nil
}

func reduce(r *run, op string, v *value, set []bool, keep bool) (*value, error) {
	l, done, err := reduced(r, v, set)
	if err != nil {
		return nil, err
	}
	defer done()
	if len(l.offsets) == 0 && len(l.bases) > 0 && (op == "ReduceMean" || v.dt != tensor.Float32 && v.dt != tensor.Float64 && (op == "ReduceMax" || op == "ReduceMin")) {
		return nil, unsupported("%s of nothing", op)
	}
	if v.data.len() == 0 && len(l.bases) == 0 {
		return nil, unsupported("%s of nothing to nothing, which engines read differently", op)
	}
	switch op {
	case "ReduceMax", "ReduceMin":
		err = orderly(v, op)
	default:
		err = inRange(v, op)
	}
	if err != nil {
		return nil, err
	}
	shape := l.shape
	if !keep {
		shape = l.squeeze
	}
	out, err := r.make(v.dt, shape)
	if err != nil {
		return nil, err
	}
	red := reductions[op]
	switch d := v.data.(type) {
	case vec[float32]:
		if op == "ReduceLogSumExp" {
			return out, logSumExp(r, of[float32](out), d, l)
		}
		return out, reduceFloats(r, of[float32](out), d, l, red)
	case vec[float64]:
		if op == "ReduceLogSumExp" {
			return out, logSumExp(r, of[float64](out), d, l)
		}
		return out, reduceFloats(r, of[float64](out), d, l, red)
	case vec[int8]:
		return out, reduceInts(r, of[int8](out), d, l, op)
	case vec[uint8]:
		return out, reduceInts(r, of[uint8](out), d, l, op)
	case vec[int32]:
		return out, reduceInts(r, of[int32](out), d, l, op)
	case vec[int64]:
		return out, reduceInts(r, of[int64](out), d, l, op)
	case vec[uint32]:
		return out, reduceInts(r, of[uint32](out), d, l, op)
	case vec[uint64]:
		return out, reduceInts(r, of[uint64](out), d, l, op)
	case vec[bool]:
		o := of[bool](out)
		for i, base := range l.bases {
			o[i] = op == "ReduceMin"
			for _, off := range l.offsets {
				if op == "ReduceMin" {
					o[i] = o[i] && d[base+off]
				} else {
					o[i] = o[i] || d[base+off]
				}
			}
		}
		return out, nil
	}
	return nil, unsupported("%s of %s", op, v.dt)
}

// opReduce has its axes in an attribute, opReduceAxes in an input.
func opReduce(b *builder) (kernel, error) {
	axes, _ := b.ints("axes")
	keep := b.bool("keepdims", true)
	op := b.op.Name
	return func(r *run, in []*value) ([]*value, error) { return reduceOver(r, op, in[0], axes, keep, false) }, nil
}

func opReduceAxes(b *builder) (kernel, error) {
	keep, noop := b.bool("keepdims", true), b.bool("noop_with_empty_axes", false)
	op := b.op.Name
	return func(r *run, in []*value) ([]*value, error) {
		var axes []int64
		if in[1] != nil {
			var err error
			if axes, err = list(in[1], "axes"); err != nil {
				return nil, err
			}
		}
		return reduceOver(r, op, in[0], axes, keep, noop)
	}, nil
}

func reduceOver(r *run, op string, v *value, axes []int64, keep, noop bool) ([]*value, error) {
	set, err := axesOf(axes, len(v.shape))
	if err != nil {
		return nil, err
	}
	if len(axes) == 0 {
		if noop {
			switch op {
			case "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd":
				return []*value{r.view(v, v.shape)}, nil
			}
			return nil, unsupported("%s over no axes", op)
		}
		for i := range set {
			set[i] = true
		}
	}
	return one(reduce(r, op, v, set, keep))
}

func opArg(b *builder) (kernel, error) {
	axis, keep, last := b.int("axis", 0), b.bool("keepdims", true), false
	if b.version >= 12 {
		last = b.bool("select_last_index", false)
	}
	largest := b.op.Name == "ArgMax"
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		k, err := axisOf(axis, len(v.shape))
		if err != nil {
			return nil, err
		}
		if v.shape[k] == 0 {
			return nil, invalid("%s over an empty dimension", b.op.Name)
		}
		if v.data.len() == 0 {
			return nil, unsupported("%s of nothing, which engines read differently", b.op.Name)
		}
		if err := orderly(v, b.op.Name); err != nil {
			return nil, err
		}
		shape := slices.Clone(v.shape)
		shape[k] = 1
		if !keep {
			shape = slices.Delete(shape, k, k+1)
		}
		out, err := r.make(tensor.Int64, shape)
		if err != nil {
			return nil, err
		}
		if err := r.alive(2 * v.data.len()); err != nil {
			return nil, err
		}
		n, inner := v.shape[k], count(v.shape[k+1:])
		switch d := v.data.(type) {
		case vec[float32]:
			arg(of[int64](out), d, n, inner, largest, last)
		case vec[float64]:
			arg(of[int64](out), d, n, inner, largest, last)
		case vec[int8]:
			arg(of[int64](out), d, n, inner, largest, last)
		case vec[uint8]:
			arg(of[int64](out), d, n, inner, largest, last)
		case vec[int32]:
			arg(of[int64](out), d, n, inner, largest, last)
		case vec[int64]:
			arg(of[int64](out), d, n, inner, largest, last)
		}
		return []*value{out}, nil
	}, nil
}

func arg[T number](out []int64, x []T, n, inner int, largest, last bool) {
	for i := range out {
		base := i/inner*n*inner + i%inner
		best := 0
		for j := 1; j < n; j++ {
			a, b := x[base+j*inner], x[base+best*inner]
			if !largest {
				a, b = b, a
			}
			if a > b || last && a == b {
				best = j
			}
		}
		out[i] = int64(best)
	}
}

// softmax over a block of outer × n × inner elements.
func softmax[T float](r *run, out, x []T, n, inner int, logarithm bool) error {
	if n == 0 || inner == 0 {
		return nil
	}
	for o := 0; o < len(x); o += n * inner {
		for i := range inner {
			m := math.Inf(-1)
			for j := range n {
				m = math.Max(m, float64(x[o+j*inner+i]))
			}
			s := 0.0
			for j := range n {
				s += math.Exp(float64(x[o+j*inner+i]) - m)
			}
			log := math.Log(s)
			for j := range n {
				p := o + j*inner + i
				if logarithm {
					out[p] = T(float64(x[p]) - m - log)
				} else {
					out[p] = T(math.Exp(float64(x[p])-m) / s)
				}
			}
			if err := r.alive(32 * n); err != nil {
				return err
			}
		}
	}
	return nil
}

func opSoftmax(b *builder) (kernel, error) {
	axis := int64(1)
	if b.version >= 13 {
		axis = -1
	}
	axis = b.int("axis", axis)
	flat := b.version < 13
	logarithm := b.op.Name == "LogSoftmax"
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		n, inner, err := softmaxBlock(v.shape, axis, flat)
		if err != nil {
			return nil, err
		}
		out, err := r.make(v.dt, v.shape)
		if err != nil {
			return nil, err
		}
		if v.dt == tensor.Float64 {
			return one(out, softmax(r, of[float64](out), of[float64](v), n, inner, logarithm))
		}
		return one(out, softmax(r, of[float32](out), of[float32](v), n, inner, logarithm))
	}, nil
}

// softmaxBlock: before version 13 all dimensions from axis on are one.
func softmaxBlock(shape []int, axis int64, flat bool) (n, inner int, err error) {
	if flat {
		k, err := splitAxis(axis, len(shape))
		if err != nil {
			return 0, 0, err
		}
		return count(shape[k:]), 1, nil
	}
	k, err := axisOf(axis, len(shape))
	if err != nil {
		return 0, 0, err
	}
	return shape[k], count(shape[k+1:]), nil
}

func opHardmax(b *builder) (kernel, error) {
	axis := int64(1)
	if b.version >= 13 {
		axis = -1
	}
	axis = b.int("axis", axis)
	flat := b.version < 13
	return func(r *run, in []*value) ([]*value, error) {
		v := in[0]
		if err := orderly(v, b.op.Name); err != nil {
			return nil, err
		}
		n, inner, err := softmaxBlock(v.shape, axis, flat)
		if err != nil {
			return nil, err
		}
		out, err := r.make(v.dt, v.shape)
		if err != nil || v.data.len() == 0 {
			return one(out, err)
		}
		done, err := r.scratch(v.data.len()/n, 8)
		if err != nil {
			return nil, err
		}
		defer done()
		best := make([]int64, v.data.len()/n)
		switch d := v.data.(type) {
		case vec[float32]:
			arg(best, d, n, inner, true, false)
			for i, k := range best {
				of[float32](out)[i/inner*n*inner+i%inner+int(k)*inner] = 1
			}
		case vec[float64]:
			arg(best, d, n, inner, true, false)
			for i, k := range best {
				of[float64](out)[i/inner*n*inner+i%inner+int(k)*inner] = 1
			}
		}
		return []*value{out}, nil
	}, nil
}

func opCumSum(b *builder) (kernel, error) {
	exclusive, reverse := b.bool("exclusive", false), b.bool("reverse", false)
	return func(r *run, in []*value) ([]*value, error) {
		a, err := scalar(in[1], "an axis")
		if err != nil {
			return nil, err
		}
		v := in[0]
		k, err := axisOf(a, len(v.shape))
		if err != nil {
			return nil, err
		}
		out, err := r.make(v.dt, v.shape)
		if err != nil {
			return nil, err
		}
		n, inner := v.shape[k], count(v.shape[k+1:])
		switch d := v.data.(type) {
		case vec[float32]:
			cumulate(of[float32](out), d, n, inner, exclusive, reverse)
		case vec[float64]:
			cumulate(of[float64](out), d, n, inner, exclusive, reverse)
		case vec[int32]:
			cumulate(of[int32](out), d, n, inner, exclusive, reverse)
		case vec[int64]:
			cumulate(of[int64](out), d, n, inner, exclusive, reverse)
		}
		return []*value{out}, nil
	}, nil
}

func cumulate[T number](out, x []T, n, inner int, exclusive, reverse bool) {
	if len(x) == 0 {
		return
	}
	for line := range len(x) / n {
		base := line/inner*n*inner + line%inner
		var acc T
		for j := range n {
			p := base + j*inner
			if reverse {
				p = base + (n-1-j)*inner
			}
			if exclusive {
				out[p] = acc
			}
			acc += x[p]
			if !exclusive {
				out[p] = acc
			}
		}
	}
}

// opTopK has k in an attribute before version 10, in an input since.
func opTopK(b *builder) (kernel, error) {
	axis := b.int("axis", -1)
	largest, fixed := true, int64(0)
	if b.version < 10 {
		b.want("k")
		fixed = b.int("k", 0)
	}
	if b.version >= 11 {
		largest = b.bool("largest", true)
		b.bool("sorted", true) // we always sort
	}
	return func(r *run, in []*value) ([]*value, error) {
		v, k := in[0], fixed
		if err := orderly(v, b.op.Name); err != nil {
			return nil, err
		}
		if len(in) > 1 {
			var err error
			if k, err = scalar(in[1], "k"); err != nil {
				return nil, err
			}
		}
		a, err := axisOf(axis, len(v.shape))
		if err != nil {
			return nil, err
		}
		if k < 0 || k > int64(v.shape[a]) {
			return nil, invalid("the best %d of %d", k, v.shape[a])
		}
		shape := slices.Clone(v.shape)
		shape[a] = int(k)
		out, err := r.make(v.dt, shape)
		if err != nil {
			return nil, err
		}
		idx, err := r.make(tensor.Int64, shape)
		if err != nil {
			return nil, err
		}
		if err := r.alive(16 * v.data.len()); err != nil {
			return nil, err
		}
		done, err := r.scratch(v.shape[a], 8)
		if err != nil {
			return nil, err
		}
		defer done()
		n, inner := v.shape[a], count(v.shape[a+1:])
		switch d := v.data.(type) {
		case vec[float32]:
			top(of[float32](out), of[int64](idx), d, n, int(k), inner, largest)
		case vec[float64]:
			top(of[float64](out), of[int64](idx), d, n, int(k), inner, largest)
		case vec[int32]:
			top(of[int32](out), of[int64](idx), d, n, int(k), inner, largest)
		case vec[int64]:
			top(of[int64](out), of[int64](idx), d, n, int(k), inner, largest)
		}
		return []*value{out, idx}, nil
	}, nil
}

func top[T number](out []T, idx []int64, x []T, n, k, inner int, largest bool) {
	if len(x) == 0 || k == 0 {
		return
	}
	order := make([]int, n)
	for line := range len(x) / n {
		base := line/inner*n*inner + line%inner
		to := line/inner*k*inner + line%inner
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(a, b int) int {
			p, q := x[base+a*inner], x[base+b*inner]
			if !largest {
				p, q = q, p
			}
			switch {
			case p > q:
				return -1
			case p < q:
				return 1
			}
			return 0
		})
		for j := range k {
			out[to+j*inner] = x[base+order[j]*inner]
			idx[to+j*inner] = int64(order[j])
		}
	}
}
