package sandbox

import "golang.org/x/sys/unix"

const (
	arch = unix.AUDIT_ARCH_AARCH64
	x32  = 0
	open = 0 // there is only openat
)

var deniedHere = []uint32{unix.SYS_KEXEC_FILE_LOAD}
