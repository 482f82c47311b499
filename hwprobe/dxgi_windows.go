package hwprobe

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

var createDXGIFactory1 = windows.NewLazySystemDLL("dxgi.dll").NewProc("CreateDXGIFactory1")

var (
	iidFactory1 = windows.GUID{Data1: 0x770aae78, Data2: 0xf26f, Data3: 0x4dba, Data4: [8]byte{0xa8, 0x29, 0x25, 0x3c, 0x83, 0xd1, 0xb3, 0x87}}
	iidDevice   = windows.GUID{Data1: 0x54ec77fa, Data2: 0x1377, Data3: 0x44e6, Data4: [8]byte{0x8c, 0x32, 0x88, 0xfd, 0x5f, 0x44, 0xc8, 0x4c}}
)

// Places in the tables of IDXGIFactory1 and IDXGIAdapter1 (dxgi.h).
const (
	comRelease              = 2
	comEnumAdapters1        = 12
	comCheckInterface       = 9
	comGetDesc1             = 10
	dxgiNotFound      int32 = -2005270526 // 0x887A0002
)

// com is a COM object: its first word points at its table of methods.
type com struct{ table *[16]uintptr }

func (c *com) call(method int, args ...uintptr) int32 {
	r, _, _ := syscall.SyscallN(c.table[method], append([]uintptr{uintptr(unsafe.Pointer(c))}, args...)...)
	return int32(r)
}

// askDXGI lists the adapters that DirectX sees, with their own memory and the version of their driver.
func askDXGI() (driverReport, error) {
	if err := createDXGIFactory1.Find(); err != nil {
		return driverReport{}, err
	}
	var factory *com
	if r, _, _ := createDXGIFactory1.Call(uintptr(unsafe.Pointer(&iidFactory1)), uintptr(unsafe.Pointer(&factory))); int32(r) < 0 || factory == nil {
		return driverReport{}, fmt.Errorf("CreateDXGIFactory1: error %#x", uint32(r))
	}
	defer factory.call(comRelease)
	var out driverReport
	for i := range maxCards {
		var adapter *com
		r := factory.call(comEnumAdapters1, uintptr(i), uintptr(unsafe.Pointer(&adapter)))
		if r == dxgiNotFound || adapter == nil {
			break
		}
		if r < 0 {
			return out, fmt.Errorf("EnumAdapters1: error %#x", uint32(r))
		}
		if c, ok := adapter.card(); ok {
			out.Cards = append(out.Cards, c)
		}
		adapter.call(comRelease)
	}
	return out, nil
}

func (c *com) card() (driverCard, bool) {
	const pointer = int(unsafe.Sizeof(uintptr(0)))
	desc := make([]uint64, (dxgiDescSize(pointer)+7)/8+8) // aligned, with room to spare
	if c.call(comGetDesc1, uintptr(unsafe.Pointer(&desc[0]))) < 0 {
		return driverCard{}, false
	}
	card, ok := parseDXGI(unsafe.Slice((*byte)(unsafe.Pointer(&desc[0])), 8*len(desc)), pointer)
	var version uint64
	if c.call(comCheckInterface, uintptr(unsafe.Pointer(&iidDevice)), uintptr(unsafe.Pointer(&version))) >= 0 {
		card.Driver = dxgiVersion(version)
	}
	return card, ok
}
