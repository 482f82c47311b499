// Package ort runs models with ONNX Runtime through its C API, without cgo. It holds one library and one environment per
// process and releases everything else with its owner. Which library may be loaded is decided by the caller, before.
package ort

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"unsafe"

	"sluice/internal/fault"
)

// Library is a loaded ONNX Runtime with its environment.
type Library struct {
	path      string
	version   string
	providers []string
	fns       [fnCount]uintptr
	env       uintptr
	allocator uintptr
}

// ONNX Runtime has one environment per process and cannot be unloaded: this is the process's state, not the package's.
var loaded struct {
	sync.Mutex
	lib *Library
}

// Load loads the library at an absolute path, or gives the one that this process loaded from there before. A second
// library in one process is refused. Its errors are fault.EngineLoad.
func Load(path string) (*Library, error) {
	if !filepath.IsAbs(path) {
		return nil, fault.New(fault.EngineLoad, "engine library %q: the path is not absolute", path)
	}
	loaded.Lock()
	defer loaded.Unlock()
	if l := loaded.lib; l != nil {
		if l.path != path {
			return nil, fault.New(fault.EngineLoad, "engine library %q: this process has already loaded %q", path, l.path)
		}
		return l, nil
	}
	base, err := open(path)
	if err != nil {
		return nil, err
	}
	l := &Library{path: path}
	if err := l.init(base); err != nil {
		return nil, err
	}
	loaded.lib = l
	return l, nil
}

// init reads OrtApiBase { GetApi, GetVersionString } and makes the environment: warnings to stderr, no telemetry.
func (l *Library) init(getBase uintptr) error {
	base := call(getBase)
	if base == 0 {
		return notRuntime(l.path, errors.New("no API"))
	}
	fns := unsafe.Slice((*uintptr)(pointer(base)), 2)
	l.version = goString(call(fns[1]))
	api := call(fns[0], apiVersion)
	if api == 0 {
		return fault.New(fault.EngineLoad, "engine library %q is ONNX Runtime %q, want 1.18 or later", l.path, l.version).
			With("path", l.path).With("version", l.version)
	}
	copy(l.fns[:], unsafe.Slice((*uintptr)(pointer(api)), fnCount))
	name := cString("sluice")
	if err := l.do(fnCreateEnv, logWarning, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&l.env))); err != nil {
		return fault.New(fault.EngineLoad, "starting ONNX Runtime %s: %w", l.version, err)
	}
	if err := l.do(fnDisableTelemetryEvents, l.env); err != nil {
		return fault.New(fault.EngineLoad, "switching telemetry off: %w", err)
	}
	if err := l.do(fnGetAllocatorWithDefault, uintptr(unsafe.Pointer(&l.allocator))); err != nil {
		return fault.New(fault.EngineLoad, "starting ONNX Runtime %s: %w", l.version, err)
	}
	return l.readProviders()
}

func (l *Library) readProviders() error {
	var list uintptr
	var n int32
	if err := l.do(fnGetAvailableProviders, uintptr(unsafe.Pointer(&list)), uintptr(unsafe.Pointer(&n))); err != nil {
		return fault.New(fault.EngineLoad, "listing execution providers: %w", err)
	}
	for _, p := range unsafe.Slice((*uintptr)(pointer(list)), n) {
		l.providers = append(l.providers, providerName(goString(p)))
	}
	slices.Sort(l.providers)
	if err := l.do(fnReleaseAvailableProviders, list, uintptr(n)); err != nil {
		return fault.New(fault.EngineLoad, "listing execution providers: %w", err)
	}
	return nil
}

// Version is the library's own, such as "1.30.0".
func (l *Library) Version() string { return l.version }

// Providers are the execution providers compiled in, as "cpu" or "cuda", sorted. It does not prove that they work.
func (l *Library) Providers() []string { return slices.Clone(l.providers) }

func notRuntime(path string, err error) error {
	return fault.New(fault.EngineLoad, "engine library %q is not ONNX Runtime: %w", path, err).With("path", path)
}
