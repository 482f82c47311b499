//go:build ignore

// Command icon_draw writes icon.svg and icon.png: two posts of a lock gate and between them two triangles that meet.
package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"strings"
)

const (
	size    = 512
	samples = 8 // per pixel and axis
)

type point struct{ x, y float64 }

var (
	accent = color.NRGBA{0x0F, 0x5F, 0xA6, 0xFF}
	white  = color.NRGBA{0xFF, 0xFF, 0xFF, 0xFF}
	marks  = [][]point{
		{{88, 112}, {124, 112}, {124, 400}, {88, 400}},   // left post
		{{388, 112}, {424, 112}, {424, 400}, {388, 400}}, // right post
		{{144, 152}, {264, 256}, {144, 360}},             // left leaf
		{{368, 152}, {248, 256}, {368, 360}},             // right leaf
	}
)

const corner = 96.0 // radius of the background's corners

func main() {
	var svg strings.Builder
	fmt.Fprintf(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n", size, size)
	fmt.Fprintf(&svg, "<rect width=\"%d\" height=\"%d\" rx=\"%g\" fill=\"#0F5FA6\"/>\n", size, size, corner)
	for _, m := range marks {
		var at []string
		for _, p := range m {
			at = append(at, fmt.Sprintf("%g,%g", p.x, p.y))
		}
		fmt.Fprintf(&svg, "<polygon points=\"%s\" fill=\"#FFFFFF\"/>\n", strings.Join(at, " "))
	}
	svg.WriteString("</svg>\n")
	if err := os.WriteFile("icon.svg", []byte(svg.String()), 0o644); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create("icon.png")
	if err == nil {
		enc := png.Encoder{CompressionLevel: png.BestCompression}
		err = enc.Encode(f, draw())
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
}

func draw() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			ground, mark := 0, 0
			for s := range samples * samples {
				p := point{float64(x) + (float64(s%samples)+0.5)/samples, float64(y) + (float64(s/samples)+0.5)/samples}
				if !onGround(p) {
					continue
				}
				ground++
				for _, m := range marks {
					if inside(m, p) {
						mark++
						break
					}
				}
			}
			if ground == 0 {
				continue
			}
			mix := func(a, b uint8) uint8 { return uint8((int(a)*(ground-mark) + int(b)*mark) / ground) }
			img.SetNRGBA(x, y, color.NRGBA{mix(accent.R, white.R), mix(accent.G, white.G), mix(accent.B, white.B),
				uint8(255 * ground / (samples * samples))})
		}
	}
	return img
}

func onGround(p point) bool {
	far := func(v float64) float64 { return max(corner-v, v-(size-corner), 0) }
	dx, dy := far(p.x), far(p.y)
	return dx*dx+dy*dy <= corner*corner
}

// inside counts how often a ray to the right crosses the polygon's edges.
func inside(poly []point, p point) bool {
	in := false
	for i, a := range poly {
		b := poly[(i+1)%len(poly)]
		if (a.y > p.y) != (b.y > p.y) && p.x < a.x+(p.y-a.y)*(b.x-a.x)/(b.y-a.y) {
			in = !in
		}
	}
	return in
}
