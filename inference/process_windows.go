package inference

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

func killedBySystem(*os.ProcessState) bool { return false }

// applyLimits puts the child into a second, nested job object with limits of memory and processor time. The handle stays
// open for the life of the process. 0 leaves memory or time alone.
func applyLimits(dataMiB, cpuSeconds int64) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	if dataMiB > 0 {
		info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY
		info.ProcessMemoryLimit = uintptr(dataMiB) << 20
	}
	if cpuSeconds > 0 {
		info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_PROCESS_TIME
		info.BasicLimitInformation.PerProcessUserTimeLimit = cpuSeconds * 10_000_000 // of 100 ns
	}
	info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
	info.BasicLimitInformation.ActiveProcessLimit = 1
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return err
	}
	return windows.AssignProcessToJobObject(job, windows.CurrentProcess())
}

// residentKiB is how much memory this process had committed at most, 0 when unknown; what it has now is taken to be the same.
func residentKiB() (now, most int64) {
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	if windows.QueryInformationJobObject(0, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil) != nil {
		return 0, 0
	}
	most = int64(info.PeakProcessMemoryUsed >> 10)
	return most, most
}
