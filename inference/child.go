package inference

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"sluice/bundle"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
	"sluice/internal/child"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/sandbox"
)

// Verb is the hidden argument that makes the program a child of Smoke or Engines. The program then does nothing but
//
//	os.Exit(inference.ChildMain(os.Stdin, inference.ResultFile()))
//
// The protocol: one line of JSON on stdin is the job; the parent keeps stdin open and its end means that the parent is
// gone. Results are lines of JSON on file descriptor 3, on Windows on stdout (handles beyond the standard ones are not
// inherited there). Engines and the Go runtime write what they have to say to stderr.
const Verb = "__infer"

// maxTask and maxMessage limit what travels between parent and child, in bytes.
const (
	maxTask    = 32 << 20
	maxMessage = 16 << 20
	maxGolden  = 1 << 30 // one input or output file
)

// ResultFile is where a child writes its results.
func ResultFile() *os.File { return child.ResultFile() }

// ChildMain is the child's main function; it returns the process's exit status: 0 when a result was written.
func ChildMain(stdin io.Reader, result *os.File) int {
	if result == nil {
		return 2
	}
	sandbox.Files() // starts this program again where the kernel can confine it
	line := bufio.NewReaderSize(io.LimitReader(stdin, maxTask), 64<<10)
	raw, err := line.ReadBytes('\n')
	if err != nil {
		return 2
	}
	go func() { // the parent never writes more: the next thing read is its end
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(3)
	}()
	out := json.NewEncoder(result)
	send := func(m message) error { return out.Encode(m) }
	var t task
	if err := json.Unmarshal(raw, &t); err != nil {
		return 2
	}
	if err := applyLimits(t.DataMiB, t.CPUSeconds); err != nil {
		if send(message{Error: newFailure(fault.New(fault.Internal, "setting limits: %w", err))}) != nil {
			return 2
		}
		return 0
	}
	confined := sandbox.Calls()
	if send(message{Confinement: &confined}) != nil {
		return 2
	}
	m := t.execute(send)
	if send(m) != nil {
		return 2
	}
	return 0
}

func (t *task) execute(send func(message) error) (m message) {
	defer func() {
		if p := recover(); p != nil { // our own fault, but never a pass
			m = message{Error: newFailure(fault.New(fault.ModelCrash, "the engine gave up: %v", p))}
		}
	}()
	switch t.Op {
	case opProbe:
		info := probe(t.Engine)
		return message{Probe: &info}
	case opSmoke:
		r, err := t.smoke(context.Background(), send)
		if err != nil {
			return message{Error: newFailure(err)}
		}
		done := len(r.Cases)
		r.Cases = nil // the parent has each row already
		return message{Report: r, Done: done}
	case opSecond:
		s, err := t.ask(context.Background(), send)
		if err != nil {
			return message{Error: newFailure(err)}
		}
		return message{Opinion: s}
	}
	return message{Error: newFailure(fault.New(fault.Internal, "unknown operation %q", t.Op))}
}

func (t *task) smoke(ctx context.Context, send func(message) error) (*Report, error) {
	r := &Report{Engine: t.Engine.Kind, Provider: t.Engine.Provider, Threads: max(t.Engine.Threads, 1), Warmup: t.Warmup, Runs: t.Runs}
	if r.Engine == "" {
		r.Engine = KindReference
	}
	if r.Provider == "" {
		r.Provider = ProviderCPU
	}
	if !t.Engine.LibrarySHA384.IsZero() {
		r.LibrarySHA384 = t.Engine.LibrarySHA384.String()
	}
	if t.Engine.Kind == KindONNXRuntime { // the library is the engine's share, not the models'
		if _, err := loadLibrary(ctx, t.Engine); err != nil {
			return nil, err
		}
	}
	if err := send(message{Engine: engineVersion(t.Engine)}); err != nil { // known too of a run that ends badly
		return nil, err
	}
	before, _ := residentKiB()
	for i := range t.Models {
		samples, err := t.smokeModel(ctx, &t.Models[i], r, send)
		if err != nil {
			return nil, err
		}
		if med, p95 := quantiles(samples); med >= r.MedianMS {
			r.MedianMS, r.P95MS = med, p95
		}
	}
	if _, peak := residentKiB(); t.Engine.Kind == KindONNXRuntime && peak > before {
		r.PeakMiB = (peak - before + 1023) >> 10
	}
	return r, nil
}

// smokeModel runs one model's cases, adds their results to r and returns all latencies in milliseconds.
func (t *task) smokeModel(ctx context.Context, m *taskModel, r *Report, send func(message) error) ([]float64, error) {
	if err := send(message{Model: m.Artifact, Done: len(r.Cases)}); err != nil {
		return nil, err
	}
	model := ModelFile{Path: m.File.Path, External: map[string]string{}}
	var err error
	if model.Bytes, err = readVerified(m.File, onnx.MaxBytes); err != nil {
		return nil, err
	}
	unchanged, err := m.verifyExternal(ctx, &model)
	if err != nil {
		return nil, err
	}
	s, err := OpenSession(ctx, t.Engine, model)
	if err != nil {
		return nil, inModel(err, m.Artifact)
	}
	defer s.Close()
	if own, ok := s.(interface{ Peak() int64 }); ok { // the evaluator knows; the process also holds what was not collected yet
		defer func() { r.PeakMiB = max(r.PeakMiB, (own.Peak()+1<<20-1)>>20) }()
	}
	if own, ok := s.(interface{ Placement() map[string]int }); ok {
		r.Evidence = append(r.Evidence, Placement{Model: m.Artifact, Nodes: own.Placement()})
	}
	if err := checkSession(s, bundle.ModelContract{Inputs: m.Inputs, Outputs: m.Outputs}, t.Engine.Kind); err != nil {
		return nil, inModel(err, m.Artifact)
	}
	var samples []float64
	for i := range m.Cases {
		if err := send(message{Model: m.Artifact, Case: m.Cases[i].Name, Done: len(r.Cases)}); err != nil {
			return nil, err
		}
		c, ms, err := t.smokeCase(ctx, s, m, &m.Cases[i])
		if err != nil {
			return nil, inModel(err, m.Artifact)
		}
		r.Cases = append(r.Cases, c)
		samples = append(samples, ms...)
		if err := send(message{Model: m.Artifact, Done: len(r.Cases), Row: &c}); err != nil {
			return nil, err
		}
	}
	return samples, unchanged()
}

func inModel(err error, artifact string) error {
	return fault.New(fault.CodeOf(err), "model %q: %w", artifact, err).With("model", artifact)
}

// verifyExternal hashes the files that the model's external data lies in. The engine opens them again by itself, so the
// function it returns compares identity, size and time of each with what was hashed.
func (m *taskModel) verifyExternal(ctx context.Context, model *ModelFile) (func() error, error) {
	locations, err := externalLocations(model.Bytes)
	if err != nil {
		return nil, inModel(err, m.Artifact)
	}
	before := map[string]os.FileInfo{}
	for _, l := range locations {
		f, ok := m.External[l]
		if !ok {
			continue // OpenSession refuses it by name
		}
		fi, err := lstatRegular(f.Path)
		if err != nil {
			return nil, err
		}
		d, err := hashFile(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		if d != f.SHA384 {
			return nil, changed(f.Path)
		}
		before[f.Path] = fi
		model.External[l] = f.Path
	}
	return func() error {
		for p, fi := range before {
			now, err := os.Lstat(p)
			if err != nil {
				return fsx.Classify(err, "looking at", p)
			}
			if !os.SameFile(fi, now) || fi.Size() != now.Size() || !fi.ModTime().Equal(now.ModTime()) {
				return changed(p)
			}
		}
		return nil
	}, nil
}

// lstatRegular refuses links: an installed version has none, and a confined child could not follow one out of its folder.
func lstatRegular(path string) (os.FileInfo, error) {
	fi, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.SourceMissing, "file %q does not exist", path).With("path", path)
	}
	if err != nil {
		return nil, fsx.Classify(err, "looking at", path)
	}
	if !fi.Mode().IsRegular() {
		return nil, fault.New(fault.Path, "%q is a link or another thing that is no file", path).With("path", path)
	}
	return fi, nil
}

func changed(path string) error {
	return fault.New(fault.InstalledChanged, "file %q is not the one that the manifest names", path).With("path", path)
}

// readVerified reads a whole file and compares it with its digest; exactly these bytes are used.
func readVerified(f taskFile, limit int64) ([]byte, error) {
	if f.Size > limit {
		return nil, fault.New(fault.Limit, "file %q has %d bytes, want at most %d", f.Path, f.Size, limit).With("path", f.Path)
	}
	if _, err := lstatRegular(f.Path); err != nil {
		return nil, err
	}
	in, err := openRegular(f.Path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	buf := bytes.NewBuffer(make([]byte, 0, f.Size+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(in, f.Size+1)); err != nil {
		return nil, fsx.Classify(err, "reading", f.Path)
	}
	if bundle.Digest(sha512.Sum384(buf.Bytes())) != f.SHA384 {
		return nil, changed(f.Path)
	}
	return buf.Bytes(), nil
}

func (t *task) smokeCase(ctx context.Context, s Session, m *taskModel, c *taskCase) (CaseResult, []float64, error) {
	res := CaseResult{Model: m.Artifact, Name: c.Name, Tolerance: c.Tolerance, Passed: true}
	in, want, err := c.read()
	if err != nil {
		return res, nil, err
	}
	got, err := s.Run(ctx, in)
	if err != nil {
		return res, nil, fault.New(fault.CodeOf(err), "golden case %q: %w", c.Name, err).With("case", c.Name)
	}
	worst := res.judge(got, want, c.Tolerance, rank{})
	for range t.Warmup {
		if _, err := s.Run(ctx, in); err != nil {
			return res, nil, fault.New(fault.CodeOf(err), "golden case %q: %w", c.Name, err).With("case", c.Name)
		}
	}
	samples := make([]float64, 0, t.Runs)
	for range t.Runs {
		took := stopwatch()
		got, err := s.Run(ctx, in)
		samples = append(samples, float64(took())/float64(time.Millisecond))
		if err != nil {
			return res, nil, fault.New(fault.CodeOf(err), "golden case %q: %w", c.Name, err).With("case", c.Name)
		}
		if res.Passed { // an engine that answers differently the second time must not pass
			worst = res.judge(got, want, c.Tolerance, worst)
		}
	}
	res.LatencyMS, res.P95MS = quantiles(samples)
	return res, samples, nil
}

func (c *taskCase) read() (in, want map[string]tensor.Value, err error) {
	in, want = map[string]tensor.Value{}, map[string]tensor.Value{}
	parse := func(f taskFile, maps bool) (tensor.Value, error) {
		raw, err := readVerified(f, maxGolden)
		if err != nil {
			return tensor.Value{}, err
		}
		if maps {
			seq, _, err := onnx.ParseSequence(raw)
			if err != nil {
				return tensor.Value{}, err
			}
			return tensor.Value{Maps: seq}, nil
		}
		t, _, err := onnx.ParseTensor(raw)
		if err != nil {
			return tensor.Value{}, err
		}
		return tensor.Value{Tensor: t}, nil
	}
	for name, f := range c.Inputs {
		if in[name], err = parse(f, false); err != nil {
			return nil, nil, fault.New(fault.CodeOf(err), "golden case %q: input %q: %w", c.Name, name, err)
		}
	}
	for name, f := range c.Outputs {
		if want[name], err = parse(f.taskFile, f.Maps); err != nil {
			return nil, nil, fault.New(fault.CodeOf(err), "golden case %q: output %q: %w", c.Name, name, err)
		}
	}
	return in, want, nil
}

// judge compares every expected output; a case without one never passes. Called again, it keeps the worse of both answers.
func (r *CaseResult) judge(got, want map[string]tensor.Value, tol bundle.Tolerance, before rank) rank {
	names := slices.Sorted(maps.Keys(want))
	if len(names) == 0 {
		r.Passed, r.Reason = false, "the case expects no output"
	}
	worst, seen := before, r.Worst != nil
	elements, wrong := int64(0), int64(0)
	for _, name := range names {
		g, ok := got[name]
		c := otherForm(tensor.Value{}, want[name], "is missing")
		if ok {
			c = compare(g, want[name], tol)
		}
		elements, wrong = elements+c.elements, wrong+c.wrong
		r.NaN, r.Inf = r.NaN || c.nan, r.Inf || c.inf
		r.WorstAbs, r.WorstRel = max(r.WorstAbs, c.worstAbs), max(r.WorstRel, c.worstRel)
		if seen && !c.rank.worse(worst) {
			continue
		}
		worst, seen = c.rank, true
		c.worst.Output = name
		r.Worst, r.AtOutput, r.AtIndex = &c.worst, name, c.worst.Index
		if c.reason != "" {
			r.Passed = false
			r.Reason = fmt.Sprintf("output %q at %v: %s", name, c.worst.Index, c.reason)
			if c.worst.Index == nil {
				r.Reason = fmt.Sprintf("output %q %s", name, c.reason)
			}
		}
	}
	r.Elements, r.Wrong = elements, max(r.Wrong, wrong)
	return worst
}

// quantiles gives median and 95th percentile (nearest rank).
func quantiles(samples []float64) (median, p95 float64) {
	if len(samples) == 0 {
		return 0, 0
	}
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	median = s[n/2]
	if n%2 == 0 {
		median = (s[n/2-1] + s[n/2]) / 2
	}
	return median, s[(n*95+99)/100-1]
}

// probeModel is a model of one node, y = x + x, for trying an engine.
func probeModel() []byte {
	return onnx.Marshal(&onnx.Model{IRVersion: 8, Opsets: []onnx.Opset{{Version: 13}}, Graph: &onnx.Graph{
		Name:    "probe",
		Nodes:   []*onnx.Node{{OpType: "Add", Inputs: []string{"x", "x"}, Outputs: []string{"y"}}},
		Inputs:  []onnx.ValueInfo{onnx.TensorInfo("x", tensor.Float32, 1)},
		Outputs: []onnx.ValueInfo{onnx.TensorInfo("y", tensor.Float32, 1)},
	}})
}

// probe loads the engine and computes one number on each provider it claims.
func probe(spec EngineSpec) EngineInfo {
	info := EngineInfo{Name: spec.Kind, Path: spec.LibraryPath, LibrarySHA384: spec.LibrarySHA384.String(), Providers: []string{}}
	lib, err := loadLibrary(context.Background(), spec)
	if err != nil {
		info.Reason, info.Code = err.Error(), string(fault.CodeOf(err))
		return info
	}
	info.Version = lib.Version()
	for _, p := range []string{ProviderCPU, ProviderCUDA} {
		if !slices.Contains(lib.Providers(), p) {
			continue
		}
		spec.Provider = p
		if err := tryEngine(spec); err != nil {
			info.Reason, info.Code = err.Error(), string(fault.CodeOf(err))
			continue
		}
		info.Providers = append(info.Providers, p)
	}
	info.Usable = slices.Contains(info.Providers, ProviderCPU)
	if !info.Usable && info.Reason == "" {
		info.Reason, info.Code = "the library has no CPU provider", string(fault.EngineLoad)
	}
	return info
}

func tryEngine(spec EngineSpec) error {
	s, err := OpenSession(context.Background(), spec, ModelFile{Bytes: probeModel()})
	if err != nil {
		return err
	}
	defer s.Close()
	x := tensor.Value{Tensor: &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1}, Raw: []byte{0, 0, 0x80, 0x3f}}}
	got, err := s.Run(context.Background(), map[string]tensor.Value{"x": x})
	if err != nil {
		return err
	}
	if y := got["y"].Tensor; y == nil || !bytes.Equal(y.Raw, []byte{0, 0, 0, 0x40}) {
		return errors.New("the engine computes 1 + 1 wrongly")
	}
	return nil
}
