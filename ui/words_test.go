package ui

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"fyne.io/fyne/v2/lang"

	"sluice/assets"
)

// notWords are literals that are the same in every language: names and keys.
var notWords = []string{"Sluice", "ONNX Runtime", "Aa", "PL", "EN", "SHA-384", "–"}

// shows are functions whose arguments are shown as they are.
var shows = []string{"text", "NewText", "NewLine", "NewBadge", "KV", "PrimaryButton", "SecondaryButton", "DangerButton", "LinkButton", "SmallLink", "SetText",
	"SetLabel", "Cell", "Number", "SetPlaceHolder", "field"}

// TestNoHardCodedWords finds texts that stand in the code instead of in the catalogue, and keys that the catalogue lacks.
func TestNoHardCodedWords(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				fn := called(n)
				if (fn == "t" || fn == "n") && len(n.Args) > 0 {
					if key, ok := literal(n.Args[0]); ok {
						used++
						for _, l := range []assets.Lang{assets.English, assets.Polish} {
							if !l.Has("ui."+key) && !strings.HasSuffix(key, ".") {
								t.Errorf("%s: the catalogue has no %q in %s", set.Position(n.Pos()), "ui."+key, l)
							}
						}
					}
				}
				if slices.Contains(shows, fn) {
					for _, a := range n.Args {
						if s, ok := literal(a); ok && hasLetter(s) && !slices.Contains(notWords, s) && !strings.HasPrefix(s, "sluice ") { // commands are the same in every language
							t.Errorf("%s: %q is shown and does not come from the catalogue", set.Position(a.Pos()), s)
						}
					}
				}
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"title", "lead", "hint", "label", "Title"}, k.Name) {
					if s, ok := literal(n.Value); ok && hasLetter(s) {
						t.Errorf("%s: %q is shown and does not come from the catalogue", set.Position(n.Pos()), s)
					}
				}
			}
			return true
		})
	}
	if used < 100 {
		t.Errorf("found only %d uses of the catalogue: this test looks in the wrong place", used)
	}
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

func hasLetter(s string) bool { return strings.ContainsFunc(s, unicode.IsLetter) }

// TestFynesOwnWords: dialogs of Fyne speak the window's language, whatever the system's is.
func TestFynesOwnWords(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	if got := lang.L("Cancel"); got != "Anuluj" {
		t.Errorf("Fyne says %q, want Anuluj", got)
	}
	b.setLang(assets.English)
	if got := lang.L("Favourites"); got != "Favourites" {
		t.Errorf("Fyne says %q, want Favourites", got)
	}
	if got := lang.X("file.name", "?"); got != "Name" {
		t.Errorf("Fyne says %q, want Name", got)
	}
}

func TestWhenAndSizes(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	now := b.c.Now()
	for _, c := range []struct {
		at     time.Time
		pl, en string
	}{
		{now.Add(-20 * time.Second), "przed chwilą", "just now"},
		{now.Add(-90 * time.Minute), "dziś " + now.Add(-90*time.Minute).Local().Format("15:04"), "today " + now.Add(-90*time.Minute).Local().Format("15:04")},
		{time.Date(2026, 3, 5, 12, 0, 0, 0, time.Local), "5 marca 12:00", "5 March, 12:00"},
		{time.Date(2025, 5, 1, 12, 0, 0, 0, time.Local), "1 maja 2025", "1 May 2025"},
	} {
		b.lang = assets.Polish
		if got := b.when(c.at); got != c.pl {
			t.Errorf("got %q, want %q", got, c.pl)
		}
		b.lang = assets.English
		if got := b.when(c.at); got != c.en {
			t.Errorf("got %q, want %q", got, c.en)
		}
	}
	b.lang = assets.Polish
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1,0 kB", 12_345: "12 kB", 999_499: "999 kB", 999_500: "1,0 MB", 910_000_000: "910 MB", 9_600_000_000: "9,6 GB", 999_600_000_000: "1,0 TB"} {
		if got := strings.ReplaceAll(b.bytes(n), "\u00a0", " "); got != want {
			t.Errorf("%d bytes: got %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{1536: "1,5 GiB", 24 * 1024: "24 GiB", 8000: "7,8 GiB", 7000: "6,8 GiB"} {
		if got := strings.ReplaceAll(b.gib(n), "\u00a0", " "); got != want {
			t.Errorf("%d MiB: got %q, want %q", n, got, want)
		}
	}
}

// TestWordsUsed finds keys of the catalogue that the window never asks for. Names made at run time begin with a literal
// that ends in a dot.
func TestWordsUsed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]bool{}
	var begins []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if s, ok := literal(e); ok {
					s = strings.TrimPrefix(s, "ui.")
					s, _, _ = strings.Cut(s, "%")
					whole[s] = true
					if strings.HasSuffix(s, ".") && len(s) > 1 {
						begins = append(begins, s)
					}
				}
			}
			return true
		})
	}
	for _, k := range assets.English.Keys() {
		key, ours := strings.CutPrefix(k, "ui.")
		if ours && !whole[key] && !slices.ContainsFunc(begins, func(b string) bool { return strings.HasPrefix(key, b) }) {
			if _, end, ok := cutLast(key); !ok || !whole["."+end] { // "first." + name + ".title"
				t.Errorf("message %q is used nowhere", k)
			}
		}
	}
}

func cutLast(key string) (before, after string, ok bool) {
	i := strings.LastIndex(key, ".")
	if i < 0 {
		return key, "", false
	}
	return key[:i], key[i+1:], true
}
