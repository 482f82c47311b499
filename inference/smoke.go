package inference

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/inference/reference"
	"sluice/internal/child"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/internal/progress"
)

// maxStderr is how much of a child's stderr is kept, in bytes.
const maxStderr = 64 << 10

// Smoke proves a variant's golden cases, and those of the companions it lists, in a child process of the program exe, with
// limits of memory, processor time and time. A model that fails, hangs, crashes or takes too much is a report with
// Passed false, its code and reason; an error means that the test could not be made, or ctx ended.
// Report codes: fault.SmokeFailed (a case or the latency limit), fault.ModelLimit, fault.ModelCrash, fault.ModelInvalid,
// fault.Contract, fault.Engine…
func Smoke(ctx context.Context, exe string, job Job, p progress.Func) (*Report, error) {
	if job.Manifest == nil {
		return nil, fault.New(fault.Internal, "smoke test without a manifest")
	}
	t, err := newTask(job)
	if err != nil {
		return nil, err
	}
	ic := job.Manifest.InferenceContract
	timeout := job.Timeout
	if timeout <= 0 {
		timeout = t.timeout(ic.MaxLatencyMS)
	}
	events := newEvents(p, job.Variant, t.cases())
	defer events.end()
	rows := rows{most: t.cases()}
	end, err := runChild(ctx, exe, t, timeout, func(m message) { rows.message(m); events.message(m) })
	r := &Report{Engine: t.Engine.Kind, Provider: t.Engine.Provider, Threads: max(t.Engine.Threads, 1), Warmup: t.Warmup, Runs: t.Runs}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && end.outcome:
		r.Code, r.Reason, r.Detail = fault.CodeOf(err), err.Error(), fault.DetailOf(err)
		r.Stderr, _ = fault.DetailOf(err)["stderr"].(string)
	case err != nil:
		return nil, err
	case end.message.Report == nil:
		return nil, fault.New(fault.Internal, "the inference process gave no report")
	default:
		r = end.message.Report
	}
	r.Cases, r.EngineVersion = rows.ended(r), rows.engine
	if r.Engine == "" {
		r.Engine = KindReference
	}
	if r.LibrarySHA384 == "" && !t.Engine.LibrarySHA384.IsZero() {
		r.LibrarySHA384 = t.Engine.LibrarySHA384.String()
	}
	r.Confinement = end.confinement
	r.LimitMS, r.LimitMiB = ic.MaxLatencyMS, ic.MaxMemoryMiB
	if r.Code == "" {
		r.judge(t.cases())
	}
	return r, nil
}

// judge decides whether a finished run passed.
func (r *Report) judge(cases int) {
	r.Passed = false
	for _, c := range r.Cases {
		if !c.Passed {
			r.Code, r.Reason = fault.SmokeFailed, fmt.Sprintf("golden case %q of %q: %s", c.Name, c.Model, c.Reason)
			return
		}
	}
	switch {
	case cases == 0 || len(r.Cases) != cases:
		r.Code, r.Reason = fault.SmokeFailed, fmt.Sprintf("%d of %d golden cases were run", len(r.Cases), cases)
	case r.LimitMS > 0 && r.MedianMS > r.LimitMS:
		r.Code, r.Reason = fault.SmokeFailed, fmt.Sprintf("too slow: the median call takes %.3g ms, the contract allows %g ms", r.MedianMS, r.LimitMS)
	case r.PeakMiB > r.LimitMiB:
		r.Code, r.Reason = fault.ModelLimit, fmt.Sprintf("too much memory: the models take %d MiB at the peak, the contract allows %d MiB", r.PeakMiB, r.LimitMiB)
	default:
		r.Passed = true
	}
}

// Err is nil when the test passed, else the refusal.
func (r *Report) Err() error {
	if r.Passed {
		return nil
	}
	e := fault.New(r.Code, "%s", r.Reason)
	for k, v := range r.Detail {
		e = e.With(k, v)
	}
	e = e.With("engine", r.Engine).With("provider", r.Provider)
	if r.Code == fault.SmokeFailed && len(r.Cases) > 0 {
		e = e.With("median_ms", r.MedianMS).With("limit_ms", r.LimitMS)
	}
	return e
}

// EngineOptions say which engines to try.
type EngineOptions struct {
	Exe    string     // program that answers Verb; ONNX Runtime is loaded in a child of it
	Engine EngineSpec // of kind onnxruntime, from FindLibrary or CopyLibrary; the zero value tries only the reference evaluator
}

// probeTimeout, probeDataMiB limit the child that tries a library. CUDA maps a lot of memory.
const (
	probeTimeout = 60 * time.Second
	probeDataMiB = 16 << 10
)

// Engines gives the engines of this machine: those that really load and compute, and the others with the reason.
func Engines(ctx context.Context, o EngineOptions) []EngineInfo {
	out := []EngineInfo{{Name: KindReference, Version: reference.Version, Providers: []string{ProviderCPU}, Usable: true}}
	if o.Engine.LibraryPath == "" {
		return append(out, EngineInfo{Name: KindONNXRuntime, Providers: []string{}, Code: string(fault.EngineNeeded), Reason: "there is no library of ONNX Runtime here"})
	}
	o.Engine.Kind = KindONNXRuntime
	t := &task{Op: opProbe, Engine: o.Engine, DataMiB: probeDataMiB}
	end, err := runChild(ctx, o.Exe, t, probeTimeout, nil)
	if err == nil && end.message.Probe != nil {
		return append(out, *end.message.Probe)
	}
	if err == nil {
		err = fault.New(fault.Internal, "the inference process gave no result")
	}
	return append(out, EngineInfo{Name: KindONNXRuntime, Path: o.Engine.LibraryPath, LibrarySHA384: o.Engine.LibrarySHA384.String(),
		Providers: []string{}, Reason: err.Error(), Code: string(fault.CodeOf(err))})
}

// rows collects the finished cases from a child's messages, so that none is lost when it ends badly.
type rows struct {
	most   int
	done   []CaseResult
	begun  message // the case at work
	engine string  // version of what was loaded
}

func (w *rows) message(m message) {
	switch {
	case m.Engine != "":
		w.engine = m.Engine
	case m.Row != nil && len(w.done) < w.most:
		w.done, w.begun = append(w.done, *m.Row), message{}
	case m.Case != "":
		w.begun = m
	}
}

// ended gives all rows, at the end the case that the run ended in.
func (w *rows) ended(r *Report) []CaseResult {
	if r.Code != "" && w.begun.Case != "" && len(w.done) < w.most {
		w.done = append(w.done, CaseResult{Model: w.begun.Model, Name: w.begun.Case, Reason: r.Reason})
	}
	if w.done == nil {
		return []CaseResult{}
	}
	return w.done
}

// events turns a child's messages into progress: done and total are golden cases.
type events struct {
	p     progress.Func
	event progress.Event
	last  time.Time
}

func newEvents(p progress.Func, variant string, total int) *events {
	return &events{p: p, event: progress.Event{Step: progress.Smoke, Variant: variant, Total: int64(total)}}
}

func (e *events) message(m message) {
	if m.Engine != "" {
		return
	}
	e.event.Done, e.event.Artifact = int64(m.Done), m.Model
	if now := time.Now(); e.p != nil && now.Sub(e.last) >= 100*time.Millisecond {
		e.last = now
		e.p(e.event)
	}
}

func (e *events) end() {
	if e.p != nil {
		e.event.Final, e.event.Artifact = true, ""
		e.p(e.event)
	}
}

// ending is how a child ended. With outcome true, the error beside it tells about the model or the engine, not about us.
type ending struct {
	message     message
	outcome     bool
	confinement *Confinement
}

// runChild starts the child, gives it the task and waits for its end; the deadline, and ctx's end, kill its whole group.
func runChild(ctx context.Context, exe string, t *task, timeout time.Duration, on func(message)) (ending, error) {
	if t.CPUSeconds == 0 { // the clock comes first; this is for when the parent is no more
		t.CPUSeconds = int64(timeout/time.Second+10) * int64(max(t.Engine.Threads, runtime.NumCPU()))
	}
	job, err := json.Marshal(t)
	if err != nil || len(job) >= maxTask {
		return ending{}, fault.New(fault.Internal, "the inference job cannot be written (%d bytes): %w", len(job), err)
	}
	cmd := exec.Command(exe, Verb)
	cmd.Env = append(childEnv(os.Environ(), t.heapMiB()), t.policy().Environ())
	cmd.WaitDelay = 2 * time.Second
	var stderr cappedBuffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return ending{}, fault.New(fault.Internal, "starting the inference process: %w", err)
	}
	defer stdin.Close()
	c, err := child.Start(cmd)
	if err != nil {
		return ending{}, fault.New(fault.Internal, "starting the inference process %q: %w", exe, err)
	}
	defer c.Release()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	done := make(chan struct{})
	timedOut := false
	var killer sync.WaitGroup
	killer.Go(func() {
		select {
		case <-done:
			return
		case <-timer.C:
			timedOut = true
		case <-ctx.Done():
		}
		c.Kill()
	})
	_, _ = stdin.Write(append(job, '\n')) // an error here means that the child has ended; how is seen below
	var confined *Confinement
	last, final := readMessages(c.Results, func(m message) {
		if m.Confinement != nil {
			confined = m.Confinement
		} else if on != nil {
			on(m)
		}
	})
	err = cmd.Wait()
	close(done)
	killer.Wait()
	end, err := judgeEnd(ctx, cmd, err, last, final, timedOut, timeout, t, stderr.String())
	end.confinement = confined
	return end, err
}

// readMessages reads until the final message, nonsense, or the end.
func readMessages(r io.Reader, on func(message)) (last message, final *message) {
	s := bufio.NewScanner(io.LimitReader(r, 4*maxMessage))
	s.Buffer(nil, maxMessage)
	for s.Scan() {
		var m message
		if json.Unmarshal(s.Bytes(), &m) != nil {
			return last, nil
		}
		if m.Report != nil || m.Probe != nil || m.Opinion != nil || m.Error != nil {
			return m, &m
		}
		last = m
		on(m)
	}
	return last, nil
}

func judgeEnd(ctx context.Context, cmd *exec.Cmd, waitErr error, last message, final *message, timedOut bool, timeout time.Duration, t *task, stderr string) (ending, error) {
	where := ""
	if last.Model != "" && final == nil {
		where = fmt.Sprintf(" in model %q", last.Model)
		if last.Case != "" {
			where += fmt.Sprintf(", golden case %q", last.Case)
		}
	}
	said := lastLine(stderr)
	fail := func(code fault.Code, format string, args ...any) (ending, error) {
		e := fault.New(code, format, args...)
		if said != "" {
			e = e.With("stderr", said)
		}
		return ending{outcome: true}, e
	}
	switch {
	case ctx.Err() != nil:
		return ending{}, ctx.Err()
	case timedOut:
		return fail(fault.ModelLimit, "stopped after %v%s: it hangs or is far too slow", timeout.Round(time.Millisecond), where)
	case final != nil && final.Error != nil && waitErr == nil:
		e := final.Error
		if e.Code == fault.Internal || e.Code == fault.IO {
			return ending{}, e.error()
		}
		return ending{outcome: true}, e.error()
	case final != nil && waitErr == nil:
		return ending{message: *final}, nil
	case outOfMemoryText(stderr):
		return fail(fault.ModelLimit, "out of memory%s: the process may take %d MiB", where, t.DataMiB)
	case final == nil && cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 2 && last.Model == "" && said == "":
		return ending{}, fault.New(fault.Internal, "the inference process %q did not understand its job", cmd.Path)
	}
	how := "ended without a result"
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		how = exit.ProcessState.String()
	}
	if killedBySystem(cmd.ProcessState) && final == nil {
		return fail(fault.ModelLimit, "ended by the system%s: most likely for memory or processor time (%s)", where, how)
	}
	return fail(fault.ModelCrash, "the inference process crashed%s (%s)", where, how)
}

func outOfMemoryText(s string) bool {
	for _, t := range []string{"fatal error: runtime: out of memory", "runtime: cannot allocate memory", "fatal error: out of memory", "std::bad_alloc", "cannot map pages", "failed to create new OS thread", "pthread_create failed"} {
		if strings.Contains(s, t) {
			return true
		}
	}
	return false
}

// lastLine is the first line that looks like a crash, else the last that says anything, cut to a readable length.
func lastLine(s string) string {
	best := ""
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "goroutine ") {
			continue
		}
		best = line
		if strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "SIG") {
			break
		}
	}
	return printable.Line(best, 400)
}

// keptVariables may pass to the child. Everything else, LD_PRELOAD and search paths above all, stays behind.
var keptVariables = []string{
	"PATH", "HOME", "TMPDIR", "TMP", "TEMP", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PROGRAMDATA",
	"USERPROFILE", "LOCALAPPDATA", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
}

// childEnv is the child's environment. heapMiB is where its garbage collector begins to hurry.
func childEnv(parent []string, heapMiB int64) []string {
	env := []string{"GOTRACEBACK=none", fmt.Sprintf("GOMEMLIMIT=%dMiB", heapMiB)}
	for _, kv := range parent {
		k, _, _ := strings.Cut(kv, "=")
		if runtime.GOOS == "windows" {
			k = strings.ToUpper(k)
		}
		if slices.Contains(keptVariables, k) {
			env = append(env, kv)
		}
	}
	return env
}

// cappedBuffer keeps the first maxStderr bytes and swallows the rest.
type cappedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (c *cappedBuffer) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxStderr - c.b.Len(); room > 0 {
		c.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (c *cappedBuffer) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}
