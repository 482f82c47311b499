package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"sluice/internal/progress"
)

// progress picks the listener: a bar with rate and time left on a terminal, JSON lines when asked for, else nothing.
func (o *output) progress() progress.Func {
	a := o.app
	f, isFile := o.errw.(*os.File)
	switch {
	case a.progress == "json":
		return func(e progress.Event) {
			raw, err := json.Marshal(e)
			if err == nil {
				fmt.Fprintf(o.errw, "%s\n", raw)
			}
		}
	case a.progress == "none" || a.quiet || a.json || !isFile || !term.IsTerminal(int(f.Fd())):
		return nil
	}
	var bar *progressbar.ProgressBar
	var step progress.Step
	return func(e progress.Event) {
		if bar == nil || e.Step != step {
			if bar != nil {
				_ = bar.Exit()
			}
			step = e.Step
			max := e.Total
			if max <= 0 {
				max = -1
			}
			opts := []progressbar.Option{
				progressbar.OptionSetWriter(f),
				progressbar.OptionSetDescription(a.t("step." + string(step))),
				progressbar.OptionSetWidth(30),
				progressbar.OptionThrottle(100 * time.Millisecond),
				progressbar.OptionSetPredictTime(true),
				progressbar.OptionClearOnFinish(),
			}
			if step == progress.Smoke {
				opts = append(opts, progressbar.OptionShowCount())
			} else {
				opts = append(opts, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(false))
			}
			bar = progressbar.NewOptions64(max, opts...)
		}
		if e.Total > 0 && e.Total != bar.GetMax64() {
			bar.ChangeMax64(e.Total)
		}
		_ = bar.Set64(e.Done)
		if e.Final {
			_ = bar.Finish()
			bar = nil
		}
	}
}
