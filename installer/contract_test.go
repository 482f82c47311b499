package installer_test

import (
	"testing"

	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// A model whose output has another element type than the contract says is refused as that.
func TestContractMismatch(t *testing.T) {
	t.Parallel()
	s := testroot.New(t)
	_, _, err := s.In.Install(t.Context(), s.Bundle(testroot.BundleOptions{Output: "float64", Variants: []string{"first"}}), installer.InstallOptions{})
	wantCode(t, err, fault.Contract)
	if fault.DetailOf(err)["variant"] != "first" || fault.DetailOf(err)["output"] != "y" {
		t.Errorf("detail %v", fault.DetailOf(err))
	}
}
