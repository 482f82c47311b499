package reference_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/ort"
	"sluice/inference/reference"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// Classifiers as converters write them, an ensemble of trees and a ZipMap behind it, through both engines: the same labels,
// the same keys, the same probabilities. Both also say the same about the model's inputs and outputs.
func TestClassifiersAgreeWithTheFullRuntime(t *testing.T) {
	lib := fullRuntime(t)
	same, refused, broken := 0, 0, 0
	for seed := range uint64(200) {
		r := generators["TreeEnsembleClassifier"](chance{rand.New(rand.NewPCG(seed, 11))})
		raw, in := r.model()
		m, err := onnx.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		zip, key := onnx.IntsAttr("classlabels_int64s"), tensor.Int64
		for _, a := range r.node.Attributes {
			switch a.Name {
			case "classlabels_strings":
				zip, key = a, tensor.String
			case "classlabels_int64s":
				zip = a
			}
		}
		value := onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}
		pair := onnx.Type{Kind: onnx.KindMap, Key: key, Of: &value}
		m.Graph.Nodes = append(m.Graph.Nodes, mlNode("ZipMap", []string{"p"}, []string{"chances"}, zip))
		m.Graph.Outputs = []onnx.ValueInfo{m.Graph.Outputs[0], {Name: "chances", Type: onnx.Type{Kind: onnx.KindSequence, Of: &pair}}}
		raw = onnx.Marshal(m)
		got, err := loadAndRun(raw, reference.Options{}, in)
		noPanic(t, err)
		if fault.CodeOf(err) == fault.EngineNeeded {
			refused++
			continue
		}
		want, theirs := full(t, lib, raw, in)
		if err != nil && theirs != nil {
			broken++ // too few base values
			continue
		}
		if err != nil || theirs != nil {
			t.Errorf("seed %d: %s: %v, and the runtime says %v", seed, describe(r), err, theirs)
			continue
		}
		if err := near(got["label"].Tensor, want["label"].Tensor); err != nil {
			t.Errorf("seed %d: %s: labels: %v", seed, describe(r), err)
		}
		if err := nearMaps(got["chances"].Maps, want["chances"].Maps); err != nil {
			t.Errorf("seed %d: %s: %v", seed, describe(r), err)
		}
		signatures(t, lib, raw)
		same++
	}
	fmt.Printf("summary: random classifiers with ZipMap through both engines: %d the same, %d refused here, %d refused by both\n", same, refused, broken)
	if same < 50 {
		t.Errorf("only %d classifiers were compared", same)
	}
}

func nearMaps(got, want []tensor.Map) error {
	if len(got) != len(want) || len(got) == 0 {
		return fmt.Errorf("%d maps, wanted %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if len(g.Values) != len(w.Values) || len(g.IntKeys) != len(w.IntKeys) || len(g.StringKeys) != len(w.StringKeys) {
			return fmt.Errorf("map %d: %v, wanted %v", i, g, w)
		}
		for j := range w.Values {
			k := -1
			if w.StringKeys != nil {
				k = slices.Index(g.StringKeys, w.StringKeys[j])
			} else {
				k = slices.Index(g.IntKeys, w.IntKeys[j])
			}
			if k < 0 {
				return fmt.Errorf("map %d: %v, wanted %v", i, g, w)
			}
			a, b := float64(g.Values[k]), float64(w.Values[j])
			// The runtime's PROBIT loses digits in its float32 sums.
			if a != b && !(math.Abs(a-b) < 1e-3+1e-2*math.Abs(b)) && !(a != a && b != b) {
				return fmt.Errorf("map %d: %v, wanted %v", i, g, w)
			}
		}
	}
	return nil
}

// signatures compares what both engines say about a model's inputs and outputs.
func signatures(t *testing.T, lib *ort.Library, raw []byte) {
	t.Helper()
	s, err := lib.Open(raw, ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := reference.Load(raw, reference.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in1, out1, err1 := s.Signature()
	in2, out2, err2 := m.Signature()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	alike := func(a, b tensor.Info) bool {
		return a.Name == b.Name && a.Type == b.Type && a.Kind == b.Kind && a.DType == b.DType && (len(b.Shape) == 0 || slices.Equal(a.Shape, b.Shape))
	}
	if !slices.EqualFunc(in1, in2, alike) || !slices.EqualFunc(out1, out2, alike) {
		t.Errorf("the runtime says %+v %+v, the evaluator %+v %+v", in1, out1, in2, out2)
	}
}
