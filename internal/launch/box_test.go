package launch

import "testing"

func TestBoxText(t *testing.T) {
	const said = "\n✗ The window's program cannot be started\n" +
		"  What it means     \"sluice\" opens its window through the program beside it. That file\n" +
		"                    is not there.\n" +
		"  Code              E-WINDOW-MISSING · incident 09Y7021\n"
	const want = "The window's program cannot be started\n\n" +
		"What it means: \"sluice\" opens its window through the program beside it. That file is not there.\n\n" +
		"Code: E-WINDOW-MISSING · incident 09Y7021"
	if got := boxText(said); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for said, want := range map[string]string{"": "", "one line\n": "one line", "    indented first\r\nsecond": "indented first\n\nsecond"} {
		if got := boxText(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}
