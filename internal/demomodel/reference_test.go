package demomodel

import (
	"testing"

	"sluice/inference/reference"
)

func TestReferenceEvaluatorAnswersTheGoldenCases(t *testing.T) {
	proveDemo(t, func(model []byte) (session, error) { return reference.Load(model, reference.Options{}) })
}
