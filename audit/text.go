package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/internal/printable"
)

// maxShown is the longest value that Text shows, in characters.
const maxShown = 120

// Text is the line for a terminal, in one line. What others wrote is escaped and cut; the file keeps it as it was.
func (l Line) Text() string {
	if l.Problem != "" {
		return fmt.Sprintf("%5d  ! %s", l.Number, printable.Line(l.Problem, 2*maxShown))
	}
	e := l.Entry
	parts := []string{fmt.Sprintf("%5d", l.Number), shown(e.Timestamp), shown(e.Stage), shown(e.Status), shown(e.Event)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+shown(value))
		}
	}
	add("code", e.Code)
	add("incident", e.Incident)
	if e.Count > 0 {
		add("count", fmt.Sprint(e.Count))
	}
	add("actor", e.Actor)
	for _, m := range []map[string]string{e.Artefacts, e.RuntimeFlags} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			add(shown(k), m[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		add(shown(k), fmt.Sprint(e.Detail[k]))
	}
	return strings.Join(parts, "  ")
}

func shown(s string) string { return printable.Line(s, maxShown) }
