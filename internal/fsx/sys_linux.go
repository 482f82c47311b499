package fsx

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// magics are the numbers of statfs(2), from linux/magic.h and the file systems' own headers.
var magics = map[uint32]string{
	0x4d44: "vfat", 0x2011bab0: "exfat", 0x5346544e: "ntfs", 0x7366746e: "ntfs3",
	0x6969: "nfs", 0x517b: "smb", 0xff534d42: "cifs", 0xfe534d42: "smb2", 0x564c: "ncp", 0x5346414f: "afs", 0x6b414653: "afs",
	0x73757245: "coda", 0x00c36400: "ceph", 0x0bd00bd0: "lustre", 0x20030528: "orangefs", 0x01021997: "9p", 0x786f4256: "vboxsf",
	0xbacbacbc: "vmhgfs", 0x7c7c6673: "prl_fs",
	0x9660: "iso9660", 0x15013346: "udf", 0x73717368: "squashfs", 0xe0f5e1e2: "erofs", 0x28cd3d45: "cramfs", 0x7275: "romfs",
	0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0xf2f52010: "f2fs", 0xca451a4e: "bcachefs",
	0x3153464a: "jfs", 0x52654973: "reiserfs", 0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x794c7630: "overlay", 0xf15f: "ecryptfs",
	0x01161970: "gfs2", 0x7461636f: "ocfs2", 0x482b: "hfsplus", 0x4244: "hfs", 0x6a656a63: "virtiofs",
}

const fuseMagic = 0x65735546

func fsKind(path string) (Kind, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Kind{}, err
	}
	magic := uint32(st.Type) //nolint // the field's width differs between architectures
	if name, ok := magics[magic]; ok {
		return kindNamed(name), nil
	}
	if magic == fuseMagic {
		return kindNamed(fuseName(path)), nil
	}
	return kindNamed(fmt.Sprintf("unknown (0x%x)", magic)), nil
}

// fuseName asks the mount table which program serves a FUSE file system; plain "fuse" when it does not say.
func fuseName(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "fuse"
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "fuse"
	}
	defer f.Close()
	want := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	if name := mountType(f, want); name != "" {
		return name
	}
	return "fuse"
}

// mountType finds the type of the last mount of a device (proc_pid_mountinfo(5)). "fuseblk" is what ntfs-3g and
// old exfat tools use.
func mountType(r io.Reader, device string) string {
	found := ""
	s := bufio.NewScanner(r)
	for s.Scan() {
		left, right, ok := strings.Cut(s.Text(), " - ")
		fields, after := strings.Fields(left), strings.Fields(right)
		if ok && len(fields) > 2 && len(after) > 0 && fields[2] == device {
			found = strings.ToLower(after[0])
		}
	}
	return found
}
