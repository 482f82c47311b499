package inference

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func msg(num protowire.Number, body ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), slices.Concat(body...))
}

func text(num protowire.Number, s string) []byte { return msg(num, []byte(s)) }

func outside(location string) []byte {
	return slices.Concat(msg(13, text(1, "location"), text(2, location)), protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1))
}

func TestExternalDataIsFoundWhereverItHides(t *testing.T) {
	for name, raw := range map[string][]byte{
		"initializer":             msg(7, msg(5, outside("a"))),
		"attribute":               msg(7, msg(1, msg(5, msg(5, outside("a"))))),
		"attribute's list":        msg(7, msg(1, msg(5, msg(10, outside("a"))))),
		"inner graph":             msg(7, msg(1, msg(5, msg(6, msg(5, outside("a")))))),
		"list of graphs":          msg(7, msg(1, msg(5, msg(11, msg(5, outside("a")))))),
		"sparse values":           msg(7, msg(15, msg(1, outside("a")))),
		"sparse indices":          msg(7, msg(15, msg(2, outside("a")))),
		"sparse attribute":        msg(7, msg(1, msg(5, msg(22, msg(1, outside("a")))))),
		"function":                msg(25, msg(7, msg(5, msg(5, outside("a"))))),
		"function's default":      msg(25, msg(11, msg(5, outside("a")))),
		"training graph":          msg(20, msg(1, msg(5, outside("a")))),
		"second graph":            slices.Concat(msg(7), msg(7, msg(5, outside("a")))),
		"location without a mark": msg(7, msg(5, msg(13, text(1, "location"), text(2, "a")))),
	} {
		if got, err := externalLocations(raw); err != nil || !slices.Equal(got, []string{"a"}) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if got, err := externalLocations(msg(7, msg(5, outside("b")), msg(5, outside("a")), msg(5, outside("b")))); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q %v", got, err)
	}
}

func TestExternalDataThatIsCrooked(t *testing.T) {
	nested := msg(5, outside("a"))
	for range maxMessageDepth {
		nested = msg(1, msg(5, msg(6, nested)))
	}
	for name, raw := range map[string][]byte{
		"marked, not named": msg(7, msg(5, protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1))),
		"long name":         msg(7, msg(5, outside(string(make([]byte, 1000))))),
		"too deep":          msg(7, nested),
		"cut":               msg(7, msg(5, outside("a")))[:9],
		"text":              []byte("no model"),
	} {
		if got, err := externalLocations(raw); err == nil || got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzExternalLocations(f *testing.F) {
	f.Add(msg(7, msg(5, outside("a"))))
	f.Add(msg(25, msg(7, msg(5, msg(5, outside("../x"))))))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := externalLocations(raw)
		if err != nil && got != nil {
			t.Error("a result together with an error")
		}
	})
}
