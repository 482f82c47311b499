//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const attackVariable = "SANDBOX_TEST_ATTACK"

// TestMain makes the test binary the child that misbehaves.
func TestMain(m *testing.M) {
	name := os.Getenv(attackVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := lack(os.Getenv("SANDBOX_TEST_LACKS")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	Files()
	a := answer{State: Calls()}
	if err := attacks[name].do(os.Getenv("SANDBOX_TEST_DIR")); err != nil {
		a.Error = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(a)
	os.Exit(0)
}

// lack makes the kernel look as if it had no Landlock, no seccomp.
func lack(what string) error {
	if _, again := os.LookupEnv(stageVariable); what == "" || again {
		return nil
	}
	f := &assembler{}
	f.load(offNumber)
	if strings.Contains(what, "landlock") {
		f.when(unix.SYS_LANDLOCK_CREATE_RULESET, absent)
	}
	if strings.Contains(what, "seccomp") {
		f.when(unix.SYS_SECCOMP, absent)
	}
	f.ret(yes)
	return install(f.code)
}

type answer struct {
	State State
	Error string
}

// needs says which part of the sandbox stops an attack; without it in this kernel the case is skipped.
type needs int

const (
	nothing needs = iota // it must work
	landlock
	seccomp
	either
)

func fd(n int, err error) error {
	if err == nil {
		unix.Close(n)
	}
	return err
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func ptr(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }

func call(n uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0, 0, 0, 0)
	if _, _, e := unix.RawSyscall6(n, args[0], args[1], args[2], args[3], args[4], args[5]); e != 0 {
		return e
	}
	return nil
}

// attacks get the folder that the policy lets them read; beside it lies another one.
var attacks = map[string]struct {
	needs needs
	do    func(dir string) error
}{
	"reading what it may": {nothing, func(dir string) error { _, err := os.ReadFile(dir + "/deep/model"); return err }},
	"reading itself":      {nothing, func(string) error { _, err := os.ReadFile("/proc/self/status"); return err }},
	"listing what it may": {nothing, func(dir string) error { _, err := os.ReadDir(dir); return err }},
	"opening it as a root": {nothing, func(dir string) error {
		r, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		_, err = r.ReadFile("deep/model")
		return err
	}},
	"threads": {nothing, func(string) error {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { runtime.LockOSThread(); time.Sleep(20 * time.Millisecond) })
		}
		all.Wait()
		return nil
	}},
	"asking for a limit": {nothing, func(string) error { var l unix.Rlimit; return unix.Getrlimit(unix.RLIMIT_DATA, &l) }},

	"reading /etc/passwd":        {landlock, func(string) error { _, err := os.ReadFile("/etc/passwd"); return err }},
	"reading /etc/shadow":        {landlock, func(string) error { _, err := os.ReadFile("/etc/shadow"); return err }},
	"reading a file beside":      {landlock, func(dir string) error { _, err := os.ReadFile(dir + "/../beside/key"); return err }},
	"reading through a link":     {landlock, func(dir string) error { _, err := os.ReadFile(dir + "/link"); return err }},
	"listing the root folder":    {landlock, func(string) error { _, err := os.ReadDir("/"); return err }},
	"listing home folders":       {landlock, func(string) error { _, err := os.ReadDir("/home"); return err }},
	"reading its parent's words": {landlock, func(string) error { _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid())); return err }},
	"opening a terminal":         {either, func(string) error { return fd(unix.Open("/dev/ptmx", unix.O_RDWR, 0)) }},

	"creating a file":         {either, func(dir string) error { return os.WriteFile(dir+"/new", nil, 0o644) }},
	"creating one in /tmp":    {either, func(string) error { return os.WriteFile("/tmp/sandbox-test-new", nil, 0o644) }},
	"a file without a name":   {either, func(dir string) error { return fd(unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY, 0o600)) }},
	"a file in memory":        {seccomp, func(string) error { return fd(unix.MemfdCreate("x", 0)) }},
	"writing to the model":    {either, func(dir string) error { return fd(unix.Open(dir+"/deep/model", unix.O_WRONLY, 0)) }},
	"truncating the model":    {either, func(dir string) error { return os.Truncate(dir+"/deep/model", 0) }},
	"making a folder":         {either, func(dir string) error { return os.Mkdir(dir+"/new", 0o755) }},
	"removing the model":      {either, func(dir string) error { return os.Remove(dir + "/deep/model") }},
	"renaming the model":      {either, func(dir string) error { return os.Rename(dir+"/deep/model", dir+"/gone") }},
	"linking":                 {either, func(dir string) error { return os.Symlink("/etc", dir+"/etc") }},
	"a device":                {either, func(dir string) error { return unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, 259) }},
	"changing rights":         {seccomp, func(dir string) error { return os.Chmod(dir+"/deep/model", 0o777) }},
	"changing the time of it": {seccomp, func(dir string) error { return os.Chtimes(dir+"/deep/model", time.Now(), time.Now()) }},

	"a TCP connection":        {either, func(string) error { return dial("tcp", "127.0.0.1:9") }},
	"a UDP packet":            {seccomp, func(string) error { return dial("udp", "127.0.0.1:9") }},
	"a socket":                {seccomp, func(string) error { return fd(unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)) }},
	"a local socket":          {seccomp, func(string) error { return fd(unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)) }},
	"a netlink socket":        {seccomp, func(string) error { return fd(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)) }},
	"listening":               {either, func(string) error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err }},
	"a queue past the filter": {seccomp, func(string) error { var p [120]byte; return call(unix.SYS_IO_URING_SETUP, 1, ptr(&p[0])) }},

	"starting a program":     {either, func(string) error { return exec.Command("/bin/true").Run() }},
	"becoming a program":     {either, func(string) error { return syscall.Exec("/bin/true", []string{"true"}, nil) }},
	"becoming itself":        {seccomp, func(string) error { return syscall.Exec("/proc/self/exe", []string{"x"}, nil) }},
	"forking":                {seccomp, func(string) error { return call(unix.SYS_CLONE, uintptr(unix.SIGCHLD)) }},
	"forking by clone3":      {seccomp, func(string) error { var a [88]byte; return call(unix.SYS_CLONE3, ptr(&a[0]), 88) }},
	"ending its parent":      {seccomp, func(string) error { return unix.Kill(os.Getppid(), 0) }},
	"ending all":             {seccomp, func(string) error { return unix.Kill(-1, 0) }},
	"tracing its parent":     {seccomp, func(string) error { return unix.PtraceAttach(os.Getppid()) }},
	"raising its limits":     {seccomp, func(string) error { return unix.Prlimit(0, unix.RLIMIT_CORE, &unix.Rlimit{}, nil) }},
	"limits of its parent":   {seccomp, func(string) error { return unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, &unix.Rlimit{}, nil) }},
	"becoming root again":    {seccomp, func(string) error { return call(unix.SYS_SETUID, 0) }},
	"a namespace":            {seccomp, func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) }},
	"mounting":               {seccomp, func(string) error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") }},
	"a BPF program":          {seccomp, func(string) error { return call(unix.SYS_BPF, 0, 0, 0) }},
	"typing into a terminal": {seccomp, func(string) error { return unix.IoctlSetInt(0, unix.TIOCSTI, 0) }},
}

// setUp makes the folder that may be read, and its neighbour.
func setUp(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "version")
	for name, text := range map[string]string{"version/deep/model": "weights", "beside/key": "secret"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../beside/key", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func attack(t *testing.T, name, dir string, p Policy) answer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{attackVariable + "=" + name, "SANDBOX_TEST_DIR=" + dir, p.Environ()}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var a answer
	if err != nil || json.Unmarshal(out, &a) != nil {
		t.Fatalf("%v: %q %q", err, out, said.String())
	}
	return a
}

// Each thing that a hostile model could make its engine do is denied, and what inference needs is not.
func TestThreat25WhatAChildMayNotDo(t *testing.T) {
	for name, c := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := setUp(t)
			a := attack(t, name, dir, Policy{Read: []string{dir}})
			l := a.State.Landlock != None
			if has := map[needs]bool{nothing: true, landlock: l, seccomp: a.State.Seccomp, either: l || a.State.Seccomp}[c.needs]; !has {
				t.Skipf("this kernel offers %s: %s", a.State, a.State.Missing)
			}
			refused := strings.Contains(a.Error, "not permitted") || strings.Contains(a.Error, "permission denied") || strings.Contains(a.Error, "not implemented")
			if (c.needs != nothing) != refused || c.needs == nothing && a.Error != "" {
				t.Errorf("%q under %s", a.Error, a.State)
			}
			if raw, err := os.ReadFile(filepath.Join(dir, "deep", "model")); err != nil || string(raw) != "weights" {
				t.Errorf("afterwards the model is %q, %v", raw, err)
			}
		})
	}
}

// What is said to be in force is what this kernel has.
func TestStateIsTrue(t *testing.T) {
	dir := setUp(t)
	s := attack(t, "reading itself", dir, Policy{}).State
	abi, err := version()
	want := None
	if err == nil {
		want = "v" + strconv.Itoa(abi)
	}
	if s.Landlock != want || s.Loosened || (s.Missing == "") != (err == nil && s.Seccomp) {
		t.Errorf("%+v, want Landlock %s (%v)", s, want, err)
	}
	if s := attack(t, "reading itself", dir, Policy{Devices: true}).State; !s.Loosened {
		t.Errorf("%+v, want loosened", s)
	}
	t.Log(s)
}

// A kernel without them is served all the same, and the state says what is missing.
func TestKernelsThatLackIt(t *testing.T) {
	full := attack(t, "reading itself", setUp(t), Policy{}).State
	if !full.Seccomp {
		t.Skip("without seccomp there is no way to hide anything")
	}
	for lacks, want := range map[string]State{
		"landlock":                  {Landlock: None, Seccomp: true, Missing: "the kernel has no Landlock"},
		"seccomp":                   {Landlock: full.Landlock, Missing: strings.TrimPrefix(full.Missing+"; the kernel has no filters of system calls (seccomp)", "; ")},
		"both landlock and seccomp": {Landlock: None, Missing: "the kernel has no Landlock; the kernel has no filters of system calls (seccomp)"},
	} {
		dir := setUp(t)
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{attackVariable + "=reading what it may", "SANDBOX_TEST_DIR=" + dir, "SANDBOX_TEST_LACKS=" + lacks, Policy{Read: []string{dir}}.Environ()}
		out, err := cmd.Output()
		var a answer
		if err != nil || json.Unmarshal(out, &a) != nil || a.Error != "" || a.State != want {
			t.Errorf("without %s: %v %s, want %+v", lacks, err, out, want)
		}
	}
}

// The variable that says a process has confined itself already is not believed: it is tried.
func TestALieIsFoundOut(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{attackVariable + "=reading itself", stageVariable + "=v99"}
	out, err := cmd.Output()
	var a answer
	if err != nil || json.Unmarshal(out, &a) != nil || a.State.Landlock != None || !strings.Contains(a.State.Missing, "does not hold") {
		t.Errorf("%v %s", err, out)
	}
}

func TestDevicesAreOpenedToWriteOnlyWhenAsked(t *testing.T) {
	run := func(p Policy, c [2]uint64) uint32 {
		return evaluate(t, filter(p, 77), unix.SYS_OPENAT, arch, 0, 0, c[0])
	}
	if run(Policy{}, [2]uint64{unix.O_RDWR}) != no || run(Policy{}, [2]uint64{unix.O_RDONLY | unix.O_CLOEXEC}) != yes || run(Policy{Devices: true}, [2]uint64{unix.O_RDWR}) != yes {
		t.Error("opening for writing")
	}
}

// The filter by itself: other architectures' numbers, structures, pointers above 4 GiB.
func TestFilter(t *testing.T) {
	f := filter(Policy{}, 77)
	for _, c := range []struct {
		what   string
		number uint32
		arch   uint32
		args   []uint64
		want   uint32
	}{
		{"a 32-bit call", 359, unix.AUDIT_ARCH_I386, nil, unix.SECCOMP_RET_KILL_PROCESS},
		{"an ARM call", 281, unix.AUDIT_ARCH_ARM, nil, unix.SECCOMP_RET_KILL_PROCESS},
		{"futex", unix.SYS_FUTEX, arch, nil, yes},
		{"a new call", 9999, arch, nil, yes},
		{"a thread", unix.SYS_CLONE, arch, []uint64{unix.CLONE_VM | unix.CLONE_THREAD}, yes},
		{"a process", unix.SYS_CLONE, arch, []uint64{unix.CLONE_VM | unix.CLONE_VFORK}, no},
		{"clone3", unix.SYS_CLONE3, arch, nil, absent},
		{"its own end", unix.SYS_KILL, arch, []uint64{77}, yes},
		{"another's end", unix.SYS_KILL, arch, []uint64{78}, no},
		{"its group's end", unix.SYS_KILL, arch, []uint64{0}, no},
		{"asking for a limit", unix.SYS_PRLIMIT64, arch, []uint64{0, 2, 0}, yes},
		{"setting one", unix.SYS_PRLIMIT64, arch, []uint64{0, 2, 0x7f00_0000_1000}, no},
		{"setting one from a round address", unix.SYS_PRLIMIT64, arch, []uint64{0, 2, 0x7f_0000_0000}, no},
		{"ioctl", unix.SYS_IOCTL, arch, []uint64{0, unix.TCGETS}, yes},
		{"after all conditions", unix.SYS_CLOCK_GETTIME, arch, []uint64{1}, yes},
	} {
		if got := evaluate(t, f, c.number, c.arch, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.what, got, c.want)
		}
	}
	if x32 != 0 && evaluate(t, f, x32+1, arch) != absent {
		t.Error("a call of the x32 interface")
	}
	if len(f) > 4096 {
		t.Errorf("%d instructions, the kernel takes 4096", len(f))
	}
}

// evaluate runs the few instructions that the assembler writes.
func evaluate(t *testing.T, code []unix.SockFilter, number, arch uint32, args ...uint64) uint32 {
	t.Helper()
	words := map[uint32]uint32{offNumber: number, offArch: arch}
	for i := range uint32(6) {
		var v uint64
		if int(i) < len(args) {
			v = args[i]
		}
		words[offArgs+8*i], words[offArgs+8*i+4] = uint32(v), uint32(v>>32)
	}
	var acc uint32
	for pc := 0; pc < len(code); pc++ {
		in := code[pc]
		hit := false
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			v, ok := words[in.K]
			if !ok {
				t.Fatalf("load from %d", in.K)
			}
			acc = v
			continue
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			hit = acc == in.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			hit = acc >= in.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			hit = acc&in.K != 0
		default:
			t.Fatalf("instruction %#x", in.Code)
		}
		if hit {
			pc += int(in.Jt)
		} else {
			pc += int(in.Jf)
		}
	}
	t.Fatal("no decision")
	return 0
}

func TestNoLandlockIsSaid(t *testing.T) {
	if err := files(Policy{Read: []string{strings.Repeat("x", 5000)}}); err == nil || errors.Is(err, unix.EFAULT) {
		t.Errorf("a name that is too long gave %v", err)
	}
}
