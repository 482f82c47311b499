package ort

import (
	"bytes"
	"context"
	"strings"
	"unsafe"

	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// newValue makes an OrtValue in the library's memory, which the caller releases, and copies v into it. The kind of v fits info.
func (l *Library) newValue(info tensor.Info, v tensor.Value) (uintptr, error) {
	switch {
	case v.Tensor != nil:
		return l.newTensor(v.Tensor)
	case info.Kind == "map":
		return l.newMap(&v.Maps[0])
	case v.Empty:
		// It could be made with the operator Optional, but the library's checks and operators read what is not there: seen to
		// crash in 1.18.0 and 1.30.0.
		return 0, fault.New(fault.EngineNeeded, "an empty optional cannot be given to ONNX Runtime")
	case v.Maps == nil && len(v.Sequence) == 0:
		return l.newEmptySequence(info.DType)
	case v.Maps != nil && len(v.Maps) == 0:
		return 0, fault.New(fault.EngineNeeded, "an empty sequence of maps cannot be given to ONNX Runtime")
	}
	return l.newSequence(v)
}

func (l *Library) newSequence(v tensor.Value) (uintptr, error) {
	var parts []uintptr
	defer func() {
		for _, p := range parts {
			l.free(fnReleaseValue, p)
		}
	}()
	add := func(p uintptr, err error) error {
		parts = append(parts, p)
		return err
	}
	for _, t := range v.Sequence {
		if err := add(l.newTensor(t)); err != nil {
			return 0, err
		}
	}
	for i := range v.Maps {
		if err := add(l.newMap(&v.Maps[i])); err != nil {
			return 0, err
		}
	}
	return l.compose(typeSequence, parts)
}

// compose makes one value of others, which stay the caller's.
func (l *Library) compose(kind uintptr, parts []uintptr) (p uintptr, err error) {
	err = l.do(fnCreateValue, uintptr(unsafe.Pointer(unsafe.SliceData(parts))), uintptr(len(parts)), kind, uintptr(unsafe.Pointer(&p)))
	if err != nil {
		return 0, runError(err)
	}
	return p, nil
}

func (l *Library) newMap(m *tensor.Map) (uintptr, error) {
	n := int64(len(m.Values))
	keys := &tensor.Tensor{DType: tensor.Int64, Shape: []int64{n}, Raw: encode(m.IntKeys)}
	if len(m.StringKeys) > 0 {
		keys = &tensor.Tensor{DType: tensor.String, Shape: []int64{n}, Strings: m.StringKeys}
	}
	if len(m.IntKeys)+len(m.StringKeys) != len(m.Values) {
		return 0, fault.New(fault.Contract, "a map has %d keys for %d values", len(m.IntKeys)+len(m.StringKeys), len(m.Values))
	}
	k, err := l.newTensor(keys)
	if err != nil {
		return 0, err
	}
	defer l.free(fnReleaseValue, k)
	v, err := l.newTensor(&tensor.Tensor{DType: tensor.Float32, Shape: []int64{n}, Raw: encode(m.Values)})
	if err != nil {
		return 0, err
	}
	defer l.free(fnReleaseValue, v)
	return l.compose(typeMap, []uintptr{k, v})
}

// newEmptySequence runs a model of one operator: the C API has no call for it.
func (l *Library) newEmptySequence(d tensor.DType) (uintptr, error) {
	of := onnx.Type{Kind: onnx.KindTensor, Elem: d}
	s, err := l.Open(onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{
		Name:    "empty",
		Nodes:   []*onnx.Node{{OpType: "SequenceEmpty", Outputs: []string{"y"}, Attributes: []*onnx.Attribute{onnx.IntAttr("dtype", int64(d))}}},
		Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.Type{Kind: onnx.KindSequence, Of: &of}}},
	}}), Options{})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var out [1]uintptr
	if err := s.run(context.Background(), nil, out[:]); err != nil {
		return 0, err
	}
	return out[0], nil
}

func (l *Library) newTensor(t *tensor.Tensor) (p uintptr, err error) {
	n := tensor.Elements(t.Shape)
	switch {
	case n < 0:
		return 0, fault.New(fault.Contract, "shape %v is not valid", t.Shape)
	case t.DType == tensor.String && int64(len(t.Strings)) != n:
		return 0, fault.New(fault.Contract, "%d strings, shape %v wants %d", len(t.Strings), t.Shape, n)
	case t.DType != tensor.String && (t.DType.Bytes(n) < 0 || int64(len(t.Raw)) != t.DType.Bytes(n)):
		return 0, fault.New(fault.Contract, "%d bytes, shape %v of %s wants %d", len(t.Raw), t.Shape, t.DType, t.DType.Bytes(n))
	}
	var none [1]int64
	shape := t.Shape
	if len(shape) == 0 {
		shape = none[:]
	}
	err = l.do(fnCreateTensorAsOrtValue, l.allocator, uintptr(unsafe.Pointer(&shape[0])), uintptr(len(t.Shape)), uintptr(t.DType), uintptr(unsafe.Pointer(&p)))
	if err != nil {
		return 0, runError(err)
	}
	defer func() {
		if err != nil {
			l.free(fnReleaseValue, p)
			p = 0
		}
	}()
	if t.DType == tensor.String {
		return p, l.fillStrings(p, t.Strings)
	}
	if n == 0 {
		return p, nil
	}
	dst, err := l.data(p, len(t.Raw))
	if err != nil {
		return p, err
	}
	copy(dst, t.Raw)
	return p, nil
}

func (l *Library) fillStrings(p uintptr, texts []string) error {
	for i, s := range texts {
		var buf uintptr
		if err := l.do(fnGetResizedStringTensorBuffer, p, uintptr(i), uintptr(len(s)), uintptr(unsafe.Pointer(&buf))); err != nil {
			return runError(err)
		}
		if len(s) > 0 {
			copy(unsafe.Slice((*byte)(pointer(buf)), len(s)), s)
		}
	}
	return nil
}

// data is the tensor's own memory, valid until the value is released.
func (l *Library) data(p uintptr, size int) ([]byte, error) {
	var d uintptr
	if err := l.do(fnGetTensorMutableData, p, uintptr(unsafe.Pointer(&d))); err != nil {
		return nil, runError(err)
	}
	if d == 0 {
		return nil, fault.New(fault.Internal, "the engine gave a tensor without memory")
	}
	return unsafe.Slice((*byte)(pointer(d)), size), nil
}

// readValue copies a value out of the library's memory.
func (l *Library) readValue(info tensor.Info, p uintptr) (tensor.Value, error) {
	if p == 0 {
		return tensor.Value{Empty: true}, nil
	}
	var has int32
	if err := l.do(fnHasValue, p, uintptr(unsafe.Pointer(&has))); err != nil {
		return tensor.Value{}, runError(err)
	}
	if has == 0 {
		return tensor.Value{Empty: true}, nil
	}
	var kind int32
	if err := l.do(fnGetValueType, p, uintptr(unsafe.Pointer(&kind))); err != nil {
		return tensor.Value{}, runError(err)
	}
	switch kind {
	case typeTensor:
		t, err := l.readTensor(p)
		return tensor.Value{Tensor: t}, err
	case typeMap:
		m, err := l.readMap(p)
		return tensor.Value{Maps: []tensor.Map{m}}, err
	case typeSequence:
		return l.readSequence(p, strings.Contains(info.Type, "sequence(map("))
	}
	return tensor.Value{}, fault.New(fault.EngineNeeded, "values of type %s are not supported, want a tensor, a sequence of tensors or a sequence of maps", info.Type)
}

// readSequence reads a sequence of tensors, or of maps as ZipMap makes it.
func (l *Library) readSequence(p uintptr, maps bool) (tensor.Value, error) {
	var n uintptr
	if err := l.do(fnGetValueCount, p, uintptr(unsafe.Pointer(&n))); err != nil {
		return tensor.Value{}, runError(err)
	}
	v := tensor.Value{Sequence: make([]*tensor.Tensor, 0, n)}
	if maps {
		v = tensor.Value{Maps: make([]tensor.Map, 0, n)}
	}
	for i := range n {
		var e uintptr
		if err := l.do(fnGetValue, p, i, l.allocator, uintptr(unsafe.Pointer(&e))); err != nil {
			return tensor.Value{}, runError(err)
		}
		var t *tensor.Tensor
		var m tensor.Map
		var err error
		if maps {
			m, err = l.readMap(e)
			v.Maps = append(v.Maps, m)
		} else {
			t, err = l.readTensor(e)
			v.Sequence = append(v.Sequence, t)
		}
		l.free(fnReleaseValue, e)
		if err != nil {
			return tensor.Value{}, err
		}
	}
	return v, nil
}

func (l *Library) readTensor(p uintptr) (*tensor.Tensor, error) {
	var info uintptr
	if err := l.do(fnGetTensorTypeAndShape, p, uintptr(unsafe.Pointer(&info))); err != nil {
		return nil, runError(err)
	}
	d, shape, err := l.typeAndShape(info)
	l.free(fnReleaseTensorTypeInfo, info)
	if err != nil {
		return nil, runError(err)
	}
	t := &tensor.Tensor{DType: d, Shape: shape}
	n := tensor.Elements(shape)
	if n < 0 {
		return nil, fault.New(fault.ModelInvalid, "shape %v is not valid", shape)
	}
	if d == tensor.String {
		t.Strings, err = l.readStrings(p, int(n))
		return t, err
	}
	size := d.Bytes(n)
	if size < 0 {
		return nil, fault.New(fault.EngineNeeded, "element type %d is not supported", d)
	}
	t.Raw = []byte{}
	if n == 0 {
		return t, nil
	}
	b, err := l.data(p, int(size))
	if err != nil {
		return nil, err
	}
	t.Raw = bytes.Clone(b)
	return t, nil
}

func (l *Library) readStrings(p uintptr, n int) ([]string, error) {
	out := make([]string, n)
	if n == 0 {
		return out, nil
	}
	var size uintptr
	if err := l.do(fnGetStringTensorDataLength, p, uintptr(unsafe.Pointer(&size))); err != nil {
		return nil, runError(err)
	}
	buf := make([]byte, size, size+1)
	offsets := make([]uintptr, n)
	if err := l.do(fnGetStringTensorContent, p, uintptr(unsafe.Pointer(unsafe.SliceData(buf))), size, uintptr(unsafe.Pointer(&offsets[0])), uintptr(n)); err != nil {
		return nil, runError(err)
	}
	for i := range offsets {
		end := size
		if i+1 < n {
			end = offsets[i+1]
		}
		out[i] = string(buf[offsets[i]:end])
	}
	return out, nil
}

func (l *Library) readMap(m uintptr) (tensor.Map, error) {
	var kind int32
	if err := l.do(fnGetValueType, m, uintptr(unsafe.Pointer(&kind))); err != nil {
		return tensor.Map{}, runError(err)
	}
	if kind != typeMap {
		return tensor.Map{}, fault.New(fault.EngineNeeded, "sequences of ONNX kind %d are not supported, want maps", kind)
	}
	part := func(i uintptr) (*tensor.Tensor, error) {
		var v uintptr
		if err := l.do(fnGetValue, m, i, l.allocator, uintptr(unsafe.Pointer(&v))); err != nil {
			return nil, runError(err)
		}
		defer l.free(fnReleaseValue, v)
		return l.readTensor(v)
	}
	keys, err := part(0)
	if err != nil {
		return tensor.Map{}, err
	}
	values, err := part(1)
	if err != nil {
		return tensor.Map{}, err
	}
	if values.DType != tensor.Float32 {
		return tensor.Map{}, fault.New(fault.EngineNeeded, "maps to %s are not supported, want float32", values.DType)
	}
	out := tensor.Map{Values: decode[float32](values.Raw)}
	switch keys.DType {
	case tensor.Int64:
		out.IntKeys = decode[int64](keys.Raw)
	case tensor.String:
		out.StringKeys = keys.Strings
	default:
		return tensor.Map{}, fault.New(fault.EngineNeeded, "maps from %s are not supported, want int64 or string", keys.DType)
	}
	return out, nil
}

// decode reads little-endian elements; all systems that this package supports are little-endian.
func decode[T float32 | int64](raw []byte) []T {
	var one T
	out := make([]T, len(raw)/int(unsafe.Sizeof(one)))
	if len(out) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&out[0])), len(raw)), raw)
	}
	return out
}

// encode is the inverse of decode.
func encode[T float32 | int64](v []T) []byte {
	if len(v) == 0 {
		return []byte{}
	}
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0]))))
}
