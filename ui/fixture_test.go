package ui

import (
	"context"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sluice/assets"
	"sluice/hwprobe"
	"sluice/installer"
	"sluice/internal/progress"
	"sluice/ui/widgets/style"
)

// bench is a window under test. Results of tasks wait until the test calls settle, so that nothing runs beside it.
type bench struct {
	*Window
	t     *testing.T
	mu    sync.Mutex
	queue []func()
}

// newBench opens a window of Fyne's test driver on a root.
func newBench(t *testing.T, root string, lang assets.Lang) *bench {
	t.Helper()
	app := test.NewTempApp(t)
	b := &bench{t: t}
	b.Window = New(Config{
		App: app, Root: root, Lang: lang, Version: "test",
		NewInstaller: func(root, operator string, p progress.Func) (*installer.Installer, error) {
			return installer.New(installer.Config{Root: root, Operator: operator, Progress: p, Version: "test", Lang: string(lang)})
		},
		Drives:  func(context.Context) []hwprobe.Drive { return nil },
		DemoDir: t.TempDir(),
	})
	b.tasks.post = func(f func()) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.queue = append(b.queue, f)
	}
	b.win.Resize(fyne.NewSize(1100, 720))
	return b
}

// settle runs what tasks posted until cond holds, for at most a minute.
func (b *bench) settle(what string, cond func() bool) {
	b.t.Helper()
	end := time.Now().Add(time.Minute)
	for !cond() {
		b.mu.Lock()
		var f func()
		if len(b.queue) > 0 {
			f, b.queue = b.queue[0], b.queue[1:]
		}
		b.mu.Unlock()
		switch {
		case f != nil:
			f()
		case time.Now().After(end):
			b.t.Fatalf("waiting for %s: the page is %q", what, b.shell.page.title)
		default:
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// shots is where pictures go when SLUICE_SHOTS names a folder.
func (b *bench) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("SLUICE_SHOTS")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, b.win.Canvas().Capture()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) size(width, height, scale float32, v style.Variant) {
	b.win.Resize(fyne.NewSize(width, height))
	b.setLook(look{v, scale})
}

var _ = strings.Contains

func TestStartDraws(t *testing.T) {
	b := newBench(t, t.TempDir(), assets.Polish)
	b.size(1100, 720, 1, style.Light)
	b.show(newStart(b.Window))
	b.shot("start-empty")
	b.size(1024, 700, 1.5, style.Dark)
	b.shot("start-empty-150")
	b.show(newRefusal(b.Window, stepAuthenticate, context.DeadlineExceeded, nil, action{label: "Wybierz inny pakiet"}))
	b.size(1100, 720, 1, style.Light)
	b.shot("refused")
	b.appearance()
	b.shot("look")
}
