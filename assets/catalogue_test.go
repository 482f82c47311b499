package assets

import (
	"regexp"
	"strings"
	"testing"
)

// TestWindowRemediesNameNoVerbs: whoever reads a refusal in the window is not told to type a command. The codes of a
// window that does not open are read in a terminal.
func TestWindowRemediesNameNoVerbs(t *testing.T) {
	command := regexp.MustCompile(`\bsluice [a-z]|(^|\s)--[a-z]`)
	for lang, c := range catalogues() {
		for code, e := range c.errors {
			if strings.HasPrefix(code, "E-WINDOW-") {
				continue
			}
			for _, text := range []string{e.ForWindow().Meaning, e.ForWindow().Remedy} {
				if command.MatchString(text) {
					t.Errorf("%s, %s: the window says %q: give it a remedy_window (or meaning_window) in texts/errors.%s.json without a verb or flag", code, lang, text, lang)
				}
			}
			if (e.RemedyWindow == "") != (catalogues()[map[Lang]Lang{English: Polish, Polish: English}[lang]].errors[code].RemedyWindow == "") {
				t.Errorf("%s: one language has a remedy_window, the other has none", code)
			}
		}
	}
}
