package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Parse reads a ModelProto. Tensors keep pointing into raw, so raw must not be changed afterwards.
// Every refusal is a fault.ModelInvalid.
func Parse(raw []byte) (*Model, error) {
	if len(raw) == 0 {
		return nil, invalid("the model file is empty")
	}
	if int64(len(raw)) > MaxBytes {
		return nil, invalid("the model file has %d bytes, wanted at most %d", len(raw), int64(MaxBytes))
	}
	r := newReader(raw)
	m := &Model{}
	if err := r.model(raw, m); err != nil {
		return nil, err
	}
	if m.Graph == nil {
		return nil, invalid("the file holds no graph, wanted an ONNX model")
	}
	return m, nil
}

func (r *reader) model(raw []byte, m *Model) error {
	return r.message("model", raw, func(f field) error {
		switch f.num {
		case 1:
			return f.int("model", &m.IRVersion)
		case 2:
			return r.text(f, "doc", &m.ProducerName)
		case 3:
			return r.text(f, "doc", &m.ProducerVersion)
		case 4:
			return r.text(f, "model", &m.Domain)
		case 5:
			return f.int("model", &m.ModelVersion)
		case 6:
			return r.text(f, "doc", &m.Doc)
		case 7:
			if m.Graph != nil {
				return invalid("model: more than one graph")
			}
			var err error
			m.Graph, err = r.graph(f, 0)
			return err
		case 8:
			var o Opset
			if err := r.opset(f, &o); err != nil {
				return err
			}
			m.Opsets = append(m.Opsets, o)
		case 14:
			return r.keyValue(f, &m.Metadata)
		case 25:
			fn := &Function{}
			if err := r.function(f, fn); err != nil {
				return err
			}
			m.Functions = append(m.Functions, fn)
		}
		return nil
	})
}

func (r *reader) sub(f field, what string, g func(field) error) error {
	if err := f.want(protowire.BytesType, what); err != nil {
		return err
	}
	return r.message(what, f.b, g)
}

func (r *reader) opset(f field, o *Opset) error {
	return r.sub(f, "opset import", func(f field) error {
		switch f.num {
		case 1:
			return r.text(f, "opset import", &o.Domain)
		case 2:
			return f.int("opset import", &o.Version)
		}
		return nil
	})
}

func (r *reader) keyValue(f field, dst *[]KeyValue) error {
	var kv KeyValue
	err := r.sub(f, "metadata", func(f field) error {
		switch f.num {
		case 1:
			return r.text(f, "metadata", &kv.Key)
		case 2:
			return r.text(f, "metadata", &kv.Value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	*dst = append(*dst, kv)
	return nil
}

func (r *reader) function(f field, fn *Function) error {
	return r.sub(f, "function", func(f field) error {
		switch f.num {
		case 1:
			return r.text(f, "function", &fn.Name)
		case 10:
			return r.text(f, "function", &fn.Domain)
		}
		return nil
	})
}

func (r *reader) graph(f field, depth int) (*Graph, error) {
	if depth >= MaxDepth {
		return nil, invalid("graphs nested more than %d deep", MaxDepth)
	}
	g := &Graph{}
	err := r.sub(f, "graph", func(f field) error {
		switch f.num {
		case 1:
			n := &Node{}
			if err := r.node(f, depth, n); err != nil {
				return err
			}
			g.Nodes = append(g.Nodes, n)
		case 2:
			return r.text(f, "graph", &g.Name)
		case 5:
			t, err := r.tensor(f)
			if err != nil {
				return err
			}
			g.Initializers = append(g.Initializers, t)
		case 10:
			return r.text(f, "doc", &g.Doc)
		case 11:
			return r.valueInfo(f, &g.Inputs)
		case 12:
			return r.valueInfo(f, &g.Outputs)
		case 13:
			return r.valueInfo(f, &g.ValueInfos)
		case 15:
			g.Sparse++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (r *reader) node(f field, depth int, n *Node) error {
	return r.sub(f, "node", func(f field) error {
		switch f.num {
		case 1:
			return r.texts(f, "node", &n.Inputs)
		case 2:
			return r.texts(f, "node", &n.Outputs)
		case 3:
			return r.text(f, "node", &n.Name)
		case 4:
			return r.text(f, "node", &n.OpType)
		case 5:
			a := &Attribute{}
			if err := r.attribute(f, depth, a); err != nil {
				return err
			}
			n.Attributes = append(n.Attributes, a)
		case 6:
			return r.text(f, "doc", &n.Doc)
		case 7:
			return r.text(f, "node", &n.Domain)
		case 8:
			return r.text(f, "node", &n.Overload)
		}
		return nil
	})
}

func (r *reader) attribute(f field, depth int, a *Attribute) error {
	var typ int32
	var seen AttrType
	var floats []byte
	err := r.sub(f, "attribute", func(f field) error {
		if t, ok := attrFields[f.num]; ok {
			if seen != AttrUndefined && seen != t {
				return invalid("attribute %q holds both a %s and a %s", a.Name, seen, t)
			}
			if seen == t && (t == AttrTensor || t == AttrGraph || t == AttrTypeProto) {
				return invalid("attribute %q holds more than one %s", a.Name, t)
			}
			seen = t
		}
		switch f.num {
		case 1:
			return r.text(f, "attribute", &a.Name)
		case 2:
			if err := f.want(protowire.Fixed32Type, "attribute"); err != nil {
				return err
			}
			a.Float = math.Float32frombits(uint32(f.u))
		case 3:
			return f.int("attribute", &a.Int)
		case 4:
			return f.bytes("attribute", &a.String)
		case 5, 10:
			t, err := r.tensor(f)
			if err != nil {
				return err
			}
			if f.num == 5 {
				a.Tensor = t
			} else {
				a.Tensors = append(a.Tensors, t)
			}
		case 6, 11:
			g, err := r.graph(f, depth+1)
			if err != nil {
				return err
			}
			if f.num == 6 {
				a.Graph = g
			} else {
				a.Graphs = append(a.Graphs, g)
			}
		case 7:
			return f.fixed("attribute", 4, &floats)
		case 8:
			return f.ints("attribute", &a.Ints)
		case 9:
			var b []byte
			if err := f.bytes("attribute", &b); err != nil {
				return err
			}
			a.Strings = append(a.Strings, b)
			return r.item(stringBytes)
		case 14:
			a.Of = &Type{}
			return r.typ(f, 0, a.Of)
		case 20:
			return f.enum("attribute", &typ)
		case 21:
			return r.text(f, "attribute", &a.Ref)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(floats) > 0 {
		a.Floats = make([]float32, len(floats)/4)
		for i := range a.Floats {
			a.Floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(floats[4*i:]))
		}
	}
	return a.settle(AttrType(typ), seen)
}

// attrFields tells which kind of attribute a field belongs to.
var attrFields = map[protowire.Number]AttrType{
	2: AttrFloat, 3: AttrInt, 4: AttrString, 5: AttrTensor, 6: AttrGraph, 7: AttrFloats, 8: AttrInts, 9: AttrStrings,
	10: AttrTensors, 11: AttrGraphs, 14: AttrTypeProto, 15: AttrTypeProtos, 22: AttrSparseTensor, 23: AttrSparseTensors,
}

// settle compares the kind an attribute says it has with the fields it holds. IR versions 1 and 2 left the kind out;
// a field with its default value may be left out.
func (a *Attribute) settle(said, seen AttrType) error {
	switch {
	case a.Name == "":
		return invalid("an attribute has no name")
	case said < 0 || said > AttrTypeProtos:
		return invalid("attribute %q has kind %d, wanted 1 to %d", a.Name, said, AttrTypeProtos)
	case said == AttrUndefined:
		said = seen
	case seen != AttrUndefined && seen != said:
		return invalid("attribute %q says it is a %s and holds a %s", a.Name, said, seen)
	}
	a.Type = said
	if said == AttrTensor && a.Tensor == nil || said == AttrGraph && a.Graph == nil {
		if a.Ref == "" {
			return invalid("attribute %q says it is a %s and holds none", a.Name, said)
		}
	}
	return nil
}

func (r *reader) valueInfo(f field, dst *[]ValueInfo) error {
	var v ValueInfo
	err := r.sub(f, "value info", func(f field) error {
		switch f.num {
		case 1:
			return r.text(f, "value info", &v.Name)
		case 2:
			if v.Type.Kind != KindNone {
				return invalid("value %q has more than one type", v.Name)
			}
			return r.typ(f, 0, &v.Type)
		case 3:
			return r.text(f, "doc", &v.Doc)
		}
		return nil
	})
	if err != nil {
		return err
	}
	*dst = append(*dst, v)
	return nil
}

func (r *reader) typ(f field, depth int, t *Type) error {
	if depth >= MaxDepth {
		return invalid("types nested more than %d deep", MaxDepth)
	}
	return r.sub(f, "type", func(f field) error {
		kind, ok := map[protowire.Number]Kind{1: KindTensor, 4: KindSequence, 5: KindMap, 7: KindOpaque, 8: KindSparse, 9: KindOptional}[f.num]
		if !ok {
			return nil
		}
		if t.Kind != KindNone {
			return invalid("a type is both a %s and a %s", t.Kind, kind)
		}
		t.Kind = kind
		switch kind {
		case KindTensor, KindSparse:
			return r.tensorType(f, t)
		case KindSequence, KindOptional:
			return r.sub(f, "type", func(f field) error {
				if f.num != 1 {
					return nil
				}
				return r.inner(f, depth, t)
			})
		case KindMap:
			return r.sub(f, "type", func(f field) error {
				switch f.num {
				case 1:
					return f.enum("type", (*int32)(&t.Key))
				case 2:
					return r.inner(f, depth, t)
				}
				return nil
			})
		}
		return nil
	})
}

func (r *reader) inner(f field, depth int, t *Type) error {
	if t.Of != nil {
		return invalid("a %s has more than one element type", t.Kind)
	}
	t.Of = &Type{}
	return r.typ(f, depth+1, t.Of)
}

func (r *reader) tensorType(f field, t *Type) error {
	return r.sub(f, "type", func(f field) error {
		switch f.num {
		case 1:
			return f.enum("type", (*int32)(&t.Elem))
		case 2:
			if t.HasShape {
				return invalid("a tensor type has more than one shape")
			}
			t.HasShape = true
			return r.sub(f, "shape", func(f field) error {
				if f.num != 1 {
					return nil
				}
				if len(t.Dims) >= MaxRank {
					return invalid("a shape has more than %d dimensions", MaxRank)
				}
				return r.dim(f, t)
			})
		}
		return nil
	})
}

func (r *reader) dim(f field, t *Type) error {
	d := Dim{Value: -1}
	err := r.sub(f, "dimension", func(f field) error {
		switch f.num {
		case 1:
			if err := f.int("dimension", &d.Value); err != nil {
				return err
			}
			if d.Value < 0 { // some exporters write -1 for a dimension that is not fixed
				d.Value = -1
			}
		case 2:
			return r.text(f, "dimension", &d.Param)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.Dims = append(t.Dims, d)
	return nil
}
