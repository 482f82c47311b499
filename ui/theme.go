package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"sluice/ui/widgets/style"
)

// look is the window's theme: the tokens in one variant, with text at a scale. Fyne's own widgets get the same colours.
type look struct {
	variant style.Variant // empty: light or dark, as the system says
	scale   float32
}

var _ fyne.Theme = look{}

// aliases give Fyne's names our colours.
var aliases = map[fyne.ThemeColorName]fyne.ThemeColorName{
	theme.ColorNameBackground:          style.Background,
	theme.ColorNameButton:              style.NeutralSoft,
	theme.ColorNameDisabled:            style.Dim,
	theme.ColorNameDisabledButton:      style.NeutralSoft,
	theme.ColorNameError:               style.Bad,
	theme.ColorNameFocus:               style.AccentSoft,
	theme.ColorNameForeground:          style.Text,
	theme.ColorNameForegroundOnError:   style.Surface,
	theme.ColorNameForegroundOnPrimary: style.OnAccent,
	theme.ColorNameForegroundOnSuccess: style.Surface,
	theme.ColorNameForegroundOnWarning: style.Surface,
	theme.ColorNameHeaderBackground:    style.Surface,
	theme.ColorNameHover:               style.Hover,
	theme.ColorNameHyperlink:           style.Accent,
	theme.ColorNameInputBackground:     style.Surface,
	theme.ColorNameInputBorder:         style.Line,
	theme.ColorNameMenuBackground:      style.Surface,
	theme.ColorNameOverlayBackground:   style.Surface,
	theme.ColorNamePlaceHolder:         style.Dim,
	theme.ColorNamePressed:             style.Hover,
	theme.ColorNamePrimary:             style.Accent,
	theme.ColorNameScrollBar:           style.Dim,
	theme.ColorNameSelection:           style.AccentSoft,
	theme.ColorNameSeparator:           style.Line,
	theme.ColorNameSuccess:             style.Ok,
	theme.ColorNameWarning:             style.Warn,
}

func (l look) chosen(v fyne.ThemeVariant) style.Variant {
	switch {
	case l.variant != "":
		return l.variant
	case v == theme.VariantDark:
		return style.Dark
	}
	return style.Light
}

// Color is Fyne's.
func (l look) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	chosen := l.chosen(v)
	if own, ok := aliases[name]; ok {
		name = own
	}
	if c, ok := chosen.Color(name); ok {
		return c
	}
	if name == theme.ColorNameShadow {
		return color.NRGBA{A: 0x30}
	}
	if chosen == style.Light {
		return theme.DefaultTheme().Color(name, theme.VariantLight)
	}
	return theme.DefaultTheme().Color(name, theme.VariantDark)
}

// Font is Fyne's.
func (l look) Font(s fyne.TextStyle) fyne.Resource { return theme.DefaultTheme().Font(s) }

// Icon is Fyne's.
func (l look) Icon(name fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(name) }

// Size is Fyne's; only text and the icons beside it grow with the scale.
func (l look) Size(name fyne.ThemeSizeName) float32 {
	scale := max(l.scale, 1)
	if px, ok := style.Size(name); ok {
		return px * scale
	}
	switch name {
	case theme.SizeNameText:
		return 15 * scale
	case theme.SizeNameCaptionText:
		return 12.5 * scale
	case theme.SizeNameSubHeadingText:
		return 17 * scale
	case theme.SizeNameHeadingText:
		return 25 * scale
	case theme.SizeNameInlineIcon:
		return 20 * scale
	case theme.SizeNameInputRadius, theme.SizeNameSelectionRadius:
		return 6
	}
	return theme.DefaultTheme().Size(name)
}

// shadow dims the page behind what is on top.
var shadow = color.NRGBA{A: 0x78}
