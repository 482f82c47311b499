package inference_test

import (
	"math"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// ask puts the question to both engines, the reference evaluator first or second.
func ask(t *testing.T, f *folder, first, second inference.EngineSpec) *inference.SecondOpinion {
	t.Helper()
	s, err := inference.Ask(t.Context(), self(t), f.job(first), second, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecondOpinionAgrees(t *testing.T) {
	full, small := fullRuntime(t), inference.EngineSpec{Kind: inference.KindReference}
	for _, pair := range [][2]inference.EngineSpec{{full, small}, {small, full}} {
		s := ask(t, good(t), pair[0], pair[1])
		if !s.Given || !s.Agrees || s.Err() != nil || len(s.Cases) != 2 || s.First.Engine != pair[0].Kind || s.Second.Engine != pair[1].Kind ||
			s.First.EngineVersion == "" || s.Second.EngineVersion == "" || s.First.EngineVersion == s.Second.EngineVersion {
			t.Errorf("%+v", s)
		}
	}
}

// Two right engines differ in the last bits of a long sum of sigmoids; a tolerance of nothing must tell of it, with the place.
func TestSecondOpinionDiffers(t *testing.T) {
	const n = 4096
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, model(func(m *onnx.Model) {
		m.Graph.Inputs = []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, n)}
		m.Graph.Outputs = []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, n)}
	}, node("Erf", names("x"), names("e")), node("Sigmoid", names("e"), names("y"))))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(float64(i))) * 3
	}
	f.golden("one", floats([]int64{n}, x...), floats([]int64{n}, x...), bundle.Tolerance{})
	s := ask(t, f, inference.EngineSpec{}, fullRuntime(t))
	if !s.Given || s.Agrees || s.Code != fault.SecondOpinion || fault.CodeOf(s.Err()) != fault.SecondOpinion || s.Cases[0].Worst == nil || s.Cases[0].Wrong == 0 ||
		s.Cases[0].WorstAbs > 1e-5 || s.Cases[0].Worst.Index == nil || !strings.Contains(s.Reason, "does not agree") {
		t.Fatalf("%+v", s)
	}
	f.m.InferenceContract.Golden[0].Tolerance.Abs = 1e-5
	if s := ask(t, f, inference.EngineSpec{}, fullRuntime(t)); !s.Agrees {
		t.Errorf("within the contract's tolerance: %+v", s)
	}
}

// An engine that lacks an operator has no opinion, and says which one.
func TestNoSecondOpinion(t *testing.T) {
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, model(func(m *onnx.Model) {
		m.Opsets = append(m.Opsets, onnx.Opset{Domain: "com.microsoft", Version: 1})
		m.Graph.Nodes[0].Domain = "com.microsoft"
	}, node("QuickGelu", names("x"), names("y"))))
	f.golden("one", floats([]int64{2}, 0, 0), floats([]int64{2}, 0, 0), bundle.Tolerance{})
	s := ask(t, f, fullRuntime(t), inference.EngineSpec{})
	if s.Given || s.Agrees || s.Err() != nil || s.Operator != "QuickGelu" || s.Code != fault.EngineNeeded || s.Reason == "" {
		t.Errorf("%+v", s)
	}
	if _, err := inference.Other(inference.EngineSpec{Kind: inference.KindReference}, "", bundle.Digest{}); fault.CodeOf(err) != fault.EngineNeeded {
		t.Errorf("no library: %v", err)
	}
}

// A file that is not the manifest's is a refusal, not a missing opinion.
func TestSecondOpinionOfAChangedFile(t *testing.T) {
	f := good(t)
	f.m.Artifacts[0].SHA384[0] ^= 1
	s, err := inference.Ask(t.Context(), self(t), f.job(inference.EngineSpec{}), inference.EngineSpec{}, nil)
	if s != nil || fault.CodeOf(err) != fault.InstalledChanged {
		t.Errorf("%+v %v", s, err)
	}
}
