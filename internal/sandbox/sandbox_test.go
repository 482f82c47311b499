package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStateInWords(t *testing.T) {
	for want, s := range map[string]State{
		"none":                 {Landlock: None},
		"landlock v4, seccomp": {Landlock: "v4", Seccomp: true},
		"seccomp":              {Landlock: None, Seccomp: true},
		"job object":           {Landlock: None, Job: true},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	raw, err := json.Marshal(State{Landlock: "v4", Seccomp: true})
	if err != nil || string(raw) != `{"landlock":"v4","seccomp":true}` {
		t.Errorf("%s %v: the names are a contract", raw, err)
	}
}

func TestPolicyTravels(t *testing.T) {
	p := Policy{Read: []string{"/a b", "/ü\n"}, Devices: true}
	name, text, _ := strings.Cut(p.Environ(), "=")
	if got := parse(text); name != Variable || len(got.Read) != 2 || got.Read[1] != p.Read[1] || !got.Devices {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"", "nonsense", `{"devices":1}`, `[]`} {
		if got := parse(text); got.Devices || len(got.Read) != 0 {
			t.Errorf("%q became %+v, want the strictest", text, got)
		}
	}
}
