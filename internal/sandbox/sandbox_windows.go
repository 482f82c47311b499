package sandbox

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// Files confines nothing here.
func Files() {}

// Calls says what is in force here: whether this process is in a job object that lets it start no other.
func Calls() State {
	s := State{Landlock: None}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	err := windows.QueryInformationJobObject(0, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	basic := info.BasicLimitInformation
	switch {
	case err != nil:
		s.miss("asking for the job object: " + err.Error())
	case basic.LimitFlags&windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS == 0 || basic.ActiveProcessLimit != 1:
		s.miss("the system does not show the job object's limits")
	default:
		s.Job = true
	}
	return s
}
