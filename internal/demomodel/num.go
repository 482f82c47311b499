package demomodel

import (
	"math"
	"math/rand/v2"
)

// mul is a product that is never fused with an addition, so that every platform gives the same bits.
func mul(a, b float64) float64 { return float64(a * b) }

// round32 is the nearest float32, as float64.
func round32(v float64) float64 { return float64(float32(v)) }

const (
	ln2High = 6.93147180369123816490e-01 // upper bits of ln 2, so that k*ln2High is exact for small k
	ln2Low  = 1.90821492927058770002e-10
)

// exp is e to the power of x, for |x| < 700, within 2 units in the last place. Package math uses assembly on some
// platforms, with other last bits.
func exp(x float64) float64 {
	k := math.Floor(mul(x, 1/math.Ln2) + 0.5)
	r := (x - mul(k, ln2High)) - mul(k, ln2Low)
	sum := 1.0
	for i := 14; i >= 1; i-- {
		sum = 1 + mul(r, sum)/float64(i)
	}
	return math.Ldexp(sum, int(k))
}

// log is the natural logarithm of x > 0, within 2 units in the last place.
func log(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	s := (m - 1) / (m + 1)
	square := mul(s, s)
	sum := 0.0
	for i := 23; i >= 1; i -= 2 {
		sum = 1/float64(i) + mul(square, sum)
	}
	return mul(float64(e), ln2High) + (mul(2*s, sum) + mul(float64(e), ln2Low))
}

// random draws reproducible numbers; each use has its own stream, so that adding one changes no other.
type random struct{ *rand.Rand }

func newRandom(seed, stream uint64) random { return random{rand.New(rand.NewPCG(seed, stream))} }

// uniform is in [0, 1), with 53 random bits.
func (r random) uniform() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// normal is standard normal, by Marsaglia's polar method.
func (r random) normal() float64 {
	for {
		u, v := 2*r.uniform()-1, 2*r.uniform()-1
		s := mul(u, u) + mul(v, v)
		if s > 0 && s < 1 {
			return mul(u, math.Sqrt(-2*log(s)/s))
		}
	}
}

func (r random) shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(r.Uint64()%uint64(i+1))) // the bias is below n/2^64
	}
}

// sqrt is exact to the last bit everywhere (IEEE 754).
func sqrt(v float64) float64 { return math.Sqrt(v) }

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// deviation is the population standard deviation.
func deviation(v []float64) float64 {
	m, sum := mean(v), 0.0
	for _, x := range v {
		sum += mul(x-m, x-m)
	}
	return math.Sqrt(sum / float64(len(v)))
}
