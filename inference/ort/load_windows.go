package ort

import (
	"errors"
	"syscall"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	"sluice/internal/fault"
)

//go:uintptrescapes
func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := syscall.SyscallN(fn, args...)
	return r
}

// pathString is a path as the library takes it (ORTCHAR_T): UTF-16.
func pathString(s string) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(append(utf16.Encode([]rune(s)), 0)))
}

// callback makes a C function of a Go one, for the life of the process.
func callback(fn any) uintptr { return syscall.NewCallback(fn) }

// open loads the library and finds its entry point. What it needs is looked for beside it and in System32 only.
// It is never unloaded: its threads do not allow it.
func open(path string) (uintptr, error) {
	h, err := windows.LoadLibraryEx(path, 0, windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR|windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if err != nil {
		return 0, loadError(path, err)
	}
	base, err := windows.GetProcAddress(h, "OrtGetApiBase")
	if err != nil {
		return 0, notRuntime(path, err)
	}
	return base, nil
}

// loadError says in words what the system's loader means.
func loadError(path string, err error) error {
	if errors.Is(err, windows.ERROR_MOD_NOT_FOUND) {
		for _, dll := range []string{"vcruntime140.dll", "vcruntime140_1.dll", "msvcp140.dll"} {
			h, e := windows.LoadLibraryEx(dll, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
			if e != nil {
				return fault.New(fault.EngineLoad, "engine library %q needs the Microsoft Visual C++ runtime (%s is missing): %w", path, dll, err).
					With("path", path).With("missing", dll)
			}
			_ = windows.FreeLibrary(h)
		}
	}
	if errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) {
		return fault.New(fault.EngineLoad, "engine library %q is not a library for this system and processor: %w", path, err).With("path", path)
	}
	return fault.New(fault.EngineLoad, "loading engine library %q: %w", path, err).With("path", path)
}
