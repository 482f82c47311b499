package bundle

import (
	"context"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// ChunkStore is one artifact's destination. A store that also has a method Abort() gets that call instead of Close when
// the extraction ends without the artifact being complete.
type ChunkStore interface {
	// ReadChunk fills p with the bytes of chunk i that an earlier run left, and says whether they were there. What it
	// returns is checked like any other bytes.
	ReadChunk(i int, p []byte) (bool, error)
	// WriteChunk takes the verified bytes of chunk i, which begins at i*ChunkSize. It is called concurrently for different
	// i, and must not keep p.
	WriteChunk(i int, p []byte) error
	// Close is called once, when all chunks were delivered and the whole file's digest matched.
	Close() error
}

// ExtractOptions says what to extract. The zero value verifies every byte and writes nothing.
type ExtractOptions struct {
	Paths    []string                              // nil: all artifacts
	Store    func(a *Artifact) (ChunkStore, error) // nil: verify only
	Strict   bool                                  // also check everything outside Paths; implied by Paths == nil
	Workers  int                                   // 0: one for each core
	Progress progress.Func                         // bytes of artifacts; one Final event when Extract returns
	Step     progress.Step                         // the step to report; progress.Verify when empty
}

// Extract reads the bundle once and delivers verified chunks.
func (s *Source) Extract(ctx context.Context, m *Manifest, o ExtractOptions) error {
	return fault.New(fault.Internal, "not yet")
}
