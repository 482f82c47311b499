package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"sluice/assets"
	"sluice/compliance"
	"sluice/internal/fault"
)

var update = flag.Bool("update", false, "write the generated pages of docs/ anew")

// generated compares a page of docs/ with what the program says, or writes it with -update.
func generated(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "docs", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != text {
		t.Fatalf("docs/%s is not what the program says (%v): run go test ./cli -run TestGenerated -update", name, err)
	}
}

func TestGeneratedErrorPages(t *testing.T) {
	codes := fault.Codes()
	slices.SortFunc(codes, func(a, b fault.Code) int {
		if a.Exit() != b.Exit() {
			return a.Exit() - b.Exit()
		}
		return strings.Compare(string(a), string(b))
	})
	for _, page := range []struct {
		lang                                assets.Lang
		file, title, lead, exit, mean, todo string
	}{
		{assets.English, "errors.md", "Errors", "Every refusal has a stable code. A code never changes its meaning. The incident (7 characters, the last one a check digit) stands in the log, on the screen and in the JSON alike, to be read out on the phone.", "Exit status", "What it means", "What to do"},
		{assets.Polish, "pl/errors.md", "Błędy", "Każda odmowa ma stały kod. Kod nigdy nie zmienia znaczenia. Numer zdarzenia (7 znaków, ostatni jest kontrolny) jest taki sam w dzienniku, na ekranie i w JSON; można go podać przez telefon.", "Kod wyjścia", "Co to znaczy", "Co zrobić"},
	} {
		var b strings.Builder
		fmt.Fprintf(&b, "# %s\n\n%s\n", page.title, page.lead)
		last := -1
		for _, c := range codes {
			e := page.lang.Error(string(c))
			if c.Exit() != last {
				last = c.Exit()
				fmt.Fprintf(&b, "\n## %s %d\n", page.exit, last)
			}
			fmt.Fprintf(&b, "\n### %s\n\n**%s.**", c, e.Title)
			if e.With != "" {
				fmt.Fprintf(&b, " (%s.)", e.With)
			}
			fmt.Fprintf(&b, "\n\n%s: %s\n\n%s: %s\n", page.mean, e.Meaning, page.todo, e.Remedy)
		}
		generated(t, page.file, b.String())
	}
}

// keyCall matches the calls that take a constant key.
var keyCall = regexp.MustCompile(`(?:\.t|\.say|\.ok|\.step|\.Count|\.Text|\.voided)\("([a-z][a-z0-9.-]*[a-z0-9])"|key: "([a-z][a-z0-9.-]*[a-z0-9])"`)

// keyPrefix matches the calls whose key ends in a name made at run time.
var keyPrefix = regexp.MustCompile(`\.(?:t|say|Text)\("([a-z][a-z0-9.-]*\.)"\+`)

func quiet() *app {
	env := Env{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now, Rand: bytes.NewReader(nil)}
	a := &app{env: env, lang: assets.English}
	a.out = &output{app: a, w: env.Stdout, errw: env.Stderr}
	return a
}

// TestGeneratedVerbPage writes the table of verbs and flags from the program itself.
func TestGeneratedVerbPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Verbs and flags\n\nMade from the program. What the results look like and what the exit statuses mean is in [commands.md](commands.md).\n")
	top := quiet().commands()
	b.WriteString("\n## Common flags\n\n```\n" + strings.TrimRight(top.PersistentFlags().FlagUsages(), "\n") + "\n```\n")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != top && !c.HasSubCommands() && !c.Hidden {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```\n%s\n", strings.TrimPrefix(c.CommandPath(), "sluice "), firstOf(c.Long, c.Short), c.UseLine())
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" {
					flags.AddFlag(f)
				}
			})
			if u := strings.TrimRight(flags.FlagUsages(), "\n"); u != "" {
				b.WriteString(u + "\n")
			}
			b.WriteString("```\n")
			if c.Example != "" {
				b.WriteString("\n```\n" + strings.TrimRight(c.Example, "\n") + "\n```\n")
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(top)
	generated(t, "verbs.md", b.String())
}

// TestGeneratedManPages writes a manual page for each verb, in troff's man macros.
func TestGeneratedManPages(t *testing.T) {
	dir := t.TempDir()
	date := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) // fixed: pages are compared byte for byte
	top := quiet().commands()
	top.DisableAutoGenTag = true
	if err := doc.GenManTree(top, &doc.GenManHeader{Title: "SLUICE", Section: "1", Source: "Sluice", Manual: "Sluice", Date: &date}, dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages (%v), want one for each verb", len(pages), err)
	}
	wanted := map[string]bool{}
	for _, p := range pages {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		wanted[filepath.Base(p)] = true
		generated(t, "man/"+filepath.Base(p), string(raw))
	}
	stored, err := filepath.Glob(filepath.Join("..", "docs", "man", "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stored {
		if !wanted[filepath.Base(p)] {
			t.Errorf("docs/man/%s is of a verb that is not there any more", filepath.Base(p))
		}
	}
}

// TestGeneratedCompletions: the program completes its own verbs and flags, in each shell that it writes a script for.
func TestGeneratedCompletions(t *testing.T) {
	for shell, want := range map[string]string{"bash": "__start_sluice", "zsh": "#compdef sluice", "fish": "complete -c sluice", "powershell": "Register-ArgumentCompleter"} {
		var out bytes.Buffer
		a := quiet()
		a.env.Stdout, a.out.w = &out, &out
		top := a.commands()
		top.SetArgs([]string{"completion", shell})
		if err := top.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, want a script with %q", shell, err, want)
		}
	}
	for line, want := range map[string]string{"live ": "enable", "check --stage ": "paper", "trust init --of ": "site", "status --lang ": "pl", "install --": "--operator", "completion ": "bash"} {
		var out bytes.Buffer
		a := quiet()
		top := a.commands()
		top.SetOut(&out)
		top.SetErr(io.Discard)
		top.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, strings.Split(line, " ")...))
		if err := top.Execute(); err != nil || !slices.Contains(strings.Split(out.String(), "\n"), want) {
			t.Errorf("completing %q: %v, want %q among\n%s", line, err, want, out.String())
		}
	}
}

// TestGeneratedChecklistPages writes the built-in checklist into its runbook, in both languages.
func TestGeneratedChecklistPages(t *testing.T) {
	var items []compliance.Item
	if err := json.Unmarshal(assets.Checklist(), &items); err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- checklist: made from the program, do not edit below -->\n", "<!-- /checklist -->\n"
	for _, page := range []struct {
		file, head       string
		lang             compliance.Lang
		stages           map[compliance.Stage]string
		roles            map[string]string
		automatic, other string
	}{
		{"runbooks/DEMO_PAPER_LIVE_CHECKLIST.md", "| Step (Krok) | Responsible (Odpowiedzialny) | Artifacts (Artefakty) | Acceptance (Akceptacja) | answered |", compliance.English,
			map[compliance.Stage]string{compliance.Paper: "Before paper", compliance.Live: "Before live"},
			map[string]string{"every": "everyone who signs", "operator": "operator", "compliance": "compliance officer"}, "automatically, from evidence", "by the person"},
		{"pl/runbooks/DEMO_PAPER_LIVE_CHECKLIST.md", "| Krok | Odpowiedzialny | Artefakty | Akceptacja | odpowiada |", compliance.Polish,
			map[compliance.Stage]string{compliance.Paper: "Przed etapem paper", compliance.Live: "Przed etapem live"},
			map[string]string{"every": "każdy podpisujący", "operator": "operator", "compliance": "oficer compliance"}, "program, na podstawie dowodu", "osoba"},
	} {
		var b strings.Builder
		for _, stage := range []compliance.Stage{compliance.Paper, compliance.Live} {
			fmt.Fprintf(&b, "\n### %s\n\n%s\n|---|---|---|---|---|\n", page.stages[stage], page.head)
			for _, it := range items {
				if it.Stage != stage {
					continue
				}
				who := page.other
				if it.Automatic {
					who = page.automatic
				}
				text := it.In(page.lang)
				if page.roles[it.Role] == "" {
					t.Fatalf("role %q has no words", it.Role)
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", text.Step, page.roles[it.Role], text.Artifacts, text.Acceptance, who)
			}
		}
		raw, err := os.ReadFile(filepath.Join("..", "docs", filepath.FromSlash(page.file)))
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok := strings.Cut(string(raw), begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("docs/%s has no place for the checklist", page.file)
		}
		generated(t, page.file, before+begin+b.String()+"\n"+end+after)
	}
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

// TestWordsComplete finds codes and messages that one language lacks, and messages that differ in their places.
func TestWordsComplete(t *testing.T) {
	for _, c := range fault.Codes() {
		for _, l := range []assets.Lang{assets.English, assets.Polish} {
			e := l.Error(string(c))
			if c != fault.Internal && e == l.Error(string(fault.Internal)) {
				t.Errorf("%s has no words in %s", c, l)
			}
			if e.Title == "" || e.Meaning == "" || e.Remedy == "" {
				t.Errorf("%s in %s: title, meaning or remedy is empty", c, l)
			}
		}
	}
	en, pl := assets.English.Keys(), assets.Polish.Keys()
	slices.Sort(en)
	slices.Sort(pl)
	for _, k := range en {
		if !assets.Polish.Has(k) {
			t.Errorf("message %q is missing in Polish", k)
		}
	}
	for _, k := range pl {
		if !assets.English.Has(k) {
			t.Errorf("message %q is missing in English", k)
		}
	}
}

// TestWordsUsed finds keys in the source that the catalogue lacks, and catalogue keys that no source uses.
func TestWordsUsed(t *testing.T) {
	used := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source found", err)
	}
	var all string
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") {
			all += string(raw)
		}
	}
	for _, m := range keyCall.FindAllStringSubmatch(all, -1) {
		key := m[1] + m[2]
		used[key] = true
		if !assets.English.Has(key) {
			t.Errorf("source uses message %q, which the catalogue lacks", key)
		}
	}
	for _, m := range keyPrefix.FindAllStringSubmatch(all, -1) {
		for _, k := range assets.English.Keys() {
			used[k] = used[k] || strings.HasPrefix(k, m[1])
		}
	}
	for _, k := range assets.English.Keys() {
		used[k] = used[k] || strings.Contains(all, `"`+k+`"`) // chosen first, looked up later
		prefix, _, _ := strings.Cut(k, ".")
		switch prefix {
		case "verb", "step", "role", "stage", "status", "reason", "answer", // looked up by a name made at run time
			"meaning", "ui", "report": // packages ui and compliance test their own
			continue
		}
		if !used[k] {
			t.Errorf("message %q is used nowhere", k)
		}
	}
}

func TestThreat15JSONShowsNothingHidden(t *testing.T) {
	raw := []byte("{\"a\":\"x\u202ey\u2028z\U000e0041ż\"}")
	got := escapeHidden(raw)
	want := "{\"a\":\"x\\u202ey\\u2028z\\udb40\\udc41ż\"}"
	if string(got) != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}
