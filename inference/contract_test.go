package inference_test

import (
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

func TestCheckContract(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *folder, c *bundle.InferenceContract)
		says   string // "" passes
	}{
		{"as it is", func(*folder, *bundle.InferenceContract) {}, ""},
		{"input of another name", func(_ *folder, c *bundle.InferenceContract) { c.Inputs[0].Name = "z" }, `input "z"`},
		{"input missing", func(_ *folder, c *bundle.InferenceContract) { c.Inputs = nil }, `the model has input "x"`},
		{"output of another name", func(_ *folder, c *bundle.InferenceContract) { c.Outputs[0].Name = "z" }, `output "z"`},
		{"output missing", func(_ *folder, c *bundle.InferenceContract) { c.Outputs = nil }, `the model has output "y"`},
		{"input twice", func(_ *folder, c *bundle.InferenceContract) { c.Inputs = append(c.Inputs, c.Inputs[0]) }, `input "x"`},
		{"element type", func(_ *folder, c *bundle.InferenceContract) { c.Inputs[0].DType = "float64" }, "float64"},
		{"sequence", func(_ *folder, c *bundle.InferenceContract) { c.Outputs[0].DType = "sequence(map(int64,float32))" }, "sequence"},
		{"rank", func(_ *folder, c *bundle.InferenceContract) { c.Inputs[0].Shape = nil }, "dimensions"},
		{"size", func(_ *folder, c *bundle.InferenceContract) { c.Outputs[0].Shape = []bundle.Dim{{Size: 3}} }, "dimension 0 is 3"},
		{"named where the model is fixed", func(_ *folder, c *bundle.InferenceContract) { c.Inputs[0].Shape = []bundle.Dim{{Name: "n"}} }, `"n"`},
		{"golden file of another type", func(f *folder, c *bundle.InferenceContract) {
			f.add("artifacts/golden/bad.pb", bundle.RoleGolden, onnx.MarshalTensor("x", ints([]int64{2}, 1, 2)))
			c.Golden[1].Inputs["x"] = "artifacts/golden/bad.pb"
		}, "int64"},
		{"golden file of another shape", func(f *folder, c *bundle.InferenceContract) {
			f.add("artifacts/golden/bad.pb", bundle.RoleGolden, onnx.MarshalTensor("x", floats([]int64{3}, 1, 2, 3)))
			c.Golden[1].Inputs["x"] = "artifacts/golden/bad.pb"
		}, "is 3 in the file"},
		{"golden case without its input", func(f *folder, c *bundle.InferenceContract) { delete(c.Golden[0].Inputs, "x") }, "no file"},
		{"golden case with a further output", func(f *folder, c *bundle.InferenceContract) { c.Golden[0].Outputs["w"] = c.Golden[0].Outputs["y"] }, `"w"`},
		{"golden case without outputs", func(f *folder, c *bundle.InferenceContract) { c.Golden[0].Outputs = nil }, "no output"},
	} {
		f := good(t)
		c.change(f, &f.m.InferenceContract)
		err := inference.CheckContract(t.Context(), f.m, "only", f.dir)
		if c.says == "" && err != nil || c.says != "" && (fault.CodeOf(err) != fault.Contract || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestContractMayFixWhatTheModelLeavesOpen(t *testing.T) {
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, model(func(m *onnx.Model) {
		m.Graph.Inputs = []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, -1, 2), onnx.TensorInfo("w", tensor.Float32, 2)}
		m.Graph.Outputs[0] = onnx.TensorInfo("y", tensor.Float32, -1, 2)
		m.Graph.Initializers = []*onnx.Tensor{initializer("w", floats([]int64{2}, 1, 1))} // so it is no input of the contract
	}, node("Add", names("x", "w"), names("y"))))
	f.golden("one", floats([]int64{1, 2}, 1, 2), floats([]int64{1, 2}, 2, 3), bundle.Tolerance{})
	if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); err != nil {
		t.Error(err)
	}
	c := &f.m.InferenceContract
	c.Inputs[0].Shape[0], c.Outputs[0].Shape[0] = bundle.Dim{Name: "batch"}, bundle.Dim{Name: "batch"}
	if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); err != nil {
		t.Error(err)
	}
	f.golden("two", floats([]int64{2, 2}, 1, 2, 3, 4), floats([]int64{1, 2}, 2, 3), bundle.Tolerance{})
	if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); fault.CodeOf(err) != fault.Contract || !strings.Contains(err.Error(), `"batch"`) {
		t.Errorf("one name, two sizes: %v", err)
	}
}

func TestContractOfBrokenFiles(t *testing.T) {
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, []byte("no model"))
	f.golden("one", floats([]int64{2}, 1, 2), floats([]int64{2}, 2, 4), bundle.Tolerance{})
	if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); fault.CodeOf(err) != fault.ModelInvalid {
		t.Error(err)
	}
	f = good(t)
	write(t, f.dir+"/"+modelPath, []byte("another model"))
	if err := inference.CheckContract(t.Context(), f.m, "only", f.dir); fault.CodeOf(err) != fault.InstalledChanged {
		t.Error(err)
	}
	if err := inference.CheckContract(t.Context(), f.m, "other", f.dir); fault.CodeOf(err) != fault.VariantUnknown {
		t.Error(err)
	}
}
