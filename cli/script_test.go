package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"sluice/assets"
	"sluice/audit"
	"sluice/internal/fsx"
)

// The stories in testdata/script walk every verb through its good and its refused paths, with the program as users get
// it: a static binary in a process of its own. What their commands do stands above each cmd function here.

// TestMain keeps one folder for what all stories share: the program and the sites they start from.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sluice-stories-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sharedDir = dir
	code := m.Run()
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error { // version folders are read-only
		if err == nil && d.IsDir() {
			_ = os.Chmod(p, 0o755)
		}
		return nil
	})
	os.RemoveAll(dir)
	os.Exit(code)
}

var sharedDir string

// program builds the program once.
var program = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(sharedDir, "bin", "sluice"+exeSuffix())
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", bin, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return bin, nil
})

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func TestScript(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("SLUICE_ROOT", filepath.Join(e.WorkDir, "root")) // no story reaches the machine's own installation
			e.Setenv("TERM", "dumb")
			e.Setenv("ORT", os.Getenv("SLUICE_ORT_LIB"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			if cond == "vnni" { // the demo's int8 variant fits here
				return cpuid.CPU.Has(cpuid.AVX512VNNI) || cpuid.CPU.Has(cpuid.AVXVNNI) || cpuid.CPU.Has(cpuid.ASIMDDP), nil
			}
			if cond == "ort" { // a library of ONNX Runtime was named
				return os.Getenv("SLUICE_ORT_LIB") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sluice": cmdSluice, "exit": cmdExit, "refused": cmdRefused, "json": cmdJSON, "setjson": cmdSetJSON,
			"site": cmdSite, "demosrc": cmdDemoSrc, "model": cmdModel, "tensor": cmdTensor, "fill": cmdFill, "approve": cmdApprove, "require": cmdRequire,
			"snap": cmdSnap, "same": cmdSame, "flip": cmdFlip, "flips": cmdFlips, "edit": cmdEdit, "cut": cmdCut, "blob": cmdBlob,
			"lock": cmdLock, "interrupt": cmdInterrupt, "unprivileged": cmdUnprivileged, "hostile": cmdHostile, "testbundle": cmdTestBundle, "weak": cmdWeak, "oms": cmdOMS,
		},
	})
}

// status runs the program and gives its exit status.
func status(ts *testscript.TestScript, args ...string) int {
	err := ts.Exec("sluice", args...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("running sluice: %v", err)
	return -1
}

func noNeg(ts *testscript.TestScript, neg bool, want bool, use string) {
	if neg || !want {
		ts.Fatalf("usage: %s", use)
	}
}

// cmdSluice: "sluice ARGS" must exit with 0.
func cmdSluice(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, true, "sluice ARGS; for refusals: exit N ARGS, refused N CODE ARGS")
	if n := status(ts, args...); n != 0 {
		ts.Fatalf("exit status %d, want 0", n)
	}
	for _, a := range args {
		if a == "--json" {
			if ok, is := lookup(ts, object(ts), "ok"); !is || ok != true {
				ts.Fatalf("ok is %v, want true", ok)
			}
		}
	}
}

// cmdExit: "exit N ARGS" must exit with N.
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) >= 1, "exit N ARGS")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if n := status(ts, args[1:]...); n != want {
		ts.Fatalf("exit status %d, want %d", n, want)
	}
}

// cmdRefused: "refused N CODE ARGS" runs with --json; the refusal must have exit status, code, incident, and words.
func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) >= 3, "refused N CODE ARGS")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	checkRefusal(ts, status(ts, append(args[2:], "--json")...), want, args[1])
}

func checkRefusal(ts *testscript.TestScript, exit, want int, code string) {
	if exit != want {
		ts.Fatalf("exit status %d, want %d with %s", exit, want, code)
	}
	o := object(ts)
	if ok, is := lookup(ts, o, "ok"); !is || ok != false {
		ts.Fatalf("ok is %v, want false", ok)
	}
	if got, _ := lookup(ts, o, "error.code"); got != code {
		cause, _ := lookup(ts, o, "error.detail.cause")
		ts.Fatalf("code %v, want %s: %v", got, code, cause)
	}
	if got, _ := lookup(ts, o, "error.incident"); !audit.ValidIncident(fmt.Sprint(got)) {
		ts.Fatalf("incident %v does not check", got)
	}
	for _, field := range []string{"message", "meaning", "remedy", "detail.cause"} {
		if s, _ := lookup(ts, o, "error."+field); s == nil || s == "" {
			ts.Fatalf("error.%s is empty", field)
		}
	}
	s, _ := lookup(ts, o, "error.message")
	if words := assets.English.Error(code); words.With != "" && s == words.Title && !strings.Contains("E-PASSPHRASE E-ENTRY E-IO E-SPEC E-EXISTS", code) { // these have no such fact in every case
		ts.Fatalf("%s lacks the facts for %q", code, words.With)
	}
	if s, _ := lookup(ts, o, "error.docs"); s != "docs/errors.md#"+strings.ToLower(code) {
		ts.Fatalf("docs is %v", s)
	}
}

// object is what the last command printed: one JSON object and nothing else, no name twice.
func object(ts *testscript.TestScript) map[string]any {
	raw := ts.ReadFile("stdout")
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		ts.Fatalf("stdout is not a JSON object: %v", err)
	}
	if dec.More() {
		ts.Fatalf("stdout holds more than one JSON object")
	}
	if strings.Count(raw, `"ok":`) > 1 && strings.HasPrefix(raw, `{"ok":true,"ok"`) {
		ts.Fatalf("stdout says ok twice")
	}
	return o
}

// lookup follows a path such as variants.0.result; "@" is the length of an array or object, variant=cpu the element of an
// array that has such a field.
func lookup(ts *testscript.TestScript, v any, path string) (any, bool) {
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			if part == "@" {
				return json.Number(strconv.Itoa(len(x))), true
			}
			next, ok := x[part]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			if part == "@" {
				return json.Number(strconv.Itoa(len(x))), true
			}
			i, err := strconv.Atoi(part)
			if name, want, is := strings.Cut(part, "="); is {
				i, err = slices.IndexFunc(x, func(e any) bool { o, _ := e.(map[string]any); return o[name] == want }), nil
				if i < 0 {
					return nil, false
				}
			}
			if err != nil {
				ts.Fatalf("%q is no place in an array", part)
			}
			if i < 0 {
				i += len(x)
			}
			if i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}

// cmdJSON: "json PATH WANT" compares a field of the last output; ~REGEXP matches; "! json PATH" wants it absent.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		if len(args) != 1 {
			ts.Fatalf("usage: ! json PATH")
		}
		if v, ok := lookup(ts, object(ts), args[0]); ok {
			ts.Fatalf("%s is %s, want none", args[0], jsonText(v))
		}
		return
	}
	noNeg(ts, neg, len(args) == 2, "json PATH WANT")
	v, ok := lookup(ts, object(ts), args[0])
	if !ok {
		ts.Fatalf("%s is not there", args[0])
	}
	got := jsonText(v)
	if expr, is := strings.CutPrefix(args[1], "~"); is {
		if !regexp.MustCompile(expr).MatchString(got) {
			ts.Fatalf("%s is %q, want a match of %q", args[0], got, expr)
		}
		return
	}
	if got != args[1] {
		ts.Fatalf("%s is %q, want %q", args[0], got, args[1])
	}
}

// cmdSetJSON: "setjson NAME PATH" keeps a field in an environment variable.
func cmdSetJSON(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "setjson NAME PATH")
	v, ok := lookup(ts, object(ts), args[1])
	if !ok {
		ts.Fatalf("%s is not there", args[1])
	}
	ts.Setenv(args[0], jsonText(v))
}

// cmdFill: "fill FILE [ANSWER COMMENT]" answers every question of a template. Without an answer it is yes, but for those
// without evidence, of which the template says that yes is not taken.
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 1 || len(args) == 3, "fill FILE [ANSWER COMMENT]")
	answer, comment := "yes", ""
	if len(args) == 3 {
		answer, comment = args[1], args[2]
	}
	file := ts.MkAbs(args[0])
	raw := ts.ReadFile(args[0])
	if !strings.Contains(raw, `answer: ""`) {
		ts.Fatalf("%s asks nothing", args[0])
	}
	ts.Check(os.WriteFile(file, []byte(fillTemplate(raw, answer, comment, len(args) == 1)), 0o644))
}

// fillTemplate answers every question; with honest those that the template says have no evidence are not applicable.
func fillTemplate(raw, answer, comment string, honest bool) string {
	out, give, why := "", answer, comment
	for line := range strings.Lines(raw) {
		if honest && strings.HasPrefix(line, "  #") && strings.Contains(line, "not_applicable") {
			give, why = "not_applicable", "first version"
		}
		line = strings.Replace(line, `answer: ""`, fmt.Sprintf("answer: %q", give), 1)
		if strings.Contains(line, `comment: ""`) {
			line = strings.Replace(line, `comment: ""`, fmt.Sprintf("comment: %q", why), 1)
			give, why = answer, comment
		}
		out += line
	}
	return out
}

// cmdApprove: "approve STAGE PERSON" fetches the template, answers all with yes and signs.
func cmdApprove(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "approve STAGE PERSON")
	stage, person := args[0], args[1]
	file := "answers-" + stage + "-" + person + ".yaml"
	_ = os.Remove(ts.MkAbs(file))
	cmdSluice(ts, false, []string{"signoff", "--stage", stage, "--operator", person, "--template", file})
	cmdFill(ts, false, []string{file})
	cmdSluice(ts, false, []string{"signoff", "--stage", stage, "--operator", person, "--answers", file, "--key", ts.MkAbs("keys/" + person + ".key"), "--json"})
}

// cmdRequire: "require VALUE STATUS FALLBACK" asks the gate with that value of BOT_CORE_REQUIRE_OEM_MODELS ("unset" for
// none); the variable is gone afterwards.
func cmdRequire(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 3, "require VALUE STATUS FALLBACK")
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	bin, err := program()
	ts.Check(err)
	cmd := exec.Command(bin, "check", "--json")
	cmd.Env = []string{"SLUICE_ROOT=" + ts.Getenv("SLUICE_ROOT"), "HOME=/no-home"}
	if args[0] != "unset" {
		cmd.Env = append(cmd.Env, "BOT_CORE_REQUIRE_OEM_MODELS="+args[0])
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if n := cmd.ProcessState.ExitCode(); n != want {
		ts.Fatalf("with %q: exit status %d, want %d\n%s", args[0], n, want, out)
	}
	place := "fallback"
	if want != 0 {
		place = "result.fallback"
	}
	var o map[string]any
	ts.Check(json.Unmarshal(out, &o))
	if got, _ := lookup(ts, o, place); got != args[2] {
		ts.Fatalf("with %q: fallback is %v, want %s", args[0], got, args[2])
	}
}

// cmdFlip: "flip FILE OFFSET" changes one byte; a negative offset counts from the end.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "flip FILE OFFSET")
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	change(ts, args[0], func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	})
}

// change rewrites a file in place, also one that is read-only.
func change(ts *testscript.TestScript, file string, how func([]byte) []byte) {
	path := ts.MkAbs(file)
	fi, err := os.Stat(path)
	ts.Check(err)
	raw, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.Chmod(path, 0o600))
	ts.Check(os.WriteFile(path, how(bytes.Clone(raw)), 0o600))
	ts.Check(os.Chmod(path, fi.Mode().Perm()))
}

// cmdFlips: "flips FILE COUNT ARGS" changes single bytes spread over the file, the first and the last among them; each
// time the program, run with ARGS, must exit with 3 and name a code.
func cmdFlips(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) >= 3, "flips FILE COUNT ARGS")
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	good, err := os.ReadFile(path)
	ts.Check(err)
	for i := range count {
		at := i * (len(good) - 1) / (count - 1)
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (i % 8)
		ts.Check(os.WriteFile(path, bad, 0o644))
		if n := status(ts, append(args[2:], "--json")...); n != 3 {
			ts.Fatalf("bit %d of byte %d of %d changed: exit status %d, want 3", i%8, at, len(good), n)
		}
		if code, _ := lookup(ts, object(ts), "error.code"); !strings.HasPrefix(fmt.Sprint(code), "E-") {
			ts.Fatalf("byte %d: no code", at)
		}
	}
	ts.Check(os.WriteFile(path, good, 0o644))
}

// cmdEdit: "edit FILE OLD NEW" replaces the first OLD, which must be there.
func cmdEdit(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 3, "edit FILE OLD NEW")
	change(ts, args[0], func(b []byte) []byte {
		if !bytes.Contains(b, []byte(args[1])) {
			ts.Fatalf("%s does not hold %q", args[0], args[1])
		}
		return bytes.Replace(b, []byte(args[1]), []byte(strings.ReplaceAll(args[2], `\n`, "\n")), 1)
	})
}

// cmdCut: "cut FILE LINES" drops a text file's last lines.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "cut FILE LINES")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	change(ts, args[0], func(b []byte) []byte {
		lines := bytes.SplitAfter(b, []byte("\n"))
		return bytes.Join(lines[:len(lines)-1-n], nil)
	})
}

// cmdLock: "lock DIR" holds an installation's lock until the story ends, "lock" alone lets go.
func cmdLock(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) <= 1, "lock [DIR]")
	if len(args) == 0 {
		if held, ok := locks.LoadAndDelete(ts.Getenv("WORK")); ok {
			ts.Check(held.(*fsx.Held).Unlock())
		}
		return
	}
	held, err := fsx.Lock(filepath.Join(ts.MkAbs(args[0]), ".lock"), "the story")
	ts.Check(err)
	locks.Store(ts.Getenv("WORK"), held)
	ts.Defer(func() { cmdLock(ts, false, nil) })
}

var locks sync.Map
