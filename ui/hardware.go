package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// hardware shows what this machine is and which variants fit it. Nothing is executed and nothing measured here.
type hardware struct {
	w         *Window
	auth      *installer.Authentic
	back      func()
	next      func(*installer.Fitted)
	cancel    func()
	emergency string // its reason; empty: none

	task     *task
	fit      *installer.Fitted // nil: none fits
	machine  *hwprobe.Machine
	engines  []inference.EngineInfo
	verdicts []hwprobe.Verdict
	free     int64 // bytes that can still be written at the root; negative: unknown
	chosen   string
	problem  *problem // no variant fits
	moving   bool     // to the next screen
}

func newHardware(w *Window, auth *installer.Authentic, back func(), next func(*installer.Fitted)) *hardware {
	return &hardware{w: w, auth: auth, back: back, next: next, cancel: w.home}
}

func (s *hardware) shown() {
	if s.machine != nil || s.task.running() {
		return
	}
	in, root := s.w.in, s.w.root
	got := hardware{free: -1}
	s.task = s.w.run(func(ctx context.Context) (err error) {
		if free, err := fsx.FreeBytes(root); err == nil {
			got.free = free
		}
		got.fit, err = in.Fit(ctx, s.auth, installer.FitOptions{Reason: s.emergency})
		if fault.CodeOf(err) == fault.NoVariant {
			got.machine, got.engines, got.verdicts = in.Probe(ctx, s.auth.Manifest())
		}
		return err
	}, nil, func(err error) {
		if !s.w.showing(s) {
			return
		}
		switch {
		case err == nil:
			s.fit, s.machine, s.engines, s.verdicts = got.fit, got.fit.Machine(), got.fit.Engines(), got.fit.Verdicts()
			s.chosen = got.fit.Variant()
		case got.machine != nil:
			s.machine, s.engines, s.verdicts = got.machine, got.engines, got.verdicts
			s.problem = newProblem(s.w, err, s.w.redraw)
		default:
			s.w.show(newRefusal(s.w, stepHardware, err, nil))
			return
		}
		s.free = got.free
		s.w.redraw()
	})
}

func (s *hardware) leave() { s.task.stop() }

// goOn takes the fit as it is or, for another variant, asks for that one.
func (s *hardware) goOn() {
	if s.moving {
		return
	}
	if s.chosen == s.fit.Variant() {
		s.next(s.fit)
		return
	}
	s.moving = true
	var fit *installer.Fitted
	variant := s.chosen
	s.task = s.w.run(func(ctx context.Context) (err error) {
		fit, err = s.w.in.Fit(ctx, s.auth, installer.FitOptions{Variant: variant, Reason: s.emergency})
		return err
	}, nil, func(err error) {
		s.moving = false
		switch {
		case !s.w.showing(s):
		case err != nil:
			s.w.show(newRefusal(s.w, stepHardware, err, nil))
		default:
			s.next(fit)
		}
	})
}

func (s *hardware) page() page {
	w := s.w
	if s.machine == nil {
		return page{step: stepHardware, title: w.t("hardware.busy"), lead: w.t("hardware.busy.lead"), content: widgets.NewCard(w.waiting(w.t("busy"))),
			back: s.back, cancel: s.cancel, primary: &action{label: w.t("button.next"), off: true}}
	}
	list := &widgets.ChoiceList{Chosen: -1, OnConfirm: s.goOn}
	var rows []fyne.CanvasObject
	for _, v := range s.verdicts {
		if v.Variant == s.chosen {
			list.Chosen = len(list.Rows)
		}
		rows = append(rows, list.Add(s.row(v), !v.Eligible))
	}
	list.OnChosen = func(i int) {
		s.chosen = s.verdicts[i].Variant
		w.redraw()
	}
	objs := append([]fyne.CanvasObject{widgets.NewCard(s.computer())}, rows...)
	p := page{step: stepHardware, title: w.t("hardware.title"), lead: w.t("hardware.lead"), back: s.back, cancel: s.cancel}
	if s.problem != nil {
		p.title = s.problem.title()
		p.lead = w.t("problem.lead")
		objs = append([]fyne.CanvasObject{s.problem.panel()}, objs...)
		p.extra = []action{{label: w.t("problem.save"), do: func() { w.saveCopy("sluice-"+s.problem.incident+".txt", []byte(s.problem.report())) }}}
		p.primary = &action{label: w.t("button.close"), do: s.cancel}
		p.back, p.cancel, p.escape = nil, nil, s.cancel
	} else {
		p.primary = &action{label: w.t("hardware.next", "variant", s.chosen), do: s.goOn}
		p.hint = s.space()
		objs = append(objs, widgets.Inset(0, 4, 0, 0, widgets.Wrapping(8, text(style.BodyDim, w.t("measure.question")),
			widgets.LinkButton(w.t("measure.open"), func() { w.show(&measure{w: w, from: s}) }))))
	}
	p.content = widgets.Column(style.Gap, objs...)
	if list.Chosen >= 0 {
		p.focus = list.Rows[list.Chosen]
	}
	return p
}

// space is what the chosen variant needs on disk and what there is.
func (s *hardware) space() string {
	need := s.size(s.chosen)
	if s.free < 0 {
		return s.w.t("hardware.need", "need", s.w.bytes(need))
	}
	return s.w.t("hardware.space", "need", s.w.bytes(need), "free", s.w.bytes(s.free))
}

// size is what a variant's files need.
func (s *hardware) size(variant string) int64 {
	m := s.auth.Manifest()
	paths, err := m.VariantPaths(variant)
	if err != nil {
		return 0
	}
	var n int64
	for _, p := range paths {
		n += m.Artifact(p).Size
	}
	return n
}

// computer is the card about the machine.
func (s *hardware) computer() fyne.CanvasObject {
	w, m := s.w, s.machine
	or := func(v string) string {
		if v == "" {
			return w.t("unknown")
		}
		return printable.Line(v, 300)
	}
	cpu := or(m.CPU.Model)
	if m.CPU.Cores > 0 {
		cpu += ", " + w.n("hardware.cores", m.CPU.Cores)
	}
	memory := w.t("unknown")
	if m.MemoryMiB.Total > 0 {
		memory = w.gib(m.MemoryMiB.Total)
	}
	left := widgets.NewKeyValues(widgets.KV(w.t("hardware.cpu"), cpu), widgets.KV(w.t("hardware.features"), or(strings.Join(features(m.CPU.Features), ", "))))
	right := widgets.NewKeyValues(widgets.KV(w.t("hardware.memory"), memory), widgets.KV(w.t("hardware.gpu"), s.gpus()), widgets.KV(w.t("hardware.engines"), s.engineWords()))
	return widgets.Row(24, []float32{1, 1}, left, right)
}

func (s *hardware) gpus() string {
	var out []string
	for _, g := range s.machine.GPUs {
		name := strings.TrimSpace(g.Product)
		if name == "" {
			name = g.Vendor + " " + g.DeviceID
		}
		size := s.w.t("hardware.gpu.memory.unknown")
		if g.MemoryMiB != nil {
			size = s.w.gib(*g.MemoryMiB)
		}
		words := printable.Line(name, 120) + ", " + size
		if g.Driver != "" {
			words += ", " + s.w.t("hardware.gpu.driver", "driver", printable.Line(g.Driver, 80))
		}
		out = append(out, words)
	}
	if len(out) == 0 {
		return s.w.t("hardware.none")
	}
	return strings.Join(out, "; ")
}

// engineWords are the engines that really load here.
func (s *hardware) engineWords() string {
	var out []string
	for _, e := range s.engines {
		if e.Usable {
			out = append(out, strings.TrimSpace(s.w.engine(e.Name)+" "+printable.Line(e.Version, 40)))
		}
	}
	if len(out) == 0 {
		return s.w.t("hardware.none")
	}
	return strings.Join(out, ", ")
}

// engine is an engine's name for people.
func (w *Window) engine(kind string) string {
	switch kind {
	case inference.KindReference:
		return w.t("engine.reference")
	case inference.KindONNXRuntime:
		return "ONNX Runtime"
	}
	return printable.Line(kind, 60)
}

// features are the extensions that models ask for, by the names people know.
func features(have []string) []string {
	known := []struct{ id, name string }{
		{"avx", "AVX"}, {"avx2", "AVX2"}, {"fma", "FMA"}, {"f16c", "F16C"}, {"avx512f", "AVX-512"}, {"avx512_vnni", "VNNI"}, {"avx_vnni", "AVX-VNNI"},
		{"avx512_bf16", "BF16"}, {"amx_int8", "AMX-INT8"}, {"amx_bf16", "AMX-BF16"}, {"asimd", "NEON"}, {"asimddp", "DotProd"}, {"i8mm", "I8MM"}, {"sve", "SVE"}, {"bf16", "BF16"},
	}
	var out []string
	for _, k := range known {
		if slices.Contains(have, k.id) && !slices.Contains(out, k.name) {
			out = append(out, k.name)
		}
	}
	if len(out) == 0 {
		return have[:min(len(have), 8)]
	}
	return out
}

// featureName is a feature for people; "a|b" means either.
func (w *Window) featureName(want string) string {
	var out []string
	for f := range strings.SplitSeq(want, "|") {
		f = strings.ToLower(strings.TrimSpace(f))
		if names := features([]string{f}); len(names) == 1 {
			f = names[0]
		}
		out = append(out, printable.Line(f, 60))
	}
	return strings.Join(out, " "+w.t("or")+" ")
}

// row is one variant with its verdict.
func (s *hardware) row(v hwprobe.Verdict) fyne.CanvasObject {
	w := s.w
	head := []fyne.CanvasObject{text(style.Heading, v.Variant)}
	if v.Eligible {
		head = append(head, widgets.NewBadge(widgets.Good, w.t("hardware.yes")))
	} else {
		head = append(head, widgets.NewBadge(widgets.Wrong, w.t("hardware.no")))
	}
	if v.Variant == s.chosen {
		head = append(head, widgets.NewBadge(widgets.Info, w.t("hardware.chosen")))
	}
	lines := []fyne.CanvasObject{widgets.Ends(16, widgets.Wrapping(10, head...), widgets.NewLine(style.BodyDim, w.bytes(s.size(v.Variant))))}
	if v.Eligible {
		lines = append(lines, text(style.BodyDim, s.meets(v.Variant)))
	}
	for _, r := range s.reasons(v.Variant) {
		lines = append(lines, text(style.BodyDim, r))
	}
	return widgets.Column(4, lines...)
}

// meets lists what a variant asks for and this machine has.
func (s *hardware) meets(id string) string {
	w := s.w
	v := s.auth.Manifest().Variant(id)
	var out []string
	for _, f := range v.Requires.CPUFeatures {
		out = append(out, w.featureName(f))
	}
	if n := v.Requires.MinCores; n > 0 {
		out = append(out, w.n("hardware.cores", n))
	}
	if n := v.Requires.MinMemoryMiB; n > 0 {
		out = append(out, w.t("hardware.ask.memory", "size", w.gib(n)))
	}
	if g := v.Requires.GPU; g != nil {
		out = append(out, w.t("hardware.ask.gpu", "vendor", vendorName(g.Vendor)))
	}
	if len(out) == 0 {
		return w.t("hardware.any")
	}
	return w.t("hardware.meets", "what", strings.Join(out, ", "))
}

func vendorName(v string) string {
	switch strings.ToLower(v) {
	case "nvidia", "amd":
		return strings.ToUpper(v)
	case "intel":
		return "Intel"
	}
	return printable.Line(v, 60)
}

// reasons say why a variant does not fit.
func (s *hardware) reasons(variant string) []string {
	var out []string
	for _, v := range s.verdicts {
		if v.Variant == variant {
			for _, r := range v.Reasons {
				out = append(out, s.reason(r))
			}
		}
	}
	return out
}

// reason says why a requirement is not met, in the window's language.
func (s *hardware) reason(r hwprobe.Reason) string {
	w, m := s.w, s.machine
	want := printable.Line(r.Want, 200)
	switch r.Field {
	case "requires.cpu_features":
		key := "hardware.reason.feature"
		if !m.CPU.Known {
			key = "hardware.reason.feature.unknown"
		}
		return w.t(key, "want", w.featureName(r.Want))
	case "requires.min_cores":
		if m.CPU.Cores == 0 {
			return w.t("hardware.reason.cores.unknown", "want", want)
		}
		return w.t("hardware.reason.cores", "want", want, "have", m.CPU.Cores)
	case "requires.min_memory_mib":
		if m.MemoryMiB.Total == 0 {
			return w.t("hardware.reason.memory.unknown", "want", w.gibText(r.Want))
		}
		return w.t("hardware.reason.memory", "want", w.gibText(r.Want), "have", w.gib(m.MemoryMiB.Total))
	case "requires.os", "requires.arch":
		return w.t("hardware.reason.system", "want", want, "have", printable.Line(r.Have, 200))
	case "requires.gpu.vendor":
		if r.Unknown != "" {
			return w.t("hardware.reason.gpu.unknown", "want", vendorName(r.Want))
		}
		if len(m.GPUs) == 0 {
			return w.t("hardware.reason.gpu.none", "want", vendorName(r.Want))
		}
		return w.t("hardware.reason.gpu", "want", vendorName(r.Want), "have", s.gpus())
	case "requires.gpu.device_ids":
		if r.Unknown != "" {
			return w.t("hardware.reason.gpu.model.unknown", "want", want)
		}
		return w.t("hardware.reason.gpu.model", "want", want, "have", s.gpus())
	case "requires.gpu.min_memory_mib":
		if r.Unknown != "" {
			return w.t("hardware.reason.gpu.memory.unknown", "want", w.gibText(r.Want), "have", s.gpus())
		}
		return w.t("hardware.reason.gpu.memory", "want", w.gibText(r.Want), "have", s.gpus())
	case "engine":
		if r.Want != bundle.EngineONNXRuntime {
			return w.t("hardware.reason.engine.any")
		}
		return w.t("hardware.reason.engine", "want", w.engine(r.Want), "have", s.engineWords())
	case "execution_provider":
		return w.t("hardware.reason.provider", "want", want, "have", s.engineWords())
	}
	return fmt.Sprintf("%s: %s", printable.Line(r.Field, 60), want)
}

// gibText is a size in MiB, given as text, as people read it.
func (w *Window) gibText(mib string) string {
	var n int64
	if _, err := fmt.Sscan(mib, &n); err != nil {
		return printable.Line(mib, 60)
	}
	if n < 1024 {
		return fmt.Sprintf("%d\u00a0MiB", n)
	}
	return w.gib(n)
}
