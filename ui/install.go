package ui

import (
	"context"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"sluice/bundle"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/internal/printable"
	"sluice/internal/progress"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// install copies the chosen variant while each chunk is verified, and shows it as it happens.
type install struct {
	w    *Window
	fit  *installer.Fitted
	open reopen
	next func(*installer.Fitted, *installer.Candidate)
	back func() // to the list of bundles
	free func() // called when the medium is not needed any more

	task      *task
	copied    copying
	candidate *installer.Candidate
	reused    bool // it was installed already
	stopping  bool
	stopped   error // cancelled, or the medium is gone: it can go on
	awake     bool  // the system keeps the computer from falling asleep meanwhile
	view      installView
}

// reopen opens the same bundle once more and fits a variant: after an interruption, or when another variant is tried.
type reopen func(ctx context.Context, variant string) (*installer.Fitted, error)

// installView are the parts of the page that change while it is shown.
type installView struct {
	percent, line, legend *widgets.Text
	picture               *widgets.ChunkPicture
	table                 *widgets.Table
	files                 []*fileState
}

func newInstall(w *Window, fit *installer.Fitted, open reopen, back func(), next func(*installer.Fitted, *installer.Candidate)) *install {
	return &install{w: w, fit: fit, open: open, back: back, next: next, free: func() {}, copied: newCopying(fit.Manifest(), fit.Variant())}
}

func (s *install) shown() {
	if s.task == nil && s.candidate == nil {
		s.start(false)
	}
}

func (s *install) leave() { s.task.stop() }

// start copies; again opens the medium anew, because the last try ended.
func (s *install) start(again bool) {
	in, fit := s.w.in, s.fit
	s.stopped, s.stopping = nil, false
	s.copied.begin(s.w.c.Now())
	var (
		c      *installer.Candidate
		reused bool
	)
	s.task = s.w.runAwake(func(ctx context.Context) (err error) {
		if again {
			opened, err := s.open(ctx, fit.Variant())
			if err != nil {
				return err
			}
			fit = opened
		}
		staged, err := in.Stage(ctx, fit)
		if err != nil {
			return err
		}
		reused = staged.Reused()
		c, err = in.Activate(ctx, staged)
		return err
	}, s.event, s.held, func(err error) {
		s.stopping, s.awake = false, false
		s.w.shut(fit.Source()) // everything is copied, or the next try opens it anew: the medium may go
		if !s.w.showing(s) {
			return
		}
		switch code := fault.CodeOf(err); {
		case err == nil:
			s.fit, s.candidate, s.reused = fit, c, reused
			s.copied.finish()
			s.free()
			s.w.refreshStatus()
		case code == fault.Cancelled, code == fault.MediumRemoved:
			s.stopped = err
		default:
			s.w.show(newRefusal(s.w, stepInstall, err, nil, action{label: s.w.t("install.again"), do: func() {
				s.w.show(s)
				s.start(true)
				s.w.redraw()
			}}))
			return
		}
		s.w.redraw()
	})
}

func (s *install) event(e progress.Event) {
	if e.Step != progress.Stage {
		return
	}
	s.copied.take(e, s.w.c.Now())
	if s.w.showing(s) {
		s.update()
	}
}

// cancel stops the copying; what was verified stays for the next time.
func (s *install) cancel() {
	s.stopping = true
	s.task.stop()
	s.w.redraw()
}

func (s *install) page() page {
	w := s.w
	p := page{step: stepInstall, title: w.t("install.title"), lead: w.t("install.lead"), content: s.draw()}
	switch {
	case s.candidate != nil:
		p.title, p.done = w.t("install.done", "variant", s.fit.Variant()), stepInstall
		p.lead = w.t("install.done.lead")
		if s.reused {
			p.lead = w.t("install.reused.lead")
		}
		p.hint = w.t("install.remove")
		if s.fit.Next() != nil {
			p.hint = w.t("install.remove.next")
		}
		p.primary = &action{label: w.t("install.test"), do: func() { s.next(s.fit, s.candidate) }}
	case fault.CodeOf(s.stopped) == fault.MediumRemoved:
		p.title, p.lead = w.t("install.removed"), w.t("install.removed.lead")
		p.cancel, p.words = w.home, map[string]string{"cancel": w.t("install.later")}
		p.extra = []action{{label: w.t("install.other"), do: s.back}}
		p.primary = &action{label: w.t("install.resume"), do: s.resume}
	case s.stopped != nil:
		p.title, p.lead = w.t("install.stopped"), w.t("install.stopped.lead")
		p.cancel, p.words = w.home, map[string]string{"cancel": w.t("install.later")}
		p.primary = &action{label: w.t("install.resume"), do: s.resume}
	default:
		s.copyButtons(&p)
	}
	return p
}

// copyButtons are the footer while it copies.
func (s *install) copyButtons(p *page) {
	w := s.w
	p.cancel, p.words = s.cancel, map[string]string{"cancel": w.t("install.stop")}
	p.hint = w.t("install.hint")
	if s.awake {
		p.hint += " " + w.t("install.awake")
	}
	if s.stopping {
		p.cancel, p.hint = nil, w.t("install.stopping")
	}
	p.primary = &action{label: w.t("button.next"), off: true}
}

// held says that the computer stays awake, where the system took that up.
func (s *install) held(ok bool) {
	if s.awake = ok && s.task.running(); s.awake && s.w.showing(s) {
		p := page{}
		s.copyButtons(&p)
		s.w.refoot(p)
	}
}

func (s *install) resume() {
	s.start(true)
	s.w.redraw()
}

// draw builds the picture and the table.
func (s *install) draw() fyne.CanvasObject {
	c := &s.copied
	v := &s.view
	v.percent, v.line, v.legend = text(style.Figure, "100%"), text(style.BodyDim, ""), widgets.NewSpans(widgets.Span{Face: style.SmallDim})
	v.picture = widgets.NewChunkPicture(c.chunks)
	for i, done := range c.verified {
		if done {
			v.picture.Set(i, widgets.ChunkVerified)
		}
	}
	v.table = widgets.NewTable(widgets.TableColumn{Title: s.w.t("install.file"), Share: 5},
		widgets.TableColumn{Title: s.w.t("install.size"), Trailing: true}, widgets.TableColumn{Title: s.w.t("install.state"), Share: 3})
	v.files = nil
	var rows []widgets.TableRow
	for i := range c.files {
		if i == mostFiles {
			rest := s.w.n("install.more", len(c.files)-mostFiles)
			rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{text(style.BodyDim, rest), nil, nil}})
			break
		}
		f := newFileState(s.w)
		v.files = append(v.files, f)
		rows = append(rows, widgets.TableRow{Cells: []fyne.CanvasObject{
			widgets.Cell(printable.Line(strings.TrimPrefix(c.files[i].path, "artifacts/"), 200)), widgets.Number(s.w.bytes(c.files[i].size)), f.box}})
	}
	v.table.SetRows(rows)
	s.update()
	head := widgets.Wrapping(14, v.percent, v.line)
	return widgets.Column(style.Gap, widgets.NewCard(widgets.Column(10, head, v.picture, v.legend)), widgets.NewCard(v.table))
}

// mostFiles is how many files stand in the table; the picture shows all.
const mostFiles = 40

// update writes what has changed into the page that is shown.
func (s *install) update() {
	c, v, w := &s.copied, &s.view, s.w
	v.percent.SetText(strconv.Itoa(c.percent()) + "\u00a0%")
	v.line.SetText(s.line())
	working := 0
	if s.task.running() && s.candidate == nil {
		working = runtime.GOMAXPROCS(0)
	}
	done, busy := 0, 0
	for i, ok := range c.verified {
		state := widgets.ChunkOpen
		switch {
		case ok:
			state = widgets.ChunkVerified
			done++
		case busy < working:
			state = widgets.ChunkWork
			busy++
		}
		v.picture.Set(i, state)
	}
	v.picture.Refresh()
	v.legend.SetSpans(
		widgets.Span{Text: "■ ", Face: style.Small, Color: style.Ok}, widgets.Span{Text: w.n("install.verified", done) + "     ", Face: style.SmallDim},
		widgets.Span{Text: "■ ", Face: style.Small, Color: style.Accent}, widgets.Span{Text: w.n("install.working", busy) + "     ", Face: style.SmallDim},
		widgets.Span{Text: "□ ", Face: style.Small, Color: style.Dim}, widgets.Span{Text: w.n("install.open", c.chunks-done-busy, "all", c.chunks), Face: style.SmallDim})
	changed := false
	for i, f := range v.files {
		changed = f.set(c.files[i], working > 0) || changed
	}
	if changed {
		v.table.Refresh()
	}
}

// line is bytes, rate and time left.
func (s *install) line() string {
	c, w := &s.copied, s.w
	out := w.t("install.bytes", "done", w.bytes(c.done), "all", w.bytes(c.total))
	if s.candidate != nil || s.stopped != nil || s.stopping {
		return out
	}
	rate, left := c.pace()
	if rate > 0 {
		out += " · " + w.t("install.rate", "rate", w.bytes(int64(rate)))
	}
	if left > 0 {
		out += " · " + w.left(left)
	}
	return out
}

// left is a time to go, as people say it.
func (w *Window) left(d time.Duration) string {
	if d < 90*time.Second {
		return w.n("install.seconds", max(int(math.Ceil(d.Seconds())), 1))
	}
	return w.n("install.minutes", int(math.Round(d.Minutes())))
}

// fileState is the cell about one file: waiting, a bar, or verified.
type fileState struct {
	box     *fyne.Container
	waiting *widgets.Text
	bar     *widgets.Bar
	done    *widgets.Badge
	now     fyne.CanvasObject
}

func newFileState(w *Window) *fileState {
	f := &fileState{waiting: text(style.BodyDim, w.t("install.waiting")), bar: widgets.NewBar(), done: widgets.NewBadge(widgets.Good, w.t("install.ok"))}
	f.box = widgets.Column(0, f.waiting, f.bar, f.done)
	f.bar.Hide()
	f.done.Hide()
	f.now = f.waiting
	return f
}

// set shows how far the file is, and says whether another part of the cell is shown now.
func (f *fileState) set(c copyFile, working bool) bool {
	var want fyne.CanvasObject = f.waiting
	switch {
	case c.complete:
		want = f.done
	case c.done > 0:
		want = f.bar
	}
	if c.size > 0 {
		f.bar.SetShare(float32(float64(c.done) / float64(c.size)))
	}
	if want == f.now {
		return false
	}
	f.now.Hide()
	want.Show()
	f.now = want
	return true
}

// copying is how far the copying of a variant is. It knows no widgets.
type copying struct {
	files       []copyFile
	index       map[string]int // path to files
	verified    []bool         // by chunk, over all files
	chunks      int
	done, total int64
	samples     []sample // of the last seconds, for the rate
}

type copyFile struct {
	path     string
	size     int64
	done     int64
	chunk    int64 // size of its chunks
	first    int   // of its chunks, in copying.verified
	chunks   int
	complete bool
}

type sample struct {
	at   time.Time
	done int64
}

func newCopying(m *bundle.Manifest, variant string) copying {
	c := copying{index: map[string]int{}}
	paths, err := m.VariantPaths(variant)
	if err != nil { // an authentic manifest has all its variants' paths
		return c
	}
	for _, p := range paths {
		a := m.Artifact(p)
		if a == nil {
			continue
		}
		c.index[p] = len(c.files)
		c.files = append(c.files, copyFile{path: p, size: a.Size, chunk: a.ChunkSize, first: c.chunks, chunks: len(a.Chunks)})
		c.chunks += len(a.Chunks)
		c.total += a.Size
	}
	c.verified = make([]bool, c.chunks)
	return c
}

// begin is the start of a run: everything is read and verified again, also what an earlier run left.
func (c *copying) begin(now time.Time) {
	clear(c.verified)
	for i := range c.files {
		c.files[i].done, c.files[i].complete = 0, false
	}
	c.done, c.samples = 0, []sample{{at: now}}
}

// take adds what an event tells.
func (c *copying) take(e progress.Event, now time.Time) {
	for _, k := range e.Chunks {
		i, ok := c.index[k.Artifact]
		if !ok || k.Index < 0 || k.Index >= c.files[i].chunks || c.verified[c.files[i].first+k.Index] {
			continue
		}
		f := &c.files[i]
		c.verified[f.first+k.Index] = true
		f.done += min(f.chunk, f.size-int64(k.Index)*f.chunk)
		f.complete = f.done == f.size
	}
	c.done = e.Done
	c.samples = append(c.samples, sample{now, e.Done})
	for len(c.samples) > 2 && now.Sub(c.samples[0].at) > 4*time.Second {
		c.samples = c.samples[1:]
	}
}

// finish is everything verified, also where nothing had to be copied.
func (c *copying) finish() {
	for i := range c.verified {
		c.verified[i] = true
	}
	for i := range c.files {
		c.files[i].done, c.files[i].complete = c.files[i].size, true
	}
	c.done = c.total
}

func (c *copying) percent() int {
	if c.total == 0 {
		if c.chunks == 0 && len(c.files) > 0 && c.files[0].complete {
			return 100
		}
		return 0
	}
	return int(c.done * 100 / c.total)
}

// pace is bytes a second over the last seconds, and the time that the rest will take; 0 while nobody can say.
func (c *copying) pace() (rate float64, left time.Duration) {
	if len(c.samples) < 2 {
		return 0, 0
	}
	first, last := c.samples[0], c.samples[len(c.samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 || last.done <= first.done {
		return 0, 0
	}
	rate = float64(last.done-first.done) / took
	return rate, time.Duration(float64(c.total-c.done) / rate * float64(time.Second))
}
