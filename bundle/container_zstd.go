package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// Numbers of the zstd format (RFC 8878).
const (
	zstdMagic         = 0xFD2FB528
	zstdMaxBlock      = 128 << 10
	zstdMaxHeader     = 4 + 1 + 1 + 8 // magic, descriptor, window, content size; no dictionary id
	zstdChecksumBytes = 4

	fhdSingleSegment = 1 << 5
	fhdUnused        = 1 << 4
	fhdReserved      = 1 << 3
	fhdChecksum      = 1 << 2
	fhdDictionary    = 3
)

// castagnoli is CRC-32C (RFC 3720, appendix B.4): any change within 32 bits in a row is found for certain.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of a frame as it lies on the medium.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// zstdHeader is a frame's header.
type zstdHeader struct {
	length  int   // bytes of the header, magic included
	window  int64 // bytes; the content size in a single-segment frame
	content int64 // bytes; -1: not stated
	single  bool
}

// parseZstdHeader reads a frame header. It refuses what decoders overlook or what no bundle needs: set unused and
// reserved bits, dictionaries, frames without checksum, windows above 32 MiB.
func parseZstdHeader(b []byte) (zstdHeader, error) {
	if len(b) < 6 || binary.LittleEndian.Uint32(b) != zstdMagic {
		return zstdHeader{}, errors.New("is not a zstd frame")
	}
	fhd := b[4]
	switch {
	case fhd&fhdReserved != 0:
		return zstdHeader{}, errors.New("has its reserved header bit set")
	case fhd&fhdUnused != 0:
		return zstdHeader{}, errors.New("has its unused header bit set")
	case fhd&fhdDictionary != 0:
		return zstdHeader{}, errors.New("asks for a dictionary, want none")
	case fhd&fhdChecksum == 0:
		return zstdHeader{}, errors.New("has no checksum, want one (zstd writes it unless told not to)")
	}
	h := zstdHeader{length: 5, content: -1, single: fhd&fhdSingleSegment != 0}
	if !h.single {
		if b[5]&7 != 0 {
			return zstdHeader{}, errors.New("asks for a window that is no power of two, as no zstd writes it")
		}
		h.window = int64(1) << (10 + b[5]>>3)
		h.length++
	}
	width := [4]int{0, 2, 4, 8}[fhd>>6]
	if width == 0 && h.single {
		width = 1
	}
	if len(b) < h.length+width {
		return zstdHeader{}, errors.New("ends within its header")
	}
	if width > 0 {
		var field [8]byte
		copy(field[:], b[h.length:h.length+width])
		n := binary.LittleEndian.Uint64(field[:])
		if width == 2 {
			n += 256
		}
		if n > MaxSize {
			return zstdHeader{}, fmt.Errorf("states a content of %d bytes, want at most %d", n, int64(MaxSize))
		}
		h.content = int64(n)
		h.length += width
	}
	if h.single {
		h.window = h.content
	}
	if h.window > maxWindow {
		return zstdHeader{}, fault.New(fault.Limit, "asks for a window of %d bytes, want at most %d", h.window, maxWindow)
	}
	return h, nil
}

// zstdBlock is a block's header.
type zstdBlock struct {
	size       int  // of what it holds: bytes as they are, times a byte is repeated, bytes of a compressed block
	follow     int  // bytes after the header
	compressed bool // what it holds is to be decoded
	last       bool
}

// parseZstdBlock reads a block's header.
func parseZstdBlock(b []byte) (zstdBlock, error) {
	v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	size := int(v >> 3)
	if size > zstdMaxBlock {
		return zstdBlock{}, fmt.Errorf("has a block of %d bytes, want at most %d", size, zstdMaxBlock)
	}
	k := zstdBlock{size: size, follow: size, last: v&1 != 0}
	switch v >> 1 & 3 {
	case 1:
		k.follow = 1
	case 2:
		k.compressed = true
	case 3:
		return zstdBlock{}, errors.New("has a block of the reserved type")
	}
	return k, nil
}

// check judges a block by its header and, if it is compressed, its content.
func (k zstdBlock) check(content []byte, n *blockCounter, decoded int64) error {
	least := int64(k.size)
	if k.compressed {
		p, err := parseBlock(content)
		if err != nil {
			return err
		}
		least = p.least
	}
	return n.add(least, k.last, decoded)
}

// checkZstdFrame demands that b is exactly one frame as this format wants it: single segment, its content size stated in
// the fewest bytes and equal to size, checksum, no dictionary, every block where it should be, nothing after it.
func checkZstdFrame(b []byte, size int64) error {
	h, err := parseZstdHeader(b)
	switch {
	case err != nil:
		return err
	case !h.single:
		return errors.New("is not a single segment")
	case h.content != size:
		return fmt.Errorf("states a content of %d bytes, want %d", h.content, size)
	case h.length != 5+contentWidth(size):
		return errors.New("states its content size in more bytes than needed")
	}
	rest := b[h.length:]
	var blocks blockCounter
	for {
		if len(rest) < 3 {
			return errors.New("ends within its blocks")
		}
		k, err := parseZstdBlock(rest)
		if err != nil {
			return err
		}
		if rest = rest[3:]; len(rest) < k.follow {
			return errors.New("ends within its blocks")
		}
		if err := k.check(rest[:k.follow], &blocks, size); err != nil {
			return err
		}
		rest = rest[k.follow:]
		if k.last {
			break
		}
	}
	if len(rest) != zstdChecksumBytes {
		return fmt.Errorf("has %d bytes after its last block, want %d (its checksum)", len(rest), zstdChecksumBytes)
	}
	return nil
}

// contentWidth is the fewest bytes that state a content size in a single-segment frame.
func contentWidth(size int64) int {
	switch {
	case size < 256:
		return 1
	case size < 256+1<<16:
		return 2
	case size < 1<<32:
		return 4
	}
	return 8
}

// compressBound is the most bytes that a frame of size decoded bytes may have; what does not compress is stored.
func compressBound(size int64) int64 { return size + size>>8 + 1024 }

// newFrameEncoder makes what encodes one frame at a time.
func newFrameEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(1))
}

// newFrameDecoder makes what decodes whole frames, up to workers at a time, into buffers that the caller brings.
func newFrameDecoder(workers int) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(workers), zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
}

// decoderSlack is room that the decoder likes to have after the decoded bytes.
const decoderSlack = 64

// frameScanner passes one zstd frame on to a decoder while it walks its headers itself. It gives io.EOF at the frame's
// end and an error if anything follows, so that a decoder never sees a second frame.
type frameScanner struct {
	r       io.Reader
	pending []byte // already read and not passed on
	buf     []byte // behind pending: a block's header, and a compressed block's content
	follow  int    // bytes of the block in hand, or of the checksum
	last    bool   // the block in hand is the last
	sum     bool   // what follows is the checksum
	done    bool
	blocks  blockCounter
	decoded func() int64 // bytes that the decoder has given so far; it may lag a few blocks behind
	err     error
}

// newFrameScanner reads the frame's header.
func newFrameScanner(r io.Reader, decoded func() int64) (*frameScanner, error) {
	var b [zstdMaxHeader]byte
	n, err := io.ReadFull(r, b[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	h, err := parseZstdHeader(b[:n])
	if err != nil {
		return nil, frameError(err)
	}
	// What was read beyond the header goes back.
	return &frameScanner{r: io.MultiReader(bytes.NewReader(b[h.length:n]), r), pending: append([]byte(nil), b[:h.length]...), decoded: decoded}, nil
}

// frameError codes an error of the functions above: E-FORMAT unless it has a code.
func frameError(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return fault.New(f.Code, "the zstd frame %w", err)
	}
	return fault.New(fault.Format, "the zstd frame %w", err)
}

// Read implements io.Reader.
func (s *frameScanner) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

func (s *frameScanner) read(p []byte) (int, error) {
	for len(s.pending) == 0 && s.follow == 0 {
		if err := s.step(); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.pending) > 0 {
		n := copy(p, s.pending)
		s.pending = s.pending[n:]
		return n, nil
	}
	n, err := s.r.Read(p[:min(len(p), s.follow)])
	s.follow -= n
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = fault.New(fault.Format, "the zstd frame ends within a block")
	}
	return 0, err
}

// step goes to the next block, the checksum, or the end.
func (s *frameScanner) step() error {
	switch {
	case s.done:
		var b [1]byte
		if n, err := io.ReadFull(s.r, b[:]); n > 0 {
			return fault.New(fault.Format, "bytes after the zstd frame, want exactly one frame")
		} else if !errors.Is(err, io.EOF) {
			return err
		}
		return io.EOF
	case s.sum:
		s.done = true
		return nil
	case s.last:
		s.sum, s.follow = true, zstdChecksumBytes
		return nil
	}
	var b [3]byte
	if _, err := io.ReadFull(s.r, b[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Format, "the zstd frame ends within its blocks")
	} else if err != nil {
		return err
	}
	k, err := parseZstdBlock(b[:])
	if err != nil {
		return frameError(err)
	}
	s.buf = append(s.buf[:0], b[:]...)
	s.follow, s.last = k.follow, k.last
	if k.compressed {
		s.buf = slices.Grow(s.buf, k.follow)[:len(b)+k.follow]
		if _, err := io.ReadFull(s.r, s.buf[len(b):]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fault.New(fault.Format, "the zstd frame ends within a block")
		} else if err != nil {
			return err
		}
		s.follow = 0
	}
	if err := k.check(s.buf[len(b):], &s.blocks, s.decoded()); err != nil {
		return frameError(err)
	}
	s.pending = s.buf
	return nil
}
