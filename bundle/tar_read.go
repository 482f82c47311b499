package bundle

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice/internal/fault"
)

// Limits of the tar reader.
const (
	maxPAXSize    = 16 << 10 // bytes of the records before one entry
	maxTarTrailer = 1 << 20  // zero bytes after the last entry (GNU tar fills up to its blocking factor)
)

// tarEntry is one regular file or directory of an archive, the name as it stands there.
type tarEntry struct {
	name string
	size int64
	dir  bool
}

// tarReader reads an archive that other tools made: ustar, pax or GNU magic, regular files and directories only. It is
// stricter than archive/tar, which reads on over what it does not understand.
type tarReader struct {
	r   io.Reader
	off int64 // bytes read so far, for messages
	pad int64 // padding of the entry in hand
}

// errTar makes the error of a malformed archive.
func (t *tarReader) errTar(code fault.Code, format string, args ...any) *fault.Error {
	return fault.New(code, "tar header at byte %d of the decoded archive "+format, append([]any{t.off - tarBlock}, args...)...).
		With("tar_offset", t.off-tarBlock)
}

// next reads the next entry's header, and gives io.EOF after a proper end. The entry's data must have been read with
// data to its end.
func (t *tarReader) next() (tarEntry, error) {
	var b [tarBlock]byte
	if err := t.readFull(b[:]); err != nil {
		return tarEntry{}, err
	}
	if allZero(b[:]) {
		return tarEntry{}, t.end()
	}
	h, err := t.header(&b)
	if err != nil {
		return tarEntry{}, err
	}
	if h.typ != 'x' {
		return t.entry(h, nil)
	}
	if h.size > maxPAXSize {
		return tarEntry{}, t.errTar(fault.Limit, "has %d bytes of PAX records, want at most %d", h.size, maxPAXSize)
	}
	raw := make([]byte, h.size+tarPadding(h.size))
	if err := t.readFull(raw); err != nil {
		return tarEntry{}, err
	}
	if !allZero(raw[h.size:]) {
		return tarEntry{}, t.errTar(fault.Format, "follows PAX records whose padding is not zero")
	}
	pax, err := parsePAX(raw[:h.size])
	if err != nil {
		return tarEntry{}, err
	}
	if err := t.readFull(b[:]); err != nil {
		return tarEntry{}, err
	}
	if h, err = t.header(&b); err != nil {
		return tarEntry{}, err
	}
	return t.entry(h, pax)
}

// data reads all of p from the entry in hand.
func (t *tarReader) data(p []byte) error { return t.readFull(p) }

// skipPadding reads the zero bytes after the entry's data.
func (t *tarReader) skipPadding() error {
	var b [tarBlock]byte
	p := b[:t.pad]
	t.pad = 0
	if err := t.readFull(p); err != nil {
		return err
	}
	if !allZero(p) {
		return fault.New(fault.Format, "tar padding before byte %d of the decoded archive is not zero", t.off)
	}
	return nil
}

func (t *tarReader) readFull(p []byte) error {
	n, err := io.ReadFull(t.r, p)
	t.off += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Format, "the archive ends within an entry, at byte %d of the decoded archive", t.off)
	}
	return err
}

// end demands a second zero block, zeros after it and nothing else, and gives io.EOF then.
func (t *tarReader) end() error {
	buf := make([]byte, 4096)
	total := tarBlock
	for {
		n, err := io.ReadFull(t.r, buf)
		t.off += int64(n)
		total += n
		if !allZero(buf[:n]) {
			return fault.New(fault.Format, "bytes after the end of the archive, before byte %d of the decoded archive", t.off)
		}
		if total > maxTarTrailer {
			return fault.New(fault.Limit, "more than %d zero bytes after the last entry", maxTarTrailer)
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return err
		case total < tarEnd || total%tarBlock != 0:
			return fault.New(fault.Format, "the archive does not end with two zero blocks")
		default:
			return io.EOF
		}
	}
}

// tarFields is a header block as it stands.
type tarFields struct {
	name string
	size int64
	mode int64
	typ  byte
	link bool
}

// header reads one block's fields. It believes nothing that the checksum does not cover.
func (t *tarReader) header(b *[tarBlock]byte) (tarFields, error) {
	sum, ok := tarOctal(b[tarSum:tarType])
	if !ok || sum != tarChecksum(b) {
		return tarFields{}, t.errTar(fault.Format, "has a wrong checksum")
	}
	gnu := false
	switch magic := string(b[tarMagic : tarMagic+8]); magic {
	case "ustar\x0000":
	case "ustar  \x00":
		gnu = true
	default:
		return tarFields{}, t.errTar(fault.Format, "has the magic %q, want ustar, pax or GNU tar", magic)
	}
	h := tarFields{typ: b[tarType], link: b[tarLink] != 0}
	if h.typ == 0 {
		h.typ = '0'
	}
	if h.name, ok = tarString(b[:tarNameLen]); !ok {
		return tarFields{}, t.errTar(fault.Format, "has bytes after its name")
	}
	if !gnu {
		prefix, ok := tarString(b[tarPrefix : tarPrefix+tarPrefixLen])
		if !ok || !allZero(b[tarPrefix+tarPrefixLen:]) {
			return tarFields{}, t.errTar(fault.Format, "has bytes after its prefix")
		}
		if prefix != "" {
			h.name = prefix + "/" + h.name
		}
	}
	if h.mode, ok = tarOctal(b[tarMode:tarUID]); !ok {
		return tarFields{}, t.errTar(fault.Format, "has a mode that is not octal")
	}
	size := b[tarSize:tarMtime]
	if h.size, ok = tarOctal(size); !ok && gnu {
		h.size, ok = tarBinary(size)
	}
	if !ok || h.size > MaxSize {
		return tarFields{}, t.errTar(fault.Format, "has a size that is no valid number")
	}
	return h, nil
}

// entry judges a header together with the PAX records before it.
func (t *tarReader) entry(h tarFields, pax map[string]string) (tarEntry, error) {
	e := tarEntry{name: h.name, size: h.size, dir: h.typ == '5'}
	if path, ok := pax["path"]; ok {
		if h.name != path && !longTarName(h.name, path) {
			return tarEntry{}, t.errTar(fault.Entry, "names %q, its PAX record %q: want the same", clip(h.name), clip(path)).With("path", clip(path))
		}
		e.name = path
	}
	if s, ok := pax["size"]; ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > MaxSize || strconv.FormatInt(n, 10) != s {
			return tarEntry{}, t.errTar(fault.Format, "has the PAX size %q, want a plain number", clip(s))
		}
		if n != h.size && n <= tarMaxOctal {
			return tarEntry{}, t.errTar(fault.Entry, "says %d bytes, its PAX record %d: want the same", h.size, n).With("path", clip(e.name))
		}
		e.size = n
	}
	if e.dir {
		if e.size != 0 {
			return tarEntry{}, t.errTar(fault.Entry, "is a directory %q of %d bytes, want none", clip(e.name), e.size).With("path", clip(e.name))
		}
		e.name = strings.TrimSuffix(e.name, "/")
	}
	if what := tarKind(h); what != "" {
		// A bad name is the worse news, so it goes first. Headers for other headers have a name that names no file.
		if err := ValidPath(e.name); err != nil && !strings.ContainsRune("xgLK", rune(h.typ)) {
			return tarEntry{}, err
		}
		return tarEntry{}, t.errTar(fault.Entry, "is %s %q, want regular files only", what, clip(e.name)).With("path", clip(e.name))
	}
	t.pad = tarPadding(e.size)
	return e, nil
}

// longTarName says whether a header may hold name beside the PAX path: the path is too long for the field and cut
// off, or not ASCII and spelled in some other way.
func longTarName(name, path string) bool {
	for _, c := range []byte(path) {
		if c >= 0x80 {
			return true
		}
	}
	return len(path) > tarNameLen && name != "" && strings.HasPrefix(path, name)
}

// tarKind names what an entry is when it may not be here, else it is empty.
func tarKind(h tarFields) string {
	switch h.typ {
	case '0', '5':
		switch {
		case h.link:
			return "an entry with a link target"
		case h.typ == '0' && h.mode&0o7000 != 0:
			return "a file with set-uid, set-gid or sticky bit"
		}
		return ""
	case '1':
		return "a hard link"
	case '2':
		return "a symbolic link"
	case '3':
		return "a character device"
	case '4':
		return "a block device"
	case '6':
		return "a fifo"
	case 'S':
		return "a sparse file"
	case 'L', 'K':
		return "a GNU long-name entry"
	case 'x':
		return "a second PAX header before one entry,"
	case 'g':
		return "a global PAX header"
	}
	return "an entry of type " + strconv.QuoteRune(rune(h.typ))
}

// paxIgnored are records about the file's owner and times, which mean nothing here.
var paxIgnored = []string{"atime", "ctime", "mtime", "uid", "gid", "uname", "gname"}

// parsePAX reads PAX records. Only path and size count; any but those and paxIgnored is refused, for extended attributes,
// sparse maps and link targets come this way.
func parsePAX(raw []byte) (map[string]string, error) {
	out := map[string]string{}
	for len(raw) > 0 {
		digits, _, ok := bytes.Cut(raw[:min(len(raw), 8)], []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || strconv.Itoa(n) != string(digits) || n <= len(digits)+1 || n > len(raw) || raw[n-1] != '\n' {
			return nil, fault.New(fault.Format, "PAX record %q has no valid length", clip(string(raw)))
		}
		key, value, ok := strings.Cut(string(raw[len(digits)+1:n-1]), "=")
		if _, twice := out[key]; !ok || twice || strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
			return nil, fault.New(fault.Format, "PAX record %q is malformed or there twice", clip(string(raw[:n])))
		}
		known := key == "path" || key == "size"
		for _, k := range paxIgnored {
			known = known || k == key
		}
		if !known {
			return nil, fault.New(fault.Entry, "PAX record %q, want only path, size, owner and times: no extended attributes, links or sparse files", clip(key)).
				With("record", clip(key))
		}
		out[key] = value
		raw = raw[n:]
	}
	return out, nil
}

// tarOctal reads an octal field: digits, then spaces and zero bytes.
func tarOctal(b []byte) (int64, bool) {
	var n int64
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '7'; i++ {
		n = n<<3 | int64(b[i]-'0')
	}
	for _, c := range b[i:] {
		if c != ' ' && c != 0 {
			return 0, false
		}
	}
	return n, i > 0
}

// tarBinary reads GNU tar's number for what octal digits cannot hold: 0x80, then big-endian.
func tarBinary(b []byte) (int64, bool) {
	if b[0] != 0x80 || !allZero(b[1:4]) || b[4] >= 0x80 {
		return 0, false
	}
	var n int64
	for _, c := range b[4:] {
		n = n<<8 | int64(c)
	}
	return n, n > tarMaxOctal
}

// tarString is the text before the first zero byte; only zero bytes may follow.
func tarString(b []byte) (string, bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return string(b), true
	}
	return string(b[:i]), allZero(b[i:])
}
