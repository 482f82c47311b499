// Command sluice is the lock between a USB stick and live trading: it builds, checks, installs and proves signed bundles
// of AI models, and answers whether a machine may trade on them.
//
// One source, two programs: without cgo it is sluice, static, with all verbs; started without one it runs the other,
// sluice-window, built with cgo, which draws.
package main

import (
	"context"
	"crypto/rand"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"sluice/cli"
	"sluice/internal/launch"
)

// Set by the linker: see Makefile.
var (
	version   = "0.1.0-dev"
	builtUnix = "0" // seconds since 1970 of the source revision
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel() // the first one cancels and cleans up
		<-signals
		os.Exit(130) // the second exits at once: the disk is sound at any moment
	}()
	stderr, show := launch.Stderr()
	status := cli.Run(ctx, cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: stderr, Getenv: os.Getenv, Now: time.Now,
		Rand: rand.Reader, Name: os.Args[0], Program: program(), Version: version, Built: built(), Window: window,
	})
	show()
	os.Exit(status)
}

// built is when the source of this program was committed; zero when the build does not say.
func built() time.Time {
	n, err := strconv.ParseInt(builtUnix, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
