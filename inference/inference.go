// Package inference runs a bundle's models: it chooses and loads engines, proves golden cases in a child process with
// limits, and compares a model's own signature with its contract. Which bytes may be believed at all, and whether a
// proven model may trade, is decided elsewhere.
package inference

import (
	"context"
	"time"

	"sluice/bundle"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/sandbox"
)

// Session is a loaded model. Run may not be called concurrently; Close is called once, after the last Run.
type Session interface {
	Signature() (in, out []tensor.Info, err error)
	Run(ctx context.Context, inputs map[string]tensor.Value) (map[string]tensor.Value, error)
	Close() error
}

// Engine kinds.
const (
	KindReference   = bundle.EngineReference
	KindONNXRuntime = bundle.EngineONNXRuntime
)

// ProviderCPU and ProviderCUDA are the execution providers that can be asked for; others are refused by name.
const (
	ProviderCPU  = "cpu"
	ProviderCUDA = "cuda"
)

// EngineSpec says how to run a model. The zero value is the reference evaluator.
type EngineSpec struct {
	Kind          string        `json:"kind"`                     // "reference" (or empty), "onnxruntime"
	LibraryPath   string        `json:"library_path,omitempty"`   // absolute; onnxruntime only
	LibrarySHA384 bundle.Digest `json:"library_sha384,omitzero"`  // compared with the file right before it is loaded
	Provider      string        `json:"provider,omitempty"`       // "" is "cpu"
	Threads       int           `json:"threads,omitempty"`        // 0 is 1
	MaxMemoryMiB  int64         `json:"max_memory_mib,omitempty"` // limit of the reference evaluator's own tensors; 0 is 512
}

// ModelFile is one ONNX model. Bytes have been compared with their digest by the caller; Path tells where external data
// lies, and is needed only for models that have such.
type ModelFile struct {
	Bytes []byte
	Path  string
	// External are the files that the model may refer to, by the name used in the model. A location that is not a key here
	// is refused. The values are absolute paths.
	External map[string]string
}

// EngineInfo is what is known about one engine on this machine.
type EngineInfo struct {
	Name          string   `json:"name"` // "reference", "onnxruntime"
	Version       string   `json:"version,omitempty"`
	LibrarySHA384 string   `json:"library_sha384,omitempty"`
	Path          string   `json:"path,omitempty"`
	Providers     []string `json:"providers"` // those compiled in, lower case: "cpu", "cuda", …; not proof that they work
	Usable        bool     `json:"usable"`    // it really loaded, in a child process
	Reason        string   `json:"reason,omitempty"`
	Code          string   `json:"code,omitempty"` // of the refusal
}

// Job is a smoke test to run.
type Job struct {
	Dir      string           // absolute; holds artifacts/
	Manifest *bundle.Manifest // an authentic one
	Variant  string           // variant id
	Engine   EngineSpec       // from Choose
	Warmup   int              // calls per case before timing; 0 is 3
	Runs     int              // timed calls per case; 0 is 20
	Timeout  time.Duration    // of the whole child; 0 derives it from sizes and latency limit
}

// CaseResult is the outcome of one golden case.
type CaseResult struct {
	Model     string  `json:"model"` // artifact path
	Name      string  `json:"name"`
	WorstAbs  float64 `json:"worst_abs"` // largest |got-want| over all outputs
	WorstRel  float64 `json:"worst_rel"` // largest |got-want|/|want| where want is not 0
	AtOutput  string  `json:"at_output,omitempty"`
	AtIndex   []int64 `json:"at_index,omitempty"` // where the worst (or first wrong) element is
	NaN       bool    `json:"nan"`                // a NaN where the expected output has none
	Passed    bool    `json:"passed"`
	LatencyMS float64 `json:"latency_ms"` // median of this case
	Reason    string  `json:"reason,omitempty"`
}

// Report is the outcome of a smoke test. Passed is true only when every case passed and every limit was kept.
type Report struct {
	Engine        string       `json:"engine"`
	EngineVersion string       `json:"engine_version,omitempty"`
	LibrarySHA384 string       `json:"library_sha384,omitempty"`
	Provider      string       `json:"provider"`
	Threads       int          `json:"threads"`
	Cases         []CaseResult `json:"cases"`
	MedianMS      float64      `json:"median_ms"` // of the slowest model of the variant
	P95MS         float64      `json:"p95_ms"`
	LimitMS       float64      `json:"limit_ms"`
	PeakMiB       int64        `json:"peak_mib"`  // what the models took at most, see docs/engines.md; 0 when unknown
	LimitMiB      int64        `json:"limit_mib"` // the contract's max_memory_mib
	Passed        bool         `json:"passed"`
	Reason        string       `json:"reason,omitempty"` // when not passed
	Code          fault.Code   `json:"code,omitempty"`   // when not passed

	Stderr      string       `json:"stderr,omitempty"`      // when not passed: the last thing that engine or child said there
	Confinement *Confinement `json:"confinement,omitempty"` // what kept the child in, see docs/security.md; nil when it never said
}

// Confinement is what was in force around the child while engine and models ran. It is evidence and decides nothing.
type Confinement = sandbox.State
