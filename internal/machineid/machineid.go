// Package machineid reads the identifier that the operating system gave this installation of itself. It does not
// judge it: the identifier can be copied, and many containers have none.
package machineid

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// ID is the identifier, or why there is none.
type ID struct {
	Value  string `json:"value"`            // lower case; "" when there is none
	Source string `json:"source"`           // where it was read: "/etc/machine-id", …; "" when there is none
	Reason string `json:"reason,omitempty"` // why there is none
}

// Read asks the system. A missing identifier is a result with a reason.
//
// Linux: /etc/machine-id, else /var/lib/dbus/machine-id (machine-id(5)). Windows: MachineGuid of
// HKLM\SOFTWARE\Microsoft\Cryptography, 64-bit view. macOS: IOPlatformUUID.
func Read(ctx context.Context) ID {
	if err := ctx.Err(); err != nil {
		return ID{Reason: err.Error()}
	}
	return read(ctx)
}

// maxFile limits what is read: an identifier has 32 or 36 characters.
const maxFile = 256

// fromFiles takes the first file that holds an identifier.
func fromFiles(paths ...string) ID {
	var why []string
	for _, path := range paths {
		v, err := fromFile(path)
		if err == nil {
			return ID{Value: v, Source: path}
		}
		why = append(why, err.Error())
	}
	return ID{Reason: strings.Join(why, "; ")}
}

func fromFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return "", err
	}
	v, err := clean(string(raw))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// clean accepts 32 hexadecimal digits, or a UUID with dashes, in either case, and no identifier that is the same
// everywhere: all zeros, or systemd's "uninitialized".
func clean(s string) (string, error) {
	v := strings.ToLower(strings.TrimSpace(s))
	digits := v
	if len(v) == 36 && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-' {
		digits = strings.ReplaceAll(v, "-", "")
	}
	switch {
	case v == "":
		return "", fmt.Errorf("empty, want 32 hexadecimal digits")
	case len(digits) != 32 || strings.Trim(digits, "0123456789abcdef") != "":
		return "", fmt.Errorf("%q is no identifier, want 32 hexadecimal digits or a UUID", clip(v))
	case strings.Trim(digits, "0") == "":
		return "", fmt.Errorf("%q is all zeros, want an identifier of this machine", v)
	}
	return v, nil
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
