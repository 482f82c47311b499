package cli

import (
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"sluice/internal/testoms"
)

// cmdOMS: "oms DIR BITS PUB" signs a model's folder as the training side does, with OpenSSF Model Signing: DIR/model.sig, and the public
// key as PUB.
func cmdOMS(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 3, "oms DIR BITS PUB")
	bits, err := strconv.Atoi(args[1])
	ts.Check(err)
	s, err := testoms.New(bits)
	ts.Check(err)
	ts.Check(s.Folder(ts.MkAbs(args[0]), "regime"))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), s.PEM, 0o644))
}
