package hwprobe

import (
	"context"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountedDrives lists what is mounted from devices. Whatever lies in /Volumes beside the system's own disk was
// attached by somebody: a hint only.
func mountedDrives(context.Context) ([]Drive, []Note) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil, []Note{{What: "drives", Reason: err.Error()}}
	}
	list := make([]unix.Statfs_t, n+8)
	n, err = unix.Getfsstat(list, unix.MNT_NOWAIT)
	if err != nil {
		return nil, []Note{{What: "drives", Reason: err.Error()}}
	}
	var out []Drive
	for _, st := range list[:n] {
		d := Drive{
			Device:     unix.ByteSliceToString(st.Mntfromname[:]),
			Mount:      unix.ByteSliceToString(st.Mntonname[:]),
			Filesystem: unix.ByteSliceToString(st.Fstypename[:]),
			SizeBytes:  int64(st.Blocks) * int64(st.Bsize),
			FreeBytes:  int64(st.Bavail) * int64(st.Bsize),
			ReadOnly:   st.Flags&unix.MNT_RDONLY != 0,
		}
		if !strings.HasPrefix(d.Device, "/dev/") {
			continue
		}
		if strings.HasPrefix(d.Mount, "/Volumes/") {
			d.Label, d.Removable = filepath.Base(d.Mount), true
		}
		out = append(out, d)
	}
	return out, nil
}
