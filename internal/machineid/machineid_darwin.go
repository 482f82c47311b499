package machineid

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"time"
)

// read asks ioreg by its absolute path: the I/O Registry has no interface without a C compiler or private calls.
func read(ctx context.Context) ID {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return ID{Reason: "asking ioreg: " + err.Error()}
	}
	v, err := clean(platformUUID(string(bytes.ToValidUTF8(out, nil))))
	if err != nil {
		return ID{Reason: "IOPlatformUUID: " + err.Error()}
	}
	return ID{Value: v, Source: "IOPlatformUUID"}
}

// platformUUID finds the line `"IOPlatformUUID" = "…"`.
func platformUUID(text string) string {
	for line := range strings.Lines(text) {
		if _, rest, ok := strings.Cut(line, `"IOPlatformUUID" = "`); ok {
			id, _, _ := strings.Cut(rest, `"`)
			return id
		}
	}
	return ""
}
