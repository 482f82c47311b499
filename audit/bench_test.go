package audit

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkVerify is the cost of one entry when the whole log is checked, as the gate does at each start of a bot.
func BenchmarkVerify(b *testing.B) {
	var log bytes.Buffer
	var t tail
	const entries = 1000
	for i := range entries {
		e := Entry{Timestamp: "2026-11-01T12:00:00.000Z", Log: Demo, Stage: "demo", Status: StatusDone, Event: fmt.Sprint("event-", i), Actor: "anna", Prev: t.digest()}
		line, _, err := encode(e, seeded("machine"))
		if err != nil {
			b.Fatal(err)
		}
		log.Write(line)
		t.last = line[:len(line)-1]
	}
	public := Open(Options{Key: seeded("machine")}).o.Public
	for b.Loop() {
		if s, err := verify(bytes.NewReader(log.Bytes()), Demo, public, nil, VerifyOptions{}); err != nil || s.Entries != entries {
			b.Fatal(s, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*entries), "µs/entry")
}
