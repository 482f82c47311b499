package demomodel

import (
	"math"
	"slices"
)

// Forecaster is a gradient-boosted ensemble of regression trees for the volatility of the coming bars.
// Thresholds, leaves and base are float32.
type Forecaster struct {
	Base  float64
	Trees [][]treeNode // each tree's root is its first node
}

// treeNode is a split (x[Feature] <= Threshold goes to Left) or, with Left 0, a leaf.
type treeNode struct {
	Feature     int
	Threshold   float64
	Left, Right int
	Value       float64
}

const (
	treeCount   = 64
	treeDepth   = 3
	treeRate    = 0.1
	treeBins    = 48 // candidate thresholds per feature, at quantiles
	treeMinLeaf = 40 // samples
)

// TrainForecaster boosts trees on squared error (Friedman 2001). It keeps as many of them as give the lowest error on
// validation.
func TrainForecaster(train, validation []Sample) *Forecaster {
	g := newGrower(train)
	sum := 0.0
	for _, s := range train {
		sum += s.Future
	}
	f := &Forecaster{Base: round32(sum / float64(len(train)))}
	for i, s := range train {
		g.residual[i] = s.Future - f.Base
	}
	keep, best := 0, math.Inf(1)
	have := make([]float64, len(validation))
	for range treeCount {
		t := g.grow()
		f.Trees = append(f.Trees, t)
		for i := range train {
			g.residual[i] -= leaf(t, &train[i].X)
		}
		loss := 0.0
		for i := range validation {
			have[i] += leaf(t, &validation[i].X)
			miss := validation[i].Future - f.Base - have[i]
			loss += mul(miss, miss)
		}
		if loss < best {
			keep, best = len(f.Trees), loss
		}
	}
	f.Trees = f.Trees[:keep]
	return f
}

// Forecast is the expected standard deviation of the next ten log returns, in percent a bar.
func (f *Forecaster) Forecast(x [Features]float64) float64 {
	sum := f.Base
	for _, t := range f.Trees {
		sum += leaf(t, &x)
	}
	return sum
}

func leaf(t []treeNode, x *[Features]float64) float64 {
	n := 0
	for t[n].Left != 0 {
		if x[t[n].Feature] <= t[n].Threshold {
			n = t[n].Left
		} else {
			n = t[n].Right
		}
	}
	return t[n].Value
}

// grower holds the training set by columns, each value replaced by the number of its bin.
type grower struct {
	edges    [Features][]float64 // upper ends of the bins but the last
	bins     [Features][]uint8
	residual []float64
}

func newGrower(train []Sample) *grower {
	g := &grower{residual: make([]float64, len(train))}
	column := make([]float64, len(train))
	for f := range Features {
		for i, s := range train {
			column[i] = s.X[f]
		}
		slices.Sort(column)
		for b := 1; b < treeBins; b++ {
			at := b * len(column) / treeBins
			edge := round32((column[at-1] + column[at]) / 2)
			if n := len(g.edges[f]); n == 0 || edge > g.edges[f][n-1] {
				g.edges[f] = append(g.edges[f], edge)
			}
		}
		g.bins[f] = make([]uint8, len(train))
		for i, s := range train {
			b, _ := slices.BinarySearch(g.edges[f], s.X[f]) // first edge that is not below the value
			g.bins[f][i] = uint8(b)
		}
	}
	return g
}

func (g *grower) grow() []treeNode {
	rows := make([]int, len(g.residual))
	for i := range rows {
		rows[i] = i
	}
	var t []treeNode
	g.node(&t, rows, treeDepth)
	return t
}

// node appends a subtree and returns the place of its root.
func (g *grower) node(t *[]treeNode, rows []int, depth int) int {
	at := len(*t)
	*t = append(*t, treeNode{})
	feature, bin := -1, 0
	if depth > 0 {
		feature, bin = g.split(rows)
	}
	if feature < 0 {
		sum := 0.0
		for _, i := range rows {
			sum += g.residual[i]
		}
		(*t)[at].Value = round32(mul(treeRate, sum/float64(len(rows))))
		return at
	}
	var left, right []int
	for _, i := range rows {
		if int(g.bins[feature][i]) <= bin {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	n := treeNode{Feature: feature, Threshold: g.edges[feature][bin]}
	n.Left = g.node(t, left, depth-1)
	n.Right = g.node(t, right, depth-1)
	(*t)[at] = n
	return at
}

// split finds the cut that lowers the squared error most; feature -1 when none leaves enough samples on both sides.
func (g *grower) split(rows []int) (feature, bin int) {
	total := 0.0
	for _, i := range rows {
		total += g.residual[i]
	}
	feature = -1
	best := mul(total, total)/float64(len(rows)) + 1e-9
	for f := range Features {
		var sums [treeBins]float64
		var counts [treeBins]int
		for _, i := range rows {
			b := g.bins[f][i]
			sums[b] += g.residual[i]
			counts[b]++
		}
		sum, count := 0.0, 0
		for b := range g.edges[f] {
			sum += sums[b]
			count += counts[b]
			rest := len(rows) - count
			if count < treeMinLeaf || rest < treeMinLeaf {
				continue
			}
			if gain := mul(sum, sum)/float64(count) + mul(total-sum, total-sum)/float64(rest); gain > best {
				best, feature, bin = gain, f, b
			}
		}
	}
	return feature, bin
}
