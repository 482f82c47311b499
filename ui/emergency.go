package ui

import (
	"time"

	"fyne.io/fyne/v2"

	"sluice/installer"
	"sluice/internal/printable"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// emergencies stand on top of every page as long as there is a version here that the site signed and not the vendor.
func (w *Window) emergencies() []fyne.CanvasObject {
	if w.status == nil {
		return nil
	}
	var out []fyne.CanvasObject
	for i := range w.status.Emergencies {
		e := &w.status.Emergencies[i]
		lines := []fyne.CanvasObject{text(style.BodyStrong, w.lang.Text("emergency.mark", "version", printable.Line(e.Version, 80), "reason", printable.Line(e.Reason, 300), "by", printable.Line(e.By, 80)))}
		for _, l := range w.emergencyLines(e) {
			lines = append(lines, text(style.SmallDim, l))
		}
		if _, here := w.current.(*review); !here && e.Review == "owed" && len(e.People) > 0 {
			lines = append(lines, widgets.Wrapping(0, widgets.LinkButton(w.t("review.open"), func() { w.aside(newReview(w, *e)) })))
		}
		out = append(out, widgets.Inset(0, 0, 0, 16, widgets.NewEdgeCard(widgets.Wrong, widgets.Column(4, lines...))))
	}
	return out
}

// emergencyLines say what it owes and how long it may run, in the command line's words.
func (w *Window) emergencyLines(e *installer.EmergencyView) []string {
	var out []string
	say := w.lang.Text
	switch {
	case e.Review == "accepted":
		out = append(out, say("emergency.accepted", "version", e.Version, "person", w.names([]string{e.Reviewer})))
	case e.Review == "refused":
		out = append(out, say("emergency.refused", "version", e.Version, "person", w.names([]string{e.Reviewer})))
	case len(e.People) == 0:
		out = append(out, say("emergency.owed-nobody"))
	default:
		out = append(out, say("emergency.owed", "people", w.names(e.People)))
	}
	if e.SecondsLeft > 0 {
		out = append(out, say("emergency.left", "left", w.left(time.Duration(e.SecondsLeft)*time.Second)))
	}
	return out
}
