package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/assets"
	"sluice/internal/fault"
)

// The test's own program plays the window's: what it does stands in playEnv.
const playEnv = "SLUICE_TEST_PLAY"

// What real programs wrote, letter by letter.
const (
	noGLX = "2026/11/24 02:20:11 Fyne error:  window creation error\n2026/11/24 02:20:11   Cause: APIUnavailable: GLX: No GLX support found\n" +
		"2026/11/24 02:20:11   At: /src/fyne/internal/driver/glfw/driver.go:180\n"
	noWGL = "2026/11/24 03:28:03 PlatformError: WGL: Failed to set pixel format for dummy context: Invalid window handle. \n"
	noX   = "2026/11/24 02:20:11 Fyne error:  failed to initialise GLFW\n2026/11/24 02:20:11   Cause: PlatformUnavailable: X11: Failed to open display :99\n"
	glibc = "./sluice-window: error while loading shared libraries: libGL.so.1: cannot open shared object file: No such file or directory\n"
	musl  = "Error loading shared library libX11.so.6: No such file or directory (needed by ./sluice-window)\n"
	mesa  = "libGL error: failed to load driver: iris\nlibGL error: glx: failed to create dri3 screen\n"
	panic = "panic: runtime error: index out of range [7] with length 7\n\ngoroutine 1 [running, locked to thread]:\nmain.main()\n\t/src/main.go:12 +0x1d\n"
)

func TestMain(m *testing.M) {
	say := func(words string) { fmt.Fprint(os.Stderr, words) }
	switch os.Getenv(playEnv) {
	case "":
		os.Exit(m.Run())
	case "good":
		say(mesa) // another driver is found
		Painted()
		time.Sleep(50 * time.Millisecond)
	case "glibc":
		say(glibc)
		os.Exit(127)
	case "musl":
		say(musl)
		os.Exit(127)
	case "noglx": // logs one line and waits for ever
		say(noGLX)
		time.Sleep(time.Hour)
	case "nowgl":
		say(noWGL)
		time.Sleep(time.Hour)
	case "nox":
		say(noX + panic)
		os.Exit(2)
	case "panic":
		say(panic)
		os.Exit(2)
	case "silent":
		time.Sleep(time.Hour)
	case "slow": // the cause comes later than the complaint
		say("2026/11/24 02:20:11 Fyne error:  window creation error\n")
		time.Sleep(100 * time.Millisecond)
		say("2026/11/24 02:20:11   Cause: APIUnavailable: GLX: No GLX support found\n")
		time.Sleep(time.Hour)
	case "itself":
		err := Window(context.Background(), Options{Program: os.Args[0]})
		say(string(fault.CodeOf(err)) + "\n")
		os.Exit(8)
	case "mute": // ends well without having painted
	case "mesa":
		say(mesa)
		time.Sleep(time.Hour)
	case "later":
		Painted()
		time.Sleep(50 * time.Millisecond)
		say(panic)
		os.Exit(2)
	case "long":
		Painted()
		for range 64 {
			say(strings.Repeat("x", 64<<10) + "\n")
		}
		os.Exit(2)
	case "open":
		Painted()
		time.Sleep(time.Hour)
	}
}

func play(t *testing.T, ctx context.Context, what string, wait time.Duration) (error, time.Duration) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	began := time.Now()
	err = Window(ctx, Options{Program: self, Env: append(os.Environ(), playEnv+"="+what, "DISPLAY=:99"), Wait: wait})
	return err, time.Since(began)
}

func TestEndings(t *testing.T) {
	for _, c := range []struct {
		play string
		want fault.Code
		fact string // this detail must be there
		has  string // and hold this
	}{
		{"good", "", "", ""},
		{"glibc", fault.WindowLibrary, "library", "libGL.so.1"},
		{"musl", fault.WindowLibrary, "library", "libX11.so.6"},
		{"noglx", fault.WindowOpenGL, "", ""},
		{"nowgl", fault.WindowOpenGL, "", ""},
		{"slow", fault.WindowOpenGL, "", ""},
		{"nox", fault.WindowDisplay, "", ""},
		{"panic", fault.WindowCrash, "path", ""},
		{"mute", fault.WindowCrash, "", ""},
		{"later", fault.WindowCrash, "path", ""},
		{"long", fault.WindowCrash, "path", ""},
	} {
		t.Run(c.play, func(t *testing.T) {
			err, took := play(t, t.Context(), c.play, 30*time.Second)
			if fault.CodeOf(err) != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if took > 20*time.Second {
				t.Errorf("took %v: a person waits in front of nothing", took)
			}
			if err == nil {
				return
			}
			if strings.Contains(err.Error(), "goroutine") {
				t.Errorf("a stack trace is no message: %v", err)
			}
			if c.fact != "" {
				if v := fmt.Sprint(fault.DetailOf(err)[c.fact]); !strings.Contains(v, c.has) || v == "<nil>" {
					t.Errorf("detail %s is %q, want %q", c.fact, v, c.has)
				}
			}
			if path, ok := fault.DetailOf(err)["path"].(string); ok {
				raw, err := os.ReadFile(path)
				if err != nil || len(raw) == 0 || len(raw) > maxWords {
					t.Errorf("saved words: %d bytes, %v", len(raw), err)
				}
			}
			for _, lang := range []assets.Lang{assets.English, assets.Polish} {
				if w := lang.Error(string(c.want)); !strings.Contains(w.Remedy, "sluice") {
					t.Errorf("%s, %s: the remedy does not name the command line: %q", c.want, lang, w.Remedy)
				}
			}
		})
	}
}

func TestSilenceEnds(t *testing.T) {
	for what, want := range map[string]fault.Code{"silent": fault.WindowSilent, "mesa": fault.WindowOpenGL} {
		if err, took := play(t, t.Context(), what, 600*time.Millisecond); fault.CodeOf(err) != want || took > 15*time.Second {
			t.Errorf("%s: %v after %v, want %s", what, err, took, want)
		}
	}
}

func TestCancelled(t *testing.T) {
	for _, what := range []string{"silent", "open"} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(600*time.Millisecond, cancel)
		if err, took := play(t, ctx, what, time.Minute); fault.CodeOf(err) != fault.Cancelled || took > 20*time.Second {
			t.Errorf("%s: %v after %v", what, err, took)
		}
	}
}

func TestNothingToStart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes and displays of Unix")
	}
	dir := t.TempDir()
	with := []string{"DISPLAY=:99"}
	if err := Window(t.Context(), Options{Program: filepath.Join(dir, "sluice-window"), Env: with}); fault.CodeOf(err) != fault.WindowMissing {
		t.Errorf("absent: %v", err)
	}
	if err := Window(t.Context(), Options{Program: dir, Env: with}); fault.CodeOf(err) != fault.WindowMissing {
		t.Errorf("a folder: %v", err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Window(t.Context(), Options{Program: plain, Env: with}); fault.CodeOf(err) != fault.WindowMissing {
		t.Errorf("not executable: %v", err)
	}
	loader := filepath.Join(dir, "loader")
	if err := os.WriteFile(loader, []byte("#!/no/such/loader\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Window(t.Context(), Options{Program: loader, Env: with}); fault.CodeOf(err) != fault.WindowLibrary {
		t.Errorf("without its loader: %v", err)
	}
	if err := Window(t.Context(), Options{Program: loader, Env: []string{"DISPLAY="}}); fault.CodeOf(err) != fault.WindowDisplay {
		t.Errorf("without a display: %v", err)
	}
}

func TestBeside(t *testing.T) {
	want := "sluice-window"
	if runtime.GOOS == "windows" {
		want += ".exe"
	}
	if got := Beside(filepath.Join("opt", "sluice", "sluice")); got != filepath.Join("opt", "sluice", want) {
		t.Error(got)
	}
}

// A program that was put in the place of the one that draws does not start itself again and again.
func TestNotItself(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	err = Window(t.Context(), Options{Program: self, Env: append(os.Environ(), playEnv+"=good", "DISPLAY=:99", reportEnv+"=1")})
	if fault.CodeOf(err) != fault.WindowMissing {
		t.Errorf("%v, want %s", err, fault.WindowMissing)
	}
	if err, _ := play(t, t.Context(), "itself", 30*time.Second); fault.CodeOf(err) != fault.WindowMissing {
		t.Errorf("the outer one says %v, want %s", err, fault.WindowMissing)
	}
}
