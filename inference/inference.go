// Package inference runs a bundle's models: it chooses and loads engines, proves golden cases in a child process with
// limits, and compares a model's own signature with its contract. Which bytes may be believed at all, and whether a
// proven model may trade, is decided elsewhere.
package inference

import (
	"context"
	"math"
	"time"

	"sluice/bundle"
	"sluice/inference/tensor"
	"sluice/internal/fault"
	"sluice/internal/sandbox"
)

// Session is a loaded model. Run may not be called concurrently; Close is called once, after the last Run. Signature is the
// model's own, as the engine read it.
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

// CaseResult is the outcome of one golden case: a row of the proof.
type CaseResult struct {
	Model     string           `json:"model"` // artifact path
	Name      string           `json:"name"`
	WorstAbs  float64          `json:"worst_abs"` // largest |got-want| over all outputs; the largest finite number stands for an infinite one
	WorstRel  float64          `json:"worst_rel"` // largest |got-want|/|want| where want is not 0
	AtOutput  string           `json:"at_output,omitempty"`
	AtIndex   []int64          `json:"at_index,omitempty"` // where the worst element is, as in Worst
	NaN       bool             `json:"nan"`                // a NaN where the expected output has none
	Inf       bool             `json:"inf"`                // an infinity where the expected output has none
	Tolerance bundle.Tolerance `json:"tolerance"`          // the one that counted for this variant
	Elements  int64            `json:"elements"`           // compared, over all outputs
	Wrong     int64            `json:"wrong"`              // outside the tolerance
	Worst     *Element         `json:"worst,omitempty"`    // nil when the case gave no output
	Passed    bool             `json:"passed"`
	LatencyMS float64          `json:"latency_ms"` // median of this case after the warm-up
	P95MS     float64          `json:"p95_ms"`
	Reason    string           `json:"reason,omitempty"`
}

// Element is the worst element of a case, measured against its tolerance: the one that leaves it farthest behind or, in a
// case that passed, comes closest to it. Where type, shape or kind of an output differ, there is no index and no value.
type Element struct {
	Output   string  `json:"output"`
	Index    []int64 `json:"index,omitempty"` // of a map: its place in the sequence
	Expected Sample  `json:"expected"`
	Got      Sample  `json:"got"`
	Diff     float64 `json:"diff"`    // |got-expected|, 0 where it is no number
	Allowed  float64 `json:"allowed"` // abs + rel*|expected|, 0 where it is no number
}

// Sample is one value of an output, with type and shape of the whole.
type Sample struct {
	DType string  `json:"dtype,omitempty"` // as in a contract; empty when the output is missing
	Shape []int64 `json:"shape"`
	Value string  `json:"value,omitempty"` // as Go writes it: "NaN", "+Inf", "0.25", "true", "\"text\""
}

// Report is the outcome of a smoke test. Passed is true only when every case passed and every limit was kept. Cases holds
// what was finished, also of a run that ended badly; the case it ended in is then the last one.
type Report struct {
	Engine        string       `json:"engine"`
	EngineVersion string       `json:"engine_version,omitempty"`
	LibrarySHA384 string       `json:"library_sha384,omitempty"`
	Provider      string       `json:"provider"`
	Evidence      []Placement  `json:"evidence,omitempty"` // where the engine says that it ran each model
	Threads       int          `json:"threads"`
	Warmup        int          `json:"warmup"` // calls per case before timing
	Runs          int          `json:"runs"`   // timed calls per case
	Cases         []CaseResult `json:"cases"`
	MedianMS      float64      `json:"median_ms"` // of the slowest model of the variant
	P95MS         float64      `json:"p95_ms"`
	LimitMS       float64      `json:"limit_ms"`
	PeakMiB       int64        `json:"peak_mib"`  // what the models took at most, see docs/engines.md; 0 when unknown
	LimitMiB      int64        `json:"limit_mib"` // the contract's max_memory_mib
	Passed        bool         `json:"passed"`
	Reason        string       `json:"reason,omitempty"` // when not passed
	Code          fault.Code   `json:"code,omitempty"`   // when not passed
	// Detail are the facts of a refusal by name, such as "output" or "operator".
	Detail map[string]any `json:"detail,omitempty"`

	Stderr      string       `json:"stderr,omitempty"`      // when not passed: the last thing that engine or child said there
	Confinement *Confinement `json:"confinement,omitempty"` // what kept the child in, see docs/security.md; nil when it never said
}

// Placement is what an engine itself says about where a model runs. It does not come from what was asked for, so a silent
// fallback to the CPU shows.
type Placement struct {
	Model string         `json:"model"` // artifact path
	Nodes map[string]int `json:"nodes"` // operators of the model as the engine optimized it, by execution provider; nil when it did not say
}

// Confinement is what was in force around the child while engine and models ran. It is evidence and decides nothing.
type Confinement = sandbox.State

// WorstCase is the row that says most: the first that failed, else the one whose worst element comes closest to its
// tolerance. nil without rows.
func (r *Report) WorstCase() *CaseResult {
	var worst *CaseResult
	most := -1.0
	for i := range r.Cases {
		c := &r.Cases[i]
		if !c.Passed {
			return c
		}
		if share := c.Worst.share(); share > most {
			worst, most = c, share
		}
	}
	return worst
}

// share is how much of what is allowed a difference takes: above 1 is too much.
func (e *Element) share() float64 {
	switch {
	case e == nil || e.Diff == 0:
		return 0
	case e.Allowed == 0:
		return math.MaxFloat64
	}
	return e.Diff / e.Allowed
}
