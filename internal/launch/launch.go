// Package launch starts the window's program as a child, waits until it reports that it has painted, and says in the
// program's own codes why it did not: a binary that draws needs libraries and a display, and without them it ends
// before its first line or stays without a window for ever. It draws nothing and prints nothing.
package launch

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"sluice/internal/fault"
)

// The report: with reportEnv set, the child writes paintedLine to its standard output once its first frame is painted.
const (
	reportEnv   = "SLUICE_WINDOW_REPORT"
	paintedLine = "painted\n"
)

// DefaultWait is how long a start may take: a cold disk and software rendering included.
const DefaultWait = 20 * time.Second

// reasonWait is how long a child that gave up may still say why: Fyne writes the cause on the next line.
const reasonWait = 300 * time.Millisecond

// Options say what to start.
type Options struct {
	Program string        // absolute path of the window's program
	Args    []string      // for it
	Env     []string      // nil: this process's
	Wait    time.Duration // for the report; 0: DefaultWait
}

// Beside is the window's program in the folder of this one.
func Beside(program string) string {
	name := "sluice-window"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(filepath.Dir(program), name)
}

// Painted tells the launcher that the first frame is on the screen. Without a launcher it does nothing.
func Painted() {
	if os.Getenv(reportEnv) != "" {
		_, _ = os.Stdout.WriteString(paintedLine) // nobody listens any more: nothing is lost
	}
}

// Window starts the program, waits for its report, and then until the person closes the window.
//
// Errors: E-WINDOW-MISSING, E-WINDOW-DISPLAY, E-WINDOW-OPENGL, E-WINDOW-LIBRARY (detail library), E-WINDOW-CRASH (detail
// path: where the child's last words were saved), E-WINDOW-SILENT, E-CANCELLED.
func Window(ctx context.Context, o Options) error {
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if slices.ContainsFunc(o.Env, func(e string) bool { return strings.HasPrefix(e, reportEnv+"=") }) {
		// A copy of this program under the other's name would start itself without end.
		return fault.New(fault.WindowMissing, "this was started in place of the window's program, and is not the one that draws").With("path", o.Program)
	}
	if !hasDisplay(o.Env) {
		return fault.New(fault.WindowDisplay, "neither DISPLAY nor WAYLAND_DISPLAY is set")
	}
	if fi, err := os.Stat(o.Program); err != nil || !fi.Mode().IsRegular() {
		return fault.New(fault.WindowMissing, "want the window's program at %q", o.Program).With("path", o.Program)
	}
	cmd := exec.Command(o.Program, o.Args...)
	cmd.Env = append(o.Env[:len(o.Env):len(o.Env)], reportEnv+"=1")
	cmd.WaitDelay = time.Second
	painted, hopeless := make(chan struct{}), make(chan struct{})
	words := &tail{hopeless: hopeless}
	cmd.Stdout, cmd.Stderr = &report{painted: painted}, words
	if err := cmd.Start(); err != nil {
		return notStarted(err, o.Program)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		_ = cmd.Process.Kill() // gone already: that is what was wanted
		<-ended
	}
	timer := time.NewTimer(o.Wait)
	defer timer.Stop()
	select {
	case <-painted:
	case err := <-ended:
		return whyEnded(err, words.text())
	case <-hopeless:
		time.Sleep(reasonWait)
		stop()
		return whyEnded(nil, words.text())
	case <-timer.C:
		stop()
		if err := known(words.text()); err != nil {
			return err
		}
		return fault.New(fault.WindowSilent, "no window within %v", o.Wait).With("seconds", int(o.Wait.Seconds()))
	case <-ctx.Done():
		stop()
		return fault.New(fault.Cancelled, "cancelled: %w", ctx.Err())
	}
	words.opened()
	select {
	case err := <-ended:
		if err == nil || errors.Is(err, exec.ErrWaitDelay) {
			return nil
		}
		return crash(err, words.text())
	case <-ctx.Done():
		_ = cmd.Process.Signal(os.Interrupt) // it stops its work and leaves a resumable state
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			stop()
		}
		return fault.New(fault.Cancelled, "cancelled: %w", ctx.Err())
	}
}

// hasDisplay says whether a display is named at all. Where windows belong to the system there always is one.
func hasDisplay(env []string) bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if (name == "DISPLAY" || name == "WAYLAND_DISPLAY") && value != "" {
			return true
		}
	}
	return false
}

func notStarted(err error, program string) error {
	if errors.Is(err, fs.ErrNotExist) { // the file is there: its loader is not
		return fault.New(fault.WindowLibrary, "starting the window's program: %w", err).With("library", "ld-linux")
	}
	return fault.New(fault.WindowMissing, "starting the window's program: %w", err).With("path", program)
}

// dllNotFound is the exit status of a program on Windows whose libraries are not all there (STATUS_DLL_NOT_FOUND).
const dllNotFound = 0xC0000135

func whyEnded(err error, words string) error {
	if f := known(words); f != nil {
		return f
	}
	var exit *exec.ExitError
	if runtime.GOOS == "windows" && errors.As(err, &exit) && uint32(exit.ExitCode()) == dllNotFound {
		return fault.New(fault.WindowLibrary, "starting the window's program: %w", err).With("library", "DLL")
	}
	return crash(err, words)
}

// What loaders, GLFW and Fyne write on standard error. Mesa complains there of a driver too and then finds another, so
// only hopelessWords end the wait; the others explain an end.
var (
	hopelessWords = regexp.MustCompile(`(?i)Fyne error: +(?:window creation error|failed to initialise GLFW)|\bWGL: (?:Failed to (?:set pixel format|create dummy context|create context|find a suitable pixel format)|The driver does not appear to support OpenGL)`)
	libraryWords  = regexp.MustCompile(`(?i)error (?:while )?loading shared librar(?:ies|y):? ([^\s:]+)`)
	displayWords  = regexp.MustCompile(`(?i)DISPLAY environment variable is missing|failed to open display|failed to connect to display|NotInitialized`)
	openGLWords   = regexp.MustCompile(`(?i)window creation error|APIUnavailable|VersionUnavailable|FormatUnavailable|\b(?:GLX|WGL)\b|libGL error: failed to load|OpenGL.*(?:not|unavailable|fail)`)
)

// known finds the reasons that have a code of their own.
func known(words string) error {
	if strings.Contains(words, string(fault.WindowMissing)) { // said by a copy of this program in the other's place
		return fault.New(fault.WindowMissing, "what lies in the place of the window's program cannot draw").With("path", "sluice-window")
	}
	if m := libraryWords.FindStringSubmatch(words); m != nil {
		return fault.New(fault.WindowLibrary, "the system's loader misses %q", m[1]).With("library", m[1])
	}
	if displayWords.MatchString(words) {
		return fault.New(fault.WindowDisplay, "the display cannot be opened")
	}
	if openGLWords.MatchString(words) {
		return fault.New(fault.WindowOpenGL, "no OpenGL of the version that is needed, 2.1")
	}
	return nil
}

// crash keeps the child's last words in a file: they are for the maker of the program, not for the person in front.
func crash(err error, words string) error {
	f := fault.New(fault.WindowCrash, "the window's program ended by itself")
	if err != nil {
		f = fault.New(fault.WindowCrash, "the window's program ended by itself: %w", err)
	}
	if path := save(words); path != "" {
		f = f.With("path", path)
	}
	return f
}

func save(words string) string {
	if strings.TrimSpace(words) == "" {
		return ""
	}
	f, err := os.CreateTemp("", "sluice-window-*.txt")
	if err != nil {
		return "" // the message stands without
	}
	_, err = f.WriteString(words)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return ""
	}
	return f.Name()
}
