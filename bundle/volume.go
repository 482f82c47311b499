package bundle

import (
	"context"

	"sluice/internal/fault"
)

// VolumesPredicate is the predicate of a volume index (<name>.tar.zst.volumes.sig).
type VolumesPredicate struct {
	Volumes        []VolumeInfo `json:"volumes"`
	ManifestSHA384 Digest       `json:"manifest_sha384"`
	SeekTable      []byte       `json:"seek_table"` // the bundle's tail, check frame and seek table, byte for byte
}

// VolumeInfo is one volume. Their order is the order of the bundle's bytes.
type VolumeInfo struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA384 Digest `json:"sha384"`
	SHA256 string `json:"sha256"` // 64 lower-case hexadecimal digits
}

// VolumesOf reads the predicate of a volume index out of a verified statement of type TypeVolumes; its subjects must be
// the volumes.
func VolumesOf(s *Statement) (*VolumesPredicate, error) {
	return nil, fault.New(fault.Internal, "not yet")
}

// CheckIndex compares a verified volume index with what Open believed. Extract refuses volumes before it was called.
func (s *Source) CheckIndex(p *VolumesPredicate) error {
	return fault.New(fault.Internal, "not yet")
}

// SplitVolumes cuts the indexed bundle at path (which must end in .tar.zst) into volumes of at most size bytes beside it and
// writes their signed index. The bundle itself stays. It returns the paths of all files made, the index last.
func SplitVolumes(ctx context.Context, path string, size int64, sign func(Statement) ([]byte, error)) ([]string, error) {
	return nil, fault.New(fault.Internal, "not yet")
}
