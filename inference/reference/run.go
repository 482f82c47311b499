package reference

import (
	"context"

	"sluice/inference/tensor"
	"sluice/internal/fault"
)

const maxRank = 32

func invalid(format string, args ...any) error { return fault.New(fault.ModelInvalid, format, args...) }

func tooLarge(format string, args ...any) error { return fault.New(fault.ModelLimit, format, args...) }

// unsupported is the refusal of what may be a good model but is outside the operator table.
func unsupported(format string, args ...any) error {
	return fault.New(fault.EngineNeeded, "needs the full runtime: "+format, args...)
}

// run is one evaluation.
type run struct {
	ctx  context.Context
	env  []*value // by slot
	used int64
	peak int64 // most of used
	most int64
	work int
}

// alive counts n units of work and looks now and then whether the caller has given up.
func (r *run) alive(n int) error {
	r.work += n
	if r.work < 1<<18 {
		return nil
	}
	r.work = 0
	return r.ctx.Err()
}

// charge counts memory that is about to be allocated.
func (r *run) charge(n int64) error {
	if n < 0 || n > r.most-r.used {
		return tooLarge("needs more than %d bytes of memory", r.most)
	}
	r.used += n
	r.peak = max(r.peak, r.used)
	return nil
}

// scratch charges working memory for the time of one operator; call the result when done.
func (r *run) scratch(n, width int) (func(), error) {
	if n < 0 || int64(n) > r.most {
		return nil, tooLarge("needs more than %d bytes of memory", r.most)
	}
	size := int64(n) * int64(width)
	if err := r.charge(size); err != nil {
		return nil, err
	}
	return func() { r.used -= size }, nil
}

// make charges and makes a tensor of zeros.
func (r *run) make(d tensor.DType, shape []int) (*value, error) {
	w := width(d)
	if w == 0 {
		return nil, unsupported("tensors of element type %s", d)
	}
	n, err := elements(toInt64s(shape), r.most/w)
	if err != nil {
		return nil, err
	}
	if err := r.charge(int64(n) * w); err != nil {
		return nil, err
	}
	dt := makeData(d, n)
	if dt == nil {
		return nil, unsupported("tensors of element type %s", d)
	}
	return &value{dt: d, shape: append([]int(nil), shape...), data: dt, buf: &buffer{size: int64(n) * w, refs: 1}}, nil
}

// view is v under another shape of as many elements.
func (r *run) view(v *value, shape []int) *value {
	if v.buf != nil {
		v.buf.refs++
	}
	return &value{dt: v.dt, shape: shape, data: v.data, maps: v.maps, buf: v.buf}
}

// drop forgets a value and gives its memory back once nobody shares it.
func (r *run) drop(v *value) {
	if v == nil || v.buf == nil {
		return
	}
	if v.buf.refs--; v.buf.refs == 0 {
		r.used -= v.buf.size
	}
}

func (r *run) graph(g *graph) error {
	for _, n := range g.nodes {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.node(n); err != nil {
			return &nodeError{n.label, err}
		}
		for _, s := range n.free {
			r.drop(r.env[s])
			r.env[s] = nil
		}
	}
	return nil
}

// nodeError says at which node a run ended. The code of the cause shines through.
type nodeError struct {
	label string
	err   error
}

func (e *nodeError) Error() string { return e.label + ": " + e.err.Error() }
func (e *nodeError) Unwrap() error { return e.err }

func (r *run) node(n *node) error {
	in := make([]*value, n.width)
	for i, s := range n.in {
		if s < 0 {
			continue
		}
		if in[i] = r.env[s]; in[i] == nil {
			return invalid("input %d has no value", i)
		}
	}
	if _, err := n.op.sig.check(n.op.Name, in); err != nil {
		return err
	}
	out, err := n.run(r, in)
	if err != nil {
		return err
	}
	for i, s := range n.out {
		if s < 0 {
			if i < len(out) {
				r.drop(out[i])
			}
			continue
		}
		if i >= len(out) || out[i] == nil {
			return unsupported("output %d of %s", i, n.op.Name)
		}
		r.env[s] = out[i]
	}
	for i := len(n.out); i < len(out); i++ {
		r.drop(out[i])
	}
	return nil
}
