// Package doctest runs the shell blocks of the documents, as written, against the program built from this source.
//
// Every block that begins with ```sh is run, in the page's order, in one shell that stops at the first error, in an empty
// folder with sluice on PATH. What a page takes for granted stands in comments <!-- before: COMMAND -->, which readers do
// not see; so do checks of what a block did, and they may have several lines. Blocks of other kinds are not run: ```text for output, ``` for what needs another machine. A command that must
// be refused is written "COMMAND || echo refused".
package doctest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
)

const docs = "../../docs"

var (
	blocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$|^<!-- before:\\s(.*?)\\s-->$")
	needs  = regexp.MustCompile("(?m)^<!-- needs: (.*?) -->$")
	fences = regexp.MustCompile("(?m)^```sh$")

	programOnce sync.Once
	programDir  string
	programErr  error
)

// program builds sluice once for all pages.
func program(t *testing.T) string {
	t.Helper()
	programOnce.Do(func() {
		if programDir, programErr = os.MkdirTemp("", "doctest"); programErr != nil {
			return
		}
		name := "sluice"
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		build := exec.Command("go", "build", "-o", filepath.Join(programDir, name), "sluice")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Logf("%s", out)
			programErr = err
		}
	})
	if programErr != nil {
		t.Fatalf("building the program: %v", programErr)
	}
	return programDir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(code)
}

// script is what a page's blocks say, and how many there are.
func script(page []byte) (string, int) {
	var b strings.Builder
	n := 0
	for _, m := range blocks.FindAllSubmatch(page, -1) {
		if len(m[2]) > 0 {
			b.Write(m[2])
			b.WriteByte('\n')
			continue
		}
		n++
		b.Write(m[1])
	}
	return b.String(), n
}

// TestPages runs every page that has a block.
func TestPages(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("the pages' commands are written for a POSIX shell")
	}
	pages := 0
	err = filepath.WalkDir(docs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, n := script(page)
		if n != len(fences.FindAll(page, -1)) {
			t.Errorf("%s: %d of %d sh blocks can be read: is one not closed, or indented?", path, n, len(fences.FindAll(page, -1)))
		}
		if n == 0 {
			return nil
		}
		pages++
		name, err := filepath.Rel(docs, path)
		if err != nil {
			return err
		}
		if twin := english(name); twin != "" {
			if raw, err := os.ReadFile(filepath.Join(docs, twin)); err == nil {
				if same, _ := script(raw); same == text {
					return nil // its English twin runs the very same commands
				}
			}
		}
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			t.Parallel()
			for _, m := range needs.FindAllSubmatch(page, -1) {
				for tool := range strings.FieldsSeq(string(m[1])) {
					if _, err := exec.LookPath(tool); err != nil {
						t.Skipf("%s is missing: bash scripts/setup-debian.sh installs it", tool)
					}
				}
			}
			run(t, sh, text)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages == 0 {
		t.Error("no page has a block to run")
	}
}

// english is the English twin of a Polish page; empty for other pages.
func english(name string) string {
	twin, _ := strings.CutPrefix(filepath.ToSlash(name), "pl/")
	if twin == filepath.ToSlash(name) {
		return ""
	}
	return twin
}

// TestTwins: a runbook asks for the same commands in both languages, comments aside.
func TestTwins(t *testing.T) {
	comment := regexp.MustCompile(`(?m)(^|\s+)#.*$`)
	twins := 0
	for _, name := range []string{"key-rotation.md", "lost-key.md", "leaked-key.md", "emergency.md"} {
		var said []string
		for _, dir := range []string{"runbooks", "pl/runbooks"} {
			page, err := os.ReadFile(filepath.Join(docs, dir, name))
			if err != nil {
				t.Log(err)
				continue
			}
			text, _ := script(page)
			said = append(said, comment.ReplaceAllString(text, ""))
		}
		if len(said) == 2 {
			twins++
			if said[0] != said[1] {
				t.Errorf("%s: the commands differ between the languages", name)
			}
		} else if len(said) == 1 {
			t.Errorf("%s is there in one language only", name)
		}
	}
	if twins < 3 {
		t.Errorf("%d runbooks in both languages", twins)
	}
}

func run(t *testing.T, sh, text string) {
	dir := t.TempDir()
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", dir).Run() }) // installed versions are read-only
	page := filepath.Join(t.TempDir(), "page.sh")
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), sh, "-eux", page)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + program(t) + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8", "USER=anna",
		"SLUICE_ROOT=" + filepath.Join(dir, "root")} // no page reaches the machine's own installation
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%v; the page's commands and what they said:\n%s", err, out.String())
	}
}

// TestScript: blocks and what stands before them are found in order; other blocks are left alone.
func TestScript(t *testing.T) {
	page := "# T\n<!-- before: mkdir x -->\n```sh\ncd x\n```\n```text\nno\n```\n```\nno\n```\n```sh\npwd\n```\n"
	if text, n := script([]byte(page)); text != "mkdir x\ncd x\npwd\n" || n != 2 {
		t.Errorf("got %q, %d", text, n)
	}
}

// mapped are the pages whose tables promise that files, verbs and tests exist.
var mapped = []string{"plan.md", "security.md"}

// TestNamed: every test, script, file and verb that those pages name exists; tests in the package named after them.
func TestNamed(t *testing.T) {
	tests := testNames(t)
	word := regexp.MustCompile(`\bTest[A-Z0-9][A-Za-z0-9_]*`)
	placed := regexp.MustCompile(`((?:Test\w+…?, )*Test\w+…?) \(([a-z/]+(?:, [a-z/]+)*)\)`)
	story := regexp.MustCompile(`\b[a-z_]+\.txtar\b`)
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, page := range mapped {
		raw, err := os.ReadFile(filepath.Join(docs, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range word.FindAllString(string(raw), -1) {
			if tests[name] == nil && !prefixed(raw, name, tests) {
				t.Errorf("%s names %s, which is no test", page, name)
			}
		}
		for _, m := range placed.FindAllStringSubmatch(string(raw), -1) {
			packages := strings.Split(m[2], ", ")
			for _, name := range strings.Split(m[1], ", ") {
				if !strings.HasSuffix(name, "…") && !slices.ContainsFunc(tests[name], func(p string) bool { return slices.Contains(packages, p) }) {
					t.Errorf("%s says that %s is in %s, it is in %s", page, name, m[2], tests[name])
				}
			}
		}
		for _, name := range story.FindAllString(string(raw), -1) {
			if _, err := os.Stat(filepath.Join("../../cli/testdata/script", name)); err != nil {
				t.Errorf("%s names %s, which is no story", page, name)
			}
		}
		if page != "plan.md" {
			continue
		}
		for line := range strings.SplitSeq(string(raw), "\n") {
			cells := strings.Split(line, "|")
			if len(cells) != 6 || strings.HasPrefix(cells[1], "---") { // item, file, verb, test
				continue
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
				if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
					t.Errorf("%s names %s, which is not there", page, m[1])
				}
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
				if out, err := exec.Command(filepath.Join(program(t), "sluice"), append([]string{"help"}, strings.Fields(m[1])...)...).CombinedOutput(); err != nil {
					t.Errorf("%s names the verb %q: %s", page, m[1], out)
				}
			}
		}
	}
}

// prefixed says whether a page means a family of tests: a name followed by "…".
func prefixed(page []byte, name string, tests map[string][]string) bool {
	if !bytes.Contains(page, []byte(name+"…")) {
		return false
	}
	for have := range tests {
		if strings.HasPrefix(have, name) {
			return true
		}
	}
	return false
}

// testNames are the test functions of this module, each with the packages that have one of that name.
func testNames(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	function := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+|Fuzz[A-Za-z0-9_]+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(raw, -1) {
			dir, _ := filepath.Rel("../..", filepath.Dir(path))
			names[string(m[1])] = append(names[string(m[1])], filepath.ToSlash(dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestLinks: every link of a page within this repository, pictures too, leads to a file that is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if m[2] != "" && !hasAnchor(t, target, m[2]) {
				t.Errorf("%s links to %s#%s: no such heading", path, m[1], m[2])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hasAnchor says whether a page has a heading, or a mark <a id="…">, of that name: spelled as GitHub does, in lower case, without punctuation, dashes for spaces.
func hasAnchor(t *testing.T, page, name string) bool {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(`<a id="`+name+`">`)) {
		return true
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllSubmatch(raw, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return r
			}
			return -1
		}, strings.ToLower(string(m[1])))
		if slug == name {
			return true
		}
	}
	return false
}

// TestOperatorWords: what the operator's guides put in quotation marks stands in the window in that language, word by word.
func TestOperatorWords(t *testing.T) {
	for lang, guide := range map[string]struct {
		page   string
		quoted *regexp.Regexp
	}{
		"en": {"operator.md", regexp.MustCompile(`"([^"]+)"`)},
		"pl": {"pl/operator.md", regexp.MustCompile(`„([^”]+)”`)},
	} {
		page, err := os.ReadFile(filepath.Join(docs, guide.page))
		if err != nil {
			t.Fatal(err)
		}
		words, err := os.ReadFile("../../assets/texts/messages." + lang + ".json")
		if err != nil {
			t.Fatal(err)
		}
		found := guide.quoted.FindAllSubmatch(page, -1)
		if len(found) < 15 {
			t.Errorf("%s quotes %d words of the window, want at least 15", guide.page, len(found))
		}
		for _, m := range found {
			said := strings.Join(strings.Fields(string(m[1])), " ")
			if said == "Aa" { // drawn, the same in every language
				continue
			}
			end := `"`
			if cut, open := strings.CutSuffix(said, " …"); open { // "Go back to …": what follows differs
				said, end = cut, " {"
			}
			if !strings.Contains(strings.ToLower(string(words)), strings.ToLower(`"`+said+end)) {
				t.Errorf("%s says %q, which the window does not", guide.page, m[1])
			}
		}
	}
}
