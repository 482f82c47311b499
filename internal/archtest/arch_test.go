// Package archtest holds the rules between packages as tests: who may import whom, who may draw, write, print.
// It decides nothing at run time. A test that fails names the file, the arrow and the reason of the rule.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "sluice/"

// rule is what one package, with the packages below it that have no rule of their own, may import of ours besides
// assets and internal packages.
type rule struct {
	may    []string
	reason string
}

var core = []string{"audit", "bundle", "compliance", "evidence", "hwprobe", "inference", "installer/slot", "verify"}

// rules are keyed by the folder; "" is package main.
var rules = map[string]rule{
	"":               {[]string{"cli", "ui"}, "main only chooses between the command line and the window"},
	"cli":            {append([]string{"installer", "gate"}, core...), "the command line puts the core's results into words and never reaches into the window"},
	"ui":             {append([]string{"installer", "gate"}, core...), "the window shows the core's results and never reaches into the command line"},
	"installer":      {core, "the installer is the only package that knows the order of the steps; the gate must work without it"},
	"gate":           {[]string{"installer/slot", "bundle", "verify", "inference", "compliance", "audit"}, "a bot links the gate: it must not bring the installer or the probe along"},
	"installer/slot": {[]string{"bundle", "verify", "compliance", "inference"}, "the folders on disk know the format, the trust decision, the records and the rows of a proof that stand in them, not the steps"},
	"verify":         {[]string{"bundle"}, "the trust decision rests on the format alone"},
	"hwprobe":        {[]string{"bundle"}, "what a machine is does not depend on trust or engines"},
	"inference":      {[]string{"bundle"}, "engines run what they are given and decide nothing about trust"},
	"compliance":     {[]string{"bundle"}, "checklists and signatures of people know the format only"},
	"evidence":       {[]string{"bundle", "verify", "compliance", "audit"}, "a pack is judged from its own bytes: it knows the formats of what it holds, no installation and no order of steps"},
	"audit":          {[]string{"bundle"}, "the log records what others decided"},
	"bundle":         {nil, "the format believes nothing and decides nothing: it knows none of us"},
	"assets":         {nil, "embedded files hold no logic"},
	"internal":       {nil, "internal packages serve everybody and know nobody"},

	"internal/testbundle": {[]string{"bundle"}, "test bundles are made with the format's own builder"},
	"internal/real":       {append([]string{"installer", "gate"}, core...), "a program of its own: it carries a real third-party model through the journey"},
	"internal/testroot":   {append([]string{"installer", "gate"}, core...), "roots for tests are made by the steps themselves"},
	"internal/demomodel":  {[]string{"bundle", "inference"}, "the generator of the demo model trains and checks it; it is no part of the program"},
}

// tools are linked into no program: generators and makers of test data.
var tools = []string{"internal/testbundle", "internal/demomodel", "internal/benchdata", "internal/testroot", "internal/real", "internal/testort", "internal/archtest"}

// source is one parsed file of ours.
type source struct {
	folder string // "" for the root of the module
	name   string // relative, slash separated
	test   bool
	file   *ast.File
	set    *token.FileSet
}

// imports gives the paths, with "sluice/" cut off from ours and third telling the others apart.
func (s source) imports() (ours, third []string) {
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if rest, ok := strings.CutPrefix(p, module); ok {
			ours = append(ours, rest)
		} else {
			third = append(third, p)
		}
	}
	return ours, third
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

// ruled finds the nearest folder with a rule; its packages form one room.
func ruled(folder string) (string, bool) {
	for f := folder; ; f = path.Dir(f) {
		if f == "." {
			f = ""
		}
		if _, ok := rules[f]; ok && (f != "" || folder == "") {
			return f, true
		}
		if f == "" {
			return "", false
		}
	}
}

// wrongArrow says why a package in one folder may not import one in another; "" when it may.
func wrongArrow(from, to string, test bool) string {
	room, ok := ruled(from)
	if !ok {
		return fmt.Sprintf("%q has no rule: a new package needs its place in the house (docs/developer.md)", from)
	}
	other, ok := ruled(to)
	if !ok {
		return fmt.Sprintf("%q has no rule: a new package needs its place in the house (docs/developer.md)", to)
	}
	if tool := slices.IndexFunc(tools, func(t string) bool { return within(to, t) }); tool >= 0 {
		if test || room == other || slices.ContainsFunc(tools, func(t string) bool { return within(from, t) }) {
			return ""
		}
		return fmt.Sprintf("%q is for tests and generators, no part of the program", to)
	}
	if room == other || other == "assets" && room != "assets" || other == "internal" {
		return ""
	}
	if slices.Contains(rules[room].may, other) {
		return ""
	}
	return rules[room].reason
}

// All parsed files of the module but those that Go ignores.
func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	var out []source
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(p, "go.mod"))
			if p != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "vendor" || nested == nil) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parsing: %w", err)
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		folder := path.Dir(name)
		if folder == "." {
			folder = ""
		}
		out = append(out, source{folder: folder, name: name, test: strings.HasSuffix(base, "_test.go"), file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d files found below %s", len(out), root)
	}
	return out
}

// The import rule, files for every system included.
func TestArrowsDoNotTurnBack(t *testing.T) {
	for _, s := range sources(t) {
		if s.test && strings.HasSuffix(s.file.Name.Name, "_test") {
			continue // a package of its own that nobody can import: journeys through several rooms
		}
		ours, _ := s.imports()
		for _, to := range ours {
			if why := wrongArrow(s.folder, to, s.test); why != "" {
				t.Errorf("%s imports sluice/%s: %s", s.name, to, why)
			}
		}
	}
}

func TestTheRuleItself(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"", "cli", false, true}, {"", "installer", false, false}, {"", "assets", false, true},
		{"cli", "ui", false, false}, {"ui", "cli", false, false}, {"ui/widgets", "installer", false, true}, {"cli", "gate", false, true},
		{"installer", "gate", false, false}, {"installer", "hwprobe", false, true}, {"installer", "cli", false, false},
		{"installer/slot", "installer", false, false}, {"installer/slot", "audit", false, false}, {"installer", "installer/slot", false, true},
		{"gate", "installer", false, false}, {"gate", "installer/slot", false, true}, {"evidence", "compliance", false, true}, {"evidence", "installer/slot", false, false}, {"gate", "evidence", false, false}, {"compliance", "evidence", false, false}, {"gate", "hwprobe", false, false},
		{"verify", "bundle", false, true}, {"verify", "audit", false, false}, {"bundle", "verify", false, false}, {"bundle", "internal/fault", false, true},
		{"inference/ort", "inference/onnx", false, true}, {"inference/ort", "bundle", false, true}, {"bundle", "inference/tensor", false, false},
		{"internal/fsx", "internal/fault", false, true}, {"internal/fsx", "bundle", false, false}, {"internal/testbundle", "bundle", false, true},
		{"verify", "internal/testbundle", false, false}, {"verify", "internal/testbundle", true, true}, {"verify", "installer", true, false},
		{"assets", "bundle", false, false}, {"internal/demomodel", "inference/onnx", false, true}, {"internal/demomodel", "verify", false, false},
		{"brand/new", "bundle", false, false}, {"cli", "brandnew", false, false},
	} {
		if why := wrongArrow(c.from, c.to, c.test); (why == "") != c.ok {
			t.Errorf("%q -> %q (test %t): %q, want allowed %t", c.from, c.to, c.test, why, c.ok)
		}
	}
}

// Only ui and the window's file of package main import Fyne, and never together with the command line's build: a binary
// with a window does not start where no OpenGL is.
func TestOnlyTheWindowImportsFyne(t *testing.T) {
	for _, s := range sources(t) {
		_, third := s.imports()
		for _, p := range third {
			if !within(p, "fyne.io/fyne/v2") || within(s.folder, "ui") && p != "fyne.io/fyne/v2/app" {
				continue
			}
			if s.name != "window_cgo.go" {
				t.Errorf("%s imports %s: only ui draws, and only window_cgo.go makes the application", s.name, p)
			}
		}
	}
}

// No cgo: the program is one static file that starts on any machine.
func TestNoCgo(t *testing.T) {
	for _, s := range sources(t) {
		if _, third := s.imports(); slices.Contains(third, "C") {
			t.Errorf(`%s imports "C": sluice is built with CGO_ENABLED=0`, s.name)
		}
	}
}

// call is a use of package.name.
type call struct{ pkg, name, at string }

func uses(s source) []call {
	local := map[string]string{} // name in the file -> import path
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		local[name] = p
	}
	var out []call
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && local[id.Name] != "" {
			at := s.set.Position(sel.Pos())
			out = append(out, call{local[id.Name], sel.Sel.Name, fmt.Sprintf("%s:%d", s.name, at.Line)})
		}
		return true
	})
	return out
}

// What lies under a root is changed through package fsx: below an os.Root, atomic, synced.
func TestTheRootIsWrittenThroughFsx(t *testing.T) {
	forbidden := []string{"Rename", "WriteFile", "Create", "RemoveAll", "Symlink", "Link", "Truncate", "Chmod"}
	for _, s := range sources(t) {
		writes := slices.ContainsFunc([]string{"installer", "gate", "audit", "verify", "compliance", "inference"}, func(f string) bool { return within(s.folder, f) })
		if s.test || !writes {
			continue // bundle writes where the user says, not under a root
		}
		all := uses(s)
		scratch := slices.ContainsFunc(all, func(c call) bool { return c.pkg == "os" && c.name == "MkdirTemp" })
		for _, c := range all {
			if c.name == "RemoveAll" && scratch {
				continue // its own scratch folder, elsewhere
			}
			if c.pkg == "os" && slices.Contains(forbidden, c.name) {
				t.Errorf("%s uses os.%s: files under a root change through internal/fsx, or a power cut leaves neither old nor new", c.at, c.name)
			}
		}
	}
}

// Core packages never print or exit: both faces and a bot share them.
func TestCoreIsSilent(t *testing.T) {
	child := []string{"hwprobe/driver.go", "inference/child.go", "inference/process_windows.go", "inference/process_unix.go"} // processes of their own: who runs models, who asks drivers
	for _, s := range sources(t) {
		isCore := slices.ContainsFunc(append([]string{"installer", "gate"}, core...), func(f string) bool { return within(s.folder, f) })
		if s.test || !isCore || s.file.Name.Name == "main" || slices.Contains(child, s.name) {
			continue
		}
		for _, c := range uses(s) {
			prints := c.pkg == "fmt" && strings.HasPrefix(c.name, "Print") || c.pkg == "log" ||
				c.pkg == "os" && (c.name == "Exit" || c.name == "Stdout" || c.name == "Stderr")
			if prints {
				t.Errorf("%s uses %s.%s: core packages return results and never print or exit", c.at, c.pkg, c.name)
			}
		}
	}
}

// Only the installer and the gate write the decision logs: others open them without the machine's key, for reading.
func TestOnlyInstallerAndGateWriteTheLog(t *testing.T) {
	for _, s := range sources(t) {
		ours, _ := s.imports()
		if s.test || within(s.folder, "installer") || within(s.folder, "gate") || within(s.folder, "audit") || !slices.Contains(ours, "audit") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || !selects(lit.Type, "audit", "Options") {
				return true
			}
			for _, e := range lit.Elts {
				name := ""
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if id, ok := kv.Key.(*ast.Ident); ok {
						name = id.Name
					}
				}
				if name == "" || name == "Key" {
					t.Errorf("%s opens the decision logs with a key: only installer and gate append", s.set.Position(e.Pos()))
				}
			}
			return true
		})
	}
}

func selects(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg && sel.Sel.Name == name
}

// A package is a noun it holds or a thing it decides.
func TestPackageNames(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.file.Name.Name, "_test")
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "base", "lib"}, name) {
			t.Errorf("%s: package %q says nothing about what it holds", s.name, name)
		}
	}
}
