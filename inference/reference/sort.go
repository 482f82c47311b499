package reference

import "sluice/inference/onnx"

// sort puts nodes into an order in which each value is made before it is read. ONNX asks files to have that order;
// exporters do not always obey. A graph that has none holds a cycle.
func (c *compiler) sort(p *onnx.Graph, s *scope) ([]*onnx.Node, error) {
	maker := map[string]int{}
	for i, n := range p.Nodes {
		for _, name := range n.Outputs {
			if name == "" {
				continue
			}
			if _, ok := s.slots[name]; ok {
				return nil, invalid("%s makes %q, which is already an input or initializer", label(n), name)
			}
			if _, ok := maker[name]; ok {
				return nil, invalid("two nodes make %q", name)
			}
			maker[name] = i
		}
	}
	waits := make([]int, len(p.Nodes))
	readers := make([][]int, len(p.Nodes))
	for i, n := range p.Nodes {
		names, err := reads(n, 0)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if j, ok := maker[name]; ok {
				waits[i]++
				readers[j] = append(readers[j], i)
			}
		}
	}
	var order []*onnx.Node
	ready := []int{}
	for i := range p.Nodes {
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		order = append(order, p.Nodes[i])
		for _, j := range readers[i] {
			if waits[j]--; waits[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	if len(order) < len(p.Nodes) {
		for i, n := range p.Nodes {
			if waits[i] > 0 {
				return nil, invalid("the graph has a cycle at or before %s", label(n))
			}
		}
	}
	return order, nil
}

// reads lists the names a node reads, those read within its branches included.
func reads(n *onnx.Node, depth int) ([]string, error) {
	if depth > maxDepth {
		return nil, invalid("graphs nested more than %d deep", maxDepth)
	}
	var out []string
	for _, name := range n.Inputs {
		if name != "" {
			out = append(out, name)
		}
	}
	for _, a := range n.Attributes {
		if a.Graph == nil {
			continue
		}
		own := map[string]bool{}
		for _, t := range a.Graph.Initializers {
			own[t.Name] = true
		}
		for _, m := range a.Graph.Nodes {
			for _, name := range m.Outputs {
				own[name] = true
			}
		}
		var inner []string
		for _, m := range a.Graph.Nodes {
			names, err := reads(m, depth+1)
			if err != nil {
				return nil, err
			}
			inner = append(inner, names...)
		}
		for _, v := range a.Graph.Outputs {
			inner = append(inner, v.Name)
		}
		for _, name := range inner {
			if !own[name] {
				out = append(out, name)
			}
		}
	}
	return out, nil
}
