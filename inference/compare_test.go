package inference

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"sluice/bundle"
	"sluice/inference/tensor"
)

func f32s(v ...float32) *tensor.Tensor {
	t := &tensor.Tensor{DType: tensor.Float32, Shape: []int64{int64(len(v))}, Raw: []byte{}}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint32(t.Raw, math.Float32bits(x))
	}
	return t
}

func bits16(d tensor.DType, v ...uint16) *tensor.Tensor {
	t := &tensor.Tensor{DType: d, Shape: []int64{int64(len(v))}, Raw: []byte{}}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint16(t.Raw, x)
	}
	return t
}

func i64s(v ...int64) *tensor.Tensor {
	t := &tensor.Tensor{DType: tensor.Int64, Shape: []int64{int64(len(v))}, Raw: []byte{}}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint64(t.Raw, uint64(x))
	}
	return t
}

func bytesOf(d tensor.DType, v ...byte) *tensor.Tensor {
	return &tensor.Tensor{DType: d, Shape: []int64{int64(len(v))}, Raw: v}
}

func texts(v ...string) *tensor.Tensor {
	return &tensor.Tensor{DType: tensor.String, Shape: []int64{int64(len(v))}, Strings: v}
}

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	scalar := f32s(1)
	scalar.Shape = []int64{}
	for _, c := range []struct {
		name      string
		got, want *tensor.Tensor
		tol       bundle.Tolerance
		pass      bool
	}{
		{"equal", f32s(1, 2), f32s(1, 2), bundle.Tolerance{}, true},
		{"empty", f32s(), f32s(), bundle.Tolerance{}, true},
		{"within abs", f32s(1.25), f32s(1), bundle.Tolerance{Abs: .25}, true},
		{"beyond abs", f32s(1.5), f32s(1), bundle.Tolerance{Abs: .25}, false},
		{"within rel", f32s(110), f32s(100), bundle.Tolerance{Rel: .1}, true},
		{"rel is of want, not of got", f32s(100), f32s(90), bundle.Tolerance{Rel: .1}, false},
		{"abs and rel add up", f32s(111), f32s(100), bundle.Tolerance{Abs: 1, Rel: .1}, true},
		{"one bit", f32s(math.Nextafter32(1, 2)), f32s(1), bundle.Tolerance{}, false},
		{"minus zero", f32s(float32(math.Copysign(0, -1))), f32s(0), bundle.Tolerance{}, true},
		{"NaN", f32s(nan), f32s(1), bundle.Tolerance{Abs: 1e9}, false},
		{"want NaN", f32s(1), f32s(nan), bundle.Tolerance{Abs: 1e9}, false},
		{"both NaN", f32s(nan), f32s(nan), bundle.Tolerance{}, true},
		{"both infinite", f32s(inf), f32s(inf), bundle.Tolerance{}, true},
		{"other infinity", f32s(-inf), f32s(inf), bundle.Tolerance{Abs: 1e300, Rel: 1e300}, false},
		{"infinite", f32s(inf), f32s(1), bundle.Tolerance{Abs: 1e300}, false},
		{"want infinite", f32s(1), f32s(inf), bundle.Tolerance{Rel: 1}, false},
		{"shape", scalar, f32s(1), bundle.Tolerance{Abs: 9}, false},
		{"dtype", bits16(tensor.Float16, 0), bits16(tensor.BFloat16, 0), bundle.Tolerance{Abs: 9}, false},
		{"short", &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}, Raw: []byte{0}}, f32s(1, 2), bundle.Tolerance{Abs: 9}, false},
		{"half", bits16(tensor.Float16, 0x3c01), bits16(tensor.Float16, 0x3c00), bundle.Tolerance{Abs: .001}, true},
		{"half NaN", bits16(tensor.Float16, 0x7e00), bits16(tensor.Float16, 0x3c00), bundle.Tolerance{Abs: 9}, false},
		{"bfloat16", bits16(tensor.BFloat16, 0x3f81), bits16(tensor.BFloat16, 0x3f80), bundle.Tolerance{Abs: .01}, true},
		{"bfloat16 beyond", bits16(tensor.BFloat16, 0x3f81), bits16(tensor.BFloat16, 0x3f80), bundle.Tolerance{Abs: .001}, false},
		{"integers", i64s(1, -1), i64s(1, -1), bundle.Tolerance{}, true},
		{"integer off by one", i64s(2), i64s(1), bundle.Tolerance{}, false},
		{"integer off by one, allowed", i64s(2), i64s(1), bundle.Tolerance{Abs: 1}, true},
		{"large integers", i64s(math.MaxInt64), i64s(math.MaxInt64 - 1), bundle.Tolerance{}, false},
		{"far integers", i64s(math.MaxInt64), i64s(math.MinInt64), bundle.Tolerance{Abs: 1e18}, false},
		{"int8", bytesOf(tensor.Int8, 0xff), bytesOf(tensor.Int8, 1), bundle.Tolerance{Abs: 2}, true},
		{"uint8", bytesOf(tensor.Uint8, 0xff), bytesOf(tensor.Uint8, 1), bundle.Tolerance{Abs: 2}, false},
		{"bool", bytesOf(tensor.Bool, 1), bytesOf(tensor.Bool, 0), bundle.Tolerance{Abs: 9}, false},
		{"strings", texts("a", "b"), texts("a", "b"), bundle.Tolerance{}, true},
		{"other string", texts("a", "b"), texts("a", "c"), bundle.Tolerance{Abs: 9}, false},
	} {
		got := compare(tensor.Value{Tensor: c.got}, tensor.Value{Tensor: c.want}, c.tol)
		if (got.reason == "") != c.pass {
			t.Errorf("%s: %+v", c.name, got)
		}
		if math.IsInf(got.worstAbs, 0) || math.IsNaN(got.worstAbs) || math.IsInf(got.worstRel, 0) || math.IsNaN(got.worstRel) {
			t.Errorf("%s: %+v cannot be written as JSON", c.name, got)
		}
	}
}

func TestCompareSaysWhere(t *testing.T) {
	got, want := f32s(1, 2, 3, 4.5, 5, 6), f32s(1, 2, 3, 4, 5, 8)
	got.Shape, want.Shape = []int64{2, 3}, []int64{2, 3}
	c := compare(tensor.Value{Tensor: got}, tensor.Value{Tensor: want}, bundle.Tolerance{Abs: 1})
	if c.reason == "" || !slices.Equal(c.worst.Index, []int64{1, 2}) || c.worstAbs != 2 || c.worstRel != .25 {
		t.Errorf("%+v", c)
	}
	c = compare(tensor.Value{Tensor: got}, tensor.Value{Tensor: want}, bundle.Tolerance{Abs: 2})
	if c.reason != "" || !slices.Equal(c.worst.Index, []int64{1, 2}) {
		t.Errorf("%+v", c)
	}
}

func TestCompareMaps(t *testing.T) {
	want := []tensor.Map{{IntKeys: []int64{1, 2}, Values: []float32{.5, .25}}}
	for name, c := range map[string]struct {
		got  []tensor.Map
		pass bool
	}{
		"equal":       {want, true},
		"other order": {[]tensor.Map{{IntKeys: []int64{2, 1}, Values: []float32{.25, .5}}}, true},
		"value":       {[]tensor.Map{{IntKeys: []int64{1, 2}, Values: []float32{.5, .26}}}, false},
		"key":         {[]tensor.Map{{IntKeys: []int64{1, 3}, Values: []float32{.5, .25}}}, false},
		"key type":    {[]tensor.Map{{StringKeys: []string{"1", "2"}, Values: []float32{.5, .25}}}, false},
		"key twice":   {[]tensor.Map{{IntKeys: []int64{1, 1}, Values: []float32{.5, .25}}}, false},
		"too few":     {[]tensor.Map{{IntKeys: []int64{1}, Values: []float32{.5}}}, false},
		"none":        {nil, false},
		"crooked":     {[]tensor.Map{{IntKeys: []int64{1, 2}, Values: []float32{.5}}}, false},
	} {
		if got := compare(tensor.Value{Maps: c.got}, tensor.Value{Maps: want}, bundle.Tolerance{Abs: .001}); (got.reason == "") != c.pass {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if c := compare(tensor.Value{Maps: want}, tensor.Value{Tensor: f32s(1)}, bundle.Tolerance{}); c.reason == "" {
		t.Error("maps passed for a tensor")
	}
	if c := compare(tensor.Value{Tensor: f32s(1)}, tensor.Value{Maps: want}, bundle.Tolerance{}); c.reason == "" {
		t.Error("a tensor passed for maps")
	}
}

func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: math.Ldexp(1, -24), 0x3555: 0.333251953125,
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1)} {
		if got := half(bits); got != want {
			t.Errorf("%#04x: got %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("0x7e00 is not NaN")
	}
}

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		in       []float64
		med, p95 float64
	}{{nil, 0, 0}, {[]float64{3}, 3, 3}, {[]float64{4, 1}, 2.5, 4}, {[]float64{9, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, 10.5, 19}} {
		if med, p95 := quantiles(c.in); med != c.med || p95 != c.p95 {
			t.Errorf("%v: %v %v", c.in, med, p95)
		}
	}
}

func TestChildEnvironmentIsClean(t *testing.T) {
	got := childEnv([]string{"PATH=/bin", "LD_PRELOAD=/tmp/evil.so", "LD_LIBRARY_PATH=/tmp", "DYLD_INSERT_LIBRARIES=x", "GODEBUG=x", "ORT_LOG=1", "HOME=/root", "LD_AUDIT=x", "GOMEMLIMIT=1"}, 512)
	want := []string{"GOTRACEBACK=none", "GOMEMLIMIT=512MiB", "PATH=/bin", "HOME=/root"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The worst element is the one that leaves its own tolerance farthest behind, and what was expected and came is told as text.
func TestCompareShowsTheWorst(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name          string
		got, want     tensor.Value
		tol           bundle.Tolerance
		index         []int64
		gotV, wantV   string
		wrong         int64
		isNaN, isInf  bool
		gotDT, wantDT string
	}{
		{"relative", tensor.Value{Tensor: f32s(1000, .2)}, tensor.Value{Tensor: f32s(1010, .1)}, bundle.Tolerance{Rel: .1}, []int64{1}, "0.2", "0.1", 1, false, false, "float32", "float32"},
		{"equal", tensor.Value{Tensor: f32s(7, 8)}, tensor.Value{Tensor: f32s(7, 8)}, bundle.Tolerance{}, []int64{0}, "7", "7", 0, false, false, "float32", "float32"},
		{"NaN after a difference", tensor.Value{Tensor: f32s(9, nan)}, tensor.Value{Tensor: f32s(1, 1)}, bundle.Tolerance{}, []int64{1}, "NaN", "1", 2, true, false, "float32", "float32"},
		{"infinity", tensor.Value{Tensor: f32s(inf, 2)}, tensor.Value{Tensor: f32s(1, 1)}, bundle.Tolerance{}, []int64{0}, "-Inf", "1", 2, false, true, "float32", "float32"},
		{"integers", tensor.Value{Tensor: i64s(math.MaxInt64, 2)}, tensor.Value{Tensor: i64s(math.MaxInt64, 1)}, bundle.Tolerance{}, []int64{1}, "2", "1", 1, false, false, "int64", "int64"},
		{"uint8", tensor.Value{Tensor: bytesOf(tensor.Uint8, 255)}, tensor.Value{Tensor: bytesOf(tensor.Uint8, 1)}, bundle.Tolerance{}, []int64{0}, "255", "1", 1, false, false, "uint8", "uint8"},
		{"bool", tensor.Value{Tensor: bytesOf(tensor.Bool, 1)}, tensor.Value{Tensor: bytesOf(tensor.Bool, 0)}, bundle.Tolerance{}, []int64{0}, "true", "false", 1, false, false, "bool", "bool"},
		{"half", tensor.Value{Tensor: bits16(tensor.Float16, 0x3c01)}, tensor.Value{Tensor: bits16(tensor.Float16, 0x3c00)}, bundle.Tolerance{}, []int64{0}, "1.0009765625", "1", 1, false, false, "float16", "float16"},
		{"strings", tensor.Value{Tensor: texts("a", "b")}, tensor.Value{Tensor: texts("a", "c")}, bundle.Tolerance{}, []int64{1}, `"b"`, `"c"`, 1, false, false, "string", "string"},
		{"another type", tensor.Value{Tensor: i64s(1)}, tensor.Value{Tensor: f32s(1)}, bundle.Tolerance{}, nil, "", "", 1, false, false, "int64", "float32"},
		{"another shape", tensor.Value{Tensor: f32s(1, 2)}, tensor.Value{Tensor: f32s(1)}, bundle.Tolerance{}, nil, "", "", 1, false, false, "float32", "float32"},
		{"maps", tensor.Value{Maps: []tensor.Map{{IntKeys: []int64{1, 2}, Values: []float32{.5, .4}}}}, tensor.Value{Maps: []tensor.Map{{IntKeys: []int64{1, 2}, Values: []float32{.5, .6}}}},
			bundle.Tolerance{}, []int64{0}, "2: 0.4", "2: 0.6", 1, false, false, "sequence(map(int64,float32))", "sequence(map(int64,float32))"},
	} {
		r := compare(c.got, c.want, c.tol)
		w := r.worst
		if !slices.Equal(w.Index, c.index) || w.Got.Value != c.gotV || w.Expected.Value != c.wantV || r.wrong != c.wrong || r.nan != c.isNaN || r.inf != c.isInf ||
			w.Got.DType != c.gotDT || w.Expected.DType != c.wantDT || (r.reason != "") != (c.wrong > 0) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}
