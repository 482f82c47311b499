package launch

import (
	"bytes"
	"sync"
)

// maxWords is how much of the child's standard error is kept, bytes: the beginning, where the reason stands.
const maxWords = 256 << 10

// report listens for the painted line on the child's standard output.
type report struct {
	painted chan struct{}
	seen    []byte
	told    bool
}

func (r *report) Write(p []byte) (int, error) {
	if !r.told && len(r.seen) < 4096 {
		r.seen = append(r.seen, p...)
		if bytes.Contains(r.seen, []byte(paintedLine)) {
			r.told = true
			close(r.painted)
		}
	}
	return len(p), nil
}

// tail keeps what the child writes on standard error, and closes hopeless when it says that no window will ever come:
// without OpenGL it would wait for ever.
type tail struct {
	mu       sync.Mutex
	kept     []byte
	isOpen   bool
	told     bool
	hopeless chan struct{}
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p[:min(len(p), maxWords-len(t.kept))]...)
	if !t.isOpen && !t.told && bytes.HasSuffix(t.kept, []byte("\n")) && hopelessWords.Match(t.kept) {
		t.told = true
		close(t.hopeless)
	}
	return len(p), nil
}

// opened forgets the words of the start: what comes now belongs to a window that is there.
func (t *tail) opened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.isOpen, t.kept = true, nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
