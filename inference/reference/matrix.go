package reference

import (
	"slices"

	"sluice/inference/tensor"
)

// multiply adds the product of a (m×k) and b (k×n) to c (m×n), all row-major. It takes four rows of b at a time, so that
// each element of c is loaded and stored a quarter as often.
func multiply[T number](r *run, c, a, b []T, m, k, n int) error {
	if n == 1 { // a matrix times a vector
		for i := range m {
			row := a[i*k : i*k+k]
			var s0, s1 T
			j := 0
			for ; j+2 <= k; j += 2 {
				s0 += row[j] * b[j]
				s1 += row[j+1] * b[j+1]
			}
			if j < k {
				s0 += row[j] * b[j]
			}
			c[i] += s0 + s1
			if err := r.alive(k); err != nil {
				return err
			}
		}
		return nil
	}
	const block = 512 // columns: a stripe of b that stays in the cache
	for lo := 0; lo < n; lo += block {
		hi := min(lo+block, n)
		for i := range m {
			row := a[i*k : i*k+k]
			out := c[i*n+lo : i*n+hi]
			p := 0
			for ; p+4 <= k; p += 4 {
				x0, x1, x2, x3 := row[p], row[p+1], row[p+2], row[p+3]
				b0 := b[p*n+lo : p*n+hi][:len(out)]
				b1 := b[(p+1)*n+lo : (p+1)*n+hi][:len(out)]
				b2 := b[(p+2)*n+lo : (p+2)*n+hi][:len(out)]
				b3 := b[(p+3)*n+lo : (p+3)*n+hi][:len(out)]
				for j := range out {
					out[j] += x0*b0[j] + x1*b1[j] + x2*b2[j] + x3*b3[j]
				}
			}
			for ; p < k; p++ {
				x := row[p]
				b0 := b[p*n+lo : p*n+hi][:len(out)]
				for j := range out {
					out[j] += x * b0[j]
				}
			}
			if err := r.alive(k*(hi-lo)/2 + 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// product is the geometry of a MatMul of shapes a and b.
type product struct {
	m, k, n int
	shape   []int
	a, b    []int // offsets of the matrices, in the order of the result
}

func products(a, b []int) (*product, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, invalid("a product of shapes %d and %d, wanted no scalar", a, b)
	}
	fa, fb := a, b
	if len(a) == 1 {
		fa = []int{1, a[0]}
	}
	if len(b) == 1 {
		fb = []int{b[0], 1}
	}
	p := &product{m: fa[len(fa)-2], k: fa[len(fa)-1], n: fb[len(fb)-1]}
	ba, bb := fa[:len(fa)-2], fb[:len(fb)-2]
	batch, err := broadcast(ba, bb)
	if err != nil || fb[len(fb)-2] != p.k {
		return nil, invalid("a product of shapes %d and %d", a, b)
	}
	p.shape = slices.Clone(batch)
	if len(a) > 1 {
		p.shape = append(p.shape, p.m)
	}
	if len(b) > 1 {
		p.shape = append(p.shape, p.n)
	}
	if slices.Contains(p.shape, 0) {
		return p, nil // nothing to multiply
	}
	if p.k == 0 {
		return nil, unsupported("sums of nothing in a product of shapes %d and %d, which engines leave unwritten", a, b)
	}
	sa, sb := stretch(ba, batch), stretch(bb, batch)
	for i := range sa {
		sa[i] *= p.m * p.k
		sb[i] *= p.k * p.n
	}
	p.a, p.b = offsets(batch, sa), offsets(batch, sb)
	return p, nil
}

func matMul[T number](r *run, v *value, p *product, a, b []T) (*value, error) {
	out := of[T](v)
	for i := range p.a {
		if err := multiply(r, out[i*p.m*p.n:], a[p.a[i]:], b[p.b[i]:], p.m, p.k, p.n); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func opMatMul(*builder) (kernel, error) {
	return func(r *run, in []*value) ([]*value, error) {
		p, err := products(in[0].shape, in[1].shape)
		if err != nil {
			return nil, err
		}
		v, err := r.make(in[0].dt, p.shape)
		if err != nil {
			return nil, err
		}
		switch in[0].dt {
		case tensor.Float32:
			return one(matMul(r, v, p, of[float32](in[0]), of[float32](in[1])))
		case tensor.Float64:
			return one(matMul(r, v, p, of[float64](in[0]), of[float64](in[1])))
		case tensor.Int32:
			return one(matMul(r, v, p, of[int32](in[0]), of[int32](in[1])))
		case tensor.Uint32:
			return one(matMul(r, v, p, of[uint32](in[0]), of[uint32](in[1])))
		case tensor.Int64:
			return one(matMul(r, v, p, of[int64](in[0]), of[int64](in[1])))
		default:
			return one(matMul(r, v, p, of[uint64](in[0]), of[uint64](in[1])))
		}
	}, nil
}

func opGemm(b *builder) (kernel, error) {
	alpha, beta := b.float("alpha", 1), b.float("beta", 1)
	transA, transB := b.bool("transA", false), b.bool("transB", false)
	return func(r *run, in []*value) ([]*value, error) {
		var err error
		m := [2]*value{in[0], in[1]}
		for i, t := range []bool{transA, transB} {
			if len(in[i].shape) != 2 {
				return nil, invalid("input %d of shape %d, wanted a matrix", i, in[i].shape)
			}
			if !t {
				continue
			}
			if m[i], err = transposed(r, in[i], []int{1, 0}); err != nil {
				return nil, err
			}
			defer r.drop(m[i])
		}
		p, err := products(m[0].shape, m[1].shape)
		if err != nil {
			return nil, err
		}
		v, err := r.make(in[0].dt, p.shape)
		if err != nil {
			return nil, err
		}
		var c *value
		if len(in) > 2 && in[2] != nil {
			shape, err := broadcast(in[2].shape, p.shape)
			if err != nil || !slices.Equal(shape, p.shape) {
				return nil, invalid("an addend of shape %d for a product of shape %d", in[2].shape, p.shape)
			}
			if c, err = stretched(r, in[2], p.shape); err != nil {
				return nil, err
			}
			defer r.drop(c)
		}
		if in[0].dt == tensor.Float64 {
			return gemm(r, v, p, m, c, float64(alpha), float64(beta))
		}
		return gemm(r, v, p, m, c, alpha, beta)
	}, nil
}

func gemm[T float](r *run, v *value, p *product, m [2]*value, c *value, alpha, beta T) ([]*value, error) {
	if _, err := matMul(r, v, p, of[T](m[0]), of[T](m[1])); err != nil {
		return nil, err
	}
	out := of[T](v)
	if alpha != 1 {
		for i := range out {
			out[i] *= alpha
		}
	}
	if c != nil && beta != 0 {
		for i, x := range of[T](c) {
			out[i] += beta * x
		}
	}
	return []*value{v}, nil
}
