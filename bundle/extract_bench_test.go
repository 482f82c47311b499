package bundle

import (
	"context"
	"crypto/sha512"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// fileStore writes to a file, as an installer does.
type fileStore struct {
	f     *os.File
	chunk int64
}

func (s *fileStore) ReadChunk(int, []byte) (bool, error) { return false, nil }

func (s *fileStore) WriteChunk(i int, p []byte) error {
	_, err := s.f.WriteAt(p, int64(i)*s.chunk)
	return err
}

func (s *fileStore) Close() error { return s.f.Close() }

// benchMiB is the bundle's size: SLUICE_BENCH_MIB, else small enough for every run.
func benchMiB(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("SLUICE_BENCH_MIB"))
	if err != nil {
		return 96
	}
	return n
}

// benchBundle makes three artifacts of float weights in chunks of 8 MiB.
func benchBundle(b *testing.B) (string, *Manifest) {
	b.Helper()
	n := benchMiB(b) << 20 / 3
	blobs := make([]blob, 3)
	for i := range blobs {
		blobs[i] = blob{fmt.Sprintf("artifacts/model-%d.onnx", i), weights(uint64(i), n), 8 << 20}
	}
	return writeTest(b, blobs)
}

// BenchmarkExtract reads, decodes, digests and writes a whole bundle. With SLUICE_BENCH_MIB=1024 it is the measure of
// docs/performance.md.
func BenchmarkExtract(b *testing.B) {
	path, m := benchBundle(b)
	runtime.GC()
	for _, c := range []struct {
		name  string
		paths []string
		write bool
	}{{"verify", nil, false}, {"write", nil, true}, {"one", []string{m.Artifacts[0].Path}, true}} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			total := int64(0)
			for i := range m.Artifacts {
				if c.paths == nil || m.Artifacts[i].Path == c.paths[0] {
					total += m.Artifacts[i].Size
				}
			}
			b.SetBytes(total)
			for b.Loop() {
				s := mustOpen(b, path, OpenOptions{})
				o := ExtractOptions{Paths: c.paths}
				if c.write {
					o.Store = func(a *Artifact) (ChunkStore, error) {
						f, err := os.Create(filepath.Join(dir, filepath.Base(a.Path)))
						return &fileStore{f, a.ChunkSize}, err
					}
				}
				if err := s.Extract(context.Background(), m, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriteBundle compresses.
func BenchmarkWriteBundle(b *testing.B) {
	blobs := []blob{{"artifacts/model.onnx", weights(1, 64<<20), 8 << 20}}
	m := rawManifest(blobs)
	b.SetBytes(64 << 20)
	for b.Loop() {
		if err := WriteBundle(context.Background(), io.Discard, testManifestRaw, testSigRaw, m, opener(blobs), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestBigArtifacts is threat 18 with real bytes: it writes and checks bundles of 2, 4 and 8 GiB, one byte more and less. It
// takes minutes, so it runs only with SLUICE_TEST_BIG=1.
func TestBigArtifacts(t *testing.T) {
	if os.Getenv("SLUICE_TEST_BIG") == "" {
		t.Skip("takes minutes: SLUICE_TEST_BIG is not set")
	}
	for _, gib := range []int64{2, 4, 8} {
		for _, d := range []int64{-1, 0, 1} {
			t.Run(fmt.Sprintf("%dGiB%+d", gib, d), func(t *testing.T) { bigArtifact(t, gib<<30+d) })
		}
	}
}

// bigArtifact writes one artifact of zeros, verifies the bundle and has GNU tar list it.
func bigArtifact(t *testing.T, size int64) {
	const chunk = 16 << 20
	whole := sha512.New384()
	if _, err := io.Copy(whole, io.LimitReader(zeroReader{}, size)); err != nil {
		t.Fatal(err)
	}
	a := Artifact{Path: "artifacts/big.bin", Size: size, SHA384: Digest(whole.Sum(nil)), ChunkSize: chunk}
	zero := Digest(sha512.Sum384(make([]byte, chunk)))
	for left := size; left > 0; left -= chunk {
		if left >= chunk {
			a.Chunks = append(a.Chunks, zero)
		} else {
			a.Chunks = append(a.Chunks, sha512.Sum384(make([]byte, left)))
		}
	}
	m := rawManifest(nil)
	m.Artifacts = []Artifact{a}
	dir := t.TempDir()
	path := filepath.Join(dir, "b.tar.zst")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteBundle(context.Background(), f, testManifestRaw, testSigRaw, m, func(string) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeroReader{}, size)), nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, path, OpenOptions{}).Extract(context.Background(), m, ExtractOptions{}); err != nil {
		t.Error(err)
	}
	if list := tool(t, dir, "tar", "--zstd", "-tvf", path); !strings.Contains(list, strconv.FormatInt(size, 10)) {
		t.Errorf("tar lists %q", list)
	}
}
