package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"sluice/assets"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// From the choice of the variant, by keys: all that fit are measured side by side, in words why one failed and one does not
// fit; nothing is installed by it, the choice stays the signed one, and the installation goes on.
func TestMeasureAll(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.Polish)
	b.begin(site.Bundle(testroot.BundleOptions{Variants: []string{"first", "second", "third"}, Wrong: []string{"first"}, Unfit: []string{"third"}}))
	b.tabTo(b.Window.t("measure.open"))
	b.key(fyne.KeyReturn)
	s := b.current.(*measure)
	b.reach("measure.done")
	b.sees("first", "nie zdał", "second", "zaliczony", "third", "nie uruchomiono", "E-SMOKE-FAILED", "Pierwszy w podpisanej kolejności, który przeszedł: second", "Przypadki wzorcowe wariantu first", "limit")
	b.sees(s.from.reasons("third")...)
	if got := len(s.found.Variants); got != 3 || s.found.Chosen != "second" {
		t.Errorf("%d variants, the first that passed is %q", got, s.found.Chosen)
	}
	b.everywhere("measure")
	if left, _ := filepath.Glob(filepath.Join(site.Config.Root, slot.StagingDir, "*")); len(left) > 0 {
		t.Errorf("the measurement leaves %v", left)
	}
	if v, err := site.In.Versions(); err != nil || len(v) > 0 {
		t.Errorf("the measurement installs %+v, %v", v, err)
	}
	b.key(fyne.KeyReturn)
	b.reach("hardware.title")
	if got := b.current.(*hardware).chosen; got != "first" {
		t.Errorf("after the measurement %q is chosen; the signed order says first", got)
	}
	b.key(fyne.KeyReturn)
	b.reach("install.done", "variant", "first")
	b.key(fyne.KeyReturn)
	b.reach("smoke.passed", "variant", "second")
}

// A changed byte ends the measurement with its code and leaves nothing; Cancel leads back to the choice.
func TestMeasureRefused(t *testing.T) {
	site := testroot.New(t)
	b := siteBench(t, site, assets.English)
	file := site.Bundle(testroot.BundleOptions{Bulk: 3 << 20})
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b.begin(file)
	b.tap(b.Window.t("measure.open"))
	s := b.current.(*measure)
	b.settle("the refusal", func() bool { return s.problem != nil })
	if s.problem.code.Exit() == 1 {
		t.Errorf("a changed byte is refused with %s", s.problem.code)
	}
	b.sees(string(s.problem.code), "What to do")
	b.everywhere("measure-refused")
	b.key(fyne.KeyReturn)
	b.reach("hardware.title")

	b.home()
	b.begin(site.Bundle(testroot.BundleOptions{Version: "1.1.0", Bulk: 24 << 20}))
	b.tap(b.Window.t("measure.open"))
	b.key(fyne.KeyEscape)
	b.reach("hardware.title")
	if left, _ := filepath.Glob(filepath.Join(site.Config.Root, slot.StagingDir, "*"+".measure")); len(left) > 0 {
		t.Errorf("a measurement that was given up leaves %v", left)
	}
	b.tap(b.Window.t("measure.open"))
	b.everywhere("measure-busy")
	b.reach("measure.done")
}

// The second opinion: the other engine agrees, or has none and says why; nothing changes by it.
func TestSecondOpinion(t *testing.T) {
	site := testroot.New(t)
	site.Install(site.Bundle(testroot.BundleOptions{}))
	before, err := site.In.Records()
	if err != nil {
		t.Fatal(err)
	}
	b := siteBench(t, site, assets.Polish)
	b.begin(site.Bundle(testroot.BundleOptions{Version: "1.1.0"}))
	b.key(fyne.KeyReturn)
	b.reach("install.done", "variant", "first")
	b.key(fyne.KeyReturn)
	b.reach("smoke.passed", "variant", "first")
	b.tabTo(b.Window.t("opinion.open"))
	b.key(fyne.KeyReturn)
	b.reach("opinion.title")
	s := b.current.(*opinion)
	b.settle("the opinion", func() bool { return !s.task.running() })
	if s.problem != nil || s.said == nil {
		t.Fatalf("the opinion is %+v, %+v", s.said, s.problem)
	}
	if s.said.Given {
		b.sees("zgadza się z", "zgodne")
	} else {
		b.sees("Nie ma tu drugiego silnika", "ONNX Runtime")
	}
	b.everywhere("opinion")
	after, err := site.In.Records()
	if err != nil || after[slot.Demo].Version != "1.1.0" || before[slot.Demo].Version != "1.0.0" {
		t.Errorf("the records are %+v, %v", after, err)
	}
	b.key(fyne.KeyEscape)
	b.reach("smoke.passed", "variant", "first")

	// Words for what the engine of this machine cannot be made to say.
	for _, o := range opinions {
		x := &opinion{w: b.Window, tested: s.tested, task: s.task, said: o.said}
		if o.code != "" {
			x.problem = newProblem(b.Window, fault.New(o.code, "two engines disagree"), nil)
		}
		b.show(x)
		b.sees(o.words...)
		b.everywhere("opinion-" + o.name)
	}
}

// Start offers the way back as soon as there is one.
func TestRollbackFromStart(t *testing.T) {
	site := testroot.New(t)
	site.GoLive(testroot.BundleOptions{})
	b := siteBench(t, site, assets.Polish)
	b.home()
	if strings.Contains(b.words(), "Wróć do") {
		t.Error("a first version has a way back")
	}
	site.GoLive(testroot.BundleOptions{Version: "1.1.0"})
	b.home()
	b.everywhere("start-wayback")
	b.tabTo(b.Window.t("live.rollback", "version", "1.0.0"))
	b.key(fyne.KeyReturn)
	b.reach("live.rollback.title", "version", "1.0.0")
	b.current.(*live).startRollback()
	b.everywhere("rollback-from-start")
}

// opinions are answers that need another engine, or a model on which two engines differ.
var opinions = []struct {
	name  string
	said  *inference.SecondOpinion
	code  fault.Code
	words []string
}{
	{"agrees", &inference.SecondOpinion{First: inference.Opinion{Engine: inference.KindReference, EngineVersion: "1"}, Second: inference.Opinion{Engine: inference.KindONNXRuntime, EngineVersion: "1.22.0"}, Given: true, Agrees: true,
		Cases: []inference.CaseResult{{Name: "calm-1", Model: "artifacts/models/m.onnx", Passed: true, WorstAbs: 1e-7}}}, "", []string{"ONNX Runtime 1.22.0 zgadza się z", "zgodne", "calm-1"}},
	{"operator", &inference.SecondOpinion{Second: inference.Opinion{Engine: inference.KindReference}, Operator: "GridSample"}, "", []string{"nie zna operatora GridSample", "brak opinii"}},
	{"broken", &inference.SecondOpinion{Second: inference.Opinion{Engine: inference.KindONNXRuntime}, Code: fault.EngineLoad, Reason: "dlopen says no"}, "", []string{"Brak drugiej opinii (ONNX Runtime)", "E-ENGINE-LOAD"}},
	{"differs", &inference.SecondOpinion{First: inference.Opinion{Engine: inference.KindONNXRuntime, EngineVersion: "1.22.0"}, Second: inference.Opinion{Engine: inference.KindReference}, Given: true,
		Cases: []inference.CaseResult{{Name: "calm-1", Model: "artifacts/models/m.onnx", WorstAbs: 0.5, Reason: "differs"}}}, fault.SecondOpinion, []string{"nie zgadza się z", "różni się", "E-SECOND-OPINION"}},
}
