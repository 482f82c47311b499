package reference

import (
	"math"
	"slices"
)

// Engines are known to answer differently, or with memory that was never written, where numbers are none, nothing is summed
// or results do not fit their type. There the evaluator gives no answer; TestAgreesAtTheEdges holds it to that.

// orderly refuses numbers that are none, for operators that order them.
func orderly(v *value, op string) error {
	found := false
	switch d := v.data.(type) {
	case vec[float32]:
		for _, x := range d {
			found = found || x != x
		}
	case vec[float64]:
		for _, x := range d {
			found = found || x != x
		}
	}
	if found {
		return unsupported("%s of NaN, which engines read differently", op)
	}
	return nil
}

// pooled refuses what is below every number, too: engines begin at the smallest one.
func pooled(v *value, op string) error {
	switch d := v.data.(type) {
	case vec[float32]:
		if slices.Contains(d, float32(math.Inf(-1))) {
			return unsupported("%s of -Inf, which engines read differently", op)
		}
	case vec[float64]:
		if slices.Contains(d, math.Inf(-1)) {
			return unsupported("%s of -Inf, which engines read differently", op)
		}
	}
	return orderly(v, op)
}

// inRange refuses numbers whose sum or product may not fit a type of that size, or the numbers between in which engines compute.
func inRange(v *value, op string) error {
	switch d := v.data.(type) {
	case vec[int8]:
		return sized(d, op, 7)
	case vec[uint8]:
		return sized(d, op, 8)
	case vec[int32]:
		return sized(d, op, 31)
	case vec[uint32]:
		return sized(d, op, 32)
	case vec[int64]:
		return sized(d, op, 53)
	case vec[float32]:
		if op == "ReduceProd" { // in which order zeros and infinities meet decides
			return sized(d, op, 127)
		}
	case vec[uint64]:
		return sized(d, op, 53)
	}
	return nil
}

func sized[T number](x []T, op string, bits int) error {
	total := 0.0
	if op == "ReduceProd" {
		total = 1
	}
	for _, n := range x {
		f := math.Abs(float64(n))
		switch op {
		case "ReduceProd":
			total *= max(f, 1)
		case "ReduceSumSquare", "ReduceL2":
			total += f * f
		case "ReduceMax", "ReduceMin", "Mod":
			total = max(total, f)
		default:
			total += f
		}
	}
	if total >= math.Ldexp(1, bits) {
		return unsupported("%s of numbers beyond what their type holds, which engines read differently", op)
	}
	return nil
}

// powersFit refuses integers of which some power may not fit their type.
func powersFit(v *value, powers []int64) error {
	bits, most, n := 53, 0.0, int64(0)
	switch d := v.data.(type) {
	case vec[int32]:
		bits = 31
		for _, x := range d {
			most = max(most, math.Abs(float64(x)))
		}
	case vec[int64]:
		for _, x := range d {
			most = max(most, math.Abs(float64(x)))
		}
	}
	for _, p := range powers {
		n = max(n, p)
	}
	if math.Pow(most, float64(n)) >= math.Ldexp(1, bits) {
		return unsupported("powers of integers beyond what their type holds, which engines read differently")
	}
	return nil
}
