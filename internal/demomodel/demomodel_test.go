package demomodel

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// shipped is trained once for all tests that need the real thing.
var shipped = sync.OnceValue(func() *Demo { return NewDemo(Seed) })

func TestShippedFilesFollowFromTheSeed(t *testing.T) {
	files, err := shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "assets", "demo")
	seen := 0
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		have, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		if want, ok := files[path]; !ok {
			t.Errorf("assets/demo/%s is not made by the generator", path)
		} else if !bytes.Equal(have, want) {
			t.Errorf("assets/demo/%s differs from what the generator makes; run go generate ./assets", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(files) {
		t.Errorf("assets/demo holds %d files, the generator makes %d", seen, len(files))
	}
}

func TestFilesAreRefusedBelowAThreshold(t *testing.T) {
	d := *shipped()
	d.Accuracy.FP32 = minAccuracy - 0.01
	if files, err := d.Files(); err == nil || files != nil {
		t.Errorf("a demo with accuracy %v was written", d.Accuracy.FP32)
	}
	d = *shipped()
	d.Drift.Worst = maxPSI + 0.01
	if files, err := d.Files(); err == nil || files != nil {
		t.Errorf("a demo with drift %v was written", d.Drift.Worst)
	}
}

func TestSplitsShareNoSeries(t *testing.T) {
	d := shipped().Data
	seen := map[float64]bool{}
	for _, set := range []Set{d.Train, d.Validation, d.Test} {
		for _, s := range set.Series {
			if seen[s.Close[len(s.Close)-1]] {
				t.Fatal("the same series stands in two places")
			}
			seen[s.Close[len(s.Close)-1]] = true
		}
	}
	if want := trainSeries + validationSeries + testSeries; len(seen) != want {
		t.Errorf("%d series, want %d", len(seen), want)
	}
}

func TestExpAndLogAgreeWithMath(t *testing.T) {
	r := newRandom(7, 7)
	for range 20000 {
		x := 1400*r.uniform() - 700
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-15*want {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
		y := math.Exp(x)
		if got, want := log(y), math.Log(y); math.Abs(got-want) > 1e-15*max(math.Abs(want), 1) {
			t.Fatalf("log(%v) = %v, want %v", y, got, want)
		}
	}
	if exp(0) != 1 || log(1) != 0 {
		t.Errorf("exp(0) = %v, log(1) = %v", exp(0), log(1))
	}
}

func TestNormalHasItsMoments(t *testing.T) {
	r := newRandom(1, 2)
	v := make([]float64, 200000)
	beyond := 0
	for i := range v {
		v[i] = r.normal()
		if math.Abs(v[i]) > 1.959964 {
			beyond++
		}
	}
	if m, s := mean(v), deviation(v); math.Abs(m) > 0.01 || math.Abs(s-1) > 0.01 {
		t.Errorf("mean %v, deviation %v", m, s)
	}
	if share := float64(beyond) / float64(len(v)); math.Abs(share-0.05) > 0.003 {
		t.Errorf("%v beyond the 95 %% bounds", share)
	}
}

func TestRegimesLastAsLongAsTheyShould(t *testing.T) {
	s := NewSeries(3, 4, 400000)
	var bars, runs [Regimes]float64
	for i, r := range s.Regime {
		bars[r]++
		if i == 0 || s.Regime[i-1] != r {
			runs[r]++
		}
	}
	for r, want := range [Regimes]float64{90, 80, 40} {
		if got := bars[r] / runs[r]; math.Abs(got/want-1) > 0.1 {
			t.Errorf("%v lasts %.1f bars, want about %v", Regime(r), got, want)
		}
	}
	var moves [Regimes][]float64
	for i := 1; i < len(s.Close); i++ {
		moves[s.Regime[i]] = append(moves[s.Regime[i]], math.Log(s.Close[i]/s.Close[i-1]))
	}
	c, tr, st := deviation(moves[Calm]), deviation(moves[Trend]), deviation(moves[Stress])
	if !(c < tr && tr < st) {
		t.Errorf("deviations calm %v, trend %v, stress %v do not rise", c, tr, st)
	}
	if mean(moves[Stress]) >= 0 {
		t.Errorf("stress drifts up by %v", mean(moves[Stress]))
	}
}

func TestFeaturesOfASteadyClimb(t *testing.T) {
	closes := make([]float64, Window)
	for i := range closes {
		closes[i] = 50 * math.Exp(0.01*float64(i)) // one percent a bar
	}
	v := Vector(closes)
	want := [Features]float64{1, 5, 20, 60, 0, 0, 0, 1, 1, 1, 0, 9.5, 1, 1, 0, 0}
	for i, name := range FeatureNames {
		if i != 15 && math.Abs(v[i]-want[i]) > 1e-5 { // the autocorrelation of rounding errors is anything
			t.Errorf("%s = %v, want %v", name, v[i], want[i])
		}
	}
}

func TestFeaturesOfAFall(t *testing.T) {
	v := Vector(ramp(-0.3))
	for name, want := range map[string]float64{"return_1": -30, "return_60": -30, "drawdown_60": -30, "rsi_14": 0,
		"largest_move_10": 30, "downside_share_20": 1, "efficiency_20": 1, "mean_gap_20": -28.5, "volatility_5": 12} {
		for i, n := range FeatureNames {
			if n == name && math.Abs(v[i]-want) > 1e-4 {
				t.Errorf("%s = %v, want %v", name, v[i], want)
			}
		}
	}
	for i, x := range Vector(ramp(0)) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("%s of flat prices is %v", FeatureNames[i], x)
		}
	}
}

func TestFeaturesDoNotDependOnThePriceLevel(t *testing.T) {
	s := NewSeries(5, 6, Window)
	scaled := make([]float64, Window)
	for i, c := range s.Close {
		scaled[i] = 1000 * c
	}
	a, b := Vector(s.Close), Vector(scaled)
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-5 {
			t.Errorf("%s = %v at one price level, %v at another", FeatureNames[i], a[i], b[i])
		}
	}
}

func TestGradientsAgreeWithDifferences(t *testing.T) {
	train := shipped().Data.Train.Samples[:3]
	r := newRandom(1, 1)
	c := &Classifier{}
	c.standardise(shipped().Data.Train.Samples)
	for i, n := range [][2]int{{Features, hidden1}, {hidden1, hidden2}, {hidden2, Regimes}} {
		c.layers[i] = newLayer(r, n[0], n[1])
	}
	tr := &trainer{c: c, grad: c.zeros()}
	for i := range train {
		tr.backward(&train[i])
	}
	const h = 1e-6
	for n := range c.layers {
		for i := 0; i < len(c.layers[n].w); i += 37 {
			w := &c.layers[n].w[i]
			old := *w
			*w = old + h
			up := c.loss(train)
			*w = old - h
			down := c.loss(train)
			*w = old
			want := (up - down) / (2 * h) * float64(len(train))
			if got := tr.grad[n].w[i]; math.Abs(got-want) > 1e-5*max(1, math.Abs(want)) {
				t.Errorf("layer %d weight %d: gradient %v, by differences %v", n, i, got, want)
			}
		}
	}
}

// TestDynamicQuantization takes the first example that the ONNX operator's page gives for DynamicQuantizeLinear.
func TestDynamicQuantization(t *testing.T) {
	in := []float64{0, 2, -3, -2.5, 1.34, 0.5} // scale 5/255, zero point 153, uint8 153 255 0 26 221 179
	identity := quantLayer{in: 6, out: 6, q: make([]int8, 36), scale: []float64{1, 1, 1, 1, 1, 1}, b: make([]float64, 6)}
	for i := range 6 {
		identity.q[i*6+i] = 1
	}
	for i, want := range []float64{0, 102, -153, -127, 68, 26} {
		if got := identity.forward(in)[i] / round32(5.0/255); math.Abs(got-want) > 1e-9 {
			t.Errorf("element %d is %v steps from zero, want %v", i, got, want)
		}
	}
}

func TestQuantizedModelAgreesMostly(t *testing.T) {
	d := shipped()
	same := 0
	samples := d.Data.Test.Samples[:2000]
	for _, s := range samples {
		if top(d.Classifier.Probabilities(s.X)) == top(d.Quantized.Probabilities([][Features]float64{s.X})[0]) {
			same++
		}
	}
	if share := float64(same) / float64(len(samples)); share < 0.98 {
		t.Errorf("int8 and fp32 agree on %v of the samples", share)
	}
}

// TestGoldenCasesNoticeMistakes: a tolerance that forgives anything would prove nothing.
func TestGoldenCasesNoticeMistakes(t *testing.T) {
	d := shipped()
	cases := GoldenCases(d.Data.Test)
	for name, mistake := range map[string]func(c *Classifier){
		"no biases in layer 1":       func(c *Classifier) { clear(c.layers[0].b) },
		"no biases in layer 2":       func(c *Classifier) { clear(c.layers[1].b) },
		"outputs in another order":   func(c *Classifier) { turn(c.layers[2]) },
		"inputs not centred":         func(c *Classifier) { c.Mean = [Features]float64{} },
		"volatilities as fractions":  func(c *Classifier) { c.Scale[volatility20] /= 100 },
		"fp32 weights kept in 4 bit": func(c *Classifier) { coarse(c.layers[0].w); coarse(c.layers[1].w) },
	} {
		wrong := d.Classifier.clone()
		mistake(wrong)
		if off := quantizationError(wrong, d.Quantized, cases); off <= int8Abs {
			t.Errorf("%s: the int8 tolerance %v forgives a difference of %v", name, int8Abs, off)
		}
	}
}

// turn puts a layer's outputs in reverse order.
func turn(l layer) {
	slices.Reverse(l.b)
	for a, b := 0, l.out-1; a < b; a, b = a+1, b-1 {
		for i := range l.in {
			l.w[a*l.in+i], l.w[b*l.in+i] = l.w[b*l.in+i], l.w[a*l.in+i]
		}
	}
}

// coarse rounds weights to 15 steps.
func coarse(w []float64) {
	step := largest(w) / 7
	for i := range w {
		w[i] = math.Round(w[i]/step) * step
	}
}

func TestBoostingLearnsAStep(t *testing.T) {
	r := newRandom(9, 9)
	samples := make([]Sample, 2000)
	for i := range samples {
		for f := range samples[i].X {
			samples[i].X[f] = round32(r.normal())
		}
		samples[i].Future = 1
		if samples[i].X[3] > 0.5 {
			samples[i].Future = 4
		}
	}
	f := TrainForecaster(samples[:1500], samples[1500:])
	worst := 0.0
	for _, s := range samples[1500:] {
		if math.Abs(s.X[3]-0.5) > 0.1 { // a threshold lies at the end of a bin
			worst = max(worst, math.Abs(f.Forecast(s.X)-s.Future))
		}
	}
	if worst > 0.3 { // of a step of 3
		t.Errorf("a step is missed by up to %v", worst)
	}
	for i, tree := range f.Trees {
		if len(tree) > 1<<(treeDepth+1)-1 {
			t.Errorf("tree %d has %d nodes", i, len(tree))
		}
	}
}

func TestStabilityIndex(t *testing.T) {
	if got := psi([]float64{0.5, 0.5}, []float64{0.5, 0.5}); got != 0 {
		t.Errorf("equal shares give %v", got)
	}
	if got, want := psi([]float64{0.5, 0.5}, []float64{0.25, 0.75}), -0.25*math.Log(0.5)+0.25*math.Log(1.5); math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
	same := column(shipped().Data.Test, 4)
	if got := featurePSI(same, same); got > 1e-3 {
		t.Errorf("a feature against itself gives %v", got)
	}
}

// TestTradingAgainstHandWrittenRules: holding gives the series' own return less one entry; cash gives nothing; a rule
// that knows the next bar cannot be written, for it only sees closes up to now.
func TestTradingAgainstHandWrittenRules(t *testing.T) {
	s := NewSeries(1, 1, barsPerSeries)
	hold := tradeOne(s, func(c []float64) float64 {
		if len(c) != Window {
			t.Fatalf("the rule sees %d closes", len(c))
		}
		return 1
	})
	first := s.Close[Window]/s.Close[Window-1] - 1
	want := s.Close[len(s.Close)-1]/s.Close[Window]*(1+first-costPerTurn) - 1
	if math.Abs(hold.TotalReturn-want) > 1e-9 {
		t.Errorf("holding gives %v, want %v", hold.TotalReturn, want)
	}
	if cash := tradeOne(s, func([]float64) float64 { return 0 }); cash != (Outcome{}) {
		t.Errorf("cash gives %+v", cash)
	}
}
