package ort

import (
	"maps"
	"testing"
	"unsafe"
)

// The words of the library's log, as releases 1.18 to 1.30 write them where nodes lie on two providers. No GPU is needed to
// see that a fallback to the CPU would be noticed.
func TestLogTellsTheProvidersApart(t *testing.T) {
	listening.Lock()
	if listening.sessions == nil {
		listening.sessions = map[uintptr]map[string]int{}
	}
	const id = 1 << 40 // no session's
	listening.sessions[id] = nil
	listening.Unlock()
	defer listening.forget(id)
	say := func(id uintptr, text string) {
		b := append([]byte(text), 0)
		logged(id, logVerbose, 0, 0, 0, uintptr(unsafe.Pointer(&b[0])))
	}
	for _, text := range []string{"", "Creating BFCArena", " All nodes placed nowhere", " Node(s) placed on [../x]. Number of nodes: 3", " Node(s) placed on [X]. Number of nodes: 99999999999"} {
		say(id, text)
	}
	if got := listening.heard(id); got != nil {
		t.Errorf("heard %v where nothing was said", got)
	}
	for _, text := range []string{"Node placements", " Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 40", "  MatMul (a)", " Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2"} {
		say(id, text)
	}
	say(id+1, " All nodes placed on [CPUExecutionProvider]. Number of nodes: 9")
	if got := listening.heard(id); !maps.Equal(got, map[string]int{"cuda": 40, "cpu": 2}) {
		t.Errorf("heard %v", got)
	}
}
