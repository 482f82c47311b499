//go:build linux && (amd64 || arm64)

package hwprobe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A library with NVML's calls and nobody behind them, to try the binding without a device.
const standIn = `
#include <string.h>
#include <unistd.h>
typedef struct { char legacy[16]; unsigned domain, bus, device, id, sub; char busId[32]; } pci_t;
typedef struct { unsigned long long total, free, used; } mem_t;
int nvmlInit_v2(void) { if (INIT == -1) { sleep(60); } if (INIT == -2) { *(volatile int *)0 = 1; } if (INIT == -3) { _exit(0); } return INIT; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *s, unsigned n) { strncpy(s, "550.54.15", n); return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)(long)(i + 100); return i == 1 ? 15 : 0; }
int nvmlDeviceGetPciInfo_v3(void *d, pci_t *p) { p->domain = 0; p->bus = 0x40 + (long)d - 100; p->device = 0x1a; return 0; }
int nvmlDeviceGetMemoryInfo(void *d, mem_t *m) { if ((long)d == 102) return 3; m->total = 150754820096ULL; return 0; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) { memset(s, 'N', n); return 0; }
`

func build(t *testing.T, source string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	c := filepath.Join(dir, "nvml.c")
	if err := os.WriteFile(c, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	so := filepath.Join(dir, "libnvidia-ml.so.1")
	out, err := exec.Command("gcc", append([]string{"-w", "-shared", "-fPIC", "-o", so, c}, flags...)...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no C compiler to build the stand-in with")
	}
	if err != nil {
		t.Skipf("the C compiler does not work: %v %s", err, out)
	}
	return so
}

func TestNVMLBinding(t *testing.T) {
	r, err := askNVML(build(t, standIn, "-DINIT=0"))
	if err != nil {
		t.Fatal(err)
	}
	// The second device has fallen off its bus and is left out; the third does not know its memory.
	if r.Driver != "550.54.15" || len(r.Cards) != 2 || r.Cards[0].Address != "0000:40:1a.0" || r.Cards[0].Memory != 150754820096 || r.Cards[1].Memory != 0 {
		t.Errorf("report %+v", r)
	}
	if len(r.Cards[0].Name) != 256 { // without an end: cut at the buffer's
		t.Errorf("name of %d characters", len(r.Cards[0].Name))
	}
	gpus := []GPU{
		{Vendor: "nvidia", Address: "0000:40:1a.0", Driver: "nvidia"}, {Vendor: "nvidia", Address: "0000:42:1a.0", Driver: "nvidia"},
		{Vendor: "amd", Address: "0000:40:1a.0"},
	}
	joinNVML(gpus, r)
	if g := gpus[0]; g.MemoryMiB == nil || *g.MemoryMiB != 143771 || g.Driver != "nvidia 550.54.15" || g.Reason != "" {
		t.Errorf("joined %+v", g)
	}
	if g := gpus[1]; g.MemoryMiB != nil || g.Reason == "" {
		t.Errorf("memory that is not told: %+v", g)
	}
	if gpus[2].MemoryMiB != nil || gpus[2].Driver != "" {
		t.Errorf("another vendor's device: %+v", gpus[2])
	}
}

func TestNVMLFailures(t *testing.T) {
	if _, err := askNVML(build(t, standIn, "-DINIT=18")); err == nil || !strings.Contains(err.Error(), "different versions") {
		t.Errorf("a version mismatch gave %v", err)
	}
	if _, err := askNVML(build(t, standIn, "-DINIT=77")); err == nil || !strings.Contains(err.Error(), "error 77") {
		t.Errorf("an unknown error gave %v", err)
	}
	if _, err := askNVML(build(t, "int nothing(void) { return 0; }")); err == nil {
		t.Error("a library without the calls gave no error")
	}
	text := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := askNVML(text); err == nil {
		t.Error("a text file gave no error")
	}
}

// A driver is asked in a child process: whatever it does there, the probe goes on and says what happened.
func TestDriversAreAskedInAChild(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := askDriver(t.Context(), exe, time.Minute, driverQuestion{NVML: build(t, standIn, "-DINIT=0")})
	if err != nil || r.Driver != "550.54.15" || len(r.Cards) != 2 || r.Cards[0].Memory != 150754820096 || len(r.Cards[1].Name) > 210 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, c := range []struct{ what, flag, want string }{
		{"hangs", "-DINIT=-1", "did not answer within 1s and was ended"},
		{"crashes", "-DINIT=-2", "it ended the process that asked it"},
		{"leaves", "-DINIT=-3", "it gave no answer"},
		{"refuses", "-DINIT=18", "different versions"},
	} {
		began := time.Now()
		timeout := time.Minute
		if c.what == "hangs" {
			timeout = time.Second
		}
		_, err := askDriver(t.Context(), exe, timeout, driverQuestion{NVML: build(t, standIn, c.flag)})
		if err == nil || !strings.Contains(err.Error(), c.want) || time.Since(began) > 30*time.Second {
			t.Errorf("a driver that %s gave %v after %v, want %q", c.what, err, time.Since(began), c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := askDriver(ctx, exe, time.Minute, driverQuestion{NVML: build(t, standIn, "-DINIT=-1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := askDriver(t.Context(), "", time.Minute, driverQuestion{}); err == nil {
		t.Error("no program gave no error")
	}
	if _, err := askDriver(t.Context(), exe+".none", time.Minute, driverQuestion{}); err == nil {
		t.Error("a program that is not there gave no error")
	}
	if _, err := askDriver(t.Context(), exe, time.Minute, driverQuestion{}); err == nil || !strings.Contains(err.Error(), "nothing is asked") {
		t.Errorf("an empty question gave %v", err)
	}
	if _, err := askDriver(t.Context(), exe, time.Minute, driverQuestion{DXGI: true}); err == nil || !strings.Contains(err.Error(), "Windows") {
		t.Errorf("DXGI gave %v", err)
	}
}

// Threat 23: only a file that root alone can change is loaded.
func TestNVMLOfOthersIsNotLoaded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "libnvidia-ml.so.1")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := findNVML([]string{filepath.Join(dir, "none"), path}); err == nil {
		t.Errorf("%q was taken from a folder below %q", got, os.TempDir())
	}
	if _, err := findNVML([]string{filepath.Join(dir, "none")}); err == nil || !strings.Contains(err.Error(), "none of the places") {
		t.Errorf("a missing library gave %v", err)
	}
	got, err := findNVML([]string{"/bin/sh"}) // stands for a file that the system installed
	if err == nil && !filepath.IsAbs(got) || err != nil && !strings.Contains(err.Error(), "others than root") {
		t.Errorf("a file of the system gave %q, %v", got, err)
	}
	d, err := digestOf(path)
	if err != nil || !strings.HasPrefix(d, "38b060a751ac9638") { // SHA-384 of nothing
		t.Errorf("digest %q, %v", d, err)
	}
}
