package bundle

import (
	"bytes"
	"encoding/binary"

	"sluice/internal/fault"
)

// Numbers of the zstd seekable format 0.1.0 (zstd, contrib/seekable_format) and of our own check frame. Both are
// skippable frames (RFC 8878, section 3.1.2), which decoders pass over.
const (
	seekFrameMagic = 0x184D2A5E
	seekMagic      = 0x8F92EAB1
	seekEntry      = 8 // bytes: compressed and decoded size
	seekFooter     = 9 // bytes: number of frames, descriptor, magic

	checkFrameMagic = 0x184D2A5C
	checkTag        = "SLUICE-CRC32C\x00\x00\x01" // 16 bytes
	checkEntry      = 4                           // bytes

	skipHeader  = 8                                                        // bytes of a skippable frame's header
	maxTailSize = 2*skipHeader + len(checkTag) + maxFrames*12 + seekFooter // bytes of check frame and seek table
)

// seekFrame is one entry: where a frame lies and what it must be.
type seekFrame struct {
	off     int64  // of its first byte in the bundle
	size    uint32 // bytes as it lies there
	decoded uint32 // bytes when decoded
	crc     uint32 // CRC-32C of its bytes as they lie there
}

// seekTable is a bundle's tail: check frame and seek table. The check frame tells a changed byte even where the change
// would decode to the same data. It is unsigned: it stands against accidents, the digests stand against people.
type seekTable struct {
	frames  []seekFrame // without the check frame
	checked bool        // crc fields are set
	tail    []byte      // both skippable frames, byte for byte
}

// tailOffset is where the tail begins, which is where the last frame ends.
func (t *seekTable) tailOffset() int64 {
	last := t.frames[len(t.frames)-1]
	return last.off + int64(last.size)
}

// size is the whole bundle's size.
func (t *seekTable) size() int64 { return t.tailOffset() + int64(len(t.tail)) }

// appendTail writes check frame and seek table for frames; offsets are not looked at.
func appendTail(dst []byte, frames []seekFrame) []byte {
	le := binary.LittleEndian
	check := len(checkTag) + checkEntry*len(frames)
	dst = le.AppendUint32(dst, checkFrameMagic)
	dst = le.AppendUint32(dst, uint32(check))
	dst = append(dst, checkTag...)
	for _, f := range frames {
		dst = le.AppendUint32(dst, f.crc)
	}
	dst = le.AppendUint32(dst, seekFrameMagic)
	dst = le.AppendUint32(dst, uint32(seekEntry*(len(frames)+1)+seekFooter))
	for _, f := range frames {
		dst = le.AppendUint32(dst, f.size)
		dst = le.AppendUint32(dst, f.decoded)
	}
	dst = le.AppendUint32(dst, uint32(skipHeader+check))
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, uint32(len(frames)+1))
	dst = append(dst, 0)
	return le.AppendUint32(dst, seekMagic)
}

// seekFooterOf reads the last 9 bytes of a bundle. ok is false when they are no seek table's, which means stream mode.
func seekFooterOf(b []byte) (frames int, ok bool, err error) {
	le := binary.LittleEndian
	if len(b) != seekFooter || le.Uint32(b[5:]) != seekMagic {
		return 0, false, nil
	}
	n := le.Uint32(b)
	switch {
	case b[4] != 0:
		return 0, false, fault.New(fault.Format, "the seek table's descriptor is %#02x, want 0: no checksums, no reserved or unused bits", b[4])
	case n < 2 || n > maxFrames:
		return 0, false, fault.New(fault.Format, "the seek table has %d frames, want 2 to %d", n, maxFrames)
	}
	return int(n), true, nil
}

// seekTableSize is the size in bytes of a seek table of so many frames.
func seekTableSize(frames int) int64 { return skipHeader + seekEntry*int64(frames) + seekFooter }

// checkFrameSize reads a seek table (the whole skippable frame) and says how many bytes before it belong to a check frame;
// 0 when it lists none.
func checkFrameSize(table []byte) (int64, error) {
	n, ok, err := seekFooterOf(table[max(0, len(table)-seekFooter):])
	if err != nil {
		return 0, err
	}
	if !ok || int64(len(table)) != seekTableSize(n) {
		return 0, fault.New(fault.Format, "the seek table's %d bytes do not hold the frames that it counts", len(table))
	}
	le := binary.LittleEndian
	if le.Uint32(table) != seekFrameMagic || int64(le.Uint32(table[4:])) != int64(len(table))-skipHeader {
		return 0, fault.New(fault.Format, "the seek table's frame header is not that of a skippable frame of its size")
	}
	last := table[skipHeader+seekEntry*(n-1):]
	if le.Uint32(last[4:]) != 0 {
		return 0, nil
	}
	want := int64(skipHeader) + int64(len(checkTag)) + checkEntry*int64(n-1)
	if got := int64(le.Uint32(last)); got != want {
		return 0, fault.New(fault.Format, "the check frame has %d bytes, want %d", got, want)
	}
	return want, nil
}

// parseTail reads a bundle's tail, from the first byte after the last frame to the end. size is the bundle's size.
func parseTail(tail []byte, size int64) (*seekTable, error) {
	n, ok, err := seekFooterOf(tail[max(0, len(tail)-seekFooter):])
	if err != nil {
		return nil, err
	}
	if !ok || int64(len(tail)) < seekTableSize(n) {
		return nil, fault.New(fault.Format, "there is no whole seek table at the end")
	}
	split := int64(len(tail)) - seekTableSize(n)
	check, table := tail[:split], tail[split:]
	want, err := checkFrameSize(table)
	if err != nil {
		return nil, err
	}
	if want != split {
		return nil, fault.New(fault.Format, "%d bytes before the seek table, want a check frame of %d", split, want)
	}
	t := &seekTable{checked: want > 0, tail: tail}
	if t.checked {
		n--
		le := binary.LittleEndian
		if le.Uint32(check) != checkFrameMagic || int64(le.Uint32(check[4:])) != want-skipHeader ||
			!bytes.Equal(check[skipHeader:skipHeader+len(checkTag)], []byte(checkTag)) {
			return nil, fault.New(fault.Format, "the frame before the seek table is not a check frame of version 1")
		}
	}
	if err := t.entries(table[skipHeader:], check, n, size); err != nil {
		return nil, err
	}
	return t, nil
}

// entries fills in the frames; they must lie one after the other from 0 to the tail.
func (t *seekTable) entries(table, check []byte, n int, size int64) error {
	le := binary.LittleEndian
	t.frames = make([]seekFrame, n)
	var off int64
	for i := range t.frames {
		e := table[seekEntry*i:]
		f := seekFrame{off: off, size: le.Uint32(e), decoded: le.Uint32(e[4:])}
		if t.checked {
			f.crc = le.Uint32(check[skipHeader+len(checkTag)+checkEntry*i:])
		}
		if f.decoded == 0 || f.decoded > MaxChunkSize+4*tarBlock || int64(f.size) > compressBound(int64(f.decoded)) {
			return fault.New(fault.Format, "the seek table says that frame %d holds %d bytes in %d, which no frame here does", i+1, f.decoded, f.size)
		}
		t.frames[i] = f
		off += int64(f.size)
	}
	if got := off + int64(len(t.tail)); got != size {
		return fault.New(fault.Format, "the seek table accounts for %d bytes, the bundle has %d", got, size)
	}
	if f := t.frames[0]; f.decoded > maxHead {
		return fault.New(fault.Limit, "frame 1 holds %d bytes, want at most %d", f.decoded, maxHead)
	}
	return nil
}
