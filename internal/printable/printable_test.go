package printable

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Threat 15: direction marks, escape sequences and very long text.
func TestThreat15HostileTextIsShownEscapedAndCut(t *testing.T) {
	for in, want := range map[string]string{
		"Zażółć gęślą jaźń":         "Zażółć gęślą jaźń",
		"a\u202egpj.exe":            `a\u{202e}gpj.exe`,
		"\x1b[31mred":               `\u{001b}[31mred`,
		"one\ntwo\tthree\r":         `one\ntwo\tthree\u{000d}`,
		"\u2066x\u2069\u200b\ufeff": `\u{2066}x\u{2069}\u{200b}\u{feff}`,
		"bad \xff\x9b":              `bad \xff\x9b`,
		"C1 \u009b":                 `C1 \u{009b}`,
		"\U000e0041":                `\u{e0041}`,
		`C:\dir`:                    `C:\dir`,
		"\u2028":                    `\u{2028}`,
	} {
		if got := Line(in, 0); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Line(strings.Repeat("ż", 10_000), 200); utf8.RuneCountInString(got) != 201 || !strings.HasSuffix(got, "…") {
		t.Errorf("10,000 characters become %d", utf8.RuneCountInString(got))
	}
	if got := Text("a\nb\x00", 0); got != "a\nb\\u{0000}" {
		t.Errorf("Text = %q", got)
	}
}
