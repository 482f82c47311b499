package bundle

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice/internal/fault"
)

// Sizes and names of the tar layer (POSIX.1-2017, pax, "ustar Interchange Format").
const (
	tarBlock     = 512
	tarMaxOctal  = 1<<33 - 1 // largest number in an 11-digit octal field: 8 GiB - 1
	tarNameLen   = 100
	tarPrefixLen = 155
	tarEnd       = 2 * tarBlock // two zero blocks end an archive

	manifestName  = "manifest.json"
	signatureName = "manifest.sig"
)

// Byte ranges of a ustar header.
const (
	tarMode     = 100
	tarUID      = 108
	tarGID      = 116
	tarSize     = 124
	tarMtime    = 136
	tarSum      = 148
	tarType     = 156
	tarLink     = 157
	tarMagic    = 257
	tarVersion  = 263
	tarDevMajor = 329
	tarDevMinor = 337
	tarPrefix   = 345
)

// tarPadding is how many zero bytes follow size bytes of data.
func tarPadding(size int64) int64 { return -size & (tarBlock - 1) }

// tarHeader gives the header block or blocks of a regular file, one block unless path or size needs a PAX record. The
// bytes depend on nothing but the arguments. mtime is in seconds since 1970 and must fit the field (checkMtime).
func tarHeader(path string, size, mtime int64) []byte {
	prefix, name, fits := splitTarName(path)
	var records []byte
	if !fits {
		records = appendPAX(records, "path", path)
		prefix, name = "", plainTarName(path)
	}
	field := size
	if size > tarMaxOctal {
		records = appendPAX(records, "size", strconv.FormatInt(size, 10))
		field = 0
	}
	var out []byte
	if len(records) > 0 {
		out = appendTarBlock(out, "", "././@PaxHeader", int64(len(records)), mtime, 'x')
		out = append(out, records...)
		out = append(out, make([]byte, tarPadding(int64(len(records))))...)
	}
	return appendTarBlock(out, prefix, name, field, mtime, '0')
}

// splitTarName fits a path into a header's name and prefix fields: the whole in name if it fits, else cut at the
// last slash that leaves both parts short enough. Paths that are not ASCII do not fit: ustar gives them no meaning.
func splitTarName(path string) (prefix, name string, ok bool) {
	for _, c := range []byte(path) {
		if c >= 0x80 {
			return "", "", false
		}
	}
	if len(path) <= tarNameLen {
		return "", path, true
	}
	i := strings.LastIndexByte(path[:min(len(path), tarPrefixLen+1)], '/')
	if i <= 0 || len(path)-i-1 > tarNameLen || i == len(path)-1 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// plainTarName is what stands in the name field beside a PAX path: at most 100 bytes of ASCII, no slash at the end.
func plainTarName(path string) string {
	b := []byte(path)
	for i, c := range b {
		if c >= 0x80 {
			b[i] = '_'
		}
	}
	return strings.TrimRight(string(b[:min(len(b), tarNameLen)]), "/")
}

// appendPAX adds one record "length key=value\n"; the length counts its own digits.
func appendPAX(dst []byte, key, value string) []byte {
	rest := len(key) + len(value) + 3
	n := rest + len(strconv.Itoa(rest))
	if len(strconv.Itoa(n)) != len(strconv.Itoa(rest)) {
		n = rest + len(strconv.Itoa(n))
	}
	return fmt.Appendf(dst, "%d %s=%s\n", n, key, value)
}

func appendTarBlock(dst []byte, prefix, name string, size, mtime int64, typ byte) []byte {
	var b [tarBlock]byte
	copy(b[:tarNameLen], name)
	copy(b[tarMode:], "0000644\x00")
	copy(b[tarUID:], "0000000\x00")
	copy(b[tarGID:], "0000000\x00")
	copy(b[tarSize:], fmt.Sprintf("%011o\x00", size))
	copy(b[tarMtime:], fmt.Sprintf("%011o\x00", mtime))
	b[tarType] = typ
	copy(b[tarMagic:], "ustar\x0000")
	copy(b[tarDevMajor:], "0000000\x00")
	copy(b[tarDevMinor:], "0000000\x00")
	copy(b[tarPrefix:], prefix)
	copy(b[tarSum:], fmt.Sprintf("%06o\x00 ", tarChecksum(&b)))
	return append(dst, b[:]...)
}

// tarChecksum sums the header's bytes, its own field taken as spaces.
func tarChecksum(b *[tarBlock]byte) int64 {
	var sum int64
	for i, c := range b {
		if i >= tarSum && i < tarType {
			c = ' '
		}
		sum += int64(c)
	}
	return sum
}

// checkMtime turns the manifest's created into a header's mtime.
func checkMtime(created string) (int64, error) {
	t, err := time.Parse(time.RFC3339, created)
	if err != nil {
		return 0, fault.New(fault.ManifestInvalid, "created %q is not an RFC 3339 time", clip(created))
	}
	if u := t.Unix(); u >= 0 && u <= tarMaxOctal {
		return u, nil
	}
	return 0, fault.New(fault.ManifestInvalid, "created %q does not fit a tar header, want 1970 to 2242", clip(created))
}

// allZero says whether b holds zero bytes only.
func allZero(b []byte) bool {
	for len(b) >= len(zeroBlock) {
		if !bytes.Equal(b[:len(zeroBlock)], zeroBlock[:]) {
			return false
		}
		b = b[len(zeroBlock):]
	}
	return bytes.Equal(b, zeroBlock[:len(b)])
}

var zeroBlock [4096]byte
