package installer

import (
	"strings"
	"unicode/utf8"

	"sluice/internal/fault"
)

// maxWords limits what a person says or is called, bytes: it goes into records and logs that are read whole.
const maxWords = 16 << 10

// checkWords refuses what records and logs cannot hold, before anything is done: their JSON is valid UTF-8, and a terminal in
// another encoding gives something else. pairs are a name for the message and the words.
func checkWords(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch name, s := pairs[i], pairs[i+1]; {
		case !utf8.ValidString(s):
			return fault.New(fault.Usage, "%s %q is not valid UTF-8", name, s)
		case len(s) > maxWords:
			return fault.New(fault.Usage, "%s has %d bytes, want at most %d", name, len(s), maxWords)
		}
	}
	return nil
}

// fitWords makes words fit instead: what only ever closes the gate does not fail for them.
func fitWords(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxWords)], "\uFFFD")
}
