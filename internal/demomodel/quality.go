package demomodel

import (
	"math"
	"slices"
)

// Accuracy is how often the models are right on the test set.
type Accuracy struct {
	Samples       int                   `json:"samples"`
	FP32          float64               `json:"accuracy_fp32"`
	INT8          float64               `json:"accuracy_int8"`
	Baseline      float64               `json:"accuracy_of_always_the_most_frequent_regime"`
	Confusion     [Regimes][Regimes]int `json:"confusion_fp32"` // rows: true regime, columns: answer
	Regimes       []string              `json:"regimes"`
	Recall        [Regimes]float64      `json:"recall_fp32"`
	Precision     [Regimes]float64      `json:"precision_fp32"`
	AwayFromTurns float64               `json:"accuracy_fp32_20_bars_after_a_change_of_regime"`
	VolatilityR2  float64               `json:"volatility_r2"`
	PersistenceR2 float64               `json:"volatility_r2_of_persistence"` // forecast: volatility_20
}

// MeasureAccuracy asks the models about each sample of the test set, one by one.
func MeasureAccuracy(c *Classifier, q *Quantized, f *Forecaster, test Set) Accuracy {
	a := Accuracy{Samples: len(test.Samples), Regimes: regimeNames[:]}
	right8, settled, settledRight := 0, 0, 0
	var count, answers [Regimes]int
	var future []float64
	miss, persist := 0.0, 0.0
	for _, s := range test.Samples {
		got := top(c.Probabilities(s.X))
		a.Confusion[s.Regime][got]++
		count[s.Regime]++
		answers[got]++
		if top(q.Probabilities([][Features]float64{s.X})[0]) == s.Regime {
			right8++
		}
		if lasting(test.Series[s.Series].Regime, s.Bar) >= 20 {
			settled++
			if got == s.Regime {
				settledRight++
			}
		}
		future = append(future, s.Future)
		d, p := s.Future-f.Forecast(s.X), s.Future-s.X[volatility20]
		miss += mul(d, d)
		persist += mul(p, p)
	}
	right := 0
	for r := range Regimes {
		right += a.Confusion[r][r]
		a.Recall[r] = round6(float64(a.Confusion[r][r]) / float64(count[r]))
		a.Precision[r] = round6(float64(a.Confusion[r][r]) / float64(max(answers[r], 1)))
	}
	n := float64(a.Samples)
	spread := mul(deviation(future), deviation(future))
	a.FP32, a.INT8 = round6(float64(right)/n), round6(float64(right8)/n)
	a.Baseline = round6(float64(max(count[0], count[1], count[2])) / n)
	a.AwayFromTurns = round6(float64(settledRight) / float64(settled))
	a.VolatilityR2, a.PersistenceR2 = round6(1-miss/n/spread), round6(1-persist/n/spread)
	return a
}

const (
	volatility20 = 5 // places in the input vector
	meanGap20    = 11
)

func top(p [Regimes]float64) Regime {
	best := Regime(0)
	for r := range Regimes {
		if p[r] > p[best] {
			best = Regime(r)
		}
	}
	return best
}

// lasting is for how many bars before t the regime has been what it is.
func lasting(r []Regime, t int) int {
	n := 0
	for t-n > 0 && r[t-n-1] == r[t] {
		n++
	}
	return n
}

func round6(v float64) float64 { return math.Round(mul(v, 1e6)) / 1e6 }

// Drift compares the test set with the training set by population stability index: ten bins of equal share in
// training, sum of (test-train)*ln(test/train). Below 0.1 is stable by custom, above 0.25 has shifted.
type Drift struct {
	Worst       float64        `json:"worst_psi"`
	Features    []FeatureDrift `json:"features"`
	Predictions float64        `json:"predicted_regimes_psi"`
}

// FeatureDrift is one feature's index.
type FeatureDrift struct {
	Feature string  `json:"feature"`
	PSI     float64 `json:"psi"`
}

const psiBins = 10

// MeasureDrift measures each feature and the classifier's answers.
func MeasureDrift(c *Classifier, train, test Set) Drift {
	var d Drift
	for f, name := range FeatureNames {
		psi := round6(featurePSI(column(train, f), column(test, f)))
		d.Features = append(d.Features, FeatureDrift{name, psi})
		d.Worst = max(d.Worst, psi)
	}
	d.Predictions = round6(psi(answerShares(c, train), answerShares(c, test)))
	return d
}

func column(s Set, f int) []float64 {
	v := make([]float64, len(s.Samples))
	for i := range v {
		v[i] = s.Samples[i].X[f]
	}
	return v
}

func featurePSI(train, test []float64) float64 {
	sorted := slices.Sorted(slices.Values(train))
	var edges []float64
	for b := 1; b < psiBins; b++ {
		edges = append(edges, sorted[b*len(sorted)/psiBins])
	}
	shares := func(v []float64) []float64 {
		s := make([]float64, psiBins)
		for _, x := range v {
			b, _ := slices.BinarySearch(edges, x)
			s[b] += 1 / float64(len(v))
		}
		return s
	}
	return psi(shares(train), shares(test))
}

func answerShares(c *Classifier, s Set) []float64 {
	shares := make([]float64, Regimes)
	for _, x := range s.Samples {
		shares[top(c.Probabilities(x.X))] += 1 / float64(len(s.Samples))
	}
	return shares
}

func psi(train, test []float64) float64 {
	sum := 0.0
	for i := range train {
		a, b := max(train[i], 1e-4), max(test[i], 1e-4)
		sum += mul(b-a, log(b/a))
	}
	return sum
}

// Trading is a sanity check, not a promise: each test market on its own, held while the classifier says calm or rising
// trend, in cash otherwise; decided on a bar's close, effective on the next bar, with costs. Figures are means over the
// markets.
type Trading struct {
	Markets       int     `json:"markets"`
	Bars          int     `json:"bars"`
	CostPerTurn   float64 `json:"cost_per_unit_turned_over"`
	DrawdownRatio float64 `json:"drawdown_ratio"` // following / holding
	Following     Outcome `json:"following_the_regimes"`
	Holding       Outcome `json:"buy_and_hold"`
	Constant      Outcome `json:"same_mean_exposure_at_all_times"`
}

// Outcome is what one rule gives. Sharpe is annualised as if a bar were a trading day; cash earns nothing.
type Outcome struct {
	TotalReturn float64 `json:"total_return"`
	MaxDrawdown float64 `json:"max_drawdown"`
	Sharpe      float64 `json:"sharpe"`
	Exposure    float64 `json:"mean_exposure"`
}

const (
	costPerTurn = 0.0005
	barsPerYear = 252
)

// MeasureTrading runs the rule over the test series.
func MeasureTrading(c *Classifier, test Set) Trading {
	t := Trading{Bars: barsPerSeries - Window, Markets: len(test.Series), CostPerTurn: costPerTurn}
	follow := func(closes []float64) float64 {
		x := Vector(closes)
		p := c.Probabilities(x)
		if x[meanGap20] < 0 {
			return p[Calm]
		}
		return p[Calm] + p[Trend]
	}
	t.Following = trade(test.Series, follow)
	t.Holding = trade(test.Series, func([]float64) float64 { return 1 })
	t.Constant = trade(test.Series, func([]float64) float64 { return t.Following.Exposure })
	t.DrawdownRatio = round6(t.Following.MaxDrawdown / t.Holding.MaxDrawdown)
	return t
}

func trade(series []Series, rule func(closes []float64) float64) Outcome {
	var sum Outcome
	for _, s := range series {
		o := tradeOne(s, rule)
		sum.TotalReturn += o.TotalReturn
		sum.MaxDrawdown += o.MaxDrawdown
		sum.Sharpe += o.Sharpe
		sum.Exposure += o.Exposure
	}
	n := float64(len(series))
	return Outcome{round6(sum.TotalReturn / n), round6(sum.MaxDrawdown / n), round6(sum.Sharpe / n), round6(sum.Exposure / n)}
}

func tradeOne(s Series, rule func(closes []float64) float64) Outcome {
	gains := make([]float64, barsPerSeries-Window)
	value, peak, held := 1.0, 1.0, 0.0
	var o Outcome
	for i := range gains {
		now := i + Window - 1
		want := rule(s.Close[i : now+1])
		gains[i] = mul(want, s.Close[now+1]/s.Close[now]-1) - mul(costPerTurn, abs(want-held))
		value = mul(value, 1+gains[i])
		peak = max(peak, value)
		o.MaxDrawdown = max(o.MaxDrawdown, 1-value/peak)
		o.Exposure += want / float64(len(gains))
		held = want
	}
	o.TotalReturn = value - 1
	o.Sharpe = mul(mean(gains)/max(deviation(gains), 1e-12), sqrt(barsPerYear))
	return o
}
