package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
)

// recorder makes a bundle's source from one model: the model, golden cases as ONNX Runtime computes them, bundle.yaml.
type recorder struct {
	m       *model
	dir     string
	session inference.Session
	others  map[string]inference.Session // of the models before, by name
	in, out []tensor.Info
	shapes  map[string][]int64 // an output's shape in the first case
	cases   strings.Builder
	count   int
}

// open loads a model file into ONNX Runtime.
func open(ctx context.Context, spec inference.EngineSpec, file string) (inference.Session, []byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	s, err := inference.OpenSession(ctx, spec, inference.ModelFile{Bytes: raw})
	return s, raw, err
}

// record writes the bundle's source into dir; others are sessions of models that this one follows.
func record(ctx context.Context, m *model, spec inference.EngineSpec, file, dir string, others map[string]inference.Session) (int, error) {
	s, raw, err := open(ctx, spec, file)
	if err != nil {
		return 0, err
	}
	others[m.name] = s // closed with the process
	r := &recorder{m: m, dir: dir, session: s, others: others, shapes: map[string][]int64{}}
	if r.in, r.out, err = s.Signature(); err != nil {
		return 0, err
	}
	if err := write(dir, "models/"+m.name+".onnx", raw); err != nil {
		return 0, err
	}
	if err := m.record(ctx, r); err != nil {
		return 0, fmt.Errorf("recording %q: %w", m.name, err)
	}
	return r.count, write(dir, "bundle.yaml", []byte(r.yaml()))
}

func (r *recorder) other(ctx context.Context, name string, in values) (values, error) {
	s := r.others[name]
	if s == nil {
		return nil, fmt.Errorf("model %q is not there", name)
	}
	return s.Run(ctx, in)
}

// run computes one golden case and writes it.
func (r *recorder) run(ctx context.Context, name string, in values) (values, error) {
	got, err := r.session.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	folder := "golden/" + name + "/"
	files := func(side string, list []tensor.Info, have values) (string, error) {
		var out []string
		for i, info := range list {
			file := fmt.Sprintf("%s%s%d.pb", folder, side, i)
			v, ok := have[info.Name]
			raw := []byte(nil)
			switch {
			case ok && v.Tensor != nil:
				raw = onnx.MarshalTensor(info.Name, v.Tensor)
				r.shapes[info.Name] = v.Tensor.Shape
			case ok && v.Maps != nil:
				raw = onnx.MarshalSequence(info.Name, v.Maps)
			default:
				return "", fmt.Errorf("case %q has no %q", name, info.Name)
			}
			if err := write(r.dir, file, raw); err != nil {
				return "", err
			}
			out = append(out, fmt.Sprintf("%q: artifacts/%s", info.Name, file))
		}
		return "{" + strings.Join(out, ", ") + "}", nil
	}
	ins, err := files("in", r.in, in)
	if err != nil {
		return nil, err
	}
	outs, err := files("out", r.out, got)
	if err != nil {
		return nil, err
	}
	r.count++
	fmt.Fprintf(&r.cases, "    - name: %s\n      inputs: %s\n      outputs: %s\n      tolerance: {abs: %g, rel: %g}\n", name, ins, outs, r.m.tolerance.Abs, r.m.tolerance.Rel)
	return got, nil
}

// specs are one side of the contract: what the model leaves open gets a name.
func (r *recorder) specs(side string, list []tensor.Info) string {
	var b strings.Builder
	for i, info := range list {
		var dims []string
		shape := info.Shape
		if have := r.shapes[info.Name]; len(shape) == 0 && len(have) > 0 { // the model does not say how many there are
			shape = make([]int64, len(have))
			for k := range shape {
				shape[k] = -1
			}
		}
		for k, d := range shape {
			if d < 0 {
				dims = append(dims, fmt.Sprintf("%s%d_%d", side, i, k))
			} else {
				dims = append(dims, fmt.Sprint(d))
			}
		}
		fmt.Fprintf(&b, "    - {name: %q, dtype: %q, shape: [%s]}\n", info.Name, info.Type, strings.Join(dims, ", "))
	}
	return b.String()
}

func (r *recorder) yaml() string {
	file := "artifacts/models/" + r.m.name + ".onnx"
	return fmt.Sprintf(`# %s: %s, from %s %s (%s)
model_family: %s
version: 1.0.0

artifacts:
  - {path: %s, role: weights}

variants:
  - {id: cpu-full, priority: 200, engine: onnxruntime, execution_provider: cpu, artifacts: [%s]}
  - {id: cpu-any, priority: 100, engine: reference, execution_provider: cpu, artifacts: [%s]}

inference_contract:
  inputs:
%s  outputs:
%s  max_latency_ms: %g
  max_memory_mib: %d
  golden:
%s`, r.m.name, r.m.does, r.m.source.pkg, r.m.source.version, r.m.licence, r.m.name, file, file, file,
		r.specs("in", r.in), r.specs("out", r.out), r.m.latencyMS, r.m.memoryMiB, r.cases.String())
}

func write(dir, name string, data []byte) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
