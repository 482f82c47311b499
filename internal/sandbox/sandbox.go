// Package sandbox takes from a child process what inference never needs: files other than the model's, the network, new
// processes, new files. It uses what the kernel offers and says what is in force; it refuses nothing where a kernel offers
// nothing. Limits of memory and time are set elsewhere, and so is the deadline.
package sandbox

import (
	"encoding/json"
	"strings"
)

// Policy is what a child may still do. The zero value is the strictest: the system's libraries and the child's own program
// can be read, nothing else.
type Policy struct {
	Read    []string `json:"read,omitempty"`    // files, and folders with everything below, that may be read
	Devices bool     `json:"devices,omitempty"` // an accelerator's driver may be used: its device files and its folders in /proc and /sys
}

// State is what is in force, each part tried after it was asked for. It is evidence: JSON names are a contract.
type State struct {
	Landlock string `json:"landlock"`           // "v" and the version of the kernel's interface, or "none"
	Seccomp  bool   `json:"seccomp"`            // system calls are filtered
	Job      bool   `json:"job,omitempty"`      // Windows: the process is in a job object with limits
	Loosened bool   `json:"loosened,omitempty"` // Policy.Devices
	Missing  string `json:"missing,omitempty"`  // why a part is not in force; "" when none is missing
}

// None is Landlock's value where it is not in force.
const None = "none"

// String names the parts in force, for people: "landlock v7, seccomp".
func (s State) String() string {
	var parts []string
	if s.Landlock != "" && s.Landlock != None {
		parts = append(parts, "landlock "+s.Landlock)
	}
	if s.Seccomp {
		parts = append(parts, "seccomp")
	}
	if s.Job {
		parts = append(parts, "job object")
	}
	if len(parts) == 0 {
		return None
	}
	return strings.Join(parts, ", ")
}

func (s *State) miss(why string) {
	s.Missing = strings.TrimPrefix(s.Missing+"; "+why, "; ")
}

// Variable carries a policy to a child, which is not told anything else before it is confined.
const Variable = "SLUICE_CONFINE"

// stageVariable says, in a child that has confined its files and started itself again, how that went.
const stageVariable = "SLUICE_CONFINED"

// Environ is the entry of a child's environment that carries the policy.
func (p Policy) Environ() string {
	raw, err := json.Marshal(p)
	if err != nil { // strings and a bool: it cannot be
		raw = []byte("{}")
	}
	return Variable + "=" + string(raw)
}

// parse reads a policy; what is no policy is the strictest one.
func parse(text string) Policy {
	var p Policy
	if json.Unmarshal([]byte(text), &p) != nil {
		return Policy{}
	}
	return p
}
