package bundle

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"sluice/internal/fault"
)

// SpecV1 is the only value of schema that bundle.yaml may have; it may also be left out.
const SpecV1 = "oem-bundle-spec/1"

// ErrSpec stands for every refused bundle.yaml.
var ErrSpec = fault.New(fault.Spec, "invalid bundle.yaml")

// Spec is bundle.yaml, what a bundle is built from: the manifest without what the builder finds out by itself.
// docs/format.md explains the fields, docs/schemas/bundle-spec.schema.json is their JSON Schema.
type Spec struct {
	Schema            string            `json:"schema,omitempty"`
	ModelFamily       string            `json:"model_family"`
	Version           string            `json:"version"`
	Created           string            `json:"created,omitempty"`   // as in the manifest; else SOURCE_DATE_EPOCH, else now
	ChunkSize         int64             `json:"chunk_size,omitzero"` // bytes, for artifacts that give none; 0: 8 MiB
	Artifacts         []SpecArtifact    `json:"artifacts"`
	Variants          []Variant         `json:"variants"`
	InferenceContract InferenceContract `json:"inference_contract"`
	Quality           []QualityFigure   `json:"quality,omitempty"`
	Provenance        *Provenance       `json:"provenance,omitempty"`
	Checklist         []ChecklistItem   `json:"checklist,omitempty"`
}

// SpecArtifact is one file to put into the bundle.
type SpecArtifact struct {
	Path      string `json:"path"`                 // in the bundle, under artifacts/
	Source    string `json:"source,omitempty"`     // the file, relative to bundle.yaml; empty: Path without artifacts/
	Role      Role   `json:"role"`                 //
	MediaType string `json:"media_type,omitempty"` // empty: by the path's extension
	ChunkSize int64  `json:"chunk_size,omitzero"`  // bytes; 0: the spec's
}

// ParseSpec reads bundle.yaml: one YAML document of at most 4 MiB, without anchors, aliases, merge keys, tags,
// nulls, duplicate or unknown keys. A plain scalar where a text is wanted is that text as written (version: 1.10 stays
// "1.10"). It gives nothing together with an error. Errors: E-LIMIT, E-SPEC, E-PATH, E-SCHEMA.
func ParseSpec(raw []byte) (*Spec, error) {
	if err := checkSize(raw, maxSpecSize); err != nil {
		return nil, err
	}
	doc, err := yamlToJSON(raw, reflect.TypeFor[Spec]())
	if err != nil {
		return nil, fault.New(fault.Spec, "reading bundle.yaml: %w", err)
	}
	s := new(Spec)
	if err := strictTyped(doc, s, 2*maxSpecSize, false); err != nil {
		return nil, fault.New(fault.Spec, "reading bundle.yaml: %w", err)
	}
	if s.Schema != "" && s.Schema != SpecV1 {
		return nil, fault.New(fault.Schema, "schema %q, want %q", clip(s.Schema), SpecV1).With("schema", clip(s.Schema))
	}
	// All but sizes, digests and the time is known, so all rules but theirs apply before any file is read.
	m := s.manifest()
	if m.Created == "" {
		m.Created = createdMin.Format(createdLayout)
	}
	if err := m.check(false); err != nil {
		return nil, specError(err)
	}
	return s, nil
}

// specError turns a manifest's fault into one of the file that the user wrote; unsafe paths keep their code.
func specError(err error) error {
	if fault.CodeOf(err) == fault.Path {
		return err
	}
	return fault.New(fault.Spec, "bundle.yaml: %w", err)
}

// manifest is everything of the manifest that the spec alone decides: sizes, digests, builder are missing.
func (s *Spec) manifest() *Manifest {
	m := &Manifest{
		Schema: SchemaV1, ModelFamily: s.ModelFamily, Version: s.Version, HashAlg: HashSHA384, Created: s.Created,
		Variants: s.Variants, InferenceContract: s.InferenceContract, Quality: s.Quality, Checklist: s.Checklist,
	}
	if s.Provenance != nil {
		p := *s.Provenance
		m.Provenance = &p
	}
	for _, a := range s.artifacts() {
		m.Artifacts = append(m.Artifacts, Artifact{Path: a.Path, ChunkSize: a.ChunkSize, Role: a.Role, MediaType: a.MediaType})
	}
	return m
}

// artifacts completes the list: defaults are filled in, and golden and report files that the contract and the quality
// figures name without an entry of their own are appended in the order in which they are named.
func (s *Spec) artifacts() []SpecArtifact {
	list := slices.Clone(s.Artifacts)
	known := make(map[string]bool, len(list))
	for _, a := range list {
		known[a.Path] = true
	}
	add := func(p string, role Role) {
		if p != "" && !known[p] {
			known[p] = true
			list = append(list, SpecArtifact{Path: p, Role: role})
		}
	}
	cases := slices.Clone(s.InferenceContract.Golden)
	for _, c := range s.InferenceContract.Companions {
		cases = append(cases, c.Golden...)
	}
	for _, g := range cases {
		for _, files := range []map[string]string{g.Inputs, g.Outputs} {
			for _, name := range slices.Sorted(maps.Keys(files)) {
				add(files[name], RoleGolden)
			}
		}
	}
	for _, q := range s.Quality {
		add(q.Report, RoleReport)
	}
	for i := range list {
		a := &list[i]
		if a.Source == "" {
			a.Source = strings.TrimPrefix(a.Path, "artifacts/")
		}
		if a.MediaType == "" {
			a.MediaType = mediaTypeOf(a.Path)
		}
		if a.ChunkSize == 0 {
			a.ChunkSize = s.ChunkSize
		}
		if a.ChunkSize == 0 {
			a.ChunkSize = DefaultChunkSize
		}
	}
	return list
}

func mediaTypeOf(p string) string {
	switch path.Ext(p) {
	case ".onnx":
		return "application/onnx"
	case ".pb":
		return "application/x-protobuf"
	case ".json":
		return "application/json"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".txt":
		return "text/plain"
	case ".md":
		return "text/markdown"
	case ".html":
		return "text/html"
	case ".csv":
		return "text/csv"
	case ".pdf":
		return "application/pdf"
	}
	return "application/octet-stream"
}

// createdAt decides the time that goes into manifest and tar headers: the spec's, else SOURCE_DATE_EPOCH (seconds since
// 1970, https://reproducible-builds.org/specs/source-date-epoch/), else now.
func (s *Spec) createdAt(sourceDateEpoch string, now time.Time) (string, error) {
	switch {
	case s.Created != "":
		return s.Created, nil
	case sourceDateEpoch != "":
		n, err := strconv.ParseInt(sourceDateEpoch, 10, 64)
		if err != nil || n < createdMin.Unix() || n >= createdMax.Unix() {
			return "", fault.New(fault.Usage, "SOURCE_DATE_EPOCH %q, want whole seconds since 1970 before 2242", clip(sourceDateEpoch))
		}
		now = time.Unix(n, 0)
	}
	return now.UTC().Format(createdLayout), nil
}

// yamlToJSON writes one YAML document as JSON. It follows t where it can, to know where a scalar is meant as text.
func yamlToJSON(raw []byte, t reflect.Type) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Load(raw, &doc); err != nil {
		return nil, err
	}
	node := &doc
	if node.Kind == yaml.DocumentNode {
		if len(node.Content) != 1 {
			return nil, fmt.Errorf("%d documents, want one", len(node.Content))
		}
		node = node.Content[0]
	}
	var out bytes.Buffer
	y := &yamlWriter{enc: jsontext.NewEncoder(&out), types: scanner{fields: map[reflect.Type]map[string]field{}}}
	if err := y.value(node, t, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

type yamlWriter struct {
	enc   *jsontext.Encoder
	types scanner
}

func (y *yamlWriter) value(n *yaml.Node, t reflect.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: nested deeper than %d", n.Line, maxDepth)
	}
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return fmt.Errorf("line %d: anchor or alias %q, want the value written out", n.Line, clip(n.Anchor+n.Value))
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return fmt.Errorf("line %d: tag %q, want none", n.Line, clip(n.Tag))
	}
	text := t != nil && wantsText(t)
	t = followed(t)
	switch n.Kind {
	case yaml.ScalarNode:
		return y.scalar(n, text)
	case yaml.SequenceNode:
		return y.sequence(n, t, depth)
	case yaml.MappingNode:
		return y.mapping(n, t, depth)
	}
	return fmt.Errorf("line %d: want a mapping, a sequence or a scalar", n.Line)
}

// wantsText says whether a Go type is written as a JSON string.
func wantsText(t reflect.Type) bool {
	return t.Kind() == reflect.String || reflect.PointerTo(t).Implements(textUnmarshaler)
}

func (y *yamlWriter) sequence(n *yaml.Node, t reflect.Type, depth int) error {
	var elem reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		elem = t.Elem()
	}
	if err := y.enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, c := range n.Content {
		if err := y.value(c, elem, depth+1); err != nil {
			return err
		}
	}
	return y.enc.WriteToken(jsontext.EndArray)
}

func (y *yamlWriter) mapping(n *yaml.Node, t reflect.Type, depth int) error {
	if err := y.enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 {
			return fmt.Errorf("line %d: want a plain text as key", key.Line)
		}
		if err := y.enc.WriteToken(jsontext.String(key.Value)); err != nil {
			return fmt.Errorf("line %d: %w", key.Line, plainJSONError(err))
		}
		var next reflect.Type
		switch {
		case t != nil && t.Kind() == reflect.Struct:
			f, ok := y.types.members(t)[key.Value]
			if !ok {
				return fmt.Errorf("line %d: unknown key %q", key.Line, clip(key.Value))
			}
			next = f.typ
		case t != nil && t.Kind() == reflect.Map:
			next = t.Elem()
		}
		if err := y.value(val, next, depth+1); err != nil {
			return err
		}
	}
	return y.enc.WriteToken(jsontext.EndObject)
}

func (y *yamlWriter) scalar(n *yaml.Node, text bool) error {
	tag := n.ShortTag()
	var tok jsontext.Token
	switch {
	case tag == "!!null":
		return fmt.Errorf("line %d: %q is null, want a value or no key at all", n.Line, clip(n.Value))
	case text || tag == "!!str" || tag == "!!timestamp":
		tok = jsontext.String(n.Value)
	case tag == "!!bool":
		if n.Value != "true" && n.Value != "false" {
			return fmt.Errorf("line %d: %q, want true or false", n.Line, clip(n.Value))
		}
		tok = jsontext.Bool(n.Value == "true")
	case tag == "!!int":
		var i int64
		if err := n.Decode(&i); err != nil {
			return fmt.Errorf("line %d: %q is not a whole number of 64 bits", n.Line, clip(n.Value))
		}
		tok = jsontext.Int(i)
	case tag == "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || f != f || f-f != 0 {
			return fmt.Errorf("line %d: %q is not a finite number", n.Line, clip(n.Value))
		}
		if f == 0 {
			f = 0 // no negative zero
		}
		tok = jsontext.Float(f)
	default:
		return fmt.Errorf("line %d: %q of kind %q, want text, number, true or false", n.Line, clip(n.Value), clip(tag))
	}
	if err := y.enc.WriteToken(tok); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, plainJSONError(err))
	}
	return nil
}
