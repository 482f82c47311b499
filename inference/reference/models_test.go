package reference_test

import (
	"math"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"sluice/inference/onnx"
	"sluice/inference/reference"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// stump is a tree: x[0] <= 0.5 gives 10, otherwise 20.
func stump() []*onnx.Attribute {
	return []*onnx.Attribute{
		onnx.IntsAttr("nodes_treeids", 0, 0, 0), onnx.IntsAttr("nodes_nodeids", 0, 1, 2), onnx.IntsAttr("nodes_featureids", 0, 0, 0),
		onnx.StringsAttr("nodes_modes", "BRANCH_LEQ", "LEAF", "LEAF"), onnx.FloatsAttr("nodes_values", 0.5, 0, 0),
		onnx.IntsAttr("nodes_truenodeids", 1, 0, 0), onnx.IntsAttr("nodes_falsenodeids", 2, 0, 0),
		onnx.IntsAttr("target_treeids", 0, 0), onnx.IntsAttr("target_nodeids", 1, 2), onnx.IntsAttr("target_ids", 0, 0), onnx.FloatsAttr("target_weights", 10, 20),
		onnx.IntAttr("n_targets", 1),
	}
}

func values(t *tensor.Tensor) []float64 {
	out := make([]float64, tensor.Elements(t.Shape))
	for i := range out {
		out[i] = number(t, i)
	}
	return out
}

func alike(got, want []float64) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= 1e-5+1e-5*math.Abs(want[i])) && !(got[i] != got[i] && want[i] != want[i]) {
			return false
		}
	}
	return true
}

func TestRegressionTrees(t *testing.T) {
	nan := float32(math.NaN())
	x := []float32{0.4, 0, 0.5, 0, 0.6, 0, nan, 0}
	for _, c := range []struct {
		name string
		edit func(n *onnx.Node)
		want []float64
	}{
		{"LEQ", func(n *onnx.Node) {}, []float64{10, 10, 20, 20}},
		{"LT", func(n *onnx.Node) { n.Attributes[3].Strings[0] = []byte("BRANCH_LT") }, []float64{10, 20, 20, 20}},
		{"GTE", func(n *onnx.Node) { n.Attributes[3].Strings[0] = []byte("BRANCH_GTE") }, []float64{20, 10, 10, 20}},
		{"GT", func(n *onnx.Node) { n.Attributes[3].Strings[0] = []byte("BRANCH_GT") }, []float64{20, 20, 10, 20}},
		{"EQ", func(n *onnx.Node) { n.Attributes[3].Strings[0] = []byte("BRANCH_EQ") }, []float64{20, 10, 20, 20}},
		{"NEQ", func(n *onnx.Node) { n.Attributes[3].Strings[0] = []byte("BRANCH_NEQ") }, []float64{10, 20, 10, 10}},
		{"missing values go the way of true", func(n *onnx.Node) {
			n.Attributes = append(n.Attributes, onnx.IntsAttr("nodes_missing_value_tracks_true", 1, 0, 0))
		}, []float64{10, 10, 20, 10}},
		{"base value", func(n *onnx.Node) { n.Attributes = append(n.Attributes, onnx.FloatsAttr("base_values", 1)) }, []float64{11, 11, 21, 21}},
		{"average of one tree", func(n *onnx.Node) {
			n.Attributes = append(n.Attributes, onnx.StringAttr("aggregate_function", "AVERAGE"))
		}, []float64{10, 10, 20, 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := mlNode("TreeEnsembleRegressor", []string{"x"}, []string{"y"}, stump()...)
			c.edit(n)
			raw := model(func(m *onnx.Model, g *onnx.Graph) {
				g.Nodes = []*onnx.Node{n}
				g.Outputs[0] = onnx.TensorInfo("y", tensor.Float32, -1, 1)
			})
			out, err := loadAndRun(raw, reference.Options{}, map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{4, 2}, x...)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := values(out["y"].Tensor); !alike(got, c.want) {
				t.Errorf("got %v, wanted %v", got, c.want)
			}
		})
	}
}

// twoTrees has two stumps on x[0] (cut 0.5) and x[1] (cut 1); weights are of the leaves, in order.
func twoTrees(prefix string, ids []int64, weights ...float32) []*onnx.Attribute {
	return []*onnx.Attribute{
		onnx.IntsAttr("nodes_treeids", 0, 0, 0, 1, 1, 1), onnx.IntsAttr("nodes_nodeids", 0, 1, 2, 0, 1, 2), onnx.IntsAttr("nodes_featureids", 0, 0, 0, 1, 0, 0),
		onnx.StringsAttr("nodes_modes", "BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"), onnx.FloatsAttr("nodes_values", 0.5, 0, 0, 1, 0, 0),
		onnx.IntsAttr("nodes_truenodeids", 1, 0, 0, 1, 0, 0), onnx.IntsAttr("nodes_falsenodeids", 2, 0, 0, 2, 0, 0),
		onnx.IntsAttr(prefix+"_treeids", 0, 0, 1, 1), onnx.IntsAttr(prefix+"_nodeids", 1, 2, 1, 2), onnx.IntsAttr(prefix+"_ids", ids...), onnx.FloatsAttr(prefix+"_weights", weights...),
	}
}

func TestAggregates(t *testing.T) {
	for how, want := range map[string]float64{"SUM": 5, "AVERAGE": 2.5, "MIN": 2, "MAX": 3} {
		n := mlNode("TreeEnsembleRegressor", []string{"x"}, []string{"y"}, twoTrees("target", []int64{0, 0, 0, 0}, 1, 2, 3, 4)...)
		n.Attributes = append(n.Attributes, onnx.IntAttr("n_targets", 1), onnx.StringAttr("aggregate_function", how))
		raw := model(func(m *onnx.Model, g *onnx.Graph) { g.Nodes = []*onnx.Node{n} })
		out, err := loadAndRun(raw, reference.Options{}, map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1, 2}, 1, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := values(out["y"].Tensor); !alike(got, []float64{want}) {
			t.Errorf("%s: got %v, wanted %v", how, got, want)
		}
	}
}

func classify(attributes []*onnx.Attribute, x ...float32) (*tensor.Tensor, []tensor.Map, error) {
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		label := tensor.Int64
		zip := onnx.IntsAttr("classlabels_int64s")
		for _, a := range attributes {
			switch a.Name {
			case "classlabels_int64s":
				zip = a
			case "classlabels_strings":
				zip, label = a, tensor.String
			}
		}
		g.Nodes = []*onnx.Node{mlNode("TreeEnsembleClassifier", []string{"x"}, []string{"label", "p"}, attributes...), mlNode("ZipMap", []string{"p"}, []string{"probabilities"}, zip)}
		key := tensor.Int64
		if label == tensor.String {
			key = tensor.String
		}
		g.Outputs = []onnx.ValueInfo{onnx.TensorInfo("label", label, -1), {Name: "probabilities", Type: onnx.Type{Kind: onnx.KindSequence,
			Of: &onnx.Type{Kind: onnx.KindMap, Key: key, Of: &onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}}}}}
	})
	out, err := loadAndRun(raw, reference.Options{}, map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{int64(len(x) / 2), 2}, x...)}})
	if err != nil {
		return nil, nil, err
	}
	return out["label"].Tensor, out["probabilities"].Maps, nil
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestClassifiersWithZipMap(t *testing.T) {
	// As gradient boosting libraries write two classes: one sum, LOGISTIC.
	a := append(twoTrees("class", []int64{0, 0, 0, 0}, -1, 2, 0.5, -3), onnx.IntsAttr("classlabels_int64s", 0, 1), onnx.StringAttr("post_transform", "LOGISTIC"), onnx.FloatsAttr("base_values", 0.25))
	label, maps, err := classify(a, 1, 0, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(label); !alike(got, []float64{1, 0}) {
		t.Errorf("labels %v, wanted 1 and 0", got)
	}
	for i, sum := range []float64{2 + 0.5 + 0.25, -1 - 3 + 0.25} {
		if got := maps[i]; !reflect.DeepEqual(got.IntKeys, []int64{0, 1}) || !alike([]float64{float64(got.Values[0]), float64(got.Values[1])}, []float64{logistic(-sum), logistic(sum)}) {
			t.Errorf("row %d: got %v, wanted %v", i, got, logistic(sum))
		}
	}
	// As random forests write: probabilities that are all positive, one sum, nothing after.
	a = append(twoTrees("class", []int64{0, 0, 0, 0}, 0.1, 0.4, 0.2, 0.3), onnx.StringsAttr("classlabels_strings", "down", "up"))
	label, maps, err = classify(a, 1, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(label.Strings, []string{"up", "down"}) || !reflect.DeepEqual(maps[0].StringKeys, []string{"down", "up"}) || math.Abs(float64(maps[0].Values[1])-0.6) > 1e-6 {
		t.Errorf("got %v %v", label.Strings, maps)
	}
	// Three classes.
	for post, want := range map[string][]float64{
		"NONE": {1.5, 0, 4}, "LOGISTIC": {logistic(1.5), 0.5, logistic(4)},
		"SOFTMAX":      {math.Exp(-2.5) / (math.Exp(-2.5) + math.Exp(-4) + 1), math.Exp(-4) / (math.Exp(-2.5) + math.Exp(-4) + 1), 1 / (math.Exp(-2.5) + math.Exp(-4) + 1)},
		"SOFTMAX_ZERO": {math.Exp(-2.5) / (math.Exp(-2.5) + 1), 0, 1 / (math.Exp(-2.5) + 1)},
	} {
		a := append(twoTrees("class", []int64{1, 0, 1, 2}, 7, 1, 1, 4), onnx.IntsAttr("classlabels_int64s", 5, 6, 7), onnx.StringAttr("post_transform", post), onnx.FloatsAttr("base_values", 0.5, 0, 0))
		label, maps, err := classify(a, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		got := []float64{float64(maps[0].Values[0]), float64(maps[0].Values[1]), float64(maps[0].Values[2])}
		if !alike(got, want) || values(label)[0] != 7 {
			t.Errorf("%s: got %v, class %v; wanted %v, class 7", post, got, values(label), want)
		}
	}
	// PROBIT of 0.9 is the 90 % quantile of the normal distribution, to the approximation's accuracy.
	a = append(twoTrees("class", []int64{0, 1, 2, 2}, 0.1, 0.9, 0.2, 0.2), onnx.IntsAttr("classlabels_int64s", 5, 6, 7), onnx.StringAttr("post_transform", "PROBIT"), onnx.FloatsAttr("base_values", 0.1, 0, 0))
	_, maps, err = classify(a, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(maps[0].Values[1]); math.Abs(got-1.28155) > 0.01 {
		t.Errorf("probit of 0.9 is %v, wanted 1.28", got)
	}
}

// Where the standard's reference and the common runtime differ, nothing is guessed.
func TestAmbiguousClassifiersAreRefused(t *testing.T) {
	for name, a := range map[string][]*onnx.Attribute{
		"all weights for class 1":              append(twoTrees("class", []int64{1, 1, 1, 1}, 1, 2, 3, 4), onnx.IntsAttr("classlabels_int64s", 0, 1)),
		"positive weights and LOGISTIC":        append(twoTrees("class", []int64{0, 0, 0, 0}, 1, 2, 3, 4), onnx.IntsAttr("classlabels_int64s", 0, 1), onnx.StringAttr("post_transform", "LOGISTIC")),
		"two sums, the first larger":           append(twoTrees("class", []int64{0, 0, 1, 1}, 5, 5, 1, 1), onnx.IntsAttr("classlabels_int64s", 0, 1)),
		"two base values for two classes":      append(twoTrees("class", []int64{0, 0, 0, 0}, 1, -2, 3, 4), onnx.IntsAttr("classlabels_int64s", 0, 1), onnx.FloatsAttr("base_values", 1, 2)),
		"largest sum of a class nobody scored": append(twoTrees("class", []int64{1, 1, 2, 2}, -5, -5, -1, -1), onnx.IntsAttr("classlabels_int64s", 0, 1, 2)),
	} {
		if _, _, err := classify(a, 1, 0); fault.CodeOf(err) != fault.EngineNeeded {
			t.Errorf("%s: got %v, wanted a refusal", name, err)
		}
	}
}

// A dense layer in dynamic int8, as quantization tools write it, agrees with the same layer in float32.
func TestDynamicInt8AgreesWithFloat(t *testing.T) {
	w := []float32{0.5, -0.25, 0.125, 1, -1, 0.75}
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		q := &tensor.Tensor{DType: tensor.Int8, Shape: []int64{2, 3}}
		for _, f := range w {
			q.Raw = append(q.Raw, byte(int8(math.RoundToEven(float64(f)*127))))
		}
		g.Initializers = []*onnx.Tensor{constant("w", q), constant("ws", floatsOf(nil, 1.0/127)), constant("wz", &tensor.Tensor{DType: tensor.Int8, Raw: []byte{0}})}
		g.Nodes = []*onnx.Node{
			node("DynamicQuantizeLinear", []string{"x"}, []string{"q", "s", "z"}), node("MatMulInteger", []string{"q", "w", "z", "wz"}, []string{"i"}),
			node("Cast", []string{"i"}, []string{"f"}, onnx.IntAttr("to", 1)), node("Mul", []string{"s", "ws"}, []string{"sw"}), node("Mul", []string{"f", "sw"}, []string{"y"}),
		}
		g.Outputs[0] = onnx.TensorInfo("y", tensor.Float32, -1, 3)
	})
	x := []float32{1.5, -0.5}
	out, err := loadAndRun(raw, reference.Options{}, map[string]tensor.Value{"x": {Tensor: floatsOf([]int64{1, 2}, x...)}})
	if err != nil {
		t.Fatal(err)
	}
	for j, got := range values(out["y"].Tensor) {
		want := float64(x[0]*w[j] + x[1]*w[3+j])
		if math.Abs(got-want) > 0.02 {
			t.Errorf("column %d: got %v, wanted about %v", j, got, want)
		}
	}
}

// A branch reads values of the graph around it, at two depths, and gives one of them back unchanged.
func TestBranchesReadValuesAround(t *testing.T) {
	leaf := func(op string, in ...string) *onnx.Graph {
		return &onnx.Graph{Nodes: []*onnx.Node{node(op, in, []string{"r"})}, Outputs: []onnx.ValueInfo{onnx.TensorInfo("r", tensor.Float32)}}
	}
	inner := &onnx.Graph{
		Nodes:   []*onnx.Node{node("If", []string{"c"}, []string{"q"}, onnx.GraphAttr("then_branch", leaf("Add", "h", "x")), onnx.GraphAttr("else_branch", leaf("Neg", "h")))},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("q", tensor.Float32)},
	}
	around := &onnx.Graph{Outputs: []onnx.ValueInfo{onnx.TensorInfo("h", tensor.Float32)}}
	for _, c := range []struct {
		yes  byte
		want []float64
	}{{1, []float64{-1, 6}}, {0, []float64{0, 4}}} {
		raw := model(func(m *onnx.Model, g *onnx.Graph) {
			g.Initializers = []*onnx.Tensor{constant("c", &tensor.Tensor{DType: tensor.Bool, Raw: []byte{c.yes}}), constant("two", floatsOf(nil, 2))}
			g.Nodes = []*onnx.Node{
				node("If", []string{"c"}, []string{"y"}, onnx.GraphAttr("then_branch", inner), onnx.GraphAttr("else_branch", around)),
				node("Mul", []string{"r0", "two"}, []string{"h"}), node("Relu", []string{"x"}, []string{"r0"}), // out of order
			}
		})
		out, err := loadAndRun(raw, reference.Options{}, good())
		if err != nil {
			t.Fatal(err)
		}
		if got := values(out["y"].Tensor); !alike(got, c.want) {
			t.Errorf("condition %d: got %v, wanted %v", c.yes, got, c.want)
		}
	}
}

func TestExternalDataComesFromTheCaller(t *testing.T) {
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Initializers = []*onnx.Tensor{{Name: "w", Value: tensor.Tensor{DType: tensor.Float32, Shape: []int64{2}},
			External: []onnx.KeyValue{{Key: "location", Value: "data/w.bin"}, {Key: "offset", Value: "4"}, {Key: "length", Value: "8"}}}}
		g.Nodes = []*onnx.Node{node("Add", []string{"x", "w"}, []string{"y"})}
	})
	o := reference.Options{External: func(name string) ([]byte, error) {
		if name != "data/w.bin" {
			t.Errorf("asked for %q", name)
		}
		return floatsOf(nil, 99, 10, 20).Raw, nil
	}}
	out, err := loadAndRun(raw, o, good())
	if err != nil {
		t.Fatal(err)
	}
	if got := values(out["y"].Tensor); !alike(got, []float64{9, 22}) {
		t.Errorf("got %v", got)
	}
}

func TestInitializersAreDefaultsOfInputs(t *testing.T) {
	raw := model(func(m *onnx.Model, g *onnx.Graph) {
		g.Inputs = append(g.Inputs, onnx.TensorInfo("k", tensor.Float32))
		g.Initializers = []*onnx.Tensor{constant("k", floatsOf(nil, 3))}
		g.Nodes = []*onnx.Node{node("Mul", []string{"x", "k"}, []string{"y"})}
	})
	m, err := reference.Load(raw, reference.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, out, _ := m.Signature()
	if len(in) != 1 || in[0].Name != "x" || len(out) != 1 || out[0].Name != "y" {
		t.Errorf("signature %v %v", in, out)
	}
	for _, c := range []struct {
		in   map[string]tensor.Value
		want []float64
	}{{good(), []float64{-3, 6}}, {map[string]tensor.Value{"x": good()["x"], "k": {Tensor: floatsOf(nil, 5)}}, []float64{-5, 10}}} {
		got, err := m.Run(t.Context(), c.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := values(got["y"].Tensor); !alike(got, c.want) {
			t.Errorf("got %v, wanted %v", got, c.want)
		}
	}
}

func TestRunsSideBySide(t *testing.T) {
	m, err := reference.Load(seeds()[2], reference.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Run(t.Context(), good())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				got, err := m.Run(t.Context(), good())
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// docs/operators.md is written by `SLUICE_UPDATE=1 go test ./inference/reference -run Documentation`.
func TestDocumentationIsCurrent(t *testing.T) {
	const file = "../../docs/operators.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- table: made from the program's own table, do not edit below -->\n"
	head, _, ok := strings.Cut(string(raw), mark)
	if !ok {
		t.Fatalf("%s lost its mark", file)
	}
	want := head + mark + "\n" + reference.OperatorTable()
	if os.Getenv("SLUICE_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Errorf("%s is not current; SLUICE_UPDATE=1 go test ./inference/reference -run Documentation writes it", file)
	}
}
