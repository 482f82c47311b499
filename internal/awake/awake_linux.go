package awake

import (
	"context"
	"fmt"
	"os"

	"github.com/godbus/dbus/v5"
)

// hold takes an inhibitor lock of systemd-logind (org.freedesktop.login1.Manager.Inhibit): it holds as long as the file
// that it answers with is open, and ends with the process at the latest.
func hold(why string) (drop func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx)) // ends with ctx
	if err != nil {
		return nil, fmt.Errorf("connecting to the system bus: %w", err)
	}
	defer bus.Close()
	var fd dbus.UnixFD
	call := bus.Object("org.freedesktop.login1", "/org/freedesktop/login1").
		CallWithContext(ctx, "org.freedesktop.login1.Manager.Inhibit", 0, "sleep:idle", "Sluice", why, "block")
	if err := call.Store(&fd); err != nil {
		return nil, fmt.Errorf("asking logind: %w", err)
	}
	lock := os.NewFile(uintptr(fd), "inhibitor")
	return func() { _ = lock.Close() }, nil
}
