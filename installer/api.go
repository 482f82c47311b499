package installer

import (
	"context"
	"crypto/ed25519"
	"time"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/verify"
)

// FitOptions choose a variant.
type FitOptions struct {
	Variant string // empty: the eligible one with the highest priority
	Reason  string // of an emergency: needed with what AuthenticateEmergency gave, refused otherwise
}

// InstallOptions are Install's.
type InstallOptions struct {
	Variant string   // as in FitOptions; no other variant is tried then
	Also    []string // further folders with volumes
	// Ask is called for a volume that no folder holds; it returns the folder that has it now. Nil: E-VOLUME-MISSING.
	Ask      func(ctx context.Context, want bundle.VolumeWanted) (dir string, err error)
	Operator string // who installs; empty: Config.Operator
	// Taken is told of each next trust root and revocation list that was taken over from the medium before the bundle was judged.
	Taken func(verify.Step)

	// Emergency takes a bundle that only the site's role targets signed; Reason is needed then.
	Emergency bool
	Reason    string
	// Measured, when set, has every variant that fits measured first (Measure) and is told the outcome. The choice stays
	// with the signed order.
	Measured func(*Measurement)
}

// Attempt is one variant's smoke test during an installation.
type Attempt = slot.Attempt

// SignOffOptions are one person's decision about one stage.
type SignOffOptions struct {
	Stage    slot.Stage         // paper or live
	Operator string             // id or name of the person in the site's policy
	Role     string             // which of the person's roles; empty: the only one that the stage asks for
	Key      ed25519.PrivateKey // the person's
	Answers  *compliance.Answers
	Meaning  compliance.Meaning // empty: approved
	Refuse   bool               // sign a refusal instead
	Reason   string             // needed with Refuse
	Lang     string             // in which the checklist was shown; empty: Config.Lang
}

// SignOffResult is where a stage stands after a signature.
type SignOffResult struct {
	Complete     bool
	MissingRoles []string
	// NeedsApproved: nobody has signed with the meaning "approved". NeedsIndependent: only the one who installed has.
	NeedsApproved, NeedsIndependent bool
	Approved                        *Approved // when complete
	Refused                         bool
	Stage                           slot.Stage
	Version                         string
	Record                          string            // absolute path of the record of the stage (JSON)
	Envelope                        string            // absolute path of what the person signed
	Form                            string            // absolute path of what they saw and answered
	Report                          string            // absolute path of the same to read (plain text)
	PDF                             string            // absolute path of the same to print and keep
	Evidence                        string            // absolute path of the evidence pack
	Emergency                       *slot.Emergency   // the site signed the version, not the vendor
	Voided                          []VoidedSignature // earlier signatures that do not count any more: those people sign anew
}

// VoidedSignature is a signature after which something changed.
type VoidedSignature struct {
	Stage   slot.Stage `json:"stage"`
	Person  string     `json:"person"`
	Path    string     `json:"path,omitempty"` // of what they signed
	Changed []string   `json:"changed"`        // compliance.ChangeText says it in words
}

// RollbackOptions are a person's decision to return to the version that was live before.
type RollbackOptions struct {
	Operator string // id or name of a person in the site's policy
	Key      ed25519.PrivateKey
	Reason   string // needed
}

// VersionInfo is one installed variant.
type VersionInfo struct {
	Version        string        `json:"version"`
	Variant        string        `json:"variant"`
	Folder         string        `json:"folder"` // absolute
	ManifestSHA384 bundle.Digest `json:"manifest_sha384,omitzero"`
	Stages         []slot.Stage  `json:"stages"`            // whose records name it
	WayBack        bool          `json:"way_back"`          // a rollback returns to it
	Problem        string        `json:"problem,omitempty"` // why its description cannot be read

	Emergency *slot.Emergency `json:"emergency,omitempty"` // the site signed it, not the vendor
}

// Status is what the window's start screen shows. Reading it verifies no artifact.
type Status struct {
	Root        string                     `json:"root"`
	ModelFamily string                     `json:"model_family,omitempty"`
	Floor       string                     `json:"floor,omitempty"`
	Trust       bool                       `json:"trust"`  // a vendor root is placed
	Policy      bool                       `json:"policy"` // the site has a policy
	Versions    []VersionInfo              `json:"versions"`
	Stages      map[slot.Stage]StageStatus `json:"stages"`
	Waiting     []Waiting                  `json:"waiting"`
	LastCheck   *LastCheck                 `json:"last_check,omitempty"`
	Stop        *Stop                      `json:"stop,omitempty"`
	Bots        []Bot                      `json:"bots"` // as their leases say
	Problems    []Problem                  `json:"problems"`
	Knowledge   Knowledge                  `json:"knowledge"`
	Busy        string                     `json:"busy,omitempty"` // who holds the lock
	Program     *Programs                  `json:"program,omitempty"`
	Emergencies []EmergencyView            `json:"emergencies"` // what a record names or whose review is owed
	Next        []string                   `json:"next"`        // arguments of the next command; <…> stands for what a person fills in
}

// Stop is a live stage that was switched off while its record could not be written: it is off, and the next writing step
// takes it into record and log. All is empty when the marker does not say.
type Stop struct {
	At       string `json:"at"`
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
}

// Bot is one that holds a lease: its own word, no evidence.
type Bot struct {
	Name     string     `json:"name"`
	Stage    slot.Stage `json:"stage,omitempty"` // empty: its lease cannot be read
	Version  string     `json:"version,omitempty"`
	PID      int        `json:"pid,omitempty"`
	Host     string     `json:"host,omitempty"`
	Started  string     `json:"started,omitempty"`
	Renewed  string     `json:"renewed,omitempty"`
	Stopped  string     `json:"stopped,omitempty"`
	State    BotState   `json:"state"`
	MustStop bool       `json:"must_stop"` // its stage does not run its models any more
	// Confirmed: it has said that it stopped. Whoever MustStop and has not Confirmed is to be stopped by hand.
	Confirmed bool `json:"confirmed"`
}

// BotState is what a lease says of a bot.
type BotState string

// The states. A silent bot has not renewed its lease for three times what it promised: it may have ended, or may not.
const (
	BotRunning BotState = "running"
	BotSilent  BotState = "silent"
	BotStopped BotState = "stopped"
)

// Unconfirmed are the names of the bots that must stop and have not confirmed it.
func (s *Status) Unconfirmed() []string {
	out := []string{}
	for _, b := range s.Bots {
		if b.MustStop && !b.Confirmed {
			out = append(out, b.Name)
		}
	}
	return out
}

// StageStatus is what a stage runs.
type StageStatus struct {
	Version  string `json:"version"`
	Variant  string `json:"variant"`
	Engine   string `json:"engine"`
	Enabled  bool   `json:"enabled"`
	At       string `json:"at"`
	Previous string `json:"previous,omitempty"` // version a rollback returns to
	Revoked  bool   `json:"revoked,omitempty"`  // a revocation list names its bundle, or a key that it rests on

	Emergency *EmergencyView `json:"emergency,omitempty"`
}

// Waiting says whose signatures a stage still needs.
type Waiting struct {
	Stage   slot.Stage `json:"stage"`
	Version string     `json:"version"`
	Roles   []string   `json:"roles"`
	People  []string   `json:"people"` // ids of those who could sign
	// NeedsApproved: a signature with the meaning "approved" is missing; NeedsIndependent: one by somebody other than who installed.
	NeedsApproved    bool              `json:"needs_approved,omitempty"`
	NeedsIndependent bool              `json:"needs_independent,omitempty"`
	Void             []VoidedSignature `json:"void,omitempty"` // signatures after which something changed
}

// LastCheck is the last answer of the gate that the log holds.
type LastCheck struct {
	Stage slot.Stage `json:"stage"`
	At    time.Time  `json:"at"`
	OK    bool       `json:"ok"`
	Code  fault.Code `json:"code,omitempty"`
}

// Problem is something that is not as it was left.
type Problem struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
}

// LogState is one verified log.
type LogState struct {
	Log     string        `json:"log"`
	Entries int           `json:"entries"`
	Head    bundle.Digest `json:"head_sha384"`
	Torn    bool          `json:"torn"` // the next writer completes its last entry
}
