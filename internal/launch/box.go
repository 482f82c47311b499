package launch

import "strings"

// boxText makes paragraphs of a message in a terminal's columns, for a message box, which breaks lines by itself and has no
// columns: "  Label    first line" and the lines indented below it become "Label: …".
func boxText(said string) string {
	var paragraphs []string
	for _, line := range strings.Split(strings.ReplaceAll(said, "\r\n", "\n"), "\n") {
		words := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch label, rest, isLabel := strings.Cut(words, "  "); {
		case words == "":
		case indent > 2 && len(paragraphs) > 0:
			paragraphs[len(paragraphs)-1] += " " + words
		case indent == 2 && isLabel:
			paragraphs = append(paragraphs, label+": "+strings.TrimSpace(rest))
		default:
			paragraphs = append(paragraphs, strings.TrimPrefix(words, "✗ "))
		}
	}
	return strings.Join(paragraphs, "\n\n")
}
