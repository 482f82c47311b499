package bundle

import (
	"context"
	"io"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// WriteBundle writes an indexed bundle. The bytes are a function of manifestRaw, sigRaw and the artifacts. open is called
// once for each artifact, in manifest order; what it gives must match the manifest's size and digests.
func WriteBundle(ctx context.Context, w io.Writer, manifestRaw, sigRaw []byte, m *Manifest, open func(path string) (io.ReadCloser, error), p progress.Func) error {
	return fault.New(fault.Internal, "not yet")
}

// ReplaceHead copies the indexed bundle src to the new file dst with another manifest.sig; manifest.json must stay the same.
func ReplaceHead(ctx context.Context, src, dst string, manifestRaw, sigRaw []byte) error {
	return fault.New(fault.Internal, "not yet")
}
