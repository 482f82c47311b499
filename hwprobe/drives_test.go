package hwprobe

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

const mounts = `27 1 259:2 / / rw,relatime - ext4 /dev/nvme0n1p2 rw
28 27 0:21 / /proc rw - proc proc rw
29 27 8:17 / /media/anna/OEM\040STICK rw,nosuid shared:1 - vfat /dev/sdb1 rw,errors=remount-ro
30 27 8:17 /sub /srv/bind rw - vfat /dev/sdb1 rw
31 27 253:0 / /mnt/vault rw - ext4 /dev/mapper/luks-1 rw
32 27 179:1 / /srv/card ro - exfat /dev/mmcblk1p1 ro
33 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
34 27 0:40 / /srv/data rw - btrfs /dev/sda3 rw
35 27 0:50 / /srv/net rw - nfs4 host:/x rw
36 27 9:99 / /run/media/anna/old rw - ext2 /dev/fd0 rw
`

func stickMachine(t *testing.T) string {
	usb := "sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/"
	disk := usb + "block/sdb"
	return machine(t, map[string]string{
		"proc/self/mountinfo":                        mounts,
		disk + "/removable":                          "0\n", // many sticks call themselves fixed
		disk + "/device":                             "-> ../../../6:0:0:0",
		usb + "model":                                "Ultra Fit\n",
		disk + "/size":                               "60000000",
		disk + "/sdb1/partition":                     "1",
		"sys/class/block/sdb1":                       "-> ../../" + disk[4:] + "/sdb1",
		"sys/class/block/sdb":                        "-> ../../" + disk[4:],
		"sys/block/sdb":                              "-> ../" + disk[4:],
		"sys/dev/block/8:17":                         "-> ../../" + disk[4:] + "/sdb1",
		"run/udev/data/b8:17":                        "E:ID_FS_LABEL=OEM_STICK\nE:ID_FS_LABEL_ENC=OEM\\x20STICK\n",
		"sys/dev/block/253:0":                        "-> ../../devices/virtual/block/dm-0",
		"sys/devices/virtual/block/dm-0/slaves/sdc1": "-> ../../../../pci0000:00/0000:00:14.0/usb3/3-1/block/sdc/sdc1",
		"sys/class/block/dm-0":                       "-> ../../devices/virtual/block/dm-0",
		"sys/class/block/sdc1":                       "-> ../../devices/pci0000:00/0000:00:14.0/usb3/3-1/block/sdc/sdc1",
		"sys/class/block/sdc":                        "-> ../../devices/pci0000:00/0000:00:14.0/usb3/3-1/block/sdc",
		"sys/devices/pci0000:00/0000:00:14.0/usb3/3-1/block/sdc/sdc1/partition": "1",
		"sys/devices/pci0000:00/0000:00:14.0/usb3/3-1/block/sdc/removable":      "1",
		"sys/dev/block/179:1":       "-> ../../devices/platform/mmc1/block/mmcblk1/mmcblk1p1",
		"sys/class/block/mmcblk1p1": "-> ../../devices/platform/mmc1/block/mmcblk1/mmcblk1p1",
		"sys/class/block/mmcblk1":   "-> ../../devices/platform/mmc1/block/mmcblk1",
		"sys/devices/platform/mmc1/block/mmcblk1/mmcblk1p1/partition": "1",
		"sys/devices/platform/mmc1/block/mmcblk1/device/type":         "SD\n",
		"sys/dev/block/259:2":       "-> ../../devices/pci0000:00/nvme/nvme0/nvme0n1/nvme0n1p2",
		"sys/class/block/nvme0n1p2": "-> ../../devices/pci0000:00/nvme/nvme0/nvme0n1/nvme0n1p2",
		"sys/class/block/nvme0n1":   "-> ../../devices/pci0000:00/nvme/nvme0/nvme0n1",
		"sys/devices/pci0000:00/nvme/nvme0/nvme0n1/nvme0n1p2/partition": "2",
		"sys/devices/pci0000:00/nvme/nvme0/nvme0n1/removable":           "0",
		"dev/disk/by-label/data\\x2fset":                                "-> ../../sda3",
	})
}

func TestDrivesOfAMachineWithSticks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("snapshots of Linux machines are read on Linux")
	}
	m := Probe(t.Context(), Options{Root: stickMachine(t), Timeout: time.Minute})
	byMount := map[string]Drive{}
	for _, d := range m.Drives {
		byMount[d.Mount] = d
	}
	for _, want := range []Drive{
		{Device: "/dev/sdb1", Mount: "/media/anna/OEM STICK", Label: "OEM STICK", Filesystem: "vfat", Model: "Ultra Fit", Removable: true, USB: true},
		{Device: "/dev/mapper/luks-1", Mount: "/mnt/vault", Filesystem: "ext4", Removable: true, USB: true},
		{Device: "/dev/mmcblk1p1", Mount: "/srv/card", Filesystem: "exfat", Removable: true, ReadOnly: true},
		{Device: "/dev/fd0", Mount: "/run/media/anna/old", Filesystem: "ext2", Removable: true},
		{Device: "/dev/nvme0n1p2", Mount: "/", Filesystem: "ext4"},
		{Device: "/dev/sda3", Mount: "/srv/data", Label: "data/set", Filesystem: "btrfs"},
	} {
		if got := byMount[want.Mount]; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	for _, none := range []string{"/snap/core/1", "/srv/net", "/proc", "/srv/bind"} {
		if d, ok := byMount[none]; ok {
			t.Errorf("%q is listed: %+v", none, d)
		}
	}
	sorted := slices.IsSortedFunc(m.Drives, func(a, b Drive) int {
		if a.Removable == b.Removable {
			return 0
		}
		if a.Removable {
			return -1
		}
		return 1
	})
	if !sorted {
		t.Errorf("removable drives are not first: %+v", m.Drives)
	}
}

func TestDrivesOfThisMachine(t *testing.T) {
	began := time.Now()
	drives, notes := Drives(t.Context())
	if drives == nil || notes == nil {
		t.Error("nil lists are null in JSON")
	}
	if time.Since(began) > 30*time.Second {
		t.Errorf("took %v", time.Since(began))
	}
	for _, d := range drives {
		if d.Mount == "" || d.SizeBytes < 0 || d.FreeBytes > d.SizeBytes {
			t.Errorf("odd drive %+v", d)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a\040b`: "a b", `a\134b`: `a\b`, `a\04`: `a\04`, `\999`: `\999`, `\777`: `\777`, "plain": "plain"} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{`a\x20b`: "a b", `\x`: `\x`, `\xzz`: `\xzz`, `\xff`: "?"} {
		if got := unhex(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
