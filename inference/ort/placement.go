package ort

import (
	"maps"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// The C API of 1.18 has no call that tells which execution provider each node was placed on; the library's log does, in
// words that have not changed from 1.18 to 1.30. So each session is opened with a log function of ours that listens for
// them. What is not understood leaves the placement unknown, which is never taken for a proof.

// Severities of the library's log (OrtLoggingLevel).
const (
	logVerbose = 0
	logWarning = 2
)

const placementsFollow = "Node placements"

var placed = regexp.MustCompile(`^\s*(?:All nodes|Node\(s\)) placed on \[([A-Za-z0-9_]+)\]\. Number of nodes: ([0-9]{1,9})\s*$`)

// listeners are the sessions that are being opened or in use, by the number that the library hands to the log function.
// Callbacks cannot be given back, so the process has one for all.
type listeners struct {
	sync.Mutex
	last     uintptr
	sessions map[uintptr]map[string]int
	fn       uintptr
}

var listening listeners

// listen makes the session options log to us and gives the number of the listener.
func (l *Library) listen(opts uintptr) (uintptr, error) {
	listening.Lock()
	if listening.fn == 0 {
		listening.fn = callback(logged)
		listening.sessions = map[uintptr]map[string]int{}
	}
	listening.last++
	id := listening.last
	listening.sessions[id] = nil
	listening.Unlock()
	err := l.do(fnSetUserLoggingFunction, opts, listening.fn, id)
	if err == nil {
		err = l.do(fnSetSessionLogSeverity, opts, logVerbose)
	}
	return id, err
}

func (*listeners) forget(id uintptr) {
	listening.Lock()
	delete(listening.sessions, id)
	listening.Unlock()
}

func (*listeners) heard(id uintptr) map[string]int {
	listening.Lock()
	defer listening.Unlock()
	return listening.sessions[id]
}

// logged is an OrtLoggingFunction. The library calls it from whatever thread it likes. All but placements is dropped: errors
// come back from the call that they belong to.
func logged(id, severity, _, _, _, message uintptr) uintptr {
	if int32(severity) >= logWarning {
		return 0
	}
	first := *(*byte)(pointer(message))
	if first != ' ' && first != placementsFollow[0] { // most messages: not worth reading
		return 0
	}
	text := goString(message)
	m := placed.FindStringSubmatch(text)
	if m == nil && strings.TrimSpace(text) != placementsFollow {
		return 0
	}
	listening.Lock()
	defer listening.Unlock()
	nodes, ok := listening.sessions[id]
	if !ok {
		return 0
	}
	if nodes == nil {
		nodes = map[string]int{}
		listening.sessions[id] = nodes
	}
	if m != nil {
		n, _ := strconv.Atoi(m[2]) // nine digits at most
		nodes[providerName(m[1])] += n
	}
	return 0
}

// providerName is "cpu" for "CPUExecutionProvider".
func providerName(s string) string {
	return strings.ToLower(strings.TrimSuffix(s, "ExecutionProvider"))
}

// Placement says how many nodes of the optimized model, branches included, the library placed on each execution provider,
// by names such as "cpu" and "cuda". A model that was folded into constants has no nodes. nil means that it did not say.
func (s *Session) Placement() map[string]int { return maps.Clone(s.placement) }

// quiet keeps a run's log to what is wrong.
func (l *Library) quiet(runOptions uintptr) error {
	return l.do(fnRunOptionsSetLogSeverity, runOptions, logWarning)
}
