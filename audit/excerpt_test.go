package audit

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"

	"sluice/internal/fault"
)

// An excerpt holds what it is about up to the head; when that is too much, what must be kept and the end.
func TestExcerpt(t *testing.T) {
	b := newLogs(t)
	b.add(t, 30)
	public := seeded("machine").Public().(ed25519.PublicKey)
	is := func(events ...string) func(Entry) bool {
		return func(e Entry) bool { return slices.Contains(events, e.Event) }
	}
	for name, c := range map[string]struct {
		about, keep func(Entry) bool
		budget      int
		want        []Range
	}{
		"all of it":        {is("event-4", "event-8"), is(), 1 << 20, []Range{{5, 30}}},
		"nothing about it": {is(), is("event-2"), 1 << 20, []Range{{30, 30}}},
		"too much":         {is("event-4", "event-5"), is("event-1", "event-8"), 2000, []Range{{5, 6}, {9, 9}, {28, 30}}},
		"no room at all":   {is("event-4"), is(), 0, []Range{{5, 5}, {30, 30}}},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := b.Excerpt(Demo, c.about, c.keep, c.budget)
			if err != nil {
				t.Fatal(err)
			}
			if name == "too much" { // how many of the last entries fit depends on their length
				c.want[len(c.want)-1].First = x.Ranges[len(x.Ranges)-1].First
			}
			if !slices.Equal(x.Ranges, c.want) || x.Head.Entries != 30 {
				t.Fatalf("ranges %v, head %+v, want %v", x.Ranges, x.Head, c.want)
			}
			lines, digests, err := x.Verify(Demo, public)
			if err != nil || digests[30] != x.Head.SHA384 || lines[0].Number != c.want[0].First {
				t.Fatalf("%v", err)
			}
			for i := 0; i < len(x.Lines); i += 97 { // no byte of it can be another
				changed := *x
				changed.Lines = bytes.Clone(x.Lines)
				changed.Lines[i] ^= 1
				if _, _, err := changed.Verify(Demo, public); fault.CodeOf(err) != fault.LogBroken {
					t.Fatalf("byte %d changed: %v", i, err)
				}
			}
			for what, edit := range map[string]func(x *Excerpt){
				"cut short":          func(x *Excerpt) { x.Lines = x.Lines[:len(x.Lines)-10] },
				"longer":             func(x *Excerpt) { x.Lines = append(bytes.Clone(x.Lines), '\n') },
				"another head":       func(x *Excerpt) { x.Head.SHA384[0] ^= 1 },
				"a later head":       func(x *Excerpt) { x.Head.Entries++ },
				"ranges that touch":  func(x *Excerpt) { x.Ranges = []Range{{1, 1}, {2, 30}} },
				"a range backwards":  func(x *Excerpt) { x.Ranges = []Range{{30, 5}} },
				"a range from zero":  func(x *Excerpt) { x.Ranges = []Range{{0, 30}} },
				"it says it is all":  func(x *Excerpt) { x.Ranges = []Range{{1, 30}} },
				"no range":           func(x *Excerpt) { x.Ranges = nil },
				"of another machine": func(x *Excerpt) { x.Lines = bytes.Replace(x.Lines, []byte(`"sig":"`), []byte(`"sig":"A`), 1) },
			} {
				changed := *x
				edit(&changed)
				if _, _, err := changed.Verify(Demo, public); fault.CodeOf(err) != fault.LogBroken {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, _, err := x.Verify(Paper, public); fault.CodeOf(err) != fault.LogBroken {
				t.Errorf("as another log: %v", err)
			}
		})
	}
}
