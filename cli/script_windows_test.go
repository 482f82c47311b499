package cli

import "github.com/rogpeppe/go-internal/testscript"

func cmdUnprivileged(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("stories about accounts run on Unix")
}
