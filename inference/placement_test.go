package inference

import (
	"strings"
	"testing"

	"sluice/internal/fault"
)

// A model that fell back in part or in whole, or of which nobody says where it runs, is not one that runs on the accelerator.
func TestFallbackIsNotSilent(t *testing.T) {
	for name, c := range map[string]struct {
		nodes    map[string]int
		provider string
		says     string // "" passes
	}{
		"cpu":                    {map[string]int{"cpu": 7}, "cpu", ""},
		"cpu by default":         {map[string]int{"cpu": 7}, "", ""},
		"cpu, nothing said":      {nil, "cpu", ""},
		"cuda":                   {map[string]int{"cuda": 7}, "cuda", ""},
		"cuda, folded away":      {map[string]int{}, "cuda", ""},
		"cuda, all on the cpu":   {map[string]int{"cpu": 7}, "cuda", `7 operators of the model run on "cpu"`},
		"cuda, one on the cpu":   {map[string]int{"cuda": 40, "cpu": 1}, "cuda", `1 operators of the model run on "cpu"`},
		"cuda, nothing said":     {nil, "cuda", "does not say"},
		"cpu, but on the webgpu": {map[string]int{"webgpu": 2}, "cpu", `run on "webgpu"`},
	} {
		err := checkPlacement(c.nodes, c.provider)
		if (err == nil) != (c.says == "") || err != nil && (fault.CodeOf(err) != fault.EngineNeeded || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
