package widgets

import (
	"strings"

	"sluice/ui/widgets/style"
)

// Groups writes a digest in groups of four, as people compare it.
func Groups(digest string) string {
	var b strings.Builder
	for i, r := range digest {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// CutDigest keeps the first and the last groups of four of a digest. Few groups are for the eye only: whoever compares
// must see the whole.
func CutDigest(digest string, head, tail int) string {
	if len(digest) <= 4*(head+tail) {
		return Groups(digest)
	}
	return Groups(digest[:4*head]) + " … " + Groups(digest[len(digest)-4*tail:])
}

// ShortDigest is for table cells: four characters of either end.
func ShortDigest(digest string) string {
	if len(digest) <= 9 {
		return digest
	}
	return digest[:4] + "…" + digest[len(digest)-4:]
}

// NewDigest shows the first three and the last two groups of a digest in monospace, with the algorithm before it.
func NewDigest(algorithm, digest string) *Text {
	return NewText(style.Mono, strings.TrimSpace(algorithm+" "+CutDigest(digest, 3, 2)))
}

// NewWholeDigest shows all of it, in groups that wrap.
func NewWholeDigest(digest string) *Text { return NewText(style.Mono, Groups(digest)) }
