// Package reference computes ONNX models in pure Go, so that a model can be tried where no engine is installed. It holds
// a table of the operators it claims, each for a range of versions and element types, and computes those as the ONNX
// standard says. Whatever lies outside the table is refused with fault.EngineNeeded; it never guesses. It is written
// to be right and safe with hostile models before it is fast, and it runs on one thread.
package reference

import (
	"context"
	"runtime/debug"
	"sync/atomic"

	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// Version names this evaluator in reports; it changes whenever an operator is added or computes differently.
const Version = "1"

// DefaultMaxMemory is the limit for Options.MaxMemory of 0.
const DefaultMaxMemory = 512 << 20

// Options are limits and surroundings of a model. The zero value refuses external data.
type Options struct {
	// External gives the content of a file in which a model keeps elements of large tensors, by the location written in
	// the model. It must decide itself which names it serves; names that are not plain relative paths never reach it.
	// nil refuses such models.
	External func(location string) ([]byte, error)
	// MaxMemory is the limit in bytes for all tensors alive at one time, constants included; 0 means DefaultMaxMemory.
	MaxMemory int64
}

// Model is a model that passed all checks. Runs change nothing but the count of Peak and may go on side by side.
type Model struct {
	main   *graph
	slots  int
	consts []constant
	inputs []input
	out    []onnx.ValueInfo
	most   int64
	used   int64 // by constants
	peak   atomic.Int64
	nodes  int
}

type constant struct {
	slot int
	v    *value
}

type input struct {
	info     tensor.Info
	slot     int
	optional bool // an initializer gives it a value
}

// Load reads and checks a model. Errors: fault.ModelInvalid for a broken one, fault.EngineNeeded for one outside the
// operator table, fault.ModelLimit for one too large. raw must not be changed while the model is in use.
func Load(raw []byte, o Options) (m *Model, err error) {
	defer guard(&err, func() { m = nil })
	p, err := onnx.Parse(raw)
	if err != nil {
		return nil, err
	}
	return compile(p, o)
}

// guard turns a panic, which would be our own fault, into a refusal: a hostile model must not end the process.
func guard(err *error, clear func()) {
	if p := recover(); p != nil {
		*err = fault.New(fault.ModelInvalid, "the evaluator gave up on this model: %v", p).With("stack", string(debug.Stack())).With("panic", true)
		clear()
	}
}

// Signature describes the inputs that a run needs and the outputs it gives, in the model's order.
func (m *Model) Signature() (in, out []tensor.Info, err error) {
	for _, i := range m.inputs {
		if !i.optional {
			in = append(in, i.info)
		}
	}
	for _, v := range m.out {
		out = append(out, v.Info())
	}
	return in, out, nil
}

// Close gives nothing back; it is there so that a Model serves as a session.
func (m *Model) Close() error { return nil }

// Peak is the most that tensors alive at one time have taken in any run so far, constants included, in bytes: what
// Options.MaxMemory limits.
func (m *Model) Peak() int64 { return max(m.peak.Load(), m.used) }

// Placement says that all nodes, those of branches included, run on the CPU.
func (m *Model) Placement() map[string]int { return map[string]int{"cpu": m.nodes} }

// Run computes all outputs. Errors: fault.Contract for inputs that do not fit the model, fault.ModelInvalid when shapes
// or indices within the model do not agree, fault.EngineNeeded, fault.ModelLimit, and ctx's error soon after ctx ends.
func (m *Model) Run(ctx context.Context, in map[string]tensor.Value) (out map[string]tensor.Value, err error) {
	defer guard(&err, func() { out = nil })
	r := &run{ctx: ctx, env: make([]*value, m.slots), most: m.most, used: m.used}
	defer func() {
		for p := m.peak.Load(); r.peak > p && !m.peak.CompareAndSwap(p, r.peak); p = m.peak.Load() {
		}
	}()
	for _, c := range m.consts {
		r.env[c.slot] = c.v
	}
	if err := m.feed(r, in); err != nil {
		return nil, err
	}
	if err := r.graph(m.main); err != nil {
		return nil, err
	}
	out = make(map[string]tensor.Value, len(m.out))
	for i, s := range m.main.outs {
		v := r.env[s]
		info := m.out[i]
		switch {
		case v == nil:
			return nil, invalid("output %q has no value", info.Name)
		case v.maps != nil:
			if info.Type.Kind != onnx.KindSequence {
				return nil, invalid("output %q is declared a %s and is a sequence of maps", info.Name, info.Type.Kind)
			}
			out[info.Name] = tensor.Value{Maps: v.maps}
		case info.Type.Kind != onnx.KindTensor:
			return nil, invalid("output %q is declared a %s and is a tensor", info.Name, info.Type.Kind)
		case info.Type.Elem != v.dt:
			return nil, invalid("output %q is declared %s and is %s", info.Name, info.Type.Elem, v.dt)
		default:
			if err := r.charge(int64(v.data.len()) * width(v.dt)); err != nil {
				return nil, err
			}
			out[info.Name] = tensor.Value{Tensor: v.toTensor()}
		}
	}
	return out, nil
}

func (m *Model) feed(r *run, in map[string]tensor.Value) error {
	known := 0
	for _, i := range m.inputs {
		v, ok := in[i.info.Name]
		if !ok {
			if i.optional {
				continue
			}
			return fault.New(fault.Contract, "input %q is missing", i.info.Name).With("input", i.info.Name)
		}
		known++
		t := v.Tensor
		if t == nil || v.Maps != nil {
			return fault.New(fault.Contract, "input %q is no tensor", i.info.Name).With("input", i.info.Name)
		}
		if err := fits(i.info, t); err != nil {
			return err
		}
		if err := r.charge(max(int64(len(t.Raw)), 16*int64(len(t.Strings)))); err != nil {
			return err
		}
		val, err := fromTensor(t, r.most)
		if err != nil {
			return fault.New(fault.Contract, "input %q: %w", i.info.Name, err).With("input", i.info.Name)
		}
		r.env[i.slot] = val
	}
	if known != len(in) {
		for name := range in {
			if !m.has(name) {
				return fault.New(fault.Contract, "the model has no input %q", name).With("input", name)
			}
		}
	}
	return nil
}

func (m *Model) has(name string) bool {
	for _, i := range m.inputs {
		if i.info.Name == name {
			return true
		}
	}
	return false
}

// fits compares a tensor with the declaration of an input.
func fits(want tensor.Info, t *tensor.Tensor) error {
	if t.DType != want.DType {
		return fault.New(fault.Contract, "input %q has type %s, wanted %s", want.Name, t.DType, want.DType).With("input", want.Name)
	}
	ok := want.Shape == nil || len(t.Shape) == len(want.Shape)
	for i := 0; ok && i < len(want.Shape); i++ {
		ok = t.Shape[i] >= 0 && (want.Shape[i] < 0 || want.Shape[i] == t.Shape[i])
	}
	if !ok {
		return fault.New(fault.Contract, "input %q has shape %d, wanted %d", want.Name, t.Shape, want.Shape).With("input", want.Name)
	}
	return nil
}
