package demomodel

// Features is the length of the models' input vector; Window is how many closing prices it is computed from.
const (
	Features = 16
	Window   = 64
)

// FeatureNames are the elements of the input vector, in order. Returns and volatilities are in percent a bar.
var FeatureNames = [Features]string{
	"return_1", "return_5", "return_20", "return_60",
	"volatility_5", "volatility_20", "volatility_60", "volatility_ratio_5_60",
	"efficiency_20", "efficiency_60", "drawdown_60", "mean_gap_20",
	"rsi_14", "largest_move_10", "downside_share_20", "autocorrelation_20",
}

// Vector computes the features of the last of exactly Window closing prices, which must be positive.
// Each element is rounded to float32, as the models take it.
func Vector(closes []float64) [Features]float64 {
	var level [Window]float64
	for i, c := range closes[:Window] {
		level[i] = mul(100, log(c))
	}
	var moves [Window - 1]float64
	for i := range moves {
		moves[i] = level[i+1] - level[i]
	}
	now := level[Window-1]
	back := func(n int) float64 { return now - level[Window-1-n] }
	tail := func(n int) []float64 { return moves[len(moves)-n:] }

	v5, v20, v60 := deviation(tail(5)), deviation(tail(20)), deviation(tail(60))
	highest := level[Window-61]
	for _, l := range level[Window-60:] {
		highest = max(highest, l)
	}
	v := [Features]float64{
		back(1), back(5), back(20), back(60),
		v5, v20, v60, ratio(v5, v60, 1),
		efficiency(tail(20)), efficiency(tail(60)), now - highest, now - mean(level[Window-20:]),
		rsi(tail(14)), largest(tail(10)), downside(tail(20)), autocorrelation(tail(20)),
	}
	for i := range v {
		v[i] = round32(v[i])
	}
	return v
}

// ratio is a/b, or empty where b is too small to divide by (a flat price).
func ratio(a, b, empty float64) float64 {
	if b < 1e-9 {
		return empty
	}
	return a / b
}

func abs(v float64) float64 { return max(v, -v) }

// efficiency is Kaufman's ratio: net move over the sum of moves; 1 is a straight line.
func efficiency(moves []float64) float64 {
	net, path := 0.0, 0.0
	for _, m := range moves {
		net += m
		path += abs(m)
	}
	return ratio(abs(net), path, 0)
}

// rsi is the relative strength index with plain sums, from 0 to 1.
func rsi(moves []float64) float64 {
	gain, path := 0.0, 0.0
	for _, m := range moves {
		gain += max(m, 0)
		path += abs(m)
	}
	return ratio(gain, path, 0.5)
}

func largest(moves []float64) float64 {
	v := 0.0
	for _, m := range moves {
		v = max(v, abs(m))
	}
	return v
}

// downside is the falling moves' share of the sum of squares.
func downside(moves []float64) float64 {
	down, all := 0.0, 0.0
	for _, m := range moves {
		all += mul(m, m)
		if m < 0 {
			down += mul(m, m)
		}
	}
	return ratio(down, all, 0.5)
}

// autocorrelation is that of lag one.
func autocorrelation(moves []float64) float64 {
	m, cross, square := mean(moves), 0.0, 0.0
	for i, v := range moves {
		square += mul(v-m, v-m)
		if i > 0 {
			cross += mul(v-m, moves[i-1]-m)
		}
	}
	return ratio(cross, square, 0)
}
