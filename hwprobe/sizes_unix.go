//go:build unix

package hwprobe

import "golang.org/x/sys/unix"

func statSizes(at string) (size, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return 0, 0, err
	}
	unit := int64(st.Bsize)
	return int64(st.Blocks) * unit, int64(st.Bavail) * unit, nil
}
