package fsx

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/fault"
)

func TestMountType(t *testing.T) {
	table := `22 27 0:21 / /proc rw,relatime - proc proc rw
not a line
41 29 0:52 / /media/stick rw,nosuid - fuse.sshfs host:/x rw
42 29 0:53 / /media/a\040b rw,nosuid shared:1 master:2 - fuse.exFAT /dev/sdb1 rw
43 29 0:52 / /media/again rw - fuse.glusterfs host:/y rw`
	for device, want := range map[string]string{"0:21": "proc", "0:53": "fuse.exfat", "0:52": "fuse.glusterfs", "9:9": ""} {
		if got := mountType(strings.NewReader(table), device); got != want {
			t.Errorf("device %s: %q, want %q", device, got, want)
		}
	}
}

func TestFSKindOfProcAndShm(t *testing.T) {
	if k, err := FSKind("/proc"); err != nil || !strings.HasPrefix(k.Name, "unknown (0x") {
		t.Errorf("/proc: %+v, %v", k, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || uint32(st.Type) != 0x01021994 {
		t.Skip("/dev/shm is no tmpfs here")
	}
	if k, err := FSKind("/dev/shm/not/there"); err != nil || k.Name != "tmpfs" {
		t.Errorf("/dev/shm: %+v, %v", k, err)
	}
}

// A full disk is E-SPACE and a read-only one E-ROOT-READONLY: by mounts where the test may mount, in a namespace of
// its own.
func TestFullAndReadOnlyDisk(t *testing.T) {
	if os.Getenv("FSX_TEST_MOUNT") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullAndReadOnlyDisk$", "-test.v")
		cmd.Env = append(os.Environ(), "FSX_TEST_MOUNT=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "no mounts here") || (err != nil && len(out) == 0) {
			t.Skipf("no namespaces or mounts here: %v", err)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no mounts here: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := WriteFile(root, "small", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, WriteFile(root, "small", make([]byte, 1<<20), 0o644), fault.Space)
	if got, _ := os.ReadFile(filepath.Join(dir, "small")); string(got) != "x" {
		t.Errorf("the old file holds %d bytes, want it untouched", len(got))
	}
	if got := names(t, dir); got != "small" {
		t.Errorf("left: %q", got)
	}
	want(t, CheckSpace(dir, 1<<20), fault.Space)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("no mounts here: %v", err)
	}
	want(t, WriteFile(root, "small", nil, 0o644), fault.RootReadonly)
	want(t, RemoveAll(root, "small"), fault.RootReadonly)
	err = WritableProbe(filepath.Join(dir, "deeper", "root"))
	want(t, err, fault.RootReadonly)
	if d := fault.DetailOf(err); d["path"] != dir || d["folder"] != dir || d["account"] == nil {
		t.Errorf("detail %v, want path, folder and account", d)
	}
}
