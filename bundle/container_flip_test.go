package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// memFiles is a medium in memory. alter, when set, sees each read.
type memFiles struct {
	content map[string][]byte
	alter   func(name string, fresh bool, p []byte, off int64) error
}

type memFile struct {
	m     *memFiles
	name  string
	fresh bool
}

func (m *memFiles) open(path string, fresh bool) (file, int64, error) {
	b, ok := m.content[filepath.Base(path)]
	if !ok {
		return nil, 0, os.ErrNotExist
	}
	return &memFile{m, filepath.Base(path), fresh}, int64(len(b)), nil
}

func (m *memFiles) exists(path string) error {
	if _, ok := m.content[filepath.Base(path)]; !ok {
		return os.ErrNotExist
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	b := f.m.content[f.name]
	n := 0
	if off < int64(len(b)) {
		n = copy(p, b[off:])
	}
	if f.m.alter != nil {
		if err := f.m.alter(f.name, f.fresh, p[:n], off); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Close() error { return nil }

// checkBytes verifies a whole bundle in memory the strict way, its signature aside.
func checkBytes(b []byte, m *Manifest, manifest, sig []byte) error {
	return checkFiles(&memFiles{content: map[string][]byte{"x.tar.zst": b}}, m, manifest, sig)
}

func checkFiles(f *memFiles, m *Manifest, manifest, sig []byte) error {
	s, err := open(context.Background(), "x.tar.zst", OpenOptions{}, f)
	if err != nil {
		return err
	}
	defer s.Close()
	// Stands for the signature's verdict.
	if string(s.ManifestBytes()) != string(manifest) || string(s.SignatureBytes()) != string(sig) {
		return fault.New(fault.SignatureInvalid, "manifest or signature changed")
	}
	return s.Extract(context.Background(), m, ExtractOptions{Workers: 1})
}

// flips changes every bit, and every byte to its complement, and gives those that pass.
func flips(t *testing.T, b []byte, check func([]byte) error) (passed []int) {
	t.Helper()
	if err := check(b); err != nil {
		t.Fatalf("untouched: %v", err)
	}
	for i := range b {
		for _, mask := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			b[i] ^= mask
			err := check(b)
			b[i] ^= mask
			if err == nil {
				passed = append(passed, i)
				t.Logf("byte %d with %#02x passes", i, mask)
				continue
			}
			var coded *fault.Error
			if !errors.As(err, &coded) || coded.Code.Exit() != 3 {
				t.Fatalf("byte %d with %#02x: %v has no code of exit 3", i, mask, err)
			}
		}
	}
	return passed
}

// flipBlobs compress in all ways that the encoder knows: weights, words, runs, nothing.
func flipBlobs() []blob {
	return []blob{
		{"artifacts/w.onnx", weights(9, 600), 64 << 10},
		{"artifacts/t.json", words(9, 900), 64 << 10},
		{"artifacts/z.bin", append(make([]byte, 700), words(4, 300)...), 64 << 10},
		{"artifacts/e.bin", nil, 64 << 10},
	}
}

// TestEveryFlippedBitIsRefused is threat 1 at its smallest: no single bit and no single byte of a bundle may change.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	path, m := writeTest(t, flipBlobs())
	b := read(t, path)
	if passed := flips(t, b, func(b []byte) error { return checkBytes(b, m, testManifestRaw, testSigRaw) }); passed != nil {
		t.Errorf("%d of %d changes pass", len(passed), 9*len(b))
	}
}

// TestFlipsWithoutCheckFrame measures what only the check frame finds: changes of the compressed bytes that decode to the
// same data. They are harmless, but they are changes.
func TestFlipsWithoutCheckFrame(t *testing.T) {
	path, m := writeTest(t, flipBlobs())
	b := read(t, path)
	n := 0
	check := func(b []byte) error {
		s, err := open(context.Background(), "x.tar.zst", OpenOptions{}, &memFiles{content: map[string][]byte{"x.tar.zst": b}})
		if err != nil {
			return err
		}
		s.table.checked = false
		return s.Extract(context.Background(), m, ExtractOptions{Workers: 1})
	}
	head, _, _ := seekFooterOf(b[len(b)-seekFooter:])
	end := len(b) - int(seekTableSize(head))
	for i := 200; i < end-100; i++ {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if check(b) == nil {
				n++
			}
			b[i] ^= 1 << bit
		}
	}
	t.Logf("%d of %d flipped bits decode to the same data", n, 8*(end-300))
}

// TestFlippedBitsInStreams: a bundle made by tar and zstd alone has no check frame. A flipped bit is refused there as well, or the
// frame still decodes to exactly the same archive, checksum and all.
func TestFlippedBitsInStreams(t *testing.T) {
	m := rawManifest(flipBlobs())
	b := streamOf(t, flipBlobs())
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	want, err := dec.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	same, tried := 0, 0
	for i := 0; i < len(b); i += 1 + 2*(i/64%2) { // a sample, the headers whole
		for _, bit := range []int{i % 8, (i + 3) % 8} {
			tried++
			b[i] ^= 1 << bit
			if err := checkBytes(b, m, testManifestRaw, testSigRaw); err == nil {
				same++
				if got, err := dec.DecodeAll(b, nil); err != nil || !bytes.Equal(got, want) {
					t.Errorf("byte %d, bit %d passes and decodes to something else: %v", i, bit, err)
				}
			}
			b[i] ^= 1 << bit
		}
	}
	t.Logf("%d of %d flipped bits decode to the same archive", same, tried)
}
