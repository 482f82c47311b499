package bundle

import (
	"context"
	"crypto/ed25519"
	"io"
	"time"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

var errDraft = fault.New(fault.Internal, "not written yet")



type BuildOptions struct {
	SpecDir         string
	Keys            []ed25519.PrivateKey
	Out             string
	Split           int64
	Now             time.Time
	SourceDateEpoch string
	Builder         string
	Progress        progress.Func
	CheckContract   func(ctx context.Context, m *Manifest, open func(path string) (io.ReadCloser, error)) error
}

type BuildResult struct {
	Files          []string
	Manifest       *Manifest
	ManifestSHA384 Digest
	Size           int64
}

func Build(ctx context.Context, s *Spec, o BuildOptions) (*BuildResult, error) { return nil, errDraft }
func AddBundleSignature(ctx context.Context, path string, key ed25519.PrivateKey) error {
	return errDraft
}
