package awake

import (
	"errors"
	"runtime"

	"golang.org/x/sys/windows"
)

// Flags of SetThreadExecutionState (winbase.h).
const (
	esContinuous     = 0x80000000
	esSystemRequired = 0x00000001
)

var setThreadExecutionState = windows.NewLazySystemDLL("kernel32.dll").NewProc("SetThreadExecutionState")

// hold tells Windows that the system is required. That is a matter of a thread, so one is kept for it.
func hold(string) (drop func(), err error) {
	if err := setThreadExecutionState.Find(); err != nil {
		return nil, err
	}
	end, began := make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if before, _, _ := setThreadExecutionState.Call(esContinuous | esSystemRequired); before == 0 {
			began <- errors.New("SetThreadExecutionState gives 0")
			return
		}
		began <- nil
		<-end
		_, _, _ = setThreadExecutionState.Call(esContinuous)
	}()
	if err := <-began; err != nil {
		return nil, err
	}
	return func() { close(end) }, nil
}
