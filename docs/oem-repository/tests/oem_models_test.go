// Package tests holds the guards of this repository: run them with BOT_CORE_REQUIRE_OEM_MODELS=1 in CI.
package tests

import (
	"testing"

	"sluice/gate/gatetest"
)

// TestOEMModels fails when the packaged models are missing, although mandatory, or are not what the OEM signed.
func TestOEMModels(t *testing.T) {
	gatetest.RequireModels(t, gatetest.Options{})
}
