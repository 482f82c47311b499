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

func ParseManifest(raw []byte) (*Manifest, error)            { return nil, errDraft }
func (m *Manifest) Artifact(path string) *Artifact           { return nil }
func (m *Manifest) Variant(id string) *Variant               { return nil }
func (m *Manifest) VariantPaths(id string) ([]string, error) { return nil, errDraft }
func (m *Manifest) ModelPath(id string) (string, error)      { return "", errDraft }
func (m *Manifest) CreatedTime() time.Time                   { return time.Time{} }
func DiskVersion(v string) string                            { return "" }
func CompareVersions(a, b string) int                        { return 0 }
func ValidVersion(v string) error                            { return errDraft }

type Spec struct{}

func ParseSpec(raw []byte) (*Spec, error) { return nil, errDraft }

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
