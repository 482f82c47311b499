package ui

import (
	"context"
	"image"
	"sync"
	"time"

	"fyne.io/fyne/v2"

	"sluice/internal/progress"
)

// task is work beside the main goroutine. Only this file starts goroutines and calls fyne.Do.
type task struct {
	cancel context.CancelFunc
	over   bool // main goroutine only
}

// stop cancels the work; done is still called, with E-CANCELLED or what the work made of it. Safe on nil.
func (t *task) stop() {
	if t != nil {
		t.cancel()
	}
}

// running says whether done is still to come. Safe on nil.
func (t *task) running() bool { return t != nil && !t.over }

// tasks hands work out and results back to the main goroutine.
type tasks struct {
	post    func(func()) // runs a function on the main goroutine; fyne.Do, tests replace it
	mu      sync.Mutex
	event   func(progress.Event) // of the task at work
	pending sync.WaitGroup
}

// run works in the background. event (may be nil) gets the progress of the installer's steps while the work runs, and
// done its result; both on the main goroutine.
func (w *Window) run(work func(ctx context.Context) error, event func(progress.Event), done func(error)) *task {
	ctx, cancel := context.WithCancel(context.Background())
	t := &task{cancel: cancel}
	if event != nil {
		w.tasks.mu.Lock()
		w.tasks.event = func(e progress.Event) {
			if !t.over {
				event(e)
			}
		}
		w.tasks.mu.Unlock()
	}
	w.working[t] = true
	w.shell.name()
	w.tasks.pending.Add(1)
	go func() {
		defer w.tasks.pending.Done()
		err := work(ctx)
		cancel()
		w.tasks.post(func() {
			t.over = true
			delete(w.working, t)
			done(err)
			w.shell.name()
			w.rest()
		})
	}()
	return t
}

// runAwake is run for work that the computer must not fall asleep over; held is told on the main goroutine whether the
// system took it up, nil for nobody.
func (w *Window) runAwake(work func(ctx context.Context) error, event func(progress.Event), held func(bool), done func(error)) *task {
	why := w.lang.Text("install.awake")
	return w.run(func(ctx context.Context) error {
		release, ok := w.c.Awake(why)
		defer release()
		if held != nil {
			w.tasks.post(func() { held(ok) })
		}
		return work(ctx)
	}, event, done)
}

// whenIdle does something when no task is at work: at once, or after the last one has ended.
func (w *Window) whenIdle(do func()) {
	w.idle = append(w.idle, do)
	w.rest()
}

func (w *Window) rest() {
	for len(w.working) == 0 && len(w.idle) > 0 {
		do := w.idle[0]
		w.idle = w.idle[1:]
		do()
	}
}

// soon works in the background and waits for it a little. done runs on the main goroutine: at once when the work was
// quick, else, late, when it is over.
func (w *Window) soon(patience time.Duration, work func(), done func(late bool)) {
	over := make(chan struct{})
	w.tasks.pending.Add(1)
	go func() {
		defer w.tasks.pending.Done()
		work()
		close(over)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-over:
		done(false)
	case <-timer.C:
		w.tasks.pending.Add(1)
		go func() {
			defer w.tasks.pending.Done()
			<-over
			w.tasks.post(func() { done(true) })
		}()
	}
}

// watch calls look every so often in the background, and show with what it found on the main goroutine, until stopped.
func (w *Window) watch(every time.Duration, look func(ctx context.Context) func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w.tasks.pending.Add(1)
	go func() {
		defer w.tasks.pending.Done()
		timer := time.NewTicker(every)
		defer timer.Stop()
		for {
			if show := look(ctx); show != nil && ctx.Err() == nil {
				w.tasks.post(func() {
					if ctx.Err() == nil {
						show()
					}
				})
			}
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
	}()
	return cancel
}

// progress is what the installer reports to; it comes from the goroutine of the work.
func (w *Window) progress(e progress.Event) {
	w.tasks.mu.Lock()
	event := w.tasks.event
	w.tasks.mu.Unlock()
	if event != nil {
		w.tasks.post(func() { event(e) })
	}
}

// onMain is the usual post.
func onMain(f func()) { fyne.Do(f) }

// afterPaint calls f on the main goroutine after the first frame: the raster is drawn as part of it.
func (w *Window) afterPaint(f func()) {
	w.shell.paint.Generator = func(int, int) image.Image {
		w.shell.painted.Do(func() { go fyne.Do(f) })
		return image.NewNRGBA(image.Rect(0, 0, 1, 1))
	}
}

// ask puts a question to a person from the goroutine of some work, and waits. show is called on the main goroutine with
// what takes the answer, and gives what takes the question away again; a cancelled ctx takes it away too.
func ask[T any](ctx context.Context, w *Window, show func(answer func(T, error)) (end func())) (T, error) {
	type reply struct {
		value T
		err   error
	}
	got := make(chan reply, 1)
	var end func() // main goroutine only, as is what follows
	over := false
	w.tasks.post(func() {
		if over {
			return
		}
		end = show(func(v T, err error) {
			if !over {
				over = true
				end()
				got <- reply{v, err}
			}
		})
	})
	select {
	case r := <-got:
		return r.value, r.err
	case <-ctx.Done():
		w.tasks.post(func() {
			if !over && end != nil {
				end()
			}
			over = true
		})
		var none T
		return none, ctx.Err()
	}
}
