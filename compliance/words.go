package compliance

// words are the labels of checklist and record. They are part of what TextDigest covers.
type words map[string]string

func wordsOf(lang Lang) words {
	if lang == Polish {
		return polishWords
	}
	return englishWords
}

// role is who is responsible for an item.
func (w words) role(it *Item) string {
	if it.Automatic {
		return w["program"]
	}
	return w.roleName(it.Role)
}

func (w words) roleName(role string) string {
	if name, ok := w["role_"+role]; ok {
		return name
	}
	return role
}

var englishWords = words{
	"checklist": "Checklist", "stage_paper": "stage paper", "stage_live": "stage live",
	"step": "Step", "responsible": "Responsible", "artifacts": "Artifacts", "acceptance": "Acceptance", "evidence": "Evidence",
	"passed": "passed", "not_passed": "NOT passed", "no_evidence": "no evidence",
	"program": "the program", "role_every": "each person who signs", "role_operator": "operator", "role_compliance": "compliance officer",
	"yes": "yes", "no": "no", "not_applicable": "not applicable", "answer": "Answer", "comment": "Comment",
	"prepared": "prepared", "reviewed": "reviewed", "approved": "approved",
	"record": "Sign-off record", "complete": "Complete: everyone whose signature is needed has signed", "incomplete": "Not complete; still needed",
	"needs_approved": "a signature with the meaning \"approved\"",
	"emergency":      "EMERGENCY: signed by the site, not by the vendor", "emergency_by": "Installed by emergency by",
	"refused": "REFUSED", "reason": "Reason", "variant": "Variant", "machine": "Machine key", "system": "Machine", "policy": "Policy number", "signatures": "Signatures",
	"signed_at": "Signed at (local clock)", "key": "Key", "role": "Role", "meaning": "Meaning", "envelope": "Envelope SHA-384", "log": "Log",
	"entries": "entries", "language": "Language shown", "other_text": "signed another wording of the checklist (program or policy changed in between)",
	"fill":              "Answer each item: yes, no or not_applicable; the last two need a comment.",
	"only_no":           "the evidence did not pass, so only \"no\" is taken, with a comment: the stage can only be refused",
	"file":              "File",
	"needs_independent": "an approval by somebody other than the one who installed",
	"change_item":       "checklist item", "change_text": "wording of", "change_evidence": "evidence", "change_policy": "the site's policy",
	"change_signatures": "earlier signatures", "change_version": "the version at this stage", "change_log": "the decision log",
	"change_record": "the record of this stage, by hand", "change_refusal": "the refusal",
	"how_added": "added", "how_removed": "removed", "how_changed": "changed", "how_withdrawn": "withdrawn", "how_open": "nobody else goes on until its author signs anew",
	"only_na": "there is no evidence, so \"yes\" is not taken: answer not_applicable, or no, and say why",
}

var polishWords = words{
	"checklist": "Lista kontrolna", "stage_paper": "etap paper", "stage_live": "etap live",
	"step": "Krok", "responsible": "Odpowiedzialny", "artifacts": "Artefakty", "acceptance": "Akceptacja", "evidence": "Dowód",
	"passed": "wynik pozytywny", "not_passed": "wynik NEGATYWNY", "no_evidence": "brak dowodu",
	"program": "program", "role_every": "każda osoba podpisująca", "role_operator": "operator", "role_compliance": "osoba ds. zgodności (compliance)",
	"yes": "tak", "no": "nie", "not_applicable": "nie dotyczy", "answer": "Odpowiedź", "comment": "Uwagi",
	"prepared": "przygotował(a)", "reviewed": "sprawdził(a)", "approved": "zatwierdził(a)",
	"record": "Protokół odbioru", "complete": "Komplet: podpisały wszystkie wymagane osoby", "incomplete": "Niekompletny; brakuje",
	"needs_approved": "podpisu o znaczeniu „zatwierdził(a)”",
	"emergency":      "TRYB AWARYJNY: podpis zakładu, bez podpisu dostawcy", "emergency_by": "Awaryjnie zainstalował(a)",
	"refused": "ODMOWA", "reason": "Powód", "variant": "Wariant", "machine": "Klucz komputera", "system": "Komputer", "policy": "Numer polityki", "signatures": "Podpisy",
	"signed_at": "Podpisano (zegar lokalny)", "key": "Klucz", "role": "Rola", "meaning": "Znaczenie", "envelope": "Koperta SHA-384", "log": "Dziennik",
	"entries": "wpisów", "language": "Pokazany język", "other_text": "podpisano inne brzmienie listy (zmienił się program lub polityka)",
	"fill":              "Odpowiedz na każdą pozycję: yes (tak), no (nie) lub not_applicable (nie dotyczy); dwie ostatnie wymagają uwag.",
	"only_no":           "wynik jest negatywny, więc przyjmowane jest tylko „no” z uwagami: można jedynie odmówić podpisu",
	"file":              "Plik",
	"needs_independent": "zatwierdzenia przez kogoś innego niż osoba instalująca",
	"change_item":       "pozycja listy kontrolnej", "change_text": "brzmienie pozycji", "change_evidence": "dowód", "change_policy": "polityka zakładu",
	"change_signatures": "wcześniejsze podpisy", "change_version": "wersja na tym etapie", "change_log": "dziennik decyzji",
	"change_record": "zapis tego etapu, ręcznie", "change_refusal": "odmowa podpisu",
	"how_added": "doszło", "how_removed": "ubyło", "how_changed": "zmiana", "how_withdrawn": "wycofana", "how_open": "nikt inny nie pójdzie dalej, dopóki jej autor nie podpisze na nowo",
	"only_na": "brak dowodu, więc „yes” nie jest przyjmowane: odpowiedz not_applicable lub no i podaj powód",
}
