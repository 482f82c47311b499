// Package awake keeps the computer from falling asleep by itself while long work runs, by the means of each system. It
// does not keep anybody from closing the lid or pressing the power button, and it is no reason for work to fail: where
// the system offers nothing, nothing is held, and the caller knows.
package awake

import (
	"sync"
	"time"
)

// patience is how long asking the system may take; work begins without it afterwards.
const patience = 2 * time.Second

// Hold asks the system not to fall asleep for want of input until release is called; why is shown to whoever asks the
// system what keeps it awake. held is false where that was not possible. release is never nil and may be called twice.
func Hold(why string) (release func(), held bool) {
	drop, err := hold(why)
	if err != nil {
		return func() {}, false
	}
	return sync.OnceFunc(drop), true
}
