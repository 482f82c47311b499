package bundle

import (
	"errors"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"
)

var (
	idPattern        = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	providerPattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	wordPattern      = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)
	featurePattern   = regexp.MustCompile(`^[a-z0-9_.-]{1,32}(\|[a-z0-9_.-]{1,32}){0,7}$`)
	pciIDPattern     = regexp.MustCompile(`^[0-9a-f]{4}$`)
	langPattern      = regexp.MustCompile(`^[a-z]{2,3}(-[a-z0-9]{2,8})*$`)
	mediaTypePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$`)
)

// checkID is the rule of model_family and of every id: it may become part of a file name.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return errors.New("want 1 to 64 of a-z 0-9 . _ - that begin with a letter or digit")
	}
	if id[len(id)-1] == '.' {
		return errors.New("want no dot at the end")
	}
	return nil
}

// checkLine is the rule of names that others chose (tensors, cases): one visible line, nothing that hides or moves text.
func checkLine(s string, limit int) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > limit:
		return fmt.Errorf("has %d bytes, want at most %d", len(s), limit)
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	}
	for _, r := range s {
		if hiddenRune(r) {
			return fmt.Errorf("holds the control or format character %U", r)
		}
	}
	return nil
}

// checkText is the rule of free text: line feeds and tabs are allowed, and the joiners and marks that languages need;
// other control characters and those that override the direction of text are not.
func checkText(s string) error {
	if n := utf8.RuneCountInString(s); n > maxText {
		return fmt.Errorf("has %d characters, want at most %d", n, maxText)
	}
	for _, r := range s {
		if r == '\n' || r == '\t' {
			continue
		}
		if unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return fmt.Errorf("holds the control character %U", r)
		}
	}
	return nil
}

// checkMediaType accepts type/subtype in lower case, without parameters (RFC 6838).
func checkMediaType(s string) error {
	if !mediaTypePattern.MatchString(s) {
		return errors.New("want type/subtype in lower case without parameters")
	}
	return nil
}
