package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// window holds the attributes that convolutions and pools share.
type window struct {
	auto                           string
	kernel, strides, dilations     []int64
	pads                           []int64
	ceil                           bool
	hasKernel, hasPads, hasStrides bool
}

func (b *builder) window(dilations bool) *window {
	w := &window{auto: b.choice("auto_pad", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")}
	w.kernel, w.hasKernel = b.ints("kernel_shape")
	w.strides, w.hasStrides = b.ints("strides")
	w.pads, w.hasPads = b.ints("pads")
	if dilations {
		w.dilations, _ = b.ints("dilations")
	}
	for _, l := range [][]int64{w.kernel, w.strides, w.dilations} {
		for _, x := range l {
			if x < 1 || x > math.MaxInt32 {
				b.fail(invalid("kernel %d, strides %d, dilations %d, wanted positive numbers", w.kernel, w.strides, w.dilations))
			}
		}
	}
	for _, x := range w.pads {
		if x < 0 || x > math.MaxInt32 {
			b.fail(invalid("pads %d, wanted numbers that are not negative", w.pads))
		}
	}
	return w
}

// placed is a window laid over a tensor of known size: n positions in each dimension.
type placed struct {
	in, out, kernel, stride, dilation, before, after []int
	where                                            []int // scratch of positions
}

func (w *window) place(in []int, kernel []int) (*placed, error) {
	n := len(in)
	p := &placed{in: in, kernel: kernel, out: make([]int, n), before: make([]int, n), after: make([]int, n), where: make([]int, n)}
	var err error
	if p.stride, err = ones(w.strides, n, "strides"); err != nil {
		return nil, err
	}
	if p.dilation, err = ones(w.dilations, n, "dilations"); err != nil {
		return nil, err
	}
	if len(w.pads) != 0 && len(w.pads) != 2*n {
		return nil, invalid("%d pads for %d dimensions", len(w.pads), n)
	}
	for i, d := range in {
		size := p.dilation[i]*(kernel[i]-1) + 1
		s := p.stride[i]
		switch w.auto {
		case "NOTSET":
			if len(w.pads) > 0 {
				p.before[i], p.after[i] = int(w.pads[i]), int(w.pads[n+i])
			}
		case "SAME_UPPER", "SAME_LOWER":
			p.out[i] = (d + s - 1) / s
			total := max((p.out[i]-1)*s+size-d, 0)
			p.before[i], p.after[i] = total/2, total-total/2
			if w.auto == "SAME_LOWER" {
				p.before[i], p.after[i] = p.after[i], p.before[i]
			}
			continue
		}
		room := d + p.before[i] + p.after[i] - size
		if room < 0 {
			return nil, invalid("a window of %d over a dimension of %d", size, d)
		}
		p.out[i] = room/s + 1
		if w.ceil && room%s != 0 {
			if w.auto != "NOTSET" {
				return nil, unsupported("ceil_mode with auto_pad %s, which engines read differently", w.auto)
			}
			if p.out[i]*s >= d+p.before[i] {
				return nil, unsupported("a last window that lies in the padding, where versions of the standard differ")
			}
			p.out[i]++
		}
	}
	return p, nil
}

func ones(l []int64, n int, what string) ([]int, error) {
	out := make([]int, n)
	for i := range out {
		out[i] = 1
		if len(l) > 0 {
			if len(l) != n {
				return nil, invalid("%d %s for %d dimensions", len(l), what, n)
			}
			out[i] = int(l[i])
		}
	}
	return out, nil
}

// reach gives, for an output position in one dimension, the part of the kernel that lies on the input: positions lo to
// hi-1, and the input index of kernel position 0.
func (p *placed) reach(i, at int) (lo, hi, start int) {
	start = at*p.stride[i] - p.before[i]
	d := p.dilation[i]
	if start < 0 {
		lo = (-start + d - 1) / d
	}
	if left := p.in[i] - start; left > 0 {
		hi = min(p.kernel[i], (left+d-1)/d)
	}
	return lo, max(hi, lo), start
}

// positions walks over the input elements under one output position; f gets their offset in a plane.
func (p *placed) positions(pos []int, strides []int, f func(off int, at []int)) {
	n := len(pos)
	var loA, hiA, atA, startA [maxRank]int
	lo, hi, at, start := loA[:n], hiA[:n], atA[:n], startA[:n]
	for i := range pos {
		lo[i], hi[i], start[i] = p.reach(i, pos[i])
		if lo[i] >= hi[i] {
			return
		}
		at[i] = lo[i]
	}
	where := p.where // handed to f: one of its own for each window would be garbage
	for {
		off := 0
		for i := range at {
			where[i] = start[i] + at[i]*p.dilation[i]
			off += where[i] * strides[i]
		}
		f(off, where)
		d := n - 1
		for ; d >= 0; d-- {
			if at[d]++; at[d] < hi[d] {
				break
			}
			at[d] = lo[d]
		}
		if d < 0 {
			return
		}
	}
}

// conv computes a convolution of x (batch, channels, …) with w (filters, channels per group, …).
func conv[T number](r *run, out, x, w []T, xs, ws []int, p *placed, groups int) error {
	perGroup, filters := ws[1], ws[0]/groups
	taps := count(p.kernel)
	depth := perGroup * taps // rows of the unfolded input
	plane, places := count(p.in), count(p.out)
	if places == 0 || depth == 0 {
		return nil
	}
	wide := min(places, max(1, (1<<18)/depth)) // columns unfolded at one time
	done, err := r.scratch(wide*(depth+filters), 8)
	if err != nil {
		return err
	}
	defer done()
	cols, part := make([]T, depth*wide), make([]T, filters*wide)
	for n := range xs[0] {
		for g := range groups {
			in := x[(n*xs[1]+g*perGroup)*plane:]
			to := out[(n*ws[0]+g*filters)*places:]
			for lo := 0; lo < places; lo += wide {
				k := min(wide, places-lo)
				unfold(cols[:depth*k], in, p, perGroup, lo, k)
				clear(part[:filters*k])
				if err := r.alive(depth * k); err != nil {
					return err
				}
				if err := multiply(r, part[:filters*k], w[g*filters*depth:], cols[:depth*k], filters, depth, k); err != nil {
					return err
				}
				for f := range filters {
					copy(to[f*places+lo:f*places+lo+k], part[f*k:f*k+k])
				}
			}
		}
	}
	return nil
}

// unfold lays the input elements under k output positions from lo on side by side: one row for each channel and tap.
func unfold[T number](cols, in []T, p *placed, channels, lo, k int) {
	n := len(p.in)
	plane := count(p.in)
	strides := stridesOf(p.in)
	outStrides := stridesOf(p.out)
	tap := make([]int, n)
	pos := make([]int, n)
	for t := range count(p.kernel) {
		for i, rest := n-1, t; i >= 0; i-- {
			tap[i] = rest % p.kernel[i]
			rest /= p.kernel[i]
		}
		for i := range pos {
			pos[i] = lo / outStrides[i] % p.out[i]
		}
		for j := range k {
			off, inside := 0, true
			for i := range pos {
				at := pos[i]*p.stride[i] - p.before[i] + tap[i]*p.dilation[i]
				if at < 0 || at >= p.in[i] {
					inside = false
					break
				}
				off += at * strides[i]
			}
			for c := range channels {
				row := (c*count(p.kernel) + t) * k
				if inside {
					cols[row+j] = in[c*plane+off]
				} else {
					cols[row+j] = 0
				}
			}
			for i := n - 1; i >= 0; i-- {
				if pos[i]++; pos[i] < p.out[i] {
					break
				}
				pos[i] = 0
			}
		}
	}
}

// convShape checks the shapes of a convolution and lays its window.
func (w *window) convShape(x, k *value, groups int) (*placed, []int, error) {
	if len(x.shape) < 3 || len(x.shape) != len(k.shape) {
		return nil, nil, invalid("a convolution of shape %d with weights of shape %d", x.shape, k.shape)
	}
	if groups < 1 || k.shape[1]*groups != x.shape[1] || k.shape[0]%groups != 0 {
		return nil, nil, invalid("a convolution of %d channels in %d groups with weights of shape %d", x.shape[1], groups, k.shape)
	}
	kernel := k.shape[2:]
	if w.hasKernel && !slices.Equal(toInts(w.kernel), kernel) || slices.Contains(kernel, 0) {
		return nil, nil, invalid("kernel %d and weights of shape %d", w.kernel, k.shape)
	}
	p, err := w.place(x.shape[2:], kernel)
	if err != nil {
		return nil, nil, err
	}
	return p, slices.Concat([]int{x.shape[0], k.shape[0]}, p.out), nil
}

func (b *builder) groups() int {
	g := b.int("group", 1)
	if g < 1 || g > math.MaxInt32 {
		b.fail(invalid("%d groups", g))
		return 1
	}
	return int(g)
}

func opConv(b *builder) (kernel, error) {
	w, groups := b.window(true), b.groups()
	return func(r *run, in []*value) ([]*value, error) {
		p, shape, err := w.convShape(in[0], in[1], groups)
		if err != nil {
			return nil, err
		}
		out, err := r.make(in[0].dt, shape)
		if err != nil {
			return nil, err
		}
		if in[2] != nil && in[2].data.len() != shape[1] {
			return nil, invalid("a bias of shape %d for %d filters", in[2].shape, shape[1])
		}
		if in[0].dt == tensor.Float64 {
			return one(out, convBias[float64](r, out, in, p, groups))
		}
		return one(out, convBias[float32](r, out, in, p, groups))
	}, nil
}

func convBias[T float](r *run, v *value, in []*value, p *placed, groups int) error {
	out := of[T](v)
	if err := conv(r, out, of[T](in[0]), of[T](in[1]), in[0].shape, in[1].shape, p, groups); err != nil {
		return err
	}
	if in[2] == nil {
		return nil
	}
	bias := of[T](in[2])
	places := count(p.out)
	for i := range out {
		out[i] += bias[i/places%len(bias)]
	}
	return nil
}

// poolShape lays a pool's window.
func (w *window) poolShape(x *value) (*placed, []int, error) {
	if len(x.shape) < 3 || len(w.kernel) != len(x.shape)-2 {
		return nil, nil, invalid("a pool of %d over shape %d", w.kernel, x.shape)
	}
	p, err := w.place(x.shape[2:], toInts(w.kernel))
	if err != nil {
		return nil, nil, err
	}
	if w.auto != "NOTSET" && w.auto != "VALID" && slices.Max(p.dilation) > 1 {
		return nil, nil, unsupported("a pool with dilations and auto_pad %s, which engines read differently", w.auto)
	}
	return p, slices.Concat(x.shape[:2], p.out), nil
}

func opMaxPool(b *builder) (kernel, error) {
	b.want("kernel_shape")
	w := b.window(b.version >= 10)
	if b.version >= 10 {
		w.ceil = b.bool("ceil_mode", false)
	}
	byColumn := b.version >= 8 && b.bool("storage_order", false)
	return func(r *run, in []*value) ([]*value, error) {
		if err := pooled(in[0], b.op.Name); err != nil {
			return nil, err
		}
		p, shape, err := w.poolShape(in[0])
		if err != nil {
			return nil, err
		}
		out, err := r.make(in[0].dt, shape)
		if err != nil {
			return nil, err
		}
		idx, err := r.make(tensor.Int64, shape)
		if err != nil {
			return nil, err
		}
		switch in[0].dt {
		case tensor.Float64:
			err = maxPool[float64](r, out, idx, in[0], p, byColumn)
		case tensor.Int8:
			err = maxPool[int8](r, out, idx, in[0], p, byColumn)
		case tensor.Uint8:
			err = maxPool[uint8](r, out, idx, in[0], p, byColumn)
		default:
			err = maxPool[float32](r, out, idx, in[0], p, byColumn)
		}
		if err != nil {
			return nil, err
		}
		return []*value{out, idx}, nil
	}, nil
}

func maxPool[T number](r *run, out, idx, in *value, p *placed, byColumn bool) error {
	plane := count(p.in)
	strides := stridesOf(p.in)
	named := strides // of the index that is reported
	if byColumn {
		named = make([]int, len(strides))
		n := 1
		for i, d := range p.in {
			named[i] = n
			n *= d
		}
	}
	x, y, at := of[T](in), of[T](out), of[int64](idx)
	// One function for all windows: one for each would be as much memory again as the output.
	i, base, taps, found := 0, 0, 0, false
	take := func(off int, where []int) {
		if v := x[base+off]; !found || v > y[i] || v != v {
			found, y[i], at[i] = true, v, int64(base+dot(where, named))
		}
		taps++
	}
	for c := range in.shape[0] * in.shape[1] {
		base = c * plane
		err := walk(r, p.out, func(_ int, pos []int) error {
			found, taps = false, 0
			p.positions(pos, strides, take)
			if !found {
				return unsupported("a pool over nothing but padding")
			}
			i++
			return r.alive(8 * taps)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func opAveragePool(b *builder) (kernel, error) {
	b.want("kernel_shape")
	w := b.window(b.version >= 19)
	includePad := b.version >= 7 && b.bool("count_include_pad", false)
	if b.version >= 10 {
		w.ceil = b.bool("ceil_mode", false)
	}
	return func(r *run, in []*value) ([]*value, error) {
		p, shape, err := w.poolShape(in[0])
		if err != nil {
			return nil, err
		}
		out, err := r.make(in[0].dt, shape)
		if err != nil {
			return nil, err
		}
		if in[0].dt == tensor.Float64 {
			return one(out, averagePool[float64](r, out, in[0], p, includePad))
		}
		return one(out, averagePool[float32](r, out, in[0], p, includePad))
	}, nil
}

func averagePool[T float](r *run, out, in *value, p *placed, includePad bool) error {
	plane := count(p.in)
	strides := stridesOf(p.in)
	x, y := of[T](in), of[T](out)
	i, base, s, taps := 0, 0, 0.0, 0
	add := func(off int, _ []int) {
		s += float64(x[base+off])
		taps++
	}
	for c := range in.shape[0] * in.shape[1] {
		base = c * plane
		err := walk(r, p.out, func(_ int, pos []int) error {
			s, taps = 0, 0
			p.positions(pos, strides, add)
			n := taps
			if includePad {
				n = 1
				for d, at := range pos {
					start := at * p.stride[d] // within the padded input
					if start+p.dilation[d]*(p.kernel[d]-1) >= p.in[d]+p.before[d]+p.after[d] {
						n = -1 // what is beyond the padding counts in some versions of the standard
						break
					}
					n *= p.kernel[d]
				}
			}
			if n <= 0 {
				return unsupported("a window that lies in the padding or beyond, where versions of the standard differ")
			}
			y[i] = T(s / float64(n))
			i++
			return r.alive(8 * taps)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// opGlobalPool takes the mean or the largest of each plane.
func opGlobalPool(name string) func(*builder) (kernel, error) {
	return func(*builder) (kernel, error) {
		return func(r *run, in []*value) ([]*value, error) {
			rank := len(in[0].shape)
			if rank < 3 {
				return nil, invalid("a pool over shape %d", in[0].shape)
			}
			if name == "ReduceMax" {
				if err := pooled(in[0], "GlobalMaxPool"); err != nil {
					return nil, err
				}
			}
			set := make([]bool, rank)
			for i := 2; i < rank; i++ {
				set[i] = true
			}
			return one(reduce(r, name, in[0], set, true))
		}, nil
	}
}
