//go:build !(cgo && window)

package main

import (
	"context"
	"os"

	"sluice/cli"
	"sluice/internal/launch"
)

// program is this file: static, so that it can serve a machine without any of the window's libraries.
func program() string {
	p, err := os.Executable()
	if err != nil {
		return ""
	}
	return p
}

// window starts the program that can draw, beside this one, and outlives it: whatever keeps it from painting becomes a
// message and the command line.
func window(ctx context.Context, w cli.Window) error {
	return launch.Window(ctx, launch.Options{Program: launch.Beside(program()), Args: w.Args})
}
