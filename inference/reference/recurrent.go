package reference

import (
	"math"
	"slices"
	"strings"

	"sluice/inference/tensor"
)

// recurrence holds the attributes that RNN, GRU and LSTM share.
type recurrence struct {
	gates      int
	directions int
	reverse    []bool // by direction
	act        []func(float64) float64
	hidden     int64
	batchFirst bool
	clip       float64 // 0: none
	linear     bool    // GRU's linear_before_reset
}

func (b *builder) recurrence(gates, functions int, defaults ...string) *recurrence {
	c := &recurrence{gates: gates, directions: 1, reverse: []bool{false}}
	switch b.choice("direction", "forward", "forward", "reverse", "bidirectional") {
	case "reverse":
		c.reverse = []bool{true}
	case "bidirectional":
		c.directions, c.reverse = 2, []bool{false, true}
	}
	c.hidden = b.int("hidden_size", 0)
	if b.version >= 14 {
		c.batchFirst = b.int("layout", 0) != 0
	}
	if b.has("clip") {
		c.clip = float64(b.float("clip", 0))
		if !(c.clip > 0) {
			b.fail(invalid("a clip of %g, wanted a positive number", c.clip))
		}
	}
	names := b.texts("activations")
	if len(names) == 0 {
		for range c.directions {
			names = append(names, defaults...)
		}
	}
	if len(names) != functions*c.directions {
		b.fail(invalid("%d activations, wanted %d", len(names), functions*c.directions))
		return c
	}
	c.act = b.activations(names, b.floats("activation_alpha"), b.floats("activation_beta"))
	return c
}

// activations makes the named functions. alpha and beta hold a number for each function that takes one, in order.
func (b *builder) activations(names []string, alpha, beta []float32) []func(float64) float64 {
	takesAlpha := map[string]float64{"leakyrelu": 0.01, "thresholdedrelu": 1, "hardsigmoid": 0.2, "elu": 1, "affine": math.NaN(), "scaledtanh": math.NaN()}
	takesBeta := map[string]float64{"hardsigmoid": 0.5, "affine": math.NaN(), "scaledtanh": math.NaN()}
	next := func(list *[]float32, takes map[string]float64, name string) float64 {
		v, ok := takes[name]
		if ok && len(*list) > 0 {
			v = float64((*list)[0])
			*list = (*list)[1:]
		}
		if v != v {
			b.fail(unsupported("activation %q without its parameters", name))
		}
		return v
	}
	var out []func(float64) float64
	for _, n := range names {
		name := strings.ToLower(n)
		a, c := next(&alpha, takesAlpha, name), next(&beta, takesBeta, name)
		var f func(float64) float64
		switch name {
		case "sigmoid":
			f = sigmoid
		case "tanh":
			f = math.Tanh
		case "relu":
			f = func(x float64) float64 { return math.Max(0, x) }
		case "affine":
			f = func(x float64) float64 { return a*x + c }
		case "leakyrelu":
			f = func(x float64) float64 {
				if x < 0 {
					return a * x
				}
				return x
			}
		case "thresholdedrelu":
			f = func(x float64) float64 {
				if x > a {
					return x
				}
				return 0
			}
		case "scaledtanh":
			f = func(x float64) float64 { return a * math.Tanh(c*x) }
		case "hardsigmoid":
			f = func(x float64) float64 { return math.Max(0, math.Min(1, a*x+c)) }
		case "elu":
			f = func(x float64) float64 {
				if x < 0 {
					return a * math.Expm1(x)
				}
				return x
			}
		case "softsign":
			f = func(x float64) float64 { return x / (1 + math.Abs(x)) }
		case "softplus":
			f = softplus
		default:
			b.fail(unsupported("activation %q", n))
		}
		out = append(out, f)
	}
	if len(alpha) > 0 || len(beta) > 0 {
		b.fail(unsupported("parameters that no activation takes"))
	}
	return out
}

// cells is one evaluation of a recurrent operator.
type cells struct {
	*recurrence
	steps, batch, in, hidden int
	lens                     []int // steps of each sequence
	x                        *value
	w, rec, bias, h, c, peep *value
}

// shapes checks all inputs. Those that may be left out stay nil.
func (c *cells) shapes(r *run, lens *value) error {
	if len(c.x.shape) != 3 || len(c.rec.shape) != 3 {
		return invalid("input of shape %d and recurrence of shape %d, wanted three dimensions", c.x.shape, c.rec.shape)
	}
	c.steps, c.batch, c.in = c.x.shape[0], c.x.shape[1], c.x.shape[2]
	if c.batchFirst {
		c.steps, c.batch = c.batch, c.steps
	}
	c.hidden = c.rec.shape[2]
	d, h := c.directions, c.hidden
	if c.recurrence.hidden != 0 && int64(h) != c.recurrence.hidden {
		return invalid("hidden_size %d and recurrence of shape %d", c.recurrence.hidden, c.rec.shape)
	}
	state := []int{d, c.batch, h}
	if c.batchFirst {
		state = []int{c.batch, d, h}
	}
	for _, s := range []struct {
		v    *value
		want []int
		what string
	}{
		{c.w, []int{d, c.gates * h, c.in}, "weights"},
		{c.rec, []int{d, c.gates * h, h}, "recurrence"},
		{c.bias, []int{d, 2 * c.gates * h}, "bias"},
		{c.h, state, "initial state"},
		{c.c, state, "initial cell"},
		{c.peep, []int{d, 3 * h}, "peepholes"},
	} {
		if s.v != nil && !slices.Equal(s.v.shape, s.want) {
			return invalid("%s of shape %d, wanted %d", s.what, s.v.shape, s.want)
		}
	}
	if err := r.charge(8 * int64(c.batch)); err != nil { // not worth giving back
		return err
	}
	c.lens = make([]int, c.batch)
	for i := range c.lens {
		c.lens[i] = c.steps
	}
	if lens != nil {
		l := of[int32](lens)
		if len(l) != c.batch {
			return invalid("%d sequence lengths for a batch of %d", len(l), c.batch)
		}
		for i, n := range l {
			if n < 0 || int(n) > c.steps {
				return invalid("a sequence of %d steps in a tensor of %d", n, c.steps)
			}
			c.lens[i] = int(n)
		}
	}
	return nil
}

// stepFunc computes one step of one sequence: from the gates' sums of input x·Wᵀ + both biases, and the state h (and
// cell), to the new state in place.
type stepFunc[T float] func(dir int, gates, h, cell, scratch []T)

// unroll runs all directions, sequences and steps. It gives Y, the last states and the last cells.
func unroll[T float](r *run, c *cells, separate bool, step stepFunc[T]) (y, last, cell *value, err error) {
	d, h, g := c.directions, c.hidden, c.gates*c.hidden
	shapeY, shapeH := []int{c.steps, d, c.batch, h}, []int{d, c.batch, h}
	if c.batchFirst {
		shapeY, shapeH = []int{c.batch, c.steps, d, h}, []int{c.batch, d, h}
	}
	if y, err = r.make(c.x.dt, shapeY); err != nil {
		return nil, nil, nil, err
	}
	if last, err = r.make(c.x.dt, shapeH); err != nil {
		return nil, nil, nil, err
	}
	if cell, err = r.make(c.x.dt, shapeH); err != nil {
		return nil, nil, nil, err
	}
	done, err := r.scratch(2*g+4*h, 8)
	if err != nil {
		return nil, nil, nil, err
	}
	defer done()
	gates, scratch, bias := make([]T, g), make([]T, 4*h), make([]T, g)
	x, out := of[T](c.x), of[T](y)
	for dir := range d {
		w := of[T](c.w)[dir*g*c.in : (dir+1)*g*c.in]
		clear(bias)
		if c.bias != nil {
			b := of[T](c.bias)[dir*2*g : (dir+1)*2*g]
			for i := range bias {
				bias[i] = b[i] + b[g+i]
				if separate && i >= 2*h { // GRU adds the second bias of its last gate itself
					bias[i] = b[i]
				}
			}
		}
		for s := range c.batch {
			at := (dir*c.batch + s) * h
			if c.batchFirst {
				at = (s*d + dir) * h
			}
			hs, cs := of[T](last)[at:at+h], of[T](cell)[at:at+h]
			if c.h != nil {
				copy(hs, of[T](c.h)[at:])
			}
			if c.c != nil {
				copy(cs, of[T](c.c)[at:])
			}
			for i := range c.lens[s] {
				t := i
				if c.reverse[dir] {
					t = c.lens[s] - 1 - i
				}
				from, to := (t*c.batch+s)*c.in, ((t*d+dir)*c.batch+s)*h
				if c.batchFirst {
					from, to = (s*c.steps+t)*c.in, ((s*c.steps+t)*d+dir)*h
				}
				copy(gates, bias)
				rows(gates, w, x[from:from+c.in])
				step(dir, gates, hs, cs, scratch)
				copy(out[to:to+h], hs)
				if err := r.alive(g*(c.in+h) + 16*g); err != nil {
					return nil, nil, nil, err
				}
			}
		}
	}
	return y, last, cell, nil
}

// rows adds to each out[i] the product of row i of w with x.
func rows[T float](out, w, x []T) {
	k := len(x)
	i := 0
	for ; i+4 <= len(out); i += 4 {
		w0 := w[i*k : i*k+k][:len(x)]
		w1 := w[(i+1)*k : (i+1)*k+k][:len(x)]
		w2 := w[(i+2)*k : (i+2)*k+k][:len(x)]
		w3 := w[(i+3)*k : (i+3)*k+k][:len(x)]
		var s0, s1, s2, s3 T
		for j, e := range x {
			s0 += w0[j] * e
			s1 += w1[j] * e
			s2 += w2[j] * e
			s3 += w3[j] * e
		}
		out[i] += s0
		out[i+1] += s1
		out[i+2] += s2
		out[i+3] += s3
	}
	for ; i < len(out); i++ {
		var s T
		for j, e := range w[i*k : i*k+k] {
			s += e * x[j]
		}
		out[i] += s
	}
}

// clipped applies an activation to a sum that is clipped first where the model asks for it.
func clipped[T float](c *recurrence, f func(float64) float64, x T) T {
	v := float64(x)
	if c.clip > 0 {
		v = math.Max(-c.clip, math.Min(c.clip, v))
	}
	return T(f(v))
}

func opRNN(b *builder) (kernel, error) {
	rc := b.recurrence(1, 1, "Tanh")
	return func(r *run, in []*value) ([]*value, error) {
		c := &cells{recurrence: rc, x: in[0], w: in[1], rec: in[2], bias: in[3], h: in[5]}
		if err := c.shapes(r, in[4]); err != nil {
			return nil, err
		}
		if in[0].dt == tensor.Float64 {
			return rnn[float64](r, c)
		}
		return rnn[float32](r, c)
	}, nil
}

func rnn[T float](r *run, c *cells) ([]*value, error) {
	n := c.hidden
	rec := of[T](c.rec)
	y, h, cell, err := unroll(r, c, false, func(dir int, g, h, _, _ []T) {
		rows(g, rec[dir*n*n:(dir+1)*n*n], h)
		for j := range h {
			h[j] = clipped(c.recurrence, c.act[dir], g[j])
		}
	})
	if err != nil {
		return nil, err
	}
	r.drop(cell)
	return []*value{y, h}, nil
}

func opGRU(b *builder) (kernel, error) {
	rc := b.recurrence(3, 2, "Sigmoid", "Tanh")
	rc.linear = b.bool("linear_before_reset", false)
	return func(r *run, in []*value) ([]*value, error) {
		c := &cells{recurrence: rc, x: in[0], w: in[1], rec: in[2], bias: in[3], h: in[5]}
		if err := c.shapes(r, in[4]); err != nil {
			return nil, err
		}
		if in[0].dt == tensor.Float64 {
			return gru[float64](r, c)
		}
		return gru[float32](r, c)
	}, nil
}

func gru[T float](r *run, c *cells) ([]*value, error) {
	n := c.hidden
	all := of[T](c.rec)
	y, h, cell, err := unroll(r, c, true, func(dir int, g, h, _, tmp []T) {
		rec := all[dir*3*n*n : (dir+1)*3*n*n]
		f, act := c.act[2*dir], c.act[2*dir+1]
		z, reset, cand := g[:n], g[n:2*n], g[2*n:]
		rows(g[:2*n], rec[:2*n*n], h)
		for j := range h {
			z[j], reset[j] = clipped(c.recurrence, f, z[j]), clipped(c.recurrence, f, reset[j])
		}
		part, gated := tmp[:n], tmp[n:2*n]
		clear(part)
		if c.bias != nil {
			copy(part, of[T](c.bias)[dir*6*n+5*n:dir*6*n+6*n])
		}
		if c.linear {
			rows(part, rec[2*n*n:], h)
			for j := range part {
				part[j] *= reset[j]
			}
		} else {
			for j := range gated {
				gated[j] = reset[j] * h[j]
			}
			rows(part, rec[2*n*n:], gated)
		}
		for j := range h {
			h[j] = (1-z[j])*clipped(c.recurrence, act, cand[j]+part[j]) + z[j]*h[j]
		}
	})
	if err != nil {
		return nil, err
	}
	r.drop(cell)
	return []*value{y, h}, nil
}

func opLSTM(b *builder) (kernel, error) {
	rc := b.recurrence(4, 3, "Sigmoid", "Tanh", "Tanh")
	if rc.clip > 0 {
		return nil, unsupported("LSTM with clip, which engines read differently")
	}
	if b.bool("input_forget", false) {
		return nil, unsupported("LSTM with input_forget")
	}
	return func(r *run, in []*value) ([]*value, error) {
		c := &cells{recurrence: rc, x: in[0], w: in[1], rec: in[2], bias: in[3], h: in[5], c: in[6], peep: in[7]}
		if err := c.shapes(r, in[4]); err != nil {
			return nil, err
		}
		if in[0].dt == tensor.Float64 {
			return lstm[float64](r, c)
		}
		return lstm[float32](r, c)
	}, nil
}

func lstm[T float](r *run, c *cells) ([]*value, error) {
	n := c.hidden
	all := of[T](c.rec)
	y, h, cell, err := unroll(r, c, false, func(dir int, g, h, cell, _ []T) {
		rows(g, all[dir*4*n*n:(dir+1)*4*n*n], h)
		f, act, out := c.act[3*dir], c.act[3*dir+1], c.act[3*dir+2]
		i, o, forget, cand := g[:n], g[n:2*n], g[2*n:3*n], g[3*n:]
		var pi, po, pf []T
		if c.peep != nil {
			p := of[T](c.peep)[dir*3*n : (dir+1)*3*n]
			pi, po, pf = p[:n], p[n:2*n], p[2*n:]
		}
		for j := range h {
			in, keep := i[j], forget[j]
			if pi != nil {
				in += pi[j] * cell[j]
				keep += pf[j] * cell[j]
			}
			cell[j] = T(f(float64(keep)))*cell[j] + T(f(float64(in)))*T(act(float64(cand[j])))
			gate := o[j]
			if po != nil {
				gate += po[j] * cell[j]
			}
			h[j] = T(f(float64(gate))) * T(out(float64(cell[j])))
		}
	})
	if err != nil {
		return nil, err
	}
	return []*value{y, h, cell}, nil
}
