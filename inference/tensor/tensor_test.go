package tensor

import (
	"math"
	"testing"
)

func TestElementTypes(t *testing.T) {
	for d := Undefined + 1; d <= Int4; d++ {
		back, ok := ParseDType(d.String())
		if !ok || back != d {
			t.Errorf("type %d is written %q and read as %d", d, d, back)
		}
		if d != String && d.Bytes(4) <= 0 {
			t.Errorf("four elements of %s take %d bytes", d, d.Bytes(4))
		}
	}
	if _, ok := ParseDType("undefined"); ok || (Int4+1).String() != "undefined" {
		t.Error("what is no type has a name")
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		d       DType
		n, want int64
	}{
		{Float32, 3, 12}, {Float32, 0, 0}, {Float8E5M2, 3, 3}, {Int4, 0, 0}, {Int4, 1, 1}, {Uint4, 4, 2}, {Int4, 5, 3}, {Int4, math.MaxInt64, 1 << 62},
		{Complex128, 2, 32}, {String, 2, -1}, {Undefined, 2, -1}, {Float32, -1, -1}, {Int4, -1, -1}, {Float64, math.MaxInt64, -1},
	} {
		if got := c.d.Bytes(c.n); got != c.want {
			t.Errorf("%d elements of %s: %d bytes, want %d", c.n, c.d, got, c.want)
		}
	}
}

func TestElements(t *testing.T) {
	for _, c := range []struct {
		shape []int64
		want  int64
	}{{nil, 1}, {[]int64{2, 3}, 6}, {[]int64{1 << 40, 0}, 0}, {[]int64{-1, 2}, -1}, {[]int64{1 << 40, 1 << 40}, -1}} {
		if got := Elements(c.shape); got != c.want {
			t.Errorf("%v: %d, want %d", c.shape, got, c.want)
		}
	}
}
