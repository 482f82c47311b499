package inference

import (
	"context"
	"fmt"
	"time"

	"sluice/bundle"
	"sluice/inference/onnx"
	"sluice/internal/fault"
	"sluice/internal/progress"
)

// SecondOpinion is what another engine computes from the same golden inputs. An engine that cannot run the models has no
// opinion: that is no fault of the models.
type SecondOpinion struct {
	First    Opinion      `json:"first"`          // the engine that the models were proven with
	Second   Opinion      `json:"second"`         // the one that was asked
	Given    bool         `json:"given"`          // there is one; Agrees means nothing otherwise
	Agrees   bool         `json:"agrees"`         // every output lies within the contract's tolerance of the first engine's
	Cases    []CaseResult `json:"cases"`          // expected is what the first engine says, got what the second says
	Code     fault.Code   `json:"code,omitempty"` // why there is none, or that they disagree
	Reason   string       `json:"reason,omitempty"`
	Operator string       `json:"operator,omitempty"` // that the second engine lacks, where it names one
}

// Opinion names an engine that computed.
type Opinion struct {
	Engine        string `json:"engine"`
	EngineVersion string `json:"engine_version,omitempty"`
	LibrarySHA384 string `json:"library_sha384,omitempty"`
	Provider      string `json:"provider"`
}

func opinionOf(e EngineSpec) Opinion {
	o := Opinion{Engine: e.Kind, Provider: e.Provider}
	if o.Engine == "" {
		o.Engine = KindReference
	}
	if o.Provider == "" {
		o.Provider = ProviderCPU
	}
	if !e.LibrarySHA384.IsZero() {
		o.LibrarySHA384 = e.LibrarySHA384.String()
	}
	return o
}

// Err is nil when the engines agree or the second one has no opinion, else the refusal (fault.SecondOpinion).
func (s *SecondOpinion) Err() error {
	if s.Agrees || !s.Given {
		return nil
	}
	e := fault.New(fault.SecondOpinion, "%s", s.Reason).With("engine", s.First.Engine).With("other", s.Second.Engine)
	for _, c := range s.Cases {
		if !c.Passed {
			return e.With("case", c.Name).With("model", c.Model)
		}
	}
	return e
}

// Ask gives the golden inputs of a variant to job.Engine and to second, in one child process with the limits of a smoke test
// and twice its memory, and holds the answers against each other: within the contract's tolerance of the first. An error
// means that the question could not be put, or ctx ended.
func Ask(ctx context.Context, exe string, job Job, second EngineSpec, p progress.Func) (*SecondOpinion, error) {
	if job.Manifest == nil {
		return nil, fault.New(fault.Internal, "second opinion without a manifest")
	}
	t, err := newTask(job)
	if err != nil {
		return nil, err
	}
	ic := job.Manifest.InferenceContract
	second.MaxMemoryMiB = ic.MaxMemoryMiB
	t.Op, t.Second = opSecond, &second
	t.DataMiB += ic.MaxMemoryMiB
	timeout := job.Timeout
	if timeout <= 0 {
		timeout = t.timeout(ic.MaxLatencyMS)
	}
	events := newEvents(p, job.Variant, t.cases())
	defer events.end()
	rows := rows{most: t.cases()}
	end, err := runChild(ctx, exe, t, timeout, func(m message) { rows.message(m); events.message(m) })
	s := &SecondOpinion{First: opinionOf(t.Engine), Second: opinionOf(second), Cases: rows.done}
	if s.Cases == nil {
		s.Cases = []CaseResult{}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && (!end.outcome || fault.CodeOf(err).Exit() != fault.SecondOpinion.Exit()):
		return nil, err
	case err != nil:
		s.Code, s.Reason = fault.CodeOf(err), err.Error()
		s.Operator, _ = fault.DetailOf(err)["operator"].(string)
		return s, nil
	case end.message.Opinion == nil:
		return nil, fault.New(fault.Internal, "the inference process gave no opinion")
	}
	s.First.EngineVersion, s.Second.EngineVersion = end.message.Opinion.First.EngineVersion, end.message.Opinion.Second.EngineVersion
	s.judge(t.cases())
	return s, nil
}

func (s *SecondOpinion) judge(cases int) {
	s.Given, s.Agrees = true, cases > 0 && len(s.Cases) == cases
	if !s.Agrees {
		s.Code, s.Reason = fault.SecondOpinion, fmt.Sprintf("%d of %d golden cases were compared", len(s.Cases), cases)
	}
	for _, c := range s.Cases {
		if !c.Passed && s.Agrees {
			s.Agrees, s.Code = false, fault.SecondOpinion
			s.Reason = fmt.Sprintf("engine %q does not agree with engine %q: golden case %q of %q: %s", s.Second.Engine, s.First.Engine, c.Name, c.Model, c.Reason)
		}
	}
}

// ask is the child's side: both engines have the model open at the same time.
func (t *task) ask(ctx context.Context, send func(message) error) (*SecondOpinion, error) {
	if t.Second == nil {
		return nil, fault.New(fault.Internal, "no second engine")
	}
	done := 0
	for i := range t.Models {
		m := &t.Models[i]
		if err := send(message{Model: m.Artifact, Done: done}); err != nil {
			return nil, err
		}
		n, err := t.askModel(ctx, m, done, send)
		if err != nil {
			return nil, inModel(err, m.Artifact)
		}
		done += n
	}
	s := &SecondOpinion{First: opinionOf(t.Engine), Second: opinionOf(*t.Second)}
	s.First.EngineVersion, s.Second.EngineVersion = engineVersion(t.Engine), engineVersion(*t.Second)
	return s, nil
}

func (t *task) askModel(ctx context.Context, m *taskModel, done int, send func(message) error) (n int, err error) {
	model := ModelFile{Path: m.File.Path, External: map[string]string{}}
	if model.Bytes, err = readVerified(m.File, onnx.MaxBytes); err != nil {
		return 0, err
	}
	unchanged, err := m.verifyExternal(ctx, &model)
	if err != nil {
		return 0, err
	}
	first, err := OpenSession(ctx, t.Engine, model)
	if err != nil {
		return 0, err
	}
	defer first.Close()
	second, err := OpenSession(ctx, *t.Second, model)
	if err != nil {
		return 0, err
	}
	defer second.Close()
	for i := range m.Cases {
		c := &m.Cases[i]
		if err := send(message{Model: m.Artifact, Case: c.Name, Done: done + n}); err != nil {
			return n, err
		}
		in, _, err := c.read()
		if err != nil {
			return n, err
		}
		res := CaseResult{Model: m.Artifact, Name: c.Name, Tolerance: c.Tolerance, Passed: true}
		want, err := first.Run(ctx, in)
		if err != nil {
			return n, err
		}
		took := stopwatch()
		got, err := second.Run(ctx, in)
		if err != nil {
			return n, err
		}
		res.LatencyMS = float64(took()) / float64(time.Millisecond) // of this one call
		res.P95MS = res.LatencyMS
		res.judge(got, want, c.Tolerance, rank{})
		n++
		if err := send(message{Model: m.Artifact, Done: done + n, Row: &res}); err != nil {
			return n, err
		}
	}
	return n, unchanged()
}

// Other is the engine that can give a second opinion on what first computed: lib is the path of an allowed library with
// digest d, or empty. Errors: fault.EngineNeeded when there is none.
func Other(first EngineSpec, lib string, d bundle.Digest) (EngineSpec, error) {
	switch {
	case first.Kind == KindONNXRuntime:
		return EngineSpec{Kind: KindReference, Provider: ProviderCPU}, nil
	case lib == "":
		return EngineSpec{}, fault.New(fault.EngineNeeded, "there is no library of ONNX Runtime here that could be asked")
	}
	return EngineSpec{Kind: KindONNXRuntime, LibraryPath: lib, LibrarySHA384: d, Provider: ProviderCPU}, nil
}
