package inference_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/progress"
	"sluice/internal/testort"
)

func TestGoldenCasesPass(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		f := good(t)
		var events []progress.Event
		r, err := inference.Smoke(context.Background(), self(t), f.job(spec), func(e progress.Event) { events = append(events, e) })
		if err != nil || !r.Passed || r.Err() != nil {
			t.Fatalf("%+v %v", r, err)
		}
		if r.Engine != spec.Kind || r.EngineVersion == "" || r.Provider != "cpu" || len(r.Cases) != 2 || r.LimitMiB != 256 || r.PeakMiB < 1 || r.PeakMiB > 32 || r.MedianMS <= 0 || r.P95MS < r.MedianMS {
			t.Errorf("%+v", r)
		}
		if len(r.Evidence) != 1 || r.Evidence[0].Model != modelPath || !maps.Equal(r.Evidence[0].Nodes, map[string]int{"cpu": 1}) {
			t.Errorf("evidence %+v", r.Evidence)
		}
		if spec.Kind == inference.KindONNXRuntime && r.LibrarySHA384 != spec.LibrarySHA384.String() {
			t.Errorf("library %q", r.LibrarySHA384)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if n := len(events); n == 0 || !events[n-1].Final || events[n-1].Done != 2 && events[n-1].Done != 1 || events[n-1].Total != 2 || events[n-1].Variant != "only" {
			t.Errorf("%+v", events)
		}
	})
}

func TestWrongAnswersFail(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		f := good(t)
		f.golden("three", floats([]int64{2}, 1, 1), floats([]int64{2}, 2, 2.5), bundle.Tolerance{Abs: .1})
		r := f.smoke(spec)
		if r.Passed || r.Code != fault.SmokeFailed || !strings.Contains(r.Reason, `"three"`) || fault.CodeOf(r.Err()) != fault.SmokeFailed {
			t.Fatalf("%+v", r)
		}
		if e := r.Cases[2].Worst; e == nil || e.Output != "y" || e.Expected.Value != "2.5" || e.Got.Value != "2" || e.Expected.DType != "float32" || e.Diff != .5 || e.Allowed != .1 ||
			r.Cases[2].Wrong != 1 || r.Cases[2].Elements != 2 || r.WorstCase().Name != "three" || r.Cases[2].Tolerance.Abs != .1 || r.Runs != 3 || r.Warmup != 1 {
			t.Errorf("%+v %+v", r, e)
		}
		if c := r.Cases[2]; c.Passed || c.WorstAbs != .5 || c.WorstRel != .2 || c.AtOutput != "y" || len(c.AtIndex) != 1 || c.AtIndex[0] != 1 {
			t.Errorf("%+v", c)
		}
		f.m.InferenceContract.Golden[2].Variants = map[string]bundle.Tolerance{"only": {Abs: .5}}
		if r := f.smoke(spec); !r.Passed {
			t.Errorf("the variant's own tolerance: %+v", r)
		}
	})
}

func TestNaNAndInfinityFail(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		f := newFolder(t)
		f.add(modelPath, bundle.RoleWeights, model(nil, node("Div", names("x", "x"), names("y"))))
		f.golden("one", floats([]int64{2}, 1, 0), floats([]int64{2}, 1, 1), bundle.Tolerance{Abs: 1e30})
		if r := f.smoke(spec); r.Passed || r.Code != fault.SmokeFailed || !r.Cases[0].NaN || r.Cases[0].Inf || r.Cases[0].Worst.Got.Value != "NaN" || r.Cases[0].AtIndex[0] != 1 {
			t.Errorf("%+v", r)
		}
		f = newFolder(t)
		f.add(modelPath, bundle.RoleWeights, model(nil, node("Exp", names("x"), names("y"))))
		f.golden("one", floats([]int64{2}, 0, 1000), floats([]int64{2}, 1, 1), bundle.Tolerance{Abs: 1e30})
		if r := f.smoke(spec); r.Passed || r.Cases == nil || !r.Cases[0].Inf || r.Cases[0].NaN || r.Cases[0].Worst.Got.Value != "+Inf" {
			t.Errorf("%+v", r)
		}
	})
}

// A run that ends badly keeps the rows of the cases before, and names the one that it ended in.
func TestRowsSurviveABadEnd(t *testing.T) {
	f := good(t)
	f.add("artifacts/golden/odd.pb", bundle.RoleGolden, onnx.MarshalTensor("x", floats([]int64{3}, 1, 2, 3)))
	c := &f.m.InferenceContract
	c.Golden = append(c.Golden, bundle.GoldenCase{Name: "odd", Inputs: map[string]string{"x": "artifacts/golden/odd.pb"}, Outputs: c.Golden[0].Outputs})
	r := f.smoke(inference.EngineSpec{})
	if r.Passed || r.Code != fault.Contract || len(r.Cases) != 3 || !r.Cases[0].Passed || !r.Cases[1].Passed || r.Cases[2].Name != "odd" || r.Cases[2].Passed || r.Cases[2].Reason == "" {
		t.Errorf("%+v", r)
	}
}

func TestSlowModelsFail(t *testing.T) {
	f := good(t)
	f.m.InferenceContract.MaxLatencyMS = 1e-6
	r := f.smoke(inference.EngineSpec{})
	if r.Passed || r.Code != fault.SmokeFailed || !strings.Contains(r.Reason, "too slow") {
		t.Errorf("%+v", r)
	}
}

// The contract is held against the loaded model before a golden case runs, whichever engine has it.
func TestContractIsCheckedBeforeTheCases(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		for name, c := range map[string]struct {
			change func(c *bundle.InferenceContract)
			fact   string
		}{
			"input of another name":  {func(c *bundle.InferenceContract) { c.Inputs[0].Name = "z" }, "input"},
			"output of another name": {func(c *bundle.InferenceContract) { c.Outputs[0].Name = "z" }, "output"},
			"input type":             {func(c *bundle.InferenceContract) { c.Inputs[0].DType = "float64" }, "input"},
			"output type":            {func(c *bundle.InferenceContract) { c.Outputs[0].DType = "int64" }, "output"},
			"rank":                   {func(c *bundle.InferenceContract) { c.Inputs[0].Shape = append(c.Inputs[0].Shape, bundle.Dim{Size: 1}) }, "input"},
			"size":                   {func(c *bundle.InferenceContract) { c.Outputs[0].Shape = []bundle.Dim{{Size: 3}} }, "output"},
			"open where it is fixed": {func(c *bundle.InferenceContract) { c.Inputs[0].Shape = []bundle.Dim{{Name: "n"}} }, "input"},
			"one more": {func(c *bundle.InferenceContract) {
				c.Outputs = append(c.Outputs, bundle.TensorSpec{Name: "w", DType: "float32"})
			}, "output"},
		} {
			f := good(t)
			c.change(&f.m.InferenceContract)
			r := f.smoke(spec)
			if r.Passed || r.Code != fault.Contract || len(r.Cases) != 0 || r.Detail[c.fact] == nil || fault.DetailOf(r.Err())[c.fact] == nil {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
}

func TestVariantWithoutCasesFails(t *testing.T) {
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, double())
	two := []bundle.Dim{{Size: 2}}
	f.m.InferenceContract.Inputs = []bundle.TensorSpec{{Name: "x", DType: "float32", Shape: two}}
	f.m.InferenceContract.Outputs = []bundle.TensorSpec{{Name: "y", DType: "float32", Shape: two}}
	if r := f.smoke(inference.EngineSpec{}); r.Passed || r.Code != fault.SmokeFailed {
		t.Errorf("%+v", r)
	}
}

func TestCompanionsAreProvenToo(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		f := good(t)
		f.add("artifacts/companion.onnx", bundle.RoleWeights, model(nil, node("Mul", names("x", "x"), names("y"))))
		g := f.m.InferenceContract.Golden[0] // 1, -2.5 -> 2, -5: wrong for a square
		f.m.InferenceContract.Companions = []bundle.Companion{{ID: "square", Artifact: "artifacts/companion.onnx",
			Inputs: f.m.InferenceContract.Inputs, Outputs: f.m.InferenceContract.Outputs, Golden: []bundle.GoldenCase{g}}}
		r := f.smoke(spec)
		if r.Passed || !strings.Contains(r.Reason, "companion.onnx") || len(r.Cases) != 3 {
			t.Fatalf("%+v", r)
		}
		f.m.Variants[0].Artifacts = f.m.Variants[0].Artifacts[:1] // no longer listed
		if r := f.smoke(spec); !r.Passed || len(r.Cases) != 2 {
			t.Errorf("%+v", r)
		}
	})
}

func TestFilesMustBeTheManifests(t *testing.T) {
	for _, path := range []string{modelPath, "artifacts/golden/one/x.pb", "artifacts/golden/two/y.pb"} {
		f := good(t)
		file := filepath.Join(f.dir, filepath.FromSlash(path))
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if r := f.smoke(inference.EngineSpec{}); r.Passed || r.Code != fault.InstalledChanged {
			t.Errorf("%s: %+v", path, r)
		}
		if err := os.Truncate(file, 3); err != nil {
			t.Fatal(err)
		}
		if r := f.smoke(inference.EngineSpec{}); r.Passed || r.Code != fault.InstalledChanged {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

func TestSequenceOfMapsOutput(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		f := newFolder(t)
		f.add(modelPath, bundle.RoleWeights, onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 13}, {Domain: "ai.onnx.ml", Version: 1}}, Graph: &onnx.Graph{
			Name: "test",
			Nodes: []*onnx.Node{{OpType: "ZipMap", Domain: "ai.onnx.ml", Inputs: names("x"), Outputs: names("y"),
				Attributes: []*onnx.Attribute{onnx.StringsAttr("classlabels_strings", "down", "up")}}},
			Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 1, 2)},
			Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.Type{Kind: onnx.KindSequence, Of: &onnx.Type{Kind: onnx.KindMap, Key: tensor.String, Of: &onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32, HasShape: true}}}}},
		}}))
		f.add("artifacts/golden/x.pb", bundle.RoleGolden, onnx.MarshalTensor("x", floats([]int64{1, 2}, .25, .75)))
		f.add("artifacts/golden/y.pb", bundle.RoleGolden, onnx.MarshalSequence("y", []tensor.Map{{StringKeys: names("up", "down"), Values: []float32{.75, .25}}}))
		c := &f.m.InferenceContract
		c.Inputs = []bundle.TensorSpec{{Name: "x", DType: "float32", Shape: []bundle.Dim{{Size: 1}, {Size: 2}}}}
		c.Outputs = []bundle.TensorSpec{{Name: "y", DType: "sequence(map(string,float32))"}}
		c.Golden = []bundle.GoldenCase{{Name: "zip", Inputs: map[string]string{"x": "artifacts/golden/x.pb"}, Outputs: map[string]string{"y": "artifacts/golden/y.pb"}}}
		if r := f.smoke(spec); !r.Passed {
			t.Errorf("%+v", r)
		}
		if err := inference.CheckContract(context.Background(), f.m, "only", f.dir); err != nil {
			t.Error(err)
		}
	})
}

func TestCancelKillsTheChild(t *testing.T) {
	f := newFolder(t)
	f.add(modelPath, bundle.RoleWeights, endless())
	f.golden("one", floats([]int64{2}, 1, 1), floats([]int64{2}, 1, 1), bundle.Tolerance{})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(300*time.Millisecond, cancel)
	start := time.Now()
	r, err := inference.Smoke(ctx, self(t), f.job(fullRuntime(t)), nil)
	if r != nil || !errors.Is(err, context.Canceled) || time.Since(start) > 20*time.Second {
		t.Errorf("%+v %v after %v", r, err, time.Since(start))
	}
}

// A program that dies, talks nonsense, or says nothing is never a pass.
func TestChildrenThatMisbehave(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("uses shell scripts as children")
	}
	for _, c := range []struct {
		name, script string
		want         fault.Code
		says         string
	}{
		{"segmentation fault", "kill -SEGV $$", fault.ModelCrash, "segmentation fault"},
		{"abort", "echo terminate called >&2; kill -ABRT $$", fault.ModelCrash, "abort"},
		{"killed by the system", "kill -KILL $$", fault.ModelLimit, "ended by the system"},
		{"out of memory", "echo 'fatal error: runtime: out of memory' >&2; exit 2", fault.ModelLimit, "out of memory"},
		{"bad_alloc", "echo \"terminate called after throwing an instance of 'std::bad_alloc'\" >&2; kill -ABRT $$", fault.ModelLimit, "out of memory"},
		{"exit 0 without a word", "exit 0", fault.ModelCrash, "without a result"},
		{"nonsense", "echo nonsense >&3; exit 1", fault.ModelCrash, "exit status 1"},
		{"result, then crash", `echo '{"report":{"cases":[],"passed":true}}' >&3; kill -SEGV $$`, fault.ModelCrash, "segmentation fault"},
		{"says itself that it passed", `echo '{"report":{"cases":[],"passed":true}}' >&3`, fault.SmokeFailed, "0 of 2"},
		{"hangs", "sleep 60 & sleep 60", fault.ModelLimit, "stopped after"},
		{"endless stderr", "yes >&2", fault.ModelLimit, "stopped after"},
		{"endless results", `while :; do echo '{"model":"m"}' >&3; done`, fault.ModelLimit, "stopped after"},
	} {
		exe := filepath.Join(t.TempDir(), "child")
		if err := os.WriteFile(exe, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		f := good(t)
		job := f.job(inference.EngineSpec{})
		if job.Timeout = time.Minute; c.says == "stopped after" {
			job.Timeout = 400 * time.Millisecond
		}
		r, err := inference.Smoke(context.Background(), exe, job, nil)
		if err != nil || r.Passed || r.Code != c.want || !strings.Contains(r.Reason, c.says) {
			t.Errorf("%s: %+v %v", c.name, r, err)
		}
	}
	f := good(t)
	if _, err := inference.Smoke(context.Background(), "/no/such/program", f.job(inference.EngineSpec{}), nil); fault.CodeOf(err) != fault.Internal {
		t.Errorf("missing program: %v", err)
	}
}

func TestSmokeRefusesWrongJobs(t *testing.T) {
	f := good(t)
	for name, change := range map[string]func(*inference.Job){
		"no manifest":     func(j *inference.Job) { j.Manifest = nil },
		"unknown variant": func(j *inference.Job) { j.Variant = "other" },
		"relative folder": func(j *inference.Job) { j.Dir = "." },
		"negative runs":   func(j *inference.Job) { j.Runs = -1 },
	} {
		job := f.job(inference.EngineSpec{})
		change(&job)
		if r, err := inference.Smoke(context.Background(), self(t), job, nil); err == nil || r != nil {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

func TestEngines(t *testing.T) {
	got := inference.Engines(context.Background(), inference.EngineOptions{Exe: self(t)})
	if len(got) != 2 || !got[0].Usable || got[0].Name != "reference" || got[1].Usable || got[1].Reason == "" {
		t.Errorf("%+v", got)
	}
	junk := filepath.Join(t.TempDir(), "libonnxruntime.so.1")
	if err := os.WriteFile(junk, []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	got = inference.Engines(context.Background(), inference.EngineOptions{Exe: self(t), Engine: inference.EngineSpec{LibraryPath: junk}})
	if got[1].Usable || got[1].Code != string(fault.EngineLibrary) {
		t.Errorf("%+v", got)
	}
	d, err := inference.AllowedLibrary(context.Background(), junk, inference.Allowed{Given: sha([]byte("junk"))})
	if err != nil {
		t.Fatal(err)
	}
	got = inference.Engines(context.Background(), inference.EngineOptions{Exe: self(t), Engine: inference.EngineSpec{LibraryPath: junk, LibrarySHA384: d}})
	if got[1].Usable || got[1].Code != string(fault.EngineLoad) {
		t.Errorf("%+v", got)
	}
	got = inference.Engines(context.Background(), inference.EngineOptions{Exe: self(t), Engine: fullRuntime(t)})
	if !got[1].Usable || got[1].Version == "" || len(got[1].Providers) == 0 || got[1].Providers[0] != "cpu" {
		t.Errorf("%+v", got)
	}
}

// TestPeakIsWhatTheModelsTake: the limit is the contract's, and neither the program, nor the engine's library, nor garbage counts.
func TestPeakIsWhatTheModelsTake(t *testing.T) {
	const rows = 5_000_000 // 38.1 MiB of float32 [rows, 2]
	hungry := model(with(initializer("n", ints([]int64{2}, rows, 2))),
		node("Expand", names("x", "n"), names("big")), node("ReduceMax", names("big"), names("y"), onnx.IntsAttr("axes", 0), onnx.IntAttr("keepdims", 0)))
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		f := newFolder(t)
		f.add(modelPath, bundle.RoleWeights, hungry)
		f.golden("one", floats([]int64{2}, 1, -2.5), floats([]int64{2}, 1, -2.5), bundle.Tolerance{})
		r := f.smoke(spec)
		t.Logf("%d MiB of %d", r.PeakMiB, r.LimitMiB)
		if !r.Passed || r.LimitMiB != 256 || r.PeakMiB > 200 || (runtime.GOOS == "linux" || spec.Kind == inference.KindReference) && r.PeakMiB < 38 {
			t.Errorf("%+v", r)
		}
		f.m.InferenceContract.MaxMemoryMiB = 64
		if r := f.smoke(spec); r.Passed || r.Code != fault.ModelLimit || r.LimitMiB != 64 {
			t.Errorf("with a contract of 64 MiB: %+v", r)
		} else {
			t.Log(r.Reason)
		}
	})
}

// Golden cases, bad models and external data end the same way with the oldest release that is served.
func TestSmokeWithTheOldestRuntime(t *testing.T) {
	testort.AlsoWithTheOldest(t, "^(TestGoldenCasesPass|TestWrongAnswersFail|TestBadModelsEndWithTheirOwnReason|TestExternalDataInListedFiles)$/onnxruntime")
}
