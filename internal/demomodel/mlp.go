package demomodel

import "math"

// layer is a dense layer: out = W*in + B, W by rows of outputs.
type layer struct {
	in, out int
	w, b    []float64
}

// Classifier is the regime model: standardise, clip to ±clipAt, three dense layers with ReLU between, softmax.
// Once trained, every number in it is a float32.
type Classifier struct {
	Mean, Scale [Features]float64 // x -> (x - Mean) * Scale
	layers      [3]layer
}

const (
	hidden1 = 64
	hidden2 = 32
	clipAt  = 5.0 // in standard deviations; keeps one wild feature from taking the whole int8 range
)

const (
	batchSize    = 64
	maxEpochs    = 60
	patience     = 8 // epochs without a better validation loss
	learningRate = 2e-3
	weightDecay  = 1e-3
	beta1        = 0.9 // Adam (Kingma and Ba 2015), with decoupled weight decay
	beta2        = 0.999
	adamEpsilon  = 1e-8
)

// Training is what happened while the classifier was trained.
type Training struct {
	Epochs, BestEpoch int
	TrainLoss         float64 // cross-entropy, mean over the best epoch
	ValidationLoss    float64
}

// TrainClassifier fits the model on train and keeps the weights of the epoch with the lowest loss on validation.
func TrainClassifier(seed uint64, train, validation []Sample) (*Classifier, Training) {
	r := newRandom(seed, 1)
	c := &Classifier{}
	c.standardise(train)
	for i, n := range [][2]int{{Features, hidden1}, {hidden1, hidden2}, {hidden2, Regimes}} {
		c.layers[i] = newLayer(r, n[0], n[1])
	}
	t := &trainer{c: c, grad: c.zeros(), m: c.zeros(), v: c.zeros()}
	order := make([]int, len(train))
	for i := range order {
		order[i] = i
	}
	best, report := c.clone(), Training{ValidationLoss: math.Inf(1)}
	for epoch := 1; epoch <= maxEpochs && epoch-report.BestEpoch <= patience; epoch++ {
		r.shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		rate := mul(learningRate, 1-mul(0.9, float64(epoch-1)/maxEpochs))
		loss := 0.0
		for i := 0; i < len(order); i += batchSize {
			loss += t.step(train, order[i:min(i+batchSize, len(order))], rate)
		}
		report.Epochs = epoch
		if v := c.loss(validation); v < report.ValidationLoss {
			report.ValidationLoss, report.TrainLoss, report.BestEpoch = v, loss/float64(len(order)), epoch
			best = c.clone()
		}
	}
	best.round()
	return best, report
}

func newLayer(r random, in, out int) layer {
	l := layer{in: in, out: out, w: make([]float64, in*out), b: make([]float64, out)}
	spread := sqrt(2 / float64(in)) // He et al. 2015
	for i := range l.w {
		l.w[i] = mul(spread, r.normal())
	}
	return l
}

func (c *Classifier) standardise(train []Sample) {
	column := make([]float64, len(train))
	for f := range Features {
		for i, s := range train {
			column[i] = s.X[f]
		}
		c.Mean[f], c.Scale[f] = round32(mean(column)), round32(1/max(deviation(column), 1e-6))
	}
}

func (c *Classifier) zeros() [3]layer {
	var z [3]layer
	for i, l := range c.layers {
		z[i] = layer{in: l.in, out: l.out, w: make([]float64, len(l.w)), b: make([]float64, len(l.b))}
	}
	return z
}

func (c *Classifier) clone() *Classifier {
	n := &Classifier{Mean: c.Mean, Scale: c.Scale, layers: c.zeros()}
	for i, l := range c.layers {
		copy(n.layers[i].w, l.w)
		copy(n.layers[i].b, l.b)
	}
	return n
}

func (c *Classifier) round() {
	for _, l := range c.layers {
		for i := range l.w {
			l.w[i] = round32(l.w[i])
		}
		for i := range l.b {
			l.b[i] = round32(l.b[i])
		}
	}
}

// normal standardises and clips an input vector.
func (c *Classifier) normal(x *[Features]float64) [Features]float64 {
	var v [Features]float64
	for i := range v {
		v[i] = min(max(mul(x[i]-c.Mean[i], c.Scale[i]), -clipAt), clipAt)
	}
	return v
}

func (l *layer) forward(in, out []float64) {
	for o := range out {
		sum := l.b[o]
		for i, w := range l.w[o*l.in : (o+1)*l.in] {
			sum += mul(w, in[i])
		}
		out[o] = sum
	}
}

// state holds the values of one forward pass.
type state struct {
	in [Features]float64
	a1 [hidden1]float64
	a2 [hidden2]float64
	p  [Regimes]float64
}

func (c *Classifier) forward(x *[Features]float64, s *state) {
	s.in = c.normal(x)
	c.layers[0].forward(s.in[:], s.a1[:])
	relu(s.a1[:])
	c.layers[1].forward(s.a1[:], s.a2[:])
	relu(s.a2[:])
	c.layers[2].forward(s.a2[:], s.p[:])
	softmax(s.p[:])
}

// Probabilities is the model's answer for one input vector, in float64 throughout.
func (c *Classifier) Probabilities(x [Features]float64) [Regimes]float64 {
	var s state
	c.forward(&x, &s)
	return s.p
}

func relu(v []float64) {
	for i := range v {
		v[i] = max(v[i], 0)
	}
}

func softmax(v []float64) {
	top, sum := v[0], 0.0
	for _, x := range v {
		top = max(top, x)
	}
	for i := range v {
		v[i] = exp(v[i] - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

// loss is the mean cross-entropy.
func (c *Classifier) loss(samples []Sample) float64 {
	var s state
	sum := 0.0
	for i := range samples {
		c.forward(&samples[i].X, &s)
		sum -= log(max(s.p[samples[i].Regime], 1e-300))
	}
	return sum / float64(len(samples))
}

type trainer struct {
	c          *Classifier
	grad, m, v [3]layer // gradient and Adam's moments
	pow1, pow2 float64  // beta1 and beta2 to the number of steps; 0 before the first
}

// step does one mini-batch and returns the sum of its losses.
func (t *trainer) step(samples []Sample, batch []int, rate float64) float64 {
	for _, g := range t.grad {
		clear(g.w)
		clear(g.b)
	}
	loss := 0.0
	for _, i := range batch {
		loss += t.backward(&samples[i])
	}
	t.update(rate, 1/float64(len(batch)))
	return loss
}

func (t *trainer) backward(sample *Sample) float64 {
	var s state
	var d1 [hidden1]float64
	var d2 [hidden2]float64
	t.c.forward(&sample.X, &s)
	loss := -log(max(s.p[sample.Regime], 1e-300))
	d3 := s.p // derivative of cross-entropy through softmax: p - onehot
	d3[sample.Regime]--
	propagate(&t.c.layers[2], &t.grad[2], s.a2[:], d3[:], d2[:])
	propagate(&t.c.layers[1], &t.grad[1], s.a1[:], d2[:], d1[:])
	propagate(&t.c.layers[0], &t.grad[0], s.in[:], d1[:], nil)
	return loss
}

// propagate adds a layer's gradient for one sample and gives the gradient of its input, zero where ReLU was shut.
func propagate(l, grad *layer, in, dOut, dIn []float64) {
	for o, d := range dOut {
		if d == 0 {
			continue
		}
		grad.b[o] += d
		w, g := l.w[o*l.in:(o+1)*l.in], grad.w[o*l.in:(o+1)*l.in]
		for i, x := range in {
			g[i] += mul(d, x)
		}
		if dIn != nil {
			for i := range dIn {
				dIn[i] += mul(d, w[i])
			}
		}
	}
	for i := range dIn {
		if in[i] == 0 {
			dIn[i] = 0
		}
	}
}

func (t *trainer) update(rate, scale float64) {
	if t.pow1 == 0 {
		t.pow1, t.pow2 = 1, 1
	}
	t.pow1, t.pow2 = mul(t.pow1, beta1), mul(t.pow2, beta2)
	for i := range t.c.layers {
		t.adam(t.c.layers[i].w, t.grad[i].w, t.m[i].w, t.v[i].w, rate, scale, weightDecay)
		t.adam(t.c.layers[i].b, t.grad[i].b, t.m[i].b, t.v[i].b, rate, scale, 0)
	}
}

func (t *trainer) adam(w, grad, m, v []float64, rate, scale, decay float64) {
	for i := range w {
		g := mul(grad[i], scale)
		m[i] = mul(beta1, m[i]) + mul(1-beta1, g)
		v[i] = mul(beta2, v[i]) + mul(mul(1-beta2, g), g)
		move := (m[i] / (1 - t.pow1)) / (sqrt(v[i]/(1-t.pow2)) + adamEpsilon)
		w[i] -= mul(rate, move+mul(decay, w[i]))
	}
}
