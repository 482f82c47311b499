package ort

import (
	"unsafe"
)

// apiVersion is the OrtApi version asked for. The struct is append-only: every library from 1.18 on serves it.
const apiVersion = 18

// Places of the functions used in struct OrtApi (onnxruntime_c_api.h), in pointers from its start. All lie within
// version 18. A test calls each of them.
const (
	fnGetErrorCode                 = 1
	fnGetErrorMessage              = 2
	fnCreateEnv                    = 3
	fnDisableTelemetryEvents       = 6
	fnCreateSessionFromArray       = 8
	fnRun                          = 9
	fnCreateSessionOptions         = 10
	fnSetSessionLogSeverity        = 22
	fnSetIntraOpNumThreads         = 24
	fnSetInterOpNumThreads         = 25
	fnSessionGetInputCount         = 30
	fnSessionGetOutputCount        = 31
	fnSessionGetInputTypeInfo      = 33
	fnSessionGetOutputTypeInfo     = 34
	fnSessionGetInputName          = 36
	fnSessionGetOutputName         = 37
	fnCreateRunOptions             = 39
	fnRunOptionsSetLogSeverity     = 41
	fnRunOptionsSetTerminate       = 46
	fnCreateTensorAsOrtValue       = 48
	fnGetTensorMutableData         = 51
	fnGetStringTensorDataLength    = 53
	fnGetStringTensorContent       = 54
	fnCastTypeInfoToTensorInfo     = 55
	fnGetOnnxTypeFromTypeInfo      = 56
	fnGetTensorElementType         = 60
	fnGetDimensionsCount           = 61
	fnGetDimensions                = 62
	fnGetSymbolicDimensions        = 63
	fnGetTensorTypeAndShape        = 65
	fnGetValueType                 = 67
	fnAllocatorFree                = 76
	fnGetAllocatorWithDefault      = 78
	fnGetValue                     = 80
	fnGetValueCount                = 81
	fnCreateValue                  = 82
	fnReleaseStatus                = 93
	fnReleaseSession               = 95
	fnReleaseValue                 = 96
	fnReleaseRunOptions            = 97
	fnReleaseTypeInfo              = 98
	fnReleaseTensorTypeInfo        = 99
	fnReleaseSessionOptions        = 100
	fnCastTypeInfoToMapTypeInfo    = 103
	fnCastTypeInfoToSequenceInfo   = 104
	fnGetMapKeyType                = 105
	fnGetMapValueType              = 106
	fnGetSequenceElementType       = 107
	fnGetAvailableProviders        = 125
	fnReleaseAvailableProviders    = 126
	fnAddSessionConfigEntry        = 130
	fnHasValue                     = 192
	fnAppendCUDAV2                 = 204
	fnCreateCUDAProviderOptions    = 205
	fnReleaseCUDAProviderOptions   = 208
	fnCastTypeInfoToOptionalInfo   = 250
	fnGetOptionalContainedType     = 251
	fnGetResizedStringTensorBuffer = 252
	fnSetUserLoggingFunction       = 266
	fnAddExternalInMemory          = 279
	fnCount                        = 280 // functions copied from the struct; the last of version 18
)

// Value kinds (ONNXType).
const (
	typeTensor   = 1
	typeSequence = 2
	typeMap      = 3
	typeSparse   = 5
	typeOptional = 6
)

// Error codes (OrtErrorCode).
const (
	codeInvalidArgument = 2
	codeNotImplemented  = 9
)

// statusError is what the library itself said.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// do calls a function that returns OrtStatus*. Pointers among args are kept alive and in place for the call.
//
//go:uintptrescapes
func (l *Library) do(fn int, args ...uintptr) error {
	return l.status(call(l.fns[fn], args...))
}

// free calls one of the release functions, which return nothing; a null pointer is left alone.
func (l *Library) free(fn int, p uintptr) {
	if p != 0 {
		call(l.fns[fn], p)
	}
}

func (l *Library) status(st uintptr) error {
	if st == 0 {
		return nil
	}
	e := &statusError{
		code: int(int32(call(l.fns[fnGetErrorCode], st))),
		text: goString(call(l.fns[fnGetErrorMessage], st)),
	}
	l.free(fnReleaseStatus, st)
	return e
}

// pointer turns an address of the library's memory into a pointer. Only addresses that the library gave, of memory that
// Go does not manage, are passed here.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// maxCString is the longest text read from the library, in bytes.
const maxCString = 64 << 10

func goString(p uintptr) string {
	if p == 0 {
		return ""
	}
	n := 0
	for n < maxCString && *(*byte)(unsafe.Add(pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(pointer(p)), n))
}

func cString(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return &b[0]
}
