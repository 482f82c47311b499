//go:build linux && (amd64 || arm64)

package inference_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/inference"
	"sluice/internal/fault"
)

// evil stands for an engine that a hostile model has taken over: it does one thing when it is loaded and says how that went.
const evil = `
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
static void say(const char *what, int ok) {
	fprintf(stderr, "%s: %s\n", what, ok ? "SUCCEEDED" : strerror(errno));
	_exit(7);
}
__attribute__((constructor)) static void attack(void) {
#if ATTACK == 1
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM, 0);
	say("socket", s >= 0 && connect(s, (struct sockaddr *)&a, sizeof a) == 0);
#elif ATTACK == 2
	say("create", open(TARGET, O_CREAT | O_WRONLY, 0644) >= 0);
#elif ATTACK == 3
	say("read", open(TARGET, O_RDONLY) >= 0);
#elif ATTACK == 4
	pid_t p = fork();
	if (p == 0) _exit(0);
	say("fork", p > 0);
#elif ATTACK == 5
	char *m = malloc(20UL << 30);
	if (m) memset(m, 1, 20UL << 30);
	else fprintf(stderr, "terminate called after throwing an instance of 'std::bad_alloc'\n");
	abort();
#elif ATTACK == 6
	for (;;) ;
#elif ATTACK == 7
	say("exec", execl("/bin/sh", "sh", "-c", "echo SUCCEEDED >&2", (char *)0) == 0);
#elif ATTACK == 8
	say("kill", kill(getppid(), SIGTERM) == 0);
#elif ATTACK == 9
	say("write", open(TARGET, O_WRONLY | O_TRUNC) >= 0);
#elif ATTACK == 10
	*(volatile int *)0 = 1;
#endif
}
`

func buildEvil(t *testing.T, flags ...string) inference.EngineSpec {
	t.Helper()
	dir := t.TempDir()
	lib := filepath.Join(dir, "libonnxruntime.so.1")
	write(t, filepath.Join(dir, "evil.c"), []byte(evil))
	out, err := exec.Command("gcc", append([]string{"-w", "-shared", "-fPIC", "-o", lib, filepath.Join(dir, "evil.c")}, flags...)...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no C compiler to build the hostile engine with")
	}
	if err != nil {
		t.Skipf("the C compiler does not work: %v %s", err, out)
	}
	raw, err := os.ReadFile(lib)
	if err != nil {
		t.Fatal(err)
	}
	d, err := inference.AllowedLibrary(context.Background(), lib, inference.Allowed{Given: sha(raw)})
	if err != nil {
		t.Fatal(err)
	}
	return inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: lib, LibrarySHA384: d, Provider: inference.ProviderCPU}
}

// Whatever native code in the child tries, it is denied or ended, the report says which, and the parent goes on.
func TestThreat25HostileNativeCode(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	secret := filepath.Join(t.TempDir(), "site.key")
	write(t, secret, []byte("secret"))
	seccomp := func(c *inference.Confinement) bool { return c.Seccomp }
	landlock := func(c *inference.Confinement) bool { return c.Landlock != "none" }
	always := func(*inference.Confinement) bool { return true }
	for _, c := range []struct {
		name   string
		flags  []string
		when   func(*inference.Confinement) bool
		code   fault.Code
		says   string // in the reason
		stderr string // in the detail
	}{
		{"opens a socket", []string{"-DATTACK=1", "-DPORT=" + port}, seccomp, fault.ModelCrash, "exit status 7", "socket: Operation not permitted"},
		{"creates a file", []string{"-DATTACK=2", `-DTARGET="/tmp/sluice-evil"`}, seccomp, fault.ModelCrash, "exit status 7", "create: Operation not permitted"},
		{"reads /etc/shadow", []string{"-DATTACK=3", `-DTARGET="/etc/shadow"`}, landlock, fault.ModelCrash, "exit status 7", "read: Permission denied"},
		{"reads a key", []string{"-DATTACK=3", `-DTARGET="` + secret + `"`}, landlock, fault.ModelCrash, "exit status 7", "read: Permission denied"},
		{"overwrites a key", []string{"-DATTACK=9", `-DTARGET="` + secret + `"`}, seccomp, fault.ModelCrash, "exit status 7", "write: Operation not permitted"},
		{"forks", []string{"-DATTACK=4"}, seccomp, fault.ModelCrash, "exit status 7", "fork: Operation not permitted"},
		{"becomes a shell", []string{"-DATTACK=7"}, seccomp, fault.ModelCrash, "exit status 7", "exec: Operation not permitted"},
		{"ends its parent", []string{"-DATTACK=8"}, seccomp, fault.ModelCrash, "exit status 7", "kill: Operation not permitted"},
		{"takes 20 GB", []string{"-DATTACK=5"}, always, fault.ModelLimit, "out of memory", ""},
		{"loops for ever", []string{"-DATTACK=6"}, always, fault.ModelLimit, "stopped after 1.5s", ""},
		{"crashes", []string{"-DATTACK=10"}, always, fault.ModelCrash, "crashed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := good(t)
			job := f.job(buildEvil(t, c.flags...))
			if job.Timeout = time.Minute; c.says == "stopped after 1.5s" {
				job.Timeout = 1500 * time.Millisecond
			}
			r, err := inference.Smoke(t.Context(), self(t), job, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Confinement == nil {
				t.Fatalf("no word on how the child was confined: %+v", r)
			}
			if !c.when(r.Confinement) {
				t.Skipf("this kernel offers %s: %s", r.Confinement, r.Confinement.Missing)
			}
			t.Logf("%s: %s [%s]", r.Code, r.Reason, r.Stderr)
			if r.Passed || r.Code != c.code || !strings.Contains(r.Reason, c.says) || !strings.Contains(r.Stderr, c.stderr) || strings.Contains(r.Stderr, "SUCCEEDED") {
				t.Errorf("%s: %s, stderr %q; want %s, %q and %q", r.Code, r.Reason, r.Stderr, c.code, c.says, c.stderr)
			}
			if raw, err := os.ReadFile(secret); err != nil || string(raw) != "secret" {
				t.Errorf("the key is %q, %v", raw, err)
			}
		})
	}
	if r := good(t).smoke(inference.EngineSpec{}); !r.Passed {
		t.Errorf("afterwards a good model fails: %+v", r)
	}
}

// A good model passes inside, with both engines, and the report says what was in force.
func TestConfinementIsEvidence(t *testing.T) {
	eachEngine(t, func(t *testing.T, spec inference.EngineSpec) {
		r := good(t).smoke(spec)
		if !r.Passed || r.Confinement == nil || r.Confinement.Loosened || (r.Confinement.Missing == "") != (r.Confinement.Seccomp && r.Confinement.Landlock != "none") {
			t.Errorf("%+v", r)
		}
		t.Log(r.Confinement)
	})
}
