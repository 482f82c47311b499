package ort

import (
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"sluice/internal/fault"
)

// External is the data that a model keeps in files beside it. The caller has checked each location.
type External struct {
	Dir       string   // the folder that locations are relative to; absolute
	Locations []string // as the model writes them
	// Read gives a whole file. Releases before 1.21, which know no folder for a model that comes in memory, get the files in
	// memory as well.
	Read func(location string) ([]byte, error)
}

// pinned is memory of ours that the library reads while it opens a model.
type pinned struct{ runtime.Pinner }

func (p *pinned) release() {
	if p != nil {
		p.Unpin()
	}
}

// giveExternal tells the session options where external data is. What it returns is released after the model was opened.
func (l *Library) giveExternal(opts uintptr, e *External) (*pinned, error) {
	if e == nil || len(e.Locations) == 0 {
		return nil, nil
	}
	if !l.before(1, 21) {
		return nil, l.configure(opts, "session.model_external_initializers_file_folder_path", e.Dir)
	}
	n := len(e.Locations)
	names, files, sizes := make([]uintptr, n), make([]uintptr, n), make([]uintptr, n)
	held := &pinned{}
	for i, location := range e.Locations {
		b, err := e.Read(location)
		if err != nil {
			held.release()
			return nil, err
		}
		if len(b) == 0 {
			held.release()
			return nil, fault.New(fault.ModelInvalid, "external data %q is empty", location).With("location", location)
		}
		name := pathString(location)
		held.Pin(name)
		held.Pin(&b[0])
		names[i], files[i], sizes[i] = uintptr(name), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))
	}
	err := l.do(fnAddExternalInMemory, opts, uintptr(unsafe.Pointer(&names[0])), uintptr(unsafe.Pointer(&files[0])), uintptr(unsafe.Pointer(&sizes[0])), uintptr(n))
	if err != nil {
		held.release()
		return nil, fault.New(fault.Internal, "giving external data: %w", err)
	}
	return held, nil
}

// before says whether the library's version is before major.minor; a version that cannot be read is a later one.
func (l *Library) before(major, minor int) bool {
	a, rest, _ := strings.Cut(l.version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return err1 == nil && err2 == nil && (x < major || x == major && y < minor)
}
