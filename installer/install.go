package installer

import (
	"context"
	"fmt"
	"slices"

	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/inference"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// Open opens a bundle: container and limits only. That the root can be written is checked before.
// Errors: E-ROOT-READONLY, E-ROOT-FILESYSTEM, and those of bundle.Open.
func (in *Installer) Open(ctx context.Context, path string, o bundle.OpenOptions) (*Source, error) {
	src, err := in.open(ctx, path, o)
	if err != nil {
		return nil, in.refuseRead(ctx, demands{what: "open"}, map[string]string{"source": path}, err)
	}
	return src, nil
}

func (in *Installer) open(ctx context.Context, path string, o bundle.OpenOptions) (*Source, error) {
	if err := in.preflight(); err != nil {
		return nil, err
	}
	return bundle.Open(ctx, path, o)
}

// Authenticate makes the trust decision: signatures, trust root, manifest, floor, family. What the medium brings for the trust of this
// machine (next roots, revocation lists) is taken over before. No artifact is believed yet.
func (in *Installer) Authenticate(ctx context.Context, src *Source) (*Authentic, error) {
	if src == nil || src.ManifestBytes() == nil {
		return nil, noToken("authenticate", "open")
	}
	if err := in.takeTrustUnlocked(ctx, src.Folders()); err != nil {
		return nil, in.refuseRead(ctx, demands{what: slot.EventTrustUpdate}, map[string]string{"source": src.Path()}, err)
	}
	a, err := in.authenticateUnlocked(ctx, src)
	if err != nil {
		return nil, in.refuseRead(ctx, demands{what: "authenticate"}, map[string]string{"source": src.Path()}, err)
	}
	return a, nil
}

func (in *Installer) authenticateUnlocked(ctx context.Context, src *Source) (*Authentic, error) {
	var h verify.History
	v, err := in.look()
	switch {
	case fault.CodeOf(err) == fault.BundleMissing: // no root yet
	case err != nil:
		return nil, err
	default:
		defer v.close()
		if h, err = history(in, v.dir, v.ledger); err != nil {
			return nil, err
		}
	}
	return in.authenticate(ctx, src, h)
}

func (in *Installer) authenticate(ctx context.Context, src *Source, h verify.History) (*Authentic, error) {
	store, err := in.roots()
	if err != nil {
		return nil, err
	}
	return store.Authenticate(ctx, src, h)
}

// Fit probes the machine and chooses a variant. Errors: E-NO-VARIANT, E-VARIANT-UNKNOWN, E-VARIANT-INELIGIBLE.
func (in *Installer) Fit(ctx context.Context, a *Authentic, o FitOptions) (*Fitted, error) {
	if !a.Valid() || a.Source() == nil || a.GivenKey() {
		return nil, noToken("fit", "authenticate")
	}
	return write(ctx, in, demands{what: "fit"}, func(w *work) (*Fitted, error) { return w.fit(ctx, a, o) })
}

func (w *work) fit(ctx context.Context, a *Authentic, o FitOptions) (*Fitted, error) {
	if !a.Valid() || a.Source() == nil || a.GivenKey() {
		return nil, noToken("fit", "authenticate")
	}
	w.about(a)
	m := a.Manifest()
	if err := checkReason(a.Emergency(), o.Reason); err != nil {
		return nil, err
	}
	if o.Variant != "" && m.Variant(o.Variant) == nil {
		return nil, fault.New(fault.VariantUnknown, "the bundle has no variant %q, want one of %q", o.Variant, variantIDs(m)).
			With("variant", o.Variant)
	}
	lib, err := w.library(ctx, m)
	if err != nil {
		return nil, err
	}
	f := &Fitted{token: token{w.in}, auth: a, reason: o.Reason, machine: hwprobe.Probe(ctx, hwprobe.Options{Exe: w.in.program()}), library: lib}
	f.engines = inference.Engines(ctx, inference.EngineOptions{Exe: w.in.program(), Engine: lib.spec()})
	if err := alive(ctx); err != nil {
		return nil, err
	}
	f.verdicts = judge(f.machine, f.engines, m)
	for _, v := range f.verdicts {
		if v.Eligible && (o.Variant == "" || o.Variant == v.Variant) {
			f.order = append(f.order, v.Variant)
		}
	}
	if len(f.order) > 0 {
		return f, nil
	}
	if o.Variant != "" {
		i := slices.IndexFunc(f.verdicts, func(v hwprobe.Verdict) bool { return v.Variant == o.Variant })
		return nil, fault.New(fault.VariantIneligible, "variant %q does not fit this machine: %s", o.Variant, reasons(f.verdicts[i])).
			With("variant", o.Variant).With("reasons", f.verdicts[i].Reasons)
	}
	err = fault.New(fault.NoVariant, "no variant of version %q fits this machine", m.Version).With("variants", f.verdicts)
	return nil, err
}

// judge evaluates the variants. One that brings its own engine library is judged as if that library loaded: the smoke
// test proves it, before anything names the variant.
func judge(m *hwprobe.Machine, engines []inference.EngineInfo, man *bundle.Manifest) []hwprobe.Verdict {
	have := make([]hwprobe.Engine, 0, len(engines))
	usable := false
	for _, e := range engines {
		have = append(have, hwprobe.Engine{Name: e.Name, Version: e.Version, Providers: e.Providers, Usable: e.Usable, Reason: e.Reason})
		usable = usable || e.Usable && e.Name == inference.KindONNXRuntime
	}
	verdicts := hwprobe.Evaluate(m, have, man)
	if usable || !slices.ContainsFunc(man.Variants, func(v bundle.Variant) bool { return bringsEngine(man, &v) }) {
		return verdicts
	}
	providers := []string{inference.ProviderCPU}
	for _, v := range man.Variants {
		if bringsEngine(man, &v) && !slices.Contains(providers, v.ExecutionProvider) {
			providers = append(providers, v.ExecutionProvider)
		}
	}
	have = slices.DeleteFunc(have, func(e hwprobe.Engine) bool { return e.Name == inference.KindONNXRuntime })
	have = append(have, hwprobe.Engine{Name: inference.KindONNXRuntime, Providers: providers, Usable: true})
	var good, bad []hwprobe.Verdict
	for _, v := range hwprobe.Evaluate(m, have, man) {
		if !bringsEngine(man, man.Variant(v.Variant)) {
			v = verdicts[slices.IndexFunc(verdicts, func(o hwprobe.Verdict) bool { return o.Variant == v.Variant })]
		}
		if v.Eligible {
			good = append(good, v)
		} else {
			bad = append(bad, v)
		}
	}
	return append(good, bad...)
}

// bringsEngine says whether the variant lists an engine library of its own.
func bringsEngine(m *bundle.Manifest, v *bundle.Variant) bool { return runtimeArtifact(m, v) != nil }

func runtimeArtifact(m *bundle.Manifest, v *bundle.Variant) *bundle.Artifact {
	for _, p := range v.Artifacts {
		if a := m.Artifact(p); a != nil && a.Role == bundle.RoleRuntime {
			return a
		}
	}
	return nil
}

func reasons(v hwprobe.Verdict) string {
	s := ""
	for i, r := range v.Reasons {
		if i > 0 {
			s += "; "
		}
		s += fmt.Sprintf("%s: want %q, have %q", r.Field, r.Want, r.Have)
	}
	return s
}

func variantIDs(m *bundle.Manifest) []string {
	out := make([]string, 0, len(m.Variants))
	for _, v := range m.Variants {
		out = append(out, v.ID)
	}
	return out
}

// about tells refusals and entries of this step which bundle they are about.
func (w *work) about(a *Authentic) {
	w.emergency = a.Emergency()
	w.facts["version"], w.facts["manifest_sha384"] = a.Manifest().Version, a.ManifestSHA384().String()
	if src := a.Source(); src != nil {
		w.facts["source"] = src.Path()
	}
}

// Install does everything from opening a bundle to the demo record under one lock. A variant whose smoke test fails is
// taken back and the next eligible one tried, unless the caller named one. On failure everything old is kept; the
// attempts say what was tried.
func (in *Installer) Install(ctx context.Context, path string, o InstallOptions) (*Tested, []Attempt, error) {
	if err := checkReason(o.Emergency, o.Reason); err != nil {
		return nil, nil, err
	}
	var attempts []Attempt
	t, err := write(ctx, in, demands{what: "install", actor: o.Operator}, func(w *work) (*Tested, error) {
		w.facts["source"] = path
		var (
			t   *Tested
			err error
		)
		t, attempts, err = w.install(ctx, path, o)
		return t, err
	})
	return t, attempts, err
}

func (w *work) install(ctx context.Context, path string, o InstallOptions) (*Tested, []Attempt, error) {
	src, err := bundle.Open(ctx, path, bundle.OpenOptions{Also: o.Also, Ask: o.Ask})
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	steps, err := w.takeTrust(ctx, src.Folders())
	for _, s := range steps {
		if o.Taken != nil {
			o.Taken(s)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	h, err := history(w.in, w.dir, w.ledger)
	if err != nil {
		return nil, nil, err
	}
	var a *Authentic
	if o.Emergency {
		a, err = w.authenticateEmergency(ctx, src, h)
	} else {
		a, err = w.in.authenticate(ctx, src, h)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := w.fit(ctx, a, FitOptions{Variant: o.Variant, Reason: o.Reason})
	if err != nil {
		return nil, nil, err
	}
	if o.Measured != nil {
		found, err := w.measure(ctx, f)
		if err != nil {
			return nil, nil, err
		}
		o.Measured(found)
	}
	var attempts []Attempt
	for {
		t, report, err := w.attempt(ctx, f, attempts)
		if err == nil {
			return t, append(attempts, passedAttempt(f.Variant(), report)), nil
		}
		if !smokeRefusal(err) {
			return nil, attempts, err
		}
		attempts = append(attempts, failedAttempt(f.Variant(), report, err))
		next := f.Next()
		if next == nil {
			if len(attempts) > 1 {
				err = fault.New(fault.CodeOf(err), "none of %d variants passed its smoke test; the last: %w", len(attempts), err)
			}
			return nil, attempts, err
		}
		f = next
	}
}

// attempt takes one variant from the bundle to the demo record.
func (w *work) attempt(ctx context.Context, f *Fitted, before []Attempt) (*Tested, *inference.Report, error) {
	s, err := w.stage(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	c, err := w.activate(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return w.smoke(ctx, c, before)
}

// smokeRefusal says whether an error is about this variant's models or engine, so that another variant may do better.
func smokeRefusal(err error) bool { return fault.CodeOf(err).Exit() == fault.SmokeFailed.Exit() }

func (in *Installer) roots() (*verify.Store, error) {
	return verify.OpenStore(in.abs(slot.KeysDir))
}

// spaceSlack is kept free beyond what is copied: records, logs, file system overhead.
const spaceSlack = 16 << 20

// Probe says what this machine is and, with a manifest, which variants fit. It writes nothing: a library given by the
// user is tried where it lies.
func (in *Installer) Probe(ctx context.Context, m *bundle.Manifest) (*hwprobe.Machine, []inference.EngineInfo, []hwprobe.Verdict) {
	var (
		lib library
		err error
	)
	allowed := inference.Allowed{Manifest: m, Given: in.engine}
	if lib.path = in.c.EngineLib; lib.path != "" {
		lib.digest, err = inference.AllowedLibrary(ctx, lib.path, allowed)
	} else {
		lib.path, lib.digest, err = inference.FindLibrary(ctx, in.abs(slot.EnginesDir), allowed)
	}
	refused := err
	if refused != nil {
		lib = library{}
	}
	machine := hwprobe.Probe(ctx, hwprobe.Options{Exe: in.program()})
	engines := inference.Engines(ctx, inference.EngineOptions{Exe: in.program(), Engine: lib.spec()})
	if refused != nil {
		engines = slices.DeleteFunc(engines, func(e inference.EngineInfo) bool { return e.Name == inference.KindONNXRuntime })
		engines = append(engines, inference.EngineInfo{Name: inference.KindONNXRuntime, Path: in.c.EngineLib, Providers: []string{},
			Reason: refused.Error(), Code: string(fault.CodeOf(refused))})
	}
	if m == nil {
		return machine, engines, nil
	}
	return machine, engines, judge(machine, engines, m)
}
