package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/internal/fault"
)

// Limits for untrusted models.
const (
	MaxDepth = 32      // graphs within graphs, types within types
	MaxItems = 4 << 20 // messages and strings in one file; keeps memory in proportion to files that matter
	MaxBytes = 2 << 30 // protobuf's own limit
	MaxRank  = 32      // dimensions of a tensor
	MaxName  = 64 << 10
)

func invalid(format string, args ...any) error { return fault.New(fault.ModelInvalid, format, args...) }

// field is one decoded field of a message.
type field struct {
	num protowire.Number
	typ protowire.Type
	u   uint64 // varint, fixed32, fixed64
	b   []byte // length-delimited
}

// reader counts what it has made, so that a small file cannot ask for a lot of memory.
type reader struct {
	items  int
	memory int64 // of the parts made, about, in bytes
	most   int64
}

// What parts of a file take in memory, and what a file may ask for: so much, and a multiple of its own size. Models that
// matter stay far below, since their parts have names.
const (
	messageBytes   = 256
	dimensionBytes = 32
	stringBytes    = 40
	baseMemory     = 64 << 20
	memoryPerByte  = 16
)

func newReader(file []byte) *reader {
	return &reader{most: baseMemory + memoryPerByte*int64(len(file))}
}

func (r *reader) item(memory int64) error {
	if r.items++; r.items > MaxItems {
		return invalid("more than %d parts in one file", MaxItems)
	}
	if r.memory += memory; r.memory > r.most {
		return invalid("the parts of this file would take more than %d bytes of memory, far more than its size", r.most)
	}
	return nil
}

// message calls f for each field of b.
func (r *reader) message(what string, b []byte, f func(field) error) error {
	size := int64(messageBytes)
	if what == "dimension" {
		size = dimensionBytes
	}
	if err := r.item(size); err != nil {
		return err
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return invalid("%s: malformed field tag, wanted protobuf", what)
		}
		b = b[n:]
		fl := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			fl.u, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			fl.u = uint64(v)
		case protowire.Fixed64Type:
			fl.u, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			fl.b, n = protowire.ConsumeBytes(b)
		default:
			return invalid("%s: field %d has wire type %d, which onnx.proto never uses", what, num, typ)
		}
		if n < 0 {
			return invalid("%s: field %d is malformed or cut off", what, num)
		}
		b = b[n:]
		if err := f(fl); err != nil {
			return err
		}
	}
	return nil
}

func (f field) want(t protowire.Type, what string) error {
	if f.typ != t {
		return invalid("%s: field %d has wire type %d, wanted %d", what, f.num, f.typ, t)
	}
	return nil
}

func (r *reader) text(f field, what string, dst *string) error {
	if err := f.want(protowire.BytesType, what); err != nil {
		return err
	}
	if len(f.b) > MaxName && what != "doc" && what != "metadata" {
		return invalid("%s: a name of %d bytes, wanted at most %d", what, len(f.b), MaxName)
	}
	*dst = string(f.b)
	return nil
}

func (r *reader) texts(f field, what string, dst *[]string) error {
	var s string
	if err := r.text(f, what, &s); err != nil {
		return err
	}
	*dst = append(*dst, s)
	return r.item(stringBytes)
}

func (f field) int(what string, dst *int64) error {
	if err := f.want(protowire.VarintType, what); err != nil {
		return err
	}
	*dst = int64(f.u)
	return nil
}

func (f field) enum(what string, dst *int32) error {
	var v int64
	if err := f.int(what, &v); err != nil {
		return err
	}
	if v < math.MinInt32 || v > math.MaxInt32 {
		return invalid("%s: field %d is %d, wanted a 32-bit number", what, f.num, v)
	}
	*dst = int32(v)
	return nil
}

func (f field) bytes(what string, dst *[]byte) error {
	if err := f.want(protowire.BytesType, what); err != nil {
		return err
	}
	*dst = f.b
	return nil
}

// varints reads a repeated integer, packed or not.
func (f field) varints(what string, dst *[]uint64) error {
	if f.typ == protowire.VarintType {
		*dst = append(*dst, f.u)
		return nil
	}
	if err := f.want(protowire.BytesType, what); err != nil {
		return err
	}
	if *dst == nil {
		*dst = make([]uint64, 0, countVarints(f.b))
	}
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return invalid("%s: field %d holds a malformed number", what, f.num)
		}
		*dst = append(*dst, v)
		b = b[n:]
	}
	return nil
}

func countVarints(b []byte) (n int) {
	for _, c := range b {
		if c < 0x80 {
			n++
		}
	}
	return n
}

func (f field) ints(what string, dst *[]int64) error {
	var u []uint64
	if err := f.varints(what, &u); err != nil {
		return err
	}
	for _, v := range u {
		*dst = append(*dst, int64(v))
	}
	return nil
}

// fixed appends the bytes of a repeated float (width 4) or double (width 8), packed or not, little-endian.
func (f field) fixed(what string, width int, dst *[]byte) error {
	switch {
	case f.typ == protowire.Fixed32Type && width == 4:
		*dst = binary.LittleEndian.AppendUint32(*dst, uint32(f.u))
	case f.typ == protowire.Fixed64Type && width == 8:
		*dst = binary.LittleEndian.AppendUint64(*dst, f.u)
	case f.typ == protowire.BytesType && len(f.b)%width == 0:
		*dst = append(*dst, f.b...)
	default:
		return invalid("%s: field %d is no list of %d-byte numbers", what, f.num, width)
	}
	return nil
}
