package inference

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"sluice/bundle"
	"sluice/inference/tensor"
)

// comparison is how far an output lies from what was expected.
type comparison struct {
	worstAbs, worstRel float64 // finite; the largest finite number stands for an infinite difference
	at                 []int64 // index of the first element that failed, else of the worst one
	nan                bool
	reason             string // empty: equal within the tolerance
}

// compare holds got against want: shapes and element types exactly; elements |got-want| <= abs + rel*|want|; NaN equals
// only NaN, an infinity only itself; strings and booleans exactly, integers exactly unless the tolerance allows a difference.
func compare(got, want tensor.Value, tol bundle.Tolerance) comparison {
	g, w := kindOf(got), kindOf(want)
	switch {
	case g != w || w == "nothing at all":
		return comparison{reason: fmt.Sprintf("is %s, want %s", g, w)}
	case want.Tensor != nil:
		return compareTensors(got.Tensor, want.Tensor, tol)
	case want.Sequence != nil:
		return compareSequences(got.Sequence, want.Sequence, tol)
	case want.Empty:
		return comparison{}
	}
	return compareMaps(got.Maps, want.Maps, tol)
}

func kindOf(v tensor.Value) string {
	switch {
	case v.Tensor != nil:
		return "a tensor"
	case v.Sequence != nil:
		return "a sequence of tensors"
	case v.Maps != nil:
		return "a sequence of maps"
	case v.Empty:
		return "an empty optional"
	}
	return "nothing at all"
}

// compareSequences compares element by element; positions begin with the number of the element.
func compareSequences(got, want []*tensor.Tensor, tol bundle.Tolerance) comparison {
	if len(got) != len(want) {
		return comparison{reason: fmt.Sprintf("has %d tensors, want %d", len(got), len(want))}
	}
	all := comparison{}
	for i := range want {
		c := compareTensors(got[i], want[i], tol)
		if all.reason == "" && (c.reason != "" || c.worstAbs > all.worstAbs) {
			all.at, all.reason = append([]int64{int64(i)}, c.at...), c.reason
		}
		all.worstAbs, all.worstRel = max(all.worstAbs, c.worstAbs), max(all.worstRel, c.worstRel)
		all.nan = all.nan || c.nan
	}
	return all
}

func compareTensors(got, want *tensor.Tensor, tol bundle.Tolerance) comparison {
	if got.DType != want.DType {
		return comparison{reason: fmt.Sprintf("has element type %s, want %s", got.DType, want.DType)}
	}
	if !slices.Equal(got.Shape, want.Shape) {
		return comparison{reason: fmt.Sprintf("has shape %v, want %v", got.Shape, want.Shape)}
	}
	n := tensor.Elements(want.Shape)
	if n < 0 || !holds(got, n) || !holds(want, n) {
		return comparison{reason: fmt.Sprintf("does not hold the elements of shape %v", want.Shape)}
	}
	c := comparison{}
	if want.DType == tensor.String {
		for i := range want.Strings {
			if got.Strings[i] != want.Strings[i] {
				c.fail(int64(i), fmt.Sprintf("%.100q, want %.100q", got.Strings[i], want.Strings[i]))
			}
		}
	} else {
		c.elements(got, want, n, tol)
	}
	if len(c.at) == 1 {
		c.at = position(c.at[0], want.Shape)
	}
	return c
}

func holds(t *tensor.Tensor, n int64) bool {
	if t.DType == tensor.String {
		return int64(len(t.Strings)) == n
	}
	return t.DType.Bytes(n) >= 0 && int64(len(t.Raw)) == t.DType.Bytes(n)
}

func (c *comparison) elements(got, want *tensor.Tensor, n int64, tol bundle.Tolerance) {
	if want.DType == tensor.Int4 || want.DType == tensor.Uint4 {
		got, want = unpacked(got, n), unpacked(want, n)
	}
	size := int64(want.DType.Size())
	parts := int64(1) // of one element: complex numbers are compared part by part
	part := want.DType
	switch part {
	case tensor.Complex64:
		part, parts = tensor.Float32, 2
	case tensor.Complex128:
		part, parts = tensor.Float64, 2
	}
	size /= parts
	for i := range n * parts {
		g, w := got.Raw[i*size:(i+1)*size], want.Raw[i*size:(i+1)*size]
		if isInteger(part) {
			c.integers(i/parts, part, g, w, tol)
		} else {
			c.floats(i/parts, float(part, g), float(part, w), tol)
		}
	}
}

// unpacked gives 4-bit integers as 8-bit ones.
func unpacked(t *tensor.Tensor, n int64) *tensor.Tensor {
	out := &tensor.Tensor{DType: tensor.Uint8, Raw: make([]byte, n)}
	for i := range out.Raw {
		out.Raw[i] = t.Raw[i/2] >> (4 * (i % 2)) & 0xf
	}
	if t.DType == tensor.Int4 {
		out.DType = tensor.Int8
		for i, b := range out.Raw {
			out.Raw[i] = byte(int8(b<<4) >> 4)
		}
	}
	return out
}

func (c *comparison) floats(i int64, g, w float64, tol bundle.Tolerance) {
	switch {
	case math.IsNaN(g) && !math.IsNaN(w):
		c.nan = true
		c.fail(i, fmt.Sprintf("NaN, want %v", w))
	case math.IsNaN(g) != math.IsNaN(w):
		c.fail(i, fmt.Sprintf("%v, want NaN", g))
	case math.IsNaN(w), g == w:
	case math.IsInf(g, 0) || math.IsInf(w, 0):
		c.worstAbs, c.worstRel = math.MaxFloat64, math.MaxFloat64
		c.fail(i, fmt.Sprintf("%v, want %v", g, w))
	default:
		c.difference(i, g, w, math.Abs(g-w), tol)
	}
}

func (c *comparison) integers(i int64, d tensor.DType, g, w []byte, tol bundle.Tolerance) {
	gi, gu := integer(d, g)
	wi, wu := integer(d, w)
	if gi == wi && gu == wu {
		return
	}
	if d == tensor.Bool {
		c.fail(i, fmt.Sprintf("%v, want %v", gu != 0, wu != 0))
		return
	}
	if d == tensor.Uint64 || d == tensor.Uint32 || d == tensor.Uint16 || d == tensor.Uint8 {
		c.difference(i, float64(gu), float64(wu), float64(max(gu, wu)-min(gu, wu)), tol)
		return
	}
	c.difference(i, float64(gi), float64(wi), float64(uint64(max(gi, wi))-uint64(min(gi, wi))), tol)
}

func (c *comparison) difference(i int64, g, w, diff float64, tol bundle.Tolerance) {
	if math.IsInf(diff, 0) {
		diff = math.MaxFloat64
	}
	c.note(i, diff, w)
	if !(diff <= tol.Abs+tol.Rel*math.Abs(w)) {
		c.fail(i, fmt.Sprintf("%v, want %v (difference %.3g, tolerance %g + %g * |want|)", g, w, diff, tol.Abs, tol.Rel))
	}
}

func (c *comparison) note(i int64, diff, w float64) {
	if diff > c.worstAbs {
		c.worstAbs = diff
		if c.reason == "" {
			c.at = []int64{i}
		}
	}
	if w != 0 {
		c.worstRel = max(c.worstRel, min(diff/math.Abs(w), math.MaxFloat64))
	}
}

// fail keeps the first failure.
func (c *comparison) fail(i int64, reason string) {
	if c.reason == "" {
		c.at, c.reason = []int64{i}, reason
	}
}

func compareMaps(got, want []tensor.Map, tol bundle.Tolerance) comparison {
	if len(got) != len(want) {
		return comparison{reason: fmt.Sprintf("has %d maps, want %d", len(got), len(want))}
	}
	c := comparison{}
	for i := range want {
		g, err := byKey(got[i])
		if err != nil {
			return comparison{at: []int64{int64(i)}, reason: err.Error()}
		}
		w, err := byKey(want[i])
		if err != nil {
			return comparison{at: []int64{int64(i)}, reason: "expected output: " + err.Error()}
		}
		if len(g) != len(w) {
			c.fail(int64(i), fmt.Sprintf("map has %d keys, want %d", len(g), len(w)))
			continue
		}
		for k, wv := range w {
			gv, ok := g[k]
			if !ok {
				c.fail(int64(i), fmt.Sprintf("map lacks key %v", k))
				continue
			}
			c.floats(int64(i), float64(gv), float64(wv), tol)
		}
	}
	return c
}

func byKey(m tensor.Map) (map[any]float32, error) {
	out := make(map[any]float32, len(m.Values))
	if len(m.IntKeys)+len(m.StringKeys) != len(m.Values) || len(m.IntKeys) > 0 && len(m.StringKeys) > 0 {
		return nil, fmt.Errorf("map has %d keys for %d values", len(m.IntKeys)+len(m.StringKeys), len(m.Values))
	}
	for i, k := range m.IntKeys {
		out[k] = m.Values[i]
	}
	for i, k := range m.StringKeys {
		out[k] = m.Values[i]
	}
	if len(out) != len(m.Values) {
		return nil, fmt.Errorf("map has a key twice")
	}
	return out, nil
}

func position(i int64, shape []int64) []int64 {
	out := make([]int64, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		out[d] = i % shape[d]
		i /= shape[d]
	}
	return out
}

func isInteger(d tensor.DType) bool {
	switch d {
	case tensor.Float16, tensor.BFloat16, tensor.Float32, tensor.Float64,
		tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ:
		return false
	}
	return true
}

func integer(d tensor.DType, b []byte) (int64, uint64) {
	switch d {
	case tensor.Int8:
		return int64(int8(b[0])), 0
	case tensor.Int16:
		return int64(int16(binary.LittleEndian.Uint16(b))), 0
	case tensor.Int32:
		return int64(int32(binary.LittleEndian.Uint32(b))), 0
	case tensor.Int64:
		return int64(binary.LittleEndian.Uint64(b)), 0
	case tensor.Uint16:
		return 0, uint64(binary.LittleEndian.Uint16(b))
	case tensor.Uint32:
		return 0, uint64(binary.LittleEndian.Uint32(b))
	case tensor.Uint64:
		return 0, binary.LittleEndian.Uint64(b)
	}
	return 0, uint64(b[0]) // uint8, bool
}

func float(d tensor.DType, b []byte) float64 {
	switch d {
	case tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ:
		return float8(d, b[0])
	case tensor.Float16:
		return half(binary.LittleEndian.Uint16(b))
	case tensor.BFloat16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	case tensor.Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// half decodes IEEE 754 binary16.
func half(h uint16) float64 {
	sign := 1.0
	if h>>15 != 0 {
		sign = -1
	}
	exp, frac := int(h>>10&0x1f), float64(h&0x3ff)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 0x1f:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

// float8 decodes the four 8-bit formats of the ONNX standard (arXiv 2209.05433 and 2206.02915). Those that end in UZ have no
// negative zero, whose bits are their NaN; only E5M2 has infinities.
func float8(d tensor.DType, b byte) float64 {
	mantissa, bias := 3, 7
	switch d {
	case tensor.Float8E4M3FNUZ:
		bias = 8
	case tensor.Float8E5M2:
		mantissa, bias = 2, 15
	case tensor.Float8E5M2FNUZ:
		mantissa, bias = 2, 16
	}
	sign := 1.0
	if b>>7 != 0 {
		sign = -1
	}
	magnitude := b & 0x7f
	exp, frac := int(magnitude>>mantissa), float64(magnitude&(1<<mantissa-1))
	unsignedZero := d == tensor.Float8E4M3FNUZ || d == tensor.Float8E5M2FNUZ
	switch {
	case unsignedZero && b == 0x80, d == tensor.Float8E4M3FN && magnitude == 0x7f, d == tensor.Float8E5M2 && magnitude > 0x7c:
		return math.NaN()
	case d == tensor.Float8E5M2 && magnitude == 0x7c:
		return math.Inf(int(sign))
	case exp == 0:
		return sign * math.Ldexp(frac, 1-bias-mantissa)
	}
	return sign * math.Ldexp(1+frac/float64(int(1)<<mantissa), exp-bias)
}
