package ui

import (
	"fmt"
	"strings"
	"time"

	"sluice/assets"
	"sluice/internal/printable"
)

// when is a time as people say it: today with the hour, else the day.
func (w *Window) when(t time.Time) string {
	t, now := t.Local(), w.c.Now().Local()
	clock := t.Format("15:04")
	switch ago := now.Sub(t); {
	case ago >= 0 && ago < time.Minute:
		return w.t("time.now")
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return w.t("time.today", "clock", clock)
	case t.Year() == now.Year():
		return w.t("time.day", "day", w.dayMonth(t), "clock", clock)
	}
	return w.day(t)
}

// day is a date in words, such as 12 listopada 2026.
func (w *Window) day(t time.Time) string { return fmt.Sprintf("%s %d", w.dayMonth(t), t.Year()) }

func (w *Window) dayMonth(t time.Time) string {
	return fmt.Sprintf("%d %s", t.Day(), w.t(fmt.Sprintf("month.%d", int(t.Month()))))
}

// stamp is a time that a record holds as text.
func (w *Window) stamp(rfc3339 string) string {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		return rfc3339
	}
	return w.when(t)
}

// bytes is a size of files: decimal kB, MB, GB with at most two significant decimals.
func (w *Window) bytes(n int64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, next
	}
	digits := 0
	if unit != "B" && v < 9.95 {
		digits = 1
	}
	return w.number(v, digits) + "\u00a0" + unit
}

// gib is a size of memory.
func (w *Window) gib(mib int64) string {
	digits := 1
	if mib%1024 == 0 || mib >= 10*1024 {
		digits = 0
	}
	return w.number(float64(mib)/1024, digits) + "\u00a0GiB"
}

// number writes a number with a fixed count of decimals, with the language's decimal mark.
func (w *Window) number(v float64, digits int) string {
	s := fmt.Sprintf("%.*f", digits, v)
	if w.lang == assets.Polish {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

// shorten keeps both ends of a name that is longer than n characters, for places with little room.
func shorten(name string, n int) string {
	r := []rune(printable.Line(name, 0))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n/2]) + "…" + string(r[len(r)-(n-n/2-1):])
}
