package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice/internal/fault"
)

// oneFrame compresses to exactly one frame, as zstd does.
func oneFrame(t testing.TB, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// rawEntry is one entry as other tools might write it.
func rawEntry(change func(b []byte), name string, data string, typ byte) []byte {
	b := appendTarBlock(nil, "", name, int64(len(data)), 0, typ)
	if change != nil {
		change(b)
	}
	var block [tarBlock]byte
	copy(block[:], b)
	copy(b[tarSum:], fmt.Sprintf("%06o\x00 ", tarChecksum(&block)))
	return append(append(b, data...), make([]byte, tarPadding(int64(len(data))))...)
}

func paxEntry(records ...string) []byte {
	var raw []byte
	for i := 0; i < len(records); i += 2 {
		raw = appendPAX(raw, records[i], records[i+1])
	}
	return rawEntry(nil, "pax", string(raw), 'x')
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestHostileArchives are threats 9 to 13 in stream mode: each entry is refused with its own reason.
func TestHostileArchives(t *testing.T) {
	blobs := []blob{{"artifacts/a.bin", []byte("hello"), 64 << 10}, {"artifacts/d/b.bin", []byte("world!"), 64 << 10}}
	m := rawManifest(blobs)
	head := headBytes(testManifestRaw, testSigRaw, 0)
	a, b := rawEntry(nil, "artifacts/a.bin", "hello", '0'), rawEntry(nil, "artifacts/d/b.bin", "world!", '0')
	end := make([]byte, tarEnd)
	file := func(name string) []byte { return rawEntry(nil, name, "", '0') }
	set := func(at int, s string) func([]byte) { return func(b []byte) { copy(b[at:], s) } }
	for _, c := range []struct {
		name  string
		tar   []byte
		code  fault.Code
		words string
	}{
		{"good", join(head, b, a, end), "", ""},
		{"good with folders", join(head, rawEntry(nil, "artifacts/", "", '5'), b, rawEntry(nil, "artifacts/d/", "", '5'), a, end, end), "", ""},
		{"good with owner and time in PAX", join(head, paxEntry("mtime", "1.5", "uid", "1000"), a, b, end), "", ""},
		{"parent", join(head, file("../x"), a, b, end), fault.Path, `".."`},
		{"absolute", join(head, file("/etc/passwd"), a, b, end), fault.Path, "absolute"},
		{"drive letter", join(head, file("C:/x"), a, b, end), fault.Path, "':'"},
		{"UNC", join(head, file(`\\host\share`), a, b, end), fault.Path, `'\\'`},
		{"short name", join(head, file("artifacts/ANDROI~1"), a, b, end), fault.Path, "short name"},
		{"alternate stream", join(head, file("artifacts/a.bin:x"), a, b, end), fault.Path, "':'"},
		{"device name", join(head, file("artifacts/COM¹.txt"), a, b, end), fault.Path, "device name"},
		{"traversing link", join(head, rawEntry(set(tarLink, "/etc"), "../x", "", '2'), end), fault.Path, `".."`},
		{"symbolic link", join(head, rawEntry(set(tarLink, "/etc"), "artifacts/a.bin", "", '2'), b, end), fault.Entry, "symbolic link"},
		{"hard link", join(head, rawEntry(set(tarLink, "manifest.json"), "artifacts/a.bin", "", '1'), b, end), fault.Entry, "hard link"},
		{"character device", join(head, rawEntry(nil, "artifacts/a.bin", "", '3'), b, end), fault.Entry, "character device"},
		{"block device", join(head, rawEntry(nil, "artifacts/a.bin", "", '4'), b, end), fault.Entry, "block device"},
		{"fifo", join(head, rawEntry(nil, "artifacts/a.bin", "", '6'), b, end), fault.Entry, "fifo"},
		{"contiguous", join(head, rawEntry(nil, "artifacts/a.bin", "hello", '7'), b, end), fault.Entry, "type '7'"},
		{"set-uid", join(head, rawEntry(set(tarMode, "0004755"), "artifacts/a.bin", "hello", '0'), b, end), fault.Entry, "set-uid"},
		{"link target on a file", join(head, rawEntry(set(tarLink, "x"), "artifacts/a.bin", "hello", '0'), b, end), fault.Entry, "link target"},
		{"GNU sparse", join(head, rawEntry(nil, "artifacts/a.bin", "hello", 'S'), b, end), fault.Entry, "sparse"},
		{"PAX sparse", join(head, paxEntry("GNU.sparse.major", "1"), a, b, end), fault.Entry, "GNU.sparse.major"},
		{"GNU long name", join(head, rawEntry(nil, "././@LongLink", "artifacts/a.bin", 'L'), a, b, end), fault.Entry, "long-name"},
		{"GNU long name, plain", join(head, rawEntry(nil, "LongLink", "artifacts/a.bin", 'L'), a, b, end), fault.Entry, "long-name"},
		{"global PAX header as pax writes it", join(head, rawEntry(nil, "/tmp/GlobalHead.1.1", "10 a=123\n\n", 'g'), a, b, end), fault.Entry, "global"},
		{"global PAX header", join(head, rawEntry(nil, "g", "10 a=123\n\n", 'g'), a, b, end), fault.Entry, "global"},
		{"extended attribute", join(head, paxEntry("SCHILY.xattr.user.x", "1"), a, b, end), fault.Entry, "xattr"},
		{"PAX link", join(head, paxEntry("linkpath", "/etc"), a, b, end), fault.Entry, "linkpath"},
		{"PAX size differs", join(head, paxEntry("size", "6"), a, b, end), fault.Entry, "says 5 bytes"},
		{"PAX size is odd", join(head, paxEntry("size", "+5"), a, b, end), fault.Format, `"+5"`},
		{"PAX path differs", join(head, paxEntry("path", "artifacts/d/b.bin"), a, b, end), fault.Entry, "want the same"},
		{"PAX path leaves", join(head, paxEntry("path", "../../"+strings.Repeat("x", 100)), rawEntry(nil, "../../"+strings.Repeat("x", 90), "", '0'), end), fault.Path, ""},
		{"PAX record twice", join(head, paxEntry("size", "5", "size", "5"), a, b, end), fault.Format, "twice"},
		{"PAX broken", join(head, rawEntry(nil, "pax", "99 path=x\n", 'x'), a, b, end), fault.Format, "length"},
		{"PAX too long", join(head, rawEntry(nil, "pax", strings.Repeat("x", maxPAXSize+1), 'x'), a, b, end), fault.Limit, ""},
		{"PAX after PAX", join(head, paxEntry("mtime", "1"), paxEntry("mtime", "1"), a, b, end), fault.Entry, "second PAX header"},
		{"PAX after PAX, as GNU tar names it", join(head, join(rawEntry(nil, "././@PaxHeader", "11 mtime=1\n", 'x'), rawEntry(nil, "././@PaxHeader", "11 mtime=1\n", 'x')), a, b, end), fault.Entry, "second PAX header"},
		{"size differs", join(head, rawEntry(nil, "artifacts/a.bin", "hell", '0'), b, end), fault.Entry, "has 4 bytes"},
		{"negative size", join(head, rawEntry(set(tarSize, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "artifacts/a.bin", "", '0'), end), fault.Format, "size"},
		{"unlisted", join(head, a, b, file("artifacts/c.bin"), end), fault.Entry, "not in the manifest"},
		{"unlisted outside", join(head, a, b, file("autorun.inf"), end), fault.Entry, "not in the manifest"},
		{"another letter case", join(head, a, b, file("artifacts/A.bin"), end), fault.Entry, "not in the manifest"},
		{"missing", join(head, b, end), fault.Entry, `"artifacts/a.bin"`},
		{"twice", join(head, a, a, b, end), fault.Entry, "twice"},
		{"manifest again", join(head, a, b, rawEntry(nil, "manifest.json", "{}", '0'), end), fault.Entry, "not in the manifest"},
		{"folder of nothing", join(head, rawEntry(nil, "artifacts/e/", "", '5'), a, b, end), fault.Entry, "no listed artifact"},
		{"folder twice", join(head, rawEntry(nil, "artifacts/", "", '5'), rawEntry(nil, "artifacts/", "", '5'), a, b, end), fault.Entry, "twice"},
		{"folder with bytes", join(head, rawEntry(nil, "artifacts/", "x", '5'), a, b, end), fault.Entry, "directory"},
		{"file with slash", join(head, file("artifacts/d/"), a, b, end), fault.Path, "empty part"},
		{"wrong checksum", join(head, func() []byte { b := bytes.Clone(a); b[0]++; return b }(), b, end), fault.Format, "checksum"},
		{"version 7", join(head, rawEntry(set(tarMagic, "\x00\x00\x00\x00\x00\x00\x00\x00"), "artifacts/a.bin", "hello", '0'), b, end), fault.Format, "magic"},
		{"bytes after the name", join(head, rawEntry(set(50, "x"), "artifacts/a.bin", "hello", '0'), b, end), fault.Format, "after its name"},
		{"padding", join(head, func() []byte { b := bytes.Clone(a); b[len(b)-1] = 1; return b }(), b, end), fault.Format, "padding"},
		{"one zero block", join(head, a, b, end[:tarBlock]), fault.Format, "two zero blocks"},
		{"no end", join(head, a, b), fault.Format, "ends within"},
		{"odd end", join(head, a, b, end, []byte{0}), fault.Format, "two zero blocks"},
		{"bytes after the end", join(head, a, b, end, a), fault.Format, "after the end"},
		{"a mebibyte of zeros", join(head, a, b, make([]byte, maxTarTrailer+tarBlock)), fault.Limit, "zero bytes"},
		{"manifest second", join(rawEntry(nil, "manifest.sig", "x", '0'), a, end), fault.Entry, `"manifest.json"`},
		{"dot slash", join(rawEntry(nil, "./manifest.json", "x", '0'), end), fault.Path, `"./manifest.json"`},
		{"no signature", join(head[:2*tarBlock], a, b, end), fault.SignatureMissing, `"manifest.sig"`},
		{"nothing but a manifest", join(head[:2*tarBlock], end), fault.SignatureMissing, `"manifest.sig"`},
		{"large signature", join(head[:2*tarBlock], rawEntry(nil, "manifest.sig", strings.Repeat("x", MaxSignatureSize+1), '0'), end), fault.Limit, ""},
		{"large manifest", rawEntry(set(tarSize, "00100000000"), "manifest.json", "", '0'), fault.Limit, ""},
		{"empty", end, fault.Entry, "ends where"},
	} {
		err := checkBytes(oneFrame(t, c.tar), m, testManifestRaw, testSigRaw)
		if fault.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: got %s: %v; want %s with %q", c.name, fault.CodeOf(err), err, c.code, c.words)
		}
	}
	two := join(oneFrame(t, join(head, a)), oneFrame(t, join(b, end)))
	wantCode(t, checkBytes(two, m, testManifestRaw, testSigRaw), fault.Format)
	skip := join(oneFrame(t, join(head, a, b, end)), []byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0})
	wantCode(t, checkBytes(skip, m, testManifestRaw, testSigRaw), fault.Format)
}

// TestStreamStopsEarly: what comes after the wanted artifacts is read by strict runs only.
func TestStreamStopsEarly(t *testing.T) {
	m := rawManifest([]blob{{"artifacts/a.bin", []byte("hello"), 64 << 10}})
	b := oneFrame(t, join(headBytes(testManifestRaw, testSigRaw, 0), rawEntry(nil, "artifacts/a.bin", "hello", '0'), rawEntry(nil, "x", "", '0'), make([]byte, tarEnd)))
	s, _ := inMemory(t, b, OpenOptions{})
	if err := s.Extract(context.Background(), m, ExtractOptions{Paths: []string{"artifacts/a.bin"}}); err != nil {
		t.Error(err)
	}
	wantCode(t, s.Extract(context.Background(), m, ExtractOptions{Paths: []string{"artifacts/a.bin"}, Strict: true}), fault.Entry)
}

// TestHeadersAgainstArchiveTar reads our headers with Go's own reader.
func TestHeadersAgainstArchiveTar(t *testing.T) {
	for _, path := range []string{
		"artifacts/a", long, "artifacts/" + strings.Repeat("a", 89), "artifacts/" + strings.Repeat("a", 90), "artifacts/" + strings.Repeat("a", 91),
		"artifacts/" + strings.Repeat("é", 40), strings.Repeat("d", 155) + "/" + strings.Repeat("f", 40), strings.Repeat("d", 60) + "/" + strings.Repeat("e", 95) + "/f",
		"artifacts/" + strings.Repeat("b/", 50) + "c",
	} {
		for _, size := range []int64{0, 1, 8<<30 - 1, 8 << 30} {
			h := tarHeader(path, size, 1_800_000_000)
			got, err := tar.NewReader(bytes.NewReader(h)).Next()
			if err != nil || got.Name != path || got.Size != size || got.ModTime.Unix() != 1_800_000_000 || got.Mode != 0o644 || got.Uid != 0 || got.Typeflag != tar.TypeReg {
				t.Errorf("%q, %d bytes: %+v, %v", path, size, got, err)
			}
			e, err := (&tarReader{r: bytes.NewReader(h)}).next()
			if err != nil || e.name != path || e.size != size {
				t.Errorf("%q, %d bytes: %+v, %v", path, size, e, err)
			}
		}
	}
}

// FuzzTarReader: no panic, no more memory than the limits, an end.
func FuzzTarReader(f *testing.F) {
	f.Add(join(rawEntry(nil, "a", "x", '0'), make([]byte, tarEnd)))
	f.Add(join(paxEntry("path", "b"), rawEntry(nil, "b", "x", '0'), make([]byte, tarEnd)))
	f.Add(tarHeader(long+strings.Repeat("x", 60), 8<<30, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &tarReader{r: bytes.NewReader(b)}
		for {
			e, err := r.next()
			if err != nil {
				if e != (tarEntry{}) {
					t.Errorf("%+v together with %v", e, err)
				}
				if !errors.Is(err, io.EOF) && fault.CodeOf(err).Exit() != 3 {
					t.Errorf("%v has no code of exit 3", err)
				}
				return
			}
			if n, err := io.CopyN(io.Discard, r.r, e.size); err != nil {
				if n > int64(len(b)) {
					t.Error("read more than there is")
				}
				return
			}
			if r.skipPadding() != nil {
				return
			}
		}
	})
}

// FuzzSeekTable: what is taken is what would be written.
func FuzzSeekTable(f *testing.F) {
	frames := []seekFrame{{size: 100, decoded: 2048, crc: 1}, {off: 100, size: 30, decoded: 1024, crc: 2}}
	good := appendTail(nil, frames)
	f.Add(good, int64(130+len(good)))
	f.Add(good[:20], int64(20))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		got, err := parseTail(b, size)
		if err != nil {
			if got != nil || fault.CodeOf(err).Exit() != 3 {
				t.Errorf("%v, %v", got, err)
			}
			return
		}
		if got.size() != size {
			t.Errorf("accounts for %d bytes of %d", got.size(), size)
		}
		if got.checked && !bytes.Equal(appendTail(nil, got.frames), b) {
			t.Error("taken, but not what would be written")
		}
	})
}

// FuzzOpen: arbitrary bytes neither panic nor hang nor take memory beyond the limits.
func FuzzOpen(f *testing.F) {
	path, m := writeTest(f, flipBlobs())
	f.Add(read(f, path))
	f.Add(streamOf(f, flipBlobs()))
	f.Add(bomb(fhdChecksum, 0x98, 1, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := checkBytes(b, m, testManifestRaw, testSigRaw); err != nil && fault.CodeOf(err).Exit() != 3 {
			t.Errorf("%v has no code of exit 3", err)
		}
	})
}
