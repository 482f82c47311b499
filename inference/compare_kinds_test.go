package inference

import (
	"math"
	"slices"
	"testing"

	"sluice/bundle"
	"sluice/inference/tensor"
)

// The ends of the four ranges and their special values, from table 1 of the ONNX page on float8.
func TestFloat8(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		d    tensor.DType
		bits byte
		want float64
	}{
		{tensor.Float8E4M3FN, 0x7e, 448}, {tensor.Float8E4M3FN, 0x7f, nan}, {tensor.Float8E4M3FN, 0xff, nan}, {tensor.Float8E4M3FN, 0x01, math.Ldexp(1, -9)},
		{tensor.Float8E4M3FN, 0x08, math.Ldexp(1, -6)}, {tensor.Float8E4M3FN, 0xb8, -1}, {tensor.Float8E4M3FN, 0x80, 0},
		{tensor.Float8E4M3FNUZ, 0x7f, 240}, {tensor.Float8E4M3FNUZ, 0x80, nan}, {tensor.Float8E4M3FNUZ, 0x01, math.Ldexp(1, -10)}, {tensor.Float8E4M3FNUZ, 0x40, 1},
		{tensor.Float8E5M2, 0x7b, 57344}, {tensor.Float8E5M2, 0x7c, inf}, {tensor.Float8E5M2, 0xfc, -inf}, {tensor.Float8E5M2, 0x7d, nan}, {tensor.Float8E5M2, 0x01, math.Ldexp(1, -16)},
		{tensor.Float8E5M2FNUZ, 0x7f, 57344}, {tensor.Float8E5M2FNUZ, 0x80, nan}, {tensor.Float8E5M2FNUZ, 0x01, math.Ldexp(1, -17)}, {tensor.Float8E5M2FNUZ, 0x40, 1},
	} {
		if got := float8(c.d, c.bits); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s %#02x: %v, want %v", c.d, c.bits, got, c.want)
		}
	}
}

func TestCompareFourBits(t *testing.T) {
	of := func(d tensor.DType, n int64, b ...byte) tensor.Value {
		return tensor.Value{Tensor: &tensor.Tensor{DType: d, Shape: []int64{n}, Raw: b}}
	}
	for name, c := range map[string]struct {
		got, want tensor.Value
		abs       float64
		pass      bool
	}{
		"equal":                 {of(tensor.Int4, 3, 0x2f, 0x01), of(tensor.Int4, 3, 0x2f, 0x01), 0, true},
		"the last half byte":    {of(tensor.Int4, 3, 0x2f, 0xf1), of(tensor.Int4, 3, 0x2f, 0x01), 0, true},
		"signed":                {of(tensor.Int4, 2, 0x0f), of(tensor.Int4, 2, 0x01), 2, true},
		"unsigned":              {of(tensor.Uint4, 2, 0x0f), of(tensor.Uint4, 2, 0x01), 2, false},
		"the second of the two": {of(tensor.Uint4, 2, 0x10), of(tensor.Uint4, 2, 0x00), 0, false},
		"short":                 {of(tensor.Uint4, 3, 0x10), of(tensor.Uint4, 3, 0x10, 0), 9, false},
	} {
		if got := compare(c.got, c.want, bundle.Tolerance{Abs: c.abs}); (got.reason == "") != c.pass {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCompareSequencesAndOptionals(t *testing.T) {
	list := func(t ...*tensor.Tensor) tensor.Value {
		return tensor.Value{Sequence: append([]*tensor.Tensor{}, t...)}
	}
	for name, c := range map[string]struct {
		got, want tensor.Value
		pass      bool
	}{
		"equal":              {list(f32s(1), f32s(2, 3)), list(f32s(1), f32s(2, 3)), true},
		"both empty":         {list(), list(), true},
		"second differs":     {list(f32s(1), f32s(2, 9)), list(f32s(1), f32s(2, 3)), false},
		"fewer":              {list(f32s(1)), list(f32s(1), f32s(2, 3)), false},
		"other shape":        {list(f32s(1, 2)), list(f32s(1)), false},
		"tensor for list":    {tensor.Value{Tensor: f32s(1)}, list(f32s(1)), false},
		"maps for list":      {tensor.Value{Maps: []tensor.Map{}}, list(), false},
		"nothing, as wanted": {tensor.Value{Empty: true}, tensor.Value{Empty: true}, true},
		"nothing for list":   {tensor.Value{Empty: true}, list(), false},
		"list for nothing":   {list(), tensor.Value{Empty: true}, false},
		"no value at all":    {tensor.Value{}, tensor.Value{}, false},
	} {
		if got := compare(c.got, c.want, bundle.Tolerance{Abs: .1}); (got.reason == "") != c.pass {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := compare(list(f32s(1), f32s(2, 9)), list(f32s(1), f32s(2, 3)), bundle.Tolerance{})
	if !slices.Equal(got.worst.Index, []int64{1, 1}) || got.worstAbs != 6 || got.elements != 3 || got.wrong != 1 {
		t.Errorf("%+v", got)
	}
}
