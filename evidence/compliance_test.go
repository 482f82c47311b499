package evidence_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/bundle"
	"sluice/evidence"
)

// docs/compliance.md promises fields and tests: each field is in a real pack, each test in the sources.
func TestCompliancePageNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile("../docs/compliance.md")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := unpack(t, site(t)["live"].raw)
	parts := map[string]any{"report": decoded(t, files[evidence.ReportFile]), "record": decoded(t, files[evidence.RecordFile]), "manifest": decoded(t, files[evidence.ManifestFile]),
		"decision": predicate(t, files["signoffs/live/2.dsse.json"]), "form": decoded(t, files["signoffs/live/2.form.json"]),
		"policy": predicate(t, files["policies/1.json"]), "index": predicate(t, indexOf(t, "live")), "emergency": predicate(t, indexOf(t, "emergency"))}
	var log []any
	for _, line := range bytes.Split(bytes.TrimSpace(files["log/live_execution.jsonl"]), []byte("\n")) {
		log = append(log, decoded(t, line))
	}
	parts["log"] = log
	tests := declared(t)
	rows, fields, names := 0, 0, 0
	token := regexp.MustCompile("`([^`]+)`")
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.Contains(line, "---") || strings.TrimSpace(cells[1]) == "rule" {
			continue
		}
		rows++
		for _, m := range token.FindAllStringSubmatch(cells[3], -1) {
			fields++
			part, path, _ := strings.Cut(m[1], ":")
			if part == "pack" {
				if len(files[path]) == 0 {
					t.Errorf("the pack holds no %q", path)
				}
				continue
			}
			if parts[part] == nil || !has(parts[part], strings.Split(path, ".")) {
				t.Errorf("field %q is not there", m[1])
			}
		}
		for _, m := range token.FindAllStringSubmatch(cells[4], -1) {
			names++
			if !tests[m[1]] {
				t.Errorf("test %q is not there", m[1])
			}
		}
		if !token.MatchString(cells[3]) || !token.MatchString(cells[4]) {
			t.Errorf("a rule without field or test: %s", line)
		}
	}
	if rows < 18 || fields < 40 || names < 30 {
		t.Errorf("%d rules, %d fields, %d tests: the page was not read", rows, fields, names)
	}
	for _, rule := range []string{"11.50", "Article 5", "Article 17", "CIP-010", "Part 1.6", "not certified"} {
		if !bytes.Contains(page, []byte(rule)) {
			t.Errorf("the page does not speak of %q", rule)
		}
	}
	if has(parts["report"], []string{"decisions", "no_such_member"}) || has(parts["log"], []string{"no_such_member"}) || tests["TestNoSuchTest"] {
		t.Error("this test finds what is not there")
	}
}

func decoded(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func predicate(t *testing.T, raw []byte) any {
	t.Helper()
	env, err := bundle.ParseEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	st, err := env.Unverified()
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, st.Predicate)
}

func indexOf(t *testing.T, name string) []byte {
	t.Helper()
	raw := site(t)[name].raw // the first entry: one header block, then the index
	end := bytes.IndexByte(raw[512:], 0)
	if n := bytes.LastIndexByte(raw[512:512+end], '}'); n > 0 {
		return raw[512 : 512+n+1]
	}
	t.Fatal("no index")
	return nil
}

// has goes into members, and in a list into the first element that has it.
func has(v any, path []string) bool {
	if len(path) == 0 {
		return v != nil && v != ""
	}
	switch v := v.(type) {
	case map[string]any:
		next, ok := v[path[0]]
		return ok && has(next, path[1:])
	case []any:
		for _, e := range v {
			if has(e, path) {
				return true
			}
		}
	}
	return false
}

// declared are the names of all test functions.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range name.FindAllSubmatch(raw, -1) {
			out[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
