package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
)

// StrictUnmarshal reads one JSON value (I-JSON, RFC 7493) into v and refuses whatever two readers could understand
// differently: more than limit bytes, invalid UTF-8 and lone surrogates, a byte order mark, duplicate names, names
// that v does not have or has in other letter case, bytes after the value, nesting deeper than 32, and numbers that are
// not written as RFC 8785 writes them (1.0, 1e3, -0, 1e400, integers beyond 2^53). A null leaves its field at
// the zero value, as if it were absent. After an error the content of v means nothing.
func StrictUnmarshal(raw []byte, v any, limit int64) error {
	if err := checkSize(raw, limit); err != nil {
		return err
	}
	if err := scanJSON(raw, nil, scanRules{nulls: true}); err != nil {
		return err
	}
	return decodeJSON(raw, v, json.RejectUnknownMembers(true))
}

// strictTyped is StrictUnmarshal with more rules, for what people sign: no null, each member of v's type that has neither
// omitempty nor omitzero must be there, and the limits of values and members hold. extensions lets members named x_… pass, unread.
func strictTyped(raw []byte, v any, limit int64, extensions bool) error {
	if err := checkSize(raw, limit); err != nil {
		return err
	}
	if err := scanJSON(raw, reflect.TypeOf(v).Elem(), scanRules{typed: true, bounded: true, extensions: extensions}); err != nil {
		return err
	}
	return decodeJSON(raw, v, json.RejectUnknownMembers(!extensions)) // the scan has refused all but x_ members
}

func checkSize(raw []byte, limit int64) error {
	if int64(len(raw)) > limit {
		return fault.New(fault.Limit, "%d bytes of JSON, want at most %d", len(raw), limit).
			With("size", len(raw)).With("limit", limit)
	}
	return nil
}

func decodeJSON(raw []byte, v any, opts ...json.Options) error {
	if err := json.Unmarshal(raw, v, opts...); err != nil {
		return plainJSONError(err)
	}
	return nil
}

// plainJSONError says where and what, without the library's name and without quoting pages of input.
func plainJSONError(err error) error {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		where := clip(string(sem.JSONPointer))
		if sem.Err != nil {
			return fmt.Errorf("at %q: %w", where, sem.Err)
		}
		return fmt.Errorf("at %q: JSON %s does not fit here, want %s", where, kindName(sem.JSONKind), sem.GoType)
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		return fmt.Errorf("at %q, byte %d: %w", clip(string(syn.JSONPointer)), syn.ByteOffset, syn.Err)
	}
	return err
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '0':
		return "number"
	case '{':
		return "object"
	case '[':
		return "array"
	}
	return "value"
}

type scanRules struct {
	nulls      bool // null is allowed
	typed      bool // follow a Go type: unknown and missing members are errors
	extensions bool // x_… members of typed objects are skipped
	bounded    bool // limits of tokens and of an object's members hold, for what nobody has vouched for
}

// scanJSON walks over one value token by token and checks everything that does not need the values themselves.
// With rules.typed it follows t as deep as t consists of structs, slices and maps.
func scanJSON(raw []byte, t reflect.Type, rules scanRules) error {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	s := &scanner{dec: dec, rules: rules, fields: map[reflect.Type]map[string]field{}}
	if err := s.value(t, 0); err != nil {
		return plainJSONError(err)
	}
	switch _, err := dec.ReadToken(); {
	case err == nil:
		return fmt.Errorf("at byte %d: more after the end of the JSON value, want nothing", dec.InputOffset())
	case !errors.Is(err, io.EOF):
		return plainJSONError(err)
	}
	return nil
}

type scanner struct {
	dec    *jsontext.Decoder
	rules  scanRules
	fields map[reflect.Type]map[string]field
	tokens int // values and names so far

	extensions     int   // x_… members so far
	extensionBytes int64 // their names and values
}

type field struct {
	typ      reflect.Type
	required bool
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("at %q: %w", clip(string(s.dec.StackPointer())), fmt.Errorf(format, args...))
}

// count counts values and names.
func (s *scanner) count() error {
	if s.tokens++; s.rules.bounded && s.tokens > maxTokens {
		return s.errorf("more than %d values and names", maxTokens)
	}
	return nil
}

func (s *scanner) value(t reflect.Type, depth int) error {
	if depth > maxDepth {
		return s.errorf("nested deeper than %d", maxDepth)
	}
	t = followed(t)
	tok, err := s.dec.ReadToken()
	if err != nil {
		return err
	}
	if err := s.count(); err != nil {
		return err
	}
	switch tok.Kind() {
	case 'n':
		if !s.rules.nulls {
			return s.errorf("null, want a value or no member at all")
		}
	case '0':
		return s.number(tok.String())
	case '{':
		return s.object(t, depth)
	case '[':
		var elem reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			elem = t.Elem()
		}
		for s.dec.PeekKind() != ']' {
			if err := s.value(elem, depth+1); err != nil {
				return err
			}
		}
		_, err = s.dec.ReadToken()
		return err
	}
	return nil
}

func (s *scanner) object(t reflect.Type, depth int) error {
	var known map[string]field
	var elem reflect.Type
	switch {
	case t != nil && t.Kind() == reflect.Struct:
		known = s.members(t)
	case t != nil && t.Kind() == reflect.Map:
		elem = t.Elem()
	}
	var seen map[string]bool
	if known != nil {
		seen = make(map[string]bool, len(known))
	}
	for n := 1; s.dec.PeekKind() != '}'; n++ {
		before := s.dec.InputOffset()
		tok, err := s.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := s.count(); err != nil {
			return err
		}
		if s.rules.bounded && n > maxMembers {
			return s.errorf("an object of more than %d members", maxMembers)
		}
		next, extension := elem, false
		if known != nil {
			name := tok.String()
			f, ok := known[name]
			switch {
			case ok:
				seen[name] = true
				next = f.typ
			case s.rules.extensions && strings.HasPrefix(name, "x_"):
				extension = true
			default:
				return s.errorf("unknown member %q", clip(name))
			}
		}
		if err := s.value(next, depth+1); err != nil {
			return err
		}
		if extension {
			s.extensions++
			s.extensionBytes += s.dec.InputOffset() - before
			if s.extensions > maxExtensions || s.extensionBytes > maxExtensionBytes {
				return s.errorf("more than %d x_ members or %d bytes of them", maxExtensions, maxExtensionBytes)
			}
		}
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	var missing []string
	for name, f := range known {
		if f.required && !seen[name] {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return s.errorf("member %q is missing", slices.Min(missing))
	}
	return nil
}

// number refuses each spelling but the one of RFC 8785, so that equal numbers are equal bytes.
func (s *scanner) number(text string) error {
	want, err := canonicalNumber(text)
	if err != nil {
		return s.errorf("number %q: %w", clip(text), err)
	}
	if want != text {
		return s.errorf("number %q, want it written as %q (RFC 8785)", clip(text), want)
	}
	return nil
}

func canonicalNumber(text string) (string, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", errors.New("does not fit a finite double")
	}
	if f == 0 {
		return "0", nil
	}
	return string(jsontext.AppendFloat(nil, f, 64)), nil
}

// followed strips pointers and gives nil for types that read their own JSON.
func followed(t reflect.Type) reflect.Type {
	if t == nil {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) || reflect.PointerTo(t).Implements(jsonUnmarshaler) {
		return nil
	}
	return t
}

var (
	textUnmarshaler = reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// members lists a struct's JSON members, all of which carry a json tag with a name.
func (s *scanner) members(t reflect.Type) map[string]field {
	if m, ok := s.fields[t]; ok {
		return m
	}
	m := make(map[string]field, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		m[name] = field{typ: f.Type, required: opts == ""}
	}
	s.fields[t] = m
	return m
}

// CanonicalJSON writes v as RFC 8785 does: no space, members sorted, one spelling for each number and string. An
// integer that a double cannot hold is an error, for another reader would see another number.
func CanonicalJSON(v any) ([]byte, error) {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("writing JSON: %w", plainJSONError(err))
		}
		if tok.Kind() != '0' {
			continue
		}
		text := tok.String()
		want, err := canonicalNumber(text)
		if err != nil || want != text && text != "-0" && !strings.ContainsAny(text, ".eE") {
			return nil, fmt.Errorf("writing JSON: at %q: integer %s is not exact in a double", clip(string(dec.StackPointer())), text)
		}
	}
	out := jsontext.Value(raw)
	if err := out.Canonicalize(); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return out, nil
}
