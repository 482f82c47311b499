package hwprobe

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

func mountedDrives(ctx context.Context) ([]Drive, []Note) {
	mask, err := windows.GetLogicalDrives()
	if err != nil {
		return nil, []Note{{What: "drives", Reason: err.Error()}}
	}
	// A card reader without a card must not open a dialog.
	old := windows.SetErrorMode(windows.SEM_FAILCRITICALERRORS)
	defer windows.SetErrorMode(old)
	var out []Drive
	var notes []Note
	for i := range 26 {
		if mask&(1<<i) == 0 {
			continue
		}
		name := string(rune('A'+i)) + `:\`
		d, err := ask(ctx, 2*time.Second, func() (*Drive, error) { return driveLetter(name) })
		switch {
		case err != nil:
			notes = append(notes, Note{What: "drives", Reason: name + " " + err.Error()})
		case d != nil:
			out = append(out, *d)
		}
	}
	return out, notes
}

// driveLetter describes one drive; nil for network drives, RAM disks and letters without a medium.
func driveLetter(name string) (*Drive, error) {
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	kind := windows.GetDriveType(p)
	if kind != windows.DRIVE_REMOVABLE && kind != windows.DRIVE_FIXED && kind != windows.DRIVE_CDROM {
		return nil, nil
	}
	var flags uint32
	label, fs := make([]uint16, windows.MAX_PATH+1), make([]uint16, windows.MAX_PATH+1)
	err = windows.GetVolumeInformation(p, &label[0], uint32(len(label)), nil, nil, &flags, &fs[0], uint32(len(fs)))
	if err != nil {
		return nil, nil // no medium
	}
	d := &Drive{Device: name, Mount: name, Label: windows.UTF16ToString(label), Filesystem: strings.ToLower(windows.UTF16ToString(fs)),
		Removable: kind != windows.DRIVE_FIXED, ReadOnly: flags&windows.FILE_READ_ONLY_VOLUME != 0}
	d.SizeBytes, d.FreeBytes, _ = statSizes(name)
	if usb(name) { // USB disks call themselves fixed
		d.USB, d.Removable = true, true
	}
	return d, nil
}

const (
	ioctlStorageQueryProperty = 0x2d1400 // winioctl.h
	busTypeUSB                = 7
)

// usb asks for the bus of the disk below a drive letter: STORAGE_DEVICE_DESCRIPTOR.BusType. False when not told.
func usb(name string) bool {
	p, err := windows.UTF16PtrFromString(`\\.\` + strings.TrimSuffix(name, `\`))
	if err != nil {
		return false
	}
	h, err := windows.CreateFile(p, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return false
	}
	defer windows.CloseHandle(h)
	var query [12]byte // STORAGE_PROPERTY_QUERY: StorageDeviceProperty, PropertyStandardQuery
	var answer [1024]byte
	var n uint32
	err = windows.DeviceIoControl(h, ioctlStorageQueryProperty, &query[0], uint32(len(query)), &answer[0], uint32(len(answer)), &n, nil)
	const busAt = 28 // offset of BusType
	return err == nil && n >= busAt+4 && binary.LittleEndian.Uint32(answer[busAt:]) == busTypeUSB
}

func statSizes(at string) (size, free int64, err error) {
	p, err := windows.UTF16PtrFromString(at)
	if err != nil {
		return 0, 0, err
	}
	var mine, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(p, &mine, &total, &all); err != nil {
		return 0, 0, err
	}
	return int64(min(total, 1<<62)), int64(min(mine, 1<<62)), nil
}
