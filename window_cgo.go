//go:build cgo && window

package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/lang"

	"sluice/assets"
	"sluice/cli"
	"sluice/internal/launch"
	"sluice/ui"
)

// program is the static one beside this: models run in it as a child, and it is what an installation keeps a copy of.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	name := "sluice"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	p := filepath.Join(filepath.Dir(self), name)
	if fi, err := os.Stat(p); err != nil || !fi.Mode().IsRegular() {
		return ""
	}
	return p
}

// window draws, and returns when it was closed.
func window(ctx context.Context, c cli.Window) error {
	signal.Ignore(syscall.SIGPIPE) // whoever started us may be gone: its pipes are no reason to end
	a := app.NewWithID("dev.sluice.installer")
	words := c.Lang
	if words != "" {
		a.Preferences().SetString("lang", words)
	} else {
		words = lang.SystemLocale().LanguageString()
	}
	w := ui.New(ui.Config{App: a, Root: c.Root, NewInstaller: c.NewInstaller, Lang: assets.ParseLang(words), Version: version, Painted: launch.Painted})
	stop := context.AfterFunc(ctx, func() { fyne.Do(a.Quit) })
	defer stop()
	w.Show()
	a.Run()
	return nil
}
