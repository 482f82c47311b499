package demomodel

import (
	"fmt"

	"sluice/inference/onnx"
)

// Case is one golden case: input vectors and the answers that the trainer's own float64 arithmetic gives for them.
// No ONNX engine has a part in it.
type Case struct {
	Name  string
	Batch [][Features]float64
}

// GoldenCases picks the classifier's twelve: three of each true regime from the test set, a batch, and two extremes.
func GoldenCases(test Set) []Case {
	var out []Case
	for r := range Regimes {
		var of []int
		for i, s := range test.Samples {
			if s.Regime == Regime(r) {
				of = append(of, i)
			}
		}
		for k := 1; k <= 3; k++ {
			s := test.Samples[of[k*len(of)/4]]
			out = append(out, Case{fmt.Sprintf("%s-%d", Regime(r), k), [][Features]float64{s.X}})
		}
	}
	batch := Case{Name: "batch-of-16"}
	for i := range 16 {
		batch.Batch = append(batch.Batch, test.Samples[i*len(test.Samples)/16].X)
	}
	return append(out, batch,
		Case{"flat-prices", [][Features]float64{Vector(ramp(0))}},
		Case{"crash", [][Features]float64{Vector(ramp(-0.3))}})
}

// ForecastCases are those of the classifier's cases that the volatility forecaster must answer as well: one of each
// regime, and the batch.
func ForecastCases(all []Case) []Case { return []Case{all[0], all[3], all[6], all[9]} }

// ramp is a window of flat prices that moves by last (a log return) on its final bar.
func ramp(last float64) []float64 {
	v := make([]float64, Window)
	for i := range v {
		v[i] = 100
	}
	v[Window-1] = mul(100, exp(last))
	return v
}

// Input is the case's input as a TensorProto file.
func (c Case) Input() []byte {
	var v []float64
	for _, x := range c.Batch {
		v = append(v, x[:]...)
	}
	t := floatTensor(v, int64(len(c.Batch)), Features)
	return onnx.MarshalTensor(InputName, &t)
}

// Regimes is the classifier's expected output, computed by the trainer.
func (c Case) Regimes(m *Classifier) []byte {
	var v []float64
	for _, x := range c.Batch {
		p := m.Probabilities(x)
		v = append(v, p[:]...)
	}
	t := floatTensor(v, int64(len(c.Batch)), Regimes)
	return onnx.MarshalTensor(OutputName, &t)
}

// Forecast is the forecaster's expected output, computed by the trainer.
func (c Case) Forecast(f *Forecaster) []byte {
	var v []float64
	for _, x := range c.Batch {
		v = append(v, f.Forecast(x))
	}
	t := floatTensor(v, int64(len(c.Batch)), 1)
	return onnx.MarshalTensor(ForecastName, &t)
}

// quantizationError is the largest difference between the int8 and the float64 answers of the cases.
func quantizationError(c *Classifier, q *Quantized, cases []Case) float64 {
	worst := 0.0
	for _, g := range cases {
		got := q.Probabilities(g.Batch)
		for i, x := range g.Batch {
			want := c.Probabilities(x)
			for r := range Regimes {
				worst = max(worst, abs(got[i][r]-want[r]))
			}
		}
	}
	return worst
}
