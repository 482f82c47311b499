package machineid

import (
	"context"

	"golang.org/x/sys/windows/registry"
)

const key = `SOFTWARE\Microsoft\Cryptography`

func read(context.Context) ID {
	// The 64-bit view: a 32-bit program would otherwise be shown another key.
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, key, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return ID{Reason: `opening HKLM\` + key + ": " + err.Error()}
	}
	defer k.Close()
	s, _, err := k.GetStringValue("MachineGuid")
	if err != nil {
		return ID{Reason: `reading HKLM\` + key + `\MachineGuid: ` + err.Error()}
	}
	v, err := clean(s)
	if err != nil {
		return ID{Reason: "MachineGuid: " + err.Error()}
	}
	return ID{Value: v, Source: `HKLM\` + key + `\MachineGuid`}
}
