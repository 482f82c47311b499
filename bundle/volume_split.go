package bundle

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
)

// MinVolumeSize is the smallest size that SplitVolumes cuts at, in bytes.
const MinVolumeSize = 64 << 10

// SplitVolumes cuts the indexed bundle at path (which must end in .tar.zst) into volumes of at most size bytes beside it and
// writes their signed index. sign gets the statement to sign. The bundle itself stays. It returns the paths of all files made,
// the index last; their content is on the disk (fsync). When it fails nothing of it stays. Errors: E-USAGE, E-EXISTS, E-IO, those of
// Open and of sign.
func SplitVolumes(ctx context.Context, path string, size int64, sign func(Statement) ([]byte, error)) (made []string, err error) {
	if size < MinVolumeSize {
		return nil, fault.New(fault.Usage, "volumes of %d bytes, want at least %d", size, MinVolumeSize)
	}
	if !strings.HasSuffix(path, bundleSuffix) {
		return nil, fault.New(fault.Usage, "%q does not end in %q", filepath.Base(path), bundleSuffix)
	}
	s, err := Open(ctx, path, OpenOptions{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if s.kind != KindIndexed {
		return nil, fault.New(fault.Usage, "%q has no seek table, and only bundles with one can be split", filepath.Base(path))
	}
	count := (s.Size() + size - 1) / size
	if count > maxVolumes {
		return nil, fault.New(fault.Usage, "%d bytes in volumes of %d are %d volumes, want at most %d", s.Size(), size, count, maxVolumes)
	}
	defer func() {
		if err != nil {
			for _, m := range made {
				_ = os.Remove(m)
			}
			made = nil
		}
	}()
	p := VolumesPredicate{ManifestSHA384: sha512.Sum384(s.manifest), SeekTable: s.table.tail}
	base := filepath.Base(path)
	for i := range int(count) {
		start := int64(i) * size
		name := filepath.Join(filepath.Dir(path), volumeName(base, i))
		info, err := s.copyVolume(ctx, name, start, min(size, s.Size()-start))
		if err != nil {
			return made, err
		}
		made = append(made, name)
		p.Volumes = append(p.Volumes, info)
	}
	statement, err := p.statement()
	if err != nil {
		return made, err
	}
	envelope, err := sign(statement)
	if err != nil {
		return made, err
	}
	if len(envelope) > MaxEnvelopeSize {
		return made, fault.New(fault.Limit, "the volume index has %d bytes, want at most %d", len(envelope), MaxEnvelopeSize)
	}
	index := path + volumeIndexSuffix
	if err := createFile(index, func(f *os.File) error {
		_, err := f.Write(envelope)
		return err
	}); err != nil {
		return made, err
	}
	return append(made, index), nil
}

// copyVolume writes one volume and digests it.
func (s *Source) copyVolume(ctx context.Context, path string, start, n int64) (VolumeInfo, error) {
	h384, h256 := sha512.New384(), sha256.New()
	err := createFile(path, func(f *os.File) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h384, h256)}, &mediumReader{ctx: ctx, d: s.medium, off: start, end: start + n}, make([]byte, maxPiece))
		return err
	})
	if err != nil {
		return VolumeInfo{}, err
	}
	info := VolumeInfo{Name: filepath.Base(path), Size: n}
	h384.Sum(info.SHA384[:0])
	h256.Sum(info.SHA256[:0])
	return info, nil
}

// statement is what is signed: its subjects are the volumes, so that other tools can check one by its digest.
func (p *VolumesPredicate) statement() (Statement, error) {
	raw, err := CanonicalJSON(p)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{PredicateType: TypeVolumes, Predicate: jsontext.Value(raw)}
	for _, v := range p.Volumes {
		s.Subjects = append(s.Subjects, Subject{Name: v.Name, SHA384: v.SHA384, SHA256: v.SHA256})
	}
	if _, err := VolumesOf(&s); err != nil {
		return Statement{}, err
	}
	return s, nil
}
