package reference

import (
	"math"
	"slices"

	"sluice/inference/tensor"
)

// How a tree's node compares a feature with its value.
const (
	branchLEQ = iota
	branchLT
	branchGTE
	branchGT
	branchEQ
	branchNEQ
	branchMember
	leafNode
)

var branchModes = map[string]int{"BRANCH_LEQ": branchLEQ, "BRANCH_LT": branchLT, "BRANCH_GTE": branchGTE, "BRANCH_GT": branchGT,
	"BRANCH_EQ": branchEQ, "BRANCH_NEQ": branchNEQ, "LEAF": leafNode}

type treeNode struct {
	mode    int
	feature int
	value   float64
	nanYes  bool // a missing value goes the way of true
	yes, no int
	members map[float64]bool
	weights []treeWeight
}

// nodeBytes is what one node takes: itself, its weight, and its place in the index while the trees are built.
const nodeBytes = 160

type treeWeight struct {
	target int
	value  float64
}

// forest is a set of trees whose links have been checked: no node is its own ancestor.
type forest struct {
	nodes    []treeNode
	roots    []int
	features int // columns an input needs
}

// check makes sure by depth-first search that no path comes back to itself, and counts features.
func (f *forest) check() error {
	state := make([]uint8, len(f.nodes)) // 1: on the path, 2: done
	type frame struct{ node, next int }
	for _, root := range f.roots {
		if state[root] == 2 {
			continue
		}
		stack := []frame{{root, 0}}
		state[root] = 1
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			n := &f.nodes[top.node]
			if n.mode == leafNode || top.next == 2 {
				state[top.node] = 2
				stack = stack[:len(stack)-1]
				continue
			}
			if n.feature < 0 || n.feature >= math.MaxInt32 {
				return invalid("a tree asks for feature %d", n.feature)
			}
			f.features = max(f.features, n.feature+1)
			k := n.yes
			if top.next == 1 {
				k = n.no
			}
			top.next++
			switch state[k] {
			case 1:
				return invalid("a tree runs in a circle at its node %d", k)
			case 0:
				state[k] = 1
				stack = append(stack, frame{k, 0})
			}
		}
	}
	return nil
}

// leaf follows one tree and counts its steps.
func leaf[T float](f *forest, root int, row []T) (n *treeNode, steps int) {
	n = &f.nodes[root]
	for ; n.mode != leafNode; steps++ {
		x := float64(row[n.feature])
		yes := false
		switch n.mode {
		case branchLEQ:
			yes = x <= n.value
		case branchLT:
			yes = x < n.value
		case branchGTE:
			yes = x >= n.value
		case branchGT:
			yes = x > n.value
		case branchEQ:
			yes = x == n.value
		case branchNEQ:
			yes = x != n.value
		case branchMember:
			yes = n.members[x]
		}
		if yes || n.nanYes && x != x {
			n = &f.nodes[n.yes]
		} else {
			n = &f.nodes[n.no]
		}
	}
	return n, steps
}

// numbers reads a list that versions before 3 keep as floats and later ones perhaps as a tensor.
func (b *builder) numbers(name string) []float64 {
	if b.version >= 3 && b.has(name+"_as_tensor") {
		v := b.tensor(name + "_as_tensor")
		if v == nil {
			return nil
		}
		if b.has(name) {
			b.fail(invalid("attributes %q and %q are both given", name, name+"_as_tensor"))
		}
		out := float64s(v)
		if out == nil && v.data.len() > 0 {
			b.fail(invalid("attribute %q is %s, wanted floating-point numbers", name+"_as_tensor", v.dt))
		}
		return out
	}
	var out []float64
	for _, f := range b.floats(name) {
		out = append(out, float64(f))
	}
	return out
}

// forest builds the trees of TreeEnsembleClassifier and TreeEnsembleRegressor; prefix is "class" or "target".
func (b *builder) forest(prefix string, targets int) (*forest, error) {
	trees, _ := b.ints("nodes_treeids")
	ids, _ := b.ints("nodes_nodeids")
	features, _ := b.ints("nodes_featureids")
	yes, _ := b.ints("nodes_truenodeids")
	no, _ := b.ints("nodes_falsenodeids")
	missing, _ := b.ints("nodes_missing_value_tracks_true")
	modes, values := b.texts("nodes_modes"), b.numbers("nodes_values")
	b.ignore("nodes_hitrates", "nodes_hitrates_as_tensor")
	if b.err != nil {
		return nil, b.err
	}
	n := len(ids)
	if n == 0 || len(trees) != n || len(features) != n || len(yes) != n || len(no) != n || len(modes) != n || len(values) != n || len(missing) != 0 && len(missing) != n {
		return nil, invalid("the lists that describe tree nodes have different lengths, or are empty")
	}
	type key struct{ tree, node int64 }
	if err := b.c.keep(int64(n) * nodeBytes); err != nil {
		return nil, err
	}
	at := make(map[key]int, n)
	f := &forest{nodes: make([]treeNode, n)}
	known := map[int64]bool{}
	var odd error // sound, but beyond what the evaluator takes
	for i := range n {
		k := key{trees[i], ids[i]}
		if _, ok := at[k]; ok {
			return nil, invalid("node %d of tree %d is described twice", ids[i], trees[i])
		}
		at[k] = i
		if i == 0 || trees[i] != trees[i-1] {
			if known[trees[i]] {
				odd = unsupported("a tree whose nodes do not stand together")
			}
			known[trees[i]] = true
			f.roots = append(f.roots, i)
		}
	}
	for i := range n {
		mode, ok := branchModes[modes[i]]
		if !ok {
			return nil, invalid("tree node mode %q", modes[i])
		}
		f.nodes[i] = treeNode{mode: mode, value: values[i], nanYes: len(missing) > 0 && missing[i] == 1}
		if mode == leafNode {
			continue
		}
		nd := &f.nodes[i]
		if features[i] < 0 || features[i] > math.MaxInt32 {
			return nil, invalid("node %d of tree %d asks for feature %d", ids[i], trees[i], features[i])
		}
		nd.feature = int(features[i])
		var found bool
		if nd.yes, found = at[key{trees[i], yes[i]}]; !found {
			return nil, invalid("node %d of tree %d leads to node %d, which is not there", ids[i], trees[i], yes[i])
		}
		if nd.no, found = at[key{trees[i], no[i]}]; !found {
			return nil, invalid("node %d of tree %d leads to node %d, which is not there", ids[i], trees[i], no[i])
		}
	}
	wt, _ := b.ints(prefix + "_treeids")
	wn, _ := b.ints(prefix + "_nodeids")
	wi, _ := b.ints(prefix + "_ids")
	wv := b.numbers(prefix + "_weights")
	if b.err != nil {
		return nil, b.err
	}
	if len(wt) != len(wn) || len(wi) != len(wn) || len(wv) != len(wn) {
		return nil, invalid("the lists that describe leaf weights have different lengths")
	}
	for i := range wn {
		k, ok := at[key{wt[i], wn[i]}]
		switch {
		case !ok:
			return nil, invalid("a weight for node %d of tree %d, which is not there", wn[i], wt[i])
		case wi[i] < 0 || wi[i] >= int64(targets):
			return nil, invalid("a weight for target %d of %d", wi[i], targets)
		case f.nodes[k].mode == leafNode: // old converters also give weights to branches; nobody reads them
			f.nodes[k].weights = append(f.nodes[k].weights, treeWeight{int(wi[i]), wv[i]})
		}
	}
	for i := range f.nodes {
		if f.nodes[i].mode == leafNode && len(f.nodes[i].weights) == 0 {
			odd = unsupported("leaf %d of tree %d without a weight, which engines read differently", ids[i], trees[i])
		}
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f, odd
}

// scores are the sums of one row; has tells which targets any leaf spoke about.
type scores struct {
	s   []float64
	has []bool
}

const (
	aggregateAverage = iota
	aggregateSum
	aggregateMin
	aggregateMax
)

// sumRow adds up the leaves of one row and gives the work it took.
func sumRow[T float](f *forest, row []T, how int, to *scores) (work int) {
	clear(to.s)
	clear(to.has)
	for _, root := range f.roots {
		n, steps := leaf(f, root, row)
		work += 16 + steps + len(n.weights)
		for _, w := range n.weights {
			switch {
			case how == aggregateSum || how == aggregateAverage:
				to.s[w.target] += w.value
			case !to.has[w.target], how == aggregateMin && w.value < to.s[w.target], how == aggregateMax && w.value > to.s[w.target]:
				to.s[w.target] = w.value
			}
			to.has[w.target] = true
		}
	}
	if how == aggregateAverage {
		for i := range to.s {
			to.s[i] /= float64(len(f.roots))
		}
	}
	return work + len(to.s)
}

// transform turns scores into what a model reports.
func transform(s []float64, how string) {
	switch how {
	case "LOGISTIC":
		for i := range s {
			s[i] = sigmoid(s[i])
		}
	case "PROBIT":
		for i := range s {
			s[i] = probit(s[i])
		}
	case "SOFTMAX", "SOFTMAX_ZERO":
		m := slices.Max(s)
		t := 0.0
		for i, x := range s {
			if how == "SOFTMAX_ZERO" && math.Abs(x) <= 1e-7 {
				s[i] = x * math.Exp(-m)
				continue
			}
			s[i] = math.Exp(x - m)
			t += s[i]
		}
		for i := range s {
			s[i] /= t
		}
	}
}

// probit is √2·erf⁻¹(2x-1) by the approximation that ONNX runtimes use (Winitzki, a=0.147).
func probit(x float64) float64 {
	x = 2*x - 1
	sgn := 1.0
	if x < 0 {
		sgn = -1
	}
	l := math.Log((1 - x) * (1 + x))
	v := 2/(3.14159*0.147) + 0.5*l
	return math.Sqrt2 * sgn * math.Sqrt(math.Sqrt(v*v-l/0.147)-v)
}

var transforms = []string{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}

// table checks the input of an ensemble and gives its rows and columns, floating-point.
func table(r *run, v *value, features int) (t *value, rows, cols int, err error) {
	switch len(v.shape) {
	case 1:
		rows, cols = 1, v.shape[0]
	case 2:
		rows, cols = v.shape[0], v.shape[1]
	default:
		return nil, 0, 0, invalid("an input of shape %d, wanted rows of features", v.shape)
	}
	if cols < features {
		return nil, 0, 0, invalid("an input of %d features, and the trees ask for number %d", cols, features-1)
	}
	to := tensor.Float64
	if v.dt == tensor.Float32 {
		to = tensor.Float32
	}
	t, err = cast(r, v, to)
	return t, rows, cols, err
}

// eachRow evaluates an ensemble row by row.
func eachRow(r *run, f *forest, in *value, targets, how int, do func(i int, s *scores) error) error {
	x, rows, cols, err := table(r, in, f.features)
	if err != nil {
		return err
	}
	defer r.drop(x)
	done, err := r.scratch(targets, 9)
	if err != nil {
		return err
	}
	defer done()
	s := &scores{make([]float64, targets), make([]bool, targets)}
	for i := range rows {
		work := 0
		if x.dt == tensor.Float32 {
			work = sumRow(f, of[float32](x)[i*cols:(i+1)*cols], how, s)
		} else {
			work = sumRow(f, of[float64](x)[i*cols:(i+1)*cols], how, s)
		}
		if err := do(i, s); err != nil {
			return err
		}
		if err := r.alive(2 * work); err != nil {
			return err
		}
	}
	return nil
}

func rowsOf(v *value) int {
	if len(v.shape) < 2 {
		return 1
	}
	return v.shape[0]
}

func opTreeEnsembleRegressor(b *builder) (kernel, error) {
	targets := b.int("n_targets", 0)
	if targets < 1 || targets > 1<<20 {
		return nil, invalid("an ensemble with %d targets", targets)
	}
	n := int(targets)
	how := slices.Index([]string{"AVERAGE", "SUM", "MIN", "MAX"}, b.choice("aggregate_function", "SUM", "AVERAGE", "SUM", "MIN", "MAX"))
	post := b.choice("post_transform", "NONE", transforms...)
	base := b.numbers("base_values")
	f, err := b.forest("target", n)
	if err != nil {
		return nil, err
	}
	if len(base) != 0 && len(base) != n {
		return nil, invalid("%d base values for %d targets", len(base), n)
	}
	if n == 1 && post != "NONE" {
		return nil, unsupported("post_transform %q of a single target, which engines read differently", post)
	}
	if n == 1 {
		for _, nd := range f.nodes {
			if len(nd.weights) > 1 {
				return nil, unsupported("several weights in one leaf for a single target")
			}
		}
	}
	return func(r *run, in []*value) ([]*value, error) {
		out, err := r.make(tensor.Float32, []int{rowsOf(in[0]), n})
		if err != nil {
			return nil, err
		}
		y := of[float32](out)
		return one(out, eachRow(r, f, in[0], n, how, func(i int, s *scores) error {
			for k := range base {
				if !s.has[k] {
					return unsupported("base values of targets no leaf speaks about, which engines read differently")
				}
				s.s[k] += base[k]
			}
			transform(s.s, post)
			for k, x := range s.s {
				y[i*n+k] = float32(x)
			}
			return nil
		}))
	}, nil
}

// classifier is a TreeEnsembleClassifier. Where the standard's own reference and the common runtime give different
// answers for a kind of ensemble, it is refused.
type classifier struct {
	forest   *forest
	n        int
	texts    []string
	ints     []int64
	base     []float64
	post     string
	single   bool // two classes, all weights for one of them
	positive bool // all weights are at least 0
}

func opTreeEnsembleClassifier(b *builder) (kernel, error) {
	c := &classifier{texts: b.texts("classlabels_strings"), post: b.choice("post_transform", "NONE", transforms...), base: b.numbers("base_values"), positive: true}
	c.ints, _ = b.ints("classlabels_int64s")
	if c.n = len(c.texts) + len(c.ints); c.n == 0 || len(c.texts) > 0 && len(c.ints) > 0 {
		return nil, invalid("an ensemble with %d class names and %d class numbers, wanted one kind", len(c.texts), len(c.ints))
	}
	label := tensor.Int64
	if len(c.texts) > 0 {
		label = tensor.String
	}
	if err := b.bindOut("L", label); err != nil {
		return nil, err
	}
	var err error
	if c.forest, err = b.forest("class", c.n); err != nil {
		return nil, err
	}
	used := map[int]bool{}
	for _, nd := range c.forest.nodes {
		for _, w := range nd.weights {
			used[w.target] = true
			c.positive = c.positive && w.value >= 0
		}
	}
	if c.n == 1 {
		return nil, unsupported("an ensemble with one class")
	}
	if c.n > 2 && len(c.base) != 0 && len(c.base) != c.n {
		return nil, invalid("%d base values for %d classes", len(c.base), c.n)
	}
	if c.n == 2 {
		c.single = len(used) == 1
		// Two classes whose weights all belong to class 0 stand for the positive class.
		switch {
		case c.single && used[1], c.single && len(c.base) > 1, !c.single && len(c.base) > 0:
			return nil, unsupported("this way of writing two classes, which engines read differently")
		case c.single && c.positive && c.post != "NONE", c.single && !c.positive && c.post != "LOGISTIC" && c.post != "NONE":
			return nil, unsupported("post_transform %q of two classes with weights of this kind, which engines read differently", c.post)
		}
	}
	return func(r *run, in []*value) ([]*value, error) {
		rows := rowsOf(in[0])
		labels, err := r.make(label, []int{rows})
		if err != nil {
			return nil, err
		}
		out, err := r.make(tensor.Float32, []int{rows, c.n})
		if err != nil {
			return nil, err
		}
		y := of[float32](out)
		err = eachRow(r, c.forest, in[0], c.n, aggregateSum, func(i int, s *scores) error {
			k, err := c.decide(s)
			if err != nil {
				return err
			}
			if label == tensor.String {
				of[string](labels)[i] = c.texts[k]
			} else {
				of[int64](labels)[i] = c.ints[k]
			}
			for j, x := range s.s {
				y[i*c.n+j] = float32(x)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return []*value{labels, out}, nil
	}, nil
}

// decide gives the class and turns the sums into scores.
func (c *classifier) decide(s *scores) (int, error) {
	if c.single {
		x := s.s[0]
		for _, b := range c.base {
			x += b
		}
		cut := 0.0
		if c.positive {
			cut = 0.5
			s.s[0], s.s[1] = 1-x, x
		} else {
			s.s[0], s.s[1] = -x, x
			transform(s.s, c.post)
		}
		if x > cut {
			return 1, nil
		}
		return 0, nil
	}
	best, spoken := -1, -1
	for k := range s.s {
		if len(c.base) > 0 {
			s.s[k] += c.base[k]
			s.has[k] = true
		}
		if best < 0 || s.s[k] > s.s[best] {
			best = k
		}
		if s.has[k] && (spoken < 0 || s.s[k] > s.s[spoken]) {
			spoken = k
		}
	}
	if c.n == 2 {
		// The common runtime takes class 1 whenever its sum is positive.
		if !s.has[0] || !s.has[1] || (best == 1) != (s.s[1] > 0) || !slices.Equal(c.ints, []int64{0, 1}) && len(c.texts) == 0 {
			return 0, unsupported("this way of writing two classes, which engines read differently")
		}
	}
	if best != spoken {
		return 0, unsupported("classes no leaf speaks about, which engines read differently")
	}
	transform(s.s, c.post)
	return best, nil
}

// opTreeEnsemble is the operator that replaces both others since version 5.
func opTreeEnsemble(b *builder) (kernel, error) {
	n := b.int("n_targets", 0)
	if n < 1 || n > 1<<20 {
		return nil, invalid("an ensemble with %d targets", n)
	}
	post := b.choiceInt("post_transform", 0, 0, 1, 2, 3, 4)
	how := b.choiceInt("aggregate_function", aggregateSum, aggregateAverage, aggregateSum, aggregateMin, aggregateMax)
	b.ignore("nodes_hitrates")
	f, err := b.forest5(int(n))
	if err != nil {
		return nil, err
	}
	return func(r *run, in []*value) ([]*value, error) {
		if len(in[0].shape) != 2 {
			return nil, invalid("an input of shape %d, wanted rows of features", in[0].shape)
		}
		out, err := r.make(in[0].dt, []int{in[0].shape[0], int(n)})
		if err != nil {
			return nil, err
		}
		return one(out, eachRow(r, f, in[0], int(n), int(how), func(i int, s *scores) error {
			if (how == aggregateMin || how == aggregateMax) && slices.Contains(s.has, false) {
				return unsupported("targets no leaf speaks about, which engines read differently")
			}
			transform(s.s, transforms[post])
			for k, x := range s.s {
				if v, ok := out.data.(vec[float32]); ok {
					v[i*int(n)+k] = float32(x)
				} else {
					of[float64](out)[i*int(n)+k] = x
				}
			}
			return nil
		}))
	}, nil
}

func (b *builder) forest5(targets int) (*forest, error) {
	b.want("nodes_featureids", "nodes_modes", "nodes_splits", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs", "leaf_targetids", "leaf_weights", "tree_roots")
	list := func(name string) []int64 {
		l, _ := b.ints(name)
		return l
	}
	features, yes, no := list("nodes_featureids"), list("nodes_truenodeids"), list("nodes_falsenodeids")
	yesLeaf, noLeaf, missing := list("nodes_trueleafs"), list("nodes_falseleafs"), list("nodes_missing_value_tracks_true")
	target, roots := list("leaf_targetids"), list("tree_roots")
	modes, splits, weights, members := b.tensor("nodes_modes"), b.tensor("nodes_splits"), b.tensor("leaf_weights"), b.tensor("membership_values")
	if b.err != nil {
		return nil, b.err
	}
	n := len(features)
	if modes == nil || splits == nil || weights == nil || modes.dt != tensor.Uint8 {
		return nil, invalid("an ensemble without modes, splits or weights")
	}
	for _, v := range []*value{splits, weights, members} {
		if v != nil && v.dt != tensor.Float32 && v.dt != tensor.Float64 {
			return nil, unsupported("tree values of type %s", v.dt)
		}
	}
	value, weight := float64s(splits), float64s(weights)
	if n == 0 || len(yes) != n || len(no) != n || len(yesLeaf) != n || len(noLeaf) != n || len(value) != n || modes.data.len() != n ||
		len(missing) != 0 && len(missing) != n || len(weight) != len(target) || len(roots) == 0 {
		return nil, invalid("the lists that describe trees have different lengths, or are empty")
	}
	if err := b.c.keep(int64(n+len(target)) * nodeBytes); err != nil {
		return nil, err
	}
	f := &forest{nodes: make([]treeNode, n+len(target))}
	for i, t := range target {
		if t < 0 || t >= int64(targets) {
			return nil, invalid("a leaf for target %d of %d", t, targets)
		}
		f.nodes[n+i] = treeNode{mode: leafNode, weights: []treeWeight{{int(t), weight[i]}}}
	}
	link := func(k, isLeaf int64) (int, error) {
		most := int64(n)
		if isLeaf != 0 {
			most = int64(len(target))
		}
		if k < 0 || k >= most {
			return 0, invalid("a tree leads to node %d of %d", k, most)
		}
		if isLeaf != 0 {
			return n + int(k), nil
		}
		return int(k), nil
	}
	var sets []map[float64]bool
	if members != nil {
		set := map[float64]bool{}
		for _, m := range float64s(members) {
			if m != m {
				sets = append(sets, set)
				set = map[float64]bool{}
				continue
			}
			set[m] = true
		}
	}
	for i := range n {
		nd := treeNode{mode: int(of[uint8](modes)[i]), feature: int(min(max(features[i], -1), math.MaxInt32)), value: value[i], nanYes: len(missing) > 0 && missing[i] != 0}
		if nd.mode > branchMember {
			return nil, invalid("tree node mode %d", nd.mode)
		}
		if nd.mode == branchMember {
			if len(sets) == 0 {
				return nil, invalid("fewer sets of members than nodes that ask for one")
			}
			nd.members, sets = sets[0], sets[1:]
		}
		var err error
		if nd.yes, err = link(yes[i], yesLeaf[i]); err != nil {
			return nil, err
		}
		if nd.no, err = link(no[i], noLeaf[i]); err != nil {
			return nil, err
		}
		f.nodes[i] = nd
	}
	for _, k := range roots {
		if k < 0 || k >= int64(n) {
			return nil, invalid("a tree with root %d of %d nodes", k, n)
		}
		f.roots = append(f.roots, int(k))
	}
	return f, f.check()
}
