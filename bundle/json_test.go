package bundle

import (
	"math"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/internal/fault"
)

func TestStrictUnmarshal(t *testing.T) {
	type inner struct {
		N int `json:"n"`
	}
	type record struct {
		Name   string         `json:"name"`
		Inner  *inner         `json:"inner,omitempty"`
		Detail map[string]any `json:"detail,omitempty"`
	}
	var r record
	good := `{"name":"a","inner":{"n":3},"detail":{"x":[1,2.5,null,"ż"]}}`
	if err := StrictUnmarshal([]byte(good), &r, 1000); err != nil || r.Inner.N != 3 || len(r.Detail["x"].([]any)) != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := StrictUnmarshal([]byte(`{}`), &r, 1000); err != nil {
		t.Errorf("a missing member is the caller's business: %v", err)
	}
	for _, bad := range []string{
		``, ` `, `{`, `{}{}`, `{}x`, `{"Name":"a"}`, `{"other":1}`, `{"name":"a","name":"b"}`, `{"x_a":1}`, `{"name":1}`, `{"name":"\ud800"}`,
		"{\"name\":\"\xff\"}", "\ufeff{}", `{"inner":{"n":1.0}}`, `{"inner":{"n":1e400}}`, `{"detail":{"a":1,"a":2}}`, `{"detail":{"a":1e3}}`,
		`{"detail":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 41),
	} {
		if err := StrictUnmarshal([]byte(bad), &r, 1000); err == nil {
			t.Errorf("%s passed", bad)
		}
	}
	wantFault(t, StrictUnmarshal([]byte(good), &r, 10), fault.Limit, "at most 10")
}

// The examples of RFC 8785, section 3.2, and its appendix B.
func TestCanonicalJSON(t *testing.T) {
	const in = `{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
		"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`
	const want = `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`
	got, err := CanonicalJSON(jsontext.Value(in))
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	const order = `{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`
	got, err = CanonicalJSON(jsontext.Value(order))
	if want := "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}"; err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	for _, bad := range []any{int64(1<<53 + 1), uint64(math.MaxUint64), math.Inf(1), math.NaN(), "\xff", jsontext.Value(`{"a":1,"a":2}`), jsontext.Value(`1e999`)} {
		if got, err := CanonicalJSON(bad); err == nil {
			t.Errorf("%v is written as %s", bad, got)
		}
	}
	if got, err := CanonicalJSON(map[string]any{"b": int64(1 << 53), "a": math.Copysign(0, -1)}); err != nil || string(got) != `{"a":0,"b":9007199254740992}` {
		t.Errorf("got %s, %v", got, err)
	}
}

// What CanonicalJSON writes, StrictUnmarshal reads.
func FuzzStrictUnmarshal(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,null,"ż",{"b":true}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v any
		if StrictUnmarshal(raw, &v, 1<<20) != nil {
			return
		}
		out, err := CanonicalJSON(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := StrictUnmarshal(out, &v, 1<<21); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	})
}
