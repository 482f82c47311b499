package reference_test

import (
	"strings"
	"testing"

	"sluice/inference/reference"
)

// promised are the operators that the evaluator must have, with the first version of the standard that knows them where
// that is later than 9: those that cover most small models of the real world, and the cheap ones beside them.
const promised = `Add Cast Clip Concat Constant ConstantOfShape Conv DequantizeLinear:10 Div DynamicQuantizeLinear:11 Equal Erf Flatten GRU Gather
Gemm GreaterOrEqual:12 Identity If LSTM LayerNormalization:17 LeakyRelu Log MatMul MatMulInteger:10 Max MaxPool Mul Neg Not Pad Pow
QuantizeLinear:10 ReduceMax ReduceMean Relu Reshape Shape Sigmoid Size Slice Softmax Sqrt Squeeze Sub Transpose Unsqueeze
Tanh Min Where Less ReduceSum Split Expand BatchNormalization GlobalAveragePool QLinearMatMul:10 ArgMax Gelu:20`

// promisedML are those of ai.onnx.ml, with their first and last version: the tree ensembles of versions 1 to 4 became one
// operator in version 5.
var promisedML = map[string][2]int64{"TreeEnsembleClassifier": {1, 4}, "TreeEnsembleRegressor": {1, 4}, "TreeEnsemble": {5, 5},
	"ZipMap": {1, 5}, "Scaler": {1, 5}, "Normalizer": {1, 5}}

func TestPromisedOperatorsAreClaimed(t *testing.T) {
	n := 0
	for word := range strings.FieldsSeq(promised) {
		name, first, _ := strings.Cut(word, ":")
		since := int64(9)
		for i := range first { // one or two digits
			if i == 0 {
				since = 0
			}
			since = 10*since + int64(first[i]-'0')
		}
		n++
		for v := since; v <= 21; v++ {
			if !reference.Claims("", name, v) {
				t.Errorf("%s of opset %d is not claimed", name, v)
			}
		}
		if since > 9 && reference.Claims("", name, since-1) {
			t.Errorf("%s is claimed for opset %d, which does not know it", name, since-1)
		}
		if reference.Claims("", name, 22) {
			t.Errorf("%s of opset 22 is claimed, which nobody looked at", name)
		}
	}
	if n != 59 {
		t.Errorf("%d operators are looked for", n)
	}
	for name, v := range promisedML {
		for version := v[0]; version <= v[1]; version++ {
			if !reference.Claims("ai.onnx.ml", name, version) {
				t.Errorf("%s of ai.onnx.ml %d is not claimed", name, version)
			}
		}
	}
}
