package audit

import (
	"fmt"
	"io"
	"strings"
)

// An incident id has six random characters of Crockford's base 32 (30 bits) and a check character, to be read out on the
// phone. The check is the sum of the characters' values times a^1 … a^6 over GF(32), a being a root of x^5+x^2+1: one
// wrong character and two swapped ones are always noticed.
const (
	crockford   = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	incidentLen = 7
)

// NewIncident draws an incident id.
func NewIncident(rand io.Reader) (string, error) {
	var raw [incidentLen - 1]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", fmt.Errorf("drawing an incident id: %w", err)
	}
	out := make([]byte, 0, incidentLen)
	for _, b := range raw {
		out = append(out, crockford[b&31])
	}
	return string(append(out, check(out))), nil
}

// ValidIncident says whether s is an incident id as NewIncident writes it.
func ValidIncident(s string) bool {
	if len(s) != incidentLen {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(crockford, s[i]) < 0 {
			return false
		}
	}
	return check([]byte(s[:incidentLen-1])) == s[incidentLen-1]
}

// NormalizeIncident reads an id as people type it: lower case, O for 0, I and L for 1, spaces and dashes between.
// What it returns may still be invalid.
func NormalizeIncident(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-':
			return -1
		case 'o', 'O':
			return '0'
		case 'i', 'I', 'l', 'L':
			return '1'
		}
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func check(chars []byte) byte {
	sum, power := 0, 1
	for _, c := range chars {
		power = times(power, 2)
		sum ^= times(power, strings.IndexByte(crockford, c))
	}
	return crockford[sum]
}

// times multiplies in GF(32).
func times(a, b int) int {
	p := 0
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		if a <<= 1; a&32 != 0 {
			a ^= 0b100101
		}
	}
	return p
}
