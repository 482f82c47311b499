package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/audit"
	"sluice/bundle"
	"sluice/installer"
	"sluice/installer/slot"
)

func (a *app) logVerbs() []*cobra.Command {
	var filter audit.Filter
	var name, since, until string
	show := a.verb("show", "log.show", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&name, "log", "", a.t("flag.log"))
		f.StringVar(&filter.Event, "event", "", a.t("flag.event"))
		f.StringVar(&filter.Status, "status", "", a.t("flag.status"))
		f.StringVar(&filter.Code, "code", "", a.t("flag.code"))
		f.StringVar(&filter.Incident, "incident", "", a.t("flag.incident"))
		f.StringVar(&filter.Actor, "actor", "", a.t("flag.actor"))
		f.StringVar(&since, "from", "", a.t("flag.from-date"))
		f.StringVar(&until, "to", "", a.t("flag.to-date"))
		f.IntVar(&filter.Last, "last", 0, a.t("flag.last"))
	}, func(ctx context.Context, _ []string) (result, error) {
		var err error
		if filter.Since, err = parseDate(since, 0); err != nil {
			return nil, err
		}
		if filter.Until, err = parseDate(until, 1); err != nil {
			return nil, err
		}
		filter.Incident = strings.ToUpper(strings.ReplaceAll(filter.Incident, "-", ""))
		return a.logShown(name, filter)
	})
	var exported, against, machineKey string
	verify := a.verb("verify", "log.verify", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&exported, "export", "", a.t("flag.log-export"))
		f.StringVar(&against, "against", "", a.t("flag.log-against"))
		f.StringVar(&machineKey, "machine-key", "", a.t("flag.machine-key"))
	}, func(ctx context.Context, _ []string) (result, error) {
		switch {
		case exported != "" && against != "":
			return nil, usage("--export and --against exclude each other")
		case machineKey != "" && exported == "":
			return nil, usage("--machine-key goes with --export")
		case exported != "":
			return a.exportVerified(exported, machineKey)
		}
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		heads, err := headsOf(in, against)
		if err != nil {
			return nil, err
		}
		states, err := in.LogVerifyAgainst(ctx, heads)
		if err != nil {
			return nil, err
		}
		return &logVerified{Logs: states, Against: against}, nil
	})
	var xo exportFlags
	exp := a.verb("export --out FILE", "log.export", cobra.NoArgs, func(f *pflag.FlagSet) { xo.add(a, f) },
		func(ctx context.Context, _ []string) (result, error) { return xo.run(ctx, a) })
	var rotateLog, rotateBy string
	rotate := a.verb("rotate", "log.rotate", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&rotateLog, "log", "", a.t("flag.log"))
		f.StringVar(&rotateBy, "operator", "", a.t("flag.operator"))
	}, func(ctx context.Context, _ []string) (result, error) {
		logs, err := logsNamed(rotateLog)
		if err != nil {
			return nil, err
		}
		in, err := a.installer(firstOr(rotateBy, account()))
		if err != nil {
			return nil, err
		}
		if err := in.LogRotate(ctx, firstOr(rotateBy, account()), logs...); err != nil {
			return nil, err
		}
		return &done{key: "log.rotated"}, nil
	})
	var stage, by string
	var artefacts []string
	app := a.verb("append TEXT", "log.append", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		f.StringVar(&stage, "stage", "demo", a.t("flag.check-stage"))
		f.StringVar(&by, "operator", "", a.t("flag.operator"))
		f.StringArrayVar(&artefacts, "artefact", nil, a.t("flag.artefact"))
	}, func(ctx context.Context, args []string) (result, error) {
		digests, err := artefactDigests(artefacts)
		if err != nil {
			return nil, err
		}
		s, err := slot.ParseStage(stage)
		if err != nil {
			return nil, err
		}
		in, err := a.installer(firstOr(by, account()))
		if err != nil {
			return nil, err
		}
		if err := in.LogAppend(ctx, s, firstOr(by, account()), args[0], digests); err != nil {
			return nil, err
		}
		return &done{key: "log.appended"}, nil
	})

	return []*cobra.Command{a.parent("log", "log", show, verify, app, exp, rotate), a.reportVerb()}
}

// artefactDigests reads NAME=FILE (the file is hashed) and NAME=sha384:HEX.
func artefactDigests(list []string) (map[string]bundle.Digest, error) {
	digests := map[string]bundle.Digest{}
	for _, one := range list {
		name, value, ok := strings.Cut(one, "=")
		if _, twice := digests[name]; !ok || name == "" || value == "" || twice {
			return nil, usage("--artefact %q, want NAME=FILE or NAME=sha384:HEX, each name once", one)
		}
		if hex, ok := strings.CutPrefix(value, "sha384:"); ok {
			d, err := bundle.ParseDigest(hex)
			if err != nil {
				return nil, usage("--artefact %q, want 96 hexadecimal digits after sha384:", one)
			}
			digests[name] = d
			continue
		}
		d, err := fileDigest(value)
		if err != nil {
			return nil, err
		}
		digests[name] = d
	}
	return digests, nil
}

func fileDigest(path string) (bundle.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return bundle.Digest{}, ioFault(err, path)
	}
	defer f.Close()
	d, err := slot.SumReader(f)
	if err != nil {
		return d, ioFault(err, path)
	}
	return d, nil
}

func parseDate(s string, addDays int) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, usage("date %q, want 2026-11-24 or RFC 3339", s)
	}
	return t.AddDate(0, 0, addDays), nil
}

func (a *app) logShown(name string, filter audit.Filter) (result, error) {
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	logs, err := logsNamed(name)
	if err != nil {
		return nil, err
	}
	r := &logResult{Entries: []audit.Line{}}
	reader := audit.Open(audit.Options{Dir: in.Root() + "/" + slot.AuditDir, NextDir: in.Root() + "/" + slot.MachineDir, Clock: a.env.Now, Rand: a.env.Rand})
	for _, l := range logs {
		lines, err := reader.Read(l, filter)
		if err != nil {
			return nil, err
		}
		r.Entries = append(r.Entries, lines...)
	}
	return r, nil
}

type logResult struct {
	Verified bool         `json:"verified"` // always false: log verify checks the chain
	Entries  []audit.Line `json:"entries"`
}

func (r *logResult) text(p *printer) {
	if len(r.Entries) == 0 {
		p.say("log.none")
	}
	for _, e := range r.Entries {
		p.line("%s", e.Text())
	}
}

// logsNamed is one log, or all without a name.
func logsNamed(name string) ([]audit.Log, error) {
	if name == "" {
		return audit.All(), nil
	}
	for _, l := range audit.All() {
		if string(l) == name {
			return []audit.Log{l}, nil
		}
	}
	return nil, usage("--log %q, want demo, paper or live_execution", name)
}

type logVerified struct {
	Logs    []installer.LogState `json:"logs"`
	Against string               `json:"against,omitempty"` // export whose heads they went through
}

func (r *logVerified) text(p *printer) {
	for _, l := range r.Logs {
		p.line("%s %s", p.mark("ok"), p.lang().Count("log.sound", l.Entries, "log", l.Log))
		p.field(p.t("log.head"), fmt.Sprint(l.Head))
	}
	if r.Against != "" {
		p.line("%s %s", p.mark("ok"), p.t("log.against", "path", r.Against))
	}
}
