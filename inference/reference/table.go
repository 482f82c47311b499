package reference

import (
	"fmt"
	"slices"
	"strings"
)

// Operator is one row of the table of what this evaluator claims: an operator in a range of versions of its domain.
type Operator struct {
	Domain string // "ai.onnx" or "ai.onnx.ml"
	Name   string
	Since  int    // first and last version of the domain for which the row holds
	Until  int    //
	Types  string // element types by type letter, as "T: float32, float64"
	Note   string // what is left out
}

type operator struct {
	Operator
	sig     *signature
	prepare func(*builder) (kernel, error)
	half    bool // computes in float32 for float16
}

const (
	latest   = 21 // of ai.onnx
	latestML = 5  // of ai.onnx.ml

	floats32 = "float32 float64"
	ints8    = "int8 int16 int32 int64 uint8 uint16 uint32 uint64"
	ints32   = "int32 int64 uint32 uint64"
	signedT  = "float32 float64 int8 int16 int32 int64"
	numeric  = floats32 + " " + ints8
	anyType  = numeric + " float16 bfloat16 bool string"
)

var operators map[[2]string][]*operator

func init() {
	operators = map[[2]string][]*operator{}
	for _, op := range append(standard(), learned()...) {
		k := [2]string{op.Domain, op.Name}
		operators[k] = append(operators[k], op)
	}
}

func knownDomain(d string) bool { return d == "" || d == "ai.onnx.ml" }

func lookup(domain, name string, version int64) *operator {
	for _, op := range operators[[2]string{domain, name}] {
		if version >= int64(op.Since) && version <= int64(op.Until) {
			return op
		}
	}
	return nil
}

// row makes a row. sets that hold "half" before the types also take float16, computed in float32 and rounded once.
func row(domain, name string, since, until int, sig, sets string, prepare func(*builder) (kernel, error), note ...string) *operator {
	op := &operator{Operator: Operator{Domain: domain, Name: name, Since: since, Until: until, Note: strings.Join(note, " ")}, prepare: prepare}
	if strings.Contains(sets, "half ") {
		op.half = true
		sets = strings.ReplaceAll(sets, "half ", "float16 ")
	}
	op.sig = parseSignature(sig, sets)
	var types []string
	for _, l := range op.sig.letters {
		if len(l.types) == 1 && l.name == l.types[0].String() {
			continue
		}
		names := make([]string, len(l.types))
		for i, t := range l.types {
			names[i] = t.String()
		}
		if l.name == "A" || slices.Equal(l.types, parseTypes(anyType)) {
			names = []string{"any"}
		}
		types = append(types, l.name+": "+strings.Join(names, ", "))
	}
	op.Types = strings.Join(types, "; ")
	return op
}

// standard is the table for ai.onnx.
func standard() []*operator {
	var t []*operator
	add := func(name string, since, until int, sig, sets string, prepare func(*builder) (kernel, error), note ...string) {
		t = append(t, row("", name, since, until, sig, sets, prepare, note...))
	}

	// Arithmetic and logic.
	add("Add", 6, latest, "T,T->T", "T=half "+numeric, arith(opAdd))
	add("Sub", 6, latest, "T,T->T", "T=half "+numeric, arith(opSub))
	add("Mul", 6, latest, "T,T->T", "T=half "+numeric, arith(opMul))
	add("Div", 6, latest, "T,T->T", "T=half "+numeric, arith(opDiv))
	add("Pow", 1, 11, "T,T->T", "T=half "+floats32, opPow)
	add("Pow", 12, latest, "T,U->T", "T=half "+floats32+" int32 int64;U=half "+numeric, opPow, "no negative integer powers of integers")
	add("Mod", 10, latest, "T,T->T", "T=half "+numeric, opModulo)
	add("Min", 6, latest, "T*->T", "T=half "+numeric, fold(opMin, false))
	add("Max", 6, latest, "T*->T", "T=half "+numeric, fold(opMax, false))
	add("Sum", 6, latest, "T*->T", "T=half "+floats32, fold(opAdd, false))
	add("Mean", 6, latest, "T*->T", "T=half "+floats32, fold(opAdd, true))
	add("And", 1, latest, "bool,bool->bool", "", logic(func(a, b bool) bool { return a && b }))
	add("Or", 1, latest, "bool,bool->bool", "", logic(func(a, b bool) bool { return a || b }))
	add("Xor", 1, latest, "bool,bool->bool", "", logic(func(a, b bool) bool { return a != b }))
	add("Not", 1, latest, "bool->bool", "", opNot)
	add("BitwiseAnd", 18, latest, "T,T->T", "T="+ints8, arith(opAnd))
	add("BitwiseOr", 18, latest, "T,T->T", "T="+ints8, arith(opOr))
	add("BitwiseXor", 18, latest, "T,T->T", "T="+ints8, arith(opXor))
	add("Equal", 1, latest, "T,T->bool", "T=half "+numeric+" bool string", comparison(opEqual))
	add("Less", 1, latest, "T,T->bool", "T=half "+numeric, comparison(opLess))
	add("Greater", 1, latest, "T,T->bool", "T=half "+numeric, comparison(opGreater))
	add("LessOrEqual", 12, latest, "T,T->bool", "T=half "+numeric, comparison(opLessEqual))
	add("GreaterOrEqual", 12, latest, "T,T->bool", "T=half "+numeric, comparison(opGreaterEqual))
	add("Where", 9, latest, "bool,T,T->T", "T="+anyType, opWhere)

	// Functions of one number.
	for name, f := range map[string]struct {
		since int
		f     func(float64) float64
	}{
		"Ceil": {6, ceil}, "Floor": {6, floor}, "Round": {11, round}, "Exp": {6, exp}, "Log": {6, log}, "Sqrt": {6, sqrt},
		"Reciprocal": {6, func(x float64) float64 { return 1 / x }}, "Sigmoid": {6, sigmoid}, "Tanh": {6, tanh}, "Erf": {9, erf},
		"Softplus": {1, softplus}, "Softsign": {1, softsign}, "HardSwish": {14, hardSwish}, "Mish": {18, mish},
		"Sin": {7, sin}, "Cos": {7, cos}, "Tan": {7, tan}, "Asin": {7, asin}, "Acos": {7, acos}, "Atan": {7, atan},
		"Sinh": {9, sinh}, "Cosh": {9, cosh}, "Asinh": {9, asinh}, "Acosh": {9, acosh}, "Atanh": {9, atanh},
	} {
		add(name, f.since, latest, "T->T", "T=half "+floats32, unary(f.f))
	}
	add("Abs", 6, latest, "T->T", "T=half "+numeric, opAbs)
	add("Neg", 6, latest, "T->T", "T=half "+signedT, opNeg)
	add("Sign", 9, latest, "T->T", "T=half "+numeric, opSign)
	add("Relu", 6, latest, "T->T", "T=half "+signedT, opRelu)
	add("LeakyRelu", 6, latest, "T->T", "T=half "+floats32, opLeakyRelu)
	add("PRelu", 7, latest, "T,T->T", "T=half "+floats32, opPRelu)
	add("Elu", 6, latest, "T->T", "T=half "+floats32, opElu)
	add("Celu", 12, latest, "T->T", "T=float32", opCelu)
	add("Selu", 6, latest, "T->T", "T=half "+floats32, opSelu)
	add("Gelu", 20, latest, "T->T", "T=half "+floats32, opGelu)
	add("HardSigmoid", 6, latest, "T->T", "T=half "+floats32, opHardSigmoid)
	add("ThresholdedRelu", 10, latest, "T->T", "T=half "+floats32, opThresholdedRelu)
	add("Shrink", 9, latest, "T->T", "T=half "+floats32, opShrink)
	add("IsNaN", 9, latest, "T->bool", "T=half "+floats32, opIsNaN)
	add("IsInf", 10, latest, "T->bool", "T=half "+floats32, opIsInf)
	add("Clip", 6, 10, "T->T", "T=half "+floats32, opClip6)
	add("Clip", 11, latest, "T,T?,T?->T", "T=half "+numeric, opClip11)
	add("Cast", 6, latest, "T1->T2", "T1="+anyType+";T2="+anyType, opCast, "no floating-point numbers to string")
	add("CastLike", 15, latest, "T1,T2->T2", "T1="+anyType+";T2="+anyType, opCastLike, "no floating-point numbers to string")

	// Shape and place.
	add("Identity", 1, latest, "T->T", "T="+anyType, opIdentity, "tensors only")
	add("Reshape", 5, latest, "T,int64->T", "T="+anyType, opReshape)
	add("Flatten", 1, latest, "T->T", "T="+anyType, opFlatten)
	add("Squeeze", 1, 12, "T->T", "T="+anyType, opSqueeze1)
	add("Squeeze", 13, latest, "T,int64?->T", "T="+anyType, opSqueeze13)
	add("Unsqueeze", 1, 12, "T->T", "T="+anyType, opUnsqueeze1)
	add("Unsqueeze", 13, latest, "T,int64->T", "T="+anyType, opUnsqueeze13)
	add("Transpose", 1, latest, "T->T", "T="+anyType, opTranspose)
	add("Concat", 4, latest, "T*->T", "T="+anyType, opConcat)
	add("Split", 2, 12, "T->T*", "T="+anyType, opSplit)
	add("Split", 13, latest, "T,int64?->T*", "T="+anyType, opSplit)
	add("Slice", 1, 9, "T->T", "T="+anyType, opSlice1)
	add("Slice", 10, latest, "T,I,I,I?,I?->T", "T="+anyType+";I=int32 int64", opSlice10)
	add("Gather", 1, latest, "T,I->T", "T="+anyType+";I=int32 int64", opGather)
	add("GatherElements", 11, latest, "T,I->T", "T="+anyType+";I=int32 int64", opGatherElements)
	add("GatherND", 11, latest, "T,int64->T", "T="+anyType, opGatherND)
	add("Scatter", 9, 10, "T,I,T->T", "T="+anyType+";I=int32 int64", opScatterElements)
	add("ScatterElements", 11, latest, "T,I,T->T", "T="+anyType+";I=int32 int64", opScatterElements)
	add("ScatterND", 11, latest, "T,int64,T->T", "T="+anyType, opScatterND)
	add("Expand", 8, latest, "T,int64->T", "T="+anyType, opExpand)
	add("Tile", 6, latest, "T,int64->T", "T="+anyType, opTile)
	add("Pad", 2, 10, "T->T", "T="+floats32, opPad2)
	add("Pad", 11, 17, "T,int64,T?->T", "T="+anyType, opPad11)
	add("Pad", 18, latest, "T,int64,T?,I?->T", "T="+anyType+";I=int32 int64", opPad11)
	add("Shape", 1, latest, "T->int64", "T="+anyType, opShape)
	add("Size", 1, latest, "T->int64", "T="+anyType, opSize)
	add("Constant", 1, latest, "->T", "T="+anyType, opConstant, "dense tensors only")
	add("ConstantOfShape", 9, latest, "int64->T", "T="+numeric+" float16 bfloat16 bool", opConstantOfShape)
	add("Range", 11, latest, "T,T,T->T", "T="+floats32+" int16 int32 int64", opRange)
	add("Trilu", 14, latest, "T,int64?->T", "T="+anyType, opTrilu)
	add("Compress", 9, latest, "T,bool->T", "T="+anyType, opCompress)
	add("DepthToSpace", 1, latest, "T->T", "T="+anyType, opDepthToSpace)
	add("SpaceToDepth", 1, latest, "T->T", "T="+anyType, opSpaceToDepth)
	add("Dropout", 7, 11, "T->T,bool?", "T="+floats32+" float16", opDropout, "inference only")
	add("Dropout", 12, latest, "T,U?,bool?->T,bool?", "T="+floats32+" float16;U="+floats32+" float16", opDropout, "inference only")
	add("NonZero", 9, latest, "T->int64", "T="+numeric+" bool", opNonZero, "no scalars")
	add("OneHot", 9, latest, "I,D,T->T", "I="+numeric+";D="+numeric+";T="+anyType, opOneHot)
	add("If", 1, latest, "bool->A*", "A="+anyType, opIf, "tensors only")

	// Sums and choices over axes.
	for name, types := range map[string]string{
		"ReduceMax": "half " + floats32 + " " + ints32 + " int8 uint8", "ReduceMin": "half " + floats32 + " " + ints32 + " int8 uint8",
		"ReduceMean": "half " + floats32 + " " + ints32, "ReduceProd": "half " + floats32 + " " + ints32, "ReduceSum": "half " + floats32 + " " + ints32,
		"ReduceSumSquare": "half " + floats32 + " " + ints32, "ReduceL1": "half " + floats32 + " " + ints32, "ReduceL2": "half " + floats32,
		"ReduceLogSum": "half " + floats32, "ReduceLogSumExp": "half " + floats32,
	} {
		since := 18
		if name == "ReduceSum" {
			since = 13
		}
		add(name, 1, since-1, "T->T", "T="+types, opReduce)
		if name == "ReduceMax" || name == "ReduceMin" {
			add(name, 18, 19, "T,int64?->T", "T="+types, opReduceAxes)
			add(name, 20, latest, "T,int64?->T", "T="+types+" bool", opReduceAxes)
		} else {
			add(name, since, latest, "T,int64?->T", "T="+types, opReduceAxes)
		}
	}
	add("ArgMax", 1, latest, "T->int64", "T=half "+floats32+" int8 uint8 int32 int64", opArg)
	add("ArgMin", 1, latest, "T->int64", "T=half "+floats32+" int8 uint8 int32 int64", opArg)
	add("Softmax", 1, latest, "T->T", "T=half "+floats32, opSoftmax)
	add("LogSoftmax", 1, latest, "T->T", "T=half "+floats32, opSoftmax)
	add("Hardmax", 1, latest, "T->T", "T=half "+floats32, opHardmax)
	add("CumSum", 11, latest, "T,I->T", "T="+floats32+" int32 int64;I=int32 int64", opCumSum)
	add("TopK", 1, 9, "T->T,int64", "T=half "+floats32, opTopK)
	add("TopK", 10, latest, "T,int64->T,int64", "T=half "+floats32+" int32 int64", opTopK)

	// Products, convolutions, pools.
	add("MatMul", 1, latest, "T,T->T", "T=half "+floats32+" "+ints32, opMatMul)
	add("Gemm", 7, 10, "T,T,T->T", "T=half "+floats32, opGemm)
	add("Gemm", 11, latest, "T,T,T?->T", "T=half "+floats32, opGemm)
	add("Conv", 1, latest, "T,T,T?->T", "T=half "+floats32, opConv)
	add("MaxPool", 1, 7, "T->T", "T=half "+floats32, opMaxPool)
	add("MaxPool", 8, 11, "T->T,int64?", "T=half "+floats32, opMaxPool)
	add("MaxPool", 12, latest, "T->T,int64?", "T=half "+floats32+" int8 uint8", opMaxPool)
	add("AveragePool", 1, latest, "T->T", "T=half "+floats32, opAveragePool, "no window beyond the padding with count_include_pad")
	add("GlobalAveragePool", 1, latest, "T->T", "T=half "+floats32, opGlobalPool("ReduceMean"))
	add("GlobalMaxPool", 1, latest, "T->T", "T=half "+floats32, opGlobalPool("ReduceMax"))

	// Normalization.
	add("BatchNormalization", 6, 14, "T,T,T,T,T->T", "T=half "+floats32, opBatchNormalization, "inference only")
	add("BatchNormalization", 15, latest, "T,U,U,V,V->T", "T=half "+floats32+";U=half "+floats32+";V=half "+floats32, opBatchNormalization, "inference only")
	add("LayerNormalization", 17, latest, "T,T,T?->T,float32?,float32?", "T=half "+floats32, opLayerNormalization, "stash_type 1")
	add("InstanceNormalization", 6, latest, "T,T,T->T", "T=half "+floats32, opInstanceNormalization)
	add("GroupNormalization", 18, latest, "T,T,T->T", "T=half "+floats32, opGroupNormalization)
	add("LRN", 1, latest, "T->T", "T=half float32", opLRN)

	// Recurrence.
	add("RNN", 7, latest, "T,T,T,T?,int32?,T?->T?,T?", "T=half "+floats32, opRNN)
	add("GRU", 7, latest, "T,T,T,T?,int32?,T?->T?,T?", "T=half "+floats32, opGRU)
	add("LSTM", 7, latest, "T,T,T,T?,int32?,T?,T?,T?->T?,T?,T?", "T=half "+floats32, opLSTM, "no clip, no input_forget")

	// Quantized numbers.
	add("DynamicQuantizeLinear", 11, latest, "float32->uint8,float32,uint8", "", opDynamicQuantizeLinear)
	add("QuantizeLinear", 10, 18, "X,float32,Z?->Z", "X=float32 int32;Z=int8 uint8", opQuantizeLinear)
	add("QuantizeLinear", 19, 20, "X,X,Z?->Z", "X=half float32;Z=int8 uint8", opQuantizeLinear)
	add("QuantizeLinear", 21, latest, "X,X,Z?->Z", "X=half float32;Z=int8 uint8 int16 uint16", opQuantizeLinear)
	add("DequantizeLinear", 10, 18, "X,float32,X?->float32", "X=int8 uint8 int32", opDequantizeLinear)
	add("DequantizeLinear", 19, 20, "X,T,X?->T", "X=int8 uint8 int32;T=half float32", opDequantizeLinear)
	add("DequantizeLinear", 21, latest, "X,T,X?->T", "X=int8 uint8 int16 uint16 int32;T=half float32", opDequantizeLinear)
	add("MatMulInteger", 10, latest, "A1,B1,A1?,B1?->int32", "A1=int8 uint8;B1=int8 uint8", opMatMulInteger)
	add("QLinearMatMul", 10, 20, "A1,float32,A1,B1,float32,B1,float32,Y->Y", "A1=int8 uint8;B1=int8 uint8;Y=int8 uint8", opQLinearMatMul)
	add("QLinearMatMul", 21, latest, "A1,S,A1,B1,S,B1,S,Y->Y", "A1=int8 uint8;B1=int8 uint8;Y=int8 uint8;S=half float32", opQLinearMatMul)
	add("ConvInteger", 10, latest, "A1,B1,A1?,B1?->int32", "A1=int8 uint8;B1=int8 uint8", opConvInteger)
	add("QLinearConv", 10, latest, "A1,float32,A1,B1,float32,B1,float32,Y,int32?->Y", "A1=int8 uint8;B1=int8 uint8;Y=int8 uint8", opQLinearConv)
	return t
}

// learned is the table for ai.onnx.ml.
func learned() []*operator {
	const ml = "ai.onnx.ml"
	return []*operator{
		row(ml, "TreeEnsembleClassifier", 1, 4, "X->L,float32", "X=float32 float64 int32 int64;L=int64 string", opTreeEnsembleClassifier, "two classes only as one sum or as two sums that agree"),
		row(ml, "TreeEnsembleRegressor", 1, 4, "X->float32", "X=float32 float64 int32 int64", opTreeEnsembleRegressor, "no post_transform of a single target"),
		row(ml, "TreeEnsemble", 5, latestML, "X->X", "X=float32 float64", opTreeEnsemble),
		row(ml, "ZipMap", 1, latestML, "float32->A", "A=float32", opZipMap),
		row(ml, "Scaler", 1, latestML, "X->float32", "X=float32 float64 int32 int64", opScaler),
		row(ml, "Normalizer", 1, latestML, "X->float32", "X=float32 float64 int32 int64", opNormalizer, "no MAX of negative numbers"),
		row(ml, "Binarizer", 1, latestML, "X->X", "X=float32 float64", opBinarizer),
		row(ml, "ArrayFeatureExtractor", 1, latestML, "T,int64->T", "T=float32 float64 int32 int64 string", opArrayFeatureExtractor),
		row(ml, "LabelEncoder", 2, latestML, "K->V", "K=float32 int64 string;V=float32 int64 int16 string", opLabelEncoder),
		row(ml, "LinearRegressor", 1, latestML, "float32->float32", "", opLinearRegressor, "no post_transform"),
	}
}

// Operators lists the table, sorted by domain and name.
func Operators() []Operator {
	var out []Operator
	for _, rows := range operators {
		for _, op := range rows {
			o := op.Operator
			o.Domain = domainName(o.Domain)
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Operator) int {
		if c := strings.Compare(a.Domain, b.Domain); c != 0 {
			return c
		}
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.Since - b.Since
	})
	return out
}

// Claims says whether the table has a row for an operator; the empty domain is ai.onnx. Types and attributes are
// looked at by Load.
func Claims(domainOf, name string, version int64) bool {
	return lookup(domain(domainOf), name, version) != nil
}

// OperatorTable is the table as docs/operators.md prints it, in Markdown.
func OperatorTable() string {
	var b strings.Builder
	domain := ""
	for _, o := range Operators() {
		if o.Domain != domain {
			domain = o.Domain
			fmt.Fprintf(&b, "\n### %s\n\n| operator | versions | types | left out |\n|---|---|---|---|\n", domain)
		}
		fmt.Fprintf(&b, "| %s | %d–%d | %s | %s |\n", o.Name, o.Since, o.Until, o.Types, o.Note)
	}
	return strings.TrimPrefix(b.String(), "\n")
}
