package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice/inference"
)

// evidenceLines say where the engine itself placed each model's operators, and which library it was.
func evidenceLines(p *printer, r *inference.Report) {
	for _, e := range r.Evidence {
		var parts []string
		for _, provider := range slices.Sorted(maps.Keys(e.Nodes)) {
			parts = append(parts, clean(provider)+" "+strconv.Itoa(e.Nodes[provider]))
		}
		words := strings.Join(parts, ", ")
		switch {
		case e.Nodes == nil:
			words = p.t("evidence.silent")
		case len(parts) == 0:
			words = p.t("evidence.none")
		}
		p.line("  %s", p.t("evidence.placed", "model", clean(lastPart(e.Model)), "placed", words))
	}
	if r.LibrarySHA384 != "" {
		p.line("  %s", p.t("evidence.library", "digest", clean(r.LibrarySHA384)))
	}
	if r.Confinement != nil {
		p.line("  %s", p.t("proof.confined", "how", clean(r.Confinement.String())))
	}
}
