package ort

import (
	"bytes"
	"unsafe"

	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// newValue makes an OrtValue in the library's memory and copies the elements into it.
func (l *Library) newValue(v tensor.Value) (p uintptr, err error) {
	t := v.Tensor
	if t == nil {
		return 0, fault.New(fault.EngineNeeded, "only tensors can be inputs")
	}
	n := tensor.Elements(t.Shape)
	switch {
	case n < 0:
		return 0, fault.New(fault.Contract, "shape %v is not valid", t.Shape)
	case t.DType == tensor.String && int64(len(t.Strings)) != n:
		return 0, fault.New(fault.Contract, "%d strings, shape %v wants %d", len(t.Strings), t.Shape, n)
	case t.DType != tensor.String && (t.DType.Size() == 0 || int64(len(t.Raw)) != n*int64(t.DType.Size())):
		return 0, fault.New(fault.Contract, "%d bytes, shape %v of %s wants %d", len(t.Raw), t.Shape, t.DType, n*int64(t.DType.Size()))
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

func (l *Library) fillStrings(p uintptr, strings []string) error {
	for i, s := range strings {
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
func (l *Library) readValue(p uintptr) (tensor.Value, error) {
	if p == 0 {
		return tensor.Value{}, fault.New(fault.EngineNeeded, "the model left it out; optional outputs are not supported")
	}
	var kind int32
	if err := l.do(fnGetValueType, p, uintptr(unsafe.Pointer(&kind))); err != nil {
		return tensor.Value{}, runError(err)
	}
	switch kind {
	case typeTensor:
		t, err := l.readTensor(p)
		return tensor.Value{Tensor: t}, err
	case typeSequence:
		m, err := l.readMaps(p)
		return tensor.Value{Maps: m}, err
	}
	return tensor.Value{}, fault.New(fault.EngineNeeded, "values of ONNX kind %d are not supported, want a tensor or a sequence of maps", kind)
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
	if d.Size() == 0 {
		return nil, fault.New(fault.EngineNeeded, "element type %d is not supported", d)
	}
	t.Raw = []byte{}
	if n == 0 {
		return t, nil
	}
	b, err := l.data(p, int(n)*d.Size())
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

// readMaps reads a sequence of maps from int64 or string to float32, as ZipMap makes it.
func (l *Library) readMaps(p uintptr) ([]tensor.Map, error) {
	var n uintptr
	if err := l.do(fnGetValueCount, p, uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, runError(err)
	}
	maps := make([]tensor.Map, 0, n)
	for i := range n {
		var m uintptr
		if err := l.do(fnGetValue, p, i, l.allocator, uintptr(unsafe.Pointer(&m))); err != nil {
			return nil, runError(err)
		}
		out, err := l.readMap(m)
		l.free(fnReleaseValue, m)
		if err != nil {
			return nil, err
		}
		maps = append(maps, out)
	}
	return maps, nil
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
