package cli

import (
	"context"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/gate"
	"sluice/installer"
	"sluice/installer/slot"
)

func (a *app) liveVerbs() []*cobra.Command {
	var enableBy, disableBy, reason string
	enable := a.verb("enable", "live.enable", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&enableBy, "operator", "", a.t("flag.operator"))
	}, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer(firstOr(enableBy, account()))
		if err != nil {
			return nil, err
		}
		approved, err := in.Reapprove(ctx, slot.Live)
		if err != nil {
			return nil, err
		}
		if _, err := in.GoLive(ctx, approved); err != nil {
			return nil, err
		}
		return a.liveState(in)
	})
	disable := a.verb("disable", "live.disable", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&disableBy, "operator", "", a.t("flag.operator"))
		f.StringVar(&reason, "reason", "", a.t("flag.reason"))
	}, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer(firstOr(disableBy, account()))
		if err != nil {
			return nil, err
		}
		if err := in.Disable(ctx, firstOr(disableBy, account()), reason); err != nil {
			return nil, err
		}
		return a.liveState(in)
	})
	state := a.verb("status", "live.status", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		return a.liveState(in)
	})

	var back installer.RollbackOptions
	var keys keyFlags
	rollback := a.verb("rollback --operator ID --key K --reason TEXT", "rollback", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&back.Operator, "operator", "", a.t("flag.person"))
		f.StringVar(&back.Reason, "reason", "", a.t("flag.reason"))
		keys.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) {
		if back.Operator == "" || back.Reason == "" {
			return nil, usage("rollback wants --operator, --key and --reason")
		}
		in, err := a.installer(back.Operator)
		if err != nil {
			return nil, err
		}
		if back.Key, err = keys.one(a); err != nil {
			return nil, err
		}
		if _, err := in.Rollback(ctx, back); err != nil {
			return nil, err
		}
		return a.liveState(in)
	})

	var stage string
	var hold leaseFlags
	check := a.verb("check [--stage demo|paper|live]", "check", cobra.NoArgs, func(f *pflag.FlagSet) {
		f.StringVar(&stage, "stage", "live", a.t("flag.check-stage"))
		hold.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) { return a.check(ctx, stage, hold) })
	return []*cobra.Command{a.parent("live", "live", enable, disable, state), rollback, check}
}

func firstOr(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func (a *app) liveState(in *installer.Installer) (result, error) {
	s, err := in.Status()
	if err != nil {
		return nil, err
	}
	live := s.Stages[slot.Live]
	return &liveResult{Enabled: live.Enabled, Version: live.Version, Variant: live.Variant, Since: live.At, Previous: live.Previous,
		LogFollows: s.Stop != nil, Next: s.Next, Emergency: live.Emergency, Bots: s.Bots, Unconfirmed: s.Unconfirmed()}, nil
}

type liveResult struct {
	Enabled    bool     `json:"enabled"`
	Version    string   `json:"version"`
	Variant    string   `json:"variant"`
	Since      string   `json:"since"`
	Previous   string   `json:"previous,omitempty"`
	LogFollows bool     `json:"log_follows"` // stopped by a marker that record and log do not hold yet
	Next       []string `json:"next"`

	Emergency *installer.EmergencyView `json:"emergency,omitempty"`

	Bots        []installer.Bot `json:"bots"`        // as their leases say
	Unconfirmed []string        `json:"unconfirmed"` // bots that must stop and have not said that they did
}

func (r *liveResult) text(p *printer) {
	if r.Emergency != nil {
		p.emergency(r.Emergency)
	}
	if r.Enabled {
		p.line("%s %s", p.mark("ok"), p.bold(p.t("live.on", "version", r.Version, "variant", r.Variant, "since", r.Since)))
		if r.Previous != "" {
			p.field(p.t("live.wayback"), r.Previous)
		}
		p.bots(r.Bots)
		return
	}
	p.line("%s %s", p.mark("warn"), p.bold(p.t("live.off")))
	if r.LogFollows {
		p.line("%s %s", p.mark("warn"), p.t("live.logfollows"))
	}
	if len(r.Bots) == 0 {
		p.line("%s %s", p.mark("warn"), p.t("live.stopbots"))
	}
	p.bots(r.Bots)
	p.next(r.Next)
}

// check asks the gate, as a bot does.
func (a *app) check(ctx context.Context, stage string, hold leaseFlags) (result, error) {
	root, err := a.rootDir()
	if err != nil {
		return nil, err
	}
	s, err := slot.ParseStage(stage)
	if err != nil {
		return nil, err
	}
	var logs io.Writer = a.env.Stderr
	if a.quiet || a.json {
		logs = io.Discard
	}
	o := gate.Options{
		Stage: s, Env: a.env.Getenv, Actor: "check", Built: a.env.Built, Logger: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if err := hold.into(&o); err != nil {
		return nil, err
	}
	answer, err := gate.Check(ctx, root, o)
	if err != nil {
		return nil, &foundError{err, answer}
	}
	return &checkResult{answer}, nil
}

// checkResult is the gate's answer.
type checkResult struct{ *gate.Answer }

func (r *checkResult) text(p *printer) {
	if r.Fallback == gate.FallbackAllowed {
		p.line("%s %s", p.mark("warn"), p.bold(p.t("check.fallback")))
		return
	}
	if e := r.Emergency; e != nil {
		p.line("%s %s", p.mark("warn"), p.bold(p.t("emergency.mark", "version", r.Version, "reason", clean(e.Reason), "by", clean(e.By))))
		if e.SecondsLeft > 0 {
			p.line("%s %s", p.mark("warn"), p.t("emergency.left", "left", duration(e.SecondsLeft)))
		}
	}
	p.line("%s %s", p.mark("ok"), p.bold(p.t("check.open", "stage", string(r.Stage), "family", r.ModelFamily, "version", r.Version, "variant", r.Variant)))
	p.field(p.t("install.path"), r.BundlePath)
	p.field(p.t("manifest"), r.ManifestSHA384.String())
	p.say("check.nofallback")
}
