package demomodel

import "math"

// quantLayer is a layer with int8 weights, one scale for each output, as the int8 variant holds it.
type quantLayer struct {
	in, out int
	q       []int8    // by rows of outputs
	scale   []float64 // float32
	b       []float64
}

// Quantized is the classifier with int8 weights. Activations become uint8 at run time, with one scale for the whole
// batch, exactly as ONNX DynamicQuantizeLinear (opset 11) says.
type Quantized struct {
	Mean, Scale [Features]float64
	layers      [3]quantLayer
}

// Quantize rounds each output's weights to the nearest of 255 symmetric steps.
func (c *Classifier) Quantize() *Quantized {
	q := &Quantized{Mean: c.Mean, Scale: c.Scale}
	for n, l := range c.layers {
		ql := quantLayer{in: l.in, out: l.out, q: make([]int8, len(l.w)), scale: make([]float64, l.out), b: l.b}
		for o := range l.out {
			row := l.w[o*l.in : (o+1)*l.in]
			s := round32(max(largest(row), 1e-12) / 127)
			ql.scale[o] = s
			for i, w := range row {
				ql.q[o*l.in+i] = int8(min(max(math.RoundToEven(w/s), -127), 127))
			}
		}
		q.layers[n] = ql
	}
	return q
}

// Probabilities is the quantized model's answer for a batch of input vectors.
func (q *Quantized) Probabilities(batch [][Features]float64) [][Regimes]float64 {
	c := Classifier{Mean: q.Mean, Scale: q.Scale}
	values := make([]float64, 0, len(batch)*Features)
	for i := range batch {
		v := c.normal(&batch[i])
		values = append(values, v[:]...)
	}
	for n := range q.layers {
		values = q.layers[n].forward(values)
		if n < len(q.layers)-1 {
			relu(values)
		}
	}
	out := make([][Regimes]float64, len(batch))
	for i := range out {
		copy(out[i][:], values[i*Regimes:])
		softmax(out[i][:])
	}
	return out
}

func (l *quantLayer) forward(in []float64) []float64 {
	low, high := 0.0, 0.0 // the range always holds zero
	for _, v := range in {
		low, high = min(low, round32(v)), max(high, round32(v))
	}
	scale := round32((high - low) / 255) // ONNX divides in float32, which decides ties
	if scale == 0 {
		scale = 1
	}
	zero := min(max(math.RoundToEven(round32(-low/scale)), 0), 255)
	x := make([]int32, len(in))
	for i, v := range in {
		x[i] = int32(min(max(math.RoundToEven(round32(round32(v)/scale))+zero, 0), 255)) - int32(zero)
	}
	out := make([]float64, 0, len(in)/l.in*l.out)
	for r := 0; r < len(x); r += l.in {
		for o := range l.out {
			sum := int32(0)
			for i, w := range l.q[o*l.in : (o+1)*l.in] {
				sum += int32(w) * x[r+i]
			}
			out = append(out, mul(float64(sum), mul(scale, l.scale[o]))+l.b[o])
		}
	}
	return out
}
