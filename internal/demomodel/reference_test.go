package demomodel

import (
	"testing"

	"sluice/inference/reference"
)

func TestReferenceEvaluatorAnswersTheGoldenCases(t *testing.T) {
	proveDemo(t, func(t *testing.T, file string) (session, error) {
		return reference.Load(demoFile(t, file), reference.Options{})
	})
}
