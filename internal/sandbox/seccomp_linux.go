//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls filters the system calls of all threads, for good, and says what is in force. It is called when the limits of
// resources are set and before an engine is loaded.
func Calls() State {
	p := parse(os.Getenv(Variable))
	s := State{Landlock: None, Loosened: p.Devices}
	stage := os.Getenv(stageVariable)
	switch why, no := strings.CutPrefix(stage, "none: "); {
	case no:
		s.miss(why)
	case landlocked():
		s.Landlock = stage
	default:
		s.miss("Landlock was asked for and does not hold")
	}
	if err := install(filter(p, os.Getpid())); err != nil {
		s.miss(err.Error())
		return s
	}
	if s.Seccomp = filtered(); !s.Seccomp {
		s.miss("seccomp was asked for and does not hold")
	}
	return s
}

// install loads the filter into every thread of the process at once (seccomp(2), SECCOMP_FILTER_FLAG_TSYNC).
func install(code []unix.SockFilter) error {
	runtime.LockOSThread() // no_new_privs is a thread's own until the filter is shared
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	r, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errors.Is(e, unix.ENOSYS), errors.Is(e, unix.EINVAL):
		return errors.New("the kernel has no filters of system calls (seccomp)")
	case e != 0:
		return fmt.Errorf("seccomp: %w", e)
	case r != 0:
		return fmt.Errorf("seccomp: thread %d does not take the filter", r)
	}
	return nil
}

// filtered tries it with a call that the filter alone forbids.
func filtered() bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return errors.Is(err, unix.EPERM)
}

// denied are calls that no inference needs, on every processor; deniedHere are older twins of them. Reading files, memory,
// threads and their locks, clocks and pipes stay.
var denied = []uint32{
	// network
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	// other programs and processes
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
	unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PROCESS_MADVISE, unix.SYS_TKILL,
	unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_SETPGID, unix.SYS_SETSID, unix.SYS_SETPRIORITY,
	// files that change
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
	unix.SYS_UTIMENSAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, fchmodat2, unix.SYS_MQ_OPEN, unix.SYS_INOTIFY_INIT1, unix.SYS_FANOTIFY_INIT,
	// memory beside the limit
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_SETRLIMIT, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	// the system
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_QUOTACTL, unix.SYS_ACCT,
	unix.SYS_REBOOT, unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_USERFAULTFD, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_PERSONALITY, unix.SYS_VHANGUP,
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS,
	unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_CAPSET,
	// a queue of calls that no filter sees
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_IO_SETUP, unix.SYS_IO_SUBMIT,
}

// fchmodat2 has the same number on every processor (Linux 6.6).
const fchmodat2 = 452

// opensToWrite are the flags of open(2) that change or make files.
const opensToWrite = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | (unix.O_TMPFILE &^ unix.O_DIRECTORY)

// Offsets in struct seccomp_data; arguments are 64 bits, in the order of both processors: low word first.
const (
	offNumber, offArch, offArgs = 0, 4, 16
	yes                         = unix.SECCOMP_RET_ALLOW
	no                          = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent                      = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// filter is the program that the kernel runs before each system call. A call by another architecture's numbers ends the
// process: its numbers mean other calls.
func filter(p Policy, pid int) []unix.SockFilter {
	f := &assembler{}
	f.load(offArch)
	f.unless(arch, unix.SECCOMP_RET_KILL_PROCESS)
	f.load(offNumber)
	for _, n := range []uint32{unix.SYS_FUTEX, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_MADVISE, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_SCHED_YIELD} {
		f.when(n, yes) // what a measured call waits for comes first
	}
	if x32 != 0 {
		f.whenAtLeast(x32, absent)
	}
	for _, n := range append(denied, deniedHere...) {
		f.when(n, no)
	}
	// With structures instead of flags a filter cannot look into: libraries fall back to the older calls.
	f.when(unix.SYS_CLONE3, absent)
	f.when(unix.SYS_OPENAT2, absent)
	if !p.Devices { // drivers open their devices to write, and share memory with them
		f.when(unix.SYS_MEMFD_CREATE, no)
		f.whenBits(unix.SYS_OPENAT, 2, opensToWrite)
		if open != 0 {
			f.whenBits(open, 1, opensToWrite)
		}
	}
	f.whenNoBits(unix.SYS_CLONE, 0, unix.CLONE_THREAD) // threads, no processes
	f.whenNot(unix.SYS_KILL, 0, uint32(pid))
	f.whenNot(unix.SYS_TGKILL, 0, uint32(pid))
	f.whenSet(unix.SYS_PRLIMIT64, 2) // asking for a limit stays
	f.whenIs(unix.SYS_IOCTL, 1, unix.TIOCSTI)
	f.whenIs(unix.SYS_IOCTL, 1, unix.TIOCLINUX)
	f.ret(yes)
	return f.code
}

// assembler writes classic BPF. Each rule begins and ends with the call's number in the accumulator.
type assembler struct{ code []unix.SockFilter }

func (a *assembler) add(code uint16, k uint32, jt, jf uint8) {
	a.code = append(a.code, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (a *assembler) load(offset uint32) { a.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }
func (a *assembler) ret(action uint32)  { a.add(unix.BPF_RET|unix.BPF_K, action, 0, 0) }

func (a *assembler) jump(op uint16, k uint32, jt, jf uint8) {
	a.add(unix.BPF_JMP|op|unix.BPF_K, k, jt, jf)
}

func (a *assembler) unless(value, action uint32) {
	a.jump(unix.BPF_JEQ, value, 1, 0)
	a.ret(action)
}

func (a *assembler) when(number, action uint32) {
	a.jump(unix.BPF_JEQ, number, 0, 1)
	a.ret(action)
}

func (a *assembler) whenAtLeast(number, action uint32) {
	a.jump(unix.BPF_JGE, number, 0, 1)
	a.ret(action)
}

// argument refuses a call by the low word of one argument: op and value jump to "refuse" or over it, as inverted says.
func (a *assembler) argument(number, arg uint32, op uint16, value uint32, inverted bool) {
	a.jump(unix.BPF_JEQ, number, 0, 4)
	a.load(offArgs + 8*arg)
	if inverted {
		a.jump(op, value, 1, 0)
	} else {
		a.jump(op, value, 0, 1)
	}
	a.ret(no)
	a.load(offNumber)
}

func (a *assembler) whenBits(number, arg, bits uint32) {
	a.argument(number, arg, unix.BPF_JSET, bits, false)
}
func (a *assembler) whenNoBits(number, arg, bits uint32) {
	a.argument(number, arg, unix.BPF_JSET, bits, true)
}
func (a *assembler) whenIs(number, arg, value uint32) {
	a.argument(number, arg, unix.BPF_JEQ, value, false)
}
func (a *assembler) whenNot(number, arg, value uint32) {
	a.argument(number, arg, unix.BPF_JEQ, value, true)
}

// whenSet refuses a call whose argument is not 0 in either word.
func (a *assembler) whenSet(number, arg uint32) {
	a.jump(unix.BPF_JEQ, number, 0, 6)
	a.load(offArgs + 8*arg)
	a.jump(unix.BPF_JEQ, 0, 0, 2)
	a.load(offArgs + 8*arg + 4)
	a.jump(unix.BPF_JEQ, 0, 1, 0)
	a.ret(no)
	a.load(offNumber)
}
