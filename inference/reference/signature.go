package reference

import (
	"strings"

	"sluice/inference/tensor"
)

// signature says which element types an operator takes and gives. It is written like "T,I?,T*->T,bool?": a letter
// stands for one of a set of types, the same wherever it stands; ? may be left out; * may come any number of times.
type signature struct {
	in, out []param
	letters []letter
}

type param struct {
	letter   int
	optional bool
	variadic bool
}

type letter struct {
	name  string
	types []tensor.DType
}

const maxLetters = 6

// binding is the type of each letter, Undefined where not known.
type binding [maxLetters]tensor.DType

// parseSignature reads a signature and its sets, such as "T=float32 float64;I=int64". A letter that is itself the name
// of a type needs no set.
func parseSignature(sig, sets string) *signature {
	s := &signature{}
	for set := range strings.SplitSeq(sets, ";") {
		name, types, ok := strings.Cut(set, "=")
		if !ok {
			continue
		}
		s.letters = append(s.letters, letter{strings.TrimSpace(name), parseTypes(types)})
	}
	in, out, _ := strings.Cut(sig, "->")
	s.in, s.out = s.params(in), s.params(out)
	if len(s.letters) > maxLetters {
		panic("too many letters in " + sig)
	}
	return s
}

func parseTypes(list string) []tensor.DType {
	var out []tensor.DType
	for name := range strings.FieldsSeq(list) {
		t, ok := tensor.ParseDType(name)
		if !ok {
			panic("unknown type " + name)
		}
		out = append(out, t)
	}
	return out
}

func (s *signature) params(list string) []param {
	var out []param
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			continue
		}
		p := param{optional: strings.HasSuffix(name, "?"), variadic: strings.HasSuffix(name, "*")}
		name = strings.TrimRight(name, "?*")
		p.letter = s.letter(name)
		if p.letter < 0 {
			s.letters = append(s.letters, letter{name, parseTypes(name)})
			p.letter = len(s.letters) - 1
		}
		out = append(out, p)
	}
	return out
}

func (s *signature) letter(name string) int {
	for i, l := range s.letters {
		if l.name == name {
			return i
		}
	}
	return -1
}

// width is how many inputs a kernel sees for a node written with n.
func (s *signature) width(n int) int {
	if k := len(s.in); k > 0 && s.in[k-1].variadic {
		return max(n, k)
	}
	return len(s.in)
}

func (s *signature) param(i int) param { return s.in[min(i, len(s.in)-1)] }

// bind compares the types of a node's inputs, as far as known, with the signature.
func (s *signature) bind(op string, types []tensor.DType, given []bool) (binding, error) {
	var b binding
	for i, t := range types {
		p := s.param(i)
		if !given[i] {
			if !p.optional {
				return b, invalid("input %d of %s is missing", i, op)
			}
			continue
		}
		if t == tensor.Undefined {
			continue
		}
		if err := s.take(op, &b, i, p, t); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (s *signature) take(op string, b *binding, i int, p param, t tensor.DType) error {
	l := &s.letters[p.letter]
	ok := false
	for _, want := range l.types {
		if want == t {
			ok = true
			break
		}
	}
	switch {
	case !ok && b[p.letter] == tensor.Undefined:
		return unsupported("%s for input %d of %s", t, i, op)
	case b[p.letter] != tensor.Undefined && b[p.letter] != t:
		return invalid("input %d of %s is %s, wanted %s as the inputs before", i, op, t, b[p.letter])
	}
	b[p.letter] = t
	return nil
}

// check does the same for the values of a run.
func (s *signature) check(op string, in []*value) (binding, error) {
	var b binding
	for i, v := range in {
		p := s.param(i)
		switch {
		case v == nil && !p.optional:
			return b, invalid("input %d of %s is missing", i, op)
		case v == nil:
		case v.data == nil:
			return b, unsupported("a sequence for input %d of %s", i, op)
		default:
			if err := s.take(op, &b, i, p, v.dt); err != nil {
				return b, err
			}
		}
	}
	return b, nil
}

// outputs gives the types of n outputs, as far as known.
func (s *signature) outputs(op string, n int, b binding) ([]tensor.DType, error) {
	out := make([]tensor.DType, n)
	for i := range out {
		k := i
		if last := len(s.out) - 1; i > last {
			if last < 0 || !s.out[last].variadic {
				return nil, invalid("%d outputs of %s, wanted at most %d", n, op, len(s.out))
			}
			k = last
		}
		p := s.out[k]
		out[i] = b[p.letter]
		if types := s.letters[p.letter].types; len(types) == 1 {
			out[i] = types[0]
		}
	}
	return out, nil
}

// halved lets a kernel that computes in float32 serve float16: inputs are widened, results rounded once.
func halved(op *operator, k kernel) kernel {
	return func(r *run, in []*value) ([]*value, error) {
		b, err := op.sig.check(op.Name, in)
		if err != nil {
			return nil, err
		}
		var wide []*value
		for i, v := range in {
			if v == nil || v.dt != tensor.Float16 {
				continue
			}
			if wide == nil {
				in = append([]*value(nil), in...)
			}
			w, err := r.make(tensor.Float32, v.shape)
			if err != nil {
				return nil, err
			}
			to := of[float32](w)
			for j, h := range of[f16](v) {
				to[j] = h.float32()
			}
			in[i] = w
			wide = append(wide, w)
		}
		out, err := k(r, in)
		if err != nil || wide == nil {
			return out, err
		}
		for i, v := range out {
			p := op.sig.out[min(i, len(op.sig.out)-1)]
			if v == nil || b[p.letter] != tensor.Float16 || v.dt != tensor.Float32 {
				continue
			}
			h, err := r.make(tensor.Float16, v.shape)
			if err != nil {
				return nil, err
			}
			to := of[f16](h)
			for j, f := range of[float32](v) {
				to[j] = toF16(f)
			}
			r.drop(v)
			out[i] = h
		}
		for _, w := range wide {
			r.drop(w)
		}
		return out, nil
	}
}
