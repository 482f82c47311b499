// Package gate is what a bot calls at start: may I trade on these models? It reads an installation, verifies what the
// stage's record names, and runs inference on exactly the bytes it verified. It takes no lock, changes nothing but one
// log entry where it may write, and knows nothing of how a version came to be installed.
package gate

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"sluice/bundle"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/uptime"
)

// EnvRequire is the variable that makes models mandatory. It can only tighten.
const EnvRequire = "BOT_CORE_REQUIRE_OEM_MODELS"

// Options are the settings of Open and Check. The zero value asks for live, without a log of its own.
type Options struct {
	Stage   slot.Stage               // empty: live
	Logger  *slog.Logger             // nil: none
	Require bool                     // models are mandatory, whatever the environment says
	Env     func(name string) string // nil: os.Getenv
	Actor   string                   // who asks, for the log; empty: "gate"
	Clock   func() time.Time         // nil: time.Now
	Built   time.Time                // when this program was built: evidence of time; zero: unknown

	Uptime func() (boot string, up time.Duration) // nil: the system's; see uptime.Now

	// Lease is the bot's name for a lease: a file below the root that says that it runs, renewed until Models.Close says that it
	// has stopped. With it, Models.Halted tells when the models may not be used any more. Empty: none. It needs the right to
	// write the folder leases.
	Lease      string
	LeaseEvery time.Duration // between renewals; 0: slot.LeaseEvery
	LeasePID   int           // whose lease it is; 0: this process's
}

// Answer is what check --json prints.
type Answer struct {
	OK             bool             `json:"ok"`
	Stage          slot.Stage       `json:"stage"`
	ModelFamily    string           `json:"model_family"`
	Version        string           `json:"version"`
	Variant        string           `json:"variant"`
	BundlePath     string           `json:"bundle_path"`
	ManifestSHA384 bundle.Digest    `json:"manifest_sha384,omitzero"`
	Artifacts      []AnswerArtifact `json:"artifacts"`
	Engine         *slot.Engine     `json:"engine,omitempty"`
	Fallback       string           `json:"fallback"` // "disabled" or "allowed"
	Logged         bool             `json:"logged"`   // a refusal or fallback was written to the log
	Emergency      *AnswerEmergency `json:"emergency,omitempty"`
}

// AnswerEmergency marks models that the site signed itself, without the vendor.
type AnswerEmergency struct {
	Reason      string `json:"reason"`
	By          string `json:"by"`
	At          string `json:"at"`
	ReviewOwed  bool   `json:"review_owed"`
	SecondsLeft int64  `json:"seconds_left,omitempty"` // until the gate closes, unless the review is signed before
}

// AnswerArtifact is one verified file.
type AnswerArtifact struct {
	Path   string        `json:"path"` // absolute
	Size   int64         `json:"size"`
	SHA384 bundle.Digest `json:"sha384"`
	Role   bundle.Role   `json:"role"`
}

// The two values of Answer.Fallback.
const (
	FallbackDisabled = "disabled"
	FallbackAllowed  = "allowed"
)

// Required says whether a value of EnvRequire makes models mandatory: any but empty, 0, false, no, off, in any letter
// case, with or without spaces around.
func Required(value string) bool {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "", "0", "false", "no", "off":
		return false
	}
	return true
}

func (o Options) normal() (Options, error) {
	if o.Stage == "" {
		o.Stage = slot.Live
	}
	if _, err := slot.ParseStage(string(o.Stage)); err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Actor == "" {
		o.Actor = "gate"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Uptime == nil {
		o.Uptime = uptime.Now
	}
	if o.Lease != "" {
		if _, err := slot.LeasePath(o.Lease); err != nil {
			return o, err
		}
		if o.LeaseEvery == 0 {
			o.LeaseEvery = slot.LeaseEvery
		}
		if o.LeaseEvery < time.Second || o.LeaseEvery > slot.MaxLeaseEvery {
			return o, fault.New(fault.Lease, "a lease renewed every %s, want 1s to %s", o.LeaseEvery, slot.MaxLeaseEvery).With("name", o.Lease)
		}
	}
	o.Require = o.Require || Required(o.Env(EnvRequire))
	return o, nil
}

// Check answers whether this machine may trade on the stage's models, without keeping them: everything is verified and
// each model is loaded once. With an error the answer says what was found until then. The first that applies, in this
// order: no models here (exit 4), not intact or authentic (3), gate closed (7), engine (6).
func Check(ctx context.Context, root string, o Options) (*Answer, error) {
	m, answer, err := open(ctx, root, o)
	if m != nil {
		// The lease goes on: the bot that asked renews it (Renew) and confirms when it has stopped (Release).
		if m.lease != nil {
			err = errors.Join(err, m.lease.end(false))
			m.lease = nil
		}
		if cerr := m.Close(); err == nil {
			err = cerr
		}
	}
	return answer, err
}

// Open finds what the stage's record names, verifies it and loads it. It never gives models that may not be used: where
// fallback is allowed it gives ErrMissingBundle, whose detail "fallback" says so.
func Open(ctx context.Context, root string, o Options) (*Models, error) {
	m, answer, err := open(ctx, root, o)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, closed(fault.New(fault.BundleMissing, "there are no models in %q, and this machine never had any", root).
			With("root", root).With("fallback", answer.Fallback), "", false)
	}
	return m, nil
}

// looks is how often a root is judged again when a writer changed it meanwhile.
const looks = 20

func open(ctx context.Context, root string, o Options) (*Models, *Answer, error) {
	answer := &Answer{Stage: o.Stage, Artifacts: []AnswerArtifact{}, Fallback: FallbackDisabled}
	o, err := o.normal()
	if err != nil {
		return nil, answer, err
	}
	answer.Stage = o.Stage
	j := &judge{o: o, path: root, answer: answer}
	for attempt := 0; ; attempt++ {
		err = j.run(ctx)
		if err == nil || attempt == looks || !j.moved() {
			break
		}
		time.Sleep(20 * time.Millisecond) // a writer is at work: judge again, so that it is old or new, never a mixture
	}
	defer j.close()
	if err != nil {
		incident := j.refused(err)
		o.Logger.Error("gate closed", "stage", o.Stage, "code", fault.CodeOf(err), "incident", incident, "reason", err)
		return nil, answer, closed(err, incident, answer.Logged)
	}
	if o.Lease != "" && j.models != nil {
		l := slot.NewLease(o.Lease, j.record, o.LeaseEvery, o.Clock())
		if o.LeasePID != 0 {
			l.PID = o.LeasePID
		}
		if j.models.lease, err = hold(root, l, o.Clock, j.models.window); err != nil {
			err = errors.Join(err, j.models.Close())
			o.Logger.Error("no lease, so the models are not given", "lease", o.Lease, "reason", err)
			return nil, answer, closed(err, "", false)
		}
	}
	answer.OK = true
	if answer.Fallback == FallbackAllowed {
		o.Logger.Warn("NO OEM MODELS: this machine never had any and none are required; fallback is allowed", "stage", o.Stage, "root", root)
		return nil, answer, nil
	}
	j.opened()
	if e := answer.Emergency; e != nil {
		o.Logger.Warn("EMERGENCY: these models are signed by the site, not by the vendor", "reason", e.Reason, "by", e.By,
			"review_owed", e.ReviewOwed, "seconds_left", e.SecondsLeft)
	}
	o.Logger.Info("OEM models verified; fallback is disabled", "stage", o.Stage, "version", answer.Version, "variant", answer.Variant,
		"manifest_sha384", answer.ManifestSHA384)
	return j.models, answer, nil
}
