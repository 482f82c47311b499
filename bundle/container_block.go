package bundle

import (
	"errors"
	"fmt"

	"sluice/internal/fault"
)

// Limits of a frame's blocks. Decoders take time for each block, however little it holds: 4 MB of empty blocks keep one busy
// for a second.
const (
	freeBlocks   = 1024 // blocks that any frame may have
	bytesABlock  = 128  // decoded bytes for each block beyond those, on average
	zstdMinMatch = 3    // bytes that a sequence copies at least

	maxLiteralLog = 9 // accuracy logs of literal lengths, offsets, match lengths and Huffman weights
	maxOffsetLog  = 8
	maxMatchLog   = 9
	maxWeightLog  = 6
)

// blockCounter keeps a frame from holding many blocks that hold nothing. GNU zstd writes an empty block at a frame's end only.
type blockCounter struct{ n int64 }

// add counts a block that decodes to at least the given number of bytes, after decoded bytes of others.
func (c *blockCounter) add(least int64, last bool, decoded int64) error {
	c.n++
	if least == 0 && !last {
		return errors.New("has an empty block before its last one, as no zstd writes it")
	}
	if c.n > freeBlocks+decoded/bytesABlock {
		return fault.New(fault.Limit, "has %d blocks for %d bytes, want at most %d and one for each %d bytes", c.n, decoded, freeBlocks, bytesABlock)
	}
	return nil
}

// blockParts is what a compressed block (RFC 8878, section 3.1.1.3) says about itself.
type blockParts struct {
	least  int64 // it decodes to at least so many bytes
	tree   int   // offset of the Huffman tree's table, which ends at treeEnd; equal when there is none
	tables int   // offset of the sequences' tables, which end at bits
	bits   int   // offset of the sequences' bit stream

	treeEnd int
}

// parseBlock reads the sections of a compressed block without decoding them. It refuses what decoders overlook: bits
// that mean nothing and are not zero.
func parseBlock(b []byte) (p blockParts, err error) {
	r := blockReader{b: b}
	if err := r.literals(&p); err != nil {
		return blockParts{}, fmt.Errorf("has a block whose literals %w", err)
	}
	if err := r.sequences(&p); err != nil {
		return blockParts{}, fmt.Errorf("has a block whose sequences %w", err)
	}
	return p, nil
}

var errShort = errors.New("end within their description")

type blockReader struct {
	b   []byte
	off int
}

// take gives the next n bytes as a little-endian number, n at most 5.
func (r *blockReader) take(n int) (v uint64, err error) {
	if len(r.b)-r.off < n {
		return 0, errShort
	}
	for i, c := range r.b[r.off : r.off+n] {
		v |= uint64(c) << (8 * i)
	}
	r.off += n
	return v, nil
}

// literals reads the literals section (RFC 8878, section 3.1.1.3.1).
func (r *blockReader) literals(p *blockParts) error {
	if r.off >= len(r.b) {
		return errShort
	}
	kind, format := r.b[r.off]&3, r.b[r.off]>>2&3
	size := 0
	if kind < 2 { // raw, or one byte repeated
		v, err := r.take([4]int{1, 2, 1, 3}[format])
		if err != nil {
			return err
		}
		regenerated := v >> [4]int{3, 4, 3, 4}[format]
		p.least = int64(regenerated)
		if size = int(regenerated); kind == 1 {
			size = 1
		}
	} else {
		width := [4]int{10, 10, 14, 18}[format]
		v, err := r.take([4]int{3, 3, 4, 5}[format])
		if err != nil {
			return err
		}
		p.least = int64(v >> 4 & (1<<width - 1))
		size = int(v >> (4 + width))
	}
	end := r.off + size
	if end > len(r.b) {
		return errShort
	}
	if kind == 2 {
		p.tree = r.off
		n, err := treeTable(r.b[r.off:end])
		if err != nil {
			return err
		}
		p.treeEnd = p.tree + n
	}
	r.off = end
	return nil
}

// treeTable says how many bytes a Huffman tree's description has, without the bit stream of its weights.
func treeTable(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, errShort
	}
	n := int(b[0])
	if n >= 128 { // weights of four bits each
		n -= 127
		size := 1 + (n+1)/2
		switch {
		case len(b) < size:
			return 0, errShort
		case n%2 == 1 && b[size-1]&15 != 0:
			return 0, errPadding
		}
		return size, nil
	}
	if len(b) < 1+n {
		return 0, errShort
	}
	size, err := fseTable(b[1:1+n], maxWeightLog)
	return 1 + size, err
}

// sequences reads the sequences section (RFC 8878, section 3.1.1.3.2).
func (r *blockReader) sequences(p *blockParts) error {
	n, err := r.take(1)
	if err != nil {
		return err
	}
	switch {
	case n == 255:
		v, err := r.take(2)
		if err != nil {
			return err
		}
		n = v + 0x7F00
	case n >= 128:
		v, err := r.take(1)
		if err != nil {
			return err
		}
		n = (n-128)<<8 + v
	}
	p.least += zstdMinMatch * int64(n)
	p.tables, p.bits = r.off, r.off
	if n == 0 {
		if r.off != len(r.b) {
			return errors.New("are none and yet have bytes")
		}
		return nil
	}
	modes, err := r.take(1)
	if err != nil {
		return err
	}
	if modes&3 != 0 {
		return errors.New("have reserved bits set")
	}
	p.tables = r.off
	for i, maxLog := range [3]int{maxLiteralLog, maxOffsetLog, maxMatchLog} {
		switch modes >> (6 - 2*i) & 3 {
		case 1:
			_, err = r.take(1)
		case 2:
			var size int
			size, err = fseTable(r.b[r.off:], maxLog)
			r.off += size
		}
		if err != nil {
			return err
		}
	}
	p.bits = r.off
	return nil
}

var errPadding = errors.New("have unused bits that are not zero")

// fseTable says how many bytes a table of probabilities has (RFC 8878, section 4.1.1). The bits after the last probability up to the
// end of its byte must be zero.
func fseTable(b []byte, maxLog int) (int, error) {
	pos := 0
	get := func(n int) int { // at most 16 bits; zero bits after the end
		v, at := 0, pos>>3
		for i := range 3 {
			if at+i < len(b) {
				v |= int(b[at+i]) << (8 * i)
			}
		}
		return v >> (pos & 7) & (1<<n - 1)
	}
	log := get(4) + 5
	pos = 4
	if log > maxLog {
		return 0, fmt.Errorf("have a table of accuracy %d, want at most %d", log, maxLog)
	}
	for left := 1<<log + 1; left > 1; { // what is left to give away, and one
		if pos > 8*len(b) {
			return 0, errShort
		}
		width := 0
		for 1<<width <= left {
			width++
		}
		// Values from 0 to left: the first few have a bit less.
		spare := 1<<width - 1 - left
		v := get(width - 1)
		if v < spare {
			pos += width - 1
		} else {
			if v = get(width); v >= 1<<(width-1) {
				v -= spare
			}
			pos += width
		}
		switch {
		case v == 0: // "less than one", which counts as one
			left--
		case v == 1: // zero; how many more follow
			for {
				more := get(2)
				pos += 2
				if more != 3 {
					break
				}
				if pos > 8*len(b) {
					return 0, errShort
				}
			}
		default:
			left -= v - 1
		}
		if left < 1 {
			return 0, errors.New("have a table that gives away too much")
		}
	}
	size := (pos + 7) / 8
	if size > len(b) {
		return 0, errShort
	}
	if get(8*size-pos) != 0 {
		return 0, errPadding
	}
	return size, nil
}
