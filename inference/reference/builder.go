package reference

import (
	"slices"
	"strings"

	"sluice/inference/onnx"
	"sluice/inference/tensor"
)

// builder is what an operator sees while a node is checked: version, attributes, known types.
type builder struct {
	c       *compiler
	s       *scope
	op      *operator
	node    *node
	version int
	inputs  int // number of inputs written in the node
	outputs int
	bound   binding        // types of the signature's letters, where known
	outs    []tensor.DType // set by operators whose output types are not in the signature
	attrs   map[string]*onnx.Attribute
	used    map[string]bool
	err     error // the first wrong attribute
}

func (b *builder) attributes(p *onnx.Node) error {
	b.attrs, b.used = map[string]*onnx.Attribute{}, map[string]bool{}
	for _, a := range p.Attributes {
		if _, ok := b.attrs[a.Name]; ok {
			return invalid("attribute %q is given twice", a.Name)
		}
		if a.Ref != "" {
			return invalid("attribute %q refers to a function's attribute outside a function", a.Name)
		}
		b.attrs[a.Name] = a
	}
	return nil
}

// attr finds an attribute and marks it as understood. nil: not given.
func (b *builder) attr(name string, t onnx.AttrType) *onnx.Attribute {
	b.used[name] = true
	a := b.attrs[name]
	if a == nil {
		return nil
	}
	if a.Type != t {
		// An empty list may come without a kind.
		if a.Type != onnx.AttrUndefined {
			b.fail(invalid("attribute %q is a %s, wanted a %s", name, a.Type, t))
			return nil
		}
	}
	return a
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *builder) has(name string) bool { return b.attrs[name] != nil }

func (b *builder) int(name string, otherwise int64) int64 {
	if a := b.attr(name, onnx.AttrInt); a != nil {
		return a.Int
	}
	return otherwise
}

func (b *builder) bool(name string, otherwise bool) bool {
	d := int64(0)
	if otherwise {
		d = 1
	}
	return b.int(name, d) != 0
}

func (b *builder) float(name string, otherwise float32) float32 {
	if a := b.attr(name, onnx.AttrFloat); a != nil {
		return a.Float
	}
	return otherwise
}

func (b *builder) text(name, otherwise string) string {
	if a := b.attr(name, onnx.AttrString); a != nil {
		return string(a.String)
	}
	return otherwise
}

// choice is a text that must be one of a few; others are refused as outside the table.
func (b *builder) choice(name, otherwise string, known ...string) string {
	s := b.text(name, otherwise)
	if !slices.Contains(known, s) {
		b.fail(unsupported("%s %q of %s, known are %s", name, s, b.op.Name, strings.Join(known, ", ")))
	}
	return s
}

// ints gives a list and whether it is there at all.
func (b *builder) ints(name string) ([]int64, bool) {
	if a := b.attr(name, onnx.AttrInts); a != nil {
		return a.Ints, true
	}
	return nil, false
}

func (b *builder) floats(name string) []float32 {
	if a := b.attr(name, onnx.AttrFloats); a != nil {
		return a.Floats
	}
	return nil
}

func (b *builder) texts(name string) []string {
	a := b.attr(name, onnx.AttrStrings)
	if a == nil {
		return nil
	}
	out := make([]string, len(a.Strings))
	for i, s := range a.Strings {
		out[i] = string(s)
	}
	return out
}

// tensor decodes a tensor attribute; nil when it is not there.
func (b *builder) tensor(name string) *value {
	a := b.attr(name, onnx.AttrTensor)
	if a == nil || a.Tensor == nil {
		return nil
	}
	v, err := b.c.constant(a.Tensor)
	if err != nil {
		b.fail(err)
		return nil
	}
	return v
}

// ignore marks attributes that do not change the result.
func (b *builder) ignore(names ...string) {
	for _, n := range names {
		b.used[n] = true
	}
}

// graph compiles a branch.
func (b *builder) graph(name string) *graph {
	a := b.attr(name, onnx.AttrGraph)
	if a == nil || a.Graph == nil {
		b.fail(invalid("attribute %q is missing, wanted a graph", name))
		return nil
	}
	g, err := b.c.graph(a.Graph, b.s, false)
	if err != nil {
		b.fail(err)
		return nil
	}
	return g
}

// want refuses a node without a needed attribute.
func (b *builder) want(names ...string) {
	for _, n := range names {
		if b.attrs[n] == nil {
			b.fail(invalid("attribute %q of %s is missing", n, b.op.Name))
		}
	}
}

// bindOut tells the type of an output letter that follows from an attribute.
func (b *builder) bindOut(letter string, t tensor.DType) error {
	i := b.op.sig.letter(letter)
	if !slices.Contains(b.op.sig.letters[i].types, t) {
		return unsupported("%s to element type %d (%s)", b.op.Name, int32(t), t)
	}
	b.bound[i] = t
	return nil
}
