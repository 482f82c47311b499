package inference

import (
	"context"
	"crypto/sha512"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"sluice/bundle"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// Opener opens an artifact by its bundle path.
type Opener = func(path string) (io.ReadCloser, error)

// CheckContract compares the contract of a variant, and of the companions it lists, with the models' own inputs and
// outputs: the same names, element types and shapes. It also sees that external data lies in artifacts that the variant lists,
// and that golden files fit the contract. Nothing is computed. dir holds artifacts/.
// Errors: fault.Contract, fault.ModelInvalid, fault.VariantUnknown, fault.InstalledChanged, fault.IO.
func CheckContract(ctx context.Context, m *bundle.Manifest, variant, dir string) error {
	return checkVariant(ctx, m, variant, func(p string) (io.ReadCloser, error) {
		return openRegular(filepath.Join(dir, filepath.FromSlash(p)))
	})
}

// CheckContracts is CheckContract for every variant, for files that lie elsewhere.
func CheckContracts(ctx context.Context, m *bundle.Manifest, open Opener) error {
	for _, v := range m.Variants {
		if err := checkVariant(ctx, m, v.ID, open); err != nil {
			return fault.New(fault.CodeOf(err), "variant %q: %w", v.ID, err).With("variant", v.ID)
		}
	}
	return nil
}

func checkVariant(ctx context.Context, m *bundle.Manifest, variant string, open Opener) error {
	own, err := m.ModelPath(variant)
	if err != nil {
		return err
	}
	v := m.Variant(variant)
	c := contractCheck{m: m, v: v, open: open}
	if err := c.model(ctx, own, m.InferenceContract.Model()); err != nil {
		return inModel(err, own)
	}
	for _, companion := range m.InferenceContract.Companions {
		if !lists(v, companion.Artifact) {
			continue
		}
		if err := c.model(ctx, companion.Artifact, companion.Model()); err != nil {
			return inModel(err, companion.Artifact)
		}
	}
	return nil
}

type contractCheck struct {
	m    *bundle.Manifest
	v    *bundle.Variant
	open Opener
}

func (c contractCheck) read(ctx context.Context, path string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := c.m.Artifact(path)
	if a == nil {
		return nil, fault.New(fault.ManifestInvalid, "%q is not an artifact of this bundle", path).With("path", path)
	}
	if a.Size > limit {
		return nil, fault.New(fault.Limit, "%q has %d bytes, want at most %d", path, a.Size, limit).With("path", path)
	}
	f, err := c.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, a.Size+1))
	if err != nil {
		return nil, fault.New(fault.IO, "reading %q: %w", path, err).With("path", path)
	}
	if bundle.Digest(sha512.Sum384(raw)) != a.SHA384 {
		return nil, changed(path)
	}
	return raw, nil
}

func (c contractCheck) model(ctx context.Context, path string, want bundle.ModelContract) error {
	raw, err := c.read(ctx, path, onnx.MaxBytes)
	if err != nil {
		return err
	}
	locations, err := externalLocations(raw)
	if err != nil {
		return err
	}
	files := externalFiles(path, c.v.Artifacts)
	for _, l := range locations {
		if files[l] == "" || bundle.ValidPath(l) != nil {
			return fault.New(fault.ModelInvalid, "the model keeps data in file %q, which is not an artifact beside it in variant %q", l, c.v.ID).
				With("location", l)
		}
	}
	model, err := onnx.Parse(raw)
	if err != nil {
		return err
	}
	if err := compareSignature(want, infos(requiredInputs(model.Graph)), infos(model.Graph.Outputs), false); err != nil {
		return err
	}
	for _, g := range want.Golden {
		if err := c.golden(ctx, g, want); err != nil {
			return fault.New(fault.CodeOf(err), "golden case %q: %w", g.Name, err).With("case", g.Name)
		}
	}
	return nil
}

// requiredInputs leaves out those that an initializer gives a value.
func requiredInputs(g *onnx.Graph) []onnx.ValueInfo {
	has := map[string]bool{}
	for _, t := range g.Initializers {
		has[t.Name] = true
	}
	var out []onnx.ValueInfo
	for _, in := range g.Inputs {
		if !has[in.Name] {
			out = append(out, in)
		}
	}
	return out
}

func infos(list []onnx.ValueInfo) []tensor.Info {
	out := make([]tensor.Info, 0, len(list))
	for _, v := range list {
		out = append(out, v.Info())
	}
	return out
}

// checkSession compares the contract with what the engine says about the model that it has loaded: the last word, for models
// of any size. ONNX Runtime does not tell a scalar from a tensor of unknown rank, and it works out sizes of outputs that the
// model leaves open.
func checkSession(s Session, want bundle.ModelContract, kind string) error {
	in, out, err := s.Signature()
	if err != nil {
		return err
	}
	if kind == KindONNXRuntime {
		for _, side := range [][]tensor.Info{in, out} {
			for i := range side {
				if len(side[i].Shape) == 0 {
					side[i].Shape = nil
				}
			}
		}
	}
	return compareSignature(want, in, out, kind == KindONNXRuntime)
}

// compareSignature holds a contract against a model's inputs and outputs. With inferred, sizes of outputs may come from the
// engine instead of the model.
func compareSignature(want bundle.ModelContract, in, out []tensor.Info, inferred bool) error {
	if err := compareSide("input", want.Inputs, in, false); err != nil {
		return err
	}
	return compareSide("output", want.Outputs, out, inferred)
}

func compareSide(side string, want []bundle.TensorSpec, have []tensor.Info, inferred bool) error {
	byName := map[string]tensor.Info{}
	for _, h := range have {
		byName[h.Name] = h
	}
	for _, w := range want {
		h, ok := byName[w.Name]
		if !ok {
			return fault.New(fault.Contract, "the contract names %s %q, the model has %q", side, w.Name, names(have)).With(side, w.Name)
		}
		delete(byName, w.Name)
		if why := disagreement(w, h, inferred); why != "" {
			return fault.New(fault.Contract, "%s %q: %s", side, w.Name, why).With(side, w.Name)
		}
	}
	for _, h := range have {
		if _, left := byName[h.Name]; left {
			return fault.New(fault.Contract, "the model has %s %q, which the contract does not name", side, h.Name).With(side, h.Name)
		}
	}
	return nil
}

func names(list []tensor.Info) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, v.Name)
	}
	return out
}

// disagreement says how contract and model differ. The contract may fix a size that the model leaves open, not the
// other way round; a model that does not know its own shape agrees with any.
func disagreement(w bundle.TensorSpec, t tensor.Info, inferred bool) string {
	if t.Type != w.DType {
		return fmt.Sprintf("the contract says %s, the model %s", w.DType, t.Type)
	}
	if t.Kind != string(onnx.KindTensor) || t.Shape == nil {
		return ""
	}
	if len(w.Shape) != len(t.Shape) {
		return fmt.Sprintf("the contract says %d dimensions, the model %d", len(w.Shape), len(t.Shape))
	}
	for i, d := range t.Shape {
		c := w.Shape[i]
		if d >= 0 && (c.Name != "" && !inferred || c.Name == "" && c.Size != d) {
			return fmt.Sprintf("dimension %d is %s in the contract, %d in the model", i, dimText(c), d)
		}
	}
	return ""
}

func dimText(d bundle.Dim) string {
	if d.Name != "" {
		return fmt.Sprintf("%q", d.Name)
	}
	return fmt.Sprint(d.Size)
}

// golden compares a case's files with the contract; a name for a size means one size within the case.
func (c contractCheck) golden(ctx context.Context, g bundle.GoldenCase, want bundle.ModelContract) error {
	sizes := map[string]int64{}
	side := func(kind string, specs []bundle.TensorSpec, files map[string]string) error {
		known := map[string]bundle.TensorSpec{}
		for _, s := range specs {
			known[s.Name] = s
			if _, ok := files[s.Name]; !ok && kind == "input" {
				return fault.New(fault.Contract, "input %q has no file", s.Name).With(kind, s.Name)
			}
		}
		for _, s := range specs {
			path, ok := files[s.Name]
			if !ok {
				continue
			}
			raw, err := c.read(ctx, path, maxGolden)
			if err != nil {
				return err
			}
			if err := fits(s, raw, sizes); err != nil {
				return fault.New(fault.CodeOf(err), "%s %q in %q: %w", kind, s.Name, path, err).With("path", path)
			}
		}
		for name := range files {
			if _, ok := known[name]; !ok {
				return fault.New(fault.Contract, "%s %q is not in the contract", kind, name).With(kind, name)
			}
		}
		return nil
	}
	if err := side("input", want.Inputs, g.Inputs); err != nil {
		return err
	}
	if len(g.Outputs) == 0 {
		return fault.New(fault.Contract, "expects no output")
	}
	return side("output", want.Outputs, g.Outputs)
}

func fits(s bundle.TensorSpec, raw []byte, sizes map[string]int64) error {
	if strings.HasPrefix(s.DType, "sequence(") {
		_, _, err := onnx.ParseSequence(raw)
		return err
	}
	t, _, err := onnx.ParseTensor(raw)
	if err != nil {
		return err
	}
	d, ok := tensor.ParseDType(s.DType)
	if !ok || t.DType != d {
		return fault.New(fault.Contract, "the file holds %s, the contract says %s", t.DType, s.DType)
	}
	if len(t.Shape) != len(s.Shape) {
		return fault.New(fault.Contract, "the file has %d dimensions, the contract %d", len(t.Shape), len(s.Shape))
	}
	for i, want := range s.Shape {
		size := want.Size
		if want.Name != "" {
			if _, ok := sizes[want.Name]; !ok {
				sizes[want.Name] = t.Shape[i]
			}
			size = sizes[want.Name]
		}
		if t.Shape[i] != size {
			return fault.New(fault.Contract, "dimension %d (%s) is %d in the file, want %d", i, dimText(want), t.Shape[i], size)
		}
	}
	return nil
}
