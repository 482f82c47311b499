package reference

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// Limits of a model beyond those of package onnx.
const (
	maxNodes = 1 << 18
	maxDepth = 16 // graphs within graphs
)

// graph is a checked graph: nodes in an order in which every value is made before it is read, values as slots of one
// list for the whole model.
type graph struct {
	nodes []*node
	outs  []int
	types []tensor.DType // of outs, Undefined where not known before a run
	reads []int          // slots of outer graphs
	own   []int          // slots of outs that this graph makes itself
}

type node struct {
	op    *operator
	run   kernel
	label string
	in    []int // -1: left out
	out   []int // -1: nobody wants it
	width int   // length of the input list a kernel sees
	reads []int // values read by branches
	free  []int // values nobody reads after this node
}

// kernel computes one node. in is as long as the operator's signature; inputs left out are nil.
type kernel func(r *run, in []*value) ([]*value, error)

type compiler struct {
	m      *Model
	opsets map[string]int64
	local  map[[2]string]bool // functions within the model
	o      Options
	types  []tensor.DType // by slot
	nodes  int
	files  map[string][]byte
}

// scope finds names: those of one graph, then those around it.
type scope struct {
	slots map[string]int
	made  map[string]bool // by this graph
	outer *scope
	reads map[int]bool // slots read from around
	depth int
}

func (s *scope) find(name string) (int, bool) {
	if i, ok := s.slots[name]; ok {
		return i, true
	}
	if s.outer == nil {
		return 0, false
	}
	i, ok := s.outer.find(name)
	if ok {
		s.reads[i] = true
	}
	return i, ok
}

func compile(p *onnx.Model, o Options) (*Model, error) {
	if o.MaxMemory == 0 {
		o.MaxMemory = DefaultMaxMemory
	}
	m := &Model{most: o.MaxMemory}
	c := &compiler{m: m, opsets: map[string]int64{}, local: map[[2]string]bool{}, o: o, files: map[string][]byte{}}
	if p.IRVersion < 3 || p.IRVersion > 13 {
		if p.IRVersion > 13 {
			return nil, unsupported("version %d of the ONNX file format, known are 3 to 13", p.IRVersion)
		}
		return nil, invalid("version %d of the ONNX file format, wanted at least 3", p.IRVersion)
	}
	for _, s := range p.Opsets {
		d := domain(s.Domain)
		if v, ok := c.opsets[d]; ok && v != s.Version {
			return nil, invalid("versions %d and %d of domain %q are both asked for", v, s.Version, s.Domain)
		}
		if s.Version < 1 {
			return nil, invalid("version %d of domain %q, wanted at least 1", s.Version, s.Domain)
		}
		c.opsets[d] = s.Version
	}
	if len(c.opsets) == 0 {
		return nil, invalid("the model does not say which operator versions it uses")
	}
	for _, f := range p.Functions {
		c.local[[2]string{domain(f.Domain), f.Name}] = true
	}
	g, err := c.graph(p.Graph, nil, true)
	if err != nil {
		return nil, err
	}
	m.main, m.slots, m.out, m.nodes = g, len(c.types), p.Graph.Outputs, c.nodes
	for i, v := range m.out {
		if t := g.types[i]; t != tensor.Undefined && v.Type.Kind == onnx.KindTensor && v.Type.Elem != t {
			return nil, invalid("output %q is declared %s and is %s", v.Name, v.Type.Elem, t)
		}
		if v.Type.Kind == onnx.KindNone {
			return nil, invalid("output %q has no type", v.Name)
		}
	}
	return m, nil
}

func domain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

func (c *compiler) slot(t tensor.DType) int {
	c.types = append(c.types, t)
	return len(c.types) - 1
}

func (c *compiler) graph(p *onnx.Graph, outer *scope, main bool) (*graph, error) {
	s := &scope{slots: map[string]int{}, made: map[string]bool{}, outer: outer, reads: map[int]bool{}}
	if outer != nil {
		s.depth = outer.depth + 1
	}
	if s.depth > maxDepth {
		return nil, invalid("graphs nested more than %d deep", maxDepth)
	}
	if p.Sparse > 0 {
		return nil, unsupported("sparse initializers")
	}
	if len(p.Outputs) == 0 {
		return nil, invalid("a graph without outputs")
	}
	if c.nodes += len(p.Nodes); c.nodes > maxNodes {
		return nil, tooLarge("more than %d nodes", maxNodes)
	}
	if err := c.initializers(p, s); err != nil {
		return nil, err
	}
	if main {
		if err := c.inputs(p, s); err != nil {
			return nil, err
		}
	} else if len(p.Inputs) > 0 {
		return nil, invalid("a branch of an If has inputs, wanted none")
	}
	order, err := c.sort(p, s)
	if err != nil {
		return nil, err
	}
	g := &graph{}
	for _, n := range order {
		cn, err := c.node(n, s)
		if err != nil {
			return nil, &nodeError{label(n), err}
		}
		g.nodes = append(g.nodes, cn)
	}
	for i, v := range p.Outputs {
		k, ok := s.find(v.Name)
		if !ok || v.Name == "" {
			return nil, invalid("output %q is made by no node", v.Name)
		}
		for j := range i {
			if main && p.Outputs[j].Name == v.Name {
				return nil, invalid("two outputs are named %q", v.Name)
			}
		}
		g.outs = append(g.outs, k)
		g.types = append(g.types, c.types[k])
	}
	for k := range s.reads {
		g.reads = append(g.reads, k)
	}
	g.lifetimes(s)
	return g, nil
}

// lifetimes notes after which node each value of the graph can be forgotten.
func (g *graph) lifetimes(s *scope) {
	own := map[int]bool{}
	for name := range s.made {
		own[s.slots[name]] = true
	}
	for _, k := range g.outs {
		if own[k] {
			g.own = append(g.own, k)
			delete(own, k)
		}
	}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := g.nodes[i]
		for _, list := range [][]int{n.in, n.out, n.reads} {
			for _, k := range list {
				if own[k] {
					delete(own, k)
					n.free = append(n.free, k)
				}
			}
		}
	}
}

func (c *compiler) initializers(p *onnx.Graph, s *scope) error {
	for _, t := range p.Initializers {
		if t.Name == "" {
			return invalid("an initializer has no name")
		}
		if _, ok := s.slots[t.Name]; ok {
			return invalid("two initializers are named %q", t.Name)
		}
		v, err := c.constant(t)
		if err != nil {
			return fault.New(fault.CodeOf(err), "initializer %q: %w", t.Name, err)
		}
		k := c.slot(v.dt)
		s.slots[t.Name] = k
		c.m.consts = append(c.m.consts, constant{k, v})
	}
	return nil
}

func (c *compiler) inputs(p *onnx.Graph, s *scope) error {
	seen := map[string]bool{}
	for _, v := range p.Inputs {
		if v.Name == "" || seen[v.Name] {
			return invalid("two inputs are named %q, or one has no name", v.Name)
		}
		seen[v.Name] = true
		if v.Type.Kind != onnx.KindTensor {
			return unsupported("input %q of kind %q", v.Name, v.Type.Kind)
		}
		if makeData(v.Type.Elem, 0) == nil {
			return unsupported("input %q of element type %s", v.Name, v.Type.Elem)
		}
		k, ok := s.slots[v.Name]
		if ok && c.types[k] != v.Type.Elem {
			return invalid("input %q is declared %s and its initializer is %s", v.Name, v.Type.Elem, c.types[k])
		}
		if !ok {
			k = c.slot(v.Type.Elem)
			s.slots[v.Name] = k
		}
		c.m.inputs = append(c.m.inputs, input{v.Info(), k, ok})
	}
	return nil
}

func label(n *onnx.Node) string {
	if n.Name == "" {
		return "node " + n.OpType
	}
	return "node " + strconv.Quote(n.Name) + " (" + n.OpType + ")"
}

func (c *compiler) node(p *onnx.Node, s *scope) (*node, error) {
	d := domain(p.Domain)
	version, ok := c.opsets[d]
	if !ok {
		if !knownDomain(d) {
			return nil, unsupported("operator %s of domain %q", p.OpType, p.Domain).(*fault.Error).With("operator", p.OpType).With("domain", p.Domain)
		}
		return nil, invalid("operator %s of domain %q, but the model does not say which version of that domain it uses", p.OpType, p.Domain)
	}
	if c.local[[2]string{d, p.OpType}] || p.Overload != "" {
		return nil, unsupported("%s is a function defined within the model", p.OpType)
	}
	op := lookup(d, p.OpType, version)
	if op == nil {
		return nil, unsupported("operator %s of domain %q in version %d", p.OpType, domainName(d), version).(*fault.Error).
			With("operator", p.OpType).With("domain", domainName(d)).With("opset", version)
	}
	n := &node{op: op, label: label(p), width: op.sig.width(len(p.Inputs))}
	if len(p.Inputs) > n.width {
		return nil, unsupported("%d inputs of %s in version %d, known are %d", len(p.Inputs), p.OpType, version, n.width)
	}
	types := make([]tensor.DType, n.width)
	given := make([]bool, n.width)
	for i, name := range p.Inputs {
		if name == "" {
			n.in = append(n.in, -1)
			continue
		}
		k, ok := s.find(name)
		if !ok {
			return nil, invalid("input %q is made by nobody", name)
		}
		n.in = append(n.in, k)
		types[i], given[i] = c.types[k], true
	}
	bound, err := op.sig.bind(op.Name, types, given)
	if err != nil {
		return nil, err
	}
	b := &builder{c: c, s: s, op: op, version: int(version), node: n, inputs: len(p.Inputs), outputs: len(p.Outputs), bound: bound}
	if err := b.attributes(p); err != nil {
		return nil, err
	}
	n.run, err = op.prepare(b)
	if err == nil {
		err = b.err
	}
	if err != nil {
		return nil, err
	}
	for name, a := range b.attrs {
		if !b.used[name] {
			return nil, unsupported("attribute %q (%s) of %s in version %d", name, a.Type, p.OpType, version)
		}
	}
	if op.half {
		n.run = halved(op, n.run)
	}
	outs, err := op.sig.outputs(op.Name, len(p.Outputs), b.bound)
	if err != nil {
		return nil, err
	}
	for i, name := range p.Outputs {
		if name == "" {
			n.out = append(n.out, -1)
			continue
		}
		t := outs[i]
		if b.outs != nil {
			t = b.outs[i]
		}
		k := c.slot(t)
		s.slots[name] = k
		s.made[name] = true
		n.out = append(n.out, k)
	}
	return n, nil
}

func domainName(d string) string {
	if d == "" {
		return "ai.onnx"
	}
	return d
}

// constant decodes a tensor that is part of the model and charges its memory to the model.
func (c *compiler) constant(t *onnx.Tensor) (*value, error) {
	t2 := t.Value
	if makeData(t2.DType, 0) == nil {
		return nil, unsupported("tensors of element type %s", t2.DType)
	}
	if t.External != nil {
		raw, err := c.external(t)
		if err != nil {
			return nil, err
		}
		t2.Raw = raw
	}
	if err := c.keep(max(int64(len(t2.Raw)), 16*int64(len(t2.Strings)))); err != nil {
		return nil, err
	}
	return fromTensor(&t2, c.m.most)
}

// keep charges memory that the model holds for as long as it lives.
func (c *compiler) keep(n int64) error {
	if n > c.m.most-c.m.used {
		return tooLarge("the model's constants need more than %d bytes", c.m.most)
	}
	c.m.used += n
	return nil
}

func (c *compiler) external(t *onnx.Tensor) ([]byte, error) {
	var location string
	var offset, length int64 = 0, -1
	for _, kv := range t.External {
		var err error
		switch kv.Key {
		case "location":
			location = kv.Value
		case "offset":
			offset, err = strconv.ParseInt(kv.Value, 10, 64)
		case "length":
			length, err = strconv.ParseInt(kv.Value, 10, 64)
		}
		if err != nil {
			return nil, invalid("external data with %s %q, wanted a number", kv.Key, kv.Value)
		}
	}
	if !plainPath(location) {
		return nil, invalid("external data at %q, wanted a relative path below the model", location)
	}
	if c.o.External == nil {
		return nil, invalid("external data at %q, and no such file belongs to this model", location)
	}
	file, ok := c.files[location]
	if !ok {
		var err error
		if file, err = c.o.External(location); err != nil {
			return nil, fmt.Errorf("reading external data %q: %w", location, err)
		}
		c.files[location] = file
	}
	n := tensor.Elements(t.Value.Shape)
	w := int64(t.Value.DType.Size())
	if w == 0 || n < 0 || n > c.m.most/w {
		return nil, invalid("external data of type %s and shape %d", t.Value.DType, t.Value.Shape)
	}
	if length == -1 {
		length = n * w
	}
	if length != n*w || offset < 0 || offset > int64(len(file)) || length > int64(len(file))-offset {
		return nil, invalid("external data of %d bytes at offset %d of %q, wanted %d bytes within the file's %d", length, offset, location, n*w, len(file))
	}
	return file[offset : offset+length], nil
}

// plainPath says whether p is a relative path that stays below where it starts, on every system.
func plainPath(p string) bool {
	if p == "" || strings.ContainsAny(p, "\\:\x00") || path.IsAbs(p) || path.Clean(p) != p {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." || part == "." {
			return false
		}
	}
	return true
}
