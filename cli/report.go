package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/evidence"
	"sluice/installer"
	"sluice/installer/slot"
	"sluice/verify"
)

// reportFlags are those of the verb report.
type reportFlags struct {
	stage, version    string
	pdf, pack, verify string
	anchors           evidence.Anchors
	trust             trustFlags
}

func addAnchors(a *app, f *pflag.FlagSet, to *evidence.Anchors) {
	f.StringVar(&to.Oem, "oem-fingerprint", "", a.t("flag.oem-fingerprint"))
	f.StringVar(&to.Site, "site-fingerprint", "", a.t("flag.site-fingerprint"))
}

func (a *app) reportVerb() *cobra.Command {
	var r reportFlags
	return a.verb("report [--stage paper|live] [--version V] [--pdf F] [--pack F] | report --check PACK", "report", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&r.stage, "stage", "live", a.t("flag.stage"))
		f.StringVar(&r.version, "version", "", a.t("flag.report-version"))
		f.StringVar(&r.pdf, "pdf", "", a.t("flag.pdf"))
		f.StringVar(&r.pack, "pack", "", a.t("flag.pack"))
		f.StringVar(&r.verify, "check", "", a.t("flag.check-pack"))
		f.StringVar(&r.trust.dir, "trust", "", a.t("flag.trust"))
		addAnchors(a, f, &r.anchors)
	}, func(ctx context.Context, _ []string) (result, error) { return r.run(ctx, a) })
}

func (r *reportFlags) run(ctx context.Context, a *app) (result, error) {
	if r.verify != "" {
		if r.pdf != "" || r.pack != "" || r.version != "" {
			return nil, usage("--check reads a pack; it goes with no other report flag")
		}
		return a.evidenceChecked(r.verify, r.anchors, &r.trust)
	}
	stage, err := slot.ParseStage(r.stage)
	if err != nil {
		return nil, err
	}
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	report, err := in.Report(ctx, installer.ReportOptions{Stage: stage, Version: r.version})
	if err != nil {
		return nil, err
	}
	out := &reportResult{Stage: r.stage, Version: report.Record.Version, Path: report.Path, Text: report.Text, Pages: report.Pages, Evidence: report.Evidence,
		Complete: report.Record.Complete, Refused: report.Record.Refused, Written: []string{}, Emergency: report.Record.Emergency}
	if r.pdf != "" {
		if err := writeNew(r.pdf, report.PDF, 0o644); err != nil {
			return nil, err
		}
		out.Written = append(out.Written, r.pdf)
	}
	if r.pack != "" {
		pack, err := readLimited(report.Evidence, evidence.MaxPack)
		if err != nil {
			return nil, err
		}
		if err := writeNew(r.pack, pack, 0o644); err != nil {
			return nil, err
		}
		out.Written = append(out.Written, r.pack)
	}
	return out, nil
}

type reportResult struct {
	Stage    string   `json:"stage"`
	Version  string   `json:"version"`
	Complete bool     `json:"complete"`
	Refused  bool     `json:"refused"`
	Path     string   `json:"path"` // of the signed record
	Pages    string   `json:"pdf"`  // as it was made at the sign-off
	Evidence string   `json:"evidence"`
	Written  []string `json:"written"`
	Text     string   `json:"text"`

	Emergency *slot.Emergency `json:"emergency,omitempty"`
}

func (r *reportResult) text(p *printer) {
	if len(r.Written) > 0 {
		for _, path := range r.Written {
			p.line("%s %s", p.mark("ok"), p.t("report.written", "path", path))
		}
		return
	}
	p.line("%s", r.Text)
	p.field(p.t("signoff.record"), r.Path)
	p.field(p.t("signoff.pdf"), r.Pages)
	p.field(p.t("signoff.evidence"), r.Evidence)
}

// evidenceChecked checks a pack against the given fingerprints or, where one is not given, the first version of the trust roots at hand.
func (a *app) evidenceChecked(path string, known evidence.Anchors, trust *trustFlags) (result, error) {
	raw, err := readLimited(path, evidence.MaxPack)
	if err != nil {
		return nil, err
	}
	out := &evidenceResult{Path: path, Trust: "given"}
	if known.Oem == "" || known.Site == "" {
		out.Trust = "root"
		store, err := trust.store(a)
		if err != nil {
			return nil, err
		}
		for _, r := range store.Describe() {
			switch {
			case r.Of == verify.Oem && known.Oem == "":
				known.Oem = r.First
			case r.Of == verify.Site && known.Site == "":
				known.Site = r.First
			}
		}
	}
	if out.Result, err = evidence.Check(raw, known); err != nil {
		return nil, err
	}
	return out, nil
}

type evidenceResult struct {
	Path  string `json:"path"`
	Trust string `json:"trust"` // given: by fingerprints on the command line; root: by the trust roots at hand
	*evidence.Result
}

func (r *evidenceResult) text(p *printer) {
	p.line("%s %s", p.mark("ok"), p.bold(p.t("report.pack.holds", "stage", r.Stage, "family", r.ModelFamily, "version", r.Version, "variant", r.Variant)))
	switch {
	case r.Refused:
		p.line("%s %s", p.mark("warn"), p.t("report.pack.refused"))
	case r.Complete:
		p.line("%s %s", p.mark("ok"), p.t("report.pack.complete"))
	default:
		p.line("%s %s", p.mark("warn"), p.t("report.pack.incomplete"))
	}
	for _, s := range r.People {
		meaning := p.t("meaning." + string(s.Meaning))
		if s.Decision.Refused {
			meaning = p.t("report.pack.refused")
		}
		p.line("  %s", p.t("report.pack.person", "name", clean(s.Name), "person", s.Person, "role", roleWords(p.app, []string{s.Role}), "meaning", meaning, "at", s.SignedAt))
	}
	p.field("manifest.json SHA-384", r.ManifestSHA384.String())
	for _, log := range slices.Sorted(maps.Keys(r.Logs)) {
		x := r.Logs[log]
		p.field(p.t("report.pack.log", "log", string(log)), p.t("report.pack.entries", "n", fmt.Sprint(x.Entries), "digest", x.SHA384.String()))
	}
	p.field(p.t("report.pack.trust"), p.t("report.pack.trust."+r.Trust))
}
