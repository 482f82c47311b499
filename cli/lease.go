package cli

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/gate"
	"sluice/installer"
	"sluice/installer/slot"
)

// leaseFlags begin a lease with a check.
type leaseFlags struct {
	name  string
	every time.Duration
	pid   int
}

func (l *leaseFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&l.name, "lease", "", a.t("flag.lease"))
	f.DurationVar(&l.every, "lease-every", slot.LeaseEvery, a.t("flag.lease-every"))
	f.IntVar(&l.pid, "lease-pid", 0, a.t("flag.lease-pid"))
}

func (l *leaseFlags) into(o *gate.Options) error {
	if l.name == "" {
		if l.pid != 0 {
			return usage("--lease-pid goes with --lease")
		}
		return nil
	}
	o.Lease, o.LeaseEvery, o.LeasePID = l.name, l.every, l.pid
	if o.LeasePID == 0 {
		o.LeasePID = os.Getppid()
	}
	return nil
}

func (a *app) leaseVerbs() []*cobra.Command {
	list := a.verb("list", "lease.list", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		s, err := in.Status()
		if err != nil {
			return nil, err
		}
		return &leaseList{Bots: s.Bots, Unconfirmed: s.Unconfirmed()}, nil
	})
	renew := a.verb("renew NAME", "lease.renew", cobra.ExactArgs(1), nil, func(ctx context.Context, args []string) (result, error) {
		root, err := a.rootDir()
		if err != nil {
			return nil, err
		}
		if err := gate.Renew(root, args[0], gate.Options{Clock: a.env.Now}); err != nil {
			return nil, err
		}
		return &done{key: "lease.renewed"}, nil
	})
	end := a.verb("end NAME", "lease.end", cobra.ExactArgs(1), nil, func(ctx context.Context, args []string) (result, error) {
		root, err := a.rootDir()
		if err != nil {
			return nil, err
		}
		if err := gate.Release(root, args[0], gate.Options{Clock: a.env.Now}); err != nil {
			return nil, err
		}
		return &done{key: "lease.ended"}, nil
	})
	var by, reason string
	clear := a.verb("clear NAME --operator NAME", "lease.clear", cobra.ExactArgs(1), func(f *pflag.FlagSet) {
		f.StringVar(&by, "operator", "", a.t("flag.operator"))
		f.StringVar(&reason, "reason", "", a.t("flag.reason"))
	}, func(ctx context.Context, args []string) (result, error) {
		if by == "" {
			return nil, usage("--operator is missing: who says that the bot has stopped")
		}
		in, err := a.installer(by)
		if err != nil {
			return nil, err
		}
		if err := in.LeaseClear(ctx, args[0], by, reason); err != nil {
			return nil, err
		}
		return &done{key: "lease.cleared", pairs: []any{"name", args[0]}}, nil
	})
	return []*cobra.Command{a.parent("lease", "lease", list, renew, end, clear)}
}

type leaseList struct {
	Bots        []installer.Bot `json:"bots"`
	Unconfirmed []string        `json:"unconfirmed"`
}

func (r *leaseList) text(p *printer) {
	if len(r.Bots) == 0 {
		p.say("bot.none")
	}
	p.bots(r.Bots)
}

// bots says of each bot with a lease how it stands.
func (p *printer) bots(bots []installer.Bot) {
	for _, b := range bots {
		facts := []any{"name", clean(b.Name), "version", clean(b.Version), "pid", strconv.Itoa(b.PID), "renewed", clean(b.Renewed), "stopped", clean(b.Stopped)}
		switch {
		case b.Stage == "":
			p.line("%s %s", p.mark("bad"), p.t("bot.unknown", facts...))
		case b.Confirmed:
			p.line("%s %s", p.mark("ok"), p.t("bot.confirmed", facts...))
		case b.MustStop:
			p.line("%s %s", p.mark("bad"), p.t("bot.unconfirmed", facts...))
		case b.State == installer.BotSilent:
			p.line("%s %s", p.mark("warn"), p.t("bot.silent", facts...))
		default:
			p.line("%s %s", p.mark("ok"), p.t("bot.running", facts...))
		}
	}
}
