package cli

import (
	"bytes"
	"strings"
	"testing"

	"sluice/assets"
	"sluice/hwprobe"
)

// What could not be found out is said in full words, in both languages: "unknown" is why, not a number.
func TestUnknownIsSpelledOut(t *testing.T) {
	for _, lang := range []assets.Lang{assets.English, assets.Polish} {
		seen := map[string]bool{}
		for _, u := range hwprobe.Unknowns {
			var out bytes.Buffer
			verdictTable(&printer{app: &app{lang: lang}, w: &out}, []hwprobe.Verdict{{Variant: "v", Reasons: []hwprobe.Reason{{Field: "requires.x", Want: "16384", Have: "unknown", Unknown: u}}}})
			text := out.String()
			start := map[assets.Lang]string{assets.English: "not eligible: unknown.", assets.Polish: "nie pasuje: nie wiadomo."}[lang]
			if !strings.Contains(text, "requires.x: "+start) || !strings.Contains(text, "16384") || seen[text] {
				t.Errorf("%s: %q", u, text)
			}
			seen[text] = true
		}
	}
}
