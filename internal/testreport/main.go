// Command testreport reads the output of go test -json and says what people want to know: a line a package, everything
// about what failed, what was skipped and why, the figures that tests print as "summary:", and the count.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	outputs := map[string][]string{}
	var failed, skipped, summaries []string
	passed := 0
	bad := false
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // what the go command says outside its JSON
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if i := strings.Index(e.Output, "summary: "); i >= 0 && e.Test != "" {
				summaries = append(summaries, e.Test+": "+strings.TrimSpace(e.Output[i+len("summary: "):]))
			}
			outputs[key] = append(outputs[key], e.Output)
		case "pass":
			if e.Test != "" {
				passed++
			} else {
				fmt.Printf("ok    %6.1f s  %s\n", e.Elapsed, e.Package)
			}
			delete(outputs, key)
		case "fail":
			bad = true
			if e.Test == "" {
				fmt.Printf("FAIL  %6.1f s  %s\n", e.Elapsed, e.Package)
			} else {
				failed = append(failed, key)
			}
			for _, line := range outputs[key] {
				fmt.Print("      | ", line)
			}
		case "build-fail":
			bad = true
			for _, lines := range outputs {
				for _, line := range lines {
					fmt.Print("      | ", line)
				}
			}
		case "skip":
			if e.Test == "" {
				continue // a package without tests
			}
			reason := ""
			for _, line := range outputs[key] {
				if s := strings.TrimSpace(line); !strings.HasPrefix(s, "=== ") && !strings.HasPrefix(s, "--- ") {
					reason += " " + s
				}
			}
			if r := []rune(reason); len(r) > 200 {
				reason = string(r[:200]) + "…" // a story prints all of itself
			}
			skipped = append(skipped, key+":"+reason)
			delete(outputs, key)
		}
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	section("figures", summaries)
	section("skipped, and why", skipped)
	section("failed", failed)
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, len(failed), len(skipped))
	if bad {
		os.Exit(1)
	}
}

func section(title string, lines []string) {
	fmt.Printf("--- %s\n", title)
	for _, l := range lines {
		fmt.Println("    " + l)
	}
	if len(lines) == 0 {
		fmt.Println("    nothing")
	}
}
