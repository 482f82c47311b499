// Package style holds the tokens of the window: colours for light, dark and high contrast, text sizes, distances.
// It draws nothing.
package style

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// The colours, by what they are for. They are looked up in the application's theme.
const (
	Background  fyne.ThemeColorName = "sluice.background" // the page
	Surface     fyne.ThemeColorName = "sluice.surface"    // cards, rail, footer
	Line        fyne.ThemeColorName = "sluice.line"       // borders
	Text        fyne.ThemeColorName = "sluice.text"
	Dim         fyne.ThemeColorName = "sluice.dim" // second-rank text
	Accent      fyne.ThemeColorName = "sluice.accent"
	AccentHover fyne.ThemeColorName = "sluice.accent.hover"
	AccentSoft  fyne.ThemeColorName = "sluice.accent.soft"
	OnAccent    fyne.ThemeColorName = "sluice.on.accent" // text on the accent colour
	Ok          fyne.ThemeColorName = "sluice.ok"
	OkSoft      fyne.ThemeColorName = "sluice.ok.soft"
	Warn        fyne.ThemeColorName = "sluice.warn"
	WarnSoft    fyne.ThemeColorName = "sluice.warn.soft"
	Bad         fyne.ThemeColorName = "sluice.bad"
	BadSoft     fyne.ThemeColorName = "sluice.bad.soft"
	NeutralSoft fyne.ThemeColorName = "sluice.neutral.soft" // behind neutral badges
	Track       fyne.ThemeColorName = "sluice.track"        // what is still open: chunks, bars
	Hover       fyne.ThemeColorName = "sluice.hover"        // behind what the mouse is over
)

// The text sizes, in pixels at scale 100 %.
const (
	SizeFigure  fyne.ThemeSizeName = "sluice.figure"  // 34, the one big number of a page
	SizeTitle   fyne.ThemeSizeName = "sluice.title"   // 25
	SizeHeading fyne.ThemeSizeName = "sluice.heading" // 17, the name of a card
	SizeBody    fyne.ThemeSizeName = "sluice.body"    // 15
	SizeSmall   fyne.ThemeSizeName = "sluice.small"   // 13
	SizeHead    fyne.ThemeSizeName = "sluice.head"    // 12.5, table heads and badges
)

// Distances, in pixels. They do not grow with the text.
const (
	Grid   float32 = 8
	Gap    float32 = 12 // between cards
	Margin float32 = 40 // around a page
	Rail   float32 = 248
	Radius float32 = 8 // of cards
	Corner float32 = 4 // of badges
	CardX  float32 = 20
	CardY  float32 = 16
)

// Variant is a set of colours.
type Variant string

// The variants.
const (
	Light    Variant = "light"
	Dark     Variant = "dark"
	Contrast Variant = "contrast"
)

// Variants lists all of them.
func Variants() []Variant { return []Variant{Light, Dark, Contrast} }

func rgb(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

// Color is a token in a variant; found is false for a name that is no token.
func (v Variant) Color(name fyne.ThemeColorName) (c color.NRGBA, found bool) {
	col := 0
	switch v {
	case Dark:
		col = 1
	case Contrast:
		col = 2
	}
	values, found := tokens[name]
	return rgb(values[col]), found
}

// tokens hold light, dark and high contrast.
var tokens = map[fyne.ThemeColorName][3]uint32{
	Background:  {0xF4F6F8, 0x14181D, 0x000000},
	Surface:     {0xFFFFFF, 0x1C2229, 0x000000},
	Line:        {0xD9DEE4, 0x323B45, 0xFFFFFF},
	Text:        {0x1A2027, 0xE8EDF2, 0xFFFFFF},
	Dim:         {0x5A6572, 0x9AA7B4, 0xFFFFFF},
	Accent:      {0x0F5FA6, 0x5AA9F0, 0xFFE600},
	AccentHover: {0x0B4D88, 0x7DBDF5, 0xFFF27A},
	AccentSoft:  {0xE3EEF8, 0x1E3246, 0x2B2700},
	OnAccent:    {0xFFFFFF, 0x0C1621, 0x000000},
	Ok:          {0x187444, 0x55C98A, 0xFFFFFF},
	OkSoft:      {0xE2F3EA, 0x17332A, 0x003B1C},
	Warn:        {0x8A5A00, 0xE9B44C, 0xFFE600},
	WarnSoft:    {0xFBF0D9, 0x3A2F16, 0x2B2700},
	Bad:         {0xB3261E, 0xFF8A80, 0xFFFFFF},
	BadSoft:     {0xFBE6E4, 0x40201E, 0x7A0000},
	NeutralSoft: {0xEEF1F4, 0x29313A, 0x2A2A2A},
	Track:       {0xE1E7EE, 0x2C3641, 0x4A4A4A},
	Hover:       {0xEDF1F5, 0x252D36, 0x2A2A2A},
}

// Pair is a text colour and what it stands on.
type Pair struct{ Fore, Back fyne.ThemeColorName }

// Pairs lists every pair that the window uses. A widget that needs another one adds it here, where a test computes
// its contrast (WCAG 2.1, at least 4.5).
func Pairs() []Pair {
	var out []Pair
	for _, back := range []fyne.ThemeColorName{Background, Surface, Hover, NeutralSoft} {
		for _, fore := range []fyne.ThemeColorName{Text, Dim, Accent} {
			out = append(out, Pair{fore, back})
		}
	}
	for _, back := range []fyne.ThemeColorName{Background, Surface} {
		for _, fore := range []fyne.ThemeColorName{Ok, Warn, Bad} {
			out = append(out, Pair{fore, back})
		}
	}
	return append(out,
		Pair{Bad, Hover}, Pair{OnAccent, Accent}, Pair{OnAccent, AccentHover},
		Pair{Text, AccentSoft}, Pair{Accent, AccentSoft}, Pair{Dim, AccentSoft},
		Pair{Ok, OkSoft}, Pair{Warn, WarnSoft}, Pair{Bad, BadSoft},
		Pair{Text, OkSoft}, Pair{Text, WarnSoft}, Pair{Text, BadSoft},
	)
}

// Size is a text size at scale 1; found is false for a name that is none of ours.
func Size(name fyne.ThemeSizeName) (px float32, found bool) {
	switch name {
	case SizeFigure:
		return 34, true
	case SizeTitle:
		return 25, true
	case SizeHeading:
		return 17, true
	case SizeBody:
		return 15, true
	case SizeSmall:
		return 13, true
	case SizeHead:
		return 12.5, true
	}
	return 0, false
}

// Face is how a piece of text looks.
type Face int

// The faces.
const (
	Body        Face = iota // 15
	BodyDim                 // 15, dim; also the lead of a page
	BodyStrong              // 15 bold
	Title                   // 25 bold
	Heading                 // 17 bold
	Head                    // 12.5 bold dim: table heads
	Small                   // 13
	SmallDim                // 13 dim
	SmallStrong             // 13 bold
	Mono                    // 13 monospace: digests, codes
	MonoStrong              // 15 monospace bold
	Figure                  // 34 bold
)

// Size is the name of the face's text size.
func (f Face) Size() fyne.ThemeSizeName {
	switch f {
	case Title:
		return SizeTitle
	case Heading:
		return SizeHeading
	case Head:
		return SizeHead
	case Small, SmallDim, SmallStrong, Mono:
		return SizeSmall
	case Figure:
		return SizeFigure
	}
	return SizeBody
}

// Color is the name of the face's colour.
func (f Face) Color() fyne.ThemeColorName {
	switch f {
	case BodyDim, Head, SmallDim:
		return Dim
	}
	return Text
}

// TextStyle is the face's weight and family.
func (f Face) TextStyle() fyne.TextStyle {
	switch f {
	case BodyStrong, Title, Heading, Head, SmallStrong, Figure:
		return fyne.TextStyle{Bold: true}
	case Mono:
		return fyne.TextStyle{Monospace: true}
	case MonoStrong:
		return fyne.TextStyle{Monospace: true, Bold: true}
	}
	return fyne.TextStyle{}
}

// Px is the face's size in pixels in the application's theme.
func (f Face) Px() float32 { return theme.Size(f.Size()) }

// Measure is the size of one line of text in the face.
func (f Face) Measure(text string) fyne.Size { return fyne.MeasureText(text, f.Px(), f.TextStyle()) }

// LineHeight is the height of a line of text in the face, with its leading.
func (f Face) LineHeight() float32 {
	h := f.Measure("Mg").Height
	if lead := f.Px() * 22 / 15; lead > h {
		return lead
	}
	return h
}

// Get is a colour in the application's theme.
func Get(name fyne.ThemeColorName) color.Color { return theme.Color(name) }

// Transparent is no colour.
var Transparent = color.NRGBA{}
