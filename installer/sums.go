package installer

import (
	"context"
	"os"
	"sync"
	"time"

	"sluice/bundle"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// sums remembers digests of programs for showing them: a file of the same identity, size and time is not read again. What is
// decided on reads the bytes itself.
type sums struct {
	mu   sync.Mutex
	seen map[string]summed
}

type summed struct {
	info   os.FileInfo
	digest bundle.Digest
}

func (s *sums) of(ctx context.Context, path string) (bundle.Digest, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return bundle.Digest{}, fault.New(fault.SourceMissing, "opening %q: %w", path, err).With("path", path)
	}
	if err != nil {
		return bundle.Digest{}, fsx.Classify(err, "opening", path)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return bundle.Digest{}, fsx.Classify(err, "looking at", path)
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxProgram {
		return bundle.Digest{}, fault.New(fault.Usage, "%q is no file of at most %d bytes", path, int64(maxProgram)).With("path", path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.seen[path]; ok && os.SameFile(was.info, fi) && was.info.Size() == fi.Size() && was.info.ModTime().Equal(fi.ModTime()) && time.Since(fi.ModTime()) > time.Minute {
		return was.digest, nil
	}
	if err := alive(ctx); err != nil {
		return bundle.Digest{}, err
	}
	digest, err := slot.SumReader(f)
	if err != nil {
		return bundle.Digest{}, fsx.Classify(err, "reading", path)
	}
	if s.seen == nil {
		s.seen = map[string]summed{}
	}
	s.seen[path] = summed{fi, digest}
	return digest, nil
}
