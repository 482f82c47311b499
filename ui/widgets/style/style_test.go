package style

import (
	"image/color"
	"math"
	"testing"
)

// luminance is WCAG 2.1's relative luminance of an opaque colour.
func luminance(c color.NRGBA) float64 {
	part := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*part(c.R) + 0.7152*part(c.G) + 0.0722*part(c.B)
}

func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast computes WCAG's contrast of every pair of text and ground that the window uses, in every variant.
func TestContrast(t *testing.T) {
	if got := contrast(color.NRGBA{A: 255}, color.NRGBA{R: 255, G: 255, B: 255, A: 255}); math.Abs(got-21) > 1e-9 {
		t.Fatalf("black on white is %v, want 21", got)
	}
	for _, v := range Variants() {
		for _, p := range Pairs() {
			fore, ok := v.Color(p.Fore)
			back, ok2 := v.Color(p.Back)
			if !ok || !ok2 {
				t.Fatalf("%s: %q on %q: no such token", v, p.Fore, p.Back)
			}
			if c := contrast(fore, back); c < 4.5 {
				t.Errorf("%s: %q on %q has contrast %.2f, want at least 4.5", v, p.Fore, p.Back, c)
			}
		}
	}
}

// TestShapesAreVisible: what has to be seen without being read (focus, the chosen row's border, edges, chunks) keeps WCAG's 3.
func TestShapesAreVisible(t *testing.T) {
	for _, v := range Variants() {
		for _, p := range []Pair{{Accent, Surface}, {Accent, Background}, {Ok, Surface}, {Warn, Surface}, {Bad, Surface}, {Ok, Track}, {Accent, Track}} {
			fore, _ := v.Color(p.Fore)
			back, _ := v.Color(p.Back)
			if c := contrast(fore, back); c < 3 {
				t.Errorf("%s: %q beside %q has contrast %.2f, want at least 3", v, p.Fore, p.Back, c)
			}
		}
	}
}

func TestEverySizeIsKnown(t *testing.T) {
	for f := Body; f <= Figure; f++ {
		if px, ok := Size(f.Size()); !ok || px < 12 {
			t.Errorf("face %d has the size %v, found %v", f, px, ok)
		}
		if _, ok := Light.Color(f.Color()); !ok {
			t.Errorf("face %d has the colour %q, which is no token", f, f.Color())
		}
	}
}
