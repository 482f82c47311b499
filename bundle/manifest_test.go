package bundle

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
)

// exampleManifest is a manifest with every field of format 1.
func exampleManifest() *Manifest {
	sum := func(s string) Digest { return sha512.Sum384([]byte(s)) }
	file := func(path string, role Role) Artifact {
		return Artifact{Path: path, Size: 4, SHA384: sum(path), ChunkSize: 1 << 16, Chunks: []Digest{sum(path)}, Role: role, MediaType: mediaTypeOf(path)}
	}
	large := file("artifacts/fp32/model.onnx", RoleWeights)
	large.Size, large.Chunks = 1<<17+1, []Digest{sum("1"), sum("2"), sum("3")}
	empty := file("artifacts/empty.txt", RoleMetadata)
	empty.Size, empty.SHA384, empty.Chunks = 0, emptySHA384, []Digest{}
	x := []TensorSpec{{Name: "x", DType: "float32", Shape: []Dim{{Name: "batch"}, {Size: 16}}}}
	y := []TensorSpec{{Name: "y", DType: "float32", Shape: []Dim{{Name: "batch"}, {Size: 3}}}}
	return &Manifest{
		Schema: SchemaV1, ModelFamily: "market-regime", Version: "1.4.2-rc.1", HashAlg: HashSHA384, Created: "2026-11-02T09:00:00Z",
		Artifacts: []Artifact{
			large, empty, file("artifacts/int8/model.onnx", RoleWeights), file("artifacts/trees.onnx", RoleWeights),
			file("artifacts/golden/x.pb", RoleGolden), file("artifacts/golden/y.pb", RoleGolden),
			file("artifacts/golden/trees/x.pb", RoleGolden), file("artifacts/golden/trees/y.pb", RoleGolden),
			file("artifacts/reports/accuracy.json", RoleReport), file("artifacts/lib/libonnxruntime.so", RoleRuntime),
		},
		Variants: []Variant{
			{ID: "cuda", Engine: EngineONNXRuntime, ExecutionProvider: "cuda", Priority: 20,
				Requires: Requires{OS: []string{"linux"}, Arch: []string{"amd64"}, CPUFeatures: []string{"avx2", "avx512_vnni|avx_vnni"}, MinCores: 2, MinMemoryMiB: 512,
					GPU: &GPURequires{Vendor: "nvidia", MinMemoryMiB: 8192, DeviceIDs: []string{"2684"}}},
				Artifacts: []string{"artifacts/empty.txt", "artifacts/fp32/model.onnx", "artifacts/trees.onnx"}},
			{ID: "cpu-int8", Engine: EngineAny, ExecutionProvider: "cpu", Artifacts: []string{"artifacts/int8/model.onnx"}},
		},
		InferenceContract: InferenceContract{
			Inputs: x, Outputs: y, MaxLatencyMS: 12.5, MaxMemoryMiB: 256,
			Golden: []GoldenCase{{Name: "calm", Inputs: map[string]string{"x": "artifacts/golden/x.pb"}, Outputs: map[string]string{"y": "artifacts/golden/y.pb"},
				Tolerance: Tolerance{Abs: 1e-5, Rel: 0.0001}, Variants: map[string]Tolerance{"cpu-int8": {Abs: 0.03}}}},
			Companions: []Companion{{ID: "trees", Artifact: "artifacts/trees.onnx", Inputs: x,
				Outputs: []TensorSpec{{Name: "y", DType: "sequence(map(int64,float32))", Shape: []Dim{}}},
				Golden: []GoldenCase{{Name: "calm", Inputs: map[string]string{"x": "artifacts/golden/trees/x.pb"},
					Outputs: map[string]string{"y": "artifacts/golden/trees/y.pb"}}}}},
		},
		Quality: []QualityFigure{
			{ID: "accuracy", Value: 0.91, Threshold: 0.9, Direction: "min", Passed: true, Report: "artifacts/reports/accuracy.json"},
			{ID: "drift", Value: 0.3, Threshold: 0.2, Direction: "max", Passed: false},
		},
		Provenance: &Provenance{TrainingRun: "run 7", DatasetSHA384: sum("data"), SourceRevision: "9d06bde", Builder: "sluice 0.1.0"},
		Checklist: []ChecklistItem{{ID: "drift-read", Stage: "live", Role: "compliance",
			Text: map[string]string{"en": "Did you read the drift report?", "pl": "Czy przeczytano raport dryfu?"}}},
	}
}

func marshalIndented(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestManifestRoundTrip(t *testing.T) {
	raw := marshalIndented(t, exampleManifest())
	m, err := ParseManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again := marshalIndented(t, m); !bytes.Equal(raw, again) {
		t.Errorf("parsed and written again it differs:\n%s", again)
	}
	if m.CreatedTime() != time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC) {
		t.Errorf("created is %v", m.CreatedTime())
	}
	if m.FileName() != "market-regime-v1.4.2-rc.1.tar.zst" {
		t.Errorf("file name is %q", m.FileName())
	}
}

// What each variant needs on disk follows from contract and quality, not only from its own list.
func TestVariantPaths(t *testing.T) {
	m := exampleManifest()
	for id, want := range map[string][]string{
		"cuda": {"artifacts/fp32/model.onnx", "artifacts/empty.txt", "artifacts/trees.onnx", "artifacts/golden/x.pb", "artifacts/golden/y.pb",
			"artifacts/golden/trees/x.pb", "artifacts/golden/trees/y.pb", "artifacts/reports/accuracy.json"},
		"cpu-int8": {"artifacts/int8/model.onnx", "artifacts/golden/x.pb", "artifacts/golden/y.pb", "artifacts/reports/accuracy.json"},
	} {
		if got, err := m.VariantPaths(id); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s needs %q (%v), want %q", id, got, err, want)
		}
	}
	if p, err := m.ModelPath("cuda"); err != nil || p != "artifacts/fp32/model.onnx" {
		t.Errorf("model of cuda is %q, %v", p, err)
	}
	for _, err := range []error{second(m.VariantPaths("nix")), second(m.ModelPath("nix"))} {
		if fault.CodeOf(err) != fault.VariantUnknown {
			t.Errorf("unknown variant gives %v", err)
		}
	}
	if m.Artifact("nix") != nil || m.Artifact("artifacts/empty.txt") == nil {
		t.Error("Artifact does not find by path")
	}
}

func second[T any](_ T, err error) error { return err }

// Each rule of the manifest is broken by exactly one case.
func TestManifestRules(t *testing.T) {
	type m = *Manifest
	golden := func(m m) *GoldenCase { return &m.InferenceContract.Golden[0] }
	long := strings.Repeat("x", 3000)
	for name, c := range map[string]struct {
		edit func(m)
		code fault.Code
		want string
	}{
		"schema 2":                {func(m m) { m.Schema = "oem-model-bundle/2" }, fault.Schema, "oem-model-bundle/2"},
		"sha256":                  {func(m m) { m.HashAlg = "sha256" }, fault.HashAlg, `"sha256"`},
		"family upper case":       {func(m m) { m.ModelFamily = "Market" }, fault.ManifestInvalid, "model_family"},
		"family empty":            {func(m m) { m.ModelFamily = "" }, fault.ManifestInvalid, "model_family"},
		"family too long":         {func(m m) { m.ModelFamily = strings.Repeat("a", 65) }, fault.ManifestInvalid, "model_family"},
		"family with bidi mark":   {func(m m) { m.ModelFamily = "a\u202eb" }, fault.ManifestInvalid, "model_family"},
		"family ends in dot":      {func(m m) { m.ModelFamily = "a." }, fault.ManifestInvalid, "dot"},
		"version with v":          {func(m m) { m.Version = "v1.2.3" }, fault.ManifestInvalid, "SemVer"},
		"version with build":      {func(m m) { m.Version = "1.2.3+4" }, fault.ManifestInvalid, "SemVer"},
		"version of two numbers":  {func(m m) { m.Version = "1.2" }, fault.ManifestInvalid, "SemVer"},
		"version leading zero":    {func(m m) { m.Version = "1.02.3" }, fault.ManifestInvalid, "SemVer"},
		"pre-release leading 0":   {func(m m) { m.Version = "1.2.3-01" }, fault.ManifestInvalid, "SemVer"},
		"version upper case":      {func(m m) { m.Version = "1.2.3-RC" }, fault.ManifestInvalid, "SemVer"},
		"version too long":        {func(m m) { m.Version = "1.2.3-" + strings.Repeat("a", 60) }, fault.ManifestInvalid, "SemVer"},
		"created in a zone":       {func(m m) { m.Created = "2026-11-02T09:00:00+01:00" }, fault.ManifestInvalid, "created"},
		"created with fraction":   {func(m m) { m.Created = "2026-11-02T09:00:00.5Z" }, fault.ManifestInvalid, "created"},
		"created on 30 February":  {func(m m) { m.Created = "2026-02-30T09:00:00Z" }, fault.ManifestInvalid, "created"},
		"created before 1970":     {func(m m) { m.Created = "1969-12-31T23:59:59Z" }, fault.ManifestInvalid, "created"},
		"created after 2241":      {func(m m) { m.Created = "2242-01-01T00:00:00Z" }, fault.ManifestInvalid, "created"},
		"no artifacts":            {func(m m) { m.Artifacts = nil }, fault.ManifestInvalid, "0 artifacts"},
		"path outside artifacts/": {func(m m) { m.Artifacts[1].Path = "other/x" }, fault.Path, "under artifacts/"},
		"path climbs":             {func(m m) { m.Artifacts[1].Path = "artifacts/../x" }, fault.Path, `".."`},
		"paths clash":             {func(m m) { m.Artifacts[1].Path = "artifacts/TREES.onnx" }, fault.Path, "clash"},
		"role":                    {func(m m) { m.Artifacts[1].Role = "virus" }, fault.ManifestInvalid, `role "virus"`},
		"media type":              {func(m m) { m.Artifacts[1].MediaType = "text/plain; charset=utf-8" }, fault.ManifestInvalid, "media_type"},
		"size negative":           {func(m m) { m.Artifacts[0].Size = -1 }, fault.ManifestInvalid, "size -1"},
		"sum overflows": {func(m m) {
			for i := range m.Artifacts[2:4] {
				a := &m.Artifacts[2+i]
				a.Size, a.ChunkSize, a.Chunks = MaxSize, MaxChunkSize, nil
			}
		}, fault.ManifestInvalid, "chunks"},
		"chunk_size odd":        {func(m m) { m.Artifacts[1].ChunkSize = 100_000 }, fault.ManifestInvalid, "power of two"},
		"chunk_size small":      {func(m m) { m.Artifacts[1].ChunkSize = 1 << 15 }, fault.ManifestInvalid, "power of two"},
		"chunk_size large":      {func(m m) { m.Artifacts[1].ChunkSize = 1 << 25 }, fault.ManifestInvalid, "power of two"},
		"chunk_size 0":          {func(m m) { m.Artifacts[1].ChunkSize = 0 }, fault.ManifestInvalid, "power of two"},
		"chunk missing":         {func(m m) { m.Artifacts[0].Chunks = m.Artifacts[0].Chunks[:2] }, fault.ManifestInvalid, "want 3"},
		"chunk too many":        {func(m m) { m.Artifacts[1].Chunks = []Digest{emptySHA384} }, fault.ManifestInvalid, "want 0"},
		"empty file's digest":   {func(m m) { m.Artifacts[1].SHA384 = Digest{1} }, fault.ManifestInvalid, "empty file"},
		"only chunk differs":    {func(m m) { m.Artifacts[2].Chunks[0] = Digest{1} }, fault.ManifestInvalid, "only chunk"},
		"no variants":           {func(m m) { m.Variants = nil }, fault.ManifestInvalid, "no variants"},
		"variant twice":         {func(m m) { m.Variants[1].ID = "cuda" }, fault.ManifestInvalid, "twice"},
		"variant id":            {func(m m) { m.Variants[1].ID = "a/b" }, fault.ManifestInvalid, "variant id"},
		"variant engine":        {func(m m) { m.Variants[1].Engine = "tensorrt" }, fault.ManifestInvalid, "engine"},
		"variant provider":      {func(m m) { m.Variants[1].ExecutionProvider = "" }, fault.ManifestInvalid, "execution_provider"},
		"variant priority":      {func(m m) { m.Variants[1].Priority = 1 << 40 }, fault.ManifestInvalid, "priority"},
		"variant's artifact":    {func(m m) { m.Variants[1].Artifacts = append(m.Variants[1].Artifacts, "artifacts/nix") }, fault.ManifestInvalid, "not in artifacts"},
		"variant lists twice":   {func(m m) { m.Variants[0].Artifacts[0] = "artifacts/trees.onnx" }, fault.ManifestInvalid, "twice"},
		"variant without model": {func(m m) { m.Variants[1].Artifacts = []string{"artifacts/empty.txt"} }, fault.ManifestInvalid, "no model"},
		"requires os":           {func(m m) { m.Variants[0].Requires.OS[0] = "Linux" }, fault.ManifestInvalid, "os"},
		"requires arch either":  {func(m m) { m.Variants[0].Requires.Arch[0] = "a|b" }, fault.ManifestInvalid, "arch"},
		"requires feature":      {func(m m) { m.Variants[0].Requires.CPUFeatures[0] = "avx2|" }, fault.ManifestInvalid, "cpu_features"},
		"requires cores":        {func(m m) { m.Variants[0].Requires.MinCores = -1 }, fault.ManifestInvalid, "min_cores"},
		"requires memory":       {func(m m) { m.Variants[0].Requires.MinMemoryMiB = -1 }, fault.ManifestInvalid, "min_memory_mib"},
		"gpu vendor":            {func(m m) { m.Variants[0].Requires.GPU.Vendor = "" }, fault.ManifestInvalid, "gpu vendor"},
		"gpu memory":            {func(m m) { m.Variants[0].Requires.GPU.MinMemoryMiB = -1 }, fault.ManifestInvalid, "gpu min_memory"},
		"gpu device":            {func(m m) { m.Variants[0].Requires.GPU.DeviceIDs[0] = "268" }, fault.ManifestInvalid, "device id"},
		"no latency limit":      {func(m m) { m.InferenceContract.MaxLatencyMS = 0 }, fault.ManifestInvalid, "max_latency_ms"},
		"no memory limit":       {func(m m) { m.InferenceContract.MaxMemoryMiB = 0 }, fault.ManifestInvalid, "max_memory_mib"},
		"no inputs":             {func(m m) { m.InferenceContract.Inputs = nil }, fault.ManifestInvalid, "0 inputs"},
		"no outputs":            {func(m m) { m.InferenceContract.Outputs = nil }, fault.ManifestInvalid, "0 outputs"},
		"input twice":           {func(m m) { c := &m.InferenceContract; c.Inputs = append(c.Inputs, c.Inputs[0]) }, fault.ManifestInvalid, "twice"},
		"input name hides":      {func(m m) { m.InferenceContract.Inputs[0].Name = "x\u200b" }, fault.ManifestInvalid, "U+200B"},
		"input name escapes":    {func(m m) { m.InferenceContract.Inputs[0].Name = "\x1b[2J" }, fault.ManifestInvalid, "U+001B"},
		"input name long":       {func(m m) { m.InferenceContract.Inputs[0].Name = long }, fault.ManifestInvalid, "bytes"},
		"dtype":                 {func(m m) { m.InferenceContract.Inputs[0].DType = "Float32" }, fault.ManifestInvalid, "dtype"},
		"input is a sequence":   {func(m m) { m.InferenceContract.Inputs[0].DType = "sequence(map(int64,float32))" }, fault.ManifestInvalid, "dtype"},
		"shape overflows":       {func(m m) { m.InferenceContract.Inputs[0].Shape = []Dim{{Size: 1 << 30}, {Size: 1 << 30}} }, fault.ManifestInvalid, "elements"},
		"shape rank":            {func(m m) { m.InferenceContract.Inputs[0].Shape = make([]Dim, 33) }, fault.ManifestInvalid, "dimensions"},
		"no golden case":        {func(m m) { m.InferenceContract.Golden = nil }, fault.ManifestInvalid, "0 golden"},
		"golden twice":          {func(m m) { c := &m.InferenceContract; c.Golden = append(c.Golden, c.Golden[0]) }, fault.ManifestInvalid, "twice"},
		"golden without input":  {func(m m) { golden(m).Inputs = nil }, fault.ManifestInvalid, `input "x" has no file`},
		"golden extra output":   {func(m m) { golden(m).Outputs["z"] = "artifacts/golden/y.pb" }, fault.ManifestInvalid, `output "z" is not in`},
		"golden file missing":   {func(m m) { golden(m).Inputs["x"] = "artifacts/golden/nix.pb" }, fault.ManifestInvalid, "not in artifacts"},
		"golden file's role":    {func(m m) { golden(m).Inputs["x"] = "artifacts/empty.txt" }, fault.ManifestInvalid, "want golden"},
		"tolerance negative":    {func(m m) { golden(m).Tolerance.Abs = -1 }, fault.ManifestInvalid, "tolerance"},
		"tolerance of nobody":   {func(m m) { golden(m).Variants["nix"] = Tolerance{} }, fault.ManifestInvalid, "not in variants"},
		"variant's tolerance":   {func(m m) { golden(m).Variants["cuda"] = Tolerance{Rel: -1} }, fault.ManifestInvalid, "tolerance"},
		"companion's artifact":  {func(m m) { m.InferenceContract.Companions[0].Artifact = "artifacts/nix.onnx" }, fault.ManifestInvalid, "not in artifacts"},
		"companion no model":    {func(m m) { m.InferenceContract.Companions[0].Artifact = "artifacts/empty.txt" }, fault.ManifestInvalid, "role weights"},
		"companion unlisted":    {func(m m) { m.Variants[0].Artifacts = m.Variants[0].Artifacts[:2] }, fault.ManifestInvalid, "no variant"},
		"companion twice":       {func(m m) { c := &m.InferenceContract; c.Companions = append(c.Companions, c.Companions[0]) }, fault.ManifestInvalid, "twice"},
		"companion no golden":   {func(m m) { m.InferenceContract.Companions[0].Golden = nil }, fault.ManifestInvalid, "0 golden"},
		"quality passed":        {func(m m) { m.Quality[0].Passed = false }, fault.ManifestInvalid, "passed"},
		"quality not passed":    {func(m m) { m.Quality[1].Passed = true }, fault.ManifestInvalid, "passed"},
		"quality direction":     {func(m m) { m.Quality[0].Direction = "up" }, fault.ManifestInvalid, "direction"},
		"quality twice":         {func(m m) { m.Quality[1].ID = "accuracy" }, fault.ManifestInvalid, "twice"},
		"quality report":        {func(m m) { m.Quality[0].Report = "artifacts/nix" }, fault.ManifestInvalid, "not in artifacts"},
		"quality report's role": {func(m m) { m.Quality[0].Report = "artifacts/empty.txt" }, fault.ManifestInvalid, "want report"},
		"provenance too long":   {func(m m) { m.Provenance.TrainingRun = long }, fault.ManifestInvalid, "characters"},
		"provenance escapes":    {func(m m) { m.Provenance.Builder = "\x1b[2J" }, fault.ManifestInvalid, "U+001B"},
		"checklist stage":       {func(m m) { m.Checklist[0].Stage = "demo" }, fault.ManifestInvalid, "stage"},
		"checklist twice":       {func(m m) { m.Checklist = append(m.Checklist, m.Checklist[0]) }, fault.ManifestInvalid, "twice"},
		"checklist no English":  {func(m m) { delete(m.Checklist[0].Text, "en") }, fault.ManifestInvalid, `"en"`},
		"checklist language":    {func(m m) { m.Checklist[0].Text["Polski"] = "?" }, fault.ManifestInvalid, "language"},
		"checklist empty text":  {func(m m) { m.Checklist[0].Text["pl"] = "" }, fault.ManifestInvalid, "is empty"},
		"checklist bidi":        {func(m m) { m.Checklist[0].Text["pl"] = "a\u202eb" }, fault.ManifestInvalid, "U+202E"},
		"checklist long":        {func(m m) { m.Checklist[0].Text["pl"] = long }, fault.ManifestInvalid, "characters"},
		"checklist role":        {func(m m) { m.Checklist[0].Role = "The Boss" }, fault.ManifestInvalid, "role"},
	} {
		t.Run(name, func(t *testing.T) {
			m := exampleManifest()
			c.edit(m)
			got, err := ParseManifest(marshalIndented(t, m))
			wantFault(t, err, c.code, c.want)
			if got != nil {
				t.Error("a manifest came with the error")
			}
		})
	}
}

// wantFault demands a code and words in the message.
func wantFault(t testing.TB, err error, code fault.Code, words string) {
	t.Helper()
	if fault.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), words) {
		t.Errorf("got %s (%v), want %s with %q", fault.CodeOf(err), err, code, words)
	}
}

// The bytes of all artifacts together must not overflow, whatever chunks they claim.
func TestManifestSizeSum(t *testing.T) {
	m := exampleManifest()
	m.Artifacts[2].Size, m.Artifacts[3].Size = MaxSize, MaxSize
	err := m.check(false)
	wantFault(t, err, fault.ManifestInvalid, "together")
}

// Threat 14: text that two readers could understand differently, or that no reader should have to understand.
func TestManifestStrictText(t *testing.T) {
	good := string(marshalIndented(t, exampleManifest()))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("example does not hold %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	at := func(member string) string { return replace(`"hash_alg"`, member+`, "hash_alg"`) }
	for name, c := range map[string]struct {
		text string
		code fault.Code
		want string
	}{
		"empty":                {"", fault.ManifestInvalid, ""},
		"not JSON":             {"schema: 1", fault.ManifestInvalid, ""},
		"array":                {"[]", fault.ManifestInvalid, ""},
		"null":                 {"null", fault.ManifestInvalid, "null"},
		"cut off":              {good[:len(good)/2], fault.ManifestInvalid, ""},
		"trailing value":       {good + "{}", fault.ManifestInvalid, ""},
		"trailing NUL":         {good + "\x00", fault.ManifestInvalid, ""},
		"byte order mark":      {"\ufeff" + good, fault.ManifestInvalid, ""},
		"UTF-16":               {"\xff\xfe" + good, fault.ManifestInvalid, ""},
		"comment":              {at(`/* hi */ "x_a": 1`), fault.ManifestInvalid, ""},
		"trailing comma":       {replace("2026-11-02T09:00:00Z\",", "2026-11-02T09:00:00Z\",,"), fault.ManifestInvalid, ""},
		"single quotes":        {replace(`"market-regime"`, `'market-regime'`), fault.ManifestInvalid, ""},
		"duplicate name":       {at(`"version": "1.0.0"`), fault.ManifestInvalid, "version"},
		"duplicate by escape":  {at(`"versio\u006e": "1.0.0"`), fault.ManifestInvalid, "version"},
		"duplicate deep":       {replace(`"role": "metadata"`, `"role": "metadata", "role": "weights"`), fault.ManifestInvalid, "role"},
		"duplicate in x_":      {at(`"x_a": {"b": 1, "b": 1}`), fault.ManifestInvalid, "b"},
		"other letter case":    {replace(`"version"`, `"Version"`), fault.ManifestInvalid, `"Version"`},
		"letter case of x_":    {at(`"X_a": 1`), fault.ManifestInvalid, `"X_a"`},
		"unknown":              {at(`"evil": 1`), fault.ManifestInvalid, `"evil"`},
		"unknown deep":         {replace(`"role": "metadata"`, `"role": "metadata", "mode": 493`), fault.ManifestInvalid, `"mode"`},
		"missing":              {replace(`"passed": false`, `"x_passed": false`), fault.ManifestInvalid, `"passed" is missing`},
		"null value":           {replace(`"drift"`, `null`), fault.ManifestInvalid, "null"},
		"null in x_":           {at(`"x_a": null`), fault.ManifestInvalid, "null"},
		"bad UTF-8":            {replace("market-regime", "market\xff"), fault.ManifestInvalid, ""},
		"overlong UTF-8":       {replace("run 7", "run \xc0\xaf"), fault.ManifestInvalid, ""},
		"UTF-8 surrogate":      {replace("run 7", "run \xed\xa0\x80"), fault.ManifestInvalid, ""},
		"lone surrogate":       {replace("run 7", `run \ud800`), fault.ManifestInvalid, ""},
		"swapped surrogates":   {replace("run 7", `run \udc00\ud800`), fault.ManifestInvalid, ""},
		"raw control":          {replace("run 7", "run\n7"), fault.ManifestInvalid, ""},
		"escaped NUL":          {replace("run 7", `run\u0000`), fault.ManifestInvalid, "U+0000"},
		"number 1.0":           {replace(`"min_cores": 2`, `"min_cores": 2.0`), fault.ManifestInvalid, "RFC 8785"},
		"number 2e0":           {replace(`"min_cores": 2`, `"min_cores": 2e0`), fault.ManifestInvalid, "RFC 8785"},
		"number -0":            {replace(`"size": 0`, `"size": -0`), fault.ManifestInvalid, "RFC 8785"},
		"number +2":            {replace(`"min_cores": 2`, `"min_cores": +2`), fault.ManifestInvalid, ""},
		"number 02":            {replace(`"min_cores": 2`, `"min_cores": 02`), fault.ManifestInvalid, ""},
		"number 0x2":           {replace(`"min_cores": 2`, `"min_cores": 0x2`), fault.ManifestInvalid, ""},
		"number 1.5 for int":   {replace(`"min_cores": 2`, `"min_cores": 1.5`), fault.ManifestInvalid, ""},
		"number 1e400":         {replace(`"value": 0.91`, `"value": 1e400`), fault.ManifestInvalid, "finite"},
		"number of 400 digits": {replace(`"size": 0`, `"size": `+strings.Repeat("9", 400)), fault.ManifestInvalid, "finite"},
		"number 2^53+1":        {replace(`"size": 0`, `"size": 9007199254740993`), fault.ManifestInvalid, "RFC 8785"},
		"number 2^64":          {replace(`"size": 0`, `"size": 18446744073709552000`), fault.ManifestInvalid, ""},
		"number 1e400 in x_":   {at(`"x_a": 1e400`), fault.ManifestInvalid, "finite"},
		"NaN":                  {replace(`"value": 0.91`, `"value": NaN`), fault.ManifestInvalid, ""},
		"float 0.910":          {replace(`"value": 0.91`, `"value": 0.910`), fault.ManifestInvalid, `"0.91"`},
		"string for number":    {replace(`"min_cores": 2`, `"min_cores": "2"`), fault.ManifestInvalid, "min_cores"},
		"number for string":    {replace(`"market-regime"`, `7`), fault.ManifestInvalid, "model_family"},
		"object for array":     {replace(`"chunks": []`, `"chunks": {}`), fault.ManifestInvalid, "chunks"},
		"digest upper case":    {replace(emptySHA384.String(), strings.ToUpper(emptySHA384.String())), fault.ManifestInvalid, "sha384"},
		"digest short":         {replace(emptySHA384.String(), emptySHA384.String()[1:]), fault.ManifestInvalid, "sha384"},
		"dimension negative":   {replace(`"batch"`, `-1`), fault.ManifestInvalid, "shape"},
		"dimension empty":      {replace(`"batch"`, `""`), fault.ManifestInvalid, "shape"},
		"dimension true":       {replace(`"batch"`, `true`), fault.ManifestInvalid, "shape"},
		"nested 33":            {at(`"x_a": ` + strings.Repeat("[", 33) + strings.Repeat("]", 33)), fault.ManifestInvalid, "deeper"},
		"nested a million":     {strings.Repeat("[", 1_000_000), fault.ManifestInvalid, "deeper"},
		"nested objects":       {strings.Repeat(`{"a":`, 100_000), fault.ManifestInvalid, "deeper"},
		"8 MiB of arrays":      {at(`"x_a": [` + strings.Repeat("[],", 1<<21) + `[]]`), fault.ManifestInvalid, "values"},
		"schema of arrays":     {replace(`"`+SchemaV1+`"`, `[`+strings.Repeat("[],", 1<<20)+`[]]`), fault.ManifestInvalid, "schema"},
		"schema 2 first":       {at(`"evil": 1`)[:0] + strings.Replace(at(`"evil": 1`), SchemaV1, "oem-model-bundle/2", 1), fault.Schema, "oem-model-bundle/2"},
		"over 8 MiB":           {good + strings.Repeat(" ", MaxManifestSize), fault.Limit, "at most"},
		"x_ is fine":           {at(`"x_a": {"B": [1, "ż", true]}`), "", ""},
		"x_ deep is fine":      {replace(`"role": "metadata"`, `"role": "metadata", "x_note": "ok"`), "", ""},
		"white space is fine":  {" \r\n\t" + good + "\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			m, err := ParseManifest([]byte(c.text))
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("took %v, want at most a second on an idle machine", d)
			}
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, c.code, c.want)
			if m != nil {
				t.Error("a manifest came with the error")
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes: untrusted text must be cut", len(err.Error()))
			}
		})
	}
}

// Names in maps belong to the model, not to the format: they may begin with x_.
func TestManifestTensorNamedLikeExtension(t *testing.T) {
	m := exampleManifest()
	c := &m.InferenceContract
	c.Inputs = []TensorSpec{{Name: "x_in", DType: "float32", Shape: []Dim{}}}
	c.Golden[0].Inputs = map[string]string{"x_in": "artifacts/golden/x.pb"}
	if _, err := ParseManifest(marshalIndented(t, m)); err != nil {
		t.Error(err)
	}
	c.Golden[0].Inputs["x_other"] = "artifacts/golden/x.pb"
	wantFault(t, second(ParseManifest(marshalIndented(t, m))), fault.ManifestInvalid, "x_other")
}

// Threat 14: a gibibyte is refused without a look at it.
func TestManifestGibibyte(t *testing.T) {
	raw := make([]byte, 1<<30)
	start := time.Now()
	_, err := ParseManifest(raw)
	wantFault(t, err, fault.Limit, "at most")
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
}

// The largest manifest that the rules allow is read in reasonable time: no rule is quadratic.
func TestManifestTwentyThousandArtifacts(t *testing.T) {
	m := exampleManifest()
	for i := len(m.Artifacts); i < MaxArtifacts; i++ {
		a := m.Artifacts[1]
		a.Path = fmt.Sprintf("artifacts/%d.txt", i)
		m.Artifacts = append(m.Artifacts, a)
		m.Variants[0].Artifacts = append(m.Variants[0].Artifacts, a.Path)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := ParseManifest(raw); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v for %d bytes", d, len(raw))
	}
	m.Artifacts = append(m.Artifacts, Artifact{})
	wantFault(t, m.check(true), fault.ManifestInvalid, "20001 artifacts")
}

func TestVersions(t *testing.T) {
	order := []string{"0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.4.2", "1.10.0", "99999999999999999999999.0.0"}
	disk := map[string]bool{}
	for i, v := range order {
		if err := ValidVersion(v); err != nil {
			t.Error(err)
		}
		if d := DiskVersion(v); disk[d] || strings.Contains(d, ".") {
			t.Errorf("%q is %q on disk", v, d)
		} else {
			disk[d] = true
		}
		for j, w := range order {
			if got, want := CompareVersions(v, w), compareInts(i, j); got != want {
				t.Errorf("CompareVersions(%q, %q) = %d, want %d", v, w, got, want)
			}
		}
	}
	if DiskVersion("1.4.2") != "v1_4_2" {
		t.Error(DiskVersion("1.4.2"))
	}
	if !errors.Is(ValidVersion("1"), ErrManifest) {
		t.Error("version 1 is valid")
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func FuzzParseManifest(f *testing.F) {
	f.Add(marshalIndented(f, exampleManifest()))
	f.Add([]byte(`{"schema":"oem-model-bundle/1","x_a":[{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseManifest(raw)
		if err != nil {
			if m != nil || fault.CodeOf(err) == fault.Internal {
				t.Fatalf("%v with code %s", m, fault.CodeOf(err))
			}
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseManifest(again); err != nil {
			t.Fatalf("written again it is refused: %v", err)
		}
		for _, v := range m.Variants {
			if _, err := m.VariantPaths(v.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := m.ModelPath(v.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// members writes n JSON members whose names begin with prefix, a comma after each.
func members(prefix string, n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%s%d":%s,`, prefix, i, value)
	}
	return b.String()
}

// Threat 14: a manifest of eight MiB must not cost seconds, whatever fills it; signed or not, for inspect reads it too.
func TestManifestLimitsOfExtensions(t *testing.T) {
	raw, err := CanonicalJSON(exampleManifest())
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	first := func(members string) string { return "{" + members + good[1:] }
	each := func(members string) string {
		return strings.ReplaceAll(good, `{"chunk_size"`, "{"+members+`"chunk_size"`)
	}
	artifacts := len(exampleManifest().Artifacts)
	most := 1 << 20 / artifacts
	for name, c := range map[string]struct{ text, want string }{
		"many x_ members":             {first(members("x_", 500_000, "0")), "members"},
		"many members within one":     {first(`"x_":{` + members("", 500_000, "0") + `"":0},`), "members"},
		"too many in one object":      {first(members("x_", maxMembers, "0")), "members"},
		"too many in all":             {each(members("x_", maxExtensions/artifacts+1, "0")), "x_ members"},
		"too many bytes in one":       {first(`"x_":"` + strings.Repeat("a", maxExtensionBytes) + `",`), "x_ members"},
		"too many bytes in all":       {each(`"x_":"` + strings.Repeat("a", most) + `",`), "x_ members"},
		"array of numbers":            {first(`"x_":[` + strings.Repeat("0,", 4_000_000) + `0],`), "values"},
		"array of objects":            {first(`"x_":[` + strings.Repeat("{},", 2_500_000) + `0],`), "values"},
		"artifacts that are no such":  {strings.Replace(good, `"artifacts":[`, `"artifacts":[`+strings.Repeat(`{},`, 2_500_000), 1), "values"},
		"golden case of many inputs":  {strings.Replace(good, `"inputs":{`, `"inputs":{`+members("", 500_000, `""`), 1), "members"},
		"question in many languages":  {strings.Replace(good, `"text":{`, `"text":{`+members("", 500_000, `""`), 1), "members"},
		"case with many tolerances":   {strings.Replace(good, `"variants":{`, `"variants":{`+members("", 300_000, `{}`), 1), "members"},
		"as many as there may be":     {each(members("x_", maxExtensions/artifacts, "0")), ""},
		"as many bytes as may be":     {first(`"x_":"` + strings.Repeat("a", maxExtensionBytes-20) + `",`), ""},
		"as many in one as there may": {first(members("x_", maxMembers-13, "0")), ""},
	} {
		start := time.Now()
		m, err := ParseManifest([]byte(c.text))
		t.Logf("%s: %d bytes, %v", name, len(c.text), time.Since(start).Round(time.Millisecond))
		if c.want == "" {
			if err != nil || m == nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if m != nil || fault.CodeOf(err) != fault.ManifestInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s with %q", name, err, fault.ManifestInvalid, c.want)
		}
	}
}

// TestLargestManifest: as many artifacts as there may be, in a manifest of about eight MiB.
func TestLargestManifest(t *testing.T) {
	m := exampleManifest()
	for i := 0; len(m.Artifacts) < MaxArtifacts; i++ {
		d := Digest(sha512.Sum384([]byte{byte(i), byte(i >> 8)}))
		a := Artifact{Path: fmt.Sprintf("artifacts/%s/%d", strings.Repeat("d", 80), i), Size: 1, SHA384: d, ChunkSize: MinChunkSize, Chunks: []Digest{d}, Role: RoleMetadata, MediaType: "application/json"}
		m.Artifacts = append(m.Artifacts, a)
	}
	raw, err := CanonicalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	got, err := ParseManifest(raw)
	took := time.Since(start)
	t.Logf("%d bytes, %v", len(raw), took.Round(time.Millisecond))
	if err != nil || len(got.Artifacts) != MaxArtifacts || len(raw) < 7<<20 {
		t.Fatalf("%d bytes: %v", len(raw), err)
	}
	if took > 10*time.Second { // a quarter of a second on a machine with nothing else to do
		t.Errorf("it took %v", took)
	}
}
