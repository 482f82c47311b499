package inference

import (
	"fmt"
	"math"

	"sluice/bundle"
	"sluice/inference/tensor"
)

const kindNone = "nothing at all"

// kindOf names what an output is.
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
	return kindNone
}

// compareSequences compares tensor by tensor; an index begins with the number of the tensor.
func compareSequences(got, want tensor.Value, tol bundle.Tolerance) comparison {
	if len(got.Sequence) != len(want.Sequence) {
		return otherForm(got, want, fmt.Sprintf("has %d tensors, want %d", len(got.Sequence), len(want.Sequence)))
	}
	all := comparison{at: -1, worst: Element{Expected: form(want), Got: form(got)}}
	for i := range want.Sequence {
		c := compareTensors(got.Sequence[i], want.Sequence[i], tol)
		all.elements, all.wrong = all.elements+c.elements, all.wrong+c.wrong
		all.worstAbs, all.worstRel = max(all.worstAbs, c.worstAbs), max(all.worstRel, c.worstRel)
		all.nan, all.inf = all.nan || c.nan, all.inf || c.inf
		if all.at >= 0 && !c.rank.worse(all.rank) {
			continue
		}
		all.at, all.rank, all.worst, all.reason = int64(i), c.rank, c.worst, c.reason
		all.worst.Index = append([]int64{int64(i)}, c.worst.Index...)
	}
	return all
}

// unpacked gives 4-bit integers as 8-bit ones and every other tensor as it is.
func unpacked(t *tensor.Tensor, n int64) *tensor.Tensor {
	if t.DType != tensor.Int4 && t.DType != tensor.Uint4 {
		return t
	}
	out := &tensor.Tensor{DType: tensor.Uint8, Shape: t.Shape, Raw: make([]byte, n)}
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
