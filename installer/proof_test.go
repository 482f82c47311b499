package installer_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// A variant whose engine tells of something wrong fails with that reason, the next one of the signed order is tried and
// passes, and what was tried stays in the record and the log. The first variant's engine is a stand-in that says what real
// engines say in such a case; the second one's is real.
func TestWhyAVariantFails(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("uses a shell script as the stand-in")
	}
	row := `{"model":"artifacts/first.onnx","done":1,"row":{"model":"artifacts/first.onnx","name":"one","passed":true,"elements":2}}`
	for name, c := range map[string]struct {
		says []string
		code fault.Code
		want string
		rows int
	}{
		"silent fallback": {[]string{`{"error":{"code":"E-ENGINE-NEEDED","text":"3 operators of the model run on cpu, wanted execution provider cuda for all","detail":{"provider":"cuda","used":"cpu","nodes":3}}}`},
			fault.EngineNeeded, "run on cpu", 0},
		"too slow":        {[]string{row, `{"report":{"engine":"onnxruntime","provider":"cpu","median_ms":5000,"p95_ms":6000}}`}, fault.SmokeFailed, "too slow: the median call takes 5e+03 ms, the contract allows 1000 ms", 1},
		"too much memory": {[]string{row, `{"report":{"engine":"onnxruntime","provider":"cpu","peak_mib":100}}`}, fault.ModelLimit, "too much memory", 1},
		"NaN": {[]string{strings.Replace(row, `"passed":true`, `"passed":false,"nan":true,"wrong":1,"reason":"output y at [1]: NaN, want 5"`, 1), `{"report":{"engine":"onnxruntime","provider":"cpu"}}`},
			fault.SmokeFailed, "NaN, want 5", 1},
		"crash in the middle": {[]string{row, `{"model":"artifacts/first.onnx","case":"two"}`, "crash"}, fault.ModelCrash, `golden case "two"`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testroot.New(t)
			path := s.Bundle(testroot.BundleOptions{})
			real, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			says := filepath.Join(s.Dir, "says")
			if err := os.WriteFile(says, []byte(strings.Join(c.says, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\n" + testroot.EnvSays + "='" + says + "' exec '" + real + "' \"$@\"\n"
			s.Config.Program = filepath.Join(s.Dir, "stand-in")
			if err := os.WriteFile(s.Config.Program, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			s.Restart()
			tested, attempts, err := s.In.Install(t.Context(), path, installer.InstallOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r := tested.Record()
			for where, list := range map[string][]installer.Attempt{"answer": attempts, "record": r.Attempts} {
				if len(list) != 2 || list[0].Variant != "first" || list[0].Passed || list[0].Code != c.code || !strings.Contains(list[0].Reason, c.want) || list[1].Variant != "second" || !list[1].Passed {
					t.Fatalf("%s: %+v", where, list)
				}
				if rep := list[0].Report; rep == nil || len(rep.Cases) != c.rows {
					t.Errorf("%s: rows %+v", where, rep)
				}
			}
			log, err := os.ReadFile(s.Path("audit/decision_logs/demo.jsonl"))
			if err != nil || !strings.Contains(string(log), `"code":"`+string(c.code)+`"`) || strings.Count(string(log), `"row_`) != c.rows {
				t.Errorf("log: %v\n%s", err, log)
			}
		})
	}
}
