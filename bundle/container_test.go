package bundle

import (
	"bytes"
	"context"
	"crypto/sha512"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// blob is an artifact for tests.
type blob struct {
	path  string
	data  []byte
	chunk int64
}

// rawManifest describes blobs as layout and Extract need it; ParseManifest would want more.
func rawManifest(blobs []blob) *Manifest {
	m := &Manifest{Schema: "oem-model-bundle/1", ModelFamily: "test", Version: "1.0.0", HashAlg: "sha384", Created: "2026-11-01T12:00:00Z"}
	for _, b := range blobs {
		a := Artifact{Path: b.path, Size: int64(len(b.data)), SHA384: sha512.Sum384(b.data), ChunkSize: b.chunk, Chunks: []Digest{}}
		for d := b.data; len(d) > 0; {
			n := min(int64(len(d)), b.chunk)
			a.Chunks = append(a.Chunks, sha512.Sum384(d[:n]))
			d = d[n:]
		}
		m.Artifacts = append(m.Artifacts, a)
	}
	return m
}

// weights makes bytes like those of a trained float32 model; text makes words.
func weights(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 0, n+4)
	for len(out) < n {
		v := math.Float32bits(float32(r.NormFloat64() * 0.05))
		out = append(out, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return out[:n]
}

func words(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	list := []string{"model", "oem", "kurs", "zamknięcia", "wolumen", "sygnał", "0.0000", "1.2345", "true", "\n"}
	var out []byte
	for len(out) < n {
		out = append(append(out, list[r.IntN(len(list))]...), ' ')
	}
	return out[:n]
}

const long = "artifacts/abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abc.onnx"

func sampleBlobs() []blob {
	return []blob{
		{"artifacts/model.onnx", weights(1, 200<<10), 64 << 10},
		{"artifacts/tokenizer.json", words(2, 70_000), 64 << 10},
		{"artifacts/empty.bin", nil, 64 << 10},
		{"artifacts/exact.bin", words(3, 64<<10), 64 << 10},
		{long, []byte("a long path, split in two"), 64 << 10},
		{"artifacts/" + string(bytes.Repeat([]byte("n"), 150)) + ".txt", []byte("a path that needs a PAX record"), 64 << 10},
		{"artifacts/zażółć.txt", []byte("not ASCII"), 64 << 10},
		{"artifacts/zeros.bin", make([]byte, 100_000), 64 << 10},
	}
}

// testManifestRaw stands in for manifest.json where nobody parses it.
var testManifestRaw, testSigRaw = []byte(`{"schema":"oem-model-bundle/1"}` + "\n"), []byte(`{"payload":""}`)

func opener(blobs []blob) func(string) (io.ReadCloser, error) {
	return func(p string) (io.ReadCloser, error) {
		for _, b := range blobs {
			if b.path == p {
				return io.NopCloser(bytes.NewReader(b.data)), nil
			}
		}
		return nil, os.ErrNotExist
	}
}

func writeTest(t testing.TB, blobs []blob) (string, *Manifest) {
	t.Helper()
	m := rawManifest(blobs)
	path := filepath.Join(t.TempDir(), "test-v1.0.0.tar.zst")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteBundle(context.Background(), f, testManifestRaw, testSigRaw, m, opener(blobs), nil); err != nil {
		t.Fatal(err)
	}
	return path, m
}

// memStore keeps chunks in memory.
type memStore struct {
	mu      sync.Mutex
	data    []byte
	chunk   int64
	have    map[int]bool
	written int
	closed  bool
	aborted bool
	onWrite func(i int) error
}

func newMemStore(a *Artifact) *memStore {
	return &memStore{data: make([]byte, a.Size), chunk: a.ChunkSize, have: map[int]bool{}}
}

func (s *memStore) ReadChunk(i int, p []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.have[i] {
		return false, nil
	}
	copy(p, s.data[int64(i)*s.chunk:])
	return true, nil
}

func (s *memStore) WriteChunk(i int, p []byte) error {
	if s.onWrite != nil {
		if err := s.onWrite(i); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(s.data[int64(i)*s.chunk:], p)
	s.have[i] = true
	s.written++
	return nil
}

func (s *memStore) Close() error { s.closed = true; return nil }
func (s *memStore) Abort()       { s.aborted = true }

func mustOpen(t testing.TB, path string, o OpenOptions) *Source {
	t.Helper()
	s, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// extractAll extracts into memory and compares with blobs.
func extractAll(t testing.TB, s *Source, m *Manifest, blobs []blob, o ExtractOptions) {
	t.Helper()
	stores := map[string]*memStore{}
	o.Store = func(a *Artifact) (ChunkStore, error) {
		stores[a.Path] = newMemStore(a)
		return stores[a.Path], nil
	}
	if err := s.Extract(context.Background(), m, o); err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		st := stores[b.path]
		if o.Paths != nil && len(o.Paths) == len(stores) && st == nil {
			continue
		}
		if st == nil || !st.closed || st.aborted || !bytes.Equal(st.data, b.data) {
			t.Fatalf("%s came out wrong", b.path)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	blobs := sampleBlobs()
	path, m := writeTest(t, blobs)
	s := mustOpen(t, path, OpenOptions{})
	if s.Kind() != KindIndexed || !bytes.Equal(s.ManifestBytes(), testManifestRaw) || !bytes.Equal(s.SignatureBytes(), testSigRaw) {
		t.Fatalf("opened %s with %q, %q", s.Kind(), s.ManifestBytes(), s.SignatureBytes())
	}
	extractAll(t, s, m, blobs, ExtractOptions{})
	extractAll(t, s, m, blobs, ExtractOptions{Workers: 7})
	extractAll(t, s, m, blobs, ExtractOptions{Paths: []string{"artifacts/empty.bin", long}})
	extractAll(t, s, m, blobs, ExtractOptions{Paths: []string{"artifacts/model.onnx"}, Strict: true})
}

func TestWriteBundleIsDeterministic(t *testing.T) {
	a, _ := writeTest(t, sampleBlobs())
	b, _ := writeTest(t, sampleBlobs())
	x, y := read(t, a), read(t, b)
	if !bytes.Equal(x, y) {
		t.Fatal("equal inputs gave different bundles")
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
