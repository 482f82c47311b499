package compliance

import (
	"bytes"
	"encoding/json"
	"io"

	"go.yaml.in/yaml/v4"

	"sluice/bundle"
	"sluice/internal/fault"
)

// MaxItemsSize is the largest file of a site's own questions in bytes.
const MaxItemsSize = 1 << 20

// ParseItems reads a site's own questions for a policy: a list of items, JSON when the file begins with "[", else YAML
// without aliases, anchors, tags and unknown or duplicate keys. Error: E-SPEC.
func ParseItems(raw []byte) ([]Item, error) {
	bad := func(format string, args ...any) ([]Item, error) { return nil, fault.New(fault.Spec, format, args...) }
	if len(raw) > MaxItemsSize {
		return bad("the checklist has %d bytes, want at most %d", len(raw), MaxItemsSize)
	}
	if text := bytes.TrimSpace(raw); len(text) == 0 || text[0] != '[' {
		dec := yaml.NewDecoder(bytes.NewReader(raw))
		var doc, more yaml.Node
		if err := dec.Decode(&doc); err != nil {
			return bad("reading the checklist: %w", err)
		}
		if err := dec.Decode(&more); err != io.EOF {
			return bad("reading the checklist: more than one YAML document")
		}
		if err := plainYAML(&doc, 0); err != nil {
			return bad("reading the checklist: %w", err)
		}
		var v any
		if err := doc.Decode(&v); err != nil {
			return bad("reading the checklist: %w", err)
		}
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return bad("reading the checklist: %w", err)
		}
	}
	items := []Item{}
	if err := bundle.StrictUnmarshal(raw, &items, 2*MaxItemsSize); err != nil {
		return bad("reading the checklist: %w", err)
	}
	if err := checkSiteItems(items); err != nil {
		return bad("the checklist: %w", err)
	}
	return items, nil
}
