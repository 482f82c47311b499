// Package printable makes text from outside safe to show: nothing in it can move the cursor, colour the screen, reverse
// its direction or hide. It changes what is shown only, never what is kept.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line gives s as one line of at most limit characters (0: no limit). Control characters, line breaks, marks that
// override direction and other invisible format characters appear as \n, \t or \u{202e}; a backslash stays as it is; a byte that is
// no UTF-8 appears as \x9b. What is cut ends in "…".
func Line(s string, limit int) string { return escape(s, limit, false) }

// Text is Line for text of several lines: line feeds stay.
func Text(s string, limit int) string { return escape(s, limit, true) }

func escape(s string, limit int, lines bool) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		if limit > 0 && n == limit {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' && lines:
			b.WriteByte('\n')
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case Hidden(r):
			fmt.Fprintf(&b, `\u{%04x}`, r)
		default:
			b.WriteRune(r)
		}
		n++
		i += size
	}
	return b.String()
}

// Hidden says whether a character shows nothing by itself: controls (C0, C1), format characters (direction marks, joiners,
// tags), line and paragraph separators, private use, surrogates, and the variation selectors.
func Hidden(r rune) bool {
	return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
}
