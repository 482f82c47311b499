// Command real makes the input of a bundle from a real model that is not ours: the silero voice-activity model. It records
// golden cases with ONNX Runtime and writes them, the model and a bundle.yaml into a folder; `make real` then builds,
// installs, smokes and tampers with that bundle. It is a tool for developers and is not part of the program.
package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"sluice/inference"
	"sluice/inference/onnx"
	"sluice/inference/tensor"
)

func main() {
	lib := flag.String("lib", "", "ONNX Runtime library (scripts/fetch-ort.sh prints its path)")
	model := flag.String("model", "", "silero model (scripts/fetch-silero.sh prints its path)")
	out := flag.String("out", "", "folder to write; it must not exist")
	flag.Parse()
	if *lib == "" || *model == "" || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *lib, *model, *out); err != nil {
		fmt.Fprintln(os.Stderr, "real:", err)
		os.Exit(1)
	}
}

// The model hears 32 ms at 16 kHz, preceded by the last 4 ms of the frame before, and keeps a state between frames.
const (
	rate    = 16_000
	overlap = 64
	frame   = overlap + 512
	state   = 2 * 128
)

// signals are what the golden cases hear, sample by sample.
var signals = []struct {
	name   string
	sample func(i int) float64
}{
	{"silence", func(int) float64 { return 0 }},
	{"tone", func(i int) float64 { return .4 * math.Sin(2*math.Pi*440*float64(i)/rate) }},
	{"vowel", vowel},
	{"noise", noise},
}

// vowel is a rough spoken "a": a pulse of 120 Hz with formants at 700, 1200 and 2600 Hz.
func vowel(i int) float64 {
	t, sum := float64(i)/rate, 0.0
	for h := 1; h <= 30; h++ {
		f, gain := 120*float64(h), 0.0
		for _, formant := range []float64{700, 1200, 2600} {
			gain += math.Exp(-math.Pow((f-formant)/150, 2))
		}
		sum += gain * math.Sin(2*math.Pi*f*t)
	}
	return .15 * sum
}

// noise is white and the same each time (SplitMix64).
func noise(i int) float64 {
	z := uint64(i+1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return .1 * (float64(z>>11)/(1<<52) - 1)
}

//go:embed bundle.yaml
var spec string

func run(ctx context.Context, lib, modelFile, out string) error {
	lib, err := filepath.Abs(lib)
	if err != nil {
		return err
	}
	digest, err := inference.AllowedLibrary(ctx, lib, inference.Allowed{})
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(modelFile)
	if err != nil {
		return err
	}
	full := inference.EngineSpec{Kind: inference.KindONNXRuntime, LibraryPath: lib, LibrarySHA384: digest}
	s, err := inference.OpenSession(ctx, full, inference.ModelFile{Bytes: raw})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	if err := write(out, "models/silero-vad.onnx", raw); err != nil {
		return err
	}
	var cases strings.Builder
	for _, sig := range signals {
		n, err := record(ctx, s, out, sig.name, sig.sample, &cases)
		if err != nil {
			return fmt.Errorf("recording %q: %w", sig.name, err)
		}
		fmt.Printf("%-8s %d frames recorded with ONNX Runtime\n", sig.name, n)
	}
	if strings.Count(spec, "@CASES@") != 1 {
		return errors.New("bundle.yaml has no place for the cases")
	}
	return write(out, "bundle.yaml", []byte(strings.Replace(spec, "    @CASES@\n", cases.String(), 1)))
}

// record plays three frames, each with the state that the one before left, and writes each as a golden case.
func record(ctx context.Context, s inference.Session, out, name string, sample func(int) float64, cases *strings.Builder) (int, error) {
	const frames = 3
	current := &tensor.Tensor{DType: tensor.Float32, Shape: []int64{2, 1, 128}, Raw: make([]byte, 4*state)}
	sr := &tensor.Tensor{DType: tensor.Int64, Shape: []int64{}, Raw: binary.LittleEndian.AppendUint64(nil, rate)}
	for k := range frames {
		x := &tensor.Tensor{DType: tensor.Float32, Shape: []int64{1, frame}}
		for i := range frame {
			v := 0.0
			if n := k*(frame-overlap) + i - overlap; n >= 0 {
				v = sample(n)
			}
			x.Raw = binary.LittleEndian.AppendUint32(x.Raw, math.Float32bits(float32(v)))
		}
		got, err := s.Run(ctx, map[string]tensor.Value{"input": {Tensor: x}, "state": {Tensor: current}, "sr": {Tensor: sr}})
		if err != nil {
			return k, err
		}
		prob, next := got["output"].Tensor, got["stateN"].Tensor
		if prob == nil || next == nil || len(prob.Raw) != 4 || len(next.Raw) != 4*state {
			return k, errors.New("the model has other outputs than output [1, 1] and stateN [2, 1, 128]")
		}
		id := fmt.Sprintf("%s-%d", name, k+1)
		for file, t := range map[string]*tensor.Tensor{"input": x, "state": current, "sr": sr, "output": prob, "stateN": next} {
			if err := write(out, "golden/"+id+"/"+file+".pb", onnx.MarshalTensor(file, t)); err != nil {
				return k, err
			}
		}
		dir := "artifacts/golden/" + id + "/"
		fmt.Fprintf(cases, "    - name: %s\n      inputs: {input: %sinput.pb, state: %sstate.pb, sr: %ssr.pb}\n      outputs: {output: %soutput.pb, stateN: %sstateN.pb}\n      tolerance: {abs: 0.00001, rel: 0.001}\n",
			id, dir, dir, dir, dir, dir)
		current = next
	}
	return frames, nil
}

func write(dir, name string, data []byte) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
