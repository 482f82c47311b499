package gate

import (
	"errors"

	"sluice/internal/fault"
)

// What a caller tells apart with errors.Is. An invalid signature is an invalid bundle too.
var (
	ErrMissingBundle    = errors.New("no models here")
	ErrInvalidSignature = errors.New("the signature of the models does not hold")
	ErrInvalidBundle    = errors.New("the models are not what was signed")
	ErrGateClosed       = errors.New("the gate is closed")
	ErrEngine           = errors.New("the engine does not run these models")
)

// Closed is every refusal of the gate. Its code is fault.CodeOf.
type Closed struct {
	err      error
	incident string
	logged   bool
}

func closed(err error, incident string, logged bool) error {
	return &Closed{err: err, incident: incident, logged: logged}
}

func (c *Closed) Error() string { return c.err.Error() }

// Unwrap gives the cause.
func (c *Closed) Unwrap() error { return c.err }

// Incident is the seven characters to be read out on the phone; empty when none could be drawn.
func (c *Closed) Incident() string { return c.incident }

// Logged says whether the refusal stands in the log.
func (c *Closed) Logged() bool { return c.logged }

// signatureCodes are the refusals that are about who signed.
var signatureCodes = map[fault.Code]bool{
	fault.SignatureMissing: true, fault.SignatureInvalid: true, fault.SignatureUntrusted: true, fault.SignatureType: true,
	fault.SignatureThreshold: true, fault.TrustNone: true, fault.TrustInvalid: true, fault.TrustExpired: true, fault.KeyWeak: true,
}

// Is sorts a refusal into one of this package's kinds.
func (c *Closed) Is(target error) bool {
	code := fault.CodeOf(c.err)
	switch target {
	case ErrMissingBundle:
		return code.Exit() == fault.BundleMissing.Exit()
	case ErrInvalidSignature:
		return signatureCodes[code]
	case ErrInvalidBundle:
		return code.Exit() == fault.InstalledChanged.Exit()
	case ErrGateClosed:
		return code.Exit() == fault.NotLive.Exit()
	case ErrEngine:
		return code.Exit() == fault.EngineLoad.Exit()
	}
	return false
}
