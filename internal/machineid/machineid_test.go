package machineid

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"0123456789abcdef0123456789abcdef\n":       "0123456789abcdef0123456789abcdef",
		"0123456789ABCDEF0123456789abcdef":         "0123456789abcdef0123456789abcdef",
		"4C4C4544-0036-3510-8052-B4C04F4B3132\r\n": "4c4c4544-0036-3510-8052-b4c04f4b3132",
		"": "", "uninitialized\n": "", "00000000000000000000000000000000": "", "00000000-0000-0000-0000-000000000000": "",
		"0123456789abcdef": "", "0123456789abcdef0123456789abcdeg": "", "4c4c4544003635-10-8052-b4c04f4b3132-": "",
		strings.Repeat("a", 64): "", "0123456789abcdef 0123456789abcdef": "",
	} {
		got, err := clean(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gave %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestFirstFileThatHoldsOne(t *testing.T) {
	dir := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	none, empty, huge := filepath.Join(dir, "none"), path("empty", ""), path("huge", strings.Repeat("a", 1<<20))
	good := path("good", "0123456789abcdef0123456789abcdef\n")
	if got := fromFiles(none, empty, huge, good); got.Value != "0123456789abcdef0123456789abcdef" || got.Source != good || got.Reason != "" {
		t.Errorf("got %+v", got)
	}
	got := fromFiles(none, empty, huge)
	if got.Value != "" || got.Source != "" || !strings.Contains(got.Reason, "empty") || !strings.Contains(got.Reason, none) || len(got.Reason) > 1000 {
		t.Errorf("got %+v, want a short reason that names each file", got)
	}
}

func TestRead(t *testing.T) {
	id := Read(t.Context())
	if (id.Value == "") == (id.Reason == "") || (id.Value == "") != (id.Source == "") {
		t.Errorf("got %+v, want a value with its source, or a reason", id)
	}
	if again := Read(t.Context()); again != id {
		t.Errorf("got %+v, then %+v", id, again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if id := Read(ctx); id.Value != "" || id.Reason == "" {
		t.Errorf("cancelled: %+v", id)
	}
}
