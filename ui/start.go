package ui

import "sluice/ui/widgets/style"

// start is what is installed, what each stage runs, what waits for whom.
type start struct{ w *Window }

func newStart(w *Window) screen { return &start{w} }

func (s *start) page() page {
	w := s.w
	return page{title: w.t("start.title"), lead: w.t("start.lead"), content: text(style.Body, w.root),
		primary: &action{label: w.t("start.install"), do: w.install}}
}
