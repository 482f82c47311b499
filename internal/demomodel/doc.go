// Package demomodel makes the demo model that the program ships: it draws synthetic prices, computes features, trains a
// small market-regime classifier and a gradient-boosted volatility forecaster on them, measures both on data they have
// not seen, and exports them as ONNX with golden cases and reports.
//
// Everything follows from one seed and is the same, bit for bit, on every platform: random numbers come from a PCG
// generator, exp and log are computed here, and each product is rounded by an explicit conversion, which forbids the
// compiler to fuse it with an addition (Go specification, "Floating-point operators"). Work is done on one goroutine.
//
// It is a demonstration of the way from a model to a machine. It knows nothing about real markets.
package demomodel
