package testbundle

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// The tar format, written here a second time and without any check, for hostile archives need both.

// entry is one tar entry. Zero values: a regular file, mode 0644, ustar.
type entry struct {
	name string
	data []byte
	typ  byte
	mode string            // 7 octal digits
	link string            // target
	size string            // 11 octal digits, in place of the data's length
	pax  map[string]string // one record at most, for the order is that of a map
}

func (e entry) bytes() []byte {
	var out []byte
	for k, v := range e.pax {
		out = append(out, entry{name: "PaxHeader", typ: 'x', data: paxRecord(k, v)}.bytes()...)
	}
	b := make([]byte, 512)
	copy(b, e.name)
	copy(b[100:], or(e.mode, "0000644"))
	copy(b[108:], "0000000")
	copy(b[116:], "0000000")
	copy(b[124:], or(e.size, fmt.Sprintf("%011o", len(e.data))))
	copy(b[136:], "00000000000")
	copy(b[148:], "        ")
	b[156] = e.typ
	if e.typ == 0 {
		b[156] = '0'
	}
	copy(b[157:], e.link)
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	out = append(append(out, b...), e.data...)
	return append(out, make([]byte, -len(e.data)&511)...)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func paxRecord(key, value string) []byte {
	for n := len(key) + len(value) + 3; ; n++ {
		if r := fmt.Sprintf("%d %s=%s\n", n, key, value); len(r) == n {
			return []byte(r)
		}
	}
}

// entries are the artifacts of a plan.
func (p *plan) entries() []entry {
	var out []entry
	for _, c := range p.files {
		out = append(out, entry{name: c.path, data: c.data})
	}
	return out
}

// archive is a tar of manifest, signature and the given entries.
func (p *plan) archive(entries ...entry) []byte {
	return tarOf(append(p.head(), entries...)...)
}

// head are the two entries that every archive begins with.
func (p *plan) head() []entry {
	return []entry{{name: "manifest.json", data: p.raw}, {name: "manifest.sig", data: p.sig}}
}

// tarOf is a tar of the given entries.
func tarOf(entries ...entry) []byte {
	var out []byte
	for _, e := range entries {
		out = append(out, e.bytes()...)
	}
	return append(out, make([]byte, 1024)...)
}

// oneFrame compresses to exactly one zstd frame, as zstd does.
func oneFrame(plain []byte) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // constant options
	}
	// Writing to memory cannot fail.
	_, _ = w.Write(plain)
	_ = w.Close()
	return out.Bytes()
}
