//go:build linux && (amd64 || arm64)

package hwprobe

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// nvmlPaths are where drivers and their container tools put the library. No search path and no environment is asked.
var nvmlPaths = []string{
	"/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1", "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1", "/usr/lib64/libnvidia-ml.so.1",
	"/usr/lib/libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
	"/run/opengl-driver/lib/libnvidia-ml.so.1",
}

// maxNVML limits the library's size; real ones have 2 to 3 MB.
const maxNVML = 64 << 20

// findNVML takes the first path that exists, with its links resolved. The file and every folder above it must belong
// to root and be writable for nobody else: what this process loads is code.
func findNVML(paths []string) (string, error) {
	for _, p := range paths {
		real, err := filepath.EvalSymlinks(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		for at := real; ; at = filepath.Dir(at) {
			fi, err := os.Lstat(at)
			if err != nil {
				return "", err
			}
			st, ok := fi.Sys().(*syscall.Stat_t)
			if !ok || st.Uid != 0 || fi.Mode().Perm()&0o022 != 0 {
				return "", fmt.Errorf("%q can be changed by others than root", at)
			}
			if at == filepath.Dir(at) {
				return real, nil
			}
		}
	}
	return "", errors.New("libnvidia-ml.so.1 is in none of the places where drivers put it")
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha512.New384()
	n, err := io.Copy(h, io.LimitReader(f, maxNVML+1))
	if err != nil {
		return "", err
	}
	if n > maxNVML {
		return "", fmt.Errorf("%q is longer than %d bytes", path, maxNVML)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// nvmlPCI is nvmlPciInfo_t and nvmlMemory is nvmlMemory_t of nvml.h.
type nvmlPCI struct {
	legacy                             [16]byte
	domain, bus, device, id, subsystem uint32
	busID                              [32]byte
}

type nvmlMemory struct{ total, free, used uint64 }

// nvml is the loaded library. It is not unloaded: its threads do not allow it.
type nvml struct{ handle uintptr }

//go:uintptrescapes
func (l nvml) call(name string, args ...uintptr) error {
	fn, err := purego.Dlsym(l.handle, name)
	if err != nil {
		return err
	}
	r, _, _ := purego.SyscallN(fn, args...)
	if code := uint32(r); code != 0 {
		return nvmlError{name, code}
	}
	return nil
}

// askNVML loads the library and asks for every device. One that does not answer is left out of the report.
func askNVML(path string) (driverReport, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return driverReport{}, err
	}
	l := nvml{handle}
	if err := l.call("nvmlInit_v2"); err != nil {
		return driverReport{}, err
	}
	defer func() { _ = l.call("nvmlShutdown") }()

	var r driverReport
	text := make([]byte, 256)
	if err := l.call("nvmlSystemGetDriverVersion", uintptr(unsafe.Pointer(&text[0])), uintptr(len(text))); err == nil {
		r.Driver = cString(text)
	}
	var count uint32
	if err := l.call("nvmlDeviceGetCount_v2", uintptr(unsafe.Pointer(&count))); err != nil {
		return driverReport{}, err
	}
	for i := range min(count, maxCards) {
		if c, err := l.card(i); err == nil {
			r.Cards = append(r.Cards, c)
		}
	}
	return r, nil
}

func (l nvml) card(i uint32) (driverCard, error) {
	var device uintptr
	if err := l.call("nvmlDeviceGetHandleByIndex_v2", uintptr(i), uintptr(unsafe.Pointer(&device))); err != nil {
		return driverCard{}, err
	}
	var pci nvmlPCI
	if err := l.call("nvmlDeviceGetPciInfo_v3", device, uintptr(unsafe.Pointer(&pci))); err != nil {
		return driverCard{}, err
	}
	c := driverCard{Address: fmt.Sprintf("%04x:%02x:%02x.0", pci.domain, pci.bus, pci.device)}
	var memory nvmlMemory
	if err := l.call("nvmlDeviceGetMemoryInfo", device, uintptr(unsafe.Pointer(&memory))); err == nil && memory.total < 1<<60 {
		c.Memory = int64(memory.total)
	}
	text := make([]byte, 256)
	if err := l.call("nvmlDeviceGetName", device, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text))); err == nil {
		c.Name = cString(text)
	}
	return c, nil
}

func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(bytes.ToValidUTF8(s, []byte("?")))
}
