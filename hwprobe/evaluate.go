package hwprobe

import "sluice/bundle"

// Evaluate judges every variant: the eligible ones first, by priority, then by manifest order; then the others.
func Evaluate(m *Machine, engines []Engine, man *bundle.Manifest) []Verdict { return nil }
