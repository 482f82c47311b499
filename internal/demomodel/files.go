package demomodel

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"text/template"
)

// Seed is the one number that everything in the shipped demo follows from.
const Seed = 20260901

// Demo is the trained demo model with what was measured on it.
type Demo struct {
	Data       *Data
	Classifier *Classifier
	Quantized  *Quantized
	Forecaster *Forecaster
	Training   Training
	Accuracy   Accuracy
	Drift      Drift
	Trading    Trading
}

// NewDemo draws the data, trains and measures. It takes a few seconds.
func NewDemo(seed uint64) *Demo {
	d := &Demo{Data: NewData(seed)}
	train, validation := d.Data.Train.Samples, d.Data.Validation.Samples
	d.Classifier, d.Training = TrainClassifier(seed, train, validation)
	d.Quantized = d.Classifier.Quantize()
	d.Forecaster = TrainForecaster(train, validation)
	d.Accuracy = MeasureAccuracy(d.Classifier, d.Quantized, d.Forecaster, d.Data.Test)
	d.Drift = MeasureDrift(d.Classifier, d.Data.Train, d.Data.Test)
	d.Trading = MeasureTrading(d.Classifier, d.Data.Test)
	return d
}

// What the release asks of itself; a demo that misses one is not written.
const (
	minAccuracy   = 0.80
	maxPSI        = 0.20
	maxDrawdown   = 0.80 // of buy and hold's
	minVolatility = 0.30 // R², and better than persistence
)

// How far an engine may be from the trainer's float64 answers: |got-want| <= abs + rel*|want|.
const (
	fp32Abs, fp32Rel = 1e-5, 1e-4
	int8Abs          = 0.03
	cudaAbs          = 0.005 // TensorFloat-32 products have ten bits
	treesAbs         = 1e-5
	treesRel         = 1e-5
)

// figure is one line of the bundle's quality section.
type figure struct {
	ID               string
	Value, Threshold float64
	Direction        string
	Report           string
}

func (f figure) passed() bool {
	if f.Direction == "max" {
		return f.Value <= f.Threshold
	}
	return f.Value >= f.Threshold
}

func (d *Demo) figures() []figure {
	return []figure{
		{"accuracy", d.Accuracy.FP32, minAccuracy, "min", accuracyReport},
		{"accuracy_int8", d.Accuracy.INT8, minAccuracy, "min", accuracyReport},
		{"volatility_r2", d.Accuracy.VolatilityR2, minVolatility, "min", accuracyReport},
		{"drift", d.Drift.Worst, maxPSI, "max", driftReport},
		{"sanity_trading", d.Trading.DrawdownRatio, maxDrawdown, "max", tradingReport},
	}
}

// Places of the files, relative to bundle.yaml; in the bundle they lie under artifacts/.
const (
	fp32Model      = "models/market-regime-fp32.onnx"
	int8Model      = "models/market-regime-int8.onnx"
	treesModel     = "models/volatility-trees.onnx"
	schemaFile     = "metadata/features.json"
	cardFile       = "metadata/model-card.md"
	accuracyReport = "reports/accuracy.json"
	driftReport    = "reports/drift.json"
	tradingReport  = "reports/sanity-trading.json"
)

// golden is one case and where its files lie.
type golden struct{ Name, In, Out string }

// Files are the demo's files by path, bundle.yaml among them.
func (d *Demo) Files() (map[string][]byte, error) {
	for _, f := range d.figures() {
		if !f.passed() {
			return nil, fmt.Errorf("quality figure %q is %v, want %s %v", f.ID, f.Value, f.Direction, f.Threshold)
		}
	}
	regimes := GoldenCases(d.Data.Test)
	forecasts := ForecastCases(regimes)
	if worst := quantizationError(d.Classifier, d.Quantized, regimes); worst > int8Abs*0.8 {
		return nil, fmt.Errorf("int8 answers differ by up to %.3g, want at most 80 %% of the tolerance %v", worst, int8Abs)
	}
	files := map[string][]byte{
		fp32Model:  d.Classifier.ONNX(),
		int8Model:  d.Quantized.ONNX(),
		treesModel: d.Forecaster.ONNX(),
	}
	add := func(name string, content []byte) string {
		files[name] = content
		return name
	}
	var main, companion []golden
	inputs := map[string]string{} // by case; both models take the same input
	for _, c := range regimes {
		dir := path.Join("golden", c.Name)
		inputs[c.Name] = add(path.Join(dir, "features.pb"), c.Input())
		main = append(main, golden{c.Name, inputs[c.Name], add(path.Join(dir, "probabilities.pb"), c.Regimes(d.Classifier))})
	}
	for _, c := range forecasts {
		out := add(path.Join("golden", c.Name, "volatility.pb"), c.Forecast(d.Forecaster))
		companion = append(companion, golden{c.Name, inputs[c.Name], out})
	}
	for name, v := range map[string]any{accuracyReport: d.Accuracy, driftReport: d.Drift, tradingReport: d.Trading, schemaFile: schema()} {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		files[name] = append(b, '\n')
	}
	facts := map[string]any{
		"Demo": d, "Seed": Seed, "Digest": fmt.Sprintf("%x", d.Data.Digest()), "Figures": d.figures(),
		"Regime": main, "Volatility": companion, "Inputs": Features, "Window": Window, "Horizon": horizon, "Classes": Regimes,
		"FP32": fp32Model, "INT8": int8Model, "Trees": treesModel, "Schema": schemaFile, "Card": cardFile,
		"FP32Abs": fp32Abs, "FP32Rel": fp32Rel, "INT8Abs": int8Abs, "CUDAAbs": cudaAbs, "TreesAbs": treesAbs, "TreesRel": treesRel,
		"TrainSeries": trainSeries, "ValidationSeries": validationSeries, "TestSeries": testSeries, "Bars": barsPerSeries,
		"Hidden1": hidden1, "Hidden2": hidden2, "Clip": clipAt, "Names": FeatureNames, "Cost": costPerTurn,
	}
	for name, text := range map[string]string{cardFile: cardText, "bundle.yaml": specText, "README.md": readmeText} {
		b, err := fill(text, facts)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		files[name] = b
	}
	return files, nil
}

// SpecHead is how the demo's bundle.yaml begins.
const SpecHead = "# Spec of Sluice's demo bundle"

//go:embed bundle.yaml.tmpl
var specText string

//go:embed model-card.md.tmpl
var cardText string

const readmeText = `# Demo model

The files of Sluice's demo bundle. ` + "`go generate ./assets`" + ` makes them from the seed {{.Seed}}; edit internal/demomodel, not these files.
docs/demo-model.md says what the model is and what it is not.
`

func fill(text string, facts any) ([]byte, error) {
	funcs := template.FuncMap{
		"percent": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
		"fixed":   func(v float64) string { return fmt.Sprintf("%.3f", v) },
		"number":  func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) },
		"passed":  figure.passed,
	}
	t, err := template.New("").Funcs(funcs).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, facts); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// schema describes input and outputs for programs that feed the models.
func schema() any {
	return struct {
		Input    string   `json:"input"`
		Window   int      `json:"window_closes"`
		Features []string `json:"features"`
		Units    string   `json:"units"`
		Output   string   `json:"output"`
		Regimes  []string `json:"regimes"`
		Forecast string   `json:"companion_output"`
		Horizon  int      `json:"companion_horizon_bars"`
	}{InputName, Window, FeatureNames[:], "returns, volatilities, drawdown, mean gap and largest move in percent a bar of log price; the rest are ratios",
		OutputName, regimeNames[:], ForecastName, horizon}
}
