package fsx

import "golang.org/x/sys/unix"

func fsKind(path string) (Kind, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Kind{}, err
	}
	return kindNamed(unix.ByteSliceToString(st.Fstypename[:])), nil
}
