package bundle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// DigestSize is the length of a SHA-384 digest in bytes (FIPS 180-4).
const DigestSize = 48

// Digest is a SHA-384 digest; as text it is what sha384sum prints: 96 lower-case hexadecimal digits.
type Digest [DigestSize]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero says whether the digest was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts exactly 96 lower-case hexadecimal digits.
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// ParseDigest is the inverse of String; upper case is refused.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*DigestSize {
		return Digest{}, fmt.Errorf("digest %q has %d characters, want %d", clip(s), len(s), 2*DigestSize)
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Digest{}, fmt.Errorf("digest %q is not lower-case hexadecimal", s)
		}
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, err
	}
	return d, nil
}

// clip shortens a text from outside for a message; %q escapes what is left.
func clip(s string) string {
	if len(s) <= 120 {
		return s
	}
	n := 120
	for n > 117 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Manifest is manifest.json of format 1. Only ParseManifest makes one from bytes; what it returns keeps every rule of
// docs/format.md.
type Manifest struct {
	Schema            string            `json:"schema"`
	ModelFamily       string            `json:"model_family"`
	Version           string            `json:"version"`
	HashAlg           string            `json:"hash_alg"`
	Created           string            `json:"created"` // RFC 3339, UTC, whole seconds, "Z"
	Artifacts         []Artifact        `json:"artifacts"`
	Variants          []Variant         `json:"variants"`
	InferenceContract InferenceContract `json:"inference_contract"`
	Quality           []QualityFigure   `json:"quality,omitempty"`
	Provenance        *Provenance       `json:"provenance,omitempty"`
	Checklist         []ChecklistItem   `json:"checklist,omitempty"`
}

// Artifact is one file of a bundle.
type Artifact struct {
	Path      string   `json:"path"` // under artifacts/
	Size      int64    `json:"size"` // bytes
	SHA384    Digest   `json:"sha384"`
	ChunkSize int64    `json:"chunk_size"` // power of two, 64 KiB to 16 MiB
	Chunks    []Digest `json:"chunks"`     // [] for an empty file
	Role      Role     `json:"role"`
	MediaType string   `json:"media_type"`
}

// Role says what an artifact is for.
type Role string

// The roles of format 1.
const (
	RoleWeights   Role = "weights"
	RoleTokenizer Role = "tokenizer"
	RoleMetadata  Role = "metadata"
	RoleGolden    Role = "golden"
	RoleReport    Role = "report"
	RoleRuntime   Role = "runtime"
)

// Variant is one way to run the bundle's models. Its model is the first listed artifact with role weights whose path
// ends in ".onnx". Artifacts with role golden and report that the contract or the quality figures name
// belong to every variant, listed or not.
type Variant struct {
	ID                string   `json:"id"` // [a-z0-9][a-z0-9._-]{0,63}
	Requires          Requires `json:"requires,omitzero"`
	Engine            string   `json:"engine"`             // "onnx": any ONNX engine; "onnxruntime"; "reference"
	ExecutionProvider string   `json:"execution_provider"` // "cpu", "cuda", …
	Artifacts         []string `json:"artifacts"`
	Priority          int      `json:"priority,omitzero"` // higher is tried first; equal ones in manifest order
}

// Engine names of a variant.
const (
	EngineAny         = "onnx"
	EngineONNXRuntime = "onnxruntime"
	EngineReference   = "reference"
)

// Requires is what a machine must have. An empty field asks for nothing.
type Requires struct {
	OS           []string     `json:"os,omitempty"`           // GOOS names
	Arch         []string     `json:"arch,omitempty"`         // GOARCH names
	CPUFeatures  []string     `json:"cpu_features,omitempty"` // lower case as in /proc/cpuinfo; "a|b" means either
	MinCores     int          `json:"min_cores,omitzero"`
	MinMemoryMiB int64        `json:"min_memory_mib,omitzero"`
	GPU          *GPURequires `json:"gpu,omitempty"`
}

// GPURequires is what at least one GPU must have.
type GPURequires struct {
	Vendor       string   `json:"vendor"`                  // "nvidia", "amd", "intel" or a PCI vendor id of four hex digits
	MinMemoryMiB int64    `json:"min_memory_mib,omitzero"` // unknown memory does not satisfy a minimum
	DeviceIDs    []string `json:"device_ids,omitempty"`    // PCI device ids, four lower-case hex digits
}

// ModelContract says what one model takes and gives, and the cases that prove it.
type ModelContract struct {
	Inputs  []TensorSpec `json:"inputs"`
	Outputs []TensorSpec `json:"outputs"`
	Golden  []GoldenCase `json:"golden"`
}

// InferenceContract is the contract of each variant's model, with limits that hold for the variant as a whole.
type InferenceContract struct {
	Inputs       []TensorSpec `json:"inputs"`
	Outputs      []TensorSpec `json:"outputs"`
	Golden       []GoldenCase `json:"golden"`
	MaxLatencyMS float64      `json:"max_latency_ms"` // median of one call, after warm-up
	MaxMemoryMiB int64        `json:"max_memory_mib"`
	Companions   []Companion  `json:"companions,omitempty"`
}

// Model is the part of the contract that concerns the variant's own model.
func (c InferenceContract) Model() ModelContract {
	return ModelContract{Inputs: c.Inputs, Outputs: c.Outputs, Golden: c.Golden}
}

// Companion is a further model beside the variant's own; each variant that lists its artifact must prove it too.
type Companion struct {
	ID       string       `json:"id"`
	Artifact string       `json:"artifact"`
	Inputs   []TensorSpec `json:"inputs"`
	Outputs  []TensorSpec `json:"outputs"`
	Golden   []GoldenCase `json:"golden"`
}

// Model is the companion's contract.
func (c Companion) Model() ModelContract {
	return ModelContract{Inputs: c.Inputs, Outputs: c.Outputs, Golden: c.Golden}
}

// TensorSpec is one input or output.
type TensorSpec struct {
	Name  string `json:"name"`
	DType string `json:"dtype"` // names of package inference/tensor, or "sequence(map(int64,float32))" / "sequence(map(string,float32))" for outputs
	Shape []Dim  `json:"shape"`
}

// Dim is a fixed size, or a named size that a caller chooses; exactly one is set. In JSON a number or a string.
type Dim struct {
	Size int64
	Name string
}

// MarshalJSON writes the size as a number or the name as a string.
func (d Dim) MarshalJSON() ([]byte, error) {
	if d.Name != "" {
		return jsontext.AppendQuote(nil, d.Name)
	}
	return strconv.AppendInt(nil, d.Size, 10), nil
}

// UnmarshalJSON accepts a number of at least 0 or a string that is not empty.
func (d *Dim) UnmarshalJSON(b []byte) error {
	switch jsontext.Value(b).Kind() {
	case '"':
		name, err := jsontext.AppendUnquote(nil, b)
		if err != nil {
			return err
		}
		if len(name) == 0 {
			return errors.New("a dimension's name is empty, want a name or a number")
		}
		*d = Dim{Name: string(name)}
		return nil
	case '0':
		n, err := strconv.ParseInt(string(b), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("dimension %s, want a whole number of at least 0, or a name", clip(string(b)))
		}
		*d = Dim{Size: n}
		return nil
	}
	return fmt.Errorf("dimension %s, want a number or a name", clip(string(b)))
}

// GoldenCase is one recorded input and the output that the model must give.
type GoldenCase struct {
	Name      string               `json:"name"`
	Inputs    map[string]string    `json:"inputs"`  // input name -> artifact path (ONNX TensorProto .pb)
	Outputs   map[string]string    `json:"outputs"` // output name -> artifact path
	Tolerance Tolerance            `json:"tolerance"`
	Variants  map[string]Tolerance `json:"variants,omitempty"` // variant id -> its own tolerance
}

// Tolerance: |got-want| <= abs + rel*|want|, element by element, as numpy.allclose.
type Tolerance struct {
	Abs float64 `json:"abs"`
	Rel float64 `json:"rel"`
}

// QualityFigure is a figure from the training run's acceptance.
type QualityFigure struct {
	ID        string  `json:"id"` // "accuracy", "drift", "sanity_trading", …
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Direction string  `json:"direction"`        // "min": value must be at least threshold; "max": at most
	Passed    bool    `json:"passed"`           // must agree with value, threshold and direction
	Report    string  `json:"report,omitempty"` // artifact path
}

// Provenance says where the models come from.
type Provenance struct {
	TrainingRun    string `json:"training_run,omitempty"`
	DatasetSHA384  Digest `json:"dataset_sha384,omitzero"`
	SourceRevision string `json:"source_revision,omitempty"`
	Builder        string `json:"builder,omitempty"` // program and version that built the bundle
}

// ChecklistItem is a question that the OEM wants answered at sign-off.
type ChecklistItem struct {
	ID    string            `json:"id"`
	Stage string            `json:"stage"`          // "paper" or "live"
	Role  string            `json:"role,omitempty"` // who answers; "operator" when empty
	Text  map[string]string `json:"text"`           // language -> question; "en" is required, "pl" wished for
}
