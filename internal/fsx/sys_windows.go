package fsx

import (
	"errors"
	"strings"

	"golang.org/x/sys/windows"
)

const (
	dirSyncs = false
	noFollow = 0
)

func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

func readOnly(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_WRITE_PROTECT) ||
		errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD)
}

// transient are the answers while another program holds a file open. Access denied is among them: that is what a
// rename onto a file being scanned, or one whose removal is pending, gives.
func transient(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_LOCK_VIOLATION) ||
		errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_DELETE_PENDING)
}

func unsupported(error) bool { return false }

func freeBytes(path string) (int64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var free, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, &total, &all); err != nil {
		return 0, err
	}
	return int64(min(free, 1<<63-1)), nil
}

func fsKind(path string) (Kind, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return Kind{}, err
	}
	volume := make([]uint16, windows.MAX_LONG_PATH)
	if err := windows.GetVolumePathName(p, &volume[0], uint32(len(volume))); err != nil {
		return Kind{}, err
	}
	if windows.GetDriveType(&volume[0]) == windows.DRIVE_REMOTE {
		return kindNamed("network"), nil
	}
	name := make([]uint16, windows.MAX_PATH+1)
	if err := windows.GetVolumeInformation(&volume[0], nil, 0, nil, nil, nil, &name[0], uint32(len(name))); err != nil {
		return Kind{}, err
	}
	return kindNamed(strings.ToLower(windows.UTF16ToString(name))), nil
}
