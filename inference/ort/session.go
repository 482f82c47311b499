package ort

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"sluice/inference/tensor"
	"sluice/internal/fault"
)

// Options of a session. The zero value is one thread on the CPU, and no external data.
type Options struct {
	Provider string // "" or "cpu", "cuda"
	Threads  int    // 0 is 1
	// External is the model's external data; nil where it has none.
	External *External
}

// MaxThreads is the largest number of threads that a session takes.
const MaxThreads = 256

// Session is a loaded model.
type Session struct {
	lib      *Library
	ptr      uintptr
	inNames  []uintptr // in the library's memory
	outNames []uintptr
	in, out  []tensor.Info

	listener  uintptr        // number of our ear in the library's log
	placement map[string]int // what it heard while the model was opened
}

// Open loads a model from its bytes, which are not kept. Errors: fault.ModelInvalid, fault.EngineNeeded for operators,
// opsets and providers that this library does not have, fault.ModelLimit for want of memory.
func (l *Library) Open(model []byte, o Options) (*Session, error) {
	if len(model) == 0 {
		return nil, fault.New(fault.ModelInvalid, "the model is empty")
	}
	opts, err := l.options(o)
	if err != nil {
		return nil, err
	}
	defer l.free(fnReleaseSessionOptions, opts)
	held, err := l.giveExternal(opts, o.External)
	if err != nil {
		return nil, err
	}
	defer held.release()
	s := &Session{lib: l}
	if s.listener, err = l.listen(opts); err != nil {
		return nil, fault.New(fault.Internal, "listening to the engine's log: %w", err)
	}
	err = l.do(fnCreateSessionFromArray, l.env, uintptr(unsafe.Pointer(&model[0])), uintptr(len(model)), opts, uintptr(unsafe.Pointer(&s.ptr)))
	s.placement = listening.heard(s.listener)
	if err != nil {
		listening.forget(s.listener)
		return nil, openError(err)
	}
	if err := s.describe(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (l *Library) options(o Options) (opts uintptr, err error) {
	if o.Threads < 0 || o.Threads > MaxThreads {
		return 0, fault.New(fault.Usage, "threads %d, want 1 to %d", o.Threads, MaxThreads)
	}
	if err := l.do(fnCreateSessionOptions, uintptr(unsafe.Pointer(&opts))); err != nil {
		return 0, fault.New(fault.Internal, "making session options: %w", err)
	}
	defer func() {
		if err != nil {
			l.free(fnReleaseSessionOptions, opts)
			opts = 0
		}
	}()
	if err := l.do(fnSetIntraOpNumThreads, opts, uintptr(max(o.Threads, 1))); err != nil {
		return opts, fault.New(fault.Internal, "setting threads: %w", err)
	}
	if err := l.do(fnSetInterOpNumThreads, opts, 1); err != nil {
		return opts, fault.New(fault.Internal, "setting threads: %w", err)
	}
	// Waiting threads sleep: a processor shared with a trading program is not to be burnt.
	config := [][2]string{{"session.intra_op.allow_spinning", "0"}}
	switch o.Provider {
	case "", "cpu":
	case "cuda":
		if err := l.appendCUDA(opts); err != nil {
			return opts, err
		}
		// The engine must not fall back to the CPU behind our back: with this it refuses the model instead.
		config = append(config, [2]string{"session.disable_cpu_ep_fallback", "1"})
	default:
		return opts, fault.New(fault.EngineNeeded, "execution provider %q is not supported, want \"cpu\" or \"cuda\"", o.Provider).
			With("provider", o.Provider)
	}
	for _, kv := range config {
		if err := l.configure(opts, kv[0], kv[1]); err != nil {
			return opts, err
		}
	}
	return opts, nil
}

func (l *Library) configure(opts uintptr, key, value string) error {
	k, v := cString(key), cString(value)
	if err := l.do(fnAddSessionConfigEntry, opts, uintptr(unsafe.Pointer(k)), uintptr(unsafe.Pointer(v))); err != nil {
		return fault.New(fault.Internal, "setting %q: %w", key, err)
	}
	return nil
}

func (l *Library) appendCUDA(opts uintptr) error {
	var cuda uintptr
	err := l.do(fnCreateCUDAProviderOptions, uintptr(unsafe.Pointer(&cuda)))
	if err == nil {
		err = l.do(fnAppendCUDAV2, opts, cuda)
		// Returns nothing, so not through do.
		l.free(fnReleaseCUDAProviderOptions, cuda)
	}
	if err != nil {
		return fault.New(fault.EngineNeeded, "execution provider \"cuda\" does not work with ONNX Runtime %s here (it has %s): %w",
			l.version, strings.Join(l.providers, ", "), err).With("provider", "cuda")
	}
	return nil
}

// openError sorts what the library says about a model that it does not take.
func openError(err error) error {
	var st *statusError
	if !errors.As(err, &st) {
		return err
	}
	has := func(s string) bool { return strings.Contains(st.text, s) }
	switch {
	case outOfMemory(st):
		return fault.New(fault.ModelLimit, "loading the model: out of memory: %w", err)
	case has("CPU EP has been explicitly disabled"):
		return fault.New(fault.EngineNeeded, "the accelerator cannot run the whole model, parts would fall back to the CPU: %w", err)
	case st.code == codeNotImplemented, has("is not a registered function/op"), has("under development and support for this is limited"),
		has("No Op registered for"), has("is not currently registered or supported"), has("No opset import for domain"), has("Unsupported model IR version"):
		return fault.New(fault.EngineNeeded, "the model asks for what this engine does not have: %w", err)
	}
	return fault.New(fault.ModelInvalid, "the engine refuses the model: %w", err)
}

func outOfMemory(st *statusError) bool {
	for _, s := range []string{"bad_alloc", "Failed to allocate memory", "out of memory", "Available memory of"} {
		if strings.Contains(st.text, s) {
			return true
		}
	}
	return false
}

func runError(err error) error {
	var st *statusError
	if !errors.As(err, &st) {
		return err
	}
	switch {
	case outOfMemory(st):
		return fault.New(fault.ModelLimit, "running the model: out of memory: %w", err)
	case st.code == codeNotImplemented:
		return fault.New(fault.EngineNeeded, "running the model: %w", err)
	case st.code == codeInvalidArgument && strings.Contains(st.text, "for input"),
		st.code == codeInvalidArgument && strings.Contains(st.text, "Missing Input"):
		return fault.New(fault.Contract, "running the model: %w", err)
	}
	return fault.New(fault.ModelInvalid, "running the model: %w", err)
}

// Close releases the model. It may be called more than once.
func (s *Session) Close() error {
	for _, n := range append(s.inNames, s.outNames...) {
		if err := s.lib.do(fnAllocatorFree, s.lib.allocator, n); err != nil {
			return fault.New(fault.Internal, "releasing the model: %w", err)
		}
	}
	s.inNames, s.outNames = nil, nil
	s.lib.free(fnReleaseSession, s.ptr)
	s.ptr = 0
	listening.forget(s.listener)
	return nil
}

// Signature gives the model's inputs and outputs as the library understands them.
func (s *Session) Signature() (in, out []tensor.Info, err error) { return s.in, s.out, nil }

// Run computes. Each input of the model must be given, and nothing else. A cancelled context ends it between operators.
func (s *Session) Run(ctx context.Context, inputs map[string]tensor.Value) (map[string]tensor.Value, error) {
	if s.ptr == 0 {
		return nil, fault.New(fault.Internal, "the session is closed")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := s.lib
	in := make([]uintptr, len(s.in))
	out := make([]uintptr, len(s.out))
	defer func() {
		for _, v := range append(in, out...) {
			l.free(fnReleaseValue, v)
		}
	}()
	for name := range inputs {
		if !s.hasInput(name) {
			return nil, fault.New(fault.Contract, "the model has no input %q", name)
		}
	}
	for i, info := range s.in {
		v, ok := inputs[info.Name]
		if !ok {
			return nil, fault.New(fault.Contract, "input %q of the model is missing", info.Name)
		}
		err := checkInput(info, v)
		var p uintptr
		if err == nil {
			p, err = l.newValue(info, v)
		}
		if err != nil {
			return nil, fault.New(fault.CodeOf(err), "input %q: %w", info.Name, err)
		}
		in[i] = p
	}
	if err := s.run(ctx, in, out); err != nil {
		return nil, err
	}
	result := make(map[string]tensor.Value, len(out))
	for i, info := range s.out {
		v, err := l.readValue(info, out[i])
		if err != nil {
			return nil, fault.New(fault.CodeOf(err), "output %q: %w", info.Name, err)
		}
		result[info.Name] = v
	}
	return result, nil
}

// run calls the model on values in the library's memory and puts its outputs into out; the caller releases both.
func (s *Session) run(ctx context.Context, in, out []uintptr) error {
	l := s.lib
	var opts uintptr
	if err := l.do(fnCreateRunOptions, uintptr(unsafe.Pointer(&opts))); err != nil {
		return fault.New(fault.Internal, "making run options: %w", err)
	}
	defer l.free(fnReleaseRunOptions, opts)
	if err := l.quiet(opts); err != nil {
		return fault.New(fault.Internal, "setting run options: %w", err)
	}
	finished := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
			_ = l.do(fnRunOptionsSetTerminate, opts)
		case <-finished:
		}
	}()
	err := l.do(fnRun, s.ptr, opts, uintptr(unsafe.Pointer(unsafe.SliceData(s.inNames))), uintptr(unsafe.Pointer(unsafe.SliceData(in))), uintptr(len(in)),
		uintptr(unsafe.Pointer(unsafe.SliceData(s.outNames))), uintptr(len(out)), uintptr(unsafe.Pointer(unsafe.SliceData(out))))
	close(finished)
	<-watched
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return runError(err)
	}
	return nil
}

// checkInput compares kind, element type, rank and fixed dimensions. Rank 0 may also mean that the model does not know the rank.
func checkInput(info tensor.Info, v tensor.Value) error {
	given := "nothing"
	switch {
	case v.Tensor != nil:
		given = "tensor"
	case v.Sequence != nil:
		given = "sequence of tensors"
	case v.Maps != nil:
		given = fmt.Sprintf("sequence of %d maps", len(v.Maps))
	case v.Empty:
		given = "optional"
	}
	wanted, optional := info.Type, false
	if info.Kind == "optional" {
		wanted, optional = strings.TrimSuffix(strings.TrimPrefix(info.Type, "optional("), ")"), true
	}
	sequence, maps := strings.HasPrefix(wanted, "sequence("), strings.HasPrefix(wanted, "sequence(map(")
	switch {
	case v.Empty && optional, v.Maps != nil && maps, len(v.Maps) == 1 && info.Kind == "map":
		return nil
	case v.Sequence != nil && sequence && !maps:
		for i, t := range v.Sequence {
			if t == nil || t.DType != info.DType {
				return fault.New(fault.Contract, "tensor %d of the sequence is not of element type %s", i, info.DType)
			}
		}
		return nil
	case v.Tensor == nil || sequence || info.Kind == "map":
		return fault.New(fault.Contract, "is a %s, want %s", given, info.Type)
	}
	t := v.Tensor
	if t.DType != info.DType {
		return fault.New(fault.Contract, "has element type %s, want %s", t.DType, info.DType)
	}
	if len(info.Shape) == 0 {
		return nil
	}
	ok := len(t.Shape) == len(info.Shape)
	for i := 0; ok && i < len(t.Shape); i++ {
		ok = info.Shape[i] < 0 || info.Shape[i] == t.Shape[i]
	}
	if !ok {
		return fault.New(fault.Contract, "has shape %v, want %v", t.Shape, info.Shape)
	}
	return nil
}

func (s *Session) hasInput(name string) bool {
	for _, i := range s.in {
		if i.Name == name {
			return true
		}
	}
	return false
}

// describe reads names and types of inputs and outputs.
func (s *Session) describe() error {
	side := func(count, name, typ int) (names []uintptr, infos []tensor.Info, err error) {
		var n uintptr
		if err := s.lib.do(count, s.ptr, uintptr(unsafe.Pointer(&n))); err != nil {
			return nil, nil, err
		}
		for i := range n {
			var p uintptr
			if err := s.lib.do(name, s.ptr, i, s.lib.allocator, uintptr(unsafe.Pointer(&p))); err != nil {
				return names, nil, err
			}
			names = append(names, p)
			var t uintptr
			if err := s.lib.do(typ, s.ptr, i, uintptr(unsafe.Pointer(&t))); err != nil {
				return names, nil, err
			}
			info := tensor.Info{Name: goString(p)}
			err := s.lib.describeType(t, &info, 0)
			s.lib.free(fnReleaseTypeInfo, t)
			if err != nil {
				return names, nil, fault.New(fault.ModelInvalid, "reading type %s of %q: %w", strconv.Itoa(int(i)), info.Name, err)
			}
			infos = append(infos, info)
		}
		return names, infos, nil
	}
	var err error
	if s.inNames, s.in, err = side(fnSessionGetInputCount, fnSessionGetInputName, fnSessionGetInputTypeInfo); err != nil {
		return err
	}
	s.outNames, s.out, err = side(fnSessionGetOutputCount, fnSessionGetOutputName, fnSessionGetOutputTypeInfo)
	return err
}

// maxTypeDepth limits types nested in types.
const maxTypeDepth = 16

// kinds are the words for ONNX kinds, those of tensor.Info.Kind.
var kinds = map[int32]string{typeTensor: "tensor", typeSequence: "sequence", typeMap: "map", typeSparse: "sparse", typeOptional: "optional"}

// describeType fills kind, element type and shape; of all but tensors those of the innermost one.
func (l *Library) describeType(t uintptr, info *tensor.Info, depth int) error {
	if depth > maxTypeDepth {
		return errors.New("types are nested too deep")
	}
	var kind int32
	if err := l.do(fnGetOnnxTypeFromTypeInfo, t, uintptr(unsafe.Pointer(&kind))); err != nil {
		return err
	}
	inner := func(cast, get int) (c uintptr, err error) {
		var e uintptr
		if err := l.do(cast, t, uintptr(unsafe.Pointer(&c))); err != nil {
			return 0, err
		}
		if err := l.do(get, c, uintptr(unsafe.Pointer(&e))); err != nil {
			return 0, err
		}
		defer l.free(fnReleaseTypeInfo, e)
		return c, l.describeType(e, info, depth+1)
	}
	var c uintptr
	var err error
	switch kind {
	case typeTensor:
		if err := l.do(fnCastTypeInfoToTensorInfo, t, uintptr(unsafe.Pointer(&c))); err != nil {
			return err
		}
		if err := l.describeTensor(c, info); err != nil {
			return err
		}
		info.Type = info.DType.String()
	case typeSequence:
		_, err = inner(fnCastTypeInfoToSequenceInfo, fnGetSequenceElementType)
		info.Type = "sequence(" + info.Type + ")"
	case typeOptional:
		_, err = inner(fnCastTypeInfoToOptionalInfo, fnGetOptionalContainedType)
		info.Type = "optional(" + info.Type + ")"
	case typeMap:
		var key int32
		if c, err = inner(fnCastTypeInfoToMapTypeInfo, fnGetMapValueType); err == nil {
			err = l.do(fnGetMapKeyType, c, uintptr(unsafe.Pointer(&key)))
		}
		info.Type = "map(" + tensor.DType(key).String() + "," + info.Type + ")"
	default:
		info.Type = kinds[kind]
	}
	info.Kind = kinds[kind]
	return err
}

// maxRank is the largest number of dimensions read from the library.
const maxRank = 1024

func (l *Library) describeTensor(t uintptr, info *tensor.Info) error {
	d, shape, err := l.typeAndShape(t)
	if err != nil {
		return err
	}
	info.DType, info.Shape = d, shape
	syms := make([]uintptr, len(shape))
	info.DimNames = make([]string, len(shape))
	if len(shape) == 0 {
		return nil
	}
	if err := l.do(fnGetSymbolicDimensions, t, uintptr(unsafe.Pointer(&syms[0])), uintptr(len(syms))); err != nil {
		return err
	}
	for i, p := range syms {
		info.DimNames[i] = goString(p)
	}
	return nil
}

func (l *Library) typeAndShape(t uintptr) (tensor.DType, []int64, error) {
	var d int32
	var rank uintptr
	if err := l.do(fnGetTensorElementType, t, uintptr(unsafe.Pointer(&d))); err != nil {
		return 0, nil, err
	}
	if err := l.do(fnGetDimensionsCount, t, uintptr(unsafe.Pointer(&rank))); err != nil {
		return 0, nil, err
	}
	if rank > maxRank {
		return 0, nil, errors.New("too many dimensions")
	}
	shape := make([]int64, rank)
	if rank > 0 {
		if err := l.do(fnGetDimensions, t, uintptr(unsafe.Pointer(&shape[0])), rank); err != nil {
			return 0, nil, err
		}
	}
	return tensor.DType(d), shape, nil
}
