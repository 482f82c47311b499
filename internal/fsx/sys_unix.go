//go:build unix

package fsx

import (
	"errors"

	"golang.org/x/sys/unix"
)

const (
	dirSyncs = true
	noFollow = unix.O_NOFOLLOW
)

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func readOnly(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS)
}

// transient: Unix renames and removes files that others hold open.
func transient(error) bool { return false }

// unsupported are the answers of file systems that cannot sync a folder.
func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS)
}

func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return clampMul(uint64(max(st.Bavail, 0)), uint64(st.Bsize)), nil
}

func clampMul(a, b uint64) int64 {
	const top = 1<<63 - 1
	if b != 0 && a > top/b {
		return top
	}
	return int64(a * b)
}
