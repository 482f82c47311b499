package ui

import (
	"path/filepath"

	"fyne.io/fyne/v2"

	"sluice/installer/slot"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// helpPage says in one page what this program is for, which words it uses, and which keys it knows.
type helpPage struct{ w *Window }

// help opens the help page.
func (w *Window) help() {
	if _, ok := w.current.(*helpPage); !ok {
		w.aside(&helpPage{w})
	}
}

// What the page explains, in order.
var (
	helpSteps = []string{"source", "authenticate", "hardware", "install", "smoke", "signoff", "live"}
	helpWords = []string{"list", "fingerprint", "variant", "manifest", "stages", "gate", "incident"}
	helpKeys  = [][2]string{{"Tab, Shift+Tab", "move"}, {"Enter", "press"}, {"Esc", "escape"}, {"Ctrl+J", "missing"}, {"Alt+←", "back"}, {"Ctrl+L", "log"}, {"Ctrl+P", "look"},
		{"Ctrl+E", "lang"}, {"Ctrl++, Ctrl+−", "zoom"}, {"PgUp, PgDn", "scroll"}, {"F1", "help"}}
)

func (s *helpPage) page() page {
	w := s.w
	explain := func(kind string, names []string) *widgets.KeyValues {
		var rows []widgets.KeyValue
		for _, n := range names {
			rows = append(rows, widgets.KV(w.t("help."+kind+"."+n), w.t("help."+kind+"."+n+".is")))
		}
		return widgets.NewKeyValues(rows...)
	}
	var steps []widgets.KeyValue
	for i, n := range helpSteps {
		steps = append(steps, widgets.KV(w.steps()[i], w.t("help.step."+n)))
	}
	var keys []widgets.KeyValue
	for _, k := range helpKeys {
		keys = append(keys, widgets.KeyValue{Key: k[0], Value: text(style.Body, w.t("help.key."+k[1]))})
	}
	folder := func(name string) fyne.CanvasObject {
		return text(style.Mono, printable.Line(filepath.Join(w.root, filepath.FromSlash(name)), 300))
	}
	places := widgets.NewKeyValues(
		widgets.KeyValue{Key: w.t("help.place.root"), Value: folder(".")},
		widgets.KeyValue{Key: w.t("help.place.log"), Value: folder(slot.AuditDir)},
		widgets.KeyValue{Key: w.t("help.place.reports"), Value: folder(slot.ReportsDir)},
	)
	card := func(key string, body ...fyne.CanvasObject) fyne.CanvasObject {
		return widgets.NewCard(widgets.Column(10, append([]fyne.CanvasObject{text(style.Heading, w.t(key))}, body...)...))
	}
	return page{
		title: w.t("help.title"), lead: w.t("help.lead"),
		content: widgets.Column(style.Gap,
			card("help.steps", widgets.NewKeyValues(steps...)),
			card("help.trouble", text(style.Body, w.t("help.trouble.text"))),
			card("help.words", explain("word", helpWords)),
			card("help.keys", widgets.NewKeyValues(keys...)),
			card("help.places", places),
			card("help.program", w.programs()...),
			card("help.cli", text(style.Body, w.t("help.cli.text")), text(style.Mono, "sluice status\nsluice help\nsluice demo")),
		),
		escape: w.closeAside, primary: &action{label: w.t("button.close"), do: w.closeAside},
	}
}
