package cli

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/verify"
)

// Where a model's own signature and its key stand in a bundle.
const (
	omsSigPath = "artifacts/provenance/model.sig"
	omsKeyPath = "artifacts/provenance/model.pub.pem"
)

// omsGate is the provenance gate of build: the OpenSSF Model Signing signature that the training side made of its model's folder.
type omsGate struct {
	sig, key, dir string // files, and the folder that was signed
	signed        *verify.ModelSignature
	names         map[string]string // artifact path -> name in the signature
}

// roles whose artifacts must be covered by the signature: what the model is made of.
var omsRoles = []bundle.Role{bundle.RoleWeights, bundle.RoleTokenizer}

// prepare proves the signature and adds it, with its key, to what is packed.
func (g *omsGate) prepare(spec *bundle.Spec, specDir string) error {
	if g.sig == "" && g.key == "" && g.dir == "" {
		return nil
	}
	if g.sig == "" || g.key == "" {
		return usage("the model's own signature wants --oms FILE and --oms-key K")
	}
	raw, err := readLimited(g.sig, verify.MaxOMSSize)
	if err != nil {
		return err
	}
	key, err := readLimited(g.key, verify.MaxOMSKey)
	if err != nil {
		return err
	}
	if g.signed, err = verify.ModelSigned(raw, key); err != nil {
		return withPath(err, g.sig)
	}
	if g.dir == "" {
		g.dir = filepath.Dir(g.sig)
	}
	root, err := filepath.Abs(g.dir)
	if err != nil {
		return ioFault(err, g.dir)
	}
	g.names = map[string]string{}
	for _, a := range spec.Artifacts {
		if !slices.Contains(omsRoles, a.Role) {
			continue
		}
		source := a.Source
		if source == "" {
			source = strings.TrimPrefix(a.Path, "artifacts/")
		}
		if !filepath.IsAbs(source) {
			source = filepath.Join(specDir, filepath.FromSlash(source))
		}
		abs, err := filepath.Abs(source)
		if err != nil {
			return ioFault(err, source)
		}
		rel, err := filepath.Rel(root, abs)
		if err != nil {
			rel = abs
		}
		g.names[a.Path] = filepath.ToSlash(rel) // one outside the folder has a name that no signature holds
	}
	return g.keep(spec)
}

// keep adds signature and key to the bundle, in every variant, so that they are installed too.
func (g *omsGate) keep(spec *bundle.Spec) error {
	for _, f := range []struct{ path, source, media string }{
		{omsSigPath, g.sig, "application/vnd.dev.sigstore.bundle.v0.3+json"}, {omsKeyPath, g.key, "application/x-pem-file"},
	} {
		abs, err := filepath.Abs(f.source)
		if err != nil {
			return ioFault(err, f.source)
		}
		if slices.ContainsFunc(spec.Artifacts, func(a bundle.SpecArtifact) bool { return a.Path == f.path }) {
			return usage("%q is where build keeps the model's own signature; leave it out of the spec", f.path)
		}
		spec.Artifacts = append(spec.Artifacts, bundle.SpecArtifact{Path: f.path, Source: abs, Role: bundle.RoleMetadata, MediaType: f.media, ChunkSize: 64 << 10})
		for i := range spec.Variants {
			spec.Variants[i].Artifacts = append(slices.Clone(spec.Variants[i].Artifacts), f.path)
		}
	}
	return nil
}

// check compares the bytes that are packed with the signature: open gives exactly those whose digests the manifest holds.
func (g *omsGate) check(ctx context.Context, _ *bundle.Manifest, open func(string) (io.ReadCloser, error)) error {
	if g.signed == nil {
		return nil
	}
	paths := map[string]string{}
	for p, name := range g.names {
		paths[name] = p
	}
	names := make([]string, 0, len(paths))
	for name := range paths {
		names = append(names, name)
	}
	// What is kept is what is believed: both are read through the same door.
	raw, err := readAll(omsSigPath, open)
	if err != nil {
		return err
	}
	key, err := readAll(omsKeyPath, open)
	if err != nil {
		return err
	}
	proven := g.signed.KeySHA256
	if g.signed, err = verify.ModelSigned(raw, key); err != nil {
		return withPath(err, g.sig)
	}
	if g.signed.KeySHA256 != proven {
		return fault.New(fault.ProvenanceSignature, "the key in %q changed while the bundle was built", g.key).With("path", g.key)
	}
	return g.signed.Covers(ctx, names, func(name string) (io.ReadCloser, error) { return open(paths[name]) })
}

func readAll(p string, open func(string) (io.ReadCloser, error)) ([]byte, error) {
	f, err := open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, verify.MaxOMSSize+1))
}

// omsResult is what build says of it.
type omsResult struct {
	Model     string `json:"model"`
	KeySHA256 string `json:"key_sha256"`
	Signed    int    `json:"signed_files"`
	Packed    int    `json:"packed_files"` // of those, what the models are made of
}

func (g *omsGate) result() *omsResult {
	if g.signed == nil {
		return nil
	}
	return &omsResult{Model: g.signed.Model, KeySHA256: g.signed.KeySHA256, Signed: g.signed.Files(), Packed: len(g.names)}
}
