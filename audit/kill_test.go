//go:build unix

package audit

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const killEnv = "SLUICE_AUDIT_TEST_APPEND"

// TestMain lets the test program be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

func logsIn(dir string) *Logs {
	return Open(Options{Dir: dir + "/logs", NextDir: dir, Key: seeded("machine"), Clock: time.Now, Rand: strings.NewReader(strings.Repeat("r", 1<<16)), RotateSize: 40 << 10})
}

func appendForEver(dir string) {
	l := logsIn(dir)
	for i := 0; ; i++ {
		if _, err := l.Append(Demo, Entry{Stage: "demo", Status: StatusDone, Event: fmt.Sprint("event-", i), Detail: map[string]any{"fill": strings.Repeat("x", 1500)}}); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
	}
}

// Threat 19 for the log: kill -9 at any moment leaves a log that the next start settles.
func TestThreat19KilledWhileAppending(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for round := range 25 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(15+7*round%40) * time.Millisecond)
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 3 {
			t.Fatalf("round %d: the writer ended by itself: %v", round, err)
		}
		l := logsIn(dir)
		if _, err := l.Verify(Demo, VerifyOptions{}); err != nil {
			t.Fatalf("round %d: before settling: %v", round, err)
		}
		if err := l.Settle(Demo); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s, err := l.Verify(Demo, VerifyOptions{})
		if err != nil || s.Torn || s.Entries < last {
			t.Fatalf("round %d: %+v, %v", round, s, err)
		}
		last = s.Entries
	}
	if last < 10 {
		t.Errorf("only %d entries were written: nothing was tested", last)
	}
}
