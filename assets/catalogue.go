package assets

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed texts/*.json
var texts embed.FS

// Lang is a language of the program's own words.
type Lang string

// The languages. What is not Polish falls to English as a whole.
const (
	English Lang = "en"
	Polish  Lang = "pl"
)

// ParseLang finds the language of a locale such as "pl_PL.UTF-8"; English for all that is not Polish.
func ParseLang(locale string) Lang {
	base, _, _ := strings.Cut(strings.ToLower(locale), ".")
	if base == "pl" || strings.HasPrefix(base, "pl_") || strings.HasPrefix(base, "pl-") {
		return Polish
	}
	return English
}

// ErrorText is what a person reads about a code.
type ErrorText struct {
	Title   string `json:"title"`
	With    string `json:"with"` // title with facts in braces; used when all of them are known
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`

	// What the window says instead, where the words above name verbs or flags of the command line; else empty.
	MeaningWindow string `json:"meaning_window"`
	RemedyWindow  string `json:"remedy_window"`
}

// ForWindow is the text as the window shows it: nobody is told to type a command there.
func (e ErrorText) ForWindow() ErrorText {
	e.Meaning, e.Remedy = cmp.Or(e.MeaningWindow, e.Meaning), cmp.Or(e.RemedyWindow, e.Remedy)
	return e
}

type message struct {
	text  string
	forms map[string]string // plural forms: one, few, many, other
}

func (m *message) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &m.text)
	}
	return json.Unmarshal(b, &m.forms)
}

type catalogue struct {
	messages map[string]message
	errors   map[string]ErrorText
}

var catalogues = sync.OnceValue(func() map[Lang]catalogue {
	out := map[Lang]catalogue{}
	for _, l := range []Lang{English, Polish} {
		var c catalogue
		load(fmt.Sprintf("texts/messages.%s.json", l), &c.messages)
		load(fmt.Sprintf("texts/errors.%s.json", l), &c.errors)
		out[l] = c
	}
	return out
})

// load reads a file that is part of the program: what is wrong with it is found by the first test that runs.
func load(name string, v any) {
	raw, err := texts.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		panic(fmt.Sprintf("reading embedded %s: %v", name, err))
	}
}

// Text finds a message by key and fills in its {name} places from name, value pairs.
func (l Lang) Text(key string, pairs ...any) string {
	m, ok := catalogues()[l].messages[key]
	if !ok {
		return "[" + key + "]"
	}
	return fill(m.text, pairs)
}

// Has says whether the catalogue holds a key.
func (l Lang) Has(key string) bool {
	_, ok := catalogues()[l].messages[key]
	return ok
}

// Count is Text for a message that has plural forms; {n} is the number.
func (l Lang) Count(key string, n int, pairs ...any) string {
	m, ok := catalogues()[l].messages[key]
	if !ok {
		return "[" + key + "]"
	}
	tag := language.English
	if l == Polish {
		tag = language.Polish
	}
	form := "other"
	switch plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0) {
	case plural.One:
		form = "one"
	case plural.Few:
		form = "few"
	case plural.Many:
		form = "many"
	}
	text, ok := m.forms[form]
	if !ok {
		text = m.forms["other"]
	}
	return fill(text, append([]any{"n", strconv.Itoa(n)}, pairs...))
}

// Error gives the words for a code; those of E-INTERNAL for one it does not know.
func (l Lang) Error(code string) ErrorText {
	e, ok := catalogues()[l].errors[code]
	if !ok {
		e = catalogues()[l].errors["E-INTERNAL"]
	}
	return e
}

// Keys lists the keys of all messages.
func (l Lang) Keys() []string {
	var out []string
	for k := range catalogues()[l].messages {
		out = append(out, k)
	}
	return out
}

var place = regexp.MustCompile(`\{([a-z_0-9]+)\}`)

func fill(text string, pairs []any) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return place.ReplaceAllStringFunc(text, func(p string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == p[1:len(p)-1] {
				return fmt.Sprint(pairs[i+1])
			}
		}
		return p
	})
}

// Headline is the title, with facts when all that it names are known.
func (t ErrorText) Headline(facts map[string]any) string {
	if t.With == "" {
		return t.Title
	}
	for _, m := range place.FindAllStringSubmatch(t.With, -1) {
		if _, ok := facts[m[1]]; !ok {
			return t.Title
		}
	}
	return place.ReplaceAllStringFunc(t.With, func(p string) string { return fmt.Sprint(facts[p[1:len(p)-1]]) })
}
