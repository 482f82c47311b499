package bundle

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/fault"
)

func TestParseSpec(t *testing.T) {
	s, err := ParseSpec([]byte(exampleSpec(t)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != "1.4.2" || len(s.Variants) != 3 || s.Variants[0].Requires.GPU.DeviceIDs[0] != "2684" || s.Variants[2].Priority != 0 {
		t.Errorf("%+v", s)
	}
	var paths, sources []string
	for _, a := range s.artifacts() {
		paths, sources = append(paths, a.Path), append(sources, a.Source)
	}
	// Listed files first, then golden files and reports in the order in which they are named.
	want := []string{"artifacts/models/fp32.onnx", "artifacts/models/int8.onnx", "artifacts/models/trees.onnx", "artifacts/features.json",
		"artifacts/golden/calm/features.pb", "artifacts/golden/calm/probabilities.pb", "artifacts/golden/calm/volatility.pb", "artifacts/reports/accuracy.json"}
	if !slices.Equal(paths, want) {
		t.Errorf("artifacts are %q", paths)
	}
	if sources[0] != "out/regime-fp32.onnx" || sources[3] != "features.json" || sources[4] != "golden/calm/features.pb" {
		t.Errorf("sources are %q", sources)
	}
	list := s.artifacts()
	if list[3].ChunkSize != 65536 || list[0].ChunkSize != DefaultChunkSize || list[4].Role != RoleGolden || list[7].MediaType != "application/json" {
		t.Errorf("%+v", list)
	}
}

// A scalar where text is wanted is that text, however YAML would read it elsewhere.
func TestSpecPlainScalars(t *testing.T) {
	text := strings.NewReplacer("version: 1.4.2", "version: 1.10.0", `["2684", "2704"]`, "[1e04, 0010]", "3f2c1a9", "1234567",
		"en: Did you read the drift report?", "en: true").Replace(exampleSpec(t))
	s, err := ParseSpec([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if ids := s.Variants[0].Requires.GPU.DeviceIDs; ids[0] != "1e04" || ids[1] != "0010" || s.Version != "1.10.0" || s.Provenance.SourceRevision != "1234567" || s.Checklist[0].Text["en"] != "true" {
		t.Errorf("%q %q %+v %q", ids, s.Version, s.Provenance, s.Checklist[0].Text)
	}
}

func TestParseSpecRefuses(t *testing.T) {
	good := exampleSpec(t)
	for name, c := range map[string]struct {
		old, new string
		code     fault.Code
		want     string
	}{
		"schema":              {"oem-bundle-spec/1", "oem-bundle-spec/2", fault.Schema, "oem-bundle-spec/2"},
		"unknown key":         {"version:", "versoin:", fault.Spec, `unknown key "versoin"`},
		"letter case":         {"version:", "Version:", fault.Spec, "Version"},
		"x_ key":              {"version:", "x_a: 1\nversion:", fault.Spec, "x_a"},
		"duplicate key":       {"version:", "version: 1.0.0\nversion:", fault.Spec, "version"},
		"missing":             {"version: 1.4.2", "", fault.Spec, `"version" is missing`},
		"missing deep":        {"abs: 0.03, rel: 0", "abs: 0.03", fault.Spec, `"rel" is missing`},
		"null":                {"version: 1.4.2 ", "version: ", fault.Spec, "null"},
		"tilde":               {"version: 1.4.2", "version: ~", fault.Spec, "null"},
		"anchor":              {"version: 1.4.2", "version: &v 1.4.2", fault.Spec, "anchor"},
		"alias":               {"version: 1.4.2", "version: *v", fault.Spec, ""},
		"merge key":           {"version:", "<<: {created: a}\nversion:", fault.Spec, "<<"},
		"tag":                 {"version: 1.4.2", "version: !!str 1.4.2", fault.Spec, "tag"},
		"binary":              {"version: 1.4.2", "version: !!binary aGk=", fault.Spec, "tag"},
		"tag on a map":        {"version:", "provenance2: !x {}\nversion:", fault.Spec, ""},
		"two documents":       {"schema:", "a: 1\n---\nschema:", fault.Spec, ""},
		"complex key":         {"version:", "? [a]\n: b\nversion:", fault.Spec, "key"},
		"sequence for map":    {"provenance:", "provenance: []\nx:", fault.Spec, ""},
		"text for number":     {"max_memory_mib: 256", "max_memory_mib: lots", fault.Spec, "max_memory_mib"},
		"infinite":            {"abs: 0.03", "abs: .inf", fault.Spec, "finite"},
		"not a number":        {"abs: 0.03", "abs: .nan", fault.Spec, "finite"},
		"1e400":               {"abs: 0.03", "abs: 1e400", fault.Spec, ""},
		"2^53+1":              {"min_memory_mib: 4096", "min_memory_mib: 9007199254740993", fault.Spec, ""},
		"2^64":                {"min_memory_mib: 4096", "min_memory_mib: 18446744073709551616", fault.Spec, ""},
		"fraction":            {"min_cores: 4", "min_cores: 4.5", fault.Spec, ""},
		"YAML 1.1 yes":        {"passed: true", "passed: yes", fault.Spec, ""},
		"quality":             {"passed: true", "passed: false", fault.Spec, "passed"},
		"chunk size":          {"chunk_size: 8388608", "chunk_size: 8000000", fault.Spec, "power of two"},
		"path":                {"path: artifacts/features.json", "path: artifacts/../features.json", fault.Path, `".."`},
		"device name":         {"path: artifacts/features.json", "path: artifacts/nul.json", fault.Path, "device"},
		"golden file outside": {"features: artifacts/golden/calm/features.pb", "features: golden/calm/features.pb", fault.Path, "artifacts/"},
		"two paths":           {"path: artifacts/features.json", "path: artifacts/models/FP32.onnx", fault.Path, "clash"},
		"unknown variant":     {"cpu-int8: {abs", "cpu-int4: {abs", fault.Spec, "cpu-int4"},
		"created":             {"2026-11-02T09:00:00Z", "2026-11-02", fault.Spec, "created"},
		"deep":                {"version:", "a: " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + "\nversion:", fault.Spec, ""},
		"bad UTF-8":           {"regime-2026-10-28", "\xff", fault.Spec, ""},
		"escape sequence":     {"regime-2026-10-28", `"\e[2J"`, fault.Spec, "U+001B"},
		"lone surrogate":      {"regime-2026-10-28", `"\ud800"`, fault.Spec, ""},
		"too large":           {"schema:", strings.Repeat("#", maxSpecSize) + "\nschema:", fault.Limit, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("the example does not hold %q", c.old)
			}
			s, err := ParseSpec([]byte(strings.Replace(good, c.old, c.new, 1)))
			wantFault(t, err, c.code, c.want)
			if s != nil {
				t.Error("a spec came with the error")
			}
		})
	}
	for _, text := range []string{"", "null", "[]", "a", "{", "\t", "--- \n--- \n", "&a [*a]"} {
		wantFault(t, second(ParseSpec([]byte(text))), fault.Spec, "")
	}
}

func TestCreatedAt(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 999, time.FixedZone("CET", 3600))
	for _, c := range []struct{ spec, epoch, want string }{
		{"2026-01-02T03:04:05Z", "0", "2026-01-02T03:04:05Z"},
		{"", "86400", "1970-01-02T00:00:00Z"},
		{"", "", "2026-11-24T11:00:00Z"},
	} {
		if got, err := (&Spec{Created: c.spec}).createdAt(c.epoch, now); err != nil || got != c.want {
			t.Errorf("%+v gives %q, %v", c, got, err)
		}
	}
	for _, bad := range []string{"x", "-1", "1.5", "9999999999", " 1"} {
		wantFault(t, second((&Spec{}).createdAt(bad, now)), fault.Usage, "SOURCE_DATE_EPOCH")
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(exampleSpec(f)))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseSpec(raw)
		if err != nil {
			if s != nil || fault.CodeOf(err) == fault.Internal {
				t.Fatalf("%v with code %s (%v)", s, fault.CodeOf(err), err)
			}
			return
		}
		if err := s.manifest().check(false); err != nil && s.Created != "" {
			t.Fatal(err)
		}
	})
}
