package verify_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"sluice/internal/fault"
	"sluice/internal/testoms"
	"sluice/verify"
)

var modelFiles = map[string][]byte{"model.onnx": []byte("weights"), "sub/tokenizer.json": []byte("{}"), "README.md": []byte("hello")}

func openModel(files map[string][]byte) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files[name])), nil }
}

// The three curves of the format, each with its hash; a file more in the signature than is packed does no harm.
func TestModelSignedCurves(t *testing.T) {
	for _, bits := range []int{256, 384, 521} {
		s, err := testoms.New(bits)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := s.Sign(testoms.Statement("regime", modelFiles))
		if err != nil {
			t.Fatal(err)
		}
		got, err := verify.ModelSigned(raw, s.PEM)
		if err != nil || got.Model != "regime" || got.Files() != 3 {
			t.Fatalf("P-%d: %+v %v", bits, got, err)
		}
		if err := got.Covers(t.Context(), []string{"sub/tokenizer.json", "model.onnx"}, openModel(modelFiles)); err != nil {
			t.Errorf("P-%d: %v", bits, err)
		}
		changed := map[string][]byte{"model.onnx": []byte("weights!")}
		if err := got.Covers(t.Context(), []string{"model.onnx"}, openModel(changed)); fault.CodeOf(err) != fault.ProvenanceFiles {
			t.Errorf("P-%d, changed file: %v", bits, err)
		}
		if err := got.Covers(t.Context(), []string{"../model.onnx"}, openModel(modelFiles)); fault.CodeOf(err) != fault.ProvenanceFiles {
			t.Errorf("P-%d, file that was not signed: %v", bits, err)
		}
	}
}

// A single file has its own name, or in the first release of the reference implementation a dot.
func TestModelSignedSingleFile(t *testing.T) {
	s, err := testoms.New(256)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Sign(testoms.Statement("model.onnx", map[string][]byte{".": []byte("weights")}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := verify.ModelSigned(raw, s.PEM)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Covers(t.Context(), []string{"model.onnx"}, openModel(modelFiles)); err != nil {
		t.Error(err)
	}
}

func TestModelSignedRefuses(t *testing.T) {
	s, err := testoms.New(384)
	if err != nil {
		t.Fatal(err)
	}
	other, err := testoms.New(384)
	if err != nil {
		t.Fatal(err)
	}
	small, err := testoms.New(224)
	if err != nil {
		t.Fatal(err)
	}
	statement := func(change func(st, predicate, serialization, first map[string]any)) []byte {
		st := testoms.Statement("regime", modelFiles)
		p := st["predicate"].(map[string]any)
		change(st, p, p["serialization"].(map[string]any), p["resources"].([]any)[0].(map[string]any))
		raw, err := s.Sign(st)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := statement(func(_, _, _, _ map[string]any) {})
	edited := func(change func(b map[string]any)) []byte {
		var b map[string]any
		if err := json.Unmarshal(good, &b); err != nil {
			t.Fatal(err)
		}
		change(b)
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	material := func(b map[string]any) map[string]any { return b["verificationMaterial"].(map[string]any) }
	envelope := func(b map[string]any) map[string]any { return b["dsseEnvelope"].(map[string]any) }
	if _, err := verify.ModelSigned(good, s.PEM); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw, key []byte
		text     string
	}{
		"another key":          {good, other.PEM, "the given one is"},
		"another key, no hint": {edited(func(b map[string]any) { delete(material(b)["publicKey"].(map[string]any), "hint") }), other.PEM, "does not hold"},
		"curve":                {good, small.PEM, "P-224"},
		"no key":               {good, []byte("-----BEGIN PUBLIC KEY-----\n"), "PEM"},
		"key twice":            {good, append(bytes.Clone(s.PEM), s.PEM...), "PEM"},
		"empty":                {nil, s.PEM, "reading"},
		"duplicate member":     {bytes.Replace(good, []byte(`{"dsse`), []byte(`{"mediaType":"x","dsse`), 1), s.PEM, "duplicate"},
		"media type":           {edited(func(b map[string]any) { b["mediaType"] = "text/plain" }), s.PEM, "media type"},
		"certificate":          {edited(func(b map[string]any) { b["verificationMaterial"] = map[string]any{"certificate": map[string]any{}} }), s.PEM, "certificate"},
		"payload type":         {edited(func(b map[string]any) { envelope(b)["payloadType"] = "text/plain" }), s.PEM, "payload type"},
		"no signature":         {edited(func(b map[string]any) { envelope(b)["signatures"] = []any{} }), s.PEM, "0 signatures"},
		"signature changed":    {edited(func(b map[string]any) { envelope(b)["signatures"].([]any)[0].(map[string]any)["sig"] = "AAAA" }), s.PEM, "does not hold"},
		"payload changed":      {edited(func(b map[string]any) { envelope(b)["payload"] = "e30=" }), s.PEM, "does not hold"},
		"predicate type":       {statement(func(st, _, _, _ map[string]any) { st["predicateType"] = "https://model_signing/Digests/v0.1" }), s.PEM, "predicate type"},
		"statement type":       {statement(func(st, _, _, _ map[string]any) { st["_type"] = "https://in-toto.io/Statement/v0.1" }), s.PEM, "statement type"},
		"two subjects": {statement(func(st, _, _, _ map[string]any) {
			st["subject"] = append(st["subject"].([]any), st["subject"].([]any)[0])
		}), s.PEM, "2 subjects"},
		"shards":              {statement(func(_, _, ser, _ map[string]any) { ser["method"] = "shards" }), s.PEM, "shards"},
		"other hash":          {statement(func(_, _, ser, _ map[string]any) { ser["hash_type"] = "blake2b" }), s.PEM, "blake2b"},
		"no files":            {statement(func(_, p, _, _ map[string]any) { p["resources"] = []any{} }), s.PEM, "0 files"},
		"file's hash":         {statement(func(_, _, _, r map[string]any) { r["algorithm"] = "sha1" }), s.PEM, "SHA-256"},
		"short digest":        {statement(func(_, _, _, r map[string]any) { r["digest"] = "00" }), s.PEM, "SHA-256"},
		"digest of the whole": {statement(func(_, _, _, r map[string]any) { r["digest"] = strings.Repeat("00", 32) }), s.PEM, "its files give"},
		"parent":              {statement(func(_, _, _, r map[string]any) { r["name"] = "../x" }), s.PEM, "relative path"},
		"absolute":            {statement(func(_, _, _, r map[string]any) { r["name"] = "/x" }), s.PEM, "relative path"},
		"not clean":           {statement(func(_, _, _, r map[string]any) { r["name"] = "a//x" }), s.PEM, "relative path"},
		"twice":               {statement(func(_, p, _, r map[string]any) { p["resources"] = append([]any{r}, p["resources"].([]any)...) }), s.PEM, "twice"},
		"no statement":        {func() []byte { raw, _ := s.Envelope([]byte("[]")); return raw }(), s.PEM, "statement"},
	} {
		got, err := verify.ModelSigned(c.raw, c.key)
		if got != nil || fault.CodeOf(err) != fault.ProvenanceSignature || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want one with %q", name, err, c.text)
		}
	}
}

// FuzzModelSigned needs no valid signature: the same bytes are the bundle and, signed, its payload.
func FuzzModelSigned(f *testing.F) {
	s, err := testoms.New(256)
	if err != nil {
		f.Fatal(err)
	}
	st, err := json.Marshal(testoms.Statement("regime", modelFiles))
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.Envelope(st)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(st)
	f.Add(good)
	f.Fuzz(func(t *testing.T, raw []byte) {
		signed, err := s.Envelope(raw)
		if err != nil {
			t.Skip()
		}
		for _, in := range [][]byte{raw, signed} {
			got, err := verify.ModelSigned(in, s.PEM)
			if (got == nil) == (err == nil) {
				t.Fatalf("%v with %v", got, err)
			}
		}
	})
}
