package compliance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/bundle"
)

// facts are what an installer finds, with text that somebody wrote to mislead.
func facts(hostile string) *Facts {
	return &Facts{Made: "2026-11-01T12:00:00Z", Program: "1.0.0", Bundle: BundleFacts{Created: "2026-10-01T00:00:00Z",
		JudgedBy: RootFacts{Of: "oem", Version: 2, Fingerprint: strings.Repeat("ab12 ", 15) + "ab12", First: strings.Repeat("cd34 ", 15) + "cd34", Expires: "2030-01-01T00:00:00Z"},
		Signers:  []SignerFacts{{KeyID: "k", Fingerprint: "1111 2222", Role: "targets"}}},
		SiteRoot:  RootFacts{Of: "site", Version: 1, Fingerprint: "eeee", First: "eeee", Expires: "2030-01-01T00:00:00Z"},
		Installed: InstalledFacts{By: hostile, At: "2026-10-30T08:00:00Z"}, Hardware: []Named{{"cpu", hostile}, {"gpu", "nvidia H200"}},
		Engine: []Named{{"engine", "onnxruntime"}, {"library_sha384", strings.Repeat("0f", 48)}}, Limits: []Named{{"median_ms", "0.25"}},
		Cases:   []CaseFacts{{Model: "artifacts/models/a.onnx", Name: "calm", WorstAbs: 0.001, WorstRel: 0.25, LatencyMS: 0.5}},
		Quality: []QualityFacts{{ID: "accuracy", Value: 0.93, Direction: "min", Threshold: 0.9, Passed: true, Report: "artifacts/reports/accuracy.json"}},
		Files:   []FileFacts{{Path: "artifacts/models/" + strings.Repeat("very-long-name/", 12) + "a.onnx", Size: 12345, SHA384: bundle.Digest{7}}},
		Logs:    map[string]LogHead{"live_execution": {Entries: 42, SHA384: bundle.Digest{5}}}}
}

// pages gives the text of a record's pages as another program reads it.
func pages(t *testing.T, r *Record, lang Lang, args ...string) string {
	t.Helper()
	raw, err := r.PDF(lang)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.PDF(lang); err != nil || !bytes.Equal(raw, again) {
		t.Errorf("equal records give other pages: %v", err)
	}
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("pdftotext is not installed (poppler-utils): the pages cannot be read")
	}
	file := filepath.Join(t.TempDir(), "r.pdf")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, append(append([]string{"-enc", "UTF-8"}, args...), file, "-")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(string(out)), " "), " / ", "/")
}

// The signature block has printed name, role, meaning, time and key id (21 CFR 11.50); the pages say everything in both languages.
func TestReportPages(t *testing.T) {
	p := testPolicy(t)
	r, err := NewRecord(testChecklist(t, Live, p), p, liveSigned(t, p), want(Live))
	if err != nil {
		t.Fatal(err)
	}
	r.Facts = facts("Łukasz Żółć")
	digest := r.Decisions[1].Envelope.String()
	for lang, words := range map[Lang][]string{
		Polish: {"Protokół odbioru", "Komplet: podpisały wszystkie wymagane osoby", "Imię i nazwisko Bert", "Rola osoba ds. zgodności (compliance)", "Znaczenie zatwierdził(a)",
			"Podpisano (zegar lokalny) 2026-11-01T12:00:00Z", "Identyfikator klucza " + r.Decisions[1].KeyID, digest[:48] + " " + digest[48:],
			"Krok Odpowiedzialny Artefakty Akceptacja", "Potwierdź integralność modeli OEM", "Zainstalował(a) Łukasz Żółć", "co najmniej 0,9", "1/", "dziennik", "42"},
		English: {"Sign-off record", "Name Bert", "Role compliance officer", "Meaning approved", "Signed at (local clock) 2026-11-01T12:00:00Z", "Key id " + r.Decisions[1].KeyID,
			"Step Responsible Artifacts Acceptance", "Confirm the integrity of the OEM models", "Installed by Łukasz Żółć", "at least 0.9", "nvidia H200"},
	} {
		text := pages(t, r, lang)
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: the pages lack %q:\n%s", lang, w, text)
			}
		}
		if strings.Contains(text, "[report.") {
			t.Errorf("%s: a text is missing: %s", lang, regexp.MustCompile(`\[report\.[^]]*`).FindString(text))
		}
	}
}

// A refusal and a missing signature stand on the first page.
func TestReportPagesOfWhatIsNotComplete(t *testing.T) {
	p := testPolicy(t)
	o := options(t, p, Live, "anna", RoleOperator, nil)
	o.Refuse, o.Reason, o.Answers = true, "opóźnienie jest za duże", nil
	refused, err := NewRecord(testChecklist(t, Live, p), p, [][]byte{sign(t, o, "anna")}, want(Live))
	if err != nil {
		t.Fatal(err)
	}
	if text := pages(t, refused, Polish); !strings.Contains(text, "ODMOWA") || !strings.Contains(text, "Powód opóźnienie jest za duże") || strings.Contains(text, "Komplet:") {
		t.Errorf("a refusal: %s", text)
	}
	part, err := NewRecord(testChecklist(t, Live, p), p, liveSigned(t, p)[:1], want(Live))
	if err != nil {
		t.Fatal(err)
	}
	if text := pages(t, part, English, "-l", "1"); !strings.Contains(text, "Not complete; still needed: compliance officer") {
		t.Errorf("one signature: %s", text)
	}
}

// Threat 15: names from outside cannot move, hide or flood anything on the pages.
func TestThreat15ReportPages(t *testing.T) {
	p := testPolicy(t)
	r, err := NewRecord(testChecklist(t, Live, p), p, liveSigned(t, p), want(Live))
	if err != nil {
		t.Fatal(err)
	}
	r.Facts = facts("a\u202egpj\x1b[2J<b>" + strings.Repeat("W", 10000) + "END")
	text := pages(t, r, Polish)
	if !strings.Contains(text, `a\u{202e}gpj\u{001b}[2J<b>`) || strings.Contains(text, "END") || strings.Contains(text, "\u202e") {
		t.Error("hostile text got through")
	}
}

func TestParseRecord(t *testing.T) {
	p := testPolicy(t)
	r, err := NewRecord(testChecklist(t, Live, p), p, liveSigned(t, p), want(Live))
	if err != nil {
		t.Fatal(err)
	}
	r.Facts = facts("x")
	raw, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseRecord(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.JSON()
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("a record that was read is written otherwise: %v", err)
	}
	for _, bad := range []string{"", "{}", "null", strings.Replace(string(raw), RecordSchema, "x", 1), strings.Replace(string(raw), `"decision":{`, `"decision":null,"x":{`, 1)} {
		if _, err := ParseRecord([]byte(bad)); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"schema":"sluice-record/1","stage":"live","decisions":[{"decision":{"signed_at":"2026-11-01T12:00:00Z"}}],"checklist":{"items":[]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseRecord(raw)
		if err != nil {
			if r != nil {
				t.Fatal("a record beside an error")
			}
			return
		}
		if len(raw) < 4096 {
			_, _ = r.PDF(Polish) // whatever it says, pages or an error
		}
	})
}
