package demomodel

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/reference"
	"sluice/inference/tensor"
	"sluice/internal/testort"
)

type session interface {
	Run(ctx context.Context, in map[string]tensor.Value) (map[string]tensor.Value, error)
	Close() error
}

func TestONNXRuntimeAnswersTheGoldenCases(t *testing.T) {
	lib, err := ort.Load(testort.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	proveDemo(t, func(t *testing.T, file string) (session, error) {
		needsVNNI(t, file)
		return lib.Open(demoFile(t, file), ort.Options{})
	})
}

// needsVNNI skips the int8 model where ONNX Runtime computes it wrongly, which is why its variant requires VNNI.
func needsVNNI(t *testing.T, file string) {
	t.Helper()
	if file == int8Model && testort.Saturates() {
		t.Skip("this processor has no VNNI: ONNX Runtime's sums of 8-bit products saturate here, and the variant does not fit")
	}
}

// TestBothEnginesAgreeOnTheDemoModel holds the two engines against each other on bars of the test set that no golden case has,
// within the tolerances of the bundle.
func TestBothEnginesAgreeOnTheDemoModel(t *testing.T) {
	lib, err := ort.Load(testort.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		file, output string
		abs, rel     float64
	}{{fp32Model, OutputName, fp32Abs, fp32Rel}, {int8Model, OutputName, int8Abs, 0}, {treesModel, ForecastName, treesAbs, treesRel}} {
		t.Run(filepath.Base(m.file), func(t *testing.T) {
			needsVNNI(t, m.file)
			raw := demoFile(t, m.file)
			full, err := lib.Open(raw, ort.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			small, err := reference.Load(raw, reference.Options{})
			if err != nil {
				t.Fatal(err)
			}
			samples, worst, n := shipped().Data.Test.Samples, 0.0, 0
			for i := 7; i < len(samples); i += 40 {
				x, _, err := onnx.ParseTensor(Case{Batch: [][Features]float64{samples[i].X}}.Input())
				if err != nil {
					t.Fatal(err)
				}
				got, want := floats(t, answer(t, small, x, m.output)), floats(t, answer(t, full, x, m.output))
				for j := range want {
					off := math.Abs(got[j] - want[j])
					worst = max(worst, off)
					if n++; !(off <= m.abs+m.rel*math.Abs(want[j])) {
						t.Errorf("%s: bar %d, element %d: %v, ONNX Runtime says %v", m.file, i, j, got[j], want[j])
					}
				}
			}
			t.Logf("%s: %d elements, largest difference %.2g, tolerance %g + %g of the value", m.file, n, worst, m.abs, m.rel)
			if n < 100 {
				t.Errorf("%s: only %d elements were compared", m.file, n)
			}
		})
	}
}

// proveDemo runs the three shipped models over their golden cases with the tolerances of the bundle, and over part of
// the test set to see that the measured accuracy holds for the exported models.
func proveDemo(t *testing.T, open func(t *testing.T, file string) (session, error)) {
	regimes := GoldenCases(shipped().Data.Test)
	for _, m := range []struct {
		file, output string
		cases        []Case
		abs, rel     float64
	}{
		{fp32Model, OutputName, regimes, fp32Abs, fp32Rel},
		{int8Model, OutputName, regimes, int8Abs, 0},
		{treesModel, ForecastName, ForecastCases(regimes), treesAbs, treesRel},
	} {
		t.Run(filepath.Base(m.file), func(t *testing.T) {
			s, err := open(t, m.file)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			worst := 0.0
			for _, c := range m.cases {
				in := goldenTensor(t, c.Name, InputName)
				want := floats(t, goldenTensor(t, c.Name, m.output))
				got := floats(t, answer(t, s, in, m.output))
				if len(got) != len(want) {
					t.Fatalf("%s: %d elements, want %d", c.Name, len(got), len(want))
				}
				for i := range want {
					off := math.Abs(got[i] - want[i])
					worst = max(worst, off)
					if !(off <= m.abs+m.rel*math.Abs(want[i])) {
						t.Errorf("%s: element %d is %v, want %v", c.Name, i, got[i], want[i])
					}
				}
			}
			t.Logf("largest difference %.2g, tolerance %v", worst, m.abs)
			if m.output == OutputName {
				agree(t, s)
			}
		})
	}
}

// agree compares the exported model's choice of regime with the trainer's on every 20th test bar, one at a time.
func agree(t *testing.T, s session) {
	t.Helper()
	samples, same, right, ours := shipped().Data.Test.Samples, 0, 0, 0
	n := 0
	for i := 0; i < len(samples); i += 20 {
		in := Case{Batch: [][Features]float64{samples[i].X}}.Input()
		x, _, err := onnx.ParseTensor(in)
		if err != nil {
			t.Fatal(err)
		}
		got := top([Regimes]float64(floats(t, answer(t, s, x, OutputName))))
		want := top(shipped().Classifier.Probabilities(samples[i].X))
		n++
		if got == want {
			same++
		}
		if got == samples[i].Regime {
			right++
		}
		if want == samples[i].Regime {
			ours++
		}
	}
	if float64(same) < 0.98*float64(n) || math.Abs(float64(right-ours)) > 0.01*float64(n) {
		t.Errorf("of %d bars the exported model agrees on %d; it is right on %d, the trainer's on %d", n, same, right, ours)
	}
}

func answer(t *testing.T, s session, in *tensor.Tensor, output string) *tensor.Tensor {
	t.Helper()
	out, err := s.Run(context.Background(), map[string]tensor.Value{InputName: {Tensor: in}})
	if err != nil {
		t.Fatal(err)
	}
	v := out[output].Tensor
	if v == nil || v.DType != tensor.Float32 || len(v.Shape) != 2 || !slices.Equal(v.Shape[:1], in.Shape[:1]) {
		t.Fatalf("output %q is %+v", output, v)
	}
	return v
}

func demoFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "assets", "demo", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenTensor(t *testing.T, name, of string) *tensor.Tensor {
	t.Helper()
	v, got, err := onnx.ParseTensor(demoFile(t, "golden/"+name+"/"+of+".pb"))
	if err != nil {
		t.Fatal(err)
	}
	if got != of {
		t.Fatalf("%s: the file holds %q, want %q", name, got, of)
	}
	return v
}

func floats(t *testing.T, v *tensor.Tensor) []float64 {
	t.Helper()
	if v.DType != tensor.Float32 {
		t.Fatalf("element type %v, want float32", v.DType)
	}
	out := make([]float64, len(v.Raw)/4)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v.Raw[4*i:])))
	}
	return out
}
