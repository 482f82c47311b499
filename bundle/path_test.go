package bundle

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sluice/internal/fault"
)

// Threats 9 and 11: no such path may reach a file system, whichever system it is.
func TestValidPathRefuses(t *testing.T) {
	for _, p := range []string{
		"", "/", "/etc/passwd", "//server/share", "a//b", "a/", "./a", "a/./b", "../a", "a/../b", "a/..", "..", ".",
		`a\b`, `..\a`, `\\server\share`, "C:/a", "c:a", "a:stream", "a/b::$DATA", "a*", "a?", `a"b`, "a<b", "a>b", "a|b",
		"a\x00b", "a\nb", "a\x7fb", "a\u0085b", "a\u202eb", "a\u200fb", "a\u200bb", "a\ufeffb", "a\u00adb", "a\u2028b", "a\U000e0041b", "a\ufdd0",
		"a./b", "a.", "a ", "a /b", "a/b ", "...", "a/...",
		"CON", "con", "Con.txt", "a/NUL", "nul.tar.gz", "aux.", "PRN.pb", "COM1", "com9.onnx", "COM0", "LPT1.x", "COM¹", "lpt².txt", "COM³.a.b", "CON .txt",
		"CONIN$", "conout$.x", "clock$",
		"PROGRA~1", "a/SECRET~2.TXT", "x~9",
		"e\u0301", "a/\u212b", "\u1100\u1161", // not NFC: e + acute, Angstrom sign, Hangul jamo
		"a\xff", "a\xed\xa0\x80", "a\ufffd",
		strings.Repeat("a", MaxPathBytes+1), strings.Repeat("ż", 101), strings.Repeat("a/", MaxPathParts) + "a",
	} {
		if err := ValidPath(p); fault.CodeOf(err) != fault.Path {
			t.Errorf("%q gives %v, want E-PATH", p, err)
		}
	}
}

func TestValidPathAccepts(t *testing.T) {
	for _, p := range []string{
		"a", "artifacts/fp32/model.onnx", "artifacts/.hidden", "a b/c", "artifacts/żółw.pb", "artifacts/模型.onnx", "console.txt", "com10", "com", "lpt",
		"nul1", "auxiliary/x", "a~b", "a.b.c", "artifacts/-x", "a/b@c", "😀", strings.Repeat("a", MaxPathBytes), strings.Repeat("a/", MaxPathParts-1) + "a",
	} {
		if err := ValidPath(p); err != nil {
			t.Error(err)
		}
	}
}

// Threat 11: two names that some file system takes for one.
func TestCheckPathsClash(t *testing.T) {
	for _, pair := range [][2]string{
		{"a", "a"}, {"a", "A"}, {"a/model.onnx", "A/MODEL.onnx"}, {"straße", "STRASSE"}, {"straße", "strasse"}, {"ſ", "s"}, {"ﬁle", "FILE"},
		{"ż", "Ż"}, {"σ", "ς"}, {"Σ", "ς"}, {"ΐ", "Ϊ́"}, {"ᾳ", "ΑΙ"}, {"ꭰ", "Ꭰ"}, // Cherokee folds to upper case
		{"a", "a/b"}, {"A", "a/b"}, {"x/a/b", "x/A"}, {"x/a/b/c", "x/a"},
		{"Dir/a", "dir/b"}, {"x/Dir/a", "x/DIR/b"}, // one folder with two spellings
	} {
		for _, list := range [][]string{{pair[0], "other", pair[1]}, {pair[1], "other", pair[0]}} {
			if err := CheckPaths(list); fault.CodeOf(err) != fault.Path {
				t.Errorf("%q gives %v, want E-PATH", list, err)
			}
		}
	}
	if err := CheckPaths([]string{"a/b", "a/c", "ab", "a-b", "dir/x/y", "dir/z", "ı", "i", "a.b", "ß1", "s1"}); err != nil {
		t.Error(err)
	}
	if err := CheckPaths([]string{"ok", "../x"}); fault.CodeOf(err) != fault.Path {
		t.Error("CheckPaths does not check each path")
	}
}

// Many long paths with many folders stay cheap.
func TestCheckPathsMany(t *testing.T) {
	list := make([]string, MaxArtifacts)
	for i := range list {
		list[i] = fmt.Sprintf("artifacts/%d/", i) + strings.Repeat("ż/", 10) + "x"
	}
	start := time.Now()
	if err := CheckPaths(list); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzValidPath(f *testing.F) {
	f.Add("artifacts/fp32/model.onnx")
	f.Add("COM¹.txt")
	f.Fuzz(func(t *testing.T, p string) {
		if ValidPath(p) != nil {
			return
		}
		if len(p) > MaxPathBytes || !utf8.ValidString(p) || !norm.NFC.IsNormalString(p) || strings.ContainsAny(p, "\\:\x00") || strings.HasPrefix(p, "/") {
			t.Fatalf("%q passed", p)
		}
		for part := range strings.SplitSeq(p, "/") {
			if part == "" || part == "." || part == ".." {
				t.Fatalf("%q passed", p)
			}
		}
		if err := CheckPaths([]string{p, p}); err == nil {
			t.Fatalf("%q does not clash with itself", p)
		}
	})
}
