package bundle

import (
	"context"
	"crypto/sha512"
	"errors"
	"hash"
	"runtime"
	"slices"
	"sync"
	"time"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// ChunkStore is one artifact's destination. A store that also has a method Abort() gets that call instead of Close when
// the extraction ends without the artifact being complete.
type ChunkStore interface {
	// ReadChunk fills p with the bytes of chunk i that an earlier run left, and says whether they were there. What it
	// returns is checked like any other bytes. It is called concurrently for different i.
	ReadChunk(i int, p []byte) (bool, error)
	// WriteChunk takes the verified bytes of chunk i, which begins at i*ChunkSize. It is called concurrently for different
	// i, and must not keep p.
	WriteChunk(i int, p []byte) error
	// Close is called once, when all chunks were delivered and the whole file's digest matched.
	Close() error
}

// ExtractOptions says what to extract. The zero value verifies every byte and writes nothing.
type ExtractOptions struct {
	Paths []string // nil: all artifacts
	// Store opens an artifact's destination; nil: verify only. It is called for the artifacts of Paths only, one at a
	// time. An artifact that an earlier run left whole still gets its store.
	Store    func(a *Artifact) (ChunkStore, error)
	Strict   bool          // also check everything outside Paths; implied by Paths == nil
	Workers  int           // 0: one for each core; memory sets a limit too
	Progress progress.Func // bytes of artifacts; one Final event when Extract returns
	Step     progress.Step // the step to report; progress.Verify when empty
}

// memoryBudget is what all buffers of one extraction may take together. The garbage collector lets the heap double, so
// this keeps the process below 256 MiB whatever the bundle's size.
const memoryBudget = 112 << 20

// Extract reads the bundle once and delivers verified chunks. Each chunk's digest is checked before the chunk is
// delivered, and each whole file's before its store is closed. Without Strict only what Paths needs is read. Errors: E-DIGEST with path,
// offset and length, E-FORMAT, E-ENTRY, E-PATH, E-LIMIT, E-VOLUME-*, E-MEDIUM-REMOVED, E-MEDIUM-DAMAGED (a second read of the
// same bytes differs), E-IO (the medium stays silent), what the store says, and ctx's own.
func (s *Source) Extract(ctx context.Context, m *Manifest, o ExtractOptions) error {
	if o.Step == "" {
		o.Step = progress.Verify
	}
	t := &tracker{report: o.Progress, event: progress.Event{Step: o.Step}}
	defer t.end()
	x, err := s.newExtraction(ctx, m, o, t)
	if err != nil {
		return err
	}
	defer x.finish()
	x.start()
	if s.table != nil {
		err = x.indexed()
	} else {
		err = x.stream()
	}
	return x.wait(ctx, err)
}

// extraction is one run of Extract.
type extraction struct {
	s       *Source
	m       *Manifest
	o       ExtractOptions
	mtime   int64
	frames  []frame // indexed bundles only
	wanted  []bool  // by artifact: to be delivered
	visited []bool  // by artifact: to be checked
	strict  bool

	parent   context.Context // the caller's
	ctx      context.Context // ends with the caller's, or with the first failure
	cancel   context.CancelCauseFunc
	workers  int
	rawSize  int64 // bytes: largest frame as it lies on the medium
	buffers  *buffers
	jobs     chan job
	inFlight sync.WaitGroup // jobs handed out and not ended
	running  sync.WaitGroup // workers
	decoder  frameDecoder
	files    []*delivery // by artifact, nil until begun
	tracker  *tracker
}

// job is one frame or chunk for a worker.
type job struct {
	frame int    // index into frames; -1: data is decoded already
	raw   []byte // the frame as it lies on the medium, when already read
	file  *delivery
	chunk int
	buf   []byte // from the pool
	data  []byte // decoded chunk, within buf
}

func (s *Source) newExtraction(ctx context.Context, m *Manifest, o ExtractOptions, t *tracker) (*extraction, error) {
	if s.volumes != nil && !s.indexChecked {
		return nil, fault.New(fault.VolumeIndex, "the volume index was not checked")
	}
	x := &extraction{s: s, m: m, o: o, tracker: t, strict: o.Strict || o.Paths == nil, files: make([]*delivery, len(m.Artifacts))}
	x.wanted = make([]bool, len(m.Artifacts))
	index := make(map[string]int, len(m.Artifacts))
	for i := range m.Artifacts {
		index[m.Artifacts[i].Path] = i
		x.wanted[i] = o.Paths == nil
	}
	for _, p := range o.Paths {
		i, ok := index[p]
		if !ok {
			return nil, fault.New(fault.Internal, "path %q is not in the manifest", clip(p))
		}
		x.wanted[i] = true
	}
	x.visited = slices.Clone(x.wanted)
	for i := range m.Artifacts {
		x.visited[i] = x.visited[i] || x.strict
		if x.visited[i] {
			t.event.Total += m.Artifacts[i].Size
		}
	}
	if err := x.geometry(); err != nil {
		return nil, err
	}
	x.parent = ctx
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	return x, nil
}

// geometry compares the container with the manifest and sizes workers and buffers.
func (x *extraction) geometry() error {
	var err error
	if x.mtime, err = checkMtime(x.m.Created); err != nil {
		return err
	}
	decoded, raw := int64(MinChunkSize), int64(1)
	if x.s.table == nil {
		for i := range x.m.Artifacts {
			if err := checkChunks(&x.m.Artifacts[i]); err != nil {
				return err
			}
			decoded = max(decoded, min(x.m.Artifacts[i].ChunkSize, x.m.Artifacts[i].Size))
		}
	} else {
		if decoded, raw, err = x.compareFrames(); err != nil {
			return err
		}
	}
	decoded += decoderSlack
	x.rawSize = raw
	x.workers = x.o.Workers
	if x.workers <= 0 {
		x.workers = runtime.GOMAXPROCS(0)
	}
	x.workers = max(1, min(x.workers, int((memoryBudget-decoded)/(decoded+raw))))
	slots := min(2*x.workers+1, int((memoryBudget-int64(x.workers)*raw)/decoded))
	x.buffers = newBuffers(max(slots, x.workers+1), decoded)
	return nil
}

// compareFrames derives the frames from the manifest, compares them with the seek table, and gives the largest sizes that
// will be read.
func (x *extraction) compareFrames() (decoded, raw int64, err error) {
	table := x.s.table.frames
	if x.mtime != x.s.mtime {
		return 0, 0, fault.New(fault.Format, "frame 1 has the time %d, the manifest was created at %d", x.s.mtime, x.mtime)
	}
	if x.frames, err = layout(x.m, x.mtime, int(table[0].decoded)); err != nil {
		return 0, 0, err
	}
	if len(x.frames) != len(table) {
		return 0, 0, fault.New(fault.Format, "the seek table lists %d frames, the manifest wants %d", len(table), len(x.frames)).
			With("got", len(table)).With("want", len(x.frames))
	}
	for i, f := range x.frames {
		if f.size() != int64(table[i].decoded) {
			return 0, 0, fault.New(fault.Format, "frame %d holds %d bytes, the manifest wants %d", i+1, table[i].decoded, f.size()).
				With("got", table[i].decoded).With("want", f.size())
		}
		if x.visits(f) {
			decoded = max(decoded, f.size())
			raw = max(raw, int64(table[i].size))
		}
	}
	return decoded, raw, nil
}

// visits says whether a frame is to be read. Frame 1 was, by Open.
func (x *extraction) visits(f frame) bool {
	switch f.artifact {
	case headFrame:
		return false
	case endFrame:
		return x.strict
	}
	return x.visited[f.artifact]
}

// begin opens an artifact's destination.
func (x *extraction) begin(i int) (*delivery, error) {
	f := &delivery{x: x, a: &x.m.Artifacts[i], ready: map[int]arrived{}}
	if x.wanted[i] && x.o.Store != nil {
		store, err := x.o.Store(f.a)
		if err != nil {
			return nil, err
		}
		f.store = store
	}
	x.files[i] = f
	return f, nil
}

// start brings up the workers.
func (x *extraction) start() {
	x.jobs = make(chan job)
	for range x.workers {
		x.running.Go(func() {
			var raw []byte
			for j := range x.jobs {
				if x.ctx.Err() == nil {
					if raw == nil && j.frame >= 0 {
						raw = make([]byte, x.rawSize)
					}
					if err := x.process(j, raw); err != nil {
						x.cancel(err)
					}
				}
				x.inFlight.Done()
			}
		})
	}
}

// hand gives a job to a worker.
func (x *extraction) hand(j job) error {
	x.inFlight.Add(1)
	select {
	case x.jobs <- j:
		return nil
	case <-x.ctx.Done():
		x.inFlight.Done()
		return context.Cause(x.ctx)
	}
}

// wait lets the workers end and chooses the error: the caller's cancellation, else the first failure.
func (x *extraction) wait(ctx context.Context, err error) error {
	if err != nil {
		x.cancel(err)
	}
	close(x.jobs)
	x.running.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return x.first(err)
}

// first prefers what ended the extraction over the cancellation that it caused elsewhere.
func (x *extraction) first(err error) error {
	if x.ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return context.Cause(x.ctx)
	}
	return err
}

// finish releases what is left.
func (x *extraction) finish() {
	x.cancel(nil)
	x.decoder.close()
	for _, f := range x.files {
		if f != nil && !f.closed {
			if a, ok := f.store.(interface{ Abort() }); ok {
				a.Abort()
			}
		}
	}
}

// delivery is one artifact on its way to its store. Chunks arrive in any order; the whole file's digest takes them in
// theirs.
type delivery struct {
	x      *extraction
	a      *Artifact
	store  ChunkStore // nil: verify only
	closed bool       // the store was closed, or there was nothing to close

	mu    sync.Mutex
	ready map[int]arrived
	next  int
	busy  bool // some worker is feeding hash
	hash  hash.Hash
}

// arrived is a verified chunk that waits for its turn.
type arrived struct {
	data, buf []byte
	state     hash.Hash // the state after this chunk alone
}

// chunk checks one chunk's digest, stores it, and passes it on to the whole file's digest. bad makes the error when the
// digest differs.
func (f *delivery) chunk(j job, staged bool, bad func(got Digest) error) error {
	h := sha512.New384()
	if err := f.x.hashInto(h, j.data); err != nil {
		return err
	}
	var got Digest
	h.Sum(got[:0])
	if got != f.a.Chunks[j.chunk] {
		return bad(got)
	}
	if f.store != nil && !staged {
		if err := f.store.WriteChunk(j.chunk, j.data); err != nil {
			return err
		}
	}
	f.x.tracker.chunk(f.a.Path, j.chunk, int64(len(j.data)))
	return f.inOrder(j.chunk, arrived{data: j.data, buf: j.buf, state: h})
}

// hashInto digests in pieces, so that a cancelled run ends soon.
func (x *extraction) hashInto(h hash.Hash, p []byte) error {
	for piece := range slices.Chunk(p, maxPiece) {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		h.Write(piece)
	}
	return nil
}

// inOrder feeds the whole file's digest with what has its turn. One worker at a time does so, the others go on.
func (f *delivery) inOrder(i int, c arrived) error {
	f.mu.Lock()
	f.ready[i] = c
	if f.busy {
		f.mu.Unlock()
		return nil
	}
	f.busy = true
	for {
		c, ok := f.ready[f.next]
		if !ok {
			break
		}
		delete(f.ready, f.next)
		f.mu.Unlock()
		if f.hash == nil {
			f.hash = c.state // the first chunk's own digest began the same way
		} else {
			// A cancelled run ends without this digest, so what it says then does not matter.
			_ = f.x.hashInto(f.hash, c.data)
		}
		f.x.buffers.put(c.buf)
		f.mu.Lock()
		f.next++
	}
	f.busy = false
	last := f.next == len(f.a.Chunks)
	f.mu.Unlock()
	if err := f.x.ctx.Err(); err != nil {
		return err
	}
	if last {
		return f.complete()
	}
	return nil
}

// complete compares the whole file's digest and closes the store.
func (f *delivery) complete() error {
	if f.hash == nil {
		f.hash = sha512.New384()
	}
	var got Digest
	f.hash.Sum(got[:0])
	if got != f.a.SHA384 {
		return fault.New(fault.Digest, "artifact %q has the SHA-384 %s as a whole, want %s, though each chunk matches: the manifest contradicts itself", f.a.Path, got, f.a.SHA384).
			With("path", f.a.Path).With("offset", int64(0)).With("length", f.a.Size).With("end", max(f.a.Size, 1)-1).With("got", got.String()).With("want", f.a.SHA384.String())
	}
	f.closed = true
	if f.store == nil {
		return nil
	}
	return f.store.Close()
}

// buffers are what decoded chunks lie in; there are never more than a fixed number.
type buffers struct {
	free chan []byte
	size int64
}

func newBuffers(n int, size int64) *buffers {
	b := &buffers{free: make(chan []byte, n), size: size}
	for range n {
		b.free <- nil
	}
	return b
}

// get waits for a buffer. They are made when first needed.
func (b *buffers) get(ctx context.Context) ([]byte, error) {
	select {
	case buf := <-b.free:
		if buf == nil {
			buf = make([]byte, b.size)
		}
		return buf, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (b *buffers) put(buf []byte) { b.free <- buf }

// tracker thins out progress.
type tracker struct {
	report progress.Func
	mu     sync.Mutex
	event  progress.Event
	last   time.Time
}

// reportEvery is how often at most progress is told.
const reportEvery = 100 * time.Millisecond

// chunk counts a verified chunk, which the next event names.
func (t *tracker) chunk(path string, index int, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.report != nil {
		t.event.Chunks = append(t.event.Chunks, progress.Chunk{Artifact: path, Index: index})
	}
	t.count(path, n)
}

func (t *tracker) add(path string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(path, n)
}

// count adds bytes and tells them when it is time; t.mu is held.
func (t *tracker) count(path string, n int64) {
	t.event.Done += n
	if now := time.Now(); t.report != nil && now.Sub(t.last) >= reportEvery {
		t.last = now
		t.event.Artifact = path
		t.report(t.event)
		t.event.Chunks = nil // whoever got them keeps them
	}
}

func (t *tracker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.report != nil {
		t.event.Artifact, t.event.Final = "", true
		t.report(t.event)
	}
}
