//go:build !windows && !((linux || darwin) && (amd64 || arm64))

package ort

import (
	"runtime"
	"unsafe"

	"sluice/internal/fault"
)

func call(uintptr, ...uintptr) uintptr { panic("ort: call without a library") }

func pathString(s string) unsafe.Pointer { return unsafe.Pointer(cString(s)) }

func callback(any) uintptr { return 0 }

func open(path string) (uintptr, error) {
	return 0, fault.New(fault.EngineLoad, "engine library %q: ONNX Runtime is not supported on %s/%s", path, runtime.GOOS, runtime.GOARCH)
}
