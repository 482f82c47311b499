// Package machineid reads the identifier that the operating system gave this installation of itself. It does not
// judge it: the identifier can be copied, and is missing in many containers.
package machineid

import "context"

// ID is the identifier, or why there is none.
type ID struct {
	Value  string `json:"value"`            // lower case; "" when there is none
	Source string `json:"source"`           // where it was read: "/etc/machine-id", …
	Reason string `json:"reason,omitempty"` // why there is none
}

// Read asks the system. A missing identifier is a result with a reason.
func Read(ctx context.Context) ID { return ID{} }
