package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/inference"
)

func (a *app) probeVerbs() []*cobra.Command {
	var file string
	var also []string
	var trust trustFlags
	probe := a.verb("probe [--for FILE]", "probe", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&file, "for", "", a.t("flag.for"))
		f.StringArrayVar(&also, "also", nil, a.t("flag.also"))
		trust.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) {
		var m *bundle.Manifest
		if file != "" {
			src, err := bundle.Open(ctx, file, bundle.OpenOptions{Also: also})
			if err != nil {
				return nil, err
			}
			defer src.Close()
			auth, err := trust.authenticate(ctx, a, src)
			if err != nil {
				return nil, err
			}
			m = auth.Manifest()
		}
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		machine, engines, verdicts := in.Probe(ctx, m)
		r := &probeResult{Machine: machine, Engines: engines, Verdicts: verdicts}
		if m != nil {
			r.ModelFamily, r.Version = m.ModelFamily, m.Version
		}
		return r, nil
	})

	var dirs []string
	sources := a.verb("sources [--in DIR]", "sources", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringArrayVar(&dirs, "in", nil, a.t("flag.in"))
	}, func(ctx context.Context, _ []string) (result, error) { return a.sources(ctx, dirs) })
	return []*cobra.Command{probe, sources}
}

type probeResult struct {
	Machine     *hwprobe.Machine       `json:"machine"`
	Engines     []inference.EngineInfo `json:"engines"`
	ModelFamily string                 `json:"model_family,omitempty"`
	Version     string                 `json:"version,omitempty"`
	Verdicts    []hwprobe.Verdict      `json:"variants,omitempty"`
}

func (r *probeResult) text(p *printer) {
	m := r.Machine
	unknown := p.t("unknown")
	or := func(s string) string {
		if s == "" {
			return unknown
		}
		return clean(s)
	}
	p.line("%s", p.bold(p.t("probe.head")))
	p.field(p.t("probe.system"), m.OS+"/"+m.Arch+map[bool]string{true: " (" + m.Virtual + ")"}[m.Virtual != ""])
	p.field(p.t("probe.cpu"), fmt.Sprintf("%s, %s", or(m.CPU.Model), p.t("probe.cores", "cores", m.CPU.Cores, "threads", m.CPU.Threads)))
	p.field(p.t("probe.features"), or(strings.Join(m.CPU.Features, " ")))
	p.field(p.t("probe.memory"), fmt.Sprintf("%.1f GiB", float64(m.MemoryMiB.Total)/1024))
	if len(m.GPUs) == 0 {
		p.field(p.t("probe.gpu"), p.t("probe.none"))
	}
	for _, g := range m.GPUs {
		mem := p.t("probe.gpumemory.unknown")
		if g.MemoryMiB != nil {
			mem = fmt.Sprintf("%.1f GiB", float64(*g.MemoryMiB)/1024)
		}
		words := []string{fmt.Sprintf("%s %s [%s:%s]", clean(g.Vendor), or(g.Product), g.VendorID, g.DeviceID), mem}
		if g.Driver != "" {
			words = append(words, p.t("probe.driver", "driver", clean(g.Driver)))
		}
		p.field(p.t("probe.gpu"), strings.Join(words, ", "))
	}
	for _, e := range r.Engines {
		s := p.t("probe.usable")
		if !e.Usable {
			s = p.t("probe.unusable", "reason", clean(e.Reason))
		}
		p.field(p.t("probe.engine"), strings.Join(strings.Fields(e.Name+" "+e.Version+" ("+strings.Join(e.Providers, ", ")+")"), " ")+": "+s)
	}
	for _, n := range m.Notes {
		p.line("%s %s: %s", p.mark("warn"), clean(n.What), clean(n.Reason))
	}
	if r.Verdicts == nil {
		return
	}
	p.line("")
	p.line("%s", p.bold(p.t("probe.for", "family", r.ModelFamily, "version", r.Version)))
	verdictTable(p, r.Verdicts)
}

// verdictTable shows each variant with a yes or the exact reasons for no.
func verdictTable(p *printer, verdicts []hwprobe.Verdict) {
	first := true
	for _, v := range verdicts {
		state := p.t("probe.eligible")
		mark := p.mark("ok")
		if first && v.Eligible {
			state, first = p.t("probe.chosen"), false
		}
		if !v.Eligible {
			state, mark = p.t("probe.ineligible"), p.mark("bad")
		}
		p.line("%s %-14s %s", mark, clean(v.Variant), state)
		for _, why := range v.Reasons {
			if why.Unknown != "" {
				p.line("    %s: %s", why.Field, p.t("reason.unknown."+why.Unknown, "want", clean(why.Want)))
				continue
			}
			p.line("    %s", p.t("probe.reason", "field", why.Field, "want", clean(why.Want), "have", clean(why.Have)))
		}
	}
}

// sources lists bundles on removable drives (a hint of the system) and in folders the user names.
func (a *app) sources(ctx context.Context, dirs []string) (result, error) {
	r := &sourcesResult{Bundles: []foundBundle{}, Searched: []string{}}
	if len(dirs) == 0 {
		drives, notes := hwprobe.Drives(ctx)
		for _, d := range drives {
			if d.Removable && d.Mount != "" {
				dirs = append(dirs, d.Mount)
			}
		}
		r.Notes = notes
	}
	for _, dir := range dirs {
		r.Searched = append(r.Searched, dir)
		found, err := findBundles(ctx, dir)
		if err != nil {
			return nil, err
		}
		r.Bundles = append(r.Bundles, found...)
	}
	return r, nil
}

// Depth and count keep a slow stick with a million files from being walked to its end.
const (
	sourcesDepth = 3
	sourcesLimit = 200
)

func findBundles(ctx context.Context, dir string) ([]foundBundle, error) {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil, ioFault(fmt.Errorf("%q is no folder: %w", dir, os.ErrNotExist), dir)
	}
	var out []foundBundle
	seen := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			return nil // an unreadable folder on a stick hides nothing else
		}
		if seen++; seen > 20000 || len(out) >= sourcesLimit {
			return fs.SkipAll
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			if strings.Count(rel, string(filepath.Separator)) >= sourcesDepth || (rel != "." && strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		name := d.Name()
		if !d.Type().IsRegular() || !(strings.HasSuffix(name, ".tar.zst") || strings.HasSuffix(name, ".tar.zst.volumes.sig")) {
			return nil
		}
		out = append(out, describe(ctx, path))
		return nil
	})
	return out, err
}

func describe(ctx context.Context, path string) foundBundle {
	f := foundBundle{Path: path}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	src, err := bundle.Open(ctx, path, bundle.OpenOptions{})
	if err == nil {
		defer src.Close()
		var m *bundle.Manifest
		if m, err = bundle.ParseManifest(src.ManifestBytes()); err == nil {
			f.ModelFamily, f.Version, f.Created, f.Size = m.ModelFamily, m.Version, m.Created, src.Size()
			return f
		}
	}
	f.Problem = clean(err.Error())
	return f
}

type sourcesResult struct {
	Verified bool           `json:"verified"` // always false: described by themselves
	Searched []string       `json:"searched"`
	Bundles  []foundBundle  `json:"bundles"`
	Notes    []hwprobe.Note `json:"notes,omitempty"`
}

type foundBundle struct {
	Path        string `json:"path"`
	ModelFamily string `json:"model_family,omitempty"`
	Version     string `json:"version,omitempty"`
	Created     string `json:"created,omitempty"`
	Size        int64  `json:"size,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

func (r *sourcesResult) text(p *printer) {
	if len(r.Searched) == 0 {
		p.line("%s %s", p.mark("warn"), p.t("sources.nodrives"))
		return
	}
	p.line("%s", p.lang().Count("sources.found", len(r.Bundles), "where", clean(strings.Join(r.Searched, ", "))))
	if len(r.Bundles) == 0 {
		return
	}
	p.line("%s %s", p.mark("warn"), p.t("inspect.unverified"))
	rows := [][]string{{p.t("family"), p.t("version"), p.t("size"), p.t("inspect.path")}}
	for _, b := range r.Bundles {
		if b.Problem != "" {
			rows = append(rows, []string{"?", "?", "", clean(b.Path) + ": " + b.Problem})
			continue
		}
		rows = append(rows, []string{clean(b.ModelFamily), clean(b.Version), bytesText(b.Size), clean(b.Path)})
	}
	p.table(rows...)
}
