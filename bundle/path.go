package bundle

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"sluice/internal/fault"
)

// ErrPath stands for every unsafe or clashing path.
var ErrPath = fault.New(fault.Path, "unsafe path")

func pathError(p, format string, args ...any) error {
	args = append([]any{clip(p)}, args...)
	return fault.New(fault.Path, "path %q "+format, args...).With("path", clip(p))
}

// ValidPath checks a path of a bundle by rules that hold on every system at once, so that a bundle built here
// unpacks anywhere: relative, parts separated by "/", at most 200 bytes and 16 parts, UTF-8 in NFC, no ".", ".." or
// empty part, no control, format or line-separating character, none of \ : * ? " < > |, no part that ends in a dot or
// space, no Windows device name with any extension, nothing that looks like a DOS short name (~1).
func ValidPath(p string) error {
	switch {
	case p == "":
		return pathError(p, "is empty")
	case len(p) > MaxPathBytes:
		return pathError(p, "has %d bytes, want at most %d", len(p), MaxPathBytes)
	case !utf8.ValidString(p):
		return pathError(p, "is not UTF-8")
	case !norm.NFC.IsNormalString(p):
		return pathError(p, "is not in Unicode normal form NFC")
	case p[0] == '/':
		return pathError(p, "is absolute, want a relative one")
	}
	for _, r := range p {
		if strings.ContainsRune(`\:*?"<>|`, r) {
			return pathError(p, "holds %q, which not every system allows", r)
		}
		if hiddenRune(r) {
			return pathError(p, "holds the control or format character %U", r)
		}
	}
	parts := strings.Split(p, "/")
	if len(parts) > MaxPathParts {
		return pathError(p, "has %d parts, want at most %d", len(parts), MaxPathParts)
	}
	for _, part := range parts {
		if err := validPart(p, part); err != nil {
			return err
		}
	}
	return nil
}

func validPart(p, part string) error {
	switch {
	case part == "":
		return pathError(p, "has an empty part")
	case part == "." || part == "..":
		return pathError(p, "has the part %q", part)
	case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
		return pathError(p, "has the part %q, which ends in a dot or space", part)
	case isDeviceName(part):
		return pathError(p, "has the part %q, a device name on Windows", part)
	}
	for i := range len(part) - 1 {
		if part[i] == '~' && part[i+1] >= '0' && part[i+1] <= '9' {
			return pathError(p, "has the part %q, which looks like a DOS short name", part)
		}
	}
	return nil
}

// isDeviceName knows the names that Windows keeps for devices, with or without extension, in any letter case.
func isDeviceName(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	port, ok := strings.CutPrefix(base, "COM")
	if !ok {
		port, ok = strings.CutPrefix(base, "LPT")
	}
	if !ok {
		return false
	}
	switch port {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}

// hiddenRune says whether a reader would not see r, or would see other characters moved by it: control and format
// characters (bidi marks, zero width, byte order mark, tags), line and paragraph separators, noncharacters.
func hiddenRune(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) || r == utf8.RuneError
}

// CheckPaths checks each path with ValidPath and then all against each other as a file system without letter case
// and with any normal form would see them: no two equal, none the folder of another, no folder spelled in two ways.
func CheckPaths(paths []string) error {
	files := make(map[string]string, len(paths))
	folders := map[string]string{}
	keys := make([]string, len(paths))
	for i, p := range paths {
		if err := ValidPath(p); err != nil {
			return err
		}
		keys[i] = clashKey(p)
		if other, ok := files[keys[i]]; ok {
			return clash(p, other)
		}
		files[keys[i]] = p
	}
	for i, p := range paths {
		// Neither folding nor normal form makes or moves a slash, so the folders of p and of its key correspond.
		end, keyEnd := 0, 0
		for {
			n, k := strings.IndexByte(p[end:], '/'), strings.IndexByte(keys[i][keyEnd:], '/')
			if n < 0 || k < 0 {
				break
			}
			folder, key := p[:end+n], keys[i][:keyEnd+k]
			end, keyEnd = end+n+1, keyEnd+k+1
			if other, ok := files[key]; ok {
				return clash(p, other)
			}
			if other, ok := folders[key]; ok && other != folder {
				return clash(p, other)
			}
			folders[key] = folder
		}
	}
	return nil
}

func clash(p, other string) error {
	return fault.New(fault.Path, "paths %q and %q clash where letter case or normal form does not count", clip(p), clip(other)).
		With("path", clip(p)).With("other", clip(other))
}

// clashKey is the canonical caseless form of the Unicode Standard, section 3.13 (D145), with full case folding.
func clashKey(p string) string {
	ascii := true
	for i := range len(p) {
		if p[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(p)
	}
	return strings.Map(simpleFold, norm.NFD.String(cases.Fold().String(norm.NFD.String(p))))
}

// simpleFold gives all runes of one letter the same one. cases.Fold alone leaves Cherokee as it is.
func simpleFold(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A' // as the shorter way for ASCII paths does
	}
	return least
}
