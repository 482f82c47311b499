// Package gate is what a bot calls at start: may I trade on these models? It reads an installation, verifies what the
// stage's record names, and runs inference on exactly the bytes it verified. It takes no lock, changes nothing but one
// log entry where it may write, and knows nothing of how a version came to be installed.
package gate

import (
	"context"
	"log/slog"

	"sluice/bundle"
	"sluice/inference/tensor"
	"sluice/installer/slot"
	"sluice/internal/fault"
)

// What a caller tells apart with errors.Is.
var (
	ErrMissingBundle    = fault.New(fault.BundleMissing, "no models here")
	ErrInvalidSignature = fault.New(fault.SignatureInvalid, "the bundle's signature does not hold")
	ErrInvalidBundle    = fault.New(fault.InstalledChanged, "the installed bundle is not what was signed")
	ErrGateClosed       = fault.New(fault.NotLive, "the gate is closed")
	ErrEngine           = fault.New(fault.EngineLoad, "the engine does not run these models")
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
	Incident       string           `json:"-"`
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

// Models are verified and loaded. Infer may be called concurrently.
type Models struct{}

// Open finds what the stage's record names, verifies it and loads it.
func Open(ctx context.Context, root string, o Options) (*Models, error) {
	return nil, fault.New(fault.Internal, "not written yet")
}

// Check answers the same question without keeping the models. With an error the answer says what was found until then.
func Check(ctx context.Context, root string, o Options) (*Answer, error) {
	return nil, fault.New(fault.Internal, "not written yet")
}

// Answer says what was opened.
func (m *Models) Answer() Answer { return Answer{} }

// Infer runs the variant's model.
func (m *Models) Infer(ctx context.Context, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	return nil, fault.New(fault.Internal, "not written yet")
}

// InferCompanion runs a companion model by its id.
func (m *Models) InferCompanion(ctx context.Context, id string, in map[string]tensor.Value) (map[string]tensor.Value, error) {
	return nil, fault.New(fault.Internal, "not written yet")
}

// Close unloads the models.
func (m *Models) Close() error { return nil }
