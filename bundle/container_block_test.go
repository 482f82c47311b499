package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// frameOf is a frame of window 1 MiB and unknown size: the header of a large manifest.json, then a block repeated until the frame has
// about size bytes.
func frameOf(size int, block ...byte) []byte {
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, fhdChecksum, 10 << 3, tarBlock << 3 & 255, tarBlock << 3 >> 8, 0}
	out = append(out, tarHeader(manifestName, MaxManifestSize, 0)...)
	out = append(out, bytes.Repeat(block, size/len(block))...)
	return append(out, 1, 0, 0, 0x99, 0xe9, 0xd8, 0x51)
}

// blocksOfNothing are blocks that cost a decoder time and give next to nothing.
var blocksOfNothing = map[string]struct {
	block []byte
	code  fault.Code
}{
	"raw, empty":           {[]byte{0, 0, 0}, fault.Format},
	"repeated, empty":      {[]byte{2, 0, 0, 'x'}, fault.Format},
	"compressed, empty":    {[]byte{2<<3 | 4, 0, 0, 0, 0}, fault.Format},
	"compressed, long way": {[]byte{4<<3 | 4, 0, 0, 3 << 2, 0, 0, 0}, fault.Format},
	"raw, one byte":        {[]byte{1 << 3, 0, 0, 'x'}, fault.Limit},
	"repeated, one byte":   {[]byte{1<<3 | 2, 0, 0, 'x'}, fault.Limit},
	"compressed, one byte": {[]byte{3<<3 | 4, 0, 0, 1 << 3, 'x', 0}, fault.Limit},
	"both in turn":         {[]byte{1 << 3, 0, 0, 'x', 0, 0, 0}, fault.Format},
	"compressed, 31 bytes": {append([]byte{33<<3&255 | 4, 33 >> 5, 0, 31 << 3}, (strings.Repeat("x", 31) + "\x00")...), fault.Limit},
}

// TestBlocksOfNothing: a file of blocks that hold nothing, or next to nothing, is refused after a few of them, before a decoder has spent
// time on it. That is measured by what was read.
func TestBlocksOfNothing(t *testing.T) {
	for name, c := range blocksOfNothing {
		b := frameOf(64<<20, c.block...)
		read := 0
		f := &memFiles{content: map[string][]byte{"x.tar.zst": b}, alter: func(_ string, fresh bool, p []byte, _ int64) error {
			read += len(p)
			return nil
		}}
		s, err := open(t.Context(), "x.tar.zst", OpenOptions{}, f)
		if s != nil {
			t.Fatalf("%s: opened", name)
		}
		if fault.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
		if read > 2*maxPiece {
			t.Errorf("%s: %d bytes were read, want at most %d", name, read, 2*maxPiece)
		}
		// The same in a frame of an indexed bundle.
		const size = 2000
		frame := append([]byte{0x28, 0xb5, 0x2f, 0xfd, fhdChecksum | fhdSingleSegment | 1<<6, (size - 256) & 255, (size - 256) >> 8}, b[6:4<<20]...)
		if err := checkZstdFrame(append(frame, b[len(b)-7:]...), size); err == nil || fault.CodeOf(frameError(err)) != c.code {
			t.Errorf("%s: checking a frame of them gives %v, want %s", name, err, c.code)
		}
	}
	// Blocks of one byte are within the format while they are few.
	few := append([]byte{0x28, 0xb5, 0x2f, 0xfd, fhdChecksum, 10 << 3}, bytes.Repeat([]byte{1 << 3, 0, 0, 'x'}, freeBlocks-1)...)
	sc, err := newFrameScanner(bytes.NewReader(append(few, 1, 0, 0, 1, 2, 3, 4)), func() int64 { return 0 })
	if err == nil {
		_, err = io.Copy(io.Discard, sc)
	}
	if err != nil {
		t.Errorf("%d blocks: %v", freeBlocks, err)
	}
}

// TestAllLevelsOfZstd: what zstd writes at any level and in any of its ways is read.
func TestAllLevelsOfZstd(t *testing.T) {
	blobs := []blob{
		{"artifacts/w.onnx", weights(3, 100<<10), 64 << 10},
		{"artifacts/t.json", words(3, 150<<10), 64 << 10},
		{"artifacts/z.bin", append(make([]byte, 140<<10), words(4, 3000)...), 64 << 10},
		{"artifacts/p.bin", bytes.Repeat(weights(4, 997), 150), 64 << 10},
	}
	dir := strings.TrimSuffix(gnuBundle(t, blobs, "ustar", []string{"manifest.json", "manifest.sig", "artifacts"}), "/b.tar.zst")
	ways := [][]string{{"--ultra", "-20"}, {"--ultra", "-22"}, {"--long=25"}, {"--fast=1"}, {"--fast=50"}, {"-T2", "-B524288"}, {"--rsyncable", "-T2"}, {"--adapt"}, {"--no-compress-literals"}}
	for level := range 19 {
		ways = append(ways, []string{fmt.Sprintf("-%d", level+1)})
	}
	for _, way := range ways {
		tool(t, dir, "zstd", append(way, "-q", "-f", "plain.tar", "-o", "b.tar.zst")...)
		if err := checkBytes(read(t, dir+"/b.tar.zst"), rawManifest(blobs), testManifestRaw, testSigRaw); err != nil {
			t.Errorf("zstd %q: %v", way, err)
		}
	}
}

// compressedBlocks gives the offset and the parts of each compressed block of a frame.
func compressedBlocks(t *testing.T, b []byte, on func(at int, p blockParts)) {
	t.Helper()
	h, err := parseZstdHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	for at := h.length; ; {
		k, err := parseZstdBlock(b[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += 3
		if k.compressed {
			p, err := parseBlock(b[at : at+k.follow])
			if err != nil {
				t.Fatal(err)
			}
			on(at, p)
		}
		if at += k.follow; k.last {
			return
		}
	}
}

// TestUnusedBitsOfTables: the bits that fill a table's last byte mean nothing to a decoder, and must be zero.
func TestUnusedBitsOfTables(t *testing.T) {
	frames := map[string][]byte{"ours": streamOf(t, flipBlobs())}
	for _, level := range []string{"-1", "-3", "-19"} {
		frames[level] = read(t, gnuBundle(t, flipBlobs(), "ustar", []string{"manifest.json", "manifest.sig", "artifacts"}, level))
	}
	m := rawManifest(flipBlobs())
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	unused := 0
	for name, b := range frames {
		want, err := dec.DecodeAll(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		compressedBlocks(t, b, func(at int, p blockParts) {
			for _, r := range [][2]int{{p.tree, p.treeEnd}, {p.tables, p.bits}} {
				for i := at + r[0]; i < at+r[1]; i++ {
					for bit := range 8 {
						b[i] ^= 1 << bit
						_, err := parseBlock(b[at:])
						if errors.Is(err, errPadding) {
							if got, err := dec.DecodeAll(b, nil); err == nil && bytes.Equal(got, want) {
								unused++
							}
							if err := checkBytes(b, m, testManifestRaw, testSigRaw); fault.CodeOf(err) != fault.Format {
								t.Errorf("%s: byte %d, bit %d: %v", name, i, bit, err)
							}
						}
						b[i] ^= 1 << bit
					}
				}
			}
		})
	}
	if unused < 20 {
		t.Errorf("%d unused bits were found that a decoder does not look at: this test tests little", unused)
	}
}

// FuzzParseBlock: what parseBlock says about a block holds for what a decoder makes of it.
func FuzzParseBlock(f *testing.F) {
	b := oneFrame(f, words(1, 3000))
	h, err := parseZstdHeader(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[h.length+3 : len(b)-4])
	f.Add([]byte{3 << 2, 0, 0, 0})
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20), zstd.IgnoreChecksum(true))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		p, err := parseBlock(block)
		if err != nil || len(block) > zstdMaxBlock {
			return
		}
		if p.tree > p.treeEnd || p.treeEnd > p.tables || p.tables > p.bits || p.bits > len(block) {
			t.Fatalf("parts %+v of %d bytes", p, len(block))
		}
		v := uint32(len(block))<<3 | 4 | 1
		frame := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3, byte(v), byte(v >> 8), byte(v >> 16)}, block...)
		if out, err := dec.DecodeAll(frame, nil); err == nil && int64(len(out)) < p.least {
			t.Fatalf("%d bytes, parts %+v", len(out), p)
		}
	})
}
