package hwprobe

import "context"

// Drives lists mounted file systems with what tells removable media apart, removable ones first. It is a hint:
// a person may always name a folder.
func Drives(ctx context.Context) ([]Drive, []Note) { return nil, nil }
