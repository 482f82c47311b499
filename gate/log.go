package gate

import (
	"crypto/rand"
	"time"

	"sluice/audit"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// event is the gate's name in the logs.
const event = "check"

// refused writes the refusal into the stage's log where that is possible, and gives its incident id. Nothing that goes
// wrong here changes the answer.
func (j *judge) refused(err error) string {
	if fault.CodeOf(err) == fault.Cancelled {
		return ""
	}
	detail := fault.DetailOf(err)
	for _, k := range []string{slot.DetailOp, slot.DetailBecomes, slot.DetailResult} {
		delete(detail, k)
	}
	detail["message"] = err.Error()
	e, ok := j.write(audit.Entry{Status: audit.StatusRefused, Code: string(fault.CodeOf(err)), Detail: detail})
	j.answer.Logged = ok
	if ok {
		return e.Incident
	}
	id, ierr := audit.NewIncident(rand.Reader)
	if ierr != nil {
		return ""
	}
	return id
}

// opened writes that the gate is open again when the last thing it wrote was a refusal: the log holds changes, not
// every question.
func (j *judge) opened() {
	logs, err := j.logs()
	if err != nil {
		return
	}
	lines, err := logs.Read(audit.Log(j.o.Stage.Log()), audit.Filter{Event: event, Last: 1})
	if err != nil || len(lines) == 1 && lines[0].Entry.Status != audit.StatusRefused && !j.remindTime(lines[0].Entry.Timestamp) {
		return
	}
	_, j.answer.Logged = j.write(audit.Entry{Status: "open", Artefacts: map[string]string{"manifest.json": j.answer.ManifestSHA384.String()},
		RuntimeFlags: map[string]string{"fallback": FallbackDisabled}})
}

// write appends to the log of an installation that has begun one, where this account may and no writer is at work.
func (j *judge) write(e audit.Entry) (audit.Entry, bool) {
	if j.dir == nil || !j.begun {
		return audit.Entry{}, false
	}
	key, err := j.dir.MachineKey()
	if err != nil {
		return audit.Entry{}, false
	}
	lock, err := j.tryLock()
	if err != nil {
		return audit.Entry{}, false
	}
	defer lock.Unlock()
	e.Stage, e.Event, e.Actor = string(j.o.Stage), event, j.o.Actor
	if j.answer.Emergency != nil {
		if e.RuntimeFlags == nil {
			e.RuntimeFlags = map[string]string{}
		}
		e.RuntimeFlags[slot.FlagEmergency] = "yes"
	}
	logs := audit.Open(audit.Options{Dir: j.dir.Abs(slot.AuditDir), NextDir: j.dir.Abs(slot.MachineDir), Key: key, Clock: j.o.Clock, Rand: rand.Reader})
	out, err := logs.Append(audit.Log(j.o.Stage.Log()), e)
	return out, err == nil
}

// tryLock takes the writers' lock for the moment of one entry; it waits for another gate, not for an installer.
func (j *judge) tryLock() (lock *fsx.Held, err error) {
	for range 5 {
		if lock, err = fsx.Lock(j.dir.Abs(slot.LockFile), "check by "+j.o.Actor); fault.CodeOf(err) != fault.Locked {
			return lock, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}
