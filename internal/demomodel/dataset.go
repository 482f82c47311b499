package demomodel

import (
	"crypto/sha512"
	"encoding/binary"
	"math"
)

// Sample is what one bar gives: the features of the Window that ends with it, the regime of that bar, and the
// volatility of the bars after it.
type Sample struct {
	X           [Features]float64
	Regime      Regime
	Future      float64 // standard deviation of the next horizon log returns, in percent a bar
	Series, Bar int     // where in the set it comes from
}

const horizon = 10

// Set is one part of the data: whole series, and the samples taken from them.
type Set struct {
	Series  []Series
	Samples []Sample
}

// Data is split by series, so that no bar of a test market was seen in training.
type Data struct{ Train, Validation, Test Set }

const (
	barsPerSeries    = 800
	trainSeries      = 80
	validationSeries = 16
	testSeries       = 40
	trainStride      = 4 // neighbouring windows are nearly equal; every fourth suffices
	evaluationStride = 1
)

// NewData draws all prices. Each part takes its series from streams of its own.
func NewData(seed uint64) *Data {
	return &Data{
		Train:      newSet(seed, 1000, trainSeries, trainStride),
		Validation: newSet(seed, 2000, validationSeries, trainStride),
		Test:       newSet(seed, 3000, testSeries, evaluationStride),
	}
}

func newSet(seed, stream uint64, series, stride int) Set {
	var s Set
	for i := range series {
		m := NewSeries(seed, stream+uint64(i), barsPerSeries)
		s.Series = append(s.Series, m)
		for t := Window - 1; t+horizon < barsPerSeries; t += stride {
			s.Samples = append(s.Samples, Sample{
				X: Vector(m.Close[t+1-Window : t+1]), Regime: m.Regime[t], Future: future(m.Close, t), Series: i, Bar: t,
			})
		}
	}
	return s
}

func future(closes []float64, t int) float64 {
	var moves [horizon]float64
	for i := range moves {
		moves[i] = mul(100, log(closes[t+i+1]/closes[t+i]))
	}
	return round32(deviation(moves[:]))
}

// Bytes is the raw data set: train, validation and test in order, each series as its closing prices (IEEE 754 binary64,
// little-endian), then one byte a bar with the regime.
func (d *Data) Bytes() []byte {
	var b []byte
	for _, set := range []Set{d.Train, d.Validation, d.Test} {
		for _, s := range set.Series {
			for _, c := range s.Close {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c))
			}
			for _, r := range s.Regime {
				b = append(b, byte(r))
			}
		}
	}
	return b
}

// Digest is the SHA-384 of Bytes.
func (d *Data) Digest() [sha512.Size384]byte { return sha512.Sum384(d.Bytes()) }
