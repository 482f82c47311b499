// Package testbundle makes small bundles for tests: good ones of every kind, and hostile ones, each with the threat that it
// stands for and the code that it must be refused with. All are written by name and equal on every run. It verifies
// nothing, and no program that people run may import it.
package testbundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-json-experiment/json"
	"google.golang.org/protobuf/encoding/protowire"

	"sluice/bundle"
)

// Options changes what a good bundle holds. The zero value is family "testfamily", version 1.0.0, signed by Key(1), indexed.
type Options struct {
	Kind    bundle.Kind
	Family  string
	Version string
	Created string // RFC 3339
	Keys    []ed25519.PrivateKey
	Change  func(m *bundle.Manifest) // last word on the manifest; artifacts stay as they are
}

// Written is a bundle on the disk.
type Written struct {
	Path     string // what to open
	Key      ed25519.PrivateKey
	Public   bundle.PublicKey // of Key: the one that a verifier should trust
	Manifest []byte           // manifest.json as it lies in the bundle
}

// T is the part of testing.TB that is needed here.
type T interface {
	Helper()
	TempDir() string
	Fatalf(format string, args ...any)
}

// Key gives the n-th key, the same on every run.
func Key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// Public is the public half of a key.
func Public(k ed25519.PrivateKey) bundle.PublicKey {
	p, err := bundle.NewPublicKey(k.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err) // a constant key that is not fit is a broken test program
	}
	return p
}

// Small writes a good bundle into a temporary folder.
func Small(t T, o Options) (path string, pub bundle.PublicKey, priv ed25519.PrivateKey) {
	t.Helper()
	w, err := Good(t.TempDir(), o)
	if err != nil {
		t.Fatalf("writing a test bundle: %v", err)
	}
	return w.Path, w.Public, w.Key
}

// Good writes a good bundle into dir.
func Good(dir string, o Options) (Written, error) {
	p, err := newPlan(o)
	if err != nil {
		return Written{}, err
	}
	return p.write(dir)
}

// plan is a bundle before it is written.
type plan struct {
	o     Options
	m     *bundle.Manifest
	files []content // in manifest order
	raw   []byte    // manifest.json
	sig   []byte    // manifest.sig
}

// content is an artifact's path and bytes.
type content struct {
	path string
	data []byte
}

func newPlan(o Options) (*plan, error) {
	if o.Kind == "" {
		o.Kind = bundle.KindIndexed
	}
	if o.Family == "" {
		o.Family = "testfamily"
	}
	if o.Version == "" {
		o.Version = "1.0.0"
	}
	if o.Created == "" {
		o.Created = "2026-11-01T12:00:00Z"
	}
	if o.Keys == nil {
		o.Keys = []ed25519.PrivateKey{Key(1)}
	}
	p := &plan{o: o}
	p.m, p.files = manifest(o)
	if o.Change != nil {
		o.Change(p.m)
	}
	return p, p.seal()
}

// seal writes manifest.json and signs it.
func (p *plan) seal() error {
	raw, err := bundle.CanonicalJSON(p.m)
	if err != nil {
		return err
	}
	return p.sealRaw(raw)
}

// sealRaw signs any bytes as manifest.json.
func (p *plan) sealRaw(raw []byte) error {
	predicate, err := json.Marshal(bundle.ManifestPredicate{ModelFamily: p.o.Family, Version: p.o.Version})
	if err != nil {
		return err
	}
	p.raw = raw
	p.sig, err = bundle.SignStatement(bundle.Statement{
		Subjects: []bundle.Subject{bundle.NewSubject("manifest.json", raw)}, PredicateType: bundle.TypeManifest, Predicate: predicate,
	}, p.o.Keys...)
	return err
}

// volumeSize cuts a small bundle into three volumes.
const volumeSize = bundle.MinVolumeSize

func (p *plan) write(dir string) (Written, error) {
	w := p.written(dir)
	switch p.o.Kind {
	case bundle.KindStream:
		return w, os.WriteFile(w.Path, oneFrame(p.archive(p.entries()...)), 0o644)
	case bundle.KindIndexed:
		return w, p.writeIndexed(w.Path)
	case bundle.KindVolumes:
		if err := p.writeIndexed(w.Path); err != nil {
			return Written{}, err
		}
		files, err := bundle.SplitVolumes(context.Background(), w.Path, volumeSize, func(s bundle.Statement) ([]byte, error) {
			return bundle.SignStatement(s, p.o.Keys...)
		})
		if err != nil {
			return Written{}, err
		}
		if err := os.Remove(w.Path); err != nil {
			return Written{}, err
		}
		w.Path = files[0]
		return w, nil
	}
	return Written{}, fmt.Errorf("unknown kind %q", p.o.Kind)
}

func (p *plan) written(dir string) Written {
	return Written{Path: filepath.Join(dir, p.o.Family+"-v"+p.o.Version+".tar.zst"), Key: p.o.Keys[0], Public: Public(p.o.Keys[0]), Manifest: p.raw}
}

func (p *plan) writeIndexed(path string) error {
	var out bytes.Buffer
	err := bundle.WriteBundle(context.Background(), &out, p.raw, p.sig, p.m, func(path string) (io.ReadCloser, error) {
		i := slices.IndexFunc(p.files, func(c content) bool { return c.path == path })
		if i < 0 {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return io.NopCloser(bytes.NewReader(p.files[i].data)), nil
	}, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// manifest makes a tiny manifest that keeps every rule, and its artifacts: a model that answers y = x + x, its golden
// case, and some kilobytes of weights and text. Variant "cpu" runs anywhere, "gpu" wants an NVIDIA card.
func manifest(o Options) (*bundle.Manifest, []content) {
	in, out := []float32{1, -2, 0.5, 0}, []float32{2, -4, 1, 0}
	files := []struct {
		content
		role  bundle.Role
		media string
	}{
		{content{"artifacts/cpu/model.onnx", Doubler()}, bundle.RoleWeights, "application/octet-stream"},
		{content{"artifacts/cpu/weights.bin", weights(150_000)}, bundle.RoleWeights, "application/octet-stream"},
		{content{"artifacts/gpu/model.onnx", append(Doubler(), protowireString(2, "testbundle gpu")...)}, bundle.RoleWeights, "application/octet-stream"},
		{content{"artifacts/tokenizer.json", bytes.Repeat([]byte(`{"id": 17, "text": "zamknięcie"}`+"\n"), 500)}, bundle.RoleTokenizer, "application/json"},
		{content{"artifacts/empty.txt", nil}, bundle.RoleMetadata, "text/plain"},
		{content{"artifacts/golden/x.pb", Tensor("x", in)}, bundle.RoleGolden, "application/octet-stream"},
		{content{"artifacts/golden/y.pb", Tensor("y", out)}, bundle.RoleGolden, "application/octet-stream"},
	}
	shape := []bundle.Dim{{Size: 1}, {Size: int64(len(in))}}
	m := &bundle.Manifest{
		Schema: "oem-model-bundle/1", ModelFamily: o.Family, Version: o.Version, HashAlg: "sha384", Created: o.Created,
		Variants: []bundle.Variant{
			{ID: "gpu", Engine: bundle.EngineONNXRuntime, ExecutionProvider: "cuda", Priority: 10, Requires: bundle.Requires{GPU: &bundle.GPURequires{Vendor: "nvidia", MinMemoryMiB: 1024}},
				Artifacts: []string{"artifacts/gpu/model.onnx", "artifacts/tokenizer.json"}},
			{ID: "cpu", Engine: bundle.EngineAny, ExecutionProvider: "cpu",
				Artifacts: []string{"artifacts/cpu/model.onnx", "artifacts/cpu/weights.bin", "artifacts/tokenizer.json", "artifacts/empty.txt"}},
		},
		InferenceContract: bundle.InferenceContract{
			Inputs:  []bundle.TensorSpec{{Name: "x", DType: "float32", Shape: shape}},
			Outputs: []bundle.TensorSpec{{Name: "y", DType: "float32", Shape: shape}},
			Golden: []bundle.GoldenCase{{Name: "doubles", Inputs: map[string]string{"x": "artifacts/golden/x.pb"}, Outputs: map[string]string{"y": "artifacts/golden/y.pb"},
				Tolerance: bundle.Tolerance{Abs: 1e-6}}},
			MaxLatencyMS: 1000, MaxMemoryMiB: 256,
		},
		Quality: []bundle.QualityFigure{{ID: "accuracy", Value: 0.9, Threshold: 0.8, Direction: "min", Passed: true}},
	}
	var contents []content
	for _, f := range files {
		m.Artifacts = append(m.Artifacts, artifact(f.content, f.role, f.media))
		contents = append(contents, f.content)
	}
	return m, contents
}

func artifact(c content, role bundle.Role, media string) bundle.Artifact {
	a := bundle.Artifact{Path: c.path, Size: int64(len(c.data)), SHA384: sha512.Sum384(c.data), ChunkSize: bundle.MinChunkSize, Chunks: []bundle.Digest{}, Role: role, MediaType: media}
	for chunk := range slices.Chunk(c.data, bundle.MinChunkSize) {
		a.Chunks = append(a.Chunks, sha512.Sum384(chunk))
	}
	return a
}

// weights makes n bytes that look like a trained model's.
func weights(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, 0, n+4)
	for len(out) < n {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(r.NormFloat64()*0.05)))
	}
	return out[:n]
}

// Doubler is an ONNX model, y = x + x over float32 [1,4] (ONNX IR 8, opset 17).
func Doubler() []byte {
	value := func(name string) []byte {
		var dims []byte
		for _, n := range []uint64{1, 4} {
			dims = append(dims, message(1, protowireVarint(1, n))...)
		}
		tensor := append(protowireVarint(1, 1), message(2, dims)...)
		return append(protowireString(1, name), message(2, message(1, tensor))...)
	}
	node := slices.Concat(protowireString(1, "x"), protowireString(1, "x"), protowireString(2, "y"), protowireString(4, "Add"))
	graph := slices.Concat(message(1, node), protowireString(2, "doubler"), message(11, value("x")), message(12, value("y")))
	return slices.Concat(protowireVarint(1, 8), message(7, graph), message(8, protowireVarint(2, 17)))
}

// Tensor is an ONNX TensorProto of float32 [1,len(v)].
func Tensor(name string, v []float32) []byte {
	var raw []byte
	for _, f := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	return slices.Concat(protowireVarint(1, 1), protowireVarint(1, uint64(len(v))), protowireVarint(2, 1), protowireString(8, name), message(9, raw))
}

func message(field protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b)
}

func protowireString(field protowire.Number, s string) []byte { return message(field, []byte(s)) }

func protowireVarint(field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
}
