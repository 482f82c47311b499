package inference

import (
	"path/filepath"
	"strings"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/sandbox"
)

// Defaults and limits of a smoke test.
const (
	defaultWarmup   = 3
	defaultRuns     = 20
	maxRuns         = 10_000
	memoryAllowance = 256 // MiB above max_memory_mib that the system lets the child have: the program itself and the engine's library
	heapAllowance   = 64  // MiB above max_memory_mib at which the child's garbage collector hurries
	baseTimeout     = 60 * time.Second
	readRate        = 20 << 20 // bytes a second that slow disks still give
	maxTimeout      = 30 * time.Minute
)

// Operations of a child.
const (
	opSmoke  = "smoke"
	opProbe  = "probe"
	opSecond = "second"
)

// task is what the parent writes to the child's stdin: one line of JSON.
type task struct {
	Op         string      `json:"op"`
	Engine     EngineSpec  `json:"engine"`
	Second     *EngineSpec `json:"second,omitempty"` // opSecond: the engine that is asked
	Models     []taskModel `json:"models,omitempty"`
	Warmup     int         `json:"warmup,omitempty"`
	Runs       int         `json:"runs,omitempty"`
	DataMiB    int64       `json:"data_mib"`    // limit of private memory
	CPUSeconds int64       `json:"cpu_seconds"` // limit of processor time

	dir string // that holds all files of Models; the parent's
}

type taskFile struct {
	Path   string        `json:"path"` // absolute
	Size   int64         `json:"size"`
	SHA384 bundle.Digest `json:"sha384"`
}

type taskModel struct {
	Artifact string              `json:"artifact"` // bundle path, for reports
	File     taskFile            `json:"file"`
	External map[string]taskFile `json:"external,omitempty"` // by location
	Inputs   []bundle.TensorSpec `json:"inputs"`             // of the contract
	Outputs  []bundle.TensorSpec `json:"outputs"`            // of the contract
	Cases    []taskCase          `json:"cases"`
}

type taskCase struct {
	Name      string                `json:"name"`
	Inputs    map[string]taskFile   `json:"inputs"`
	Outputs   map[string]taskOutput `json:"outputs"`
	Tolerance bundle.Tolerance      `json:"tolerance"`
}

type taskOutput struct {
	taskFile
	Maps bool `json:"maps,omitempty"` // the file is a SequenceProto of maps, not a TensorProto
}

// newTask takes from the manifest what the child needs to know, with absolute paths and digests.
func newTask(job Job) (*task, error) {
	v := job.Manifest.Variant(job.Variant)
	if v == nil {
		return nil, fault.New(fault.VariantUnknown, "no variant %q", job.Variant).With("variant", job.Variant)
	}
	if !filepath.IsAbs(job.Dir) {
		return nil, fault.New(fault.Internal, "folder %q is not absolute", job.Dir)
	}
	if job.Runs < 0 || job.Runs > maxRuns || job.Warmup < 0 || job.Warmup > maxRuns {
		return nil, fault.New(fault.Usage, "%d warm-up and %d timed runs, want at most %d", job.Warmup, job.Runs, maxRuns)
	}
	t := &task{Op: opSmoke, Engine: job.Engine, Warmup: job.Warmup, Runs: job.Runs, dir: job.Dir}
	if t.Warmup == 0 {
		t.Warmup = defaultWarmup
	}
	if t.Runs == 0 {
		t.Runs = defaultRuns
	}
	ic := job.Manifest.InferenceContract
	t.DataMiB = ic.MaxMemoryMiB + memoryAllowance
	t.Engine.MaxMemoryMiB = ic.MaxMemoryMiB
	own, err := job.Manifest.ModelPath(job.Variant)
	if err != nil {
		return nil, err
	}
	models := []struct {
		path     string
		contract bundle.ModelContract
	}{{own, ic.Model()}}
	for _, c := range ic.Companions {
		if lists(v, c.Artifact) {
			models = append(models, struct {
				path     string
				contract bundle.ModelContract
			}{c.Artifact, c.Model()})
		}
	}
	for _, m := range models {
		tm, err := newTaskModel(job, v, m.path, m.contract)
		if err != nil {
			return nil, err
		}
		t.Models = append(t.Models, tm)
	}
	return t, nil
}

func lists(v *bundle.Variant, path string) bool {
	for _, p := range v.Artifacts {
		if p == path {
			return true
		}
	}
	return false
}

func newTaskModel(job Job, v *bundle.Variant, path string, c bundle.ModelContract) (taskModel, error) {
	file := func(p string) (taskFile, error) {
		a := job.Manifest.Artifact(p)
		if a == nil {
			return taskFile{}, fault.New(fault.ManifestInvalid, "%q is not an artifact of this bundle", p).With("path", p)
		}
		return taskFile{Path: filepath.Join(job.Dir, filepath.FromSlash(p)), Size: a.Size, SHA384: a.SHA384}, nil
	}
	tm := taskModel{Artifact: path, External: map[string]taskFile{}, Inputs: c.Inputs, Outputs: c.Outputs}
	var err error
	if tm.File, err = file(path); err != nil {
		return taskModel{}, err
	}
	for location, p := range externalFiles(path, v.Artifacts) {
		if tm.External[location], err = file(p); err != nil {
			return taskModel{}, err
		}
	}
	maps := map[string]bool{}
	for _, o := range c.Outputs {
		maps[o.Name] = strings.HasPrefix(o.DType, "sequence(")
	}
	for _, g := range c.Golden {
		tc := taskCase{Name: g.Name, Inputs: map[string]taskFile{}, Outputs: map[string]taskOutput{}, Tolerance: g.Tolerance}
		if own, ok := g.Variants[v.ID]; ok {
			tc.Tolerance = own
		}
		for name, p := range g.Inputs {
			if tc.Inputs[name], err = file(p); err != nil {
				return taskModel{}, err
			}
		}
		for name, p := range g.Outputs {
			f, err := file(p)
			if err != nil {
				return taskModel{}, err
			}
			tc.Outputs[name] = taskOutput{taskFile: f, Maps: maps[name]}
		}
		tm.Cases = append(tm.Cases, tc)
	}
	return tm, nil
}

// timeout allows for reading all files from a slow disk and for every call to take ten times what it may.
func (t *task) timeout(maxLatencyMS float64) time.Duration {
	bytes, cases := int64(0), 0
	for _, m := range t.Models {
		bytes += m.File.Size
		cases += len(m.Cases)
		for _, e := range m.External {
			bytes += e.Size
		}
	}
	call := time.Duration(min(10*maxLatencyMS, 1e6) * float64(time.Millisecond))
	d := baseTimeout + time.Duration(bytes/readRate)*time.Second
	calls := time.Duration(cases * (1 + t.Warmup + t.Runs))
	if call > 0 && calls > (maxTimeout-d)/call {
		return maxTimeout
	}
	return min(d+calls*call, maxTimeout)
}

// heapMiB is a soft limit for the child's Go heap: garbage must not bring it to its hard limit, and should not count as what the models need.
func (t *task) heapMiB() int64 {
	if t.Op != opProbe {
		return t.Engine.MaxMemoryMiB + heapAllowance
	}
	return t.DataMiB * 3 / 4
}

func (t *task) cases() int {
	n := 0
	for _, m := range t.Models {
		n += len(m.Cases)
	}
	return n
}

// policy is what the child may do beyond the least: read the installed version and the engine's folder, and use an accelerator
// when that is what is to be proven. A probe runs no model but our own.
func (t *task) policy() sandbox.Policy {
	p := sandbox.Policy{Devices: t.Engine.Provider == ProviderCUDA || t.Op == opProbe}
	if t.dir != "" {
		p.Read = append(p.Read, t.dir)
	}
	for _, e := range []*EngineSpec{&t.Engine, t.Second} {
		if e != nil && e.LibraryPath != "" {
			p.Read = append(p.Read, filepath.Dir(e.LibraryPath))
		}
	}
	return p
}

// message is one line of JSON that the child writes to its result file: how it is confined, a case begun, or the end.
type message struct {
	Confinement *Confinement `json:"confinement,omitempty"`
	Engine      string       `json:"engine,omitempty"` // version of the engine, once it is loaded

	Model   string         `json:"model,omitempty"` // with Case: begun now
	Case    string         `json:"case,omitempty"`
	Done    int            `json:"done,omitempty"` // cases finished so far
	Row     *CaseResult    `json:"row,omitempty"`  // the case that was finished last
	Report  *Report        `json:"report,omitempty"`
	Probe   *EngineInfo    `json:"probe,omitempty"`
	Opinion *SecondOpinion `json:"opinion,omitempty"`
	Error   *failure       `json:"error,omitempty"`
}

// failure carries an error from child to parent.
type failure struct {
	Code   fault.Code     `json:"code"`
	Text   string         `json:"text"`
	Detail map[string]any `json:"detail,omitempty"`
}

func newFailure(err error) *failure {
	return &failure{Code: fault.CodeOf(err), Text: err.Error(), Detail: fault.DetailOf(err)}
}

func (f *failure) error() error {
	e := fault.New(f.Code, "%s", f.Text)
	for k, v := range f.Detail {
		e = e.With(k, v)
	}
	return e
}
