package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/inference/tensor"
)

func (r *reader) tensor(f field) (*Tensor, error) {
	if err := f.want(protowire.BytesType, "tensor"); err != nil {
		return nil, err
	}
	return r.tensorBytes(f.b)
}

// tensorParts are the fields of a TensorProto that can hold elements.
type tensorParts struct {
	raw             []byte
	hasRaw          bool
	floats, doubles []byte
	i32, i64, u64   []uint64
	strings         []string
	segment         bool
	location        int32
}

func (r *reader) tensorBytes(b []byte) (*Tensor, error) {
	t := &Tensor{}
	var p tensorParts
	err := r.message("tensor", b, func(f field) error {
		switch f.num {
		case 1:
			return f.ints("tensor", &t.Value.Shape)
		case 2:
			return f.enum("tensor", (*int32)(&t.Value.DType))
		case 3:
			p.segment = true
		case 4:
			return f.fixed("tensor", 4, &p.floats)
		case 5:
			return f.varints("tensor", &p.i32)
		case 6:
			var s []byte
			if err := f.bytes("tensor", &s); err != nil {
				return err
			}
			p.strings = append(p.strings, string(s))
			return r.item(stringBytes)
		case 7:
			return f.varints("tensor", &p.i64)
		case 8:
			return r.text(f, "tensor", &t.Name)
		case 9:
			p.hasRaw = true
			return f.bytes("tensor", &p.raw)
		case 10:
			return f.fixed("tensor", 8, &p.doubles)
		case 11:
			return f.varints("tensor", &p.u64)
		case 12:
			return r.text(f, "doc", &t.Doc)
		case 13:
			return r.keyValue(f, &t.External)
		case 14:
			return f.enum("tensor", &p.location)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := p.settle(t); err != nil {
		return nil, err
	}
	return t, nil
}

// rawLen is the length in bytes of n elements.
func rawLen(d tensor.DType, n int64) (int64, bool) {
	l := d.Bytes(n)
	return l, l >= 0 && n <= MaxBytes
}

// settle turns the fields into elements and refuses a tensor whose fields and shape disagree.
func (p *tensorParts) settle(t *Tensor) error {
	v := &t.Value
	if v.Shape == nil {
		v.Shape = []int64{}
	}
	if len(v.Shape) > MaxRank {
		return invalid("tensor %q has %d dimensions, wanted at most %d", t.Name, len(v.Shape), MaxRank)
	}
	n := tensor.Elements(v.Shape)
	switch {
	case n < 0:
		return invalid("tensor %q has shape %d, wanted dimensions that are not negative and can be counted", t.Name, v.Shape)
	case v.DType <= 0 || v.DType > tensor.Int4:
		return invalid("tensor %q has element type %d, wanted one of onnx.proto", t.Name, int32(v.DType))
	case p.segment:
		return invalid("tensor %q comes in segments, which nobody supports", t.Name)
	case p.location == 1:
		if len(t.External) == 0 || p.hasRaw || p.typed() > 0 {
			return invalid("tensor %q lies outside the file and must name its place and hold nothing itself", t.Name)
		}
		return nil
	case p.location != 0:
		return invalid("tensor %q has data location %d, wanted 0 or 1", t.Name, p.location)
	case len(t.External) > 0:
		return invalid("tensor %q names a place outside the file without lying there", t.Name)
	}
	if v.DType == tensor.String {
		if p.hasRaw || int64(len(p.strings)) != n || p.typed() != 1 && n > 0 {
			return invalid("tensor %q of shape %d holds %d strings, wanted %d and nothing else", t.Name, v.Shape, len(p.strings), n)
		}
		v.Strings = p.strings
		return nil
	}
	want, ok := rawLen(v.DType, n)
	if !ok {
		return invalid("tensor %q of shape %d is too large", t.Name, v.Shape)
	}
	if p.hasRaw && p.typed() > 0 || p.typed() > 1 {
		return invalid("tensor %q holds its elements more than once", t.Name)
	}
	v.Raw = p.raw
	if !p.hasRaw {
		v.Raw = p.little(v.DType)
	}
	if int64(len(v.Raw)) != want {
		return invalid("tensor %q of type %s and shape %d holds %d bytes, wanted %d", t.Name, v.DType, v.Shape, len(v.Raw), want)
	}
	if v.DType == tensor.Bool {
		for _, b := range v.Raw {
			if b > 1 {
				return invalid("tensor %q holds a bool of %d, wanted 0 or 1", t.Name, b)
			}
		}
	}
	return nil
}

// typed counts the typed fields that hold elements.
func (p *tensorParts) typed() (n int) {
	for _, l := range []int{len(p.floats), len(p.doubles), len(p.i32), len(p.i64), len(p.u64), len(p.strings)} {
		if l > 0 {
			n++
		}
	}
	return n
}

// little gives the elements of the typed field that onnx.proto assigns to d, little-endian.
func (p *tensorParts) little(d tensor.DType) []byte {
	switch d {
	case tensor.Float32, tensor.Complex64:
		return p.floats
	case tensor.Float64, tensor.Complex128:
		return p.doubles
	case tensor.Int64:
		return pack(p.i64, 8)
	case tensor.Uint64:
		return pack(p.u64, 8)
	case tensor.Uint32:
		return pack(p.u64, 4)
	case tensor.Int32:
		return pack(p.i32, 4)
	case tensor.Uint16, tensor.Int16, tensor.Float16, tensor.BFloat16:
		return pack(p.i32, 2)
	case tensor.Uint8, tensor.Int8, tensor.Bool:
		return pack(p.i32, 1)
	}
	return pack(p.i32, 1) // float8 one to a number, 4-bit types two
}

func pack(u []uint64, width int) []byte {
	out := make([]byte, 0, len(u)*width)
	for _, v := range u {
		for i := range width {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return out
}

// ParseTensor reads a TensorProto file, such as an input or output of a golden case, and its name.
// Tensors that lie in another file are refused.
func ParseTensor(pb []byte) (*tensor.Tensor, string, error) {
	if int64(len(pb)) > MaxBytes {
		return nil, "", invalid("the tensor file has %d bytes, wanted at most %d", len(pb), int64(MaxBytes))
	}
	t, err := newReader(pb).tensorBytes(pb)
	if err != nil {
		return nil, "", err
	}
	if t.External != nil {
		return nil, "", invalid("tensor %q lies outside its file", t.Name)
	}
	return &t.Value, t.Name, nil
}

// ParseSequence reads a SequenceProto file of maps, such as the output of a classifier's ZipMap, and its name.
func ParseSequence(pb []byte) ([]tensor.Map, string, error) {
	if int64(len(pb)) > MaxBytes {
		return nil, "", invalid("the sequence file has %d bytes, wanted at most %d", len(pb), int64(MaxBytes))
	}
	r := newReader(pb)
	v, name, err := r.sequence(pb)
	switch {
	case err != nil:
		return nil, "", err
	case len(v.Sequence) > 0:
		return nil, "", invalid("sequence %q holds tensors, wanted maps", name)
	case v.Maps == nil:
		return []tensor.Map{}, name, nil
	}
	return v.Maps, name, nil
}

// ParseValue reads the file of an input or output of the given type: a TensorProto, SequenceProto or OptionalProto.
func ParseValue(pb []byte, t Type) (tensor.Value, error) {
	if int64(len(pb)) > MaxBytes {
		return tensor.Value{}, invalid("the file has %d bytes, wanted at most %d", len(pb), int64(MaxBytes))
	}
	switch t.Kind {
	case KindTensor:
		v, _, err := ParseTensor(pb)
		return tensor.Value{Tensor: v}, err
	case KindSequence:
		r := newReader(pb)
		v, name, err := r.sequence(pb)
		if err != nil {
			return tensor.Value{}, err
		}
		ofMaps := t.Of != nil && t.Of.Kind == KindMap
		switch {
		case ofMaps && len(v.Sequence) > 0, !ofMaps && len(v.Maps) > 0:
			return tensor.Value{}, invalid("sequence %q does not hold what its type %s says", name, t)
		case ofMaps && v.Maps == nil:
			return tensor.Value{Maps: []tensor.Map{}}, nil
		case !ofMaps && v.Sequence == nil:
			return tensor.Value{Sequence: []*tensor.Tensor{}}, nil
		}
		return v, nil
	case KindOptional:
		return newReader(pb).optional(pb)
	}
	return tensor.Value{}, invalid("values of type %s, wanted a tensor, a sequence or an optional", t)
}

// sequence reads a SequenceProto of tensors or of maps. Neither list of the value is set when it has no elements.
func (r *reader) sequence(pb []byte) (tensor.Value, string, error) {
	name := ""
	var v tensor.Value
	err := r.message("sequence", pb, func(f field) error {
		switch f.num {
		case 1:
			return r.text(f, "sequence", &name)
		case 3:
			t, err := r.tensor(f)
			if err != nil {
				return err
			}
			if t.External != nil {
				return invalid("sequence %q holds a tensor that lies outside its file", name)
			}
			v.Sequence = append(v.Sequence, &t.Value)
		case 4, 5, 7:
			return invalid("sequence %q holds something else than tensors or maps", name)
		case 6:
			m, err := r.mapping(f)
			if err != nil {
				return err
			}
			v.Maps = append(v.Maps, m)
		}
		if v.Sequence != nil && v.Maps != nil {
			return invalid("sequence %q holds tensors and maps", name)
		}
		return nil
	})
	if err != nil {
		return tensor.Value{}, "", err
	}
	return v, name, nil
}

// optional reads an OptionalProto.
func (r *reader) optional(pb []byte) (tensor.Value, error) {
	name := ""
	var v tensor.Value
	set := func(to tensor.Value) error {
		if v.Tensor != nil || v.Sequence != nil {
			return invalid("optional %q holds more than one value", name)
		}
		v = to
		return nil
	}
	err := r.message("optional", pb, func(f field) error {
		switch f.num {
		case 1:
			return r.text(f, "optional", &name)
		case 3:
			t, err := r.tensor(f)
			if err != nil {
				return err
			}
			if t.External != nil {
				return invalid("optional %q holds a tensor that lies outside its file", name)
			}
			return set(tensor.Value{Tensor: &t.Value})
		case 4, 6, 7:
			return invalid("optional %q holds something else than a tensor or a sequence", name)
		case 5:
			if err := f.want(protowire.BytesType, "optional"); err != nil {
				return err
			}
			s, _, err := r.sequence(f.b)
			if err != nil {
				return err
			}
			if s.Maps != nil {
				return invalid("optional %q holds maps", name)
			}
			if s.Sequence == nil {
				s.Sequence = []*tensor.Tensor{}
			}
			return set(s)
		}
		return nil
	})
	if err != nil {
		return tensor.Value{}, err
	}
	v.Empty = v.Tensor == nil && v.Sequence == nil
	return v, nil
}

func (r *reader) mapping(f field) (tensor.Map, error) {
	var m tensor.Map
	var key int32
	err := r.sub(f, "map", func(f field) error {
		switch f.num {
		case 2:
			return f.enum("map", &key)
		case 3:
			return f.ints("map", &m.IntKeys)
		case 4:
			return r.texts(f, "map", &m.StringKeys)
		case 5:
			return r.sub(f, "map", func(f field) error {
				if f.num != 3 {
					return nil
				}
				t, err := r.tensor(f)
				if err != nil {
					return err
				}
				if t.Value.DType != tensor.Float32 || t.External != nil {
					return invalid("a map holds values of type %s, wanted float32", t.Value.DType)
				}
				for b := t.Value.Raw; len(b) > 0; b = b[4:] {
					m.Values = append(m.Values, math.Float32frombits(binary.LittleEndian.Uint32(b)))
				}
				return nil
			})
		}
		return nil
	})
	keys := len(m.IntKeys) + len(m.StringKeys)
	switch {
	case err != nil:
		return tensor.Map{}, err
	case keys != len(m.Values) || len(m.IntKeys) > 0 && len(m.StringKeys) > 0:
		return tensor.Map{}, invalid("a map holds %d keys and %d values", keys, len(m.Values))
	case len(m.IntKeys) > 0 && tensor.DType(key) != tensor.Int64, len(m.StringKeys) > 0 && tensor.DType(key) != tensor.String:
		return tensor.Map{}, invalid("a map's keys are not of its key type %d", key)
	}
	return m, nil
}
