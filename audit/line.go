package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/bundle"
)

// Limits of one log.
const (
	MaxLine   = 64 << 10 // bytes of one line with its line feed
	maxString = 2000     // bytes of one value in Detail; more is cut
)

// signedPrefix separates these signatures from all others that the machine key makes.
const signedPrefix = "sluice-log-v1\x00"

// timeFormat is RFC 3339 in UTC with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

// encode signs an entry and gives its line with the line feed.
func encode(e Entry, key ed25519.PrivateKey) ([]byte, Entry, error) {
	e = tidy(e)
	unsigned, err := bundle.CanonicalJSON(withoutSig(e))
	if err == nil && len(unsigned) > MaxLine-200 { // 200: sig and line feed
		e.Detail = map[string]any{"left_out": len(unsigned)}
		unsigned, err = bundle.CanonicalJSON(withoutSig(e))
	}
	if err != nil {
		return nil, Entry{}, fmt.Errorf("writing log entry: %w", err)
	}
	e.Sig = ed25519.Sign(key, append([]byte(signedPrefix), unsigned...))
	line, err := bundle.CanonicalJSON(e)
	if err != nil {
		return nil, Entry{}, fmt.Errorf("writing log entry: %w", err)
	}
	if len(line) >= MaxLine {
		return nil, Entry{}, fmt.Errorf("writing log entry: line of %d bytes, want less than %d", len(line), MaxLine)
	}
	return append(line, '\n'), e, nil
}

func withoutSig(e Entry) Entry {
	e.Sig = nil
	return e
}

// tidy makes every value one that RFC 8785 can write: text that is no UTF-8 is marked, what JSON cannot hold exactly
// becomes text. Nothing here may fail: a refusal must reach the log whatever it quotes.
func tidy(e Entry) Entry {
	for _, s := range []*string{&e.Stage, &e.Status, &e.Event, &e.Actor, &e.Incident, &e.Code} {
		*s = tidyString(*s)
	}
	e.Artefacts, e.RuntimeFlags = tidyMap(e.Artefacts), tidyMap(e.RuntimeFlags)
	if len(e.Detail) == 0 {
		e.Detail = nil
		return e
	}
	detail := make(map[string]any, len(e.Detail))
	for k, v := range e.Detail {
		if s, ok := v.(string); ok {
			v = tidyString(s)
		} else if raw, err := bundle.CanonicalJSON(v); err != nil || len(raw) > maxString {
			v = tidyString(fmt.Sprint(v))
		}
		detail[tidyString(k)] = v
	}
	e.Detail = detail
	return e
}

func tidyMap(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[tidyString(k)] = tidyString(v)
	}
	return out
}

func tidyString(s string) string {
	if len(s) > maxString {
		cut := maxString
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// decode reads one line without its line feed and checks everything that can be seen from the line alone.
func decode(line []byte, log Log, public ed25519.PublicKey) (Entry, error) {
	e, err := parse(line)
	if err != nil {
		return Entry{}, err
	}
	unsigned, err := bundle.CanonicalJSON(withoutSig(e))
	if err != nil {
		return Entry{}, err
	}
	switch {
	case len(public) != ed25519.PublicKeySize:
		return Entry{}, errors.New("there is no machine key to check it with")
	case !ed25519.Verify(public, append([]byte(signedPrefix), unsigned...), e.Sig):
		return Entry{}, errors.New("its signature is not the machine's: it was edited or comes from elsewhere")
	case e.Log != log:
		return Entry{}, fmt.Errorf("it belongs to log %q", e.Log)
	}
	return e, nil
}

// parse reads a line without believing it.
func parse(line []byte) (Entry, error) {
	var e Entry
	if err := bundle.StrictUnmarshal(line, &e, MaxLine); err != nil {
		return Entry{}, fmt.Errorf("it is no log entry: %w", err)
	}
	again, err := bundle.CanonicalJSON(e)
	if err != nil {
		return Entry{}, fmt.Errorf("it is no log entry: %w", err)
	}
	if !bytes.Equal(again, line) {
		return Entry{}, errors.New("it is no log entry: not written as RFC 8785 writes it, or with members missing")
	}
	if _, err := time.Parse(timeFormat, e.Timestamp); err != nil {
		return Entry{}, fmt.Errorf("it is no log entry: timestamp %q", e.Timestamp)
	}
	return e, nil
}

func digestOf(line []byte) bundle.Digest { return sha512.Sum384(line) }
