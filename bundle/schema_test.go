package bundle

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// loadSchema compiles docs/schemas/<name>.schema.json with another's validator.
func loadSchema(t *testing.T, name string) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	file := filepath.Join("..", "docs", "schemas", name+".schema.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s, doc.(map[string]any)
}

func schemaAccepts(t *testing.T, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// schemaCase is one text; what a schema cannot say is left to the program alone.
type schemaCase struct {
	old, new string // replaced once in the good example
	schema   bool   // the schema refuses it too
}

var manifestCases = map[string]schemaCase{
	"schema 2":              {SchemaV1, "oem-model-bundle/2", true},
	"sha256":                {`"hash_alg": "sha384"`, `"hash_alg": "sha256"`, true},
	"family":                {`"market-regime"`, `"Market"`, true},
	"family with dot":       {`"market-regime"`, `"market."`, true},
	"version":               {`"1.4.2-rc.1"`, `"v1.4.2"`, true},
	"version leading zero":  {`"1.4.2-rc.1"`, `"1.4.2-01"`, true},
	"created in a zone":     {`09:00:00Z`, `09:00:00+01:00`, true},
	"created in 1969":       {`"2026-11-02T`, `"1969-11-02T`, true},
	"created in 2242":       {`"2026-11-02T`, `"2242-11-02T`, true},
	"created 30 February":   {`"2026-11-02T`, `"2026-02-30T`, false},
	"path outside":          {`"path": "artifacts/empty.txt"`, `"path": "empty.txt"`, true},
	"path climbs":           {`"path": "artifacts/empty.txt"`, `"path": "artifacts/../empty.txt"`, true},
	"path backslash":        {`"path": "artifacts/empty.txt"`, `"path": "artifacts/a\\b"`, true},
	"path ends in dot":      {`"path": "artifacts/empty.txt"`, `"path": "artifacts/a./b"`, true},
	"path device":           {`"path": "artifacts/empty.txt"`, `"path": "artifacts/CoM¹.txt"`, true},
	"path short name":       {`"path": "artifacts/empty.txt"`, `"path": "artifacts/LONGNA~1.TXT"`, true},
	"path too long":         {`"path": "artifacts/empty.txt"`, `"path": "artifacts/` + strings.Repeat("a", 200) + `"`, true},
	"path too deep":         {`"path": "artifacts/empty.txt"`, `"path": "artifacts` + strings.Repeat("/a", 16) + `"`, true},
	"path not NFC":          {`"path": "artifacts/empty.txt"`, `"path": "artifacts/e` + "\u0301" + `"`, false},
	"size negative":         {`"size": 0`, `"size": -1`, true},
	"size not whole":        {`"size": 0`, `"size": 0.5`, true},
	"size as text":          {`"size": 0`, `"size": "0"`, true},
	"number not canonical":  {`"min_cores": 2`, `"min_cores": 2.0`, false},
	"digest upper case":     {emptySHA384.String(), strings.ToUpper(emptySHA384.String()), true},
	"chunk_size":            {`"chunk_size": 65536`, `"chunk_size": 100000`, true},
	"chunks missing":        {`"chunks": []`, `"chunks": ["` + emptySHA384.String() + `"]`, false},
	"role":                  {`"role": "metadata"`, `"role": "virus"`, true},
	"media type":            {`"text/plain"`, `"text/plain; charset=utf-8"`, true},
	"unknown member":        {`"role": "metadata"`, `"role": "metadata", "mode": 7`, true},
	"letter case":           {`"hash_alg"`, `"Hash_alg"`, true},
	"missing member":        {`"passed": false`, `"x_passed": false`, true},
	"null":                  {`"drift"`, `null`, true},
	"variant id":            {`"id": "cpu-int8"`, `"id": "cpu/int8"`, true},
	"variant twice":         {`"id": "cpu-int8"`, `"id": "cuda"`, false},
	"engine":                {`"engine": "onnx"`, `"engine": "tensorrt"`, true},
	"priority":              {`"priority": 20`, `"priority": 20000000`, true},
	"variant's artifact":    {`"artifacts/int8/model.onnx"` + "\n", `"artifacts/nix.onnx"` + "\n", false},
	"cpu feature":           {`"avx2"`, `"AVX2"`, true},
	"gpu vendor":            {`"nvidia"`, `"voodoo"`, true},
	"device id":             {`"2684"`, `"0x2684"`, true},
	"dtype":                 {`"float32"`, `"float"`, true},
	"dimension":             {`"batch"`, `-1`, true},
	"tensor name":           {`"name": "x"`, `"name": "\u202ex"`, true},
	"latency 0":             {`"max_latency_ms": 12.5`, `"max_latency_ms": 0`, true},
	"memory 0":              {`"max_memory_mib": 256`, `"max_memory_mib": 0`, true},
	"tolerance":             {`"abs": 0.00001`, `"abs": -1`, true},
	"golden file":           {`"x": "artifacts/golden/x.pb"`, `"x": "artifacts/golden/nix.pb"`, false},
	"golden of other input": {`"x": "artifacts/golden/x.pb"`, `"z": "artifacts/golden/x.pb"`, false},
	"quality direction":     {`"direction": "max"`, `"direction": "up"`, true},
	"quality passed":        {`"passed": false`, `"passed": true`, false},
	"stage":                 {`"stage": "live"`, `"stage": "demo"`, true},
	"no English":            {`"en": "Did`, `"de": "Did`, true},
	"text escapes":          {`"run 7"`, `"\u001b[2J"`, true},
	"text too long":         {`"run 7"`, `"` + strings.Repeat("x", 2001) + `"`, true},
}

// The JSON Schema never refuses what the program accepts, and says what it can of what the program refuses.
func TestManifestSchema(t *testing.T) {
	s, _ := loadSchema(t, "manifest")
	good := string(marshalIndented(t, exampleManifest()))
	for _, text := range []string{
		good,
		strings.Replace(good, `"role": "metadata"`, `"role": "metadata", "x_note": {"a": 1}`, 1),
		strings.Replace(good, `"hash_alg"`, `"x_a": [1], "hash_alg"`, 1),
	} {
		if err := schemaAccepts(t, s, []byte(text)); err != nil {
			t.Errorf("the schema refuses a good manifest: %v", err)
		}
		if _, err := ParseManifest([]byte(text)); err != nil {
			t.Errorf("the program refuses a good manifest: %v", err)
		}
	}
	for name, c := range manifestCases {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("the example does not hold %q", c.old)
			}
			bad := []byte(strings.Replace(good, c.old, c.new, 1))
			if _, err := ParseManifest(bad); err == nil {
				t.Error("the program accepts it")
			}
			if err := schemaAccepts(t, s, bad); (err != nil) != c.schema {
				t.Errorf("the schema says %v, want it to refuse: %v", err, c.schema)
			}
		})
	}
}

// specSchemaText gives a spec as the schema sees it: the YAML as JSON.
func specSchemaText(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := yamlToJSON([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSpecSchema(t *testing.T) {
	s, _ := loadSchema(t, "bundle-spec")
	good := exampleSpec(t)
	if err := schemaAccepts(t, s, specSchemaText(t, good)); err != nil {
		t.Errorf("the schema refuses the example of docs/format.md: %v", err)
	}
	for _, c := range []schemaCase{
		{"model_family: market-regime", "model_family: Market", true},
		{"model_family: market-regime", "family: market-regime", true},
		{"model_family: market-regime", "model_family: market-regime\nx_a: 1", true},
		{"version: 1.4.2", "version: v1.4.2", true},
		{"schema: oem-bundle-spec/1", "schema: oem-bundle-spec/2", true},
		{"role: weights", "role: weight", true},
		{"execution_provider: cpu", "execution_provider: CPU", true},
		{"max_memory_mib: 256", "max_memory_mib: lots", true},
		{"stage: live", "stage: demo", true},
		{"passed: true", "passed: false", false},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("the example does not hold %q", c.old)
		}
		bad := strings.Replace(good, c.old, c.new, 1)
		if _, err := ParseSpec([]byte(bad)); err == nil {
			t.Errorf("the program accepts %q", c.new)
		}
		if err := schemaAccepts(t, s, specSchemaText(t, bad)); (err != nil) != c.schema {
			t.Errorf("the schema says %v of %q, want it to refuse: %v", err, c.new, c.schema)
		}
	}
	// The shipped demo is a spec as well.
	if demo, err := os.ReadFile(filepath.Join("..", "assets", "demo", "bundle.yaml")); err == nil {
		if err := schemaAccepts(t, s, specSchemaText(t, string(demo))); err != nil {
			t.Errorf("the schema refuses the demo's bundle.yaml: %v", err)
		}
		if _, err := ParseSpec(demo); err != nil {
			t.Error(err)
		}
	}
}

// What the two schemas share stays the same but for x_ members, which only a manifest may have.
func TestSchemasAgree(t *testing.T) {
	_, manifest := loadSchema(t, "manifest")
	_, spec := loadSchema(t, "bundle-spec")
	a, b := manifest["$defs"].(map[string]any), spec["$defs"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if name == "artifact" {
			continue
		}
		if !reflect.DeepEqual(withoutExtensions(a[name]), b[name]) {
			t.Errorf("$defs/%s differs between the schemas", name)
		}
	}
	for _, name := range []string{"variants", "inference_contract", "quality", "provenance", "checklist", "version", "model_family"} {
		x, y := manifest["properties"].(map[string]any)[name], spec["properties"].(map[string]any)[name]
		if x == nil || !reflect.DeepEqual(x, y) {
			t.Errorf("property %s differs between the schemas", name)
		}
	}
}

func withoutExtensions(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if k != "patternProperties" {
				out[k] = withoutExtensions(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutExtensions(v[i])
		}
		return out
	}
	return v
}

// Every member of the Go types stands in the schemas, required where the program requires it.
func TestSchemasNameEveryMember(t *testing.T) {
	for name, typ := range map[string]reflect.Type{"manifest": reflect.TypeFor[Manifest](), "bundle-spec": reflect.TypeFor[Spec]()} {
		_, doc := loadSchema(t, name)
		c := &schemaWalk{t: t, defs: doc["$defs"].(map[string]any)}
		c.compare(name, doc, typ)
	}
}

type schemaWalk struct {
	t    *testing.T
	defs map[string]any
}

func (c *schemaWalk) compare(where string, node map[string]any, typ reflect.Type) {
	if ref, ok := node["$ref"].(string); ok {
		c.compare(where, c.defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), typ)
		return
	}
	switch typ = followed(typ); {
	case typ == nil:
	case typ.Kind() == reflect.Slice:
		c.compare(where+"[]", node["items"].(map[string]any), typ.Elem())
	case typ.Kind() == reflect.Struct:
		s := scanner{fields: map[reflect.Type]map[string]field{}}
		props := node["properties"].(map[string]any)
		var required []string
		for _, r := range node["required"].([]any) {
			required = append(required, r.(string))
		}
		members := s.members(typ)
		for name, f := range members {
			p, ok := props[name].(map[string]any)
			if !ok {
				c.t.Errorf("%s.%s is not in the schema", where, name)
				continue
			}
			if f.required != slices.Contains(required, name) {
				c.t.Errorf("%s.%s: the program requires it: %v, the schema the opposite", where, name, f.required)
			}
			c.compare(where+"."+name, p, f.typ)
		}
		if len(props) != len(members) {
			c.t.Errorf("%s has %d properties in the schema, %d in the program", where, len(props), len(members))
		}
	}
}

// exampleSpec is the complete example of docs/format.md, so that what people copy is what is tested.
func exampleSpec(t testing.TB) string {
	t.Helper()
	return docExample(t, "yaml")
}

// docExample is the one fenced block of a language in docs/format.md.
func docExample(t testing.TB, language string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "docs", "format.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(raw, -1)
	if len(found) != 1 {
		t.Fatalf("docs/format.md holds %d examples in %s, want one", len(found), language)
	}
	return string(found[0][1])
}

// The manifest shown in docs/format.md is a manifest.
func TestDocumentedManifest(t *testing.T) {
	text := docExample(t, "json")
	if _, err := ParseManifest([]byte(text)); err != nil {
		t.Error(err)
	}
	s, _ := loadSchema(t, "manifest")
	if err := schemaAccepts(t, s, []byte(text)); err != nil {
		t.Error(err)
	}
}
