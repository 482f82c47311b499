//go:build (linux || darwin) && (amd64 || arm64)

package ort

import (
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"sluice/internal/fault"
)

//go:uintptrescapes
func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}

// pathString is a path as the library takes it (ORTCHAR_T).
func pathString(s string) unsafe.Pointer { return unsafe.Pointer(cString(s)) }

// callback makes a C function of a Go one, for the life of the process.
func callback(fn any) uintptr { return purego.NewCallback(fn) }

// open loads the library and finds its entry point. It is never unloaded: its threads and destructors do not allow it.
func open(path string) (uintptr, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, loadError(path, err)
	}
	base, err := purego.Dlsym(h, "OrtGetApiBase")
	if err != nil {
		return 0, notRuntime(path, err)
	}
	return base, nil
}

// loadError says in words what the system's loader means.
func loadError(path string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "GLIBC_"):
		return fault.New(fault.EngineLoad, "engine library %q needs a newer C library (glibc 2.28 or later): %w", path, err).
			With("path", path).With("missing", "glibc")
	case strings.Contains(text, "libstdc++") || strings.Contains(text, "GLIBCXX_") || strings.Contains(text, "CXXABI_"):
		return fault.New(fault.EngineLoad, "engine library %q needs the C++ runtime libstdc++ of this system, missing or too old: %w", path, err).
			With("path", path).With("missing", "libstdc++")
	case strings.Contains(text, "ELF") || strings.Contains(text, "mach-o") || strings.Contains(text, "file too short"):
		return fault.New(fault.EngineLoad, "engine library %q is not a library for this system and processor: %w", path, err).
			With("path", path)
	}
	return fault.New(fault.EngineLoad, "loading engine library %q: %w", path, err).With("path", path)
}
