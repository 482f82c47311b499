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
	elements, wrong    int64
	nan, inf           bool // got, where none was expected
	rank               rank
	at                 int64 // number of the worst element; -1: none
	worst              Element
	reason             string // empty: equal within the tolerance
}

// rank orders elements from harmless to worst: first by what is wrong, then by how much of the tolerance is used up, then
// by the plain difference.
type rank struct {
	kind        int
	share, diff float64
}

// Kinds of a rank.
const (
	rankNone   = iota // nothing to measure
	rankWithin        // within the tolerance
	rankBeyond        // outside it
	rankOther         // NaN, infinity, another string, another truth value
	rankForm          // another type, shape, kind or number of keys
)

func (r rank) worse(o rank) bool {
	switch {
	case r.kind != o.kind:
		return r.kind > o.kind
	case r.share != o.share:
		return r.share > o.share
	}
	return r.diff > o.diff
}

// compare holds got against want: shapes and element types exactly; elements |got-want| <= abs + rel*|want|; NaN equals
// only NaN, an infinity only itself; strings and booleans exactly, integers exactly unless the tolerance allows a difference.
func compare(got, want tensor.Value, tol bundle.Tolerance) comparison {
	g, w := kindOf(got), kindOf(want)
	switch {
	case g != w || w == kindNone:
		return otherForm(got, want, fmt.Sprintf("is %s, want %s", g, w))
	case want.Tensor != nil:
		return compareTensors(got.Tensor, want.Tensor, tol)
	case want.Sequence != nil:
		return compareSequences(got, want, tol)
	case want.Empty:
		return comparison{at: -1, worst: Element{Expected: form(want), Got: form(got)}}
	}
	return compareMaps(got.Maps, want.Maps, tol)
}

// otherForm is an output of which no element can be compared.
func otherForm(got, want tensor.Value, reason string) comparison {
	return comparison{rank: rank{kind: rankForm}, at: -1, reason: reason, wrong: 1, worst: Element{Expected: form(want), Got: form(got)}}
}

// form is an output's type and shape.
func form(v tensor.Value) Sample {
	switch {
	case v.Tensor != nil:
		return Sample{DType: v.Tensor.DType.String(), Shape: append([]int64{}, v.Tensor.Shape...)}
	case len(v.Sequence) > 0:
		return Sample{DType: "sequence(" + v.Sequence[0].DType.String() + ")", Shape: []int64{int64(len(v.Sequence))}}
	case v.Maps == nil:
		return Sample{Shape: []int64{}}
	}
	key := "int64"
	if len(v.Maps) > 0 && len(v.Maps[0].StringKeys) > 0 {
		key = "string"
	}
	return Sample{DType: "sequence(map(" + key + ",float32))", Shape: []int64{int64(len(v.Maps))}}
}

func compareTensors(got, want *tensor.Tensor, tol bundle.Tolerance) comparison {
	g, w := tensor.Value{Tensor: got}, tensor.Value{Tensor: want}
	if got.DType != want.DType {
		return otherForm(g, w, fmt.Sprintf("has element type %s, want %s", got.DType, want.DType))
	}
	if !slices.Equal(got.Shape, want.Shape) {
		return otherForm(g, w, fmt.Sprintf("has shape %v, want %v", got.Shape, want.Shape))
	}
	n := tensor.Elements(want.Shape)
	if n < 0 || !holds(got, n) || !holds(want, n) {
		return otherForm(g, w, fmt.Sprintf("does not hold the elements of shape %v", want.Shape))
	}
	c := comparison{at: -1, elements: n, worst: Element{Expected: form(w), Got: form(g)}}
	got, want = unpacked(got, n), unpacked(want, n)
	if want.DType == tensor.String {
		for i := range want.Strings {
			if c.step(int64(i)); got.Strings[i] != want.Strings[i] {
				c.other(int64(i))
			}
		}
	} else {
		c.tensors(got, want, n, tol)
	}
	if c.at >= 0 {
		c.worst.Index = position(c.at, want.Shape)
		c.worst.Expected.Value, c.worst.Got.Value = valueText(want, c.at), valueText(got, c.at)
	}
	c.explain(tol)
	return c
}

func holds(t *tensor.Tensor, n int64) bool {
	if t.DType == tensor.String {
		return int64(len(t.Strings)) == n
	}
	return t.DType.Bytes(n) >= 0 && int64(len(t.Raw)) == t.DType.Bytes(n)
}

func (c *comparison) tensors(got, want *tensor.Tensor, n int64, tol bundle.Tolerance) {
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
		if i%parts == 0 {
			c.step(i / parts)
		}
		g, w := got.Raw[i*size:(i+1)*size], want.Raw[i*size:(i+1)*size]
		if isInteger(part) {
			c.integers(i/parts, part, g, w, tol)
		} else {
			c.floats(i/parts, float(part, g), float(part, w), tol)
		}
	}
}

// step begins element i. The first one stands for all while they are equal.
func (c *comparison) step(i int64) {
	if c.at < 0 {
		c.at = i
	}
}

func (c *comparison) floats(i int64, g, w float64, tol bundle.Tolerance) {
	switch {
	case math.IsNaN(g) && !math.IsNaN(w):
		c.nan = true
		c.other(i)
	case math.IsNaN(g) != math.IsNaN(w):
		c.other(i)
	case math.IsNaN(w):
	case g == w && math.IsInf(w, 0):
	case math.IsInf(g, 0) || math.IsInf(w, 0):
		c.inf = c.inf || math.IsInf(g, 0) && !math.IsInf(w, 0)
		c.worstAbs, c.worstRel = math.MaxFloat64, math.MaxFloat64
		c.other(i)
	default:
		c.difference(i, w, math.Abs(g-w), tol)
	}
}

func (c *comparison) integers(i int64, d tensor.DType, g, w []byte, tol bundle.Tolerance) {
	gi, gu := integer(d, g)
	wi, wu := integer(d, w)
	switch {
	case d == tensor.Bool && gu == wu:
	case d == tensor.Bool:
		c.other(i)
	case d == tensor.Uint64 || d == tensor.Uint32 || d == tensor.Uint16 || d == tensor.Uint8:
		c.difference(i, float64(wu), float64(max(gu, wu)-min(gu, wu)), tol)
	default:
		c.difference(i, float64(wi), float64(uint64(max(gi, wi))-uint64(min(gi, wi))), tol)
	}
}

func (c *comparison) difference(i int64, w, diff float64, tol bundle.Tolerance) {
	if math.IsInf(diff, 0) {
		diff = math.MaxFloat64
	}
	allowed := min(tol.Abs+tol.Rel*math.Abs(w), math.MaxFloat64)
	c.worstAbs = max(c.worstAbs, diff)
	if w != 0 {
		c.worstRel = max(c.worstRel, min(diff/math.Abs(w), math.MaxFloat64))
	}
	e := Element{Diff: diff, Allowed: allowed}
	r := rank{kind: rankWithin, share: e.share(), diff: diff}
	if !(diff <= allowed) {
		r.kind = rankBeyond
		c.wrong++
	}
	if r.worse(c.rank) {
		c.rank, c.at, c.worst.Diff, c.worst.Allowed = r, i, diff, allowed
	}
}

// other notes an element that no number of a tolerance covers; the first one stays.
func (c *comparison) other(i int64) {
	c.wrong++
	if r := (rank{kind: rankOther}); r.worse(c.rank) {
		c.rank, c.at, c.worst.Diff, c.worst.Allowed = r, i, 0, 0
	}
}

// explain says what is wrong at the worst element.
func (c *comparison) explain(tol bundle.Tolerance) {
	e := &c.worst
	switch c.rank.kind {
	case rankOther:
		c.reason = fmt.Sprintf("%s, want %s", e.Got.Value, e.Expected.Value)
	case rankBeyond:
		c.reason = fmt.Sprintf("%s, want %s (difference %.3g, tolerance %g + %g * |want|)", e.Got.Value, e.Expected.Value, e.Diff, tol.Abs, tol.Rel)
	}
	if c.reason != "" && c.wrong > 1 {
		c.reason += fmt.Sprintf("; %d of %d elements are wrong", c.wrong, c.elements)
	}
}

// maxValue limits a value's text, in characters.
const maxValue = 100

// valueText writes one element.
func valueText(t *tensor.Tensor, i int64) string {
	if t.DType == tensor.String {
		return fmt.Sprintf("%.*q", maxValue, t.Strings[i])
	}
	size := int64(t.DType.Size())
	raw := t.Raw[i*size : (i+1)*size]
	switch t.DType {
	case tensor.Bool:
		return fmt.Sprint(raw[0] != 0)
	case tensor.Float32: // as short as float32 allows
		return fmt.Sprint(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	case tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ:
		return fmt.Sprint(float(t.DType, raw))
	case tensor.Complex64:
		return fmt.Sprint(complex(float(tensor.Float32, raw[:4]), float(tensor.Float32, raw[4:])))
	case tensor.Complex128:
		return fmt.Sprint(complex(float(tensor.Float64, raw[:8]), float(tensor.Float64, raw[8:])))
	case tensor.Uint64, tensor.Uint32, tensor.Uint16, tensor.Uint8:
		_, u := integer(t.DType, raw)
		return fmt.Sprint(u)
	}
	n, _ := integer(t.DType, raw)
	return fmt.Sprint(n)
}

func compareMaps(got, want []tensor.Map, tol bundle.Tolerance) comparison {
	gv, wv := tensor.Value{Maps: got}, tensor.Value{Maps: want}
	if len(got) != len(want) {
		return otherForm(gv, wv, fmt.Sprintf("has %d maps, want %d", len(got), len(want)))
	}
	c := comparison{at: -1, worst: Element{Expected: form(wv), Got: form(gv)}}
	crooked := func(i int, reason string) comparison {
		out := otherForm(gv, wv, reason)
		out.worst.Index = []int64{int64(i)}
		return out
	}
	var texts [2]string // of the worst value, got and want
	for i := range want {
		g, err := byKey(got[i])
		if err != nil {
			return crooked(i, err.Error())
		}
		w, err := byKey(want[i])
		if err != nil {
			return crooked(i, "expected output: "+err.Error())
		}
		if len(g) != len(w) {
			return crooked(i, fmt.Sprintf("map has %d keys, want %d", len(g), len(w)))
		}
		for _, k := range keys(want[i]) {
			have, ok := g[k]
			if !ok {
				return crooked(i, fmt.Sprintf("map lacks key %.*s", maxValue, fmt.Sprint(k)))
			}
			before, first := c.rank, c.at < 0
			c.elements++
			c.step(int64(i))
			if c.floats(int64(i), float64(have), float64(w[k]), tol); first || c.rank.worse(before) {
				key := fmt.Sprintf("%.*s", maxValue, fmt.Sprint(k))
				texts = [2]string{fmt.Sprintf("%s: %v", key, have), fmt.Sprintf("%s: %v", key, w[k])}
			}
		}
	}
	if c.at >= 0 {
		c.worst.Index, c.worst.Got.Value, c.worst.Expected.Value = []int64{c.at}, texts[0], texts[1]
	}
	c.explain(tol)
	return c
}

// keys are a map's in its own order, so that equal runs tell of the same element.
func keys(m tensor.Map) []any {
	out := make([]any, 0, len(m.Values))
	for _, k := range m.IntKeys {
		out = append(out, k)
	}
	for _, k := range m.StringKeys {
		out = append(out, k)
	}
	return out
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
