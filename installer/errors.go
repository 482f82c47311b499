package installer

import "errors"

// Refusal is an error with the incident id under which the log and every face show it.
type Refusal struct {
	err      error
	incident string
	logged   bool
}

func (r *Refusal) Error() string { return r.err.Error() }

// Unwrap gives the error that was refused with.
func (r *Refusal) Unwrap() error { return r.err }

// Incident is the seven characters to be read out on the phone.
func (r *Refusal) Incident() string { return r.incident }

// Logged says whether the refusal stands in the log; it cannot when the root is not writable.
func (r *Refusal) Logged() bool { return r.logged }

// IncidentOf finds the incident id of an error of this package or of the gate, empty when it has none.
func IncidentOf(err error) string {
	var r interface{ Incident() string }
	if errors.As(err, &r) {
		return r.Incident()
	}
	return ""
}
