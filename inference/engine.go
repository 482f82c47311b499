package inference

import (
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bundle"
	"sluice/inference/ort"
	"sluice/inference/reference"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// Choose says which engine runs a variant here: lib is the path of an allowed library (CopyLibrary, FindLibrary) with
// digest d, or empty. ONNX Runtime is preferred; the reference evaluator serves variants that take any engine, on
// the CPU. Errors: fault.EngineNeeded.
func Choose(v *bundle.Variant, lib string, d bundle.Digest) (EngineSpec, error) {
	provider := v.ExecutionProvider
	if provider == "" {
		provider = ProviderCPU
	}
	full := EngineSpec{Kind: KindONNXRuntime, LibraryPath: lib, LibrarySHA384: d, Provider: provider}
	small := EngineSpec{Kind: KindReference, Provider: ProviderCPU}
	need := func(why string) (EngineSpec, error) {
		return EngineSpec{}, fault.New(fault.EngineNeeded, "variant %q needs the full runtime: %s", v.ID, why).
			With("variant", v.ID).With("engine", v.Engine).With("provider", provider)
	}
	if provider != ProviderCPU && provider != ProviderCUDA {
		return EngineSpec{}, fault.New(fault.EngineNeeded, "variant %q: execution provider %q is not supported, want \"cpu\" or \"cuda\"", v.ID, provider).
			With("variant", v.ID).With("provider", provider)
	}
	switch v.Engine {
	case bundle.EngineReference:
		if provider != ProviderCPU {
			return EngineSpec{}, fault.New(fault.EngineNeeded, "variant %q: the reference evaluator has no execution provider %q", v.ID, provider).
				With("variant", v.ID).With("provider", provider)
		}
		return small, nil
	case bundle.EngineONNXRuntime:
		if lib == "" {
			return need("it asks for ONNX Runtime and there is no allowed library")
		}
		return full, nil
	case bundle.EngineAny:
		if lib != "" {
			return full, nil
		}
		if provider != ProviderCPU {
			return need("it asks for execution provider \"" + provider + "\" and there is no allowed library")
		}
		return small, nil
	}
	return EngineSpec{}, fault.New(fault.EngineNeeded, "variant %q: engine %q is not supported", v.ID, v.Engine).
		With("variant", v.ID).With("engine", v.Engine)
}

// OpenSession loads a model into the engine. The library's file is hashed right before it is loaded. External data is
// read only from files listed in model.External. A model that would not run on the provider asked for, in whole, is refused.
// Errors: fault.EngineLibrary, fault.EngineLoad, fault.EngineNeeded,
// fault.ModelInvalid, fault.ModelLimit.
func OpenSession(ctx context.Context, spec EngineSpec, model ModelFile) (Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	locations, err := externalLocations(model.Bytes)
	if err != nil {
		return nil, err
	}
	for _, l := range locations {
		if err := checkExternal(l, model); err != nil {
			return nil, err
		}
	}
	switch spec.Kind {
	case "", KindReference:
		if spec.Provider != "" && spec.Provider != ProviderCPU {
			return nil, fault.New(fault.EngineNeeded, "the reference evaluator has no execution provider %q", spec.Provider).With("provider", spec.Provider)
		}
		m, err := reference.Load(model.Bytes, reference.Options{External: model.external, MaxMemory: spec.MaxMemoryMiB << 20})
		if err != nil {
			return nil, err
		}
		return m, nil
	case KindONNXRuntime:
		if err := reference.CheckTrees(model.Bytes, model.external); err != nil {
			return nil, err
		}
		lib, err := loadLibrary(ctx, spec)
		if err != nil {
			return nil, err
		}
		o := ort.Options{Provider: spec.Provider, Threads: spec.Threads}
		if len(locations) > 0 {
			o.External = &ort.External{Dir: filepath.Dir(model.Path), Locations: locations, Read: model.external}
		}
		s, err := lib.Open(model.Bytes, o)
		if err != nil {
			return nil, err
		}
		if err := checkPlacement(s.Placement(), spec.Provider); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}
	return nil, fault.New(fault.EngineNeeded, "engine %q is not supported, want %q or %q", spec.Kind, KindReference, KindONNXRuntime)
}

// checkPlacement refuses a model that does not run where it was meant to, by the engine's own account: nodes by execution
// provider, nil when it gave none. A session on the CPU has no other place, so there silence does no harm.
func checkPlacement(nodes map[string]int, provider string) error {
	if provider == "" {
		provider = ProviderCPU
	}
	if nodes == nil && provider != ProviderCPU {
		return fault.New(fault.EngineNeeded, "the engine does not say where it runs the model, wanted execution provider %q", provider).With("provider", provider)
	}
	for _, other := range slices.Sorted(maps.Keys(nodes)) {
		if n := nodes[other]; other != provider && n > 0 {
			return fault.New(fault.EngineNeeded, "%d operators of the model run on %q, wanted execution provider %q for all", n, other, provider).
				With("provider", provider).With("used", other).With("nodes", n)
		}
	}
	return nil
}

func loadLibrary(ctx context.Context, spec EngineSpec) (*ort.Library, error) {
	if spec.LibraryPath == "" {
		return nil, fault.New(fault.EngineNeeded, "there is no library of ONNX Runtime")
	}
	d, err := hashFile(ctx, spec.LibraryPath)
	if err != nil {
		return nil, err
	}
	if d != spec.LibrarySHA384 {
		return nil, fault.New(fault.EngineLibrary, "engine library %q has SHA-384 %q, want %q", spec.LibraryPath, d, spec.LibrarySHA384).
			With("path", spec.LibraryPath).With("sha384", d.String())
	}
	return ort.Load(spec.LibraryPath)
}

// engineVersion is for reports.
func engineVersion(spec EngineSpec) string {
	if spec.Kind == KindONNXRuntime {
		if l, err := ort.Load(spec.LibraryPath); err == nil { // loaded before: this only finds it
			return l.Version()
		}
		return ""
	}
	return reference.Version
}

// checkExternal refuses a location that is not listed, or whose file is not exactly the listed one beside the model.
func checkExternal(location string, model ModelFile) error {
	refuse := func(why string) error {
		return fault.New(fault.ModelInvalid, "the model keeps data in file %q, %s", location, why).With("location", location)
	}
	file, ok := model.External[location]
	if !ok || bundle.ValidPath(location) != nil {
		return refuse("which is not an artifact beside it in this variant")
	}
	dir := filepath.Dir(model.Path)
	if filepath.Join(dir, filepath.FromSlash(location)) != filepath.Clean(file) {
		return refuse("which does not lie beside the model")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fsx.Classify(err, "opening folder", dir)
	}
	defer root.Close()
	f, err := fsx.Open(root, location)
	if err != nil {
		return err
	}
	return f.Close()
}

// external serves the reference evaluator.
func (m ModelFile) external(location string) ([]byte, error) {
	if err := checkExternal(location, m); err != nil {
		return nil, err
	}
	f, err := openRegular(m.External[location])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fsx.Classify(err, "reading", m.External[location])
	}
	return b, nil
}

// externalFiles maps the locations that a model at modelPath (a bundle path) may use to bundle paths: every listed
// artifact in its folder or below.
func externalFiles(modelPath string, listed []string) map[string]string {
	prefix := modelPath[:strings.LastIndexByte(modelPath, '/')+1]
	out := map[string]string{}
	for _, p := range listed {
		if rest, ok := strings.CutPrefix(p, prefix); ok && p != modelPath {
			out[rest] = p
		}
	}
	return out
}
