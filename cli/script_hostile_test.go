package cli

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"sluice/internal/testbundle"
)

// cmdTestBundle: "testbundle DIR VERSION" writes a good bundle of internal/testbundle and testbundle.pub, the key that
// signed it and all hostile ones.
func cmdTestBundle(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "testbundle DIR VERSION")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	w, err := testbundle.Good(dir, testbundle.Options{Version: args[1]})
	ts.Check(err)
	writeFile(ts, "testbundle.pub", w.Public.PEM())
	ts.Setenv("TESTBUNDLE", w.Path)
}

// cmdHostile: "hostile DIR" installs every hostile bundle of internal/testbundle on the root DIR, which trusts their key.
// Each must be refused with its own code and exit status 3, leave DIR as it was (but for log and staging folder), and
// stand in the log under its incident.
func cmdHostile(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 1, "hostile DIR")
	root := ts.MkAbs(args[0])
	before, err := listing(root)
	ts.Check(err)
	incidents := map[string]string{}
	bad := 0
	for _, h := range testbundle.Hostiles() {
		dir := filepath.Join(ts.MkAbs("hostile"), h.Name)
		ts.Check(os.MkdirAll(dir, 0o755))
		w, err := h.Write(dir)
		ts.Check(err)
		ts.Logf("# threat %d: %s", h.Threat, h.Name)
		if h.Name == "volume-damaged" || h.Name == "volume-cut" { // in a part that this machine's variant needs nothing of
			checkRefusal(ts, status(ts, "verify", w.Path, "--json"), 3, string(h.Code))
			continue
		}
		exit := status(ts, "install", w.Path, "--operator", "anna", "--json")
		o := object(ts)
		if code, _ := lookup(ts, o, "error.code"); exit != 3 || code != string(h.Code) {
			ts.Logf("HOSTILE BUNDLE %s: exit status %d with %v, want 3 with %s", h.Name, exit, code, h.Code)
			bad++
			if before, err = listing(root); err != nil {
				ts.Fatalf("%v", err)
			}
			continue
		}
		checkRefusal(ts, exit, 3, string(h.Code))
		incident, _ := lookup(ts, o, "error.incident")
		incidents[jsonText(incident)] = h.Name
		now, err := listing(root)
		ts.Check(err)
		if now != before {
			ts.Fatalf("%s: the root has changed\nbefore:\n%s\nnow:\n%s", h.Name, before, now)
		}
		ts.Check(os.RemoveAll(dir))
	}
	if bad > 0 {
		ts.Fatalf("%d of %d hostile bundles were not refused as they must", bad, len(testbundle.Hostiles()))
	}
	if n := status(ts, "log", "show", "--status", "refused", "--json"); n != 0 {
		ts.Fatalf("log show: exit status %d", n)
	}
	log := ts.ReadFile("stdout")
	for incident, name := range incidents {
		if !bytes.Contains([]byte(log), []byte(incident)) {
			ts.Fatalf("%s: incident %s is not in the log", name, incident)
		}
	}
}

// cmdWeak: "weak FILE" writes a public key of low order: the neutral element, for which anyone can sign.
func cmdWeak(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 1, "weak FILE")
	spki := append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, append([]byte{1}, bytes.Repeat([]byte{0}, 31)...)...)
	writeFile(ts, args[0], pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}
