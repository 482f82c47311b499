package bundle

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
)

// SchemaV1 and HashSHA384 are the only values of schema and hash_alg that format 1 knows.
const (
	SchemaV1   = "oem-model-bundle/1"
	HashSHA384 = "sha384"
)

const createdLayout = "2006-01-02T15:04:05Z"

// A tar header of ustar counts seconds in eleven octal digits, which ends in March 2242.
var createdMin, createdMax = time.Unix(0, 0).UTC(), time.Date(2242, 1, 1, 0, 0, 0, 0, time.UTC)

// Sentinels for what callers tell apart; errors.Is compares by code.
var (
	ErrManifest = fault.New(fault.ManifestInvalid, "invalid manifest")
	ErrSchema   = fault.New(fault.Schema, "unknown schema")
	ErrHashAlg  = fault.New(fault.HashAlg, "unknown hash_alg")
)

// ParseManifest reads manifest.json strictly and checks every rule of docs/format.md that can be checked without the
// artifacts themselves. Unknown members are refused unless they begin with "x_". It gives nothing together with an
// error. Errors: E-LIMIT (more than 8 MiB), E-SCHEMA, E-HASH-ALG, E-PATH, E-MANIFEST.
func ParseManifest(raw []byte) (*Manifest, error) {
	if err := checkSize(raw, MaxManifestSize); err != nil {
		return nil, err
	}
	if err := scanJSON(raw, nil, scanRules{bounded: true}); err != nil {
		return nil, fault.New(fault.ManifestInvalid, "reading manifest: %w", err)
	}
	// A manifest of another format is named as such before its members are judged by the rules of this one.
	var head struct {
		Schema  jsontext.Value `json:"schema"`
		HashAlg jsontext.Value `json:"hash_alg"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fault.New(fault.ManifestInvalid, "reading manifest: %w", plainJSONError(err))
	}
	if s, ok := stringOf(head.Schema); ok && s != SchemaV1 {
		return nil, fault.New(fault.Schema, "schema %q, want %q", clip(s), SchemaV1).With("schema", clip(s))
	}
	if s, ok := stringOf(head.HashAlg); ok && s != HashSHA384 {
		return nil, fault.New(fault.HashAlg, "hash_alg %q, want %q", clip(s), HashSHA384).With("hash_alg", clip(s))
	}
	m := new(Manifest)
	if err := strictTyped(raw, m, MaxManifestSize, true); err != nil {
		return nil, fault.New(fault.ManifestInvalid, "reading manifest: %w", err)
	}
	if err := m.check(true); err != nil {
		return nil, err
	}
	return m, nil
}

func stringOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	s, err := jsontext.AppendUnquote(nil, v)
	return string(s), err == nil
}

// check holds the rules that a Go value can break; digests only when they are known already (while building they are not).
func (m *Manifest) check(digests bool) error {
	c := &checker{m: m, digests: digests}
	for _, rule := range []func() error{c.head, c.artifacts, c.variants, c.contract, c.quality, c.provenance, c.checklist} {
		if err := rule(); err != nil {
			if _, ok := errors.AsType[*fault.Error](err); ok {
				return err
			}
			return fault.New(fault.ManifestInvalid, "%w", err)
		}
	}
	return nil
}

type checker struct {
	m        *Manifest
	digests  bool
	files    map[string]*Artifact
	variant  map[string]bool
	listedBy map[string]bool // artifact path -> some variant lists it
}

func (c *checker) head() error {
	m := c.m
	if m.Schema != SchemaV1 {
		return fault.New(fault.Schema, "schema %q, want %q", clip(m.Schema), SchemaV1).With("schema", clip(m.Schema))
	}
	if m.HashAlg != HashSHA384 {
		return fault.New(fault.HashAlg, "hash_alg %q, want %q", clip(m.HashAlg), HashSHA384).With("hash_alg", clip(m.HashAlg))
	}
	if err := checkID(m.ModelFamily); err != nil {
		return fmt.Errorf("model_family %q: %w", clip(m.ModelFamily), err)
	}
	if err := ValidVersion(m.Version); err != nil {
		return err
	}
	t, err := time.Parse(createdLayout, m.Created)
	if err != nil || t.Format(createdLayout) != m.Created {
		return fmt.Errorf("created %q, want RFC 3339 in UTC with whole seconds, such as %q", clip(m.Created), createdLayout)
	}
	if t.Before(createdMin) || !t.Before(createdMax) {
		return fmt.Errorf("created %q, want a time from 1970 to 2241", m.Created)
	}
	return nil
}

func (c *checker) artifacts() error {
	list := c.m.Artifacts
	if len(list) == 0 || len(list) > MaxArtifacts {
		return fmt.Errorf("%d artifacts, want 1 to %d", len(list), MaxArtifacts)
	}
	paths := make([]string, len(list))
	c.files = make(map[string]*Artifact, len(list))
	var total int64
	for i := range list {
		a := &list[i]
		paths[i] = a.Path
		if err := c.artifact(a); err != nil {
			return err
		}
		if a.Size > MaxSize-total {
			return fmt.Errorf("all artifacts together have more than %d bytes", int64(MaxSize))
		}
		total += a.Size
		c.files[a.Path] = a
	}
	return CheckPaths(paths)
}

var emptySHA384 = Digest(sha512.Sum384(nil))

func (c *checker) artifact(a *Artifact) error {
	if err := ValidPath(a.Path); err != nil {
		return err
	}
	if !strings.HasPrefix(a.Path, "artifacts/") {
		return pathError(a.Path, "does not lie under artifacts/")
	}
	switch a.Role {
	case RoleWeights, RoleTokenizer, RoleMetadata, RoleGolden, RoleReport, RoleRuntime:
	default:
		return fmt.Errorf("artifact %q: role %q, want weights, tokenizer, metadata, golden, report or runtime", a.Path, clip(string(a.Role)))
	}
	if err := checkMediaType(a.MediaType); err != nil {
		return fmt.Errorf("artifact %q: media_type %q: %w", a.Path, clip(a.MediaType), err)
	}
	if a.Size < 0 || a.Size > MaxSize {
		return fmt.Errorf("artifact %q: size %d, want 0 to %d", a.Path, a.Size, int64(MaxSize))
	}
	if a.ChunkSize < MinChunkSize || a.ChunkSize > MaxChunkSize || a.ChunkSize&(a.ChunkSize-1) != 0 {
		return fmt.Errorf("artifact %q: chunk_size %d, want a power of two from %d to %d", a.Path, a.ChunkSize, MinChunkSize, MaxChunkSize)
	}
	if !c.digests {
		return nil
	}
	chunks := a.Size / a.ChunkSize
	if a.Size%a.ChunkSize != 0 {
		chunks++
	}
	switch {
	case int64(len(a.Chunks)) != chunks:
		return fmt.Errorf("artifact %q: %d chunks, want %d for %d bytes", a.Path, len(a.Chunks), chunks, a.Size)
	case chunks == 0 && a.SHA384 != emptySHA384:
		return fmt.Errorf("artifact %q: sha384 %s, want that of an empty file", a.Path, a.SHA384)
	case chunks == 1 && a.Chunks[0] != a.SHA384:
		return fmt.Errorf("artifact %q: its only chunk has another digest than the file", a.Path)
	}
	return nil
}

func (c *checker) variants() error {
	list := c.m.Variants
	if len(list) == 0 {
		return errors.New("no variants, want at least one")
	}
	c.variant = map[string]bool{}
	c.listedBy = map[string]bool{}
	for i := range list {
		v := &list[i]
		if err := checkID(v.ID); err != nil {
			return fmt.Errorf("variant id %q: %w", clip(v.ID), err)
		}
		if c.variant[v.ID] {
			return fmt.Errorf("variant %q stands twice", v.ID)
		}
		c.variant[v.ID] = true
		if err := c.oneVariant(v); err != nil {
			return fmt.Errorf("variant %q: %w", v.ID, err)
		}
	}
	return nil
}

func (c *checker) oneVariant(v *Variant) error {
	switch v.Engine {
	case EngineAny, EngineONNXRuntime, EngineReference:
	default:
		return fmt.Errorf("engine %q, want onnx, onnxruntime or reference", clip(v.Engine))
	}
	if !providerPattern.MatchString(v.ExecutionProvider) {
		return fmt.Errorf("execution_provider %q, want 1 to 32 of a-z 0-9 _ that begin with a letter", clip(v.ExecutionProvider))
	}
	if v.Priority < -maxPriority || v.Priority > maxPriority {
		return fmt.Errorf("priority %d, want %d to %d", v.Priority, -maxPriority, maxPriority)
	}
	if err := checkRequires(&v.Requires); err != nil {
		return fmt.Errorf("requires: %w", err)
	}
	seen := make(map[string]bool, len(v.Artifacts))
	for _, p := range v.Artifacts {
		if c.files[p] == nil {
			return fmt.Errorf("artifact %q is not in artifacts", clip(p))
		}
		if seen[p] {
			return fmt.Errorf("artifact %q stands twice", p)
		}
		seen[p], c.listedBy[p] = true, true
	}
	if modelOf(v, func(p string) *Artifact { return c.files[p] }) == "" {
		return errors.New("lists no model, want an artifact with role weights whose path ends in .onnx")
	}
	return nil
}

func checkRequires(r *Requires) error {
	for _, l := range []struct {
		name    string
		list    []string
		pattern *regexp.Regexp
	}{{"os", r.OS, wordPattern}, {"arch", r.Arch, wordPattern}, {"cpu_features", r.CPUFeatures, featurePattern}} {
		if len(l.list) > maxList {
			return fmt.Errorf("%s has %d entries, want at most %d", l.name, len(l.list), maxList)
		}
		for _, s := range l.list {
			if !l.pattern.MatchString(s) {
				return fmt.Errorf("%s %q, want a lower-case name", l.name, clip(s))
			}
		}
	}
	if r.MinCores < 0 || r.MinCores > maxCores {
		return fmt.Errorf("min_cores %d, want 0 to %d", r.MinCores, maxCores)
	}
	if r.MinMemoryMiB < 0 || r.MinMemoryMiB > maxMemoryMiB {
		return fmt.Errorf("min_memory_mib %d, want 0 to %d", r.MinMemoryMiB, maxMemoryMiB)
	}
	g := r.GPU
	if g == nil {
		return nil
	}
	if g.Vendor != "nvidia" && g.Vendor != "amd" && g.Vendor != "intel" && !pciIDPattern.MatchString(g.Vendor) {
		return fmt.Errorf("gpu vendor %q, want nvidia, amd, intel or four lower-case hexadecimal digits", clip(g.Vendor))
	}
	if g.MinMemoryMiB < 0 || g.MinMemoryMiB > maxMemoryMiB {
		return fmt.Errorf("gpu min_memory_mib %d, want 0 to %d", g.MinMemoryMiB, maxMemoryMiB)
	}
	if len(g.DeviceIDs) > maxList {
		return fmt.Errorf("gpu device_ids has %d entries, want at most %d", len(g.DeviceIDs), maxList)
	}
	for _, id := range g.DeviceIDs {
		if !pciIDPattern.MatchString(id) {
			return fmt.Errorf("gpu device id %q, want four lower-case hexadecimal digits", clip(id))
		}
	}
	return nil
}

func (c *checker) contract() error {
	ic := &c.m.InferenceContract
	if !(ic.MaxLatencyMS > 0 && ic.MaxLatencyMS <= maxLatencyMS) {
		return fmt.Errorf("inference_contract: max_latency_ms %v, want more than 0 and at most %v", ic.MaxLatencyMS, float64(maxLatencyMS))
	}
	if ic.MaxMemoryMiB < 1 || ic.MaxMemoryMiB > maxMemoryMiB {
		return fmt.Errorf("inference_contract: max_memory_mib %d, want 1 to %d", ic.MaxMemoryMiB, maxMemoryMiB)
	}
	if err := c.model(ic.Model()); err != nil {
		return fmt.Errorf("inference_contract: %w", err)
	}
	seen := map[string]bool{}
	for _, comp := range ic.Companions {
		if err := checkID(comp.ID); err != nil {
			return fmt.Errorf("companion id %q: %w", clip(comp.ID), err)
		}
		if seen[comp.ID] {
			return fmt.Errorf("companion %q stands twice", comp.ID)
		}
		seen[comp.ID] = true
		a := c.files[comp.Artifact]
		switch {
		case a == nil:
			return fmt.Errorf("companion %q: artifact %q is not in artifacts", comp.ID, clip(comp.Artifact))
		case a.Role != RoleWeights || !strings.HasSuffix(a.Path, ".onnx"):
			return fmt.Errorf("companion %q: artifact %q, want one with role weights whose path ends in .onnx", comp.ID, a.Path)
		case !c.listedBy[a.Path]:
			return fmt.Errorf("companion %q: artifact %q is listed by no variant", comp.ID, a.Path)
		}
		if err := c.model(comp.Model()); err != nil {
			return fmt.Errorf("companion %q: %w", comp.ID, err)
		}
	}
	return nil
}

func (c *checker) model(mc ModelContract) error {
	if err := checkTensors("input", mc.Inputs); err != nil {
		return err
	}
	if err := checkTensors("output", mc.Outputs); err != nil {
		return err
	}
	if len(mc.Golden) == 0 || len(mc.Golden) > MaxArtifacts {
		return fmt.Errorf("%d golden cases, want 1 to %d", len(mc.Golden), MaxArtifacts)
	}
	seen := map[string]bool{}
	for _, g := range mc.Golden {
		if err := checkLine(g.Name, maxName); err != nil {
			return fmt.Errorf("golden case name %q: %w", clip(g.Name), err)
		}
		if seen[g.Name] {
			return fmt.Errorf("golden case %q stands twice", g.Name)
		}
		seen[g.Name] = true
		if err := c.golden(&g, mc); err != nil {
			return fmt.Errorf("golden case %q: %w", g.Name, err)
		}
	}
	return nil
}

func (c *checker) golden(g *GoldenCase, mc ModelContract) error {
	if err := c.goldenFiles("input", g.Inputs, mc.Inputs); err != nil {
		return err
	}
	if err := c.goldenFiles("output", g.Outputs, mc.Outputs); err != nil {
		return err
	}
	if err := checkTolerance(g.Tolerance); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(g.Variants)) {
		if !c.variant[id] {
			return fmt.Errorf("variant %q is not in variants", clip(id))
		}
		if err := checkTolerance(g.Variants[id]); err != nil {
			return fmt.Errorf("variant %q: %w", id, err)
		}
	}
	return nil
}

func (c *checker) goldenFiles(what string, files map[string]string, want []TensorSpec) error {
	for _, t := range want {
		p, ok := files[t.Name]
		if !ok {
			return fmt.Errorf("%s %q has no file", what, t.Name)
		}
		if a := c.files[p]; a == nil {
			return fmt.Errorf("%s %q: file %q is not in artifacts", what, t.Name, clip(p))
		} else if a.Role != RoleGolden {
			return fmt.Errorf("%s %q: file %q has role %q, want golden", what, t.Name, p, a.Role)
		}
	}
	if len(files) != len(want) {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if !slices.ContainsFunc(want, func(t TensorSpec) bool { return t.Name == name }) {
				return fmt.Errorf("%s %q is not in the contract", what, clip(name))
			}
		}
	}
	return nil
}

func checkTolerance(t Tolerance) error {
	for _, v := range []float64{t.Abs, t.Rel} {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("tolerance %v, want at least 0", v)
		}
	}
	return nil
}

// dtypes are the element types of ONNX that a contract may name.
var dtypes = map[string]bool{
	"float32": true, "uint8": true, "int8": true, "uint16": true, "int16": true, "int32": true, "int64": true,
	"string": true, "bool": true, "float16": true, "float64": true, "uint32": true, "uint64": true,
	"complex64": true, "complex128": true, "bfloat16": true,
}

func checkTensors(what string, list []TensorSpec) error {
	if len(list) == 0 || len(list) > maxTensors {
		return fmt.Errorf("%d %ss, want 1 to %d", len(list), what, maxTensors)
	}
	seen := map[string]bool{}
	for _, t := range list {
		if err := checkLine(t.Name, maxName); err != nil {
			return fmt.Errorf("%s name %q: %w", what, clip(t.Name), err)
		}
		if seen[t.Name] {
			return fmt.Errorf("%s %q stands twice", what, t.Name)
		}
		seen[t.Name] = true
		sequence := what == "output" && (t.DType == "sequence(map(int64,float32))" || t.DType == "sequence(map(string,float32))")
		if !dtypes[t.DType] && !sequence {
			return fmt.Errorf("%s %q: dtype %q, want an ONNX element type such as float32", what, t.Name, clip(t.DType))
		}
		if err := checkShape(t.Shape); err != nil {
			return fmt.Errorf("%s %q: %w", what, t.Name, err)
		}
	}
	return nil
}

func checkShape(shape []Dim) error {
	if len(shape) > maxRank {
		return fmt.Errorf("%d dimensions, want at most %d", len(shape), maxRank)
	}
	elements := int64(1)
	for _, d := range shape {
		if d.Name != "" {
			if err := checkLine(d.Name, maxName); err != nil {
				return fmt.Errorf("dimension name %q: %w", clip(d.Name), err)
			}
			continue
		}
		if d.Size < 0 || d.Size > maxElements || d.Size > 0 && elements > maxElements/d.Size {
			return fmt.Errorf("dimension %d: more than %d elements", d.Size, int64(maxElements))
		}
		elements *= max(d.Size, 1)
	}
	return nil
}

func (c *checker) quality() error {
	seen := map[string]bool{}
	if len(c.m.Quality) > maxList {
		return fmt.Errorf("%d quality figures, want at most %d", len(c.m.Quality), maxList)
	}
	for _, q := range c.m.Quality {
		if err := checkID(q.ID); err != nil {
			return fmt.Errorf("quality id %q: %w", clip(q.ID), err)
		}
		if seen[q.ID] {
			return fmt.Errorf("quality %q stands twice", q.ID)
		}
		seen[q.ID] = true
		var passed bool
		switch q.Direction {
		case "min":
			passed = q.Value >= q.Threshold
		case "max":
			passed = q.Value <= q.Threshold
		default:
			return fmt.Errorf("quality %q: direction %q, want min or max", q.ID, clip(q.Direction))
		}
		if passed != q.Passed {
			return fmt.Errorf("quality %q: passed is %v, but value %v with %s %v means %v", q.ID, q.Passed, q.Value, q.Direction, q.Threshold, passed)
		}
		if q.Report == "" {
			continue
		}
		if a := c.files[q.Report]; a == nil {
			return fmt.Errorf("quality %q: report %q is not in artifacts", q.ID, clip(q.Report))
		} else if a.Role != RoleReport {
			return fmt.Errorf("quality %q: report %q has role %q, want report", q.ID, q.Report, a.Role)
		}
	}
	return nil
}

func (c *checker) provenance() error {
	p := c.m.Provenance
	if p == nil {
		return nil
	}
	for _, t := range [][2]string{{"training_run", p.TrainingRun}, {"source_revision", p.SourceRevision}, {"builder", p.Builder}} {
		if err := checkText(t[1]); err != nil {
			return fmt.Errorf("provenance: %s %q: %w", t[0], clip(t[1]), err)
		}
	}
	return nil
}

func (c *checker) checklist() error {
	seen := map[string]bool{}
	if len(c.m.Checklist) > maxList {
		return fmt.Errorf("%d checklist items, want at most %d", len(c.m.Checklist), maxList)
	}
	for _, item := range c.m.Checklist {
		if err := checkID(item.ID); err != nil {
			return fmt.Errorf("checklist id %q: %w", clip(item.ID), err)
		}
		if seen[item.ID] {
			return fmt.Errorf("checklist item %q stands twice", item.ID)
		}
		seen[item.ID] = true
		if item.Stage != "paper" && item.Stage != "live" {
			return fmt.Errorf("checklist item %q: stage %q, want paper or live", item.ID, clip(item.Stage))
		}
		if item.Role != "" {
			if err := checkID(item.Role); err != nil {
				return fmt.Errorf("checklist item %q: role %q: %w", item.ID, clip(item.Role), err)
			}
		}
		if item.Text["en"] == "" {
			return fmt.Errorf("checklist item %q has no text in language \"en\"", item.ID)
		}
		for _, lang := range slices.Sorted(maps.Keys(item.Text)) {
			if !langPattern.MatchString(lang) {
				return fmt.Errorf("checklist item %q: language %q, want a tag such as \"en\" or \"pl\"", item.ID, clip(lang))
			}
			if err := checkText(item.Text[lang]); err != nil || item.Text[lang] == "" {
				return fmt.Errorf("checklist item %q: text in %q: %w", item.ID, lang, cmpError(err, "is empty"))
			}
		}
	}
	return nil
}

// cmpError is err, or one with the given words when err is nil.
func cmpError(err error, words string) error {
	if err != nil {
		return err
	}
	return errors.New(words)
}
