package compliance

import (
	"strings"
	"testing"

	"sluice/internal/fault"
)

const goodItems = `
- id: desk-limits
  stage: live
  role: operator
  text:
    en: {step: The limits of the desk are known, artifacts: Limit sheet, acceptance: Signed by the head of the desk}
    pl: {step: Limity biurka są znane, artifacts: Arkusz limitów, acceptance: Podpisany przez kierownika}
- {id: budget, stage: paper, role: every, optional: true, text: {en: {step: Budget}}}
`

func TestSiteQuestionsFromAFile(t *testing.T) {
	items, err := ParseItems([]byte(goodItems))
	if err != nil || len(items) != 2 || items[0].Text[Polish].Artifacts != "Arkusz limitów" || !items[1].Optional || items[1].Role != RoleEvery {
		t.Fatalf("%+v, %v", items, err)
	}
	again, err := ParseItems([]byte(`[{"id":"budget","stage":"paper","role":"every","optional":true,"text":{"en":{"step":"Budget"}}}]`))
	if err != nil || !sameItem(again[0], items[1]) {
		t.Errorf("JSON: %+v, %v", again, err)
	}
	if none, err := ParseItems([]byte("[]")); err != nil || none == nil || len(none) != 0 {
		t.Errorf("no question: %v, %v", none, err)
	}
	for name, bad := range map[string]string{
		"empty": "", "object": "id: x\n", "unknown key": strings.Replace(goodItems, "role:", "roles:", 1), "automatic": strings.Replace(goodItems, "optional: true", "automatic: true, evidence: x", 1),
		"stage": strings.Replace(goodItems, "stage: live", "stage: demo", 1), "id": strings.Replace(goodItems, "desk-limits", "oem/x", 1), "twice": goodItems + goodItems[1:],
		"no English": strings.Replace(goodItems, "en: {step: Budget}", "pl: {step: Budget}", 1), "anchor": "- &a x\n- *a\n", "two documents": goodItems + "---\n[]\n",
		"duplicate": strings.Replace(goodItems, "role: operator", "role: operator\n  role: operator", 1), "large": "#" + strings.Repeat("x", MaxItemsSize),
	} {
		if items, err := ParseItems([]byte(bad)); items != nil || fault.CodeOf(err) != fault.Spec {
			t.Errorf("%s: %+v, %v", name, items, err)
		}
	}
}

func FuzzItems(f *testing.F) {
	f.Add([]byte(goodItems))
	f.Add([]byte(`[{"id":"a"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		items, err := ParseItems(raw)
		if (items == nil) == (err == nil) {
			t.Fatalf("%v with %v", items, err)
		}
	})
}
