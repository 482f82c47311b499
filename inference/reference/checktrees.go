package reference

import (
	"bytes"
	"math"

	"sluice/inference/onnx"
	"sluice/internal/fault"
)

// CheckTrees refuses (fault.ModelInvalid) a model with a tree ensemble that contradicts itself: lists of different lengths,
// links to nodes that are not there or back to themselves, weights of no leaf or target. Native engines follow such lists and
// links through memory, so how such a model ends is not left to them.
// Everything else about the model is left to the engine. external serves attributes that lie in other files. Memory grows
// with the trees and has no limit of its own: the child's holds.
func CheckTrees(raw []byte, external func(location string) ([]byte, error)) error {
	if !bytes.Contains(raw, []byte("TreeEnsemble")) { // an operator's name stands in the file as it is
		return nil
	}
	p, err := onnx.Parse(raw)
	if err != nil {
		return err
	}
	if len(p.Functions) > 0 {
		return invalid("tree ensembles in a model with functions of its own, in which they cannot be checked")
	}
	c := &compiler{m: &Model{most: math.MaxInt64}, o: Options{External: external}, files: map[string][]byte{}}
	return c.checkTrees(p.Graph, p.Opsets)
}

func (c *compiler) checkTrees(g *onnx.Graph, opsets []onnx.Opset) error {
	for _, n := range g.Nodes {
		for _, a := range n.Attributes {
			inner := a.Graphs
			if a.Graph != nil {
				inner = append(inner[:len(inner):len(inner)], a.Graph)
			}
			for _, in := range inner {
				if err := c.checkTrees(in, opsets); err != nil {
					return err
				}
			}
		}
		if n.Domain != "ai.onnx.ml" {
			continue
		}
		if err := c.checkTree(n, opsets); fault.CodeOf(err) == fault.ModelInvalid {
			return fault.New(fault.ModelInvalid, "%s: %w", label(n), err)
		}
	}
	return nil
}

func (c *compiler) checkTree(n *onnx.Node, opsets []onnx.Opset) error {
	b := &builder{c: c, op: &operator{Operator: Operator{Name: n.OpType}}}
	for _, o := range opsets {
		if o.Domain == n.Domain {
			b.version = int(o.Version)
		}
	}
	if err := b.attributes(n); err != nil {
		return err
	}
	var err error
	switch n.OpType {
	case "TreeEnsembleClassifier":
		names, _ := b.ints("classlabels_int64s")
		_, err = b.forest("class", max(len(names), len(b.texts("classlabels_strings"))))
	case "TreeEnsembleRegressor":
		_, err = b.forest("target", int(min(b.int("n_targets", 0), math.MaxInt32)))
	case "TreeEnsemble":
		_, err = b.forest5(int(min(b.int("n_targets", 0), math.MaxInt32)))
	}
	return err
}
