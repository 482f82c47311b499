//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// systemLibraries hold the C library and its loader, which is a program; systemReads are what Go's runtime and an engine
// that counts processors read. What is not there is left out.
var (
	systemLibraries = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/nix/store", "/gnu/store"}
	systemReads     = []string{
		"/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
		"/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory",
		"/sys/devices/system", "/sys/kernel/mm/transparent_hugepage", "/sys/fs/cgroup",
		"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
	}
)

// deviceReads and deviceFiles are what the CUDA driver reads, and opens for reading and writing.
var (
	deviceReads = []string{"/proc", "/sys", "/usr/local/cuda", "/opt/cuda", "/usr/local/nvidia", "/run/opengl-driver", "/run/nvidia-persistenced", "/etc/nvidia"}
	deviceFiles = []string{"/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/nvhost*", "/dev/nvmap"}
)

const (
	reads   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	program = unix.LANDLOCK_ACCESS_FS_EXECUTE | reads
	onFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// Files confines the process to the files of its policy and starts the program again, since Landlock binds the calling
// thread and its children only, and Go has many threads; the new image inherits it in all of them. It is called before
// anything else, returns at once in the new image, and returns in the old one when the kernel offers no Landlock or refuses.
// Arguments, standard streams and inherited files stay as they are.
func Files() {
	if _, done := os.LookupEnv(stageVariable); done {
		return
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: a thread that is confined half-way ends with this goroutine
		failed <- files(parse(os.Getenv(Variable)))
	}()
	err := <-failed
	_ = os.Setenv(stageVariable, "none: "+err.Error())
}

func files(p Policy) error {
	abi, err := version()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ruleset, err := newRuleset(abi)
	if err != nil {
		return err
	}
	defer unix.Close(ruleset.fd)
	if err := ruleset.fill(p, self); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset.fd), 0, 0); e != 0 {
		return fmt.Errorf("landlock_restrict_self: %w", e)
	}
	env := append(os.Environ(), stageVariable+"=v"+strconv.Itoa(abi))
	return fmt.Errorf("starting %q again: %w", self, syscall.Exec(self, os.Args, env))
}

// version is the kernel's Landlock interface, from 1.
func version() (int, error) {
	n, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errors.Is(e, unix.ENOSYS):
		return 0, errors.New("the kernel has no Landlock")
	case errors.Is(e, unix.EOPNOTSUPP):
		return 0, errors.New("Landlock is switched off in this kernel")
	case e != 0:
		return 0, fmt.Errorf("asking for Landlock: %w", e)
	}
	return int(n), nil
}

type ruleset struct {
	fd      int
	handled uint64
}

// newRuleset handles all that this version of the interface can forbid (landlock(7)).
func newRuleset(abi int) (ruleset, error) {
	var attr struct{ fs, net, scoped uint64 }
	attr.fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	if abi >= 2 {
		attr.fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		attr.fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		attr.net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		attr.fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		attr.scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return ruleset{}, fmt.Errorf("landlock_create_ruleset: %w", e)
	}
	return ruleset{fd: int(fd), handled: attr.fs}, nil
}

func (r ruleset) fill(p Policy, self string) error {
	all := func(access uint64, paths ...string) error {
		for _, path := range paths {
			if err := r.allow(path, access); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(all(program, self), all(program, systemLibraries...), all(reads, systemReads...), all(reads, p.Read...)); err != nil || !p.Devices {
		return err
	}
	var devices []string
	for _, pattern := range deviceFiles {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		devices = append(devices, found...)
	}
	return errors.Join(all(reads, deviceReads...), all(reads|unix.LANDLOCK_ACCESS_FS_WRITE_FILE|unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, devices...))
}

// allow adds a rule for a file, or a folder and all below. What is not there needs no rule.
func (r ruleset) allow(path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("looking at %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= onFiles
	}
	// The kernel's struct is packed: 12 bytes, which unsafe.Sizeof does not say and the kernel does not ask.
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access & r.handled, Parent_fd: int32(fd)}
	if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); e != 0 {
		return fmt.Errorf("landlock_add_rule for %q: %w", path, e)
	}
	return nil
}

// landlocked tries it: no policy lets the root folder be read.
func landlocked() bool {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return errors.Is(err, unix.EACCES)
}
